//! Which files open, and what is in them.

use std::fs;

use hookmill_core::endpoint::CustomHeaders;
use hookmill_core::port::Store;
use hookmill_core::port::store::{Change, StoreError};
use hookmill_core::seal::SealKey;
use hookmill_testkit::store_contract::fixture::{
    NOW, append, application, endpoint, event, furnish, new_event,
};
use hookmill_testkit::store_contract::{Factory, run};
use rusqlite::Connection;

use super::{Directory, open, sealer};
use crate::schema::SCHEMA_VERSION;
use crate::{OpenError, SqliteStore};

/// The address of a receiver can be its secret.
#[test]
fn no_address_is_in_the_clear_also_of_what_earlier_versions_kept() {
    use hookmill_core::address::DeliveryUrl;
    use hookmill_core::port::store::{IdempotencyKey, RememberedAnswer};

    const TOKEN: &str = "T0KEN-of-a-chat";
    let directory = Directory::new();
    let file = directory.next_file();
    let url = DeliveryUrl::parse(&format!("https://chat.example/hook/{TOKEN}")).unwrap();
    let to = hookmill_core::endpoint::Endpoint { url: url.clone(), ..endpoint(11, 1) };
    let answer =
        RememberedAnswer { fingerprint: [1; 32], status: 201, body: url.to_string().into(), at: NOW };
    let key = IdempotencyKey([7; 32]);
    let store = open(&file);
    run(async {
        let remember = Change::Remember(key, answer.clone());
        let changes =
            vec![Change::PutApplication(application(1)), Change::PutEndpoint(Box::new(to)), remember];
        store.apply(changes).await.unwrap();
        store.close().await.unwrap();
    });
    drop(store);
    let check = || {
        for file in [file.clone(), file.with_extension("db-wal")] {
            let bytes = fs::read(&file).unwrap();
            let found = bytes.windows(TOKEN.len()).any(|window| window == TOKEN.as_bytes());
            assert!(!found, "{}", file.display());
        }
        let store = open(&file);
        let configuration = run(store.configuration()).unwrap();
        assert_eq!(configuration.endpoints[0].url, url);
        assert_eq!(run(store.remembered(key)), Ok(Some(answer.clone())));
        run(store.close()).unwrap();
    };
    check();

    // As version 6 left it: the address in its column, the answer as it was given.
    let old = Connection::open(&file).unwrap();
    old.execute("UPDATE remembered_answer SET body = ?1, sealed = 0", [url.as_str().as_bytes()]).unwrap();
    old.execute("UPDATE endpoint SET url = ?1", [url.as_str()]).unwrap();
    old.execute("DELETE FROM installation", []).unwrap();
    drop(old);
    drop(open(&file));
    check();
}

#[test]
fn another_key_is_named_at_the_start() {
    let directory = Directory::new();
    let file = directory.next_file();
    drop(open(&file));
    let other = || SqliteStore::open(&file, SealKey::new([8; 32]), sealer().entropy).map(drop);
    assert_eq!(other().expect_err("another key").code(), "secret_key_wrong");
    // A database of an earlier version says so as soon as there is a secret in it.
    let store = open(&file);
    run(furnish(&store));
    drop(store);
    Connection::open(&file).unwrap().execute("DELETE FROM installation", []).unwrap();
    assert_eq!(other().expect_err("another key").code(), "secret_key_wrong");
    drop(open(&file));
}

#[test]
fn a_database_that_was_in_use_is_not_made_anew() {
    let directory = Directory::new();
    let check = |prepare: &dyn Fn(&std::path::Path)| {
        let file = directory.next_file();
        prepare(&file);
        let opened = SqliteStore::open_existing(&file, SealKey::new([7; 32]), sealer().entropy).map(drop);
        assert_eq!(opened.expect_err("nothing is in it").code(), "store_lost");
    };
    check(&|file| fs::write(file, "").unwrap());
    // The first page is in the file before the first checkpoint, and all else in the log.
    check(&|file| {
        let db = Connection::open(file).unwrap();
        db.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(())).unwrap();
    });
    let file = directory.next_file();
    drop(open(&file));
    SqliteStore::open_existing(&file, SealKey::new([7; 32]), sealer().entropy).expect("it has its tables");
}

#[test]
fn a_database_that_was_made_without_can_shrink_from_its_next_start_on() {
    let directory = Directory::new();
    let file = directory.next_file();
    let db = Connection::open(&file).unwrap();
    crate::schema::create_version(&db, 6).unwrap();
    drop(db);
    drop(open(&file));
    let db = Connection::open(&file).unwrap();
    assert_eq!(db.pragma_query_value(None, "auto_vacuum", |row| row.get::<_, i64>(0)).unwrap(), 2);
}

fn refusal(file: &std::path::Path) -> OpenError {
    let super::Sealer { key, entropy } = sealer();
    SqliteStore::open(file, key, entropy).unwrap_err()
}

#[test]
fn a_newer_schema_is_refused_and_left_alone() {
    let directory = Directory::new();
    let file = directory.create().file().to_owned();
    let db = Connection::open(&file).unwrap();
    db.pragma_update(None, "user_version", SCHEMA_VERSION + 1).unwrap();
    drop(db);
    let error = refusal(&file);
    assert_eq!(error.code(), "store_newer_schema");
    assert!(error.to_string().contains(&format!("version {}", SCHEMA_VERSION + 1)), "{error}");
    assert!(error.to_string().contains(&format!("up to {SCHEMA_VERSION}")), "{error}");
    let db = Connection::open(&file).unwrap();
    let version: u32 = db.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    assert_eq!(version, SCHEMA_VERSION + 1);
}

#[test]
fn other_files_are_refused() {
    let directory = Directory::new();
    let check = |prepare: &dyn Fn(&std::path::Path), code: &str| {
        let file = directory.next_file();
        prepare(&file);
        assert_eq!(refusal(&file).code(), code);
    };
    check(&|file| fs::write(file, vec![b'x'; 10_000]).unwrap(), "store_corrupt");
    check(&|file| fs::create_dir(file).unwrap(), "store_not_writable");
    check(
        &|file| Connection::open(file).unwrap().execute_batch("CREATE TABLE other (id INTEGER)").unwrap(),
        "store_foreign_file",
    );
    let missing = directory.directory.path().join("missing").join("hookmill.db");
    let error = refusal(&missing);
    assert_eq!(error.code(), "store_not_writable");
    assert!(error.to_string().contains("missing/hookmill.db"), "{error}");
}

#[test]
fn a_locked_file_is_refused() {
    let directory = Directory::new();
    let file = directory.next_file();
    let db = Connection::open(&file).unwrap();
    db.execute_batch("BEGIN EXCLUSIVE").unwrap();
    assert_eq!(refusal(&file).code(), "store_locked");
}

#[test]
fn the_file_is_as_it_was_meant() {
    let directory = Directory::new();
    let store = directory.create();
    let db = Connection::open(store.file()).unwrap();
    let check = |pragma: &str, expect: i64| {
        let value: i64 = db.pragma_query_value(None, pragma, |row| row.get(0)).unwrap();
        assert_eq!(value, expect, "{pragma}");
    };
    check("page_size", crate::PAGE_BYTES);
    check("auto_vacuum", 2);
    check("application_id", i64::from(crate::schema::APPLICATION_ID));
    check("user_version", i64::from(SCHEMA_VERSION));
    assert!(rusqlite::version_number() >= 3_051_003);
}

#[test]
fn secrets_are_not_in_the_file() {
    const TOKEN: &[u8] = b"Bearer 3f8a11c2-visible-nowhere";
    let directory = Directory::new();
    let store = directory.create();
    let mut secret = endpoint(11, 1);
    secret.headers = CustomHeaders::new([("authorization", TOKEN)]).unwrap();
    let key = secret.signing.current().to_text().to_string();
    run(store.apply(vec![Change::PutApplication(application(1)), Change::PutEndpoint(Box::new(secret))]))
        .unwrap();

    let file = store.file().to_owned();
    let assert_absent = |when: &str| {
        let mut needles = vec![TOKEN, key.as_bytes()];
        needles.push(key.strip_prefix("whsec_").unwrap().as_bytes());
        for suffix in ["", "-wal"] {
            let Ok(bytes) = fs::read(format!("{}{suffix}", file.display())) else { continue };
            for needle in &needles {
                assert!(!bytes.windows(needle.len()).any(|window| window == *needle), "{when}: {suffix:?}");
            }
        }
    };
    assert_absent("while it is open");
    drop(store);
    assert_absent("after it was closed");

    let other_key = SealKey::new([8; 32]);
    let refused = SqliteStore::open(&file, other_key, sealer().entropy).map(drop);
    assert_eq!(refused.expect_err("another key").code(), "secret_key_wrong");
    assert_eq!(run(open(&file).configuration()).unwrap().endpoints.len(), 1);
}

#[test]
fn closing_ends_the_store_and_empties_its_log() {
    let directory = Directory::new();
    let store = directory.create();
    run(async {
        furnish(&store).await;
        append(&store, new_event(event(1, 1, NOW), &[11])).await;
        assert_eq!(store.close().await, Ok(()));
        let refused = store.append(new_event(event(2, 1, NOW), &[])).await;
        assert!(matches!(refused, Err(StoreError::Failed { .. })), "{refused:?}");
    });
    let file = store.file().to_owned();
    drop(store);
    let log = fs::read(format!("{}-wal", file.display())).unwrap_or_default();
    assert!(log.is_empty(), "{} bytes", log.len());
    assert_eq!(run(open(&file).backlog()).unwrap().len(), 1);
}
