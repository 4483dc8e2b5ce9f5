//! Turns Mifumo SMS' webhooks into [notifications](notification::Notification).
//!
//! In: `message.sent`, `message.delivered` or `message.failed` (Mifumo's "Webhook Integration Guide", *Webhook Payloads*).
//! Out: an event for each recipient, whose uid is the message's id, the status and the recipient: Mifumo has no ids of
//! events. The signature is the router's to check, before this plugin runs.

use hookmill_plugin::{Inbound, NewEvent, Object, Origin, Result, source, time};
use notification::{Channel, Error, Notification, Status};

/// The provider's name in notifications.
const PROVIDER: &str = "mifumo";

source!(receive, manifest = "../plugin.json");

/// Makes a notification for each recipient. An event that isn't known becomes one [`Status::Other`].
///
/// # Errors
/// Where the body is none of Mifumo's, or a field that the notification needs is missing or of another type than
/// documented; the message names the field.
pub fn receive(request: &Inbound, _origin: &Origin) -> Result<Vec<NewEvent>> {
    let report = request.object()?;
    let name: String = report.require("event")?;
    let (status, time) = match name.as_str() {
        "message.sent" => (Status::Sent, "sent_at"),
        "message.delivered" => (Status::Delivered, "delivered_at"),
        "message.failed" => (Status::Failed, "failed_at"),
        _ => return Ok(vec![other(&report, request)?]),
    };
    let occurred_at = match occurred_at(&report, time)? {
        Some(time) => time,
        None => time::rfc3339(request.received_at_ms()),
    };
    // A message is sent to many; it is delivered or not to one.
    let recipients: Vec<String> = if status == Status::Sent {
        report.require("recipients")?
    } else {
        vec![report.require("recipient")?]
    };
    let events = recipients.iter().map(|recipient| event(&report, status, recipient, &occurred_at));
    events.collect()
}

/// The event for one recipient.
fn event(report: &Object<'_>, status: Status, recipient: &str, occurred_at: &str) -> Result<NewEvent> {
    let message_id: String = report.require("message_id")?;
    let mut original = report.clone();
    if original.raw("recipients").is_some() {
        original.insert("recipients", &[recipient])?;
    }
    let mut notification =
        Notification::new(PROVIDER, Channel::Sms, status, occurred_at.to_owned(), original);
    notification.message_id = Some(message_id.clone());
    notification.recipient = Some(recipient.to_owned());
    notification.sender = text(report, "sender_id")?;
    if status == Status::Failed {
        notification.error = Error::known(text(report, "error_code")?, text(report, "error_message")?);
    }
    notification.into_event(&[&message_id, status.name(), recipient])
}

/// An event that isn't known is kept as it is, whatever it looks like.
fn other(report: &Object<'_>, request: &Inbound) -> Result<NewEvent> {
    let time = occurred_at(report, "timestamp").ok().flatten();
    let time = time.unwrap_or_else(|| time::rfc3339(request.received_at_ms()));
    let mut notification = Notification::new(PROVIDER, Channel::Sms, Status::Other, time, report);
    notification.message_id = text(report, "message_id").ok().flatten();
    notification.into_event(&[])
}

/// The event's own time, else that of the webhook, if it has one.
fn occurred_at(report: &Object<'_>, name: &str) -> Result<Option<String>> {
    for name in [name, "timestamp"] {
        if let Some(time) = text(report, name)? {
            let time = notification::of_text(&time);
            return time.map(Some).ok_or_else(|| report.failure(name, "expected a time in RFC 3339"));
        }
    }
    Ok(None)
}

/// A string that may be missing or `null`.
fn text(report: &Object<'_>, name: &str) -> Result<Option<String>> {
    Ok(report.get::<Option<String>>(name)?.flatten())
}
