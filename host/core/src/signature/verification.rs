//! The receiver's side of a signature.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;

use super::key::VerifyingKey;
use crate::time::UnixMillis;

/// How far a timestamp may lie from the receiver's clock, both ways (as in all reference libraries).
pub const TIMESTAMP_TOLERANCE_DEFAULT: Duration = Duration::from_secs(300);

/// Signatures of one header that are looked at; a sender that rotates has two. Bounds the work a stranger can ask for.
pub const SIGNATURES_MAX: usize = 16;

/// What came, as it came.
#[derive(Debug, Clone, Copy)]
pub struct SignedMessage<'a> {
    /// The `webhook-id` header.
    pub id: &'a str,
    /// The `webhook-timestamp` header.
    pub timestamp: &'a str,
    /// The `webhook-signature` header.
    pub signatures: &'a str,
    /// The body, byte for byte.
    pub body: &'a [u8],
}

/// Why a message is not to be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum VerificationError {
    /// The timestamp is not whole seconds.
    #[error("the timestamp is not a whole number of seconds since 1970")]
    Timestamp,
    /// Sent too long ago: perhaps replayed.
    #[error("the message was signed {age:?} ago, more than {tolerance:?}: check the clocks")]
    TooOld {
        /// How long ago.
        age: Duration,
        /// What is accepted.
        tolerance: Duration,
    },
    /// Sent in the future.
    #[error("the message was signed {ahead:?} in the future, more than {tolerance:?}: check the clocks")]
    TooNew {
        /// How far ahead.
        ahead: Duration,
        /// What is accepted.
        tolerance: Duration,
    },
    /// No key made any of the signatures.
    #[error("none of the signatures is by a known key over this id, timestamp and body")]
    NoMatch,
}

impl VerificationError {
    /// The stable code that the API shows.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Timestamp => "signature_timestamp_invalid",
            Self::TooOld { .. } => "signature_timestamp_too_old",
            Self::TooNew { .. } => "signature_timestamp_too_new",
            Self::NoMatch => "signature_mismatch",
        }
    }
}

/// Accepts a message that one of `keys` signed at most `tolerance` before or after `now`.
///
/// Tries each of the first [`SIGNATURES_MAX`] signatures of a key's version; tokens of other versions are skipped.
/// Shared keys compare in constant time.
///
/// # Errors
/// When the message is not to be trusted.
pub fn verify(
    keys: &[VerifyingKey],
    message: &SignedMessage<'_>,
    now: UnixMillis,
    tolerance: Duration,
) -> Result<(), VerificationError> {
    check_age(whole_number(message.timestamp)?, now, tolerance)?;
    let signatures: Vec<_> =
        message.signatures.split(' ').take(SIGNATURES_MAX).filter_map(read_signature).collect();
    for key in keys {
        let of_its_version = signatures
            .iter()
            .filter(|(version, _)| *version == key.version())
            .map(|(_, signature)| signature.as_slice());
        if key.matches_any(message.id, message.timestamp, message.body, of_its_version) {
            return Ok(());
        }
    }
    Err(VerificationError::NoMatch)
}

/// Reads a timestamp.
pub(crate) fn whole_number(text: &str) -> Result<u64, VerificationError> {
    // `parse` alone would take a plus sign, which is not what the sender signed everywhere.
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(VerificationError::Timestamp);
    }
    text.parse().map_err(|_| VerificationError::Timestamp)
}

/// Refuses what was signed more than `tolerance` before or after `now`.
pub(crate) fn check_age(secs: u64, now: UnixMillis, tolerance: Duration) -> Result<(), VerificationError> {
    let signed = Duration::from_secs(secs);
    let now = Duration::from_secs(now.as_secs());
    let age = now.saturating_sub(signed);
    let ahead = signed.saturating_sub(now);
    if age > tolerance {
        return Err(VerificationError::TooOld { age, tolerance });
    }
    if ahead > tolerance {
        return Err(VerificationError::TooNew { ahead, tolerance });
    }
    Ok(())
}

fn read_signature(token: &str) -> Option<(&str, Vec<u8>)> {
    let (version, encoded) = token.split_once(',')?;
    Some((version, STANDARD.decode(encoded).ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const SIGNED_AT: u64 = 1_614_265_330;
    const GOOD: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    const PUBLIC: &str = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=";
    const GOOD_ED25519: &str =
        "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==";

    fn message<'a>(timestamp: &'a str, signatures: &'a str) -> SignedMessage<'a> {
        SignedMessage {
            id: "msg_p5jXN8AQM9LWM0D4loKWxJek",
            timestamp,
            signatures,
            body: br#"{"test": 2432232314}"#,
        }
    }

    #[test]
    fn accepts_and_refuses() {
        let key = [VerifyingKey::parse(SECRET).unwrap()];
        let check = |now_secs: u64, timestamp: &str, signatures: &str, expect: &str| {
            let now = UnixMillis(now_secs * 1000 + 999);
            let result = verify(&key, &message(timestamp, signatures), now, TIMESTAMP_TOLERANCE_DEFAULT);
            assert_eq!(
                result.map_or_else(|error| error.code(), |()| "ok"),
                expect,
                "{timestamp} {signatures}"
            );
        };
        let timestamp = SIGNED_AT.to_string();
        check(SIGNED_AT, "", GOOD, "signature_timestamp_invalid");
        check(SIGNED_AT, "1614265330.0", GOOD, "signature_timestamp_invalid");
        check(SIGNED_AT, "+1614265330", GOOD, "signature_timestamp_invalid");
        check(SIGNED_AT, "-1614265330", GOOD, "signature_timestamp_invalid");
        check(SIGNED_AT, "99999999999999999999", GOOD, "signature_timestamp_invalid");
        check(SIGNED_AT, "18446744073709551615", GOOD, "signature_timestamp_too_new");
        check(SIGNED_AT + 301, &timestamp, GOOD, "signature_timestamp_too_old");
        check(SIGNED_AT - 301, &timestamp, GOOD, "signature_timestamp_too_new");
        check(SIGNED_AT + 300, &timestamp, GOOD, "ok");
        check(SIGNED_AT - 300, &timestamp, GOOD, "ok");
        check(SIGNED_AT, &timestamp, "", "signature_mismatch");
        check(SIGNED_AT, &timestamp, "v1", "signature_mismatch");
        check(SIGNED_AT, &timestamp, "v1,", "signature_mismatch");
        check(SIGNED_AT, &timestamp, "v1,!!", "signature_mismatch");
        check(SIGNED_AT, &timestamp, &GOOD.replace("v1,", "v2,"), "signature_mismatch");
        check(SIGNED_AT, &timestamp, &GOOD.replace("v1,", "v1a,"), "signature_mismatch");
        check(SIGNED_AT, &timestamp, &GOOD[..GOOD.len() - 5], "signature_mismatch");
        check(SIGNED_AT, &timestamp, &format!("v1,AAAA  {GOOD_ED25519} {GOOD} "), "ok");
        check(SIGNED_AT, &timestamp, &format!("{}{GOOD}", "v1,AAAA ".repeat(15)), "ok");
        check(SIGNED_AT, &timestamp, &format!("{}{GOOD}", "v1,AAAA ".repeat(16)), "signature_mismatch");
    }

    #[test]
    fn any_of_several_keys_will_do() {
        let other = VerifyingKey::parse("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD").unwrap();
        let [shared, public] = [SECRET, PUBLIC].map(|text| VerifyingKey::parse(text).unwrap());
        let timestamp = SIGNED_AT.to_string();
        let check = |keys: &[&VerifyingKey], signatures: &str, expect: bool| {
            let keys: Vec<_> = keys.iter().copied().cloned().collect();
            let result =
                verify(&keys, &message(&timestamp, signatures), UnixMillis(SIGNED_AT * 1000), Duration::ZERO);
            assert_eq!(result.is_ok(), expect, "{keys:?} {signatures}");
        };
        check(&[&other, &shared], GOOD, true);
        check(&[&other, &public], GOOD_ED25519, true);
        check(&[&public], &format!("{GOOD} {GOOD_ED25519}"), true);
        check(&[&other], GOOD, false);
        check(&[&public], GOOD, false);
        check(&[], GOOD, false);
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(id: String, timestamp: String, signatures: String, body: Vec<u8>) {
            let keys = [SECRET, PUBLIC].map(|text| VerifyingKey::parse(text).unwrap());
            let message = SignedMessage { id: &id, timestamp: &timestamp, signatures: &signatures, body: &body };
            prop_assert!(verify(&keys, &message, UnixMillis(SIGNED_AT * 1000), Duration::MAX).is_err());
        }
    }
}
