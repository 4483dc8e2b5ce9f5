//! What a running plugin sees of the host: one [`RunState`] for each run, and the functions of `wit/` over it.
//!
//! Every function first calls [`RunState::enter`], which counts the call and charges fuel for the bytes it moves.
//! Nothing here waits, opens anything, reads a clock or draws a random number.

mod answer;
mod crypto;
mod drafts;
mod event;
pub(crate) mod handles;
mod headers;
mod inbound;
mod outbound;
mod public_key;
mod random;
mod subject;
mod wasi;

use std::sync::Arc;

use bytes::Bytes;
use hookmill_core::limits::PLUGIN_FAILURE_BYTES_MAX;
use hookmill_core::plugin::{
    BoundSecrets, ClassifierVerdict, LogLevel, PluginDigest, SourceVerdict, TransformOutcome,
};
use hookmill_core::port::plugins::{ClassifierRun, SourceRun, TransformRun};
use hookmill_core::time::UnixMillis;
use wasmtime::{CallHook, ResourceLimiter, StoreContextMut, Trap};

use self::drafts::Drafts;
use self::handles::{
    DescriptorHandle, ErrorHandle, EventHandle, InboundHandle, InputHandle, NewEventHandle, OriginHandle,
    OutputHandle, PollableHandle, ReplyHandle, RequestHandle, ResponseHandle, TargetHandle, TerminalHandle,
};
use self::outbound::take_requests;
use self::random::SeededRandom;
use self::subject::{Answer, Delivery, Inbound, Subject};
use self::wasi::Output;
use crate::bindings::exports::hookmill::plugin::{classifier, source, transform};
use crate::bindings::hookmill::plugin::{ambient, log, types};
use crate::fault::Breach;
use crate::json::{Found, JsonError, LazyJson};
use crate::limits::{RunLimits, TABLE_ELEMENTS_MAX};
use crate::run_log::{RunLog, printable};

/// Fuel for a call of the host, whatever it does: about the time of that many instructions.
const CALL_FUEL: u64 = 500;
/// Fuel for each byte that is looked at rather than copied, as by a digest or a JSON reader.
const FUEL_PER_BYTE_READ: u64 = 8;

type JsonAnswer = Result<Option<String>, String>;

/// Everything of one run that is not the plugin's own.
pub(crate) struct RunState {
    subject: Subject,
    digest: PluginDigest,
    now: UnixMillis,
    settings_text: Arc<str>,
    /// None until the plugin asks for a part of the settings.
    settings: Option<LazyJson>,
    secrets: Arc<BoundSecrets>,
    /// A secret that the plugin asked for and that is not bound.
    missing_secret: Option<String>,
    limits: RunLimits,
    calls: u32,
    /// Fuel that the host function under way has spent and the store was not charged for yet.
    fuel_owed: u64,
    memory: MemoryMeter,
    /// Where the drafts of the next run in this instance begin.
    next_draft: u32,
    /// None until the plugin draws a number.
    random: Option<SeededRandom>,
    output: Output,
    log: RunLog,
}

/// What is left of a run's state when it is over.
pub(crate) struct Remains {
    pub(crate) memory_peak_bytes: u64,
    /// A secret that the plugin asked for and that is not bound.
    pub(crate) missing_secret: Option<String>,
    pub(crate) log: RunLog,
}

#[derive(Default)]
struct MemoryMeter {
    bytes: usize,
    peak_bytes: usize,
}

impl RunState {
    pub(crate) fn of_transform(run: TransformRun, limits: RunLimits) -> Self {
        let delivery = Delivery::new(run.event, run.endpoint, run.attempt);
        let subject = Subject::Transform(delivery, Drafts::default());
        Self::new(subject, run.digest, run.now, run.settings, run.secrets, limits)
    }

    pub(crate) fn of_source(run: SourceRun, limits: RunLimits) -> Self {
        let subject = Subject::Source(Inbound::new(run.source, run.request));
        Self::new(subject, run.digest, run.now, run.settings, run.secrets, limits)
    }

    pub(crate) fn of_classifier(run: ClassifierRun, limits: RunLimits) -> Self {
        let delivery = Delivery::new(run.event, run.endpoint, run.attempt);
        let subject = Subject::Classifier(delivery, Answer::new(run.response));
        Self::new(subject, run.digest, run.now, run.settings, run.secrets, limits)
    }

    fn new(
        subject: Subject,
        digest: PluginDigest,
        now: UnixMillis,
        settings: Arc<str>,
        secrets: Arc<BoundSecrets>,
        limits: RunLimits,
    ) -> Self {
        Self {
            subject,
            digest,
            now,
            settings: None,
            settings_text: settings,
            secrets,
            missing_secret: None,
            limits,
            calls: 0,
            fuel_owed: 0,
            memory: MemoryMeter::default(),
            next_draft: 0,
            random: None,
            output: Output::default(),
            log: RunLog::default(),
        }
    }

    /// Begins another run of a transform in the same instance, whose memory is counted on.
    pub(crate) fn begin_again(&mut self, fresh: Self) {
        let memory = std::mem::take(&mut self.memory);
        let next_draft = self.next_draft;
        *self = Self { memory, next_draft, ..fresh };
        *self.requests() = Drafts::beginning_at(next_draft);
    }

    /// Ends a run whose instance may be used again: nothing of the run is held on to.
    pub(crate) fn rest(&mut self) -> Remains {
        self.next_draft = self.requests().next_place();
        self.subject = Subject::Idle;
        self.settings = None;
        self.random = None;
        self.remains()
    }

    /// Bytes of linear memory, which never shrinks.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.memory.bytes
    }

    /// Turns what a transform returned into what the router sends.
    pub(crate) fn finish_transform(
        &mut self,
        outcome: transform::Outcome,
    ) -> Result<TransformOutcome, Breach> {
        match outcome {
            transform::Outcome::Deliver(requests) => {
                let endpoint = Arc::clone(&self.delivery().endpoint);
                take_requests(self.requests(), &requests, &endpoint).map(TransformOutcome::Deliver)
            }
            transform::Outcome::Drop(reason) => Ok(TransformOutcome::Drop(bounded(&reason))),
        }
    }

    /// Turns what a source plugin returned into what the router stores or answers.
    pub(crate) fn finish_classifier(&mut self, verdict: classifier::Verdict) -> ClassifierVerdict {
        if self.answer().left_to_status {
            return ClassifierVerdict::NoOpinion;
        }
        match verdict {
            classifier::Verdict::Delivered => ClassifierVerdict::Delivered,
            classifier::Verdict::Retry(reason) => ClassifierVerdict::Retry(bounded(&reason)),
            classifier::Verdict::Fail(reason) => ClassifierVerdict::Fail(bounded(&reason)),
        }
    }

    pub(crate) fn finish_source(&mut self, verdict: source::Verdict) -> Result<SourceVerdict, Breach> {
        let bytes_max = self.limits.event_bytes;
        match verdict {
            source::Verdict::Accept(events) => {
                self.inbound().take_events(&events, bytes_max).map(SourceVerdict::Accept)
            }
            source::Verdict::Reply(reply) => self.inbound().take_reply(&reply).map(SourceVerdict::Reply),
            source::Verdict::Reject(reason) => Ok(SourceVerdict::Reject(bounded(&reason))),
        }
    }

    /// What the report needs.
    pub(crate) fn into_remains(mut self) -> Remains {
        self.remains()
    }

    fn remains(&mut self) -> Remains {
        let mut log = std::mem::take(&mut self.log);
        std::mem::take(&mut self.output).finish(&mut log);
        let missing_secret = self.missing_secret.take();
        Remains { memory_peak_bytes: self.memory.peak_bytes as u64, missing_secret, log }
    }

    /// Counts one call of the host that copies so many bytes.
    fn enter(&mut self, bytes: usize) -> wasmtime::Result<()> {
        self.calls += 1;
        if self.calls > self.limits.host_calls {
            return Err(Breach::HostCalls { max: self.limits.host_calls }.into());
        }
        self.charge(CALL_FUEL + bytes as u64);
        Ok(())
    }

    /// Charges for work that the call under way does.
    fn charge(&mut self, fuel: u64) {
        self.fuel_owed = self.fuel_owed.saturating_add(fuel);
    }

    /// Charges for bytes that the call under way looks at.
    fn charge_read(&mut self, bytes: usize) {
        self.charge(FUEL_PER_BYTE_READ * bytes as u64);
    }

    fn random(&mut self) -> &mut SeededRandom {
        self.random.get_or_insert_with(|| self.subject.random(self.digest, self.now))
    }

    /// Copies a text out, which is charged for as bytes are.
    fn text_out(&mut self, text: &impl ToString) -> wasmtime::Result<String> {
        let text = text.to_string();
        self.enter(text.len())?;
        Ok(text)
    }

    fn bytes_out(&mut self, body: &[u8]) -> wasmtime::Result<Vec<u8>> {
        self.enter(body.len())?;
        Ok(body.to_vec())
    }

    fn body_text_out(&mut self, body: &[u8]) -> wasmtime::Result<Option<String>> {
        self.enter(body.len())?;
        Ok(std::str::from_utf8(body).ok().map(str::to_owned))
    }

    fn json_out(&mut self, found: Result<Found, JsonError>) -> JsonAnswer {
        let found = found.map_err(|error| error.to_string())?;
        self.charge_read(found.bytes_read);
        Ok(found.text)
    }

    fn settings_out(&mut self) -> wasmtime::Result<String> {
        self.enter(self.settings_text.len())?;
        Ok(self.settings_text.as_ref().to_owned())
    }

    fn setting_out(&mut self, pointer: &str) -> wasmtime::Result<JsonAnswer> {
        self.enter(pointer.len())?;
        let text = &self.settings_text;
        let settings = self
            .settings
            .get_or_insert_with(|| LazyJson::new("settings", Bytes::copy_from_slice(text.as_bytes())));
        let found = settings.find(pointer);
        Ok(self.json_out(found))
    }
}

/// A reason for the timeline.
fn bounded(reason: &str) -> String {
    printable(reason, PLUGIN_FAILURE_BYTES_MAX)
}

/// What a plugin is told that names a secret which is not bound.
fn unknown_secret(name: &str) -> String {
    format!("no secret is bound as `{}`", printable(name, 64))
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
        Ok(self.now.0)
    }

    fn random_u64(&mut self) -> wasmtime::Result<u64> {
        self.enter(0)?;
        Ok(self.random().next())
    }
}
