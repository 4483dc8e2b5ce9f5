//! Context attributes: their names, their values, and how they stand in headers.

use std::fmt::Write as _;

use hookmill_plugin::{Event, Failure, Result, template};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::Settings;

/// Names that an extension can't have: the attributes of the specification, and the JSON format's own members.
const TAKEN: [&str; 10] = [
    "data",
    "data_base64",
    "datacontenttype",
    "dataschema",
    "id",
    "source",
    "specversion",
    "subject",
    "time",
    "type",
];

/// A context attribute with a value.
pub(crate) struct Attribute {
    pub(crate) name: String,
    pub(crate) value: String,
}

/// All attributes but `specversion` and `datacontenttype`, which the modes write.
pub(crate) fn attributes(settings: &Settings, event: &Event) -> Result<Vec<Attribute>> {
    let mut attributes = Vec::new();
    let mut push = |name: &str, filled: String| {
        attributes.push(Attribute { name: name.to_owned(), value: filled });
    };
    for (name, template) in
        [("id", &settings.id), ("source", &settings.source), ("type", &settings.event_type)]
    {
        match value(name, template, event)? {
            Some(value) => push(name, value),
            None => return Err(failure(name, "is empty, CloudEvents wants a value")),
        }
    }
    if let Some(time) = value("time", &settings.time, event)? {
        if OffsetDateTime::parse(&time, &Rfc3339).is_err() {
            return Err(failure("time", &format!("is `{time}`, CloudEvents wants a time of RFC 3339")));
        }
        push("time", time);
    }
    for (name, template) in [("subject", &settings.subject), ("dataschema", &settings.dataschema)] {
        if let Some(value) = value(name, template, event)? {
            push(name, value);
        }
    }
    for (name, template) in &settings.extensions {
        let is_plain = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        if name.is_empty() || !is_plain {
            return Err(failure(
                name,
                "is no name of an extension: these have lower-case letters and digits",
            ));
        }
        if TAKEN.contains(&name.as_str()) {
            return Err(failure(name, "is no extension: it has a meaning of its own"));
        }
        if let Some(value) = value(name, template, event)? {
            push(name, value);
        }
    }
    Ok(attributes)
}

/// A filled template; nothing where it is empty.
fn value(name: &str, template: &str, event: &Event) -> Result<Option<String>> {
    let value = template::fill(template, event)?;
    // CloudEvents, "Type System": a string has no control characters.
    if value.chars().any(char::is_control) {
        return Err(failure(name, "has a control character, which CloudEvents forbids"));
    }
    Ok(Some(value).filter(|value| !value.is_empty()))
}

fn failure(name: &str, what: &str) -> Failure {
    Failure::permanent(format!("the attribute `{name}` {what}"))
}

impl Attribute {
    /// The value as a header's (HTTP protocol binding, 3.1.3.2): blanks, `"`, `%` and everything that is not printable
    /// ASCII is percent-encoded.
    pub(crate) fn header_value(&self) -> String {
        let mut encoded = String::with_capacity(self.value.len());
        for byte in self.value.bytes() {
            match byte {
                b'"' | b'%' => push_encoded(&mut encoded, byte),
                0x21..=0x7e => encoded.push(byte.into()),
                _ => push_encoded(&mut encoded, byte),
            }
        }
        encoded
    }
}

fn push_encoded(encoded: &mut String, byte: u8) {
    let _ = write!(encoded, "%{byte:02X}");
}
