//! Whether an endpoint can start a delivery or read its next ones now, and what it waits for otherwise.

use hashbrown::HashMap;

use super::queue::{EndpointQueue, LoadState, Next};
use super::rate::Departures;
use super::resource::Resource;
use super::{HELD_LOW_WATER, RELEASE_PAUSE_MILLIS};
use crate::breaker::Permit;
use crate::id::ApplicationId;
use crate::time::UnixMillis;

/// Whether an endpoint can start a delivery.
pub(super) enum Go {
    Now(Next),
    Later(UnixMillis),
    WhenSomethingEnds,
    WhenAPlaceIsFree,
    /// So much of it.
    WhenThereIsMemory(usize),
}

pub(super) fn go(
    queue: &EndpointQueue,
    application_rates: &HashMap<ApplicationId, Departures>,
    places: &Resource,
    made: &Resource,
    now: UnixMillis,
) -> Go {
    let Some(next) = queue.next().filter(|_| queue.terms.enabled) else {
        return Go::WhenSomethingEnds;
    };
    if !queue.has_place() {
        return Go::WhenSomethingEnds;
    }
    if places.left_for(queue.terms.application, queue.under_way()) == 0 {
        return Go::WhenAPlaceIsFree;
    }
    if next.made_bytes > made.left_for(queue.terms.application, 0) {
        return Go::WhenThereIsMemory(next.made_bytes);
    }
    let resumes = held_back_by_itself_until(queue, now).unwrap_or(now);
    let at = rates_allow_at(queue, application_rates, now).max(resumes);
    if at > now { Go::Later(at) } else { Go::Now(next) }
}

/// When the endpoint's rate and its application's let the next delivery go.
fn rates_allow_at(
    queue: &EndpointQueue,
    application_rates: &HashMap<ApplicationId, Departures>,
    now: UnixMillis,
) -> UnixMillis {
    let own = queue.terms.rate.map_or(now, |rate| queue.rate.next_at(rate, now));
    let shared = queue.terms.application_rate.map_or(now, |rate| {
        application_rates.get(&queue.terms.application).map_or(now, |gone| gone.next_at(rate, now))
    });
    own.max(shared)
}

/// The end of the pause that the receiver asked for, or that a breaker made, the endpoint's or its plugin's.
fn held_back_by_itself_until(queue: &EndpointQueue, now: UnixMillis) -> Option<UnixMillis> {
    let breaker = match queue.breaker.peek(now) {
        Permit::Normal | Permit::Probe => now,
        Permit::Wait { until } => until,
    };
    Some(queue.paused_until.max(queue.plugin_paused_until).max(breaker)).filter(|until| *until > now)
}

/// The end of a pause, or of a wait for a rate that is so long that nothing is held meanwhile.
pub(super) fn held_back_until(
    queue: &EndpointQueue,
    application_rates: &HashMap<ApplicationId, Departures>,
    now: UnixMillis,
) -> Option<UnixMillis> {
    let by_rate =
        Some(rates_allow_at(queue, application_rates, now)).filter(|at| at.0 > now.0 + RELEASE_PAUSE_MILLIS);
    by_rate.max(held_back_by_itself_until(queue, now))
}

pub(super) fn wants_load(
    queue: &EndpointQueue,
    application_rates: &HashMap<ApplicationId, Departures>,
    now: UnixMillis,
) -> bool {
    queue.terms.enabled
        && queue.load == LoadState::Idle
        && queue.held_len() <= HELD_LOW_WATER
        && queue.stored_due.is_some_and(|due| due <= now)
        && held_back_until(queue, application_rates, now).is_none()
}
