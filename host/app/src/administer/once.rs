//! Requests that happen once, however often they are sent.

use hookmill_core::limits::IDEMPOTENCY_KEY_CHARS_MAX;
use hookmill_core::port::store::{IdempotencyKey, RememberedAnswer};
use sha2::{Digest, Sha256};

use super::{Edit, conflict};
use crate::AppError;

/// What makes a request a repeat of an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Once {
    key: IdempotencyKey,
    fingerprint: [u8; 32],
}

/// A change that may have happened before.
pub enum Begun<'app> {
    /// It has not; make it.
    Fresh(Box<Edit<'app>>),
    /// It has; this was the answer.
    Repeat(RememberedAnswer),
}

impl Once {
    /// The caller's key, within what it was sent to and by whom, and the request's content.
    ///
    /// # Errors
    /// A key that is empty or longer than [`IDEMPOTENCY_KEY_CHARS_MAX`].
    pub fn new(caller: &str, target: &str, key: &str, content: &[u8]) -> Result<Self, AppError> {
        if !(1..=IDEMPOTENCY_KEY_CHARS_MAX).contains(&key.len()) {
            return Err(AppError::invalid(
                "idempotency_key_invalid",
                format!("an idempotency key has 1 to {IDEMPOTENCY_KEY_CHARS_MAX} characters"),
            ));
        }
        let mut digest = Sha256::new().chain_update(b"request\0");
        for field in [caller, target, key] {
            digest.update((field.len() as u64).to_le_bytes());
            digest.update(field.as_bytes());
        }
        Ok(Self {
            key: IdempotencyKey(digest.finalize().into()),
            fingerprint: Sha256::digest(content).into(),
        })
    }

    pub(crate) fn key(&self) -> IdempotencyKey {
        self.key
    }

    pub(crate) fn fingerprint(&self) -> [u8; 32] {
        self.fingerprint
    }

    /// The earlier answer, if it was to this very request.
    pub(crate) fn repeat(&self, answer: RememberedAnswer) -> Result<RememberedAnswer, AppError> {
        if answer.fingerprint == self.fingerprint {
            return Ok(answer);
        }
        Err(conflict(
            "idempotency_key_reused",
            "this idempotency key was used for a request with another content; choose a new one",
        ))
    }
}
