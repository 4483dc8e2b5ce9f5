//! Mifumo SMS, "Webhook Integration Guide": its sections in order, with the real process, and in virtual time where it
//! speaks of minutes.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use hookmill_core::endpoint::EndpointState;
use hookmill_core::policy::{Overrides, Timeout};
use hookmill_core::preset::Preset;
use hookmill_testkit::receiver::{Behaviour, Received, Receiver};
use hookmill_tests::api::Api;
use hookmill_tests::fixture::{seed, tests_directory};
use hookmill_tests::router::DataDir;
use hookmill_tests::virtual_time::{VirtualRouter, answer};
use hookmill_tests::wait;
use http::Method;
use serde_json::{Value, json};

const DAY: Duration = Duration::from_secs(24 * 3600);
/// The events of the guide, with the file of each one's payload.
const EVENTS: [(&str, &str); 3] = [
    ("message.sent", "mifumo-message-sent.json"),
    ("message.delivered", "mifumo-message-delivered.json"),
    ("message.failed", "mifumo-message-failed.json"),
];

fn event_type(request: &Received) -> String {
    let payload: Value = serde_json::from_slice(&request.body).expect("a delivery is JSON");
    payload["event"].as_str().expect("it names its event").to_owned()
}

/// Webhook Events: "Available Events"; Create Webhook: "Select the events you want to receive".
#[tokio::test]
async fn a_webhook_receives_the_events_that_it_selected() {
    let receiver = Receiver::start(Behaviour::accepts()).await;
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let api = router.api();
    let application = api.create_application("selected").await;
    let selected = json!({ "preset": "mifumo", "eventTypes": ["message.delivered", "message.failed"] });
    let endpoint = api.create_endpoint(&application, &receiver.url("/webhook/sms"), selected).await;
    for (event, file) in EVENTS {
        api.send(&application, event, &seed(file)).await;
    }
    receiver.wait_for(2).await;
    api.wait_until_drained(&endpoint).await;
    let mut received: Vec<_> = receiver.requests().iter().map(event_type).collect();
    received.sort();
    assert_eq!(received, ["message.delivered", "message.failed"]);
}

/// Webhook URL Requirements: "Return HTTP 200 status for successful processing".
#[tokio::test(start_paused = true)]
async fn only_200_is_success() {
    for status in [201, 202, 204, 302, 400, 500] {
        let router = VirtualRouter::start(Preset::Mifumo, Overrides::default()).await;
        router.receiver().answer_next(answer(status));
        router.send("message.sent", seed("mifumo-message-sent.json")).await;
        router.run_for(DAY).await;
        assert_eq!(router.waits(), [60], "{status}, then 200");
    }
}

/// Webhook URL Requirements: "Respond within 30 seconds".
#[tokio::test(start_paused = true)]
async fn an_answer_after_30_seconds_is_none() {
    for (takes, attempts) in [(29, 1), (31, 4)] {
        let router = VirtualRouter::start(Preset::Mifumo, Overrides::default()).await;
        router.receiver().take(Duration::from_secs(takes));
        router.send("message.sent", seed("mifumo-message-sent.json")).await;
        router.run_for(DAY).await;
        assert_eq!(router.receiver().arrivals().len(), attempts, "{takes} s");
    }
}

/// Troubleshooting: "Increase timeout if possible".
#[tokio::test(start_paused = true)]
async fn a_timeout_can_be_increased() {
    let timeout = Some(Timeout::new(Duration::from_secs(60)).expect("within the limits"));
    let router = VirtualRouter::start(Preset::Mifumo, Overrides { timeout, ..Overrides::default() }).await;
    router.receiver().take(Duration::from_secs(59));
    router.send("message.sent", seed("mifumo-message-sent.json")).await;
    router.run_for(DAY).await;
    assert_eq!(router.receiver().arrivals().len(), 1);
}

/// What the guide's own `verify_webhook` says of each payload, signature and secret.
fn verify_webhook(exhibits: &[(&str, &str, &str)]) -> Vec<bool> {
    let guide = std::fs::read_to_string(tests_directory().join("data/seeds/mifumo-verify-webhook.py"))
        .expect("it is there");
    let program = format!(
        "{guide}\nimport json, sys\nfor line in sys.stdin:\n    print(verify_webhook(*json.loads(line)))\n"
    );
    let mut python = Command::new("python3");
    let running = python.arg("-c").arg(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut running = running.expect("python3 can be run");
    let mut stdin = running.stdin.take().expect("stdin is piped");
    for exhibit in exhibits {
        writeln!(stdin, "{}", json!(exhibit)).expect("it reads");
    }
    drop(stdin);
    let output = running.wait_with_output().expect("it is our child");
    assert!(output.status.success(), "python3 ended with {}", output.status);
    String::from_utf8_lossy(&output.stdout).lines().map(|line| line == "True").collect()
}

/// Webhook Security, and Webhook Payloads: each payload as it is printed, verified as it is printed.
#[tokio::test]
async fn the_guides_own_function_verifies_each_payload() {
    let receiver = Receiver::start(Behaviour::accepts()).await;
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let api = router.api();
    let application = api.create_application("signed").await;
    let preset = json!({ "preset": "mifumo" });
    let endpoint = api.create_endpoint(&application, &receiver.url("/webhook/sms"), preset).await;
    let secret = api.secret(&endpoint).await;
    let mut exhibits = Vec::new();
    for (sent, (event, file)) in EVENTS.into_iter().enumerate() {
        let payload = seed(file);
        api.send(&application, event, &payload).await;
        let request = receiver.wait_for(sent + 1).await.remove(sent);
        assert_eq!((&request.method, &*request.path), (&Method::POST, "/webhook/sms"));
        assert_eq!(request.headers["content-type"], "application/json");
        assert_eq!(request.body, payload);
        let signature = request.headers["x-webhook-signature"].to_str().unwrap().to_owned();
        exhibits.push((payload, signature));
    }
    let mut questions = Vec::new();
    for (payload, signature) in &exhibits {
        questions.push((payload.as_str(), signature.as_str(), secret.as_str()));
        questions.push((payload, signature, "whsec_other"));
    }
    questions.push((&exhibits[0].0, &exhibits[1].1, &secret));
    assert_eq!(verify_webhook(&questions), [true, false, true, false, true, false, false]);
}

/// Webhook Security: `secret.encode()` takes any text, so the secrets that receivers have already are taken as they are.
#[tokio::test]
async fn existing_plain_text_secrets_are_taken() {
    let receiver = Receiver::start(Behaviour::accepts()).await;
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let application = router.api().create_application("moved").await;
    // The last ones look like keys of another form: base64 of 24 bytes, and one that would be written with its padding.
    let secrets = [
        "s3cret",
        "It's a Secret to Everybody",
        "\u{e9}\u{4e2d}",
        "5f4dcc3b5aa765d61d8327deb882cf99",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwAB",
    ];
    let mut exhibits = Vec::new();
    let mut endpoints = Vec::new();
    for (sent, secret) in secrets.into_iter().enumerate() {
        let details = json!({ "preset": "mifumo", "secret": secret, "channels": [format!("c{sent}")] });
        let url = receiver.url("/webhook/sms");
        endpoints.push(router.api().create_endpoint(&application, &url, details).await);
    }
    router.kill().await;
    let router = data_dir.start().await;
    let api = router.api();
    for (sent, (endpoint, secret)) in endpoints.iter().zip(secrets).enumerate() {
        assert_eq!(api.secret(endpoint).await, secret, "also after a restart");
        let message = json!({
            "eventType": "message.sent", "channels": [format!("c{sent}")], "payload": { "event": "message.sent" },
        });
        api.call(Method::POST, &format!("/app/{application}/msg")).json(&message).await.expect_status(202);
        let request = receiver.wait_for(sent + 1).await.remove(sent);
        let signature = request.headers["x-webhook-signature"].to_str().unwrap().to_owned();
        exhibits.push((String::from_utf8(request.body.to_vec()).unwrap(), signature, secret));
    }
    let questions: Vec<_> = exhibits
        .iter()
        .map(|(body, signature, secret)| (body.as_str(), signature.as_str(), *secret))
        .collect();
    assert_eq!(verify_webhook(&questions), [true; 5]);

    let rotate = api.call(Method::POST, &format!("{}/secret/rotate", endpoints[0].path()));
    rotate.json(&json!({ "key": "the next secret" })).await.expect_status(204);
    assert_eq!(api.secret(&endpoints[0]).await, "the next secret");
    let refused = json!({ "url": receiver.url("/"), "preset": "mifumo", "secret": "two\nlines" });
    let path = format!("/app/{application}/endpoint");
    let reply = api.call(Method::POST, &path).json(&refused).await;
    reply.check_refused(422, "signing_key_text_invalid");
    // Standard Webhooks' own receivers take keys of their form only.
    let refused = json!({ "url": receiver.url("/"), "secret": "no key!" });
    let reply = api.call(Method::POST, &path).json(&refused).await;
    reply.check_refused(422, "signing_key_encoding_invalid");
}

/// Webhook Implementation Examples, Python Flask: `verify_webhook(json.dumps(data), signature, WEBHOOK_SECRET)` verifies
/// what was sent as `json.dumps` writes it, and nothing else: the signature is over the bytes of the delivery.
#[tokio::test]
async fn the_json_dumps_variant_verifies_what_json_dumps_wrote() {
    let receiver = Receiver::start(Behaviour::accepts()).await;
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let api = router.api();
    let application = api.create_application("dumped").await;
    let preset = json!({ "preset": "mifumo", "secret": "s3cret" });
    api.create_endpoint(&application, &receiver.url("/webhook/sms"), preset).await;
    // `json.dumps` puts a blank behind `,` and `:` and writes ASCII only.
    let dumped = r#"{"event": "message.sent", "content": "caf\u00e9", "recipients": ["+255123456789"]}"#;
    let compact = r#"{"event":"message.sent"}"#;
    let mut verified = Vec::new();
    for (sent, payload) in [dumped, compact].into_iter().enumerate() {
        api.send(&application, "message.sent", payload).await;
        let request = receiver.wait_for(sent + 1).await.remove(sent);
        let signature = request.headers["x-webhook-signature"].to_str().unwrap().to_owned();
        verified.push(verify_dumped(&request.body, &signature, "s3cret"));
    }
    assert_eq!(verified, [true, false]);
}

/// What `verify_webhook(json.dumps(data), signature, secret)` says, where `data` is the request's JSON.
fn verify_dumped(body: &[u8], signature: &str, secret: &str) -> bool {
    let dumps = "import json, sys\nprint(json.dumps(json.load(sys.stdin)), end='')\n";
    let mut python = Command::new("python3");
    let running = python.arg("-c").arg(dumps).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut running = running.expect("python3 can be run");
    running.stdin.take().expect("stdin is piped").write_all(body).expect("it reads");
    let output = running.wait_with_output().expect("it is our child");
    let dumped = String::from_utf8(output.stdout).expect("it writes ASCII");
    verify_webhook(&[(&dumped, signature, secret)]) == [true]
}

/// "Test Webhook with cURL": its body.
const TEST_EVENT: &str = r#"{
    "event": "message.sent",
    "message_id": "msg_test_123",
    "recipients": ["+255123456789"],
    "sender_id": "Taarifa-SMS",
    "content": "Test message",
    "sent_at": "2024-01-01T10:00:00Z",
    "cost": 10.0,
    "currency": "USD",
    "provider": "beem_africa",
    "timestamp": "2024-01-01T10:00:00Z"
  }"#;

/// "Test Webhook with cURL": sent as it is printed, it arrives as it is printed, and is verified; and a source takes the
/// command with another URL.
#[tokio::test]
async fn the_printed_test_event_arrives_as_it_is_printed() {
    let receiver = Receiver::start(Behaviour::accepts()).await;
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let api = router.api();
    let application = api.create_application("tested").await;
    let preset = json!({ "preset": "mifumo" });
    let endpoint = api.create_endpoint(&application, &receiver.url("/webhook/sms"), preset).await;
    let secret = api.secret(&endpoint).await;
    api.send(&application, "message.sent", TEST_EVENT).await;
    let source = json!({
        "name": "sms", "application": application, "eventType": { "pointer": "/event" },
        "verification": { "type": "none" },
    });
    api.call(Method::POST, "/source").json(&source).await.expect_status(201);
    let stranger = api.without_key();
    let posted = stranger.call_at(Method::POST, "/in/sms").header("content-type", "application/json");
    let posted = posted.body(TEST_EVENT).await;
    assert!((200..300).contains(&posted.status), "{posted:?}");
    for request in receiver.wait_for(2).await {
        assert_eq!(request.body, TEST_EVENT);
        let signature = request.headers["x-webhook-signature"].to_str().unwrap();
        assert_eq!(verify_webhook(&[(TEST_EVENT, signature, &secret)]), [true]);
    }
}

/// Webhook Testing: "verify your endpoint is working with test calls".
#[tokio::test]
async fn a_test_call_delivers_the_example_of_an_event_to_one_webhook() {
    let (tested, other) =
        (Receiver::start(Behaviour::accepts()).await, Receiver::start(Behaviour::accepts()).await);
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let api = router.api();
    let application = api.create_application("tested").await;
    let preset = json!({ "preset": "mifumo" });
    let endpoint = api.create_endpoint(&application, &tested.url("/"), preset.clone()).await;
    let neighbour = api.create_endpoint(&application, &other.url("/"), preset).await;
    let secret = api.secret(&endpoint).await;
    for (sent, (event, file)) in EVENTS.into_iter().enumerate() {
        let call = api.call(Method::POST, &format!("{}/send-example", endpoint.path()));
        let message = call.json(&json!({ "eventType": event })).await.expect(202);
        let request = tested.wait_for(sent + 1).await.remove(sent);
        assert_eq!(request.body, seed(file), "{message}");
        let signature = request.headers["x-webhook-signature"].to_str().unwrap().to_owned();
        assert_eq!(verify_webhook(&[(&seed(file), &signature, &secret)]), [true]);
    }
    api.wait_until_drained(&neighbour).await;
    assert_eq!(other.connections(), 0);
}

/// Webhook Retry Policy: "1 minute, 5 minutes, 15 minutes", "the webhook is marked as failed", "You can reactivate failed
/// webhooks".
#[tokio::test(start_paused = true)]
async fn a_failed_webhook_waits_and_is_reactivated_in_order() {
    let mut router = VirtualRouter::start(Preset::Mifumo, Overrides::default()).await;
    router.receiver().answer_always(answer(500));
    router.send("message.sent", r#"{"n":1}"#).await;
    router
        .run_until("it is marked as failed", |router| router.endpoint().state != EndpointState::Enabled)
        .await;
    assert!(matches!(router.endpoint().state, EndpointState::Failed { .. }));
    assert_eq!(router.waits(), [60, 300, 900]);

    for payload in [r#"{"n":2}"#, r#"{"n":3}"#] {
        router.send("message.sent", payload).await;
        router.run_for(DAY).await;
    }
    router.restart().await;
    router.send("message.sent", r#"{"n":4}"#).await;
    router.run_for(DAY).await;
    assert_eq!(router.receiver().arrivals().len(), 4, "deliveries of a failed webhook wait");

    router.receiver().answer_always(answer(200));
    router.reactivate().await;
    router.run_until_arrivals(8).await;
    router.run_for(DAY).await;
    let bodies: Vec<_> =
        router.receiver().arrivals().drain(4..).map(|arrival| arrival.request.body).collect();
    assert_eq!(bodies, [r#"{"n":1}"#, r#"{"n":2}"#, r#"{"n":3}"#, r#"{"n":4}"#]);
    assert_eq!(router.endpoint().state, EndpointState::Enabled);
}

async fn state(api: &Api, path: &str) -> String {
    api.get(path).await["state"].as_str().expect("an endpoint has a state").to_owned()
}

/// The same through the API, with waits that a test can wait for.
#[tokio::test]
async fn the_api_shows_a_failed_webhook_and_reactivates_it() {
    let receiver = Receiver::start(Behaviour::statuses([500, 500, 500, 500])).await;
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let api = router.api();
    let application = api.create_application("failed").await;
    let preset = json!({ "preset": "mifumo" });
    let endpoint = api.create_endpoint(&application, &receiver.url("/"), preset).await;
    // One at a time, so that the order in which they arrive is that in which they were sent.
    api.set_policy(&endpoint, json!({ "schedule": [0.01, 0.01, 0.01], "concurrency": 1 })).await;
    api.send(&application, "message.sent", r#"{"n":1}"#).await;
    wait::until("it is failed", async || (state(api, &endpoint.path()).await == "failed").then_some(()))
        .await;
    api.send(&application, "message.sent", r#"{"n":2}"#).await;
    assert_eq!(api.unfinished(&endpoint).await, 2);

    let call = api.call(Method::POST, &format!("{}/reactivate", endpoint.path()));
    assert_eq!(call.reply().await.expect(200)["state"], "enabled");
    let requests = receiver.wait_for(6).await;
    let bodies: Vec<_> = requests[4..].iter().map(|request| request.body.clone()).collect();
    assert_eq!(bodies, [r#"{"n":1}"#, r#"{"n":2}"#]);
    api.wait_until_drained(&endpoint).await;
}
