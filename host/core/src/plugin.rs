//! Plugins by name, their versions by content, what a run is given and what it may give back.

mod exchange;
mod secret;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use thiserror::Error;

pub use self::exchange::{
    ClassifierVerdict, InboundRequest, LogLevel, LogLine, ReceiverAnswer, RunCost, SourceEvent, SourceReply,
    SourceVerdict, TransformOutcome,
};
pub use self::secret::{
    BoundSecrets, InvalidSecret, InvalidSecretName, SECRET_NAME_CHARS_MAX, Secret, SecretName,
};
use crate::address::Origin;
use crate::delivery::OnTransformFailure;
use crate::time::UnixMillis;

/// The bundled plugin whose setting `code` is a script: what `code` of a transformation stands for.
pub const JAVASCRIPT_PLUGIN: &str = "javascript";
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
    /// What it is for.
    pub world: World,
    /// Which answers it is asked about, where it is a classifier.
    pub answers: ClassifiedAnswers,
    /// What its manifest calls this version; empty where there is no manifest.
    pub label: Box<str>,
    /// What its manifest says it does, in a line; empty where there is no manifest.
    pub description: Box<str>,
    /// Bytes of the upload.
    pub size_bytes: u64,
    /// When it was uploaded first.
    pub created_at: UnixMillis,
    /// The key that it was uploaded with; empty where the router brought it.
    pub uploaded_by: Box<str>,
}

/// What a version asks for and says of itself. It is read when someone looks, so the store has it and no snapshot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PluginInterface {
    /// The interfaces and functions that it imports.
    pub imports: Vec<String>,
    /// The text of its manifest.
    pub manifest: Option<Bytes>,
}

/// Which plugin, and what it gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginBinding {
    /// Which plugin.
    pub plugin: PluginName,
    /// A version to stay at; the plugin's current one where there is none.
    pub pinned: Option<PluginDigest>,
    /// JSON text that the plugin reads, at most
    /// [`TRANSFORM_SETTINGS_BYTES_MAX`](crate::limits::TRANSFORM_SETTINGS_BYTES_MAX).
    pub settings: Arc<str>,
    /// Secrets that it may use by name, at most [`BOUND_SECRETS_MAX`](crate::limits::BOUND_SECRETS_MAX).
    pub secrets: Arc<BoundSecrets>,
}

/// How an endpoint uses a transform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginUse {
    /// Which plugin, and what it gets.
    pub binding: PluginBinding,
    /// What happens to a delivery whose run failed for good reason or none.
    pub on_failure: OnTransformFailure,
    /// Whether its runs may share an instance.
    pub instance: InstancePolicy,
    /// Origins beside the endpoint's own that its requests may go to, at most
    /// [`ALLOWED_ORIGINS_MAX`](crate::limits::ALLOWED_ORIGINS_MAX).
    pub allowed_origins: Vec<Origin>,
}

/// What a run finds in its memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum InstancePolicy {
    /// Each run has an instance of its own: it sees nothing of another, and repeated it gives the same.
    #[default]
    Fresh,
    /// Runs for one endpoint, by one version with the same settings and secrets, may find what an earlier one of them
    /// left: faster, above all for languages whose runtime takes its time to start, and only as repeatable as the
    /// plugin makes it. Never shared between endpoints.
    Reused,
}

impl InstancePolicy {
    /// Every choice.
    pub const ALL: [Self; 2] = [Self::Fresh, Self::Reused];

    /// The stable code that the store and the API show.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Reused => "reused",
        }
    }

    /// The choice whose [`code`](Self::code) this is.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|choice| choice.code() == code)
    }
}

impl PluginBinding {
    /// The plugin's current version with empty settings and no secrets.
    #[must_use]
    pub fn new(plugin: PluginName) -> Self {
        Self { plugin, pinned: None, settings: Arc::from("{}"), secrets: Arc::default() }
    }
}

/// What a plugin is for: which world of `wit/` it was built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum World {
    /// Reshapes events on their way to one endpoint.
    Transform,
    /// Turns what one provider posts into events.
    Source,
    /// Reads receivers' answers.
    Classifier,
}

/// Text that is no world.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("a plugin's world is `transform`, `source` or `classifier`")]
pub struct InvalidWorld;

impl World {
    /// Every world.
    pub const ALL: [Self; 3] = [Self::Transform, Self::Source, Self::Classifier];

    /// The text, which is also the name of the interface that a plugin of this world exports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Transform => "transform",
            Self::Source => "source",
            Self::Classifier => "classifier",
        }
    }
}

impl FromStr for World {
    type Err = InvalidWorld;

    fn from_str(text: &str) -> Result<Self, InvalidWorld> {
        Self::ALL.into_iter().find(|world| world.as_str() == text).ok_or(InvalidWorld)
    }
}

impl fmt::Display for World {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// Which answers of receivers a classifier is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ClassifiedAnswers {
    /// Those whose status is a success under the endpoint's policy: a classifier finds the failures among them, and
    /// can't turn a failure into a delivery by mistake.
    #[default]
    Successes,
    /// All of them.
    All,
}

/// Text that says not which answers.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("a classifier is asked about `successes` or `all`")]
pub struct InvalidClassifiedAnswers;

impl ClassifiedAnswers {
    /// Every choice.
    pub const ALL: [Self; 2] = [Self::Successes, Self::All];

    /// The text that manifests and the store have.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Successes => "successes",
            Self::All => "all",
        }
    }
}

impl FromStr for ClassifiedAnswers {
    type Err = InvalidClassifiedAnswers;

    fn from_str(text: &str) -> Result<Self, InvalidClassifiedAnswers> {
        Self::ALL.into_iter().find(|choice| choice.as_str() == text).ok_or(InvalidClassifiedAnswers)
    }
}

/// An upload that is ready to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    /// Which version it is.
    pub digest: PluginDigest,
    /// What the host found in it.
    pub facts: PluginFacts,
}

/// What a host finds in a plugin without running it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginFacts {
    /// What it exports.
    pub world: World,
    /// The interfaces that it imports, such as `hookmill:plugin/event@1.0.0`, in order.
    pub imports: Vec<String>,
    /// The text of its manifest's section, not yet parsed.
    pub manifest: Option<Bytes>,
    /// Bytes of its compiled form.
    pub artefact_bytes: u64,
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
    fn worlds_read_back() {
        for world in World::ALL {
            assert_eq!(world.as_str().parse(), Ok(world));
        }
        assert_eq!("transform-plugin".parse::<World>(), Err(InvalidWorld));
    }

    #[test]
    fn classified_answers_read_back() {
        for choice in ClassifiedAnswers::ALL {
            assert_eq!(choice.as_str().parse(), Ok(choice));
        }
        assert_eq!("failures".parse::<ClassifiedAnswers>(), Err(InvalidClassifiedAnswers));
    }

    #[test]
    fn digests_read_back() {
        let digest = PluginDigest::of(b"component");
        assert_eq!(digest.to_string().parse(), Ok(digest));
        assert_eq!("sha256:00".parse::<PluginDigest>(), Err(InvalidPluginDigest));
        assert_eq!("md5:00".parse::<PluginDigest>(), Err(InvalidPluginDigest));
    }
}
