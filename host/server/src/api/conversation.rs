//! `POST /app/{app}/conversation-webhook`: an endpoint from a conversation's configuration object, as its guide prints it.
//! Ours.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Path, State};
use hookmill_app::AppError;
use hookmill_app::administer::endpoint::{EndpointInput, EndpointPatch};
use hookmill_core::address::DeliveryUrl;
use hookmill_core::endpoint::Endpoint;
use hookmill_core::event::Name;
use hookmill_core::preset::Preset;
use hookmill_core::route::Routes;
use http::header::CACHE_CONTROL;
use http::{HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};

use crate::answer;
use crate::auth::Caller;
use crate::context::{Context, Decided};
use crate::error::{ApiError, Handled};
use crate::fields;
use crate::input::{Input, json};

/// The channels of the guide's field reference.
const CHANNELS: [&str; 3] = ["API", "WHATSAPP", "SMS"];
const CALLBACK_URL: &str = "config.callback_url";
/// The uid of an endpoint whose configuration names no workflow; with `-` and a workflow's id, that of the workflow's.
const UID: &str = "conversation";

/// The configuration object. The guide prints it whole, and under "Local Testing" with a new URL alone.
#[derive(Deserialize, Serialize, Clone)]
#[serde(deny_unknown_fields)]
struct Configuration {
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usecase: Option<String>,
    config: Config,
}

#[derive(Deserialize, Serialize, Clone)]
#[serde(deny_unknown_fields)]
struct Config {
    #[serde(skip_serializing_if = "Option::is_none")]
    workflow_id: Option<String>,
    /// Always there in what was checked.
    callback_url: Option<String>,
}

/// The configuration object, with the endpoint that was made of it.
#[derive(Serialize)]
struct ConfiguredOut<'a> {
    #[serde(flatten)]
    configuration: &'a Configuration,
    endpoint_id: String,
    /// Only when the endpoint is new.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<&'a str>,
}

/// Makes the workflow's endpoint, or changes it: a workflow has one. Its secret is answered once.
pub(crate) async fn configure(
    State(context): State<Arc<Context>>,
    caller: Caller,
    Path(application): Path<String>,
    input: Input,
) -> Handled {
    let application = caller.administered(&context, &application)?.application.id;
    // As the guide prints it: with a comment behind a value.
    let configuration: Configuration = json(&without_comments(&input.bytes))?;
    let url = configuration.check()?;
    let configured = context.edit_once(caller, &input, move |edit| {
        let known = edit.table().applications.get(&application).map(|routes| configuration.endpoint(routes));
        let known = known.transpose()?.flatten();
        let out = |endpoint: &Endpoint, secret| {
            answer::to_bytes(&ConfiguredOut {
                configuration: &configuration,
                endpoint_id: endpoint.id.to_string(),
                secret,
            })
        };
        match known {
            Some(endpoint) => {
                let details = configuration.details(Some(&endpoint))?;
                let patch = EndpointPatch { url: Some(url), ..details };
                let endpoint =
                    edit.patch_endpoint(application, endpoint.id, patch).map_err(at_callback_url)?;
                Ok(Decided { status: StatusCode::OK, body: out(&endpoint, None), remembered: None })
            }
            None => {
                let details =
                    EndpointPatch { uid: Some(Some(configuration.uid()?)), ..configuration.details(None)? };
                let wanted = EndpointInput { url, signing_key: None, details };
                let endpoint = edit.create_endpoint(application, wanted).map_err(at_callback_url)?;
                let secret = endpoint.signing.current().to_text();
                let (body, remembered) = (out(&endpoint, Some(&secret)), Some(out(&endpoint, None)));
                Ok(Decided { status: StatusCode::CREATED, body, remembered })
            }
        }
    });
    let mut response = configured.await?;
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

impl Configuration {
    /// What is right or wrong whatever is configured already; answers the URL.
    fn check(&self) -> Result<DeliveryUrl, ApiError> {
        if self.channel.as_ref().is_some_and(|channel| !CHANNELS.contains(&channel.as_str())) {
            let detail = format!("is one of {}", CHANNELS.join(", "));
            return Err(ApiError::field("channel", "channel_unknown", detail));
        }
        self.usecase.as_ref().map(|usecase| fields::name("usecase", usecase)).transpose()?;
        self.uid()?;
        let url = self.config.callback_url.as_deref().ok_or_else(|| {
            let detail = "is required: the https URL that messages of this conversation are delivered to";
            ApiError::field(CALLBACK_URL, "callback_url_missing", detail)
        })?;
        DeliveryUrl::parse(url)
            .map_err(|error| ApiError::field(CALLBACK_URL, error.code(), error.to_string()))
    }

    fn uid(&self) -> Result<Name, ApiError> {
        match &self.config.workflow_id {
            Some(workflow) => fields::name("config.workflow_id", &format!("{UID}-{workflow}")),
            None => fields::name("config.workflow_id", UID),
        }
    }

    /// The endpoint that it is about, if there is one: the workflow's; where it names none, the only one that was
    /// configured here.
    fn endpoint(&self, routes: &Routes) -> Result<Option<Arc<Endpoint>>, ApiError> {
        if self.config.workflow_id.is_some() {
            return Ok(routes.endpoint(self.uid()?.as_str()).cloned());
        }
        let mut configured = routes.endpoints.values().filter(|endpoint| is_configured_here(endpoint));
        match (configured.next(), configured.next()) {
            (only, None) => Ok(only.cloned()),
            (_, Some(_)) => {
                let detail = "several workflows of this application have a webhook; say which one is meant";
                Err(ApiError::field("config.workflow_id", "workflow_unclear", detail))
            }
        }
    }

    /// Its terms and labels. What an endpoint that is there has been told before need not be said again, nor what nobody
    /// asks of the form with a URL alone.
    fn details(&self, known: Option<&Endpoint>) -> Result<EndpointPatch, ApiError> {
        let mut labels: BTreeMap<String, String> =
            known.map(|endpoint| endpoint.metadata.entries().clone()).unwrap_or_default();
        let has_url_only =
            self.channel.is_none() && self.usecase.is_none() && self.config.workflow_id.is_none();
        for (label, field, value) in [
            ("channel", "channel", &self.channel),
            ("usecase", "usecase", &self.usecase),
            ("workflow_id", "config.workflow_id", &self.config.workflow_id),
        ] {
            match value {
                Some(value) => drop(labels.insert(label.to_owned(), value.clone())),
                None if known.is_some() || has_url_only => {}
                None => {
                    let detail = "is required: the webhook of this workflow is new";
                    return Err(ApiError::field(field, "field_missing", detail));
                }
            }
        }
        Ok(EndpointPatch {
            preset: Some(Preset::Conversation),
            metadata: Some(fields::metadata(labels)?),
            ..EndpointPatch::default()
        })
    }
}

fn is_configured_here(endpoint: &Endpoint) -> bool {
    let uid = endpoint.uid.as_ref().and_then(|uid| uid.as_str().strip_prefix(UID));
    uid.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        && endpoint.policy.preset() == Preset::Conversation
}

/// The same text with blanks for its `//` comments, so that a fault is still where it was. Within a string `//` is text.
fn without_comments(json: &[u8]) -> Vec<u8> {
    let mut plain = json.to_vec();
    let (mut in_string, mut index) = (false, 0);
    while index < plain.len() {
        match plain[index] {
            b'\\' if in_string => index += 1,
            b'"' => in_string = !in_string,
            b'/' if !in_string && plain.get(index + 1) == Some(&b'/') => {
                let line = plain[index..].iter().position(|byte| matches!(byte, b'\n' | b'\r'));
                let end = line.map_or(plain.len(), |length| index + length);
                plain[index..end].fill(b' ');
                index = end;
                continue;
            }
            _ => {}
        }
        index += 1;
    }
    plain
}

fn at_callback_url(error: AppError) -> ApiError {
    match error.code {
        "address_blocked" | "url_not_https" => ApiError::field(CALLBACK_URL, error.code, error.message),
        _ => ApiError::from(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_become_blanks_and_strings_stay() {
        let check = |json: &str, expect: &str| {
            assert_eq!(String::from_utf8(without_comments(json.as_bytes())).unwrap(), expect, "{json}");
        };
        check("{\"a\": 1 // one\n}", "{\"a\": 1       \n}");
        check("{} // end", "{}       ");
        check("//\r\n{}", "  \r\n{}");
        check(r#"{"u": "https://a.example/\"//"}"#, r#"{"u": "https://a.example/\"//"}"#);
        check(r#"{"u": "\\" //"}"#, r#"{"u": "\\"     "#);
        check("/", "/");
        check("", "");
    }
}
