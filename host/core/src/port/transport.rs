//! HTTP to foreign hosts.

use std::time::Duration;

use crate::attempt::Outcome;
use crate::port::PortFuture;
use crate::request::OutgoingRequest;

/// Sends requests to foreign hosts, and nowhere that the address policy forbids.
pub trait Transport: Send + Sync {
    /// Sends one request and reads the answer, all within `timeout`.
    ///
    /// Follows no redirect, reads at most [`RESPONSE_BODY_BYTES_MAX`](crate::limits::RESPONSE_BODY_BYTES_MAX) of
    /// the body, and never fails: whatever happens is an outcome.
    fn send(&self, request: OutgoingRequest, timeout: Duration) -> PortFuture<'_, Outcome>;
}
