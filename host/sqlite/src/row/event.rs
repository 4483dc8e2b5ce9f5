//! Rows of `event`.

use bytes::Bytes;
use hookmill_core::event::{Channels, ContentType, Event, Name};
use hookmill_core::id::{ApplicationId, EventId};
use rusqlite::{Connection, Row, params};

use super::column::{parsed, parsed_option};
use crate::error::DbError;

const TABLE: &str = "event";
const JSON: &str = "application/json";

/// The columns that [`read`] reads but for the body, in its order, for queries that name the table `event`.
macro_rules! event_head_columns {
    () => {
        "event.id, event.application, event.type, event.uid, event.channels, event.ordering_key, \
         event.content_type"
    };
}
pub(crate) use event_head_columns;

/// The columns that [`read`] reads, in its order, for queries that name the table `event`.
macro_rules! event_columns {
    () => {
        concat!($crate::row::event::event_head_columns!(), ", event.body")
    };
}
pub(crate) use event_columns;

/// How many columns [`event_columns`] are.
pub(crate) const EVENT_COLUMNS: usize = 8;

pub(crate) fn insert(
    db: &Connection,
    number: i64,
    deliveries: usize,
    event: &Event,
    fingerprint: &[u8; 32],
) -> rusqlite::Result<usize> {
    let channels = event.channels.as_slice();
    let channels = (!channels.is_empty()).then(|| {
        let names: Vec<&str> = channels.iter().map(Name::as_str).collect();
        names.join(",")
    });
    let content_type = event.content_type.as_str();
    db.prepare_cached(
        "/* event::insert */
         INSERT INTO event (
             number, id, application, deliveries, type, uid, fingerprint, channels, ordering_key, content_type, body
         ) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    )?
    .execute(params![
        number,
        event.id.to_bytes(),
        event.application.to_bytes(),
        i64::try_from(deliveries).unwrap_or(i64::MAX),
        event.event_type.as_str(),
        event.uid.as_ref().map(Name::as_str),
        event.uid.as_ref().map(|_| fingerprint),
        channels,
        event.ordering_key.as_ref().map(Name::as_str),
        (content_type != JSON).then_some(content_type),
        event.body.as_ref(),
    ])
}

/// Reads the [`event_columns`] that begin at column `first`.
pub(crate) fn read(row: &Row<'_>, first: usize) -> Result<Event, DbError> {
    let optional = |index: usize| -> Result<Option<&str>, DbError> {
        row.get_ref(first + index)?.as_str_or_null().map_err(|error| DbError::row(TABLE, error))
    };
    let event_type = row.get_ref(first + 2)?.as_str().map_err(|error| DbError::row(TABLE, error))?;
    // Not there where a query leaves it out for its size.
    let body = row.get_ref(first + 7)?.as_blob_or_null().map_err(|error| DbError::row(TABLE, error))?;
    let channels: Vec<Name> = match optional(4)? {
        None => Vec::new(),
        Some(names) => names.split(',').map(|name| parsed(TABLE, name)).collect::<Result<_, _>>()?,
    };
    Ok(Event {
        id: EventId::from_bytes(row.get(first)?),
        application: ApplicationId::from_bytes(row.get(first + 1)?),
        event_type: parsed(TABLE, event_type)?,
        uid: parsed_option(TABLE, optional(3)?)?,
        channels: Channels::new(channels).map_err(|error| DbError::row(TABLE, error))?,
        ordering_key: parsed_option(TABLE, optional(5)?)?,
        content_type: match optional(6)? {
            None => ContentType::json(),
            Some(text) => parsed(TABLE, text)?,
        },
        body: body.map(Bytes::copy_from_slice).unwrap_or_default(),
    })
}
