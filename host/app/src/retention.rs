//! Forgetting what is old and finished.

use std::time::Duration;

use crate::{App, AppError};

impl App {
    /// Deletes finished events with their attempts that are older than `kept`, a chunk at a time, so that writes
    /// of others come between. Answers how many rows went.
    ///
    /// # Errors
    /// When the store fails; what was deleted until then stays so.
    pub async fn retain_once(&self, kept: Duration) -> Result<u64, AppError> {
        let before = self.clock.now().before(kept);
        let mut deleted = 0;
        loop {
            match self.store.retain(before).await? {
                0 => return Ok(deleted),
                rows => deleted += rows,
            }
            tokio::task::yield_now().await;
        }
    }
}
