//! Rows of `attempt`.

use std::time::Duration;

use bytes::Bytes;
use hookmill_core::id::{ApplicationId, AttemptId, EndpointId, EventId};
use hookmill_core::plugin::PluginDigest;
use hookmill_core::port::store::{AttemptRecord, AttemptResult, AttemptTrigger};
use rusqlite::{Connection, Row, params};

use super::column::{integer, millis, unix_millis, unsigned};
use crate::error::DbError;

/// The columns that [`read`] reads, in its order.
macro_rules! attempt_columns {
    () => {
        "id, application, event, endpoint, number, duration_us, result, status, failure_code, detail, response, \
         manual, plugin, plugin_fuel, next_due"
    };
}
pub(crate) use attempt_columns;

pub(crate) fn insert(db: &Connection, attempt: &AttemptRecord) -> rusqlite::Result<usize> {
    let duration_us = u64::try_from(attempt.duration.as_micros()).unwrap_or(u64::MAX);
    // NULL is a byte where an empty text or blob would have to be read back as one anyway.
    let detail = (!attempt.detail.is_empty()).then_some(&attempt.detail);
    let response = (!attempt.response.is_empty()).then_some(attempt.response.as_ref());
    db.prepare_cached(concat!(
        "/* attempt::insert */
         INSERT INTO attempt (",
        attempt_columns!(),
        ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)"
    ))?
    .execute(params![
        attempt.id.to_bytes(),
        attempt.application.to_bytes(),
        attempt.event.to_bytes(),
        attempt.endpoint.to_bytes(),
        attempt.number,
        integer(duration_us),
        result_code(attempt.result),
        attempt.status,
        attempt.failure_code,
        detail,
        response,
        trigger_is_manual(attempt.trigger),
        attempt.plugin.as_ref().map(|(digest, _)| digest.as_bytes()),
        attempt.plugin.map(|(_, fuel)| integer(fuel)),
        attempt.next_due.map(millis),
    ])
}

pub(crate) fn read(row: &Row<'_>) -> Result<AttemptRecord, DbError> {
    let plugin: Option<[u8; 32]> = row.get(12)?;
    let plugin_fuel: Option<i64> = row.get(13)?;
    Ok(AttemptRecord {
        id: AttemptId::from_bytes(row.get(0)?),
        application: ApplicationId::from_bytes(row.get(1)?),
        event: EventId::from_bytes(row.get(2)?),
        endpoint: EndpointId::from_bytes(row.get(3)?),
        number: row.get(4)?,
        duration: Duration::from_micros(unsigned(row.get(5)?)),
        result: result_of_code(row.get(6)?)?,
        status: row.get(7)?,
        failure_code: row.get(8)?,
        detail: row.get::<_, Option<Box<str>>>(9)?.unwrap_or_default(),
        response: row.get::<_, Option<Vec<u8>>>(10)?.map(Bytes::from).unwrap_or_default(),
        trigger: trigger(row.get(11)?),
        plugin: plugin.map(PluginDigest::from_bytes).zip(plugin_fuel.map(unsigned)),
        next_due: row.get::<_, Option<i64>>(14)?.map(unix_millis),
    })
}

pub(crate) fn result_code(result: AttemptResult) -> u8 {
    match result {
        AttemptResult::Delivered => 0,
        AttemptResult::Failed => 1,
        AttemptResult::Dropped => 2,
        AttemptResult::Split => 3,
    }
}

fn result_of_code(code: u8) -> Result<AttemptResult, DbError> {
    match code {
        0 => Ok(AttemptResult::Delivered),
        1 => Ok(AttemptResult::Failed),
        2 => Ok(AttemptResult::Dropped),
        3 => Ok(AttemptResult::Split),
        _ => Err(DbError::row("attempt", format!("unknown result {code}"))),
    }
}

pub(crate) fn trigger(is_manual: bool) -> AttemptTrigger {
    if is_manual { AttemptTrigger::Manual } else { AttemptTrigger::Scheduled }
}

fn trigger_is_manual(trigger: AttemptTrigger) -> bool {
    match trigger {
        AttemptTrigger::Scheduled => false,
        AttemptTrigger::Manual => true,
    }
}
