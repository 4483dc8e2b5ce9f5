//! What the router counts of itself, in the text format of OpenMetrics.
//!
//! Counters are written where things happen, and read when someone asks. No label has a value that a caller, a
//! receiver or a plugin chose: values are `&'static str`, so the number of series is bounded and no tenant is named.

mod instrument;

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use hookmill_core::attempt::TransportFailure;
use hookmill_core::delivery::{DeadReason, TransformFailure};
use hookmill_core::plugin::World;
use hookmill_core::port::plugins::RunReport;
use hookmill_core::port::store::{AttemptResult, AttemptTrigger, Completion, Finished, StoreMeasures};
use hookmill_core::time::UnixMillis;
use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry, Unit};

use self::instrument::{Counts, Histogram};
use crate::dispatch::EndpointEnd;

/// Sets of label values of one name; what comes after them is counted as `other`.
const SERIES_MAX: usize = 128;
/// Why log lines are lost.
const LOG_LINES_LOST: [&str; 2] = ["unread", "too_many"];
/// Seconds.
const RESPONSE_BOUNDS: &[f64] =
    &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0, 60.0];
/// Seconds. From a delivery without trouble to the last retries of a schedule, which come after hours.
const PROCESSING_BOUNDS: &[f64] =
    &[0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 21_600.0, 86_400.0];
/// Seconds. A run takes microseconds, and is ended after a fraction of a second.
const PLUGIN_RUN_BOUNDS: &[f64] = &[0.000_01, 0.000_05, 0.000_1, 0.000_5, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5];

/// What the router counts of itself.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    events: Events,
    deliveries: Deliveries,
    plugins: PluginRuns,
    log_lines_lost: Counts<1>,
}

/// How an attempt went, beside what is on record of it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct AttemptFacts {
    /// The stable code of a failure.
    pub(crate) failure_code: Option<&'static str>,
    /// From the request to the end of its answer, or to its failure; none where nothing was sent.
    pub(crate) response_time: Option<Duration>,
}

#[derive(Debug)]
struct Events {
    accepted: Counter,
    repeated: Counter,
    refused: Counts<1>,
}

#[derive(Debug)]
struct Deliveries {
    attempts: Counts<3>,
    answers: Counts<1>,
    response_time: Histogram,
    processing_time: Histogram,
    retries_scheduled: Counter,
    dead_letters: Counts<1>,
    endpoints_disabled: Counts<1>,
    under_way: Gauge,
    not_sent: Counter,
    waiting: Gauge,
    oldest_age: Gauge<f64, AtomicU64>,
    endpoint_breakers_open: Gauge,
    plugin_breakers_open: Gauge,
    store_bytes: Gauge,
}

#[derive(Debug)]
struct PluginRuns {
    runs: Counts<2>,
    time: Histogram,
}

impl Metrics {
    /// Nothing is counted yet, by a process that began at `started_at`.
    pub(crate) fn new(started_at: UnixMillis) -> Self {
        let mut registry = Registry::default();
        let start: Gauge<f64, AtomicU64> = Gauge::default();
        start.set(started_at.0 as f64 / 1000.0);
        add_time(&mut registry, "process_start_time", "When the router started, in Unix time", start);
        let ours = registry.sub_registry_with_prefix("hookmill");
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        ours.register("build", "Which version of the router this is", version);
        let (events, deliveries) = (Events::new(ours), Deliveries::new(ours));
        let log_lines_lost = add(
            ours,
            "log_lines_lost",
            "Log lines that were not written: nobody read standard error, or too many alike came at once",
            Counts::new(["reason"], SERIES_MAX).shown(LOG_LINES_LOST.map(|reason| [reason])),
        );
        Self { events, deliveries, plugins: PluginRuns::new(ours), log_lines_lost, registry }
    }

    /// All of them, as `application/openmetrics-text; version=1.0.0`.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut encoded = String::new();
        text::encode(&mut encoded, &self.registry).expect("a string takes all text");
        encoded
    }

    /// An event, or a provider's request that may be some, was refused with this stable code.
    pub fn event_refused(&self, code: &'static str) {
        self.events.refused.count([code]);
    }

    /// So many more log lines were not written, because nobody read them or because too many alike came.
    pub fn log_lines_lost(&self, dropped: u64, left_out: u64) {
        for (reason, lines) in LOG_LINES_LOST.into_iter().zip([dropped, left_out]) {
            self.log_lines_lost.add([reason], lines);
        }
    }

    /// An event is durable.
    pub(crate) fn event_accepted(&self) {
        self.events.accepted.inc();
    }

    /// An event was known before.
    pub(crate) fn event_repeated(&self) {
        self.events.repeated.inc();
    }

    /// An attempt ended.
    pub(crate) fn attempt_ended(&self, finished: &Finished, facts: AttemptFacts, now: UnixMillis) {
        self.deliveries.attempt_ended(finished, facts, now);
    }

    /// An endpoint receives nothing any more.
    pub(crate) fn endpoint_disabled(&self, end: EndpointEnd) {
        self.deliveries.endpoints_disabled.count([end.code()]);
    }

    /// A delivery was not sent, for want of something on this machine.
    pub(crate) fn not_sent(&self) {
        self.deliveries.not_sent.inc();
    }

    /// So many deliveries are under way now.
    pub(crate) fn under_way(&self, deliveries: usize) {
        self.deliveries.under_way.set(i64::try_from(deliveries).unwrap_or(i64::MAX));
    }

    /// What waits, and how large the store is.
    pub(crate) fn measured(&self, store: &StoreMeasures, now: UnixMillis) {
        let count = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        self.deliveries.waiting.set(count(store.waiting));
        let age = store.oldest.map(|oldest| now.since(oldest)).unwrap_or_default();
        self.deliveries.oldest_age.set(age.as_secs_f64());
        self.deliveries.store_bytes.set(count(store.bytes));
    }

    /// So many breakers are not closed.
    pub(crate) fn breakers_open(&self, endpoints: usize, plugins: usize) {
        let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        self.deliveries.endpoint_breakers_open.set(count(endpoints));
        self.deliveries.plugin_breakers_open.set(count(plugins));
    }

    /// A plugin ran, or could not.
    pub(crate) fn plugin_ran<T>(&self, world: World, report: &RunReport<T>) {
        self.plugins.runs.count([world.as_str(), run_result(&report.result)]);
        if !matches!(report.result, Err(TransformFailure::Unavailable { .. })) {
            self.plugins.time.observe(report.cost.wall);
        }
    }
}

impl Events {
    fn new(registry: &mut Registry) -> Self {
        Self {
            accepted: add(
                registry,
                "events_accepted",
                "Events that were stored with all of their deliveries",
                Counter::default(),
            ),
            repeated: add(
                registry,
                "events_repeated",
                "Events that were answered with an earlier one, by their id or idempotency key",
                Counter::default(),
            ),
            refused: add(
                registry,
                "events_refused",
                "Requests with events that were refused, by the code of the answer",
                Counts::new(["code"], SERIES_MAX),
            ),
        }
    }
}

impl Deliveries {
    fn new(registry: &mut Registry) -> Self {
        let kinds = ["first", "retry"];
        let attempts = kinds.map(|kind| [kind, "delivered", ""]).into_iter();
        let failures = TransportFailure::ALL.map(TransportFailure::code).into_iter().chain(["status"]);
        let failures = failures.flat_map(|code| kinds.map(|kind| [kind, "failed", code]));
        let attempts = Counts::new(["kind", "result", "code"], SERIES_MAX).shown(attempts.chain(failures));
        let answers = ["2xx", "3xx", "4xx", "5xx"].map(|class| [class]);
        let dead = DeadReason::ALL.map(|reason| [reason.code()]);
        let (response_time, processing_time) =
            (Histogram::new(RESPONSE_BOUNDS), Histogram::new(PROCESSING_BOUNDS));
        Self {
            attempts: add(
                registry,
                "attempts",
                "Attempts of deliveries: first or retry, how they ended, and the code of a failure as in the attempt log",
                attempts,
            ),
            answers: add(
                registry,
                "answers",
                "Answers of receivers by class of status",
                Counts::new(["status"], SERIES_MAX).shown(answers),
            ),
            response_time: add_time(
                registry,
                "response_time",
                "From a request to the end of its receiver's answer, or to its failure",
                response_time,
            ),
            processing_time: add_time(
                registry,
                "processing_time",
                "From the acceptance of an event to its delivery, waits and retries included, resends not",
                processing_time,
            ),
            retries_scheduled: add(
                registry,
                "retries_scheduled",
                "Attempts that failed and are made again",
                Counter::default(),
            ),
            dead_letters: add(
                registry,
                "dead_letters",
                "Deliveries that were given up, by reason",
                Counts::new(["reason"], SERIES_MAX).shown(dead),
            ),
            endpoints_disabled: add(
                registry,
                "endpoints_disabled",
                "Endpoints that the router disabled, by reason",
                Counts::new(["reason"], SERIES_MAX).shown(EndpointEnd::ALL.map(|end| [end.code()])),
            ),
            under_way: add(registry, "deliveries_under_way", "Deliveries under way", Gauge::default()),
            not_sent: add(
                registry,
                "deliveries_not_sent",
                "Deliveries that waited a moment because this machine lacked descriptors, ports or memory; no attempts",
                Counter::default(),
            ),
            waiting: add(
                registry,
                "deliveries_waiting",
                "Deliveries that are not finished: under way, due, or to be tried again",
                Gauge::default(),
            ),
            oldest_age: add_time(
                registry,
                "oldest_delivery_age",
                "Since the acceptance of the earliest event that is still to be delivered, resends and endpoints that are turned off left out",
                Gauge::default(),
            ),
            endpoint_breakers_open: add(
                registry,
                "endpoint_breakers_open",
                "Endpoints that failed so often that their deliveries wait",
                Gauge::default(),
            ),
            plugin_breakers_open: add(
                registry,
                "plugin_breakers_open",
                "Endpoints whose plugin failed so often that it is not run for a while",
                Gauge::default(),
            ),
            store_bytes: {
                let size = Gauge::default();
                registry.register_with_unit(
                    "store_size",
                    "What the database takes on the disk",
                    Unit::Bytes,
                    size.clone(),
                );
                size
            },
        }
    }

    fn attempt_ended(&self, finished: &Finished, facts: AttemptFacts, now: UnixMillis) {
        let attempt = &finished.attempt;
        let kind = if attempt.number > 1 { "retry" } else { "first" };
        let result = match attempt.result {
            AttemptResult::Delivered => "delivered",
            AttemptResult::Failed => "failed",
            AttemptResult::Dropped => "dropped",
            AttemptResult::Split => "split",
        };
        self.attempts.count([kind, result, facts.failure_code.unwrap_or_default()]);
        if let Some(status) = attempt.status {
            self.answers.count([status_class(status)]);
        }
        if let Some(took) = facts.response_time {
            self.response_time.observe(took);
        }
        match finished.completion {
            // A resend comes long after the event, because someone wanted it then.
            Completion::Delivered if attempt.trigger == AttemptTrigger::Scheduled => {
                self.processing_time.observe(now.since(attempt.event.created_at()));
            }
            Completion::Retry { .. } => {
                self.retries_scheduled.inc();
            }
            Completion::Dead(reason) => self.dead_letters.count([reason.code()]),
            Completion::Delivered | Completion::Dropped | Completion::Split(_) => {}
        }
    }
}

impl PluginRuns {
    fn new(registry: &mut Registry) -> Self {
        let sets = World::ALL.into_iter().flat_map(|world| {
            ["answered", "verdict", "fault", "unavailable"].map(|result| [world.as_str(), result])
        });
        Self {
            runs: add(
                registry,
                "plugin_runs",
                "Runs of plugins by world and result: an answer, a verdict against the event, a fault, or no run at all",
                Counts::new(["world", "result"], SERIES_MAX).shown(sets),
            ),
            time: add_time(
                registry,
                "plugin_run_time",
                "Time of runs on their threads",
                Histogram::new(PLUGIN_RUN_BOUNDS),
            ),
        }
    }
}

/// Shows a metric by a name and a line of help.
fn add<M: Metric + Clone>(registry: &mut Registry, name: &str, help: &str, metric: M) -> M {
    registry.register(name, help, metric.clone());
    metric
}

/// The same with a name that ends with its unit, seconds.
fn add_time<M: Metric + Clone>(registry: &mut Registry, name: &str, help: &str, metric: M) -> M {
    registry.register_with_unit(name, help, Unit::Seconds, metric.clone());
    metric
}

fn status_class(status: u16) -> &'static str {
    match status {
        ..300 => "2xx",
        300..400 => "3xx",
        400..500 => "4xx",
        500.. => "5xx",
    }
}

fn run_result<T>(result: &Result<T, TransformFailure>) -> &'static str {
    match result {
        Ok(_) => "answered",
        Err(TransformFailure::Retryable { .. } | TransformFailure::Permanent { .. }) => "verdict",
        Err(TransformFailure::Fault { .. }) => "fault",
        Err(TransformFailure::Unavailable { .. }) => "unavailable",
    }
}
