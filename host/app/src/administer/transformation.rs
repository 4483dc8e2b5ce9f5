//! How an endpoint uses a plugin.

use hookmill_core::delivery::OnTransformFailure;
use hookmill_core::endpoint::{Endpoint, Transformation};
use hookmill_core::id::{ApplicationId, EndpointId};
use hookmill_core::limits::TRANSFORM_SETTINGS_BYTES_MAX;
use hookmill_core::plugin::{PluginDigest, PluginName, PluginUse};

use super::Edit;
use crate::AppError;

/// Settings of a plugin that was given none.
const SETTINGS_NONE: &str = "{}";

/// What an operator wants changed of a transformation; the rest stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TransformationPatch {
    /// Whether the plugin runs; a plugin that was just chosen does unless this says otherwise.
    pub enabled: Option<bool>,
    /// Which plugin, or none at all.
    pub plugin: Option<Option<PluginName>>,
    /// A version to stay at, or whichever is current.
    pub version: Option<Option<PluginDigest>>,
    /// JSON text for the plugin.
    pub settings: Option<Box<str>>,
    /// What happens when the plugin fails.
    pub on_failure: Option<OnTransformFailure>,
}

impl Edit<'_> {
    /// Changes how an endpoint uses a plugin.
    ///
    /// # Errors
    /// No such endpoint, plugin or version; settings that are too large; a change without a plugin to change.
    pub fn patch_transformation(
        &mut self,
        application: ApplicationId,
        endpoint: EndpointId,
        patch: TransformationPatch,
    ) -> Result<Endpoint, AppError> {
        let mut endpoint = self.endpoint(application, endpoint)?;
        endpoint.transformation = self.changed(&endpoint.transformation, patch)?;
        Ok(self.put_endpoint(endpoint))
    }

    fn changed(
        &self,
        current: &Transformation,
        patch: TransformationPatch,
    ) -> Result<Transformation, AppError> {
        let was_enabled = current.active().is_some();
        let only_off =
            patch == TransformationPatch { enabled: Some(false), ..TransformationPatch::default() };
        let (mut used, chosen_now) = match (patch.plugin, current.configured()) {
            (Some(None), _) => {
                return if patch.enabled == Some(true) { Err(missing()) } else { Ok(Transformation::None) };
            }
            (None, None) if only_off => {
                return Ok(Transformation::None);
            }
            (None, None) => return Err(missing()),
            (None, Some(used)) => (used.clone(), false),
            (Some(Some(plugin)), Some(used)) if used.plugin == plugin => (used.clone(), false),
            (Some(Some(plugin)), _) => (
                PluginUse {
                    plugin,
                    pinned: None,
                    settings: SETTINGS_NONE.into(),
                    on_failure: OnTransformFailure::default(),
                },
                true,
            ),
        };
        if let Some(pinned) = patch.version {
            used.pinned = pinned;
        }
        if let Some(settings) = patch.settings {
            used.settings = settings;
        }
        if let Some(on_failure) = patch.on_failure {
            used.on_failure = on_failure;
        }
        self.check_use(&used)?;
        let enabled = patch.enabled.unwrap_or(was_enabled || chosen_now);
        Ok(if enabled { Transformation::Plugin(used) } else { Transformation::Disabled(used) })
    }

    fn check_use(&self, used: &PluginUse) -> Result<(), AppError> {
        let Some(entry) = self.table.plugins.get(&used.plugin) else {
            return Err(AppError::invalid(
                "plugin_unknown",
                format!("there is no plugin `{}`; upload it first", used.plugin),
            ));
        };
        if let Some(pinned) = used.pinned
            && !entry.versions.iter().any(|version| version.digest == pinned)
        {
            return Err(AppError::invalid(
                "plugin_version_unknown",
                format!("the plugin `{}` has no version {pinned}; list its versions", used.plugin),
            ));
        }
        if used.settings.len() > TRANSFORM_SETTINGS_BYTES_MAX {
            return Err(AppError::invalid(
                "settings_too_large",
                format!(
                    "the settings have {} bytes, a plugin takes at most {TRANSFORM_SETTINGS_BYTES_MAX}",
                    used.settings.len()
                ),
            ));
        }
        Ok(())
    }
}

fn missing() -> AppError {
    AppError::invalid("transformation_plugin_missing", "the endpoint has no plugin yet; name one in `plugin`")
}
