//! A rate limit without a timer: the departures of the last period, as many as the limit allows.
//!
//! A delivery may go when that which went as many deliveries before it as the limit allows is a whole period ago. So no
//! period, wherever it begins, sees more than the limit; and a burst of all of it may go at once.

use std::collections::VecDeque;

use crate::policy::Rate;
use crate::time::UnixMillis;

/// The state of one rate limit: at most [`Rate::deliveries`] moments, 8 bytes each. A restart forgets them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Departures {
    /// Oldest first.
    moments: VecDeque<UnixMillis>,
}

impl Departures {
    /// When the next delivery may go: now or earlier, or at that later moment.
    pub(super) fn next_at(&self, rate: Rate, now: UnixMillis) -> UnixMillis {
        let Some(index) = self.moments.len().checked_sub(usize::from(rate.deliveries())) else { return now };
        // A clock that jumped back must not stop deliveries for longer than one period.
        self.moments[index].min(now).after(rate.period()).max(now)
    }

    /// Counts a delivery that goes now.
    pub(super) fn count(&mut self, rate: Rate, now: UnixMillis) {
        while self.moments.front().is_some_and(|oldest| oldest.after(rate.period()) <= now) {
            self.moments.pop_front();
        }
        self.moments.push_back(now);
        while self.moments.len() > usize::from(rate.deliveries()) {
            self.moments.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: UnixMillis = UnixMillis(1_800_000_000_000);

    /// Goes as fast as the limit lets it from `START` on; answers when each of `count` deliveries went.
    fn departures(rate: Rate, count: usize) -> Vec<UnixMillis> {
        let mut limit = Departures::default();
        let mut now = START;
        let mut departures = Vec::new();
        for _ in 0..count {
            now = limit.next_at(rate, now);
            limit.count(rate, now);
            departures.push(now);
        }
        departures
    }

    #[test]
    fn a_burst_goes_at_once_and_the_next_a_period_later() {
        let rate = Rate::new(100, 60).unwrap();
        let departures = departures(rate, 201);
        assert_eq!((departures[99], departures[100]), (START, UnixMillis(START.0 + 60_000)));
        assert_eq!((departures[199], departures[200].0), (departures[100], START.0 + 120_000));
    }

    #[test]
    fn a_clock_that_jumps_back_stops_nothing_for_longer_than_a_period() {
        let rate = Rate::new(1, 10).unwrap();
        let mut limit = Departures::default();
        limit.count(rate, START);
        let jumped = UnixMillis(START.0 - 86_400_000);
        assert!(limit.next_at(rate, jumped).0 <= jumped.0 + 10_000);
    }

    #[test]
    fn a_limit_that_changes_holds_from_the_next_delivery_on() {
        let (wide, narrow) = (Rate::new(5, 10).unwrap(), Rate::new(2, 10).unwrap());
        let mut limit = Departures::default();
        for second in 0..4 {
            limit.count(wide, UnixMillis(START.0 + second * 1000));
        }
        let now = UnixMillis(START.0 + 4000);
        assert_eq!(limit.next_at(wide, now), now);
        assert_eq!(limit.next_at(narrow, now), UnixMillis(START.0 + 12_000));
    }

    proptest! {
        #[test]
        fn no_period_sees_more_than_the_limit(
            deliveries in 1u16..50,
            period_secs in 1u16..20,
            idle in proptest::collection::vec(0u64..3000, 1..200),
        ) {
            let rate = Rate::new(deliveries, period_secs).unwrap();
            let mut limit = Departures::default();
            let (mut now, mut gone) = (START, Vec::new());
            for idle in idle {
                now = limit.next_at(rate, UnixMillis(now.0 + idle));
                limit.count(rate, now);
                gone.push(now);
                prop_assert!(limit.moments.len() <= usize::from(deliveries));
            }
            for (index, first) in gone.iter().enumerate() {
                let within = gone[index..].iter().filter(|at| at.since(*first) < rate.period()).count();
                prop_assert!(within <= usize::from(deliveries), "{within} within a period");
            }
        }

        #[test]
        fn in_the_long_run_the_rate_is_the_agreed_one(deliveries in 1u16..50, period_secs in 1u16..20) {
            let rate = Rate::new(deliveries, period_secs).unwrap();
            let departures = departures(rate, usize::from(deliveries) * 5);
            let took = departures.last().unwrap().since(START);
            prop_assert_eq!(took, 4 * rate.period());
        }
    }
}
