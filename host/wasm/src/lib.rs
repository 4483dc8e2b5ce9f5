//! The plugin host: upload, compile, cache, limit, run.
//!
//! An upload goes through `structure` (is it sane?), `compile` (machine code, by a `compile_worker` of its own), `link`
//! (does it fit what `offer` has?) and rests in `artefact` on disk and in `library` in memory. A run, of one of the
//! three kinds in `world`, waits in `fair_queue`, gets one of the threads of `workers`, and there a fresh instance in
//! `run`, which calls the functions in `guest` and nothing else; `idle` keeps the instances of endpoints whose owner wants
//! them used again. `fault` names what ended a run. `engine` is the configuration of wasmtime that all of this rests on;
//! `limits` has every bound.
//!
//! What a plugin can't do: open a socket or a file, read a clock, draw a random number that a replay would not draw,
//! see a secret, see what another endpoint's run left (nor, unless its owner asked for it, what an earlier one of its
//! own did), hold a thread longer than its wall-clock limit, or hold more than half of the threads, with however many
//! endpoints of one application.

mod artefact;
mod bindings;
mod byte_lru;
mod compile;
mod compile_worker;
mod engine;
mod executable_memory;
mod fair_queue;
mod fault;
mod guest;
mod idle;
mod json;
mod library;
pub mod limits;
mod link;
mod manifest;
mod offer;
mod priority;
mod run;
mod run_log;
mod stopwatch;
mod structure;
mod turns;
mod workers;
mod world;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use hookmill_core::plugin::{ComponentBytes, PluginDigest, Prepared};
use hookmill_core::port::PortFuture;
use hookmill_core::port::plugins::{
    ClassifierReport, ClassifierRun, PluginRejected, Plugins, SourceReport, SourceRun, TransformReport,
    TransformRun,
};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::artefact::ArtefactDirectory;
use crate::compile::Compiler;
pub use crate::compile_worker::{CompileWorker, serve_compile_job};
use crate::engine::Ticker;
use crate::library::{Compile, Library, Preparer};
use crate::limits::RunLimits;
pub use crate::manifest::manifest_of;
use crate::run::Runner;
use crate::workers::Workers;

/// Bytes of compiled plugins kept in memory, by default.
pub const LINKED_BYTES_DEFAULT: usize = 256 << 20;

/// How a [`WasmHost`] is set up.
pub struct WasmConfig {
    /// Where compiled plugins are kept; made if it is not there.
    pub cache_dir: PathBuf,
    /// Authenticates them; for each installation its own.
    pub artefact_key: Zeroizing<[u8; 32]>,
    /// Threads that run plugins, at least 2, of which one application holds no more than half while others have work or
    /// may come.
    pub threads: usize,
    /// Bytes of compiled plugins kept in memory.
    pub linked_bytes_max: usize,
    /// What one run may use.
    pub limits: RunLimits,
    /// Whether dirty pages may be found by the kernel's `PAGEMAP_SCAN` where that is safe, which halves the cost of a
    /// fresh instance. To be turned off where swap may be activated later.
    pub pagemap_scan: bool,
    /// The process that compiles uploads; without one they are compiled in this process.
    pub compile_worker: Option<CompileWorker>,
}

impl WasmConfig {
    /// The defaults: two threads for each core, so that one application can use all cores, and the documented limits.
    #[must_use]
    pub fn new(cache_dir: PathBuf, artefact_key: Zeroizing<[u8; 32]>) -> Self {
        Self {
            cache_dir,
            artefact_key,
            threads: thread::available_parallelism().map_or(2, usize::from) * 2,
            linked_bytes_max: LINKED_BYTES_DEFAULT,
            limits: RunLimits::default(),
            pagemap_scan: true,
            compile_worker: None,
        }
    }
}

/// Why the plugin host does not start.
#[derive(Debug, Error)]
pub enum WasmHostError {
    /// The directory of compiled plugins.
    #[error("the directory of compiled plugins {} can't be used: {source}", path.display())]
    CacheDirectory {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The engine refused its configuration.
    #[error("the WebAssembly engine does not start: {reason}")]
    Engine {
        /// Why.
        reason: String,
    },
    /// A thread could not be started.
    #[error("a thread of the plugin host does not start: {source}")]
    Thread {
        /// Why.
        source: io::Error,
    },
}

impl WasmHostError {
    /// Stable, for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::CacheDirectory { .. } => "plugin_cache_unusable",
            Self::Engine { .. } => "plugin_engine_failed",
            Self::Thread { .. } => "plugin_thread_failed",
        }
    }
}

/// Checks, compiles and runs plugins in this process. Dropping it waits for the runs in hand, each of which ends within
/// its wall-clock limit; runs that still wait answer `plugin_host_stopped`.
pub struct WasmHost {
    workers: Workers,
    preparer: Preparer,
    library: Arc<Library>,
    /// Why nothing can be run here.
    memory_denied: Option<PluginRejected>,
}

impl WasmHost {
    /// Starts the engine and the threads.
    ///
    /// # Errors
    /// When the directory, the engine or a thread fails.
    pub fn new(config: WasmConfig) -> Result<Self, WasmHostError> {
        let memory_denied = executable_memory::probe().err().map(|error| executable_memory::denied(&error));
        if let Some(denied) = &memory_denied {
            tracing::error!(code = denied.code, "no plugin can run: {}", denied.message);
        }
        let threads = config.threads.max(2);
        let swaps = std::fs::read_to_string("/proc/swaps").ok();
        let pagemap_scan = config.pagemap_scan && engine::pagemap_scan_is_safe(swaps.as_deref());
        let engine_error = |error: wasmtime::Error| WasmHostError::Engine { reason: format!("{error:#}") };
        let thread_error = |source| WasmHostError::Thread { source };

        let (engine, layout) = engine::build(threads, &config.limits, pagemap_scan).map_err(engine_error)?;
        let hash = engine::compatibility_hash(&engine);
        tracing::info!(threads, pagemap_scan, ?layout, engine = hash, "plugin host starts");
        let directory = ArtefactDirectory::open(config.cache_dir.clone(), config.artefact_key, hash)
            .map_err(|source| WasmHostError::CacheDirectory { path: config.cache_dir, source })?;
        let limits = config.limits;
        let compile: Compile = match config.compile_worker {
            Some(worker) => Box::new(move |upload| worker.compile(layout, &limits, upload)),
            None => {
                let compiler = Compiler::new(engine.clone(), limits.memory_bytes);
                Box::new(move |upload| compiler.compile(upload))
            }
        };
        let library = Library::new(engine.clone(), compile, directory, config.linked_bytes_max)
            .map_err(engine_error)?;
        let library = Arc::new(library);
        let ticker = Ticker::start(engine.clone()).map_err(thread_error)?;
        let runner = Arc::new(Runner::new(engine, Arc::clone(&library), config.limits, ticker));
        let workers = Workers::start(threads, &runner).map_err(thread_error)?;
        let preparer = Preparer::start(Arc::clone(&library)).map_err(thread_error)?;
        Ok(Self { workers, preparer, library, memory_denied })
    }
}

impl Plugins for WasmHost {
    fn prepare(&self, component: ComponentBytes) -> PortFuture<'_, Result<Prepared, PluginRejected>> {
        Box::pin(async move {
            // Before it is even hashed.
            structure::check_outside(&component)?;
            if let Some(denied) = &self.memory_denied {
                return Err(denied.clone());
            }
            let digest = PluginDigest::of(&component);
            let facts = match self.library.known(digest, &component) {
                Some(facts) => facts?,
                None => self.preparer.prepare(digest, component).await?,
            };
            Ok(Prepared { digest, facts })
        })
    }

    fn run(&self, run: TransformRun) -> PortFuture<'_, TransformReport> {
        Box::pin(self.workers.run(run))
    }

    fn receive(&self, run: SourceRun) -> PortFuture<'_, SourceReport> {
        Box::pin(self.workers.run(run))
    }

    fn classify(&self, run: ClassifierRun) -> PortFuture<'_, ClassifierReport> {
        Box::pin(self.workers.run(run))
    }

    fn unload(&self, digest: PluginDigest) {
        self.library.unload(digest);
    }

    fn forget(&self, digest: PluginDigest) -> PortFuture<'_, ()> {
        Box::pin(async move { self.library.forget(digest) })
    }
}
