//! `/app/{app}/endpoint/{endpoint}/secret`: the signing key of an endpoint.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use hookmill_core::signature::SIGNING_OVERLAP_DEFAULT;
use http::StatusCode;
use http::header::CACHE_CONTROL;
use serde::{Deserialize, Serialize};

use crate::answer;
use crate::auth::Caller;
use crate::context::{Context, Decided};
use crate::error::{ApiError, Handled};
use crate::fields;
use crate::input::Input;

/// The longest overlap of two keys (the Svix API's bound).
const OVERLAP_SECS_MAX: u64 = 7 * 24 * 3600;

/// `EndpointSecretOut`; the public half of an asymmetric key is ours.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SecretOut<'a> {
    key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    public_key: Option<String>,
}

/// `EndpointSecretRotateIn`.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct RotateIn {
    key: Option<String>,
    grace_period_seconds: Option<u64>,
}

pub(crate) async fn get(
    State(context): State<Arc<Context>>,
    caller: Caller,
    Path((application, endpoint)): Path<(String, String)>,
) -> Handled {
    let (_, endpoint) = caller.endpoint(&context, &application, &endpoint)?;
    let current = endpoint.signing.current();
    let secret = SecretOut { key: &current.to_text(), public_key: current.public_text() };
    let mut response = answer::json(StatusCode::OK, &secret);
    response.headers_mut().insert(CACHE_CONTROL, http::HeaderValue::from_static("no-store"));
    Ok(response)
}

pub(crate) async fn rotate(
    State(context): State<Arc<Context>>,
    caller: Caller,
    Path((application, endpoint)): Path<(String, String)>,
    input: Input,
) -> Handled {
    let (routes, endpoint) = caller.endpoint(&context, &application, &endpoint)?;
    let scheme = endpoint.policy.effective().signature.clone();
    let (application, endpoint) = (routes.application.id, endpoint.id);
    let rotation = input.json_or_default::<RotateIn>()?;
    let new = rotation.key.map(|key| fields::signing_key("key", &key, &scheme)).transpose()?;
    let overlap = rotation.grace_period_seconds.map(overlap).transpose()?.unwrap_or(SIGNING_OVERLAP_DEFAULT);
    context
        .edit_once(caller, &input, move |edit| {
            edit.rotate_signing_key(application, endpoint, new, overlap)?;
            Ok(Decided::no_content())
        })
        .await
}

pub(super) fn overlap(seconds: u64) -> Result<Duration, ApiError> {
    if seconds <= OVERLAP_SECS_MAX {
        return Ok(Duration::from_secs(seconds));
    }
    let detail = format!("an overlap is at most {OVERLAP_SECS_MAX} s");
    Err(ApiError::field("gracePeriodSeconds", "overlap_too_long", detail))
}
