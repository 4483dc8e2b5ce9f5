//! Rows of `plugin_bytes`, `plugin_version` and `plugin_current`.

use hookmill_core::plugin::{ComponentBytes, PluginDigest, PluginName, PluginVersion};
use rusqlite::{Connection, OptionalExtension, params};

use super::column::{integer, millis, parsed, unix_millis, unsigned};
use crate::error::DbError;

const TABLE: &str = "plugin_version";

pub(crate) fn put_version(
    db: &Connection,
    version: &PluginVersion,
    bytes: &ComponentBytes,
) -> rusqlite::Result<()> {
    db.prepare_cached(
        "/* plugin::put_version: bytes */
         INSERT INTO plugin_bytes (digest, bytes) VALUES (?1, ?2) ON CONFLICT (digest) DO NOTHING",
    )?
    .execute(params![version.digest.as_bytes(), bytes.as_ref()])?;
    db.prepare_cached(
        "/* plugin::put_version */
         INSERT INTO plugin_version (plugin, digest, size_bytes, created_at) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (plugin, digest) DO NOTHING",
    )?
    .execute(params![
        version.name.as_str(),
        version.digest.as_bytes(),
        integer(version.size_bytes),
        millis(version.created_at),
    ])?;
    Ok(())
}

/// Whether there is such a version to make current.
pub(crate) fn set_current(
    db: &Connection,
    name: &PluginName,
    digest: PluginDigest,
) -> rusqlite::Result<bool> {
    let rows = db
        .prepare_cached(
            "/* plugin::set_current */
             INSERT INTO plugin_current (plugin, digest)
             SELECT plugin, digest FROM plugin_version WHERE plugin = ?1 AND digest = ?2
             ON CONFLICT (plugin) DO UPDATE SET digest = excluded.digest",
        )?
        .execute(params![name.as_str(), digest.as_bytes()])?;
    Ok(rows == 1)
}

/// Removes a plugin, and the bytes that no other has.
pub(crate) fn delete(db: &Connection, name: &PluginName) -> rusqlite::Result<()> {
    for sql in [
        "/* plugin::delete: current */ DELETE FROM plugin_current WHERE plugin = ?1",
        "/* plugin::delete: versions */ DELETE FROM plugin_version WHERE plugin = ?1",
    ] {
        db.prepare_cached(sql)?.execute([name.as_str()])?;
    }
    db.prepare_cached(
        "/* plugin::delete: bytes */
         DELETE FROM plugin_bytes
         WHERE NOT EXISTS (SELECT 1 FROM plugin_version WHERE plugin_version.digest = plugin_bytes.digest)",
    )?
    .execute([])?;
    Ok(())
}

pub(crate) fn all_versions(db: &Connection) -> Result<Vec<PluginVersion>, DbError> {
    let mut statement = db.prepare_cached(
        "/* plugin::all_versions */
         SELECT plugin, digest, size_bytes, created_at FROM plugin_version ORDER BY number",
    )?;
    let mut rows = statement.query([])?;
    let mut versions = Vec::new();
    while let Some(row) = rows.next()? {
        versions.push(PluginVersion {
            name: parsed(TABLE, &row.get::<_, String>(0)?)?,
            digest: PluginDigest::from_bytes(row.get(1)?),
            size_bytes: unsigned(row.get(2)?),
            created_at: unix_millis(row.get(3)?),
        });
    }
    Ok(versions)
}

pub(crate) fn all_current(db: &Connection) -> Result<Vec<(PluginName, PluginDigest)>, DbError> {
    let mut statement = db.prepare_cached(
        "/* plugin::all_current */
         SELECT plugin, digest FROM plugin_current ORDER BY plugin",
    )?;
    let mut rows = statement.query([])?;
    let mut current = Vec::new();
    while let Some(row) = rows.next()? {
        current.push((parsed(TABLE, &row.get::<_, String>(0)?)?, PluginDigest::from_bytes(row.get(1)?)));
    }
    Ok(current)
}

pub(crate) fn bytes(db: &Connection, digest: PluginDigest) -> Result<Option<ComponentBytes>, DbError> {
    let bytes: Option<Vec<u8>> = db
        .prepare_cached(
            "/* plugin::bytes */
             SELECT bytes FROM plugin_bytes WHERE digest = ?1",
        )?
        .query_row([digest.as_bytes()], |row| row.get(0))
        .optional()?;
    Ok(bytes.map(ComponentBytes::from))
}
