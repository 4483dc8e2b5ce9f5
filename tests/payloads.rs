//! Whatever is accepted as JSON is JSON to all that look into it, and work on it delays nobody else.

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use hookmill_core::limits::EVENT_BODY_BYTES_MAX;
use hookmill_testkit::receiver::{Behaviour, Receiver};
use hookmill_tests::api::{message, text};
use hookmill_tests::router::DataDir;
use http::Method;
use serde_json::{Value, json};

/// Hostile events that are sent at once.
const FLOOD_EVENTS: usize = 48;

#[tokio::test]
async fn json_that_is_accepted_is_routed_and_composed() {
    let matched = Receiver::start(Behaviour::accepts()).await;
    let composed = Receiver::start(Behaviour::accepts()).await;
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let api = router.api();
    let application = api.create_application("lenient").await;
    api.create_endpoint(&application, &matched.url("/"), json!({ "pattern": { "kind": ["x"] } })).await;
    let composition = json!({
        "name": "composed", "url": composed.url("/"), "preset": "standard",
        "body": { "format": "json", "content": { "all": "@{{payload.t}}", "kind": "@{{payload.kind}}" } },
    });
    api.call(Method::POST, &format!("/app/{application}/compose"))
        .json(&composition)
        .await
        .expect_status(201);

    let nested = format!("{}1{}", "[".repeat(1000), "]".repeat(1000));
    let values = [
        r#""cut \ud83d""#,
        &nested,
        "1000000000000000000000",
        "1.10",
        "1e999",
        r#"{"n":12345678901234567890.0}"#,
    ];
    for (index, value) in values.into_iter().enumerate() {
        let payload = format!(r#"{{"kind":"x","payload":{{"kind":"x","t":{value}}}}}"#);
        // The answer shows the payload as it came, which not every reader of JSON takes.
        let message = format!(r#"{{"eventType":"any","payload":{payload}}}"#);
        let call = api.call(Method::POST, &format!("/app/{application}/msg"));
        let call = call.header("content-type", "application/json").with_body(message);
        assert_eq!(call.reply().await.status, 202, "{value}");
        let received = matched.wait_for(index + 1).await;
        assert_eq!(received[index].body, payload.as_bytes(), "{value}");
        let received = composed.wait_for(index + 1).await;
        let expect = format!(r#"{{"all":{value},"kind":"x"}}"#);
        assert_eq!(String::from_utf8_lossy(&received[index].body), expect);
    }
}

#[tokio::test]
async fn a_byte_order_mark_before_a_providers_json_is_skipped() {
    let receiver = Receiver::start(Behaviour::accepts()).await;
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let api = router.api();
    let application = api.create_application("marked").await;
    api.create_endpoint(&application, &receiver.url("/"), json!({ "pattern": { "kind": ["x"] } })).await;
    let source = json!({
        "name": "marked", "application": application, "eventType": { "pointer": "/kind" },
        "verification": { "type": "none" },
    });
    let created = api.call(Method::POST, "/source").json(&source).await;
    assert_eq!(created.status, 201, "{created:?}");
    let sending = api.call_at(Method::POST, "/in/marked").header("content-type", "application/json");
    let sent = sending.body("\u{feff}{\"kind\":\"x\"}").await;
    assert!((200..300).contains(&sent.status), "{sent:?}");
    assert_eq!(receiver.wait_for(1).await[0].body, br#"{"kind":"x"}"#.as_slice());
}

/// A pattern of few bytes that multiplies out to about a thousand alternatives.
fn multiplied_out() -> Value {
    let ways = |field: &str, ways: usize| -> Vec<Value> {
        (0..ways).map(|way| json!({ format!("{field}{way}"): [way] })).collect()
    };
    json!({ "rows": { "$or": ways("a", 30), "b": { "$or": ways("b", 33) } } })
}

/// An event of the largest size whose elements all fare differently.
fn largest_event() -> String {
    let mut event = String::from(r#"{"rows":["#);
    for number in 0.. {
        let fields = (0..12).map(|bit| format!(r#""a{}":{}"#, bit + number % 7, (number >> bit) % 40));
        let element = format!("{{{}}},", fields.collect::<Vec<_>>().join(","));
        if event.len() + element.len() + 3 > EVENT_BODY_BYTES_MAX {
            break;
        }
        event.push_str(&element);
    }
    event + "0]}"
}

#[tokio::test]
async fn work_on_one_applications_events_delays_nobody_else() {
    let receiver = Receiver::start(Behaviour::accepts()).await;
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let api = router.api();
    let (hostile, honest) = (api.create_application("hostile").await, api.create_application("honest").await);
    for _ in 0..20 {
        let more = json!({ "pattern": multiplied_out() });
        api.create_endpoint(&hostile, &receiver.url("/hostile"), more).await;
    }
    api.create_endpoint(&honest, &receiver.url("/honest"), json!({ "pattern": { "n": [1] } })).await;

    let body = message("any", None, &largest_event());
    let mut flood: FuturesUnordered<_> =
        (0..FLOOD_EVENTS).map(|_| api.try_send(&hostile, &body, None)).collect();
    let first = flood.next().await.expect("there are some");
    let others = async {
        api.call_at(Method::GET, "/livez").reply().await.expect_status(200);
        api.send(&honest, "any", r#"{"n":1}"#).await;
    };
    tokio::pin!(others);
    // By the order of answers and not by a clock: the honest ones come before the last of the flood.
    let mut answered = vec![first];
    let all_before = loop {
        tokio::select! {
            () = &mut others => break answered.len(),
            reply = flood.next() => answered.extend(reply),
        }
    };
    assert!(all_before < FLOOD_EVENTS, "the flood was served first");
    answered.extend(flood.collect::<Vec<_>>().await);
    for reply in answered {
        // Taken, or refused with a reason; never taken and then not routed.
        if reply.status != 202 {
            reply.check_refused(422, "event_routing_too_costly");
        }
    }
    let received = receiver.wait_for(1).await;
    assert!(received.iter().all(|request| request.path == "/honest"));
}

#[tokio::test]
async fn patterns_have_a_cost_by_application() {
    let receiver = Receiver::start(Behaviour::accepts()).await;
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let api = router.api();
    let application = api.create_application("greedy").await;
    let path = format!("/app/{application}/endpoint");
    let pattern = |number: usize| {
        let ways = |field: &str| -> Vec<Value> {
            (0..30).map(|way| json!({ format!("{field}{way}"): [number] })).collect()
        };
        json!({ "x": { "$or": ways("a") }, "y": { "$or": ways("b") }, "z": [number], "u": [number] })
    };
    let mut made = 0;
    let refused = loop {
        let endpoint = json!({ "url": receiver.url("/"), "pattern": pattern(made) });
        let reply = api.call(Method::POST, &path).json(&endpoint).await;
        if reply.status != 201 {
            break reply;
        }
        made += 1;
        assert!(made < 200, "a bound is there");
    };
    refused.check_refused(422, "application_patterns_too_costly");
    assert!(made >= 16, "{made}");
    // The same pattern at many endpoints costs once.
    let endpoint = json!({ "url": receiver.url("/"), "pattern": pattern(0) });
    let again = api.call(Method::POST, &path).json(&endpoint).await.expect(201);
    assert!(!text(&again, "id").is_empty());
}
