//! What a run gave, in the shape of an expectation.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value, json};

use super::body;
use super::expectation::{ACCEPT, DELIVER, DELIVERED, DROP, FAIL, NO_OPINION, REJECT, REPLY, RETRY};
use super::sample::SampleReport;
use crate::delivery::TransformFailure;
use crate::plugin::{ClassifierVerdict, SourceEvent, SourceReply, SourceVerdict, TransformOutcome};
use crate::request::{PreparedRequest, RequestBody};

/// The verdict of a run that gave none. No expectation can have it.
pub(super) const FAULT: &str = "fault";

/// Renders a report: all of it, or as much as `like` (an expectation) names. `original` is the body that a transform
/// was given, `status` that of the answer that a classifier was.
pub(super) fn render(
    report: &SampleReport,
    original: &Bytes,
    status: Option<StatusCode>,
    like: Option<&Value>,
) -> Value {
    let (verdict, content) = match report {
        SampleReport::Transform(report) => match &report.result {
            Ok(TransformOutcome::Deliver(requests)) => (
                DELIVER,
                render_list(requests, list_in(like, DELIVER), |request, like| {
                    request_object(request, original, like)
                }),
            ),
            Ok(TransformOutcome::Drop(reason)) => (DROP, reason.as_str().into()),
            Err(TransformFailure::Retryable { message }) => (RETRY, message.as_str().into()),
            Err(TransformFailure::Permanent { message }) => (FAIL, message.as_str().into()),
            Err(failure @ (TransformFailure::Fault { .. } | TransformFailure::Unavailable { .. })) => {
                fault(failure)
            }
        },
        SampleReport::Source(report) => match &report.result {
            Ok(SourceVerdict::Accept(events)) => {
                (ACCEPT, render_list(events, list_in(like, ACCEPT), event_object))
            }
            Ok(SourceVerdict::Reply(reply)) => {
                let like = like.and_then(|like| like.get(REPLY)?.as_object());
                (REPLY, Value::Object(reply_object(reply, like)))
            }
            Ok(SourceVerdict::Reject(reason)) => (REJECT, reason.as_str().into()),
            Err(failure) => fault(failure),
        },
        SampleReport::Classifier(report) => match &report.result {
            Ok(ClassifierVerdict::Delivered) => (DELIVERED, true.into()),
            // A sample that says what a success comes to says it of a classifier, too, that leaves it to the status.
            Ok(ClassifierVerdict::NoOpinion) => match like.and_then(|like| like.get(DELIVERED)) {
                Some(_) if status.is_some_and(|status| status.is_success()) => (DELIVERED, true.into()),
                Some(_) | None => (NO_OPINION, true.into()),
            },
            Ok(ClassifierVerdict::Retry(reason)) => (RETRY, reason.as_str().into()),
            Ok(ClassifierVerdict::Fail(reason)) => (FAIL, reason.as_str().into()),
            Err(failure) => fault(failure),
        },
    };
    Value::Object(Map::from_iter([(verdict.to_owned(), content)]))
}

/// The bodies of what a report gave, in their order; `original` is that of the event.
pub(super) fn bodies<'a>(report: &'a SampleReport, original: &'a Bytes) -> Vec<&'a Bytes> {
    match report {
        SampleReport::Transform(report) => match &report.result {
            Ok(TransformOutcome::Deliver(requests)) => requests
                .iter()
                .map(|request| match &request.body {
                    RequestBody::Original => original,
                    RequestBody::Replaced(bytes) => bytes,
                })
                .collect(),
            Ok(TransformOutcome::Drop(_)) | Err(_) => Vec::new(),
        },
        SampleReport::Source(report) => match &report.result {
            Ok(SourceVerdict::Accept(events)) => events.iter().map(|event| &event.body).collect(),
            Ok(SourceVerdict::Reply(reply)) => vec![&reply.body],
            Ok(SourceVerdict::Reject(_)) | Err(_) => Vec::new(),
        },
        SampleReport::Classifier(_) => Vec::new(),
    }
}

/// An outcome as JSON text in which each body that is JSON is as it was written, by `bodies`: a `Value` does not keep all
/// digits of a number.
pub(super) fn to_json(outcome: &Value, bodies: &[Option<String>]) -> String {
    let item = |(index, item): (usize, &Value)| match item {
        Value::Object(members) => {
            let body = bodies.get(index).and_then(Option::as_deref);
            let member = |(key, value): (&String, &Value)| match body {
                Some(body) if key == body::JSON => member_text(key, body),
                Some(_) | None => member_text(key, &value.to_string()),
            };
            format!("{{{}}}", joined(members.iter().map(member)))
        }
        other => other.to_string(),
    };
    let content = |content: &Value| match content {
        Value::Array(items) => format!("[{}]", joined(items.iter().enumerate().map(item))),
        single => item((0, single)),
    };
    let verdicts = outcome.as_object().into_iter().flatten();
    format!("{{{}}}", joined(verdicts.map(|(verdict, value)| member_text(verdict, &content(value)))))
}

fn member_text(key: &str, json: &str) -> String {
    format!("{}:{json}", Value::from(key))
}

fn joined(texts: impl Iterator<Item = String>) -> String {
    texts.collect::<Vec<_>>().join(",")
}

fn fault(failure: &TransformFailure) -> (&'static str, Value) {
    (FAULT, json!({"code": failure.code(), "message": failure.detail()}))
}

fn list_in<'a>(like: Option<&'a Value>, verdict: &str) -> &'a [Value] {
    like.and_then(|like| like.get(verdict)?.as_array()).map_or(&[], Vec::as_slice)
}

/// Renders each item as far as the expected item at its place goes, and whole where none is expected.
fn render_list<T>(
    items: &[T],
    expected: &[Value],
    object_of: impl Fn(&T, Option<&Map<String, Value>>) -> Map<String, Value>,
) -> Value {
    let object = |(index, item)| {
        let like = expected.get(index).and_then(Value::as_object);
        Value::Object(object_of(item, like))
    };
    items.iter().enumerate().map(object).collect()
}

fn request_object(
    request: &PreparedRequest,
    original: &Bytes,
    like: Option<&Map<String, Value>>,
) -> Map<String, Value> {
    let mut object = Map::new();
    object.insert("method".to_owned(), request.method.as_str().into());
    object.insert("url".to_owned(), request.url.as_str().into());
    let mut headers = headers_object(&request.headers);
    for header in &request.secret_headers {
        let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let value = format!("{}{{secret:{}}}{}", text(&header.prefix), header.secret, text(&header.suffix));
        headers.insert(header.name.as_str().to_owned(), value.into());
    }
    insert_headers(&mut object, headers, like);
    if let Some(part) = &request.part {
        object.insert("part_key".to_owned(), part.as_str().into());
    }
    let bytes = match &request.body {
        RequestBody::Original => original,
        RequestBody::Replaced(bytes) => bytes,
    };
    finish(object, bytes, like)
}

fn event_object(event: &SourceEvent, like: Option<&Map<String, Value>>) -> Map<String, Value> {
    let mut object = Map::new();
    object.insert("type".to_owned(), event.event_type.as_str().into());
    if let Some(uid) = &event.uid {
        object.insert("uid".to_owned(), uid.as_str().into());
    }
    let channels: Vec<_> = event.channels.as_slice().iter().map(|channel| channel.as_str()).collect();
    if !channels.is_empty() || like.is_some() {
        object.insert("channels".to_owned(), channels.into());
    }
    object.insert("content_type".to_owned(), event.content_type.as_str().into());
    finish(object, &event.body, like)
}

fn reply_object(reply: &SourceReply, like: Option<&Map<String, Value>>) -> Map<String, Value> {
    let mut object = Map::new();
    object.insert("status".to_owned(), reply.status.as_u16().into());
    insert_headers(&mut object, headers_object(&reply.headers), like);
    finish(object, &reply.body, like)
}

/// Adds the body, and leaves out what `like` does not name.
fn finish(
    mut object: Map<String, Value>,
    bytes: &Bytes,
    like: Option<&Map<String, Value>>,
) -> Map<String, Value> {
    let (key, value) = body::render(bytes, like);
    object.insert(key, value);
    let Some(like) = like else { return object };
    let body_matters = body::BODY_KEYS.iter().any(|key| like.contains_key(*key));
    let is_body = |key: &str| body::BODY_KEYS.contains(&key);
    object.retain(|key, _| like.contains_key(key) || (body_matters && is_body(key)));
    if let (Some(Value::Object(headers)), Some(Value::Object(wanted))) =
        (object.get_mut("headers"), like.get("headers"))
    {
        headers.retain(|name, _| wanted.contains_key(name));
    }
    object
}

/// A snapshot says nothing of headers that are not there, but an expectation of one has to miss it by name.
fn insert_headers(
    object: &mut Map<String, Value>,
    headers: Map<String, Value>,
    like: Option<&Map<String, Value>>,
) {
    if !headers.is_empty() || like.is_some() {
        object.insert("headers".to_owned(), Value::Object(headers));
    }
}

/// Lowercase names with their values, several of one name joined with `, ` (RFC 9110, 5.3).
fn headers_object(headers: &HeaderMap) -> Map<String, Value> {
    let joined = |name: &http::HeaderName| {
        let values: Vec<_> =
            headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
        (name.as_str().to_owned(), values.join(", ").into())
    };
    headers.keys().map(joined).collect()
}
