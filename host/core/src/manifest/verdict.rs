//! Where a run and its expectation differ, for people and for programs.

use std::fmt;

use serde_json::{Map, Value, json};

use super::diff::{Difference, json_diff};
use super::schema::shorten;

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
    expected: Option<Value>,
    found: Option<Value>,
}

impl SampleDiff {
    /// Compares what was expected with what was found; none where they are the same.
    pub(super) fn between(expected: &Value, found: &Value) -> Option<Self> {
        let verdict = |value: &Value| value.as_object().and_then(|object| object.keys().next()).cloned();
        let differences = if verdict(expected) == verdict(found) {
            json_diff(expected, found)
        } else {
            // Another verdict altogether is one difference, not one key too few and one too many.
            let whole = (Some(expected.clone()), Some(found.clone()));
            vec![Difference { pointer: String::new(), before: whole.0, after: whole.1 }]
        };
        let unlisted = differences.len().saturating_sub(SHOWN_MAX);
        let places: Vec<_> = differences.into_iter().take(SHOWN_MAX).map(Place::new).collect();
        (!places.is_empty()).then_some(Self { places, unlisted })
    }

    /// The differences as JSON: `{"differences": [{"pointer", "expected"?, "found"?}], "unlisted": 0}`. What is not
    /// there has no key. A long value is a string, the beginning of its text.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let differences: Vec<Value> = self.places.iter().map(Place::to_json).collect();
        json!({"differences": differences, "unlisted": self.unlisted})
    }
}

impl fmt::Display for SampleDiff {
    /// Three lines a place: the pointer, what was expected, what was found.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |value: &Option<Value>| value.as_ref().map_or("nothing".to_owned(), Value::to_string);
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
        let (expected, found) = match (difference.before, difference.after) {
            (Some(Value::String(expected)), Some(Value::String(found))) => {
                let skipped = shared_chars(&expected, &found).saturating_sub(CHARS_BEFORE_DIFFERENCE);
                (Some(shown_from(&expected, skipped)), Some(shown_from(&found, skipped)))
            }
            (expected, found) => (expected.map(shown), found.map(shown)),
        };
        let pointer = shorten(&difference.pointer, POINTER_CHARS_MAX).into_owned();
        Self { pointer, expected, found }
    }

    fn to_json(&self) -> Value {
        let mut object = Map::from_iter([("pointer".to_owned(), Value::from(self.pointer.as_str()))]);
        object.extend(self.expected.iter().map(|value| ("expected".to_owned(), value.clone())));
        object.extend(self.found.iter().map(|value| ("found".to_owned(), value.clone())));
        Value::Object(object)
    }
}

/// How many characters two texts begin with in common.
fn shared_chars(one: &str, other: &str) -> usize {
    one.chars().zip(other.chars()).take_while(|(one, other)| one == other).count()
}

fn shown_from(text: &str, skipped: usize) -> Value {
    if text.chars().nth(VALUE_CHARS_MAX).is_none() {
        return text.into();
    }
    let rest: String = text.chars().skip(skipped).take(VALUE_CHARS_MAX + 1).collect();
    let mark = if skipped > 0 { "…" } else { "" };
    format!("{mark}{}", shorten(&rest, VALUE_CHARS_MAX)).into()
}

fn shown(value: Value) -> Value {
    let text = value.to_string();
    if text.chars().nth(VALUE_CHARS_MAX).is_none() {
        return value;
    }
    shorten(&text, VALUE_CHARS_MAX).into()
}
