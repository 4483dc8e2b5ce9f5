//! How the process treats slow clients, and how it ends.

use std::collections::{BTreeMap, BTreeSet};

use hookmill_testkit::receiver::{Behaviour, Gate, Receiver};
use hookmill_tests::api::{message, text};
use hookmill_tests::router::{ADMIN_KEY, DataDir, Options, Router};
use hookmill_tests::wait;
use hookmill_tests::wire::Wire;
use serde_json::json;

/// Waits until no new connection is taken.
async fn draining(router: &Router) {
    wait::until("the router takes no new connection", async || {
        (!router.api().is_ready().await).then_some(())
    })
    .await;
}

#[tokio::test]
async fn clients_that_never_send_a_whole_head_are_cut_off() {
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let silent = Wire::connect(router.address()).await;
    let mut half = Wire::connect(router.address()).await;
    half.send("POST /api/v1/app HTTP/1.1\r\nhost: h\r\n").await;
    let mut again = Wire::connect(router.address()).await;
    again.send("GET /livez HTTP/1.1\r\nhost: h\r\n\r\n").await;
    assert!(again.read_head().await.starts_with("HTTP/1.1 200 "));
    let ends = [silent, half, again].map(|mut wire| async move { wire.read_to_end().await });
    for answer in futures_util::future::join_all(ends).await {
        assert!(!answer.contains("HTTP/1.1 200 "), "{answer}");
    }
    assert!(router.api().is_ready().await);
}

#[tokio::test]
async fn a_request_under_way_is_finished_and_its_event_delivered_after_the_next_start() {
    let gate = Gate::closed();
    let receiver = Receiver::start(Behaviour::Gated(gate.clone())).await;
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let application = router.api().create_application("drained").await;
    router.api().create_endpoint(&application, &receiver.url("/"), json!({})).await;
    let body = message("drained", None, "{}");
    let mut wire = Wire::connect(router.address()).await;
    let head = format!(
        "POST /api/v1/app/{application}/msg HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {ADMIN_KEY}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\nexpect: 100-continue\r\n\r\n",
        body.len()
    );
    wire.send(head).await;
    // It reads the body: the request is under way.
    assert!(wire.read_head().await.starts_with("HTTP/1.1 100 "));
    router.terminate();
    draining(&router).await;
    wire.send(&body).await;
    let answer = wire.read_to_end().await;
    assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
    gate.open();
    assert_eq!(router.ended().await.code(), Some(0));

    let _router = data_dir.start().await;
    let request = receiver.wait_for(1).await.remove(0);
    assert!(answer.contains(request.headers["webhook-id"].to_str().unwrap()), "{answer}");
}

#[tokio::test]
async fn a_delivery_under_way_is_finished_and_not_repeated() {
    let gate = Gate::closed();
    let receiver = Receiver::start(Behaviour::Gated(gate.clone())).await;
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let application = router.api().create_application("drained").await;
    let endpoint = router.api().create_endpoint(&application, &receiver.url("/"), json!({})).await;
    let sent = router.api().send(&application, "drained", "{}").await;
    receiver.wait_for(1).await;
    router.terminate();
    draining(&router).await;
    gate.open();
    assert_eq!(router.ended().await.code(), Some(0));

    let router = data_dir.start().await;
    assert_eq!(router.api().unfinished(&endpoint).await, 0);
    let attempts = router.api().attempts(&application, &sent).await;
    assert_eq!((attempts.len(), &attempts[0]["statusText"]), (1, &json!("success")));
    assert_eq!(receiver.requests().len(), 1);
}

#[tokio::test]
async fn a_delivery_that_does_not_end_in_time_is_repeated_after_the_next_start() {
    let hanging = Receiver::start(Behaviour::NeverAnswers).await;
    let data_dir = DataDir::new();
    let options = Options::default().config(&data_dir, "shutdown_grace_secs = 0");
    let router = data_dir.start_with(&options).await;
    let application = router.api().create_application("drained").await;
    router.api().create_endpoint(&application, &hanging.url("/"), json!({})).await;
    let sent = router.api().send(&application, "drained", "{}").await;
    hanging.wait_for(1).await;
    assert_eq!(router.stop().await, Some(0));

    let _router = data_dir.start().await;
    let again = hanging.wait_for(2).await.remove(1);
    assert_eq!(again.headers["webhook-id"], sent.as_str());
}

#[tokio::test]
async fn a_terminal_that_closes_ends_it_as_a_supervisor_does() {
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    router.signal(rustix::process::Signal::HUP);
    assert_eq!(router.ended().await.code(), Some(0));
}

#[tokio::test]
async fn a_file_that_may_not_grow_is_a_full_disk_and_ends_nothing() {
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let application = router.api().create_application("full").await;
    let limit = rustix::process::Rlimit { current: Some(6 << 20), maximum: None };
    let process = i32::try_from(router.process_id()).ok().and_then(rustix::process::Pid::from_raw);
    rustix::process::prlimit(process, rustix::process::Resource::Fsize, limit).unwrap();
    let body = message("full", None, &format!("{{\"x\":\"{}\"}}", "x".repeat(900 << 10)));
    let path = format!("/app/{application}/msg");
    let send = async || {
        let call = router.api().call(http::Method::POST, &path).header("content-type", "application/json");
        call.with_body(body.clone()).reply().await.status
    };
    let mut statuses = BTreeSet::new();
    for _ in 0..20 {
        statuses.insert(send().await);
    }
    assert_eq!(statuses, BTreeSet::from([202, 507]));
    assert!(router.api().is_ready().await);
    let unlimited = rustix::process::Rlimit { current: None, maximum: None };
    rustix::process::prlimit(process, rustix::process::Resource::Fsize, unlimited).unwrap();
    assert_eq!(send().await, 202, "it heals by itself");
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let hanging = Receiver::start(Behaviour::NeverAnswers).await;
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let application = router.api().create_application("impatient").await;
    router.api().create_endpoint(&application, &hanging.url("/"), json!({})).await;
    router.api().send(&application, "any", "{}").await;
    hanging.wait_for(1).await;
    router.terminate();
    draining(&router).await;
    router.terminate();
    assert_eq!(router.ended().await.code(), Some(130));
}

#[tokio::test]
async fn a_stop_under_load_loses_and_repeats_nothing() {
    const SENDERS: usize = 8;
    const ENOUGH: usize = 200;
    let receiver = Receiver::start(Behaviour::accepts()).await;
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let application = router.api().create_application("stopped").await;
    let endpoint = router.api().create_endpoint(&application, &receiver.url("/"), json!({})).await;
    let senders: Vec<_> = (0..SENDERS)
        .map(|_| {
            let (api, application) = (router.api().clone(), application.clone());
            tokio::spawn(async move {
                let mut acknowledged = Vec::new();
                let path = format!("/app/{application}/msg");
                loop {
                    let call = api.call(http::Method::POST, &path).header("content-type", "application/json");
                    match call.with_body(message("load", None, "{}")).try_reply().await {
                        Ok(reply) if reply.status == 202 => acknowledged.push(text(&reply.json(), "id")),
                        Ok(_) | Err(_) => return acknowledged,
                    }
                }
            })
        })
        .collect();
    receiver.wait_for(ENOUGH).await;
    assert_eq!(router.stop().await, Some(0));
    let mut acknowledged = BTreeSet::new();
    for sender in senders {
        acknowledged.extend(sender.await.unwrap());
    }

    let router = data_dir.start().await;
    router.api().wait_until_drained(&endpoint).await;
    let mut delivered = BTreeMap::new();
    for request in receiver.requests() {
        *delivered.entry(request.headers["webhook-id"].to_str().unwrap().to_owned()).or_insert(0) += 1;
    }
    assert!(acknowledged.len() >= ENOUGH);
    let lost: Vec<_> = acknowledged.iter().filter(|id| !delivered.contains_key(*id)).collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    let repeated: Vec<_> = delivered.iter().filter(|(_, count)| **count > 1).collect();
    assert!(repeated.is_empty(), "{repeated:?}");
}
