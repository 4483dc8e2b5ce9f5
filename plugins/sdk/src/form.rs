//! Form fields and query parameters.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use crate::{Failure, Result};

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
