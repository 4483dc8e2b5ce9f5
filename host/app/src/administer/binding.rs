//! Which plugin something uses, and what that plugin gets. Transforms, classifiers and sources are bound alike.

use std::collections::BTreeMap;
use std::sync::Arc;

use hookmill_core::limits::{BOUND_SECRETS_MAX, TRANSFORM_SETTINGS_BYTES_MAX};
use hookmill_core::plugin::{
    BoundSecrets, PluginBinding, PluginDigest, PluginName, Secret, SecretName, World,
};

use super::Edit;
use crate::AppError;

/// What an operator wants changed of a binding; the rest stays where the plugin does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BindingPatch {
    /// Which plugin.
    pub plugin: Option<PluginName>,
    /// A version to stay at, or whichever is current.
    pub version: Option<Option<PluginDigest>>,
    /// JSON text for the plugin.
    pub settings: Option<Box<str>>,
    /// Secrets to be bound or taken away; the others stay.
    pub secrets: BTreeMap<SecretName, Option<Secret>>,
}

impl Edit<'_> {
    /// The binding after a change; none where no plugin was ever named. The commit shows its settings to the plugin's
    /// schema.
    ///
    /// # Errors
    /// No such plugin or version, one of another world, settings that are too large, too many secrets.
    pub(super) fn bound(
        &mut self,
        current: Option<&PluginBinding>,
        patch: BindingPatch,
        world: World,
    ) -> Result<Option<PluginBinding>, AppError> {
        let mut binding = match (patch.plugin, current) {
            (None, None) => return Ok(None),
            (None, Some(current)) => current.clone(),
            (Some(plugin), Some(current)) if current.plugin == plugin => current.clone(),
            (Some(plugin), _) => PluginBinding::new(plugin),
        };
        if let Some(pinned) = patch.version {
            binding.pinned = pinned;
        }
        if let Some(settings) = patch.settings {
            binding.settings = settings.into();
        }
        if !patch.secrets.is_empty() {
            binding.secrets = Arc::new(changed_secrets(&binding.secrets, patch.secrets)?);
        }
        self.check_binding(&binding, world)?;
        // What stays as it was is not refused now: whoever turns a failing plugin off must be able to.
        if current != Some(&binding) {
            self.unchecked.push(binding.clone());
        }
        Ok(Some(binding))
    }

    fn check_binding(&self, binding: &PluginBinding, world: World) -> Result<(), AppError> {
        let name = &binding.plugin;
        let Some(entry) = self.table.plugins.get(name) else {
            let message = format!("there is no plugin `{name}`; upload it first");
            return Err(AppError::invalid("plugin_unknown", message));
        };
        let digest = binding.pinned.unwrap_or(entry.current);
        let Some(version) = entry.versions.iter().find(|version| version.digest == digest) else {
            let message = format!("the plugin `{name}` has no version {digest}; list its versions");
            return Err(AppError::invalid("plugin_version_unknown", message));
        };
        if version.world != world {
            let (is, wanted) = (version.world.as_str(), world.as_str());
            let message = format!("the plugin `{name}` is a {is}; a {wanted} is needed here");
            return Err(AppError::invalid("plugin_world_wrong", message));
        }
        let bytes = binding.settings.len();
        if bytes > TRANSFORM_SETTINGS_BYTES_MAX {
            let message = format!(
                "the settings have {bytes} bytes, a plugin takes at most {TRANSFORM_SETTINGS_BYTES_MAX}"
            );
            return Err(AppError::invalid("settings_too_large", message));
        }
        Ok(())
    }
}

fn changed_secrets(
    current: &BoundSecrets,
    changes: BTreeMap<SecretName, Option<Secret>>,
) -> Result<BoundSecrets, AppError> {
    let mut secrets: BTreeMap<SecretName, Secret> =
        current.iter().map(|(name, secret)| (name.clone(), secret.clone())).collect();
    for (name, secret) in changes {
        match secret {
            Some(secret) => secrets.insert(name, secret),
            None => secrets.remove(&name),
        };
    }
    if secrets.len() > BOUND_SECRETS_MAX {
        let message = format!("a plugin has at most {BOUND_SECRETS_MAX} secrets; take some away");
        return Err(AppError::invalid("too_many_plugin_secrets", message));
    }
    Ok(secrets.into_iter().collect())
}
