//! What a run is about: one event on its way to one endpoint, or one request that came in.

use std::sync::Arc;

use hookmill_core::endpoint::Endpoint;
use hookmill_core::event::Event;
use hookmill_core::plugin::{InboundRequest, PluginDigest, ReceiverAnswer};
use hookmill_core::time::UnixMillis;

use super::RunState;
use super::drafts::Drafts;
use super::inbound::{EventDraft, ReplyDraft};
use super::outbound::RequestDraft;
use super::random::SeededRandom;
use crate::json::LazyJson;

/// What each world's plugin looks at and makes.
pub(super) enum Subject {
    Transform(Delivery, Drafts<RequestDraft>),
    Source(Inbound),
    Classifier(Delivery, Answer),
    /// Nothing, between two runs.
    Idle,
}

/// An event and where it goes.
pub(super) struct Delivery {
    pub(super) event: Arc<Event>,
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) attempt: u32,
    pub(super) body: LazyJson,
}

/// A request and the source that it came in by.
pub(super) struct Inbound {
    pub(super) source: Arc<str>,
    pub(super) request: Arc<InboundRequest>,
    pub(super) body: LazyJson,
    pub(super) events: Drafts<EventDraft>,
    pub(super) replies: Drafts<ReplyDraft>,
}

/// What a receiver answered.
pub(super) struct Answer {
    pub(super) response: Arc<ReceiverAnswer>,
    pub(super) body: LazyJson,
    /// The plugin has no opinion of it.
    pub(super) left_to_status: bool,
}

impl Subject {
    /// The numbers that a plugin of this version draws.
    pub(super) fn random(&self, digest: PluginDigest, now: UnixMillis) -> SeededRandom {
        match self {
            Self::Transform(delivery, _) | Self::Classifier(delivery, _) => {
                SeededRandom::of_delivery(delivery.event.id, delivery.endpoint.id, digest)
            }
            Self::Source(inbound) => SeededRandom::of_request(&inbound.source, &inbound.request, now, digest),
            Self::Idle => unreachable!("nothing runs between two runs"),
        }
    }
}

impl Delivery {
    pub(super) fn new(event: Arc<Event>, endpoint: Arc<Endpoint>, attempt: u32) -> Self {
        let body = LazyJson::new("event's body", event.body.clone());
        Self { event, endpoint, attempt, body }
    }
}

impl Inbound {
    pub(super) fn new(source: Arc<str>, request: Arc<InboundRequest>) -> Self {
        let body = LazyJson::new("request's body", request.body.clone());
        Self { source, request, body, events: Drafts::default(), replies: Drafts::default() }
    }
}

impl Answer {
    pub(super) fn new(response: Arc<ReceiverAnswer>) -> Self {
        let body = LazyJson::new("answer's body", response.body.clone());
        Self { response, body, left_to_status: false }
    }
}

/// `link` gives a plugin the functions of its own world only, and those ask for no other world's subject.
impl RunState {
    pub(super) fn delivery(&mut self) -> &mut Delivery {
        match &mut self.subject {
            Subject::Transform(delivery, _) | Subject::Classifier(delivery, _) => delivery,
            Subject::Source(_) | Subject::Idle => unreachable!("the world of sources has no events"),
        }
    }

    pub(super) fn requests(&mut self) -> &mut Drafts<RequestDraft> {
        match &mut self.subject {
            Subject::Transform(_, requests) => requests,
            Subject::Source(_) | Subject::Classifier(..) | Subject::Idle => {
                unreachable!("only transforms make requests")
            }
        }
    }

    pub(super) fn inbound(&mut self) -> &mut Inbound {
        match &mut self.subject {
            Subject::Source(inbound) => inbound,
            Subject::Transform(..) | Subject::Classifier(..) | Subject::Idle => {
                unreachable!("only sources see requests")
            }
        }
    }

    pub(super) fn answer(&mut self) -> &mut Answer {
        match &mut self.subject {
            Subject::Classifier(_, answer) => answer,
            Subject::Transform(..) | Subject::Source(_) | Subject::Idle => {
                unreachable!("only classifiers see answers")
            }
        }
    }
}
