//! Why a measurement could not be taken.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Why a measurement could not be taken. A target that is missed is a result, not an error.
#[derive(Debug, Error)]
pub(crate) enum BenchError {
    #[error("cannot time the disk at {}: {source}", directory.display())]
    Disk { directory: PathBuf, source: io::Error },

    #[error("{} did not start: {source}: build it with `cargo build --release -p hookmill`", program.display())]
    Start { program: PathBuf, source: io::Error },

    #[error("{what} did not become ready within {seconds} s; its log ends with:\n{log}")]
    NotReady { what: String, seconds: u64, log: String },

    #[error("{what} ended during the run; its log ends with:\n{log}")]
    Ended { what: String, log: String },

    #[error("the connection to {what} failed: {source}")]
    Connection { what: &'static str, source: io::Error },

    #[error("{request} was answered with {status}, not {expected}: {body}")]
    Refused { request: String, status: u16, expected: &'static str, body: String },

    #[error("{what} had no answer within {seconds} s: the router hangs")]
    Stalled { what: &'static str, seconds: u64 },

    #[error("{arrived} of {accepted} accepted events arrived, and none more for {seconds} s")]
    Lost { accepted: u64, arrived: u64, seconds: u64 },

    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },

    #[error("cannot write {}: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },

    #[error("{}: no such field as the bench reads", path.display())]
    Proc { path: PathBuf },

    #[error("the plugin {} can't be used: {reason}", path.display())]
    Plugin { path: PathBuf, reason: String },
}
