//! Compose webhooks: requests that an operator writes, with variables that each event fills in.
//!
//! A [`RawComposition`] is what the operator wrote; [`Composition::parse`] checks it once, and [`Composition::render`]
//! makes a [`PreparedRequest`] of it for one event. The source of the rules is the WhatsApp document, section "Compose
//! Webhook"; what that leaves open is stated here.
//!
//! # Variables
//! `@{{payload.status}}`, or with blanks inside the braces, stands in the URL, in values of headers, in strings of a JSON
//! body and in values of a form. Keys of JSON objects, names of headers and names of fields are taken as they are, with
//! whatever braces they have. There is no escape: text with `@{{` is a variable.
//!
//! A path is keys with full stops between them; a number is an index where the value is an array
//! (`payload.channels.0.name`). Keys are letters, digits, `_`, `-`, `:` and `$`; others can't be named. Its value is the
//! first that is there of
//! 1. what the path leads to from the root of the event,
//! 2. what it leads to from the event's `payload`, so that `@{{status}}` is the notification's status,
//! 3. for `mobile` and `payload.mobile`, which the document's examples use and its table lacks: what `to` and
//!    `payload.to` lead to by 1 and 2.
//!
//! Which variables may be used at all: [`Composition::parse`].
//!
//! # Values
//! - A string of the JSON body that is a variable and nothing else becomes the value itself: a number stays a number.
//! - Elsewhere a value is text: a string without quotes, anything else, null included, as compact JSON.
//! - JSON stays as the event has it, or the operator wrote it, but for the blanks between values: numbers keep their
//!   digits, strings their escapes.
//! - In the URL that text is percent-encoded, all but the unreserved characters.
//! - A value that the event does not have is treated by the [`MissingRule`].
//!
//! # Who is who
//! - `template` reads and renders a text with variables, `variable` knows where a path leads and what it may be.
//! - `url`, `headers`, `json` and `form` are the parts of a request, each read into templates and rendered from them.
//! - `output` is what all of them write to. It refuses to grow beyond its limit, so a value of a megabyte that a
//!   template repeats takes no more memory than the limit.

mod error;
mod form;
mod headers;
mod json;
mod output;
mod template;
#[cfg(test)]
mod tests;
mod url;
mod variable;

use std::fmt;
use std::sync::Arc;

pub use self::error::{CompositionError, CompositionFault, InvalidComposition, Part};
use self::form::FormTemplate;
use self::headers::HeaderTemplates;
pub use self::json::JsonBody;
use self::json::JsonTemplate;
use self::output::Output;
use self::template::{Reader, Scope};
use self::url::UrlTemplate;
pub use self::variable::DOCUMENTED_VARIABLES;
use self::variable::Vocabulary;
use crate::address::{DeliveryUrl, Origin};
use crate::json::{Document, Node};
use crate::limits::{NAME_CHARS_MAX, TRANSFORM_OUTPUT_BYTES_MAX};
use crate::request::{PreparedRequest, RequestBody};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method};

/// Bytes of a composition's URL, headers and body together; of a JSON body, in compact JSON.
pub const TEMPLATE_BYTES_MAX: usize = 64 << 10;
/// Variables of a composition.
pub const VARIABLES_MAX: usize = 256;
/// Segments of a variable's path.
pub const PATH_SEGMENTS_MAX: usize = 16;
/// Bytes of a variable's path.
pub const PATH_BYTES_MAX: usize = 256;
/// Nested arrays and objects of a JSON body, as it is written.
pub const JSON_DEPTH_MAX: usize = 32;
/// Fields of a form.
pub const FORM_FIELDS_MAX: usize = 256;
/// Origins that a composition may list.
pub const ORIGINS_MAX: usize = 16;

/// A composition as the operator wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawComposition {
    /// The identification name, for people: 1 to [`NAME_CHARS_MAX`] characters.
    pub name: String,
    /// `GET`, `POST` or `PUT`.
    pub method: Method,
    /// The callback URL. White space around it does not count.
    pub url: String,
    /// Names and values, which win over the endpoint's own and over the body's content type.
    pub headers: Vec<(String, String)>,
    /// What to send.
    pub body: RawBody,
    /// What becomes of a value that an event does not have.
    pub missing: MissingRule,
    /// Origins, such as `https://example.com`, that requests may go to. Only where some are listed may variables stand
    /// in the URL's scheme, host or port.
    pub allowed_origins: Vec<String>,
}

/// A body as the operator wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum RawBody {
    /// An empty one, which is the only one for a `GET`.
    #[default]
    None,
    /// JSON.
    Json(JsonBody),
    /// A form.
    Form {
        /// Names and values, in the order in which they are sent; a name may occur more than once.
        fields: Vec<(String, String)>,
        /// How they are written.
        encoding: FormEncoding,
    },
}

/// How a form is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FormEncoding {
    /// `application/x-www-form-urlencoded`.
    UrlEncoded,
    /// `multipart/form-data`. Its boundary depends on nothing but its content.
    Multipart,
}

/// What becomes of a value that an event does not have. One that is there and null is not missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MissingRule {
    /// A variable that is all of a JSON string becomes null; elsewhere it is no text at all.
    #[default]
    Empty,
    /// The member, item, field or header whose text has the variable is left out. The URL, and a JSON
    /// body that is a single string, can't be left out: for these the rule is [`Empty`](Self::Empty).
    Omit,
    /// No request is made.
    Fail,
}

/// A checked composition. Cheap to clone.
#[derive(Clone)]
pub struct Composition(Arc<Parsed>);

struct Parsed {
    raw: RawComposition,
    text_bytes: usize,
    url: UrlTemplate,
    headers: HeaderTemplates,
    body: BodyTemplate,
}

enum BodyTemplate {
    None,
    Json(JsonTemplate),
    Form(FormTemplate),
}

impl Composition {
    /// Checks a composition that an operator saves.
    ///
    /// With a sample event, a variable must have a value in it or be one of [`DOCUMENTED_VARIABLES`], alone or below
    /// `payload`, or `mobile` likewise. Without one, `event`, `payload` and any path of two and more segments are taken
    /// too, since only events tell which of these there are.
    ///
    /// # Errors
    /// The first rule that it breaks, with the place.
    pub fn parse(raw: RawComposition, sample: Option<&Document>) -> Result<Self, InvalidComposition> {
        let sample = sample.map(Document::root);
        Self::read(raw, sample.map_or(Vocabulary::Documented, Vocabulary::Sample))
    }

    /// Reads a composition that [`parse`](Self::parse) took when it was saved, whatever sample it was shown.
    ///
    /// # Errors
    /// As `parse`, but for unknown variables.
    pub fn restore(raw: RawComposition) -> Result<Self, InvalidComposition> {
        Self::read(raw, Vocabulary::Any)
    }

    fn read(raw: RawComposition, vocabulary: Vocabulary<'_>) -> Result<Self, InvalidComposition> {
        check_name(&raw.name)?;
        check_method(&raw)?;
        let text_bytes = check_text(&raw)?;
        let mut reader = Reader::new(vocabulary);
        let url = UrlTemplate::read(&mut reader, &raw.url, &raw.allowed_origins)?;
        let headers = HeaderTemplates::read(&mut reader, &raw.headers)?;
        let body = match &raw.body {
            RawBody::None => BodyTemplate::None,
            RawBody::Json(body) => BodyTemplate::Json(JsonTemplate::read(&mut reader, body)?),
            RawBody::Form { encoding: FormEncoding::Multipart, .. } if headers.have_content_type() => {
                let part = Part::Header(CONTENT_TYPE.to_string());
                return Err(InvalidComposition::of(part, CompositionFault::MultipartContentType));
            }
            RawBody::Form { fields, encoding } => {
                BodyTemplate::Form(FormTemplate::read(&mut reader, fields, *encoding)?)
            }
        };
        Ok(Self(Arc::new(Parsed { raw, text_bytes, url, headers, body })))
    }

    /// What the operator wrote.
    #[must_use]
    pub fn raw(&self) -> &RawComposition {
        &self.0.raw
    }

    /// Bytes of its text.
    #[must_use]
    pub fn text_bytes(&self) -> usize {
        self.0.text_bytes
    }

    /// Where requests may go: the origin of the URL, or those that are allowed.
    #[must_use]
    pub fn origins(&self) -> &[Origin] {
        self.0.url.origins()
    }

    /// The URL up to its query and its first variable: as much of it as holds for every event.
    #[must_use]
    pub fn base_url(&self) -> DeliveryUrl {
        self.0.url.base()
    }

    /// The request that an event with this body becomes.
    ///
    /// # Errors
    /// When the body is not JSON, and as [`render`](Self::render).
    pub fn render_body(&self, body: &Bytes) -> Result<PreparedRequest, CompositionError> {
        let event = Document::parse(body.clone())
            .map_err(|error| CompositionError::EventNotJson { detail: error.to_string() })?;
        self.render(event.root())
    }

    /// The request that an event becomes. The same event always becomes the same request.
    ///
    /// # Errors
    /// When a value is missing and the rule is to fail, when URL, headers or body would pass their limits, or when a
    /// value would lead the request elsewhere or add a header.
    pub fn render(&self, event: Node<'_>) -> Result<PreparedRequest, CompositionError> {
        let Parsed { raw, url, headers, body, .. } = &*self.0;
        let scope = Scope { event, missing: raw.missing };
        let url = url.render(&scope)?;
        let mut headers = headers.render(&scope)?;
        let (body, content_type) = body.render(&scope)?;
        // What the operator wrote may be a token.
        headers.values_mut().for_each(|value| value.set_sensitive(true));
        if let Some(content_type) = content_type {
            headers.entry(CONTENT_TYPE).or_insert(content_type);
        }
        Ok(PreparedRequest {
            method: raw.method.clone(),
            url,
            made_for: Some(self.base_url()),
            headers,
            secret_headers: Vec::new(),
            body: RequestBody::Replaced(body),
            part: None,
        })
    }
}

impl MissingRule {
    /// Every rule.
    pub const ALL: [Self; 3] = [Self::Empty, Self::Omit, Self::Fail];

    /// The stable code that the store and the API show.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Omit => "omit",
            Self::Fail => "fail",
        }
    }

    /// The rule whose [`code`](Self::code) this is.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|rule| rule.code() == code)
    }
}

impl BodyTemplate {
    fn render(&self, scope: &Scope<'_>) -> Result<(Bytes, Option<HeaderValue>), CompositionError> {
        let mut output = Output::new(TRANSFORM_OUTPUT_BYTES_MAX, CompositionError::BodyTooLarge);
        let content_type = match self {
            Self::None => None,
            Self::Json(template) => {
                template.render(scope, &mut output)?;
                Some(HeaderValue::from_static("application/json"))
            }
            Self::Form(template) => Some(template.render(scope, &mut output)?),
        };
        Ok((output.into_text().into(), content_type))
    }
}

impl PartialEq for Composition {
    /// What was read is the same where what was written is.
    fn eq(&self, other: &Self) -> bool {
        self.raw() == other.raw()
    }
}

impl Eq for Composition {}

impl fmt::Debug for Composition {
    /// Without the headers, which may hold a token.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Composition({:?})", self.0.raw.name)
    }
}

fn check_name(name: &str) -> Result<(), InvalidComposition> {
    // A character has up to four bytes: a giant name is not counted through.
    let fits = name.len() <= 4 * NAME_CHARS_MAX && (1..=NAME_CHARS_MAX).contains(&name.chars().count());
    let valid = fits && !name.chars().any(char::is_control);
    if valid { Ok(()) } else { Err(InvalidComposition::of(Part::Name, CompositionFault::Name)) }
}

fn check_method(raw: &RawComposition) -> Result<(), InvalidComposition> {
    if ![Method::GET, Method::POST, Method::PUT].contains(&raw.method) {
        let method = raw.method.to_string();
        return Err(InvalidComposition::of(Part::Method, CompositionFault::Method { method }));
    }
    if raw.method == Method::GET && raw.body != RawBody::None {
        let body = Part::Body { pointer: String::new() };
        return Err(InvalidComposition::of(body, CompositionFault::BodyOfGet));
    }
    Ok(())
}

/// Bounds the text before any of it is read.
fn check_text(raw: &RawComposition) -> Result<usize, InvalidComposition> {
    let bytes = text_bytes(raw)
        .map_err(|fault| InvalidComposition::of(Part::Body { pointer: String::new() }, fault))?;
    if bytes <= TEMPLATE_BYTES_MAX {
        Ok(bytes)
    } else {
        Err(InvalidComposition::of(Part::Whole, CompositionFault::TextTooLong))
    }
}

fn text_bytes(raw: &RawComposition) -> Result<usize, CompositionFault> {
    let pairs = |pairs: &[(String, String)]| -> usize {
        pairs.iter().map(|(name, value)| name.len() + value.len()).sum()
    };
    let body_bytes = match &raw.body {
        RawBody::None => 0,
        RawBody::Json(body) => json::text_bytes(body)?,
        RawBody::Form { fields, .. } => pairs(fields),
    };
    Ok(raw.url.len() + pairs(&raw.headers) + body_bytes)
}
