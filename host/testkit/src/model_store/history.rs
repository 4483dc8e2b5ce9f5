//! Pages for people.

use std::collections::BTreeMap;
use std::sync::Arc;

use hookmill_core::event::Event;
use hookmill_core::id::{ApplicationId, DeliveryId, EndpointId, EventId};
use hookmill_core::port::store::{
    AttemptQuery, AttemptRecord, AttemptsOf, DeliveryState, DeliveryStatus, EndpointCounts, EventLookup,
    EventQuery, PageFrom,
};
use hookmill_core::time::UnixMillis;

use super::State;

impl State {
    pub(super) fn event(&self, application: ApplicationId, lookup: &EventLookup) -> Option<Arc<Event>> {
        let mut events = self.events.values().map(|stored| &stored.event);
        let is_it = |event: &&Arc<Event>| match lookup {
            EventLookup::Id(id) => event.id == *id,
            EventLookup::Uid(uid) => event.uid.as_ref() == Some(uid),
        };
        events.find(|event| event.application == application && is_it(event)).cloned()
    }

    pub(super) fn events(&self, query: &EventQuery) -> Vec<Arc<Event>> {
        let is_wanted = |event: &Arc<Event>| {
            event.application == query.application
                && is_within(event.accepted_at(), query.before, query.after)
                && (query.event_types.is_empty() || query.event_types.contains(&event.event_type))
                && query.channel.as_ref().is_none_or(|channel| event.channels.as_slice().contains(channel))
        };
        let newest_first =
            self.events.values().rev().map(|stored| &stored.event).filter(|event| is_wanted(event));
        page(newest_first.cloned().collect(), |event| event.id, query.from, query.limit)
    }

    pub(super) fn attempts(&self, query: &AttemptQuery) -> Vec<AttemptRecord> {
        let is_wanted = |attempt: &&AttemptRecord| {
            attempt.application == query.application
                && match query.of {
                    AttemptsOf::Event(event, endpoint) => {
                        attempt.event == event && endpoint.is_none_or(|endpoint| attempt.endpoint == endpoint)
                    }
                    AttemptsOf::Endpoint(endpoint) => attempt.endpoint == endpoint,
                }
                && query.result.is_none_or(|result| attempt.result == result)
                && is_within(attempt.id.created_at(), query.before, query.after)
        };
        let newest_first = self.attempts.values().rev().filter(is_wanted);
        let newest_first = newest_first.map(|attempt| AttemptRecord { trace: None, ..attempt.clone() });
        page(newest_first.collect(), |attempt| attempt.id, query.from, query.limit)
    }

    pub(super) fn deliveries_of(&self, application: ApplicationId, event: EventId) -> Vec<DeliveryState> {
        let mut states: BTreeMap<DeliveryId, DeliveryState> = BTreeMap::new();
        if self.events.get(&event).is_none_or(|stored| stored.event.application != application) {
            return Vec::new();
        }
        for (id, row) in self.unfinished.iter().filter(|(_, row)| row.event.id == event) {
            let status = DeliveryStatus::Waiting(row.due);
            states.insert(
                *id,
                DeliveryState { endpoint: row.endpoint, attempts_made: row.attempts_made, status },
            );
        }
        for (id, dead) in self.dead.iter().filter(|(_, dead)| dead.event == event) {
            let status = DeliveryStatus::Dead(dead.reason);
            states.insert(
                *id,
                DeliveryState { endpoint: dead.endpoint, attempts_made: dead.attempts_made, status },
            );
        }
        states.into_values().collect()
    }

    pub(super) fn endpoint_counts(&self, endpoint: EndpointId) -> EndpointCounts {
        if !self.endpoints.contains_key(&endpoint) {
            return EndpointCounts::default();
        }
        let unfinished = || self.unfinished.values().filter(|row| row.endpoint == endpoint);
        EndpointCounts {
            delivered: self.delivered.get(&endpoint).copied().unwrap_or_default(),
            pending: unfinished().filter(|row| row.attempts_made == 0).count() as u64,
            retrying: unfinished().filter(|row| row.attempts_made > 0).count() as u64,
            dead: self.dead.values().filter(|dead| dead.endpoint == endpoint).count() as u64,
        }
    }
}

fn is_within(moment: UnixMillis, before: Option<UnixMillis>, after: Option<UnixMillis>) -> bool {
    before.is_none_or(|before| moment < before) && after.is_none_or(|after| moment > after)
}

fn page<Item, Id: Ord>(
    mut newest_first: Vec<Item>,
    id_of: impl Fn(&Item) -> Id,
    from: PageFrom<Id>,
    limit: usize,
) -> Vec<Item> {
    match from {
        PageFrom::Newest => {}
        PageFrom::OlderThan(bound) => newest_first.retain(|item| id_of(item) < bound),
        PageFrom::NewerThan(bound) => {
            newest_first.retain(|item| id_of(item) > bound);
            let skipped = newest_first.len().saturating_sub(limit);
            newest_first.drain(..skipped);
        }
    }
    newest_first.truncate(limit);
    newest_first
}
