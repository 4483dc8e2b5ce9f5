//! The steady clock's latest moment, which is kept with the commits so that it goes on from there after a restart.

use std::sync::atomic::{AtomicU64, Ordering};

use hookmill_core::time::UnixMillis;
use rusqlite::Connection;

use crate::error::DbError;
use crate::row::column::integer;

/// How old what is kept may be when something is committed: once a second costs no commit more than a page.
const KEPT_EVERY_MILLIS: u64 = 1000;

/// What the clock showed last.
#[derive(Debug, Default)]
pub(super) struct SteadyTime(AtomicU64);

impl SteadyTime {
    pub(super) fn note(&self, steady: UnixMillis) {
        self.0.fetch_max(steady.0, Ordering::Relaxed);
    }

    /// What is to be kept, where that is not known well enough.
    pub(super) fn to_keep(&self, kept: u64) -> Option<u64> {
        let now = self.0.load(Ordering::Relaxed);
        (now >= kept + KEPT_EVERY_MILLIS).then_some(now)
    }

    /// What is to be kept when nothing follows.
    pub(super) fn latest(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Keeps a moment; one that is kept already and later stays.
pub(super) fn keep(db: &Connection, at: u64) -> Result<(), DbError> {
    db.prepare_cached(
        "/* steady_time::keep */
         INSERT INTO steady_time (only, at) VALUES (1, ?1)
         ON CONFLICT (only) DO UPDATE SET at = max(at, excluded.at)",
    )?
    .execute([integer(at)])?;
    Ok(())
}
