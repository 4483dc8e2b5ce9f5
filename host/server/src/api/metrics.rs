//! `/metrics`: what the router counts of itself, for Prometheus. Ours.
//!
//! It says how much all tenants send, so it wants a key of the scope `metrics` or an admin key; a scraper sends one as
//! `authorization: {credentials_file: ...}`.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::HeaderValue;
use http::header::CONTENT_TYPE;

use crate::auth::Caller;
use crate::context::Context;
use crate::error::Handled;

const OPENMETRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

pub(crate) async fn get(State(context): State<Arc<Context>>, caller: Caller) -> Handled {
    caller.reads_metrics()?;
    let mut response = Response::new(Body::from(context.app.scrape().await));
    response.headers_mut().insert(CONTENT_TYPE, OPENMETRICS);
    Ok(response)
}
