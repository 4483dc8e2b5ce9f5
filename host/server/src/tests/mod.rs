//! The API over the model store, driven as connections drive it.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use hookmill_app::dispatch::channel;
use hookmill_app::{App, AppParts, Bundle};
use hookmill_core::address::AddressPolicy;
use hookmill_core::time::UnixMillis;
use hookmill_testkit::doubles::{CountingEntropy, ManualClock, RecordingPlugins, ScriptedTransport};
use hookmill_testkit::model_store::ModelStore;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::Value;

use crate::{GraphqlConfig, Server, ServerConfig};

mod authorisation;
mod bundle;
mod compose;
mod configuration;
mod connections;
mod conversation;
mod exact_numbers;
mod examples;
mod graphql;
mod history;
mod messages;
mod metrics;
mod nothing_ignored;
mod puts;
mod refusals;
mod strangers;
mod verification;

const ADMIN: &str = "an-admin-key-for-tests";
const START: UnixMillis = UnixMillis(1_795_309_323_000);

pub(crate) struct World {
    pub(crate) server: Server,
    pub(crate) store: Arc<ModelStore>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) plugins: Arc<RecordingPlugins>,
    pub(crate) transport: Arc<ScriptedTransport>,
}

/// One answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The stable code of an error.
    pub(crate) fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }

    pub(crate) fn id(&self) -> String {
        self.json()["id"].as_str().unwrap_or_default().to_owned()
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::over(Arc::new(ModelStore::default()), START).await
    }

    /// Starts over what the store holds, as after a crash.
    pub(crate) async fn over(store: Arc<ModelStore>, now: UnixMillis) -> Self {
        let (addresses, graphql) = (AddressPolicy::default(), GraphqlConfig::default());
        Self::with(store, now, addresses, graphql, Bundle::default()).await
    }

    async fn with(
        store: Arc<ModelStore>,
        now: UnixMillis,
        address_policy: AddressPolicy,
        graphql: GraphqlConfig,
        bundle: Bundle,
    ) -> Self {
        let clock = Arc::new(ManualClock::at(now));
        let plugins = Arc::new(RecordingPlugins::default());
        let transport = Arc::new(ScriptedTransport::default());
        let parts = AppParts {
            store: Arc::clone(&store) as _,
            plugins: Arc::clone(&plugins) as _,
            transport: Arc::clone(&transport) as _,
            clock: Arc::clone(&clock) as _,
            entropy: Arc::new(CountingEntropy::default()),
            address_policy,
            request_origin: Default::default(),
            dispatcher: channel().0,
            bundle,
            keep_request_bodies: false,
            step_back: || (),
        };
        let app = Arc::new(App::load(parts).await.unwrap());
        app.ensure_admin_key(Some(ADMIN)).await.unwrap();
        let body_timeout = Duration::from_millis(20);
        let config = ServerConfig { body_timeout, graphql, ..ServerConfig::default() };
        Self { server: Server::new(app, config), store, clock, plugins, transport }
    }

    /// Sends one request as the admin.
    pub(crate) async fn call(&self, method: &str, path: &str, body: &str) -> Answer {
        self.call_as(ADMIN, method, path, body).await
    }

    pub(crate) async fn call_as(&self, key: &str, method: &str, path: &str, body: &str) -> Answer {
        let request =
            Request::builder().method(method).uri(path).header("authorization", format!("Bearer {key}"));
        self.send(request.body(Body::from(body.to_owned())).unwrap()).await
    }

    /// Sends a request with an idempotency key.
    pub(crate) async fn once(&self, key: &str, path: &str, body: &str) -> Answer {
        let request = Request::post(path)
            .header("authorization", format!("Bearer {ADMIN}"))
            .header("idempotency-key", key)
            .body(Body::from(body.to_owned()));
        self.send(request.unwrap()).await
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.server.front.answer(request).await;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    /// An application with the uid `shop` and one endpoint, whose id is returned.
    pub(crate) async fn shop(&self) -> String {
        let made = self.call("POST", "/api/v1/app", r#"{"name": "Shop", "uid": "shop"}"#).await;
        assert_eq!(made.status, 201, "{made:?}");
        let made =
            self.call("POST", "/api/v1/app/shop/endpoint", r#"{"url": "https://example.com/hooks"}"#).await;
        assert_eq!(made.status, 201, "{made:?}");
        made.id()
    }
}

#[tokio::test]
async fn every_answer_names_its_request_and_forbids_sniffing() {
    let world = World::new().await;
    for path in ["/livez", "/api/v1/app", "/nowhere"] {
        let first = world.call("GET", path, "").await;
        assert_eq!(first.headers["x-content-type-options"], "nosniff");
        let second = world.call("GET", path, "").await;
        assert_ne!(first.headers["x-request-id"], second.headers["x-request-id"]);
    }
}

#[tokio::test]
async fn readiness_ends_when_the_drain_begins() {
    let world = World::new().await;
    let check = async |path: &str, expect: StatusCode| {
        let answer = world.send(Request::get(path).body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, expect.as_u16(), "{path}");
    };
    check("/livez", StatusCode::OK).await;
    check("/readyz", StatusCode::OK).await;
    check("/api/v1/health", StatusCode::NO_CONTENT).await;
    check("/api/v1/health/ping", StatusCode::NO_CONTENT).await;
    world.server.context.drain();
    check("/readyz", StatusCode::SERVICE_UNAVAILABLE).await;
    check("/livez", StatusCode::OK).await;
}
