//! What a large configuration costs: routing by many patterns, and changes beside many endpoints.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{Bench, PAYLOAD_BYTES};
use crate::clock;
use crate::error::BenchError;
use crate::report::{Figure, Quantiles, Target};
use crate::router::{Application, Router};

/// Endpoints of an application, the most that it may have; each of them with a pattern of its own.
const PATTERNS: u64 = 1_000;
/// Endpoints of an application where many are made.
const APPLICATION_ENDPOINTS: u64 = 1_000;
/// Endpoints that are made at the same time.
const CREATORS: usize = 16;
/// Where nobody listens; nothing is sent there.
const NOWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9);

impl Bench {
    /// Events of an application whose thousand endpoints want other ones, beside those of one without endpoints.
    pub(super) async fn routing(&self) -> Result<(Vec<Figure>, Vec<String>), BenchError> {
        let (data, mut router) = self.start_router().await?;
        let plain = Application::create(&router).await?;
        let (plain_sent, plain_ms) = self.loaded(&router, &plain.target(&router, PAYLOAD_BYTES)).await?;
        let application = Arc::new(Application::create(&router).await?);
        create(&[Arc::clone(&application)], PATTERNS, |number| json!({ "pattern": pattern(number) })).await?;
        let (sent, processor_ms) = self.loaded(&router, &application.target(&router, PAYLOAD_BYTES)).await?;
        router.still_runs()?;
        router.kill().await;
        drop(data);

        let rate = |sent: &crate::generator::Sent| sent.accepted as f64 / sent.seconds();
        let acknowledged = Quantiles::in_milliseconds(&sent.acknowledged_ns);
        let figures = vec![
            Figure::new("accepted events, no endpoint", "/s", rate(&plain_sent)),
            Figure::new(format!("accepted events, {PATTERNS} patterns"), "/s", rate(&sent))
                .target(Target::AtLeast(rate(&plain_sent) / 2.0)),
            Figure::new("acknowledgement p99", "ms", acknowledged.p99),
            Figure::new("CPU per accepted event, no endpoint", "ms", plain_ms),
            Figure::new(format!("CPU per accepted event, {PATTERNS} patterns"), "ms", processor_ms),
        ];
        Ok((figures, vec![format!("{PATTERNS} endpoints, each with another pattern; none wants the events")]))
    }

    /// How fast endpoints are made where there are none yet, and where there are very many.
    pub(super) async fn endpoints(&self) -> Result<(Vec<Figure>, Vec<String>), BenchError> {
        let (data, mut router) = self.start_router().await?;
        let total = self.many_endpoints;
        let first = self.created(&router, APPLICATION_ENDPOINTS).await?;
        self.created(&router, total - 2 * APPLICATION_ENDPOINTS).await?;
        let last = self.created(&router, APPLICATION_ENDPOINTS).await?;
        let resident = router.resident()?;
        router.still_runs()?;
        router.kill().await;
        let mut router = Router::start(&self.router, data.path(), &self.log("router")).await?;
        let start_ms = router.ready_ns as f64 / 1e6;
        let restarted = router.resident()?;
        router.still_runs()?;
        router.kill().await;
        drop(data);
        let figures = vec![
            Figure::new("endpoints made, the first 1,000", "/s", first),
            Figure::new(format!("endpoints made, the last of {total}"), "/s", last)
                .target(Target::AtLeast(0.8 * first)),
            Figure::new(format!("resident memory, {total} endpoints"), "MB", resident.now_mb)
                .target(Target::AtMost(200.0)),
            Figure::new(format!("the same after a start of {start_ms:.0} ms"), "MB", restarted.now_mb),
        ];
        Ok((figures, vec![format!("{CREATORS} at a time, {APPLICATION_ENDPOINTS} to an application")]))
    }

    /// Makes endpoints in as many applications as they need; how many a second.
    async fn created(&self, router: &Router, endpoints: u64) -> Result<f64, BenchError> {
        let mut applications = Vec::new();
        for _ in 0..endpoints.div_ceil(APPLICATION_ENDPOINTS) {
            applications.push(Arc::new(Application::create(router).await?));
        }
        let started_ns = clock::now_ns();
        create(&applications, endpoints, |_| json!({})).await?;
        Ok(endpoints as f64 * 1e9 / (clock::now_ns() - started_ns) as f64)
    }
}

/// Makes endpoints, an equal number in each application, some at a time.
async fn create(
    applications: &[Arc<Application>],
    endpoints: u64,
    more: impl Fn(u64) -> Value + Copy + Send + Sync + 'static,
) -> Result<(), BenchError> {
    let next = Arc::new(AtomicU64::new(0));
    let mut creators = JoinSet::new();
    for _ in 0..CREATORS {
        let (next, applications) = (Arc::clone(&next), applications.to_vec());
        creators.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= endpoints {
                    return Ok(());
                }
                let application = &applications[number as usize % applications.len()];
                application.add_endpoint_with(NOWHERE, more(number)).await?;
            }
        });
    }
    while let Some(created) = creators.join_next().await {
        created.expect("a creator does not panic")?;
    }
    Ok(())
}

/// Half of them want a plain value, the others something that takes an operator.
fn pattern(number: u64) -> Value {
    match number % 2 {
        0 => json!({ "type": [format!("never.{number}")] }),
        _ => json!({ "type": [{ "prefix": format!("never.{number}.") }] }),
    }
}
