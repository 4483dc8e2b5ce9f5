//! What must survive a crash.
//!
//! Three groups of methods, one trait: *events* (the hot path: append, finish, load), *configuration* (read whole
//! at start, changed in transactions) and *history* (pages for people). The contract is written down as a test
//! suite in `hookmill-testkit`, which every store passes.
//!
//! Two clocks: what is *due*, and what is remembered for a while, is in steady time (see
//! [`Clock::steady`](crate::port::Clock::steady) and [`Store::kept_time`]); ids, and what people are shown, are in wall time.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use thiserror::Error;

use crate::application::{Application, EventTypeDefinition};
use crate::canary::Canary;
use crate::delivery::DeadReason;
use crate::endpoint::Endpoint;
use crate::event::{Event, Name};
use crate::id::{ApplicationId, AttemptId, DeliveryId, EndpointId, EventId, KeyId, SourceId, TaskId};
use crate::key::ApiKey;
use crate::limits::DELIVERY_OVERHEAD_BYTES;
use crate::plugin::{ComponentBytes, PluginDigest, PluginInterface, PluginName, PluginVersion};
use crate::policy::Ordering;
use crate::port::PortFuture;
use crate::request::PreparedRequest;
use crate::route::Configuration;
use crate::source::Source;
use crate::task::{BackgroundTask, TaskKind, TaskStatus};
use crate::time::UnixMillis;
use crate::trace::{AttemptTrace, SentTo};

/// What must survive a crash. Every method that changes something returns after the change is durable, except
/// [`finish`](Self::finish), which may lose its last moments to a power cut (a duplicate, never a loss).
pub trait Store: Send + Sync {
    /// Stores an event with all of its deliveries in one transaction, durably.
    ///
    /// An event whose deduplication key is known is not stored again: the first one's id comes back.
    fn append(&self, new: NewEvent) -> PortFuture<'_, Result<Appended, StoreError>>;

    /// Adds deliveries of a stored event (a resend, [`AttemptTrigger::Manual`]), durably, and ends the event's dead letters
    /// at the same endpoints. Answers their ids in order; an event that is gone gives [`StoreError::NotFound`].
    fn redeliver(
        &self,
        application: ApplicationId,
        event: EventId,
        deliveries: Vec<NewDelivery>,
        due: UnixMillis,
    ) -> PortFuture<'_, Result<Vec<DeliveryId>, StoreError>>;

    /// Reads dead letters of one endpoint, the oldest first, as far as the bounds on one read let it.
    fn dead_letters(&self, query: DeadLetterQuery) -> PortFuture<'_, Result<Vec<DeadLetter>, StoreError>>;

    /// Sends events of a background task again, and writes down how far the task came, durably and in one transaction.
    /// Answers how many got a delivery: an event that is gone or has an unfinished delivery to the endpoint is skipped,
    /// and so is, for [`TaskKind::Recover`], one without a dead letter there, and for [`TaskKind::ReplayMissing`], one
    /// with a dead letter or an attempt there. A dead letter ends with its event's new delivery.
    ///
    /// The task's row changes only where it still runs with the same period.
    fn resume(&self, step: TaskStep) -> PortFuture<'_, Result<u64, StoreError>>;

    /// Reads one background task.
    fn task(&self, id: TaskId) -> PortFuture<'_, Result<Option<BackgroundTask>, StoreError>>;

    /// Reads background tasks, newest first.
    fn tasks(&self, query: TaskQuery) -> PortFuture<'_, Result<Vec<BackgroundTask>, StoreError>>;

    /// Records what came of deliveries, in one transaction with whatever else is committed. A delivery that is
    /// gone meanwhile (its endpoint was deleted) is skipped. Never answers [`StoreError::Busy`] or
    /// [`StoreError::Full`]: it waits until there is room.
    fn finish(&self, finished: Vec<Finished>) -> PortFuture<'_, Result<(), StoreError>>;

    /// Notes what the [steady clock](crate::port::Clock::steady) shows; the next commits keep it, to the second.
    fn keep_time(&self, steady: UnixMillis);

    /// Reads the latest moment that was kept. Every due time was set at that moment or a second later at most, so a
    /// steady clock that goes on from there makes no wait longer, whatever the wall clock was set to meanwhile.
    fn kept_time(&self) -> PortFuture<'_, Result<Option<UnixMillis>, StoreError>>;

    /// Asks that what [`finish`](Self::finish) was given, or is given next, be committed without waiting for company.
    fn commit_soon(&self);

    /// Reads deliveries of one endpoint that are due, earliest first.
    fn load_due(&self, load: LoadDue) -> PortFuture<'_, Result<Loaded, StoreError>>;

    /// Reads which endpoints have unfinished deliveries, without touching each delivery.
    fn backlog(&self) -> PortFuture<'_, Result<Vec<Backlog>, StoreError>>;

    /// Reads the whole configuration.
    fn configuration(&self) -> PortFuture<'_, Result<Configuration, StoreError>>;

    /// Applies changes to the configuration, all or none, durably.
    fn apply(&self, changes: Vec<Change>) -> PortFuture<'_, Result<(), StoreError>>;

    /// Reads the answer that was remembered under an idempotency key.
    fn remembered(&self, key: IdempotencyKey)
    -> PortFuture<'_, Result<Option<RememberedAnswer>, StoreError>>;

    /// Reads the bytes of one plugin version.
    fn plugin_bytes(
        &self,
        digest: PluginDigest,
    ) -> PortFuture<'_, Result<Option<ComponentBytes>, StoreError>>;

    /// What a version asks for and says of itself.
    fn plugin_interface(
        &self,
        digest: PluginDigest,
    ) -> PortFuture<'_, Result<Option<PluginInterface>, StoreError>>;

    /// Reads one event of one application.
    fn event(
        &self,
        application: ApplicationId,
        lookup: EventLookup,
    ) -> PortFuture<'_, Result<Option<Arc<Event>>, StoreError>>;

    /// Reads events of one application, as far as the bounds on one read let it.
    fn events(&self, query: EventQuery) -> PortFuture<'_, Result<Found<EventId, Arc<Event>>, StoreError>>;

    /// Reads attempts of one application, as far as the bounds on one read let it.
    fn attempts(
        &self,
        query: AttemptQuery,
    ) -> PortFuture<'_, Result<Found<AttemptId, AttemptRecord>, StoreError>>;

    /// Reads one attempt of one event.
    fn attempt(
        &self,
        application: ApplicationId,
        event: EventId,
        id: AttemptId,
    ) -> PortFuture<'_, Result<Option<AttemptRecord>, StoreError>>;

    /// Reads what is unfinished or dead of one event, one row a delivery.
    fn deliveries_of(
        &self,
        application: ApplicationId,
        event: EventId,
    ) -> PortFuture<'_, Result<Vec<DeliveryState>, StoreError>>;

    /// Counts one endpoint's deliveries by state.
    fn endpoint_counts(
        &self,
        application: ApplicationId,
        endpoint: EndpointId,
    ) -> PortFuture<'_, Result<EndpointCounts, StoreError>>;

    /// The time that was noted last by [`Change::NoteTime`]; where none was, when the newest event was accepted.
    fn noted_time(&self) -> PortFuture<'_, Result<Option<UnixMillis>, StoreError>>;

    /// Measures what waits and how large the store is, without counting rows: cheap enough for every scrape of metrics.
    fn measure(&self) -> PortFuture<'_, Result<StoreMeasures, StoreError>>;

    /// Deletes one chunk of what is older than `before` and finished; answers how many rows went. Zero means that
    /// nothing old is left. What is remembered of requests counts as old by its distance from the newest of it, or from
    /// [`noted_time`](Self::noted_time) where that was noted and is earlier.
    fn retain(&self, before: UnixMillis) -> PortFuture<'_, Result<u64, StoreError>>;
}

/// Why the store could not do it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StoreError {
    /// More waits than may wait; try again after a moment.
    #[error("the write queue is full")]
    Busy,
    /// No room; nothing was stored, what was stored stays. Heals by itself once there is room.
    #[error("no space left on the disk")]
    Full,
    /// A unique value is taken: an application's or endpoint's uid, an event type's or source's name.
    #[error("{what} is taken")]
    Conflict {
        /// Which value.
        what: &'static str,
    },
    /// What the call names does not exist.
    #[error("{what} does not exist")]
    NotFound {
        /// Which thing.
        what: &'static str,
    },
    /// The store failed for good; the process must end and recover at its next start.
    #[error("the store failed: {detail}")]
    Failed {
        /// For the operator.
        detail: String,
    },
}

/// An event to store, with where it goes.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// What happened.
    pub event: Arc<Event>,
    /// Where it goes; may be nowhere.
    pub deliveries: Vec<NewDelivery>,
    /// When it was accepted, in steady time: its deliveries are due, and its keys are remembered, from then on.
    pub accepted: UnixMillis,
    /// The caller's `Idempotency-Key`, if it sent one. The event's own uid deduplicates besides.
    pub idempotency_key: Option<IdempotencyKey>,
    /// SHA-256 of what the caller sent, to tell a repeat from a reuse.
    pub fingerprint: [u8; 32],
}

/// One delivery to store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewDelivery {
    /// Where it goes.
    pub endpoint: EndpointId,
    /// Deliveries of one endpoint with equal order keys stay in order; see [`order_key`].
    pub order_key: Option<OrderKey>,
}

/// A hash of an ordering key within its endpoint; a collision only orders more than was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderKey(pub u64);

/// The order key of an event at an endpoint with this ordering.
#[must_use]
pub fn order_key(ordering: Ordering, event: &Event) -> Option<OrderKey> {
    order_key_of(ordering, event.ordering_key.as_ref())
}

/// The order key of an event with this ordering key at an endpoint with this ordering.
#[must_use]
pub fn order_key_of(ordering: Ordering, ordering_key: Option<&Name>) -> Option<OrderKey> {
    match (ordering, ordering_key) {
        (Ordering::Strict, _) => Some(OrderKey(0)),
        (Ordering::PerKey, Some(key)) => {
            // Stored as a signed 64-bit column, so the top bit stays clear.
            let hash = crate::plugin::PluginDigest::of(key.as_str().as_bytes());
            let first: [u8; 8] = hash.as_bytes()[..8].try_into().expect("a digest has 32 bytes");
            Some(OrderKey(u64::from_le_bytes(first) >> 1))
        }
        (Ordering::Unordered, _) | (Ordering::PerKey, None) => None,
    }
}

/// SHA-256 over the caller's scope and its `Idempotency-Key`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(pub [u8; 32]);

/// Which dead letters to read.
#[derive(Debug, Clone, Copy)]
pub struct DeadLetterQuery {
    /// Of which tenant.
    pub application: ApplicationId,
    /// Of which endpoint.
    pub endpoint: EndpointId,
    /// After the one with this number.
    pub after: u64,
    /// At most so many.
    pub limit: usize,
}

/// One delivery that is not tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Its number in the store.
    pub number: u64,
    /// What was not delivered.
    pub event: EventId,
    /// Its event's ordering key.
    pub ordering_key: Option<Name>,
    /// When its last attempt began.
    pub died_at: UnixMillis,
}

/// What one step of a background task sends again.
#[derive(Debug, Clone)]
pub struct TaskStep {
    /// The task as it is after the step; the store adds what the step sent to [`BackgroundTask::sent`].
    pub task: BackgroundTask,
    /// Events with their order keys at the endpoint.
    pub events: Vec<(EventId, Option<OrderKey>)>,
    /// When the deliveries are due.
    pub due: UnixMillis,
}

/// Which background tasks to read.
#[derive(Debug, Clone)]
pub struct TaskQuery {
    /// Of one tenant, or of all.
    pub application: Option<ApplicationId>,
    /// In this status only.
    pub status: Option<TaskStatus>,
    /// Of this kind only.
    pub kind: Option<TaskKind>,
    /// Where the page begins.
    pub from: PageFrom<TaskId>,
    /// At most so many.
    pub limit: usize,
}

/// What became of an append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Appended {
    /// Durable; the ids of the deliveries in the order they were given.
    Stored(Vec<DeliveryId>),
    /// Known before.
    Duplicate {
        /// The event that was stored first.
        first: EventId,
        /// Whether it came with the same fingerprint.
        same: bool,
    },
}

/// What came of one delivery.
#[derive(Debug, Clone)]
pub struct Finished {
    /// Which delivery.
    pub delivery: DeliveryId,
    /// The HTTP request or plugin run to log.
    pub attempt: Box<AttemptRecord>,
    /// What happens to the delivery.
    pub completion: Completion,
}

/// What happens to a delivery after an attempt.
#[derive(Debug, Clone)]
pub enum Completion {
    /// The receiver has it.
    Delivered,
    /// A plugin dropped it on purpose.
    Dropped,
    /// It is tried again.
    Retry {
        /// Not before, in steady time.
        due: UnixMillis,
        /// What a plugin made of the event, kept so that every retry sends the same bytes.
        prepared: Option<Box<PreparedRequest>>,
    },
    /// A plugin made several requests of it: each becomes a delivery of its own, due at once.
    Split(Vec<PreparedRequest>),
    /// It is not tried again; it stays readable and can be replayed.
    Dead(DeadReason),
}

/// Which due deliveries to read.
#[derive(Debug, Clone)]
pub struct LoadDue {
    /// Of which endpoint.
    pub endpoint: EndpointId,
    /// With [`Ordering::Unordered`] all that are due, earliest due first; else in order of their ids, without those
    /// that an earlier unfinished delivery with the same order key precedes which is due later than `now`. So what
    /// is read of one key is a gapless beginning of it.
    pub ordering: Ordering,
    /// Due at or before.
    pub now: UnixMillis,
    /// Deliveries that the caller has already: they are neither read nor counted.
    pub except: Vec<DeliveryId>,
    /// At most so many.
    pub rows_max: usize,
    /// Stop before the row that would pass so many bytes, as [`PendingDelivery::memory_bytes`] counts them; but the first
    /// row is read. An event that the store knows to be in memory still counts nothing.
    pub bytes_max: usize,
}

/// Deliveries read from the store.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// In the order that [`LoadDue::ordering`] says.
    pub deliveries: Vec<PendingDelivery>,
    /// When the earliest delivery of this endpoint is due that could be read but was not: `now` or earlier where a
    /// limit ended the read, else the earliest that is due after `now`; none where there is none. One that waits
    /// behind its order key's head does not count: the head does.
    pub next_due: Option<UnixMillis>,
}

/// One unfinished delivery.
#[derive(Debug, Clone)]
pub struct PendingDelivery {
    /// Which delivery.
    pub id: DeliveryId,
    /// What happened.
    pub event: Arc<Event>,
    /// Where it goes.
    pub endpoint: EndpointId,
    /// Keeps its order.
    pub order_key: Option<OrderKey>,
    /// Attempts that were made and failed.
    pub attempts_made: u32,
    /// Who asked for it.
    pub trigger: AttemptTrigger,
    /// Not before.
    pub due: UnixMillis,
    /// What a plugin made of the event in the first attempt.
    pub prepared: Option<Box<PreparedRequest>>,
}

impl PendingDelivery {
    /// What it takes in memory, about, if no other delivery holds its event.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.event.memory_bytes() + self.own_memory_bytes()
    }

    /// What it takes in memory beside its event, about.
    #[must_use]
    pub fn own_memory_bytes(&self) -> usize {
        DELIVERY_OVERHEAD_BYTES + self.prepared.as_ref().map_or(0, |prepared| prepared.memory_bytes())
    }
}

/// One endpoint with unfinished deliveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backlog {
    /// Which endpoint.
    pub endpoint: EndpointId,
    /// When its earliest delivery is due.
    pub earliest_due: UnixMillis,
}

/// One change of the configuration.
#[derive(Debug, Clone)]
pub enum Change {
    /// Adds or replaces a tenant.
    PutApplication(Application),
    /// Removes a tenant with its endpoints, sources, keys, events, deliveries and attempts.
    DeleteApplication(ApplicationId),
    /// Adds or replaces an endpoint.
    PutEndpoint(Box<Endpoint>),
    /// Removes an endpoint with its unfinished deliveries.
    DeleteEndpoint(EndpointId),
    /// Gives the unfinished deliveries of an endpoint all of their attempts again: those that were tried are due since
    /// their event was accepted, so that all start in the order of acceptance; none later than now, which is the moment
    /// given, in steady time.
    RestartDeliveries(EndpointId, UnixMillis),
    /// Adds or replaces a source.
    PutSource(Box<Source>),
    /// Removes a source; its events stay.
    DeleteSource(SourceId),
    /// Adds or replaces a kind of event.
    PutEventType(EventTypeDefinition),
    /// Removes a kind of event.
    DeleteEventType(Name),
    /// Adds a version with its bytes; a known version stays as it is.
    PutPluginVersion(PluginVersion, ComponentBytes, PluginInterface),
    /// Makes a stored version the current one of a plugin.
    SetCurrentPlugin(PluginName, PluginDigest),
    /// Puts a version of a plugin on trial, or ends the trial; both in the place of the one before.
    SetCanary(PluginName, Option<Canary>),
    /// Removes a version that is neither current nor on trial.
    DeletePluginVersion(PluginName, PluginDigest),
    /// Removes a plugin with its versions; bytes that another plugin shares stay.
    DeletePlugin(PluginName),
    /// Adds a key.
    PutKey(ApiKey),
    /// Removes a key.
    DeleteKey(KeyId),
    /// Notes the time that is trusted.
    NoteTime(UnixMillis),
    /// Adds a background task, or gives a known one another period and status. The oldest of an endpoint beyond
    /// [`ENDPOINT_TASKS_KEPT_MAX`](crate::limits::ENDPOINT_TASKS_KEPT_MAX) are forgotten; a second one that runs is a
    /// conflict.
    PutTask(BackgroundTask),
    /// Remembers the answer to a request, so that a repeat is answered alike. A key that is remembered already, and
    /// not yet for [`IDEMPOTENCY_KEY_KEPT`](crate::limits::IDEMPOTENCY_KEY_KEPT), is a conflict.
    Remember(IdempotencyKey, RememberedAnswer),
}

/// An answer that a repeat of its request gets again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RememberedAnswer {
    /// SHA-256 of the request.
    pub fingerprint: [u8; 32],
    /// HTTP status.
    pub status: u16,
    /// JSON body.
    pub body: Bytes,
    /// When it was first given, in steady time.
    pub at: UnixMillis,
}

/// How a caller names an event.
#[derive(Debug, Clone)]
pub enum EventLookup {
    /// By the router's id.
    Id(EventId),
    /// By the sender's own id.
    Uid(Name),
}

/// Which way a page goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageFrom<Id> {
    /// The newest.
    Newest,
    /// Older than this one, newest first.
    OlderThan(Id),
    /// Newer than this one; still answered newest first, the page that ends just before it.
    NewerThan(Id),
}

/// Which events to read, newest first.
#[derive(Debug, Clone)]
pub struct EventQuery {
    /// Of which tenant.
    pub application: ApplicationId,
    /// Where the page begins.
    pub from: PageFrom<EventId>,
    /// At most so many.
    pub limit: usize,
    /// Of these types only, where there are any.
    pub event_types: Vec<Name>,
    /// With this channel only.
    pub channel: Option<Name>,
    /// Accepted before.
    pub before: Option<UnixMillis>,
    /// Accepted after.
    pub after: Option<UnixMillis>,
}

/// What one read of the history found. It looks at [`READ_ROWS_MAX`](crate::limits::READ_ROWS_MAX) rows and takes
/// [`READ_BYTES_MAX`](crate::limits::READ_BYTES_MAX) of bodies at most, so that a filter that matches nothing holds up
/// nobody else's read; who wants more goes on from [`stopped_at`](Self::stopped_at).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found<Id, T> {
    /// What passed the filter, newest first.
    pub items: Vec<T>,
    /// The last row that was looked at, where a bound ended the read before it had found all that it was asked for.
    pub stopped_at: Option<Id>,
    /// Rows that were looked at.
    pub rows_read: usize,
}

/// Whose attempts. There is no list of a whole tenant's: nobody asks for it, and every attempt would pay for its index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptsOf {
    /// One event's, at all endpoints or at one.
    Event(EventId, Option<EndpointId>),
    /// One endpoint's.
    Endpoint(EndpointId),
}

/// Which attempts to read, newest first.
#[derive(Debug, Clone)]
pub struct AttemptQuery {
    /// Of which tenant.
    pub application: ApplicationId,
    /// Of what.
    pub of: AttemptsOf,
    /// Where the page begins.
    pub from: PageFrom<AttemptId>,
    /// At most so many.
    pub limit: usize,
    /// With this result only.
    pub result: Option<AttemptResult>,
    /// Started before.
    pub before: Option<UnixMillis>,
    /// Started after.
    pub after: Option<UnixMillis>,
}

/// One HTTP request of one delivery, or one plugin run that led to none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptRecord {
    /// Made when the attempt began.
    pub id: AttemptId,
    /// Of which tenant.
    pub application: ApplicationId,
    /// Of which event.
    pub event: EventId,
    /// To which endpoint.
    pub endpoint: EndpointId,
    /// 1 for a delivery's first.
    pub number: u32,
    /// From the first byte out to the last byte in.
    pub duration: Duration,
    /// How it went.
    pub result: AttemptResult,
    /// The receiver's status, where it gave one.
    pub status: Option<u16>,
    /// Stable code of a failure, such as `timeout` or `plugin_trap`.
    pub failure_code: Option<Box<str>>,
    /// What was wrong, for people, bounded by
    /// [`FAILURE_DETAIL_BYTES_MAX`](crate::limits::FAILURE_DETAIL_BYTES_MAX); what a plugin says of its failure, by
    /// [`PLUGIN_FAILURE_BYTES_MAX`](crate::limits::PLUGIN_FAILURE_BYTES_MAX).
    pub detail: Box<str>,
    /// Where its request went, at that time.
    pub sent_to: SentTo,
    /// What else is kept of it. Lists are without it; a single attempt is read with it.
    pub trace: Option<Box<AttemptTrace>>,
    /// The beginning of the receiver's answer, bounded by
    /// [`RESPONSE_KEPT_BYTES_MAX`](crate::limits::RESPONSE_KEPT_BYTES_MAX).
    pub response: Bytes,
    /// Who asked for it.
    pub trigger: AttemptTrigger,
    /// The plugin version that shaped the request, with the fuel it spent.
    pub plugin: Option<(PluginDigest, u64)>,
    /// When the next attempt is due, where there is one, as the wall clock showed it then.
    pub next_due: Option<UnixMillis>,
}

/// How an attempt went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AttemptResult {
    /// Answered 2xx.
    Delivered,
    /// Failed; whether it is tried again says the delivery.
    Failed,
    /// A plugin dropped the event on purpose.
    Dropped,
    /// A plugin made several deliveries of it, which go on by themselves.
    Split,
}

/// Who asked for an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AttemptTrigger {
    /// The schedule.
    Scheduled,
    /// A person or program, by a resend or a replay.
    Manual,
}

/// What is unfinished or dead of one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeliveryState {
    /// Where it goes.
    pub endpoint: EndpointId,
    /// Attempts that were made and failed.
    pub attempts_made: u32,
    /// Whether it will be tried again, and when.
    pub status: DeliveryStatus,
}

/// Whether a delivery will be tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryStatus {
    /// Not before this moment, in steady time.
    Waiting(UnixMillis),
    /// Never by itself.
    Dead(DeadReason),
}

/// How much the store holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StoreMeasures {
    /// Unfinished deliveries, those of endpoints that are turned off included.
    pub waiting: u64,
    /// When the event of the earliest of them was accepted, resends and endpoints that were turned off left out.
    pub oldest: Option<UnixMillis>,
    /// What it takes on the disk.
    pub bytes: u64,
}

/// One endpoint's deliveries by state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EndpointCounts {
    /// Attempts that delivered.
    pub delivered: u64,
    /// Unfinished deliveries that were never tried.
    pub pending: u64,
    /// Unfinished deliveries that failed at least once.
    pub retrying: u64,
    /// Deliveries that are not tried again.
    pub dead: u64,
}
