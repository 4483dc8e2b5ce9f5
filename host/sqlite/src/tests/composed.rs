//! Compositions, and requests that are kept for retries: sealed, and refused where they were changed.

use std::fs;
use std::path::Path;

use bytes::Bytes;
use hookmill_core::compose::{Composition, MissingRule, RawBody, RawComposition};
use hookmill_core::endpoint::{Endpoint, Transformation};
use hookmill_core::policy::Ordering;
use hookmill_core::port::Store;
use hookmill_core::port::store::{Change, Completion};
use hookmill_testkit::store_contract::fixture::{
    NOW, append, application, endpoint, event, finish, finished, load, load_due, new_event,
};
use hookmill_testkit::store_contract::run;
use rusqlite::Connection;

use super::{Directory, open};

const TOKEN: &str = "3f8a11c2-visible-nowhere";

fn composition() -> Composition {
    let raw = RawComposition {
        name: "test".to_owned(),
        method: http::Method::POST,
        url: format!("https://receiver.example/?token={TOKEN}"),
        headers: vec![("authorization".to_owned(), format!("Bearer {TOKEN}"))],
        body: RawBody::Json(TOKEN.into()),
        missing: MissingRule::Empty,
        allowed_origins: Vec::new(),
    };
    Composition::restore(raw).unwrap()
}

/// A store with a composed endpoint, 12, that is owed a delivery whose request is kept.
fn furnished(file: &Path) {
    let store = open(file);
    run(async {
        let composed =
            Endpoint { transformation: Transformation::Composed(Box::new(composition())), ..endpoint(12, 1) };
        let changes = vec![Change::PutApplication(application(1)), Change::PutEndpoint(Box::new(composed))];
        store.apply(changes).await.unwrap();
        append(&store, new_event(event(1, 1, NOW), &[12])).await;
        let delivery = load(&store, 12, Ordering::Unordered, NOW).await.deliveries.remove(0);
        let request = composition().render_body(&delivery.event.body).unwrap();
        let retry = Completion::Retry { due: NOW, prepared: Some(Box::new(request)) };
        finish(&store, finished(&delivery, 1, NOW, retry)).await;
    });
}

#[test]
fn nothing_of_a_composition_is_in_the_clear() {
    let directory = Directory::new();
    let file = directory.next_file();
    furnished(&file);
    let log = file.with_extension("db-wal");
    let bytes = [fs::read(&file).unwrap(), fs::read(log).unwrap()].concat();
    assert!(bytes.len() > 1000);
    assert!(!bytes.windows(TOKEN.len()).any(|window| window == TOKEN.as_bytes()));
    let delivery = run(load(&open(&file), 12, Ordering::Unordered, NOW)).deliveries.remove(0);
    assert_eq!(
        delivery.prepared.as_deref(),
        Some(&composition().render_body(&Bytes::from_static(b"{}")).unwrap())
    );
}

#[test]
fn what_was_changed_does_not_open() {
    let directory = Directory::new();
    let check = |sql: &str, expect: &str| {
        let file = directory.next_file();
        furnished(&file);
        assert_eq!(Connection::open(&file).unwrap().execute(sql, []).unwrap(), 1, "{sql}");
        let store = open(&file);
        let configuration = run(store.configuration()).map(drop);
        let loaded = run(store.load_due(load_due(12, Ordering::Unordered, NOW))).map(drop);
        let error = configuration.and(loaded).unwrap_err().to_string();
        assert!(error.contains(expect), "{sql}: {error}");
    };
    check("UPDATE endpoint SET composition = x''", "at least 41 bytes");
    check("UPDATE endpoint SET composition = secrets", "does not open");
    check("UPDATE delivery SET prepared_body = NULL", "at least 41 bytes");
    check("UPDATE delivery SET prepared_body = (SELECT composition FROM endpoint)", "does not open");
    check("UPDATE delivery SET prepared = '{\"version\":\"3\"}'", "unknown variant");
    check("UPDATE delivery SET prepared = ''", "a row of delivery can't be read");
}

#[test]
fn a_plugin_beside_a_composition_is_no_row() {
    let directory = Directory::new();
    let file = directory.next_file();
    furnished(&file);
    let both = "UPDATE endpoint SET plugin = 'p', plugin_enabled = 1, plugin_settings = '', plugin_on_failure = 'hold'";
    let error = Connection::open(&file).unwrap().execute(both, []).unwrap_err();
    assert!(error.to_string().contains("CHECK constraint failed"), "{error}");
}

/// As the first versions kept them.
#[test]
fn requests_that_were_kept_in_the_clear_are_read() {
    let directory = Directory::new();
    let file = directory.next_file();
    furnished(&file);
    let clear = r#"UPDATE delivery SET prepared =
        '{"version":"1","method":"PUT","url":"https://other.example/","headers":[["x-a","1"]]}', prepared_body = x'00ff'"#;
    assert_eq!(Connection::open(&file).unwrap().execute(clear, []).unwrap(), 1);
    let delivery = run(load(&open(&file), 12, Ordering::Unordered, NOW)).deliveries.remove(0);
    let request = delivery.prepared.unwrap();
    assert_eq!((request.method.as_str(), request.headers["x-a"].as_bytes()), ("PUT", &b"1"[..]));
    assert_eq!(request.body_of(&delivery.event), b"\x00\xff".as_slice());
}
