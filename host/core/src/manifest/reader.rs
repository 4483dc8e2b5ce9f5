//! JSON values that know their place, so that each error names it.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use serde_json::{Map, Value};

use super::diff::pointer_to;
use super::error::{ManifestError, ManifestFault};
use crate::json;

/// Characters of an unknown key that an error's pointer shows.
const KEY_CHARS_SHOWN: usize = 64;

/// A value and its place.
#[derive(Debug, Clone)]
pub(super) struct Node<'a> {
    value: &'a Value,
    /// The same as it was written, where that is known: a `Value` does not keep all digits of a number.
    written: Option<json::Node<'a>>,
    pointer: String,
}

/// An object whose keys are all known.
#[derive(Debug, Clone)]
pub(super) struct Object<'a> {
    entries: &'a Map<String, Value>,
    node: Node<'a>,
}

impl<'a> Node<'a> {
    pub(super) fn root(value: &'a Value, written: json::Node<'a>) -> Self {
        Self { value, written: Some(written), pointer: String::new() }
    }

    /// Compact JSON, with numbers as they were written.
    pub(super) fn json(&self) -> String {
        self.written.map_or_else(|| self.value.to_string(), json::Node::compact)
    }

    pub(super) fn value(&self) -> &'a Value {
        self.value
    }

    pub(super) fn pointer(&self) -> &str {
        &self.pointer
    }

    pub(super) fn fault(&self, fault: ManifestFault) -> ManifestError {
        ManifestError { pointer: self.pointer.clone(), fault }
    }

    /// The value below `key`; null where there is none.
    pub(super) fn child(&self, key: &str) -> Self {
        let value = self.value.get(key).unwrap_or(&Value::Null);
        let written = self.written.and_then(|written| written.get(key));
        Self { value, written, pointer: pointer_to(&self.pointer, key) }
    }

    /// An object with no other keys than these.
    pub(super) fn object(&self, known: &'static [&'static str]) -> Result<Object<'a>, ManifestError> {
        let entries = self.entries()?;
        match entries.keys().find(|key| !known.contains(&key.as_str())) {
            Some(unknown) => {
                let shown: String = unknown.chars().take(KEY_CHARS_SHOWN).collect();
                Err(self.child(&shown).fault(ManifestFault::Unknown { known }))
            }
            None => Ok(Object { entries, node: self.clone() }),
        }
    }

    /// An object whose keys are the author's.
    pub(super) fn entries(&self) -> Result<&'a Map<String, Value>, ManifestError> {
        self.value.as_object().ok_or_else(|| self.fault(ManifestFault::Type { expected: "an object" }))
    }

    pub(super) fn items(&self, count: RangeInclusive<usize>) -> Result<Vec<Self>, ManifestError> {
        let list =
            self.value.as_array().ok_or_else(|| self.fault(ManifestFault::Type { expected: "a list" }))?;
        if !count.contains(&list.len()) {
            let (min, max) = count.into_inner();
            return Err(self.fault(ManifestFault::Count { count: list.len(), min, max }));
        }
        let mut written = self.written.map(json::Node::elements);
        let item = |(index, value)| Self {
            value,
            written: written.as_mut().and_then(Iterator::next),
            pointer: format!("{}/{index}", self.pointer),
        };
        Ok(list.iter().enumerate().map(item).collect())
    }

    pub(super) fn any_text(&self) -> Result<&'a str, ManifestError> {
        self.value.as_str().ok_or_else(|| self.fault(ManifestFault::Type { expected: "a string" }))
    }

    pub(super) fn text(&self, length: RangeInclusive<usize>) -> Result<&'a str, ManifestError> {
        let text = self.any_text()?;
        let chars = text.chars().count();
        if length.contains(&chars) {
            return Ok(text);
        }
        let (min, max) = length.into_inner();
        Err(self.fault(ManifestFault::TextLength { chars, min, max }))
    }

    /// Text without control characters, such as line breaks.
    pub(super) fn line(&self, length: RangeInclusive<usize>) -> Result<&'a str, ManifestError> {
        let text = self.text(length)?;
        if text.chars().any(char::is_control) {
            return Err(self.broken("must not have control characters, such as line breaks"));
        }
        Ok(text)
    }

    pub(super) fn truth(&self) -> Result<bool, ManifestError> {
        self.value.as_bool().ok_or_else(|| self.fault(ManifestFault::Type { expected: "true or false" }))
    }

    pub(super) fn whole_number(&self) -> Result<u64, ManifestError> {
        self.value
            .as_u64()
            .ok_or_else(|| self.fault(ManifestFault::Type { expected: "a whole number from 0 up" }))
    }

    /// Text of a kind that has a rule of its own.
    pub(super) fn parsed<T: FromStr<Err: Display>>(&self) -> Result<T, ManifestError> {
        self.any_text()?.parse().map_err(|error| self.broken(error))
    }

    /// This value breaks the rule of its kind.
    pub(super) fn broken(&self, rule: impl Display) -> ManifestError {
        self.fault(ManifestFault::Value { rule: rule.to_string() })
    }
}

impl<'a> Object<'a> {
    pub(super) fn get(&self, key: &str) -> Option<Node<'a>> {
        self.entries.contains_key(key).then(|| self.node.child(key))
    }

    pub(super) fn need(&self, key: &'static str) -> Result<Node<'a>, ManifestError> {
        self.get(key).ok_or_else(|| self.node.fault(ManifestFault::Missing { key }))
    }

    /// The items of a list that may be left out.
    pub(super) fn list(
        &self,
        key: &str,
        count: RangeInclusive<usize>,
    ) -> Result<Vec<Node<'a>>, ManifestError> {
        self.get(key).map_or_else(|| Ok(Vec::new()), |node| node.items(count))
    }

    /// The one of these keys that is there; none if none is.
    pub(super) fn one_of(
        &self,
        keys: &'static [&'static str],
    ) -> Result<Option<(&'static str, Node<'a>)>, ManifestError> {
        let mut found = keys.iter().filter_map(|key| Some((*key, self.get(key)?)));
        match (found.next(), found.next()) {
            (only, None) => Ok(only),
            (_, Some(_)) => Err(self.not_one(keys)),
        }
    }

    /// As [`one_of`](Self::one_of), but one has to be there.
    pub(super) fn need_one_of(
        &self,
        keys: &'static [&'static str],
    ) -> Result<(&'static str, Node<'a>), ManifestError> {
        self.one_of(keys)?.ok_or_else(|| self.not_one(keys))
    }

    fn not_one(&self, keys: &'static [&'static str]) -> ManifestError {
        self.node.fault(ManifestFault::NotOne { keys })
    }
}
