//! From an event to the bytes on the wire.
//!
//! A [`PreparedRequest`] is what a delivery wants to send: the event as it came, or what a plugin or a composition made
//! of it. It is what is kept for retries, sealed, since a composed one may hold a token; a plugin's names secrets without
//! holding them. [`build`] adds, for one attempt, the secrets, the endpoint's own headers, the identity of the message, a
//! fresh timestamp and the signature; after that nothing changes the bytes.

use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue, USER_AGENT};
use http::{HeaderMap, Method};
use sha2::Sha256;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::address::DeliveryUrl;
use crate::endpoint::Endpoint;
use crate::event::{Event, Name};
use crate::plugin::{BoundSecrets, SecretName};
use crate::policy::{BodyHmacKey, SignatureScheme};
use crate::signature::{SigningKey, http_message};
use crate::time::UnixMillis;

/// Standard Webhooks: the message's identity, the same for all of its attempts.
pub const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
/// Standard Webhooks: seconds since 1970 of this attempt.
pub const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
/// Standard Webhooks: space-separated signatures.
pub const WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");
/// RFC 9530: a hash of the body.
const CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");
/// RFC 9421: what is signed.
const SIGNATURE_INPUT: HeaderName = HeaderName::from_static("signature-input");
/// RFC 9421: signatures by label.
const SIGNATURE: HeaderName = HeaderName::from_static("signature");
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
    now: UnixMillis,
) -> Result<OutgoingRequest, BuildError> {
    check_url(endpoint, &prepared.url)?;
    let policy = endpoint.policy.effective();
    let body = prepared.body_of(event);
    let message_id = message_id(event, prepared.part.as_ref());
    let timestamp = now.as_secs();
    let signature = endpoint.signing.sign(&message_id, timestamp, &body, now);

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
    match &policy.signature {
        SignatureScheme::Standard => {}
        SignatureScheme::BodyHmac { header, key } => {
            if let Some(signature) = body_hmac(endpoint, *key, &request.body) {
                request.headers.insert(header.clone(), visible(&signature));
            }
        }
        SignatureScheme::HttpMessage => sign_http_message(&mut request, endpoint, &message_id, now),
    }
    Ok(request)
}

/// Whether the endpoint's rules let a request go there.
pub(crate) fn check_url(endpoint: &Endpoint, url: &DeliveryUrl) -> Result<(), BuildError> {
    if endpoint.policy.effective().url.admits(url) {
        return Ok(());
    }
    Err(BuildError::InsecureUrl { origin: url.origin().to_string() })
}

/// One header can hold one signature, so during a rotation it is the new key's.
fn body_hmac(endpoint: &Endpoint, key: BodyHmacKey, body: &[u8]) -> Option<String> {
    let signing_key = endpoint.signing.current();
    let key = match key {
        BodyHmacKey::Secret => signing_key.shared_secret().map(|_| signing_key.to_text())?,
        BodyHmacKey::EndpointId => Zeroizing::new(endpoint.public_id()),
    };
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(body);
    Some(hex::encode(mac.finalize().into_bytes()))
}

/// A signature for each active shared key, labelled `sig1`, `sig2` and so on, the current one's first.
fn sign_http_message(request: &mut OutgoingRequest, endpoint: &Endpoint, message_id: &str, now: UnixMillis) {
    let digest = http_message::content_digest(&request.body);
    let url = request.url.as_url();
    let authority = authority(&request.url);
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_else(|| "?".to_owned());
    let components = [
        ("@method", request.method.as_str()),
        ("@authority", authority.as_str()),
        ("@path", url.path()),
        ("@query", query.as_str()),
        ("content-digest", digest.as_str()),
        ("webhook-id", message_id),
    ];
    let (mut inputs, mut signatures) = (Vec::new(), Vec::new());
    let secrets = endpoint.signing.active(now).filter_map(SigningKey::shared_secret);
    for (label, secret) in (1..).zip(secrets) {
        let signed = http_message::sign(secret, &endpoint.public_id(), now.as_secs(), &components);
        inputs.push(format!("sig{label}={}", signed.input));
        signatures.push(format!("sig{label}={}", signed.signature));
    }
    request.headers.insert(CONTENT_DIGEST, visible(&digest));
    request.headers.insert(SIGNATURE_INPUT, visible(&inputs.join(", ")));
    request.headers.insert(SIGNATURE, visible(&signatures.join(", ")));
}

/// The host, with the port where it is not the scheme's own (RFC 9421, section 2.2.3).
fn authority(url: &DeliveryUrl) -> String {
    let host = url.host();
    url.as_url().port().map_or_else(|| host.to_string(), |port| format!("{host}:{port}"))
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
    use crate::plugin::Secret;
    use crate::policy::{Overrides, Policy};
    use crate::preset::Preset;
    use crate::signature::{SignedMessage, verify};
    use crate::test_values::{endpoint, event};

    const NOW: UnixMillis = UnixMillis(1_800_000_000_999);

    fn none() -> BoundSecrets {
        BoundSecrets::default()
    }

    fn secrets(values: &[(&str, &str)]) -> BoundSecrets {
        let secret = |value: &str| Secret::new(Zeroizing::new(value.as_bytes().to_vec())).unwrap();
        values.iter().map(|(name, value)| (name.parse().unwrap(), secret(value))).collect()
    }

    fn secret_header(name: &'static str, prefix: &'static str, secret: &str) -> SecretHeader {
        SecretHeader {
            name: HeaderName::from_static(name),
            prefix: HeaderValue::from_static(prefix),
            secret: secret.parse().unwrap(),
            suffix: HeaderValue::from_static(""),
        }
    }

    fn header<'a>(request: &'a OutgoingRequest, name: &str) -> Vec<&'a str> {
        request.headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect()
    }

    #[test]
    fn an_event_goes_out_as_it_came_and_verifies() {
        let endpoint = endpoint("https://receiver.example/hook");
        let event = event(br#"{"a":  1}"#);
        let request = build(&endpoint, &event, &PreparedRequest::original(&endpoint), &none(), NOW).unwrap();
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
        let request = build(&endpoint, &event(b"{}"), &prepared, &none(), NOW).unwrap();
        let check = |name: &str, expect: &[&str]| assert_eq!(header(&request, name), expect, "{name}");
        check("x-a", &["endpoint"]);
        check("x-b", &["plugin 1", "plugin 2"]);
        check("content-type", &["text/endpoint"]);
    }

    #[test]
    fn secrets_are_filled_in_when_the_request_is_built_and_never_shown() {
        let mut endpoint = endpoint("https://receiver.example/");
        endpoint.headers = CustomHeaders::new([("authorization", b"endpoint".as_slice())]).unwrap();
        let mut prepared = PreparedRequest::original(&endpoint);
        prepared.secret_headers.push(secret_header("authorization", "Bearer ", "token"));
        prepared.secret_headers.push(secret_header("x-b", "", "token"));
        prepared.headers.append("x-b", HeaderValue::from_static("beside"));
        let event = event(b"{}");
        let request = build(&endpoint, &event, &prepared, &secrets(&[("token", "s3cret")]), NOW).unwrap();
        assert_eq!(header(&request, "authorization"), ["Bearer s3cret"]);
        assert_eq!(header(&request, "x-b"), ["beside", "s3cret"]);
        assert!(!format!("{request:?} {prepared:?}").contains("s3cret"));
    }

    #[test]
    fn a_secret_that_is_gone_or_unfit_is_named_and_not_shown() {
        let endpoint = endpoint("https://receiver.example/");
        let mut prepared = PreparedRequest::original(&endpoint);
        prepared.secret_headers.push(secret_header("authorization", "Bearer ", "token"));
        let check = |bound: &[(&str, &str)], code: &str| {
            let error = build(&endpoint, &event(b"{}"), &prepared, &secrets(bound), NOW).unwrap_err();
            assert_eq!(error.code(), code);
            let text = error.to_string();
            assert!(text.contains("`token`") && text.contains("authorization"), "{text}");
            assert!(!text.contains("s3cret"), "{text}");
        };
        check(&[("other", "s3cret")], "secret_not_bound");
        check(&[("token", "s3cret\r\nx-injected: 1")], "secret_not_a_header");
    }

    fn built(preset: Preset, change: impl FnOnce(&mut Endpoint)) -> OutgoingRequest {
        let mut endpoint = endpoint("https://receiver.example/hook?a=1");
        endpoint.policy = Policy::new(preset, Overrides::default());
        change(&mut endpoint);
        build(&endpoint, &event(b"{}"), &PreparedRequest::original(&endpoint), &none(), NOW).unwrap()
    }

    fn hex_hmac(key: &str) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
        mac.update(b"{}");
        hex::encode(mac.finalize().into_bytes())
    }

    #[test]
    fn mifumo_signs_the_body_with_the_secrets_text() {
        let endpoint = endpoint("https://receiver.example/");
        let request = built(Preset::Mifumo, |_| {});
        let expect = hex_hmac(&endpoint.signing.current().to_text());
        assert_eq!(header(&request, "x-webhook-signature"), [expect]);
        assert_eq!(header(&request, "webhook-signature").len(), 1, "Standard Webhooks' is there as well");
    }

    #[test]
    fn whatsapp_signs_the_body_with_the_webhooks_id() {
        let id = endpoint("https://receiver.example/").id.to_string();
        assert_eq!(header(&built(Preset::Whatsapp, |_| {}), "signature"), [hex_hmac(&id)]);
        let named = built(Preset::Whatsapp, |endpoint| endpoint.uid = Some("hook-7".parse().unwrap()));
        assert_eq!(header(&named, "signature"), [hex_hmac("hook-7")]);
    }

    #[test]
    fn http_message_signatures_cover_where_what_and_which() {
        let overrides = Overrides { signature: Some(SignatureScheme::HttpMessage), ..Overrides::default() };
        let request = built(Preset::Standard, |endpoint| {
            endpoint.policy = Policy::new(Preset::Standard, overrides);
            let second = SigningKey::generate_symmetric(&[8; 32]).unwrap();
            endpoint.signing.rotate(second, NOW, Duration::from_secs(60)).unwrap();
        });
        let digest = header(&request, "content-digest")[0];
        let id = header(&request, "webhook-id")[0];
        let components = [
            ("@method", "POST"),
            ("@authority", "receiver.example"),
            ("@path", "/hook"),
            ("@query", "?a=1"),
            ("content-digest", digest),
            ("webhook-id", id),
        ];
        let key_id = endpoint("https://receiver.example/").id.to_string();
        let signed = |key: u8| http_message::sign(&[key; 32], &key_id, NOW.as_secs(), &components);
        let expect = |part: fn(&http_message::HttpMessageSignature) -> &String| {
            format!("sig1={}, sig2={}", part(&signed(8)), part(&signed(7)))
        };
        assert_eq!(header(&request, "signature-input"), [expect(|signed| &signed.input)]);
        assert_eq!(header(&request, "signature"), [expect(|signed| &signed.signature)]);
        assert_eq!(digest, http_message::content_digest(b"{}"));
    }

    #[test]
    fn an_endpoint_of_https_only_gets_nothing_over_http() {
        let mut endpoint = endpoint("https://receiver.example/");
        endpoint.policy = Policy::new(Preset::Conversation, Overrides::default());
        let url = DeliveryUrl::parse("http://receiver.example/").unwrap();
        let prepared = PreparedRequest { url, ..PreparedRequest::original(&endpoint) };
        let error = build(&endpoint, &event(b"{}"), &prepared, &none(), NOW).unwrap_err();
        assert_eq!(error.code(), "url_not_https");
        assert!(error.to_string().contains("http://receiver.example"), "{error}");
    }

    #[test]
    fn a_part_has_an_id_of_its_own_without_full_stops() {
        let endpoint = endpoint("https://receiver.example/");
        let event = event(b"{}");
        let part = Some("line.1".parse().unwrap());
        let prepared = PreparedRequest { part, ..PreparedRequest::original(&endpoint) };
        let request = build(&endpoint, &event, &prepared, &none(), NOW).unwrap();
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
