//! Things for stores to keep. Every `number` gives another thing of its kind.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hookmill_core::address::DeliveryUrl;
use hookmill_core::application::{Application, Metadata};
use hookmill_core::endpoint::{CustomHeaders, Endpoint, EndpointState, Filter, Transformation};
use hookmill_core::event::{Channels, ContentType, Event, Name};
use hookmill_core::id::{ApplicationId, AttemptId, DeliveryId, EndpointId, EventId};
use hookmill_core::policy::{Ordering, Policy};
use hookmill_core::port::Store;
use hookmill_core::port::store::{
    Appended, AttemptRecord, AttemptResult, AttemptTrigger, Change, Completion, Finished, LoadDue, Loaded,
    NewDelivery, NewEvent, PendingDelivery, StoreError,
};
use hookmill_core::request::{PreparedRequest, RequestBody, SecretHeader};
use hookmill_core::signature::{SigningKey, SigningKeys};
use hookmill_core::time::UnixMillis;
use hookmill_core::trace::SentTo;

/// When tests begin.
pub const NOW: UnixMillis = UnixMillis(1_795_309_323_004);

/// A moment after [`NOW`].
#[must_use]
pub fn at(millis: u64) -> UnixMillis {
    UnixMillis(NOW.0 + millis)
}

/// A name that is known to be valid.
///
/// # Panics
/// Where it is not.
#[must_use]
pub fn name(text: &str) -> Name {
    text.parse().expect("tests name valid names")
}

/// The id of a tenant.
#[must_use]
pub fn application_id(number: u128) -> ApplicationId {
    ApplicationId::new(NOW, number)
}

/// The id of a destination.
#[must_use]
pub fn endpoint_id(number: u128) -> EndpointId {
    EndpointId::new(NOW, number)
}

/// A plain tenant.
#[must_use]
pub fn application(number: u128) -> Application {
    Application {
        id: application_id(number),
        uid: None,
        name: format!("tenant {number}"),
        rate_limit: None,
        metadata: Metadata::default(),
        created_at: NOW,
        updated_at: NOW,
    }
}

/// A plain destination of the tenant with number `application`.
///
/// # Panics
/// Never; the URL and key are valid.
#[must_use]
pub fn endpoint(number: u128, application: u128) -> Endpoint {
    let random: Vec<u8> = (0..24).map(|index| u8::try_from((number + index) % 251).unwrap_or(0)).collect();
    Endpoint {
        id: endpoint_id(number),
        application: application_id(application),
        uid: None,
        url: DeliveryUrl::parse(&format!("https://receiver.example/{number}")).expect("a valid URL"),
        description: String::new(),
        filter: Filter::default(),
        state: EndpointState::Enabled,
        verification: None,
        headers: CustomHeaders::default(),
        metadata: Metadata::default(),
        signing: SigningKeys::new(SigningKey::generate_symmetric(&random).expect("24 bytes are enough")),
        transformation: Transformation::None,
        classifier: None,
        policy: Policy::default(),
        created_at: NOW,
        updated_at: NOW,
    }
}

/// A plain event of the tenant with number `application`, accepted at `accepted_at`.
#[must_use]
pub fn event(number: u128, application: u128, accepted_at: UnixMillis) -> Event {
    Event {
        id: EventId::new(accepted_at, number),
        application: application_id(application),
        event_type: name("invoice.paid"),
        uid: None,
        channels: Channels::default(),
        ordering_key: None,
        content_type: ContentType::json(),
        body: Bytes::from(format!("{{\"number\":{number}}}")),
    }
}

/// An event to store, to destinations without order.
#[must_use]
pub fn new_event(event: Event, endpoints: &[u128]) -> NewEvent {
    NewEvent {
        accepted: event.accepted_at(),
        event: Arc::new(event),
        deliveries: endpoints.iter().map(|number| unordered(*number)).collect(),
        idempotency_key: None,
        fingerprint: [1; 32],
    }
}

/// A delivery to a destination without order.
#[must_use]
pub fn unordered(endpoint: u128) -> NewDelivery {
    NewDelivery { endpoint: endpoint_id(endpoint), order_key: None }
}

/// A successful attempt of this delivery.
#[must_use]
pub fn attempt(delivery: &PendingDelivery, number: u128, began_at: UnixMillis) -> AttemptRecord {
    AttemptRecord {
        id: AttemptId::new(began_at, number),
        application: delivery.event.application,
        event: delivery.event.id,
        endpoint: delivery.endpoint,
        number: delivery.attempts_made + 1,
        duration: Duration::from_millis(12),
        result: AttemptResult::Delivered,
        status: Some(200),
        failure_code: None,
        detail: "".into(),
        response: Bytes::new(),
        trigger: AttemptTrigger::Scheduled,
        plugin: None,
        sent_to: SentTo::Endpoint("https://receiver.example/hook".into()),
        trace: None,
        next_due: None,
    }
}

/// What comes of a delivery, with an attempt that fits.
#[must_use]
pub fn finished(
    delivery: &PendingDelivery,
    number: u128,
    began_at: UnixMillis,
    completion: Completion,
) -> Finished {
    let result = match &completion {
        Completion::Delivered => AttemptResult::Delivered,
        Completion::Dropped => AttemptResult::Dropped,
        Completion::Retry { .. } | Completion::Dead(_) => AttemptResult::Failed,
        Completion::Split(_) => AttemptResult::Split,
    };
    let attempt = AttemptRecord { result, ..attempt(delivery, number, began_at) };
    Finished { delivery: delivery.id, attempt: Box::new(attempt), completion }
}

/// A request that a plugin made.
///
/// # Panics
/// Never; the URL and header are valid.
#[must_use]
pub fn prepared(number: u128) -> PreparedRequest {
    let mut headers = http::HeaderMap::new();
    headers.append("x-part", http::HeaderValue::from(u64::try_from(number).unwrap_or(0)));
    headers.append("x-part", http::HeaderValue::from_bytes(b"caf\xe9").expect("visible bytes"));
    PreparedRequest {
        method: http::Method::PUT,
        url: DeliveryUrl::parse("https://other.example/path?q=1").expect("a valid URL"),
        made_for: Some(DeliveryUrl::parse("https://other.example/own").expect("a valid URL")),
        headers,
        secret_headers: vec![SecretHeader {
            name: http::header::AUTHORIZATION,
            prefix: http::HeaderValue::from_static("Bearer "),
            secret: "token".parse().expect("a valid name"),
            suffix: http::HeaderValue::from_bytes(b"\xe9").expect("visible bytes"),
        }],
        body: RequestBody::Replaced(Bytes::from(vec![0, 159, 146, u8::try_from(number % 256).unwrap_or(0)])),
        part: Some(name(&format!("part-{number}"))),
    }
}

/// Stores tenants 1 and 2: destinations 11 and 12 are of the first, 21 is of the second.
///
/// # Panics
/// Where the store does not take them.
pub async fn furnish(store: &impl Store) {
    let changes = vec![
        Change::PutApplication(application(1)),
        Change::PutApplication(application(2)),
        Change::PutEndpoint(Box::new(endpoint(11, 1))),
        Change::PutEndpoint(Box::new(endpoint(12, 1))),
        Change::PutEndpoint(Box::new(endpoint(21, 2))),
    ];
    store.apply(changes).await.expect("an empty store takes a configuration");
}

/// Stores an event that is not known and answers the ids of its deliveries.
///
/// # Panics
/// Where it is known or not stored.
pub async fn append(store: &impl Store, new: NewEvent) -> Vec<DeliveryId> {
    match store.append(new).await {
        Ok(Appended::Stored(deliveries)) => deliveries,
        other => panic!("not stored: {other:?}"),
    }
}

/// Reads all that is due at `now`.
///
/// # Panics
/// Where the store does not answer.
pub async fn load(store: &impl Store, endpoint: u128, ordering: Ordering, now: UnixMillis) -> Loaded {
    store.load_due(load_due(endpoint, ordering, now)).await.expect("a store reads")
}

/// Asks for all that is due at `now`.
#[must_use]
pub fn load_due(endpoint: u128, ordering: Ordering, now: UnixMillis) -> LoadDue {
    LoadDue {
        endpoint: endpoint_id(endpoint),
        ordering,
        now,
        except: Vec::new(),
        rows_max: 1000,
        bytes_max: 1 << 30,
    }
}

/// Records what came of one delivery.
///
/// # Panics
/// Where the store does not take it.
pub async fn finish(store: &impl Store, finished: Finished) {
    store.finish(vec![finished]).await.expect("a store takes completions");
}

/// The ids of deliveries.
#[must_use]
pub fn ids(deliveries: &[PendingDelivery]) -> Vec<DeliveryId> {
    deliveries.iter().map(|delivery| delivery.id).collect()
}

/// A value that was taken.
pub fn conflict<T>(what: &'static str) -> Result<T, StoreError> {
    Err(StoreError::Conflict { what })
}
