//! How something bounded is shared among those who know nothing of each other.
//!
//! Two rules. Nobody takes more than he leaves free, so one alone gets half, the next half of what is left, and whoever
//! comes later finds something. And a reserve is only for those who have little, so that a newcomer need not wait until
//! others give back even where many hold what they could get. What is given back goes to whoever has least: that is up
//! to the caller, who knows who waits; since the rules look only at how much one has, whoever has least may take
//! something if anybody may.

use std::hash::Hash;

use hashbrown::HashMap;

/// A bounded amount (of bytes, of places), and who has how much of it. Never more than its capacity is taken.
#[derive(Debug)]
pub struct Shares<Key> {
    capacity: usize,
    reserve: usize,
    newcomer: usize,
    used: usize,
    of: HashMap<Key, usize>,
}

impl<Key: Copy + Eq + Hash> Shares<Key> {
    /// Shares `capacity`, of which `reserve` goes only to those who have no more than `newcomer` afterwards.
    #[must_use]
    pub fn new(capacity: usize, reserve: usize, newcomer: usize) -> Self {
        debug_assert!(newcomer <= reserve && reserve < capacity);
        Self { capacity, reserve, newcomer, used: 0, of: HashMap::new() }
    }

    /// How much this one has.
    #[must_use]
    pub fn used_by(&self, key: Key) -> usize {
        self.of.get(&key).copied().unwrap_or_default()
    }

    /// How much all together have.
    #[must_use]
    pub fn used(&self) -> usize {
        self.used
    }

    /// Whether there is as much at all, whoever it is for.
    #[must_use]
    pub fn has(&self, amount: usize) -> bool {
        self.used + amount <= self.capacity
    }

    /// How much more this one may take now, at most.
    #[must_use]
    pub fn left_for(&self, key: Key) -> usize {
        let own = self.used_by(key);
        let free = self.capacity.saturating_sub(self.used);
        let as_anybody = free.saturating_sub(self.reserve).saturating_sub(own) / 2;
        let as_newcomer = self.newcomer.saturating_sub(own).min(free);
        as_anybody.max(as_newcomer)
    }

    /// Takes as much; the caller has seen that it is left.
    pub fn take(&mut self, key: Key, amount: usize) {
        debug_assert!(self.used + amount <= self.capacity, "more is taken than there is");
        if amount > 0 {
            self.used += amount;
            *self.of.entry(key).or_default() += amount;
        }
    }

    /// Takes as much if it is left for this one.
    #[must_use]
    pub fn try_take(&mut self, key: Key, amount: usize) -> bool {
        let is_left = amount <= self.left_for(key);
        if is_left {
            self.take(key, amount);
        }
        is_left
    }

    /// Gives back what was taken.
    pub fn give_back(&mut self, key: Key, amount: usize) {
        if amount == 0 {
            return;
        }
        let own = self.used_by(key);
        debug_assert!(amount <= own, "more is given back than was taken");
        let amount = amount.min(own);
        if amount == own {
            self.of.remove(&key);
        } else {
            self.of.insert(key, own - amount);
        }
        self.used -= amount;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Takes one at a time until nothing is left for this one.
    fn fill(shares: &mut Shares<u32>, key: u32) -> usize {
        let before = shares.used_by(key);
        while shares.try_take(key, 1) {}
        shares.used_by(key) - before
    }

    #[test]
    fn one_alone_takes_half_and_the_next_half_of_the_rest() {
        let mut shares = Shares::new(1000, 40, 4);
        assert_eq!(fill(&mut shares, 1), 480);
        assert_eq!(fill(&mut shares, 2), 240);
        assert_eq!(fill(&mut shares, 3), 120);
        assert_eq!(fill(&mut shares, 1), 0);
    }

    #[test]
    fn a_newcomer_finds_something_where_many_took_all_they_could() {
        let mut shares = Shares::new(1000, 40, 4);
        for key in 0..12 {
            fill(&mut shares, key);
        }
        assert_eq!(fill(&mut shares, 100), 4);
        assert!(shares.used() < 1000);
    }

    #[test]
    fn what_is_given_back_can_be_taken() {
        let mut shares = Shares::new(100, 10, 2);
        assert!(shares.try_take(1, 45) && !shares.try_take(1, 45));
        shares.give_back(1, 45);
        assert!(shares.try_take(1, 45));
        assert_eq!((shares.used(), shares.used_by(1), shares.used_by(2)), (45, 45, 0));
    }

    proptest! {
        /// Never more than there is, and if nothing is left for whoever has least, then for nobody.
        #[test]
        fn who_has_least_is_served_first(steps in prop::collection::vec((0..6u32, 0..300usize, any::<bool>()), 0..200)) {
            let mut shares = Shares::new(1000, 100, 30);
            for (key, amount, gives_back) in steps {
                if gives_back {
                    let amount = amount.min(shares.used_by(key));
                    shares.give_back(key, amount);
                } else {
                    let _ = shares.try_take(key, amount);
                }
                prop_assert!(shares.used() <= 1000);
                prop_assert_eq!(shares.used(), (0..6).map(|key| shares.used_by(key)).sum::<usize>());
                let mut by_use: Vec<_> = (0..6).collect();
                by_use.sort_by_key(|key| shares.used_by(*key));
                for pair in by_use.windows(2) {
                    prop_assert!(shares.left_for(pair[0]) >= shares.left_for(pair[1]));
                }
            }
        }
    }
}
