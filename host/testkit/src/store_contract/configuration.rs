//! Changes of the configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hookmill_core::address::DeliveryUrl;
use hookmill_core::application::{EventTypeDefinition, Metadata};
use hookmill_core::canary::{Canary, CanaryPercent};
use hookmill_core::compose::{Composition, FormEncoding, JsonBody, MissingRule, RawBody, RawComposition};
use hookmill_core::delivery::OnTransformFailure;
use hookmill_core::endpoint::{
    CustomHeaders, DisabledReason, Endpoint, EndpointState, Filter, Transformation,
};
use hookmill_core::handshake::HandshakeMethod;
use hookmill_core::id::KeyId;
use hookmill_core::key::{ApiKey, KeyHash, Scope};
use hookmill_core::pattern::EventPattern;
use hookmill_core::plugin::{
    BoundSecrets, ClassifiedAnswers, InstancePolicy, PluginBinding, PluginDigest, PluginInterface,
    PluginName, PluginUse, PluginVersion, Secret, World,
};
use hookmill_core::policy::{
    BodyHmacKey, Concurrency, DisableRule, Ordering, Overrides, Policy, Rate, SignatureScheme, SuccessRule,
    Timeout, UrlRule,
};
use hookmill_core::port::Store;
use hookmill_core::port::store::{
    Change, Completion, EndpointCounts, EventLookup, EventQuery, IdempotencyKey, PageFrom, RememberedAnswer,
    StoreError,
};
use hookmill_core::preset::Preset;
use hookmill_core::retry::{RawRetryPolicy, RetryPolicy, Schedule};
use hookmill_core::signature::{SigningKey, SigningKeys};
use zeroize::Zeroizing;

use super::Factory;
use super::fixture::{
    NOW, append, application, application_id, at, conflict, endpoint, endpoint_id, event, finish, finished,
    furnish, load, name, new_event,
};

/// Everything that is configured comes back field by field, also after a restart.
pub async fn every_field_comes_back(factory: &impl Factory) {
    let store = factory.create();
    let mut tenant = application(1);
    tenant.uid = Some(name("tenant-1"));
    tenant.rate_limit = Some(65_535);
    tenant.metadata = metadata();
    tenant.updated_at = at(5);
    let full = full_endpoint();
    let composed = composed_endpoints();
    let definition = EventTypeDefinition {
        name: name("invoice.paid"),
        description: "paid \u{1f4b6}".into(),
        schemas: Some(r#"{"1":{"type":"object"}}"#.into()),
        archived: true,
        group: Some(name("invoice")),
        created_at: NOW,
        updated_at: at(6),
    };
    let keys = [Scope::Admin, Scope::Application(tenant.id), Scope::Ingest(tenant.id), Scope::Metrics];
    let keys: Vec<ApiKey> = (1..).zip(keys).map(|(number, scope)| key(number, scope)).collect();
    let version = version("reshape", b"component");
    let interface = interface();
    let mut changes = vec![
        Change::PutApplication(tenant.clone()),
        Change::PutEndpoint(Box::new(full.clone())),
        Change::PutEndpoint(Box::new(endpoint(12, 1))),
        Change::PutEndpoint(Box::new(composed[0].clone())),
        Change::PutEndpoint(Box::new(composed[1].clone())),
        Change::PutEventType(definition.clone()),
        Change::PutPluginVersion(version.clone(), Bytes::from_static(b"component"), interface.clone()),
        Change::SetCurrentPlugin(version.name.clone(), version.digest),
    ];
    changes.extend(keys.iter().cloned().map(Change::PutKey));
    store.apply(changes).await.expect("an empty store takes a configuration");

    let store = factory.reopen(store);
    let read = store.configuration().await.expect("a store reads");
    assert_eq!(read.applications, [tenant]);
    let show = |endpoints: &[Arc<Endpoint>]| format!("{endpoints:#?}");
    let [json, form] = composed.clone();
    assert_eq!(show(&read.endpoints), show(&[full.clone(), endpoint(12, 1), json, form].map(Arc::new)));
    assert_eq!(read.endpoints[0].signing, full.signing, "keys do not show in the comparison above");
    for (read, composed) in read.endpoints[2..].iter().zip(&composed) {
        assert_eq!(read.transformation, composed.transformation, "nor do compositions");
    }
    assert_eq!(read.event_types, [definition]);
    assert_eq!(read.current_plugins, [(version.name.clone(), version.digest)]);
    assert_eq!(store.plugin_bytes(version.digest).await, Ok(Some(Bytes::from_static(b"component"))));
    assert_eq!(store.plugin_interface(version.digest).await, Ok(Some(interface)));
    assert_eq!(read.plugin_versions, [version]);
    assert_eq!(read.keys, keys);

    // What was there is replaced, and what is deleted is gone.
    let changes = vec![
        Change::PutApplication(application(1)),
        Change::PutEndpoint(Box::new(endpoint(11, 1))),
        Change::PutEndpoint(Box::new(endpoint(13, 1))),
        Change::DeleteEndpoint(endpoint_id(14)),
        Change::DeleteEventType(name("invoice.paid")),
        Change::DeleteKey(keys[0].id),
    ];
    store.apply(changes).await.expect("changes of what is there");
    let read = factory.reopen(store).configuration().await.expect("a store reads");
    assert_eq!(read.applications, [application(1)]);
    assert_eq!(show(&read.endpoints), show(&[11, 12, 13].map(|number| Arc::new(endpoint(number, 1)))));
    assert_eq!((read.event_types, read.keys), (Vec::new(), keys[1..].to_vec()));
}

/// Of changes that belong together none stays when one is refused.
pub async fn conflicts_undo_all_of_their_changes(factory: &impl Factory) {
    let store = factory.create();
    furnish(&store).await;
    let mut first = application(1);
    first.uid = Some(name("taken"));
    let mut first_endpoint = endpoint(11, 1);
    first_endpoint.uid = Some(name("taken"));
    let setup = vec![
        Change::PutApplication(first.clone()),
        Change::PutEndpoint(Box::new(first_endpoint)),
        Change::PutKey(key(1, Scope::Admin)),
    ];
    store.apply(setup).await.expect("a free uid is taken");

    let mut second = application(2);
    second.uid = Some(name("taken"));
    let mut second_endpoint = endpoint(12, 1);
    second_endpoint.uid = Some(name("taken"));
    let mut elsewhere = endpoint(21, 2);
    elsewhere.uid = Some(name("taken"));
    let mut same_hash = key(2, Scope::Admin);
    same_hash.hash = key(1, Scope::Admin).hash;
    let missing = |what| Err(StoreError::NotFound { what });
    let version = version("absent", b"x");
    let cases: Vec<(Change, Result<(), StoreError>)> = vec![
        (Change::PutApplication(second), conflict("the application's uid")),
        (Change::PutEndpoint(Box::new(second_endpoint)), conflict("the endpoint's uid")),
        (Change::PutEndpoint(Box::new(elsewhere)), Ok(())),
        (Change::PutEndpoint(Box::new(endpoint(31, 3))), missing("the application")),
        (Change::PutKey(same_hash), conflict("the key")),
        (Change::PutKey(key(3, Scope::Ingest(application_id(3)))), missing("the application")),
        (Change::SetCurrentPlugin(version.name, version.digest), missing("the plugin version")),
        (Change::PutApplication(first), Ok(())),
    ];
    for (index, (change, expect)) in cases.into_iter().enumerate() {
        let companion = application(100 + index as u128);
        let result = store.apply(vec![Change::PutApplication(companion.clone()), change]).await;
        assert_eq!(result, expect, "case {index}");
        let read = store.configuration().await.expect("a store reads");
        assert_eq!(read.applications.contains(&companion), expect.is_ok(), "case {index}");
    }
}

/// A refused call does not disturb those that are committed with it.
pub async fn a_conflict_fails_only_its_own_call(factory: &impl Factory) {
    let store = std::sync::Arc::new(factory.create());
    furnish(&*store).await;
    let mut calls = Vec::new();
    for number in 0..60 {
        let store = std::sync::Arc::clone(&store);
        calls.push(tokio::spawn(async move {
            if number % 3 == 0 {
                let mut tenant = application(100 + number);
                tenant.uid = Some(name("wanted-by-all"));
                store.apply(vec![Change::PutApplication(tenant)]).await.is_ok()
            } else {
                store.append(new_event(event(number, 1, NOW), &[11])).await.is_ok()
            }
        }));
    }
    let mut succeeded = 0;
    for call in calls {
        succeeded += usize::from(call.await.expect("no call panics"));
    }
    assert_eq!(succeeded, 1 + 40);
    assert_eq!(load(&*store, 11, Ordering::Unordered, NOW).await.deliveries.len(), 40);
}

/// Versions are known by their content; bytes stay as long as one plugin has them.
pub async fn plugins_share_bytes(factory: &impl Factory) {
    let store = factory.create();
    let bytes = Bytes::from_static(b"shared");
    let (left, right) = (version("left", &bytes), version("right", &bytes));
    let mut again = left.clone();
    again.created_at = at(9);
    let changes = vec![
        Change::PutPluginVersion(left.clone(), bytes.clone(), interface()),
        Change::SetCurrentPlugin(left.name.clone(), left.digest),
        Change::PutPluginVersion(right.clone(), bytes.clone(), interface()),
        Change::PutPluginVersion(again, bytes.clone(), interface()),
    ];
    store.apply(changes).await.expect("an empty store takes plugins");
    let read = store.configuration().await.expect("a store reads");
    assert_eq!(read.plugin_versions, [left.clone(), right.clone()], "a known version stays as it is");

    store.apply(vec![Change::DeletePlugin(left.name)]).await.expect("a plugin can go");
    let read = store.configuration().await.expect("a store reads");
    assert_eq!((read.plugin_versions, read.current_plugins.len()), (vec![right.clone()], 0));
    assert_eq!(store.plugin_bytes(right.digest).await, Ok(Some(bytes)));
    store.apply(vec![Change::DeletePlugin(right.name)]).await.expect("a plugin can go");
    assert_eq!(store.plugin_bytes(right.digest).await, Ok(None));
    assert_eq!(store.plugin_interface(right.digest).await, Ok(None));
}

/// One version runs, one may be on trial, and any other can go.
pub async fn plugins_have_canaries(factory: &impl Factory) {
    let store = factory.create();
    let (first, second, third) = (version("p", b"1"), version("p", b"2"), version("p", b"3"));
    let put = |version: &PluginVersion| {
        Change::PutPluginVersion(version.clone(), Bytes::from_static(b"code"), interface())
    };
    let mut changes = vec![put(&first), put(&second), put(&third)];
    changes.push(Change::SetCurrentPlugin(first.name.clone(), first.digest));
    let percent = |percent: u64| CanaryPercent::try_from(percent).expect("a share");
    let canary = Canary { digest: second.digest, percent: percent(10) };
    changes.push(Change::SetCanary(first.name.clone(), Some(canary)));
    store.apply(changes).await.expect("an empty store takes plugins");

    let store = factory.reopen(store);
    let read = store.configuration().await.expect("a store reads");
    assert_eq!(read.canaries, [(first.name.clone(), canary)]);

    let wider = Canary { digest: third.digest, percent: percent(99) };
    let changes = vec![
        Change::SetCanary(first.name.clone(), Some(wider)),
        Change::DeletePluginVersion(first.name.clone(), second.digest),
    ];
    store.apply(changes).await.expect("a version that is not on trial can go");
    let read = store.configuration().await.expect("a store reads");
    assert_eq!(read.canaries, [(first.name.clone(), wider)]);
    assert_eq!(read.plugin_versions, [first.clone(), third.clone()]);
    assert_eq!(store.plugin_bytes(second.digest).await, Ok(None));

    let unknown = Canary { digest: second.digest, percent: percent(1) };
    let refused = store.apply(vec![Change::SetCanary(first.name.clone(), Some(unknown))]).await;
    assert_eq!(refused, Err(StoreError::NotFound { what: "the plugin version" }));

    store.apply(vec![Change::SetCanary(first.name.clone(), None)]).await.expect("a trial can end");
    assert_eq!(store.configuration().await.expect("a store reads").canaries, []);
    store.apply(vec![Change::DeletePlugin(first.name)]).await.expect("a plugin can go");
}

/// Every preset, state and signature comes back as it was put.
pub async fn keeps_terms_and_states(factory: &impl Factory) {
    let store = factory.create();
    store.apply(vec![Change::PutApplication(application(1))]).await.expect("a tenant");
    let since = at(3);
    let disabled = |reason| EndpointState::Disabled { reason, since };
    let states = [
        EndpointState::Enabled,
        EndpointState::Failed { since },
        disabled(DisabledReason::Operator),
        disabled(DisabledReason::Gone),
        disabled(DisabledReason::Unverified),
    ];
    let schemes = [
        None,
        Some(SignatureScheme::Standard),
        SignatureScheme::body_hmac("x-signature", BodyHmacKey::Secret).ok(),
        SignatureScheme::body_hmac("x-signature", BodyHmacKey::EndpointId).ok(),
        Some(SignatureScheme::HttpMessage),
    ];
    let mut expect = Vec::new();
    let verifications = HandshakeMethod::ALL.map(Some).into_iter().chain([None]).cycle();
    for (((state, preset), signature), verification) in
        states.into_iter().zip(Preset::ALL).zip(schemes).zip(verifications)
    {
        let overrides = Overrides { rate: Some(None), signature, ..Overrides::default() };
        let policy = Policy::new(preset, overrides);
        let put = Endpoint { state, policy, verification, ..endpoint(11, 1) };
        store.apply(vec![Change::PutEndpoint(Box::new(put.clone()))]).await.expect("an endpoint");
        let read = store.configuration().await.expect("a store reads").endpoints.pop().expect("it is there");
        assert_eq!((read.state, &read.policy, read.verification), (put.state, &put.policy, put.verification));
        expect.push(read);
    }
    assert_eq!(expect.len(), 5);
}

/// Deliveries that were tried have all of their attempts again and start in the order of their events; others, and those
/// of other endpoints, stay as they are.
pub async fn restarts_deliveries(factory: &impl Factory) {
    let store = factory.create();
    furnish(&store).await;
    for number in 1..=4 {
        append(&store, new_event(event(number, 1, at(u64::try_from(number).expect("small"))), &[11, 12]))
            .await;
    }
    let retry = |due| Completion::Retry { due: at(due), prepared: None };
    for target in [11, 12] {
        let rows = load(&store, target, Ordering::Unordered, at(9)).await.deliveries;
        for (row, due) in [(0, 900), (2, 500)] {
            let attempt = target * 10 + row as u128;
            finish(&store, finished(&rows[row], attempt, at(10), retry(due))).await;
        }
    }
    store.apply(vec![Change::RestartDeliveries(endpoint_id(11), at(3))]).await.expect("a restart");

    let store = factory.reopen(store);
    let dues = async |target, now| {
        let rows = load(&store, target, Ordering::Unordered, at(now)).await.deliveries;
        rows.iter().map(|row| (row.due, row.attempts_made)).collect::<Vec<_>>()
    };
    assert_eq!(dues(11, 10).await, [(at(1), 0), (at(2), 0), (at(3), 0), (at(4), 0)]);
    assert_eq!(dues(12, 900).await, [(at(2), 0), (at(4), 0), (at(500), 1), (at(900), 1)]);
}

/// An answer is remembered with the change that it answers, once.
pub async fn remembers_answers(factory: &impl Factory) {
    let store = factory.create();
    let key = IdempotencyKey([7; 32]);
    let answer = |status, at| RememberedAnswer {
        fingerprint: [3; 32],
        status,
        body: Bytes::from_static(b"{\"id\":1}"),
        at,
    };
    assert_eq!(store.remembered(key).await, Ok(None));
    let first = vec![Change::PutApplication(application(1)), Change::Remember(key, answer(201, NOW))];
    assert_eq!(store.apply(first).await, Ok(()));
    let second = vec![Change::PutApplication(application(2)), Change::Remember(key, answer(202, at(1)))];
    assert_eq!(store.apply(second).await, conflict("the idempotency key"));

    let store = factory.reopen(store);
    assert_eq!(store.remembered(key).await, Ok(Some(answer(201, NOW))));
    assert_eq!(store.configuration().await.expect("a store reads").applications, [application(1)]);
    let much_later = NOW.after(hookmill_core::limits::IDEMPOTENCY_KEY_KEPT);
    assert_eq!(store.apply(vec![Change::Remember(key, answer(203, much_later))]).await, Ok(()));
    assert_eq!(store.remembered(key).await, Ok(Some(answer(203, much_later))));
}

/// A destination takes its deliveries along, a tenant takes everything.
pub async fn deleting_takes_along_what_belongs_to_it(factory: &impl Factory) {
    let store = factory.create();
    furnish(&store).await;
    let sent = event(1, 1, NOW);
    append(&store, new_event(sent.clone(), &[11, 12])).await;
    append(&store, new_event(event(2, 2, NOW), &[21])).await;
    store.apply(vec![Change::PutKey(key(1, Scope::Ingest(application_id(1))))]).await.expect("a key");

    store.apply(vec![Change::DeleteEndpoint(endpoint_id(11))]).await.expect("an endpoint can go");
    let backlog = store.backlog().await.expect("a store reads");
    let endpoints: Vec<_> = backlog.iter().map(|backlog| backlog.endpoint).collect();
    assert_eq!(endpoints, [endpoint_id(12), endpoint_id(21)]);
    let late = append(&store, new_event(event(3, 1, at(1)), &[11, 12])).await;
    assert_eq!(late.len(), 2, "an event that was routed a moment before the change is taken");
    assert!(load(&store, 11, Ordering::Unordered, at(1)).await.deliveries.is_empty());

    store.apply(vec![Change::DeleteApplication(application_id(1))]).await.expect("a tenant can go");
    let store = factory.reopen(store);
    let read = store.configuration().await.expect("a store reads");
    assert_eq!((read.applications.len(), read.endpoints.len(), read.keys.len()), (1, 1, 0));
    assert_eq!(store.event(application_id(1), EventLookup::Id(sent.id)).await, Ok(None));
    let all = |number| EventQuery {
        application: application_id(number),
        from: PageFrom::Newest,
        limit: 10,
        event_types: Vec::new(),
        channel: None,
        before: None,
        after: None,
    };
    assert_eq!(store.events(all(1)).await.map(|events| events.items), Ok(Vec::new()));
    assert_eq!(store.events(all(2)).await.map(|events| events.items.len()), Ok(1));
    assert_eq!(store.deliveries_of(sent.application, sent.id).await, Ok(Vec::new()));
    assert_eq!(
        store.endpoint_counts(application_id(1), endpoint_id(12)).await,
        Ok(EndpointCounts::default())
    );
    let gone = Err(StoreError::NotFound { what: "the event" });
    assert_eq!(store.redeliver(sent.application, sent.id, Vec::new(), NOW).await, gone);
    while store.retain(NOW).await.expect("retention runs") > 0 {}
    assert_eq!(store.events(all(2)).await.map(|events| events.items.len()), Ok(1));
}

/// An endpoint with something in every field.
fn full_endpoint() -> Endpoint {
    let names = |list: &[&str]| Some(list.iter().map(|text| name(text)).collect::<BTreeSet<_>>());
    let mut signing = SigningKeys::new(SigningKey::generate_ed25519([5; 32]));
    let next = SigningKey::generate_symmetric(&[6; 40]).expect("40 bytes are enough");
    signing.rotate(next, NOW, Duration::from_secs(60)).expect("one rotation");
    let headers: [(&str, &[u8]); 3] =
        [("authorization", b"Bearer abc"), ("x-two", b"1"), ("x-two", b"caf\xe9")];
    Endpoint {
        uid: Some(name("ep-1")),
        description: "all \u{1f4e6}".into(),
        filter: Filter {
            event_types: names(&["a", "b"]),
            channels: names(&["eu"]),
            pattern: Some(EventPattern::parse(r#"{"amount":[{"numeric":[">",10]}]}"#).expect("a pattern")),
        },
        state: EndpointState::Disabled { reason: DisabledReason::Gone, since: at(3) },
        headers: CustomHeaders::new(headers).expect("headers that may be added"),
        metadata: metadata(),
        signing,
        transformation: Transformation::Disabled(Box::new(PluginUse {
            binding: binding("transform-token"),
            on_failure: OnTransformFailure::DeadLetter,
            instance: InstancePolicy::Reused,
            allowed_origins: vec![
                DeliveryUrl::parse("https://files.example/").expect("a valid URL").origin(),
            ],
        })),
        classifier: Some(Box::new(binding("classifier-token"))),
        policy: full_policy(),
        updated_at: at(4),
        ..endpoint(11, 1)
    }
}

/// Endpoints that compose their requests, with something in every field.
fn composed_endpoints() -> [Endpoint; 2] {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let json = RawComposition {
        name: "reports \u{1f4e6}".into(),
        method: http::Method::PUT,
        url: "https://@{{region}}.receiver.example/ack?id=@{{payload.id}}".into(),
        headers: vec![pair("Authorization", "Bearer %token%"), pair("x-id", "@{{id}}"), pair("x-id", "2")],
        body: RawBody::Json(
            JsonBody::parse(r#"{"z": "@{{status}}", "a": [1.10, 1000000000000000000000, null]}"#)
                .expect("JSON"),
        ),
        missing: MissingRule::Omit,
        allowed_origins: vec!["https://eu.receiver.example".into(), "https://us.receiver.example".into()],
    };
    let fields = vec![pair("b", "@{{id}}"), pair("a", "\0\r\n\u{1f4e6}"), pair("b", "")];
    let form = RawComposition {
        url: "https://receiver.example/ack".into(),
        headers: Vec::new(),
        body: RawBody::Form { fields, encoding: FormEncoding::Multipart },
        missing: MissingRule::Fail,
        allowed_origins: Vec::new(),
        ..json.clone()
    };
    let composed = |number: u128, raw: RawComposition| Endpoint {
        transformation: Transformation::Composed(Box::new(Composition::restore(raw).expect("a composition"))),
        ..endpoint(number, 1)
    };
    [composed(13, json), composed(14, form)]
}

/// Every value overridden.
fn full_policy() -> Policy {
    let schedule = Schedule::Exponential {
        base: Duration::from_millis(250),
        factor_percent: 150,
        cap: Duration::from_secs(600),
        attempts_max: 7,
    };
    let scheme = SignatureScheme::body_hmac("x-signature", BodyHmacKey::EndpointId).expect("a header");
    let overrides = Overrides {
        retry: Some(
            RetryPolicy::try_from(RawRetryPolicy { schedule, jitter_percent: 40 }).expect("a policy"),
        ),
        timeout: Some(Timeout::new(Duration::from_millis(1500)).expect("a timeout")),
        concurrency: Some(Concurrency::new(3).expect("a concurrency")),
        rate: Some(Some(Rate::new(100, 60).expect("a rate"))),
        ordering: Some(Ordering::PerKey),
        success: Some(SuccessRule::Only200),
        signature: Some(scheme),
        url: Some(UrlRule::HttpsOnly),
        disable: Some(DisableRule::Exhausted),
    };
    Policy::new(Preset::Mifumo, overrides)
}

fn metadata() -> Metadata {
    let entries = BTreeMap::from([("plan".to_owned(), "\"pro\"".to_owned()), (String::new(), String::new())]);
    Metadata::new(entries).expect("two small labels")
}

fn key(number: u128, scope: Scope) -> ApiKey {
    let hash = KeyHash::of(&format!("hmk_{number}"));
    ApiKey { id: KeyId::new(NOW, number), hash, scope, label: format!("key {number}"), created_at: NOW }
}

fn version(plugin: &str, bytes: &[u8]) -> PluginVersion {
    let plugin: PluginName = plugin.parse().expect("a plugin's name");
    PluginVersion {
        name: plugin,
        digest: PluginDigest::of(bytes),
        world: World::Classifier,
        answers: ClassifiedAnswers::All,
        label: "1.2.0".into(),
        description: "reads \u{1f4e6}".into(),
        size_bytes: bytes.len() as u64,
        created_at: NOW,
        uploaded_by: "key_1".into(),
    }
}

fn interface() -> PluginInterface {
    PluginInterface {
        imports: vec!["hookmill:plugin/log@1.0.0".to_owned()],
        manifest: Some(Bytes::from_static(b"{\"manifest\": 1}")),
    }
}

fn binding(secret: &str) -> PluginBinding {
    let value = Secret::new(Zeroizing::new(vec![0, 128, 255])).expect("a secret");
    let secrets = BoundSecrets::from_iter([(secret.parse().expect("a secret's name"), value)]);
    PluginBinding {
        plugin: "reshape".parse().expect("a plugin's name"),
        pinned: Some(PluginDigest::of(b"component")),
        settings: r#"{"k":1}"#.into(),
        secrets: Arc::new(secrets),
    }
}
