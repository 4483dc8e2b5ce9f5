//! What deliveries need and applications share: places, memory for bodies, memory for what is made of them.
//!
//! How much each may take says [`Shares`], among applications first: then an endpoint may take no more than it leaves to
//! its application. Endpoints that found nothing left wait in a line. Applications stand in it in the order of how much
//! they have, and inside each its endpoints do; so where nothing is left for the first, nothing is for the others.

use std::collections::{BTreeSet, HashMap};

use crate::id::{ApplicationId, EndpointId};
use crate::share::Shares;

/// One resource, and who waits for it.
#[derive(Debug)]
pub(super) struct Resource {
    shares: Shares<ApplicationId>,
    waiting: HashMap<ApplicationId, WaitingApplication>,
    /// By what they have, then by how long they have waited.
    line: BTreeSet<(usize, u64, ApplicationId)>,
    next_turn: u64,
}

#[derive(Debug)]
struct WaitingApplication {
    used: usize,
    turn: u64,
    /// By what they have, then by how long they have waited; never empty.
    endpoints: BTreeSet<(usize, u64, EndpointId)>,
}

/// An endpoint's place in the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seat {
    used: usize,
    turn: u64,
}

impl Resource {
    pub(super) fn new(shares: Shares<ApplicationId>) -> Self {
        Self { shares, waiting: HashMap::new(), line: BTreeSet::new(), next_turn: 0 }
    }

    pub(super) fn used(&self) -> usize {
        self.shares.used()
    }

    /// How much more an endpoint that has so much may take.
    pub(super) fn left_for(&self, application: ApplicationId, endpoint_used: usize) -> usize {
        self.shares.left_for(application).saturating_sub(endpoint_used)
    }

    /// Whether there is as much at all, whoever it is for.
    pub(super) fn has(&self, amount: usize) -> bool {
        self.shares.has(amount)
    }

    pub(super) fn take(&mut self, application: ApplicationId, amount: usize) {
        self.shares.take(application, amount);
        self.move_in_line(application);
    }

    pub(super) fn give_back(&mut self, application: ApplicationId, amount: usize) {
        self.shares.give_back(application, amount);
        self.move_in_line(application);
    }

    /// Lets an endpoint that has so much wait, or (with `None`) wait no longer. Who waits already keeps its turn.
    pub(super) fn set_waiting(
        &mut self,
        seat: &mut Option<Seat>,
        application: ApplicationId,
        endpoint: EndpointId,
        used: Option<usize>,
    ) {
        if seat.map(|seat| seat.used) == used {
            return;
        }
        let turn = seat.map(|seat| seat.turn);
        if let Some(seat) = seat.take() {
            self.leave(application, endpoint, seat);
        }
        if let Some(used) = used {
            let turn = turn.unwrap_or_else(|| self.next_turn());
            *seat = Some(Seat { used, turn });
            self.stand_in_line(application).endpoints.insert((used, turn, endpoint));
        }
    }

    /// The endpoint that takes as much next, which waits no longer; none where nothing is left for any of them.
    pub(super) fn next_waiting(&mut self, amount: usize) -> Option<EndpointId> {
        let (application, endpoint, seat) = self.line.iter().find_map(|(_, _, application)| {
            let left = self.shares.left_for(*application);
            if left < amount {
                return Some(None);
            }
            // All of an application's endpoints may have what they may have of it already: then the next one's turn.
            let (used, turn, endpoint) = *self.waiting.get(application)?.endpoints.first()?;
            (used + amount <= left).then_some(Some((*application, endpoint, Seat { used, turn })))
        })??;
        self.leave(application, endpoint, seat);
        Some(endpoint)
    }

    fn leave(&mut self, application: ApplicationId, endpoint: EndpointId, seat: Seat) {
        let Some(waiting) = self.waiting.get_mut(&application) else { return };
        waiting.endpoints.remove(&(seat.used, seat.turn, endpoint));
        if waiting.endpoints.is_empty() {
            self.line.remove(&(waiting.used, waiting.turn, application));
            self.waiting.remove(&application);
        }
    }

    fn stand_in_line(&mut self, application: ApplicationId) -> &mut WaitingApplication {
        let turn = self.next_turn();
        let used = self.shares.used_by(application);
        let line = &mut self.line;
        self.waiting.entry(application).or_insert_with(|| {
            line.insert((used, turn, application));
            WaitingApplication { used, turn, endpoints: BTreeSet::new() }
        })
    }

    fn move_in_line(&mut self, application: ApplicationId) {
        if self.waiting.is_empty() {
            return;
        }
        let used = self.shares.used_by(application);
        let Some(waiting) = self.waiting.get_mut(&application) else { return };
        if waiting.used != used {
            self.line.remove(&(waiting.used, waiting.turn, application));
            waiting.used = used;
            self.line.insert((used, waiting.turn, application));
        }
    }

    fn next_turn(&mut self) -> u64 {
        self.next_turn += 1;
        self.next_turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::UnixMillis;

    fn application(number: u128) -> ApplicationId {
        ApplicationId::new(UnixMillis(0), number)
    }

    fn endpoint(number: u128) -> EndpointId {
        EndpointId::new(UnixMillis(0), number)
    }

    #[test]
    fn the_application_that_has_least_is_next_and_of_it_the_endpoint_that_has_least() {
        let mut places = Resource::new(Shares::new(100, 10, 2));
        places.take(application(1), 20);
        places.take(application(2), 10);
        let mut seats = [None; 4];
        for (number, (of, used)) in [(1, 0), (2, 7), (2, 3), (2, 3)].into_iter().enumerate() {
            places.set_waiting(&mut seats[number], application(of), endpoint(number as u128), Some(used));
        }
        assert_eq!(places.next_waiting(1), Some(endpoint(2)));
        places.take(application(2), 15);
        assert_eq!(places.next_waiting(1), Some(endpoint(0)));
        assert_eq!(places.next_waiting(1), Some(endpoint(3)));
        assert_eq!(places.next_waiting(1), Some(endpoint(1)));
        assert_eq!(places.next_waiting(1), None);
        assert!(places.line.is_empty() && places.waiting.is_empty());
    }

    #[test]
    fn who_has_all_of_his_share_does_not_stand_in_the_way() {
        let mut places = Resource::new(Shares::new(100, 10, 2));
        places.take(application(1), 20);
        places.take(application(2), 25);
        let (mut greedy, mut modest) = (None, None);
        places.set_waiting(&mut greedy, application(1), endpoint(1), Some(20));
        places.set_waiting(&mut modest, application(2), endpoint(2), Some(0));
        assert_eq!(places.next_waiting(1), Some(endpoint(2)));
        assert_eq!(places.next_waiting(1), None);
        places.set_waiting(&mut greedy, application(1), endpoint(1), None);
        assert!(places.line.is_empty() && greedy.is_none());
    }
}
