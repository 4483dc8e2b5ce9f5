//! Verifying an endpoint: one handshake, and what follows from it.
//!
//! The handshake is sent while no change is under way, so the endpoint may change meanwhile; the
//! [edit](crate::administer::Edit) that follows takes the consent only for what was asked. Nothing is kept of a handshake
//! that is not passed: it is asked for again, by whoever wants the endpoint verified.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hookmill_core::endpoint::Endpoint;
use hookmill_core::handshake::{CHALLENGE_BYTES, Consent, Handshake, HandshakeMethod, Refusal};
use hookmill_core::id::{ApplicationId, EndpointId, EventId};

use crate::{App, AppError, ErrorKind};

/// Handshakes under way at once, of all endpoints.
const HANDSHAKES_MAX: usize = 64;

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

/// The endpoints whose handshake is under way.
#[derive(Debug, Default)]
pub(crate) struct Handshakes(Mutex<BTreeSet<EndpointId>>);

/// One of them. Dropped, it is over.
struct UnderWay<'a> {
    handshakes: &'a Handshakes,
    endpoint: EndpointId,
}

impl Handshakes {
    fn begin(&self, endpoint: EndpointId) -> Result<UnderWay<'_>, AppError> {
        let mut under_way = self.lock();
        if under_way.len() >= HANDSHAKES_MAX {
            let message = format!("{HANDSHAKES_MAX} endpoints are being verified, the most at once");
            return Err(AppError::new(ErrorKind::Busy(Duration::from_secs(1)), "overloaded", message));
        }
        if !under_way.insert(endpoint) {
            let message = "this endpoint is being verified already: wait for the end of that";
            return Err(AppError::new(ErrorKind::Conflict, "verification_under_way", message));
        }
        Ok(UnderWay { handshakes: self, endpoint })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<EndpointId>> {
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
        let _under_way = self.handshakes.begin(id)?;
        let terms = endpoint.policy.effective();
        let handshake = self.handshake(method, &endpoint);
        let request = handshake
            .request(&endpoint, self.now())
            .map_err(|error| AppError::invalid(error.code(), error.to_string()))?;
        let outcome = self.transport.send(request, terms.timeout.get()).await;
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
                Handshake::challenge(EventId::new(self.now(), self.entropy.id_bits()), &chance)
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

    fn code(begun: Result<UnderWay<'_>, AppError>) -> Option<&'static str> {
        begun.err().map(|error| error.code)
    }

    #[test]
    fn an_endpoint_is_asked_once_at_a_time() {
        let handshakes = Handshakes::default();
        let first = handshakes.begin(endpoint(1)).unwrap();
        assert_eq!(code(handshakes.begin(endpoint(1))), Some("verification_under_way"));
        assert_eq!(code(handshakes.begin(endpoint(2))), None);
        drop(first);
        assert_eq!(code(handshakes.begin(endpoint(1))), None);
    }

    #[test]
    fn there_are_few_handshakes_at_once() {
        let handshakes = Handshakes::default();
        let mut under_way = Vec::new();
        for number in 0..HANDSHAKES_MAX {
            under_way.push(handshakes.begin(endpoint(number as u128)).unwrap());
        }
        assert_eq!(code(handshakes.begin(endpoint(1000))), Some("overloaded"));
        under_way.pop();
        assert_eq!(code(handshakes.begin(endpoint(1000))), None);
    }
}
