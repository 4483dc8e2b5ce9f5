//! What an attempt leaves for people: what its plugins wrote, and what was sent where.
//!
//! It is kept with the attempt, so that it says what happened then, whatever the endpoint is today. A secret is named and
//! never kept: a header that a plugin set to one shows its name in the value's place, and of a header whose name says that
//! it carries one ([`is_secret_header`]) the value is left out.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use crate::limits::SENT_BODY_KEPT_BYTES_MAX;
use crate::plugin::{LogLine, World};
use crate::request::{OutgoingRequest, PreparedRequest};

/// Where an attempt's request went.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum SentTo {
    /// None was sent.
    #[default]
    Nowhere,
    /// To the URL that the endpoint had then.
    Endpoint(Box<str>),
    /// To another one, which a plugin or a composition named, or an earlier attempt of the delivery kept.
    Elsewhere(Box<str>),
}

/// What is kept of an attempt beside its result. Bounded by what plugins may log
/// ([`LOG_BYTES_MAX`](crate::limits::LOG_BYTES_MAX) a run) and by the bounds of a request's headers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AttemptTrace {
    /// What the plugins of the attempt wrote, in order: the transform, then the classifier.
    pub logs: Vec<TraceLine>,
    /// What was sent, where that is kept.
    pub request: Option<SentRequest>,
}

/// One line that a plugin wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceLine {
    /// Which plugin of the attempt.
    pub world: World,
    /// What it wrote.
    pub line: LogLine,
}

/// A request as it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentRequest {
    /// The method.
    pub method: Method,
    /// The headers in order, without those of the connection.
    pub headers: Vec<SentHeader>,
    /// Bytes of the body.
    pub body_bytes: usize,
    /// The beginning of the body, at most [`SENT_BODY_KEPT_BYTES_MAX`], where the operator wants bodies kept.
    pub body: Option<Bytes>,
}

/// One header of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentHeader {
    /// Its name.
    pub name: HeaderName,
    /// What is known of its value.
    pub value: SentValue,
}

/// What is known of a header's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SentValue {
    /// All of it. What is no UTF-8 is replaced.
    Plain(Box<str>),
    /// Secrets of the endpoint by name, as `Bearer {{secrets.token}}`.
    Secret(Box<str>),
    /// Nothing: the header's name says that it is a secret.
    Withheld,
}

impl SentTo {
    /// The URL, where a request was sent.
    #[must_use]
    pub fn url(&self) -> Option<&str> {
        match self {
            Self::Nowhere => None,
            Self::Endpoint(url) | Self::Elsewhere(url) => Some(url),
        }
    }
}

impl AttemptTrace {
    /// Whether there is nothing to keep.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.logs.is_empty() && self.request.is_none()
    }
}

impl SentRequest {
    /// What may be kept of a request that was built of `prepared`.
    #[must_use]
    pub fn of(outgoing: &OutgoingRequest, prepared: &PreparedRequest, keep_body: bool) -> Self {
        Self {
            method: outgoing.method.clone(),
            headers: sent_headers(&outgoing.headers, prepared),
            body_bytes: outgoing.body.len(),
            body: keep_body.then(|| outgoing.body.slice(..outgoing.body.len().min(SENT_BODY_KEPT_BYTES_MAX))),
        }
    }
}

fn sent_headers(headers: &HeaderMap, prepared: &PreparedRequest) -> Vec<SentHeader> {
    let of_secret = |name: &HeaderName| {
        let header = prepared.secret_headers.iter().find(|header| header.name == *name)?;
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        Some(format!("{}{{{{secrets.{}}}}}{}", text(&header.prefix), header.secret, text(&header.suffix)))
    };
    headers
        .iter()
        .map(|(name, value)| {
            let value = match (value.is_sensitive(), is_secret_header(name)) {
                (true, _) => {
                    of_secret(name).map_or(SentValue::Withheld, |text| SentValue::Secret(text.into()))
                }
                (false, true) => SentValue::Withheld,
                (false, false) => SentValue::Plain(String::from_utf8_lossy(value.as_bytes()).into()),
            };
            SentHeader { name: name.clone(), value }
        })
        .collect()
}

/// Whether a header's name says that its value is a secret: a word such as `token` in it, as in the Svix API's list of
/// sensitive headers, or two such as `api-key`. A signature is none: it proves a secret and does not tell it.
#[must_use]
pub fn is_secret_header(name: &HeaderName) -> bool {
    const WORDS: [&str; 13] = [
        "accesskey",
        "apikey",
        "auth",
        "authenticate",
        "authentication",
        "authorization",
        "cookie",
        "credential",
        "credentials",
        "passwd",
        "password",
        "secret",
        "token",
    ];
    const BEFORE_KEY: [&str; 6] = ["access", "api", "auth", "private", "secret", "signing"];
    let mut before = "";
    name.as_str().split(['-', '_', '.']).any(|word| {
        let of_key = word == "key" && BEFORE_KEY.contains(&before);
        before = word;
        of_key || WORDS.contains(&word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::{BoundSecrets, Secret};
    use crate::request::{RequestBody, SecretHeader, build};
    use crate::test_values::{endpoint, event};
    use crate::time::{Moment, UnixMillis};

    #[test]
    fn secrets_are_named_and_never_kept() {
        let secret = |value: &str| Secret::new(zeroize::Zeroizing::new(value.as_bytes().to_vec())).unwrap();
        let secrets: BoundSecrets = [("token".parse().unwrap(), secret("hunter2"))].into_iter().collect();
        let endpoint = endpoint("https://receiver.example/hook");
        let header = |name: &'static str, value: &'static str| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        let prepared = PreparedRequest {
            method: Method::PUT,
            headers: HeaderMap::from_iter([header("x-kind", "invoice"), header("x-api-key", "hunter3")]),
            secret_headers: vec![SecretHeader {
                name: http::header::AUTHORIZATION,
                prefix: HeaderValue::from_static("Bearer "),
                secret: "token".parse().unwrap(),
                suffix: HeaderValue::from_static(""),
            }],
            body: RequestBody::Replaced(Bytes::from(vec![b'x'; SENT_BODY_KEPT_BYTES_MAX + 1])),
            ..PreparedRequest::original(&endpoint)
        };
        let now = Moment::undisturbed(UnixMillis(1_800_000_000_000));
        let outgoing = build(&endpoint, &event(b"{}"), &prepared, &secrets, now).unwrap();
        let sent = SentRequest::of(&outgoing, &prepared, true);
        let value = |name: &str| {
            let header = sent.headers.iter().find(|header| header.name == name);
            header.map(|header| header.value.clone())
        };
        assert_eq!(value("x-kind"), Some(SentValue::Plain("invoice".into())));
        assert_eq!(value("authorization"), Some(SentValue::Secret("Bearer {{secrets.token}}".into())));
        assert_eq!(value("x-api-key"), Some(SentValue::Withheld));
        assert!(
            matches!(value("webhook-signature"), Some(SentValue::Plain(text)) if text.starts_with("v1,"))
        );
        assert!(!format!("{sent:?}").contains("hunter"));
        assert_eq!(sent.body.map(|body| body.len()), Some(SENT_BODY_KEPT_BYTES_MAX));
        assert_eq!(sent.body_bytes, SENT_BODY_KEPT_BYTES_MAX + 1);
        assert_eq!(SentRequest::of(&outgoing, &prepared, false).body, None);
    }

    #[test]
    fn names_of_headers_tell_secrets() {
        let check = |name: &'static str, expect: bool| {
            assert_eq!(is_secret_header(&HeaderName::from_static(name)), expect, "{name}");
        };
        for secret in ["authorization", "cookie", "x-api-key", "x-auth-token", "x-partner-secret", "apikey"] {
            check(secret, true);
        }
        for plain in
            ["webhook-signature", "x-signature", "content-type", "x-monkey", "idempotency-key", "webhook-id"]
        {
            check(plain, false);
        }
    }
}
