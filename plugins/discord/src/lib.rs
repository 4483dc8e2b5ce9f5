//! Turns events into Discord messages, for a channel's webhook ("Execute Webhook").
//!
//! What the message says are templates ([`template`]) in the endpoint's settings. Unless the settings allow it, a message
//! mentions nobody, whatever an event brings along. What is longer than Discord takes is cut, and the cut shows.
//!
//! Discord's rules, by its documentation: "Execute Webhook", "Allowed Mentions", "Embed Limits".

use std::borrow::Cow;

use hookmill_plugin::{Event, Failure, Request, Result, Target, Value, json, template, time, transform};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

/// Discord's limits, in characters and pieces.
const CONTENT_CHARACTERS_MAX: usize = 2000;
const NAME_CHARACTERS_MAX: usize = 80;
const THREAD_NAME_CHARACTERS_MAX: usize = 100;
const EMBEDS_MAX: usize = 10;
const FIELDS_MAX: usize = 25;
const TITLE_CHARACTERS_MAX: usize = 256;
const DESCRIPTION_CHARACTERS_MAX: usize = 4096;
const FIELD_VALUE_CHARACTERS_MAX: usize = 1024;
const FOOTER_CHARACTERS_MAX: usize = 2048;
/// Of all texts of all embeds together.
const EMBEDS_CHARACTERS_MAX: usize = 6000;

/// Discord's flag for a message without a sound.
const SUPPRESS_NOTIFICATIONS: u32 = 1 << 12;

/// What an endpoint's owner may set. All of it is optional.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    /// The message: a template.
    content: Option<String>,
    /// Boxes below it. Without them and without `content`, one that shows the event.
    embeds: Option<Vec<Embed>>,
    /// In the place of the webhook's own name: a template.
    username: Option<String>,
    /// In the place of the webhook's own picture.
    avatar_url: Option<String>,
    /// Who may be mentioned, as Discord's `allowed_mentions`; nobody by default.
    allowed_mentions: Option<Value>,
    /// The thread to begin, in a channel of threads: a template.
    thread_name: Option<String>,
    /// Sends it without a sound.
    silent: bool,
}

/// A box with a coloured bar. Texts are templates.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Embed {
    title: Option<String>,
    description: Option<String>,
    url: Option<String>,
    color: Option<Color>,
    fields: Vec<Field>,
    author: Option<String>,
    footer: Option<String>,
    image: Option<String>,
    thumbnail: Option<String>,
    /// Shows when the router accepted the event.
    timestamp: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Field {
    name: String,
    value: String,
    #[serde(default)]
    inline: bool,
}

/// Red, green and blue in one number, which is what Discord takes; people write `#d9480f`.
#[derive(Debug, Clone, Copy)]
struct Color(u32);

transform!(reshape, manifest = "../plugin.json");

/// Makes the message.
///
/// # Errors
/// A permanent failure where a template is none, has a pointer and the event is no JSON, or where there are more embeds or
/// fields than Discord takes.
pub fn reshape(event: &Event, target: &Target) -> Result<Request> {
    let settings: Settings = target.settings()?;
    let mut message = json!({"allowed_mentions": settings.allowed_mentions.unwrap_or(json!({"parse": []}))});
    if let Some(content) = &settings.content {
        message["content"] = cut(&filled(content, event)?, CONTENT_CHARACTERS_MAX).into();
    }
    let embeds = match (settings.embeds, settings.content) {
        (Some(embeds), _) => embeds,
        (None, Some(_)) => Vec::new(),
        (None, None) => vec![Embed {
            title: Some("{{type}}".to_owned()),
            description: Some("```json\n{{body}}```".to_owned()),
            timestamp: true,
            ..Embed::default()
        }],
    };
    at_most(embeds.len(), EMBEDS_MAX, "embeds")?;
    let mut budget = Budget { characters: EMBEDS_CHARACTERS_MAX };
    let embeds =
        embeds.iter().map(|embed| embed.filled(event, &mut budget)).collect::<Result<Vec<Value>>>()?;
    if !embeds.is_empty() {
        message["embeds"] = embeds.into();
    }
    if let Some(name) = &settings.username {
        message["username"] = cut(&filled(name, event)?, NAME_CHARACTERS_MAX).into();
    }
    if let Some(url) = settings.avatar_url {
        message["avatar_url"] = url.into();
    }
    if let Some(name) = &settings.thread_name {
        message["thread_name"] = cut(&filled(name, event)?, THREAD_NAME_CHARACTERS_MAX).into();
    }
    if settings.silent {
        message["flags"] = SUPPRESS_NOTIFICATIONS.into();
    }
    Request::new().json(&message)
}

impl Embed {
    fn filled(&self, event: &Event, budget: &mut Budget) -> Result<Value> {
        at_most(self.fields.len(), FIELDS_MAX, "fields in an embed")?;
        let mut embed = json!({});
        let mut text = |template: &Option<String>, characters_max: usize| -> Result<Option<String>> {
            let Some(template) = template else { return Ok(None) };
            Ok(budget.take(&filled(template, event)?, characters_max))
        };
        if let Some(title) = text(&self.title, TITLE_CHARACTERS_MAX)? {
            embed["title"] = title.into();
        }
        if let Some(name) = text(&self.author, TITLE_CHARACTERS_MAX)? {
            embed["author"] = json!({"name": name});
        }
        if let Some(footer) = text(&self.footer, FOOTER_CHARACTERS_MAX)? {
            embed["footer"] = json!({"text": footer});
        }
        if let Some(description) = text(&self.description, DESCRIPTION_CHARACTERS_MAX)? {
            embed["description"] = description.into();
        }
        let mut fields = Vec::new();
        for field in &self.fields {
            let (name, value) = (filled(&field.name, event)?, filled(&field.value, event)?);
            // Discord refuses a field without a name or a value.
            let name = budget.take(&name, TITLE_CHARACTERS_MAX);
            let value = budget.take(&value, FIELD_VALUE_CHARACTERS_MAX);
            if let (Some(name), Some(value)) = (name, value) {
                fields.push(json!({"name": name, "value": value, "inline": field.inline}));
            }
        }
        if !fields.is_empty() {
            embed["fields"] = fields.into();
        }
        if let Some(Color(color)) = self.color {
            embed["color"] = color.into();
        }
        if let Some(url) = &self.url {
            embed["url"] = filled(url, event)?.into();
        }
        for (name, url) in [("image", &self.image), ("thumbnail", &self.thumbnail)] {
            if let Some(url) = url {
                embed[name] = json!({"url": filled(url, event)?});
            }
        }
        if self.timestamp {
            embed["timestamp"] = time::rfc3339(event.accepted_at_ms()).into();
        }
        Ok(embed)
    }
}

/// What is left for texts of embeds.
struct Budget {
    characters: usize,
}

impl Budget {
    /// As much of a text as there is room for; nothing where the text or the room is empty.
    fn take(&mut self, text: &str, characters_max: usize) -> Option<String> {
        if text.trim().is_empty() || self.characters == 0 {
            return None;
        }
        let taken = cut(text, characters_max.min(self.characters));
        self.characters -= taken.chars().count();
        Some(taken)
    }
}

fn filled(template: &str, event: &Event) -> Result<String> {
    template::fill(template, event)
}

/// At most so many characters of a text, at least one, and an ellipsis in the place of the rest. Code that is cut is still
/// code.
fn cut(text: &str, characters_max: usize) -> String {
    if text.len() <= characters_max || text.chars().count() <= characters_max {
        return text.to_owned();
    }
    let end = if text.ends_with("```") && characters_max > 4 { "…```" } else { "…" };
    let kept: String = text.chars().take(characters_max.saturating_sub(end.chars().count())).collect();
    kept + end
}

fn at_most(count: usize, max: usize, what: &str) -> Result<()> {
    if count <= max {
        return Ok(());
    }
    Err(Failure::permanent(format!("the message has {count} {what}, Discord takes at most {max}")))
}

impl<'de> Deserialize<'de> for Color {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        let digits = text
            .strip_prefix('#')
            .filter(|digits| digits.len() == 6 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let color = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        color.map(Self).ok_or_else(|| D::Error::custom(format!("`{text}` is no colour as `#d9480f`")))
    }
}
