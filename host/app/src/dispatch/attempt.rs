//! One attempt of one delivery: transform, sign, send, decide.
//!
//! Straight-line code over the ports; what happens next is decided by `hookmill_core::delivery` and carried out by
//! the dispatcher and the store.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hookmill_core::attempt::{Class, Outcome, classify};
use hookmill_core::delivery::{
    Decision, OnTransformFailure, TransformDecision, TransformFailure, decide, decide_transform_failure,
};
use hookmill_core::endpoint::Endpoint;
use hookmill_core::id::AttemptId;
use hookmill_core::limits::{FAILURE_DETAIL_BYTES_MAX, RESPONSE_KEPT_BYTES_MAX};
use hookmill_core::plugin::{PluginDigest, PluginUse, TransformOutcome};
use hookmill_core::port::Transport;
use hookmill_core::port::plugins::{PLUGIN_NOT_LOADED, TransformReport, TransformRun};
use hookmill_core::port::store::{AttemptRecord, AttemptResult, Completion, Finished, PendingDelivery};
use hookmill_core::request::{PreparedRequest, build};
use hookmill_core::schedule::{DeliveryEnd, Health};
use hookmill_core::time::UnixMillis;
use tokio::time::Instant;

use crate::App;

/// What an attempt needs.
pub(super) struct Attempt {
    pub(super) app: Arc<App>,
    pub(super) transport: Arc<dyn Transport>,
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) delivery: PendingDelivery,
    /// The plugin's breaker is open and the endpoint wants the original then.
    pub(super) bypass_plugin: bool,
}

/// What came of an attempt.
#[derive(Debug)]
pub(super) struct Ended {
    /// For the store.
    pub(super) finished: Finished,
    /// For the scheduler.
    pub(super) end: DeliveryEnd,
    /// Whether a plugin ran, and if so whether it was at fault.
    pub(super) plugin_fault: Option<bool>,
    /// The receiver is gone: the endpoint is to be disabled.
    pub(super) gone: bool,
}

/// A request to send, and which plugin run made it.
struct Shaped {
    prepared: PreparedRequest,
    plugin: Option<(PluginDigest, u64)>,
    /// A plugin's output is kept with a delivery that must be tried again.
    keep: bool,
}

/// What the transform step leads to.
enum Step {
    Send(Box<Shaped>),
    End(Box<Ended>),
}

impl Attempt {
    /// Makes the attempt.
    pub(super) async fn run(self) -> Ended {
        let started_at = self.app.now();
        let began = Instant::now();
        let (step, plugin_fault) = self.shape(started_at, began).await;
        let shaped = match step {
            Step::Send(shaped) => shaped,
            Step::End(ended) => return *ended,
        };
        let request = build(&self.endpoint, &self.delivery.event, &shaped.prepared, started_at);
        let outcome = self.transport.send(request, self.endpoint.policy.timeout.get()).await;
        let mut ended = self.conclude(&outcome, *shaped, started_at, began.elapsed());
        ended.plugin_fault = plugin_fault;
        ended
    }

    /// The request to send: what an earlier attempt prepared, what the plugin makes, or the event as it is.
    async fn shape(&self, started_at: UnixMillis, began: Instant) -> (Step, Option<bool>) {
        if let Some(prepared) = &self.delivery.prepared {
            let shaped = Shaped { prepared: PreparedRequest::clone(prepared), plugin: None, keep: false };
            return (Step::Send(Box::new(shaped)), None);
        }
        let original = || {
            let prepared = PreparedRequest::original(&self.endpoint);
            Step::Send(Box::new(Shaped { prepared, plugin: None, keep: false }))
        };
        let Some(used) = self.endpoint.transformation.active() else { return (original(), None) };
        if self.bypass_plugin {
            return (original(), None);
        }
        let (digest, report) = self.transform(used).await;
        let plugin = digest.map(|digest| (digest, report.cost.fuel));
        let fault = report.result.as_ref().err().is_some_and(TransformFailure::is_fault);
        let step = match report.result {
            Ok(TransformOutcome::Deliver(mut requests)) if requests.len() == 1 => {
                let prepared = requests.remove(0);
                Step::Send(Box::new(Shaped { prepared, plugin, keep: true }))
            }
            Ok(TransformOutcome::Deliver(requests)) => {
                let mut record = self.record(AttemptResult::Split, started_at, began.elapsed(), plugin);
                record.detail = format!("the plugin made {} deliveries of it", requests.len()).into();
                let again_due = Some(started_at);
                Step::End(self.end(record, Completion::Split(requests), again_due, Health::Unknown))
            }
            Ok(TransformOutcome::Drop(reason)) => {
                let mut record = self.record(AttemptResult::Dropped, started_at, began.elapsed(), plugin);
                record.detail = bounded(&reason);
                Step::End(self.end(record, Completion::Dropped, None, Health::Unknown))
            }
            Err(failure) => {
                let decision = decide_transform_failure(
                    self.attempts_made(),
                    &self.endpoint.policy.retry,
                    &failure,
                    used.on_failure,
                    self.app.now(),
                    self.app.entropy.fraction(),
                );
                let mut record = self.record(AttemptResult::Failed, started_at, began.elapsed(), plugin);
                record.failure_code = Some(failure.code().into());
                record.detail = bounded(failure.detail());
                match decision {
                    TransformDecision::SendOriginal => original(),
                    TransformDecision::RetryAt { due } => {
                        record.next_due = Some(due);
                        let completion = Completion::Retry { due, prepared: None };
                        Step::End(self.end(record, completion, Some(due), Health::Unknown))
                    }
                    TransformDecision::Dead { reason } => {
                        Step::End(self.end(record, Completion::Dead(reason), None, Health::Unknown))
                    }
                }
            }
        };
        let step = match step {
            Step::End(mut ended) => {
                ended.plugin_fault = Some(fault);
                Step::End(ended)
            }
            Step::Send(shaped) => Step::Send(shaped),
        };
        (step, Some(fault))
    }

    /// Runs the endpoint's plugin; a host that has lost the version gets its bytes from the store once.
    async fn transform(&self, used: &PluginUse) -> (Option<PluginDigest>, TransformReport) {
        let current = used.pinned.or_else(|| self.app.table().current_version(&used.plugin));
        let Some(digest) = current else {
            return (
                None,
                unavailable("plugin_missing", format!("plugin `{}` does not exist any more", used.plugin)),
            );
        };
        let run = TransformRun {
            digest,
            event: Arc::clone(&self.delivery.event),
            endpoint: Arc::clone(&self.endpoint),
            settings: Arc::from(&*used.settings),
            attempt: self.attempts_made(),
            // The same at every run of this delivery, so that its output is.
            now: self.delivery.event.accepted_at(),
        };
        let report = self.app.plugins.run(run.clone()).await;
        match &report.result {
            Err(failure) if failure.code() == PLUGIN_NOT_LOADED => {}
            Ok(_) | Err(_) => return (Some(digest), report),
        }
        let prepared = match self.app.store.plugin_bytes(digest).await {
            Ok(Some(bytes)) => self.app.plugins.prepare(bytes).await.map_err(|rejected| rejected.message),
            Ok(None) => Err("its bytes are not in the store".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        let report = match prepared {
            Ok(_) => self.app.plugins.run(run).await,
            Err(reason) => unavailable("plugin_unavailable", format!("{digest} can't be loaded: {reason}")),
        };
        (Some(digest), report)
    }

    /// Decides what the outcome of the request means for the delivery.
    fn conclude(&self, outcome: &Outcome, shaped: Shaped, started_at: UnixMillis, took: Duration) -> Ended {
        let class = classify(outcome);
        let now = self.app.now();
        let fraction = self.app.entropy.fraction();
        let decision = decide(self.attempts_made(), &self.endpoint.policy.retry, &class, now, fraction);

        let result = if class == Class::Delivered { AttemptResult::Delivered } else { AttemptResult::Failed };
        let mut record = self.record(result, started_at, took, shaped.plugin);
        match outcome {
            Outcome::Answered { status, retry_after: _, body } => {
                record.status = Some(*status);
                record.response = body.slice(..body.len().min(RESPONSE_KEPT_BYTES_MAX));
                if result == AttemptResult::Failed {
                    record.failure_code = Some("status".into());
                }
            }
            Outcome::Failed(failure) => {
                record.failure_code = Some(failure.class().code().into());
                record.detail = bounded(failure.detail());
            }
        }
        let (completion, again_due) = match decision {
            Decision::Delivered => (Completion::Delivered, None),
            Decision::RetryAt { due } => {
                record.next_due = Some(due);
                let prepared = shaped.keep.then(|| Box::new(shaped.prepared));
                (Completion::Retry { due, prepared }, Some(due))
            }
            Decision::Dead { reason } => (Completion::Dead(reason), None),
        };
        let health = if class.is_failure() { Health::Bad } else { Health::Good };
        let mut ended = self.end(record, completion, again_due, health);
        ended.end.pause_until = class.endpoint_pause().map(|pause| now.after(pause));
        ended.gone = class == Class::Gone;
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
        Box::new(Ended {
            finished: Finished { delivery, attempt, completion },
            end: DeliveryEnd { endpoint: self.endpoint.id, delivery, again_due, health, pause_until: None },
            plugin_fault: None,
            gone: false,
        })
    }
}

/// Whether an endpoint wants the original while its plugin's breaker is open.
pub(super) fn bypasses(endpoint: &Endpoint) -> bool {
    endpoint.transformation.active().is_some_and(|used| used.on_failure == OnTransformFailure::Bypass)
}

fn unavailable(code: &'static str, detail: String) -> TransformReport {
    TransformReport {
        result: Err(TransformFailure::Unavailable { code, detail }),
        cost: Default::default(),
        logs: Vec::new(),
    }
}

/// Cuts at a character's boundary.
fn bounded(text: &str) -> Box<str> {
    text[..text.floor_char_boundary(FAILURE_DETAIL_BYTES_MAX)].into()
}
