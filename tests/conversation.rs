//! Conversation webhooks, "Webhook Integration Guide": its sections in order, with the real process, and in virtual time
//! where it speaks of seconds and minutes.

use std::time::Duration;

use hookmill_core::attempt::{Outcome, TransportFailure};
use hookmill_core::policy::Overrides;
use hookmill_core::preset::Preset;
use hookmill_testkit::receiver::{Behaviour, Receiver};
use hookmill_tests::api::{Endpoint, text};
use hookmill_tests::fixture::seed;
use hookmill_tests::judge;
use hookmill_tests::router::DataDir;
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

/// Webhook Payload, "Field Reference", and what "Manual Testing" generates.
#[tokio::test]
async fn an_envelope_is_validated_on_request() {
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let api = router.api();
    let application = api.create_application("validated").await;
    let send = async |payload: &Value| {
        let message = json!({ "eventType": "conversation.message", "payload": payload });
        api.call(Method::POST, &format!("/app/{application}/msg?validate=true")).json(&message).await
    };
    // The fields that `generate_test_payload` sets, with times as Python's `isoformat` writes them.
    let generated = json!({
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
    });
    // Its reference says of `created_by` and `updated_by` that they are required; what it prints is accepted.
    send(&generated).await.expect_status(202);
    // Webhook Payload, "Structure", without its comments.
    let printed = json!({
        "conversation_id": "uuid-string",
        "data": {
            "id": "message-uuid",
            "content": "Message content",
            "content_type": "TEXT",
            "filename": "document.pdf",
            "type": "USER_INPUT",
            "channel": "API",
            "status": "RECEIVED",
            "metadata": {},
            "created_by": "user123",
            "updated_by": "user123",
            "created_at": "2024-03-21T10:00:00Z",
            "updated_at": "2024-03-21T10:00:00Z"
        },
        "timestamp": "2024-03-21T10:00:00.000Z"
    });
    send(&printed).await.expect_status(202);
    // "content_type: TEXT, IMAGE, VIDEO, DOCUMENT, AUDIO".
    let mut other = printed;
    other["data"]["content_type"] = json!("STICKER");
    send(&other).await.check_refused(422, "payload_invalid");
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
