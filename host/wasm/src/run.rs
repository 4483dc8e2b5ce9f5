//! One run: a store and an instance, the limits, the call, and what is said of it afterwards.

use std::sync::Arc;
use std::time::Duration;

use hookmill_core::delivery::TransformFailure;
use hookmill_core::limits::PLUGIN_WALL_PER_TIME;
use hookmill_core::plugin::RunCost;
use hookmill_core::port::plugins::{PLUGIN_NOT_LOADED, RunReport, TransformReport, TransformRun};
use wasmtime::{Engine, Store, UpdateDeadline};

use crate::engine::Ticker;
use crate::fault::{fault_of_error, unavailable};
use crate::guest::{Remains, RunState, settle_fuel};
use crate::idle::{IdleInstance, IdleInstances, Tenant};
use crate::library::{Library, LinkedPlugin};
use crate::limits::{EPOCH_TICK, RunLimits};
use crate::stopwatch::{JOB_BEGAN, Stopwatch, thread_cpu_time};
use crate::world::WorldRun;

/// Runs plugins on whatever thread it is called.
pub(crate) struct Runner {
    engine: Engine,
    library: Arc<Library>,
    limits: RunLimits,
    ticker: Ticker,
    idle: IdleInstances,
}

impl Runner {
    pub(crate) fn new(engine: Engine, library: Arc<Library>, limits: RunLimits, ticker: Ticker) -> Self {
        Self { engine, library, limits, ticker, idle: IdleInstances::default() }
    }

    /// Runs a plugin once, in an instance that nothing was left in and that nothing is left of.
    pub(crate) fn run_fresh<R: WorldRun>(&self, run: R) -> RunReport<R::Answer> {
        let Some(plugin) = self.library.get(run.digest()) else { return not_loaded() };
        let watch = Stopwatch::start();
        let running = self.ticker.running();
        let limits = self.limits_of(&run);
        let mut store = self.store(run, &limits);
        let guest = instantiate::<R>(&plugin, &mut store, &limits);
        let result = guest.and_then(|guest| call::<R>(&guest, &mut store, &limits));
        let fuel = fuel_spent(&store, &limits);
        let remains = store.into_data().into_remains();
        drop(running);
        report(result, remains, fuel, &limits, &watch)
    }

    /// Runs a transform once, in an instance that an earlier run of its endpoint left, if there is one; leaves its own
    /// unless it failed. What fails there may have failed of what was left, so it is run once more in a fresh one.
    pub(crate) fn run_reused(&self, run: TransformRun) -> TransformReport {
        let watch = Stopwatch::start();
        let running = self.ticker.running();
        let limits = self.limits_of(&run);
        let tenant = Tenant::of(&run);
        let mut once_more = None;
        let mut instance = match self.idle.take(&tenant) {
            Some(mut instance) => {
                once_more = Some(run.clone());
                instance.store.data_mut().begin_again(run.into_state(limits));
                fill(&mut instance.store, &limits);
                instance
            }
            None => {
                let Some(plugin) = self.library.get(run.digest) else { return not_loaded() };
                let mut store = self.store(run, &limits);
                match instantiate::<TransformRun>(&plugin, &mut store, &limits) {
                    Ok(guest) => IdleInstance::new(tenant, store, guest),
                    Err(failure) => {
                        let fuel = fuel_spent(&store, &limits);
                        return report(Err(failure), store.into_data().into_remains(), fuel, &limits, &watch);
                    }
                }
            }
        };
        let result = call::<TransformRun>(&instance.guest, &mut instance.store, &limits);
        if let (Err(TransformFailure::Fault { .. }), Some(run)) = (&result, once_more) {
            drop((instance, running));
            return self.run_fresh(run);
        }
        let fuel = fuel_spent(&instance.store, &limits);
        let remains = instance.store.data_mut().rest();
        if result.is_ok() {
            self.idle.put(instance);
        }
        drop(running);
        report(result, remains, fuel, &limits, &watch)
    }

    /// Frees instances that were left long ago; answers whether any is left.
    pub(crate) fn sweep(&self) -> bool {
        self.idle.sweep()
    }

    /// What this run may use.
    fn limits_of<R: WorldRun>(&self, run: &R) -> RunLimits {
        self.limits.for_input(run.body_bytes(), run.settings_bytes())
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
    set_deadline(store, limits.time);
    store.set_hostcall_fuel(limits.host_call_bytes);
}

/// Ends a run that has had its time of the processor. On a busy machine that is longer by the clock, up to
/// [`PLUGIN_WALL_PER_TIME`] times.
fn set_deadline(store: &mut Store<RunState>, time: Duration) {
    let first = ticks(time);
    let mut left_by_the_clock = first * (PLUGIN_WALL_PER_TIME - 1);
    store.set_epoch_deadline(first);
    store.epoch_deadline_callback(move |_| {
        let used = thread_cpu_time().saturating_sub(JOB_BEGAN.get());
        let left = time.saturating_sub(used);
        if left.is_zero() || left_by_the_clock == 0 {
            return Ok(UpdateDeadline::Interrupt);
        }
        let more = ticks(left).min(left_by_the_clock);
        left_by_the_clock -= more;
        Ok(UpdateDeadline::Continue(more))
    });
}

fn fuel_spent(store: &Store<RunState>, limits: &RunLimits) -> u64 {
    limits.fuel - store.get_fuel().expect("the engine counts fuel")
}

fn not_loaded<T>() -> RunReport<T> {
    let detail = "the compiled plugin is not in the cache, it has to be prepared again";
    RunReport::not_begun(unavailable(PLUGIN_NOT_LOADED, detail))
}

fn report<T>(
    result: Result<T, TransformFailure>,
    remains: Remains,
    fuel: u64,
    limits: &RunLimits,
    watch: &Stopwatch,
) -> RunReport<T> {
    let cost = RunCost {
        fuel,
        fuel_max: limits.fuel,
        wall: watch.elapsed(),
        memory_peak_bytes: remains.memory_peak_bytes,
    };
    // A plugin without its secret can't be blamed for what it made of that; for a limit that it broke it can. Who lets the
    // event pass without the secret goes on.
    let result = result.map_err(|failure| match (remains.missing_secret, &failure) {
        (
            Some(message),
            TransformFailure::Permanent { .. }
            | TransformFailure::Retryable { .. }
            | TransformFailure::Fault { code: "plugin_trap", .. },
        ) => unavailable("secret_not_bound", message),
        (Some(_) | None, _) => failure,
    });
    RunReport { result, cost, logs: remains.log.into_lines() }
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
