//! What stands in the place of what is redacted.

use std::fmt::Write as _;

use hookmill_plugin::Result;
use hookmill_plugin::crypto::{self, Digest};

/// Bytes of a digest that are shown: 64 bits tell the values of one receiver apart.
const HASH_BYTES: usize = 8;

/// The owner's mask and key.
#[derive(Debug)]
pub(crate) struct Replacement<'settings> {
    pub(crate) mask: &'settings str,
    pub(crate) hash_key: Option<&'settings str>,
}

impl Replacement<'_> {
    /// The same for the same text: `sha256:` or, with a key, `hmac:` and 16 hexadecimal digits.
    pub(crate) fn hash(&self, text: &str) -> Result<String> {
        let (mut hash, digest) = match self.hash_key {
            Some(key) => ("hmac:".to_owned(), crypto::hmac(Digest::Sha256, key, text.as_bytes())?),
            None => ("sha256:".to_owned(), crypto::hash(Digest::Sha256, text.as_bytes())),
        };
        for byte in digest.iter().take(HASH_BYTES) {
            let _ = write!(hash, "{byte:02x}");
        }
        Ok(hash)
    }
}
