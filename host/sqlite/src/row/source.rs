//! Rows of `source`, with their secrets sealed.

use std::fmt::Display;
use std::sync::Arc;

use hookmill_core::id::{ApplicationId, SourceId};
use hookmill_core::inbound::{
    Algorithm, Dedupe, Encoding, HmacScheme, RawHmacScheme, TimestampUnit, Verifier,
};
use hookmill_core::plugin::{BoundSecrets, PluginBinding, PluginDigest, PluginName, Secret};
use hookmill_core::signature::{EarlierKey, RotatingKeys};
use hookmill_core::source::{
    EventTypeFrom, Intake, PublicUrl, ReplayWindow, Source, SourceState, SuccessStatus, Verification,
};
use hookmill_core::time::UnixMillis;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use super::bound_secrets::{StoredBoundSecrets, read_secret, secret_text};
use super::column::{from_json, integer, millis, parsed, parsed_option, to_json, unix_millis, unsigned};
use super::endpoint::Sealer;
use crate::error::DbError;

const TABLE: &str = "source";

#[derive(Serialize, Deserialize)]
#[serde(tag = "version")]
enum StoredScheme {
    #[serde(rename = "1")]
    V1 {
        header: String,
        algorithm: String,
        encoding: String,
        prefix: String,
        input: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        timestamp: Option<(String, String)>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id_header: Option<String>,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "version")]
enum StoredSecrets {
    #[serde(rename = "1")]
    V1 {
        current: Option<String>,
        earlier: Vec<(String, u64)>,
        plugin: StoredBoundSecrets,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        verify_token: Option<String>,
    },
}

impl Drop for StoredSecrets {
    fn drop(&mut self) {
        let Self::V1 { current, earlier, plugin: _, verify_token } = self;
        current.zeroize();
        verify_token.zeroize();
        earlier.iter_mut().for_each(|(secret, _)| secret.zeroize());
    }
}

pub(crate) fn put(db: &Connection, sealer: &Sealer, source: &Source) -> rusqlite::Result<usize> {
    let (event_type, plugin) = match &source.intake {
        Intake::AsItIs(from) => (Some(event_type_text(from)), None),
        Intake::Plugin(plugin) => (None, Some(plugin)),
    };
    let verifier = source.verification.verifier();
    db.prepare_cached(
        "/* source::put */
         INSERT INTO source (
             id, name, application, description, enabled, verifier, scheme, secrets, public_url, replay_window_secs,
             dedupe, success_status, event_type, plugin, plugin_pinned, plugin_settings, created_at, updated_at
         ) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)
         ON CONFLICT (id) DO UPDATE SET
             name = excluded.name,
             application = excluded.application,
             description = excluded.description,
             enabled = excluded.enabled,
             verifier = excluded.verifier,
             scheme = excluded.scheme,
             secrets = excluded.secrets,
             public_url = excluded.public_url,
             replay_window_secs = excluded.replay_window_secs,
             dedupe = excluded.dedupe,
             success_status = excluded.success_status,
             event_type = excluded.event_type,
             plugin = excluded.plugin,
             plugin_pinned = excluded.plugin_pinned,
             plugin_settings = excluded.plugin_settings,
             created_at = excluded.created_at,
             updated_at = excluded.updated_at",
    )?
    .execute(params![
        source.id.to_bytes(),
        source.name.as_str(),
        source.application.to_bytes(),
        source.description,
        source.state == SourceState::Enabled,
        verifier.map(Verifier::code),
        verifier.and_then(scheme_to_json),
        seal(sealer, source),
        source.public_url.as_ref().map(PublicUrl::as_str),
        integer(source.replay_window.get().as_secs()),
        dedupe_text(&source.dedupe),
        source.success.get().as_u16(),
        event_type,
        plugin.map(|used| used.plugin.as_str()),
        plugin.and_then(|used| used.pinned.as_ref()).map(PluginDigest::as_bytes),
        plugin.map(|used| &*used.settings),
        millis(source.created_at),
        millis(source.updated_at),
    ])
}

pub(crate) fn all(db: &Connection, sealer: &Sealer) -> Result<Vec<Source>, DbError> {
    let mut statement = db.prepare_cached(
        "/* source::all */
         SELECT id, name, application, description, enabled, verifier, scheme, secrets, public_url, replay_window_secs,
             dedupe, success_status, event_type, plugin, plugin_pinned, plugin_settings, created_at, updated_at
         FROM source ORDER BY id",
    )?;
    let mut rows = statement.query([])?;
    let mut sources = Vec::new();
    while let Some(row) = rows.next()? {
        sources.push(read(row, sealer)?);
    }
    Ok(sources)
}

/// Whether the key opens the secrets of the first source, if there is one.
pub(crate) fn first_opens(db: &Connection, sealer: &Sealer) -> Result<Option<bool>, DbError> {
    let first: Option<([u8; 16], Vec<u8>)> = db
        .query_row("/* source::first_opens */ SELECT id, secrets FROM source LIMIT 1", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    Ok(first.map(|(id, sealed)| sealer.key.open(&seal_context(SourceId::from_bytes(id)), &sealed).is_ok()))
}

fn read(row: &Row<'_>, sealer: &Sealer) -> Result<Source, DbError> {
    let id = SourceId::from_bytes(row.get(0)?);
    let Opened { secrets, plugin: plugin_secrets, verify_token } =
        open(sealer, id, &row.get::<_, Vec<u8>>(7)?)?;
    let is_enabled: bool = row.get(4)?;
    let verifier = read_verifier(row)?;
    Ok(Source {
        id,
        name: parsed(TABLE, &row.get::<_, String>(1)?)?,
        application: ApplicationId::from_bytes(row.get(2)?),
        description: row.get(3)?,
        state: if is_enabled { SourceState::Enabled } else { SourceState::Disabled },
        verification: match (verifier, secrets) {
            (None, None) => Verification::None,
            (Some(verifier), Some(secrets)) => Verification::Signed { verifier, secrets },
            (None, Some(_)) | (Some(_), None) => {
                return Err(DbError::row(TABLE, format!("{id}: a verifier and its secrets go together")));
            }
        },
        verify_token,
        public_url: parsed_option(TABLE, row.get::<_, Option<String>>(8)?.as_deref())?,
        replay_window: ReplayWindow::from_secs(unsigned(row.get(9)?)).map_err(wrong)?,
        dedupe: read_dedupe(&row.get::<_, String>(10)?)?,
        success: SuccessStatus::new(row.get(11)?).map_err(wrong)?,
        intake: read_intake(row, plugin_secrets)?,
        created_at: unix_millis(row.get(16)?),
        updated_at: unix_millis(row.get(17)?),
    })
}

fn read_verifier(row: &Row<'_>) -> Result<Option<Verifier>, DbError> {
    let code: Option<String> = row.get(5)?;
    match (code, row.get::<_, Option<String>>(6)?) {
        (None, _) => Ok(None),
        (Some(_), Some(scheme)) => {
            scheme_from_json(&scheme).map(|scheme| Some(Verifier::Hmac(Box::new(scheme))))
        }
        (Some(code), None) => {
            let verifier = Verifier::of_provider(&code);
            verifier.map(Some).ok_or_else(|| wrong(format!("unknown verifier {code:?}")))
        }
    }
}

fn read_intake(row: &Row<'_>, secrets: BoundSecrets) -> Result<Intake, DbError> {
    let plugin: Option<PluginName> = parsed_option(TABLE, row.get::<_, Option<String>>(13)?.as_deref())?;
    let Some(plugin) = plugin else {
        return read_event_type(&row.get::<_, String>(12)?).map(Intake::AsItIs);
    };
    Ok(Intake::Plugin(PluginBinding {
        plugin,
        pinned: row.get::<_, Option<[u8; 32]>>(14)?.map(PluginDigest::from_bytes),
        settings: row.get::<_, String>(15)?.into(),
        secrets: Arc::new(secrets),
    }))
}

fn scheme_to_json(verifier: &Verifier) -> Option<String> {
    let Verifier::Hmac(scheme) = verifier else { return None };
    let raw = scheme.raw();
    Some(to_json(&StoredScheme::V1 {
        header: raw.header,
        algorithm: raw.algorithm.code().to_owned(),
        encoding: raw.encoding.code().to_owned(),
        prefix: raw.prefix,
        input: raw.input,
        timestamp: raw.timestamp.map(|(header, unit)| (header, unit.code().to_owned())),
        id_header: raw.id_header,
    }))
}

fn scheme_from_json(json: &str) -> Result<HmacScheme, DbError> {
    let StoredScheme::V1 { header, algorithm, encoding, prefix, input, timestamp, id_header } =
        from_json(TABLE, json)?;
    let unknown = |code: &str| wrong(format!("unknown {code:?} in a scheme"));
    let timestamp = match timestamp {
        None => None,
        Some((header, unit)) => {
            let unit = TimestampUnit::from_code(&unit).ok_or_else(|| unknown(&unit))?;
            Some((header, unit))
        }
    };
    let raw = RawHmacScheme {
        header,
        algorithm: Algorithm::from_code(&algorithm).ok_or_else(|| unknown(&algorithm))?,
        encoding: Encoding::from_code(&encoding).ok_or_else(|| unknown(&encoding))?,
        prefix,
        input,
        timestamp,
        id_header,
    };
    HmacScheme::parse(&raw).map_err(wrong)
}

fn dedupe_text(dedupe: &Dedupe) -> String {
    match dedupe {
        Dedupe::Provider => "provider".to_owned(),
        Dedupe::Off => "off".to_owned(),
        Dedupe::Header(name) => format!("header:{name}"),
        Dedupe::Pointer(pointer) => format!("pointer:{pointer}"),
    }
}

fn read_dedupe(text: &str) -> Result<Dedupe, DbError> {
    match text.split_once(':') {
        None if text == "provider" => Ok(Dedupe::Provider),
        None if text == "off" => Ok(Dedupe::Off),
        Some(("header", name)) => parsed(TABLE, name).map(Dedupe::Header),
        Some(("pointer", pointer)) => parsed(TABLE, pointer).map(Dedupe::Pointer),
        None | Some(_) => Err(wrong(format!("unknown deduplication {text:?}"))),
    }
}

fn event_type_text(from: &EventTypeFrom) -> String {
    match from {
        EventTypeFrom::Source => "source".to_owned(),
        EventTypeFrom::Constant(name) => format!("constant:{name}"),
        EventTypeFrom::Header(name) => format!("header:{name}"),
        EventTypeFrom::Pointer(pointer) => format!("pointer:{pointer}"),
    }
}

fn read_event_type(text: &str) -> Result<EventTypeFrom, DbError> {
    match text.split_once(':') {
        None if text == "source" => Ok(EventTypeFrom::Source),
        Some(("constant", name)) => parsed(TABLE, name).map(EventTypeFrom::Constant),
        Some(("header", name)) => parsed(TABLE, name).map(EventTypeFrom::Header),
        Some(("pointer", pointer)) => parsed(TABLE, pointer).map(EventTypeFrom::Pointer),
        None | Some(_) => Err(wrong(format!("unknown event type {text:?}"))),
    }
}

fn seal(sealer: &Sealer, source: &Source) -> Vec<u8> {
    let (current, earlier) = match &source.verification {
        Verification::None => (None, Vec::new()),
        Verification::Signed { secrets, .. } => {
            let earlier = secrets.earlier().iter();
            let earlier = earlier.map(|earlier| (secret_text(&earlier.key), earlier.expires_at.0));
            (Some(secret_text(secrets.current())), earlier.collect())
        }
    };
    let plugin = match &source.intake {
        Intake::AsItIs(_) => StoredBoundSecrets::default(),
        Intake::Plugin(used) => StoredBoundSecrets::of(&used.secrets),
    };
    let verify_token = source.verify_token.as_ref().map(secret_text);
    let plain = Zeroizing::new(to_json(&StoredSecrets::V1 { current, earlier, plugin, verify_token }));
    sealer.seal_bytes(&seal_context(source.id), plain.as_bytes())
}

/// All secrets of a source.
struct Opened {
    secrets: Option<RotatingKeys<Secret>>,
    plugin: BoundSecrets,
    verify_token: Option<Secret>,
}

fn open(sealer: &Sealer, id: SourceId, sealed: &[u8]) -> Result<Opened, DbError> {
    let wrong = |error: &dyn Display| wrong(format!("{id}: {error}"));
    let plain = sealer.key.open(&seal_context(id), sealed).map_err(|error| wrong(&error))?;
    let secrets: StoredSecrets = serde_json::from_slice(&plain).map_err(|error| wrong(&error))?;
    let StoredSecrets::V1 { current, earlier, plugin, verify_token } = &secrets;
    let mut earlier_secrets = Vec::with_capacity(earlier.len());
    for (secret, expires_at) in earlier {
        earlier_secrets
            .push(EarlierKey { key: read_secret(TABLE, secret)?, expires_at: UnixMillis(*expires_at) });
    }
    let keys = match current {
        None => None,
        Some(current) => {
            let keys = RotatingKeys::restore(read_secret(TABLE, current)?, earlier_secrets);
            Some(keys.map_err(|error| wrong(&error))?)
        }
    };
    let verify_token = verify_token.as_deref().map(|token| read_secret(TABLE, token)).transpose()?;
    Ok(Opened { secrets: keys, plugin: plugin.read(TABLE)?, verify_token })
}

/// A sealed secret opens in its own row only.
fn seal_context(id: SourceId) -> Vec<u8> {
    [b"source.secrets ".as_slice(), &id.to_bytes()].concat()
}

fn wrong(error: impl Display) -> DbError {
    DbError::row(TABLE, error)
}
