//! Pages for people.

use std::collections::BTreeMap;
use std::sync::Arc;

use hookmill_core::endpoint::EndpointState;
use hookmill_core::event::Event;
use hookmill_core::id::{ApplicationId, AttemptId, DeliveryId, EndpointId, EventId};
use hookmill_core::limits::{READ_BYTES_MAX, READ_ROWS_MAX};
use hookmill_core::port::store::{
    AttemptQuery, AttemptRecord, AttemptTrigger, AttemptsOf, DeliveryState, DeliveryStatus, EndpointCounts,
    EventLookup, EventQuery, Found, PageFrom, PendingDelivery, StoreMeasures,
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

    pub(super) fn events(&self, query: &EventQuery) -> Found<EventId, Arc<Event>> {
        let events = self.events.values().map(|stored| &stored.event).filter(|event| {
            event.application == query.application
                && is_within(&event.id, query.from, query.before, query.after)
        });
        let is_wanted = |event: &Arc<Event>| {
            (query.event_types.is_empty() || query.event_types.contains(&event.event_type))
                && query.channel.as_ref().is_none_or(|channel| event.channels.as_slice().contains(channel))
        };
        let read = Read { limit: query.limit, is_upward: is_upward(&query.from) };
        read.page(events, is_wanted, |event| event.id, |event| event.body.len())
    }

    pub(super) fn attempts(&self, query: &AttemptQuery) -> Found<AttemptId, AttemptRecord> {
        let attempts = self.attempts.values().filter(|attempt| {
            let is_of = match query.of {
                AttemptsOf::Event(event, _) => attempt.event == event,
                AttemptsOf::Endpoint(endpoint) => attempt.endpoint == endpoint,
            };
            is_of && is_within(&attempt.id, query.from, query.before, query.after)
        });
        let is_wanted = |attempt: &AttemptRecord| {
            attempt.application == query.application
                && match query.of {
                    AttemptsOf::Event(_, endpoint) => {
                        endpoint.is_none_or(|endpoint| attempt.endpoint == endpoint)
                    }
                    AttemptsOf::Endpoint(_) => true,
                }
                && query.result.is_none_or(|result| attempt.result == result)
        };
        let read = Read { limit: query.limit, is_upward: is_upward(&query.from) };
        let mut found = read.page(attempts, is_wanted, |attempt| attempt.id, |_| 0);
        found.items.iter_mut().for_each(|attempt| attempt.trace = None);
        found
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

    pub(super) fn measure(&self) -> StoreMeasures {
        let counts = |row: &&PendingDelivery| {
            let state = self.endpoints.get(&row.endpoint).map(|endpoint| endpoint.state);
            row.trigger == AttemptTrigger::Scheduled && !matches!(state, Some(EndpointState::Disabled { .. }))
        };
        StoreMeasures {
            waiting: self.unfinished.len() as u64,
            oldest: self.unfinished.values().find(counts).map(|row| row.event.accepted_at()),
            bytes: 0,
        }
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

fn is_within<Id: Ord + Dated>(
    id: &Id,
    from: PageFrom<Id>,
    before: Option<UnixMillis>,
    after: Option<UnixMillis>,
) -> bool {
    let moment = id.moment();
    before.is_none_or(|before| moment < before)
        && after.is_none_or(|after| moment > after)
        && match from {
            PageFrom::Newest => true,
            PageFrom::OlderThan(bound) => *id < bound,
            PageFrom::NewerThan(bound) => *id > bound,
        }
}

fn is_upward<Id>(from: &PageFrom<Id>) -> bool {
    matches!(from, PageFrom::NewerThan(_))
}

trait Dated {
    fn moment(&self) -> UnixMillis;
}

impl Dated for EventId {
    fn moment(&self) -> UnixMillis {
        self.created_at()
    }
}

impl Dated for AttemptId {
    fn moment(&self) -> UnixMillis {
        self.created_at()
    }
}

/// One bounded walk over rows.
struct Read {
    limit: usize,
    is_upward: bool,
}

impl Read {
    /// `oldest_first` is all that is in the range.
    fn page<'a, Item: Clone + 'a, Id>(
        &self,
        oldest_first: impl DoubleEndedIterator<Item = &'a Item>,
        is_wanted: impl Fn(&Item) -> bool,
        id_of: impl Fn(&Item) -> Id,
        bytes_of: impl Fn(&Item) -> usize,
    ) -> Found<Id, Item> {
        let mut rows: Vec<&Item> = oldest_first.collect();
        if !self.is_upward {
            rows.reverse();
        }
        let mut found = Found { items: Vec::new(), stopped_at: None, rows_read: 0 };
        let mut bytes = 0;
        for (index, row) in rows.iter().enumerate() {
            if found.items.len() == self.limit {
                break;
            }
            if found.rows_read == READ_ROWS_MAX || bytes >= READ_BYTES_MAX {
                found.stopped_at = index.checked_sub(1).map(|last| id_of(rows[last]));
                break;
            }
            found.rows_read += 1;
            if is_wanted(row) {
                bytes += bytes_of(row);
                found.items.push(Item::clone(row));
            }
        }
        // At the end of all a bound is as good as reached.
        let is_bound = found.rows_read == READ_ROWS_MAX || bytes >= READ_BYTES_MAX;
        if is_bound && found.items.len() < self.limit && found.stopped_at.is_none() {
            found.stopped_at = rows.last().map(|row| id_of(row));
        }
        if self.is_upward {
            found.items.reverse();
        }
        found
    }
}
