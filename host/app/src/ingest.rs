//! The first bow: from a caller's event to one committed transaction.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hookmill_core::event::{Channels, ContentType, Event, Name};
use hookmill_core::id::{ApplicationId, EndpointId, EventId};
use hookmill_core::limits::{
    ACCEPTING_NEWCOMER_BYTES, EVENT_BODY_BYTES_MAX, EVENT_OVERHEAD_BYTES, IDEMPOTENCY_KEY_CHARS_MAX,
};
use hookmill_core::manifest::SETTINGS_CHECK_EVENT;
use hookmill_core::policy::Rate;
use hookmill_core::port::store::{
    Appended, AttemptTrigger, EventLookup, IdempotencyKey, NewDelivery, NewEvent, PendingDelivery, order_key,
};
use hookmill_core::route::Routes;
use sha2::{Digest, Sha256};

use crate::memory::Lease;
use crate::{App, AppError, ErrorKind};

/// How long what is read already waits for memory to go on in.
const MEMORY_WAIT_MAX: Duration = Duration::from_secs(5);
/// When to send again what found no memory.
const BUSY_RETRY: Duration = Duration::from_secs(1);

/// Memory of an event from before it is read until the dispatcher has heard of it.
pub type AcceptingMemory = Lease<ApplicationId>;

/// An event as a caller brings it; names are validated already.
#[derive(Debug, Clone)]
pub struct Incoming {
    /// What happened.
    pub event_type: Name,
    /// The sender's own id: a second event with it is the first one again.
    pub uid: Option<Name>,
    /// A second dimension to filter on.
    pub channels: Channels,
    /// Deliveries with equal keys keep their order at endpoints that ask for it.
    pub ordering_key: Option<Name>,
    /// The one endpoint that it is for; all that want it where there is none.
    pub endpoint: Option<EndpointId>,
    /// Media type of the body.
    pub content_type: ContentType,
    /// The payload.
    pub body: Bytes,
    /// The caller's `Idempotency-Key`, if it sent one.
    pub idempotency_key: Option<String>,
}

/// An accepted event. It is durable, and so are all of its deliveries.
#[derive(Debug, Clone)]
pub struct Accepted {
    /// The event; where the call was a repeat, the first one.
    pub event: Arc<Event>,
    /// Whether the event was known before.
    pub repeated: bool,
    /// The slowest rate of the endpoints that get it; none where they have none, or the event was known before.
    pub slowest: Option<Rate>,
}

/// What makes an event a repeat besides its uid.
pub(crate) struct Identity {
    pub(crate) idempotency_key: Option<IdempotencyKey>,
    /// Tells a repeat from a reuse.
    pub(crate) fingerprint: [u8; 32],
}

/// What became of an event that was brought.
pub(crate) enum Taken {
    /// Durable, with all of its deliveries.
    Stored {
        /// The event.
        event: Arc<Event>,
        /// The slowest rate of the endpoints that get it.
        slowest: Option<Rate>,
    },
    /// Known before.
    Repeat {
        /// The event that was stored first.
        first: EventId,
        /// Whether it had the same fingerprint.
        same: bool,
    },
}

impl App {
    /// Accepts one event of an application: routes it, stores it with its deliveries, hands them to the dispatcher.
    ///
    /// # Errors
    /// A body over the limit, an id or idempotency key that was used for another event, a full queue or disk, too many
    /// events of this application that wait for the disk.
    pub async fn accept(
        &self,
        routes: &Routes,
        incoming: Incoming,
        memory: Option<AcceptingMemory>,
    ) -> Result<Accepted, AppError> {
        // Before it is hashed.
        check_body(&incoming.body)?;
        let idempotency_key =
            incoming.idempotency_key.as_deref().map(|key| idempotency_key(routes, key)).transpose()?;
        let deduplicated = idempotency_key.is_some() || incoming.uid.is_some();
        let fingerprint = if deduplicated { fingerprint(&incoming) } else { [0; 32] };
        match self.take(routes, incoming, Identity { idempotency_key, fingerprint }, memory).await? {
            Taken::Stored { event, slowest } => Ok(Accepted { event, repeated: false, slowest }),
            Taken::Repeat { first, same: true } => {
                let stored = self.store.event(routes.application.id, EventLookup::Id(first)).await?;
                let event = stored.ok_or_else(|| AppError::not_found("event"))?;
                Ok(Accepted { event, repeated: true, slowest: None })
            }
            Taken::Repeat { first, same: false } => Err(AppError::new(
                ErrorKind::Conflict,
                "event_id_reused",
                format!(
                    "this event id or idempotency key was used for another event, {first}; choose a new one"
                ),
            )),
        }
    }

    /// Routes one event, stores it with its deliveries, and hands those to the dispatcher.
    ///
    /// # Errors
    /// A body over the limit, a type that is the router's own, an event that takes too much work to route, a full queue or
    /// disk.
    pub(crate) async fn take(
        &self,
        routes: &Routes,
        incoming: Incoming,
        identity: Identity,
        memory: Option<AcceptingMemory>,
    ) -> Result<Taken, AppError> {
        check_body(&incoming.body)?;
        if incoming.event_type.as_str() == SETTINGS_CHECK_EVENT {
            let message = format!(
                "events of the type `{SETTINGS_CHECK_EVENT}` are the router's own; name it otherwise"
            );
            return Err(AppError::invalid("event_type_reserved", message));
        }
        let memory = match memory {
            Some(memory) => memory,
            None => {
                let bytes = incoming.body.len() + EVENT_OVERHEAD_BYTES;
                self.accepting_memory(routes.application.id, bytes, MEMORY_WAIT_MAX).await?
            }
        };
        let event = Arc::new(Event {
            id: self.new_id(self.clock.now(), EventId::new),
            application: routes.application.id,
            event_type: incoming.event_type,
            uid: incoming.uid,
            channels: incoming.channels,
            ordering_key: incoming.ordering_key,
            content_type: incoming.content_type,
            body: incoming.body,
        });
        let endpoints = self.route(&event, routes, incoming.endpoint).await?;
        let slowest =
            endpoints.iter().filter_map(|endpoint| endpoint.policy.effective().rate).reduce(Rate::slower);
        let deliveries: Vec<NewDelivery> = endpoints
            .iter()
            .map(|endpoint| NewDelivery {
                endpoint: endpoint.id,
                order_key: order_key(endpoint.policy.effective().ordering, &event),
            })
            .collect();
        // Who sends to one endpoint only wants to see what that does: it is not made to wait behind a breaker.
        let trigger = match incoming.endpoint {
            Some(_) => AttemptTrigger::Manual,
            None => AttemptTrigger::Scheduled,
        };
        let accepted = self.steady();
        let new = NewEvent {
            event: Arc::clone(&event),
            accepted,
            deliveries: deliveries.clone(),
            idempotency_key: identity.idempotency_key,
            fingerprint: identity.fingerprint,
        };
        match self.store.append(new).await? {
            Appended::Stored(ids) => {
                let pending = ids.into_iter().zip(deliveries).map(|(id, delivery)| PendingDelivery {
                    id,
                    event: Arc::clone(&event),
                    endpoint: delivery.endpoint,
                    order_key: delivery.order_key,
                    attempts_made: 0,
                    trigger,
                    due: accepted,
                    prepared: None,
                });
                self.dispatcher.appended(pending.collect(), memory);
                self.metrics.event_accepted();
                Ok(Taken::Stored { event, slowest })
            }
            Appended::Duplicate { first, same } => {
                self.metrics.event_repeated();
                Ok(Taken::Repeat { first, same })
            }
        }
    }
}

impl App {
    /// Leases memory to accept something of an application in, and waits for it where others of the same application
    /// have what there is for it. No more than [`ACCEPTING_NEWCOMER_BYTES`](hookmill_core::limits::ACCEPTING_NEWCOMER_BYTES) are ever granted.
    ///
    /// # Errors
    /// Where it does not come in time.
    pub async fn accepting_memory(
        &self,
        application: ApplicationId,
        bytes: usize,
        wait_max: Duration,
    ) -> Result<AcceptingMemory, AppError> {
        let bytes = bytes.min(ACCEPTING_NEWCOMER_BYTES);
        if let Some(lease) = self.accepting.try_lease(application, bytes) {
            return Ok(lease);
        }
        tokio::time::timeout(wait_max, self.accepting.lease(application, bytes)).await.map_err(|_| {
            AppError::new(
                ErrorKind::Busy(BUSY_RETRY),
                "overloaded",
                "too many bytes of this application's events are being read or wait for the disk; nothing was stored, \
                 send it again after a moment, and fewer at once",
            )
        })
    }
}

fn check_body(body: &Bytes) -> Result<(), AppError> {
    if body.len() <= EVENT_BODY_BYTES_MAX {
        return Ok(());
    }
    Err(AppError::new(
        ErrorKind::TooLarge,
        "event_body_too_large",
        format!("the body has {} bytes, an event has at most {EVENT_BODY_BYTES_MAX}", body.len()),
    ))
}

/// Scopes the caller's key to its application. A key that is empty or too long is refused.
fn idempotency_key(routes: &Routes, key: &str) -> Result<IdempotencyKey, AppError> {
    if !(1..=IDEMPOTENCY_KEY_CHARS_MAX).contains(&key.len()) {
        return Err(AppError::invalid(
            "idempotency_key_invalid",
            format!("an idempotency key has 1 to {IDEMPOTENCY_KEY_CHARS_MAX} characters"),
        ));
    }
    let digest = Sha256::new()
        .chain_update(b"event\0")
        .chain_update(routes.application.id.to_bytes())
        .chain_update(key.as_bytes())
        .finalize();
    Ok(IdempotencyKey(digest.into()))
}

/// Tells a repeat from a reuse: everything that the caller said about the event but its ids.
fn fingerprint(incoming: &Incoming) -> [u8; 32] {
    let mut digest = Sha256::new();
    let mut field = |bytes: &[u8]| {
        digest.update((bytes.len() as u64).to_le_bytes());
        digest.update(bytes);
    };
    field(incoming.event_type.as_str().as_bytes());
    field(incoming.content_type.as_str().as_bytes());
    field(incoming.ordering_key.as_ref().map(Name::as_str).unwrap_or_default().as_bytes());
    if let Some(endpoint) = incoming.endpoint {
        field(&endpoint.to_bytes());
    }
    for channel in incoming.channels.as_slice() {
        field(channel.as_str().as_bytes());
    }
    field(&incoming.body);
    digest.finalize().into()
}
