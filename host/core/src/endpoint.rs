//! One destination of one application: where, what, how signed, how often tried.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use http::{HeaderMap, HeaderName, HeaderValue};
use thiserror::Error;

use crate::address::{DeliveryUrl, Origin};
use crate::application::Metadata;
use crate::compose::Composition;
use crate::event::{Event, Name};
use crate::handshake::HandshakeMethod;
use crate::id::{ApplicationId, EndpointId};
use crate::limits::{CUSTOM_HEADER_BYTES_MAX, CUSTOM_HEADERS_MAX};
use crate::pattern::EventPattern;
use crate::plugin::{PluginBinding, PluginUse};
use crate::policy::Policy;
use crate::request::header_is_reserved;
use crate::signature::SigningKeys;
use crate::time::UnixMillis;

/// One destination of one application.
///
/// All endpoints are in memory, so what few of them have is behind a pointer, and what many have in common is there once.
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
    /// The handshake that it must pass before it receives anything, and again when its URL changes.
    pub verification: Option<HandshakeMethod>,
    /// Sent with each delivery.
    pub headers: CustomHeaders,
    /// The operator's own labels.
    pub metadata: Metadata,
    /// Signs each delivery.
    pub signing: SigningKeys,
    /// Reshapes each delivery.
    pub transformation: Transformation,
    /// Reads what it answers; without one, and where that one fails, the status alone decides.
    pub classifier: Option<Box<PluginBinding>>,
    /// When and how a delivery is tried.
    pub policy: Policy,
    /// When it was created.
    pub created_at: UnixMillis,
    /// When it was last changed.
    pub updated_at: UnixMillis,
}

impl Endpoint {
    /// The id by which its owner knows it: the uid, else the router's own id.
    #[must_use]
    pub fn public_id(&self) -> String {
        self.uid.as_ref().map_or_else(|| self.id.to_string(), Name::to_string)
    }

    /// Bytes of all text that its owner configured it with, more or less.
    #[must_use]
    pub fn configuration_bytes(&self) -> usize {
        let names = |names: &Option<BTreeSet<Name>>| {
            names.iter().flatten().map(|name| name.as_str().len()).sum::<usize>()
        };
        let pattern = self.filter.pattern.as_ref().map_or(0, |pattern| pattern.source().len());
        let metadata: usize =
            self.metadata.entries().iter().map(|(key, value)| key.len() + value.len()).sum();
        let headers: usize =
            self.headers.as_map().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        let plugins = self.transformation.configured().map(|used| &used.binding).into_iter();
        let settings: usize =
            plugins.chain(self.classifier.as_deref()).map(|binding| binding.settings.len()).sum();
        let composition = self.transformation.composition().map_or(0, Composition::text_bytes);
        self.url.as_str().len()
            + self.description.len()
            + names(&self.filter.event_types)
            + names(&self.filter.channels)
            + pattern
            + metadata
            + headers
            + settings
            + composition
    }

    /// Whether it gets only the events that name it: composed requests on the terms of a system that makes them on request.
    #[must_use]
    pub fn is_on_request(&self) -> bool {
        self.transformation.composition().is_some() && self.policy.preset().composes_on_request()
    }
}

/// Whether an endpoint receives deliveries. A disabled one keeps what it was already owed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndpointState {
    /// Receives.
    Enabled,
    /// A delivery's last attempt failed, and the endpoint's rule is that its deliveries wait then, old and new, until it is
    /// reactivated ([`DisableRule::Exhausted`](crate::policy::DisableRule::Exhausted)).
    Failed {
        /// Since when.
        since: UnixMillis,
    },
    /// Receives nothing new; what waits, waits.
    Disabled {
        /// Who or what turned it off.
        reason: DisabledReason,
        /// Since when.
        since: UnixMillis,
    },
}

impl EndpointState {
    /// Whether events are routed to it.
    #[must_use]
    pub fn takes_events(self) -> bool {
        match self {
            Self::Enabled | Self::Failed { .. } => true,
            Self::Disabled { .. } => false,
        }
    }

    /// The stable code that the API shows.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Failed { .. } => "failed",
            Self::Disabled { reason: DisabledReason::Operator, .. } => "disabled",
            Self::Disabled { reason: DisabledReason::Gone, .. } => "gone",
            Self::Disabled { reason: DisabledReason::Unverified, .. } => "unverified",
        }
    }
}

/// Who or what turned an endpoint off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DisabledReason {
    /// The operator did.
    Operator,
    /// It answered 410 Gone (Standard Webhooks: disable the endpoint).
    Gone,
    /// It has yet to prove that it wants the events.
    Unverified,
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
    Disabled(Box<PluginUse>),
    /// A plugin runs before the first attempt.
    Plugin(Box<PluginUse>),
    /// The request is composed before the first attempt.
    Composed(Box<Composition>),
}

impl Transformation {
    /// The plugin that runs, if one does.
    #[must_use]
    pub fn active(&self) -> Option<&PluginUse> {
        match self {
            Self::Plugin(used) => Some(used),
            Self::None | Self::Disabled(_) | Self::Composed(_) => None,
        }
    }

    /// The plugin that is set up, whether it runs or not.
    #[must_use]
    pub fn configured(&self) -> Option<&PluginUse> {
        match self {
            Self::Plugin(used) | Self::Disabled(used) => Some(used),
            Self::None | Self::Composed(_) => None,
        }
    }

    /// Origins beside the endpoint's own that a plugin's requests may go to, whether it runs or not.
    #[must_use]
    pub fn further_origins(&self) -> &[Origin] {
        self.configured().map(|used| used.allowed_origins.as_slice()).unwrap_or_default()
    }

    /// What composes the requests, if that is how they are made.
    #[must_use]
    pub fn composition(&self) -> Option<&Composition> {
        match self {
            Self::Composed(composition) => Some(composition),
            Self::None | Self::Disabled(_) | Self::Plugin(_) => None,
        }
    }
}

/// Headers that the operator adds to each delivery of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CustomHeaders(Option<Box<HeaderMap>>);

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
        Ok(Self((!headers.is_empty()).then(|| Box::new(headers))))
    }

    /// The headers.
    #[must_use]
    pub fn as_map(&self) -> &HeaderMap {
        static NONE: LazyLock<HeaderMap> = LazyLock::new(HeaderMap::new);
        self.0.as_deref().unwrap_or(&NONE)
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
    fn an_endpoint_is_small() {
        assert!(size_of::<Endpoint>() <= 432, "{} bytes", size_of::<Endpoint>());
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
