//! Verifying an endpoint: one handshake, and what follows from it.
//!
//! The handshake is sent while no change is under way, so the endpoint may change meanwhile; the
//! [edit](crate::administer::Edit) that follows takes the consent only for what was asked. Nothing is kept of a handshake
//! that is not passed: it is asked for again, by whoever wants the endpoint verified.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hookmill_core::attempt::{NOT_SENT_WAIT, Outcome};
use hookmill_core::endpoint::Endpoint;
use hookmill_core::handshake::{CHALLENGE_BYTES, Consent, Handshake, HandshakeMethod, Refusal};
use hookmill_core::id::{ApplicationId, EndpointId, EventId};

use crate::{App, AppError, ErrorKind};

/// Handshakes under way at once, of all endpoints. An application has no more of them than it leaves free: of one that is
/// alone half of them, so that whoever comes next finds some.
const HANDSHAKES_MAX: usize = 64;
/// How long one handshake takes at most, however long the endpoint's deliveries may: an answer that is a text or a few
/// headers needs no more, and what hangs gives its place back.
const HANDSHAKE_TIMEOUT_MAX: Duration = Duration::from_secs(10);

/// What came of a handshake.
#[derive(Debug)]
pub struct HandshakeReport {
    /// The endpoint as it is now.
    pub endpoint: Endpoint,
    /// What it was asked by.
    pub method: HandshakeMethod,
    /// The status of its answer, where there was one.
    pub status: Option<u16>,
    /// Whether it consented.
    pub result: Result<Consent, Refusal>,
}

/// The endpoints whose handshake is under way, and whose they are.
#[derive(Debug, Default)]
pub(crate) struct Handshakes(Mutex<HashMap<EndpointId, ApplicationId>>);

/// One of them. Dropped, it is over.
struct UnderWay<'a> {
    handshakes: &'a Handshakes,
    endpoint: EndpointId,
}

impl Handshakes {
    fn begin(&self, application: ApplicationId, endpoint: EndpointId) -> Result<UnderWay<'_>, AppError> {
        let mut under_way = self.lock();
        if under_way.contains_key(&endpoint) {
            let message = "this endpoint is being verified already: wait for the end of that";
            return Err(AppError::new(ErrorKind::Conflict, "verification_under_way", message));
        }
        let own = under_way.values().filter(|owner| **owner == application).count();
        let free = HANDSHAKES_MAX.saturating_sub(under_way.len());
        if own >= free {
            let message = match free {
                0 => format!("{HANDSHAKES_MAX} endpoints are being verified, the most at once"),
                _ => format!(
                    "{own} endpoints of this application are being verified, as many as it may while {free} more can \
                     be in all: wait for the end of one"
                ),
            };
            return Err(AppError::new(ErrorKind::Busy(Duration::from_secs(1)), "overloaded", message));
        }
        under_way.insert(endpoint, application);
        Ok(UnderWay { handshakes: self, endpoint })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<EndpointId, ApplicationId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.handshakes.lock().remove(&self.endpoint);
    }
}

impl App {
    /// Asks an endpoint whether it wants events, by `method` or by the one that it was created with; if it does and was not
    /// verified, it is enabled.
    ///
    /// # Errors
    /// No such endpoint, no method or another than the endpoint asks for, rules that refuse its URL, a handshake that is
    /// under way, or an endpoint that was changed meanwhile. A handshake that is not passed is no error.
    pub async fn verify_endpoint(
        &self,
        application: ApplicationId,
        id: EndpointId,
        method: Option<HandshakeMethod>,
    ) -> Result<HandshakeReport, AppError> {
        let endpoint = self.table().endpoints.get(&id).map(|endpoint| Endpoint::clone(endpoint));
        let endpoint = endpoint
            .filter(|endpoint| endpoint.application == application)
            .ok_or_else(|| AppError::not_found("endpoint"))?;
        let method = method_of(&endpoint, method)?;
        let _under_way = self.handshakes.begin(application, id)?;
        let terms = endpoint.policy.effective();
        let handshake = self.handshake(method, &endpoint);
        let request = handshake
            .request(&endpoint, self.moment())
            .map_err(|error| AppError::invalid(error.code(), error.to_string()))?;
        let outcome = self.transport.send(request, terms.timeout.get().min(HANDSHAKE_TIMEOUT_MAX)).await;
        if let Outcome::NotSent { detail } = &outcome {
            tracing::warn!(detail, "a handshake was not sent: this machine lacks something that it needs");
            let message =
                "the router lacks something to send with; try again after a moment, and see its log";
            return Err(AppError::new(ErrorKind::Busy(NOT_SENT_WAIT), "overloaded", message));
        }
        let (status, result) = (outcome.status(), handshake.judge(&outcome, terms));
        let endpoint = match &result {
            Ok(consent) => {
                let mut edit = self.edit().await;
                let verified = edit.take_consent(&endpoint, *consent)?;
                edit.commit().await?;
                verified
            }
            Err(refusal) => {
                tracing::info!(endpoint = %id, method = method.code(), code = refusal.code(), "endpoint not verified");
                endpoint
            }
        };
        Ok(HandshakeReport { endpoint, method, status, result })
    }

    fn handshake(&self, method: HandshakeMethod, endpoint: &Endpoint) -> Handshake {
        match method {
            HandshakeMethod::Challenge => {
                let mut chance = [0; CHALLENGE_BYTES];
                self.entropy.fill(&mut chance);
                Handshake::challenge(self.new_id(self.now(), EventId::new), &chance)
            }
            HandshakeMethod::CloudEvents => {
                Handshake::cloud_events(self.request_origin.clone(), endpoint.policy.effective())
            }
        }
    }
}

fn method_of(endpoint: &Endpoint, named: Option<HandshakeMethod>) -> Result<HandshakeMethod, AppError> {
    match (endpoint.verification, named) {
        (Some(wanted), Some(named)) if wanted != named => {
            let message = format!(
                "the endpoint is verified by `{}`: leave `method` out, or change its `verification` first",
                wanted.code()
            );
            Err(AppError::invalid("verification_method_differs", message))
        }
        (Some(method), _) | (None, Some(method)) => Ok(method),
        (None, None) => Err(AppError::invalid(
            "verification_method_missing",
            "the endpoint asks for no verification: name a `method`, `challenge` or `cloudevents`",
        )),
    }
}

#[cfg(test)]
mod tests {
    use hookmill_core::time::UnixMillis;

    use super::*;

    fn endpoint(number: u128) -> EndpointId {
        EndpointId::new(UnixMillis(1), number)
    }

    fn application(number: u128) -> ApplicationId {
        ApplicationId::new(UnixMillis(1), number)
    }

    fn code(begun: Result<UnderWay<'_>, AppError>) -> Option<&'static str> {
        begun.err().map(|error| error.code)
    }

    #[test]
    fn an_endpoint_is_asked_once_at_a_time() {
        let handshakes = Handshakes::default();
        let begin = |number| handshakes.begin(application(1), endpoint(number));
        let first = begin(1).unwrap();
        assert_eq!(code(begin(1)), Some("verification_under_way"));
        assert_eq!(code(begin(2)), None);
        drop(first);
        assert_eq!(code(begin(1)), None);
    }

    #[test]
    fn handshakes_of_one_application_leave_places_for_the_others() {
        let handshakes = Handshakes::default();
        let mut number = 0;
        let mut take_all = |owner| {
            let mut taken = Vec::new();
            loop {
                number += 1;
                match handshakes.begin(application(owner), endpoint(number)) {
                    Ok(under_way) => taken.push(under_way),
                    Err(error) => {
                        assert_eq!(error.code, "overloaded");
                        return taken;
                    }
                }
            }
        };
        let first = take_all(1);
        assert_eq!(first.len(), HANDSHAKES_MAX / 2, "half are left by one who hangs");
        let others: Vec<_> = (2..=4).map(|owner| take_all(owner).len()).collect();
        assert!(others.iter().all(|count| *count >= 16), "{others:?}: each gives its places back");
        let second = take_all(2);
        let third = take_all(3);
        assert!(!second.is_empty() && !third.is_empty());
        drop(first);
        assert!(!take_all(1).is_empty());
    }
}
