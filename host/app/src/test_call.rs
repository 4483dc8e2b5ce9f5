//! Test calls: an example of an event type, sent to one endpoint on the way that every event takes.

use bytes::Bytes;
use hookmill_core::catalog::known_event;
use hookmill_core::endpoint::{Endpoint, Filter};
use hookmill_core::event::{Channels, ContentType, Name};
use hookmill_core::payload_schema::newest_example;
use hookmill_core::route::Routes;

use crate::ingest::{Accepted, Incoming};
use crate::{App, AppError, ErrorKind};

impl App {
    /// Sends an endpoint the example of an event type: the first of the operator's newest schema, else that of a known
    /// system.
    ///
    /// # Errors
    /// No example, an endpoint that is turned off or does not take such events; else as for
    /// [`accept`](Self::accept).
    pub async fn send_example(
        &self,
        routes: &Routes,
        endpoint: &Endpoint,
        event_type: Name,
        idempotency_key: Option<String>,
    ) -> Result<Accepted, AppError> {
        let body = self.example(&event_type).ok_or_else(|| {
            AppError::invalid(
                "example_missing",
                format!(
                    "there is no example of `{event_type}`: give its schema `examples`, or send a message"
                ),
            )
        })?;
        self.check_taken(endpoint, &event_type, &body).await?;
        let incoming = Incoming {
            event_type,
            uid: None,
            channels: channels_for(&endpoint.filter),
            ordering_key: None,
            endpoint: Some(endpoint.id),
            content_type: ContentType::json(),
            body,
            idempotency_key,
        };
        self.accept(routes, incoming, None).await
    }

    fn example(&self, event_type: &Name) -> Option<Bytes> {
        let definition = self.table().event_types.get(event_type).cloned();
        let schemas = definition.as_ref().and_then(|definition| definition.schemas.as_deref());
        match schemas.and_then(newest_example) {
            Some(example) => Some(Bytes::from(example)),
            None => known_event(event_type.as_str())
                .map(|known| Bytes::from_static(known.example.trim_ascii_end().as_bytes())),
        }
    }

    /// Whether the endpoint's pattern wants an event with this body.
    async fn is_wanted(&self, endpoint: &Endpoint, body: &Bytes) -> bool {
        let Some(pattern) = endpoint.filter.pattern.clone() else { return true };
        let body = body.clone();
        // One that takes too much work to tell is refused when it is accepted, which says why.
        self.workshop.run(endpoint.application, move || pattern.wants(&body).unwrap_or(true)).await
    }

    /// A test call that would reach nobody is refused, with the reason.
    async fn check_taken(
        &self,
        endpoint: &Endpoint,
        event_type: &Name,
        body: &Bytes,
    ) -> Result<(), AppError> {
        let refused = |code, message: String| Err(AppError::new(ErrorKind::Conflict, code, message));
        if !endpoint.state.takes_events() {
            let message = "the endpoint is turned off; reactivate it first";
            return refused("endpoint_disabled", message.to_owned());
        }
        let Filter { event_types, channels: _, pattern: _ } = &endpoint.filter;
        if event_types.as_ref().is_some_and(|types| !types.contains(event_type)) {
            let message = format!("the endpoint does not take `{event_type}`; choose one of its event types");
            return refused("endpoint_not_subscribed", message);
        }
        if !self.is_wanted(endpoint, body).await {
            let message = format!("the example of `{event_type}` does not match the endpoint's pattern");
            return refused("endpoint_not_subscribed", message);
        }
        Ok(())
    }
}

/// One of the channels that the endpoint listens to, if it does not listen to all.
fn channels_for(filter: &Filter) -> Channels {
    let wanted = filter.channels.iter().flatten().next();
    wanted.and_then(|channel| Channels::new(vec![channel.clone()]).ok()).unwrap_or_default()
}
