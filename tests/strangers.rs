//! Strangers who hold on to what they get: the router serves others all the same.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use hookmill_testkit::receiver::{Answer, Behaviour, Receiver};
use hookmill_tests::api::text;
use hookmill_tests::memory::resident_peak_bytes;
use hookmill_tests::router::{ADMIN_KEY, DataDir, Options};
use hookmill_tests::wait;
use hookmill_tests::wire::{Wire, exchange};
use http::Method;
use serde_json::json;

/// What an idle router holds, and what unfinished requests may.
const MEMORY_BYTES_MAX: u64 = 250 << 20;

/// A program that starts the router after these lines of shell.
pub(crate) fn wrapped(directory: &tempfile::TempDir, lines: &str) -> PathBuf {
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

/// Descriptors that strangers hold are none that deliveries need: what is due once they have come is tried, and no attempt
/// is spent on what this machine lacks.
#[tokio::test]
async fn idle_connections_take_no_descriptors_from_deliveries() {
    const DESCRIPTORS: usize = 512;
    const EVENTS: usize = 5;
    let directory = tempfile::TempDir::new().unwrap();
    let program = wrapped(&directory, &format!("ulimit -n {DESCRIPTORS}"));
    let data_dir = DataDir::new();
    let router = data_dir.start_with(&Options { program, ..Options::default() }).await;
    let received = AtomicUsize::new(0);
    // Each delivery needs a connection of its own.
    let refuses_first = Behaviour::Chooses(Box::new(move |_| {
        let status = if received.fetch_add(1, Ordering::SeqCst) < EVENTS { 500 } else { 200 };
        Answer::status(status).then_close()
    }));
    let receiver = Receiver::start(refuses_first).await;
    let api = router.api();
    let application = api.create_application("lean").await;
    let endpoint = api.create_endpoint(&application, &receiver.url("/"), json!({})).await;
    // Time for the strangers to come.
    api.set_policy(&endpoint, json!({ "schedule": vec![3.0; 20], "jitterPercent": 0 })).await;
    let mut messages = Vec::new();
    for _ in 0..EVENTS {
        messages.push(api.send(&application, "any", "{}").await);
    }
    let _ = receiver.wait_for(EVENTS).await;
    let mut idle = Vec::new();
    for _ in 0..DESCRIPTORS + 100 {
        idle.push(Wire::connect(router.address()).await);
    }
    let _ = receiver.wait_for(2 * EVENTS).await;
    drop(idle);
    for message in messages {
        let attempts = api.wait_for_attempts(&application, &message, 2).await;
        let statuses: Vec<_> = attempts.iter().map(|attempt| &attempt["responseStatusCode"]).collect();
        assert_eq!(statuses, [500, 200], "{attempts:?}");
    }
}

/// The router says much and nobody listens.
#[tokio::test]
async fn a_log_that_nobody_reads_stops_nothing() {
    const REQUESTS: usize = 50;
    /// All but a page of what a pipe takes.
    const WRITTEN_BEFORE_BYTES: usize = 60 << 10;
    let directory = tempfile::TempDir::new().unwrap();
    let pipe = directory.path().join("log");
    // Open for reading, so that writing begins, and never read.
    let lines = format!(
        "mkfifo {0}\nexec 3<>{0} 2>{0}\nhead -c {WRITTEN_BEFORE_BYTES} /dev/zero >&2",
        pipe.display()
    );
    let program = wrapped(&directory, &lines);
    let data_dir = DataDir::new();
    let router = data_dir.start_with(&Options { program, ..Options::default() }).await;
    let path = "p".repeat(3000);
    for _ in 0..REQUESTS {
        let request = format!("GET /{path} HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n");
        let answer = exchange(router.address(), request).await;
        assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    }
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

/// Answers that a tenant asks for by the hundred, in the streams of a few connections, and does not take.
#[tokio::test]
async fn unread_answers_hold_a_bounded_memory() {
    const CONNECTIONS: usize = 6;
    const STREAMS: u32 = 100;
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let api = router.api();
    let application = api.create_application("unread").await;
    let payload = format!(r#"{{"text":"{}"}}"#, "x".repeat(900_000));
    let mut message = String::new();
    for _ in 0..20 {
        message = api.send(&application, "any", &payload).await;
    }
    let mut held = Vec::new();
    for path in [format!("/msg/{message}"), "/msg?limit=20".to_owned()] {
        let path = format!("/api/v1/app/{application}{path}");
        for _ in 0..CONNECTIONS / 2 {
            let mut wire = Wire::connect_from([127, 0, 0, 2].into(), router.address()).await;
            wire.ask_in_streams(&path, ADMIN_KEY, STREAMS).await;
            held.push(wire);
        }
    }
    let other = api.create_application("other").await;
    let sent = api.send(&other, "any", &payload).await;
    assert_eq!(api.get(&format!("/app/{other}/msg/{sent}")).await["payload"].to_string(), payload);
    let peak = resident_peak_bytes(router.process_id());
    assert!(peak < MEMORY_BYTES_MAX, "{} MiB", peak >> 20);
    drop(held);
    wait::until("what was held is there again", async || {
        let path = format!("/app/{application}/msg/{message}");
        (api.call(Method::GET, &path).reply().await.status == 200).then_some(())
    })
    .await;
}

/// Pages of the largest messages, asked for by many at once: each ends where it would show too much, and says where to go on.
#[tokio::test]
async fn pages_of_large_messages_hold_a_bounded_memory() {
    const MESSAGES: usize = 20;
    const CALLERS: usize = 40;
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let api = router.api();
    let application = api.create_application("paging").await;
    let payload = format!(r#"{{"text":"{}"}}"#, "x".repeat(900_000));
    let mut sent = Vec::new();
    for _ in 0..MESSAGES {
        sent.push(api.send(&application, "any", &payload).await);
    }
    let first = format!("/app/{application}/msg?limit=250");
    let pages = (0..CALLERS).map(|_| api.get(&first));
    for page in futures_util::future::join_all(pages).await {
        let count = page["data"].as_array().map_or(0, Vec::len);
        assert!((1..MESSAGES).contains(&count) && page["done"] == false, "{count} messages");
    }
    let peak = resident_peak_bytes(router.process_id());
    assert!(peak < MEMORY_BYTES_MAX, "{} MiB", peak >> 20);

    let (mut seen, mut path) = (Vec::new(), first.clone());
    loop {
        let page = api.get(&path).await;
        let data = page["data"].as_array().expect("a list has data");
        seen.extend(data.iter().map(|message| text(message, "id")));
        if page["done"] == true {
            break;
        }
        path = format!("{first}&iterator={}", text(&page, "iterator"));
    }
    seen.reverse();
    assert_eq!(seen, sent, "each once, in order");
}
