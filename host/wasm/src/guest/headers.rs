//! Headers: read out of a message, and checked before a plugin sets one.

use hookmill_core::limits::{CUSTOM_HEADER_BYTES_MAX, CUSTOM_HEADERS_MAX};
use hookmill_core::request::header_is_reserved;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::run_log::printable;

/// All values of a header, joined; none where there is no such header or a value is not UTF-8.
pub(super) fn joined(headers: &HeaderMap, name: &str) -> Option<String> {
    let values: Option<Vec<&str>> =
        headers.get_all(name).iter().map(|value| std::str::from_utf8(value.as_bytes()).ok()).collect();
    values.filter(|values| !values.is_empty()).map(|values| values.join(", "))
}

/// A name that a plugin may set.
pub(super) fn checked_name(name: &str) -> Result<HeaderName, String> {
    let parsed: HeaderName =
        name.parse().map_err(|_| format!("`{}` is no header name", printable(name, 64)))?;
    if header_is_reserved(&parsed) { Err(format!("header `{parsed}` is reserved")) } else { Ok(parsed) }
}

/// A value that a header can hold.
pub(super) fn checked_value(name: &HeaderName, value: &str) -> Result<HeaderValue, String> {
    HeaderValue::from_bytes(value.as_bytes())
        .map_err(|_| format!("the value of header `{name}` has a control character"))
}

/// Whether a header of so many bytes fits beside those that stay, as `CustomHeaders` checks an endpoint's own.
pub(super) fn check_room(header_bytes: usize, others: impl Iterator<Item = usize>) -> Result<(), String> {
    let (count, bytes) = others.fold((1, header_bytes), |(count, bytes), other| (count + 1, bytes + other));
    if count > CUSTOM_HEADERS_MAX || bytes > CUSTOM_HEADER_BYTES_MAX {
        let message =
            format!("at most {CUSTOM_HEADERS_MAX} headers and {CUSTOM_HEADER_BYTES_MAX} bytes of them");
        return Err(message);
    }
    Ok(())
}

/// Bytes of each header's name and value, but for those of one name.
pub(super) fn bytes_beside<'a>(
    headers: &'a HeaderMap,
    replaced: Option<&'a HeaderName>,
) -> impl Iterator<Item = usize> + 'a {
    headers
        .iter()
        .filter(move |(name, _)| Some(*name) != replaced)
        .map(|(name, value)| name.as_str().len() + value.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_joined_and_text() {
        let mut headers = HeaderMap::new();
        headers.append("x-a", HeaderValue::from_static("1"));
        headers.append("x-a", HeaderValue::from_static("2"));
        headers.append("x-b", HeaderValue::from_bytes(b"\xff").unwrap());
        let check = |name: &str, expect: Option<&str>| {
            assert_eq!(joined(&headers, name).as_deref(), expect, "{name}");
        };
        check("X-A", Some("1, 2"));
        check("x-b", None);
        check("x-c", None);
        check("no name", None);
    }

    #[test]
    fn names_and_values_can_not_inject() {
        assert!(checked_name("x-a").is_ok());
        for name in ["", "x a", "x\r\ny", "Content-Length", "webhook-id", "transfer-encoding"] {
            assert!(checked_name(name).is_err(), "{name:?}");
        }
        let name = HeaderName::from_static("x-a");
        assert!(checked_value(&name, "caf\u{e9}").is_ok());
        for value in ["a\r\nb: c", "a\0", "a\n"] {
            assert!(checked_value(&name, value).is_err(), "{value:?}");
        }
    }

    #[test]
    fn headers_are_few_and_small() {
        let check = |bytes, others: &[usize], fits| {
            assert_eq!(check_room(bytes, others.iter().copied()).is_ok(), fits, "{bytes} {others:?}");
        };
        check(10, &[1; CUSTOM_HEADERS_MAX - 1], true);
        check(10, &[1; CUSTOM_HEADERS_MAX], false);
        check(CUSTOM_HEADER_BYTES_MAX, &[], true);
        check(CUSTOM_HEADER_BYTES_MAX, &[1], false);
    }
}
