//! What a sample's author expects: one key that names the verdict, and as much of its content as matters.

use std::fmt::Display;
use std::str::FromStr;

use http::{HeaderName, HeaderValue, Method};
use serde_json::{Map, Value};

use super::body;
use super::error::ManifestError;
use super::outcome;
use super::reader::{Node, Object};
use crate::address::DeliveryUrl;
use crate::event::{ContentType, Name};
use crate::limits::{CUSTOM_HEADERS_MAX, EVENT_CHANNELS_MAX, SOURCE_EVENTS_MAX, TRANSFORM_REQUESTS_MAX};
use crate::plugin::World;

pub(super) const DELIVER: &str = "deliver";
pub(super) const DROP: &str = "drop";
pub(super) const RETRY: &str = "retry";
pub(super) const FAIL: &str = "fail";
pub(super) const ACCEPT: &str = "accept";
pub(super) const REPLY: &str = "reply";
pub(super) const REJECT: &str = "reject";
pub(super) const DELIVERED: &str = "delivered";
pub(super) const NO_OPINION: &str = "no_opinion";

/// Characters of a reason.
const REASON_CHARS_MAX: usize = 4096;

/// What a run must give, checked and written in one way: header names in lower case, URLs in their normal spelling.
/// What is left out does not matter.
#[derive(Debug, Clone, PartialEq)]
pub struct Expectation {
    value: Value,
    json: Box<str>,
}

impl Expectation {
    /// The expectation as it is written in a manifest.
    #[must_use]
    pub fn as_value(&self) -> &Value {
        &self.value
    }

    /// The same as text, with numbers as they are written in the manifest.
    pub(super) fn json(&self) -> &str {
        &self.json
    }

    pub(super) fn read(node: &Node<'_>, world: World) -> Result<Self, ManifestError> {
        let keys: &'static [&'static str] = match world {
            World::Transform => &[DELIVER, DROP, RETRY, FAIL],
            World::Source => &[ACCEPT, REPLY, REJECT],
            World::Classifier => &[DELIVERED, RETRY, FAIL, NO_OPINION],
        };
        let (verdict, content) = node.object(keys)?.need_one_of(keys)?;
        let written = |node: &Node<'_>| Some(node.child(body::JSON).json());
        let bodies: Vec<_> = match content.items(0..=usize::MAX) {
            Ok(items) => items.iter().map(written).collect(),
            Err(_) => vec![written(&content)],
        };
        let content = match verdict {
            DELIVER => read_list(&content, TRANSFORM_REQUESTS_MAX, read_request)?,
            ACCEPT => read_list(&content, SOURCE_EVENTS_MAX, read_event)?,
            REPLY => read_reply(&content)?,
            DELIVERED | NO_OPINION if content.value() == &Value::Bool(true) => Value::Bool(true),
            NO_OPINION => return Err(content.broken("must be true: the status decides, or a verdict does")),
            DELIVERED => {
                return Err(
                    content.broken("must be true: an answer that is no delivery is `retry` or `fail`")
                );
            }
            _ => content.text(0..=REASON_CHARS_MAX)?.into(),
        };
        let value = Value::Object(Map::from_iter([(verdict.to_owned(), content)]));
        let json = outcome::to_json(&value, &bodies).into();
        Ok(Self { value, json })
    }
}

/// Reads one item of a list.
type ReadItem = fn(&Node<'_>) -> Result<Value, ManifestError>;

fn read_list(node: &Node<'_>, count_max: usize, read: ReadItem) -> Result<Value, ManifestError> {
    node.items(0..=count_max)?.iter().map(read).collect()
}

fn read_request(node: &Node<'_>) -> Result<Value, ManifestError> {
    const KEYS: &[&str] = &["method", "url", "headers", "part_key", "body", "body_text", "body_base64"];
    let object = node.object(KEYS)?;
    let mut request = Map::new();
    copy_parsed::<Method>(&object, "method", &mut request)?;
    copy_parsed::<DeliveryUrl>(&object, "url", &mut request)?;
    copy_headers(&object, &mut request)?;
    copy_parsed::<Name>(&object, "part_key", &mut request)?;
    body::need(&object)?;
    copy_body(&object, &mut request)?;
    Ok(Value::Object(request))
}

fn read_event(node: &Node<'_>) -> Result<Value, ManifestError> {
    const KEYS: &[&str] = &["type", "uid", "channels", "content_type", "body", "body_text", "body_base64"];
    let object = node.object(KEYS)?;
    let mut event = Map::new();
    object.need("type")?;
    copy_parsed::<Name>(&object, "type", &mut event)?;
    copy_parsed::<Name>(&object, "uid", &mut event)?;
    if let Some(node) = object.get("channels") {
        for channel in node.items(0..=EVENT_CHANNELS_MAX)? {
            channel.parsed::<Name>()?;
        }
        event.insert("channels".to_owned(), node.value().clone());
    }
    if let Some(node) = object.get("content_type") {
        let content_type: ContentType = node.parsed()?;
        event.insert("content_type".to_owned(), content_type.as_str().into());
    }
    body::need(&object)?;
    copy_body(&object, &mut event)?;
    Ok(Value::Object(event))
}

fn read_reply(node: &Node<'_>) -> Result<Value, ManifestError> {
    let object = node.object(&["status", "headers", "body", "body_text", "body_base64"])?;
    let mut reply = Map::new();
    let status = object.need("status")?;
    let code = status.whole_number()?;
    if !(200..600).contains(&code) {
        return Err(status.broken("a reply's status is 200 to 599"));
    }
    reply.insert("status".to_owned(), code.into());
    copy_headers(&object, &mut reply)?;
    copy_body(&object, &mut reply)?;
    Ok(Value::Object(reply))
}

/// Copies the normal spelling of what stands at `key`, if anything does.
fn copy_parsed<T>(object: &Object<'_>, key: &str, into: &mut Map<String, Value>) -> Result<(), ManifestError>
where
    T: FromStr<Err: Display> + Display,
{
    if let Some(node) = object.get(key) {
        into.insert(key.to_owned(), node.parsed::<T>()?.to_string().into());
    }
    Ok(())
}

fn copy_headers(object: &Object<'_>, into: &mut Map<String, Value>) -> Result<(), ManifestError> {
    if let Some(node) = object.get("headers") {
        let headers = read_headers(&node)?;
        let entry = |(name, text): (HeaderName, &str)| (name.as_str().to_owned(), Value::from(text));
        into.insert("headers".to_owned(), Value::Object(headers.into_iter().map(entry).collect()));
    }
    Ok(())
}

fn copy_body(object: &Object<'_>, into: &mut Map<String, Value>) -> Result<(), ManifestError> {
    if let Some((key, node)) = object.one_of(body::BODY_KEYS)? {
        into.insert(key.to_owned(), node.value().clone());
    }
    Ok(())
}

/// Header names with their values, each name once whatever its case.
pub(super) fn read_headers<'a>(node: &Node<'a>) -> Result<Vec<(HeaderName, &'a str)>, ManifestError> {
    let entries = node.entries()?;
    if entries.len() > CUSTOM_HEADERS_MAX {
        return Err(node.broken(format!("{} headers; there may be {CUSTOM_HEADERS_MAX}", entries.len())));
    }
    let mut headers: Vec<(HeaderName, &str)> = Vec::with_capacity(entries.len());
    for key in entries.keys() {
        let entry = node.child(key);
        let name: HeaderName = key.parse().map_err(|_| node.broken("a key is no header name"))?;
        let text = entry.any_text()?;
        HeaderValue::from_bytes(text.as_bytes())
            .map_err(|_| entry.broken("a header's value has no control characters"))?;
        if headers.iter().any(|(known, _)| *known == name) {
            return Err(entry.broken("the same header twice, in another case"));
        }
        headers.push((name, text));
    }
    Ok(headers)
}
