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
