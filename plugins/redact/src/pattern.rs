//! E-mail addresses and phone numbers inside texts.

use std::ops::Range;

use memchr::memchr;
use serde::Deserialize;

/// Digits of a phone number with its country code: at most those of E.164, and too many for a price or a difference.
const PHONE_DIGITS_MIN: usize = 7;
const PHONE_DIGITS_MAX: usize = 15;

/// Blanks, dashes and brackets that may follow each other between digits, as in `+1 (555) 010-99`.
const SEPARATORS_MAX: usize = 2;

/// What is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Pattern {
    /// `ada@example.org`.
    Email,
    /// `+91 98104 50807`: an international number with its `+`. Without it any long number would do.
    Phone,
}

impl Pattern {
    /// The character without which there is no match.
    fn sign(self) -> u8 {
        match self {
            Self::Email => b'@',
            Self::Phone => b'+',
        }
    }

    /// The first match from `from` on.
    pub(crate) fn find(self, text: &str, from: usize) -> Option<Range<usize>> {
        let bytes = text.as_bytes();
        let mut at = from;
        while let Some(offset) = memchr(self.sign(), &bytes[at..]) {
            let sign = at + offset;
            let found = match self {
                Self::Email => email(bytes, from, sign),
                Self::Phone => phone(bytes, sign),
            };
            if found.is_some() {
                return found;
            }
            at = sign + 1;
        }
        None
    }
}

/// The address around an `@`. Its host has a dot, so that `a@b` stays. Bytes of other scripts are a part of it.
fn email(bytes: &[u8], from: usize, sign: usize) -> Option<Range<usize>> {
    let is_local = |byte: &u8| {
        is_word(*byte)
            || matches!(byte, b'.' | b'_' | b'%' | b'+' | b'-' | b'\'' | b'!' | b'$' | b'*' | b'~' | b'^')
    };
    let local = bytes[from..sign].iter().rev().take_while(|byte| is_local(byte)).count();
    let is_host = |byte: &u8| is_word(*byte) || matches!(byte, b'.' | b'-');
    let host = bytes[sign + 1..].iter().take_while(|byte| is_host(byte)).count();
    let host = &bytes[sign + 1..sign + 1 + host];
    let end = host.iter().rposition(|byte| is_word(*byte))? + 1;
    let host = &host[..end];
    let has_dot = host.iter().skip(1).any(|byte| *byte == b'.') && host[0] != b'.';
    (local > 0 && has_dot).then(|| sign - local..sign + 1 + end)
}

/// The number after a `+`.
fn phone(bytes: &[u8], sign: usize) -> Option<Range<usize>> {
    if sign > 0 && (is_word(bytes[sign - 1]) || bytes[sign - 1] == b'+') {
        return None;
    }
    let (mut digits, mut separators, mut end) = (0, 0, sign + 1);
    for (offset, byte) in bytes[sign + 1..].iter().enumerate() {
        match byte {
            b'0'..=b'9' => {
                (digits, separators) = (digits + 1, 0);
                end = sign + 2 + offset;
            }
            b' ' | b'-' | b'.' | b'(' | b')' | b'/' if separators < SEPARATORS_MAX => separators += 1,
            _ => break,
        }
    }
    (PHONE_DIGITS_MIN..=PHONE_DIGITS_MAX).contains(&digits).then_some(sign..end)
}

/// A letter or digit, of any script.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || !byte.is_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All matches, marked.
    fn marked(pattern: Pattern, text: &str) -> String {
        let (mut marked, mut from) = (String::new(), 0);
        while let Some(found) = pattern.find(text, from) {
            marked += &format!("{}<{}>", &text[from..found.start], &text[found.clone()]);
            from = found.end;
        }
        marked + &text[from..]
    }

    #[test]
    fn addresses() {
        let check = |text: &str, expect: &str| assert_eq!(marked(Pattern::Email, text), expect);
        check("ada@example.org", "<ada@example.org>");
        check(
            "To: Ada <a.da+x@mail.example.org>, b_b@x.io.",
            "To: Ada <<a.da+x@mail.example.org>>, <b_b@x.io>.",
        );
        check("mailto:o'hara@x.org?cc=c@d.e", "mailto:<o'hara@x.org>?cc=<c@d.e>");
        check("jörg@bücher.example", "<jörg@bücher.example>");
        check("a@b @c.d e@ f@.g h@i. @", "a@b @c.d e@ f@.g h@i. @");
        check("a@b@c.d", "a@<b@c.d>");
        check("a@b.c@d.e", "<a@b.c>@d.e");
    }

    #[test]
    fn numbers() {
        let check = |text: &str, expect: &str| assert_eq!(marked(Pattern::Phone, text), expect);
        check("+919810450807", "<+919810450807>");
        check(
            "call +1 (555) 010-9999, or +44.20.7946.0018.",
            "call <+1 (555) 010-9999>, or <+44.20.7946.0018>.",
        );
        check("+49 30/901820 and +255712345678", "<+49 30/901820> and <+255712345678>");
        check("919810450807 +123 1+1234567 ++1234567", "919810450807 +123 1+1234567 ++1234567");
        check("+1234567890123456", "+1234567890123456");
        check("+1 - - 234567", "+1 - - 234567");
        check("+", "+");
    }
}
