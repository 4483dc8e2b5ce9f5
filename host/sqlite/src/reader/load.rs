//! Deliveries that are due.

use std::collections::HashSet;
use std::sync::Arc;

use hookmill_core::event::Event;
use hookmill_core::id::{DeliveryId, EndpointId};
use hookmill_core::limits::{DELIVERY_OVERHEAD_BYTES, EVENT_OVERHEAD_BYTES};
use hookmill_core::policy::Ordering;
use hookmill_core::port::store::{Backlog, LoadDue, Loaded, OrderKey, PendingDelivery};
use rusqlite::{Connection, OptionalExtension, params};

use super::shared::SharedEvents;
use crate::error::DbError;
use crate::row::attempt::trigger;
use crate::row::column::{integer, millis, unix_millis, unsigned};
use crate::row::endpoint::Sealer;
use crate::row::event::{self, EVENT_COLUMNS, event_head_columns};
use crate::row::prepared::prepared_from_columns;

const UNORDERED: &str = "/* load::due_unordered */
    SELECT number, due FROM delivery WHERE endpoint = ?1 AND due <= ?2 ORDER BY due, number LIMIT ?3";
const ORDERED: &str = "/* load::due_ordered */
    SELECT number, due, order_key FROM delivery WHERE endpoint = ?1 AND due <= ?2 ORDER BY due, number";
const OF_KEY: &str = "/* load::due_of_key */
    SELECT number, due FROM delivery WHERE endpoint = ?1 AND order_key = ?2 ORDER BY number LIMIT ?3";
const LATER: &str = "/* load::next_later */
    SELECT due FROM delivery WHERE endpoint = ?1 AND due > ?2 ORDER BY due LIMIT 1";
/// Without large bodies, which are read when it is known that there is memory for them.
const PENDING: &str = concat!(
    "/* load::pending */ SELECT ",
    event_head_columns!(),
    ", CASE WHEN length(event.body) <= 8192 THEN event.body END,
         delivery.due, delivery.order_key, delivery.attempts_made, delivery.manual, delivery.prepared,
         CASE WHEN length(delivery.prepared_body) <= 8192 THEN delivery.prepared_body END,
         event.number, length(event.body), ifnull(length(delivery.prepared_body), 0)
     FROM delivery JOIN event ON event.number = delivery.event
     WHERE delivery.number = ?1"
);
const LARGE_BODY: &str = "/* load::large_body */ SELECT body FROM event WHERE number = ?1";
const LARGE_PREPARED: &str =
    "/* load::large_prepared */ SELECT prepared_body FROM delivery WHERE number = ?1";
/// As in [`PENDING`].
const SMALL_BYTES_MAX: usize = 8192;
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
pub(crate) const QUERIES: [&str; 8] =
    [UNORDERED, ORDERED, OF_KEY, LATER, PENDING, BACKLOG, LARGE_BODY, LARGE_PREPARED];

/// A delivery that is due, not yet read.
struct Due {
    number: i64,
    due: i64,
}

pub(crate) fn load_due(
    db: &Connection,
    sealer: &Sealer,
    shared: &SharedEvents,
    load: &LoadDue,
) -> Result<Loaded, DbError> {
    // One more than may be read tells when the next one is due.
    let rows_max = load.rows_max.saturating_add(load.except.len()).saturating_add(1);
    let mut due = match load.ordering {
        Ordering::Unordered => due_unordered(db, load, rows_max)?,
        Ordering::PerKey | Ordering::Strict => due_ordered(db, load, rows_max)?,
    };
    let except: HashSet<i64> = load.except.iter().map(|id| integer(id.0)).collect();
    due.retain(|candidate| !except.contains(&candidate.number));
    let mut deliveries = Vec::with_capacity(due.len().min(load.rows_max));
    let mut bytes_left = load.bytes_max;
    for candidate in &due {
        let bytes_max = if deliveries.is_empty() { usize::MAX } else { bytes_left };
        let pending = if deliveries.len() < load.rows_max {
            pending(db, sealer, shared, load.endpoint, candidate.number, bytes_max)?
        } else {
            None
        };
        let Some((delivery, bytes)) = pending else {
            return Ok(Loaded { deliveries, next_due: Some(unix_millis(candidate.due)) });
        };
        bytes_left = bytes_left.saturating_sub(bytes);
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

/// Reads a delivery unless it would take more than `bytes_max`; answers what it takes besides.
fn pending(
    db: &Connection,
    sealer: &Sealer,
    shared: &SharedEvents,
    endpoint: EndpointId,
    number: i64,
    bytes_max: usize,
) -> Result<Option<(PendingDelivery, usize)>, DbError> {
    let mut statement = db.prepare_cached(PENDING)?;
    let mut rows = statement.query([number])?;
    let Some(row) = rows.next()? else {
        return Err(DbError::row("delivery", format!("delivery {number} has no event")));
    };
    let column = |index: usize| EVENT_COLUMNS + index;
    let event_number: i64 = row.get(column(6))?;
    let body_bytes = length(row.get(column(7))?);
    let prepared_bytes = length(row.get(column(8))?);
    let is_large = body_bytes > SMALL_BYTES_MAX;
    let in_memory = if is_large { shared.get(event_number) } else { None };
    let event_bytes = if in_memory.is_some() { 0 } else { body_bytes.saturating_add(EVENT_OVERHEAD_BYTES) };
    let bytes = event_bytes.saturating_add(prepared_bytes).saturating_add(DELIVERY_OVERHEAD_BYTES);
    if bytes > bytes_max {
        return Ok(None);
    }
    let event = match in_memory {
        Some(event) => event,
        None if is_large => {
            let body: Vec<u8> = db.prepare_cached(LARGE_BODY)?.query_row([event_number], |row| row.get(0))?;
            shared.share(event_number, Event { body: body.into(), ..event::read(row, 0)? })
        }
        None => Arc::new(event::read(row, 0)?),
    };
    let prepared: Option<String> = row.get(column(4))?;
    let prepared_body: Option<Vec<u8>> = if prepared_bytes > SMALL_BYTES_MAX {
        db.prepare_cached(LARGE_PREPARED)?.query_row([number], |row| row.get(0))?
    } else {
        row.get(column(5))?
    };
    let prepared = match prepared {
        Some(json) => Some(prepared_from_columns(sealer, number, &json, prepared_body)?),
        None => None,
    };
    let delivery = PendingDelivery {
        id: DeliveryId(unsigned(number)),
        event,
        endpoint,
        order_key: row.get::<_, Option<i64>>(column(1))?.map(|key| OrderKey(unsigned(key))),
        attempts_made: row.get(column(2))?,
        trigger: trigger(row.get(column(3))?),
        due: unix_millis(row.get(column(0))?),
        prepared: prepared.map(Box::new),
    };
    Ok(Some((delivery, bytes)))
}

fn length(bytes: i64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

fn limit(rows_max: usize) -> i64 {
    i64::try_from(rows_max).unwrap_or(i64::MAX)
}
