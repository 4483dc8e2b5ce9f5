//! What makes a request a repeat of an earlier one.

use http::HeaderName;

use super::{JsonPointer, SignedRequest, Verifier, mailgun, standard_headers};

const GITHUB: HeaderName = HeaderName::from_static("x-github-delivery");
const SHOPIFY: HeaderName = HeaderName::from_static("x-shopify-webhook-id");
const TWILIO: HeaderName = HeaderName::from_static("i-twilio-idempotency-token");

/// Where a request has the key that its repeats have too.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Dedupe {
    /// Where the provider documents it.
    #[default]
    Provider,
    /// In a header.
    Header(HeaderName),
    /// In the body, which is JSON.
    Pointer(JsonPointer),
    /// Nowhere: each request is a new one.
    Off,
}

impl Dedupe {
    /// The key of a verified request, if it has one.
    #[must_use]
    pub fn key(&self, verifier: Option<&Verifier>, request: &SignedRequest<'_>) -> Option<String> {
        let key = match self {
            Self::Provider => documented(verifier?, request),
            Self::Header(name) => text(request, name),
            Self::Pointer(pointer) => request.json_text(pointer.as_str()),
            Self::Off => None,
        };
        key.filter(|key| !key.is_empty())
    }
}

fn documented(verifier: &Verifier, request: &SignedRequest<'_>) -> Option<String> {
    match verifier {
        Verifier::GitHub => text(request, &GITHUB),
        Verifier::Shopify => text(request, &SHOPIFY),
        Verifier::Twilio => text(request, &TWILIO),
        Verifier::Stripe => request.json_text("/id"),
        Verifier::Slack => request.json_text("/event_id"),
        Verifier::Mailgun => mailgun::token(request),
        Verifier::StandardWebhooks => standard_headers(request).map(|[id, ..]| id.to_owned()),
        Verifier::Hmac(scheme) => text(request, scheme.id_header()?),
    }
}

fn text(request: &SignedRequest<'_>, name: &HeaderName) -> Option<String> {
    request.header(name).map(str::to_owned)
}
