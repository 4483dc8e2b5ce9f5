//! What a single attempt says of itself beside its result: what its plugins wrote, and what was sent. Ours.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hookmill_core::trace::{AttemptTrace, SentRequest, SentTo, SentValue, TraceLine};
use serde::Serialize;

/// What stands in the place of a value that was not kept.
const WITHHELD: &str = "(withheld)";

#[derive(Serialize)]
pub(crate) struct TraceOut {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    logs: Vec<LogOut>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<RequestOut>,
}

#[derive(Serialize)]
struct LogOut {
    /// `transform` or `classifier`.
    world: &'static str,
    level: &'static str,
    message: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RequestOut {
    method: String,
    url: String,
    /// Several values of one name are joined by commas.
    headers: BTreeMap<String, String>,
    /// The headers whose values are not what was sent: they name a secret, or are withheld.
    secret_headers: Vec<String>,
    body_bytes: usize,
    /// The beginning of a body that was kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    /// The same, of one that is no text.
    #[serde(skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
}

impl TraceOut {
    pub(crate) fn of(trace: AttemptTrace, sent_to: &SentTo) -> Self {
        let log = |TraceLine { world, line }: TraceLine| LogOut {
            world: world.as_str(),
            level: line.level.as_str(),
            message: line.message,
        };
        let url = sent_to.url().unwrap_or_default();
        Self {
            logs: trace.logs.into_iter().map(log).collect(),
            request: trace.request.map(|request| RequestOut::of(&request, url)),
        }
    }
}

impl RequestOut {
    fn of(request: &SentRequest, url: &str) -> Self {
        let mut headers: BTreeMap<String, String> = BTreeMap::new();
        let mut secret_headers = Vec::new();
        for header in &request.headers {
            let (value, is_secret) = match &header.value {
                SentValue::Plain(text) => (&**text, false),
                SentValue::Secret(text) => (&**text, true),
                SentValue::Withheld => (WITHHELD, true),
            };
            let name = header.name.as_str();
            if is_secret && !secret_headers.iter().any(|secret| secret == name) {
                secret_headers.push(name.to_owned());
            }
            headers
                .entry(name.to_owned())
                .and_modify(|values| *values = format!("{values}, {value}"))
                .or_insert_with(|| value.to_owned());
        }
        // What was cut may end within a character.
        let text = request.body.as_ref().map(|body| match std::str::from_utf8(body) {
            Ok(text) => Ok(text.to_owned()),
            Err(error) if error.error_len().is_none() && request.body_bytes > body.len() => {
                Ok(String::from_utf8_lossy(&body[..error.valid_up_to()]).into_owned())
            }
            Err(_) => Err(STANDARD.encode(body)),
        });
        let (body, body_base64) = match text {
            None => (None, None),
            Some(Ok(text)) => (Some(text), None),
            Some(Err(encoded)) => (None, Some(encoded)),
        };
        Self {
            method: request.method.to_string(),
            url: url.to_owned(),
            headers,
            secret_headers,
            body_bytes: request.body_bytes,
            body,
            body_base64,
        }
    }
}
