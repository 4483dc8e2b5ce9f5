//! Texts of JSON as jq reads them: numbers of texts, one value of a text, and strings that were cut in the middle of a
//! character.

use std::borrow::Cow;

use jaq_json::{Num, Val, read};

/// The number that a text is: jq's `tonumber` takes a sign and digits without any before the point, too.
pub(crate) fn number(text: &str) -> Option<Val> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let is_number = digits.starts_with(|first: char| first.is_ascii_digit() || first == '.')
        && digits
            .bytes()
            .all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-'));
    if !is_number {
        return None;
    }
    let (sign, digits) = (if text.starts_with('-') { "-" } else { "" }, digits.trim_start_matches('0'));
    let digits = if digits.starts_with(|first: char| first.is_ascii_digit()) {
        digits.to_owned()
    } else {
        format!("0{digits}")
    };
    // As it stands where it is JSON, so that its digits are kept.
    if let Ok(Val::Num(number)) = read::parse_single(format!("{sign}{digits}").as_bytes()) {
        return Some(Val::Num(number));
    }
    text.parse().ok().map(|float| Val::Num(Num::Float(float)))
}

/// Numbers that were calculated are written as jq writes them: `6`, where jaq writes `6.0`. Those that came are as they
/// came.
pub(crate) fn with_whole_numbers(value: Val) -> Val {
    if !has_whole_float(&value) {
        return value;
    }
    match value {
        Val::Num(Num::Float(float)) => whole(float).unwrap_or(value),
        Val::Arr(items) => Val::Arr(items.iter().cloned().map(with_whole_numbers).collect::<Vec<_>>().into()),
        Val::Obj(entries) => {
            let entries = entries.iter().map(|(key, value)| (key.clone(), with_whole_numbers(value.clone())));
            Val::Obj(entries.collect::<jaq_json::Map<_, _>>().into())
        }
        other => other,
    }
}

fn has_whole_float(value: &Val) -> bool {
    match value {
        Val::Num(Num::Float(float)) => whole(*float).is_some(),
        Val::Arr(items) => items.iter().any(has_whole_float),
        Val::Obj(entries) => entries.values().any(has_whole_float),
        _ => false,
    }
}

/// A number without a fraction, up to where a double holds each of them.
fn whole(float: f64) -> Option<Val> {
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    let is_whole = float.fract() == 0.0 && float.abs() <= EXACT_MAX;
    is_whole.then(|| read::parse_single(format!("{float:.0}").as_bytes()).ok()).flatten()
}

/// Surrogates that lack their other half become U+FFFD, as jq reads them: senders cut texts by UTF-16.
pub(crate) fn with_whole_characters(json: &[u8]) -> Cow<'_, [u8]> {
    if !json.windows(3).any(|window| matches!(window, [b'\\', b'u', b'd' | b'D'])) {
        return Cow::Borrowed(json);
    }
    let mut mended = Vec::with_capacity(json.len());
    let mut rest = json;
    while let Some(place) = rest.iter().position(|byte| *byte == b'\\') {
        mended.extend_from_slice(&rest[..place]);
        rest = &rest[place..];
        let taken = match unit(rest) {
            Some(0xD800..=0xDBFF) => match unit(rest.get(6..).unwrap_or_default()) {
                Some(0xDC00..=0xDFFF) => 12,
                Some(_) | None => 0,
            },
            Some(0xDC00..=0xDFFF) => 0,
            Some(_) => 6,
            None => 2,
        };
        if taken == 0 {
            mended.extend_from_slice(b"\\ufffd");
            rest = &rest[6..];
        } else {
            let taken = taken.min(rest.len());
            mended.extend_from_slice(&rest[..taken]);
            rest = &rest[taken..];
        }
    }
    mended.extend_from_slice(rest);
    Cow::Owned(mended)
}

/// The code unit of an escape at the beginning of a text.
fn unit(text: &[u8]) -> Option<u16> {
    let digits = text.strip_prefix(b"\\u")?.get(..4)?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lone_surrogates_are_replaced_and_pairs_are_kept() {
        let check = |json: &str, expect: &str| {
            assert_eq!(with_whole_characters(json.as_bytes()), expect.as_bytes(), "{json}");
        };
        check(r#""plain \u00e9""#, r#""plain \u00e9""#);
        check(r#""cut \ud83d""#, r#""cut \ufffd""#);
        check(r#""\ud83d\ude00 \uDE00\ud83dx""#, r#""\ud83d\ude00 \ufffd\ufffdx""#);
        check(r#""\\ud83d \"\ud83d\ud83d\ude00""#, r#""\\ud83d \"\ufffd\ud83d\ude00""#);
        check(r#""\ud83d\"#, r#""\ufffd\"#);
    }
}
