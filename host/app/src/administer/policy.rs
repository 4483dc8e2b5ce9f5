//! The terms on which an endpoint receives.

use hookmill_core::endpoint::Endpoint;
use hookmill_core::id::{ApplicationId, EndpointId};
use hookmill_core::policy::{Overrides, Policy};
use hookmill_core::preset::Preset;

use super::Edit;
use crate::AppError;

/// What an operator wants changed of an endpoint's terms; the rest stays.
#[derive(Debug, Clone, Default)]
pub struct PolicyPatch {
    /// The preset. What is overridden stays overridden.
    pub preset: Option<Preset>,
    /// Whose overrides go first, so that the preset's values are in force again.
    pub reset: Vec<Term>,
    /// New overrides; those that are not there stay.
    pub overrides: Overrides,
}

/// One value of an endpoint's terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the field of `Overrides` with its name")]
pub enum Term {
    Retry,
    Timeout,
    Concurrency,
    Rate,
    Ordering,
    Success,
    Signature,
    Url,
    Disable,
}

impl Edit<'_> {
    /// Changes some of an endpoint's terms. Deliveries under way end under the old ones.
    ///
    /// # Errors
    /// No such endpoint, or terms that its URL or its secret does not fit.
    pub fn patch_policy(
        &mut self,
        application: ApplicationId,
        endpoint: EndpointId,
        patch: PolicyPatch,
    ) -> Result<Endpoint, AppError> {
        let mut endpoint = self.endpoint(application, endpoint)?;
        let preset = patch.preset.unwrap_or(endpoint.policy.preset());
        let mut overrides = endpoint.policy.overrides().clone();
        for term in patch.reset {
            reset(&mut overrides, term);
        }
        endpoint.policy = Policy::new(preset, merged(overrides, patch.overrides));
        self.put_endpoint(endpoint)
    }
}

/// Whether everywhere that an endpoint's requests may go, and its secret, fit its terms.
pub(super) fn check_terms(endpoint: &Endpoint) -> Result<(), AppError> {
    let terms = endpoint.policy.effective();
    endpoint
        .check_verifiable()
        .map_err(|error| AppError::invalid("verification_origins", error.to_string()))?;
    let is_admitted = terms.url.admits(&endpoint.url)
        && endpoint.origins().iter().all(|origin| terms.url.admits(&origin.root()));
    if !is_admitted {
        return Err(AppError::invalid(
            "url_not_https",
            "the endpoint's terms want https: give an https URL, or set the policy's `url` to `any`",
        ));
    }
    let is_shared = endpoint.signing.current().public_text().is_none();
    if terms.signature.needs_shared_secret() && !is_shared {
        return Err(AppError::invalid(
            "signature_needs_shared_secret",
            "this signature is made with a shared secret: rotate to a `whsec_` key, or choose another signature",
        ));
    }
    Ok(())
}

fn reset(overrides: &mut Overrides, term: Term) {
    match term {
        Term::Retry => overrides.retry = None,
        Term::Timeout => overrides.timeout = None,
        Term::Concurrency => overrides.concurrency = None,
        Term::Rate => overrides.rate = None,
        Term::Ordering => overrides.ordering = None,
        Term::Success => overrides.success = None,
        Term::Signature => overrides.signature = None,
        Term::Url => overrides.url = None,
        Term::Disable => overrides.disable = None,
    }
}

fn merged(old: Overrides, new: Overrides) -> Overrides {
    Overrides {
        retry: new.retry.or(old.retry),
        timeout: new.timeout.or(old.timeout),
        concurrency: new.concurrency.or(old.concurrency),
        rate: new.rate.or(old.rate),
        ordering: new.ordering.or(old.ordering),
        success: new.success.or(old.success),
        signature: new.signature.or(old.signature),
        url: new.url.or(old.url),
        disable: new.disable.or(old.disable),
    }
}
