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
use crate::fields::or_default;
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

/// `EndpointHeadersPatchIn`: `null` removes, as does a name in `deleteHeaders`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HeadersPatchIn {
    #[serde(default, deserialize_with = "or_default")]
    headers: BTreeMap<String, Option<String>>,
    #[serde(default, deserialize_with = "or_default")]
    delete_headers: Vec<String>,
}

impl HeadersPatchIn {
    /// All changes by name.
    fn changes(self) -> Result<BTreeMap<String, Option<String>>, ApiError> {
        let mut changes = self.headers;
        for name in self.delete_headers {
            let is_set = |(known, value): (&String, &Option<String>)| {
                known.eq_ignore_ascii_case(&name) && value.is_some()
            };
            if changes.iter().any(is_set) {
                let detail = "a header is set or deleted, not both";
                return Err(ApiError::field("deleteHeaders", "header_ambiguous", detail));
            }
            changes.insert(name, None);
        }
        Ok(changes)
    }
}

/// Headers for each delivery of an endpoint.
pub(super) fn parse(field: &str, headers: &BTreeMap<String, String>) -> Result<CustomHeaders, ApiError> {
    let entries = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    CustomHeaders::new(entries)
        .map_err(|error| ApiError::field(field, header_code(&error), error.to_string()))
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
    let headers = parse("headers", &headers)?;
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
    let changes = input.json::<HeadersPatchIn>()?.changes()?;
    context
        .edit(move |edit| {
            edit.patch_headers(application, endpoint, &changes)?;
            Ok(Decided::no_content())
        })
        .await
}
