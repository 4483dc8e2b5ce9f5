//! Doubles of the small ports: a clock that is moved by hand, entropy that counts, plugins and a transport that do
//! as they were told and remember what they were asked.
//!
//! They are plain data behind a mutex, so a test reads what happened as values.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hookmill_core::attempt::Outcome;
use hookmill_core::event::{Channels, ContentType};
use hookmill_core::plugin::{
    ClassifierVerdict, ComponentBytes, PluginDigest, PluginFacts, Prepared, RunCost, SourceEvent,
    SourceVerdict, TransformOutcome, World,
};
use hookmill_core::port::plugins::{
    ClassifierReport, ClassifierRun, PluginRejected, RunReport, SourceReport, SourceRun, TransformReport,
    TransformRun,
};
use hookmill_core::port::{Clock, Entropy, Plugins, PortFuture, Transport};
use hookmill_core::request::{OutgoingRequest, PreparedRequest};
use hookmill_core::time::UnixMillis;

use crate::receiver::Gate;

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub struct ManualClock {
    wall: AtomicU64,
    steady: AtomicU64,
}

impl ManualClock {
    /// A clock that shows `now`.
    #[must_use]
    pub fn at(now: UnixMillis) -> Self {
        Self { wall: AtomicU64::new(now.0), steady: AtomicU64::new(now.0) }
    }

    /// Lets time pass.
    pub fn advance(&self, by: Duration) {
        let millis = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        self.wall.fetch_add(millis, Ordering::SeqCst);
        self.steady.fetch_add(millis, Ordering::SeqCst);
    }

    /// Sets the wall clock, forwards or back; no time passes.
    pub fn set(&self, now: UnixMillis) {
        self.wall.store(now.0, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> UnixMillis {
        UnixMillis(self.wall.load(Ordering::SeqCst))
    }

    fn steady(&self) -> UnixMillis {
        UnixMillis(self.steady.load(Ordering::SeqCst))
    }
}

/// Entropy that counts: every draw differs, every run of a test is the same.
#[derive(Debug, Default)]
pub struct CountingEntropy(AtomicU64);

impl Entropy for CountingEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        let count = self.0.fetch_add(1, Ordering::SeqCst) + 1;
        buffer.fill(0);
        let bytes = count.to_le_bytes();
        let length = bytes.len().min(buffer.len());
        buffer[..length].copy_from_slice(&bytes[..length]);
    }
}

/// Plugins that take every upload but those told otherwise, and answer runs from a script.
#[derive(Debug, Default)]
pub struct RecordingPlugins(Mutex<PluginsState>);

#[derive(Debug, Default)]
struct PluginsState {
    refused: BTreeMap<Bytes, PluginRejected>,
    facts: BTreeMap<Bytes, PluginFacts>,
    script: VecDeque<TransformReport>,
    source_script: VecDeque<SourceReport>,
    classifier_script: VecDeque<ClassifierReport>,
    prepared: Vec<PluginDigest>,
    runs: Vec<TransformRun>,
    source_runs: Vec<SourceRun>,
    classifier_runs: Vec<ClassifierRun>,
    forgotten: Vec<PluginDigest>,
    gate: Option<Gate>,
}

impl RecordingPlugins {
    /// Holds back what transforms answer until the gate lets it go.
    pub fn gate(&self, gate: Gate) {
        self.state(|state| state.gate = Some(gate));
    }

    /// Refuses this component from now on.
    pub fn refuse(&self, component: Bytes, code: &'static str, message: &str) {
        self.state(|state| {
            state.refused.insert(component, PluginRejected { code, message: message.to_owned() })
        });
    }

    /// Finds this in a component from now on, where it finds a transform without a manifest in others.
    pub fn find(&self, component: Bytes, facts: PluginFacts) {
        self.state(|state| state.facts.insert(component, facts));
    }

    /// Answers the next run of a transform that no earlier script answers.
    pub fn script(&self, report: TransformReport) {
        self.state(|state| state.script.push_back(report));
    }

    /// Answers the next run of a source plugin that no earlier script answers.
    pub fn script_source(&self, report: SourceReport) {
        self.state(|state| state.source_script.push_back(report));
    }

    /// Answers the next run of a classifier that no earlier script answers.
    pub fn script_classifier(&self, report: ClassifierReport) {
        self.state(|state| state.classifier_script.push_back(report));
    }

    /// What was prepared, in order.
    #[must_use]
    pub fn prepared(&self) -> Vec<PluginDigest> {
        self.state(|state| state.prepared.clone())
    }

    /// Transforms that were run, in order.
    #[must_use]
    pub fn runs(&self) -> Vec<TransformRun> {
        self.state(|state| state.runs.clone())
    }

    /// Source plugins that were run, in order.
    #[must_use]
    pub fn source_runs(&self) -> Vec<SourceRun> {
        self.state(|state| state.source_runs.clone())
    }

    /// Classifiers that were run, in order.
    #[must_use]
    pub fn classifier_runs(&self) -> Vec<ClassifierRun> {
        self.state(|state| state.classifier_runs.clone())
    }

    /// What was forgotten, in order.
    #[must_use]
    pub fn forgotten(&self) -> Vec<PluginDigest> {
        self.state(|state| state.forgotten.clone())
    }

    fn state<T>(&self, access: impl FnOnce(&mut PluginsState) -> T) -> T {
        access(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Plugins for RecordingPlugins {
    fn prepare(&self, component: ComponentBytes) -> PortFuture<'_, Result<Prepared, PluginRejected>> {
        Box::pin(async move {
            self.state(|state| {
                if let Some(rejected) = state.refused.get(&component) {
                    return Err(rejected.clone());
                }
                let digest = PluginDigest::of(&component);
                state.prepared.push(digest);
                let facts = state.facts.get(&component).cloned().unwrap_or_else(|| PluginFacts {
                    world: World::Transform,
                    imports: Vec::new(),
                    manifest: None,
                    artefact_bytes: component.len() as u64,
                });
                Ok(Prepared { digest, facts })
            })
        })
    }

    /// The next report of the script; without one, the event as it came.
    fn run(&self, run: TransformRun) -> PortFuture<'_, TransformReport> {
        Box::pin(async move {
            let (report, gate) = self.state(|state| {
                let original = PreparedRequest::original(&run.endpoint);
                state.runs.push(run);
                let scripted = state.script.pop_front();
                let report = scripted.unwrap_or_else(|| answered(TransformOutcome::Deliver(vec![original])));
                (report, state.gate.clone())
            });
            if let Some(gate) = gate {
                gate.pass().await;
            }
            report
        })
    }

    /// The next report of the script; without one, an event of type `source.received` with the request's body.
    fn receive(&self, run: SourceRun) -> PortFuture<'_, SourceReport> {
        Box::pin(async move {
            self.state(|state| {
                let event = SourceEvent {
                    event_type: "source.received".parse().expect("a valid name"),
                    uid: None,
                    channels: Channels::default(),
                    content_type: ContentType::json(),
                    body: run.request.body.clone(),
                };
                state.source_runs.push(run);
                let scripted = state.source_script.pop_front();
                scripted.unwrap_or_else(|| answered(SourceVerdict::Accept(vec![event])))
            })
        })
    }

    /// The next report of the script; without one, delivered where the status is 2xx.
    fn classify(&self, run: ClassifierRun) -> PortFuture<'_, ClassifierReport> {
        Box::pin(async move {
            self.state(|state| {
                let verdict = match run.response.status.is_success() {
                    true => ClassifierVerdict::Delivered,
                    false => ClassifierVerdict::Retry(run.response.status.to_string()),
                };
                state.classifier_runs.push(run);
                state.classifier_script.pop_front().unwrap_or_else(|| answered(verdict))
            })
        })
    }

    fn forget(&self, digest: PluginDigest) -> PortFuture<'_, ()> {
        Box::pin(async move { self.state(|state| state.forgotten.push(digest)) })
    }
}

fn answered<T>(answer: T) -> RunReport<T> {
    RunReport { result: Ok(answer), cost: RunCost::default(), logs: Vec::new() }
}

/// A transport that answers from a script and keeps what it was given.
#[derive(Debug, Default)]
pub struct ScriptedTransport(Mutex<TransportState>);

#[derive(Debug, Default)]
struct TransportState {
    script: VecDeque<Scripted>,
    sent: Vec<OutgoingRequest>,
}

#[derive(Debug)]
enum Scripted {
    Outcome(Outcome),
    Reads(fn(&OutgoingRequest) -> Outcome),
}

impl ScriptedTransport {
    /// Answers the next request that no earlier script answers.
    pub fn script(&self, outcome: Outcome) {
        self.state(|state| state.script.push_back(Scripted::Outcome(outcome)));
    }

    /// Answers the next request that no earlier script answers with what this makes of it.
    pub fn script_reader(&self, answer: fn(&OutgoingRequest) -> Outcome) {
        self.state(|state| state.script.push_back(Scripted::Reads(answer)));
    }

    /// What was sent, in order.
    #[must_use]
    pub fn sent(&self) -> Vec<OutgoingRequest> {
        self.state(|state| state.sent.clone())
    }

    fn state<T>(&self, access: impl FnOnce(&mut TransportState) -> T) -> T {
        access(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Transport for ScriptedTransport {
    /// The next outcome of the script; without one, 200 with an empty body.
    fn send(&self, request: OutgoingRequest, _timeout: Duration) -> PortFuture<'_, Outcome> {
        Box::pin(async move {
            self.state(|state| {
                let outcome = match state.script.pop_front() {
                    Some(Scripted::Outcome(outcome)) => outcome,
                    Some(Scripted::Reads(answer)) => answer(&request),
                    None => Outcome::Answered {
                        status: 200,
                        retry_after: None,
                        headers: http::HeaderMap::new(),
                        body: Bytes::new(),
                    },
                };
                state.sent.push(request);
                outcome
            })
        })
    }
}
