//! Wraps events as CloudEvents 1.0.2 over HTTP, in each of the three modes of the HTTP protocol binding.
//!
//! Attributes are templates ([`template`]) in the endpoint's settings, so that they can come from the event. Data that is
//! JSON keeps its exact text; in binary mode it doesn't even pass through the plugin.

mod attribute;

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hookmill_plugin::{Event, Failure, Object, Request, Result, Target, transform};
use serde::Deserialize;

use crate::attribute::{Attribute, attributes};

/// What an endpoint's owner may set. All of it is optional. All but `mode` and `data` are templates.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    mode: Mode,
    /// A pointer to the part of the body that is the data; all of it by default.
    data: String,
    id: String,
    source: String,
    #[serde(rename = "type")]
    event_type: String,
    time: String,
    subject: String,
    dataschema: String,
    /// Attributes of the receiver's own.
    extensions: BTreeMap<String, String>,
}

/// The three modes of the HTTP protocol binding (section 1.3).
#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    /// Attributes and data in one JSON document.
    #[default]
    Structured,
    /// Attributes as headers, data as the body.
    Binary,
    /// A list of structured events, which has one.
    Batch,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            mode: Mode::default(),
            data: String::new(),
            id: "{{id}}".to_owned(),
            source: "hookmill".to_owned(),
            event_type: "{{type}}".to_owned(),
            time: "{{accepted_at}}".to_owned(),
            subject: String::new(),
            dataschema: String::new(),
            extensions: BTreeMap::new(),
        }
    }
}

transform!(reshape, manifest = "../plugin.json");

/// Wraps the event.
///
/// # Errors
/// A permanent failure where an attribute that has to be there is empty or one is not as CloudEvents wants it, where the
/// event says that it is JSON and isn't, or has nothing where the data should be.
pub fn reshape(event: &Event, target: &Target) -> Result<Request> {
    let settings: Settings = target.settings()?;
    let attributes = attributes(&settings, event)?;
    match settings.mode {
        Mode::Binary => binary(&attributes, &settings.data, event),
        Mode::Structured => {
            let text = structured(&attributes, &settings.data, event)?;
            Ok(Request::new()
                .header("content-type", "application/cloudevents+json; charset=utf-8")
                .text(text))
        }
        Mode::Batch => {
            let text = format!("[{}]", structured(&attributes, &settings.data, event)?);
            Ok(Request::new()
                .header("content-type", "application/cloudevents-batch+json; charset=utf-8")
                .text(text))
        }
    }
}

/// Attributes as headers (HTTP protocol binding, 3.1).
fn binary(attributes: &[Attribute], data: &str, event: &Event) -> Result<Request> {
    let mut request = Request::new().header("ce-specversion", "1.0");
    for attribute in attributes {
        request = request.header(format!("ce-{}", attribute.name), attribute.header_value());
    }
    if data.is_empty() {
        return Ok(request);
    }
    Ok(request.header("content-type", "application/json").text(part(data, event)?))
}

/// One JSON document (JSON event format, 3).
fn structured(attributes: &[Attribute], data: &str, event: &Event) -> Result<String> {
    let mut document = Object::new();
    document.insert("specversion", "1.0")?;
    for attribute in attributes {
        document.insert(attribute.name.as_str(), &attribute.value)?;
    }
    let content_type = event.content_type();
    if is_json(&content_type) || !data.is_empty() {
        let content_type = if data.is_empty() { &content_type } else { "application/json" };
        document.insert("datacontenttype", content_type)?;
        return Ok(with_data(document.to_json()?, &part(data, event)?));
    }
    document.insert("datacontenttype", &content_type)?;
    match event.text() {
        Ok(text) => document.insert("data", text)?,
        Err(_) => document.insert("data_base64", &BASE64.encode(event.bytes()))?,
    }
    document.to_json()
}

/// The text of an object with one member more. The data may be large: it is copied, not read again.
fn with_data(mut object: String, data: &str) -> String {
    object.pop();
    object.reserve_exact(data.len() + 16);
    object.push_str(",\"data\":");
    object.push_str(data);
    object.push('}');
    object
}

fn part(pointer: &str, event: &Event) -> Result<String> {
    let found = event.raw(pointer)?;
    found.ok_or_else(|| {
        Failure::permanent(format!("{pointer}: missing from the event, it should be the data"))
    })
}

/// Whether a media type is JSON (JSON event format, 3.1): `application/json`, `text/json`, or anything with `+json`.
fn is_json(content_type: &str) -> bool {
    let media_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let subtype = media_type.split_once('/').map_or("", |(_, subtype)| subtype);
    subtype == "json" || subtype.ends_with("+json")
}
