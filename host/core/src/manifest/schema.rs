//! Settings against the schema that a plugin's author wrote.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use jsonschema::error::{ValidationError, ValidationErrorKind};
use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::Value;
use thiserror::Error;

use super::error::{ManifestError, ManifestFault};
use super::schema_cost::{self, SCHEMA_BYTES_MAX, SchemaFault, count_values};
use crate::limits::TRANSFORM_SETTINGS_BYTES_MAX;

/// Failures that one validation lists.
pub const SETTINGS_FAILURES_MAX: usize = 20;

/// The schema's cost times the settings' weight that one validation takes. A check is some 5 to 100 ns, so the worst
/// is about two seconds of one core.
const CHECKS_MAX: u64 = 1 << 24;
/// As [`CHECKS_MAX`], for saying what fails: each check may leave a message of some 300 bytes in memory.
const EXPLAINED_CHECKS_MAX: u64 = 1 << 18;
/// Bytes of text that weigh as much as one value.
const TEXT_BYTES_PER_VALUE: u64 = 64;
/// Bytes of a compiled regular expression, and of what it remembers while it matches.
const PATTERN_BYTES_MAX: usize = 64 << 10;
const PATTERN_CACHE_BYTES_MAX: usize = 256 << 10;
/// Characters of a failure's message, and of the value that it shows.
const MESSAGE_CHARS_MAX: usize = 140;
const VALUE_CHARS_SHOWN: usize = 40;

/// A checked JSON Schema (draft 2020-12) of a plugin's settings.
///
/// References stay within the document and never lead back to themselves, regular expressions are matched in linear
/// time, and `format` is a note for people. Cheap to clone.
#[derive(Clone)]
pub struct SettingsSchema {
    validator: Arc<Validator>,
    cost: u64,
}

/// Settings that are refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}", self.text())]
pub struct SettingsError {
    /// What fails, 1 to [`SETTINGS_FAILURES_MAX`].
    pub failures: Vec<SettingsFailure>,
}

/// One place of settings that fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsFailure {
    /// Where, as a JSON pointer (RFC 6901); empty for the settings as a whole.
    pub pointer: String,
    /// What is wrong there. Shows the value only where it is short.
    pub message: String,
}

impl SettingsSchema {
    /// Takes a schema.
    ///
    /// # Errors
    /// The first rule that it breaks, with a pointer from its own root.
    pub fn new(schema: &Value) -> Result<Self, ManifestError> {
        let bytes = schema.to_string().len();
        if bytes > SCHEMA_BYTES_MAX {
            let fault = ManifestFault::Schema(SchemaFault::TooLong { bytes });
            return Err(ManifestError::at_root(fault));
        }
        let cost = schema_cost::cost_of(schema)?;
        let patterns =
            PatternOptions::regex().size_limit(PATTERN_BYTES_MAX).dfa_size_limit(PATTERN_CACHE_BYTES_MAX);
        let validator = jsonschema::options()
            .with_draft(Draft::Draft202012)
            .with_pattern_options(patterns)
            .should_validate_formats(false)
            .offline()
            .build(schema)
            .map_err(|error| not_a_schema(&error))?;
        Ok(Self { validator: Arc::new(validator), cost })
    }

    /// Checks settings, JSON text.
    ///
    /// # Errors
    /// All that fails, up to [`SETTINGS_FAILURES_MAX`].
    pub fn validate(&self, settings: &str) -> Result<(), SettingsError> {
        if settings.len() > TRANSFORM_SETTINGS_BYTES_MAX {
            let bytes = settings.len();
            let rule = format!("{bytes} bytes; settings have at most {TRANSFORM_SETTINGS_BYTES_MAX}");
            return Err(SettingsError::whole(rule));
        }
        let value = serde_json::from_str(settings)
            .map_err(|error| SettingsError::whole(format!("not JSON: {error}")))?;
        self.validate_value(&value, settings.len())
    }

    /// Checks settings whose text has so many bytes.
    pub(crate) fn validate_value(&self, settings: &Value, text_bytes: usize) -> Result<(), SettingsError> {
        self.validate_within(settings, text_bytes, CHECKS_MAX)
    }

    /// Checks a value whose text has so many bytes, if that takes no more than so many checks.
    pub(crate) fn validate_within(
        &self,
        settings: &Value,
        text_bytes: usize,
        checks_max: u64,
    ) -> Result<(), SettingsError> {
        let text_weight = u64::try_from(text_bytes).unwrap_or(u64::MAX) / TEXT_BYTES_PER_VALUE;
        let weight = count_values(settings).saturating_add(text_weight);
        let checks = self.cost.saturating_mul(weight);
        if checks > checks_max {
            return Err(SettingsError::whole(format!(
                "a value of weight {weight} against a schema of cost {} take too long: make one of them smaller",
                self.cost
            )));
        }
        if self.validator.is_valid(settings) {
            return Ok(());
        }
        if checks > EXPLAINED_CHECKS_MAX {
            let rule = "not what the schema asks for; too large to say where: try a part of them".to_owned();
            return Err(SettingsError::whole(rule));
        }
        let failures =
            self.validator.iter_errors(settings).take(SETTINGS_FAILURES_MAX).map(|error| SettingsFailure {
                pointer: error.instance_path().as_str().to_owned(),
                message: message_of(&error),
            });
        Err(SettingsError { failures: failures.collect() })
    }
}

impl fmt::Debug for SettingsSchema {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SettingsSchema").field("cost", &self.cost).finish_non_exhaustive()
    }
}

impl SettingsError {
    fn whole(message: String) -> Self {
        Self { failures: vec![SettingsFailure { pointer: String::new(), message }] }
    }

    fn text(&self) -> String {
        let line =
            |failure: &SettingsFailure| format!("settings at `{}`: {}", failure.pointer, failure.message);
        self.failures.iter().map(line).collect::<Vec<_>>().join("; ")
    }
}

/// Why the validator takes no such schema; to the validator, the schema is the value.
fn not_a_schema(error: &ValidationError<'_>) -> ManifestError {
    let fault = match error.kind() {
        ValidationErrorKind::Format { format } if format == "regex" => SchemaFault::Pattern,
        _ => SchemaFault::Invalid { detail: message_of(error) },
    };
    ManifestError { pointer: error.instance_path().as_str().to_owned(), fault: ManifestFault::Schema(fault) }
}

/// What is wrong, with the value itself only where it is a short one: objects and lists say nothing on one line.
fn message_of(error: &ValidationError<'_>) -> String {
    if let ValidationErrorKind::PropertyNames { error } = error.kind() {
        return format!("property name: {}", message_of(error));
    }
    let rule = shorten(&error.masked().to_string(), MESSAGE_CHARS_MAX).into_owned();
    match &**error.instance() {
        Value::Object(_) | Value::Array(_) => rule,
        plain => format!("{rule}: found {}", shorten(&plain.to_string(), VALUE_CHARS_SHOWN)),
    }
}

/// The beginning of a text, and a sign that there was more.
pub(super) fn shorten(text: &str, chars_max: usize) -> Cow<'_, str> {
    match text.char_indices().nth(chars_max) {
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
        None => Cow::Borrowed(text),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::super::schema_cost::{SCHEMA_COST_MAX, SCHEMA_DEPTH_MAX};
    use super::*;

    /// A schema in which each definition joins two references to the one before.
    fn doubling(levels: usize, keyword: &str) -> Value {
        let mut definitions = Map::from_iter([("d0".to_owned(), json!({"type": "integer"}))]);
        for level in 1..=levels {
            let below = json!({"$ref": format!("#/$defs/d{}", level - 1)});
            definitions.insert(format!("d{level}"), json!({ keyword: [below, below] }));
        }
        json!({"$defs": definitions, "$ref": format!("#/$defs/d{levels}")})
    }

    fn nested(levels: usize, leaf: Value) -> Value {
        (0..levels).fold(leaf, |below, _| json!({"not": below}))
    }

    #[test]
    fn schemas_that_are_none_or_take_too_much_are_refused() {
        let check = |schema: Value, pointer: &str, code: &str| {
            let error = SettingsSchema::new(&schema).unwrap_err();
            assert_eq!((error.pointer.as_str(), error.code()), (pointer, code), "{error}");
            assert!(error.to_string().len() < 400, "{error}");
        };
        check(json!(7), "", "schema_invalid");
        check(json!("{}"), "", "schema_invalid");
        check(json!({"type": "strin"}), "/type", "schema_invalid");
        check(json!({"properties": {"a": {"properties": 5}}}), "/properties/a/properties", "schema_invalid");
        check(json!({"properties": {"a": 5}}), "/properties/a", "schema_invalid");
        check(json!({"minLength": "x".repeat(60_000)}), "/minLength", "schema_invalid");
        check(json!({"description": "x".repeat(SCHEMA_BYTES_MAX)}), "", "schema_too_long");
        check(nested(SCHEMA_DEPTH_MAX + 1, json!(true)), "", "schema_too_deep");
        check(json!({"$schema": "http://json-schema.org/draft-07/schema#"}), "/$schema", "schema_dialect");
        for keyword in ["$id", "$anchor", "$dynamicAnchor", "$dynamicRef", "$recursiveRef"] {
            check(json!({"items": { keyword: "a" }}), &format!("/items/{keyword}"), "schema_keyword");
        }
        for reference in [
            json!("https://example.com/schema.json"),
            json!("https://json-schema.org/draft/2020-12/schema"),
            json!("file:///etc/hosts"),
            json!("other.json#/a"),
            json!("#name"),
            json!("#/$defs/missing"),
            json!("#/properties"),
            json!("#/%24defs/a"),
            json!(5),
        ] {
            let schema = json!({"$defs": {"a": true}, "properties": {"x/y": {"$ref": reference}}});
            check(schema, "/properties/x~1y/$ref", "schema_reference");
        }
        check(json!({"$ref": "#"}), "/$ref", "schema_recursive");
        check(json!({"properties": {"a": {"$ref": "#"}}}), "/properties/a/$ref", "schema_recursive");
        let circle = json!({"$defs": {"a": {"items": {"$ref": "#/$defs/b"}}, "b": {"$ref": "#/$defs/a"}}});
        check(circle, "/$defs/b/$ref", "schema_recursive");
        for keyword in ["allOf", "anyOf", "oneOf"] {
            assert_eq!(SettingsSchema::new(&doubling(40, keyword)).unwrap_err().code(), "schema_too_deep");
            check(doubling(30, keyword), "", "schema_too_costly");
        }
        for pattern in ["(", "(?!a)b", r"(a)\1", "((a{100}){100}){100}", "a{4000000000}"] {
            check(json!({"items": {"pattern": pattern}}), "/items/pattern", "schema_pattern");
        }
    }

    #[test]
    fn chains_of_references_are_no_way_around_the_depth() {
        let chain = |length: usize| {
            let mut definitions = Map::from_iter([("d0".to_owned(), json!(true))]);
            definitions.extend(
                (1..=length)
                    .map(|link| (format!("d{link}"), json!({"$ref": format!("#/$defs/d{}", link - 1)}))),
            );
            SettingsSchema::new(&json!({"$defs": definitions}))
        };
        assert!(chain(SCHEMA_DEPTH_MAX - 2).is_ok());
        assert_eq!(chain(1000).unwrap_err().code(), "schema_too_deep");
    }

    #[test]
    fn cost_is_that_of_the_schema_with_references_replaced() {
        let check =
            |schema: Value, cost: u64| assert_eq!(schema_cost::cost_of(&schema), Ok(cost), "{schema}");
        check(json!(true), 1);
        check(json!({"type": "string"}), 2);
        check(json!({"enum": [1, [2, 3]]}), 6);
        check(json!({"pattern": "^a$"}), 36);
        check(json!({"$defs": {"unused": {"enum": [1, 2, 3]}}}), 2);
        check(json!({"properties": {"a": true, "b": {"type": "string"}}}), 5);
        check(json!({"properties": {"a": true}, "unevaluatedProperties": false}), 10);
        let (one, two) = (doubling(10, "allOf"), doubling(11, "allOf"));
        let (one, two) = (schema_cost::cost_of(&one).unwrap(), schema_cost::cost_of(&two).unwrap());
        assert!((2 * one - 100..2 * one + 100).contains(&two), "{one} {two}");
        assert!(two < SCHEMA_COST_MAX);
    }

    #[test]
    fn settings_fail_at_each_place_with_a_reason() {
        let schema = json!({
            "type": "object",
            "additionalProperties": false,
            "required": ["channel"],
            "properties": {
                "channel": {"type": "string", "pattern": "^#[a-z]+$", "maxLength": 10},
                "level": {"enum": ["info", "warn"]},
                "fields/names": {"type": "array", "items": {"$ref": "#/$defs/name"}, "uniqueItems": true},
            },
            "$defs": {"name": {"type": "string", "minLength": 1}},
        });
        let schema = SettingsSchema::new(&schema).unwrap();
        let check = |settings: &str, expect: &[(&str, &str)]| {
            let failures = match schema.validate(settings) {
                Ok(()) => Vec::new(),
                Err(error) => error.failures,
            };
            let mut found: Vec<_> =
                failures.iter().map(|failure| (failure.pointer.as_str(), failure.message.as_str())).collect();
            found.sort_unstable();
            assert_eq!(found, expect, "{settings}");
        };
        check(r##"{"channel": "#ops", "level": "warn", "fields/names": ["a", "b"]}"##, &[]);
        check("{}", &[("", r#""channel" is a required property"#)]);
        check("7", &[("", r#"value is not of type "object": found 7"#)]);
        check(
            r##"{"channel": "ops", "level": 3, "fields/names": ["", 4]}"##,
            &[
                ("/channel", r##"value does not match "^#[a-z]+$": found "ops""##),
                ("/fields~1names/0", r#"value is shorter than 1 character: found """#),
                ("/fields~1names/1", r#"value is not of type "string": found 4"#),
                ("/level", r#"value is not one of "info" or "warn": found 3"#),
            ],
        );
        check(
            r##"{"channel": "#ops", "chanel": 1}"##,
            &[("", "Additional properties are not allowed ('chanel' was unexpected)")],
        );
        check("{", &[("", "not JSON: EOF while parsing an object at line 1 column 1")]);
    }

    #[test]
    fn what_fails_is_said_in_few_words() {
        let schema = SettingsSchema::new(&json!({
            "additionalProperties": {"type": "integer"},
            "propertyNames": {"maxLength": 50},
        }));
        let schema = schema.unwrap();
        let refused = |settings: Value| schema.validate(&settings.to_string()).unwrap_err();
        let long = "x".repeat(30_000);
        let error = refused(json!({ "a": long, long.as_str(): 1 }));
        for failure in &error.failures {
            assert!(failure.message.matches('x').count() <= 200, "{}", failure.message);
        }
        assert_eq!(error.failures.len(), 2);
        let many: Map<String, Value> = (0..100).map(|index| (format!("k{index}"), json!("x"))).collect();
        assert_eq!(refused(Value::Object(many)).failures.len(), SETTINGS_FAILURES_MAX);
        let error = refused(json!(vec!["x"; TRANSFORM_SETTINGS_BYTES_MAX]));
        assert!(error.to_string().contains("settings have at most"), "{error}");
        assert!(schema.validate(&"[".repeat(60_000)).is_err());
        assert!(schema.validate(r#"{"a": 1e999}"#).is_err());
    }

    #[test]
    fn work_is_bounded_by_schema_and_settings_together() {
        let failing: Vec<Value> = (0..1200).map(|_| json!({"type": "string"})).collect();
        let schema = SettingsSchema::new(&json!({"items": {"allOf": failing}})).unwrap();
        let refused = |items: usize| schema.validate(&json!(vec![1; items]).to_string()).unwrap_err();
        assert_eq!(refused(10).failures.len(), SETTINGS_FAILURES_MAX);
        assert!(refused(1000).to_string().contains("too large to say where"));
        assert!(refused(30_000).to_string().contains("take too long"));
        let strings = json!(vec!["x"; 1000]).to_string();
        assert_eq!(schema.validate(&strings), Ok(()));
    }

    #[test]
    fn patterns_do_not_backtrack() {
        let schema = SettingsSchema::new(&json!({"pattern": "^(a?){200}(a|a)*$"})).unwrap();
        assert_eq!(schema.validate(&json!("a".repeat(60_000)).to_string()), Ok(()));
        let almost = format!("{}b", "a".repeat(60_000));
        assert!(schema.validate(&json!(almost).to_string()).is_err());
    }
}
