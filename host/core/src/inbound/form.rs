//! Forms and queries: `application/x-www-form-urlencoded`, and `multipart/form-data` as far as signatures are in it.

use std::borrow::Cow;

/// All fields with their values, decoded, in the order in which they stand.
pub(super) fn fields(encoded: &[u8]) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    url::form_urlencoded::parse(encoded)
}

/// The first value of a field.
pub(super) fn field<'a>(encoded: &'a [u8], name: &str) -> Option<Cow<'a, str>> {
    fields(encoded).find(|(field, _)| field == name).map(|(_, value)| value)
}

/// Parts of one body that are looked through.
const PARTS_MAX: usize = 1000;

/// The first value of a field of a `multipart/form-data` body (RFC 7578) with this content type.
pub(super) fn multipart_field<'a>(content_type: &str, body: &'a [u8], name: &str) -> Option<Cow<'a, str>> {
    let delimiter = format!("--{}", boundary(content_type)?);
    let delimiter = delimiter.as_bytes();
    // What stands before the first delimiter is no part.
    let mut rest = &body[find(body, delimiter)? + delimiter.len()..];
    for _ in 0..PARTS_MAX {
        let part = rest.strip_prefix(b"\r\n")?;
        let end = find(part, delimiter)?;
        let head_end = find(&part[..end], b"\r\n\r\n")?;
        let (head, value) = (&part[..head_end], &part[head_end + 4..end]);
        if std::str::from_utf8(head).is_ok_and(|head| is_named(head, name)) {
            return Some(String::from_utf8_lossy(value.strip_suffix(b"\r\n").unwrap_or(value)));
        }
        rest = &part[end + delimiter.len()..];
    }
    None
}

/// Whether a content type is `multipart/form-data`.
pub(super) fn is_multipart(content_type: &str) -> bool {
    content_type.split(';').next().is_some_and(|it| it.trim().eq_ignore_ascii_case("multipart/form-data"))
}

/// What separates the parts: 1 to 70 characters (RFC 2046, section 5.1.1).
fn boundary(content_type: &str) -> Option<&str> {
    parameter(content_type, "boundary").filter(|boundary| (1..=70).contains(&boundary.len()))
}

fn is_named(head: &str, name: &str) -> bool {
    head.split("\r\n").any(|line| {
        let disposition = line
            .split_once(':')
            .filter(|(header, _)| header.trim().eq_ignore_ascii_case("content-disposition"));
        disposition.is_some_and(|(_, value)| parameter(value, "name") == Some(name))
    })
}

/// A parameter of a header's value, without its quotes.
fn parameter<'a>(value: &'a str, name: &str) -> Option<&'a str> {
    value.split(';').skip(1).find_map(|parameter| {
        let (found, value) = parameter.split_once('=')?;
        let value = value.trim();
        let unquoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
        found.trim().eq_ignore_ascii_case(name).then_some(unquoted)
    })
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_found_by_name() {
        let part = |name: &str, value: &str| {
            format!("--b1\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
        };
        let body =
            format!("{}{}{}--b1--\r\n", part("token", "t-1"), part("empty", ""), part("lines", "a\r\nb"));
        let check = |content_type: &str, body: &str, name: &str, expect: Option<&str>| {
            let found = multipart_field(content_type, body.as_bytes(), name);
            assert_eq!(found.as_deref(), expect, "{content_type} {name}");
        };
        let content_type = "multipart/form-data; boundary=b1";
        check(content_type, &body, "token", Some("t-1"));
        check("Multipart/Form-Data; charset=utf-8; boundary=\"b1\"", &body, "token", Some("t-1"));
        check(content_type, &body, "empty", Some(""));
        check(content_type, &body, "lines", Some("a\r\nb"));
        check(content_type, &body, "other", None);
        check("multipart/form-data", &body, "token", None);
        check("multipart/form-data; boundary=", &body, "token", None);
        check("multipart/form-data; boundary=b2", &body, "token", None);
        check(content_type, "--b1--\r\n", "token", None);
        check(content_type, "--b1\r\nno head\r\n--b1--", "token", None);
        check(content_type, "", "token", None);
    }
}
