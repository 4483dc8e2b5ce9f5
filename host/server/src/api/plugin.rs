//! `/plugin`: uploaded code, its versions, and which one runs. Ours.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use hookmill_app::administer::Written;
use hookmill_core::limits::PLUGIN_BYTES_MAX;
use hookmill_core::plugin::{PluginDigest, PluginName};
use hookmill_core::route::PluginEntry;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde::{Deserialize, Serialize};

use crate::answer;
use crate::auth::Caller;
use crate::context::{Context, Decided, detached};
use crate::error::{ApiError, Handled};
use crate::input::{self, Input};
use crate::list;
use crate::query::{Order, Query};

/// A plugin, or an upload's answer, where `version` is the uploaded one.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PluginOut<'a> {
    name: &'a str,
    /// The version that runs where none is pinned.
    version: String,
    /// All versions, newest first.
    versions: Vec<VersionOut>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct VersionOut {
    version: String,
    size_bytes: u64,
    created_at: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RollbackIn {
    /// The one before the current, if this says nothing.
    version: Option<String>,
}

impl<'a> PluginOut<'a> {
    fn of(name: &'a str, entry: &PluginEntry) -> Self {
        let versions = entry.versions.iter().rev().map(|version| VersionOut {
            version: version.digest.to_string(),
            size_bytes: version.size_bytes,
            created_at: version.created_at.to_string(),
        });
        Self { name, version: entry.current.to_string(), versions: versions.collect() }
    }
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
    Ok(list::entries(
        &table.plugins,
        query.cursor()?,
        order,
        limit,
        |_| true,
        |entry| {
            let name = entry.versions.first().map(|version| version.name.to_string()).unwrap_or_default();
            serde_json::to_value(PluginOut::of(&name, entry)).unwrap_or_default()
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
    let table = context.app.table_full();
    let entry = table.plugins.get(&name).ok_or_else(|| ApiError::not_found("plugin"))?;
    Ok(answer::json(StatusCode::OK, &PluginOut::of(name.as_str(), entry)))
}

/// Takes an upload: 201 for a new version, 200 for bytes that are a version already. It is the current one then.
pub(crate) async fn upload(
    State(context): State<Arc<Context>>,
    caller: Caller,
    Path(name): Path<String>,
    request: Request,
) -> Handled {
    caller.admin()?;
    let name = parse_name(&name)?;
    check_wasm(&request)?;
    let component = input::read(request.into_body(), PLUGIN_BYTES_MAX, &context.config).await?;
    detached(async move {
        let uploaded = context.app.upload_plugin(name.clone(), component).await?;
        let status = match uploaded.version {
            Written::Created(_) => StatusCode::CREATED,
            Written::Existing(_) => StatusCode::OK,
        };
        Ok(answer::json(status, &PluginOut::of(name.as_str(), &uploaded.entry)))
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
