//! Answers: bytes of JSON with a status.

use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use hookmill_app::history::ReadingMemory;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use serde::Serialize;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Answers this value.
pub(crate) fn json<T: Serialize>(status: StatusCode, value: &T) -> Response {
    bytes(status, to_bytes(value))
}

/// Answers these bytes of JSON; none, if there are none.
pub(crate) fn bytes(status: StatusCode, body: Bytes) -> Response {
    let empty = body.is_empty();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    if !empty {
        response.headers_mut().insert(CONTENT_TYPE, JSON);
    }
    response
}

/// An answer with the memory that it was made in, which it holds until there is room for it among those that wait to be read.
pub(crate) fn in_memory(mut answer: Response, memory: ReadingMemory) -> Response {
    answer.extensions_mut().insert(Arc::new(memory));
    answer
}

/// Answers 204.
pub(crate) fn no_content() -> Response {
    bytes(StatusCode::NO_CONTENT, Bytes::new())
}

/// A value as JSON.
pub(crate) fn to_bytes<T: Serialize>(value: &T) -> Bytes {
    serde_json::to_vec(value).expect("answers have string keys and finite numbers").into()
}
