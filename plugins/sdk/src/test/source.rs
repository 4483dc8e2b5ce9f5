//! Requests, sources and samples for plugins that are sources.

use std::collections::BTreeMap;
use std::fmt::{self, Display};

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::differences::{Differences, ExpectedBody};
use super::samples::check_each;
use super::{NOW_MS, begin};
use crate::host::source::{InboundHandle, OriginHandle};
use crate::{Content, Inbound, NewEvent, Origin, Reply, Result, Verdict};

/// Runs a source's function once. The log begins anew, and time stands at [`Inbound::received_at_ms`].
///
/// # Errors
/// What the function answers: the router rejects the request.
pub fn receive<R: Into<Verdict>>(
    receive: fn(&Inbound, &Origin) -> Result<R>,
    request: impl Into<Inbound>,
    origin: impl Into<Origin>,
) -> Result<Verdict> {
    let (request, origin) = (request.into(), origin.into());
    begin(request.received_at_ms());
    receive(&request, &origin).map(R::into)
}

/// Begins a request with this body: a `POST` of JSON that came in at [`NOW_MS`].
pub fn request(body: impl Into<Vec<u8>>) -> InboundBuilder {
    InboundBuilder(InboundHandle {
        method: "POST".to_owned(),
        path: String::new(),
        query: String::new(),
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        body: body.into(),
        received_at_ms: NOW_MS,
    })
}

/// Begins a source with these settings: JSON text, or what [`json!`](crate::json) makes.
pub fn origin(settings: impl Display) -> OriginBuilder {
    OriginBuilder(OriginHandle { name: "test".to_owned(), settings: settings.to_string() })
}

/// An [`Inbound`] under construction.
#[derive(Debug, Clone)]
#[must_use]
pub struct InboundBuilder(InboundHandle);

impl InboundBuilder {
    /// Sets the method.
    pub fn method(mut self, method: impl Into<String>) -> Self {
        self.0.method = method.into();
        self
    }

    /// Sets the path after the source's own.
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.0.path = path.into();
        self
    }

    /// Sets what follows the `?`.
    pub fn query(mut self, query: impl Into<String>) -> Self {
        self.0.query = query.into();
        self
    }

    /// Adds a header; `content-type` replaces the one that is there.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let name = name.into();
        if name.eq_ignore_ascii_case("content-type") {
            self.0.headers.retain(|(header, _)| !header.eq_ignore_ascii_case(&name));
        }
        self.0.headers.push((name, value.into()));
        self
    }

    /// Sets when the request came in, in milliseconds since 1970.
    pub fn received_at_ms(mut self, received_at_ms: u64) -> Self {
        self.0.received_at_ms = received_at_ms;
        self
    }

    /// The request.
    #[must_use]
    pub fn build(self) -> Inbound {
        Inbound::new(self.0)
    }
}

impl From<InboundBuilder> for Inbound {
    fn from(builder: InboundBuilder) -> Self {
        builder.build()
    }
}

/// An [`Origin`] under construction.
#[derive(Debug, Clone)]
#[must_use]
pub struct OriginBuilder(OriginHandle);

impl OriginBuilder {
    /// Sets the source's name.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.0.name = name.into();
        self
    }

    /// The source.
    #[must_use]
    pub fn build(self) -> Origin {
        Origin::new(self.0)
    }
}

impl From<OriginBuilder> for Origin {
    fn from(builder: OriginBuilder) -> Self {
        builder.build()
    }
}

/// Runs each sample of a source's manifest, as [`samples`](super::samples()) does for a transform.
///
/// # Panics
/// Where a sample gives something else than it expects, with all that differs; where the manifest is not one of a source,
/// or has no samples.
#[track_caller]
pub fn source_samples<R: Into<Verdict>>(receive: fn(&Inbound, &Origin) -> Result<R>, manifest: &str) {
    check_each(manifest, "source", |sample: Sample<'_>| sample.judge(receive));
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sample<'manifest> {
    #[serde(rename = "name")]
    _name: IgnoredAny,
    #[serde(borrow)]
    request: SampleRequest<'manifest>,
    #[serde(borrow)]
    settings: Option<&'manifest RawValue>,
    source: Option<String>,
    now_ms: Option<u64>,
    expect: Expected,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SampleRequest<'manifest> {
    method: Option<String>,
    #[serde(default)]
    path: String,
    #[serde(default)]
    query: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(borrow)]
    body: Option<&'manifest RawValue>,
    body_text: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Expected {
    Accept(Vec<ExpectedEvent>),
    Reply(ExpectedReply),
    Reject(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectedEvent {
    #[serde(rename = "type")]
    event_type: String,
    uid: Option<String>,
    channels: Option<Vec<String>>,
    content_type: Option<String>,
    #[serde(flatten)]
    body: ExpectedBody,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectedReply {
    status: u16,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(flatten)]
    body: Option<ExpectedBody>,
}

impl Sample<'_> {
    fn judge<R: Into<Verdict>>(&self, source: fn(&Inbound, &Origin) -> Result<R>) -> Result<(), String> {
        let request = self.request.builder().received_at_ms(self.now_ms.unwrap_or(NOW_MS));
        let origin = origin(self.settings.map_or("{}", RawValue::get));
        let origin = origin.name(self.source.as_deref().unwrap_or("sample"));
        let done = receive(source, request.clone(), origin);
        let mut differences = Differences::default();
        match (&self.expect, done) {
            (Expected::Accept(expected), Ok(Verdict::Accept(events))) => {
                let request = request.build();
                differences.text("events", &expected.len().to_string(), &events.len().to_string());
                for (index, (expected, event)) in expected.iter().zip(&events).enumerate() {
                    expected.compare(event, &request, &format!("event {}: ", index + 1), &mut differences);
                }
            }
            (Expected::Reply(expected), Ok(Verdict::Reply(reply))) => {
                expected.compare(&reply, &mut differences);
            }
            (expected, done) => differences.text("verdict", &expected.to_string(), &shown(&done)),
        }
        differences.into_result()
    }
}

impl SampleRequest<'_> {
    fn builder(&self) -> InboundBuilder {
        let body = self.body_text.as_deref().or(self.body.map(RawValue::get)).unwrap_or_default();
        let request = request(body)
            .method(self.method.as_deref().unwrap_or("POST"))
            .path(self.path.as_str())
            .query(self.query.as_str());
        self.headers.iter().fold(request, |request, (name, value)| request.header(name, value))
    }
}

impl ExpectedEvent {
    fn compare(&self, event: &NewEvent, request: &Inbound, prefix: &str, differences: &mut Differences) {
        differences.text(&format!("{prefix}type"), &self.event_type, &event.event_type);
        if let Some(expected) = &self.uid {
            differences.text(&format!("{prefix}uid"), expected, event.uid.as_deref().unwrap_or("none"));
        }
        if let Some(expected) = &self.channels {
            differences.text(&format!("{prefix}channels"), &expected.join(", "), &event.channels.join(", "));
        }
        if let Some(expected) = &self.content_type {
            let own = request.header("content-type").unwrap_or_default();
            let found = event.content_type.as_deref().unwrap_or(&own);
            differences.text(&format!("{prefix}content type"), expected, found);
        }
        let body = event.body.as_ref().map_or_else(|| request.bytes(), Content::as_bytes);
        differences.body(&format!("{prefix}body"), &self.body, body);
    }
}

impl ExpectedReply {
    fn compare(&self, reply: &Reply, differences: &mut Differences) {
        differences.text("status", &self.status.to_string(), &reply.status.to_string());
        for (name, expected) in &self.headers {
            let found = reply.headers.iter().rev().find(|(header, _)| header.eq_ignore_ascii_case(name));
            let found = found.map_or("none", |(_, value)| value.as_str());
            differences.text(&format!("header {name}"), expected, found);
        }
        if let Some(expected) = &self.body {
            differences.body("body", expected, reply.body.as_ref().map_or(&[], Content::as_bytes));
        }
    }
}

impl Display for Expected {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accept(events) => write!(formatter, "{} events", events.len()),
            Self::Reply(reply) => write!(formatter, "a reply with status {}", reply.status),
            Self::Reject(reason) => write!(formatter, "reject: {reason}"),
        }
    }
}

fn shown(done: &Result<Verdict>) -> String {
    match done {
        Ok(Verdict::Accept(events)) => format!("{} events", events.len()),
        Ok(Verdict::Reply(reply)) => format!("a reply with status {}", reply.status),
        Ok(Verdict::Reject(reason)) => format!("reject: {reason}"),
        Err(failure) => format!("reject: {failure}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Failure, json};

    fn act(request: &Inbound, origin: &Origin) -> Result<Verdict> {
        let event = NewEvent::new("a.b").uid(origin.name()).channel("c");
        Ok(match request.path().as_str() {
            "/reply" => Reply::new(202).header("X-One", request.query()).text("pong").into(),
            "/reject" => Verdict::reject("no"),
            "/fail" => return Err(Failure::permanent("broken")),
            "/two" => vec![event.clone().json(&json!({"at": crate::now_ms()}))?, event].into(),
            _ => event.into(),
        })
    }

    /// Why a sample with these fields fails; nothing where it doesn't.
    fn check(fields: &str, expect: Result<(), &str>) {
        let sample = format!(r#"{{"name": "one", {fields}}}"#);
        let sample: Sample<'_> = serde_json::from_str(&sample).expect("the sample is one");
        assert_eq!(sample.judge(act), expect.map_err(str::to_owned), "{fields}");
    }

    #[test]
    fn what_is_as_expected_passes() {
        check(
            r#""request": {"body": {"n": 1.0}}, "source": "acme", "expect": {"accept": [{"type": "a.b",
                "uid": "acme", "channels": ["c"], "content_type": "application/json", "body": {"n": 1}}]}"#,
            Ok(()),
        );
        check(
            r#""request": {"method": "GET", "path": "/two", "headers": {"Content-Type": "text/plain"},
                "body_text": "x"}, "now_ms": 5, "expect": {"accept": [{"type": "a.b", "body": {"at": 5}},
                {"type": "a.b", "content_type": "text/plain", "body_text": "x"}]}"#,
            Ok(()),
        );
        check(
            r#""request": {"path": "/reply", "query": "a=1"}, "expect": {"reply": {"status": 202,
                "headers": {"x-one": "a=1"}, "body_text": "pong"}}"#,
            Ok(()),
        );
        check(r#""request": {"path": "/reply"}, "expect": {"reply": {"status": 202}}"#, Ok(()));
        check(r#""request": {"path": "/reject"}, "expect": {"reject": "no"}"#, Ok(()));
        check(r#""request": {"path": "/fail"}, "expect": {"reject": "broken"}"#, Ok(()));
    }

    #[test]
    fn what_differs_is_shown() {
        check(
            r#""request": {"body": 1}, "expect": {"accept": [{"type": "a.c", "uid": "u", "channels": [],
                "content_type": "text/plain", "body": 2}, {"type": "a.b", "body": 1}]}"#,
            Err("  events\n    expected: 2\n    found:    1\n  \
                 event 1: type\n    expected: a.c\n    found:    a.b\n  \
                 event 1: uid\n    expected: u\n    found:    sample\n  \
                 event 1: channels\n    expected: \n    found:    c\n  \
                 event 1: content type\n    expected: text/plain\n    found:    application/json\n  \
                 event 1: body\n    expected: 2\n    found:    1\n"),
        );
        check(
            r#""request": {"path": "/reply"}, "expect": {"reply": {"status": 200, "headers": {"x-two": "1"},
                "body_text": "ping"}}"#,
            Err("  status\n    expected: 200\n    found:    202\n  \
                 header x-two\n    expected: 1\n    found:    none\n  \
                 body\n    expected: ping\n    found:    pong\n"),
        );
        check(
            r#""request": {"path": "/fail"}, "expect": {"accept": []}"#,
            Err("  verdict\n    expected: 0 events\n    found:    reject: broken\n"),
        );
    }
}
