//! Deliveries that are due.

use std::collections::HashSet;
use std::sync::Arc;

use hookmill_core::id::{DeliveryId, EndpointId};
use hookmill_core::policy::Ordering;
use hookmill_core::port::store::{Backlog, LoadDue, Loaded, OrderKey, PendingDelivery};
use rusqlite::{Connection, OptionalExtension, params};

use crate::error::DbError;
use crate::row::attempt::trigger;
use crate::row::column::{integer, millis, unix_millis, unsigned};
use crate::row::endpoint::Sealer;
use crate::row::event::{self, EVENT_COLUMNS, event_columns};
use crate::row::prepared::prepared_from_columns;

const UNORDERED: &str = "/* load::due_unordered */
    SELECT number, due FROM delivery WHERE endpoint = ?1 AND due <= ?2 ORDER BY due, number LIMIT ?3";
const ORDERED: &str = "/* load::due_ordered */
    SELECT number, due, order_key FROM delivery WHERE endpoint = ?1 AND due <= ?2 ORDER BY due, number";
const OF_KEY: &str = "/* load::due_of_key */
    SELECT number, due FROM delivery WHERE endpoint = ?1 AND order_key = ?2 ORDER BY number LIMIT ?3";
const LATER: &str = "/* load::next_later */
    SELECT due FROM delivery WHERE endpoint = ?1 AND due > ?2 ORDER BY due LIMIT 1";
const PENDING: &str = concat!(
    "/* load::pending */ SELECT ",
    event_columns!(),
    ", delivery.due, delivery.order_key, delivery.attempts_made, delivery.manual, delivery.prepared,
         delivery.prepared_body
     FROM delivery JOIN event ON event.number = delivery.event
     WHERE delivery.number = ?1"
);
/// A loose index scan: one step for each endpoint, however long its queue is.
const BACKLOG: &str = "/* load::backlog */
    WITH RECURSIVE head (endpoint) AS (
        SELECT min(endpoint) FROM delivery
        UNION ALL
        SELECT (SELECT min(delivery.endpoint) FROM delivery WHERE delivery.endpoint > head.endpoint)
        FROM head WHERE head.endpoint IS NOT NULL
    )
    SELECT head.endpoint, (SELECT min(due) FROM delivery WHERE delivery.endpoint = head.endpoint)
    FROM head WHERE head.endpoint IS NOT NULL";

/// The queries whose plans are asserted.
#[cfg(test)]
pub(crate) const QUERIES: [&str; 6] = [UNORDERED, ORDERED, OF_KEY, LATER, PENDING, BACKLOG];

/// A delivery that is due, not yet read.
struct Due {
    number: i64,
    due: i64,
}

pub(crate) fn load_due(db: &Connection, sealer: &Sealer, load: &LoadDue) -> Result<Loaded, DbError> {
    // One more than may be read tells when the next one is due.
    let rows_max = load.rows_max.saturating_add(load.except.len()).saturating_add(1);
    let mut due = match load.ordering {
        Ordering::Unordered => due_unordered(db, load, rows_max)?,
        Ordering::PerKey | Ordering::Strict => due_ordered(db, load, rows_max)?,
    };
    let except: HashSet<i64> = load.except.iter().map(|id| integer(id.0)).collect();
    due.retain(|candidate| !except.contains(&candidate.number));
    let mut deliveries = Vec::with_capacity(due.len().min(load.rows_max));
    let mut bytes = 0;
    for candidate in &due {
        if deliveries.len() >= load.rows_max || bytes >= load.bytes_max {
            return Ok(Loaded { deliveries, next_due: Some(unix_millis(candidate.due)) });
        }
        let delivery = pending(db, sealer, load.endpoint, candidate.number)?;
        bytes += delivery.event.body.len();
        deliveries.push(delivery);
    }
    let later: Option<i64> = db
        .prepare_cached(LATER)?
        .query_row(params![load.endpoint.to_bytes(), millis(load.now)], |row| row.get(0))
        .optional()?;
    Ok(Loaded { deliveries, next_due: later.map(unix_millis) })
}

pub(crate) fn backlog(db: &Connection) -> Result<Vec<Backlog>, DbError> {
    let mut statement = db.prepare_cached(BACKLOG)?;
    let rows = statement.query_map([], |row| {
        Ok(Backlog { endpoint: EndpointId::from_bytes(row.get(0)?), earliest_due: unix_millis(row.get(1)?) })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn due_unordered(db: &Connection, load: &LoadDue, rows_max: usize) -> Result<Vec<Due>, DbError> {
    let mut statement = db.prepare_cached(UNORDERED)?;
    let rows = statement
        .query_map(params![load.endpoint.to_bytes(), millis(load.now), limit(rows_max)], |row| {
            Ok(Due { number: row.get(0)?, due: row.get(1)? })
        })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Walks what is due; where a key comes up for the first time, takes its deliveries from the first on, up to one
/// that waits. So a delivery is read only together with all that precede it, and never past one that is not due.
fn due_ordered(db: &Connection, load: &LoadDue, rows_max: usize) -> Result<Vec<Due>, DbError> {
    let mut statement = db.prepare_cached(ORDERED)?;
    let mut rows = statement.query(params![load.endpoint.to_bytes(), millis(load.now)])?;
    let mut keys = HashSet::new();
    let mut due = Vec::new();
    while let Some(row) = rows.next()? {
        if due.len() >= rows_max {
            break;
        }
        match row.get::<_, Option<i64>>(2)? {
            None => due.push(Due { number: row.get(0)?, due: row.get(1)? }),
            Some(key) => {
                if keys.insert(key) {
                    let left = rows_max - due.len();
                    due_of_key(db, load, key, left, &mut due)?;
                }
            }
        }
    }
    due.sort_by_key(|candidate| candidate.number);
    Ok(due)
}

fn due_of_key(
    db: &Connection,
    load: &LoadDue,
    key: i64,
    rows_max: usize,
    due: &mut Vec<Due>,
) -> Result<(), DbError> {
    let mut statement = db.prepare_cached(OF_KEY)?;
    let mut rows = statement.query(params![load.endpoint.to_bytes(), key, limit(rows_max)])?;
    while let Some(row) = rows.next()? {
        let candidate = Due { number: row.get(0)?, due: row.get(1)? };
        if candidate.due > millis(load.now) {
            break;
        }
        due.push(candidate);
    }
    Ok(())
}

fn pending(
    db: &Connection,
    sealer: &Sealer,
    endpoint: EndpointId,
    number: i64,
) -> Result<PendingDelivery, DbError> {
    let mut statement = db.prepare_cached(PENDING)?;
    let mut rows = statement.query([number])?;
    let Some(row) = rows.next()? else {
        return Err(DbError::row("delivery", format!("delivery {number} has no event")));
    };
    let column = |index: usize| EVENT_COLUMNS + index;
    let prepared: Option<String> = row.get(column(4))?;
    let prepared = match prepared {
        Some(json) => Some(prepared_from_columns(sealer, number, &json, row.get(column(5))?)?),
        None => None,
    };
    Ok(PendingDelivery {
        id: DeliveryId(unsigned(number)),
        event: Arc::new(event::read(row, 0)?),
        endpoint,
        order_key: row.get::<_, Option<i64>>(column(1))?.map(|key| OrderKey(unsigned(key))),
        attempts_made: row.get(column(2))?,
        trigger: trigger(row.get(column(3))?),
        due: unix_millis(row.get(column(0))?),
        prepared: prepared.map(Box::new),
    })
}

fn limit(rows_max: usize) -> i64 {
    i64::try_from(rows_max).unwrap_or(i64::MAX)
}
