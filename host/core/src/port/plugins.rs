//! Hosting of uploaded code.

use std::sync::Arc;

use thiserror::Error;

use crate::delivery::TransformFailure;
use crate::endpoint::Endpoint;
use crate::event::Event;
use crate::plugin::{ComponentBytes, LogLine, PluginDigest, RunCost, TransformOutcome};
use crate::port::PortFuture;
use crate::time::UnixMillis;

/// Code of [`TransformFailure::Unavailable`] where the host has neither the compiled form of a version nor its bytes:
/// [`Plugins::prepare`] it again.
pub const PLUGIN_NOT_LOADED: &str = "plugin_not_loaded";

/// Checks, compiles and runs plugins, within limits.
pub trait Plugins: Send + Sync {
    /// Takes an upload: checks its structure, compiles it, links it against what the router offers, and keeps the
    /// compiled form on disk. The same bytes twice are cheap the second time.
    fn prepare(&self, component: ComponentBytes) -> PortFuture<'_, Result<PluginDigest, PluginRejected>>;

    /// Runs a transform once, in a fresh instance.
    fn run(&self, run: TransformRun) -> PortFuture<'_, TransformReport>;

    /// Forgets a version that no plugin has any more.
    fn forget(&self, digest: PluginDigest) -> PortFuture<'_, ()>;
}

/// One run of a transform.
#[derive(Debug, Clone)]
pub struct TransformRun {
    /// Which version.
    pub digest: PluginDigest,
    /// What happened.
    pub event: Arc<Event>,
    /// Where it goes.
    pub endpoint: Arc<Endpoint>,
    /// The endpoint's settings for this plugin, JSON text.
    pub settings: Arc<str>,
    /// 1 for the first run of this delivery.
    pub attempt: u32,
    /// What the plugin sees as the present: the moment the run was first scheduled.
    pub now: UnixMillis,
}

/// What came of one run.
#[derive(Debug, Clone)]
pub struct TransformReport {
    /// What the plugin asked for, or why it could not.
    pub result: Result<TransformOutcome, TransformFailure>,
    /// What it cost.
    pub cost: RunCost,
    /// What it logged, bounded.
    pub logs: Vec<LogLine>,
}

/// Why an upload was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct PluginRejected {
    /// Stable, for programs: for example `plugin_too_large`.
    pub code: &'static str,
    /// What is wrong, the limit it broke, and what to do; for people.
    pub message: String,
}
