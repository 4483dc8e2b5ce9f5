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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::endpoint::CustomHeaders;
    use crate::signature::{SignedMessage, verify};
    use crate::test_values::{endpoint, event};

    const NOW: UnixMillis = UnixMillis(1_800_000_000_999);

    fn header<'a>(request: &'a OutgoingRequest, name: &str) -> Vec<&'a str> {
        request.headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect()
    }

    #[test]
    fn an_event_goes_out_as_it_came_and_verifies() {
        let endpoint = endpoint("https://receiver.example/hook");
        let event = event(br#"{"a":  1}"#);
        let request = build(&endpoint, &event, &PreparedRequest::original(&endpoint), NOW);
        assert_eq!(
            (request.method.as_str(), request.url.as_str()),
            ("POST", "https://receiver.example/hook")
        );
        assert_eq!(request.body, event.body);
        assert_eq!(header(&request, "content-type"), ["application/json"]);
        assert_eq!(header(&request, "webhook-id"), [event.id.to_string()]);
        assert_eq!(header(&request, "webhook-timestamp"), ["1800000000"]);
        let message = SignedMessage {
            id: header(&request, "webhook-id")[0],
            timestamp: header(&request, "webhook-timestamp")[0],
            signatures: header(&request, "webhook-signature")[0],
            body: &request.body,
        };
        let keys: Vec<_> = endpoint.signing.active(NOW).map(|key| key.verifying_key()).collect();
        assert_eq!(verify(&keys, &message, NOW, Duration::from_secs(1)), Ok(()));
    }

    #[test]
    fn headers_of_the_plugin_win_over_the_endpoints_and_those_over_ours() {
        let mut endpoint = endpoint("https://receiver.example/");
        let own: [(&str, &[u8]); 3] =
            [("x-a", b"endpoint"), ("x-b", b"endpoint"), ("content-type", b"text/endpoint")];
        endpoint.headers = CustomHeaders::new(own).unwrap();
        let mut prepared = PreparedRequest::original(&endpoint);
        prepared.headers.append("x-b", HeaderValue::from_static("plugin 1"));
        prepared.headers.append("x-b", HeaderValue::from_static("plugin 2"));
        let request = build(&endpoint, &event(b"{}"), &prepared, NOW);
        let check = |name: &str, expect: &[&str]| assert_eq!(header(&request, name), expect, "{name}");
        check("x-a", &["endpoint"]);
        check("x-b", &["plugin 1", "plugin 2"]);
        check("content-type", &["text/endpoint"]);
    }

    #[test]
    fn a_part_has_an_id_of_its_own_without_full_stops() {
        let endpoint = endpoint("https://receiver.example/");
        let event = event(b"{}");
        let part = Some("line.1".parse().unwrap());
        let prepared = PreparedRequest { part, ..PreparedRequest::original(&endpoint) };
        let request = build(&endpoint, &event, &prepared, NOW);
        assert_eq!(header(&request, "webhook-id"), [format!("{}_line-1", event.id)]);
    }

    #[test]
    fn reserved_headers_are_those_of_the_connection_the_signature_and_the_cloud() {
        let check = |name: &'static str, reserved: bool| {
            assert_eq!(header_is_reserved(&HeaderName::from_static(name)), reserved, "{name}");
        };
        check("host", true);
        check("content-length", true);
        check("transfer-encoding", true);
        check("proxy-authorization", true);
        check("webhook-signature", true);
        check("svix-id", true);
        check("metadata-flavor", true);
        check("x-aws-ec2-metadata-token-ttl-seconds", true);
        check("authorization", false);
        check("content-type", false);
        check("user-agent", false);
        check("x-webhook-signature", false);
    }
}
