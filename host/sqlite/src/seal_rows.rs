//! What the database and its key are to each other: whether they belong together, and what earlier versions left in the
//! clear.

use hookmill_core::seal::SealError;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use crate::connection;
use crate::error::{DbError, OpenError};
use crate::row::endpoint::Sealer;
use crate::row::{endpoint, prepared, remembered, source};

/// What is sealed to tell the key by, and its context.
const KEY_CHECK: &[u8] = b"hookmill";
const KEY_CHECK_CONTEXT: &[u8] = b"installation.key_check";
/// Bytes of a database that is rewritten as a whole, so that nothing of what was in the clear stays in its free space.
const REWRITTEN_BYTES_MAX: i64 = 256 << 20;

/// Refuses a key that is not this database's, and seals what earlier versions left in the clear.
pub(crate) fn open(db: &mut Connection, sealer: &Sealer) -> Result<(), OpenError> {
    let key_check: Option<Vec<u8>> = db
        .query_row("/* seal_rows::open */ SELECT key_check FROM installation WHERE id = 1", [], |row| {
            row.get(0)
        })
        .optional()?;
    match key_check {
        Some(sealed) => match sealer.key.open(KEY_CHECK_CONTEXT, &sealed) {
            Ok(_) => Ok(()),
            Err(SealError::Rejected) => Err(OpenError::WrongKey),
            Err(error) => Err(OpenError::Other { detail: error.to_string() }),
        },
        None => begin(db, sealer),
    }
}

/// A new database, or one of an earlier version.
fn begin(db: &mut Connection, sealer: &Sealer) -> Result<(), OpenError> {
    if !opens_a_secret(db, sealer)? {
        return Err(OpenError::WrongKey);
    }
    // What is overwritten here must not stay on its page.
    db.pragma_update(None, "secure_delete", true)?;
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let sealed = endpoint::seal_urls(&tx, sealer)?
        + prepared::seal_clear(&tx, sealer)?
        + remembered::seal_clear(&tx, sealer)?;
    tx.execute(
        "/* seal_rows::begin */ INSERT INTO installation (id, key_check) VALUES (1, ?1)",
        params![sealer.seal_bytes(KEY_CHECK_CONTEXT, KEY_CHECK)],
    )?;
    tx.commit()?;
    db.pragma_update(None, "secure_delete", false)?;
    if sealed > 0 {
        tracing::info!(rows = sealed, "what earlier versions kept in the clear is sealed");
        rewrite(db)?;
    }
    Ok(())
}

/// Earlier values of what was sealed may lie in free space.
fn rewrite(db: &Connection) -> Result<(), OpenError> {
    let bytes: i64 =
        db.query_row("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size", [], |row| {
            row.get(0)
        })?;
    if bytes > REWRITTEN_BYTES_MAX {
        tracing::warn!(
            bytes,
            "free space of the database may hold addresses of endpoints in the clear; run VACUUM on it when there is time"
        );
        return Ok(());
    }
    connection::vacuum(db)?;
    db.query_row("/* seal_rows::rewrite */ PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    Ok(())
}

/// Whether the key opens a secret, where there is one.
fn opens_a_secret(db: &Connection, sealer: &Sealer) -> Result<bool, DbError> {
    let opens = [endpoint::first_opens(db, sealer)?, source::first_opens(db, sealer)?];
    Ok(opens.into_iter().flatten().next().unwrap_or(true))
}
