//! The tables, as numbered migrations.
//!
//! - `event` and `delivery` share one line of numbers ([`NUMBER_STEP`] apart): an event takes a number and its
//!   deliveries take the following ones. So the unfinished deliveries of an event are a range of `delivery`'s key,
//!   and no index by event has to be kept up for each delivery. Redeliveries come later in the line; a small partial
//!   index finds them.
//! - `delivery` holds unfinished rows only. A finished one is deleted and leaves a row in `attempt`.
//! - `attempt` lies by event and id, which sort by time, and has one index by endpoint: each page of history is one walk
//!   of one tree, and each attempt is written into two.
//! - Secrets, and addresses of receivers, are in `endpoint.secrets`, `endpoint.composition`, `source.secrets`,
//!   `delivery.prepared_body`, `endpoint_address.url`, `attempt.url`, `attempt.trace` and `remembered_answer.body`, sealed;
//!   the row's id is the seal's context. `endpoint.url` has been empty since version 11.

use rusqlite::Connection;

use crate::error::OpenError;

/// The gap between neighbours in the line of numbers: room for the parts of a split delivery, which take the place
/// of the one that they come from.
pub(crate) const NUMBER_STEP: i64 = 32;

const _: () = assert!(
    hookmill_core::limits::TRANSFORM_REQUESTS_MAX < NUMBER_STEP as usize,
    "the parts of a split delivery fit into its gap"
);

/// `PRAGMA application_id` of our files: "HkMl".
pub(crate) const APPLICATION_ID: i32 = 0x486b_4d6c;

/// Each brings a database from the version of its index to the next one. Never edited once released, only appended.
const MIGRATIONS: [&str; 12] = [
    include_str!("schema/0001_initial.sql"),
    include_str!("schema/0002_source.sql"),
    include_str!("schema/0003_plugin_platform.sql"),
    include_str!("schema/0004_presets.sql"),
    include_str!("schema/0005_fewer_trees.sql"),
    include_str!("schema/0006_instance_reuse.sql"),
    include_str!("schema/0007_steady_time.sql"),
    include_str!("schema/0008_attempt_trace.sql"),
    include_str!("schema/0009_classified_answers.sql"),
    include_str!("schema/0010_background_task.sql"),
    include_str!("schema/0011_sealed_urls.sql"),
    include_str!("schema/0012_metrics_key.sql"),
];

/// The version that this program reads and writes.
pub(crate) const SCHEMA_VERSION: u32 = MIGRATIONS.len() as u32;

/// Brings the database to [`SCHEMA_VERSION`], in one transaction.
pub(crate) fn migrate(db: &mut Connection) -> Result<(), OpenError> {
    let application_id: i32 = pragma(db, "application_id")?;
    let version: u32 = pragma(db, "user_version")?;
    let tables: i64 = db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let is_new = application_id == 0 && version == 0 && tables == 0;
    if !is_new && application_id != APPLICATION_ID {
        return Err(OpenError::Foreign { application_id });
    }
    if version > SCHEMA_VERSION {
        return Err(OpenError::NewerSchema { found: version, known: SCHEMA_VERSION });
    }
    if version == SCHEMA_VERSION {
        return Ok(());
    }
    // An index is built of a sorted list, which for a long history is larger than memory.
    db.pragma_update(None, "temp_store", "FILE")?;
    let tx = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    for (done, migration) in MIGRATIONS.iter().enumerate().skip(version as usize) {
        if !is_new {
            tracing::info!(version = done + 1, "database is brought to the next schema version");
        }
        tx.execute_batch(migration)?;
    }
    tx.pragma_update(None, "application_id", APPLICATION_ID)?;
    tx.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    tx.commit()?;
    db.pragma_update(None, "temp_store", "MEMORY")?;
    Ok(())
}

/// An empty database as an earlier program left it.
#[cfg(test)]
pub(crate) fn create_version(db: &Connection, version: u32) -> rusqlite::Result<()> {
    for migration in &MIGRATIONS[..version as usize] {
        db.execute_batch(migration)?;
    }
    db.pragma_update(None, "application_id", APPLICATION_ID)?;
    db.pragma_update(None, "user_version", version)
}

fn pragma<T: rusqlite::types::FromSql>(db: &Connection, name: &str) -> Result<T, OpenError> {
    Ok(db.pragma_query_value(None, name, |row| row.get(0))?)
}
