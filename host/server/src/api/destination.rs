//! Where messages stand at endpoints, and sending them again.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use bytes::Bytes;
use hookmill_app::administer::Begun;
use hookmill_app::history::Standing;
use hookmill_core::id::EndpointId;
use hookmill_core::task::{Period, TaskKind};
use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::attempt::Status;
use super::endpoint::EndpointCommonOut;
use super::message::{MessageOut, PayloadOut, event_query};
use super::task::TaskStartedOut;
use crate::answer;
use crate::auth::Caller;
use crate::context::{Context, Decided, detached, once, repeated};
use crate::error::{ApiError, Handled};
use crate::fields;
use crate::input::{Input, Nothing};
use crate::list;
use crate::query::{Order, Query};

/// The part of `EndpointMessageOut` and `MessageEndpointOut` that says where the message stands.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StandingOut {
    status: u8,
    status_text: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_attempt: Option<String>,
}

/// `EndpointMessageOut`.
#[derive(Serialize)]
struct EndpointMessageOut<'a> {
    #[serde(flatten)]
    message: MessageOut<'a>,
    #[serde(flatten)]
    standing: StandingOut,
}

/// `MessageEndpointOut`.
#[derive(Serialize)]
struct MessageEndpointOut {
    #[serde(flatten)]
    endpoint: EndpointCommonOut,
    id: String,
    #[serde(flatten)]
    standing: StandingOut,
}

/// `RecoverIn` and `ReplayIn`.
#[derive(Deserialize)]
struct RecoverIn {
    since: String,
    until: Option<String>,
}

impl StandingOut {
    fn of(standing: Standing) -> Self {
        let status = status(standing);
        let next_attempt = match standing {
            Standing::Pending { due } | Standing::Retrying { due } => Some(due.to_string()),
            Standing::Done | Standing::Failed => None,
        };
        Self { status: status.number(), status_text: status.text(), next_attempt }
    }
}

fn status(standing: Standing) -> Status {
    match standing {
        Standing::Done => Status::Success,
        Standing::Pending { .. } => Status::Pending,
        Standing::Retrying { .. } => Status::Sending,
        Standing::Failed => Status::Fail,
    }
}

/// Lists the messages that went to an endpoint.
pub(crate) async fn list_messages(
    State(context): State<Arc<Context>>,
    caller: Caller,
    Path((application, endpoint)): Path<(String, String)>,
    query: Query,
) -> Handled {
    let (routes, endpoint) = caller.endpoint(&context, &application, &endpoint)?;
    let with_content = query.flag("with_content", true)?;
    query.flag("expanded_statuses", false)?;
    let wanted = Status::wanted(&query)?;
    let events = event_query(&query, routes.application.id)?;
    let admits = move |standing| wanted.is_none_or(|wanted| wanted == status(standing));
    let memory = context.app.reading_memory(routes.application.id).await?;
    let page = context.app.events_at(endpoint.id, events, admits).await?;
    let answer = list::page(page.map_ref(|(event, standing)| EndpointMessageOut {
        message: MessageOut::of(event, PayloadOut::of(event, with_content)),
        standing: StandingOut::of(*standing),
    }));
    Ok(answer::in_memory(answer, memory))
}

/// Lists the endpoints that a message went to.
pub(crate) async fn list_endpoints(
    State(context): State<Arc<Context>>,
    caller: Caller,
    Path((application, message)): Path<(String, String)>,
    query: Query,
) -> Handled {
    let routes = caller.administered(&context, &application)?;
    let event = context.app.event(routes.application.id, &message).await?;
    let standings = context.app.destinations(&routes, &event).await?;
    let shown = standings.into_iter().filter_map(|(id, standing)| {
        let endpoint = EndpointCommonOut::of(routes.endpoints.get(&id)?);
        let standing = StandingOut::of(standing);
        Some((id, MessageEndpointOut { endpoint, id: id.to_string(), standing }))
    });
    let shown = shown.collect::<hookmill_core::persistent::Map<EndpointId, MessageEndpointOut>>();
    let (cursor, limit) = (query.cursor()?, query.limit()?);
    Ok(list::entries(
        &shown,
        cursor,
        Order::Ascending,
        limit,
        |_| true,
        |destination| serde_json::value::to_raw_value(destination).unwrap_or_default(),
    ))
}

/// Sends a message to an endpoint once more.
pub(crate) async fn resend(
    State(context): State<Arc<Context>>,
    caller: Caller,
    Path((application, message, endpoint)): Path<(String, String, String)>,
    input: Input,
) -> Handled {
    let (routes, endpoint) = caller.endpoint(&context, &application, &endpoint)?;
    let Nothing {} = input.json_or_default()?;
    let once = once(caller, &input)?;
    detached(async move {
        let event = context.app.event(routes.application.id, &message).await?;
        let accepted = Bytes::from_static(b"{}");
        if once.is_none() {
            context.app.resend(&routes, &event, endpoint.id).await?;
            return Ok(answer::bytes(StatusCode::ACCEPTED, accepted));
        }
        match context.app.edit_once(once).await? {
            Begun::Repeat(first) => repeated(first.status, first.body),
            Begun::Fresh(mut edit) => {
                // Not one transaction: a crash between the two sends once more at the caller's repeat, and that
                // is what at-least-once allows. The other way round would lose the delivery.
                context.app.resend(&routes, &event, endpoint.id).await?;
                edit.remember(StatusCode::ACCEPTED.as_u16(), accepted.clone());
                edit.commit().await?;
                Ok(answer::bytes(StatusCode::ACCEPTED, accepted))
            }
        }
    })
    .await
}

/// Sends again, in the background, what failed for good at an endpoint.
pub(crate) async fn recover(
    state: State<Arc<Context>>,
    caller: Caller,
    path: Path<(String, String)>,
    input: Input,
) -> Handled {
    start(state, caller, path, input, TaskKind::Recover).await
}

/// Sends, in the background, what passes an endpoint's filter and was never sent to it.
pub(crate) async fn replay_missing(
    state: State<Arc<Context>>,
    caller: Caller,
    path: Path<(String, String)>,
    input: Input,
) -> Handled {
    start(state, caller, path, input, TaskKind::ReplayMissing).await
}

async fn start(
    State(context): State<Arc<Context>>,
    caller: Caller,
    Path((application, endpoint)): Path<(String, String)>,
    input: Input,
    kind: TaskKind,
) -> Handled {
    let (routes, endpoint) = caller.endpoint(&context, &application, &endpoint)?;
    let asked = input.json::<RecoverIn>()?;
    let since = fields::time("since", &asked.since)?;
    // One moment on, so that what failed in this very millisecond is in the period.
    let until = asked.until.as_deref().map(|until| fields::time("until", until)).transpose()?;
    let until = until.unwrap_or_else(|| context.app.now().after(Duration::from_millis(1)));
    if until <= since {
        return Err(ApiError::field("until", "period_empty", "the period ends before it begins"));
    }
    let (application, endpoint) = (routes.application.id, endpoint.id);
    context
        .edit_once(caller, &input, move |edit| {
            let task = edit.start_task(application, endpoint, kind, Period { since, until })?;
            Ok(Decided::json(StatusCode::ACCEPTED, &TaskStartedOut::of(&task)))
        })
        .await
}
