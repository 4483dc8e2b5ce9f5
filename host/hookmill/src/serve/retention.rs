//! Forgetting what is old, now and then.

use std::sync::Arc;
use std::time::Duration;

use hookmill_app::App;
use hookmill_app::retention::Retention;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

/// How often old events are looked for. What is found goes in small chunks, so that the interval sets how much the
/// files grow beyond what is kept, not how long a pause is.
const INTERVAL: Duration = Duration::from_secs(600);

/// Deletes, again and again, finished events that are older than they are kept. Never ends.
pub(super) async fn run(app: Arc<App>, mut retention: Retention) {
    let mut last = Instant::now();
    let mut ticks = interval_at(last + INTERVAL, INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let tick = ticks.tick().await.max(Instant::now());
        let elapsed = tick.saturating_duration_since(last);
        last = tick;
        match app.retain_once(&mut retention, elapsed).await {
            Ok(0) => {}
            Ok(rows) => tracing::info!(rows, "old events were deleted"),
            Err(error) => tracing::warn!(code = error.code, %error, "old events were not deleted"),
        }
    }
}
