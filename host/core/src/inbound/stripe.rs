//! `Stripe-Signature: t=1492774577,v1=5257a8..,v1=6ffbb5..`: HMAC-SHA256 over `{t}.{body}`, one signature for each
//! secret that Stripe has active. The key is the text of the secret, with its `whsec_`.

use std::time::Duration;

use http::HeaderName;

use super::hmac::{Algorithm, Encoding};
use super::{Refusal, SignedRequest};
use crate::plugin::Secret;
use crate::signature::verification::{SIGNATURES_MAX, check_age, whole_number};
use crate::time::UnixMillis;

const HEADER: HeaderName = HeaderName::from_static("stripe-signature");

pub(super) fn verify(
    secrets: &[&Secret],
    request: &SignedRequest<'_>,
    now: UnixMillis,
    tolerance: Duration,
) -> Result<(), Refusal> {
    let header = request.header(&HEADER).ok_or_else(|| Refusal::missing(format!("`{HEADER}`")))?;
    let malformed = || Refusal::malformed(format!("`{HEADER}`"));
    let mut timestamp = None;
    let mut given = Vec::new();
    for item in header.split(',') {
        // Stripe's own libraries skip what is no pair, and Stripe says: ignore all other schemes.
        let Some((name, value)) = item.split_once('=') else { continue };
        match name.trim() {
            "t" => timestamp = Some(value.trim()),
            "v1" if given.len() < SIGNATURES_MAX => given.extend(Encoding::Hex.decode(value.trim())),
            _ => {}
        }
    }
    let timestamp = timestamp.ok_or_else(malformed)?;
    check_age(whole_number(timestamp)?, now, tolerance)?;
    Algorithm::Sha256.check(secrets, &[timestamp.as_bytes(), b".", request.body], &given)
}
