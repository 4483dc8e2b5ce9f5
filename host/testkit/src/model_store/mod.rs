//! A store in memory, simple enough to be right by reading: the model that real stores are compared with.
//!
//! It keeps everything in ordered maps and answers at once. What it does not do is survive its process.

mod configure;
mod deliver;
mod history;
mod task;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hookmill_core::application::{Application, EventTypeDefinition};
use hookmill_core::canary::Canary;
use hookmill_core::delivery::DeadReason;
use hookmill_core::endpoint::Endpoint;
use hookmill_core::event::{Event, Name};
use hookmill_core::id::{ApplicationId, AttemptId, DeliveryId, EndpointId, EventId, KeyId, SourceId, TaskId};
use hookmill_core::key::ApiKey;
use hookmill_core::plugin::{ComponentBytes, PluginDigest, PluginInterface, PluginName, PluginVersion};
use hookmill_core::port::PortFuture;
use hookmill_core::port::store::{
    Appended, AttemptQuery, AttemptRecord, Backlog, Change, DeadLetter, DeadLetterQuery, DeliveryState,
    EndpointCounts, EventLookup, EventQuery, Finished, Found, IdempotencyKey, LoadDue, Loaded, NewDelivery,
    NewEvent, PendingDelivery, RememberedAnswer, Store, StoreError, StoreMeasures, TaskQuery, TaskStep,
};
use hookmill_core::route::Configuration;
use hookmill_core::source::Source;
use hookmill_core::task::BackgroundTask;
use hookmill_core::time::UnixMillis;

/// A store in memory.
#[derive(Debug, Default)]
pub struct ModelStore(Mutex<State>);

#[derive(Debug, Clone, Default)]
struct State {
    applications: BTreeMap<ApplicationId, Application>,
    endpoints: BTreeMap<EndpointId, Endpoint>,
    sources: BTreeMap<SourceId, Source>,
    event_types: BTreeMap<Name, EventTypeDefinition>,
    plugin_versions: Vec<PluginVersion>,
    plugin_bytes: HashMap<PluginDigest, (ComponentBytes, PluginInterface)>,
    current_plugins: BTreeMap<PluginName, PluginDigest>,
    canaries: BTreeMap<PluginName, Canary>,
    keys: BTreeMap<KeyId, ApiKey>,
    remembered: HashMap<IdempotencyKey, RememberedAnswer>,
    events: BTreeMap<EventId, StoredEvent>,
    /// In the order they came, for their age.
    idempotency_keys: Vec<(IdempotencyKey, EventId, [u8; 32], UnixMillis)>,
    unfinished: BTreeMap<DeliveryId, PendingDelivery>,
    dead: BTreeMap<DeliveryId, Dead>,
    attempts: BTreeMap<AttemptId, AttemptRecord>,
    delivered: HashMap<EndpointId, u64>,
    tasks: BTreeMap<TaskId, BackgroundTask>,
    deliveries_made: u64,
    kept_time: Option<UnixMillis>,
    noted_at: Option<UnixMillis>,
}

#[derive(Debug, Clone)]
struct StoredEvent {
    event: Arc<Event>,
    fingerprint: [u8; 32],
}

#[derive(Debug, Clone)]
struct Dead {
    event: EventId,
    endpoint: EndpointId,
    attempts_made: u32,
    reason: DeadReason,
    died_at: UnixMillis,
}

impl ModelStore {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Every answer is there at once.
fn ready<'a, T: Send + 'a>(value: T) -> PortFuture<'a, T> {
    Box::pin(std::future::ready(value))
}

impl Store for ModelStore {
    fn append(&self, new: NewEvent) -> PortFuture<'_, Result<Appended, StoreError>> {
        ready(self.state().append(&new))
    }

    fn redeliver(
        &self,
        application: ApplicationId,
        event: EventId,
        deliveries: Vec<NewDelivery>,
        due: UnixMillis,
    ) -> PortFuture<'_, Result<Vec<DeliveryId>, StoreError>> {
        ready(self.state().redeliver(application, event, &deliveries, due))
    }

    fn dead_letters(&self, query: DeadLetterQuery) -> PortFuture<'_, Result<Vec<DeadLetter>, StoreError>> {
        ready(Ok(self.state().dead_letters(&query)))
    }

    fn resume(&self, step: TaskStep) -> PortFuture<'_, Result<u64, StoreError>> {
        ready(Ok(self.state().resume(&step)))
    }

    fn task(&self, id: TaskId) -> PortFuture<'_, Result<Option<BackgroundTask>, StoreError>> {
        ready(Ok(self.state().tasks.get(&id).copied()))
    }

    fn tasks(&self, query: TaskQuery) -> PortFuture<'_, Result<Vec<BackgroundTask>, StoreError>> {
        ready(Ok(self.state().task_page(&query)))
    }

    fn finish(&self, finished: Vec<Finished>) -> PortFuture<'_, Result<(), StoreError>> {
        let mut state = self.state();
        for finished in finished {
            state.finish(finished);
        }
        ready(Ok(()))
    }

    fn keep_time(&self, steady: UnixMillis) {
        self.state().kept_time = Some(steady);
    }

    fn kept_time(&self) -> PortFuture<'_, Result<Option<UnixMillis>, StoreError>> {
        ready(Ok(self.state().kept_time))
    }

    fn commit_soon(&self) {}

    fn load_due(&self, load: LoadDue) -> PortFuture<'_, Result<Loaded, StoreError>> {
        ready(Ok(self.state().load_due(&load)))
    }

    fn backlog(&self) -> PortFuture<'_, Result<Vec<Backlog>, StoreError>> {
        ready(Ok(self.state().backlog()))
    }

    fn configuration(&self) -> PortFuture<'_, Result<Configuration, StoreError>> {
        ready(Ok(self.state().configuration()))
    }

    fn apply(&self, changes: Vec<Change>) -> PortFuture<'_, Result<(), StoreError>> {
        ready(self.state().apply(changes))
    }

    fn remembered(
        &self,
        key: IdempotencyKey,
    ) -> PortFuture<'_, Result<Option<RememberedAnswer>, StoreError>> {
        ready(Ok(self.state().remembered.get(&key).cloned()))
    }

    fn plugin_bytes(
        &self,
        digest: PluginDigest,
    ) -> PortFuture<'_, Result<Option<ComponentBytes>, StoreError>> {
        ready(Ok(self.state().plugin_bytes.get(&digest).map(|(bytes, _)| bytes.clone())))
    }

    fn plugin_interface(
        &self,
        digest: PluginDigest,
    ) -> PortFuture<'_, Result<Option<PluginInterface>, StoreError>> {
        ready(Ok(self.state().plugin_bytes.get(&digest).map(|(_, interface)| interface.clone())))
    }

    fn event(
        &self,
        application: ApplicationId,
        lookup: EventLookup,
    ) -> PortFuture<'_, Result<Option<Arc<Event>>, StoreError>> {
        ready(Ok(self.state().event(application, &lookup)))
    }

    fn events(&self, query: EventQuery) -> PortFuture<'_, Result<Found<EventId, Arc<Event>>, StoreError>> {
        ready(Ok(self.state().events(&query)))
    }

    fn attempts(
        &self,
        query: AttemptQuery,
    ) -> PortFuture<'_, Result<Found<AttemptId, AttemptRecord>, StoreError>> {
        ready(Ok(self.state().attempts(&query)))
    }

    fn attempt(
        &self,
        application: ApplicationId,
        event: EventId,
        id: AttemptId,
    ) -> PortFuture<'_, Result<Option<AttemptRecord>, StoreError>> {
        let is_it = |attempt: &&AttemptRecord| attempt.application == application && attempt.event == event;
        ready(Ok(self.state().attempts.get(&id).filter(is_it).cloned()))
    }

    fn deliveries_of(
        &self,
        application: ApplicationId,
        event: EventId,
    ) -> PortFuture<'_, Result<Vec<DeliveryState>, StoreError>> {
        ready(Ok(self.state().deliveries_of(application, event)))
    }

    fn endpoint_counts(
        &self,
        _application: ApplicationId,
        endpoint: EndpointId,
    ) -> PortFuture<'_, Result<EndpointCounts, StoreError>> {
        ready(Ok(self.state().endpoint_counts(endpoint)))
    }

    fn noted_time(&self) -> PortFuture<'_, Result<Option<UnixMillis>, StoreError>> {
        let state = self.state();
        let newest = state.events.keys().next_back().map(|id| id.created_at());
        ready(Ok(state.noted_at.or(newest)))
    }

    fn measure(&self) -> PortFuture<'_, Result<StoreMeasures, StoreError>> {
        ready(Ok(self.state().measure()))
    }

    fn retain(&self, before: UnixMillis) -> PortFuture<'_, Result<u64, StoreError>> {
        ready(Ok(self.state().retain(before)))
    }
}

#[cfg(test)]
mod tests {
    use super::ModelStore;
    use crate::store_contract::Factory;

    /// A model outlives every restart.
    struct Memory;

    impl Factory for Memory {
        type Store = ModelStore;

        fn create(&self) -> ModelStore {
            ModelStore::default()
        }

        fn reopen(&self, store: ModelStore) -> ModelStore {
            store
        }
    }

    crate::store_contract!(Memory);
}
