//! The scheduler against a model of the store and of receivers, in virtual time.
//!
//! One seed makes one history. Checked at each step: nothing starts twice at once, limits hold, order holds, memory
//! stays within its bounds; and at the end: everything was delivered, and nothing twice.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::event::{Channels, ContentType, Event};
use crate::id::EventId;
use crate::limits::{
    BODIES_BYTES_MAX, EVENT_BODY_BYTES_MAX, IN_FLIGHT_PER_PLACE, MADE_EXPECTED_BODIES, MADE_EXPECTED_BYTES,
};
use crate::port::store::{AttemptTrigger, OrderKey};

mod shares;

/// Of the random histories.
const ENDPOINTS: usize = 8;
const START: UnixMillis = UnixMillis(1_800_000_000_000);

fn endpoint(number: u8) -> EndpointId {
    EndpointId::new(UnixMillis(1), u128::from(number))
}

fn application(number: u8) -> ApplicationId {
    ApplicationId::new(UnixMillis(1), u128::from(number))
}

fn terms(ordering: Ordering) -> EndpointTerms {
    EndpointTerms {
        application: application(0),
        enabled: true,
        concurrency: 4,
        rate: None,
        application_rate: None,
        ordering,
        makes_requests: false,
    }
}

static BODY: [u8; EVENT_BODY_BYTES_MAX] = [b'x'; EVENT_BODY_BYTES_MAX];

fn delivery(id: u64, endpoint: EndpointId, key: Option<u64>, due: UnixMillis) -> PendingDelivery {
    sized_delivery(id, endpoint, key, due, 2)
}

fn sized_delivery(
    id: u64,
    endpoint: EndpointId,
    key: Option<u64>,
    due: UnixMillis,
    body_bytes: usize,
) -> PendingDelivery {
    let event = Event {
        id: EventId::new(due, u128::from(id)),
        application: application(0),
        event_type: "test.event".parse().unwrap(),
        uid: None,
        channels: Channels::default(),
        ordering_key: None,
        content_type: ContentType::json(),
        body: Bytes::from_static(&BODY[..body_bytes]),
    };
    PendingDelivery {
        id: DeliveryId(id),
        event: Arc::new(event),
        endpoint,
        order_key: key.map(OrderKey),
        attempts_made: 0,
        trigger: AttemptTrigger::Scheduled,
        due,
        prepared: None,
    }
}

/// The store, as far as the scheduler sees it.
#[derive(Default)]
struct Rows(BTreeMap<DeliveryId, PendingDelivery>);

impl Rows {
    fn load(&self, load: &LoadDue) -> Loaded {
        let of_endpoint = || self.0.values().filter(|row| row.endpoint == load.endpoint);
        let blocked = |row: &PendingDelivery| {
            load.ordering != Ordering::Unordered
                && row.order_key.is_some()
                && of_endpoint().any(|other| {
                    other.id < row.id && other.order_key == row.order_key && other.due > load.now
                })
        };
        let mut due: Vec<_> =
            of_endpoint().filter(|row| row.due <= load.now && !blocked(row)).cloned().collect();
        due.retain(|row| !load.except.contains(&row.id));
        if load.ordering == Ordering::Unordered {
            due.sort_by_key(|row| (row.due, row.id));
        }
        let mut bytes = 0;
        let rows = due.iter().enumerate().position(|(index, row)| {
            bytes += row.memory_bytes();
            index == load.rows_max || (index > 0 && bytes > load.bytes_max)
        });
        let cut = rows.map(|index| due[index].due);
        due.truncate(rows.unwrap_or(due.len()));
        let later = of_endpoint().map(|row| row.due).filter(|due| *due > load.now).min();
        Loaded { deliveries: due, next_due: cut.or(later) }
    }
}

/// What the environment does next; numbers are taken modulo what there is.
#[derive(Debug, Clone)]
enum Op {
    Append {
        endpoint: u8,
        key: u8,
        report_late: bool,
        body_bytes: usize,
    },
    /// The last event goes to another endpoint as well.
    FanOut {
        endpoint: u8,
        key: u8,
    },
    Report(u8),
    /// A plugin or composition is done.
    Make {
        which: u8,
        bytes: usize,
    },
    /// It made more than was set aside.
    MakeMore(u8),
    End {
        which: u8,
        fails: bool,
    },
    Commit(u8),
    AnswerLoad {
        which: u8,
        fails: bool,
    },
    Advance(u16),
    Toggle(u8),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (any::<u8>(), 0..3u8, any::<bool>(), body_bytes()).prop_map(
            |(endpoint, key, report_late, body_bytes)| Op::Append { endpoint, key, report_late, body_bytes }
        ),
        3 => (any::<u8>(), 0..3u8).prop_map(|(endpoint, key)| Op::FanOut { endpoint, key }),
        2 => (any::<u8>(), body_bytes()).prop_map(|(which, bytes)| Op::Make { which, bytes }),
        1 => any::<u8>().prop_map(Op::MakeMore),
        3 => any::<u8>().prop_map(Op::Report),
        6 => (any::<u8>(), prop::bool::weighted(0.3)).prop_map(|(which, fails)| Op::End { which, fails }),
        5 => any::<u8>().prop_map(Op::Commit),
        4 => (any::<u8>(), prop::bool::weighted(0.1)).prop_map(|(which, fails)| Op::AnswerLoad { which, fails }),
        2 => (0..3000u16).prop_map(Op::Advance),
        1 => any::<u8>().prop_map(Op::Toggle),
    ]
}

fn body_bytes() -> impl Strategy<Value = usize> {
    prop_oneof![3 => Just(2usize), 1 => 0..100_000usize, 3 => Just(EVENT_BODY_BYTES_MAX)]
}

struct World {
    scheduler: Scheduler,
    terms: Vec<EndpointTerms>,
    rows: Rows,
    now: UnixMillis,
    next_id: u64,
    last: Option<Arc<Event>>,
    unreported: Vec<PendingDelivery>,
    running: Vec<PendingDelivery>,
    uncommitted: Vec<(PendingDelivery, Option<UnixMillis>)>,
    /// Loads under way, with what their snapshot showed.
    loads: Vec<(EndpointId, Loaded)>,
    delivered: HashMap<DeliveryId, u32>,
}

impl World {
    fn new() -> Self {
        let orderings = [Ordering::Unordered, Ordering::PerKey, Ordering::Strict];
        let mut scheduler = Scheduler::new(BreakerConfig::ENDPOINT);
        let mut terms: Vec<_> = orderings.into_iter().cycle().take(ENDPOINTS).map(terms).collect();
        for (number, terms) in terms.iter_mut().enumerate() {
            // The first application has half of the endpoints, each other one.
            terms.application = application(number.saturating_sub(ENDPOINTS / 2) as u8);
            terms.concurrency = if number % 2 == 0 { 4 } else { 64 };
            terms.makes_requests = number % 3 == 1;
        }
        for (number, terms) in terms.iter().enumerate() {
            scheduler.endpoint_changed(endpoint(number as u8), Some(*terms), START);
        }
        Self {
            scheduler,
            terms,
            rows: Rows::default(),
            now: START,
            next_id: 1,
            last: None,
            unreported: Vec::new(),
            running: Vec::new(),
            uncommitted: Vec::new(),
            loads: Vec::new(),
            delivered: HashMap::new(),
        }
    }

    fn apply(&mut self, op: &Op) {
        match *op {
            Op::Append { endpoint, key, report_late, body_bytes } => {
                let row = self.row(endpoint, key, body_bytes);
                if usize::from(endpoint) % ENDPOINTS < ENDPOINTS / 2 {
                    self.last = Some(Arc::clone(&row.event));
                }
                if report_late {
                    self.unreported.push(row);
                } else {
                    self.scheduler.appended(row, self.now);
                }
            }
            Op::FanOut { endpoint, key } => {
                if let Some(event) = self.last.clone() {
                    // To the first application: an event has one.
                    let row = self.row(endpoint % (ENDPOINTS / 2) as u8, key, event.body.len());
                    // Read anew, as by a store that does not know that it is in memory.
                    let row = PendingDelivery { event: Arc::new(Event::clone(&event)), ..row };
                    self.rows.0.insert(row.id, row.clone());
                    self.scheduler.appended(row, self.now);
                }
            }
            Op::Make { which, bytes } => {
                if !self.running.is_empty() {
                    let row = &self.running[usize::from(which) % self.running.len()];
                    self.scheduler.made(row.endpoint, row.id, bytes);
                }
            }
            Op::MakeMore(which) => {
                if let Some(row) = take(&mut self.running, which) {
                    let again = Some(self.now);
                    let end = DeliveryEnd { again_due: again, health: Health::NotSent, ..ended(&row) };
                    self.scheduler.made_more(&end, self.now);
                }
            }
            Op::Report(which) => {
                if let Some(row) = take(&mut self.unreported, which) {
                    self.scheduler.appended(row, self.now);
                }
            }
            Op::End { which, fails } => {
                if let Some(row) = take(&mut self.running, which) {
                    self.end(row, fails);
                }
            }
            Op::Commit(which) => {
                if let Some((row, again_due)) = take(&mut self.uncommitted, which) {
                    match again_due {
                        Some(due) => self.rows.0.get_mut(&row.id).unwrap().due = due,
                        None => {
                            self.rows.0.remove(&row.id);
                        }
                    }
                    self.scheduler.settled(row.endpoint, row.id, self.now);
                }
            }
            Op::AnswerLoad { which, fails } => {
                if let Some((endpoint, loaded)) = take(&mut self.loads, which) {
                    if fails {
                        self.scheduler.load_failed(endpoint, self.now);
                    } else {
                        self.scheduler.loaded(endpoint, loaded, self.now);
                    }
                }
            }
            Op::Advance(millis) => self.now.0 += u64::from(millis),
            Op::Toggle(number) => {
                let number = number % self.terms.len() as u8;
                let terms = &mut self.terms[usize::from(number)];
                terms.enabled = !terms.enabled;
                self.scheduler.endpoint_changed(endpoint(number), Some(*terms), self.now);
            }
        }
        self.poll();
    }

    /// Stores a delivery of a new event.
    fn row(&mut self, number: u8, key: u8, body_bytes: usize) -> PendingDelivery {
        let number = number % self.terms.len() as u8;
        let key = match self.terms[usize::from(number)].ordering {
            Ordering::Unordered => None,
            Ordering::PerKey => Some(u64::from(key)),
            Ordering::Strict => Some(0),
        };
        let row = sized_delivery(self.next_id, endpoint(number), key, self.now, body_bytes);
        self.next_id += 1;
        self.rows.0.insert(row.id, row.clone());
        row
    }

    /// What is held can't be seen from here, what runs can; loads have set aside what they may bring.
    fn check_memory(&self) {
        let events: HashMap<EventId, usize> =
            self.running.iter().map(|row| (row.event.id, row.event.memory_bytes())).collect();
        let used = self.scheduler.bodies.used();
        assert!(events.values().sum::<usize>() <= used && used <= BODIES_BYTES_MAX, "{used} bytes of bodies");
        let made = self.scheduler.made.used();
        assert!(made <= MADE_BYTES_MAX, "{made} bytes made");
    }

    fn end(&mut self, row: PendingDelivery, fails: bool) {
        let again_due = fails.then(|| UnixMillis(self.now.0 + 500));
        if !fails {
            *self.delivered.entry(row.id).or_default() += 1;
        }
        let health = if fails { Health::Bad } else { Health::Good };
        let kept_bytes = if fails { 1000 } else { 0 };
        let end = DeliveryEnd { again_due, health, kept_bytes, ..ended(&row) };
        self.scheduler.finished(&end, self.now);
        self.uncommitted.push((row, again_due));
    }

    fn poll(&mut self) {
        loop {
            match self.scheduler.poll(self.now) {
                Action::Start { delivery, made_bytes } => {
                    assert!(made_bytes <= MADE_ATTEMPT_BYTES);
                    self.check_start(&delivery);
                    self.running.push(delivery);
                }
                Action::Load(load) => {
                    // Half of the loads see the store as it is now, the others are answered later with the same.
                    let loaded = self.rows.load(&load);
                    self.loads.push((load.endpoint, loaded));
                }
                Action::SleepUntil(_) => break,
            }
            self.check_memory();
        }
        self.check_memory();
    }

    fn check_start(&self, row: &PendingDelivery) {
        let terms =
            self.terms.iter().enumerate().find(|(n, _)| endpoint(*n as u8) == row.endpoint).unwrap().1;
        assert!(terms.enabled, "{row:?} starts at a disabled endpoint");
        assert!(!self.delivered.contains_key(&row.id), "{} starts again after it was delivered", row.id);
        assert!(self.running.iter().all(|other| other.id != row.id), "{} runs already", row.id);
        let at_endpoint = self.running.iter().filter(|other| other.endpoint == row.endpoint).count();
        assert!(at_endpoint < terms.concurrency, "more than {} at once", terms.concurrency);
        let settling = self.uncommitted.iter().filter(|(other, _)| other.endpoint == row.endpoint).count();
        let in_flight_max = terms.concurrency * IN_FLIGHT_PER_PLACE;
        assert!(at_endpoint + settling < in_flight_max, "a crash would repeat more than {in_flight_max}");
        if row.order_key.is_some() {
            let earlier = self.rows.0.values().find(|other| {
                other.endpoint == row.endpoint
                    && other.order_key == row.order_key
                    && other.id < row.id
                    && !self.delivered.contains_key(&other.id)
                    // Not yet reported: its sender has no answer yet, so it is concurrent with this one.
                    && self.unreported.iter().all(|late| late.id != other.id)
            });
            assert!(earlier.is_none(), "{} overtakes {earlier:?}", row.id);
        }
    }

    /// Lets everything end well and checks that everything was delivered, once.
    fn drain(&mut self) {
        for number in 0..self.terms.len() as u8 {
            if !self.terms[usize::from(number)].enabled {
                self.apply(&Op::Toggle(number));
            }
        }
        for _ in 0..10_000 {
            self.apply(&Op::Report(0));
            self.apply(&Op::End { which: 0, fails: false });
            self.apply(&Op::Commit(0));
            self.apply(&Op::AnswerLoad { which: 0, fails: false });
            self.apply(&Op::Advance(400));
            if self.rows.0.is_empty() && self.unreported.is_empty() {
                break;
            }
        }
        while !self.loads.is_empty() {
            self.apply(&Op::AnswerLoad { which: 0, fails: false });
        }
        let stuck: Vec<_> = self.rows.0.keys().collect();
        assert!(stuck.is_empty(), "never delivered: {stuck:?}");
        let twice: HashSet<_> = self.delivered.iter().filter(|(_, times)| **times > 1).collect();
        assert!(twice.is_empty(), "delivered twice: {twice:?}");
        assert_eq!(self.scheduler.under_way(), 0);
        assert_eq!(self.scheduler.memory_bytes(), 0);
    }
}

fn take<T>(list: &mut Vec<T>, which: u8) -> Option<T> {
    (!list.is_empty()).then(|| list.remove(usize::from(which) % list.len()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, ..ProptestConfig::default() })]

    #[test]
    fn any_history_delivers_everything_once_and_in_order(ops in prop::collection::vec(op(), 0..200)) {
        let mut world = World::new();
        for op in &ops {
            world.apply(op);
        }
        world.drain();
    }
}

fn start(scheduler: &mut Scheduler, now: UnixMillis) -> Option<PendingDelivery> {
    match scheduler.poll(now) {
        Action::Start { delivery, .. } => Some(delivery),
        Action::Load(_) | Action::SleepUntil(_) => None,
    }
}

/// The next start, while what is to be loaded is not answered.
fn start_past_loads(scheduler: &mut Scheduler, now: UnixMillis) -> Option<PendingDelivery> {
    loop {
        match scheduler.poll(now) {
            Action::Start { delivery, .. } => return Some(delivery),
            Action::SleepUntil(_) => return None,
            Action::Load(_) => {}
        }
    }
}

#[test]
fn endpoints_that_hang_leave_places_to_others() {
    let mut scheduler = Scheduler::new(BreakerConfig::ENDPOINT);
    let hanging = 60u8;
    let mut id = 0;
    for number in 0..hanging {
        let terms = EndpointTerms { concurrency: 1024, ..terms(Ordering::Unordered) };
        scheduler.endpoint_changed(endpoint(number), Some(terms), START);
        for _ in 0..200 {
            id += 1;
            scheduler.appended(delivery(id, endpoint(number), None, START), START);
        }
    }
    while start(&mut scheduler, START).is_some() {}
    let taken = scheduler.under_way();
    assert!(taken < ROUTER_CONCURRENCY_MAX, "{taken} places taken");

    scheduler.endpoint_changed(endpoint(hanging), Some(terms(Ordering::Unordered)), START);
    scheduler.appended(delivery(id + 1, endpoint(hanging), None, START), START);
    assert_eq!(start(&mut scheduler, START).map(|row| row.endpoint), Some(endpoint(hanging)));
}

fn ended(row: &PendingDelivery) -> DeliveryEnd {
    DeliveryEnd {
        endpoint: row.endpoint,
        delivery: row.id,
        again_due: None,
        health: Health::Good,
        pause_until: None,
        kept_bytes: 0,
    }
}

#[test]
fn a_commit_is_wanted_before_deliveries_have_to_wait_for_it() {
    let mut scheduler = Scheduler::new(BreakerConfig::ENDPOINT);
    let serial = EndpointTerms { concurrency: 1, ..terms(Ordering::Unordered) };
    scheduler.endpoint_changed(endpoint(0), Some(serial), START);
    for id in 0..10 {
        scheduler.appended(delivery(id, endpoint(0), None, START), START);
    }
    let mut done = Vec::new();
    while let Some(started) = start(&mut scheduler, START) {
        scheduler.finished(&ended(&started), START);
        done.push(started.id);
        assert!(scheduler.take_commit_wanted(), "after {}", done.len());
    }
    assert_eq!(done.len(), IN_FLIGHT_PER_PLACE);
    scheduler.settled(endpoint(0), done[0], START);
    assert!(start(&mut scheduler, START).is_some());
}

#[test]
fn a_rate_is_kept_without_taking_a_place() {
    let mut scheduler = Scheduler::new(BreakerConfig::ENDPOINT);
    let limited = EndpointTerms { rate: Some(Rate::new(2, 2).unwrap()), ..terms(Ordering::Unordered) };
    scheduler.endpoint_changed(endpoint(0), Some(limited), START);
    for id in 0..3 {
        scheduler.appended(delivery(id, endpoint(0), None, START), START);
    }
    assert!(start(&mut scheduler, START).is_some());
    assert!(start(&mut scheduler, START).is_some());
    let Action::SleepUntil(Some(at)) = scheduler.poll(START) else { panic!("the rate is exceeded") };
    assert_eq!(at, UnixMillis(START.0 + 2000));
    assert_eq!(scheduler.under_way(), 2);
    assert!(start(&mut scheduler, at).is_some());
}

#[test]
fn who_waits_long_for_a_rate_holds_nothing_meanwhile() {
    let mut scheduler = Scheduler::new(BreakerConfig::ENDPOINT);
    let limited = EndpointTerms { rate: Some(Rate::new(1, 60).unwrap()), ..terms(Ordering::Unordered) };
    scheduler.endpoint_changed(endpoint(0), Some(limited), START);
    for id in 0..3 {
        scheduler.appended(delivery(id, endpoint(0), None, START), START);
    }
    let first = start(&mut scheduler, START).unwrap();
    scheduler.finished(&ended(&first), START);
    assert_eq!(scheduler.memory_bytes(), 0);
    let Action::SleepUntil(Some(at)) = scheduler.poll(START) else { panic!("the rate is exceeded") };
    assert_eq!(at, UnixMillis(START.0 + 60_000));
    let Action::Load(load) = scheduler.poll(at) else { panic!("the next may go") };
    assert_eq!(load.endpoint, endpoint(0));
}

#[test]
fn a_pause_gives_held_deliveries_back_and_reads_them_again_later() {
    let mut scheduler = Scheduler::new(BreakerConfig::ENDPOINT);
    let serial = EndpointTerms { concurrency: 1, ..terms(Ordering::Unordered) };
    scheduler.endpoint_changed(endpoint(0), Some(serial), START);
    for id in 0..2 {
        scheduler.appended(delivery(id, endpoint(0), None, START), START);
    }
    let first = start(&mut scheduler, START).unwrap();
    let resumes = UnixMillis(START.0 + 60_000);
    let end = DeliveryEnd {
        endpoint: endpoint(0),
        delivery: first.id,
        again_due: Some(resumes),
        health: Health::Bad,
        pause_until: Some(resumes),
        kept_bytes: 0,
    };
    scheduler.finished(&end, START);
    scheduler.settled(endpoint(0), first.id, START);
    assert_eq!(scheduler.memory_bytes(), 0);
    let Action::SleepUntil(Some(at)) = scheduler.poll(START) else { panic!("the endpoint is paused") };
    assert_eq!(at, resumes);
    let Action::Load(load) = scheduler.poll(resumes) else { panic!("the pause is over") };
    assert_eq!((load.endpoint, load.now), (endpoint(0), resumes));
}

/// How a delivery of the first endpoint ended.
fn end(id: DeliveryId, health: Health) -> DeliveryEnd {
    DeliveryEnd {
        endpoint: endpoint(0),
        delivery: id,
        again_due: (health == Health::Bad).then_some(UnixMillis(START.0 + 3_600_000)),
        health,
        pause_until: None,
        kept_bytes: 0,
    }
}

/// Lets as many deliveries of the first endpoint fail as open its breaker.
fn open_breaker(scheduler: &mut Scheduler) {
    for id in 0..10 {
        scheduler.appended(delivery(id, endpoint(0), None, START), START);
        let started = start_past_loads(scheduler, START).unwrap();
        let _ = scheduler.finished(&end(started.id, Health::Bad), START);
        scheduler.settled(endpoint(0), started.id, START);
    }
}

#[test]
fn what_a_person_recovers_goes_through_an_open_breaker_as_its_probe() {
    let mut scheduler = Scheduler::new(BreakerConfig::ENDPOINT);
    scheduler.endpoint_changed(endpoint(0), Some(terms(Ordering::Unordered)), START);
    open_breaker(&mut scheduler);
    scheduler.stored(endpoint(0), START, START);
    assert!(matches!(scheduler.poll(START), Action::SleepUntil(_)), "an event waits");
    scheduler.requested(endpoint(0), START, START);
    let Action::Load(load) = scheduler.poll(START) else { panic!("a probe is read") };
    assert_eq!((load.endpoint, load.rows_max), (endpoint(0), 1));
}

#[test]
fn what_a_person_sends_goes_through_an_open_breaker_as_its_probe() {
    let mut scheduler = Scheduler::new(BreakerConfig::ENDPOINT);
    scheduler.endpoint_changed(endpoint(0), Some(terms(Ordering::Unordered)), START);
    open_breaker(&mut scheduler);
    assert_eq!(scheduler.open_until(endpoint(0)), Some(UnixMillis(START.0 + 5000)));
    scheduler.appended(delivery(10, endpoint(0), None, START), START);
    assert!(start_past_loads(&mut scheduler, START).is_none(), "an event waits");

    let manual =
        |id| PendingDelivery { trigger: AttemptTrigger::Manual, ..delivery(id, endpoint(0), None, START) };
    scheduler.appended(manual(11), START);
    let probe = start_past_loads(&mut scheduler, START).map(|row| row.id);
    assert_eq!(probe, Some(DeliveryId(11)), "the person's own delivery is the probe");
    scheduler.appended(manual(12), START);
    assert!(start_past_loads(&mut scheduler, START).is_none(), "one probe is enough");
    let _ = scheduler.finished(&end(DeliveryId(11), Health::Bad), START);
    let again = scheduler.open_until(endpoint(0)).unwrap();
    assert!(again > START);

    // Whoever has hundreds sent again probes once a second.
    scheduler.appended(manual(13), START);
    assert!(start_past_loads(&mut scheduler, START).is_none());
    let later = UnixMillis(START.0 + 1000);
    assert_eq!(start_past_loads(&mut scheduler, later).map(|row| row.id), Some(DeliveryId(13)));
    let _ = scheduler.finished(&end(DeliveryId(13), Health::Good), later);
    assert!(scheduler.is_healthy(endpoint(0)), "its success closes it");
}
