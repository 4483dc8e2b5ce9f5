//! From an event to the bytes on the wire.
//!
//! A [`PreparedRequest`] is what a delivery wants to send: the event as it came, or what a plugin or a composition made
//! of it. It is what is kept for retries, sealed, since a composed one may hold a token; a plugin's names secrets without
//! holding them. [`build`] adds, for one attempt, the secrets, the endpoint's own headers, the identity of the message, a
//! fresh timestamp and the signature; after that nothing changes the bytes.

mod scheme;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue, USER_AGENT};
use http::{HeaderMap, Method};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::address::DeliveryUrl;
use crate::endpoint::Endpoint;
use crate::event::{Event, Name};
use crate::plugin::{BoundSecrets, SecretName};
use crate::time::Moment;

/// Standard Webhooks: the message's identity, the same for all of its attempts.
pub const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
/// Standard Webhooks: seconds since 1970 of this attempt.
pub const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
/// Standard Webhooks: space-separated signatures.
pub const WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");
/// Who sends.
pub(crate) const USER_AGENT_VALUE: HeaderValue =
    HeaderValue::from_static(concat!("Hookmill/", env!("CARGO_PKG_VERSION"), " (webhooks)"));

/// What a delivery wants to send, before it is signed.
#[derive(Debug, Clone, PartialEq)]
pub struct PreparedRequest {
    /// The method, `POST` unless a plugin or a composition says otherwise.
    pub method: Method,
    /// Where to.
    pub url: DeliveryUrl,
    /// The endpoint's address when this was made, so that a retry follows the endpoint; not known of what earlier versions
    /// kept.
    pub made_for: Option<DeliveryUrl>,
    /// Headers that the plugin or the composition set; they win over the endpoint's own.
    pub headers: HeaderMap,
    /// Headers that the plugin set to a secret, each name once; they win over the endpoint's own too.
    pub secret_headers: Vec<SecretHeader>,
    /// What to send.
    pub body: RequestBody,
    /// Tells the requests of one event apart, for the receiver's deduplication.
    pub part: Option<Name>,
}

/// A header whose value has a secret in it, which is filled in when the request is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretHeader {
    /// Which header.
    pub name: HeaderName,
    /// What stands before the secret, for example `Bearer `.
    pub prefix: HeaderValue,
    /// Which secret of the endpoint.
    pub secret: SecretName,
    /// What stands behind it.
    pub suffix: HeaderValue,
}

/// Why a request can't be built. Shown to the operator; says nothing of a secret's value.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BuildError {
    /// It goes where the endpoint's requests do not.
    #[error(
        "{origin} is not an origin that this endpoint's requests may go to: allow it, or change what names it"
    )]
    OriginNotAllowed {
        /// Where it would go.
        origin: String,
    },
    /// The endpoint is delivered to over `https` only.
    #[error(
        "the endpoint takes https only, and this goes to {origin}: change the URL, or the policy's `url` rule"
    )]
    InsecureUrl {
        /// Where it would go.
        origin: String,
    },
    /// The endpoint has no such secret, or none any more.
    #[error("no secret is bound as `{secret}`, which header `{header}` needs: bind it to the endpoint")]
    Unbound {
        /// Which header.
        header: HeaderName,
        /// Which secret.
        secret: SecretName,
    },
    /// A header can't hold the value.
    #[error(
        "the secret `{secret}` has a control character, so header `{header}` can't hold it: bind another"
    )]
    ControlCharacter {
        /// Which header.
        header: HeaderName,
        /// Which secret.
        secret: SecretName,
    },
}

impl BuildError {
    /// Stable, for the attempt log.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::OriginNotAllowed { .. } => "destination_not_allowed",
            Self::InsecureUrl { .. } => "url_not_https",
            Self::Unbound { .. } => "secret_not_bound",
            Self::ControlCharacter { .. } => "secret_not_a_header",
        }
    }
}

impl SecretHeader {
    /// The value with the secret in it, marked so that it is not shown.
    ///
    /// # Errors
    /// When there is no such secret, or a header can't hold it.
    pub fn fill_in(&self, secrets: &BoundSecrets) -> Result<HeaderValue, BuildError> {
        let (header, name) = (|| self.name.clone(), || self.secret.clone());
        let secret = secrets
            .get(self.secret.as_str())
            .ok_or_else(|| BuildError::Unbound { header: header(), secret: name() })?;
        let parts = [self.prefix.as_bytes(), secret.expose(), self.suffix.as_bytes()];
        let mut value = HeaderValue::from_bytes(&Zeroizing::new(parts.concat()))
            .map_err(|_| BuildError::ControlCharacter { header: header(), secret: name() })?;
        value.set_sensitive(true);
        Ok(value)
    }
}

/// What to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestBody {
    /// The event's own bytes; nothing was copied.
    Original,
    /// What a plugin or a composition made.
    Replaced(Bytes),
}

impl PreparedRequest {
    /// The event as it came, to the endpoint's own URL.
    #[must_use]
    pub fn original(endpoint: &Endpoint) -> Self {
        Self {
            method: Method::POST,
            url: endpoint.url.clone(),
            made_for: Some(endpoint.address()),
            headers: HeaderMap::new(),
            secret_headers: Vec::new(),
            body: RequestBody::Original,
            part: None,
        }
    }

    /// Whether nothing is sent in the place of the event's body, as by a composed `GET`: nothing has no type.
    fn is_emptied(&self) -> bool {
        matches!(&self.body, RequestBody::Replaced(bytes) if bytes.is_empty())
    }

    /// What it takes in memory beside the event, about.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let body = match &self.body {
            RequestBody::Original => 0,
            RequestBody::Replaced(bytes) => bytes.len(),
        };
        let headers: usize = self.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        body + headers
    }

    /// The body that goes out for this event.
    #[must_use]
    pub fn body_of(&self, event: &Event) -> Bytes {
        match &self.body {
            RequestBody::Original => event.body.clone(),
            RequestBody::Replaced(bytes) => bytes.clone(),
        }
    }
}

/// One signed HTTP request, ready for the transport.
#[derive(Debug, Clone)]
pub struct OutgoingRequest {
    /// The method.
    pub method: Method,
    /// Where to.
    pub url: DeliveryUrl,
    /// All headers but those of the connection (`host`, `content-length`).
    pub headers: HeaderMap,
    /// The signed bytes.
    pub body: Bytes,
}

/// Builds and signs one attempt of `prepared`.
///
/// Precedence of headers, weakest first: ours, the preset's, the endpoint's, the plugin's or composition's, the signature's; the three of
/// Standard Webhooks can't be overridden, since both kinds of custom headers refuse reserved names.
///
/// # Errors
/// When the endpoint's rules refuse the URL, or a secret that a header needs is not bound any more or has become unfit.
pub fn build(
    endpoint: &Endpoint,
    event: &Event,
    prepared: &PreparedRequest,
    secrets: &BoundSecrets,
    now: Moment,
) -> Result<OutgoingRequest, BuildError> {
    check_url(endpoint, &prepared.url)?;
    check_origin(endpoint, &prepared.url)?;
    let policy = endpoint.policy.effective();
    let body = prepared.body_of(event);
    let message_id = message_id(event, prepared.part.as_ref());
    let timestamp = now.wall.as_secs();
    let signature = endpoint.signing.sign(&message_id, timestamp, &body, now.steady);

    let mut headers = HeaderMap::with_capacity(8);
    headers.insert(USER_AGENT, USER_AGENT_VALUE);
    if !prepared.is_emptied() {
        headers.insert(CONTENT_TYPE, event.content_type.header().clone());
    }
    for (name, value) in endpoint.policy.preset().headers() {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    override_with(&mut headers, endpoint.headers.as_map());
    override_with(&mut headers, &prepared.headers);
    for secret_header in &prepared.secret_headers {
        let value = secret_header.fill_in(secrets)?;
        // Values that the plugin appended stay beside it.
        if !prepared.headers.contains_key(&secret_header.name) {
            headers.remove(&secret_header.name);
        }
        headers.append(secret_header.name.clone(), value);
    }
    headers.insert(WEBHOOK_ID, visible(&message_id));
    headers.insert(WEBHOOK_TIMESTAMP, HeaderValue::from(timestamp));
    headers.insert(WEBHOOK_SIGNATURE, visible(&signature));
    let mut request =
        OutgoingRequest { method: prepared.method.clone(), url: prepared.url.clone(), headers, body };
    scheme::sign(&mut request, &policy.signature, endpoint, &message_id, now);
    Ok(request)
}

/// Whether the endpoint's rules let a request go there.
pub(crate) fn check_url(endpoint: &Endpoint, url: &DeliveryUrl) -> Result<(), BuildError> {
    if endpoint.policy.effective().url.admits(url) {
        return Ok(());
    }
    Err(BuildError::InsecureUrl { origin: url.origin().to_string() })
}

/// Whether a request goes where the endpoint's may, whoever made it.
fn check_origin(endpoint: &Endpoint, url: &DeliveryUrl) -> Result<(), BuildError> {
    let origin = url.origin();
    if endpoint.admits_origin(&origin) {
        return Ok(());
    }
    Err(BuildError::OriginNotAllowed { origin: origin.to_string() })
}

/// The `webhook-id` of one message to a receiver. A part's key has no full stop in it, since that separates
/// the fields of the signed content (Standard Webhooks, "Signature scheme").
fn message_id(event: &Event, part: Option<&Name>) -> String {
    match part {
        None => event.id.to_string(),
        Some(part) => format!("{}_{}", event.id, part.as_str().replace('.', "-")),
    }
}

fn override_with(headers: &mut HeaderMap, stronger: &HeaderMap) {
    for name in stronger.keys() {
        headers.remove(name);
    }
    for (name, value) in stronger {
        headers.append(name.clone(), value.clone());
    }
}

fn visible(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("ids and signatures are visible ASCII")
}

/// Whether neither an operator nor a plugin may set this header: it belongs to the connection, to the signature,
/// or it opens the metadata service of a cloud.
#[must_use]
pub fn header_is_reserved(name: &HeaderName) -> bool {
    const RESERVED: [&str; 11] = [
        "connection",
        "content-length",
        "expect",
        "keep-alive",
        "metadata",
        "metadata-flavor",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "via",
    ];
    const RESERVED_PREFIXES: [&str; 4] = ["webhook-", "svix-", "proxy-", "x-aws-ec2-metadata-token"];
    let text = name.as_str();
    name == HOST
        || RESERVED.contains(&text)
        || RESERVED_PREFIXES.iter().any(|prefix| text.starts_with(prefix))
}

#[cfg(test)]
mod tests;
