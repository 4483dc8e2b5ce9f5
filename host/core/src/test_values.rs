//! An application, an endpoint and an event for the tests of this crate.

use bytes::Bytes;

use crate::address::DeliveryUrl;
use crate::application::{Application, Metadata};
use crate::endpoint::{CustomHeaders, Endpoint, EndpointState, Filter, Transformation};
use crate::event::{Channels, ContentType, Event, Name};
use crate::id::{ApplicationId, EndpointId, EventId, SourceId};
use crate::inbound::Dedupe;
use crate::policy::Policy;
use crate::signature::{SigningKey, SigningKeys};
use crate::source::{EventTypeFrom, Intake, ReplayWindow, Source, SourceState, SuccessStatus, Verification};
use crate::time::UnixMillis;

const BORN: UnixMillis = UnixMillis(1_800_000_000_000);

pub(crate) fn application() -> Application {
    Application {
        id: ApplicationId::new(BORN, 1),
        uid: None,
        name: "test".to_owned(),
        rate_limit: None,
        metadata: Metadata::default(),
        created_at: BORN,
        updated_at: BORN,
    }
}

pub(crate) fn endpoint(url: &str) -> Endpoint {
    Endpoint {
        id: EndpointId::new(BORN, 2),
        application: application().id,
        uid: None,
        url: DeliveryUrl::parse(url).unwrap(),
        description: String::new(),
        filter: Filter::default(),
        state: EndpointState::Enabled,
        verification: None,
        headers: CustomHeaders::default(),
        metadata: Metadata::default(),
        signing: SigningKeys::new(SigningKey::generate_symmetric(&[7; 32]).unwrap()),
        transformation: Transformation::None,
        classifier: None,
        policy: Policy::default(),
        created_at: BORN,
        updated_at: BORN,
    }
}

pub(crate) fn source(name: &str) -> Source {
    Source {
        id: SourceId::new(BORN, 4),
        name: name.parse().unwrap(),
        application: application().id,
        description: String::new(),
        state: SourceState::Enabled,
        verification: Verification::None,
        verify_token: None,
        public_url: None,
        replay_window: ReplayWindow::default(),
        dedupe: Dedupe::default(),
        success: SuccessStatus::usual(&Verification::None),
        intake: Intake::AsItIs(EventTypeFrom::default()),
        created_at: BORN,
        updated_at: BORN,
    }
}

pub(crate) fn event(body: &'static [u8]) -> Event {
    Event {
        id: EventId::new(BORN, 3),
        application: application().id,
        event_type: "test.event".parse().unwrap(),
        uid: None,
        channels: Channels::default(),
        ordering_key: None,
        content_type: ContentType::json(),
        body: Bytes::from_static(body),
    }
}

pub(crate) fn names(list: &[&str]) -> Vec<Name> {
    list.iter().map(|text| text.parse().unwrap()).collect()
}
