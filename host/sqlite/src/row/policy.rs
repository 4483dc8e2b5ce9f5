//! A delivery policy as JSON.

use std::time::Duration;

use hookmill_core::endpoint::{Concurrency, DeliveryPolicy, Ordering, Rate, Timeout};
use hookmill_core::retry::{RawRetryPolicy, RetryPolicy, Schedule};
use serde::{Deserialize, Serialize};

use super::column::{from_json, to_json};
use crate::error::DbError;

const TABLE: &str = "endpoint";

/// Version 1 of the JSON.
#[derive(Serialize, Deserialize)]
#[serde(tag = "version", rename_all = "snake_case")]
enum StoredPolicy {
    #[serde(rename = "1")]
    V1 {
        schedule: StoredSchedule,
        jitter_percent: u8,
        timeout_ms: u64,
        concurrency: u16,
        rate: Option<StoredRate>,
        ordering: StoredOrdering,
    },
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
enum StoredOrdering {
    Unordered,
    PerKey,
    Strict,
}

pub(crate) fn policy_to_json(policy: &DeliveryPolicy) -> String {
    let raw = RawRetryPolicy::from(policy.retry.clone());
    to_json(&StoredPolicy::V1 {
        schedule: match raw.schedule {
            Schedule::Fixed { delays } => {
                StoredSchedule::Fixed { delays_ms: delays.into_iter().map(to_millis).collect() }
            }
            Schedule::Exponential { base, factor_percent, cap, attempts_max } => {
                StoredSchedule::Exponential {
                    base_ms: to_millis(base),
                    factor_percent,
                    cap_ms: to_millis(cap),
                    attempts_max,
                }
            }
        },
        jitter_percent: raw.jitter_percent,
        timeout_ms: to_millis(policy.timeout.get()),
        concurrency: policy.concurrency.get(),
        rate: policy
            .rate
            .map(|rate| StoredRate { deliveries: rate.deliveries(), period_secs: rate.period_secs() }),
        ordering: match policy.ordering {
            Ordering::Unordered => StoredOrdering::Unordered,
            Ordering::PerKey => StoredOrdering::PerKey,
            Ordering::Strict => StoredOrdering::Strict,
        },
    })
}

pub(crate) fn policy_from_json(json: &str) -> Result<DeliveryPolicy, DbError> {
    let StoredPolicy::V1 { schedule, jitter_percent, timeout_ms, concurrency, rate, ordering } =
        from_json(TABLE, json)?;
    let schedule = match schedule {
        StoredSchedule::Fixed { delays_ms } => {
            Schedule::Fixed { delays: delays_ms.into_iter().map(Duration::from_millis).collect() }
        }
        StoredSchedule::Exponential { base_ms, factor_percent, cap_ms, attempts_max } => {
            Schedule::Exponential {
                base: Duration::from_millis(base_ms),
                factor_percent,
                cap: Duration::from_millis(cap_ms),
                attempts_max,
            }
        }
    };
    let retry = RetryPolicy::try_from(RawRetryPolicy { schedule, jitter_percent });
    let rate = rate.map(|rate| Rate::new(rate.deliveries, rate.period_secs)).transpose();
    Ok(DeliveryPolicy {
        retry: retry.map_err(|error| DbError::row(TABLE, error))?,
        timeout: Timeout::new(Duration::from_millis(timeout_ms))
            .map_err(|error| DbError::row(TABLE, error))?,
        concurrency: Concurrency::new(concurrency).map_err(|error| DbError::row(TABLE, error))?,
        rate: rate.map_err(|error| DbError::row(TABLE, error))?,
        ordering: match ordering {
            StoredOrdering::Unordered => Ordering::Unordered,
            StoredOrdering::PerKey => Ordering::PerKey,
            StoredOrdering::Strict => Ordering::Strict,
        },
    })
}

fn to_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
