//! What a plugin made of an event, kept for the retries: JSON beside the body's own bytes.

use bytes::Bytes;
use hookmill_core::address::DeliveryUrl;
use hookmill_core::request::{PreparedRequest, RequestBody, SecretHeader};
use serde::{Deserialize, Serialize};

use super::column::{
    HeaderList, from_json, header_list, header_map, header_text, header_value, parsed, parsed_option, to_json,
};
use crate::error::DbError;

const TABLE: &str = "delivery";

/// The JSON without the body.
#[derive(Serialize, Deserialize)]
#[serde(tag = "version")]
enum StoredRequest {
    #[serde(rename = "1")]
    V1 {
        method: String,
        url: String,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        headers: HeaderList,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        secret_headers: Vec<StoredSecretHeader>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        part: Option<String>,
    },
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

/// The two columns of a prepared request; no body where it is the event's own.
pub(crate) fn prepared_columns(request: &PreparedRequest) -> (String, Option<&Bytes>) {
    let json = to_json(&StoredRequest::V1 {
        method: request.method.as_str().to_owned(),
        url: request.url.as_str().to_owned(),
        headers: header_list(&request.headers),
        secret_headers: request.secret_headers.iter().map(StoredSecretHeader::of).collect(),
        part: request.part.as_ref().map(|part| part.as_str().to_owned()),
    });
    let body = match &request.body {
        RequestBody::Original => None,
        RequestBody::Replaced(bytes) => Some(bytes),
    };
    (json, body)
}

pub(crate) fn prepared_from_columns(json: &str, body: Option<Vec<u8>>) -> Result<PreparedRequest, DbError> {
    let StoredRequest::V1 { method, url, headers, secret_headers, part } = from_json(TABLE, json)?;
    Ok(PreparedRequest {
        method: parsed(TABLE, &method)?,
        url: DeliveryUrl::parse(&url).map_err(|error| DbError::row(TABLE, error))?,
        headers: header_map(TABLE, &headers)?,
        secret_headers: secret_headers.iter().map(StoredSecretHeader::read).collect::<Result<_, _>>()?,
        body: body.map_or(RequestBody::Original, |bytes| RequestBody::Replaced(bytes.into())),
        part: parsed_option(TABLE, part.as_deref())?,
    })
}
