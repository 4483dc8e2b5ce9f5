//! Where the fields of a JSON object begin and end.
//!
//! serde_json reads any text and any type, and says what is wrong with a text and where. This reads only objects, only
//! as far as to know that they are JSON and where their fields are, at half the cost or less. What it doesn't know,
//! wrong texts above all, it leaves to serde_json: what it accepts has to be JSON (RFC 8259), which the tests compare,
//! but it need not accept all of it.

use serde_json::value::RawValue;

use super::plain::plain_bytes;
use super::raw;

/// How deep values may be nested; what is deeper is left to serde_json.
const DEPTH_MAX: u32 = 32;

/// Hands over the fields of an object in their order. Answers nothing where serde_json is to be asked, and what was
/// handed over is void: the text is no object, is wrong somewhere, has escapes in a field's name, or is nested very deep.
pub(crate) fn fields<'text>(
    text: &'text str,
    mut found: impl FnMut(&'text str, &'text RawValue),
) -> Option<()> {
    let bytes = text.as_bytes();
    let mut at = expect(bytes, 0, b'{')?;
    let end = match expect(bytes, at, b'}') {
        Some(end) => end,
        None => loop {
            let name_start = expect(bytes, at, b'"')?;
            let name_end = skip_plain(bytes, name_start);
            let name = text.get(name_start..name_end)?;
            let colon_end = expect(bytes, step(bytes, name_end, b'"')?, b':')?;
            let value_start = skip_blanks(bytes, colon_end);
            let value_end = skip_value(bytes, value_start, DEPTH_MAX)?;
            found(name, raw::read(text.get(value_start..value_end)?)?);
            match expect(bytes, value_end, b',') {
                Some(comma_end) => at = comma_end,
                None => break expect(bytes, value_end, b'}')?,
            }
        },
    };
    (skip_blanks(bytes, end) == bytes.len()).then_some(())
}

// Each of the functions below takes a place in the text, and answers the place after what it has to find there; nothing
// where something else is there. A call costs as much as looking at a few bytes, so the two that are needed for each
// value are inlined.

#[inline(always)]
fn skip_value(bytes: &[u8], at: usize, depth: u32) -> Option<usize> {
    match bytes.get(at)? {
        b'"' => skip_string(bytes, at + 1),
        b'{' => skip_object(bytes, at + 1, depth.checked_sub(1)?),
        b'[' => skip_array(bytes, at + 1, depth.checked_sub(1)?),
        b'-' => skip_number(bytes, at + 1),
        b'0'..=b'9' => skip_number(bytes, at),
        b't' => skip_word(bytes, at, "true"),
        b'f' => skip_word(bytes, at, "false"),
        b'n' => skip_word(bytes, at, "null"),
        _ => None,
    }
}

/// The rest of an object, after its `{`.
fn skip_object(bytes: &[u8], at: usize, depth: u32) -> Option<usize> {
    let mut at = at;
    if let Some(end) = expect(bytes, at, b'}') {
        return Some(end);
    }
    loop {
        let name_end = skip_string(bytes, expect(bytes, at, b'"')?)?;
        let value_start = skip_blanks(bytes, expect(bytes, name_end, b':')?);
        let value_end = skip_value(bytes, value_start, depth)?;
        match expect(bytes, value_end, b',') {
            Some(comma_end) => at = comma_end,
            None => return expect(bytes, value_end, b'}'),
        }
    }
}

/// The rest of an array, after its `[`.
fn skip_array(bytes: &[u8], at: usize, depth: u32) -> Option<usize> {
    let mut at = at;
    if let Some(end) = expect(bytes, at, b']') {
        return Some(end);
    }
    loop {
        let value_end = skip_value(bytes, skip_blanks(bytes, at), depth)?;
        match expect(bytes, value_end, b',') {
            Some(comma_end) => at = comma_end,
            None => return expect(bytes, value_end, b']'),
        }
    }
}

/// The rest of a string, after its first `"`.
fn skip_string(bytes: &[u8], at: usize) -> Option<usize> {
    let mut at = at;
    loop {
        at = skip_plain(bytes, at);
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at = skip_escape(bytes, at + 1)?,
            _ => return None,
        }
    }
}

/// The rest of an escape, after its backslash. Whether two `\u` make a character together is asked only by who decodes
/// the string.
fn skip_escape(bytes: &[u8], at: usize) -> Option<usize> {
    match bytes.get(at)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(at + 1),
        b'u' => {
            let digits = bytes.get(at + 1..at + 5)?;
            digits.iter().all(u8::is_ascii_hexdigit).then_some(at + 5)
        }
        _ => None,
    }
}

/// A number, after its sign.
fn skip_number(bytes: &[u8], at: usize) -> Option<usize> {
    // No digits come after a leading zero: whatever comes after a value refuses them.
    let mut end = step(bytes, at, b'0').or_else(|| skip_digits(bytes, at))?;
    if let Some(fraction) = step(bytes, end, b'.') {
        end = skip_digits(bytes, fraction)?;
    }
    if let Some(exponent) = step(bytes, end, b'e').or_else(|| step(bytes, end, b'E')) {
        let sign_end = step(bytes, exponent, b'+').or_else(|| step(bytes, exponent, b'-'));
        end = skip_digits(bytes, sign_end.unwrap_or(exponent))?;
    }
    Some(end)
}

/// At least one digit.
fn skip_digits(bytes: &[u8], at: usize) -> Option<usize> {
    let mut end = at;
    while bytes.get(end).is_some_and(u8::is_ascii_digit) {
        end += 1;
    }
    (end > at).then_some(end)
}

fn skip_word(bytes: &[u8], at: usize, word: &str) -> Option<usize> {
    bytes.get(at..)?.starts_with(word.as_bytes()).then_some(at + word.len())
}

/// Bytes that a string has without escapes, if there are any.
fn skip_plain(bytes: &[u8], at: usize) -> usize {
    at + plain_bytes(bytes.get(at..).unwrap_or_default())
}

/// Blanks, if there are any.
fn skip_blanks(bytes: &[u8], at: usize) -> usize {
    let mut at = at;
    while matches!(bytes.get(at), Some(b' ' | b'\n' | b'\r' | b'\t')) {
        at += 1;
    }
    at
}

/// This byte, with blanks before it or without, which is likelier.
#[inline(always)]
fn expect(bytes: &[u8], at: usize, byte: u8) -> Option<usize> {
    step(bytes, at, byte).or_else(|| step(bytes, skip_blanks(bytes, at), byte))
}

/// This byte.
fn step(bytes: &[u8], at: usize, byte: u8) -> Option<usize> {
    (bytes.get(at) == Some(&byte)).then_some(at + 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Object;

    /// Pieces of JSON, right and wrong, of which texts are made that serde_json accepts now and then.
    const PIECES: [&str; 41] = [
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\\",
        "\"a\"",
        "\"a\":",
        "{\"a\":",
        "{}",
        "[]",
        "\"\\n\"",
        "\"\\u00e9\"",
        "\"\\ud800\"",
        "\"\\u00g0\"",
        "\"\\x\"",
        "\"\u{1}\"",
        "\"\u{7f}\u{80}\"",
        "\"0123456789abcdef\"",
        "0",
        "-",
        "1",
        "01",
        "-0",
        "1.0",
        "1.",
        ".5",
        "1e5",
        "1E+05",
        "1e-",
        "12345678901234567890",
        "true",
        "false",
        "null",
        "nul",
        "tru e",
        " ",
        "\n\t\r",
        "\u{a0}",
    ];

    fn piece() -> impl Strategy<Value = &'static str> {
        proptest::sample::select(PIECES.to_vec())
    }

    /// A value as text, right in all ways but with blanks here and there.
    fn value() -> impl Strategy<Value = String> {
        let blank = proptest::sample::select(vec!["", "", " ", "\n\t"]);
        let number = "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,5})?([eE][+-]?[0-9]{1,3})?";
        let text = any::<String>().prop_map(|text| serde_json::to_string(&text).unwrap());
        let words =
            proptest::sample::select(vec!["true", "false", "null", "\"\\u00e9\\/\""]).prop_map(str::to_owned);
        prop_oneof![number, text, words].prop_recursive(4, 24, 5, move |inner| {
            let array = (proptest::collection::vec(inner.clone(), 0..5), blank.clone()).prop_map(
                |(values, blank)| format!("[{blank}{}{blank}]", values.join(&format!("{blank},{blank}"))),
            );
            prop_oneof![array, object(inner)]
        })
    }

    fn object(value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
        let blank = proptest::sample::select(vec!["", "", " ", "\r\n"]);
        (proptest::collection::vec(("[^\"\\\\\\x00-\\x1f]{0,24}", value), 0..6), blank).prop_map(
            |(fields, blank)| {
                let fields = fields
                    .iter()
                    .map(|(name, value)| format!("{blank}\"{name}\"{blank}:{blank}{value}{blank}"));
                format!("{blank}{{{blank}{}{blank}}}{blank}", fields.collect::<Vec<_>>().join(","))
            },
        )
    }

    /// Names and the texts of their values; nothing where the text was not accepted.
    type Found = Option<Vec<(String, String)>>;

    /// The fields that are found here, and those that serde_json finds.
    fn read(text: &str) -> (Found, Found) {
        let mut found = Vec::new();
        let here = fields(text, |name, value| found.push((name.to_owned(), value.get().to_owned())));
        let there = serde_json::from_str::<Object<'_>>(text).ok().map(|object| {
            object.iter().map(|(name, value)| (name.to_owned(), value.get().to_owned())).collect()
        });
        (here.map(|()| found), there)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn objects_are_read_as_serde_json_reads_them(text in object(value())) {
            let (here, there) = read(&text);
            prop_assert!(here.is_some(), "left to serde_json: {text}");
            prop_assert_eq!(here, there);
        }

        #[test]
        fn what_is_accepted_serde_json_accepts(
            text in object(value()),
            changes in proptest::collection::vec((any::<proptest::sample::Index>(), 0..3_usize, piece()), 1..4),
        ) {
            let mut text: Vec<char> = text.chars().collect();
            for (place, removed, piece) in changes {
                let start = place.index(text.len() + 1);
                let end = text.len().min(start + removed);
                text.splice(start..end, piece.chars());
            }
            let text: String = text.into_iter().collect();
            let (here, there) = read(&text);
            prop_assert!(here.is_none() || here == there, "{text}: {here:?}, {there:?}");
        }

        #[test]
        fn what_is_accepted_of_pieces_serde_json_accepts(pieces in proptest::collection::vec(piece(), 0..9)) {
            let pieces = pieces.concat();
            for text in [format!("{{\"a\":{pieces}}}"), format!("{{{pieces}}}"), pieces] {
                let (here, there) = read(&text);
                prop_assert!(here.is_none() || here == there, "{text}: {here:?}, {there:?}");
            }
        }
    }

    #[test]
    fn each_way_to_be_wrong_is_left_to_serde_json() {
        let check = |text: &str| assert_eq!(read(text), (None, None), "{text}");
        for text in
            ["", "{", "[]", "1", "null", "{}}", "{} x", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{,}", "{a:1}"]
        {
            check(text);
        }
        for value in [
            "01",
            "-",
            "1.",
            ".5",
            "1e",
            "+1",
            "tru",
            "nulll",
            "'a'",
            "\"\\x\"",
            "\"\\u12g4\"",
            "\"\t\"",
            "\"",
        ] {
            check(&format!("{{\"a\":{value}}}"));
        }
        for value in
            ["[1,]", "[1 2]", "[,]", "[1", "{\"b\":1,}", "{\"b\" 1}", "{1:1}", "[}", "{]", "[\"\\u123\"]"]
        {
            check(&format!("{{\"a\":{value}}}"));
        }
    }

    #[test]
    fn what_is_right_but_rare_is_left_to_serde_json_too() {
        let check = |text: &str| {
            let (here, there) = read(text);
            assert!(here.is_none() && there.is_some(), "{text}");
        };
        check(r#"{"a\u0062":1}"#);
        let deep = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        check(&deep(DEPTH_MAX as usize + 1));
        assert!(read(&deep(DEPTH_MAX as usize)).0.is_some());
    }
}
