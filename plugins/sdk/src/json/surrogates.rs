//! Strings with half of a surrogate pair, such as `"cut \ud83d"`.
//!
//! They are JSON (RFC 8259, section 8.2, warns of them), and whoever cuts a text in UTF-16 makes some. serde_json takes
//! them in values that it only skips, and refuses to read them as text. Such a half has no character: the replacement
//! character stands for it, as where browsers send one.

use std::borrow::Cow;

/// The escape of U+FFFD, as long as the one that it replaces.
const REPLACEMENT: &str = "\\ufffd";

/// A JSON text in which each half of a surrogate pair is replaced by U+FFFD, so that serde_json reads all of its strings.
/// Any other text stays as it is, and costs a look for backslashes.
#[must_use]
pub fn well_formed(json: &str) -> Cow<'_, str> {
    let mut fixed: Option<String> = None;
    let mut at = 0;
    while let Some(found) = json[at..].find('\\') {
        at += found;
        let (length, is_half) = match surrogate(json, at) {
            None => (2, false),
            Some(0xd800..0xdc00) if matches!(surrogate(json, at + 6), Some(0xdc00..0xe000)) => (12, false),
            Some(_) => (6, true),
        };
        if is_half {
            let fixed = fixed.get_or_insert_with(|| json.to_owned());
            fixed.replace_range(at..at + length, REPLACEMENT);
        }
        at += length;
        if !json.is_char_boundary(at) {
            // No JSON; serde_json says so.
            break;
        }
    }
    fixed.map_or(Cow::Borrowed(json), Cow::Owned)
}

/// The half of a pair whose escape begins here.
fn surrogate(json: &str, at: usize) -> Option<u32> {
    let digits = json.get(at..at + 6)?.strip_prefix("\\u")?;
    let unit = u32::from_str_radix(digits, 16).ok()?;
    (0xd800..0xe000).contains(&unit).then_some(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_replaced_and_nothing_else() {
        let check = |json: &str, expect: &str| assert_eq!(well_formed(json), expect, "{json}");
        check(r#""cut \ud83d""#, r#""cut \ufffd""#);
        check(r#""\uDE00\uD83D""#, r#""\ufffd\ufffd""#);
        check(r#""\ud83d\ud83d\ude00""#, r#""\ufffd\ud83d\ude00""#);
        for same in [
            r#""""#,
            "\"\u{1f600}\"",
            r#""\ud83d\ude00""#,
            r#""\\ud83d""#,
            r#""a\n\u00e9\"""#,
            "\\",
            "\\ud8",
            "\\é",
            "\\ud83é",
        ] {
            check(same, same);
        }
    }
}
