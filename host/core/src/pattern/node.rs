//! One alternative of a pattern, walked along an event.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::alternative::{Alternative, Field};
use super::operator::Tests;

/// Fields that must all match.
#[derive(Debug)]
pub(super) struct Fields {
    entries: Vec<(String, Node)>,
    /// Whether an event without any of them matches, as every one may be absent.
    may_be_absent: bool,
}

#[derive(Debug)]
enum Node {
    Leaf(Arc<Tests>),
    Object(Fields),
}

/// How a part of a pattern fares with a part of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It does not match.
    Unmet,
    /// It matches, only because what is there has no value that `exists: false` forbids.
    Absent,
    /// It matches, and a value of the event is why.
    Met,
}

impl Fields {
    /// How they fare with an object.
    ///
    /// The walk goes as deep as the pattern, plus as deep as arrays lie within arrays in the event, which the JSON
    /// reader limits to 128.
    pub(super) fn evaluate(&self, object: &Map<String, Value>) -> Outcome {
        let mut all = Outcome::Absent;
        for (name, node) in &self.entries {
            let outcome = match (node, object.get(name)) {
                (Node::Leaf(tests), value) => evaluate_leaf(tests, value),
                (Node::Object(fields), Some(value)) => fields.evaluate_value(value),
                (Node::Object(fields), None) => fields.evaluate_nothing(),
            };
            match outcome {
                Outcome::Unmet => return Outcome::Unmet,
                Outcome::Absent => {}
                Outcome::Met => all = Outcome::Met,
            }
        }
        all
    }

    fn evaluate_value(&self, value: &Value) -> Outcome {
        match value {
            Value::Object(object) => self.evaluate(object),
            Value::Array(elements) => self.evaluate_elements(elements),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => self.evaluate_nothing(),
        }
    }

    /// One element must match by its values. Failing that, all must be free of what must not exist: with no value
    /// that chooses an element, `exists: false` speaks of the whole array.
    fn evaluate_elements(&self, elements: &[Value]) -> Outcome {
        let mut all = self.evaluate_nothing();
        for element in elements {
            match self.evaluate_value(element) {
                Outcome::Met => return Outcome::Met,
                Outcome::Absent => {}
                Outcome::Unmet => all = Outcome::Unmet,
            }
        }
        all
    }

    fn evaluate_nothing(&self) -> Outcome {
        if self.may_be_absent { Outcome::Absent } else { Outcome::Unmet }
    }
}

impl Node {
    fn may_be_absent(&self) -> bool {
        match self {
            Self::Leaf(tests) => tests.absent,
            Self::Object(fields) => fields.may_be_absent,
        }
    }
}

impl From<Alternative> for Fields {
    fn from(alternative: Alternative) -> Self {
        let entries: Vec<_> = alternative
            .fields
            .into_iter()
            .map(|(name, field)| match field {
                Field::Leaf(tests) => (name, Node::Leaf(tests)),
                Field::Object(below) => (name, Node::Object(below.into())),
            })
            .collect();
        let may_be_absent = entries.iter().all(|(_, node)| node.may_be_absent());
        Self { entries, may_be_absent }
    }
}

fn evaluate_leaf(tests: &Tests, value: Option<&Value>) -> Outcome {
    let mut any_value = false;
    if value.is_some_and(|value| any_accepted(tests, value, &mut any_value)) {
        Outcome::Met
    } else if tests.absent && !any_value {
        Outcome::Absent
    } else {
        Outcome::Unmet
    }
}

/// Whether a value, or one in the array that it is, is accepted. Objects are not values.
fn any_accepted(tests: &Tests, value: &Value, any_value: &mut bool) -> bool {
    match value {
        Value::Object(_) => false,
        Value::Array(elements) => elements.iter().any(|element| any_accepted(tests, element, any_value)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            *any_value = true;
            tests.accepts(value)
        }
    }
}
