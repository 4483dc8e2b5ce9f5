//! Whether an endpoint, or a plugin, is worth trying now.
//!
//! A [`Breaker`] changes *when* something is tried and never drops anything: what it holds back stays due.
//! - *closed*: everything may start ([`Permit::Normal`]);
//! - *open*: nothing may start until a moment ([`Permit::Wait`]);
//! - *half-open*: that moment has come and one attempt, the probe, is under way ([`Permit::Probe`]).
//!
//! It opens after so many failures in a row, or after so many within a window when they are also a large share of
//! the window's outcomes. The probe decides: success closes it, failure opens it again for twice as long. Only the
//! probe counts then: outcomes of attempts that started before it opened say nothing new. A series of openings goes
//! on, and its pauses grow, when the breaker opens again within a window of closing, so that a target which only
//! survives its probes is left alone for longer each time.
//!
//! The caller asks [`Breaker::permit`] before a start, keeps whether the permit was a probe, and reports the outcome
//! with [`Breaker::record`].

mod window;

use std::time::Duration;

use crate::breaker::window::Window;
use crate::time::UnixMillis;

/// When a breaker opens and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BreakerConfig {
    /// Failures in a row that open it; `u32::MAX` for never.
    pub consecutive_failures: u32,
    /// How far back outcomes count. The window slides in fifths: an outcome counts for at least this long and for
    /// at most a fifth longer.
    pub window: Duration,
    /// Outcomes in the window below which its share of failures is not judged.
    pub window_outcomes_min: u32,
    /// Share of failures in the window's outcomes that opens it, in percent.
    pub window_failures_percent: u32,
    /// Failures in the window below which it does not open by share.
    pub window_failures_min: u32,
    /// The first pause.
    pub pause_first: Duration,
    /// Pauses double up to this.
    pub pause_max: Duration,
    /// After this long without an outcome a probe is given up and another may start.
    pub probe_timeout: Duration,
}

impl BreakerConfig {
    /// For an endpoint: 10 failures in a row, or 70 % of at least 10 outcomes in 5 minutes (as Convoy's defaults
    /// are); pauses of 5 s to 5 min.
    pub const ENDPOINT: Self = Self {
        consecutive_failures: 10,
        window: Duration::from_secs(300),
        window_outcomes_min: 10,
        window_failures_percent: 70,
        window_failures_min: 1,
        pause_first: Duration::from_secs(5),
        pause_max: Duration::from_secs(300),
        // Longer than an attempt may take, with the time it may wait for a thread of the plugin before.
        probe_timeout: Duration::from_secs(90),
    };

    /// For a plugin: 5 traps or exceeded limits in 60 s, whatever else went well; pauses of 1 s to 5 min.
    pub const PLUGIN: Self = Self {
        consecutive_failures: u32::MAX,
        window: Duration::from_secs(60),
        window_outcomes_min: 0,
        window_failures_percent: 0,
        window_failures_min: 5,
        pause_first: Duration::from_secs(1),
        pause_max: Duration::from_secs(300),
        probe_timeout: Duration::from_secs(30),
    };

    /// The pause of the opening with this number, counted from 1.
    fn pause(&self, openings: u32) -> Duration {
        let doublings = openings.saturating_sub(1).min(31);
        self.pause_first.saturating_mul(1 << doublings).min(self.pause_max)
    }
}

/// The breaker of one endpoint or plugin. New ones are closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breaker {
    state: State,
    /// Outcomes since it closed.
    window: Window,
    consecutive_failures: u32,
    /// Openings of the present series.
    openings: u32,
}

const _: () = assert!(size_of::<Breaker>() <= 64, "there is one for every endpoint");

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed { since: UnixMillis },
    Open { until: UnixMillis },
    HalfOpen { probe_expires: UnixMillis },
}

/// Whether an attempt may start.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permit {
    /// Yes, like any other.
    Normal,
    /// Yes, and its outcome decides: report it as [`Attempt::Probe`].
    Probe,
    /// No; ask again at this moment.
    Wait {
        /// When asking can help.
        until: UnixMillis,
    },
}

/// Which kind of permit an attempt started with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// [`Permit::Normal`].
    Normal,
    /// [`Permit::Probe`].
    Probe,
}

/// A change to log, store and announce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It opened, or opened again after a failed probe.
    Opened {
        /// When the next probe may start.
        until: UnixMillis,
    },
    /// It closed after a successful probe.
    Closed,
}

/// What survives a restart. The window's outcomes do not: they are younger than most restarts are long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SavedBreaker {
    /// Failures in a row so far.
    pub consecutive_failures: u32,
    /// Openings of the present series, 0 where there is none.
    pub openings: u32,
    /// When the next probe may start, where it is not closed.
    pub open_until: Option<UnixMillis>,
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            state: State::Closed { since: UnixMillis(0) },
            window: Window::default(),
            consecutive_failures: 0,
            openings: 0,
        }
    }
}

impl Breaker {
    /// The breaker that was saved.
    #[must_use]
    pub fn restore(saved: SavedBreaker) -> Self {
        let state = match saved.open_until {
            Some(until) => State::Open { until },
            None => State::Closed { since: UnixMillis(0) },
        };
        let SavedBreaker { consecutive_failures, openings, open_until: _ } = saved;
        Self { state, consecutive_failures, openings, ..Self::default() }
    }

    /// What is to be saved. A probe under way is saved as due: after a restart there is none.
    #[must_use]
    pub fn save(&self) -> SavedBreaker {
        let open_until = match self.state {
            State::Closed { .. } => None,
            State::Open { until } => Some(until),
            State::HalfOpen { .. } => Some(UnixMillis(0)),
        };
        SavedBreaker { consecutive_failures: self.consecutive_failures, openings: self.openings, open_until }
    }

    /// Whether everything may start.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed { .. })
    }

    /// Lets the next probe start at this moment already, because a person asks: where it is open until later. A probe that is
    /// under way is enough.
    pub fn probe_from(&mut self, at: UnixMillis) {
        if let State::Open { until } = &mut self.state {
            *until = (*until).min(at);
        }
    }

    /// Until when it waits for its next probe; that moment has come where a probe is under way. None where it is closed.
    #[must_use]
    pub fn open_until(&self) -> Option<UnixMillis> {
        self.save().open_until
    }

    /// What [`permit`](Self::permit) would answer, without starting a probe.
    pub fn peek(&self, now: UnixMillis) -> Permit {
        match self.state {
            State::Closed { .. } => Permit::Normal,
            State::Open { until: next } | State::HalfOpen { probe_expires: next } if now < next => {
                Permit::Wait { until: next }
            }
            State::Open { .. } | State::HalfOpen { .. } => Permit::Probe,
        }
    }

    /// Takes back the permit of an attempt that was not made: a probe is due as it was before.
    pub fn give_back(&mut self, attempt: Attempt, now: UnixMillis) {
        if attempt == Attempt::Probe && matches!(self.state, State::HalfOpen { .. }) {
            self.state = State::Open { until: now };
        }
    }

    /// Whether an attempt may start now. [`Permit::Probe`] is given to one at a time: who takes it must start.
    pub fn permit(&mut self, config: &BreakerConfig, now: UnixMillis) -> Permit {
        let permit = self.peek(now);
        match permit {
            Permit::Probe => self.state = State::HalfOpen { probe_expires: now.after(config.probe_timeout) },
            Permit::Normal | Permit::Wait { .. } => {}
        }
        permit
    }

    /// Takes the outcome of an attempt that was permitted.
    pub fn record(
        &mut self,
        config: &BreakerConfig,
        attempt: Attempt,
        succeeded: bool,
        now: UnixMillis,
    ) -> Option<Change> {
        match (self.state, attempt) {
            (State::Closed { since }, _) => self.record_closed(config, succeeded, since, now),
            (State::Open { .. } | State::HalfOpen { .. }, Attempt::Probe) if succeeded => {
                // `openings` stays: the series goes on if it opens again soon.
                self.state = State::Closed { since: now };
                self.consecutive_failures = 0;
                self.window = Window::default();
                Some(Change::Closed)
            }
            // A probe that was given up and fails later than another one must not double the pause twice.
            (State::HalfOpen { .. }, Attempt::Probe) => {
                self.consecutive_failures = self.consecutive_failures.saturating_add(1);
                Some(self.open(config, now))
            }
            (State::Open { .. }, Attempt::Probe)
            | (State::Open { .. } | State::HalfOpen { .. }, Attempt::Normal) => None,
        }
    }

    fn record_closed(
        &mut self,
        config: &BreakerConfig,
        succeeded: bool,
        since: UnixMillis,
        now: UnixMillis,
    ) -> Option<Change> {
        self.window.record(config.window, succeeded, now);
        if succeeded {
            self.consecutive_failures = 0;
        } else {
            self.consecutive_failures = self.consecutive_failures.saturating_add(1);
        }
        if succeeded || !self.is_over(config) {
            return None;
        }
        if now.since(since) > config.window {
            self.openings = 0;
        }
        Some(self.open(config, now))
    }

    fn open(&mut self, config: &BreakerConfig, now: UnixMillis) -> Change {
        self.openings = self.openings.saturating_add(1);
        let until = now.after(config.pause(self.openings));
        self.state = State::Open { until };
        Change::Opened { until }
    }

    fn is_over(&self, config: &BreakerConfig) -> bool {
        if self.consecutive_failures >= config.consecutive_failures {
            return true;
        }
        let (outcomes, failures) = (self.window.outcomes(), self.window.failures());
        failures >= config.window_failures_min
            && outcomes >= config.window_outcomes_min
            && failures * 100 >= outcomes * config.window_failures_percent
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: UnixMillis = UnixMillis(1_795_309_323_000);

    #[test]
    fn a_probe_that_was_not_made_is_due_at_once() {
        let config = BreakerConfig::ENDPOINT;
        let mut breaker =
            Breaker::restore(SavedBreaker { openings: 1, open_until: Some(NOW), ..SavedBreaker::default() });
        assert_eq!(breaker.permit(&config, NOW), Permit::Probe);
        assert!(matches!(breaker.permit(&config, NOW), Permit::Wait { .. }), "one at a time");
        breaker.give_back(Attempt::Normal, NOW);
        assert!(matches!(breaker.permit(&config, NOW), Permit::Wait { .. }), "another's probe stays");
        breaker.give_back(Attempt::Probe, NOW);
        assert_eq!(breaker.permit(&config, NOW), Permit::Probe);
    }

    fn at(secs: u64) -> UnixMillis {
        NOW.after(Duration::from_secs(secs))
    }

    /// Records these outcomes (`+` and `-`), the first at second `from` and each `step` seconds after the last.
    fn record(
        breaker: &mut Breaker,
        config: &BreakerConfig,
        outcomes: &str,
        from: u64,
        step: u64,
    ) -> Option<Change> {
        let mut change = None;
        for (index, outcome) in outcomes.chars().enumerate() {
            assert_eq!(change, None, "it opens with the last outcome");
            let now = at(from + index as u64 * step);
            assert_eq!(breaker.permit(config, now), Permit::Normal);
            change = breaker.record(config, Attempt::Normal, outcome == '+', now);
        }
        change
    }

    #[test]
    fn endpoints_open_on_a_run_or_on_a_share() {
        let check = |outcomes: &str, step: u64, opens: bool| {
            let mut breaker = Breaker::default();
            let change = record(&mut breaker, &BreakerConfig::ENDPOINT, outcomes, 0, step);
            assert_eq!(change.is_some(), opens, "{outcomes} every {step} s");
            assert_eq!(breaker.is_closed(), !opens);
        };
        check("----------", 1, true);
        check("---------", 1, false);
        // Rare failures in a row open it too, however long that takes.
        check("----------", 3600, true);
        check("---------+---------", 3600, false);
        // Seven of ten.
        check("+++-------", 1, true);
        check("++++------", 1, false);
        check("++++----------", 1, true);
        check("+-+-+-+-+-+-+-+-+-+-", 1, false);
        // A share is judged only when the outcomes are close together.
        check("+++-------", 60, false);
    }

    #[test]
    fn plugins_open_on_five_traps_in_a_minute() {
        let check = |outcomes: &str, step: u64, opens: bool| {
            let mut breaker = Breaker::default();
            let change = record(&mut breaker, &BreakerConfig::PLUGIN, outcomes, 0, step);
            assert_eq!(change.is_some(), opens, "{outcomes} every {step} s");
        };
        check("-----", 1, true);
        check("-----", 14, true);
        check("----", 1, false);
        check("--------------------", 30, false);
        check(&format!("{}-----", "+".repeat(2000)), 0, true);
        check("-++-++-++-++-", 4, true);
    }

    #[test]
    fn pauses_double_until_a_probe_succeeds() {
        let config = &BreakerConfig::ENDPOINT;
        let mut breaker = Breaker::default();
        assert_eq!(record(&mut breaker, config, "----------", 0, 0), Some(Change::Opened { until: at(5) }));
        let mut now = 5;
        for pause in [10, 20, 40, 80, 160, 300, 300] {
            let early = UnixMillis(at(now).0 - 1);
            assert_eq!(breaker.permit(config, early), Permit::Wait { until: at(now) });
            assert_eq!(breaker.permit(config, at(now)), Permit::Probe);
            let one_only = Permit::Wait { until: at(now + 90) };
            assert_eq!(breaker.permit(config, at(now)), one_only);
            let change = breaker.record(config, Attempt::Probe, false, at(now + 1));
            assert_eq!(change, Some(Change::Opened { until: at(now + 1 + pause) }));
            now += 1 + pause;
        }
        assert_eq!(breaker.permit(config, at(now)), Permit::Probe);
        assert_eq!(breaker.record(config, Attempt::Probe, true, at(now)), Some(Change::Closed));
        assert_eq!(breaker.permit(config, at(now)), Permit::Normal);

        // Soon after, the series goes on; a window later it begins anew.
        let mut later = breaker.clone();
        let soon = record(&mut breaker, config, "----------", now + 1, 0);
        assert_eq!(soon, Some(Change::Opened { until: at(now + 301) }));
        let anew = record(&mut later, config, "----------", now + 301, 0);
        assert_eq!(anew, Some(Change::Opened { until: at(now + 306) }));
    }

    #[test]
    fn attempts_from_before_it_opened_say_nothing() {
        let config = &BreakerConfig::ENDPOINT;
        let mut breaker = Breaker::default();
        assert!(record(&mut breaker, config, "----------", 0, 0).is_some());
        let open = breaker.clone();
        assert_eq!(breaker.record(config, Attempt::Normal, true, at(1)), None);
        assert_eq!(breaker.record(config, Attempt::Normal, false, at(1)), None);
        assert_eq!(breaker, open);
        assert_eq!(breaker.permit(config, at(5)), Permit::Probe);
        let half_open = breaker.clone();
        assert_eq!(breaker.record(config, Attempt::Normal, true, at(6)), None);
        assert_eq!(breaker, half_open);
    }

    #[test]
    fn a_lost_probe_is_given_up() {
        let config = &BreakerConfig::ENDPOINT;
        let mut breaker = Breaker::default();
        assert!(record(&mut breaker, config, "----------", 0, 0).is_some());
        assert_eq!(breaker.permit(config, at(5)), Permit::Probe);
        assert_eq!(breaker.permit(config, at(94)), Permit::Wait { until: at(95) });
        assert_eq!(breaker.permit(config, at(95)), Permit::Probe);
        let change = breaker.record(config, Attempt::Probe, false, at(96));
        assert_eq!(change, Some(Change::Opened { until: at(106) }));
        // The first one ends after all: its failure is old news, its success is not.
        assert_eq!(breaker.record(config, Attempt::Probe, false, at(97)), None);
        assert_eq!(breaker.record(config, Attempt::Probe, true, at(98)), Some(Change::Closed));
    }

    #[test]
    fn a_person_is_the_probe_of_an_open_breaker() {
        let config = &BreakerConfig::ENDPOINT;
        let mut breaker = Breaker::default();
        breaker.probe_from(at(0));
        assert_eq!((breaker.permit(config, at(0)), breaker.open_until()), (Permit::Normal, None));
        assert!(record(&mut breaker, config, "----------", 0, 0).is_some());
        assert_eq!(breaker.open_until(), Some(at(5)));
        breaker.probe_from(at(2));
        assert_eq!(breaker.permit(config, at(1)), Permit::Wait { until: at(2) });
        assert_eq!(breaker.permit(config, at(2)), Permit::Probe);
        // One is enough.
        breaker.probe_from(at(2));
        assert_eq!(breaker.permit(config, at(2)), Permit::Wait { until: at(92) });
        assert_eq!(breaker.record(config, Attempt::Probe, true, at(3)), Some(Change::Closed));
        assert_eq!(breaker.open_until(), None);
    }

    #[test]
    fn what_is_saved_reads_back() {
        let config = &BreakerConfig::ENDPOINT;
        let mut breaker = Breaker::default();
        assert_eq!(breaker.save(), SavedBreaker::default());
        assert!(record(&mut breaker, config, "----------", 0, 0).is_some());
        let saved = SavedBreaker { consecutive_failures: 10, openings: 1, open_until: Some(at(5)) };
        assert_eq!(breaker.save(), saved);
        let mut restored = Breaker::restore(saved);
        assert_eq!(restored.permit(config, at(4)), Permit::Wait { until: at(5) });
        assert_eq!(restored.permit(config, at(5)), Permit::Probe);
        // Killed with a probe under way, it probes at once.
        let mut restored = Breaker::restore(restored.save());
        assert_eq!(restored.permit(config, at(6)), Permit::Probe);
        let change = restored.record(config, Attempt::Probe, false, at(7));
        assert_eq!(change, Some(Change::Opened { until: at(17) }));
    }

    proptest! {
        /// Whatever happens, in whatever order: it never opens on success, never waits for longer than its limits,
        /// and a target that recovered is always found.
        #[test]
        fn it_always_recovers(steps in proptest::collection::vec((0..200_000u64, any::<bool>(), any::<bool>()), 0..200)) {
            let config = &BreakerConfig::ENDPOINT;
            let mut breaker = Breaker::default();
            let mut now = NOW;
            let longest = config.pause_max.max(config.probe_timeout);
            for (millis, succeeded, probe_lost) in steps {
                now = now.after(Duration::from_millis(millis));
                let peeked = breaker.peek(now);
                let permit = breaker.permit(config, now);
                prop_assert_eq!(peeked, permit);
                let attempt = match permit {
                    Permit::Normal => Attempt::Normal,
                    Permit::Probe if probe_lost => continue,
                    Permit::Probe => Attempt::Probe,
                    Permit::Wait { until } => {
                        prop_assert!(now < until && until <= now.after(longest));
                        continue;
                    }
                };
                let change = breaker.record(config, attempt, succeeded, now);
                if succeeded {
                    prop_assert!(breaker.is_closed());
                    prop_assert_eq!(change.is_some(), attempt == Attempt::Probe);
                }
            }
            now = now.after(longest);
            let attempt = match breaker.permit(config, now) {
                Permit::Normal => Attempt::Normal,
                Permit::Probe => Attempt::Probe,
                Permit::Wait { until } => return Err(TestCaseError::fail(format!("still waits until {until}"))),
            };
            breaker.record(config, attempt, true, now);
            prop_assert!(breaker.is_closed());
        }

        /// Against the definition: five traps whose times lie within 60 s open it; fewer than five within 72 s do not.
        #[test]
        fn the_window_is_kept(times in proptest::collection::vec(0..400_000u64, 1..40)) {
            let config = &BreakerConfig::PLUGIN;
            let mut times = times;
            times.sort_unstable();
            let mut breaker = Breaker::default();
            for (index, time) in times.iter().enumerate() {
                let within = |millis: u64| times[..=index].iter().filter(|earlier| **earlier + millis > *time).count();
                let opened = breaker.record(config, Attempt::Normal, false, UnixMillis(NOW.0 + time)).is_some();
                prop_assert!(opened || within(60_000) < 5);
                prop_assert!(!opened || within(72_000) >= 5);
                if opened {
                    break;
                }
            }
        }
    }
}
