//! One signing key, its texts, and its public side.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_PAD_INDIFFERENT};
use ed25519_dalek::ed25519::signature::MultipartSigner;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use thiserror::Error;
use zeroize::Zeroizing;

/// Bytes of the shortest symmetric key (Standard Webhooks: 24 to 64).
pub const SYMMETRIC_BYTES_MIN: usize = 24;
/// Bytes of the longest symmetric key.
pub const SYMMETRIC_BYTES_MAX: usize = 64;
/// Bytes of an ed25519 seed, and of a public key.
pub const ED25519_BYTES: usize = 32;

/// Bytes of the longest plain-text secret.
pub const TEXT_BYTES_MAX: usize = 256;

const SYMMETRIC_PREFIX: &str = "whsec_";
const PRIVATE_PREFIX: &str = "whsk_";
const PUBLIC_PREFIX: &str = "whpk_";
/// Before a plain-text secret where it is stored. No key of another kind begins like this.
const STORED_TEXT_PREFIX: &str = "text:";

/// A key that signs deliveries. Wiped from memory when dropped; `Debug` names its scheme only.
#[derive(Clone)]
pub enum SigningKey {
    /// `v1`: HMAC-SHA256, shared with the receiver.
    Symmetric(SymmetricKey),
    /// `v1a`: ed25519, of which the receiver has the public half.
    Ed25519(Box<Ed25519Key>),
    /// A secret that its owner's receivers have as plain text already; its bytes are the key of an HMAC-SHA256.
    Text(SymmetricKey),
}

/// A shared key. No HMAC state is kept with it: to begin one takes two blocks of SHA-256, it takes ten times the room, and
/// nothing wipes it.
#[derive(Clone)]
pub struct SymmetricKey {
    secret: Zeroizing<Box<[u8]>>,
}

/// A private ed25519 key.
#[derive(Clone)]
pub struct Ed25519Key(ed25519_dalek::SigningKey);

/// What verifies: a shared key or the public half of a private one.
#[derive(Clone)]
pub enum VerifyingKey {
    /// `v1`.
    Symmetric(SymmetricKey),
    /// `v1a`.
    Ed25519(ed25519_dalek::VerifyingKey),
}

/// Text or bytes that are no key. Nothing of them is in here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InvalidSigningKey {
    /// What follows the prefix is not base64.
    #[error("a signing key is base64 after `whsec_` (HMAC-SHA256) or `whsk_` (ed25519)")]
    Encoding,
    /// A shared key of another length.
    #[error(
        "a `whsec_` key holds {SYMMETRIC_BYTES_MIN} to {SYMMETRIC_BYTES_MAX} bytes, this one holds {bytes}"
    )]
    SymmetricLength {
        /// How many it holds.
        bytes: usize,
    },
    /// A private key that is neither a seed nor a seed and its public key.
    #[error(
        "a `whsk_` key holds {ED25519_BYTES} bytes (seed) or 64 (seed and public key), this one holds {bytes}"
    )]
    PrivateLength {
        /// How many it holds.
        bytes: usize,
    },
    /// A private key followed by a public key of another one.
    #[error("the public key in this `whsk_` key does not belong to its seed")]
    Mismatch,
    /// A public key where a key that signs is needed.
    #[error("a `whpk_` key is public and can't sign: give the `whsk_` key")]
    PublicOnly,
    /// A public key that is no point of the curve, or of another length.
    #[error("a `whpk_` key holds the {ED25519_BYTES} bytes of an ed25519 public key")]
    Public,
    /// A plain-text secret that is empty, too long or not visible.
    #[error(
        "a plain-text secret has 1 to {TEXT_BYTES_MAX} bytes and no control characters, such as line breaks"
    )]
    Text,
}

impl InvalidSigningKey {
    /// The stable code that the API shows.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Encoding => "signing_key_encoding_invalid",
            Self::SymmetricLength { .. } | Self::PrivateLength { .. } => "signing_key_length_invalid",
            Self::Mismatch => "signing_key_mismatch",
            Self::PublicOnly => "signing_key_public_only",
            Self::Public => "signing_key_public_invalid",
            Self::Text => "signing_key_text_invalid",
        }
    }
}

impl SigningKey {
    /// Reads a key: `whsec_` or `whsk_` and base64. Without a prefix it is symmetric, as in the Svix API.
    ///
    /// # Errors
    /// When the text is not such a key.
    pub fn parse(text: &str) -> Result<Self, InvalidSigningKey> {
        if text.starts_with(PUBLIC_PREFIX) {
            return Err(InvalidSigningKey::PublicOnly);
        }
        if let Some(encoded) = text.strip_prefix(PRIVATE_PREFIX) {
            return Ed25519Key::from_private_bytes(&decode(encoded)?).map(|key| Self::Ed25519(Box::new(key)));
        }
        let encoded = text.strip_prefix(SYMMETRIC_PREFIX).unwrap_or(text);
        SymmetricKey::new(&decode(encoded)?).map(Self::Symmetric)
    }

    /// Reads the secret of receivers that take its text as the key: a `whsec_` or `whsk_` key as [`parse`](Self::parse) does,
    /// any other text as it is, so that a system that moves here keeps the secrets which its receivers have.
    ///
    /// # Errors
    /// When the text is empty, longer than [`TEXT_BYTES_MAX`] or has control characters; a `whpk_` key.
    pub fn parse_text(text: &str) -> Result<Self, InvalidSigningKey> {
        if text.starts_with(PUBLIC_PREFIX) {
            return Err(InvalidSigningKey::PublicOnly);
        }
        if text.starts_with(PRIVATE_PREFIX) {
            return Self::parse(text);
        }
        // The text is the key, so what would be written another way must stay as it is.
        if text.starts_with(SYMMETRIC_PREFIX)
            && let Ok(key) = Self::parse(text)
            && *key.to_text() == text
        {
            return Ok(key);
        }
        if !(1..=TEXT_BYTES_MAX).contains(&text.len()) || text.chars().any(char::is_control) {
            return Err(InvalidSigningKey::Text);
        }
        Ok(Self::Text(SymmetricKey::of_any_length(text.as_bytes())))
    }

    /// Reads what [`to_stored`](Self::to_stored) wrote.
    ///
    /// # Errors
    /// When the text is not such a key.
    pub fn parse_stored(stored: &str) -> Result<Self, InvalidSigningKey> {
        let Some(text) = stored.strip_prefix(STORED_TEXT_PREFIX) else { return Self::parse(stored) };
        Ok(Self::Text(SymmetricKey::of_any_length(text.as_bytes())))
    }

    /// The text to seal: that of its owner, marked where it is a plain-text secret.
    #[must_use]
    pub fn to_stored(&self) -> Zeroizing<String> {
        match self {
            Self::Text(_) => Zeroizing::new(format!("{STORED_TEXT_PREFIX}{}", *self.to_text())),
            Self::Symmetric(_) | Self::Ed25519(_) => self.to_text(),
        }
    }

    /// A new shared key of these bytes of the system's entropy.
    ///
    /// # Errors
    /// When there are fewer than [`SYMMETRIC_BYTES_MIN`] or more than [`SYMMETRIC_BYTES_MAX`].
    pub fn generate_symmetric(random: &[u8]) -> Result<Self, InvalidSigningKey> {
        SymmetricKey::new(random).map(Self::Symmetric)
    }

    /// A new private key whose seed is 32 bytes of the system's entropy.
    #[must_use]
    pub fn generate_ed25519(seed: [u8; ED25519_BYTES]) -> Self {
        let seed = Zeroizing::new(seed);
        Self::Ed25519(Box::new(Ed25519Key(ed25519_dalek::SigningKey::from_bytes(&seed))))
    }

    /// The secret text for its owner, which [`parse`](Self::parse) or [`parse_text`](Self::parse_text) reads.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        match self {
            Self::Symmetric(key) => Zeroizing::new(encode(SYMMETRIC_PREFIX, &key.secret)),
            Self::Text(key) => Zeroizing::new(String::from_utf8_lossy(&key.secret).into_owned()),
            Self::Ed25519(key) => {
                let pair = Zeroizing::new(key.0.to_keypair_bytes());
                Zeroizing::new(encode(PRIVATE_PREFIX, &*pair))
            }
        }
    }

    /// The `whpk_` text for receivers; a shared key has none.
    #[must_use]
    pub fn public_text(&self) -> Option<String> {
        match self {
            Self::Symmetric(_) | Self::Text(_) => None,
            Self::Ed25519(key) => Some(encode(PUBLIC_PREFIX, key.0.verifying_key().as_bytes())),
        }
    }

    /// The bytes of a shared key.
    pub(crate) fn shared_secret(&self) -> Option<&[u8]> {
        match self {
            Self::Symmetric(key) | Self::Text(key) => Some(&key.secret),
            Self::Ed25519(_) => None,
        }
    }

    /// What the receiver verifies with.
    #[must_use]
    pub fn verifying_key(&self) -> VerifyingKey {
        match self {
            Self::Symmetric(key) | Self::Text(key) => VerifyingKey::Symmetric(key.clone()),
            Self::Ed25519(key) => VerifyingKey::Ed25519(key.0.verifying_key()),
        }
    }

    /// Appends `version,signature` of a message to `header`.
    pub(super) fn sign_into(&self, header: &mut String, id: &str, timestamp: &str, body: &[u8]) {
        match self {
            Self::Symmetric(key) | Self::Text(key) => {
                header.push_str("v1,");
                let tag = key.mac(id, timestamp, body).finalize().into_bytes();
                STANDARD.encode_string(tag, header);
            }
            Self::Ed25519(key) => {
                header.push_str("v1a,");
                let signature = key.0.multipart_sign(&signed_parts(id, timestamp, body));
                STANDARD.encode_string(signature.to_bytes(), header);
            }
        }
    }
}

impl PartialEq for SigningKey {
    /// In constant time for keys of one scheme.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Symmetric(one), Self::Symmetric(other)) | (Self::Text(one), Self::Text(other)) => {
                bool::from(one.secret.ct_eq(&other.secret))
            }
            (Self::Ed25519(one), Self::Ed25519(other)) => one.0 == other.0,
            (Self::Symmetric(_) | Self::Ed25519(_) | Self::Text(_), _) => false,
        }
    }
}

impl Eq for SigningKey {}

impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Symmetric(_) => "SigningKey(v1)",
            Self::Ed25519(_) => "SigningKey(v1a)",
            Self::Text(_) => "SigningKey(text)",
        })
    }
}

impl SymmetricKey {
    fn new(secret: &[u8]) -> Result<Self, InvalidSigningKey> {
        if !(SYMMETRIC_BYTES_MIN..=SYMMETRIC_BYTES_MAX).contains(&secret.len()) {
            return Err(InvalidSigningKey::SymmetricLength { bytes: secret.len() });
        }
        Ok(Self::of_any_length(secret))
    }

    fn of_any_length(secret: &[u8]) -> Self {
        Self { secret: Zeroizing::new(secret.into()) }
    }

    fn mac(&self, id: &str, timestamp: &str, body: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.secret).expect("HMAC takes keys of any length");
        for part in signed_parts(id, timestamp, body) {
            mac.update(part);
        }
        mac
    }
}

impl Ed25519Key {
    fn from_private_bytes(bytes: &[u8]) -> Result<Self, InvalidSigningKey> {
        if let Ok(seed) = <&[u8; ED25519_BYTES]>::try_from(bytes) {
            return Ok(Self(ed25519_dalek::SigningKey::from_bytes(seed)));
        }
        let pair = <&[u8; 2 * ED25519_BYTES]>::try_from(bytes)
            .map_err(|_| InvalidSigningKey::PrivateLength { bytes: bytes.len() })?;
        ed25519_dalek::SigningKey::from_keypair_bytes(pair).map(Self).map_err(|_| InvalidSigningKey::Mismatch)
    }
}

impl VerifyingKey {
    /// Reads what a receiver has: `whpk_` and base64, or any text that [`SigningKey::parse`] reads.
    ///
    /// # Errors
    /// When the text is not such a key.
    pub fn parse(text: &str) -> Result<Self, InvalidSigningKey> {
        let Some(encoded) = text.strip_prefix(PUBLIC_PREFIX) else {
            return SigningKey::parse(text).map(|key| key.verifying_key());
        };
        let bytes = decode(encoded)?;
        let bytes =
            <&[u8; ED25519_BYTES]>::try_from(bytes.as_slice()).map_err(|_| InvalidSigningKey::Public)?;
        let key = ed25519_dalek::VerifyingKey::from_bytes(bytes).map_err(|_| InvalidSigningKey::Public)?;
        // Under a point of low order, one signature can fit many messages.
        if key.is_weak() { Err(InvalidSigningKey::Public) } else { Ok(Self::Ed25519(key)) }
    }

    /// The version that this key's signatures are listed under.
    pub(super) fn version(&self) -> &'static str {
        match self {
            Self::Symmetric(_) => "v1",
            Self::Ed25519(_) => "v1a",
        }
    }

    /// Whether any of these signatures is this key's of the message. Shared keys compare in constant time.
    pub(super) fn matches_any<'a>(
        &self,
        id: &str,
        timestamp: &str,
        body: &[u8],
        signatures: impl Iterator<Item = &'a [u8]>,
    ) -> bool {
        match self {
            Self::Symmetric(key) => {
                let expected = key.mac(id, timestamp, body).finalize().into_bytes();
                let any = signatures.fold(subtle::Choice::from(0), |any, given| any | expected.ct_eq(given));
                bool::from(any)
            }
            Self::Ed25519(key) => {
                let message = signed_parts(id, timestamp, body).concat();
                signatures
                    .filter_map(|given| ed25519_dalek::Signature::from_slice(given).ok())
                    .any(|given| key.verify_strict(&message, &given).is_ok())
            }
        }
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "VerifyingKey({})", self.version())
    }
}

/// What is signed, in the pieces that it is made of.
fn signed_parts<'a>(id: &'a str, timestamp: &'a str, body: &'a [u8]) -> [&'a [u8]; 5] {
    [id.as_bytes(), b".", timestamp.as_bytes(), b".", body]
}

fn encode(prefix: &str, bytes: &[u8]) -> String {
    // Room for all of it at once: a string that grows leaves copies of the secret behind.
    let mut text = String::with_capacity(prefix.len() + bytes.len().div_ceil(3) * 4);
    text.push_str(prefix);
    STANDARD.encode_string(bytes, &mut text);
    text
}

fn decode(encoded: &str) -> Result<Zeroizing<Vec<u8>>, InvalidSigningKey> {
    // Keys are pasted by people: padding may be missing, and is written back by `to_text`.
    STANDARD_PAD_INDIFFERENT.decode(encoded).map(Zeroizing::new).map_err(|_| InvalidSigningKey::Encoding)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn symmetric(bytes: usize) -> String {
        encode(SYMMETRIC_PREFIX, &vec![7; bytes])
    }

    #[test]
    fn reads_keys() {
        let check = |text: &str, expect: Result<&str, InvalidSigningKey>| {
            let key = SigningKey::parse(text).map(|key| key.to_text().to_string());
            assert_eq!(key.as_deref(), expect.as_ref().copied(), "{text}");
        };
        let shared = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        check(shared, Ok(shared));
        check("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", Ok(shared));
        check(&symmetric(64), Ok(&symmetric(64)));
        check(symmetric(32).trim_end_matches('='), Ok(&symmetric(32)));
        check(&symmetric(23), Err(InvalidSigningKey::SymmetricLength { bytes: 23 }));
        check(&symmetric(65), Err(InvalidSigningKey::SymmetricLength { bytes: 65 }));
        check("whsec_", Err(InvalidSigningKey::SymmetricLength { bytes: 0 }));
        check("whsec_not base64 at all, nor a key", Err(InvalidSigningKey::Encoding));
        check(" whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", Err(InvalidSigningKey::Encoding));
        let pair =
            "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==";
        check(pair, Ok(pair));
        check("whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbc=", Ok(pair));
        check(&encode(PRIVATE_PREFIX, &[1; 33]), Err(InvalidSigningKey::PrivateLength { bytes: 33 }));
        check(&encode(PRIVATE_PREFIX, &[1; 64]), Err(InvalidSigningKey::Mismatch));
        check("whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=", Err(InvalidSigningKey::PublicOnly));
    }

    #[test]
    fn public_keys_read_back() {
        let key = SigningKey::generate_ed25519([9; 32]);
        let public = key.public_text().unwrap();
        assert!(public.starts_with("whpk_"));
        assert!(matches!(VerifyingKey::parse(&public), Ok(VerifyingKey::Ed25519(_))));
        assert_eq!(SigningKey::generate_symmetric(&[9; 24]).unwrap().public_text(), None);
        let check = |text: &str, expect: InvalidSigningKey| {
            assert_eq!(VerifyingKey::parse(text).err(), Some(expect), "{text}");
        };
        check("whpk_AAAA", InvalidSigningKey::Public);
        check("whpk_!", InvalidSigningKey::Encoding);
        // The neutral element of the curve is of low order.
        let mut identity = [0; 32];
        identity[0] = 1;
        check(&encode(PUBLIC_PREFIX, &identity), InvalidSigningKey::Public);
    }

    #[test]
    fn debug_and_errors_show_no_secret() {
        let key = SigningKey::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        assert_eq!(format!("{key:?} {:?}", key.verifying_key()), "SigningKey(v1) VerifyingKey(v1)");
        let key = SigningKey::generate_ed25519([9; 32]);
        assert_eq!(format!("{key:?} {:?}", key.verifying_key()), "SigningKey(v1a) VerifyingKey(v1a)");
        let error = SigningKey::parse("whsec_*hunter2*").unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }

    proptest! {
        #[test]
        fn generated_keys_read_back(random in proptest::collection::vec(any::<u8>(), 24..=64), seed: [u8; 32]) {
            for key in [SigningKey::generate_symmetric(&random).unwrap(), SigningKey::generate_ed25519(seed)] {
                prop_assert_eq!(SigningKey::parse(&key.to_text()), Ok(key));
            }
        }

        #[test]
        fn any_text_is_a_key_or_an_error(text: String) {
            if let Ok(key) = SigningKey::parse(&text) {
                prop_assert_eq!(SigningKey::parse(&key.to_text()), Ok(key));
            }
        }
    }
}
