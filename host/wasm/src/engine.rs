//! The one engine of the process, and the thread that moves its clock.
//!
//! One function makes every configuration, because compiled artefacts load only into an engine that is configured as
//! the one that compiled them. There is exactly one engine in a process: types of two must never meet.

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig, Strategy,
    WasmBacktraceDetails,
};

use crate::idle::IDLE_INSTANCES_MAX;
use crate::limits::{
    BACKTRACE_FRAMES_MAX, CORE_INSTANCES_MAX, EPOCH_TICK, MEMORIES_MAX, RunLimits, TABLE_ELEMENTS_MAX,
    TABLES_MAX, WASM_STACK_BYTES_MAX,
};

/// Instances of one run, nested ones included.
const COMPONENT_INSTANCES_PER_RUN: u32 = 16;
/// Memories that stay mapped for the plugin that used them last. More of them spare remapping where many plugins
/// take turns, and cost address space.
const MEMORY_SLOTS_MIN: u32 = 32;
/// Bytes of a memory that are wiped by hand after a run instead of being given back to the kernel, where the kernel
/// tells which pages are dirty.
const MEMORY_KEPT_SCANNED_BYTES: usize = 4 << 20;
/// The same where it does not, so that all of them are wiped each time.
const MEMORY_KEPT_BYTES: usize = 128 << 10;
const TABLE_KEPT_BYTES: usize = 64 << 10;
/// Ticks without a run after which the clock stops until there is one.
const IDLE_TICKS_MAX: u32 = 200;

/// How linear memories are laid out in the address space. Compiled code depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Layout {
    /// Pre-allocated slots of 4 GiB and guard regions: no bounds checks in compiled code.
    Reserved,
    /// Pre-allocated slots no larger than a run's memory: for systems that limit address space.
    Compact,
    /// Mapped for each run.
    OnDemand,
}

/// Makes the engine with the best layout that this system allows.
pub(crate) fn build(
    threads: usize,
    limits: &RunLimits,
    pagemap_scan: bool,
) -> wasmtime::Result<(Engine, Layout)> {
    for layout in [Layout::Reserved, Layout::Compact] {
        match build_layout(layout, threads, limits, pagemap_scan) {
            Ok(engine) => return Ok((engine, layout)),
            Err(error) => {
                tracing::warn!(?layout, error = format!("{error:#}"), "memory layout not available");
            }
        }
    }
    Ok((build_layout(Layout::OnDemand, threads, limits, pagemap_scan)?, Layout::OnDemand))
}

pub(crate) fn build_layout(
    layout: Layout,
    threads: usize,
    limits: &RunLimits,
    pagemap_scan: bool,
) -> wasmtime::Result<Engine> {
    let mut config = compile_config(layout, limits);
    match layout {
        Layout::Reserved | Layout::Compact => {
            config.allocation_strategy(pooling(threads, limits, pagemap_scan));
        }
        Layout::OnDemand => {}
    }
    Engine::new(&config)
}

/// Whether dirty pages may be found by the `PAGEMAP_SCAN` ioctl.
///
/// Wasmtime 48 overlooks dirty pages that were swapped out (its pull request 14357), which would show one run's
/// memory to the next: no swap may be active. `swaps` is the text of `/proc/swaps`: a headline, and a line for each.
pub(crate) fn pagemap_scan_is_safe(swaps: Option<&str>) -> bool {
    let no_swap = swaps.is_some_and(|text| text.lines().count() == 1);
    no_swap && PoolingAllocationConfig::is_pagemap_scan_available()
}

/// A name for everything that compiled code depends on but the plugin itself: 16 hexadecimal digits.
pub(crate) fn compatibility_hash(engine: &Engine) -> String {
    struct StableHasher(Sha256);
    impl Hasher for StableHasher {
        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }
        fn finish(&self) -> u64 {
            u64::from_be_bytes(self.0.clone().finalize()[..8].try_into().expect("8 of 32 bytes"))
        }
    }
    let mut hasher = StableHasher(Sha256::new());
    engine.precompile_compatibility_hash().hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// All that compiled code depends on. An engine of just this reserves nothing: it is for compiling.
pub(crate) fn compile_config(layout: Layout, limits: &RunLimits) -> Config {
    let mut config = Config::new();
    config.strategy(Strategy::Cranelift).cranelift_opt_level(OptLevel::Speed);
    // Both, since fuel is the same on every machine and the epoch ends what fuel does not measure well.
    config.consume_fuel(true).epoch_interruption(true);
    config.max_wasm_stack(WASM_STACK_BYTES_MAX);
    // A replay on another processor gives the same bits.
    config.cranelift_nan_canonicalization(true);
    // Unwinding is by frame pointers; registering tables for it takes quadratic time on some systems.
    config.native_unwind_info(false);
    config.wasm_backtrace_details(WasmBacktraceDetails::Enable);
    config.wasm_backtrace_max_frames(std::num::NonZeroUsize::new(BACKTRACE_FRAMES_MAX * 2));
    config.memory_init_cow(true);
    proposals(&mut config);
    match layout {
        Layout::Reserved => {
            config.memory_reservation(4 << 30).memory_guard_size(32 << 20).guard_before_linear_memory(true);
            config.memory_may_move(false);
        }
        Layout::Compact => {
            config.memory_reservation(limits.memory_bytes_max() as u64).memory_guard_size(64 << 10);
            config.memory_may_move(false);
        }
        Layout::OnDemand => {
            config.memory_reservation(0).memory_guard_size(64 << 10);
        }
    }
    config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
    config
}

/// Turns off each proposal that Rust, C and QuickJS do without: what is off can't be attacked.
fn proposals(config: &mut Config) {
    config.wasm_component_model(true);
    config.wasm_tail_call(false);
    config.wasm_relaxed_simd(false);
    // Composed components need it: what wasmtime puts between their parts copies from one memory to another. A module has
    // one memory of its own all the same (`structure`).
    config.wasm_multi_memory(true);
    config.wasm_memory64(false);
    config.wasm_custom_page_sizes(false);
    config.wasm_wide_arithmetic(false);
    config.shared_memory(false);
}

fn pooling(threads: usize, limits: &RunLimits, pagemap_scan: bool) -> InstanceAllocationStrategy {
    // An idle instance keeps its places, also while it is being dropped, so those that run never wait for one.
    let runs = u32::try_from(threads + 2 * IDLE_INSTANCES_MAX).unwrap_or(u32::MAX).min(1024);
    let mut pooling = PoolingAllocationConfig::new();
    pooling
        .total_component_instances(runs * COMPONENT_INSTANCES_PER_RUN)
        .total_core_instances(runs * CORE_INSTANCES_MAX)
        .total_memories((runs * MEMORIES_MAX).max(MEMORY_SLOTS_MIN))
        .total_tables((runs * TABLES_MAX).max(MEMORY_SLOTS_MIN))
        .max_core_instances_per_component(CORE_INSTANCES_MAX)
        .max_memories_per_component(MEMORIES_MAX)
        .max_tables_per_component(TABLES_MAX)
        .max_memories_per_module(1)
        .max_tables_per_module(TABLES_MAX)
        .table_elements(TABLE_ELEMENTS_MAX)
        .max_memory_size(limits.memory_bytes_max())
        .max_unused_warm_slots(MEMORY_SLOTS_MIN)
        .table_keep_resident(TABLE_KEPT_BYTES);
    if pagemap_scan {
        pooling.pagemap_scan(Enabled::Yes).linear_memory_keep_resident(MEMORY_KEPT_SCANNED_BYTES);
    } else {
        pooling.pagemap_scan(Enabled::No).linear_memory_keep_resident(MEMORY_KEPT_BYTES);
    }
    InstanceAllocationStrategy::Pooling(pooling)
}

/// Moves the engine's clock while plugins run, and stops it while none does.
pub(crate) struct Ticker {
    state: Arc<TickerState>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct TickerState {
    running: AtomicUsize,
    parked: AtomicBool,
    stop: AtomicBool,
}

impl Ticker {
    pub(crate) fn start(engine: Engine) -> std::io::Result<Self> {
        let state = Arc::new(TickerState::default());
        let thread = thread::Builder::new().name("hookmill-epoch".into()).spawn({
            let state = Arc::clone(&state);
            move || tick(&engine, &state)
        })?;
        Ok(Self { state, thread: Some(thread) })
    }

    /// Keeps the clock going as long as the guard lives.
    pub(crate) fn running(&self) -> Running<'_> {
        // Before `parked` is read: the thread writes `parked` before it reads this.
        self.state.running.fetch_add(1, Ordering::SeqCst);
        if self.state.parked.load(Ordering::SeqCst) {
            self.wake();
        }
        Running(&self.state)
    }

    fn wake(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.state.stop.store(true, Ordering::SeqCst);
        self.wake();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// One run under way.
pub(crate) struct Running<'a>(&'a TickerState);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

fn tick(engine: &Engine, state: &TickerState) {
    let mut idle_ticks = 0;
    while !state.stop.load(Ordering::SeqCst) {
        if state.running.load(Ordering::SeqCst) > 0 {
            idle_ticks = 0;
        } else if idle_ticks < IDLE_TICKS_MAX {
            idle_ticks += 1;
        } else {
            state.parked.store(true, Ordering::SeqCst);
            while state.running.load(Ordering::SeqCst) == 0 && !state.stop.load(Ordering::SeqCst) {
                thread::park();
            }
            state.parked.store(false, Ordering::SeqCst);
            idle_ticks = 0;
        }
        thread::park_timeout(EPOCH_TICK);
        engine.increment_epoch();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pagemap_scan_wants_a_system_without_swap() {
        const HEAD: &str = "Filename\tType\tSize\tUsed\tPriority\n";
        assert!(!pagemap_scan_is_safe(None));
        assert!(!pagemap_scan_is_safe(Some("")));
        assert!(!pagemap_scan_is_safe(Some(&format!("{HEAD}/dev/zram0 partition 1 0 100\n"))));
        let available = PoolingAllocationConfig::is_pagemap_scan_available();
        assert_eq!(pagemap_scan_is_safe(Some(HEAD)), available);
    }

    #[test]
    fn every_layout_makes_an_engine_that_names_what_its_code_needs() {
        let limits = RunLimits::default();
        let hash = |layout| compatibility_hash(&build_layout(layout, 2, &limits, false).unwrap());
        assert_eq!(hash(Layout::Reserved), hash(Layout::Reserved));
        assert_ne!(hash(Layout::Reserved), hash(Layout::Compact));
        assert_ne!(hash(Layout::Compact), hash(Layout::OnDemand));
        assert_eq!(hash(Layout::OnDemand).len(), 16);
    }

    #[test]
    fn the_clock_moves_again_after_it_stopped() {
        let engine = build_layout(Layout::OnDemand, 1, &RunLimits::default(), false).unwrap();
        let ticker = Ticker::start(engine).unwrap();
        for _ in 0..3 {
            let running = ticker.running();
            assert_eq!(ticker.state.running.load(Ordering::SeqCst), 1);
            drop(running);
        }
        assert_eq!(ticker.state.running.load(Ordering::SeqCst), 0);
    }
}
