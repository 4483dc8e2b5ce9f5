//! Sending again what an endpoint missed.

use std::sync::Arc;

use hookmill_core::id::{EndpointId, EventId};
use hookmill_core::limits::PAGE_ITEMS_MAX;
use hookmill_core::port::store::{AttemptQuery, AttemptResult, AttemptsOf, EventLookup, PageFrom};
use hookmill_core::route::Routes;
use hookmill_core::time::UnixMillis;

use super::Standing;
use crate::{App, AppError};

/// What is to be sent again.
#[derive(Debug, Clone)]
pub struct Recovery {
    /// The tenant.
    pub routes: Arc<Routes>,
    /// Which endpoint missed it.
    pub endpoint: EndpointId,
    /// Failed after.
    pub since: UnixMillis,
    /// Failed before.
    pub until: UnixMillis,
}

impl App {
    /// Sends again in the background; the answer names the task in the log. What the process's end breaks off can
    /// be asked for again.
    pub fn start_recovery(self: &Arc<Self>, recovery: Recovery) -> EventId {
        let task = EventId::new(self.clock.now(), self.entropy.id_bits());
        let app = Arc::clone(self);
        tokio::spawn(async move {
            let (application, endpoint) = (recovery.routes.application.id, recovery.endpoint);
            match app.recover(&recovery).await {
                Ok(recovered) => {
                    tracing::info!(%application, %endpoint, %task, recovered, "recovery finished");
                }
                Err(error) => {
                    tracing::warn!(%application, %endpoint, %task, code = error.code, %error, "recovery failed");
                }
            }
        });
        task
    }

    /// Sends again every event whose delivery to the endpoint failed for good in the period; answers how many.
    ///
    /// It reads a page of failed attempts at a time, newest first, and skips what was delivered or is waiting
    /// meanwhile, so that it can be broken off and begun again.
    ///
    /// # Errors
    /// When the store fails, or its queue or disk is full; what was sent again until then stays so.
    pub async fn recover(&self, recovery: &Recovery) -> Result<u64, AppError> {
        let Recovery { routes, endpoint, since, until } = recovery;
        let application = routes.application.id;
        let mut from = PageFrom::Newest;
        let mut recovered = 0;
        loop {
            let query = AttemptQuery {
                application,
                of: AttemptsOf::Endpoint(*endpoint),
                from,
                limit: PAGE_ITEMS_MAX,
                result: Some(AttemptResult::Failed),
                before: Some(*until),
                after: Some(*since),
            };
            let records = self.store.attempts(query).await?;
            let Some(oldest) = records.last() else { return Ok(recovered) };
            from = PageFrom::OlderThan(oldest.id);
            for record in records.iter().filter(|record| record.next_due.is_none()) {
                let lookup = EventLookup::Id(record.event);
                let Some(event) = self.store.event(application, lookup).await? else { continue };
                if self.standing(&event, *endpoint).await? == Some(Standing::Failed) {
                    self.resend(routes, &event, *endpoint).await?;
                    recovered += 1;
                }
            }
        }
    }
}
