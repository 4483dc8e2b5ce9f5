//! One tenant and some strangers who do all that they can at once.
//!
//! The tenant's endpoints hang, are slow, loop in their plugins, compose large bodies and ask for costly patterns; its calls
//! look for what is not there. Strangers stall, say nothing, never read, guess keys. Each kind comes from an address of its
//! own, as it would.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use hookmill_testkit::receiver::{Behaviour, Gate, Receiver};
use http::Method;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::api::{Api, message};
use crate::plugin;
use crate::wire::Wire;

const HANGING_ENDPOINTS: usize = 300;
const SLOW_ENDPOINTS: usize = 300;
const COSTLY_ENDPOINTS: usize = 200;
const COMPOSITIONS: usize = 60;
const LOOPING_ENDPOINTS: usize = 60;
const UNVERIFIED_ENDPOINTS: usize = 64;
/// Connections of each kind of stranger.
const STRANGERS: usize = 60;
/// Where the tenant's calls come from.
const TENANT: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

/// The tenant that does what it can.
#[derive(Clone)]
struct Attacker {
    api: Api,
    application: String,
}

/// An attack under way. Dropped, it ends.
#[derive(Debug)]
pub struct Attack {
    hanging: Receiver,
    slow: Receiver,
    under_way: JoinSet<()>,
}

impl Attacker {
    async fn create(&self, url: &str, more: Value) -> Option<String> {
        let mut endpoint = json!({ "url": url });
        endpoint.as_object_mut()?.extend(more.as_object()?.clone());
        let path = format!("/app/{}/endpoint", self.application);
        let made = self.api.call(Method::POST, &path).json(&endpoint).await;
        // Refused when it is saved is as good.
        (made.status == 201).then(|| made.json()["id"].as_str().expect("an endpoint has an id").to_owned())
    }

    async fn create_all(&self, hanging: &Receiver, slow: &Receiver) -> Vec<String> {
        for _ in 0..HANGING_ENDPOINTS {
            let made = self.create(&hanging.url("/"), json!({ "filterTypes": ["large"] })).await;
            assert!(made.is_some());
        }
        for _ in 0..SLOW_ENDPOINTS {
            assert!(self.create(&slow.url("/"), json!({ "filterTypes": ["small"] })).await.is_some());
        }
        let mut costly = 0;
        // From the costliest down; once refused, so are those like it.
        for ways in [60, 33, 30, 20, 10, 5, 3] {
            for number in 0..COSTLY_ENDPOINTS {
                let more = json!({ "pattern": costly_pattern(ways, number) });
                if costly == COSTLY_ENDPOINTS || self.create(&slow.url("/"), more).await.is_none() {
                    break;
                }
                costly += 1;
            }
        }
        assert!(costly > 0, "some pattern is taken");
        for _ in 0..LOOPING_ENDPOINTS {
            let transformation = json!({ "plugin": "looping", "settings": {} });
            let more = json!({ "filterTypes": ["small"], "transformation": transformation });
            assert!(self.create(&slow.url("/"), more).await.is_some());
        }
        for number in 0..COMPOSITIONS {
            let compose = json!({
                "name": format!("composed-{number}"), "url": hanging.url("/"), "preset": "standard",
                "eventTypes": ["large"],
                "body": { "format": "json", "content": { "copy": "@{{payload.text}}" } },
            });
            let path = format!("/app/{}/compose", self.application);
            self.api.call(Method::POST, &path).json(&compose).await.expect_status(201);
        }
        let mut unverified = Vec::new();
        for _ in 0..UNVERIFIED_ENDPOINTS {
            unverified.extend(self.create(&hanging.url("/"), json!({ "verification": "challenge" })).await);
        }
        unverified
    }

    /// Sends events of all kinds, whatever is answered.
    async fn send(self, number: usize) {
        let (large, rows) = (payload(900_000), rows());
        for round in number.. {
            let (event_type, payload) = match round % 4 {
                0 => ("large", large.as_str()),
                1 => ("rows", rows.as_str()),
                _ => ("small", "{}"),
            };
            let path = format!("/app/{}/msg", self.application);
            let call = self.api.call(Method::POST, &path).header("content-type", "application/json");
            let _ = call.with_body(message(event_type, None, payload)).try_reply().await;
        }
    }

    /// Lists what matches nothing, and pages of the largest messages.
    async fn list(self) {
        loop {
            for path in ["msg?event_types=none", "msg?limit=250", "msg?channel=none&limit=250"] {
                let path = format!("/app/{}/{path}", self.application);
                let _ = self.api.call(Method::GET, &path).try_reply().await;
            }
        }
    }

    async fn verify(self, endpoint: String) {
        loop {
            let path = format!("/app/{}/endpoint/{endpoint}/verify", self.application);
            let call = self.api.call(Method::POST, &path).header("content-type", "application/json");
            let _ = call.with_body("{}").try_reply().await;
        }
    }
}

impl Attack {
    /// Attacks a router, of which `admin` is a client with an admin key. Under way in full when this is done.
    ///
    /// # Panics
    /// Where the router refuses what it takes from any tenant.
    pub async fn begin(admin: &Api, router: SocketAddr) -> Self {
        let hanging = Receiver::start(Behaviour::NeverReads).await;
        let slow = Receiver::start(Behaviour::Gated(Gate::closed())).await;
        let application = admin.create_application("attacker").await;
        let key = json!({ "scope": "application", "application": application });
        let key = admin.call(Method::POST, "/key").json(&key).await.expect(201);
        let source = json!({ "name": "x", "application": application, "verification": { "type": "none" } });
        admin.call(Method::POST, "/source").json(&source).await.expect_status(201);
        let _ = admin.upload_plugin("looping", plugin::looping()).await;
        let key = key["key"].as_str().expect("a new key is shown").to_owned();
        let attacker = Attacker { api: Api::from_address(router, TENANT).with_key(&key), application };
        let unverified = attacker.create_all(&hanging, &slow).await;

        let mut attack = Self { hanging, slow, under_way: JoinSet::new() };
        attack.attack(router, &attacker, unverified).await;
        attack.hanging.wait_for_connections(100).await;
        let _ = attack.slow.wait_for(100).await;
        attack
    }

    /// What the attacked router tries to send to, once it was killed and started again.
    pub async fn is_sent_to_again(&self, connections: usize) {
        self.hanging.wait_for_connections(connections + 20).await;
    }

    /// How often it connected to a receiver that hangs.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.hanging.connections()
    }

    /// Ends all that goes to the router; the receivers stay as they are.
    pub async fn stop(&mut self) {
        self.under_way.shutdown().await;
    }

    async fn attack(&mut self, router: SocketAddr, attacker: &Attacker, unverified: Vec<String>) {
        for number in 0..4 {
            self.under_way.spawn(attacker.clone().send(number));
            self.under_way.spawn(attacker.clone().list());
        }
        for endpoint in unverified {
            self.under_way.spawn(attacker.clone().verify(endpoint));
        }
        let begun = Arc::new(Semaphore::new(0));
        for kind in [Stranger::Stalls, Stranger::AnswersPings, Stranger::NeverReads, Stranger::GuessesKeys] {
            for _ in 0..STRANGERS {
                let begun = Arc::clone(&begun);
                self.under_way.spawn(async move { kind.attack(router, &begun).await });
            }
        }
        let strangers = u32::try_from(4 * STRANGERS).expect("not so many");
        begun.acquire_many(strangers).await.expect("it is not closed").forget();
    }
}

/// Somebody without a key.
#[derive(Clone, Copy)]
enum Stranger {
    /// Sends all but the last byte of a large request.
    Stalls,
    /// Holds an HTTP/2 connection.
    AnswersPings,
    /// Asks and asks, and reads no answer.
    NeverReads,
    /// Tries keys, with long paths.
    GuessesKeys,
}

impl Stranger {
    async fn attack(self, router: SocketAddr, begun: &Semaphore) {
        let address = match self {
            Self::Stalls => [127, 0, 0, 3],
            Self::AnswersPings => [127, 0, 0, 4],
            Self::NeverReads => [127, 0, 0, 5],
            Self::GuessesKeys => [127, 0, 0, 6],
        };
        let mut is_first = true;
        loop {
            let mut wire = Wire::connect_from(IpAddr::from(address), router).await;
            if std::mem::take(&mut is_first) {
                begun.add_permits(1);
            }
            // Until the router closes; then it begins anew.
            match self {
                Self::Stalls => {
                    let length = 1 << 20;
                    wire.try_send(format!(
                        "POST /in/x HTTP/1.1\r\nhost: h\r\ncontent-length: {length}\r\n\r\n"
                    ))
                    .await;
                    wire.try_send("x".repeat(length - 1)).await;
                    wire.closed().await;
                }
                Self::AnswersPings => wire.answer_pings().await,
                Self::NeverReads => wire.send_until_closed("GET /nothing HTTP/1.1\r\nhost: h\r\n\r\n").await,
                Self::GuessesKeys => {
                    let path = "p".repeat(60_000);
                    let guess =
                        "GET /api/v1/app HTTP/1.1\r\nhost: h\r\nauthorization: Bearer hmk_wrong\r\n\r\n";
                    wire.try_send(guess).await;
                    wire.try_send(format!("GET /{path} HTTP/1.1\r\nhost: h\r\n\r\n")).await;
                    wire.closed().await;
                }
            }
        }
    }
}

/// A pattern of few bytes whose alternatives multiply out; each number makes another.
fn costly_pattern(ways: usize, number: usize) -> Value {
    let one_of = |field: &str| -> Vec<Value> {
        (0..ways).map(|way| json!({ format!("{field}{way}"): [way + number] })).collect()
    };
    json!({ "rows": { "$or": one_of("a"), "b": { "$or": one_of("b") } } })
}

/// An event whose elements all fare differently with such patterns.
fn rows() -> String {
    let row = |number: usize| {
        let fields = (0..10).map(|bit| format!(r#""a{}":{}"#, bit + number % 7, (number >> bit) % 40));
        format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
    };
    format!(r#"{{"rows":[{}]}}"#, (0..8000).map(row).collect::<Vec<_>>().join(","))
}

/// A payload of about so many bytes.
#[must_use]
pub fn payload(bytes: usize) -> String {
    format!(r#"{{"payload":{{"text":"{}"}}}}"#, "x".repeat(bytes))
}
