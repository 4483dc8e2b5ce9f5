//! A pattern in disjunctive form while it is read.

use std::sync::Arc;

use super::operator::Tests;
use super::{ALTERNATIVES_MAX, PatternFault, TESTS_MAX};

/// One way to match: fields that must all match, each named once.
#[derive(Debug, Clone, Default)]
pub(super) struct Alternative {
    /// By name, in the order of names.
    pub(super) fields: Vec<(Arc<str>, Field)>,
    /// Tests of all fields.
    pub(super) tests: usize,
}

/// What an alternative asks of one field.
#[derive(Debug, Clone)]
pub(super) enum Field {
    /// One of these values; shared by all alternatives that ask for the same.
    Leaf(Arc<Tests>),
    /// An object with these fields.
    Object(Alternative),
}

impl Alternative {
    /// The alternative that asks one thing of one field.
    pub(super) fn of_field(name: &str, field: Field) -> Self {
        let tests = match &field {
            Field::Leaf(tests) => tests.count(),
            Field::Object(alternative) => alternative.tests,
        };
        Self { fields: vec![(name.into(), field)], tests }
    }

    /// Asks for the other's fields too.
    fn merge(&mut self, other: Self) -> Result<(), PatternFault> {
        self.tests += other.tests;
        for (name, field) in other.fields {
            match self.fields.binary_search_by(|(own, _)| own.cmp(&name)) {
                Err(place) => self.fields.insert(place, (name, field)),
                Ok(place) => match (&mut self.fields[place].1, field) {
                    (Field::Object(mine), Field::Object(theirs)) => mine.merge(theirs)?,
                    (Field::Leaf(_) | Field::Object(_), _) => return Err(PatternFault::RepeatedField),
                },
            }
        }
        Ok(())
    }
}

/// Joins two sets of alternatives by *or*.
pub(super) fn either(left: &mut Vec<Alternative>, right: Vec<Alternative>) -> Result<(), PatternFault> {
    check_size(left.len() + right.len(), tests_of(left) + tests_of(&right))?;
    left.extend(right);
    Ok(())
}

/// Joins two sets of alternatives by *and*: each of the one with each of the other. What comes out is measured
/// before it is made.
pub(super) fn both(left: &mut Vec<Alternative>, right: Vec<Alternative>) -> Result<(), PatternFault> {
    check_size(left.len() * right.len(), tests_of(left) * right.len() + left.len() * tests_of(&right))?;
    match <[Alternative; 1]>::try_from(right) {
        // The usual case, without a `$or` on the right: nothing is copied but what is added.
        Ok([only]) => left.iter_mut().try_for_each(|alternative| alternative.merge(only.clone())),
        Err(right) => {
            let mut product = Vec::with_capacity(left.len() * right.len());
            for mine in left.iter() {
                for theirs in &right {
                    let mut merged = mine.clone();
                    merged.merge(theirs.clone())?;
                    product.push(merged);
                }
            }
            *left = product;
            Ok(())
        }
    }
}

fn tests_of(alternatives: &[Alternative]) -> usize {
    alternatives.iter().map(|alternative| alternative.tests).sum()
}

fn check_size(alternatives: usize, tests: usize) -> Result<(), PatternFault> {
    if alternatives > ALTERNATIVES_MAX {
        return Err(PatternFault::TooManyAlternatives { count: alternatives });
    }
    if tests > TESTS_MAX {
        return Err(PatternFault::TooManyTests { count: tests });
    }
    Ok(())
}
