//! What can go wrong, for callers: a stable code, a message that says what to do, and a kind that a protocol maps
//! to its own statuses.

use std::time::Duration;

use hookmill_core::port::store::StoreError;
use thiserror::Error;

/// Why a use case did not happen.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct AppError {
    /// How a protocol should answer.
    pub kind: ErrorKind,
    /// Stable, for programs: for example `event_type_invalid`.
    pub code: &'static str,
    /// What is wrong, the limit it broke, and what to do; for people.
    pub message: String,
}

/// How a protocol should answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The caller's input is wrong (400 or 422).
    Invalid,
    /// No key, or one that is not known (401).
    Unauthenticated,
    /// The key does not open this (403).
    Forbidden,
    /// There is no such thing (404).
    NotFound,
    /// It clashes with what exists (409).
    Conflict,
    /// Larger than allowed (413).
    TooLarge,
    /// Try again after this time (503 with `Retry-After`).
    Busy(Duration),
    /// No room (507 with `Retry-After`).
    Full(Duration),
    /// A fault of the router (500); the details are in its log.
    Failed,
}

impl AppError {
    /// Makes an error of any kind.
    #[must_use]
    pub fn new(kind: ErrorKind, code: &'static str, message: impl Into<String>) -> Self {
        Self { kind, code, message: message.into() }
    }

    /// The caller's input is wrong.
    #[must_use]
    pub fn invalid(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, code, message)
    }

    /// There is no such thing.
    #[must_use]
    pub fn not_found(what: &str) -> Self {
        Self::new(ErrorKind::NotFound, "not_found", format!("this {what} does not exist"))
    }
}

impl From<StoreError> for AppError {
    fn from(error: StoreError) -> Self {
        const RETRY_BUSY: Duration = Duration::from_secs(1);
        const RETRY_FULL: Duration = Duration::from_secs(30);
        match error {
            StoreError::Busy => Self::new(
                ErrorKind::Busy(RETRY_BUSY),
                "overloaded",
                "more events wait for the disk than may wait; nothing was stored, send it again after a moment",
            ),
            StoreError::Full => Self::new(
                ErrorKind::Full(RETRY_FULL),
                "storage_full",
                "the router's disk is full; nothing was stored, send it again later",
            ),
            StoreError::Conflict { what } => {
                Self::new(ErrorKind::Conflict, "conflict", format!("{what} is taken; choose another"))
            }
            StoreError::NotFound { what } => Self::not_found(what),
            StoreError::Failed { detail } => {
                tracing::error!(detail, "the store failed");
                Self::new(ErrorKind::Failed, "store_failed", "the router's store failed; see its log")
            }
        }
    }
}
