//! Which endpoints an event goes to, and payloads that were read, without holding up who does I/O.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use hookmill_core::compose::{Composition, CompositionError};
use hookmill_core::endpoint::Endpoint;
use hookmill_core::event::Event;
use hookmill_core::id::{EndpointId, EventId};
use hookmill_core::json::{Document, JsonFault};
use hookmill_core::pattern::ROUTING_STEPS_MAX;
use hookmill_core::request::PreparedRequest;
use hookmill_core::route::{QUICK_STEPS_MAX, Routes, candidates};

use crate::{App, AppError};

/// Bytes of a payload that a composition is rendered with where the attempt is made. It is so few that all the variables
/// of a composition with it make no more than a body may have.
const QUICK_PAYLOAD_BYTES_MAX: usize = 4 << 10;
/// Bytes in memory of payloads that are kept after they were read.
const PAYLOADS_BYTES_MAX: usize = 16 << 20;
/// Payloads that are kept.
const PAYLOADS_MAX: usize = 64;

/// Payloads that were read lately: the compositions of an application's endpoints are rendered with one after the other.
#[derive(Debug, Default, Clone)]
pub(crate) struct Payloads(Arc<Mutex<Kept>>);

/// The oldest first.
type Kept = VecDeque<(EventId, Arc<Document>)>;

impl Payloads {
    /// The payload of an event, read once while it is kept.
    pub(crate) fn of(&self, event: &Event) -> Result<Arc<Document>, JsonFault> {
        let known =
            |kept: &Kept| kept.iter().find(|(id, _)| *id == event.id).map(|(_, payload)| Arc::clone(payload));
        if let Some(payload) = known(&self.kept()) {
            return Ok(payload);
        }
        let payload = Arc::new(Document::parse(event.body.clone())?);
        let mut kept = self.kept();
        if let Some(payload) = known(&kept) {
            return Ok(payload);
        }
        kept.push_back((event.id, Arc::clone(&payload)));
        let bytes = |kept: &Kept| -> usize { kept.iter().map(|(_, payload)| payload.bytes()).sum() };
        while kept.len() > PAYLOADS_MAX || bytes(&kept) > PAYLOADS_BYTES_MAX {
            kept.pop_front();
        }
        Ok(payload)
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl App {
    /// The endpoints that receive an event, oldest first; where the sender names one, only that one can.
    ///
    /// # Errors
    /// More work than one event may make; then the event is not accepted, so that none is accepted and not routed.
    pub(crate) async fn route(
        &self,
        event: &Arc<Event>,
        routes: &Routes,
        only: Option<EndpointId>,
    ) -> Result<Vec<Arc<Endpoint>>, AppError> {
        let candidates = candidates(event, routes, only);
        if candidates.are_quick(&event.body)
            && let Ok(endpoints) = candidates.decide(&event.body, QUICK_STEPS_MAX)
        {
            return Ok(endpoints);
        }
        let body = event.body.clone();
        let deciding = move || candidates.decide(&body, ROUTING_STEPS_MAX);
        let decided = self.workshop.run(event.application, deciding).await;
        decided.map_err(|_| {
            let message = format!(
                "to match this event with the patterns of its application's endpoints would take more than \
                 {ROUTING_STEPS_MAX} steps, so it was not accepted: send fewer values where the patterns look, name the \
                 endpoint that it is for, or give the endpoints fewer operators such as `wildcard` (plain values cost least)"
            );
            AppError::invalid("event_routing_too_costly", message)
        })
    }

    /// The request that a composition makes of an event.
    ///
    /// # Errors
    /// As for [`Composition::render_body`].
    pub(crate) async fn render(
        &self,
        composition: &Composition,
        event: &Arc<Event>,
    ) -> Result<PreparedRequest, CompositionError> {
        if event.body.len() <= QUICK_PAYLOAD_BYTES_MAX {
            return composition.render_body(&event.body);
        }
        let (payloads, composition, rendered) =
            (self.payloads.clone(), composition.clone(), Arc::clone(event));
        let rendering = move || match payloads.of(&rendered) {
            Ok(payload) => composition.render(payload.root()),
            Err(fault) => Err(CompositionError::EventNotJson { detail: fault.to_string() }),
        };
        self.workshop.run(event.application, rendering).await
    }
}
