//! Rows of `background_task`.

use hookmill_core::id::{ApplicationId, EndpointId, EventId, TaskId};
use hookmill_core::limits::ENDPOINT_TASKS_KEPT_MAX;
use hookmill_core::port::store::{PageFrom, TaskQuery};
use hookmill_core::task::{BackgroundTask, Period, TaskKind, TaskPosition, TaskStatus};
use rusqlite::{Connection, Row, params};

use super::column::{integer, millis, unix_millis, unsigned};
use crate::error::DbError;

const TABLE: &str = "background_task";

/// The columns that [`read`] reads, in its order.
macro_rules! task_columns {
    () => {
        "id, kind, application, endpoint, since, until, status, dead_letter, event, sent, updated_at"
    };
}

const BY_ID: &str =
    concat!("/* task::get */ SELECT ", task_columns!(), " FROM background_task WHERE id = ?1");

/// Tasks in both directions; an application, a status or a kind of NULL is any.
macro_rules! tasks {
    ($name:literal, $of:literal, $direction:literal) => {
        concat!(
            "/* task::page: ",
            $name,
            " */ SELECT ",
            task_columns!(),
            " FROM background_task WHERE ",
            $of,
            " id > ?2 AND id < ?3 AND (?4 IS NULL OR status = ?4) AND (?5 IS NULL OR kind = ?5) ORDER BY id",
            $direction,
            " LIMIT ?6"
        )
    };
}
const OF_APPLICATION: [&str; 2] = [
    tasks!("application, down", "application = ?1 AND", " DESC"),
    tasks!("application, up", "application = ?1 AND", ""),
];
const OF_ALL: [&str; 2] =
    [tasks!("all, down", "?1 IS NULL AND", " DESC"), tasks!("all, up", "?1 IS NULL AND", "")];

/// The queries whose plans are asserted.
#[cfg(test)]
pub(crate) const QUERIES: [&str; 5] = [BY_ID, OF_APPLICATION[0], OF_APPLICATION[1], OF_ALL[0], OF_ALL[1]];

/// Adds a task, or gives a known one another period, from whose beginning it goes on.
pub(crate) fn put(db: &Connection, task: &BackgroundTask) -> rusqlite::Result<usize> {
    let (dead_letter, event) = position_columns(task.position);
    db.prepare_cached(concat!(
        "/* task::put */
         INSERT INTO background_task (",
        task_columns!(),
        ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
         ON CONFLICT (id) DO UPDATE SET
             since = excluded.since,
             until = excluded.until,
             status = excluded.status,
             dead_letter = excluded.dead_letter,
             event = excluded.event,
             updated_at = excluded.updated_at"
    ))?
    .execute(params![
        task.id.to_bytes(),
        task.kind.code(),
        task.application.to_bytes(),
        task.endpoint.to_bytes(),
        millis(task.period.since),
        millis(task.period.until),
        task.status.code(),
        dead_letter,
        event,
        integer(task.sent),
        millis(task.updated_at),
    ])?;
    let kept = i64::try_from(ENDPOINT_TASKS_KEPT_MAX).unwrap_or(i64::MAX);
    db.prepare_cached(
        "/* task::put: forgets the oldest */
         DELETE FROM background_task WHERE endpoint = ?1 AND id IN (
             SELECT id FROM background_task WHERE endpoint = ?1 ORDER BY id DESC LIMIT -1 OFFSET ?2
         )",
    )?
    .execute(params![task.endpoint.to_bytes(), kept])
}

/// Writes down how far a task came that still runs with the same period, and what it sent in any case.
pub(crate) fn advance(db: &Connection, task: &BackgroundTask, sent: u64) -> rusqlite::Result<()> {
    let (dead_letter, event) = position_columns(task.position);
    db.prepare_cached(
        "/* task::advance: sent */
         UPDATE background_task SET sent = sent + ?2, updated_at = ?3 WHERE id = ?1",
    )?
    .execute(params![task.id.to_bytes(), integer(sent), millis(task.updated_at)])?;
    db.prepare_cached(
        "/* task::advance */
         UPDATE background_task SET status = ?2, dead_letter = ?3, event = ?4
         WHERE id = ?1 AND status = 'running' AND since = ?5 AND until = ?6",
    )?
    .execute(params![
        task.id.to_bytes(),
        task.status.code(),
        dead_letter,
        event,
        millis(task.period.since),
        millis(task.period.until),
    ])?;
    Ok(())
}

pub(crate) fn get(db: &Connection, id: TaskId) -> Result<Option<BackgroundTask>, DbError> {
    let mut statement = db.prepare_cached(BY_ID)?;
    let mut rows = statement.query([id.to_bytes()])?;
    rows.next()?.map(read).transpose()
}

pub(crate) fn page(db: &Connection, query: &TaskQuery) -> Result<Vec<BackgroundTask>, DbError> {
    // Shorter and longer than any id: the first and last of all.
    let (mut above, mut below) = (Vec::new(), vec![0xff; 17]);
    let is_upward = match query.from {
        PageFrom::Newest => false,
        PageFrom::OlderThan(id) => {
            below = id.to_bytes().to_vec();
            false
        }
        PageFrom::NewerThan(id) => {
            above = id.to_bytes().to_vec();
            true
        }
    };
    let queries = if query.application.is_some() { OF_APPLICATION } else { OF_ALL };
    let mut statement = db.prepare_cached(queries[usize::from(is_upward)])?;
    let mut rows = statement.query(params![
        query.application.map(ApplicationId::to_bytes),
        above,
        below,
        query.status.map(TaskStatus::code),
        query.kind.map(TaskKind::code),
        i64::try_from(query.limit).unwrap_or(i64::MAX),
    ])?;
    let mut tasks = Vec::new();
    while let Some(row) = rows.next()? {
        tasks.push(read(row)?);
    }
    if is_upward {
        tasks.reverse();
    }
    Ok(tasks)
}

fn position_columns(position: Option<TaskPosition>) -> (Option<i64>, Option<[u8; 16]>) {
    match position {
        None => (None, None),
        Some(TaskPosition::DeadLetter(number)) => (Some(integer(number)), None),
        Some(TaskPosition::Event(event)) => (None, Some(event.to_bytes())),
    }
}

fn read(row: &Row<'_>) -> Result<BackgroundTask, DbError> {
    let (kind, status): (String, String) = (row.get(1)?, row.get(6)?);
    let dead_letter = row.get::<_, Option<i64>>(7)?.map(|number| TaskPosition::DeadLetter(unsigned(number)));
    let event = row.get::<_, Option<[u8; 16]>>(8)?;
    let event = event.map(|event| TaskPosition::Event(EventId::from_bytes(event)));
    Ok(BackgroundTask {
        id: TaskId::from_bytes(row.get(0)?),
        kind: TaskKind::from_code(&kind)
            .ok_or_else(|| DbError::row(TABLE, format!("unknown kind {kind:?}")))?,
        application: ApplicationId::from_bytes(row.get(2)?),
        endpoint: EndpointId::from_bytes(row.get(3)?),
        period: Period { since: unix_millis(row.get(4)?), until: unix_millis(row.get(5)?) },
        status: TaskStatus::from_code(&status)
            .ok_or_else(|| DbError::row(TABLE, format!("unknown status {status:?}")))?,
        position: dead_letter.or(event),
        sent: unsigned(row.get(9)?),
        updated_at: unix_millis(row.get(10)?),
    })
}
