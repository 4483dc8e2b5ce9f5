//! A router whose time passes only when it has nothing left to do.
//!
//! # Who is who
//! - [`VirtualRouter`] is the real dispatcher with the real scheduler over the real store, in a directory of its own; it
//!   has one application with one endpoint, and can be restarted.
//! - [`VirtualReceiver`] stands where HTTP would: it answers as it is told, takes as long as it is told, and notes when
//!   each request arrived.
//! - [`VirtualClock`] goes with tokio's paused time; its wall clock may be made to jump.
//!
//! # How time passes
//! A test says `#[tokio::test(start_paused = true)]`. Tokio then moves its time to the next timer as soon as no task can
//! run, so a wait of a day takes a moment. The store works on threads that tokio does not see; [`SteadyStore`] therefore
//! waits for each of its calls in a blocking task, and while there is one tokio lets no time pass.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hookmill_app::administer::Text;
use hookmill_app::administer::application::ApplicationInput;
use hookmill_app::administer::endpoint::{EndpointInput, EndpointPatch};
use hookmill_app::administer::policy::PolicyPatch;
use hookmill_app::dispatch::{Dispatcher, DispatcherParts, channel};
use hookmill_app::ingest::Incoming;
use hookmill_app::{App, AppParts};
use hookmill_core::address::{AddressPolicy, DeliveryUrl};
use hookmill_core::application::Metadata;
use hookmill_core::attempt::{Outcome, TransportFailure};
use hookmill_core::endpoint::Endpoint;
use hookmill_core::event::{Channels, ContentType};
use hookmill_core::id::{ApplicationId, EndpointId, EventId};
use hookmill_core::policy::Overrides;
use hookmill_core::port::{Clock, PortFuture, Transport};
use hookmill_core::preset::Preset;
use hookmill_core::request::OutgoingRequest;
use hookmill_core::seal::SealKey;
use hookmill_core::time::UnixMillis;
use hookmill_sqlite::SqliteStore;
use hookmill_testkit::doubles::{CountingEntropy, RecordingPlugins};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

mod steady_store;

use steady_store::SteadyStore;

/// When every virtual router starts.
const START: UnixMillis = UnixMillis(1_800_000_000_000);
/// No schedule is longer; what takes more of virtual time, hangs.
const HANG: Duration = Duration::from_secs(30 * 24 * 3600);
/// How often a condition is looked at, in virtual time.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A router in virtual time with one application and one endpoint.
pub struct VirtualRouter {
    clock: Arc<VirtualClock>,
    receiver: Arc<VirtualReceiver>,
    entropy: Arc<CountingEntropy>,
    application: ApplicationId,
    endpoint: EndpointId,
    running: Running,
    // The last to go.
    directory: TempDir,
}

struct Running {
    app: Arc<App>,
    store: Arc<SqliteStore>,
    shutdown: CancellationToken,
    dispatcher: JoinHandle<()>,
}

impl VirtualRouter {
    /// A router whose endpoint has these terms. Needs tokio's time to be paused.
    ///
    /// # Panics
    /// If the terms contradict each other.
    pub async fn start(preset: Preset, overrides: Overrides) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let clock = Arc::new(VirtualClock {
            began: Instant::now(),
            jumped_millis: AtomicI64::new(0),
            anchored_millis: AtomicI64::new(0),
        });
        let receiver = Arc::new(VirtualReceiver::new(Arc::clone(&clock)));
        let entropy = Arc::new(CountingEntropy::default());
        let running = run(directory.path(), &clock, &receiver, &entropy).await;
        let (application, endpoint) = configure(&running.app, preset, overrides).await;
        Self { clock, receiver, entropy, application, endpoint, running, directory }
    }

    /// Stops the router, as a signal does, and starts it again over what the store holds.
    pub async fn restart(&mut self) {
        self.running.shutdown.cancel();
        (&mut self.running.dispatcher).await.expect("the dispatcher does not panic");
        let store = Arc::clone(&self.running.store);
        steady_store::aside(move || async move { store.close().await }).await.expect("the store closes");
        self.running = run(self.directory.path(), &self.clock, &self.receiver, &self.entropy).await;
    }

    /// Where deliveries go.
    #[must_use]
    pub fn receiver(&self) -> &VirtualReceiver {
        &self.receiver
    }

    /// Accepts an event with this payload.
    pub async fn send(&self, event_type: &str, payload: impl Into<Bytes>) -> EventId {
        let routes = Arc::clone(&self.running.app.table_full().applications[&self.application]);
        let incoming = Incoming {
            event_type: event_type.parse().expect("an event type"),
            uid: None,
            channels: Channels::default(),
            endpoint: None,
            ordering_key: None,
            content_type: ContentType::json(),
            body: payload.into(),
            idempotency_key: None,
        };
        self.running.app.accept(&routes, incoming, None).await.expect("the event is accepted").event.id
    }

    /// Lets so much time pass.
    pub async fn run_for(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    /// Lets time pass until something is so; looks every second.
    ///
    /// # Panics
    /// If that hangs.
    pub async fn run_until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let began = Instant::now();
        while !is_so(self) {
            assert!(began.elapsed() < HANG, "30 virtual days went by in vain until {what}");
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Lets time pass until so many requests have arrived in all.
    pub async fn run_until_arrivals(&self, count: usize) {
        let what = format!("{count} requests have arrived");
        self.run_until(&what, |router| router.receiver.arrivals().len() >= count).await;
    }

    /// Seconds between each request that arrived and the one before it.
    #[must_use]
    pub fn waits(&self) -> Vec<u64> {
        let arrivals = self.receiver.arrivals();
        arrivals.windows(2).map(|pair| (pair[1].at - pair[0].at).as_secs()).collect()
    }

    /// Makes the wall clock jump; the time that passes is the same.
    pub fn jump_clock(&self, seconds: i64) {
        self.clock.jumped_millis.fetch_add(seconds * 1000, Ordering::SeqCst);
    }

    /// The endpoint as it is now.
    #[must_use]
    pub fn endpoint(&self) -> Arc<Endpoint> {
        Arc::clone(&self.running.app.table().endpoints[&self.endpoint])
    }

    /// Lets an endpoint that was turned off receive again.
    pub async fn reactivate(&self) {
        let mut edit = self.running.app.edit().await;
        edit.reactivate_endpoint(self.application, self.endpoint).expect("there is such an endpoint");
        edit.commit().await.expect("the store takes it");
    }
}

/// Starts a router over what is in `directory`.
async fn run(
    directory: &Path,
    clock: &Arc<VirtualClock>,
    receiver: &Arc<VirtualReceiver>,
    entropy: &Arc<CountingEntropy>,
) -> Running {
    clock.anchor();
    let seal_key = SealKey::new([7; 32]);
    let store = SqliteStore::open(&directory.join("store.sqlite"), seal_key, entropy.clone());
    let store = Arc::new(store.expect("the store opens"));
    let (dispatcher, inbox) = channel();
    let parts = AppParts {
        store: Arc::new(SteadyStore(Arc::clone(&store))),
        plugins: Arc::new(RecordingPlugins::default()),
        transport: receiver.clone(),
        clock: clock.clone(),
        entropy: entropy.clone(),
        address_policy: AddressPolicy::default(),
        request_origin: Default::default(),
        dispatcher,
        bundle: Default::default(),
        keep_request_bodies: false,
        step_back: || (),
    };
    let app = Arc::new(App::load(parts).await.expect("the configuration is read"));
    let shutdown = CancellationToken::new();
    let parts = DispatcherParts { app: Arc::clone(&app), inbox };
    let dispatcher = tokio::spawn(Dispatcher::new(parts).run(shutdown.clone(), Duration::from_secs(60)));
    Running { app, store, shutdown, dispatcher }
}

async fn configure(app: &App, preset: Preset, overrides: Overrides) -> (ApplicationId, EndpointId) {
    let mut edit = app.edit().await;
    let input = ApplicationInput {
        name: Text::new("virtual".to_owned()).expect("a name"),
        uid: None,
        rate_limit: None,
        metadata: Metadata::default(),
    };
    let application = edit.create_application(input, false).expect("there is room").get().id;
    edit.commit().await.expect("the store takes it");

    let mut edit = app.edit().await;
    let input = EndpointInput {
        url: DeliveryUrl::parse("https://receiver.example/hook").expect("a URL"),
        signing_key: None,
        details: EndpointPatch { preset: Some(preset), ..EndpointPatch::default() },
    };
    let endpoint = edit.create_endpoint(application, input).expect("an endpoint").id;
    edit.commit().await.expect("the store takes it");

    let mut edit = app.edit().await;
    let patch = PolicyPatch { overrides, ..PolicyPatch::default() };
    edit.patch_policy(application, endpoint, patch).expect("terms that fit each other");
    edit.commit().await.expect("the store takes it");
    (application, endpoint)
}

/// The wall clock of a virtual router.
#[derive(Debug)]
pub struct VirtualClock {
    began: Instant,
    jumped_millis: AtomicI64,
    /// How far the wall clock had jumped when the router was started last: its steady clock began there.
    anchored_millis: AtomicI64,
}

impl VirtualClock {
    /// A process begins.
    fn anchor(&self) {
        self.anchored_millis.store(self.jumped_millis.load(Ordering::SeqCst), Ordering::SeqCst);
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> UnixMillis {
        let now = START.after(self.began.elapsed());
        UnixMillis(now.0.saturating_add_signed(self.jumped_millis.load(Ordering::SeqCst)))
    }

    fn steady(&self) -> UnixMillis {
        let anchor = START.0.saturating_add_signed(self.anchored_millis.load(Ordering::SeqCst));
        UnixMillis(anchor).after(self.began.elapsed())
    }
}

/// A receiver that answers 200 at once, until it is told otherwise.
#[derive(Debug)]
pub struct VirtualReceiver {
    clock: Arc<VirtualClock>,
    state: Mutex<ReceiverState>,
}

#[derive(Debug)]
struct ReceiverState {
    next: VecDeque<Outcome>,
    otherwise: Outcome,
    takes: Duration,
    arrivals: Vec<Arrival>,
    at_once: usize,
    at_once_most: usize,
}

/// One request that arrived.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// When, since the router was started first; a clock that jumps does not change it.
    pub at: Duration,
    /// What the wall clock showed.
    pub wall: UnixMillis,
    /// The request, signed.
    pub request: OutgoingRequest,
}

impl VirtualReceiver {
    fn new(clock: Arc<VirtualClock>) -> Self {
        let state = ReceiverState {
            next: VecDeque::new(),
            otherwise: answer(200),
            takes: Duration::ZERO,
            arrivals: Vec::new(),
            at_once: 0,
            at_once_most: 0,
        };
        Self { clock, state: Mutex::new(state) }
    }

    /// Answers the next request that is not spoken for with this.
    pub fn answer_next(&self, outcome: Outcome) {
        self.state(|state| state.next.push_back(outcome));
    }

    /// Answers all requests that are not spoken for with this, from now on.
    pub fn answer_always(&self, outcome: Outcome) {
        self.state(|state| state.otherwise = outcome);
    }

    /// Takes so long for each answer, from now on. What takes longer than the router waits is a timeout.
    pub fn take(&self, time: Duration) {
        self.state(|state| state.takes = time);
    }

    /// What arrived, in order.
    #[must_use]
    pub fn arrivals(&self) -> Vec<Arrival> {
        self.state(|state| state.arrivals.clone())
    }

    /// The most requests that were under way at one moment.
    #[must_use]
    pub fn at_once_most(&self) -> usize {
        self.state(|state| state.at_once_most)
    }

    fn state<T>(&self, access: impl FnOnce(&mut ReceiverState) -> T) -> T {
        access(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Transport for VirtualReceiver {
    fn send(&self, request: OutgoingRequest, timeout: Duration) -> PortFuture<'_, Outcome> {
        Box::pin(async move {
            let arrival = Arrival { at: self.clock.began.elapsed(), wall: self.clock.now(), request };
            let (outcome, takes) = self.state(|state| {
                state.arrivals.push(arrival);
                state.at_once += 1;
                state.at_once_most = state.at_once_most.max(state.at_once);
                (state.next.pop_front().unwrap_or_else(|| state.otherwise.clone()), state.takes)
            });
            tokio::time::sleep(takes.min(timeout)).await;
            self.state(|state| state.at_once -= 1);
            if takes < timeout {
                outcome
            } else {
                Outcome::failed(TransportFailure::ResponseTimeout, "no answer in time")
            }
        })
    }
}

/// An answer with this status and nothing else.
#[must_use]
pub fn answer(status: u16) -> Outcome {
    Outcome::Answered { status, retry_after: None, headers: http::HeaderMap::new(), body: Bytes::new() }
}
