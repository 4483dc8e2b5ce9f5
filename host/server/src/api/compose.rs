//! `/app/{app}/compose` and `/app/{app}/endpoint/{endpoint}/compose`: requests that an operator writes, with variables
//! that each event fills in (the WhatsApp document, "Compose Webhook"). Ours.
//!
//! Values of headers that usually hold a secret are not shown again: `null` stands in their place, and where it is sent
//! back the value stays. A preview shows the request whole.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Path, State};
use bytes::Bytes;
use hookmill_app::administer::compose::PreviewOf;
use hookmill_app::administer::endpoint::EndpointPatch;
use hookmill_core::compose::{
    Composition, CompositionFault, FormEncoding, InvalidComposition, JsonBody, MissingRule, Part, RawBody,
    RawComposition,
};
use hookmill_core::endpoint::Endpoint;
use hookmill_core::json::Document;
use hookmill_core::preset::Preset;
use hookmill_core::request::OutgoingRequest;
use http::header::CACHE_CONTROL;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use super::endpoint::{at_url, channels, event_types};
use super::headers::is_sensitive;
use crate::answer;
use crate::auth::Caller;
use crate::context::{Context, Decided};
use crate::error::{ApiError, Handled};
use crate::fields;
use crate::input::Input;
use crate::pairs::Pairs;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ComposeIn {
    name: String,
    url: String,
    method: Option<String>,
    /// `null` leaves a header as it is.
    #[serde(default, deserialize_with = "fields::or_default")]
    headers: Pairs<Option<String>>,
    #[serde(default, deserialize_with = "fields::or_default")]
    body: BodyDto,
    missing: Option<String>,
    #[serde(default, deserialize_with = "fields::or_default")]
    allowed_origins: Vec<String>,
    /// An event that the variables are checked against. It is not kept.
    sample: Option<Box<RawValue>>,
    // What belongs to the endpoint, and can be said where both are created at once.
    preset: Option<String>,
    uid: Option<String>,
    event_types: Option<Vec<String>>,
    channels: Option<Vec<String>>,
}

#[derive(Deserialize, Serialize, Default)]
#[serde(tag = "format", content = "content", rename_all = "camelCase", try_from = "BodyIn")]
enum BodyDto {
    #[default]
    None,
    /// As it is written, digit by digit.
    Json(Box<RawValue>),
    FormData(Pairs<String>),
    FormUrlEncoded(Pairs<String>),
}

/// A body as it comes: whichever of the two members stands first, the content is read as text.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BodyIn {
    format: BodyFormat,
    #[serde(default, deserialize_with = "written")]
    content: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum BodyFormat {
    None,
    /// `JSON` and `FormData` are how the WhatsApp document spells them.
    #[serde(alias = "JSON", alias = "Json")]
    Json,
    #[serde(alias = "FormData", alias = "formdata", alias = "form-data")]
    FormData,
    FormUrlEncoded,
}

/// `null` is content, too.
fn written<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(deserializer).map(Some)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ComposeOut<'a> {
    /// The endpoint's, by which a message names it as `webhook_id`.
    id: String,
    uid: Option<&'a str>,
    name: &'a str,
    url: &'a str,
    method: &'a str,
    headers: Pairs<Option<&'a str>>,
    body: BodyDto,
    missing: &'static str,
    allowed_origins: &'a [String],
}

/// What a repeated creation is answered: what is remembered is stored in the clear.
#[derive(Serialize)]
struct CreatedOut<'a> {
    id: String,
    name: &'a str,
}

/// One of `event` and `messageId`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PreviewIn<'a> {
    #[serde(borrow)]
    event: Option<&'a RawValue>,
    message_id: Option<String>,
}

/// A request as it would be sent.
#[derive(Serialize)]
struct PreviewOut<'a> {
    method: &'a str,
    url: &'a str,
    /// Values of one name are joined by commas (RFC 9110, section 5.3).
    headers: BTreeMap<&'a str, String>,
    body: String,
}

impl ComposeIn {
    /// Checks the composition; `kept` has the values of headers that stay as they are.
    fn parse(self, kept: Option<&RawComposition>) -> Result<Composition, ApiError> {
        let raw = RawComposition {
            name: self.name,
            method: self.method.as_deref().map_or(Ok(Method::POST), method)?,
            url: self.url,
            headers: headers(self.headers, kept.map(|kept| kept.headers.as_slice()).unwrap_or_default())?,
            body: self.body.into_raw()?,
            missing: self.missing.as_deref().map(missing).transpose()?.unwrap_or_default(),
            allowed_origins: self.allowed_origins,
        };
        let sample = self.sample.map(|sample| Document::parse(sample.get().to_owned()));
        let sample = sample
            .transpose()
            .map_err(|fault| ApiError::field("sample", "sample_not_json", format!("not JSON: {fault}")))?;
        Composition::parse(raw, sample.as_ref()).map_err(|error| refused(&error))
    }

    /// What is said of a new endpoint; its description is the composition's name.
    fn endpoint_details(&self) -> Result<EndpointPatch, ApiError> {
        let preset = self.preset.as_deref().map(fields::preset).transpose()?;
        Ok(EndpointPatch {
            preset: Some(preset.unwrap_or(Preset::Whatsapp)),
            description: Some(fields::text("name", self.name.clone())?),
            uid: Some(self.uid.as_deref().map(|uid| fields::name("uid", uid)).transpose()?),
            event_types: Some(self.event_types.as_deref().map(event_types).transpose()?),
            channels: Some(self.channels.as_deref().map(channels).transpose()?),
            ..EndpointPatch::default()
        })
    }

    /// An endpoint that is there keeps its own terms.
    fn check_composition_only(&self) -> Result<(), ApiError> {
        let said = [
            ("preset", self.preset.is_some()),
            ("uid", self.uid.is_some()),
            ("eventTypes", self.event_types.is_some()),
            ("channels", self.channels.is_some()),
        ];
        match said.into_iter().find(|(_, is_said)| *is_said) {
            None => Ok(()),
            Some((field, _)) => {
                let detail = "this belongs to the endpoint, which is there already; change it there";
                Err(ApiError::field(field, "compose_endpoint_exists", detail))
            }
        }
    }
}

impl BodyDto {
    fn of(body: &RawBody) -> Self {
        match body {
            RawBody::None => Self::None,
            RawBody::Json(content) => {
                let content = RawValue::from_string(content.as_str().to_owned());
                Self::Json(content.expect("what was read as JSON is JSON"))
            }
            RawBody::Form { fields, encoding: FormEncoding::Multipart } => {
                Self::FormData(Pairs(fields.clone()))
            }
            RawBody::Form { fields, encoding: FormEncoding::UrlEncoded } => {
                Self::FormUrlEncoded(Pairs(fields.clone()))
            }
        }
    }

    fn into_raw(self) -> Result<RawBody, ApiError> {
        let form = |fields: Pairs<String>, encoding| RawBody::Form { fields: fields.0, encoding };
        Ok(match self {
            Self::None => RawBody::None,
            Self::Json(content) => RawBody::Json(JsonBody::parse(content.get()).map_err(|fault| {
                ApiError::field("body", "json_invalid", format!("the content is not JSON: {fault}"))
            })?),
            Self::FormData(fields) => form(fields, FormEncoding::Multipart),
            Self::FormUrlEncoded(fields) => form(fields, FormEncoding::UrlEncoded),
        })
    }
}

impl TryFrom<BodyIn> for BodyDto {
    type Error = String;

    fn try_from(body: BodyIn) -> Result<Self, String> {
        let BodyIn { format, content } = body;
        let is_said = content.as_ref().is_some_and(|content| content.get() != "null");
        let need = || content.ok_or_else(|| "missing field `content`".to_owned());
        let fields = |content: Box<RawValue>| {
            serde_json::from_str(content.get()).map_err(|error| format!("content: {error}"))
        };
        match format {
            BodyFormat::None if !is_said => Ok(Self::None),
            BodyFormat::None => Err("a body of the format `none` has no content".to_owned()),
            BodyFormat::Json => need().map(Self::Json),
            BodyFormat::FormData => need().and_then(fields).map(Self::FormData),
            BodyFormat::FormUrlEncoded => need().and_then(fields).map(Self::FormUrlEncoded),
        }
    }
}

impl<'a> ComposeOut<'a> {
    fn of(endpoint: &'a Endpoint) -> Result<Self, ApiError> {
        let composition = endpoint.transformation.composition();
        let raw = composition.ok_or_else(|| ApiError::not_found("composition"))?.raw();
        let shown = |(name, value): &'a (String, String)| {
            (name.clone(), (!is_sensitive(name)).then_some(value.as_str()))
        };
        Ok(Self {
            id: endpoint.id.to_string(),
            uid: endpoint.uid.as_ref().map(hookmill_core::event::Name::as_str),
            name: &raw.name,
            url: &raw.url,
            method: raw.method.as_str(),
            headers: Pairs(raw.headers.iter().map(shown).collect()),
            body: BodyDto::of(&raw.body),
            missing: raw.missing.code(),
            allowed_origins: &raw.allowed_origins,
        })
    }
}

impl<'a> PreviewOut<'a> {
    fn of(request: &'a OutgoingRequest) -> Self {
        Self {
            method: request.method.as_str(),
            url: request.url.as_str(),
            headers: request
                .headers
                .keys()
                .map(|name| (name.as_str(), joined(&request.headers, name)))
                .collect(),
            body: String::from_utf8_lossy(&request.body).into_owned(),
        }
    }
}

fn joined(headers: &HeaderMap, name: &http::HeaderName) -> String {
    let values = headers.get_all(name).iter();
    values.map(|value| String::from_utf8_lossy(value.as_bytes())).collect::<Vec<_>>().join(", ")
}

fn method(text: &str) -> Result<Method, ApiError> {
    Method::from_bytes(text.to_ascii_uppercase().as_bytes()).map_err(|_| {
        let fault = CompositionFault::Method { method: text.to_owned() };
        refused(&InvalidComposition { part: Part::Method, offset: None, fault })
    })
}

fn headers(
    given: Pairs<Option<String>>,
    kept: &[(String, String)],
) -> Result<Vec<(String, String)>, ApiError> {
    let value_of = |name: &str, value: Option<String>| {
        let kept = || kept.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        value.or_else(|| kept().map(|(_, value)| value.clone())).ok_or_else(|| {
            let detail = "`null` leaves a header as it is, and this one is not there; give its value";
            let place = ["headers".to_owned(), name.to_owned()];
            ApiError::place(place, None, "compose_header_not_kept", detail)
        })
    };
    given.0.into_iter().map(|(name, value)| value_of(&name, value).map(|value| (name, value))).collect()
}

fn missing(code: &str) -> Result<MissingRule, ApiError> {
    MissingRule::from_code(code).ok_or_else(|| {
        let detail = format!("is one of {}", MissingRule::ALL.map(MissingRule::code).join(", "));
        ApiError::field("missing", "rule_unknown", detail)
    })
}

/// Names the field and the place in its text.
fn refused(error: &InvalidComposition) -> ApiError {
    let content = || vec!["body".to_owned(), "content".to_owned()];
    let place = match &error.part {
        Part::Whole => Vec::new(),
        Part::Name => vec!["name".to_owned()],
        Part::Method => vec!["method".to_owned()],
        Part::Url => vec!["url".to_owned()],
        Part::Headers => vec!["headers".to_owned()],
        Part::Header(name) => vec!["headers".to_owned(), name.clone()],
        Part::Body { pointer } if pointer.is_empty() => vec!["body".to_owned()],
        Part::Body { pointer } => {
            let segments = pointer.split('/').skip(1);
            let segments = segments.map(|segment| segment.replace("~1", "/").replace("~0", "~"));
            content().into_iter().chain(segments).collect()
        }
        Part::Field(name) => content().into_iter().chain([name.clone()]).collect(),
        Part::AllowedOrigin(index) => vec!["allowedOrigins".to_owned(), index.to_string()],
    };
    ApiError::place(place, error.offset, error.code(), error.to_string())
}

/// Creates an endpoint with its composition. A repeat with the same idempotency key is answered without the latter.
pub(crate) async fn create(
    State(context): State<Arc<Context>>,
    caller: Caller,
    Path(application): Path<String>,
    input: Input,
) -> Handled {
    let application = caller.administered(&context, &application)?.application.id;
    let new = input.json::<ComposeIn>()?;
    let details = new.endpoint_details()?;
    let composition = new.parse(None)?;
    context
        .edit_once(caller, &input, move |edit| {
            let endpoint =
                edit.create_composed_endpoint(application, composition, details).map_err(at_url)?;
            let shown = ComposeOut::of(&endpoint)?;
            let created = CreatedOut { id: shown.id.clone(), name: shown.name };
            let remembered = Some(answer::to_bytes(&created));
            Ok(Decided { remembered, ..Decided::json(StatusCode::CREATED, &shown) })
        })
        .await
}

pub(crate) async fn get(
    State(context): State<Arc<Context>>,
    caller: Caller,
    Path((application, endpoint)): Path<(String, String)>,
) -> Handled {
    let (_, endpoint) = caller.endpoint(&context, &application, &endpoint)?;
    Ok(answer::json(StatusCode::OK, &ComposeOut::of(&endpoint)?))
}

pub(crate) async fn replace(
    State(context): State<Arc<Context>>,
    caller: Caller,
    Path((application, endpoint)): Path<(String, String)>,
    input: Input,
) -> Handled {
    let (routes, endpoint) = caller.endpoint(&context, &application, &endpoint)?;
    let (application, id) = (routes.application.id, endpoint.id);
    let new = input.json::<ComposeIn>()?;
    new.check_composition_only()?;
    let composition = new.parse(endpoint.transformation.composition().map(Composition::raw))?;
    context
        .edit(move |edit| {
            let endpoint = edit.compose_endpoint(application, id, composition).map_err(at_url)?;
            Ok(Decided::json(StatusCode::OK, &ComposeOut::of(&endpoint)?))
        })
        .await
}

pub(crate) async fn delete(
    State(context): State<Arc<Context>>,
    caller: Caller,
    Path((application, endpoint)): Path<(String, String)>,
) -> Handled {
    let (routes, endpoint) = caller.endpoint(&context, &application, &endpoint)?;
    let (application, id) = (routes.application.id, endpoint.id);
    context
        .edit(move |edit| {
            edit.remove_composition(application, id)?;
            Ok(Decided::no_content())
        })
        .await
}

/// Shows the request that an event would become.
pub(crate) async fn preview(
    State(context): State<Arc<Context>>,
    caller: Caller,
    Path((application, endpoint)): Path<(String, String)>,
    input: Input,
) -> Handled {
    let (_, endpoint) = caller.endpoint(&context, &application, &endpoint)?;
    let PreviewIn { event, message_id } = input.json()?;
    let preview_of = match (event, message_id) {
        (Some(event), None) => PreviewOf::Sample(Bytes::copy_from_slice(event.get().as_bytes())),
        (None, Some(message)) => PreviewOf::Recorded(message),
        (Some(_), Some(_)) | (None, None) => {
            let detail = "give one of `event`, a body, and `messageId`, the id of a message that was sent";
            return Err(ApiError::field("event", "preview_unclear", detail));
        }
    };
    let request = context.app.preview_composition(&endpoint, preview_of).await?;
    let mut response = answer::json(StatusCode::OK, &PreviewOut::of(&request));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}
