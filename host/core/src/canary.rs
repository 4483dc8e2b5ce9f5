//! A new version of a plugin on trial: some deliveries get it, and it goes when it does worse.
//!
//! [`Canary`] decides which deliveries it gets, from their ids alone, so that every attempt and every restart decides the
//! same. [`Trial`] counts how deliveries end under both versions and says when the new one is clearly worse. A receiver
//! that is down fails both alike, so it condemns no version.

use std::num::NonZero;

use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::id::{EndpointId, EventId};
use crate::plugin::PluginDigest;

/// Deliveries under the new version before it is judged.
const CANARY_RUNS_MIN: u32 = 20;
/// Deliveries under the current version before the new one is judged by them.
const CURRENT_RUNS_MIN: u32 = 5;
/// How many standard errors the new version's failure rate lies above the current one's when it goes. By chance alone
/// one trial in 700 gets there.
const STANDARD_ERRORS: f64 = 3.0;
/// After so many deliveries both counts are halved, so that a version that turns bad late is not shielded by its past.
const RUNS_REMEMBERED: u32 = 1000;

/// A version on trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Canary {
    /// Which version.
    pub digest: PluginDigest,
    /// Of a hundred deliveries, how many get it.
    pub percent: CanaryPercent,
}

/// Of a hundred deliveries, how many get the version on trial: 1 to 99, since it is judged by the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CanaryPercent(NonZero<u8>);

/// A number that is no share of deliveries.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("a canary gets 1 to 99 percent of the deliveries; promote the version to give it all")]
pub struct InvalidCanaryPercent;

impl CanaryPercent {
    /// The number.
    #[must_use]
    pub fn get(self) -> u8 {
        self.0.get()
    }
}

impl TryFrom<u64> for CanaryPercent {
    type Error = InvalidCanaryPercent;

    fn try_from(percent: u64) -> Result<Self, InvalidCanaryPercent> {
        let percent = u8::try_from(percent).ok().filter(|percent| *percent < 100);
        percent.and_then(NonZero::new).map(Self).ok_or(InvalidCanaryPercent)
    }
}

impl Canary {
    /// Whether this delivery gets the version on trial.
    #[must_use]
    pub fn takes(&self, event: EventId, endpoint: EndpointId) -> bool {
        let mut hasher = Sha256::new();
        hasher.update(self.digest.as_bytes());
        hasher.update(event.to_bytes());
        hasher.update(endpoint.to_bytes());
        let hash: [u8; 32] = hasher.finalize().into();
        let (eight, _) = hash.split_first_chunk::<8>().expect("a digest has 32 bytes");
        u64::from_le_bytes(*eight) % 100 < u64::from(self.percent.get())
    }
}

/// How deliveries ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many were counted.
    pub runs: u32,
    /// How many of them failed.
    pub failures: u32,
}

impl Tally {
    fn count(&mut self, failed: bool) {
        self.runs += 1;
        self.failures += u32::from(failed);
    }

    fn rate(self) -> f64 {
        f64::from(self.failures) / f64::from(self.runs.max(1))
    }

    fn halve(&mut self) {
        self.runs /= 2;
        self.failures /= 2;
    }
}

/// Two versions side by side.
#[derive(Debug, Clone)]
pub struct Trial {
    canary: PluginDigest,
    on_trial: Tally,
    current: Tally,
}

/// The new version fails clearly more often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Worse {
    /// How deliveries ended under the new version.
    pub on_trial: Tally,
    /// How they ended under the current one.
    pub current: Tally,
}

impl Trial {
    /// Begins a trial of a version.
    #[must_use]
    pub fn of(canary: PluginDigest) -> Self {
        Self { canary, on_trial: Tally::default(), current: Tally::default() }
    }

    /// The version on trial.
    #[must_use]
    pub fn version(&self) -> PluginDigest {
        self.canary
    }

    /// Counts the first attempt of a delivery: which version shaped it, and whether the plugin or the receiver failed.
    /// Answers once the new version is clearly worse.
    pub fn count(&mut self, version: PluginDigest, failed: bool) -> Option<Worse> {
        let tally = if version == self.canary { &mut self.on_trial } else { &mut self.current };
        tally.count(failed);
        if self.on_trial.runs >= RUNS_REMEMBERED {
            self.on_trial.halve();
            self.current.halve();
        }
        self.is_worse().then_some(Worse { on_trial: self.on_trial, current: self.current })
    }

    /// The two-proportion test, one-sided.
    fn is_worse(&self) -> bool {
        let (new, old) = (self.on_trial, self.current);
        if new.runs < CANARY_RUNS_MIN || old.runs < CURRENT_RUNS_MIN {
            return false;
        }
        let (new_runs, old_runs) = (f64::from(new.runs), f64::from(old.runs));
        let pooled = f64::from(new.failures + old.failures) / (new_runs + old_runs);
        let standard_error = (pooled * (1.0 - pooled) * (1.0 / new_runs + 1.0 / old_runs)).sqrt();
        standard_error > 0.0 && (new.rate() - old.rate()) / standard_error >= STANDARD_ERRORS
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::UnixMillis;

    fn version(number: u8) -> PluginDigest {
        PluginDigest::of(&[number])
    }

    fn canary(percent: u64) -> Canary {
        Canary { digest: version(2), percent: percent.try_into().unwrap() }
    }

    #[test]
    fn a_canary_gets_its_share_and_always_the_same() {
        let endpoint = EndpointId::new(UnixMillis(1), 1);
        let check = |percent: u64, expect: std::ops::RangeInclusive<usize>| {
            let canary = canary(percent);
            let takes = |id: u128| canary.takes(EventId::new(UnixMillis(2), id), endpoint);
            let taken = (0..10_000).filter(|id| takes(*id)).count();
            assert!(expect.contains(&taken), "{taken} of 10000 at {percent} percent");
            assert!((0..100).all(|id| takes(id) == takes(id)));
        };
        check(1, 60..=140);
        check(50, 4800..=5200);
        check(99, 9860..=9940);
    }

    #[test]
    fn a_share_is_some_and_not_all() {
        let check = |percent: u64, valid: bool| {
            assert_eq!(CanaryPercent::try_from(percent).is_ok(), valid, "{percent}");
        };
        check(0, false);
        check(1, true);
        check(99, true);
        check(100, false);
        check(256, false);
    }

    /// Counts so many deliveries under each version, of which every n-th fails; answers whether the new one went.
    fn ends(deliveries: u32, canary_fails_every: u32, current_fails_every: u32) -> bool {
        let mut trial = Trial::of(version(2));
        let fails = |number: u32, every: u32| every > 0 && number.is_multiple_of(every);
        (0..deliveries).any(|number| {
            trial.count(version(1), fails(number, current_fails_every)).is_some()
                || trial.count(version(2), fails(number, canary_fails_every)).is_some()
        })
    }

    #[test]
    fn only_what_is_clearly_worse_goes() {
        let check = |deliveries, canary, current, expect| {
            assert_eq!(ends(deliveries, canary, current), expect, "{deliveries} {canary} {current}");
        };
        // Always against never, but not before it had its chance.
        check(19, 1, 0, false);
        check(20, 1, 0, true);
        // The receiver is down: both fail.
        check(5000, 1, 1, false);
        // Equal, or better.
        check(5000, 10, 10, false);
        check(5000, 10, 2, false);
        check(5000, 0, 0, false);
        // Half against a tenth.
        check(100, 2, 10, true);
    }

    #[test]
    fn a_long_good_past_is_no_shield() {
        let mut trial = Trial::of(version(2));
        for _ in 0..100_000 {
            assert_eq!(trial.count(version(1), false), None);
            assert_eq!(trial.count(version(2), false), None);
        }
        let turned = (0..200).position(|_| {
            trial.count(version(1), false);
            trial.count(version(2), true).is_some()
        });
        assert!(turned.is_some_and(|after| after < 50), "{turned:?}");
    }
}
