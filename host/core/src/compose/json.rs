//! A JSON body: values with variables, in an order and under keys that are as written.

use std::fmt;

use serde_json::Value;

use super::error::{CompositionError, CompositionFault, InvalidComposition, Part};
use super::output::Output;
use super::template::{Piece, Reader, Scope, TextTemplate};
use super::{JSON_DEPTH_MAX, TEMPLATE_BYTES_MAX};
use crate::json::{Document, JsonFault, Kind, Node};

/// A JSON body as the operator wrote it: its text, without the blanks between values, so that numbers keep their digits.
#[derive(Clone, PartialEq, Eq)]
pub struct JsonBody(Box<str>);

/// A JSON value that was read.
#[derive(Debug)]
pub(super) enum JsonTemplate {
    /// JSON text without variables.
    Literal(Box<str>),
    /// A string with variables.
    Text(TextTemplate),
    Array(Box<[JsonTemplate]>),
    /// Each member's key as JSON text, and its value.
    Object(Box<[(Box<str>, JsonTemplate)]>),
}

impl JsonBody {
    /// Takes a text.
    ///
    /// # Errors
    /// The first place where it is not JSON.
    pub fn parse(text: &str) -> Result<Self, JsonFault> {
        let document = Document::parse(text.to_owned())?;
        Ok(Self(document.root().compact().into()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn document(&self) -> Document {
        Document::parse(self.0.to_string()).expect("it was read as JSON when it was made")
    }
}

impl<V: Into<Value>> From<V> for JsonBody {
    fn from(value: V) -> Self {
        Self(value.into().to_string().into())
    }
}

impl fmt::Debug for JsonBody {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Bytes of a body's JSON text, unless it has more than a composition may have.
///
/// # Errors
/// When it has, or is nested too deeply.
pub(super) fn text_bytes(body: &JsonBody) -> Result<usize, CompositionFault> {
    if !depth_fits(body.document().root(), JSON_DEPTH_MAX) {
        return Err(CompositionFault::TooDeep);
    }
    match body.0.len() {
        bytes @ ..=TEMPLATE_BYTES_MAX => Ok(bytes),
        _ => Err(CompositionFault::TextTooLong),
    }
}

fn depth_fits(node: Node<'_>, levels_left: usize) -> bool {
    let below = |node| levels_left > 0 && depth_fits(node, levels_left - 1);
    match node.kind() {
        Kind::Null | Kind::False | Kind::True | Kind::Number | Kind::PlainString | Kind::EscapedString => {
            true
        }
        Kind::Array => levels_left > 0 && node.elements().all(below),
        Kind::Object => levels_left > 0 && node.members().all(|(_, value)| below(value)),
    }
}

impl JsonTemplate {
    /// Reads a body that [`text_bytes`] measured.
    pub(super) fn read(reader: &mut Reader<'_>, body: &JsonBody) -> Result<Self, InvalidComposition> {
        Self::read_at(reader, body.document().root(), &mut String::new())
    }

    fn read_at(
        reader: &mut Reader<'_>,
        node: Node<'_>,
        pointer: &mut String,
    ) -> Result<Self, InvalidComposition> {
        match node.kind() {
            Kind::Null | Kind::False | Kind::True | Kind::Number => Ok(Self::Literal(node.json().into())),
            Kind::PlainString | Kind::EscapedString => {
                let text = node.text().unwrap_or_default();
                let template =
                    reader.read(&text).map_err(|fault| fault.of(Part::Body { pointer: pointer.clone() }))?;
                let has_variables = template.pieces().iter().any(|piece| matches!(piece, Piece::Variable(_)));
                Ok(if has_variables { Self::Text(template) } else { Self::Literal(node.json().into()) })
            }
            Kind::Array => {
                let read = |(index, item): (usize, Node<'_>)| {
                    Self::read_below(reader, item, pointer, &index.to_string())
                };
                Ok(Self::Array(node.elements().enumerate().map(read).collect::<Result<_, _>>()?))
            }
            Kind::Object => {
                let read = |(key, value): (Node<'_>, Node<'_>)| {
                    let token = key.text().unwrap_or_default().replace('~', "~0").replace('/', "~1");
                    let template = Self::read_below(reader, value, pointer, &token)?;
                    Ok((key.json().into(), template))
                };
                Ok(Self::Object(node.members().map(read).collect::<Result<_, _>>()?))
            }
        }
    }

    fn read_below(
        reader: &mut Reader<'_>,
        value: Node<'_>,
        pointer: &mut String,
        token: &str,
    ) -> Result<Self, InvalidComposition> {
        let parent = pointer.len();
        pointer.push('/');
        pointer.push_str(token);
        let template = Self::read_at(reader, value, pointer)?;
        pointer.truncate(parent);
        Ok(template)
    }

    /// Writes the body with the event's values.
    pub(super) fn render(&self, scope: &Scope<'_>, output: &mut Output) -> Result<(), CompositionError> {
        match self {
            Self::Literal(json) => output.write_text(json),
            Self::Text(template) => render_string(template, scope, output),
            Self::Array(items) => {
                output.write_text("[")?;
                let kept = items.iter().filter(|item| !item.is_omitted(scope));
                for (index, item) in kept.enumerate() {
                    output.write_text(if index > 0 { "," } else { "" })?;
                    item.render(scope, output)?;
                }
                output.write_text("]")
            }
            Self::Object(members) => {
                output.write_text("{")?;
                let kept = members.iter().filter(|(_, value)| !value.is_omitted(scope));
                for (index, (key, value)) in kept.enumerate() {
                    output.write_text(if index > 0 { "," } else { "" })?;
                    output.write_text(key)?;
                    output.write_text(":")?;
                    value.render(scope, output)?;
                }
                output.write_text("}")
            }
        }
    }

    fn is_omitted(&self, scope: &Scope<'_>) -> bool {
        match self {
            Self::Text(template) => template.is_omitted(scope),
            Self::Literal(_) | Self::Array(_) | Self::Object(_) => false,
        }
    }
}

/// A variable that is all of the string keeps its type; beside other text it becomes text.
fn render_string(
    template: &TextTemplate,
    scope: &Scope<'_>,
    output: &mut Output,
) -> Result<(), CompositionError> {
    if let [Piece::Variable(variable)] = template.pieces() {
        return match scope.value(variable)? {
            Some(value) => output.write_json(value),
            None => output.write_text("null"),
        };
    }
    let text = template.text(scope, output)?;
    output.write_json_string(&text)
}
