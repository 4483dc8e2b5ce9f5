//! The store on embedded SQLite: one writer thread, adaptive group commit.
//!
//! # Who is who
//! - [`SqliteStore`] is the port's [`Store`]; it hands calls on and waits.
//! - `writer` is the one thread that writes: it takes all that waits, writes it in one transaction, and answers
//!   after the commit reached the disk.
//! - `reader` are the threads that read, one connection each.
//! - `schema` has the tables, `row` turns rows into core types and back, `connection` opens, `error` sorts what went
//!   wrong into what concerns one call and what ends the store.
//!
//! # What may be lost
//! Nothing that was acknowledged by [`append`](Store::append), [`redeliver`](Store::redeliver) or
//! [`apply`](Store::apply): they answer after a commit with `synchronous = FULL`. A power cut may take the last
//! completions, which then happen again. After an I/O error nothing is acknowledged any more: see
//! [`SqliteStore::failed`].
//!
//! # Who may open it
//! One process: the caller holds a lock on the directory, since the writer keeps in memory what it alone changes.

mod connection;
mod error;
mod failure;
mod priority;
mod reader;
mod row;
mod schema;
mod seal_rows;
#[cfg(test)]
mod tests;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use hookmill_core::event::Event;
use hookmill_core::id::{ApplicationId, AttemptId, DeliveryId, EndpointId, EventId, TaskId};
use hookmill_core::limits::{COMPUTE_NICE, LOADS_IN_FLIGHT_MAX};
use hookmill_core::plugin::{ComponentBytes, PluginDigest, PluginInterface};
use hookmill_core::port::store::{
    Appended, AttemptQuery, AttemptRecord, Backlog, Change, DeadLetter, DeadLetterQuery, DeliveryState,
    EndpointCounts, EventLookup, EventQuery, Finished, Found, IdempotencyKey, LoadDue, Loaded, NewDelivery,
    NewEvent, RememberedAnswer, Store, StoreError, StoreMeasures, TaskQuery, TaskStep,
};
use hookmill_core::port::{Entropy, PortFuture};
use hookmill_core::route::Configuration;
use hookmill_core::seal::SealKey;
use hookmill_core::task::BackgroundTask;
use hookmill_core::time::UnixMillis;
use rusqlite::Connection;

pub use error::OpenError;

use failure::FailureFlag;
use reader::shared::SharedEvents;
use reader::{Readers, history, load};
use row::endpoint::Sealer;
use row::{plugin, remembered, task};
use writer::{DurableJob, Writer};

/// Bytes of one page: an event of half a kilobyte shares it with others, one of some kilobytes still fits.
const PAGE_BYTES: i64 = 8192;
/// Threads that read the history.
const HISTORY_READERS: usize = 3;

/// The store on one SQLite file. Dropping it writes what waits and waits for its threads.
#[derive(Debug)]
pub struct SqliteStore {
    // Dropped in this order: the last connection to close tidies the log up, and it should be the one that writes.
    loads: Readers,
    history: Readers,
    writer: Writer,
    failure: Arc<FailureFlag>,
    sealer: Sealer,
    shared: Arc<SharedEvents>,
    file: PathBuf,
    /// How far retention has looked in its present pass: an event's number.
    retention: Mutex<Option<i64>>,
}

impl SqliteStore {
    /// Opens the database in `file`, creates it where it is missing and brings it up to date.
    ///
    /// Secrets in it are sealed with `seal_key`; `entropy` gives each seal its nonce.
    ///
    /// # Errors
    /// Where the file can't be used; nothing was changed then.
    pub fn open(file: &Path, seal_key: SealKey, entropy: Arc<dyn Entropy>) -> Result<Self, OpenError> {
        let db = connection::open_writer(file).map_err(|error| error.at(file))?;
        Self::start(db, file, Sealer { key: seal_key, entropy })
    }

    /// Opens a database that was in use, under its key.
    ///
    /// # Errors
    /// Where the file can't be used, or has nothing in it; nothing was changed then.
    pub fn open_existing(
        file: &Path,
        seal_key: SealKey,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, OpenError> {
        if connection::is_lost(file).map_err(|error| error.at(file))? {
            return Err(OpenError::Lost);
        }
        Self::open(file, seal_key, entropy)
    }

    fn start(mut db: Connection, file: &Path, sealer: Sealer) -> Result<Self, OpenError> {
        seal_rows::open(&mut db, &sealer)?;
        let failure = Arc::new(FailureFlag::default());
        let loads = Readers::spawn("load", 0, LOADS_IN_FLIGHT_MAX, file, &failure)?;
        let history = Readers::spawn("history", COMPUTE_NICE, HISTORY_READERS, file, &failure)?;
        let writer = Writer::spawn(db, sealer.clone(), Arc::clone(&failure))?;
        let file = file.to_owned();
        let (shared, retention) = (Arc::default(), Mutex::new(None));
        Ok(Self { loads, history, writer, failure, sealer, shared, file, retention })
    }

    /// The database's file; its log is beside it.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Waits until the store has failed for good; the process should end then and recover at its next start.
    pub async fn failed(&self) -> StoreError {
        self.failure.raised().await
    }

    /// Writes what waits, makes all of it durable and ends the writer; later changes are refused.
    ///
    /// # Errors
    /// Where the last of it did not become durable.
    pub async fn close(&self) -> Result<(), StoreError> {
        self.writer.durable(DurableJob::Close).await
    }

    async fn retain_chunk(&self, before: UnixMillis) -> Result<u64, StoreError> {
        let mut after = *self.retention.lock().unwrap_or_else(PoisonError::into_inner);
        // A pass that began in the middle starts over once, so that zero means that nothing is left.
        let mut is_whole_pass = after.is_none();
        loop {
            let old = self.history.read(move |db| history::old_events(db, before, after)).await?;
            let next = old.last;
            let mut rows = 0;
            if !old.finished.is_empty() {
                rows = self.writer.durable(|answer| DurableJob::Retire(old.finished, answer)).await?;
            }
            if rows > 0 {
                // The chunk may have been too much for one step: it is looked at again.
                self.remember_retention(after);
                return Ok(rows);
            }
            match next {
                Some(_) => after = next,
                None if !is_whole_pass => (after, is_whole_pass) = (None, true),
                None => break,
            }
        }
        self.remember_retention(None);
        self.writer.durable(DurableJob::Forget).await
    }

    fn remember_retention(&self, after: Option<i64>) {
        *self.retention.lock().unwrap_or_else(PoisonError::into_inner) = after;
    }
}

impl Store for SqliteStore {
    fn append(&self, new: NewEvent) -> PortFuture<'_, Result<Appended, StoreError>> {
        Box::pin(self.writer.durable(|answer| DurableJob::Append(Box::new(new), answer)))
    }

    fn redeliver(
        &self,
        application: ApplicationId,
        event: EventId,
        deliveries: Vec<NewDelivery>,
        due: UnixMillis,
    ) -> PortFuture<'_, Result<Vec<DeliveryId>, StoreError>> {
        let job = move |answer| DurableJob::Redeliver { application, event, deliveries, due, answer };
        Box::pin(self.writer.durable(job))
    }

    fn dead_letters(&self, query: DeadLetterQuery) -> PortFuture<'_, Result<Vec<DeadLetter>, StoreError>> {
        Box::pin(self.history.read_for(query.application, move |db| history::dead_letters(db, &query)))
    }

    fn resume(&self, step: TaskStep) -> PortFuture<'_, Result<u64, StoreError>> {
        Box::pin(self.writer.durable(|answer| DurableJob::Resume(Box::new(step), answer)))
    }

    fn task(&self, id: TaskId) -> PortFuture<'_, Result<Option<BackgroundTask>, StoreError>> {
        Box::pin(self.history.read(move |db| task::get(db, id)))
    }

    fn tasks(&self, query: TaskQuery) -> PortFuture<'_, Result<Vec<BackgroundTask>, StoreError>> {
        Box::pin(async move {
            let application = query.application;
            let read = move |db: &_| task::page(db, &query);
            match application {
                Some(application) => self.history.read_for(application, read).await,
                None => self.history.read(read).await,
            }
        })
    }

    fn finish(&self, finished: Vec<Finished>) -> PortFuture<'_, Result<(), StoreError>> {
        Box::pin(self.writer.complete(finished))
    }

    fn keep_time(&self, steady: UnixMillis) {
        self.writer.keep_time(steady);
    }

    fn kept_time(&self) -> PortFuture<'_, Result<Option<UnixMillis>, StoreError>> {
        Box::pin(self.history.read(history::kept_time))
    }

    fn commit_soon(&self) {
        self.writer.hurry();
    }

    fn load_due(&self, load: LoadDue) -> PortFuture<'_, Result<Loaded, StoreError>> {
        let (sealer, shared) = (self.sealer.clone(), Arc::clone(&self.shared));
        Box::pin(self.loads.read(move |db| load::load_due(db, &sealer, &shared, &load)))
    }

    fn backlog(&self) -> PortFuture<'_, Result<Vec<Backlog>, StoreError>> {
        Box::pin(self.loads.read(load::backlog))
    }

    fn configuration(&self) -> PortFuture<'_, Result<Configuration, StoreError>> {
        let sealer = self.sealer.clone();
        Box::pin(self.history.read(move |db| history::configuration(db, &sealer)))
    }

    fn apply(&self, changes: Vec<Change>) -> PortFuture<'_, Result<(), StoreError>> {
        Box::pin(self.writer.durable(move |answer| DurableJob::Apply(changes, answer)))
    }

    fn remembered(
        &self,
        key: IdempotencyKey,
    ) -> PortFuture<'_, Result<Option<RememberedAnswer>, StoreError>> {
        let sealer = self.sealer.clone();
        Box::pin(self.history.read(move |db| remembered::get(db, &sealer, key)))
    }

    fn plugin_bytes(
        &self,
        digest: PluginDigest,
    ) -> PortFuture<'_, Result<Option<ComponentBytes>, StoreError>> {
        Box::pin(self.history.read(move |db| plugin::bytes(db, digest)))
    }

    fn plugin_interface(
        &self,
        digest: PluginDigest,
    ) -> PortFuture<'_, Result<Option<PluginInterface>, StoreError>> {
        Box::pin(self.history.read(move |db| plugin::interface(db, digest)))
    }

    fn event(
        &self,
        application: ApplicationId,
        lookup: EventLookup,
    ) -> PortFuture<'_, Result<Option<Arc<Event>>, StoreError>> {
        Box::pin(self.history.read_for(application, move |db| history::event(db, application, &lookup)))
    }

    fn events(&self, query: EventQuery) -> PortFuture<'_, Result<Found<EventId, Arc<Event>>, StoreError>> {
        Box::pin(self.history.read_for(query.application, move |db| history::events(db, &query)))
    }

    fn attempts(
        &self,
        query: AttemptQuery,
    ) -> PortFuture<'_, Result<Found<AttemptId, AttemptRecord>, StoreError>> {
        let sealer = self.sealer.clone();
        Box::pin(self.history.read_for(query.application, move |db| history::attempts(db, &sealer, &query)))
    }

    fn attempt(
        &self,
        application: ApplicationId,
        event: EventId,
        id: AttemptId,
    ) -> PortFuture<'_, Result<Option<AttemptRecord>, StoreError>> {
        let sealer = self.sealer.clone();
        let read = move |db: &_| history::attempt(db, &sealer, application, event, id);
        Box::pin(self.history.read_for(application, read))
    }

    fn deliveries_of(
        &self,
        application: ApplicationId,
        event: EventId,
    ) -> PortFuture<'_, Result<Vec<DeliveryState>, StoreError>> {
        Box::pin(self.history.read_for(application, move |db| history::deliveries_of(db, application, event)))
    }

    fn endpoint_counts(
        &self,
        application: ApplicationId,
        endpoint: EndpointId,
    ) -> PortFuture<'_, Result<EndpointCounts, StoreError>> {
        Box::pin(async move {
            let read = move |db: &_| history::settled_counts(db, endpoint);
            let mut counts = self.history.read_for(application, read).await?;
            let mut after = Some(history::QueuePlace::default());
            while let Some(place) = after {
                let read = move |db: &_| history::count_waiting(db, endpoint, place, counts);
                (counts, after) = self.history.read_for(application, read).await?;
            }
            Ok(counts)
        })
    }

    fn noted_time(&self) -> PortFuture<'_, Result<Option<UnixMillis>, StoreError>> {
        Box::pin(self.history.read(history::noted_time))
    }

    fn measure(&self) -> PortFuture<'_, Result<StoreMeasures, StoreError>> {
        let waiting = self.writer.unfinished();
        let file = self.file.clone();
        Box::pin(self.history.read(move |db| history::measure(db, waiting, &file)))
    }

    fn retain(&self, before: UnixMillis) -> PortFuture<'_, Result<u64, StoreError>> {
        Box::pin(self.retain_chunk(before))
    }
}
