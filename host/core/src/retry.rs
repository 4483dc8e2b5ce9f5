//! When a failed delivery is tried again.
//!
//! A [`RetryPolicy`] is a [`RawRetryPolicy`] that was checked: a list of delays or an exponential series, a bound
//! on the attempts, and how far chance may move a delay. [`RetryPolicy::delay_after`] is pure: the caller brings the
//! chance.
//!
//! Jitter. A delay `d` of the schedule is moved by chance, at full jitter (100 %) within
//! - `[0.8 d, 1.2 d]` for the first two retries, as Svix does: a receiver that restarts wants them soon, but not at
//!   once;
//! - `[0.5 d, 1.2 d]` for later ones: they come from long outages, whose end would otherwise meet a herd, and a
//!   wide interval needs the fewest requests in all (AWS, "Exponential Backoff And Jitter").
//!
//! So no delay is ever shorter than half of what the schedule says, or more than a fifth longer. A smaller
//! [`jitter_percent`](RawRetryPolicy::jitter_percent) narrows both intervals in proportion; 0 keeps the schedule.

use std::time::Duration;

use thiserror::Error;

use crate::time::UnixMillis;

/// Attempts of one delivery, the first included.
pub const RETRY_ATTEMPTS_MAX: u32 = 50;
/// The shortest delay of a schedule: less is a loop, not a retry.
pub const RETRY_DELAY_MIN: Duration = Duration::from_millis(10);
/// The longest delay of a schedule.
pub const RETRY_DELAY_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
/// The steepest growth of an exponential schedule.
pub const RETRY_FACTOR_PERCENT_MAX: u32 = 1000;
/// The longest wait that a receiver's `Retry-After` may ask for; more is cut to this.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 3600);

/// The example schedule of Standard Webhooks 1.0.0: ten attempts in 75.6 hours.
pub const STANDARD_WEBHOOKS_DELAYS: [Duration; 9] = [
    Duration::from_secs(5),
    Duration::from_secs(5 * 60),
    Duration::from_secs(30 * 60),
    Duration::from_secs(2 * 3600),
    Duration::from_secs(5 * 3600),
    Duration::from_secs(10 * 3600),
    Duration::from_secs(14 * 3600),
    Duration::from_secs(20 * 3600),
    Duration::from_secs(24 * 3600),
];

/// How many of the first retries are spread narrowly.
const EARLY_RETRIES: u32 = 2;

/// When a failed delivery is tried again: a policy that was checked. Made from a [`RawRetryPolicy`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryPolicy {
    schedule: Schedule,
    attempts_max: u32,
    jitter_percent: u8,
}

/// A retry policy as a person wrote it, not yet checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawRetryPolicy {
    /// The delays before chance moves them.
    pub schedule: Schedule,
    /// How much of the full jitter is used, 0 to 100.
    pub jitter_percent: u8,
}

/// The delays between attempts before chance moves them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Schedule {
    /// One delay before each retry; an empty list never retries.
    Fixed {
        /// Each from [`RETRY_DELAY_MIN`] to [`RETRY_DELAY_MAX`], fewer than [`RETRY_ATTEMPTS_MAX`].
        delays: Vec<Duration>,
    },
    /// Delays that grow from `base` by `factor_percent` up to `cap`.
    Exponential {
        /// The delay before the first retry.
        base: Duration,
        /// Each delay in percent of the one before, 100 (constant) to [`RETRY_FACTOR_PERCENT_MAX`]; 200 doubles.
        factor_percent: u32,
        /// No delay is longer; at most [`RETRY_DELAY_MAX`].
        cap: Duration,
        /// Attempts in all, 1 to [`RETRY_ATTEMPTS_MAX`].
        attempts_max: u32,
    },
}

/// What is wrong with a [`RawRetryPolicy`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidRetryPolicy {
    /// No attempt, or too many.
    #[error(
        "a delivery has 1 to {RETRY_ATTEMPTS_MAX} attempts, this policy makes {attempts}: change the schedule's length"
    )]
    Attempts {
        /// How many the policy would make.
        attempts: usize,
    },
    /// A delay too short or too long.
    #[error("a retry delay is {RETRY_DELAY_MIN:?} to {RETRY_DELAY_MAX:?}, delay {position} is {delay:?}")]
    Delay {
        /// Which retry, counted from 1.
        position: usize,
        /// What the policy says.
        delay: Duration,
    },
    /// A series that shrinks or explodes.
    #[error("a backoff factor is 100 to {RETRY_FACTOR_PERCENT_MAX} percent, this one is {factor_percent}")]
    Factor {
        /// What the policy says.
        factor_percent: u32,
    },
    /// A cap below the first delay or above the longest.
    #[error(
        "a backoff cap is at least its base ({base:?}) and at most {RETRY_DELAY_MAX:?}, this one is {cap:?}"
    )]
    Cap {
        /// The first delay.
        base: Duration,
        /// What the policy says.
        cap: Duration,
    },
    /// More than all of the jitter.
    #[error("jitter is 0 to 100 percent, this one is {jitter_percent}")]
    Jitter {
        /// What the policy says.
        jitter_percent: u8,
    },
}

impl InvalidRetryPolicy {
    /// The stable code that the API shows.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Attempts { .. } => "retry_attempts_out_of_range",
            Self::Delay { .. } => "retry_delay_out_of_range",
            Self::Factor { .. } => "retry_factor_out_of_range",
            Self::Cap { .. } => "retry_cap_out_of_range",
            Self::Jitter { .. } => "retry_jitter_out_of_range",
        }
    }
}

impl TryFrom<RawRetryPolicy> for RetryPolicy {
    type Error = InvalidRetryPolicy;

    fn try_from(raw: RawRetryPolicy) -> Result<Self, InvalidRetryPolicy> {
        let attempts_max = raw.schedule.check()?;
        if raw.jitter_percent > 100 {
            return Err(InvalidRetryPolicy::Jitter { jitter_percent: raw.jitter_percent });
        }
        Ok(Self { schedule: raw.schedule, attempts_max, jitter_percent: raw.jitter_percent })
    }
}

impl From<RetryPolicy> for RawRetryPolicy {
    fn from(policy: RetryPolicy) -> Self {
        Self { schedule: policy.schedule, jitter_percent: policy.jitter_percent }
    }
}

impl Default for RetryPolicy {
    /// [`STANDARD_WEBHOOKS_DELAYS`] with full jitter.
    fn default() -> Self {
        let delays = STANDARD_WEBHOOKS_DELAYS.to_vec();
        Self::try_from(RawRetryPolicy { schedule: Schedule::Fixed { delays }, jitter_percent: 100 })
            .expect("the standard schedule is within the limits")
    }
}

impl RetryPolicy {
    /// Attempts in all, the first included.
    #[must_use]
    pub fn attempts_max(&self) -> u32 {
        self.attempts_max
    }

    /// The delays before chance moves them.
    #[must_use]
    pub fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// How long to wait after `failed_attempts` attempts, all of which failed; `None` when they were the last.
    ///
    /// `jitter` is chance, uniform in 0 to 1 (outside, it is cut to that). A delivery that was not tried yet is due
    /// at once.
    #[must_use]
    pub fn delay_after(&self, failed_attempts: u32, jitter: f64) -> Option<Duration> {
        if failed_attempts >= self.attempts_max {
            return None;
        }
        let Some(retries_before) = failed_attempts.checked_sub(1) else { return Some(Duration::ZERO) };
        let delay = self.schedule.delay(retries_before);
        let full = if failed_attempts <= EARLY_RETRIES { (0.8, 1.2) } else { (0.5, 1.2) };
        let share = f64::from(self.jitter_percent) / 100.0;
        let shortest = 1.0 - (1.0 - full.0) * share;
        let longest = 1.0 + (full.1 - 1.0) * share;
        // Not `clamp`, which would let a NaN through.
        let jitter = if jitter >= 0.0 { jitter.min(1.0) } else { 0.0 };
        Some(delay.mul_f64(shortest + (longest - shortest) * jitter))
    }
}

impl Schedule {
    /// Checks the limits; gives the attempts that the schedule makes.
    fn check(&self) -> Result<u32, InvalidRetryPolicy> {
        match self {
            Self::Fixed { delays } => {
                let attempts_max = check_attempts(delays.len().saturating_add(1))?;
                for (index, delay) in delays.iter().enumerate() {
                    check_delay(index + 1, *delay)?;
                }
                Ok(attempts_max)
            }
            Self::Exponential { base, factor_percent, cap, attempts_max } => {
                let attempts = usize::try_from(*attempts_max).unwrap_or(usize::MAX);
                let attempts_max = check_attempts(attempts)?;
                check_delay(1, *base)?;
                if !(100..=RETRY_FACTOR_PERCENT_MAX).contains(factor_percent) {
                    return Err(InvalidRetryPolicy::Factor { factor_percent: *factor_percent });
                }
                if cap < base || *cap > RETRY_DELAY_MAX {
                    return Err(InvalidRetryPolicy::Cap { base: *base, cap: *cap });
                }
                Ok(attempts_max)
            }
        }
    }

    /// The delay of the retry that has this many before it; the schedule was checked and has one.
    fn delay(&self, retries_before: u32) -> Duration {
        match self {
            Self::Fixed { delays } => delays[retries_before as usize],
            Self::Exponential { base, factor_percent, cap, attempts_max: _ } => {
                // At most 10^49 times seven days, which an f64 holds.
                let growth = (f64::from(*factor_percent) / 100.0).powf(f64::from(retries_before));
                let seconds = base.as_secs_f64() * growth;
                if seconds < cap.as_secs_f64() { Duration::from_secs_f64(seconds) } else { *cap }
            }
        }
    }
}

fn check_attempts(attempts: usize) -> Result<u32, InvalidRetryPolicy> {
    u32::try_from(attempts)
        .ok()
        .filter(|attempts| (1..=RETRY_ATTEMPTS_MAX).contains(attempts))
        .ok_or(InvalidRetryPolicy::Attempts { attempts })
}

fn check_delay(position: usize, delay: Duration) -> Result<(), InvalidRetryPolicy> {
    if (RETRY_DELAY_MIN..=RETRY_DELAY_MAX).contains(&delay) {
        Ok(())
    } else {
        Err(InvalidRetryPolicy::Delay { position, delay })
    }
}

/// The `Retry-After` header of RFC 9110 section 10.2.3.
#[derive(Debug)]
pub struct RetryAfter;

impl RetryAfter {
    /// How long a receiver asks to wait, at most [`RETRY_AFTER_MAX`].
    ///
    /// `None` for anything that asks for nothing: a date that has passed, a negative number, text of another form.
    #[must_use]
    pub fn parse(value: &str, now: UnixMillis) -> Option<Duration> {
        let value = value.trim_ascii();
        if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
            // Digits that are no u64 are only too many.
            let seconds = value.parse().unwrap_or(u64::MAX);
            return Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX));
        }
        let date = httpdate::parse_http_date(value).ok()?;
        let now = std::time::UNIX_EPOCH + Duration::from_millis(now.0);
        date.duration_since(now).ok().map(|wait| wait.min(RETRY_AFTER_MAX))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const HOUR: Duration = Duration::from_secs(3600);

    fn fixed(delays: &[Duration], jitter_percent: u8) -> Result<RetryPolicy, InvalidRetryPolicy> {
        RawRetryPolicy { schedule: Schedule::Fixed { delays: delays.to_vec() }, jitter_percent }.try_into()
    }

    fn exponential(
        base: Duration,
        factor_percent: u32,
        cap: Duration,
        attempts_max: u32,
    ) -> Result<RetryPolicy, InvalidRetryPolicy> {
        let schedule = Schedule::Exponential { base, factor_percent, cap, attempts_max };
        RawRetryPolicy { schedule, jitter_percent: 0 }.try_into()
    }

    fn delays(policy: &RetryPolicy, jitter: f64) -> Vec<Duration> {
        (1..).map_while(|failed| policy.delay_after(failed, jitter)).collect()
    }

    #[test]
    fn the_default_is_standard_webhooks() {
        let policy = RetryPolicy::default();
        assert_eq!(policy.attempts_max(), 10);
        let total: Duration = STANDARD_WEBHOOKS_DELAYS.iter().sum();
        assert_eq!(total.as_secs(), 272_105, "75.6 hours");
        let shortest = delays(&policy, 0.0);
        let longest = delays(&policy, 1.0);
        assert_eq!(shortest[..3], [4 * SECOND, 240 * SECOND, 900 * SECOND]);
        assert_eq!(longest[..3], [6 * SECOND, 360 * SECOND, 2160 * SECOND]);
        assert_eq!((shortest.len(), longest.len()), (9, 9));
        assert_eq!(policy.delay_after(0, 0.5), Some(Duration::ZERO));
    }

    #[test]
    fn exponential_delays_grow_to_the_cap() {
        let check = |base, factor, cap, expect: &[u64]| {
            let policy = exponential(base, factor, cap, 6).unwrap();
            let expect: Vec<_> = expect.iter().copied().map(Duration::from_secs).collect();
            assert_eq!(delays(&policy, 0.7), expect);
        };
        check(SECOND, 200, HOUR, &[1, 2, 4, 8, 16]);
        check(30 * SECOND, 200, 100 * SECOND, &[30, 60, 100, 100, 100]);
        check(7 * SECOND, 100, HOUR, &[7, 7, 7, 7, 7]);
        check(8 * SECOND, 150, 18 * SECOND, &[8, 12, 18, 18, 18]);
        check(SECOND, 1000, HOUR, &[1, 10, 100, 1000, 3600]);
    }

    #[test]
    fn refuses_what_is_out_of_range() {
        let check = |policy: Result<RetryPolicy, InvalidRetryPolicy>, code: &str| {
            assert_eq!(policy.map_err(|error| error.code()), Err(code));
        };
        check(fixed(&[SECOND; 50], 0), "retry_attempts_out_of_range");
        check(exponential(SECOND, 200, HOUR, 0), "retry_attempts_out_of_range");
        check(exponential(SECOND, 200, HOUR, 51), "retry_attempts_out_of_range");
        check(fixed(&[SECOND, Duration::ZERO], 0), "retry_delay_out_of_range");
        check(fixed(&[RETRY_DELAY_MAX + SECOND], 0), "retry_delay_out_of_range");
        check(exponential(Duration::from_millis(9), 200, HOUR, 5), "retry_delay_out_of_range");
        check(exponential(SECOND, 99, HOUR, 5), "retry_factor_out_of_range");
        check(exponential(SECOND, 1001, HOUR, 5), "retry_factor_out_of_range");
        check(exponential(HOUR, 200, SECOND, 5), "retry_cap_out_of_range");
        check(exponential(HOUR, 200, RETRY_DELAY_MAX + SECOND, 5), "retry_cap_out_of_range");
        check(fixed(&[SECOND], 101), "retry_jitter_out_of_range");
        assert_eq!(fixed(&[], 0).unwrap().delay_after(1, 0.0), None, "an empty list never retries");
        assert_eq!(fixed(&[SECOND; 49], 0).unwrap().attempts_max(), RETRY_ATTEMPTS_MAX);
    }

    #[test]
    fn reads_retry_after() {
        // Sun, 22 Nov 2026 01:02:03 GMT and half a second.
        let now = UnixMillis(1_795_309_323_500);
        let check = |value: &str, expect: Option<u64>| {
            assert_eq!(RetryAfter::parse(value, now), expect.map(Duration::from_millis), "{value:?}");
        };
        check("0", Some(0));
        check("120", Some(120_000));
        check(" 5\t", Some(5000));
        check("86401", Some(86_400_000));
        check("99999999999999999999999999", Some(86_400_000));
        check("Sun, 22 Nov 2026 01:02:04 GMT", Some(500));
        check("Sun, 22 Nov 2026 01:12:03 GMT", Some(599_500));
        check("Sunday, 22-Nov-26 01:12:03 GMT", Some(599_500));
        check("Sun Nov 22 01:12:03 2026", Some(599_500));
        check("Fri, 22 Nov 2030 01:02:03 GMT", Some(86_400_000));
        check("Sun, 22 Nov 2026 01:02:03 GMT", None);
        check("", None);
        check("-1", None);
        check("+1", None);
        check("1.5", None);
        check("soon", None);
        check("2026-11-22T01:12:03Z", None);
    }

    fn policies() -> impl Strategy<Value = RetryPolicy> {
        let delay = (10..604_800_000u64).prop_map(Duration::from_millis);
        let list =
            proptest::collection::vec(delay.clone(), 0..50).prop_map(|delays| Schedule::Fixed { delays });
        let series = (delay.clone(), 100..=1000u32, delay, 1..=50u32).prop_map(
            |(one, factor_percent, other, attempts_max)| Schedule::Exponential {
                base: one.min(other),
                factor_percent,
                cap: one.max(other),
                attempts_max,
            },
        );
        (prop_oneof![list, series], 0..=100u8).prop_map(|(schedule, jitter_percent)| {
            RawRetryPolicy { schedule, jitter_percent }.try_into().unwrap()
        })
    }

    proptest! {
        #[test]
        fn every_delay_is_within_half_and_six_fifths(policy in policies(), failed in 1..60u32, jitter in 0.0..1.0f64) {
            let Some(delay) = policy.delay_after(failed, jitter) else { return Ok(()) };
            let scheduled = policy.schedule().delay(failed - 1);
            let rounding = Duration::from_micros(1);
            prop_assert!(delay + rounding >= scheduled / 2);
            prop_assert!(delay <= scheduled * 6 / 5 + rounding);
            if failed <= EARLY_RETRIES {
                prop_assert!(delay + rounding >= scheduled * 4 / 5);
            }
        }

        #[test]
        fn more_chance_is_never_a_shorter_delay(policy in policies(), failed in 1..60u32, one in 0.0..1.0f64, other in 0.0..1.0f64) {
            let (low, high) = (one.min(other), one.max(other));
            prop_assert!(policy.delay_after(failed, low) <= policy.delay_after(failed, high));
        }

        #[test]
        fn a_series_never_shrinks(policy in policies(), failed in 2..50u32) {
            let Schedule::Exponential { base, cap, .. } = *policy.schedule() else { return Ok(()) };
            let (before, after) = (policy.schedule().delay(failed - 2), policy.schedule().delay(failed - 1));
            prop_assert!(before <= after && base <= after + Duration::from_micros(1) && after <= cap);
        }

        #[test]
        fn exhausted_exactly_after_the_last_attempt(policy in policies(), failed: u32, jitter in proptest::num::f64::ANY) {
            let near = failed % 64;
            for failed in [near, failed] {
                prop_assert_eq!(policy.delay_after(failed, jitter).is_none(), failed >= policy.attempts_max());
            }
        }

        #[test]
        fn a_policy_reads_back(policy in policies()) {
            prop_assert_eq!(RawRetryPolicy::from(policy.clone()).try_into(), Ok(policy));
        }

        #[test]
        fn retry_after_is_bounded_for_any_text(value: String, now in 0..1u64 << 48) {
            prop_assert!(RetryAfter::parse(&value, UnixMillis(now)).is_none_or(|wait| wait <= RETRY_AFTER_MAX));
        }
    }
}
