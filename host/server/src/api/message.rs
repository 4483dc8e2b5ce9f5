//! `/app/{app}/msg`: what was accepted. Sending is in [`ingest`](crate::ingest).

use std::borrow::Cow;
use std::sync::Arc;

use axum::extract::{Path, State};
use hookmill_core::event::{Event, Name};
use hookmill_core::id::EventId;
use hookmill_core::port::store::EventQuery;
use http::StatusCode;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::answer;
use crate::auth::Caller;
use crate::context::Context;
use crate::error::{ApiError, Handled};
use crate::list;
use crate::query::Query;

/// `MessageOut`; `orderingKey` is ours.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MessageOut<'a> {
    event_id: Option<&'a str>,
    event_type: &'a str,
    payload: PayloadOut<'a>,
    #[serde(serialize_with = "channels")]
    channels: &'a [Name],
    #[serde(serialize_with = "display")]
    id: EventId,
    #[serde(serialize_with = "display")]
    timestamp: hookmill_core::time::UnixMillis,
    #[serde(skip_serializing_if = "Option::is_none")]
    ordering_key: Option<&'a str>,
}

/// The payload as an object, which is what clients of the Svix API read.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum PayloadOut<'a> {
    /// It is one.
    Object(&'a RawValue),
    /// It is something else that was sent as `rawPayload`.
    Raw {
        #[serde(rename = "rawPayload")]
        raw_payload: Cow<'a, str>,
    },
    /// The caller does not want it.
    Omitted {},
}

impl<'a> PayloadOut<'a> {
    /// The payload of a stored event.
    pub(crate) fn of(event: &'a Event, with_content: bool) -> Self {
        if !with_content {
            return Self::Omitted {};
        }
        match serde_json::from_slice::<&RawValue>(&event.body) {
            Ok(json) if json.get().starts_with('{') => Self::Object(json),
            Ok(_) | Err(_) => Self::Raw { raw_payload: String::from_utf8_lossy(&event.body) },
        }
    }
}

impl<'a> MessageOut<'a> {
    pub(crate) fn of(event: &'a Event, payload: PayloadOut<'a>) -> Self {
        Self {
            event_id: event.uid.as_ref().map(Name::as_str),
            event_type: event.event_type.as_str(),
            payload,
            channels: event.channels.as_slice(),
            id: event.id,
            timestamp: event.accepted_at(),
            ordering_key: event.ordering_key.as_ref().map(Name::as_str),
        }
    }
}

/// No channels are `null`, as in the Svix API.
fn channels<S: Serializer>(names: &[Name], serializer: S) -> Result<S::Ok, S::Error> {
    if names.is_empty() {
        serializer.serialize_none()
    } else {
        serializer.collect_seq(names.iter().map(Name::as_str))
    }
}

fn display<T: std::fmt::Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// What a query asks of events.
pub(crate) fn event_query(
    query: &Query,
    application: hookmill_core::id::ApplicationId,
) -> Result<EventQuery, ApiError> {
    let page = query.page(|moment| EventId::new(moment, 0))?;
    Ok(EventQuery {
        application,
        from: page.from,
        limit: page.limit,
        event_types: query.event_types()?,
        channel: query.name("channel")?,
        before: query.time("before")?,
        after: query.time("after")?,
    })
}

pub(crate) async fn list(
    State(context): State<Arc<Context>>,
    caller: Caller,
    Path(application): Path<String>,
    query: Query,
) -> Handled {
    let routes = caller.administered(&context, &application)?;
    let with_content = query.flag("with_content", true)?;
    let wanted = event_query(&query, routes.application.id)?;
    let memory = context.app.reading_memory(routes.application.id).await?;
    let page = context.app.events(wanted).await?;
    let answer = list::page(page.map_ref(|event| MessageOut::of(event, PayloadOut::of(event, with_content))));
    Ok(answer::in_memory(answer, memory))
}

pub(crate) async fn get(
    State(context): State<Arc<Context>>,
    caller: Caller,
    Path((application, message)): Path<(String, String)>,
    query: Query,
) -> Handled {
    let routes = caller.administered(&context, &application)?;
    let with_content = query.flag("with_content", true)?;
    let event = context.app.event(routes.application.id, &message).await?;
    let payload = PayloadOut::of(&event, with_content);
    Ok(answer::json(StatusCode::OK, &MessageOut::of(&event, payload)))
}
