//! Keys over time: those that one endpoint signs with, and those that one source verifies with.
//!
//! A rotation puts a new key in front and leaves the one it replaces active beside it for an overlap, so that the other
//! side takes the new key whenever it likes within it.

use std::time::Duration;

use thiserror::Error;

use super::key::SigningKey;
use crate::time::{Moment, UnixMillis};

/// Keys that are active at the same time, the current one included. Bounds headers and the cost of verification.
pub const SIGNING_KEYS_MAX: usize = 10;
/// How long a replaced key stays active, unless the rotation says otherwise (as in the Svix API).
pub const SIGNING_OVERLAP_DEFAULT: Duration = Duration::from_secs(24 * 3600);

/// The signing keys of one endpoint.
pub type SigningKeys = RotatingKeys<SigningKey>;

/// Keys of one kind: the current one, and earlier ones that are still active.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RotatingKeys<K> {
    current: K,
    /// The latest replaced first.
    earlier: Vec<EarlierKey<K>>,
}

/// A replaced key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EarlierKey<K = SigningKey> {
    /// The key.
    pub key: K,
    /// The first moment at which it is active no more.
    pub expires_at: UnixMillis,
}

/// A rotation too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "at most {SIGNING_KEYS_MAX} keys are active at once: wait until an earlier one expires at {next_expiry}"
)]
pub struct TooManySigningKeys {
    /// When the next of the earlier keys expires.
    pub next_expiry: UnixMillis,
}

impl TooManySigningKeys {
    /// The same, with the expiry as people's clocks will show it.
    #[must_use]
    pub fn shown_at(&self, now: Moment) -> Self {
        Self { next_expiry: now.shown(self.next_expiry) }
    }
}

impl TooManySigningKeys {
    /// The stable code that the API shows.
    #[must_use]
    pub fn code(&self) -> &'static str {
        "too_many_signing_keys"
    }
}

impl<K: PartialEq> RotatingKeys<K> {
    /// The first key.
    #[must_use]
    pub fn new(current: K) -> Self {
        Self { current, earlier: Vec::new() }
    }

    /// The keys as they were stored, the latest replaced first.
    ///
    /// # Errors
    /// When there are more than [`SIGNING_KEYS_MAX`].
    pub fn restore(current: K, earlier: Vec<EarlierKey<K>>) -> Result<Self, TooManySigningKeys> {
        let keys = Self { current, earlier };
        if keys.earlier.len() < SIGNING_KEYS_MAX { Ok(keys) } else { Err(keys.too_many()) }
    }

    /// The key that whoever is new gets.
    #[must_use]
    pub fn current(&self) -> &K {
        &self.current
    }

    /// Replaced keys, the latest first; some may have expired.
    #[must_use]
    pub fn earlier(&self) -> &[EarlierKey<K>] {
        &self.earlier
    }

    /// The keys that are active at `now`, in steady time, the current one first. At least one, at most [`SIGNING_KEYS_MAX`].
    pub fn active(&self, now: UnixMillis) -> impl Iterator<Item = &K> {
        let earlier = self.earlier.iter().filter(move |earlier| now < earlier.expires_at);
        std::iter::once(&self.current).chain(earlier.map(|earlier| &earlier.key))
    }

    /// Makes `new` the current key; the one it replaces is active until `overlap` after `now`. Forgets expired keys.
    ///
    /// Rotating to the current key changes nothing; rotating back to an earlier one makes it current again.
    ///
    /// # Errors
    /// When that makes more than [`SIGNING_KEYS_MAX`] keys; nothing is changed then, since a key that was dropped
    /// early would break those that still use it.
    pub fn rotate(&mut self, new: K, now: UnixMillis, overlap: Duration) -> Result<(), TooManySigningKeys> {
        self.earlier.retain(|earlier| now < earlier.expires_at);
        if new == self.current {
            return Ok(());
        }
        let goes_back = self.earlier.iter().any(|earlier| earlier.key == new);
        let replaced_stays = !overlap.is_zero();
        let count = 1 + self.earlier.len() - usize::from(goes_back) + usize::from(replaced_stays);
        if count > SIGNING_KEYS_MAX {
            return Err(self.too_many());
        }
        self.earlier.retain(|earlier| earlier.key != new);
        let replaced = std::mem::replace(&mut self.current, new);
        if replaced_stays {
            self.earlier.insert(0, EarlierKey { key: replaced, expires_at: now.after(overlap) });
        }
        Ok(())
    }

    fn too_many(&self) -> TooManySigningKeys {
        let next_expiry = self.earlier.iter().map(|earlier| earlier.expires_at).min();
        TooManySigningKeys { next_expiry: next_expiry.unwrap_or_default() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: UnixMillis = UnixMillis(1_795_309_323_000);
    const DAY: Duration = SIGNING_OVERLAP_DEFAULT;

    fn key(number: u8) -> SigningKey {
        SigningKey::generate_symmetric(&[number; 24]).unwrap()
    }

    fn check(keys: &SigningKeys, now: UnixMillis, expect: &[u8]) {
        let expect: Vec<_> = expect.iter().copied().map(key).collect();
        assert!(keys.active(now).eq(expect.iter()), "at {now}");
    }

    #[test]
    fn replaced_keys_sign_until_their_overlap_ends() {
        let mut keys = SigningKeys::new(key(1));
        keys.rotate(key(2), NOW, DAY).unwrap();
        check(&keys, NOW, &[2, 1]);
        check(&keys, NOW.after(DAY).before(Duration::from_millis(1)), &[2, 1]);
        check(&keys, NOW.after(DAY), &[2]);
        keys.rotate(key(3), NOW.after(DAY / 2), DAY).unwrap();
        check(&keys, NOW.after(DAY / 2), &[3, 2, 1]);
        check(&keys, NOW.after(DAY), &[3, 2]);
        keys.rotate(key(4), NOW.after(DAY), Duration::ZERO).unwrap();
        check(&keys, NOW.after(DAY), &[4, 2]);
        assert_eq!(keys.earlier().len(), 1, "what expired is forgotten");
    }

    #[test]
    fn no_key_signs_twice() {
        let mut keys = SigningKeys::new(key(1));
        keys.rotate(key(1), NOW, DAY).unwrap();
        check(&keys, NOW, &[1]);
        keys.rotate(key(2), NOW, DAY).unwrap();
        keys.rotate(key(1), NOW, DAY).unwrap();
        check(&keys, NOW, &[1, 2]);
    }

    #[test]
    fn a_rotation_too_many_is_refused_and_changes_nothing() {
        let mut keys = SigningKeys::new(key(0));
        for number in 1..10 {
            keys.rotate(key(number), NOW.after(Duration::from_secs(u64::from(number))), DAY).unwrap();
        }
        let later = NOW.after(DAY / 2);
        let before = keys.clone();
        let next_expiry = NOW.after(DAY + Duration::from_secs(1));
        assert_eq!(keys.rotate(key(10), later, DAY), Err(TooManySigningKeys { next_expiry }));
        assert_eq!(keys, before);
        // Going back, replacing at once and waiting are all possible.
        keys.clone().rotate(key(3), later, DAY).unwrap();
        keys.clone().rotate(key(10), later, Duration::ZERO).unwrap();
        keys.rotate(key(10), next_expiry, DAY).unwrap();
        assert_eq!(keys.active(next_expiry).count(), SIGNING_KEYS_MAX);
    }

    #[test]
    fn stored_keys_read_back_within_the_limit() {
        let earlier = |count: u8| -> Vec<_> {
            (1..=count).map(|number| EarlierKey { key: key(number), expires_at: NOW }).collect()
        };
        let keys = SigningKeys::restore(key(0), earlier(9)).unwrap();
        assert_eq!(keys.earlier().len(), 9);
        assert_eq!(SigningKeys::restore(key(0), earlier(10)), Err(TooManySigningKeys { next_expiry: NOW }));
    }

    proptest! {
        #[test]
        fn any_history_keeps_the_limit(rotations in proptest::collection::vec((0..20u8, 0..100u64, 0..500u64), 0..60)) {
            let mut keys = SigningKeys::new(key(200));
            let mut now = NOW;
            for (number, pause, overlap) in rotations {
                now = now.after(Duration::from_secs(pause));
                let replaced = keys.current().clone();
                let overlap = Duration::from_secs(overlap);
                if keys.rotate(key(number), now, overlap).is_ok() {
                    prop_assert_eq!(keys.current(), &key(number));
                    prop_assert!(overlap.is_zero() || keys.active(now).any(|active| *active == replaced));
                }
                let active: Vec<_> = keys.active(now).collect();
                prop_assert!((1..=SIGNING_KEYS_MAX).contains(&active.len()));
                for (index, one) in active.iter().enumerate() {
                    prop_assert!(active[index + 1..].iter().all(|other| one != other));
                }
            }
        }
    }
}
