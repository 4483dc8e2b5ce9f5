//! `/app/{app}/endpoint/{endpoint}/policy`: when and how often a delivery is tried. Ours.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use hookmill_app::administer::policy::PolicyPatch;
use hookmill_core::endpoint::{Concurrency, DeliveryPolicy, InvalidPolicy, Ordering, Rate, Timeout};
use hookmill_core::retry::{RawRetryPolicy, RetryPolicy, Schedule};
use hookmill_core::route::Routes;
use http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::answer;
use crate::auth::Caller;
use crate::context::{Context, Decided};
use crate::error::{ApiError, Handled};
use crate::fields::{nullable, patched};
use crate::input::Input;
use crate::rate_limit::{Quota, with_policy};

/// Either `schedule` or `exponential` sets the delays between attempts.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PolicyIn {
    /// Seconds before each retry; fractions are allowed.
    schedule: Option<Vec<f64>>,
    exponential: Option<ExponentialDto>,
    jitter_percent: Option<u8>,
    timeout_ms: Option<u64>,
    concurrency: Option<u16>,
    #[serde(default, deserialize_with = "nullable")]
    rate: Option<Option<RateDto>>,
    ordering: Option<OrderingDto>,
}

#[derive(Deserialize, Serialize, Clone, Copy)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ExponentialDto {
    base_ms: u64,
    factor_percent: u32,
    cap_ms: u64,
    attempts_max: u32,
}

#[derive(Deserialize, Serialize, Clone, Copy)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RateDto {
    deliveries: u16,
    #[serde(default = "one_second")]
    period_secs: u16,
}

#[derive(Deserialize, Serialize, Clone, Copy)]
#[serde(rename_all = "camelCase")]
enum OrderingDto {
    Unordered,
    PerKey,
    Strict,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PolicyOut {
    #[serde(skip_serializing_if = "Option::is_none")]
    schedule: Option<Vec<serde_json::Number>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exponential: Option<ExponentialDto>,
    attempts_max: u32,
    jitter_percent: u8,
    timeout_ms: u64,
    concurrency: u16,
    rate: Option<RateDto>,
    ordering: OrderingDto,
}

fn one_second() -> u16 {
    1
}

impl PolicyOut {
    fn of(policy: &DeliveryPolicy) -> Self {
        let RawRetryPolicy { schedule, jitter_percent } = policy.retry.clone().into();
        let (schedule, exponential) = match schedule {
            Schedule::Fixed { delays } => (Some(delays.into_iter().filter_map(seconds).collect()), None),
            Schedule::Exponential { base, factor_percent, cap, attempts_max } => {
                let (base_ms, cap_ms) = (millis(base), millis(cap));
                (None, Some(ExponentialDto { base_ms, factor_percent, cap_ms, attempts_max }))
            }
        };
        Self {
            schedule,
            exponential,
            attempts_max: policy.retry.attempts_max(),
            jitter_percent,
            timeout_ms: millis(policy.timeout.get()),
            concurrency: policy.concurrency.get(),
            rate: policy
                .rate
                .map(|rate| RateDto { deliveries: rate.deliveries(), period_secs: rate.period_secs() }),
            ordering: match policy.ordering {
                Ordering::Unordered => OrderingDto::Unordered,
                Ordering::PerKey => OrderingDto::PerKey,
                Ordering::Strict => OrderingDto::Strict,
            },
        }
    }
}

impl PolicyIn {
    fn parse(self, current: &DeliveryPolicy) -> Result<PolicyPatch, ApiError> {
        Ok(PolicyPatch {
            retry: self.retry(current)?,
            timeout: self.timeout_ms.map(timeout).transpose()?,
            concurrency: self.concurrency.map(concurrency).transpose()?,
            rate: patched(self.rate, rate)?,
            ordering: self.ordering.map(|ordering| match ordering {
                OrderingDto::Unordered => Ordering::Unordered,
                OrderingDto::PerKey => Ordering::PerKey,
                OrderingDto::Strict => Ordering::Strict,
            }),
        })
    }

    fn retry(&self, current: &DeliveryPolicy) -> Result<Option<RetryPolicy>, ApiError> {
        let mut raw = RawRetryPolicy::from(current.retry.clone());
        match (&self.schedule, self.exponential) {
            (Some(_), Some(_)) => {
                let detail = "give either a schedule or an exponential backoff";
                return Err(ApiError::field("exponential", "schedule_ambiguous", detail));
            }
            (Some(delays), None) => {
                let delays = delays.iter().map(|seconds| delay(*seconds)).collect::<Result<_, _>>()?;
                raw.schedule = Schedule::Fixed { delays };
            }
            (None, Some(ExponentialDto { base_ms, factor_percent, cap_ms, attempts_max })) => {
                let (base, cap) = (Duration::from_millis(base_ms), Duration::from_millis(cap_ms));
                raw.schedule = Schedule::Exponential { base, factor_percent, cap, attempts_max };
            }
            (None, None) if self.jitter_percent.is_none() => return Ok(None),
            (None, None) => {}
        }
        raw.jitter_percent = self.jitter_percent.unwrap_or(raw.jitter_percent);
        let field = if self.exponential.is_some() { "exponential" } else { "schedule" };
        let policy = RetryPolicy::try_from(raw);
        policy.map(Some).map_err(|error| ApiError::field(field, error.code(), error.to_string()))
    }
}

fn delay(seconds: f64) -> Result<Duration, ApiError> {
    Duration::try_from_secs_f64(seconds).map_err(|_| {
        ApiError::field("schedule", "retry_delay_out_of_range", "a delay is a number of seconds")
    })
}

fn timeout(millis: u64) -> Result<Timeout, ApiError> {
    Timeout::new(Duration::from_millis(millis)).map_err(|error| refused("timeoutMs", &error))
}

fn concurrency(deliveries: u16) -> Result<Concurrency, ApiError> {
    Concurrency::new(deliveries).map_err(|error| refused("concurrency", &error))
}

fn rate(rate: RateDto) -> Result<Rate, ApiError> {
    Rate::new(rate.deliveries, rate.period_secs).map_err(|error| refused("rate", &error))
}

fn refused(field: &str, error: &InvalidPolicy) -> ApiError {
    let code = match error {
        InvalidPolicy::Timeout => "timeout_out_of_range",
        InvalidPolicy::Concurrency => "concurrency_out_of_range",
        InvalidPolicy::Rate => "rate_out_of_range",
    };
    ApiError::field(field, code, error.to_string())
}

/// What limits the deliveries of an endpoint.
fn quotas(routes: &Routes, policy: &DeliveryPolicy) -> impl Iterator<Item = Quota> {
    let application = routes.application.rate().map(Quota::Application);
    let endpoint = policy.rate.map(Quota::Endpoint);
    application.into_iter().chain(endpoint).chain([Quota::AtOnce(policy.concurrency)])
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Seconds without a fraction where there is none.
fn seconds(duration: Duration) -> Option<serde_json::Number> {
    if duration.subsec_nanos() == 0 {
        return Some(duration.as_secs().into());
    }
    serde_json::Number::from_f64(duration.as_secs_f64())
}

pub(crate) async fn get(
    State(context): State<Arc<Context>>,
    caller: Caller,
    Path((application, endpoint)): Path<(String, String)>,
) -> Handled {
    let (routes, endpoint) = caller.endpoint(&context, &application, &endpoint)?;
    let answer = answer::json(StatusCode::OK, &PolicyOut::of(&endpoint.policy));
    Ok(with_policy(answer, quotas(&routes, &endpoint.policy)))
}

pub(crate) async fn patch(
    State(context): State<Arc<Context>>,
    caller: Caller,
    Path((application, endpoint)): Path<(String, String)>,
    input: Input,
) -> Handled {
    let (routes, endpoint) = caller.endpoint(&context, &application, &endpoint)?;
    let (application, id) = (routes.application.id, endpoint.id);
    let patch = input.json::<PolicyIn>()?.parse(&endpoint.policy)?;
    let answer = context.edit(move |edit| {
        let endpoint = edit.patch_policy(application, id, patch)?;
        Ok(Decided::json(StatusCode::OK, &PolicyOut::of(&endpoint.policy)))
    });
    let answer = answer.await?;
    let changed = context.app.table().endpoints.get(&id).cloned();
    Ok(with_policy(answer, changed.iter().flat_map(|endpoint| quotas(&routes, &endpoint.policy))))
}
