//! Two tenants: whatever one does, the other's deliveries go on, and memory stays within its bound.

use std::sync::Arc;

use hookmill_testkit::receiver::{Behaviour, Gate, Receiver};
use hookmill_tests::api::{Api, Endpoint, message};
use hookmill_tests::memory::resident_peak_bytes;
use hookmill_tests::router::{ADMIN_KEY, DataDir, Router};
use hookmill_tests::wait;
use hookmill_tests::wire::Wire;
use http::Method;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Bytes of a large event's payload.
const LARGE_BYTES: usize = 900_000;
/// What the router may take while it is attacked.
const RESIDENT_BYTES_MAX: u64 = 300 << 20;
/// What it may take after a start, whatever waits in the store.
const RESIDENT_AFTER_START_BYTES_MAX: u64 = 200 << 20;
/// As many as an application may have, each with a place if it can get one.
const MANY_ENDPOINTS: usize = 1000;
/// With them more than there are places.
const NEIGHBOURS_ENDPOINTS: usize = 30;

/// The tenant that does no wrong.
struct Neighbour {
    application: String,
    receiver: Receiver,
    sent: usize,
}

impl Neighbour {
    async fn new(api: &Api) -> Self {
        let receiver = Receiver::start(Behaviour::accepts()).await;
        let application = api.create_application("neighbour").await;
        let _ = api.create_endpoint(&application, &receiver.url("/hook"), json!({})).await;
        Self { application, receiver, sent: 0 }
    }

    /// Sends some events, small and large, and waits until all are delivered.
    async fn is_served(&mut self, api: &Api) {
        for size in [10, LARGE_BYTES, 10, 10] {
            let _ = api.send(&self.application, "order.paid", &payload(size)).await;
            self.sent += 1;
            let _ = self.receiver.wait_for(self.sent).await;
        }
    }
}

fn payload(bytes: usize) -> String {
    format!(r#"{{"text":"{}"}}"#, "x".repeat(bytes))
}

async fn endpoints(api: &Api, application: &str, url: &str, count: usize, more: &Value) -> Vec<Endpoint> {
    let mut endpoints = Vec::with_capacity(count);
    for _ in 0..count {
        endpoints.push(api.create_endpoint(application, url, more.clone()).await);
    }
    endpoints
}

/// How many attempts failed, of all tenants.
async fn failed_attempts(api: &Api) -> f64 {
    let reply = api.call_at(Method::GET, "/metrics").reply().await;
    let text = std::str::from_utf8(&reply.body).expect("metrics are text");
    let attempts = text.lines().filter(|line| line.starts_with("hookmill_attempts_total{"));
    let failed = attempts.filter(|line| line.contains(r#"result="failed""#));
    failed
        .map(|line| {
            line.rsplit(' ')
                .next()
                .and_then(|value| value.parse::<f64>().ok())
                .expect("a counter has a number")
        })
        .sum()
}

fn check_peak(router: &Router, bytes_max: u64) {
    let peak = resident_peak_bytes(router.process_id());
    assert!(peak < bytes_max, "{} MiB resident", peak >> 20);
}

/// 300 endpoints whose receivers hang, 20 events of 0.9 MB for all of them and as many for each of some: once 5.8 GB, and
/// a crash loop out of the backlog.
#[tokio::test]
async fn hanging_receivers_and_large_events_fill_no_memory() {
    let data = DataDir::new();
    let router = data.start().await;
    let hanging = Receiver::start(Behaviour::NeverReads).await;
    let mut neighbour = Neighbour::new(router.api()).await;
    let application = router.api().create_application("hanging").await;
    let endpoints = endpoints(router.api(), &application, &hanging.url("/hook"), 300, &json!({})).await;
    for _ in 0..20 {
        let _ = router.api().send(&application, "large", &payload(LARGE_BYTES)).await;
    }
    neighbour.is_served(router.api()).await;
    for endpoint in &endpoints[..100] {
        let sent = message("large", None, &payload(LARGE_BYTES));
        let sent = sent.replacen('{', &format!(r#"{{"endpoint":"{}","#, endpoint.id), 1);
        let _ = router.api().try_send(&application, &sent, None).await.expect(202);
    }
    hanging.wait_for_connections(300).await;
    neighbour.is_served(router.api()).await;
    check_peak(&router, RESIDENT_BYTES_MAX);
    router.kill().await;

    let router = data.start().await;
    let connections = hanging.connections();
    hanging.wait_for_connections(connections + 20).await;
    neighbour.is_served(router.api()).await;
    check_peak(&router, RESIDENT_AFTER_START_BYTES_MAX);
}

/// 1,000 endpoints that are slow to answer: once they had all places, and whoever else had something to deliver waited for
/// their answers.
#[tokio::test]
async fn slow_endpoints_of_one_tenant_leave_places_to_others() {
    let data = DataDir::new();
    let router = data.start().await;
    let gate = Gate::closed();
    let slow = Receiver::start(Behaviour::Gated(gate.clone())).await;
    let mut neighbour = Neighbour::new(router.api()).await;
    let application = router.api().create_application("slow").await;
    // Its answers have 30 s.
    let preset = json!({ "preset": "mifumo" });
    let _ = endpoints(router.api(), &application, &slow.url("/hook"), MANY_ENDPOINTS, &preset).await;
    for _ in 0..3 {
        let _ = router.api().send(&application, "small", "{}").await;
    }
    // What one application may have under way.
    let _ = slow.wait_for(960).await;
    neighbour.is_served(router.api()).await;
    // Others that are slow themselves, so that each needs a place of its own.
    let also_slow = Receiver::start(Behaviour::Gated(gate.clone())).await;
    let other = router.api().create_application("other").await;
    let url = also_slow.url("/hook");
    let _ = endpoints(router.api(), &other, &url, NEIGHBOURS_ENDPOINTS, &preset).await;
    let _ = router.api().send(&other, "small", "{}").await;
    let _ = also_slow.wait_for(NEIGHBOURS_ENDPOINTS).await;
    neighbour.is_served(router.api()).await;
    assert_eq!(failed_attempts(router.api()).await, 0.0, "the neighbour waited until places were given up");
    check_peak(&router, RESIDENT_BYTES_MAX);
    gate.open();
}

/// Large requests of one tenant that never end: others are read meanwhile.
#[tokio::test]
async fn unfinished_requests_of_one_tenant_keep_nobody_else_waiting() {
    let data = DataDir::new();
    let router = data.start().await;
    let mut neighbour = Neighbour::new(router.api()).await;
    let application = router.api().create_application("stalling").await;
    let body = message("large", None, &payload(LARGE_BYTES));
    let head = format!(
        "POST /api/v1/app/{application}/msg HTTP/1.1\r\nhost: router\r\nauthorization: Bearer {ADMIN_KEY}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let request: Arc<str> = (head + &body[..body.len() - 1]).into();
    let (stalls, mut stalled) = mpsc::channel(1000);
    let mut senders = JoinSet::new();
    for _ in 0..300 {
        let (address, request, stalls) = (router.address(), Arc::clone(&request), stalls.clone());
        senders.spawn(async move {
            let mut wire = Wire::connect(address).await;
            // Ends only where the router reads on.
            wire.send(&*request).await;
            let _ = stalls.send(()).await;
            std::future::pending::<()>().await;
        });
    }
    for _ in 0..10 {
        wait::event("a request stalls", stalled.recv()).await;
    }
    neighbour.is_served(router.api()).await;
    check_peak(&router, RESIDENT_AFTER_START_BYTES_MAX);
    senders.shutdown().await;
    // Nothing stays leased.
    let _ = router.api().send(&application, "large", &payload(LARGE_BYTES)).await;
}
