//! Payloads against the schema of their event type, for senders who ask for it.
//!
//! The rules are those for the settings of plugins: draft 2020-12, references within the document, and a bound on the
//! work of one check. `format` is a note for people, a `pattern` is checked.

use bytes::Bytes;
use serde_json::Value;

use crate::json::{Document, Kind, Node};
use crate::manifest::{ManifestError, SettingsFailure, SettingsSchema};

/// Arrays and objects within each other of a payload that can be checked.
pub const PAYLOAD_DEPTH_MAX: usize = 128;
/// The schema's cost times the payload's weight that one check takes: some tens of milliseconds, as a rule.
const PAYLOAD_CHECKS_MAX: u64 = 1 << 22;

/// Bytes that a value of a schema takes once it is compiled, roughly.
const COMPILED_VALUE_BYTES: usize = 512;
/// Bytes that a regular expression takes at most, with what it remembers while it matches.
const COMPILED_PATTERN_BYTES: usize = 320 << 10;

/// A checked JSON Schema of an event type's payloads. Cheap to clone.
#[derive(Debug, Clone)]
pub struct PayloadSchema {
    schema: SettingsSchema,
    bytes: usize,
}

/// Why a payload does not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PayloadFault {
    /// Its arrays and objects are nested deeper than [`PAYLOAD_DEPTH_MAX`] levels, which can't be checked.
    TooDeep,
    /// What its schema does not allow, at least one place.
    Failures(Vec<SettingsFailure>),
}

impl PayloadSchema {
    /// Takes a schema.
    ///
    /// # Errors
    /// The first rule that it breaks, with a pointer from its own root.
    pub fn new(schema: &Value) -> Result<Self, ManifestError> {
        let bytes = compiled_bytes(schema);
        Ok(Self { schema: SettingsSchema::new(schema)?, bytes })
    }

    /// Takes a schema that is JSON text.
    ///
    /// # Errors
    /// As for [`new`](Self::new); text that is no JSON is no schema.
    pub fn parse(schema: &str) -> Result<Self, ManifestError> {
        Self::new(&serde_json::from_str(schema).unwrap_or(Value::Null))
    }

    /// Bytes that it takes in memory, estimated from above.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Checks a payload.
    ///
    /// # Errors
    /// That it is nested too deeply, or all that fails, up to [`SETTINGS_FAILURES_MAX`](crate::manifest::SETTINGS_FAILURES_MAX), with pointers into the
    /// payload.
    pub fn check(&self, payload: &[u8]) -> Result<(), PayloadFault> {
        let failure =
            |message| PayloadFault::Failures(vec![SettingsFailure { pointer: String::new(), message }]);
        let document = Document::parse(Bytes::copy_from_slice(payload))
            .map_err(|error| failure(format!("not JSON: {error}")))?;
        let value = document.to_value(PAYLOAD_DEPTH_MAX).ok_or(PayloadFault::TooDeep)?;
        let checked = self.schema.validate_within(&value, payload.len(), PAYLOAD_CHECKS_MAX);
        checked.map_err(|error| PayloadFault::Failures(error.failures))
    }
}

/// How large a schema becomes. Whatever is named like a rule with a regular expression counts as one.
fn compiled_bytes(schema: &Value) -> usize {
    match schema {
        Value::Null | Value::Bool(_) | Value::Number(_) => COMPILED_VALUE_BYTES,
        Value::String(text) => COMPILED_VALUE_BYTES + text.len(),
        Value::Array(items) => {
            items.iter().map(compiled_bytes).fold(COMPILED_VALUE_BYTES, usize::saturating_add)
        }
        Value::Object(members) => {
            let member = |(name, value): (&String, &Value)| {
                let patterns = match (name.as_str(), value) {
                    ("pattern", _) => 1,
                    ("patternProperties", Value::Object(patterns)) => patterns.len(),
                    _ => 0,
                };
                compiled_bytes(value).saturating_add(name.len() + patterns * COMPILED_PATTERN_BYTES)
            };
            members.iter().map(member).fold(COMPILED_VALUE_BYTES, usize::saturating_add)
        }
    }
}

/// The newest of an event type's schemas, which are a JSON object by version: that with the highest number, or without
/// numbers the last by name.
#[must_use]
pub fn newest_schema(schemas: &str) -> Option<Value> {
    let schemas = Document::parse(schemas.to_owned()).ok()?;
    serde_json::from_str(newest(schemas.root())?.json()).ok()
}

/// The first example that the newest of an event type's schemas carries, if that is an object: compact JSON, with the digits
/// that its numbers are written with.
#[must_use]
pub fn newest_example(schemas: &str) -> Option<String> {
    let schemas = Document::parse(schemas.to_owned()).ok()?;
    let example = newest(schemas.root())?.pointer("/examples")?.element(0)?;
    (example.kind() == Kind::Object).then(|| example.compact())
}

fn newest(schemas: Node<'_>) -> Option<Node<'_>> {
    let newest = schemas.members().max_by_key(|(version, _)| {
        let version = version.text().unwrap_or_default();
        (version.parse::<u64>().ok(), version)
    });
    newest.map(|(_, schema)| schema)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_newest_schema_has_the_highest_number() {
        let check =
            |schemas: &str, expect: Option<Value>| assert_eq!(newest_schema(schemas), expect, "{schemas}");
        check(r#"{"1": {"a": 1}}"#, Some(json!({"a": 1})));
        check(r#"{"9": 9, "10": 10, "2": 2}"#, Some(json!(10)));
        check(r#"{"draft": 0, "1": 1}"#, Some(json!(1)));
        check(r#"{"a": 0, "b": 1}"#, Some(json!(1)));
        check("{}", None);
        check("[]", None);
        check("{", None);
    }

    #[test]
    fn an_example_is_the_first_object_of_the_examples_as_it_is_written() {
        let check = |schema: &str, expect: Option<&str>| {
            let found = newest_example(&format!(r#"{{"1": {schema}, "0": {{"examples": [{{}}]}}}}"#));
            assert_eq!(found.as_deref(), expect, "{schema}");
        };
        check(r#"{"examples": [{"n": 1}, {"n": 2}]}"#, Some(r#"{"n":1}"#));
        check(
            r#"{"examples": [{"n": 1.10, "i": 1000000000000000000000}]}"#,
            Some(r#"{"n":1.10,"i":1000000000000000000000}"#),
        );
        check(r#"{"examples": ["text"]}"#, None);
        check(r#"{"examples": {"0": {}}}"#, None);
        check(r#"{"examples": []}"#, None);
        check("true", None);
        assert_eq!(newest_example("{"), None);
    }

    #[test]
    fn a_payload_fails_at_each_place() {
        let schema = PayloadSchema::new(&json!({
            "type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}, "t": {"maxLength": 2}},
        }));
        let schema = schema.unwrap();
        let check = |payload: &str, expect: &[&str]| {
            let failures = match schema.check(payload.as_bytes()) {
                Ok(()) => Vec::new(),
                Err(PayloadFault::Failures(failures)) => failures,
                Err(PayloadFault::TooDeep) => panic!("nested too deeply"),
            };
            let pointers: Vec<_> = failures.iter().map(|failure| &*failure.pointer).collect();
            assert_eq!(pointers, expect, "{payload}");
        };
        check(r#"{"n": 1, "t": "ab"}"#, &[]);
        check(r#"{"n": "1", "t": "abc"}"#, &["/n", "/t"]);
        check("{}", &[""]);
        check("<xml/>", &[""]);
        check(&"[".repeat(100_000), &[""]);
        // Whatever is accepted as JSON is checked, but for what is nested too deeply, which is said.
        check(r#"{"n": 1, "t": "\ud83d"}"#, &[]);
        check(r#"{"n": 1000000000000000000000, "x": 1e999}"#, &[]);
        let nested =
            |levels: usize| format!(r#"{{"n": 1, "x": {}{}}}"#, "[".repeat(levels), "]".repeat(levels));
        check(&nested(PAYLOAD_DEPTH_MAX - 1), &[]);
        for levels in [PAYLOAD_DEPTH_MAX, 100_000] {
            assert_eq!(schema.check(nested(levels).as_bytes()), Err(PayloadFault::TooDeep), "{levels}");
        }
        assert!(PayloadSchema::parse("no JSON").is_err());
    }
    #[test]
    fn a_schema_is_as_large_as_its_regular_expressions() {
        let bytes = |schema: Value| PayloadSchema::new(&schema).unwrap().bytes();
        assert!(bytes(json!({"type": "object"})) < 4096);
        assert!(bytes(json!({"properties": {"a": {"pattern": "^a"}}})) > COMPILED_PATTERN_BYTES);
        assert!(bytes(json!({"patternProperties": {"^a": {}, "^b": {}}})) > 2 * COMPILED_PATTERN_BYTES);
    }
}
