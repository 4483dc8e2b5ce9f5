//! Rows of `endpoint`, with their secrets sealed.
//!
//! Custom headers are secrets as well: they carry tokens of the receivers.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use hookmill_core::address::{DeliveryUrl, Origin};
use hookmill_core::delivery::OnTransformFailure;
use hookmill_core::endpoint::{
    CustomHeaders, DisabledReason, Endpoint, EndpointState, Filter, Transformation,
};
use hookmill_core::event::Name;
use hookmill_core::handshake::HandshakeMethod;
use hookmill_core::id::{ApplicationId, EndpointId};
use hookmill_core::pattern::EventPattern;
use hookmill_core::plugin::{
    BoundSecrets, InstancePolicy, PluginBinding, PluginDigest, PluginName, PluginUse,
};
use hookmill_core::port::Entropy;
use hookmill_core::seal::SealKey;
use hookmill_core::signature::{EarlierKey, SigningKey, SigningKeys};
use hookmill_core::time::UnixMillis;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use super::bound_secrets::StoredBoundSecrets;
use super::column::{
    HeaderList, from_json, header_bytes, header_list, metadata_from_json, millis, parsed, parsed_option,
    to_json, unix_millis,
};
use super::composition;
use super::policy::{policy_from_json, policy_to_json};
use crate::error::DbError;

const TABLE: &str = "endpoint";

/// Seals and opens the secrets of rows.
#[derive(Clone)]
pub(crate) struct Sealer {
    pub(crate) key: SealKey,
    pub(crate) entropy: Arc<dyn Entropy>,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "version")]
enum StoredFilter {
    #[serde(rename = "1")]
    V1 {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        event_types: Option<Vec<String>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        channels: Option<Vec<String>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pattern: Option<String>,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "version")]
enum StoredSecrets {
    #[serde(rename = "1")]
    V1 {
        current: String,
        earlier: Vec<StoredEarlierKey>,
        headers: HeaderList,
        /// Before version 8 it was in a column, in the clear.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        url: Option<String>,
        #[serde(default, skip_serializing_if = "StoredBoundSecrets::is_empty")]
        plugin: StoredBoundSecrets,
        /// Origins that its requests may go to, which are as secret as the endpoint's URL.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        plugin_origins: Vec<String>,
        #[serde(default, skip_serializing_if = "StoredBoundSecrets::is_empty")]
        classifier: StoredBoundSecrets,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "version")]
enum StoredBinding {
    #[serde(rename = "1")]
    V1 { plugin: String, pinned: Option<String>, settings: String },
}

const OPERATOR: &str = "operator";
const GONE: &str = "gone";

/// A state as its columns hold it: at most one of them is there.
#[derive(Default)]
struct StateColumns {
    disabled: Option<(&'static str, i64)>,
    failed_since: Option<i64>,
    unverified_since: Option<i64>,
}

impl StateColumns {
    fn of(state: EndpointState) -> Self {
        let none = Self::default();
        match state {
            EndpointState::Enabled => none,
            EndpointState::Failed { since } => Self { failed_since: Some(millis(since)), ..none },
            EndpointState::Disabled { reason: DisabledReason::Unverified, since } => {
                Self { unverified_since: Some(millis(since)), ..none }
            }
            EndpointState::Disabled { reason: DisabledReason::Operator, since } => {
                Self { disabled: Some((OPERATOR, millis(since))), ..none }
            }
            EndpointState::Disabled { reason: DisabledReason::Gone, since } => {
                Self { disabled: Some((GONE, millis(since))), ..none }
            }
        }
    }
}

/// What a row's sealed text holds.
struct Secrets {
    url: Option<DeliveryUrl>,
    signing: SigningKeys,
    headers: CustomHeaders,
    plugin: BoundSecrets,
    plugin_origins: Vec<Origin>,
    classifier: BoundSecrets,
}

#[derive(Serialize, Deserialize)]
struct StoredEarlierKey {
    key: String,
    expires_at: u64,
}

impl Drop for StoredSecrets {
    fn drop(&mut self) {
        let Self::V1 { current, earlier, headers, url, .. } = self;
        current.zeroize();
        url.zeroize();
        for earlier in earlier {
            earlier.key.zeroize();
        }
        for (_, value) in headers {
            value.zeroize();
        }
    }
}

pub(crate) fn put(db: &Connection, sealer: &Sealer, endpoint: &Endpoint) -> rusqlite::Result<usize> {
    let state = StateColumns::of(endpoint.state);
    let plugin = endpoint.transformation.configured();
    db.prepare_cached(
        "/* endpoint::put */
         INSERT INTO endpoint (
             id, application, uid, url, description, filter, disabled_reason, disabled_since, metadata, secrets,
             plugin, plugin_enabled, plugin_pinned, plugin_settings, plugin_on_failure, policy, created_at, updated_at,
             classifier, failed_since, unverified_since, composition, verification, plugin_instance
         ) VALUES (
             ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22,
             ?23, ?24
         )
         ON CONFLICT (id) DO UPDATE SET
             application = excluded.application,
             uid = excluded.uid,
             url = excluded.url,
             description = excluded.description,
             filter = excluded.filter,
             disabled_reason = excluded.disabled_reason,
             disabled_since = excluded.disabled_since,
             metadata = excluded.metadata,
             secrets = excluded.secrets,
             plugin = excluded.plugin,
             plugin_enabled = excluded.plugin_enabled,
             plugin_pinned = excluded.plugin_pinned,
             plugin_settings = excluded.plugin_settings,
             plugin_on_failure = excluded.plugin_on_failure,
             policy = excluded.policy,
             created_at = excluded.created_at,
             updated_at = excluded.updated_at,
             classifier = excluded.classifier,
             failed_since = excluded.failed_since,
             unverified_since = excluded.unverified_since,
             composition = excluded.composition,
             verification = excluded.verification,
             plugin_instance = excluded.plugin_instance",
    )?
    .execute(params![
        endpoint.id.to_bytes(),
        endpoint.application.to_bytes(),
        endpoint.uid.as_ref().map(Name::as_str),
        "",
        endpoint.description,
        filter_to_json(&endpoint.filter),
        state.disabled.map(|(reason, _)| reason),
        state.disabled.map(|(_, since)| since),
        to_json(endpoint.metadata.entries()),
        sealer.seal(endpoint),
        plugin.map(|plugin| plugin.binding.plugin.as_str()),
        plugin.map(|_| endpoint.transformation.active().is_some()),
        plugin.and_then(|plugin| plugin.binding.pinned.as_ref()).map(PluginDigest::as_bytes),
        plugin.map(|plugin| &*plugin.binding.settings),
        plugin.map(|plugin| plugin.on_failure.code()),
        policy_to_json(&endpoint.policy),
        millis(endpoint.created_at),
        millis(endpoint.updated_at),
        endpoint.classifier.as_deref().map(binding_to_json),
        state.failed_since,
        state.unverified_since,
        endpoint
            .transformation
            .composition()
            .map(|composition| composition::seal(sealer, endpoint.id, composition)),
        endpoint.verification.map(HandshakeMethod::code),
        plugin.map(|plugin| plugin.instance).unwrap_or_default().code(),
    ])
}

pub(crate) fn all(db: &Connection, sealer: &Sealer) -> Result<Vec<Arc<Endpoint>>, DbError> {
    let mut statement = db.prepare_cached(
        "/* endpoint::all */
         SELECT id, application, uid, url, description, filter, disabled_reason, disabled_since, metadata, secrets,
             plugin, plugin_enabled, plugin_pinned, plugin_settings, plugin_on_failure, policy, created_at, updated_at,
             classifier, failed_since, unverified_since, composition, verification, plugin_instance
         FROM endpoint ORDER BY id",
    )?;
    let mut rows = statement.query([])?;
    let mut endpoints = Vec::new();
    while let Some(row) = rows.next()? {
        endpoints.push(Arc::new(read(row, sealer)?));
    }
    Ok(endpoints)
}

/// Seals addresses that earlier versions kept in the clear; answers how many.
pub(crate) fn seal_urls(db: &Connection, sealer: &Sealer) -> Result<u64, DbError> {
    let clear: i64 =
        db.query_row("/* endpoint::seal_urls */ SELECT count(*) FROM endpoint WHERE url <> ''", [], |row| {
            row.get(0)
        })?;
    if clear == 0 {
        return Ok(0);
    }
    let endpoints = all(db, sealer)?;
    for endpoint in &endpoints {
        put(db, sealer, endpoint)?;
    }
    Ok(endpoints.len() as u64)
}

/// Whether the key opens the secrets of the first endpoint, if there is one.
pub(crate) fn first_opens(db: &Connection, sealer: &Sealer) -> Result<Option<bool>, DbError> {
    let first: Option<([u8; 16], Vec<u8>)> = db
        .query_row("/* endpoint::first_opens */ SELECT id, secrets FROM endpoint LIMIT 1", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    Ok(first.map(|(id, sealed)| sealer.key.open(&seal_context(EndpointId::from_bytes(id)), &sealed).is_ok()))
}

fn read(row: &Row<'_>, sealer: &Sealer) -> Result<Endpoint, DbError> {
    let id = EndpointId::from_bytes(row.get(0)?);
    let secrets = sealer.open(id, &row.get::<_, Vec<u8>>(9)?)?;
    Ok(Endpoint {
        id,
        application: ApplicationId::from_bytes(row.get(1)?),
        uid: parsed_option(TABLE, row.get::<_, Option<String>>(2)?.as_deref())?,
        url: match secrets.url {
            Some(url) => url,
            None => {
                DeliveryUrl::parse(&row.get::<_, String>(3)?).map_err(|error| DbError::row(TABLE, error))?
            }
        },
        description: row.get(4)?,
        filter: filter_from_json(&row.get::<_, String>(5)?)?,
        state: read_state(row)?,
        verification: read_verification(row)?,
        headers: secrets.headers,
        metadata: metadata_from_json(TABLE, &row.get::<_, String>(8)?)?,
        signing: secrets.signing,
        transformation: read_transformation(row, sealer, (secrets.plugin, secrets.plugin_origins))?,
        classifier: read_classifier(row, secrets.classifier)?,
        policy: policy_from_json(&row.get::<_, String>(15)?)?,
        created_at: unix_millis(row.get(16)?),
        updated_at: unix_millis(row.get(17)?),
    })
}

fn read_state(row: &Row<'_>) -> Result<EndpointState, DbError> {
    let disabled = row.get::<_, Option<String>>(6)?.zip(row.get::<_, Option<i64>>(7)?);
    let since = |column: usize| Ok::<_, DbError>(row.get::<_, Option<i64>>(column)?.map(unix_millis));
    if let Some((code, since)) = disabled {
        let reason = match code.as_str() {
            OPERATOR => DisabledReason::Operator,
            GONE => DisabledReason::Gone,
            _ => return Err(DbError::row(TABLE, format!("unknown reason {code:?}"))),
        };
        return Ok(EndpointState::Disabled { reason, since: unix_millis(since) });
    }
    if let Some(since) = since(20)? {
        return Ok(EndpointState::Disabled { reason: DisabledReason::Unverified, since });
    }
    Ok(since(19)?.map_or(EndpointState::Enabled, |since| EndpointState::Failed { since }))
}

fn read_verification(row: &Row<'_>) -> Result<Option<HandshakeMethod>, DbError> {
    let Some(code) = row.get::<_, Option<String>>(22)? else { return Ok(None) };
    let known = HandshakeMethod::from_code(&code);
    known.map(Some).ok_or_else(|| DbError::row(TABLE, format!("unknown verification {code:?}")))
}

fn read_transformation(
    row: &Row<'_>,
    sealer: &Sealer,
    (secrets, allowed_origins): (BoundSecrets, Vec<Origin>),
) -> Result<Transformation, DbError> {
    if let Some(sealed) = row.get::<_, Option<Vec<u8>>>(21)? {
        let id = EndpointId::from_bytes(row.get(0)?);
        return Ok(Transformation::Composed(Box::new(composition::open(sealer, id, &sealed)?)));
    }
    let plugin: Option<PluginName> = parsed_option(TABLE, row.get::<_, Option<String>>(10)?.as_deref())?;
    let Some(plugin) = plugin else { return Ok(Transformation::None) };
    let on_failure: String = row.get(14)?;
    let instance: String = row.get(23)?;
    let used = PluginUse {
        binding: PluginBinding {
            plugin,
            pinned: row.get::<_, Option<[u8; 32]>>(12)?.map(PluginDigest::from_bytes),
            settings: row.get(13)?,
            secrets: Arc::new(secrets),
        },
        on_failure: OnTransformFailure::from_code(&on_failure)
            .ok_or_else(|| DbError::row(TABLE, format!("unknown failure policy {on_failure:?}")))?,
        instance: InstancePolicy::from_code(&instance)
            .ok_or_else(|| DbError::row(TABLE, format!("unknown instance policy {instance:?}")))?,
        allowed_origins,
    };
    let is_enabled: bool = row.get(11)?;
    let used = Box::new(used);
    Ok(if is_enabled { Transformation::Plugin(used) } else { Transformation::Disabled(used) })
}

fn read_classifier(row: &Row<'_>, secrets: BoundSecrets) -> Result<Option<Box<PluginBinding>>, DbError> {
    let Some(json) = row.get::<_, Option<String>>(18)? else { return Ok(None) };
    let StoredBinding::V1 { plugin, pinned, settings } = from_json(TABLE, &json)?;
    Ok(Some(Box::new(PluginBinding {
        plugin: parsed(TABLE, &plugin)?,
        pinned: parsed_option(TABLE, pinned.as_deref())?,
        settings: settings.into(),
        secrets: Arc::new(secrets),
    })))
}

fn binding_to_json(binding: &PluginBinding) -> String {
    to_json(&StoredBinding::V1 {
        plugin: binding.plugin.to_string(),
        pinned: binding.pinned.map(|version| version.to_string()),
        settings: binding.settings.to_string(),
    })
}

impl fmt::Debug for Sealer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Sealer").finish_non_exhaustive()
    }
}

impl Sealer {
    fn seal(&self, endpoint: &Endpoint) -> Vec<u8> {
        let bound = |binding: Option<&PluginBinding>| {
            binding.map(|binding| StoredBoundSecrets::of(&binding.secrets)).unwrap_or_default()
        };
        let secrets = StoredSecrets::V1 {
            current: endpoint.signing.current().to_stored().to_string(),
            earlier: endpoint
                .signing
                .earlier()
                .iter()
                .map(|earlier| StoredEarlierKey {
                    key: earlier.key.to_stored().to_string(),
                    expires_at: earlier.expires_at.0,
                })
                .collect(),
            headers: header_list(endpoint.headers.as_map()),
            url: Some(endpoint.url.as_str().to_owned()),
            plugin_origins: endpoint.transformation.further_origins().iter().map(Origin::to_string).collect(),
            plugin: bound(endpoint.transformation.configured().map(|used| &used.binding)),
            classifier: bound(endpoint.classifier.as_deref()),
        };
        let plain = Zeroizing::new(to_json(&secrets));
        self.seal_bytes(&seal_context(endpoint.id), plain.as_bytes())
    }

    /// Seals bytes for one row.
    pub(crate) fn seal_bytes(&self, context: &[u8], plain: &[u8]) -> Vec<u8> {
        self.key.seal(self.entropy.nonce(), context, plain)
    }

    fn open(&self, id: EndpointId, sealed: &[u8]) -> Result<Secrets, DbError> {
        let wrong = |error: &dyn fmt::Display| DbError::row(TABLE, format!("{id}: {error}"));
        let plain = self.key.open(&seal_context(id), sealed).map_err(|error| wrong(&error))?;
        let secrets: StoredSecrets = serde_json::from_slice(&plain).map_err(|error| wrong(&error))?;
        let StoredSecrets::V1 { current, earlier, headers, url, plugin, plugin_origins, classifier } =
            &secrets;
        let url = url.as_deref().map(DeliveryUrl::parse).transpose().map_err(|error| wrong(&error))?;
        let current = SigningKey::parse_stored(current).map_err(|error| wrong(&error))?;
        let mut earlier_keys = Vec::with_capacity(earlier.len());
        for StoredEarlierKey { key, expires_at } in earlier {
            let key = SigningKey::parse_stored(key).map_err(|error| wrong(&error))?;
            earlier_keys.push(EarlierKey { key, expires_at: UnixMillis(*expires_at) });
        }
        let signing = SigningKeys::restore(current, earlier_keys).map_err(|error| wrong(&error))?;
        let mut entries = Vec::with_capacity(headers.len());
        for (name, value) in headers {
            entries.push((name.as_str(), header_bytes(TABLE, value)?));
        }
        let headers = CustomHeaders::new(entries.iter().map(|(name, value)| (*name, value.as_slice())))
            .map_err(|error| wrong(&error))?;
        let origin = |text: &String| DeliveryUrl::parse(text).map(|url| url.origin());
        let plugin_origins =
            plugin_origins.iter().map(origin).collect::<Result<_, _>>().map_err(|error| wrong(&error))?;
        let (plugin, classifier) = (plugin.read(TABLE)?, classifier.read(TABLE)?);
        Ok(Secrets { url, signing, headers, plugin, plugin_origins, classifier })
    }
}

/// A sealed secret opens in its own row only.
fn seal_context(id: EndpointId) -> Vec<u8> {
    [b"endpoint.secrets ".as_slice(), &id.to_bytes()].concat()
}

fn filter_to_json(filter: &Filter) -> String {
    let texts = |names: &BTreeSet<Name>| names.iter().map(|name| name.as_str().to_owned()).collect();
    to_json(&StoredFilter::V1 {
        event_types: filter.event_types.as_ref().map(texts),
        channels: filter.channels.as_ref().map(texts),
        pattern: filter.pattern.as_ref().map(|pattern| pattern.source().to_owned()),
    })
}

fn filter_from_json(json: &str) -> Result<Filter, DbError> {
    let StoredFilter::V1 { event_types, channels, pattern } = from_json(TABLE, json)?;
    let names = |texts: Vec<String>| -> Result<BTreeSet<Name>, DbError> {
        texts.iter().map(|text| parsed(TABLE, text)).collect()
    };
    Ok(Filter {
        event_types: event_types.map(names).transpose()?,
        channels: channels.map(names).transpose()?,
        pattern: pattern
            .map(|source| EventPattern::parse(&source))
            .transpose()
            .map_err(|error| DbError::row(TABLE, error))?,
    })
}
