//! `POST /app/{app}/conversation-webhook`: an endpoint from a conversation's configuration object, as its guide prints it.
//! Ours.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Path, State};
use hookmill_app::AppError;
use hookmill_app::administer::Edit;
use hookmill_app::administer::endpoint::{EndpointInput, EndpointPatch};
use hookmill_core::address::DeliveryUrl;
use hookmill_core::endpoint::Endpoint;
use hookmill_core::event::Name;
use hookmill_core::id::ApplicationId;
use hookmill_core::preset::Preset;
use http::header::CACHE_CONTROL;
use http::{HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};

use crate::answer;
use crate::auth::Caller;
use crate::context::{Context, Decided};
use crate::error::{ApiError, Handled};
use crate::fields;
use crate::input::Input;

/// The channels of the guide's field reference.
const CHANNELS: [&str; 3] = ["API", "WHATSAPP", "SMS"];
const CALLBACK_URL: &str = "config.callback_url";

/// The configuration object.
#[derive(Deserialize, Serialize, Clone)]
#[serde(deny_unknown_fields)]
struct Configuration {
    channel: String,
    usecase: String,
    config: Config,
}

#[derive(Deserialize, Serialize, Clone)]
#[serde(deny_unknown_fields)]
struct Config {
    workflow_id: String,
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
    let configuration: Configuration = input.json()?;
    let (uid, wanted) = parse(&configuration)?;
    let configured = context.edit_once(caller, &input, move |edit| {
        let known =
            edit.table().applications.get(&application).and_then(|routes| routes.endpoint(uid.as_str()));
        let known = known.map(|endpoint| endpoint.id);
        let out = |endpoint: &Endpoint, secret| {
            answer::to_bytes(&ConfiguredOut {
                configuration: &configuration,
                endpoint_id: endpoint.id.to_string(),
                secret,
            })
        };
        match known {
            Some(id) => {
                let patch = EndpointPatch { url: Some(wanted.url), ..wanted.details };
                let endpoint = edit.patch_endpoint(application, id, patch).map_err(at_callback_url)?;
                Ok(Decided { status: StatusCode::OK, body: out(&endpoint, None), remembered: None })
            }
            None => {
                let endpoint = create(edit, application, uid, wanted)?;
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

fn create(
    edit: &mut Edit<'_>,
    application: ApplicationId,
    uid: Name,
    wanted: EndpointInput,
) -> Result<Endpoint, ApiError> {
    let details = EndpointPatch { uid: Some(Some(uid)), ..wanted.details };
    edit.create_endpoint(application, EndpointInput { details, ..wanted }).map_err(at_callback_url)
}

/// The workflow's uid, and what its endpoint should be.
fn parse(configuration: &Configuration) -> Result<(Name, EndpointInput), ApiError> {
    let Configuration { channel, usecase, config } = configuration;
    if !CHANNELS.contains(&channel.as_str()) {
        let detail = format!("is one of {}", CHANNELS.join(", "));
        return Err(ApiError::field("channel", "channel_unknown", detail));
    }
    fields::name("usecase", usecase)?;
    let uid = fields::name("config.workflow_id", &format!("conversation-{}", config.workflow_id))?;
    let url = config.callback_url.as_deref().ok_or_else(|| {
        let detail = "is required: the https URL that messages of this conversation are delivered to";
        ApiError::field(CALLBACK_URL, "callback_url_missing", detail)
    })?;
    let url = DeliveryUrl::parse(url)
        .map_err(|error| ApiError::field(CALLBACK_URL, error.code(), error.to_string()))?;
    let labels = [("channel", channel), ("usecase", usecase), ("workflow_id", &config.workflow_id)];
    let labels: BTreeMap<_, _> =
        labels.into_iter().map(|(label, value)| (label.to_owned(), value.clone())).collect();
    let details = EndpointPatch {
        preset: Some(Preset::Conversation),
        metadata: Some(fields::metadata(labels)?),
        ..EndpointPatch::default()
    };
    Ok((uid, EndpointInput { url, signing_key: None, details }))
}

fn at_callback_url(error: AppError) -> ApiError {
    match error.code {
        "address_blocked" | "url_not_https" => ApiError::field(CALLBACK_URL, error.code, error.message),
        _ => ApiError::from(error),
    }
}
