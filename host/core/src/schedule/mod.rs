//! Who goes next.
//!
//! A state machine without I/O. The dispatcher tells it what happened (`endpoint_changed`, `appended`, `loaded`,
//! `finished`, `settled`, ...) and asks [`Scheduler::poll`] for the next [`Action`] until that is to sleep. Every
//! unfinished delivery is in the store; a bounded number of due ones is held in memory. A restart, a lost wake-up
//! and the happy case take the same path: "the store has something of this endpoint that is due at t".
//!
//! Theory of operation. An endpoint is *runnable* when it holds a delivery that order lets go, a place is free (its
//! own concurrency and what a crash may repeat of it, and its share of the router's), there is memory for what its plugin
//! or composition makes, and neither its rate, its application's rate, a pause nor its [breaker](crate::breaker) holds it
//! back. Runnable endpoints take turns in two-level deficit round robin. After every change of one endpoint `refresh`
//! decides, from its state alone, whether it joins the ring, wants a load, waits in line, or is woken at a moment.
//!
//! Places and memory are shared among applications first, then among the endpoints of each ([`resource`]). A load sets
//! memory aside before it begins, and an event is in memory once however many deliveries of it are ([`memory`]); so what
//! is held and in flight never takes more than [`BODIES_BYTES_MAX`](crate::limits::BODIES_BYTES_MAX).

use std::collections::BTreeSet;

use hashbrown::HashMap;

use crate::breaker::{BreakerConfig, Change};
use crate::id::{ApplicationId, DeliveryId, EndpointId};
use crate::limits::{
    ENDPOINT_HEADS_MAX, LOAD_BYTES_MAX, LOAD_BYTES_MIN, LOAD_ROWS_MAX, LOADS_IN_FLIGHT_MAX,
    MADE_ATTEMPT_BYTES, MADE_BYTES_MAX, MADE_RESERVE_BYTES, ROUTER_CONCURRENCY_MAX,
    ROUTER_CONCURRENCY_NEWCOMER, ROUTER_CONCURRENCY_RESERVE,
};
use crate::policy::{Ordering, Rate};
use crate::port::store::{AttemptTrigger, LoadDue, Loaded, PendingDelivery};
use crate::share::Shares;
use crate::time::UnixMillis;

mod memory;
mod queue;
mod rate;
mod resource;
mod ring;
mod runnable;
#[cfg(test)]
mod tests;

use memory::Bodies;
use queue::{EndpointQueue, LoadState};
use rate::Departures;
use resource::{Resource, Want};
use ring::Ring;
use runnable::{Go, go, held_back_until, wants_load};

/// What the scheduler must know of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndpointTerms {
    /// Whose turn it takes.
    pub application: ApplicationId,
    /// Whether it receives deliveries now.
    pub enabled: bool,
    /// Deliveries under way at once.
    pub concurrency: usize,
    /// Its own rate limit.
    pub rate: Option<Rate>,
    /// The limit for all endpoints of its application together.
    pub application_rate: Option<Rate>,
    /// Which deliveries keep their order.
    pub ordering: Ordering,
    /// Whether a plugin or a composition makes what is sent, for which memory is set aside.
    pub makes_requests: bool,
}

/// What an attempt says about the endpoint's health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// It took the delivery.
    Good,
    /// It did not.
    Bad,
    /// It was not asked: a plugin failed or dropped the event.
    Unknown,
    /// It was not asked, for want of something on this machine; it will be in a moment.
    NotSent,
}

/// What came of a delivery, for the schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeliveryEnd {
    /// Which endpoint.
    pub endpoint: EndpointId,
    /// Which delivery.
    pub delivery: DeliveryId,
    /// When the store will have it (or its parts) due again, if at all.
    pub again_due: Option<UnixMillis>,
    /// What it says about the endpoint.
    pub health: Health,
    /// The endpoint asked not to be called before.
    pub pause_until: Option<UnixMillis>,
    /// Bytes of what a plugin or composition made that wait to be stored with the delivery.
    pub kept_bytes: usize,
}

/// What to do next.
#[must_use]
#[derive(Debug)]
pub enum Action {
    /// Send this delivery, then tell [`Scheduler::finished`].
    Start {
        /// What to send.
        delivery: PendingDelivery,
        /// What is set aside for what its plugin or composition makes. Where it makes more, tell [`Scheduler::made_more`].
        made_bytes: usize,
    },
    /// Read the store, then tell [`Scheduler::loaded`] or [`Scheduler::load_failed`].
    Load(LoadDue),
    /// Nothing can be done before this moment, or before something happens.
    SleepUntil(Option<UnixMillis>),
}

/// How long the next load waits after one that brought nothing, such as rows behind a head that is not yet settled.
const RELOAD_AFTER_MILLIS: u64 = 10;
/// How long a failed load waits.
const LOAD_AGAIN_MILLIS: u64 = 1000;
/// A wait longer than this, for a pause or a rate, gives held deliveries back to the store.
const RELEASE_PAUSE_MILLIS: u64 = 2000;
/// A load is wanted when no more than this many deliveries are held.
const HELD_LOW_WATER: usize = ENDPOINT_HEADS_MAX / 4;

/// Decides who goes next.
#[derive(Debug)]
pub struct Scheduler {
    breaker: BreakerConfig,
    queues: HashMap<EndpointId, EndpointQueue>,
    ring: Ring,
    application_rates: HashMap<ApplicationId, Departures>,
    wake_ups: BTreeSet<(UnixMillis, EndpointId)>,
    /// One for each delivery under way.
    places: Resource,
    /// What is held and in flight; loads wait for it.
    bodies: Bodies,
    /// What plugins and compositions make.
    made: Resource,
    commit_wanted: bool,
    loads: usize,
}

impl Scheduler {
    /// Makes a scheduler that knows no endpoint.
    #[must_use]
    pub fn new(breaker: BreakerConfig) -> Self {
        let places =
            Shares::new(ROUTER_CONCURRENCY_MAX, ROUTER_CONCURRENCY_RESERVE, ROUTER_CONCURRENCY_NEWCOMER);
        Self {
            breaker,
            queues: HashMap::new(),
            ring: Ring::default(),
            application_rates: HashMap::new(),
            wake_ups: BTreeSet::new(),
            places: Resource::new(places),
            bodies: Bodies::new(),
            made: Resource::new(Shares::new(MADE_BYTES_MAX, MADE_RESERVE_BYTES, MADE_ATTEMPT_BYTES)),
            commit_wanted: false,
            loads: 0,
        }
    }

    /// Whether the endpoint was introduced by [`endpoint_changed`](Self::endpoint_changed).
    #[must_use]
    pub fn knows(&self, endpoint: EndpointId) -> bool {
        self.queues.contains_key(&endpoint)
    }

    /// Deliveries under way.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.places.used()
    }

    /// Bytes that deliveries take which are held or in flight, and what was made of them.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.bodies.used() + self.made.used()
    }

    /// Whether deliveries wait, or soon will, until others are [`settled`](Self::settled). Asking takes the wish back.
    pub fn take_commit_wanted(&mut self) -> bool {
        std::mem::take(&mut self.commit_wanted)
    }

    /// Whether the endpoint's breaker is closed; an unknown endpoint has nothing against it.
    #[must_use]
    pub fn is_healthy(&self, endpoint: EndpointId) -> bool {
        self.queues.get(&endpoint).is_none_or(|queue| queue.breaker.is_closed())
    }

    /// Until when the endpoint's breaker waits for its next probe, as [`Breaker::open_until`](crate::breaker::Breaker::open_until).
    #[must_use]
    pub fn open_until(&self, endpoint: EndpointId) -> Option<UnixMillis> {
        self.queues.get(&endpoint)?.breaker.open_until()
    }

    /// Lets an endpoint wait for its plugin, which fails too often.
    pub fn plugin_paused(&mut self, endpoint: EndpointId, until: UnixMillis, now: UnixMillis) {
        let Some(queue) = self.queues.get_mut(&endpoint) else { return };
        queue.plugin_paused_until = queue.plugin_paused_until.max(until);
        self.refresh(endpoint, now);
    }

    /// Introduces an endpoint, changes its terms, or (with `None`) removes it.
    ///
    /// What it holds goes back to the store and is read again under the new terms.
    pub fn endpoint_changed(&mut self, endpoint: EndpointId, terms: Option<EndpointTerms>, now: UnixMillis) {
        let Some(terms) = terms else {
            if let Some(queue) = self.queues.get_mut(&endpoint) {
                queue.release_held(&mut self.bodies);
                queue.stored_due = None;
                queue.terms.enabled = false;
                // Deliveries under way still count; the queue goes when they have ended.
                if queue.is_quiet() {
                    self.forget(endpoint);
                }
            }
            return;
        };
        let queue = self.queues.entry(endpoint).or_insert_with(|| EndpointQueue::new(terms));
        // What was held against its plugin was so under the old terms.
        queue.plugin_paused_until = UnixMillis(0);
        if queue.terms != terms {
            queue.release_held(&mut self.bodies);
            if terms.enabled && !queue.terms.enabled {
                // Whoever turns it on says that it works.
                queue.absolve();
            }
            queue.terms = terms;
            // Under way or disabled, something may be in the store that no one noted: look once.
            queue.note_stored(now);
        }
        self.refresh(endpoint, now);
    }

    /// Ends an endpoint's pause: what it waited for has come.
    pub fn resume(&mut self, endpoint: EndpointId, now: UnixMillis) {
        if let Some(queue) = self.queues.get_mut(&endpoint) {
            queue.paused_until = UnixMillis(0);
            self.refresh(endpoint, now);
        }
    }

    /// Takes a delivery that was committed just now.
    pub fn appended(&mut self, delivery: PendingDelivery, now: UnixMillis) {
        let endpoint = delivery.endpoint;
        let Some(queue) = self.queues.get_mut(&endpoint) else { return };
        if delivery.trigger == AttemptTrigger::Manual {
            queue.invite(now);
        }
        let left = self.bodies.bytes.left_for(queue.terms.application, queue.bytes());
        let room = queue.held_len() < ENDPOINT_HEADS_MAX && self.bodies.bytes_for(&delivery) <= left;
        queue.append(delivery, room, &mut self.bodies);
        self.refresh(endpoint, now);
    }

    /// Notes that the store has something of this endpoint, due at that moment.
    pub fn stored(&mut self, endpoint: EndpointId, due: UnixMillis, now: UnixMillis) {
        let Some(queue) = self.queues.get_mut(&endpoint) else { return };
        queue.note_stored(due);
        self.refresh(endpoint, now);
    }

    /// As [`stored`](Self::stored), at the request of a person or a program: it goes through an open breaker as its probe.
    pub fn requested(&mut self, endpoint: EndpointId, due: UnixMillis, now: UnixMillis) {
        if let Some(queue) = self.queues.get_mut(&endpoint) {
            queue.invite(now);
        }
        self.stored(endpoint, due, now);
    }

    /// Takes what a load brought.
    pub fn loaded(&mut self, endpoint: EndpointId, loaded: Loaded, now: UnixMillis) {
        self.loads -= 1;
        let Some(queue) = self.queues.get_mut(&endpoint) else { return };
        queue.loaded(loaded, UnixMillis(now.0 + RELOAD_AFTER_MILLIS), &mut self.bodies);
        self.refresh(endpoint, now);
    }

    /// Notes that a load failed; it is tried again after a second.
    pub fn load_failed(&mut self, endpoint: EndpointId, now: UnixMillis) {
        self.loads -= 1;
        let Some(queue) = self.queues.get_mut(&endpoint) else { return };
        queue.load_failed(UnixMillis(now.0 + LOAD_AGAIN_MILLIS), &mut self.bodies);
        self.refresh(endpoint, now);
    }

    /// Notes how much the plugin or composition made for a delivery under way, which may be nothing.
    pub fn made(&mut self, endpoint: EndpointId, delivery: DeliveryId, bytes: usize) {
        if let Some(queue) = self.queues.get_mut(&endpoint) {
            queue.made(delivery, bytes, &mut self.made);
        }
    }

    /// Notes that the plugin or composition made more for a delivery than was set aside. That is thrown away and nothing is
    /// recorded; the delivery starts again, and it and those behind it get [`MADE_ATTEMPT_BYTES`] for a while.
    pub fn made_more(&mut self, end: &DeliveryEnd, now: UnixMillis) {
        if let Some(queue) = self.queues.get_mut(&end.endpoint) {
            queue.expect_most();
        }
        let _ = self.finished(end, now);
        self.settled(end.endpoint, end.delivery, now);
    }

    /// Frees the place of a delivery that ended; answers a change of the endpoint's breaker, to log.
    pub fn finished(&mut self, end: &DeliveryEnd, now: UnixMillis) -> Option<Change> {
        let queue = self.queues.get_mut(&end.endpoint)?;
        self.places.give_back(queue.terms.application, 1);
        let change = queue.finish(&self.breaker, now, end, &mut self.bodies, &mut self.made);
        if let Some(until) = end.pause_until {
            queue.paused_until = queue.paused_until.max(until);
        }
        self.refresh(end.endpoint, now);
        change
    }

    /// Forgets deliveries whose completion is committed.
    pub fn settled(&mut self, endpoint: EndpointId, delivery: DeliveryId, now: UnixMillis) {
        let Some(queue) = self.queues.get_mut(&endpoint) else { return };
        queue.settle(delivery, &mut self.made);
        let removed = !queue.terms.enabled && queue.is_quiet() && queue.stored_due.is_none();
        if removed {
            self.forget(endpoint);
        } else {
            self.refresh(endpoint, now);
        }
    }

    /// The next action at this moment. Ask again until it is to sleep.
    pub fn poll(&mut self, now: UnixMillis) -> Action {
        self.wake(now);
        if let Some(load) = self.next_load(now) {
            return Action::Load(load);
        }
        loop {
            if let Some((delivery, made_bytes)) = self.next_start(now) {
                return Action::Start { delivery, made_bytes };
            }
            if !self.wake_waiting(now) {
                break;
            }
        }
        Action::SleepUntil(self.wake_ups.first().map(|(at, _)| *at))
    }

    fn wake(&mut self, now: UnixMillis) {
        while let Some((at, endpoint)) = self.wake_ups.first().copied() {
            if at > now {
                break;
            }
            self.wake_ups.pop_first();
            if let Some(queue) = self.queues.get_mut(&endpoint) {
                queue.wake_at = None;
            }
            self.refresh(endpoint, now);
        }
    }

    fn next_load(&mut self, now: UnixMillis) -> Option<LoadDue> {
        while self.loads < LOADS_IN_FLIGHT_MAX {
            let endpoint = self.bodies.bytes.next_waiting()?;
            let Some(queue) = self.queues.get_mut(&endpoint) else { continue };
            queue.waits_for_bytes = None;
            if !wants_load(queue, &self.application_rates, now) {
                continue;
            }
            let left = self.bodies.bytes.left_for(queue.terms.application, queue.bytes());
            let bytes_max = left.min(LOAD_BYTES_MAX);
            queue.begin_load(bytes_max, &mut self.bodies);
            self.loads += 1;
            return Some(LoadDue {
                endpoint,
                ordering: queue.terms.ordering,
                now,
                except: queue.known_ids(),
                // A breaker that is not closed lets one delivery go, and one is enough where memory is short.
                rows_max: if queue.breaker.is_closed() { LOAD_ROWS_MAX } else { 1 },
                bytes_max,
            });
        }
        None
    }

    fn next_start(&mut self, now: UnixMillis) -> Option<(PendingDelivery, usize)> {
        let Self { ring, queues, application_rates, breaker, places, made, .. } = self;
        let mut left: Vec<EndpointId> = Vec::new();
        let chosen = ring.next(|endpoint| {
            let cost = queues.get(&endpoint).and_then(|queue| {
                match go(queue, application_rates, places, made, now) {
                    Go::Now(next) => Some(ring::cost(next.body_bytes)),
                    Go::Later(_)
                    | Go::WhenSomethingEnds
                    | Go::WhenAPlaceIsFree
                    | Go::WhenThereIsMemory(_) => None,
                }
            });
            if cost.is_none() {
                left.push(endpoint);
            }
            cost
        });
        let started = chosen.and_then(|endpoint| {
            let queue = queues.get_mut(&endpoint)?;
            let made_bytes = queue.next()?.made_bytes;
            let delivery = queue.start(breaker, now, made_bytes)?;
            places.take(queue.terms.application, 1);
            made.take(queue.terms.application, made_bytes);
            if let Some(rate) = queue.terms.application_rate {
                application_rates.entry(queue.terms.application).or_default().count(rate, now);
            }
            Some((endpoint, delivery, made_bytes))
        });
        for endpoint in left {
            if let Some(queue) = self.queues.get_mut(&endpoint) {
                queue.in_ring = false;
            }
            self.refresh(endpoint, now);
        }
        let (endpoint, delivery, made_bytes) = started?;
        self.refresh(endpoint, now);
        Some((delivery, made_bytes))
    }

    /// Decides from an endpoint's state alone what it waits for.
    fn refresh(&mut self, endpoint: EndpointId, now: UnixMillis) {
        let Self { queues, application_rates, places, bodies, made, .. } = self;
        let Some(queue) = queues.get_mut(&endpoint) else { return };
        let application = queue.terms.application;
        self.commit_wanted |= queue.wants_commit();
        let (mut wake_at, mut wants_place, mut wants_made) = (None, None, None);
        match go(queue, application_rates, places, made, now) {
            Go::Now(_) if !queue.in_ring => {
                queue.in_ring = true;
                self.ring.join(application, endpoint);
            }
            Go::Now(_) | Go::WhenSomethingEnds => {}
            Go::WhenAPlaceIsFree => {
                wants_place = Some(Want { used: queue.under_way(), amount: 1 });
            }
            // Whoever waits longest: an endpoint has no share of its own of what lasts so short.
            Go::WhenThereIsMemory(amount) => wants_made = Some(Want { used: 0, amount }),
            Go::Later(at) => wake_at = Some(at),
        }
        places.set_waiting(&mut queue.waits_for_place, application, endpoint, wants_place);
        made.set_waiting(&mut queue.waits_for_made, application, endpoint, wants_made);
        let resumes = held_back_until(queue, application_rates, now);
        if resumes.is_some_and(|at| at.0 > now.0 + RELEASE_PAUSE_MILLIS) {
            queue.release_held(bodies);
        }
        let wants_load = wants_load(queue, application_rates, now);
        let wants_bytes = wants_load.then(|| Want { used: queue.bytes(), amount: LOAD_BYTES_MIN });
        bodies.bytes.set_waiting(&mut queue.waits_for_bytes, application, endpoint, wants_bytes);
        if !wants_load && queue.terms.enabled && queue.load == LoadState::Idle {
            let stored_due = queue.stored_due.filter(|due| *due > now);
            let load_at = stored_due.map(|due| resumes.map_or(due, |at| at.max(due))).or(resumes);
            wake_at = wake_at.into_iter().chain(load_at).min();
        }
        if queue.wake_at != wake_at {
            if let Some(at) = queue.wake_at {
                self.wake_ups.remove(&(at, endpoint));
            }
            if let Some(at) = wake_at {
                self.wake_ups.insert((at, endpoint));
            }
            queue.wake_at = wake_at;
        }
    }

    /// Lets the next endpoint look again that waits for something of which there is enough for it now.
    fn wake_waiting(&mut self, now: UnixMillis) -> bool {
        let endpoint = if let Some(endpoint) = self.places.next_waiting() {
            if let Some(queue) = self.queues.get_mut(&endpoint) {
                queue.waits_for_place = None;
            }
            endpoint
        } else if let Some(endpoint) = self.made.next_waiting() {
            if let Some(queue) = self.queues.get_mut(&endpoint) {
                queue.waits_for_made = None;
            }
            endpoint
        } else {
            return false;
        };
        self.refresh(endpoint, now);
        true
    }

    fn forget(&mut self, endpoint: EndpointId) {
        let Some(mut queue) = self.queues.remove(&endpoint) else { return };
        if let Some(at) = queue.wake_at {
            self.wake_ups.remove(&(at, endpoint));
        }
        let application = queue.terms.application;
        self.places.set_waiting(&mut queue.waits_for_place, application, endpoint, None);
        self.made.set_waiting(&mut queue.waits_for_made, application, endpoint, None);
        self.bodies.bytes.set_waiting(&mut queue.waits_for_bytes, application, endpoint, None);
    }
}
