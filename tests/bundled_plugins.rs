//! What people write for the plugins that come with the router does what they mean by it.

use hookmill_testkit::receiver::{Behaviour, Receiver};
use hookmill_tests::api::Endpoint;
use hookmill_tests::router::{ADMIN_KEY, DataDir, Options, Router};
use http::Method;
use serde_json::{Value, json};

/// A router and a receiver, and an endpoint for each transformation.
struct Setup {
    router: Router,
    application: String,
    receiver: Receiver,
    _data_dir: DataDir,
}

impl Setup {
    async fn new() -> Self {
        let receiver = Receiver::start(Behaviour::accepts()).await;
        let data_dir = DataDir::new();
        let router = data_dir.start().await;
        let application = router.api().create_application("bundled").await;
        Self { router, application, receiver, _data_dir: data_dir }
    }

    async fn endpoint(&self, transformation: Value) -> Endpoint {
        let more = json!({ "transformation": transformation });
        self.router.api().create_endpoint(&self.application, &self.receiver.url("/"), more).await
    }

    /// What one event becomes on its way through this.
    async fn made(&self, transformation: Value, event: &str) -> String {
        let before = self.receiver.requests().len();
        let endpoint = self.endpoint(transformation).await;
        self.router.api().send(&self.application, "any", event).await;
        let request = self.receiver.wait_for(before + 1).await.pop().expect("one was awaited");
        self.router.api().call(Method::DELETE, &endpoint.path()).reply().await.expect_status(204);
        String::from_utf8(request.body.to_vec()).expect("it is text")
    }
}

#[tokio::test]
async fn jq_filters_do_what_jq_does() {
    let setup = Setup::new().await;
    for (filter, event, expect) in [
        ("del(.items[0,1])", r#"{"items":["a","b","c"]}"#, r#"{"items":["c"]}"#),
        ("{csv: (.row | @csv)}", r#"{"row":[1,"a\"b"]}"#, r#"{"csv":"1,\"a\"\"b\""}"#),
    ] {
        let filter = json!({ "plugin": "jq", "settings": { "filter": filter } });
        assert_eq!(setup.made(filter, event).await, expect);
    }
    // Once it made three requests.
    setup.endpoint(json!({ "plugin": "jq", "settings": { "filter": ".s | tonumber" } })).await;
    let before = setup.receiver.requests().len();
    let sent = setup.router.api().send(&setup.application, "any", r#"{"s":"1 2 3"}"#).await;
    let attempts = setup.router.api().wait_for_attempts(&setup.application, &sent, 1).await;
    assert_eq!(attempts[0]["statusText"], "fail", "{attempts:?}");
    assert_eq!(setup.receiver.requests().len(), before);
}

#[tokio::test]
async fn scripts_are_written_as_scripts_are_written() {
    let setup = Setup::new().await;
    for (code, expect) in [
        (
            "'use strict'; export default function (event) { return { body: { strict: this === undefined } }; }",
            r#"{"strict":true}"#,
        ),
        (
            "function handler(webhook) {\n  webhook.payload = { text: `a\nexport default b` };\n  return webhook;\n}",
            r#"{"text":"a\nexport default b"}"#,
        ),
        (
            "function handler(webhook) { const url = new URL('https://a.example/p?q=1'); webhook.payload = { \
             q: url.searchParams.get('q'), s: new URLSearchParams({ a: 'b c' }).toString(), \
             n: new TextEncoder().encode('\u{e9}').length, c: structuredClone({ x: [1] }), \
             g: (1234567.5).toLocaleString('en-US'), u: crypto.randomUUID().length }; return webhook; }",
            r#"{"q":"1","s":"a=b+c","n":2,"c":{"x":[1]},"g":"1,234,567.5","u":36}"#,
        ),
    ] {
        assert_eq!(setup.made(json!({ "code": code }), "{}").await, expect, "{code}");
    }
}

/// No-break spaces and typographic hyphens between the groups of a number; the whole local part of an address.
#[tokio::test]
async fn redact_finds_numbers_and_addresses_as_people_write_them() {
    let setup = Setup::new().await;
    let settings = json!({ "rules": [{ "pattern": "phone" }, { "pattern": "email" }], "mask": "***" });
    let redact = json!({ "plugin": "redact", "settings": settings });
    for text in [
        "+49\u{a0}170\u{a0}1234567",
        "+49\u{2010}170\u{2010}1234567",
        "+49 170 1234567",
        "o'hara.first+tag@example.com",
    ] {
        let event = json!({ "text": format!("to {text} now") }).to_string();
        let made = setup.made(redact.clone(), &event).await;
        assert_eq!(made, r#"{"text":"to *** now"}"#, "{text}");
    }
}

#[tokio::test]
async fn plugins_that_come_with_the_router_are_listed() {
    let setup = Setup::new().await;
    let mut command = tokio::process::Command::new(Options::default().program);
    command.env("HOOKMILL_URL", format!("http://{}", setup.router.address())).env("HOOKMILL_KEY", ADMIN_KEY);
    let output = command.args(["plugin", "list"]).kill_on_drop(true).output().await.expect("it can be run");
    let shown = String::from_utf8_lossy(&output.stdout);
    for name in ["javascript", "jq", "redact", "slack"] {
        assert!(shown.contains(name), "no {name} in\n{shown}");
    }
    let listed = setup.router.api().get("/plugin").await;
    let jq = listed["data"].as_array().unwrap().iter().find(|plugin| plugin["name"] == "jq").unwrap().clone();
    assert_eq!(
        [&jq["bundled"], &jq["world"], &jq["version"]],
        [&json!(true), &json!("transform"), &json!(null)]
    );
    assert!(jq["description"].as_str().is_some_and(|text| !text.is_empty()), "{jq}");

    // Looking at one of them is its first use.
    setup.router.api().get("/plugin/jq").await;
    let listed = setup.router.api().get("/plugin").await;
    let plugins = listed["data"].as_array().unwrap();
    let jq: Vec<_> = plugins.iter().filter(|plugin| plugin["name"] == "jq").collect();
    assert!(jq.len() == 1 && jq[0].get("bundled").is_none() && jq[0]["version"].is_string(), "{jq:?}");
}
