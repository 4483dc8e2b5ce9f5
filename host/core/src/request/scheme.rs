//! The signature that an endpoint wants besides that of Standard Webhooks.

use http::header::HeaderName;
use zeroize::Zeroizing;

use super::{OutgoingRequest, visible};
use crate::address::DeliveryUrl;
use crate::endpoint::Endpoint;
use crate::policy::{BodyHmacKey, SignatureScheme};
use crate::signature::mac::Algorithm;
use crate::signature::{SigningKey, http_message};
use crate::time::Moment;

/// RFC 9530: a hash of the body.
const CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");
/// RFC 9421: what is signed.
const SIGNATURE_INPUT: HeaderName = HeaderName::from_static("signature-input");
/// RFC 9421: signatures by label.
const SIGNATURE: HeaderName = HeaderName::from_static("signature");

/// Adds the signature of a scheme.
pub(super) fn sign(
    request: &mut OutgoingRequest,
    scheme: &SignatureScheme,
    endpoint: &Endpoint,
    message_id: &str,
    now: Moment,
) {
    match scheme {
        SignatureScheme::Standard => {}
        SignatureScheme::BodyHmac { header, key } => {
            if let Some(signature) = body_hmac(endpoint, *key, &request.body) {
                request.headers.insert(header.clone(), visible(&signature));
            }
        }
        SignatureScheme::HttpMessage => sign_http_message(request, endpoint, message_id, now),
    }
}

/// One header can hold one signature, so during a rotation it is the new key's.
fn body_hmac(endpoint: &Endpoint, key: BodyHmacKey, body: &[u8]) -> Option<String> {
    let signing_key = endpoint.signing.current();
    let key = match key {
        BodyHmacKey::Secret => signing_key.shared_secret().map(|_| signing_key.to_text())?,
        // What creating the endpoint answered, also where it has a uid.
        BodyHmacKey::EndpointId => Zeroizing::new(endpoint.id.to_string()),
    };
    Some(hex::encode(Algorithm::Sha256.mac(key.as_bytes(), &[body])))
}

/// A signature for each active shared key, labelled `sig1`, `sig2` and so on, the current one's first.
fn sign_http_message(request: &mut OutgoingRequest, endpoint: &Endpoint, message_id: &str, now: Moment) {
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
    let secrets = endpoint.signing.active(now.steady).filter_map(SigningKey::shared_secret);
    for (label, secret) in (1..).zip(secrets) {
        let signed = http_message::sign(secret, &endpoint.public_id(), now.wall.as_secs(), &components);
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
