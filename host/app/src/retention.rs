//! Forgetting what is old and finished.

use std::time::Duration;

use hookmill_core::port::store::Change;
use hookmill_core::time::UnixMillis;
use hookmill_core::trusted_time::TrustedTime;

use crate::{App, AppError};

/// Retention, and the time that it goes by.
#[derive(Debug)]
pub struct Retention {
    kept: Duration,
    time: TrustedTime,
}

impl App {
    /// Retention of what is younger than `kept`. It goes on from the time that the store trusted last, or, where the
    /// operator says that the wall clock is right, from that.
    ///
    /// # Errors
    /// When the store can't be read.
    pub async fn retention(&self, kept: Duration, believe_clock: bool) -> Result<Retention, AppError> {
        let noted = if believe_clock { None } else { self.store.noted_time().await? };
        Ok(Retention { kept, time: TrustedTime::new(noted.unwrap_or(self.clock.now())) })
    }

    /// Deletes finished events with their attempts that are older than they are kept, a chunk at a time, so that writes
    /// of others come between. `elapsed` is what passed since the last time, by a clock that does not jump. Answers how
    /// many rows went.
    ///
    /// # Errors
    /// When the store fails; what was deleted until then stays so.
    pub async fn retain_once(&self, retention: &mut Retention, elapsed: Duration) -> Result<u64, AppError> {
        let doubted = retention.time.doubts();
        let now: UnixMillis = retention.time.observe(self.clock.now(), elapsed);
        if retention.time.doubts() && !doubted {
            tracing::warn!(
                wall = %self.clock.now(),
                trusted = %now,
                "the clock is further ahead than the router knows to have passed; nothing is deleted by it until it has \
                 gone steadily for a day, or the router is started with --believe-clock"
            );
        }
        self.store.apply(vec![Change::NoteTime(now)]).await?;
        let mut deleted = 0;
        loop {
            match self.store.retain(now.before(retention.kept)).await? {
                0 => return Ok(deleted),
                rows => deleted += rows,
            }
            tokio::task::yield_now().await;
        }
    }
}
