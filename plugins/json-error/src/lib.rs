//! Reads answers that say 200 and mean an error: `{"error": "busy"}`, `{"ok": false}`.
//!
//! It is asked about successes only, and looks into JSON only: anything else means what its status says. Which places of the body tell
//! of an error is in the settings.

use hookmill_plugin::{Answer, Classification, Event, Result, Target, Value, classifier};
use serde::Deserialize;

/// Characters of the body that a reason quotes.
const QUOTED_CHARS_MAX: usize = 200;

/// What an endpoint's owner may set. All of it is optional.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
struct Settings {
    /// Places (RFC 6901) where anything but nothing is an error; nothing is `null`, `false`, 0, an empty string, array or
    /// object.
    errors: Vec<String>,
    /// Places where `false` is an error.
    successes: Vec<String>,
    /// What an error means.
    then: Then,
    /// Errors that no retry can mend, whatever `then` says: those whose text contains one of these.
    fatal: Vec<String>,
}

#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Then {
    /// Try again on the retry schedule.
    #[default]
    Retry,
    /// Never try again.
    Fail,
}

impl Default for Settings {
    fn default() -> Self {
        let places = |places: &[&str]| places.iter().map(|place| (*place).to_owned()).collect();
        Self {
            errors: places(&["/error", "/errors"]),
            successes: places(&["/ok", "/success"]),
            then: Then::Retry,
            fatal: Vec::new(),
        }
    }
}

classifier!(classify, manifest = "../plugin.json");

/// Says what the answer means.
///
/// # Errors
/// Where the settings are not as documented.
pub fn classify(answer: &Answer, _event: &Event, target: &Target) -> Result<Classification> {
    let settings: Settings = target.settings()?;
    let Ok(body) = answer.json::<Value>() else { return Ok(Classification::NoOpinion) };
    let Some(reason) = told_error(&body, &settings) else { return Ok(Classification::NoOpinion) };
    let is_fatal = settings.fatal.iter().any(|part| reason.contains(part));
    Ok(match settings.then {
        Then::Retry if !is_fatal => Classification::Retry(reason),
        Then::Retry | Then::Fail => Classification::Fail(reason),
    })
}

/// The first error that the body tells of: its place and what stands there.
fn told_error(body: &Value, settings: &Settings) -> Option<String> {
    let error = settings.errors.iter().find_map(|place| {
        let value = body.pointer(place).filter(|value| !is_nothing(value))?;
        Some(format!("{place}: {}", quoted(value)))
    });
    error.or_else(|| {
        let place =
            settings.successes.iter().find(|place| body.pointer(place) == Some(&Value::Bool(false)))?;
        Some(format!("{place}: false"))
    })
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(told) => !told,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
    }
}

/// A text as it is, anything else as JSON; cut where it is long.
fn quoted(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match text.char_indices().nth(QUOTED_CHARS_MAX) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}
