//! What a webhook of OsmoX is here: an endpoint on the terms of the preset `osmox`, whose uid names its provider, and
//! whose pattern admits the notifications of that provider.

use std::sync::Arc;

use async_graphql::{ID, SimpleObject};
use hookmill_app::administer::Edit;
use hookmill_app::administer::endpoint::{EndpointInput, EndpointPatch};
use hookmill_core::address::DeliveryUrl;
use hookmill_core::endpoint::{DisabledReason, Endpoint, EndpointState};
use hookmill_core::id::{ApplicationId, EndpointId};
use hookmill_core::pattern::EventPattern;
use hookmill_core::preset::Preset;
use hookmill_core::route::Routes;
use http::StatusCode;

use crate::error::ApiError;
use crate::fields;

/// What the uid of a provider's endpoint begins with.
const UID_PREFIX: &str = "provider-";

/// A provider of OsmoX, by its number there: 1 or more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ProviderId(i32);

/// A webhook: where the notifications of one provider go.
#[derive(SimpleObject)]
pub(super) struct Webhook {
    id: ID,
    provider_id: i32,
    webhook_url: String,
    /// 0 while the receiver has yet to prove that it wants the notifications, else 1.
    is_verified: i32,
    /// RFC 3339, in UTC.
    created_on: String,
    /// RFC 3339, in UTC.
    updated_on: String,
    /// 1 if it receives, 0 if not.
    status: i32,
}

/// Which webhook is meant.
pub(super) enum Selector {
    Id(EndpointId),
    Provider(ProviderId),
}

/// What is to change of a webhook; the rest stays.
pub(super) struct WebhookPatch {
    pub(super) url: Option<DeliveryUrl>,
    pub(super) active: Option<bool>,
}

/// A webhook that is there.
pub(super) struct Found {
    endpoint: Arc<Endpoint>,
    provider: ProviderId,
}

impl ProviderId {
    pub(super) fn new(number: i32) -> Result<Self, ApiError> {
        if number >= 1 {
            return Ok(Self(number));
        }
        Err(ApiError::field("providerId", "provider_id_invalid", "a providerId is 1 or more"))
    }

    /// The provider whose endpoint this is, if it is a webhook of OsmoX.
    fn of(endpoint: &Endpoint) -> Option<Self> {
        let uid = endpoint.uid.as_ref()?;
        let number = uid.as_str().strip_prefix(UID_PREFIX)?.parse().ok()?;
        let provider = Self::new(number).ok()?;
        let is_webhook = endpoint.policy.preset() == Preset::Osmox && provider.uid() == uid.as_str();
        is_webhook.then_some(provider)
    }

    fn uid(self) -> String {
        format!("{UID_PREFIX}{}", self.0)
    }

    /// Admits the notification objects of this provider.
    fn pattern(self) -> EventPattern {
        let pattern = format!(r#"{{"providerId": [{}]}}"#, self.0);
        EventPattern::parse(&pattern).expect("a list of one number is a pattern")
    }
}

impl Webhook {
    pub(super) fn of(endpoint: &Endpoint, provider: ProviderId) -> Self {
        let unverified =
            matches!(endpoint.state, EndpointState::Disabled { reason: DisabledReason::Unverified, .. });
        Self {
            id: ID(endpoint.id.to_string()),
            provider_id: provider.0,
            webhook_url: endpoint.url.to_string(),
            is_verified: i32::from(!unverified),
            created_on: endpoint.created_at.to_string(),
            updated_on: endpoint.updated_at.to_string(),
            status: i32::from(endpoint.state == EndpointState::Enabled),
        }
    }
}

impl Selector {
    pub(super) fn new(id: Option<&str>, provider_id: Option<i32>) -> Result<Self, ApiError> {
        match (id, provider_id) {
            (Some(id), None) => id.parse().map(Self::Id).map_err(|_| unknown()),
            (None, Some(provider)) => ProviderId::new(provider).map(Self::Provider),
            (Some(_), Some(_)) | (None, None) => {
                let detail = "name the webhook by its id or by its providerId, one of them";
                Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "webhook_not_named", detail))
            }
        }
    }
}

/// All webhooks of an application, oldest first.
pub(super) fn all(routes: &Routes) -> impl Iterator<Item = Webhook> {
    routes
        .endpoints
        .values()
        .filter_map(|endpoint| ProviderId::of(endpoint).map(|provider| Webhook::of(endpoint, provider)))
}

pub(super) fn find(routes: &Routes, selector: &Selector) -> Option<Found> {
    let endpoint = match selector {
        Selector::Id(id) => routes.endpoints.get(id),
        Selector::Provider(provider) => routes.endpoint(&provider.uid()),
    }?;
    let provider = ProviderId::of(endpoint)?;
    Some(Found { endpoint: Arc::clone(endpoint), provider })
}

pub(super) fn found(
    edit: &Edit<'_>,
    application: ApplicationId,
    selector: &Selector,
) -> Result<Found, ApiError> {
    let routes = edit.table().applications.get(&application);
    routes.and_then(|routes| find(routes, selector)).ok_or_else(unknown)
}

pub(super) fn unknown() -> ApiError {
    ApiError::not_found("webhook")
}

/// Registers the webhook of a provider, which may have one that is active; one that is not active gives way: it goes on
/// under the new URL, with the secret that its receiver knows.
pub(super) fn register(
    edit: &mut Edit<'_>,
    application: ApplicationId,
    provider: ProviderId,
    url: DeliveryUrl,
) -> Result<Webhook, ApiError> {
    match found(edit, application, &Selector::Provider(provider)) {
        Ok(found) if found.gives_way() => {
            found.patch(edit, WebhookPatch { url: Some(url), active: Some(true) })
        }
        Ok(_) => Err(ApiError::new(
            StatusCode::CONFLICT,
            "webhook_exists",
            format!(
                "provider {} has a webhook; change it with updateWebhook, or delete it first",
                provider.0
            ),
        )),
        Err(_) => {
            let details = EndpointPatch {
                preset: Some(Preset::Osmox),
                uid: Some(Some(fields::name("uid", &provider.uid())?)),
                pattern: Some(Some(provider.pattern())),
                ..EndpointPatch::default()
            };
            let new = EndpointInput { url, signing_key: None, details };
            Ok(Webhook::of(&edit.create_endpoint(application, new)?, provider))
        }
    }
}

impl Found {
    pub(super) fn shown(&self) -> Webhook {
        Webhook::of(&self.endpoint, self.provider)
    }

    pub(super) fn patch(&self, edit: &mut Edit<'_>, patch: WebhookPatch) -> Result<Webhook, ApiError> {
        let patch = EndpointPatch {
            url: patch.url,
            disabled: patch.active.map(|active| !active),
            ..EndpointPatch::default()
        };
        let endpoint = edit.patch_endpoint(self.endpoint.application, self.endpoint.id, patch)?;
        Ok(Webhook::of(&endpoint, self.provider))
    }

    pub(super) fn reactivate(&self, edit: &mut Edit<'_>) -> Result<Webhook, ApiError> {
        let endpoint = edit.reactivate_endpoint(self.endpoint.application, self.endpoint.id)?;
        Ok(Webhook::of(&endpoint, self.provider))
    }

    pub(super) fn delete(&self, edit: &mut Edit<'_>) -> Result<Webhook, ApiError> {
        edit.delete_endpoint(self.endpoint.application, self.endpoint.id)?;
        Ok(self.shown())
    }

    /// Whether another registration may take its place. One that is being verified may not, or verifying could be
    /// skipped.
    fn gives_way(&self) -> bool {
        match self.endpoint.state {
            EndpointState::Enabled => false,
            EndpointState::Failed { .. } => true,
            EndpointState::Disabled { reason, .. } => match reason {
                DisabledReason::Operator | DisabledReason::Gone => true,
                DisabledReason::Unverified => false,
            },
        }
    }
}
