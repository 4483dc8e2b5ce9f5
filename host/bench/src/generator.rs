//! The load: events sent over a fixed number of connections, as fast as they are acknowledged or at a fixed rate.
//!
//! At a fixed rate every event has a moment at which it is due, and latency counts from there. A router that stalls makes
//! the events behind it late, and their wait is in the figures (no "coordinated omission"). The moments come from a thread
//! of their own, because the timers of an asynchronous runtime tick in milliseconds.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hdrhistogram::Histogram;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;

use crate::clock;
use crate::error::BenchError;
use crate::event::{Marker, RequestTemplate};
use crate::http1::Connection;
use crate::report::Quantiles;

/// Connections where acknowledgements are measured.
pub(crate) const CONNECTIONS: usize = 64;
/// Connections where deliveries are. A closed loop can't accept more than one event a connection in each commit; with
/// these the disk's slow moods (4 ms a commit) do not hide what the router can do.
pub(crate) const DELIVERY_CONNECTIONS: usize = 256;
/// After a refusal a connection waits: a caller would.
const PAUSE_AFTER_REFUSAL: Duration = Duration::from_millis(2);
/// Events that are due and wait for a connection.
const DUE_QUEUE_MAX: usize = 1024;
/// The last answers come this long after the load ends, or the router hangs.
const LAST_ANSWERS_SECONDS_MAX: u64 = 60;

/// Where the load goes.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) template: RequestTemplate,
}

/// When a closed loop ends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extent {
    pub(crate) connections: usize,
    pub(crate) seconds: f64,
    pub(crate) events_max: u64,
}

/// What was sent.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) accepted: u64,
    /// Told to come later (429, 503, 507).
    pub(crate) refused: u64,
    pub(crate) started_ns: u64,
    pub(crate) ended_ns: u64,
    /// From the moment an event was sent (closed loop) or due (fixed rate) to its acknowledgement.
    pub(crate) acknowledged_ns: Histogram<u64>,
}

/// Numbers the events of all scenarios.
#[derive(Debug, Clone, Default)]
pub(crate) struct Numbers(Arc<AtomicU64>);

impl Numbers {
    /// The number that the next event will have.
    pub(crate) fn upcoming(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn take(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}

/// Sends an event as soon as the one before on the same connection is acknowledged.
pub(crate) async fn closed_loop(
    target: &Target,
    numbers: &Numbers,
    extent: Extent,
) -> Result<Sent, BenchError> {
    let started_ns = clock::now_ns();
    let ends_ns = started_ns + (extent.seconds * 1e9) as u64;
    let last_number = numbers.upcoming() + extent.events_max;
    let mut connections = JoinSet::new();
    for _ in 0..extent.connections {
        let (mut sender, numbers) = (Sender::open(target).await?, numbers.clone());
        connections.spawn(async move {
            while clock::now_ns() < ends_ns && numbers.upcoming() < last_number {
                let due_ns = clock::now_ns();
                sender.send(Marker { number: numbers.take(), due_ns }).await?;
            }
            Ok(sender.sent)
        });
    }
    collect(connections, started_ns, extent.seconds).await
}

/// Sends `rate` events a second for `seconds`, each as near to its moment as a free connection allows.
///
/// Returns with what was sent how late the moments themselves were.
pub(crate) async fn fixed_rate(
    target: &Target,
    numbers: &Numbers,
    rate: u32,
    seconds: u32,
) -> Result<(Sent, Histogram<u64>), BenchError> {
    let (due, queue) = mpsc::channel(DUE_QUEUE_MAX);
    let queue = Arc::new(Mutex::new(queue));
    let mut connections = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (mut sender, numbers, queue) = (Sender::open(target).await?, numbers.clone(), Arc::clone(&queue));
        connections.spawn(async move {
            loop {
                let Some(due_ns) = queue.lock().await.recv().await else { return Ok(sender.sent) };
                sender.send(Marker { number: numbers.take(), due_ns }).await?;
            }
        });
    }
    drop(queue);
    let started_ns = clock::now_ns();
    let pace = std::thread::spawn(move || pace(started_ns, rate, u64::from(rate) * u64::from(seconds), &due));
    let sent = collect(connections, started_ns, f64::from(seconds)).await?;
    let lateness_ns = pace.join().expect("the pacing thread does not panic");
    Ok((sent, lateness_ns))
}

/// Waits for all connections, which end by themselves after `load_seconds` and their last answers.
async fn collect(
    mut connections: JoinSet<Result<Sent, BenchError>>,
    started_ns: u64,
    load_seconds: f64,
) -> Result<Sent, BenchError> {
    let mut total = Sent { started_ns, ..Sent::nothing() };
    let all = async {
        while let Some(joined) = connections.join_next().await {
            let sent = joined.expect("a connection's task does not panic")?;
            total.accepted += sent.accepted;
            total.refused += sent.refused;
            total.acknowledged_ns += sent.acknowledged_ns;
        }
        Ok(())
    };
    let most = Duration::from_secs_f64(load_seconds) + Duration::from_secs(LAST_ANSWERS_SECONDS_MAX);
    let stalled = |_| BenchError::Stalled { what: "the load", seconds: most.as_secs() };
    tokio::time::timeout(most, all).await.map_err(stalled)??;
    total.ended_ns = clock::now_ns();
    Ok(total)
}

/// Hands out the moment of each event when it has come. Ends early where nobody listens any more.
fn pace(started_ns: u64, rate: u32, events: u64, due: &mpsc::Sender<u64>) -> Histogram<u64> {
    shorten_timer_slack();
    let mut lateness_ns = Quantiles::histogram();
    for index in 0..events {
        let due_ns = started_ns + moment_ns(index, rate);
        loop {
            let missing_ns = due_ns.saturating_sub(clock::now_ns());
            if missing_ns == 0 {
                break;
            }
            std::thread::park_timeout(Duration::from_nanos(missing_ns));
        }
        lateness_ns.saturating_record(clock::now_ns() - due_ns);
        if due.blocking_send(due_ns).is_err() {
            break;
        }
    }
    lateness_ns
}

fn moment_ns(index: u64, rate: u32) -> u64 {
    index * 1_000_000_000 / u64::from(rate)
}

/// Linux lets timers of ordinary threads be 50 us late; this one is a metronome. Where it can't be asked for, the lateness
/// that is printed shows it.
fn shorten_timer_slack() {
    if let Ok(this_thread) = std::fs::read_link("/proc/thread-self")
        && let Some(thread_id) = this_thread.file_name()
    {
        let slack = std::path::Path::new("/proc").join(thread_id).join("timerslack_ns");
        let _ = std::fs::write(slack, "1000");
    }
}

impl Sent {
    fn nothing() -> Self {
        Self { accepted: 0, refused: 0, started_ns: 0, ended_ns: 0, acknowledged_ns: Quantiles::histogram() }
    }

    pub(crate) fn seconds(&self) -> f64 {
        (self.ended_ns - self.started_ns) as f64 / 1e9
    }
}

/// One connection and what went over it.
struct Sender {
    connection: Connection,
    template: RequestTemplate,
    sent: Sent,
}

impl Sender {
    async fn open(target: &Target) -> Result<Self, BenchError> {
        let connection = Connection::open(target.address).await.map_err(connection_failed)?;
        Ok(Self { connection, template: target.template.clone(), sent: Sent::nothing() })
    }

    async fn send(&mut self, marker: Marker) -> Result<(), BenchError> {
        let request = self.template.marked(marker);
        let response = self.connection.exchange(request).await.map_err(connection_failed)?;
        match response.status {
            200..=202 => {
                self.sent.accepted += 1;
                self.sent.acknowledged_ns.saturating_record(clock::now_ns().saturating_sub(marker.due_ns));
            }
            429 | 503 | 507 => {
                self.sent.refused += 1;
                tokio::time::sleep(PAUSE_AFTER_REFUSAL).await;
            }
            status => {
                let body = String::from_utf8_lossy(self.connection.body(&response)).into_owned();
                let request = "an event of the load".into();
                return Err(BenchError::Refused { request, status, expected: "202", body });
            }
        }
        Ok(())
    }
}

fn connection_failed(source: std::io::Error) -> BenchError {
    BenchError::Connection { what: "the router", source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_evenly_spread_and_do_not_drift() {
        let check = |index, rate, expect| assert_eq!(moment_ns(index, rate), expect);
        check(0, 300, 0);
        check(1, 300, 3_333_333);
        check(300, 300, 1_000_000_000);
        check(3_000_000, 300, 10_000_000_000_000);
        check(1_500, 1_000, 1_500_000_000);
    }
}
