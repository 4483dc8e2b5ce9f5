//! Rows of `api_key`.

use hookmill_core::id::{ApplicationId, KeyId};
use hookmill_core::key::{ApiKey, KeyHash, Scope};
use rusqlite::{Connection, params};

use super::column::{millis, unix_millis};
use crate::error::DbError;

pub(crate) fn put(db: &Connection, key: &ApiKey) -> rusqlite::Result<usize> {
    let (scope, application) = match key.scope {
        Scope::Admin => ("admin", None),
        Scope::Application(application) => ("application", Some(application)),
        Scope::Ingest(application) => ("ingest", Some(application)),
        Scope::Metrics => ("metrics", None),
    };
    db.prepare_cached(
        "/* key::put */
         INSERT INTO api_key (id, hash, scope, application, label, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (id) DO UPDATE SET
             hash = excluded.hash,
             scope = excluded.scope,
             application = excluded.application,
             label = excluded.label,
             created_at = excluded.created_at",
    )?
    .execute(params![
        key.id.to_bytes(),
        key.hash.as_bytes(),
        scope,
        application.map(ApplicationId::to_bytes),
        key.label,
        millis(key.created_at),
    ])
}

pub(crate) fn all(db: &Connection) -> Result<Vec<ApiKey>, DbError> {
    let mut statement = db.prepare_cached(
        "/* key::all */
         SELECT id, hash, scope, application, label, created_at FROM api_key ORDER BY id",
    )?;
    let mut rows = statement.query([])?;
    let mut keys = Vec::new();
    while let Some(row) = rows.next()? {
        let scope: String = row.get(2)?;
        let application = row.get::<_, Option<[u8; 16]>>(3)?.map(ApplicationId::from_bytes);
        keys.push(ApiKey {
            id: KeyId::from_bytes(row.get(0)?),
            hash: KeyHash::from_bytes(row.get(1)?),
            scope: read_scope(&scope, application)?,
            label: row.get(4)?,
            created_at: unix_millis(row.get(5)?),
        });
    }
    Ok(keys)
}

fn read_scope(scope: &str, application: Option<ApplicationId>) -> Result<Scope, DbError> {
    match (scope, application) {
        ("admin", None) => Ok(Scope::Admin),
        ("metrics", None) => Ok(Scope::Metrics),
        ("application", Some(application)) => Ok(Scope::Application(application)),
        ("ingest", Some(application)) => Ok(Scope::Ingest(application)),
        _ => Err(DbError::row("api_key", format!("unknown scope {scope:?}"))),
    }
}
