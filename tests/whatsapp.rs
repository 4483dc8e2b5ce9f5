//! The WhatsApp Business document, "Webhooks", section by section: what it says of its webhooks holds for an endpoint
//! with its preset, and its compose webhooks work as printed.

use hmac::{Hmac, KeyInit, Mac};
use hookmill_testkit::receiver::{Behaviour, Received, Receiver};
use hookmill_tests::api::{Endpoint, message, text};
use hookmill_tests::fixture::seed;
use hookmill_tests::router::{DataDir, Router};
use http::Method;
use serde_json::{Value, json};

/// "Message Status Notification": `"event": "whatsapp:message:status"`.
const STATUS: &str = "whatsapp:message:status";
/// "Message Incoming Notification", and "Incoming Media".
const INCOMING: &str = "whatsapp:message:in";

/// A router with one application, and a receiver.
struct Setup {
    router: Router,
    application: String,
    receiver: Receiver,
    _data_dir: DataDir,
}

impl Setup {
    async fn new(behaviour: Behaviour) -> Self {
        let receiver = Receiver::start(behaviour).await;
        let data_dir = DataDir::new();
        let router = data_dir.start().await;
        let application = router.api().create_application("whatsapp").await;
        Self { router, application, receiver, _data_dir: data_dir }
    }

    /// An endpoint on the document's terms.
    async fn endpoint(&self) -> Endpoint {
        let preset = json!({ "preset": "whatsapp" });
        self.router.api().create_endpoint(&self.application, &self.receiver.url("/"), preset).await
    }

    /// The receiver's URL in the place of the document's.
    fn here(&self, url: &str) -> String {
        url.replacen("https://www.domain.com", &self.receiver.url(""), 1)
    }

    /// Creates a compose webhook; answers its id.
    async fn compose(&self, composition: &Value) -> Endpoint {
        let path = format!("/app/{}/compose", self.application);
        let created = self.router.api().call(Method::POST, &path).json(composition).await.expect(201);
        Endpoint { application: self.application.clone(), id: text(&created, "id") }
    }

    async fn check_compose_refused(&self, composition: &Value, status: u16, code: &str) {
        let path = format!("/app/{}/compose", self.application);
        self.router.api().call(Method::POST, &path).json(composition).await.check_refused(status, code);
    }

    /// Sends an event to one webhook; answers the message's id.
    async fn send_to(&self, webhook: &Endpoint, event_type: &str, payload: &str) -> String {
        let sent = message(event_type, None, payload);
        let rest = sent.strip_prefix('{').expect("a message is an object");
        let sent = format!(r#"{{"webhook_id":"{}",{rest}"#, webhook.id);
        text(&self.router.api().try_send(&self.application, &sent, None).await.expect(202), "id")
    }

    /// What a webhook makes of the status notification.
    async fn report(&self, composition: &Value) -> Received {
        self.report_of(composition, &seed("whatsapp-status.json")).await
    }

    async fn report_of(&self, composition: &Value, payload: &str) -> Received {
        let before = self.receiver.requests().len();
        let webhook = self.compose(composition).await;
        self.send_to(&webhook, STATUS, payload).await;
        self.receiver.wait_for(before + 1).await.pop().expect("one was awaited")
    }
}

/// `hmac.new(secret, body, hashlib.sha256).hexdigest()`
fn hex_hmac(secret: &str, body: &[u8]) -> String {
    let mut mac = <Hmac<sha2::Sha256> as KeyInit>::new_from_slice(secret.as_bytes()).expect("any length");
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}

fn status() -> Value {
    serde_json::from_str(&seed("whatsapp-status.json")).expect("the seed is JSON")
}

/// "HTTPS 2xx OK response to notifications. Otherwise the client considers that notification as failed and tries again."
#[tokio::test]
async fn retrying_failed_webhooks() {
    let setup = Setup::new(Behaviour::statuses([301, 500])).await;
    let (api, endpoint) = (setup.router.api(), setup.endpoint().await);
    let policy = api.get(&format!("{}/policy", endpoint.path())).await;
    // "The call will also be considered failed if the remote app doesn't respond within 3 seconds."
    assert_eq!(policy["timeoutMs"], 3000);
    // "We'll retry the call two more times."
    assert_eq!(policy["attemptsMax"], 3);
    // "We wait 10 seconds ..., 100 seconds ..., 1000 ... and so on. The maximum amount of seconds is 100 000."
    let backoff = json!({ "baseMs": 10_000, "factorPercent": 1000, "capMs": 100_000_000, "attemptsMax": 3 });
    assert_eq!((&policy["exponential"], &policy["jitterPercent"]), (&backoff, &json!(0)));
    assert_eq!(policy["success"], "2xx");

    // The same tries, a thousand times as fast.
    let quick = json!({ "baseMs": 10, "factorPercent": 1000, "capMs": 100_000, "attemptsMax": 3 });
    api.set_policy(&endpoint, json!({ "exponential": quick })).await;
    let message = api.send(&setup.application, STATUS, &seed("whatsapp-status.json")).await;
    let attempts = api.wait_for_attempts(&setup.application, &message, 3).await;
    let statuses: Vec<_> = attempts.iter().map(|attempt| &attempt["responseStatusCode"]).collect();
    assert_eq!(statuses, [301, 500, 200]);
    assert_eq!(setup.receiver.requests().len(), 3);
}

/// "When a webhook call fails, we'll retry the call two more times": and not once more.
#[tokio::test]
async fn a_third_failure_is_the_last() {
    let setup = Setup::new(Behaviour::statuses([500; 4])).await;
    let (api, endpoint) = (setup.router.api(), setup.endpoint().await);
    let quick = json!({ "baseMs": 10, "factorPercent": 100, "capMs": 10, "attemptsMax": 3 });
    api.set_policy(&endpoint, json!({ "exponential": quick })).await;
    let message = api.send(&setup.application, STATUS, &seed("whatsapp-status.json")).await;
    let attempts = api.wait_for_attempts(&setup.application, &message, 3).await;
    assert_eq!(attempts[2]["nextAttempt"], Value::Null);
    api.wait_until_drained(&endpoint).await;
    assert_eq!(setup.receiver.requests().len(), 3);
}

/// "The call will also be considered failed if the remote app doesn't respond within 3 seconds", in real time.
#[tokio::test]
async fn an_app_that_does_not_respond_has_failed() {
    let setup = Setup::new(Behaviour::NeverAnswers).await;
    let api = setup.router.api();
    setup.endpoint().await;
    let message = api.send(&setup.application, STATUS, &seed("whatsapp-status.json")).await;
    let attempt = api.wait_for_attempts(&setup.application, &message, 1).await.remove(0);
    assert_eq!(attempt["failureCode"], "response_timeout", "{attempt}");
    assert!(attempt["responseDurationMs"].as_u64().is_some_and(|millis| millis >= 3000), "{attempt}");
    assert!(attempt["nextAttempt"].is_string(), "{attempt}");
}

/// "Signature: The signature generated by system with webhook id as secret".
#[tokio::test]
async fn signature() {
    let setup = Setup::new(Behaviour::accepts()).await;
    let (api, endpoint) = (setup.router.api(), setup.endpoint().await);
    api.send(&setup.application, STATUS, &seed("whatsapp-status.json")).await;
    let request = setup.receiver.wait_for(1).await.remove(0);
    assert_eq!(request.headers["signature"], hex_hmac(&endpoint.id, &request.body).as_str());
    assert_ne!(request.headers["signature"], hex_hmac(&endpoint.id, b"{}").as_str());
    let uid = json!({ "preset": "whatsapp", "uid": "our-own-id" });
    let url = setup.receiver.url("/with-uid");
    let with_uid = api.create_endpoint(&setup.application, &url, uid).await;
    assert_ne!(with_uid.id, "our-own-id");
    api.send(&setup.application, STATUS, &seed("whatsapp-status.json")).await;
    let requests = setup.receiver.wait_for(3).await;
    let request = requests.iter().find(|request| request.path == "/with-uid").expect("it gets the event");
    assert_eq!(request.headers["signature"], hex_hmac(&with_uid.id, &request.body).as_str());
}

/// "Message Status Notification", "Message Incoming Notification", "Incoming Media": byte for byte.
#[tokio::test]
async fn examples() {
    let setup = Setup::new(Behaviour::accepts()).await;
    let endpoint = setup.endpoint().await;
    for (event_type, file) in [
        (STATUS, "whatsapp-status.json"),
        (INCOMING, "whatsapp-incoming-text.json"),
        (INCOMING, "whatsapp-incoming-media.json"),
    ] {
        let before = setup.receiver.requests().len();
        let payload = seed(file);
        setup.router.api().send(&setup.application, event_type, &payload).await;
        let request = setup.receiver.wait_for(before + 1).await.pop().expect("one was awaited");
        assert_eq!((request.method.as_str(), &request.body[..]), ("POST", payload.as_bytes()), "{file}");
        assert_eq!(request.headers["content-type"], "application/json", "{file}");
        assert_eq!(
            request.headers["signature"],
            hex_hmac(&endpoint.id, payload.as_bytes()).as_str(),
            "{file}"
        );
    }
}

/// "In the url you can pass the replaced variables", with the blanks that are printed around one of them.
#[tokio::test]
async fn compose_urls() {
    let setup = Setup::new(Behaviour::accepts()).await;
    let id = "a418d672-9781-4d97-b517-a56f7d95ad8a";
    for (url, expect) in [
        (
            "https://www.domain.com/ack/receive?id=@{{id}}&mobile=@{{payload.mobile}}&status=@{{payload.status}}  ",
            format!("/ack/receive?id={id}&mobile=9190199xxxxx&status=delivered"),
        ),
        (
            "https://www.domain.com/ack/receive?message_id=@{{payload.id}}&mobile_number=@{{payload.mobile}}&message_status=@{{payload.status}}",
            format!("/ack/receive?message_id={id}&mobile_number=9190199xxxxx&message_status=delivered"),
        ),
    ] {
        let composition = json!({ "name": "receipt", "url": setup.here(url), "method": "GET" });
        let request = setup.report(&composition).await;
        assert_eq!((request.method.as_str(), request.path.as_str()), ("GET", expect.as_str()));
        assert!(request.body.is_empty() && !request.headers.contains_key("content-type"), "{request:?}");
    }
}

/// "HTTP Method: Specify the HTTP method for the webhook request, such as GET, POST or PUT."
#[tokio::test]
async fn compose_methods() {
    let setup = Setup::new(Behaviour::accepts()).await;
    let composition = |method: &str| json!({ "name": "m", "url": setup.receiver.url("/"), "method": method });
    for method in ["GET", "POST", "PUT"] {
        assert_eq!(setup.report(&composition(method)).await.method.as_str(), method);
    }
    setup.check_compose_refused(&composition("DELETE"), 422, "compose_method_unknown").await;
}

/// "Body Format: Choose between JSON or FormData for the payload", as they are spelt.
#[tokio::test]
async fn compose_formats_as_they_are_spelt() {
    let setup = Setup::new(Behaviour::accepts()).await;
    for (format, content_type) in [("JSON", "application/json"), ("FormData", "multipart/form-data")] {
        let composition = json!({
            "name": format, "url": setup.receiver.url("/"), "method": "POST",
            "body": { "format": format, "content": { "id": "@{{payload.id}}" } },
        });
        let request = setup.report(&composition).await;
        let sent = request.headers["content-type"].to_str().expect("it is text");
        assert!(sent.starts_with(content_type), "{format}: {sent}");
        assert!(String::from_utf8_lossy(&request.body).contains("a418d672-9781-4d97-b517-a56f7d95ad8a"));
    }
}

/// "To request delivery reports, include the `webhook_id` parameter": a compose webhook gets what names it, and nothing
/// else.
#[tokio::test]
async fn compose_webhooks_are_opt_in_by_webhook_id() {
    let setup = Setup::new(Behaviour::accepts()).await;
    let api = setup.router.api();
    let compose = async |path: &str, preset: &str| {
        let url = setup.receiver.url(path);
        setup.compose(&json!({ "name": path, "url": url, "method": "GET", "preset": preset })).await
    };
    let opt_in = compose("/opt-in", "whatsapp").await;
    compose("/broadcast", "standard").await;
    let sent = api.send(&setup.application, STATUS, &seed("whatsapp-status.json")).await;
    api.wait_for_attempts(&setup.application, &sent, 1).await;
    let paths = || setup.receiver.requests().into_iter().map(|request| request.path).collect::<Vec<_>>();
    assert_eq!(paths(), ["/broadcast"]);
    let sent = setup.send_to(&opt_in, STATUS, &seed("whatsapp-status.json")).await;
    api.wait_for_attempts(&setup.application, &sent, 1).await;
    assert_eq!(paths(), ["/broadcast", "/opt-in"]);
}

/// "Upon creation, you will receive an `id`": "include the `webhook_id` parameter and its corresponding value".
#[tokio::test]
async fn compose_ids_select_the_webhook() {
    let setup = Setup::new(Behaviour::accepts()).await;
    let named = async |name: &str| {
        let url = setup.receiver.url(&format!("/{name}"));
        setup.compose(&json!({ "name": name, "url": url, "method": "GET" })).await
    };
    let (_first, second) = (named("first").await, named("second").await);
    let sent = setup.send_to(&second, STATUS, &seed("whatsapp-status.json")).await;
    setup.router.api().wait_for_attempts(&setup.application, &sent, 1).await;
    let paths: Vec<_> = setup.receiver.requests().into_iter().map(|request| request.path).collect();
    assert_eq!(paths, ["/second"]);
    let unknown = Endpoint { id: "ep_unknown".to_owned(), ..second };
    let sent = format!(r#"{{"webhook_id":"{}","eventType":"a","payload":{{}}}}"#, unknown.id);
    let reply = setup.router.api().try_send(&setup.application, &sent, None).await;
    reply.check_refused(422, "endpoint_unknown");
}

/// "Example Compose Webhook Request".
#[tokio::test]
async fn compose_example_request() {
    let setup = Setup::new(Behaviour::accepts()).await;
    let body: Value = serde_json::from_str(
        r#"{
      "id": "@{{payload.id}}",
      "mobile": "@{{payload.mobile}}",
      "message_status": "@{{payload.status}}",
      "read_at": "@{{payload.read_at}}"
    }"#,
    )
    .expect("it is printed as JSON");
    let composition = json!({
        "name": "example",
        "url": setup.here("https://www.domain.com/ack/receive?id=@{{payload.id}}"),
        "method": "POST",
        "headers": { "content-type": "application/json", "Authorization": "Bearer %token%" },
        "body": { "format": "json", "content": body },
    });
    let request = setup.report(&composition).await;
    assert_eq!(request.method.as_str(), "POST");
    assert_eq!(request.path, "/ack/receive?id=a418d672-9781-4d97-b517-a56f7d95ad8a");
    assert_eq!(request.headers["content-type"], "application/json");
    assert_eq!(request.headers["authorization"], "Bearer %token%");
    let expect = r#"{"id":"a418d672-9781-4d97-b517-a56f7d95ad8a","mobile":"9190199xxxxx","message_status":"delivered","read_at":"2021-06-18T14:48:06.886358Z"}"#;
    assert_eq!(&request.body[..], expect.as_bytes());
    assert!(!setup.router.log().contains("%token%"), "a token is in the log");
}

/// "Replaced variables can be used while creating or composing a webhook".
#[tokio::test]
async fn compose_variables_of_the_table() {
    let setup = Setup::new(Behaviour::accepts()).await;
    let mut event = status();
    // The table has it and the printed notification does not.
    event["payload"]["submit_time"] = json!("2021-06-18T14:48:05.000000Z");
    let names = [
        "id",
        "from",
        "to",
        "status",
        "delivered_at",
        "read_at",
        "processed_at",
        "submit_time",
        "foreign_id",
    ];
    let content: Value = names
        .into_iter()
        .flat_map(|name| [name.to_owned(), format!("payload.{name}")])
        .map(|path| (path.clone(), Value::from(format!("@{{{{{path}}}}}"))))
        .collect();
    let composition = json!({
        "name": "table", "url": setup.receiver.url("/"), "body": { "format": "json", "content": content },
    });
    let request = setup.report_of(&composition, &event.to_string()).await;
    let body: Value = serde_json::from_slice(&request.body).expect("it is JSON");
    for name in names {
        assert_eq!(body[name], event["payload"][name], "{name}");
        assert_eq!(body[format!("payload.{name}")], event["payload"][name], "{name}");
    }
}

/// "status: sent|delivered|read|failed|deleted".
#[tokio::test]
async fn each_status_is_reported() {
    let setup = Setup::new(Behaviour::accepts()).await;
    let url = setup.here("https://www.domain.com/ack/receive?status=@{{payload.status}}");
    let webhook = setup.compose(&json!({ "name": "states", "url": url, "method": "GET" })).await;
    let mut event = status();
    for (sent, name) in ["sent", "delivered", "read", "failed", "deleted"].into_iter().enumerate() {
        event["payload"]["status"] = json!(name);
        setup.send_to(&webhook, STATUS, &event.to_string()).await;
        let request = setup.receiver.wait_for(sent + 1).await.pop().expect("one was awaited");
        assert_eq!(request.path, format!("/ack/receive?status={name}"));
    }
}

/// "Body Format: Choose between JSON or FormData for the payload", with whatever a value may hold.
#[tokio::test]
async fn compose_form_data_with_binary() {
    let setup = Setup::new(Behaviour::accepts()).await;
    let binary = "\0\u{1}\r\n--hookmill\r\n\u{7f}\"&=%+\u{fffd}";
    let composition = json!({
        "name": "form", "url": setup.receiver.url("/"),
        "body": { "format": "formData", "content": { "data": "@{{payload.data}}", "state": "is @{{status}}" } },
    });
    let event = json!({ "event": STATUS, "payload": { "data": binary, "status": 3 } });
    let request = setup.report_of(&composition, &event.to_string()).await;
    let content_type = request.headers["content-type"].to_str().expect("it is text").to_owned();
    let boundary =
        content_type.strip_prefix("multipart/form-data; boundary=").expect("it names its boundary");
    let part = |name: &str, value: &str| {
        format!("--{boundary}\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let expect = format!("{}{}--{boundary}--\r\n", part("data", binary), part("state", "is 3"));
    assert_eq!(String::from_utf8_lossy(&request.body), expect);
}

/// A retry sends what the first attempt sent, also after a restart and when the composition was changed.
#[tokio::test]
async fn compose_retries_send_the_same() {
    let receiver = Receiver::start(Behaviour::statuses([500])).await;
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let application = router.api().create_application("whatsapp").await;
    let mut composition = json!({
        "name": "first", "url": receiver.url("/first/@{{id}}"), "headers": { "authorization": "Bearer 1" },
        "body": { "format": "json", "content": "@{{status}}" },
    });
    let path = format!("/app/{application}/compose");
    let created = router.api().call(Method::POST, &path).json(&composition).await.expect(201);
    let webhook = Endpoint { application: application.clone(), id: text(&created, "id") };
    let once = json!({ "schedule": [1.0], "jitterPercent": 0 });
    router.api().set_policy(&webhook, once).await;
    // A compose webhook on these terms gets what names it.
    let payload: Value = serde_json::from_str(&seed("whatsapp-status.json")).expect("the seed is JSON");
    let message = json!({ "webhook_id": webhook.id, "eventType": STATUS, "payload": payload });
    let sent = router.api().try_send(&application, &message.to_string(), None).await.expect(202);
    router.api().wait_for_attempts(&application, &text(&sent, "id"), 1).await;
    composition["url"] = receiver.url("/second").into();
    let compose = format!("{}/compose", webhook.path());
    let _ = router.api().call(Method::PUT, &compose).json(&composition).await.expect(200);
    router.kill().await;

    let router = data_dir.start().await;
    router.api().wait_until_drained(&webhook).await;
    let requests = receiver.requests();
    let (first, last) = (&requests[0], requests.last().expect("there is one"));
    assert!(requests.len() >= 2 && first.path.starts_with("/first/a418d672"), "{requests:?}");
    assert_eq!((&first.path, &first.body), (&last.path, &last.body));
    assert_eq!(last.headers["authorization"], "Bearer 1");
}

/// "Bad input": header injection through a variable sends nothing, and says why.
#[tokio::test]
async fn compose_headers_are_not_injected() {
    let setup = Setup::new(Behaviour::accepts()).await;
    let headers = json!({ "x-status": "@{{status}}" });
    let webhook =
        setup.compose(&json!({ "name": "h", "url": setup.receiver.url("/"), "headers": headers })).await;
    let event = json!({ "event": STATUS, "payload": { "status": "sent\r\nx-injected: 1" } });
    let sent = setup.send_to(&webhook, STATUS, &event.to_string()).await;
    let attempt = setup.router.api().wait_for_attempts(&setup.application, &sent, 1).await.remove(0);
    assert_eq!(attempt["failureCode"], "compose_header_value_invalid", "{attempt}");
    assert_eq!(attempt["nextAttempt"], Value::Null, "no attempt heals it: {attempt}");
    assert!(setup.receiver.requests().is_empty());
}

/// "Bad input": what is refused when it is saved.
#[tokio::test]
async fn compose_webhooks_that_are_refused() {
    let setup = Setup::new(Behaviour::accepts()).await;
    let with_url = |url: &str| json!({ "name": "bad", "url": url });
    let check = async |url: &str, status: u16, code: &str| {
        setup.check_compose_refused(&with_url(url), status, code).await;
    };
    check("https://@{{payload.host}}/ack", 422, "compose_host_variable").await;
    check("https://www.domain.com/@{{id", 422, "compose_variable_unclosed").await;
    check("https://www.domain.com/@{{stauts}}", 422, "compose_variable_unknown").await;
    check("http://169.254.169.254/@{{id}}", 422, "address_blocked").await;
    check(&format!("https://www.domain.com/{}", "@{{".repeat(20_000)), 422, "compose_variable_unclosed")
        .await;
    check(&format!("https://www.domain.com/?{}", "x".repeat(100_000)), 422, "compose_text_too_long").await;
    check(&format!("https://www.domain.com/?{}", "x".repeat(1 << 20)), 413, "payload_too_large").await;
    let mut listed = with_url("https://@{{payload.host}}/ack");
    listed["allowedOrigins"] = json!(["https://eu.domain.com", "http://169.254.169.254"]);
    setup.check_compose_refused(&listed, 422, "address_blocked").await;
}

/// A host from a variable reaches the origins that are listed, and no other.
#[tokio::test]
async fn compose_hosts_vary_among_listed_origins() {
    let setup = Setup::new(Behaviour::accepts()).await;
    let port = setup.receiver.address().port();
    let composition = json!({
        "name": "ports", "url": "http://127.0.0.1:@{{port}}/", "allowedOrigins": [setup.receiver.url("")],
        "sample": { "port": port },
    });
    let webhook = setup.compose(&composition).await;
    let api = setup.router.api();
    let listed = setup.send_to(&webhook, STATUS, &json!({ "port": port }).to_string()).await;
    let attempt = api.wait_for_attempts(&setup.application, &listed, 1).await.remove(0);
    assert_eq!(attempt["statusText"], "success", "{attempt}");
    let other = setup.send_to(&webhook, STATUS, r#"{"port":1}"#).await;
    let attempt = api.wait_for_attempts(&setup.application, &other, 1).await.remove(0);
    assert_eq!(attempt["failureCode"], "compose_origin_not_allowed", "{attempt}");
}
