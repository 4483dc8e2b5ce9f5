//! Standard Webhooks 1.0.0 signatures.
//!
//! Signed is `{message id}.{timestamp}.{body}`: the `webhook-id` of the message, the time of the *attempt* in whole
//! seconds, and the exact bytes sent. A signature is `v1,` and the base64 of an HMAC-SHA256, or `v1a,` and the base64
//! of an ed25519 signature; the `webhook-signature` header lists one for each of the endpoint's active keys, which is
//! what makes rotation free of gaps.
//!
//! - [`key`]: one [`SigningKey`] and its public side, the [`VerifyingKey`];
//! - [`rotation`]: the [`SigningKeys`] of one endpoint, the current one and earlier ones that are still active;
//! - [`verification`]: the receiver's side, for sources and tests;
//! - [`http_message`]: the other scheme, RFC 9421, which covers header fields too.
//!
//! Three habits of the reference libraries shape what [`SigningKeys::sign`] writes: several take the first header line only, the
//! Python one fails on an empty token, and some read the timestamp as an integer. Hence one line, single spaces,
//! none at the end, whole seconds. None of them can verify a body that is not UTF-8, although its signature is well
//! defined.

pub mod http_message;
pub mod key;
pub(crate) mod mac;
pub mod rotation;
pub mod verification;

pub use key::{InvalidSigningKey, SigningKey, VerifyingKey};
pub use rotation::{
    EarlierKey, RotatingKeys, SIGNING_KEYS_MAX, SIGNING_OVERLAP_DEFAULT, SigningKeys, TooManySigningKeys,
};
pub use verification::{SignedMessage, TIMESTAMP_TOLERANCE_DEFAULT, VerificationError, verify};

use crate::time::UnixMillis;

impl SigningKeys {
    /// The value of the one `webhook-signature` header of an attempt at `now`: a signature by each active key, the
    /// current key's first.
    ///
    /// `message_id` must not contain a full stop, or the signed text would be ambiguous; ids of events never do.
    #[must_use]
    pub fn sign(&self, message_id: &str, timestamp_secs: u64, body: &[u8], now: UnixMillis) -> String {
        let timestamp = timestamp_secs.to_string();
        let mut header = String::with_capacity(128);
        for key in self.active(now) {
            if !header.is_empty() {
                header.push(' ');
            }
            key.sign_into(&mut header, message_id, &timestamp, body);
        }
        header
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const NOW: UnixMillis = UnixMillis(1_795_309_323_004);
    const MINUTE: Duration = Duration::from_secs(60);

    fn vectors() -> Vec<serde_json::Value> {
        let text = include_str!("../../../tests/data/vectors/signatures.json");
        let mut vectors: serde_json::Value = serde_json::from_str(text).unwrap();
        let serde_json::Value::Array(vectors) = vectors["standard_webhooks"].take() else {
            panic!("no vectors")
        };
        vectors
    }

    #[test]
    fn signs_and_verifies_the_published_vectors() {
        let vectors = vectors();
        assert_eq!(vectors.len(), 3);
        for vector in &vectors {
            let text = |field: &str| vector[field].as_str().unwrap_or_else(|| panic!("{field} of {vector}"));
            let secret = match vector["secret"].as_str() {
                Some(symmetric) => symmetric.to_owned(),
                None => format!("whsk_{}", text("private_key_seed_and_public_base64")),
            };
            let key = SigningKey::parse(&secret).unwrap();
            assert_eq!(*key.to_text(), secret);
            let timestamp_secs = vector["timestamp"].as_u64().unwrap();
            let now = UnixMillis(timestamp_secs * 1000);
            let verifying_key = key.verifying_key();
            let keys = SigningKeys::new(key);
            let header = keys.sign(text("id"), timestamp_secs, text("body").as_bytes(), now);
            assert_eq!(header, text("signature"));

            let message = SignedMessage {
                id: text("id"),
                timestamp: &timestamp_secs.to_string(),
                signatures: text("signature"),
                body: text("body").as_bytes(),
            };
            assert_eq!(verify(&[verifying_key], &message, now, MINUTE), Ok(()));
        }
    }

    #[test]
    fn the_header_lists_active_keys_with_the_current_first() {
        let [first, second, third] = [
            SigningKey::generate_symmetric(&[1; 24]).unwrap(),
            SigningKey::generate_ed25519([2; 32]),
            SigningKey::generate_symmetric(&[3; 32]).unwrap(),
        ];
        let mut keys = SigningKeys::new(first);
        keys.rotate(second, NOW, MINUTE).unwrap();
        keys.rotate(third, NOW, 2 * MINUTE).unwrap();
        let check = |after: Duration, expect: &[&str]| {
            let header = keys.sign("msg_1", 1, b"{}", NOW.after(after));
            let versions: Vec<_> = header.split(' ').map(|token| token.split_once(',').unwrap().0).collect();
            assert_eq!(versions, expect, "{header}");
        };
        check(Duration::ZERO, &["v1", "v1a", "v1"]);
        check(MINUTE, &["v1", "v1a"]);
        check(2 * MINUTE, &["v1"]);
    }

    fn signing_keys() -> impl Strategy<Value = SigningKey> {
        let symmetric = proptest::collection::vec(any::<u8>(), 24..=64)
            .prop_map(|secret| SigningKey::generate_symmetric(&secret).unwrap());
        prop_oneof![symmetric, any::<[u8; 32]>().prop_map(SigningKey::generate_ed25519)]
    }

    proptest! {
        #[test]
        fn what_any_active_key_signed_verifies(
            list in proptest::collection::vec(signing_keys(), 1..=4),
            chosen: prop::sample::Index,
            id in "[a-zA-Z0-9_-]{1,40}",
            body: Vec<u8>,
        ) {
            let verifying_key = chosen.get(&list).verifying_key();
            let mut list = list.into_iter();
            let mut keys = SigningKeys::new(list.next().unwrap());
            for key in list {
                keys.rotate(key, NOW, MINUTE).unwrap();
            }
            let signatures = keys.sign(&id, NOW.as_secs(), &body, NOW);
            let timestamp = NOW.as_secs().to_string();
            let message = SignedMessage { id: &id, timestamp: &timestamp, signatures: &signatures, body: &body };
            prop_assert_eq!(verify(&[verifying_key], &message, NOW, MINUTE), Ok(()));
        }

        #[test]
        fn what_was_changed_does_not_verify(
            key in signing_keys(),
            other in signing_keys(),
            id in "[a-zA-Z0-9_-]{1,40}",
            body in proptest::collection::vec(any::<u8>(), 1..200),
            position: prop::sample::Index,
            bit in 0..8u8,
        ) {
            let (verifying_key, other) = ([key.verifying_key()], [other.verifying_key()]);
            let signatures = SigningKeys::new(key).sign(&id, NOW.as_secs(), &body, NOW);
            let timestamp = NOW.as_secs().to_string();
            let message = SignedMessage { id: &id, timestamp: &timestamp, signatures: &signatures, body: &body };
            prop_assert_eq!(verify(&verifying_key, &message, NOW, MINUTE), Ok(()));
            let refused = Err(VerificationError::NoMatch);
            prop_assert_eq!(verify(&other, &message, NOW, MINUTE), refused);

            let mut changed = body.clone();
            *position.get_mut(&mut changed) ^= 1 << bit;
            prop_assert_eq!(verify(&verifying_key, &SignedMessage { body: &changed, ..message }, NOW, MINUTE), refused);
            let renamed = format!("{id}x");
            prop_assert_eq!(verify(&verifying_key, &SignedMessage { id: &renamed, ..message }, NOW, MINUTE), refused);
            let later = (NOW.as_secs() + 1).to_string();
            prop_assert_eq!(verify(&verifying_key, &SignedMessage { timestamp: &later, ..message }, NOW, MINUTE), refused);
        }
    }
}
