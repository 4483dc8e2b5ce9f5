//! From JSON to alternatives, with the place of whatever is wrong.

use std::ops::Bound;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::alternative::{Alternative, Field, both, either};
use super::node::Fields;
use super::numeral::Numeral;
use super::operator::{NumericRange, Operator, Tests, ValueSet};
use super::text::{TextTest, Wildcard, fold_case};
use super::{DEPTH_MAX, PatternError, PatternFault};

/// Keys that name operators, as fields of a `$or` most likely by mistake.
const OPERATORS: [&str; 8] =
    ["anything-but", "cidr", "equals-ignore-case", "exists", "numeric", "prefix", "suffix", "wildcard"];

const TEXT: &str = "a string";
const TEXT_OR_FOLDED: &str = "a string, or {\"equals-ignore-case\": string}";
const CIDR: &str = "a network such as 10.0.0.0/24 or 2001:db8::/64";
const NUMERIC: &str =
    "a list: one of =, <, <=, >, >= and a number; or > or >=, a number, < or <= and a larger number";
const ANYTHING_BUT: &str = "a string, a number, a list of strings or of numbers, or one of prefix, suffix, \
                            equals-ignore-case and wildcard";
const ANYTHING_BUT_TEXT: &str = "a string or a list of strings, none of them empty";

/// Reads a pattern.
pub(super) fn parse(pattern: &Value) -> Result<Vec<Fields>, PatternError> {
    let Value::Object(fields) = pattern else { return Err(PatternError::at_root(PatternFault::NotObject)) };
    let mut reader = Reader::default();
    match reader.read_object(fields, Place::Fields) {
        Ok(alternatives) => Ok(alternatives.into_iter().map(Fields::from).collect()),
        Err(fault) => Err(PatternError { pointer: reader.pointer, fault }),
    }
}

/// Whether an object is inside a `$or`, at any depth.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Fields,
    Or,
}

/// Remembers where it is. It leaves a key only when that went well, so that after a fault `pointer` names the
/// failing one.
#[derive(Default)]
struct Reader {
    pointer: String,
    depth: usize,
}

impl Reader {
    fn read_object(
        &mut self,
        object: &Map<String, Value>,
        place: Place,
    ) -> Result<Vec<Alternative>, PatternFault> {
        if self.depth == DEPTH_MAX {
            return Err(PatternFault::TooDeep);
        }
        if object.is_empty() {
            return Err(PatternFault::Empty);
        }
        self.depth += 1;
        let mut alternatives = vec![Alternative::default()];
        for (name, value) in object {
            self.at(name, |reader| {
                let field = reader.read_field(name, value, place)?;
                both(&mut alternatives, field)
            })?;
        }
        self.depth -= 1;
        Ok(alternatives)
    }

    fn read_field(
        &mut self,
        name: &str,
        value: &Value,
        place: Place,
    ) -> Result<Vec<Alternative>, PatternFault> {
        if name == "$or" {
            return self.read_or(value);
        }
        if place == Place::Or && OPERATORS.contains(&name) {
            return Err(PatternFault::OperatorInOr { name: name.to_owned() });
        }
        match value {
            Value::Object(below) => {
                let below = self.read_object(below, place)?;
                Ok(below
                    .into_iter()
                    .map(|object| Alternative::of_field(name, Field::Object(object)))
                    .collect())
            }
            Value::Array(wanted) => {
                let tests = self.read_tests(wanted)?;
                Ok(vec![Alternative::of_field(name, Field::Leaf(Arc::new(tests)))])
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                Err(PatternFault::NotListOrObject)
            }
        }
    }

    fn read_or(&mut self, value: &Value) -> Result<Vec<Alternative>, PatternFault> {
        let objects = value.as_array().filter(|objects| objects.len() >= 2).ok_or(PatternFault::Or)?;
        let mut alternatives = Vec::new();
        for (index, object) in objects.iter().enumerate() {
            self.at(&index.to_string(), |reader| {
                let object = object.as_object().ok_or(PatternFault::NotObject)?;
                let one = reader.read_object(object, Place::Or)?;
                either(&mut alternatives, one)
            })?;
        }
        Ok(alternatives)
    }

    fn read_tests(&mut self, wanted: &[Value]) -> Result<Tests, PatternFault> {
        if wanted.is_empty() {
            return Err(PatternFault::Empty);
        }
        let mut tests = Tests::default();
        for (index, value) in wanted.iter().enumerate() {
            self.at(&index.to_string(), |reader| match value {
                Value::Object(operator) => reader.read_operator(operator, &mut tests),
                value => tests.exact.insert(value).then_some(()).ok_or(PatternFault::NotValue),
            })?;
        }
        tests.exact = tests.exact.seal();
        Ok(tests)
    }

    fn read_operator(&mut self, object: &Map<String, Value>, tests: &mut Tests) -> Result<(), PatternFault> {
        let (name, operand) = only_entry(object)?;
        self.at(name, |reader| {
            let operator = match name {
                "exists" => {
                    match expect(operand.as_bool(), "exists", "true or false")? {
                        true => tests.present = true,
                        false => tests.absent = true,
                    }
                    return Ok(());
                }
                "anything-but" => reader.read_anything_but(operand)?,
                "numeric" => Operator::Numeric(expect(read_range(operand), "numeric", NUMERIC)?),
                "cidr" => {
                    let network = operand.as_str().and_then(|text| text.parse().ok());
                    tests.networks.push(expect(network, "cidr", CIDR)?);
                    return Ok(());
                }
                "prefix" | "suffix" | "equals-ignore-case" | "wildcard" => {
                    Operator::Text(reader.read_text_test(name, operand)?)
                }
                _ => return Err(PatternFault::UnknownOperator { name: name.to_owned() }),
            };
            tests.operators.push(operator);
            Ok(())
        })
    }

    fn read_text_test(&mut self, name: &str, operand: &Value) -> Result<TextTest, PatternFault> {
        if let Value::Object(form) = operand {
            let (form, inner) = only_entry(form)?;
            return self.at(form, |_| match (name, form, inner.as_str()) {
                ("prefix", "equals-ignore-case", Some(text)) => {
                    Ok(TextTest::PrefixIgnoreCase(fold_case(text)))
                }
                ("suffix", "equals-ignore-case", Some(text)) => {
                    Ok(TextTest::SuffixIgnoreCase(fold_case(text)))
                }
                _ => Err(text_operand(name)),
            });
        }
        let text = operand.as_str().ok_or_else(|| text_operand(name))?;
        text_test(name, text)
    }

    fn read_anything_but(&mut self, operand: &Value) -> Result<Operator, PatternFault> {
        if let Value::Object(operator) = operand {
            let (name, operand) = only_entry(operator)?;
            let tests = self.at(name, |_| read_anything_but_text(name, operand))?;
            return Ok(Operator::AnythingButText(tests));
        }
        let values = match operand {
            Value::Array(values) => values.as_slice(),
            value => std::slice::from_ref(value),
        };
        let one_kind = values.iter().all(Value::is_string) || values.iter().all(Value::is_number);
        expect((one_kind && !values.is_empty()).then_some(()), "anything-but", ANYTHING_BUT)?;
        let mut unwanted = ValueSet::default();
        for value in values {
            unwanted.insert(value);
        }
        Ok(Operator::AnythingBut(unwanted.seal()))
    }

    /// Runs `read` at the key below this place.
    fn at<T>(
        &mut self,
        key: &str,
        read: impl FnOnce(&mut Self) -> Result<T, PatternFault>,
    ) -> Result<T, PatternFault> {
        let outer = self.pointer.len();
        self.pointer.push('/');
        self.pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
        let result = read(self)?;
        self.pointer.truncate(outer);
        Ok(result)
    }
}

fn read_anything_but_text(name: &str, operand: &Value) -> Result<Vec<TextTest>, PatternFault> {
    let values = match operand {
        Value::Array(values) => values.as_slice(),
        value => std::slice::from_ref(value),
    };
    let Some(name) =
        ["prefix", "suffix", "equals-ignore-case", "wildcard"].into_iter().find(|known| *known == name)
    else {
        return Err(PatternFault::Operand { operator: "anything-but", expected: ANYTHING_BUT });
    };
    let wrong = || PatternFault::Operand { operator: name, expected: ANYTHING_BUT_TEXT };
    if values.is_empty() {
        return Err(wrong());
    }
    // An empty prefix or suffix would exclude every string.
    let empty_excludes_all = matches!(name, "prefix" | "suffix");
    let mut tests = Vec::with_capacity(values.len());
    for value in values {
        let text =
            value.as_str().filter(|text| !(empty_excludes_all && text.is_empty())).ok_or_else(wrong)?;
        tests.push(text_test(name, text)?);
    }
    Ok(tests)
}

fn text_test(name: &str, text: &str) -> Result<TextTest, PatternFault> {
    match name {
        "prefix" => Ok(TextTest::Prefix(text.to_owned())),
        "suffix" => Ok(TextTest::Suffix(text.to_owned())),
        "equals-ignore-case" => Ok(TextTest::EqualsIgnoreCase(fold_case(text))),
        "wildcard" => Wildcard::parse(text).map(TextTest::Wildcard),
        _ => Err(PatternFault::UnknownOperator { name: name.to_owned() }),
    }
}

fn text_operand(name: &str) -> PatternFault {
    match name {
        "prefix" => PatternFault::Operand { operator: "prefix", expected: TEXT_OR_FOLDED },
        "suffix" => PatternFault::Operand { operator: "suffix", expected: TEXT_OR_FOLDED },
        "wildcard" => PatternFault::Operand { operator: "wildcard", expected: TEXT },
        _ => PatternFault::Operand { operator: "equals-ignore-case", expected: TEXT },
    }
}

fn read_range(operand: &Value) -> Option<NumericRange> {
    let parts = operand.as_array()?.as_slice();
    let (sign, number, rest) = match parts {
        [sign, number, rest @ ..] => (sign.as_str()?, read_numeral(number)?, rest),
        _ => return None,
    };
    let lower = match (sign, rest) {
        ("=", []) => return NumericRange::new(Bound::Included(number), Bound::Included(number)),
        ("<", []) => return NumericRange::new(Bound::Unbounded, Bound::Excluded(number)),
        ("<=", []) => return NumericRange::new(Bound::Unbounded, Bound::Included(number)),
        (">", _) => Bound::Excluded(number),
        (">=", _) => Bound::Included(number),
        _ => return None,
    };
    let upper = match rest {
        [] => Bound::Unbounded,
        [sign, number] => match sign.as_str()? {
            "<" => Bound::Excluded(read_numeral(number)?),
            "<=" => Bound::Included(read_numeral(number)?),
            _ => return None,
        },
        _ => return None,
    };
    NumericRange::new(lower, upper)
}

fn read_numeral(value: &Value) -> Option<Numeral> {
    match value {
        Value::Number(number) => Some(Numeral::new(number)),
        _ => None,
    }
}

fn only_entry(object: &Map<String, Value>) -> Result<(&str, &Value), PatternFault> {
    let mut entries = object.iter();
    match (entries.next(), entries.next()) {
        (Some((name, value)), None) => Ok((name, value)),
        _ => Err(PatternFault::NotOneOperator),
    }
}

fn expect<T>(operand: Option<T>, operator: &'static str, expected: &'static str) -> Result<T, PatternFault> {
    operand.ok_or(PatternFault::Operand { operator, expected })
}
