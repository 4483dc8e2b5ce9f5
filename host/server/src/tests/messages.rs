//! Sending and reading messages.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{START, World};

const MESSAGES: &str = "/api/v1/app/shop/msg";

#[tokio::test]
async fn a_message_is_accepted_and_its_payload_stays_the_bytes_that_came() {
    let world = World::new().await;
    world.shop().await;
    let body = "{\"eventType\": \"order.paid\", \"payload\" : { \"b\":  1.0e2,\n\"a\":\"\\u00e9\" } , \"tags\": [ ]}";
    let sent = world.call("POST", MESSAGES, body).await;
    assert_eq!(sent.status, 202, "{sent:?}");
    let text = String::from_utf8(sent.body.to_vec()).unwrap();
    assert!(text.contains("{ \"b\":  1.0e2,\n\"a\":\"\\u00e9\" }"), "{text}");
    let message = sent.json();
    assert_eq!(message["eventType"], "order.paid");
    assert_eq!([&message["eventId"], &message["channels"]], [&Value::Null, &Value::Null]);
    assert_eq!(message["timestamp"], START.to_string());
    let read = world.call("GET", &format!("{MESSAGES}/{}", sent.id()), "").await;
    assert_eq!((read.status, &read.body), (200, &sent.body));
    let short = world.call("GET", &format!("{MESSAGES}/{}?with_content=false", sent.id()), "").await;
    assert_eq!(short.json()["payload"], json!({}));
    let short = world.call("POST", &format!("{MESSAGES}?with_content=false"), body).await;
    assert_eq!(short.json()["payload"], json!({}));
}

#[tokio::test]
async fn both_ways_of_sending_are_the_same() {
    let world = World::new().await;
    world.shop().await;
    let body = r#"{"eventType": "a", "payload": {}}"#;
    for path in ["/api/v1/app/shop/msg", "/api/v1/app/shop/msg/", "/api/v1/app/sho%70/msg"] {
        assert_eq!(world.call("POST", path, body).await.status, 202, "{path}");
    }
    assert_eq!(world.call("GET", MESSAGES, "").await.json()["data"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn a_repeated_event_is_the_first_one() {
    let world = World::new().await;
    world.shop().await;
    let body = r#"{"eventType": "a", "eventId": "e-1", "channels": ["c"], "payload": {"n": 1}}"#;
    let first = world.call("POST", MESSAGES, body).await;
    assert_eq!([&first.json()["eventId"], &first.json()["channels"]], [&json!("e-1"), &json!(["c"])]);
    let restarted = World::over(Arc::clone(&world.store), START).await;
    for world in [&world, &restarted] {
        let repeat = world.call("POST", MESSAGES, body).await;
        assert_eq!((repeat.status, &repeat.body), (202, &first.body));
    }
    let reused = body.replace("\"n\": 1", "\"n\": 2");
    let refused = world.call("POST", MESSAGES, &reused).await;
    assert_eq!((refused.status, refused.code().as_str()), (409, "event_id_reused"));
    assert_eq!(world.call("GET", &format!("{MESSAGES}/e-1"), "").await.body, first.body);

    let body = r#"{"eventType": "a", "payload": {}}"#;
    let first = world.once("once", MESSAGES, body).await;
    assert_eq!(world.once("once", MESSAGES, body).await.body, first.body);
    assert_eq!(world.once("once", MESSAGES, &reused).await.status, 409);
    assert_ne!(world.once("twice", MESSAGES, body).await.id(), first.id());
}

#[tokio::test]
async fn raw_payloads_keep_their_text_and_type() {
    let world = World::new().await;
    world.shop().await;
    let raw = json!({
        "eventType": "a", "payload": {},
        "transformationsParams": {"rawPayload": "<a/>", "headers": {"Content-Type": "application/xml"}},
    });
    let sent = world.call("POST", MESSAGES, &raw.to_string()).await;
    assert_eq!((sent.status, &sent.json()["payload"]), (202, &json!({"rawPayload": "<a/>"})));
    let raw =
        json!({"eventType": "a", "payload": {}, "transformationsParams": {"rawPayload": "{\"x\": 1 }"}});
    let sent = world.call("POST", MESSAGES, &raw.to_string()).await;
    assert_eq!(sent.json()["payload"], json!({"x": 1}));
    let other = json!({"eventType": "a", "payload": {"y": 1}, "transformationsParams": {"formatOnly": true}});
    assert_eq!(world.call("POST", MESSAGES, &other.to_string()).await.code(), "member_unknown");
}

#[tokio::test]
async fn a_message_may_bring_its_application() {
    let world = World::new().await;
    let body = |uid: Value| {
        json!({"eventType": "a", "payload": {}, "application": {"name": "New", "uid": uid}}).to_string()
    };
    assert_eq!(
        world.call("POST", "/api/v1/app/new/msg", &body(json!("other"))).await.code(),
        "application_uid_mismatch"
    );
    assert_eq!(
        world.call("POST", "/api/v1/app/new/msg", &body(Value::Null)).await.code(),
        "application_uid_missing"
    );
    assert_eq!(world.call("POST", "/api/v1/app/new/msg", &body(json!("new"))).await.status, 202);
    assert_eq!(world.call("POST", "/api/v1/app/new/msg", &body(json!("ignored"))).await.status, 202);
    assert_eq!(world.call("GET", "/api/v1/app/new", "").await.json()["name"], "New");
}

#[tokio::test]
async fn messages_are_listed_by_page_and_filter() {
    let world = World::new().await;
    world.shop().await;
    for (number, event_type, channel) in
        [(1, "a", "x"), (2, "b", "x"), (3, "a", "y"), (4, "c", "y"), (5, "a", "x")]
    {
        world.clock.advance(std::time::Duration::from_secs(1));
        let body = json!({"eventType": event_type, "payload": {"n": number}, "channels": [channel]});
        assert_eq!(world.call("POST", MESSAGES, &body.to_string()).await.status, 202);
    }
    let list = async |query: &str| {
        let list = world.call("GET", &format!("{MESSAGES}?{query}"), "").await.json();
        let numbers: Vec<u64> = list["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|message| message["payload"]["n"].as_u64().unwrap())
            .collect();
        (numbers, list)
    };
    let check = async |query: &str, expect: &[u64]| assert_eq!(list(query).await.0, expect, "{query}");
    check("", &[5, 4, 3, 2, 1]).await;
    check("limit=2", &[5, 4]).await;
    check("event_types=a", &[5, 3, 1]).await;
    check("event_types=b,c", &[4, 2]).await;
    check("event_types[0]=b&event_types[1]=c", &[4, 2]).await;
    check("channel=y", &[4, 3]).await;
    check(&format!("before={}", START.after(std::time::Duration::from_secs(3))), &[2, 1]).await;
    check(&format!("limit=2&after={}", START.after(std::time::Duration::from_secs(2))), &[4, 3]).await;

    let (_, first) = list("limit=2").await;
    let (numbers, second) = list(&format!("limit=2&iterator={}", first["iterator"].as_str().unwrap())).await;
    assert_eq!((numbers, second["done"] == true), (vec![3, 2], false));
    let (numbers, _) = list(&format!("limit=2&iterator={}", second["prevIterator"].as_str().unwrap())).await;
    assert_eq!(numbers, [5, 4]);
}
