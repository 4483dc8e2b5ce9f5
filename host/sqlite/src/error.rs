//! What goes wrong inside, and what of it the callers see.

use std::fmt::Display;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use hookmill_core::port::store::StoreError;
use rusqlite::ErrorCode;
use rusqlite::ffi::{SQLITE_IOERR_SHMSIZE, SQLITE_IOERR_TRUNCATE, SQLITE_IOERR_WRITE};
use thiserror::Error;

use crate::connection;

/// Why a database was not opened. The [`code`](Self::code)s are stable.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Written by a newer program.
    #[error(
        "the database has schema version {found}, this program knows versions up to {known}: start the newer \
         program, or restore a backup from before the upgrade"
    )]
    NewerSchema {
        /// What the file says.
        found: u32,
        /// What this program reads and writes.
        known: u32,
    },
    /// Another program's database.
    #[error(
        "the file is a database of another program (application id {application_id:#x}): name another file"
    )]
    Foreign {
        /// What the file says.
        application_id: i32,
    },
    /// The file or its directory can't be written.
    #[error(
        "{path} can't be opened for writing: check the directory, its owner and its permissions ({detail})"
    )]
    NotWritable {
        /// The database's file.
        path: PathBuf,
        /// What SQLite says.
        detail: String,
    },
    /// Another process has the database.
    #[error("the database is locked by another process: stop it first ({detail})")]
    Locked {
        /// What SQLite says.
        detail: String,
    },
    /// The file is damaged or no database.
    #[error("the database is damaged: restore a backup ({detail})")]
    Corrupt {
        /// What SQLite says.
        detail: String,
    },
    /// No room to open it.
    #[error("no space left on the disk to open the database: make room")]
    Full,
    /// The linked SQLite has the WAL-reset bug.
    #[error(
        "the linked SQLite is {found}, and versions before 3.51.3 may damage the database: link a newer one"
    )]
    SqliteTooOld {
        /// The linked version.
        found: String,
    },
    /// The database is sealed under another key.
    #[error(
        "secret.key is not the key of this database: restore the secret.key that was beside it, from a backup of the \
         data directory"
    )]
    WrongKey,
    /// A database that was in use has nothing in it.
    #[error(
        "the database is empty, but secret.key beside it belongs to one that was in use; it may have lost its log \
         (hookmill.db-wal): restore both from a backup, or move secret.key and the database away to begin anew"
    )]
    Lost,
    /// Anything else.
    #[error("the database can't be opened: {detail}")]
    Other {
        /// What SQLite or the system says.
        detail: String,
    },
}

impl OpenError {
    /// The stable code for logs and exit messages.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NewerSchema { .. } => "store_newer_schema",
            Self::Foreign { .. } => "store_foreign_file",
            Self::NotWritable { .. } => "store_not_writable",
            Self::Locked { .. } => "store_locked",
            Self::Corrupt { .. } => "store_corrupt",
            Self::Full => "store_full",
            Self::SqliteTooOld { .. } => "store_sqlite_too_old",
            Self::WrongKey => "secret_key_wrong",
            Self::Lost => "store_lost",
            Self::Other { .. } => "store_not_opened",
        }
    }

    /// Names the file where SQLite's own message does not.
    pub(crate) fn at(self, file: &std::path::Path) -> Self {
        match self {
            Self::NotWritable { path: _, detail } => Self::NotWritable { path: file.to_owned(), detail },
            other => other,
        }
    }
}

impl From<DbError> for OpenError {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Sqlite(error) => error.into(),
            DbError::Row { .. } | DbError::Refused(_) => Self::Other { detail: error.to_string() },
        }
    }
}

impl From<rusqlite::Error> for OpenError {
    fn from(error: rusqlite::Error) -> Self {
        let detail = error.to_string();
        if is_full(&error) {
            return Self::Full;
        }
        match error.sqlite_error_code() {
            Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
                Self::NotWritable { path: PathBuf::new(), detail }
            }
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Locked { detail },
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Corrupt { detail },
            _ => Self::Other { detail },
        }
    }
}

/// What goes wrong while the database is open.
#[derive(Debug, Error)]
pub(crate) enum DbError {
    #[error("{0}")]
    Sqlite(#[from] rusqlite::Error),
    /// A row does not say what our types can be.
    #[error("a row of {table} can't be read: {detail}")]
    Row { table: &'static str, detail: String },
    /// The call asks for what can't be; nothing is wrong with the store.
    #[error(transparent)]
    Refused(#[from] StoreError),
}

/// What an error means for the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Severity {
    /// Only this call fails.
    Refused,
    /// Passes by itself: no space, or a lock held by someone's tool.
    Passing,
    /// What was written last is in doubt; nothing may be acknowledged from here on.
    Fatal,
}

impl DbError {
    pub(crate) fn row(table: &'static str, detail: impl Display) -> Self {
        Self::Row { table, detail: detail.to_string() }
    }

    pub(crate) fn severity(&self) -> Severity {
        match self {
            Self::Refused(_) => Severity::Refused,
            Self::Sqlite(_) if self.is_full() || self.is_busy() => Severity::Passing,
            Self::Sqlite(_) | Self::Row { .. } => Severity::Fatal,
        }
    }

    /// What the caller sees.
    pub(crate) fn to_store_error(&self) -> StoreError {
        match self {
            Self::Refused(error) => error.clone(),
            Self::Sqlite(_) if self.is_full() => StoreError::Full,
            Self::Sqlite(_) if self.is_busy() => StoreError::Busy,
            Self::Sqlite(_) | Self::Row { .. } => StoreError::Failed { detail: self.to_string() },
        }
    }

    fn is_full(&self) -> bool {
        matches!(self, Self::Sqlite(error) if is_full(error))
    }

    fn is_busy(&self) -> bool {
        let Self::Sqlite(error) = self else { return false };
        matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
    }
}

/// Whether a write found no room: on the disk, or below the size that this process may make a file of.
fn is_full(error: &rusqlite::Error) -> bool {
    let rusqlite::Error::SqliteFailure(error, _) = error else { return false };
    match error.extended_code {
        // How SQLite says that the log's index found no room to grow.
        SQLITE_IOERR_SHMSIZE => true,
        // SQLite has no name for EFBIG. A write that fails for another reason stores nothing either.
        SQLITE_IOERR_WRITE | SQLITE_IOERR_TRUNCATE => is_or_was_limited(),
        _ => error.code == ErrorCode::DiskFull,
    }
}

/// Whether the size of this process' files is limited, or was when a write failed before: the limit may be lifted between
/// a write that fails and this question.
fn is_or_was_limited() -> bool {
    static WAS_LIMITED: AtomicBool = AtomicBool::new(false);
    if connection::file_bytes_max().is_some() {
        WAS_LIMITED.store(true, Ordering::Relaxed);
    }
    WAS_LIMITED.load(Ordering::Relaxed)
}

/// A unique index or primary key refused the row.
pub(crate) fn is_unique_violation(error: &rusqlite::Error) -> bool {
    use rusqlite::ffi::{SQLITE_CONSTRAINT_PRIMARYKEY, SQLITE_CONSTRAINT_ROWID, SQLITE_CONSTRAINT_UNIQUE};
    let rusqlite::Error::SqliteFailure(error, _) = error else { return false };
    [SQLITE_CONSTRAINT_UNIQUE, SQLITE_CONSTRAINT_PRIMARYKEY, SQLITE_CONSTRAINT_ROWID]
        .contains(&error.extended_code)
}
