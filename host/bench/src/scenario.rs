//! What is measured: each scenario starts its routers afresh, loads them, and turns what came of it into figures.

mod configuration;
mod neighbour;
mod tenants;

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum;
use tempfile::TempDir;

use crate::disk::{self, DiskPace};
use crate::error::BenchError;
use crate::generator::{
    self, CONNECTIONS, DELIVERY_CONNECTIONS, Extent, Numbers, Sent, Target as LoadTarget,
};
use crate::plugin_library;
use crate::plugin_runs;
use crate::receiver::{Manner, Receiver};
use crate::report::{Figure, Quantiles, ScenarioReport, Target};
use crate::router::{self, Application, Router};

/// Bytes of an event's payload.
const PAYLOAD_BYTES: usize = 512;
/// The plugin that reshapes the payload.
const PLUGIN_NAME: &str = "osmox-notification";

const RATES: [u32; 2] = [300, 1_000];
const EVENTS_MAX: u64 = 5_000_000;
const WARM_UP: Extent = Extent { connections: CONNECTIONS, seconds: 1.0, events_max: 20_000 };

const BACKLOG_EVENTS: u64 = 10_000;
const BACKLOG_ENDPOINTS: u64 = 10;
/// After this long with nothing to do a router counts as idle.
const IDLE_AFTER: Duration = Duration::from_secs(2);
/// The last completions are written a moment after the last arrival.
const COMPLETIONS_AFTER: Duration = Duration::from_millis(100);

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// Events accepted for nobody: 64 connections, acknowledged after the commit
    Ingest,
    /// Events accepted, signed and delivered, as fast as possible
    E2e,
    /// The same, each event reshaped by a plugin in a fresh instance
    E2eWasm,
    /// From the moment an event is due to its arrival, at 300 and 1,000 events a second
    Latency,
    /// One run of a plugin, without HTTP and disk, beside native code
    Wasm,
    /// Ten thousand different plugins: memory, and what a cold one costs
    Library,
    /// Deliveries beside an endpoint whose plugin loops without end
    Neighbour,
    /// Deliveries beside a tenant with 1,000 endpoints that hang and large events
    Tenants,
    /// Start with 100,000 deliveries pending, and memory at rest
    Backlog,
    /// Events accepted beside 1,000 patterns
    Routing,
    /// Endpoints made where there are 100,000
    Endpoints,
}

impl Scenario {
    pub(crate) const ALL: [Self; 11] = [
        Self::Ingest,
        Self::E2e,
        Self::E2eWasm,
        Self::Latency,
        Self::Wasm,
        Self::Library,
        Self::Neighbour,
        Self::Tenants,
        Self::Backlog,
        Self::Routing,
        Self::Endpoints,
    ];

    fn title(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::E2e => "end to end",
            Self::E2eWasm => "end to end, Wasm",
            Self::Latency => "latency",
            Self::Wasm => "plugin run",
            Self::Library => "plugin library",
            Self::Neighbour => "bad neighbour",
            Self::Tenants => "two tenants",
            Self::Backlog => "backlog",
            Self::Routing => "routing",
            Self::Endpoints => "many endpoints",
        }
    }
}

/// What all scenarios share.
#[derive(Debug)]
pub(crate) struct Bench {
    router: PathBuf,
    plugin: PathBuf,
    /// Removed with everything in it when the run ends.
    directory: TempDir,
    numbers: Numbers,
    closed_loop: Extent,
    fixed_rate_seconds: u32,
    plugin_runs: u32,
    library_plugins: u32,
    many_endpoints: u64,
    /// The null router's end to end figures, for both scenarios that need them.
    null_end_to_end: RefCell<Option<EndToEnd>>,
}

/// What one closed loop with a receiver found.
#[derive(Debug, Clone, Copy)]
struct EndToEnd {
    events_per_second: f64,
    accepted: u64,
    refused: u64,
    repeated: u64,
    /// Of the router, for each delivered event.
    processor_ms: f64,
    resident_peak_mb: f64,
}

impl Bench {
    pub(crate) fn prepare(
        quick: bool,
        router: &Path,
        plugin: &Path,
        directory: &Path,
    ) -> Result<Self, BenchError> {
        let absolute = |path: &Path| {
            std::path::absolute(path).map_err(|source| BenchError::Read { path: path.to_owned(), source })
        };
        let directory = std::fs::create_dir_all(directory)
            .and_then(|()| tempfile::Builder::new().prefix("bench-").tempdir_in(directory))
            .map_err(|source| BenchError::Write { path: directory.to_owned(), source })?;
        Ok(Self {
            router: absolute(router)?,
            plugin: absolute(plugin)?,
            directory,
            numbers: Numbers::default(),
            closed_loop: Extent {
                connections: CONNECTIONS,
                seconds: if quick { 5.0 } else { 20.0 },
                events_max: EVENTS_MAX,
            },
            fixed_rate_seconds: if quick { 5 } else { 30 },
            plugin_runs: if quick { 5_000 } else { 50_000 },
            library_plugins: if quick { 1_000 } else { 10_000 },
            many_endpoints: if quick { 10_000 } else { 100_000 },
            null_end_to_end: RefCell::new(None),
        })
    }

    /// Runs one scenario, with the disk timed before and after.
    pub(crate) async fn run(&self, scenario: Scenario) -> Result<ScenarioReport, BenchError> {
        let before = disk::probe(self.directory.path())?;
        let (figures, remarks) = self.figures(scenario).await.inspect_err(|_| self.show_log())?;
        let after = disk::probe(self.directory.path())?;
        let mut report =
            ScenarioReport { scenario: scenario.title(), disk: DiskPace { before, after }, figures, remarks };
        if scenario == Scenario::Latency {
            hold_against_the_disk(&mut report);
        }
        Ok(report)
    }

    async fn figures(&self, scenario: Scenario) -> Result<(Vec<Figure>, Vec<String>), BenchError> {
        match scenario {
            Scenario::Ingest => self.ingest().await,
            Scenario::E2e => self.end_to_end_native().await,
            Scenario::E2eWasm => self.end_to_end_wasm().await,
            Scenario::Latency => self.latency().await,
            Scenario::Wasm => {
                plugin_runs::measure(&self.plugin, self.directory.path(), self.plugin_runs).await
            }
            Scenario::Library => {
                plugin_library::measure(&self.plugin, self.directory.path(), self.library_plugins).await
            }
            Scenario::Neighbour => self.neighbour().await,
            Scenario::Tenants => self.tenants().await,
            Scenario::Backlog => self.backlog().await,
            Scenario::Routing => self.routing().await,
            Scenario::Endpoints => self.endpoints().await,
        }
    }

    async fn ingest(&self) -> Result<(Vec<Figure>, Vec<String>), BenchError> {
        let null = Router::start_null(None, &self.log("null-router")).await?;
        let (null_sent, null_ms) = self.loaded(&null, &null.null_target(PAYLOAD_BYTES)).await?;
        null.kill().await;

        let (data, mut router) = self.start_router().await?;
        let application = Application::create(&router).await?;
        let (sent, processor_ms) = self.loaded(&router, &application.target(&router, PAYLOAD_BYTES)).await?;
        let resident = router.resident()?;
        router.still_runs()?;
        router.kill().await;
        drop(data);

        let rate = |sent: &Sent| sent.accepted as f64 / sent.seconds();
        let acknowledged = Quantiles::in_milliseconds(&sent.acknowledged_ns);
        let null_acknowledged = Quantiles::in_milliseconds(&null_sent.acknowledged_ns);
        let figures = vec![
            Figure::new("accepted events", "/s", rate(&sent))
                .beside(rate(&null_sent))
                .target(Target::AtLeast(10_000.0)),
            Figure::new("acknowledgement p50", "ms", acknowledged.p50).beside(null_acknowledged.p50),
            Figure::new("acknowledgement p99", "ms", acknowledged.p99).beside(null_acknowledged.p99),
            Figure::new("CPU per accepted event", "ms", processor_ms).beside(null_ms),
            Figure::new("resident memory, peak", "MB", resident.peak_mb),
        ];
        let remarks = vec![format!(
            "{CONNECTIONS} connections, no endpoint; {} accepted, {} refused",
            sent.accepted, sent.refused
        )];
        Ok((figures, remarks))
    }

    async fn end_to_end_native(&self) -> Result<(Vec<Figure>, Vec<String>), BenchError> {
        let null = self.null_end_to_end().await?;
        let receiver = Receiver::start(Manner::Answers).await?;
        let (data, mut router) = self.start_router().await?;
        let application = Application::create(&router).await?;
        application.add_endpoint(receiver.address).await?;
        let target = application.target(&router, PAYLOAD_BYTES);
        let found = self.end_to_end(&router, &target, &receiver).await?;
        router.still_runs()?;
        router.kill().await;
        drop(data);
        Ok(found.figures(&null, Aims { events_per_second: 12_000.0, share: 0.50, processor_ms: 0.09 }))
    }

    async fn end_to_end_wasm(&self) -> Result<(Vec<Figure>, Vec<String>), BenchError> {
        let null = self.null_end_to_end().await?;
        let component = std::fs::read(&self.plugin)
            .map_err(|source| BenchError::Read { path: self.plugin.clone(), source })?;
        let receiver = Receiver::start(Manner::Answers).await?;
        let (data, mut router) = self.start_router().await?;
        let application = Application::create(&router).await?;
        let endpoint = application.add_endpoint(receiver.address).await?;
        application.transform(&endpoint, PLUGIN_NAME, &component).await?;
        let target = application.target(&router, PAYLOAD_BYTES);
        let found = self.end_to_end(&router, &target, &receiver).await?;
        router.still_runs()?;
        router.kill().await;
        drop(data);
        Ok(found.figures(&null, Aims { events_per_second: 9_000.0, share: 0.40, processor_ms: 0.12 }))
    }

    async fn latency(&self) -> Result<(Vec<Figure>, Vec<String>), BenchError> {
        let (mut figures, mut remarks) = (Vec::new(), Vec::new());
        for rate in RATES {
            let receiver = Receiver::start(Manner::Answers).await?;
            let null = Router::start_null(Some(receiver.address), &self.log("null-router")).await?;
            let (null_ms, _) = self
                .paced(&null.null_target(PAYLOAD_BYTES), &receiver, rate, self.fixed_rate_seconds)
                .await?;
            null.kill().await;

            let (data, mut router) = self.start_router().await?;
            let application = Application::create(&router).await?;
            application.add_endpoint(receiver.address).await?;
            let (ms, remark) = self
                .paced(&application.target(&router, PAYLOAD_BYTES), &receiver, rate, self.fixed_rate_seconds)
                .await?;
            router.still_runs()?;
            router.kill().await;
            drop(data);

            let figure = |quantile: &str, value, null_value| {
                Figure::new(format!("{rate}/s, due to arrived, {quantile}"), "ms", value).beside(null_value)
            };
            figures.push(figure("p50", ms.p50, null_ms.p50));
            figures.push(figure("p99", ms.p99, null_ms.p99));
            remarks.push(remark);
        }
        Ok((figures, remarks))
    }

    async fn backlog(&self) -> Result<(Vec<Figure>, Vec<String>), BenchError> {
        let (data, router) = self.start_router().await?;
        let fresh_start_ms = router.ready_ns as f64 / 1e6;
        tokio::time::sleep(IDLE_AFTER).await;
        let idle = router.resident()?;

        let receiver = Receiver::start(Manner::Holds).await?;
        let application = Application::create(&router).await?;
        for _ in 0..BACKLOG_ENDPOINTS {
            application.add_endpoint(receiver.address).await?;
        }
        let extent = Extent { connections: CONNECTIONS, seconds: 60.0, events_max: BACKLOG_EVENTS };
        let target = application.target(&router, PAYLOAD_BYTES);
        let sent = generator::closed_loop(&target, &self.numbers, extent).await?;
        router.kill().await;

        let mut router = Router::start(&self.router, data.path(), &self.log("router")).await?;
        let start_ms = router.ready_ns as f64 / 1e6;
        tokio::time::sleep(IDLE_AFTER).await;
        let resident = router.resident()?;
        router.still_runs()?;
        router.kill().await;
        drop(data);
        let pending = sent.accepted * BACKLOG_ENDPOINTS;
        let figures = vec![
            Figure::new("start to ready, nothing pending", "ms", fresh_start_ms),
            Figure::new("resident memory, idle", "MB", idle.now_mb).target(Target::AtMost(60.0)),
            Figure::new(format!("start to ready, {pending} pending"), "ms", start_ms)
                .target(Target::AtMost(1_000.0)),
            Figure::new(format!("resident memory, {pending} pending"), "MB", resident.now_mb)
                .target(Target::AtMost(150.0)),
        ];
        Ok((
            figures,
            vec![format!("killed with {pending} deliveries to {BACKLOG_ENDPOINTS} silent endpoints pending")],
        ))
    }

    /// The null router's end to end figures, measured once in a run.
    async fn null_end_to_end(&self) -> Result<EndToEnd, BenchError> {
        let known = *self.null_end_to_end.borrow();
        if let Some(known) = known {
            return Ok(known);
        }
        let receiver = Receiver::start(Manner::Answers).await?;
        let router = Router::start_null(Some(receiver.address), &self.log("null-router")).await?;
        let found = self.end_to_end(&router, &router.null_target(PAYLOAD_BYTES), &receiver).await?;
        router.kill().await;
        *self.null_end_to_end.borrow_mut() = Some(found);
        Ok(found)
    }

    /// Sends as fast as events are acknowledged, then waits for the last arrival: the backlog counts.
    async fn end_to_end(
        &self,
        router: &Router,
        target: &LoadTarget,
        receiver: &Receiver,
    ) -> Result<EndToEnd, BenchError> {
        self.warm_up(target, receiver).await?;
        receiver.expect_from(self.numbers.upcoming());
        let processor_before = router.processor_seconds()?;
        let extent = Extent { connections: DELIVERY_CONNECTIONS, ..self.closed_loop };
        let sent = generator::closed_loop(target, &self.numbers, extent).await?;
        let arrivals = receiver.all_arrived(sent.accepted).await?;
        tokio::time::sleep(COMPLETIONS_AFTER).await;
        let processor_seconds = router.processor_seconds()? - processor_before;
        let seconds = (arrivals.last_ns - sent.started_ns) as f64 / 1e9;
        Ok(EndToEnd {
            events_per_second: arrivals.distinct as f64 / seconds,
            accepted: sent.accepted,
            refused: sent.refused,
            repeated: arrivals.repeated,
            processor_ms: processor_seconds * 1e3 / arrivals.distinct as f64,
            resident_peak_mb: router.resident()?.peak_mb,
        })
    }

    /// Sends at a fixed rate; the quantiles of due to arrived, and how well the rate was kept.
    async fn paced(
        &self,
        target: &LoadTarget,
        receiver: &Receiver,
        rate: u32,
        seconds: u32,
    ) -> Result<(Quantiles, String), BenchError> {
        self.warm_up(target, receiver).await?;
        receiver.expect_from(self.numbers.upcoming());
        let (sent, lateness_ns) = generator::fixed_rate(target, &self.numbers, rate, seconds).await?;
        let arrivals = receiver.all_arrived(sent.accepted).await?;
        let acknowledged = Quantiles::in_milliseconds(&sent.acknowledged_ns);
        let lateness = Quantiles::in_milliseconds(&lateness_ns);
        let remark = format!(
            "{rate}/s: {} sent, {} refused, {} repeated; acknowledged in {:.2} / {:.2} ms p50 / p99; the generator's own lateness {:.3} / {:.3} ms",
            sent.accepted,
            sent.refused,
            arrivals.repeated,
            acknowledged.p50,
            acknowledged.p99,
            lateness.p50,
            lateness.p99,
        );
        Ok((Quantiles::in_milliseconds(&arrivals.latency_ns), remark))
    }

    /// Loads a router that delivers nothing; also the processor time in ms for each event.
    async fn loaded(&self, router: &Router, target: &LoadTarget) -> Result<(Sent, f64), BenchError> {
        generator::closed_loop(target, &self.numbers, WARM_UP).await?;
        let processor_before = router.processor_seconds()?;
        let sent = generator::closed_loop(target, &self.numbers, self.closed_loop).await?;
        let processor_seconds = router.processor_seconds()? - processor_before;
        let processor_ms = processor_seconds * 1e3 / sent.accepted as f64;
        Ok((sent, processor_ms))
    }

    /// A moment of load that no figure counts: connections are opened, caches filled, plugins compiled.
    async fn warm_up(&self, target: &LoadTarget, receiver: &Receiver) -> Result<(), BenchError> {
        receiver.expect_from(self.numbers.upcoming());
        let sent = generator::closed_loop(target, &self.numbers, WARM_UP).await?;
        receiver.all_arrived(sent.accepted).await?;
        Ok(())
    }

    /// The real router on an empty data directory, which is removed when it is dropped.
    async fn start_router(&self) -> Result<(TempDir, Router), BenchError> {
        let data = tempfile::Builder::new()
            .prefix("data-")
            .tempdir_in(self.directory.path())
            .map_err(|source| BenchError::Write { path: self.directory.path().to_owned(), source })?;
        let router = Router::start(&self.router, data.path(), &self.log("router")).await?;
        Ok((data, router))
    }

    /// What the router said last: its log goes with the directory.
    fn show_log(&self) {
        let last = router::last_lines(&self.log("router"));
        if !last.is_empty() {
            eprintln!("the router's log ends with:\n{last}");
        }
    }

    fn log(&self, name: &str) -> PathBuf {
        self.directory.path().join(format!("{name}.log"))
    }
}

/// The targets of an end to end scenario.
#[derive(Debug, Clone, Copy)]
struct Aims {
    events_per_second: f64,
    /// Of the null router's rate.
    share: f64,
    processor_ms: f64,
}

impl EndToEnd {
    fn figures(&self, null: &Self, aims: Aims) -> (Vec<Figure>, Vec<String>) {
        let figures = vec![
            Figure::new("delivered events", "/s", self.events_per_second)
                .beside(null.events_per_second)
                .target(Target::AtLeast(aims.events_per_second))
                .target(Target::ShareOfNullRouter(aims.share)),
            Figure::new("CPU per delivered event", "ms", self.processor_ms)
                .beside(null.processor_ms)
                .target(Target::AtMost(aims.processor_ms)),
            Figure::new("resident memory, peak", "MB", self.resident_peak_mb)
                .beside(null.resident_peak_mb)
                .target(Target::AtMost(150.0)),
        ];
        let Self { accepted, refused, repeated, .. } = self;
        let remark = format!(
            "{DELIVERY_CONNECTIONS} connections; {accepted} accepted, {refused} refused, {repeated} delivered twice"
        );
        (figures, vec![remark])
    }
}

/// Durable delivery can't be faster than the disk: at most two of its flushes and a millisecond at the median.
fn hold_against_the_disk(report: &mut ScenarioReport) {
    let most_ms = 2.0 * report.disk.p50_ms() + 1.0;
    let held = format!("{}/s", RATES[1]);
    for figure in &mut report.figures {
        if figure.name.starts_with(&held) && figure.name.ends_with("p50") {
            figure.targets.push(Target::AtMost(most_ms));
        }
    }
    report.remarks.push("target: twice the slower fdatasync p50 and 1 ms".into());
}
