//! The one place of this program that reads a clock: one time line for the generator and the receiver.

#![expect(
    clippy::disallowed_methods,
    reason = "a benchmark measures time; nothing that ships is decided by it"
)]

use std::sync::OnceLock;
use std::time::Instant;

static STARTED: OnceLock<Instant> = OnceLock::new();

/// Nanoseconds since this process first asked.
pub(crate) fn now_ns() -> u64 {
    let elapsed = STARTED.get_or_init(Instant::now).elapsed();
    u64::try_from(elapsed.as_nanos()).expect("the process runs for less than 584 years")
}
