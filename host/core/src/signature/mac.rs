//! HMACs (RFC 2104), of senders and for receivers.

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Sha256, Sha512};

/// The hash of an HMAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// HMAC-SHA1, which old providers still use; as a MAC it is not broken.
    Sha1,
    /// HMAC-SHA256.
    Sha256,
    /// HMAC-SHA512.
    Sha512,
}

impl Algorithm {
    /// Every choice.
    pub const ALL: [Self; 3] = [Self::Sha1, Self::Sha256, Self::Sha512];

    /// The stable name that the store and the API show.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// The choice whose [`code`](Self::code) this is.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|choice| choice.code() == code)
    }

    /// The HMAC of these texts, one behind the other.
    #[must_use]
    pub(crate) fn mac(self, secret: &[u8], signed: &[&[u8]]) -> Vec<u8> {
        match self {
            Self::Sha1 => mac::<Hmac<Sha1>>(secret, signed),
            Self::Sha256 => mac::<Hmac<Sha256>>(secret, signed),
            Self::Sha512 => mac::<Hmac<Sha512>>(secret, signed),
        }
    }
}

fn mac<M: Mac + KeyInit>(secret: &[u8], signed: &[&[u8]]) -> Vec<u8> {
    let mut mac = <M as KeyInit>::new_from_slice(secret).expect("HMAC takes keys of any length");
    for piece in signed {
        mac.update(piece);
    }
    mac.finalize().into_bytes().to_vec()
}
