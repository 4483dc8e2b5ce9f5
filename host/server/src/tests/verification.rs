//! Endpoints that prove that they want events, and failures that are explained.

use bytes::Bytes;
use hookmill_core::attempt::{Outcome, TransportFailure};
use http::HeaderMap;
use serde_json::{Value, json};

use super::World;

const ENDPOINT: &str = "/api/v1/app/shop/endpoint/hook";

fn answered(status: u16, headers: &[(&str, &str)], body: &str) -> Outcome {
    let field = |(name, value): &(&str, &str)| (name.parse().unwrap(), value.parse().unwrap());
    let (headers, body) = (headers.iter().map(field).collect::<HeaderMap>(), body.to_owned());
    Outcome::Answered { status, retry_after: None, headers, body: Bytes::from(body) }
}

impl World {
    /// An endpoint with the uid `hook` that is to be verified by this method.
    async fn unverified(&self, method: &str) {
        self.shop().await;
        let new = json!({"url": "https://example.com/new", "uid": "hook", "verification": method});
        let made = self.call("POST", "/api/v1/app/shop/endpoint", &new.to_string()).await;
        assert_eq!(made.status, 201, "{made:?}");
        let made = made.json();
        assert_eq!(
            [&made["state"], &made["disabled"], &made["verification"]],
            [&json!("unverified"), &json!(true), &json!(method)]
        );
    }

    async fn verify(&self, body: &str) -> Value {
        let answer = self.call("POST", &format!("{ENDPOINT}/verify"), body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    async fn state(&self) -> Value {
        self.call("GET", ENDPOINT, "").await.json()["state"].clone()
    }
}

#[tokio::test]
async fn a_handshake_that_is_not_passed_is_explained() {
    let world = World::new().await;
    world.unverified("challenge").await;
    let check = async |outcome: Outcome, status: u16, code: &str, diagnosis: &str| {
        world.transport.script(outcome);
        let report = world.verify("").await;
        let shown = [&report["verified"], &report["state"], &report["method"]];
        assert_eq!(shown, [&json!(false), &json!("unverified"), &json!("challenge")]);
        assert_eq!(report["responseStatusCode"], status, "{report}");
        assert_eq!([&report["failureCode"], &report["diagnosis"]["code"]], [code, diagnosis], "{report}");
        for list in ["causes", "remedies"] {
            assert!(report["diagnosis"][list][0].is_string(), "{report}");
        }
    };
    let refused = Outcome::failed(TransportFailure::ConnectRefused, "connection refused");
    check(refused, 0, "connect_refused", "connect_refused").await;
    check(answered(404, &[], ""), 404, "status", "not_found").await;
    check(answered(200, &[], "ok"), 200, "challenge_not_echoed", "challenge_not_echoed").await;
    assert_eq!(world.state().await, "unverified");
    assert_eq!(world.transport.sent().len(), 3);
}

#[tokio::test]
async fn an_endpoint_that_consents_is_enabled_at_its_rate() {
    let world = World::new().await;
    world.unverified("cloudevents").await;
    let headers = [("webhook-allowed-origin", "hookmill"), ("webhook-allowed-rate", "30")];
    world.transport.script(answered(204, &headers, ""));
    assert_eq!(
        world.verify(r#"{"method": "cloudevents"}"#).await,
        json!({
            "verified": true, "method": "cloudevents", "state": "enabled", "responseStatusCode": 204,
            "allowedRate": 30,
        })
    );
    assert_eq!(world.state().await, "enabled");
    let policy = world.call("GET", &format!("{ENDPOINT}/policy"), "").await.json();
    assert_eq!(policy["rate"], json!({"deliveries": 30, "periodSecs": 60}));
    assert_eq!(policy["sources"]["rate"], "endpoint");
}

#[tokio::test]
async fn nothing_gets_around_verification() {
    let world = World::new().await;
    world.unverified("challenge").await;
    let enabled = world.call("PATCH", ENDPOINT, r#"{"disabled": false}"#).await.json();
    assert_eq!([&enabled["state"], &enabled["disabled"]], [&json!("unverified"), &json!(true)]);
    let reactivated = world.call("POST", &format!("{ENDPOINT}/reactivate"), "").await;
    assert_eq!((reactivated.status, reactivated.code().as_str()), (409, "endpoint_unverified"));
    let replacement = json!({"url": "https://example.com/new", "uid": "hook", "disabled": false});
    let replaced = world.call("PUT", ENDPOINT, &replacement.to_string()).await.json();
    assert_eq!([&replaced["state"], &replaced["verification"]], ["unverified", "challenge"]);
    world.call("PATCH", ENDPOINT, r#"{"verification": null}"#).await;
    assert_eq!(world.state().await, "unverified", "who no longer asks has proved nothing");
}

#[tokio::test]
async fn a_handshake_has_a_method_that_is_known_and_fits() {
    let world = World::new().await;
    world.unverified("challenge").await;
    let refused = async |path: &str, body: &str, code: &str| {
        let answer = world.call("POST", path, body).await;
        assert_eq!((answer.status, answer.code().as_str()), (422, code), "{body}");
    };
    let verify = format!("{ENDPOINT}/verify");
    refused(&verify, r#"{"method": "email"}"#, "verification_unknown").await;
    refused(&verify, r#"{"method": "cloudevents"}"#, "verification_method_differs").await;
    let endpoints = "/api/v1/app/shop/endpoint";
    refused(endpoints, r#"{"url": "https://example.com/", "verification": "x"}"#, "verification_unknown")
        .await;
    let other = world.call("GET", endpoints, "").await.json()["data"][1]["id"].as_str().unwrap().to_owned();
    refused(&format!("{endpoints}/{other}/verify"), "", "verification_method_missing").await;
    assert_eq!(world.transport.sent().len(), 0);
}

/// The ways of other systems' own calls to an address are ways like any other.
#[tokio::test]
async fn an_address_that_is_changed_by_graphql_or_a_conversation_is_asked_again() {
    let world = World::new().await;
    let ask = async |query: &str| world.graphql(query).await;
    let consent = async |endpoint: &str| {
        world.call("PATCH", endpoint, r#"{"verification": "cloudevents"}"#).await;
        let allows = [("webhook-allowed-origin", "hookmill"), ("webhook-allowed-rate", "*")];
        world.transport.script(answered(204, &allows, ""));
        let report = world.call("POST", &format!("{endpoint}/verify"), "").await.json();
        assert_eq!((&report["verified"], &report["state"]), (&json!(true), &json!("enabled")), "{report}");
    };
    let register = |url: &str| {
        format!(
            r#"mutation {{ webhook(createWebhookInput: {{providerId: 7, webhookUrl: "{url}"}}) {{ isVerified status }} }}"#
        )
    };
    let update = |change: &str| {
        let input = format!("providerId: 7, {change}");
        format!("mutation {{ updateWebhook(updateWebhookInput: {{{input}}}) {{ isVerified status }} }}")
    };
    let unverified = json!({ "isVerified": 0, "status": 0 });
    let endpoint = "/api/v1/app/osmox/endpoint/provider-7";

    ask(&register("https://one.example/")).await;
    consent(endpoint).await;
    let changed = ask(&update(r#"webhookUrl: "https://two.example/""#)).await;
    assert_eq!(changed["data"]["updateWebhook"], unverified, "{changed}");
    let enabled = ask(&update("status: 1")).await;
    assert_eq!(enabled["data"]["updateWebhook"], unverified, "{enabled}");
    let skipped = ask(&register("https://three.example/")).await;
    assert_eq!(skipped["errors"][0]["extensions"]["code"], "webhook_exists", "{skipped}");

    // One that was turned off gives way to another registration, and its consent does not go along.
    consent(endpoint).await;
    ask(&update("status: 0")).await;
    let again = ask(&register("https://three.example/")).await;
    assert_eq!(again["data"]["webhook"], unverified, "{again}");
    assert_eq!(world.call("GET", endpoint, "").await.json()["url"], "https://three.example/");

    let configure = async |url: &str| {
        let configuration = json!({ "config": { "callback_url": url } }).to_string();
        let made = world.call("POST", "/api/v1/app/osmox/conversation-webhook", &configuration).await;
        assert!(made.status < 300, "{made:?}");
        made.json()["endpoint_id"].as_str().unwrap().to_owned()
    };
    let id = configure("https://one.example/").await;
    let endpoint = format!("/api/v1/app/osmox/endpoint/{id}");
    consent(&endpoint).await;
    assert_eq!(configure("https://two.example/").await, id);
    assert_eq!(world.call("GET", &endpoint, "").await.json()["state"], "unverified");
}
