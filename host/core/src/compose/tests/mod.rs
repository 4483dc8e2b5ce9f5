//! What a composition must do, and what it must not.

mod document;
mod hostile;
mod properties;
mod rules;

use bytes::Bytes;
use http::Method;
use serde_json::Value;

use super::{
    Composition, CompositionError, FormEncoding, InvalidComposition, JsonBody, MissingRule, RawBody,
    RawComposition,
};
use crate::json::Document;
use crate::request::{PreparedRequest, RequestBody};

fn raw(url: &str) -> RawComposition {
    RawComposition {
        name: "test".to_owned(),
        method: Method::POST,
        url: url.to_owned(),
        headers: Vec::new(),
        body: RawBody::None,
        missing: MissingRule::default(),
        allowed_origins: Vec::new(),
    }
}

/// A composition whose URL is in nobody's way.
fn raw_body(body: RawBody) -> RawComposition {
    RawComposition { body, ..raw("https://receiver.example/") }
}

fn json_body(json: &str) -> RawComposition {
    raw_body(RawBody::Json(JsonBody::parse(json).unwrap()))
}

fn form_body(fields: &[(&str, &str)], encoding: FormEncoding) -> RawComposition {
    raw_body(RawBody::Form { fields: pairs(fields), encoding })
}

fn with_headers(headers: &[(&str, &str)]) -> RawComposition {
    RawComposition { headers: pairs(headers), ..raw("https://receiver.example/") }
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn json_value(json: &str) -> Value {
    serde_json::from_str(json).unwrap()
}

fn document(value: &Value) -> Document {
    Document::parse(value.to_string()).unwrap()
}

/// Renders what was restored, since most tests are not about which variables are known.
fn render(raw: RawComposition, event: &Value) -> Result<PreparedRequest, CompositionError> {
    Composition::restore(raw).unwrap().render(document(event).root())
}

fn body_of(request: &PreparedRequest) -> Bytes {
    match &request.body {
        RequestBody::Replaced(bytes) => bytes.clone(),
        RequestBody::Original => panic!("a composed request never sends the event's own bytes"),
    }
}

fn text_of(request: &PreparedRequest) -> String {
    String::from_utf8(body_of(request).to_vec()).unwrap()
}

fn header_of<'r>(request: &'r PreparedRequest, name: &str) -> Vec<&'r [u8]> {
    request.headers.get_all(name).iter().map(http::HeaderValue::as_bytes).collect()
}

fn refusal(raw: RawComposition, sample: Option<&Value>) -> InvalidComposition {
    Composition::parse(raw, sample.map(document).as_ref()).unwrap_err()
}
