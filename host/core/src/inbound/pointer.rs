//! Where in a body of JSON something stands.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// Bytes of a pointer.
const POINTER_BYTES_MAX: usize = 256;

/// A JSON pointer (RFC 6901), such as `/event-data/id`.
#[derive(Clone, PartialEq, Eq)]
pub struct JsonPointer(Box<str>);

/// Text that is no pointer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("a JSON pointer begins with `/`, escapes `~` as `~0` and has at most {POINTER_BYTES_MAX} bytes")]
pub struct InvalidPointer;

impl JsonPointer {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for JsonPointer {
    type Err = InvalidPointer;

    fn from_str(text: &str) -> Result<Self, InvalidPointer> {
        let escaped = text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
        let valid = text.starts_with('/') && text.len() <= POINTER_BYTES_MAX && escaped;
        if valid { Ok(Self(text.into())) } else { Err(InvalidPointer) }
    }
}

impl fmt::Display for JsonPointer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for JsonPointer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_are_those_of_the_rfc() {
        let check =
            |text: &str, valid: bool| assert_eq!(text.parse::<JsonPointer>().is_ok(), valid, "{text:?}");
        check("/id", true);
        check("/", true);
        check("/event-data/0/a~1b~0c", true);
        check("", false);
        check("id", false);
        check("/a~2", false);
        check("/a~", false);
        check(&format!("/{}", "a".repeat(POINTER_BYTES_MAX)), false);
    }
}
