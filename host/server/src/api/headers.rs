//! `/app/{app}/endpoint/{endpoint}/headers`: what is added to each delivery.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Path, State};
use hookmill_app::administer::headers::header_code;
use hookmill_core::endpoint::{CustomHeaders, Endpoint};
use http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::answer;
use crate::auth::Caller;
use crate::context::{Context, Decided};
use crate::error::{ApiError, Handled};
use crate::input::Input;

/// Headers whose values are not shown again (the Svix API's list).
const SENSITIVE: [&str; 6] = [
    "x-auth-token",
    "x-api-key",
    "www-authenticate",
    "authorization",
    "proxy-authenticate",
    "proxy-authorization",
];

/// `EndpointHeadersIn`.
#[derive(Deserialize)]
struct HeadersIn {
    headers: BTreeMap<String, String>,
}

/// `EndpointHeadersPatchIn`: `null` removes.
#[derive(Deserialize)]
struct HeadersPatchIn {
    headers: BTreeMap<String, Option<String>>,
}

/// `EndpointHeadersOut`.
#[derive(Serialize, Default)]
struct HeadersOut {
    headers: BTreeMap<String, String>,
    sensitive: Vec<String>,
}

/// Whether the values of this header are not shown again.
pub(super) fn is_sensitive(name: &str) -> bool {
    SENSITIVE.iter().any(|sensitive| sensitive.eq_ignore_ascii_case(name))
}

impl HeadersOut {
    fn of(endpoint: &Endpoint) -> Self {
        let mut shown = Self::default();
        for (name, value) in endpoint.headers.as_map() {
            if is_sensitive(name.as_str()) {
                shown.sensitive.push(name.to_string());
            } else {
                let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
                shown.headers.insert(name.to_string(), value);
            }
        }
        shown
    }
}

pub(crate) async fn get(
    State(context): State<Arc<Context>>,
    caller: Caller,
    Path((application, endpoint)): Path<(String, String)>,
) -> Handled {
    let (_, endpoint) = caller.endpoint(&context, &application, &endpoint)?;
    Ok(answer::json(StatusCode::OK, &HeadersOut::of(&endpoint)))
}

pub(crate) async fn replace(
    State(context): State<Arc<Context>>,
    caller: Caller,
    Path((application, endpoint)): Path<(String, String)>,
    input: Input,
) -> Handled {
    let (routes, endpoint) = caller.endpoint(&context, &application, &endpoint)?;
    let (application, endpoint) = (routes.application.id, endpoint.id);
    let HeadersIn { headers } = input.json()?;
    let entries = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    let headers = CustomHeaders::new(entries)
        .map_err(|error| ApiError::field("headers", header_code(&error), error.to_string()))?;
    context
        .edit(move |edit| {
            edit.replace_headers(application, endpoint, headers)?;
            Ok(Decided::no_content())
        })
        .await
}

pub(crate) async fn patch(
    State(context): State<Arc<Context>>,
    caller: Caller,
    Path((application, endpoint)): Path<(String, String)>,
    input: Input,
) -> Handled {
    let (routes, endpoint) = caller.endpoint(&context, &application, &endpoint)?;
    let (application, endpoint) = (routes.application.id, endpoint.id);
    let HeadersPatchIn { headers } = input.json()?;
    context
        .edit(move |edit| {
            edit.patch_headers(application, endpoint, &headers)?;
            Ok(Decided::no_content())
        })
        .await
}
