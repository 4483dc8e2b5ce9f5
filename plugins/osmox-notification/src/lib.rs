//! Turns OsmoX's notification object into a flat delivery report for the application that asked for the message.
//!
//! In: the *complete notification object* that OsmoX posts to a registered webhook ("Osmox Webhook Configuration and
//! Usage Guide", section "Example Payload"). Out: the [report](reshape), in which what an application acts on stands at
//! the top and under one name, and everything else is kept below. The README has both side by side.
//!
//! Values that are only moved keep their exact text, so ids of any size, fractions and time formats pass unharmed.

use std::collections::BTreeMap;

use hookmill_plugin::{Event, Kind, Object, Raw, Request, Result, Target, transform};
use serde::Deserialize;

/// What stands in the place of a redacted value.
const REDACTED: &str = "[redacted]";

const NUMBER: &[Kind] = &[Kind::Number];
const STRING: &[Kind] = &[Kind::String];
/// OsmoX numbers its notifications; other senders of the same object may not.
const ID: &[Kind] = &[Kind::Number, Kind::String];

/// What an endpoint's owner may set. All of it is optional.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
struct Settings {
    /// Fields of `data` that are left out. A `*` at the end stands for any ending: `indiaDlt*`.
    drop: Vec<String>,
    /// Fields of `data` whose value is replaced by `[redacted]`; a `*` at the end as above.
    redact: Vec<String>,
    /// Names for codes of delivery states, before the built-in ones: `{"7": "expired"}`.
    delivery_status_names: BTreeMap<String, String>,
    /// Names for codes of channels, before the built-in ones.
    channel_type_names: BTreeMap<String, String>,
    /// Leaves out `details`, the fields that the report has no place of its own for.
    without_details: bool,
}

transform!(reshape, manifest = "../plugin.json");

/// Makes the report.
///
/// # Errors
/// A permanent failure where the event is no JSON object, a field that the report needs is missing, or a field is of
/// another type than documented; the message names the field.
pub fn reshape(event: &Event, target: &Target) -> Result<Request> {
    let settings: Settings = target.settings()?;
    let mut notification = event.object()?;
    let mut content = take_content(&mut notification, &settings)?;

    let mut report = Object::new();
    report.insert_raw("notificationId", require(&mut notification, "id", ID)?);
    for name in ["applicationId", "providerId"] {
        transfer(&mut notification, &mut report, name, NUMBER)?;
    }
    if let Some(code) = notification.take("channelType", NUMBER)? {
        let name = settings.channel_type_names.get(code.get()).map(String::as_str);
        let name = name.or_else(|| channel_type_name(code.get()));
        insert_code(&mut report, ["channelType", "channelTypeName"], code, name)?;
    }
    let code = require(&mut notification, "deliveryStatus", NUMBER)?;
    let name = settings.delivery_status_names.get(code.get()).map(String::as_str);
    let name = name.or_else(|| delivery_status_name(code.get()));
    insert_code(&mut report, ["deliveryStatus", "deliveryStatusName"], code, name)?;
    if let Some(to) = content.remove("to") {
        report.insert_raw("to", to);
    }
    report.insert("content", &content)?;
    transfer(&mut notification, &mut report, "retryCount", NUMBER)?;
    for name in ["createdOn", "updatedOn"] {
        transfer(&mut notification, &mut report, name, STRING)?;
    }
    if !settings.without_details && !notification.is_empty() {
        report.insert("details", &notification)?;
    }
    Request::new().json(&report)
}

/// Takes out `data`, the message itself, without what the owner doesn't want to pass on.
fn take_content<'event>(notification: &mut Object<'event>, settings: &Settings) -> Result<Object<'event>> {
    let mut content = notification.take_object("data")?.unwrap_or_default();
    for name in ["to", "text"] {
        content.expect(name, STRING)?;
    }
    content.retain(|name| !any_matches(&settings.drop, name));
    let redacted = content.iter().map(|(name, _)| name).filter(|name| any_matches(&settings.redact, name));
    let redacted: Vec<String> = redacted.map(str::to_owned).collect();
    for name in redacted {
        content.insert(name, REDACTED)?;
    }
    Ok(content)
}

/// Sets a code and, where it has one, its name: `"deliveryStatus": 5, "deliveryStatusName": "success"`.
fn insert_code<'event>(
    report: &mut Object<'event>,
    [code_field, name_field]: [&'static str; 2],
    code: Raw<'event>,
    name: Option<&str>,
) -> Result<()> {
    report.insert_raw(code_field, code);
    match name {
        Some(name) => report.insert(name_field, name),
        None => Ok(()),
    }
}

/// OsmoX's delivery states by their code, as its source names them (`DeliveryStatus`).
fn delivery_status_name(code: &str) -> Option<&'static str> {
    match code {
        "1" => Some("pending"),
        "2" => Some("in-progress"),
        "3" => Some("awaiting-confirmation"),
        "4" => Some("queued-confirmation"),
        "5" => Some("success"),
        "6" => Some("failed"),
        _ => None,
    }
}

/// OsmoX's channels by their code, as its source names them (`ChannelType`).
fn channel_type_name(code: &str) -> Option<&'static str> {
    match code {
        "1" => Some("smtp"),
        "2" => Some("mailgun"),
        "3" => Some("wa-360dialog"),
        "4" => Some("wa-twilio"),
        "5" => Some("sms-twilio"),
        "6" => Some("sms-plivo"),
        "7" => Some("wa-twilio-business"),
        "8" => Some("sms-kapsystem"),
        _ => None,
    }
}

fn require<'event>(notification: &mut Object<'event>, name: &str, kinds: &[Kind]) -> Result<Raw<'event>> {
    match notification.take(name, kinds)? {
        Some(value) => Ok(value),
        None => Err(notification.failure(name, "missing")),
    }
}

/// Moves a field from the notification to the report under the same name, if it is there.
fn transfer<'event>(
    notification: &mut Object<'event>,
    report: &mut Object<'event>,
    name: &'static str,
    kinds: &[Kind],
) -> Result<()> {
    if let Some(value) = notification.take(name, kinds)? {
        report.insert_raw(name, value);
    }
    Ok(())
}

/// Whether one of the patterns is this name, or ends in `*` and begins it.
fn any_matches(patterns: &[String], name: &str) -> bool {
    patterns.iter().any(|pattern| match pattern.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => pattern == name,
    })
}
