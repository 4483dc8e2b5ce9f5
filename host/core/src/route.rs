//! Which endpoints an event goes to.
//!
//! The [`RoutingTable`] is an immutable snapshot of the whole configuration; a change makes a new one. Reading it
//! takes no lock and touches no disk, so one accepted event costs one look-up and one pass over its
//! application's endpoints.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::application::{Application, EventTypeDefinition};
use crate::canary::Canary;
use crate::endpoint::Endpoint;
use crate::event::{Event, Name};
use crate::id::{ApplicationId, EndpointId, EventId, KeyId, SourceId};
use crate::key::{ApiKey, KeyHash};
use crate::plugin::{ClassifiedAnswers, PluginBinding, PluginDigest, PluginName, PluginVersion};
use crate::source::{Source, SourceName};

/// Everything that is configured, as the store holds it.
#[derive(Debug, Default)]
pub struct Configuration {
    /// All tenants.
    pub applications: Vec<Application>,
    /// All destinations.
    pub endpoints: Vec<Endpoint>,
    /// All inbound addresses.
    pub sources: Vec<Source>,
    /// All kinds of events.
    pub event_types: Vec<EventTypeDefinition>,
    /// All versions of all plugins, oldest first.
    pub plugin_versions: Vec<PluginVersion>,
    /// Which version of each plugin runs.
    pub current_plugins: Vec<(PluginName, PluginDigest)>,
    /// Which versions are on trial.
    pub canaries: Vec<(PluginName, Canary)>,
    /// All API keys.
    pub keys: Vec<ApiKey>,
}

/// One tenant with its endpoints.
#[derive(Debug, Clone)]
pub struct Routes {
    /// The tenant.
    pub application: Arc<Application>,
    /// Its endpoints, oldest first.
    pub endpoints: BTreeMap<EndpointId, Arc<Endpoint>>,
}

/// One plugin with its versions.
#[derive(Debug, Clone)]
pub struct PluginEntry {
    /// Which version runs where none is pinned.
    pub current: PluginDigest,
    /// The version on trial.
    pub canary: Option<Canary>,
    /// All versions, oldest first.
    pub versions: Vec<PluginVersion>,
}

/// An immutable snapshot of the configuration, indexed for reading.
#[derive(Debug, Clone, Default)]
pub struct RoutingTable {
    /// Tenants with their endpoints.
    pub applications: BTreeMap<ApplicationId, Arc<Routes>>,
    /// Tenants by the operator's own ids.
    pub application_uids: HashMap<Name, ApplicationId>,
    /// Endpoints of all tenants.
    pub endpoints: HashMap<EndpointId, Arc<Endpoint>>,
    /// Inbound addresses of all tenants.
    pub sources: BTreeMap<SourceId, Arc<Source>>,
    /// Inbound addresses by what they end with.
    pub source_names: HashMap<SourceName, SourceId>,
    /// Kinds of events by name.
    pub event_types: BTreeMap<Name, Arc<EventTypeDefinition>>,
    /// Plugins by name.
    pub plugins: BTreeMap<PluginName, Arc<PluginEntry>>,
    /// Keys by what is known of their secret.
    pub keys: HashMap<KeyHash, Arc<ApiKey>>,
    /// The same keys by id.
    pub keys_by_id: BTreeMap<KeyId, Arc<ApiKey>>,
}

impl RoutingTable {
    /// Indexes what the store holds.
    #[must_use]
    pub fn new(configuration: Configuration) -> Self {
        let mut table = Self::default();
        for application in configuration.applications {
            table.put_application(application);
        }
        for endpoint in configuration.endpoints {
            table.put_endpoint(endpoint);
        }
        for source in configuration.sources {
            table.put_source(source);
        }
        for definition in configuration.event_types {
            table.event_types.insert(definition.name.clone(), Arc::new(definition));
        }
        for key in configuration.keys {
            table.put_key(key);
        }
        let mut versions: BTreeMap<PluginName, Vec<PluginVersion>> = BTreeMap::new();
        for version in configuration.plugin_versions {
            versions.entry(version.name.clone()).or_default().push(version);
        }
        for (name, current) in configuration.current_plugins {
            let versions = versions.remove(&name).unwrap_or_default();
            table.plugins.insert(name, Arc::new(PluginEntry { current, canary: None, versions }));
        }
        for (name, canary) in configuration.canaries {
            table.set_canary(&name, Some(canary));
        }
        table
    }

    /// Adds or replaces a tenant; its endpoints stay.
    pub fn put_application(&mut self, application: Application) {
        let id = application.id;
        let previous = self.applications.get(&id);
        if let Some(uid) = previous.and_then(|routes| routes.application.uid.as_ref()) {
            self.application_uids.remove(uid);
        }
        if let Some(uid) = &application.uid {
            self.application_uids.insert(uid.clone(), id);
        }
        let endpoints = previous.map(|routes| routes.endpoints.clone()).unwrap_or_default();
        self.applications.insert(id, Arc::new(Routes { application: Arc::new(application), endpoints }));
    }

    /// Removes a tenant with its endpoints, sources and keys.
    pub fn remove_application(&mut self, id: ApplicationId) {
        let Some(routes) = self.applications.remove(&id) else { return };
        if let Some(uid) = &routes.application.uid {
            self.application_uids.remove(uid);
        }
        for endpoint in routes.endpoints.keys() {
            self.endpoints.remove(endpoint);
        }
        self.sources.retain(|_, source| source.application != id);
        let sources = &self.sources;
        self.source_names.retain(|_, source| sources.contains_key(source));
        self.keys.retain(|_, key| !key.scope.belongs_to(id));
        self.keys_by_id.retain(|_, key| !key.scope.belongs_to(id));
    }

    /// Adds or replaces an endpoint of a known tenant.
    pub fn put_endpoint(&mut self, endpoint: Endpoint) {
        let endpoint = Arc::new(endpoint);
        let Some(routes) = self.applications.get_mut(&endpoint.application) else { return };
        Arc::make_mut(routes).endpoints.insert(endpoint.id, Arc::clone(&endpoint));
        self.endpoints.insert(endpoint.id, endpoint);
    }

    /// Removes an endpoint.
    pub fn remove_endpoint(&mut self, id: EndpointId) {
        let Some(endpoint) = self.endpoints.remove(&id) else { return };
        if let Some(routes) = self.applications.get_mut(&endpoint.application) {
            Arc::make_mut(routes).endpoints.remove(&id);
        }
    }

    /// Adds or replaces a source.
    pub fn put_source(&mut self, source: Source) {
        self.remove_source(source.id);
        self.source_names.insert(source.name.clone(), source.id);
        self.sources.insert(source.id, Arc::new(source));
    }

    /// Removes a source.
    pub fn remove_source(&mut self, id: SourceId) {
        if let Some(source) = self.sources.remove(&id) {
            self.source_names.remove(&source.name);
        }
    }

    /// Adds a key.
    pub fn put_key(&mut self, key: ApiKey) {
        let key = Arc::new(key);
        self.keys.insert(key.hash, Arc::clone(&key));
        self.keys_by_id.insert(key.id, key);
    }

    /// Removes a key.
    pub fn remove_key(&mut self, id: KeyId) {
        if let Some(key) = self.keys_by_id.remove(&id) {
            self.keys.remove(&key.hash);
        }
    }

    /// Adds a version of a plugin; the first one becomes its current one. A known version stays as it is.
    pub fn put_plugin_version(&mut self, version: PluginVersion) {
        match self.plugins.get_mut(&version.name) {
            None => {
                let entry =
                    PluginEntry { current: version.digest, canary: None, versions: vec![version.clone()] };
                self.plugins.insert(version.name, Arc::new(entry));
            }
            Some(entry) if entry.versions.iter().any(|known| known.digest == version.digest) => {}
            Some(entry) => Arc::make_mut(entry).versions.push(version),
        }
    }

    /// Makes a known version the current one.
    pub fn set_current_plugin(&mut self, name: &PluginName, digest: PluginDigest) {
        if let Some(entry) = self.plugins.get_mut(name) {
            Arc::make_mut(entry).current = digest;
        }
    }

    /// Puts a known version on trial, or ends the trial.
    pub fn set_canary(&mut self, name: &PluginName, canary: Option<Canary>) {
        if let Some(entry) = self.plugins.get_mut(name) {
            Arc::make_mut(entry).canary = canary;
        }
    }

    /// Removes a version of a plugin.
    pub fn remove_plugin_version(&mut self, name: &PluginName, digest: PluginDigest) {
        if let Some(entry) = self.plugins.get_mut(name) {
            Arc::make_mut(entry).versions.retain(|version| version.digest != digest);
        }
    }

    /// The tenant that a caller names by id or by uid.
    #[must_use]
    pub fn application(&self, id_or_uid: &str) -> Option<&Arc<Routes>> {
        if let Ok(id) = id_or_uid.parse::<ApplicationId>() {
            return self.applications.get(&id);
        }
        let uid = id_or_uid.parse::<Name>().ok()?;
        self.application_uids.get(&uid).and_then(|id| self.applications.get(id))
    }

    /// The source that a caller names by id or by name.
    #[must_use]
    pub fn source(&self, id_or_name: &str) -> Option<&Arc<Source>> {
        if let Ok(id) = id_or_name.parse::<SourceId>() {
            return self.sources.get(&id);
        }
        self.source_named(id_or_name)
    }

    /// The source whose address ends with this.
    #[must_use]
    pub fn source_named(&self, name: &str) -> Option<&Arc<Source>> {
        let name = name.parse::<SourceName>().ok()?;
        self.source_names.get(&name).and_then(|id| self.sources.get(id))
    }

    /// The version of a plugin that a source or a classifier gets where none is pinned.
    #[must_use]
    pub fn current_version(&self, plugin: &PluginName) -> Option<PluginDigest> {
        self.plugins.get(plugin).map(|entry| entry.current)
    }

    /// Which answers a version of a classifier is asked about.
    #[must_use]
    pub fn classified_answers(&self, plugin: &PluginName, digest: PluginDigest) -> ClassifiedAnswers {
        let entry = self.plugins.get(plugin);
        let version = entry.and_then(|entry| entry.versions.iter().find(|version| version.digest == digest));
        version.map(|version| version.answers).unwrap_or_default()
    }

    /// The version of a plugin that shapes a delivery: the pinned one, the one on trial for its share, or the current one.
    #[must_use]
    pub fn version_for(
        &self,
        used: &PluginBinding,
        event: EventId,
        endpoint: EndpointId,
    ) -> Option<PluginDigest> {
        used.pinned.or_else(|| {
            let entry = self.plugins.get(&used.plugin)?;
            let on_trial = entry.canary.filter(|canary| canary.takes(event, endpoint));
            Some(on_trial.map_or(entry.current, |canary| canary.digest))
        })
    }
}

impl Routes {
    /// The endpoint that a caller names by id or by uid.
    #[must_use]
    pub fn endpoint(&self, id_or_uid: &str) -> Option<&Arc<Endpoint>> {
        if let Ok(id) = id_or_uid.parse::<EndpointId>() {
            return self.endpoints.get(&id);
        }
        self.endpoints
            .values()
            .find(|endpoint| endpoint.uid.as_ref().is_some_and(|uid| uid.as_str() == id_or_uid))
    }
}

/// The endpoints that receive this event, oldest first; where the sender names one, only that one can. Where none is
/// named, those that are [on request](Endpoint::is_on_request) don't.
///
/// The body is parsed at most once, and only where an endpoint that admits the event by name has a pattern. A
/// body that is not JSON matches no pattern.
#[must_use]
pub fn plan(event: &Event, routes: &Routes, only: Option<EndpointId>) -> Vec<Arc<Endpoint>> {
    let mut parsed: Option<Option<serde_json::Value>> = None;
    let mut planned = Vec::new();
    for endpoint in routes.endpoints.values() {
        let named = only.map_or_else(|| !endpoint.is_on_request(), |only| only == endpoint.id);
        if !named || !endpoint.state.takes_events() || !endpoint.filter.admits_names(event) {
            continue;
        }
        let admitted = match &endpoint.filter.pattern {
            None => true,
            Some(pattern) => parsed
                .get_or_insert_with(|| serde_json::from_slice(&event.body).ok())
                .as_ref()
                .is_some_and(|body| pattern.matches(body)),
        };
        if admitted {
            planned.push(Arc::clone(endpoint));
        }
    }
    planned
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::{DisabledReason, EndpointState, Filter};
    use crate::event::Channels;
    use crate::pattern::EventPattern;
    use crate::test_values::{application, endpoint, event, names, source};
    use crate::time::UnixMillis;

    /// Whether an event with this body, of type `invoice.paid` and channel `eu`, goes to an endpoint.
    fn routed(body: &'static [u8], change: impl FnOnce(&mut Endpoint)) -> bool {
        let mut endpoint = endpoint("https://receiver.example/");
        change(&mut endpoint);
        let mut table = RoutingTable::default();
        table.put_application(application());
        table.put_endpoint(endpoint);
        let mut event = event(body);
        event.event_type = "invoice.paid".parse().unwrap();
        event.channels = Channels::new(names(&["eu"])).unwrap();
        !plan(&event, &table.applications[&application().id], None).is_empty()
    }

    #[test]
    fn an_event_goes_where_every_part_of_the_filter_admits_it() {
        let check = |filter: Filter, body, expect: bool| {
            assert_eq!(routed(body, |endpoint| endpoint.filter = filter.clone()), expect, "{filter:?}");
        };
        let types = |list: &[&str]| Some(names(list).into_iter().collect());
        let pattern = |text: &str| Some(EventPattern::parse(text).unwrap());
        check(Filter::default(), b"{}", true);
        check(Filter { event_types: types(&["invoice.paid"]), ..Filter::default() }, b"{}", true);
        check(Filter { event_types: types(&["invoice"]), ..Filter::default() }, b"{}", false);
        check(Filter { channels: types(&["us", "eu"]), ..Filter::default() }, b"{}", true);
        check(Filter { channels: types(&["us"]), ..Filter::default() }, b"{}", false);
        let large = || pattern(r#"{"amount": [{"numeric": [">", 100]}]}"#);
        check(Filter { pattern: large(), ..Filter::default() }, br#"{"amount": 120}"#, true);
        check(Filter { pattern: large(), ..Filter::default() }, br#"{"amount": 80}"#, false);
        check(Filter { pattern: large(), ..Filter::default() }, b"not json", false);
        check(
            Filter { pattern: large(), event_types: types(&["other"]), ..Filter::default() },
            br#"{"amount": 120}"#,
            false,
        );
    }

    #[test]
    fn a_sender_can_name_the_one_endpoint() {
        let mut table = RoutingTable::default();
        table.put_application(application());
        let first = endpoint("https://receiver.example/1");
        let second = Endpoint { id: EndpointId::new(UnixMillis(1), 9), ..first.clone() };
        let ids = [first.id, second.id];
        table.put_endpoint(first);
        table.put_endpoint(second);
        let routes = &table.applications[&application().id];
        let planned =
            |only| plan(&event(b"{}"), routes, only).iter().map(|endpoint| endpoint.id).collect::<Vec<_>>();
        assert_eq!(planned(None).len(), 2);
        assert_eq!(planned(Some(ids[1])), [ids[1]]);
        assert_eq!(planned(Some(EndpointId::new(UnixMillis(2), 2))), []);
    }

    #[test]
    fn a_disabled_endpoint_receives_nothing_new() {
        let since = UnixMillis(1);
        let disabled = EndpointState::Disabled { reason: DisabledReason::Operator, since };
        assert!(!routed(b"{}", |endpoint| endpoint.state = disabled));
        assert!(
            routed(b"{}", |endpoint| endpoint.state = EndpointState::Failed { since }),
            "what waits, waits"
        );
    }

    #[test]
    fn names_lead_to_what_they_name_until_it_goes() {
        let mut table = RoutingTable::default();
        let mut named = application();
        named.uid = Some("shop".parse().unwrap());
        table.put_application(named.clone());
        table.put_endpoint(endpoint("https://receiver.example/"));
        let found = table.application("shop").unwrap();
        assert_eq!((found.application.id, found.endpoints.len()), (named.id, 1));
        assert!(table.application(&named.id.to_string()).is_some());

        named.uid = Some("store".parse().unwrap());
        table.put_application(named.clone());
        assert!(table.application("shop").is_none());
        assert_eq!(table.application("store").unwrap().endpoints.len(), 1, "endpoints stay");

        table.put_source(source("github"));
        let id = source("github").id.to_string();
        assert!(table.source("github").is_some() && table.source(&id).is_some());
        table.put_source(source("gitlab"));
        assert!(table.source("github").is_none() && table.source("gitlab").is_some());
        table.remove_source(source("gitlab").id);
        assert!(table.source("gitlab").is_none() && table.source(&id).is_none());

        table.put_source(source("github"));
        table.remove_application(named.id);
        assert!(table.application("store").is_none() && table.endpoints.is_empty());
        assert!(table.source("github").is_none() && table.source_names.is_empty());
    }
}
