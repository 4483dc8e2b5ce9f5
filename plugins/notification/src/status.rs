//! What can happen to a message.

use serde::Serialize;

use crate::Direction;

/// What happened to a message, in the order of a message's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// The provider has it and means to send it.
    Accepted,
    /// The provider handed it on: to the network, to another mail server.
    Sent,
    /// It could not be delivered yet; the provider goes on trying.
    Deferred,
    /// It reached the recipient's device or mailbox.
    Delivered,
    /// The recipient saw it.
    Read,
    /// The recipient followed a link in it.
    Clicked,
    /// It could not be delivered, for good.
    Failed,
    /// It was called back before it was sent.
    Canceled,
    /// It was taken away again after it was sent.
    Deleted,
    /// The recipient wants no more.
    Unsubscribed,
    /// The recipient called it spam.
    Complained,
    /// A message that came in.
    Received,
    /// Something that this shape has no word for; `original` says what.
    Other,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Accepted,
        Self::Sent,
        Self::Deferred,
        Self::Delivered,
        Self::Read,
        Self::Clicked,
        Self::Failed,
        Self::Canceled,
        Self::Deleted,
        Self::Unsubscribed,
        Self::Complained,
        Self::Received,
        Self::Other,
    ];

    /// The name, as it is in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.event_type().rsplit('.').next().unwrap_or_default()
    }

    /// The type of the event that says so: `notification.` and the status, but `message.received`.
    #[must_use]
    pub const fn event_type(self) -> &'static str {
        match self {
            Self::Accepted => "notification.accepted",
            Self::Sent => "notification.sent",
            Self::Deferred => "notification.deferred",
            Self::Delivered => "notification.delivered",
            Self::Read => "notification.read",
            Self::Clicked => "notification.clicked",
            Self::Failed => "notification.failed",
            Self::Canceled => "notification.canceled",
            Self::Deleted => "notification.deleted",
            Self::Unsubscribed => "notification.unsubscribed",
            Self::Complained => "notification.complained",
            Self::Received => "message.received",
            Self::Other => "notification.other",
        }
    }

    /// Which way the message goes of which this is said.
    #[must_use]
    pub const fn direction(self) -> Option<Direction> {
        match self {
            Self::Accepted
            | Self::Sent
            | Self::Deferred
            | Self::Delivered
            | Self::Read
            | Self::Clicked
            | Self::Failed
            | Self::Canceled
            | Self::Deleted
            | Self::Unsubscribed
            | Self::Complained => Some(Direction::Outbound),
            Self::Received => Some(Direction::Inbound),
            Self::Other => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hookmill_plugin::json;

    #[test]
    fn types_end_in_the_status() {
        for status in Status::ALL {
            assert_eq!(json!(status), status.name());
        }
    }
}
