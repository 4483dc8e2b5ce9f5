//! The headers of a composed request: literal names, values with variables.

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName};

use super::error::{CompositionError, CompositionFault, InvalidComposition, Part};
use super::output::Output;
use super::template::{Reader, Scope, TextTemplate};
use crate::endpoint::{CustomHeaders, InvalidHeaders};
use crate::limits::CUSTOM_HEADER_BYTES_MAX;

/// Headers that were read.
#[derive(Debug)]
pub(super) struct HeaderTemplates(Box<[(HeaderName, TextTemplate)]>);

impl HeaderTemplates {
    /// Reads headers. Before a variable has a value they must be such as any endpoint may have.
    pub(super) fn read(
        reader: &mut Reader<'_>,
        headers: &[(String, String)],
    ) -> Result<Self, InvalidComposition> {
        CustomHeaders::new(headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())))
            .map_err(refused)?;
        let read = |(name, value): &(String, String)| {
            let template = reader.read(value).map_err(|fault| fault.of(Part::Header(name.clone())))?;
            Ok((name.parse().expect("the names were checked"), template))
        };
        Ok(Self(headers.iter().map(read).collect::<Result<_, _>>()?))
    }

    pub(super) fn have_content_type(&self) -> bool {
        self.0.iter().any(|(name, _)| name == CONTENT_TYPE)
    }

    /// The headers with the event's values, without the blanks around each, which are no part of a value (RFC 9110,
    /// section 5.5).
    pub(super) fn render(&self, scope: &Scope<'_>) -> Result<HeaderMap, CompositionError> {
        let mut all = Output::new(CUSTOM_HEADER_BYTES_MAX, CompositionError::HeadersTooLarge);
        let mut rendered = Vec::with_capacity(self.0.len());
        for (name, template) in self.0.iter().filter(|(_, template)| !template.is_omitted(scope)) {
            let value = template.text(scope, &all)?;
            let value = value.trim_matches([' ', '\t']);
            all.write_text(value)?;
            rendered.push((name.as_str(), value.to_owned()));
        }
        let entries = rendered.iter().map(|(name, value)| (*name, value.as_bytes()));
        let headers = CustomHeaders::new(entries).map_err(|error| match error {
            InvalidHeaders::Value { name } => CompositionError::HeaderValue { header: name },
            InvalidHeaders::TooMany => CompositionError::HeadersTooLarge,
            InvalidHeaders::Name { .. } | InvalidHeaders::Reserved { .. } => {
                unreachable!("the names were checked when they were read")
            }
        })?;
        Ok(headers.as_map().clone())
    }
}

fn refused(error: InvalidHeaders) -> InvalidComposition {
    let (part, fault) = match error {
        InvalidHeaders::Name { name } => (Part::Header(name), CompositionFault::HeaderName),
        InvalidHeaders::Value { name } => (Part::Header(name), CompositionFault::HeaderValue),
        InvalidHeaders::Reserved { name } => (Part::Header(name), CompositionFault::HeaderReserved),
        InvalidHeaders::TooMany => (Part::Headers, CompositionFault::TooManyHeaders),
    };
    InvalidComposition::of(part, fault)
}
