//! One step of a background task.

use hookmill_core::id::EventId;
use hookmill_core::port::store::{NewDelivery, TaskStep};
use hookmill_core::task::TaskKind;
use rusqlite::{Connection, OptionalExtension, params};

use super::append::insert_deliveries;
use super::batch::BatchWriter;
use crate::error::DbError;
use crate::row::task;
use crate::schema::NUMBER_STEP;

/// Sends again what may be sent; answers how many events got a delivery.
pub(super) fn resume(writer: &mut BatchWriter, step: &TaskStep) -> Result<u64, DbError> {
    let endpoint = step.task.endpoint;
    let mut sent = 0;
    // Its deliveries ended with it.
    let events = if writer.known.endpoints.contains(&endpoint) { &step.events[..] } else { &[] };
    for (event, order_key) in events {
        let Some(number) = find(&writer.db, step, *event)? else { continue };
        let is_wanted = match step.task.kind {
            TaskKind::Recover => end_dead_letters(&writer.db, number, endpoint.to_bytes())?,
            TaskKind::ReplayMissing => was_never_sent(&writer.db, number, *event, endpoint.to_bytes())?,
        };
        if is_wanted {
            let delivery = NewDelivery { endpoint, order_key: *order_key };
            insert_deliveries(writer, number, &[delivery], step.due, true)?;
            sent += 1;
        }
    }
    task::advance(&writer.db, &step.task, sent)?;
    Ok(sent)
}

/// Ends the dead letters of an event at an endpoint; answers whether there were any.
pub(super) fn end_dead_letters(db: &Connection, event: i64, endpoint: [u8; 16]) -> Result<bool, DbError> {
    let rows = db
        .prepare_cached(
            "/* resume::end_dead_letters */
             DELETE FROM dead_letter WHERE event = ?1 AND +endpoint = ?2",
        )?
        .execute(params![event, endpoint])?;
    Ok(rows > 0)
}

/// The event's number, unless it is gone or waits for the endpoint already.
fn find(db: &Connection, step: &TaskStep, event: EventId) -> Result<Option<i64>, DbError> {
    let number = db
        .prepare_cached(
            "/* resume::find */
             SELECT number FROM event
             WHERE application = ?1 AND id = ?2 AND application NOT IN (SELECT id FROM removed_application)
                 AND NOT EXISTS (
                     SELECT 1 FROM delivery
                     WHERE delivery.number > event.number
                         AND delivery.number < event.number + (event.deliveries + 1) * ?4
                         AND delivery.event = event.number AND +delivery.endpoint = ?3
                 )
                 AND NOT EXISTS (
                     SELECT 1 FROM delivery
                     WHERE delivery.event = event.number AND manual = 1 AND +delivery.endpoint = ?3
                 )",
        )?
        .query_row(
            params![
                step.task.application.to_bytes(),
                event.to_bytes(),
                step.task.endpoint.to_bytes(),
                NUMBER_STEP
            ],
            |row| row.get(0),
        )
        .optional()?;
    Ok(number)
}

fn was_never_sent(db: &Connection, number: i64, event: EventId, endpoint: [u8; 16]) -> Result<bool, DbError> {
    let was_sent = db
        .prepare_cached(
            "/* resume::was_never_sent */
             SELECT 1 WHERE EXISTS (SELECT 1 FROM dead_letter WHERE event = ?1 AND +endpoint = ?3)
                 OR EXISTS (SELECT 1 FROM attempt WHERE event = ?2 AND +endpoint = ?3)",
        )?
        .exists(params![number, event.to_bytes(), endpoint])?;
    Ok(!was_sent)
}
