//! When and how often deliveries of an endpoint are tried.

use hookmill_core::endpoint::{Concurrency, Endpoint, Ordering, Rate, Timeout};
use hookmill_core::id::{ApplicationId, EndpointId};
use hookmill_core::retry::RetryPolicy;

use super::Edit;
use crate::AppError;

/// What an operator wants changed of a delivery policy; the rest stays.
#[derive(Debug, Clone, Default)]
pub struct PolicyPatch {
    /// Waits between attempts.
    pub retry: Option<RetryPolicy>,
    /// One attempt.
    pub timeout: Option<Timeout>,
    /// Deliveries under way at once.
    pub concurrency: Option<Concurrency>,
    /// Deliveries in a period, or no limit.
    pub rate: Option<Option<Rate>>,
    /// Which deliveries keep their order.
    pub ordering: Option<Ordering>,
}

impl Edit<'_> {
    /// Changes some of an endpoint's delivery policy. Deliveries under way end under the old one.
    ///
    /// # Errors
    /// No such endpoint.
    pub fn patch_policy(
        &mut self,
        application: ApplicationId,
        endpoint: EndpointId,
        patch: PolicyPatch,
    ) -> Result<Endpoint, AppError> {
        let mut endpoint = self.endpoint(application, endpoint)?;
        let policy = &mut endpoint.policy;
        if let Some(retry) = patch.retry {
            policy.retry = retry;
        }
        if let Some(timeout) = patch.timeout {
            policy.timeout = timeout;
        }
        if let Some(concurrency) = patch.concurrency {
            policy.concurrency = concurrency;
        }
        if let Some(rate) = patch.rate {
            policy.rate = rate;
        }
        if let Some(ordering) = patch.ordering {
            policy.ordering = ordering;
        }
        Ok(self.put_endpoint(endpoint))
    }
}
