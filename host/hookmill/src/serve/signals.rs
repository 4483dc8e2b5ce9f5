//! SIGTERM, from supervisors, and SIGINT, from terminals: both mean the same.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::failure::{Exit, Failure};

/// The signals that ask the process to end.
#[derive(Debug)]
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Takes the signals over; from here on they do not end the process by themselves.
    ///
    /// # Errors
    /// When the system refuses.
    pub(super) fn listen() -> Result<Self, Failure> {
        let taken = |kind| {
            signal(kind).map_err(|error| {
                Failure::new(
                    Exit::NotStarted,
                    "signals_unavailable",
                    format!("signals can't be taken: {error}"),
                )
            })
        };
        Ok(Self { terminate: taken(SignalKind::terminate())?, interrupt: taken(SignalKind::interrupt())? })
    }

    /// Waits for the next one.
    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
