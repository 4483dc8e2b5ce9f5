//! A rate limit without a timer: the generic cell rate algorithm (GCRA, ITU-T I.371).
//!
//! One number per limit, the theoretical arrival time: how far the deliveries that already went out reach into the
//! future at the agreed rate. A delivery may go when that lies less than one burst ahead.

use crate::policy::Rate;
use crate::time::UnixMillis;

/// The state of one rate limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Gcra {
    /// Theoretical arrival time, in microseconds since 1970.
    arrival_micros: u64,
}

impl Gcra {
    /// When the next delivery may go: now or earlier, or at that later moment.
    pub(super) fn next_at(self, rate: Rate, now: UnixMillis) -> UnixMillis {
        let now_micros = now.0.saturating_mul(1000);
        let burst_micros = u64::from(rate.period_secs()) * 1_000_000;
        // A clock that jumped back must not stop deliveries for longer than one period.
        let arrival = self.arrival_micros.min(now_micros.saturating_add(burst_micros));
        let earliest = (arrival + emission_interval_micros(rate)).saturating_sub(burst_micros);
        if earliest <= now_micros { now } else { UnixMillis(earliest.div_ceil(1000)) }
    }

    /// Counts a delivery that goes now.
    pub(super) fn count(&mut self, rate: Rate, now: UnixMillis) {
        let now_micros = now.0.saturating_mul(1000);
        let burst_micros = u64::from(rate.period_secs()) * 1_000_000;
        let arrival = self.arrival_micros.min(now_micros.saturating_add(burst_micros)).max(now_micros);
        self.arrival_micros = arrival + emission_interval_micros(rate);
    }
}

fn emission_interval_micros(rate: Rate) -> u64 {
    u64::from(rate.period_secs()) * 1_000_000 / u64::from(rate.deliveries())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: UnixMillis = UnixMillis(1_800_000_000_000);

    /// Goes as fast as the limit lets it from `START` on; answers when each of `count` deliveries went.
    fn departures(rate: Rate, count: usize) -> Vec<UnixMillis> {
        let mut gcra = Gcra::default();
        let mut now = START;
        let mut departures = Vec::new();
        for _ in 0..count {
            now = gcra.next_at(rate, now);
            gcra.count(rate, now);
            departures.push(now);
        }
        departures
    }

    #[test]
    fn a_burst_goes_at_once_and_the_rest_at_the_rate() {
        let rate = Rate::new(100, 60).unwrap();
        let departures = departures(rate, 102);
        assert_eq!(departures[99], START);
        assert_eq!(departures[100], UnixMillis(START.0 + 600));
        assert_eq!(departures[101], UnixMillis(START.0 + 1200));
    }

    #[test]
    fn a_clock_that_jumps_back_stops_nothing_for_longer_than_a_period() {
        let rate = Rate::new(1, 10).unwrap();
        let mut gcra = Gcra::default();
        gcra.count(rate, START);
        let jumped = UnixMillis(START.0 - 86_400_000);
        assert!(gcra.next_at(rate, jumped).0 <= jumped.0 + 10_000);
    }

    proptest! {
        #[test]
        fn no_period_sees_more_than_two_bursts(deliveries in 1u16..50, period_secs in 1u16..20) {
            let rate = Rate::new(deliveries, period_secs).unwrap();
            let departures = departures(rate, usize::from(deliveries) * 5);
            let period = u64::from(period_secs) * 1000;
            for (index, first) in departures.iter().enumerate() {
                let within = departures[index..].iter().filter(|at| at.0 < first.0 + period).count();
                prop_assert!(within <= 2 * usize::from(deliveries), "{within} within a period");
            }
            // In the long run the rate is the agreed one: five bursts' worth take at least four periods less one step.
            let took = departures.last().unwrap().0 - START.0;
            prop_assert!(took + period / u64::from(deliveries) + 5 >= 4 * period);
        }
    }
}
