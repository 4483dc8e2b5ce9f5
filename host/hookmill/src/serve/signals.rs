//! SIGTERM, from supervisors, SIGINT, from terminals, and SIGHUP, from terminals that close: all mean the same.
//!
//! Nothing is read again at SIGHUP: the configuration in the file holds from the next start on. Who started the router
//! with SIGHUP ignored, as `nohup` does, wants it to outlive the terminal, and it does.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::failure::{Exit, Failure};

/// The signals that ask the process to end.
#[derive(Debug)]
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    /// None where whoever started the process has it ignored.
    hang_up: Option<Signal>,
    /// A file larger than the process may write: taken over, so that the write fails like one to a full disk.
    _file_size: Signal,
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
        let hang_up = if ignores_hang_up() { None } else { Some(taken(SignalKind::hangup())?) };
        Ok(Self {
            terminate: taken(SignalKind::terminate())?,
            interrupt: taken(SignalKind::interrupt())?,
            hang_up,
            _file_size: taken(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))?,
        })
    }

    /// Waits for the next one.
    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            () = received(self.hang_up.as_mut()) => {}
        }
    }
}

async fn received(signal: Option<&mut Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

/// Whether this process was started with SIGHUP ignored.
fn ignores_hang_up() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    ignored_signals(&status) & 1 != 0
}

/// The mask of ignored signals in a status of proc(5); SIGHUP is the first bit.
fn ignored_signals(status: &str) -> u64 {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mask_of_ignored_signals_is_read() {
        assert_eq!(ignored_signals("SigBlk:\t0000000000000002\nSigIgn:\t0000000000001001\n"), 0x1001);
        assert_eq!(ignored_signals("no such line"), 0);
    }
}
