//! What every request passes: its id, the short way of sending, the router, and the headers of every answer.

use std::hash::{BuildHasher as _, RandomState};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::BoxError;
use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hookmill_app::history::ReadingMemory;
use hookmill_core::limits::API_BODY_BYTES_MAX;
use http::header::{CONNECTION, HOST, HeaderName, X_CONTENT_TYPE_OPTIONS};
use http::uri::Authority;
use http::{HeaderValue, Method, Request, StatusCode, Uri, Version};
use http_body::Body as _;
use tower::ServiceExt;

use crate::body_budget::{ANSWER_SMALL_BYTES, BudgetFull, CountedBody, Held, HeldAnswer};
use crate::client::Client;
use crate::connection::{HeadFault, InProgress};
use crate::context::Context;
use crate::error::{ApiError, LoggedCode};
use crate::ingest;
use crate::receive;
use crate::router::router;

/// How long an answer waits until those before it were read, and how often that is looked at.
const ROOM_WAIT_MAX: Duration = Duration::from_secs(5);
const ROOM_LOOK_EVERY: Duration = Duration::from_millis(20);
/// When to ask again where too much waits to be read.
const UNREAD_WAIT: Duration = Duration::from_secs(1);
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");
const APPLICATIONS: &str = "/api/v1/app/";
const MESSAGES: &str = "/msg";
/// Bytes of a path with its query.
const TARGET_BYTES_MAX: usize = 8 << 10;
/// Bytes of all names and values of one request's headers.
const HEADER_BYTES_MAX: usize = 32 << 10;
/// Bytes of a path that a line of the log shows.
const LOGGED_PATH_BYTES_MAX: usize = 256;
/// Bytes of a method that a line of the log shows.
const LOGGED_METHOD_BYTES_MAX: usize = 32;

/// The whole API as a function of requests.
pub(crate) struct Front {
    context: Arc<Context>,
    router: Router,
    /// Tells this process's requests from those of an earlier one.
    started: u64,
    requests: AtomicU64,
    /// Of the names of those whose memory requests take.
    hasher: RandomState,
}

impl Front {
    pub(crate) fn new(context: Arc<Context>) -> Self {
        let started = context.app.now().0;
        let (router, hasher) = (router(Arc::clone(&context)), RandomState::new());
        Self { router, context, started, requests: AtomicU64::new(0), hasher }
    }

    pub(crate) fn context(&self) -> &Context {
        &self.context
    }

    /// Answers one request that came on a connection.
    pub(crate) async fn answer_on<B>(
        &self,
        mut request: Request<B>,
        peer: SocketAddr,
        progress: InProgress,
    ) -> Response
    where
        B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static,
    {
        let client = Client::of_request(peer, request.headers(), &self.context.config.trusted_proxies);
        if let Err(refused) = check_head(&request) {
            return self.refuse(&request, client, refused);
        }
        request.extensions_mut().insert(client);
        let owner = owner(request.uri().path()).map(|name| self.hasher.hash_one(name));
        let held = self.context.unfinished.held(Some(client), owner);
        let unread = self.context.answers.held(Some(client), owner);
        request.extensions_mut().insert(Arc::clone(&unread));
        let counted = |body| CountedBody { body, held: Arc::clone(&held), progress: Some(progress) };
        let reads = matches!(*request.method(), Method::GET | Method::HEAD);
        let response = self.answer(request.map(counted)).await;
        held.release();
        hold_until_read(response, unread, reads).await
    }

    /// Refuses a request whose head could be read in two ways, and its connection with it.
    pub(crate) fn refuse_head<B>(
        &self,
        request: &Request<B>,
        peer: SocketAddr,
        fault: HeadFault,
    ) -> Response {
        let error = ApiError::new(StatusCode::BAD_REQUEST, fault.code(), fault.to_string());
        let client = Client::of_request(peer, request.headers(), &self.context.config.trusted_proxies);
        self.refuse(request, client, error)
    }

    /// Refuses a request for its head. What follows it on its connection is not believed.
    fn refuse<B>(&self, request: &Request<B>, client: Client, error: ApiError) -> Response {
        let id = self.next_id();
        let mut response = error.into_response();
        if request.version() < Version::HTTP_2 {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        log(request.method(), request.uri(), Some(client), &response, &id);
        finished(response, id)
    }

    /// Answers one request.
    pub(crate) async fn answer<B>(&self, request: Request<B>) -> Response
    where
        B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static,
    {
        let id = self.next_id();
        let request = without_trailing_slash(request);
        let response = match message_application(request.method(), request.uri()) {
            // Every event comes this way, so it is spared the router.
            Some(_) => self.send(request, &id).await,
            None => self.route(request, &id).await,
        };
        finished(response, id)
    }

    fn next_id(&self) -> String {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        format!("{:x}-{number:x}", self.started)
    }

    async fn send<B>(&self, request: Request<B>, id: &str) -> Response
    where
        B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Unpin + Send + 'static,
    {
        let (parts, body) = request.into_parts();
        let application = message_application(&parts.method, &parts.uri).unwrap_or_default();
        let sent = ingest::accept(&self.context, application, &parts, body).await;
        sent.unwrap_or_else(|error| {
            let response = error.into_response();
            log(&parts.method, &parts.uri, parts.extensions.get().copied(), &response, id);
            response
        })
    }

    async fn route<B>(&self, request: Request<B>, id: &str) -> Response
    where
        B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static,
    {
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let client = request.extensions().get().copied();
        let answered = self.router.clone().oneshot(request.map(Body::new)).await;
        let response = answered.unwrap_or_else(|never| match never {});
        if response.status().is_client_error() || response.status().is_server_error() {
            log(&method, &uri, client, &response, id);
        }
        response
    }
}

/// Counts an answer until its client has read it. Where clients leave too many unread, what only reads, and what is large, is
/// answered that instead; a change that was made is not denied.
async fn hold_until_read(mut response: Response, unread: Arc<Held>, reads: bool) -> Response {
    let bytes = response.body().size_hint().upper().and_then(|bytes| usize::try_from(bytes).ok());
    let Some(bytes) = bytes.filter(|bytes| *bytes > ANSWER_SMALL_BYTES) else { return response };
    // What holds the memory that it was made in may wait for those before it to be read.
    let memory = response.extensions_mut().remove::<Arc<ReadingMemory>>();
    let wait_max = memory.as_ref().map_or(Duration::ZERO, |_| ROOM_WAIT_MAX);
    if !unread.is_empty() {
        // Was counted when it was made.
    } else if let Err(full) = room_for(&unread, bytes, wait_max).await
        && (reads || bytes > API_BODY_BYTES_MAX)
    {
        let (whose, bytes_max) = match full {
            BudgetFull::All(bytes_max) => ("", bytes_max),
            BudgetFull::Client(bytes_max) => (" by your address", bytes_max),
            BudgetFull::Owner(bytes_max) => (" of this application", bytes_max),
        };
        let detail = format!(
            "answers that have yet to be read{whose} hold as many bytes as they may ({bytes_max} together); read those first"
        );
        let error = ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "unread_answers_full", detail);
        return error.retry_after(UNREAD_WAIT).into_response();
    }
    let (parts, body) = response.into_parts();
    let Ok(body) = axum::body::to_bytes(body, bytes).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    Response::from_parts(parts, Body::new(HeldAnswer::new(body, unread)))
}

/// Counts so many bytes as unread, as soon as there is room for them.
async fn room_for(unread: &Held, bytes: usize, wait_max: Duration) -> Result<(), BudgetFull> {
    let mut waited = Duration::ZERO;
    loop {
        match unread.grow(bytes) {
            Err(_) if waited < wait_max => {
                tokio::time::sleep(ROOM_LOOK_EVERY).await;
                waited += ROOM_LOOK_EVERY;
            }
            result => return result,
        }
    }
}

fn finished(mut response: Response, id: String) -> Response {
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    if let Ok(id) = HeaderValue::try_from(id) {
        headers.insert(REQUEST_ID, id);
    }
    response
}

/// One line for a request that failed; the query is left out, since it may hold what is nobody's business.
fn log(method: &Method, uri: &Uri, client: Option<Client>, response: &Response, request: &str) {
    let (status, path, method) = (response.status().as_u16(), uri.path(), method.as_str());
    let path = &path[..path.floor_char_boundary(LOGGED_PATH_BYTES_MAX)];
    let method = &method[..method.floor_char_boundary(LOGGED_METHOD_BYTES_MAX)];
    let client = client.map(tracing::field::display);
    let code = response.extensions().get::<LoggedCode>().map_or("", |code| code.0);
    if response.status().is_server_error() {
        tracing::warn!(method, path, status, code, client, request, "request failed");
    } else {
        tracing::info!(method, path, status, code, client, request, "request refused");
    }
}

/// Refuses heads that are larger than any that this API asks for, and hosts that contradict each other.
fn check_head<B>(request: &Request<B>) -> Result<(), ApiError> {
    let target_bytes = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    if target_bytes > TARGET_BYTES_MAX {
        let detail = format!("the path and query have {target_bytes} bytes; {TARGET_BYTES_MAX} are taken");
        return Err(ApiError::new(StatusCode::URI_TOO_LONG, "uri_too_long", detail));
    }
    let header_bytes: usize =
        request.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if header_bytes > HEADER_BYTES_MAX {
        let detail = format!("the headers have {header_bytes} bytes; {HEADER_BYTES_MAX} are taken");
        return Err(ApiError::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "headers_too_large", detail));
    }
    // HTTP/1 is looked at on the wire. In HTTP/2 `:authority` is the host (RFC 9113, section 8.3.1).
    if request.version() == Version::HTTP_2 {
        let mut hosts = request.headers().get_all(HOST).into_iter();
        let authority = request.uri().authority().map(Authority::as_str);
        let first = hosts.next();
        let differs = first
            .zip(authority)
            .is_some_and(|(host, authority)| !host.as_bytes().eq_ignore_ascii_case(authority.as_bytes()));
        if differs || hosts.next().is_some() {
            let detail = "`Host` and `:authority` name one host, once (RFC 9113, section 8.3.1)";
            return Err(ApiError::new(StatusCode::BAD_REQUEST, "host_invalid", detail));
        }
    }
    Ok(())
}

/// The source or application that the path names: whose share of memory the request takes.
fn owner(path: &str) -> Option<&str> {
    let rest = path.strip_prefix(receive::PREFIX).or_else(|| path.strip_prefix(APPLICATIONS))?;
    rest.split('/').next().filter(|name| !name.is_empty())
}

/// The application of `POST /api/v1/app/{app}/msg`, where it needs no decoding.
fn message_application<'uri>(method: &Method, uri: &'uri Uri) -> Option<&'uri str> {
    let application = uri.path().strip_prefix(APPLICATIONS)?.strip_suffix(MESSAGES)?;
    let plain = !application.is_empty() && !application.contains(['/', '%']);
    (plain && method == Method::POST).then_some(application)
}

/// Older clients of the Svix API end their paths with a slash. What providers call stays as it is: they sign it.
fn without_trailing_slash<B>(mut request: Request<B>) -> Request<B> {
    let path = request.uri().path();
    if path.len() > 1 && path.ends_with('/') && !path.starts_with(receive::PREFIX) {
        let path = path.trim_end_matches('/');
        let target = match request.uri().query() {
            Some(query) => format!("{path}?{query}"),
            None => path.to_owned(),
        };
        if let Ok(uri) = target.parse() {
            *request.uri_mut() = uri;
        }
    }
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_way_takes_plain_paths_only() {
        let check = |method: Method, uri: &str, expect: Option<&str>| {
            let uri: Uri = uri.parse().unwrap();
            assert_eq!(message_application(&method, &uri), expect, "{method} {uri}");
        };
        check(Method::POST, "/api/v1/app/app_1/msg", Some("app_1"));
        check(Method::POST, "/api/v1/app/shop-7/msg?with_content=false", Some("shop-7"));
        check(Method::GET, "/api/v1/app/app_1/msg", None);
        check(Method::POST, "/api/v1/app//msg", None);
        check(Method::POST, "/api/v1/app/msg", None);
        check(Method::POST, "/api/v1/app/a%2Fb/msg", None);
        check(Method::POST, "/api/v1/app/a/endpoint/b/msg", None);
        check(Method::POST, "/api/v1/app/a/msg/b", None);
    }

    #[test]
    fn a_trailing_slash_is_taken_off() {
        let check = |uri: &str, expect: &str| {
            let request = Request::builder().uri(uri).body(()).unwrap();
            assert_eq!(without_trailing_slash(request).uri(), expect);
        };
        check("/api/v1/app/", "/api/v1/app");
        check("/api/v1/app/?limit=1", "/api/v1/app?limit=1");
        check("/api/v1/app", "/api/v1/app");
        check("/in/twilio/", "/in/twilio/");
        check("/", "/");
    }
}
