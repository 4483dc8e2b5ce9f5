//! Use cases over the ports: accept, deliver, administer.
//!
//! Dramatis personae: [`App`] owns the ports and the current [`RoutingTable`] snapshot. [`ingest`] is the first bow
//! of an event's way (from the caller to one committed transaction; from a provider it begins in [`receive`]),
//! [`dispatch`] the second (from there to the receiver). [`administer`] changes the configuration: store first, snapshot second, dispatcher told last.
//! [`verify`] asks an endpoint whether it wants events. [`history`] reads what happened, [`Metrics`] counts it. Decisions are
//! made in `hookmill-core`; here they are carried out.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use hookmill_core::address::AddressPolicy;
use hookmill_core::endpoint::{DisabledReason, Endpoint, EndpointState};
use hookmill_core::handshake::RequestOrigin;
use hookmill_core::id::{ApplicationId, EndpointId, IdSequence};
use hookmill_core::limits::{
    ACCEPTING_BYTES_MAX, ACCEPTING_NEWCOMER_BYTES, ACCEPTING_RESERVE_BYTES, READING_BYTES_MAX,
    READING_PAGE_BYTES, READING_RESERVE_BYTES,
};
use hookmill_core::port::store::Change;
use hookmill_core::port::{Clock, Entropy, Plugins, Store, Transport};
use hookmill_core::route::RoutingTable;
use hookmill_core::share::Shares;
use hookmill_core::time::{Moment, UnixMillis};
use tokio::sync::Mutex;

pub mod administer;
mod breakers;
mod bundle;
pub mod dispatch;
pub mod dry_run;
mod error;
pub mod history;
pub mod ingest;
pub mod memory;
mod metrics;
pub mod operational;
pub mod payload_check;
mod plugin_run;
pub mod receive;
pub mod retention;
mod routing;
pub mod tasks;
mod test_call;
pub mod verify;
mod workshop;

pub use breakers::{BreakerState, EndpointBreakers};
pub use bundle::{Bundle, BundledPlugin};
pub use error::{AppError, ErrorKind};
pub use metrics::Metrics;

use crate::administer::RememberedBytes;
use crate::breakers::Breakers;
use crate::dispatch::{DispatcherHandle, EndpointEnd};
use crate::memory::MemoryBudget;
use crate::operational::Notice;
use crate::payload_check::KeptSchemas;
use crate::receive::SourceFailures;
use crate::routing::Payloads;
use crate::tasks::Tasks;
use crate::verify::Handshakes;
use crate::workshop::Workshop;

/// By how much a clock may have gone back over a restart without a word: machines differ by so much from each other.
const CLOCK_BACK_TOLD: Duration = Duration::from_secs(5);

/// The ports and the current configuration.
pub struct App {
    store: Arc<dyn Store>,
    plugins: Arc<dyn Plugins>,
    transport: Arc<dyn Transport>,
    clock: Arc<dyn Clock>,
    /// By how much steady time, which goes on over restarts, is ahead of the clock of this process.
    steady_lead: Duration,
    /// Milliseconds that the wall clock was ahead of steady time when that was last looked at.
    wall_lead: AtomicI64,
    entropy: Arc<dyn Entropy>,
    ids: std::sync::Mutex<IdSequence>,
    address_policy: AddressPolicy,
    request_origin: RequestOrigin,
    remembered: RememberedBytes,
    handshakes: Handshakes,
    accepting: MemoryBudget<ApplicationId>,
    reading: MemoryBudget<ApplicationId>,
    table: ArcSwap<RoutingTable>,
    /// Held while the configuration changes, so that store and snapshot change in one order.
    changing: Mutex<()>,
    /// Held while deliveries are sent again that were held, so that none is sent twice.
    releasing: Mutex<()>,
    dispatcher: DispatcherHandle,
    bundle: Bundle,
    keep_request_bodies: bool,
    breakers: Breakers,
    source_failures: SourceFailures,
    metrics: Metrics,
    tasks: Tasks,
    /// Where whatever may take more than a moment is computed.
    workshop: Workshop,
    /// Schemas that payloads were checked against lately.
    schemas: Arc<KeptSchemas>,
    /// Payloads that compositions were rendered with lately.
    payloads: Payloads,
}

/// What an [`App`] is made of.
pub struct AppParts {
    /// What must survive a crash.
    pub store: Arc<dyn Store>,
    /// Hosting of uploaded code.
    pub plugins: Arc<dyn Plugins>,
    /// HTTP to receivers: deliveries and handshakes.
    pub transport: Arc<dyn Transport>,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// The operating system's entropy.
    pub entropy: Arc<dyn Entropy>,
    /// Which addresses endpoints may have; the transport checks again what names resolve to.
    pub address_policy: AddressPolicy,
    /// By which name handshakes introduce the router.
    pub request_origin: RequestOrigin,
    /// Where accepted deliveries go.
    pub dispatcher: DispatcherHandle,
    /// Plugins that come with the router.
    pub bundle: Bundle,
    /// Whether the attempt log keeps the bodies of the requests that it keeps.
    pub keep_request_bodies: bool,
    /// Called first by each thread that computes what users ask for: it is to come after those that do I/O.
    pub step_back: fn(),
}

impl App {
    /// Reads the configuration from the store.
    ///
    /// # Errors
    /// When the store can't be read.
    pub async fn load(parts: AppParts) -> Result<Self, AppError> {
        let table = RoutingTable::new(parts.store.configuration().await?);
        let metrics = Metrics::new(parts.clock.now());
        // A wall clock that was set back since must make nothing wait longer: steady time goes on from where it was.
        let kept = parts.store.kept_time().await?.unwrap_or_default();
        let steady_lead = kept.since(parts.clock.steady());
        if steady_lead > CLOCK_BACK_TOLD {
            tracing::warn!(
                seconds = steady_lead.as_secs(),
                "the clock is behind what it showed before the last stop; waits go on as if it were not"
            );
        }
        let tasks = Tasks::load(&*parts.store).await?;
        let workshop = Workshop::new(parts.step_back).map_err(|error| {
            AppError::new(
                ErrorKind::Failed,
                "threads_unavailable",
                format!("no thread can be started: {error}"),
            )
        })?;
        Ok(Self {
            store: parts.store,
            plugins: parts.plugins,
            transport: parts.transport,
            clock: parts.clock,
            steady_lead,
            wall_lead: AtomicI64::new(0),
            entropy: parts.entropy,
            ids: std::sync::Mutex::default(),
            address_policy: parts.address_policy,
            request_origin: parts.request_origin,
            remembered: RememberedBytes::default(),
            handshakes: Handshakes::default(),
            accepting: MemoryBudget::new(Shares::new(
                ACCEPTING_BYTES_MAX,
                ACCEPTING_RESERVE_BYTES,
                ACCEPTING_NEWCOMER_BYTES,
            )),
            reading: MemoryBudget::new(Shares::new(
                READING_BYTES_MAX,
                READING_RESERVE_BYTES,
                READING_PAGE_BYTES,
            )),
            table: ArcSwap::from_pointee(table),
            changing: Mutex::new(()),
            releasing: Mutex::new(()),
            dispatcher: parts.dispatcher,
            bundle: parts.bundle,
            keep_request_bodies: parts.keep_request_bodies,
            breakers: Breakers::default(),
            source_failures: SourceFailures::default(),
            metrics,
            tasks,
            workshop,
            schemas: Arc::default(),
            payloads: Payloads::default(),
        })
    }

    /// The current configuration. Cheap; hold it for one request, not longer.
    pub fn table(&self) -> Guard<Arc<RoutingTable>> {
        self.table.load()
    }

    /// The current configuration, to keep.
    #[must_use]
    pub fn table_full(&self) -> Arc<RoutingTable> {
        self.table.load_full()
    }

    /// The id of a thing born at `now`; it sorts behind those of all that were made before.
    fn new_id<Id>(&self, now: UnixMillis, new: fn(UnixMillis, u128) -> Id) -> Id {
        let chance = self.entropy.id_bits();
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).draw(now, chance, new)
    }

    /// What the router counts of itself.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// What the router counts of itself, with what is measured when someone asks, as `application/openmetrics-text`.
    pub async fn scrape(&self) -> String {
        match self.store.measure().await {
            Ok(measures) => self.metrics.measured(&measures, self.now()),
            // What is counted is told all the same.
            Err(error) => tracing::warn!(%error, "the store could not be measured"),
        }
        let (endpoints, plugins) = self.breakers.open();
        self.metrics.breakers_open(endpoints, plugins);
        self.metrics.encode()
    }

    /// Where the breakers of an endpoint and of its plugin stand.
    #[must_use]
    pub fn breakers_of(&self, endpoint: EndpointId) -> EndpointBreakers {
        self.breakers.of(endpoint, self.moment())
    }

    /// The present moment, as people and receivers are told.
    #[must_use]
    pub fn now(&self) -> UnixMillis {
        self.clock.now()
    }

    /// The present moment in steady time, by which everything waits. It never goes back, not over a restart either.
    #[must_use]
    pub fn steady(&self) -> UnixMillis {
        self.clock.steady().after(self.steady_lead)
    }

    /// The present moment on both clocks. Reading one after the other, each in whole milliseconds, would let a moment of
    /// steady time be shown a millisecond later at one time and earlier at another: their distance changes by more or stays.
    #[must_use]
    pub fn moment(&self) -> Moment {
        const READING_MILLIS: u64 = 2;
        let (wall, steady) = (self.now(), self.steady());
        let known = self.wall_lead.load(Ordering::Relaxed);
        match steady.0.checked_add_signed(known) {
            Some(expected) if wall.0.abs_diff(expected) <= READING_MILLIS => {
                Moment { wall: UnixMillis(expected), steady }
            }
            _ => {
                self.wall_lead.store(wall.0.wrapping_sub(steady.0).cast_signed(), Ordering::Relaxed);
                Moment { wall, steady }
            }
        }
    }

    /// Turns off an endpoint that is gone or failed.
    async fn end_endpoint(self: &Arc<Self>, id: EndpointId, end: EndpointEnd) {
        let _changing = self.changing.lock().await;
        let Some(endpoint) = self.table().endpoints.get(&id).map(|endpoint| Endpoint::clone(endpoint)) else {
            return;
        };
        if endpoint.state != EndpointState::Enabled {
            return;
        }
        let now = self.now();
        let (state, why) = match end {
            EndpointEnd::Gone => {
                let reason = DisabledReason::Gone;
                (
                    EndpointState::Disabled { reason, since: now },
                    "receiver answered 410 gone; endpoint disabled",
                )
            }
            EndpointEnd::Failed => {
                (EndpointState::Failed { since: now }, "a last attempt failed; endpoint marked failed")
            }
        };
        let application = endpoint.application;
        let ended = Endpoint { state, updated_at: now, ..endpoint };
        tracing::warn!(endpoint = %id, "{why}");
        if let Err(error) = self.apply(vec![Change::PutEndpoint(Box::new(ended))]).await {
            tracing::error!(endpoint = %id, %error, "endpoint could not be turned off");
            return;
        }
        self.metrics.endpoint_disabled(end);
        self.announce(&Notice::EndpointDisabled { application, endpoint: id, end });
    }

    /// Applies changes to the store, then to the snapshot, then tells the dispatcher. The caller holds
    /// [`changing`](Self::changing) since before it read what the changes are based on.
    async fn apply(&self, changes: Vec<Change>) -> Result<(), AppError> {
        self.store.apply(changes.clone()).await?;
        self.tasks.note(&changes);
        self.schemas.note(&changes);
        let mut table = RoutingTable::clone(&self.table.load());
        let mut touched: Vec<EndpointId> = Vec::new();
        for change in changes {
            apply_to_table(&mut table, change, &mut touched);
        }
        self.table.store(Arc::new(table));
        for endpoint in touched {
            self.dispatcher.endpoint_changed(endpoint);
        }
        Ok(())
    }
}

fn apply_to_table(table: &mut RoutingTable, change: Change, touched: &mut Vec<EndpointId>) {
    match change {
        Change::PutApplication(application) => {
            let id = application.id;
            table.put_application(application);
            touched.extend(table.applications[&id].endpoints.keys());
        }
        Change::DeleteApplication(id) => {
            touched.extend(table.applications.get(&id).iter().flat_map(|routes| routes.endpoints.keys()));
            table.remove_application(id);
        }
        Change::PutEndpoint(endpoint) => {
            touched.push(endpoint.id);
            table.put_endpoint(*endpoint);
        }
        Change::DeleteEndpoint(id) => {
            touched.push(id);
            table.remove_endpoint(id);
        }
        Change::RestartDeliveries(id, _) => touched.push(id),
        Change::PutSource(source) => table.put_source(*source),
        Change::DeleteSource(id) => table.remove_source(id),
        Change::PutEventType(definition) => {
            table.event_types.insert(definition.name.clone(), Arc::new(definition));
        }
        Change::DeleteEventType(name) => {
            table.event_types.remove(&name);
        }
        Change::PutPluginVersion(version, _bytes, _interface) => table.put_plugin_version(version),
        Change::SetCanary(name, canary) => table.set_canary(&name, canary),
        Change::DeletePluginVersion(name, digest) => table.remove_plugin_version(&name, digest),
        Change::SetCurrentPlugin(name, digest) => {
            table.set_current_plugin(&name, digest);
            // What they hold may go out now.
            let uses = |endpoint: &Endpoint| {
                endpoint.transformation.active().is_some_and(|used| used.binding.plugin == name)
            };
            touched.extend(
                table.endpoints.values().filter(|endpoint| uses(endpoint)).map(|endpoint| endpoint.id),
            );
        }
        Change::DeletePlugin(name) => {
            table.plugins.remove(&name);
        }
        Change::PutKey(key) => table.put_key(key),
        Change::DeleteKey(id) => table.remove_key(id),
        Change::NoteTime(_) | Change::PutTask(_) | Change::Remember(..) => {}
    }
}
