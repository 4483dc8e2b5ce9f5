//! A tenant, the event types of the installation, and the metadata that both carry.

use std::collections::BTreeMap;

use thiserror::Error;

use crate::event::Name;
use crate::id::ApplicationId;
use crate::limits::{METADATA_BYTES_MAX, METADATA_ENTRIES_MAX};
use crate::policy::Rate;
use crate::time::UnixMillis;

/// A tenant: the customer whose endpoints receive events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Application {
    /// Made by the router.
    pub id: ApplicationId,
    /// The operator's own id, unique in the installation; works wherever the id does.
    pub uid: Option<Name>,
    /// For people.
    pub name: String,
    /// Deliveries a second to all of its endpoints together.
    pub rate_limit: Option<u16>,
    /// The operator's own labels.
    pub metadata: Metadata,
    /// When it was created.
    pub created_at: UnixMillis,
    /// When it was last changed.
    pub updated_at: UnixMillis,
}

impl Application {
    /// The limit on its endpoints together, as a rate.
    #[must_use]
    pub fn rate(&self) -> Option<Rate> {
        self.rate_limit.and_then(|per_second| Rate::new(per_second, 1).ok())
    }
}

/// A kind of event, with what its readers want to know of it.
#[derive(Debug, Clone, PartialEq)]
pub struct EventTypeDefinition {
    /// The name that events carry.
    pub name: Name,
    /// For people.
    pub description: String,
    /// JSON Schemas by version, as the operator gave them (JSON text).
    pub schemas: Option<Box<str>>,
    /// No longer offered to new endpoints.
    pub archived: bool,
    /// A group to list it under.
    pub group: Option<Name>,
    /// When it was created.
    pub created_at: UnixMillis,
    /// When it was last changed.
    pub updated_at: UnixMillis,
}

/// The operator's own labels, bounded in number and size.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Metadata(BTreeMap<String, String>);

/// Labels beyond the bound.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("metadata has at most {METADATA_ENTRIES_MAX} entries and {METADATA_BYTES_MAX} bytes in all")]
pub struct InvalidMetadata;

impl Metadata {
    /// Takes labels within the bounds.
    ///
    /// # Errors
    /// When there are too many, or they are too large.
    pub fn new(entries: BTreeMap<String, String>) -> Result<Self, InvalidMetadata> {
        let bytes: usize = entries.iter().map(|(key, value)| key.len() + value.len()).sum();
        let fits = entries.len() <= METADATA_ENTRIES_MAX && bytes <= METADATA_BYTES_MAX;
        if fits { Ok(Self(entries)) } else { Err(InvalidMetadata) }
    }

    /// The labels, sorted by key.
    #[must_use]
    pub fn entries(&self) -> &BTreeMap<String, String> {
        &self.0
    }
}
