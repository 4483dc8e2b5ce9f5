//! Events and their deliveries.

use hookmill_core::id::{ApplicationId, DeliveryId, EventId};
use hookmill_core::port::store::{Appended, NewDelivery, NewEvent, StoreError};
use hookmill_core::time::UnixMillis;
use rusqlite::{Connection, OptionalExtension, params};

use super::batch::BatchWriter;
use super::resume;
use crate::error::{DbError, is_unique_violation};
use crate::row::column::{integer, millis};
use crate::row::event;

pub(super) fn append(writer: &mut BatchWriter, new: &NewEvent) -> Result<Appended, DbError> {
    if let Some(duplicate) = find_duplicate(&writer.db, new)? {
        return Ok(duplicate);
    }
    if !writer.known.applications.contains(&new.event.application) {
        return Err(StoreError::NotFound { what: "the application" }.into());
    }
    let number = writer.known.take_number();
    match event::insert(&writer.db, number, new.deliveries.len(), &new.event, &new.fingerprint) {
        Err(error) if is_unique_violation(&error) => {
            // The uid was looked up: it is the id. The statement left nothing behind.
            return Err(StoreError::Conflict { what: "the event's id" }.into());
        }
        inserted => inserted?,
    };
    if let Some(key) = &new.idempotency_key {
        writer
            .db
            .prepare_cached(
                "/* append::append */
                 INSERT INTO idempotency_key (key, event, fingerprint, at) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![key.0, new.event.id.to_bytes(), new.fingerprint, millis(new.accepted)])?;
    }
    insert_deliveries(writer, number, &new.deliveries, new.accepted, false).map(Appended::Stored)
}

pub(super) fn redeliver(
    writer: &mut BatchWriter,
    application: ApplicationId,
    event: EventId,
    deliveries: &[NewDelivery],
    due: UnixMillis,
) -> Result<Vec<DeliveryId>, DbError> {
    let number: Option<i64> = writer
        .db
        .prepare_cached(
            "/* append::redeliver */
             SELECT number FROM event
             WHERE application = ?1 AND id = ?2 AND application NOT IN (SELECT id FROM removed_application)",
        )?
        .query_row([application.to_bytes(), event.to_bytes()], |row| row.get(0))
        .optional()?;
    let number = number.ok_or(StoreError::NotFound { what: "the event" })?;
    for delivery in deliveries {
        resume::end_dead_letters(&writer.db, number, delivery.endpoint.to_bytes())?;
    }
    insert_deliveries(writer, number, deliveries, due, true)
}

/// A delivery to an endpoint that was removed a moment ago gets its number and no row: it ends like those that
/// were removed with the endpoint.
pub(super) fn insert_deliveries(
    writer: &mut BatchWriter,
    event: i64,
    deliveries: &[NewDelivery],
    due: UnixMillis,
    is_manual: bool,
) -> Result<Vec<DeliveryId>, DbError> {
    let BatchWriter { db, known, unfinished_change, .. } = writer;
    let mut ids = Vec::with_capacity(deliveries.len());
    let mut statement = db.prepare_cached(
        "/* append::insert_deliveries */
         INSERT INTO delivery (number, event, endpoint, due, order_key, attempts_made, manual)
         VALUES (?1, ?2, ?3, ?4, ?5, 0, ?6)",
    )?;
    for delivery in deliveries {
        let number = known.take_number();
        if known.endpoints.contains(&delivery.endpoint) {
            statement.execute(params![
                number,
                event,
                delivery.endpoint.to_bytes(),
                millis(due),
                delivery.order_key.map(|key| integer(key.0)),
                is_manual,
            ])?;
            *unfinished_change += 1;
        }
        ids.push(DeliveryId(number.unsigned_abs()));
    }
    Ok(ids)
}

/// Looks the deduplication keys up: the request's first, since an exact repeat has both.
fn find_duplicate(db: &Connection, new: &NewEvent) -> Result<Option<Appended>, DbError> {
    if let Some(key) = &new.idempotency_key {
        let first: Option<([u8; 16], [u8; 32])> = db
            .prepare_cached(
                "/* append::find_duplicate: key */
                 SELECT event, fingerprint FROM idempotency_key WHERE key = ?1",
            )?
            .query_row([key.0], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        if first.is_some() {
            return Ok(first.map(|first| duplicate(first, new)));
        }
    }
    let Some(uid) = &new.event.uid else { return Ok(None) };
    let first: Option<([u8; 16], [u8; 32])> = db
        .prepare_cached(
            "/* append::find_duplicate: uid */
             SELECT id, fingerprint FROM event WHERE application = ?1 AND uid = ?2",
        )?
        .query_row(params![new.event.application.to_bytes(), uid.as_str()], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    Ok(first.map(|first| duplicate(first, new)))
}

fn duplicate((event, fingerprint): ([u8; 16], [u8; 32]), new: &NewEvent) -> Appended {
    Appended::Duplicate { first: EventId::from_bytes(event), same: fingerprint == new.fingerprint }
}
