//! Time as an argument.

use std::fmt;
use std::time::Duration;

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct UnixMillis(pub u64);

impl UnixMillis {
    /// The moment `duration` later; saturates at the end of representable time.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(millis))
    }

    /// The moment `duration` earlier; saturates at 1970.
    #[must_use]
    pub fn before(self, duration: Duration) -> Self {
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Self(self.0.saturating_sub(millis))
    }

    /// How long ago `earlier` was; zero where it lies in the future.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// Whole seconds since 1970, as signatures and HTTP dates want them.
    #[must_use]
    pub fn as_secs(self) -> u64 {
        self.0 / 1000
    }
}

/// One moment on both [clocks](crate::port::Clock).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// For people, ids and signatures.
    pub wall: UnixMillis,
    /// For waits, and for whatever lasts for a while.
    pub steady: UnixMillis,
}

impl Moment {
    /// A moment on two clocks that agree, as they do until the wall clock is set.
    #[must_use]
    pub fn undisturbed(at: UnixMillis) -> Self {
        Self { wall: at, steady: at }
    }

    /// What the wall clock will show at a moment of the steady clock, if nobody sets it until then.
    #[must_use]
    pub fn shown(self, steady: UnixMillis) -> UnixMillis {
        if steady >= self.steady {
            UnixMillis(self.wall.0.saturating_add(steady.0 - self.steady.0))
        } else {
            UnixMillis(self.wall.0.saturating_sub(self.steady.0 - steady.0))
        }
    }
}

impl fmt::Display for UnixMillis {
    /// RFC 3339 with milliseconds, for example `2026-11-22T01:02:03.004Z`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = i64::try_from(self.0).unwrap_or(i64::MAX);
        let timestamp = jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX);
        write!(formatter, "{timestamp:.3}")
    }
}

impl fmt::Debug for UnixMillis {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_rfc_3339_with_milliseconds() {
        assert_eq!(UnixMillis(1_795_309_323_004).to_string(), "2026-11-22T01:02:03.004Z");
        assert_eq!(UnixMillis(0).to_string(), "1970-01-01T00:00:00.000Z");
    }

    #[test]
    fn waits_are_shown_as_the_wall_clock_will_show_their_end() {
        let jumped_back = Moment { wall: UnixMillis(1000), steady: UnixMillis(86_400_000) };
        assert_eq!(jumped_back.shown(UnixMillis(86_403_000)), UnixMillis(4000));
        assert_eq!(jumped_back.shown(UnixMillis(86_399_500)), UnixMillis(500));
        assert_eq!(jumped_back.shown(UnixMillis(0)), UnixMillis(0));
    }

    #[test]
    fn saturates_at_both_ends() {
        assert_eq!(UnixMillis(5).before(Duration::from_secs(1)), UnixMillis(0));
        assert_eq!(UnixMillis(u64::MAX).after(Duration::from_secs(1)), UnixMillis(u64::MAX));
        assert_eq!(UnixMillis(5).since(UnixMillis(9)), Duration::ZERO);
    }
}
