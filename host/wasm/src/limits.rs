//! What an upload may consist of, and what one run may use.
//!
//! Upload limits are fixed: they bound what the compiler is fed. Run limits come with the host's configuration.

use std::time::Duration;

use hookmill_core::limits::{
    APPLICATION_CONCURRENCY_MAX, EVENT_BODY_BYTES_MAX, PLUGIN_FUEL_MAX, PLUGIN_FUEL_PER_BYTE,
    PLUGIN_FUEL_PER_LARGE_BYTE, PLUGIN_MEMORY_BYTES_MAX, PLUGIN_MEMORY_PER_LARGE_BYTE,
    PLUGIN_SMALL_INPUT_BYTES, PLUGIN_TIME_MAX, PLUGIN_TIME_PER_LARGE_BYTE, RESPONSE_BODY_BYTES_MAX,
    SOURCE_EVENT_BYTES_MAX, SOURCE_EVENTS_MAX, TRANSFORM_OUTPUT_BYTES_MAX, TRANSFORM_REQUESTS_MAX,
    TRANSFORM_SETTINGS_BYTES_MAX,
};

/// Functions of all core modules of one upload.
pub const FUNCTIONS_MAX: u64 = 60_000;
/// Bytes of one function's body.
pub const FUNCTION_BODY_BYTES_MAX: usize = 512 << 10;
/// Local variables of one function. Register allocation takes more than linear time in them.
pub const FUNCTION_LOCALS_MAX: u64 = 20_000;
/// Blocks within blocks of one function. Compilers of big switches nest some hundreds; what checks and compiles them takes
/// time in the square of it.
pub const BLOCK_NESTING_MAX: usize = 4096;
/// Parameters of one function or block.
pub const PARAMETERS_MAX: usize = 256;
/// Results of one function or block: each branch out of it carries so many values.
pub const RESULTS_MAX: usize = 32;
/// Targets of one `br_table`.
pub const BR_TABLE_TARGETS_MAX: u32 = 16_384;
/// Core modules of one upload; `wit-component` makes three to five of one.
pub const CORE_MODULES_MAX: u64 = 24;
/// Components of one upload, the outer one included. JavaScript toolchains make two dozen, one an interface.
pub const COMPONENTS_MAX: u64 = 64;
/// How deep components and modules nest.
pub const NESTING_MAX: usize = 4;
/// Core and component types of one upload.
pub const TYPES_MAX: u64 = 20_000;
/// Imports, exports, aliases, globals and instances of one upload, together.
pub const DEFINITIONS_MAX: u64 = 100_000;
/// Element and data segments of one upload, together.
pub const SEGMENTS_MAX: u64 = 50_000;
/// Bytes of all custom sections of one upload. Function names are kept: they are in the backtraces.
pub const CUSTOM_SECTION_BYTES_MAX: usize = 4 << 20;
/// Bytes of what is said of an upload that is refused.
pub const REFUSAL_BYTES_MAX: usize = 4 << 10;
/// Linear memories of one upload. Rust, C and QuickJS need one, adapters a second, what mends QuickJS's borrows a third.
pub const MEMORIES_MAX: u32 = 3;
/// Tables of one upload.
pub const TABLES_MAX: u32 = 8;
/// Elements of one table.
pub const TABLE_ELEMENTS_MAX: usize = 50_000;
/// Core instances of one run.
pub const CORE_INSTANCES_MAX: u32 = 32;
/// Bytes of one compiled plugin.
pub const ARTEFACT_BYTES_MAX: usize = 192 << 20;
/// Processor time that one upload may take to compile.
pub const COMPILE_CPU_MAX: Duration = Duration::from_secs(60);
/// Time that one upload may take to compile, whatever else the machine does.
pub const COMPILE_WALL_MAX: Duration = Duration::from_secs(90);
/// Address space of the process that compiles: what the compiler uses, and what its allocator reserves.
pub const COMPILE_ADDRESS_BYTES_MAX: u64 = 4 << 30;
/// Stack of the thread that compiles: compilers recurse along what they compile.
pub const COMPILE_STACK_BYTES: usize = 32 << 20;
/// Uploads that wait for the compiler; one more is refused.
pub const COMPILE_QUEUE_MAX: usize = 16;
/// Bytes of native stack that compiled code may use.
pub const WASM_STACK_BYTES_MAX: usize = 512 << 10;
/// Bytes of native stack of a thread that runs plugins: compiled code's own and what the host's functions need.
pub const RUN_THREAD_STACK_BYTES: usize = 4 << 20;
/// Runs that wait for a thread.
pub const QUEUED_RUNS_MAX: usize = 4096;
/// Those of one application.
pub const QUEUED_RUNS_PER_APPLICATION_MAX: usize = 1536;
/// Bytes that wait with them and that nobody else counts: requests to sources and answers of receivers. Events are in
/// memory once for all of their deliveries, and counted where those are loaded.
pub const QUEUED_BYTES_MAX: usize = 32 << 20;
/// Those of one application.
pub const QUEUED_BYTES_PER_APPLICATION_MAX: usize = 20 << 20;

/// Lines of one run's log; the last are kept.
pub const LOG_LINES_MAX: usize = 64;
/// Bytes of one log line.
pub const LOG_LINE_BYTES_MAX: usize = 1 << 10;
/// Bytes of one run's log.
pub const LOG_BYTES_MAX: usize = 16 << 10;
/// Tokens of a JSON pointer, and nesting of a merge patch.
pub const JSON_DEPTH_MAX: usize = 128;
/// Random bytes that one call of WASI may ask for.
pub const RANDOM_BYTES_MAX: usize = 64 << 10;
/// Frames of a backtrace that an error shows.
pub const BACKTRACE_FRAMES_MAX: usize = 8;

/// What one run may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunLimits {
    /// Deterministic budget: about one for each instruction, and more for calls of the host. 30 million take about
    /// 5 ms.
    pub fuel: u64,
    /// As much again for each byte of the body that the run is given.
    pub fuel_per_input_byte: u64,
    /// The processor's time, in steps of [`EPOCH_TICK`]; by the clock up to [`PLUGIN_WALL_PER_TIME`](hookmill_core::limits::PLUGIN_WALL_PER_TIME) times as long.
    pub time: Duration,
    /// Bytes of all linear memories together.
    pub memory_bytes: usize,
    /// Calls of the host.
    pub host_calls: u32,
    /// Bytes that one call may hand to the host.
    pub host_call_bytes: usize,
    /// Handles alive at once.
    pub handles: usize,
    /// Bytes of all request bodies.
    pub output_bytes: usize,
    /// Requests under construction or returned.
    pub requests: usize,
    /// Events under construction or returned, for a source.
    pub events: usize,
    /// Bytes of the bodies of all events.
    pub event_bytes: usize,
}

/// Bytes of the most that a run is given: settings, which may be a script, an event, and what its receiver answered.
pub const INPUT_BYTES_MAX: usize =
    TRANSFORM_SETTINGS_BYTES_MAX + EVENT_BODY_BYTES_MAX + RESPONSE_BODY_BYTES_MAX;
/// How often the wall clock of runs moves.
pub const EPOCH_TICK: Duration = Duration::from_millis(5);

impl RunLimits {
    /// What a run may use that is given a body and settings of so many bytes: what is read, kept and written of them costs
    /// something for each. Nobody is given more for more than [`INPUT_BYTES_MAX`].
    #[must_use]
    pub fn for_input(&self, body: usize, settings: usize) -> Self {
        let beyond = (body + settings).min(INPUT_BYTES_MAX).saturating_sub(PLUGIN_SMALL_INPUT_BYTES);
        let bytes = u32::try_from(beyond).unwrap_or(u32::MAX);
        let fuel = self.fuel_per_input_byte.saturating_mul(body as u64);
        let fuel_beyond = PLUGIN_FUEL_PER_LARGE_BYTE.saturating_mul(u64::from(bytes));
        Self {
            fuel: self.fuel.saturating_add(fuel).saturating_add(fuel_beyond),
            time: self.time.saturating_add(PLUGIN_TIME_PER_LARGE_BYTE.saturating_mul(bytes)),
            memory_bytes: self.memory_bytes.saturating_add(PLUGIN_MEMORY_PER_LARGE_BYTE * beyond),
            // One body is handed over in one call.
            output_bytes: self.output_bytes.saturating_add(beyond).min(self.host_call_bytes),
            ..*self
        }
    }

    /// The memory of a run with the largest input: what the engine keeps room for.
    #[must_use]
    pub fn memory_bytes_max(&self) -> usize {
        self.memory_bytes.saturating_add(PLUGIN_MEMORY_PER_LARGE_BYTE * INPUT_BYTES_MAX)
    }
}

impl Default for RunLimits {
    fn default() -> Self {
        Self {
            fuel: PLUGIN_FUEL_MAX,
            fuel_per_input_byte: PLUGIN_FUEL_PER_BYTE,
            time: PLUGIN_TIME_MAX,
            memory_bytes: PLUGIN_MEMORY_BYTES_MAX,
            host_calls: 10_000,
            host_call_bytes: EVENT_BODY_BYTES_MAX + (1 << 20),
            handles: 1024,
            output_bytes: TRANSFORM_OUTPUT_BYTES_MAX,
            requests: TRANSFORM_REQUESTS_MAX,
            events: SOURCE_EVENTS_MAX,
            event_bytes: SOURCE_EVENT_BYTES_MAX,
        }
    }
}

const _: () = {
    assert!(
        QUEUED_RUNS_PER_APPLICATION_MAX >= APPLICATION_CONCURRENCY_MAX,
        "every delivery under way fits the queue"
    );
    assert!(QUEUED_RUNS_PER_APPLICATION_MAX <= QUEUED_RUNS_MAX / 2, "one application leaves room for others");
    assert!(
        QUEUED_BYTES_PER_APPLICATION_MAX >= APPLICATION_CONCURRENCY_MAX * RESPONSE_BODY_BYTES_MAX,
        "every answer fits the queue"
    );
    assert!(QUEUED_BYTES_PER_APPLICATION_MAX < QUEUED_BYTES_MAX);
    assert!(WASM_STACK_BYTES_MAX * 4 <= RUN_THREAD_STACK_BYTES, "a guard page hit would end the process");
    assert!(LOG_LINE_BYTES_MAX <= LOG_BYTES_MAX);
    assert!(
        PLUGIN_MEMORY_PER_LARGE_BYTE.is_power_of_two() && INPUT_BYTES_MAX.is_multiple_of(4096),
        "whole pages"
    );
    assert!(hookmill_core::manifest::MANIFEST_BYTES_MAX <= CUSTOM_SECTION_BYTES_MAX);
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_grow_with_what_a_run_is_given() {
        let limits = RunLimits::default();
        let small = limits.for_input(2, 20);
        assert_eq!(small, RunLimits { fuel: limits.fuel + 200, ..limits });
        let large = limits.for_input(EVENT_BODY_BYTES_MAX, TRANSFORM_SETTINGS_BYTES_MAX);
        assert!(large.fuel / EVENT_BODY_BYTES_MAX as u64 >= 2_000 && large.time >= Duration::from_secs(2));
        assert!(
            large.output_bytes > EVENT_BODY_BYTES_MAX * 19 / 10
                && large.output_bytes <= limits.host_call_bytes
        );
        assert!(large.memory_bytes <= limits.memory_bytes_max());
        assert_eq!(
            limits.for_input(usize::MAX >> 1, 0).memory_bytes,
            limits.for_input(INPUT_BYTES_MAX, 0).memory_bytes
        );
    }
}
