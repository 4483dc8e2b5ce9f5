//! The trials of plugin versions that are under way.

use std::collections::HashMap;

use hookmill_core::canary::{Trial, Worse};
use hookmill_core::plugin::{PluginDigest, PluginName};
use hookmill_core::route::PluginEntry;

/// One trial for each plugin that has one. They begin anew with the process.
#[derive(Debug, Default)]
pub(super) struct Trials(HashMap<PluginName, Trial>);

impl Trials {
    /// Counts how the first attempt of a delivery ended; answers where the version on trial is clearly worse.
    pub(super) fn count(
        &mut self,
        name: &PluginName,
        entry: &PluginEntry,
        version: PluginDigest,
        failed: bool,
    ) -> Option<(PluginDigest, Worse)> {
        let Some(canary) = entry.canary else {
            self.0.remove(name);
            return None;
        };
        if self.0.get(name).is_none_or(|trial| trial.version() != canary.digest) {
            self.0.insert(name.clone(), Trial::of(canary.digest));
        }
        let trial = self.0.get_mut(name)?;
        // An endpoint that stays at a third version says nothing about these two.
        if version != canary.digest && version != entry.current {
            return None;
        }
        trial.count(version, failed).map(|worse| (canary.digest, worse))
    }
}
