//! Text with variables: `Bearer @{{payload.id}}`.

use super::error::{CompositionError, CompositionFault, InvalidComposition, Part};
use super::output::{Encoding, Output};
use super::variable::{Variable, Vocabulary};
use super::{MissingRule, VARIABLES_MAX};
use crate::json::Node;

const OPEN: &str = "@{{";
const CLOSE: &str = "}}";

/// Reads all texts of one composition.
#[derive(Debug)]
pub(super) struct Reader<'v> {
    vocabulary: Vocabulary<'v>,
    /// Read so far.
    variables: usize,
}

/// A text that was read.
#[derive(Debug)]
pub(super) struct TextTemplate(Box<[Piece]>);

#[derive(Debug)]
pub(super) enum Piece {
    Literal(Box<str>),
    Variable(Variable),
}

/// A rule that a text breaks, and where.
#[derive(Debug)]
pub(super) struct TextFault {
    offset: usize,
    fault: CompositionFault,
}

/// One event that a composition is rendered for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scope<'e> {
    pub(super) event: Node<'e>,
    pub(super) missing: MissingRule,
}

impl TextFault {
    /// The fault in a text of which only what follows `skipped` bytes was read.
    pub(super) fn behind(self, skipped: usize) -> Self {
        Self { offset: self.offset + skipped, ..self }
    }

    pub(super) fn of(self, part: Part) -> InvalidComposition {
        InvalidComposition { part, offset: Some(self.offset), fault: self.fault }
    }
}

impl<'v> Reader<'v> {
    pub(super) fn new(vocabulary: Vocabulary<'v>) -> Self {
        Self { vocabulary, variables: 0 }
    }

    /// Reads a text. A variable ends at the first `}}` behind it; braces elsewhere are text.
    pub(super) fn read(&mut self, text: &str) -> Result<TextTemplate, TextFault> {
        let mut pieces = Vec::new();
        let mut start = 0;
        while let Some(found) = text[start..].find(OPEN) {
            let open = start + found;
            if open > start {
                pieces.push(Piece::Literal(text[start..open].into()));
            }
            let inside = open + OPEN.len();
            let length = text[inside..].find(CLOSE);
            let length = length.ok_or(TextFault { offset: open, fault: CompositionFault::Unclosed })?;
            let variable = self.read_variable(&text[inside..inside + length]);
            pieces.push(Piece::Variable(variable.map_err(|fault| fault.behind(inside))?));
            start = inside + length + CLOSE.len();
        }
        if start < text.len() {
            pieces.push(Piece::Literal(text[start..].into()));
        }
        Ok(TextTemplate(pieces.into()))
    }

    /// Reads what stands between the braces.
    fn read_variable(&mut self, inside: &str) -> Result<Variable, TextFault> {
        if let Some(offset) = inside.find(OPEN) {
            return Err(TextFault { offset, fault: CompositionFault::Nested });
        }
        let path = inside.trim_matches(' ');
        let offset = inside.len() - inside.trim_start_matches(' ').len();
        if path.is_empty() {
            return Err(TextFault { offset: 0, fault: CompositionFault::EmptyVariable });
        }
        self.variables += 1;
        if self.variables > VARIABLES_MAX {
            return Err(TextFault { offset, fault: CompositionFault::TooManyVariables });
        }
        let variable =
            Variable::parse(path).map_err(|(at, fault)| TextFault { offset: offset + at, fault })?;
        self.vocabulary.check(&variable).map_err(|fault| TextFault { offset, fault })?;
        Ok(variable)
    }
}

impl<'e> Scope<'e> {
    /// The variable's value in the event.
    ///
    /// # Errors
    /// When there is none, and the rule is to fail then.
    pub(super) fn value(&self, variable: &Variable) -> Result<Option<Node<'e>>, CompositionError> {
        match (variable.find(self.event), self.missing) {
            (Some(value), _) => Ok(Some(value)),
            (None, MissingRule::Empty | MissingRule::Omit) => Ok(None),
            (None, MissingRule::Fail) => {
                Err(CompositionError::ValueMissing { variable: variable.name().to_owned() })
            }
        }
    }
}

impl TextTemplate {
    pub(super) fn pieces(&self) -> &[Piece] {
        &self.0
    }

    /// Whether what holds this text is left out, because the event lacks a value.
    pub(super) fn is_omitted(&self, scope: &Scope<'_>) -> bool {
        let missing = |piece: &Piece| match piece {
            Piece::Literal(_) => false,
            Piece::Variable(variable) => variable.find(scope.event).is_none(),
        };
        scope.missing == MissingRule::Omit && self.0.iter().any(missing)
    }

    /// Writes the text with the event's values. One that is missing has no text.
    pub(super) fn render(
        &self,
        scope: &Scope<'_>,
        encoding: Encoding,
        output: &mut Output,
    ) -> Result<(), CompositionError> {
        for piece in &self.0 {
            match piece {
                Piece::Literal(text) => output.write_text(text)?,
                Piece::Variable(variable) => {
                    if let Some(value) = scope.value(variable)? {
                        output.write_value(value, encoding)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// The text for something that is written into `output`.
    pub(super) fn text(&self, scope: &Scope<'_>, output: &Output) -> Result<String, CompositionError> {
        let mut text = output.piece();
        self.render(scope, Encoding::Plain, &mut text)?;
        Ok(text.into_text())
    }
}
