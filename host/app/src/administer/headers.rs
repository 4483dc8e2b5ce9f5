//! Headers that the operator adds to each delivery of an endpoint.

use std::collections::BTreeMap;

use hookmill_core::endpoint::{CustomHeaders, Endpoint, InvalidHeaders};
use hookmill_core::id::{ApplicationId, EndpointId};

use super::Edit;
use crate::AppError;

impl Edit<'_> {
    /// Replaces all custom headers.
    ///
    /// # Errors
    /// No such endpoint.
    pub fn replace_headers(
        &mut self,
        application: ApplicationId,
        endpoint: EndpointId,
        headers: CustomHeaders,
    ) -> Result<Endpoint, AppError> {
        let mut endpoint = self.endpoint(application, endpoint)?;
        endpoint.headers = headers;
        self.put_endpoint(endpoint)
    }

    /// Sets some custom headers and removes those without a value; the rest stays.
    ///
    /// # Errors
    /// No such endpoint, or headers that can't be added to a delivery.
    pub fn patch_headers(
        &mut self,
        application: ApplicationId,
        endpoint: EndpointId,
        changes: &BTreeMap<String, Option<String>>,
    ) -> Result<Endpoint, AppError> {
        let mut endpoint = self.endpoint(application, endpoint)?;
        let changed = |name: &str| changes.keys().any(|key| key.eq_ignore_ascii_case(name));
        let kept = endpoint.headers.as_map().iter().filter(|(name, _)| !changed(name.as_str()));
        let kept = kept.map(|(name, value)| (name.as_str(), value.as_bytes()));
        let set =
            changes.iter().filter_map(|(name, value)| Some((name.as_str(), value.as_ref()?.as_bytes())));
        let headers = CustomHeaders::new(kept.chain(set)).map_err(|error| refused(&error))?;
        endpoint.headers = headers;
        self.put_endpoint(endpoint)
    }
}

/// The code of a header that can't be added to a delivery.
#[must_use]
pub fn header_code(error: &InvalidHeaders) -> &'static str {
    match error {
        InvalidHeaders::Name { .. } => "header_name_invalid",
        InvalidHeaders::Value { .. } => "header_value_invalid",
        InvalidHeaders::Reserved { .. } => "header_reserved",
        InvalidHeaders::TooMany => "too_many_headers",
    }
}

fn refused(error: &InvalidHeaders) -> AppError {
    AppError::invalid(header_code(error), error.to_string())
}
