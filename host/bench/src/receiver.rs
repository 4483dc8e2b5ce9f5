//! The receiver of a run: answers every delivery at once and notes which event it was and how long it took.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use hdrhistogram::Histogram;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::clock;
use crate::error::BenchError;
use crate::event::Marker;
use crate::http1::Connection;
use crate::report::Quantiles;

const ACCEPTED: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

/// How often the waiting side looks whether all have arrived; arrivals carry their own times.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// With no arrival for so long, no more are expected.
const SILENCE_SECONDS_MAX: u64 = 30;

/// How a receiver treats what arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Answers 200 at once.
    Answers,
    /// Reads, and never answers: what is sent here stays pending.
    Holds,
}

/// A listening receiver; dropped, it listens no more.
#[derive(Debug)]
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    arrivals: Arc<Mutex<Arrivals>>,
    listening: JoinHandle<()>,
}

/// What arrived since [`Receiver::expect_from`].
#[derive(Debug, Clone)]
pub(crate) struct Arrivals {
    first_number: u64,
    /// One bit for each number from the first.
    seen: Vec<u64>,
    /// Different events.
    pub(crate) distinct: u64,
    /// Deliveries of events that had arrived before.
    pub(crate) repeated: u64,
    /// When the last new event arrived.
    pub(crate) last_ns: u64,
    /// From the moment an event was due to its arrival.
    pub(crate) latency_ns: Histogram<u64>,
}

impl Receiver {
    pub(crate) async fn start(manner: Manner) -> Result<Self, BenchError> {
        let failed = |source| BenchError::Connection { what: "the receiver's port", source };
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let arrivals = Arc::new(Mutex::new(Arrivals::from(0)));
        let listening = tokio::spawn(accept(listener, manner, Arc::clone(&arrivals)));
        Ok(Self { address, arrivals, listening })
    }

    /// Forgets what came, and counts events from this number on.
    pub(crate) fn expect_from(&self, first_number: u64) {
        *lock(&self.arrivals) = Arrivals::from(first_number);
    }

    /// Waits until `accepted` different events have arrived.
    pub(crate) async fn all_arrived(&self, accepted: u64) -> Result<Arrivals, BenchError> {
        let mut silent_since_ns = clock::now_ns();
        let mut arrived = 0;
        loop {
            let (distinct, now_ns) = (lock(&self.arrivals).distinct, clock::now_ns());
            if distinct >= accepted {
                return Ok(lock(&self.arrivals).clone());
            }
            if distinct > arrived {
                (arrived, silent_since_ns) = (distinct, now_ns);
            } else if now_ns - silent_since_ns > SILENCE_SECONDS_MAX * 1_000_000_000 {
                return Err(BenchError::Lost { accepted, arrived, seconds: SILENCE_SECONDS_MAX });
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

impl Arrivals {
    fn from(first_number: u64) -> Self {
        Self {
            first_number,
            seen: Vec::new(),
            distinct: 0,
            repeated: 0,
            last_ns: 0,
            latency_ns: Quantiles::histogram(),
        }
    }

    fn note(&mut self, marker: Marker, now_ns: u64) {
        let Some(index) = marker.number.checked_sub(self.first_number) else { return };
        let word = usize::try_from(index / 64).expect("a run has fewer events than memory has bits");
        let bit = 1 << (index % 64);
        if self.seen.len() <= word {
            self.seen.resize(word + 1, 0);
        }
        if self.seen[word] & bit != 0 {
            self.repeated += 1;
            return;
        }
        self.seen[word] |= bit;
        self.distinct += 1;
        self.last_ns = now_ns;
        self.latency_ns.saturating_record(now_ns.saturating_sub(marker.due_ns));
    }
}

async fn accept(listener: TcpListener, manner: Manner, arrivals: Arc<Mutex<Arrivals>>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(serve(stream, manner, Arc::clone(&arrivals)));
    }
}

/// One connection, until the router closes it. An error is the router's to notice: its delivery fails and comes again.
async fn serve(stream: TcpStream, manner: Manner, arrivals: Arc<Mutex<Arrivals>>) {
    let Ok(mut connection) = Connection::accepted(stream) else { return };
    while let Ok(Some(request)) = connection.next_request().await {
        let now_ns = clock::now_ns();
        if manner == Manner::Holds {
            continue;
        }
        if let Some(marker) = Marker::find(connection.body(&request)) {
            lock(&arrivals).note(marker, now_ns);
        }
        if connection.answer(ACCEPTED).await.is_err() {
            return;
        }
    }
}

fn lock(arrivals: &Mutex<Arrivals>) -> MutexGuard<'_, Arrivals> {
    arrivals.lock().expect("no holder of this lock panics")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrivals_are_told_apart() {
        let mut arrivals = Arrivals::from(100);
        for number in [99, 100, 101, 100, 300, 164, 300] {
            arrivals.note(Marker { number, due_ns: 1_000 }, 3_000 + number);
        }
        assert_eq!((arrivals.distinct, arrivals.repeated, arrivals.last_ns), (4, 2, 3_164));
        assert_eq!(arrivals.latency_ns.len(), 4);
    }
}
