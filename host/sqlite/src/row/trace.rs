//! What is kept of an attempt beside its result: where it went and what was sent, sealed.

use std::borrow::Cow;

use bytes::Bytes;
use hookmill_core::id::{AttemptId, EndpointId};
use hookmill_core::plugin::{LogLevel, LogLine, PluginDigest};
use hookmill_core::trace::{AttemptTrace, SentHeader, SentRequest, SentValue, TraceLine};
use serde::{Deserialize, Serialize};

use super::column::{parsed, to_json};
use super::endpoint::Sealer;
use crate::error::DbError;

const TABLE: &str = "attempt";
/// Between the JSON, which has no line break, and the body.
const BODY_FOLLOWS: u8 = b'\n';

/// What the sealed column holds, with a kept body behind it.
#[derive(Serialize, Deserialize)]
#[serde(tag = "version")]
enum StoredTrace<'trace> {
    #[serde(rename = "1")]
    V1 {
        /// World, level, text.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        logs: Vec<(Cow<'trace, str>, StoredLevel, Cow<'trace, str>)>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        request: Option<StoredSent<'trace>>,
    },
}

#[derive(Serialize, Deserialize)]
struct StoredSent<'trace> {
    method: Cow<'trace, str>,
    headers: Vec<(Cow<'trace, str>, StoredValue<'trace>)>,
    body_bytes: usize,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoredLevel {
    Debug,
    Info,
    Warn,
    Error,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoredValue<'trace> {
    Plain(Cow<'trace, str>),
    Secret(Cow<'trace, str>),
    Withheld,
}

/// What an endpoint's URL is known by among those that it had.
pub(crate) fn address_of(url: &str) -> i64 {
    let hash = PluginDigest::of(url.as_bytes());
    i64::from_le_bytes(hash.as_bytes()[..8].try_into().expect("a digest has 32 bytes"))
}

pub(crate) fn seal_address(sealer: &Sealer, endpoint: EndpointId, url: &str) -> Vec<u8> {
    sealer.seal_bytes(&address_context(endpoint), url.as_bytes())
}

pub(crate) fn open_address(
    sealer: &Sealer,
    endpoint: EndpointId,
    sealed: &[u8],
) -> Result<Box<str>, DbError> {
    text(sealer, &address_context(endpoint), sealed)
}

pub(crate) fn seal_url(sealer: &Sealer, attempt: AttemptId, url: &str) -> Vec<u8> {
    sealer.seal_bytes(&context(b"attempt.url ", attempt), url.as_bytes())
}

pub(crate) fn open_url(sealer: &Sealer, attempt: AttemptId, sealed: &[u8]) -> Result<Box<str>, DbError> {
    text(sealer, &context(b"attempt.url ", attempt), sealed)
}

pub(crate) fn seal_trace(sealer: &Sealer, attempt: AttemptId, trace: &AttemptTrace) -> Vec<u8> {
    let body = trace.request.as_ref().and_then(|request| request.body.as_ref());
    let mut plain = to_json(&stored(trace)).into_bytes();
    if let Some(body) = body {
        plain.push(BODY_FOLLOWS);
        plain.extend_from_slice(body);
    }
    sealer.seal_bytes(&context(b"attempt.trace ", attempt), &plain)
}

pub(crate) fn open_trace(
    sealer: &Sealer,
    attempt: AttemptId,
    sealed: &[u8],
) -> Result<AttemptTrace, DbError> {
    let plain = sealer.key.open(&context(b"attempt.trace ", attempt), sealed);
    let plain = plain.map_err(|error| DbError::row(TABLE, error))?;
    let mut parts = plain.splitn(2, |byte| *byte == BODY_FOLLOWS);
    let json = parts.next().unwrap_or_default();
    let stored = serde_json::from_slice(json).map_err(|error| DbError::row(TABLE, error))?;
    read(stored, parts.next().map(Bytes::copy_from_slice))
}

fn stored(trace: &AttemptTrace) -> StoredTrace<'_> {
    StoredTrace::V1 {
        logs: trace.logs.iter().map(stored_line).collect(),
        request: trace.request.as_ref().map(|request| StoredSent {
            method: request.method.as_str().into(),
            headers: request.headers.iter().map(stored_header).collect(),
            body_bytes: request.body_bytes,
        }),
    }
}

fn stored_line(TraceLine { world, line }: &TraceLine) -> (Cow<'_, str>, StoredLevel, Cow<'_, str>) {
    (world.as_str().into(), StoredLevel::of(line.level), line.message.as_str().into())
}

fn stored_header(header: &SentHeader) -> (Cow<'_, str>, StoredValue<'_>) {
    let value = match &header.value {
        SentValue::Plain(text) => StoredValue::Plain(text.as_ref().into()),
        SentValue::Secret(text) => StoredValue::Secret(text.as_ref().into()),
        SentValue::Withheld => StoredValue::Withheld,
    };
    (header.name.as_str().into(), value)
}

fn read(
    StoredTrace::V1 { logs, request }: StoredTrace<'_>,
    body: Option<Bytes>,
) -> Result<AttemptTrace, DbError> {
    let line = |(world, level, message): (Cow<'_, str>, StoredLevel, Cow<'_, str>)| -> Result<_, DbError> {
        let line = LogLine { level: level.read(), message: message.into_owned() };
        Ok(TraceLine { world: parsed(TABLE, &world)?, line })
    };
    let request = request.map(|request| -> Result<_, DbError> {
        let header = |(name, value): (Cow<'_, str>, StoredValue<'_>)| -> Result<_, DbError> {
            let value = match value {
                StoredValue::Plain(text) => SentValue::Plain(text.into()),
                StoredValue::Secret(text) => SentValue::Secret(text.into()),
                StoredValue::Withheld => SentValue::Withheld,
            };
            Ok(SentHeader { name: parsed(TABLE, &name)?, value })
        };
        Ok(SentRequest {
            method: parsed(TABLE, &request.method)?,
            headers: request.headers.into_iter().map(header).collect::<Result<_, _>>()?,
            body_bytes: request.body_bytes,
            body,
        })
    });
    Ok(AttemptTrace {
        logs: logs.into_iter().map(line).collect::<Result<_, _>>()?,
        request: request.transpose()?,
    })
}

impl StoredLevel {
    fn of(level: LogLevel) -> Self {
        match level {
            LogLevel::Debug => Self::Debug,
            LogLevel::Info => Self::Info,
            LogLevel::Warn => Self::Warn,
            LogLevel::Error => Self::Error,
        }
    }

    fn read(self) -> LogLevel {
        match self {
            Self::Debug => LogLevel::Debug,
            Self::Info => LogLevel::Info,
            Self::Warn => LogLevel::Warn,
            Self::Error => LogLevel::Error,
        }
    }
}

fn text(sealer: &Sealer, context: &[u8], sealed: &[u8]) -> Result<Box<str>, DbError> {
    let plain = sealer.key.open(context, sealed).map_err(|error| DbError::row(TABLE, error))?;
    Ok(std::str::from_utf8(&plain).map_err(|error| DbError::row(TABLE, error))?.into())
}

fn context(purpose: &[u8], attempt: AttemptId) -> Vec<u8> {
    [purpose, &attempt.to_bytes()].concat()
}

fn address_context(endpoint: EndpointId) -> Vec<u8> {
    [b"endpoint_address.url ".as_slice(), &endpoint.to_bytes()].concat()
}
