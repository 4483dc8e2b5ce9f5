//! `crypto`: digests; keyed functions name their key, and no key ever enters a plugin.

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha512};

use super::{RunState, public_key, unknown_secret};
use crate::bindings::hookmill::plugin::crypto::{Digest, Host, SignatureAlgorithm};

/// Fuel for checking a signature, beside that for the bytes: up to 100 us.
const SIGNATURE_FUEL: u64 = 500_000;
const KEY_LENGTH: &str = "HMAC takes keys of any length";

impl RunState {
    /// What a function answers that takes a named key.
    fn with_secret<T>(
        &mut self,
        name: &str,
        answer: impl FnOnce(&[u8]) -> Result<T, String>,
    ) -> wasmtime::Result<Result<T, String>> {
        let secret = self.secrets.get(name).ok_or_else(|| unknown_secret(name));
        if let Err(message) = &secret {
            self.missing_secret.get_or_insert_with(|| message.clone());
        }
        Ok(secret.and_then(|secret| answer(secret.expose())))
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

    fn hmac(
        &mut self,
        algorithm: Digest,
        key: String,
        data: Vec<u8>,
    ) -> wasmtime::Result<Result<Vec<u8>, String>> {
        self.enter(key.len())?;
        self.charge_read(data.len());
        self.with_secret(&key, |key| Ok(hmac(algorithm, key, &data)))
    }

    fn hmac_verify(
        &mut self,
        algorithm: Digest,
        key: String,
        data: Vec<u8>,
        mac: Vec<u8>,
    ) -> wasmtime::Result<Result<bool, String>> {
        self.enter(key.len() + mac.len())?;
        self.charge_read(data.len());
        self.with_secret(&key, |key| Ok(verify_hmac(algorithm, key, &data, &mac)))
    }

    fn signature_verify(
        &mut self,
        algorithm: SignatureAlgorithm,
        key: String,
        data: Vec<u8>,
        signature: Vec<u8>,
    ) -> wasmtime::Result<Result<bool, String>> {
        self.enter(key.len() + signature.len())?;
        self.charge_read(data.len());
        self.charge(SIGNATURE_FUEL);
        self.with_secret(&key, |secret| {
            public_key::verify(algorithm, secret, &data, &signature)
                .ok_or_else(|| format!("the secret `{key}` is no public key for {}", name_of(algorithm)))
        })
    }
}

fn name_of(algorithm: SignatureAlgorithm) -> &'static str {
    match algorithm {
        SignatureAlgorithm::Ed25519 => "ed25519",
        SignatureAlgorithm::EcdsaP256Sha256 => "ecdsa-p256-sha256",
        SignatureAlgorithm::RsaPkcs1Sha256 => "rsa-pkcs1-sha256",
    }
}

fn keyed<M: Mac + KeyInit>(key: &[u8], data: &[u8]) -> M {
    <M as KeyInit>::new_from_slice(key).expect(KEY_LENGTH).chain_update(data)
}

fn hmac(algorithm: Digest, key: &[u8], data: &[u8]) -> Vec<u8> {
    match algorithm {
        Digest::Sha1 => keyed::<Hmac<Sha1>>(key, data).finalize().into_bytes().to_vec(),
        Digest::Sha256 => keyed::<Hmac<Sha256>>(key, data).finalize().into_bytes().to_vec(),
        Digest::Sha512 => keyed::<Hmac<Sha512>>(key, data).finalize().into_bytes().to_vec(),
    }
}

/// In constant time.
fn verify_hmac(algorithm: Digest, key: &[u8], data: &[u8], mac: &[u8]) -> bool {
    match algorithm {
        Digest::Sha1 => keyed::<Hmac<Sha1>>(key, data).verify_slice(mac),
        Digest::Sha256 => keyed::<Hmac<Sha256>>(key, data).verify_slice(mac),
        Digest::Sha512 => keyed::<Hmac<Sha512>>(key, data).verify_slice(mac),
    }
    .is_ok()
}
