//! Which parameters the query of each operation has. All others are refused by name, here, before a handler is asked: an
//! operation that is not in the table has none.

use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::Method;

use crate::auth::Caller;
use crate::context::Context;
use crate::error::ApiError;
use crate::query::Query;
use crate::suggestion;
use crate::unsupported_member::{self, Unsupported};

/// What the paths of operations begin with whose parameters are looked at. Providers and scrapers append what they like.
const API: &str = "/api/v1";
const HEALTH: &str = "/api/v1/health";
/// The one parameter that may stand more than once: its values add up.
pub(crate) const EVENT_TYPES: &str = "event_types";

const LIST: &[&str] = &["limit", "iterator", "order"];
const EVENTS: &[&str] = &["limit", "iterator", "channel", "before", "after", "with_content", EVENT_TYPES];
const EVENTS_AT_ENDPOINT: &[&str] = &[
    "limit",
    "iterator",
    "channel",
    "status",
    "before",
    "after",
    "with_content",
    "expanded_statuses",
    EVENT_TYPES,
];
const ATTEMPTS: &[&str] = &[
    "limit",
    "iterator",
    "status",
    "status_code_class",
    "channel",
    "before",
    "after",
    "with_content",
    "expanded_statuses",
    EVENT_TYPES,
];
const ATTEMPTS_OF_EVENT: &[&str] = &[
    "limit",
    "iterator",
    "status",
    "status_code_class",
    "channel",
    "endpoint_id",
    "before",
    "after",
    "with_content",
    "expanded_statuses",
    EVENT_TYPES,
];
/// Of sending, which has a way of its own.
pub(crate) const SENDING: &[&str] = &["with_content", "validate"];

/// The parameters of an operation.
fn known(method: &Method, path: &str) -> &'static [&'static str] {
    match (method.as_str(), path) {
        ("GET", "/app" | "/app/{app}/endpoint" | "/key" | "/source" | "/plugin") => LIST,
        ("GET", "/background-task") => &["limit", "iterator", "status", "task"],
        ("POST", "/app") => &["get_if_exists"],
        ("GET", "/app/{app}/endpoint/{endpoint}/stats") => &["since", "until"],
        ("GET", "/app/{app}/endpoint/{endpoint}/msg") => EVENTS_AT_ENDPOINT,
        ("GET", "/app/{app}/attempt/endpoint/{endpoint}") => ATTEMPTS,
        ("GET", "/app/{app}/attempt/msg/{message}" | "/app/{app}/msg/{message}/attempt") => ATTEMPTS_OF_EVENT,
        ("GET", "/app/{app}/msg") => EVENTS,
        ("POST", "/app/{app}/msg") => SENDING,
        ("GET", "/app/{app}/msg/{message}") => &["with_content"],
        ("GET", "/app/{app}/msg/{message}/attempt/{attempt}") => &["expanded_statuses"],
        ("GET", "/app/{app}/msg/{message}/endpoint") => &["limit", "iterator"],
        ("GET", "/event-type") => &["limit", "iterator", "order", "include_archived", "with_content"],
        ("DELETE", "/event-type/{name}") => &["expunge"],
        ("PUT", "/plugin/{name}") => &["promote"],
        _ => &[],
    }
}

/// Refuses a request whose query says more than its operation reads. Who has no key is told that first.
pub(crate) async fn check(State(context): State<Arc<Context>>, request: Request, next: Next) -> Response {
    let query = request.uri().query().filter(|query| !query.is_empty());
    let path = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str).unwrap_or_default();
    if let Some(query) = query
        && path.starts_with(API)
        && !path.starts_with(HEALTH)
        && let Err(error) = check_known(&Query::parse(query), known(request.method(), &path[API.len()..]))
    {
        return match Caller::from_headers(&context, request.headers(), request.extensions()) {
            Ok(_) => error.into_response(),
            Err(unauthenticated) => unauthenticated.into_response(),
        };
    }
    next.run(request).await
}

/// Refuses what is unknown and what stands twice.
pub(crate) fn check_known(query: &Query, known: &[&'static str]) -> Result<(), ApiError> {
    let mut seen: Vec<&str> = Vec::new();
    for given in query.names() {
        let name = if is_event_types(given) { EVENT_TYPES } else { given };
        if !known.contains(&name) {
            return Err(refused(name, known));
        }
        if name != EVENT_TYPES && seen.contains(&name) {
            return Err(ApiError::query(name, "parameter_repeated", "this stands twice; give it once"));
        }
        seen.push(name);
    }
    Ok(())
}

/// `event_types`, `event_types[]` and `event_types[0]`.
pub(crate) fn is_event_types(name: &str) -> bool {
    name == EVENT_TYPES
        || name.strip_prefix(EVENT_TYPES).is_some_and(|rest| rest.starts_with('[') && rest.ends_with(']'))
}

fn refused(name: &str, known: &[&str]) -> ApiError {
    let shown = suggestion::shown(name);
    if let Some(unsupported) = unsupported_member::find_parameter(name) {
        return ApiError::query(&shown, Unsupported::CODE, unsupported.detail());
    }
    let hint = suggestion::hint(name, known);
    ApiError::query(&shown, "parameter_unknown", format!("there is no parameter `{shown}` here: {hint}"))
}
