//! Opened connections: one that writes, some that only read.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::PAGE_BYTES;
use crate::error::OpenError;
use crate::schema;

/// The first version without the WAL-reset bug, in which two connections that write and checkpoint at the same
/// moment can damage the file (sqlite.org/wal.html, section "The WAL-Reset Bug").
const SQLITE_VERSION_MIN: i32 = 3_051_003;
/// How long the writer waits for another program's lock, and the last checkpoint for readers.
const WRITER_BUSY: Duration = Duration::from_millis(250);
const READER_BUSY: Duration = Duration::from_secs(5);
/// Bytes of log that stay allocated after a checkpoint.
const LOG_BYTES_KEPT: i64 = 32 << 20;
/// KiB of pages that each kind of connection keeps in memory.
const WRITER_CACHE_KIB: i64 = 16 << 10;
const READER_CACHE_KIB: i64 = 2 << 10;
/// More statements than a connection ever has.
const STATEMENTS_MAX: usize = 128;

/// Opens the database for writing, creates it where it is missing and brings it up to date.
pub(crate) fn open_writer(file: &Path) -> Result<Connection, OpenError> {
    let version = rusqlite::version_number();
    if version < SQLITE_VERSION_MIN {
        return Err(OpenError::SqliteTooOld { found: rusqlite::version().to_owned() });
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_PRIVATE_CACHE;
    let mut db = Connection::open_with_flags(file, flags)?;
    configure(&db, WRITER_BUSY, WRITER_CACHE_KIB)?;
    // These two count when the file is made only.
    db.pragma_update(None, "page_size", PAGE_BYTES)?;
    db.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    let journal: String = db.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if journal != "wal" {
        let detail = format!("the file system gives a {journal} journal instead of a write-ahead log");
        return Err(OpenError::Other { detail });
    }
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "wal_autocheckpoint", 0)?;
    db.pragma_update(None, "journal_size_limit", LOG_BYTES_KEPT)?;
    db.pragma_update(None, "foreign_keys", true)?;
    if let Some(bytes) = file_bytes_max() {
        // The database says that it is full before the system does; the log's limit is met where it is written.
        let pages = i64::try_from(bytes).unwrap_or(i64::MAX) / PAGE_BYTES;
        db.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?;
    }
    schema::migrate(&mut db)?;
    set_incremental_vacuum(&db)?;
    Ok(db)
}

/// Whether there is nothing in a database that was in use.
pub(crate) fn is_lost(file: &Path) -> Result<bool, OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(file, flags)?;
    configure(&db, READER_BUSY, READER_CACHE_KIB)?;
    let tables: i64 = db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok(tables == 0)
}

/// Bytes that this process may make a file of, where it is limited.
pub(crate) fn file_bytes_max() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Fsize).current
}

/// A database that was made without is rewritten once, so that it can give space back.
fn set_incremental_vacuum(db: &Connection) -> Result<(), OpenError> {
    const INCREMENTAL: i64 = 2;
    let mode: i64 = db.pragma_query_value(None, "auto_vacuum", |row| row.get(0))?;
    if mode == INCREMENTAL {
        return Ok(());
    }
    tracing::info!("database is rewritten once, so that it can shrink");
    db.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    match vacuum(db) {
        Ok(()) => {}
        // It works as it is; the next start tries again.
        Err(error) => tracing::warn!(%error, "database was not rewritten and will not shrink"),
    }
    Ok(())
}

/// Writes the whole database anew, through a file and not through memory.
pub(crate) fn vacuum(db: &Connection) -> rusqlite::Result<()> {
    db.pragma_update(None, "temp_store", "FILE")?;
    let done = db.execute_batch("/* connection::vacuum */ VACUUM");
    db.pragma_update(None, "temp_store", "MEMORY")?;
    done
}

/// Opens a database that [`open_writer`] opened before.
pub(crate) fn open_reader(file: &Path) -> Result<Connection, OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_PRIVATE_CACHE;
    let db = Connection::open_with_flags(file, flags)?;
    configure(&db, READER_BUSY, READER_CACHE_KIB)?;
    db.pragma_update(None, "wal_autocheckpoint", 0)?;
    db.pragma_update(None, "query_only", true)?;
    Ok(db)
}

fn configure(db: &Connection, busy: Duration, cache_kib: i64) -> Result<(), OpenError> {
    db.busy_timeout(busy)?;
    db.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    // A file from elsewhere may bring views, triggers and defaults: none of them gets at more than tables.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    // One plan for all values: without it, new values can make a cached statement be compiled again.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // The log's file stays when the last connection closes: one that is missing was taken away.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    db.pragma_update(None, "cell_size_check", true)?;
    // With a mapped file an I/O error would be a signal instead of an error.
    db.pragma_update(None, "mmap_size", 0)?;
    db.pragma_update(None, "cache_size", -cache_kib)?;
    db.pragma_update(None, "temp_store", "MEMORY")?;
    Ok(())
}
