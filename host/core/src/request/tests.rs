//! What goes out, for each kind of request and signature.

use std::time::Duration;

use super::*;
use crate::endpoint::CustomHeaders;
use crate::plugin::Secret;
use crate::policy::{Overrides, Policy, SignatureScheme};
use crate::preset::Preset;
use crate::signature::mac::Algorithm;
use crate::signature::{SignedMessage, SigningKey, http_message, verify};
use crate::test_values::{endpoint, event};
use crate::time::UnixMillis;

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
    let request =
        build(&endpoint, &event, &PreparedRequest::original(&endpoint), &none(), Moment::undisturbed(NOW))
            .unwrap();
    assert_eq!((request.method.as_str(), request.url.as_str()), ("POST", "https://receiver.example/hook"));
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
    let request = build(&endpoint, &event(b"{}"), &prepared, &none(), Moment::undisturbed(NOW)).unwrap();
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
    let request =
        build(&endpoint, &event, &prepared, &secrets(&[("token", "s3cret")]), Moment::undisturbed(NOW))
            .unwrap();
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
        let error = build(&endpoint, &event(b"{}"), &prepared, &secrets(bound), Moment::undisturbed(NOW))
            .unwrap_err();
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
    build(&endpoint, &event(b"{}"), &PreparedRequest::original(&endpoint), &none(), Moment::undisturbed(NOW))
        .unwrap()
}

fn hex_hmac(key: &str) -> String {
    hex::encode(Algorithm::Sha256.mac(key.as_bytes(), &[b"{}"]))
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
    // What creation answered as `id`, not the name that its owner gave it.
    assert_eq!(header(&named, "signature"), [hex_hmac(&id)]);
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
    let error = build(&endpoint, &event(b"{}"), &prepared, &none(), Moment::undisturbed(NOW)).unwrap_err();
    assert_eq!(error.code(), "url_not_https");
    assert!(error.to_string().contains("http://receiver.example"), "{error}");
}

#[test]
fn a_part_has_an_id_of_its_own_without_full_stops() {
    let endpoint = endpoint("https://receiver.example/");
    let event = event(b"{}");
    let part = Some("line.1".parse().unwrap());
    let prepared = PreparedRequest { part, ..PreparedRequest::original(&endpoint) };
    let request = build(&endpoint, &event, &prepared, &none(), Moment::undisturbed(NOW)).unwrap();
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

#[test]
fn an_overlap_of_keys_is_as_long_whatever_the_wall_clock_is_set_to() {
    let mut endpoint = endpoint("https://receiver.example/hook");
    let new = SigningKey::generate_symmetric(&[9; 32]).unwrap();
    let hour = Duration::from_secs(3600);
    endpoint.signing.rotate(new, NOW, hour).unwrap();
    let signatures = |wall: UnixMillis, steady: UnixMillis| {
        let now = Moment { wall, steady };
        let request =
            build(&endpoint, &event(b"{}"), &PreparedRequest::original(&endpoint), &none(), now).unwrap();
        request.headers[WEBHOOK_SIGNATURE].to_str().unwrap().split(' ').count()
    };
    let day = 24 * hour;
    assert_eq!(signatures(NOW.after(day), NOW.after(hour / 2)), 2);
    assert_eq!(signatures(NOW.before(day), NOW.after(hour)), 1);
}
