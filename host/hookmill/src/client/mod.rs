//! Verbs that talk to a running server.
//!
//! A [`Client`] makes one request and gives back the server's JSON, or a [`Failure`] that carries the server's own code
//! and message. The verbs (one file a resource) say what to send and how a person sees the answer ([`show`]).

mod application;
mod doctor;
mod endpoint;
mod event;
mod import;
mod key;
mod plugin;
mod show;

use std::path::Path;
use std::time::Duration;

use hookmill_core::json::Document;
use http::header::{AUTHORIZATION, HeaderValue, RETRY_AFTER};
use http::{Method, StatusCode};
use reqwest::{RequestBuilder, Response};
use serde_json::Value;
use url::Url;

pub(crate) use application::run as run_application;
pub(crate) use doctor::run as run_doctor;
pub(crate) use endpoint::run as run_endpoint;
pub(crate) use event::run as run_event;
pub(crate) use import::run as run_import;
pub(crate) use key::run as run_key;
pub(crate) use plugin::{read_plugin, run as run_plugin};

use crate::cli::Connection;
use crate::failure::{Exit, Failure};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Compiling a large plugin takes a while.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(120);
/// Bytes of one answer; a page of the largest events stays below.
const ANSWER_BYTES_MAX: usize = 512 << 20;
/// Items of one page of a list: the most that the server gives.
const PAGE_ITEMS: &str = "250";
const KEY_HINT: &str = "set HOOKMILL_KEY to a key of this server; the first start printed one, and \
                        HOOKMILL_ADMIN_KEY in the server's environment sets another";

/// A server's API, seen from outside.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: Url,
    authorization: Option<HeaderValue>,
}

/// A whole answer, whatever it says.
struct Answer {
    status: StatusCode,
    retry_after: Option<String>,
    body: Vec<u8>,
}

impl Client {
    /// A client for this server; nothing is sent yet.
    ///
    /// # Errors
    /// A URL that is no HTTP address, or a key that fits no header.
    pub(crate) fn new(connection: &Connection) -> Result<Self, Failure> {
        if !matches!(connection.url.scheme(), "http" | "https") || connection.url.cannot_be_a_base() {
            let message = format!("`{}` is no address of a server", connection.url);
            return Err(Failure::new(Exit::Usage, "url_invalid", message)
                .hint("give one like http://127.0.0.1:8080 in HOOKMILL_URL or with --server"));
        }
        let authorization = connection.key.as_deref().map(authorization).transpose()?;
        // Fails when another one is installed already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(REQUEST_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| Failure::new(Exit::Failed, "client_failed", root_cause(&error)))?;
        Ok(Self { http, base: connection.url.clone(), authorization })
    }

    /// One request of the API with a JSON body; answers what the server says, null for nothing.
    ///
    /// # Errors
    /// No server answers, or it refuses.
    pub(crate) async fn call<T: serde::Serialize + ?Sized>(
        &self,
        method: Method,
        path: &[&str],
        body: Option<&T>,
    ) -> Result<Value, Failure> {
        let request = self.request(method, self.url(path));
        self.send(match body {
            Some(body) => request.json(body),
            None => request,
        })
        .await
    }

    /// As [`call`](Self::call), for an answer whose numbers have to keep their digits.
    ///
    /// # Errors
    /// As `call`.
    pub(crate) async fn call_document<T: serde::Serialize + ?Sized>(
        &self,
        method: Method,
        path: &[&str],
        body: Option<&T>,
    ) -> Result<Document, Failure> {
        let request = self.request(method, self.url(path));
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        let answer = self.exchange(request).await?;
        let status = answer.status;
        if !status.is_success() {
            self.judge(&answer)?;
        }
        Document::parse(answer.body).map_err(|_| self.foreign(status))
    }

    /// Every item of a list, page by page.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub(crate) async fn list(&self, path: &[&str]) -> Result<Vec<Value>, Failure> {
        let mut items = Vec::new();
        let mut iterator: Option<String> = None;
        loop {
            let mut url = self.url(path);
            url.query_pairs_mut().append_pair("limit", PAGE_ITEMS);
            if let Some(iterator) = &iterator {
                url.query_pairs_mut().append_pair("iterator", iterator);
            }
            let mut page = self.send(self.request(Method::GET, url)).await?;
            if let Some(Value::Array(data)) = page.get_mut("data").map(Value::take) {
                items.extend(data);
            }
            let next = page["iterator"].as_str().filter(|_| page["done"] == Value::Bool(false));
            match next {
                Some(next) if iterator.as_deref() != Some(next) => iterator = Some(next.to_owned()),
                Some(_) | None => return Ok(items),
            }
        }
    }

    /// The first items of a list, as `query` asks for them.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub(crate) async fn page(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Vec<Value>, Failure> {
        let mut url = self.url(path);
        url.query_pairs_mut().extend_pairs(query);
        let mut page = self.send(self.request(Method::GET, url)).await?;
        Ok(match page.get_mut("data").map(Value::take) {
            Some(Value::Array(data)) => data,
            Some(_) | None => Vec::new(),
        })
    }

    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(["api", "v1"]).extend(path);
        }
        url
    }

    fn request(&self, method: Method, url: Url) -> RequestBuilder {
        let request = self.http.request(method, url);
        match &self.authorization {
            Some(authorization) => request.header(AUTHORIZATION, authorization.clone()),
            None => request,
        }
    }

    async fn send(&self, request: RequestBuilder) -> Result<Value, Failure> {
        let answer = self.exchange(request).await?;
        self.judge(&answer)
    }

    async fn exchange(&self, request: RequestBuilder) -> Result<Answer, Failure> {
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        let retry_after =
            response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()).map(str::to_owned);
        Ok(Answer { status, retry_after, body: self.read(response).await? })
    }

    /// What a success says, or why it is none.
    fn judge(&self, answer: &Answer) -> Result<Value, Failure> {
        let Answer { status, retry_after, body } = answer;
        if status.is_success() {
            return if body.is_empty() {
                Ok(Value::Null)
            } else {
                serde_json::from_slice(body).map_err(|_| self.foreign(*status))
            };
        }
        match answer.code_and_detail() {
            Some((code, detail)) => Err(refused(*status, code, detail, retry_after.as_deref())),
            None => Err(self.foreign(*status)),
        }
    }

    async fn read(&self, mut response: Response) -> Result<Vec<u8>, Failure> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.unreachable(&error))? {
            if body.len() + chunk.len() > ANSWER_BYTES_MAX {
                let message = format!("the answer has more than {ANSWER_BYTES_MAX} bytes");
                return Err(Failure::new(Exit::Failed, "answer_too_large", message));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        let message = format!("no answer from {}: {}", self.base, root_cause(error));
        Failure::new(Exit::Unreachable, "server_unreachable", message)
            .hint("start one with `hookmill serve`, or set HOOKMILL_URL to where it listens")
    }

    fn foreign(&self, status: StatusCode) -> Failure {
        let message = format!("{} answered {status} with what this API does not say", self.base);
        Failure::new(Exit::Failed, "answer_not_understood", message)
            .hint("check that HOOKMILL_URL is the address of a Hookmill server, and what stands between")
    }
}

impl Answer {
    /// The stable code and the text of a refusal in the shape of the API.
    fn code_and_detail(&self) -> Option<(String, String)> {
        serde_json::from_slice::<Value>(&self.body).ok().as_ref().and_then(code_and_detail)
    }
}

/// Prints an answer: as JSON for programs, or however a person sees it best.
pub(crate) fn print(json: bool, value: &Value, for_people: impl FnOnce() -> String) {
    if json {
        show::line(&format!("{value:#}"));
    } else {
        show::line(&for_people());
    }
}

/// Reads a file of at most `bytes_max`.
pub(crate) fn read_file(path: &Path, bytes_max: usize, too_large: &'static str) -> Result<Vec<u8>, Failure> {
    let file = std::fs::File::open(path);
    file.and_then(|file| read_bounded(file, bytes_max))
        .map_err(|error| {
            Failure::new(
                Exit::Failed,
                "file_not_readable",
                format!("{} can't be read: {error}", path.display()),
            )
        })?
        .ok_or_else(|| {
            let message =
                format!("{} has more than {bytes_max} bytes, the most that is taken", path.display());
            Failure::new(Exit::Failed, too_large, message)
        })
}

/// Reads a file, or standard input where its name is `-`, of at most `bytes_max`.
pub(crate) fn read_file_or_stdin(
    path: &Path,
    bytes_max: usize,
    too_large: &'static str,
) -> Result<Vec<u8>, Failure> {
    if path != Path::new("-") {
        return read_file(path, bytes_max, too_large);
    }
    read_bounded(std::io::stdin().lock(), bytes_max)
        .map_err(|error| Failure::new(Exit::Failed, "file_not_readable", format!("standard input: {error}")))?
        .ok_or_else(|| {
            let message = format!("standard input has more than {bytes_max} bytes, the most that is taken");
            Failure::new(Exit::Failed, too_large, message)
        })
}

/// Reads to the end; nothing where that is beyond `bytes_max`.
fn read_bounded(source: impl std::io::Read, bytes_max: usize) -> std::io::Result<Option<Vec<u8>>> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    source.take(bytes_max as u64 + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() <= bytes_max).then_some(bytes))
}

fn authorization(key: &str) -> Result<HeaderValue, Failure> {
    let mut value = HeaderValue::from_str(&format!("Bearer {key}")).map_err(|_| {
        Failure::new(Exit::Usage, "key_invalid", "the key has characters that no key has").hint(KEY_HINT)
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// The stable code and the text of an error answer; a refused input has a list of places instead of one text.
fn code_and_detail(answer: &Value) -> Option<(String, String)> {
    let code = answer["code"].as_str()?.to_owned();
    let detail = match &answer["detail"] {
        Value::String(detail) => detail.clone(),
        Value::Array(items) => items.iter().filter_map(item_text).collect::<Vec<_>>().join("; "),
        _ => return None,
    };
    Some((code, detail))
}

fn item_text(item: &Value) -> Option<String> {
    let message = item["msg"].as_str()?;
    // The first part of a place says only that it is in the body.
    let place: Vec<&str> = item["loc"].as_array()?.iter().skip(1).filter_map(Value::as_str).collect();
    Some(if place.is_empty() { message.to_owned() } else { format!("{}: {message}", place.join(".")) })
}

fn refused(status: StatusCode, code: String, detail: String, retry_after: Option<&str>) -> Failure {
    let failure = Failure::new(Exit::Refused, code, detail);
    match (status, retry_after) {
        (StatusCode::UNAUTHORIZED, _) => failure.hint(KEY_HINT),
        (StatusCode::FORBIDDEN, _) => {
            failure.hint("use a key with a wider scope; see `hookmill key create --help`")
        }
        (_, Some(seconds)) => failure.hint(format!("try again in {seconds} s")),
        (_, None) => failure,
    }
}

/// What is at the bottom of an error; what lies above says only that a request failed.
fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn client(url: &str) -> Client {
        let connection = Connection { url: url.parse().unwrap(), key: Some("hmk_x".into()), json: false };
        Client::new(&connection).unwrap()
    }

    #[test]
    fn ids_are_one_segment_of_a_path() {
        let check =
            |base: &str, path: &[&str], expect: &str| assert_eq!(client(base).url(path).as_str(), expect);
        check("http://127.0.0.1:8080", &["app"], "http://127.0.0.1:8080/api/v1/app");
        check(
            "https://example.com/hooks/",
            &["app", "a/../b", "msg"],
            "https://example.com/hooks/api/v1/app/a%2F..%2Fb/msg",
        );
        check("http://[::1]:1", &["app", "a?b#c"], "http://[::1]:1/api/v1/app/a%3Fb%23c");
    }

    #[test]
    fn an_error_answer_gives_code_and_text() {
        let check = |answer: Value, expect: Option<(&str, &str)>| {
            let expect = expect.map(|(code, detail)| (code.to_owned(), detail.to_owned()));
            assert_eq!(code_and_detail(&answer), expect, "{answer}");
        };
        check(json!({"code": "not_found", "detail": "no such app"}), Some(("not_found", "no such app")));
        let items = json!([
            {"loc": ["body", "retry", "delays"], "msg": "too long", "type": "x"},
            {"loc": ["body"], "msg": "not JSON", "type": "y"},
        ]);
        check(json!({"code": "x", "detail": items}), Some(("x", "retry.delays: too long; not JSON")));
        check(json!({"message": "Bad Gateway"}), None);
        check(json!([]), None);
    }

    #[test]
    fn a_refusal_says_what_to_do() {
        let check = |status: u16, retry_after: Option<&str>, expect: Option<&str>| {
            let status = StatusCode::from_u16(status).unwrap();
            let failure = refused(status, "code".into(), "detail".into(), retry_after);
            assert_eq!((failure.exit, failure.code.as_ref()), (Exit::Refused, "code"));
            let hint = failure.hint.as_deref();
            assert_eq!(hint.and_then(|hint| hint.split_whitespace().next()), expect, "{status}");
        };
        check(401, None, Some("set"));
        check(403, None, Some("use"));
        check(503, Some("1"), Some("try"));
        check(409, None, None);
    }

    #[test]
    fn a_url_that_is_no_server_is_wrong_usage() {
        for url in ["ftp://example.com", "mailto:someone", "unix:/run/x"] {
            let connection = Connection { url: url.parse().unwrap(), key: None, json: false };
            let failure = Client::new(&connection).expect_err(url);
            assert_eq!((failure.exit, failure.code.as_ref()), (Exit::Usage, "url_invalid"));
        }
    }

    #[test]
    fn reading_is_bounded() {
        assert_eq!(read_bounded(&b"1234"[..], 4).unwrap().unwrap(), b"1234");
        assert_eq!(read_bounded(&b"12345"[..], 4).unwrap(), None);
    }
}
