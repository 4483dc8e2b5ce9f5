//! Which plugins an endpoint uses: one that reshapes its deliveries, one that reads its answers.

use hookmill_core::address::Origin;
use hookmill_core::delivery::OnTransformFailure;
use hookmill_core::endpoint::{Endpoint, Transformation};
use hookmill_core::id::{ApplicationId, EndpointId};
use hookmill_core::plugin::{InstancePolicy, PluginUse, World};

use super::binding::BindingPatch;
use super::{Edit, conflict};
use crate::{App, AppError};

/// What an operator wants changed of a transformation; the rest stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TransformationPatch {
    /// Whether the plugin runs; a plugin that was just chosen does unless this says otherwise.
    pub enabled: Option<bool>,
    /// Which plugin and what it gets.
    pub binding: BindingPatch,
    /// Whether the plugin is taken away, whatever else is said.
    pub unbind: bool,
    /// What happens when the plugin fails.
    pub on_failure: Option<OnTransformFailure>,
    /// Whether runs may share an instance.
    pub instance: Option<InstancePolicy>,
    /// Origins beside the endpoint's own that the plugin's requests may go to, all of them.
    pub allowed_origins: Option<Vec<Origin>>,
}

impl App {
    /// Changes how an endpoint's deliveries are reshaped.
    ///
    /// # Errors
    /// No such endpoint, plugin or version; a plugin of another world; settings that are too large or that the plugin's
    /// schema refuses; a change without a plugin to change; a plugin beside a composition.
    pub async fn patch_transformation(
        &self,
        application: ApplicationId,
        endpoint: EndpointId,
        patch: TransformationPatch,
    ) -> Result<Endpoint, AppError> {
        self.change(move |edit| {
            let mut endpoint = edit.endpoint(application, endpoint)?;
            endpoint.transformation = edit.transformed(&endpoint.transformation, patch)?;
            edit.put_endpoint(endpoint)
        })
        .await
    }

    /// Changes who reads an endpoint's answers; none is the status alone.
    ///
    /// # Errors
    /// As [`patch_transformation`](Self::patch_transformation).
    pub async fn patch_classifier(
        &self,
        application: ApplicationId,
        endpoint: EndpointId,
        patch: Option<BindingPatch>,
    ) -> Result<Endpoint, AppError> {
        self.change(move |edit| {
            let mut endpoint = edit.endpoint(application, endpoint)?;
            endpoint.classifier = match patch {
                None => None,
                Some(patch) => {
                    let bound = edit.bound(endpoint.classifier.as_deref(), patch, World::Classifier)?;
                    Some(Box::new(bound.ok_or_else(missing)?))
                }
            };
            edit.put_endpoint(endpoint)
        })
        .await
    }
}

impl Edit<'_> {
    /// The transformation after a change.
    pub(super) fn transformed(
        &mut self,
        current: &Transformation,
        patch: TransformationPatch,
    ) -> Result<Transformation, AppError> {
        let only_off =
            patch == TransformationPatch { enabled: Some(false), ..TransformationPatch::default() };
        if current.composition().is_some() {
            let takes_away = only_off || (patch.unbind && patch.enabled != Some(true));
            return if takes_away { Ok(current.clone()) } else { Err(is_composed()) };
        }
        if patch.unbind {
            return if patch.enabled == Some(true) { Err(missing()) } else { Ok(Transformation::None) };
        }
        let configured = current.configured();
        let binding = self.bound(configured.map(|used| &used.binding), patch.binding, World::Transform)?;
        let binding = match binding {
            Some(binding) => binding,
            None if only_off => return Ok(Transformation::None),
            None => return Err(missing()),
        };
        let kept = configured.filter(|used| used.binding.plugin == binding.plugin);
        let on_failure = patch.on_failure.or(kept.map(|used| used.on_failure)).unwrap_or_default();
        let instance = patch.instance.or(kept.map(|used| used.instance)).unwrap_or_default();
        let was_enabled = current.active().is_some();
        let enabled = patch.enabled.unwrap_or(was_enabled || kept.is_none());
        // Settings that stay as they were may not fit what the plugin has become meanwhile.
        if enabled && !was_enabled && self.unchecked.last() != Some(&binding) {
            self.unchecked.push(binding.clone());
        }
        let allowed_origins = match patch.allowed_origins {
            Some(origins) => origins,
            None => kept.map(|used| used.allowed_origins.clone()).unwrap_or_default(),
        };
        let used = PluginUse { binding, on_failure, instance, allowed_origins };
        let used = Box::new(used);
        Ok(if enabled { Transformation::Plugin(used) } else { Transformation::Disabled(used) })
    }
}

fn is_composed() -> AppError {
    conflict(
        "endpoint_is_composed",
        "the endpoint composes its requests, which leaves nothing to a plugin; delete its composition first \
         (DELETE .../compose)",
    )
}

fn missing() -> AppError {
    AppError::invalid("transformation_plugin_missing", "the endpoint has no plugin yet; name one in `plugin`")
}
