//! The breakers that are not closed, as others than the dispatcher see them.
//!
//! The dispatcher alone decides by breakers; it writes here what changed, for answers of the API and for metrics.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hookmill_core::id::EndpointId;
use hookmill_core::time::{Moment, UnixMillis};

/// Where one breaker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// Everything may start.
    Closed,
    /// Nothing starts, unless a person asks for it.
    Open {
        /// When the next probe may start, as the wall clock will show it.
        until: UnixMillis,
    },
    /// The next delivery is its probe, or is under way as such.
    HalfOpen,
}

/// Both breakers of one endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndpointBreakers {
    /// That of its receiver.
    pub endpoint: BreakerState,
    /// That of the plugin that shapes its requests.
    pub plugin: BreakerState,
}

/// The breakers that are not closed, with the moment of their next probe in steady time.
#[derive(Debug, Default)]
pub(crate) struct Breakers(Mutex<Open>);

#[derive(Debug, Default)]
struct Open {
    endpoints: HashMap<EndpointId, UnixMillis>,
    plugins: HashMap<EndpointId, UnixMillis>,
}

impl Breakers {
    /// An endpoint's breaker opened, again or anew, or (with none) it is closed.
    pub(crate) fn set_endpoint(&self, endpoint: EndpointId, open_until: Option<UnixMillis>) {
        set(&mut self.lock().endpoints, endpoint, open_until);
    }

    /// The same of its plugin's breaker.
    pub(crate) fn set_plugin(&self, endpoint: EndpointId, open_until: Option<UnixMillis>) {
        set(&mut self.lock().plugins, endpoint, open_until);
    }

    /// How many are not closed: of endpoints, and of plugins.
    pub(crate) fn open(&self) -> (usize, usize) {
        let open = self.lock();
        (open.endpoints.len(), open.plugins.len())
    }

    pub(crate) fn of(&self, endpoint: EndpointId, now: Moment) -> EndpointBreakers {
        let open = self.lock();
        let state = |breakers: &HashMap<EndpointId, UnixMillis>| match breakers.get(&endpoint) {
            None => BreakerState::Closed,
            Some(until) if *until > now.steady => BreakerState::Open { until: now.shown(*until) },
            Some(_) => BreakerState::HalfOpen,
        };
        EndpointBreakers { endpoint: state(&open.endpoints), plugin: state(&open.plugins) }
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn set(breakers: &mut HashMap<EndpointId, UnixMillis>, endpoint: EndpointId, open_until: Option<UnixMillis>) {
    match open_until {
        Some(until) => breakers.insert(endpoint, until),
        None => breakers.remove(&endpoint),
    };
}
