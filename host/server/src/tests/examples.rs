//! Test calls.

use hookmill_core::catalog::KNOWN_EVENTS;
use hookmill_core::id::EventId;
use hookmill_core::port::Store;
use serde_json::{Value, json};

use super::{Answer, World};

async fn send_example(world: &World, endpoint: &str, event_type: &str) -> Answer {
    let path = format!("/api/v1/app/shop/endpoint/{endpoint}/send-example");
    world.call("POST", &path, &json!({ "eventType": event_type }).to_string()).await
}

/// Where the message goes.
async fn endpoints_of(world: &World, message: &Answer) -> Vec<String> {
    let event: EventId = message.id().parse().unwrap();
    let configuration = world.store.configuration().await.unwrap();
    let [application] = configuration.applications.as_slice() else { panic!("one application") };
    let deliveries = world.store.deliveries_of(application.id, event).await.unwrap();
    deliveries.iter().map(|delivery| delivery.endpoint.to_string()).collect()
}

#[tokio::test]
async fn each_known_event_has_an_example_that_goes_to_one_endpoint() {
    let world = World::new().await;
    let endpoint = world.shop().await;
    let other = world.call("POST", "/api/v1/app/shop/endpoint", r#"{"url": "https://example.com/2"}"#).await;
    assert_eq!(other.status, 201);
    for known in &KNOWN_EVENTS {
        let sent = send_example(&world, &endpoint, known.event_type).await;
        assert_eq!((sent.status, &sent.json()["eventType"]), (202, &json!(known.event_type)), "{sent:?}");
        assert_eq!(sent.json()["payload"], serde_json::from_str::<Value>(known.example).unwrap());
        assert_eq!(endpoints_of(&world, &sent).await, [endpoint.as_str()]);
    }
}

#[tokio::test]
async fn the_operators_own_example_goes_first() {
    let world = World::new().await;
    let endpoint = world.shop().await;
    let define = async |name: &str, schema: Value| {
        let definition = json!({"name": name, "description": "", "schemas": {"1": schema}});
        assert_eq!(world.call("POST", "/api/v1/event-type", &definition.to_string()).await.status, 201);
    };
    define("message.sent", json!({"examples": [{"own": true}]})).await;
    define("message.failed", json!({"type": "object"})).await;
    define("order.paid", json!({"type": "object"})).await;
    assert_eq!(send_example(&world, &endpoint, "message.sent").await.json()["payload"], json!({"own": true}));
    let known = send_example(&world, &endpoint, "message.failed").await;
    assert_eq!(known.json()["payload"]["error_code"], "INVALID_NUMBER");
    let refused = send_example(&world, &endpoint, "order.paid").await;
    assert_eq!((refused.status, refused.code().as_str()), (422, "example_missing"));
    assert_eq!(refused.json()["detail"][0]["loc"], json!(["body", "eventType"]));
}

#[tokio::test]
async fn a_test_call_that_would_reach_nobody_is_refused() {
    let world = World::new().await;
    world.shop().await;
    let check = async |endpoint: Value, event_type: &str, status: u16, code: &str| {
        let made = world.call("POST", "/api/v1/app/shop/endpoint", &endpoint.to_string()).await;
        assert_eq!(made.status, 201, "{made:?}");
        let sent = send_example(&world, &made.id(), event_type).await;
        assert_eq!((sent.status, sent.code().as_str()), (status, code), "{endpoint}");
        if status == 202 {
            assert_eq!(endpoints_of(&world, &sent).await, [made.id()], "{endpoint}");
        }
    };
    let url = "https://example.com/hooks";
    check(json!({"url": url, "eventTypes": ["message.sent"]}), "message.sent", 202, "").await;
    check(json!({"url": url, "channels": ["eu", "us"]}), "message.sent", 202, "").await;
    check(json!({"url": url, "pattern": {"currency": ["USD"]}}), "message.sent", 202, "").await;
    let other = "endpoint_not_subscribed";
    check(json!({"url": url, "eventTypes": ["message.failed"]}), "message.sent", 409, other).await;
    check(json!({"url": url, "pattern": {"currency": ["EUR"]}}), "message.sent", 409, other).await;
    check(json!({"url": url, "disabled": true}), "message.sent", 409, "endpoint_disabled").await;
    check(json!({"url": url}), "no name", 422, "name_invalid").await;
}
