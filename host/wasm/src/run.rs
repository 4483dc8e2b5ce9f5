//! One run: a fresh store and instance, the limits, the call, and what is said of it afterwards.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hookmill_core::delivery::TransformFailure;
use hookmill_core::limits::FAILURE_DETAIL_BYTES_MAX;
use hookmill_core::plugin::{RunCost, TransformOutcome};
use hookmill_core::port::plugins::{PLUGIN_NOT_LOADED, TransformReport, TransformRun};
use wasmtime::component::Resource;
use wasmtime::{Engine, Store};

use crate::bindings::TransformPlugin;
use crate::bindings::exports::hookmill::plugin::transform::Failure;
use crate::engine::Ticker;
use crate::fault::{fault_of_breach, fault_of_error, unavailable};
use crate::guest::{RunState, settle_fuel};
use crate::library::{Library, LinkedPlugin};
use crate::limits::{EPOCH_TICK, RunLimits};
use crate::run_log::printable;

/// The one event and the one target of a run have no other number.
const ONLY: u32 = 0;

/// Runs plugins on whatever thread it is called.
pub(crate) struct Runner {
    engine: Engine,
    library: Arc<Library>,
    limits: RunLimits,
    ticker: Ticker,
}

impl Runner {
    pub(crate) fn new(engine: Engine, library: Arc<Library>, limits: RunLimits, ticker: Ticker) -> Self {
        Self { engine, library, limits, ticker }
    }

    /// Runs a transform once.
    pub(crate) fn run(&self, run: TransformRun) -> TransformReport {
        let Some(plugin) = self.library.get(run.digest) else {
            let detail = "the compiled plugin is not in the cache, it has to be prepared again";
            return report_of(unavailable(PLUGIN_NOT_LOADED, detail));
        };
        let watch = Stopwatch::start();
        let running = self.ticker.running();
        let mut store = self.store(run);
        let result = self.call(&plugin, &mut store);
        let fuel = self.limits.fuel - store.get_fuel().expect("the engine counts fuel");
        let remains = store.into_data().into_remains();
        drop(running);
        TransformReport {
            result,
            cost: RunCost { fuel, wall: watch.elapsed(), memory_peak_bytes: remains.memory_peak_bytes },
            logs: remains.log.into_lines(),
        }
    }

    /// Runs a transform several times in one instance.
    pub(crate) fn run_in_one_instance(&self, run: &TransformRun, times: usize) -> Vec<TransformReport> {
        let Some(plugin) = self.library.get(run.digest) else { return Vec::new() };
        let _running = self.ticker.running();
        let mut store = self.store(run.clone());
        let instance = match plugin.instantiate(&mut store) {
            Ok(instance) => instance,
            Err(error) => return vec![report_of(fault_of_error(&error, &self.limits))],
        };
        let mut reports: Vec<TransformReport> = Vec::with_capacity(times);
        while reports.len() < times && reports.last().is_none_or(|report| report.result.is_ok()) {
            let watch = Stopwatch::start();
            store.data_mut().begin_again();
            store.set_fuel(self.limits.fuel).expect("the engine counts fuel");
            store.set_epoch_deadline(ticks(self.limits.wall));
            store.set_hostcall_fuel(self.limits.host_call_bytes);
            let result = self.call_run(&instance, &mut store);
            let fuel = self.limits.fuel - store.get_fuel().expect("the engine counts fuel");
            let cost =
                RunCost { fuel, wall: watch.elapsed(), memory_peak_bytes: store.data().memory_peak_bytes() };
            reports.push(TransformReport { result, cost, logs: Vec::new() });
        }
        reports
    }

    fn store(&self, run: TransformRun) -> Store<RunState> {
        let mut store = Store::new(&self.engine, RunState::new(run, self.limits));
        store.limiter(|state| state);
        store.call_hook(settle_fuel);
        store.set_fuel(self.limits.fuel).expect("the engine counts fuel");
        store.set_epoch_deadline(ticks(self.limits.wall));
        store.set_hostcall_fuel(self.limits.host_call_bytes);
        store.set_max_component_handles(self.limits.handles);
        store
    }

    fn call(
        &self,
        plugin: &LinkedPlugin,
        store: &mut Store<RunState>,
    ) -> Result<TransformOutcome, TransformFailure> {
        let instance =
            plugin.instantiate(&mut *store).map_err(|error| fault_of_error(&error, &self.limits))?;
        self.call_run(&instance, store)
    }

    fn call_run(
        &self,
        instance: &TransformPlugin,
        store: &mut Store<RunState>,
    ) -> Result<TransformOutcome, TransformFailure> {
        let answer = instance
            .hookmill_plugin_transform()
            .call_run(&mut *store, Resource::new_borrow(ONLY), Resource::new_borrow(ONLY))
            .map_err(|error| fault_of_error(&error, &self.limits))?;
        let bounded = |message: String| printable(&message, FAILURE_DETAIL_BYTES_MAX);
        match answer {
            Ok(outcome) => store.data_mut().finish(outcome).map_err(fault_of_breach),
            Err(Failure::Retryable(message)) => {
                Err(TransformFailure::Retryable { message: bounded(message) })
            }
            Err(Failure::Permanent(message)) => {
                Err(TransformFailure::Permanent { message: bounded(message) })
            }
        }
    }
}

/// A report of a run that did not begin.
pub(crate) fn report_of(failure: TransformFailure) -> TransformReport {
    TransformReport { result: Err(failure), cost: RunCost::default(), logs: Vec::new() }
}

/// Ticks of the epoch after which a run has had its time. The first may come at once, so there is one more.
fn ticks(wall: Duration) -> u64 {
    u64::try_from(wall.as_nanos().div_ceil(EPOCH_TICK.as_nanos())).unwrap_or(u64::MAX - 1) + 1
}

/// Measures what a run took, for its report. Nothing is decided by it.
struct Stopwatch(Instant);

impl Stopwatch {
    #[expect(clippy::disallowed_methods, reason = "a cost is measured here; no decision hangs on it")]
    fn start() -> Self {
        Self(Instant::now())
    }

    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_has_its_whole_time() {
        let check = |millis, expect| assert_eq!(ticks(Duration::from_millis(millis)), expect, "{millis} ms");
        check(100, 21);
        check(1, 2);
        check(5, 2);
        check(6, 3);
    }
}
