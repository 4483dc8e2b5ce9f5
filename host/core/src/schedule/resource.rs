//! What deliveries need and applications share: places, memory for bodies, memory for what is made of them.
//!
//! How much each may take says [`Shares`], among applications first: then an endpoint may take no more than it leaves to
//! its application. Endpoints that found nothing left wait in a line. Applications stand in it in the order of how much
//! they have, and inside each its endpoints do; so where nothing is left for the first, nothing is for the others.

use std::collections::BTreeSet;

use hashbrown::HashMap;

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
    /// By what they have, then by how long they have waited; never empty. With how much each of them wants.
    endpoints: BTreeSet<(usize, u64, EndpointId, usize)>,
}

/// An endpoint's place in the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seat {
    want: Want,
    turn: u64,
}

/// What an endpoint waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Want {
    /// How much it has.
    pub(super) used: usize,
    /// How much more it wants.
    pub(super) amount: usize,
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

    /// Lets an endpoint wait, or (with `None`) wait no longer. Who waits already keeps its turn.
    pub(super) fn set_waiting(
        &mut self,
        seat: &mut Option<Seat>,
        application: ApplicationId,
        endpoint: EndpointId,
        want: Option<Want>,
    ) {
        if seat.map(|seat| seat.want) == want {
            return;
        }
        let turn = seat.map(|seat| seat.turn);
        if let Some(seat) = seat.take() {
            self.leave(application, endpoint, seat);
        }
        if let Some(want) = want {
            let turn = turn.unwrap_or_else(|| self.next_turn());
            *seat = Some(Seat { want, turn });
            self.stand_in_line(application).endpoints.insert((want.used, turn, endpoint, want.amount));
        }
    }

    /// The endpoint that takes what it wants next, which waits no longer; none where that is not left for whoever has least:
    /// it is kept for it then.
    pub(super) fn next_waiting(&mut self) -> Option<EndpointId> {
        let (application, endpoint, seat) = self.line.iter().find_map(|(_, _, application)| {
            let left = self.shares.left_for(*application);
            let (used, turn, endpoint, amount) = *self.waiting.get(application)?.endpoints.first()?;
            if left < amount {
                return Some(None);
            }
            // All of an application's endpoints may have what they may have of it already: then the next one's turn.
            let seat = Seat { want: Want { used, amount }, turn };
            (used + amount <= left).then_some(Some((*application, endpoint, seat)))
        })??;
        self.leave(application, endpoint, seat);
        Some(endpoint)
    }

    fn leave(&mut self, application: ApplicationId, endpoint: EndpointId, seat: Seat) {
        let Some(waiting) = self.waiting.get_mut(&application) else { return };
        let Seat { want, turn } = seat;
        waiting.endpoints.remove(&(want.used, turn, endpoint, want.amount));
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

    fn want(used: usize) -> Option<Want> {
        Some(Want { used, amount: 1 })
    }

    #[test]
    fn the_application_that_has_least_is_next_and_of_it_the_endpoint_that_has_least() {
        let mut places = Resource::new(Shares::new(100, 10, 2));
        places.take(application(1), 20);
        places.take(application(2), 10);
        let mut seats = [None; 4];
        for (number, (of, used)) in [(1, 0), (2, 7), (2, 3), (2, 3)].into_iter().enumerate() {
            places.set_waiting(&mut seats[number], application(of), endpoint(number as u128), want(used));
        }
        assert_eq!(places.next_waiting(), Some(endpoint(2)));
        places.take(application(2), 15);
        assert_eq!(places.next_waiting(), Some(endpoint(0)));
        assert_eq!(places.next_waiting(), Some(endpoint(3)));
        assert_eq!(places.next_waiting(), Some(endpoint(1)));
        assert_eq!(places.next_waiting(), None);
        assert!(places.line.is_empty() && places.waiting.is_empty());
    }

    #[test]
    fn what_whoever_has_least_wants_is_kept_for_it() {
        let mut bytes = Resource::new(Shares::new(100, 40, 20));
        let (mut much, mut little) = (None, None);
        bytes.take(application(1), 10);
        bytes.take(application(3), 75);
        let wants = |amount| Some(Want { used: 0, amount });
        bytes.set_waiting(&mut little, application(1), endpoint(1), wants(5));
        bytes.set_waiting(&mut much, application(2), endpoint(2), wants(20));
        assert_eq!(bytes.next_waiting(), None, "15 are left, and they are not for whoever has 10 of them");
        bytes.give_back(application(3), 5);
        assert_eq!(bytes.next_waiting(), Some(endpoint(2)));
        bytes.take(application(2), 20);
        assert_eq!(bytes.next_waiting(), None);
        bytes.give_back(application(3), 5);
        assert_eq!(bytes.next_waiting(), Some(endpoint(1)));
    }

    #[test]
    fn who_has_all_of_his_share_does_not_stand_in_the_way() {
        let mut places = Resource::new(Shares::new(100, 10, 2));
        places.take(application(1), 20);
        places.take(application(2), 25);
        let (mut greedy, mut modest) = (None, None);
        places.set_waiting(&mut greedy, application(1), endpoint(1), want(20));
        places.set_waiting(&mut modest, application(2), endpoint(2), want(0));
        assert_eq!(places.next_waiting(), Some(endpoint(2)));
        assert_eq!(places.next_waiting(), None);
        places.set_waiting(&mut greedy, application(1), endpoint(1), None);
        assert!(places.line.is_empty() && greedy.is_none());
    }
}
