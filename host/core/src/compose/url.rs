//! The URL of a composed request.
//!
//! Two things hold whatever an event has in it. The request goes to the origin that the operator wrote, or to one of
//! those listed: values come after the host, unless origins are listed, and the finished URL's origin is compared in
//! either case. And it goes to the path that the operator wrote, but for the segments that have variables: values are
//! percent-encoded, so they hold no separator, and one that would be a dot segment is refused, since no encoding keeps
//! a URL parser from climbing there (WHATWG URL, "double-dot URL path segment").

use super::ORIGINS_MAX;
use super::error::{CompositionError, CompositionFault, InvalidComposition, Part};
use super::output::{Encoding, Output};
use super::template::{Piece, Reader, Scope, TextTemplate};
use crate::address::{DeliveryUrl, InvalidUrl, Origin, URL_BYTES_MAX};

/// A URL that was read.
#[derive(Debug)]
pub(super) struct UrlTemplate {
    template: TextTemplate,
    /// Where requests may go; never empty.
    origins: Box<[Origin]>,
    /// Dot segments that the operator wrote.
    dot_segments: usize,
}

impl UrlTemplate {
    /// Reads a URL, without the white space around it, and the origins that it may have.
    pub(super) fn read(
        reader: &mut Reader<'_>,
        text: &str,
        allowed_origins: &[String],
    ) -> Result<Self, InvalidComposition> {
        let allowed = read_origins(allowed_origins)?;
        let start = text.len() - text.trim_start().len();
        let text = text.trim();
        let refuse = |offset: Option<usize>, fault: CompositionFault| InvalidComposition {
            part: Part::Url,
            offset: offset.map(|offset| start + offset),
            fault,
        };
        let template = reader.read(text).map_err(|fault| fault.behind(start).of(Part::Url))?;
        // A path of a variable has neither of these, so they are the URL's own.
        if let Some((at, character)) = text.char_indices().find(|(_, character)| character.is_control()) {
            return Err(refuse(Some(at), CompositionFault::UrlCharacter { character }));
        }
        if let Some(at) = text.find('#') {
            return Err(refuse(Some(at), CompositionFault::Fragment));
        }
        let specimen = specimen(&template);
        let dot_segments = dot_segments(&specimen);
        let origins = match (host_variable(&template), allowed.is_empty()) {
            (Some(at), true) => return Err(refuse(Some(at), CompositionFault::HostVariable)),
            (Some(_), false) => allowed,
            (None, _) => {
                let url = DeliveryUrl::parse(&specimen)
                    .map_err(|error| refuse(None, CompositionFault::Url(error)))?;
                let origin = url.origin();
                if !allowed.is_empty() && !allowed.contains(&origin) {
                    let origin = origin.to_string();
                    return Err(refuse(None, CompositionFault::OriginNotAllowed { origin }));
                }
                vec![origin]
            }
        };
        Ok(Self { template, origins: origins.into(), dot_segments })
    }

    /// Where requests may go.
    pub(super) fn origins(&self) -> &[Origin] {
        &self.origins
    }

    /// The URL up to its query and its first variable; of a segment that has variables nothing.
    pub(super) fn base(&self) -> DeliveryUrl {
        let root = || self.origins[0].root();
        let (before, has_variables) = before_variables(&self.template);
        if host_variable(&self.template).is_some() {
            return root();
        }
        let base = match (before.find('?'), before.rfind(is_slash)) {
            (Some(query), _) => &before[..query],
            (None, Some(slash)) if has_variables => &before[..=slash],
            (None, _) => before,
        };
        DeliveryUrl::parse(base).unwrap_or_else(|_| root())
    }

    /// The URL with the event's values.
    pub(super) fn render(&self, scope: &Scope<'_>) -> Result<DeliveryUrl, CompositionError> {
        let mut output = Output::new(URL_BYTES_MAX, CompositionError::Url(InvalidUrl::TooLong));
        self.template.render(scope, Encoding::Percent, &mut output)?;
        let text = output.into_text();
        if dot_segments(&text) != self.dot_segments {
            return Err(CompositionError::UrlDotSegment);
        }
        let url = DeliveryUrl::parse(&text).map_err(CompositionError::Url)?;
        let origin = url.origin();
        if !self.origins.contains(&origin) {
            return Err(CompositionError::OriginNotAllowed { origin: origin.to_string() });
        }
        Ok(url)
    }
}

fn read_origins(texts: &[String]) -> Result<Vec<Origin>, InvalidComposition> {
    if texts.len() > ORIGINS_MAX {
        return Err(InvalidComposition::of(Part::Whole, CompositionFault::TooManyOrigins));
    }
    let read = |(index, text): (usize, &String)| {
        let refused = || InvalidComposition::of(Part::AllowedOrigin(index), CompositionFault::Origin);
        let url = DeliveryUrl::parse(text).map_err(|_| refused())?;
        let bare = url.as_url().path() == "/" && url.as_url().query().is_none();
        if bare { Ok(url.origin()) } else { Err(refused()) }
    };
    texts.iter().enumerate().map(read).collect()
}

/// The URL with a letter for each variable. After the host, its origin is that of the URL with any values.
fn specimen(template: &TextTemplate) -> String {
    let text = |piece: &Piece| match piece {
        Piece::Literal(text) => text.to_string(),
        Piece::Variable(_) => "x".to_owned(),
    };
    template.pieces().iter().map(text).collect()
}

/// Where the first variable stands, if scheme, host or port could depend on it.
fn host_variable(template: &TextTemplate) -> Option<usize> {
    let (before, has_variables) = before_variables(template);
    (has_variables && authority_end(before).is_none()).then_some(before.len())
}

/// The text before the first variable, and whether there is one.
fn before_variables(template: &TextTemplate) -> (&str, bool) {
    match template.pieces() {
        [Piece::Literal(text), rest @ ..] => (text, !rest.is_empty()),
        pieces => ("", !pieces.is_empty()),
    }
}

/// Where what follows the host and port begins. A parser of http URLs skips any number of slashes before the host,
/// and takes a backslash for a slash (WHATWG URL, "special authority ignore slashes state").
fn authority_end(url: &str) -> Option<usize> {
    let host = url.find(':')? + 1;
    let host = host + url[host..].find(|character| !is_slash(character))?;
    let end = url[host..].find(|character| is_slash(character) || character == '?')?;
    Some(host + end)
}

/// Segments `.` and `..` of the path, in each spelling that a URL parser knows.
fn dot_segments(url: &str) -> usize {
    let Some(path) = authority_end(url) else { return 0 };
    let path = url[path..].split('?').next().unwrap_or_default();
    let is_dots = |segment: &&str| {
        // Percent-encoded, the longer of them has six bytes.
        segment.len() <= 6 && matches!(segment.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..")
    };
    path.split(is_slash).filter(is_dots).count()
}

fn is_slash(character: char) -> bool {
    matches!(character, '/' | '\\')
}
