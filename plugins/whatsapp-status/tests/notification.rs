//! What the plugin makes of the provider's documented payloads and of what may come instead.

use hookmill_plugin::{Body, Failure, Outcome, Value, json, test};
use whatsapp_status::reshape;

/// The documented payloads.
const STATUS: &str = include_str!("../../../tests/data/seeds/whatsapp-status.json");
const INCOMING_TEXT: &str = include_str!("../../../tests/data/seeds/whatsapp-incoming-text.json");
const INCOMING_MEDIA: &str = include_str!("../../../tests/data/seeds/whatsapp-incoming-media.json");

fn run(body: &str, settings: Value) -> Result<Outcome, Failure> {
    test::run(reshape, test::event(body), test::target(settings))
}

/// The documented payload with fields of `payload` replaced, or removed where the value is null.
fn status(changes: &Value) -> String {
    let mut event: Value = hookmill_plugin::serde_json::from_str(STATUS).expect("the payload is JSON");
    let payload = event["payload"].as_object_mut().expect("the payload is an object");
    for (name, value) in changes.as_object().expect("changes are an object") {
        match value {
            Value::Null => payload.remove(name),
            value => payload.insert(name.clone(), value.clone()),
        };
    }
    event.to_string()
}

fn notification(body: &str, settings: Value) -> Result<Value, Failure> {
    let outcome = run(body, settings)?;
    let [request] = outcome.requests() else { panic!("one request, not {outcome:?}") };
    assert_eq!(request.header_value("content-type"), Some("application/json"));
    request.body.json()
}

#[test]
fn the_manifests_samples_hold() {
    test::samples(reshape, include_str!("../plugin.json"));
}

#[test]
fn the_documented_payload_becomes_a_notification() {
    let settings = json!({"fields": {"providerId": 4, "channelType": 3, "applicationId": 1}});
    let payload = hookmill_plugin::serde_json::from_str::<Value>(STATUS).unwrap()["payload"].take();
    let expected = json!({
        "id": "your-business-identifier",
        "data": {"to": "+9190199xxxxx", "from": "+919019120xxx"},
        "deliveryStatus": 5,
        "result": {"result": payload},
        "createdOn": "2021-06-18T14:48:06.886358Z",
        "updatedOn": "2021-06-18T14:48:06.886358Z",
        "providerId": 4,
        "channelType": 3,
        "applicationId": 1,
    });
    assert_eq!(notification(STATUS, settings), Ok(expected));
}

#[test]
fn what_it_makes_is_what_the_other_plugin_takes() {
    let first = run(STATUS, json!({"fields": {"channelType": 3}})).unwrap();
    let body = first.requests()[0].body.text().unwrap();
    let second = test::run(osmox_notification::reshape, test::event(body), test::target("{}")).unwrap();
    let report: Value = second.requests()[0].body.json().unwrap();
    assert_eq!(report["notificationId"], "your-business-identifier");
    assert_eq!(report["channelTypeName"], "wa-360dialog");
    assert_eq!(report["deliveryStatusName"], "success");
    assert_eq!(report["to"], "+9190199xxxxx");
    assert_eq!(report["details"]["result"]["result"]["status"], "delivered");
}

#[test]
fn each_status_has_its_code() {
    let check = |status_name: &str, settings: Value, expect: Option<i64>| {
        let outcome = run(&status(&json!({"status": status_name})), settings).unwrap();
        let code = outcome
            .requests()
            .first()
            .map(|request| request.body.json::<Value>().unwrap()["deliveryStatus"].clone());
        assert_eq!(code, expect.map(Value::from), "{status_name}");
    };
    check("sent", json!({}), Some(5));
    check("delivered", json!({}), Some(5));
    check("read", json!({}), Some(5));
    check("failed", json!({}), Some(6));
    check("deleted", json!({}), None);
    check("sent", json!({"deliveryStatus": {"sent": 3}}), Some(3));
    check("read", json!({"deliveryStatus": {"sent": 3}}), Some(5));
    check("read", json!({"deliveryStatus": {"read": null}}), None);
    check("queued", json!({"deliveryStatus": {"queued": 2}}), Some(2));
}

#[test]
fn ids_are_numbers_where_they_read_as_numbers() {
    let check = |changes: Value, expect: Value| {
        assert_eq!(notification(&status(&changes), json!({})).unwrap()["id"], expect, "{changes}");
    };
    check(json!({"foreign_id": "51"}), json!(51));
    check(json!({"foreign_id": 51}), json!(51));
    check(json!({"foreign_id": "051"}), json!("051"));
    check(json!({"foreign_id": "+51"}), json!("+51"));
    check(json!({"foreign_id": "99999999999999999999"}), json!("99999999999999999999"));
    check(json!({"foreign_id": 1.50}), json!(1.50));
    check(json!({"foreign_id": ""}), json!("a418d672-9781-4d97-b517-a56f7d95ad8a"));
    check(json!({"foreign_id": null}), json!("a418d672-9781-4d97-b517-a56f7d95ad8a"));
}

#[test]
fn times_are_those_that_the_provider_knows() {
    let check = |changes: Value, created: Option<&str>, updated: Option<&str>| {
        let notification = notification(&status(&changes), json!({})).unwrap();
        assert_eq!(notification.get("createdOn").and_then(Value::as_str), created);
        assert_eq!(notification.get("updatedOn").and_then(Value::as_str), updated);
    };
    check(
        json!({"processed_at": "1", "delivered_at": "2", "read_at": "3", "timestamp": "4"}),
        Some("1"),
        Some("4"),
    );
    check(
        json!({"processed_at": "1", "delivered_at": "2", "read_at": "3", "timestamp": null}),
        Some("1"),
        Some("3"),
    );
    check(
        json!({"processed_at": "1", "delivered_at": "2", "read_at": "", "timestamp": null}),
        Some("1"),
        Some("2"),
    );
    check(
        json!({"processed_at": null, "delivered_at": null, "read_at": null}),
        Some(TIMESTAMP),
        Some(TIMESTAMP),
    );
    check(
        json!({"processed_at": null, "delivered_at": null, "read_at": null, "timestamp": null}),
        None,
        None,
    );
}

const TIMESTAMP: &str = "2021-06-18T14:48:06.886358Z";

#[test]
fn numbers_get_a_plus_once() {
    let check = |to: &str, expect: &str| {
        assert_eq!(notification(&status(&json!({"to": to})), json!({})).unwrap()["data"]["to"], expect);
    };
    check("919810450807", "+919810450807");
    check("+919810450807", "+919810450807");
    check("someone", "someone");
}

#[test]
fn other_events_are_dropped_or_passed() {
    for body in [INCOMING_TEXT, INCOMING_MEDIA] {
        let reason = "`whatsapp:message:in` is not `whatsapp:message:status`";
        assert_eq!(run(body, json!({})), Ok(Outcome::drop(reason)));
        let passed = run(body, json!({"otherEvents": "pass"})).unwrap();
        assert_eq!(passed.requests()[0].body, Body::Original);
    }
}

#[test]
fn what_is_not_as_documented_is_a_permanent_failure_that_names_the_field() {
    let check = |body: &str, reason: &str| assert_eq!(run(body, json!({})), Err(Failure::permanent(reason)));
    check("{}", "/event: missing");
    check(r#"{"event": 1}"#, "/event: invalid type: integer `1`, expected a string");
    check(r#"{"event": "whatsapp:message:status"}"#, "/payload: missing");
    check(
        r#"{"event": "whatsapp:message:status", "payload": []}"#,
        "/payload: expected an object, found an array",
    );
    check(&status(&json!({"status": null})), "/payload/status: missing");
    check(
        &status(&json!({"status": "sent|delivered"})),
        "/payload/status: unknown status `sent|delivered`; name it in the setting `deliveryStatus`",
    );
    check(
        &status(&json!({"foreign_id": []})),
        "/payload/foreign_id: expected a string or a number or null, found an array",
    );
    check(&status(&json!({"foreign_id": null, "id": null})), "/payload/id: missing");
    check(
        &status(&json!({"to": 9190199})),
        "/payload/to: invalid type: integer `9190199`, expected a string",
    );
    check(
        &status(&json!({"timestamp": 5})),
        "/payload/timestamp: invalid type: integer `5`, expected a string",
    );
}
