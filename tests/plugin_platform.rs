//! Plugins as their users meet them: tried, promoted, put on trial, taken back, and those that come with the router.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use hookmill_testkit::receiver::{Answer, Behaviour, Receiver};
use hookmill_tests::api::{Endpoint, quick_retries, text};
use hookmill_tests::router::{DataDir, Router};
use hookmill_tests::{plugin, wait};
use http::Method;
use serde_json::{Value, json};

use crate::hostile_plugins::guest::{Maker, Parts};

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
        let application = router.api().create_application("platform").await;
        let endpoint = router.api().create_endpoint(&application, &receiver.url("/hook"), json!({})).await;
        router.api().set_policy(&endpoint, quick_retries(2)).await;
        Self { router, endpoint, receiver, _data_dir: data_dir }
    }

    async fn post(&self, path: &str, body: &Value) -> Value {
        self.router.api().call(Method::POST, path).json(body).await.expect(200)
    }

    async fn use_plugin(&self, transformation: Value) {
        self.router.api().set_transformation(&self.endpoint, transformation).await;
    }

    /// Sends an event and answers what arrived.
    async fn deliver(&self, payload: &Value) -> (Value, http::HeaderMap) {
        let before = self.receiver.requests().len();
        self.router.api().send(&self.endpoint.application, "order.paid", &payload.to_string()).await;
        let request = self.receiver.wait_for(before + 1).await.pop().expect("one was awaited");
        (serde_json::from_slice(&request.body).expect("JSON arrives"), request.headers)
    }

    /// Sends an event and answers its attempts, once there are so many.
    async fn attempts(&self, payload: &str, count: usize) -> Vec<Value> {
        let api = self.router.api();
        let message = api.send(&self.endpoint.application, "order.paid", payload).await;
        api.wait_for_attempts(&self.endpoint.application, &message, count).await
    }
}

/// The same change, as each of them documents it: a field renamed, one added, a header set where there are headers.
const HANDLERS: [(&str, &str); 3] = [
    (
        "Svix",
        "function handler(webhook) {
            webhook.payload.reference = webhook.payload.id;
            delete webhook.payload.id;
            return webhook;
        }",
    ),
    (
        "Convoy",
        "function transform(payload) {
            payload.reference = payload.id;
            delete payload.id;
            return payload;
        }",
    ),
    (
        "Hookdeck",
        r#"addHandler("transform", (request, context) => {
            request.body.reference = request.body.id;
            delete request.body.id;
            return request;
        });"#,
    ),
];

#[tokio::test]
async fn handlers_written_for_others_deliver_the_same_body() {
    let setup = Setup::new(Behaviour::accepts()).await;
    for (whose, code) in HANDLERS {
        setup.use_plugin(json!({ "enabled": true, "code": code })).await;
        let (body, _) = setup.deliver(&json!({ "id": 7, "amount": 12.5 })).await;
        assert_eq!(body, json!({ "reference": 7, "amount": 12.5 }), "{whose}");
    }
    let shown = setup.router.api().get(&format!("{}/transformation", setup.endpoint.path())).await;
    assert_eq!((&shown["plugin"], &shown["code"]), (&json!("javascript"), &json!(HANDLERS[2].1)));
}

#[tokio::test]
async fn plugins_that_come_with_the_router_need_no_upload() {
    let setup = Setup::new(Behaviour::accepts()).await;
    let settings = json!({ "filter": "{total: ([.items[].price] | add)}" });
    setup.use_plugin(json!({ "plugin": "jq", "settings": settings })).await;
    let (body, _) = setup.deliver(&json!({ "items": [{ "price": 3 }, { "price": 4 }] })).await;
    assert_eq!(body, json!({ "total": 7 }));

    let refused =
        setup.router.api().call(Method::PATCH, &format!("{}/transformation", setup.endpoint.path()));
    refused.json(&json!({ "settings": { "filter": 7 } })).await.check_refused(422, "settings_invalid");
}

/// Its owner may trade the fresh instance for speed; nobody else's runs are in it.
#[tokio::test]
async fn runs_share_an_instance_only_where_the_owner_wants_it() {
    let setup = Setup::new(Behaviour::accepts()).await;
    let code = "let runs = 0; function handle() { runs += 1; return { body: { runs } }; }";
    let count = async || setup.deliver(&json!({})).await.0["runs"].clone();
    setup.use_plugin(json!({ "enabled": true, "code": code })).await;
    assert_eq!([count().await, count().await], [1, 1]);

    let path = format!("{}/transformation", setup.endpoint.path());
    let patch = async |change: Value| setup.router.api().call(Method::PATCH, &path).json(&change).await;
    patch(json!({ "instance": "pooled" })).await.check_refused(422, "instance_unknown");
    setup.use_plugin(json!({ "instance": "reused" })).await;
    let shown = setup.router.api().get(&path).await;
    assert_eq!((&shown["instance"], &shown["code"]), (&json!("reused"), &json!(code)));
    assert_eq!([count().await, count().await, count().await], [1, 2, 3]);

    // Other settings are another instance, and so is a dry run.
    setup.use_plugin(json!({ "code": code, "settings": { "region": "eu" } })).await;
    assert_eq!([count().await, count().await], [1, 2]);
    let tried =
        setup.post("/plugin/run", &json!({ "code": code, "event": { "type": "a", "body": {} } })).await;
    assert_eq!(tried["requests"][0]["body"], json!({ "runs": 1 }), "{tried:#}");
    setup.use_plugin(json!({ "instance": "fresh" })).await;
    assert_eq!([count().await, count().await], [1, 1]);
}

/// Nobody finds out by a failed delivery that a script can't be read.
#[tokio::test]
async fn scripts_and_filters_with_syntax_errors_are_refused_when_they_are_set() {
    let setup = Setup::new(Behaviour::accepts()).await;
    let path = format!("{}/transformation", setup.endpoint.path());
    let patch = async |change: Value| setup.router.api().call(Method::PATCH, &path).json(&change).await;
    setup.use_plugin(json!({ "code": HANDLERS[0].1 })).await;
    for (broken, place) in [
        ("function handler(webhook) {\n  return webhook.;\n}", "script:2:18"),
        ("let x = 1;", "the script has no handler"),
        ("const limit = missing.limit;\nfunction handler(webhook) {}", "script:1:15"),
        ("while (true) {}", "plugin_out_of_fuel"),
        // Brackets that do not match are noticed behind the script, and told where they are.
        ("function handler(webhook) { return webhook;", "script:1:27"),
        (
            "function handler(webhook) { fetch('https://x.example'); return webhook; }",
            "fetch: there is no network",
        ),
        ("async function handler(webhook) { return webhook; }", "returns a promise"),
    ] {
        let refused = patch(json!({ "code": broken })).await;
        refused.check_refused(422, "settings_refused");
        let text = refused.expect(422).to_string();
        assert!(text.contains(place), "{broken}: {text}");
    }
    let refused = patch(json!({ "plugin": "jq", "settings": { "filter": "{total: .a |" } })).await;
    refused.check_refused(422, "settings_refused");
    let shown = setup.router.api().get(&path).await;
    assert_eq!(shown["code"], json!(HANDLERS[0].1), "what worked stays");
    // What only a payload shows is no reason: this one fails at delivery, and only there.
    setup.use_plugin(json!({ "code": "function handler(webhook) { return webhook.payload.a.b; }" })).await;
}

/// The dry run takes what deliveries take, within the same budget.
#[tokio::test]
async fn a_plain_handler_runs_on_the_largest_event() {
    let setup = Setup::new(Behaviour::accepts()).await;
    let item = r#"{"id":1,"tags":["a","b"]},"#;
    let body = format!(r#"{{"items":[{}{{}}]}}"#, item.repeat(((1 << 20) - 100) / item.len()));
    let event = json!({ "type": "order.paid", "body_text": body });
    for question in [
        json!({ "code": "function handler(w) { w.payload.paid = true; return w; }", "event": event }),
        json!({ "plugin": "jq", "settings": { "filter": ".paid = true" }, "event": event }),
    ] {
        let tried = setup.post("/plugin/run", &question).await;
        assert_eq!(tried["failure"], Value::Null);
        assert_eq!(tried["requests"][0]["body"]["paid"], json!(true));
    }
}

/// A plugin is installed when it is first looked at, and only if its samples come out as its manifest says.
#[tokio::test]
async fn every_plugin_that_comes_with_the_router_can_be_installed() {
    let setup = Setup::new(Behaviour::accepts()).await;
    let names = "cloudevents discord javascript jq mailgun mifumo redact slack twilio whatsapp";
    for name in names.split(' ') {
        let plugin = setup.router.api().get(&format!("/plugin/{name}")).await;
        assert_eq!(plugin["name"], name, "{plugin}");
    }
}

#[tokio::test]
async fn a_dry_run_shows_requests_difference_and_cost_and_stores_nothing() {
    let setup = Setup::new(Behaviour::accepts()).await;
    let event = json!({ "type": "order.paid", "body": { "id": 7, "amount": 12.5 } });
    let tried = setup.post("/plugin/run", &json!({ "code": HANDLERS[0].1, "event": event })).await;
    assert_eq!(tried["requests"][0]["body"], json!({ "reference": 7, "amount": 12.5 }), "{tried:#}");
    let difference = tried["diff"].as_array().expect("a list");
    assert!(difference.contains(&json!({ "pointer": "/id", "before": 7 })), "{tried:#}");
    assert!(difference.contains(&json!({ "pointer": "/reference", "after": 7 })), "{tried:#}");
    assert!(tried["fuel"].as_u64() > Some(0) && tried["memoryPeakBytes"].as_u64() > Some(0), "{tried:#}");
    assert_eq!(tried["failure"], Value::Null);

    let broken = json!({ "code": "function handler(webhook) {\n  return webhook.;\n}", "event": event });
    let tried = setup.post("/plugin/run", &broken).await;
    let failure = tried["failure"]["message"].as_str().expect("a failure has a message");
    assert!(failure.contains('2'), "the line is named: {failure}");
    assert_eq!(tried["failure"]["code"], json!("settings_refused"), "saving it would be refused alike");
    assert_eq!(tried["requests"], json!([]));

    let api = setup.router.api();
    let message = api.send(&setup.endpoint.application, "order.paid", r#"{"id": 8}"#).await;
    let recorded = json!({ "application": setup.endpoint.application, "id": message });
    let tried = setup.post("/plugin/run", &json!({ "code": HANDLERS[1].1, "message": recorded })).await;
    assert_eq!(tried["requests"][0]["body"], json!({ "reference": 8 }), "{tried:#}");

    setup.receiver.wait_for(1).await;
    let trapped = json!({ "component": base64(&plugin::trapping()), "event": event });
    let tried = setup.post("/plugin/run", &trapped).await;
    assert_eq!(tried["failure"]["code"], json!("plugin_trap"), "{tried:#}");
    assert!(tried["failure"]["message"].to_string().contains("boom"), "the function is named: {tried:#}");
    assert_eq!(setup.receiver.requests().len(), 1, "nothing but the one event was delivered");
}

#[tokio::test]
async fn versions_are_promoted_tried_taken_back_and_deleted() {
    let setup = Setup::new(Behaviour::accepts()).await;
    let api = setup.router.api();
    let first = api.upload_plugin("speaker", plugin::saying("1")).await;
    setup.use_plugin(json!({ "plugin": "speaker" })).await;
    assert_eq!(setup.deliver(&json!({})).await.0, json!(1));

    let quiet = api.call(Method::PUT, "/plugin/speaker?promote=false");
    let uploaded =
        quiet.header("content-type", "application/wasm").body(plugin::saying("2")).await.expect(201);
    let second = text(&uploaded, "uploaded");
    assert_eq!(uploaded["version"], json!(first));
    assert_eq!(setup.deliver(&json!({})).await.0, json!(1), "an upload that is not promoted changes nothing");

    let trial = json!({ "version": second, "canaryPercent": 50 });
    let promoted = setup.post("/plugin/speaker/promote", &trial).await;
    assert_eq!(promoted["canary"], json!({ "version": second, "percent": 50 }));
    let mut said = [0, 0];
    while said.contains(&0) && said.iter().sum::<i32>() < 200 {
        said[usize::from(setup.deliver(&json!({})).await.0 == json!(2))] += 1;
    }
    assert!(!said.contains(&0), "both versions run while one is on trial: {said:?}");

    let back = setup.post("/plugin/speaker/rollback", &json!({})).await;
    assert_eq!((&back["version"], &back["canary"]), (&json!(first), &Value::Null));
    setup.post("/plugin/speaker/promote", &json!({ "version": second })).await;
    assert_eq!(setup.deliver(&json!({})).await.0, json!(2));
    setup.post("/plugin/speaker/rollback", &json!({})).await;
    assert_eq!(setup.deliver(&json!({})).await.0, json!(1));

    let version = |digest: &str| format!("/plugin/speaker/version/{digest}");
    let current = api.call(Method::DELETE, &version(&first)).reply().await;
    current.check_refused(409, "plugin_version_in_use");
    let shown = api.get(&version(&second)).await;
    assert!(shown["imports"].to_string().contains("hookmill:plugin"), "{shown:#}");
    api.call(Method::DELETE, &version(&second)).reply().await.expect_status(204);
    api.call(Method::GET, &version(&second)).reply().await.check_refused(404, "not_found");
}

/// What is on its way when the version changes arrives all the same, once, shaped by one of the two.
#[tokio::test]
async fn nothing_is_lost_when_versions_change_under_load() {
    const SENDERS: usize = 4;
    const CHANGES: usize = 20;
    let setup = Setup::new(Behaviour::accepts()).await;
    let api = setup.router.api();
    let first = api.upload_plugin("speaker", plugin::saying("1")).await;
    setup.use_plugin(json!({ "plugin": "speaker" })).await;
    let second = api.upload_plugin("speaker", plugin::saying("2")).await;
    let is_over = AtomicBool::new(false);
    let send = async || {
        let mut sent = 0;
        while !is_over.load(Ordering::Relaxed) {
            api.send(&setup.endpoint.application, "order.paid", "{}").await;
            sent += 1;
        }
        sent
    };
    let change = async || {
        for number in 0..CHANGES {
            let version = if number % 2 == 0 { &first } else { &second };
            let changed = setup.post("/plugin/speaker/rollback", &json!({ "version": version })).await;
            assert_eq!(&changed["version"], version);
            // The next one comes in the middle of what this one shapes.
            setup.receiver.wait_for(setup.receiver.requests().len() + SENDERS).await;
        }
        is_over.store(true, Ordering::Relaxed);
    };
    let senders = futures_util::future::join_all((0..SENDERS).map(|_| send()));
    let (sent, ()) = futures_util::future::join(senders, change()).await;
    let arrived = setup.receiver.wait_for(sent.iter().sum()).await;
    let ids: BTreeSet<_> = arrived
        .iter()
        .map(|request| request.headers["webhook-id"].clone())
        .map(|id| id.to_str().map(str::to_owned).expect("ids are text"))
        .collect();
    assert_eq!((ids.len(), arrived.len()), (sent.iter().sum(), sent.iter().sum()));
    let said: BTreeSet<_> = arrived.iter().map(|request| request.body.clone()).collect();
    assert_eq!(said.into_iter().collect::<Vec<_>>(), ["1", "2"]);
}

#[tokio::test]
async fn a_version_on_trial_that_does_worse_goes_by_itself_and_the_operator_hears_of_it() {
    let setup = Setup::new(Behaviour::accepts()).await;
    let api = setup.router.api();
    let operator = Receiver::start(Behaviour::accepts()).await;
    let body = json!({ "name": "operator", "uid": "hookmill-operational" });
    let _ = api.call(Method::POST, "/app").json(&body).await.expect(201);
    api.create_endpoint("hookmill-operational", &operator.url("/"), json!({})).await;

    api.upload_plugin("speaker", plugin::saying("1")).await;
    // What the plugin's own breaker does about this is another test's.
    setup.use_plugin(json!({ "plugin": "speaker", "onFailure": "bypass" })).await;
    let quiet = api.call(Method::PUT, "/plugin/speaker?promote=false");
    let uploaded =
        quiet.header("content-type", "application/wasm").body(plugin::refusing("no")).await.expect(201);
    let trial = json!({ "version": uploaded["uploaded"], "canaryPercent": 50 });
    setup.post("/plugin/speaker/promote", &trial).await;
    for _ in 0..300 {
        api.send(&setup.endpoint.application, "order.paid", "{}").await;
    }
    wait::until("the trial is over", async || {
        let shown = api.get("/plugin/speaker").await;
        shown["canary"].is_null().then_some(())
    })
    .await;
    let told = wait::until("the operator is told", async || {
        let bodies = operator.requests().into_iter();
        let mut notices = bodies.filter_map(|request| serde_json::from_slice::<Value>(&request.body).ok());
        notices.find(|notice| notice["type"] == "plugin.canary.ended")
    })
    .await;
    assert_eq!(told["data"]["version"], uploaded["uploaded"], "{told:#}");
}

#[tokio::test]
async fn a_classifier_says_what_an_answer_means() {
    let answers = [
        Answer::status(200).header("content-type", "application/json").body(r#"{"error":"try later"}"#),
        Answer::status(200).header("content-type", "application/json").body(r#"{"ok":true}"#),
    ];
    let setup = Setup::new(Behaviour::Answers(answers.to_vec())).await;
    let api = setup.router.api();
    api.upload_plugin("json-error", plugin::of_repository("json-error")).await;
    let path = format!("{}/classifier", setup.endpoint.path());
    let chosen = api.call(Method::PATCH, &path).json(&json!({ "plugin": "json-error" })).await.expect(200);
    assert_eq!(chosen["plugin"], json!("json-error"));
    let attempts = setup.attempts("{}", 2).await;
    let statuses: Vec<_> = attempts.iter().map(|attempt| attempt["responseStatusCode"].clone()).collect();
    assert_eq!(statuses, [200, 200], "a 200 that says it failed is tried again: {attempts:#?}");

    let wrong = api.call(Method::PATCH, &format!("{}/transformation", setup.endpoint.path()));
    wrong.json(&json!({ "plugin": "json-error" })).await.check_refused(422, "plugin_world_wrong");
    let none = api.call(Method::PATCH, &path).json(&json!({ "plugin": null })).await.expect(200);
    assert_eq!(none["plugin"], Value::Null);
}

/// The examples of both SDKs said "delivered" of whatever has no `error` in it, a 503 with a JSON body included.
#[tokio::test]
async fn a_classifier_that_finds_no_fault_makes_no_delivery_of_a_503() {
    let answers = [
        Answer::status(503).header("content-type", "application/json").body(r#"{"status":"unavailable"}"#),
        Answer::status(200).header("content-type", "application/json").body(r#"{"ok":true}"#),
    ];
    let setup = Setup::new(Behaviour::Answers(answers.to_vec())).await;
    let api = setup.router.api();
    api.upload_plugin("lenient", classifier("successes", "(i32.const 0)")).await;
    let path = format!("{}/classifier", setup.endpoint.path());
    api.call(Method::PATCH, &path).json(&json!({ "plugin": "lenient" })).await.expect_status(200);
    let attempts = setup.attempts("{}", 2).await;
    let mut statuses: Vec<_> =
        attempts.iter().map(|attempt| attempt["responseStatusCode"].as_u64()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [Some(200), Some(503)], "a 503 is tried again: {attempts:#?}");
}

#[tokio::test]
async fn a_classifier_that_asks_for_all_answers_judges_failures_too() {
    let check = async |body: &str, expected_attempts: usize| {
        let answers = [Answer::status(409), Answer::status(200)];
        let setup = Setup::new(Behaviour::Answers(answers.to_vec())).await;
        let api = setup.router.api();
        api.upload_plugin("strict", classifier("all", body)).await;
        let path = format!("{}/classifier", setup.endpoint.path());
        api.call(Method::PATCH, &path).json(&json!({ "plugin": "strict" })).await.expect_status(200);
        let attempts = setup.attempts("{}", expected_attempts).await;
        let delivered = attempts.iter().filter(|attempt| attempt["status"] == 0).count();
        assert_eq!((attempts.len(), delivered), (expected_attempts, 1), "{body}: {attempts:#?}");
    };
    check("(i32.const 0)", 1).await;
    check("(call $response.no-opinion (local.get $response)) (i32.const 0)", 2).await;
}

/// A classifier that reads these answers.
fn classifier(answers: &str, body: &str) -> Vec<u8> {
    let manifest = json!({
        "manifest": 1, "name": "kinds", "version": "1", "description": "", "world": "classifier", "answers": answers,
    });
    let quoted = Value::from(manifest.to_string()).to_string();
    let items = format!(r#"(@custom "hookmill:manifest" {quoted})"#);
    Maker::of_classifiers().make(Parts { items: &items, body, ..Parts::default() })
}

#[tokio::test]
async fn a_secret_that_a_plugin_names_is_in_the_header_and_nowhere_else() {
    let setup = Setup::new(Behaviour::accepts()).await;
    let code = r#"function handle(event, target) {
        return { headers: { authorization: secret("token", { prefix: "Bearer " }) } };
    }"#;
    setup.use_plugin(json!({ "code": code, "secrets": { "token": "s3cr3t-v4lue" } })).await;
    let (_, headers) = setup.deliver(&json!({ "id": 1 })).await;
    assert_eq!(headers["authorization"], "Bearer s3cr3t-v4lue");
    let shown = setup.router.api().get(&format!("{}/transformation", setup.endpoint.path())).await;
    assert_eq!(shown["secrets"], json!(["token"]));
    assert!(!shown.to_string().contains("s3cr3t"), "{shown:#}");
    assert!(!setup.router.log().contains("s3cr3t"));
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
