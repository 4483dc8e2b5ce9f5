//! The plugin host in this process: what the server runs plugins with, within the same limits.

use hookmill_core::delivery::TransformFailure;
use hookmill_core::manifest::{SampleReport, SampleRun};
use hookmill_core::plugin::{ComponentBytes, Prepared};
use hookmill_core::port::plugins::Plugins as _;
use hookmill_wasm::limits::COMPILE_WALL_MAX;
use hookmill_wasm::{CompileWorker, WasmConfig, WasmHost};
use serde_json::{Value, json};

use super::cache::Cache;
use crate::cli::COMPILE_PLUGIN;
use crate::failure::{Exit, Failure};

/// A plugin host that keeps what it compiled for the next time.
pub(super) struct LocalHost {
    host: WasmHost,
    _cache: Cache,
}

/// One run and what it took.
pub(super) struct LocalRun {
    /// What the plugin answered.
    pub(super) report: SampleReport,
}

impl LocalHost {
    /// Starts it.
    ///
    /// # Errors
    /// This machine does not let it.
    pub(super) fn start() -> Result<Self, Failure> {
        let failed = |code, message: String| Failure::new(Exit::Failed, code, message);
        let cache = Cache::open().map_err(|error| {
            failed("temporary_directory_failed", format!("no temporary directory: {error}"))
        })?;
        let key = cache.key();
        let compile_worker = CompileWorker {
            program: "/proc/self/exe".into(),
            arguments: vec![COMPILE_PLUGIN.into()],
            wall_max: COMPILE_WALL_MAX,
        };
        let config =
            WasmConfig { compile_worker: Some(compile_worker), ..WasmConfig::new(cache.path(), key) };
        let host = WasmHost::new(config).map_err(|error| failed(error.code(), error.to_string()))?;
        Ok(Self { host, _cache: cache })
    }

    /// Checks and compiles a plugin, as an upload would.
    ///
    /// # Errors
    /// What an upload would be refused for.
    pub(super) async fn prepare(&self, component: ComponentBytes) -> Result<Prepared, Failure> {
        let prepared = self.host.prepare(component).await;
        prepared.map_err(|rejected| Failure::new(Exit::Failed, rejected.code, rejected.message))
    }

    /// Runs a plugin once, in a fresh instance.
    pub(super) async fn run(&self, run: SampleRun) -> LocalRun {
        let report = match run {
            SampleRun::Transform(run) => SampleReport::Transform(self.host.run(run).await),
            SampleRun::Source(run) => SampleReport::Source(self.host.receive(run).await),
            SampleRun::Classifier(run) => SampleReport::Classifier(self.host.classify(run).await),
        };
        LocalRun { report }
    }
}

impl LocalRun {
    /// The failure, where it is the plugin's fault and not its verdict.
    pub(super) fn fault(&self) -> Option<&TransformFailure> {
        self.report.failure().filter(|failure| match failure {
            TransformFailure::Fault { .. } | TransformFailure::Unavailable { .. } => true,
            TransformFailure::Retryable { .. } | TransformFailure::Permanent { .. } => false,
        })
    }

    /// What it cost and what it logged, with the names that the server's dry run has.
    pub(super) fn to_json(&self) -> Value {
        let cost = self.report.cost();
        let logs = self.report.logs().iter();
        let logs = logs.map(|line| json!({ "level": line.level.as_str(), "message": line.message }));
        json!({
            "fuel": cost.fuel,
            "fuelShare": cost.fuel as f64 / cost.fuel_max.max(1) as f64,
            "wallMicros": cost.wall.as_micros() as u64,
            "memoryPeakBytes": cost.memory_peak_bytes,
            "logs": logs.collect::<Vec<_>>(),
        })
    }
}
