//! Who goes next by what was used: of those that have work, whoever used least.
//!
//! Each member has a running total of what it used, its *spent*; the least goes first, equals in the order in which they
//! asked. While its work runs, a member is charged what its work took on average, and put right when that is known. Who
//! comes, or comes back, begins where the member stands that went last: absence earns nothing, and what was overdrawn
//! is remembered until the others have used as much. A pure data structure.

use std::collections::BTreeSet;
use std::hash::Hash;

use hashbrown::HashMap;

/// What a piece of work of a member is charged before any of its work was measured, in nanoseconds.
const COST_GUESS_NANOS: u64 = 100_000;
/// The least that a piece of work is charged, so that turns go round among those whose work takes nothing.
const COST_NANOS_MIN: u64 = 1_000;

/// Members `K` and what they used.
pub(crate) struct Turns<K> {
    members: HashMap<K, Member>,
    /// Those with work, in order of their turns.
    ready: BTreeSet<(u64, u64, K)>,
    /// Those without, which used more than whoever went last.
    absent: BTreeSet<(u64, K)>,
    /// What whoever went last had used before.
    now: u64,
    /// Numbers the requests for a turn.
    arrivals: u64,
}

struct Member {
    spent: u64,
    /// What its work took on average.
    mean: u64,
    /// How much of its work runs.
    running: u64,
    /// What that was charged.
    charged: u64,
    /// The number of its request, while it stands in `ready`.
    asked: Option<u64>,
}

impl<K: Clone + Eq + Hash + Ord> Turns<K> {
    pub(crate) fn new() -> Self {
        Self { members: HashMap::new(), ready: BTreeSet::new(), absent: BTreeSet::new(), now: 0, arrivals: 0 }
    }

    /// The member has work.
    pub(crate) fn enter(&mut self, key: &K) {
        let now = self.now;
        let member = self.members.entry(key.clone()).or_insert_with(|| Member {
            spent: now,
            mean: COST_GUESS_NANOS,
            running: 0,
            charged: 0,
            asked: None,
        });
        if member.asked.is_some() {
            return;
        }
        if member.running == 0 {
            self.absent.remove(&(member.spent, key.clone()));
            member.spent = member.spent.max(now);
        }
        self.arrivals += 1;
        member.asked = Some(self.arrivals);
        self.ready.insert((member.spent, self.arrivals, key.clone()));
    }

    /// Members with work, in order of their turns.
    pub(crate) fn in_order(&self) -> impl Iterator<Item = &K> {
        self.ready.iter().map(|(_, _, key)| key)
    }

    /// How many pieces of a member's work run.
    pub(crate) fn running(&self, key: &K) -> usize {
        self.members.get(key).map_or(0, |member| usize::try_from(member.running).unwrap_or(usize::MAX))
    }

    /// The member's work begins; it has `more` of it.
    pub(crate) fn begin(&mut self, key: &K, more: bool) {
        let member = self.members.get_mut(key).expect("who has work is known");
        let asked = member.asked.take().expect("who begins stands in line");
        self.ready.remove(&(member.spent, asked, key.clone()));
        self.now = self.now.max(member.spent);
        member.spent = member.spent.saturating_add(member.mean);
        member.charged = member.charged.saturating_add(member.mean);
        member.running += 1;
        if more {
            self.enter(key);
        }
        self.forget();
    }

    /// A piece of the member's work ended, after `nanos`; answers whether the member has neither work nor anything that
    /// runs.
    pub(crate) fn end(&mut self, key: &K, nanos: u64) -> bool {
        let cost = nanos.max(COST_NANOS_MIN);
        let member = self.members.get_mut(key).expect("who ends has begun");
        let before = member.spent;
        let charge = member.charged / member.running;
        member.running -= 1;
        member.charged -= charge;
        member.spent = before.saturating_sub(charge).saturating_add(cost);
        member.mean = (member.mean.saturating_mul(3).saturating_add(cost) / 4).max(COST_NANOS_MIN);
        let spent = member.spent;
        match member.asked {
            Some(asked) => {
                self.ready.remove(&(before, asked, key.clone()));
                self.ready.insert((spent, asked, key.clone()));
                false
            }
            None if member.running == 0 => {
                self.absent.insert((spent, key.clone()));
                self.forget();
                true
            }
            None => false,
        }
    }

    /// Nobody has work any more.
    pub(crate) fn clear_ready(&mut self) {
        for (spent, _, key) in std::mem::take(&mut self.ready) {
            let member = self.members.get_mut(&key).expect("who has work is known");
            member.asked = None;
            if member.running == 0 {
                self.absent.insert((spent, key));
            }
        }
    }

    /// Whether nothing runs or waits.
    pub(crate) fn is_quiet(&self) -> bool {
        self.members.len() == self.absent.len()
    }

    /// Forgets absent members that would begin like new ones; all of them where nobody else is there to be first.
    fn forget(&mut self) {
        if self.is_quiet() {
            self.members.clear();
            self.absent.clear();
            self.now = 0;
            return;
        }
        while let Some((spent, key)) = self.absent.first() {
            if *spent > self.now {
                break;
            }
            self.members.remove(key);
            self.absent.pop_first();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: u64 = 1_000_000;

    /// Lets the first have its turn, for so long; answers who it was.
    fn turn(turns: &mut Turns<char>, nanos: impl Fn(char) -> u64) -> char {
        let key = *turns.in_order().next().unwrap();
        turns.begin(&key, true);
        turns.end(&key, nanos(key));
        key
    }

    #[test]
    fn turns_are_weighed_by_what_they_took() {
        let mut turns = Turns::new();
        for key in ['a', 'b'] {
            turns.enter(&key);
        }
        let nanos = |key| if key == 'a' { 100 * MILLISECOND } else { MILLISECOND / 100 };
        let order: String = (0..10_000).map(|_| turn(&mut turns, nanos)).collect();
        let slow = order.chars().filter(|key| *key == 'a').count();
        assert!((1..=2).contains(&slow), "one run of a takes as long as ten thousand of b: {slow}");
    }

    #[test]
    fn absence_earns_nothing_and_forgives_nothing() {
        let mut turns = Turns::new();
        turns.enter(&'a');
        for _ in 0..100 {
            turn(&mut turns, |_| MILLISECOND);
        }
        // A newcomer does not catch up on what it never asked for.
        turns.enter(&'b');
        let order: String = (0..20).map(|_| turn(&mut turns, |_| MILLISECOND)).collect();
        assert_eq!(order.chars().filter(|key| *key == 'a').count(), 10, "{order}");
        // Who leaves after a long run and comes back at once has not lost its debt.
        turns.begin(&'b', false);
        assert!(turns.end(&'b', 50 * MILLISECOND));
        turns.enter(&'b');
        let order: String = (0..30).map(|_| turn(&mut turns, |_| MILLISECOND)).collect();
        assert_eq!(order, "a".repeat(30));
    }

    #[test]
    fn who_owes_nothing_is_forgotten() {
        let mut turns = Turns::new();
        for key in 'a'..='z' {
            turns.enter(&key);
            turns.begin(&key, false);
        }
        for key in 'a'..='z' {
            turns.end(&key, MILLISECOND);
        }
        assert!(turns.is_quiet());
        assert!(turns.members.is_empty() && turns.absent.is_empty());
    }
}
