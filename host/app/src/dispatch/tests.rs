//! The dispatcher over the model store, scripted plugins and a scripted receiver, in the test's own time.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hookmill_core::address::{AddressPolicy, DeliveryUrl};
use hookmill_core::application::{Application, Metadata};
use hookmill_core::attempt::{NOT_SENT_WAIT, Outcome, TransportFailure};
use hookmill_core::compose::{Composition, MissingRule, RawBody, RawComposition};
use hookmill_core::delivery::{DeadReason, OnTransformFailure, TransformFailure};
use hookmill_core::endpoint::{
    CustomHeaders, DisabledReason, Endpoint, EndpointState, Filter, Transformation,
};
use hookmill_core::event::{Channels, ContentType};
use hookmill_core::id::{ApplicationId, EndpointId};
use hookmill_core::plugin::{
    ClassifiedAnswers, InstancePolicy, LogLevel, LogLine, PluginBinding, PluginDigest, PluginInterface,
    PluginUse, PluginVersion, RunCost, TransformOutcome, World as PluginWorld,
};
use hookmill_core::policy::Policy;
use hookmill_core::port::Store;
use hookmill_core::port::plugins::TransformReport;
use hookmill_core::port::store::{
    AttemptQuery, AttemptRecord, AttemptResult, AttemptTrigger, AttemptsOf, Change, DeliveryStatus, PageFrom,
};
use hookmill_core::request::{PreparedRequest, RequestBody, WEBHOOK_ID, WEBHOOK_TIMESTAMP};
use hookmill_core::signature::{SigningKey, SigningKeys};
use hookmill_core::time::UnixMillis;
use hookmill_core::trace::{SentTo, TraceLine};
use hookmill_testkit::doubles::{CountingEntropy, ManualClock, RecordingPlugins, ScriptedTransport};
use hookmill_testkit::model_store::ModelStore;
use tokio_util::sync::CancellationToken;

use super::{Dispatcher, DispatcherParts, channel};
use crate::ingest::Incoming;
use crate::{App, AppParts, BreakerState};

mod held;

const START: UnixMillis = UnixMillis(1_800_000_000_000);

/// A running dispatcher with one application and one endpoint.
struct World {
    app: Arc<App>,
    store: Arc<ModelStore>,
    plugins: Arc<RecordingPlugins>,
    transport: Arc<ScriptedTransport>,
    clock: Arc<ManualClock>,
    shutdown: CancellationToken,
}

impl World {
    async fn start(transformation: Transformation) -> Self {
        let store = Arc::new(ModelStore::default());
        let changes = vec![
            Change::PutApplication(application()),
            Change::PutEndpoint(Box::new(endpoint(transformation))),
        ];
        store.apply(changes).await.unwrap();
        Self::over(store, Arc::new(ScriptedTransport::default())).await
    }

    /// Starts over what the store holds, as after a restart.
    async fn over(store: Arc<ModelStore>, transport: Arc<ScriptedTransport>) -> Self {
        let plugins = Arc::new(RecordingPlugins::default());
        let clock = Arc::new(ManualClock::at(START));
        let (dispatcher, inbox) = channel();
        let parts = AppParts {
            store: store.clone(),
            plugins: plugins.clone(),
            transport: transport.clone(),
            clock: clock.clone(),
            entropy: Arc::new(CountingEntropy::default()),
            address_policy: AddressPolicy::default(),
            request_origin: Default::default(),
            dispatcher,
            bundle: Default::default(),
            keep_request_bodies: false,
            step_back: || (),
        };
        let app = Arc::new(App::load(parts).await.unwrap());
        let shutdown = CancellationToken::new();
        let parts = DispatcherParts { app: app.clone(), inbox };
        tokio::spawn(Dispatcher::new(parts).run(shutdown.clone(), Duration::from_secs(10)));
        Self { app, store, plugins, transport, clock, shutdown }
    }

    async fn accept(&self, body: &'static str) {
        let routes = self.app.table_full().applications[&application().id].clone();
        let incoming = Incoming {
            event_type: "test.event".parse().unwrap(),
            uid: None,
            channels: Channels::default(),
            endpoint: None,
            ordering_key: None,
            content_type: ContentType::json(),
            body: Bytes::from_static(body.as_bytes()),
            idempotency_key: None,
        };
        self.app.accept(&routes, incoming, None).await.unwrap();
    }

    /// Moves time and lets the dispatcher look at it.
    fn advance(&self, by: Duration) {
        self.clock.advance(by);
        self.app.dispatcher.endpoint_changed(endpoint_id());
    }

    /// Waits until that many attempts are on record, oldest first.
    async fn attempts(&self, count: usize) -> Vec<AttemptRecord> {
        let query = AttemptQuery {
            application: application().id,
            of: AttemptsOf::Endpoint(endpoint_id()),
            from: PageFrom::Newest,
            limit: 100,
            result: None,
            before: None,
            after: None,
        };
        loop {
            let mut attempts = self.store.attempts(query.clone()).await.unwrap().items;
            if attempts.len() >= count {
                attempts.reverse();
                return attempts;
            }
            tokio::task::yield_now().await;
        }
    }

    async fn backlog_is_empty(&self) {
        while !self.store.backlog().await.unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
    }
}

fn application() -> Application {
    Application {
        id: ApplicationId::new(START, 1),
        uid: None,
        name: "test".to_owned(),
        rate_limit: None,
        metadata: Metadata::default(),
        created_at: START,
        updated_at: START,
    }
}

fn endpoint_id() -> EndpointId {
    EndpointId::new(START, 2)
}

fn endpoint(transformation: Transformation) -> Endpoint {
    Endpoint {
        id: endpoint_id(),
        application: application().id,
        uid: None,
        url: DeliveryUrl::parse("https://receiver.example/hook").unwrap(),
        description: String::new(),
        filter: Filter::default(),
        state: EndpointState::Enabled,
        verification: None,
        headers: CustomHeaders::default(),
        metadata: Metadata::default(),
        signing: SigningKeys::new(SigningKey::generate_symmetric(&[7; 32]).unwrap()),
        transformation,
        classifier: None,
        policy: Policy::default(),
        created_at: START,
        updated_at: START,
    }
}

fn plugin(on_failure: OnTransformFailure) -> Transformation {
    Transformation::Plugin(Box::new(PluginUse {
        binding: PluginBinding {
            pinned: Some(PluginDigest::of(b"shaper")),
            ..PluginBinding::new("shaper".parse().unwrap())
        },
        on_failure,
        instance: InstancePolicy::Fresh,
        allowed_origins: Vec::new(),
    }))
}

/// A `PUT` with a token, which needs the event's `id`.
fn composed(token: &str) -> Transformation {
    let raw = RawComposition {
        name: "test".to_owned(),
        method: http::Method::PUT,
        url: "https://receiver.example/ack/@{{id}}".to_owned(),
        headers: vec![("authorization".to_owned(), token.to_owned())],
        body: RawBody::Json("@{{id}}".into()),
        missing: MissingRule::Fail,
        allowed_origins: Vec::new(),
    };
    Transformation::Composed(Box::new(Composition::parse(raw, None).unwrap()))
}

/// Want of descriptors, ports or memory on this machine says nothing about the receiver.
#[tokio::test]
async fn what_this_machine_could_not_send_is_no_attempt() {
    let world = World::start(Transformation::None).await;
    for _ in 0..30 {
        world.transport.script(Outcome::NotSent { detail: "no descriptors".into() });
    }
    world.accept("{}").await;
    while world.transport.sent().len() < 31 {
        world.advance(NOT_SENT_WAIT);
        tokio::task::yield_now().await;
    }
    let attempts = world.attempts(1).await;
    assert_eq!(attempts.len(), 1, "{attempts:?}");
    assert_eq!((attempts[0].number, attempts[0].result), (1, AttemptResult::Delivered));
    world.backlog_is_empty().await;
}

fn answered(status: u16) -> Outcome {
    let body = Bytes::from_static(b"answer");
    Outcome::Answered { status, retry_after: None, headers: http::HeaderMap::new(), body }
}

fn report(result: Result<TransformOutcome, TransformFailure>) -> TransformReport {
    TransformReport { result, cost: RunCost { fuel: 9, ..RunCost::default() }, logs: Vec::new() }
}

fn shaped(body: &'static str) -> PreparedRequest {
    let original = PreparedRequest::original(&endpoint(Transformation::None));
    PreparedRequest { body: RequestBody::Replaced(Bytes::from_static(body.as_bytes())), ..original }
}

fn fault() -> TransformFailure {
    TransformFailure::Fault { code: "plugin_trapped", detail: "unreachable in `run`".to_owned() }
}

#[tokio::test]
async fn an_accepted_event_is_delivered_and_recorded() {
    let world = World::start(Transformation::None).await;
    world.accept(r#"{"exact":  "bytes"}"#).await;
    let attempts = world.attempts(1).await;
    assert_eq!(
        (attempts[0].result, attempts[0].status, attempts[0].number),
        (AttemptResult::Delivered, Some(200), 1)
    );
    assert_eq!(world.transport.sent()[0].body, r#"{"exact":  "bytes"}"#);
    world.backlog_is_empty().await;
}

#[tokio::test]
async fn a_failed_attempt_is_made_again_with_the_same_id_and_a_new_timestamp() {
    let world = World::start(Transformation::None).await;
    world.transport.script(answered(500));
    world.transport.script(Outcome::failed(TransportFailure::ConnectRefused, "refused"));
    world.accept("{}").await;
    let first = world.attempts(1).await.remove(0);
    assert_eq!(
        (first.result, first.status, &first.response[..]),
        (AttemptResult::Failed, Some(500), &b"answer"[..])
    );
    assert!(first.next_due.unwrap() > START);

    world.advance(Duration::from_secs(10));
    let second = world.attempts(2).await.remove(1);
    assert_eq!((second.number, second.failure_code.as_deref()), (2, Some("connect_refused")));
    world.advance(Duration::from_secs(600));
    assert_eq!(world.attempts(3).await[2].result, AttemptResult::Delivered);
    world.backlog_is_empty().await;

    let sent = world.transport.sent();
    assert!(sent.iter().all(|request| request.headers[WEBHOOK_ID] == sent[0].headers[WEBHOOK_ID]));
    assert!(sent[0].headers[WEBHOOK_TIMESTAMP] < sent[1].headers[WEBHOOK_TIMESTAMP]);
}

#[tokio::test]
async fn what_the_store_holds_is_delivered_after_a_restart() {
    let world = World::start(Transformation::None).await;
    world.transport.script(answered(503));
    world.accept("{}").await;
    world.attempts(1).await;
    world.shutdown.cancel();

    let again = World::over(world.store.clone(), Arc::default()).await;
    again.advance(Duration::from_secs(60));
    assert_eq!(again.attempts(2).await[1].result, AttemptResult::Delivered);
}

#[tokio::test]
async fn a_retry_sends_what_the_plugin_made_at_first() {
    let world = World::start(plugin(OnTransformFailure::Hold)).await;
    world.transport.script(answered(500));
    world.plugins.script(report(Ok(TransformOutcome::Deliver(vec![shaped("first")]))));
    world.plugins.script(report(Ok(TransformOutcome::Deliver(vec![shaped("second")]))));
    world.accept("{}").await;
    let attempts = world.attempts(1).await;
    assert_eq!(attempts[0].plugin, Some((PluginDigest::of(b"shaper"), 9)));
    world.advance(Duration::from_secs(10));
    world.attempts(2).await;
    let bodies: Vec<_> = world.transport.sent().into_iter().map(|request| request.body).collect();
    assert_eq!(bodies, ["first", "first"]);
    assert_eq!(world.plugins.runs().len(), 1);
}

#[tokio::test]
async fn a_retry_follows_the_endpoint_to_its_new_url() {
    let world = World::start(plugin(OnTransformFailure::Hold)).await;
    world.transport.script(answered(500));
    world.plugins.script(report(Ok(TransformOutcome::Deliver(vec![shaped("first")]))));
    world.accept("{}").await;
    world.attempts(1).await;
    let moved = Endpoint {
        url: "https://new.example/in".parse().unwrap(),
        ..endpoint(plugin(OnTransformFailure::Hold))
    };
    let _changing = world.app.changing.lock().await;
    world.app.apply(vec![Change::PutEndpoint(Box::new(moved))]).await.unwrap();
    world.advance(Duration::from_secs(10));
    world.attempts(2).await;
    let sent = world.transport.sent();
    let sent: Vec<_> = sent.iter().map(|request| (request.url.as_str(), &request.body[..])).collect();
    assert_eq!(
        sent,
        [("https://receiver.example/hook", &b"first"[..]), ("https://new.example/in", b"first")]
    );
}

#[tokio::test]
async fn what_was_composed_for_an_old_address_is_composed_for_the_new_one() {
    let world = World::start(composed("old")).await;
    world.transport.script(answered(500));
    world.accept(r#"{"id": 7}"#).await;
    world.attempts(1).await;
    let raw = RawComposition {
        url: "https://new.example/@{{id}}".to_owned(),
        headers: vec![("authorization".to_owned(), "new".to_owned())],
        ..composed("old").composition().unwrap().raw().clone()
    };
    let moved = Transformation::Composed(Box::new(Composition::parse(raw, None).unwrap()));
    let _changing = world.app.changing.lock().await;
    world.app.apply(vec![Change::PutEndpoint(Box::new(endpoint(moved)))]).await.unwrap();
    world.advance(Duration::from_secs(10));
    world.attempts(2).await;
    let sent = world.transport.sent().pop().unwrap();
    assert_eq!(
        (sent.url.as_str(), &sent.headers["authorization"]),
        ("https://new.example/7", &"new".parse().unwrap())
    );
}

#[tokio::test]
async fn a_composed_request_is_composed_once() {
    let world = World::start(composed("first")).await;
    world.transport.script(answered(500));
    world.accept(r#"{"id": 7}"#).await;
    world.attempts(1).await;
    let changed = Change::PutEndpoint(Box::new(endpoint(composed("second"))));
    let _changing = world.app.changing.lock().await;
    world.app.apply(vec![changed]).await.unwrap();
    world.advance(Duration::from_secs(10));
    world.attempts(2).await;
    let sent = world.transport.sent();
    assert_eq!(sent.len(), 2);
    for request in sent {
        assert_eq!(
            (request.method, request.url.as_str()),
            (http::Method::PUT, "https://receiver.example/ack/7")
        );
        assert_eq!(
            (&request.body[..], request.headers["authorization"].as_bytes()),
            (&b"7"[..], &b"first"[..])
        );
    }
    assert!(world.plugins.runs().is_empty());
}

#[tokio::test]
async fn an_event_that_can_not_be_composed_of_is_a_dead_letter_at_once() {
    for (body, code) in [
        ("{}", "compose_value_missing"),
        (r#"{"id": ".."}"#, "compose_url_dot_segment"),
        ("<id>7</id>", "compose_event_not_json"),
    ] {
        let world = World::start(composed("token")).await;
        world.accept(body).await;
        let attempt = world.attempts(1).await.remove(0);
        assert_eq!((attempt.result, attempt.failure_code.as_deref()), (AttemptResult::Failed, Some(code)));
        assert!(!attempt.detail.is_empty() && attempt.next_due.is_none() && attempt.plugin.is_none());
        let states = world.store.deliveries_of(application().id, attempt.event).await.unwrap();
        assert_eq!(states[0].status, DeliveryStatus::Dead(DeadReason::TransformFailed));
        assert!(world.transport.sent().is_empty());
    }
}

#[tokio::test]
async fn several_requests_become_deliveries_of_their_own() {
    let world = World::start(plugin(OnTransformFailure::Hold)).await;
    let part = |key: &str, body| PreparedRequest { part: Some(key.parse().unwrap()), ..shaped(body) };
    world.plugins.script(report(Ok(TransformOutcome::Deliver(vec![part("a.1", "one"), part("b", "two")]))));
    world.accept("{}").await;
    let attempts = world.attempts(3).await;
    assert_eq!(attempts.iter().filter(|attempt| attempt.result == AttemptResult::Delivered).count(), 2);
    assert_eq!(attempts.iter().filter(|attempt| attempt.result == AttemptResult::Split).count(), 1);
    world.backlog_is_empty().await;
    let mut ids: Vec<_> = world
        .transport
        .sent()
        .iter()
        .map(|sent| sent.headers[WEBHOOK_ID].to_str().unwrap().to_owned())
        .collect();
    ids.sort();
    assert!(ids[0].ends_with("_a-1") && ids[1].ends_with("_b"), "{ids:?}");
}

#[tokio::test]
async fn a_dropped_event_is_finished() {
    let world = World::start(plugin(OnTransformFailure::Hold)).await;
    world.plugins.script(report(Ok(TransformOutcome::Drop("not for us".to_owned()))));
    world.accept("{}").await;
    let attempts = world.attempts(1).await;
    assert_eq!((attempts[0].result, &*attempts[0].detail), (AttemptResult::Dropped, "not for us"));
    world.backlog_is_empty().await;
    assert!(world.transport.sent().is_empty());
}

#[tokio::test]
async fn a_plugin_at_fault_is_treated_as_the_endpoint_wants() {
    for (on_failure, expect) in [
        (OnTransformFailure::Hold, None),
        (OnTransformFailure::Bypass, Some(AttemptResult::Delivered)),
        (OnTransformFailure::DeadLetter, None),
    ] {
        let world = World::start(plugin(on_failure)).await;
        world.plugins.script(report(Err(fault())));
        world.accept("original").await;
        let attempts = world.attempts(1).await;
        assert_eq!(
            world.transport.sent().first().map(|request| request.body.clone()),
            expect.map(|_| "original".into())
        );
        let states = world.store.deliveries_of(application().id, attempts[0].event).await.unwrap();
        match on_failure {
            OnTransformFailure::Bypass => assert!(states.is_empty()),
            OnTransformFailure::Hold | OnTransformFailure::DeadLetter => {
                assert!(matches!(states[0].status, DeliveryStatus::Dead(_)));
            }
        }
        if on_failure != OnTransformFailure::Bypass {
            assert_eq!(attempts[0].failure_code.as_deref(), Some("plugin_trapped"));
        }
    }
}

#[tokio::test]
async fn a_plugin_that_the_host_lost_comes_back_from_the_store() {
    let world = World::start(plugin(OnTransformFailure::Hold)).await;
    let bytes = Bytes::from_static(b"shaper");
    let version = PluginVersion {
        name: "shaper".parse().unwrap(),
        digest: PluginDigest::of(&bytes),
        world: PluginWorld::Transform,
        answers: ClassifiedAnswers::default(),
        label: Box::default(),
        description: Box::default(),
        size_bytes: 6,
        created_at: START,
        uploaded_by: Box::default(),
    };
    let put = Change::PutPluginVersion(version, bytes.clone(), PluginInterface::default());
    world.store.apply(vec![put]).await.unwrap();
    let lost = TransformFailure::Unavailable { code: "plugin_not_loaded", detail: String::new() };
    world.plugins.script(report(Err(lost)));
    world.accept("{}").await;
    assert_eq!(world.attempts(1).await[0].result, AttemptResult::Delivered);
    assert_eq!(world.plugins.prepared(), [PluginDigest::of(&bytes)]);
    assert_eq!(world.plugins.runs().len(), 2);
}

#[tokio::test]
async fn a_receiver_that_is_gone_disables_its_endpoint() {
    let world = World::start(Transformation::None).await;
    world.transport.script(answered(410));
    world.accept("{}").await;
    world.attempts(1).await;
    loop {
        let state = world.app.table().endpoints[&endpoint_id()].state;
        if state != EndpointState::Enabled {
            assert_eq!(state, EndpointState::Disabled { reason: DisabledReason::Gone, since: START });
            break;
        }
        tokio::task::yield_now().await;
    }
    world.backlog_is_empty().await;
}

#[tokio::test]
async fn a_shutdown_lets_what_is_under_way_end() {
    let store = Arc::new(ModelStore::default());
    let changes = vec![
        Change::PutApplication(application()),
        Change::PutEndpoint(Box::new(endpoint(Transformation::None))),
    ];
    store.apply(changes).await.unwrap();
    let world = World::over(store, Arc::default()).await;
    for _ in 0..50 {
        world.accept("{}").await;
    }
    world.shutdown.cancel();
    let records = world.transport.sent().len();
    let attempts = world.attempts(records).await;
    assert!(attempts.len() >= records, "what was sent is recorded");
}

/// The value of one series; nothing where it is not shown.
#[tokio::test]
async fn a_resend_is_the_probe_of_an_open_breaker_and_its_success_closes_it() {
    let world = World::start(Transformation::None).await;
    for _ in 0..10 {
        world.transport.script(answered(500));
        world.accept("{}").await;
    }
    let failed = world.attempts(10).await;
    assert!(matches!(world.app.breakers_of(endpoint_id()).endpoint, BreakerState::Open { .. }));
    let shown = world.app.scrape().await;
    assert!(shown.contains("hookmill_endpoint_breakers_open 1\n"), "{shown}");
    assert!(shown.contains("hookmill_deliveries_waiting 10\n"), "{shown}");

    let routes = world.app.table_full().applications[&application().id].clone();
    let event = world.app.event(application().id, &failed[0].event.to_string()).await.unwrap();
    world.app.resend(&routes, &event, endpoint_id()).await.unwrap();
    let resent = world.attempts(11).await;
    assert_eq!((resent[10].trigger, resent[10].result), (AttemptTrigger::Manual, AttemptResult::Delivered));
    while world.app.breakers_of(endpoint_id()).endpoint != BreakerState::Closed {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn an_attempt_keeps_where_it_went_what_was_sent_and_what_its_plugin_wrote() {
    let world = World::start(plugin(OnTransformFailure::Hold)).await;
    let mut logged = report(Ok(TransformOutcome::Deliver(vec![shaped("made")])));
    let line = LogLine { level: LogLevel::Warn, message: "seen\nat run (plugin.js:3)".into() };
    logged.logs = vec![line.clone()];
    world.plugins.script(logged);
    world.transport.script(answered(500));
    world.accept("original").await;
    let attempt = &world.attempts(1).await[0];
    let attempt = world.store.attempt(application().id, attempt.event, attempt.id).await.unwrap().unwrap();
    let sent = &world.transport.sent()[0];
    assert_eq!(attempt.sent_to.url(), Some(sent.url.as_str()));
    let trace = attempt.trace.expect("a plugin ran");
    assert_eq!(trace.logs, [TraceLine { world: PluginWorld::Transform, line }]);
    let request = trace.request.expect("it was sent");
    assert_eq!((&request.method, request.body_bytes), (&sent.method, 4));
    assert_eq!(request.headers.len(), sent.headers.len());

    let plain = World::start(Transformation::None).await;
    plain.accept("{}").await;
    let attempt = &plain.attempts(1).await[0];
    let attempt = plain.store.attempt(application().id, attempt.event, attempt.id).await.unwrap().unwrap();
    assert_eq!(attempt.trace, None, "what went out as it came and was taken says all by itself");
    assert!(matches!(attempt.sent_to, SentTo::Endpoint(_)));
}

fn sample(world: &World, series: &str) -> Option<f64> {
    let text = world.app.metrics().encode();
    text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

#[tokio::test]
async fn attempts_are_counted_by_how_they_ended() {
    let world = World::start(Transformation::None).await;
    world.transport.script(answered(500));
    world.transport.script(Outcome::failed(TransportFailure::ConnectRefused, "refused"));
    world.transport.script(answered(204));
    world.transport.script(answered(410));
    world.accept("{}").await;
    world.attempts(1).await;
    world.advance(Duration::from_secs(10));
    world.attempts(2).await;
    world.advance(Duration::from_secs(890));
    world.attempts(3).await;
    world.accept("{}").await;
    world.attempts(4).await;
    while sample(&world, r#"hookmill_endpoints_disabled_total{reason="gone"}"#) != Some(1.0) {
        tokio::task::yield_now().await;
    }
    let check = |series: &str, expect| assert_eq!(sample(&world, series), Some(expect), "{series}");
    check("hookmill_events_accepted_total", 2.0);
    check(r#"hookmill_attempts_total{kind="first",result="failed",code="status"}"#, 2.0);
    check(r#"hookmill_attempts_total{kind="retry",result="failed",code="connect_refused"}"#, 1.0);
    check(r#"hookmill_attempts_total{kind="retry",result="delivered"}"#, 1.0);
    check(r#"hookmill_attempts_total{kind="first",result="delivered"}"#, 0.0);
    check(r#"hookmill_answers_total{status="2xx"}"#, 1.0);
    check(r#"hookmill_answers_total{status="4xx"}"#, 1.0);
    check(r#"hookmill_answers_total{status="5xx"}"#, 1.0);
    check("hookmill_response_time_seconds_count", 4.0);
    // Accepted at the start, delivered after both waits.
    check("hookmill_processing_time_seconds_sum", 900.0);
    check(r#"hookmill_processing_time_seconds_bucket{le="900.0"}"#, 1.0);
    check(r#"hookmill_processing_time_seconds_bucket{le="300.0"}"#, 0.0);
    check("hookmill_retries_scheduled_total", 2.0);
    check(r#"hookmill_dead_letters_total{reason="endpoint_gone"}"#, 1.0);
    check(r#"hookmill_dead_letters_total{reason="attempts_exhausted"}"#, 0.0);
    world.backlog_is_empty().await;
    check("hookmill_deliveries_under_way", 0.0);
}

#[tokio::test]
async fn plugin_runs_are_counted_and_need_no_answer_of_a_receiver() {
    let world = World::start(plugin(OnTransformFailure::DeadLetter)).await;
    world.plugins.script(report(Ok(TransformOutcome::Drop("not for us".to_owned()))));
    world.plugins.script(report(Err(fault())));
    world.accept("{}").await;
    world.attempts(1).await;
    world.accept("{}").await;
    world.attempts(2).await;
    let check = |series: &str, expect| assert_eq!(sample(&world, series), Some(expect), "{series}");
    check(r#"hookmill_plugin_runs_total{world="transform",result="answered"}"#, 1.0);
    check(r#"hookmill_plugin_runs_total{world="transform",result="fault"}"#, 1.0);
    check("hookmill_plugin_run_time_seconds_count", 2.0);
    check(r#"hookmill_attempts_total{kind="first",result="dropped"}"#, 1.0);
    check(r#"hookmill_attempts_total{kind="first",result="failed",code="plugin_trapped"}"#, 1.0);
    check(r#"hookmill_dead_letters_total{reason="transform_failed"}"#, 1.0);
    check("hookmill_response_time_seconds_count", 0.0);
}
