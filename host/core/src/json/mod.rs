//! JSON by its text: the one reader of payloads.
//!
//! Whatever the grammar of RFC 8259 takes is read: values nested as deeply as a body has bytes, numbers of any length,
//! strings with half of a surrogate pair. So an event that was accepted as JSON is JSON to all that look into it:
//! patterns, compositions, keys in providers' bodies, dry runs, and the functions that plugins ask for a part of a body.
//! Nothing is converted unless somebody asks: a value is the text that it was written as, and numbers keep their digits.
//!
//! # Who is who
//! - [`Document`] is a text that was read once, front to back and without recursion; `scan` is that reading. What comes
//!   of it is a flat list of values, 16 bytes each.
//! - [`Node`] is one value in it: cheap to copy, and to follow downward.
//! - [`Decimal`] compares numbers by what they are worth, however they are written.
//!
//! # What the grammar leaves open
//! - Where an object names a member twice, the last one counts.
//! - Half of a surrogate pair has no character: as text it is U+FFFD, as a browser sends it; as JSON it stays as written.
//! - A byte order mark before the text is skipped (section 8.1 lets a reader do so).

mod compact;
mod decimal;
mod node;
mod scan;
#[cfg(test)]
mod tests;
mod text;

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use serde_json::Value;
use thiserror::Error;

pub use self::compact::write_compact;
pub use self::decimal::Decimal;
pub use self::node::{Elements, Kind, Members, Node, Values};
use self::scan::Entry;

/// What some writers put before a text of UTF-8.
pub const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();
/// Members of an object beyond which a look-up makes an index of it first.
const UNINDEXED_MEMBERS_MAX: usize = 32;

/// The members of an object: the hash of each name with its place, in the order of the hashes.
type MemberIndex = Arc<[(u64, u32)]>;

/// A text that is JSON, read once.
pub struct Document {
    text: Bytes,
    tape: Vec<Entry>,
    hasher: RandomState,
    /// By the place of an object: its members by the hash of their names.
    indices: Mutex<HashMap<u32, MemberIndex>>,
}

/// Why a text is not JSON, and where that shows.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{expected} at line {line} column {column}")]
pub struct JsonFault {
    /// What should be there, as a phrase for people.
    pub expected: &'static str,
    /// From 1.
    pub line: usize,
    /// In bytes, from 1.
    pub column: usize,
}

impl Document {
    /// Reads a text. A byte order mark before it is skipped.
    ///
    /// Takes time and memory in proportion to the text: at most 16 bytes for each two of it.
    ///
    /// # Errors
    /// The first place where it is not JSON in UTF-8.
    pub fn parse(text: impl Into<Bytes>) -> Result<Self, JsonFault> {
        let mut text: Bytes = text.into();
        if text.starts_with(BYTE_ORDER_MARK) {
            text = text.slice(BYTE_ORDER_MARK.len()..);
        }
        let tape = scan::scan(&text)?;
        Ok(Self { text, tape, hasher: RandomState::new(), indices: Mutex::default() })
    }

    /// The value that the text is.
    #[must_use]
    pub fn root(&self) -> Node<'_> {
        Node::new(self, 0)
    }

    /// The same as a value of `serde_json`, for those who take nothing else: numbers beyond its range come out as the nearest
    /// that it has. Nothing where arrays and objects are nested deeper than so many levels.
    #[must_use]
    pub fn to_value(&self, depth_max: usize) -> Option<Value> {
        value_of(self.root(), depth_max)
    }

    /// Values of the text, names of members included.
    #[must_use]
    pub fn values(&self) -> usize {
        self.tape.len()
    }

    /// Bytes that it takes in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.text.len() + self.tape.len() * size_of::<Entry>()
    }

    fn entry(&self, at: u32) -> &Entry {
        &self.tape[at as usize]
    }

    fn slice(&self, start: u32, end: u32) -> &str {
        std::str::from_utf8(&self.text[start as usize..end as usize]).expect("a value of text is text")
    }

    /// The last member of this name of an object with many.
    fn indexed_member(&self, object: Node<'_>, name: &str) -> Option<u32> {
        let index = {
            let mut indices = self.indices.lock().unwrap_or_else(PoisonError::into_inner);
            let index = indices.entry(object.at()).or_insert_with(|| self.index(object));
            Arc::clone(index)
        };
        let hash = self.hasher.hash_one(name);
        let end = index.partition_point(|(other, _)| *other <= hash);
        let same_hash = index[..end].iter().rev().take_while(|(other, _)| *other == hash);
        same_hash.map(|(_, at)| *at).find(|at| Node::new(self, *at).is_text(name)).map(|at| at + 1)
    }

    fn index(&self, object: Node<'_>) -> Arc<[(u64, u32)]> {
        let mut index: Vec<(u64, u32)> = object
            .members()
            .map(|(name, _)| (self.hasher.hash_one(&*name.text().unwrap_or_default()), name.at()))
            .collect();
        index.sort_unstable();
        index.into()
    }
}

fn value_of(node: Node<'_>, levels_left: usize) -> Option<Value> {
    let below = |node| value_of(node, levels_left.checked_sub(1)?);
    Some(match node.kind() {
        Kind::Null => Value::Null,
        Kind::False => Value::Bool(false),
        Kind::True => Value::Bool(true),
        Kind::Number => {
            let nearest = || if node.json().starts_with('-') { f64::MIN } else { f64::MAX };
            serde_json::from_str(node.json()).unwrap_or_else(|_| nearest().into())
        }
        Kind::PlainString | Kind::EscapedString => node.text()?.into_owned().into(),
        Kind::Array if levels_left == 0 => return None,
        Kind::Object if levels_left == 0 => return None,
        Kind::Array => Value::Array(node.elements().map(below).collect::<Option<_>>()?),
        Kind::Object => {
            let member = |(name, value): (Node<'_>, _)| Some((name.text()?.into_owned(), below(value)?));
            Value::Object(node.members().map(member).collect::<Option<_>>()?)
        }
    })
}

impl fmt::Debug for Document {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Document({} bytes, {} values)", self.text.len(), self.tape.len())
    }
}

impl JsonFault {
    /// That something else should be at a place of a text.
    fn at(text: &[u8], offset: usize, expected: &'static str) -> Self {
        let before = &text[..offset.min(text.len())];
        let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        Self { expected, line, column: before.len() - line_start + 1 }
    }
}

/// The text without a byte order mark before it.
#[must_use]
pub fn without_byte_order_mark(text: &Bytes) -> Bytes {
    let mark = if text.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
    text.slice(mark..)
}
