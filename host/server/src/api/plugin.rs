//! `/plugin`: uploaded code, its versions, and which one runs. Ours.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use hookmill_app::BundledPlugin;
use hookmill_app::administer::Written;
use hookmill_app::administer::plugin::{Promotion, Upload};
use hookmill_core::canary::CanaryPercent;
use hookmill_core::limits::PLUGIN_BYTES_MAX;
use hookmill_core::persistent::Map;
use hookmill_core::plugin::{PluginDigest, PluginName, PluginVersion};
use hookmill_core::route::PluginEntry;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::answer;
use crate::auth::Caller;
use crate::context::{Context, Decided, detached};
use crate::error::{ApiError, Handled};
use crate::input::{self, Input};
use crate::list;
use crate::query::{Order, Query};

/// A plugin, or an upload's answer.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PluginOut<'a> {
    name: &'a str,
    world: &'static str,
    description: &'a str,
    /// The version that runs where none is pinned.
    version: String,
    canary: Option<CanaryOut>,
    /// All versions, newest first.
    versions: Vec<VersionOut<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CanaryOut {
    version: String,
    percent: u8,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct VersionOut<'a> {
    version: String,
    /// What the manifest calls it.
    label: &'a str,
    description: &'a str,
    world: &'static str,
    size_bytes: u64,
    created_at: String,
    /// The id of the key that it was uploaded with; empty for a plugin that came with the router.
    uploaded_by: &'a str,
}

/// A version with all that is known of it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct VersionDetailOut<'a> {
    #[serde(flatten)]
    version: VersionOut<'a>,
    imports: &'a [String],
    manifest: Option<&'a RawValue>,
}

/// A plugin that comes with the router and that nobody used yet: no version of it was uploaded. Its first use does that.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BundledOut<'a> {
    name: &'a str,
    world: &'static str,
    description: &'a str,
    version: Option<String>,
    canary: Option<CanaryOut>,
    versions: Vec<VersionOut<'a>>,
    bundled: bool,
    size_bytes: usize,
}

/// An item of the list of plugins.
#[derive(Clone)]
enum Listed<'a> {
    Uploaded(&'a PluginEntry),
    Bundled(&'a BundledPlugin),
}

/// An upload's answer: the plugin, and which version the upload is.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct UploadOut<'a> {
    uploaded: String,
    #[serde(flatten)]
    plugin: PluginOut<'a>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RollbackIn {
    /// The one before the current, if this says nothing.
    version: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PromoteIn {
    version: String,
    /// Only for so many of a hundred deliveries, on trial.
    canary_percent: Option<u64>,
}

impl<'a> PluginOut<'a> {
    fn of(name: &'a str, entry: &'a PluginEntry) -> Self {
        let current = entry.versions.iter().find(|version| version.digest == entry.current);
        Self {
            name,
            world: current.map_or("", |version| version.world.as_str()),
            description: current.map_or("", |version| &version.description),
            version: entry.current.to_string(),
            canary: entry.canary.map(|canary| CanaryOut {
                version: canary.digest.to_string(),
                percent: canary.percent.get(),
            }),
            versions: entry.versions.iter().rev().map(VersionOut::of).collect(),
        }
    }
}

impl<'a> BundledOut<'a> {
    fn of(name: &'a str, plugin: &'a BundledPlugin) -> Self {
        Self {
            name,
            world: plugin.world.as_str(),
            description: &plugin.description,
            version: None,
            canary: None,
            versions: Vec::new(),
            bundled: true,
            size_bytes: plugin.component.len(),
        }
    }
}

impl<'a> VersionOut<'a> {
    fn of(version: &'a PluginVersion) -> Self {
        Self {
            version: version.digest.to_string(),
            label: &version.label,
            description: &version.description,
            world: version.world.as_str(),
            size_bytes: version.size_bytes,
            created_at: version.created_at.to_string(),
            uploaded_by: &version.uploaded_by,
        }
    }
}

/// Sees to it that a plugin which comes with the router is there when it is first used or looked at. For use in
/// [`detached`] work: it may be an upload.
pub(super) async fn ensure(context: &Context, name: &PluginName) -> Result<(), ApiError> {
    Ok(context.app.ensure_bundled_plugin(name).await?)
}

fn parse_name(name: &str) -> Result<PluginName, ApiError> {
    name.parse().map_err(|error: hookmill_core::plugin::InvalidPluginName| {
        ApiError::new(StatusCode::BAD_REQUEST, "plugin_name_invalid", error.to_string())
    })
}

pub(crate) async fn list(State(context): State<Arc<Context>>, caller: Caller, query: Query) -> Handled {
    caller.reads_shared()?;
    let table = context.app.table_full();
    let (order, limit) = (query.order(Order::Ascending)?, query.limit()?);
    let uploaded = table.plugins.iter().map(|(name, entry)| (name, Listed::Uploaded(entry)));
    let bundled = context.app.unused_bundle(&table).map(|(name, plugin)| (name, Listed::Bundled(plugin)));
    let listed: Map<_, _> =
        uploaded.chain(bundled).map(|(name, listed)| (name.clone(), (name.as_str(), listed))).collect();
    Ok(list::entries(
        &listed,
        query.cursor()?,
        order,
        limit,
        |_| true,
        |(name, listed)| match listed {
            Listed::Uploaded(entry) => list::item(&PluginOut::of(name, entry)),
            Listed::Bundled(plugin) => list::item(&BundledOut::of(name, plugin)),
        },
    ))
}

pub(crate) async fn get(
    State(context): State<Arc<Context>>,
    caller: Caller,
    Path(name): Path<String>,
) -> Handled {
    caller.reads_shared()?;
    let name = parse_name(&name)?;
    detached(async move {
        ensure(&context, &name).await?;
        let table = context.app.table_full();
        let entry = table.plugins.get(&name).ok_or_else(|| ApiError::not_found("plugin"))?;
        Ok(answer::json(StatusCode::OK, &PluginOut::of(name.as_str(), entry)))
    })
    .await
}

/// Takes an upload: 201 for a new version, 200 for bytes that are a version already.
pub(crate) async fn upload(
    State(context): State<Arc<Context>>,
    caller: Caller,
    Path(name): Path<String>,
    query: Query,
    request: Request,
) -> Handled {
    caller.admin()?;
    let name = parse_name(&name)?;
    check_wasm(&request)?;
    // The first version of a plugin is its current one at once, whatever is said here.
    let promote = query.flag("promote", true)?;
    let component = input::read(request.into_body(), PLUGIN_BYTES_MAX, &context.config).await?;
    let uploaded_by = caller.key().to_string().into();
    let upload = Upload { name: name.clone(), component, uploaded_by, promote };
    detached(async move {
        let uploaded = context.app.upload_plugin(upload).await?;
        let status = match uploaded.version {
            Written::Created(_) => StatusCode::CREATED,
            Written::Existing(_) => StatusCode::OK,
        };
        let plugin = PluginOut::of(name.as_str(), &uploaded.entry);
        let out = UploadOut { uploaded: uploaded.version.get().digest.to_string(), plugin };
        Ok(answer::json(status, &out))
    })
    .await
}

/// Makes a version the current one, or puts it on trial.
pub(crate) async fn promote(
    State(context): State<Arc<Context>>,
    caller: Caller,
    Path(name): Path<String>,
    input: Input,
) -> Handled {
    caller.admin()?;
    let name = parse_name(&name)?;
    let asked: PromoteIn = input.json()?;
    let version = parse_version(&asked.version)?;
    let promotion = match asked.canary_percent {
        None => Promotion::Full,
        Some(percent) => Promotion::Canary(CanaryPercent::try_from(percent).map_err(|error| {
            ApiError::field("canaryPercent", "canary_percent_invalid", error.to_string())
        })?),
    };
    context
        .edit_once(caller, &input, move |edit| {
            let entry = edit.promote_plugin(&name, version, promotion)?;
            Ok(Decided::json(StatusCode::OK, &PluginOut::of(name.as_str(), &entry)))
        })
        .await
}

/// One version, with its manifest.
pub(crate) async fn get_version(
    State(context): State<Arc<Context>>,
    caller: Caller,
    Path((name, version)): Path<(String, String)>,
) -> Handled {
    caller.reads_shared()?;
    let (name, version) = (parse_name(&name)?, parse_version(&version)?);
    let table = context.app.table_full();
    let entry = table.plugins.get(&name).ok_or_else(|| ApiError::not_found("plugin"))?;
    let known = entry.versions.iter().find(|known| known.digest == version);
    let known = known.ok_or_else(|| ApiError::not_found("plugin version"))?;
    let interface = context.app.plugin_interface(version).await?;
    let manifest = interface.manifest.as_deref().and_then(|text| serde_json::from_slice(text).ok());
    let version = VersionOut::of(known);
    Ok(answer::json(StatusCode::OK, &VersionDetailOut { version, imports: &interface.imports, manifest }))
}

pub(crate) async fn delete_version(
    State(context): State<Arc<Context>>,
    caller: Caller,
    Path((name, version)): Path<(String, String)>,
) -> Handled {
    caller.admin()?;
    let (name, version) = (parse_name(&name)?, parse_version(&version)?);
    detached(async move {
        context.app.delete_plugin_version(&name, version).await?;
        Ok(answer::no_content())
    })
    .await
}

pub(crate) async fn roll_back(
    State(context): State<Arc<Context>>,
    caller: Caller,
    Path(name): Path<String>,
    input: Input,
) -> Handled {
    caller.admin()?;
    let name = parse_name(&name)?;
    let version = input.json_or_default::<RollbackIn>()?.version.as_deref().map(parse_version).transpose()?;
    context
        .edit_once(caller, &input, move |edit| {
            let entry = edit.roll_back_plugin(&name, version)?;
            Ok(Decided::json(StatusCode::OK, &PluginOut::of(name.as_str(), &entry)))
        })
        .await
}

pub(crate) async fn delete(
    State(context): State<Arc<Context>>,
    caller: Caller,
    Path(name): Path<String>,
) -> Handled {
    caller.admin()?;
    let name = parse_name(&name)?;
    detached(async move {
        context.app.delete_plugin(&name).await?;
        Ok(answer::no_content())
    })
    .await
}

pub(crate) fn parse_version(text: &str) -> Result<PluginDigest, ApiError> {
    text.parse().map_err(|error: hookmill_core::plugin::InvalidPluginDigest| {
        ApiError::field("version", "plugin_version_invalid", error.to_string())
    })
}

fn check_wasm(request: &Request) -> Result<(), ApiError> {
    let content_type = request.headers().get(CONTENT_TYPE).map(|value| value.as_bytes());
    match content_type {
        None | Some(b"application/wasm" | b"application/octet-stream") => Ok(()),
        Some(_) => Err(ApiError::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            "this takes a WebAssembly component; send it with `Content-Type: application/wasm`",
        )),
    }
}
