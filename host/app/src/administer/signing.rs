//! Signing keys of an endpoint.

use std::time::Duration;

use hookmill_core::endpoint::Endpoint;
use hookmill_core::id::{ApplicationId, EndpointId};
use hookmill_core::signature::SigningKey;
use zeroize::Zeroizing;

use super::{Edit, conflict};
use crate::AppError;

/// Bytes of a key that the router makes: as many as the hash that it keys (RFC 2104, section 3).
const NEW_KEY_BYTES: usize = 32;

impl Edit<'_> {
    /// Puts a new key in front, given or made; the one it replaces signs on for the overlap.
    ///
    /// # Errors
    /// No such endpoint, too many keys that sign at once, or a key that the endpoint's signature can't be made with.
    pub fn rotate_signing_key(
        &mut self,
        application: ApplicationId,
        endpoint: EndpointId,
        new: Option<SigningKey>,
        overlap: Duration,
    ) -> Result<Endpoint, AppError> {
        let mut endpoint = self.endpoint(application, endpoint)?;
        let new = new.unwrap_or_else(|| self.new_signing_key());
        endpoint
            .signing
            .rotate(new, self.steady, overlap)
            .map_err(|error| conflict(error.code(), error.shown_at(self.moment()).to_string()))?;
        self.put_endpoint(endpoint)
    }

    pub(super) fn new_signing_key(&self) -> SigningKey {
        let mut random = Zeroizing::new([0; NEW_KEY_BYTES]);
        self.app.entropy.fill(&mut *random);
        SigningKey::generate_symmetric(&*random).expect("32 bytes are a key")
    }
}
