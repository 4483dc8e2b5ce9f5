//! `hookmill serve`: from start to stop.
//!
//! Start ([`wiring`]): the data directory is locked, the port taken, the store opened, the adapters put together; then
//! the address is printed. Stop: the server stops accepting and finishes its requests, the dispatcher lets deliveries
//! end, the store is closed. What did not end in time is in the store and goes on at the next start, as after a crash.
//! A store or a task that failed ends the process at once: nothing may be acknowledged any more, and a restart
//! recovers.

mod data_dir;
mod network;
mod priority;
mod retention;
mod signals;
mod watch;
mod wiring;

use std::io::Write as _;

use tokio::task::JoinError;

use self::signals::Signals;
use self::wiring::Running;
use crate::config::Config;
use crate::failure::{Exit, Failure};

/// What precedes the address on the line that says that the router takes requests.
pub(crate) const LISTENING: &str = "listening on http://";

/// Keeps what this process makes from everyone else: the database's log and its index, and what plugins are compiled to.
pub(crate) fn keep_files_private() {
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
}

/// Runs the router until it is told to stop.
///
/// # Errors
/// Why it did not start, or what failed while it ran.
pub(crate) async fn run(config: Config) -> Result<Exit, Failure> {
    let mut signals = Signals::listen()?;
    let mut running = tokio::select! {
        running = wiring::start(&config) => running?,
        // Whatever was begun, the next start finds it as after a crash.
        () = signals.next() => return Ok(Exit::Done),
    };
    announce(&running);
    let store = running.store();
    let until_stopped = async {
        tokio::select! {
            () = signals.next() => {}
            ended = running.ended_early() => return Err(task_failed(ended)),
        }
        tracing::info!("draining; a second signal ends the router at once");
        tokio::select! {
            stopped = running.stop() => stopped.map(|()| Exit::Done),
            () = signals.next() => {
                tracing::warn!("ended before everything was drained");
                Ok(Exit::Interrupted)
            }
        }
    };
    tokio::select! {
        exit = until_stopped => exit,
        error = store.failed() => Err(store_failed(&error.to_string())),
    }
}

/// Tells whoever started us: an admin key that was made just now, and where requests are taken.
fn announce(running: &Running) {
    let mut stdout = std::io::stdout().lock();
    let mut tell = || {
        if let Some(key) = running.made_admin_key() {
            writeln!(stdout, "admin key (shown only now, keep it safe): {key}")?;
        }
        writeln!(stdout, "{LISTENING}{}", running.address())?;
        stdout.flush()
    };
    if let Err(error) = tell() {
        tracing::warn!(%error, "nobody reads standard output");
    }
}

fn store_failed(detail: &str) -> Failure {
    Failure::new(Exit::RestartNeeded, "store_failed", detail).hint(
        "what was acknowledged is on the disk; check the disk, then start the router again, and it recovers",
    )
}

fn task_failed(ended: Result<(), JoinError>) -> Failure {
    let detail = match ended {
        Ok(()) => "a task of the router ended before its time".to_owned(),
        Err(error) => format!("a task of the router failed: {error}"),
    };
    Failure::new(Exit::RestartNeeded, "task_failed", detail)
        .hint("this is a fault of the router: please report it with the log; start it again, and it recovers")
}
