//! Values that several tables have.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use hookmill_core::application::Metadata;
use hookmill_core::time::UnixMillis;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::error::DbError;

/// SQLite's integers are signed; no moment or count of ours is near their end.
pub(crate) fn integer(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// CHECKs keep negative numbers out.
pub(crate) fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

pub(crate) fn millis(value: UnixMillis) -> i64 {
    integer(value.0)
}

pub(crate) fn unix_millis(value: i64) -> UnixMillis {
    UnixMillis(unsigned(value))
}

/// Reads a validated type from text.
pub(crate) fn parsed<T: FromStr<Err: Display>>(table: &'static str, text: &str) -> Result<T, DbError> {
    text.parse().map_err(|error| DbError::row(table, error))
}

pub(crate) fn parsed_option<T: FromStr<Err: Display>>(
    table: &'static str,
    text: Option<&str>,
) -> Result<Option<T>, DbError> {
    text.map(|text| parsed(table, text)).transpose()
}

pub(crate) fn to_json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("our row types have string keys only")
}

pub(crate) fn from_json<T: serde::de::DeserializeOwned>(
    table: &'static str,
    json: &str,
) -> Result<T, DbError> {
    serde_json::from_str(json).map_err(|error| DbError::row(table, error))
}

pub(crate) fn metadata_from_json(table: &'static str, json: &str) -> Result<Metadata, DbError> {
    let entries: BTreeMap<String, String> = from_json(table, json)?;
    Metadata::new(entries).map_err(|error| DbError::row(table, error))
}

/// Header names with their values; a value's bytes are the characters' numbers (ISO 8859-1), since JSON has no bytes.
pub(crate) type HeaderList = Vec<(String, String)>;

pub(crate) fn header_list(headers: &HeaderMap) -> HeaderList {
    headers.iter().map(|(name, value)| (name.as_str().to_owned(), header_text(value))).collect()
}

/// A character for each byte, since a value need not be UTF-8.
pub(crate) fn header_text(value: &HeaderValue) -> String {
    value.as_bytes().iter().copied().map(char::from).collect()
}

pub(crate) fn header_value(table: &'static str, text: &str) -> Result<HeaderValue, DbError> {
    HeaderValue::from_bytes(&header_bytes(table, text)?).map_err(|error| DbError::row(table, error))
}

/// The bytes of a value of a [`HeaderList`].
pub(crate) fn header_bytes(table: &'static str, value: &str) -> Result<Vec<u8>, DbError> {
    let byte = |character: char| {
        u8::try_from(character)
            .map_err(|_| DbError::row(table, "a header value has a character beyond a byte"))
    };
    value.chars().map(byte).collect()
}

pub(crate) fn header_map(table: &'static str, list: &HeaderList) -> Result<HeaderMap, DbError> {
    let mut headers = HeaderMap::with_capacity(list.len());
    for (name, value) in list {
        let name: HeaderName = parsed(table, name)?;
        headers.append(name, header_value(table, value)?);
    }
    Ok(headers)
}
