//! Endpoints: the destinations of an application.

use hookmill_core::address::DeliveryUrl;
use hookmill_core::application::Metadata;
use hookmill_core::endpoint::{
    CustomHeaders, DisabledReason, Endpoint, EndpointState, Filter, Transformation,
};
use hookmill_core::event::Name;
use hookmill_core::handshake::HandshakeMethod;
use hookmill_core::id::{ApplicationId, EndpointId};
use hookmill_core::limits::APPLICATION_ENDPOINTS_MAX;
use hookmill_core::pattern::EventPattern;
use hookmill_core::policy::{Overrides, Policy, Rate};
use hookmill_core::port::store::Change;
use hookmill_core::preset::Preset;
use hookmill_core::signature::{SigningKey, SigningKeys};

use std::collections::BTreeSet;

use super::transformation::TransformationPatch;
use super::{Edit, Text, conflict};
use crate::AppError;

/// Everything that an operator says about a new endpoint.
#[derive(Debug, Clone)]
pub struct EndpointInput {
    /// Where deliveries go.
    pub url: DeliveryUrl,
    /// The first signing key; one is made where there is none.
    pub signing_key: Option<SigningKey>,
    /// All else.
    pub details: EndpointPatch,
}

/// What an operator wants changed of an endpoint; the rest stays.
#[derive(Debug, Clone, Default)]
pub struct EndpointPatch {
    /// Where deliveries go.
    pub url: Option<DeliveryUrl>,
    /// For people.
    pub description: Option<Text>,
    /// The system whose terms it is delivered to on.
    pub preset: Option<Preset>,
    /// The operator's own id, or none.
    pub uid: Option<Option<Name>>,
    /// Deliveries a second, or no limit.
    pub rate: Option<Option<Rate>>,
    /// Whether it receives nothing.
    pub disabled: Option<bool>,
    /// The handshake that it must pass, or none.
    pub verification: Option<Option<HandshakeMethod>>,
    /// These types only, or all.
    pub event_types: Option<Option<BTreeSet<Name>>>,
    /// Events with one of these channels only, or all.
    pub channels: Option<Option<BTreeSet<Name>>>,
    /// Events that match only, or all.
    pub pattern: Option<Option<EventPattern>>,
    /// The operator's own labels, all of them.
    pub metadata: Option<Metadata>,
    /// Headers of each delivery, all of them.
    pub headers: Option<CustomHeaders>,
    /// How a plugin reshapes what goes to it.
    pub transformation: Option<TransformationPatch>,
}

impl Edit<'_> {
    /// Creates an endpoint.
    ///
    /// # Errors
    /// An address where deliveries are not sent, a uid that is taken, or too many endpoints.
    pub fn create_endpoint(
        &mut self,
        application: ApplicationId,
        input: EndpointInput,
    ) -> Result<Endpoint, AppError> {
        let endpoint = self.new_endpoint(application, input)?;
        self.put_endpoint(endpoint)
    }

    /// An endpoint that is yet to be noted.
    pub(super) fn new_endpoint(
        &mut self,
        application: ApplicationId,
        input: EndpointInput,
    ) -> Result<Endpoint, AppError> {
        let routes = self.routes(application)?;
        if routes.endpoints.len() >= APPLICATION_ENDPOINTS_MAX {
            return Err(conflict(
                "too_many_endpoints",
                format!("the application has {APPLICATION_ENDPOINTS_MAX} endpoints, the most it may have"),
            ));
        }
        let signing_key = input.signing_key.unwrap_or_else(|| self.new_signing_key());
        let mut endpoint = Endpoint {
            id: self.app.new_id(self.now, EndpointId::new),
            application,
            uid: None,
            url: input.url,
            description: String::new(),
            filter: Filter::default(),
            state: EndpointState::Enabled,
            verification: None,
            headers: CustomHeaders::default(),
            metadata: Metadata::default(),
            signing: SigningKeys::new(signing_key),
            transformation: Transformation::default(),
            classifier: None,
            policy: Policy::default(),
            created_at: self.now,
            updated_at: self.now,
        };
        self.patch(&mut endpoint, input.details)?;
        Ok(endpoint)
    }

    /// Changes some of an endpoint.
    ///
    /// # Errors
    /// No such endpoint, an address where deliveries are not sent, or a uid that is taken.
    pub fn patch_endpoint(
        &mut self,
        application: ApplicationId,
        id: EndpointId,
        patch: EndpointPatch,
    ) -> Result<Endpoint, AppError> {
        let mut endpoint = self.endpoint(application, id)?;
        self.patch(&mut endpoint, patch)?;
        self.put_endpoint(endpoint)
    }

    /// Deletes an endpoint with what it is still owed.
    ///
    /// # Errors
    /// No such endpoint.
    pub fn delete_endpoint(&mut self, application: ApplicationId, id: EndpointId) -> Result<(), AppError> {
        self.endpoint(application, id)?;
        self.changes.push(Change::DeleteEndpoint(id));
        Ok(())
    }

    fn patch(&mut self, endpoint: &mut Endpoint, patch: EndpointPatch) -> Result<(), AppError> {
        if let Some(url) = patch.url {
            endpoint.url = url;
        }
        if let Some(preset) = patch.preset {
            endpoint.policy = Policy::new(preset, endpoint.policy.overrides().clone());
        }
        if let Some(uid) = patch.uid {
            self.check_endpoint_uid(endpoint, uid.as_ref())?;
            endpoint.uid = uid;
        }
        if let Some(description) = patch.description {
            endpoint.description = description.into_string();
        }
        if let Some(rate) = patch.rate {
            let overrides = Overrides { rate: Some(rate), ..endpoint.policy.overrides().clone() };
            endpoint.policy = Policy::new(endpoint.policy.preset(), overrides);
        }
        if let Some(disabled) = patch.disabled {
            self.set_disabled(endpoint, disabled);
        }
        if let Some(verification) = patch.verification {
            endpoint.verification = verification;
        }
        if let Some(event_types) = patch.event_types {
            endpoint.filter.event_types = event_types;
        }
        if let Some(channels) = patch.channels {
            endpoint.filter.channels = channels;
        }
        if let Some(pattern) = patch.pattern {
            let patterns = &self.routes(endpoint.application)?.patterns;
            patterns
                .admit(endpoint.filter.pattern.as_ref(), pattern.as_ref())
                .map_err(|error| AppError::invalid("application_patterns_too_costly", error.to_string()))?;
            endpoint.filter.pattern = pattern;
        }
        if let Some(metadata) = patch.metadata {
            endpoint.metadata = metadata;
        }
        if let Some(headers) = patch.headers {
            endpoint.headers = headers;
        }
        if let Some(transformation) = patch.transformation {
            endpoint.transformation = self.transformed(&endpoint.transformation, transformation)?;
        }
        Ok(())
    }

    /// Lets an endpoint that was turned off receive again; what waits for it is tried from the beginning, in order.
    ///
    /// # Errors
    /// No such endpoint, or one that is not verified.
    pub fn reactivate_endpoint(
        &mut self,
        application: ApplicationId,
        id: EndpointId,
    ) -> Result<Endpoint, AppError> {
        let mut endpoint = self.endpoint(application, id)?;
        if matches!(endpoint.state, EndpointState::Disabled { reason: DisabledReason::Unverified, .. }) {
            let message = "the endpoint has yet to prove that it wants events: verify it, and it is enabled";
            return Err(conflict("endpoint_unverified", message));
        }
        self.set_disabled(&mut endpoint, false);
        self.put_endpoint(endpoint)
    }

    /// An endpoint that was turned off keeps who turned it off, and when. One that is not verified stays so.
    fn set_disabled(&mut self, endpoint: &mut Endpoint, disabled: bool) {
        match (endpoint.state, disabled) {
            (EndpointState::Enabled, false) | (EndpointState::Disabled { .. }, true) => {}
            (EndpointState::Disabled { reason: DisabledReason::Unverified, .. }, false) => {}
            (EndpointState::Failed { .. }, false) => {
                endpoint.state = EndpointState::Enabled;
                self.changes.push(Change::RestartDeliveries(endpoint.id, self.steady));
            }
            (EndpointState::Disabled { .. }, false) => endpoint.state = EndpointState::Enabled,
            (EndpointState::Enabled | EndpointState::Failed { .. }, true) => {
                let since = self.now;
                endpoint.state = EndpointState::Disabled { reason: DisabledReason::Operator, since };
            }
        }
    }

    pub(super) fn check_url(&self, url: &DeliveryUrl) -> Result<(), AppError> {
        self.app.address_policy.check_url(url).map_err(|blocked| {
            let hint = "start the router with --allow-private-network if this is meant";
            AppError::invalid(blocked.code(), format!("{blocked}; {hint}"))
        })
    }

    fn check_endpoint_uid(&self, endpoint: &Endpoint, uid: Option<&Name>) -> Result<(), AppError> {
        let Some(uid) = uid else { return Ok(()) };
        if uid.as_str().parse::<EndpointId>().is_ok() {
            return Err(AppError::invalid(
                "uid_is_id",
                "this uid has the form of an id that the router makes; choose another",
            ));
        }
        match self.routes(endpoint.application)?.endpoint(uid.as_str()) {
            Some(owner) if owner.id != endpoint.id => Err(conflict(
                "conflict",
                format!("the application has an endpoint with the uid `{uid}`; choose another"),
            )),
            Some(_) | None => Ok(()),
        }
    }
}
