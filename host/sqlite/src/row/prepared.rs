//! What a plugin or a composition made of an event, kept for the retries: JSON and the body's own bytes, sealed as one,
//! since what a composition makes may hold a token.

use bytes::Bytes;
use hookmill_core::address::DeliveryUrl;
use hookmill_core::request::{PreparedRequest, RequestBody, SecretHeader};
use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::column::{
    HeaderList, from_json, header_list, header_map, header_text, header_value, parsed, parsed_option, to_json,
};
use super::endpoint::Sealer;
use crate::error::DbError;

const TABLE: &str = "delivery";
/// Between the JSON, which has no line break, and the body.
const BODY_FOLLOWS: u8 = b'\n';

/// What the first column says.
#[derive(Serialize, Deserialize)]
#[serde(tag = "version")]
enum StoredRequest {
    /// In the clear, with the body in the second column.
    #[serde(rename = "1")]
    V1 {
        method: String,
        url: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        made_for: Option<String>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        headers: HeaderList,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        secret_headers: Vec<StoredSecretHeader>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        part: Option<String>,
    },
    /// The second column has a sealed `V1`, and behind it the body, unless that is the event's own.
    #[serde(rename = "2")]
    Sealed,
}

/// The secret itself is with the endpoint.
#[derive(Serialize, Deserialize)]
struct StoredSecretHeader {
    name: String,
    prefix: String,
    secret: String,
    suffix: String,
}

impl StoredSecretHeader {
    fn of(header: &SecretHeader) -> Self {
        Self {
            name: header.name.as_str().to_owned(),
            prefix: header_text(&header.prefix),
            secret: header.secret.as_str().to_owned(),
            suffix: header_text(&header.suffix),
        }
    }

    fn read(&self) -> Result<SecretHeader, DbError> {
        Ok(SecretHeader {
            name: parsed(TABLE, &self.name)?,
            prefix: header_value(TABLE, &self.prefix)?,
            secret: parsed(TABLE, &self.secret)?,
            suffix: header_value(TABLE, &self.suffix)?,
        })
    }
}

/// The two columns of the request that is kept with the delivery of this number.
pub(crate) fn prepared_columns(sealer: &Sealer, number: i64, request: &PreparedRequest) -> (String, Vec<u8>) {
    let json = to_json(&StoredRequest::V1 {
        method: request.method.as_str().to_owned(),
        url: request.url.as_str().to_owned(),
        made_for: request.made_for.as_ref().map(|url| url.as_str().to_owned()),
        headers: header_list(&request.headers),
        secret_headers: request.secret_headers.iter().map(StoredSecretHeader::of).collect(),
        part: request.part.as_ref().map(|part| part.as_str().to_owned()),
    });
    let mut plain = Zeroizing::new(json.into_bytes());
    match &request.body {
        RequestBody::Original => {}
        RequestBody::Replaced(bytes) => {
            plain.reserve_exact(1 + bytes.len());
            plain.push(BODY_FOLLOWS);
            plain.extend_from_slice(bytes);
        }
    }
    (to_json(&StoredRequest::Sealed), sealer.seal_bytes(&seal_context(number), &plain))
}

pub(crate) fn prepared_from_columns(
    sealer: &Sealer,
    number: i64,
    json: &str,
    body: Option<Vec<u8>>,
) -> Result<PreparedRequest, DbError> {
    match from_json(TABLE, json)? {
        in_the_clear @ StoredRequest::V1 { .. } => read(in_the_clear, body.map(Bytes::from)),
        StoredRequest::Sealed => {
            let sealed = body.unwrap_or_default();
            let plain = sealer.key.open(&seal_context(number), &sealed);
            let plain = plain.map_err(|error| DbError::row(TABLE, format!("{number}: {error}")))?;
            let mut parts = plain.splitn(2, |byte| *byte == BODY_FOLLOWS);
            let json = parts.next().unwrap_or_default();
            let stored = serde_json::from_slice(json).map_err(|error| DbError::row(TABLE, error))?;
            read(stored, parts.next().map(Bytes::copy_from_slice))
        }
    }
}

/// Seals requests that earlier versions kept in the clear; answers how many.
pub(crate) fn seal_clear(db: &Connection, sealer: &Sealer) -> Result<u64, DbError> {
    let mut clear = db.prepare(
        "/* prepared::seal_clear */
         SELECT number FROM delivery WHERE prepared IS NOT NULL AND prepared ->> 'version' = '1'",
    )?;
    let numbers: Vec<i64> = clear.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    for number in &numbers {
        let (json, body): (String, Option<Vec<u8>>) = db.query_row(
            "SELECT prepared, prepared_body FROM delivery WHERE number = ?1",
            [number],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        let request = prepared_from_columns(sealer, *number, &json, body)?;
        let (json, sealed) = prepared_columns(sealer, *number, &request);
        db.execute(
            "/* prepared::seal_clear */ UPDATE delivery SET prepared = ?2, prepared_body = ?3 WHERE number = ?1",
            params![number, json, sealed],
        )?;
    }
    Ok(numbers.len() as u64)
}

fn read(stored: StoredRequest, body: Option<Bytes>) -> Result<PreparedRequest, DbError> {
    let StoredRequest::V1 { method, url, made_for, headers, secret_headers, part } = stored else {
        return Err(DbError::row(TABLE, "a sealed request holds another seal"));
    };
    Ok(PreparedRequest {
        method: parsed(TABLE, &method)?,
        url: read_url(&url)?,
        made_for: made_for.as_deref().map(read_url).transpose()?,
        headers: header_map(TABLE, &headers)?,
        secret_headers: secret_headers.iter().map(StoredSecretHeader::read).collect::<Result<_, _>>()?,
        body: body.map_or(RequestBody::Original, RequestBody::Replaced),
        part: parsed_option(TABLE, part.as_deref())?,
    })
}

fn read_url(text: &str) -> Result<DeliveryUrl, DbError> {
    DeliveryUrl::parse(text).map_err(|error| DbError::row(TABLE, error))
}

/// A sealed request opens with its own delivery only.
fn seal_context(number: i64) -> Vec<u8> {
    [b"delivery.prepared ".as_slice(), &number.to_be_bytes()].concat()
}
