//! Event patterns: the filter of an endpoint, in the language of AWS EventBridge.
//!
//! A pattern is a JSON object shaped like the events it wants. Fields are joined by *and*, the values in a
//! field's list by *or*, and a field of the event that the pattern does not name does not matter:
//!
//! ```json
//! {"type": ["order.paid", {"prefix": "refund."}], "data": {"amount": [{"numeric": [">", 0, "<=", 100]}]}}
//! ```
//!
//! # Who is who
//! - `parse` reads the JSON, checks every limit below and names the failing key in a [`PatternError`].
//! - `alternative` keeps what is read in disjunctive form: `$or` multiplies out into alternatives, each of
//!   which names any path once. So a field beside a `$or` and one inside it can share an array's element.
//! - `node` is an alternative made ready for matching, and the walk of it along an event.
//! - `operator` judges one string, number, boolean or null; `text` and `numeral` hold what that takes.
//!
//! # What matches
//! Only strings, numbers, booleans and nulls are values. An array stands for all of its elements, however deeply
//! nested, and matches if one of them does. Objects in an array are taken one at a time: all fields that the
//! pattern names below the array must match within the same element. `exists: false` holds if no value is at
//! that place in the element that its neighbours chose, or in any element if it has no neighbours.
//! A key is taken literally: `a.b` is a field of that name and never the field `b` of `a`.
//!
//! Source of the rules: the EventBridge user guide, "Comparison operators for use in event patterns", and for
//! what that leaves open the behaviour of AWS's published matcher, Event Ruler. Where we go further: numbers are
//! compared exactly over all that JSON carries, not only within ±5e9.
//!
//! # Cost
//! Time grows with the tests of the pattern ([`TESTS_MAX`] at most) times the values of the event that its paths
//! reach; lists of exact values are one test. Nothing backtracks: the worst that fits the limits, a thousand
//! operators against the 340,000 values of an event of 1 MiB, is about a second of one core.

mod alternative;
mod error;
mod node;
mod numeral;
mod operator;
#[cfg(test)]
mod oracle;
mod parse;
#[cfg(test)]
mod tests;
mod text;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde_json::Value;

pub use self::error::{PatternError, PatternFault};
use self::node::{Fields, Outcome};

/// Bytes of a pattern's JSON text.
pub const PATTERN_BYTES_MAX: usize = 16 << 10;
/// Nested objects of a pattern, those in a `$or` included.
pub const DEPTH_MAX: usize = 32;
/// Alternatives that all `$or` of a pattern multiply out to (EventBridge's bound).
pub const ALTERNATIVES_MAX: usize = 1000;
/// Tests in all alternatives of a pattern together. A field's exact values are one test, each operator is one.
pub const TESTS_MAX: usize = 4096;
/// Asterisks of one `wildcard` operand.
pub const WILDCARDS_MAX: usize = 64;

/// A checked event pattern. Cheap to clone.
#[derive(Clone)]
pub struct EventPattern {
    source: Arc<str>,
    alternatives: Arc<[Fields]>,
}

impl EventPattern {
    /// Reads a pattern from its JSON text, which [`source`](Self::source) gives back.
    ///
    /// # Errors
    /// The first rule that the text breaks, with the place of the failing key.
    pub fn parse(json: &str) -> Result<Self, PatternError> {
        if json.len() > PATTERN_BYTES_MAX {
            return Err(PatternError::at_root(PatternFault::TooLong { bytes: json.len() }));
        }
        let value = serde_json::from_str(json)
            .map_err(|error| PatternError::at_root(PatternFault::NotJson { detail: error.to_string() }))?;
        Ok(Self { source: json.into(), alternatives: parse::parse(&value)?.into() })
    }

    /// Reads a pattern from parsed JSON; its source is the compact text of that.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn from_value(value: &Value) -> Result<Self, PatternError> {
        Self::parse(&value.to_string())
    }

    /// The JSON text that the pattern was read from.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether the event is one that the pattern wants. An event that is not an object is wanted by none.
    #[must_use]
    pub fn matches(&self, event: &Value) -> bool {
        let Value::Object(event) = event else { return false };
        self.alternatives.iter().any(|fields| match fields.evaluate(event) {
            Outcome::Met | Outcome::Absent => true,
            Outcome::Unmet => false,
        })
    }
}

impl FromStr for EventPattern {
    type Err = PatternError;

    fn from_str(json: &str) -> Result<Self, PatternError> {
        Self::parse(json)
    }
}

impl PartialEq for EventPattern {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Eq for EventPattern {}

impl fmt::Display for EventPattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.source)
    }
}

impl fmt::Debug for EventPattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "EventPattern({})", self.source)
    }
}
