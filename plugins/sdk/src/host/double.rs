//! A double of the router for tests on the developer's machine: plain values, no Wasm.

use std::borrow::Cow;
use std::cell::RefCell;

use hmac::{Hmac, KeyInit, Mac};
use serde_json::value::RawValue;
use sha2::Digest as _;

use crate::crypto::Digest;
use crate::document::BodyHandle;
use crate::log::Level;
use crate::{Kind, Object};

/// An event as a value.
#[derive(Debug, Clone)]
pub(crate) struct EventHandle {
    pub(crate) id: String,
    pub(crate) uid: Option<String>,
    pub(crate) event_type: String,
    pub(crate) channels: Vec<String>,
    pub(crate) accepted_at_ms: u64,
    pub(crate) content_type: String,
    pub(crate) body: Vec<u8>,
}

/// An endpoint as a value.
#[derive(Debug, Clone)]
pub(crate) struct TargetHandle {
    pub(crate) endpoint_id: String,
    pub(crate) url: String,
    pub(crate) attempt: u32,
    pub(crate) settings: String,
}

/// Time, chance and the log of this thread's run.
#[derive(Debug, Clone)]
pub(crate) struct Ambient {
    pub(crate) now_ms: u64,
    pub(crate) random_state: u64,
    pub(crate) log: Vec<(Level, String)>,
}

thread_local! {
    static AMBIENT: RefCell<Ambient> = const { RefCell::new(Ambient { now_ms: 0, random_state: 0, log: Vec::new() }) };
}

pub(crate) fn with_ambient<T>(act: impl FnOnce(&mut Ambient) -> T) -> T {
    AMBIENT.with_borrow_mut(act)
}

pub(crate) fn now_ms() -> u64 {
    with_ambient(|ambient| ambient.now_ms)
}

/// SplitMix64 (Steele, Lea and Flood, 2014): any sequence does, as long as it is the same each time.
pub(crate) fn random_u64() -> u64 {
    with_ambient(|ambient| {
        ambient.random_state = ambient.random_state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (ambient.random_state ^ (ambient.random_state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    })
}

pub(crate) fn hash(algorithm: Digest, data: &[u8]) -> Vec<u8> {
    match algorithm {
        Digest::Sha1 => sha1::Sha1::digest(data).to_vec(),
        Digest::Sha256 => sha2::Sha256::digest(data).to_vec(),
        Digest::Sha512 => sha2::Sha512::digest(data).to_vec(),
    }
}

/// Every secret is there; its text is the one that samples have.
#[expect(clippy::unnecessary_wraps, reason = "the router may have no such secret")]
pub(crate) fn hmac(algorithm: Digest, secret: &str, data: &[u8]) -> Result<Vec<u8>, String> {
    let key = format!("sample-secret-{secret}");
    Ok(match algorithm {
        Digest::Sha1 => mac::<Hmac<sha1::Sha1>>(&key, data),
        Digest::Sha256 => mac::<Hmac<sha2::Sha256>>(&key, data),
        Digest::Sha512 => mac::<Hmac<sha2::Sha512>>(&key, data),
    })
}

fn mac<M: Mac + KeyInit>(key: &str, data: &[u8]) -> Vec<u8> {
    let mac = <M as KeyInit>::new_from_slice(key.as_bytes()).expect("keys of an HMAC have any length");
    mac.chain_update(data).finalize().into_bytes().to_vec()
}

pub(crate) fn log(level: Level, message: &str) {
    with_ambient(|ambient| ambient.log.push((level, message.to_owned())));
}

impl EventHandle {
    pub(crate) fn id(&self) -> String {
        self.id.clone()
    }

    pub(crate) fn uid(&self) -> Option<String> {
        self.uid.clone()
    }

    pub(crate) fn event_type(&self) -> String {
        self.event_type.clone()
    }

    pub(crate) fn channels(&self) -> Vec<String> {
        self.channels.clone()
    }

    pub(crate) fn accepted_at(&self) -> u64 {
        self.accepted_at_ms
    }

    pub(crate) fn content_type(&self) -> String {
        self.content_type.clone()
    }

    pub(crate) fn size(&self) -> u64 {
        self.body.len() as u64
    }
}

impl BodyHandle for EventHandle {
    const OWNER: &'static str = "the event";

    fn bytes(&self) -> Vec<u8> {
        self.body.clone()
    }

    fn text(&self) -> Option<String> {
        String::from_utf8(self.body.clone()).ok()
    }

    fn json(&self, pointer: &str) -> Result<Option<String>, String> {
        find_in(&self.body, pointer, "the event's body")
    }
}

impl TargetHandle {
    pub(crate) fn endpoint_id(&self) -> String {
        self.endpoint_id.clone()
    }

    pub(crate) fn url(&self) -> String {
        self.url.clone()
    }

    pub(crate) fn attempt(&self) -> u32 {
        self.attempt
    }

    pub(crate) fn settings(&self) -> String {
        self.settings.clone()
    }

    pub(crate) fn setting(&self, pointer: &str) -> Result<Option<String>, String> {
        find_in(self.settings.as_bytes(), pointer, "the settings")
    }
}

/// One node of a JSON document, as it is written there; `what` names the document in errors.
pub(crate) fn find_in(document: &[u8], pointer: &str, what: &str) -> Result<Option<String>, String> {
    let mut node: &RawValue =
        serde_json::from_slice(document).map_err(|error| format!("{what} is not JSON: {error}"))?;
    if !pointer.is_empty() && !pointer.starts_with('/') {
        return Err(format!("`{pointer}` is not a JSON pointer: it is empty or begins with `/`"));
    }
    for token in pointer.split('/').skip(1) {
        let token = token.replace("~1", "/").replace("~0", "~");
        node = match child(node, &token) {
            Some(child) => child,
            None => return Ok(None),
        };
    }
    Ok(Some(node.get().to_owned()))
}

fn child<'document>(node: &'document RawValue, token: &str) -> Option<&'document RawValue> {
    match Kind::of(node) {
        Kind::Object => match Object::parse(node.get()).ok()?.remove(token)? {
            Cow::Borrowed(child) => Some(child),
            Cow::Owned(_) => None,
        },
        Kind::Array => {
            let is_index = token == "0" || !token.starts_with(['0', '+']);
            let index: usize = token.parse().ok().filter(|_| is_index)?;
            serde_json::from_str::<Vec<&RawValue>>(node.get()).ok()?.get(index).copied()
        }
        Kind::String | Kind::Number | Kind::Bool | Kind::Null => None,
    }
}

/// All values of a header, as the router joins them.
pub(crate) fn joined_header(headers: &[(String, String)], name: &str) -> Option<String> {
    let values: Vec<&str> = headers
        .iter()
        .filter(|(header, _)| header.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.as_str())
        .collect();
    if values.is_empty() { None } else { Some(values.join(", ")) }
}
