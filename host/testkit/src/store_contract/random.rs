//! Random calls, answered as the model answers them.

use hookmill_core::delivery::DeadReason;
use hookmill_core::event::Event;
use hookmill_core::id::DeliveryId;
use hookmill_core::policy::Ordering;
use hookmill_core::port::Store;
use hookmill_core::port::store::{
    Appended, AttemptRecord, AttemptsOf, Backlog, Change, Completion, DeliveryState, EndpointCounts,
    IdempotencyKey, NewDelivery, NewEvent, OrderKey, PendingDelivery,
};
use hookmill_core::time::UnixMillis;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::fixture::{
    application_id, at, endpoint, endpoint_id, event, finished, furnish, load, name, new_event, prepared,
};
use super::history::{all_events, attempts_of};
use super::{Factory, run};
use crate::model_store::ModelStore;

/// One call. Numbers name things modulo what there is.
#[derive(Debug, Clone)]
enum Op {
    Append { uid: Option<u8>, key: Option<u8>, endpoints: Vec<(usize, Option<u64>)>, fingerprint: u8 },
    Redeliver { event: usize, endpoint: usize },
    Finish { delivery: usize, completion: Outcome },
    PutEndpoint { endpoint: usize, uid: Option<u8> },
    DeleteEndpoint { endpoint: usize },
    RestartDeliveries { endpoint: usize },
    Retain { age: u64 },
    Pass { millis: u64 },
    Reopen,
}

#[derive(Debug, Clone)]
enum Outcome {
    Delivered,
    Dropped,
    Retry { delay: u64, keep: bool },
    Split { parts: u8 },
    Dead,
}

/// Everything that callers can see, with the store's own numbers left out.
#[derive(Debug, PartialEq)]
struct View {
    measures: (u64, Option<UnixMillis>),
    backlog: Vec<Backlog>,
    loads: Vec<LoadView>,
    events: Vec<(Event, Vec<DeliveryState>)>,
    attempts: Vec<Vec<AttemptRecord>>,
    counts: Vec<EndpointCounts>,
    endpoints: String,
}

/// Deliveries without their ids, and when the next is due.
type LoadView = (Vec<String>, Option<UnixMillis>);

const ENDPOINTS: [u128; 3] = [11, 12, 21];

/// Answers of the store and of the model are the same after every call.
///
/// # Panics
/// With the shortest list of calls that is answered otherwise.
pub fn same_as_model<F: Factory>(factory: &F) {
    let mut runner = TestRunner::new(Config { cases: 48, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&proptest::collection::vec(op(), 1..60), |ops| {
        run(compare(factory, &ops));
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

fn op() -> impl Strategy<Value = Op> {
    let endpoints = proptest::collection::vec((0..3usize, proptest::option::of(0..3u64)), 0..4);
    let few = || proptest::option::weighted(0.3, 0..4u8);
    let completion = prop_oneof![
        3 => Just(Outcome::Delivered),
        1 => Just(Outcome::Dropped),
        4 => (0..20u64, any::<bool>()).prop_map(|(delay, keep)| Outcome::Retry { delay, keep }),
        1 => (0..5u8).prop_map(|parts| Outcome::Split { parts }),
        1 => Just(Outcome::Dead),
    ];
    prop_oneof![
        8 => (few(), few(), endpoints, 0..2u8).prop_map(|(uid, key, endpoints, fingerprint)| Op::Append {
            uid,
            key,
            endpoints,
            fingerprint
        }),
        1 => (0..8usize, 0..3usize).prop_map(|(event, endpoint)| Op::Redeliver { event, endpoint }),
        8 => (0..8usize, completion).prop_map(|(delivery, completion)| Op::Finish { delivery, completion }),
        1 => (0..3usize, few()).prop_map(|(endpoint, uid)| Op::PutEndpoint { endpoint, uid }),
        1 => (0..3usize).prop_map(|endpoint| Op::DeleteEndpoint { endpoint }),
        1 => (0..3usize).prop_map(|endpoint| Op::RestartDeliveries { endpoint }),
        1 => (0..30u64).prop_map(|age| Op::Retain { age }),
        4 => (0..10u64).prop_map(|millis| Op::Pass { millis }),
        1 => Just(Op::Reopen),
    ]
}

async fn compare<F: Factory>(factory: &F, ops: &[Op]) {
    let mut store = factory.create();
    let model = ModelStore::default();
    furnish(&store).await;
    furnish(&model).await;
    let mut now = 0;
    for (number, op) in (1..).zip(ops) {
        match op {
            Op::Pass { millis } => now += millis,
            Op::Reopen => store = factory.reopen(store),
            Op::Append { .. }
            | Op::Redeliver { .. }
            | Op::Finish { .. }
            | Op::PutEndpoint { .. }
            | Op::DeleteEndpoint { .. }
            | Op::RestartDeliveries { .. }
            | Op::Retain { .. } => {
                let answer = call(&store, op, number, now).await;
                assert_eq!(answer, call(&model, op, number, now).await, "{op:?}");
            }
        }
        assert_eq!(view(&store, now).await, view(&model, now).await, "after {op:?}");
    }
}

/// Makes one call; answers what can be compared of its answer.
async fn call(store: &impl Store, op: &Op, number: u128, now: u64) -> String {
    match op {
        Op::Append { uid, key, endpoints, fingerprint } => {
            let sent = Event { uid: uid.map(|uid| name(&format!("u{uid}"))), ..event(number, 1, at(now)) };
            let deliveries = endpoints.iter().map(|(index, key)| NewDelivery {
                endpoint: endpoint_id(ENDPOINTS[*index]),
                order_key: key.map(OrderKey),
            });
            let new = NewEvent {
                deliveries: deliveries.collect(),
                idempotency_key: key.map(|key| IdempotencyKey([key; 32])),
                fingerprint: [*fingerprint; 32],
                ..new_event(sent, &[])
            };
            match store.append(new).await {
                Ok(Appended::Stored(ids)) => format!("{} stored", ascending(&ids)),
                other => format!("{other:?}"),
            }
        }
        Op::Redeliver { event, endpoint } => {
            let events = store.events(all_events(1)).await.expect("a store reads").items;
            let Some(event) = events.get(*event) else { return String::new() };
            let delivery = NewDelivery { endpoint: endpoint_id(ENDPOINTS[*endpoint]), order_key: None };
            let result = store.redeliver(event.application, event.id, vec![delivery], at(now)).await;
            format!("{:?}", result.map(|ids| ascending(&ids)))
        }
        Op::Finish { delivery, completion } => {
            let Some(delivery) = nth_pending(store, *delivery, now).await else { return String::new() };
            let completion = match completion {
                Outcome::Delivered => Completion::Delivered,
                Outcome::Dropped => Completion::Dropped,
                Outcome::Retry { delay, keep } => Completion::Retry {
                    due: at(now + delay),
                    prepared: keep.then(|| Box::new(prepared(number))),
                },
                // A part is not split again.
                Outcome::Split { .. } if delivery.prepared.is_some() => Completion::Delivered,
                Outcome::Split { parts } => {
                    Completion::Split((0..u128::from(*parts)).map(prepared).collect())
                }
                Outcome::Dead => Completion::Dead(DeadReason::TransformFailed),
            };
            format!("{:?}", store.finish(vec![finished(&delivery, number, at(now), completion)]).await)
        }
        Op::PutEndpoint { endpoint: index, uid } => {
            let number = ENDPOINTS[*index];
            let mut changed = endpoint(number, number / 10);
            changed.uid = uid.map(|uid| name(&format!("u{uid}")));
            format!("{:?}", store.apply(vec![Change::PutEndpoint(Box::new(changed))]).await)
        }
        Op::DeleteEndpoint { endpoint } => {
            format!(
                "{:?}",
                store.apply(vec![Change::DeleteEndpoint(endpoint_id(ENDPOINTS[*endpoint]))]).await
            )
        }
        Op::RestartDeliveries { endpoint } => {
            let change = Change::RestartDeliveries(endpoint_id(ENDPOINTS[*endpoint]), at(now));
            format!("{:?}", store.apply(vec![change]).await)
        }
        Op::Retain { age } => {
            let mut rows = 0;
            loop {
                match store.retain(at(now.saturating_sub(*age))).await.expect("retention runs") {
                    0 => return rows.to_string(),
                    chunk => rows += chunk,
                }
            }
        }
        Op::Pass { .. } | Op::Reopen => String::new(),
    }
}

async fn nth_pending(store: &impl Store, index: usize, now: u64) -> Option<PendingDelivery> {
    let mut pending = Vec::new();
    for endpoint in ENDPOINTS {
        pending.extend(load(store, endpoint, Ordering::Unordered, at(now)).await.deliveries);
    }
    (!pending.is_empty()).then(|| pending.swap_remove(index % pending.len()))
}

async fn view(store: &impl Store, now: u64) -> View {
    let mut loads = Vec::new();
    let (mut counts, mut attempts) = (Vec::new(), Vec::new());
    for endpoint in ENDPOINTS {
        for ordering in [Ordering::Unordered, Ordering::PerKey, Ordering::Strict] {
            let loaded = load(store, endpoint, ordering, at(now)).await;
            loads.push((loaded.deliveries.into_iter().map(without_id).collect(), loaded.next_due));
        }
        let of_endpoint = attempts_of(1, AttemptsOf::Endpoint(endpoint_id(endpoint)));
        attempts.push(store.attempts(of_endpoint).await.expect("a store reads").items);
        let counted = store.endpoint_counts(application_id(1), endpoint_id(endpoint)).await;
        counts.push(counted.expect("a store reads"));
    }
    let mut events = Vec::new();
    for event in store.events(all_events(1)).await.expect("a store reads").items {
        let states = store.deliveries_of(event.application, event.id).await.expect("a store reads");
        let of_event = attempts_of(1, AttemptsOf::Event(event.id, None));
        attempts.push(store.attempts(of_event).await.expect("a store reads").items);
        events.push(((*event).clone(), states));
    }
    let configuration = store.configuration().await.expect("a store reads");
    assert!(configuration.applications.iter().any(|application| application.id == application_id(1)));
    View {
        backlog: store.backlog().await.expect("a store reads"),
        measures: {
            let measures = store.measure().await.expect("a store reads");
            (measures.waiting, measures.oldest)
        },
        loads,
        events,
        attempts,
        counts,
        endpoints: format!("{:?}", configuration.endpoints),
    }
}

/// Numbers differ from store to store, their order does not.
fn without_id(delivery: PendingDelivery) -> String {
    format!("{:?}", PendingDelivery { id: DeliveryId(0), ..delivery })
}

fn ascending(ids: &[DeliveryId]) -> String {
    let is_ascending = ids.is_sorted();
    format!("{} ids, ascending: {is_ascending}", ids.len())
}
