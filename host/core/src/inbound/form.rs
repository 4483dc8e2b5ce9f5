//! Forms and queries: `application/x-www-form-urlencoded`.

use std::borrow::Cow;

/// All fields with their values, decoded, in the order in which they stand.
pub(super) fn fields(encoded: &[u8]) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    url::form_urlencoded::parse(encoded)
}

/// The first value of a field.
pub(super) fn field<'a>(encoded: &'a [u8], name: &str) -> Option<Cow<'a, str>> {
    fields(encoded).find(|(field, _)| field == name).map(|(_, value)| value)
}
