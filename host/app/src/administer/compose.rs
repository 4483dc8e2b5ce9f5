//! Compose webhooks: endpoints whose requests an operator writes, with variables that each event fills in.

use std::sync::Arc;

use bytes::Bytes;
use hookmill_core::compose::Composition;
use hookmill_core::endpoint::{Endpoint, Transformation};
use hookmill_core::event::{Channels, ContentType, Event, Name};
use hookmill_core::id::{ApplicationId, EndpointId, EventId};
use hookmill_core::plugin::BoundSecrets;
use hookmill_core::request::{OutgoingRequest, build};

use super::endpoint::{EndpointInput, EndpointPatch};
use super::{Edit, conflict};
use crate::{App, AppError};

/// The type of an event that is only shown to a composition.
const SAMPLE_EVENT_TYPE: &str = "compose.preview";

/// Which event a composition is shown.
#[derive(Debug, Clone)]
pub enum PreviewOf {
    /// One with this body.
    Sample(Bytes),
    /// A recorded one, by the router's id or the sender's.
    Recorded(String),
}

impl Edit<'_> {
    /// Creates an endpoint that composes its requests. Its own URL is as much of the composition's as holds for every
    /// event.
    ///
    /// # Errors
    /// As [`create_endpoint`](Self::create_endpoint), and as [`compose_endpoint`](Self::compose_endpoint).
    pub fn create_composed_endpoint(
        &mut self,
        application: ApplicationId,
        composition: Composition,
        details: EndpointPatch,
    ) -> Result<Endpoint, AppError> {
        let input = EndpointInput { url: composition.base_url(), signing_key: None, details };
        let mut endpoint = self.new_endpoint(application, input)?;
        endpoint.transformation = Transformation::Composed(Box::new(composition));
        self.put_endpoint(endpoint)
    }

    /// Gives an endpoint a composition, or another one. Deliveries that were tried before go on with what they sent.
    ///
    /// # Errors
    /// No such endpoint, one that has a plugin, an address where deliveries are not sent, or a URL that the endpoint's
    /// terms refuse.
    pub fn compose_endpoint(
        &mut self,
        application: ApplicationId,
        endpoint: EndpointId,
        composition: Composition,
    ) -> Result<Endpoint, AppError> {
        let mut endpoint = self.endpoint(application, endpoint)?;
        if endpoint.transformation.configured().is_some() {
            return Err(conflict(
                "endpoint_has_plugin",
                "a plugin reshapes what goes to the endpoint, which leaves nothing to a composition; take it away \
                 first (PATCH .../transformation with {\"plugin\": null})",
            ));
        }
        endpoint.transformation = Transformation::Composed(Box::new(composition));
        self.put_endpoint(endpoint)
    }

    /// Takes an endpoint's composition away: events go out as they came, to the endpoint's own URL.
    ///
    /// # Errors
    /// No such endpoint, or one without a composition.
    pub fn remove_composition(
        &mut self,
        application: ApplicationId,
        endpoint: EndpointId,
    ) -> Result<Endpoint, AppError> {
        let mut endpoint = self.endpoint(application, endpoint)?;
        composition_of(&endpoint)?;
        endpoint.transformation = Transformation::None;
        self.put_endpoint(endpoint)
    }
}

impl App {
    /// The request that an endpoint would send for an event, signed. Nothing is stored, nothing is sent.
    ///
    /// # Errors
    /// An endpoint without a composition, no such event, or an event that no request can be made of.
    pub async fn preview_composition(
        &self,
        endpoint: &Endpoint,
        preview_of: PreviewOf,
    ) -> Result<OutgoingRequest, AppError> {
        let composition = composition_of(endpoint)?;
        let (event, _memory) = match preview_of {
            PreviewOf::Sample(body) => (Arc::new(self.sample_event(endpoint.application, body)), None),
            PreviewOf::Recorded(id_or_uid) => {
                let read = self.event(endpoint.application, &id_or_uid).await?;
                (Arc::clone(&read), Some(read))
            }
        };
        let prepared = self
            .render(composition, &event)
            .await
            .map_err(|error| AppError::invalid(error.code(), error.to_string()))?;
        build(endpoint, &event, &prepared, &BoundSecrets::default(), self.moment())
            .map_err(|error| AppError::invalid(error.code(), error.to_string()))
    }

    fn sample_event(&self, application: ApplicationId, body: Bytes) -> Event {
        let event_type: Name = SAMPLE_EVENT_TYPE.parse().expect("it is a name");
        Event {
            id: self.new_id(self.now(), EventId::new),
            application,
            event_type,
            uid: None,
            channels: Channels::default(),
            ordering_key: None,
            content_type: ContentType::json(),
            body,
        }
    }
}

fn composition_of(endpoint: &Endpoint) -> Result<&Composition, AppError> {
    endpoint.transformation.composition().ok_or_else(|| AppError::not_found("composition"))
}
