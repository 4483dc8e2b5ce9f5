//! Turns events into Slack messages, for an incoming webhook or `chat.postMessage`.
//!
//! What the message says are templates ([`template`]) in the endpoint's settings. What an event brings along is escaped,
//! so that nobody who can cause an event can mention a channel; the template's own markup stays. What is longer than Slack
//! takes is cut, and the cut shows.
//!
//! Slack's rules, by its documentation: "Formatting text for app surfaces" (escaping), "Blocks" and "Composition objects"
//! (lengths), `chat.postMessage` (fields of a message).

mod escape;

use hookmill_plugin::{Event, Failure, Request, Result, Target, Value, json, template, transform};
use serde::Deserialize;

use crate::escape::{cut, escape};

/// Slack's limits, in characters and pieces.
const TEXT_CHARACTERS_MAX: usize = 40_000;
const HEADER_CHARACTERS_MAX: usize = 150;
const SECTION_CHARACTERS_MAX: usize = 3000;
const FIELD_CHARACTERS_MAX: usize = 2000;
const FIELDS_MAX: usize = 10;
const BLOCKS_MAX: usize = 50;

/// What a message says where the settings don't: the event's type and its body.
const TEXT_DEFAULT: &str = "*{{type}}*\n```{{body}}```";

/// What an endpoint's owner may set. All of it is optional.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    /// The message: a template.
    text: Option<String>,
    /// A line above it, in large letters: a template.
    title: Option<String>,
    /// Names and values below it: templates, two beside each other.
    fields: Vec<Field>,
    /// Small print at the end: a template.
    footer: Option<String>,
    /// A bar beside the message: `#d9480f`, or Slack's `good`, `warning`, `danger`.
    color: Option<String>,
    /// Blocks of one's own in the place of all of the above but `text`, which notifications show. Each string in them is a
    /// template.
    blocks: Option<Vec<Value>>,
    /// Where to post it: for `chat.postMessage`. A template.
    channel: Option<String>,
    /// The message that it answers, by its `ts`: for `chat.postMessage`. A template.
    thread_ts: Option<String>,
    /// The name of the secret that has a bot's token: for `chat.postMessage`.
    token_secret: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Field {
    title: String,
    value: String,
}

transform!(reshape, manifest = "../plugin.json");

/// Makes the message.
///
/// # Errors
/// A permanent failure where a template is none, has a pointer and the event is no JSON, or where there are more blocks
/// or fields than Slack takes.
pub fn reshape(event: &Event, target: &Target) -> Result<Request> {
    let settings: Settings = target.settings()?;
    let text = settings.text.as_deref().unwrap_or(TEXT_DEFAULT);
    let text = cut(&template::fill_escaped(text, event, escape)?, TEXT_CHARACTERS_MAX);
    let blocks = match &settings.blocks {
        Some(blocks) => blocks.iter().map(|block| filled(block, event)).collect::<Result<Vec<Value>>>()?,
        None => blocks(&text, &settings, event)?,
    };
    if blocks.len() > BLOCKS_MAX {
        return Err(Failure::permanent(format!(
            "the message has {} blocks, Slack takes at most {BLOCKS_MAX}",
            blocks.len()
        )));
    }
    let mut message = json!({"text": text});
    match &settings.color {
        Some(color) => message["attachments"] = json!([{"color": color, "blocks": blocks}]),
        None => message["blocks"] = blocks.into(),
    }
    for (name, value) in [("channel", &settings.channel), ("thread_ts", &settings.thread_ts)] {
        if let Some(value) = value {
            message[name] = template::fill(value, event)?.into();
        }
    }
    let request = Request::new().json(&message)?;
    Ok(match &settings.token_secret {
        Some(secret) => request.secret_header("authorization", "Bearer ", secret),
        None => request,
    })
}

/// The blocks of a message whose owner writes none: title, text, fields, footer.
fn blocks(text: &str, settings: &Settings, event: &Event) -> Result<Vec<Value>> {
    if settings.fields.len() > FIELDS_MAX {
        return Err(Failure::permanent(format!(
            "the message has {} fields, Slack takes at most {FIELDS_MAX}",
            settings.fields.len()
        )));
    }
    let mut blocks = Vec::new();
    if let Some(title) = &settings.title {
        // Plain text: Slack reads no markup in it, so there is none to escape.
        let title = cut(&template::fill(title, event)?, HEADER_CHARACTERS_MAX);
        if !title.trim().is_empty() {
            blocks.push(json!({"type": "header", "text": {"type": "plain_text", "text": title}}));
        }
    }
    if !text.trim().is_empty() {
        blocks.push(json!({"type": "section", "text": markdown(text, SECTION_CHARACTERS_MAX)}));
    }
    let mut fields = Vec::new();
    for field in &settings.fields {
        let title = template::fill_escaped(&field.title, event, escape)?;
        let value = template::fill_escaped(&field.value, event, escape)?;
        if !value.trim().is_empty() {
            fields.push(markdown(&format!("*{title}*\n{value}"), FIELD_CHARACTERS_MAX));
        }
    }
    if !fields.is_empty() {
        blocks.push(json!({"type": "section", "fields": fields}));
    }
    if let Some(footer) = &settings.footer {
        let footer = template::fill_escaped(footer, event, escape)?;
        if !footer.trim().is_empty() {
            blocks.push(json!({"type": "context", "elements": [markdown(&footer, SECTION_CHARACTERS_MAX)]}));
        }
    }
    Ok(blocks)
}

fn markdown(text: &str, characters_max: usize) -> Value {
    json!({"type": "mrkdwn", "text": cut(text, characters_max)})
}

/// A block of the owner's own with all of its texts filled. Where Slack reads markup they are escaped and cut to a
/// section's length; the owner knows the other limits.
fn filled(block: &Value, event: &Event) -> Result<Value> {
    match block {
        Value::String(text) => Ok(template::fill(text, event)?.into()),
        Value::Array(items) => items.iter().map(|item| filled(item, event)).collect(),
        Value::Object(fields) => {
            let is_markdown = fields.get("type").is_some_and(|kind| kind == "mrkdwn");
            let fill = |(name, value): (&String, &Value)| match value {
                Value::String(text) if is_markdown && name == "text" => {
                    let text = template::fill_escaped(text, event, escape)?;
                    Ok((name.clone(), cut(&text, SECTION_CHARACTERS_MAX).into()))
                }
                value => Ok((name.clone(), filled(value, event)?)),
            };
            fields.iter().map(fill).collect::<Result<_>>().map(Value::Object)
        }
        other @ (Value::Null | Value::Bool(_) | Value::Number(_)) => Ok(other.clone()),
    }
}
