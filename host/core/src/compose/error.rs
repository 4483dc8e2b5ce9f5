//! Why a composition is refused, and why one can't be rendered for an event.

use std::fmt;

use thiserror::Error;

use super::{
    FORM_FIELDS_MAX, JSON_DEPTH_MAX, ORIGINS_MAX, PATH_BYTES_MAX, PATH_SEGMENTS_MAX, TEMPLATE_BYTES_MAX,
    VARIABLES_MAX,
};
use crate::address::InvalidUrl;
use crate::limits::{
    CUSTOM_HEADER_BYTES_MAX, CUSTOM_HEADERS_MAX, NAME_CHARS_MAX, TRANSFORM_OUTPUT_BYTES_MAX,
};

/// Characters of foreign text that a message shows.
const CHARS_SHOWN: usize = 64;

/// A composition that is refused when it is saved.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{part}{}: {fault}", at_byte(*.offset))]
pub struct InvalidComposition {
    /// Which part of it.
    pub part: Part,
    /// Where in that part's text, in bytes from 0, if at one place.
    pub offset: Option<usize>,
    /// The rule that is broken there.
    pub fault: CompositionFault,
}

/// A part of a composition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    Whole,
    /// Its name.
    Name,
    /// The method.
    Method,
    /// The callback URL.
    Url,
    /// All headers together.
    Headers,
    /// The value of one header.
    Header(String),
    /// The body, or the place of a JSON body that a JSON pointer (RFC 6901) names.
    Body {
        /// Empty for the body as a whole.
        pointer: String,
    },
    /// The value of a field of the form.
    Field(String),
    /// One of the allowed origins, counted from 0.
    AllowedOrigin(usize),
}

/// The rule that a composition breaks.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CompositionFault {
    /// The name is empty, too long or not printable.
    #[error("a name has 1 to {NAME_CHARS_MAX} characters, none of them a control character")]
    Name,
    /// Another method.
    #[error("`{}` is no method of a compose webhook: there are GET, POST and PUT", shown(.method))]
    Method {
        /// What was given.
        method: String,
    },
    /// A body where the method has none.
    #[error("a GET has no body: leave it out, or choose POST or PUT")]
    BodyOfGet,
    /// Too much text.
    #[error("URL, headers and body have at most {TEMPLATE_BYTES_MAX} bytes together")]
    TextTooLong,
    /// Too many variables.
    #[error("URL, headers and body have at most {VARIABLES_MAX} variables together")]
    TooManyVariables,
    /// The JSON body is nested too deeply.
    #[error("nested deeper than {JSON_DEPTH_MAX} levels")]
    TooDeep,
    /// The form has too many fields.
    #[error("a form has at most {FORM_FIELDS_MAX} fields")]
    TooManyFields,
    /// A variable without its end.
    #[error("`@{{{{` opens a variable that no `}}}}` closes")]
    Unclosed,
    /// A variable in a variable.
    #[error("`@{{{{` stands inside a variable: close that with `}}}}` first")]
    Nested,
    /// A variable without a path.
    #[error("the variable is empty: name one, such as `@{{{{status}}}}`")]
    EmptyVariable,
    /// A path that is too long.
    #[error("a variable's path has at most {PATH_SEGMENTS_MAX} segments and {PATH_BYTES_MAX} bytes")]
    PathTooLong,
    /// Two full stops in a row, or one at an end.
    #[error("a segment of the variable's path is empty: write it as in `recipient.user.id`")]
    EmptySegment,
    /// A character that a path can't have.
    #[error(
        "{character:?} can't stand in a variable's path: it has letters, digits, `_`, `-`, `:` and `$`, and a full stop \
         between its segments"
    )]
    PathCharacter {
        /// Which.
        character: char,
    },
    /// A variable that no event is known to have.
    #[error("unknown variable `{}`{}", shown(.variable), suggestion(.nearest.as_deref()))]
    UnknownVariable {
        /// Its path.
        variable: String,
        /// A known one that is spelled much like it.
        nearest: Option<String>,
    },
    /// A variable decides which server gets the request.
    #[error(
        "scheme, host and port must not come from a variable: write them out, or list the origins that are allowed"
    )]
    HostVariable,
    /// A control character in the URL's own text.
    #[error("a URL can't have the control character {character:?}")]
    UrlCharacter {
        /// Which.
        character: char,
    },
    /// A fragment in the URL.
    #[error("what follows `#` is never sent: write `%23` for the character itself")]
    Fragment,
    /// The URL is none that can be delivered to.
    #[error(transparent)]
    Url(InvalidUrl),
    /// The URL's own origin is not among those allowed.
    #[error("the origin `{}` is not one of the allowed origins", shown(.origin))]
    OriginNotAllowed {
        /// Which it is.
        origin: String,
    },
    /// An allowed origin that is none.
    #[error("an allowed origin is a scheme, a host and perhaps a port, such as https://example.com")]
    Origin,
    /// Too many allowed origins.
    #[error("at most {ORIGINS_MAX} origins may be allowed")]
    TooManyOrigins,
    /// Not a header name of HTTP.
    #[error("not a header name")]
    HeaderName,
    /// A control character in a header's own text.
    #[error("a header's value can't have a control character")]
    HeaderValue,
    /// The router sets the header itself, or it would reach a metadata service.
    #[error("the header is reserved")]
    HeaderReserved,
    /// Too many or too large.
    #[error("at most {CUSTOM_HEADERS_MAX} headers and {CUSTOM_HEADER_BYTES_MAX} bytes of them")]
    TooManyHeaders,
    /// A content type beside a multipart body.
    #[error("the content type of a multipart form names its boundary, which the router makes: leave it out")]
    MultipartContentType,
}

/// Why a composition makes no request of an event.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CompositionError {
    /// The event's body is something else, or nested too deeply to be read.
    #[error(
        "the event's body can't be read as JSON, which a composed request takes its values from: {detail}"
    )]
    EventNotJson {
        /// What stopped the reader.
        detail: String,
    },
    /// The event lacks a value, and the rule is to fail then.
    #[error("the event has no `{}`, which the composed request needs", shown(.variable))]
    ValueMissing {
        /// The variable's path.
        variable: String,
    },
    /// The URL is none that can be delivered to.
    #[error(transparent)]
    Url(InvalidUrl),
    /// A value would climb in the URL's path.
    #[error("a value makes a segment of the URL's path `.` or `..`, which leads to another path")]
    UrlDotSegment,
    /// The URL leads to a server that is not allowed.
    #[error("the origin `{}` is not one of the allowed origins", shown(.origin))]
    OriginNotAllowed {
        /// Which it is.
        origin: String,
    },
    /// A value has what a header can't.
    #[error("a value puts a control character into header `{}`, which can't hold it", shown(.header))]
    HeaderValue {
        /// Which header.
        header: String,
    },
    /// The values are too long for headers.
    #[error("the headers have more than {CUSTOM_HEADER_BYTES_MAX} bytes with this event's values")]
    HeadersTooLarge,
    /// The values are too long for a body.
    #[error("the body has more than {TRANSFORM_OUTPUT_BYTES_MAX} bytes with this event's values")]
    BodyTooLarge,
}

impl InvalidComposition {
    /// An error that is not at one place of the part's text.
    pub(super) fn of(part: Part, fault: CompositionFault) -> Self {
        Self { part, offset: None, fault }
    }

    /// The code that stays the same over versions.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match &self.fault {
            CompositionFault::Name => "compose_name_invalid",
            CompositionFault::Method { .. } => "compose_method_unknown",
            CompositionFault::BodyOfGet => "compose_get_body",
            CompositionFault::TextTooLong => "compose_text_too_long",
            CompositionFault::TooManyVariables => "compose_too_many_variables",
            CompositionFault::TooDeep => "compose_json_too_deep",
            CompositionFault::TooManyFields => "compose_too_many_fields",
            CompositionFault::Unclosed => "compose_variable_unclosed",
            CompositionFault::Nested => "compose_variable_nested",
            CompositionFault::EmptyVariable => "compose_variable_empty",
            CompositionFault::PathTooLong => "compose_path_too_long",
            CompositionFault::EmptySegment => "compose_path_segment_empty",
            CompositionFault::PathCharacter { .. } => "compose_path_character",
            CompositionFault::UnknownVariable { .. } => "compose_variable_unknown",
            CompositionFault::HostVariable => "compose_host_variable",
            CompositionFault::UrlCharacter { .. } => "compose_url_character",
            CompositionFault::Fragment => "compose_url_fragment",
            CompositionFault::Url(error) => error.code(),
            CompositionFault::OriginNotAllowed { .. } => "compose_origin_not_allowed",
            CompositionFault::Origin => "compose_origin_invalid",
            CompositionFault::TooManyOrigins => "compose_too_many_origins",
            CompositionFault::HeaderName => "compose_header_name_invalid",
            CompositionFault::HeaderValue => "compose_header_value_invalid",
            CompositionFault::HeaderReserved => "compose_header_reserved",
            CompositionFault::TooManyHeaders => "compose_too_many_headers",
            CompositionFault::MultipartContentType => "compose_multipart_content_type",
        }
    }
}

impl CompositionError {
    /// The code that stays the same over versions.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::EventNotJson { .. } => "compose_event_not_json",
            Self::ValueMissing { .. } => "compose_value_missing",
            Self::Url(error) => error.code(),
            Self::UrlDotSegment => "compose_url_dot_segment",
            Self::OriginNotAllowed { .. } => "compose_origin_not_allowed",
            Self::HeaderValue { .. } => "compose_header_value_invalid",
            Self::HeadersTooLarge => "compose_headers_too_large",
            Self::BodyTooLarge => "compose_body_too_large",
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole => formatter.write_str("compose webhook"),
            Self::Name => formatter.write_str("name"),
            Self::Method => formatter.write_str("method"),
            Self::Url => formatter.write_str("url"),
            Self::Headers => formatter.write_str("headers"),
            Self::Header(name) => write!(formatter, "header `{}`", shown(name)),
            Self::Body { pointer } if pointer.is_empty() => formatter.write_str("body"),
            Self::Body { pointer } => write!(formatter, "body at `{}`", shown(pointer)),
            Self::Field(name) => write!(formatter, "field `{}`", shown(name)),
            Self::AllowedOrigin(index) => write!(formatter, "allowed origin {index}"),
        }
    }
}

/// Keeps hostile text from filling a message or breaking its line.
fn shown(text: &str) -> String {
    let visible = |character: char| if character.is_control() { '\u{fffd}' } else { character };
    text.chars().take(CHARS_SHOWN).map(visible).collect()
}

fn at_byte(offset: Option<usize>) -> String {
    offset.map_or_else(String::new, |offset| format!(" at byte {offset}"))
}

fn suggestion(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |nearest| format!("; is `{}` meant?", shown(nearest)))
}
