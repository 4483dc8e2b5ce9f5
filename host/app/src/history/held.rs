//! Sending what waited for its plugin to be mended.
//!
//! A run that fails alike each time is not repeated: its delivery is a dead letter with the fault as its reason. Where the
//! endpoint wants such deliveries held, they go out when what decides about the run is changed: the plugin's version, the
//! settings, the secrets.

use hookmill_core::delivery::is_repeating_fault;
use hookmill_core::endpoint::Endpoint;
use hookmill_core::id::{EndpointId, EventId};
use hookmill_core::limits::PAGE_ITEMS_MAX;
use hookmill_core::port::store::{
    AttemptQuery, AttemptRecord, AttemptResult, AttemptsOf, EventLookup, PageFrom,
};

use super::Standing;
use crate::{App, AppError};

/// Pages of failed attempts that are looked through for one endpoint; older ones are sent by `recover`.
const PAGES_MAX: usize = 40;

impl App {
    /// Sends again what an endpoint holds, oldest first, and answers how much that was. Repeats find nothing more to do.
    ///
    /// # Errors
    /// When the store fails, or its queue or disk is full.
    pub(crate) async fn release_held(&self, endpoint: EndpointId) -> Result<usize, AppError> {
        let _one_at_a_time = self.releasing.lock().await;
        let Some(endpoint) = self.table().endpoints.get(&endpoint).cloned() else { return Ok(0) };
        let Some(routes) = self.table().applications.get(&endpoint.application).cloned() else {
            return Ok(0);
        };
        let mut released = 0;
        for event in self.held_events(&endpoint).await?.into_iter().rev() {
            let lookup = EventLookup::Id(event);
            let Some(event) = self.store.event(endpoint.application, lookup).await? else { continue };
            if self.standing(&event, endpoint.id).await? == Some(Standing::Failed) {
                self.resend(&routes, &event, endpoint.id).await?;
                released += 1;
            }
        }
        Ok(released)
    }

    /// Events whose last attempt here ended in a fault that comes again, newest first.
    async fn held_events(&self, endpoint: &Endpoint) -> Result<Vec<EventId>, AppError> {
        let mut events = Vec::new();
        let mut from = PageFrom::Newest;
        for _ in 0..PAGES_MAX {
            let query = AttemptQuery {
                application: endpoint.application,
                of: AttemptsOf::Endpoint(endpoint.id),
                from,
                limit: PAGE_ITEMS_MAX,
                result: Some(AttemptResult::Failed),
                before: None,
                after: None,
            };
            let found = self.store.attempts(query).await?;
            events.extend(found.items.iter().filter(|record| is_held(record)).map(|record| record.event));
            let last = found.items.last().filter(|_| found.items.len() >= PAGE_ITEMS_MAX);
            let Some(last) = found.stopped_at.or(last.map(|record| record.id)) else { break };
            from = PageFrom::OlderThan(last);
        }
        Ok(events)
    }
}

/// Whether a run ended so that the next would have, and no other was to follow.
fn is_held(record: &AttemptRecord) -> bool {
    let code = record.failure_code.as_deref().unwrap_or_default();
    let is_verdict = matches!(code, "plugin_asked_retry" | "plugin_rejected");
    record.next_due.is_none()
        && record.plugin.is_some()
        && code.starts_with("plugin_")
        && !is_verdict
        && is_repeating_fault(code)
}
