//! `POST /graphql`: the calls of OsmoX, whose clients register webhooks in GraphQL.
//!
//! # Who is who
//! - this file takes the request: who calls, what kind of body, one query or none, and answers.
//! - `bounds` refuses documents that nest or multiply too much, before anything recurses over them.
//! - `schema` has the queries and mutations; `webhook` says what a webhook is here: an endpoint.
//!
//! # Answers
//! What can't be read as a GraphQL request has a status of its own. Whatever can is answered with 200, and every error
//! has the stable `extensions.code` of the rest of the API. A key in a header and a media type that no form can send
//! keep other origins' pages out; there is no batching, no playground and no subscription.

use std::sync::Arc;

use async_graphql::{EmptySubscription, Request, Response, Schema, ServerError, Value, Variables};
use axum::extract::{Request as HttpRequest, State};
use axum::response::Response as HttpResponse;
use axum::routing::{MethodRouter, post};
use hookmill_core::limits::API_BODY_BYTES_MAX;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Deserialize;

use self::schema::{Mutation, Query, Session};
use crate::answer;
use crate::auth::Caller;
use crate::context::Context;
use crate::error::{ApiError, Handled};
use crate::input;

mod bounds;
mod schema;
mod webhook;

/// Errors of one answer: a query may be wrong in each of its words.
const ERRORS_MAX: usize = 20;

/// Bounds on requests in GraphQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GraphqlConfig {
    /// Whether `__schema` and `__type` are answered.
    pub introspection: bool,
    /// Fields within fields, at most [`DEPTH_MAX`](Self::DEPTH_MAX).
    pub depth_max: usize,
    /// Fields of one operation; those of a fragment count wherever it is spread.
    pub fields_max: usize,
    /// Queries or mutations of one operation, which aliases multiply.
    pub calls_max: usize,
    /// Bytes of a request's body, at most [`BODY_BYTES_MAX`](Self::BODY_BYTES_MAX).
    pub body_bytes_max: usize,
}

impl GraphqlConfig {
    /// What [`depth_max`](Self::depth_max) may be set to: the executor recurses that deep.
    pub const DEPTH_MAX: usize = 32;
    /// What [`body_bytes_max`](Self::body_bytes_max) may be set to.
    pub const BODY_BYTES_MAX: usize = API_BODY_BYTES_MAX;
}

impl Default for GraphqlConfig {
    /// Without introspection, as is usual where strangers may ask; with room for the usual introspection query, should it
    /// be allowed.
    fn default() -> Self {
        Self { introspection: false, depth_max: 16, fields_max: 400, calls_max: 16, body_bytes_max: 16 << 10 }
    }
}

type OsmoxSchema = Schema<Query, Mutation, EmptySubscription>;

/// A request of GraphQL over HTTP; `extensions` are ignored, since there are none.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RequestIn {
    query: String,
    operation_name: Option<String>,
    #[serde(default)]
    variables: Variables,
    /// Reserved for what clients and servers agree on beside the query ("GraphQL over HTTP", section 5.1): nothing here.
    #[serde(rename = "extensions")]
    _extensions: Option<serde::de::IgnoredAny>,
}

pub(crate) fn route(config: &GraphqlConfig) -> MethodRouter<Arc<Context>> {
    // Fragments are levels to the executor, but none of the fields that `bounds` counts.
    let levels_max = 2 * GraphqlConfig::DEPTH_MAX;
    let builder = Schema::build(Query, Mutation, EmptySubscription).limit_recursive_depth(levels_max);
    let builder = if config.introspection { builder } else { builder.disable_introspection() };
    let schema = builder.finish();
    let handle = async move |State(context): State<Arc<Context>>, request: HttpRequest| {
        answer(&schema, &context, request).await.unwrap_or_else(ApiError::into_graphql)
    };
    post(handle).fallback(other_method)
}

async fn other_method() -> HttpResponse {
    let detail = "GraphQL is sent as `POST /graphql` with a body of JSON; there is no playground";
    let error = ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail);
    let mut response = error.into_graphql();
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
    response
}

async fn answer(schema: &OsmoxSchema, context: &Arc<Context>, request: HttpRequest) -> Handled {
    let (parts, body) = request.into_parts();
    let caller = Caller::from_headers(context, &parts.headers, &parts.extensions)?;
    check_media_type(&parts.headers)?;
    let config = &context.config.graphql;
    let bytes = input::read(body, config.body_bytes_max, &context.config).await?;
    if bytes.trim_ascii_start().starts_with(b"[") {
        let detail = "one query a request; a list of them is not taken";
        return Err(ApiError::new(StatusCode::BAD_REQUEST, "graphql_batch", detail));
    }
    let request: RequestIn = input::json(&bytes)?;
    let session = Session::new(Arc::clone(context), caller)?;
    let answered = match prepare(request, config) {
        Ok(request) => schema.execute(request.data(session)).await,
        Err(refused) => Response::from_errors(vec![refused]),
    };
    Ok(answer::json(StatusCode::OK, &with_codes(answered)))
}

/// JSON only, and said so: what a page of another origin can send without being asked is text or a form.
fn check_media_type(headers: &HeaderMap) -> Result<(), ApiError> {
    let media_type =
        headers.get(CONTENT_TYPE).and_then(|value| value.as_bytes().split(|byte| *byte == b';').next());
    if media_type.is_some_and(|media_type| media_type.trim_ascii().eq_ignore_ascii_case(b"application/json"))
    {
        return Ok(());
    }
    let detail = "GraphQL is sent with `Content-Type: application/json`";
    Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail))
}

/// The request with its document, if that is within the bounds.
fn prepare(request: RequestIn, config: &GraphqlConfig) -> Result<Request, ServerError> {
    let refused =
        |refused: bounds::Refused| coded(ServerError::new(refused.to_string(), None), refused.code());
    bounds::check_text(&request.query).map_err(refused)?;
    let mut prepared = Request::new(request.query).variables(request.variables);
    prepared.operation_name = request.operation_name;
    let document = prepared.parsed_query().map_err(|error| coded(error, "graphql_syntax"))?;
    bounds::check_document(document, config).map_err(refused)?;
    Ok(prepared)
}

/// Gives each error a code: what has none was found when the query was held against the schema.
fn with_codes(mut response: Response) -> Response {
    response.errors.truncate(ERRORS_MAX);
    for error in &mut response.errors {
        if error.extensions.as_ref().is_none_or(|extensions| extensions.get("code").is_none()) {
            *error = coded(error.clone(), "graphql_invalid");
        }
    }
    response
}

fn coded(mut error: ServerError, code: &'static str) -> ServerError {
    error.extensions.get_or_insert_default().set("code", Value::from(code));
    error
}
