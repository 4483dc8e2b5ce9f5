//! The configuration object of conversation webhooks, and payloads that are checked on request.

use serde_json::{Value, json};

use super::World;

const WEBHOOK: &str = "/api/v1/app/shop/conversation-webhook";

/// The object as the guide prints it, without its comment.
fn configuration() -> Value {
    json!({
        "channel": "API",
        "usecase": "WORKFLOW_EXECUTION",
        "config": {"workflow_id": "123", "callback_url": "https://your-domain.com/webhook"}
    })
}

#[tokio::test]
async fn a_workflow_has_one_endpoint_and_learns_its_secret_once() {
    let world = World::new().await;
    world.shop().await;
    let made = world.call("POST", WEBHOOK, &configuration().to_string()).await;
    assert_eq!(
        (made.status, &made.headers["cache-control"]),
        (201, &"no-store".parse().unwrap()),
        "{made:?}"
    );
    let mut answered = made.json();
    let secret = answered.as_object_mut().unwrap().remove("secret").unwrap();
    let id = answered.as_object_mut().unwrap().remove("endpoint_id").unwrap();
    assert_eq!(answered, configuration());

    let path = format!("/api/v1/app/shop/endpoint/{}", id.as_str().unwrap());
    let endpoint = world.call("GET", &path, "").await.json();
    assert_eq!((&endpoint["uid"], &endpoint["preset"]), (&json!("conversation-123"), &json!("conversation")));
    assert_eq!(endpoint["metadata"]["usecase"], "WORKFLOW_EXECUTION");
    assert_eq!(world.call("GET", &format!("{path}/secret"), "").await.json()["key"], secret);

    let mut moved = configuration();
    moved["config"]["callback_url"] = json!("https://your-domain.com/other");
    let again = world.call("POST", WEBHOOK, &moved.to_string()).await;
    moved["endpoint_id"] = id;
    assert_eq!((again.status, again.json()), (200, moved));
    assert_eq!(world.call("GET", &path, "").await.json()["url"], "https://your-domain.com/other");
    assert_eq!(world.call("GET", &format!("{path}/secret"), "").await.json()["key"], secret);
}

/// The guide prints its object with a comment, and under "Using ngrok" with a new URL alone.
#[tokio::test]
async fn a_configuration_may_have_comments_and_may_be_a_url_alone() {
    let world = World::new().await;
    world.shop().await;
    let short = |url: &str| json!({"config": {"callback_url": url}}).to_string();
    let first = world.call("POST", WEBHOOK, &short("https://one.example/webhook")).await;
    assert_eq!(first.status, 201, "{first:?}");
    assert!(first.json()["secret"].is_string());
    let again = world.call("POST", WEBHOOK, &short("https://two.example/webhook")).await;
    assert_eq!((again.status, &again.json()["endpoint_id"]), (200, &first.json()["endpoint_id"]));
    assert_eq!(again.json()["config"], json!({"callback_url": "https://two.example/webhook"}));

    let printed = r#"{
        "channel": "API",
        "usecase": "WORKFLOW_EXECUTION",
        "config": {
            "workflow_id": "123",
            "callback_url": "https://your-domain.com/webhook" // Required
        }
    }"#;
    let whole = world.call("POST", WEBHOOK, printed).await;
    assert_eq!(whole.status, 201, "{whole:?}");
    assert_ne!(whole.json()["endpoint_id"], first.json()["endpoint_id"]);
    let unclear = world.call("POST", WEBHOOK, &short("https://three.example/webhook")).await;
    assert_eq!((unclear.status, unclear.code().as_str()), (422, "workflow_unclear"));
    let named = json!({"config": {"workflow_id": "123", "callback_url": "https://three.example/webhook"}});
    let named = world.call("POST", WEBHOOK, &named.to_string()).await;
    assert_eq!((named.status, &named.json()["endpoint_id"]), (200, &whole.json()["endpoint_id"]));
    let path = format!("/api/v1/app/shop/endpoint/{}", whole.json()["endpoint_id"].as_str().unwrap());
    let labels = json!({"channel": "API", "usecase": "WORKFLOW_EXECUTION", "workflow_id": "123"});
    assert_eq!(world.call("GET", &path, "").await.json()["metadata"], labels);

    let new = json!({"config": {"workflow_id": "124", "callback_url": "https://four.example/webhook"}});
    let new = world.call("POST", WEBHOOK, &new.to_string()).await;
    assert_eq!((new.status, new.code().as_str()), (422, "field_missing"));
    let torn = world.call("POST", WEBHOOK, "{ // only a comment").await;
    assert_eq!((torn.status, torn.code().as_str()), (400, "json_invalid"));
}

#[tokio::test]
async fn a_repeat_is_answered_without_the_secret() {
    let world = World::new().await;
    world.shop().await;
    let first = world.once("key", WEBHOOK, &configuration().to_string()).await;
    let repeat = world.once("key", WEBHOOK, &configuration().to_string()).await;
    assert_eq!((first.status, repeat.status), (201, 201));
    assert_eq!(first.json()["endpoint_id"], repeat.json()["endpoint_id"]);
    assert!(first.json()["secret"].is_string() && repeat.json()["secret"].is_null());
}

#[tokio::test]
async fn a_configuration_is_refused_at_its_field() {
    let world = World::new().await;
    world.shop().await;
    let check = async |pointer: &str, value: Value, place: &[&str], code: &str| {
        let mut refused = configuration();
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        let parent = refused.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        match value {
            Value::Null => drop(parent.remove(field)),
            value => drop(parent.insert(field.to_owned(), value)),
        }
        let answer = world.call("POST", WEBHOOK, &refused.to_string()).await;
        assert_eq!((answer.status, answer.code().as_str()), (422, code), "{pointer}: {answer:?}");
        assert_eq!(answer.json()["detail"][0]["loc"], json!(place), "{answer:?}");
    };
    let url = ["body", "config", "callback_url"];
    check("/config/callback_url", Value::Null, &url, "callback_url_missing").await;
    check("/config/callback_url", json!("http://your-domain.com/webhook"), &url, "url_not_https").await;
    check("/config/callback_url", json!("https://10.0.0.1/webhook"), &url, "address_blocked").await;
    check("/config/callback_url", json!(7), &url, "value_error").await;
    check("/config/workflow_id", json!("a b"), &["body", "config", "workflow_id"], "name_invalid").await;
    check("/config/workflow_id", json!("1".repeat(300)), &["body", "config", "workflow_id"], "name_invalid")
        .await;
    check("/config", Value::Null, &["body"], "value_error").await;
    check("/channel", json!("FAX"), &["body", "channel"], "channel_unknown").await;
    check("/usecase", json!(""), &["body", "usecase"], "name_invalid").await;
    check("/extra", json!(1), &["body", "extra"], "member_unknown").await;
    let endpoints = world.call("GET", "/api/v1/app/shop/endpoint", "").await;
    assert_eq!(endpoints.json()["data"].as_array().unwrap().len(), 1, "only the shop's own");
}

#[tokio::test]
async fn a_payload_is_checked_on_request_and_told_each_fault() {
    let world = World::new().await;
    world.shop().await;
    let send = async |query: &str, event_type: &str, payload: &Value| {
        let message = json!({"eventType": event_type, "payload": payload});
        world.call("POST", &format!("/api/v1/app/shop/msg{query}"), &message.to_string()).await
    };
    let known = hookmill_core::catalog::known_event("conversation.message").unwrap();
    let good: Value = serde_json::from_str(known.example).unwrap();
    assert_eq!(send("?validate=true", "conversation.message", &good).await.status, 202);

    // The guide's own structure has placeholders where its reference wants UUIDs, and a file name with a text: accepted,
    // since it is what the guide prints.
    let mut printed = good.clone();
    printed["conversation_id"] = json!("uuid-string");
    printed["data"]["id"] = json!("message-uuid");
    printed["data"]["filename"] = json!("document.pdf");
    assert_eq!(send("?validate=true", "conversation.message", &printed).await.status, 202);
    printed["conversation_id"] = json!("no-uuid");
    printed["data"]["filename"] = json!("");
    printed["data"]["id"] = json!(7);
    let refused = send("?validate=true", "conversation.message", &printed).await;
    assert_eq!((refused.status, refused.code().as_str()), (422, "payload_invalid"));
    let items = refused.json()["detail"].as_array().unwrap().clone();
    let mut places: Vec<_> = items.iter().map(|item| item["loc"].to_string()).collect();
    places.sort();
    assert_eq!(
        places,
        [
            r#"["body","payload","conversation_id"]"#,
            r#"["body","payload","data","filename"]"#,
            r#"["body","payload","data","id"]"#,
        ]
    );
    assert_eq!(send("", "conversation.message", &printed).await.status, 202, "nobody asked");
    assert_eq!(send("?validate=false", "conversation.message", &printed).await.status, 202);
    assert_eq!(send("?validate=yes", "conversation.message", &good).await.code(), "flag_invalid");
}

#[tokio::test]
async fn the_operators_own_schema_goes_first() {
    let world = World::new().await;
    world.shop().await;
    let send = async |event_type: &str, payload: Value| {
        let message = json!({"eventType": event_type, "payload": payload});
        world.call("POST", "/api/v1/app/shop/msg?validate=true", &message.to_string()).await.code()
    };
    let define = async |name: &str, schemas: Value| {
        let definition = json!({"name": name, "description": "", "schemas": schemas});
        let made = world.call("POST", "/api/v1/event-type", &definition.to_string()).await;
        assert_eq!(made.status, 201, "{made:?}");
    };
    assert_eq!(send("order.paid", json!({})).await, "schema_missing");
    define("order.paid", json!({"1": {"required": ["old"]}, "2": {"required": ["new"]}})).await;
    assert_eq!(send("order.paid", json!({"old": 1})).await, "payload_invalid");
    assert_eq!(send("order.paid", json!({"new": 1})).await, "");
    let changed = json!({"description": "", "schemas": {"1": {"required": ["newer"]}}});
    let changed = world.call("PUT", "/api/v1/event-type/order.paid", &changed.to_string()).await;
    assert_eq!(changed.status, 200, "{changed:?}");
    assert_eq!(send("order.paid", json!({"new": 1})).await, "payload_invalid", "the schema is another now");
    let deep: Value = (0..126).fold(json!(0), |deep, _| json!([deep]));
    assert_eq!(send("order.paid", json!({"newer": deep})).await, "");
    let message = format!(
        r#"{{"eventType": "order.paid", "payload": {{"newer": {}{}}}}}"#,
        "[".repeat(1000),
        "]".repeat(1000)
    );
    let deep = world.call("POST", "/api/v1/app/shop/msg?validate=true", &message).await;
    assert_eq!((deep.status, deep.code().as_str()), (422, "payload_too_deep"));
    define("conversation.message", json!({"1": {"maxProperties": 1}})).await;
    assert_eq!(send("conversation.message", json!({"a": 1})).await, "");
    define("order.old", json!({"1": {"$schema": "http://json-schema.org/draft-07/schema#"}})).await;
    assert_eq!(send("order.old", json!({})).await, "schema_unusable");
}
