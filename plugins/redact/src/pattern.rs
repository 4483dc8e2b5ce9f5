//! E-mail addresses, phone numbers and card numbers inside texts.

use std::ops::Range;

use memchr::memchr;
use serde::Deserialize;

/// Digits of a phone number with its country code: at most those of E.164, and too many for a price or a difference.
const PHONE_DIGITS_MIN: usize = 7;
const PHONE_DIGITS_MAX: usize = 15;

/// Digits of a payment card's number (ISO/IEC 7812).
const CARD_DIGITS_MIN: usize = 13;
const CARD_DIGITS_MAX: usize = 19;

/// Blanks, dashes and brackets that may follow each other between digits, as in `+1 (555) \u{2013} 010-99`.
const SEPARATORS_MAX: usize = 4;

/// Bytes of a local part in quotes: the 64 of RFC 5321, and room for what is longer than it should be.
const QUOTED_BYTES_MAX: usize = 256;

/// What is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Pattern {
    /// `ada@example.org`.
    Email,
    /// `+91 98104 50807`: an international number with its `+`. Without it any long number would do.
    Phone,
    /// `4111 1111 1111 1111`: a number of a card's length whose check digit is right.
    Card,
}

impl Pattern {
    /// The first match from `from` on.
    pub(crate) fn find(self, text: &str, from: usize) -> Option<Range<usize>> {
        match self {
            Self::Email => find_by_sign(text, from, b'@', |sign| email(text, from, sign)),
            Self::Phone => find_by_sign(text, from, b'+', |sign| phone(text, sign)),
            Self::Card => card(text, from),
        }
    }
}

/// The first match around one of these characters, without which there is none.
fn find_by_sign(
    text: &str,
    from: usize,
    sign: u8,
    match_at: impl Fn(usize) -> Option<Range<usize>>,
) -> Option<Range<usize>> {
    let mut at = from;
    while let Some(offset) = memchr(sign, &text.as_bytes()[at..]) {
        let found = match_at(at + offset);
        if found.is_some() {
            return found;
        }
        at += offset + 1;
    }
    None
}

/// The address around an `@`: all of its local part, in quotes or not, and a host with a dot, so that `a@b` stays, or with an
/// address in brackets. Whatever may stand in an address is taken for a part of it (RFC 5322, RFC 6531): better a `?cc=` too
/// many is hidden than half a name is shown.
fn email(text: &str, from: usize, sign: usize) -> Option<Range<usize>> {
    let mut start = sign;
    loop {
        let local = text[from..start].chars().rev().take_while(|char| is_local(*char));
        start -= local.map(char::len_utf8).sum::<usize>();
        let is_quoted = text[from..start].ends_with('"') && (start == sign || text[start..].starts_with('.'));
        match opening_quote(text, start.saturating_sub(1)).filter(|_| is_quoted) {
            Some(quote) if quote > from => start = quote,
            // The quotes begin in what is hidden already.
            Some(_) => start = from,
            None => break,
        }
        if start == from {
            break;
        }
    }
    let mut end = host_end(text, sign + 1)?;
    while text[end..].starts_with('@')
        && let Some(further) = host_end(text, end + 1)
    {
        end = further;
    }
    (start < sign).then_some(start..end)
}

/// Where the quotes begin that end at `closing`.
fn opening_quote(text: &str, closing: usize) -> Option<usize> {
    let bytes = &text.as_bytes()[..closing];
    let is_escaped =
        |index: usize| bytes[..index].iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1;
    let places = (0..closing).rev().take(QUOTED_BYTES_MAX);
    places.filter(|index| bytes[*index] == b'"').find(|index| !is_escaped(*index))
}

/// Where the host ends that begins at `start`, if there is one.
fn host_end(text: &str, start: usize) -> Option<usize> {
    if let Some(literal) = text[start..].strip_prefix('[') {
        let inner =
            literal.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || b".:-".contains(byte)).count();
        return (inner > 0 && literal[inner..].starts_with(']')).then_some(start + inner + 2);
    }
    let (mut end, mut has_dot) = (start, false);
    for (index, char) in text[start..].char_indices() {
        match char {
            '.' if index == 0 => return None,
            '.' | '-' => {}
            _ if is_word(char) => {
                has_dot |= text[end..start + index].contains('.');
                end = start + index + char.len_utf8();
            }
            _ => break,
        }
    }
    has_dot.then_some(end)
}

/// The number after a `+`.
fn phone(text: &str, sign: usize) -> Option<Range<usize>> {
    let before = text[..sign].chars().next_back();
    if before.is_some_and(|char| char.is_ascii_alphanumeric() || char == '+') {
        return None;
    }
    let groups = Groups::of(&text[sign + 1..], PHONE_DIGITS_MAX);
    let end = groups.last_end(|digits| digits.len() >= PHONE_DIGITS_MIN)?;
    Some(sign..sign + 1 + end)
}

/// The first number that is a card's.
fn card(text: &str, from: usize) -> Option<Range<usize>> {
    let mut at = from;
    let mut before = text[..from].chars().next_back();
    while let Some((offset, first)) = text[at..].char_indices().find(|(_, char)| digit(*char).is_some()) {
        let start = at + offset;
        before = text[at..start].chars().next_back().or(before);
        let groups = Groups::of(&text[start..], CARD_DIGITS_MAX);
        if before.is_none_or(|char| digit(char).is_none())
            && let Some(end) = groups.last_end(|digits| digits.len() >= CARD_DIGITS_MIN && is_checked(digits))
        {
            return Some(start..start + end);
        }
        at = start + first.len_utf8();
        before = Some(first);
    }
    None
}

/// The check digit of ISO/IEC 7812, Luhn's.
fn is_checked(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(index, digit)| match (index % 2, u32::from(*digit)) {
            (0, digit) => digit,
            (_, digit) if digit > 4 => digit * 2 - 9,
            (_, digit) => digit * 2,
        })
        .sum();
    sum.is_multiple_of(10)
}

/// Digits in groups, with whatever may stand between the groups of one number.
struct Groups {
    digits: Vec<u8>,
    /// How many digits there are at the end of each group, and where that is.
    ends: Vec<(usize, usize)>,
}

impl Groups {
    /// The groups that a text begins with, as long as they have no more digits than this together.
    fn of(text: &str, digits_max: usize) -> Self {
        let mut groups = Self { digits: Vec::with_capacity(digits_max), ends: Vec::new() };
        let (mut separators, mut end) = (0, 0);
        for (index, char) in text.char_indices() {
            if let Some(digit) = digit(char) {
                if separators > 0 && end > 0 {
                    groups.ends.push((groups.digits.len(), end));
                }
                if groups.digits.len() == digits_max {
                    // The last group is too long to belong to the number.
                    return groups;
                }
                groups.digits.push(digit);
                (separators, end) = (0, index + char.len_utf8());
            } else if separators < SEPARATORS_MAX && is_separator(char) {
                separators += 1;
            } else {
                break;
            }
        }
        groups.ends.push((groups.digits.len(), end));
        groups
    }

    /// The end of the most groups whose digits are such a number.
    fn last_end(&self, is_number: impl Fn(&[u8]) -> bool) -> Option<usize> {
        self.ends.iter().rev().find(|(count, _)| is_number(&self.digits[..*count])).map(|(_, end)| *end)
    }
}

/// A digit, of the scripts in which numbers are written on phones.
fn digit(char: char) -> Option<u8> {
    let zero = match char {
        '0'..='9' => '0',
        '\u{660}'..='\u{669}' => '\u{660}',
        '\u{6f0}'..='\u{6f9}' => '\u{6f0}',
        '\u{966}'..='\u{96f}' => '\u{966}',
        '\u{ff10}'..='\u{ff19}' => '\u{ff10}',
        _ => return None,
    };
    u8::try_from(u32::from(char) - u32::from(zero)).ok()
}

/// What may stand between two groups of a number: blanks of any width and none, dashes, dots, slashes and brackets. The
/// block of general punctuation has most of them, and the marks that tell which way a text runs.
fn is_separator(char: char) -> bool {
    match char {
        '-' | '.' | '(' | ')' | '[' | ']' | '/' | '_' | '~' | '\u{ad}' | '\u{b7}' => true,
        '\u{2000}'..='\u{206f}' | '\u{2212}' | '\u{2215}' | '\u{feff}' | '\u{fe58}' | '\u{fe63}' => true,
        '\u{ff08}' | '\u{ff09}' | '\u{ff0d}' | '\u{ff0e}' | '\u{ff0f}' => true,
        _ => char.is_whitespace(),
    }
}

/// What a local part may have outside quotes: `atext` of RFC 5322, full stops, and other scripts (RFC 6531).
fn is_local(char: char) -> bool {
    is_word(char) || "!#$%&'*+-/=?^_`{|}~.".contains(char)
}

/// A letter or digit, or any sign of another script but its blanks and quotes.
fn is_word(char: char) -> bool {
    if char.is_ascii() {
        return char.is_ascii_alphanumeric();
    }
    !char.is_whitespace()
        && !matches!(char, '\u{ab}' | '\u{bb}' | '\u{2000}'..='\u{206f}' | '\u{3000}'..='\u{303f}')
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
        check("mailto:o'hara@x.org, c@d.e", "mailto:<o'hara@x.org>, <c@d.e>");
        // All of `atext`, and what only stands in quotes.
        check("bounce+ada=x.org@lists.y.org", "<bounce+ada=x.org@lists.y.org>");
        check("!#$%&'*+-/=?^_`{|}~a.b@x.org", "<!#$%&'*+-/=?^_`{|}~a.b@x.org>");
        check(r#"to "ada \"l\" love"@x.org now"#, r#"to <"ada \"l\" love"@x.org> now"#);
        check(r#""a"@b and "c d".e@x.org"#, r#""a"@b and <"c d".e@x.org>"#);
        check(
            "ada@[192.0.2.1] ada@[IPv6:2001:db8::1] ada@[x",
            "<ada@[192.0.2.1]> <ada@[IPv6:2001:db8::1]> ada@[x",
        );
        check(
            "to\u{a0}ada@x.org\u{a0}and \u{201c}bob@x.org\u{201d}",
            "to\u{a0}<ada@x.org>\u{a0}and \u{201c}<bob@x.org>\u{201d}",
        );
        check("jörg@bücher.example", "<jörg@bücher.example>");
        check("a@b @c.d e@ f@.g h@i. @", "a@b @c.d e@ f@.g h@i. @");
        check("a@b@c.d", "a@<b@c.d>");
        check("a@b.c@d.e", "<a@b.c@d.e>");
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
        check("+1 - - - 234567", "+1 - - - 234567");
        // Whatever stands between the groups.
        for blank in ["\u{a0}", "\u{202f}", "\u{2009}", "\u{2007}", "\u{200b}", "\u{3000}", "\t", "\n"] {
            let number = format!("+91{blank}98104{blank}50807");
            check(&format!("call\u{a0}{number}."), &format!("call\u{a0}<{number}>."));
        }
        for dash in [
            "\u{2010}",
            "\u{2011}",
            "\u{2012}",
            "\u{2013}",
            "\u{2014}",
            "\u{2015}",
            "\u{2212}",
            " \u{2013} ",
            "\u{ad}",
        ] {
            let number = format!("+49{dash}30{dash}901820");
            check(&number, &format!("<{number}>"));
        }
        check("+1 (555)\u{a0}\u{2013}\u{a0}010/99.99", "<+1 (555)\u{a0}\u{2013}\u{a0}010/99.99>");
        check("\u{202a}+91 98104 50807\u{202c}", "\u{202a}<+91 98104 50807>\u{202c}");
        check(
            "+\u{663}\u{664} \u{666}\u{660}\u{660} \u{661}\u{662}\u{663}",
            "<+\u{663}\u{664} \u{666}\u{660}\u{660} \u{661}\u{662}\u{663}>",
        );
        // A number that follows is no part of it.
        check("+919810450807 2024", "<+919810450807> 2024");
        check("+919810450807 20 pieces", "<+919810450807 20> pieces");
        check("+", "+");
    }

    #[test]
    fn cards() {
        let check = |text: &str, expect: &str| assert_eq!(marked(Pattern::Card, text), expect);
        check("card 4111111111111111.", "card <4111111111111111>.");
        check("4111 1111 1111 1111, 378282246310005", "<4111 1111 1111 1111>, <378282246310005>");
        check("4111\u{a0}1111\u{2011}1111\u{202f}1111", "<4111\u{a0}1111\u{2011}1111\u{202f}1111>");
        check("5555-5555-5555-4444 12/29", "<5555-5555-5555-4444> 12/29");
        check("on 2024 4111 1111 1111 1111", "on 2024 <4111 1111 1111 1111>");
        check(
            "4111111111111112 41111111111111110000 1234 12",
            "4111111111111112 41111111111111110000 1234 12",
        );
        check("", "");
    }
}
