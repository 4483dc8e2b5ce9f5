//! From an event to the bytes on the wire.
//!
//! A [`PreparedRequest`] is what a delivery wants to send: the event as it came, or what a plugin made of it. It
//! is what is kept for retries. [`build`] adds, for one attempt, the endpoint's own headers, the identity of the
//! message, a fresh timestamp and the signature; after that nothing changes the bytes.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue, USER_AGENT};
use http::{HeaderMap, Method};

use crate::address::DeliveryUrl;
use crate::endpoint::Endpoint;
use crate::event::{Event, Name};
use crate::time::UnixMillis;

/// Standard Webhooks: the message's identity, the same for all of its attempts.
pub const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
/// Standard Webhooks: seconds since 1970 of this attempt.
pub const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
/// Standard Webhooks: space-separated signatures.
pub const WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");
/// Who sends.
const USER_AGENT_VALUE: HeaderValue =
    HeaderValue::from_static(concat!("Hookmill/", env!("CARGO_PKG_VERSION"), " (webhooks)"));

/// What a delivery wants to send, before it is signed.
#[derive(Debug, Clone, PartialEq)]
pub struct PreparedRequest {
    /// The method, `POST` unless a plugin says otherwise.
    pub method: Method,
    /// Where to.
    pub url: DeliveryUrl,
    /// Headers that the plugin set; they win over the endpoint's own.
    pub headers: HeaderMap,
    /// What to send.
    pub body: RequestBody,
    /// Tells the requests of one event apart, for the receiver's deduplication.
    pub part: Option<Name>,
}

/// What to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestBody {
    /// The event's own bytes; nothing was copied.
    Original,
    /// What a plugin made.
    Replaced(Bytes),
}

impl PreparedRequest {
    /// The event as it came, to the endpoint's own URL.
    #[must_use]
    pub fn original(endpoint: &Endpoint) -> Self {
        Self {
            method: Method::POST,
            url: endpoint.url.clone(),
            headers: HeaderMap::new(),
            body: RequestBody::Original,
            part: None,
        }
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
/// Precedence of headers, weakest first: ours, the endpoint's, the plugin's; the three of Standard Webhooks
/// can't be overridden, since both kinds of custom headers refuse reserved names.
#[must_use]
pub fn build(
    endpoint: &Endpoint,
    event: &Event,
    prepared: &PreparedRequest,
    now: UnixMillis,
) -> OutgoingRequest {
    let body = prepared.body_of(event);
    let message_id = message_id(event, prepared.part.as_ref());
    let timestamp = now.as_secs();
    let signature = endpoint.signing.sign(&message_id, timestamp, &body, now);

    let mut headers = HeaderMap::with_capacity(8);
    headers.insert(USER_AGENT, USER_AGENT_VALUE);
    headers.insert(CONTENT_TYPE, event.content_type.header().clone());
    override_with(&mut headers, endpoint.headers.as_map());
    override_with(&mut headers, &prepared.headers);
    headers.insert(WEBHOOK_ID, visible(&message_id));
    headers.insert(WEBHOOK_TIMESTAMP, HeaderValue::from(timestamp));
    headers.insert(WEBHOOK_SIGNATURE, visible(&signature));
    OutgoingRequest { method: prepared.method.clone(), url: prepared.url.clone(), headers, body }
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
