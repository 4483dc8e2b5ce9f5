//! The format of Meta's Cloud API: `{"object": "whatsapp_business_account", "entry": [{"changes": [{"value": ..}]}]}`
//! ("Status messages webhook reference", "Messages webhooks"). One request has several reports and messages.

use hookmill_plugin::serde_json::value::RawValue;
use hookmill_plugin::{NewEvent, Object, Result};
use notification::{Channel, Error, Media, Notification, Status};
use serde::Deserialize;

use crate::{PROVIDER, status, text};

/// Types of messages that carry a file, under a field of the same name.
const MEDIA_TYPES: [&str; 5] = ["image", "audio", "video", "document", "sticker"];

/// What the reports and messages of one change have in common.
struct Context<'body> {
    /// What Meta tells of the business's own number.
    metadata: Option<&'body RawValue>,
    /// That number.
    number: Option<String>,
    /// What Meta tells of the customers, by their `wa_id`.
    contacts: Vec<(String, &'body RawValue)>,
}

#[derive(Deserialize)]
struct Metadata {
    display_phone_number: Option<String>,
}

#[derive(Deserialize)]
struct Contact {
    wa_id: Option<String>,
}

/// One of the `errors` of a report or a message.
#[derive(Deserialize)]
struct CloudError<'body> {
    #[serde(borrow)]
    code: Option<&'body RawValue>,
    title: Option<String>,
    message: Option<String>,
    error_data: Option<ErrorData>,
}

#[derive(Deserialize)]
struct ErrorData {
    details: Option<String>,
}

/// A file in a message, to be fetched from Meta by its id.
#[derive(Deserialize)]
struct File {
    id: Option<String>,
    mime_type: Option<String>,
    filename: Option<String>,
    caption: Option<String>,
}

/// Makes an event of each report and each message. A change without any, for example of another `field`, becomes one
/// [`Status::Other`].
pub(crate) fn receive(body: &Object<'_>, received_at: &str) -> Result<Vec<NewEvent>> {
    let mut events = Vec::new();
    for entry in body.require::<Vec<Object<'_>>>("entry")? {
        for change in entry.require::<Vec<&RawValue>>("changes")? {
            read_change(change, received_at, &mut events)?;
        }
    }
    Ok(events)
}

fn read_change(change_text: &RawValue, received_at: &str, events: &mut Vec<NewEvent>) -> Result<()> {
    let change = Object::parse(change_text.get())?;
    let count = events.len();
    if let Some(value) = change.object("value")? {
        let context = Context::of(&value)?;
        for report in value.get::<Vec<Object<'_>>>("statuses")?.unwrap_or_default() {
            events.push(report_event(&report, &context)?);
        }
        for message in value.get::<Vec<Object<'_>>>("messages")?.unwrap_or_default() {
            events.push(message_event(&message, &context)?);
        }
    }
    if events.len() == count {
        let received_at = received_at.to_owned();
        let other = Notification::new(PROVIDER, Channel::Whatsapp, Status::Other, received_at, change_text);
        events.push(other.into_event(&[])?);
    }
    Ok(())
}

fn report_event(report: &Object<'_>, context: &Context<'_>) -> Result<NewEvent> {
    let id: String = report.require("id")?;
    let name: String = report.require("status")?;
    let recipient = text(report, "recipient_id")?;
    let original = context.original(recipient.as_deref(), "statuses", report)?;
    let time = occurred_at(report)?;
    let mut notification = Notification::new(PROVIDER, Channel::Whatsapp, status(&name), time, original);
    notification.reference = text(report, "biz_opaque_callback_data")?;
    notification.sender = context.number.clone();
    notification.error = error(report)?;
    notification.recipient = recipient.as_deref().map(notification::international);
    notification.message_id = Some(id.clone());
    let mut uid = vec![id.as_str(), &name];
    uid.extend(recipient.as_deref());
    notification.into_event(&uid)
}

fn message_event(message: &Object<'_>, context: &Context<'_>) -> Result<NewEvent> {
    let id: String = message.require("id")?;
    let sender = text(message, "from")?;
    let original = context.original(sender.as_deref(), "messages", message)?;
    let time = occurred_at(message)?;
    let mut notification = Notification::new(PROVIDER, Channel::Whatsapp, Status::Received, time, original);
    notification.sender = sender.as_deref().map(notification::international);
    notification.recipient = context.number.clone();
    notification.error = error(message)?;
    let kind: String = message.require("type")?;
    if MEDIA_TYPES.contains(&kind.as_str()) {
        if let Some(file) = message.get::<File>(&kind)? {
            notification.text = file.caption;
            let (id, content_type, filename) = (file.id, file.mime_type, file.filename);
            notification.media = vec![Media { kind: Some(kind), id, content_type, filename, url: None }];
        }
    } else {
        notification.text = written(message, &kind)?;
    }
    notification.message_id = Some(id.clone());
    notification.into_event(&[&id, "received"])
}

/// What the customer wrote, or the words on the button that they pressed.
fn written(message: &Object<'_>, kind: &str) -> Result<Option<String>> {
    let field = match kind {
        "text" => "body",
        "button" => "text",
        "interactive" => "type",
        _ => return Ok(None),
    };
    let Some(content) = message.object(kind)? else { return Ok(None) };
    let found = text(&content, field)?;
    match (kind, found) {
        ("interactive", Some(choice)) => match content.object(&choice)? {
            Some(choice) => text(&choice, "title"),
            None => Ok(None),
        },
        (_, found) => Ok(found),
    }
}

/// Seconds since 1970, which Meta sends as a string.
fn occurred_at(object: &Object<'_>) -> Result<String> {
    let timestamp: &RawValue = object.require("timestamp")?;
    let seconds = notification::code(timestamp).and_then(|seconds| notification::of_seconds(&seconds));
    seconds.ok_or_else(|| object.failure("timestamp", "expected seconds since 1970"))
}

/// The first error, of which Meta sends one.
fn error(object: &Object<'_>) -> Result<Option<Error>> {
    let errors: Vec<CloudError<'_>> = object.get("errors")?.unwrap_or_default();
    Ok(errors.into_iter().next().and_then(|error| {
        let details = error.error_data.and_then(|data| data.details);
        let message = details.or(error.message).or(error.title);
        Error::known(error.code.and_then(notification::code), message)
    }))
}

impl<'body> Context<'body> {
    fn of(value: &'body Object<'_>) -> Result<Self> {
        let metadata: Option<Metadata> = value.get("metadata")?;
        let number = metadata.and_then(|metadata| metadata.display_phone_number);
        let mut contacts = Vec::new();
        for text in value.get::<Vec<&RawValue>>("contacts")?.unwrap_or_default() {
            let contact: Contact = hookmill_plugin::serde_json::from_str(text.get())?;
            contacts.extend(contact.wa_id.map(|id| (id, text)));
        }
        let number = number.as_deref().map(notification::international);
        Ok(Self { metadata: value.raw("metadata"), number, contacts })
    }

    /// The change as Meta would have sent it for this report or message alone.
    fn original(&self, wa_id: Option<&str>, list: &'static str, item: &Object<'_>) -> Result<Object<'_>> {
        let mut original = Object::new();
        if let Some(metadata) = self.metadata {
            original.insert("metadata", metadata)?;
        }
        if let Some((_, contact)) = self.contacts.iter().find(|(id, _)| Some(id.as_str()) == wa_id) {
            original.insert("contacts", &[contact])?;
        }
        original.insert(list, &[item])?;
        Ok(original)
    }
}
