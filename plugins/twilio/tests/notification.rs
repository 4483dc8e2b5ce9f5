//! What becomes of Twilio's requests that are not as in the manifest's samples.

use hookmill_plugin::{Failure, NewEvent, Result, Value, json, test};
use twilio::receive;

fn event(form: &str) -> Result<NewEvent> {
    let request = test::request(form).header("content-type", "application/x-www-form-urlencoded");
    let verdict = test::receive(receive, request, test::origin("{}"))?;
    let [event] = verdict.events() else { panic!("one event, not {verdict:?}") };
    Ok(event.clone())
}

fn notification(form: &str) -> Value {
    event(form).and_then(|event| event.body.expect("a body").json()).expect("a notification")
}

#[test]
fn each_status_has_its_word() {
    let check = |status: &str, expect: &str| {
        let event = event(&format!("MessageSid=SM1&MessageStatus={status}")).expect(status);
        assert_eq!((event.event_type.as_str(), event.uid), (expect, Some(format!("SM1.{status}"))));
    };
    for status in ["accepted", "scheduled", "queued", "sending"] {
        check(status, "notification.accepted");
    }
    check("sent", "notification.sent");
    check("delivered", "notification.delivered");
    check("read", "notification.read");
    check("undelivered", "notification.failed");
    check("failed", "notification.failed");
    check("canceled", "notification.canceled");
    check("received", "message.received");
    check("receiving", "message.received");
    check("partially_delivered", "notification.other");
}

#[test]
fn older_names_of_fields_do_too() {
    let notification = notification("SmsSid=SM1&SmsStatus=sent&MessageSid=");
    assert_eq!((&notification["message_id"], &notification["status"]), (&json!("SM1"), &json!("sent")));
}

#[test]
fn addresses_say_how_a_message_travels() {
    let check = |from: &str, to: &str, channel: &str, sender: &str| {
        let notification = notification(&format!("MessageSid=SM1&MessageStatus=sent&From={from}&To={to}"));
        assert_eq!((&notification["channel"], &notification["sender"]), (&json!(channel), &json!(sender)));
    };
    check("%2B1", "%2B2", "sms", "+1");
    check("Acme", "%2B2", "sms", "Acme");
    check("whatsapp%3A%2B1", "whatsapp%3A%2B2", "whatsapp", "+1");
    check("rcs%3Aacme", "rcs%3A%2B2", "rcs", "acme");
    check("messenger%3A5", "messenger%3A6", "messenger", "5");
    check("Acme", "whatsapp%3A%2B2", "whatsapp", "Acme");
    check("fax%3A%2B1", "fax%3A%2B2", "sms", "+1");
}

#[test]
fn an_error_has_a_code() {
    let check = |fields: &str, expect: Value| {
        let notification = notification(&format!("MessageSid=SM1&MessageStatus=failed&{fields}"));
        assert_eq!(notification.get("error").cloned().unwrap_or_default(), expect, "{fields}");
    };
    check("ErrorCode=30003&ErrorMessage=no", json!({"code": "30003", "message": "no"}));
    check("ErrorCode=63016&ChannelStatusMessage=no", json!({"code": "63016", "message": "no"}));
    check("ErrorCode=30003", json!({"code": "30003"}));
    check("ErrorCode=0", Value::Null);
    check("ErrorCode=", Value::Null);
}

#[test]
fn files_are_counted_and_bounded() {
    let check = |fields: &str, count: usize| {
        let notification = notification(&format!("MessageSid=MM1&SmsStatus=received&{fields}"));
        let media = notification.get("media").and_then(Value::as_array).map_or(0, Vec::len);
        assert_eq!(media, count, "{fields}");
    };
    check("NumMedia=2&MediaUrl0=a&MediaUrl1=b&MediaContentType1=audio%2Fogg", 2);
    check("NumMedia=0&MediaUrl0=a", 0);
    check("NumMedia=4000000000", 10);
    check("NumMedia=-1&MediaUrl0=a", 0);
}

#[test]
fn what_is_none_of_twilios_is_refused() {
    let check = |body: &str, reason: &str| {
        assert_eq!(event(body).map(|event| event.event_type), Err(Failure::permanent(reason)));
    };
    check("", "AccountSid: missing");
    check(r#"{"MessageSid": "SM1"}"#, "AccountSid: missing");
    check("AccountSid=&From=%2B1", "AccountSid: empty");
}
