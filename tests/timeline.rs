//! What is known afterwards of a delivery, and of a receiver that is dead: the timeline, the breaker, the metrics.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hookmill_testkit::receiver::{Answer, Behaviour, Receiver};
use hookmill_tests::api::{Api, Endpoint};
use hookmill_tests::router::{ADMIN_KEY, DataDir, Options, Router};
use hookmill_tests::wait;
use http::Method;
use serde_json::{Value, json};

/// A receiver that answers 500 until it is told that it works.
async fn broken() -> (Receiver, Arc<AtomicBool>) {
    let works = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&works);
    let status = move || if told.load(Ordering::SeqCst) { 200 } else { 500 };
    let receiver = Receiver::start(Behaviour::Chooses(Box::new(move |_| Answer::status(status())))).await;
    (receiver, works)
}

/// An endpoint that tries each delivery once an hour.
async fn endpoint_at(api: &Api, url: &str) -> Endpoint {
    let application = api.create_application("shop").await;
    let endpoint = api.create_endpoint(&application, url, json!({})).await;
    api.set_policy(&endpoint, json!({ "schedule": [3600.0], "jitterPercent": 0 })).await;
    endpoint
}

async fn metrics(api: &Api) -> String {
    let reply = api.call_at(Method::GET, "/metrics").reply().await;
    reply.expect_status(200);
    String::from_utf8(reply.body.to_vec()).expect("metrics are text")
}

/// The attempt as it is read alone.
async fn alone(api: &Api, endpoint: &Endpoint, message: &str) -> Value {
    let attempts = api.wait_for_attempts(&endpoint.application, message, 1).await;
    let id = attempts[0]["id"].as_str().expect("an attempt has an id");
    api.get(&format!("/app/{}/msg/{message}/attempt/{id}", endpoint.application)).await
}

async fn shown(router: &Router, arguments: &[&str]) -> String {
    let mut command = tokio::process::Command::new(Options::default().program);
    command.env("HOOKMILL_URL", format!("http://{}", router.address())).env("HOOKMILL_KEY", ADMIN_KEY);
    let output = command.args(arguments).kill_on_drop(true).output().await.expect("the program can be run");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test]
async fn an_attempt_says_where_it_went_then_and_what_was_sent_without_secrets() {
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let api = router.api();
    let (receiver, works) = broken().await;
    let endpoint = endpoint_at(api, &receiver.url("/then")).await;
    let headers = json!({ "headers": { "x-kind": "invoice", "authorization": "Bearer hunter2" } });
    let path = format!("{}/headers", endpoint.path());
    api.call(Method::PUT, &path).json(&headers).await.expect_status(204);
    let failed = api.send(&endpoint.application, "order.paid", r#"{"id":1}"#).await;
    let attempt = alone(api, &endpoint, &failed).await;
    works.store(true, Ordering::SeqCst);
    let delivered = api.send(&endpoint.application, "order.paid", r#"{"id":2}"#).await;
    alone(api, &endpoint, &delivered).await;

    let request = &attempt["request"];
    assert_eq!([&attempt["url"], &request["url"]], [&json!(receiver.url("/then")); 2], "{attempt}");
    assert_eq!([&request["method"], &request["bodyBytes"]], [&json!("POST"), &json!(8)], "{attempt}");
    assert_eq!(request["headers"]["x-kind"], "invoice");
    assert_eq!(request["headers"]["webhook-id"], failed);
    assert!(request["headers"]["webhook-signature"].as_str().is_some_and(|value| value.starts_with("v1,")));
    assert_eq!(request["secretHeaders"], json!(["authorization"]));
    assert!(!attempt.to_string().contains("hunter2"), "{attempt}");

    // Where the endpoint points now is another matter.
    let moved = json!({ "url": receiver.url("/now") });
    api.call(Method::PATCH, &endpoint.path()).json(&moved).await.expect_status(200);
    for message in [&failed, &delivered] {
        assert_eq!(alone(api, &endpoint, message).await["url"], receiver.url("/then"));
        let listed = api.attempts(&endpoint.application, message).await;
        assert_eq!(listed[0]["url"], receiver.url("/then"));
    }
    let timeline = shown(&router, &["event", "show", &failed, "--app", &endpoint.application]).await;
    for part in ["order.paid", "/then", "x-kind: invoice", "authorization: (withheld)", "status"] {
        assert!(timeline.contains(part), "{part:?} in:\n{timeline}");
    }
}

#[tokio::test]
async fn the_breaker_of_a_dead_endpoint_is_visible_and_a_resend_goes_through_it() {
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let api = router.api();
    let (receiver, works) = broken().await;
    let endpoint = endpoint_at(api, &receiver.url("/")).await;
    assert_eq!(api.get(&endpoint.path()).await["breaker"], json!({ "state": "closed" }));
    let mut first = String::new();
    for _ in 0..10 {
        first = api.send(&endpoint.application, "order.paid", "{}").await;
        api.wait_for_attempts(&endpoint.application, &first, 1).await;
    }
    let breaker = wait::until("the breaker is open", async || {
        let breaker = api.get(&endpoint.path()).await["breaker"].clone();
        (breaker["state"] != "closed").then_some(breaker)
    })
    .await;
    assert!(["open", "half_open"].contains(&breaker["state"].as_str().unwrap_or_default()), "{breaker}");
    let list = api.get(&format!("/app/{}/endpoint", endpoint.application)).await;
    assert_ne!(list["data"][0]["breaker"]["state"], "closed", "{list}");
    let text = metrics(api).await;
    for line in ["hookmill_endpoint_breakers_open 1\n", "hookmill_deliveries_waiting 10\n"] {
        assert!(text.contains(line), "{line:?} in {text}");
    }
    assert!(text.contains("hookmill_oldest_delivery_age_seconds "), "{text}");
    assert!(!text.contains("hookmill_store_size_bytes 0\n"), "{text}");
    let told = shown(&router, &["doctor", "--endpoint", &endpoint.id]).await;
    assert!(told.contains("breaker is open"), "{told}");

    works.store(true, Ordering::SeqCst);
    let path = format!("/app/{}/msg/{first}/endpoint/{}/resend", endpoint.application, endpoint.id);
    api.call(Method::POST, &path).json(&json!({})).await.expect_status(202);
    let attempts = api.wait_for_attempts(&endpoint.application, &first, 2).await;
    assert_eq!(attempts[1]["statusText"], "success", "{attempts:?}");
    wait::until("the breaker is closed", async || {
        (api.get(&endpoint.path()).await["breaker"]["state"] == "closed").then_some(())
    })
    .await;
    assert!(metrics(api).await.contains("hookmill_endpoint_breakers_open 0\n"));
}

#[tokio::test]
async fn a_metrics_key_opens_metrics_and_nothing_else() {
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let api = router.api();
    let application = api.create_application("shop").await;
    let new = json!({ "scope": "metrics", "label": "prometheus" });
    let key = api.call(Method::POST, "/key").json(&new).await.expect(201);
    let scraper = api.with_key(key["key"].as_str().expect("a key is told once"));
    assert!(metrics(&scraper).await.contains("hookmill_deliveries_waiting 0\n"));
    let message = json!({ "eventType": "any", "payload": {} });
    for (method, path) in [
        (Method::GET, "/app".to_owned()),
        (Method::GET, format!("/app/{application}")),
        (Method::GET, format!("/app/{application}/endpoint")),
        (Method::POST, format!("/app/{application}/msg")),
        (Method::GET, "/event-type".to_owned()),
        (Method::GET, "/plugin".to_owned()),
        (Method::GET, "/source".to_owned()),
        (Method::GET, "/key".to_owned()),
    ] {
        let call = scraper.call(method.clone(), &path);
        let reply = if method == Method::POST { call.json(&message).await } else { call.reply().await };
        assert_eq!(reply.status, 403, "{method} {path}");
    }
    let narrow = json!({ "scope": "metrics", "application": application });
    api.call(Method::POST, "/key").json(&narrow).await.check_refused(422, "application_unexpected");
}
