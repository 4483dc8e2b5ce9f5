//! One attempt of one delivery: transform, sign, send, decide.
//!
//! Straight-line code over the ports; what happens next is decided by `hookmill_core::delivery` and carried out by
//! the dispatcher and the store.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hookmill_core::attempt::{Class, NOT_SENT_WAIT, Outcome, classify};
use hookmill_core::compose::Composition;
use hookmill_core::delivery::{
    Decision, OnTransformFailure, TransformDecision, TransformFailure, Wait, decide, decide_transform_failure,
};
use hookmill_core::destination::Kept;
use hookmill_core::endpoint::{Endpoint, Transformation};
use hookmill_core::id::AttemptId;
use hookmill_core::limits::{MADE_ATTEMPT_BYTES, PLUGIN_FAILURE_BYTES_MAX, RESPONSE_KEPT_BYTES_MAX};
use hookmill_core::plugin::{
    BoundSecrets, ClassifierVerdict, LogLevel, LogLine, PluginDigest, PluginUse, ReceiverAnswer,
    TransformOutcome, World,
};
use hookmill_core::port::plugins::{ClassifierRun, TransformReport, TransformRun};
use hookmill_core::port::store::{AttemptRecord, AttemptResult, Completion, Finished, PendingDelivery};
use hookmill_core::request::{BuildError, OutgoingRequest, PreparedRequest, build};
use hookmill_core::schedule::{DeliveryEnd, Health};
use hookmill_core::time::{Moment, UnixMillis};
use hookmill_core::trace::{AttemptTrace, SentRequest, SentTo, TraceLine};
use http::StatusCode;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::Message;
use crate::App;
use crate::metrics::AttemptFacts;

/// For how long an endpoint is left alone while it is being marked failed.
const SUSPENDING_MAX: Duration = Duration::from_secs(60);
/// From so much on, what was set aside and not used is given back before the request is sent.
const MADE_SURPLUS_BYTES: usize = 64 << 10;

/// What an attempt needs.
pub(super) struct Attempt {
    pub(super) app: Arc<App>,
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) delivery: PendingDelivery,
    /// The plugin's breaker is open and the endpoint wants the original then.
    pub(super) bypass_plugin: bool,
    /// What is set aside for what a plugin or composition makes.
    pub(super) made_bytes: usize,
    /// Who is told how much memory a plugin's or composition's request takes.
    pub(super) dispatcher: mpsc::Sender<Message>,
}

/// What came of an attempt.
#[derive(Debug)]
pub(super) struct Ended {
    /// For the store.
    pub(super) finished: Finished,
    /// For the scheduler.
    pub(super) end: DeliveryEnd,
    /// For the metrics.
    pub(super) facts: AttemptFacts,
    /// Whether a plugin ran, and if so whether it was at fault.
    pub(super) plugin_fault: Option<bool>,
    /// The endpoint is to be turned off.
    pub(super) endpoint_end: Option<EndpointEnd>,
    /// This was no attempt: the plugin could not be run, for this reason.
    pub(super) waits_for: Option<Wait>,
}

/// What came of starting a delivery.
#[derive(Debug)]
pub(super) enum Run {
    /// An attempt.
    Ended(Box<Ended>),
    /// No attempt: this machine lacked something. Nothing is recorded, and the store has the delivery as it was.
    NotSent(NotSent),
    /// No attempt: more was made than was set aside for it, and thrown away. Nothing is recorded.
    MadeMore(DeliveryEnd),
}

/// A delivery that was not sent for want of something on this machine.
#[derive(Debug)]
pub(super) struct NotSent {
    /// For the scheduler.
    pub(super) end: DeliveryEnd,
    /// What is lacking.
    pub(super) detail: Box<str>,
    /// As in [`Ended`].
    pub(super) plugin_fault: Option<bool>,
}

/// Why an endpoint is turned off after an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EndpointEnd {
    /// The receiver answered 410.
    Gone,
    /// The last attempt of a delivery failed, and the endpoint's rule is that they all wait then.
    Failed,
}

impl EndpointEnd {
    /// Every reason.
    pub(crate) const ALL: [Self; 2] = [Self::Gone, Self::Failed];

    /// The stable code that operational events and metrics show.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::Failed => "failed",
        }
    }
}

/// A request to send, and which plugin run made it.
struct Shaped {
    prepared: PreparedRequest,
    plugin: Option<(PluginDigest, u64)>,
    /// What a plugin or a composition made is kept with a delivery that must be tried again.
    keep: bool,
    /// What the plugin wrote.
    logs: Vec<TraceLine>,
}

/// What an outcome means, and what people should read of it.
struct Judgement {
    class: Class,
    failure_code: &'static str,
    detail: String,
    /// What the classifier wrote.
    logs: Vec<TraceLine>,
}

/// What the transform step leads to.
enum Step {
    Send(Box<Shaped>),
    End(Box<Ended>),
    /// More was made than was set aside for it.
    MadeMore,
}

impl Attempt {
    /// Makes the attempt.
    pub(super) async fn run(self) -> Run {
        let started = self.app.moment();
        let started_at = started.wall;
        let began = Instant::now();
        let (step, plugin_fault) = self.shape(started_at, began).await;
        let mut shaped = match step {
            Step::Send(shaped) => shaped,
            Step::End(ended) => return Run::Ended(ended),
            Step::MadeMore => return Run::MadeMore(self.not_sent(self.app.steady())),
        };
        self.tell_made(&shaped).await;
        let secrets = self.endpoint.transformation.configured().map(|used| Arc::clone(&used.binding.secrets));
        let secrets = secrets.unwrap_or_default();
        let event = &self.delivery.event;
        let request = match build(&self.endpoint, event, &shaped.prepared, &secrets, started) {
            Ok(request) => request,
            Err(error) => {
                let ended = self.unbuilt(&error, &shaped, plugin_fault, started_at, began.elapsed());
                return Run::Ended(Box::new(ended));
            }
        };
        let mut kept_request = self.kept_before_sending(&request, &shaped);
        let sent = Instant::now();
        let timeout = self.endpoint.policy.effective().timeout.get();
        let outcome = self.app.transport.send(request, timeout).await;
        if let Outcome::NotSent { detail } = outcome {
            return Run::NotSent(NotSent {
                end: self.not_sent(self.app.steady().after(NOT_SENT_WAIT)),
                detail,
                plugin_fault,
            });
        }
        let (response_time, took) = (sent.elapsed(), began.elapsed());
        let mut judgement = self.judge(&outcome).await;
        let mut logs = std::mem::take(&mut shaped.logs);
        logs.append(&mut judgement.logs);
        if kept_request.is_none() && (judgement.class != Class::Delivered || !logs.is_empty()) {
            kept_request = self.built_again(&shaped, &secrets, started);
        }
        let sent_to = self.sent_to(&shaped.prepared);
        let mut ended = self.conclude(&outcome, judgement, *shaped, started_at, took);
        ended.finished.attempt.sent_to = sent_to;
        ended.finished.attempt.trace = kept(AttemptTrace { logs, request: kept_request });
        ended.plugin_fault = plugin_fault;
        ended.facts.response_time = Some(response_time);
        Run::Ended(Box::new(ended))
    }

    fn not_sent(&self, again_due: UnixMillis) -> DeliveryEnd {
        DeliveryEnd {
            endpoint: self.endpoint.id,
            delivery: self.delivery.id,
            again_due: Some(again_due),
            health: Health::NotSent,
            pause_until: None,
            kept_bytes: 0,
        }
    }

    /// Where a request goes: mostly to the endpoint's own URL, which is then kept once for all attempts.
    fn sent_to(&self, prepared: &PreparedRequest) -> SentTo {
        let url = prepared.url.as_str().into();
        if prepared.url == self.endpoint.url { SentTo::Endpoint(url) } else { SentTo::Elsewhere(url) }
    }

    /// What is kept of the request whatever comes of it: where it was shaped, or where the plugin wrote something. An event
    /// that goes out as it came and is taken says all by itself.
    fn kept_before_sending(&self, request: &OutgoingRequest, shaped: &Shaped) -> Option<SentRequest> {
        let is_original =
            shaped.logs.is_empty() && shaped.prepared == PreparedRequest::original(&self.endpoint);
        (!is_original).then(|| SentRequest::of(request, &shaped.prepared, self.app.keep_request_bodies))
    }

    /// What is kept of a request that turned out to be worth it. It went to the transport; built once more, it is the same
    /// at the same moment.
    fn built_again(&self, shaped: &Shaped, secrets: &BoundSecrets, started: Moment) -> Option<SentRequest> {
        let built = build(&self.endpoint, &self.delivery.event, &shaped.prepared, secrets, started).ok()?;
        Some(SentRequest::of(&built, &shaped.prepared, self.app.keep_request_bodies))
    }

    /// The request to send: what an earlier attempt prepared, what the plugin or composition makes, or the event as it is.
    async fn shape(&self, started_at: UnixMillis, began: Instant) -> (Step, Option<bool>) {
        match self.delivery.prepared.as_ref().map(|prepared| self.endpoint.kept(prepared)) {
            Some(Kept::Send(prepared)) => {
                return (Step::Send(Box::new(Shaped::unshaped(*prepared))), None);
            }
            Some(Kept::MakeAnew) | None => {}
        }
        let original = || Step::Send(Box::new(Shaped::unshaped(PreparedRequest::original(&self.endpoint))));
        let used = match &self.endpoint.transformation {
            Transformation::Plugin(used) => used,
            Transformation::Composed(composition) => {
                return (self.compose(composition, started_at, began).await, None);
            }
            Transformation::None | Transformation::Disabled(_) => return (original(), None),
        };
        if self.bypass_plugin {
            return (original(), None);
        }
        let (digest, report) = self.transform(used).await;
        let plugin = digest.map(|digest| (digest, report.cost.fuel));
        let fault = report.result.as_ref().err().is_some_and(TransformFailure::is_fault);
        let mut logs = trace_lines(World::Transform, report.logs);
        let mut step = match report.result {
            Ok(TransformOutcome::Deliver(requests)) if self.is_more_than_expected(&requests) => {
                Step::MadeMore
            }
            Ok(TransformOutcome::Deliver(mut requests)) if requests.len() == 1 => {
                let prepared = requests.remove(0);
                Step::Send(Box::new(Shaped { prepared, plugin, keep: true, logs: Vec::new() }))
            }
            Ok(TransformOutcome::Deliver(requests)) => {
                let mut record = self.record(AttemptResult::Split, started_at, began.elapsed(), plugin);
                record.detail = format!("the plugin made {} deliveries of it", requests.len()).into();
                let again_due = Some(self.app.steady());
                Step::End(self.end(record, Completion::Split(requests), again_due, Health::Unknown))
            }
            Ok(TransformOutcome::Drop(reason)) => {
                let mut record = self.record(AttemptResult::Dropped, started_at, began.elapsed(), plugin);
                record.detail = bounded(&reason);
                Step::End(self.end(record, Completion::Dropped, None, Health::Unknown))
            }
            Err(failure) => {
                let took = began.elapsed();
                match self.transform_failed(&failure, used.on_failure, plugin, started_at, took) {
                    Some(ended) => Step::End(ended),
                    None => {
                        logs.push(bypassed(&failure));
                        original()
                    }
                }
            }
        };
        match &mut step {
            Step::End(ended) => {
                ended.plugin_fault = Some(fault);
                ended.finished.attempt.trace = kept(AttemptTrace { logs, request: None });
            }
            Step::Send(shaped) => shaped.logs = logs,
            Step::MadeMore => {}
        }
        (step, Some(fault))
    }

    /// Whether more was made than is set aside, although there may be more of it.
    fn is_more_than_expected(&self, made: &[PreparedRequest]) -> bool {
        (1..MADE_ATTEMPT_BYTES).contains(&self.made_bytes)
            && made.iter().map(PreparedRequest::memory_bytes).sum::<usize>() > self.made_bytes
    }

    /// Gives back what was set aside for more than was made, where that is much.
    async fn tell_made(&self, shaped: &Shaped) {
        let bytes = shaped.prepared.memory_bytes();
        if self.made_bytes.saturating_sub(bytes) >= MADE_SURPLUS_BYTES {
            let (endpoint, delivery) = (self.endpoint.id, self.delivery.id);
            // Fails only when the dispatcher is gone, and with it the process.
            let _ = self.dispatcher.send(Message::Made { endpoint, delivery, bytes }).await;
        }
    }

    /// The request that the endpoint's composition makes of the event.
    ///
    /// Where it makes none, each further attempt would fail alike: a value that the event lacks does not come, nor does a
    /// line break leave a header. So the delivery goes to the dead letters at once, where its owner sees why, and can
    /// have it back when the composition is corrected.
    async fn compose(&self, composition: &Composition, started_at: UnixMillis, began: Instant) -> Step {
        let error = match self.app.render(composition, &self.delivery.event).await {
            Ok(prepared) if self.is_more_than_expected(std::slice::from_ref(&prepared)) => {
                return Step::MadeMore;
            }
            Ok(prepared) => {
                return Step::Send(Box::new(Shaped { keep: true, ..Shaped::unshaped(prepared) }));
            }
            Err(error) => error,
        };
        let failure = TransformFailure::Fault { code: error.code(), detail: error.to_string() };
        let at_once = OnTransformFailure::DeadLetter;
        let ended = self.transform_failed(&failure, at_once, None, started_at, began.elapsed());
        Step::End(ended.expect("nothing is bypassed here"))
    }

    /// Runs the endpoint's plugin.
    async fn transform(&self, used: &PluginUse) -> (Option<PluginDigest>, TransformReport) {
        let binding = &used.binding;
        let version = self.app.table().version_for(binding, self.delivery.event.id, self.endpoint.id);
        let Some(digest) = version else {
            return (
                None,
                unavailable("plugin_missing", format!("plugin `{}` does not exist any more", binding.plugin)),
            );
        };
        let run = TransformRun {
            digest,
            event: Arc::clone(&self.delivery.event),
            endpoint: Arc::clone(&self.endpoint),
            settings: Arc::clone(&binding.settings),
            secrets: Arc::clone(&binding.secrets),
            attempt: self.attempts_made(),
            // The same at every run of this delivery, so that its output is.
            now: self.delivery.event.accepted_at(),
            instance: used.instance,
        };
        (Some(digest), self.app.run_transform(run).await)
    }

    /// What a failed run means for the delivery; nothing where the original is to be sent.
    fn transform_failed(
        &self,
        failure: &TransformFailure,
        on_failure: OnTransformFailure,
        plugin: Option<(PluginDigest, u64)>,
        started_at: UnixMillis,
        took: Duration,
    ) -> Option<Box<Ended>> {
        let now = self.app.moment();
        let decision = decide_transform_failure(
            self.attempts_made(),
            &self.endpoint.policy.effective().retry,
            failure,
            on_failure,
            now.steady,
            self.app.entropy.fraction(),
        );
        let mut record = self.record(AttemptResult::Failed, started_at, took, plugin);
        record.failure_code = Some(failure.code().into());
        record.detail = bounded(failure.detail());
        let mut ended = match decision {
            TransformDecision::SendOriginal => return None,
            TransformDecision::RetryAt { due } => {
                record.next_due = Some(now.shown(due));
                let completion = Completion::Retry { due, prepared: None };
                self.end(record, completion, Some(due), Health::Unknown)
            }
            TransformDecision::Wait(wait) => {
                let (due, until) = (self.delivery.due, now.steady.after(wait.pause()));
                record.next_due = Some(now.shown(until));
                let mut ended =
                    self.end(record, Completion::Retry { due, prepared: None }, Some(due), Health::Unknown);
                ended.end.pause_until = Some(until);
                ended.waits_for = Some(wait);
                ended
            }
            TransformDecision::Dead { reason } => {
                self.end(record, Completion::Dead(reason), None, Health::Unknown)
            }
        };
        ended.facts.failure_code = Some(failure.code());
        Some(ended)
    }

    /// A secret that the request needs is not there, which says nothing of the plugin or the receiver.
    fn unbuilt(
        &self,
        error: &BuildError,
        shaped: &Shaped,
        plugin_fault: Option<bool>,
        started_at: UnixMillis,
        took: Duration,
    ) -> Ended {
        let failure = TransformFailure::Unavailable { code: error.code(), detail: error.to_string() };
        let hold = OnTransformFailure::Hold;
        let ended = self.transform_failed(&failure, hold, shaped.plugin, started_at, took);
        Ended { plugin_fault, ..*ended.expect("only faults are bypassed") }
    }

    /// What the outcome of the request means: what the endpoint's classifier says of an answer, else what the status does.
    async fn judge(&self, outcome: &Outcome) -> Judgement {
        let status_class = classify(outcome, self.endpoint.policy.effective());
        let by_status = |detail: String| Judgement {
            class: status_class,
            failure_code: "status",
            detail,
            logs: Vec::new(),
        };
        let (Some(binding), Outcome::Answered { status, headers, body, .. }) =
            (self.endpoint.classifier.as_deref(), outcome)
        else {
            return by_status(String::new());
        };
        let Some(digest) = binding.pinned.or_else(|| self.app.table().current_version(&binding.plugin))
        else {
            return by_status(format!("the classifier `{}` does not exist any more", binding.plugin));
        };
        if !status_class.wants_classifier(self.app.table().classified_answers(&binding.plugin, digest)) {
            return by_status(String::new());
        }
        let response = ReceiverAnswer {
            status: StatusCode::from_u16(*status).unwrap_or_default(),
            headers: headers.clone(),
            body: body.clone(),
        };
        let run = ClassifierRun {
            digest,
            event: Arc::clone(&self.delivery.event),
            endpoint: Arc::clone(&self.endpoint),
            settings: Arc::clone(&binding.settings),
            secrets: Arc::clone(&binding.secrets),
            attempt: self.attempts_made(),
            response: Arc::new(response),
            now: self.delivery.event.accepted_at(),
        };
        let report = self.app.run_classifier(run).await;
        let logs = trace_lines(World::Classifier, report.logs);
        match report.result {
            Ok(verdict) => {
                let class = status_class.classified(&verdict);
                let (failure_code, detail) = match verdict {
                    ClassifierVerdict::NoOpinion => ("status", String::new()),
                    ClassifierVerdict::Delivered => ("classifier", String::new()),
                    ClassifierVerdict::Retry(reason) | ClassifierVerdict::Fail(reason) => {
                        ("classifier", reason)
                    }
                };
                Judgement { logs, class, failure_code, detail }
            }
            Err(failure) => {
                let detail = format!(
                    "the classifier failed ({}: {}), so the status decided",
                    failure.code(),
                    failure.detail()
                );
                Judgement { logs, ..by_status(detail) }
            }
        }
    }

    /// Decides what the outcome of the request means for the delivery.
    fn conclude(
        &self,
        outcome: &Outcome,
        judgement: Judgement,
        shaped: Shaped,
        started_at: UnixMillis,
        took: Duration,
    ) -> Ended {
        let Judgement { class, failure_code, detail, logs: _ } = judgement;
        let now = self.app.moment();
        let fraction = self.app.entropy.fraction();
        let policy = self.endpoint.policy.effective();
        let decision = decide(self.attempts_made(), policy, &class, now.steady, fraction);

        let result = if class == Class::Delivered { AttemptResult::Delivered } else { AttemptResult::Failed };
        let mut record = self.record(result, started_at, took, shaped.plugin);
        let failure_code = match outcome {
            Outcome::Answered { status, body, .. } => {
                record.status = Some(*status);
                record.response = body.slice(..body.len().min(RESPONSE_KEPT_BYTES_MAX));
                record.detail = bounded(&detail);
                (result == AttemptResult::Failed).then_some(failure_code)
            }
            Outcome::Failed(failure) => {
                record.detail = bounded(failure.detail());
                Some(failure.class().code())
            }
            Outcome::NotSent { .. } => unreachable!("what was not sent is no attempt"),
        };
        record.failure_code = failure_code.map(Into::into);
        let (completion, again_due) = match decision {
            Decision::Delivered => (Completion::Delivered, None),
            Decision::RetryAt { due } => {
                record.next_due = Some(now.shown(due));
                let prepared = shaped.keep.then(|| Box::new(shaped.prepared));
                (Completion::Retry { due, prepared }, Some(due))
            }
            Decision::Suspended => {
                // In the order of acceptance; the wall clock may be ahead of steady time, and a reactivation is not made to wait.
                let due = self.delivery.event.accepted_at().min(now.steady);
                let prepared = shaped.keep.then(|| Box::new(shaped.prepared));
                (Completion::Retry { due, prepared }, Some(due))
            }
            Decision::Dead { reason } => (Completion::Dead(reason), None),
        };
        let health = if class.is_failure() { Health::Bad } else { Health::Good };
        let mut ended = self.end(record, completion, again_due, health);
        ended.end.pause_until = class.endpoint_pause().map(|pause| now.steady.after(pause));
        if decision == Decision::Suspended {
            ended.endpoint_end = Some(EndpointEnd::Failed);
            ended.end.pause_until = Some(now.steady.after(SUSPENDING_MAX));
        } else if class == Class::Gone {
            ended.endpoint_end = Some(EndpointEnd::Gone);
        }
        ended.facts.failure_code = failure_code;
        *ended
    }

    /// This attempt's number, counted from 1.
    fn attempts_made(&self) -> u32 {
        self.delivery.attempts_made.saturating_add(1)
    }

    fn record(
        &self,
        result: AttemptResult,
        started_at: UnixMillis,
        duration: Duration,
        plugin: Option<(PluginDigest, u64)>,
    ) -> AttemptRecord {
        AttemptRecord {
            id: AttemptId::new(started_at, self.app.entropy.id_bits()),
            application: self.delivery.event.application,
            event: self.delivery.event.id,
            endpoint: self.endpoint.id,
            number: self.attempts_made(),
            duration,
            result,
            status: None,
            failure_code: None,
            detail: Box::default(),
            sent_to: SentTo::Nowhere,
            trace: None,
            response: Bytes::new(),
            trigger: self.delivery.trigger,
            plugin,
            next_due: None,
        }
    }

    fn end(
        &self,
        attempt: AttemptRecord,
        completion: Completion,
        again_due: Option<UnixMillis>,
        health: Health,
    ) -> Box<Ended> {
        let delivery = self.delivery.id;
        let kept_bytes = match &completion {
            Completion::Retry { prepared, .. } => prepared.as_ref().map_or(0, |kept| kept.memory_bytes()),
            Completion::Split(requests) => requests.iter().map(PreparedRequest::memory_bytes).sum(),
            Completion::Delivered | Completion::Dropped | Completion::Dead(_) => 0,
        };
        let endpoint = self.endpoint.id;
        Box::new(Ended {
            finished: Finished { delivery, attempt: Box::new(attempt), completion },
            end: DeliveryEnd { endpoint, delivery, again_due, health, pause_until: None, kept_bytes },
            facts: AttemptFacts::default(),
            plugin_fault: None,
            endpoint_end: None,
            waits_for: None,
        })
    }
}

/// Whether what an endpoint gets is made by a plugin or a composition.
pub(super) fn makes_requests(endpoint: &Endpoint) -> bool {
    match &endpoint.transformation {
        Transformation::Plugin(_) | Transformation::Composed(_) => true,
        Transformation::None | Transformation::Disabled(_) => false,
    }
}

/// Whether an endpoint wants the original while its plugin's breaker is open.
pub(super) fn bypasses(endpoint: &Endpoint) -> bool {
    endpoint.transformation.active().is_some_and(|used| used.on_failure == OnTransformFailure::Bypass)
}

fn unavailable(code: &'static str, detail: String) -> TransformReport {
    TransformReport::not_begun(TransformFailure::Unavailable { code, detail })
}

/// Cuts at a character's boundary. Transports bound what they say themselves, and plugins may say most.
fn bounded(text: &str) -> Box<str> {
    text[..text.floor_char_boundary(PLUGIN_FAILURE_BYTES_MAX)].into()
}

impl Shaped {
    /// What no plugin ran for.
    fn unshaped(prepared: PreparedRequest) -> Self {
        Self { prepared, plugin: None, keep: false, logs: Vec::new() }
    }
}

fn trace_lines(world: World, logs: Vec<LogLine>) -> Vec<TraceLine> {
    logs.into_iter().map(|line| TraceLine { world, line }).collect()
}

/// Says beside a delivery of the original why that was sent.
fn bypassed(failure: &TransformFailure) -> TraceLine {
    let message =
        format!("the plugin failed ({}), so the original was sent: {}", failure.code(), failure.detail());
    TraceLine { world: World::Transform, line: LogLine { level: LogLevel::Error, message } }
}

/// A trace in which there is something.
fn kept(trace: AttemptTrace) -> Option<Box<AttemptTrace>> {
    (!trace.is_empty()).then(|| Box::new(trace))
}
