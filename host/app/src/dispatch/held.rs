//! When deliveries go out that were held because their plugin could not reshape them.
//!
//! Such a delivery is a dead letter; [`App::release_held`] sends it again. What is decided here is when: after something
//! changed that the plugin's runs depend on, and after whatever ended before that change was committed, since the store is
//! where held deliveries are found.

use std::collections::HashMap;
use std::sync::Arc;

use hookmill_core::delivery::{DeadReason, OnTransformFailure};
use hookmill_core::endpoint::Endpoint;
use hookmill_core::id::EndpointId;
use hookmill_core::plugin::{PluginBinding, PluginDigest};
use hookmill_core::port::store::{Completion, Finished};

use crate::App;

/// What is known of endpoints that hold deliveries, and whose go out soon.
#[derive(Default)]
pub(super) struct Held {
    inputs: HashMap<EndpointId, RunInputs>,
    /// Endpoints whose held deliveries go out once so many saves are done.
    due: Vec<(EndpointId, u64)>,
    saves_begun: u64,
    saves_done: u64,
}

/// What decides about a plugin's runs, beside the events.
#[derive(PartialEq)]
struct RunInputs {
    version: Option<PluginDigest>,
    binding: PluginBinding,
    /// Whether the endpoint holds what its plugin can't reshape.
    holds: bool,
}

impl RunInputs {
    /// Those of an endpoint with a plugin.
    fn of(app: &App, endpoint: &Endpoint) -> Option<Self> {
        let used = endpoint.transformation.active()?;
        let binding = used.binding.clone();
        let version = binding.pinned.or_else(|| app.table().current_version(&binding.plugin));
        Some(Self { version, binding, holds: used.on_failure == OnTransformFailure::Hold })
    }
}

impl Held {
    /// The endpoint is seen for the first time.
    pub(super) fn introduced(&mut self, app: &App, id: EndpointId) {
        let endpoint = app.table().endpoints.get(&id).cloned();
        let inputs = endpoint.and_then(|endpoint| RunInputs::of(app, &endpoint));
        self.inputs.extend(inputs.map(|inputs| (id, inputs)));
    }

    /// The endpoint, or a plugin that it uses, was changed; answers whether its plugin's runs come out otherwise now.
    pub(super) fn changed(&mut self, app: &App, id: EndpointId) -> bool {
        let before = self.inputs.remove(&id);
        let Some(endpoint) = app.table().endpoints.get(&id).cloned() else { return true };
        let Some(inputs) = RunInputs::of(app, &endpoint) else { return true };
        let is_changed = before.as_ref() != Some(&inputs);
        let is_new = before.is_none() && endpoint.created_at == endpoint.updated_at;
        if is_changed && !is_new && inputs.holds {
            self.due.push((id, self.saves_begun + 1));
        }
        self.inputs.insert(id, inputs);
        is_changed
    }

    /// A delivery ended: one whose run began before a change must not be left behind by it.
    pub(super) fn ended(&mut self, app: &App, id: EndpointId, finished: &Finished) {
        let is_held = matches!(finished.completion, Completion::Dead(DeadReason::TransformFailed));
        let Some((ran, _)) = finished.attempt.plugin.filter(|_| is_held) else { return };
        let endpoint = app.table().endpoints.get(&id).cloned();
        let inputs = endpoint.and_then(|endpoint| RunInputs::of(app, &endpoint));
        let Some(inputs) = inputs.filter(|inputs| inputs.holds) else { return };
        let was_on_trial = app.table().plugins.get(&inputs.binding.plugin).and_then(|entry| entry.canary);
        let is_other = inputs.version != Some(ran) && was_on_trial.is_none_or(|canary| canary.digest != ran);
        if is_other {
            self.due.push((id, self.saves_begun + 1));
        }
    }

    /// What ended until now is being saved.
    pub(super) fn save_begun(&mut self) {
        self.saves_begun += 1;
    }

    /// A save is done.
    pub(super) fn save_done(&mut self) {
        self.saves_done += 1;
    }

    /// Sends what may go out now; `is_all_saved` says that nothing waits to be saved.
    pub(super) fn release(&mut self, app: &Arc<App>, is_all_saved: bool) {
        if self.due.is_empty() {
            return;
        }
        let done = self.saves_done;
        let (now, later) =
            std::mem::take(&mut self.due).into_iter().partition(|(_, after)| is_all_saved || done >= *after);
        self.due = later;
        let now: Vec<(EndpointId, u64)> = now;
        if now.is_empty() {
            return;
        }
        let app = Arc::clone(app);
        tokio::spawn(async move {
            for (endpoint, _) in now {
                match app.release_held(endpoint).await {
                    Ok(0) => {}
                    Ok(released) => tracing::info!(%endpoint, released, "held deliveries go out"),
                    Err(error) => {
                        let code = error.code;
                        tracing::warn!(%endpoint, code, %error, "held deliveries stay dead letters");
                    }
                }
            }
        });
    }
}
