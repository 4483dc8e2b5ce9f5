//! A JSON body: values with variables, in an order and under keys that are as written.

use serde_json::Value;

use super::error::{CompositionError, CompositionFault, InvalidComposition, Part};
use super::output::Output;
use super::template::{Piece, Reader, Scope, TextTemplate};
use super::{JSON_DEPTH_MAX, TEMPLATE_BYTES_MAX};

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

/// Bytes of a body's JSON text, unless it has more than a composition may have.
///
/// # Errors
/// When it has, or is nested too deeply.
pub(super) fn text_bytes(body: &Value) -> Result<usize, CompositionFault> {
    if !depth_fits(body, JSON_DEPTH_MAX) {
        return Err(CompositionFault::TooDeep);
    }
    let mut text = Output::new(TEMPLATE_BYTES_MAX, CompositionError::BodyTooLarge);
    text.write_literal(body).map_err(|_| CompositionFault::TextTooLong)?;
    Ok(text.into_text().len())
}

fn depth_fits(value: &Value, levels_left: usize) -> bool {
    let below = |value| levels_left > 0 && depth_fits(value, levels_left - 1);
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
        Value::Array(items) => levels_left > 0 && items.iter().all(below),
        Value::Object(members) => levels_left > 0 && members.values().all(below),
    }
}

impl JsonTemplate {
    /// Reads a body that [`text_bytes`] measured.
    pub(super) fn read(reader: &mut Reader<'_>, body: &Value) -> Result<Self, InvalidComposition> {
        Self::read_at(reader, body, &mut String::new())
    }

    fn read_at(
        reader: &mut Reader<'_>,
        value: &Value,
        pointer: &mut String,
    ) -> Result<Self, InvalidComposition> {
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => Ok(Self::Literal(value.to_string().into())),
            Value::String(text) => {
                let template =
                    reader.read(text).map_err(|fault| fault.of(Part::Body { pointer: pointer.clone() }))?;
                let has_variables = template.pieces().iter().any(|piece| matches!(piece, Piece::Variable(_)));
                Ok(if has_variables { Self::Text(template) } else { Self::Literal(value.to_string().into()) })
            }
            Value::Array(items) => {
                let read = |(index, item): (usize, &Value)| {
                    Self::read_below(reader, item, pointer, &index.to_string())
                };
                Ok(Self::Array(items.iter().enumerate().map(read).collect::<Result<_, _>>()?))
            }
            Value::Object(members) => {
                let read = |(key, value): (&String, &Value)| {
                    let token = key.replace('~', "~0").replace('/', "~1");
                    let template = Self::read_below(reader, value, pointer, &token)?;
                    Ok((Value::from(key.as_str()).to_string().into(), template))
                };
                Ok(Self::Object(members.iter().map(read).collect::<Result<_, _>>()?))
            }
        }
    }

    fn read_below(
        reader: &mut Reader<'_>,
        value: &Value,
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
