//! The end of finished events: deleted in small steps between other work.

use hookmill_core::limits::{IDEMPOTENCY_KEY_KEPT, RETENTION_ROWS_MAX};
use rusqlite::{Connection, OptionalExtension, params};

use super::batch::BatchWriter;
use crate::error::DbError;
use crate::row::column::integer;
use crate::schema::NUMBER_STEP;

/// Deletes events with their attempts and dead letters, up to [`RETENTION_ROWS_MAX`] rows; an event with an
/// unfinished delivery stays.
pub(super) fn retire(db: &Connection, events: &[i64]) -> Result<u64, DbError> {
    let mut rows = 0;
    for &event in events {
        if rows >= RETENTION_ROWS_MAX {
            break;
        }
        let id: Option<[u8; 16]> = db
            .prepare_cached(
                "/* retire::retire */
                 SELECT id FROM event
                 WHERE number = ?1
                     AND NOT EXISTS (
                         SELECT 1 FROM delivery
                         WHERE delivery.number > event.number
                             AND delivery.number < event.number + (event.deliveries + 1) * ?2
                             AND delivery.event = event.number
                     )
                     AND NOT EXISTS (SELECT 1 FROM delivery WHERE delivery.event = event.number AND manual = 1)",
            )?
            .query_row([event, NUMBER_STEP], |row| row.get(0))
            .optional()?;
        let Some(id) = id else { continue };
        rows += retire_event(db, event, id, RETENTION_ROWS_MAX - rows)?;
    }
    Ok(rows as u64)
}

/// The event goes last, so that what is left of its attempts still belongs to something.
fn retire_event(db: &Connection, event: i64, id: [u8; 16], rows_max: usize) -> Result<usize, DbError> {
    let limit = i64::try_from(rows_max).unwrap_or(i64::MAX);
    let attempts = db
        .prepare_cached(
            "/* retire::retire_event: attempts */
             DELETE FROM attempt
             WHERE event = ?1 AND id IN (SELECT id FROM attempt WHERE event = ?1 LIMIT ?2)",
        )?
        .execute(params![id, limit])?;
    if attempts >= rows_max {
        return Ok(attempts);
    }
    let dead = db
        .prepare_cached(
            "/* retire::retire_event: dead letters */
             DELETE FROM dead_letter WHERE event = ?1",
        )?
        .execute([event])?;
    let events = db
        .prepare_cached(
            "/* retire::retire_event */
             DELETE FROM event WHERE number = ?1",
        )?
        .execute([event])?;
    Ok(attempts + dead + events)
}

/// Deletes what was remembered of requests that are [`IDEMPOTENCY_KEY_KEPT`] older than the newest one. Age is
/// counted from the newest, so that no clock is asked: what nothing follows takes no more room either.
pub(super) fn forget(writer: &mut BatchWriter) -> Result<u64, DbError> {
    let BatchWriter { db, addresses, .. } = writer;
    let kept_millis = integer(u64::try_from(IDEMPOTENCY_KEY_KEPT.as_millis()).unwrap_or(u64::MAX));
    let limit = i64::try_from(RETENTION_ROWS_MAX).unwrap_or(i64::MAX);
    // A clock that ran ahead dated the newest of them: the time that is trusted goes before it.
    let noted: Option<i64> = db
        .prepare_cached("/* retire::forget: noted */ SELECT noted_at FROM installation WHERE id = 1")?
        .query_row([], |row| row.get(0))
        .optional()?
        .flatten();
    let answers = db
        .prepare_cached(
            "/* retire::forget: answers */
             DELETE FROM remembered_answer WHERE rowid IN (
                 SELECT rowid FROM remembered_answer
                 WHERE at < min((SELECT max(at) FROM remembered_answer), ifnull(?3, 9223372036854775807)) - ?1
                 ORDER BY at LIMIT ?2
             )",
        )?
        .execute(params![kept_millis, limit, noted])?;
    db.prepare_cached(
        "/* retire::forget: removed tenants */
         DELETE FROM removed_application
         WHERE NOT EXISTS (SELECT 1 FROM event WHERE event.application = removed_application.id)",
    )?
    .execute([])?;
    let addresses_gone = db
        .prepare_cached(
            "/* retire::forget: addresses */
         DELETE FROM endpoint_address WHERE number IN (
             SELECT number FROM endpoint_address
             WHERE is_gone = 1
                 AND NOT EXISTS (SELECT 1 FROM attempt WHERE attempt.endpoint = endpoint_address.endpoint)
             LIMIT ?1
         )",
        )?
        .execute([limit])?;
    if addresses_gone > 0 {
        addresses.forget();
    }
    let newest: Option<i64> = db
        .prepare_cached(
            "/* retire::forget: newest key */
             SELECT at FROM idempotency_key ORDER BY number DESC LIMIT 1",
        )?
        .query_row([], |row| row.get(0))
        .optional()?;
    let Some(newest) = newest else { return Ok(answers as u64) };
    let newest = noted.map_or(newest, |noted| newest.min(noted));
    // Numbers grow with time, so the old ones are at the head.
    let keys = db
        .prepare_cached(
            "/* retire::forget: keys */
             DELETE FROM idempotency_key WHERE number IN (
                 SELECT number FROM (SELECT number, at FROM idempotency_key ORDER BY number LIMIT ?2)
                 WHERE at < ?1
             )",
        )?
        .execute([newest - kept_millis, limit])?;
    Ok((answers + keys) as u64)
}
