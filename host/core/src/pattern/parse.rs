//! From JSON to alternatives, with the place of whatever is wrong.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Bound;
use std::sync::Arc;

use super::alternative::{Alternative, Field, both, either};
use super::operator::{NumericRange, Operator, Tests, ValueSet};
use super::text::{TextTest, Wildcard, fold_case};
use super::{DEPTH_MAX, PatternError, PatternFault};
use crate::json::{Decimal, Kind, Node};

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
pub(super) fn parse(pattern: Node<'_>) -> Result<Vec<Alternative>, PatternError> {
    if pattern.kind() != Kind::Object {
        return Err(PatternError::at_root(PatternFault::NotObject));
    }
    let mut reader = Reader::default();
    let read = reader.read_object(pattern, Place::Fields);
    read.map_err(|fault| PatternError { pointer: reader.pointer, fault })
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
    fn read_object(&mut self, object: Node<'_>, place: Place) -> Result<Vec<Alternative>, PatternFault> {
        if self.depth == DEPTH_MAX {
            return Err(PatternFault::TooDeep);
        }
        if object.count() == 0 {
            return Err(PatternFault::Empty);
        }
        self.depth += 1;
        let mut alternatives = vec![Alternative::default()];
        for (name, value) in members_once(object) {
            self.at(&name, |reader| {
                let field = reader.read_field(&name, value, place)?;
                both(&mut alternatives, field)
            })?;
        }
        self.depth -= 1;
        Ok(alternatives)
    }

    fn read_field(
        &mut self,
        name: &str,
        value: Node<'_>,
        place: Place,
    ) -> Result<Vec<Alternative>, PatternFault> {
        if name == "$or" {
            return self.read_or(value);
        }
        if place == Place::Or && OPERATORS.contains(&name) {
            return Err(PatternFault::OperatorInOr { name: name.to_owned() });
        }
        match value.kind() {
            Kind::Object => {
                let below = self.read_object(value, place)?;
                Ok(below
                    .into_iter()
                    .map(|object| Alternative::of_field(name, Field::Object(object)))
                    .collect())
            }
            Kind::Array => {
                let tests = self.read_tests(value)?;
                Ok(vec![Alternative::of_field(name, Field::Leaf(Arc::new(tests)))])
            }
            Kind::Null
            | Kind::False
            | Kind::True
            | Kind::Number
            | Kind::PlainString
            | Kind::EscapedString => Err(PatternFault::NotListOrObject),
        }
    }

    fn read_or(&mut self, value: Node<'_>) -> Result<Vec<Alternative>, PatternFault> {
        if value.kind() != Kind::Array || value.count() < 2 {
            return Err(PatternFault::Or);
        }
        let mut alternatives = Vec::new();
        for (index, object) in value.elements().enumerate() {
            self.at(&index.to_string(), |reader| {
                if object.kind() != Kind::Object {
                    return Err(PatternFault::NotObject);
                }
                let one = reader.read_object(object, Place::Or)?;
                either(&mut alternatives, one)
            })?;
        }
        Ok(alternatives)
    }

    fn read_tests(&mut self, wanted: Node<'_>) -> Result<Tests, PatternFault> {
        if wanted.count() == 0 {
            return Err(PatternFault::Empty);
        }
        let mut tests = Tests::default();
        for (index, value) in wanted.elements().enumerate() {
            self.at(&index.to_string(), |reader| match value.kind() {
                Kind::Object => reader.read_operator(value, &mut tests),
                _ => tests.exact.insert(value).then_some(()).ok_or(PatternFault::NotValue),
            })?;
        }
        tests.exact = tests.exact.seal();
        Ok(tests)
    }

    fn read_operator(&mut self, object: Node<'_>, tests: &mut Tests) -> Result<(), PatternFault> {
        let (name, operand) = only_entry(object)?;
        self.at(&name, |reader| {
            let operator = match &*name {
                "exists" => {
                    match operand.kind() {
                        Kind::True => tests.present = true,
                        Kind::False => tests.absent = true,
                        _ => return expect(None, "exists", "true or false"),
                    }
                    return Ok(());
                }
                "anything-but" => reader.read_anything_but(operand)?,
                "numeric" => Operator::Numeric(expect(read_range(operand), "numeric", NUMERIC)?),
                "cidr" => {
                    let network = operand.text().and_then(|text| text.parse().ok());
                    tests.networks.push(expect(network, "cidr", CIDR)?);
                    return Ok(());
                }
                "prefix" | "suffix" | "equals-ignore-case" | "wildcard" => {
                    Operator::Text(reader.read_text_test(&name, operand)?)
                }
                _ => return Err(PatternFault::UnknownOperator { name: name.clone().into_owned() }),
            };
            tests.operators.push(operator);
            Ok(())
        })
    }

    fn read_text_test(&mut self, name: &str, operand: Node<'_>) -> Result<TextTest, PatternFault> {
        if operand.kind() == Kind::Object {
            let (form, inner) = only_entry(operand)?;
            return self.at(&form, |_| match (name, &*form, inner.text()) {
                ("prefix", "equals-ignore-case", Some(text)) => {
                    Ok(TextTest::PrefixIgnoreCase(fold_case(&text)))
                }
                ("suffix", "equals-ignore-case", Some(text)) => {
                    Ok(TextTest::SuffixIgnoreCase(fold_case(&text)))
                }
                _ => Err(text_operand(name)),
            });
        }
        let text = operand.text().ok_or_else(|| text_operand(name))?;
        text_test(name, &text)
    }

    fn read_anything_but(&mut self, operand: Node<'_>) -> Result<Operator, PatternFault> {
        if operand.kind() == Kind::Object {
            let (name, operand) = only_entry(operand)?;
            let tests = self.at(&name, |_| read_anything_but_text(&name, operand))?;
            return Ok(Operator::AnythingButText(tests));
        }
        let values = list_of(operand);
        let one_kind = values.iter().all(|value| value.kind().is_string())
            || values.iter().all(|value| value.kind() == Kind::Number);
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

/// The members of an object, each name once, in the order of their last values.
fn members_once(object: Node<'_>) -> Vec<(Cow<'_, str>, Node<'_>)> {
    let named = || object.members().map(|(name, value)| (name.text().unwrap_or_default(), value));
    let last: HashMap<_, _> = named().enumerate().map(|(index, (name, _))| (name, index)).collect();
    let members = named().enumerate().filter(|(index, (name, _))| last.get(name) == Some(index));
    members.map(|(_, member)| member).collect()
}

/// The elements of a list, or what stands in the place of a list of one.
fn list_of(operand: Node<'_>) -> Vec<Node<'_>> {
    if operand.kind() == Kind::Array { operand.elements().collect() } else { vec![operand] }
}

fn read_anything_but_text(name: &str, operand: Node<'_>) -> Result<Vec<TextTest>, PatternFault> {
    let values = list_of(operand);
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
        let text = value.text().filter(|text| !(empty_excludes_all && text.is_empty())).ok_or_else(wrong)?;
        tests.push(text_test(name, &text)?);
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

fn read_range(operand: Node<'_>) -> Option<NumericRange> {
    let parts: Vec<_> = operand.elements().collect();
    let number = |part: &Node<'_>| part.decimal().map(Decimal::into_owned);
    let (first, bound, rest) = match &parts[..] {
        [first, bound, rest @ ..] => (first.text()?, number(bound)?, rest),
        _ => return None,
    };
    let lower = match (&*first, rest) {
        ("=", []) => return NumericRange::new(Bound::Included(bound.clone()), Bound::Included(bound)),
        ("<", []) => return NumericRange::new(Bound::Unbounded, Bound::Excluded(bound)),
        ("<=", []) => return NumericRange::new(Bound::Unbounded, Bound::Included(bound)),
        (">", _) => Bound::Excluded(bound),
        (">=", _) => Bound::Included(bound),
        _ => return None,
    };
    let upper = match rest {
        [] => Bound::Unbounded,
        [second, bound] => match &*second.text()? {
            "<" => Bound::Excluded(number(bound)?),
            "<=" => Bound::Included(number(bound)?),
            _ => return None,
        },
        _ => return None,
    };
    NumericRange::new(lower, upper)
}

fn only_entry(object: Node<'_>) -> Result<(Cow<'_, str>, Node<'_>), PatternFault> {
    let mut entries = object.members();
    match (entries.next(), entries.next()) {
        (Some((name, value)), None) => Ok((name.text().unwrap_or_default(), value)),
        _ => Err(PatternFault::NotOneOperator),
    }
}

fn expect<T>(operand: Option<T>, operator: &'static str, expected: &'static str) -> Result<T, PatternFault> {
    operand.ok_or(PatternFault::Operand { operator, expected })
}
