//! How long to wait for a server that is busy.

use std::time::Duration;

use hookmill_core::retry::RetryAfter;
use hookmill_core::time::UnixMillis;
use http::StatusCode;

/// Times that one request is made again.
const RETRIES_MAX: u32 = 6;
/// The wait before the first repetition, where the server names none; each is twice the one before.
const WAIT_FIRST: Duration = Duration::from_millis(500);
/// The longest wait; a server that asks for more is asked again after this.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// How long to wait before a request is made again that was answered with `status`; nothing where that is no use, or
/// was done often enough.
///
/// 429, 502, 503 and 504 say that a request was not acted upon, so each may be repeated.
pub(crate) fn wait_before_retry(
    retries: u32,
    status: StatusCode,
    retry_after: Option<&str>,
    now: UnixMillis,
) -> Option<Duration> {
    let is_busy = matches!(status.as_u16(), 429 | 502..=504);
    if !is_busy || retries >= RETRIES_MAX {
        return None;
    }
    let asked = retry_after.and_then(|value| RetryAfter::parse(value, now));
    Some(asked.unwrap_or(WAIT_FIRST * 2_u32.pow(retries)).min(WAIT_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_bounded() {
        let check = |retries: u32, status: u16, retry_after: Option<&str>, expect_millis: Option<u64>| {
            let status = StatusCode::from_u16(status).unwrap();
            let wait = wait_before_retry(retries, status, retry_after, UnixMillis(0));
            assert_eq!(wait, expect_millis.map(Duration::from_millis), "{retries} {status} {retry_after:?}");
        };
        check(0, 200, None, None);
        check(0, 422, Some("1"), None);
        check(0, 500, Some("1"), None);
        check(0, 429, Some("0"), Some(0));
        check(0, 429, Some("7"), Some(7000));
        check(0, 429, Some("86400"), Some(60_000));
        check(0, 503, Some("soon"), Some(500));
        check(1, 502, None, Some(1000));
        check(5, 504, None, Some(16_000));
        check(6, 429, Some("0"), None);
        check(u32::MAX, 429, None, None);
    }
}
