//! Manifests: what a plugin says of itself.
//!
//! A component carries its manifest as JSON in the custom section [`MANIFEST_SECTION`]; in the plugin's folder it is
//! `plugin.json`. It names the plugin, the world it was built for, the secrets it wants, a JSON Schema of its settings,
//! and samples: an input, and what the plugin must make of it. An upload whose samples fail is refused.
//!
//! # Who is who
//! - [`Manifest::parse`] checks all of it with a `reader`, which knows its place; a [`ManifestError`] is the first rule
//!   that is broken, the JSON pointer (RFC 6901) of the place, and a stable code.
//! - [`SettingsSchema`] validates settings. `schema_cost` refuses schemas that would take too much work, before the
//!   validator is built.
//! - [`Sample`] builds a [`SampleRun`]: the very value that the plugin host takes, with fixed ids and times, so that a
//!   run gives the same on each machine.
//! - `outcome` renders a [`SampleReport`] in the shape of an [`Expectation`]. [`Sample::judge`] compares the two by
//!   [`json_diff`], as far as the expectation goes; [`Sample::draft_expectation`] writes the first snapshot.

mod body;
mod diff;
mod dry_run;
mod error;
mod expectation;
mod outcome;
mod reader;
mod sample;
mod schema;
mod schema_cost;
#[cfg(test)]
mod tests;
mod verdict;

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::Value;
use zeroize::Zeroizing;

pub use self::diff::{DIFF_POINTER_BYTES_MAX, DIFFERENCES_MAX, Difference, json_diff};
pub use self::error::{ManifestError, ManifestFault};
pub use self::expectation::Expectation;
use self::reader::{Node, Object};
pub use self::sample::{Sample, SampleInput, SampleReport, SampleRun, settings_check, settings_refusal};
pub use self::schema::{SETTINGS_FAILURES_MAX, SettingsError, SettingsFailure, SettingsSchema};
pub use self::schema_cost::{SCHEMA_BYTES_MAX, SCHEMA_COST_MAX, SCHEMA_DEPTH_MAX, SchemaFault};
pub use self::verdict::SampleDiff;
use crate::json::{self, Document};
use crate::plugin::{BoundSecrets, ClassifiedAnswers, PluginName, Secret, SecretName, World};

/// The custom section of a component that holds its manifest.
pub const MANIFEST_SECTION: &str = "hookmill:manifest";
/// Bytes of a manifest's text.
pub const MANIFEST_BYTES_MAX: usize = 256 << 10;
/// The version of the format, the value of its key `manifest`.
pub const MANIFEST_VERSION: u64 = 1;
/// Characters of a version.
pub const VERSION_CHARS_MAX: usize = 64;
/// Characters of a description.
pub const DESCRIPTION_CHARS_MAX: usize = 1000;
/// Secrets that one plugin may want.
pub const SECRETS_MAX: usize = 16;
/// Samples of one plugin.
pub const SAMPLES_MAX: usize = 32;
/// What the value of a secret begins with in a sample; the secret's name follows.
pub const SAMPLE_SECRET_PREFIX: &str = "sample-secret-";

/// The keys, in the order in which [`Manifest::to_json`] writes them.
const KEYS: &[&str] = &[
    "manifest",
    "name",
    "version",
    "description",
    "world",
    "settings_schema",
    "checks_settings",
    "answers",
    "secrets",
    "samples",
];

/// The type of the event that a plugin with [`Manifest::checks_settings`] is shown when an endpoint's settings are set:
/// it answers with a permanent failure where they are of no use to it (a trap says so too), with anything else where they
/// are. No event of a sender may have this type.
pub const SETTINGS_CHECK_EVENT: &str = "hookmill.settings.check";

/// A checked manifest.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// What the plugin calls itself.
    pub name: PluginName,
    /// The author's own version: shown, not interpreted.
    pub version: String,
    /// One line for people.
    pub description: String,
    /// What the plugin is for; the component must export it.
    pub world: World,
    /// What its settings look like; any JSON where there is none.
    pub settings_schema: Option<SettingsSchema>,
    /// Whether the plugin looks at settings itself when they are set, by [`SETTINGS_CHECK_EVENT`]: what no schema can
    /// tell, such as whether a script can be read. Transforms only.
    pub checks_settings: bool,
    /// Which answers it is asked about. Classifiers only.
    pub answers: ClassifiedAnswers,
    /// Secrets that it uses by name.
    pub secrets: Vec<WantedSecret>,
    /// Inputs, and what it makes of them.
    pub samples: Vec<Sample>,
    document: Box<str>,
}

/// A secret that a plugin wants bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedSecret {
    /// What the plugin calls it.
    pub name: SecretName,
    /// What it is, for whoever binds it.
    pub description: String,
}

impl Manifest {
    /// Reads a manifest.
    ///
    /// # Errors
    /// The first rule that the text breaks, and where.
    pub fn parse(text: &[u8]) -> Result<Self, ManifestError> {
        if text.len() > MANIFEST_BYTES_MAX {
            return Err(ManifestError::at_root(ManifestFault::TooLong { bytes: text.len() }));
        }
        let document: Value = serde_json::from_slice(text)
            .map_err(|error| ManifestError::at_root(ManifestFault::NotJson { detail: error.to_string() }))?;
        let written = Document::parse(text.to_vec())
            .map_err(|fault| ManifestError::at_root(ManifestFault::NotJson { detail: fault.to_string() }))?;
        let root = Node::root(&document, written.root()).object(KEYS)?;
        let version = root.need("manifest")?;
        if version.whole_number()? != MANIFEST_VERSION {
            return Err(version.fault(ManifestFault::Version));
        }
        let world = root.need("world")?.parsed()?;
        let settings_schema = root.get("settings_schema").map(|node| read_schema(&node)).transpose()?;
        let checks_settings = match root.get("checks_settings") {
            Some(node) if world == World::Transform => node.truth()?,
            Some(node) => return Err(node.broken("only a transform checks its settings itself")),
            None => false,
        };
        let answers = match root.get("answers") {
            Some(node) if world == World::Classifier => node.parsed()?,
            Some(node) => return Err(node.broken("only a classifier reads answers")),
            None => ClassifiedAnswers::default(),
        };
        let secrets = read_secrets(&root)?;
        let samples = read_samples(&root, world, &secrets, settings_schema.as_ref())?;
        Ok(Self {
            name: root.need("name")?.parsed()?,
            version: root.need("version")?.line(1..=VERSION_CHARS_MAX)?.to_owned(),
            description: root.need("description")?.text(0..=DESCRIPTION_CHARS_MAX)?.to_owned(),
            world,
            settings_schema,
            checks_settings,
            answers,
            secrets,
            samples,
            document: canonical(written.root()).into(),
        })
    }

    /// The text to embed: compact, with the keys of the document itself in one order, whatever it was read from.
    #[must_use]
    pub fn to_json(&self) -> String {
        self.document.to_string()
    }

    /// Checks the manifest against the component that carries it.
    ///
    /// # Errors
    /// `manifest_world_differs` when the component exports another world than the manifest says.
    pub fn check_component(&self, exported: World) -> Result<(), ManifestError> {
        if self.world == exported {
            return Ok(());
        }
        let fault = ManifestFault::WorldDiffers { manifest: self.world, component: exported };
        Err(ManifestError { pointer: "/world".to_owned(), fault })
    }
}

/// The document with its own keys in the order of [`KEYS`]; what is below them stays as its author wrote it.
fn canonical(document: json::Node<'_>) -> String {
    let member = |key: &&str| Some(format!("\"{key}\":{}", document.get(key)?.compact()));
    format!("{{{}}}", KEYS.iter().filter_map(member).collect::<Vec<_>>().join(","))
}

fn read_schema(node: &Node<'_>) -> Result<SettingsSchema, ManifestError> {
    SettingsSchema::new(node.value()).map_err(|error| error.below(node.pointer()))
}

fn read_secrets(root: &Object<'_>) -> Result<Vec<WantedSecret>, ManifestError> {
    let mut secrets: Vec<WantedSecret> = Vec::new();
    for node in root.list("secrets", 0..=SECRETS_MAX)? {
        let entry = node.object(&["name", "description"])?;
        let name_node = entry.need("name")?;
        let name: SecretName = name_node.parsed()?;
        if secrets.iter().any(|secret| secret.name == name) {
            return Err(name_node.fault(ManifestFault::Repeated));
        }
        let description = match entry.get("description") {
            Some(node) => node.text(0..=DESCRIPTION_CHARS_MAX)?.to_owned(),
            None => String::new(),
        };
        secrets.push(WantedSecret { name, description });
    }
    Ok(secrets)
}

fn read_samples(
    root: &Object<'_>,
    world: World,
    secrets: &[WantedSecret],
    schema: Option<&SettingsSchema>,
) -> Result<Vec<Sample>, ManifestError> {
    let bound = Arc::new(sample_secrets(secrets));
    let mut names = HashSet::new();
    let mut samples = Vec::new();
    for node in root.list("samples", 0..=SAMPLES_MAX)? {
        let sample = Sample::read(&node, world, &bound, schema)?;
        if !names.insert(sample.name.clone()) {
            return Err(node.child("name").fault(ManifestFault::Repeated));
        }
        samples.push(sample);
    }
    Ok(samples)
}

fn sample_secrets(secrets: &[WantedSecret]) -> BoundSecrets {
    let bind = |wanted: &WantedSecret| {
        let value = format!("{SAMPLE_SECRET_PREFIX}{}", wanted.name).into_bytes();
        let secret =
            Secret::new(Zeroizing::new(value)).expect("a prefix and a name are neither empty nor long");
        (wanted.name.clone(), secret)
    };
    secrets.iter().map(bind).collect()
}
