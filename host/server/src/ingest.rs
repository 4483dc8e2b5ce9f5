//! `POST /app/{app}/msg`: accepting an event. The way that every event takes, so it is short.
//!
//! The payload stays the bytes that came: JSON is read once, lazily, and the event's body is a slice of the
//! request's. What is delivered is therefore the sender's own text, whitespace included.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, ready};

use axum::BoxError;
use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use hookmill_app::App;
use hookmill_app::AppError;
use hookmill_app::ingest::{Accepted, AcceptingMemory, Incoming};
use hookmill_app::payload_check::PayloadRefused;
use hookmill_core::event::{Channels, ContentType, Name};
use hookmill_core::id::{ApplicationId, EndpointId, EventId};
use hookmill_core::limits::{ACCEPTING_NEWCOMER_BYTES, EVENT_BODY_BYTES_MAX, EVENT_OVERHEAD_BYTES};
use hookmill_core::route::Routes;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http_body::Body;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::runtime::Handle;

use crate::answer;
use crate::api::application::ApplicationIn;
use crate::api::message::{MessageOut, PayloadOut};
use crate::auth::Caller;
use crate::body_budget::{ANSWER_SMALL_BYTES, Held};
use crate::context::Context;
use crate::error::{ApiError, Handled};
use crate::fields;
use crate::input;
use crate::parameters;
use crate::query::Query;
use crate::rate_limit::{Quota, with_policy};

/// Bytes of all that surrounds the payload in the body of one request.
const ENVELOPE_BYTES_MAX: usize = 64 << 10;
/// Bytes of the body of one request.
pub(crate) const MESSAGE_BODY_BYTES_MAX: usize = EVENT_BODY_BYTES_MAX + ENVELOPE_BYTES_MAX;
const _: () = assert!(MESSAGE_BODY_BYTES_MAX + EVENT_OVERHEAD_BYTES <= ACCEPTING_NEWCOMER_BYTES);

/// `MessageIn`; `orderingKey` and `endpoint` are ours.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MessageIn<'a> {
    #[serde(borrow)]
    event_type: Cow<'a, str>,
    #[serde(borrow, alias = "data")]
    payload: &'a RawValue,
    event_id: Option<String>,
    channels: Option<Vec<String>>,
    ordering_key: Option<String>,
    /// The one endpoint, by id or uid, that the event is for.
    #[serde(alias = "endpointId", alias = "webhook_id")]
    endpoint: Option<String>,
    application: Option<ApplicationIn>,
    transformations_params: Option<RawIn>,
}

/// How clients of the Svix API send what is not a JSON object.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawIn {
    raw_payload: Option<String>,
    headers: Option<BTreeMap<String, String>>,
}

/// Accepts one event. Answers after it is durable with all of its deliveries.
pub(crate) async fn accept<B>(context: &Arc<Context>, application: &str, parts: &Parts, body: B) -> Handled
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin + Send + 'static,
{
    take(context, application, parts, body)
        .await
        .inspect_err(|error| context.app.metrics().event_refused(error.code))
}

async fn take<B>(context: &Arc<Context>, application: &str, parts: &Parts, body: B) -> Handled
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin + Send + 'static,
{
    let headers = &parts.headers;
    let caller = Caller::from_headers(context, headers, &parts.extensions)?;
    input::check_json(headers)?;
    let idempotency_key = input::idempotency_key(headers)?;
    let query = Query::parse(parts.uri.query().unwrap_or_default());
    parameters::check_known(&query, parameters::SENDING)?;
    let (with_content, validates) = (query.flag("with_content", true)?, query.flag("validate", false)?);
    // Known applications are refused to strangers before the body is read.
    let found = caller.sending(&context.app, application);
    if let Err(error) = &found
        && error.status != StatusCode::NOT_FOUND
    {
        return Err(error.clone());
    }
    let declared = body.size_hint().upper();
    let mut memory = match &found {
        Ok(routes) => Some(memory_for(context, routes.application.id, declared).await?),
        // An application that is yet to be made has none; the caller's key opens all.
        Err(_) => None,
    };
    let bytes = input::read(body, MESSAGE_BODY_BYTES_MAX, &context.config).await?;
    if let Some(memory) = &mut memory {
        memory.shrink_to(bytes.len() + EVENT_OVERHEAD_BYTES);
    }
    let mut message: MessageIn = input::json(&bytes)?;
    let routes = match (found, message.application.take()) {
        (Ok(routes), _) => routes,
        (Err(_), Some(new)) => create_application(context, application, new).await?,
        (Err(error), None) => return Err(error),
    };
    let raw = message.transformations_params.take();
    check_raw(raw.as_ref(), message.payload)?;
    let raw = raw.filter(|params| params.raw_payload.is_some());
    let payload = raw.is_none().then_some(message.payload);
    let incoming = parse(&routes, &bytes, message, raw, idempotency_key)?;
    if validates {
        check_payload(&context.app, routes.application.id, &incoming).await?;
    }

    let application_rate = routes.application.rate();
    let accepted = detached_accept(&context.app, routes, incoming, memory).await?;
    let event = &accepted.event;
    // What is answered is held until it is read. Where too much is, the sender gets back all but what it sent itself.
    let unread = parts.extensions.get::<Arc<Held>>();
    let has_room =
        |bytes| bytes <= ANSWER_SMALL_BYTES || unread.is_none_or(|unread| unread.grow(bytes).is_ok());
    let shown = match payload.filter(|_| !accepted.repeated) {
        Some(payload) if with_content && has_room(payload.get().len()) => PayloadOut::Object(payload),
        Some(_) => PayloadOut::of(event, false),
        None => PayloadOut::of(event, with_content && has_room(event.shown_bytes_max())),
    };
    let answer = answer::json(StatusCode::ACCEPTED, &MessageOut::of(event, shown));
    let application = application_rate.map(Quota::Application);
    Ok(with_policy(answer, application.into_iter().chain(accepted.slowest.map(Quota::Endpoint))))
}

/// Leases memory before a body is read: where a caller has what there is for it, it waits with its bytes unread.
async fn memory_for(
    context: &Context,
    application: ApplicationId,
    declared: Option<u64>,
) -> Result<AcceptingMemory, ApiError> {
    let most = MESSAGE_BODY_BYTES_MAX;
    let bytes = declared.and_then(|bytes| usize::try_from(bytes).ok()).map_or(most, |bytes| bytes.min(most));
    let bytes = bytes + EVENT_OVERHEAD_BYTES;
    Ok(context.app.accepting_memory(application, bytes, context.config.body_timeout).await?)
}

async fn check_payload(
    app: &Arc<App>,
    application: ApplicationId,
    incoming: &Incoming,
) -> Result<(), ApiError> {
    let checked = app.check_payload(application, &incoming.event_type, &incoming.body).await;
    checked.map_err(|refused| match refused {
        PayloadRefused::NoSchema { .. } => {
            ApiError::field("eventType", "schema_missing", refused.to_string())
        }
        PayloadRefused::Schema { .. } => ApiError::field("eventType", "schema_unusable", refused.to_string()),
        PayloadRefused::TooDeep => ApiError::field("payload", "payload_too_deep", refused.to_string()),
        PayloadRefused::Payload { failures, .. } => ApiError::payload(failures),
    })
}

/// Goes on where its caller hangs up, who must not keep a stored event from the dispatcher.
async fn detached_accept(
    app: &Arc<App>,
    routes: Arc<Routes>,
    incoming: Incoming,
    memory: Option<AcceptingMemory>,
) -> Result<Accepted, ApiError> {
    let app = Arc::clone(app);
    let accepting = async move { app.accept(&routes, incoming, memory).await };
    // What goes wrong with one event ends no other request of its connection.
    let accepted = Detached::new(AssertUnwindSafe(accepting).catch_unwind()).await;
    Ok(accepted.unwrap_or_else(|_| {
        tracing::error!("accepting an event failed");
        let message = "the router failed to accept this event; see its log";
        Err(AppError::new(hookmill_app::ErrorKind::Failed, "server_error", message))
    })?)
}

/// A future that goes on in a task of its own where whoever waits for it is dropped. Most are waited for, and are spared the
/// task.
struct Detached<T: Send + 'static>(Option<BoxFuture<'static, T>>);

impl<T: Send> Detached<T> {
    fn new(future: impl Future<Output = T> + Send + 'static) -> Self {
        Self(Some(future.boxed()))
    }
}

impl<T: Send> Future for Detached<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<T> {
        let Some(future) = &mut self.0 else { return Poll::Pending };
        let output = ready!(future.as_mut().poll(cx));
        self.0 = None;
        Poll::Ready(output)
    }
}

impl<T: Send> Drop for Detached<T> {
    fn drop(&mut self) {
        if let (Some(future), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            runtime.spawn(future);
        }
    }
}

fn parse(
    routes: &Routes,
    bytes: &Bytes,
    message: MessageIn<'_>,
    raw: Option<RawIn>,
    idempotency_key: Option<String>,
) -> Result<Incoming, ApiError> {
    let (content_type, body) = match raw {
        Some(raw) => raw_body(raw)?,
        None if message.payload.get().starts_with('{') => {
            (ContentType::json(), bytes.slice_ref(message.payload.get().as_bytes()))
        }
        None => {
            let detail =
                "the payload is a JSON object; send anything else as transformationsParams.rawPayload";
            return Err(ApiError::field("payload", "payload_not_object", detail));
        }
    };
    let channels = message.channels.unwrap_or_default();
    let channels =
        channels.iter().map(|channel| fields::name("channels", channel)).collect::<Result<_, _>>()?;
    let channels = Channels::new(channels)
        .map_err(|error| ApiError::field("channels", "channels_invalid", error.to_string()))?;
    let endpoint = message.endpoint.as_deref().map(|named| one_endpoint(routes, named)).transpose()?;
    Ok(Incoming {
        event_type: fields::name("eventType", &message.event_type)?,
        uid: message.event_id.as_deref().map(event_uid).transpose()?,
        channels,
        endpoint,
        ordering_key: message.ordering_key.map(|key| fields::name("orderingKey", &key)).transpose()?,
        content_type,
        body,
        idempotency_key,
    })
}

/// The sender's own id. One in the form of the router's would shadow a message, or be shadowed by it.
fn event_uid(text: &str) -> Result<Name, ApiError> {
    let uid = fields::name("eventId", text)?;
    if text.parse::<EventId>().is_ok() {
        let detail = "this has the form of an id that the router makes; choose another";
        return Err(ApiError::field("eventId", "uid_is_id", detail));
    }
    Ok(uid)
}

fn one_endpoint(routes: &Routes, id_or_uid: &str) -> Result<EndpointId, ApiError> {
    let endpoint = routes.endpoint(id_or_uid).map(|endpoint| endpoint.id);
    endpoint.ok_or_else(|| {
        ApiError::field("endpoint", "endpoint_unknown", "the application has no endpoint with this id or uid")
    })
}

/// Refuses what would be left out: headers that no delivery gets, and a payload beside another.
fn check_raw(raw: Option<&RawIn>, payload: &RawValue) -> Result<(), ApiError> {
    let Some(raw) = raw else { return Ok(()) };
    let headers = raw.headers.iter().flat_map(BTreeMap::keys);
    let mut further = headers.filter(|name| !name.eq_ignore_ascii_case(CONTENT_TYPE.as_str()));
    if let Some(name) = further.next() {
        let place = ["transformationsParams", "headers", name].map(str::to_owned);
        let detail =
            "only the content type of a raw payload is taken; headers of deliveries are the endpoint's";
        return Err(ApiError::place(place, None, "not_supported", detail));
    }
    let is_empty = || payload.get().bytes().filter(|byte| !byte.is_ascii_whitespace()).eq(*b"{}");
    match (&raw.raw_payload, &raw.headers) {
        (Some(_), _) if !is_empty() => {
            let detail =
                "`transformationsParams.rawPayload` is sent in its place; leave this an empty object";
            Err(ApiError::field("payload", "payload_ambiguous", detail))
        }
        (None, Some(headers)) if !headers.is_empty() => {
            let detail = "a content type goes with `rawPayload`; a JSON payload has its own";
            Err(ApiError::field("transformationsParams.headers", "raw_payload_missing", detail))
        }
        (Some(_), _) | (None, _) => Ok(()),
    }
}

fn raw_body(raw: RawIn) -> Result<(ContentType, Bytes), ApiError> {
    let headers = raw.headers.unwrap_or_default();
    let content_type = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(CONTENT_TYPE.as_str()));
    let content_type = content_type.map(|(_, value)| {
        value.parse::<ContentType>().map_err(|error| {
            ApiError::field("transformationsParams.headers", "content_type_invalid", error.to_string())
        })
    });
    let content_type = content_type.transpose()?.unwrap_or_else(ContentType::json);
    Ok((content_type, Bytes::from(raw.raw_payload.unwrap_or_default())))
}

/// Creates the application that a message brings along. Its uid must be the one in the path.
async fn create_application(
    context: &Arc<Context>,
    path: &str,
    new: ApplicationIn,
) -> Result<Arc<Routes>, ApiError> {
    match new.uid() {
        Some(uid) if uid == path => {}
        Some(_) => {
            let detail = "the application's uid in the path and in the body must be the same";
            return Err(ApiError::field("application.uid", "application_uid_mismatch", detail));
        }
        None => {
            let detail = "an application that is created with a message needs a uid";
            return Err(ApiError::field("application.uid", "application_uid_missing", detail));
        }
    }
    let input = new.parse()?;
    let app = Arc::clone(&context.app);
    let created = tokio::spawn(async move {
        let mut edit = app.edit().await;
        let id = edit.create_application(input, true)?.get().id;
        edit.commit().await?;
        Ok::<_, AppError>(app.table().applications.get(&id).cloned())
    });
    let created = created.await.map_err(|_| AppError::not_found("application"))?;
    created?.ok_or_else(|| ApiError::not_found("application"))
}
