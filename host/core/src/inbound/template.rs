//! The text that a signature covers, as a template: `{timestamp}.{body}`.

use std::fmt;

use thiserror::Error;

/// Bytes of a template.
pub const TEMPLATE_BYTES_MAX: usize = 256;

/// A text with named parts of a request. `{{` and `}}` stand for the braces themselves.
#[derive(Clone, PartialEq, Eq)]
pub struct Template {
    source: Box<str>,
    pieces: Vec<Piece>,
}

/// A part of a request that a signature may cover.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Body,
    Timestamp,
    Id,
    Url,
    Method,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Literal(Box<str>),
    Part(Part),
}

/// What the parts of one request are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parts<'a> {
    pub(super) body: &'a [u8],
    pub(super) timestamp: &'a str,
    pub(super) id: &'a str,
    pub(super) url: &'a str,
    pub(super) method: &'a str,
}

/// Text that is no template.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidTemplate {
    /// Too long.
    #[error("a signature's input has at most {TEMPLATE_BYTES_MAX} bytes, this one has {bytes}")]
    TooLong {
        /// How many there are.
        bytes: usize,
    },
    /// A brace without its partner.
    #[error("a brace of the signature's input is not closed; write `{{{{` or `}}}}` for the brace itself")]
    Brace,
    /// A part that no request has.
    #[error(
        "`{{{name}}}` is no part of a request: there are {{body}}, {{timestamp}}, {{id}}, {{url}} and {{method}}"
    )]
    UnknownPart {
        /// Its name.
        name: String,
    },
}

impl Part {
    const ALL: [Self; 5] = [Self::Body, Self::Timestamp, Self::Id, Self::Url, Self::Method];

    fn name(self) -> &'static str {
        match self {
            Self::Body => "body",
            Self::Timestamp => "timestamp",
            Self::Id => "id",
            Self::Url => "url",
            Self::Method => "method",
        }
    }
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// When it is too long, a brace is alone, or a part is unknown.
    pub fn parse(source: &str) -> Result<Self, InvalidTemplate> {
        if source.len() > TEMPLATE_BYTES_MAX {
            return Err(InvalidTemplate::TooLong { bytes: source.len() });
        }
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = source;
        while let Some(at) = rest.find(['{', '}']) {
            literal.push_str(&rest[..at]);
            let (brace, after) = rest[at..].split_at(1);
            if let Some(after) = after.strip_prefix(brace) {
                literal.push_str(brace);
                rest = after;
                continue;
            }
            let (name, after) =
                after.split_once('}').filter(|_| brace == "{").ok_or(InvalidTemplate::Brace)?;
            let part = Part::ALL.into_iter().find(|part| part.name() == name);
            let part = part.ok_or_else(|| InvalidTemplate::UnknownPart { name: name.to_owned() })?;
            if !literal.is_empty() {
                pieces.push(Piece::Literal(std::mem::take(&mut literal).into()));
            }
            pieces.push(Piece::Part(part));
            rest = after;
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal.into()));
        }
        Ok(Self { source: source.into(), pieces })
    }

    /// The text that [`parse`](Self::parse) reads.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    pub(super) fn covers(&self, part: Part) -> bool {
        self.pieces.contains(&Piece::Part(part))
    }

    /// The pieces of what is signed, in order.
    pub(super) fn fill<'a>(&'a self, parts: &Parts<'a>) -> Vec<&'a [u8]> {
        let fill = |piece: &'a Piece| match piece {
            Piece::Literal(text) => text.as_bytes(),
            Piece::Part(Part::Body) => parts.body,
            Piece::Part(Part::Timestamp) => parts.timestamp.as_bytes(),
            Piece::Part(Part::Id) => parts.id.as_bytes(),
            Piece::Part(Part::Url) => parts.url.as_bytes(),
            Piece::Part(Part::Method) => parts.method.as_bytes(),
        };
        self.pieces.iter().map(fill).collect()
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.source, formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_take_the_place_of_their_names() {
        let parts = Parts { body: b"B", timestamp: "T", id: "I", url: "U", method: "M" };
        let check = |source: &str, expect: Result<&str, InvalidTemplate>| {
            let filled = Template::parse(source)
                .map(|template| String::from_utf8(template.fill(&parts).concat()).unwrap());
            assert_eq!(filled.as_deref(), expect.as_ref().copied(), "{source}");
        };
        let unknown = |name: &str| Err(InvalidTemplate::UnknownPart { name: name.to_owned() });
        check("{body}", Ok("B"));
        check("{timestamp}.{body}", Ok("T.B"));
        check("v0:{timestamp}:{body}", Ok("v0:T:B"));
        check("{method}\n{url}\n{id}{body}!", Ok("M\nU\nIB!"));
        check("{{{body}}}", Ok("{B}"));
        check("", Ok(""));
        check("{secret}", unknown("secret"));
        check("{Body}", unknown("Body"));
        check("{}", unknown(""));
        check("{body", Err(InvalidTemplate::Brace));
        check("body}", Err(InvalidTemplate::Brace));
        check(&"a".repeat(257), Err(InvalidTemplate::TooLong { bytes: 257 }));
    }
}
