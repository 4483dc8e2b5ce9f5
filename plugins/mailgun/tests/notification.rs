//! What becomes of Mailgun's webhooks that are not as in the manifest's samples.

use hookmill_plugin::{Failure, NewEvent, Result, Value, json, test};
use mailgun::receive;

/// A webhook whose event has these fields beside what each has.
fn webhook(changes: &Value) -> Value {
    let mut event = json!({
        "event": "failed", "id": "G9Bn5sl1TC6nu79C8C0bwg", "timestamp": 1770146798.372891,
        "message": {"headers": {"message-id": "m@x"}}, "recipient": "to@x",
    });
    let fields = event.as_object_mut().expect("an event is an object");
    for (name, value) in changes.as_object().expect("changes are an object") {
        match value {
            Value::Null => fields.remove(name),
            value => fields.insert(name.clone(), value.clone()),
        };
    }
    json!({"signature": {}, "event-data": event})
}

fn event(changes: &Value) -> Result<NewEvent> {
    let verdict = test::receive(receive, test::request(webhook(changes).to_string()), test::origin("{}"))?;
    let [event] = verdict.events() else { panic!("one event, not {verdict:?}") };
    Ok(event.clone())
}

fn notification(changes: &Value) -> Value {
    event(changes).and_then(|event| event.body.expect("a body").json()).expect("a notification")
}

#[test]
fn the_other_servers_answer_is_the_error() {
    let check = |changes: Value, expect: Value| {
        assert_eq!(notification(&changes).get("error").cloned().unwrap_or_default(), expect, "{changes}");
    };
    let status = |status: Value| json!({"delivery-status": status, "reason": "bounce"});
    check(
        status(json!({"code": 550, "message": "no such user", "description": "other words"})),
        json!({"code": "550", "message": "no such user"}),
    );
    check(
        status(json!({"code": "550", "message": "", "description": "other words"})),
        json!({"code": "550", "message": "other words"}),
    );
    check(status(json!({"code": 0, "message": null, "description": null})), json!({"message": "bounce"}));
    check(json!({"reason": "old"}), json!({"message": "old"}));
    check(json!({}), Value::Null);
    check(
        json!({"event": "rejected", "reject": {"reason": "Sandbox subdomains are for test purposes only"}}),
        json!({"message": "Sandbox subdomains are for test purposes only"}),
    );
    // A success has an answer too, and no error.
    check(json!({"event": "delivered", "delivery-status": {"code": 250, "message": "OK"}}), Value::Null);
}

#[test]
fn only_failures_that_are_temporary_are_not_for_good() {
    for (severity, expect) in [("temporary", "deferred"), ("permanent", "failed"), ("severe", "failed")] {
        assert_eq!(notification(&json!({"severity": severity}))["status"], expect);
    }
    assert_eq!(notification(&json!({}))["status"], "failed");
}

#[test]
fn the_id_is_the_uid() {
    assert_eq!(event(&json!({})).unwrap().uid.as_deref(), Some("G9Bn5sl1TC6nu79C8C0bwg"));
    assert_eq!(event(&json!({"id": null})).unwrap().uid, None);
}

#[test]
fn what_is_not_known_is_kept_whatever_it_looks_like() {
    let changes =
        json!({"event": "list_uploaded", "id": 5, "timestamp": "soon", "message": [], "recipient": 5});
    let event = event(&changes).unwrap();
    assert_eq!((event.event_type.as_str(), &event.uid), ("notification.other", &None));
    let body: Value = event.body.unwrap().json().unwrap();
    assert_eq!(body["original"], webhook(&changes)["event-data"]);
    assert_eq!(body["occurred_at"], "2024-07-12T09:14:26Z");
}

#[test]
fn what_is_not_as_documented_is_refused_with_the_field() {
    let check = |changes: Value, reason: &str| {
        assert_eq!(event(&changes).map(|event| event.event_type), Err(Failure::permanent(reason)));
    };
    check(json!({"event": null}), "/event-data/event: missing");
    check(json!({"event": 5}), "/event-data/event: invalid type: integer `5`, expected a string");
    check(json!({"timestamp": null}), "/event-data/timestamp: missing");
    check(json!({"timestamp": "soon"}), "/event-data/timestamp: expected seconds since 1970 as a number");
    check(json!({"timestamp": -1}), "/event-data/timestamp: expected seconds since 1970 as a number");
    check(json!({"message": null}), "/event-data/message: no `message-id` among its headers");
    check(json!({"recipient": []}), "/event-data/recipient: invalid type: sequence, expected a string");
}

#[test]
fn bodies_that_are_none_of_mailguns_are_refused() {
    let check = |body: &str, reason: &str| {
        let refused = test::receive(receive, test::request(body), test::origin("{}")).expect_err(body);
        assert!(refused.reason().starts_with(reason), "{refused}");
    };
    check("", "the request's body: EOF while parsing a value");
    check("recipient=to%40x", "the request's body: expected value");
    check("{}", "/event-data: missing");
    check(r#"{"event-data": "text"}"#, "/event-data: expected an object, found a string");
}

#[test]
fn null_is_as_good_as_missing() {
    let without_original = |mut notification: Value| {
        notification.as_object_mut().expect("an object").remove("original");
        notification
    };
    for field in ["severity", "envelope", "reason", "recipient", "id", "delivery-status", "reject"] {
        let mut explicit = webhook(&json!({}));
        explicit["event-data"][field] = Value::Null;
        let verdict = test::receive(receive, test::request(explicit.to_string()), test::origin("{}"));
        let verdict = verdict.unwrap_or_else(|failure| panic!("{field}: {failure}"));
        let found: Value = verdict.events()[0].body.as_ref().expect("a body").json().expect("a notification");
        assert_eq!(
            without_original(found),
            without_original(notification(&json!({ field: null }))),
            "{field}"
        );
    }
    for message in [json!({"headers": null}), json!({"headers": {"message-id": null}})] {
        let failure = event(&json!({"message": message})).expect_err("no id");
        assert_eq!(failure.reason(), "/event-data/message: no `message-id` among its headers");
    }
}

/// Mailgun's routes post messages with files as `multipart/form-data`, others as a form.
#[test]
fn both_kinds_of_forms_are_read() {
    let fields = [
        ("recipient", "to@x"),
        ("sender", "from@x"),
        ("body-plain", "Hello\r\nyou"),
        ("Message-Id", "<m@x>"),
        ("timestamp", "1770146798"),
        ("token", "t0"),
        ("signature", "00"),
    ];
    let urlencoded = "recipient=to%40x&sender=from%40x&body-plain=Hello%0D%0Ayou&Message-Id=%3Cm%40x%3E\
        &timestamp=1770146798&token=t0&signature=00";
    let part = |(name, value): &(&str, &str)| {
        format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let file =
        "--b\r\nContent-Disposition: form-data; name=\"attachment-1\"; filename=\"a.txt\"\r\n\r\nxyz\r\n";
    let multipart = format!("{}{file}--b--\r\n", fields.iter().map(part).collect::<String>());
    for (content_type, body) in [
        ("application/x-www-form-urlencoded", urlencoded),
        ("multipart/form-data; boundary=\"b\"", multipart.as_str()),
    ] {
        let request = test::request(body).header("content-type", content_type);
        let verdict = test::receive(receive, request, test::origin("{}")).expect("accepted");
        let [event] = verdict.events() else { panic!("one event, not {verdict:?}") };
        assert_eq!((event.event_type.as_str(), event.uid.as_deref()), ("message.received", Some("t0")));
        let found: Value = event.body.as_ref().expect("a body").json().expect("a notification");
        assert_eq!(found["message_id"], "m@x", "{content_type}");
        assert_eq!((&found["recipient"], &found["sender"]), (&json!("to@x"), &json!("from@x")));
        assert_eq!(
            (&found["text"], &found["occurred_at"]),
            (&json!("Hello\r\nyou"), &json!("2026-02-03T19:26:38Z"))
        );
        assert_eq!(found["original"]["token"], "t0");
    }
    let bounced = "event=bounced&recipient=to%40x&code=550&error=no+such+user&token=t1&timestamp=1770146798";
    let request = test::request(bounced).header("content-type", "application/x-www-form-urlencoded");
    let verdict = test::receive(receive, request, test::origin("{}")).expect("accepted");
    let found: Value = verdict.events()[0].body.as_ref().expect("a body").json().expect("a notification");
    assert_eq!((&found["status"], &found["error"]["code"]), (&json!("failed"), &json!("550")));
    let request = test::request("a=b").header("content-type", "application/x-www-form-urlencoded");
    assert!(test::receive(receive, request, test::origin("{}")).is_err(), "none of Mailgun's");
}
