//! Deliveries on their way.

use bytes::Bytes;
use hookmill_core::delivery::DeadReason;
use hookmill_core::event::Event;
use hookmill_core::id::EventId;
use hookmill_core::limits::DELIVERY_OVERHEAD_BYTES;
use hookmill_core::policy::Ordering;
use hookmill_core::port::Store;
use hookmill_core::port::store::{
    AttemptTrigger, Backlog, Change, Completion, DeliveryState, DeliveryStatus, EndpointCounts, LoadDue,
    NewDelivery, NewEvent, OrderKey, PendingDelivery, StoreError,
};
use hookmill_core::request::{PreparedRequest, RequestBody};

use super::Factory;
use super::fixture::{
    NOW, append, application_id, at, endpoint_id, event, finish, finished, furnish, ids, load, load_due,
    new_event, prepared, unordered,
};

/// The earliest due comes first, of equals the lower id; what is not due says when it will be.
pub async fn loads_in_the_order_of_due_times(factory: &impl Factory) {
    let store = factory.create();
    furnish(&store).await;
    let mut stored = Vec::new();
    for (number, due) in [(1, 30), (2, 10), (3, 10), (4, 50)] {
        stored.extend(append(&store, new_event(event(number, 1, at(due)), &[11])).await);
    }
    let check = |now: u64, expect: &[usize], next_due: Option<u64>| {
        let (store, stored) = (&store, &stored);
        let expect: Vec<_> = expect.iter().map(|index| stored[*index]).collect();
        async move {
            let loaded = load(store, 11, Ordering::Unordered, at(now)).await;
            assert_eq!((ids(&loaded.deliveries), loaded.next_due), (expect, next_due.map(at)), "at {now}");
        }
    };
    check(9, &[], Some(10)).await;
    check(10, &[1, 2], Some(30)).await;
    check(49, &[1, 2, 0], Some(50)).await;
    check(50, &[1, 2, 0, 3], None).await;
    assert!(load(&store, 12, Ordering::Unordered, at(99)).await.deliveries.is_empty());
}

/// A load ends after so many rows, or before the row that would pass so many bytes, and says what it left.
pub async fn limits_end_a_load(factory: &impl Factory) {
    let store = factory.create();
    furnish(&store).await;
    let row_bytes = event(1, 1, NOW).memory_bytes() + DELIVERY_OVERHEAD_BYTES;
    for number in 1..=4 {
        let accepted_at = at(u64::try_from(number).expect("a small number"));
        append(&store, new_event(event(number, 1, accepted_at), &[11])).await;
    }
    for ordering in [Ordering::Unordered, Ordering::PerKey] {
        let check = async |rows_max: usize, bytes_max: usize, expect: usize, next_due: Option<u64>| {
            let asked = LoadDue { rows_max, bytes_max, ..load_due(11, ordering, at(9)) };
            let loaded = store.load_due(asked.clone()).await.expect("a store reads");
            assert_eq!((loaded.deliveries.len(), loaded.next_due), (expect, next_due.map(at)), "{asked:?}");
        };
        check(4, 1 << 20, 4, None).await;
        check(3, 1 << 20, 3, Some(4)).await;
        check(1, 1 << 20, 1, Some(2)).await;
        check(9, row_bytes, 1, Some(2)).await;
        check(9, 2 * row_bytes - 1, 1, Some(2)).await;
        check(9, 2 * row_bytes, 2, Some(3)).await;
        check(9, 1, 1, Some(2)).await;

        let asked = LoadDue { rows_max: 2, ..load_due(11, ordering, at(9)) };
        let first_two = store.load_due(asked).await.expect("a store reads");
        let except = first_two.deliveries.iter().map(|row| row.id).collect();
        let asked = LoadDue { except, rows_max: 1, ..load_due(11, ordering, at(9)) };
        let rest = store.load_due(asked).await.expect("a store reads");
        assert_eq!(rest.deliveries.iter().map(|row| row.due).collect::<Vec<_>>(), [at(3)]);
        assert_eq!(rest.next_due, Some(at(4)), "what the caller has is not counted");
    }
}

/// What was made of an event counts as well, and bodies of any size come whole.
pub async fn large_bodies_are_read_within_the_limit(factory: &impl Factory) {
    let store = factory.create();
    furnish(&store).await;
    let bodies = [100, 9_000, 60_000, 9_001, 300_000].map(|length| Bytes::from(vec![b'x'; length]));
    for (number, body) in (1..).zip(&bodies) {
        let large = Event { body: body.clone(), ..event(number, 1, NOW) };
        append(&store, new_event(large, &[11, 12])).await;
    }
    let first = load(&store, 11, Ordering::Unordered, NOW).await.deliveries;
    let made = PreparedRequest { body: RequestBody::Replaced(bodies[2].clone()), ..prepared(1) };
    let retry = Completion::Retry { due: NOW, prepared: Some(Box::new(made)) };
    finish(&store, finished(&first[0], 1, NOW, retry)).await;
    // No event is in memory any more.
    drop(first);

    for bytes_max in [1, 20_000, 70_000, 140_000, 1 << 20] {
        for endpoint in [11, 12] {
            let mut except = Vec::new();
            for _ in 0..bodies.len() {
                let asked = LoadDue {
                    bytes_max,
                    except: except.clone(),
                    ..load_due(endpoint, Ordering::PerKey, NOW)
                };
                let loaded = store.load_due(asked).await.expect("a store reads").deliveries;
                let bytes: usize = loaded.iter().map(PendingDelivery::memory_bytes).sum();
                assert!(loaded.len() <= 1 || bytes <= bytes_max, "{bytes} bytes of {bytes_max}");
                for row in &loaded {
                    assert_eq!(row.event.body, bodies[except.len()], "{bytes_max} bytes");
                    let is_retry = endpoint == 11 && except.is_empty();
                    let kept = row.prepared.as_ref().map(|prepared| prepared.body_of(&row.event));
                    assert_eq!(kept, is_retry.then(|| bodies[2].clone()));
                    except.push(row.id);
                }
            }
            assert_eq!(except.len(), bodies.len(), "{bytes_max} bytes");
        }
    }
}

/// A delivery that waits holds back those behind it with the same key, and no others.
pub async fn order_holds_back(factory: &impl Factory) {
    let store = factory.create();
    furnish(&store).await;
    let keys = [Some(1), Some(2), Some(1), None, Some(2), Some(1)];
    let mut stored = Vec::new();
    for (number, key) in (1..).zip(keys) {
        let delivery = NewDelivery { endpoint: endpoint_id(11), order_key: key.map(OrderKey) };
        let new = NewEvent { deliveries: vec![delivery], ..new_event(event(number, 1, NOW), &[]) };
        stored.extend(append(&store, new).await);
    }
    let check = async |ordering, now: u64, expect: &[usize], next_due: Option<u64>| {
        let expect: Vec<_> = expect.iter().map(|index| stored[*index]).collect();
        let loaded = load(&store, 11, ordering, at(now)).await;
        assert_eq!((ids(&loaded.deliveries), loaded.next_due), (expect, next_due.map(at)), "at {now}");
    };
    check(Ordering::PerKey, 0, &[0, 1, 2, 3, 4, 5], None).await;
    let all = load(&store, 11, Ordering::PerKey, NOW).await.deliveries;
    let retry = |due: u64| Completion::Retry { due: at(due), prepared: None };
    finish(&store, finished(&all[2], 1, NOW, retry(100))).await;
    check(Ordering::PerKey, 0, &[0, 1, 3, 4], Some(100)).await;
    check(Ordering::Strict, 0, &[0, 1, 3, 4], Some(100)).await;
    check(Ordering::Unordered, 0, &[0, 1, 3, 4, 5], Some(100)).await;
    finish(&store, finished(&all[0], 2, NOW, retry(50))).await;
    check(Ordering::PerKey, 0, &[1, 3, 4], Some(50)).await;
    check(Ordering::PerKey, 50, &[0, 1, 3, 4], Some(100)).await;
    check(Ordering::PerKey, 100, &[0, 1, 2, 3, 4, 5], None).await;
    check(Ordering::Unordered, 100, &[1, 3, 4, 5, 0, 2], None).await;
    finish(&store, finished(&all[2], 3, NOW, Completion::Delivered)).await;
    check(Ordering::PerKey, 50, &[0, 1, 3, 4, 5], None).await;
}

/// Whatever the limit, what is read of one key is its beginning.
pub async fn order_keeps_each_key_gapless_under_a_limit(factory: &impl Factory) {
    let store = factory.create();
    furnish(&store).await;
    let mut stored = Vec::new();
    for number in 1..=12 {
        let key = u64::try_from(number % 3).expect("a small number");
        let delivery = NewDelivery { endpoint: endpoint_id(11), order_key: Some(OrderKey(key)) };
        let new = NewEvent { deliveries: vec![delivery], ..new_event(event(number, 1, NOW), &[]) };
        stored.extend(append(&store, new).await);
    }
    // The heads are due later than those behind them, although all are due at last.
    let all = load(&store, 11, Ordering::PerKey, NOW).await.deliveries;
    for (number, head) in (1..).zip(&all[..3]) {
        finish(&store, finished(head, number, NOW, Completion::Retry { due: at(40), prepared: None })).await;
    }
    for rows_max in 1..=12 {
        let asked = LoadDue { rows_max, ..load_due(11, Ordering::PerKey, at(60)) };
        let loaded = store.load_due(asked).await.expect("a store reads");
        assert_eq!(loaded.deliveries.len(), rows_max);
        assert_eq!(loaded.next_due.is_some_and(|due| due <= at(60)), rows_max < 12, "{rows_max} rows");
        for key in 0..3 {
            let of_key = |number: usize| stored.get(number).copied();
            let read: Vec<_> =
                loaded.deliveries.iter().filter(|row| row.order_key == Some(OrderKey(key))).collect();
            for (index, row) in read.iter().enumerate() {
                let first = usize::try_from((key + 2) % 3).expect("a small number");
                assert_eq!(Some(row.id), of_key(first + 3 * index), "key {key}, {rows_max} rows");
            }
        }
    }
}

/// A delivery that ended is not loaded any more, whatever its end; finishing it again changes nothing.
pub async fn finishing_ends_a_delivery(factory: &impl Factory) {
    let store = factory.create();
    furnish(&store).await;
    append(&store, new_event(event(1, 1, NOW), &[11])).await;
    append(&store, new_event(event(2, 1, NOW), &[11])).await;
    let due = load(&store, 11, Ordering::Unordered, NOW).await.deliveries;
    let ends = vec![
        finished(&due[0], 1, NOW, Completion::Delivered),
        finished(&due[1], 2, NOW, Completion::Dropped),
        finished(&due[0], 3, NOW, Completion::Dead(DeadReason::Exhausted)),
    ];
    store.finish(ends).await.expect("a store takes completions");
    let store = factory.reopen(store);
    assert!(load(&store, 11, Ordering::Unordered, NOW).await.deliveries.is_empty());
    assert_eq!(store.backlog().await, Ok(Vec::new()));
    let counts = store.endpoint_counts(application_id(1), endpoint_id(11)).await;
    assert_eq!(counts, Ok(EndpointCounts { delivered: 1, ..EndpointCounts::default() }));
}

/// What a plugin made of an event is kept from one retry to the next.
pub async fn a_retry_keeps_what_was_prepared(factory: &impl Factory) {
    let store = factory.create();
    furnish(&store).await;
    append(&store, new_event(event(1, 1, NOW), &[11])).await;
    let retry = |due, prepared| Completion::Retry { due: at(due), prepared };
    let delivery = load(&store, 11, Ordering::Unordered, NOW).await.deliveries.remove(0);
    finish(&store, finished(&delivery, 1, NOW, retry(10, Some(Box::new(prepared(1)))))).await;
    finish(&store, finished(&delivery, 2, at(10), retry(20, None))).await;

    let store = factory.reopen(store);
    let loaded = load(&store, 11, Ordering::Unordered, at(20)).await;
    let [delivery] = loaded.deliveries.as_slice() else { panic!("{loaded:?}") };
    assert_eq!(delivery.prepared.as_deref(), Some(&prepared(1)));
    assert_eq!((delivery.attempts_made, delivery.due), (2, at(20)));
    let counts = store.endpoint_counts(application_id(1), endpoint_id(11)).await;
    assert_eq!(counts, Ok(EndpointCounts { retrying: 1, ..EndpointCounts::default() }));
}

/// Parts are deliveries of their own, due at once and in the place of the one that they come from.
pub async fn a_split_takes_the_place_of_its_delivery(factory: &impl Factory) {
    let store = factory.create();
    furnish(&store).await;
    let in_order = NewDelivery { endpoint: endpoint_id(11), order_key: Some(OrderKey(7)) };
    for number in 1..=2 {
        append(&store, NewEvent { deliveries: vec![in_order], ..new_event(event(number, 1, NOW), &[]) })
            .await;
    }
    let due = load(&store, 11, Ordering::PerKey, NOW).await.deliveries;
    let parts: Vec<_> = (1..=16).map(prepared).collect();
    finish(&store, finished(&due[0], 1, NOW, Completion::Split(parts.clone()))).await;

    let store = factory.reopen(store);
    let loaded = load(&store, 11, Ordering::PerKey, NOW).await.deliveries;
    assert_eq!(loaded.len(), 17);
    for (delivery, part) in loaded.iter().zip(&parts) {
        assert_eq!(delivery.prepared.as_deref(), Some(part));
        assert_eq!((delivery.event.id, delivery.order_key), (due[0].event.id, Some(OrderKey(7))));
        assert_eq!((delivery.attempts_made, delivery.trigger), (0, AttemptTrigger::Scheduled));
    }
    assert_eq!(loaded[16].id, due[1].id, "later deliveries stay behind the parts");
    assert_eq!(
        store.deliveries_of(application_id(1), due[0].event.id).await.map(|states| states.len()),
        Ok(16)
    );
    for (number, delivery) in (2..).zip(&loaded) {
        finish(&store, finished(delivery, number, at(1), Completion::Delivered)).await;
    }
    assert_eq!(store.backlog().await, Ok(Vec::new()));
}

/// The dead of an event are listed with those that wait.
pub async fn a_dead_delivery_stays_readable(factory: &impl Factory) {
    let store = factory.create();
    furnish(&store).await;
    append(&store, new_event(event(1, 1, NOW), &[11, 12])).await;
    append(&store, new_event(event(2, 1, NOW), &[11])).await;
    for (number, reason) in (1..).zip(DeadReason::ALL) {
        append(&store, new_event(event(10 + number, 1, at(5)), &[12])).await;
        let delivery = load(&store, 12, Ordering::Unordered, at(5)).await.deliveries.remove(0);
        finish(&store, finished(&delivery, number, NOW, Completion::Dead(reason))).await;
        let store = &store;
        let states = store.deliveries_of(application_id(1), delivery.event.id).await.expect("a store reads");
        let dead = DeliveryState {
            endpoint: endpoint_id(12),
            attempts_made: 1,
            status: DeliveryStatus::Dead(reason),
        };
        assert_eq!(states.last(), Some(&dead));
    }
    let store = factory.reopen(store);
    let states = store.deliveries_of(application_id(1), EventId::new(NOW, 1)).await.expect("a store reads");
    let waiting =
        DeliveryState { endpoint: endpoint_id(11), attempts_made: 0, status: DeliveryStatus::Waiting(NOW) };
    assert_eq!((states.len(), states[0]), (2, waiting));
    let counts = store.endpoint_counts(application_id(1), endpoint_id(12)).await;
    let expect = EndpointCounts { pending: 1, dead: 4, ..EndpointCounts::default() };
    assert_eq!(counts, Ok(expect));
}

/// A stored event can be sent again; its new deliveries are listed with the old ones.
pub async fn redelivers_what_is_stored(factory: &impl Factory) {
    let store = factory.create();
    furnish(&store).await;
    let sent = event(1, 1, NOW);
    let first = append(&store, new_event(sent.clone(), &[11])).await;
    append(&store, new_event(event(2, 1, NOW), &[11])).await;
    let missing = Err(StoreError::NotFound { what: "the event" });
    let unknown = EventId::new(NOW, 9);
    assert_eq!(store.redeliver(sent.application, unknown, vec![unordered(11)], NOW).await, missing);
    assert_eq!(store.redeliver(application_id(2), sent.id, vec![unordered(11)], NOW).await, missing);
    assert_eq!(store.deliveries_of(application_id(2), sent.id).await, Ok(Vec::new()));
    let again = vec![unordered(11), unordered(12)];
    let again = store.redeliver(sent.application, sent.id, again, at(5)).await.expect("a stored event");
    assert!(again.len() == 2 && first[0] < again[0] && again[0] < again[1]);

    let store = factory.reopen(store);
    let loaded = load(&store, 12, Ordering::Unordered, at(5)).await;
    let [delivery] = loaded.deliveries.as_slice() else { panic!("{loaded:?}") };
    assert_eq!((delivery.id, delivery.trigger), (again[1], AttemptTrigger::Manual));
    assert_eq!((&*delivery.event, delivery.due), (&sent, at(5)));
    let states = store.deliveries_of(sent.application, sent.id).await.expect("a store reads");
    let endpoints: Vec<_> = states.iter().map(|state| state.endpoint).collect();
    assert_eq!(endpoints, [endpoint_id(11), endpoint_id(11), endpoint_id(12)]);
}

/// Each endpoint with something unfinished is named once, with its earliest due time.
pub async fn names_the_backlog(factory: &impl Factory) {
    let store = factory.create();
    furnish(&store).await;
    assert_eq!(store.backlog().await, Ok(Vec::new()));
    append(&store, new_event(event(1, 1, at(20)), &[11, 12])).await;
    append(&store, new_event(event(2, 1, at(10)), &[12])).await;
    append(&store, new_event(event(3, 2, at(30)), &[21])).await;
    let store = factory.reopen(store);
    let backlog = |endpoint, due| Backlog { endpoint: endpoint_id(endpoint), earliest_due: at(due) };
    assert_eq!(store.backlog().await, Ok(vec![backlog(11, 20), backlog(12, 10), backlog(21, 30)]));
}

/// What waits is counted through everything that makes, ends and removes deliveries.
pub async fn measures_what_waits(factory: &impl Factory) {
    let store = factory.create();
    furnish(&store).await;
    let measured = async |store: &dyn Store| {
        let measures = store.measure().await.expect("a store reads");
        (measures.waiting, measures.oldest)
    };
    assert_eq!(measured(&store).await, (0, None));
    append(&store, new_event(event(1, 1, at(1)), &[11, 12])).await;
    append(&store, new_event(event(2, 1, at(2)), &[11])).await;
    assert_eq!(measured(&store).await, (3, Some(at(1))));
    let store = factory.reopen(store);
    assert_eq!(measured(&store).await, (3, Some(at(1))));

    let due = load(&store, 11, Ordering::Unordered, at(9)).await.deliveries;
    let retry = Completion::Retry { due: at(60), prepared: None };
    finish(&store, finished(&due[0], 1, at(9), retry)).await;
    assert_eq!(measured(&store).await, (3, Some(at(1))), "a retry waits");
    finish(&store, finished(&due[0], 2, at(9), Completion::Split(vec![prepared(1), prepared(2)]))).await;
    assert_eq!(measured(&store).await.0, 4);
    let elsewhere = load(&store, 12, Ordering::Unordered, at(9)).await.deliveries;
    finish(&store, finished(&elsewhere[0], 3, at(9), Completion::Delivered)).await;
    let parts = load(&store, 11, Ordering::Unordered, at(90)).await.deliveries;
    for (number, part) in (4..).zip(parts.iter().filter(|part| part.event.id == due[0].event.id)) {
        finish(&store, finished(part, number, at(9), Completion::Dead(DeadReason::Exhausted))).await;
    }
    assert_eq!(measured(&store).await, (1, Some(at(2))));
    store
        .redeliver(application_id(1), due[0].event.id, vec![unordered(11)], at(9))
        .await
        .expect("the event is there");
    assert_eq!(measured(&store).await, (2, Some(at(2))), "a resend is asked for today");
    store.apply(vec![Change::DeleteEndpoint(endpoint_id(11))]).await.expect("a deletion");
    assert_eq!(measured(&store).await, (0, None));
}
