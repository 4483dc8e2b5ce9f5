//! Strangers who hold on to what they get: the router serves others all the same.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use hookmill_testkit::receiver::{Behaviour, Receiver};
use hookmill_tests::memory::resident_peak_bytes;
use hookmill_tests::router::{DataDir, Options};
use hookmill_tests::wait;
use hookmill_tests::wire::{Wire, exchange};
use http::Method;
use serde_json::json;

/// What an idle router holds, and what unfinished requests may.
const MEMORY_BYTES_MAX: u64 = 250 << 20;

/// A program that starts the router after these lines of shell.
fn wrapped(directory: &tempfile::TempDir, lines: &str) -> PathBuf {
    let path = directory.path().join("hookmill");
    let program = Options::default().program;
    std::fs::write(&path, format!("#!/bin/sh\n{lines}\nexec {} \"$@\"\n", program.display()))
        .expect("a temporary directory can be written");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("it was just written");
    path
}

/// Bodies that never end, sent to a source by whoever knows its name.
#[tokio::test]
async fn stalled_bodies_hold_a_bounded_memory() {
    const STRANGERS: usize = 400;
    const BODY_BYTES: usize = 1 << 20;
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let source = json!({ "name": "x", "application": router.api().create_application("sourced").await,
        "verification": { "type": "none" } });
    router.api().call(Method::POST, "/source").json(&source).await.expect_status(201);
    let head = format!("POST /in/x HTTP/1.1\r\nhost: h\r\ncontent-length: {BODY_BYTES}\r\n\r\n");
    let body = "x".repeat(BODY_BYTES - 1);
    let strangers: Vec<_> = (0..STRANGERS)
        .map(|_| {
            let (head, body, address) = (head.clone(), body.clone(), router.address());
            tokio::spawn(async move {
                let mut wire = Wire::connect(address).await;
                wire.send(&head).await;
                // Who is refused may see the close before it has sent all.
                wire.try_send(&body).await;
                wire
            })
        })
        .collect();
    let mut held = Vec::new();
    for stranger in strangers {
        held.push(stranger.await.unwrap());
    }
    assert!(router.api().is_ready().await);
    let peak = resident_peak_bytes(router.process_id());
    assert!(peak < MEMORY_BYTES_MAX, "{} MiB", peak >> 20);
    drop(held);
}

/// Descriptors that strangers hold are none that deliveries need.
#[tokio::test]
async fn idle_connections_take_no_descriptors_from_deliveries() {
    const DESCRIPTORS: usize = 512;
    const EVENTS: usize = 20;
    let directory = tempfile::TempDir::new().unwrap();
    let program = wrapped(&directory, &format!("ulimit -n {DESCRIPTORS}"));
    let data_dir = DataDir::new();
    let router = data_dir.start_with(&Options { program, ..Options::default() }).await;
    let mut idle = Vec::new();
    for _ in 0..DESCRIPTORS + 100 {
        idle.push(Wire::connect(router.address()).await);
    }
    let receivers =
        [Receiver::start(Behaviour::accepts()).await, Receiver::start(Behaviour::accepts()).await];
    let api = router.api();
    let application = api.create_application("lean").await;
    for receiver in &receivers {
        api.create_endpoint(&application, &receiver.url("/"), json!({})).await;
    }
    for _ in 0..EVENTS {
        let message = api.send(&application, "any", "{}").await;
        let attempts = api.wait_for_attempts(&application, &message, receivers.len()).await;
        assert!(attempts.iter().all(|attempt| attempt["statusText"] == "success"), "{attempts:?}");
    }
    drop(idle);
}

/// The router says much and nobody listens.
#[tokio::test]
async fn a_log_that_nobody_reads_stops_nothing() {
    const REQUESTS: usize = 500;
    let directory = tempfile::TempDir::new().unwrap();
    let pipe = directory.path().join("log");
    // Open for reading, so that writing begins, and never read.
    let lines = format!("mkfifo {0}\nexec 3<>{0} 2>{0}", pipe.display());
    let program = wrapped(&directory, &lines);
    let data_dir = DataDir::new();
    let more = ["--log-level", "trace"].map(str::to_owned).to_vec();
    let router = data_dir.start_with(&Options { program, more, ..Options::default() }).await;
    let receiver = Receiver::start(Behaviour::accepts()).await;
    let application = router.api().create_application("unheard").await;
    router.api().create_endpoint(&application, &receiver.url("/"), json!({})).await;
    for _ in 0..REQUESTS {
        router.api().send(&application, "any", "{}").await;
    }
    receiver.wait_for(REQUESTS).await;
    let metrics = router.api().call_at(Method::GET, "/metrics").reply().await;
    assert_eq!(metrics.status, 200);
    assert_eq!(router.stop().await, Some(0));
}

/// One stranger's requests are a few lines, however many and long they are.
#[tokio::test]
async fn a_stranger_fills_no_log() {
    const REQUESTS: usize = 300;
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let path = "p".repeat(8000);
    for _ in 0..REQUESTS {
        let answer = exchange(
            router.address(),
            format!("GET /{path} HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n"),
        )
        .await;
        assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    }
    wait::until("what was left out is told", async || {
        router.log().contains("log lines were left out").then_some(())
    })
    .await;
    assert_eq!(router.stop().await, Some(0));
    let log = std::fs::read_to_string(data_dir.log()).unwrap();
    let refused = log.lines().filter(|line| line.contains("request refused")).count();
    assert!((1..REQUESTS).contains(&refused), "{refused} lines");
    assert!(log.len() < REQUESTS * 1000, "{} bytes", log.len());
}
