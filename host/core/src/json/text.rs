//! What a string with escapes says.

/// Stands for half of a surrogate pair.
const REPLACEMENT: char = '\u{fffd}';

/// The text between the quotes of a string that was read, with its escapes replaced.
pub(super) fn unescape(inside: &str) -> String {
    let mut text = String::with_capacity(inside.len());
    let mut rest = inside;
    while let Some((plain, escape)) = rest.split_once('\\') {
        text.push_str(plain);
        let (character, length) = read_escape(escape);
        text.push(character);
        rest = &escape[length..];
    }
    text.push_str(rest);
    text
}

/// The character that an escape stands for, and the bytes that it has after its backslash.
fn read_escape(escape: &str) -> (char, usize) {
    let character = match escape.as_bytes().first() {
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => return read_unicode(escape),
        Some(itself) => char::from(*itself),
        None => return (REPLACEMENT, 0),
    };
    (character, 1)
}

/// One `u` with four digits, or two that are a surrogate pair.
fn read_unicode(escape: &str) -> (char, usize) {
    const DIGITS_END: usize = 5;
    let unit =
        |from: usize| escape.get(from..from + 4).and_then(|digits| u32::from_str_radix(digits, 16).ok());
    let Some(first) = unit(1) else { return (REPLACEMENT, 1) };
    let is_high = (0xd800..0xdc00).contains(&first);
    let second = if is_high && escape[DIGITS_END..].starts_with("\\u") { unit(DIGITS_END + 2) } else { None };
    match second.filter(|second| (0xdc00..0xe000).contains(second)) {
        Some(second) => {
            let joined = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
            (char::from_u32(joined).unwrap_or(REPLACEMENT), 2 * DIGITS_END + 1)
        }
        None => (char::from_u32(first).unwrap_or(REPLACEMENT), DIGITS_END),
    }
}
