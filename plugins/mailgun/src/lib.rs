//! Turns Mailgun's webhooks into [notifications](notification::Notification).
//!
//! In: `{"signature": {..}, "event-data": {..}}` (Mailgun's user manual, "Webhooks" and "Event structure"), or a [`form`] of its
//! older webhooks and of its routes. Out: one event, whose uid is Mailgun's own id of the event. The signature is the router's to check, before this plugin runs.

mod form;

use hookmill_plugin::serde_json::value::RawValue;
use hookmill_plugin::{Inbound, NewEvent, Object, Origin, Result, source, time};
use notification::{Channel, Error, Notification, Status};
use serde::Deserialize;

/// The provider's name in notifications.
const PROVIDER: &str = "mailgun";

source!(receive, manifest = "../plugin.json");

/// Makes the notification. An event that isn't known becomes [`Status::Other`].
///
/// # Errors
/// Where the body is none of Mailgun's, or a field that the notification needs is missing or of another type than
/// documented; the message names the field.
pub fn receive(request: &Inbound, _origin: &Origin) -> Result<NewEvent> {
    if request.is_form() {
        return form::receive(request);
    }
    let body = request.object()?;
    let (Some(event), Some(original)) = (body.object("event-data")?, body.raw("event-data")) else {
        return Err(body.failure("event-data", "missing"));
    };
    let status = status(&event)?;
    if status == Status::Other {
        return other(&event, original, request);
    }
    let occurred_at = occurred_at(&event)?;
    let mut notification = Notification::new(PROVIDER, Channel::Email, status, occurred_at, original);
    let headers = event.get::<Message>("message")?.and_then(|message| message.headers).unwrap_or_default();
    let Some(message_id) = headers.message_id else {
        return Err(event.failure("message", "no `message-id` among its headers"));
    };
    notification.message_id = Some(message_id);
    notification.recipient = event.get("recipient")?;
    notification.sender = event.get::<Envelope>("envelope")?.unwrap_or_default().sender.or(headers.from);
    if matches!(status, Status::Failed | Status::Deferred) {
        notification.error = error(&event)?;
    }
    let id: Option<String> = event.get("id")?;
    notification.into_event(id.as_deref().as_slice())
}

/// An event that isn't known is kept as it is, whatever it looks like.
fn other(event: &Object<'_>, original: &RawValue, request: &Inbound) -> Result<NewEvent> {
    let time = occurred_at(event).unwrap_or_else(|_| time::rfc3339(request.received_at_ms()));
    let notification = Notification::new(PROVIDER, Channel::Email, Status::Other, time, original);
    let id: Option<String> = event.get("id").ok().flatten();
    notification.into_event(id.as_deref().as_slice())
}

/// The part of a message that Mailgun tells.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Message {
    headers: Option<Headers>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct Headers {
    message_id: Option<String>,
    from: Option<String>,
}

/// Who Mailgun talked to, as SMTP has it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Envelope {
    sender: Option<String>,
}

/// How the other mail server answered.
#[derive(Default, Deserialize)]
#[serde(default)]
struct DeliveryStatus<'event> {
    #[serde(borrow)]
    code: Option<&'event RawValue>,
    message: Option<String>,
    description: Option<String>,
}

/// Why Mailgun itself refused a message.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Reject {
    reason: Option<String>,
    description: Option<String>,
}

fn status(event: &Object<'_>) -> Result<Status> {
    let name: String = event.require("event")?;
    let severity: Option<String> = event.get("severity")?;
    Ok(match (name.as_str(), severity.as_deref()) {
        ("accepted", _) => Status::Accepted,
        ("delivered", _) => Status::Delivered,
        ("opened", _) => Status::Read,
        ("clicked", _) => Status::Clicked,
        ("failed", Some("temporary")) => Status::Deferred,
        ("failed" | "rejected", _) => Status::Failed,
        ("unsubscribed", _) => Status::Unsubscribed,
        ("complained", _) => Status::Complained,
        (_, _) => Status::Other,
    })
}

/// Mailgun promises an event's time: seconds since 1970 with fractions.
fn occurred_at(event: &Object<'_>) -> Result<String> {
    let timestamp: &RawValue = event.require("timestamp")?;
    notification::of_seconds(timestamp.get())
        .ok_or_else(|| event.failure("timestamp", "expected seconds since 1970 as a number"))
}

/// What is known of a failure: the other server's answer first, then what Mailgun says of it.
fn error(event: &Object<'_>) -> Result<Option<Error>> {
    let answer: DeliveryStatus<'_> = event.get("delivery-status")?.unwrap_or_default();
    let reject: Reject = event.get("reject")?.unwrap_or_default();
    let reason: Option<String> = event.get("reason")?;
    let messages = [answer.message, answer.description, reject.description, reject.reason, reason];
    let message = messages.into_iter().flatten().find(|message| !message.is_empty());
    let code = answer.code.and_then(notification::code).filter(|code| code != "0");
    Ok(Error::known(code, message))
}
