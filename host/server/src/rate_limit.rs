//! `RateLimit-Policy`: how fast the router delivers what it accepts.
//!
//! The field of draft-ietf-httpapi-ratelimit-headers: a policy has a name, a quota `q` and a window `w` in seconds.
//! Nothing is refused over it: what comes faster is accepted, and its deliveries wait. What is left of a quota at this
//! moment is not said (the draft's `RateLimit`, or `X-RateLimit-Remaining`), since no request uses any of it up. Where
//! requests themselves come too fast for the disk, they are refused with 503 or 507 and `Retry-After`.

use std::fmt;

use axum::response::Response;
use hookmill_core::policy::{Concurrency, Rate};
use http::HeaderValue;
use http::header::HeaderName;

const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// One limit on deliveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quota {
    /// To all endpoints of the application together.
    Application(Rate),
    /// To one endpoint.
    Endpoint(Rate),
    /// To one endpoint at once.
    AtOnce(Concurrency),
}

impl fmt::Display for Quota {
    /// An item of RFC 9651: `"endpoint";q=100;w=60`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, rate) = match self {
            Self::Application(rate) => ("application", rate),
            Self::Endpoint(rate) => ("endpoint", rate),
            Self::AtOnce(concurrency) => {
                let quota = concurrency.get();
                return write!(formatter, "\"concurrency\";q={quota};qu=\"concurrent-requests\"");
            }
        };
        write!(formatter, "\"{name}\";q={};w={}", rate.deliveries(), rate.period_secs())
    }
}

/// The answer with these limits named, where there are any.
pub(crate) fn with_policy(mut response: Response, quotas: impl IntoIterator<Item = Quota>) -> Response {
    let items: Vec<String> = quotas.into_iter().map(|quota| quota.to_string()).collect();
    if !items.is_empty() {
        let value = HeaderValue::try_from(items.join(", ")).expect("quotas are plain text");
        response.headers_mut().insert(RATE_LIMIT_POLICY, value);
    }
    response
}
