//! Attempts, where messages stand, and sending again.

use std::time::Duration;

use bytes::Bytes;
use hookmill_core::delivery::DeadReason;
use hookmill_core::id::{AttemptId, EndpointId};
use hookmill_core::policy::Ordering;
use hookmill_core::port::Store;
use hookmill_core::port::store::{
    AttemptRecord, AttemptResult, AttemptTrigger, Completion, Finished, LoadDue, PendingDelivery,
};
use hookmill_core::time::UnixMillis;
use serde_json::{Value, json};

use super::{START, World};

const MESSAGES: &str = "/api/v1/app/shop/msg";

impl World {
    async fn due(&self, endpoint: &str, now: UnixMillis) -> Vec<PendingDelivery> {
        let endpoint: EndpointId = endpoint.parse().unwrap();
        let load = LoadDue {
            endpoint,
            ordering: Ordering::Unordered,
            now,
            except: Vec::new(),
            rows_max: 100,
            bytes_max: 1 << 20,
        };
        self.store.load_due(load).await.unwrap().deliveries
    }

    /// Carries out all background tasks; answers the latest of them.
    async fn run_tasks(&self) -> Value {
        while self.server.context.app.step_task().await.unwrap() {}
        self.call("GET", "/api/v1/background-task?limit=1", "").await.json()["data"][0].clone()
    }

    /// Finishes a delivery as its attempt at `now` came out.
    async fn finish(&self, delivery: &PendingDelivery, status: u16, completion: Completion, now: UnixMillis) {
        let (result, next_due) = match &completion {
            Completion::Delivered => (AttemptResult::Delivered, None),
            Completion::Retry { due, .. } => (AttemptResult::Failed, Some(*due)),
            Completion::Dead(_) => (AttemptResult::Failed, None),
            Completion::Dropped => (AttemptResult::Dropped, None),
            Completion::Split(_) => (AttemptResult::Split, None),
        };
        let attempt = AttemptRecord {
            id: AttemptId::new(now, u128::from(delivery.id.0)),
            application: delivery.event.application,
            event: delivery.event.id,
            endpoint: delivery.endpoint,
            number: delivery.attempts_made + 1,
            duration: Duration::from_millis(7),
            result,
            status: Some(status),
            failure_code: None,
            detail: "".into(),
            response: Bytes::from_static(b"seen"),
            trigger: delivery.trigger,
            plugin: None,
            sent_to: Default::default(),
            trace: None,
            next_due,
        };
        self.store
            .finish(vec![Finished { delivery: delivery.id, attempt: Box::new(attempt), completion }])
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn attempts_are_listed_by_message_and_by_endpoint() {
    let world = World::new().await;
    let endpoint = world.shop().await;
    let message = world.call("POST", MESSAGES, r#"{"eventType": "a", "payload": {}}"#).await.id();
    let later = START.after(Duration::from_secs(5));
    let delivery = world.due(&endpoint, START).await.remove(0);
    world.finish(&delivery, 500, Completion::Retry { due: later, prepared: None }, START).await;
    let delivery = world.due(&endpoint, later).await.remove(0);
    world.finish(&delivery, 204, Completion::Delivered, later).await;

    let by_message = format!("/api/v1/app/shop/attempt/msg/{message}");
    let by_endpoint = format!("/api/v1/app/shop/attempt/endpoint/{endpoint}");
    for path in [&by_message, &by_endpoint] {
        let codes = async |query: &str| {
            let list = world.call("GET", &format!("{path}?{query}"), "").await.json();
            let data = list["data"].as_array().unwrap();
            data.iter().map(|attempt| attempt["responseStatusCode"].as_u64().unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(codes("").await, [204, 500]);
        assert_eq!(codes("limit=1").await, [204]);
        assert_eq!(codes("status=0").await, [204]);
        assert_eq!(codes("status=2").await, [500]);
        assert_eq!(codes("status=3").await, [0_u64; 0]);
        assert_eq!(codes("status_code_class=500").await, [500]);
        assert_eq!(codes("event_types=a").await, [204, 500]);
        assert_eq!(codes("event_types=b").await, [0_u64; 0]);
        assert_eq!(codes("channel=c").await, [0_u64; 0]);
        assert_eq!(codes(&format!("before={later}")).await, [500]);
    }
    let attempt = world.call("GET", &by_message, "").await.json()["data"][1].clone();
    assert_eq!(
        attempt,
        json!({
            "url": "https://example.com/hooks", "response": "seen", "responseStatusCode": 500,
            "responseDurationMs": 7, "status": 2, "statusText": "fail", "triggerType": 0, "msgId": message,
            "endpointId": endpoint, "id": attempt["id"], "timestamp": START.to_string(), "attemptNumber": 1,
            "diagnosis": attempt["diagnosis"], "nextAttempt": later.to_string(),
        })
    );
    assert_eq!(attempt["diagnosis"]["code"], "server_error");
    let delivered = world.call("GET", &by_message, "").await.json()["data"][0].clone();
    assert_eq!(delivered["diagnosis"], Value::Null, "nothing is to be explained");
    let one = format!("{MESSAGES}/{message}/attempt/{}", attempt["id"].as_str().unwrap());
    assert_eq!(world.call("GET", &one, "").await.json(), attempt);
    assert_eq!(world.call("GET", &one.replace("atmpt_", "ep_"), "").await.status, 404);
    let stats = world.call("GET", &format!("/api/v1/app/shop/endpoint/{endpoint}/stats"), "").await.json();
    assert_eq!(stats, json!({"canceled": 0, "fail": 0, "pending": 0, "sending": 0, "success": 1}));
    let period =
        format!("/api/v1/app/shop/endpoint/{endpoint}/stats?since={}", START.before(Duration::from_secs(1)));
    assert_eq!(world.call("GET", &period, "").await.json()["success"], 1);
}

#[tokio::test]
async fn messages_stand_somewhere_until_they_are_done() {
    let world = World::new().await;
    let endpoint = world.shop().await;
    let message = world.call("POST", MESSAGES, r#"{"eventType": "a", "payload": {"n": 1}}"#).await.id();
    let standing = async || {
        let at = format!("/api/v1/app/shop/endpoint/{endpoint}/msg");
        let message_at = world.call("GET", &at, "").await.json()["data"][0].clone();
        assert_eq!([&message_at["id"], &message_at["payload"]], [&json!(message), &json!({"n": 1})]);
        let of = format!("{MESSAGES}/{message}/endpoint");
        let endpoint_of = world.call("GET", &of, "").await.json()["data"][0].clone();
        assert_eq!(
            [&endpoint_of["id"], &endpoint_of["url"]],
            [&json!(endpoint), &json!("https://example.com/hooks")]
        );
        assert_eq!(message_at["status"], endpoint_of["status"]);
        (message_at["statusText"].as_str().unwrap().to_owned(), message_at["nextAttempt"].clone())
    };
    assert_eq!(standing().await, ("pending".to_owned(), json!(START.to_string())));
    let later = START.after(Duration::from_secs(5));
    let delivery = world.due(&endpoint, START).await.remove(0);
    world.finish(&delivery, 500, Completion::Retry { due: later, prepared: None }, START).await;
    assert_eq!(standing().await, ("sending".to_owned(), json!(later.to_string())));
    let delivery = world.due(&endpoint, later).await.remove(0);
    world.finish(&delivery, 500, Completion::Dead(DeadReason::Exhausted), later).await;
    assert_eq!(standing().await, ("fail".to_owned(), Value::Null));

    world.clock.set(later);
    let resend = format!("{MESSAGES}/{message}/endpoint/{endpoint}/resend");
    for _ in 0..2 {
        let resent = world.once("resend-1", &resend, "").await;
        assert_eq!((resent.status, resent.json()), (202, json!({})));
    }
    assert_eq!(standing().await.0, "pending");
    let due = world.due(&endpoint, later).await;
    assert_eq!((due.len(), due[0].trigger), (1, AttemptTrigger::Manual), "a repeat sends nothing twice");
    world.finish(&due[0], 200, Completion::Delivered, later.after(Duration::from_secs(1))).await;
    assert_eq!(standing().await, ("success".to_owned(), Value::Null));
    let filtered = format!("/api/v1/app/shop/endpoint/{endpoint}/msg?status=2");
    assert_eq!(world.call("GET", &filtered, "").await.json()["data"], json!([]));
}

#[tokio::test]
async fn what_failed_for_good_is_recovered_once() {
    let world = World::new().await;
    let endpoint = world.shop().await;
    for _ in 0..3 {
        world.call("POST", MESSAGES, r#"{"eventType": "a", "payload": {}}"#).await;
    }
    let due = world.due(&endpoint, START).await;
    world.finish(&due[0], 500, Completion::Dead(DeadReason::Exhausted), START).await;
    world.finish(&due[1], 200, Completion::Delivered, START).await;
    assert_eq!(world.due(&endpoint, START).await.len(), 1);

    let path = format!("/api/v1/app/shop/endpoint/{endpoint}/recover");
    let body = json!({"since": START.to_string()}).to_string();
    let started = world.call("POST", &path, &body).await;
    assert_eq!((started.status, &started.json()["task"]), (202, &json!("endpoint.recover")));
    assert!(started.id().starts_with("qtask_"));
    for _ in 0..3 {
        assert_eq!(world.call("POST", &path, &body).await.id(), started.id(), "it runs already");
    }
    let other = path.replace("recover", "replay-missing");
    let refused = world.call("POST", &other, &body).await;
    assert_eq!((refused.status, refused.code().as_str()), (409, "task_running"));
    assert_eq!(world.run_tasks().await["data"]["sent"], 1);
    assert_eq!(world.due(&endpoint, START).await.len(), 2);
    let stats = world.call("GET", &format!("/api/v1/app/shop/endpoint/{endpoint}/stats"), "").await.json();
    assert_eq!(stats["fail"], 0, "a letter that is sent again is no longer dead");

    let again = world.call("POST", &path, &body).await;
    assert_ne!(again.id(), started.id());
    assert_eq!(world.run_tasks().await["data"]["sent"], 0, "what waits is not sent again");
    assert_eq!(world.due(&endpoint, START).await.len(), 2);
    let first = world.call("GET", &format!("/api/v1/background-task/{}", started.id()), "").await.json();
    assert_eq!((&first["status"], &first["data"]["sent"]), (&json!("finished"), &json!(1)));
    let all = world.call("GET", "/api/v1/background-task?status=finished", "").await.json();
    assert_eq!(all["data"].as_array().map(Vec::len), Some(2), "{all}");
    let none = world.call("GET", "/api/v1/background-task?status=running", "").await.json();
    assert_eq!(none["data"], json!([]));
    let empty = json!({"since": START.to_string(), "until": START.to_string()}).to_string();
    assert_eq!(world.call("POST", &path, &empty).await.code(), "period_empty");
}

/// A page looks at a bounded number of rows, and says where to go on although nothing is on it.
#[tokio::test]
async fn a_list_whose_filter_matches_nothing_is_bounded_and_goes_on() {
    use hookmill_core::limits::PAGE_ROWS_MAX;
    use hookmill_testkit::store_contract::fixture;

    let world = World::new().await;
    world.shop().await;
    let application = world.server.context.app.table().application("shop").unwrap().application.id;
    let events = PAGE_ROWS_MAX as u128 + 7;
    for number in 1..=events {
        let sent = hookmill_core::event::Event { application, ..fixture::event(number, 1, START) };
        fixture::append(&*world.store, fixture::new_event(sent, &[])).await;
    }
    let first = world.call("GET", "/api/v1/app/shop/msg?event_types=never", "").await.json();
    assert_eq!((&first["data"], &first["done"]), (&json!([]), &json!(false)));
    let iterator = first["iterator"].as_str().expect("it says where to go on");
    let path = format!("/api/v1/app/shop/msg?event_types=never&iterator={iterator}");
    let second = world.call("GET", &path, "").await.json();
    assert_eq!((&second["data"], &second["done"]), (&json!([]), &json!(true)));
    let all = world.call("GET", "/api/v1/app/shop/msg?limit=3", "").await.json();
    assert_eq!(all["data"].as_array().map(Vec::len), Some(3));
}

#[tokio::test]
async fn a_recovery_with_an_idempotency_key_happens_once() {
    let world = World::new().await;
    let endpoint = world.shop().await;
    let path = format!("/api/v1/app/shop/endpoint/{endpoint}/recover");
    let body = json!({"since": START.to_string()}).to_string();
    let first = world.once("recover-1", &path, &body).await;
    world.run_tasks().await;
    let repeat = world.once("recover-1", &path, &body).await;
    assert_eq!((repeat.status, repeat.json()), (202, first.json()));
    assert_eq!(
        world.call("GET", "/api/v1/background-task", "").await.json()["data"].as_array().unwrap().len(),
        1
    );
    let reused = world.once("recover-1", &path, &json!({"since": "2020-01-01T00:00:00Z"}).to_string()).await;
    assert_eq!(reused.code(), "idempotency_key_reused");
}

#[tokio::test]
async fn what_was_sent_while_an_endpoint_was_disabled_is_replayed_once() {
    let world = World::new().await;
    let endpoint = world.shop().await;
    let at = format!("/api/v1/app/shop/endpoint/{endpoint}");
    let filter = json!({"filterTypes": ["a"], "disabled": true}).to_string();
    assert_eq!(world.call("PATCH", &at, &filter).await.status, 200);
    for event_type in ["a", "b", "a"] {
        let message = json!({"eventType": event_type, "payload": {}}).to_string();
        world.call("POST", MESSAGES, &message).await;
    }
    let replay = format!("{at}/replay-missing");
    let body = json!({"since": START.to_string()}).to_string();
    let refused = world.call("POST", &replay, &body).await;
    assert_eq!((refused.status, refused.code().as_str()), (409, "endpoint_disabled"));
    world.call("PATCH", &at, r#"{"disabled": false}"#).await;
    world.call("POST", MESSAGES, r#"{"eventType": "a", "payload": {}}"#).await;
    for expect in [2, 0] {
        let started = world.call("POST", &replay, &body).await;
        assert_eq!(
            (started.status, &started.json()["task"]),
            (202, &json!("endpoint.replay")),
            "{started:?}"
        );
        assert_eq!(world.run_tasks().await["data"]["sent"], expect);
        assert_eq!(world.due(&endpoint, START).await.len(), 3);
    }
}

/// A restart finds the task where it was.
#[tokio::test]
async fn a_task_goes_on_after_a_restart_and_another_tenant_does_not_see_it() {
    let world = World::new().await;
    let endpoint = world.shop().await;
    let path = format!("/api/v1/app/shop/endpoint/{endpoint}/recover");
    let started = world.call("POST", &path, &json!({"since": START.to_string()}).to_string()).await;
    let world = World::over(std::sync::Arc::clone(&world.store), START).await;
    assert_eq!(world.run_tasks().await["status"], "finished");
    world.call("POST", "/api/v1/app", r#"{"name": "Other", "uid": "other"}"#).await;
    let key = json!({"scope": "application", "application": "other"}).to_string();
    let key = world.call("POST", "/api/v1/key", &key).await.json()["key"].as_str().unwrap().to_owned();
    let task = format!("/api/v1/background-task/{}", started.id());
    assert_eq!(world.call("GET", &task, "").await.status, 200);
    assert_eq!(world.call_as(&key, "GET", &task, "").await.status, 404);
    assert_eq!(world.call_as(&key, "GET", "/api/v1/background-task", "").await.json()["data"], json!([]));
}

/// A clock 30 days ahead at one start makes nothing of today old, unless the operator says that it is right.
#[tokio::test]
async fn a_clock_that_is_ahead_at_a_start_deletes_nothing() {
    const DAY: Duration = Duration::from_secs(24 * 3600);
    let world = World::new().await;
    world.call("POST", "/api/v1/app", r#"{"name": "Shop", "uid": "shop"}"#).await;
    assert_eq!(world.call("POST", MESSAGES, r#"{"eventType": "a", "payload": {}}"#).await.status, 202);
    let world = World::over(std::sync::Arc::clone(&world.store), START.after(30 * DAY)).await;
    let app = &world.server.context.app;
    let mut retention = app.retention(14 * DAY, false).await.unwrap();
    assert_eq!(app.retain_once(&mut retention, Duration::ZERO).await.unwrap(), 0);
    assert_eq!(app.retain_once(&mut retention, DAY / 2).await.unwrap(), 0);
    let mut retention = app.retention(14 * DAY, true).await.unwrap();
    assert_eq!(app.retain_once(&mut retention, Duration::ZERO).await.unwrap(), 1);
}
