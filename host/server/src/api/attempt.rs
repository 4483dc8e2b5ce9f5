//! `/app/{app}/attempt` and `/app/{app}/msg/{msg}/attempt`: what was sent, and what came back.

use std::sync::Arc;

use axum::extract::{Path, State};
use hookmill_app::history::AttemptFilter;
use hookmill_core::diagnosis;
use hookmill_core::id::AttemptId;
use hookmill_core::port::store::{AttemptRecord, AttemptResult, AttemptTrigger, AttemptsOf};
use hookmill_core::route::Routes;
use http::StatusCode;
use serde::Serialize;

use super::diagnosis::DiagnosisOut;
use super::trace::TraceOut;
use crate::answer;
use crate::auth::Caller;
use crate::context::Context;
use crate::error::{ApiError, Handled};
use crate::list::{self, ListOut};
use crate::query::Query;

/// `MessageStatus` and `MessageStatusText`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Success,
    Pending,
    Fail,
    Sending,
}

/// `MessageAttemptOut`; what follows `timestamp` is ours.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AttemptOut {
    url: String,
    response: String,
    response_status_code: u16,
    response_duration_ms: u64,
    status: u8,
    status_text: &'static str,
    trigger_type: u8,
    msg_id: String,
    endpoint_id: String,
    id: String,
    timestamp: String,
    attempt_number: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure_code: Option<Box<str>>,
    #[serde(skip_serializing_if = "str::is_empty")]
    detail: Box<str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    diagnosis: Option<DiagnosisOut>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_attempt: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plugin_version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plugin_fuel: Option<u64>,
    #[serde(flatten)]
    trace: Option<TraceOut>,
}

impl Status {
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Pending => 1,
            Self::Fail => 2,
            Self::Sending => 3,
        }
    }

    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Pending => "pending",
            Self::Fail => "fail",
            Self::Sending => "sending",
        }
    }

    /// The status that a query asks for.
    pub(crate) fn wanted(query: &Query) -> Result<Option<Self>, ApiError> {
        match query.number("status")? {
            None => Ok(None),
            Some(0) => Ok(Some(Self::Success)),
            Some(1) => Ok(Some(Self::Pending)),
            Some(2) => Ok(Some(Self::Fail)),
            Some(3) => Ok(Some(Self::Sending)),
            Some(_) => Err(ApiError::query("status", "status_unknown", "a status is 0 to 3")),
        }
    }

    /// A drop or a split was asked for by the plugin, so it is a success.
    fn of(result: AttemptResult) -> Self {
        match result {
            AttemptResult::Delivered | AttemptResult::Dropped | AttemptResult::Split => Self::Success,
            AttemptResult::Failed => Self::Fail,
        }
    }
}

impl AttemptOut {
    fn of(record: AttemptRecord, routes: &Routes, with_content: bool) -> Self {
        // Where nothing was sent, the endpoint is named that it was for; one that was deleted takes its URL with it.
        let present = || routes.endpoints.get(&record.endpoint).map(|endpoint| endpoint.url.to_string());
        let url = record.sent_to.url().map(str::to_owned).or_else(present);
        let url = url.unwrap_or_else(|| "about:blank".to_owned());
        let status = Status::of(record.result);
        let response = match (with_content, record.response.is_empty()) {
            (false, _) => "{}".to_owned(),
            (true, false) => String::from_utf8_lossy(&record.response).into_owned(),
            (true, true) => record.detail.to_string(),
        };
        let diagnosis = diagnosis::of_attempt(&record).map(DiagnosisOut::of);
        Self {
            url,
            response,
            response_status_code: record.status.unwrap_or_default(),
            response_duration_ms: u64::try_from(record.duration.as_millis()).unwrap_or(u64::MAX),
            status: status.number(),
            status_text: status.text(),
            trigger_type: match record.trigger {
                AttemptTrigger::Scheduled => 0,
                AttemptTrigger::Manual => 1,
            },
            msg_id: record.event.to_string(),
            endpoint_id: record.endpoint.to_string(),
            id: record.id.to_string(),
            timestamp: record.id.created_at().to_string(),
            attempt_number: record.number,
            failure_code: record.failure_code,
            detail: record.detail,
            diagnosis,
            next_attempt: record.next_due.map(|due| due.to_string()),
            plugin_version: record.plugin.map(|(version, _)| version.to_string()),
            plugin_fuel: record.plugin.map(|(_, fuel)| fuel),
            trace: record.trace.filter(|_| with_content).map(|trace| TraceOut::of(*trace, &record.sent_to)),
        }
    }
}

/// Lists attempts to one endpoint.
pub(crate) async fn list_by_endpoint(
    State(context): State<Arc<Context>>,
    caller: Caller,
    Path((application, endpoint)): Path<(String, String)>,
    query: Query,
) -> Handled {
    let (routes, endpoint) = caller.endpoint(&context, &application, &endpoint)?;
    let filter = AttemptFilter::of(AttemptsOf::Endpoint(endpoint.id));
    list(&context, &routes, filter, &query).await
}

/// Lists attempts of one message.
pub(crate) async fn list_by_message(
    State(context): State<Arc<Context>>,
    caller: Caller,
    Path((application, message)): Path<(String, String)>,
    query: Query,
) -> Handled {
    let routes = caller.administered(&context, &application)?;
    let event = context.app.event(routes.application.id, &message).await?;
    let endpoint = match query.get("endpoint_id") {
        None => None,
        Some(id) => Some(routes.endpoint(id).ok_or_else(|| ApiError::not_found("endpoint"))?.id),
    };
    let filter = AttemptFilter::of(AttemptsOf::Event(event.id, endpoint));
    list(&context, &routes, filter, &query).await
}

pub(crate) async fn get(
    State(context): State<Arc<Context>>,
    caller: Caller,
    Path((application, message, attempt)): Path<(String, String, String)>,
    query: Query,
) -> Handled {
    query.flag("expanded_statuses", false)?;
    let routes = caller.administered(&context, &application)?;
    let event = context.app.event(routes.application.id, &message).await?;
    let record = context.app.attempt(routes.application.id, event.id, &attempt).await?;
    Ok(answer::json(StatusCode::OK, &AttemptOut::of(record, &routes, true)))
}

async fn list(context: &Context, routes: &Routes, filter: AttemptFilter, query: &Query) -> Handled {
    let with_content = query.flag("with_content", true)?;
    // No status here is one that the Svix API shows to those only who ask for more of them.
    query.flag("expanded_statuses", false)?;
    let status_class = status_class(query)?;
    let request = query.page(|moment| AttemptId::new(moment, 0))?;
    let filter = AttemptFilter {
        status_class,
        event_types: query.event_types()?,
        channel: query.name("channel")?,
        before: query.time("before")?,
        after: query.time("after")?,
        ..filter
    };
    let results = match Status::wanted(query)? {
        None => Vec::new(),
        Some(Status::Success) => vec![AttemptResult::Delivered, AttemptResult::Dropped, AttemptResult::Split],
        Some(Status::Fail) => vec![AttemptResult::Failed],
        // An attempt is recorded once it is over.
        Some(Status::Pending | Status::Sending) => return Ok(empty()),
    };
    let filter = AttemptFilter { results, ..filter };
    let page = context.app.attempts(routes.application.id, &filter, request).await?;
    Ok(list::page(page.map(|record| AttemptOut::of(record, routes, with_content))))
}

/// `StatusCodeClass`.
fn status_class(query: &Query) -> Result<Option<u16>, ApiError> {
    match query.number("status_code_class")? {
        class @ (None | Some(0 | 100 | 200 | 300 | 400 | 500)) => Ok(class),
        Some(_) => {
            let detail = "a class is 0 (no answer), 100, 200, 300, 400 or 500";
            Err(ApiError::query("status_code_class", "status_class_unknown", detail))
        }
    }
}

fn empty() -> axum::response::Response {
    let list = ListOut::<AttemptOut> { data: Vec::new(), iterator: None, prev_iterator: None, done: true };
    answer::json(StatusCode::OK, &list)
}
