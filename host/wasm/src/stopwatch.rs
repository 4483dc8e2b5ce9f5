//! Time that passed, for reports, for turns, and for memory that nobody came back for. No delivery hangs on it.

use std::cell::Cell;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    #[expect(
        clippy::disallowed_methods,
        reason = "a cost or an age is measured here; no delivery hangs on it"
    )]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

thread_local! {
    /// Processor time that this thread had used when it began the run in hand.
    pub(crate) static JOB_BEGAN: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// Processor time that this thread has used.
pub(crate) fn thread_cpu_time() -> Duration {
    let used = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(used.tv_sec.unsigned_abs(), u32::try_from(used.tv_nsec).unwrap_or(0))
}
