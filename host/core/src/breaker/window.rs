//! Outcomes within a sliding window, in 32 bytes.
//!
//! The window slides in fifths of its length: an outcome is counted in the slot of its time, and the newest six
//! slots count. So it counts for at least the window's length and for at most a fifth longer.

use std::time::Duration;

use crate::time::UnixMillis;

/// One more than the parts that the window's length is divided into.
const SLOTS: usize = 6;

/// Failures below which a full slot keeps their exact number and gives up counting successes.
const FEW_FAILURES: u16 = 256;

/// The outcomes of the last while.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Window {
    /// Number of the newest slot: time divided by the slot's length.
    newest: u64,
    /// A ring by slot number.
    slots: [Slot; SLOTS],
}

/// Outcomes of one slot; `failures <= outcomes`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Slot {
    outcomes: u16,
    failures: u16,
}

impl Window {
    /// Counts an outcome. `length` is the same at each call.
    pub(super) fn record(&mut self, length: Duration, succeeded: bool, now: UnixMillis) {
        let slot_length = length / (SLOTS as u32 - 1);
        let slot_millis = u64::try_from(slot_length.as_millis()).unwrap_or(u64::MAX).max(1);
        self.slide_to(now.0 / slot_millis);
        self.slots[ring_index(self.newest)].add(succeeded);
    }

    /// Outcomes counted; of a very busy target fewer, with the same share of failures.
    pub(super) fn outcomes(&self) -> u32 {
        self.slots.iter().map(|slot| u32::from(slot.outcomes)).sum()
    }

    /// Failures among [`outcomes`](Self::outcomes).
    pub(super) fn failures(&self) -> u32 {
        self.slots.iter().map(|slot| u32::from(slot.failures)).sum()
    }

    /// Empties the slots that are new at `slot`. A clock that went back counts into the newest.
    fn slide_to(&mut self, slot: u64) {
        let passed = slot.saturating_sub(self.newest);
        for new in (1..=passed).take(SLOTS) {
            self.slots[ring_index(self.newest + new)] = Slot::default();
        }
        self.newest = self.newest.max(slot);
    }
}

impl Slot {
    fn add(&mut self, succeeded: bool) {
        if self.outcomes == u16::MAX && self.failures >= FEW_FAILURES {
            // Halving keeps the share, which is what so many outcomes are judged by.
            self.outcomes /= 2;
            self.failures /= 2;
        }
        // Few failures are judged by their number: five traps of a busy plugin are five.
        self.outcomes = self.outcomes.saturating_add(1);
        self.failures += u16::from(!succeeded);
    }
}

fn ring_index(slot: u64) -> usize {
    (slot % SLOTS as u64) as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LENGTH: Duration = Duration::from_secs(60);

    #[test]
    fn counts_of_busy_targets_keep_their_share() {
        let mut window = Window::default();
        for index in 0..1_000_000 {
            window.record(LENGTH, index % 4 != 0, UnixMillis(7));
        }
        let percent = window.failures() * 100 / window.outcomes();
        assert!((24..=25).contains(&percent), "{percent}");
        assert!(window.outcomes() >= u32::from(u16::MAX / 2));
    }

    #[test]
    fn rare_failures_of_busy_targets_keep_their_number() {
        let mut window = Window::default();
        for index in 1..=1_000_000 {
            window.record(LENGTH, index % 200_000 != 0, UnixMillis(7));
        }
        assert_eq!((window.outcomes(), window.failures()), (u32::from(u16::MAX), 5));
    }

    #[test]
    fn a_clock_that_goes_back_loses_nothing() {
        let mut window = Window::default();
        for millis in [500_000, 100, 500_001, 0] {
            window.record(LENGTH, false, UnixMillis(millis));
        }
        assert_eq!((window.outcomes(), window.failures()), (4, 4));
    }

    proptest! {
        /// Against the definition.
        #[test]
        fn counts_the_length_and_at_most_a_fifth_more(
            start in 0..1u64 << 40,
            outcomes in proptest::collection::vec((0..90_000u64, any::<bool>()), 1..80),
        ) {
            let mut window = Window::default();
            let mut history = Vec::new();
            let mut now = start;
            for (millis, succeeded) in outcomes {
                now += millis;
                window.record(LENGTH, succeeded, UnixMillis(now));
                history.push((now, succeeded));
                let within = |length: u64, failures_only: bool| {
                    let counts = |&&(time, succeeded): &&(u64, bool)| now - time < length && !(failures_only && succeeded);
                    u32::try_from(history.iter().filter(counts).count()).unwrap()
                };
                prop_assert!((within(60_000, false)..=within(72_000, false)).contains(&window.outcomes()));
                prop_assert!((within(60_000, true)..=within(72_000, true)).contains(&window.failures()));
            }
        }
    }
}
