//! What happens when the disk does not take it.

use hookmill_core::event::Event;
use hookmill_core::policy::Ordering;
use hookmill_core::port::Store;
use hookmill_core::port::store::{Completion, StoreError};
use hookmill_testkit::store_contract::fixture::{
    NOW, append, application_id, at, endpoint_id, event, finished, furnish, load, new_event,
};
use hookmill_testkit::store_contract::{Factory, run};
use rusqlite::Connection;

use super::{Directory, sealer};
use crate::{SqliteStore, connection};

/// A large event, so that few of them fill a small file.
fn large(number: u128) -> Event {
    Event { body: vec![b'x'; 64 << 10].into(), ..event(number, 1, NOW) }
}

#[test]
fn a_full_disk_refuses_events_and_heals() {
    let directory = Directory::new();
    let file = directory.next_file();
    let db = connection::open_writer(&file).unwrap();
    // The writer's own limit stands for the disk's.
    db.pragma_update_and_check(None, "max_page_count", 200, |_| Ok(())).unwrap();
    let store = SqliteStore::start(db, &file, sealer()).unwrap();
    run(async {
        furnish(&store).await;
        append(&store, new_event(event(1, 1, at(1)), &[11])).await;
        let mut number = 1;
        let refused = loop {
            number += 1;
            match store.append(new_event(large(number), &[])).await {
                Ok(_) => assert!(number < 100, "the limit holds"),
                Err(error) => break error,
            }
        };
        assert_eq!(refused, StoreError::Full);
        let delivery = load(&store, 11, Ordering::Unordered, at(1)).await.deliveries.remove(0);

        // What needs little room still goes, and room that is made is used.
        let done = finished(&delivery, 1, NOW, Completion::Delivered);
        assert_eq!(store.finish(vec![done]).await, Ok(()));
        assert_eq!(store.append(new_event(large(number), &[])).await, Err(StoreError::Full));
        while store.retain(at(1)).await.unwrap() > 0 {}
        append(&store, new_event(large(number), &[])).await;
        assert_eq!(store.endpoint_counts(application_id(1), endpoint_id(11)).await.unwrap().delivered, 1);
    });
}

#[test]
fn completions_wait_for_room() {
    let directory = Directory::new();
    let file = directory.next_file();
    let db = connection::open_writer(&file).unwrap();
    db.pragma_update_and_check(None, "max_page_count", 200, |_| Ok(())).unwrap();
    let store = SqliteStore::start(db, &file, sealer()).unwrap();
    run(async {
        furnish(&store).await;
        append(&store, new_event(event(1, 1, at(1)), &[11])).await;
        let mut number = 1;
        while store.append(new_event(large(number + 1), &[])).await.is_ok() {
            number += 1;
        }
        let delivery = load(&store, 11, Ordering::Unordered, at(1)).await.deliveries.remove(0);
        let mut done = finished(&delivery, 1, NOW, Completion::Delivered);
        done.attempt.response = vec![b'r'; 128 << 10].into();
        let completion = store.finish(vec![done]);
        let room = async { while store.retain(at(1)).await.unwrap() > 0 {} };
        let (completed, ()) = tokio::join!(completion, room);
        assert_eq!(completed, Ok(()));
        assert!(load(&store, 11, Ordering::Unordered, at(1)).await.deliveries.is_empty());
    });
}

#[test]
fn a_broken_file_ends_the_store() {
    let directory = Directory::new();
    let store = directory.create();
    run(async {
        furnish(&store).await;
        Connection::open(store.file()).unwrap().execute_batch("DROP TABLE delivery").unwrap();
        let refused = store.append(new_event(event(1, 1, NOW), &[11])).await;
        assert!(matches!(refused, Err(StoreError::Failed { .. })), "{refused:?}");
        let failure = store.failed().await;
        assert!(failure.to_string().contains("no such table"), "{failure}");
        assert_eq!(store.append(new_event(event(2, 1, NOW), &[])).await, Err(failure.clone()));
        assert_eq!(store.backlog().await, Err(failure.clone()));
        assert_eq!(store.finish(Vec::new()).await, Err(failure));
    });
}

#[test]
fn another_writers_lock_passes() {
    let directory = Directory::new();
    let store = directory.create();
    run(async {
        furnish(&store).await;
        let tool = Connection::open(store.file()).unwrap();
        tool.execute_batch("BEGIN IMMEDIATE").unwrap();
        assert_eq!(store.append(new_event(event(1, 1, NOW), &[])).await, Err(StoreError::Busy));
        tool.execute_batch("ROLLBACK").unwrap();
        append(&store, new_event(event(1, 1, NOW), &[])).await;
    });
}

/// The file shrinks when most of it is free, and its log with it.
#[test]
fn space_is_given_back_after_retention() {
    const EVENTS: u128 = 400;
    let directory = Directory::new();
    let store = directory.create();
    let file = store.file().to_owned();
    run(async {
        furnish(&store).await;
        for number in 0..EVENTS {
            append(&store, new_event(large(number), &[])).await;
        }
        while store.retain(at(1)).await.unwrap() > 0 {}
        // Each step of retention gives a part back.
        for _ in 0..20 {
            store.retain(at(1)).await.unwrap();
        }
        store.close().await.unwrap();
    });
    drop(store);
    let size = std::fs::metadata(&file).unwrap().len();
    assert!(size < (EVENTS as u64) * (64 << 10) / 2, "{size} bytes");
}

#[test]
fn the_file_stops_growing() {
    let directory = Directory::new();
    let store = directory.create();
    let mut pages = Vec::new();
    run(async {
        furnish(&store).await;
        for round in 0..8u64 {
            for number in 0..40 {
                let sent = Event { id: event(number, 1, at(round)).id, ..large(number) };
                append(&store, new_event(sent, &[])).await;
            }
            while store.retain(at(round)).await.unwrap() > 0 {}
            let db = Connection::open(store.file()).unwrap();
            pages.push(db.pragma_query_value(None, "page_count", |row| row.get::<_, i64>(0)).unwrap());
        }
    });
    assert!(pages[7] <= pages[2], "{pages:?}");
}
