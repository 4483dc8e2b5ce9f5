//! Text for people: names, descriptions, labels.

use hookmill_core::limits::DESCRIPTION_CHARS_MAX;
use thiserror::Error;

/// At most [`DESCRIPTION_CHARS_MAX`] characters, none of them a control character but tabs and line breaks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Text(String);

/// Text that is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidText {
    /// Nothing, where something is needed.
    #[error("must not be empty")]
    Empty,
    /// Too long.
    #[error("has {chars} characters; at most {DESCRIPTION_CHARS_MAX} are kept")]
    TooLong {
        /// How many there are.
        chars: usize,
    },
    /// Something that no terminal or page should show.
    #[error("has a control character")]
    Control,
}

impl Text {
    /// Takes text that may be empty.
    ///
    /// # Errors
    /// Too long, or with control characters.
    pub fn new(text: String) -> Result<Self, InvalidText> {
        let chars = text.chars().count();
        if chars > DESCRIPTION_CHARS_MAX {
            return Err(InvalidText::TooLong { chars });
        }
        let hostile = |char: char| char.is_control() && !matches!(char, '\n' | '\r' | '\t');
        if text.contains(hostile) { Err(InvalidText::Control) } else { Ok(Self(text)) }
    }

    /// Takes text that says something.
    ///
    /// # Errors
    /// As [`new`](Self::new), or when it is empty.
    pub fn not_empty(text: String) -> Result<Self, InvalidText> {
        if text.is_empty() { Err(InvalidText::Empty) } else { Self::new(text) }
    }

    /// The text.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }
}
