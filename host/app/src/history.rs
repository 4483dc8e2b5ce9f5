//! What happened: events, attempts, where each delivery stands, and sending again.
//!
//! Everything here reads the store a page at a time, newest first. A filter that the store has no index for
//! ([`AttemptFilter`]) is applied to what is read; how much is read for one page is bounded
//! ([`PAGE_ROWS_MAX`](hookmill_core::limits::PAGE_ROWS_MAX), [`PAGE_BYTES_MAX`](hookmill_core::limits::PAGE_BYTES_MAX)),
//! and a page that ends there says where to go on.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use hookmill_core::event::{Event, Name};
use hookmill_core::id::{ApplicationId, AttemptId, EndpointId, EventId};
use hookmill_core::limits::{
    PAGE_ITEMS_MAX, PAGE_ROWS_MAX, READING_EVENT_BYTES, READING_PAGE_BYTES, READING_WAIT_MAX,
};
use hookmill_core::port::store::{
    AttemptQuery, AttemptRecord, AttemptResult, AttemptTrigger, AttemptsOf, DeliveryStatus, EndpointCounts,
    EventLookup, EventQuery, Found, NewDelivery, PageFrom, PendingDelivery, order_key,
};
use hookmill_core::route::Routes;
use hookmill_core::time::UnixMillis;

use crate::memory::Lease;
use crate::{App, AppError, ErrorKind};

mod held;
mod page;

use page::Admitted;
pub use page::{Page, PageRequest};

/// Events whose standing is asked for one page, at most: each takes some reads of its own.
const STANDINGS_ASKED_MAX: usize = 500;

/// When a reader may ask again who found no memory.
const READING_RETRY: Duration = Duration::from_secs(1);

/// Memory in which a page is read.
pub type ReadingMemory = Lease<ApplicationId>;

/// An event that was read for a caller, with the memory that it takes until it is answered.
#[derive(Debug)]
pub struct ReadEvent {
    event: Arc<Event>,
    _memory: ReadingMemory,
}

impl Deref for ReadEvent {
    type Target = Arc<Event>;

    fn deref(&self) -> &Arc<Event> {
        &self.event
    }
}

/// Which attempts a reader wants.
#[derive(Debug, Clone)]
pub struct AttemptFilter {
    /// Of this event or endpoint.
    pub of: AttemptsOf,
    /// With one of these results; any where there are none.
    pub results: Vec<AttemptResult>,
    /// With a status in this hundred; 0 for those without an answer.
    pub status_class: Option<u16>,
    /// Of events of these types; any where there are none.
    pub event_types: Vec<Name>,
    /// Of events with this channel.
    pub channel: Option<Name>,
    /// Started before.
    pub before: Option<UnixMillis>,
    /// Started after.
    pub after: Option<UnixMillis>,
}

/// Where the delivery of one event to one endpoint stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is done.
    Done,
    /// It was not tried yet.
    Pending {
        /// When it is, as the wall clock will show it.
        due: UnixMillis,
    },
    /// It failed and is tried again.
    Retrying {
        /// When it is, as the wall clock will show it.
        due: UnixMillis,
    },
    /// It failed for good.
    Failed,
}

impl App {
    /// Reads one event by the router's id or the sender's.
    ///
    /// # Errors
    /// No such event.
    pub async fn event(&self, application: ApplicationId, id_or_uid: &str) -> Result<ReadEvent, AppError> {
        let lookup = match (id_or_uid.parse(), id_or_uid.parse()) {
            (Ok(id), _) => EventLookup::Id(id),
            (Err(_), Ok(uid)) => EventLookup::Uid(uid),
            (Err(_), Err(_)) => return Err(AppError::not_found("message")),
        };
        let mut memory = self.leased_for_reading(application, READING_EVENT_BYTES).await?;
        let event = self.store.event(application, lookup).await?;
        let event = event.ok_or_else(|| AppError::not_found("message"))?;
        memory.shrink_to(2 * event.memory_bytes());
        Ok(ReadEvent { event, _memory: memory })
    }

    /// Leases memory to read a page of an application's events in. Held until the page is answered: whoever reads many at once
    /// waits for himself.
    ///
    /// # Errors
    /// Where it does not come in time.
    pub async fn reading_memory(&self, application: ApplicationId) -> Result<ReadingMemory, AppError> {
        self.leased_for_reading(application, READING_PAGE_BYTES).await
    }

    async fn leased_for_reading(
        &self,
        application: ApplicationId,
        bytes: usize,
    ) -> Result<ReadingMemory, AppError> {
        let lease = self.reading.lease(application, bytes);
        tokio::time::timeout(READING_WAIT_MAX, lease).await.map_err(|_| {
            let message = "too many of this application's messages are being read; ask again after a moment, and for fewer \
                           at once";
            AppError::new(ErrorKind::Busy(READING_RETRY), "overloaded", message)
        })
    }

    /// Reads a page of events. `query.limit` is what the page may hold.
    ///
    /// # Errors
    /// When the store can't be read.
    pub async fn events(&self, mut query: EventQuery) -> Result<Page<EventId, Arc<Event>>, AppError> {
        let mut scan = page::Scan::new(PageRequest { from: query.from, limit: query.limit });
        while let Some(step) = scan.next_step() {
            (query.from, query.limit) = (step.from, step.limit);
            let found = self.store.events(query.clone()).await?;
            let progress = event_progress(&step, &found);
            let admitted = found.items.into_iter().map(|event| Admitted {
                id: event.id,
                shown_bytes: event.shown_bytes_max(),
                item: event,
            });
            scan.take(&progress, admitted.collect());
        }
        Ok(scan.finish())
    }

    /// Reads one attempt of one event.
    ///
    /// # Errors
    /// No such attempt.
    pub async fn attempt(
        &self,
        application: ApplicationId,
        event: EventId,
        attempt: &str,
    ) -> Result<AttemptRecord, AppError> {
        let missing = || AppError::not_found("message attempt");
        let id: AttemptId = attempt.parse().map_err(|_| missing())?;
        let record = self.store.attempt(application, event, id).await?;
        record.ok_or_else(missing)
    }

    /// Reads a page of attempts.
    ///
    /// # Errors
    /// When the store can't be read.
    pub async fn attempts(
        &self,
        application: ApplicationId,
        filter: &AttemptFilter,
        request: PageRequest<AttemptId>,
    ) -> Result<Page<AttemptId, AttemptRecord>, AppError> {
        let mut scan = page::Scan::new(request);
        while let Some(step) = scan.next_step() {
            let query = AttemptQuery {
                application,
                of: filter.of,
                from: step.from,
                limit: step.limit,
                result: filter.single_result(),
                before: filter.before,
                after: filter.after,
            };
            let found = self.store.attempts(query).await?;
            let progress = page::Progress::of(&step, &found, |record| record.id);
            let mut admitted = Vec::with_capacity(found.items.len());
            for record in found.items {
                if filter.admits(&record) && self.admits_event(application, filter, &record).await? {
                    // Lists show the beginning of each answer, and nothing larger.
                    admitted.push(Admitted {
                        id: record.id,
                        shown_bytes: record.response.len(),
                        item: record,
                    });
                }
            }
            scan.take(&progress, admitted);
        }
        Ok(scan.finish())
    }

    /// Reads a page of events that were tried, or wait to be tried, at one endpoint, with where each stands.
    ///
    /// # Errors
    /// When the store can't be read.
    pub async fn events_at(
        &self,
        endpoint: EndpointId,
        mut query: EventQuery,
        wanted: impl Fn(Standing) -> bool + Send,
    ) -> Result<Page<EventId, (Arc<Event>, Standing)>, AppError> {
        let request = PageRequest { from: query.from, limit: query.limit };
        let mut scan = page::Scan::of_rows(request, STANDINGS_ASKED_MAX);
        while let Some(step) = scan.next_step() {
            (query.from, query.limit) = (step.from, step.limit);
            let found = self.store.events(query.clone()).await?;
            let progress = event_progress(&step, &found);
            let mut admitted = Vec::new();
            for event in found.items {
                match self.standing(&event, endpoint).await? {
                    Some(standing) if wanted(standing) => {
                        let (id, shown_bytes) = (event.id, event.shown_bytes_max());
                        admitted.push(Admitted { id, shown_bytes, item: (event, standing) });
                    }
                    Some(_) | None => {}
                }
            }
            scan.take(&progress, admitted);
        }
        Ok(scan.finish())
    }

    /// Where an event stands at each of the application's endpoints that it went to, by endpoint.
    ///
    /// # Errors
    /// When the store can't be read.
    pub async fn destinations(
        &self,
        routes: &Routes,
        event: &Event,
    ) -> Result<BTreeMap<EndpointId, Standing>, AppError> {
        let mut touched: BTreeSet<EndpointId> = self
            .store
            .deliveries_of(event.application, event.id)
            .await?
            .iter()
            .map(|state| state.endpoint)
            .collect();
        let filter = AttemptFilter::of(AttemptsOf::Event(event.id, None));
        let mut from = PageFrom::Newest;
        for _ in 0..PAGE_ROWS_MAX / PAGE_ITEMS_MAX {
            let request = PageRequest { from, limit: PAGE_ITEMS_MAX };
            let page = self.attempts(event.application, &filter, request).await?;
            touched.extend(page.items.iter().map(|record| record.endpoint));
            match page.next {
                Some(last) if !page.done => from = PageFrom::OlderThan(last),
                Some(_) | None => break,
            }
        }
        let mut standings = BTreeMap::new();
        for endpoint in touched.into_iter().filter(|endpoint| routes.endpoints.contains_key(endpoint)) {
            if let Some(standing) = self.standing(event, endpoint).await? {
                standings.insert(endpoint, standing);
            }
        }
        Ok(standings)
    }

    /// Counts one endpoint's deliveries by state.
    ///
    /// # Errors
    /// When the store can't be read.
    pub async fn endpoint_counts(
        &self,
        application: ApplicationId,
        endpoint: EndpointId,
    ) -> Result<EndpointCounts, AppError> {
        Ok(self.store.endpoint_counts(application, endpoint).await?)
    }

    /// Sends an event to an endpoint once more, whatever its filter and earlier deliveries say.
    ///
    /// # Errors
    /// No such event or endpoint, a full queue or disk.
    pub async fn resend(
        &self,
        routes: &Routes,
        event: &Arc<Event>,
        endpoint: EndpointId,
    ) -> Result<(), AppError> {
        let endpoint = routes.endpoints.get(&endpoint).ok_or_else(|| AppError::not_found("endpoint"))?;
        let due = self.steady();
        let order_key = order_key(endpoint.policy.effective().ordering, event);
        let delivery = NewDelivery { endpoint: endpoint.id, order_key };
        let ids = self.store.redeliver(event.application, event.id, vec![delivery], due).await?;
        let pending = ids.into_iter().map(|id| PendingDelivery {
            id,
            event: Arc::clone(event),
            endpoint: endpoint.id,
            order_key,
            attempts_made: 0,
            trigger: AttemptTrigger::Manual,
            due,
            prepared: None,
        });
        match self.accepting.try_lease(event.application, event.memory_bytes()) {
            Some(memory) => self.dispatcher.appended(pending.collect(), memory),
            None => self.dispatcher.requested(endpoint.id, due),
        }
        Ok(())
    }

    /// Where one event stands at one endpoint; nowhere, if it did not go there.
    async fn standing(&self, event: &Event, endpoint: EndpointId) -> Result<Option<Standing>, AppError> {
        let states = self.store.deliveries_of(event.application, event.id).await?;
        let here = states.iter().filter(|state| state.endpoint == endpoint);
        let waiting = here.clone().find_map(|state| match state.status {
            DeliveryStatus::Waiting(due) => Some((state.attempts_made, due)),
            DeliveryStatus::Dead(_) => None,
        });
        if let Some((attempts_made, due)) = waiting {
            let (untried, due) = (attempts_made == 0, self.moment().shown(due));
            return Ok(Some(if untried { Standing::Pending { due } } else { Standing::Retrying { due } }));
        }
        let latest = self.latest_attempt(event, endpoint).await?;
        Ok(match latest.map(|record| record.result) {
            Some(AttemptResult::Delivered | AttemptResult::Dropped | AttemptResult::Split) => {
                Some(Standing::Done)
            }
            Some(AttemptResult::Failed) => Some(Standing::Failed),
            None => here.count().checked_sub(1).map(|_| Standing::Failed),
        })
    }

    async fn latest_attempt(
        &self,
        event: &Event,
        endpoint: EndpointId,
    ) -> Result<Option<AttemptRecord>, AppError> {
        let mut from = PageFrom::Newest;
        loop {
            let query = AttemptQuery {
                application: event.application,
                of: AttemptsOf::Event(event.id, Some(endpoint)),
                from,
                limit: 1,
                result: None,
                before: None,
                after: None,
            };
            let mut found = self.store.attempts(query).await?;
            match (found.items.pop(), found.stopped_at) {
                (None, Some(id)) => from = PageFrom::OlderThan(id),
                (latest, _) => return Ok(latest),
            }
        }
    }

    async fn admits_event(
        &self,
        application: ApplicationId,
        filter: &AttemptFilter,
        record: &AttemptRecord,
    ) -> Result<bool, AppError> {
        if filter.event_types.is_empty() && filter.channel.is_none() {
            return Ok(true);
        }
        let event = self.store.event(application, EventLookup::Id(record.event)).await?;
        Ok(event.is_some_and(|event| {
            let type_admitted =
                filter.event_types.is_empty() || filter.event_types.contains(&event.event_type);
            let channels = event.channels.as_slice();
            type_admitted && filter.channel.as_ref().is_none_or(|channel| channels.contains(channel))
        }))
    }
}

/// How far a read of events went.
fn event_progress(step: &page::Step<EventId>, found: &Found<EventId, Arc<Event>>) -> page::Progress<EventId> {
    let bytes = found.items.iter().map(|event| event.body.len()).sum();
    page::Progress { bytes, ..page::Progress::of(step, found, |event| event.id) }
}

impl AttemptFilter {
    /// All of an event or endpoint.
    #[must_use]
    pub fn of(of: AttemptsOf) -> Self {
        Self {
            of,
            results: Vec::new(),
            status_class: None,
            event_types: Vec::new(),
            channel: None,
            before: None,
            after: None,
        }
    }

    /// The one result that the store can look for.
    fn single_result(&self) -> Option<AttemptResult> {
        match self.results.as_slice() {
            [result] => Some(*result),
            _ => None,
        }
    }

    fn admits(&self, record: &AttemptRecord) -> bool {
        let result_admitted = self.results.is_empty() || self.results.contains(&record.result);
        let class = record.status.unwrap_or_default() / 100 * 100;
        result_admitted && self.status_class.is_none_or(|wanted| wanted == class)
    }
}
