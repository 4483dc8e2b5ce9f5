//! The webhook systems whose users are at home here: an endpoint for each, on the terms of its preset.

use hmac::{Hmac, KeyInit as _, Mac as _};
use http::HeaderMap;
use sha2::Sha256;

/// One system.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct System {
    /// For people.
    pub(super) name: &'static str,
    /// The preset, and the uid of its endpoint.
    pub(super) preset: &'static str,
    /// What the types of its events begin with.
    pub(super) prefix: &'static str,
    /// Its own signature, beside that of Standard Webhooks.
    pub(super) signature: Option<(&'static str, SignatureKey)>,
}

/// What keys a system's own signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SignatureKey {
    /// The endpoint's secret, as text.
    Secret,
    /// The id that creating the endpoint answered.
    EndpointId,
}

/// All of them.
pub(super) static SYSTEMS: [System; 4] = [
    System { name: "OsmoX", preset: "osmox", prefix: "osmox.", signature: None },
    System {
        name: "WhatsApp Business",
        preset: "whatsapp",
        prefix: "whatsapp.",
        signature: Some(("signature", SignatureKey::EndpointId)),
    },
    System { name: "Conversation", preset: "conversation", prefix: "conversation.", signature: None },
    System {
        name: "Mifumo SMS",
        preset: "mifumo",
        prefix: "mifumo.",
        signature: Some(("x-webhook-signature", SignatureKey::Secret)),
    },
];

/// The signature that a receiver expects besides that of Standard Webhooks: lowercase hex of an HMAC-SHA256 over the body.
#[derive(Debug)]
pub(super) struct OwnSignature {
    pub(super) header: &'static str,
    pub(super) key: String,
}

impl OwnSignature {
    /// Whether a request has it.
    pub(super) fn verifies(&self, headers: &HeaderMap, body: &[u8]) -> bool {
        let given = headers.get(self.header).and_then(|value| hex::decode(value).ok());
        let mut mac =
            Hmac::<Sha256>::new_from_slice(self.key.as_bytes()).expect("HMAC takes keys of any length");
        mac.update(body);
        given.is_some_and(|given| mac.verify_slice(&given).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_key_over_the_right_body_verifies() {
        // RFC 4231, test case 2.
        let hex = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        let check = |key: &str, header: &'static str, body: &[u8], expect: bool| {
            let headers =
                HeaderMap::from_iter([(http::HeaderName::from_static(header), hex.parse().unwrap())]);
            let signature = OwnSignature { header: "signature", key: key.to_owned() };
            assert_eq!(signature.verifies(&headers, body), expect, "{key} {header}");
        };
        check("Jefe", "signature", b"what do ya want for nothing?", true);
        check("Jefe", "signature", b"what do ya want for nothing!", false);
        check("jefe", "signature", b"what do ya want for nothing?", false);
        check("Jefe", "other", b"what do ya want for nothing?", false);
    }
}
