//! Pages for people, and what is read once at the start.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hookmill_core::event::{Event, Name};
use hookmill_core::id::{ApplicationId, AttemptId, EndpointId, EventId};
use hookmill_core::limits::{READ_BYTES_MAX, READ_ROWS_MAX, RETENTION_ROWS_MAX};
use hookmill_core::port::store::{
    AttemptQuery, AttemptRecord, AttemptsOf, DeadLetter, DeadLetterQuery, DeliveryState, DeliveryStatus,
    EndpointCounts, EventLookup, EventQuery, Found, PageFrom, StoreMeasures,
};
use hookmill_core::route::Configuration;
use hookmill_core::time::UnixMillis;
use rusqlite::{Connection, OptionalExtension, Row, Rows, params};

use crate::error::DbError;
use crate::row::attempt::{attempt_columns, result_code};
use crate::row::column::{integer, parsed, parsed_option, unix_millis, unsigned};
use crate::row::endpoint::Sealer;
use crate::row::event::event_columns;
use crate::row::{application, attempt, endpoint, event, key, plugin, source};
use crate::schema::NUMBER_STEP;

const EVENT_BY_ID: &str = concat!(
    "/* history::event: id */ SELECT ",
    event_columns!(),
    " FROM event WHERE application = ?1 AND id = ?2"
);
const EVENT_BY_UID: &str = concat!(
    "/* history::event: uid */ SELECT ",
    event_columns!(),
    " FROM event WHERE application = ?1 AND uid = ?2"
);
const EVENTS_DOWN: &str = concat!(
    "/* history::events: down */ SELECT ",
    event_columns!(),
    " FROM event WHERE application = ?1 AND id > ?2 AND id < ?3 ORDER BY id DESC"
);
const EVENTS_UP: &str = concat!(
    "/* history::events: up */ SELECT ",
    event_columns!(),
    " FROM event WHERE application = ?1 AND id > ?2 AND id < ?3 ORDER BY id"
);

/// Attempts in one of the two orders that there are, in both directions.
macro_rules! attempts {
    ($name:literal, $of:literal, $direction:literal) => {
        concat!(
            "/* history::attempts: ",
            $name,
            " */ SELECT ",
            attempt_columns!(),
            " FROM attempt WHERE ",
            $of,
            " = ?1 AND id > ?2 AND id < ?3 ORDER BY id",
            $direction
        )
    };
}
const ATTEMPTS_OF_EVENT: [&str; 2] = [attempts!("event", "event", " DESC"), attempts!("event", "event", "")];
const ATTEMPTS_OF_ENDPOINT: [&str; 2] =
    [attempts!("endpoint", "endpoint", " DESC"), attempts!("endpoint", "endpoint", "")];
const ATTEMPT: &str = concat!(
    "/* history::attempt */ SELECT ",
    attempt_columns!(),
    ", trace FROM attempt WHERE event = ?1 AND id = ?2"
);
const UNFINISHED_OF_EVENT: &str = "/* history::deliveries_of: unfinished */
    SELECT delivery.number, endpoint, attempts_made, due
    FROM event JOIN delivery ON delivery.number > event.number
        AND delivery.number < event.number + (event.deliveries + 1) * ?2
        AND delivery.event = event.number
    WHERE event.number = ?1 AND delivery.manual = 0";
const MANUAL_OF_EVENT: &str = "/* history::deliveries_of: manual */
    SELECT number, endpoint, attempts_made, due FROM delivery WHERE event = ?1 AND manual = 1";
const DEAD_OF_EVENT: &str = "/* history::deliveries_of: dead */
    SELECT number, endpoint, attempts_made, reason FROM dead_letter WHERE event = ?1";
const DEAD_LETTERS: &str = "/* history::dead_letters */
    SELECT dead_letter.number, event.id, event.ordering_key, dead_letter.died_at
    FROM dead_letter CROSS JOIN event ON event.number = dead_letter.event
    WHERE dead_letter.endpoint = ?1 AND dead_letter.number > ?2 AND event.application = ?3
    ORDER BY dead_letter.number LIMIT ?4";
const SETTLED_COUNTS: &str = "/* history::settled_counts */
    SELECT
        ifnull((SELECT attempts FROM endpoint_delivered WHERE endpoint_delivered.endpoint = endpoint.id), 0),
        (SELECT count(*) FROM dead_letter WHERE dead_letter.endpoint = endpoint.id)
    FROM endpoint WHERE endpoint.id = ?1";
const WAITING: &str = "/* history::count_waiting */
    SELECT due, number, attempts_made > 0 FROM delivery
    WHERE endpoint = ?1 AND (due, number) > (?2, ?3) ORDER BY due, number LIMIT ?4";
/// Deliveries that are searched for the oldest one that counts: those of endpoints that were turned off stay at the head.
const WAITING_SEARCHED_MAX: i64 = 10_000;
const OLDEST_WAITING: &str = "/* history::measure */
    SELECT event.id FROM event WHERE number = (
        SELECT head.event
        FROM (SELECT number, event, endpoint, manual FROM delivery ORDER BY number LIMIT ?1) AS head
            JOIN endpoint ON endpoint.id = head.endpoint
        WHERE head.manual = 0 AND endpoint.disabled_since IS NULL
        ORDER BY head.number LIMIT 1
    )";
const OLD_EVENTS: &str = "/* history::old_events */
    SELECT number, id < ?2 OR id > ?5, id < ?2 AND NOT EXISTS (
            SELECT 1 FROM delivery
            WHERE delivery.number > event.number
                AND delivery.number < event.number + (event.deliveries + 1) * ?3
                AND delivery.event = event.number
        ) AND NOT EXISTS (SELECT 1 FROM delivery WHERE delivery.event = event.number AND manual = 1)
    FROM event WHERE number > ?1 ORDER BY number LIMIT ?4";

/// The queries whose plans are asserted.
#[cfg(test)]
pub(crate) const QUERIES: [&str; 16] = [
    EVENT_BY_ID,
    EVENT_BY_UID,
    EVENTS_DOWN,
    EVENTS_UP,
    ATTEMPTS_OF_EVENT[0],
    ATTEMPTS_OF_EVENT[1],
    ATTEMPTS_OF_ENDPOINT[0],
    ATTEMPTS_OF_ENDPOINT[1],
    ATTEMPT,
    UNFINISHED_OF_EVENT,
    MANUAL_OF_EVENT,
    DEAD_OF_EVENT,
    OLD_EVENTS,
    SETTLED_COUNTS,
    WAITING,
    DEAD_LETTERS,
];

pub(crate) fn kept_time(db: &Connection) -> Result<Option<UnixMillis>, DbError> {
    let mut statement = db.prepare_cached("/* history::kept_time */ SELECT at FROM steady_time")?;
    Ok(statement.query_row([], |row| row.get(0).map(unix_millis)).optional()?)
}

/// How much waits is counted by the writer. Files that are not there take no room.
pub(crate) fn measure(db: &Connection, waiting: u64, file: &Path) -> Result<StoreMeasures, DbError> {
    let oldest: Option<[u8; 16]> =
        db.prepare_cached(OLDEST_WAITING)?.query_row([WAITING_SEARCHED_MAX], |row| row.get(0)).optional()?;
    let log = {
        let mut log = file.as_os_str().to_owned();
        log.push("-wal");
        PathBuf::from(log)
    };
    let bytes =
        [file, &log].into_iter().filter_map(|file| std::fs::metadata(file).ok()).map(|file| file.len());
    let oldest = oldest.map(|event| EventId::from_bytes(event).created_at());
    Ok(StoreMeasures { waiting, oldest, bytes: bytes.sum() })
}

pub(crate) fn configuration(db: &Connection, sealer: &Sealer) -> Result<Configuration, DbError> {
    Ok(Configuration {
        applications: application::all(db)?,
        endpoints: endpoint::all(db, sealer)?,
        sources: source::all(db, sealer)?,
        event_types: application::all_event_types(db)?,
        plugin_versions: plugin::all_versions(db)?,
        current_plugins: plugin::all_current(db)?,
        canaries: plugin::all_canaries(db)?,
        keys: key::all(db)?,
    })
}

pub(crate) fn event(
    db: &Connection,
    application: ApplicationId,
    lookup: &EventLookup,
) -> Result<Option<Arc<Event>>, DbError> {
    if is_removed(db, application)? {
        return Ok(None);
    }
    let application = application.to_bytes();
    let (mut by_id, mut by_uid);
    let mut rows = match lookup {
        EventLookup::Id(id) => {
            by_id = db.prepare_cached(EVENT_BY_ID)?;
            by_id.query(params![application, id.to_bytes()])?
        }
        EventLookup::Uid(uid) => {
            by_uid = db.prepare_cached(EVENT_BY_UID)?;
            by_uid.query(params![application, uid.as_str()])?
        }
    };
    rows.next()?.map(|row| event::read(row, 0).map(Arc::new)).transpose()
}

pub(crate) fn events(db: &Connection, query: &EventQuery) -> Result<Found<EventId, Arc<Event>>, DbError> {
    if is_removed(db, query.application)? {
        return Ok(nothing());
    }
    let range = IdRange::new(query.from, EventId::to_bytes, query.before, query.after);
    let mut statement = db.prepare_cached(if range.is_upward { EVENTS_UP } else { EVENTS_DOWN })?;
    let rows = statement.query(params![query.application.to_bytes(), range.above, range.below])?;
    let mut bytes = 0;
    let mut take = |row: &Row<'_>| {
        if !is_wanted(row, query)? {
            return Ok(None);
        }
        let event = event::read(row, 0)?;
        bytes += event.body.len();
        Ok(Some((Arc::new(event), bytes < READ_BYTES_MAX)))
    };
    read_page(rows, range.is_upward, query.limit, EventId::from_bytes, &mut take)
}

pub(crate) fn attempts(
    db: &Connection,
    sealer: &Sealer,
    query: &AttemptQuery,
) -> Result<Found<AttemptId, AttemptRecord>, DbError> {
    if is_removed(db, query.application)? {
        return Ok(nothing());
    }
    let range = IdRange::new(query.from, AttemptId::to_bytes, query.before, query.after);
    let (queries, of, endpoint) = match query.of {
        AttemptsOf::Event(event, endpoint) => {
            (ATTEMPTS_OF_EVENT, event.to_bytes(), endpoint.map(EndpointId::to_bytes))
        }
        AttemptsOf::Endpoint(endpoint) => (ATTEMPTS_OF_ENDPOINT, endpoint.to_bytes(), None),
    };
    let mut statement = db.prepare_cached(queries[usize::from(range.is_upward)])?;
    let rows = statement.query(params![of, range.above, range.below])?;
    let application = query.application.to_bytes();
    let result = query.result.map(result_code);
    let mut take = |row: &Row<'_>| {
        let is_wanted = row.get::<_, [u8; 16]>(1)? == application
            && endpoint.is_none_or(|endpoint| row.get(3) == Ok(endpoint))
            && result.is_none_or(|result| row.get(6) == Ok(result));
        Ok(if is_wanted { Some((attempt::read(row, sealer)?, true)) } else { None })
    };
    read_page(rows, range.is_upward, query.limit, AttemptId::from_bytes, &mut take)
}

/// What a row is, where it passes the filter, and whether there is room for another.
type Take<'a, T> = dyn FnMut(&Row<'_>) -> Result<Option<(T, bool)>, DbError> + 'a;

/// Walks rows, whose first column is their id, up to the bounds on one read. `take` says what a row is, where it passes
/// the filter, and whether there is room for another.
fn read_page<Id, T>(
    mut rows: Rows<'_>,
    is_upward: bool,
    limit: usize,
    id: fn([u8; 16]) -> Id,
    take: &mut Take<'_, T>,
) -> Result<Found<Id, T>, DbError> {
    let mut found = nothing();
    let mut has_room = true;
    let mut last = None;
    while found.items.len() < limit {
        if !has_room || found.rows_read >= READ_ROWS_MAX {
            found.stopped_at = last.map(id);
            break;
        }
        let Some(row) = rows.next()? else { break };
        found.rows_read += 1;
        last = Some(row.get(0)?);
        if let Some((item, room)) = take(row)? {
            found.items.push(item);
            has_room = room;
        }
    }
    if is_upward {
        found.items.reverse();
    }
    Ok(found)
}

fn nothing<Id, T>() -> Found<Id, T> {
    Found { items: Vec::new(), stopped_at: None, rows_read: 0 }
}

pub(crate) fn attempt(
    db: &Connection,
    sealer: &Sealer,
    application: ApplicationId,
    event: EventId,
    id: AttemptId,
) -> Result<Option<AttemptRecord>, DbError> {
    if is_removed(db, application)? {
        return Ok(None);
    }
    let mut statement = db.prepare_cached(ATTEMPT)?;
    let mut rows = statement.query([event.to_bytes(), id.to_bytes()])?;
    let record = rows.next()?.map(|row| attempt::read_with_trace(row, sealer)).transpose()?;
    Ok(record.filter(|record| record.application == application))
}

pub(crate) fn deliveries_of(
    db: &Connection,
    application: ApplicationId,
    id: EventId,
) -> Result<Vec<DeliveryState>, DbError> {
    let number: Option<i64> = db
        .prepare_cached(
            "/* history::deliveries_of */
             SELECT number FROM event
             WHERE application = ?1 AND id = ?2 AND application NOT IN (SELECT id FROM removed_application)",
        )?
        .query_row([application.to_bytes(), id.to_bytes()], |row| row.get(0))
        .optional()?;
    let Some(number) = number else { return Ok(Vec::new()) };
    let mut states: Vec<(i64, DeliveryState)> = Vec::new();
    let mut unfinished = db.prepare_cached(UNFINISHED_OF_EVENT)?;
    let mut rows = unfinished.query([number, NUMBER_STEP])?;
    while let Some(row) = rows.next()? {
        states.push(waiting(row)?);
    }
    let mut manual = db.prepare_cached(MANUAL_OF_EVENT)?;
    let mut rows = manual.query([number])?;
    while let Some(row) = rows.next()? {
        states.push(waiting(row)?);
    }
    let mut dead = db.prepare_cached(DEAD_OF_EVENT)?;
    let mut rows = dead.query([number])?;
    while let Some(row) = rows.next()? {
        let code: String = row.get(3)?;
        let reason = hookmill_core::delivery::DeadReason::from_code(&code)
            .ok_or_else(|| DbError::row("dead_letter", format!("unknown reason {code:?}")))?;
        states.push((row.get(0)?, state(row, DeliveryStatus::Dead(reason))?));
    }
    states.sort_by_key(|(number, _)| *number);
    Ok(states.into_iter().map(|(_, state)| state).collect())
}

pub(crate) fn dead_letters(db: &Connection, query: &DeadLetterQuery) -> Result<Vec<DeadLetter>, DbError> {
    if is_removed(db, query.application)? {
        return Ok(Vec::new());
    }
    let limit = i64::try_from(query.limit.min(READ_ROWS_MAX)).unwrap_or(i64::MAX);
    let mut statement = db.prepare_cached(DEAD_LETTERS)?;
    let mut rows = statement.query(params![
        query.endpoint.to_bytes(),
        integer(query.after),
        query.application.to_bytes(),
        limit
    ])?;
    let mut letters = Vec::new();
    while let Some(row) = rows.next()? {
        let event = EventId::from_bytes(row.get(1)?);
        letters.push(DeadLetter {
            number: unsigned(row.get(0)?),
            event,
            ordering_key: parsed_option("event", row.get::<_, Option<String>>(2)?.as_deref())?,
            died_at: row.get::<_, Option<i64>>(3)?.map_or(event.created_at(), unix_millis),
        });
    }
    Ok(letters)
}

/// Counts what needs no walk over rows.
pub(crate) fn settled_counts(db: &Connection, endpoint: EndpointId) -> Result<EndpointCounts, DbError> {
    let counts = db
        .prepare_cached(SETTLED_COUNTS)?
        .query_row([endpoint.to_bytes()], |row| {
            Ok(EndpointCounts {
                delivered: unsigned(row.get(0)?),
                pending: 0,
                retrying: 0,
                dead: unsigned(row.get(1)?),
            })
        })
        .optional()?;
    Ok(counts.unwrap_or_default())
}

/// A place in an endpoint's queue; the default is before all of it.
#[derive(Clone, Copy, Default)]
pub(crate) struct QueuePlace {
    due: i64,
    number: i64,
}

/// Counts what waits behind a place, up to the bound on rows of one read; answers where to go on, if there may be more.
pub(crate) fn count_waiting(
    db: &Connection,
    endpoint: EndpointId,
    after: QueuePlace,
    mut counts: EndpointCounts,
) -> Result<(EndpointCounts, Option<QueuePlace>), DbError> {
    let limit = i64::try_from(READ_ROWS_MAX).unwrap_or(i64::MAX);
    let mut statement = db.prepare_cached(WAITING)?;
    let mut rows = statement.query(params![endpoint.to_bytes(), after.due, after.number, limit])?;
    let (mut place, mut rows_read) = (after, 0);
    while let Some(row) = rows.next()? {
        rows_read += 1;
        place = QueuePlace { due: row.get(0)?, number: row.get(1)? };
        let was_tried: bool = row.get(2)?;
        *(if was_tried { &mut counts.retrying } else { &mut counts.pending }) += 1;
    }
    Ok((counts, (rows_read >= READ_ROWS_MAX).then_some(place)))
}

/// The time that was noted last, or that of the newest event.
pub(crate) fn noted_time(db: &Connection) -> Result<Option<UnixMillis>, DbError> {
    let noted: Option<i64> = db
        .prepare_cached("/* history::noted_time */ SELECT noted_at FROM installation WHERE id = 1")?
        .query_row([], |row| row.get(0))
        .optional()?
        .flatten();
    let newest: Option<[u8; 16]> = db
        .prepare_cached(
            "/* history::noted_time: newest */ SELECT id FROM event ORDER BY number DESC LIMIT 1",
        )?
        .query_row([], |row| row.get(0))
        .optional()?;
    let newest = newest.map(|id| EventId::from_bytes(id).created_at());
    Ok(noted.map(unix_millis).or(newest))
}

/// What one look at old events found.
pub(crate) struct OldEvents {
    /// Those without unfinished deliveries.
    pub(crate) finished: Vec<i64>,
    /// Where to look next, unless this was the last.
    pub(crate) last: Option<i64>,
}

/// Looks at old events with numbers after `after`, the oldest first; at those of removed tenants before all others.
///
/// Numbers grow with time but for the moment between an event's acceptance and its commit, and for clocks that were
/// set back. So the last look is the one that finds nothing old; what seems to be younger than the last event of all was
/// accepted by a clock that was wrong, and says nothing of those behind it.
pub(crate) fn old_events(
    db: &Connection,
    before: UnixMillis,
    after: Option<i64>,
) -> Result<OldEvents, DbError> {
    let limit = i64::try_from(RETENTION_ROWS_MAX).unwrap_or(i64::MAX);
    let mut statement = db.prepare_cached(
        "/* history::old_events: removed tenants */
         SELECT event.number FROM removed_application JOIN event ON event.application = removed_application.id
         LIMIT ?1",
    )?;
    let removed: Vec<i64> = statement.query_map([limit], |row| row.get(0))?.collect::<Result<_, _>>()?;
    if !removed.is_empty() {
        return Ok(OldEvents { finished: removed, last: after });
    }
    let below = EventId::new(before, 0).to_bytes();
    let newest: Option<[u8; 16]> = db
        .prepare_cached(
            "/* history::old_events: newest */ SELECT id FROM event ORDER BY number DESC LIMIT 1",
        )?
        .query_row([], |row| row.get(0))
        .optional()?;
    let mut statement = db.prepare_cached(OLD_EVENTS)?;
    let mut rows = statement.query(params![after.unwrap_or_default(), below, NUMBER_STEP, limit, newest])?;
    let (mut finished, mut last, mut has_old) = (Vec::new(), None, false);
    while let Some(row) = rows.next()? {
        last = Some(row.get(0)?);
        has_old |= row.get::<_, bool>(1)?;
        if row.get(2)? {
            finished.push(row.get(0)?);
        }
    }
    Ok(OldEvents { finished, last: last.filter(|_| has_old) })
}

/// Ids between two bounds, neither of which is in it. Ids begin with their time, so times are bounds as well.
struct IdRange {
    above: Vec<u8>,
    below: Vec<u8>,
    /// From the oldest on, for a page that ends just before a known one.
    is_upward: bool,
}

impl IdRange {
    fn new<Id>(
        from: PageFrom<Id>,
        to_bytes: fn(Id) -> [u8; 16],
        before: Option<UnixMillis>,
        after: Option<UnixMillis>,
    ) -> Self {
        // Shorter and longer than any id: the first and last of all.
        let mut above = after.map(|after| last_id_of(after).to_vec()).unwrap_or_default();
        let mut below = before.map_or(vec![0xff; 17], |before| EventId::new(before, 0).to_bytes().to_vec());
        let mut is_upward = false;
        match from {
            PageFrom::Newest => {}
            PageFrom::OlderThan(id) => below = below.min(to_bytes(id).to_vec()),
            PageFrom::NewerThan(id) => {
                above = above.max(to_bytes(id).to_vec());
                is_upward = true;
            }
        }
        Self { above, below, is_upward }
    }
}

/// The bytes of the last id that a moment can have; ids of all kinds have the same.
fn last_id_of(moment: UnixMillis) -> [u8; 16] {
    EventId::new(moment, (1 << 80) - 1).to_bytes()
}

fn is_wanted(row: &Row<'_>, query: &EventQuery) -> Result<bool, DbError> {
    if !query.event_types.is_empty() {
        let event_type: Name = parsed("event", &row.get::<_, String>(2)?)?;
        if !query.event_types.contains(&event_type) {
            return Ok(false);
        }
    }
    let Some(channel) = &query.channel else { return Ok(true) };
    let channels: Option<String> = row.get(4)?;
    Ok(channels.is_some_and(|names| names.split(',').any(|name| name == channel.as_str())))
}

/// A removed tenant's history is out of sight until retention has deleted it.
fn is_removed(db: &Connection, application: ApplicationId) -> Result<bool, DbError> {
    Ok(db
        .prepare_cached("/* history::is_removed */ SELECT 1 FROM removed_application WHERE id = ?1")?
        .exists([application.to_bytes()])?)
}

fn waiting(row: &Row<'_>) -> Result<(i64, DeliveryState), DbError> {
    Ok((row.get(0)?, state(row, DeliveryStatus::Waiting(unix_millis(row.get(3)?)))?))
}

fn state(row: &Row<'_>, status: DeliveryStatus) -> Result<DeliveryState, DbError> {
    Ok(DeliveryState { endpoint: EndpointId::from_bytes(row.get(1)?), attempts_made: row.get(2)?, status })
}
