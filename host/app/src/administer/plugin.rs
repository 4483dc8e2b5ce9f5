//! Plugins: upload, versions, which one runs.

use std::sync::Arc;

use hookmill_core::limits::{PLUGIN_BYTES_MAX, PLUGIN_VERSIONS_MAX, PLUGINS_MAX};
use hookmill_core::plugin::{ComponentBytes, PluginDigest, PluginName, PluginVersion};
use hookmill_core::port::plugins::PluginRejected;
use hookmill_core::port::store::Change;
use hookmill_core::route::PluginEntry;

use super::{Edit, Written, conflict};
use crate::{App, AppError, ErrorKind};

/// What an upload came to.
#[derive(Debug, Clone)]
pub struct Uploaded {
    /// The version; one that was known before where the bytes are the same.
    pub version: Written<PluginVersion>,
    /// The plugin as it is now, with this version current.
    pub entry: PluginEntry,
}

impl App {
    /// Takes an upload: checks and compiles it, keeps it as a version, and makes that the current one.
    ///
    /// # Errors
    /// A component that is refused, with the plugin host's code; too many plugins or versions.
    pub async fn upload_plugin(
        &self,
        name: PluginName,
        component: ComponentBytes,
    ) -> Result<Uploaded, AppError> {
        if component.len() > PLUGIN_BYTES_MAX {
            return Err(AppError::new(
                ErrorKind::TooLarge,
                "plugin_too_large",
                format!("the plugin has {} bytes, at most {PLUGIN_BYTES_MAX} are taken", component.len()),
            ));
        }
        // Compiling takes seconds, so it comes before the lock that all changes wait for.
        let digest = self.plugins.prepare(component.clone()).await.map_err(rejected)?;
        let mut edit = self.edit().await;
        let uploaded = edit.put_plugin_version(name, digest, component)?;
        edit.commit().await?;
        Ok(uploaded)
    }

    /// Deletes a plugin that no endpoint uses.
    ///
    /// # Errors
    /// No such plugin, or an endpoint that uses it.
    pub async fn delete_plugin(&self, name: &PluginName) -> Result<(), AppError> {
        let mut edit = self.edit().await;
        let entry = edit.plugin(name)?;
        let user =
            edit.table.endpoints.values().find(|endpoint| {
                endpoint.transformation.configured().is_some_and(|used| used.plugin == *name)
            });
        if let Some(endpoint) = user {
            return Err(conflict(
                "plugin_in_use",
                format!(
                    "the endpoint {} uses the plugin `{name}`; change its transformation first",
                    endpoint.id
                ),
            ));
        }
        edit.changes.push(Change::DeletePlugin(name.clone()));
        edit.commit().await?;
        let table = self.table_full();
        let shared = |digest: PluginDigest| {
            table.plugins.values().any(|entry| entry.versions.iter().any(|version| version.digest == digest))
        };
        for version in entry.versions.iter().filter(|version| !shared(version.digest)) {
            self.plugins.forget(version.digest).await;
        }
        Ok(())
    }
}

impl Edit<'_> {
    /// Makes a version the current one: the given one, or the one that was uploaded before the current.
    ///
    /// # Errors
    /// No such plugin or version, or none before the current.
    pub fn roll_back_plugin(
        &mut self,
        name: &PluginName,
        version: Option<PluginDigest>,
    ) -> Result<PluginEntry, AppError> {
        let entry = self.plugin(name)?;
        let position = |digest: PluginDigest| entry.versions.iter().position(|known| known.digest == digest);
        let target = match version {
            Some(version) => position(version).ok_or_else(|| AppError::not_found("plugin version"))?,
            None => position(entry.current).and_then(|current| current.checked_sub(1)).ok_or_else(|| {
                conflict(
                    "no_earlier_version",
                    format!("the plugin `{name}` has no version before its current one; name a version"),
                )
            })?,
        };
        let current = entry.versions[target].digest;
        self.changes.push(Change::SetCurrentPlugin(name.clone(), current));
        Ok(PluginEntry { current, versions: entry.versions.clone() })
    }

    fn plugin(&self, name: &PluginName) -> Result<Arc<PluginEntry>, AppError> {
        self.table.plugins.get(name).cloned().ok_or_else(|| AppError::not_found("plugin"))
    }

    fn put_plugin_version(
        &mut self,
        name: PluginName,
        digest: PluginDigest,
        component: ComponentBytes,
    ) -> Result<Uploaded, AppError> {
        let mut versions = match self.table.plugins.get(&name) {
            Some(entry) => entry.versions.clone(),
            None if self.table.plugins.len() >= PLUGINS_MAX => {
                return Err(conflict(
                    "too_many_plugins",
                    format!("there are {PLUGINS_MAX} plugins, the most there may be; delete one first"),
                ));
            }
            None => Vec::new(),
        };
        let known = versions.iter().find(|version| version.digest == digest).cloned();
        let version = match known {
            Some(version) => Written::Existing(version),
            None if versions.len() >= PLUGIN_VERSIONS_MAX => {
                return Err(conflict(
                    "too_many_plugin_versions",
                    format!("the plugin `{name}` has {PLUGIN_VERSIONS_MAX} versions, the most it may have"),
                ));
            }
            None => {
                let size_bytes = component.len() as u64;
                let version = PluginVersion { name: name.clone(), digest, size_bytes, created_at: self.now };
                self.changes.push(Change::PutPluginVersion(version.clone(), component));
                versions.push(version.clone());
                Written::Created(version)
            }
        };
        self.changes.push(Change::SetCurrentPlugin(name, digest));
        Ok(Uploaded { version, entry: PluginEntry { current: digest, versions } })
    }
}

fn rejected(rejected: PluginRejected) -> AppError {
    AppError::invalid(rejected.code, rejected.message)
}
