//! `/app/{app}/endpoint/{endpoint}/classifier`: the plugin that reads an endpoint's answers. Ours.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Path, State};
use hookmill_app::administer::binding::BindingPatch;
use hookmill_core::endpoint::Endpoint;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::plugin::{ensure, parse_version};
use super::transformation::placed;
use crate::answer;
use crate::auth::Caller;
use crate::context::{Context, detached};
use crate::error::Handled;
use crate::fields::{self, nullable, or_default, patched};
use crate::input::Input;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ClassifierIn<'a> {
    #[serde(default, deserialize_with = "nullable")]
    plugin: Option<Option<String>>,
    #[serde(default, deserialize_with = "nullable")]
    version: Option<Option<String>>,
    #[serde(borrow)]
    settings: Option<&'a RawValue>,
    #[serde(default, deserialize_with = "or_default")]
    secrets: BTreeMap<String, Option<String>>,
}

/// All `null` where the status alone decides.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ClassifierOut<'a> {
    plugin: Option<&'a str>,
    /// The version to stay at; `null` for whichever is current.
    version: Option<String>,
    settings: Option<&'a RawValue>,
    /// Names of the secrets that are bound.
    secrets: Vec<&'a str>,
}

impl<'a> ClassifierOut<'a> {
    fn of(endpoint: &'a Endpoint) -> Self {
        let used = endpoint.classifier.as_deref();
        Self {
            plugin: used.map(|used| used.plugin.as_str()),
            version: used.and_then(|used| used.pinned).map(|version| version.to_string()),
            settings: used.and_then(|used| serde_json::from_str(&used.settings).ok()),
            secrets: used.map(|used| used.secrets.names().collect()).unwrap_or_default(),
        }
    }
}

pub(crate) async fn get(
    State(context): State<Arc<Context>>,
    caller: Caller,
    Path((application, endpoint)): Path<(String, String)>,
) -> Handled {
    let (_, endpoint) = caller.endpoint(&context, &application, &endpoint)?;
    Ok(answer::json(StatusCode::OK, &ClassifierOut::of(&endpoint)))
}

/// Changes it; `{"plugin": null}` takes it away.
pub(crate) async fn patch(
    State(context): State<Arc<Context>>,
    caller: Caller,
    Path((application, endpoint)): Path<(String, String)>,
    input: Input,
) -> Handled {
    let (routes, endpoint) = caller.endpoint(&context, &application, &endpoint)?;
    let (application, endpoint) = (routes.application.id, endpoint.id);
    let asked: ClassifierIn = input.json()?;
    let patch = match patched(asked.plugin, |name| fields::plugin_name(&name))? {
        Some(None) => None,
        plugin => Some(BindingPatch {
            plugin: plugin.flatten(),
            version: patched(asked.version, |version| parse_version(&version))?,
            settings: asked.settings.map(|settings| settings.get().into()),
            secrets: fields::plugin_secrets(asked.secrets)?,
        }),
    };
    detached(async move {
        if let Some(name) = patch.as_ref().and_then(|patch| patch.plugin.as_ref()) {
            ensure(&context, name).await?;
        }
        let endpoint = context.app.patch_classifier(application, endpoint, patch).await.map_err(placed)?;
        Ok(answer::json(StatusCode::OK, &ClassifierOut::of(&endpoint)))
    })
    .await
}
