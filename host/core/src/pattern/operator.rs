//! What one value of an event is judged by.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::net::IpAddr;
use std::ops::{Bound, RangeBounds};

use ipnet::IpNet;

use super::steps::{OutOfSteps, Steps};
use super::text::TextTest;
use crate::json::{Decimal, Kind, Node};

/// Bytes of the longest text that is an address.
const ADDRESS_BYTES_MAX: usize = 45;
/// Networks or digits that are compared in one step.
const COMPARED_PER_STEP: usize = 8;

/// A string, number, boolean or null of an event. What takes time to find out is found out once.
pub(super) struct Scalar<'d> {
    node: Node<'d>,
    kind: Kind,
    text: OnceCell<Option<Cow<'d, str>>>,
    decimal: OnceCell<Option<Decimal<'d>>>,
    address: OnceCell<Option<IpAddr>>,
}

impl<'d> Scalar<'d> {
    pub(super) fn new(node: Node<'d>) -> Self {
        let (text, decimal, address) = (OnceCell::new(), OnceCell::new(), OnceCell::new());
        Self { node, kind: node.kind(), text, decimal, address }
    }

    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    pub(super) fn text(&self) -> Option<&str> {
        self.text.get_or_init(|| self.node.text()).as_deref()
    }

    pub(super) fn decimal(&self) -> Option<&Decimal<'d>> {
        self.decimal.get_or_init(|| self.node.decimal()).as_ref()
    }

    fn address(&self) -> Option<IpAddr> {
        *self.address.get_or_init(|| {
            self.text().filter(|text| text.len() <= ADDRESS_BYTES_MAX).and_then(|text| text.parse().ok())
        })
    }
}

/// One field's list of wanted values: any of them will do.
#[derive(Debug, Default, PartialEq, Eq, Hash)]
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

    /// Whether it takes a look at each of them to tell which values are wanted.
    pub(super) fn have_operators(&self) -> bool {
        !(self.operators.is_empty() && self.networks.is_empty())
    }

    /// Whether an operator accepts a value.
    pub(super) fn operators_accept(&self, value: &Scalar<'_>, steps: &mut Steps) -> Result<bool, OutOfSteps> {
        for operator in &self.operators {
            if operator.accepts(value, steps)? {
                return Ok(true);
            }
        }
        if self.networks.is_empty() || !value.kind().is_string() {
            return Ok(false);
        }
        steps.take(1 + self.networks.len() / COMPARED_PER_STEP)?;
        let address = value.address();
        Ok(address.is_some_and(|address| self.networks.iter().any(|network| network.contains(&address))))
    }
}

/// An operator and its operand.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
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

    fn accepts(&self, value: &Scalar<'_>, steps: &mut Steps) -> Result<bool, OutOfSteps> {
        steps.take(1)?;
        Ok(match self {
            Self::Text(test) => match value.text() {
                Some(text) => test.passes(text, steps)?,
                None => false,
            },
            Self::Numeric(range) => match value.decimal() {
                Some(number) => {
                    steps.take(number.length() / COMPARED_PER_STEP)?;
                    range.contains(number)
                }
                None => false,
            },
            Self::AnythingBut(values) => !values.contains(value, steps)?,
            Self::AnythingButText(tests) => match value.text() {
                Some(text) => !passes_any(tests, text, steps)?,
                None => true,
            },
        })
    }
}

fn passes_any(tests: &[TextTest], text: &str, steps: &mut Steps) -> Result<bool, OutOfSteps> {
    for test in tests {
        steps.take(1)?;
        if test.passes(text, steps)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The numbers between two bounds.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct NumericRange {
    lower: Bound<Decimal<'static>>,
    upper: Bound<Decimal<'static>>,
}

impl NumericRange {
    /// A range; `None` if no number can be in it.
    pub(super) fn new(lower: Bound<Decimal<'static>>, upper: Bound<Decimal<'static>>) -> Option<Self> {
        let holds_something = match (&lower, &upper) {
            (Bound::Unbounded, _) | (_, Bound::Unbounded) => true,
            (Bound::Included(lower), Bound::Included(upper)) => lower <= upper,
            (
                Bound::Included(lower) | Bound::Excluded(lower),
                Bound::Included(upper) | Bound::Excluded(upper),
            ) => lower < upper,
        };
        holds_something.then_some(Self { lower, upper })
    }

    fn contains(&self, number: &Decimal<'_>) -> bool {
        (self.lower.as_ref(), self.upper.as_ref()).contains(number)
    }
}

/// A set of plain values. However many there are, asking for one takes a few steps.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct ValueSet {
    pub(super) strings: Vec<String>,
    pub(super) numbers: Vec<Decimal<'static>>,
    pub(super) null: bool,
    pub(super) r#true: bool,
    pub(super) r#false: bool,
}

impl ValueSet {
    /// Adds a value; `false` if it is an array or an object and so not a plain one. Call
    /// [`seal`](Self::seal) after the last.
    pub(super) fn insert(&mut self, value: Node<'_>) -> bool {
        match value.kind() {
            Kind::PlainString | Kind::EscapedString => self.strings.extend(value.text().map(Cow::into_owned)),
            Kind::Number => self.numbers.extend(value.decimal().map(Decimal::into_owned)),
            Kind::Null => self.null = true,
            Kind::True => self.r#true = true,
            Kind::False => self.r#false = true,
            Kind::Array | Kind::Object => return false,
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

    fn contains(&self, value: &Scalar<'_>, steps: &mut Steps) -> Result<bool, OutOfSteps> {
        let found = match value.kind() {
            Kind::Null => self.null,
            Kind::True => self.r#true,
            Kind::False => self.r#false,
            Kind::PlainString | Kind::EscapedString => match value.text() {
                Some(text) if !self.strings.is_empty() => {
                    steps.take(2 + self.strings.len().ilog2() as usize)?;
                    self.strings.binary_search_by(|own| own.as_str().cmp(text)).is_ok()
                }
                Some(_) | None => false,
            },
            Kind::Number => match value.decimal() {
                Some(number) if !self.numbers.is_empty() => {
                    steps.take(
                        2 + self.numbers.len().ilog2() as usize + number.length() / COMPARED_PER_STEP,
                    )?;
                    self.numbers.binary_search_by(|own| own.cmp(number)).is_ok()
                }
                Some(_) | None => false,
            },
            Kind::Array | Kind::Object => false,
        };
        Ok(found)
    }
}
