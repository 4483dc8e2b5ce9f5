//! Errors as the Svix API shows them: `{"code", "detail"}`, and for input that is refused a list of places; and as
//! problems of RFC 9457.

use std::borrow::Cow;
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use hookmill_app::{AppError, ErrorKind};
use hookmill_core::manifest::SettingsFailure;
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde::Serialize;

use crate::answer;

/// The result of a handler.
pub(crate) type Handled = Result<Response, ApiError>;

/// An answer that is not what the caller hoped for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    /// Stable, for programs.
    pub(crate) code: &'static str,
    /// What is wrong, the limit it broke, and what to do; for people.
    pub(crate) detail: Cow<'static, str>,
    /// Where the input is wrong: `body`, then the path to the field. Only with 422.
    place: Vec<String>,
    /// Where in that field's text, in bytes from 0, if at one place.
    offset: Option<usize>,
    /// Further places, and what is wrong there.
    further: Box<[(Vec<String>, String)]>,
    retry_after: Option<Duration>,
}

/// `HttpErrorOut` of the Svix API.
#[derive(Serialize)]
struct ErrorOut<'a> {
    code: &'a str,
    detail: &'a str,
}

/// `HTTPValidationError` of the Svix API, with the code of its items.
#[derive(Serialize)]
struct ValidationOut<'a> {
    code: &'a str,
    detail: Vec<ItemOut<'a>>,
}

/// A problem of RFC 9457, whose type is `about:blank`; the code tells more.
#[derive(Serialize)]
struct ProblemOut<'a> {
    title: &'a str,
    status: u16,
    code: &'a str,
    detail: &'a str,
}

/// The errors of a GraphQL answer without data.
#[derive(Serialize)]
struct GraphqlOut<'a> {
    errors: [GraphqlItemOut<'a>; 1],
}

#[derive(Serialize)]
struct GraphqlItemOut<'a> {
    message: &'a str,
    extensions: GraphqlExtensionsOut<'a>,
}

#[derive(Serialize)]
struct GraphqlExtensionsOut<'a> {
    code: &'a str,
}

#[derive(Serialize)]
struct ItemOut<'a> {
    loc: &'a [String],
    msg: &'a str,
    r#type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<usize>,
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            code,
            detail: detail.into(),
            place: Vec::new(),
            offset: None,
            further: Box::default(),
            retry_after: None,
        }
    }

    /// A field of the body that is refused; `path` may name nested fields with full stops.
    pub(crate) fn field(path: &str, code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::placed("body", path, code, detail)
    }

    /// A place in the body that is refused, whose names may hold full stops.
    pub(crate) fn place(
        path: impl IntoIterator<Item = String>,
        offset: Option<usize>,
        code: &'static str,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        let mut error = Self::field("", code, detail);
        error.place.extend(path);
        Self { offset, ..error }
    }

    /// A payload that fails its schema at these JSON pointers (RFC 6901), at least one.
    pub(crate) fn payload(failures: Vec<SettingsFailure>) -> Self {
        let mut placed = failures.into_iter().map(|failure| {
            let fields =
                failure.pointer.split('/').skip(1).map(|field| field.replace("~1", "/").replace("~0", "~"));
            (["body", "payload"].map(str::to_owned).into_iter().chain(fields).collect(), failure.message)
        });
        let (place, detail) = placed.next().unwrap_or_default();
        let error = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "payload_invalid", detail);
        Self { place, further: placed.collect(), ..error }
    }

    /// A parameter of the query that is refused.
    pub(crate) fn query(name: &str, code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::placed("query", name, code, detail)
    }

    /// Nothing is there.
    pub(crate) fn not_found(what: &str) -> Self {
        Self::from(AppError::not_found(what))
    }

    /// The key does not open this.
    pub(crate) fn forbidden(detail: &'static str) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", detail)
    }

    /// The operation of the Svix API that this router does not have.
    pub(crate) fn not_implemented(detail: &'static str) -> Self {
        Self::new(StatusCode::NOT_IMPLEMENTED, "not_implemented", detail)
    }

    /// The same of a field within this one.
    pub(crate) fn within(mut self, field: &str) -> Self {
        let origin = usize::from(!self.place.is_empty());
        self.place.insert(origin, field.to_owned());
        self
    }

    /// Whether it names nothing but the body as a whole.
    pub(crate) fn is_unplaced(&self) -> bool {
        self.place.len() <= 1
    }

    /// Asks the caller to come back.
    pub(crate) fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    fn placed(origin: &str, path: &str, code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        let mut error = Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail);
        error.place.push(origin.to_owned());
        error.place.extend(path.split('.').filter(|field| !field.is_empty()).map(str::to_owned));
        error
    }
}

impl From<AppError> for ApiError {
    fn from(error: AppError) -> Self {
        let AppError { kind, code, message } = error;
        let with = |status| Self::new(status, code, message.clone());
        match kind {
            ErrorKind::Invalid => Self::field("", code, message),
            ErrorKind::Unauthenticated => with(StatusCode::UNAUTHORIZED),
            ErrorKind::Forbidden => with(StatusCode::FORBIDDEN),
            ErrorKind::NotFound => with(StatusCode::NOT_FOUND),
            ErrorKind::Conflict => with(StatusCode::CONFLICT),
            ErrorKind::TooLarge => with(StatusCode::PAYLOAD_TOO_LARGE),
            ErrorKind::Busy(wait) => with(StatusCode::SERVICE_UNAVAILABLE).retry_after(wait),
            ErrorKind::Full(wait) => with(StatusCode::INSUFFICIENT_STORAGE).retry_after(wait),
            ErrorKind::Failed => with(StatusCode::INTERNAL_SERVER_ERROR),
        }
    }
}

/// The code of a failed answer, for the log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LoggedCode(pub(crate) &'static str);

impl ApiError {
    /// This error as a problem, for callers that are no clients of the Svix API.
    pub(crate) fn into_problem(self) -> Response {
        let title = self.status.canonical_reason().unwrap_or_default();
        let (status, code, detail) = (self.status.as_u16(), self.code, &*self.detail);
        let mut response = answer::json(self.status, &ProblemOut { title, status, code, detail });
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        self.with_headers(response, "Signature")
    }

    /// This error as clients of GraphQL read it, with its own status: the request was not looked at.
    pub(crate) fn into_graphql(self) -> Response {
        let extensions = GraphqlExtensionsOut { code: self.code };
        let errors = [GraphqlItemOut { message: &self.detail, extensions }];
        self.with_headers(answer::json(self.status, &GraphqlOut { errors }), "Bearer")
    }

    fn with_headers(&self, mut response: Response, challenge: &'static str) -> Response {
        if let Some(wait) = self.retry_after {
            let seconds = wait.as_secs().max(1);
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        response.extensions_mut().insert(LoggedCode(self.code));
        response
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let response = if self.place.is_empty() {
            answer::json(self.status, &ErrorOut { code: self.code, detail: &self.detail })
        } else {
            let first = (&self.place[..], &*self.detail, self.offset);
            let further = self.further.iter().map(|(place, detail)| (&place[..], detail.as_str(), None));
            let items = std::iter::once(first).chain(further);
            let item = |(loc, msg, offset)| ItemOut { loc, msg, r#type: self.code, offset };
            answer::json(self.status, &ValidationOut { code: self.code, detail: items.map(item).collect() })
        };
        self.with_headers(response, "Bearer")
    }
}
