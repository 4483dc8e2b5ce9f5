//! Plugins by name, their versions by content, and what one run may give back.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::delivery::OnTransformFailure;
use crate::request::PreparedRequest;
use crate::time::UnixMillis;

/// Characters of a plugin's name.
pub const PLUGIN_NAME_CHARS_MAX: usize = 64;

/// A plugin's name: lowercase letters, digits and `-`, beginning with a letter.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PluginName(Box<str>);

/// Text that is no plugin name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "a plugin's name has 1 to {PLUGIN_NAME_CHARS_MAX} characters of `a-z 0-9 -` and begins with a letter"
)]
pub struct InvalidPluginName;

impl PluginName {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PluginName {
    type Err = InvalidPluginName;

    fn from_str(text: &str) -> Result<Self, InvalidPluginName> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let valid = text.len() <= PLUGIN_NAME_CHARS_MAX
            && text.starts_with(|first: char| first.is_ascii_lowercase())
            && text.bytes().all(allowed);
        if valid { Ok(Self(text.into())) } else { Err(InvalidPluginName) }
    }
}

impl fmt::Display for PluginName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for PluginName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, formatter)
    }
}

/// A version: SHA-256 of the uploaded bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PluginDigest([u8; 32]);

/// Text that is no digest.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("a plugin version is `sha256:` and 64 hexadecimal digits")]
pub struct InvalidPluginDigest;

impl PluginDigest {
    /// The version that these uploaded bytes are.
    #[must_use]
    pub fn of(component: &[u8]) -> Self {
        Self(Sha256::digest(component).into())
    }

    /// The digest that was stored as these bytes.
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

impl fmt::Display for PluginDigest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "sha256:{}", hex::encode(self.0))
    }
}

impl fmt::Debug for PluginDigest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl FromStr for PluginDigest {
    type Err = InvalidPluginDigest;

    fn from_str(text: &str) -> Result<Self, InvalidPluginDigest> {
        let digits = text.strip_prefix("sha256:").ok_or(InvalidPluginDigest)?;
        let mut bytes = [0; 32];
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| InvalidPluginDigest)?;
        Ok(Self(bytes))
    }
}

/// One uploaded version of a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginVersion {
    /// What it was uploaded as.
    pub name: PluginName,
    /// What it is.
    pub digest: PluginDigest,
    /// Bytes of the upload.
    pub size_bytes: u64,
    /// When it was uploaded first.
    pub created_at: UnixMillis,
}

/// How an endpoint uses a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginUse {
    /// Which plugin.
    pub plugin: PluginName,
    /// A version to stay at; the plugin's current one where there is none.
    pub pinned: Option<PluginDigest>,
    /// JSON text that the plugin reads, at most
    /// [`TRANSFORM_SETTINGS_BYTES_MAX`](crate::limits::TRANSFORM_SETTINGS_BYTES_MAX).
    pub settings: Box<str>,
    /// What happens to a delivery whose run failed for good reason or none.
    pub on_failure: OnTransformFailure,
}

/// What one run of a transform asked for.
#[derive(Debug, Clone, PartialEq)]
pub enum TransformOutcome {
    /// Send these, 1 to [`TRANSFORM_REQUESTS_MAX`](crate::limits::TRANSFORM_REQUESTS_MAX).
    Deliver(Vec<PreparedRequest>),
    /// Finished on purpose, with a reason for the timeline.
    Drop(String),
}

/// What one run cost, for the attempt record and the dry run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RunCost {
    /// Deterministic budget spent.
    pub fuel: u64,
    /// Wall-clock time of the run on its thread.
    pub wall: Duration,
    /// Bytes of linear memory at its largest.
    pub memory_peak_bytes: u64,
}

/// One line that a plugin logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// How loud.
    pub level: LogLevel,
    /// What, already bounded and free of control characters.
    pub message: String,
}

/// How loud a plugin's log line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// For the author.
    Debug,
    /// For the operator.
    Info,
    /// Something is odd.
    Warn,
    /// Something failed.
    Error,
}

/// The bytes of an uploaded plugin, as the store keeps them.
pub type ComponentBytes = Bytes;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_lowercase_words() {
        let check =
            |text: &str, valid: bool| assert_eq!(text.parse::<PluginName>().is_ok(), valid, "{text:?}");
        check("osmox-notification", true);
        check("a", true);
        check("", false);
        check("9lives", false);
        check("Upper", false);
        check("../etc", false);
        check(&"a".repeat(PLUGIN_NAME_CHARS_MAX + 1), false);
    }

    #[test]
    fn digests_read_back() {
        let digest = PluginDigest::of(b"component");
        assert_eq!(digest.to_string().parse(), Ok(digest));
        assert_eq!("sha256:00".parse::<PluginDigest>(), Err(InvalidPluginDigest));
        assert_eq!("md5:00".parse::<PluginDigest>(), Err(InvalidPluginDigest));
    }
}
