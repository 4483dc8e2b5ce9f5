//! What a running plugin sees of the host: one [`RunState`] for each run, and the functions of `wit/` over it.
//!
//! Every function first calls [`RunState::enter`], which counts the call and charges fuel for the bytes it moves.
//! Nothing here waits, opens anything, reads a clock or draws a random number.

mod crypto;
mod event;
pub(crate) mod handles;
mod outbound;
mod random;

use hookmill_core::plugin::{LogLevel, TransformOutcome};
use hookmill_core::port::plugins::TransformRun;
use wasmtime::{CallHook, ResourceLimiter, StoreContextMut, Trap};

use self::handles::{EventHandle, RequestHandle, TargetHandle};
use self::outbound::Drafts;
use self::random::SeededRandom;
use crate::bindings::exports::hookmill::plugin::transform::Outcome;
use crate::bindings::hookmill::plugin::{ambient, log, types};
use crate::fault::Breach;
use crate::json::LazyJson;
use crate::limits::{RunLimits, TABLE_ELEMENTS_MAX};
use crate::run_log::{RunLog, printable};

/// Fuel for a call of the host, whatever it does: about the time of that many instructions.
const CALL_FUEL: u64 = 500;
/// Fuel for each byte that is looked at rather than copied, as by a digest or a JSON reader.
const FUEL_PER_BYTE_READ: u64 = 8;

/// Everything of one run that is not the plugin's own.
pub(crate) struct RunState {
    run: TransformRun,
    limits: RunLimits,
    calls: u32,
    /// Fuel that the host function under way has spent and the store was not charged for yet.
    fuel_owed: u64,
    memory: MemoryMeter,
    body: LazyJson,
    settings: LazyJson,
    drafts: Drafts,
    random: SeededRandom,
    log: RunLog,
}

/// What is left of a run's state when it is over.
pub(crate) struct Remains {
    pub(crate) memory_peak_bytes: u64,
    pub(crate) log: RunLog,
}

#[derive(Default)]
struct MemoryMeter {
    bytes: usize,
    peak_bytes: usize,
}

impl RunState {
    pub(crate) fn new(run: TransformRun, limits: RunLimits) -> Self {
        let body = LazyJson::new("event's body", run.event.body.clone());
        let settings = LazyJson::new("settings", bytes::Bytes::copy_from_slice(run.settings.as_bytes()));
        let random = SeededRandom::new(run.event.id, run.endpoint.id, run.digest);
        Self {
            run,
            limits,
            calls: 0,
            fuel_owed: 0,
            memory: MemoryMeter::default(),
            body,
            settings,
            drafts: Drafts::default(),
            random,
            log: RunLog::default(),
        }
    }

    /// Begins another run in the same instance, whose memory is counted on.
    pub(crate) fn begin_again(&mut self) {
        let memory = std::mem::take(&mut self.memory);
        *self = Self { memory, ..Self::new(self.run.clone(), self.limits) };
    }

    /// Turns what the plugin returned into what the router sends.
    pub(crate) fn finish(&mut self, outcome: Outcome) -> Result<TransformOutcome, Breach> {
        match outcome {
            Outcome::Deliver(requests) => {
                self.drafts.take(&requests, &self.run.endpoint).map(TransformOutcome::Deliver)
            }
            Outcome::Drop(reason) => {
                let reason = printable(&reason, hookmill_core::limits::FAILURE_DETAIL_BYTES_MAX);
                Ok(TransformOutcome::Drop(reason))
            }
        }
    }

    /// Bytes of linear memory at their most.
    pub(crate) fn memory_peak_bytes(&self) -> u64 {
        self.memory.peak_bytes as u64
    }

    /// What the report needs.
    pub(crate) fn into_remains(self) -> Remains {
        Remains { memory_peak_bytes: self.memory.peak_bytes as u64, log: self.log }
    }

    /// Counts one call of the host that copies so many bytes.
    fn enter(&mut self, bytes: usize) -> wasmtime::Result<()> {
        self.calls += 1;
        if self.calls > self.limits.host_calls {
            return Err(Breach::HostCalls { max: self.limits.host_calls }.into());
        }
        self.fuel_owed += CALL_FUEL + bytes as u64;
        Ok(())
    }

    /// Charges for bytes that the call under way looks at.
    fn charge_read(&mut self, bytes: usize) {
        self.fuel_owed += FUEL_PER_BYTE_READ * bytes as u64;
    }
}

/// Takes the fuel that host functions owe out of the store, at the moment they return.
pub(crate) fn settle_fuel(mut store: StoreContextMut<'_, RunState>, hook: CallHook) -> wasmtime::Result<()> {
    match hook {
        CallHook::ReturningFromHost => {
            let owed = std::mem::take(&mut store.data_mut().fuel_owed);
            if owed == 0 {
                return Ok(());
            }
            let fuel = store.get_fuel()?;
            store.set_fuel(fuel.saturating_sub(owed))?;
            if owed > fuel { Err(Trap::OutOfFuel.into()) } else { Ok(()) }
        }
        CallHook::CallingHost | CallHook::CallingWasm | CallHook::ReturningFromWasm => Ok(()),
    }
}

impl ResourceLimiter for RunState {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let bytes = (self.memory.bytes - current).saturating_add(desired);
        if bytes > self.limits.memory_bytes {
            return Err(Breach::Memory { max: self.limits.memory_bytes }.into());
        }
        self.memory.bytes = bytes;
        self.memory.peak_bytes = self.memory.peak_bytes.max(bytes);
        Ok(true)
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        if desired > TABLE_ELEMENTS_MAX {
            return Err(Breach::Table { max: TABLE_ELEMENTS_MAX }.into());
        }
        Ok(true)
    }
}

impl types::Host for RunState {}

impl log::Host for RunState {
    fn write(&mut self, level: log::Level, message: String) -> wasmtime::Result<()> {
        self.enter(message.len())?;
        let level = match level {
            log::Level::Debug => LogLevel::Debug,
            log::Level::Info => LogLevel::Info,
            log::Level::Warn => LogLevel::Warn,
            log::Level::Error => LogLevel::Error,
        };
        self.log.write(level, &message);
        Ok(())
    }
}

impl ambient::Host for RunState {
    fn now_ms(&mut self) -> wasmtime::Result<u64> {
        self.enter(0)?;
        Ok(self.run.now.0)
    }

    fn random_u64(&mut self) -> wasmtime::Result<u64> {
        self.enter(0)?;
        Ok(self.random.next())
    }
}
