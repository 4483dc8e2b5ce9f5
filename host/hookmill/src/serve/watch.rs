//! What changes around the router while it runs, looked at from time to time.

use std::sync::Arc;
use std::time::Duration;

use hookmill_app::App;
use hookmill_core::address::OwnAddresses;

use super::network;
use crate::log;

/// Between two looks. What is dialled in between is judged by what it turns out to be.
const INTERVAL: Duration = Duration::from_secs(2);

/// Looks again and again.
pub(super) async fn run(app: Arc<App>, own: OwnAddresses) {
    loop {
        tokio::time::sleep(INTERVAL).await;
        // Interfaces come and go. A read that fails leaves what is known.
        if let Ok(Some(addresses)) = tokio::task::spawn_blocking(network::own_addresses).await {
            own.replace(addresses);
        }
        let lost = log::take_lost();
        app.metrics().log_lines_lost(lost.dropped, lost.left_out);
        log::tell_left_out();
    }
}
