//! The terms of known webhook systems, as data: one table, no code for any one system.
//!
//! Where a system's document contradicts itself, the row takes the reading under which all of its published values are
//! used, and its comment says so. Every value can be overridden for an endpoint ([`Overrides`](crate::policy::Overrides)).

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use http::HeaderName;
use thiserror::Error;

use crate::limits::ENDPOINT_CONCURRENCY_DEFAULT;
use crate::policy::{
    BodyHmacKey, Concurrency, DeliveryPolicy, DisableRule, Ordering, Rate, SignatureScheme, SuccessRule,
    Timeout, UrlRule,
};
use crate::retry::{RawRetryPolicy, RetryPolicy, STANDARD_WEBHOOKS_DELAYS, Schedule};

/// A known webhook system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Preset {
    /// Standard Webhooks 1.0.0.
    #[default]
    Standard,
    /// OsmoX notification service.
    Osmox,
    /// WhatsApp Business message callbacks.
    Whatsapp,
    /// Conversation message callbacks.
    Conversation,
    /// Mifumo SMS delivery events.
    Mifumo,
}

/// A name that no preset has.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("a preset is one of {}", Preset::ALL.map(|preset| preset.name()).join(", "))]
pub struct UnknownPreset;

/// What a preset sets.
struct Row {
    name: &'static str,
    delays: Delays,
    /// How much chance moves the delays, in percent of the full jitter; documented waits are kept to the second.
    jitter_percent: u8,
    timeout_secs: u64,
    success: SuccessRule,
    signature: SignatureScheme,
    /// Sent with each delivery; the operator's and the plugin's headers win.
    headers: &'static [(&'static str, &'static str)],
    concurrency: u16,
    /// Deliveries, and in how many seconds.
    rate: Option<(u16, u16)>,
    url: UrlRule,
    disable: DisableRule,
    /// Whether a composed request is made only of events that name its endpoint.
    composes_on_request: bool,
}

enum Delays {
    Fixed(&'static [Duration]),
    Exponential { base_secs: u64, factor_percent: u32, cap_secs: u64, attempts_max: u32 },
}

/// In the order of the variants.
static TABLE: [Row; 5] = [
    Row {
        name: "standard",
        delays: Delays::Fixed(&STANDARD_WEBHOOKS_DELAYS),
        jitter_percent: 100,
        timeout_secs: 15,
        success: SuccessRule::Any2xx,
        signature: SignatureScheme::Standard,
        headers: &[],
        concurrency: ENDPOINT_CONCURRENCY_DEFAULT,
        rate: None,
        url: UrlRule::Any,
        disable: DisableRule::Gone,
        composes_on_request: false,
    },
    // "Osmox uses an exponential backoff strategy": its server waits 2^n seconds after the n-th failure and makes five
    // attempts. The document's own example delivers to `http://localhost:4200`.
    Row {
        name: "osmox",
        delays: Delays::Exponential { base_secs: 2, factor_percent: 200, cap_secs: 16, attempts_max: 5 },
        jitter_percent: 0,
        timeout_secs: 15,
        success: SuccessRule::Any2xx,
        signature: SignatureScheme::Standard,
        headers: &[],
        concurrency: ENDPOINT_CONCURRENCY_DEFAULT,
        rate: None,
        url: UrlRule::Any,
        disable: DisableRule::Never,
        composes_on_request: false,
    },
    // "We'll retry the call two more times", yet the document names the waits before a fourth and a fifth attempt and a
    // longest one of 100,000 s: the tries are the default, the waits the series for whoever overrides it with more. It
    // names no wait between the second and third attempt; the series 10, 100, 1000 has one for each. "To request delivery
    // reports, include the `webhook_id` parameter": its compose webhooks get what names them, and nothing else.
    Row {
        name: "whatsapp",
        delays: Delays::Exponential {
            base_secs: 10,
            factor_percent: 1000,
            cap_secs: 100_000,
            attempts_max: 3,
        },
        jitter_percent: 0,
        timeout_secs: 3,
        success: SuccessRule::Any2xx,
        signature: SignatureScheme::BodyHmac {
            header: HeaderName::from_static("signature"),
            key: BodyHmacKey::EndpointId,
        },
        headers: &[],
        concurrency: ENDPOINT_CONCURRENCY_DEFAULT,
        rate: None,
        url: UrlRule::Any,
        disable: DisableRule::Never,
        composes_on_request: true,
    },
    // "Maximum attempts: 3" beside three retries after 4, 8 and 10 s: the three are the retries, so that all waits are
    // used.
    Row {
        name: "conversation",
        delays: Delays::Fixed(&[Duration::from_secs(4), Duration::from_secs(8), Duration::from_secs(10)]),
        jitter_percent: 0,
        timeout_secs: 30,
        success: SuccessRule::Any2xx,
        signature: SignatureScheme::Standard,
        headers: &[("content-type", "application/json")],
        concurrency: 10,
        rate: Some((100, 60)),
        url: UrlRule::HttpsOnly,
        disable: DisableRule::Never,
        composes_on_request: false,
    },
    // "We retry up to 3 times" after 1, 5 and 15 minutes; "after 3 failures, the webhook is marked as failed": the
    // failures of the retries, so that all waits are used.
    Row {
        name: "mifumo",
        delays: Delays::Fixed(&[Duration::from_secs(60), Duration::from_secs(300), Duration::from_secs(900)]),
        jitter_percent: 0,
        timeout_secs: 30,
        success: SuccessRule::Only200,
        signature: SignatureScheme::BodyHmac {
            header: HeaderName::from_static("x-webhook-signature"),
            key: BodyHmacKey::Secret,
        },
        headers: &[],
        concurrency: ENDPOINT_CONCURRENCY_DEFAULT,
        rate: None,
        url: UrlRule::Any,
        disable: DisableRule::Exhausted,
        composes_on_request: false,
    },
];

impl Preset {
    /// Every preset.
    pub const ALL: [Self; 5] =
        [Self::Standard, Self::Osmox, Self::Whatsapp, Self::Conversation, Self::Mifumo];

    /// The stable name that the API takes and shows.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// Its terms.
    #[must_use]
    pub fn policy(self) -> DeliveryPolicy {
        let row = self.row();
        let within = "the table is within the limits";
        let schedule = match row.delays {
            Delays::Fixed(delays) => Schedule::Fixed { delays: delays.to_vec() },
            Delays::Exponential { base_secs, factor_percent, cap_secs, attempts_max } => {
                Schedule::Exponential {
                    base: Duration::from_secs(base_secs),
                    factor_percent,
                    cap: Duration::from_secs(cap_secs),
                    attempts_max,
                }
            }
        };
        let retry = RawRetryPolicy { schedule, jitter_percent: row.jitter_percent };
        DeliveryPolicy {
            retry: RetryPolicy::try_from(retry).expect(within),
            timeout: Timeout::new(Duration::from_secs(row.timeout_secs)).expect(within),
            concurrency: Concurrency::new(row.concurrency).expect(within),
            rate: row.rate.map(|(deliveries, secs)| Rate::new(deliveries, secs).expect(within)),
            ordering: Ordering::Unordered,
            success: row.success,
            signature: row.signature.clone(),
            url: row.url,
            disable: row.disable,
        }
    }

    /// Whether an endpoint with a composition gets only the events that name it (`webhook_id`).
    #[must_use]
    pub fn composes_on_request(self) -> bool {
        self.row().composes_on_request
    }

    /// Headers that it sends with each delivery: lowercase names and visible values.
    #[must_use]
    pub fn headers(self) -> &'static [(&'static str, &'static str)] {
        self.row().headers
    }

    fn row(self) -> &'static Row {
        &TABLE[self as usize]
    }
}

impl FromStr for Preset {
    type Err = UnknownPreset;

    fn from_str(text: &str) -> Result<Self, UnknownPreset> {
        Self::ALL.into_iter().find(|preset| preset.name() == text).ok_or(UnknownPreset)
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds before each retry.
    fn waits(retry: &RetryPolicy) -> Vec<u64> {
        (1..).map_while(|failed| retry.delay_after(failed, 0.7)).map(|delay| delay.as_secs()).collect()
    }

    #[test]
    fn names_read_back() {
        for preset in Preset::ALL {
            assert_eq!(preset.to_string().parse(), Ok(preset));
        }
        assert_eq!("Standard".parse::<Preset>(), Err(UnknownPreset));
        assert_eq!(
            UnknownPreset.to_string(),
            "a preset is one of standard, osmox, whatsapp, conversation, mifumo"
        );
    }

    #[test]
    fn schedules_are_those_of_the_documents() {
        let check = |preset: Preset, waits_expected: &[u64], timeout_secs: u64| {
            let policy = preset.policy();
            assert_eq!(waits(&policy.retry), waits_expected, "{preset}");
            assert_eq!(policy.timeout.get(), Duration::from_secs(timeout_secs), "{preset}");
        };
        check(Preset::Osmox, &[2, 4, 8, 16], 15);
        check(Preset::Whatsapp, &[10, 100], 3);
        check(Preset::Conversation, &[4, 8, 10], 30);
        check(Preset::Mifumo, &[60, 300, 900], 30);
        assert_eq!(Preset::Standard.policy().retry, RetryPolicy::default());
    }

    #[test]
    fn more_tries_of_whatsapp_go_on_to_27_hours() {
        let mut raw = RawRetryPolicy::from(Preset::Whatsapp.policy().retry);
        if let Schedule::Exponential { attempts_max, .. } = &mut raw.schedule {
            *attempts_max = 7;
        }
        let retry = RetryPolicy::try_from(raw).unwrap();
        assert_eq!(waits(&retry), [10, 100, 1000, 10_000, 100_000, 100_000]);
    }

    #[test]
    fn the_standard_preset_is_the_default_policy() {
        let policy = Preset::Standard.policy();
        assert_eq!(policy.timeout.get(), crate::limits::ATTEMPT_TIMEOUT_DEFAULT);
        assert_eq!(policy.concurrency.get(), ENDPOINT_CONCURRENCY_DEFAULT);
        assert_eq!((policy.success, policy.disable), (SuccessRule::Any2xx, DisableRule::Gone));
    }
}
