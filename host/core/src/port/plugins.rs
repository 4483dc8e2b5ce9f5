//! Hosting of uploaded code.

use std::sync::Arc;

use thiserror::Error;

use crate::delivery::TransformFailure;
use crate::endpoint::Endpoint;
use crate::event::Event;
use crate::id::ApplicationId;
use crate::plugin::{
    BoundSecrets, ClassifierVerdict, ComponentBytes, InboundRequest, InstancePolicy, LogLine, PluginDigest,
    Prepared, ReceiverAnswer, RunCost, SourceVerdict, TransformOutcome,
};
use crate::port::PortFuture;
use crate::time::UnixMillis;

/// Code of [`TransformFailure::Unavailable`] where the host has neither the compiled form of a version nor its bytes:
/// [`Plugins::prepare`] it again.
pub const PLUGIN_NOT_LOADED: &str = "plugin_not_loaded";
/// The code of a run that had no more time: it says as much of the machine as of the plugin.
pub const PLUGIN_DEADLINE: &str = "plugin_deadline";

/// Checks, compiles and runs plugins, within limits.
pub trait Plugins: Send + Sync {
    /// Takes an upload: checks its structure, compiles it, links it against what the router offers, and keeps the
    /// compiled form on disk. The same bytes twice are cheap the second time.
    fn prepare(&self, component: ComponentBytes) -> PortFuture<'_, Result<Prepared, PluginRejected>>;

    /// Runs a transform once, in a fresh instance. A version of another world answers a fault, here and below.
    fn run(&self, run: TransformRun) -> PortFuture<'_, TransformReport>;

    /// Shows a source plugin one request, in a fresh instance.
    fn receive(&self, run: SourceRun) -> PortFuture<'_, SourceReport>;

    /// Shows a classifier one answer, in a fresh instance.
    fn classify(&self, run: ClassifierRun) -> PortFuture<'_, ClassifierReport>;

    /// Frees the memory that a prepared version takes until it is run. What was compiled is kept.
    fn unload(&self, digest: PluginDigest) {
        let _ = digest;
    }

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
    /// The endpoint's secrets for this plugin.
    pub secrets: Arc<BoundSecrets>,
    /// 1 for the first run of this delivery.
    pub attempt: u32,
    /// What the plugin sees as the present: the moment the run was first scheduled.
    pub now: UnixMillis,
    /// What the run finds in its memory.
    pub instance: InstancePolicy,
}

/// One run of a source plugin.
#[derive(Debug, Clone)]
pub struct SourceRun {
    /// Which version.
    pub digest: PluginDigest,
    /// Whose source it is.
    pub application: ApplicationId,
    /// The source's name; runs of one source take turns with those of the others.
    pub source: Arc<str>,
    /// What came in.
    pub request: Arc<InboundRequest>,
    /// The source's settings for this plugin, JSON text.
    pub settings: Arc<str>,
    /// The source's secrets for this plugin.
    pub secrets: Arc<BoundSecrets>,
    /// When the request came in, and what the plugin sees as the present.
    pub now: UnixMillis,
}

/// One run of a classifier.
#[derive(Debug, Clone)]
pub struct ClassifierRun {
    /// Which version.
    pub digest: PluginDigest,
    /// What was delivered.
    pub event: Arc<Event>,
    /// Where to.
    pub endpoint: Arc<Endpoint>,
    /// The endpoint's settings for this plugin, JSON text.
    pub settings: Arc<str>,
    /// The endpoint's secrets for this plugin.
    pub secrets: Arc<BoundSecrets>,
    /// Which attempt it was, from 1.
    pub attempt: u32,
    /// What the receiver answered.
    pub response: Arc<ReceiverAnswer>,
    /// What the plugin sees as the present.
    pub now: UnixMillis,
}

/// What came of one run.
#[derive(Debug, Clone)]
pub struct RunReport<T> {
    /// What the plugin answered, or why it could not.
    pub result: Result<T, TransformFailure>,
    /// What it cost.
    pub cost: RunCost,
    /// What it logged, bounded.
    pub logs: Vec<LogLine>,
}

/// What came of one run of a transform.
pub type TransformReport = RunReport<TransformOutcome>;
/// What came of one run of a source plugin.
pub type SourceReport = RunReport<SourceVerdict>;
/// What came of one run of a classifier.
pub type ClassifierReport = RunReport<ClassifierVerdict>;

impl<T> RunReport<T> {
    /// A report of a run that did not begin.
    #[must_use]
    pub fn not_begun(failure: TransformFailure) -> Self {
        Self { result: Err(failure), cost: RunCost::default(), logs: Vec::new() }
    }
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
