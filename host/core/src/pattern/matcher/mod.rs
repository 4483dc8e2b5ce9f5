//! All patterns of an application, matched together.
//!
//! # How it works
//! Patterns are merged into one tree of places: a place is a path of names, and what any pattern tests there is tested
//! once. An event is walked along that tree, so that each of its values is looked at once, at most. At a place there are
//! - *leaves*, lists of wanted values. Plain values are looked up in tables; operators are asked one after the other,
//! - *groups*, fields that must all match in one object: an alternative of a pattern, or a part of one below a name. Groups
//!   that ask the same are one.
//!
//! What an object has tells which leaves and groups below it are met, and these name the groups that ask for them; no other
//! group is looked at. Objects that fare alike, as the elements of an array mostly do, are settled once.
//!
//! # Met, absent, unmet
//! A leaf or a group is *met* if a value of the event is why it matches, *absent* if it matches only because what is there
//! has no value that `exists: false` forbids, else *unmet*. Each of them has an outcome where there is nothing, the default:
//! absent where it `needs` nothing, else unmet. Only what differs from the default is written down, in a [`Fare`].
//!
//! # Who is who
//! `compile` makes a [`Matcher`] of patterns, `walk` goes along an event, `settle` finds which groups an object meets.

mod compile;
mod settle;
#[cfg(test)]
mod tests;
mod walk;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use self::walk::Walk;
use super::EventPattern;
use super::operator::Tests;
use super::steps::{OutOfSteps, Steps};
use crate::json::{Decimal, Document};

/// Patterns, ready to be matched.
pub struct Matcher {
    /// The first one is the root.
    places: Vec<Place>,
    leaves: Vec<Leaf>,
    groups: Vec<Group>,
    /// Of each pattern: how many of its alternatives match where an event has none of the fields.
    absent_alternatives: Vec<u32>,
    /// Patterns by identity.
    numbers: HashMap<usize, u32>,
    /// Holds the identities.
    patterns: Vec<EventPattern>,
}

/// Which patterns want an event.
#[derive(Debug)]
pub struct Matched {
    /// Of each pattern: how many of its alternatives match.
    alternatives: Vec<u32>,
}

/// A path of names.
#[derive(Debug, Default)]
struct Place {
    below: HashMap<Arc<str>, u32>,
    has_leaves: bool,
    has_groups: bool,
    // Leaves by what they want.
    strings: HashMap<Box<str>, Vec<u32>>,
    numbers: HashMap<Decimal<'static>, Vec<u32>>,
    null: Vec<u32>,
    r#true: Vec<u32>,
    r#false: Vec<u32>,
    any_value: Vec<u32>,
    operators: Vec<u32>,
    /// Those that want no value, among others.
    absent: Vec<u32>,
}

/// A list of wanted values at a place.
#[derive(Debug)]
struct Leaf {
    tests: Arc<Tests>,
    /// The groups of the place above that ask for it.
    wanted_by: Vec<u32>,
}

/// Fields that must all match in one object.
#[derive(Debug)]
struct Group {
    /// Fields that are unmet where there is nothing.
    needs: u32,
    /// The groups of the place above that ask for it; at the root, the patterns.
    wanted_by: Vec<u32>,
}

/// How what an event has at a place fares with what is asked there.
#[derive(Debug, Default)]
struct Fare {
    any_value: bool,
    /// Leaves that are met.
    hits: Vec<u32>,
    /// Groups that are met.
    met: Vec<u32>,
    /// Groups that are absent where there is nothing, and are not because of something that is there.
    spoilt: Vec<u32>,
    /// What was added last to the two lists above.
    settled: Option<u32>,
}

impl Matcher {
    /// Merges patterns.
    #[must_use]
    pub fn new(patterns: impl IntoIterator<Item = EventPattern>) -> Self {
        compile::compile(patterns.into_iter().collect())
    }

    /// Which of the patterns want an event. One that is not an object is wanted by none.
    ///
    /// # Errors
    /// More work than there are steps left.
    pub fn matched(&self, event: &Document, steps: &mut Steps) -> Result<Matched, OutOfSteps> {
        let alternatives = Walk::new(self, steps).alternatives(event)?;
        Ok(Matched { alternatives })
    }
}

impl Matched {
    /// Whether a pattern, of which this or another one with the same identity was merged, wants the event.
    #[must_use]
    pub fn has(&self, matcher: &Matcher, pattern: &EventPattern) -> bool {
        let number = matcher.numbers.get(&pattern.identity());
        number.is_some_and(|number| self.alternatives.get(*number as usize).is_some_and(|count| *count > 0))
    }
}

impl Leaf {
    fn is_needed(&self) -> bool {
        !self.tests.absent
    }
}

impl Group {
    fn is_needed(&self) -> bool {
        self.needs > 0
    }
}

impl Fare {
    /// Whether it says no more than that there is nothing.
    fn is_default(&self) -> bool {
        !self.any_value && self.hits.is_empty() && self.met.is_empty() && self.spoilt.is_empty()
    }
}

impl fmt::Debug for Matcher {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Matcher")
            .field("patterns", &self.patterns.len())
            .field("places", &self.places.len())
            .field("leaves", &self.leaves.len())
            .field("groups", &self.groups.len())
            .finish_non_exhaustive()
    }
}
