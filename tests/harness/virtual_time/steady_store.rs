//! The store during whose work no virtual time passes.

use std::sync::Arc;

use hookmill_core::event::Event;
use hookmill_core::id::{ApplicationId, AttemptId, DeliveryId, EndpointId, EventId, TaskId};
use hookmill_core::plugin::{ComponentBytes, PluginDigest, PluginInterface};
use hookmill_core::port::PortFuture;
use hookmill_core::port::store::{
    Appended, AttemptQuery, AttemptRecord, Backlog, Change, DeadLetter, DeadLetterQuery, DeliveryState,
    EndpointCounts, EventLookup, EventQuery, Finished, Found, IdempotencyKey, LoadDue, Loaded, NewDelivery,
    NewEvent, RememberedAnswer, Store, StoreError, StoreMeasures, TaskQuery, TaskStep,
};
use hookmill_core::route::Configuration;
use hookmill_core::task::BackgroundTask;
use hookmill_core::time::UnixMillis;
use hookmill_sqlite::SqliteStore;
use tokio::runtime::Handle;

/// Hands every call on to the store, and holds time until it is answered.
pub(super) struct SteadyStore(pub(super) Arc<SqliteStore>);

/// Awaits something in a blocking task: while there is one, tokio's paused time stands still.
pub(super) async fn aside<Work, Coming>(work: Work) -> Coming::Output
where
    Work: FnOnce() -> Coming + Send + 'static,
    Coming: Future<Output: Send + 'static>,
{
    let waiting = tokio::task::spawn_blocking(move || Handle::current().block_on(work()));
    waiting.await.expect("a call of the store does not panic")
}

/// One method of the store that hands its arguments on.
macro_rules! steady {
    ($($method:ident($($argument:ident: $kind:ty),*) -> $answer:ty;)*) => {
        $(fn $method(&self, $($argument: $kind),*) -> PortFuture<'_, Result<$answer, StoreError>> {
            let store = Arc::clone(&self.0);
            Box::pin(aside(move || async move { store.$method($($argument),*).await }))
        })*
    };
}

impl Store for SteadyStore {
    fn commit_soon(&self) {
        self.0.commit_soon();
    }

    fn keep_time(&self, steady: UnixMillis) {
        self.0.keep_time(steady);
    }

    steady! {
        kept_time() -> Option<UnixMillis>;
        measure() -> StoreMeasures;
        append(new: NewEvent) -> Appended;
        redeliver(application: ApplicationId, event: EventId, deliveries: Vec<NewDelivery>, due: UnixMillis)
            -> Vec<DeliveryId>;
        dead_letters(query: DeadLetterQuery) -> Vec<DeadLetter>;
        resume(step: TaskStep) -> u64;
        task(id: TaskId) -> Option<BackgroundTask>;
        tasks(query: TaskQuery) -> Vec<BackgroundTask>;
        finish(finished: Vec<Finished>) -> ();
        load_due(load: LoadDue) -> Loaded;
        backlog() -> Vec<Backlog>;
        configuration() -> Configuration;
        apply(changes: Vec<Change>) -> ();
        remembered(key: IdempotencyKey) -> Option<RememberedAnswer>;
        plugin_bytes(digest: PluginDigest) -> Option<ComponentBytes>;
        plugin_interface(digest: PluginDigest) -> Option<PluginInterface>;
        event(application: ApplicationId, lookup: EventLookup) -> Option<Arc<Event>>;
        events(query: EventQuery) -> Found<EventId, Arc<Event>>;
        attempts(query: AttemptQuery) -> Found<AttemptId, AttemptRecord>;
        attempt(application: ApplicationId, event: EventId, id: AttemptId) -> Option<AttemptRecord>;
        deliveries_of(application: ApplicationId, event: EventId) -> Vec<DeliveryState>;
        endpoint_counts(application: ApplicationId, endpoint: EndpointId) -> EndpointCounts;
        noted_time() -> Option<UnixMillis>;
        retain(before: UnixMillis) -> u64;
    }
}
