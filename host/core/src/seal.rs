//! Secrets at rest, and proof that a file is this installation's own.
//!
//! One 32-byte [`SealKey`] belongs to an installation. No use of it touches the key itself: each has a sub-key,
//! derived by HMAC-SHA256 from the name of its purpose, so that what leaks from one use says nothing of another.
//! - [`SealKey::seal`] and [`SealKey::open`]: XChaCha20-Poly1305, whose 24-byte nonce may be drawn at random for
//!   every secret. The *context* (say, the kind and id of the row) is authenticated with it: a sealed secret that
//!   was moved to another row does not open there.
//! - [`SealKey::mac`] and [`SealKey::verify_mac`]: for compiled plugins, which are loaded as machine code.
//!
//! A sealed secret is one version byte, the nonce, the ciphertext and its 16-byte tag.

use std::fmt;

use chacha20poly1305::aead::{Aead, AeadInOut, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use thiserror::Error;
use zeroize::Zeroizing;

/// The only version of the sealed form so far.
const VERSION: u8 = 1;
/// Bytes of chance that each seal begins with.
pub const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;

/// Bytes that sealing adds to a secret.
pub const SEAL_OVERHEAD_BYTES: usize = 1 + NONCE_BYTES + TAG_BYTES;

/// The key of one installation. Wiped from memory when dropped; never shown.
#[derive(Clone)]
pub struct SealKey {
    master: Zeroizing<[u8; 32]>,
    sealing: Zeroizing<[u8; 32]>,
    authentication: Zeroizing<[u8; 32]>,
}

/// Why a sealed secret does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SealError {
    /// Shorter than any sealed secret.
    #[error("a sealed secret has at least {SEAL_OVERHEAD_BYTES} bytes, this one has {bytes}")]
    Truncated {
        /// How many there are.
        bytes: usize,
    },
    /// Sealed by another version of the program.
    #[error("a sealed secret of version {version} needs a newer program, this one knows version {VERSION}")]
    Version {
        /// What it says.
        version: u8,
    },
    /// The tag does not match.
    #[error(
        "a sealed secret does not open: it was sealed under another key or for another row, or it was changed; \
         start with the data directory's own seal key"
    )]
    Rejected,
}

impl SealError {
    /// The stable code for logs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Truncated { .. } => "sealed_secret_truncated",
            Self::Version { .. } => "sealed_secret_version_unknown",
            Self::Rejected => "sealed_secret_rejected",
        }
    }
}

impl SealKey {
    /// The installation's key, from 32 bytes of the system's entropy.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        let master = Zeroizing::new(bytes);
        let sealing = derive(&master, "secrets at rest");
        let authentication = derive(&master, "message authentication");
        Self { master, sealing, authentication }
    }

    /// Seals a secret for one context. `nonce` is chance and must never be used twice.
    #[must_use]
    pub fn seal(&self, nonce: [u8; NONCE_BYTES], context: &[u8], plain: &[u8]) -> Vec<u8> {
        let mut sealed = Vec::with_capacity(SEAL_OVERHEAD_BYTES + plain.len());
        sealed.push(VERSION);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(plain);
        let text = &mut sealed[1 + NONCE_BYTES..];
        let tag = self
            .cipher()
            .encrypt_inout_detached(&XNonce::from(nonce), context, text.into())
            .expect("XChaCha20-Poly1305 takes 256 GiB, and no secret is that long");
        sealed.extend_from_slice(&tag);
        sealed
    }

    /// The secret that was sealed for this context.
    ///
    /// # Errors
    /// When the bytes are not a secret sealed under this key for this context.
    pub fn open(&self, context: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let truncated = SealError::Truncated { bytes: sealed.len() };
        let (&version, rest) = sealed.split_first().ok_or(truncated)?;
        if version != VERSION {
            return Err(SealError::Version { version });
        }
        let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(truncated)?;
        if ciphertext.len() < TAG_BYTES {
            return Err(truncated);
        }
        self.cipher()
            .decrypt(&XNonce::from(*nonce), Payload { msg: ciphertext, aad: context })
            .map(Zeroizing::new)
            .map_err(|_| SealError::Rejected)
    }

    /// HMAC-SHA256 of these bytes in this context.
    #[must_use]
    pub fn mac(&self, context: &[u8], bytes: &[u8]) -> [u8; 32] {
        self.mac_state(context, bytes).finalize().into_bytes().into()
    }

    /// Whether `tag` is the [`mac`](Self::mac) of these bytes in this context, in constant time.
    #[must_use]
    pub fn verify_mac(&self, context: &[u8], bytes: &[u8], tag: &[u8]) -> bool {
        self.mac_state(context, bytes).verify_slice(tag).is_ok()
    }

    /// A key of its own for another purpose.
    #[must_use]
    pub fn derive(&self, purpose: &str) -> Zeroizing<[u8; 32]> {
        // The prefix keeps these apart from the two that `new` derives.
        derive(&self.master, &format!("purpose: {purpose}"))
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new((&*self.sealing).into())
    }

    fn mac_state(&self, context: &[u8], bytes: &[u8]) -> Hmac<Sha256> {
        // With the context's length in front, no two pairs of context and bytes are the same input.
        let mut mac = keyed(&self.authentication);
        mac.update(&(context.len() as u64).to_be_bytes());
        mac.update(context);
        mac.update(bytes);
        mac
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SealKey(..)")
    }
}

fn derive(master: &[u8; 32], purpose: &str) -> Zeroizing<[u8; 32]> {
    let mut mac = keyed(master);
    mac.update(b"hookmill seal key 1: ");
    mac.update(purpose.as_bytes());
    Zeroizing::new(mac.finalize().into_bytes().into())
}

fn keyed(key: &[u8; 32]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NONCE: [u8; NONCE_BYTES] = [7; NONCE_BYTES];

    fn key(byte: u8) -> SealKey {
        SealKey::new([byte; 32])
    }

    #[test]
    fn refuses_what_was_not_sealed_here() {
        let sealed = key(1).seal(NONCE, b"ep_1", b"whsec_abc");
        assert_eq!(sealed.len(), b"whsec_abc".len() + SEAL_OVERHEAD_BYTES);
        let check = |key: SealKey, context: &[u8], sealed: &[u8], expect: Result<&[u8], SealError>| {
            let opened = key.open(context, sealed);
            assert_eq!(opened.as_ref().map(|plain| plain.as_slice()), expect.as_ref().copied());
        };
        check(key(1), b"ep_1", &sealed, Ok(b"whsec_abc"));
        check(key(2), b"ep_1", &sealed, Err(SealError::Rejected));
        check(key(1), b"ep_2", &sealed, Err(SealError::Rejected));
        check(key(1), b"ep_1", b"", Err(SealError::Truncated { bytes: 0 }));
        check(key(1), b"ep_1", &sealed[..20], Err(SealError::Truncated { bytes: 20 }));
        check(key(1), b"ep_1", &sealed[..40], Err(SealError::Truncated { bytes: 40 }));
        check(key(1), b"ep_1", &sealed[..41], Err(SealError::Rejected));
        let newer = [&[2], &sealed[1..]].concat();
        check(key(1), b"ep_1", &newer, Err(SealError::Version { version: 2 }));
    }

    #[test]
    fn derived_keys_differ_by_purpose_and_master() {
        let one = key(1);
        let keys = [one.derive("a"), one.derive("b"), key(2).derive("a"), one.derive("secrets at rest")];
        for (index, left) in keys.iter().enumerate() {
            assert!(keys[index + 1..].iter().all(|right| left != right));
            assert!(*left != one.master && *left != one.sealing && *left != one.authentication);
        }
        assert_eq!(one.derive("a"), key(1).derive("a"));
    }

    #[test]
    fn a_context_is_not_part_of_the_bytes() {
        assert_ne!(key(1).mac(b"ab", b"c"), key(1).mac(b"a", b"bc"));
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", key(0xAB)), "SealKey(..)");
    }

    proptest! {
        #[test]
        fn opens_what_it_sealed(seed: [u8; 32], nonce: [u8; 24], context: Vec<u8>, plain: Vec<u8>) {
            let key = SealKey::new(seed);
            let opened = key.open(&context, &key.seal(nonce, &context, &plain));
            prop_assert_eq!(opened.as_ref().map(|opened| opened.as_slice()), Ok(plain.as_slice()));
        }

        #[test]
        fn any_changed_bit_is_refused(seed: [u8; 32], plain: Vec<u8>, position: prop::sample::Index, bit in 0..8u8) {
            let key = SealKey::new(seed);
            let mut sealed = key.seal(NONCE, b"row", &plain);
            let position = position.index(sealed.len());
            sealed[position] ^= 1 << bit;
            prop_assert!(key.open(b"row", &sealed).is_err());
        }

        #[test]
        fn macs_verify_and_changes_do_not(seed: [u8; 32], context: Vec<u8>, bytes: Vec<u8>, position in 0..32usize, bit in 0..8u8) {
            let key = SealKey::new(seed);
            let mut tag = key.mac(&context, &bytes);
            prop_assert!(key.verify_mac(&context, &bytes, &tag));
            prop_assert!(!key.verify_mac(&context, &bytes, &tag[..31]));
            prop_assert!(!key.verify_mac(&context, &[bytes.as_slice(), b"x"].concat(), &tag));
            tag[position] ^= 1 << bit;
            prop_assert!(!key.verify_mac(&context, &bytes, &tag));
        }
    }
}
