//! Instances between two runs, for endpoints whose owner wants them used again.
//!
//! An instance comes back to the endpoint, version, settings and secrets that it was made for, and to nobody else. It is
//! given up after a failed run, after [`RUNS_PER_INSTANCE_MAX`] runs, when its memory has grown past
//! [`INSTANCE_BYTES_MAX`], when nobody came back for it in [`IDLE_MAX`], and when others need its room.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hookmill_core::id::EndpointId;
use hookmill_core::plugin::{BoundSecrets, PluginDigest};
use hookmill_core::port::plugins::TransformRun;
use wasmtime::Store;

use crate::bindings::exports::hookmill::plugin::transform;
use crate::guest::RunState;
use crate::stopwatch::Stopwatch;

/// Instances that are kept at once, of all endpoints.
pub(crate) const IDLE_INSTANCES_MAX: usize = 32;
/// Bytes of linear memory of all of them.
const IDLE_BYTES_MAX: usize = 64 << 20;
/// Bytes of linear memory of an instance that is kept.
const INSTANCE_BYTES_MAX: usize = 8 << 20;
/// Runs in one instance: what a plugin leaks is bounded by it, and what goes wrong with age ends with it.
const RUNS_PER_INSTANCE_MAX: u32 = 1000;
/// How long an instance waits for its next run. It is freed when a thread has nothing to do after that.
pub(crate) const IDLE_MAX: Duration = Duration::from_secs(30);

/// Whose runs may find what an earlier one left.
#[derive(Clone)]
pub(crate) struct Tenant {
    endpoint: EndpointId,
    digest: PluginDigest,
    settings: Arc<str>,
    secrets: Arc<BoundSecrets>,
}

impl Tenant {
    pub(crate) fn of(run: &TransformRun) -> Self {
        Self {
            endpoint: run.endpoint.id,
            digest: run.digest,
            settings: Arc::clone(&run.settings),
            secrets: Arc::clone(&run.secrets),
        }
    }
}

impl PartialEq for Tenant {
    /// Secrets are the same where they are the very same: they are replaced, never changed.
    fn eq(&self, other: &Self) -> bool {
        self.endpoint == other.endpoint
            && self.digest == other.digest
            && Arc::ptr_eq(&self.secrets, &other.secrets)
            && self.settings == other.settings
    }
}

/// An instance that may run once more.
pub(crate) struct IdleInstance {
    pub(crate) store: Store<RunState>,
    pub(crate) guest: transform::Guest,
    tenant: Tenant,
    runs: u32,
    since: Stopwatch,
}

impl IdleInstance {
    pub(crate) fn new(tenant: Tenant, store: Store<RunState>, guest: transform::Guest) -> Self {
        Self { store, guest, tenant, runs: 0, since: Stopwatch::start() }
    }

    fn bytes(&self) -> usize {
        self.store.data().memory_bytes()
    }
}

/// The instances that nobody uses now, those that were used last at the end.
#[derive(Default)]
pub(crate) struct IdleInstances(Mutex<Vec<IdleInstance>>);

impl IdleInstances {
    fn lock(&self) -> MutexGuard<'_, Vec<IdleInstance>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn take(&self, tenant: &Tenant) -> Option<IdleInstance> {
        let mut instances = self.lock();
        let place = instances.iter().rposition(|instance| instance.tenant == *tenant)?;
        Some(instances.remove(place))
    }

    pub(crate) fn put(&self, mut instance: IdleInstance) {
        instance.runs += 1;
        if instance.runs >= RUNS_PER_INSTANCE_MAX || instance.bytes() > INSTANCE_BYTES_MAX {
            return;
        }
        instance.since = Stopwatch::start();
        // What has to go is dropped after the lock is given back.
        let _evicted = {
            let mut instances = self.lock();
            instances.push(instance);
            let too_many = excess(&instances);
            instances.drain(..too_many).collect::<Vec<_>>()
        };
    }

    /// Frees the instances that waited too long; answers whether any is left.
    pub(crate) fn sweep(&self) -> bool {
        let mut instances = self.lock();
        let waited = instances.iter().take_while(|instance| instance.since.elapsed() >= IDLE_MAX).count();
        let evicted: Vec<_> = instances.drain(..waited).collect();
        let is_left = !instances.is_empty();
        drop(instances);
        drop(evicted);
        is_left
    }
}

/// How many of the first have to go.
fn excess(instances: &[IdleInstance]) -> usize {
    let mut bytes: usize = instances.iter().map(IdleInstance::bytes).sum();
    let mut count = 0;
    for instance in instances {
        if instances.len() - count <= IDLE_INSTANCES_MAX && bytes <= IDLE_BYTES_MAX {
            break;
        }
        bytes -= instance.bytes();
        count += 1;
    }
    count
}

const _: () = assert!(INSTANCE_BYTES_MAX <= IDLE_BYTES_MAX, "one instance always fits");
