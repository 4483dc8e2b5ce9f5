//! A first start needs nothing: it makes the data directory and an admin key, which it shows once.

use std::os::unix::fs::PermissionsExt as _;

use hookmill_tests::router::{ADMIN_KEY, DataDir, Options};

#[tokio::test]
async fn an_admin_key_is_made_and_shown_once() {
    let data_dir = DataDir::new();
    let options = Options { admin_key: None, ..Options::default() };
    assert!(!data_dir.path().exists());
    let router = data_dir.start_with(&options).await;
    let line = router.printed().lines().find(|line| line.contains("admin key")).unwrap();
    let key = line.rsplit(' ').next().unwrap().to_owned();
    router.api().with_key(&key).create_application("first").await;
    assert!(!router.log().contains(&key), "a key is no business of the log");
    assert_eq!(router.stop().await, Some(0));

    let router = data_dir.start_with(&options).await;
    assert!(!router.printed().contains("admin key"), "{}", router.printed());
    let applications = router.api().with_key(&key).get("/app").await;
    assert_eq!(applications["data"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_given_admin_key_is_taken_and_not_shown() {
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    router.api().create_application("first").await;
    assert!(!router.printed().contains("key"), "{}", router.printed());
    assert!(!router.log().contains(ADMIN_KEY), "a key is no business of the log");
}

#[tokio::test]
async fn only_the_owner_may_look_into_the_data_directory() {
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    router.api().create_application("any").await;
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&data_dir.path()), 0o700);
    for file in ["secret.key", "lock", "hookmill.db", "hookmill.db-wal", "hookmill.db-shm"] {
        assert_eq!(mode(&data_dir.path().join(file)), 0o600, "{file}");
    }
    assert_eq!(mode(&data_dir.path().join("plugins-cache")), 0o700);
}
