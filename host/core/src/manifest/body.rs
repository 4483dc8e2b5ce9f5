//! Bodies in manifests: JSON as it is, text, or bytes in base64.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Map, Value};

use super::error::ManifestError;
use super::reader::{Node, Object};
use super::schema_cost::is_shallow;
use crate::json::Document;

/// The keys that hold a body.
pub(super) const BODY_KEYS: &[&str] = &[JSON, TEXT, BASE64];
pub(super) const JSON: &str = "body";
const TEXT: &str = "body_text";
const BASE64: &str = "body_base64";

/// Levels of a JSON body that is drafted as JSON: together with the manifest's own, a JSON reader takes it back.
const DRAFT_DEPTH_MAX: usize = 64;

/// The bytes of the body that has to be there.
pub(super) fn need(object: &Object<'_>) -> Result<Bytes, ManifestError> {
    let (key, node) = object.need_one_of(BODY_KEYS)?;
    bytes_of(key, &node)
}

/// The bytes of a body, empty where there is none.
pub(super) fn or_empty(object: &Object<'_>) -> Result<Bytes, ManifestError> {
    match object.one_of(BODY_KEYS)? {
        Some((key, node)) => bytes_of(key, &node),
        None => Ok(Bytes::new()),
    }
}

/// Renders a body under the key that says how: as `like` does if it can be, else as JSON, text or base64, the first
/// that fits.
pub(super) fn render(body: &[u8], like: Option<&Map<String, Value>>) -> (String, Value) {
    let wanted = like.and_then(|like| BODY_KEYS.iter().find(|key| like.contains_key(**key)));
    let value = wanted.and_then(|key| Some((*key, render_as(key, body)?)));
    let (key, value) = value.unwrap_or_else(|| {
        let json = render_as(JSON, body).filter(|value| is_shallow(value, DRAFT_DEPTH_MAX));
        let text = || render_as(TEXT, body).map(|value| (TEXT, value));
        let base64 = || (BASE64, Value::String(STANDARD.encode(body)));
        json.map(|value| (JSON, value)).or_else(text).unwrap_or_else(base64)
    });
    (key.to_owned(), value)
}

/// A body that is JSON, as it is written but for the blanks between values.
pub(super) fn as_written(body: &Bytes) -> Option<String> {
    Document::parse(body.clone()).ok().map(|document| document.root().compact())
}

fn render_as(key: &str, body: &[u8]) -> Option<Value> {
    match key {
        JSON => serde_json::from_slice(body).ok(),
        TEXT => String::from_utf8(body.to_vec()).ok().map(Value::String),
        _ => Some(Value::String(STANDARD.encode(body))),
    }
}

fn bytes_of(key: &str, node: &Node<'_>) -> Result<Bytes, ManifestError> {
    match key {
        JSON => Ok(node.json().into()),
        TEXT => Ok(Bytes::copy_from_slice(node.any_text()?.as_bytes())),
        _ => STANDARD.decode(node.any_text()?).map(Bytes::from).map_err(|error| node.broken(error)),
    }
}
