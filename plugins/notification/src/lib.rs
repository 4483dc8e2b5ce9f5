//! The one shape that delivery reports and incoming messages of all providers become.
//!
//! A source plugin reads what its provider sent, fills in a [`Notification`] for each report or message in it, and makes
//! an event of each. Whoever receives these events reads one shape, whichever provider a message went by; what the shape
//! has no place for is in [`original`](Notification::original). The README describes it for receivers.
//!
//! Nothing is made up: what the provider doesn't say is left out.

mod status;
mod time;

use hookmill_plugin::serde_json::value::RawValue;
use hookmill_plugin::{Kind, NewEvent, Result, Value, well_formed};
use serde::Serialize;

pub use crate::status::Status;
pub use crate::time::{of_seconds, of_text};

/// The characters of a uid (the router's bound on names).
const UID_CHARS_MAX: usize = 256;

/// One report of a provider about one message to one recipient, or one message that came in.
///
/// `Original` is the provider's own object; anything that is JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub struct Notification<Original> {
    /// The provider: `mailgun`.
    pub provider: &'static str,
    /// What the message travels by.
    pub channel: Channel,
    /// What happened.
    pub status: Status,
    /// The provider's id of the message: the same in all reports about it. Only [`Status::Other`] may have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// The sender's own id of the message, where the provider was given one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Which way the message goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// Who gets the message: an address, or a number in the form of [`international`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipient: Option<String>,
    /// Who sent it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sender: Option<String>,
    /// When it happened (RFC 3339, UTC); when the router got to know of it where the provider doesn't say.
    pub occurred_at: String,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Error>,
    /// The text of a message that came in, or what was written below its picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Pictures, recordings and files of a message that came in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub media: Vec<Media>,
    /// The provider's own object.
    pub original: Original,
}

/// What a message travels by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the channels' own names")]
pub enum Channel {
    Email,
    Sms,
    Whatsapp,
    Rcs,
    Messenger,
}

/// Which way a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// To a customer: what reports are about.
    Outbound,
    /// From a customer.
    Inbound,
}

/// Why a message failed, in the provider's words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Error {
    /// The provider's code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// A sentence for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// One picture, recording or file.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Media {
    /// What kind of thing it is, as the provider calls it: `image`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Where it can be fetched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The provider's id of it, to ask for a URL with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its media type: `image/jpeg`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// Its name as a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
}

impl<Original: Serialize> Notification<Original> {
    /// A notification that says no more than that something happened.
    pub fn new(
        provider: &'static str,
        channel: Channel,
        status: Status,
        occurred_at: String,
        original: Original,
    ) -> Self {
        Self {
            provider,
            channel,
            status,
            message_id: None,
            reference: None,
            direction: status.direction(),
            recipient: None,
            sender: None,
            occurred_at,
            error: None,
            text: None,
            media: Vec::new(),
            original,
        }
    }

    /// The event that carries this notification: of the [status' type](Status::event_type), on the channels `sms` (or
    /// another) and `twilio` (or another), and with a uid made of these parts, so that what a provider sends twice is
    /// stored once. No parts make no uid.
    ///
    /// # Errors
    /// None that a provider can cause.
    pub fn into_event(self, uid_parts: &[&str]) -> Result<NewEvent> {
        let event =
            NewEvent::new(self.status.event_type()).channel(self.channel.name()).channel(self.provider);
        let event = match uid(uid_parts) {
            Some(uid) => event.uid(uid),
            None => event,
        };
        event.json(&self)
    }
}

impl Channel {
    /// The name, as it is in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Sms => "sms",
            Self::Whatsapp => "whatsapp",
            Self::Rcs => "rcs",
            Self::Messenger => "messenger",
        }
    }
}

impl Error {
    /// An error with what is known of it; none where nothing is. Empty texts are not known.
    #[must_use]
    pub fn known(code: Option<String>, message: Option<String>) -> Option<Self> {
        let [code, message] = [code, message].map(|text| text.filter(|text| !text.is_empty()));
        (code.is_some() || message.is_some()).then_some(Self { code, message })
    }
}

/// A uid of these parts: joined with `.`, and with every byte that no uid may have as `.` and two hexadecimal digits,
/// so `wamid.x=` becomes `wamid.x.3d`. None where it would be empty or too long: what isn't cut isn't mistaken for another.
#[must_use]
pub fn uid(parts: &[&str]) -> Option<String> {
    let mut uid = String::new();
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            uid.push('.');
        }
        for byte in part.bytes() {
            if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.') {
                uid.push(char::from(byte));
            } else {
                uid.push_str(&format!(".{byte:02x}"));
            }
        }
    }
    (1..=UID_CHARS_MAX).contains(&uid.len()).then_some(uid)
}

/// A telephone number with the `+` that some providers leave out; what doesn't begin with a digit stays as it is.
#[must_use]
pub fn international(number: &str) -> String {
    let is_complete = !number.starts_with(|first: char| first.is_ascii_digit());
    if is_complete { number.to_owned() } else { format!("+{number}") }
}

/// A code that some send as a number and some as a string, as text; none for anything else.
#[must_use]
pub fn code(value: &RawValue) -> Option<String> {
    match Kind::of(value) {
        Kind::Number => Some(value.get().to_owned()),
        Kind::String => match hookmill_plugin::serde_json::from_str(&well_formed(value.get())) {
            Ok(Value::String(text)) => Some(text),
            Ok(_) | Err(_) => None,
        },
        Kind::Object | Kind::Array | Kind::Bool | Kind::Null => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hookmill_plugin::{json, time};

    #[test]
    fn what_is_not_known_is_left_out() {
        let notification =
            Notification::new("acme", Channel::Sms, Status::Other, time::rfc3339(0), json!({"a": 1}));
        let event = notification.into_event(&[]).unwrap();
        assert_eq!((event.event_type.as_str(), event.uid), ("notification.other", None));
        assert_eq!(event.channels, ["sms", "acme"]);
        assert_eq!(event.content_type.as_deref(), Some("application/json"));
        let expected = json!({
            "provider": "acme", "channel": "sms", "status": "other",
            "occurred_at": "1970-01-01T00:00:00Z", "original": {"a": 1},
        });
        assert_eq!(event.body.unwrap().json(), Ok(expected));
    }

    #[test]
    fn everything_known_has_its_place() {
        let mut notification =
            Notification::new("acme", Channel::Whatsapp, Status::Received, time::rfc3339(1), json!([]));
        notification.message_id = Some("m".to_owned());
        notification.reference = Some("r".to_owned());
        notification.recipient = Some("to".to_owned());
        notification.sender = Some("from".to_owned());
        notification.error = Error::known(Some("1".to_owned()), Some("no".to_owned()));
        notification.text = Some("hello".to_owned());
        notification.media = vec![Media { kind: Some("image".to_owned()), ..Media::default() }];
        let event = notification.into_event(&["m", "received"]).unwrap();
        assert_eq!(
            (event.event_type.as_str(), event.uid.as_deref()),
            ("message.received", Some("m.received"))
        );
        let expected = json!({
            "provider": "acme", "channel": "whatsapp", "status": "received", "message_id": "m", "reference": "r",
            "direction": "inbound", "recipient": "to", "sender": "from", "occurred_at": "1970-01-01T00:00:00.001Z",
            "error": {"code": "1", "message": "no"}, "text": "hello", "media": [{"type": "image"}], "original": [],
        });
        assert_eq!(event.body.unwrap().json(), Ok(expected));
    }

    #[test]
    fn names_of_channels_are_as_in_json() {
        let channels = [Channel::Email, Channel::Sms, Channel::Whatsapp, Channel::Rcs, Channel::Messenger];
        for channel in channels {
            assert_eq!(json!(channel), channel.name());
        }
    }

    #[test]
    fn uids_are_names() {
        let check =
            |parts: &[&str], expect: Option<&str>| assert_eq!(uid(parts).as_deref(), expect, "{parts:?}");
        check(&["CCXMjJ7nQi2N3BPigGOdgQ"], Some("CCXMjJ7nQi2N3BPigGOdgQ"));
        check(&["wamid.a/b+c=", "read"], Some("wamid.a.2fb.2bc.3d.read"));
        check(&["\u{e9} "], Some(".c3.a9.20"));
        check(&[], None);
        check(&["a".repeat(256).as_str()], Some("a".repeat(256).as_str()));
        check(&["a".repeat(257).as_str()], None);
    }

    #[test]
    fn numbers_get_a_plus_once() {
        for (number, expect) in
            [("919810450807", "+919810450807"), ("+91", "+91"), ("Acme", "Acme"), ("", "")]
        {
            assert_eq!(international(number), expect);
        }
    }

    #[test]
    fn codes_are_text() {
        let check = |json: &str, expect: Option<&str>| {
            let value: &RawValue = hookmill_plugin::serde_json::from_str(json).unwrap();
            assert_eq!(code(value).as_deref(), expect, "{json}");
        };
        check("550", Some("550"));
        check(r#""30\u0030""#, Some("300"));
        check("null", None);
        check("[1]", None);
    }

    #[test]
    fn errors_say_something() {
        assert_eq!(Error::known(None, Some(String::new())), None);
        let error = Error::known(Some("1".to_owned()), Some(String::new()));
        assert_eq!(error, Some(Error { code: Some("1".to_owned()), message: None }));
    }
}
