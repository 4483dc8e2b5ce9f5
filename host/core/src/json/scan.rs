//! Reading a text from front to back, with a list for a stack: no depth of nesting is too much.

use super::JsonFault;
use super::node::Kind;

/// Bytes of a text that places can name.
const TEXT_BYTES_MAX: usize = u32::MAX as usize;
/// Bits of an entry's last number that say its kind.
const KIND_BITS: u32 = 4;

/// One value, or the name of a member, which comes right before its value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    /// Where its text begins.
    pub(super) start: u32,
    /// Where it ends.
    pub(super) end: u32,
    /// The entry after it and all that is in it.
    pub(super) next: u32,
    kind_and_count: u32,
}

impl Entry {
    pub(super) fn kind(&self) -> Kind {
        Kind::from_number(self.kind_and_count & ((1 << KIND_BITS) - 1))
    }

    /// Elements of an array, members of an object.
    pub(super) fn count(&self) -> usize {
        (self.kind_and_count >> KIND_BITS) as usize
    }
}

/// The values of a text, in their order.
pub(super) fn scan(text: &[u8]) -> Result<Vec<Entry>, JsonFault> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(JsonFault::at(text, TEXT_BYTES_MAX, "the end of a text that is too long"));
    }
    if let Err(error) = std::str::from_utf8(text) {
        return Err(JsonFault::at(text, error.valid_up_to(), "text in UTF-8"));
    }
    Scanner { text, at: 0, tape: Vec::new(), open: Vec::new() }.scan()
}

struct Scanner<'t> {
    text: &'t [u8],
    at: usize,
    tape: Vec<Entry>,
    /// The arrays and objects that have begun and not ended.
    open: Vec<u32>,
}

impl Scanner<'_> {
    fn scan(mut self) -> Result<Vec<Entry>, JsonFault> {
        self.skip_blanks();
        loop {
            let opened = self.begin_value()?;
            if !opened && !self.end_value()? {
                break;
            }
        }
        self.skip_blanks();
        if self.at < self.text.len() { Err(self.fault("nothing more expected")) } else { Ok(self.tape) }
    }

    /// Reads a value, or the beginning of one: then true, and what comes next is the first value in it.
    fn begin_value(&mut self) -> Result<bool, JsonFault> {
        let start = self.at;
        let Some(first) = self.text.get(start) else { return Err(self.fault("expected a value")) };
        let kind = match first {
            b'{' => return self.open(Kind::Object, b'}'),
            b'[' => return self.open(Kind::Array, b']'),
            b'"' => self.read_string()?,
            b'-' | b'0'..=b'9' => self.read_number()?,
            b't' => self.read_word("true", Kind::True)?,
            b'f' => self.read_word("false", Kind::False)?,
            b'n' => self.read_word("null", Kind::Null)?,
            _ => return Err(self.fault("expected a value")),
        };
        self.push(kind, start);
        Ok(false)
    }

    /// Goes on after a value: true where another one follows, false where the text has ended.
    fn end_value(&mut self) -> Result<bool, JsonFault> {
        while let Some(container) = self.open.last().copied() {
            self.tape[container as usize].kind_and_count += 1 << KIND_BITS;
            let is_object = self.tape[container as usize].kind() == Kind::Object;
            self.skip_blanks();
            match self.text.get(self.at) {
                Some(b',') => {
                    self.at += 1;
                    self.skip_blanks();
                    if is_object {
                        self.read_name()?;
                    }
                    return Ok(true);
                }
                Some(b'}') if is_object => self.close(container),
                Some(b']') if !is_object => self.close(container),
                _ if is_object => return Err(self.fault("expected `,` or `}`")),
                _ => return Err(self.fault("expected `,` or `]`")),
            }
            self.open.pop();
        }
        Ok(false)
    }

    fn open(&mut self, kind: Kind, end: u8) -> Result<bool, JsonFault> {
        let container = self.push(kind, self.at);
        self.at += 1;
        self.skip_blanks();
        if self.text.get(self.at) == Some(&end) {
            self.close(container);
            return Ok(false);
        }
        self.open.push(container);
        if kind == Kind::Object {
            self.read_name()?;
        }
        Ok(true)
    }

    fn close(&mut self, container: u32) {
        self.at += 1;
        let (end, next) = (place(self.at), place(self.tape.len()));
        let entry = &mut self.tape[container as usize];
        (entry.end, entry.next) = (end, next);
    }

    fn push(&mut self, kind: Kind, start: usize) -> u32 {
        let index = place(self.tape.len());
        let entry = Entry {
            start: place(start),
            end: place(self.at),
            next: index + 1,
            kind_and_count: kind.number(),
        };
        self.tape.push(entry);
        index
    }

    /// A member's name and its colon.
    fn read_name(&mut self) -> Result<(), JsonFault> {
        let start = self.at;
        if self.text.get(start) != Some(&b'"') {
            return Err(self.fault("expected the name of a member"));
        }
        let kind = self.read_string()?;
        self.push(kind, start);
        self.skip_blanks();
        if self.text.get(self.at) != Some(&b':') {
            return Err(self.fault("expected `:`"));
        }
        self.at += 1;
        self.skip_blanks();
        Ok(())
    }

    fn read_string(&mut self) -> Result<Kind, JsonFault> {
        self.at += 1;
        let mut kind = Kind::PlainString;
        loop {
            let rest = &self.text[self.at..];
            let plain = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..b' '));
            let Some(plain) = plain else {
                self.at = self.text.len();
                return Err(self.fault("expected the end of a string"));
            };
            self.at += plain;
            match self.text[self.at] {
                b'"' => break,
                b'\\' => self.read_escape()?,
                _ => return Err(self.fault("expected a control character to be escaped")),
            }
            kind = Kind::EscapedString;
        }
        self.at += 1;
        Ok(kind)
    }

    fn read_escape(&mut self) -> Result<(), JsonFault> {
        let length = match self.text.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 2,
            Some(b'u') => {
                let digits = self.text.get(self.at + 2..self.at + 6);
                if !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
                    return Err(self.fault("expected `\\u` and four hexadecimal digits"));
                }
                6
            }
            _ => return Err(self.fault("expected an escape that JSON has")),
        };
        self.at += length;
        Ok(())
    }

    fn read_number(&mut self) -> Result<Kind, JsonFault> {
        self.skip(b'-');
        // No digits come after a leading zero: whatever comes after a value refuses them.
        if !self.skip(b'0') {
            self.read_digits()?;
        }
        if self.skip(b'.') {
            self.read_digits()?;
        }
        if self.skip(b'e') || self.skip(b'E') {
            let _sign = self.skip(b'+') || self.skip(b'-');
            self.read_digits()?;
        }
        Ok(Kind::Number)
    }

    fn read_digits(&mut self) -> Result<(), JsonFault> {
        let digits = self.text[self.at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 0 {
            return Err(self.fault("expected a digit"));
        }
        self.at += digits;
        Ok(())
    }

    fn read_word(&mut self, word: &'static str, kind: Kind) -> Result<Kind, JsonFault> {
        if !self.text[self.at..].starts_with(word.as_bytes()) {
            return Err(self.fault("expected a value"));
        }
        self.at += word.len();
        Ok(kind)
    }

    fn skip(&mut self, byte: u8) -> bool {
        let found = self.text.get(self.at) == Some(&byte);
        self.at += usize::from(found);
        found
    }

    fn skip_blanks(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.text.get(self.at) {
            self.at += 1;
        }
    }

    fn fault(&self, expected: &'static str) -> JsonFault {
        JsonFault::at(self.text, self.at, expected)
    }
}

fn place(at: usize) -> u32 {
    u32::try_from(at).expect("the text is not too long for it")
}
