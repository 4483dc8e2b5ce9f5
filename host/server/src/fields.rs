//! From what a body says to validated values, each fault with its place.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use hookmill_app::administer::Text;
use hookmill_core::address::DeliveryUrl;
use hookmill_core::application::Metadata;
use hookmill_core::event::Name;
use hookmill_core::handshake::HandshakeMethod;
use hookmill_core::pattern::EventPattern;
use hookmill_core::plugin::{InvalidSecretName, PluginName, Secret, SecretName};
use hookmill_core::policy::{BodyHmacKey, Rate, SignatureScheme};
use hookmill_core::preset::{Preset, UnknownPreset};
use hookmill_core::signature::SigningKey;
use hookmill_core::time::UnixMillis;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::error::ApiError;

/// Tells a field that is `null` (`Some(None)`) from one that is absent (`None`, with `serde(default)`).
pub(crate) fn nullable<'de, D, T>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::<T>::deserialize(deserializer).map(Some)
}

/// Reads a field that may be left out, and is so too when it is `null`: clients write that for what they do not say.
pub(crate) fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// A value that has two names, of which callers may say both if they say the same.
pub(crate) fn either<T: PartialEq>(
    (field, value): (&str, Option<T>),
    (older, other): (&str, Option<T>),
) -> Result<Option<T>, ApiError> {
    match (value, other) {
        (Some(value), Some(other)) if value != other => {
            let detail = format!("`{field}` and `{older}` are the same and say different things; give one");
            Err(ApiError::field(older, "member_ambiguous", detail))
        }
        (value, other) => Ok(value.or(other)),
    }
}

/// The uid of what a `PUT` names: that of the body, else the path's, unless the path has an id.
pub(crate) fn uid_put_to<Id: FromStr>(path: &str, given: Option<String>) -> Result<Option<Name>, ApiError> {
    match given {
        Some(uid) => name("uid", &uid).map(Some),
        None if path.parse::<Id>().is_ok() => Ok(None),
        None => name("uid", path).map(Some),
    }
}

/// Checks that what a `PUT` is about to make will be found under its path, so that the next one does not make another.
pub(crate) fn check_made_at<Id: FromStr>(what: &str, path: &str, uid: Option<&Name>) -> Result<(), ApiError> {
    if path.parse::<Id>().is_ok() {
        return Err(ApiError::not_found(what));
    }
    if uid.is_some_and(|uid| uid.as_str() == path) {
        return Ok(());
    }
    let detail =
        format!("there is no {what} `{path}`, and a new one has the uid of its path; leave `uid` out");
    Err(ApiError::field("uid", "uid_differs_from_path", detail))
}

/// Applies a check to a field that may be absent or `null`.
pub(crate) fn patched<T, U>(
    field: Option<Option<T>>,
    check: impl FnOnce(T) -> Result<U, ApiError>,
) -> Result<Option<Option<U>>, ApiError> {
    match field {
        None => Ok(None),
        Some(None) => Ok(Some(None)),
        Some(Some(value)) => Ok(Some(Some(check(value)?))),
    }
}

pub(crate) fn name(field: &str, text: &str) -> Result<Name, ApiError> {
    text.parse().map_err(|error: hookmill_core::event::InvalidName| {
        ApiError::field(field, "name_invalid", error.to_string())
    })
}

pub(crate) fn preset(text: &str) -> Result<Preset, ApiError> {
    text.parse()
        .map_err(|error: UnknownPreset| ApiError::field("preset", "preset_unknown", error.to_string()))
}

pub(crate) fn handshake(field: &str, code: &str) -> Result<HandshakeMethod, ApiError> {
    HandshakeMethod::from_code(code).ok_or_else(|| {
        ApiError::field(field, "verification_unknown", "a verification is `challenge` or `cloudevents`")
    })
}

/// A set of names, 1 to `names_max`.
pub(crate) fn names(field: &str, texts: &[String], names_max: usize) -> Result<BTreeSet<Name>, ApiError> {
    if !(1..=names_max).contains(&texts.len()) {
        let detail = format!("has 1 to {names_max} items, or is null for all");
        return Err(ApiError::field(field, "set_size_invalid", detail));
    }
    texts.iter().map(|text| name(field, text)).collect()
}

/// Text that may be empty.
pub(crate) fn text(field: &str, text: String) -> Result<Text, ApiError> {
    Text::new(text).map_err(|error| ApiError::field(field, "text_invalid", error.to_string()))
}

/// Text that must say something.
pub(crate) fn label(field: &str, text: String) -> Result<Text, ApiError> {
    Text::not_empty(text).map_err(|error| ApiError::field(field, "text_invalid", error.to_string()))
}

pub(crate) fn metadata(entries: BTreeMap<String, String>) -> Result<Metadata, ApiError> {
    Metadata::new(entries).map_err(|error| ApiError::field("metadata", "metadata_invalid", error.to_string()))
}

/// Deliveries a second, at least 1.
pub(crate) fn per_second(field: &str, deliveries: u16) -> Result<Rate, ApiError> {
    Rate::new(deliveries, 1).map_err(|_| {
        ApiError::field(field, "rate_invalid", "a rate is 1 to 65535 a second, or null for no limit")
    })
}

pub(crate) fn url(text: &str) -> Result<DeliveryUrl, ApiError> {
    DeliveryUrl::parse(text).map_err(|error| ApiError::field("url", error.code(), error.to_string()))
}

pub(crate) fn pattern(json: &RawValue) -> Result<EventPattern, ApiError> {
    EventPattern::parse(json.get()).map_err(|error| {
        let path = format!("pattern{}", error.pointer.replace('/', "."));
        ApiError::field(&path, error.code(), error.to_string())
    })
}

/// A key for an endpoint that signs by this scheme: where receivers take the secret's text as the key, any text is one.
pub(crate) fn signing_key(field: &str, text: &str, scheme: &SignatureScheme) -> Result<SigningKey, ApiError> {
    let key = match scheme {
        SignatureScheme::BodyHmac { key: BodyHmacKey::Secret, .. } => SigningKey::parse_text(text),
        SignatureScheme::BodyHmac { key: BodyHmacKey::EndpointId, .. }
        | SignatureScheme::Standard
        | SignatureScheme::HttpMessage => SigningKey::parse(text),
    };
    key.map_err(|error| ApiError::field(field, error.code(), error.to_string()))
}

pub(crate) fn plugin_name(text: &str) -> Result<PluginName, ApiError> {
    text.parse().map_err(|error: hookmill_core::plugin::InvalidPluginName| {
        ApiError::field("plugin", "plugin_name_invalid", error.to_string())
    })
}

pub(crate) fn time(field: &str, text: &str) -> Result<UnixMillis, ApiError> {
    parse_time(text).map_err(|detail| ApiError::field(field, "time_invalid", detail))
}

/// RFC 3339, from 1970 on.
pub(crate) fn parse_time(text: &str) -> Result<UnixMillis, &'static str> {
    let timestamp = text.parse::<jiff::Timestamp>().ok();
    let millis = timestamp.and_then(|timestamp| u64::try_from(timestamp.as_millisecond()).ok());
    millis.map(UnixMillis).ok_or("a time is RFC 3339, such as 2026-11-22T01:02:03Z")
}

/// Secrets for a plugin, by the names that it has for them; `null` takes one away.
pub(crate) fn plugin_secrets(
    secrets: BTreeMap<String, Option<String>>,
) -> Result<BTreeMap<SecretName, Option<Secret>>, ApiError> {
    let mut parsed = BTreeMap::new();
    for (name, value) in secrets {
        let place = || format!("secrets.{name}");
        let known: SecretName = name.parse().map_err(|error: InvalidSecretName| {
            ApiError::field(&place(), "secret_name_invalid", error.to_string())
        })?;
        let value = value.map(|value| Secret::new(Zeroizing::new(value.into_bytes()))).transpose();
        let value =
            value.map_err(|error| ApiError::field(&place(), "secret_length_invalid", error.to_string()))?;
        parsed.insert(known, value);
    }
    Ok(parsed)
}
