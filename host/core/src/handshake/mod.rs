//! How an endpoint proves that it wants the events: the handshakes that verify it, and what their answers mean.
//!
//! Two ways to ask. A *challenge* is a signed delivery whose body is
//! `{"type": "webhook.verification", "challenge": "..."}`; the endpoint answers with the challenge, as the whole body or as
//! `{"challenge": "..."}`. The *CloudEvents* handshake ("HTTP 1.1 Web Hooks for Event Delivery" 1.0, section 4) is an
//! `OPTIONS` request that names the router and the rate at which it wants to send; the endpoint allows both in its
//! headers. Its asynchronous consent (`WebHook-Request-Callback`) is not offered: who may call back would be decided by a
//! URL alone, and a handshake can be repeated at any time.
//!
//! A [`Handshake`] makes the request ([`request`](Handshake::request)) and judges what came of it
//! ([`judge`](Handshake::judge)); it is sent once, by whoever holds the transport.

#[cfg(test)]
mod tests;

use std::str::FromStr;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::{HeaderName, HeaderValue, USER_AGENT};
use http::{HeaderMap, Method};
use serde_json::json;
use thiserror::Error;

use crate::attempt::{Failure, Outcome, TransportFailure};
use crate::diagnosis::{Diagnosis, Symptom, diagnose};
use crate::endpoint::Endpoint;
use crate::event::{Channels, ContentType, Event};
use crate::id::EventId;
use crate::json::Document;
use crate::plugin::BoundSecrets;
use crate::policy::{DeliveryPolicy, Rate};
use crate::request::{BuildError, OutgoingRequest, PreparedRequest, USER_AGENT_VALUE, build, check_url};
use crate::time::Moment;

/// Bytes of chance in a challenge.
pub const CHALLENGE_BYTES: usize = 32;
/// The rate that is asked for where the endpoint's terms have none, in requests a minute.
pub const REQUEST_RATE_DEFAULT: u64 = 120;
/// The period of the handshake's rates.
const MINUTE_SECS: u16 = 60;
/// The type of the event that carries a challenge.
const CHALLENGE_TYPE: &str = "webhook.verification";
/// Characters of a DNS name (RFC 1035, section 2.3.4, without the dots of the wire format).
const ORIGIN_CHARS_MAX: usize = 253;
const REQUEST_ORIGIN: HeaderName = HeaderName::from_static("webhook-request-origin");
const REQUEST_RATE: HeaderName = HeaderName::from_static("webhook-request-rate");
const ALLOWED_ORIGIN: HeaderName = HeaderName::from_static("webhook-allowed-origin");
const ALLOWED_RATE: HeaderName = HeaderName::from_static("webhook-allowed-rate");
/// What allows every origin, or every rate.
const ANY: &str = "*";

/// How an endpoint is verified. The [`code`](Self::code)s are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandshakeMethod {
    /// It echoes a challenge.
    Challenge,
    /// It allows the router's origin and rate.
    CloudEvents,
}

/// The name by which the router introduces itself: a DNS name of the operator's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestOrigin(Box<str>);

/// Text that is no [`RequestOrigin`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("an origin is a DNS name such as hooks.example.com, of at most {ORIGIN_CHARS_MAX} characters")]
pub struct InvalidOrigin;

/// One handshake: what is asked, and so what the answer must show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Handshake {
    /// The endpoint is to echo this.
    Challenge {
        /// The message that carries it.
        id: EventId,
        /// The challenge.
        challenge: String,
    },
    /// The endpoint is to allow this.
    CloudEvents {
        /// Who wants to send.
        origin: RequestOrigin,
        /// How much, in requests a minute.
        rate: u64,
    },
}

/// What an endpoint that passed its handshake agreed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Consent {
    /// No more than this, where it is less than the endpoint's terms have.
    pub rate: Option<Rate>,
}

/// Why a handshake was not passed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// No answer came.
    #[error("no answer: {0}")]
    NoAnswer(Failure),
    /// The answer is no success.
    #[error("the answer was {status}, and must be a success")]
    Status {
        /// What it was.
        status: u16,
    },
    /// The answer to a challenge is something else.
    #[error(
        "the answer's body is not the challenge: answer with it alone, or with {{\"challenge\": \"...\"}}"
    )]
    NotEchoed,
    /// The answer to `OPTIONS` allows no origin, or another.
    #[error("the answer does not allow the origin `{wanted}`: set WebHook-Allowed-Origin to it, or to *")]
    OriginNotAllowed {
        /// The router's.
        wanted: RequestOrigin,
    },
    /// The answer to `OPTIONS` allows no rate.
    #[error("the answer allows no rate: set WebHook-Allowed-Rate to a number of requests a minute, or to *")]
    RateNotAllowed,
}

/// What an answer says of the rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AllowedRate {
    Any,
    PerMinute(u64),
}

impl HandshakeMethod {
    /// Every method.
    pub const ALL: [Self; 2] = [Self::Challenge, Self::CloudEvents];

    /// The stable code that the store and the API show.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Challenge => "challenge",
            Self::CloudEvents => "cloudevents",
        }
    }

    /// The method whose [`code`](Self::code) this is.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.code() == code)
    }
}

impl Default for RequestOrigin {
    /// A name for routers whose operator gave none.
    fn default() -> Self {
        Self("hookmill".into())
    }
}

impl FromStr for RequestOrigin {
    type Err = InvalidOrigin;

    fn from_str(text: &str) -> Result<Self, InvalidOrigin> {
        let is_label = |label: &str| {
            !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        let valid = text.len() <= ORIGIN_CHARS_MAX && text.split('.').all(is_label);
        if valid { Ok(Self(text.to_ascii_lowercase().into())) } else { Err(InvalidOrigin) }
    }
}

impl std::fmt::Display for RequestOrigin {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Handshake {
    /// A challenge made of chance.
    #[must_use]
    pub fn challenge(id: EventId, chance: &[u8; CHALLENGE_BYTES]) -> Self {
        Self::Challenge { id, challenge: BASE64_URL_SAFE_NO_PAD.encode(chance) }
    }

    /// Asks to send as this origin, at the rate of the endpoint's terms.
    #[must_use]
    pub fn cloud_events(origin: RequestOrigin, terms: &DeliveryPolicy) -> Self {
        Self::CloudEvents { origin, rate: terms.rate.map_or(REQUEST_RATE_DEFAULT, per_minute) }
    }

    /// The request to send. A challenge has all that a delivery has: headers of the preset and of the endpoint, signatures.
    ///
    /// # Errors
    /// When the endpoint's rules refuse its URL.
    pub fn request(&self, endpoint: &Endpoint, now: Moment) -> Result<OutgoingRequest, BuildError> {
        match self {
            Self::Challenge { id, challenge } => {
                let body = json!({ "type": CHALLENGE_TYPE, "challenge": challenge });
                let event = challenge_event(*id, endpoint, body.to_string().into());
                let prepared =
                    PreparedRequest { url: endpoint.address(), ..PreparedRequest::original(endpoint) };
                build(endpoint, &event, &prepared, &BoundSecrets::default(), now)
            }
            Self::CloudEvents { origin, rate } => {
                let url = endpoint.address();
                check_url(endpoint, &url)?;
                // The endpoint's own headers may be what lets a request through its gateway.
                let mut headers = endpoint.headers.as_map().clone();
                headers.entry(USER_AGENT).or_insert(USER_AGENT_VALUE);
                headers.insert(REQUEST_ORIGIN, visible(&origin.0));
                headers.insert(REQUEST_RATE, HeaderValue::from(*rate));
                Ok(OutgoingRequest { method: Method::OPTIONS, url, headers, body: Bytes::new() })
            }
        }
    }

    /// What the outcome of the request means.
    ///
    /// # Errors
    /// Why the handshake is not passed.
    pub fn judge(&self, outcome: &Outcome, terms: &DeliveryPolicy) -> Result<Consent, Refusal> {
        let (status, headers, body) = match outcome {
            Outcome::Answered { status, headers, body, retry_after: _ } => (*status, headers, body),
            Outcome::Failed(failure) => return Err(Refusal::NoAnswer(failure.clone())),
            Outcome::NotSent { detail } => {
                let failure = Failure::new(TransportFailure::ConnectFailed, detail);
                return Err(Refusal::NoAnswer(failure));
            }
        };
        match self {
            Self::Challenge { challenge, .. } => {
                if !terms.success.admits(status) {
                    return Err(Refusal::Status { status });
                }
                if echoes(body, challenge) { Ok(Consent { rate: None }) } else { Err(Refusal::NotEchoed) }
            }
            Self::CloudEvents { origin, .. } => {
                if !(200..300).contains(&status) {
                    return Err(Refusal::Status { status });
                }
                let allows = |name: &str| name == ANY || name.eq_ignore_ascii_case(&origin.0);
                if !fields(headers, &ALLOWED_ORIGIN).any(allows) {
                    return Err(Refusal::OriginNotAllowed { wanted: origin.clone() });
                }
                let rate = fields(headers, &ALLOWED_RATE).find_map(AllowedRate::parse);
                Ok(Consent { rate: rate.ok_or(Refusal::RateNotAllowed)?.below(terms.rate) })
            }
        }
    }
}

impl Refusal {
    /// The stable code that the API shows.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoAnswer(failure) => failure.class().code(),
            Self::Status { .. } => "status",
            Self::NotEchoed => "challenge_not_echoed",
            Self::OriginNotAllowed { .. } => "origin_not_allowed",
            Self::RateNotAllowed => "rate_not_allowed",
        }
    }

    /// What it most likely means, and what to do.
    #[must_use]
    pub fn diagnosis(&self) -> &'static Diagnosis {
        let (status, detail) = match self {
            Self::NoAnswer(failure) => (None, failure.detail()),
            Self::Status { status } => (Some(*status), ""),
            Self::NotEchoed | Self::OriginNotAllowed { .. } | Self::RateNotAllowed => (None, ""),
        };
        diagnose(Symptom { failure_code: self.code(), status, detail })
    }
}

impl AllowedRate {
    /// `*`, or a positive number. One that is beyond all numbers is as good as the largest.
    fn parse(text: &str) -> Option<Self> {
        if text == ANY {
            return Some(Self::Any);
        }
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = is_number.then(|| text.parse().unwrap_or(u64::MAX));
        number.filter(|number| *number > 0).map(Self::PerMinute)
    }

    /// The rate that an endpoint is to have from now on, where this is less than it has.
    fn below(self, present: Option<Rate>) -> Option<Rate> {
        match self {
            Self::Any => None,
            Self::PerMinute(allowed) => {
                let is_within = present.is_some_and(|rate| {
                    let (deliveries, period) = (u64::from(rate.deliveries()), u64::from(rate.period_secs()));
                    deliveries * u64::from(MINUTE_SECS) <= allowed.saturating_mul(period)
                });
                let deliveries = u16::try_from(allowed).unwrap_or(u16::MAX);
                let lowered =
                    || Rate::new(deliveries, MINUTE_SECS).expect("a minute is a period, and 0 is no rate");
                (!is_within).then(lowered)
            }
        }
    }
}

/// Requests a minute, rounded up.
fn per_minute(rate: Rate) -> u64 {
    (u64::from(rate.deliveries()) * u64::from(MINUTE_SECS)).div_ceil(u64::from(rate.period_secs()))
}

/// The event that carries a challenge. It is sent and not stored.
fn challenge_event(id: EventId, endpoint: &Endpoint, body: Bytes) -> Event {
    Event {
        id,
        application: endpoint.application,
        event_type: CHALLENGE_TYPE.parse().expect("a valid name"),
        uid: None,
        channels: Channels::default(),
        ordering_key: None,
        content_type: ContentType::json(),
        body,
    }
}

fn echoes(body: &[u8], challenge: &str) -> bool {
    if body == challenge.as_bytes() {
        return true;
    }
    let parsed = Document::parse(Bytes::copy_from_slice(body)).ok();
    parsed.is_some_and(|answer| answer.root().get("challenge").is_some_and(|value| value.is_text(challenge)))
}

fn fields<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok()).map(str::trim)
}

fn visible(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("a DNS name is visible ASCII")
}
