//! What came of deliveries.

use std::collections::HashSet;

use hookmill_core::id::EndpointId;
use hookmill_core::port::store::{AttemptResult, Completion, Finished};
use hookmill_core::request::PreparedRequest;
use hookmill_core::trace::SentTo;
use rusqlite::{Connection, params};

use super::batch::{BatchWriter, Known};
use crate::error::{DbError, is_unique_violation};
use crate::row::column::{integer, millis};
use crate::row::endpoint::Sealer;
use crate::row::{attempt, prepared, trace};
use crate::schema::NUMBER_STEP;

/// Addresses of endpoints that are known to be kept; beyond, they are asked for again.
const ADDRESSES_KNOWN_MAX: usize = 16_384;

/// Which addresses of endpoints the database keeps already, so that a steady endpoint costs no look-up an attempt.
#[derive(Debug, Default)]
pub(super) struct KnownAddresses(HashSet<(EndpointId, i64)>);

impl KnownAddresses {
    fn keep(
        &mut self,
        db: &Connection,
        sealer: &Sealer,
        endpoint: EndpointId,
        url: &str,
    ) -> Result<(), DbError> {
        let address = (endpoint, trace::address_of(url));
        if self.0.contains(&address) {
            return Ok(());
        }
        let some_went = attempt::keep_address(db, sealer, endpoint, url)?;
        if some_went || self.0.len() >= ADDRESSES_KNOWN_MAX {
            self.0.clear();
        }
        self.0.insert(address);
        Ok(())
    }

    /// After a rollback, or where addresses of deleted endpoints went.
    pub(super) fn forget(&mut self) {
        self.0.clear();
    }
}

/// Records one completion; a delivery that is gone meanwhile is skipped with its attempt.
pub(super) fn finish(writer: &mut BatchWriter, finished: &Finished) -> Result<(), DbError> {
    let BatchWriter { db, sealer, known, delivered, addresses, unfinished_change, .. } = writer;
    let number = integer(finished.delivery.0);
    let is_found = match &finished.completion {
        Completion::Delivered | Completion::Dropped => delete(db, number)?,
        Completion::Retry { due, prepared } => {
            let found = postpone(db, number, millis(*due))?;
            if let (true, Some(prepared)) = (found, prepared) {
                keep_prepared(db, sealer, number, prepared)?;
            }
            found
        }
        Completion::Split(parts) => split(db, sealer, known, number, parts)?,
        Completion::Dead(reason) => {
            let rows = db
                .prepare_cached(
                    "/* finish::finish: dead */
                     INSERT INTO dead_letter (number, event, endpoint, attempts_made, reason, died_at)
                     SELECT number, event, endpoint, attempts_made + 1, ?2, ?3 FROM delivery WHERE number = ?1",
                )?
                .execute(params![number, reason.code(), millis(finished.attempt.id.created_at())])?;
            rows == 1 && delete(db, number)?
        }
    };
    if !is_found {
        return Ok(());
    }
    *unfinished_change += match &finished.completion {
        Completion::Retry { .. } => 0,
        Completion::Delivered | Completion::Dropped | Completion::Dead(_) => -1,
        Completion::Split(parts) => i64::try_from(parts.len()).unwrap_or(i64::MAX) - 1,
    };
    if let SentTo::Endpoint(url) = &finished.attempt.sent_to {
        addresses.keep(db, sealer, finished.attempt.endpoint, url)?;
    }
    match attempt::insert(db, sealer, &finished.attempt) {
        // The same attempt twice is a caller's mistake, but no reason to hold up what else is committed.
        Err(error) if is_unique_violation(&error) => return Ok(()),
        inserted => inserted?,
    };
    match finished.attempt.result {
        AttemptResult::Delivered => *delivered.entry(finished.attempt.endpoint).or_default() += 1,
        AttemptResult::Failed | AttemptResult::Dropped | AttemptResult::Split => {}
    }
    Ok(())
}

/// Counts up what this transaction delivered, once for each endpoint.
pub(super) fn count_delivered(writer: &mut BatchWriter) -> Result<(), DbError> {
    let BatchWriter { db, known, delivered, .. } = writer;
    for (endpoint, attempts) in delivered.drain() {
        if known.endpoints.contains(&endpoint) {
            db.prepare_cached(
                "/* finish::count_delivered */
                 INSERT INTO endpoint_delivered (endpoint, attempts) VALUES (?1, ?2)
                 ON CONFLICT (endpoint) DO UPDATE SET attempts = attempts + excluded.attempts",
            )?
            .execute(params![endpoint.to_bytes(), attempts])?;
        }
    }
    Ok(())
}

fn delete(db: &Connection, number: i64) -> Result<bool, DbError> {
    let rows = db
        .prepare_cached(
            "/* finish::delete */
             DELETE FROM delivery WHERE number = ?1",
        )?
        .execute([number])?;
    Ok(rows == 1)
}

fn postpone(db: &Connection, number: i64, due: i64) -> Result<bool, DbError> {
    let rows = db
        .prepare_cached(
            "/* finish::postpone */
             UPDATE delivery SET due = ?2, attempts_made = attempts_made + 1 WHERE number = ?1",
        )?
        .execute([number, due])?;
    Ok(rows == 1)
}

fn keep_prepared(
    db: &Connection,
    sealer: &Sealer,
    number: i64,
    request: &PreparedRequest,
) -> Result<(), DbError> {
    let (json, sealed) = prepared::prepared_columns(sealer, number, request);
    db.prepare_cached(
        "/* finish::keep_prepared */
         UPDATE delivery SET prepared = ?2, prepared_body = ?3 WHERE number = ?1",
    )?
    .execute(params![number, json, sealed])?;
    Ok(())
}

/// The parts take the numbers behind the delivery that they come from, and so its place in every order.
fn split(
    db: &Connection,
    sealer: &Sealer,
    known: &mut Known,
    number: i64,
    parts: &[PreparedRequest],
) -> Result<bool, DbError> {
    // A part is prepared and so is not split again; if a caller does it all the same, its parts go to the end.
    let has_gap = number % NUMBER_STEP == 0 && parts.len() < usize::try_from(NUMBER_STEP).unwrap_or(0);
    let mut part_number = number;
    for part in parts {
        part_number = if has_gap { part_number + 1 } else { known.take_number() };
        let (json, sealed) = prepared::prepared_columns(sealer, part_number, part);
        let rows = db
            .prepare_cached(
                "/* finish::split */
                 INSERT INTO delivery (
                     number, event, endpoint, due, order_key, attempts_made, manual, prepared, prepared_body
                 )
                 SELECT ?2, event, endpoint, due, order_key, 0, manual, ?3, ?4 FROM delivery WHERE number = ?1",
            )?
            .execute(params![number, part_number, json, sealed])?;
        if rows == 0 {
            return Ok(false);
        }
    }
    delete(db, number)
}
