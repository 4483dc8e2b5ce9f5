//! A form as a body: literal field names, values with variables.

use http::HeaderValue;
use sha2::{Digest, Sha256};
use url::form_urlencoded::byte_serialize;

use super::error::{CompositionError, CompositionFault, InvalidComposition, Part};
use super::output::Output;
use super::template::{Reader, Scope, TextTemplate};
use super::{FORM_FIELDS_MAX, FormEncoding};
use crate::limits::TRANSFORM_OUTPUT_BYTES_MAX;

/// A form that was read.
#[derive(Debug)]
pub(super) struct FormTemplate {
    fields: Box<[(Box<str>, TextTemplate)]>,
    encoding: FormEncoding,
}

/// A field's name and its value for one event.
type Field<'f> = (&'f str, String);

impl FormTemplate {
    /// Reads a form.
    pub(super) fn read(
        reader: &mut Reader<'_>,
        fields: &[(String, String)],
        encoding: FormEncoding,
    ) -> Result<Self, InvalidComposition> {
        if fields.len() > FORM_FIELDS_MAX {
            let body = Part::Body { pointer: String::new() };
            return Err(InvalidComposition::of(body, CompositionFault::TooManyFields));
        }
        let read = |(name, value): &(String, String)| {
            let template = reader.read(value).map_err(|fault| fault.of(Part::Field(name.clone())))?;
            Ok((name.as_str().into(), template))
        };
        Ok(Self { fields: fields.iter().map(read).collect::<Result<_, _>>()?, encoding })
    }

    /// Writes the form with the event's values, and returns its content type.
    pub(super) fn render(
        &self,
        scope: &Scope<'_>,
        output: &mut Output,
    ) -> Result<HeaderValue, CompositionError> {
        // The values as they are: encoding makes them longer, so what does not fit here fits nowhere.
        let mut values = Output::new(TRANSFORM_OUTPUT_BYTES_MAX, CompositionError::BodyTooLarge);
        let mut fields = Vec::with_capacity(self.fields.len());
        for (name, template) in self.fields.iter().filter(|(_, template)| !template.is_omitted(scope)) {
            let value = template.text(scope, &values)?;
            values.write_text(&value)?;
            fields.push((&**name, value));
        }
        match self.encoding {
            FormEncoding::UrlEncoded => write_url_encoded(&fields, output),
            FormEncoding::Multipart => write_multipart(&fields, output),
        }
    }
}

/// `application/x-www-form-urlencoded` (WHATWG URL, section 5.2).
fn write_url_encoded(fields: &[Field<'_>], output: &mut Output) -> Result<HeaderValue, CompositionError> {
    for (index, (name, value)) in fields.iter().enumerate() {
        output.write_text(if index > 0 { "&" } else { "" })?;
        byte_serialize(name.as_bytes()).try_for_each(|text| output.write_text(text))?;
        output.write_text("=")?;
        byte_serialize(value.as_bytes()).try_for_each(|text| output.write_text(text))?;
    }
    Ok(HeaderValue::from_static("application/x-www-form-urlencoded"))
}

/// `multipart/form-data` (RFC 7578). Values go out as the bytes that they are.
fn write_multipart(fields: &[Field<'_>], output: &mut Output) -> Result<HeaderValue, CompositionError> {
    let boundary = first_absent(boundaries(fields), fields);
    for (name, value) in fields {
        let name = escape_name(name);
        for text in [
            "--",
            &boundary,
            "\r\ncontent-disposition: form-data; name=\"",
            &name,
            "\"\r\n\r\n",
            value,
            "\r\n",
        ] {
            output.write_text(text)?;
        }
    }
    for text in ["--", &boundary, "--\r\n"] {
        output.write_text(text)?;
    }
    let content_type = format!("multipart/form-data; boundary={boundary}");
    Ok(HeaderValue::from_str(&content_type).expect("a boundary is letters and digits"))
}

/// WHATWG HTML, "multipart/form-data encoding algorithm": line breaks of a name become CRLF, and these and quotation
/// marks are escaped.
fn escape_name(name: &str) -> String {
    name.replace("\r\n", "\n").replace(['\r', '\n'], "%0D%0A").replace('"', "%22")
}

/// Boundaries that depend on nothing but the fields, so that each attempt sends the same bytes.
fn boundaries(fields: &[Field<'_>]) -> impl Iterator<Item = String> {
    let mut content = Sha256::new();
    for text in fields.iter().flat_map(|(name, value)| [*name, value]) {
        content.update(text.len().to_be_bytes());
        content.update(text);
    }
    (0u32..).map(move |number| {
        let digest = content.clone().chain_update(number.to_be_bytes()).finalize();
        format!("hookmill{}", hex::encode(&digest[..16]))
    })
}

/// The first boundary that no field has in it. There is one: a text of a mebibyte has fewer pieces than there are
/// candidates, and to have even the first of them it would hold its own hash.
fn first_absent(mut candidates: impl Iterator<Item = String>, fields: &[Field<'_>]) -> String {
    let absent = |boundary: &String| {
        fields.iter().all(|(name, value)| !name.contains(boundary) && !value.contains(boundary))
    };
    candidates.find(absent).expect("more candidates than the fields have pieces")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boundary_that_a_field_has_in_it_is_passed_over() {
        let candidates = || ["one", "two", "three"].map(str::to_owned).into_iter();
        let check = |fields: &[Field<'_>], expect: &str| {
            assert_eq!(first_absent(candidates(), fields), expect, "{fields:?}");
        };
        check(&[], "one");
        check(&[("a", "b".to_owned())], "one");
        check(&[("a", "--one--".to_owned())], "two");
        check(&[("one", String::new()), ("a", "two".to_owned())], "three");
    }

    #[test]
    fn names_are_escaped_as_browsers_do() {
        let check = |name: &str, expect: &str| assert_eq!(escape_name(name), expect, "{name:?}");
        check("plain ä", "plain ä");
        check("a\"b", "a%22b");
        check("a\r\nb", "a%0D%0Ab");
        check("a\nb\rc", "a%0D%0Ab%0D%0Ac");
        check("100%", "100%");
    }
}
