//! An endpoint's terms as JSON: the preset and what is overridden of it.

use std::fmt::Display;
use std::time::Duration;

use hookmill_core::policy::{
    BodyHmacKey, Concurrency, DisableRule, Ordering, Overrides, Policy, Rate, SignatureScheme, SuccessRule,
    Timeout, UrlRule,
};
use hookmill_core::preset::Preset;
use hookmill_core::retry::{RawRetryPolicy, RetryPolicy, Schedule};
use serde::{Deserialize, Serialize};

use super::column::{from_json, to_json};
use crate::error::DbError;

const TABLE: &str = "endpoint";

/// The JSON.
#[derive(Serialize, Deserialize)]
#[serde(tag = "version", rename_all = "snake_case")]
enum StoredPolicy {
    /// Before there were presets: every value, as it was in force.
    #[serde(rename = "1")]
    V1 {
        schedule: StoredSchedule,
        jitter_percent: u8,
        timeout_ms: u64,
        concurrency: u16,
        rate: Option<StoredRate>,
        ordering: StoredOrdering,
    },
    #[serde(rename = "2")]
    V2 {
        preset: String,
        #[serde(default)]
        overrides: StoredOverrides,
    },
}

#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
struct StoredOverrides {
    #[serde(skip_serializing_if = "Option::is_none")]
    retry: Option<StoredRetry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    concurrency: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rate: Option<StoredRateLimit>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ordering: Option<StoredOrdering>,
    #[serde(skip_serializing_if = "Option::is_none")]
    success: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signature: Option<StoredSignature>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disable: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct StoredRetry {
    schedule: StoredSchedule,
    jitter_percent: u8,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoredSchedule {
    Fixed { delays_ms: Vec<u64> },
    Exponential { base_ms: u64, factor_percent: u32, cap_ms: u64, attempts_max: u32 },
}

#[derive(Serialize, Deserialize)]
struct StoredRate {
    deliveries: u16,
    period_secs: u16,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoredRateLimit {
    None,
    At(StoredRate),
}

#[derive(Serialize, Deserialize, Clone, Copy)]
#[serde(rename_all = "snake_case")]
enum StoredOrdering {
    Unordered,
    PerKey,
    Strict,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoredSignature {
    Standard,
    BodyHmacBySecret { header: String },
    BodyHmacByEndpointId { header: String },
    HttpMessage,
}

pub(crate) fn policy_to_json(policy: &Policy) -> String {
    to_json(&StoredPolicy::V2 {
        preset: policy.preset().name().to_owned(),
        overrides: StoredOverrides::of(policy.overrides()),
    })
}

pub(crate) fn policy_from_json(json: &str) -> Result<Policy, DbError> {
    match from_json(TABLE, json)? {
        StoredPolicy::V1 { schedule, jitter_percent, timeout_ms, concurrency, rate, ordering } => {
            let stored = StoredOverrides {
                retry: Some(StoredRetry { schedule, jitter_percent }),
                timeout_ms: Some(timeout_ms),
                concurrency: Some(concurrency),
                rate: Some(rate.map_or(StoredRateLimit::None, StoredRateLimit::At)),
                ordering: Some(ordering),
                ..StoredOverrides::default()
            };
            Ok(Policy::new(Preset::Standard, without_defaults(stored.read()?)))
        }
        StoredPolicy::V2 { preset, overrides } => {
            let preset = preset.parse().map_err(|error| DbError::row(TABLE, error))?;
            Ok(Policy::new(preset, overrides.read()?))
        }
    }
}

/// What was the default then was not set by anybody.
fn without_defaults(overrides: Overrides) -> Overrides {
    let preset = Preset::Standard.policy();
    Overrides {
        retry: overrides.retry.filter(|retry| *retry != preset.retry),
        timeout: overrides.timeout.filter(|timeout| *timeout != preset.timeout),
        concurrency: overrides.concurrency.filter(|concurrency| *concurrency != preset.concurrency),
        rate: overrides.rate.filter(|rate| *rate != preset.rate),
        ordering: overrides.ordering.filter(|ordering| *ordering != preset.ordering),
        ..overrides
    }
}

impl StoredOverrides {
    fn of(overrides: &Overrides) -> Self {
        let rate = |rate: Rate| StoredRate { deliveries: rate.deliveries(), period_secs: rate.period_secs() };
        Self {
            retry: overrides.retry.clone().map(|retry| StoredRetry::of(retry.into())),
            timeout_ms: overrides.timeout.map(|timeout| to_millis(timeout.get())),
            concurrency: overrides.concurrency.map(Concurrency::get),
            rate: overrides
                .rate
                .map(|limit| limit.map_or(StoredRateLimit::None, |limit| StoredRateLimit::At(rate(limit)))),
            ordering: overrides.ordering.map(|ordering| match ordering {
                Ordering::Unordered => StoredOrdering::Unordered,
                Ordering::PerKey => StoredOrdering::PerKey,
                Ordering::Strict => StoredOrdering::Strict,
            }),
            success: overrides.success.map(|rule| rule.code().to_owned()),
            signature: overrides.signature.as_ref().map(StoredSignature::of),
            url: overrides.url.map(|rule| rule.code().to_owned()),
            disable: overrides.disable.map(|rule| rule.code().to_owned()),
        }
    }

    fn read(self) -> Result<Overrides, DbError> {
        let timeout = |millis: u64| Timeout::new(Duration::from_millis(millis));
        let rate = |limit: StoredRateLimit| match limit {
            StoredRateLimit::None => Ok(None),
            StoredRateLimit::At(rate) => Rate::new(rate.deliveries, rate.period_secs).map(Some),
        };
        Ok(Overrides {
            retry: self.retry.map(StoredRetry::read).transpose()?,
            timeout: self.timeout_ms.map(timeout).transpose().map_err(wrong)?,
            concurrency: self.concurrency.map(Concurrency::new).transpose().map_err(wrong)?,
            rate: self.rate.map(rate).transpose().map_err(wrong)?,
            ordering: self.ordering.map(|ordering| match ordering {
                StoredOrdering::Unordered => Ordering::Unordered,
                StoredOrdering::PerKey => Ordering::PerKey,
                StoredOrdering::Strict => Ordering::Strict,
            }),
            success: self.success.map(|code| rule(SuccessRule::from_code(&code), &code)).transpose()?,
            signature: self.signature.map(StoredSignature::read).transpose()?,
            url: self.url.map(|code| rule(UrlRule::from_code(&code), &code)).transpose()?,
            disable: self.disable.map(|code| rule(DisableRule::from_code(&code), &code)).transpose()?,
        })
    }
}

impl StoredRetry {
    fn of(raw: RawRetryPolicy) -> Self {
        let schedule = match raw.schedule {
            Schedule::Fixed { delays } => {
                StoredSchedule::Fixed { delays_ms: delays.into_iter().map(to_millis).collect() }
            }
            Schedule::Exponential { base, factor_percent, cap, attempts_max } => {
                let (base_ms, cap_ms) = (to_millis(base), to_millis(cap));
                StoredSchedule::Exponential { base_ms, factor_percent, cap_ms, attempts_max }
            }
        };
        Self { schedule, jitter_percent: raw.jitter_percent }
    }

    fn read(self) -> Result<RetryPolicy, DbError> {
        let schedule = match self.schedule {
            StoredSchedule::Fixed { delays_ms } => {
                Schedule::Fixed { delays: delays_ms.into_iter().map(Duration::from_millis).collect() }
            }
            StoredSchedule::Exponential { base_ms, factor_percent, cap_ms, attempts_max } => {
                let (base, cap) = (Duration::from_millis(base_ms), Duration::from_millis(cap_ms));
                Schedule::Exponential { base, factor_percent, cap, attempts_max }
            }
        };
        RetryPolicy::try_from(RawRetryPolicy { schedule, jitter_percent: self.jitter_percent }).map_err(wrong)
    }
}

impl StoredSignature {
    fn of(scheme: &SignatureScheme) -> Self {
        match scheme {
            SignatureScheme::Standard => Self::Standard,
            SignatureScheme::BodyHmac { header, key: BodyHmacKey::Secret } => {
                Self::BodyHmacBySecret { header: header.to_string() }
            }
            SignatureScheme::BodyHmac { header, key: BodyHmacKey::EndpointId } => {
                Self::BodyHmacByEndpointId { header: header.to_string() }
            }
            SignatureScheme::HttpMessage => Self::HttpMessage,
        }
    }

    fn read(self) -> Result<SignatureScheme, DbError> {
        match self {
            Self::Standard => Ok(SignatureScheme::Standard),
            Self::BodyHmacBySecret { header } => SignatureScheme::body_hmac(&header, BodyHmacKey::Secret),
            Self::BodyHmacByEndpointId { header } => {
                SignatureScheme::body_hmac(&header, BodyHmacKey::EndpointId)
            }
            Self::HttpMessage => Ok(SignatureScheme::HttpMessage),
        }
        .map_err(wrong)
    }
}

fn rule<T>(known: Option<T>, code: &str) -> Result<T, DbError> {
    known.ok_or_else(|| DbError::row(TABLE, format!("unknown rule {code:?}")))
}

fn wrong(error: impl Display) -> DbError {
    DbError::row(TABLE, error)
}

fn to_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_from_before_presets_keep_what_was_set_by_hand() {
        let json = r#"{"version":"1","schedule":{"fixed":{"delays_ms":[1000]}},"jitter_percent":0,"timeout_ms":15000,
            "concurrency":64,"rate":null,"ordering":"unordered"}"#;
        let policy = policy_from_json(json).unwrap();
        let retry = policy.effective().retry.clone();
        assert_eq!(retry.attempts_max(), 2);
        let overrides = Overrides { retry: Some(retry), ..Overrides::default() };
        assert_eq!(policy, Policy::new(Preset::Standard, overrides));
    }
}
