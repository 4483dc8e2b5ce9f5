//! What composes an endpoint's requests: JSON, sealed as a whole, since a token may stand anywhere in it.

use std::borrow::Cow;
use std::fmt;

use hookmill_core::compose::{Composition, FormEncoding, JsonBody, MissingRule, RawBody, RawComposition};
use hookmill_core::id::EndpointId;
use hookmill_core::json::JsonFault;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use zeroize::Zeroizing;

use super::column::{parsed, to_json};
use super::endpoint::Sealer;
use crate::error::DbError;

const TABLE: &str = "endpoint";

/// Borrowed when it is written, so that nothing is copied out of its seal.
#[derive(Serialize, Deserialize)]
#[serde(tag = "version")]
enum StoredComposition<'a> {
    #[serde(rename = "1")]
    V1 {
        name: Cow<'a, str>,
        method: Cow<'a, str>,
        url: Cow<'a, str>,
        headers: Cow<'a, [(String, String)]>,
        body: StoredBody<'a>,
        missing: Cow<'a, str>,
        allowed_origins: Cow<'a, [String]>,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "format", content = "content", rename_all = "snake_case")]
enum StoredBody<'a> {
    None,
    /// As earlier versions wrote it.
    Json(Value),
    /// JSON text, within a string.
    JsonText(Cow<'a, str>),
    FormUrlEncoded(Cow<'a, [(String, String)]>),
    FormMultipart(Cow<'a, [(String, String)]>),
}

pub(super) fn seal(sealer: &Sealer, endpoint: EndpointId, composition: &Composition) -> Vec<u8> {
    let raw = composition.raw();
    let stored = StoredComposition::V1 {
        name: raw.name.as_str().into(),
        method: raw.method.as_str().into(),
        url: raw.url.as_str().into(),
        headers: raw.headers.as_slice().into(),
        body: StoredBody::of(&raw.body),
        missing: raw.missing.code().into(),
        allowed_origins: raw.allowed_origins.as_slice().into(),
    };
    let plain = Zeroizing::new(to_json(&stored));
    sealer.seal_bytes(&seal_context(endpoint), plain.as_bytes())
}

pub(super) fn open(sealer: &Sealer, endpoint: EndpointId, sealed: &[u8]) -> Result<Composition, DbError> {
    let wrong = |error: &dyn fmt::Display| DbError::row(TABLE, format!("{endpoint}: {error}"));
    let plain = sealer.key.open(&seal_context(endpoint), sealed).map_err(|error| wrong(&error))?;
    let stored = serde_json::from_slice(&plain).map_err(|error| wrong(&error))?;
    let StoredComposition::V1 { name, method, url, headers, body, missing, allowed_origins } = stored;
    let raw = RawComposition {
        name: name.into_owned(),
        method: parsed(TABLE, &method)?,
        url: url.into_owned(),
        headers: headers.into_owned(),
        body: body.into_raw().map_err(|error| wrong(&error))?,
        missing: MissingRule::from_code(&missing)
            .ok_or_else(|| wrong(&format_args!("unknown rule {missing:?}")))?,
        allowed_origins: allowed_origins.into_owned(),
    };
    Composition::restore(raw).map_err(|error| wrong(&error))
}

impl<'a> StoredBody<'a> {
    fn of(body: &'a RawBody) -> Self {
        match body {
            RawBody::None => Self::None,
            RawBody::Json(content) => Self::JsonText(content.as_str().into()),
            RawBody::Form { fields, encoding: FormEncoding::UrlEncoded } => {
                Self::FormUrlEncoded(fields.as_slice().into())
            }
            RawBody::Form { fields, encoding: FormEncoding::Multipart } => {
                Self::FormMultipart(fields.as_slice().into())
            }
        }
    }

    fn into_raw(self) -> Result<RawBody, JsonFault> {
        let form = |fields: Cow<'_, [(String, String)]>, encoding: FormEncoding| RawBody::Form {
            fields: fields.into_owned(),
            encoding,
        };
        Ok(match self {
            Self::None => RawBody::None,
            Self::Json(content) => RawBody::Json(content.into()),
            Self::JsonText(text) => RawBody::Json(JsonBody::parse(&text)?),
            Self::FormUrlEncoded(fields) => form(fields, FormEncoding::UrlEncoded),
            Self::FormMultipart(fields) => form(fields, FormEncoding::Multipart),
        })
    }
}

/// Other than that of the row's other secrets, so that neither opens in the other's place.
fn seal_context(endpoint: EndpointId) -> Vec<u8> {
    [b"endpoint.composition ".as_slice(), &endpoint.to_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_of_earlier_versions_are_read() {
        let stored = r#"{"format": "json", "content": {"a": [1, "@{{id}}"]}}"#;
        let stored: StoredBody<'_> = serde_json::from_str(stored).unwrap();
        let body = JsonBody::parse(r#"{"a":[1,"@{{id}}"]}"#).unwrap();
        assert_eq!(stored.into_raw(), Ok(RawBody::Json(body)));
    }
}
