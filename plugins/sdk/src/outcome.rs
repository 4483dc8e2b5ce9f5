//! What becomes of an event.

use crate::Request;

/// What a transform asks the router to do with the event.
///
/// A function may as well return a [`Request`] or a `Vec<Request>`: both become [`Outcome::Deliver`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Send these, in any order, at least one. Several need [part keys](Request::part_key) that differ.
    Deliver(Vec<Request>),
    /// Send nothing: finished on purpose, with a reason for the event's timeline.
    Drop(String),
}

impl Outcome {
    /// Sends one request.
    #[must_use]
    pub fn deliver(request: Request) -> Self {
        Self::Deliver(vec![request])
    }

    /// Sends nothing, with a reason for the event's timeline.
    pub fn drop(reason: impl Into<String>) -> Self {
        Self::Drop(reason.into())
    }

    /// What is to be sent: nothing for a drop.
    #[must_use]
    pub fn requests(&self) -> &[Request] {
        match self {
            Self::Deliver(requests) => requests,
            Self::Drop(_) => &[],
        }
    }
}

impl From<Request> for Outcome {
    fn from(request: Request) -> Self {
        Self::deliver(request)
    }
}

impl From<Vec<Request>> for Outcome {
    fn from(requests: Vec<Request>) -> Self {
        Self::Deliver(requests)
    }
}
