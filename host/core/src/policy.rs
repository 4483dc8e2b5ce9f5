//! The terms on which an endpoint receives: how often, how fast, how signed, and when it is given up.
//!
//! A [`Policy`] is a [`Preset`] and what the operator overrides of it; what is in force is its
//! [`effective`](Policy::effective) [`DeliveryPolicy`]. Both halves are kept, so that anyone can see where a value comes
//! from, and a preset that is chosen later changes only what was not set by hand.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use http::HeaderName;
use thiserror::Error;

use crate::address::DeliveryUrl;
use crate::limits::{ATTEMPT_TIMEOUT_MAX, ENDPOINT_CONCURRENCY_MAX};
use crate::preset::Preset;
use crate::request::header_is_reserved;
use crate::retry::RetryPolicy;

/// The terms of one endpoint: a preset, and what is overridden of it. Cheap to clone; all endpoints on a preset's own terms
/// share them.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy(Arc<Terms>);

#[derive(Debug, PartialEq)]
struct Terms {
    preset: Preset,
    overrides: Overrides,
    effective: DeliveryPolicy,
}

impl Policy {
    /// The terms of a preset with these overrides.
    #[must_use]
    pub fn new(preset: Preset, overrides: Overrides) -> Self {
        if overrides == Overrides::default() {
            static OWN: LazyLock<[Arc<Terms>; Preset::ALL.len()]> = LazyLock::new(|| {
                Preset::ALL.map(|preset| Arc::new(Terms::new(preset, Overrides::default())))
            });
            return Self(Arc::clone(&OWN[preset as usize]));
        }
        Self(Arc::new(Terms::new(preset, overrides)))
    }

    /// The preset.
    #[must_use]
    pub fn preset(&self) -> Preset {
        self.0.preset
    }

    /// What is overridden of the preset.
    #[must_use]
    pub fn overrides(&self) -> &Overrides {
        &self.0.overrides
    }

    /// What is in force.
    #[must_use]
    pub fn effective(&self) -> &DeliveryPolicy {
        &self.0.effective
    }
}

impl Terms {
    fn new(preset: Preset, overrides: Overrides) -> Self {
        let effective = overrides.clone().over(preset.policy());
        Self { preset, overrides, effective }
    }
}

impl Default for Policy {
    /// Standard Webhooks' preset, as it is.
    fn default() -> Self {
        Self::new(Preset::default(), Overrides::default())
    }
}

/// What an operator sets instead of a preset's value.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Overrides {
    /// Waits between attempts.
    pub retry: Option<RetryPolicy>,
    /// One attempt.
    pub timeout: Option<Timeout>,
    /// Deliveries under way at once.
    pub concurrency: Option<Concurrency>,
    /// Deliveries in a period, or no limit.
    pub rate: Option<Option<Rate>>,
    /// Which deliveries keep their order.
    pub ordering: Option<Ordering>,
    /// Which answers are a success.
    pub success: Option<SuccessRule>,
    /// How deliveries are signed.
    pub signature: Option<SignatureScheme>,
    /// Which URLs are delivered to.
    pub url: Option<UrlRule>,
    /// When the endpoint is turned off.
    pub disable: Option<DisableRule>,
}

impl Overrides {
    fn over(self, preset: DeliveryPolicy) -> DeliveryPolicy {
        DeliveryPolicy {
            retry: self.retry.unwrap_or(preset.retry),
            timeout: self.timeout.unwrap_or(preset.timeout),
            concurrency: self.concurrency.unwrap_or(preset.concurrency),
            rate: self.rate.unwrap_or(preset.rate),
            ordering: self.ordering.unwrap_or(preset.ordering),
            success: self.success.unwrap_or(preset.success),
            signature: self.signature.unwrap_or(preset.signature),
            url: self.url.unwrap_or(preset.url),
            disable: self.disable.unwrap_or(preset.disable),
        }
    }
}

/// When and how a delivery is tried, and what its failure means.
#[derive(Debug, Clone, PartialEq)]
pub struct DeliveryPolicy {
    /// Waits between attempts.
    pub retry: RetryPolicy,
    /// One attempt, from connect to the last byte of the answer.
    pub timeout: Timeout,
    /// Deliveries under way at once.
    pub concurrency: Concurrency,
    /// Deliveries in any period.
    pub rate: Option<Rate>,
    /// Which deliveries keep their order.
    pub ordering: Ordering,
    /// Which answers are a success.
    pub success: SuccessRule,
    /// How deliveries are signed.
    pub signature: SignatureScheme,
    /// Which URLs are delivered to.
    pub url: UrlRule,
    /// When the endpoint is turned off.
    pub disable: DisableRule,
}

/// Which answers mean that the receiver has the event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SuccessRule {
    /// Any 2xx (Standard Webhooks).
    Any2xx,
    /// 200 only.
    Only200,
}

impl SuccessRule {
    /// Every rule.
    pub const ALL: [Self; 2] = [Self::Any2xx, Self::Only200];

    /// Whether an answer with this status is a success.
    #[must_use]
    pub fn admits(self, status: u16) -> bool {
        match self {
            Self::Any2xx => (200..300).contains(&status),
            Self::Only200 => status == 200,
        }
    }

    /// The stable code that the store and the API show.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Any2xx => "2xx",
            Self::Only200 => "200",
        }
    }

    /// The rule whose [`code`](Self::code) this is.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|rule| rule.code() == code)
    }
}

/// How deliveries are signed. The headers of Standard Webhooks are always there; a scheme may add others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignatureScheme {
    /// Standard Webhooks alone.
    Standard,
    /// A header with the lowercase hex of an HMAC-SHA256 over the body, by one key.
    BodyHmac {
        /// Which header.
        header: HeaderName,
        /// Which key.
        key: BodyHmacKey,
    },
    /// HTTP message signatures (RFC 9421) over method, authority, path, content digest (RFC 9530) and message id.
    HttpMessage,
}

/// What keys [`SignatureScheme::BodyHmac`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyHmacKey {
    /// The text of the endpoint's current secret, with its `whsec_`.
    Secret,
    /// The id by which the endpoint's owner knows it: its uid, else the router's own id.
    EndpointId,
}

impl SignatureScheme {
    /// A scheme with a header of one's own.
    ///
    /// # Errors
    /// No header name, or one that is reserved.
    pub fn body_hmac(header: &str, key: BodyHmacKey) -> Result<Self, InvalidPolicy> {
        let name = header.parse::<HeaderName>().ok().filter(|name| !header_is_reserved(name));
        let refused = || InvalidPolicy::SignatureHeader { header: header.chars().take(64).collect() };
        name.map(|header| Self::BodyHmac { header, key }).ok_or_else(refused)
    }

    /// Whether it needs a shared (`whsec_`) secret; an ed25519 key does not do.
    #[must_use]
    pub fn needs_shared_secret(&self) -> bool {
        match self {
            Self::BodyHmac { key: BodyHmacKey::Secret, .. } | Self::HttpMessage => true,
            Self::Standard | Self::BodyHmac { key: BodyHmacKey::EndpointId, .. } => false,
        }
    }
}

/// Which URLs an endpoint may be delivered to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UrlRule {
    /// `http` and `https`.
    Any,
    /// `https` only; certificates are checked always.
    HttpsOnly,
}

impl UrlRule {
    /// Every rule.
    pub const ALL: [Self; 2] = [Self::Any, Self::HttpsOnly];

    /// Whether deliveries may go there.
    #[must_use]
    pub fn admits(self, url: &DeliveryUrl) -> bool {
        match self {
            Self::Any => true,
            Self::HttpsOnly => url.is_https(),
        }
    }

    /// The stable code that the store and the API show.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::HttpsOnly => "https",
        }
    }

    /// The rule whose [`code`](Self::code) this is.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|rule| rule.code() == code)
    }
}

/// When the router turns an endpoint off by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DisableRule {
    /// Never; what can't be delivered goes to the dead letters.
    Never,
    /// When it answers 410 Gone (Standard Webhooks).
    Gone,
    /// When a delivery's last attempt failed: the endpoint is marked failed and its deliveries wait, that one included,
    /// until it is reactivated.
    Exhausted,
}

impl DisableRule {
    /// Every rule.
    pub const ALL: [Self; 3] = [Self::Never, Self::Gone, Self::Exhausted];

    /// The stable code that the store and the API show.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::Gone => "gone",
            Self::Exhausted => "exhausted",
        }
    }

    /// The rule whose [`code`](Self::code) this is.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|rule| rule.code() == code)
    }
}

/// A policy value out of its bounds.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidPolicy {
    /// The timeout.
    #[error("a timeout is 1 ms to {} s", ATTEMPT_TIMEOUT_MAX.as_secs())]
    Timeout,
    /// The concurrency.
    #[error("a concurrency limit is 1 to {ENDPOINT_CONCURRENCY_MAX}")]
    Concurrency,
    /// The rate.
    #[error("a rate is 1 to 65535 deliveries in 1 to 3600 seconds")]
    Rate,
    /// A header that a signature can't be put into.
    #[error("`{header}` can't hold a signature: it is no header name, or a reserved one")]
    SignatureHeader {
        /// What was given, cut.
        header: String,
    },
}

impl InvalidPolicy {
    /// The stable code that the API shows.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Timeout => "timeout_out_of_range",
            Self::Concurrency => "concurrency_out_of_range",
            Self::Rate => "rate_out_of_range",
            Self::SignatureHeader { .. } => "signature_header_invalid",
        }
    }
}

/// Time for one attempt, up to [`ATTEMPT_TIMEOUT_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeout(Duration);

impl Timeout {
    /// Takes 1 ms to [`ATTEMPT_TIMEOUT_MAX`].
    ///
    /// # Errors
    /// Out of these bounds.
    pub fn new(duration: Duration) -> Result<Self, InvalidPolicy> {
        let valid = (Duration::from_millis(1)..=ATTEMPT_TIMEOUT_MAX).contains(&duration);
        if valid { Ok(Self(duration)) } else { Err(InvalidPolicy::Timeout) }
    }

    /// The time.
    #[must_use]
    pub fn get(self) -> Duration {
        self.0
    }
}

/// Deliveries under way at once, 1 to [`ENDPOINT_CONCURRENCY_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Concurrency(u16);

impl Concurrency {
    /// Takes 1 to [`ENDPOINT_CONCURRENCY_MAX`].
    ///
    /// # Errors
    /// Out of these bounds.
    pub fn new(deliveries: u16) -> Result<Self, InvalidPolicy> {
        let valid = (1..=ENDPOINT_CONCURRENCY_MAX).contains(&deliveries);
        if valid { Ok(Self(deliveries)) } else { Err(InvalidPolicy::Concurrency) }
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> u16 {
        self.0
    }
}

/// A rate: so many deliveries in so long a period, the whole of them at once if need be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    deliveries: u16,
    period_secs: u16,
}

impl Rate {
    /// Takes 1 to 65535 deliveries in 1 to 3600 seconds.
    ///
    /// # Errors
    /// Out of these bounds.
    pub fn new(deliveries: u16, period_secs: u16) -> Result<Self, InvalidPolicy> {
        let valid = deliveries > 0 && (1..=3600).contains(&period_secs);
        if valid { Ok(Self { deliveries, period_secs }) } else { Err(InvalidPolicy::Rate) }
    }

    /// Deliveries in one period, wherever it begins; they may be a burst.
    #[must_use]
    pub fn deliveries(self) -> u16 {
        self.deliveries
    }

    /// One period.
    #[must_use]
    pub fn period(self) -> Duration {
        Duration::from_secs(u64::from(self.period_secs))
    }

    /// Seconds of one period.
    #[must_use]
    pub fn period_secs(self) -> u16 {
        self.period_secs
    }

    /// The one of both that lets less through in the long run.
    #[must_use]
    pub fn slower(self, other: Self) -> Self {
        let crosswise = |one: Self, other: Self| u32::from(one.deliveries) * u32::from(other.period_secs);
        if crosswise(other, self) < crosswise(self, other) { other } else { self }
    }
}

/// Which deliveries of an endpoint keep their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ordering {
    /// None: a failed delivery holds up no other.
    #[default]
    Unordered,
    /// Those with equal ordering keys; a failed one holds up its own key only.
    PerKey,
    /// All: one at a time.
    Strict,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_read_back() {
        for rule in SuccessRule::ALL {
            assert_eq!(SuccessRule::from_code(rule.code()), Some(rule));
        }
        for rule in UrlRule::ALL {
            assert_eq!(UrlRule::from_code(rule.code()), Some(rule));
        }
        for rule in DisableRule::ALL {
            assert_eq!(DisableRule::from_code(rule.code()), Some(rule));
        }
        assert_eq!((SuccessRule::from_code(""), UrlRule::from_code("http")), (None, None));
    }

    #[test]
    fn an_override_stays_when_the_preset_changes() {
        let overrides =
            Overrides { timeout: Timeout::new(Duration::from_secs(7)).ok(), ..Overrides::default() };
        for preset in Preset::ALL {
            let policy = Policy::new(preset, overrides.clone());
            assert_eq!(policy.effective().timeout.get(), Duration::from_secs(7));
            assert_eq!(policy.effective().retry, preset.policy().retry);
            assert_eq!((policy.preset(), policy.overrides()), (preset, &overrides));
        }
    }

    #[test]
    fn a_signature_header_is_none_of_ours() {
        let check = |header: &str, valid: bool| {
            assert_eq!(SignatureScheme::body_hmac(header, BodyHmacKey::Secret).is_ok(), valid, "{header:?}");
        };
        check("X-Webhook-Signature", true);
        check("Signature", true);
        check("webhook-signature", false);
        check("host", false);
        check("x y", false);
        check("", false);
    }

    #[test]
    fn the_slower_rate_lets_less_through() {
        let check = |one: (u16, u16), other: (u16, u16), expect: (u16, u16)| {
            let rate = |(deliveries, period)| Rate::new(deliveries, period).unwrap();
            assert_eq!(rate(one).slower(rate(other)), rate(expect), "{one:?} {other:?}");
            assert_eq!(rate(other).slower(rate(one)), rate(expect), "{other:?} {one:?}");
        };
        check((100, 60), (1, 1), (1, 1));
        check((100, 60), (2, 1), (100, 60));
        check((1, 3600), (u16::MAX, 1), (1, 3600));
        check((u16::MAX, 3600), (u16::MAX, 3599), (u16::MAX, 3600));
    }
}
