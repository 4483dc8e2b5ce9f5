//! What happens to a delivery next.
//!
//! Two things can go wrong with a delivery: its request ([`decide`], from the [`Class`] of the outcome) and the
//! plugin that writes the request ([`decide_transform_failure`]). Both answer with a value that names the next
//! action; the caller carries it out in one transaction of the store. Both count attempts on the same
//! [`RetryPolicy`]: a run that failed is an attempt that sent nothing.

use std::time::Duration;

use crate::attempt::Class;
use crate::policy::{DeliveryPolicy, DisableRule};
use crate::port::plugins::PLUGIN_DEADLINE;
use crate::retry::{RETRY_AFTER_MAX, RetryPolicy};
use crate::time::UnixMillis;

/// What happens to a delivery after an attempt.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It is finished, and well.
    Delivered,
    /// It is tried again.
    RetryAt {
        /// Not before this moment.
        due: UnixMillis,
    },
    /// Its endpoint is marked failed, and it waits with the others until that is reactivated.
    Suspended,
    /// It is not tried again by itself and goes to the dead letters, from where it can be replayed.
    Dead {
        /// Why.
        reason: DeadReason,
    },
}

/// What happens to a delivery whose transform failed.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransformDecision {
    /// The event's own body is sent in this attempt, as if there were no transform.
    SendOriginal,
    /// The transform is run again.
    RetryAt {
        /// Not before this moment.
        due: UnixMillis,
    },
    /// Nothing was found out about the event, so this was no attempt: the delivery stays due, and its endpoint waits.
    Wait(Wait),
    /// As [`Decision::Dead`].
    Dead {
        /// Why.
        reason: DeadReason,
    },
}

/// For what a delivery waits whose transform could not be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// The router has no room at the moment.
    Room,
    /// Its owner has to do something: bind a secret, upload the plugin again.
    Owner,
}

impl Wait {
    /// For how long its endpoint is left alone, unless its owner changes something meanwhile.
    #[must_use]
    pub fn pause(self) -> Duration {
        match self {
            Self::Room => Duration::from_secs(1),
            Self::Owner => Duration::from_secs(60),
        }
    }
}

/// Why a delivery went to the dead letters. The [`code`](Self::code)s are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeadReason {
    /// The policy's last attempt failed.
    Exhausted,
    /// The receiver answered 410, which also disables the endpoint.
    EndpointGone,
    /// A plugin said that this event can never be delivered: the transform that it or the classifier that its answer
    /// was shown.
    RejectedByPlugin,
    /// The plugin trapped or went over a limit, as it would again; or the endpoint's composition makes no request of the
    /// event.
    TransformFailed,
}

/// What an endpoint wants done when its transform trapped or went over a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum OnTransformFailure {
    /// Keep the delivery: nothing is lost or sent unshaped. What may pass with time is tried again on the retry schedule.
    /// What would fail alike each time waits among the dead letters, and goes out when the plugin, its settings or its
    /// secrets change.
    #[default]
    Hold,
    /// Send the original body.
    Bypass,
    /// Put the delivery among the dead letters at once, and leave it there.
    DeadLetter,
}

/// How a run of a transform failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransformFailure {
    /// The plugin asked to be run again later.
    Retryable {
        /// Its reason, bounded by the plugin host.
        message: String,
    },
    /// A plugin said that this event can never be delivered: the transform that it or the classifier that its answer
    /// was shown.
    Permanent {
        /// Its reason, bounded by the plugin host.
        message: String,
    },
    /// The plugin trapped or went over a limit.
    Fault {
        /// Stable, such as `plugin_trap` or `plugin_out_of_fuel`.
        code: &'static str,
        /// For the attempt log: which limit, which function.
        detail: String,
    },
    /// The host could not run it, which says nothing about the plugin.
    Unavailable {
        /// Stable, such as `plugin_queue_full`.
        code: &'static str,
        /// For the attempt log.
        detail: String,
    },
}

impl DeadReason {
    /// Every reason.
    pub const ALL: [Self; 4] =
        [Self::Exhausted, Self::EndpointGone, Self::RejectedByPlugin, Self::TransformFailed];

    /// The stable code that the store, the API and the operational webhooks show.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Exhausted => "attempts_exhausted",
            Self::EndpointGone => "endpoint_gone",
            Self::RejectedByPlugin => "rejected_by_plugin",
            Self::TransformFailed => "transform_failed",
        }
    }

    /// The reason whose [`code`](Self::code) this is.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.code() == code)
    }
}

impl OnTransformFailure {
    /// Every choice.
    pub const ALL: [Self; 3] = [Self::Hold, Self::Bypass, Self::DeadLetter];

    /// The stable code that the store and the API show.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Bypass => "bypass",
            Self::DeadLetter => "dead_letter",
        }
    }

    /// The choice whose [`code`](Self::code) this is.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|choice| choice.code() == code)
    }
}

impl TransformFailure {
    /// The stable code that the attempt log shows.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Retryable { .. } => "plugin_asked_retry",
            Self::Permanent { .. } => "plugin_rejected",
            Self::Fault { code, .. } | Self::Unavailable { code, .. } => code,
        }
    }

    /// What a person should read beside the code.
    #[must_use]
    pub fn detail(&self) -> &str {
        match self {
            Self::Retryable { message } | Self::Permanent { message } => message,
            Self::Fault { detail, .. } | Self::Unavailable { detail, .. } => detail,
        }
    }

    /// Whether this counts against the plugin, for its [`breaker`](crate::breaker). Its own verdicts do not.
    #[must_use]
    pub fn is_fault(&self) -> bool {
        match self {
            Self::Retryable { .. } | Self::Permanent { .. } | Self::Unavailable { .. } => false,
            Self::Fault { .. } => true,
        }
    }

    /// Whether another run would fail alike: the same event, clock, random numbers and budget give the same run. Only time
    /// passes faster on a busy machine.
    #[must_use]
    pub fn repeats(&self) -> bool {
        match self {
            Self::Retryable { .. } | Self::Permanent { .. } | Self::Unavailable { .. } => false,
            Self::Fault { code, .. } => is_repeating_fault(code),
        }
    }

    /// For what a delivery waits, where this says nothing about it.
    #[must_use]
    pub fn wait(&self) -> Option<Wait> {
        match self {
            Self::Retryable { .. } | Self::Permanent { .. } | Self::Fault { .. } => None,
            Self::Unavailable { code, .. } => match *code {
                "plugin_queue_full" | "plugin_host_stopped" => Some(Wait::Room),
                "plugin_missing" | "secret_not_bound" | "secret_not_a_header" => Some(Wait::Owner),
                _ => None,
            },
        }
    }
}

/// Whether a fault with this code of the attempt log comes again with the same event.
#[must_use]
pub fn is_repeating_fault(code: &str) -> bool {
    code != PLUGIN_DEADLINE
}

/// What happens after attempt number `attempts_made` of a delivery.
///
/// A retry is due after the longer of the policy's delay and what the receiver asked for, the latter at most
/// [`RETRY_AFTER_MAX`]. A receiver can postpone attempts, but not add any. `jitter` is chance, uniform in 0 to 1.
pub fn decide(
    attempts_made: u32,
    policy: &DeliveryPolicy,
    class: &Class,
    now: UnixMillis,
    jitter: f64,
) -> Decision {
    match class {
        Class::Delivered => Decision::Delivered,
        Class::Gone => Decision::Dead { reason: DeadReason::EndpointGone },
        Class::Refused => Decision::Dead { reason: DeadReason::RejectedByPlugin },
        Class::Retry { at_least, pause_endpoint: _ } => match policy.retry.delay_after(attempts_made, jitter)
        {
            Some(delay) => {
                let asked = at_least.unwrap_or(Duration::ZERO).min(RETRY_AFTER_MAX);
                Decision::RetryAt { due: now.after(delay.max(asked)) }
            }
            None if policy.disable == DisableRule::Exhausted => Decision::Suspended,
            None => Decision::Dead { reason: DeadReason::Exhausted },
        },
    }
}

/// What happens after a run of the transform failed in attempt number `attempts_made` of a delivery.
///
/// A plugin's own verdicts stand, whatever the endpoint wants done about faults: it asked for a later run, or it
/// rejected the event. Where the host could not run it, nothing is decided about the event yet: it waits, for as long as it
/// takes. `on_failure` governs faults, of which those are not tried again that would come again. `jitter` is chance,
/// uniform in 0 to 1.
pub fn decide_transform_failure(
    attempts_made: u32,
    policy: &RetryPolicy,
    failure: &TransformFailure,
    on_failure: OnTransformFailure,
    now: UnixMillis,
    jitter: f64,
) -> TransformDecision {
    let retry = || match policy.delay_after(attempts_made, jitter) {
        Some(delay) => TransformDecision::RetryAt { due: now.after(delay) },
        None => TransformDecision::Dead { reason: DeadReason::Exhausted },
    };
    if let Some(wait) = failure.wait() {
        return TransformDecision::Wait(wait);
    }
    match (failure, on_failure) {
        (TransformFailure::Permanent { .. }, _) => {
            TransformDecision::Dead { reason: DeadReason::RejectedByPlugin }
        }
        (TransformFailure::Retryable { .. } | TransformFailure::Unavailable { .. }, _) => retry(),
        (TransformFailure::Fault { .. }, OnTransformFailure::Bypass) => TransformDecision::SendOriginal,
        (TransformFailure::Fault { .. }, OnTransformFailure::Hold) if !failure.repeats() => retry(),
        (TransformFailure::Fault { .. }, OnTransformFailure::Hold | OnTransformFailure::DeadLetter) => {
            TransformDecision::Dead { reason: DeadReason::TransformFailed }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::preset::Preset;
    use crate::retry::{RawRetryPolicy, Schedule};

    const NOW: UnixMillis = UnixMillis(1_795_309_323_000);

    /// Retries after 10 and 60 seconds, without jitter.
    fn policy() -> DeliveryPolicy {
        let delays = vec![Duration::from_secs(10), Duration::from_secs(60)];
        let retry = RawRetryPolicy { schedule: Schedule::Fixed { delays }, jitter_percent: 0 };
        DeliveryPolicy { retry: retry.try_into().unwrap(), ..Preset::Standard.policy() }
    }

    fn retry(at_least_secs: Option<u64>) -> Class {
        Class::Retry { at_least: at_least_secs.map(Duration::from_secs), pause_endpoint: false }
    }

    #[test]
    fn decides_attempts() {
        let check = |attempts_made, class: Class, expect| {
            assert_eq!(
                decide(attempts_made, &policy(), &class, NOW, 0.5),
                expect,
                "{attempts_made} {class:?}"
            );
        };
        let after = |secs| Decision::RetryAt { due: NOW.after(Duration::from_secs(secs)) };
        let dead = |reason| Decision::Dead { reason };
        check(1, Class::Delivered, Decision::Delivered);
        check(3, Class::Delivered, Decision::Delivered);
        check(1, Class::Gone, dead(DeadReason::EndpointGone));
        check(1, Class::Refused, dead(DeadReason::RejectedByPlugin));
        check(1, retry(None), after(10));
        check(2, retry(None), after(60));
        check(3, retry(None), dead(DeadReason::Exhausted));
        check(1, retry(Some(5)), after(10));
        check(1, retry(Some(30)), after(30));
        check(2, retry(Some(30)), after(60));
        check(1, retry(Some(1_000_000)), after(86_400));
        check(3, retry(Some(30)), dead(DeadReason::Exhausted));
    }

    #[test]
    fn a_failed_endpoint_keeps_what_it_could_not_take() {
        let policy = DeliveryPolicy { disable: DisableRule::Exhausted, ..policy() };
        let after = |secs| Decision::RetryAt { due: NOW.after(Duration::from_secs(secs)) };
        assert_eq!(decide(2, &policy, &retry(None), NOW, 0.5), after(60));
        assert_eq!(decide(3, &policy, &retry(None), NOW, 0.5), Decision::Suspended);
        let refused = Decision::Dead { reason: DeadReason::RejectedByPlugin };
        assert_eq!(decide(3, &policy, &Class::Refused, NOW, 0.5), refused);
    }

    #[test]
    fn decides_transform_failures() {
        let retryable = TransformFailure::Retryable { message: "no template yet".into() };
        let permanent = TransformFailure::Permanent { message: "no recipient".into() };
        let fault =
            TransformFailure::Fault { code: "plugin_trapped", detail: "unreachable in render".into() };
        let check = |attempts_made, failure: &TransformFailure, on_failure, expect| {
            let retry = policy().retry;
            let decision = decide_transform_failure(attempts_made, &retry, failure, on_failure, NOW, 0.5);
            assert_eq!(decision, expect, "{attempts_made} {failure:?} {on_failure:?}");
        };
        let after = |secs| TransformDecision::RetryAt { due: NOW.after(Duration::from_secs(secs)) };
        let dead = |reason| TransformDecision::Dead { reason };
        for on_failure in OnTransformFailure::ALL {
            check(1, &retryable, on_failure, after(10));
            check(2, &retryable, on_failure, after(60));
            check(3, &retryable, on_failure, dead(DeadReason::Exhausted));
            check(1, &permanent, on_failure, dead(DeadReason::RejectedByPlugin));
        }
        let slow = TransformFailure::Fault { code: PLUGIN_DEADLINE, detail: "more than 100 ms".into() };
        check(1, &slow, OnTransformFailure::Hold, after(10));
        check(3, &slow, OnTransformFailure::Hold, dead(DeadReason::Exhausted));
        check(1, &fault, OnTransformFailure::Hold, dead(DeadReason::TransformFailed));
        for (code, wait) in [("plugin_queue_full", Wait::Room), ("secret_not_bound", Wait::Owner)] {
            let unavailable = TransformFailure::Unavailable { code, detail: String::new() };
            for on_failure in OnTransformFailure::ALL {
                check(1, &unavailable, on_failure, TransformDecision::Wait(wait));
                check(1000, &unavailable, on_failure, TransformDecision::Wait(wait));
            }
        }
        check(1, &fault, OnTransformFailure::Bypass, TransformDecision::SendOriginal);
        check(3, &fault, OnTransformFailure::Bypass, TransformDecision::SendOriginal);
        check(1, &fault, OnTransformFailure::DeadLetter, dead(DeadReason::TransformFailed));
    }

    #[test]
    fn codes_read_back() {
        for reason in DeadReason::ALL {
            assert_eq!(DeadReason::from_code(reason.code()), Some(reason));
        }
        for choice in OnTransformFailure::ALL {
            assert_eq!(OnTransformFailure::from_code(choice.code()), Some(choice));
        }
        assert_eq!(DeadReason::from_code(""), None);
        assert_eq!(OnTransformFailure::from_code("keep"), None);
        let fault = TransformFailure::Fault { code: "plugin_trapped", detail: "in render".into() };
        assert_eq!((fault.code(), fault.detail(), fault.is_fault()), ("plugin_trapped", "in render", true));
        let verdict = TransformFailure::Permanent { message: "no recipient".into() };
        assert_eq!(
            (verdict.code(), verdict.detail(), verdict.is_fault()),
            ("plugin_rejected", "no recipient", false)
        );
    }

    proptest! {
        /// A receiver that never accepts gets exactly the policy's attempts, and none is early.
        #[test]
        fn a_delivery_ends(asked in proptest::option::of(0..200_000u64), jitter in 0.0..1.0f64) {
            let policy = Preset::Standard.policy();
            let mut now = NOW;
            let mut attempts_made = 0;
            loop {
                attempts_made += 1;
                match decide(attempts_made, &policy, &retry(asked), now, jitter) {
                    Decision::RetryAt { due } => {
                        let asked = Duration::from_secs(asked.unwrap_or(0)).min(RETRY_AFTER_MAX);
                        prop_assert!(due >= now.after(asked) && due > now);
                        now = due;
                    }
                    decision => {
                        prop_assert_eq!(decision, Decision::Dead { reason: DeadReason::Exhausted });
                        break;
                    }
                }
            }
            prop_assert_eq!(attempts_made, policy.retry.attempts_max());
        }
    }
}
