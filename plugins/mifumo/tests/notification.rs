//! What becomes of Mifumo's webhooks that are not as in the manifest's samples.

use hookmill_plugin::{Failure, Value, Verdict, json, test};
use mifumo::receive;

const SENT: &str = include_str!("../../../tests/data/seeds/mifumo-message-sent.json");
const FAILED: &str = include_str!("../../../tests/data/seeds/mifumo-message-failed.json");

/// A documented payload with fields replaced, or removed where the value is `remove`.
fn changed(payload: &str, changes: &Value) -> String {
    let mut payload: Value = hookmill_plugin::serde_json::from_str(payload).expect("the payload is JSON");
    let fields = payload.as_object_mut().expect("the payload is an object");
    for (name, value) in changes.as_object().expect("changes are an object") {
        match value.as_str() {
            Some("remove") => fields.remove(name),
            Some(_) | None => fields.insert(name.clone(), value.clone()),
        };
    }
    payload.to_string()
}

fn run(body: String) -> Result<Verdict, Failure> {
    test::receive(receive, test::request(body), test::origin("{}"))
}

#[test]
fn each_recipient_has_an_event() {
    let recipients: Vec<String> = (0..90).map(|number| format!("+2557{number:08}")).collect();
    let verdict = run(changed(SENT, &json!({"recipients": recipients}))).unwrap();
    assert_eq!(verdict.events().len(), 90);
    let last = &verdict.events()[89];
    assert_eq!(last.uid.as_deref(), Some("msg_123456789.sent..2b255700000089"));
    let body: Value = last.body.as_ref().unwrap().json().unwrap();
    assert_eq!(body["recipient"], "+255700000089");
    assert_eq!(body["original"]["recipients"], json!(["+255700000089"]), "its own, not those of the others");
    assert_eq!(run(changed(SENT, &json!({"recipients": []}))), Ok(Verdict::ignore()));
}

#[test]
fn the_time_is_that_of_the_event_first() {
    let check = |changes: Value, expect: &str| {
        let verdict = run(changed(FAILED, &changes)).unwrap();
        let body: Value = verdict.events()[0].body.as_ref().unwrap().json().unwrap();
        assert_eq!(body["occurred_at"], expect, "{changes}");
    };
    check(json!({"failed_at": "2024-01-01T12:05:00+02:00", "timestamp": 5}), "2024-01-01T10:05:00Z");
    check(json!({"failed_at": null, "timestamp": "2024-01-02T00:00:00Z"}), "2024-01-02T00:00:00Z");
    check(json!({"failed_at": "remove", "timestamp": "remove"}), "2024-07-12T09:14:26Z");
}

#[test]
fn what_is_not_known_is_kept_whatever_it_looks_like() {
    let body = json!({"event": "message.expired", "message_id": 5, "timestamp": "soon"});
    let verdict = run(body.to_string()).unwrap();
    let event = &verdict.events()[0];
    assert_eq!((event.event_type.as_str(), &event.uid), ("notification.other", &None));
    assert_eq!(event.body.as_ref().unwrap().json::<Value>().unwrap()["original"], body);
}

#[test]
fn what_is_not_as_documented_is_refused_with_the_field() {
    let check = |body: String, reason: &str| assert_eq!(run(body), Err(Failure::permanent(reason)));
    check("{}".to_owned(), "/event: missing");
    check(changed(FAILED, &json!({"message_id": "remove"})), "/message_id: missing");
    check(changed(FAILED, &json!({"recipient": "remove"})), "/recipient: missing");
    check(changed(SENT, &json!({"recipients": "remove"})), "/recipients: missing");
    check(changed(FAILED, &json!({"failed_at": "soon"})), "/failed_at: expected a time in RFC 3339");
    check(
        changed(SENT, &json!({"recipients": "+1"})),
        "/recipients: invalid type: string \"+1\", expected a sequence",
    );
    check(
        changed(FAILED, &json!({"error_code": 7})),
        "/error_code: invalid type: integer `7`, expected a string",
    );
}
