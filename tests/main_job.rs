//! The main job: accepted, reshaped in Wasm, signed, delivered.

use hookmill_testkit::receiver::{Behaviour, Receiver};
use hookmill_tests::api::{Endpoint, quick_retries};
use hookmill_tests::router::{DataDir, Router};
use hookmill_tests::{fixture, judge, plugin};
use serde_json::{Value, json};

/// A router with one application and one endpoint.
struct Setup {
    router: Router,
    endpoint: Endpoint,
    receiver: Receiver,
    _data_dir: DataDir,
}

impl Setup {
    async fn new(behaviour: Behaviour) -> Self {
        let receiver = Receiver::start(behaviour).await;
        let data_dir = DataDir::new();
        let router = data_dir.start().await;
        let application = router.api().create_application("main job").await;
        let endpoint = router.api().create_endpoint(&application, &receiver.url("/hook"), json!({})).await;
        router.api().set_policy(&endpoint, quick_retries(5)).await;
        Self { router, endpoint, receiver, _data_dir: data_dir }
    }

    async fn reshape(&self, name: &str, component: Vec<u8>, settings: Value) -> String {
        let version = self.router.api().upload_plugin(name, component).await;
        let transformation = json!({ "enabled": true, "plugin": name, "settings": settings });
        self.router.api().set_transformation(&self.endpoint, transformation).await;
        version
    }

    async fn send(&self, event_type: &str, payload: &str) -> String {
        self.router.api().send(&self.endpoint.application, event_type, payload).await
    }

    /// Sends a seed, and checks what is the same for every delivery; answers its body.
    async fn deliver(&self, event_type: &str, seed: &str) -> Vec<u8> {
        let before = self.receiver.requests().len();
        let message = self.send(event_type, seed).await;
        let requests = self.receiver.wait_for(before + 1).await;
        let request = requests.last().expect("one was awaited");
        assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/hook"));
        assert_eq!(request.headers["webhook-id"], message.as_str());
        assert_eq!(request.headers["content-type"], "application/json");
        judge::check(&self.router.api().secret(&self.endpoint).await, request);
        let attempts = self.router.api().wait_for_attempts(&self.endpoint.application, &message, 1).await;
        assert_eq!((&attempts[0]["status"], &attempts[0]["responseStatusCode"]), (&json!(0), &json!(200)));
        request.body.to_vec()
    }
}

fn json_of(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("plugins of the repository write JSON")
}

#[tokio::test]
async fn an_osmox_notification_becomes_a_flat_report() {
    let setup = Setup::new(Behaviour::accepts()).await;
    let settings = json!({ "drop": ["indiaDlt*"] });
    let component = plugin::of_repository("osmox-notification");
    let version = setup.reshape("osmox-notification", component, settings).await;
    let seed = fixture::seed("osmox-notification.json");
    let report = json_of(&setup.deliver("notification.updated", &seed).await);
    let notification: Value = serde_json::from_str(&seed).unwrap();
    let expect = json!({
        "notificationId": 51,
        "applicationId": 1,
        "providerId": 4,
        "channelType": 8,
        "channelTypeName": "sms-kapsystem",
        "deliveryStatus": 5,
        "deliveryStatusName": "success",
        "to": "+919810450807",
        "content": { "text": notification["data"]["text"] },
        "retryCount": 0,
        "createdOn": "2024-07-12T09:14:26.000Z",
        "updatedOn": "2024-07-12T09:14:27.000Z",
        "details": {
            "result": { "result": { "messages": [] } },
            "createdBy": "sampleOsmoXApp",
            "updatedBy": "sampleOsmoXApp",
            "status": 1,
        },
    });
    assert_eq!(report, expect);
    let plugin = setup.router.api().get("/plugin/osmox-notification").await;
    assert_eq!(plugin["version"], version.as_str());
}

#[tokio::test]
async fn a_whatsapp_status_becomes_a_notification_that_the_first_plugin_takes() {
    let setup = Setup::new(Behaviour::accepts()).await;
    let settings = json!({ "fields": { "providerId": 4, "channelType": 3, "applicationId": 1 } });
    setup.reshape("whatsapp-status", plugin::of_repository("whatsapp-status"), settings).await;
    let seed = fixture::seed("whatsapp-status.json");
    let bytes = setup.deliver("whatsapp.status", &seed).await;
    let status: Value = serde_json::from_str(&seed).unwrap();
    let expect = json!({
        "id": "your-business-identifier",
        "data": { "to": "+9190199xxxxx", "from": "+919019120xxx" },
        "deliveryStatus": 5,
        "result": { "result": status["payload"] },
        "createdOn": "2021-06-18T14:48:06.886358Z",
        "updatedOn": "2021-06-18T14:48:06.886358Z",
        "providerId": 4,
        "channelType": 3,
        "applicationId": 1,
    });
    assert_eq!(json_of(&bytes), expect);

    setup.reshape("osmox-notification", plugin::of_repository("osmox-notification"), json!({})).await;
    let notification = String::from_utf8(bytes).unwrap();
    let report = json_of(&setup.deliver("notification.updated", &notification).await);
    assert_eq!(report["notificationId"], "your-business-identifier");
    assert_eq!(report["channelTypeName"], "wa-360dialog");
    assert_eq!(report["deliveryStatusName"], "success");
}

#[tokio::test]
async fn events_without_a_plugin_arrive_byte_for_byte() {
    let setup = Setup::new(Behaviour::accepts()).await;
    for name in [
        "conversation-message.json",
        "mifumo-message-sent.json",
        "mifumo-message-delivered.json",
        "mifumo-message-failed.json",
        "whatsapp-incoming-text.json",
        "whatsapp-incoming-media.json",
    ] {
        let seed = fixture::seed(name);
        let body = setup.deliver("message.created", &seed).await;
        assert_eq!(String::from_utf8(body).unwrap(), seed, "{name}");
    }
}

#[tokio::test]
async fn whatever_json_writes_arrives_as_it_was_written() {
    let setup = Setup::new(Behaviour::accepts()).await;
    for payload in [
        r#"{}"#,
        r#"{"big":123456789012345678901234567890,"small":1e-400,"one":1.0,"minus":-0}"#,
        r#"{ "spaces" :	[ 1 ,2,  3 ] }"#,
        r#"{"b":1,"a":2,"b":3}"#,
        r#"{"text":"\u0041\/\ud83d\ude00 é 漢","empty":""}"#,
    ] {
        assert_eq!(String::from_utf8(setup.deliver("any", payload).await).unwrap(), payload);
    }
}

#[tokio::test]
async fn two_failures_and_a_success_are_three_attempts_with_one_id() {
    let setup = Setup::new(Behaviour::statuses([500, 500])).await;
    let payload = fixture::seed("conversation-message.json");
    let message = setup.send("message.created", &payload).await;
    let requests = setup.receiver.wait_for(3).await;
    let secret = setup.router.api().secret(&setup.endpoint).await;
    for request in &requests {
        judge::check(&secret, request);
        assert_eq!(request.headers["webhook-id"], message.as_str());
        assert_eq!(request.body, payload);
    }
    let attempts = setup.router.api().wait_for_attempts(&setup.endpoint.application, &message, 3).await;
    let seen: Vec<_> = attempts
        .iter()
        .map(|attempt| (&attempt["attemptNumber"], &attempt["responseStatusCode"], &attempt["statusText"]))
        .collect();
    let (one, two, three) = (json!(1), json!(2), json!(3));
    let (bad, good, fail, success) = (json!(500), json!(200), json!("fail"), json!("success"));
    assert_eq!(seen, [(&one, &bad, &fail), (&two, &bad, &fail), (&three, &good, &success)]);
    assert_eq!(setup.receiver.requests().len(), 3);
}

#[tokio::test]
async fn each_attempt_is_signed_with_a_timestamp_of_its_own() {
    let setup = Setup::new(Behaviour::statuses([500])).await;
    // Timestamps are whole seconds: a retry after more than one has another.
    setup.router.api().set_policy(&setup.endpoint, json!({ "schedule": [1.1], "jitterPercent": 0 })).await;
    setup.send("message.created", "{}").await;
    let requests = setup.receiver.wait_for(2).await;
    let secret = setup.router.api().secret(&setup.endpoint).await;
    for name in ["webhook-timestamp", "webhook-signature"] {
        assert_ne!(requests[0].headers[name], requests[1].headers[name], "{name}");
    }
    for request in &requests {
        judge::check(&secret, request);
    }
}

#[tokio::test]
async fn a_retry_sends_the_same_bytes_after_the_plugin_was_upgraded() {
    let setup = Setup::new(Behaviour::statuses([500, 500])).await;
    setup
        .router
        .api()
        .set_policy(&setup.endpoint, json!({ "schedule": [1.5, 0.01], "jitterPercent": 0 }))
        .await;
    let first = setup.reshape("greeting", plugin::saying(r#"{"version":1}"#), json!({})).await;
    let message = setup.send("greeting", "{}").await;
    setup.receiver.wait_for(1).await;
    let second = setup.reshape("greeting", plugin::saying(r#"{"version":2}"#), json!({})).await;
    assert_ne!(first, second);
    let requests = setup.receiver.wait_for(3).await;
    for request in &requests {
        assert_eq!(request.body, r#"{"version":1}"#);
        assert_eq!(request.headers["webhook-id"], message.as_str());
    }
    let later = setup.deliver("greeting", "{}").await;
    assert_eq!(String::from_utf8(later).unwrap(), r#"{"version":2}"#);
}

#[tokio::test]
async fn a_rollback_runs_the_earlier_version() {
    let setup = Setup::new(Behaviour::accepts()).await;
    setup.reshape("greeting", plugin::saying(r#"{"version":1}"#), json!({})).await;
    setup.reshape("greeting", plugin::saying(r#"{"version":2}"#), json!({})).await;
    let rollback = setup.router.api().call(http::Method::POST, "/plugin/greeting/rollback");
    let _ = rollback.json(&json!({})).await.expect(200);
    let body = setup.deliver("greeting", "{}").await;
    assert_eq!(String::from_utf8(body).unwrap(), r#"{"version":1}"#);
}
