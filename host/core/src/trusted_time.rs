//! Which time retention goes by.
//!
//! What is deleted does not come back, so a wall clock that was set wrong must not decide what is old. The store keeps the
//! time that was trusted last. From there it goes on as the monotonic clock does, and follows the wall clock where that
//! says about the same. A wall clock that is more than [`CLOCK_JUMP_MAX`] ahead of that, as after a jump or a long time
//! off, is trusted once it has gone steadily for [`CLOCK_CONFIRMED_AFTER`], or when the operator says so; until then what
//! is old is deleted late. A wall clock that went back is followed: it only keeps more.

use std::time::Duration;

use crate::time::UnixMillis;

/// How far the wall clock may be ahead of what is known to have passed.
pub const CLOCK_JUMP_MAX: Duration = Duration::from_secs(24 * 3600);
/// How long a wall clock that jumped further has to go steadily before it is trusted.
pub const CLOCK_CONFIRMED_AFTER: Duration = Duration::from_secs(24 * 3600);
/// How much more than what passed a wall clock may advance that goes steadily.
const DRIFT_MAX: Duration = Duration::from_secs(3600);

/// The time that is trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrustedTime {
    trusted: UnixMillis,
    wall: UnixMillis,
    doubted_for: Duration,
}

impl TrustedTime {
    /// Starts from the time that was trusted last.
    #[must_use]
    pub fn new(trusted: UnixMillis) -> Self {
        Self { trusted, wall: trusted, doubted_for: Duration::ZERO }
    }

    /// The time to go by, now that the wall clock says `wall`, `elapsed` after the last look by a clock that does not jump.
    pub fn observe(&mut self, wall: UnixMillis, elapsed: Duration) -> UnixMillis {
        let expected = self.trusted.after(elapsed);
        if wall.since(expected) <= CLOCK_JUMP_MAX {
            *self = Self::new(wall);
            return wall;
        }
        let is_steady = wall >= self.wall && wall.since(self.wall) <= elapsed.saturating_add(DRIFT_MAX);
        self.doubted_for = if is_steady { self.doubted_for.saturating_add(elapsed) } else { Duration::ZERO };
        self.wall = wall;
        self.trusted = if self.doubted_for >= CLOCK_CONFIRMED_AFTER { wall } else { expected };
        self.trusted
    }

    /// Whether the wall clock is not believed at present.
    #[must_use]
    pub fn doubts(&self) -> bool {
        self.wall != self.trusted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: UnixMillis = UnixMillis(1_795_309_323_004);
    const HOUR: Duration = Duration::from_secs(3600);

    fn after_hours(hours: u32) -> UnixMillis {
        START.after(HOUR * hours)
    }

    #[test]
    fn it_follows_a_clock_that_goes_and_one_that_goes_back() {
        let mut time = TrustedTime::new(START);
        assert_eq!(time.observe(after_hours(1), HOUR), after_hours(1));
        assert_eq!(time.observe(after_hours(20), HOUR), after_hours(20), "a short time off");
        assert_eq!(time.observe(START, HOUR), START);
        assert!(!time.doubts());
    }

    /// A clock that is 30 days ahead at one start makes nothing old.
    #[test]
    fn a_jump_is_not_believed_and_is_forgotten_when_the_clock_is_set_right() {
        const AHEAD: u32 = 30 * 24;
        let mut time = TrustedTime::new(START);
        assert_eq!(time.observe(after_hours(AHEAD), Duration::ZERO), START);
        for hour in 1..20 {
            assert_eq!(time.observe(after_hours(AHEAD + hour), HOUR), after_hours(hour));
            assert!(time.doubts());
        }
        assert_eq!(time.observe(after_hours(20), HOUR), after_hours(20));
        assert!(!time.doubts());
    }

    #[test]
    fn a_jump_that_lasts_is_believed_and_one_that_goes_on_jumping_is_not() {
        const AHEAD: u32 = 30 * 24;
        let mut time = TrustedTime::new(START);
        time.observe(after_hours(AHEAD), Duration::ZERO);
        for hour in 1..24 {
            assert_eq!(time.observe(after_hours(AHEAD + hour), HOUR), after_hours(hour));
        }
        assert_eq!(time.observe(after_hours(AHEAD + 24), HOUR), after_hours(AHEAD + 24));

        let mut time = TrustedTime::new(START);
        for step in 1..100 {
            assert_eq!(time.observe(after_hours(AHEAD * step), HOUR), after_hours(step));
        }
    }
}
