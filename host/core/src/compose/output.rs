//! What is being rendered, up to a limit.

use std::io;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

use super::CompositionError;
use crate::json::{Node, write_compact};

/// Everything but the unreserved characters of RFC 3986, section 2.3: such a value is data wherever it stands in a
/// URL, and comes out of it as it went in.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// How the values of variables are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// As they are.
    Plain,
    /// Percent-encoded, for a URL.
    Percent,
}

/// Text that grows up to a limit. It never holds more: what would pass the limit is refused before it is written.
#[derive(Debug)]
pub(super) struct Output {
    text: Vec<u8>,
    bytes_max: usize,
    when_full: CompositionError,
}

impl Output {
    /// Nothing yet, and the error of passing the limit.
    pub(super) fn new(bytes_max: usize, when_full: CompositionError) -> Self {
        Self { text: Vec::new(), bytes_max, when_full }
    }

    /// An output for a piece of this one, which fits only if the piece does.
    pub(super) fn piece(&self) -> Self {
        Self::new(self.bytes_max - self.text.len(), self.when_full.clone())
    }

    /// Adds text as it is.
    pub(super) fn write_text(&mut self, text: &str) -> Result<(), CompositionError> {
        self.push(text.as_bytes()).map_err(|_| self.when_full.clone())
    }

    /// Adds a value of an event as compact JSON.
    pub(super) fn write_json(&mut self, value: Node<'_>) -> Result<(), CompositionError> {
        write_compact(value.json(), |piece| self.push(piece.as_bytes())).map_err(|_| self.when_full.clone())
    }

    /// Adds text as a JSON string.
    pub(super) fn write_json_string(&mut self, text: &str) -> Result<(), CompositionError> {
        serde_json::to_writer(&mut *self, text).map_err(|_| self.when_full.clone())
    }

    /// Adds a value as text: a string without quotes, anything else as compact JSON.
    pub(super) fn write_value(
        &mut self,
        value: Node<'_>,
        encoding: Encoding,
    ) -> Result<(), CompositionError> {
        let mut push = |text: &str| match encoding {
            Encoding::Plain => self.push(text.as_bytes()),
            Encoding::Percent => self.push_percent_encoded(text.as_bytes()),
        };
        let written = match value.text() {
            Some(text) => push(&text),
            None => write_compact(value.json(), push),
        };
        written.map_err(|_| self.when_full.clone())
    }

    /// What was written.
    pub(super) fn into_text(self) -> String {
        String::from_utf8(self.text).expect("only text was written")
    }

    fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.len() > self.bytes_max - self.text.len() {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.text.extend_from_slice(bytes);
        Ok(())
    }

    fn push_percent_encoded(&mut self, bytes: &[u8]) -> io::Result<()> {
        percent_encode(bytes, RESERVED).try_for_each(|text| self.push(text.as_bytes()))
    }
}

impl io::Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.push(bytes).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::json::Document;

    #[test]
    fn an_output_never_holds_more_than_its_limit() {
        let check = |value: Value, encoding: Encoding, expect: Result<&str, &str>| {
            let mut output = Output::new(8, CompositionError::BodyTooLarge);
            let document = Document::parse(value.to_string()).unwrap();
            let written = output.write_value(document.root(), encoding);
            assert!(output.text.len() <= 8 && output.text.capacity() <= 16, "{value}");
            let text = output.into_text();
            let outcome = written.as_ref().map(|()| text.as_str()).map_err(CompositionError::code);
            assert_eq!(outcome, expect, "{value}");
        };
        let too_large = Err("compose_body_too_large");
        check("12345678".into(), Encoding::Plain, Ok("12345678"));
        check("123456789".into(), Encoding::Plain, too_large);
        check("a".repeat(1 << 20).into(), Encoding::Plain, too_large);
        check("äa".into(), Encoding::Percent, Ok("%C3%A4a"));
        check("ä%".into(), Encoding::Percent, too_large);
        check(vec![1, 2].into(), Encoding::Plain, Ok("[1,2]"));
        check(vec![1, 2, 3, 4].into(), Encoding::Plain, too_large);
        check(vec![1].into(), Encoding::Percent, Ok("%5B1%5D"));
        check(vec![1; 1 << 10].into(), Encoding::Percent, too_large);
        let mut output = Output::new(8, CompositionError::BodyTooLarge);
        output.write_text("12345").unwrap();
        assert!(output.piece().write_text("123").is_ok());
        assert!(output.piece().write_text("1234").is_err());
    }
}
