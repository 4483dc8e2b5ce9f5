//! Rows of `attempt`.

use std::time::Duration;

use bytes::Bytes;
use hookmill_core::id::{ApplicationId, AttemptId, EndpointId, EventId};
use hookmill_core::plugin::PluginDigest;
use hookmill_core::port::store::{AttemptRecord, AttemptResult, AttemptTrigger};
use hookmill_core::trace::SentTo;
use rusqlite::{Connection, Row, params};

use super::column::{integer, millis, unix_millis, unsigned};
use super::endpoint::Sealer;
use super::trace;
use crate::error::DbError;

/// URLs that are kept of one endpoint. Whoever changes it more often finds the older attempts without one.
const ENDPOINT_ADDRESSES_MAX: i64 = 64;

/// The columns that [`read`] reads, in its order.
macro_rules! attempt_columns {
    () => {
        "id, application, event, endpoint, number, duration_us, result, status, failure_code, detail, response, \
         manual, plugin, plugin_fuel, next_due, address, url, \
         (SELECT url FROM endpoint_address WHERE endpoint = attempt.endpoint AND address = attempt.address)"
    };
}
pub(crate) use attempt_columns;

/// The column behind those of [`attempt_columns`] that [`read_with_trace`] reads.
const TRACE: usize = 18;

/// Inserts an attempt. Where it went to its endpoint's own URL, [`keep_address`] has kept that.
pub(crate) fn insert(db: &Connection, sealer: &Sealer, attempt: &AttemptRecord) -> rusqlite::Result<usize> {
    let duration_us = u64::try_from(attempt.duration.as_micros()).unwrap_or(u64::MAX);
    // NULL is a byte where an empty text or blob would have to be read back as one anyway.
    let detail = (!attempt.detail.is_empty()).then_some(&attempt.detail);
    let response = (!attempt.response.is_empty()).then_some(attempt.response.as_ref());
    let (address, url) = match &attempt.sent_to {
        SentTo::Nowhere => (None, None),
        SentTo::Endpoint(url) => (Some(trace::address_of(url)), None),
        SentTo::Elsewhere(url) => (None, Some(trace::seal_url(sealer, attempt.id, url))),
    };
    let trace = attempt.trace.as_ref().map(|kept| trace::seal_trace(sealer, attempt.id, kept));
    db.prepare_cached(
        "/* attempt::insert */
         INSERT INTO attempt (
             id, application, event, endpoint, number, duration_us, result, status, failure_code, detail, response,
             manual, plugin, plugin_fuel, next_due, address, url, trace
         ) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)",
    )?
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
        address,
        url,
        trace,
    ])
}

/// Keeps the URL that an endpoint has, of which it may have had others before; the oldest go where there are many. Answers
/// whether any went.
pub(crate) fn keep_address(
    db: &Connection,
    sealer: &Sealer,
    endpoint: EndpointId,
    url: &str,
) -> rusqlite::Result<bool> {
    let rows = db
        .prepare_cached(
            "/* attempt::keep_address */
             INSERT INTO endpoint_address (endpoint, address, url)
             SELECT ?1, ?2, ?3
             WHERE NOT EXISTS (SELECT 1 FROM endpoint_address WHERE endpoint = ?1 AND address = ?2)",
        )?
        .execute(params![
            endpoint.to_bytes(),
            trace::address_of(url),
            trace::seal_address(sealer, endpoint, url)
        ])?;
    if rows == 0 {
        return Ok(false);
    }
    let gone = db
        .prepare_cached(
            "/* attempt::keep_address: few */
             DELETE FROM endpoint_address WHERE endpoint = ?1 AND number <= (
                 SELECT number FROM endpoint_address WHERE endpoint = ?1
                 ORDER BY number DESC LIMIT 1 OFFSET ?2
             )",
        )?
        .execute(params![endpoint.to_bytes(), ENDPOINT_ADDRESSES_MAX])?;
    Ok(gone > 0)
}

/// Reads an attempt with what else is kept of it.
pub(crate) fn read_with_trace(row: &Row<'_>, sealer: &Sealer) -> Result<AttemptRecord, DbError> {
    let mut record = read(row, sealer)?;
    let sealed: Option<Vec<u8>> = row.get(TRACE)?;
    record.trace =
        sealed.map(|sealed| trace::open_trace(sealer, record.id, &sealed)).transpose()?.map(Box::new);
    Ok(record)
}

pub(crate) fn read(row: &Row<'_>, sealer: &Sealer) -> Result<AttemptRecord, DbError> {
    let plugin: Option<[u8; 32]> = row.get(12)?;
    let plugin_fuel: Option<i64> = row.get(13)?;
    let (id, endpoint) = (AttemptId::from_bytes(row.get(0)?), EndpointId::from_bytes(row.get(3)?));
    let own: Option<Vec<u8>> = row.get(17)?;
    let other: Option<Vec<u8>> = row.get(16)?;
    let sent_to = match (own, other) {
        (Some(own), _) => SentTo::Endpoint(trace::open_address(sealer, endpoint, &own)?),
        (None, Some(other)) => SentTo::Elsewhere(trace::open_url(sealer, id, &other)?),
        (None, None) => SentTo::Nowhere,
    };
    Ok(AttemptRecord {
        id,
        application: ApplicationId::from_bytes(row.get(1)?),
        event: EventId::from_bytes(row.get(2)?),
        endpoint,
        number: row.get(4)?,
        duration: Duration::from_micros(unsigned(row.get(5)?)),
        result: result_of_code(row.get(6)?)?,
        status: row.get(7)?,
        failure_code: row.get(8)?,
        detail: row.get::<_, Option<Box<str>>>(9)?.unwrap_or_default(),
        sent_to,
        trace: None,
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
