//! Secrets that a plugin may use by name, inside of a row's sealed text.

use std::collections::BTreeMap;

use hookmill_core::plugin::{BoundSecrets, Secret, SecretName};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use super::column::{header_bytes, parsed};
use crate::error::DbError;

/// Secrets are bytes, and JSON has none: a character for each byte.
#[derive(Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct StoredBoundSecrets(BTreeMap<String, String>);

impl StoredBoundSecrets {
    pub(super) fn of(secrets: &BoundSecrets) -> Self {
        Self(secrets.iter().map(|(name, secret)| (name.to_string(), secret_text(secret))).collect())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn read(&self, table: &'static str) -> Result<BoundSecrets, DbError> {
        let secrets = self.0.iter().map(|(name, secret)| {
            let name: SecretName = parsed(table, name)?;
            Ok((name, read_secret(table, secret)?))
        });
        secrets.collect()
    }
}

impl Drop for StoredBoundSecrets {
    fn drop(&mut self) {
        self.0.values_mut().for_each(Zeroize::zeroize);
    }
}

pub(super) fn secret_text(secret: &Secret) -> String {
    secret.expose().iter().copied().map(char::from).collect()
}

pub(super) fn read_secret(table: &'static str, text: &str) -> Result<Secret, DbError> {
    let bytes = Zeroizing::new(header_bytes(table, text)?);
    Secret::new(bytes).map_err(|error| DbError::row(table, error))
}
