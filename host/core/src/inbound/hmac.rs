//! One HMAC in one header, over a text made of the request's parts: what most providers do.

use std::sync::LazyLock;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_PAD_INDIFFERENT};
use http::HeaderName;
use subtle::{Choice, ConstantTimeEq};
use thiserror::Error;

use super::template::{Part, Parts, Template};
use super::{Refusal, SignedRequest};
use crate::plugin::Secret;
pub use crate::signature::mac::Algorithm;
use crate::signature::verification::{check_age, whole_number};
use crate::time::UnixMillis;

/// Bytes of what stands before a signature.
const PREFIX_BYTES_MAX: usize = 64;

/// Validating webhook deliveries, docs.github.com.
pub(super) static GITHUB: LazyLock<HmacScheme> =
    LazyLock::new(|| provider("x-hub-signature-256", Encoding::Hex, "sha256=", "{body}", None));
/// Verifying requests from Slack, docs.slack.dev.
pub(super) static SLACK: LazyLock<HmacScheme> = LazyLock::new(|| {
    let timestamp = Some("x-slack-request-timestamp");
    provider("x-slack-signature", Encoding::Hex, "v0=", "v0:{timestamp}:{body}", timestamp)
});
/// Verify a webhook delivery, shopify.dev.
pub(super) static SHOPIFY: LazyLock<HmacScheme> =
    LazyLock::new(|| provider("x-shopify-hmac-sha256", Encoding::Base64, "", "{body}", None));

/// One HMAC in one header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HmacScheme {
    header: HeaderName,
    algorithm: Algorithm,
    encoding: Encoding,
    prefix: Box<str>,
    input: Template,
    timestamp: Option<(HeaderName, TimestampUnit)>,
    id: Option<HeaderName>,
}

/// A scheme in the words of a user, and of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawHmacScheme {
    /// The header that has the signature.
    pub header: String,
    /// How it was made.
    pub algorithm: Algorithm,
    /// How it is written.
    pub encoding: Encoding,
    /// What stands before it, for example `sha256=`.
    pub prefix: String,
    /// What it covers, a [`Template`].
    pub input: String,
    /// The header that has the time, where the signature covers one, and how it is written.
    pub timestamp: Option<(String, TimestampUnit)>,
    /// The header that has the delivery's id, where the signature covers one.
    pub id_header: Option<String>,
}

/// How a signature is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Hexadecimal digits, in either case.
    Hex,
    /// Base64 with the alphabet of RFC 4648, section 4, padded or not.
    Base64,
}

/// What a timestamp counts since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimestampUnit {
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Milliseconds,
}

/// A scheme that would not protect anybody, or that no request could satisfy.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct InvalidScheme {
    /// The field of [`RawHmacScheme`] that is wrong.
    pub field: &'static str,
    /// Stable, for programs.
    pub code: &'static str,
    /// What is wrong and what to do; for people.
    pub message: String,
}

impl HmacScheme {
    /// Reads a scheme. Its input must cover the body, and the time and the id exactly where it names their headers.
    ///
    /// # Errors
    /// When it names what is no header or no part of a request, or leaves open what the signature should protect.
    pub fn parse(raw: &RawHmacScheme) -> Result<Self, InvalidScheme> {
        let input = Template::parse(&raw.input)
            .map_err(|error| invalid("input", "signature_input_invalid", error.to_string()))?;
        if raw.prefix.len() > PREFIX_BYTES_MAX || !raw.prefix.bytes().all(|byte| byte.is_ascii_graphic()) {
            let message = format!("a prefix has at most {PREFIX_BYTES_MAX} visible characters");
            return Err(invalid("prefix", "signature_prefix_invalid", message));
        }
        if !input.covers(Part::Body) {
            let message = "the signature must cover the body: put {body} into it";
            return Err(invalid("input", "body_not_signed", message));
        }
        if input.covers(Part::Timestamp) != raw.timestamp.is_some() {
            let message = "a timestamp needs both {timestamp} in the input and the header that has it";
            return Err(invalid("timestampHeader", "timestamp_not_signed", message));
        }
        if input.covers(Part::Id) != raw.id_header.is_some() {
            let message = "an id needs both {id} in the input and the header that has it";
            return Err(invalid("idHeader", "id_not_signed", message));
        }
        let timestamp = match &raw.timestamp {
            None => None,
            Some((name, unit)) => Some((header("timestampHeader", name)?, *unit)),
        };
        Ok(Self {
            header: header("header", &raw.header)?,
            algorithm: raw.algorithm,
            encoding: raw.encoding,
            prefix: raw.prefix.as_str().into(),
            input,
            timestamp,
            id: raw.id_header.as_deref().map(|name| header("idHeader", name)).transpose()?,
        })
    }

    /// The scheme that [`parse`](Self::parse) reads.
    #[must_use]
    pub fn raw(&self) -> RawHmacScheme {
        RawHmacScheme {
            header: self.header.to_string(),
            algorithm: self.algorithm,
            encoding: self.encoding,
            prefix: self.prefix.to_string(),
            input: self.input.source().to_owned(),
            timestamp: self.timestamp.as_ref().map(|(name, unit)| (name.to_string(), *unit)),
            id_header: self.id.as_ref().map(HeaderName::to_string),
        }
    }

    /// The header that has the signature.
    pub(super) fn header_name(&self) -> &HeaderName {
        &self.header
    }

    /// The header that has the delivery's id.
    pub(super) fn id_header(&self) -> Option<&HeaderName> {
        self.id.as_ref()
    }

    pub(super) fn covers_url(&self) -> bool {
        self.input.covers(Part::Url)
    }

    pub(super) fn verify(
        &self,
        secrets: &[&Secret],
        request: &SignedRequest<'_>,
        now: UnixMillis,
        tolerance: Duration,
    ) -> Result<(), Refusal> {
        let place = || format!("`{}`", self.header);
        let given = request.header(&self.header).ok_or_else(|| Refusal::missing(place()))?;
        let given = given.trim().strip_prefix(&*self.prefix);
        let given = given.and_then(|given| self.encoding.decode(given));
        let given = given.ok_or_else(|| Refusal::malformed(place()))?;
        let timestamp = match &self.timestamp {
            None => "",
            Some((name, unit)) => {
                let text = part(request, name)?;
                check_age(unit.whole_seconds(whole_number(text)?), now, tolerance)?;
                text
            }
        };
        let id = self.id.as_ref().map(|name| part(request, name)).transpose()?.unwrap_or_default();
        let (url, method) = (request.url, request.method.as_str());
        let signed = self.input.fill(&Parts { body: request.body, timestamp, id, url, method });
        self.algorithm.check(secrets, &signed, &[given])
    }
}

impl Algorithm {
    /// Whether any of the given signatures is by any of the secrets over this text. Takes the same time whichever.
    pub(super) fn check(
        self,
        secrets: &[&Secret],
        signed: &[&[u8]],
        given: &[Vec<u8>],
    ) -> Result<(), Refusal> {
        let mut matched = Choice::from(0);
        for secret in secrets {
            let expected = self.mac(secret.expose(), signed);
            for given in given {
                matched |= expected.ct_eq(given);
            }
        }
        if bool::from(matched) { Ok(()) } else { Err(Refusal::SignatureMismatch) }
    }

    #[cfg(test)]
    pub(super) fn sign(self, secret: &[u8], signed: &[&[u8]]) -> Vec<u8> {
        self.mac(secret, signed)
    }
}

impl Encoding {
    /// Every choice.
    pub const ALL: [Self; 2] = [Self::Hex, Self::Base64];

    /// The stable name that the store and the API show.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Hex => "hex",
            Self::Base64 => "base64",
        }
    }

    /// The choice whose [`code`](Self::code) this is.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|choice| choice.code() == code)
    }

    pub(super) fn decode(self, text: &str) -> Option<Vec<u8>> {
        match self {
            Self::Hex => hex::decode(text).ok(),
            Self::Base64 => STANDARD_PAD_INDIFFERENT.decode(text).ok(),
        }
    }

    /// Writes a signature.
    #[must_use]
    pub fn encode(self, signature: &[u8]) -> String {
        match self {
            Self::Hex => hex::encode(signature),
            Self::Base64 => STANDARD.encode(signature),
        }
    }
}

impl TimestampUnit {
    /// Every choice.
    pub const ALL: [Self; 2] = [Self::Seconds, Self::Milliseconds];

    /// The stable name that the store and the API show.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Seconds => "seconds",
            Self::Milliseconds => "milliseconds",
        }
    }

    /// The choice whose [`code`](Self::code) this is.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|choice| choice.code() == code)
    }

    fn whole_seconds(self, count: u64) -> u64 {
        match self {
            Self::Seconds => count,
            Self::Milliseconds => count / 1000,
        }
    }
}

/// A part of the request that the signature covers.
fn part<'a>(request: &SignedRequest<'a>, name: &HeaderName) -> Result<&'a str, Refusal> {
    request.header(name).ok_or_else(|| Refusal::PartMissing { place: format!("`{name}`") })
}

fn header(field: &'static str, name: &str) -> Result<HeaderName, InvalidScheme> {
    name.parse().map_err(|_| {
        invalid(field, "header_name_invalid", "this is no name of a header, such as `x-signature`")
    })
}

fn invalid(field: &'static str, code: &'static str, message: impl Into<String>) -> InvalidScheme {
    InvalidScheme { field, code, message: message.into() }
}

fn provider(
    header: &str,
    encoding: Encoding,
    prefix: &str,
    input: &str,
    timestamp: Option<&str>,
) -> HmacScheme {
    let raw = RawHmacScheme {
        header: header.to_owned(),
        algorithm: Algorithm::Sha256,
        encoding,
        prefix: prefix.to_owned(),
        input: input.to_owned(),
        timestamp: timestamp.map(|name| (name.to_owned(), TimestampUnit::Seconds)),
        id_header: None,
    };
    HmacScheme::parse(&raw).expect("a scheme of constants, which a test reads")
}
