//! The samples of a plugin's manifest, run in plain `cargo test`.
//!
//! [`samples`] reads them, runs the plugin's function over each and compares; the router does the same with the built plugin
//! when it is uploaded. What an expectation leaves out is not compared, except the body. Bodies are compared as JSON
//! values where the sample has them as JSON: the order of fields and the text of numbers may differ.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::differences::{Differences, ExpectedBody};
use super::{EventBuilder, NOW_MS, event, run_at, target};
use crate::{Body, Event, Failure, Header, Method, Outcome, Request, Result, Target};

/// Runs each sample of a transform's manifest.
///
/// ```
/// use hookmill_plugin::{Event, Request, Result, Target, test};
///
/// fn reshape(event: &Event, _target: &Target) -> Result<Request> {
///     let mut ticket = event.object()?;
///     ticket.rename("id", "reference");
///     Request::new().json(&ticket)
/// }
///
/// test::samples(reshape, r#"{"world": "transform", "samples": [{
///     "name": "a ticket",
///     "event": {"type": "ticket.created", "body": {"id": 7}},
///     "expect": {"deliver": [{"body": {"reference": 7}}]}
/// }]}"#);
/// ```
///
/// # Panics
/// Where a sample gives something else than it expects, with all that differs; where the manifest is not one of a
/// transform, or has no samples.
#[track_caller]
pub fn samples<R: Into<Outcome>>(transform: fn(&Event, &Target) -> Result<R>, manifest: &str) {
    check_each(manifest, "transform", |sample: Sample<'_>| sample.judge(transform));
}

/// Reads each sample of a manifest as an `S` and judges it: the frame of all worlds' samples.
#[track_caller]
pub(crate) fn check_each<'manifest, S: Deserialize<'manifest>>(
    manifest: &'manifest str,
    world: &str,
    mut judge: impl FnMut(S) -> Result<(), String>,
) {
    let manifest: Manifest<'_> = serde_json::from_str(manifest).expect("the manifest is JSON with samples");
    assert_eq!(manifest.world, world, "the manifest's world");
    assert!(!manifest.samples.is_empty(), "the manifest has no samples");
    let mut failures = String::new();
    for (index, text) in manifest.samples.iter().enumerate() {
        let name = serde_json::from_str::<Named>(text.get()).map(|sample| sample.name);
        let name = name.unwrap_or_else(|_| format!("number {}", index + 1));
        let judged = match serde_json::from_str::<S>(text.get()) {
            Ok(sample) => judge(sample),
            Err(error) => Err(format!("  is no sample of a {world}: {error}\n")),
        };
        if let Err(reason) = judged {
            let _ = write!(failures, "\nsample `{name}`:\n{reason}");
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

/// The part of a manifest that is of interest here; the router checks the rest.
#[derive(Deserialize)]
struct Manifest<'manifest> {
    world: String,
    #[serde(borrow)]
    samples: Vec<&'manifest RawValue>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sample<'manifest> {
    #[serde(rename = "name")]
    _name: IgnoredAny,
    #[serde(borrow)]
    event: SampleEvent<'manifest>,
    #[serde(borrow)]
    settings: Option<&'manifest RawValue>,
    url: Option<String>,
    attempt: Option<u32>,
    now_ms: Option<u64>,
    expect: Expected,
}

/// An event in a sample.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SampleEvent<'manifest> {
    #[serde(rename = "type")]
    event_type: String,
    id: Option<String>,
    uid: Option<String>,
    #[serde(default)]
    channels: Vec<String>,
    content_type: Option<String>,
    /// The text as it stands in the manifest.
    #[serde(borrow, default = "null")]
    body: &'manifest RawValue,
    body_text: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Expected {
    Deliver(Vec<ExpectedRequest>),
    Drop(String),
    Retry(String),
    Fail(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectedRequest {
    method: Option<String>,
    url: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(flatten)]
    body: ExpectedBody,
    part_key: Option<String>,
}

fn null() -> &'static RawValue {
    RawValue::NULL
}

/// A request as the router would build it.
struct Sent {
    method: &'static str,
    url: String,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
    part_key: String,
}

impl Sample<'_> {
    fn judge<R: Into<Outcome>>(&self, transform: fn(&Event, &Target) -> Result<R>) -> Result<(), String> {
        let event = self.event.builder();
        let mut target = target(self.settings.map_or("{}", RawValue::get)).attempt(self.attempt.unwrap_or(1));
        if let Some(url) = &self.url {
            target = target.url(url);
        }
        let now_ms = self.now_ms.unwrap_or(NOW_MS);
        let done = run_at(now_ms, transform, event.clone(), target.clone());
        let mut differences = Differences::default();
        match (&self.expect, done) {
            (Expected::Deliver(expected), Ok(Outcome::Deliver(requests))) => {
                let (event, target) = (event.build(), target.build());
                let sent: Vec<Sent> =
                    requests.into_iter().map(|request| Sent::new(request, &event, &target)).collect();
                differences.text("requests", &expected.len().to_string(), &sent.len().to_string());
                for (index, (expected, sent)) in expected.iter().zip(&sent).enumerate() {
                    sent.compare(expected, &format!("request {}: ", index + 1), &mut differences);
                }
            }
            (expected, done) => differences.text("outcome", &expected.to_string(), &shown(&done)),
        }
        differences.into_result()
    }
}

impl SampleEvent<'_> {
    pub(crate) fn builder(&self) -> EventBuilder {
        let body = self.body_text.as_deref().unwrap_or_else(|| self.body.get());
        let mut event = event(body).event_type(&self.event_type);
        if let Some(id) = &self.id {
            event = event.id(id);
        }
        if let Some(uid) = &self.uid {
            event = event.uid(uid);
        }
        if let Some(content_type) = &self.content_type {
            event = event.content_type(content_type);
        }
        self.channels.iter().fold(event, |event, channel| event.channel(channel))
    }
}

impl Sent {
    fn new(request: Request, event: &Event, target: &Target) -> Self {
        let method = match request.method {
            Some(Method::Get) => "GET",
            Some(Method::Post) | None => "POST",
            Some(Method::Put) => "PUT",
            Some(Method::Patch) => "PATCH",
            Some(Method::Delete) => "DELETE",
        };
        let mut headers = BTreeMap::from([("content-type".to_owned(), event.content_type())]);
        for header in request.headers {
            match header {
                Header::Set { name, value } => {
                    headers.insert(name.to_ascii_lowercase(), value);
                }
                Header::Append { name, value } => {
                    let values = headers.entry(name.to_ascii_lowercase()).or_default();
                    *values = if values.is_empty() { value } else { format!("{values}, {value}") };
                }
                Header::Secret { name, prefix, secret, suffix } => {
                    headers.insert(name.to_ascii_lowercase(), format!("{prefix}{{secret:{secret}}}{suffix}"));
                }
                Header::Remove { name } => {
                    headers.remove(&name.to_ascii_lowercase());
                }
            }
        }
        let body = match request.body {
            Body::Original => event.bytes().to_vec(),
            Body::Patch(patch) => patched(event.bytes(), &patch),
            Body::Text(text) => text.into_bytes(),
            Body::Bytes(bytes) => bytes,
        };
        let url = request.url.unwrap_or_else(|| target.url());
        Self { method, url, headers, body, part_key: request.part_key.unwrap_or_default() }
    }

    fn compare(&self, expected: &ExpectedRequest, prefix: &str, differences: &mut Differences) {
        let texts = [
            ("method", &expected.method, self.method),
            ("url", &expected.url, self.url.as_str()),
            ("part_key", &expected.part_key, self.part_key.as_str()),
        ];
        for (name, expected, sent) in texts {
            if let Some(expected) = expected {
                differences.text(&format!("{prefix}{name}"), expected, sent);
            }
        }
        for (name, expected) in &expected.headers {
            let sent = self.headers.get(&name.to_ascii_lowercase());
            differences.text(
                &format!("{prefix}header {name}"),
                expected,
                sent.map_or("none", String::as_str),
            );
        }
        differences.body(&format!("{prefix}body"), &expected.body, &self.body);
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deliver(requests) => write!(formatter, "{} requests", requests.len()),
            Self::Drop(reason) => write!(formatter, "drop: {reason}"),
            Self::Retry(reason) => write!(formatter, "retry: {reason}"),
            Self::Fail(reason) => write!(formatter, "fail: {reason}"),
        }
    }
}

fn shown(done: &Result<Outcome>) -> String {
    match done {
        Ok(Outcome::Deliver(requests)) => format!("{} requests", requests.len()),
        Ok(Outcome::Drop(reason)) => format!("drop: {reason}"),
        Err(Failure::Retryable(reason)) => format!("retry: {reason}"),
        Err(Failure::Permanent(reason)) => format!("fail: {reason}"),
    }
}

/// The event's body after a merge patch (RFC 7396), as the router makes it.
fn patched(body: &[u8], patch: &str) -> Vec<u8> {
    let mut body: Value = serde_json::from_slice(body).unwrap_or_default();
    merge(&mut body, serde_json::from_str(patch).unwrap_or_default());
    body.to_string().into_bytes()
}

fn merge(target: &mut Value, patch: Value) {
    let Value::Object(changes) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Some(fields) = target.as_object_mut() else { return };
    for (name, change) in changes {
        match change {
            Value::Null => drop(fields.remove(&name)),
            change => merge(fields.entry(name).or_insert(Value::Null), change),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    fn echo(event: &Event, target: &Target) -> Result<Outcome> {
        let how: String = target.setting("/how")?.unwrap_or_default();
        Ok(match how.as_str() {
            "drop" => Outcome::drop("not wanted"),
            "fail" => return Err(Failure::permanent("no")),
            "retry" => return Err(Failure::retryable("later")),
            "patch" => Request::new().merge_patch(&json!({"a": {"b": null}, "c": [1]}))?.into(),
            "two" => vec![Request::new().part_key("1"), Request::new().part_key("2")].into(),
            _ => Request::new()
                .header("X-Type", event.event_type())
                .append_header("x-type", crate::now_ms().to_string())
                .secret_header("authorization", "Bearer ", "token")
                .url(format!("{}/{}", target.url(), target.attempt()))
                .into(),
        })
    }

    /// Why a sample with these fields fails; nothing where it doesn't.
    fn check(fields: &str, expect: Result<(), &str>) {
        let sample = format!(
            r#"{{"name": "one", "event": {{"type": "a.b", "body": {{"a": {{"b": 1.0}}}}}}, {fields}}}"#
        );
        let sample: Sample<'_> = serde_json::from_str(&sample).expect("the sample is one");
        assert_eq!(sample.judge(echo), expect.map_err(str::to_owned), "{fields}");
    }

    #[test]
    fn what_is_as_expected_passes() {
        check(r#""expect": {"deliver": [{"body": {"a": {"b": 1}}}]}"#, Ok(()));
        check(
            r#""url": "https://x.example", "attempt": 2, "now_ms": 5, "expect": {"deliver": [{
                "method": "POST", "url": "https://x.example/2", "body_text": "{\"a\": {\"b\": 1.0}}",
                "headers": {"x-type": "a.b, 5", "Content-Type": "application/json",
                            "authorization": "Bearer {secret:token}"}
            }]}"#,
            Ok(()),
        );
        check(r#""settings": {"how": "drop"}, "expect": {"drop": "not wanted"}"#, Ok(()));
        check(r#""settings": {"how": "fail"}, "expect": {"fail": "no"}"#, Ok(()));
        check(r#""settings": {"how": "retry"}, "expect": {"retry": "later"}"#, Ok(()));
        check(
            r#""settings": {"how": "patch"}, "expect": {"deliver": [{"body": {"a": {}, "c": [1]}}]}"#,
            Ok(()),
        );
    }

    #[test]
    fn what_differs_is_shown() {
        check(
            r#""expect": {"deliver": [{"method": "PUT", "headers": {"x-no": "1"}, "body": {"a": {"b": "1"}}}]}"#,
            Err("  request 1: method\n    expected: PUT\n    found:    POST\n  \
                 request 1: header x-no\n    expected: 1\n    found:    none\n  \
                 request 1: body/a/b\n    expected: \"1\"\n    found:    1.0\n"),
        );
        check(
            r#""settings": {"how": "fail"}, "expect": {"deliver": []}"#,
            Err("  outcome\n    expected: 0 requests\n    found:    fail: no\n"),
        );
        check(
            r#""settings": {"how": "two"}, "expect": {"deliver": [{"part_key": "2", "body_text": ""}]}"#,
            Err("  requests\n    expected: 1\n    found:    2\n  \
                 request 1: part_key\n    expected: 2\n    found:    1\n  \
                 request 1: body\n    expected: \n    found:    {\"a\": {\"b\": 1.0}}\n"),
        );
    }

    #[test]
    fn all_samples_that_fail_are_named() {
        let manifest = r#"{"world": "transform", "samples": [
            {"name": "good", "event": {"type": "a", "body": 1}, "expect": {"deliver": [{"body": 1}]}},
            {"name": "bad", "event": {"type": "a", "body": 1}, "expect": {"drop": "x"}},
            {"name": "worse", "event": {"type": "a", "body": 1}, "expect": {"deliver": [{"method": "POST"}]}},
            {"event": {"type": "a"}, "expect": {"explode": ""}}
        ]}"#;
        let failed = std::panic::catch_unwind(|| samples(echo, manifest)).expect_err("three samples fail");
        let message = failed.downcast_ref::<String>().expect("a message");
        assert!(!message.contains("`good`"), "{message}");
        for part in [
            "sample `bad`:\n  outcome\n    expected: drop: x\n    found:    1 requests",
            "sample `worse`:\n  is no sample of a transform: ",
            "sample `number 4`:\n  is no sample of a transform: ",
        ] {
            assert!(message.contains(part), "{message}");
        }
    }
}
