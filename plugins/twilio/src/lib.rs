//! Turns Twilio's status callbacks and incoming messages into [notifications](notification::Notification).
//!
//! In: a form, in the body of a `POST` or in the query of a `GET` ("Track the Message Status of Outbound Messages",
//! "Twilio's request to your incoming message Webhook URL"). Out: one event, whose uid is the `MessageSid` and the status.
//! The signature is the router's to check, before this plugin runs.
//!
//! Twilio doesn't say when something happened (`RawDlrDoneDate` has neither seconds nor a time zone), so the time is that of
//! the request.

use hookmill_plugin::{Form, Inbound, NewEvent, Origin, Result, source, time};
use notification::{Channel, Error, Media, Notification, Status};

/// Files of one message: Twilio's own bound is ten.
const MEDIA_MAX: usize = 10;

source!(receive, manifest = "../plugin.json");

/// Makes the notification. A request of Twilio's that isn't about a message, and a status that isn't known, become
/// [`Status::Other`].
///
/// # Errors
/// Where the request is none of Twilio's; the message names the field.
pub fn receive(request: &Inbound, _origin: &Origin) -> Result<NewEvent> {
    let query = request.query();
    let form = if request.method() == "GET" { Form::parse(query.as_bytes()) } else { request.form() };
    let occurred_at = time::rfc3339(request.received_at_ms());
    let Some(message_id) = known(&form, "MessageSid").or_else(|| known(&form, "SmsSid")) else {
        form.require("AccountSid")?;
        return Notification::new("twilio", channel(&form), Status::Other, occurred_at, &form)
            .into_event(&[]);
    };
    let name = known(&form, "MessageStatus").or_else(|| known(&form, "SmsStatus")).unwrap_or("received");
    let status = status(name);
    let mut notification = Notification::new("twilio", channel(&form), status, occurred_at, &form);
    notification.message_id = Some(message_id.to_owned());
    notification.recipient = known(&form, "To").map(address);
    notification.sender = known(&form, "From").map(address);
    notification.error = error(&form);
    if status == Status::Received {
        notification.text = known(&form, "Body").map(str::to_owned);
        notification.media = media(&form);
    }
    notification.into_event(&[message_id, name])
}

/// A field that is there and not empty.
fn known<'form>(form: &'form Form<'_>, name: &str) -> Option<&'form str> {
    form.get(name).filter(|value| !value.is_empty())
}

/// Twilio's statuses (its Message resource, "Message Status values"). A message that came in is `received`.
fn status(name: &str) -> Status {
    match name {
        "accepted" | "scheduled" | "queued" | "sending" => Status::Accepted,
        "sent" => Status::Sent,
        "delivered" => Status::Delivered,
        "read" => Status::Read,
        "undelivered" | "failed" => Status::Failed,
        "canceled" => Status::Canceled,
        "receiving" | "received" => Status::Received,
        _ => Status::Other,
    }
}

/// What stands before the numbers says how the message travels: `whatsapp:+1..`; nothing stands there for SMS and MMS.
fn channel(form: &Form<'_>) -> Channel {
    let prefix = ["From", "To"].iter().find_map(|name| form.get(name)?.split_once(':'));
    match prefix {
        Some(("whatsapp", _)) => Channel::Whatsapp,
        Some(("rcs", _)) => Channel::Rcs,
        Some(("messenger", _)) => Channel::Messenger,
        Some(_) | None => Channel::Sms,
    }
}

/// An address without the channel in front of it.
fn address(value: &str) -> String {
    value.split_once(':').map_or(value, |(_, address)| address).to_owned()
}

fn error(form: &Form<'_>) -> Option<Error> {
    let code = known(form, "ErrorCode").filter(|code| *code != "0")?;
    let message = known(form, "ErrorMessage").or_else(|| known(form, "ChannelStatusMessage"));
    Error::known(Some(code.to_owned()), message.map(str::to_owned))
}

/// The files of a message: `MediaUrl0`, `MediaContentType0` and so on, as far as `NumMedia` says.
fn media(form: &Form<'_>) -> Vec<Media> {
    let count = known(form, "NumMedia").and_then(|count| count.parse().ok()).unwrap_or(0).min(MEDIA_MAX);
    let file = |index: usize| {
        let field = |name: &str| known(form, &format!("{name}{index}")).map(str::to_owned);
        let (url, content_type) = (field("MediaUrl"), field("MediaContentType"));
        let kind = content_type.as_deref().and_then(|it| it.split('/').next()).map(str::to_owned);
        Media { kind, url, content_type, ..Media::default() }
    };
    (0..count).map(file).collect()
}
