//! Which endpoints an event goes to.
//!
//! The [`RoutingTable`] is an immutable snapshot of the whole configuration; a change makes a new one, which shares with
//! the old one all that stays. Reading it takes no lock and touches no disk, so one accepted event costs one look-up and
//! one pass over its application's endpoints. [`candidates`] makes that pass; where patterns have to be asked,
//! [`Candidates::decide`] reads the body once and matches all of them together, in a bounded number of steps.

mod patterns;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::application::{Application, EventTypeDefinition};
use crate::canary::Canary;
use crate::endpoint::Endpoint;
use crate::event::{Event, Name};
use crate::id::{ApplicationId, EndpointId, EventId, KeyId, SourceId};
use crate::json::Document;
use crate::key::{ApiKey, KeyHash};
use crate::pattern::{OutOfSteps, Steps};
use crate::persistent::Map;
use crate::plugin::{ClassifiedAnswers, PluginBinding, PluginDigest, PluginName, PluginVersion};
use crate::source::{Source, SourceName};

pub use self::patterns::{APPLICATION_PATTERNS_COST_MAX, Patterns, PatternsTooCostly};

/// Bytes of a body that is read where it is accepted; a larger one goes where reading it holds nobody up.
const QUICK_BODY_BYTES_MAX: usize = 16 << 10;
/// Cost of patterns that are merged where an event is accepted.
const QUICK_PATTERNS_COST_MAX: usize = 256;
/// Steps that are taken where an event is accepted: less than half a millisecond.
pub const QUICK_STEPS_MAX: usize = 64 << 10;

/// Everything that is configured, as the store holds it.
#[derive(Debug, Default)]
pub struct Configuration {
    /// All tenants.
    pub applications: Vec<Application>,
    /// All destinations; there may be very many, so each is where it stays.
    pub endpoints: Vec<Arc<Endpoint>>,
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
    pub endpoints: Map<EndpointId, Arc<Endpoint>>,
    /// The patterns of its endpoints.
    pub patterns: Patterns,
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
    pub applications: Map<ApplicationId, Arc<Routes>>,
    /// Tenants by the operator's own ids.
    pub application_uids: Map<Name, ApplicationId>,
    /// Endpoints of all tenants.
    pub endpoints: Map<EndpointId, Arc<Endpoint>>,
    /// Inbound addresses of all tenants.
    pub sources: Map<SourceId, Arc<Source>>,
    /// Inbound addresses by what they end with.
    pub source_names: Map<SourceName, SourceId>,
    /// Kinds of events by name.
    pub event_types: Map<Name, Arc<EventTypeDefinition>>,
    /// Plugins by name.
    pub plugins: Map<PluginName, Arc<PluginEntry>>,
    /// Keys by what is known of their secret.
    pub keys: Map<KeyHash, Arc<ApiKey>>,
    /// The same keys by id.
    pub keys_by_id: Map<KeyId, Arc<ApiKey>>,
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
        let (endpoints, patterns) = match previous {
            Some(routes) => (routes.endpoints.clone(), routes.patterns.clone()),
            None => Default::default(),
        };
        let routes = Routes { application: Arc::new(application), endpoints, patterns };
        self.applications.insert(id, Arc::new(routes));
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
    pub fn put_endpoint(&mut self, endpoint: impl Into<Arc<Endpoint>>) {
        let mut endpoint = endpoint.into();
        let Some(routes) = self.applications.get(&endpoint.application) else { return };
        let mut routes = Routes::clone(routes);
        // Before the old one is left out, so that a change of anything else leaves the patterns merged.
        if let Some(pattern) = &endpoint.filter.pattern {
            let shared = routes.patterns.add(pattern);
            Arc::make_mut(&mut endpoint).filter.pattern = Some(shared);
        }
        routes.leave_out(endpoint.id);
        routes.endpoints.insert(endpoint.id, Arc::clone(&endpoint));
        self.applications.insert(endpoint.application, Arc::new(routes));
        self.endpoints.insert(endpoint.id, endpoint);
    }

    /// Removes an endpoint.
    pub fn remove_endpoint(&mut self, id: EndpointId) {
        let Some(endpoint) = self.endpoints.remove(&id) else { return };
        if let Some(routes) = self.applications.get(&endpoint.application) {
            let mut routes = Routes::clone(routes);
            routes.leave_out(id);
            self.applications.insert(endpoint.application, Arc::new(routes));
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
        match self.plugins.get(&version.name) {
            None => {
                let entry =
                    PluginEntry { current: version.digest, canary: None, versions: vec![version.clone()] };
                self.plugins.insert(version.name, Arc::new(entry));
            }
            Some(entry) if entry.versions.iter().any(|known| known.digest == version.digest) => {}
            Some(_) => self.change_plugin(&version.name.clone(), |entry| entry.versions.push(version)),
        }
    }

    /// Makes a known version the current one.
    pub fn set_current_plugin(&mut self, name: &PluginName, digest: PluginDigest) {
        self.change_plugin(name, |entry| entry.current = digest);
    }

    /// Puts a known version on trial, or ends the trial.
    pub fn set_canary(&mut self, name: &PluginName, canary: Option<Canary>) {
        self.change_plugin(name, |entry| entry.canary = canary);
    }

    /// Removes a version of a plugin.
    pub fn remove_plugin_version(&mut self, name: &PluginName, digest: PluginDigest) {
        self.change_plugin(name, |entry| entry.versions.retain(|version| version.digest != digest));
    }

    fn change_plugin(&mut self, name: &PluginName, change: impl FnOnce(&mut PluginEntry)) {
        self.plugins.change(name, |entry| change(Arc::make_mut(entry)));
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

    /// Takes an endpoint away, and its pattern where no other has it.
    fn leave_out(&mut self, id: EndpointId) {
        let previous = self.endpoints.remove(&id);
        if let Some(pattern) = previous.as_ref().and_then(|endpoint| endpoint.filter.pattern.as_ref()) {
            self.patterns.remove(pattern);
        }
    }
}

/// The endpoints that an event may go to, as far as anything but its body tells.
#[derive(Debug)]
pub struct Candidates {
    endpoints: Vec<Arc<Endpoint>>,
    /// Where at least one of them has a pattern.
    patterns: Option<Patterns>,
}

/// The endpoints that admit an event by its type and channels, and take events at all; where the sender names one, only
/// that one can. Where none is named, those that are [on request](Endpoint::is_on_request) don't.
#[must_use]
pub fn candidates(event: &Event, routes: &Routes, only: Option<EndpointId>) -> Candidates {
    let admits =
        |endpoint: &&Arc<Endpoint>| endpoint.state.takes_events() && endpoint.filter.admits_names(event);
    let endpoints: Vec<_> = match only {
        Some(only) => routes.endpoints.get(&only).filter(admits).into_iter().map(Arc::clone).collect(),
        None => {
            let unasked = routes.endpoints.values().filter(|endpoint| !endpoint.is_on_request());
            unasked.filter(admits).map(Arc::clone).collect()
        }
    };
    let any_pattern = endpoints.iter().any(|endpoint| endpoint.filter.pattern.is_some());
    Candidates { endpoints, patterns: any_pattern.then(|| routes.patterns.clone()) }
}

impl Candidates {
    /// Whether it takes less than a millisecond to tell which of them want an event with this body, or to give up.
    #[must_use]
    pub fn are_quick(&self, body: &Bytes) -> bool {
        self.patterns.as_ref().is_none_or(|patterns| {
            let merged = patterns.are_merged() || patterns.cost() <= QUICK_PATTERNS_COST_MAX;
            body.len() <= QUICK_BODY_BYTES_MAX && merged
        })
    }

    /// The endpoints that receive an event with this body, oldest first.
    ///
    /// The body is read at most once, and only where a candidate has a pattern. A body that is not JSON matches none.
    ///
    /// # Errors
    /// More work than there are steps; [`ROUTING_STEPS_MAX`](crate::pattern::ROUTING_STEPS_MAX) is what there may be.
    pub fn decide(&self, body: &Bytes, steps: usize) -> Result<Vec<Arc<Endpoint>>, OutOfSteps> {
        let Some(patterns) = &self.patterns else { return Ok(self.endpoints.clone()) };
        let matcher = patterns.matcher();
        let matched = match Document::parse(body.clone()) {
            Ok(body) => Some(matcher.matched(&body, &mut Steps::of(steps))?),
            Err(_) => None,
        };
        let wants = |endpoint: &&Arc<Endpoint>| match (&endpoint.filter.pattern, &matched) {
            (None, _) => true,
            (Some(pattern), Some(matched)) => matched.has(matcher, pattern),
            (Some(_), None) => false,
        };
        Ok(self.endpoints.iter().filter(wants).map(Arc::clone).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::{DisabledReason, EndpointState, Filter};
    use crate::event::Channels;
    use crate::pattern::{EventPattern, ROUTING_STEPS_MAX};
    use crate::test_values::{application, endpoint, event, names, source};
    use crate::time::UnixMillis;

    fn plan(event: &Event, routes: &Routes, only: Option<EndpointId>) -> Vec<Arc<Endpoint>> {
        candidates(event, routes, only).decide(&event.body, ROUTING_STEPS_MAX).unwrap()
    }

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
            Filter { pattern: large(), ..Filter::default() },
            b"{\"amount\": 120, \"t\": \"\\ud83d\"}",
            true,
        );
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
