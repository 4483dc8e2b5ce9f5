//! Waiting until something is so.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

/// How often a condition that has no event of its own is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Nothing in a test takes this long; what does, hangs.
const HANG: Duration = Duration::from_secs(120);

/// Looks until `look` has something, and gives it.
///
/// # Panics
/// If that hangs.
pub async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let began = Instant::now();
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Some(found) = look().await {
            return found;
        }
        assert!(began.elapsed() < HANG, "waited {} s in vain until {what}", HANG.as_secs());
    }
}

/// Awaits an event that has to come.
///
/// # Panics
/// If that hangs.
pub async fn event<T>(what: &str, coming: impl Future<Output = T>) -> T {
    match timeout(HANG, coming).await {
        Ok(came) => came,
        Err(_) => panic!("waited {} s in vain until {what}", HANG.as_secs()),
    }
}
