//! When the log goes into the database's file.
//!
//! SQLite's own checkpoints are off, so that none runs in the middle of a busy moment of its choosing. The writer
//! looks at the log every few commits and copies it when it is long; when nothing comes for a while it also gives
//! the log's space back.

use rusqlite::Connection;

use crate::PAGE_BYTES;
use crate::error::DbError;

/// Commits between two looks at the log. No commit writes more than a few MiB.
const LOOK_COMMITS: u32 = 8;
/// Bytes of log from which it is copied.
const LOG_BYTES_HIGH: i64 = 16 << 20;

#[derive(Debug, Default)]
pub(super) struct Checkpoints {
    commits: u32,
    /// Whether commits were made since the log was last given back.
    has_log: bool,
}

impl Checkpoints {
    pub(super) fn after_commit(&mut self, db: &Connection) -> Result<(), DbError> {
        self.has_log = true;
        self.commits += 1;
        if self.commits < LOOK_COMMITS {
            return Ok(());
        }
        self.commits = 0;
        let (pages, copied) = checkpoint(db, "/* checkpoint::after_commit */ PRAGMA wal_checkpoint(NOOP)")?;
        if (pages - copied) * PAGE_BYTES > LOG_BYTES_HIGH {
            checkpoint(db, "/* checkpoint::after_commit */ PRAGMA wal_checkpoint(PASSIVE)")?;
        }
        Ok(())
    }

    /// The database was written to besides.
    pub(super) fn wrote(&mut self) {
        self.has_log = true;
    }

    /// Gives the log's space back, which may be what is missing.
    pub(super) fn make_room(&mut self, db: &Connection) -> Result<(), DbError> {
        self.has_log = true;
        self.truncate(db)
    }

    /// Copies all of the log, synchronised, and gives its space back. Where readers are in the way a part stays.
    pub(super) fn truncate(&mut self, db: &Connection) -> Result<(), DbError> {
        if self.has_log {
            checkpoint(db, "/* checkpoint::truncate */ PRAGMA wal_checkpoint(TRUNCATE)")?;
            self.has_log = false;
        }
        Ok(())
    }
}

/// Answers the log's pages and how many of them are copied.
fn checkpoint(db: &Connection, sql: &str) -> Result<(i64, i64), DbError> {
    Ok(db.query_row(sql, [], |row| Ok((row.get(1)?, row.get(2)?)))?)
}
