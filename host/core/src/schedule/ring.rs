//! Two-level deficit round robin: applications take turns, and inside each its endpoints do.
//!
//! M. Shreedhar and G. Varghese, "Efficient Fair Queuing using Deficit Round Robin", 1995. A turn gives a member a
//! quantum of credit; it goes on until its next delivery costs more than it has left. So no application gets more
//! than its share by having many endpoints, and no endpoint by having large bodies.

use std::collections::VecDeque;

use hashbrown::HashMap;

use crate::id::{ApplicationId, EndpointId};

/// Bytes of a body that cost one more unit of credit.
pub(super) const COST_BYTES: usize = 16 << 10;
/// Credit of an application's turn.
const APPLICATION_QUANTUM: u32 = 32;
/// Credit of an endpoint's turn.
const ENDPOINT_QUANTUM: u32 = 8;

/// What a delivery with a body of so many bytes costs.
pub(super) fn cost(body_bytes: usize) -> u32 {
    u32::try_from(1 + body_bytes / COST_BYTES).unwrap_or(u32::MAX)
}

/// Who goes next, among the endpoints that can.
#[derive(Debug, Default)]
pub(super) struct Ring {
    turns: VecDeque<ApplicationId>,
    applications: HashMap<ApplicationId, Member<VecDeque<(EndpointId, u32)>>>,
}

#[derive(Debug, Default)]
struct Member<Turns> {
    credit: u32,
    turns: Turns,
}

impl Ring {
    /// Lets an endpoint take part; the caller sees to it that none takes part twice.
    pub(super) fn join(&mut self, application: ApplicationId, endpoint: EndpointId) {
        let member = self.applications.entry(application).or_default();
        if member.turns.is_empty() {
            self.turns.push_back(application);
        }
        member.turns.push_back((endpoint, 0));
    }

    /// The endpoint whose turn it is; `cost_of` tells what its next delivery costs, or that it has none to give
    /// now, upon which it leaves the ring.
    ///
    /// The answered endpoint stays in the ring and keeps its turn while its credit lasts.
    pub(super) fn next(&mut self, mut cost_of: impl FnMut(EndpointId) -> Option<u32>) -> Option<EndpointId> {
        loop {
            let application = *self.turns.front()?;
            let Some(member) = self.applications.get_mut(&application) else {
                self.turns.pop_front();
                continue;
            };
            let Some((endpoint, credit)) = member.turns.front_mut() else {
                self.turns.pop_front();
                self.applications.remove(&application);
                continue;
            };
            let Some(cost) = cost_of(*endpoint) else {
                member.turns.pop_front();
                continue;
            };
            if member.credit < cost {
                member.credit = member.credit.saturating_add(APPLICATION_QUANTUM);
                self.turns.rotate_left(1);
            } else if *credit < cost {
                *credit = credit.saturating_add(ENDPOINT_QUANTUM);
                member.turns.rotate_left(1);
            } else {
                *credit -= cost;
                member.credit -= cost;
                return Some(*endpoint);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::time::UnixMillis;

    fn application(number: u128) -> ApplicationId {
        ApplicationId::new(UnixMillis(0), number)
    }

    fn endpoint(number: u128) -> EndpointId {
        EndpointId::new(UnixMillis(0), number)
    }

    #[test]
    fn an_application_gains_nothing_by_many_endpoints() {
        let mut ring = Ring::default();
        ring.join(application(0), endpoint(0));
        for number in 1..=9 {
            ring.join(application(1), endpoint(number));
        }
        let rounds = 6400;
        let alone = (0..rounds).filter(|_| ring.next(|_| Some(1)) == Some(endpoint(0))).count();
        assert!(alone.abs_diff(rounds / 2) <= APPLICATION_QUANTUM as usize, "{alone} of {rounds}");
    }

    #[test]
    fn one_who_has_nothing_leaves() {
        let mut ring = Ring::default();
        ring.join(application(0), endpoint(0));
        ring.join(application(1), endpoint(1));
        assert_eq!(ring.next(|id| (id == endpoint(1)).then_some(1)), Some(endpoint(1)));
        assert_eq!(ring.next(|_| None), None);
        assert!(ring.turns.is_empty() && ring.applications.is_empty());
    }

    proptest! {
        /// The bound of the paper: between two members that always have work, service differs by at most a
        /// quantum and the largest cost, whatever their deliveries cost.
        #[test]
        fn service_is_fair_whatever_the_sizes(costs in proptest::collection::vec(1u32..=65, 2..12)) {
            let mut ring = Ring::default();
            for number in 0..costs.len() as u128 {
                ring.join(application(0), endpoint(number));
            }
            let cost_of = |id: EndpointId| costs[(0..costs.len()).find(|&n| endpoint(n as u128) == id).unwrap()];
            let mut served = vec![0u32; costs.len()];
            for _ in 0..2000 {
                let id = ring.next(|id| Some(cost_of(id))).unwrap();
                let index = (0..costs.len()).find(|&n| endpoint(n as u128) == id).unwrap();
                served[index] += costs[index];
            }
            let least = served.iter().min().unwrap();
            let most = served.iter().max().unwrap();
            prop_assert!(most - least <= 2 * (ENDPOINT_QUANTUM + 65), "{served:?}");
        }
    }
}
