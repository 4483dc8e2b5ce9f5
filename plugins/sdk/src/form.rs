//! Form fields and query parameters.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use crate::{Failure, Result};

/// Parts of one body that are read.
const PARTS_MAX: usize = 1000;

/// Fields in the format `application/x-www-form-urlencoded` (WHATWG URL, 5), decoded, in their order.
///
/// As JSON it is an object of strings; a name that came several times has an array of them.
///
/// ```
/// use hookmill_plugin::{Form, json};
///
/// let form = Form::parse(b"To=%2B255123&Body=Hello+you");
/// assert_eq!(form.get("To"), Some("+255123"));
/// assert_eq!(json!(form), json!({"To": "+255123", "Body": "Hello you"}));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Form<'text>(Vec<(Cow<'text, str>, Cow<'text, str>)>);

impl<'text> Form<'text> {
    /// Reads the text of a form. Any text is one; what is not UTF-8 once decoded becomes U+FFFD.
    #[must_use]
    pub fn parse(text: &'text [u8]) -> Self {
        Self(form_urlencoded::parse(text).collect())
    }

    /// Reads a body of `multipart/form-data` (RFC 7578) with this content type. Files are left out, and so is what comes after
    /// the first thousand parts; a body without a boundary has no fields.
    #[must_use]
    pub fn multipart(content_type: &str, body: &'text [u8]) -> Self {
        let mut fields = Vec::new();
        let boundary = parameter(content_type, "boundary").filter(|boundary| !boundary.is_empty());
        let delimiter = boundary.map(|boundary| format!("--{boundary}")).unwrap_or_default();
        let mut rest = after(body, delimiter.as_bytes()).filter(|_| !delimiter.is_empty());
        for _ in 0..PARTS_MAX {
            let Some(part) = rest.and_then(|rest| rest.strip_prefix(b"\r\n")) else { break };
            let Some(end) = find(part, delimiter.as_bytes()) else { break };
            fields.extend(field(&part[..end]));
            rest = Some(&part[end + delimiter.len()..]);
        }
        Self(fields)
    }

    /// A field; the first one where a name came several times.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(field, _)| *field == name).map(|(_, value)| value)
    }

    /// A field that has to be there and have a value.
    ///
    /// # Errors
    /// A permanent failure that names the field.
    pub fn require(&self, name: &str) -> Result<&str> {
        match self.get(name) {
            Some(value) if !value.is_empty() => Ok(value),
            Some(_) => Err(Failure::permanent(format!("{name}: empty"))),
            None => Err(Failure::permanent(format!("{name}: missing"))),
        }
    }

    /// The fields in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value.as_ref()))
    }

    /// Whether there are no fields.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A part that is a field: its name and its text.
fn field(part: &[u8]) -> Option<(Cow<'_, str>, Cow<'_, str>)> {
    let head_end = find(part, b"\r\n\r\n")?;
    let head = std::str::from_utf8(&part[..head_end]).ok()?;
    let disposition = head.split("\r\n").find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.trim().eq_ignore_ascii_case("content-disposition").then_some(value)
    })?;
    let name = parameter(disposition, "name").filter(|_| parameter(disposition, "filename").is_none())?;
    let value = &part[head_end + 4..];
    Some((Cow::Borrowed(name), String::from_utf8_lossy(value.strip_suffix(b"\r\n").unwrap_or(value))))
}

/// A parameter of a header's value, without its quotes.
fn parameter<'value>(value: &'value str, name: &str) -> Option<&'value str> {
    value.split(';').skip(1).find_map(|parameter| {
        let (found, value) = parameter.split_once('=')?;
        let value = value.trim();
        let unquoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
        found.trim().eq_ignore_ascii_case(name).then_some(unquoted)
    })
}

fn after<'text>(text: &'text [u8], wanted: &[u8]) -> Option<&'text [u8]> {
    find(text, wanted).map(|at| &text[at + wanted.len()..])
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    if wanted.is_empty() {
        return None;
    }
    text.windows(wanted.len()).position(|window| window == wanted)
}

impl Serialize for Form<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(untagged)]
        enum Field<'form> {
            One(&'form str),
            Several(Vec<&'form str>),
        }

        let mut fields: BTreeMap<&str, Field<'_>> = BTreeMap::new();
        for (name, value) in self.iter() {
            fields
                .entry(name)
                .and_modify(|field| match field {
                    Field::One(first) => *field = Field::Several(vec![first, value]),
                    Field::Several(values) => values.push(value),
                })
                .or_insert(Field::One(value));
        }
        fields.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    #[test]
    fn fields_are_decoded() {
        let check =
            |text: &str, expect: crate::Value| assert_eq!(json!(Form::parse(text.as_bytes())), expect);
        check("", json!({}));
        check("a", json!({"a": ""}));
        check("a=1&b=&a=2&a=3", json!({"a": ["1", "2", "3"], "b": ""}));
        check("na%20me=%C3%A9+%2b", json!({"na me": "\u{e9} +"}));
        check("a=%ff", json!({"a": "\u{fffd}"}));
        check(r#"{"a":1}"#, json!({"{\"a\":1}": ""}));
    }

    #[test]
    fn required_fields_have_a_value() {
        let form = Form::parse(b"a=1&a=2&b=");
        assert_eq!((form.get("a"), form.is_empty()), (Some("1"), false));
        assert_eq!(form.require("a"), Ok("1"));
        assert_eq!(form.require("b"), Err(Failure::permanent("b: empty")));
        assert_eq!(form.require("c"), Err(Failure::permanent("c: missing")));
    }
}
