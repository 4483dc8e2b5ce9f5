//! Changes of the configuration, all or none.

use hookmill_core::endpoint::Endpoint;
use hookmill_core::id::{ApplicationId, EndpointId, EventId};
use hookmill_core::key::Scope;
use hookmill_core::port::store::{Change, StoreError};
use hookmill_core::time::UnixMillis;
use rusqlite::{Connection, params};

use super::batch::BatchWriter;
use crate::error::{DbError, is_unique_violation};
use crate::row::column::millis;
use crate::row::endpoint::Sealer;
use crate::row::{application, endpoint, key, plugin, remembered, source, task};

/// Applies changes in a savepoint of their own: a conflict undoes these only, not what else is committed.
pub(super) fn apply(writer: &mut BatchWriter, changes: &[Change]) -> Result<(), DbError> {
    writer.db.prepare_cached("/* configure::apply */ SAVEPOINT apply")?.execute([])?;
    let mut removed = 0;
    for change in changes {
        removed += unfinished_of(&writer.db, change)?;
        let applied = apply_one(&writer.db, &writer.sealer, change);
        if let Err(error @ DbError::Refused(_)) = applied {
            writer.db.prepare_cached("/* configure::apply */ ROLLBACK TO apply")?.execute([])?;
            writer.db.prepare_cached("/* configure::apply */ RELEASE apply")?.execute([])?;
            return Err(error);
        }
        applied?;
    }
    writer.db.prepare_cached("/* configure::apply */ RELEASE apply")?.execute([])?;
    writer.unfinished_change -= removed;
    note(writer, changes)
}

/// The unfinished deliveries that go with this change.
fn unfinished_of(db: &Connection, change: &Change) -> Result<i64, DbError> {
    let (sql, id) = match change {
        Change::DeleteEndpoint(id) => (
            "/* configure::unfinished_of: endpoint */ SELECT count(*) FROM delivery WHERE endpoint = ?1",
            id.to_bytes(),
        ),
        Change::DeleteApplication(id) => (
            "/* configure::unfinished_of: application */
             SELECT count(*) FROM delivery WHERE endpoint IN (SELECT id FROM endpoint WHERE application = ?1)",
            id.to_bytes(),
        ),
        Change::PutApplication(_)
        | Change::PutEndpoint(_)
        | Change::RestartDeliveries(..)
        | Change::PutSource(_)
        | Change::DeleteSource(_)
        | Change::PutEventType(_)
        | Change::DeleteEventType(_)
        | Change::PutPluginVersion(..)
        | Change::SetCurrentPlugin(..)
        | Change::SetCanary(..)
        | Change::DeletePluginVersion(..)
        | Change::DeletePlugin(_)
        | Change::PutKey(_)
        | Change::DeleteKey(_)
        | Change::NoteTime(_)
        | Change::PutTask(_)
        | Change::Remember(..) => return Ok(0),
    };
    Ok(db.prepare_cached(sql)?.query_row([id], |row| row.get(0))?)
}

/// Keeps in memory what appends need to know.
fn note(writer: &mut BatchWriter, changes: &[Change]) -> Result<(), DbError> {
    for change in changes {
        match change {
            Change::PutApplication(application) => {
                writer.known.applications.insert(application.id);
            }
            Change::PutEndpoint(endpoint) => {
                writer.known.endpoints.insert(endpoint.id);
            }
            Change::DeleteEndpoint(id) => {
                writer.known.endpoints.remove(id);
            }
            // Takes its endpoints along.
            Change::DeleteApplication(_) => writer.known.reload(&writer.db)?,
            Change::PutSource(_)
            | Change::DeleteSource(_)
            | Change::PutEventType(_)
            | Change::DeleteEventType(_)
            | Change::PutPluginVersion(..)
            | Change::SetCurrentPlugin(..)
            | Change::SetCanary(..)
            | Change::DeletePluginVersion(..)
            | Change::DeletePlugin(_)
            | Change::PutKey(_)
            | Change::DeleteKey(_)
            | Change::RestartDeliveries(..)
            | Change::NoteTime(_)
            | Change::PutTask(_)
            | Change::Remember(..) => {}
        }
    }
    Ok(())
}

fn apply_one(db: &Connection, sealer: &Sealer, change: &Change) -> Result<(), DbError> {
    match change {
        Change::PutApplication(application) => {
            unique("the application's uid", application::put(db, application))
        }
        Change::DeleteApplication(id) => delete_application(db, *id),
        Change::PutEndpoint(endpoint) => put_endpoint(db, sealer, endpoint),
        Change::DeleteEndpoint(id) => delete_endpoint(db, *id),
        Change::RestartDeliveries(endpoint, now) => restart_deliveries(db, *endpoint, *now),
        Change::PutSource(source) => {
            require_application(db, source.application)?;
            unique("the source's name", source::put(db, sealer, source))
        }
        Change::DeleteSource(id) => {
            execute(db, "/* configure::apply_one */ DELETE FROM source WHERE id = ?1", [id.to_bytes()])
        }
        Change::PutEventType(definition) => {
            unique("the event type", application::put_event_type(db, definition))
        }
        Change::DeleteEventType(name) => {
            execute(db, "/* configure::apply_one */ DELETE FROM event_type WHERE name = ?1", [name.as_str()])
        }
        Change::PutPluginVersion(version, bytes, interface) => {
            Ok(plugin::put_version(db, version, bytes, interface)?)
        }
        Change::SetCurrentPlugin(name, digest) => match plugin::set_current(db, name, *digest)? {
            true => Ok(()),
            false => Err(StoreError::NotFound { what: "the plugin version" }.into()),
        },
        Change::SetCanary(name, canary) => match plugin::set_canary(db, name, *canary)? {
            true => Ok(()),
            false => Err(StoreError::NotFound { what: "the plugin version" }.into()),
        },
        Change::DeletePluginVersion(name, digest) => Ok(plugin::delete_version(db, name, *digest)?),
        Change::DeletePlugin(name) => Ok(plugin::delete(db, name)?),
        Change::PutKey(key) => {
            match key.scope {
                Scope::Admin | Scope::Metrics => {}
                Scope::Application(id) | Scope::Ingest(id) => require_application(db, id)?,
            }
            unique("the key", key::put(db, key))
        }
        Change::DeleteKey(id) => {
            execute(db, "/* configure::apply_one */ DELETE FROM api_key WHERE id = ?1", [id.to_bytes()])
        }
        Change::NoteTime(noted) => execute(
            db,
            "/* configure::apply_one */ UPDATE installation SET noted_at = ?1 WHERE id = 1",
            [millis(*noted)],
        ),
        Change::PutTask(task) => {
            require_endpoint(db, task.endpoint)?;
            unique("the endpoint's background task", task::put(db, task))
        }
        Change::Remember(key, answer) => match remembered::put(db, sealer, *key, answer)? {
            true => Ok(()),
            false => Err(StoreError::Conflict { what: "the idempotency key" }.into()),
        },
    }
}

fn put_endpoint(db: &Connection, sealer: &Sealer, endpoint: &Endpoint) -> Result<(), DbError> {
    require_application(db, endpoint.application)?;
    unique("the endpoint's uid", endpoint::put(db, sealer, endpoint))
}

fn delete_endpoint(db: &Connection, id: EndpointId) -> Result<(), DbError> {
    let id = [id.to_bytes()];
    execute(db, "/* configure::delete_endpoint */ DELETE FROM delivery WHERE endpoint = ?1", id)?;
    execute(
        db,
        "/* configure::delete_endpoint: addresses */ UPDATE endpoint_address SET is_gone = 1 WHERE endpoint = ?1",
        id,
    )?;
    execute(db, "/* configure::delete_endpoint */ DELETE FROM endpoint WHERE id = ?1", id)
}

/// Those that were never tried are due since their event was accepted, or since someone asked for them, as it is. Ids are
/// in wall time, which may be ahead of steady time: none becomes due later than now.
fn restart_deliveries(db: &Connection, endpoint: EndpointId, now: UnixMillis) -> Result<(), DbError> {
    let mut tried = db.prepare_cached(
        "/* configure::restart_deliveries */
         SELECT delivery.number, event.id FROM delivery JOIN event ON event.number = delivery.event
         WHERE delivery.endpoint = ?1 AND delivery.attempts_made > 0",
    )?;
    let tried: Vec<(i64, [u8; 16])> = tried
        .query_map([endpoint.to_bytes()], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let mut restart = db.prepare_cached(
        "/* configure::restart_deliveries */ UPDATE delivery SET due = ?2, attempts_made = 0 WHERE number = ?1",
    )?;
    for (number, event) in tried {
        restart.execute(params![number, millis(EventId::from_bytes(event).created_at().min(now))])?;
    }
    Ok(())
}

/// Events and attempts can be many: they are out of sight at once, and retention deletes them step by step.
fn delete_application(db: &Connection, id: ApplicationId) -> Result<(), DbError> {
    let id = [id.to_bytes()];
    for sql in [
        "/* configure::delete_application: deliveries */
         DELETE FROM delivery WHERE endpoint IN (SELECT id FROM endpoint WHERE application = ?1)",
        "/* configure::delete_application: dead letters */
         DELETE FROM dead_letter WHERE endpoint IN (SELECT id FROM endpoint WHERE application = ?1)",
        "/* configure::delete_application: addresses */
         UPDATE endpoint_address SET is_gone = 1
         WHERE endpoint IN (SELECT id FROM endpoint WHERE application = ?1)",
        "/* configure::delete_application: endpoints */
         DELETE FROM endpoint WHERE application = ?1",
        "/* configure::delete_application: sources */
         DELETE FROM source WHERE application = ?1",
        "/* configure::delete_application: keys */
         DELETE FROM api_key WHERE application = ?1",
        "/* configure::delete_application: history */
         INSERT INTO removed_application (id) SELECT id FROM application WHERE id = ?1 ON CONFLICT DO NOTHING",
        "/* configure::delete_application */
         DELETE FROM application WHERE id = ?1",
    ] {
        execute(db, sql, id)?;
    }
    Ok(())
}

fn require_application(db: &Connection, id: ApplicationId) -> Result<(), DbError> {
    let exists = db
        .prepare_cached("/* configure::require_application */ SELECT 1 FROM application WHERE id = ?1")?
        .exists([id.to_bytes()])?;
    if exists { Ok(()) } else { Err(StoreError::NotFound { what: "the application" }.into()) }
}

fn require_endpoint(db: &Connection, id: EndpointId) -> Result<(), DbError> {
    let exists = db
        .prepare_cached("/* configure::require_endpoint */ SELECT 1 FROM endpoint WHERE id = ?1")?
        .exists([id.to_bytes()])?;
    if exists { Ok(()) } else { Err(StoreError::NotFound { what: "the endpoint" }.into()) }
}

fn execute<P: rusqlite::Params>(db: &Connection, sql: &str, parameters: P) -> Result<(), DbError> {
    db.prepare_cached(sql)?.execute(parameters)?;
    Ok(())
}

fn unique(what: &'static str, result: rusqlite::Result<usize>) -> Result<(), DbError> {
    match result {
        Ok(_) => Ok(()),
        Err(error) if is_unique_violation(&error) => Err(StoreError::Conflict { what }.into()),
        Err(error) => Err(error.into()),
    }
}
