//! The task that owns the scheduler.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hashbrown::{HashMap, HashSet};
use hookmill_core::breaker::{self, Breaker, BreakerConfig, Change, Permit};
use hookmill_core::delivery::Wait;
use hookmill_core::endpoint::{Endpoint, EndpointState};
use hookmill_core::id::{DeliveryId, EndpointId};
use hookmill_core::port::Store;
use hookmill_core::port::store::{
    AttemptRecord, AttemptResult, AttemptTrigger, Completion, Finished, LoadDue, PendingDelivery,
};
use hookmill_core::schedule::{Action, DeliveryEnd, EndpointTerms, Health, Scheduler};
use hookmill_core::time::UnixMillis;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::attempt::{Attempt, Ended, NotSent, Run, bypasses, makes_requests};
use super::held::Held;
use super::trials::Trials;
use super::{DispatcherInbox, Message};
use crate::App;
use crate::operational::Notice;

/// Messages taken at once.
const MESSAGES_AT_ONCE: usize = 512;
/// Batches of completions under way at once; while they are, the next batch grows.
const COMMITS_IN_FLIGHT_MAX: usize = 2;
/// Ended deliveries that may wait for a commit; beyond, none is started until the disk catches up.
const UNSAVED_MAX: usize = 8192;
/// The longest sleep. The timers of the runtime stand still while the machine is suspended, steady time does not.
const SLEEP_MAX: Duration = Duration::from_secs(1);
/// How long a backlog that could not be read waits.
const BACKLOG_AGAIN: Duration = Duration::from_secs(1);

/// What a [`Dispatcher`] is made of.
pub struct DispatcherParts {
    /// The use cases, for configuration and ports.
    pub app: Arc<App>,
    /// The end that [`channel`](super::channel) made.
    pub inbox: DispatcherInbox,
}

/// The task that owns the scheduler.
pub struct Dispatcher {
    app: Arc<App>,
    store: Arc<dyn Store>,
    scheduler: Scheduler,
    plugin_breakers: HashMap<EndpointId, PluginBreaker>,
    held: Held,
    /// Endpoints that wait for their owner, who was told.
    waiting_for_owner: HashSet<EndpointId>,
    trials: Trials,
    inbox: DispatcherInbox,
    /// Ended deliveries that wait for a commit.
    unsaved: Vec<Finished>,
    unsaved_ids: Vec<(EndpointId, DeliveryId)>,
    commits_in_flight: usize,
    backlog: BacklogState,
    stopping: bool,
}

struct PluginBreaker {
    breaker: Breaker,
    /// The kind of the last permit, which the next outcome is reported with.
    attempt: breaker::Attempt,
}

enum BacklogState {
    /// Must be read, at the earliest then.
    Wanted(Instant),
    Reading,
    Known,
}

impl Dispatcher {
    /// Makes a dispatcher that knows nothing yet; [`run`](Self::run) reads the backlog first.
    #[must_use]
    pub fn new(parts: DispatcherParts) -> Self {
        Self {
            store: Arc::clone(&parts.app.store),
            app: parts.app,
            scheduler: Scheduler::new(BreakerConfig::ENDPOINT),
            plugin_breakers: HashMap::new(),
            held: Held::default(),
            waiting_for_owner: HashSet::new(),
            trials: Trials::default(),
            inbox: parts.inbox,
            unsaved: Vec::new(),
            unsaved_ids: Vec::new(),
            commits_in_flight: 0,
            backlog: BacklogState::Wanted(Instant::now()),
            stopping: false,
        }
    }

    /// Dispatches until `shutdown` is cancelled, then lets what is under way end for at most `grace`. What has not
    /// ended then is tried again after the next start.
    pub async fn run(mut self, shutdown: CancellationToken, grace: Duration) {
        let mut messages = Vec::with_capacity(MESSAGES_AT_ONCE);
        loop {
            let sleep_until = self.act();
            tokio::select! {
                taken = self.inbox.receiver.recv_many(&mut messages, MESSAGES_AT_ONCE) => {
                    debug_assert!(taken > 0, "the dispatcher holds a sender itself");
                }
                () = tokio::time::sleep_until(sleep_until) => {}
                () = shutdown.cancelled() => break,
            }
            self.handle(&mut messages);
        }
        self.stopping = true;
        let deadline = Instant::now() + grace;
        while self.scheduler.under_way() > 0 || self.commits_in_flight > 0 || !self.unsaved.is_empty() {
            self.save();
            tokio::select! {
                _ = self.inbox.receiver.recv_many(&mut messages, MESSAGES_AT_ONCE) => {}
                () = tokio::time::sleep_until(deadline) => break,
            }
            self.handle(&mut messages);
        }
        let left = self.scheduler.under_way();
        if left > 0 {
            tracing::warn!(
                left,
                "deliveries still under way were given up; they are tried again at the next start"
            );
        }
    }

    /// Carries out all that can be done now; answers when to look again.
    fn act(&mut self) -> Instant {
        self.read_backlog();
        let now = self.app.steady();
        self.store.keep_time(now);
        let until = loop {
            if self.unsaved.len() >= UNSAVED_MAX {
                break None;
            }
            match self.scheduler.poll(now) {
                Action::Start { delivery, made_bytes } => self.start(delivery, made_bytes, now),
                Action::Load(load) => self.load(load),
                Action::SleepUntil(until) => break until,
            }
        };
        self.app.metrics.under_way(self.scheduler.under_way());
        self.save();
        self.held.release(&self.app, self.unsaved.is_empty() && self.commits_in_flight == 0);
        if self.scheduler.take_commit_wanted() {
            self.store.commit_soon();
        }
        let sleep = until.map_or(SLEEP_MAX, |until| until.since(now).min(SLEEP_MAX));
        // Rounded up, so that the wake-up is not a moment too early and spins.
        Instant::now() + sleep + Duration::from_millis(1)
    }

    fn handle(&mut self, messages: &mut Vec<Message>) {
        let now = self.app.steady();
        if self.inbox.hint_lost.swap(false, Ordering::AcqRel) {
            self.backlog = BacklogState::Wanted(Instant::now());
        }
        for message in messages.drain(..) {
            match message {
                Message::Appended(deliveries, _memory) => {
                    for delivery in deliveries {
                        self.introduce(delivery.endpoint, now);
                        if delivery.trigger == AttemptTrigger::Manual {
                            self.probe_plugin(delivery.endpoint, now);
                        }
                        self.scheduler.appended(delivery, now);
                    }
                }
                Message::Requested(waiting) => {
                    self.introduce(waiting.endpoint, now);
                    self.probe_plugin(waiting.endpoint, now);
                    self.scheduler.requested(waiting.endpoint, waiting.earliest_due, now);
                }
                Message::EndpointChanged(endpoint) => {
                    let terms =
                        self.app.table().endpoints.get(&endpoint).map(|endpoint| self.terms(endpoint));
                    self.scheduler.endpoint_changed(endpoint, terms, now);
                    self.plugin_breakers.remove(&endpoint);
                    if self.held.changed(&self.app, endpoint) && self.waiting_for_owner.remove(&endpoint) {
                        self.scheduler.resume(endpoint, now);
                    }
                    self.app.breakers.set_plugin(endpoint, None);
                    self.app.breakers.set_endpoint(endpoint, self.scheduler.open_until(endpoint));
                }
                Message::Made { endpoint, delivery, bytes } => self.scheduler.made(endpoint, delivery, bytes),
                Message::Ran(Run::Ended(ended)) => self.ended(*ended, now),
                Message::Ran(Run::NotSent(not_sent)) => self.not_sent(not_sent, now),
                Message::Ran(Run::MadeMore(end)) => self.scheduler.made_more(&end, now),
                Message::Loaded(endpoint, Some(loaded)) => self.scheduler.loaded(endpoint, loaded, now),
                Message::Loaded(endpoint, None) => self.scheduler.load_failed(endpoint, now),
                Message::Backlog(Some(backlog)) => {
                    self.backlog = BacklogState::Known;
                    for waiting in backlog {
                        self.introduce(waiting.endpoint, now);
                        self.scheduler.stored(waiting.endpoint, waiting.earliest_due, now);
                    }
                }
                Message::Backlog(None) => {
                    self.backlog = BacklogState::Wanted(Instant::now() + BACKLOG_AGAIN);
                }
                Message::Settled(deliveries) => {
                    self.commits_in_flight -= 1;
                    self.held.save_done();
                    for (endpoint, delivery) in deliveries {
                        self.scheduler.settled(endpoint, delivery, now);
                    }
                }
            }
        }
    }

    /// Lets the next run of an endpoint's plugin through its breaker, as its probe.
    fn probe_plugin(&mut self, endpoint: EndpointId, now: UnixMillis) {
        if let Some(state) = self.plugin_breakers.get_mut(&endpoint) {
            state.breaker.probe_from(now);
        }
    }

    /// Tells the scheduler of an endpoint that it does not know: at the start, or when an event overtakes the news
    /// of its endpoint.
    fn introduce(&mut self, endpoint: EndpointId, now: UnixMillis) {
        if self.scheduler.knows(endpoint) {
            return;
        }
        let terms = self.app.table().endpoints.get(&endpoint).map(|endpoint| self.terms(endpoint));
        if terms.is_some() {
            self.scheduler.endpoint_changed(endpoint, terms, now);
            self.held.introduced(&self.app, endpoint);
        }
    }

    fn terms(&self, endpoint: &Endpoint) -> EndpointTerms {
        let table = self.app.table();
        let application_rate =
            table.applications.get(&endpoint.application).and_then(|routes| routes.application.rate());
        let policy = endpoint.policy.effective();
        EndpointTerms {
            application: endpoint.application,
            enabled: endpoint.state == EndpointState::Enabled,
            concurrency: usize::from(policy.concurrency.get()),
            rate: policy.rate,
            application_rate,
            ordering: policy.ordering,
            makes_requests: makes_requests(endpoint),
        }
    }

    fn start(&mut self, delivery: PendingDelivery, made_bytes: usize, now: UnixMillis) {
        let Some(endpoint) = self.app.table().endpoints.get(&delivery.endpoint).map(Arc::clone) else {
            // Deleted since; its deliveries went with it, and its queue goes with this message.
            let sender = self.inbox.sender.clone();
            let gone = delivery.endpoint;
            tokio::spawn(async move { sender.send(Message::EndpointChanged(gone)).await });
            let end = DeliveryEnd {
                endpoint: delivery.endpoint,
                delivery: delivery.id,
                again_due: None,
                health: Health::Unknown,
                pause_until: None,
                kept_bytes: 0,
            };
            let _ = self.scheduler.finished(&end, now);
            self.scheduler.settled(delivery.endpoint, delivery.id, now);
            return;
        };
        let bypass_plugin = bypasses(&endpoint) && !self.plugin_permitted(endpoint.id, now);
        let sender = self.inbox.sender.clone();
        let dispatcher = sender.clone();
        let app = Arc::clone(&self.app);
        let attempt = Attempt { app, endpoint, delivery, bypass_plugin, made_bytes, dispatcher };
        tokio::spawn(async move {
            let run = attempt.run().await;
            // Fails only when the dispatcher is gone, and with it the process.
            let _ = sender.send(Message::Ran(run)).await;
        });
    }

    fn load(&self, load: LoadDue) {
        let store = Arc::clone(&self.store);
        let sender = self.inbox.sender.clone();
        let endpoint = load.endpoint;
        tokio::spawn(async move {
            let loaded = store.load_due(load).await;
            if let Err(error) = &loaded {
                tracing::warn!(%endpoint, %error, "due deliveries could not be read");
            }
            let _ = sender.send(Message::Loaded(endpoint, loaded.ok())).await;
        });
    }

    fn read_backlog(&mut self) {
        match self.backlog {
            BacklogState::Wanted(at) if at <= Instant::now() => {}
            BacklogState::Wanted(_) | BacklogState::Reading | BacklogState::Known => return,
        }
        self.backlog = BacklogState::Reading;
        let store = Arc::clone(&self.store);
        let sender = self.inbox.sender.clone();
        tokio::spawn(async move {
            let backlog = store.backlog().await;
            if let Err(error) = &backlog {
                tracing::warn!(%error, "the backlog could not be read");
            }
            let _ = sender.send(Message::Backlog(backlog.ok())).await;
        });
    }

    fn ended(&mut self, ended: Ended, now: UnixMillis) {
        let endpoint = ended.end.endpoint;
        if let Some(wait) = ended.waits_for {
            if !self.is_news(wait, &ended) {
                // It is due in the store as it was.
                let _ = self.scheduler.finished(&ended.end, now);
                self.scheduler.settled(endpoint, ended.end.delivery, now);
                return;
            }
        } else if ended.plugin_fault.is_some() {
            self.waiting_for_owner.remove(&endpoint);
        }
        if let Some(fault) = ended.plugin_fault
            && let Some(until) = self.record_plugin(endpoint, fault, now)
        {
            self.scheduler.plugin_paused(endpoint, until, now);
        }
        let change = self.scheduler.finished(&ended.end, now);
        if change.is_some() {
            self.app.breakers.set_endpoint(endpoint, self.scheduler.open_until(endpoint));
        }
        match change {
            Some(Change::Opened { until }) => {
                let until = self.app.moment().shown(until);
                tracing::warn!(%endpoint, %until, "endpoint fails; its deliveries wait");
            }
            Some(Change::Closed) => tracing::info!(%endpoint, "endpoint works again"),
            None => {}
        }
        self.app.metrics.attempt_ended(&ended.finished, ended.facts, self.app.now());
        self.count_for_trial(&ended.finished.attempt);
        if matches!(ended.finished.completion, Completion::Dead(_)) {
            self.app.announce(&Notice::Exhausted(ended.finished.attempt.clone()));
        }
        if let Some(end) = ended.endpoint_end {
            let app = Arc::clone(&self.app);
            tokio::spawn(async move { app.end_endpoint(endpoint, end).await });
        }
        self.held.ended(&self.app, endpoint, &ended.finished);
        self.unsaved_ids.push((endpoint, ended.end.delivery));
        self.unsaved.push(ended.finished);
    }

    /// Lets a delivery wait that could not be sent for want of something on this machine.
    fn not_sent(&mut self, not_sent: NotSent, now: UnixMillis) {
        let NotSent { mut end, detail, plugin_fault } = not_sent;
        tracing::warn!(detail, "deliveries wait: this machine lacks something to send them with");
        self.app.metrics.not_sent();
        if let Some(fault) = plugin_fault {
            end.pause_until = self.record_plugin(end.endpoint, fault, now);
        }
        let _ = self.scheduler.finished(&end, now);
        // Nothing was written, so nothing has to be committed first.
        self.scheduler.settled(end.endpoint, end.delivery, now);
    }

    /// Whether what a delivery waits for is to be kept and told: what its owner has to do, once.
    fn is_news(&mut self, wait: Wait, ended: &Ended) -> bool {
        let endpoint = ended.end.endpoint;
        match wait {
            Wait::Room => false,
            Wait::Owner => {
                let is_news = self.waiting_for_owner.insert(endpoint);
                if is_news {
                    let record = &ended.finished.attempt;
                    let code = record.failure_code.as_deref().unwrap_or_default();
                    tracing::warn!(%endpoint, code, detail = &*record.detail, "deliveries wait for their owner");
                    self.announce_plugin(endpoint, true);
                }
                is_news
            }
        }
    }

    /// Counts a first attempt for the trial of a plugin's version, and ends the trial where that fails.
    fn count_for_trial(&mut self, attempt: &AttemptRecord) {
        let Some((version, _)) = attempt.plugin.filter(|_| attempt.number == 1) else { return };
        let table = self.app.table();
        let used =
            table.endpoints.get(&attempt.endpoint).and_then(|endpoint| endpoint.transformation.active());
        let Some(name) = used.map(|used| &used.binding.plugin) else { return };
        let Some(entry) = table.plugins.get(name) else { return };
        let failed = attempt.result == AttemptResult::Failed;
        if let Some((version, worse)) = self.trials.count(name, entry, version, failed) {
            let (app, name) = (Arc::clone(&self.app), name.clone());
            tokio::spawn(async move { app.end_canary(&name, version, worse).await });
        }
    }

    /// Whether the plugin of this endpoint may run now.
    fn plugin_permitted(&mut self, endpoint: EndpointId, now: UnixMillis) -> bool {
        let Some(state) = self.plugin_breakers.get_mut(&endpoint) else { return true };
        match state.breaker.permit(&BreakerConfig::PLUGIN, now) {
            Permit::Normal => state.attempt = breaker::Attempt::Normal,
            Permit::Probe => state.attempt = breaker::Attempt::Probe,
            Permit::Wait { .. } => return false,
        }
        true
    }

    /// Counts a plugin run; answers until when the endpoint waits, if its plugin fails too often. An endpoint that
    /// wants the original then does not wait.
    fn record_plugin(&mut self, endpoint: EndpointId, fault: bool, now: UnixMillis) -> Option<UnixMillis> {
        if !fault && !self.plugin_breakers.contains_key(&endpoint) {
            return None;
        }
        let bypasses = self.app.table().endpoints.get(&endpoint).is_some_and(|endpoint| bypasses(endpoint));
        let state = self.plugin_breakers.entry(endpoint).or_insert_with(|| PluginBreaker {
            breaker: Breaker::default(),
            attempt: breaker::Attempt::Normal,
        });
        if !bypasses {
            // The endpoint waits as a whole, so whatever ran after the pause was let through as the probe.
            state.attempt = match state.breaker.permit(&BreakerConfig::PLUGIN, now) {
                Permit::Normal | Permit::Wait { .. } => breaker::Attempt::Normal,
                Permit::Probe => breaker::Attempt::Probe,
            };
        }
        match state.breaker.record(&BreakerConfig::PLUGIN, state.attempt, !fault, now) {
            Some(Change::Opened { until }) => {
                let shown = self.app.moment().shown(until);
                tracing::warn!(%endpoint, until = %shown, "plugin fails too often; it is not run for a while");
                self.app.breakers.set_plugin(endpoint, Some(until));
                self.announce_plugin(endpoint, true);
                (!bypasses).then_some(until)
            }
            Some(Change::Closed) => {
                self.plugin_breakers.remove(&endpoint);
                self.app.breakers.set_plugin(endpoint, None);
                self.announce_plugin(endpoint, false);
                None
            }
            None => None,
        }
    }

    fn announce_plugin(&self, id: EndpointId, is_failing: bool) {
        let endpoint = self.app.table().endpoints.get(&id).cloned();
        let Some(endpoint) = endpoint else { return };
        let Some(used) = endpoint.transformation.active() else { return };
        let (application, plugin) = (endpoint.application, used.binding.plugin.clone());
        self.app.announce(&if is_failing {
            Notice::PluginFailing { application, endpoint: id, plugin }
        } else {
            Notice::PluginRecovered { application, endpoint: id, plugin }
        });
    }

    /// Hands ended deliveries to the store, several at once.
    fn save(&mut self) {
        if self.unsaved.is_empty() || self.commits_in_flight == COMMITS_IN_FLIGHT_MAX {
            return;
        }
        self.commits_in_flight += 1;
        self.held.save_begun();
        let finished = std::mem::take(&mut self.unsaved);
        let ids = std::mem::take(&mut self.unsaved_ids);
        let store = Arc::clone(&self.store);
        let sender = self.inbox.sender.clone();
        tokio::spawn(save(store, sender, finished, ids));
    }
}

/// Saves completions. A store that can't has failed for good, which ends the process elsewhere; until then its
/// deliveries stay unsettled, so that none of them starts again.
async fn save(
    store: Arc<dyn Store>,
    sender: mpsc::Sender<Message>,
    finished: Vec<Finished>,
    ids: Vec<(EndpointId, DeliveryId)>,
) {
    match store.finish(finished).await {
        Ok(()) => {
            let _ = sender.send(Message::Settled(ids)).await;
        }
        Err(error) => tracing::error!(%error, "completions could not be saved"),
    }
}
