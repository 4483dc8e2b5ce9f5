//! Rows of `application` and `event_type`.

use hookmill_core::application::{Application, EventTypeDefinition};
use hookmill_core::id::ApplicationId;
use rusqlite::{Connection, Row, params};

use super::column::{metadata_from_json, millis, parsed, parsed_option, to_json, unix_millis};
use crate::error::DbError;

const TABLE: &str = "application";

pub(crate) fn put(db: &Connection, application: &Application) -> rusqlite::Result<usize> {
    db.prepare_cached(
        "/* application::put */
         INSERT INTO application (id, uid, name, rate_limit, metadata, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (id) DO UPDATE SET
             uid = excluded.uid,
             name = excluded.name,
             rate_limit = excluded.rate_limit,
             metadata = excluded.metadata,
             created_at = excluded.created_at,
             updated_at = excluded.updated_at",
    )?
    .execute(params![
        application.id.to_bytes(),
        application.uid.as_ref().map(|uid| uid.as_str()),
        application.name,
        application.rate_limit,
        to_json(application.metadata.entries()),
        millis(application.created_at),
        millis(application.updated_at),
    ])
}

pub(crate) fn all(db: &Connection) -> Result<Vec<Application>, DbError> {
    let mut statement = db.prepare_cached(
        "/* application::all */
         SELECT id, uid, name, rate_limit, metadata, created_at, updated_at FROM application ORDER BY id",
    )?;
    let mut rows = statement.query([])?;
    let mut applications = Vec::new();
    while let Some(row) = rows.next()? {
        applications.push(read(row)?);
    }
    Ok(applications)
}

fn read(row: &Row<'_>) -> Result<Application, DbError> {
    Ok(Application {
        id: ApplicationId::from_bytes(row.get(0)?),
        uid: parsed_option(TABLE, row.get::<_, Option<String>>(1)?.as_deref())?,
        name: row.get(2)?,
        rate_limit: row.get(3)?,
        metadata: metadata_from_json(TABLE, &row.get::<_, String>(4)?)?,
        created_at: unix_millis(row.get(5)?),
        updated_at: unix_millis(row.get(6)?),
    })
}

pub(crate) fn put_event_type(db: &Connection, definition: &EventTypeDefinition) -> rusqlite::Result<usize> {
    db.prepare_cached(
        "/* application::put_event_type */
         INSERT INTO event_type (name, description, schemas, archived, grouped_as, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (name) DO UPDATE SET
             description = excluded.description,
             schemas = excluded.schemas,
             archived = excluded.archived,
             grouped_as = excluded.grouped_as,
             created_at = excluded.created_at,
             updated_at = excluded.updated_at",
    )?
    .execute(params![
        definition.name.as_str(),
        definition.description,
        definition.schemas,
        definition.archived,
        definition.group.as_ref().map(|group| group.as_str()),
        millis(definition.created_at),
        millis(definition.updated_at),
    ])
}

pub(crate) fn all_event_types(db: &Connection) -> Result<Vec<EventTypeDefinition>, DbError> {
    let mut statement = db.prepare_cached(
        "/* application::all_event_types */
         SELECT name, description, schemas, archived, grouped_as, created_at, updated_at
         FROM event_type ORDER BY name",
    )?;
    let mut rows = statement.query([])?;
    let mut definitions = Vec::new();
    while let Some(row) = rows.next()? {
        definitions.push(EventTypeDefinition {
            name: parsed("event_type", &row.get::<_, String>(0)?)?,
            description: row.get(1)?,
            schemas: row.get(2)?,
            archived: row.get(3)?,
            group: parsed_option("event_type", row.get::<_, Option<String>>(4)?.as_deref())?,
            created_at: unix_millis(row.get(5)?),
            updated_at: unix_millis(row.get(6)?),
        });
    }
    Ok(definitions)
}
