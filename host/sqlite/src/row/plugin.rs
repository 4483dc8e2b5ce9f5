//! Rows of `plugin_bytes`, `plugin_version`, `plugin_current` and `plugin_canary`.

use bytes::Bytes;
use hookmill_core::canary::{Canary, CanaryPercent};
use hookmill_core::plugin::{ComponentBytes, PluginDigest, PluginInterface, PluginName, PluginVersion};
use rusqlite::{Connection, OptionalExtension, params};

use super::column::{from_json, integer, millis, parsed, to_json, unix_millis, unsigned};
use crate::error::DbError;

const TABLE: &str = "plugin_version";

pub(crate) fn put_version(
    db: &Connection,
    version: &PluginVersion,
    bytes: &ComponentBytes,
    interface: &PluginInterface,
) -> rusqlite::Result<()> {
    db.prepare_cached(
        "/* plugin::put_version: bytes */
         INSERT INTO plugin_bytes (digest, bytes, imports, manifest) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (digest) DO NOTHING",
    )?
    .execute(params![
        version.digest.as_bytes(),
        bytes.as_ref(),
        to_json(&interface.imports),
        interface.manifest.as_deref(),
    ])?;
    db.prepare_cached(
        "/* plugin::put_version */
         INSERT INTO plugin_version (
             plugin, digest, size_bytes, created_at, world, label, description, uploaded_by, answers
         ) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
         ON CONFLICT (plugin, digest) DO NOTHING",
    )?
    .execute(params![
        version.name.as_str(),
        version.digest.as_bytes(),
        integer(version.size_bytes),
        millis(version.created_at),
        version.world.as_str(),
        &version.label,
        &version.description,
        &version.uploaded_by,
        version.answers.as_str(),
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
        "/* plugin::delete: canary */ DELETE FROM plugin_canary WHERE plugin = ?1",
        "/* plugin::delete: current */ DELETE FROM plugin_current WHERE plugin = ?1",
        "/* plugin::delete: versions */ DELETE FROM plugin_version WHERE plugin = ?1",
    ] {
        db.prepare_cached(sql)?.execute([name.as_str()])?;
    }
    delete_unused_bytes(db)
}

/// Removes a version, and its bytes where no other plugin has them.
pub(crate) fn delete_version(
    db: &Connection,
    name: &PluginName,
    digest: PluginDigest,
) -> rusqlite::Result<()> {
    db.prepare_cached(
        "/* plugin::delete_version */ DELETE FROM plugin_version WHERE plugin = ?1 AND digest = ?2",
    )?
    .execute(params![name.as_str(), digest.as_bytes()])?;
    delete_unused_bytes(db)
}

/// Whether there is such a version to put on trial.
pub(crate) fn set_canary(
    db: &Connection,
    name: &PluginName,
    canary: Option<Canary>,
) -> rusqlite::Result<bool> {
    let Some(canary) = canary else {
        db.prepare_cached("/* plugin::set_canary: none */ DELETE FROM plugin_canary WHERE plugin = ?1")?
            .execute([name.as_str()])?;
        return Ok(true);
    };
    let rows = db
        .prepare_cached(
            "/* plugin::set_canary */
             INSERT INTO plugin_canary (plugin, digest, percent)
             SELECT plugin, digest, ?3 FROM plugin_version WHERE plugin = ?1 AND digest = ?2
             ON CONFLICT (plugin) DO UPDATE SET digest = excluded.digest, percent = excluded.percent",
        )?
        .execute(params![name.as_str(), canary.digest.as_bytes(), canary.percent.get()])?;
    Ok(rows == 1)
}

fn delete_unused_bytes(db: &Connection) -> rusqlite::Result<()> {
    db.prepare_cached(
        "/* plugin::delete_unused_bytes */
         DELETE FROM plugin_bytes
         WHERE NOT EXISTS (SELECT 1 FROM plugin_version WHERE plugin_version.digest = plugin_bytes.digest)",
    )?
    .execute([])?;
    Ok(())
}

pub(crate) fn all_versions(db: &Connection) -> Result<Vec<PluginVersion>, DbError> {
    let mut statement = db.prepare_cached(
        "/* plugin::all_versions */
         SELECT plugin, digest, size_bytes, created_at, world, label, description, uploaded_by,
             answers
         FROM plugin_version ORDER BY number",
    )?;
    let mut rows = statement.query([])?;
    let mut versions = Vec::new();
    while let Some(row) = rows.next()? {
        versions.push(PluginVersion {
            name: parsed(TABLE, &row.get::<_, String>(0)?)?,
            digest: PluginDigest::from_bytes(row.get(1)?),
            size_bytes: unsigned(row.get(2)?),
            created_at: unix_millis(row.get(3)?),
            world: parsed(TABLE, &row.get::<_, String>(4)?)?,
            label: row.get(5)?,
            description: row.get(6)?,
            uploaded_by: row.get(7)?,
            answers: parsed(TABLE, &row.get::<_, String>(8)?)?,
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

pub(crate) fn all_canaries(db: &Connection) -> Result<Vec<(PluginName, Canary)>, DbError> {
    let mut statement = db.prepare_cached(
        "/* plugin::all_canaries */
         SELECT plugin, digest, percent FROM plugin_canary ORDER BY plugin",
    )?;
    let mut rows = statement.query([])?;
    let mut canaries = Vec::new();
    while let Some(row) = rows.next()? {
        let percent = CanaryPercent::try_from(unsigned(row.get(2)?))
            .map_err(|error| DbError::row("plugin_canary", error))?;
        let canary = Canary { digest: PluginDigest::from_bytes(row.get(1)?), percent };
        canaries.push((parsed("plugin_canary", &row.get::<_, String>(0)?)?, canary));
    }
    Ok(canaries)
}

pub(crate) fn interface(db: &Connection, digest: PluginDigest) -> Result<Option<PluginInterface>, DbError> {
    let stored: Option<(String, Option<Vec<u8>>)> = db
        .prepare_cached(
            "/* plugin::interface */
             SELECT imports, manifest FROM plugin_bytes WHERE digest = ?1",
        )?
        .query_row([digest.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((imports, manifest)) = stored else { return Ok(None) };
    Ok(Some(PluginInterface {
        imports: from_json("plugin_bytes", &imports)?,
        manifest: manifest.map(Bytes::from),
    }))
}
