//! What events become in Slack.

use hookmill_plugin::{Failure, Request, Result, Value, json, test};
use slack::reshape;

const BODY: &str = r#"{"to": "<!channel>", "order": {"id": 7, "total": 12.50}, "note": null}"#;

fn request(settings: &Value) -> Result<Request> {
    let event = test::event(BODY).event_type("order.paid").id("msg_1");
    test::run(reshape, event, test::target(settings)).map(|outcome| outcome.requests()[0].clone())
}

fn message(settings: &Value) -> Value {
    let request = request(settings).unwrap_or_else(|failure| panic!("{settings}: {failure}"));
    assert_eq!(request.header_value("content-type"), Some("application/json"));
    request.body.json().expect("a message is JSON")
}

#[test]
fn the_manifests_samples_hold() {
    test::samples(reshape, include_str!("../plugin.json"));
}

#[test]
fn what_events_bring_along_mentions_nobody() {
    let message =
        message(&json!({"text": "<!here> {{/to}} & more", "fields": [{"title": "To", "value": "{{/to}}"}]}));
    let text = "<!here> &lt;!channel&gt; & more";
    assert_eq!(message["text"], text);
    assert_eq!(message["blocks"][0], json!({"type": "section", "text": {"type": "mrkdwn", "text": text}}));
    assert_eq!(message["blocks"][1]["fields"][0]["text"], "*To*\n&lt;!channel&gt;");
}

#[test]
fn without_settings_the_event_is_shown() {
    let body = BODY.replace('<', "&lt;").replace('>', "&gt;");
    assert_eq!(message(&json!({}))["text"], format!("*order.paid*\n```{body}```"));
}

#[test]
fn parts_that_say_nothing_are_left_out() {
    let check = |settings: Value, expect: &[&str]| {
        let message = message(&settings);
        let kinds: Vec<&str> = message["blocks"]
            .as_array()
            .unwrap()
            .iter()
            .map(|block| block["type"].as_str().unwrap())
            .collect();
        assert_eq!(kinds, expect, "{settings}");
    };
    check(json!({"text": "a"}), &["section"]);
    check(json!({"text": "a", "title": "{{/note}}", "footer": "{{/note}}"}), &["section"]);
    check(json!({"text": "a", "fields": [{"title": "N", "value": "{{/note}}"}]}), &["section"]);
    check(json!({"text": "{{/note}}", "title": "b", "footer": "c"}), &["header", "context"]);
}

#[test]
fn lengths_are_slacks() {
    let long = "x".repeat(50_000);
    let field = json!({"title": "n", "value": long});
    let settings = json!({"text": long, "title": long, "footer": long, "fields": vec![field; 10]});
    let message = message(&settings);
    let length = |pointer: &str| message.pointer(pointer).and_then(Value::as_str).unwrap().chars().count();
    assert_eq!(length("/text"), 40_000);
    assert_eq!(length("/blocks/0/text/text"), 150);
    assert_eq!(length("/blocks/1/text/text"), 3000);
    assert_eq!(length("/blocks/2/fields/9/text"), 2000);
    assert_eq!(length("/blocks/3/elements/0/text"), 3000);
    let check = |settings: Value, reason: &str| {
        assert_eq!(request(&settings), Err(Failure::permanent(reason)));
    };
    let field = json!({"title": "n", "value": "v"});
    check(json!({"fields": vec![field; 11]}), "the message has 11 fields, Slack takes at most 10");
    let block = json!({"type": "divider"});
    check(json!({"blocks": vec![block; 51]}), "the message has 51 blocks, Slack takes at most 50");
}

#[test]
fn blocks_of_ones_own_are_filled() {
    let blocks = json!([
        {"type": "section", "text": {"type": "mrkdwn", "text": "Order {{/order/id}} for {{/to}}"}},
        {"type": "actions", "elements": [
            {"type": "button", "text": {"type": "plain_text", "text": "{{/to}}"}, "url": "https://shop.example/{{/order/id}}"},
        ]},
    ]);
    let message = message(&json!({"text": "t", "title": "not shown", "blocks": blocks}));
    let expect = json!([
        {"type": "section", "text": {"type": "mrkdwn", "text": "Order 7 for &lt;!channel&gt;"}},
        {"type": "actions", "elements": [
            {"type": "button", "text": {"type": "plain_text", "text": "<!channel>"}, "url": "https://shop.example/7"},
        ]},
    ]);
    assert_eq!(message["blocks"], expect);
}

#[test]
fn a_bot_posts_with_a_token_that_the_plugin_never_sees() {
    let settings =
        json!({"text": "t", "channel": "C1", "thread_ts": "{{/order/total}}", "token_secret": "slack_token"});
    let request = request(&settings).unwrap();
    let expect = Request::new().secret_header("authorization", "Bearer ", "slack_token");
    assert_eq!(request.headers.last(), expect.headers.last());
    let message: Value = request.body.json().unwrap();
    assert_eq!((&message["channel"], &message["thread_ts"]), (&json!("C1"), &json!("12.50")));
}

#[test]
fn mistakes_are_named() {
    let check = |settings: Value, part: &str| {
        let failure = request(&settings).expect_err("a mistake");
        assert!(failure.reason().contains(part), "{failure}");
    };
    check(json!({"text": "{{nope}}"}), "`{{nope}}` is neither a JSON pointer nor");
    check(json!({"txt": ""}), "the endpoint's settings: unknown field `txt`");
}
