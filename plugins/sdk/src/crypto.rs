//! Digests and codes, computed by the router: it has the keys.

use crate::{Failure, Result, host};

/// Digest algorithms. SHA-1 is here for providers that still ask for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the standard's own names (FIPS 180-4)")]
pub enum Digest {
    Sha1,
    Sha256,
    Sha512,
}

/// The digest of `data`.
///
/// ```
/// use hookmill_plugin::crypto::{Digest, hash};
///
/// let digest = hash(Digest::Sha256, b"abc");
/// assert_eq!(digest[..4], [0xba, 0x78, 0x16, 0xbf]);
/// ```
#[must_use]
pub fn hash(algorithm: Digest, data: &[u8]) -> Vec<u8> {
    host::hash(algorithm, data)
}

/// The HMAC (RFC 2104) of `data` with the secret of this name as its key, which the plugin never sees. In plain
/// `cargo test` every secret is there: the one named `a` is the text `sample-secret-a`, as in samples.
///
/// # Errors
/// A permanent failure where no secret has that name.
pub fn hmac(algorithm: Digest, secret: &str, data: &[u8]) -> Result<Vec<u8>> {
    host::hmac(algorithm, secret, data).map_err(Failure::Permanent)
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;

    /// The digests of `abc` in FIPS 180-2, appendices A.1, B.1 and C.1, by their first and last byte.
    #[test]
    fn digests_are_the_standards() {
        let check = |algorithm, bytes, first, last| {
            let digest = hash(algorithm, b"abc");
            assert_eq!((digest.len(), digest[0], digest[bytes - 1]), (bytes, first, last), "{algorithm:?}");
        };
        check(Digest::Sha1, 20, 0xa9, 0x9d);
        check(Digest::Sha256, 32, 0xba, 0xad);
        check(Digest::Sha512, 64, 0xdd, 0x9f);
    }

    #[test]
    fn macs_depend_on_data_and_key() {
        let mac =
            |algorithm, secret, data: &[u8]| hmac(algorithm, secret, data).expect("each secret is there");
        for (algorithm, bytes) in [(Digest::Sha1, 20), (Digest::Sha256, 32), (Digest::Sha512, 64)] {
            assert_eq!(mac(algorithm, "a", b"x").len(), bytes);
            assert_eq!(mac(algorithm, "a", b"x"), mac(algorithm, "a", b"x"));
            assert_ne!(mac(algorithm, "a", b"x"), mac(algorithm, "b", b"x"));
            assert_ne!(mac(algorithm, "a", b"x"), mac(algorithm, "a", b"y"));
        }
    }
}
