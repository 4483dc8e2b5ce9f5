//! One value of a document, and the way down from it.

use std::borrow::Cow;
use std::convert::Infallible;

use super::{Decimal, Document, UNINDEXED_MEMBERS_MAX, text, write_compact};

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `null`.
    Null,
    /// `false`.
    False,
    /// `true`.
    True,
    /// A number.
    Number,
    /// A string without escapes.
    PlainString,
    /// A string with escapes.
    EscapedString,
    /// An array.
    Array,
    /// An object.
    Object,
}

impl Kind {
    const ALL: [Self; 8] = [
        Self::Null,
        Self::False,
        Self::True,
        Self::Number,
        Self::PlainString,
        Self::EscapedString,
        Self::Array,
        Self::Object,
    ];

    pub(super) fn number(self) -> u32 {
        self as u32
    }

    pub(super) fn from_number(number: u32) -> Self {
        Self::ALL[number as usize]
    }

    /// Whether it is a string, with escapes or without.
    #[must_use]
    pub fn is_string(self) -> bool {
        matches!(self, Self::PlainString | Self::EscapedString)
    }
}

/// One value of a document.
#[derive(Debug, Clone, Copy)]
pub struct Node<'d> {
    document: &'d Document,
    at: u32,
}

impl<'d> Node<'d> {
    pub(super) fn new(document: &'d Document, at: u32) -> Self {
        Self { document, at }
    }

    pub(super) fn at(self) -> u32 {
        self.at
    }

    /// What it is.
    #[must_use]
    pub fn kind(self) -> Kind {
        self.document.entry(self.at).kind()
    }

    /// Its text, as it was written.
    #[must_use]
    pub fn json(self) -> &'d str {
        let entry = self.document.entry(self.at);
        self.document.slice(entry.start, entry.end)
    }

    /// Elements of an array, members of an object; none of anything else.
    #[must_use]
    pub fn count(self) -> usize {
        self.document.entry(self.at).count()
    }

    /// Values in it, itself and the names of members included.
    #[must_use]
    pub fn values(self) -> usize {
        (self.document.entry(self.at).next - self.at) as usize
    }

    /// What a string says.
    #[must_use]
    pub fn text(self) -> Option<Cow<'d, str>> {
        let entry = self.document.entry(self.at);
        let inside = || self.document.slice(entry.start + 1, entry.end - 1);
        match entry.kind() {
            Kind::PlainString => Some(Cow::Borrowed(inside())),
            Kind::EscapedString => Some(Cow::Owned(text::unescape(inside()))),
            Kind::Null | Kind::False | Kind::True | Kind::Number | Kind::Array | Kind::Object => None,
        }
    }

    /// Whether it is a string that says this.
    #[must_use]
    pub fn is_text(self, text: &str) -> bool {
        self.text().is_some_and(|own| own == text)
    }

    /// What a number is worth.
    #[must_use]
    pub fn decimal(self) -> Option<Decimal<'d>> {
        (self.kind() == Kind::Number).then(|| Decimal::of_json(self.json()))
    }

    /// Its text without the blanks between values.
    #[must_use]
    pub fn compact(self) -> String {
        let mut compact = String::with_capacity(self.json().len());
        let written: Result<(), Infallible> = write_compact(self.json(), |piece| {
            compact.push_str(piece);
            Ok(())
        });
        let Ok(()) = written;
        compact
    }

    /// The elements of an array.
    #[must_use]
    pub fn elements(self) -> Elements<'d> {
        let end = if self.kind() == Kind::Array { self.document.entry(self.at).next } else { self.at + 1 };
        Elements { document: self.document, at: self.at + 1, end }
    }

    /// The names and values of an object, as often as they stand there.
    #[must_use]
    pub fn members(self) -> Members<'d> {
        let end = if self.kind() == Kind::Object { self.document.entry(self.at).next } else { self.at + 1 };
        Members { document: self.document, at: self.at + 1, end }
    }

    /// The values that an array stands for: its elements and theirs, where these are arrays, however deeply nested.
    /// Arrays themselves are none of them. Of anything else, the value itself.
    #[must_use]
    pub fn flattened(self) -> Values<'d> {
        Values { document: self.document, at: self.at, end: self.document.entry(self.at).next }
    }

    /// The value of a member; the last one of that name.
    #[must_use]
    pub fn get(self, name: &str) -> Option<Self> {
        if self.kind() != Kind::Object {
            return None;
        }
        if self.count() > UNINDEXED_MEMBERS_MAX {
            let at = self.document.indexed_member(self, name)?;
            return Some(Self::new(self.document, at));
        }
        self.members().filter(|(own, _)| own.is_text(name)).last().map(|(_, value)| value)
    }

    /// An element of an array. Takes time in proportion to the elements before it.
    #[must_use]
    pub fn element(self, index: usize) -> Option<Self> {
        if index >= self.count() {
            return None;
        }
        self.elements().nth(index)
    }

    /// What a pointer of RFC 6901 leads to.
    #[must_use]
    pub fn pointer(self, pointer: &str) -> Option<Self> {
        if pointer.is_empty() {
            return Some(self);
        }
        pointer.strip_prefix('/')?.split('/').try_fold(self, |node, token| match node.kind() {
            Kind::Object if token.contains('~') => node.get(&token.replace("~1", "/").replace("~0", "~")),
            Kind::Object => node.get(token),
            Kind::Array => node.element(array_index(token)?),
            _ => None,
        })
    }
}

/// Digits without a leading zero (RFC 6901, section 4).
fn array_index(token: &str) -> Option<usize> {
    let canonical = token == "0" || !token.starts_with('0');
    let digits = canonical && token.bytes().all(|byte| byte.is_ascii_digit());
    if digits { token.parse().ok() } else { None }
}

/// The elements of an array.
#[derive(Debug, Clone)]
pub struct Elements<'d> {
    document: &'d Document,
    at: u32,
    end: u32,
}

impl<'d> Iterator for Elements<'d> {
    type Item = Node<'d>;

    fn next(&mut self) -> Option<Node<'d>> {
        (self.at < self.end).then(|| {
            let node = Node::new(self.document, self.at);
            self.at = self.document.entry(self.at).next;
            node
        })
    }
}

/// The members of an object: names and values.
#[derive(Debug, Clone)]
pub struct Members<'d> {
    document: &'d Document,
    at: u32,
    end: u32,
}

impl<'d> Iterator for Members<'d> {
    type Item = (Node<'d>, Node<'d>);

    fn next(&mut self) -> Option<(Node<'d>, Node<'d>)> {
        (self.at < self.end).then(|| {
            let name = Node::new(self.document, self.at);
            let value = Node::new(self.document, self.at + 1);
            self.at = self.document.entry(value.at).next;
            (name, value)
        })
    }
}

/// The values that one stands for, in their order.
#[derive(Debug, Clone)]
pub struct Values<'d> {
    document: &'d Document,
    at: u32,
    end: u32,
}

impl<'d> Iterator for Values<'d> {
    type Item = Node<'d>;

    fn next(&mut self) -> Option<Node<'d>> {
        while self.at < self.end {
            let node = Node::new(self.document, self.at);
            if node.kind() != Kind::Array {
                self.at = self.document.entry(self.at).next;
                return Some(node);
            }
            self.at += 1;
        }
        None
    }
}
