//! Secrets that a plugin may use by name and never sees.
//!
//! A plugin says `slack_token`; the host looks it up among the [`BoundSecrets`] of the run, signs with it, or notes
//! that a header is to carry it. The value itself is written into the header when the request is sent
//! ([`build`](crate::request::build)), so what is kept for retries has the name only.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use subtle::ConstantTimeEq;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::limits::SECRET_BYTES_MAX;

/// Characters of a secret's name.
pub const SECRET_NAME_CHARS_MAX: usize = 64;

/// What a plugin calls a secret: characters of `a-z 0-9 _ -`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretName(Box<str>);

/// Text that is no secret's name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("a secret's name has 1 to {SECRET_NAME_CHARS_MAX} characters of `a-z 0-9 _ -`")]
pub struct InvalidSecretName;

impl SecretName {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SecretName {
    type Err = InvalidSecretName;

    fn from_str(text: &str) -> Result<Self, InvalidSecretName> {
        let allowed =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-');
        let valid = (1..=SECRET_NAME_CHARS_MAX).contains(&text.len()) && text.bytes().all(allowed);
        if valid { Ok(Self(text.into())) } else { Err(InvalidSecretName) }
    }
}

impl Borrow<str> for SecretName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for SecretName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, formatter)
    }
}

/// A secret's value. Wiped from memory when dropped; never shown; compared in constant time.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

/// A value that is empty or longer than any key.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("a secret has 1 to {SECRET_BYTES_MAX} bytes, this one has {bytes}")]
pub struct InvalidSecret {
    /// How many there are.
    pub bytes: usize,
}

impl Secret {
    /// Takes 1 to [`SECRET_BYTES_MAX`] bytes.
    ///
    /// # Errors
    /// When there are none or more.
    pub fn new(value: Zeroizing<Vec<u8>>) -> Result<Self, InvalidSecret> {
        let valid = (1..=SECRET_BYTES_MAX).contains(&value.len());
        if valid { Ok(Self(value)) } else { Err(InvalidSecret { bytes: value.len() }) }
    }

    /// The value, for whoever signs with it, sends it or seals it.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(..)")
    }
}

/// The secrets that one endpoint or one source has for its plugin.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct BoundSecrets(BTreeMap<SecretName, Secret>);

impl BoundSecrets {
    /// The secret of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Secret> {
        self.0.get(name)
    }

    /// Each name with its secret, in order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&SecretName, &Secret)> {
        self.0.iter()
    }

    /// The names, in order; what may be shown.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(SecretName::as_str)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<(SecretName, Secret)> for BoundSecrets {
    fn from_iter<T: IntoIterator<Item = (SecretName, Secret)>>(secrets: T) -> Self {
        Self(secrets.into_iter().collect())
    }
}

impl fmt::Debug for BoundSecrets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_words_of_configuration_files() {
        let check =
            |text: &str, valid: bool| assert_eq!(text.parse::<SecretName>().is_ok(), valid, "{text:?}");
        check("slack_token", true);
        check("9-lives", true);
        check(&"a".repeat(SECRET_NAME_CHARS_MAX), true);
        check(&"a".repeat(SECRET_NAME_CHARS_MAX + 1), false);
        check("", false);
        check("Upper", false);
        check("a.b", false);
    }

    #[test]
    fn values_are_bounded_and_never_shown() {
        let secret = |bytes: usize| Secret::new(Zeroizing::new(vec![b'x'; bytes]));
        assert_eq!(secret(0), Err(InvalidSecret { bytes: 0 }));
        assert_eq!(secret(SECRET_BYTES_MAX + 1), Err(InvalidSecret { bytes: SECRET_BYTES_MAX + 1 }));
        let longest = secret(SECRET_BYTES_MAX).unwrap();
        assert_eq!(longest.expose().len(), SECRET_BYTES_MAX);
        let bound: BoundSecrets = [("token".parse().unwrap(), secret(5).unwrap())].into_iter().collect();
        assert_eq!(format!("{bound:?} {:?}", secret(5)), r#"{"token"} Ok(Secret(..))"#);
    }

    #[test]
    fn are_found_by_name() {
        let secret = |text: &str| Secret::new(Zeroizing::new(text.as_bytes().to_vec())).unwrap();
        let bound: BoundSecrets =
            [("b".parse().unwrap(), secret("2")), ("a".parse().unwrap(), secret("1"))].into_iter().collect();
        assert_eq!(bound.get("a"), Some(&secret("1")));
        assert_eq!(bound.get("c"), None);
        let names: Vec<_> = bound.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
    }
}
