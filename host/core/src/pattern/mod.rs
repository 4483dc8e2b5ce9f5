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
//! - `matcher` is what all patterns of an application become together, and the walk of it along an event.
//! - `operator` judges one string, number, boolean or null; `text` holds what that takes.
//! - `steps` counts the work.
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
//! Nothing backtracks, and each value of an event is looked at once, whatever the number of patterns: see `matcher`. What
//! the work for one event may come to is [`ROUTING_STEPS_MAX`]; an event that would take more is refused before it is
//! accepted, so that none is accepted and then not routed.

mod alternative;
mod error;
mod matcher;
mod operator;
#[cfg(test)]
mod oracle;
mod parse;
mod steps;
#[cfg(test)]
mod tests;
mod text;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

use self::alternative::Alternative;
pub use self::error::{PatternError, PatternFault};
pub use self::matcher::{Matched, Matcher};
pub use self::steps::{OutOfSteps, ROUTING_STEPS_MAX, Steps};
use crate::json::Document;

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

/// Bytes of a pattern's text that cost as much as one test.
const SOURCE_BYTES_PER_COST: usize = 64;

/// A checked event pattern. Cheap to clone.
#[derive(Clone)]
pub struct EventPattern {
    source: Arc<str>,
    alternatives: Arc<[Alternative]>,
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
        let document = Document::parse(Bytes::copy_from_slice(json.as_bytes()))
            .map_err(|error| PatternError::at_root(PatternFault::NotJson { detail: error.to_string() }))?;
        Ok(Self { source: json.into(), alternatives: parse::parse(document.root())?.into() })
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

    /// Tests in all of its alternatives, at most [`TESTS_MAX`].
    #[must_use]
    pub fn tests(&self) -> usize {
        self.alternatives.iter().map(|alternative| alternative.tests).sum()
    }

    /// The same text, shared.
    pub(crate) fn shared_source(&self) -> Arc<str> {
        Arc::clone(&self.source)
    }

    /// What it adds to the work of an application's patterns: its tests, and what it takes to hold their text.
    #[must_use]
    pub fn cost(&self) -> usize {
        self.tests() + self.source.len() / SOURCE_BYTES_PER_COST
    }

    /// Whether an event with this body is one that the pattern wants, among no others. One that is not JSON is not.
    ///
    /// # Errors
    /// More than [`ROUTING_STEPS_MAX`] steps.
    pub fn wants(&self, body: &Bytes) -> Result<bool, OutOfSteps> {
        let Ok(event) = Document::parse(body.clone()) else { return Ok(false) };
        let matcher = Matcher::new([self.clone()]);
        Ok(matcher.matched(&event, &mut Steps::of(ROUTING_STEPS_MAX))?.has(&matcher, self))
    }

    #[cfg(test)]
    pub(crate) fn matches(&self, event: &str) -> bool {
        self.wants(&Bytes::copy_from_slice(event.as_bytes())).expect("few steps")
    }

    /// Tells patterns that were read at different times apart, though they be equal.
    fn identity(&self) -> usize {
        Arc::as_ptr(&self.source).cast::<u8>() as usize
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
