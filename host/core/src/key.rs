//! API keys: 256 random bits for the caller, or a text that callers already have; its SHA-256 for us.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::id::{ApplicationId, KeyId};
use crate::time::UnixMillis;

/// What every key's text begins with, so that secret scanners can name it.
pub const KEY_PREFIX: &str = "hmk_";

/// What is kept of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Names the key in lists and logs.
    pub id: KeyId,
    /// All that is known of the secret.
    pub hash: KeyHash,
    /// What it opens.
    pub scope: Scope,
    /// For people.
    pub label: String,
    /// When it was made.
    pub created_at: UnixMillis,
}

/// What a key opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Everything.
    Admin,
    /// Everything of one application.
    Application(ApplicationId),
    /// Sending events to one application, nothing else.
    Ingest(ApplicationId),
    /// Reading what the router counts of itself (`GET /metrics`), nothing else.
    Metrics,
}

impl Scope {
    /// Whether this key may read and change the configuration of `application`.
    #[must_use]
    pub fn administers(self, application: ApplicationId) -> bool {
        match self {
            Self::Admin => true,
            Self::Application(own) => own == application,
            Self::Ingest(_) | Self::Metrics => false,
        }
    }

    /// Whether this key may read the router's metrics, which say how much all applications send.
    #[must_use]
    pub fn reads_metrics(self) -> bool {
        match self {
            Self::Admin | Self::Metrics => true,
            Self::Application(_) | Self::Ingest(_) => false,
        }
    }

    /// Whether this key goes when `application` goes.
    #[must_use]
    pub fn belongs_to(self, application: ApplicationId) -> bool {
        match self {
            Self::Admin | Self::Metrics => false,
            Self::Application(own) | Self::Ingest(own) => own == application,
        }
    }

    /// Whether this key may send events to `application`.
    #[must_use]
    pub fn sends_to(self, application: ApplicationId) -> bool {
        match self {
            Self::Admin => true,
            Self::Application(own) | Self::Ingest(own) => own == application,
            Self::Metrics => false,
        }
    }
}

/// SHA-256 of a key's text. Plain hashing is enough: the text has 256 bits of chance. One that its operator chose is as
/// strong as it is, against whoever has the store as against whoever guesses over the network.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyHash([u8; 32]);

impl KeyHash {
    /// Hashes what a caller presents.
    #[must_use]
    pub fn of(text: &str) -> Self {
        Self(Sha256::digest(text.as_bytes()).into())
    }

    /// The hash that was stored as these bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes to store.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "KeyHash({}..)", hex::encode(&self.0[..4]))
    }
}

/// The text of a new key, to be shown once.
#[must_use]
pub fn key_text(random: [u8; 32]) -> Zeroizing<String> {
    let random = Zeroizing::new(random);
    Zeroizing::new(format!("{KEY_PREFIX}{}", URL_SAFE_NO_PAD.encode(*random)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_its_prefix_and_43_characters() {
        let text = key_text([7; 32]);
        assert_eq!(text.len(), KEY_PREFIX.len() + 43);
        assert_ne!(KeyHash::of(&text), KeyHash::of(&key_text([8; 32])));
    }

    #[test]
    fn scopes_open_no_more_than_they_say() {
        let own = ApplicationId::new(UnixMillis(1), 1);
        let other = ApplicationId::new(UnixMillis(1), 2);
        let check = |scope: Scope, administers: [bool; 2], sends: [bool; 2]| {
            assert_eq!([scope.administers(own), scope.administers(other)], administers, "{scope:?}");
            assert_eq!([scope.sends_to(own), scope.sends_to(other)], sends, "{scope:?}");
        };
        check(Scope::Admin, [true, true], [true, true]);
        check(Scope::Application(own), [true, false], [true, false]);
        check(Scope::Ingest(own), [false, false], [true, false]);
    }
}
