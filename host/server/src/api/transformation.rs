//! `/app/{app}/endpoint/{endpoint}/transformation`: how an endpoint uses a plugin. Ours.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Path, State};
use hookmill_app::administer::binding::BindingPatch;
use hookmill_app::administer::transformation::TransformationPatch;
use hookmill_core::address::{DeliveryUrl, Origin};
use hookmill_core::delivery::OnTransformFailure;
use hookmill_core::endpoint::Transformation;
use hookmill_core::limits::ALLOWED_ORIGINS_MAX;
use hookmill_core::plugin::{InstancePolicy, JAVASCRIPT_PLUGIN};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::plugin::{ensure, parse_version};
use crate::answer;
use crate::auth::Caller;
use crate::context::{Context, detached};
use crate::error::{ApiError, Handled};
use crate::fields::{self, nullable, or_default, patched};
use crate::input::Input;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct TransformationIn<'a> {
    enabled: Option<bool>,
    #[serde(default, deserialize_with = "nullable")]
    plugin: Option<Option<String>>,
    #[serde(default, deserialize_with = "nullable")]
    version: Option<Option<String>>,
    #[serde(borrow)]
    settings: Option<&'a RawValue>,
    /// A script: short for the plugin `javascript` with this as its setting `code`.
    code: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    secrets: BTreeMap<String, Option<String>>,
    on_failure: Option<String>,
    instance: Option<String>,
    /// Origins beside the endpoint's own that the plugin may send to, all of them.
    allowed_origins: Option<Vec<String>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TransformationOut<'a> {
    enabled: bool,
    plugin: Option<&'a str>,
    /// The version to stay at; `null` for whichever is current.
    version: Option<String>,
    settings: Option<&'a RawValue>,
    /// The script of the plugin `javascript`.
    code: Option<String>,
    /// Names of the secrets that are bound.
    secrets: Vec<&'a str>,
    on_failure: &'static str,
    /// Whether each run has an instance of its own, or may find what an earlier one left.
    instance: &'static str,
    allowed_origins: Vec<String>,
}

impl<'a> TransformationOut<'a> {
    fn of(transformation: &'a Transformation) -> Self {
        let used = transformation.configured();
        let binding = used.map(|used| &used.binding);
        let is_script = binding.is_some_and(|binding| binding.plugin.as_str() == JAVASCRIPT_PLUGIN);
        let script = binding.filter(|_| is_script).and_then(|binding| script_of(&binding.settings));
        Self {
            enabled: transformation.active().is_some(),
            plugin: binding.map(|binding| binding.plugin.as_str()),
            version: binding.and_then(|binding| binding.pinned).map(|version| version.to_string()),
            settings: binding.and_then(|binding| serde_json::from_str(&binding.settings).ok()),
            code: script,
            secrets: binding.map(|binding| binding.secrets.names().collect()).unwrap_or_default(),
            on_failure: used.map(|used| used.on_failure).unwrap_or_default().code(),
            instance: used.map(|used| used.instance).unwrap_or_default().code(),
            allowed_origins: transformation.further_origins().iter().map(Origin::to_string).collect(),
        }
    }
}

impl TransformationIn<'_> {
    pub(super) fn parse(self) -> Result<TransformationPatch, ApiError> {
        let (plugin, settings) = match (self.plugin, self.code) {
            (plugin, None) => (plugin, self.settings.map(|settings| settings.get().into())),
            (None, Some(code)) => {
                (Some(Some(JAVASCRIPT_PLUGIN.to_owned())), Some(script_settings(&code, self.settings)))
            }
            (Some(_), Some(_)) => {
                let message = "`code` stands for a plugin and its settings; leave `plugin` out";
                return Err(ApiError::field("code", "candidate_unclear", message));
            }
        };
        let plugin = patched(plugin, |name| fields::plugin_name(&name))?;
        Ok(TransformationPatch {
            enabled: self.enabled,
            unbind: plugin == Some(None),
            binding: BindingPatch {
                plugin: plugin.flatten(),
                version: patched(self.version, |version| parse_version(&version))?,
                settings,
                secrets: fields::plugin_secrets(self.secrets)?,
            },
            on_failure: self.on_failure.as_deref().map(on_failure).transpose()?,
            instance: self.instance.as_deref().map(instance).transpose()?,
            allowed_origins: self.allowed_origins.as_deref().map(allowed_origins).transpose()?,
        })
    }
}

fn allowed_origins(texts: &[String]) -> Result<Vec<Origin>, ApiError> {
    if texts.len() > ALLOWED_ORIGINS_MAX {
        let detail = format!("at most {ALLOWED_ORIGINS_MAX} origins are allowed");
        return Err(ApiError::field("allowedOrigins", "too_many_origins", detail));
    }
    let read = |(index, text): (usize, &String)| {
        let place = ["allowedOrigins".to_owned(), index.to_string()];
        let url = DeliveryUrl::parse(text).ok();
        let bare = url.filter(|url| url.as_url().path() == "/" && url.as_url().query().is_none());
        let origin = bare.map(|url| url.origin());
        let detail = "an origin is a scheme and a host, such as https://files.example.com";
        origin.ok_or_else(|| ApiError::place(place, None, "origin_invalid", detail))
    };
    texts.iter().enumerate().map(read).collect()
}

/// What the plugin `javascript` reads: the script, and the settings that the script reads.
pub(super) fn script_settings(code: &str, settings: Option<&RawValue>) -> Box<str> {
    let code = serde_json::Value::from(code);
    let settings = settings.map_or("{}", RawValue::get);
    format!(r#"{{"code":{code},"settings":{settings}}}"#).into()
}

fn script_of(settings: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Script {
        code: String,
    }
    serde_json::from_str::<Script>(settings).ok().map(|script| script.code)
}

fn on_failure(code: &str) -> Result<OnTransformFailure, ApiError> {
    OnTransformFailure::from_code(code).ok_or_else(|| {
        let codes = OnTransformFailure::ALL.map(OnTransformFailure::code).join("`, `");
        ApiError::field("onFailure", "on_failure_unknown", format!("this is one of `{codes}`"))
    })
}

fn instance(code: &str) -> Result<InstancePolicy, ApiError> {
    InstancePolicy::from_code(code).ok_or_else(|| {
        let codes = InstancePolicy::ALL.map(InstancePolicy::code).join("`, `");
        ApiError::field("instance", "instance_unknown", format!("this is one of `{codes}`"))
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
    detached(async move {
        if let Some(name) = &patch.binding.plugin {
            ensure(&context, name).await?;
        }
        let patched = context.app.patch_transformation(application, endpoint, patch).await.map_err(placed)?;
        Ok(answer::json(StatusCode::OK, &TransformationOut::of(&patched.transformation)))
    })
    .await
}

/// Names the field that a refusal is about.
pub(super) fn placed(error: hookmill_app::AppError) -> ApiError {
    match field_of(error.code) {
        Some(field) => ApiError::field(field, error.code, error.message),
        None => ApiError::from(error),
    }
}

/// The field of a binding that refusals with this code are about.
pub(super) fn field_of(code: &str) -> Option<&'static str> {
    match code {
        "plugin_unknown" | "transformation_plugin_missing" | "plugin_world_wrong" => Some("plugin"),
        "plugin_version_unknown" => Some("version"),
        "settings_too_large" | "settings_invalid" | "settings_refused" => Some("settings"),
        "too_many_plugin_secrets" | "plugin_secret_undeclared" => Some("secrets"),
        _ => None,
    }
}
