//! One destination of one application: where, what, how signed, how often tried.

use std::collections::BTreeSet;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use thiserror::Error;

use crate::address::DeliveryUrl;
use crate::application::Metadata;
use crate::event::{Event, Name};
use crate::id::{ApplicationId, EndpointId};
use crate::limits::{
    ATTEMPT_TIMEOUT_DEFAULT, ATTEMPT_TIMEOUT_MAX, CUSTOM_HEADER_BYTES_MAX, CUSTOM_HEADERS_MAX,
    ENDPOINT_CONCURRENCY_DEFAULT, ENDPOINT_CONCURRENCY_MAX,
};
use crate::pattern::EventPattern;
use crate::plugin::{PluginBinding, PluginUse};
use crate::request::header_is_reserved;
use crate::retry::RetryPolicy;
use crate::signature::SigningKeys;
use crate::time::UnixMillis;

/// One destination of one application.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Made by the router.
    pub id: EndpointId,
    /// Whose events it receives.
    pub application: ApplicationId,
    /// The operator's own id, unique in the application.
    pub uid: Option<Name>,
    /// Where deliveries go.
    pub url: DeliveryUrl,
    /// For people.
    pub description: String,
    /// Which events it receives.
    pub filter: Filter,
    /// Whether it receives any.
    pub state: EndpointState,
    /// Sent with each delivery.
    pub headers: CustomHeaders,
    /// The operator's own labels.
    pub metadata: Metadata,
    /// Signs each delivery.
    pub signing: SigningKeys,
    /// Reshapes each delivery.
    pub transformation: Transformation,
    /// Reads what it answers; without one, and where that one fails, the status alone decides.
    pub classifier: Option<PluginBinding>,
    /// When and how often a delivery is tried.
    pub policy: DeliveryPolicy,
    /// When it was created.
    pub created_at: UnixMillis,
    /// When it was last changed.
    pub updated_at: UnixMillis,
}

/// Whether an endpoint receives deliveries. A disabled one keeps what it was already owed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndpointState {
    /// Receives.
    Enabled,
    /// Receives nothing new; what waits, waits.
    Disabled {
        /// Who or what turned it off.
        reason: DisabledReason,
        /// Since when.
        since: UnixMillis,
    },
}

/// Who or what turned an endpoint off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DisabledReason {
    /// The operator did.
    Operator,
    /// It answered 410 Gone (Standard Webhooks: disable the endpoint).
    Gone,
}

/// Which events an endpoint receives: all of those that pass every part.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// These types only; all types where there are none.
    pub event_types: Option<BTreeSet<Name>>,
    /// Events with one of these channels only; with and without channels where there are none.
    pub channels: Option<BTreeSet<Name>>,
    /// Events whose JSON body matches only.
    pub pattern: Option<EventPattern>,
}

impl Filter {
    /// Whether the event passes, as far as its names tell; the pattern wants the parsed body.
    #[must_use]
    pub fn admits_names(&self, event: &Event) -> bool {
        let type_admitted = self.event_types.as_ref().is_none_or(|types| types.contains(&event.event_type));
        let channel_admitted = self
            .channels
            .as_ref()
            .is_none_or(|wanted| event.channels.as_slice().iter().any(|channel| wanted.contains(channel)));
        type_admitted && channel_admitted
    }
}

/// What reshapes an event on its way to one endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Transformation {
    /// The body goes out as it came in.
    #[default]
    None,
    /// Set up, but switched off.
    Disabled(PluginUse),
    /// A plugin runs before the first attempt.
    Plugin(PluginUse),
}

impl Transformation {
    /// The plugin that runs, if one does.
    #[must_use]
    pub fn active(&self) -> Option<&PluginUse> {
        match self {
            Self::Plugin(used) => Some(used),
            Self::None | Self::Disabled(_) => None,
        }
    }

    /// The plugin that is set up, whether it runs or not.
    #[must_use]
    pub fn configured(&self) -> Option<&PluginUse> {
        match self {
            Self::Plugin(used) | Self::Disabled(used) => Some(used),
            Self::None => None,
        }
    }
}

/// When and how often a delivery is tried.
#[derive(Debug, Clone, PartialEq)]
pub struct DeliveryPolicy {
    /// Waits between attempts.
    pub retry: RetryPolicy,
    /// One attempt, from connect to the last byte of the answer.
    pub timeout: Timeout,
    /// Deliveries under way at once.
    pub concurrency: Concurrency,
    /// Deliveries a second, averaged.
    pub rate: Option<Rate>,
    /// Which deliveries keep their order.
    pub ordering: Ordering,
}

impl Default for DeliveryPolicy {
    fn default() -> Self {
        Self {
            retry: RetryPolicy::default(),
            timeout: Timeout(ATTEMPT_TIMEOUT_DEFAULT),
            concurrency: Concurrency(ENDPOINT_CONCURRENCY_DEFAULT),
            rate: None,
            ordering: Ordering::Unordered,
        }
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

    /// Deliveries in one period, which is also the burst.
    #[must_use]
    pub fn deliveries(self) -> u16 {
        self.deliveries
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

/// Headers that the operator adds to each delivery of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CustomHeaders(HeaderMap);

/// Headers that can't be added to a delivery.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidHeaders {
    /// Not a header name of HTTP.
    #[error("`{name}` is no header name")]
    Name {
        /// What was given.
        name: String,
    },
    /// Has a control character, such as a line break.
    #[error("the value of header `{name}` has a control character")]
    Value {
        /// Whose value it is.
        name: String,
    },
    /// The router sets it itself, or it would reach a metadata service.
    #[error("header `{name}` is reserved")]
    Reserved {
        /// What was given.
        name: String,
    },
    /// Too many or too large.
    #[error("at most {CUSTOM_HEADERS_MAX} headers and {CUSTOM_HEADER_BYTES_MAX} bytes of them")]
    TooMany,
}

impl CustomHeaders {
    /// Takes names and values that may go out with a delivery.
    ///
    /// # Errors
    /// A name or value that HTTP does not allow, a reserved name, or too many.
    pub fn new<'a>(entries: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Result<Self, InvalidHeaders> {
        let mut headers = HeaderMap::new();
        let mut bytes = 0;
        for (name, value) in entries {
            let parsed: HeaderName =
                name.parse().map_err(|_| InvalidHeaders::Name { name: shorten(name) })?;
            if header_is_reserved(&parsed) {
                return Err(InvalidHeaders::Reserved { name: parsed.to_string() });
            }
            let value = HeaderValue::from_bytes(value)
                .map_err(|_| InvalidHeaders::Value { name: parsed.to_string() })?;
            bytes += name.len() + value.len();
            if headers.len() == CUSTOM_HEADERS_MAX || bytes > CUSTOM_HEADER_BYTES_MAX {
                return Err(InvalidHeaders::TooMany);
            }
            headers.append(parsed, value);
        }
        Ok(Self(headers))
    }

    /// The headers.
    #[must_use]
    pub fn as_map(&self) -> &HeaderMap {
        &self.0
    }
}

/// Keeps a hostile name from filling an error message.
fn shorten(name: &str) -> String {
    name.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn custom_headers_cannot_inject_or_impersonate() {
        let check = |name: &str, value: &[u8], expect: Option<InvalidHeaders>| {
            assert_eq!(CustomHeaders::new([(name, value)]).err(), expect, "{name:?}");
        };
        let own = |name: &str| name.to_owned();
        check("x-team", b"billing", None);
        check("authorization", b"Bearer abc", None);
        check("x team", b"1", Some(InvalidHeaders::Name { name: own("x team") }));
        check("x-team\r\nhost", b"1", Some(InvalidHeaders::Name { name: own("x-team\r\nhost") }));
        check("x-team", b"1\r\nhost: evil", Some(InvalidHeaders::Value { name: own("x-team") }));
        check("Host", b"evil", Some(InvalidHeaders::Reserved { name: own("host") }));
        check("Webhook-Id", b"evil", Some(InvalidHeaders::Reserved { name: own("webhook-id") }));
        check("x-large", &[b'x'; CUSTOM_HEADER_BYTES_MAX], Some(InvalidHeaders::TooMany));
    }

    #[test]
    fn too_many_custom_headers_are_refused() {
        let names: Vec<String> = (0..=CUSTOM_HEADERS_MAX).map(|index| format!("x-{index}")).collect();
        let entries = |count: usize| names[..count].iter().map(|name| (name.as_str(), b"1".as_slice()));
        assert!(CustomHeaders::new(entries(CUSTOM_HEADERS_MAX)).is_ok());
        assert_eq!(CustomHeaders::new(entries(CUSTOM_HEADERS_MAX + 1)), Err(InvalidHeaders::TooMany));
    }
}
