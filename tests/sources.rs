//! Sources: what providers send is verified, known if it is a repeat, stored, and delivered like every other event.
//!
//! The tests sign with code of their own, and where a provider publishes a vector that no clock spoils, they send that.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use hookmill_core::limits::EVENT_BODY_BYTES_MAX;
use hookmill_testkit::receiver::{Behaviour, Receiver};
use hookmill_tests::api::{Endpoint, Reply};
use hookmill_tests::router::{DataDir, Router};
use hookmill_tests::{fixture, judge};
use http::Method;
use serde_json::{Value, json};

mod as_providers_are;

/// The secret of every source whose provider takes any text.
const SECRET: &str = "It's a Secret to Everybody";
/// What the tests' Twilio calls.
const PUBLIC_URL: &str = "https://mycompany.com/myapp.php";

/// A router with one application and one endpoint, which sources feed.
struct Setup {
    data_dir: DataDir,
    router: Router,
    endpoint: Endpoint,
    receiver: Receiver,
}

/// A request of a provider.
struct Post {
    /// What follows `/in/`.
    path: String,
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl Setup {
    async fn new() -> Self {
        let receiver = Receiver::start(Behaviour::accepts()).await;
        let data_dir = DataDir::new();
        let router = data_dir.start().await;
        let application = router.api().create_application("sources").await;
        let endpoint = router.api().create_endpoint(&application, &receiver.url("/hook"), json!({})).await;
        Self { data_dir, router, endpoint, receiver }
    }

    /// Ends the router as a crash does, and starts it again.
    async fn restart(self) -> Self {
        let Self { data_dir, router, endpoint, receiver } = self;
        router.kill().await;
        Self { router: data_dir.start().await, data_dir, endpoint, receiver }
    }

    async fn source(&self, name: &str, more: Value) -> Value {
        self.try_source(name, more).await.expect(201)
    }

    async fn try_source(&self, name: &str, more: Value) -> Reply {
        let mut body = json!({ "name": name, "application": self.endpoint.application });
        let Value::Object(more) = more else { panic!("an object") };
        body.as_object_mut().expect("an object").extend(more);
        self.router.api().call(Method::POST, "/source").json(&body).await
    }

    /// A source of a provider, named like it.
    async fn source_of(&self, provider: &str) {
        let secret = if provider == "standard_webhooks" { standard_secret() } else { SECRET.to_owned() };
        let verification = json!({ "type": provider });
        let more = json!({ "verification": verification, "secret": secret, "publicUrl": PUBLIC_URL });
        self.source(&slug(provider), more).await;
    }

    async fn post(&self, post: &Post) -> Reply {
        self.request(Method::POST, post).await
    }

    async fn request(&self, method: Method, post: &Post) -> Reply {
        let api = self.router.api().without_key();
        let mut call = api.call_at(method, &format!("/in/{}", post.path));
        for (name, value) in &post.headers {
            call = call.header(name, value);
        }
        call.body(post.body.clone()).await
    }

    /// All events of the application, the latest first.
    async fn events(&self) -> Vec<Value> {
        let list = self.router.api().get(&format!("/app/{}/msg", self.endpoint.application)).await;
        list["data"].as_array().expect("a list has data").clone()
    }
}

impl Post {
    fn new(source: &str, content_type: &str, body: &str) -> Self {
        let headers = vec![("content-type", content_type.to_owned())];
        Self { path: source.to_owned(), headers, body: body.to_owned() }
    }

    fn json(source: &str, body: &Value) -> Self {
        Self::new(source, "application/json", &body.to_string())
    }

    fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

fn slug(provider: &str) -> String {
    provider.replace('_', "-")
}

fn standard_secret() -> String {
    format!("whsec_{}", STANDARD.encode([7; 32]))
}

fn hmac<M: Mac + KeyInit>(pieces: &[&str]) -> Vec<u8> {
    let mut mac = <M as KeyInit>::new_from_slice(SECRET.as_bytes()).expect("a key of any length");
    pieces.iter().for_each(|piece| mac.update(piece.as_bytes()));
    mac.finalize().into_bytes().to_vec()
}

fn sha256(pieces: &[&str]) -> Vec<u8> {
    hmac::<Hmac<sha2::Sha256>>(pieces)
}

#[expect(clippy::disallowed_methods, reason = "providers have clocks of their own")]
fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs()
}

fn inbound_vector(provider: &str) -> Value {
    let path = fixture::tests_directory().join("data/vectors/signatures.json");
    let vectors: Value =
        serde_json::from_slice(&std::fs::read(path).expect("the vectors are there")).expect("they are JSON");
    vectors["inbound"][provider]["vectors"][0].clone()
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_else(|| panic!("no {field} in {value}"))
}

/// A request of this provider, signed now, about something with this id, which is its delivery's id as well.
fn signed(provider: &str, id: &str) -> Post {
    let source = &slug(provider);
    let time = &now().to_string();
    match provider {
        "github" => {
            let post = Post::json(source, &json!({ "action": "opened", "id": id }));
            let signature = hex::encode(sha256(&[&post.body]));
            post.header("x-hub-signature-256", format!("sha256={signature}")).header("x-github-delivery", id)
        }
        "stripe" => {
            let post = Post::json(source, &json!({ "id": id, "type": "invoice.paid" }));
            let signature = hex::encode(sha256(&[time, ".", &post.body]));
            post.header("stripe-signature", format!("t={time},v1={},v1={signature}", "00".repeat(32)))
        }
        "slack" => {
            let post = Post::json(source, &json!({ "type": "event_callback", "event_id": id }));
            let signature = hex::encode(sha256(&["v0:", time, ":", &post.body]));
            post.header("x-slack-signature", format!("v0={signature}"))
                .header("x-slack-request-timestamp", time)
        }
        "twilio" => {
            let fields = "MessageSid=SM1&MessageStatus=delivered&To=%2B14155551212";
            let post = Post::new(source, "application/x-www-form-urlencoded", &format!("{fields}&Id={id}"));
            let joined = format!("Id{id}MessageSidSM1MessageStatusdeliveredTo+14155551212");
            let signature = STANDARD.encode(hmac::<Hmac<sha1::Sha1>>(&[PUBLIC_URL, &joined]));
            post.header("x-twilio-signature", signature).header("i-twilio-idempotency-token", id)
        }
        "shopify" => {
            let post = Post::json(source, &json!({ "order": id }));
            let signature = STANDARD.encode(sha256(&[&post.body]));
            post.header("x-shopify-hmac-sha256", signature).header("x-shopify-webhook-id", id)
        }
        "mailgun" => {
            let signature = hex::encode(sha256(&[time, id]));
            let signature = json!({ "timestamp": time, "token": id, "signature": signature });
            Post::json(source, &json!({ "signature": signature, "event-data": { "event": "delivered" } }))
        }
        "standard_webhooks" => {
            let post = Post::json(source, &json!({ "type": "user.created" }));
            let signer = standardwebhooks::Webhook::new(&standard_secret()).expect("a secret");
            let now = i64::try_from(now()).expect("a time of this age");
            let signature = signer.sign(id, now, post.body.as_bytes()).expect("it signs");
            post.header("webhook-id", id)
                .header("webhook-timestamp", time)
                .header("webhook-signature", signature)
        }
        _ => panic!("{provider} is not among the tests' providers"),
    }
}

const PROVIDERS: [&str; 7] =
    ["github", "stripe", "slack", "twilio", "shopify", "mailgun", "standard_webhooks"];

#[tokio::test]
async fn what_each_provider_signs_is_delivered() {
    let setup = Setup::new().await;
    let secret = setup.router.api().secret(&setup.endpoint).await;
    for (index, provider) in PROVIDERS.into_iter().enumerate() {
        setup.source_of(provider).await;
        let post = signed(provider, "delivery-1");
        let reply = setup.post(&post).await;
        assert_eq!(reply.status, if provider == "twilio" { 204 } else { 200 }, "{provider}: {reply:?}");
        let requests = setup.receiver.wait_for(index + 1).await;
        let request = requests.last().unwrap();
        judge::check(&secret, request);
        assert_eq!(request.body, post.body, "{provider}");
        assert_eq!(request.headers["content-type"], post.headers[0].1.as_str(), "{provider}");
        let event = &setup.events().await[0];
        let name = slug(provider);
        assert_eq!(text(event, "eventType"), format!("{name}.received"));
        assert_eq!(text(event, "eventId"), format!("{name}.delivery-1"));
        assert_eq!(request.headers["webhook-id"], text(event, "id"));
    }
    assert!(!setup.router.log().contains(SECRET), "a secret is in the log");
}

/// What a bundled plugin's manifest says of one of its samples.
struct Documented {
    plugin: &'static str,
    sample: &'static str,
    verification: &'static str,
}

/// The provider's documented report goes in, one notification of the plugin's shape comes out.
#[tokio::test]
async fn reports_of_providers_become_notifications_by_plugins_that_come_with_the_router() {
    let setup = Setup::new().await;
    let documented = [
        Documented { plugin: "mailgun", sample: "delivered", verification: "mailgun" },
        Documented { plugin: "twilio", sample: "delivered", verification: "twilio" },
        Documented { plugin: "whatsapp", sample: "a report in an envelope", verification: "none" },
        Documented { plugin: "mifumo", sample: "delivered", verification: "none" },
    ];
    for (index, Documented { plugin, sample, verification }) in documented.into_iter().enumerate() {
        let mut more = json!({ "verification": { "type": verification }, "plugin": { "name": plugin } });
        if verification != "none" {
            more["secret"] = SECRET.into();
            more["publicUrl"] = PUBLIC_URL.into();
        }
        setup.source(plugin, more).await;

        let sample = sample_of(plugin, sample);
        let post = post_of(plugin, &sample["request"]);
        let reply = setup.post(&post).await;
        assert!((200..300).contains(&reply.status), "{plugin}: {reply:?}");
        let accepted = &sample["expect"]["accept"][0];
        let request = setup.receiver.wait_for(index + 1).await.pop().expect("one was awaited");
        let body: Value = serde_json::from_slice(&request.body).expect("a notification is JSON");
        for (name, expected) in accepted["body"].as_object().expect("an object") {
            // The sample of Mailgun was signed by nobody.
            if name != "original" && name != "occurred_at" {
                assert_eq!(&body[name], expected, "{plugin}: {name}");
            }
        }
        assert_eq!(setup.events().await[0]["eventType"], accepted["type"], "{plugin}");
    }
    let patch = json!({ "plugin": { "name": "mailgun", "settings": { "unknown": true } } });
    let refused = setup.router.api().call(Method::PATCH, "/source/mailgun").json(&patch).await;
    refused.check_refused(422, "settings_invalid");
}

fn sample_of(plugin: &str, name: &str) -> Value {
    let path = fixture::tests_directory().join(format!("../plugins/{plugin}/plugin.json"));
    let manifest: Value =
        serde_json::from_slice(&std::fs::read(path).expect("it is there")).expect("it is JSON");
    let samples = manifest["samples"].as_array().expect("it has samples");
    samples.iter().find(|sample| sample["name"] == name).expect("it has this sample").clone()
}

/// A sample's request, signed as its provider does.
fn post_of(plugin: &str, request: &Value) -> Post {
    match plugin {
        "mailgun" => {
            let (time, token) = (now().to_string(), "token-7");
            let mut body = request["body"].clone();
            let signature = hex::encode(sha256(&[&time, token]));
            body["signature"] = json!({ "timestamp": time, "token": token, "signature": signature });
            Post::json(plugin, &body)
        }
        "twilio" => {
            let form = text(request, "body_text");
            let mut fields: Vec<(String, String)> =
                url::form_urlencoded::parse(form.as_bytes()).into_owned().collect();
            fields.sort();
            let joined: String = fields.into_iter().flat_map(|(name, value)| [name, value]).collect();
            let signature = STANDARD.encode(hmac::<Hmac<sha1::Sha1>>(&[PUBLIC_URL, &joined]));
            Post::new(plugin, "application/x-www-form-urlencoded", form)
                .header("x-twilio-signature", signature)
        }
        _ => Post::json(plugin, &request["body"]),
    }
}

#[tokio::test]
async fn published_vectors_are_accepted() {
    let setup = Setup::new().await;
    let github = inbound_vector("github");
    let signed = json!({ "type": "github" });
    setup.source("github", json!({ "verification": signed, "secret": github["secret"] })).await;
    let post = Post::new("github", "text/plain", text(&github, "body"))
        .header("x-hub-signature-256", text(&github, "signature"));
    setup.post(&post).await.expect_status(200);

    let twilio = inbound_vector("twilio");
    let more = json!({
        "verification": { "type": "twilio" }, "secret": twilio["token"], "publicUrl": PUBLIC_URL, "successStatus": 202,
    });
    setup.source("twilio", more).await;
    let fields = twilio["params"].as_object().unwrap().iter();
    let fields =
        fields.map(|(name, value)| format!("{name}={}", value.as_str().unwrap().replace('+', "%2B")));
    let form = fields.collect::<Vec<_>>().join("&");
    let mut post = Post::new("twilio", "application/x-www-form-urlencoded", &form)
        .header("x-twilio-signature", text(&twilio, "signature"));
    post.path.push_str("?foo=1&bar=2");
    setup.post(&post).await.expect_status(202);
    let delivered = setup.receiver.wait_for(2).await;
    let mut bodies: Vec<&[u8]> = delivered.iter().map(|request| &request.body[..]).collect();
    bodies.sort_unstable();
    assert_eq!(bodies, [form.as_bytes(), b"Hello, World!"]);

    // The order of the query is signed, and so is the path after the source's.
    post.path = "twilio?bar=2&foo=1".to_owned();
    setup.post(&post).await.check_refused(401, "signature_mismatch");
    post.path = "twilio/?foo=1&bar=2".to_owned();
    setup.post(&post).await.check_refused(401, "signature_mismatch");
}

#[tokio::test]
async fn what_is_not_signed_by_the_provider_is_refused() {
    let setup = Setup::new().await;
    for provider in PROVIDERS {
        setup.source_of(provider).await;
        let unsigned = Post::new(&slug(provider), "application/json", "{}");
        let reply = setup.post(&unsigned).await;
        reply.check_refused(401, "signature_missing");
        assert_eq!(reply.headers["content-type"], "application/problem+json");
        assert_eq!(
            (reply.json()["status"].clone(), reply.json()["title"].clone()),
            (json!(401), json!("Unauthorized"))
        );
        if provider == "mailgun" {
            continue;
        }
        let mut changed = signed(provider, "delivery-2");
        changed.body.push(' ');
        setup.post(&changed).await.check_refused(401, "signature_mismatch");
    }
    assert_eq!(setup.events().await, [] as [Value; 0]);
    assert!(setup.receiver.requests().is_empty());
}

#[tokio::test]
async fn a_signature_that_does_not_cover_the_body_counts_for_one_body() {
    let setup = Setup::new().await;
    setup.source_of("mailgun").await;
    let post = signed("mailgun", "token-1");
    setup.post(&post).await.expect_status(200);
    let forged = Post { body: post.body.replace("delivered", "failed"), ..signed("mailgun", "token-1") };
    setup.post(&forged).await.check_refused(401, "signature_reused");
    let setup = setup.restart().await;
    setup.post(&forged).await.check_refused(401, "signature_reused");
    setup.post(&post).await.expect_status(200);
    assert_eq!(setup.events().await.len(), 1);
}

#[tokio::test]
async fn slack_gets_its_challenge_back_once_it_signs() {
    let setup = Setup::new().await;
    setup.source_of("slack").await;
    let body = json!({ "type": "url_verification", "challenge": "3eZbrw1aBm2rZgRNFdxV", "token": "t" });
    let unsigned = Post::json("slack", &body);
    setup.post(&unsigned).await.check_refused(401, "signature_missing");
    let time = now().to_string();
    let signature = hex::encode(sha256(&["v0:", &time, ":", &unsigned.body]));
    let post = unsigned
        .header("x-slack-signature", format!("v0={signature}"))
        .header("x-slack-request-timestamp", time);
    let reply = setup.post(&post).await;
    reply.expect_status(200);
    assert_eq!(reply.body, "3eZbrw1aBm2rZgRNFdxV");
    assert_eq!(reply.headers["content-type"], "text/plain; charset=utf-8");
    assert_eq!(setup.events().await, [] as [Value; 0]);
}

#[tokio::test]
async fn a_replay_outside_the_window_is_refused() {
    let setup = Setup::new().await;
    let slack = inbound_vector("slack");
    setup.source("slack", json!({ "verification": { "type": "slack" }, "secret": slack["secret"] })).await;
    let post = Post::new("slack", "application/x-www-form-urlencoded", text(&slack, "body"))
        .header("x-slack-signature", text(&slack, "signature"))
        .header("x-slack-request-timestamp", slack["timestamp"].to_string());
    setup.post(&post).await.check_refused(401, "timestamp_outside_window");

    setup.source_of("stripe").await;
    for (away, expect) in [(-200, 200), (-400, 401), (200, 200), (400, 401)] {
        let time = now().checked_add_signed(away).unwrap().to_string();
        let body = json!({ "id": format!("evt_{away}") }).to_string();
        let signature = hex::encode(sha256(&[&time, ".", &body]));
        let post = Post::new("stripe", "application/json", &body)
            .header("stripe-signature", format!("t={time},v1={signature}"));
        setup.post(&post).await.expect_status(expect);
    }
    assert_eq!(setup.events().await.len(), 2);
}

#[tokio::test]
async fn the_same_delivery_twice_is_one_event_also_after_a_restart() {
    let mut setup = Setup::new().await;
    for provider in PROVIDERS {
        setup.source_of(provider).await;
    }
    let posts: Vec<Post> = PROVIDERS.iter().map(|provider| signed(provider, "delivery-3")).collect();
    for restarts in 0..2 {
        for post in &posts {
            let [first, second] = [setup.post(post).await, setup.post(post).await];
            assert!(first.status < 300 && first.status == second.status, "{first:?} {second:?}");
        }
        assert_eq!(setup.events().await.len(), PROVIDERS.len(), "after {restarts} restarts");
        setup = setup.restart().await;
    }
    // Another source's delivery with the same id is another one.
    let more = json!({ "verification": { "type": "github" }, "secret": SECRET });
    setup.source("github-2", more).await;
    let post = Post { path: "github-2".to_owned(), ..signed("github", "delivery-3") };
    setup.post(&post).await.expect_status(200);
    assert_eq!(setup.events().await.len(), PROVIDERS.len() + 1);
    setup.router.api().wait_until_drained(&setup.endpoint).await;
}

#[tokio::test]
async fn an_hmac_is_whatever_its_user_describes() {
    let setup = Setup::new().await;
    let verification = json!({
        "type": "hmac", "header": "X-Sig", "algorithm": "sha512", "encoding": "base64", "prefix": "v2=",
        "input": "{method}|{id}|{timestamp}|{url}|{body}", "timestampHeader": "X-Time", "timestampUnit": "milliseconds",
        "idHeader": "X-Id",
    });
    let made = setup
        .source(
            "own",
            json!({
                "verification": verification, "secret": SECRET, "publicUrl": "https://a.example/in/own",
                "eventType": { "header": "X-Topic" }, "toleranceSeconds": 60, "successStatus": 201,
            }),
        )
        .await;
    assert_eq!(made["verification"]["input"], verification["input"]);
    assert!(!made.to_string().contains(SECRET), "{made}");
    let time = (now() * 1000).to_string();
    let url = "https://a.example/in/own/sub?x=%20";
    let signature =
        STANDARD.encode(hmac::<Hmac<sha2::Sha512>>(&["PUT|id 7|", &time, "|", url, "|", "not json"]));
    let mut post = Post::new("own/sub?x=%20", "text/plain", "not json")
        .header("x-sig", format!("v2={signature}"))
        .header("x-time", time)
        .header("x-id", "id 7")
        .header("x-topic", "orders/create");
    setup.request(Method::PUT, &post).await.expect_status(201);
    setup.request(Method::PUT, &post).await.expect_status(201);
    setup.request(Method::POST, &post).await.check_refused(401, "signature_mismatch");
    post.path = "own/sub".to_owned();
    setup.request(Method::PUT, &post).await.check_refused(401, "signature_mismatch");
    let [event] = &setup.events().await[..] else { panic!("one event") };
    assert_eq!(text(event, "eventType"), "orders.create");
    assert!(text(event, "eventId").starts_with("own."), "{event}");
}

#[tokio::test]
async fn secrets_rotate_without_a_gap() {
    let setup = Setup::new().await;
    setup.source_of("github").await;
    let old = signed("github", "delivery-4");
    let rotate = async |key: &str, seconds: u64| {
        let call = setup.router.api().call(Method::POST, "/source/github/secret/rotate");
        call.json(&json!({ "key": key, "gracePeriodSeconds": seconds })).await.expect_status(204);
    };
    rotate("another secret", 3600).await;
    setup.post(&old).await.expect_status(200);
    rotate("a third secret", 0).await;
    setup.post(&old).await.expect_status(200);
    let patch = setup.router.api().call(Method::PATCH, "/source/github");
    let _ = patch.json(&json!({ "secret": "the only one" })).await.expect(200);
    setup.post(&old).await.check_refused(401, "signature_mismatch");
}

#[tokio::test]
async fn what_no_source_takes_is_refused_by_name() {
    let setup = Setup::new().await;
    let open = json!({ "verification": { "type": "none" }, "eventType": { "pointer": "/kind" } });
    setup.source("open", open).await;
    let post = |path: &str, body: &str| Post::new(path, "application/json", body);
    setup.post(&post("closed", "{}")).await.check_refused(404, "not_found");
    setup.post(&post("open/any/path?a=b", r#"{"kind": "a.b"}"#)).await.expect_status(200);
    setup.post(&post("open/", r#"{"kind": 7}"#)).await.expect_status(200);
    setup.post(&post("open", "not json")).await.expect_status(200);
    let types: Vec<Value> = setup.events().await.iter().map(|event| event["eventType"].clone()).collect();
    assert_eq!(types, ["open.received", "7", "a.b"]);

    let large = "x".repeat(EVENT_BODY_BYTES_MAX + 1);
    setup.post(&post("open", &large)).await.check_refused(413, "payload_too_large");
    setup.request(Method::DELETE, &post("open", "")).await.check_refused(405, "method_not_allowed");
    setup.request(Method::GET, &post("open?a=b", "")).await.check_refused(422, "method_unusable");
    let patch =
        async |change: Value| setup.router.api().call(Method::PATCH, "/source/open").json(&change).await;
    let _ = patch(json!({ "disabled": true })).await.expect(200);
    setup.post(&post("open", "{}")).await.check_refused(403, "source_disabled");
    patch(json!({ "name": "other" })).await.check_refused(422, "field_fixed");
    patch(json!({ "secret": "s" })).await.check_refused(422, "secret_unused");
    patch(json!({ "plugin": { "name": "nowhere" } })).await.check_refused(422, "plugin_unknown");
    let delete = setup.router.api().call(Method::DELETE, "/source/open").reply().await;
    delete.expect_status(204);
    setup.post(&post("open", "{}")).await.check_refused(404, "not_found");
    assert_eq!(setup.events().await.len(), 3);
}

#[tokio::test]
async fn a_source_that_would_believe_nobody_or_everybody_by_mistake_is_refused() {
    let setup = Setup::new().await;
    setup.source_of("github").await;
    let check = async |name: &str, more: Value, status: u16, code: &str| {
        setup.try_source(name, more).await.check_refused(status, code);
    };
    let provider = |name: &str| json!({ "verification": { "type": name }, "secret": "s" });
    check("github", provider("github"), 409, "source_name_taken").await;
    check("Upper", provider("github"), 422, "source_name_invalid").await;
    check("a", json!({}), 422, "field_missing").await;
    check("a", provider("gitea"), 422, "verification_unknown").await;
    check("a", provider("none"), 422, "secret_unused").await;
    check("a", json!({ "verification": { "type": "stripe" } }), 422, "secret_missing").await;
    check("a", json!({ "verification": { "type": "stripe" }, "secret": "" }), 422, "secret_invalid").await;
    check("a", provider("standard_webhooks"), 422, "signing_key_encoding_invalid").await;
    check("a", provider("twilio"), 422, "public_url_missing").await;
    let described = |input: &str| json!({ "type": "hmac", "header": "x-sig", "input": input });
    let hmac = |input: &str| json!({ "verification": described(input), "secret": "s" });
    check("a", hmac("{id}"), 422, "body_not_signed").await;
    check("a", hmac("{timestamp}{body}"), 422, "timestamp_not_signed").await;
    check("a", hmac("{url}{body}"), 422, "public_url_missing").await;
    check(
        "a",
        json!({ "verification": { "type": "github", "header": "x" }, "secret": "s" }),
        422,
        "verification_described_twice",
    )
    .await;
    let with = |field: &str, value: Value| json!({ "verification": { "type": "none" }, field: value });
    check("a", with("publicUrl", json!("ftp://a.example")), 422, "public_url_invalid").await;
    check("a", with("toleranceSeconds", json!(0)), 422, "tolerance_out_of_range").await;
    check("a", with("successStatus", json!(302)), 422, "success_status_invalid").await;
    check("a", with("dedupe", json!({ "pointer": "id" })), 422, "pointer_invalid").await;
    check("a", with("eventType", json!({ "constant": "a b" })), 422, "name_invalid").await;
    check("a", with("surprise", json!(1)), 422, "member_unknown").await;
    let listed = setup.router.api().get("/source").await;
    assert_eq!(listed["data"].as_array().unwrap().len(), 1);
    assert_eq!(listed["data"][0]["path"], "/in/github");
}
