//! Providers that ask whether anybody is there, before they send anything or now and then.
//!
//! Most ask without a signature, so they are answered before one is looked for ([`greeting`]): nothing is believed of
//! them, nothing is stored, and what goes back is a bounded text that they sent, as plain text or within JSON. Those that
//! sign what they ask, or want to see the secret used, are answered when they are believed ([`handshake`]).
//!
//! | provider | asks | gets |
//! |---|---|---|
//! | Trello, Mandrill and others | `HEAD`, or a `GET` with nothing in it | an empty 200 |
//! | Meta, WebSub | `GET ?hub.mode=subscribe&hub.challenge=..&hub.verify_token=..` | the challenge, where the token is right |
//! | Dropbox, Nylas, Adobe | `GET ?challenge=..` | the challenge |
//! | Okta | `GET` with `X-Okta-Verification-Challenge` | `{"verification": ..}` |
//! | Microsoft Graph | `POST ?validationToken=..` without a body | the token |
//! | CloudEvents senders, Azure Event Grid | `OPTIONS` with `WebHook-Request-Origin` | `WebHook-Allowed-Origin: *` |
//! | Azure Event Grid | `POST` with `aeg-event-type: SubscriptionValidation` | `{"validationResponse": ..}` |
//! | Lark and others | `POST {"type": "url_verification", "challenge": ..}` | `{"challenge": ..}` |
//! | X (Twitter) | `GET ?crc_token=..` | `{"response_token": ..}`, an HMAC of the token |
//! | Slack | the same as Lark, signed | the challenge |
//! | Zoom | `{"event": "endpoint.url_validation", ..}`, signed | the token and an HMAC of it |

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, Method};
use serde_json::{Value, json};
use subtle::ConstantTimeEq;

use super::hmac::Algorithm;
use super::{HmacScheme, Refusal, SignedRequest, Verifier, form};
use crate::plugin::Secret;

/// Bytes of a text that goes back to who sent it. Meta's challenges have 10, Microsoft's tokens some 200.
pub const CHALLENGE_BYTES_MAX: usize = 1024;

const OKTA: HeaderName = HeaderName::from_static("x-okta-verification-challenge");
const CLOUDEVENTS_ORIGIN: HeaderName = HeaderName::from_static("webhook-request-origin");
const EVENT_GRID: HeaderName = HeaderName::from_static("aeg-event-type");
/// The header of a scheme that is X's.
const TWITTER: &str = "x-twitter-webhooks-signature";
/// The header of a scheme that is Zoom's.
const ZOOM: &str = "x-zm-signature";

/// What goes back.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// A 200 without a body.
    Empty,
    /// Plain text.
    Text(String),
    /// JSON.
    Json(Value),
    /// A 200 that allows a sender of CloudEvents to send from anywhere, as often as it likes (CloudEvents webhooks 1.0,
    /// section 4.2).
    Allowed,
}

/// An answer to somebody who did not sign.
#[derive(Debug, Clone, PartialEq)]
pub struct Greeting {
    /// What goes back.
    pub answer: Answer,
    /// Whether it goes back whatever the source's plugin would say; otherwise the plugin is asked first.
    pub is_certain: bool,
}

impl Greeting {
    fn certain(answer: Answer) -> Self {
        Self { answer, is_certain: true }
    }

    fn usual(answer: Answer) -> Self {
        Self { answer, is_certain: false }
    }
}

/// The answer to a request that is not signed and asks whether anybody is there; none where it asks something else.
///
/// `token` is what Meta has to know. Where none is set, a source's plugin may know of one (`has_plugin`), and otherwise
/// the challenge goes back to whoever asks: what is sent afterwards is still verified.
///
/// # Errors
/// Where Meta's token is another.
pub fn greeting(
    request: &SignedRequest<'_>,
    query: &str,
    token: Option<&Secret>,
    has_plugin: bool,
) -> Result<Option<Greeting>, Refusal> {
    let method = request.method;
    if *method == Method::HEAD {
        return Ok(Some(Greeting::certain(Answer::Empty)));
    }
    if *method == Method::OPTIONS {
        let asks = request.header(&CLOUDEVENTS_ORIGIN).is_some();
        return Ok(asks.then(|| Greeting::certain(Answer::Allowed)));
    }
    if *method == Method::GET {
        return greeting_of_get(request, query, token, has_plugin);
    }
    let field = |name: &str| form::field(query.as_bytes(), name).and_then(|text| challenge(&text));
    if let Some(token) = field("validationToken").filter(|_| request.body.is_empty()) {
        return Ok(Some(Greeting::usual(Answer::Text(token))));
    }
    let answer = if request.header(&EVENT_GRID) == Some("SubscriptionValidation") {
        let code = body_challenge(request, "/0/data/validationCode");
        code.map(|code| json!({ "validationResponse": code }))
    } else {
        let asks = request.json("/type").is_some_and(|kind| kind.is_text("url_verification"));
        let challenge = asks.then(|| body_challenge(request, "/challenge")).flatten();
        challenge.map(|challenge| json!({ "challenge": challenge }))
    };
    Ok(answer.map(|answer| Greeting::usual(Answer::Json(answer))))
}

fn greeting_of_get(
    request: &SignedRequest<'_>,
    query: &str,
    token: Option<&Secret>,
    has_plugin: bool,
) -> Result<Option<Greeting>, Refusal> {
    let field = |name: &str| form::field(query.as_bytes(), name);
    if let Some(given) = field("hub.challenge").filter(|_| field("hub.mode").as_deref() == Some("subscribe"))
    {
        let Some(token) = token else {
            let answer = challenge(&given).filter(|_| !has_plugin);
            return Ok(answer.map(|challenge| Greeting::certain(Answer::Text(challenge))));
        };
        let shown = field("hub.verify_token").unwrap_or_default();
        if !bool::from(token.expose().ct_eq(shown.as_bytes())) {
            return Err(Refusal::VerifyTokenMismatch);
        }
        return Ok(challenge(&given).map(|challenge| Greeting::certain(Answer::Text(challenge))));
    }
    if let Some(given) = request.header(&OKTA).and_then(challenge) {
        return Ok(Some(Greeting::usual(Answer::Json(json!({ "verification": given })))));
    }
    if let Some(given) = field("challenge").and_then(|given| challenge(&given)) {
        return Ok(Some(Greeting::usual(Answer::Text(given))));
    }
    let has_nothing = query.is_empty() && request.body.is_empty();
    Ok(has_nothing.then(|| Greeting::certain(Answer::Empty)))
}

/// The answer to a request that was believed and is a handshake.
#[must_use]
pub fn handshake(verifier: &Verifier, secret: &Secret, request: &SignedRequest<'_>) -> Option<Answer> {
    match verifier {
        Verifier::Slack if request.json("/type")?.is_text("url_verification") => {
            Some(Answer::Text(request.json("/challenge")?.text()?.into_owned()))
        }
        Verifier::Hmac(scheme) if is_of(scheme, ZOOM) => {
            if !request.json("/event")?.is_text("endpoint.url_validation") {
                return None;
            }
            let token = body_challenge(request, "/payload/plainToken")?;
            let mac = Algorithm::Sha256.mac(secret.expose(), &[token.as_bytes()]);
            Some(Answer::Json(json!({ "plainToken": token, "encryptedToken": hex::encode(mac) })))
        }
        Verifier::GitHub
        | Verifier::Stripe
        | Verifier::Slack
        | Verifier::Twilio
        | Verifier::Shopify
        | Verifier::Mailgun
        | Verifier::StandardWebhooks
        | Verifier::Hmac(_) => None,
    }
}

/// X's "challenge-response check": an HMAC of a token, with the secret that signs the posts as well. So nothing that is
/// [like a token](is_token) is believed as a body of such a source, or whoever asks for HMACs could make one.
#[must_use]
pub fn twitter_check(
    verifier: &Verifier,
    secret: &Secret,
    request: &SignedRequest<'_>,
    query: &str,
) -> Option<Answer> {
    let Verifier::Hmac(scheme) = verifier else { return None };
    if *request.method != Method::GET || !is_of(scheme, TWITTER) {
        return None;
    }
    let token = form::field(query.as_bytes(), "crc_token").filter(|token| is_token(token.as_bytes()))?;
    let mac = Algorithm::Sha256.mac(secret.expose(), &[token.as_bytes()]);
    Some(Answer::Json(json!({ "response_token": format!("sha256={}", STANDARD.encode(mac)) })))
}

/// Whether a body of this source could be a token of [`twitter_check`].
#[must_use]
pub fn could_be_token(verifier: &Verifier, body: &[u8]) -> bool {
    matches!(verifier, Verifier::Hmac(scheme) if is_of(scheme, TWITTER)) && is_token(body)
}

fn is_of(scheme: &HmacScheme, header: &str) -> bool {
    scheme.header_name().as_str() == header
}

/// Letters, digits and the signs of base64: no object or list of JSON.
fn is_token(text: &[u8]) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=-_.".contains(byte);
    (1..=CHALLENGE_BYTES_MAX).contains(&text.len()) && text.iter().all(allowed)
}

fn body_challenge(request: &SignedRequest<'_>, pointer: &str) -> Option<String> {
    challenge(&request.json(pointer)?.text()?)
}

/// A text that may go back: neither empty nor long, and of one line.
fn challenge(text: &str) -> Option<String> {
    let fits = (1..=CHALLENGE_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control);
    fits.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};
    use zeroize::Zeroizing;

    use super::*;
    use crate::inbound::{Encoding, RawHmacScheme};

    fn secret(text: &str) -> Secret {
        Secret::new(Zeroizing::new(text.as_bytes().to_vec())).unwrap()
    }

    fn greeted(
        method: &Method,
        query: &str,
        headers: &[(&'static str, &str)],
        body: &str,
        token: Option<&str>,
        has_plugin: bool,
    ) -> Result<Option<Greeting>, Refusal> {
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
            .collect();
        let request = SignedRequest::new(method, "", &headers, body.as_bytes());
        greeting(&request, query, token.map(secret).as_ref(), has_plugin)
    }

    #[test]
    fn who_asks_without_a_signature_is_answered() {
        let text = |text: &str| Some(Answer::Text(text.to_owned()));
        let check = |method: Method, query: &str, headers: &[(&'static str, &str)], body: &str, expect| {
            let found = greeted(&method, query, headers, body, None, false).unwrap();
            assert_eq!(found.map(|greeting| greeting.answer), expect, "{method} {query} {headers:?} {body}");
        };
        check(Method::HEAD, "", &[], "", Some(Answer::Empty));
        check(Method::HEAD, "a=1", &[], "", Some(Answer::Empty));
        check(Method::GET, "", &[], "", Some(Answer::Empty));
        check(Method::GET, "a=1", &[], "", None);
        check(Method::GET, "challenge=a%20b%3Cc%3E", &[], "", text("a b<c>"));
        check(Method::GET, "challenge=", &[], "", None);
        check(Method::GET, "challenge=a%0Ab", &[], "", None);
        check(Method::GET, &format!("challenge={}", "a".repeat(CHALLENGE_BYTES_MAX + 1)), &[], "", None);
        let okta = json!({"verification": "x"});
        check(Method::GET, "a=1", &[("x-okta-verification-challenge", "x")], "", Some(Answer::Json(okta)));
        check(Method::POST, "validationToken=Validation%3A+x", &[], "", text("Validation: x"));
        check(Method::POST, "validationToken=x", &[], "{}", None);
        check(Method::OPTIONS, "", &[("webhook-request-origin", "a.example")], "", Some(Answer::Allowed));
        check(Method::OPTIONS, "", &[], "", None);
        let grid = [("aeg-event-type", "SubscriptionValidation")];
        let code = r#"[{"data": {"validationCode": "x"}}]"#;
        check(Method::POST, "", &grid, code, Some(Answer::Json(json!({"validationResponse": "x"}))));
        check(Method::POST, "", &[], code, None);
        let lark = r#"{"type": "url_verification", "challenge": "x"}"#;
        check(Method::POST, "", &[], lark, Some(Answer::Json(json!({"challenge": "x"}))));
        check(Method::POST, "", &[], r#"{"challenge": "x"}"#, None);
        check(Method::POST, "", &[], "", None);
    }

    #[test]
    fn metas_challenge_goes_back_to_who_knows_the_token() {
        const QUERY: &str = "hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=meatyhamhock";
        let challenge = Ok(Some(Greeting::certain(Answer::Text("1158201444".to_owned()))));
        let check = |query: &str, token: Option<&str>, has_plugin: bool, expect| {
            let found = greeted(&Method::GET, query, &[], "", token, has_plugin);
            assert_eq!(found, expect, "{query} {token:?} {has_plugin}");
        };
        check(QUERY, Some("meatyhamhock"), false, challenge.clone());
        check(QUERY, Some("meatyhamhock"), true, challenge.clone());
        check(QUERY, Some("other"), false, Err(Refusal::VerifyTokenMismatch));
        check("hub.mode=subscribe&hub.challenge=1", Some("other"), true, Err(Refusal::VerifyTokenMismatch));
        check(QUERY, None, false, challenge);
        check(QUERY, None, true, Ok(None));
        // Who asks to be unsubscribed has no answer.
        check("hub.mode=unsubscribe&hub.challenge=1", None, false, Ok(None));
    }

    fn described(header: &str, prefix: &str) -> Verifier {
        let raw = RawHmacScheme {
            header: header.to_owned(),
            algorithm: Algorithm::Sha256,
            encoding: Encoding::Hex,
            prefix: prefix.to_owned(),
            input: "{body}".to_owned(),
            timestamp: None,
            id_header: None,
        };
        Verifier::Hmac(Box::new(HmacScheme::parse(&raw).unwrap()))
    }

    #[test]
    fn zoom_sees_the_secret_used() {
        let zoom = described("x-zm-signature", "v0=");
        let body =
            br#"{"event": "endpoint.url_validation", "payload": {"plainToken": "qgg8vlvZRS6UYooatFL8Aw"}}"#;
        let headers = HeaderMap::new();
        let request = SignedRequest::new(&Method::POST, "", &headers, body);
        let mac = hex::encode(Algorithm::Sha256.mac(b"s", &[b"qgg8vlvZRS6UYooatFL8Aw"]));
        let expect = json!({"plainToken": "qgg8vlvZRS6UYooatFL8Aw", "encryptedToken": mac});
        assert_eq!(handshake(&zoom, &secret("s"), &request), Some(Answer::Json(expect)));
        assert_eq!(handshake(&described("x-sig", ""), &secret("s"), &request), None);
    }

    #[test]
    fn x_gets_no_signature_that_a_body_could_have() {
        let twitter = described("x-twitter-webhooks-signature", "sha256=");
        let headers = HeaderMap::new();
        let request = SignedRequest::new(&Method::GET, "", &headers, b"");
        let mac = STANDARD.encode(Algorithm::Sha256.mac(b"s", &[b"bm9uY2U="]));
        let check = |query: &str, expect: Option<Value>| {
            let found = twitter_check(&twitter, &secret("s"), &request, query);
            assert_eq!(found, expect.map(Answer::Json), "{query}");
        };
        check("crc_token=bm9uY2U%3D&nonce=x", Some(json!({"response_token": format!("sha256={mac}")})));
        check("crc_token=%7B%22a%22%3A1%7D", None);
        check("crc_token=", None);
        assert_eq!(twitter_check(&described("x-sig", ""), &secret("s"), &request, "crc_token=a"), None);
        assert!(could_be_token(&twitter, b"bm9uY2U="));
        assert!(!could_be_token(&twitter, br#"{"a":1}"#) && !could_be_token(&Verifier::GitHub, b"a"));
    }
}
