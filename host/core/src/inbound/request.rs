//! A request as far as signatures cover it.

use std::cell::OnceCell;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, Method};
use serde_json::Value;

/// What came in. A body of JSON is read at most once, and only if somebody asks for a part of it.
#[derive(Debug)]
pub struct SignedRequest<'a> {
    /// The method.
    pub method: &'a Method,
    /// The whole address as the provider called it, with its query; empty where the source does not know.
    pub url: &'a str,
    /// All headers.
    pub headers: &'a HeaderMap,
    /// The body, byte for byte.
    pub body: &'a [u8],
    json: OnceCell<Option<Value>>,
}

impl<'a> SignedRequest<'a> {
    /// A request of these parts.
    #[must_use]
    pub fn new(method: &'a Method, url: &'a str, headers: &'a HeaderMap, body: &'a [u8]) -> Self {
        Self { method, url, headers, body, json: OnceCell::new() }
    }

    /// A header that is text; the first, where there are several.
    #[must_use]
    pub fn header(&self, name: &HeaderName) -> Option<&'a str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// One node of a body that is JSON.
    #[must_use]
    pub fn json(&self, pointer: &str) -> Option<&Value> {
        self.json.get_or_init(|| serde_json::from_slice(self.body).ok()).as_ref()?.pointer(pointer)
    }

    /// A node of a body that is JSON, where it is text or a number.
    pub(crate) fn json_text(&self, pointer: &str) -> Option<String> {
        match self.json(pointer)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// Whether the body says that it is a form.
    pub(super) fn is_form(&self) -> bool {
        let content_type = self.header(&CONTENT_TYPE).unwrap_or_default();
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded")
    }
}
