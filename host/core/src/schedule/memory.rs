//! Event bodies in memory: each counted once, however many deliveries of however many endpoints hold it.

use std::sync::Arc;

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;

use super::resource::Resource;
use crate::event::Event;
use crate::id::{ApplicationId, EventId};
use crate::limits::{BODIES_BYTES_MAX, BODIES_NEWCOMER_BYTES, BODIES_RESERVE_BYTES};
use crate::port::store::PendingDelivery;
use crate::share::Shares;

/// The memory that deliveries take which are held or in flight.
#[derive(Debug)]
pub(super) struct Bodies {
    pub(super) bytes: Resource,
    events: HashMap<EventId, InMemory>,
}

#[derive(Debug)]
struct InMemory {
    event: Arc<Event>,
    deliveries: usize,
}

/// What a delivery takes of the memory while it is held or in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Charge {
    pub(super) event: EventId,
    /// Of the event, which it shares with others.
    event_bytes: usize,
    own_bytes: usize,
}

impl Charge {
    pub(super) fn of(delivery: &PendingDelivery) -> Self {
        Self {
            event: delivery.event.id,
            event_bytes: delivery.event.memory_bytes(),
            own_bytes: delivery.own_memory_bytes(),
        }
    }

    /// What the endpoint has of it, as if it were alone.
    pub(super) fn bytes(self) -> usize {
        self.event_bytes + self.own_bytes
    }
}

impl Bodies {
    pub(super) fn new() -> Self {
        let shares = Shares::new(BODIES_BYTES_MAX, BODIES_RESERVE_BYTES, BODIES_NEWCOMER_BYTES);
        Self { bytes: Resource::new(shares), events: HashMap::new() }
    }

    /// How much more memory it takes to hold this delivery.
    pub(super) fn bytes_for(&self, delivery: &PendingDelivery) -> usize {
        let charge = Charge::of(delivery);
        if self.events.contains_key(&charge.event) { charge.own_bytes } else { charge.bytes() }
    }

    /// Counts a delivery; of an event that is in memory already it gets that copy.
    pub(super) fn hold(&mut self, application: ApplicationId, delivery: &mut PendingDelivery) {
        let charge = Charge::of(delivery);
        let bytes = match self.events.entry(charge.event) {
            Entry::Occupied(mut known) => {
                known.get_mut().deliveries += 1;
                delivery.event = Arc::clone(&known.get().event);
                charge.own_bytes
            }
            Entry::Vacant(place) => {
                place.insert(InMemory { event: Arc::clone(&delivery.event), deliveries: 1 });
                charge.bytes()
            }
        };
        self.bytes.take(application, bytes);
    }

    /// Counts a delivery no longer.
    pub(super) fn release(&mut self, application: ApplicationId, charge: Charge) {
        let mut bytes = charge.own_bytes;
        if let Entry::Occupied(mut known) = self.events.entry(charge.event) {
            known.get_mut().deliveries -= 1;
            if known.get().deliveries == 0 {
                known.remove();
                bytes += charge.event_bytes;
            }
        }
        self.bytes.give_back(application, bytes);
    }

    /// Bytes that are counted.
    pub(super) fn used(&self) -> usize {
        self.bytes.used()
    }
}
