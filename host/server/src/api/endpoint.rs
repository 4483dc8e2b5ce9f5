//! `/app/{app}/endpoint`: the destinations of an application.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::extract::{Path, State};
use hookmill_app::AppError;
use hookmill_app::administer::endpoint::{EndpointInput, EndpointPatch};
use hookmill_app::history::{AttemptFilter, PageRequest};
use hookmill_app::{BreakerState, EndpointBreakers};
use hookmill_core::endpoint::{Endpoint, EndpointState};
use hookmill_core::event::Name;
use hookmill_core::handshake::HandshakeMethod;
use hookmill_core::id::{ApplicationId, EndpointId};
use hookmill_core::limits::PAGE_ITEMS_MAX;
use hookmill_core::policy::Rate;
use hookmill_core::port::store::{AttemptResult, AttemptsOf, EndpointCounts, PageFrom};
use hookmill_core::signature::SigningKey;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::headers;
use super::plugin::ensure;
use super::transformation::{self, TransformationIn};
use crate::answer;
use crate::auth::Caller;
use crate::context::{Context, Decided, detached};
use crate::error::{ApiError, Handled};
use crate::fields::{self, nullable, or_default, patched};
use crate::input::{Input, Nothing};
use crate::list;
use crate::query::{Order, Query};

/// Channels that one endpoint may filter on (the Svix API's bound).
const CHANNELS_MAX: usize = 10;
/// Event types that one endpoint may filter on.
const EVENT_TYPES_MAX: usize = 1000;
/// Attempts that are counted for the figures of a period, at most.
const COUNTED_MAX: u64 = 10_000;

/// `EndpointIn` and `EndpointUpdate`, which differ in the secret and the headers only; `pattern`, `preset`, `verification` and
/// `transformation` are ours. What an endpoint needs is said at once, so that none receives before it is complete.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EndpointIn<'a> {
    url: String,
    #[serde(default, deserialize_with = "or_default")]
    description: String,
    uid: Option<String>,
    rate_limit: Option<u16>,
    throttle_rate: Option<u16>,
    version: Option<u16>,
    #[serde(default, deserialize_with = "or_default")]
    disabled: bool,
    #[serde(alias = "filterTypes")]
    event_types: Option<Vec<String>>,
    channels: Option<Vec<String>>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    pattern: Option<Option<&'a RawValue>>,
    secret: Option<String>,
    preset: Option<String>,
    #[serde(default, deserialize_with = "nullable")]
    verification: Option<Option<String>>,
    #[serde(default, deserialize_with = "or_default")]
    metadata: BTreeMap<String, String>,
    headers: Option<BTreeMap<String, String>>,
    #[serde(borrow)]
    transformation: Option<TransformationIn<'a>>,
}

/// `EndpointPatch`; `pattern`, `preset` and `verification` are ours.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PatchIn<'a> {
    url: Option<String>,
    description: Option<String>,
    #[serde(default, deserialize_with = "nullable")]
    uid: Option<Option<String>>,
    #[serde(default, deserialize_with = "nullable")]
    rate_limit: Option<Option<u16>>,
    #[serde(default, deserialize_with = "nullable")]
    throttle_rate: Option<Option<u16>>,
    version: Option<u16>,
    disabled: Option<bool>,
    #[serde(default, alias = "filterTypes", deserialize_with = "nullable")]
    event_types: Option<Option<Vec<String>>>,
    #[serde(default, deserialize_with = "nullable")]
    channels: Option<Option<Vec<String>>>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    pattern: Option<Option<&'a RawValue>>,
    preset: Option<String>,
    #[serde(default, deserialize_with = "nullable")]
    verification: Option<Option<String>>,
    metadata: Option<BTreeMap<String, String>>,
}

/// What `EndpointOut` and `MessageEndpointOut` share.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EndpointCommonOut {
    description: String,
    rate_limit: Option<u16>,
    throttle_rate: Option<u16>,
    uid: Option<String>,
    url: String,
    version: u16,
    disabled: bool,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    disabled_since: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verification: Option<&'static str>,
    preset: &'static str,
    event_types: Option<Vec<String>>,
    filter_types: Option<Vec<String>>,
    channels: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pattern: Option<Box<RawValue>>,
    created_at: String,
    updated_at: String,
}

/// `EndpointOut`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EndpointOut<'a> {
    #[serde(flatten)]
    common: EndpointCommonOut,
    id: String,
    metadata: &'a BTreeMap<String, String>,
    /// Ours.
    breaker: BreakerOut,
    #[serde(skip_serializing_if = "Option::is_none")]
    plugin_breaker: Option<BreakerOut>,
}

/// Where a breaker stands.
#[derive(Serialize)]
struct BreakerOut {
    /// `closed`, `open` or `half_open`.
    state: &'static str,
    /// When the next probe may start by itself, of an open one.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<String>,
}

impl From<BreakerState> for BreakerOut {
    fn from(state: BreakerState) -> Self {
        let (state, until) = match state {
            BreakerState::Closed => ("closed", None),
            BreakerState::Open { until } => ("open", Some(until.to_string())),
            BreakerState::HalfOpen => ("half_open", None),
        };
        Self { state, until }
    }
}

/// `EndpointStats`.
#[derive(Serialize, Default)]
struct StatsOut {
    canceled: u64,
    fail: u64,
    pending: u64,
    sending: u64,
    success: u64,
}

impl EndpointCommonOut {
    pub(crate) fn of(endpoint: &Endpoint) -> Self {
        let texts = |names: &BTreeSet<Name>| names.iter().map(Name::to_string).collect::<Vec<_>>();
        let rate = endpoint.policy.effective().rate.map(per_second);
        let event_types = endpoint.filter.event_types.as_ref().map(texts);
        Self {
            description: endpoint.description.clone(),
            rate_limit: rate,
            throttle_rate: rate,
            uid: endpoint.uid.as_ref().map(Name::to_string),
            url: endpoint.url.to_string(),
            version: 1,
            disabled: endpoint.state != EndpointState::Enabled,
            state: endpoint.state.code(),
            disabled_since: match endpoint.state {
                EndpointState::Enabled => None,
                EndpointState::Failed { since } | EndpointState::Disabled { since, .. } => {
                    Some(since.to_string())
                }
            },
            verification: endpoint.verification.map(HandshakeMethod::code),
            preset: endpoint.policy.preset().name(),
            filter_types: event_types.clone(),
            event_types,
            channels: endpoint.filter.channels.as_ref().map(texts),
            pattern: endpoint
                .filter
                .pattern
                .as_ref()
                .and_then(|pattern| RawValue::from_string(pattern.source().to_owned()).ok()),
            created_at: endpoint.created_at.to_string(),
            updated_at: endpoint.updated_at.to_string(),
        }
    }
}

impl<'a> EndpointOut<'a> {
    fn of(breakers: EndpointBreakers, endpoint: &'a Endpoint) -> Self {
        Self {
            breaker: breakers.endpoint.into(),
            // Without a plugin there is nothing to be broken.
            plugin_breaker: endpoint.transformation.active().map(|_| breakers.plugin.into()),
            common: EndpointCommonOut::of(endpoint),
            id: endpoint.id.to_string(),
            metadata: endpoint.metadata.entries(),
        }
    }
}

impl From<EndpointCounts> for StatsOut {
    fn from(counts: EndpointCounts) -> Self {
        Self {
            canceled: 0,
            fail: counts.dead,
            pending: counts.pending,
            sending: counts.retrying,
            success: counts.delivered,
        }
    }
}

impl EndpointIn<'_> {
    /// All of an endpoint; what is not said of headers and transformation, and what has no field here (the policy), stays.
    fn parse(self) -> Result<EndpointInput, ApiError> {
        check_version(self.version)?;
        let rate = fields::either(("throttleRate", self.throttle_rate), ("rateLimit", self.rate_limit))?;
        let details = EndpointPatch {
            url: None,
            preset: self.preset.as_deref().map(fields::preset).transpose()?,
            description: Some(fields::text("description", self.description)?),
            uid: Some(self.uid.map(|uid| fields::name("uid", &uid)).transpose()?),
            rate: Some(rate.map(|rate| fields::per_second("throttleRate", rate)).transpose()?),
            disabled: Some(self.disabled),
            verification: patched(self.verification, |code| fields::handshake("verification", &code))?,
            event_types: Some(self.event_types.as_deref().map(event_types).transpose()?),
            channels: Some(self.channels.as_deref().map(channels).transpose()?),
            pattern: patched(self.pattern, fields::pattern)?,
            metadata: Some(fields::metadata(self.metadata)?),
            headers: self.headers.as_ref().map(|headers| headers::parse("headers", headers)).transpose()?,
            transformation: self
                .transformation
                .map(|used| used.parse().map_err(|error| error.within("transformation")))
                .transpose()?,
        };
        let scheme = details.preset.unwrap_or_default().policy().signature;
        let signing_key =
            self.secret.map(|secret| fields::signing_key("secret", &secret, &scheme)).transpose()?;
        Ok(EndpointInput { url: fields::url(&self.url)?, signing_key, details })
    }
}

impl PatchIn<'_> {
    fn parse(self) -> Result<EndpointPatch, ApiError> {
        check_version(self.version)?;
        let rate = fields::either(("throttleRate", self.throttle_rate), ("rateLimit", self.rate_limit))?;
        Ok(EndpointPatch {
            url: self.url.map(|url| fields::url(&url)).transpose()?,
            preset: self.preset.as_deref().map(fields::preset).transpose()?,
            description: self.description.map(|text| fields::text("description", text)).transpose()?,
            uid: patched(self.uid, |uid| fields::name("uid", &uid))?,
            rate: patched(rate, |rate| fields::per_second("throttleRate", rate))?,
            disabled: self.disabled,
            verification: patched(self.verification, |code| fields::handshake("verification", &code))?,
            event_types: patched(self.event_types, |names| event_types(&names))?,
            channels: patched(self.channels, |names| channels(&names))?,
            pattern: patched(self.pattern, fields::pattern)?,
            metadata: self.metadata.map(fields::metadata).transpose()?,
            headers: None,
            transformation: None,
        })
    }
}

pub(super) fn event_types(names: &[String]) -> Result<BTreeSet<Name>, ApiError> {
    fields::names("eventTypes", names, EVENT_TYPES_MAX)
}

pub(super) fn channels(names: &[String]) -> Result<BTreeSet<Name>, ApiError> {
    fields::names("channels", names, CHANNELS_MAX)
}

/// A deprecated field that older clients send: there is one version.
fn check_version(version: Option<u16>) -> Result<(), ApiError> {
    match version {
        None | Some(1) => Ok(()),
        Some(_) => Err(ApiError::field("version", "version_unknown", "there is version 1 only")),
    }
}

/// A rate as the Svix API shows it; one that is not of seconds is rounded up.
fn per_second(rate: Rate) -> u16 {
    rate.deliveries().div_ceil(rate.period_secs())
}

pub(crate) async fn list(
    State(context): State<Arc<Context>>,
    caller: Caller,
    Path(application): Path<String>,
    query: Query,
) -> Handled {
    let routes = caller.administered(&context, &application)?;
    let (cursor, order, limit) = (query.cursor()?, query.order(Order::Descending)?, query.limit()?);
    Ok(list::entries(
        &routes.endpoints,
        cursor,
        order,
        limit,
        |_| true,
        |endpoint| list::item(&EndpointOut::of(context.app.breakers_of(endpoint.id), endpoint)),
    ))
}

pub(crate) async fn create(
    State(context): State<Arc<Context>>,
    caller: Caller,
    Path(application): Path<String>,
    input: Input,
) -> Handled {
    let application = caller.administered(&context, &application)?.application.id;
    let new = input.json::<EndpointIn>()?.parse()?;
    detached(async move {
        ensure_plugin(&context, &new.details).await?;
        let created = context.edit_once(caller, &input, move |edit| {
            let endpoint = edit.create_endpoint(application, new).map_err(placed)?;
            Ok(Decided::json(StatusCode::CREATED, &EndpointOut::of(edit.breakers_of(endpoint.id), &endpoint)))
        });
        created.await.map_err(settings_placed)
    })
    .await
}

pub(crate) async fn get(
    State(context): State<Arc<Context>>,
    caller: Caller,
    Path((application, endpoint)): Path<(String, String)>,
) -> Handled {
    let (_, endpoint) = caller.endpoint(&context, &application, &endpoint)?;
    Ok(answer::json(StatusCode::OK, &EndpointOut::of(context.app.breakers_of(endpoint.id), &endpoint)))
}

/// Gives an endpoint new content, or creates it. The secret of one that is there is not changed here.
pub(crate) async fn replace(
    State(context): State<Arc<Context>>,
    caller: Caller,
    Path((application, endpoint)): Path<(String, String)>,
    input: Input,
) -> Handled {
    let application = caller.administered(&context, &application)?.application.id;
    let mut new = input.json::<EndpointIn>()?;
    let uid = fields::uid_put_to::<EndpointId>(&endpoint, new.uid.take())?;
    let mut new = new.parse()?;
    new.details.uid = Some(uid.clone());
    detached(async move {
        ensure_plugin(&context, &new.details).await?;
        let replaced = context.edit(move |edit| {
            // Looked up within the change, so that two at once make one.
            let routes = edit.table().applications.get(&application);
            match routes.and_then(|routes| routes.endpoint(&endpoint)).cloned() {
                Some(known) => {
                    check_secret_kept(&known, new.signing_key.as_ref())?;
                    let patch = EndpointPatch { url: Some(new.url), ..new.details };
                    let endpoint = edit.patch_endpoint(application, known.id, patch).map_err(placed)?;
                    Ok(Decided::json(
                        StatusCode::OK,
                        &EndpointOut::of(edit.breakers_of(endpoint.id), &endpoint),
                    ))
                }
                None => {
                    fields::check_made_at::<EndpointId>("endpoint", &endpoint, uid.as_ref())?;
                    let endpoint = edit.create_endpoint(application, new).map_err(placed)?;
                    Ok(Decided::json(
                        StatusCode::CREATED,
                        &EndpointOut::of(edit.breakers_of(endpoint.id), &endpoint),
                    ))
                }
            }
        });
        replaced.await.map_err(settings_placed)
    })
    .await
}

/// A `PUT` that is repeated says the secret again with which it made the endpoint.
fn check_secret_kept(endpoint: &Endpoint, given: Option<&SigningKey>) -> Result<(), ApiError> {
    let is_kept = given.is_none_or(|given| *given.to_text() == *endpoint.signing.current().to_text());
    if is_kept {
        return Ok(());
    }
    let detail = "an endpoint that is there keeps its secret; change it with POST .../secret/rotate";
    Err(ApiError::field("secret", "field_fixed", detail))
}

/// A plugin that comes with the router is there when an endpoint first names it.
async fn ensure_plugin(context: &Context, details: &EndpointPatch) -> Result<(), ApiError> {
    match details.transformation.as_ref().and_then(|used| used.binding.plugin.as_ref()) {
        Some(name) => ensure(context, name).await,
        None => Ok(()),
    }
}

pub(crate) async fn patch(
    State(context): State<Arc<Context>>,
    caller: Caller,
    Path((application, endpoint)): Path<(String, String)>,
    input: Input,
) -> Handled {
    let (routes, endpoint) = caller.endpoint(&context, &application, &endpoint)?;
    let (application, id) = (routes.application.id, endpoint.id);
    let patch = input.json::<PatchIn>()?.parse()?;
    context
        .edit(move |edit| {
            let endpoint = edit.patch_endpoint(application, id, patch).map_err(at_url)?;
            Ok(Decided::json(StatusCode::OK, &EndpointOut::of(edit.breakers_of(endpoint.id), &endpoint)))
        })
        .await
}

pub(crate) async fn delete(
    State(context): State<Arc<Context>>,
    caller: Caller,
    Path((application, endpoint)): Path<(String, String)>,
) -> Handled {
    let (routes, endpoint) = caller.endpoint(&context, &application, &endpoint)?;
    let (application, id) = (routes.application.id, endpoint.id);
    context
        .edit(move |edit| {
            edit.delete_endpoint(application, id)?;
            Ok(Decided::no_content())
        })
        .await
}

/// Lets an endpoint that failed, is gone or was turned off receive again.
pub(crate) async fn reactivate(
    State(context): State<Arc<Context>>,
    caller: Caller,
    Path((application, endpoint)): Path<(String, String)>,
    input: Input,
) -> Handled {
    let (routes, endpoint) = caller.endpoint(&context, &application, &endpoint)?;
    let (application, id) = (routes.application.id, endpoint.id);
    let Nothing {} = input.json_or_default()?;
    context
        .edit(move |edit| {
            let endpoint = edit.reactivate_endpoint(application, id)?;
            Ok(Decided::json(StatusCode::OK, &EndpointOut::of(edit.breakers_of(endpoint.id), &endpoint)))
        })
        .await
}

/// Counts deliveries; those of all time, or the attempts of a period.
pub(crate) async fn stats(
    State(context): State<Arc<Context>>,
    caller: Caller,
    Path((application, endpoint)): Path<(String, String)>,
    query: Query,
) -> Handled {
    let (routes, endpoint) = caller.endpoint(&context, &application, &endpoint)?;
    let filter = AttemptFilter {
        after: query.time("since")?,
        before: query.time("until")?,
        ..AttemptFilter::of(AttemptsOf::Endpoint(endpoint.id))
    };
    let stats = if filter.after.is_none() && filter.before.is_none() {
        StatsOut::from(context.app.endpoint_counts(routes.application.id, endpoint.id).await?)
    } else {
        stats_of_period(&context, routes.application.id, endpoint.id, &filter).await?
    };
    Ok(answer::json(StatusCode::OK, &stats))
}

async fn stats_of_period(
    context: &Context,
    application: ApplicationId,
    endpoint: EndpointId,
    filter: &AttemptFilter,
) -> Result<StatsOut, ApiError> {
    let counts = context.app.endpoint_counts(application, endpoint).await?;
    let mut stats = StatsOut { pending: counts.pending, ..StatsOut::default() };
    let mut from = PageFrom::Newest;
    loop {
        let request = PageRequest { from, limit: PAGE_ITEMS_MAX };
        let page = context.app.attempts(application, filter, request).await?;
        for record in &page.items {
            match record.result {
                AttemptResult::Delivered | AttemptResult::Dropped | AttemptResult::Split => {
                    stats.success += 1;
                }
                AttemptResult::Failed if record.next_due.is_some() => stats.sending += 1,
                AttemptResult::Failed => stats.fail += 1,
            }
        }
        match page.next {
            Some(last) if !page.done => from = PageFrom::OlderThan(last),
            Some(_) | None => return Ok(stats),
        }
        if stats.success + stats.sending + stats.fail >= COUNTED_MAX {
            let detail = format!("the period has more than {COUNTED_MAX} attempts; ask for a shorter one");
            return Err(ApiError::query("since", "period_too_long", detail));
        }
    }
}

/// Names the field that a refusal across things is about.
fn placed(error: AppError) -> ApiError {
    match transformation::field_of(error.code) {
        Some(field) => ApiError::field(field, error.code, error.message).within("transformation"),
        None => at_url(error),
    }
}

/// What the commit says of settings has no place yet.
fn settings_placed(error: ApiError) -> ApiError {
    match transformation::field_of(error.code) {
        Some(field) if error.is_unplaced() => {
            ApiError::field(field, error.code, error.detail).within("transformation")
        }
        Some(_) | None => error,
    }
}

/// What is refused of an endpoint across things is its address.
pub(super) fn at_url(error: AppError) -> ApiError {
    match error.code {
        "address_blocked" | "url_not_https" => ApiError::field("url", error.code, error.message),
        "uid_is_id" => ApiError::field("uid", error.code, error.message),
        _ => ApiError::from(error),
    }
}
