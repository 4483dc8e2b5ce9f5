//! Why a manifest is refused, and where in it.

use thiserror::Error;

use super::schema::SettingsFailure;
use super::schema_cost::SchemaFault;
use super::{MANIFEST_BYTES_MAX, MANIFEST_VERSION};
use crate::plugin::World;

/// A manifest that is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("manifest at `{pointer}`: {fault}")]
pub struct ManifestError {
    /// The failing place as a JSON pointer (RFC 6901); empty for the manifest as a whole.
    pub pointer: String,
    /// The rule that is broken there.
    pub fault: ManifestFault,
}

/// The rule that a manifest breaks.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ManifestFault {
    /// The text is longer than [`MANIFEST_BYTES_MAX`].
    #[error("{bytes} bytes; a manifest has at most {MANIFEST_BYTES_MAX}")]
    TooLong {
        /// How long the text is.
        bytes: usize,
    },
    /// The text is not JSON.
    #[error("not JSON: {detail}")]
    NotJson {
        /// What the JSON reader says, with line and column.
        detail: String,
    },
    /// A format of another version.
    #[error("this router reads manifests of version {MANIFEST_VERSION} only")]
    Version,
    /// A value of another type.
    #[error("must be {expected}")]
    Type {
        /// What belongs there.
        expected: &'static str,
    },
    /// A key that must be there is not.
    #[error("`{key}` is missing")]
    Missing {
        /// Which.
        key: &'static str,
    },
    /// A key that does not belong there.
    #[error("unknown key; there are {}", .known.join(", "))]
    Unknown {
        /// Those that do.
        known: &'static [&'static str],
    },
    /// Not one of several keys, or more than one.
    #[error("has to have one of {}, and only one", .keys.join(", "))]
    NotOne {
        /// The keys.
        keys: &'static [&'static str],
    },
    /// Text that is too short or too long.
    #[error("{chars} characters; there may be {min} to {max}")]
    TextLength {
        /// How many there are.
        chars: usize,
        /// How many there must be.
        min: usize,
        /// How many there may be.
        max: usize,
    },
    /// A list that is too short or too long.
    #[error("{count} entries; there may be {min} to {max}")]
    Count {
        /// How many there are.
        count: usize,
        /// How many there must be.
        min: usize,
        /// How many there may be.
        max: usize,
    },
    /// A value that breaks the rule of its kind.
    #[error("{rule}")]
    Value {
        /// The rule.
        rule: String,
    },
    /// A name that stands twice.
    #[error("stands twice; each name may stand once")]
    Repeated,
    /// The schema of the settings is none, or one that would take too much work.
    #[error("{0}")]
    Schema(SchemaFault),
    /// A sample's settings are not what the manifest's own schema asks for.
    #[error("not as `settings_schema` wants it: {}", .0.message)]
    SampleSettings(SettingsFailure),
    /// The component that carries the manifest exports another world.
    #[error(
        "the manifest says `{manifest}`, but the component exports `{component}`: change `world`, or build for it"
    )]
    WorldDiffers {
        /// What the manifest says.
        manifest: World,
        /// What the component exports.
        component: World,
    },
}

impl ManifestError {
    /// An error of the manifest as a whole.
    pub(super) fn at_root(fault: ManifestFault) -> Self {
        Self { pointer: String::new(), fault }
    }

    /// The same error of a document in which the failing one stands at `pointer`.
    pub(super) fn below(self, pointer: &str) -> Self {
        Self { pointer: format!("{pointer}{}", self.pointer), fault: self.fault }
    }

    /// The code that stays the same over versions.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match &self.fault {
            ManifestFault::TooLong { .. } => "manifest_too_long",
            ManifestFault::NotJson { .. } => "manifest_not_json",
            ManifestFault::Version => "manifest_version",
            ManifestFault::Type { .. } => "manifest_type",
            ManifestFault::Missing { .. } => "manifest_key_missing",
            ManifestFault::Unknown { .. } => "manifest_key_unknown",
            ManifestFault::NotOne { .. } => "manifest_not_one_key",
            ManifestFault::TextLength { .. } => "manifest_text_length",
            ManifestFault::Count { .. } => "manifest_count",
            ManifestFault::Value { .. } => "manifest_value",
            ManifestFault::Repeated => "manifest_name_repeated",
            ManifestFault::Schema(fault) => fault.code(),
            ManifestFault::SampleSettings(_) => "manifest_sample_settings",
            ManifestFault::WorldDiffers { .. } => "manifest_world_differs",
        }
    }
}
