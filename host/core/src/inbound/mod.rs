//! Who really sent a request: the signatures of providers, verified by the host.
//!
//! Dramatis personae: a [`SignedRequest`] is what came in, as far as signatures cover it. A [`Verifier`] knows how one
//! provider signs; most are one HMAC over a text made of the request's parts and differ in data only, so they are
//! [`HmacScheme`]s, and so is whatever a user describes. Stripe, Twilio, Mailgun and Standard Webhooks have a form of
//! their own. [`verify`] tries every active secret, so a rotation has no gap, and says no with a [`Refusal`], which
//! has a stable code and nothing of the secret or of the signature that was expected.
//!
//! Beside it: [`handshake`](mod@handshake) answers a provider that asks whether anybody is there, and [`Dedupe`] names what makes a
//! request a repeat of an earlier one, which together with the replay window is what is known against replays.

mod dedupe;
mod form;
pub mod handshake;
mod hmac;
mod mailgun;
mod pointer;
mod request;
mod stripe;
mod template;
#[cfg(test)]
mod tests;
mod twilio;

use std::time::Duration;

use http::HeaderName;
use thiserror::Error;

pub use dedupe::Dedupe;
pub use hmac::{Algorithm, Encoding, HmacScheme, InvalidScheme, RawHmacScheme, TimestampUnit};
pub use pointer::{InvalidPointer, JsonPointer};
pub use request::SignedRequest;
pub use template::{InvalidTemplate, TEMPLATE_BYTES_MAX, Template};

use crate::plugin::Secret;
use crate::signature::{self, InvalidSigningKey, SignedMessage, VerificationError, VerifyingKey};
use crate::time::UnixMillis;

/// The header families that Standard Webhooks senders use: the standard's own, and Svix's.
const STANDARD_PREFIXES: [&str; 2] = ["webhook", "svix"];

/// How a provider signs what it sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verifier {
    /// `X-Hub-Signature-256` over the body.
    GitHub,
    /// `Stripe-Signature` over time and body.
    Stripe,
    /// `X-Slack-Signature` over time and body, with the `url_verification` handshake.
    Slack,
    /// `X-Twilio-Signature` over the public address and the form's fields, or the body's hash.
    Twilio,
    /// `X-Shopify-Hmac-SHA256` over the body.
    Shopify,
    /// A signature *in* the body, over time and a token. The rest of the body is not covered.
    Mailgun,
    /// Standard Webhooks 1.0.0, `v1` and `v1a`, by its own headers or by Svix's.
    StandardWebhooks,
    /// An HMAC that the user describes.
    Hmac(Box<HmacScheme>),
}

/// Why a request is not to be trusted. Nothing of a secret or of an expected signature is in here.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// Not signed at all.
    #[error("the request has no signature: this source wants one in {place}")]
    SignatureMissing {
        /// Where it was looked for.
        place: String,
    },
    /// Signed in another form.
    #[error("the signature in {place} does not have the form that this source wants")]
    SignatureMalformed {
        /// Where it stands.
        place: String,
    },
    /// No active secret made the signature.
    #[error(
        "the signature is by no secret of this source over this request: check the secret and the address"
    )]
    SignatureMismatch,
    /// A part that the signature covers is not there.
    #[error("the request has no {place}, which this source's signature covers")]
    PartMissing {
        /// Where it was looked for.
        place: String,
    },
    /// The body is not what the signature covers.
    #[error(
        "the body is not covered by the signature: it needs a form or a `bodySHA256` parameter that fits it"
    )]
    BodyNotSigned,
    /// Meta's handshake, by somebody who does not know the token.
    #[error("`hub.verify_token` is not the `verifyToken` of this source: set both to the same text")]
    VerifyTokenMismatch,
    /// The time is not a number.
    #[error("the timestamp is not a whole number since 1970")]
    TimestampInvalid,
    /// Signed too long ago, or in the future: perhaps replayed.
    #[error("the request was signed {away:?} away from now, more than {tolerance:?}: check the clocks")]
    TimestampOutsideWindow {
        /// How far from now.
        away: Duration,
        /// What is accepted, both ways.
        tolerance: Duration,
    },
}

impl Refusal {
    /// The stable code that callers and logs see.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::SignatureMissing { .. } => "signature_missing",
            Self::SignatureMalformed { .. } => "signature_malformed",
            Self::SignatureMismatch => "signature_mismatch",
            Self::PartMissing { .. } => "signature_part_missing",
            Self::BodyNotSigned => "body_not_signed",
            Self::VerifyTokenMismatch => "verify_token_mismatch",
            Self::TimestampInvalid => "timestamp_invalid",
            Self::TimestampOutsideWindow { .. } => "timestamp_outside_window",
        }
    }

    fn missing(place: impl Into<String>) -> Self {
        Self::SignatureMissing { place: place.into() }
    }

    fn malformed(place: impl Into<String>) -> Self {
        Self::SignatureMalformed { place: place.into() }
    }
}

impl From<VerificationError> for Refusal {
    fn from(error: VerificationError) -> Self {
        match error {
            VerificationError::Timestamp => Self::TimestampInvalid,
            VerificationError::TooOld { age: away, tolerance }
            | VerificationError::TooNew { ahead: away, tolerance } => {
                Self::TimestampOutsideWindow { away, tolerance }
            }
            VerificationError::NoMatch => Self::SignatureMismatch,
        }
    }
}

impl Verifier {
    /// Those that a name is enough for.
    pub const PROVIDERS: [Self; 7] = [
        Self::GitHub,
        Self::Stripe,
        Self::Slack,
        Self::Twilio,
        Self::Shopify,
        Self::Mailgun,
        Self::StandardWebhooks,
    ];

    /// The stable name that the store and the API show.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::GitHub => "github",
            Self::Stripe => "stripe",
            Self::Slack => "slack",
            Self::Twilio => "twilio",
            Self::Shopify => "shopify",
            Self::Mailgun => "mailgun",
            Self::StandardWebhooks => "standard_webhooks",
            Self::Hmac(_) => "hmac",
        }
    }

    /// The provider whose [`code`](Self::code) this is.
    #[must_use]
    pub fn of_provider(code: &str) -> Option<Self> {
        Self::PROVIDERS.into_iter().find(|verifier| verifier.code() == code)
    }

    /// Whether the signature covers the address, so that the source must know what the provider calls it.
    #[must_use]
    pub fn covers_url(&self) -> bool {
        match self {
            Self::Twilio => true,
            Self::Hmac(scheme) => scheme.covers_url(),
            Self::GitHub
            | Self::Stripe
            | Self::Slack
            | Self::Shopify
            | Self::Mailgun
            | Self::StandardWebhooks => false,
        }
    }

    /// Whether the signature covers the body. Where it does not, one signature must not be taken for two bodies.
    #[must_use]
    pub fn covers_body(&self) -> bool {
        *self != Self::Mailgun
    }

    /// Checks that a secret is one of this provider's.
    ///
    /// # Errors
    /// A secret of Standard Webhooks that is no `whsec_` or `whpk_` key. All others take any text.
    pub fn check_secret(&self, secret: &Secret) -> Result<(), InvalidSigningKey> {
        match self {
            Self::StandardWebhooks => standard_key(secret).map(drop),
            Self::GitHub
            | Self::Stripe
            | Self::Slack
            | Self::Twilio
            | Self::Shopify
            | Self::Mailgun
            | Self::Hmac(_) => Ok(()),
        }
    }
}

/// Accepts a request that one of `secrets` signed, where the provider signs a time at most `tolerance` before or
/// after `now`. All secrets are tried, and all compare in constant time.
///
/// # Errors
/// When the request is not to be trusted.
pub fn verify(
    verifier: &Verifier,
    secrets: &[&Secret],
    request: &SignedRequest<'_>,
    now: UnixMillis,
    tolerance: Duration,
) -> Result<(), Refusal> {
    match verifier {
        Verifier::GitHub => hmac::GITHUB.verify(secrets, request, now, tolerance),
        Verifier::Slack => hmac::SLACK.verify(secrets, request, now, tolerance),
        Verifier::Shopify => hmac::SHOPIFY.verify(secrets, request, now, tolerance),
        Verifier::Hmac(scheme) => scheme.verify(secrets, request, now, tolerance),
        Verifier::Stripe => stripe::verify(secrets, request, now, tolerance),
        Verifier::Twilio => twilio::verify(secrets, request),
        Verifier::Mailgun => mailgun::verify(secrets, request, now, tolerance),
        Verifier::StandardWebhooks => verify_standard(secrets, request, now, tolerance),
    }
}

fn verify_standard(
    secrets: &[&Secret],
    request: &SignedRequest<'_>,
    now: UnixMillis,
    tolerance: Duration,
) -> Result<(), Refusal> {
    let Some([id, timestamp, signatures]) = standard_headers(request) else {
        let named = |prefix| format!("`{prefix}-signature`");
        return Err(Refusal::missing(STANDARD_PREFIXES.map(named).join(" or ")));
    };
    // A full stop in the id would make the signed text ambiguous.
    if id.contains('.') {
        return Err(Refusal::SignatureMismatch);
    }
    let keys: Vec<VerifyingKey> = secrets.iter().filter_map(|secret| standard_key(secret).ok()).collect();
    let message = SignedMessage { id, timestamp, signatures, body: request.body };
    Ok(signature::verify(&keys, &message, now, tolerance)?)
}

/// Id, timestamp and signatures, from the first family of headers that is complete.
fn standard_headers<'a>(request: &SignedRequest<'a>) -> Option<[&'a str; 3]> {
    STANDARD_PREFIXES.into_iter().find_map(|prefix| {
        let header = |part: &str| request.header(&format!("{prefix}-{part}").parse::<HeaderName>().ok()?);
        Some([header("id")?, header("timestamp")?, header("signature")?])
    })
}

fn standard_key(secret: &Secret) -> Result<VerifyingKey, InvalidSigningKey> {
    VerifyingKey::parse(std::str::from_utf8(secret.expose()).map_err(|_| InvalidSigningKey::Encoding)?)
}
