//! What was acknowledged is there after SIGKILL, and a repeat is answered as the first was.

use hookmill_testkit::receiver::{Behaviour, Gate, Receiver};
use hookmill_tests::api::{Reply, message, text};
use hookmill_tests::router::DataDir;
use hookmill_tests::{judge, plugin, wait};
use serde_json::json;
use tokio::net::TcpListener;

#[tokio::test]
async fn acknowledged_events_are_delivered_after_a_kill() {
    const EVENTS: usize = 50;
    // The first router gets no delivery through: its receiver takes requests and never answers.
    let silent = Receiver::start(Behaviour::NeverAnswers).await;
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let application = router.api().create_application("durable").await;
    let endpoint = router.api().create_endpoint(&application, &silent.url("/"), json!({})).await;
    let secret = router.api().secret(&endpoint).await;
    let mut sent = Vec::new();
    for number in 0..EVENTS {
        sent.push(router.api().send(&application, "durable", &format!(r#"{{"number":{number}}}"#)).await);
    }
    router.kill().await;

    let address = silent.address();
    drop(silent);
    let listener =
        wait::until("the port is free again", async || TcpListener::bind(address).await.ok()).await;
    let receiver = Receiver::start_on(listener, Behaviour::accepts());
    let router = data_dir.start().await;
    let requests = receiver.wait_for(EVENTS).await;
    let mut delivered: Vec<_> =
        requests.iter().map(|request| request.headers["webhook-id"].to_str().unwrap().to_owned()).collect();
    delivered.sort();
    sent.sort();
    assert_eq!(delivered, sent);
    for request in &requests {
        judge::check(&secret, request);
    }
    router.api().wait_until_drained(&endpoint).await;
}

#[tokio::test]
async fn configuration_and_plugins_are_there_after_a_kill() {
    let receiver = Receiver::start(Behaviour::accepts()).await;
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let application = router.api().create_application("durable").await;
    let endpoint = router.api().create_endpoint(&application, &receiver.url("/"), json!({})).await;
    let version = router.api().upload_plugin("greeting", plugin::saying(r#"{"hello":1}"#)).await;
    router.api().set_transformation(&endpoint, json!({ "enabled": true, "plugin": "greeting" })).await;
    let secret = router.api().secret(&endpoint).await;
    let shown = router.api().get(&endpoint.path()).await;
    router.kill().await;

    let router = data_dir.start().await;
    assert_eq!(router.api().get(&endpoint.path()).await, shown);
    assert_eq!(router.api().secret(&endpoint).await, secret);
    assert_eq!(router.api().get("/plugin/greeting").await["version"], version.as_str());
    router.api().send(&application, "any", "{}").await;
    let request = receiver.wait_for(1).await.remove(0);
    assert_eq!(request.body, r#"{"hello":1}"#);
    judge::check(&secret, &request);
}

#[tokio::test]
async fn a_stored_request_is_sent_after_a_kill_although_the_plugin_was_upgraded() {
    let receiver = Receiver::start(Behaviour::statuses([500])).await;
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let application = router.api().create_application("durable").await;
    let endpoint = router.api().create_endpoint(&application, &receiver.url("/"), json!({})).await;
    router.api().set_policy(&endpoint, json!({ "schedule": [2.0], "jitterPercent": 0 })).await;
    router.api().upload_plugin("greeting", plugin::saying(r#"{"version":1}"#)).await;
    router.api().set_transformation(&endpoint, json!({ "enabled": true, "plugin": "greeting" })).await;
    let sent = router.api().send(&application, "any", "{}").await;
    // The attempt is in the log once its completion, and the request with it, is committed.
    router.api().wait_for_attempts(&application, &sent, 1).await;
    router.api().upload_plugin("greeting", plugin::saying(r#"{"version":2}"#)).await;
    router.kill().await;

    let _router = data_dir.start().await;
    let requests = receiver.wait_for(2).await;
    assert_eq!(requests[1].body, r#"{"version":1}"#);
    assert_eq!(requests[1].headers["webhook-id"], sent.as_str());
}

#[tokio::test]
async fn repeats_are_answered_as_the_first_also_after_a_kill() {
    let receiver = Receiver::start(Behaviour::accepts()).await;
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let application = router.api().create_application("repeated").await;
    let endpoint = router.api().create_endpoint(&application, &receiver.url("/"), json!({})).await;
    let by_event_id = message("order.paid", Some("order-1"), r#"{ "amount": 100 }"#);
    let by_key = message("order.paid", None, r#"{ "amount": 200 }"#);

    let first_by_id = router.api().try_send(&application, &by_event_id, None).await;
    let first_by_key = router.api().try_send(&application, &by_key, Some("key-1")).await;
    first_by_id.expect_status(202);
    first_by_key.expect_status(202);
    let same = |first: &Reply, again: &Reply| {
        assert_eq!((again.status, &again.body), (first.status, &first.body));
    };
    same(&first_by_id, &router.api().try_send(&application, &by_event_id, None).await);
    same(&first_by_key, &router.api().try_send(&application, &by_key, Some("key-1")).await);
    router.kill().await;

    let router = data_dir.start().await;
    same(&first_by_id, &router.api().try_send(&application, &by_event_id, None).await);
    same(&first_by_key, &router.api().try_send(&application, &by_key, Some("key-1")).await);
    router.api().wait_until_drained(&endpoint).await;
    let mut ids: Vec<_> = receiver
        .requests()
        .iter()
        .map(|request| request.headers["webhook-id"].to_str().unwrap().to_owned())
        .collect();
    ids.sort();
    // A delivery that the kill hit may have happened twice.
    ids.dedup();
    let mut expect = [text(&first_by_id.json(), "id"), text(&first_by_key.json(), "id")];
    expect.sort();
    assert_eq!(ids, expect);
}

#[tokio::test]
async fn an_id_or_key_that_was_used_for_another_event_is_refused() {
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let application = router.api().create_application("reused").await;
    let first = message("order.paid", Some("order-1"), r#"{"amount":100}"#);
    let send = async |body: &str, key| router.api().try_send(&application, body, key).await;
    send(&first, Some("key-1")).await.expect_status(202);
    let check = async |body: &str, key| send(body, key).await.check_refused(409, "event_id_reused");
    check(&message("order.paid", Some("order-1"), r#"{"amount":999}"#), None).await;
    check(&message("order.refunded", Some("order-1"), r#"{"amount":100}"#), None).await;
    check(&message("order.paid", Some("order-2"), r#"{"amount":999}"#), Some("key-1")).await;
    // Another application's ids are its own.
    let other = router.api().create_application("other").await;
    let reply =
        router.api().try_send(&other, &message("order.paid", Some("order-1"), "{}"), Some("key-1")).await;
    reply.expect_status(202);
}

#[tokio::test]
async fn creating_twice_with_one_key_creates_once() {
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let create = async |key: &str, name: &str| {
        let call = router.api().call(http::Method::POST, "/app").header("idempotency-key", key);
        call.json(&json!({ "name": name })).await
    };
    let first = create("key-1", "one").await;
    first.expect_status(201);
    let again = create("key-1", "one").await;
    assert_eq!((again.status, &again.body), (first.status, &first.body));
    create("key-1", "another").await.check_refused(409, "idempotency_key_reused");
    create("key-2", "one").await.expect_status(201);
    assert_eq!(router.api().get("/app").await["data"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn one_of_many_equal_requests_at_once_is_accepted_and_the_others_repeat_it() {
    let gate = Gate::closed();
    let receiver = Receiver::start(Behaviour::Gated(gate.clone())).await;
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let application = router.api().create_application("race").await;
    let endpoint = router.api().create_endpoint(&application, &receiver.url("/"), json!({})).await;
    let body = message("order.paid", Some("order-1"), "{}");
    let sends = (0..20).map(|_| router.api().try_send(&application, &body, None));
    let replies = futures_util::future::join_all(sends).await;
    for reply in &replies {
        assert_eq!((reply.status, &reply.body), (202, &replies[0].body));
    }
    gate.open();
    router.api().wait_until_drained(&endpoint).await;
    assert_eq!(receiver.requests().len(), 1);
}
