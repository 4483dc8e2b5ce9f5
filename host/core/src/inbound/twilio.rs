//! `X-Twilio-Signature`: base64 of an HMAC-SHA1 with the auth token over the address and the form's fields.
//!
//! The address is the one that the provider called: behind a proxy the router can't see it, and a `Host` header says
//! whatever its sender likes, so it is configured. Fields are sorted by name and joined without separators; of a field
//! that stands twice each value counts once, sorted. Another body is covered by its SHA-256 in the address, as
//! `bodySHA256`. Twilio sometimes signs the address with a port and sometimes without: both count, as in its own libraries.

use std::collections::{BTreeMap, BTreeSet};

use http::HeaderName;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::hmac::{Algorithm, Encoding};
use super::{Refusal, SignedRequest, form};
use crate::plugin::Secret;

const HEADER: HeaderName = HeaderName::from_static("x-twilio-signature");
const BODY_HASH: &str = "bodySHA256";

pub(super) fn verify(secrets: &[&Secret], request: &SignedRequest<'_>) -> Result<(), Refusal> {
    let given = request.header(&HEADER).ok_or_else(|| Refusal::missing(format!("`{HEADER}`")))?;
    let given = Encoding::Base64.decode(given).ok_or_else(|| Refusal::malformed(format!("`{HEADER}`")))?;
    let fields = if request.is_form() {
        joined_fields(request.body)
    } else {
        check_body(request)?;
        String::new()
    };
    let given = [given];
    let signed = |url: &str| Algorithm::Sha1.check(secrets, &[url.as_bytes(), fields.as_bytes()], &given);
    signed(request.url).or_else(|refusal| match with_other_port(request.url) {
        Some(url) => signed(&url),
        None => Err(refusal),
    })
}

fn joined_fields(form: &[u8]) -> String {
    let mut fields: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for (name, value) in form::fields(form) {
        fields.entry(name).or_default().insert(value);
    }
    let mut joined = String::with_capacity(form.len());
    for (name, values) in &fields {
        for value in values {
            joined.push_str(name);
            joined.push_str(value);
        }
    }
    joined
}

/// A body that is no form is covered through its hash in the address; no body needs no cover.
fn check_body(request: &SignedRequest<'_>) -> Result<(), Refusal> {
    if request.body.is_empty() {
        return Ok(());
    }
    let query = request.url.split_once('?').map(|(_, query)| query).unwrap_or_default();
    let claimed = form::field(query.as_bytes(), BODY_HASH).and_then(|hash| Encoding::Hex.decode(&hash));
    let hash = Sha256::digest(request.body);
    let fits = claimed.is_some_and(|claimed| bool::from(claimed.ct_eq(hash.as_slice())));
    if fits { Ok(()) } else { Err(Refusal::BodyNotSigned) }
}

/// The same address without the port that it names, whichever that is, or with the default one that it does not: what
/// Twilio's own libraries try as well (`add_port` and `remove_port` of `RequestValidator`).
fn with_other_port(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let default = match scheme {
        "https" => "443",
        "http" => "80",
        _ => return None,
    };
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    // A colon within brackets belongs to an IPv6 address.
    let port = authority.rsplit_once(':').filter(|(_, port)| !port.ends_with(']'));
    let authority = match port {
        Some((bare, _)) => bare.to_owned(),
        None => format!("{authority}:{default}"),
    };
    Some(format!("{scheme}://{authority}{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_port_comes_and_goes() {
        let check =
            |url: &str, expect: Option<&str>| assert_eq!(with_other_port(url).as_deref(), expect, "{url}");
        check("https://a.example/x?y=1", Some("https://a.example:443/x?y=1"));
        check("https://a.example:443/x?y=1", Some("https://a.example/x?y=1"));
        check("http://a.example?y=1", Some("http://a.example:80?y=1"));
        check("http://a.example:80", Some("http://a.example"));
        check("https://[::1]/x", Some("https://[::1]:443/x"));
        check("https://[::1]:443/x", Some("https://[::1]/x"));
        check("https://a.example:8443/x", Some("https://a.example/x"));
        check("http://[::1]:8443", Some("http://[::1]"));
        check("", None);
    }

    #[test]
    fn fields_are_sorted_and_repeated_values_count_once() {
        let check = |form: &str, expect: &str| assert_eq!(joined_fields(form.as_bytes()), expect, "{form}");
        check("b=2&a=1", "a1b2");
        check("a=z&a=b&a=z", "abaz");
        check("To=%2B1415&Body=two+words&Empty=", "Bodytwo wordsEmptyTo+1415");
        check("", "");
    }
}
