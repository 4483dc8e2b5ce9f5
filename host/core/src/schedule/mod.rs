//! Who goes next.
//!
//! A state machine without I/O. The dispatcher tells it what happened (`endpoint_changed`, `appended`, `loaded`,
//! `finished`, `settled`, ...) and asks [`Scheduler::poll`] for the next [`Action`] until that is to sleep. Every
//! unfinished delivery is in the store; a bounded number of due ones is held in memory. A restart, a lost wake-up
//! and the happy case take the same path: "the store has something of this endpoint that is due at t".
//!
//! Theory of operation. An endpoint is *runnable* when it holds a delivery that order lets go, a place is free (its
//! own concurrency and what a crash may repeat of it, the router's, and a fair share of what is left of the latter), and neither its rate, its
//! application's rate, a pause nor its [breaker](crate::breaker) holds it back. Runnable endpoints take turns in
//! two-level deficit round robin. After every change of one endpoint `refresh` decides, from its state alone,
//! whether it joins the ring, wants a load, or is woken at a moment.

use std::collections::{BTreeSet, HashMap, VecDeque};

use crate::breaker::{BreakerConfig, Change, Permit};
use crate::id::{ApplicationId, DeliveryId, EndpointId};
use crate::limits::{
    ENDPOINT_HEADS_MAX, HEADS_BYTES_MAX, LOAD_BYTES_MAX, LOAD_ROWS_MAX, LOADS_IN_FLIGHT_MAX,
    ROUTER_CONCURRENCY_MAX,
};
use crate::policy::{Ordering, Rate};
use crate::port::store::{AttemptTrigger, LoadDue, Loaded, PendingDelivery};
use crate::time::UnixMillis;

mod queue;
mod rate;
mod ring;
#[cfg(test)]
mod tests;

use queue::{EndpointQueue, LoadState};
use rate::Departures;
use ring::Ring;

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
}

/// What to do next.
#[must_use]
#[derive(Debug)]
pub enum Action {
    /// Send this delivery, then tell [`Scheduler::finished`].
    Start(PendingDelivery),
    /// Read the store, then tell [`Scheduler::loaded`] or [`Scheduler::load_failed`].
    Load(LoadDue),
    /// Nothing can be done before this moment, or before something happens.
    SleepUntil(Option<UnixMillis>),
}

/// How long the next load waits after one that brought nothing, such as rows behind a head that is not yet settled.
const RELOAD_AFTER_MILLIS: u64 = 10;
/// How long a failed load waits.
const LOAD_AGAIN_MILLIS: u64 = 1000;
/// A pause longer than this gives held deliveries back to the store.
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
    load_wanted: VecDeque<EndpointId>,
    wake_ups: BTreeSet<(UnixMillis, EndpointId)>,
    /// Endpoints whose fair share of places is used up, longest waiting first.
    starved: VecDeque<EndpointId>,
    under_way: usize,
    commit_wanted: bool,
    loads: usize,
    held_bytes: usize,
}

impl Scheduler {
    /// Makes a scheduler that knows no endpoint.
    #[must_use]
    pub fn new(breaker: BreakerConfig) -> Self {
        Self {
            breaker,
            queues: HashMap::new(),
            ring: Ring::default(),
            application_rates: HashMap::new(),
            load_wanted: VecDeque::new(),
            wake_ups: BTreeSet::new(),
            starved: VecDeque::new(),
            under_way: 0,
            commit_wanted: false,
            loads: 0,
            held_bytes: 0,
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
        self.under_way
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
                self.held_bytes -= queue.held_bytes();
                queue.release_held();
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
            self.held_bytes -= queue.held_bytes();
            queue.release_held();
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
        let room = self.held_bytes + delivery.event.body.len() <= HEADS_BYTES_MAX;
        let Some(queue) = self.queues.get_mut(&endpoint) else { return };
        if delivery.trigger == AttemptTrigger::Manual {
            queue.invite(now);
        }
        let room = queue.held_len() < ENDPOINT_HEADS_MAX && (room || queue.held_len() == 0);
        let before = queue.held_bytes();
        queue.append(delivery, room);
        self.held_bytes = self.held_bytes - before + queue.held_bytes();
        self.refresh(endpoint, now);
    }

    /// Notes that the store has something of this endpoint, due at that moment.
    pub fn stored(&mut self, endpoint: EndpointId, due: UnixMillis, now: UnixMillis) {
        let Some(queue) = self.queues.get_mut(&endpoint) else { return };
        queue.note_stored(due);
        self.refresh(endpoint, now);
    }

    /// Takes what a load brought.
    pub fn loaded(&mut self, endpoint: EndpointId, loaded: Loaded, now: UnixMillis) {
        self.loads -= 1;
        let Some(queue) = self.queues.get_mut(&endpoint) else { return };
        let before = queue.held_bytes();
        queue.loaded(loaded, UnixMillis(now.0 + RELOAD_AFTER_MILLIS));
        self.held_bytes += queue.held_bytes() - before;
        self.refresh(endpoint, now);
    }

    /// Notes that a load failed; it is tried again after a second.
    pub fn load_failed(&mut self, endpoint: EndpointId, now: UnixMillis) {
        self.loads -= 1;
        let Some(queue) = self.queues.get_mut(&endpoint) else { return };
        queue.load_failed(UnixMillis(now.0 + LOAD_AGAIN_MILLIS));
        self.refresh(endpoint, now);
    }

    /// Frees the place of a delivery that ended; answers a change of the endpoint's breaker, to log.
    pub fn finished(&mut self, end: &DeliveryEnd, now: UnixMillis) -> Option<Change> {
        self.under_way -= 1;
        self.offer_place(now);
        let queue = self.queues.get_mut(&end.endpoint)?;
        let before = queue.held_bytes();
        let change = queue.finish(&self.breaker, now, end.delivery, end.again_due, end.health);
        self.held_bytes -= before - queue.held_bytes();
        if let Some(until) = end.pause_until {
            queue.paused_until = queue.paused_until.max(until);
        }
        self.refresh(end.endpoint, now);
        change
    }

    /// Forgets deliveries whose completion is committed.
    pub fn settled(&mut self, endpoint: EndpointId, delivery: DeliveryId, now: UnixMillis) {
        let Some(queue) = self.queues.get_mut(&endpoint) else { return };
        queue.settle(delivery);
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
        if let Some(delivery) = self.next_start(now) {
            return Action::Start(delivery);
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
            let endpoint = self.load_wanted.pop_front()?;
            let Some(queue) = self.queues.get_mut(&endpoint) else { continue };
            queue.load_wanted = false;
            let bytes_left = HEADS_BYTES_MAX.saturating_sub(self.held_bytes);
            if !wants_load(queue, now) {
                continue;
            }
            queue.load = LoadState::UnderWay { settled: Default::default(), gave_back: false };
            queue.stored_due = None;
            self.loads += 1;
            return Some(LoadDue {
                endpoint,
                ordering: queue.terms.ordering,
                now,
                except: queue.known_ids(),
                // A breaker that is not closed lets one delivery go, and one is enough where memory is short.
                rows_max: if queue.breaker.is_closed() { LOAD_ROWS_MAX } else { 1 },
                bytes_max: LOAD_BYTES_MAX.min(bytes_left).max(1),
            });
        }
        None
    }

    fn next_start(&mut self, now: UnixMillis) -> Option<PendingDelivery> {
        let Self { ring, queues, application_rates, breaker, under_way, .. } = self;
        let free = ROUTER_CONCURRENCY_MAX.saturating_sub(*under_way);
        let mut left: Vec<EndpointId> = Vec::new();
        let chosen = ring.next(|endpoint| {
            let cost =
                queues.get(&endpoint).and_then(|queue| match go(queue, application_rates, free, now) {
                    Go::Now { body_bytes } => Some(ring::cost(body_bytes)),
                    Go::Later(_) | Go::WhenSomethingEnds | Go::WhenAPlaceIsFree => None,
                });
            if cost.is_none() {
                left.push(endpoint);
            }
            cost
        });
        let started = chosen.and_then(|endpoint| {
            let queue = queues.get_mut(&endpoint)?;
            let before = queue.held_bytes();
            let delivery = queue.start(breaker, now)?;
            self.held_bytes -= before - queue.held_bytes();
            *under_way += 1;
            if let Some(rate) = queue.terms.application_rate {
                application_rates.entry(queue.terms.application).or_default().count(rate, now);
            }
            Some((endpoint, delivery))
        });
        for endpoint in left {
            if let Some(queue) = self.queues.get_mut(&endpoint) {
                queue.in_ring = false;
            }
            self.refresh(endpoint, now);
        }
        let (endpoint, delivery) = started?;
        self.refresh(endpoint, now);
        Some(delivery)
    }

    /// Decides from an endpoint's state alone what it waits for.
    fn refresh(&mut self, endpoint: EndpointId, now: UnixMillis) {
        let free = ROUTER_CONCURRENCY_MAX.saturating_sub(self.under_way);
        let Some(queue) = self.queues.get_mut(&endpoint) else { return };
        self.commit_wanted |= queue.wants_commit();
        let mut wake_at = None;
        match go(queue, &self.application_rates, free, now) {
            Go::Now { .. } if !queue.in_ring => {
                queue.in_ring = true;
                self.ring.join(queue.terms.application, endpoint);
            }
            Go::Now { .. } | Go::WhenSomethingEnds => {}
            Go::WhenAPlaceIsFree if !queue.starved => {
                queue.starved = true;
                self.starved.push_back(endpoint);
            }
            Go::WhenAPlaceIsFree => {}
            Go::Later(at) => wake_at = Some(at),
        }
        let resumes = held_back_until(queue, now);
        if resumes.is_some_and(|at| at.0 > now.0 + RELEASE_PAUSE_MILLIS) {
            self.held_bytes -= queue.held_bytes();
            queue.release_held();
        }
        if wants_load(queue, now) {
            if !queue.load_wanted {
                queue.load_wanted = true;
                self.load_wanted.push_back(endpoint);
            }
        } else if queue.terms.enabled && queue.load == LoadState::Idle {
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

    /// Lets those that wait for a place look again, until one takes it.
    fn offer_place(&mut self, now: UnixMillis) {
        for _ in 0..self.starved.len() {
            let Some(endpoint) = self.starved.pop_front() else { return };
            let Some(queue) = self.queues.get_mut(&endpoint) else { continue };
            queue.starved = false;
            self.refresh(endpoint, now);
            if self.queues.get(&endpoint).is_some_and(|queue| queue.in_ring) {
                return;
            }
        }
    }

    fn forget(&mut self, endpoint: EndpointId) {
        if let Some(queue) = self.queues.remove(&endpoint)
            && let Some(at) = queue.wake_at
        {
            self.wake_ups.remove(&(at, endpoint));
        }
    }
}

/// Whether an endpoint can start a delivery.
enum Go {
    Now { body_bytes: usize },
    Later(UnixMillis),
    WhenSomethingEnds,
    WhenAPlaceIsFree,
}

fn go(
    queue: &EndpointQueue,
    application_rates: &HashMap<ApplicationId, Departures>,
    free: usize,
    now: UnixMillis,
) -> Go {
    let Some(body_bytes) = queue.next_bytes().filter(|_| queue.terms.enabled) else {
        return Go::WhenSomethingEnds;
    };
    if !queue.has_place() {
        return Go::WhenSomethingEnds;
    }
    // The fair share: no endpoint takes more places than it leaves free, so one that hangs can't take them all.
    if queue.under_way() >= free {
        return Go::WhenAPlaceIsFree;
    }
    let own_rate = queue.terms.rate.map_or(now, |rate| queue.rate.next_at(rate, now));
    let shared_rate = queue.terms.application_rate.map_or(now, |rate| {
        application_rates.get(&queue.terms.application).map_or(now, |gone| gone.next_at(rate, now))
    });
    let resumes = held_back_until(queue, now).unwrap_or(now);
    let at = own_rate.max(shared_rate).max(resumes);
    if at > now { Go::Later(at) } else { Go::Now { body_bytes } }
}

/// The end of the pause that the receiver asked for, or that a breaker made, the endpoint's or its plugin's.
fn held_back_until(queue: &EndpointQueue, now: UnixMillis) -> Option<UnixMillis> {
    let breaker = match queue.breaker.peek(now) {
        Permit::Normal | Permit::Probe => now,
        Permit::Wait { until } => until,
    };
    Some(queue.paused_until.max(queue.plugin_paused_until).max(breaker)).filter(|until| *until > now)
}

fn wants_load(queue: &EndpointQueue, now: UnixMillis) -> bool {
    queue.terms.enabled
        && queue.load == LoadState::Idle
        && queue.held_len() <= HELD_LOW_WATER
        && queue.stored_due.is_some_and(|due| due <= now)
        && held_back_until(queue, now).is_none()
}
