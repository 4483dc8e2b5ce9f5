//! Runs a jq filter over each event: the body is what the filter makes of the event's.
//!
//! One value becomes one request, several become several, none (`empty`) drops the event. The filter is the setting
//! `filter`; beside the body it sees the event in `$event` and all settings in `$settings`. [`filter`] is jq itself, by way
//! of jaq; [`definitions`] keeps it quick.

mod base32;
pub mod definitions;
mod filter;
mod number;
mod words;

use hookmill_plugin::{
    Event, Failure, Outcome, Request, Result, SETTINGS_CHECK, Target, json, serde_json, transform,
};
use jaq_json::{Val, read, write};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::filter::Filter;

/// As many as the router takes of one event.
const REQUESTS_MAX: usize = 16;

/// How deep an event may nest: as deep as serde_json reads, and well within the stack.
const DEPTH_MAX: usize = 128;

/// What an endpoint's owner sets. Other settings are the filter's own, in `$settings`.
#[derive(Debug, Deserialize)]
struct Settings {
    /// The filter.
    filter: String,
}

transform!(reshape, manifest = "../plugin.json");

/// Runs the filter.
///
/// # Errors
/// A permanent failure where the filter can't be compiled, the event is no JSON, the filter fails, or what it makes is no
/// JSON or too much.
pub fn reshape(event: &Event, target: &Target) -> Result<Outcome> {
    let settings: Settings = target.settings()?;
    let filter = Filter::compile(&settings.filter)?;
    if event.event_type() == SETTINGS_CHECK {
        return Ok(Outcome::drop("the filter can be compiled"));
    }
    // jaq takes more than JSON, and as deep as its stack reaches.
    event.json::<IgnoredAny>()?;
    if nesting(event.text()?) > DEPTH_MAX {
        return Err(Failure::permanent(format!("the event's body: nested deeper than {DEPTH_MAX} levels")));
    }
    let variables = [
        variable(&settings.filter, "$event", || about(event))?,
        variable(&settings.filter, "$settings", || target.settings::<serde_json::Value>())?,
    ];
    let mut bodies = Vec::new();
    for value in filter.run(value(event.bytes())?, variables) {
        if bodies.len() == REQUESTS_MAX {
            return Err(Failure::permanent(format!(
                "the filter makes more than {REQUESTS_MAX} values: an event becomes at most as many requests"
            )));
        }
        bodies.push(text(&number::with_whole_numbers(value?))?);
    }
    Ok(outcome(bodies))
}

fn outcome(bodies: Vec<String>) -> Outcome {
    let request = |body| Request::new().header("content-type", "application/json").text(body);
    match bodies.len() {
        0 => Outcome::drop("the filter makes nothing of this event"),
        1 => Outcome::Deliver(bodies.into_iter().map(request).collect()),
        _ => {
            let numbered = (1..).zip(bodies);
            Outcome::Deliver(
                numbered.map(|(number, body)| request(body).part_key(format!("{number}"))).collect(),
            )
        }
    }
}

/// The value of a variable: `null` where the filter doesn't name it, since to ask the router costs time.
fn variable(filter: &str, name: &str, make: impl FnOnce() -> Result<serde_json::Value>) -> Result<Val> {
    if filter.contains(name) { value(make()?.to_string().as_bytes()) } else { Ok(Val::Null) }
}

#[expect(clippy::unnecessary_wraps, reason = "as the other variables, some of which can fail")]
fn about(event: &Event) -> Result<serde_json::Value> {
    Ok(json!({
        "id": event.id(),
        "type": event.event_type(),
        "uid": event.uid(),
        "channels": event.channels(),
        "accepted_at": event.accepted_at_ms(),
    }))
}

/// How deep objects and lists in a JSON text nest.
fn nesting(json: &str) -> usize {
    let (mut depth, mut deepest, mut in_string) = (0_usize, 0, false);
    let mut bytes = json.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => in_string = !in_string,
            b'\\' if in_string => drop(bytes.next()),
            b'{' | b'[' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

fn value(json: &[u8]) -> Result<Val> {
    read::parse_single(&number::with_whole_characters(json))
        .map_err(|error| Failure::permanent(format!("the event's body: {error}")))
}

/// A value's JSON. jaq writes what JSON can't express (`nan`, `infinite`, bytes, keys that are no strings) in its own
/// way.
fn text(value: &Val) -> Result<String> {
    let mut json = Vec::new();
    write::write(&mut json, &write::Pp::default(), 0, value)?;
    let json = String::from_utf8(json)
        .map_err(|_| Failure::permanent("the filter makes a text that is not UTF-8"))?;
    match serde_json::from_str::<IgnoredAny>(&json) {
        Ok(_) => Ok(json),
        Err(error) => {
            let start: String = json.chars().take(80).collect();
            Err(Failure::permanent(format!("the filter makes what is not JSON, {error}: {start}")))
        }
    }
}
