//! One run: a fresh store and instance, the limits, the call, and what is said of it afterwards.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hookmill_core::delivery::TransformFailure;
use hookmill_core::plugin::RunCost;
use hookmill_core::port::plugins::{PLUGIN_NOT_LOADED, RunReport};
use wasmtime::{Engine, Store};

use crate::engine::Ticker;
use crate::fault::{fault_of_error, unavailable};
use crate::guest::{RunState, settle_fuel};
use crate::library::{Library, LinkedPlugin};
use crate::limits::{EPOCH_TICK, RunLimits};
use crate::world::WorldRun;

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

    /// Runs a plugin once.
    pub(crate) fn run<R: WorldRun>(&self, run: R) -> RunReport<R::Answer> {
        let Some(plugin) = self.library.get(run.digest()) else {
            let detail = "the compiled plugin is not in the cache, it has to be prepared again";
            return RunReport::not_begun(unavailable(PLUGIN_NOT_LOADED, detail));
        };
        let watch = Stopwatch::start();
        let running = self.ticker.running();
        let limits = self.limits_of(&run);
        let mut store = self.store(run, &limits);
        let guest = instantiate::<R>(&plugin, &mut store, &limits);
        let result = guest.and_then(|guest| call::<R>(&guest, &mut store, &limits));
        let fuel = fuel_spent(&store, &limits);
        let remains = store.into_data().into_remains();
        drop(running);
        RunReport {
            result,
            cost: RunCost {
                fuel,
                fuel_max: limits.fuel,
                wall: watch.elapsed(),
                memory_peak_bytes: remains.memory_peak_bytes,
            },
            logs: remains.log.into_lines(),
        }
    }

    /// Runs a plugin several times in one instance.
    pub(crate) fn run_in_one_instance<R: WorldRun>(
        &self,
        run: &R,
        times: usize,
    ) -> Vec<RunReport<R::Answer>> {
        let Some(plugin) = self.library.get(run.digest()) else { return Vec::new() };
        let _running = self.ticker.running();
        let limits = self.limits_of(run);
        let mut store = self.store(run.clone(), &limits);
        let guest = match instantiate::<R>(&plugin, &mut store, &limits) {
            Ok(guest) => guest,
            Err(failure) => return vec![RunReport::not_begun(failure)],
        };
        let mut reports: Vec<RunReport<R::Answer>> = Vec::with_capacity(times);
        while reports.len() < times && reports.last().is_none_or(|report| report.result.is_ok()) {
            let watch = Stopwatch::start();
            store.data_mut().begin_again(run.clone().into_state(limits));
            fill(&mut store, &limits);
            let result = call::<R>(&guest, &mut store, &limits);
            let cost = RunCost {
                fuel: fuel_spent(&store, &limits),
                fuel_max: limits.fuel,
                wall: watch.elapsed(),
                memory_peak_bytes: store.data().memory_peak_bytes(),
            };
            reports.push(RunReport { result, cost, logs: Vec::new() });
        }
        reports
    }

    /// What this run may use: what is read and written of a large input costs something for each byte.
    fn limits_of<R: WorldRun>(&self, run: &R) -> RunLimits {
        let for_input = self.limits.fuel_per_input_byte.saturating_mul(run.input_bytes() as u64);
        RunLimits { fuel: self.limits.fuel.saturating_add(for_input), ..self.limits }
    }

    fn store<R: WorldRun>(&self, run: R, limits: &RunLimits) -> Store<RunState> {
        let mut store = Store::new(&self.engine, run.into_state(*limits));
        store.limiter(|state| state);
        store.call_hook(settle_fuel);
        store.set_max_component_handles(limits.handles);
        fill(&mut store, limits);
        store
    }
}

/// Gives a run all that it may spend.
fn fill(store: &mut Store<RunState>, limits: &RunLimits) {
    store.set_fuel(limits.fuel).expect("the engine counts fuel");
    store.set_epoch_deadline(ticks(limits.wall));
    store.set_hostcall_fuel(limits.host_call_bytes);
}

fn fuel_spent(store: &Store<RunState>, limits: &RunLimits) -> u64 {
    limits.fuel - store.get_fuel().expect("the engine counts fuel")
}

fn instantiate<R: WorldRun>(
    plugin: &LinkedPlugin,
    store: &mut Store<RunState>,
    limits: &RunLimits,
) -> Result<R::Guest, TransformFailure> {
    let instance = plugin.linked.pre.instantiate(&mut *store);
    let guest = instance.and_then(|instance| R::load(&plugin.linked.export, store, &instance));
    guest.map_err(|error| fault_of_error(&error, limits))
}

fn call<R: WorldRun>(
    guest: &R::Guest,
    store: &mut Store<RunState>,
    limits: &RunLimits,
) -> Result<R::Answer, TransformFailure> {
    R::call(guest, store).unwrap_or_else(|error| Err(fault_of_error(&error, limits)))
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
