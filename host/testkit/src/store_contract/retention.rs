//! The end of what is old.

use hookmill_core::delivery::DeadReason;
use hookmill_core::event::Event;
use hookmill_core::limits::{IDEMPOTENCY_KEY_KEPT, RETENTION_ROWS_MAX};
use hookmill_core::policy::Ordering;
use hookmill_core::port::Store;
use hookmill_core::port::store::{
    Appended, AttemptsOf, Change, Completion, EndpointCounts, EventQuery, IdempotencyKey, NewEvent,
    RememberedAnswer,
};
use hookmill_core::time::UnixMillis;

use super::Factory;
use super::fixture::{
    NOW, append, application_id, at, attempt, endpoint, endpoint_id, event, finish, finished, furnish, load,
    name, new_event, unordered,
};
use super::history::{all_events, attempts_of};

/// Runs retention until nothing old is left; answers how many rows went.
async fn retain_all(store: &impl Store, before: UnixMillis) -> u64 {
    let mut rows = 0;
    loop {
        match store.retain(before).await.expect("retention runs") {
            0 => return rows,
            chunk => rows += chunk,
        }
    }
}

/// Old finished events go with their attempts and dead letters; what is young or unfinished stays.
pub async fn takes_what_is_old_and_finished(factory: &impl Factory) {
    let store = factory.create();
    furnish(&store).await;
    let old = Event { uid: Some(name("old")), ..event(1, 1, NOW) };
    append(&store, new_event(old.clone(), &[11, 12])).await;
    append(&store, new_event(event(2, 1, at(1)), &[12])).await;
    append(&store, new_event(event(3, 1, at(10)), &[])).await;
    let delivery = load(&store, 11, Ordering::Unordered, NOW).await.deliveries.remove(0);
    finish(&store, finished(&delivery, 1, NOW, Completion::Dead(DeadReason::Exhausted))).await;
    assert_eq!(retain_all(&store, at(10)).await, 0, "both old events have unfinished deliveries");
    let deliveries = load(&store, 12, Ordering::Unordered, at(1)).await.deliveries;
    finish(&store, finished(&deliveries[0], 2, NOW, Completion::Delivered)).await;
    assert_eq!(retain_all(&store, NOW).await, 0, "what was accepted at that moment is not before it");
    assert_eq!(retain_all(&store, at(10)).await, 1 + 2 + 1, "an event, two attempts, a dead letter");
    assert_eq!(retain_all(&store, at(10)).await, 0);

    let store = factory.reopen(store);
    let events = store.events(all_events(1)).await.expect("a store reads").items;
    let left: Vec<_> = events.iter().map(|event| event.accepted_at()).collect();
    assert_eq!(left, [at(10), at(1)]);
    let attempts = store.attempts(attempts_of(1, AttemptsOf::Endpoint(endpoint_id(11)))).await;
    assert_eq!(attempts.map(|attempts| attempts.items), Ok(Vec::new()));
    assert_eq!(store.deliveries_of(old.application, old.id).await, Ok(Vec::new()));
    let counts = store.endpoint_counts(application_id(1), endpoint_id(11)).await;
    assert_eq!(counts, Ok(EndpointCounts::default()), "its dead letter went along");
    let again = Event { uid: Some(name("old")), ..event(4, 1, at(20)) };
    append(&store, new_event(again, &[])).await;
}

/// An endpoint that is deleted takes its addresses along once none of its attempts is left, and one that is made under its
/// id again has them for its new attempts.
pub async fn an_address_that_went_is_kept_again(factory: &impl Factory) {
    let store = factory.create();
    furnish(&store).await;
    append(&store, new_event(event(1, 1, NOW), &[11])).await;
    let delivery = load(&store, 11, Ordering::Unordered, NOW).await.deliveries.remove(0);
    finish(&store, finished(&delivery, 1, NOW, Completion::Delivered)).await;
    store.apply(vec![Change::DeleteEndpoint(endpoint_id(11))]).await.expect("an endpoint goes");
    retain_all(&store, at(10)).await;

    store.apply(vec![Change::PutEndpoint(Box::new(endpoint(11, 1)))]).await.expect("an endpoint comes");
    append(&store, new_event(event(2, 1, at(10)), &[11])).await;
    let delivery = load(&store, 11, Ordering::Unordered, at(10)).await.deliveries.remove(0);
    let sent = attempt(&delivery, 2, at(10));
    finish(&store, finished(&delivery, 2, at(10), Completion::Delivered)).await;
    let kept = store.attempts(attempts_of(1, AttemptsOf::Endpoint(endpoint_id(11)))).await;
    let kept: Vec<_> = kept.expect("a store reads").items.into_iter().map(|kept| kept.sent_to).collect();
    assert_eq!(kept, [sent.sent_to]);
}

/// Events of a clock that ran ahead stay, and hold up none of those that came after it was set right.
pub async fn gets_past_what_a_wrong_clock_dated(factory: &impl Factory) {
    let store = factory.create();
    furnish(&store).await;
    let ahead = u128::try_from(RETENTION_ROWS_MAX).expect("a small number");
    for number in 1..=ahead {
        append(&store, new_event(event(number, 1, at(1_000_000)), &[])).await;
    }
    append(&store, new_event(event(ahead + 1, 1, at(1)), &[])).await;
    append(&store, new_event(event(ahead + 2, 1, at(20)), &[])).await;
    assert_eq!(retain_all(&store, at(10)).await, 1);
    let query = EventQuery { before: Some(at(100)), ..all_events(1) };
    let left = store.events(query).await.expect("a store reads").items;
    assert_eq!(left.iter().map(|event| event.accepted_at()).collect::<Vec<_>>(), [at(20)]);
}

/// Old events that are unfinished hold up neither those behind them nor their own end.
pub async fn gets_past_what_is_unfinished(factory: &impl Factory) {
    let store = std::sync::Arc::new(factory.create());
    furnish(&*store).await;
    let unfinished = RETENTION_ROWS_MAX as u128 + 50;
    let mut calls = Vec::new();
    for number in 1..=unfinished + 30 {
        let endpoints: &[u128] = if number <= unfinished { &[11] } else { &[] };
        let new = new_event(event(number, 1, NOW), endpoints);
        let store = std::sync::Arc::clone(&store);
        calls.push(tokio::spawn(async move { store.append(new).await }));
    }
    for call in calls {
        assert!(matches!(call.await.expect("no call panics"), Ok(Appended::Stored(_))));
    }
    assert_eq!(retain_all(&*store, at(1)).await, 30);
    let asked = super::fixture::load_due(11, Ordering::Unordered, NOW);
    let asked = hookmill_core::port::store::LoadDue { rows_max: 1, ..asked };
    let delivery = store.load_due(asked).await.expect("a store reads").deliveries.remove(0);
    finish(&*store, finished(&delivery, 1, NOW, Completion::Delivered)).await;
    store
        .redeliver(delivery.event.application, delivery.event.id, vec![unordered(12)], NOW)
        .await
        .expect("a stored event");
    assert_eq!(retain_all(&*store, at(1)).await, 0, "a redelivery is unfinished too");
    let again = load(&*store, 12, Ordering::Unordered, NOW).await.deliveries.remove(0);
    finish(&*store, finished(&again, 2, NOW, Completion::Delivered)).await;
    assert_eq!(retain_all(&*store, at(1)).await, 1 + 2);
}

/// Keys and answers are forgotten when they are older than they are kept, whatever retention says of events.
pub async fn forgets_old_keys(factory: &impl Factory) {
    let store = factory.create();
    furnish(&store).await;
    let with_key = |number, key, accepted_at| NewEvent {
        idempotency_key: Some(IdempotencyKey([key; 32])),
        ..new_event(event(number, 1, accepted_at), &[])
    };
    let answer = |at| RememberedAnswer { fingerprint: [1; 32], status: 201, body: "{}".into(), at };
    let later = NOW.after(IDEMPOTENCY_KEY_KEPT);
    for (number, key, moment) in [(1, 1, NOW), (2, 2, at(1)), (3, 3, later)] {
        append(&store, with_key(number, key, moment)).await;
        let remember = Change::Remember(IdempotencyKey([key; 32]), answer(moment));
        store.apply(vec![remember]).await.expect("a new key");
    }
    assert_eq!(retain_all(&store, NOW).await, 0, "none is older than it is kept");
    append(&store, with_key(4, 4, UnixMillis(later.0 + 1))).await;
    let remember = Change::Remember(IdempotencyKey([4; 32]), answer(UnixMillis(later.0 + 1)));
    store.apply(vec![remember]).await.expect("a new key");
    assert_eq!(retain_all(&store, NOW).await, 2, "one key and one answer");
    assert_eq!(store.remembered(IdempotencyKey([1; 32])).await, Ok(None));
    assert_eq!(store.remembered(IdempotencyKey([2; 32])).await, Ok(Some(answer(at(1)))));
    append(&store, with_key(5, 1, later)).await;
    let known = store.append(with_key(6, 2, later)).await;
    assert!(matches!(known, Ok(Appended::Duplicate { same: true, .. })), "{known:?}");
}

/// The newest request was dated by a clock that ran ahead: those of today are not old by that.
pub async fn a_clock_that_ran_ahead_forgets_no_keys(factory: &impl Factory) {
    let store = factory.create();
    furnish(&store).await;
    assert_eq!(store.noted_time().await, Ok(None));
    let ahead = NOW.after(30 * IDEMPOTENCY_KEY_KEPT);
    for (number, key, moment) in [(1, 1, NOW), (2, 2, ahead)] {
        let new = new_event(event(number, 1, moment), &[]);
        append(&store, NewEvent { idempotency_key: Some(IdempotencyKey([key; 32])), ..new }).await;
        let answer = RememberedAnswer { fingerprint: [1; 32], status: 201, body: "{}".into(), at: moment };
        store.apply(vec![Change::Remember(IdempotencyKey([key; 32]), answer)]).await.expect("a new key");
    }
    assert_eq!(store.noted_time().await, Ok(Some(ahead)), "until one is noted it is the newest event's");
    store.apply(vec![Change::NoteTime(at(5))]).await.expect("a store notes it");
    assert_eq!(retain_all(&store, NOW).await, 0);
    let store = factory.reopen(store);
    assert_eq!(store.noted_time().await, Ok(Some(at(5))));
    store.apply(vec![Change::NoteTime(ahead)]).await.expect("a store notes it");
    assert_eq!(retain_all(&store, NOW).await, 2);
}
