//! Endpoints that are to prove that they want events.

use hookmill_core::address::DeliveryUrl;
use hookmill_core::attempt::Outcome;
use hookmill_core::compose::{Composition, MissingRule, RawBody, RawComposition};
use hookmill_core::endpoint::{DisabledReason, Endpoint, EndpointState};
use hookmill_core::handshake::{Consent, HandshakeMethod};
use hookmill_core::id::ApplicationId;
use hookmill_core::policy::Rate;
use hookmill_core::preset::Preset;
use hookmill_core::request::OutgoingRequest;
use http::{HeaderMap, Method};

use super::endpoint::{EndpointInput, EndpointPatch};
use super::policy::PolicyPatch;
use super::tests::{World, chosen, code};
use super::transformation::TransformationPatch;
use crate::AppError;

/// Answers with the challenge of the request.
fn echo(request: &OutgoingRequest) -> Outcome {
    let body: serde_json::Value = serde_json::from_slice(&request.body).expect("a challenge is JSON");
    let challenge = body["challenge"].as_str().expect("it has a challenge").to_owned();
    Outcome::Answered { status: 200, retry_after: None, headers: HeaderMap::new(), body: challenge.into() }
}

fn url(text: &str) -> DeliveryUrl {
    DeliveryUrl::parse(text).unwrap()
}

fn is_unverified(endpoint: &Endpoint) -> bool {
    matches!(endpoint.state, EndpointState::Disabled { reason: DisabledReason::Unverified, .. })
}

impl World {
    async fn challenged(&self) -> Endpoint {
        let application = self.application(None).await.unwrap().id;
        let url = url("https://receiver.example/hook");
        let verification = Some(Some(HandshakeMethod::Challenge));
        let details = EndpointPatch { verification, ..EndpointPatch::default() };
        let mut edit = self.app.edit().await;
        let input = EndpointInput { url, signing_key: None, details };
        let endpoint = edit.create_endpoint(application, input).unwrap();
        edit.commit().await.unwrap();
        endpoint
    }

    async fn patched(&self, endpoint: &Endpoint, patch: EndpointPatch) -> Endpoint {
        let mut edit = self.app.edit().await;
        let patched = edit.patch_endpoint(endpoint.application, endpoint.id, patch).unwrap();
        edit.commit().await.unwrap();
        patched
    }

    /// Verifies by what the endpoint asks for; answers the endpoint and whether it consented.
    async fn verify(&self, endpoint: &Endpoint) -> Result<(Endpoint, bool), AppError> {
        let report = self.app.verify_endpoint(endpoint.application, endpoint.id, None).await?;
        Ok((report.endpoint, report.result.is_ok()))
    }
}

#[tokio::test]
async fn it_receives_nothing_until_it_echoes_the_challenge() {
    let world = World::new().await;
    let endpoint = world.challenged().await;
    assert!(is_unverified(&endpoint) && !endpoint.state.takes_events());

    let (still, passed) = world.verify(&endpoint).await.unwrap();
    assert!(!passed && is_unverified(&still), "200 alone proves nothing");
    world.transport.script_reader(echo);
    let (verified, passed) = world.verify(&endpoint).await.unwrap();
    assert!(passed);
    assert_eq!(verified.state, EndpointState::Enabled);
    assert_eq!(world.app.table().endpoints[&endpoint.id].state, EndpointState::Enabled);
    let sent = world.transport.sent();
    assert_eq!(sent.iter().map(|request| &request.method).collect::<Vec<_>>(), [Method::POST, Method::POST]);
    assert_ne!(sent[0].body, sent[1].body, "each handshake has a challenge of its own");
}

#[tokio::test]
async fn another_url_or_method_is_to_be_verified_again() {
    let world = World::new().await;
    let endpoint = world.challenged().await;
    world.transport.script_reader(echo);
    world.verify(&endpoint).await.unwrap();

    let described = EndpointPatch { url: Some(endpoint.url.clone()), ..EndpointPatch::default() };
    assert_eq!(world.patched(&endpoint, described).await.state, EndpointState::Enabled, "the same URL");
    let moved = EndpointPatch {
        url: Some(url("https://other.example/")),
        disabled: Some(false),
        ..EndpointPatch::default()
    };
    assert!(is_unverified(&world.patched(&endpoint, moved).await));
    world.transport.script_reader(echo);
    assert!(world.verify(&endpoint).await.unwrap().1);
    let method = Some(Some(HandshakeMethod::CloudEvents));
    let other = EndpointPatch { verification: method, ..EndpointPatch::default() };
    assert!(is_unverified(&world.patched(&endpoint, other).await));

    let plain = world.endpoint(endpoint.application, "https://plain.example/").await.unwrap();
    let moved = EndpointPatch { url: Some(url("https://other.example/")), ..EndpointPatch::default() };
    assert_eq!(world.patched(&plain, moved).await.state, EndpointState::Enabled, "it asks for nothing");
}

#[tokio::test]
async fn enabling_it_by_hand_is_refused_or_does_nothing() {
    let world = World::new().await;
    let endpoint = world.challenged().await;
    let enabled = EndpointPatch { disabled: Some(false), ..EndpointPatch::default() };
    assert!(is_unverified(&world.patched(&endpoint, enabled).await));
    let mut edit = world.app.edit().await;
    assert_eq!(code(edit.reactivate_endpoint(endpoint.application, endpoint.id)), "endpoint_unverified");
}

#[tokio::test]
async fn consent_is_for_the_endpoint_as_it_was_asked() {
    let world = World::new().await;
    let asked = world.challenged().await;
    let moved = EndpointPatch { url: Some(url("https://other.example/")), ..EndpointPatch::default() };
    world.patched(&asked, moved).await;
    let mut edit = world.app.edit().await;
    assert_eq!(code(edit.take_consent(&asked, Consent { rate: None })), "endpoint_changed");
    drop(edit);

    let now = Endpoint::clone(&world.app.table().endpoints[&asked.id]);
    let rate = Rate::new(30, 60).ok();
    let mut edit = world.app.edit().await;
    let verified = edit.take_consent(&now, Consent { rate }).unwrap();
    assert_eq!((verified.policy.effective().rate, verified.policy.overrides().rate), (rate, Some(rate)));
}

#[tokio::test]
async fn a_method_is_that_of_the_endpoint_or_named() {
    let world = World::new().await;
    let endpoint = world.challenged().await;
    let verify = async |endpoint: &Endpoint, method| {
        let report = world.app.verify_endpoint(endpoint.application, endpoint.id, method).await;
        report.map(|report| report.method)
    };
    let (challenge, cloud_events) = (HandshakeMethod::Challenge, HandshakeMethod::CloudEvents);
    assert_eq!(verify(&endpoint, None).await, Ok(challenge));
    assert_eq!(verify(&endpoint, Some(challenge)).await, Ok(challenge));
    assert_eq!(code(verify(&endpoint, Some(cloud_events)).await), "verification_method_differs");
    let plain = world.endpoint(endpoint.application, "https://plain.example/").await.unwrap();
    assert_eq!(verify(&plain, Some(cloud_events)).await, Ok(cloud_events));
    assert_eq!(code(verify(&plain, None).await), "verification_method_missing");
    let foreign = ApplicationId::new(hookmill_core::time::UnixMillis(1), 1);
    assert_eq!(code(world.app.verify_endpoint(foreign, plain.id, None).await), "not_found");
}

fn composition(url: &str, allowed_origins: &[&str]) -> Composition {
    let raw = RawComposition {
        name: "n".to_owned(),
        method: Method::POST,
        url: url.to_owned(),
        headers: Vec::new(),
        body: RawBody::None,
        missing: MissingRule::default(),
        allowed_origins: allowed_origins.iter().map(|text| (*text).to_owned()).collect(),
    };
    Composition::parse(raw, None).unwrap()
}

impl World {
    /// A verified endpoint, which composes its requests if a URL is given.
    async fn verified(&self, composed: Option<&str>) -> Endpoint {
        let mut endpoint = self.challenged().await;
        if let Some(composed) = composed {
            endpoint = self.composed(&endpoint, composition(composed, &[])).await.unwrap();
        }
        self.transport.script_reader(echo);
        let (verified, passed) = self.verify(&endpoint).await.unwrap();
        assert!(passed && verified.state == EndpointState::Enabled);
        verified
    }

    async fn composed(&self, endpoint: &Endpoint, composition: Composition) -> Result<Endpoint, AppError> {
        let mut edit = self.app.edit().await;
        let composed = edit.compose_endpoint(endpoint.application, endpoint.id, composition)?;
        edit.commit().await?;
        Ok(composed)
    }
}

#[tokio::test]
async fn a_composition_is_asked_where_it_sends() {
    let world = World::new().await;
    let endpoint = world.verified(None).await;
    let composed = world.composed(&endpoint, composition("https://elsewhere.example/in", &[])).await.unwrap();
    assert!(is_unverified(&composed), "it goes to a URL that was never asked");
    world.transport.script_reader(echo);
    assert!(world.verify(&composed).await.unwrap().1);
    assert_eq!(world.transport.sent().last().unwrap().url.as_str(), "https://elsewhere.example/in");
}

#[tokio::test]
async fn every_way_to_another_address_ends_the_consent() {
    let world = World::new().await;
    let check = async |endpoint: &Endpoint, changed: Result<Endpoint, AppError>, keeps: bool| {
        let stored = Endpoint::clone(&world.app.table().endpoints[&endpoint.id]);
        let changed = changed.unwrap();
        assert_eq!(stored.state, changed.state);
        assert_eq!(!is_unverified(&changed), keeps, "{} to {}", endpoint.address(), changed.address());
    };
    const COMPOSED: &str = "https://receiver.example/@{{a.b}}";
    for (url, keeps) in [
        (COMPOSED, true),
        ("https://receiver.example/@{{a.c}}", false),
        ("https://receiver.example/fixed", false),
        ("https://other.example/@{{a.b}}", false),
    ] {
        let endpoint = world.verified(Some(COMPOSED)).await;
        let changed = world.composed(&endpoint, composition(url, &[])).await;
        check(&endpoint, changed, keeps).await;
    }
    let endpoint = world.verified(Some(COMPOSED)).await;
    let mut edit = world.app.edit().await;
    let removed = edit.remove_composition(endpoint.application, endpoint.id);
    edit.commit().await.unwrap();
    check(&endpoint, removed, false).await;

    let endpoint = world.verified(None).await;
    let policy = PolicyPatch { preset: Some(Preset::Whatsapp), ..PolicyPatch::default() };
    let mut edit = world.app.edit().await;
    let other_terms = edit.patch_policy(endpoint.application, endpoint.id, policy);
    edit.commit().await.unwrap();
    check(&endpoint, other_terms, true).await;
}

#[tokio::test]
async fn what_is_verified_can_not_send_where_it_is_not_asked() {
    let world = World::new().await;
    let endpoint = world.verified(None).await;
    let many = composition("https://@{{a.b}}/", &["https://receiver.example", "https://other.example"]);
    assert_eq!(code(world.composed(&endpoint, many.clone()).await), "verification_origins");
    world.upload("reshape", b"one").await.unwrap();
    let allowed_origins = Some(vec![url("https://other.example/").origin()]);
    let patch = TransformationPatch { allowed_origins, ..chosen("reshape") };
    assert_eq!(code(world.transform(&endpoint, patch.clone()).await), "verification_origins");
    let is_kept = world.transform(&endpoint, chosen("reshape")).await.unwrap();
    assert_eq!(is_kept.state, EndpointState::Enabled, "a plugin sends to the endpoint's own origin");

    // The other way round.
    let wanted =
        EndpointPatch { verification: Some(Some(HandshakeMethod::Challenge)), ..EndpointPatch::default() };
    let plain = world.endpoint(endpoint.application, "https://receiver.example/").await.unwrap();
    world.composed(&plain, many).await.unwrap();
    let mut edit = world.app.edit().await;
    assert_eq!(
        code(edit.patch_endpoint(plain.application, plain.id, wanted.clone())),
        "verification_origins"
    );
    drop(edit);
    let plain = world.endpoint(endpoint.application, "https://receiver.example/").await.unwrap();
    world.transform(&plain, patch).await.unwrap();
    let mut edit = world.app.edit().await;
    assert_eq!(code(edit.patch_endpoint(plain.application, plain.id, wanted)), "verification_origins");
}
