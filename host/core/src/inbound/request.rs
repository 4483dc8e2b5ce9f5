//! A request as far as signatures cover it.

use std::borrow::Cow;
use std::cell::OnceCell;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, Method};

use crate::json::{Document, Kind, Node};

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
    json: OnceCell<Option<Document>>,
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
    pub fn json(&self, pointer: &str) -> Option<Node<'_>> {
        let read = || Document::parse(Bytes::copy_from_slice(self.body)).ok();
        self.json.get_or_init(read).as_ref()?.root().pointer(pointer)
    }

    /// A node of a body that is JSON, where it is text or a number.
    pub(crate) fn json_text(&self, pointer: &str) -> Option<String> {
        let node = self.json(pointer)?;
        match node.kind() {
            Kind::PlainString | Kind::EscapedString => node.text().map(Cow::into_owned),
            Kind::Number => Some(node.json().to_owned()),
            Kind::Null | Kind::False | Kind::True | Kind::Array | Kind::Object => None,
        }
    }

    /// Whether the body says that it is a form.
    pub(super) fn is_form(&self) -> bool {
        let content_type = self.header(&CONTENT_TYPE).unwrap_or_default();
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded")
    }
}
