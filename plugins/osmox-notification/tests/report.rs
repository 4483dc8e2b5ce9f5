//! What the plugin makes of OsmoX's documented payload and of what may come instead.

use hookmill_plugin::{Failure, Value, json, test};
use osmox_notification::reshape;

/// The documented payload.
const NOTIFICATION: &str = include_str!("../../../tests/data/seeds/osmox-notification.json");

fn report(notification: &Value, settings: Value) -> Result<Value, Failure> {
    let outcome = test::run(reshape, test::event(notification.to_string()), test::target(settings))?;
    let [request] = outcome.requests() else { panic!("one request, not {outcome:?}") };
    assert_eq!(request.header_value("content-type"), Some("application/json"));
    request.body.json()
}

/// The documented payload with some fields replaced, or removed where the value is null.
fn notification(changes: &Value) -> Value {
    let mut notification: Value =
        hookmill_plugin::serde_json::from_str(NOTIFICATION).expect("the payload is JSON");
    let fields = notification.as_object_mut().expect("the payload is an object");
    for (name, value) in changes.as_object().expect("changes are an object") {
        match value {
            Value::Null => fields.remove(name),
            value => fields.insert(name.clone(), value.clone()),
        };
    }
    notification
}

#[test]
fn the_manifests_samples_hold() {
    test::samples(reshape, include_str!("../plugin.json"));
}

#[test]
fn the_documented_payload_becomes_a_flat_report() {
    let outcome =
        test::run(reshape, test::event(NOTIFICATION), test::target(json!({"drop": ["indiaDlt*"]}))).unwrap();
    // The text, not the value: the order of the fields and the text of what was moved are a part of the promise.
    let expected = concat!(
        r#"{"notificationId":51,"applicationId":1,"providerId":4,"channelType":8,"channelTypeName":"sms-kapsystem","#,
        r#""deliveryStatus":5,"deliveryStatusName":"success","to":"+919810450807","#,
        r#""content":{"text":"Dear Lakshaya, A new ticket ABCDEF is created.\n\nReagrds,\nOQSHA\nPowered by Osmosys"},"#,
        r#""retryCount":0,"createdOn":"2024-07-12T09:14:26.000Z","updatedOn":"2024-07-12T09:14:27.000Z","#,
        r#""details":{"result":{ "result": { "messages": [] } },"createdBy":"sampleOsmoXApp","#,
        r#""updatedBy":"sampleOsmoXApp","status":1}}"#,
    );
    assert_eq!(outcome.requests()[0].body.text(), Some(expected));
}

#[test]
fn without_settings_nothing_is_lost() {
    let report = report(&notification(&json!({"shard": {"zone": [1.50]}})), json!({})).unwrap();
    assert_eq!(report["content"]["indiaDltPrincipalEntityId"], "1601538161788246351");
    assert_eq!(report["details"]["shard"], json!({"zone": [1.50]}));
    assert_eq!(report["details"]["createdBy"], "sampleOsmoXApp");
}

#[test]
fn optional_fields_may_be_missing() {
    let check = |notification: Value, expect: Value| assert_eq!(report(&notification, json!({})), Ok(expect));
    check(
        json!({"id": "own-id", "deliveryStatus": 6}),
        json!({"notificationId": "own-id", "deliveryStatus": 6, "deliveryStatusName": "failed", "content": {}}),
    );
    // A code without a name stays a code.
    check(
        json!({"id": 1, "deliveryStatus": 99}),
        json!({"notificationId": 1, "deliveryStatus": 99, "content": {}}),
    );
}

#[test]
fn settings_decide_what_is_passed_on() {
    let check = |settings: Value, pointer: &str, expect: Option<Value>| {
        let report = report(&notification(&json!({})), settings.clone()).unwrap();
        assert_eq!(report.pointer(pointer), expect.as_ref(), "{settings} {pointer}");
    };
    check(json!({"drop": ["text"]}), "/content/text", None);
    check(json!({"drop": ["te"]}), "/content/indiaDltContentTemplateId", Some(json!("1607100000000292563")));
    check(json!({"drop": ["*"]}), "/content", Some(json!({})));
    check(json!({"drop": ["to"]}), "/to", None);
    check(json!({"redact": ["text"]}), "/content/text", Some(json!("[redacted]")));
    check(json!({"redact": ["t*"]}), "/to", Some(json!("[redacted]")));
    check(json!({"redact": ["text"], "drop": ["text"]}), "/content/text", None);
    check(json!({"redact": ["absent"]}), "/content/absent", None);
    check(json!({"withoutDetails": true}), "/details", None);
    check(json!({"deliveryStatusNames": {"5": "arrived"}}), "/deliveryStatusName", Some(json!("arrived")));
    check(json!({"channelTypeNames": {"8": "sms"}}), "/channelTypeName", Some(json!("sms")));
}

#[test]
fn ids_of_any_size_keep_their_digits() {
    let event = r#"{"id":123456789012345678901234567890,"deliveryStatus":5,"retryCount":1.0}"#;
    let outcome = test::run(reshape, test::event(event), test::target("{}")).unwrap();
    let text = outcome.requests()[0].body.text().unwrap();
    assert!(text.starts_with(r#"{"notificationId":123456789012345678901234567890,"#), "{text}");
    assert!(text.contains(r#""retryCount":1.0"#), "{text}");
}

#[test]
fn what_is_not_as_documented_is_a_permanent_failure_that_names_the_field() {
    let check = |changes: Value, reason: &str| {
        assert_eq!(report(&notification(&changes), json!({})), Err(Failure::permanent(reason)));
    };
    check(json!({"data": "text"}), "/data: expected an object, found a string");
    check(json!({"data": {"to": 919810450807_u64}}), "/data/to: expected a string, found a number");
    check(json!({"data": {"text": ["a"]}}), "/data/text: expected a string, found an array");
    check(json!({"id": null}), "/id: missing");
    check(json!({"id": {}}), "/id: expected a number or a string, found an object");
    check(json!({"applicationId": "1"}), "/applicationId: expected a number, found a string");
    check(json!({"channelType": true}), "/channelType: expected a number, found true or false");
    check(json!({"deliveryStatus": null}), "/deliveryStatus: missing");
    check(json!({"deliveryStatus": "5"}), "/deliveryStatus: expected a number, found a string");
    check(json!({"createdOn": 1720775666}), "/createdOn: expected a string, found a number");
}

#[test]
fn bodies_that_are_no_objects_and_unknown_settings_are_permanent_failures() {
    let check = |body: &str, settings: &str, reason: &str| {
        let failure = test::run(reshape, test::event(body), test::target(settings)).expect_err(body);
        assert!(matches!(&failure, Failure::Permanent(found) if found.starts_with(reason)), "{failure:?}");
    };
    check("", "{}", "the event's body: EOF while parsing a value");
    check("[51]", "{}", "the event's body: invalid type: sequence, expected a JSON object");
    check(r#"{"id": 51"#, "{}", "the event's body: EOF while parsing an object");
    check("{}", r#"{"dorp": []}"#, "the endpoint's settings: unknown field `dorp`");
    check("{}", r#"{"drop": "text"}"#, "the endpoint's settings: invalid type: string");
}
