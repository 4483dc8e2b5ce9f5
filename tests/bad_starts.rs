//! Starts that can't be: the process ends with a documented code and says what to do.

use std::net::TcpListener;

use hookmill_tests::router::{DataDir, Options};

/// The router could not start: a restart alone will not help.
const NOT_STARTED: i32 = 5;
/// Arguments or the configuration file are wrong.
const USAGE: i32 = 2;

async fn check(options: &Options, data_dir: &DataDir, exit: i32, code: &str) {
    options.fail(&data_dir.path()).await.check(exit, code);
}

#[tokio::test]
async fn a_data_directory_that_can_not_be_written() {
    let parent = tempfile::tempdir().unwrap();
    let file = parent.path().join("file");
    std::fs::write(&file, "").unwrap();
    // Tests may run as root, who may write anywhere but below a file or in the kernel's own file systems.
    for path in [file.clone(), file.join("below"), "/proc/hookmill".into(), "/sys/hookmill".into()] {
        Options::default().fail(&path).await.check(NOT_STARTED, "data_dir_not_writable");
    }
}

#[tokio::test]
async fn a_data_directory_that_another_router_has() {
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    check(&Options::default(), &data_dir, NOT_STARTED, "data_dir_locked").await;
    assert!(router.api().is_ready().await, "the first is not disturbed");
    // A lock ends with its process, however that ends.
    router.kill().await;
    let _router = data_dir.start().await;
}

#[tokio::test]
async fn a_store_from_a_newer_version() {
    let data_dir = DataDir::new();
    assert_eq!(data_dir.start().await.stop().await, Some(0));
    let database = rusqlite::Connection::open(data_dir.database()).unwrap();
    let version: u32 = database.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    let set = |version: u32| database.pragma_update(None, "user_version", version).unwrap();
    set(version + 1);
    check(&Options::default(), &data_dir, NOT_STARTED, "store_newer_schema").await;
    // It was left as it was.
    set(version);
    drop(database);
    let _router = data_dir.start().await;
}

#[tokio::test]
async fn a_store_that_is_another_programs() {
    let data_dir = DataDir::new();
    assert_eq!(data_dir.start().await.stop().await, Some(0));
    let database = rusqlite::Connection::open(data_dir.database()).unwrap();
    database.pragma_update(None, "application_id", 42).unwrap();
    drop(database);
    check(&Options::default(), &data_dir, NOT_STARTED, "store_foreign_file").await;
}

#[tokio::test]
async fn a_store_that_is_damaged() {
    let data_dir = DataDir::new();
    assert_eq!(data_dir.start().await.stop().await, Some(0));
    std::fs::write(data_dir.database(), "this was a database once".repeat(1000)).unwrap();
    check(&Options::default(), &data_dir, NOT_STARTED, "store_corrupt").await;
}

#[tokio::test]
async fn a_store_without_the_key_of_its_secrets() {
    let data_dir = DataDir::new();
    assert_eq!(data_dir.start().await.stop().await, Some(0));
    std::fs::remove_file(data_dir.path().join("secret.key")).unwrap();
    check(&Options::default(), &data_dir, NOT_STARTED, "secret_key_missing").await;
}

#[tokio::test]
async fn a_store_under_another_key() {
    let data_dir = DataDir::new();
    assert_eq!(data_dir.start().await.stop().await, Some(0));
    std::fs::write(data_dir.path().join("secret.key"), [9; 32]).unwrap();
    let failed = Options::default().fail(&data_dir.path()).await;
    failed.check(NOT_STARTED, "secret_key_wrong");
    assert!(failed.output.contains("restore the secret.key"), "{}", failed.output);
}

#[tokio::test]
async fn a_key_without_the_store_that_it_belongs_to() {
    let check_after = async |lose: &dyn Fn(&std::path::Path), code: &str| {
        let data_dir = DataDir::new();
        let router = data_dir.start().await;
        router.api().create_application("any").await;
        router.kill().await;
        lose(&data_dir.database());
        // Twice: the refusal changes nothing.
        check(&Options::default(), &data_dir, NOT_STARTED, code).await;
        check(&Options::default(), &data_dir, NOT_STARTED, code).await;
    };
    check_after(&|file| std::fs::write(file, "").unwrap(), "store_missing").await;
    check_after(&|file| std::fs::remove_file(file).unwrap(), "store_missing").await;
    check_after(&|file| std::fs::remove_file(file.with_extension("db-wal")).unwrap(), "store_log_missing")
        .await;
}

#[tokio::test]
async fn a_variable_that_is_out_of_bounds_or_means_nothing() {
    let data_dir = DataDir::new();
    let options = Options { variables: vec![("HOOKMILL_RETENTION_DAYS", "0")], ..Options::default() };
    let failed = options.fail(&data_dir.path()).await;
    failed.check(USAGE, "config_invalid");
    assert!(failed.output.contains("HOOKMILL_RETENTION_DAYS: 0 is out of bounds"), "{}", failed.output);
    let variables = vec![("HOOKMILL_RETENTION_DAYS", "3"), ("HOOKMILL_RETENTION_DAY", "4")];
    let options = Options { variables, ..Options::default() };
    let router = data_dir.start_with(&options).await;
    let told = "HOOKMILL_RETENTION_DAY means nothing; did you mean HOOKMILL_RETENTION_DAYS?";
    assert!(router.log().contains(told), "{}", router.log());
}

#[tokio::test]
async fn a_port_that_is_taken() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let options = Options { listen: taken.local_addr().unwrap(), ..Options::default() };
    let data_dir = DataDir::new();
    check(&options, &data_dir, NOT_STARTED, "address_in_use").await;
    drop(taken);
    let _router = data_dir.start().await;
}

#[tokio::test]
async fn a_configuration_with_an_unknown_key() {
    let data_dir = DataDir::new();
    let options = Options::default().config(&data_dir, "listen_adress = '127.0.0.1:0'");
    let failed = options.fail(&data_dir.path()).await;
    failed.check(USAGE, "config_invalid");
    assert!(failed.output.contains("listen_adress"), "{}", failed.output);
}

#[tokio::test]
async fn an_unknown_argument() {
    let options = Options { more: vec!["--no-such-flag".into()], ..Options::default() };
    check(&options, &DataDir::new(), USAGE, "--no-such-flag").await;
}
