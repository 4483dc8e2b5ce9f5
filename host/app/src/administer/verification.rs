//! What verification changes of an endpoint.

use hookmill_core::endpoint::{DisabledReason, Endpoint, EndpointState};
use hookmill_core::handshake::Consent;
use hookmill_core::policy::{Overrides, Policy};
use hookmill_core::port::store::Change;

use super::{Edit, conflict};
use crate::AppError;

impl Edit<'_> {
    /// Puts an endpoint that asks for verification back to where it begins: it receives nothing.
    pub(super) fn want_verification(&self, endpoint: &mut Endpoint) {
        if endpoint.verification.is_some() {
            let reason = DisabledReason::Unverified;
            endpoint.state = EndpointState::Disabled { reason, since: self.now };
        }
    }

    /// Takes the consent of an endpoint as it was asked for it: enables it if that was what it waited for, with all attempts
    /// for what waits, and keeps to the rate.
    ///
    /// # Errors
    /// When the endpoint was changed since it was asked, so that the consent is not for what it is now.
    pub(crate) fn take_consent(&mut self, asked: &Endpoint, consent: Consent) -> Result<Endpoint, AppError> {
        let mut endpoint = self.endpoint(asked.application, asked.id)?;
        let rate = |endpoint: &Endpoint| endpoint.policy.effective().rate;
        if !endpoint.is_asked_as(asked) || rate(&endpoint) != rate(asked) {
            let message = "the endpoint was changed while it was verified: verify it again";
            return Err(conflict("endpoint_changed", message));
        }
        if matches!(endpoint.state, EndpointState::Disabled { reason: DisabledReason::Unverified, .. }) {
            endpoint.state = EndpointState::Enabled;
            self.changes.push(Change::RestartDeliveries(endpoint.id, self.steady));
        }
        if let Some(rate) = consent.rate {
            let overrides = Overrides { rate: Some(Some(rate)), ..endpoint.policy.overrides().clone() };
            endpoint.policy = Policy::new(endpoint.policy.preset(), overrides);
        }
        self.put_endpoint(endpoint)
    }
}
