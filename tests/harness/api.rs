//! The router's API, as a client sees it.
//!
//! [`Api`] is one client with one key. Its methods have the names of operations and panic where the router refuses;
//! for what should be refused there is [`Api::call`], whose [`Reply`] is checked by the test.

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use http::{HeaderMap, Method};
use reqwest::Body;
use serde_json::{Value, json};

use crate::wait;

/// A client of one router with one key.
#[derive(Debug, Clone)]
pub struct Api {
    base: String,
    key: Option<String>,
    http: reqwest::Client,
}

/// What the router answered.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// One request under construction.
#[derive(Debug)]
pub struct Call<'a> {
    api: &'a Api,
    request: reqwest::RequestBuilder,
}

/// An endpoint of the router.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Its application's id.
    pub application: String,
    /// Its own id.
    pub id: String,
}

/// Quick retries without chance: the schedule of an endpoint in a test.
#[must_use]
pub fn quick_retries(retries: usize) -> Value {
    json!({ "schedule": vec![0.01; retries], "jitterPercent": 0 })
}

impl Api {
    /// A client with a key.
    ///
    /// # Panics
    /// If this machine has no room for a client.
    #[must_use]
    pub fn new(address: SocketAddr, key: &str) -> Self {
        // The client wants a provider although no test speaks TLS; a second time changes nothing.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().build().expect("there is a provider");
        Self { base: format!("http://{address}"), key: Some(key.to_owned()), http }
    }

    /// A client without a key that connects from this address of this machine: another client to the router.
    ///
    /// # Panics
    /// If this machine has no room for a client.
    #[must_use]
    pub fn from_address(router: SocketAddr, address: IpAddr) -> Self {
        let http = reqwest::Client::builder().no_proxy().local_address(address).build();
        Self { key: None, http: http.expect("there is a provider"), ..Self::new(router, "") }
    }

    /// The same client with another key.
    #[must_use]
    pub fn with_key(&self, key: &str) -> Self {
        Self { key: Some(key.to_owned()), ..self.clone() }
    }

    /// The same client without a key.
    #[must_use]
    pub fn without_key(&self) -> Self {
        Self { key: None, ..self.clone() }
    }

    /// A request to a path below `/api/v1`.
    #[must_use]
    pub fn call(&self, method: Method, path: &str) -> Call<'_> {
        self.call_at(method, &format!("/api/v1{path}"))
    }

    /// A request to any path.
    #[must_use]
    pub fn call_at(&self, method: Method, path: &str) -> Call<'_> {
        let request = self.http.request(method, format!("{}{path}", self.base));
        let request = match &self.key {
            Some(key) => request.bearer_auth(key),
            None => request,
        };
        Call { api: self, request }
    }

    /// Whether `/readyz` says so.
    pub async fn is_ready(&self) -> bool {
        let answer = self.http.get(format!("{}/readyz", self.base)).send().await;
        answer.is_ok_and(|answer| answer.status().is_success())
    }

    /// What is at a path below `/api/v1`.
    pub async fn get(&self, path: &str) -> Value {
        self.call(Method::GET, path).reply().await.expect(200)
    }

    /// Makes an application; answers its id.
    pub async fn create_application(&self, name: &str) -> String {
        let body = json!({ "name": name });
        let created = self.call(Method::POST, "/app").json(&body).await.expect(201);
        text(&created, "id")
    }

    /// Makes an endpoint that delivers to `url`; `more` are further fields.
    pub async fn create_endpoint(&self, application: &str, url: &str, more: Value) -> Endpoint {
        let mut body = json!({ "url": url });
        if let Value::Object(more) = more {
            body.as_object_mut().expect("an object was made").extend(more);
        }
        let path = format!("/app/{application}/endpoint");
        let created = self.call(Method::POST, &path).json(&body).await.expect(201);
        Endpoint { application: application.to_owned(), id: text(&created, "id") }
    }

    /// The current secret of an endpoint.
    pub async fn secret(&self, endpoint: &Endpoint) -> String {
        text(&self.get(&format!("{}/secret", endpoint.path())).await, "key")
    }

    /// Gives an endpoint a new secret; the old one goes on signing for a while.
    pub async fn rotate_secret(&self, endpoint: &Endpoint) {
        let path = format!("{}/secret/rotate", endpoint.path());
        self.call(Method::POST, &path).json(&json!({})).await.expect_status(204);
    }

    /// Changes how an endpoint is delivered to.
    pub async fn set_policy(&self, endpoint: &Endpoint, policy: Value) {
        let path = format!("{}/policy", endpoint.path());
        let _ = self.call(Method::PATCH, &path).json(&policy).await.expect(200);
    }

    /// Lets a plugin reshape what goes to an endpoint.
    pub async fn set_transformation(&self, endpoint: &Endpoint, transformation: Value) {
        let path = format!("{}/transformation", endpoint.path());
        let _ = self.call(Method::PATCH, &path).json(&transformation).await.expect(200);
    }

    /// Uploads a plugin; answers the version.
    pub async fn upload_plugin(&self, name: &str, component: Vec<u8>) -> String {
        let reply = self.try_upload_plugin(name, component).await;
        assert!(matches!(reply.status, 200 | 201), "{reply:?}");
        text(&reply.json(), "version")
    }

    /// Uploads what may be no plugin.
    pub async fn try_upload_plugin(&self, name: &str, component: impl Into<Body>) -> Reply {
        let call = self.call(Method::PUT, &format!("/plugin/{name}"));
        call.header("content-type", "application/wasm").body(component).await
    }

    /// Sends an event whose payload is this text, byte for byte; answers its id.
    pub async fn send(&self, application: &str, event_type: &str, payload: &str) -> String {
        let reply = self.try_send(application, &message(event_type, None, payload), None).await;
        text(&reply.expect(202), "id")
    }

    /// Sends a body to where events go, with an idempotency key or without.
    pub async fn try_send(&self, application: &str, body: &str, idempotency_key: Option<&str>) -> Reply {
        let call = self.call(Method::POST, &format!("/app/{application}/msg"));
        let call = match idempotency_key {
            Some(key) => call.header("idempotency-key", key),
            None => call,
        };
        call.header("content-type", "application/json").body(body.to_owned()).await
    }

    /// Attempts of one message, from the first on.
    pub async fn attempts(&self, application: &str, message: &str) -> Vec<Value> {
        let list = self.get(&format!("/app/{application}/attempt/msg/{message}?limit=250")).await;
        let mut attempts = list["data"].as_array().expect("a list has data").clone();
        attempts.reverse();
        attempts
    }

    /// Waits until a message has at least `count` attempts in the log, and gives them.
    pub async fn wait_for_attempts(&self, application: &str, message: &str, count: usize) -> Vec<Value> {
        wait::until(&format!("{message} has {count} attempts"), async || {
            let attempts = self.attempts(application, message).await;
            (attempts.len() >= count).then_some(attempts)
        })
        .await
    }

    /// Deliveries of an endpoint that are not finished.
    pub async fn unfinished(&self, endpoint: &Endpoint) -> u64 {
        let stats = self.get(&format!("{}/stats", endpoint.path())).await;
        let count = |name: &str| stats[name].as_u64().unwrap_or_else(|| panic!("no {name} in {stats}"));
        count("pending") + count("sending")
    }

    /// Waits until every delivery of an endpoint is finished.
    pub async fn wait_until_drained(&self, endpoint: &Endpoint) {
        wait::until("all is delivered", async || (self.unfinished(endpoint).await == 0).then_some(())).await;
    }
}

impl Endpoint {
    /// Its path below `/api/v1`.
    #[must_use]
    pub fn path(&self) -> String {
        format!("/app/{}/endpoint/{}", self.application, self.id)
    }
}

impl Call<'_> {
    /// Adds a header.
    #[must_use]
    pub fn header(self, name: &str, value: &str) -> Self {
        Self { request: self.request.header(name, value), ..self }
    }

    /// Sends it with a body of JSON.
    pub async fn json(self, body: &Value) -> Reply {
        self.header("content-type", "application/json").body(body.to_string()).await
    }

    /// Sends it with a body.
    pub async fn body(self, body: impl Into<Body>) -> Reply {
        self.with_body(body).reply().await
    }

    /// Adds a body.
    #[must_use]
    pub fn with_body(self, body: impl Into<Body>) -> Self {
        Self { request: self.request.body(body), ..self }
    }

    /// Sends it.
    ///
    /// # Panics
    /// If no answer comes.
    pub async fn reply(self) -> Reply {
        match self.try_reply().await {
            Ok(reply) => reply,
            Err(error) => panic!("no answer: {error:?}"),
        }
    }

    /// Sends it to a router that may be gone.
    ///
    /// # Errors
    /// When no whole answer came.
    pub async fn try_reply(self) -> Result<Reply, reqwest::Error> {
        let request = self.request.build()?;
        let answer = self.api.http.execute(request).await?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        Ok(Reply { status, headers, body: answer.bytes().await? })
    }
}

impl Reply {
    /// The body as JSON.
    ///
    /// # Panics
    /// If it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The body of an answer with this status.
    ///
    /// # Panics
    /// If the status is another.
    #[must_use]
    pub fn expect(&self, status: u16) -> Value {
        self.expect_status(status);
        self.json()
    }

    /// Checks the status.
    ///
    /// # Panics
    /// If it is another.
    pub fn expect_status(&self, status: u16) {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
    }

    /// Checks that this is a refusal with this status and stable code, and says something to people.
    ///
    /// # Panics
    /// If it is not.
    pub fn check_refused(&self, status: u16, code: &str) {
        let body = self.expect(status);
        assert_eq!(body["code"], code, "{body}");
        let detail = match &body["detail"] {
            Value::Array(places) => &places[0]["msg"],
            detail => detail,
        };
        assert!(detail.as_str().is_some_and(|detail| detail.len() > 10), "no detail for people: {body}");
    }
}

/// The body that sends an event, with the payload byte for byte.
#[must_use]
pub fn message(event_type: &str, event_id: Option<&str>, payload: &str) -> String {
    let event_id = event_id.map(|id| format!(r#""eventId":{},"#, Value::from(id))).unwrap_or_default();
    format!(r#"{{"eventType":{},{event_id}"payload":{payload}}}"#, Value::from(event_type))
}

/// A field that is text.
///
/// # Panics
/// If it is not.
#[must_use]
pub fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}")).to_owned()
}
