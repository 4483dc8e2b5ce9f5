//! `/source`: the inbound addresses for providers. Ours. What arrives there is [`crate::receive`]'s.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Path, State};
use hookmill_app::administer::binding::BindingPatch;
use hookmill_app::administer::source::{SourceInput, SourcePatch};
use hookmill_app::receive::SourceFailure;
use hookmill_core::inbound::{
    Algorithm, Dedupe, Encoding, HmacScheme, JsonPointer, RawHmacScheme, TimestampUnit, Verifier,
};
use hookmill_core::plugin::{LogLine, PluginBinding, Secret};
use hookmill_core::signature::SIGNING_OVERLAP_DEFAULT;
use hookmill_core::source::{
    EventTypeFrom, Intake, PublicUrl, ReplayWindow, Source, SourceName, SourceState, SuccessStatus,
};
use http::{HeaderName, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::plugin::{ensure, parse_version};
use super::secret::overlap;
use crate::answer;
use crate::auth::Caller;
use crate::context::{Context, Decided, detached};
use crate::error::{ApiError, Handled};
use crate::fields::{self, nullable, or_default, patched};
use crate::input::Input;
use crate::list;
use crate::query::{Order, Query};
use crate::receive::PREFIX;

/// The `type` of a verification that is none, and of one that the user describes.
const UNVERIFIED: &str = "none";
const DESCRIBED: &str = "hmac";

/// A source to be made, or what is to be changed of one.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SourceIn<'a> {
    /// Fixed once made.
    name: Option<String>,
    /// Id or uid; fixed once made.
    application: Option<String>,
    description: Option<String>,
    disabled: Option<bool>,
    verification: Option<VerificationDto>,
    secret: Option<String>,
    /// What Meta repeats in its handshake; `null` takes it away.
    #[serde(default, deserialize_with = "nullable")]
    verify_token: Option<Option<String>>,
    #[serde(default, deserialize_with = "nullable")]
    public_url: Option<Option<String>>,
    tolerance_seconds: Option<u64>,
    dedupe: Option<DedupeDto>,
    success_status: Option<u16>,
    event_type: Option<EventTypeDto>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    plugin: Option<Option<PluginIn<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PluginIn<'a> {
    name: String,
    #[serde(default, deserialize_with = "nullable")]
    version: Option<Option<String>>,
    #[serde(borrow)]
    settings: Option<&'a RawValue>,
    #[serde(default, deserialize_with = "or_default")]
    secrets: BTreeMap<String, Option<String>>,
}

/// A provider's name, `none`, or `hmac` with all else.
#[derive(Deserialize, Serialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct VerificationDto {
    r#type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    header: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    algorithm: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    encoding: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prefix: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp_header: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp_unit: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id_header: Option<String>,
}

/// `"provider"`, `"off"`, `{"header": ".."}` or `{"pointer": ".."}`.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
enum DedupeDto {
    Provider,
    Off,
    Header(String),
    Pointer(String),
}

/// `"source"`, `{"constant": ".."}`, `{"header": ".."}` or `{"pointer": ".."}`.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
enum EventTypeDto {
    Source,
    Constant(String),
    Header(String),
    Pointer(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RotateIn {
    key: String,
    grace_period_seconds: Option<u64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SourceOut<'a> {
    id: String,
    name: &'a str,
    /// Where the provider sends to, on whatever host leads here.
    path: String,
    application_id: String,
    description: &'a str,
    disabled: bool,
    verification: VerificationDto,
    /// The token itself is not shown again.
    has_verify_token: bool,
    public_url: Option<&'a str>,
    tolerance_seconds: u64,
    dedupe: DedupeDto,
    success_status: u16,
    event_type: Option<EventTypeDto>,
    plugin: Option<PluginOut<'a>>,
    created_at: String,
    updated_at: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PluginOut<'a> {
    name: &'a str,
    /// The version to stay at; `null` for whichever is current.
    version: Option<String>,
    settings: Option<&'a RawValue>,
    /// The names of its secrets; their values are not shown again.
    secrets: Vec<&'a str>,
}

/// A source with what its plugin said when it last made nothing of a request.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SourceDetailOut<'a> {
    #[serde(flatten)]
    source: SourceOut<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_plugin_failure: Option<serde_json::Value>,
}

impl<'a> SourceOut<'a> {
    fn of(source: &'a Source) -> Self {
        let (event_type, plugin) = match &source.intake {
            Intake::AsItIs(from) => (Some(EventTypeDto::of(from)), None),
            Intake::Plugin(used) => (None, Some(PluginOut::of(used))),
        };
        Self {
            id: source.id.to_string(),
            name: source.name.as_str(),
            path: format!("{PREFIX}{}", source.name),
            application_id: source.application.to_string(),
            description: &source.description,
            disabled: source.state == SourceState::Disabled,
            verification: VerificationDto::of(source.verification.verifier()),
            has_verify_token: source.verify_token.is_some(),
            public_url: source.public_url.as_ref().map(PublicUrl::as_str),
            tolerance_seconds: source.replay_window.get().as_secs(),
            dedupe: DedupeDto::of(&source.dedupe),
            success_status: source.success.get().as_u16(),
            event_type,
            plugin,
            created_at: source.created_at.to_string(),
            updated_at: source.updated_at.to_string(),
        }
    }
}

impl<'a> PluginOut<'a> {
    fn of(used: &'a PluginBinding) -> Self {
        Self {
            name: used.plugin.as_str(),
            version: used.pinned.map(|version| version.to_string()),
            settings: serde_json::from_str(&used.settings).ok(),
            secrets: used.secrets.names().collect(),
        }
    }
}

impl SourceIn<'_> {
    /// What it says of the source but its name and application.
    fn parse(self) -> Result<SourcePatch, ApiError> {
        Ok(SourcePatch {
            description: self.description.map(|text| fields::text("description", text)).transpose()?,
            disabled: self.disabled,
            verifier: self.verification.map(VerificationDto::parse).transpose()?,
            secret: self.secret.map(|text| secret("secret", text)).transpose()?,
            verify_token: patched(self.verify_token, |token| secret("verifyToken", token))?,
            public_url: patched(self.public_url, |url| {
                url.parse::<PublicUrl>()
                    .map_err(|error| ApiError::field("publicUrl", "public_url_invalid", error.to_string()))
            })?,
            replay_window: self.tolerance_seconds.map(replay_window).transpose()?,
            dedupe: self.dedupe.map(DedupeDto::parse).transpose()?,
            success: self.success_status.map(success).transpose()?,
            event_type: self.event_type.map(EventTypeDto::parse).transpose()?,
            plugin: patched(self.plugin, PluginIn::parse)?,
        })
    }
}

impl PluginIn<'_> {
    fn parse(self) -> Result<BindingPatch, ApiError> {
        Ok(BindingPatch {
            plugin: Some(fields::plugin_name(&self.name)?),
            version: patched(self.version, |version| parse_version(&version))?,
            settings: self.settings.map(|settings| settings.get().into()),
            secrets: fields::plugin_secrets(self.secrets)?,
        })
    }
}

impl VerificationDto {
    fn of(verifier: Option<&Verifier>) -> Self {
        let r#type = verifier.map_or(UNVERIFIED, Verifier::code).to_owned();
        let Some(Verifier::Hmac(scheme)) = verifier else { return Self { r#type, ..Self::default() } };
        let raw = scheme.raw();
        let (timestamp_header, timestamp_unit) = raw.timestamp.unzip();
        Self {
            r#type,
            header: Some(raw.header),
            algorithm: Some(raw.algorithm.code().to_owned()),
            encoding: Some(raw.encoding.code().to_owned()),
            prefix: Some(raw.prefix),
            input: Some(raw.input),
            timestamp_header,
            timestamp_unit: timestamp_unit.map(|unit| unit.code().to_owned()),
            id_header: raw.id_header,
        }
    }

    fn parse(self) -> Result<Option<Verifier>, ApiError> {
        if self.r#type == DESCRIBED {
            return self.parse_scheme().map(|scheme| Some(Verifier::Hmac(Box::new(scheme))));
        }
        let Self { r#type, header, algorithm, encoding, prefix, input, .. } = &self;
        let described = [header, algorithm, encoding, prefix, input]
            .into_iter()
            .chain([&self.timestamp_header, &self.timestamp_unit, &self.id_header])
            .any(Option::is_some);
        if described {
            let detail = format!("only `{DESCRIBED}` is described; a provider's name says it all");
            return Err(ApiError::field("verification", "verification_described_twice", detail));
        }
        if r#type == UNVERIFIED {
            return Ok(None);
        }
        Verifier::of_provider(r#type).map(Some).ok_or_else(|| {
            let providers = Verifier::PROVIDERS.map(|provider| provider.code()).join("`, `");
            let detail = format!("this is one of `{UNVERIFIED}`, `{providers}` and `{DESCRIBED}`");
            ApiError::field("verification.type", "verification_unknown", detail)
        })
    }

    fn parse_scheme(self) -> Result<HmacScheme, ApiError> {
        let header = self.header.ok_or_else(|| {
            ApiError::field("verification.header", "header_missing", "name the header that has the signature")
        })?;
        let unit = self.timestamp_unit.as_deref().map_or(Ok(TimestampUnit::Seconds), |code| {
            choice(
                "timestampUnit",
                TimestampUnit::from_code(code),
                &TimestampUnit::ALL.map(TimestampUnit::code),
            )
        })?;
        let algorithm = self.algorithm.as_deref().map_or(Ok(Algorithm::Sha256), |code| {
            choice("algorithm", Algorithm::from_code(code), &Algorithm::ALL.map(Algorithm::code))
        })?;
        let encoding = self.encoding.as_deref().map_or(Ok(Encoding::Hex), |code| {
            choice("encoding", Encoding::from_code(code), &Encoding::ALL.map(Encoding::code))
        })?;
        let raw = RawHmacScheme {
            header,
            algorithm,
            encoding,
            prefix: self.prefix.unwrap_or_default(),
            input: self.input.unwrap_or_else(|| "{body}".to_owned()),
            timestamp: self.timestamp_header.map(|header| (header, unit)),
            id_header: self.id_header,
        };
        HmacScheme::parse(&raw).map_err(|error| {
            ApiError::field(&format!("verification.{}", error.field), error.code, error.message)
        })
    }
}

impl DedupeDto {
    fn of(dedupe: &Dedupe) -> Self {
        match dedupe {
            Dedupe::Provider => Self::Provider,
            Dedupe::Off => Self::Off,
            Dedupe::Header(name) => Self::Header(name.to_string()),
            Dedupe::Pointer(pointer) => Self::Pointer(pointer.to_string()),
        }
    }

    fn parse(self) -> Result<Dedupe, ApiError> {
        match self {
            Self::Provider => Ok(Dedupe::Provider),
            Self::Off => Ok(Dedupe::Off),
            Self::Header(name) => header_name("dedupe.header", &name).map(Dedupe::Header),
            Self::Pointer(text) => pointer("dedupe.pointer", &text).map(Dedupe::Pointer),
        }
    }
}

impl EventTypeDto {
    fn of(from: &EventTypeFrom) -> Self {
        match from {
            EventTypeFrom::Source => Self::Source,
            EventTypeFrom::Constant(name) => Self::Constant(name.to_string()),
            EventTypeFrom::Header(name) => Self::Header(name.to_string()),
            EventTypeFrom::Pointer(pointer) => Self::Pointer(pointer.to_string()),
        }
    }

    fn parse(self) -> Result<EventTypeFrom, ApiError> {
        match self {
            Self::Source => Ok(EventTypeFrom::Source),
            Self::Constant(name) => fields::name("eventType.constant", &name).map(EventTypeFrom::Constant),
            Self::Header(name) => header_name("eventType.header", &name).map(EventTypeFrom::Header),
            Self::Pointer(text) => pointer("eventType.pointer", &text).map(EventTypeFrom::Pointer),
        }
    }
}

fn choice<T>(field: &str, chosen: Option<T>, codes: &[&str]) -> Result<T, ApiError> {
    chosen.ok_or_else(|| {
        let detail = format!("this is one of `{}`", codes.join("`, `"));
        ApiError::field(&format!("verification.{field}"), "verification_choice_unknown", detail)
    })
}

fn header_name(field: &str, name: &str) -> Result<HeaderName, ApiError> {
    name.parse().map_err(|_| {
        ApiError::field(field, "header_name_invalid", "this is no name of a header, such as `x-event-id`")
    })
}

fn pointer(field: &str, text: &str) -> Result<JsonPointer, ApiError> {
    text.parse().map_err(|error: hookmill_core::inbound::InvalidPointer| {
        ApiError::field(field, "pointer_invalid", error.to_string())
    })
}

fn replay_window(secs: u64) -> Result<ReplayWindow, ApiError> {
    ReplayWindow::from_secs(secs)
        .map_err(|error| ApiError::field("toleranceSeconds", "tolerance_out_of_range", error.to_string()))
}

fn success(status: u16) -> Result<SuccessStatus, ApiError> {
    SuccessStatus::new(status)
        .map_err(|error| ApiError::field("successStatus", "success_status_invalid", error.to_string()))
}

fn secret(field: &str, text: String) -> Result<Secret, ApiError> {
    Secret::new(Zeroizing::new(text.into_bytes()))
        .map_err(|error| ApiError::field(field, "secret_invalid", error.to_string()))
}

pub(crate) async fn list(State(context): State<Arc<Context>>, caller: Caller, query: Query) -> Handled {
    caller.reads_shared()?;
    let table = context.app.table_full();
    let (cursor, order, limit) = (query.cursor()?, query.order(Order::Ascending)?, query.limit()?);
    Ok(list::entries(
        &table.sources,
        cursor,
        order,
        limit,
        |source| caller.administers(source.application),
        |source| list::item(&SourceOut::of(source)),
    ))
}

pub(crate) async fn create(State(context): State<Arc<Context>>, caller: Caller, input: Input) -> Handled {
    caller.reads_shared()?;
    let mut new = input.json::<SourceIn>()?;
    let name = new.name.take().ok_or_else(|| missing("name", "name the source; its address ends with it"))?;
    let name = name.parse().map_err(|error: hookmill_core::source::InvalidSourceName| {
        ApiError::field("name", "source_name_invalid", error.to_string())
    })?;
    let application = new
        .application
        .take()
        .ok_or_else(|| missing("application", "give the id or uid of an application"))?;
    let application = caller.administered(&context, &application)?.application.id;
    let mut details = new.parse()?;
    let verifier = details.verifier.take().ok_or_else(|| {
        missing("verification", "say how requests are signed; `{\"type\": \"none\"}` believes everybody")
    })?;
    let authority = caller.authority();
    detached(async move {
        ensure_plugin(&context, &details).await?;
        let created = context.edit_once(caller, &input, move |edit| {
            let new = SourceInput { name, verifier, details };
            let source = edit.create_source(application, new, authority).map_err(placed)?;
            Ok(Decided::json(StatusCode::CREATED, &SourceOut::of(&source)))
        });
        created.await.map_err(settings_placed)
    })
    .await
}

pub(crate) async fn get(
    State(context): State<Arc<Context>>,
    caller: Caller,
    Path(source): Path<String>,
) -> Handled {
    let source = find(&context, caller, &source)?;
    let last_plugin_failure = context.app.source_failure(source.id).as_ref().map(failure_out);
    let shown = SourceDetailOut { source: SourceOut::of(&source), last_plugin_failure };
    Ok(answer::json(StatusCode::OK, &shown))
}

/// What the source's plugin said when it last made nothing of a request.
fn failure_out(failure: &SourceFailure) -> serde_json::Value {
    let log = |line: &LogLine| serde_json::json!({"level": line.level.as_str(), "message": line.message});
    serde_json::json!({
        "timestamp": failure.at.to_string(),
        "failureCode": failure.code,
        "detail": failure.detail,
        "logs": failure.logs.iter().map(log).collect::<Vec<_>>(),
    })
}

pub(crate) async fn patch(
    State(context): State<Arc<Context>>,
    caller: Caller,
    Path(source): Path<String>,
    input: Input,
) -> Handled {
    let id = find(&context, caller, &source)?.id;
    let changed = input.json::<SourceIn>()?;
    for (field, given) in [("name", &changed.name), ("application", &changed.application)] {
        if given.is_some() {
            let detail = "a source keeps its name and its application; make another source";
            return Err(ApiError::field(field, "field_fixed", detail));
        }
    }
    let patch = changed.parse()?;
    detached(async move {
        ensure_plugin(&context, &patch).await?;
        let patched = context.edit(move |edit| {
            let source = edit.patch_source(id, patch).map_err(placed)?;
            Ok(Decided::json(StatusCode::OK, &SourceOut::of(&source)))
        });
        patched.await.map_err(settings_placed)
    })
    .await
}

/// A plugin that comes with the router is there when a source first names it.
async fn ensure_plugin(context: &Context, patch: &SourcePatch) -> Result<(), ApiError> {
    match patch.plugin.iter().flatten().find_map(|binding| binding.plugin.as_ref()) {
        Some(name) => ensure(context, name).await,
        None => Ok(()),
    }
}

pub(crate) async fn delete(
    State(context): State<Arc<Context>>,
    caller: Caller,
    Path(source): Path<String>,
) -> Handled {
    let id = find(&context, caller, &source)?.id;
    context
        .edit(move |edit| {
            edit.delete_source(id)?;
            Ok(Decided::no_content())
        })
        .await
}

/// A provider's secret is not the router's to make, so it is given.
pub(crate) async fn rotate(
    State(context): State<Arc<Context>>,
    caller: Caller,
    Path(source): Path<String>,
    input: Input,
) -> Handled {
    let id = find(&context, caller, &source)?.id;
    let rotation = input.json::<RotateIn>()?;
    let new = secret("key", rotation.key)?;
    let overlap = rotation.grace_period_seconds.map(overlap).transpose()?.unwrap_or(SIGNING_OVERLAP_DEFAULT);
    context
        .edit_once(caller, &input, move |edit| {
            edit.rotate_source_secret(id, new, overlap)?;
            Ok(Decided::no_content())
        })
        .await
}

/// A source that this caller may not see is not there.
fn find(context: &Context, caller: Caller, id_or_name: &str) -> Result<Arc<Source>, ApiError> {
    let table = context.app.table();
    // What an application calls by its local name is its own source, whoever else has one of that name.
    let own = caller.own_application()?.and_then(|application| {
        let name = SourceName::of_application(application, &id_or_name.parse().ok()?).ok()?;
        table.source_named(name.as_str())
    });
    let found = own.or_else(|| table.source(id_or_name)).cloned();
    found.filter(|source| caller.administers(source.application)).ok_or_else(|| ApiError::not_found("source"))
}

fn missing(field: &str, detail: &'static str) -> ApiError {
    ApiError::field(field, "field_missing", detail)
}

/// What the commit says of settings has no place yet.
fn settings_placed(error: ApiError) -> ApiError {
    match error.code {
        "settings_invalid" => ApiError::field("plugin.settings", error.code, error.detail),
        "plugin_secret_undeclared" => ApiError::field("plugin.secrets", error.code, error.detail),
        _ => error,
    }
}

fn placed(error: hookmill_app::AppError) -> ApiError {
    let field = match error.code {
        "source_name_invalid" => "name",
        "plugin_secret_undeclared" => "plugin.secrets",
        "secret_missing" | "secret_unused" => "secret",
        "public_url_missing" => "publicUrl",
        "event_type_unused" => "eventType",
        "plugin_unknown" => "plugin.name",
        "plugin_version_unknown" => "plugin.version",
        "settings_too_large" => "plugin.settings",
        "too_many_plugin_secrets" => "plugin.secrets",
        code if code.starts_with("signing_key_") => "secret",
        _ => return ApiError::from(error),
    };
    ApiError::field(field, error.code, error.message)
}
