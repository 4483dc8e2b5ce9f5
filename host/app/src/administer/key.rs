//! API keys: who may do what.

use std::sync::Arc;

use hookmill_core::id::KeyId;
use hookmill_core::key::{ApiKey, KeyHash, Scope, key_text};
use hookmill_core::limits::{APPLICATION_KEYS_MAX, KEYS_MAX};
use hookmill_core::port::store::Change;
use zeroize::Zeroizing;

use super::{Edit, Text, conflict};
use crate::{App, AppError, ErrorKind};

/// Characters of a key that an operator chooses, at least.
pub const GIVEN_KEY_CHARS_MIN: usize = 16;
/// Characters of a chosen key of one application whose operator insists on a short one, at least.
pub const SHORT_KEY_CHARS_MIN: usize = 8;
/// Characters of a key that a caller presents, at most; longer ones are not even hashed.
pub const KEY_CHARS_MAX: usize = 512;

/// The label of the key that the operator gives at start.
const GIVEN_KEY_LABEL: &str = "given at start";
/// The label of the key that the first start makes.
const FIRST_KEY_LABEL: &str = "made at the first start";

impl App {
    /// What the presented key opens. A look-up by hash: how long it takes says nothing about any key.
    ///
    /// # Errors
    /// A key that is not known.
    pub fn authenticate(&self, presented: &str) -> Result<Arc<ApiKey>, AppError> {
        let known = (presented.len() <= KEY_CHARS_MAX)
            .then(|| self.table().keys.get(&KeyHash::of(presented)).map(Arc::clone))
            .flatten();
        known.ok_or_else(|| {
            AppError::new(
                ErrorKind::Unauthenticated,
                "authentication_failed",
                "this key is not known; send one as `Authorization: Bearer <key>`",
            )
        })
    }

    /// Sees to it that there is an admin key: the given one, which replaces one given earlier, or, where no admin
    /// key exists, a new one, whose text is returned to be shown once.
    ///
    /// # Errors
    /// A given key that is too short or too long, or a store that fails.
    pub async fn ensure_admin_key(&self, given: Option<&str>) -> Result<Option<Zeroizing<String>>, AppError> {
        let mut edit = self.edit().await;
        let made = match given {
            Some(given) => {
                edit.put_given_admin_key(given)?;
                None
            }
            None if edit.admin_keys().next().is_some() => None,
            None => {
                let label =
                    Text::new(FIRST_KEY_LABEL.to_owned()).expect("a constant without control characters");
                Some(edit.create_key(Scope::Admin, label)?.1)
            }
        };
        edit.commit().await?;
        Ok(made)
    }
}

impl Edit<'_> {
    /// Makes a key. Its text is nowhere else and can't be read again.
    ///
    /// # Errors
    /// No such application, or too many keys.
    pub fn create_key(&mut self, scope: Scope, label: Text) -> Result<(ApiKey, Zeroizing<String>), AppError> {
        self.check_scope(scope)?;
        self.check_key_count(scope)?;
        let mut random = Zeroizing::new([0; 32]);
        self.app.entropy.fill(&mut *random);
        let text = key_text(*random);
        Ok((self.put_key(&text, scope, label.into_string()), text))
    }

    /// Takes a text that callers already have as a key: visible ASCII of [`GIVEN_KEY_CHARS_MIN`] to [`KEY_CHARS_MAX`]
    /// characters. With `allow_short` a key of one application may have [`SHORT_KEY_CHARS_MIN`].
    ///
    /// # Errors
    /// A text that no header carries or that is too short, one that is a key already, no such application, or too many
    /// keys.
    pub fn import_key(
        &mut self,
        text: &str,
        scope: Scope,
        label: Text,
        allow_short: bool,
    ) -> Result<ApiKey, AppError> {
        self.check_scope(scope)?;
        check_chosen_key(text, scope, allow_short)?;
        if self.table.keys.contains_key(&KeyHash::of(text)) {
            return Err(conflict("key_taken", "this text is a key already; delete that key first"));
        }
        self.check_key_count(scope)?;
        Ok(self.put_key(text, scope, label.into_string()))
    }

    /// Deletes a key; from then on it opens nothing.
    ///
    /// # Errors
    /// No such key, or the last admin key, without which nobody could make another.
    pub fn delete_key(&mut self, id: KeyId) -> Result<(), AppError> {
        let key = self.table.keys_by_id.get(&id).ok_or_else(|| AppError::not_found("key"))?;
        if key.scope == Scope::Admin && self.admin_keys().count() == 1 {
            return Err(conflict("last_admin_key", "this is the last admin key; make another one first"));
        }
        self.changes.push(Change::DeleteKey(id));
        Ok(())
    }

    fn put_given_admin_key(&mut self, given: &str) -> Result<(), AppError> {
        if !(GIVEN_KEY_CHARS_MIN..=KEY_CHARS_MAX).contains(&given.len()) {
            return Err(AppError::invalid(
                "admin_key_length",
                format!(
                    "the given admin key has {} characters, it needs {GIVEN_KEY_CHARS_MIN} to {KEY_CHARS_MAX} of chance",
                    given.len()
                ),
            ));
        }
        let hash = KeyHash::of(given);
        let replaced: Vec<KeyId> = self
            .admin_keys()
            .filter(|key| key.label == GIVEN_KEY_LABEL && key.hash != hash)
            .map(|key| key.id)
            .collect();
        self.changes.extend(replaced.into_iter().map(Change::DeleteKey));
        match self.table.keys.get(&hash) {
            Some(key) if key.scope == Scope::Admin => {}
            Some(_) => {
                return Err(conflict(
                    "admin_key_taken",
                    "the given admin key is known as another kind of key",
                ));
            }
            None => {
                self.put_key(given, Scope::Admin, GIVEN_KEY_LABEL.to_owned());
            }
        }
        Ok(())
    }

    fn put_key(&mut self, text: &str, scope: Scope, label: String) -> ApiKey {
        let id = self.app.new_id(self.now, KeyId::new);
        let key = ApiKey { id, hash: KeyHash::of(text), scope, label, created_at: self.now };
        self.changes.push(Change::PutKey(key.clone()));
        key
    }

    fn check_scope(&self, scope: Scope) -> Result<(), AppError> {
        match scope {
            Scope::Admin | Scope::Metrics => Ok(()),
            Scope::Application(application) | Scope::Ingest(application) => {
                self.routes(application).map(|_| ())
            }
        }
    }

    fn check_key_count(&self, scope: Scope) -> Result<(), AppError> {
        if let Scope::Application(application) | Scope::Ingest(application) = scope {
            let own = self.table.keys_by_id.values().filter(|key| key.scope.belongs_to(application));
            if own.count() >= APPLICATION_KEYS_MAX {
                let message = format!(
                    "the application has {APPLICATION_KEYS_MAX} keys, the most there may be; delete one first"
                );
                return Err(conflict("too_many_keys", message));
            }
        }
        if self.table.keys.len() < KEYS_MAX {
            return Ok(());
        }
        Err(conflict(
            "too_many_keys",
            format!("there are {KEYS_MAX} keys, the most there may be; delete one first"),
        ))
    }

    fn admin_keys(&self) -> impl Iterator<Item = &Arc<ApiKey>> {
        self.table.keys_by_id.values().filter(|key| key.scope == Scope::Admin)
    }
}

fn check_chosen_key(text: &str, scope: Scope, allow_short: bool) -> Result<(), AppError> {
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(AppError::invalid("key_characters_invalid", "a key is visible ASCII without spaces"));
    }
    let (chars_min, hint) = match (scope, allow_short) {
        (Scope::Application(_) | Scope::Ingest(_), true) => (SHORT_KEY_CHARS_MIN, ""),
        (Scope::Application(_) | Scope::Ingest(_), false) => {
            (GIVEN_KEY_CHARS_MIN, "; a shorter one of one application needs `allowShort`")
        }
        (Scope::Metrics, _) => (GIVEN_KEY_CHARS_MIN, ""),
        (Scope::Admin, _) => (GIVEN_KEY_CHARS_MIN, ", and may not be short where it opens everything"),
    };
    if (chars_min..=KEY_CHARS_MAX).contains(&text.len()) {
        return Ok(());
    }
    let length = text.len();
    let message = format!("the key has {length} characters, it needs {chars_min} to {KEY_CHARS_MAX}{hint}");
    Err(AppError::invalid("key_length_invalid", message))
}
