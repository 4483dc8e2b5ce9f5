//! What is asked, and which answers count.

use super::*;
use crate::attempt::TransportFailure;
use crate::endpoint::CustomHeaders;
use crate::policy::{Overrides, Policy};
use crate::preset::Preset;
use crate::signature::{SignedMessage, TIMESTAMP_TOLERANCE_DEFAULT, verify};
use crate::test_values::endpoint;
use crate::time::UnixMillis;

const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
const URL: &str = "https://receiver.example/hook";

fn challenge() -> Handshake {
    Handshake::challenge(EventId::new(NOW, 5), &[0xfb; CHALLENGE_BYTES])
}

fn cloud_events(terms: &DeliveryPolicy) -> Handshake {
    Handshake::cloud_events("Hooks.Example.com".parse().unwrap(), terms)
}

fn terms(rate: Option<(u16, u16)>) -> DeliveryPolicy {
    let rate = rate.map(|(deliveries, period)| Rate::new(deliveries, period).unwrap());
    DeliveryPolicy { rate, ..Policy::default().effective().clone() }
}

fn answered(status: u16, headers: &[(&str, &str)], body: &str) -> Outcome {
    let field = |(name, value): &(&str, &str)| (name.parse().unwrap(), value.parse().unwrap());
    Outcome::Answered {
        status,
        retry_after: None,
        headers: headers.iter().map(field).collect::<HeaderMap>(),
        body: Bytes::copy_from_slice(body.as_bytes()),
    }
}

fn header<'a>(request: &'a OutgoingRequest, name: &str) -> &'a str {
    request.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
}

#[test]
fn a_challenge_is_signed_like_any_delivery() {
    let endpoint = endpoint(URL);
    let request = challenge().request(&endpoint, Moment::undisturbed(NOW)).unwrap();
    assert_eq!((request.method.clone(), request.url.as_str()), (Method::POST, URL));
    let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
    let text = "-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_s";
    assert_eq!(body, json!({ "type": "webhook.verification", "challenge": text }));
    assert_eq!(header(&request, "content-type"), "application/json");
    let message = SignedMessage {
        id: header(&request, "webhook-id"),
        timestamp: header(&request, "webhook-timestamp"),
        signatures: header(&request, "webhook-signature"),
        body: &request.body,
    };
    let keys = [endpoint.signing.current().verifying_key()];
    assert_eq!(verify(&keys, &message, NOW, TIMESTAMP_TOLERANCE_DEFAULT), Ok(()));
}

#[test]
fn a_challenge_is_to_be_echoed_exactly() {
    let handshake = challenge();
    let Handshake::Challenge { challenge, .. } = &handshake else { panic!() };
    let check = |status: u16, body: &str, expect: Result<(), &str>| {
        let judged = handshake.judge(&answered(status, &[], body), &terms(None));
        assert_eq!(judged.as_ref().map(|_| ()).map_err(Refusal::code), expect, "{status} {body}");
    };
    check(200, challenge, Ok(()));
    check(202, challenge, Ok(()));
    check(200, &json!({ "challenge": challenge, "more": 1 }).to_string(), Ok(()));
    check(200, "", Err("challenge_not_echoed"));
    check(200, &format!("{challenge}x"), Err("challenge_not_echoed"));
    check(200, &challenge[1..], Err("challenge_not_echoed"));
    check(200, &challenge.to_ascii_uppercase(), Err("challenge_not_echoed"));
    check(200, &json!({ "Challenge": challenge }).to_string(), Err("challenge_not_echoed"));
    check(200, &json!([challenge]).to_string(), Err("challenge_not_echoed"));
    check(200, &"[".repeat(10_000), Err("challenge_not_echoed"));
    // What is JSON here is JSON as for events.
    let deep = format!(
        r#"{{"deep":{}1{},"cut":"\ud83d","challenge":"{challenge}"}}"#,
        "[".repeat(200),
        "]".repeat(200)
    );
    check(200, &deep, Ok(()));
    check(302, challenge, Err("status"));
    check(500, challenge, Err("status"));
    let only_200 = DeliveryPolicy { success: crate::policy::SuccessRule::Only200, ..terms(None) };
    assert_eq!(
        handshake.judge(&answered(202, &[], challenge), &only_200),
        Err(Refusal::Status { status: 202 })
    );
}

#[test]
fn options_names_the_router_and_the_rate_and_signs_nothing() {
    let check = |rate: Option<(u16, u16)>, expect: &str| {
        let mut endpoint = endpoint(URL);
        endpoint.headers = CustomHeaders::new([("authorization", b"Bearer abc".as_slice())]).unwrap();
        let request = cloud_events(&terms(rate)).request(&endpoint, Moment::undisturbed(NOW)).unwrap();
        assert_eq!((request.method.clone(), request.body.len()), (Method::OPTIONS, 0));
        assert_eq!(header(&request, "webhook-request-origin"), "hooks.example.com");
        assert_eq!(header(&request, "webhook-request-rate"), expect);
        assert_eq!(header(&request, "authorization"), "Bearer abc");
        assert!(header(&request, "user-agent").starts_with("Hookmill/"));
        assert!(!request.headers.contains_key("webhook-signature"));
    };
    check(None, "120");
    check(Some((5, 1)), "300");
    check(Some((100, 60)), "100");
    check(Some((1, 3600)), "1");
}

#[test]
fn consent_is_an_origin_and_a_rate() {
    let check = |rate: Option<(u16, u16)>, headers: &[(&str, &str)], expect: Result<Option<u16>, &str>| {
        let terms = terms(rate);
        let judged = cloud_events(&terms).judge(&answered(204, headers, ""), &terms);
        let judged = judged.as_ref().map(|consent| consent.rate).map_err(Refusal::code);
        let expect = expect.map(|rate| rate.map(|rate| Rate::new(rate, 60).unwrap()));
        assert_eq!(judged, expect, "{rate:?} {headers:?}");
    };
    let (origin, allowed) = ("webhook-allowed-origin", "webhook-allowed-rate");
    check(None, &[(origin, "hooks.example.com"), (allowed, "*")], Ok(None));
    check(None, &[(origin, "*"), (allowed, "120")], Ok(Some(120)));
    check(None, &[(origin, "HOOKS.example.com"), (allowed, "70000")], Ok(Some(65535)));
    check(Some((2, 1)), &[(origin, "*"), (allowed, "120")], Ok(None));
    check(Some((2, 1)), &[(origin, "*"), (allowed, "119")], Ok(Some(119)));
    check(Some((2, 1)), &[(origin, "*"), (allowed, "99999999999999999999999")], Ok(None));
    check(Some((1, 3600)), &[(origin, "*"), (allowed, "1")], Ok(None));
    check(None, &[], Err("origin_not_allowed"));
    check(None, &[(allowed, "*")], Err("origin_not_allowed"));
    check(None, &[(origin, "other.example.com"), (allowed, "*")], Err("origin_not_allowed"));
    check(None, &[(origin, "*")], Err("rate_not_allowed"));
    for wrong in ["0", "-1", "+5", "1.5", "many", ""] {
        check(None, &[(origin, "*"), (allowed, wrong)], Err("rate_not_allowed"));
    }
}

#[test]
fn a_refusal_has_a_diagnosis_of_its_own() {
    let handshake = challenge();
    let check = |outcome: &Outcome, expect: &str| {
        let refusal = handshake.judge(outcome, &terms(None)).unwrap_err();
        assert_eq!(refusal.diagnosis().code, expect, "{refusal}");
    };
    check(
        &Outcome::failed(TransportFailure::TlsFailed, "invalid peer certificate: UnknownIssuer"),
        "tls_unknown_issuer",
    );
    check(&answered(405, &[], ""), "method_not_allowed");
    check(&answered(200, &[], "ok"), "challenge_not_echoed");
}

#[test]
fn the_rule_of_https_holds_for_handshakes_too() {
    let mut endpoint = endpoint("http://receiver.example/");
    endpoint.policy = Policy::new(Preset::Conversation, Overrides::default());
    for handshake in [challenge(), cloud_events(&terms(None))] {
        assert_eq!(
            handshake.request(&endpoint, Moment::undisturbed(NOW)).unwrap_err().code(),
            "url_not_https"
        );
    }
}

#[test]
fn an_origin_is_a_dns_name() {
    let check =
        |text: &str, valid: bool| assert_eq!(text.parse::<RequestOrigin>().is_ok(), valid, "{text:?}");
    check("hooks.example.com", true);
    check("hookmill", true);
    check(&RequestOrigin::default().to_string(), true);
    check("", false);
    check("a..b", false);
    check("https://example.com", false);
    check("a\r\nx-injected: 1", false);
    check("*", false);
    check(&"a".repeat(254), false);
}

#[test]
fn codes_read_back() {
    for method in HandshakeMethod::ALL {
        assert_eq!(HandshakeMethod::from_code(method.code()), Some(method));
    }
    assert_eq!(HandshakeMethod::from_code("none"), None);
}
