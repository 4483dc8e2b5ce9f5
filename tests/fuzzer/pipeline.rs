//! One module through structure, compiler, linker and a run, with everything watched that no module may bring about.

use std::fmt;
use std::panic;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hookmill_core::delivery::TransformFailure;
use hookmill_core::plugin::Prepared;
use hookmill_core::port::Plugins as _;
use hookmill_core::port::plugins::PluginRejected;
use hookmill_tests::memory::{resident_bytes, resident_peak_bytes};
use hookmill_tests::plugin_run::run_once;
use hookmill_wasm::limits::COMPILE_WALL_MAX;
use hookmill_wasm::{CompileWorker, WasmConfig, WasmHost};
use tempfile::TempDir;
use tokio::time::timeout;

use crate::input::Input;

/// Nothing that answers takes this long: the compiler is killed before, and a run is over within its 100 ms.
const PREPARE_MAX: Duration = COMPILE_WALL_MAX.saturating_add(Duration::from_secs(30));
const RUN_MAX: Duration = Duration::from_secs(30);
/// Resident memory that the modules may add: slots of instances that stay mapped, and the allocator's slack.
const GROWTH_BYTES_MAX: u64 = 512 << 20;
/// Codes of the host's own failures, which are not the module's to cause.
const OUR_FAULT: &[&str] = &[
    "plugin_compiler_failed",
    "plugin_host_failed",
    "plugin_host_stopped",
    "plugin_not_loaded",
    "plugin_queue_full",
    "plugin_world_mismatch",
];
/// Codes of a refusal after compiling: the linker's.
const LINKER: &[&str] =
    &["plugin_export_missing", "plugin_import_unknown", "plugin_types_mismatch", "plugin_world_unknown"];

/// What became of a module.
#[derive(Debug)]
pub(crate) enum Ended {
    /// Refused before it was compiled, or by the compiler.
    Refused(PluginRejected),
    /// Refused because the compiler's process aborted: of its stack, or of its memory. That is what it is a process of
    /// its own for, and worth a report to whoever made the compiler.
    CompilerDied(PluginRejected),
    /// Compiled, and refused by the linker.
    Unlinked(PluginRejected),
    /// Ran, and answered so.
    Answered(String),
    /// Ran, and was stopped.
    Faulted { code: &'static str, detail: String },
}

/// What must not be.
#[derive(Debug)]
pub(crate) enum Finding {
    /// A thread of this process panicked.
    Panic(String),
    /// The host blames itself.
    OurFault { code: &'static str, said: String },
    /// No answer in time.
    Hang { what: &'static str },
    /// So much more memory is held than at the start.
    Memory { bytes: u64 },
}

/// The plugin host under test.
pub(crate) struct Pipeline {
    host: WasmHost,
    panics: Arc<Mutex<Vec<String>>>,
    bytes_at_start: u64,
    _cache: TempDir,
}

impl Pipeline {
    pub(crate) fn start() -> Self {
        let cache = TempDir::new().expect("a temporary directory");
        let worker = CompileWorker {
            program: "/proc/self/exe".into(),
            arguments: vec!["compile".into()],
            wall_max: COMPILE_WALL_MAX,
        };
        let config = WasmConfig {
            compile_worker: Some(worker),
            ..WasmConfig::new(cache.path().to_owned(), [7; 32].into())
        };
        let host = WasmHost::new(config).expect("the plugin host starts");
        let panics = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&panics);
        let shown = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            heard.lock().unwrap_or_else(PoisonError::into_inner).push(panic.to_string());
            shown(panic);
        }));
        Self { host, panics, bytes_at_start: resident_bytes(std::process::id()), _cache: cache }
    }

    /// The most memory that this process ever held.
    pub(crate) fn peak_bytes(&self) -> u64 {
        resident_peak_bytes(std::process::id())
    }

    /// Uploads a module, runs it where it links, and forgets it.
    pub(crate) async fn try_input(&self, input: &Input) -> Result<Ended, Finding> {
        let upload = input.bytes.clone().into();
        let Ok(prepared) = timeout(PREPARE_MAX, self.host.prepare(upload)).await else {
            return Err(Finding::Hang { what: "the upload" });
        };
        let ended = match prepared {
            Ok(prepared) => self.run(&prepared).await,
            Err(rejected) => refused(rejected),
        };
        if let Some(panic) = self.panics.lock().unwrap_or_else(PoisonError::into_inner).pop() {
            return Err(Finding::Panic(panic));
        }
        let grown = resident_bytes(std::process::id()).saturating_sub(self.bytes_at_start);
        if grown > GROWTH_BYTES_MAX {
            return Err(Finding::Memory { bytes: grown });
        }
        ended
    }

    async fn run(&self, prepared: &Prepared) -> Result<Ended, Finding> {
        let Ok(report) = timeout(RUN_MAX, run_once(&self.host, prepared)).await else {
            return Err(Finding::Hang { what: "the run" });
        };
        self.host.forget(prepared.digest).await;
        match report.result {
            Ok(outcome) => Ok(Ended::Answered(outcome)),
            Err(TransformFailure::Retryable { message } | TransformFailure::Permanent { message }) => {
                Ok(Ended::Answered(message))
            }
            Err(TransformFailure::Fault { code, detail }) if !OUR_FAULT.contains(&code) => {
                Ok(Ended::Faulted { code, detail })
            }
            Err(
                TransformFailure::Fault { code, detail } | TransformFailure::Unavailable { code, detail },
            ) => Err(Finding::OurFault { code, said: detail }),
        }
    }
}

fn refused(rejected: PluginRejected) -> Result<Ended, Finding> {
    if rejected.code == "plugin_compiler_failed" && rejected.message.contains("SIGABRT") {
        Ok(Ended::CompilerDied(rejected))
    } else if OUR_FAULT.contains(&rejected.code) {
        Err(Finding::OurFault { code: rejected.code, said: rejected.message })
    } else if LINKER.contains(&rejected.code) {
        Ok(Ended::Unlinked(rejected))
    } else {
        Ok(Ended::Refused(rejected))
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(rejected) | Self::CompilerDied(rejected) | Self::Unlinked(rejected) => {
                write!(formatter, "refused, {}: {}", rejected.code, rejected.message)
            }
            Self::Answered(outcome) => write!(formatter, "answered {outcome}"),
            Self::Faulted { code, detail } => write!(formatter, "stopped, {code}: {detail}"),
        }
    }
}

impl Finding {
    /// For the name of a file.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Panic(_) => "panic",
            Self::OurFault { code, .. } => code,
            Self::Hang { .. } => "hang",
            Self::Memory { .. } => "memory",
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panic(said) | Self::OurFault { said, .. } => formatter.write_str(said),
            Self::Hang { what } => write!(formatter, "no answer to {what}"),
            Self::Memory { bytes } => write!(formatter, "{} MiB more than at the start", bytes >> 20),
        }
    }
}
