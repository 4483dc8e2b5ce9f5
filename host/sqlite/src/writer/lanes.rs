//! What waits for the writer, by whoever it is for: deficit round robin, so that what one tenant's work costs another
//! tenant does not wait for. The work of each goes in the order in which it came. A pure data structure.

use std::collections::VecDeque;
use std::hash::Hash;

use hashbrown::HashMap;

/// What an owner may spend in one turn. Large enough that a turn is mostly more than one piece of work.
const QUANTUM: usize = 64;

/// Work by owner.
#[derive(Debug)]
pub(super) struct Lanes<Owner, Job> {
    lanes: HashMap<Owner, Lane<Job>>,
    /// Owners with work; the first has its turn.
    turns: VecDeque<Owner>,
    len: usize,
}

#[derive(Debug)]
struct Lane<Job> {
    jobs: VecDeque<(usize, Job)>,
    /// What is left of the turns that it had.
    credit: usize,
    /// The turn has begun: its quantum is given.
    is_begun: bool,
}

impl<Owner, Job> Default for Lanes<Owner, Job> {
    fn default() -> Self {
        Self { lanes: HashMap::new(), turns: VecDeque::new(), len: 0 }
    }
}

impl<Owner: Copy + Eq + Hash, Job> Lanes<Owner, Job> {
    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many have work.
    pub(super) fn owners(&self) -> usize {
        self.turns.len()
    }

    pub(super) fn push(&mut self, owner: Owner, cost: usize, job: Job) {
        let turns = &mut self.turns;
        let lane = self.lanes.entry(owner).or_insert_with(|| {
            turns.push_back(owner);
            Lane { jobs: VecDeque::new(), credit: 0, is_begun: false }
        });
        lane.jobs.push_back((cost, job));
        self.len += 1;
    }

    /// The next piece of work with its owner and cost, if `wants` it; where it does not, it stays the next.
    pub(super) fn pop_if(&mut self, wants: impl FnOnce(usize, &Job) -> bool) -> Option<(Owner, usize, Job)> {
        loop {
            let owner = *self.turns.front()?;
            let lane = self.lanes.get_mut(&owner)?;
            if !std::mem::replace(&mut lane.is_begun, true) {
                lane.credit += QUANTUM;
            }
            let (cost, job) = lane.jobs.front()?;
            let cost = *cost;
            if cost > lane.credit {
                lane.is_begun = false;
                self.turns.rotate_left(1);
                continue;
            }
            if !wants(cost, job) {
                return None;
            }
            let (_, job) = lane.jobs.pop_front()?;
            lane.credit -= cost;
            self.len -= 1;
            if lane.jobs.is_empty() {
                // Absence earns nothing.
                self.lanes.remove(&owner);
                self.turns.pop_front();
            }
            return Some((owner, cost, job));
        }
    }

    /// All of it, in any order.
    pub(super) fn take_all(&mut self) -> impl Iterator<Item = Job> + use<Owner, Job> {
        std::mem::take(self).lanes.into_values().flat_map(|lane| lane.jobs).map(|(_, job)| job)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(lanes: &mut Lanes<char, u32>, pieces: usize) -> String {
        (0..pieces).filter_map(|_| lanes.pop_if(|_, _| true)).map(|(owner, ..)| owner).collect()
    }

    #[test]
    fn whoever_has_costly_work_does_not_hold_up_the_others() {
        let mut lanes = Lanes::default();
        for number in 0..10 {
            lanes.push('a', 1000, number);
        }
        for number in 0..10 {
            lanes.push('b', 3, number);
        }
        let order = drain(&mut lanes, 20);
        assert!(order.starts_with("bbbbbbbbbb"), "{order}");
        assert_eq!(order.len(), 20);
        assert!(lanes.is_empty() && lanes.lanes.is_empty());
    }

    #[test]
    fn turns_are_of_equal_cost() {
        let mut lanes = Lanes::default();
        for number in 0..1000 {
            lanes.push('a', 50, number);
            lanes.push('b', 5, number);
        }
        let order = drain(&mut lanes, 110);
        let costly = order.chars().filter(|owner| *owner == 'a').count();
        assert!((8..=13).contains(&costly), "ten times as many of the cheap: {order}");
    }

    #[test]
    fn each_owners_work_keeps_its_order_and_what_is_not_wanted_stays_the_next() {
        let mut lanes = Lanes::default();
        for number in 0..100 {
            lanes.push(if number % 3 == 0 { 'a' } else { 'b' }, 20, number);
        }
        let mut last = HashMap::new();
        while !lanes.is_empty() {
            let mut next = None;
            assert!(
                lanes
                    .pop_if(|_, job| {
                        next = Some(*job);
                        false
                    })
                    .is_none()
            );
            let (owner, _, job) = lanes.pop_if(|_, _| true).expect("it is not empty");
            assert_eq!(Some(job), next);
            assert!(last.insert(owner, job).is_none_or(|earlier| earlier < job));
        }
    }
}
