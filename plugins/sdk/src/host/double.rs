//! A double of the router for tests on the developer's machine: plain values, no Wasm.

use std::cell::RefCell;

use serde_json::Value;

use crate::log::Level;

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

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.body.clone()
    }

    pub(crate) fn text(&self) -> Option<String> {
        String::from_utf8(self.body.clone()).ok()
    }

    pub(crate) fn json(&self, pointer: &str) -> Result<Option<String>, String> {
        let body = serde_json::from_slice(&self.body)
            .map_err(|error| format!("the event's body is not JSON: {error}"))?;
        find(&body, pointer)
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
        let settings = serde_json::from_str(&self.settings)
            .map_err(|error| format!("the settings are not JSON: {error}"))?;
        find(&settings, pointer)
    }
}

fn find(document: &Value, pointer: &str) -> Result<Option<String>, String> {
    if !pointer.is_empty() && !pointer.starts_with('/') {
        return Err(format!("`{pointer}` is not a JSON pointer: it is empty or begins with `/`"));
    }
    Ok(document.pointer(pointer).map(Value::to_string))
}
