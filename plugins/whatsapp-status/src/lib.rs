//! Turns a WhatsApp status notification of the provider into OsmoX's notification object, so that the receiver sees one
//! shape whichever way a message went; the plugin `osmox-notification` takes its output as input.
//!
//! In: `whatsapp:message:status` ("Webhooks", section "Message Status Notification"). Out: the
//! [notification](reshape). The provider's other events, for example an incoming message, tell nothing about a delivery:
//! they are dropped with a reason, unless the endpoint's settings let them pass. The README has the mapping as a table.
//!
//! Nothing is made up: what the provider doesn't say and the settings don't either is not in the notification.

use std::collections::BTreeMap;

use hookmill_plugin::{Event, Kind, Object, Outcome, Request, Result, Target, Value, transform};
use serde::Deserialize;

/// The one event that this plugin reshapes.
const STATUS_EVENT: &str = "whatsapp:message:status";

/// Where the time comes from at which the message was made: the first that the provider knows.
const CREATION_TIMES: [&str; 2] = ["processed_at", "timestamp"];

/// Where the time of the last change comes from: the stages of a message from its last to its first.
const UPDATE_TIMES: [&str; 4] = ["timestamp", "read_at", "delivered_at", "processed_at"];

/// What an endpoint's owner may set. All of it is optional.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
struct Settings {
    /// OsmoX's delivery state for each of the provider's; `null` drops the event. What isn't named here is as in
    /// [`meaning`].
    delivery_status: BTreeMap<String, Option<i64>>,
    /// Fields that every notification gets because only the endpoint's owner knows them, for example
    /// `{"providerId": 4, "channelType": 3, "applicationId": 1}`.
    fields: BTreeMap<String, Value>,
    /// What to do with the provider's other events.
    other_events: OtherEvents,
}

#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
enum OtherEvents {
    /// Send nothing.
    #[default]
    Drop,
    /// Send them as they came.
    Pass,
}

transform!(reshape, manifest = "../plugin.json");

/// Makes the notification.
///
/// # Errors
/// A permanent failure where the event is no JSON object, a field that the notification needs is missing or of another
/// type than documented, or the status is unknown; the message names the field.
pub fn reshape(event: &Event, target: &Target) -> Result<Outcome> {
    let settings: Settings = target.settings()?;
    let envelope = event.object()?;
    let name: String = envelope.require("event")?;
    if name != STATUS_EVENT {
        return Ok(match settings.other_events {
            OtherEvents::Drop => Outcome::drop(format!("`{name}` is not `{STATUS_EVENT}`")),
            OtherEvents::Pass => Outcome::deliver(Request::new()),
        });
    }
    let Some(payload) = envelope.object("payload")? else {
        return Err(envelope.failure("payload", "missing"));
    };
    let status: String = payload.require("status")?;
    match meaning(&status, &settings) {
        Meaning::Code(code) => Ok(Request::new().json(&notification(&payload, code, &settings)?)?.into()),
        Meaning::Nothing => {
            Ok(Outcome::drop(format!("`{status}` has no delivery status in the endpoint's settings")))
        }
        Meaning::Unknown => {
            let reason = format!("unknown status `{status}`; name it in the setting `deliveryStatus`");
            Err(payload.failure("status", reason))
        }
    }
}

/// What one of the provider's states means to OsmoX.
enum Meaning {
    /// The delivery state with this code.
    Code(i64),
    /// Nothing about the delivery.
    Nothing,
    /// Neither documented nor in the settings.
    Unknown,
}

/// As OsmoX itself reads WhatsApp's states: sent, delivered and read are a success (5), failed is a failure (6). That a
/// message was deleted says nothing about its delivery.
fn meaning(status: &str, settings: &Settings) -> Meaning {
    match (settings.delivery_status.get(status), status) {
        (Some(Some(code)), _) => Meaning::Code(*code),
        (Some(None), _) => Meaning::Nothing,
        (None, "sent" | "delivered" | "read") => Meaning::Code(5),
        (None, "failed") => Meaning::Code(6),
        (None, "deleted") => Meaning::Nothing,
        (None, _) => Meaning::Unknown,
    }
}

fn notification<'payload>(
    payload: &'payload Object<'payload>,
    code: i64,
    settings: &Settings,
) -> Result<Object<'payload>> {
    let mut data = Object::new();
    for name in ["to", "from"] {
        if let Some(number) = payload.get::<String>(name)? {
            data.insert(name, &international(number))?;
        }
    }
    let mut result = Object::new();
    result.insert("result", payload)?;

    let mut notification = Object::new();
    insert_id(&mut notification, payload)?;
    notification.insert("data", &data)?;
    notification.insert("deliveryStatus", &code)?;
    notification.insert("result", &result)?;
    if let Some(created) = first_time(payload, &CREATION_TIMES)? {
        notification.insert("createdOn", &created)?;
    }
    if let Some(updated) = first_time(payload, &UPDATE_TIMES)? {
        notification.insert("updatedOn", &updated)?;
    }
    for (name, value) in &settings.fields {
        notification.insert(name.clone(), value)?;
    }
    Ok(notification)
}

/// Sets `id` to the business's own identifier of the message where the provider was given one, as a number where it reads
/// as one, since OsmoX numbers its notifications; else to the provider's id.
fn insert_id(notification: &mut Object<'_>, payload: &Object<'_>) -> Result<()> {
    payload.expect("foreign_id", &[Kind::String, Kind::Number, Kind::Null])?;
    if let Some(number) = payload.raw("foreign_id").filter(|id| Kind::of(id) == Kind::Number) {
        return notification.insert("id", number);
    }
    let foreign_id = payload.get::<Option<String>>("foreign_id")?.flatten().filter(|id| !id.is_empty());
    let Some(id) = foreign_id else {
        return notification.insert("id", &payload.require::<String>("id")?);
    };
    match id.parse::<u64>() {
        Ok(number) if number.to_string() == id => notification.insert("id", &number),
        Ok(_) | Err(_) => notification.insert("id", &id),
    }
}

/// The first of these times that the provider knows already.
fn first_time(payload: &Object<'_>, names: &[&str]) -> Result<Option<String>> {
    for name in names {
        match payload.get::<Option<String>>(name)?.flatten() {
            Some(time) if !time.is_empty() => return Ok(Some(time)),
            Some(_) | None => {}
        }
    }
    Ok(None)
}

/// A mobile number as OsmoX writes it: the provider's has the country code and no `+`.
fn international(number: String) -> String {
    let is_complete = !number.starts_with(|first: char| first.is_ascii_digit());
    if is_complete { number } else { format!("+{number}") }
}
