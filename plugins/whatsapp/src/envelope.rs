//! The envelope of providers in between: `whatsapp:message:status` and `whatsapp:message:in` (their "Webhooks", *Message
//! Status Notification*, *Message Incoming Notification*, *Incoming Media*). One request has one report or message.

use hookmill_plugin::serde_json::value::RawValue;
use hookmill_plugin::{NewEvent, Object, Result};
use notification::{Channel, Media, Notification, Status, international};

use crate::{PROVIDER, status, text};

/// Makes the event. One of another name becomes [`Status::Other`].
pub(crate) fn receive(body: &Object<'_>, original: &RawValue, received_at: String) -> Result<NewEvent> {
    let name: String = body.require("event")?;
    let read = match name.as_str() {
        "whatsapp:message:status" => report_event,
        "whatsapp:message:in" => message_event,
        _ => {
            let other = Notification::new(PROVIDER, Channel::Whatsapp, Status::Other, received_at, original);
            return other.into_event(&[]);
        }
    };
    let Some(payload) = body.object("payload")? else { return Err(body.failure("payload", "missing")) };
    read(&payload, original, received_at)
}

fn report_event(payload: &Object<'_>, original: &RawValue, received_at: String) -> Result<NewEvent> {
    let id: String = payload.require("id")?;
    let name: String = payload.require("status")?;
    let time = occurred_at(payload, &name)?.unwrap_or(received_at);
    let mut notification = Notification::new(PROVIDER, Channel::Whatsapp, status(&name), time, original);
    notification.message_id = Some(id.clone());
    notification.reference = text(payload, "foreign_id")?;
    notification.recipient = text(payload, "to")?.as_deref().map(international);
    notification.sender = text(payload, "from")?.as_deref().map(international);
    notification.into_event(&[&id, &name])
}

fn message_event(payload: &Object<'_>, original: &RawValue, received_at: String) -> Result<NewEvent> {
    let id: String = payload.require("id")?;
    let mut notification =
        Notification::new(PROVIDER, Channel::Whatsapp, Status::Received, received_at, original);
    notification.message_id = Some(id.clone());
    let channels: Vec<Object<'_>> = payload.get("channels")?.unwrap_or_default();
    if let Some(channel) = channels.first() {
        notification.recipient = text(channel, "to")?.as_deref().map(international);
    }
    if let Some(customer) = payload.object("recipient")? {
        notification.sender = text(&customer, "from")?.as_deref().map(international);
    }
    let Some(message) = payload.object("message")? else { return Err(payload.failure("message", "missing")) };
    let kind: String = message.require("type")?;
    if let Some(content) = message.object("payload")? {
        notification.text = match text(&content, "text")? {
            Some(written) => Some(written),
            None => text(&content, "caption")?,
        };
        if let Some(url) = text(&content, "url")? {
            let filename = text(&content, "filename")?;
            notification.media =
                vec![Media { kind: Some(kind), url: Some(url), filename, ..Media::default() }];
        }
    }
    notification.into_event(&[&id, "received"])
}

/// When the status was reached: the time of the report, else that of the stage.
fn occurred_at(payload: &Object<'_>, status: &str) -> Result<Option<String>> {
    let stage = match status {
        "delivered" => "delivered_at",
        "read" => "read_at",
        _ => "processed_at",
    };
    for name in ["timestamp", stage] {
        if let Some(time) = text(payload, name)? {
            let time = notification::of_text(&time);
            return time.map(Some).ok_or_else(|| payload.failure(name, "expected a time in RFC 3339"));
        }
    }
    Ok(None)
}
