//! Forgetting what is old, now and then.

use std::sync::Arc;
use std::time::Duration;

use hookmill_app::App;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

/// How often old events are looked for. What is found goes in small chunks, so that the interval sets how much the
/// files grow beyond what is kept, not how long a pause is.
const INTERVAL: Duration = Duration::from_secs(600);

/// Deletes, again and again, finished events that are older than `kept`. Never ends.
pub(super) async fn run(app: Arc<App>, kept: Duration) {
    let mut ticks = interval_at(Instant::now() + INTERVAL, INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match app.retain_once(kept).await {
            Ok(0) => {}
            Ok(rows) => tracing::info!(rows, "old events were deleted"),
            Err(error) => tracing::warn!(code = error.code, %error, "old events were not deleted"),
        }
    }
}
