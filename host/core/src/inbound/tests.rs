//! The providers' own vectors, and what any signer signs.

use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use proptest::prelude::*;
use serde_json::Value;
use zeroize::Zeroizing;

use super::hmac::{Algorithm, Encoding};
use super::*;
use crate::signature::{SigningKey, SigningKeys};

const NOW: UnixMillis = UnixMillis(1_795_309_323_004);
const WINDOW: Duration = Duration::from_secs(300);
const URL: &str = "https://hooks.example/in/source?a=1";
const SVIX_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// What `Stripe-Signature` may hold beside the time and the true signature: one by another secret, one of another scheme.
const STRIPE_DECOYS: [&str; 2] =
    ["v1=abababababababababababababababababababababababababababababababab", "v0=00"];

fn secret(text: &str) -> Secret {
    Secret::new(Zeroizing::new(text.as_bytes().to_vec())).unwrap()
}

/// A request that owns its parts, so that a test can change them.
#[derive(Debug, Clone, Default)]
struct Specimen {
    url: String,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Specimen {
    fn new(body: &[u8]) -> Self {
        Self { url: URL.to_owned(), headers: HeaderMap::new(), body: body.to_vec() }
    }

    fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.insert(name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap());
        self
    }

    fn look<T>(&self, look: impl FnOnce(&SignedRequest<'_>) -> T) -> T {
        look(&SignedRequest::new(&Method::POST, &self.url, &self.headers, &self.body))
    }

    fn verify(&self, verifier: &Verifier, secrets: &[&Secret], now: UnixMillis) -> Result<(), Refusal> {
        self.look(|request| verify(verifier, secrets, request, now, WINDOW))
    }

    fn code(&self, verifier: &Verifier, secrets: &[&Secret], now: UnixMillis) -> &'static str {
        self.verify(verifier, secrets, now).map_or_else(|refusal| refusal.code(), |()| "ok")
    }
}

fn vectors() -> Value {
    let text = include_str!("../../../../tests/data/vectors/signatures.json");
    let mut vectors: Value = serde_json::from_str(text).unwrap();
    vectors["inbound"].take()
}

#[test]
fn the_published_vectors_verify() {
    let vectors = vectors();
    let of = |provider: &str| vectors[provider]["vectors"].as_array().unwrap().clone();
    let text = |vector: &Value, field: &str| vector[field].as_str().unwrap().to_owned();

    for vector in of("github") {
        let specimen = Specimen::new(text(&vector, "body").as_bytes())
            .header("X-Hub-Signature-256", &text(&vector, "signature"));
        assert_eq!(specimen.verify(&Verifier::GitHub, &[&secret(&text(&vector, "secret"))], NOW), Ok(()));
    }
    for vector in of("slack") {
        let timestamp = vector["timestamp"].as_u64().unwrap();
        let specimen = Specimen::new(text(&vector, "body").as_bytes())
            .header("X-Slack-Signature", &text(&vector, "signature"))
            .header("X-Slack-Request-Timestamp", &timestamp.to_string());
        let secret = secret(&text(&vector, "secret"));
        let check = |now: u64, expect: &str| {
            let now = UnixMillis(now * 1000);
            assert_eq!(specimen.code(&Verifier::Slack, &[&secret], now), expect, "{now}");
        };
        check(timestamp, "ok");
        check(timestamp + 300, "ok");
        check(timestamp + 301, "timestamp_outside_window");
        check(timestamp - 301, "timestamp_outside_window");
    }
    for vector in of("twilio") {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in vector["params"].as_object().unwrap() {
            form.append_pair(name, value.as_str().unwrap());
        }
        let mut specimen = Specimen::new(form.finish().as_bytes())
            .header("Content-Type", "application/x-www-form-urlencoded; charset=UTF-8")
            .header("X-Twilio-Signature", &text(&vector, "signature"));
        let secret = secret(&text(&vector, "token"));
        for (from, to) in [("", ""), ("mycompany.com", "mycompany.com:443")] {
            specimen.url = text(&vector, "url").replace(from, to);
            assert_eq!(specimen.verify(&Verifier::Twilio, &[&secret], NOW), Ok(()), "{}", specimen.url);
        }
        specimen.url = text(&vector, "url").replace("https", "http");
        assert_eq!(specimen.code(&Verifier::Twilio, &[&secret], NOW), "signature_mismatch");
    }
}

#[test]
fn a_json_body_for_twilio_is_covered_by_its_hash_in_the_address() {
    // The example of Twilio's own snippets, without the token that it does not name.
    let body = br#"{"CallSid":"CA1","Caller":"+12349013030"}"#;
    let hash = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(body));
    let token = secret("12345");
    let check = |url: &str, body: &[u8], expect: &str| {
        let signature = Algorithm::Sha1.sign(token.expose(), &[url.as_bytes()]);
        let mut specimen = Specimen::new(body)
            .header("content-type", "application/json")
            .header("x-twilio-signature", &Encoding::Base64.encode(&signature));
        specimen.url = url.to_owned();
        assert_eq!(specimen.code(&Verifier::Twilio, &[&token], NOW), expect, "{url}");
    };
    check(&format!("https://a.example/x?bodySHA256={hash}"), body, "ok");
    check(&format!("https://a.example/x?b=1&bodySHA256={}", hash.to_uppercase()), body, "ok");
    check(&format!("https://a.example/x?bodySHA256={hash}"), b"{}", "body_not_signed");
    check("https://a.example/x", body, "body_not_signed");
    check("https://a.example/x", b"", "ok");
}

/// Signs as the provider does.
fn signed(verifier: &Verifier, secret: &str, timestamp: u64, body: &[u8]) -> Specimen {
    let time = timestamp.to_string();
    let hex_of = |algorithm: Algorithm, parts: &[&[u8]]| {
        Encoding::Hex.encode(&algorithm.sign(secret.as_bytes(), parts))
    };
    let sha256 = |parts: &[&[u8]]| hex_of(Algorithm::Sha256, parts);
    let specimen = Specimen::new(body);
    match verifier {
        Verifier::GitHub => specimen.header("x-hub-signature-256", &format!("sha256={}", sha256(&[body]))),
        Verifier::Shopify => {
            let signature = Algorithm::Sha256.sign(secret.as_bytes(), &[body]);
            specimen.header("x-shopify-hmac-sha256", &Encoding::Base64.encode(&signature))
        }
        Verifier::Slack => specimen
            .header("x-slack-request-timestamp", &time)
            .header("x-slack-signature", &format!("v0={}", sha256(&[b"v0:", time.as_bytes(), b":", body]))),
        Verifier::Stripe => {
            let signature = sha256(&[time.as_bytes(), b".", body]);
            let [former, scheme] = STRIPE_DECOYS;
            specimen.header("stripe-signature", &format!("t={time},{former},v1={signature},{scheme}"))
        }
        Verifier::Twilio => {
            let mut specimen = specimen;
            let hash = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(body));
            specimen.url = format!("{URL}&bodySHA256={hash}");
            let signature = Algorithm::Sha1.sign(secret.as_bytes(), &[specimen.url.as_bytes()]);
            specimen.header("x-twilio-signature", &Encoding::Base64.encode(&signature))
        }
        Verifier::Mailgun => {
            let signature = sha256(&[time.as_bytes(), b"token"]);
            let body = serde_json::json!({
                "signature": { "timestamp": time, "token": "token", "signature": signature },
                "event-data": { "id": hex::encode(body) },
            });
            Specimen::new(body.to_string().as_bytes())
        }
        Verifier::StandardWebhooks => {
            let keys = SigningKeys::new(SigningKey::parse(secret).unwrap());
            let header = keys.sign("msg_1", timestamp, body, NOW);
            specimen
                .header("webhook-id", "msg_1")
                .header("webhook-timestamp", &time)
                .header("webhook-signature", &header)
        }
        Verifier::Hmac(scheme) => {
            let raw = scheme.raw();
            let input = raw.input.replace("{timestamp}", &time).replace("{id}", "id-1").replace("{url}", URL);
            let (before, after) = input.split_once("{body}").unwrap();
            let signature =
                raw.algorithm.sign(secret.as_bytes(), &[before.as_bytes(), body, after.as_bytes()]);
            let signature = format!("{}{}", raw.prefix, raw.encoding.encode(&signature));
            let specimen = specimen.header(&raw.header, &signature);
            let specimen = match &raw.timestamp {
                Some((name, unit)) => {
                    assert_eq!(*unit, TimestampUnit::Seconds, "the tests' schemes count seconds");
                    specimen.header(name, &time)
                }
                None => specimen,
            };
            match &raw.id_header {
                Some(name) => specimen.header(name, "id-1"),
                None => specimen,
            }
        }
    }
}

fn schemes() -> impl Strategy<Value = Verifier> {
    let input = prop_oneof![
        Just("{body}"),
        Just("{timestamp}.{body}"),
        Just("v1:{id}:{timestamp}:{body}"),
        Just("{url}\n{body}"),
        Just("{body}|{id}"),
    ];
    (input, 0..3usize, 0..2usize, "[a-z0-9=]{0,8}").prop_map(|(input, algorithm, encoding, prefix)| {
        let raw = RawHmacScheme {
            header: "x-signature".to_owned(),
            algorithm: Algorithm::ALL[algorithm],
            encoding: Encoding::ALL[encoding],
            prefix,
            input: input.to_owned(),
            timestamp: input.contains("{timestamp}").then(|| ("x-time".to_owned(), TimestampUnit::Seconds)),
            id_header: input.contains("{id}").then(|| "x-id".to_owned()),
        };
        let scheme = HmacScheme::parse(&raw).unwrap();
        assert_eq!(scheme.raw(), raw);
        Verifier::Hmac(Box::new(scheme))
    })
}

fn verifiers() -> impl Strategy<Value = Verifier> {
    prop_oneof![prop::sample::select(Verifier::PROVIDERS.to_vec()), schemes()]
}

/// A secret that this provider could have given.
fn secret_for(verifier: &Verifier, chance: &[u8; 24]) -> String {
    match verifier {
        Verifier::StandardWebhooks => SigningKey::generate_symmetric(chance).unwrap().to_text().to_string(),
        _ => hex::encode(chance),
    }
}

proptest! {
    #[test]
    fn what_the_provider_signs_is_accepted(
        verifier in verifiers(), chance: [u8; 24], body: Vec<u8>, away in -300..=300i64, first: bool,
    ) {
        let text = secret_for(&verifier, &chance);
        let timestamp = NOW.as_secs().checked_add_signed(away).unwrap();
        let specimen = signed(&verifier, &text, timestamp, &body);
        let (own, other) = (secret(&text), secret(&secret_for(&verifier, &[9; 24])));
        let secrets = if first { [&own, &other] } else { [&other, &own] };
        prop_assert_eq!(specimen.verify(&verifier, &secrets, NOW), Ok(()));
        prop_assert_eq!(specimen.code(&verifier, &[], NOW), "signature_mismatch");
        if own != other {
            prop_assert_eq!(specimen.code(&verifier, &[&other], NOW), "signature_mismatch");
        }
    }

    #[test]
    fn a_changed_body_is_refused(
        verifier in verifiers(), chance: [u8; 24], body in prop::collection::vec(any::<u8>(), 1..200),
        position: prop::sample::Index, bit in 0..8u8,
    ) {
        prop_assume!(verifier.covers_body());
        let text = secret_for(&verifier, &chance);
        let mut specimen = signed(&verifier, &text, NOW.as_secs(), &body);
        *position.get_mut(&mut specimen.body) ^= 1 << bit;
        let code = specimen.code(&verifier, &[&secret(&text)], NOW);
        prop_assert_eq!(code, if verifier == Verifier::Twilio { "body_not_signed" } else { "signature_mismatch" });
    }

    #[test]
    fn a_changed_header_is_refused(
        verifier in verifiers(), chance: [u8; 24], body: Vec<u8>, which: prop::sample::Index,
        position: prop::sample::Index, digit in b'0'..=b'9',
    ) {
        prop_assume!(verifier != Verifier::Mailgun);
        let text = secret_for(&verifier, &chance);
        let specimen = signed(&verifier, &text, NOW.as_secs(), &body);
        let names: Vec<HeaderName> = specimen.headers.keys().cloned().collect();
        let name = which.get(&names);
        let mut value = specimen.headers[name].as_bytes().to_vec();
        let at = position.index(value.len());
        prop_assume!(value[at] != digit);
        value[at] = digit;
        let value = String::from_utf8(value).unwrap();
        // What Stripe's header has beside the time and the true signature may be changed by anybody.
        let original = specimen.headers[name].to_str().unwrap();
        let mut counting = original.split(',').filter(|item| !STRIPE_DECOYS.contains(item));
        let intact = counting.all(|item| value.split(',').any(|other| other == item));
        prop_assume!(verifier != Verifier::Stripe || !intact);
        let changed = specimen.header(name.as_str(), &value);
        prop_assert!(changed.verify(&verifier, &[&secret(&text)], NOW).is_err(), "{} {}", name, value);
    }

    #[test]
    fn no_request_breaks_it(
        verifier in verifiers(), headers in prop::collection::vec(("[ -~]{0,80}", 0..20usize), 0..6), body: Vec<u8>,
        url: String, form: bool,
    ) {
        let names = [
            "x-hub-signature-256", "x-slack-signature", "x-slack-request-timestamp", "stripe-signature",
            "x-twilio-signature", "x-shopify-hmac-sha256", "webhook-id", "webhook-timestamp",
            "webhook-signature", "svix-id", "svix-timestamp", "svix-signature", "x-signature", "x-time", "x-id",
        ];
        let mut specimen = Specimen { url, body, ..Specimen::default() };
        for (value, name) in headers {
            specimen = specimen.header(names[name % names.len()], &value);
        }
        if form {
            specimen = specimen.header(CONTENT_TYPE.as_str(), "application/x-www-form-urlencoded");
        }
        prop_assert!(specimen.verify(&verifier, &[&secret(SVIX_SECRET)], NOW).is_err());
        specimen.look(|request| {
            let _ = handshake::greeting(request, "", None, false);
            let key = secret(SVIX_SECRET);
            let _ = handshake::handshake(&verifier, &key, request);
            let _ = Dedupe::Provider.key(Some(&verifier), request);
        });
    }
}

#[test]
fn refusals_say_what_is_missing_and_nothing_else() {
    let key = secret("hunter2");
    let check = |verifier: &Verifier, specimen: &Specimen, expect: &str| {
        let refusal = specimen.verify(verifier, &[&key], NOW).unwrap_err();
        assert_eq!(refusal.code(), expect, "{refusal}");
        let shown = format!("{refusal} {refusal:?}");
        let expected = Encoding::Hex.encode(&Algorithm::Sha256.sign(key.expose(), &[&specimen.body]));
        assert!(!shown.contains("hunter2") && !shown.contains(&expected), "{shown}");
    };
    let bare = Specimen::new(b"{}");
    for verifier in &Verifier::PROVIDERS {
        check(verifier, &bare, "signature_missing");
    }
    check(&Verifier::GitHub, &bare.clone().header("x-hub-signature-256", "sha1=00"), "signature_malformed");
    check(&Verifier::GitHub, &bare.clone().header("x-hub-signature-256", "sha256=zz"), "signature_malformed");
    check(&Verifier::GitHub, &bare.clone().header("x-hub-signature-256", "sha256=00"), "signature_mismatch");
    check(&Verifier::GitHub, &bare.clone().header("x-hub-signature-256", "sha256="), "signature_mismatch");
    check(&Verifier::Slack, &bare.clone().header("x-slack-signature", "v0=00"), "signature_part_missing");
    check(&Verifier::Stripe, &bare.clone().header("stripe-signature", "v1=00"), "signature_malformed");
    check(
        &Verifier::Stripe,
        &bare.clone().header("stripe-signature", "t=1,v1=00"),
        "timestamp_outside_window",
    );
    check(&Verifier::Stripe, &bare.header("stripe-signature", "t=x,v1=00"), "timestamp_invalid");
    let mailgun = |json: &str| Specimen::new(json.as_bytes());
    let unsigned = r#"{"signature": {"timestamp": "1795309323", "token": "t"}}"#;
    check(&Verifier::Mailgun, &mailgun(unsigned), "signature_missing");
    let wrong = r#"{"signature": {"timestamp": 1795309323, "token": "t", "signature": "00"}}"#;
    check(&Verifier::Mailgun, &mailgun(wrong), "signature_mismatch");
    let form = mailgun("timestamp=1795309323&token=t&signature=00")
        .header("content-type", "application/x-www-form-urlencoded");
    check(&Verifier::Mailgun, &form, "signature_mismatch");
}

#[test]
fn svix_headers_and_public_keys_verify_too() {
    let key = SigningKey::generate_ed25519([3; 32]);
    let public = secret(&key.public_text().unwrap());
    let time = NOW.as_secs().to_string();
    let signature = SigningKeys::new(key).sign("msg_2", NOW.as_secs(), b"{}", NOW);
    let specimen = Specimen::new(b"{}")
        .header("svix-id", "msg_2")
        .header("svix-timestamp", &time)
        .header("svix-signature", &signature);
    let verifier = Verifier::StandardWebhooks;
    assert_eq!(verifier.check_secret(&public), Ok(()));
    assert_eq!(specimen.verify(&verifier, &[&secret(SVIX_SECRET), &public], NOW), Ok(()));
    assert_eq!(specimen.code(&verifier, &[&secret(SVIX_SECRET)], NOW), "signature_mismatch");
    assert_eq!(verifier.check_secret(&secret("not a key")), Err(InvalidSigningKey::Encoding));
    assert_eq!(Verifier::Stripe.check_secret(&secret("not a key")), Ok(()));
    let moved = specimen.header("svix-id", "msg.2");
    assert_eq!(moved.code(&verifier, &[&public], NOW), "signature_mismatch");
}

#[test]
fn schemes_that_protect_nobody_are_refused() {
    let good = RawHmacScheme {
        header: "x-signature".to_owned(),
        algorithm: Algorithm::Sha512,
        encoding: Encoding::Base64,
        prefix: "v1=".to_owned(),
        input: "{timestamp}.{body}".to_owned(),
        timestamp: Some(("x-time".to_owned(), TimestampUnit::Milliseconds)),
        id_header: None,
    };
    let check = |change: fn(&mut RawHmacScheme), expect: Option<(&str, &str)>| {
        let mut raw = good.clone();
        change(&mut raw);
        let refused = HmacScheme::parse(&raw).err();
        assert_eq!(refused.as_ref().map(|error| (error.field, error.code)), expect, "{raw:?}");
    };
    check(|_| (), None);
    check(|raw| raw.header = "x y".to_owned(), Some(("header", "header_name_invalid")));
    check(|raw| raw.prefix = "a b".to_owned(), Some(("prefix", "signature_prefix_invalid")));
    check(|raw| raw.input = "{timestamp}{".to_owned(), Some(("input", "signature_input_invalid")));
    check(|raw| raw.input = "{timestamp}".to_owned(), Some(("input", "body_not_signed")));
    check(|raw| raw.input = "{body}".to_owned(), Some(("timestampHeader", "timestamp_not_signed")));
    check(|raw| raw.timestamp = None, Some(("timestampHeader", "timestamp_not_signed")));
    check(|raw| raw.id_header = Some("x-id".to_owned()), Some(("idHeader", "id_not_signed")));
    check(|raw| raw.input.push_str("{id}"), Some(("idHeader", "id_not_signed")));

    let scheme = Verifier::Hmac(Box::new(HmacScheme::parse(&good).unwrap()));
    let time = NOW.0.to_string();
    let signature = Algorithm::Sha512.sign(b"key", &[time.as_bytes(), b".", b"{}"]);
    let specimen = Specimen::new(b"{}")
        .header("x-time", &time)
        .header("x-signature", &format!("v1={}", Encoding::Base64.encode(&signature)));
    assert_eq!(specimen.code(&scheme, &[&secret("key")], NOW), "ok");
    assert_eq!(specimen.code(&scheme, &[&secret("key")], NOW.after(WINDOW * 2)), "timestamp_outside_window");
}

#[test]
fn slack_gets_its_challenge_back() {
    let check = |verifier: Verifier, body: &str, expect: Option<&str>| {
        let key = secret("key");
        let found =
            Specimen::new(body.as_bytes()).look(|request| handshake::handshake(&verifier, &key, request));
        let expect = expect.map(|text| handshake::Answer::Text(text.to_owned()));
        assert_eq!(found, expect, "{body}");
    };
    let challenge = r#"{"token": "t", "challenge": "3eZbrw1aB", "type": "url_verification"}"#;
    check(Verifier::Slack, challenge, Some("3eZbrw1aB"));
    check(Verifier::GitHub, challenge, None);
    check(Verifier::Slack, r#"{"type": "event_callback", "challenge": "x"}"#, None);
    check(Verifier::Slack, r#"{"type": "url_verification"}"#, None);
    check(Verifier::Slack, "token=x", None);
}

#[test]
fn repeats_are_known_where_the_provider_documents_it() {
    let check = |dedupe: &Dedupe, verifier: Option<&Verifier>, specimen: &Specimen, expect: Option<&str>| {
        let key = specimen.look(|request| dedupe.key(verifier, request));
        assert_eq!(key.as_deref(), expect, "{verifier:?} {specimen:?}");
    };
    let body =
        Specimen::new(br#"{"id": "evt_1", "event_id": "Ev1", "signature": {"token": "T"}, "n": 7, "o": {}}"#)
            .header("x-github-delivery", "72d3162e")
            .header("x-shopify-webhook-id", "b54557e4")
            .header("i-twilio-idempotency-token", "a1")
            .header("svix-id", "msg_1")
            .header("svix-timestamp", "1")
            .header("svix-signature", "v1,");
    let documented = ["72d3162e", "evt_1", "Ev1", "a1", "b54557e4", "T", "msg_1"];
    for (verifier, expect) in Verifier::PROVIDERS.iter().zip(documented) {
        check(&Dedupe::Provider, Some(verifier), &body, Some(expect));
        check(&Dedupe::Provider, Some(verifier), &Specimen::new(b"[]"), None);
        check(&Dedupe::Off, Some(verifier), &body, None);
    }
    check(&Dedupe::Provider, None, &body, None);
    check(&Dedupe::Header("x-github-delivery".parse().unwrap()), None, &body, Some("72d3162e"));
    check(&Dedupe::Header("x-none".parse().unwrap()), None, &body, None);
    check(&Dedupe::Pointer("/n".parse().unwrap()), None, &body, Some("7"));
    check(&Dedupe::Pointer("/o".parse().unwrap()), None, &body, None);
    check(&Dedupe::Pointer("/n".parse().unwrap()), None, &Specimen::new(b"n=7"), None);
    check(&Dedupe::Header("x-empty".parse().unwrap()), None, &body.header("x-empty", ""), None);
}

#[test]
fn names_read_back() {
    for verifier in Verifier::PROVIDERS {
        assert_eq!(Verifier::of_provider(verifier.code()), Some(verifier));
    }
    assert_eq!(Verifier::of_provider("hmac"), None, "a name is not enough for it");
    for algorithm in Algorithm::ALL {
        assert_eq!(Algorithm::from_code(algorithm.code()), Some(algorithm));
    }
    for encoding in Encoding::ALL {
        assert_eq!(Encoding::from_code(encoding.code()), Some(encoding));
    }
    for unit in TimestampUnit::ALL {
        assert_eq!(TimestampUnit::from_code(unit.code()), Some(unit));
    }
}
