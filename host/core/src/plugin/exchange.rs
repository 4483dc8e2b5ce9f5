//! What the three worlds are given beside events and endpoints, and what each may answer.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};

use crate::event::{Channels, ContentType, Name};
use crate::request::PreparedRequest;

/// What one run of a transform asked for.
#[derive(Debug, Clone, PartialEq)]
pub enum TransformOutcome {
    /// Send these, 1 to [`TRANSFORM_REQUESTS_MAX`](crate::limits::TRANSFORM_REQUESTS_MAX).
    Deliver(Vec<PreparedRequest>),
    /// Finished on purpose, with a reason for the timeline.
    Drop(String),
}

/// What a provider sent to a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboundRequest {
    /// The method.
    pub method: Method,
    /// What follows the source's own path, empty or beginning with `/`.
    pub path: String,
    /// What follows the `?`, not decoded; empty where nothing does.
    pub query: String,
    /// All headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// What a source makes of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceVerdict {
    /// Store these, at most [`SOURCE_EVENTS_MAX`](crate::limits::SOURCE_EVENTS_MAX) with bodies of
    /// [`SOURCE_EVENT_BYTES_MAX`](crate::limits::SOURCE_EVENT_BYTES_MAX) together. None is understood and ignored.
    Accept(Vec<SourceEvent>),
    /// A handshake: answer so, store nothing.
    Reply(SourceReply),
    /// Not authentic or not understood, with a reason for the operator.
    Reject(String),
}

/// An event that a source made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceEvent {
    /// What happened.
    pub event_type: Name,
    /// The provider's own id, for deduplication.
    pub uid: Option<Name>,
    /// A second dimension to filter on.
    pub channels: Channels,
    /// Media type of the body.
    pub content_type: ContentType,
    /// The payload.
    pub body: Bytes,
}

/// An answer to a provider in the place of the source's usual one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceReply {
    /// 200 to 599.
    pub status: StatusCode,
    /// Headers that are not the connection's own.
    pub headers: HeaderMap,
    /// At most [`SOURCE_REPLY_BYTES_MAX`](crate::limits::SOURCE_REPLY_BYTES_MAX).
    pub body: Bytes,
}

/// What a receiver answered to one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiverAnswer {
    /// The status.
    pub status: StatusCode,
    /// All headers.
    pub headers: HeaderMap,
    /// The body, as far as it was read.
    pub body: Bytes,
}

/// What a classifier says of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClassifierVerdict {
    /// The receiver has it.
    Delivered,
    /// Try again on the retry schedule, with a reason for the timeline.
    Retry(String),
    /// Never try again, with a reason for the timeline.
    Fail(String),
    /// The answer means what its status says.
    NoOpinion,
}

/// What one run cost, for the attempt record and the dry run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RunCost {
    /// Deterministic budget spent.
    pub fuel: u64,
    /// What might have been spent.
    pub fuel_max: u64,
    /// Wall-clock time of the run on its thread.
    pub wall: Duration,
    /// Bytes of linear memory at its largest.
    pub memory_peak_bytes: u64,
}

/// One line that a plugin logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// How loud.
    pub level: LogLevel,
    /// What, already bounded and free of control characters.
    pub message: String,
}

/// How loud a plugin's log line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// For the author.
    Debug,
    /// For the operator.
    Info,
    /// Something is odd.
    Warn,
    /// Something failed.
    Error,
}

impl LogLevel {
    /// The level in lower case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}
