//! Times as text.

use ::time::OffsetDateTime;
use ::time::format_description::well_known::Rfc3339;

/// The end of the year 9999, beyond which RFC 3339 can't go.
const END: &str = "9999-12-31T23:59:59.999Z";

/// A time as RFC 3339 has it, in UTC and with as many digits of a second as it needs. What is later than the year 9999
/// becomes its end.
///
/// ```
/// use hookmill_plugin::time;
///
/// assert_eq!(time::rfc3339(1_720_775_666_000), "2024-07-12T09:14:26Z");
/// assert_eq!(time::rfc3339(1_720_775_666_007), "2024-07-12T09:14:26.007Z");
/// assert_eq!(time::rfc3339(u64::MAX), "9999-12-31T23:59:59.999Z");
/// ```
#[must_use]
pub fn rfc3339(ms_since_1970: u64) -> String {
    let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms_since_1970) * 1_000_000);
    let text = time.ok().and_then(|time| time.format(&Rfc3339).ok());
    text.unwrap_or_else(|| END.to_owned())
}
