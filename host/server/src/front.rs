//! What every request passes: its id, the short way of sending, the router, and the headers of every answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{HeaderName, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Method, Request, Uri};
use tower::ServiceExt;

use crate::context::Context;
use crate::error::LoggedCode;
use crate::ingest;
use crate::receive;
use crate::router::router;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");
const APPLICATIONS: &str = "/api/v1/app/";
const MESSAGES: &str = "/msg";

/// The whole API as a function of requests.
pub(crate) struct Front {
    context: Arc<Context>,
    router: Router,
    /// Tells this process's requests from those of an earlier one.
    started: u64,
    requests: AtomicU64,
}

impl Front {
    pub(crate) fn new(context: Arc<Context>) -> Self {
        let started = context.app.now().0;
        Self { router: router(Arc::clone(&context)), context, started, requests: AtomicU64::new(0) }
    }

    /// Answers one request.
    pub(crate) async fn answer<B>(&self, request: Request<B>) -> Response
    where
        B: http_body::Body<Data = Bytes, Error: Into<axum::BoxError>> + Send + Unpin + 'static,
    {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let id = format!("{:x}-{number:x}", self.started);
        let request = without_trailing_slash(request);
        let mut response = match message_application(request.method(), request.uri()) {
            // Every event comes this way, so it is spared the router.
            Some(_) => self.send(request, &id).await,
            None => self.route(request, &id).await,
        };
        let headers = response.headers_mut();
        headers.insert(X_CONTENT_TYPE_OPTIONS, NOSNIFF);
        if let Ok(id) = HeaderValue::try_from(id) {
            headers.insert(REQUEST_ID, id);
        }
        response
    }

    async fn send<B>(&self, request: Request<B>, id: &str) -> Response
    where
        B: http_body::Body<Data = Bytes> + Unpin + Send + 'static,
    {
        let (parts, body) = request.into_parts();
        let application = message_application(&parts.method, &parts.uri).unwrap_or_default();
        let sent = ingest::accept(&self.context, application, parts.uri.query(), &parts.headers, body).await;
        sent.unwrap_or_else(|error| {
            let response = error.into_response();
            log(&parts.method, &parts.uri, &response, id);
            response
        })
    }

    async fn route<B>(&self, request: Request<B>, id: &str) -> Response
    where
        B: http_body::Body<Data = Bytes, Error: Into<axum::BoxError>> + Send + Unpin + 'static,
    {
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let answered = self.router.clone().oneshot(request.map(Body::new)).await;
        let response = answered.unwrap_or_else(|never| match never {});
        if response.status().is_client_error() || response.status().is_server_error() {
            log(&method, &uri, &response, id);
        }
        response
    }
}

/// One line for a request that failed; the query is left out, since it may hold what is nobody's business.
fn log(method: &Method, uri: &Uri, response: &Response, request: &str) {
    let (status, path) = (response.status().as_u16(), uri.path());
    let code = response.extensions().get::<LoggedCode>().map_or("", |code| code.0);
    if response.status().is_server_error() {
        tracing::warn!(%method, path, status, code, request, "request failed");
    } else {
        tracing::info!(%method, path, status, code, request, "request refused");
    }
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
