//! Requests that happen once, however often they are sent.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use hookmill_core::id::ApplicationId;
use hookmill_core::limits::{
    APPLICATION_REMEMBERED_BYTES_MAX, IDEMPOTENCY_KEY_CHARS_MAX, IDEMPOTENCY_KEY_KEPT,
    REMEMBERED_OVERHEAD_BYTES,
};
use hookmill_core::port::store::{IdempotencyKey, RememberedAnswer};
use hookmill_core::time::UnixMillis;
use sha2::{Digest, Sha256};

use super::{Edit, conflict};
use crate::AppError;

/// What makes a request a repeat of an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Once {
    key: IdempotencyKey,
    fingerprint: [u8; 32],
    tenant: Option<ApplicationId>,
}

/// How much is remembered for each application's own requests, since some moment. A restart begins anew, which lets a
/// tenant have as much again.
#[derive(Debug, Default)]
pub(crate) struct RememberedBytes(Mutex<HashMap<ApplicationId, (UnixMillis, usize)>>);

impl RememberedBytes {
    /// Counts an answer.
    fn add(&self, tenant: ApplicationId, bytes: usize, now: UnixMillis) -> Result<(), AppError> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, sum) = counts.entry(tenant).or_insert((now, 0));
        if since.after(IDEMPOTENCY_KEY_KEPT) <= now {
            (*since, *sum) = (now, 0);
        }
        let more = sum.saturating_add(bytes).saturating_add(REMEMBERED_OVERHEAD_BYTES);
        if more > APPLICATION_REMEMBERED_BYTES_MAX {
            let message = format!(
                "answers of {APPLICATION_REMEMBERED_BYTES_MAX} bytes are remembered for the idempotency keys of this \
                 application, the most there may be in {} hours; leave the key out, or wait",
                IDEMPOTENCY_KEY_KEPT.as_secs() / 3600
            );
            return Err(conflict("too_many_idempotency_keys", message));
        }
        *sum = more;
        Ok(())
    }
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
            tenant: None,
        })
    }

    /// The same, asked for by an application for itself, which has a quota of what is remembered.
    #[must_use]
    pub fn of_tenant(self, tenant: Option<ApplicationId>) -> Self {
        Self { tenant, ..self }
    }

    /// Counts an answer of so many bytes against its tenant's quota.
    pub(crate) fn count(
        &self,
        counts: &RememberedBytes,
        bytes: usize,
        now: UnixMillis,
    ) -> Result<(), AppError> {
        self.tenant.map_or(Ok(()), |tenant| counts.add(tenant, bytes, now))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_tenant_has_remembered_is_bounded_in_a_period() {
        let counts = RememberedBytes::default();
        let [one, other] = [1, 2].map(|number| ApplicationId::new(UnixMillis(1), number));
        let half = APPLICATION_REMEMBERED_BYTES_MAX / 2;
        let (now, later) = (UnixMillis(7), UnixMillis(7).after(IDEMPOTENCY_KEY_KEPT));
        let add = |tenant, now| counts.add(tenant, half, now).map_err(|error| error.code);
        assert_eq!(add(one, now), Ok(()));
        assert_eq!(add(one, now), Err("too_many_idempotency_keys"));
        assert_eq!(add(other, now), Ok(()), "another tenant has its own");
        assert_eq!(add(one, later), Ok(()));
    }
}
