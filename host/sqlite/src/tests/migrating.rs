//! Databases of earlier programs.

use hookmill_core::id::{AttemptId, EventId};
use hookmill_core::port::Store;
use hookmill_core::port::store::{AttemptResult, AttemptsOf, EventLookup};
use hookmill_testkit::store_contract::fixture::{NOW, application_id, at, endpoint_id};
use hookmill_testkit::store_contract::history::attempts_of;
use hookmill_testkit::store_contract::run;
use rusqlite::{Connection, params};

use super::{Directory, open};
use crate::connection;
use crate::schema::{self, NUMBER_STEP};

#[test]
fn history_of_version_4_is_read_by_event_and_by_endpoint() {
    let directory = Directory::new();
    let file = directory.next_file();
    let db = Connection::open(&file).unwrap();
    schema::create_version(&db, 4).unwrap();
    db.execute(
        "INSERT INTO application VALUES (?1, NULL, 'Shop', NULL, '{}', 1, 1)",
        [application_id(1).to_bytes()],
    )
    .unwrap();
    let event = |number: u128| EventId::new(NOW, number);
    let attempt = |number: u128| AttemptId::new(at(1), number);
    for number in 1..=2 {
        let place = NUMBER_STEP * i64::try_from(number).unwrap();
        db.execute(
            "INSERT INTO event (number, id, application, deliveries, type, body) VALUES (?1, ?2, ?3, 1, 'a', X'7b7d')",
            params![place, event(number).to_bytes(), application_id(1).to_bytes()],
        )
        .unwrap();
    }
    // Events and attempts are not in the same order.
    for (number, of, result) in [(1, 2, 1), (2, 1, 0), (3, 2, 0)] {
        db.execute(
            "INSERT INTO attempt (id, application, event, endpoint, number, duration_us, result, manual)
             VALUES (?1, ?2, ?3, ?4, 1, 5, ?5, 0)",
            params![
                attempt(number).to_bytes(),
                application_id(1).to_bytes(),
                event(of).to_bytes(),
                endpoint_id(11).to_bytes(),
                result
            ],
        )
        .unwrap();
    }
    drop(db);

    let store = open(&file);
    let read = |of| run(store.attempts(attempts_of(1, of))).unwrap().items;
    let ids = |of| read(of).iter().map(|attempt| attempt.id).collect::<Vec<_>>();
    assert_eq!(ids(AttemptsOf::Event(event(2), None)), [attempt(3), attempt(1)]);
    assert_eq!(ids(AttemptsOf::Event(event(1), None)), [attempt(2)]);
    assert_eq!(ids(AttemptsOf::Endpoint(endpoint_id(11))), [attempt(3), attempt(2), attempt(1)]);
    assert_eq!(read(AttemptsOf::Event(event(2), None))[1].result, AttemptResult::Failed);
    let found = run(store.event(application_id(1), EventLookup::Id(event(2)))).unwrap();
    assert_eq!(found.map(|event| event.id), Some(event(2)));
    assert!(run(store.retain(at(9))).unwrap() > 0, "what is old and finished goes");
    assert_eq!(read(AttemptsOf::Endpoint(endpoint_id(11))), []);
    drop(store);
    connection::open_writer(&file).expect("opened once more, nothing is left to migrate");
}
