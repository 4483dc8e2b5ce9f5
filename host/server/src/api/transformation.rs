//! `/app/{app}/endpoint/{endpoint}/transformation`: how an endpoint uses a plugin. Ours.

use std::sync::Arc;

use axum::extract::{Path, State};
use hookmill_app::administer::transformation::TransformationPatch;
use hookmill_core::delivery::OnTransformFailure;
use hookmill_core::endpoint::Transformation;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::plugin::parse_version;
use crate::answer;
use crate::auth::Caller;
use crate::context::{Context, Decided};
use crate::error::{ApiError, Handled};
use crate::fields::{self, nullable, patched};
use crate::input::Input;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TransformationIn<'a> {
    enabled: Option<bool>,
    #[serde(default, deserialize_with = "nullable")]
    plugin: Option<Option<String>>,
    #[serde(default, deserialize_with = "nullable")]
    version: Option<Option<String>>,
    #[serde(borrow)]
    settings: Option<&'a RawValue>,
    on_failure: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TransformationOut<'a> {
    enabled: bool,
    plugin: Option<&'a str>,
    /// The version to stay at; `null` for whichever is current.
    version: Option<String>,
    settings: Option<&'a RawValue>,
    on_failure: &'static str,
}

impl<'a> TransformationOut<'a> {
    fn of(transformation: &'a Transformation) -> Self {
        let used = transformation.configured();
        Self {
            enabled: transformation.active().is_some(),
            plugin: used.map(|used| used.plugin.as_str()),
            version: used.and_then(|used| used.pinned).map(|version| version.to_string()),
            settings: used.and_then(|used| serde_json::from_str(&used.settings).ok()),
            on_failure: used.map(|used| used.on_failure).unwrap_or_default().code(),
        }
    }
}

impl TransformationIn<'_> {
    fn parse(self) -> Result<TransformationPatch, ApiError> {
        Ok(TransformationPatch {
            enabled: self.enabled,
            plugin: patched(self.plugin, |name| fields::plugin_name(&name))?,
            version: patched(self.version, |version| parse_version(&version))?,
            settings: self.settings.map(|settings| settings.get().into()),
            on_failure: self.on_failure.as_deref().map(on_failure).transpose()?,
        })
    }
}

fn on_failure(code: &str) -> Result<OnTransformFailure, ApiError> {
    OnTransformFailure::from_code(code).ok_or_else(|| {
        let codes = OnTransformFailure::ALL.map(OnTransformFailure::code).join("`, `");
        ApiError::field("onFailure", "on_failure_unknown", format!("this is one of `{codes}`"))
    })
}

pub(crate) async fn get(
    State(context): State<Arc<Context>>,
    caller: Caller,
    Path((application, endpoint)): Path<(String, String)>,
) -> Handled {
    let (_, endpoint) = caller.endpoint(&context, &application, &endpoint)?;
    Ok(answer::json(StatusCode::OK, &TransformationOut::of(&endpoint.transformation)))
}

pub(crate) async fn patch(
    State(context): State<Arc<Context>>,
    caller: Caller,
    Path((application, endpoint)): Path<(String, String)>,
    input: Input,
) -> Handled {
    let (routes, endpoint) = caller.endpoint(&context, &application, &endpoint)?;
    let (application, endpoint) = (routes.application.id, endpoint.id);
    let patch = input.json::<TransformationIn>()?.parse()?;
    context
        .edit(move |edit| {
            let endpoint = edit.patch_transformation(application, endpoint, patch).map_err(placed)?;
            Ok(Decided::json(StatusCode::OK, &TransformationOut::of(&endpoint.transformation)))
        })
        .await
}

fn placed(error: hookmill_app::AppError) -> ApiError {
    match error.code {
        "plugin_unknown" | "transformation_plugin_missing" => {
            ApiError::field("plugin", error.code, error.message)
        }
        "plugin_version_unknown" => ApiError::field("version", error.code, error.message),
        "settings_too_large" => ApiError::field("settings", error.code, error.message),
        _ => ApiError::from(error),
    }
}
