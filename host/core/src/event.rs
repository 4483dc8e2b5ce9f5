//! One accepted fact and the validated names that describe it.

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use thiserror::Error;

use crate::id::{ApplicationId, EventId};
use crate::limits::{EVENT_CHANNELS_MAX, EVENT_OVERHEAD_BYTES, NAME_CHARS_MAX};
use crate::time::UnixMillis;

/// One accepted fact. Its body stays the bytes that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Made when the event was accepted; the `webhook-id` of its deliveries.
    pub id: EventId,
    /// The tenant whose endpoints receive it.
    pub application: ApplicationId,
    /// What happened, for example `invoice.paid`.
    pub event_type: Name,
    /// The sender's own id, unique within the application (the API's `eventId`).
    pub uid: Option<Name>,
    /// A second dimension to filter on, at most [`EVENT_CHANNELS_MAX`].
    pub channels: Channels,
    /// Deliveries with equal keys keep their order at endpoints that ask for it.
    pub ordering_key: Option<Name>,
    /// Media type of [`body`](Self::body).
    pub content_type: ContentType,
    /// The payload, at most [`EVENT_BODY_BYTES_MAX`](crate::limits::EVENT_BODY_BYTES_MAX).
    pub body: Bytes,
}

impl Event {
    /// When the router accepted the event.
    #[must_use]
    pub fn accepted_at(&self) -> UnixMillis {
        self.id.created_at()
    }

    /// What it takes in memory, about.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.body.len() + EVENT_OVERHEAD_BYTES
    }

    /// How many bytes its body takes in an answer of JSON, at most: one that is no JSON is escaped there.
    #[must_use]
    pub fn shown_bytes_max(&self) -> usize {
        // Passes of their own, each of which the compiler does by many bytes at once.
        let count = |is: fn(&u8) -> bool| self.body.iter().filter(|byte| is(byte)).count();
        let escaped = 5 * count(|byte| *byte < b' ') + count(|byte| matches!(byte, b'"' | b'\\'));
        // A byte that is no text is shown as U+FFFD, which has three.
        self.body.len() + escaped + 2 * count(|byte| *byte > 0x7f)
    }
}

/// A name: letters, digits, `-`, `_`, `.` and `:`, 1 to [`NAME_CHARS_MAX`] of them. The Svix API has no colons; systems that
/// are routed here have them in their event types (`whatsapp:message:status`).
///
/// Event types, uids, channels and ordering keys are such names.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Box<str>);

/// Text that is no [`Name`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("a name has 1 to {NAME_CHARS_MAX} characters of `a-z A-Z 0-9 - _ . :`")]
pub struct InvalidName;

impl Name {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':');
        let valid = (1..=NAME_CHARS_MAX).contains(&text.len()) && text.bytes().all(allowed);
        if valid { Ok(Self(text.into())) } else { Err(InvalidName) }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, formatter)
    }
}

/// A set of channels, in the order they were given.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Channels(Vec<Name>);

/// More channels than an event may have, or the same one twice.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("an event has at most {EVENT_CHANNELS_MAX} channels, each once")]
pub struct InvalidChannels;

impl Channels {
    /// Takes distinct channels, at most [`EVENT_CHANNELS_MAX`].
    ///
    /// # Errors
    /// When there are more, or one stands twice.
    pub fn new(channels: Vec<Name>) -> Result<Self, InvalidChannels> {
        let distinct = channels.iter().enumerate().all(|(index, name)| !channels[..index].contains(name));
        if distinct && channels.len() <= EVENT_CHANNELS_MAX {
            Ok(Self(channels))
        } else {
            Err(InvalidChannels)
        }
    }

    /// The channels.
    #[must_use]
    pub fn as_slice(&self) -> &[Name] {
        &self.0
    }
}

/// A media type that is safe to send as a header value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentType(http::HeaderValue);

/// Text that can't be a `Content-Type` value.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("a content type is 1 to {NAME_CHARS_MAX} visible ASCII characters, such as `application/json`")]
pub struct InvalidContentType;

impl ContentType {
    /// `application/json`, the type of events whose sender names none.
    #[must_use]
    pub fn json() -> Self {
        Self(http::HeaderValue::from_static("application/json"))
    }

    /// The value as a header.
    #[must_use]
    pub fn header(&self) -> &http::HeaderValue {
        &self.0
    }

    /// The value as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }
}

impl FromStr for ContentType {
    type Err = InvalidContentType;

    fn from_str(text: &str) -> Result<Self, InvalidContentType> {
        let visible = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        if !visible || !(1..=NAME_CHARS_MAX).contains(&text.len()) {
            return Err(InvalidContentType);
        }
        http::HeaderValue::from_str(text).map(Self).map_err(|_| InvalidContentType)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_svix_api() {
        let check = |text: &str, valid: bool| assert_eq!(text.parse::<Name>().is_ok(), valid, "{text:?}");
        check("invoice.paid", true);
        check("A-b_c.9", true);
        check(&"n".repeat(NAME_CHARS_MAX), true);
        check(&"n".repeat(NAME_CHARS_MAX + 1), false);
        check("", false);
        check("two words", false);
        check("caf\u{e9}", false);
        check("line\nbreak", false);
    }

    #[test]
    fn channels_are_few_and_distinct() {
        let names = |list: &[&str]| list.iter().map(|text| text.parse().unwrap()).collect::<Vec<Name>>();
        assert!(Channels::new(names(&["a", "b", "c", "d", "e"])).is_ok());
        assert_eq!(Channels::new(names(&["a", "b", "c", "d", "e", "f"])), Err(InvalidChannels));
        assert_eq!(Channels::new(names(&["a", "a"])), Err(InvalidChannels));
    }

    #[test]
    fn content_types_cannot_inject_headers() {
        let check =
            |text: &str, valid: bool| assert_eq!(text.parse::<ContentType>().is_ok(), valid, "{text:?}");
        check("application/json; charset=utf-8", true);
        check("text/plain\r\nx-injected: 1", false);
        check("", false);
    }
}
