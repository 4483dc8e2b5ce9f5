//! Conversation webhooks, "Webhook Integration Guide": its sections in order, with the real process, and in virtual time
//! where it speaks of seconds and minutes.

use std::time::Duration;

use hookmill_core::attempt::{Outcome, TransportFailure};
use hookmill_core::policy::Overrides;
use hookmill_core::preset::Preset;
use hookmill_testkit::receiver::{Behaviour, Receiver};
use hookmill_tests::api::{Api, Endpoint, Reply, message, quick_retries, text};
use hookmill_tests::fixture::seed;
use hookmill_tests::judge;
use hookmill_tests::router::{DataDir, Options};
use hookmill_tests::virtual_time::{Arrival, VirtualRouter, answer};
use http::Method;
use serde_json::{Value, json};

const HOUR: Duration = Duration::from_secs(3600);
const MINUTE: Duration = Duration::from_secs(60);

/// Configure Webhook: the object, character by character as it is printed.
const CONFIGURATION: &str = r#"{
    "channel": "API",
    "usecase": "WORKFLOW_EXECUTION",
    "config": {
        "workflow_id": "123",
        "callback_url": "https://your-domain.com/webhook" // Required
    }
}"#;

/// The same without its comment.
fn configuration() -> Value {
    json!({
        "channel": "API",
        "usecase": "WORKFLOW_EXECUTION",
        "config": { "workflow_id": "123", "callback_url": "https://your-domain.com/webhook" }
    })
}

/// Quick Start, "Configure Webhook".
#[tokio::test]
async fn the_configuration_object_makes_an_endpoint() {
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let api = router.api();
    let application = api.create_application("configured").await;
    let path = format!("/app/{application}/conversation-webhook");
    let printed = api.call(Method::POST, &path).header("content-type", "application/json");
    let configured = printed.body(CONFIGURATION).await.expect(201);
    assert_eq!(configured["config"], configuration()["config"]);
    let endpoint = Endpoint { application: application.clone(), id: text(&configured, "endpoint_id") };
    assert_eq!(api.secret(&endpoint).await, text(&configured, "secret"));
    assert_eq!(api.get(&endpoint.path()).await["url"], "https://your-domain.com/webhook");

    let again = api.call(Method::POST, &path).json(&configuration()).await.expect(200);
    assert_eq!((&again["endpoint_id"], &again["secret"]), (&configured["endpoint_id"], &Value::Null));
    let mut without_url = configuration();
    without_url["config"].as_object_mut().unwrap().remove("callback_url");
    api.call(Method::POST, &path).json(&without_url).await.check_refused(422, "callback_url_missing");
    // "Protocol: HTTPS only".
    let mut insecure = configuration();
    insecure["config"]["callback_url"] = json!("http://your-domain.com/webhook");
    api.call(Method::POST, &path).json(&insecure).await.check_refused(422, "url_not_https");

    // Local Testing, "Using ngrok": "Update webhook URL".
    let ngrok = r#"{
        "config": {
            "callback_url": "https://your-ngrok-url/webhook"
        }
    }"#;
    let call = api.call(Method::POST, &path).header("content-type", "application/json");
    let updated = call.body(ngrok).await.expect(200);
    assert_eq!(updated["endpoint_id"], configured["endpoint_id"]);
    assert_eq!(api.get(&endpoint.path()).await["url"], "https://your-ngrok-url/webhook");

    let policy = api.get(&format!("{}/policy", endpoint.path())).await;
    assert_eq!(policy["schedule"], json!([4, 8, 10]));
    assert_eq!(policy["timeoutMs"], 30_000);
    assert_eq!((&policy["concurrency"], &policy["url"]), (&json!(10), &json!("https")));
    assert_eq!(policy["rate"], json!({ "deliveries": 100, "periodSecs": 60 }));
}

/// Delivery System, "Retry Configuration": waits of 4, 8 and 10 seconds on network errors, timeouts and non-2xx.
#[tokio::test(start_paused = true)]
async fn failures_of_each_kind_are_retried_after_4_8_and_10_seconds() {
    let refused = || Outcome::failed(TransportFailure::ConnectRefused, "refused");
    let no_tls = || Outcome::failed(TransportFailure::TlsFailed, "the certificate has expired");
    for outcome in [refused(), no_tls(), answer(301), answer(404), answer(500)] {
        let router = VirtualRouter::start(Preset::Conversation, Overrides::default()).await;
        router.receiver().answer_always(outcome.clone());
        router.send("conversation.message", seed("conversation-message.json")).await;
        router.run_for(HOUR).await;
        assert_eq!(router.waits(), [4, 8, 10], "{outcome:?}");
    }
    for status in [200, 201, 202, 204] {
        let router = VirtualRouter::start(Preset::Conversation, Overrides::default()).await;
        router.receiver().answer_always(answer(status));
        router.send("conversation.message", seed("conversation-message.json")).await;
        router.run_for(HOUR).await;
        assert_eq!(router.receiver().arrivals().len(), 1, "{status}");
    }
}

/// Delivery System: "Timeout: 30 seconds per request".
#[tokio::test(start_paused = true)]
async fn an_answer_has_30_seconds() {
    let router = VirtualRouter::start(Preset::Conversation, Overrides::default()).await;
    router.receiver().take(HOUR);
    router.send("conversation.message", seed("conversation-message.json")).await;
    router.run_for(HOUR).await;
    assert_eq!(router.waits(), [30 + 4, 30 + 8, 30 + 10]);
}

/// Webhook Payload, "Structure": it arrives as it was sent, as JSON, signed ("optional but recommended").
#[tokio::test]
async fn the_envelope_arrives_byte_for_byte_and_signed() {
    let receiver = Receiver::start(Behaviour::accepts()).await;
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let api = router.api();
    let application = api.create_application("delivered").await;
    let endpoint = api.create_endpoint(&application, &receiver.url("/webhook"), json!({})).await;
    // The receiver of this test speaks no TLS.
    api.set_policy(&endpoint, json!({ "preset": "conversation", "url": "any" })).await;
    let payload = seed("conversation-message.json");
    api.send(&application, "conversation.message", &payload).await;
    let request = receiver.wait_for(1).await.remove(0);
    assert_eq!((&request.method, &*request.path), (&Method::POST, "/webhook"));
    assert_eq!(request.headers["content-type"], "application/json");
    assert_eq!(request.body, payload);
    judge::check(&api.secret(&endpoint).await, &request);
}

/// What `generate_test_payload` of "Manual Testing" generates, with times as Python's `isoformat` writes them.
fn generated() -> Value {
    json!({
        "conversation_id": "1b4e28ba-2fa1-41d2-883f-0016d3cca427",
        "data": {
            "id": "6fa459ea-ee8a-4ca4-894e-db77e160355e",
            "content": "Test message",
            "content_type": "TEXT",
            "type": "USER_INPUT",
            "channel": "API",
            "status": "RECEIVED",
            "created_at": "2024-03-21T10:00:00.123456",
            "updated_at": "2024-03-21T10:00:00.123456"
        },
        "timestamp": "2024-03-21T10:00:00.123456"
    })
}

/// Webhook Payload, "Structure", without its comments.
fn printed() -> Value {
    serde_json::from_str(&seed("conversation-message.json")).expect("the seed is JSON")
}

async fn validated(api: &Api, application: &str, payload: &Value) -> Reply {
    let message = json!({ "eventType": "conversation.message", "payload": payload });
    api.call(Method::POST, &format!("/app/{application}/msg?validate=true")).json(&message).await
}

/// Webhook Payload, "Structure", and what "Manual Testing" generates: both pass, although the reference says of
/// `created_by` and `updated_by`, which the generator leaves out, that they are required.
#[tokio::test]
async fn what_the_guide_prints_passes_validation() {
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let application = router.api().create_application("validated").await;
    for payload in [generated(), printed()] {
        validated(router.api(), &application, &payload).await.expect_status(202);
    }
}

/// Webhook Payload, "Field Reference": row by row.
#[tokio::test]
async fn the_field_reference_is_what_is_validated() {
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let application = router.api().create_application("validated").await;
    let with = async |pointer: &str, value: Value| {
        let mut payload = printed();
        *payload.pointer_mut(pointer).expect("the example has each field") = value;
        validated(router.api(), &application, &payload).await
    };
    let check_values = async |pointer: &str, values: &[&str]| {
        for value in values {
            with(pointer, json!(value)).await.expect_status(202);
        }
        with(pointer, json!("STICKER")).await.check_refused(422, "payload_invalid");
    };
    // "data.content_type | Enum | Yes", "data.type", "data.channel", "data.status".
    check_values("/data/content_type", &["TEXT", "IMAGE", "VIDEO", "DOCUMENT", "AUDIO"]).await;
    check_values("/data/type", &["USER_INPUT", "SYSTEM", "BOT"]).await;
    check_values("/data/channel", &["API", "WHATSAPP", "SMS"]).await;
    check_values("/data/status", &["RECEIVED", "PROCESSED", "FAILED"]).await;
    // "UUID", "String", "Object", "ISO 8601".
    for (pointer, other) in [
        ("/conversation_id", json!("no uuid")),
        ("/data/id", json!(7)),
        ("/data/content", json!(7)),
        ("/data/filename", json!(7)),
        ("/data/metadata", json!("none")),
        ("/data/created_by", json!(7)),
        ("/data/updated_by", json!({})),
        ("/data/created_at", json!("yesterday")),
        ("/data/updated_at", json!(1_711_015_200)),
        ("/timestamp", json!("21.03.2024")),
    ] {
        with(pointer, other).await.check_refused(422, "payload_invalid");
    }
    // "Required".
    for (pointer, required) in [
        ("/conversation_id", true),
        ("/data", true),
        ("/data/id", true),
        ("/data/content", true),
        ("/data/content_type", true),
        ("/data/filename", false),
        ("/data/type", true),
        ("/data/channel", true),
        ("/data/status", true),
        ("/data/metadata", false),
        ("/data/created_at", true),
        ("/data/updated_at", true),
        ("/timestamp", true),
    ] {
        let (parent, name) = pointer.rsplit_once('/').expect("a pointer has a slash");
        let mut payload = printed();
        payload.pointer_mut(parent).expect("it is there").as_object_mut().expect("an object").remove(name);
        let reply = validated(router.api(), &application, &payload).await;
        if required {
            reply.check_refused(422, "payload_invalid");
        } else {
            reply.expect_status(202);
        }
    }
}

/// Security Requirements: "Public endpoint accessibility".
#[tokio::test]
async fn a_callback_url_is_public() {
    let data_dir = DataDir::new();
    let router = data_dir.start_with(&Options::default().public_network_only()).await;
    let application = router.api().create_application("public").await;
    let path = format!("/app/{application}/conversation-webhook");
    for host in ["127.0.0.1", "10.0.0.1", "[::1]", "169.254.169.254"] {
        let mut private = configuration();
        private["config"]["callback_url"] = json!(format!("https://{host}/webhook"));
        let reply = router.api().call(Method::POST, &path).json(&private).await;
        reply.check_refused(422, "address_blocked");
    }
}

/// Monitoring, "Metrics to Monitor".
#[tokio::test]
async fn what_the_guide_monitors_is_measured() {
    let receiver = Receiver::start(Behaviour::statuses([500, 404])).await;
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let api = router.api();
    let application = api.create_application("measured").await;
    let endpoint = api.create_endpoint(&application, &receiver.url("/"), json!({})).await;
    api.set_policy(&endpoint, quick_retries(2)).await;
    let message = api.send(&application, "conversation.message", &seed("conversation-message.json")).await;
    api.wait_for_attempts(&application, &message, 3).await;
    let reply = api.call_at(Method::GET, "/metrics").reply().await;
    let metrics = String::from_utf8(reply.body.to_vec()).expect("metrics are text");
    for line in [
        // "Webhook delivery success rate", "Error rates by type".
        r#"hookmill_attempts_total{kind="retry",result="delivered"} 1"#,
        r#"hookmill_attempts_total{kind="first",result="failed",code="status"} 1"#,
        r#"hookmill_attempts_total{kind="retry",result="failed",code="status"} 1"#,
        // "Average response time".
        "hookmill_response_time_seconds_count 3",
        // "Retry attempt counts".
        "hookmill_retries_scheduled_total 2",
    ] {
        assert!(metrics.lines().any(|shown| shown == line), "no {line} in\n{metrics}");
    }
    // "Processing time distribution".
    assert!(metrics.contains("hookmill_processing_time_seconds_bucket{"), "{metrics}");
}

/// Support: "please provide: Conversation ID, Message ID, Timestamp of issue, Webhook configuration, Error messages, Retry
/// attempt logs".
#[tokio::test]
async fn what_support_asks_for_can_be_looked_up() {
    let receiver = Receiver::start(Behaviour::statuses([500])).await;
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let api = router.api();
    let application = api.create_application("supported").await;
    let endpoint = api.create_endpoint(&application, &receiver.url("/webhook"), json!({})).await;
    api.set_policy(&endpoint, json!({ "preset": "conversation", "url": "any", "schedule": [0.01] })).await;
    let sent = api.send(&application, "conversation.message", &seed("conversation-message.json")).await;
    let attempts = api.wait_for_attempts(&application, &sent, 2).await;

    let message = api.get(&format!("/app/{application}/msg/{sent}")).await;
    assert_eq!(message["payload"]["conversation_id"], printed()["conversation_id"]);
    assert_eq!((&message["id"], &message["payload"]["data"]["id"]), (&json!(sent), &printed()["data"]["id"]));
    let numbers: Vec<_> = attempts.iter().map(|attempt| &attempt["attemptNumber"]).collect();
    assert_eq!(numbers, [1, 2]);
    for attempt in &attempts {
        assert_eq!(
            (&attempt["endpointId"], &attempt["url"]),
            (&json!(endpoint.id), &json!(receiver.url("/webhook")))
        );
        text(attempt, "timestamp").parse::<jiff::Timestamp>().expect("RFC 3339");
    }
    let failed = &attempts[0];
    assert_eq!((&failed["failureCode"], &failed["responseStatusCode"]), (&json!("status"), &json!(500)));
    assert_eq!(failed["diagnosis"]["code"], "server_error", "{failed}");
    assert_eq!(api.get(&format!("{}/policy", endpoint.path())).await["preset"], "conversation");
}

/// Rate Limiting: "Rate limit headers included in responses".
#[tokio::test]
async fn answers_name_the_rate_limits() {
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let api = router.api();
    let application = api.create_application("limited").await;
    let path = format!("/app/{application}/conversation-webhook");
    let configured = api.call(Method::POST, &path).json(&configuration()).await.expect(201);
    let endpoint = Endpoint { application: application.clone(), id: text(&configured, "endpoint_id") };
    let policy = api.call(Method::GET, &format!("{}/policy", endpoint.path())).reply().await;
    let limits = r#""endpoint";q=100;w=60, "concurrency";q=10;qu="concurrent-requests""#;
    assert_eq!(policy.headers["ratelimit-policy"], limits);
    let sent = api.try_send(&application, &message("conversation.message", None, "{}"), None).await;
    assert_eq!(
        (sent.status, &sent.headers["ratelimit-policy"]),
        (202, &r#""endpoint";q=100;w=60"#.parse().unwrap())
    );
}

/// Rate Limiting: "Maximum 10 concurrent webhook deliveries", "Maximum 100 webhooks per minute per endpoint".
#[tokio::test(start_paused = true)]
async fn ten_at_once_and_a_hundred_a_minute() {
    const EVENTS: usize = 250;
    let router = VirtualRouter::start(Preset::Conversation, Overrides::default()).await;
    router.receiver().take(Duration::from_secs(2));
    for _ in 0..EVENTS {
        router.send("conversation.message", "{}").await;
    }
    router.run_until_arrivals(EVENTS).await;
    assert_eq!(router.receiver().at_once_most(), 10);
    let arrivals = router.receiver().arrivals();
    for (index, first) in arrivals.iter().enumerate() {
        let within = |arrival: &&Arrival| arrival.at < first.at + MINUTE;
        assert!(arrivals[index..].iter().take_while(within).count() <= 100, "from {:?} on", first.at);
    }
    let took = arrivals[EVENTS - 1].at - arrivals[0].at;
    assert!((2 * MINUTE..3 * MINUTE).contains(&took), "{took:?}");
    router.run_for(HOUR).await;
    assert_eq!(router.receiver().arrivals().len(), EVENTS);
}
