//! What becomes of WhatsApp's requests that are not as in the manifest's samples.

use hookmill_plugin::{Failure, NewEvent, Value, Verdict, json, test};
use whatsapp::receive;

fn run(body: &Value) -> Result<Verdict, Failure> {
    test::receive(receive, test::request(body.to_string()), test::origin("{}"))
}

fn cloud(value: &Value) -> Value {
    json!({"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [
        {"field": "messages", "value": value}
    ]}]})
}

fn notification(event: &NewEvent) -> Value {
    event.body.as_ref().expect("a body").json().expect("a notification")
}

/// The notification of the only event.
fn only(body: &Value) -> Value {
    let verdict = run(body).expect("accepted");
    let [event] = verdict.events() else { panic!("one event, not {verdict:?}") };
    notification(event)
}

fn handshake(query: &str, settings: Value) -> Result<Verdict, Failure> {
    test::receive(receive, test::request("").method("GET").query(query), test::origin(settings))
}

#[test]
fn handshakes_need_the_token_of_the_settings() {
    let check = |query: &str, settings: Value, reason: &str| {
        let refused = match handshake(query, settings) {
            Ok(verdict) => verdict,
            Err(failure) => Verdict::reject(failure.reason()),
        };
        assert_eq!(refused, Verdict::reject(reason), "{query}");
    };
    let asked = "hub.mode=subscribe&hub.verify_token=t&hub.challenge=5";
    check(asked, json!({}), "the source's settings have no `verifyToken`");
    check(asked, json!({"verifyToken": ""}), "the source's settings have no `verifyToken`");
    let other = "hub.verify_token: not the `verifyToken` of the source's settings";
    check(asked, json!({"verifyToken": "tt"}), other);
    check("", json!({"verifyToken": "t"}), "hub.mode: missing");
    check("hub.mode=unsubscribe", json!({"verifyToken": "t"}), "hub.mode: expected `subscribe`");
    check("hub.mode=subscribe", json!({"verifyToken": "t"}), "hub.verify_token: missing");
    let without_challenge = "hub.mode=subscribe&hub.verify_token=t";
    check(without_challenge, json!({"verifyToken": "t"}), "hub.challenge: missing");
    let reply = handshake(asked, json!({"verifyToken": "t"})).expect("a reply");
    assert!(matches!(reply, Verdict::Reply(_)), "{reply:?}");
}

#[test]
fn each_status_has_its_word_in_both_formats() {
    let check = |status: &str, expect: &str| {
        let report = json!({"id": "w", "status": status, "timestamp": "1", "recipient_id": "2"});
        assert_eq!(only(&cloud(&json!({"statuses": [report]})))["status"], expect);
        let envelope = json!({"event": "whatsapp:message:status", "payload": {"id": "w", "status": status}});
        assert_eq!(only(&envelope)["status"], expect);
    };
    check("sent", "sent");
    check("delivered", "delivered");
    check("read", "read");
    check("played", "read");
    check("failed", "failed");
    check("deleted", "deleted");
    check("warning", "other");
}

#[test]
fn one_request_has_many_changes() {
    let report =
        |id: usize| json!({"id": format!("w{id}"), "status": "read", "timestamp": 1, "recipient_id": "2"});
    let change =
        |from: usize| json!({"value": {"statuses": (from..from + 10).map(report).collect::<Vec<_>>()}});
    let entry = |from: usize| json!({"id": "1", "changes": [change(from), change(from + 10)]});
    let verdict = run(&json!({"entry": [entry(0), entry(20)]})).unwrap();
    let uids: Vec<_> = verdict.events().iter().filter_map(|event| event.uid.clone()).collect();
    let expected: Vec<_> = (0..40).map(|id| format!("w{id}.read.2")).collect();
    assert_eq!(uids, expected);
    assert_eq!(run(&json!({"entry": []})), Ok(Verdict::ignore()));
}

#[test]
fn what_was_written_is_the_text() {
    let check = |content: Value, expect: Value| {
        let mut message = json!({"id": "w", "from": "1", "timestamp": "1"});
        let fields = message.as_object_mut().expect("a message is an object");
        fields.extend(content.as_object().expect("content is an object").clone());
        let notification = only(&cloud(&json!({"messages": [message]})));
        assert_eq!(notification.get("text").cloned().unwrap_or_default(), expect, "{content}");
    };
    check(json!({"type": "text", "text": {"body": "hello"}}), json!("hello"));
    check(json!({"type": "button", "button": {"text": "Yes", "payload": "y"}}), json!("Yes"));
    let list = json!({"type": "list_reply", "list_reply": {"id": "1", "title": "Small"}});
    check(json!({"type": "interactive", "interactive": list}), json!("Small"));
    check(json!({"type": "interactive", "interactive": {"type": "nfm_reply"}}), Value::Null);
    check(json!({"type": "document", "document": {"id": "1", "caption": "bill"}}), json!("bill"));
    check(json!({"type": "location", "location": {"latitude": 1.5}}), Value::Null);
    check(json!({"type": "sticker"}), Value::Null);
    check(json!({"type": "unsupported", "errors": [{"code": 131051, "title": "no"}]}), Value::Null);
}

#[test]
fn an_original_has_its_own_contact_only() {
    let contact = |id: &str| json!({"wa_id": id, "profile": {"name": id}});
    let message = |from: &str| json!({"id": from, "from": from, "timestamp": "1", "type": "text"});
    let value = json!({"contacts": [contact("1"), contact("2")], "messages": [message("1"), message("2")]});
    let verdict = run(&cloud(&value)).unwrap();
    for (event, id) in verdict.events().iter().zip(["1", "2"]) {
        let expected = json!({"contacts": [contact(id)], "messages": [message(id)]});
        assert_eq!(notification(event)["original"], expected);
    }
}

#[test]
fn the_time_is_that_of_the_report_first() {
    let check = |times: Value, expect: &str| {
        let mut payload = json!({"id": "m", "status": "read"});
        let fields = payload.as_object_mut().expect("a payload is an object");
        fields.extend(times.as_object().expect("times are an object").clone());
        let notification = only(&json!({"event": "whatsapp:message:status", "payload": payload}));
        assert_eq!(notification["occurred_at"], expect, "{times}");
    };
    check(
        json!({"timestamp": "2021-06-18T14:48:06Z", "read_at": "2021-06-18T14:48:07Z"}),
        "2021-06-18T14:48:06Z",
    );
    check(
        json!({"timestamp": null, "read_at": "2021-06-18T14:48:07Z", "delivered_at": "x"}),
        "2021-06-18T14:48:07Z",
    );
    check(json!({}), "2024-07-12T09:14:26Z");
}

#[test]
fn what_is_not_as_documented_is_refused_with_the_field() {
    let check = |body: Value, reason: &str| assert_eq!(run(&body), Err(Failure::permanent(reason)), "{body}");
    check(json!({"entry": 1}), "/entry: invalid type: integer `1`, expected a sequence");
    check(json!({"entry": [{}]}), "/changes: missing");
    let report = |changes: Value| cloud(&json!({"statuses": [changes]}));
    check(report(json!({})), "/id: missing");
    check(report(json!({"id": "w"})), "/status: missing");
    check(report(json!({"id": "w", "status": "read"})), "/timestamp: missing");
    let soon = json!({"id": "w", "status": "read", "timestamp": "soon"});
    check(report(soon), "/timestamp: expected seconds since 1970");
    let envelope = |payload: Value| json!({"event": "whatsapp:message:in", "payload": payload});
    check(json!({"event": "whatsapp:message:in"}), "/payload: missing");
    check(envelope(json!({})), "/payload/id: missing");
    check(envelope(json!({"id": "m"})), "/payload/message: missing");
    check(envelope(json!({"id": "m", "message": {}})), "/payload/message/type: missing");
}

#[test]
fn null_is_as_good_as_missing() {
    let nothing = json!({"messaging_product": "whatsapp", "metadata": null, "contacts": null, "statuses": null,
        "messages": null});
    assert_eq!(only(&cloud(&nothing))["status"], "other");
    let report = json!({"id": "wamid.x", "status": "sent", "timestamp": "1770146798", "recipient_id": null,
        "errors": null, "biz_opaque_callback_data": null, "conversation": null});
    let value = json!({"metadata": {"display_phone_number": null}, "contacts": [{"wa_id": null}], "statuses": [report]});
    assert_eq!(only(&cloud(&value))["status"], "sent");
    let error = json!({"code": null, "title": null, "message": null, "error_data": {"details": null}});
    let message = json!({"id": "wamid.y", "from": null, "timestamp": "1770146798", "type": "image",
        "image": {"id": null, "mime_type": null, "caption": null}, "errors": [error]});
    assert_eq!(only(&cloud(&json!({"messages": [message]})))["status"], "received");
    let message = json!({"id": "wamid.z", "timestamp": "1770146798", "type": "text", "text": null});
    assert_eq!(only(&cloud(&json!({"messages": [message]})))["status"], "received");
    let envelope = json!({"event": "whatsapp:message:status", "payload": {"id": "m", "status": "sent", "channel": null,
        "from": null, "to": null, "delivered_at": null, "read_at": null, "processed_at": null, "timestamp": null,
        "foreign_id": null}});
    assert_eq!(only(&envelope)["status"], "sent");
    let envelope = json!({"event": "whatsapp:message:in", "payload": {"id": "m", "channels": null, "recipient": null,
        "message": {"type": "text", "payload": null}}});
    assert_eq!(only(&envelope)["status"], "received");
}
