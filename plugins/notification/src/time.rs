//! Times of providers as RFC 3339 in UTC.

use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

/// Seconds since 1970 as a decimal number: `1770146798` or `1770146798.372891`, digit for digit; what is less than a
/// nanosecond is cut off. None where it is no such number.
#[must_use]
pub fn of_seconds(seconds: &str) -> Option<String> {
    let (whole, fraction) = seconds.split_once('.').unwrap_or((seconds, "0"));
    let is_decimal = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !is_decimal(whole) || !is_decimal(fraction) {
        return None;
    }
    let nanoseconds: String = fraction.chars().chain("00000000".chars()).take(9).collect();
    of_parts(whole.parse().ok()?, nanoseconds.parse().ok()?)
}

/// A time in RFC 3339, of any zone. None where it is none.
#[must_use]
pub fn of_text(text: &str) -> Option<String> {
    let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    time.checked_to_offset(UtcOffset::UTC)?.format(&Rfc3339).ok()
}

fn of_parts(seconds: u64, nanoseconds: u32) -> Option<String> {
    let time = OffsetDateTime::from_unix_timestamp(i64::try_from(seconds).ok()?).ok()?;
    time.replace_nanosecond(nanoseconds).ok()?.format(&Rfc3339).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds() {
        let check = |seconds: &str, expect: Option<&str>| {
            assert_eq!(of_seconds(seconds).as_deref(), expect, "{seconds}");
        };
        check("1770146798", Some("2026-02-03T19:26:38Z"));
        check("1770146798.372891", Some("2026-02-03T19:26:38.372891Z"));
        check("1770146798.1234567899", Some("2026-02-03T19:26:38.123456789Z"));
        check("0.5", Some("1970-01-01T00:00:00.5Z"));
        for no_number in
            ["", ".", "1.", ".5", "-1", "1e9", "1.5.5", "99999999999999", "99999999999999999999", "\"1\""]
        {
            check(no_number, None);
        }
    }

    #[test]
    fn texts() {
        let check = |text: &str, expect: Option<&str>| assert_eq!(of_text(text).as_deref(), expect, "{text}");
        check("2021-06-18T14:48:06.886358Z", Some("2021-06-18T14:48:06.886358Z"));
        check("2021-06-18T14:48:06+02:00", Some("2021-06-18T12:48:06Z"));
        check("2021-06-18", None);
        check("", None);
    }
}
