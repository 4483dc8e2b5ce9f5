//! `/app/{app}/endpoint/{endpoint}/policy`: the terms on which an endpoint receives. Ours.
//!
//! What is shown is in force; `sources` says of each value whether it is the preset's or was set on the endpoint.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use hookmill_app::administer::policy::{PolicyPatch, Term};
use hookmill_core::policy::{
    BodyHmacKey, Concurrency, DeliveryPolicy, DisableRule, InvalidPolicy, Ordering, Overrides, Policy, Rate,
    SignatureScheme, SuccessRule, Timeout, UrlRule,
};
use hookmill_core::retry::{RawRetryPolicy, RetryPolicy, Schedule};
use hookmill_core::route::Routes;
use http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::answer;
use crate::auth::Caller;
use crate::context::{Context, Decided};
use crate::error::{ApiError, Handled};
use crate::fields::{self, nullable, or_default, patched};
use crate::input::Input;
use crate::rate_limit::{Quota, with_policy};

/// Either `schedule` or `exponential` sets the delays between attempts.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PolicyIn {
    preset: Option<String>,
    /// Names of values that are the preset's again.
    #[serde(default, deserialize_with = "or_default")]
    reset: Vec<TermDto>,
    /// Seconds before each retry; fractions are allowed.
    schedule: Option<Vec<f64>>,
    exponential: Option<ExponentialDto>,
    jitter_percent: Option<u8>,
    timeout_ms: Option<u64>,
    concurrency: Option<u16>,
    #[serde(default, deserialize_with = "nullable")]
    rate: Option<Option<RateDto>>,
    ordering: Option<OrderingDto>,
    success: Option<String>,
    signature: Option<SignatureDto>,
    url: Option<String>,
    disable: Option<String>,
}

/// The values by their names in the body; `exponential` and `jitterPercent` belong to the schedule.
#[derive(Deserialize, Serialize, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "camelCase")]
enum TermDto {
    Schedule,
    TimeoutMs,
    Concurrency,
    Rate,
    Ordering,
    Success,
    Signature,
    Url,
    Disable,
}

/// `{"scheme": "bodyHmac", "header": "X-Webhook-Signature", "key": "secret"}` and the like.
#[derive(Deserialize, Serialize)]
#[serde(tag = "scheme", rename_all = "camelCase", deny_unknown_fields)]
enum SignatureDto {
    // With braces, so that members that they do not have are refused.
    Standard {},
    BodyHmac { header: String, key: BodyHmacKeyDto },
    HttpMessage {},
}

#[derive(Deserialize, Serialize, Clone, Copy)]
#[serde(rename_all = "camelCase")]
enum BodyHmacKeyDto {
    Secret,
    EndpointId,
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
    preset: &'static str,
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
    success: &'static str,
    signature: SignatureDto,
    url: &'static str,
    disable: &'static str,
    headers: BTreeMap<&'static str, &'static str>,
    sources: BTreeMap<TermDto, Origin>,
}

/// Where a value comes from.
#[derive(Serialize, Clone, Copy)]
#[serde(rename_all = "camelCase")]
enum Origin {
    Preset,
    Endpoint,
}

fn one_second() -> u16 {
    1
}

impl PolicyOut {
    fn of(policy: &Policy) -> Self {
        let (preset, sources) = (policy.preset(), sources(policy.overrides()));
        let policy = policy.effective();
        let RawRetryPolicy { schedule, jitter_percent } = policy.retry.clone().into();
        let (schedule, exponential) = match schedule {
            Schedule::Fixed { delays } => (Some(delays.into_iter().filter_map(seconds).collect()), None),
            Schedule::Exponential { base, factor_percent, cap, attempts_max } => {
                let (base_ms, cap_ms) = (millis(base), millis(cap));
                (None, Some(ExponentialDto { base_ms, factor_percent, cap_ms, attempts_max }))
            }
        };
        Self {
            preset: preset.name(),
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
            success: policy.success.code(),
            signature: SignatureDto::of(&policy.signature),
            url: policy.url.code(),
            disable: policy.disable.code(),
            headers: preset.headers().iter().copied().collect(),
            sources,
        }
    }
}

fn sources(overrides: &Overrides) -> BTreeMap<TermDto, Origin> {
    let set = [
        (TermDto::Schedule, overrides.retry.is_some()),
        (TermDto::TimeoutMs, overrides.timeout.is_some()),
        (TermDto::Concurrency, overrides.concurrency.is_some()),
        (TermDto::Rate, overrides.rate.is_some()),
        (TermDto::Ordering, overrides.ordering.is_some()),
        (TermDto::Success, overrides.success.is_some()),
        (TermDto::Signature, overrides.signature.is_some()),
        (TermDto::Url, overrides.url.is_some()),
        (TermDto::Disable, overrides.disable.is_some()),
    ];
    set.into_iter()
        .map(|(term, is_set)| (term, if is_set { Origin::Endpoint } else { Origin::Preset }))
        .collect()
}

impl From<TermDto> for Term {
    fn from(term: TermDto) -> Self {
        match term {
            TermDto::Schedule => Self::Retry,
            TermDto::TimeoutMs => Self::Timeout,
            TermDto::Concurrency => Self::Concurrency,
            TermDto::Rate => Self::Rate,
            TermDto::Ordering => Self::Ordering,
            TermDto::Success => Self::Success,
            TermDto::Signature => Self::Signature,
            TermDto::Url => Self::Url,
            TermDto::Disable => Self::Disable,
        }
    }
}

impl SignatureDto {
    fn of(scheme: &SignatureScheme) -> Self {
        match scheme {
            SignatureScheme::Standard => Self::Standard {},
            SignatureScheme::BodyHmac { header, key } => Self::BodyHmac {
                header: header.to_string(),
                key: match key {
                    BodyHmacKey::Secret => BodyHmacKeyDto::Secret,
                    BodyHmacKey::EndpointId => BodyHmacKeyDto::EndpointId,
                },
            },
            SignatureScheme::HttpMessage => Self::HttpMessage {},
        }
    }

    fn parse(self) -> Result<SignatureScheme, ApiError> {
        match self {
            Self::Standard {} => Ok(SignatureScheme::Standard),
            Self::BodyHmac { header, key } => {
                let key = match key {
                    BodyHmacKeyDto::Secret => BodyHmacKey::Secret,
                    BodyHmacKeyDto::EndpointId => BodyHmacKey::EndpointId,
                };
                SignatureScheme::body_hmac(&header, key).map_err(|error| refused("signature.header", &error))
            }
            Self::HttpMessage {} => Ok(SignatureScheme::HttpMessage),
        }
    }
}

impl PolicyIn {
    fn parse(self, current: &Policy) -> Result<PolicyPatch, ApiError> {
        let preset = self.preset.as_deref().map(fields::preset).transpose()?;
        // A jitter alone changes the schedule that will be in force.
        let keeps_schedule = !self.reset.contains(&TermDto::Schedule);
        let retry = current.overrides().retry.clone().filter(|_| keeps_schedule);
        let base =
            Policy::new(preset.unwrap_or(current.preset()), Overrides { retry, ..Overrides::default() });
        let overrides = Overrides {
            retry: self.retry(base.effective())?,
            timeout: self.timeout_ms.map(timeout).transpose()?,
            concurrency: self.concurrency.map(concurrency).transpose()?,
            rate: patched(self.rate, rate)?,
            ordering: self.ordering.map(|ordering| match ordering {
                OrderingDto::Unordered => Ordering::Unordered,
                OrderingDto::PerKey => Ordering::PerKey,
                OrderingDto::Strict => Ordering::Strict,
            }),
            success: self
                .success
                .map(|code| {
                    rule("success", SuccessRule::from_code(&code), &SuccessRule::ALL.map(SuccessRule::code))
                })
                .transpose()?,
            signature: self.signature.map(SignatureDto::parse).transpose()?,
            url: self
                .url
                .map(|code| rule("url", UrlRule::from_code(&code), &UrlRule::ALL.map(UrlRule::code)))
                .transpose()?,
            disable: self
                .disable
                .map(|code| {
                    rule("disable", DisableRule::from_code(&code), &DisableRule::ALL.map(DisableRule::code))
                })
                .transpose()?,
        };
        Ok(PolicyPatch { preset, reset: self.reset.into_iter().map(Term::from).collect(), overrides })
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
    ApiError::field(field, error.code(), error.to_string())
}

fn rule<T>(field: &str, known: Option<T>, codes: &[&str]) -> Result<T, ApiError> {
    let detail = || format!("is one of {}", codes.join(", "));
    known.ok_or_else(|| ApiError::field(field, "rule_unknown", detail()))
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
    Ok(with_policy(answer, quotas(&routes, endpoint.policy.effective())))
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
    Ok(with_policy(answer, changed.iter().flat_map(|endpoint| quotas(&routes, endpoint.policy.effective()))))
}
