//! The one place of this program that reads a clock, to say how long a step took.

#![expect(clippy::disallowed_methods, reason = "elapsed times for people; nothing is decided by them")]

use std::time::Instant;

pub(crate) fn now() -> Instant {
    Instant::now()
}
