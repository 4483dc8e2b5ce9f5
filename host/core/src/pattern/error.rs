//! Why a pattern is refused, and where in it.

use thiserror::Error;

use super::{ALTERNATIVES_MAX, DEPTH_MAX, PATTERN_BYTES_MAX, TESTS_MAX, WILDCARDS_MAX};

/// A pattern that is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("event pattern at `{pointer}`: {fault}")]
pub struct PatternError {
    /// The failing key as a JSON pointer (RFC 6901); empty for the pattern as a whole.
    pub pointer: String,
    /// The rule that is broken there.
    pub fault: PatternFault,
}

/// The rule that a pattern breaks.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PatternFault {
    /// The text is longer than [`PATTERN_BYTES_MAX`].
    #[error("{bytes} bytes; a pattern has at most {PATTERN_BYTES_MAX}")]
    TooLong {
        /// How long the text is.
        bytes: usize,
    },
    /// The text is not JSON.
    #[error("not JSON: {detail}")]
    NotJson {
        /// What the JSON reader says.
        detail: String,
    },
    /// The pattern as a whole, or an alternative of a `$or`, is not an object.
    #[error("must be an object that names fields")]
    NotObject,
    /// An object or a list without content would match nothing or everything, which nobody means.
    #[error("must not be empty; leave it out to match everything")]
    Empty,
    /// Objects are nested deeper than [`DEPTH_MAX`].
    #[error("nested deeper than {DEPTH_MAX} levels")]
    TooDeep,
    /// A field is followed by a plain value.
    #[error("must be a list of wanted values, or an object that names fields below")]
    NotListOrObject,
    /// A list of wanted values holds another list.
    #[error("a wanted value is a string, number, boolean, null or an operator")]
    NotValue,
    /// An operator's object has no key, or several.
    #[error("an operator is an object with one key; write several as several objects in the list")]
    NotOneOperator,
    /// No such operator.
    #[error(
        "unknown operator `{name}`; there are anything-but, cidr, equals-ignore-case, exists, numeric, prefix, \
         suffix and wildcard"
    )]
    UnknownOperator {
        /// The key found in its place.
        name: String,
    },
    /// An operator's operand has the wrong shape.
    #[error("`{operator}` takes {expected}")]
    Operand {
        /// Which operator.
        operator: &'static str,
        /// What it takes.
        expected: &'static str,
    },
    /// A wildcard operand has two asterisks in a row.
    #[error("two `*` in a row say no more than one; write one, or `\\*` for an asterisk itself")]
    ConsecutiveWildcards,
    /// A wildcard operand has a backslash before something else.
    #[error("a `\\` in a wildcard must be followed by `*` or `\\`")]
    WildcardEscape,
    /// A wildcard operand has more asterisks than [`WILDCARDS_MAX`].
    #[error("a wildcard has at most {WILDCARDS_MAX} asterisks")]
    TooManyWildcards,
    /// A `$or` is not a list of at least two objects.
    #[error("`$or` takes a list of at least two objects")]
    Or,
    /// An operator's name stands where a `$or` has fields: most likely a field's name was forgotten.
    #[error("`{name}` is an operator and can't be a field's name inside `$or`")]
    OperatorInOr {
        /// The operator's name.
        name: String,
    },
    /// The same field is asked for twice in one alternative, beside a `$or` and in it.
    #[error("a field that is also named beside the `$or`; a field can be named once in each alternative")]
    RepeatedField,
    /// The `$or`s multiply out to more than [`ALTERNATIVES_MAX`] alternatives.
    #[error("the `$or`s up to here make {count} alternatives; there may be {ALTERNATIVES_MAX}")]
    TooManyAlternatives {
        /// How many there would be.
        count: usize,
    },
    /// All alternatives together hold more than [`TESTS_MAX`] tests.
    #[error("the alternatives up to here hold {count} tests; there may be {TESTS_MAX}")]
    TooManyTests {
        /// How many there would be.
        count: usize,
    },
}

impl PatternError {
    /// An error of the pattern as a whole.
    pub(super) fn at_root(fault: PatternFault) -> Self {
        Self { pointer: String::new(), fault }
    }

    /// The code that stays the same over versions.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self.fault {
            PatternFault::TooLong { .. } => "pattern_too_long",
            PatternFault::NotJson { .. } => "pattern_not_json",
            PatternFault::NotObject => "pattern_not_object",
            PatternFault::Empty => "pattern_empty",
            PatternFault::TooDeep => "pattern_too_deep",
            PatternFault::NotListOrObject => "pattern_field_value",
            PatternFault::NotValue => "pattern_value",
            PatternFault::NotOneOperator => "pattern_operator_count",
            PatternFault::UnknownOperator { .. } => "pattern_operator_unknown",
            PatternFault::Operand { .. } => "pattern_operand",
            PatternFault::ConsecutiveWildcards
            | PatternFault::WildcardEscape
            | PatternFault::TooManyWildcards => "pattern_wildcard",
            PatternFault::Or | PatternFault::OperatorInOr { .. } => "pattern_or",
            PatternFault::RepeatedField => "pattern_field_repeated",
            PatternFault::TooManyAlternatives { .. } => "pattern_too_many_alternatives",
            PatternFault::TooManyTests { .. } => "pattern_too_many_tests",
        }
    }
}
