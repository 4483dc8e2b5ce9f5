//! Rows of `remembered_answer`: their bodies are sealed, since they show what was configured, addresses included.

use hookmill_core::limits::IDEMPOTENCY_KEY_KEPT;
use hookmill_core::port::store::{IdempotencyKey, RememberedAnswer};
use rusqlite::{Connection, OptionalExtension, params};

use super::column::{millis, unix_millis};
use super::endpoint::Sealer;
use crate::error::DbError;

const TABLE: &str = "remembered_answer";

/// The first answer stays until it is old: of two requests with one key that ran at the same time, the second must not
/// happen as well. Answers whether it was taken.
pub(crate) fn put(
    db: &Connection,
    sealer: &Sealer,
    key: IdempotencyKey,
    answer: &RememberedAnswer,
) -> rusqlite::Result<bool> {
    let rows = db
        .prepare_cached(
            "/* remembered::put */
             INSERT INTO remembered_answer (key, fingerprint, status, body, at, sealed) VALUES (?1, ?2, ?3, ?4, ?5, 1)
             ON CONFLICT (key) DO UPDATE SET
                 fingerprint = excluded.fingerprint,
                 status = excluded.status,
                 body = excluded.body,
                 at = excluded.at,
                 sealed = 1
             WHERE at <= ?6",
        )?
        .execute(params![
            key.0,
            answer.fingerprint,
            answer.status,
            sealer.seal_bytes(&seal_context(&key.0), &answer.body),
            millis(answer.at),
            millis(answer.at.before(IDEMPOTENCY_KEY_KEPT)),
        ])?;
    Ok(rows == 1)
}

pub(crate) fn get(
    db: &Connection,
    sealer: &Sealer,
    key: IdempotencyKey,
) -> Result<Option<RememberedAnswer>, DbError> {
    let answer = db
        .prepare_cached(
            "/* remembered::get */
             SELECT fingerprint, status, body, at FROM remembered_answer WHERE key = ?1",
        )?
        .query_row([key.0], |row| {
            Ok(RememberedAnswer {
                fingerprint: row.get(0)?,
                status: row.get(1)?,
                body: row.get::<_, Vec<u8>>(2)?.into(),
                at: unix_millis(row.get(3)?),
            })
        })
        .optional()?;
    let Some(answer) = answer else { return Ok(None) };
    let body = sealer.key.open(&seal_context(&key.0), &answer.body);
    let body = body.map_err(|error| DbError::row(TABLE, error))?.to_vec().into();
    Ok(Some(RememberedAnswer { body, ..answer }))
}

/// Seals what earlier versions kept in the clear; answers how many rows.
pub(crate) fn seal_clear(db: &Connection, sealer: &Sealer) -> Result<u64, DbError> {
    let mut clear =
        db.prepare("/* remembered::seal_clear */ SELECT key FROM remembered_answer WHERE sealed = 0")?;
    let keys: Vec<[u8; 32]> = clear.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    for key in &keys {
        let body: Vec<u8> =
            db.query_row("SELECT body FROM remembered_answer WHERE key = ?1", [key], |row| row.get(0))?;
        db.execute(
            "/* remembered::seal_clear */ UPDATE remembered_answer SET body = ?2, sealed = 1 WHERE key = ?1",
            params![key, sealer.seal_bytes(&seal_context(key), &body)],
        )?;
    }
    Ok(keys.len() as u64)
}

/// A sealed answer opens under its own key only.
fn seal_context(key: &[u8; 32]) -> Vec<u8> {
    [b"remembered_answer.body ".as_slice(), key].concat()
}
