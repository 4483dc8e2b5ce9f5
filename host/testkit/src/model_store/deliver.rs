//! Events on their way.

use std::collections::BTreeSet;

use hookmill_core::id::{ApplicationId, DeliveryId, EndpointId, EventId};
use hookmill_core::limits::IDEMPOTENCY_KEY_KEPT;
use hookmill_core::policy::Ordering;
use hookmill_core::port::store::{
    Appended, AttemptResult, AttemptTrigger, Backlog, Completion, Finished, LoadDue, Loaded, NewDelivery,
    NewEvent, PendingDelivery, StoreError,
};
use hookmill_core::time::UnixMillis;

use super::{Dead, State, StoredEvent};

/// Ids leave room for the parts of a split delivery.
const ID_STEP: u64 = 64;

impl State {
    pub(super) fn append(&mut self, new: &NewEvent) -> Result<Appended, StoreError> {
        let event = &new.event;
        let by_key = new.idempotency_key.and_then(|key| {
            let known = self.idempotency_keys.iter().find(|(known, ..)| *known == key)?;
            Some((known.1, known.2))
        });
        let by_uid = || {
            let known = self.events.values().find(|known| {
                event.uid.is_some()
                    && known.event.uid == event.uid
                    && known.event.application == event.application
            })?;
            Some((known.event.id, known.fingerprint))
        };
        if let Some((first, fingerprint)) = by_key.or_else(by_uid) {
            return Ok(Appended::Duplicate { first, same: fingerprint == new.fingerprint });
        }
        if !self.applications.contains_key(&event.application) {
            return Err(StoreError::NotFound { what: "the application" });
        }
        if self.events.contains_key(&event.id) {
            return Err(StoreError::Conflict { what: "the event's id" });
        }
        if let Some(key) = new.idempotency_key {
            self.idempotency_keys.push((key, event.id, new.fingerprint, new.accepted));
        }
        self.events.insert(event.id, StoredEvent { event: event.clone(), fingerprint: new.fingerprint });
        Ok(Appended::Stored(self.insert(event.id, &new.deliveries, new.accepted, AttemptTrigger::Scheduled)))
    }

    pub(super) fn redeliver(
        &mut self,
        application: ApplicationId,
        event: EventId,
        deliveries: &[NewDelivery],
        due: UnixMillis,
    ) -> Result<Vec<DeliveryId>, StoreError> {
        if self.events.get(&event).is_none_or(|stored| stored.event.application != application) {
            return Err(StoreError::NotFound { what: "the event" });
        }
        let endpoints: BTreeSet<_> = deliveries.iter().map(|delivery| delivery.endpoint).collect();
        self.dead.retain(|_, dead| dead.event != event || !endpoints.contains(&dead.endpoint));
        Ok(self.insert(event, deliveries, due, AttemptTrigger::Manual))
    }

    pub(super) fn finish(&mut self, finished: Finished) {
        let Some(mut delivery) = self.unfinished.remove(&finished.delivery) else { return };
        match finished.completion {
            Completion::Delivered | Completion::Dropped => {}
            Completion::Retry { due, prepared } => {
                delivery.due = due;
                delivery.attempts_made += 1;
                delivery.prepared = prepared.or(delivery.prepared);
                self.unfinished.insert(delivery.id, delivery);
            }
            Completion::Split(parts) => {
                for (index, part) in (1..).zip(parts) {
                    let id = DeliveryId(delivery.id.0 + index);
                    let prepared = Some(Box::new(part));
                    let part = PendingDelivery { id, attempts_made: 0, prepared, ..delivery.clone() };
                    self.unfinished.insert(id, part);
                }
            }
            Completion::Dead(reason) => {
                let dead = Dead {
                    event: delivery.event.id,
                    endpoint: delivery.endpoint,
                    attempts_made: delivery.attempts_made + 1,
                    reason,
                    died_at: finished.attempt.id.created_at(),
                };
                self.dead.insert(delivery.id, dead);
            }
        }
        let attempt = *finished.attempt;
        if self.attempts.contains_key(&attempt.id) {
            return;
        }
        if attempt.result == AttemptResult::Delivered {
            *self.delivered.entry(attempt.endpoint).or_default() += 1;
        }
        self.attempts.insert(attempt.id, attempt);
    }

    pub(super) fn load_due(&self, load: &LoadDue) -> Loaded {
        let rows: Vec<_> = self.unfinished.values().filter(|row| row.endpoint == load.endpoint).collect();
        let waits_behind = |row: &PendingDelivery| {
            load.ordering != Ordering::Unordered
                && row.order_key.is_some()
                && rows.iter().any(|other| {
                    other.order_key == row.order_key && other.id < row.id && other.due > load.now
                })
        };
        let mut due: Vec<_> =
            rows.iter().copied().filter(|row| row.due <= load.now && !waits_behind(row)).collect();
        due.retain(|row| !load.except.contains(&row.id));
        match load.ordering {
            Ordering::Unordered => due.sort_by_key(|row| (row.due, row.id)),
            Ordering::PerKey | Ordering::Strict => {}
        }
        let mut deliveries: Vec<PendingDelivery> = Vec::new();
        let mut bytes = 0;
        for row in due {
            bytes += row.memory_bytes();
            let is_over = !deliveries.is_empty() && bytes > load.bytes_max;
            if deliveries.len() >= load.rows_max || is_over {
                return Loaded { deliveries, next_due: Some(row.due) };
            }
            deliveries.push(row.clone());
        }
        let next_due = rows.iter().map(|row| row.due).filter(|due| *due > load.now).min();
        Loaded { deliveries, next_due }
    }

    pub(super) fn backlog(&self) -> Vec<Backlog> {
        let endpoints: BTreeSet<EndpointId> = self.unfinished.values().map(|row| row.endpoint).collect();
        let earliest = |endpoint| {
            let rows = self.unfinished.values().filter(|row| row.endpoint == endpoint);
            rows.map(|row| row.due).min().map(|earliest_due| Backlog { endpoint, earliest_due })
        };
        endpoints.into_iter().filter_map(earliest).collect()
    }

    /// All in one step.
    pub(super) fn retain(&mut self, before: UnixMillis) -> u64 {
        let unfinished: BTreeSet<EventId> = self.unfinished.values().map(|row| row.event.id).collect();
        let old: BTreeSet<EventId> = self
            .events
            .keys()
            .copied()
            .filter(|id| id.created_at() < before && !unfinished.contains(id))
            .collect();
        let rows = self.rows();
        self.events.retain(|id, _| !old.contains(id));
        self.attempts.retain(|_, attempt| !old.contains(&attempt.event));
        self.dead.retain(|_, dead| !old.contains(&dead.event));
        if let Some((_, _, _, newest)) = self.idempotency_keys.last() {
            let bound =
                self.noted_at.map_or(*newest, |noted| noted.min(*newest)).before(IDEMPOTENCY_KEY_KEPT);
            self.idempotency_keys.retain(|(_, _, _, accepted)| *accepted >= bound);
        }
        if let Some(newest) = self.remembered.values().map(|answer| answer.at).max() {
            let bound = self.noted_at.map_or(newest, |noted| newest.min(noted)).before(IDEMPOTENCY_KEY_KEPT);
            self.remembered.retain(|_, answer| answer.at >= bound);
        }
        rows - self.rows()
    }

    fn rows(&self) -> u64 {
        let rows = self.events.len()
            + self.attempts.len()
            + self.dead.len()
            + self.idempotency_keys.len()
            + self.remembered.len();
        rows as u64
    }

    pub(super) fn insert(
        &mut self,
        event: EventId,
        deliveries: &[NewDelivery],
        due: UnixMillis,
        trigger: AttemptTrigger,
    ) -> Vec<DeliveryId> {
        let mut ids = Vec::new();
        for delivery in deliveries {
            self.deliveries_made += 1;
            let id = DeliveryId(self.deliveries_made * ID_STEP);
            ids.push(id);
            // To an endpoint that was removed a moment ago: it ends like those that were removed with it.
            if !self.endpoints.contains_key(&delivery.endpoint) {
                continue;
            }
            let pending = PendingDelivery {
                id,
                event: self.events[&event].event.clone(),
                endpoint: delivery.endpoint,
                order_key: delivery.order_key,
                attempts_made: 0,
                trigger,
                due,
                prepared: None,
            };
            self.unfinished.insert(id, pending);
        }
        ids
    }
}
