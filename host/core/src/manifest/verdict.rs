//! Where a run and its expectation differ, for people and for programs.

use std::borrow::Cow;
use std::fmt;

use serde_json::{Map, Value, json};

use super::diff::{Difference, json_diff};
use super::schema::shorten;
use crate::json::Node;

/// Differences that a [`SampleDiff`] keeps.
const SHOWN_MAX: usize = 20;
/// Characters of one value that a [`SampleDiff`] shows.
const VALUE_CHARS_MAX: usize = 300;
/// Characters of a pointer that a [`SampleDiff`] shows.
const POINTER_CHARS_MAX: usize = 200;
/// Characters of a long text that are shown before the place where it begins to differ.
const CHARS_BEFORE_DIFFERENCE: usize = 20;

/// Where a run and its expectation differ. Bounded: at most 20 places, and the beginnings of long values.
#[derive(Debug, Clone, PartialEq)]
pub struct SampleDiff {
    places: Vec<Place>,
    unlisted: usize,
}

#[derive(Debug, Clone, PartialEq)]
struct Place {
    pointer: String,
    /// JSON.
    expected: Option<Box<str>>,
    /// JSON.
    found: Option<Box<str>>,
}

impl SampleDiff {
    /// Compares what was expected with what was found; none where they are the same.
    pub(super) fn between(expected: Node<'_>, found: Node<'_>) -> Option<Self> {
        let verdict = |outcome: Node<'_>| {
            let first = outcome.members().next();
            first.and_then(|(name, _)| name.text().map(Cow::into_owned))
        };
        let differences = if verdict(expected) == verdict(found) {
            json_diff(expected, found)
        } else {
            // Another verdict altogether is one difference, not one key too few and one too many.
            let whole = (Some(expected.compact().into()), Some(found.compact().into()));
            vec![Difference { pointer: String::new(), before: whole.0, after: whole.1 }]
        };
        let unlisted = differences.len().saturating_sub(SHOWN_MAX);
        let places: Vec<_> = differences.into_iter().take(SHOWN_MAX).map(Place::new).collect();
        (!places.is_empty()).then_some(Self { places, unlisted })
    }

    /// The differences as JSON: `{"differences": [{"pointer", "expected"?, "found"?}], "unlisted": 0}`. What is not
    /// there has no key. A long value is a string, the beginning of its text, and so is one whose numbers no `Value` keeps.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let differences: Vec<Value> = self.places.iter().map(Place::to_json).collect();
        json!({"differences": differences, "unlisted": self.unlisted})
    }
}

impl fmt::Display for SampleDiff {
    /// Three lines a place: the pointer, what was expected, what was found.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |json: &Option<Box<str>>| json.as_deref().unwrap_or("nothing").to_owned();
        for (index, place) in self.places.iter().enumerate() {
            if index > 0 {
                formatter.write_str("\n")?;
            }
            let pointer = if place.pointer.is_empty() { "the verdict" } else { &place.pointer };
            let (expected, found) = (text(&place.expected), text(&place.found));
            write!(formatter, "{pointer}\n  expected {expected}\n  found    {found}")?;
        }
        match self.unlisted {
            0 => Ok(()),
            unlisted => write!(formatter, "\nand {unlisted} more"),
        }
    }
}

impl Place {
    fn new(difference: Difference) -> Self {
        let texts =
            difference.before.as_deref().and_then(text).zip(difference.after.as_deref().and_then(text));
        let (expected, found) = match texts {
            Some((expected, found)) => {
                let skipped = shared_chars(&expected, &found).saturating_sub(CHARS_BEFORE_DIFFERENCE);
                (Some(shown_from(&expected, skipped)), Some(shown_from(&found, skipped)))
            }
            None => (difference.before.map(shown), difference.after.map(shown)),
        };
        let pointer = shorten(&difference.pointer, POINTER_CHARS_MAX).into_owned();
        Self { pointer, expected, found }
    }

    fn to_json(&self) -> Value {
        let mut object = Map::from_iter([("pointer".to_owned(), Value::from(self.pointer.as_str()))]);
        object.extend(self.expected.iter().map(|json| ("expected".to_owned(), value_of(json))));
        object.extend(self.found.iter().map(|json| ("found".to_owned(), value_of(json))));
        Value::Object(object)
    }
}

/// The text of a JSON string.
fn text(json: &str) -> Option<String> {
    serde_json::from_str(json).ok()
}

fn value_of(json: &str) -> Value {
    let is_exact = |value: &Value| {
        let text = value.to_string();
        text == json
    };
    serde_json::from_str(json).ok().filter(is_exact).unwrap_or_else(|| json.into())
}

/// How many characters two texts begin with in common.
fn shared_chars(one: &str, other: &str) -> usize {
    one.chars().zip(other.chars()).take_while(|(one, other)| one == other).count()
}

fn shown_from(text: &str, skipped: usize) -> Box<str> {
    if text.chars().nth(VALUE_CHARS_MAX).is_none() {
        return json_string(text);
    }
    let rest: String = text.chars().skip(skipped).take(VALUE_CHARS_MAX + 1).collect();
    let mark = if skipped > 0 { "…" } else { "" };
    json_string(&format!("{mark}{}", shorten(&rest, VALUE_CHARS_MAX)))
}

fn shown(json: Box<str>) -> Box<str> {
    if json.chars().nth(VALUE_CHARS_MAX).is_none() {
        return json;
    }
    json_string(&shorten(&json, VALUE_CHARS_MAX))
}

fn json_string(text: &str) -> Box<str> {
    Value::from(text).to_string().into()
}
