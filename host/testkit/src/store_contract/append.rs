//! Accepting events.

use std::sync::Arc;

use hookmill_core::event::{Channels, Event};
use hookmill_core::id::EventId;
use hookmill_core::policy::Ordering;
use hookmill_core::port::Store;
use hookmill_core::port::store::{Appended, EventLookup, IdempotencyKey, NewEvent, StoreError};

use super::Factory;
use super::fixture::{NOW, append, at, event, furnish, ids, load, name, new_event};

/// Stored deliveries have ids in the order they were given, and come back whole, also after a restart.
pub async fn answers_ids_in_order(factory: &impl Factory) {
    let store = factory.create();
    furnish(&store).await;
    let sent = Event {
        uid: Some(name("order-7")),
        channels: Channels::new(vec![name("eu"), name("test")]).expect("two distinct channels"),
        ordering_key: Some(name("customer-9")),
        content_type: "text/plain; charset=utf-8".parse().expect("a media type"),
        body: bytes::Bytes::from_static(b"\0not json\xff"),
        ..event(1, 1, NOW)
    };
    let deliveries = append(&store, new_event(sent.clone(), &[11, 12])).await;
    assert!(deliveries.len() == 2 && deliveries[0] < deliveries[1], "{deliveries:?}");

    let store = factory.reopen(store);
    for (index, endpoint) in [11, 12].into_iter().enumerate() {
        let loaded = load(&store, endpoint, Ordering::Unordered, NOW).await;
        let [delivery] = loaded.deliveries.as_slice() else { panic!("{loaded:?}") };
        assert_eq!((delivery.id, &*delivery.event), (deliveries[index], &sent));
        assert_eq!((delivery.due, delivery.attempts_made), (NOW, 0));
        assert!(delivery.prepared.is_none() && loaded.next_due.is_none());
    }
    let later = append(&store, new_event(event(2, 1, at(1)), &[11])).await;
    assert!(later[0] > deliveries[1], "numbers go on after a restart");
    let found = store.event(sent.application, EventLookup::Uid(name("order-7"))).await;
    assert_eq!(found, Ok(Some(Arc::new(sent))));
}

/// The same uid in the same application is the same event; in another application it is another one.
pub async fn knows_a_uid(factory: &impl Factory) {
    let store = factory.create();
    furnish(&store).await;
    let with_uid = |number, application| Event { uid: Some(name("u")), ..event(number, application, NOW) };
    append(&store, new_event(with_uid(1, 1), &[11])).await;
    append(&store, new_event(with_uid(2, 2), &[21])).await;

    let store = factory.reopen(store);
    let repeat = |fingerprint| NewEvent { fingerprint, ..new_event(with_uid(3, 1), &[11]) };
    let first = EventId::new(NOW, 1);
    assert_eq!(store.append(repeat([1; 32])).await, Ok(Appended::Duplicate { first, same: true }));
    assert_eq!(store.append(repeat([2; 32])).await, Ok(Appended::Duplicate { first, same: false }));
    assert_eq!(load(&store, 11, Ordering::Unordered, NOW).await.deliveries.len(), 1);
}

/// A repeat of a request is known by its key, before its uid is looked at.
pub async fn knows_an_idempotency_key(factory: &impl Factory) {
    let store = factory.create();
    furnish(&store).await;
    let with_key = |number, key, fingerprint| NewEvent {
        idempotency_key: Some(IdempotencyKey([key; 32])),
        fingerprint,
        ..new_event(event(number, 1, NOW), &[11])
    };
    append(&store, with_key(1, 1, [1; 32])).await;
    append(&store, with_key(2, 2, [1; 32])).await;
    let known = |number, same| Ok(Appended::Duplicate { first: EventId::new(NOW, number), same });
    assert_eq!(store.append(with_key(3, 1, [1; 32])).await, known(1, true));
    assert_eq!(store.append(with_key(4, 2, [9; 32])).await, known(2, false));

    let store = factory.reopen(store);
    assert_eq!(store.append(with_key(5, 2, [1; 32])).await, known(2, true));
    assert_eq!(load(&store, 11, Ordering::Unordered, NOW).await.deliveries.len(), 2);
}

/// Neither an event of an unknown tenant nor one with an id that is taken is stored.
pub async fn refuses_what_has_no_application(factory: &impl Factory) {
    let store = factory.create();
    furnish(&store).await;
    let missing = Err(StoreError::NotFound { what: "the application" });
    assert_eq!(store.append(new_event(event(1, 3, NOW), &[])).await, missing);
    append(&store, new_event(event(2, 1, NOW), &[])).await;
    let taken = Err(StoreError::Conflict { what: "the event's id" });
    assert_eq!(store.append(new_event(event(2, 1, NOW), &[])).await, taken);
}

/// Calls that share a commit get their own answers.
pub async fn answers_each_of_many_at_once(factory: &impl Factory) {
    let store = Arc::new(factory.create());
    furnish(&*store).await;
    let mut calls = Vec::new();
    for number in 0..200 {
        let store = Arc::clone(&store);
        let uid = name(&format!("uid-{}", number / 2));
        let sent = Event { uid: Some(uid), ..event(number, 1, NOW) };
        calls.push(tokio::spawn(async move { store.append(new_event(sent, &[11])).await }));
    }
    let (mut stored, mut known) = (Vec::new(), 0);
    for call in calls {
        match call.await.expect("no call panics") {
            Ok(Appended::Stored(deliveries)) => stored.extend(deliveries),
            Ok(Appended::Duplicate { same, .. }) => known += usize::from(same),
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!((stored.len(), known), (100, 100));
    let mut loaded = ids(&load(&*store, 11, Ordering::Unordered, NOW).await.deliveries);
    stored.sort_unstable();
    loaded.sort_unstable();
    assert_eq!(stored, loaded);
}
