//! What one HTTP request of a delivery came to, and what that means.
//!
//! The transport reports an [`Outcome`]: an answer, or a [`Failure`] with one of a fixed set of classes. [`classify`]
//! turns it into a [`Class`], from which [`delivery::decide`](crate::delivery::decide) makes the next action. The
//! rules are those of Standard Webhooks 1.0.0 ("Webhook delivery: success and failure") and RFC 9110.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;

use crate::limits::FAILURE_DETAIL_BYTES_MAX;
use crate::plugin::{ClassifiedAnswers, ClassifierVerdict};
use crate::policy::{DeliveryPolicy, DisableRule};

/// The shortest wait after 429 without a `Retry-After`, for the whole endpoint.
///
/// The first step of the Standard Webhooks schedule: long enough to matter to a receiver that counts requests a
/// second, short enough that one stray 429 does not stop an endpoint with much traffic.
pub const RATE_LIMITED_WAIT: Duration = Duration::from_secs(5);

/// The shortest wait after the address guard refused every address of the host.
///
/// Only a change of DNS or of the operator's allow list can help, and both take minutes to happen and to be seen.
pub const ADDRESS_BLOCKED_WAIT: Duration = Duration::from_secs(300);

/// How long a delivery waits that was not sent because this machine lacked something.
///
/// What is lacking is given back within seconds, by deliveries that end; one that asks again at once would only take
/// the processor from them.
pub const NOT_SENT_WAIT: Duration = Duration::from_secs(1);

/// What one HTTP request came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The receiver answered.
    Answered {
        /// The final status, 200 to 599; others are [`TransportFailure::ProtocolError`].
        status: u16,
        /// What `Retry-After` asked for, as [`RetryAfter::parse`](crate::retry::RetryAfter::parse) read it.
        retry_after: Option<Duration>,
        /// All headers.
        headers: HeaderMap,
        /// The beginning of the body, at most
        /// [`RESPONSE_BODY_BYTES_MAX`](crate::limits::RESPONSE_BODY_BYTES_MAX); what follows was not waited for.
        body: Bytes,
    },
    /// No complete answer came.
    Failed(Failure),
    /// This machine lacks something that the request needs, such as descriptors, ports or memory. Nothing was sent, which
    /// says nothing about the receiver, so it is no attempt.
    NotSent {
        /// What is lacking, for the log.
        detail: Box<str>,
    },
}

/// Why no complete answer came, for programs and for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    class: TransportFailure,
    detail: Box<str>,
}

/// The classes of failure of one request. Their [`code`](Self::code)s are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TransportFailure {
    /// The host's name gave no address.
    DnsFailed,
    /// The address guard refused every address of the host.
    AddressBlocked,
    /// The host refused the connection.
    ConnectRefused,
    /// The connection could not be made for another reason, such as no route.
    ConnectFailed,
    /// The connection was not made before its deadline.
    ConnectTimeout,
    /// The TLS handshake failed: certificate, name or protocol.
    TlsFailed,
    /// The connection was made, but no response head came before the attempt's deadline.
    ResponseTimeout,
    /// The response head came, but its body did not end before the attempt's deadline.
    ///
    /// Whatever its status said: a receiver that answers at once and then drips has not taken the event.
    BodyTimeout,
    /// The receiver closed or reset the connection before its answer was complete.
    ConnectionReset,
    /// What came is not HTTP, or not an answer.
    ProtocolError,
    /// The response head is over the transport's limit.
    ResponseHeaderTooLarge,
}

/// What an [`Outcome`] means for its delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// The receiver has the event.
    Delivered,
    /// It may have it at another try.
    Retry {
        /// Not sooner than this, whatever the schedule says.
        at_least: Option<Duration>,
        /// [`at_least`](Self::Retry::at_least) holds for the whole endpoint, not for this delivery alone.
        pause_endpoint: bool,
    },
    /// The receiver wants no event any more: the endpoint is to be disabled.
    Gone,
    /// The receiver will never take this event, says the endpoint's classifier.
    Refused,
}

impl Outcome {
    /// A request that failed; `detail` is cut at
    /// [`FAILURE_DETAIL_BYTES_MAX`].
    #[must_use]
    pub fn failed(class: TransportFailure, detail: &str) -> Self {
        Self::Failed(Failure::new(class, detail))
    }

    /// The status of the answer, where there was one.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Answered { status, .. } => Some(*status),
            Self::Failed(_) | Self::NotSent { .. } => None,
        }
    }
}

impl Failure {
    /// A failure of this class; `detail` is cut at
    /// [`FAILURE_DETAIL_BYTES_MAX`].
    #[must_use]
    pub fn new(class: TransportFailure, detail: &str) -> Self {
        let end = detail.floor_char_boundary(FAILURE_DETAIL_BYTES_MAX);
        Self { class, detail: detail[..end].into() }
    }

    /// The class.
    #[must_use]
    pub fn class(&self) -> TransportFailure {
        self.class
    }

    /// What a person should read beside the class, bounded.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

impl fmt::Display for Failure {
    /// `code` or `code: detail`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.class.code())?;
        if !self.detail.is_empty() {
            write!(formatter, ": {}", self.detail)?;
        }
        Ok(())
    }
}

impl TransportFailure {
    /// Every class.
    pub const ALL: [Self; 11] = [
        Self::DnsFailed,
        Self::AddressBlocked,
        Self::ConnectRefused,
        Self::ConnectFailed,
        Self::ConnectTimeout,
        Self::TlsFailed,
        Self::ResponseTimeout,
        Self::BodyTimeout,
        Self::ConnectionReset,
        Self::ProtocolError,
        Self::ResponseHeaderTooLarge,
    ];

    /// The stable code that the attempt log, the API and the metrics show.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::DnsFailed => "dns_failed",
            Self::AddressBlocked => "address_blocked",
            Self::ConnectRefused => "connect_refused",
            Self::ConnectFailed => "connect_failed",
            Self::ConnectTimeout => "connect_timeout",
            Self::TlsFailed => "tls_failed",
            Self::ResponseTimeout => "response_timeout",
            Self::BodyTimeout => "body_timeout",
            Self::ConnectionReset => "connection_reset",
            Self::ProtocolError => "protocol_error",
            Self::ResponseHeaderTooLarge => "response_header_too_large",
        }
    }

    /// The class whose [`code`](Self::code) this is.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.code() == code)
    }
}

impl Class {
    /// Whether a classifier that reads these answers is asked about one that means this by its status.
    #[must_use]
    pub fn wants_classifier(self, answers: ClassifiedAnswers) -> bool {
        match answers {
            ClassifiedAnswers::Successes => self == Self::Delivered,
            ClassifiedAnswers::All => true,
        }
    }

    /// What an answer means that means this by its status, when a classifier has read it.
    #[must_use]
    pub fn classified(self, verdict: &ClassifierVerdict) -> Self {
        match (verdict, self) {
            (ClassifierVerdict::NoOpinion, by_status) => by_status,
            (ClassifierVerdict::Delivered, _) => Self::Delivered,
            (ClassifierVerdict::Fail(_), _) => Self::Refused,
            // What the status says of when to try again, or never, holds as well.
            (ClassifierVerdict::Retry(_), by_status @ (Self::Retry { .. } | Self::Gone)) => by_status,
            (ClassifierVerdict::Retry(_), Self::Delivered | Self::Refused) => Self::RETRY,
        }
    }

    /// A retry on the schedule alone.
    const RETRY: Self = Self::Retry { at_least: None, pause_endpoint: false };

    /// For how long nothing is to be sent to the endpoint.
    #[must_use]
    pub fn endpoint_pause(&self) -> Option<Duration> {
        match self {
            Self::Retry { at_least, pause_endpoint: true } => *at_least,
            Self::Delivered | Self::Retry { .. } | Self::Gone | Self::Refused => None,
        }
    }

    /// Whether this counts as a failure of the endpoint, for its [`breaker`](crate::breaker). One that reads an event and
    /// refuses it is well.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        match self {
            Self::Delivered | Self::Refused => false,
            Self::Retry { .. } | Self::Gone => true,
        }
    }
}

/// What an outcome means under the endpoint's rules. All that is not success, 410 included, is a failure of the attempt.
///
/// Statuses that look final, such as 400 or 404, are retried too: a deployment that went wrong answers so for an
/// hour, the schedule grows slow by itself, and it ends in the dead letters where the event can be replayed.
#[must_use]
pub fn classify(outcome: &Outcome, policy: &DeliveryPolicy) -> Class {
    match outcome {
        Outcome::Answered { status, retry_after, headers: _, body: _ } => {
            classify_answer(*status, *retry_after, policy)
        }
        Outcome::Failed(failure) => classify_failure(failure.class),
        // Nobody who knows what this is asks.
        Outcome::NotSent { .. } => Class::RETRY,
    }
}

fn classify_answer(status: u16, retry_after: Option<Duration>, policy: &DeliveryPolicy) -> Class {
    match status {
        // Standard Webhooks: "only 2xx is success", whatever the body says.
        status if policy.success.admits(status) => Class::Delivered,
        // Standard Webhooks: 410 disables the endpoint.
        410 if policy.disable == DisableRule::Gone => Class::Gone,
        // RFC 6585 section 4 counts requests of a client, so the whole endpoint waits. CloudEvents webhooks 1.0
        // section 2.2: the sender MUST observe the Retry-After of a 429.
        429 => {
            let wait = retry_after.unwrap_or(RATE_LIMITED_WAIT).max(RATE_LIMITED_WAIT);
            Class::Retry { at_least: Some(wait), pause_endpoint: true }
        }
        // RFC 9110 section 10.2.3: with a 503, Retry-After is how long the *service* will be away. A gateway's 502
        // and 504 say the same of the server behind it, and Standard Webhooks throttles on them.
        502..=504 => Class::Retry { at_least: retry_after, pause_endpoint: retry_after.is_some() },
        // Elsewhere (3xx, 413) the header speaks of this request alone. A redirect is never followed: its target
        // was not checked when the endpoint was made, and Standard Webhooks counts it a failure.
        _ => Class::Retry { at_least: retry_after, pause_endpoint: false },
    }
}

fn classify_failure(class: TransportFailure) -> Class {
    match class {
        TransportFailure::AddressBlocked => {
            Class::Retry { at_least: Some(ADDRESS_BLOCKED_WAIT), pause_endpoint: false }
        }
        TransportFailure::DnsFailed
        | TransportFailure::ConnectRefused
        | TransportFailure::ConnectFailed
        | TransportFailure::ConnectTimeout
        | TransportFailure::TlsFailed
        | TransportFailure::ResponseTimeout
        | TransportFailure::BodyTimeout
        | TransportFailure::ConnectionReset
        | TransportFailure::ProtocolError
        | TransportFailure::ResponseHeaderTooLarge => Class::RETRY,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::preset::Preset;

    fn answered(status: u16, retry_after_secs: Option<u64>) -> Outcome {
        Outcome::Answered {
            status,
            retry_after: retry_after_secs.map(Duration::from_secs),
            headers: HeaderMap::new(),
            body: Bytes::new(),
        }
    }

    fn retry(at_least_secs: Option<u64>, pause_endpoint: bool) -> Class {
        Class::Retry { at_least: at_least_secs.map(Duration::from_secs), pause_endpoint }
    }

    #[test]
    fn classifies_answers() {
        let check = |status, retry_after, expect| {
            let class = classify(&answered(status, retry_after), &Preset::Standard.policy());
            assert_eq!(class, expect, "{status} {retry_after:?}");
        };
        check(200, None, Class::Delivered);
        check(202, Some(60), Class::Delivered);
        check(299, None, Class::Delivered);
        check(410, None, Class::Gone);
        check(410, Some(60), Class::Gone);
        check(429, None, retry(Some(5), true));
        check(429, Some(0), retry(Some(5), true));
        check(429, Some(90), retry(Some(90), true));
        check(502, None, retry(None, false));
        check(503, None, retry(None, false));
        check(503, Some(120), retry(Some(120), true));
        check(504, Some(7), retry(Some(7), true));
        check(301, None, retry(None, false));
        check(308, Some(9), retry(Some(9), false));
        check(400, None, retry(None, false));
        check(404, None, retry(None, false));
        check(413, Some(30), retry(Some(30), false));
        check(500, None, retry(None, false));
        check(501, Some(3), retry(Some(3), false));
    }

    #[test]
    fn an_endpoints_rules_say_what_is_success_and_what_410_means() {
        let check = |preset: Preset, status, expect| {
            assert_eq!(classify(&answered(status, None), &preset.policy()), expect, "{preset} {status}");
        };
        check(Preset::Mifumo, 200, Class::Delivered);
        check(Preset::Mifumo, 202, retry(None, false));
        check(Preset::Conversation, 204, Class::Delivered);
        check(Preset::Conversation, 410, retry(None, false));
        check(Preset::Whatsapp, 302, retry(None, false));
    }

    #[test]
    fn a_classifier_is_asked_about_successes_unless_it_reads_all_answers() {
        let check = |preset: Preset, status, successes: bool| {
            let class = classify(&answered(status, None), &preset.policy());
            assert_eq!(class.wants_classifier(ClassifiedAnswers::Successes), successes, "{preset} {status}");
            assert!(class.wants_classifier(ClassifiedAnswers::All), "{preset} {status}");
        };
        check(Preset::Standard, 200, true);
        check(Preset::Standard, 299, true);
        check(Preset::Standard, 301, false);
        check(Preset::Standard, 409, false);
        check(Preset::Standard, 410, false);
        check(Preset::Standard, 503, false);
        // What is a success is the endpoint's policy's to say.
        check(Preset::Mifumo, 200, true);
        check(Preset::Mifumo, 202, false);
    }

    #[test]
    fn a_classifier_without_an_opinion_leaves_it_to_the_status() {
        let check = |by_status: Class, verdict: ClassifierVerdict, expect: Class| {
            assert_eq!(by_status.classified(&verdict), expect, "{by_status:?} {verdict:?}");
        };
        let reason = || "busy".to_owned();
        let paused = retry(Some(120), true);
        for by_status in [Class::Delivered, paused, Class::Gone] {
            check(by_status, ClassifierVerdict::NoOpinion, by_status);
            check(by_status, ClassifierVerdict::Delivered, Class::Delivered);
            check(by_status, ClassifierVerdict::Fail(reason()), Class::Refused);
        }
        check(Class::Delivered, ClassifierVerdict::Retry(reason()), retry(None, false));
        check(paused, ClassifierVerdict::Retry(reason()), paused);
        check(Class::Gone, ClassifierVerdict::Retry(reason()), Class::Gone);
    }

    #[test]
    fn every_failure_is_retried_and_only_a_blocked_address_waits() {
        for class in TransportFailure::ALL {
            let expect = match class {
                TransportFailure::AddressBlocked => retry(Some(300), false),
                _ => retry(None, false),
            };
            assert_eq!(
                classify(&Outcome::failed(class, ""), &Preset::Standard.policy()),
                expect,
                "{class:?}"
            );
        }
    }

    #[test]
    fn codes_are_distinct_and_read_back() {
        let codes: BTreeSet<_> = TransportFailure::ALL.into_iter().map(TransportFailure::code).collect();
        assert_eq!(codes.len(), TransportFailure::ALL.len());
        for class in TransportFailure::ALL {
            assert_eq!(TransportFailure::from_code(class.code()), Some(class));
        }
        assert_eq!(TransportFailure::from_code("no_such_code"), None);
    }

    #[test]
    fn details_are_cut_between_characters() {
        let failure = Failure::new(TransportFailure::TlsFailed, &"é".repeat(FAILURE_DETAIL_BYTES_MAX));
        assert_eq!(failure.detail().len(), FAILURE_DETAIL_BYTES_MAX);
        let failure = Failure::new(TransportFailure::TlsFailed, &"€".repeat(FAILURE_DETAIL_BYTES_MAX));
        assert_eq!(failure.detail().len(), FAILURE_DETAIL_BYTES_MAX / 3 * 3);
        let short = Failure::new(TransportFailure::ConnectRefused, "10.1.2.3:443");
        assert_eq!(short.to_string(), "connect_refused: 10.1.2.3:443");
        assert_eq!(Failure::new(TransportFailure::DnsFailed, "").to_string(), "dns_failed");
    }

    proptest! {
        #[test]
        fn only_2xx_is_success_and_a_pause_has_a_length(status in 200..600u16, secs in proptest::option::of(0..90_000u64)) {
            let class = classify(&answered(status, secs), &Preset::Standard.policy());
            prop_assert_eq!(class == Class::Delivered, (200..300).contains(&status));
            prop_assert_eq!(class.is_failure(), class != Class::Delivered);
            if let Class::Retry { at_least, pause_endpoint } = class {
                prop_assert_eq!(class.endpoint_pause(), at_least.filter(|_| pause_endpoint));
                prop_assert!(!pause_endpoint || at_least.is_some());
                prop_assert!(at_least >= secs.map(Duration::from_secs), "the receiver's wish is kept");
            }
        }
    }
}
