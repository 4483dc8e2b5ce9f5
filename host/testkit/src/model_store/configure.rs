//! The configuration.

use std::sync::Arc;

use hookmill_core::id::ApplicationId;
use hookmill_core::key::Scope;
use hookmill_core::limits::IDEMPOTENCY_KEY_KEPT;
use hookmill_core::plugin::{PluginDigest, PluginName};
use hookmill_core::port::store::{Change, PendingDelivery, StoreError};
use hookmill_core::route::Configuration;

use super::State;

impl State {
    pub(super) fn configuration(&self) -> Configuration {
        Configuration {
            applications: self.applications.values().cloned().collect(),
            endpoints: self.endpoints.values().cloned().map(Arc::new).collect(),
            sources: self.sources.values().cloned().collect(),
            event_types: self.event_types.values().cloned().collect(),
            plugin_versions: self.plugin_versions.clone(),
            current_plugins: self.current_plugins.clone().into_iter().collect(),
            canaries: self.canaries.clone().into_iter().collect(),
            keys: self.keys.values().cloned().collect(),
        }
    }

    /// All or none: a copy is changed, and takes the place of the original if all went well.
    pub(super) fn apply(&mut self, changes: Vec<Change>) -> Result<(), StoreError> {
        let mut changed = self.clone();
        for change in changes {
            changed.apply_one(change)?;
        }
        *self = changed;
        Ok(())
    }

    fn apply_one(&mut self, change: Change) -> Result<(), StoreError> {
        match change {
            Change::PutApplication(application) => {
                let taken = application.uid.is_some()
                    && self
                        .applications
                        .values()
                        .any(|other| other.id != application.id && other.uid == application.uid);
                conflict_if(taken, "the application's uid")?;
                self.applications.insert(application.id, application);
            }
            Change::DeleteApplication(id) => self.delete_application(id),
            Change::PutEndpoint(endpoint) => {
                self.require_application(endpoint.application)?;
                let taken = endpoint.uid.is_some()
                    && self.endpoints.values().any(|other| {
                        other.id != endpoint.id
                            && other.application == endpoint.application
                            && other.uid == endpoint.uid
                    });
                conflict_if(taken, "the endpoint's uid")?;
                self.endpoints.insert(endpoint.id, *endpoint);
            }
            Change::DeleteEndpoint(id) => {
                self.endpoints.remove(&id);
                self.unfinished.retain(|_, row| row.endpoint != id);
                self.delivered.remove(&id);
                self.tasks.retain(|_, task| task.endpoint != id);
            }
            Change::RestartDeliveries(endpoint, now) => {
                let tried = |row: &&mut PendingDelivery| row.endpoint == endpoint && row.attempts_made > 0;
                for row in self.unfinished.values_mut().filter(tried) {
                    (row.due, row.attempts_made) = (row.event.accepted_at().min(now), 0);
                }
            }
            Change::PutSource(source) => {
                self.require_application(source.application)?;
                let taken =
                    self.sources.values().any(|other| other.id != source.id && other.name == source.name);
                conflict_if(taken, "the source's name")?;
                self.sources.insert(source.id, *source);
            }
            Change::DeleteSource(id) => {
                self.sources.remove(&id);
            }
            Change::PutEventType(definition) => {
                self.event_types.insert(definition.name.clone(), definition);
            }
            Change::DeleteEventType(name) => {
                self.event_types.remove(&name);
            }
            Change::PutPluginVersion(version, bytes, interface) => {
                let is_known = self
                    .plugin_versions
                    .iter()
                    .any(|known| known.name == version.name && known.digest == version.digest);
                if !is_known {
                    self.plugin_bytes.entry(version.digest).or_insert((bytes, interface));
                    self.plugin_versions.push(version);
                }
            }
            Change::SetCurrentPlugin(name, digest) => {
                self.require_plugin_version(&name, digest)?;
                self.current_plugins.insert(name, digest);
            }
            Change::SetCanary(name, None) => {
                self.canaries.remove(&name);
            }
            Change::SetCanary(name, Some(canary)) => {
                self.require_plugin_version(&name, canary.digest)?;
                self.canaries.insert(name, canary);
            }
            Change::DeletePluginVersion(name, digest) => {
                self.plugin_versions.retain(|version| version.name != name || version.digest != digest);
                self.delete_unused_bytes();
            }
            Change::DeletePlugin(name) => {
                self.canaries.remove(&name);
                self.current_plugins.remove(&name);
                self.plugin_versions.retain(|version| version.name != name);
                self.delete_unused_bytes();
            }
            Change::PutKey(key) => {
                match key.scope {
                    Scope::Admin | Scope::Metrics => {}
                    Scope::Application(id) | Scope::Ingest(id) => self.require_application(id)?,
                }
                let taken = self.keys.values().any(|other| other.id != key.id && other.hash == key.hash);
                conflict_if(taken, "the key")?;
                self.keys.insert(key.id, key);
            }
            Change::DeleteKey(id) => {
                self.keys.remove(&id);
            }
            Change::NoteTime(noted) => self.noted_at = Some(noted),
            Change::PutTask(task) => self.put_task(task)?,
            Change::Remember(key, answer) => {
                let taken = self
                    .remembered
                    .get(&key)
                    .is_some_and(|first| first.at > answer.at.before(IDEMPOTENCY_KEY_KEPT));
                conflict_if(taken, "the idempotency key")?;
                self.remembered.insert(key, answer);
            }
        }
        Ok(())
    }

    fn delete_application(&mut self, id: ApplicationId) {
        self.applications.remove(&id);
        self.keys.retain(|_, key| !key.scope.belongs_to(id));
        self.sources.retain(|_, source| source.application != id);
        self.attempts.retain(|_, attempt| attempt.application != id);
        let events = &mut self.events;
        events.retain(|_, stored| stored.event.application != id);
        self.dead.retain(|_, dead| events.contains_key(&dead.event));
        self.unfinished.retain(|_, row| row.event.application != id);
        self.endpoints.retain(|_, endpoint| endpoint.application != id);
        let endpoints = &self.endpoints;
        self.delivered.retain(|endpoint, _| endpoints.contains_key(endpoint));
        self.tasks.retain(|_, task| task.application != id);
    }

    fn require_plugin_version(&self, name: &PluginName, digest: PluginDigest) -> Result<(), StoreError> {
        let mut versions = self.plugin_versions.iter();
        if versions.any(|known| known.name == *name && known.digest == digest) {
            Ok(())
        } else {
            Err(StoreError::NotFound { what: "the plugin version" })
        }
    }

    fn delete_unused_bytes(&mut self) {
        let versions = &self.plugin_versions;
        self.plugin_bytes.retain(|digest, _| versions.iter().any(|version| version.digest == *digest));
    }

    fn require_application(&self, id: ApplicationId) -> Result<(), StoreError> {
        if self.applications.contains_key(&id) {
            Ok(())
        } else {
            Err(StoreError::NotFound { what: "the application" })
        }
    }
}

pub(super) fn conflict_if(taken: bool, what: &'static str) -> Result<(), StoreError> {
    if taken { Err(StoreError::Conflict { what }) } else { Ok(()) }
}
