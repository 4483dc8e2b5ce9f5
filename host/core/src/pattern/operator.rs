//! What one value of an event is judged by.

use std::net::IpAddr;
use std::ops::{Bound, RangeBounds};

use ipnet::IpNet;
use serde_json::{Number, Value};

use super::numeral::Numeral;
use super::text::TextTest;

/// One field's list of wanted values: any of them will do.
#[derive(Debug, Default)]
pub(super) struct Tests {
    /// Plain values.
    pub(super) exact: ValueSet,
    /// The networks of all `cidr`, together, so that a text is read as an address once.
    pub(super) networks: Vec<IpNet>,
    /// All other operators on values.
    pub(super) operators: Vec<Operator>,
    /// `exists: true`: any value will do.
    pub(super) present: bool,
    /// `exists: false`: having no value will do.
    pub(super) absent: bool,
}

impl Tests {
    /// How much they count towards [`TESTS_MAX`](super::TESTS_MAX).
    pub(super) fn count(&self) -> usize {
        1 + self.networks.len() + self.operators.iter().map(Operator::count).sum::<usize>()
    }

    /// Whether a string, number, boolean or null is wanted.
    pub(super) fn accepts(&self, value: &Value) -> bool {
        self.present
            || self.exact.contains(value)
            || self.operators.iter().any(|operator| operator.accepts(value))
            || self.is_in_network(value)
    }

    fn is_in_network(&self, value: &Value) -> bool {
        if self.networks.is_empty() {
            return false;
        }
        let address = value.as_str().and_then(|text| text.parse::<IpAddr>().ok());
        address.is_some_and(|address| self.networks.iter().any(|network| network.contains(&address)))
    }
}

/// An operator and its operand.
#[derive(Debug, Clone)]
pub(super) enum Operator {
    Text(TextTest),
    Numeric(NumericRange),
    AnythingBut(ValueSet),
    AnythingButText(Vec<TextTest>),
}

impl Operator {
    fn count(&self) -> usize {
        match self {
            Self::Text(_) | Self::Numeric(_) | Self::AnythingBut(_) => 1,
            Self::AnythingButText(tests) => tests.len(),
        }
    }

    fn accepts(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Text(test), Value::String(text)) => test.passes(text),
            (Self::Numeric(range), Value::Number(number)) => range.contains(number),
            (Self::AnythingBut(values), value) => !values.contains(value),
            (Self::AnythingButText(tests), Value::String(text)) => {
                !tests.iter().any(|test| test.passes(text))
            }
            (Self::AnythingButText(_), _) => true,
            (Self::Text(_) | Self::Numeric(_), _) => false,
        }
    }
}

/// The numbers between two bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NumericRange {
    lower: Bound<Numeral>,
    upper: Bound<Numeral>,
}

impl NumericRange {
    /// A range; `None` if no number can be in it.
    pub(super) fn new(lower: Bound<Numeral>, upper: Bound<Numeral>) -> Option<Self> {
        let holds_something = match (lower, upper) {
            (Bound::Unbounded, _) | (_, Bound::Unbounded) => true,
            (Bound::Included(lower), Bound::Included(upper)) => lower <= upper,
            (
                Bound::Included(lower) | Bound::Excluded(lower),
                Bound::Included(upper) | Bound::Excluded(upper),
            ) => lower < upper,
        };
        holds_something.then_some(Self { lower, upper })
    }

    fn contains(&self, number: &Number) -> bool {
        (self.lower, self.upper).contains(&Numeral::new(number))
    }
}

/// A set of plain values. However many there are, asking for one takes a few steps.
#[derive(Debug, Clone, Default)]
pub(super) struct ValueSet {
    strings: Vec<String>,
    numbers: Vec<Numeral>,
    null: bool,
    r#true: bool,
    r#false: bool,
}

impl ValueSet {
    /// Adds a value; `false` if it is an array or an object and so not a plain one. Call
    /// [`seal`](Self::seal) after the last.
    pub(super) fn insert(&mut self, value: &Value) -> bool {
        match value {
            Value::String(text) => self.strings.push(text.clone()),
            Value::Number(number) => self.numbers.push(Numeral::new(number)),
            Value::Null => self.null = true,
            Value::Bool(true) => self.r#true = true,
            Value::Bool(false) => self.r#false = true,
            Value::Array(_) | Value::Object(_) => return false,
        }
        true
    }

    /// Makes the set ready to be asked.
    pub(super) fn seal(mut self) -> Self {
        self.strings.sort_unstable();
        self.strings.dedup();
        self.numbers.sort_unstable();
        self.numbers.dedup();
        self
    }

    fn contains(&self, value: &Value) -> bool {
        match value {
            Value::String(text) => self.strings.binary_search(text).is_ok(),
            Value::Number(number) => {
                !self.numbers.is_empty() && self.numbers.binary_search(&Numeral::new(number)).is_ok()
            }
            Value::Null => self.null,
            Value::Bool(true) => self.r#true,
            Value::Bool(false) => self.r#false,
            Value::Array(_) | Value::Object(_) => false,
        }
    }
}
