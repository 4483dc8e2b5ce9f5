//! What events become in Discord.

use discord::reshape;
use hookmill_plugin::{Failure, Result, Value, json, test};

const BODY: &str = r#"{"to": "@everyone", "order": {"id": 7}, "note": null}"#;

fn message(settings: &Value) -> Result<Value> {
    let event = test::event(BODY).event_type("order.paid");
    let outcome = test::run(reshape, event, test::target(settings))?;
    let request = &outcome.requests()[0];
    assert_eq!(request.header_value("content-type"), Some("application/json"));
    request.body.json()
}

#[test]
fn the_manifests_samples_hold() {
    test::samples(reshape, include_str!("../plugin.json"));
}

#[test]
fn nobody_is_mentioned_unless_allowed() {
    let nobody = message(&json!({"content": "{{/to}}"})).unwrap();
    assert_eq!(nobody, json!({"content": "@everyone", "allowed_mentions": {"parse": []}}));
    let allowed = json!({"parse": ["everyone"]});
    let everybody = message(&json!({"content": "@everyone", "allowed_mentions": allowed})).unwrap();
    assert_eq!(everybody["allowed_mentions"], allowed);
}

#[test]
fn without_settings_the_event_is_shown() {
    let embed = json!({
        "title": "order.paid",
        "description": format!("```json\n{BODY}```"),
        "timestamp": "2024-07-12T09:14:26Z",
    });
    assert_eq!(message(&json!({})).unwrap()["embeds"], json!([embed]));
}

#[test]
fn parts_that_say_nothing_are_left_out() {
    let settings = json!({"embeds": [{
        "title": "{{/note}}",
        "description": "d",
        "fields": [{"name": "a", "value": "{{/note}}"}, {"name": "b", "value": "{{/order/id}}", "inline": true}],
        "footer": "{{/note}}",
    }]});
    let embed = json!({"description": "d", "fields": [{"name": "b", "value": "7", "inline": true}]});
    assert_eq!(message(&settings).unwrap()["embeds"], json!([embed]));
}

#[test]
fn lengths_are_discords() {
    let long = "x".repeat(9000);
    let field = json!({"name": long, "value": long});
    let first = json!({"title": long, "author": long, "footer": "f", "fields": [field]});
    let settings = json!({
        "content": long, "username": long, "thread_name": long,
        "embeds": [first, {"description": long}, {"description": "no room"}],
    });
    let message = message(&settings).unwrap();
    let length =
        |pointer: &str| message.pointer(pointer).and_then(Value::as_str).map(|text| text.chars().count());
    assert_eq!(length("/content"), Some(2000));
    assert_eq!(length("/username"), Some(80));
    assert_eq!(length("/thread_name"), Some(100));
    assert_eq!(length("/embeds/0/title"), Some(256));
    assert_eq!(length("/embeds/0/author/name"), Some(256));
    assert_eq!(length("/embeds/0/fields/0/name"), Some(256));
    assert_eq!(length("/embeds/0/fields/0/value"), Some(1024));
    assert_eq!(length("/embeds/1/description"), Some(4096));
    let used = 256 + 256 + 1 + 256 + 1024 + 4096;
    assert!(used + "no room".len() <= 6000);
    assert_eq!(length("/embeds/2/description"), Some(7));
    let check = |settings: Value, reason: &str| {
        assert_eq!(self::message(&settings), Err(Failure::permanent(reason)));
    };
    let embed = json!({"title": "t"});
    check(json!({"embeds": vec![embed; 11]}), "the message has 11 embeds, Discord takes at most 10");
    let field = json!({"name": "n", "value": "v"});
    check(
        json!({"embeds": [{"fields": vec![field; 26]}]}),
        "the message has 26 fields in an embed, Discord takes at most 25",
    );
}

#[test]
fn all_embeds_together_have_six_thousand_characters() {
    let embed = json!({"description": "```".to_owned() + &"ä".repeat(4000) + "```"});
    let message = message(&json!({"embeds": [embed, embed, embed]})).unwrap();
    let texts: Vec<&str> = (0..3)
        .filter_map(|index| message.pointer(&format!("/embeds/{index}/description")).and_then(Value::as_str))
        .collect();
    assert_eq!(texts.iter().map(|text| text.chars().count()).collect::<Vec<_>>(), [4006, 1994]);
    assert!(texts[1].ends_with("ä…```"), "{}", texts[1]);
}

#[test]
fn colours_pictures_and_silence() {
    let settings = json!({
        "silent": true,
        "avatar_url": "https://x.example/a.png",
        "embeds": [{"title": "t", "color": "#D9480f", "url": "https://x.example/{{/order/id}}", "image": "https://x.example/i", "thumbnail": "https://x.example/t"}],
    });
    let message = message(&settings).unwrap();
    assert_eq!(message["flags"], 4096);
    assert_eq!(message["avatar_url"], "https://x.example/a.png");
    let embed = json!({
        "title": "t", "color": 0xd9_480f, "url": "https://x.example/7",
        "image": {"url": "https://x.example/i"}, "thumbnail": {"url": "https://x.example/t"},
    });
    assert_eq!(message["embeds"][0], embed);
}

#[test]
fn mistakes_are_named() {
    let check = |settings: Value, part: &str| {
        let failure = message(&settings).expect_err("a mistake");
        assert!(failure.reason().contains(part), "{failure}");
    };
    check(json!({"content": "{{nope}}"}), "`{{nope}}` is neither a JSON pointer nor");
    check(json!({"embed": []}), "the endpoint's settings: unknown field `embed`");
    for color in ["d9480f", "#d94", "#d9480g", "#+94801"] {
        check(json!({"embeds": [{"color": color}]}), "is no colour as `#d9480f`");
    }
}
