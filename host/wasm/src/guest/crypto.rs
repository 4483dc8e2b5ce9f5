//! `crypto`: digests; keyed functions name their key, and no key ever enters a plugin.

use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha512};

use super::RunState;
use crate::bindings::hookmill::plugin::crypto::{Digest, Host, SignatureAlgorithm};

impl RunState {
    /// The answer of every function that needs a key: endpoints have none to bind yet.
    pub(super) fn unknown_secret<T>(name: &str) -> Result<T, String> {
        Err(format!("no secret is bound as `{}`", crate::run_log::printable(name, 64)))
    }
}

impl Host for RunState {
    fn hash(&mut self, algorithm: Digest, data: Vec<u8>) -> wasmtime::Result<Vec<u8>> {
        self.enter(0)?;
        self.charge_read(data.len());
        Ok(match algorithm {
            Digest::Sha1 => Sha1::digest(&data).to_vec(),
            Digest::Sha256 => Sha256::digest(&data).to_vec(),
            Digest::Sha512 => Sha512::digest(&data).to_vec(),
        })
    }

    fn hmac(&mut self, _: Digest, key: String, data: Vec<u8>) -> wasmtime::Result<Result<Vec<u8>, String>> {
        self.enter(data.len())?;
        Ok(Self::unknown_secret(&key))
    }

    fn hmac_verify(
        &mut self,
        _: Digest,
        key: String,
        data: Vec<u8>,
        _: Vec<u8>,
    ) -> wasmtime::Result<Result<bool, String>> {
        self.enter(data.len())?;
        Ok(Self::unknown_secret(&key))
    }

    fn signature_verify(
        &mut self,
        _: SignatureAlgorithm,
        key: String,
        data: Vec<u8>,
        _: Vec<u8>,
    ) -> wasmtime::Result<Result<bool, String>> {
        self.enter(data.len())?;
        Ok(Self::unknown_secret(&key))
    }
}
