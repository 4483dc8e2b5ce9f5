//! What the scheduler knows of one endpoint.
//!
//! Every unfinished delivery is in the store. The queue *holds* some of those that are due (its heads), and knows
//! when the earliest of the others is due (`stored_due`). It also knows which deliveries are under way or settling
//! (finished, but not yet committed), since the store still shows them and a load must not bring them back.

use std::collections::VecDeque;
use std::time::Duration;

use hashbrown::{HashMap, HashSet};

use super::memory::{Bodies, Charge};
use super::rate::Departures;
use super::resource::{Resource, Seat};
use super::{DeliveryEnd, EndpointTerms, Health};
use crate::breaker::{Attempt, Breaker, BreakerConfig, Change, Permit};
use crate::id::DeliveryId;
use crate::limits::{IN_FLIGHT_PER_PLACE, MADE_ATTEMPT_BYTES, MADE_EXPECTED_BODIES, MADE_EXPECTED_BYTES};
use crate::policy::Ordering;
use crate::port::store::{AttemptTrigger, Loaded, OrderKey, PendingDelivery};
use crate::time::UnixMillis;

/// How often people's deliveries are let through an open breaker.
const INVITED_EVERY: Duration = Duration::from_secs(1);
/// How many of an endpoint's deliveries get the most memory, after its plugin or composition made more than expected: few
/// runs are made twice even where each second one makes much.
const EXPECT_MOST_FOR: u32 = 64;

/// What the scheduler knows of one endpoint.
#[derive(Debug)]
pub(super) struct EndpointQueue {
    pub(super) terms: EndpointTerms,
    /// Due deliveries in memory, next first.
    held: VecDeque<PendingDelivery>,
    /// What deliveries that are held or in flight take, each as if no other endpoint had its event.
    bytes: usize,
    /// Deliveries that the store may show although they must not start: held, under way, settling.
    known: HashMap<DeliveryId, Known>,
    under_way: usize,
    settling: usize,
    /// When the earliest delivery that only the store has is due.
    pub(super) stored_due: Option<UnixMillis>,
    pub(super) load: LoadState,
    /// Order keys under way.
    busy_keys: HashSet<OrderKey>,
    /// Order keys whose head failed and is not yet settled, or settled during the load that is under way: what a
    /// load brings of them may be ahead of their head.
    stalled_keys: HashSet<OrderKey>,
    pub(super) rate: Departures,
    pub(super) breaker: Breaker,
    pub(super) paused_until: UnixMillis,
    /// The endpoint waits for its plugin, which fails too often.
    pub(super) plugin_paused_until: UnixMillis,
    /// When a person's delivery went last through a breaker that was open.
    invited_at: Option<UnixMillis>,
    /// Whether the endpoint is in the ring.
    pub(super) in_ring: bool,
    /// The moment for which a wake-up is set.
    pub(super) wake_at: Option<UnixMillis>,
    /// Where the endpoint waits for memory to load something into.
    pub(super) waits_for_bytes: Option<Seat>,
    /// Where it waits for a place.
    pub(super) waits_for_place: Option<Seat>,
    /// Where it waits for memory for what its plugin or composition makes.
    pub(super) waits_for_made: Option<Seat>,
    /// So many of its next deliveries get the most memory for what is made of them.
    expect_most: u32,
    /// The highest delivery that a load brought. One that is not higher and is reported as appended only now was
    /// in that load, and may have ended since.
    loaded_through: Option<DeliveryId>,
}

/// Where a delivery is that the store still shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    Held,
    InFlight { attempt: Attempt, order_key: Option<OrderKey>, charge: Charge, made_bytes: usize },
    Settling { again_due: Option<UnixMillis>, order_key: Option<OrderKey>, made_bytes: usize },
}

/// The delivery that would start next.
#[derive(Debug, Clone, Copy)]
pub(super) struct Next {
    pub(super) body_bytes: usize,
    /// What must be set aside for what its plugin or composition makes.
    pub(super) made_bytes: usize,
}

/// Whether a read of the store is under way.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum LoadState {
    #[default]
    Idle,
    /// Under way; with the deliveries that were settled meanwhile, which its snapshot may still show, and whether
    /// held ones were given back, which it left out: what it brings of their keys has gaps. So many bytes are set aside.
    UnderWay { settled: HashSet<DeliveryId>, gave_back: bool, bytes: usize },
}

impl EndpointQueue {
    pub(super) fn new(terms: EndpointTerms) -> Self {
        Self {
            terms,
            held: VecDeque::new(),
            bytes: 0,
            known: HashMap::new(),
            under_way: 0,
            settling: 0,
            stored_due: None,
            load: LoadState::Idle,
            busy_keys: HashSet::new(),
            stalled_keys: HashSet::new(),
            rate: Departures::default(),
            breaker: Breaker::default(),
            paused_until: UnixMillis(0),
            plugin_paused_until: UnixMillis(0),
            invited_at: None,
            in_ring: false,
            wake_at: None,
            waits_for_bytes: None,
            waits_for_place: None,
            waits_for_made: None,
            expect_most: 0,
            loaded_through: None,
        }
    }

    pub(super) fn held_len(&self) -> usize {
        self.held.len()
    }

    /// What its deliveries take that are held or in flight, each as if no other endpoint had its event.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn known_ids(&self) -> Vec<DeliveryId> {
        self.known.keys().copied().collect()
    }

    /// Deliveries that have started and not ended.
    pub(super) fn under_way(&self) -> usize {
        self.under_way
    }

    /// Whether another delivery may start: a crash would repeat what is under way and what is settling.
    pub(super) fn has_place(&self) -> bool {
        let places = self.terms.concurrency;
        self.under_way < places && self.under_way + self.settling < places * IN_FLIGHT_PER_PLACE
    }

    /// Whether a delivery that could start now will soon have to wait for a commit.
    pub(super) fn wants_commit(&self) -> bool {
        self.settling >= self.terms.concurrency && self.next_index().is_some()
    }

    /// Whether nothing of this endpoint is in memory.
    pub(super) fn is_quiet(&self) -> bool {
        self.known.is_empty() && self.load == LoadState::Idle
    }

    /// Takes a delivery into memory, or only remembers that the store has it.
    ///
    /// Where order matters, a new delivery must not overtake what only the store has.
    pub(super) fn append(&mut self, delivery: PendingDelivery, room: bool, bodies: &mut Bodies) {
        if self.known.contains_key(&delivery.id) {
            return;
        }
        let late = Some(delivery.id) <= self.loaded_through;
        let overtakes = self.terms.ordering != Ordering::Unordered
            && (self.stored_due.is_some()
                || self.load != LoadState::Idle
                || delivery.order_key.is_some_and(|key| self.stalled_keys.contains(&key)));
        if room && !late && !overtakes && self.terms.enabled {
            self.hold(delivery, bodies);
        } else {
            self.note_stored(delivery.due);
            // What is held behind it must not start before it.
            if let Some(key) = self.order_key(&delivery) {
                self.release_key(key, bodies);
            }
        }
    }

    /// Remembers that the store has a delivery which is not in memory.
    pub(super) fn note_stored(&mut self, due: UnixMillis) {
        self.stored_due = Some(self.stored_due.map_or(due, |earlier| earlier.min(due)));
    }

    /// Forgets what was held against the endpoint.
    pub(super) fn absolve(&mut self) {
        self.paused_until = UnixMillis(0);
        self.plugin_paused_until = UnixMillis(0);
        self.breaker = Breaker::default();
    }

    /// Lets a person's delivery through the breakers as their probe, once in [`INVITED_EVERY`]: whoever has hundreds sent
    /// again asks once as well.
    pub(super) fn invite(&mut self, now: UnixMillis) {
        let is_open = self.breaker.open_until().is_some_and(|until| until > now);
        if !is_open && self.plugin_paused_until <= now {
            return;
        }
        let at = match self.invited_at {
            // Asked for already.
            Some(next) if next > now => next,
            Some(last) => last.after(INVITED_EVERY).max(now),
            None => now,
        };
        self.invited_at = Some(at);
        self.breaker.probe_from(at);
        self.plugin_paused_until = self.plugin_paused_until.min(at);
    }

    /// Gives all held deliveries back to the store, where they still are.
    pub(super) fn release_held(&mut self, bodies: &mut Bodies) {
        self.note_given_back();
        while let Some(delivery) = self.held.pop_front() {
            self.give_back(&delivery, bodies);
        }
    }

    /// The delivery that would start next; none where order holds all of them back.
    pub(super) fn next(&self) -> Option<Next> {
        self.next_index().map(|index| {
            let delivery = &self.held[index];
            let body_bytes = delivery.event.body.len();
            let makes = self.terms.makes_requests && delivery.prepared.is_none();
            Next { body_bytes, made_bytes: if makes { self.expected_bytes(body_bytes) } else { 0 } }
        })
    }

    fn expected_bytes(&self, body_bytes: usize) -> usize {
        if self.expect_most > 0 {
            return MADE_ATTEMPT_BYTES;
        }
        (MADE_EXPECTED_BYTES + MADE_EXPECTED_BODIES * body_bytes).min(MADE_ATTEMPT_BYTES)
    }

    /// What was made of a delivery was more than expected.
    pub(super) fn expect_most(&mut self) {
        self.expect_most = EXPECT_MOST_FOR;
    }

    /// Starts the next delivery, for which `made_bytes` are set aside.
    pub(super) fn start(
        &mut self,
        config: &BreakerConfig,
        now: UnixMillis,
        made_bytes: usize,
    ) -> Option<PendingDelivery> {
        let index = self.next_index()?;
        let attempt = match self.breaker.permit(config, now) {
            Permit::Normal => Attempt::Normal,
            Permit::Probe => Attempt::Probe,
            Permit::Wait { .. } => return None,
        };
        let delivery = self.held.remove(index)?;
        if made_bytes > 0 {
            self.expect_most = self.expect_most.saturating_sub(1);
        }
        self.under_way += 1;
        let (order_key, charge) = (delivery.order_key, Charge::of(&delivery));
        self.known.insert(delivery.id, Known::InFlight { attempt, order_key, charge, made_bytes });
        if let Some(key) = self.order_key(&delivery) {
            self.busy_keys.insert(key);
        }
        if let Some(rate) = self.terms.rate {
            self.rate.count(rate, now);
        }
        Some(delivery)
    }

    /// Notes how much an attempt that is under way made, of what was set aside.
    pub(super) fn made(&mut self, id: DeliveryId, bytes: usize, made: &mut Resource) {
        if let Some(Known::InFlight { made_bytes, .. }) = self.known.get_mut(&id) {
            let surplus = made_bytes.saturating_sub(bytes);
            *made_bytes -= surplus;
            made.give_back(self.terms.application, surplus);
        }
    }

    /// Frees the place of a delivery and its memory but for what is kept of it; it stays known until it is settled.
    pub(super) fn finish(
        &mut self,
        config: &BreakerConfig,
        now: UnixMillis,
        end: &DeliveryEnd,
        bodies: &mut Bodies,
        made: &mut Resource,
    ) -> Option<Change> {
        let DeliveryEnd { delivery: id, again_due, health, kept_bytes, .. } = *end;
        self.made(id, kept_bytes, made);
        let Some(Known::InFlight { attempt, order_key, charge, made_bytes }) = self.known.get(&id).copied()
        else {
            return None;
        };
        self.known.insert(id, Known::Settling { again_due, order_key, made_bytes });
        self.release(charge, bodies);
        self.under_way -= 1;
        self.settling += 1;
        if let Some(key) = order_key {
            self.busy_keys.remove(&key);
            if again_due.is_some() {
                self.stalled_keys.insert(key);
                self.release_key(key, bodies);
            }
        }
        match health {
            Health::Good => self.breaker.record(config, attempt, true, now),
            Health::Bad => self.breaker.record(config, attempt, false, now),
            // A probe that said nothing of the receiver must not keep the breaker half-open.
            Health::Unknown if attempt == Attempt::Probe => self.breaker.record(config, attempt, false, now),
            Health::Unknown => None,
            Health::NotSent => {
                self.breaker.give_back(attempt, now);
                None
            }
        }
    }

    /// Forgets a delivery whose completion is committed.
    pub(super) fn settle(&mut self, id: DeliveryId, made: &mut Resource) {
        let Some(Known::Settling { again_due, order_key: _, made_bytes }) = self.known.get(&id).copied()
        else {
            return;
        };
        self.known.remove(&id);
        made.give_back(self.terms.application, made_bytes);
        self.settling -= 1;
        if let Some(due) = again_due {
            self.note_stored(due);
        }
        match &mut self.load {
            LoadState::UnderWay { settled, .. } => {
                settled.insert(id);
            }
            LoadState::Idle => self.forget_settled_keys(),
        }
    }

    /// Sets bytes aside for a load, which begins.
    pub(super) fn begin_load(&mut self, bytes: usize, bodies: &mut Bodies) {
        bodies.bytes.take(self.terms.application, bytes);
        self.load = LoadState::UnderWay { settled: HashSet::new(), gave_back: false, bytes };
        self.stored_due = None;
    }

    /// Takes what a load brought, less what is known and what would overtake. If nothing is left, the store is not
    /// read again before `again_at`.
    pub(super) fn loaded(&mut self, loaded: Loaded, again_at: UnixMillis, bodies: &mut Bodies) {
        let LoadState::UnderWay { settled, gave_back, bytes } = std::mem::take(&mut self.load) else {
            return;
        };
        bodies.bytes.give_back(self.terms.application, bytes);
        if let Some(due) = loaded.next_due {
            self.note_stored(due);
        }
        let held_before = self.held.len();
        let mut is_full = false;
        for delivery in loaded.deliveries {
            self.loaded_through = self.loaded_through.max(Some(delivery.id));
            if self.known.contains_key(&delivery.id) || settled.contains(&delivery.id) {
                continue;
            }
            let overtakes =
                self.order_key(&delivery).is_some_and(|key| gave_back || self.stalled_keys.contains(&key));
            // The store counted nothing for events that others held then, and they may have let them go since. What
            // follows must not overtake what finds no room.
            is_full |= !bodies.bytes.has(bodies.bytes_for(&delivery));
            if overtakes || is_full || !self.terms.enabled {
                self.note_stored(delivery.due);
            } else {
                self.hold(delivery, bodies);
            }
        }
        if self.held.len() == held_before {
            self.stored_due = self.stored_due.map(|due| due.max(again_at));
        }
        self.forget_settled_keys();
    }

    /// A load that failed leaves the store as it was: try again later.
    pub(super) fn load_failed(&mut self, again_at: UnixMillis, bodies: &mut Bodies) {
        let LoadState::UnderWay { bytes, .. } = std::mem::take(&mut self.load) else { return };
        bodies.bytes.give_back(self.terms.application, bytes);
        self.note_stored(again_at);
        self.forget_settled_keys();
    }

    /// With no load under way, a key is stalled only while its failed head is unsettled.
    fn forget_settled_keys(&mut self) {
        if !self.stalled_keys.is_empty() {
            let unsettled: HashSet<OrderKey> = self.known.values().filter_map(Known::stalled_key).collect();
            self.stalled_keys.retain(|key| unsettled.contains(key));
        }
    }

    fn note_given_back(&mut self) {
        if let LoadState::UnderWay { gave_back, .. } = &mut self.load {
            *gave_back = true;
        }
    }

    fn hold(&mut self, mut delivery: PendingDelivery, bodies: &mut Bodies) {
        self.known.insert(delivery.id, Known::Held);
        bodies.hold(self.terms.application, &mut delivery);
        self.bytes += Charge::of(&delivery).bytes();
        match self.terms.ordering {
            // A person waits for it, and it may be the probe of a breaker.
            Ordering::Unordered
                if delivery.trigger == AttemptTrigger::Manual && !self.breaker.is_closed() =>
            {
                self.held.push_front(delivery);
            }
            Ordering::Unordered => self.held.push_back(delivery),
            // Two commits can be reported in the other order; what order means is the store's numbering.
            Ordering::PerKey | Ordering::Strict => {
                let index = self.held.partition_point(|earlier| earlier.id < delivery.id);
                self.held.insert(index, delivery);
            }
        }
    }

    /// Gives a delivery that was held back to the store.
    fn give_back(&mut self, delivery: &PendingDelivery, bodies: &mut Bodies) {
        self.known.remove(&delivery.id);
        self.release(Charge::of(delivery), bodies);
        self.note_stored(delivery.due);
    }

    fn release(&mut self, charge: Charge, bodies: &mut Bodies) {
        self.bytes -= charge.bytes();
        bodies.release(self.terms.application, charge);
    }

    /// Gives the held deliveries of one key back to the store.
    fn release_key(&mut self, key: OrderKey, bodies: &mut Bodies) {
        self.note_given_back();
        let mut kept = VecDeque::with_capacity(self.held.len());
        while let Some(delivery) = self.held.pop_front() {
            if delivery.order_key == Some(key) {
                self.give_back(&delivery, bodies);
            } else {
                kept.push_back(delivery);
            }
        }
        self.held = kept;
    }

    fn next_index(&self) -> Option<usize> {
        match self.terms.ordering {
            Ordering::Unordered => (!self.held.is_empty()).then_some(0),
            Ordering::Strict => (self.busy_keys.is_empty() && !self.held.is_empty()).then_some(0),
            Ordering::PerKey => self
                .held
                .iter()
                .position(|delivery| delivery.order_key.is_none_or(|key| !self.busy_keys.contains(&key))),
        }
    }

    fn order_key(&self, delivery: &PendingDelivery) -> Option<OrderKey> {
        match self.terms.ordering {
            Ordering::Unordered => None,
            Ordering::PerKey | Ordering::Strict => delivery.order_key,
        }
    }
}

impl Known {
    fn stalled_key(&self) -> Option<OrderKey> {
        match self {
            Self::Settling { again_due: Some(_), order_key, .. } => *order_key,
            Self::Held | Self::InFlight { .. } | Self::Settling { again_due: None, .. } => None,
        }
    }
}
