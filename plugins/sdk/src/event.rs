//! What is being delivered, and where to.

use std::cell::OnceCell;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::host::{EventHandle, TargetHandle};
use crate::{Failure, Object, Result};

/// One accepted event.
///
/// It stays in the router: reading a part copies that part into the plugin, when it is read and once. So a plugin that
/// needs two fields of a large event asks for them by [`find`](Self::find); one that needs all of it reads
/// [`json`](Self::json) or [`object`](Self::object).
#[derive(Debug)]
pub struct Event {
    handle: EventHandle,
    text: OnceCell<Option<String>>,
    bytes: OnceCell<Vec<u8>>,
}

impl Event {
    pub(crate) fn new(handle: EventHandle) -> Self {
        Self { handle, text: OnceCell::new(), bytes: OnceCell::new() }
    }

    /// The router's id of the event, for example `msg_01k...`; the `webhook-id` of its deliveries.
    #[must_use]
    pub fn id(&self) -> String {
        self.handle.id()
    }

    /// The sender's own id, where it gave one.
    #[must_use]
    pub fn uid(&self) -> Option<String> {
        self.handle.uid()
    }

    /// What happened, for example `invoice.paid`.
    #[must_use]
    pub fn event_type(&self) -> String {
        self.handle.event_type()
    }

    /// The channels that the sender named, at most five.
    #[must_use]
    pub fn channels(&self) -> Vec<String> {
        self.handle.channels()
    }

    /// When the router accepted the event, in milliseconds since 1970.
    #[must_use]
    pub fn accepted_at_ms(&self) -> u64 {
        self.handle.accepted_at()
    }

    /// The media type of the body, for example `application/json`.
    #[must_use]
    pub fn content_type(&self) -> String {
        self.handle.content_type()
    }

    /// Bytes of the body.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.handle.size()
    }

    /// The body.
    pub fn bytes(&self) -> &[u8] {
        match self.text.get() {
            Some(Some(text)) => text.as_bytes(),
            Some(None) | None => self.bytes.get_or_init(|| self.handle.bytes()),
        }
    }

    /// The body as text.
    ///
    /// # Errors
    /// A permanent failure where it is not UTF-8.
    pub fn text(&self) -> Result<&str> {
        let text = self.text.get_or_init(|| self.handle.text());
        text.as_deref().ok_or_else(|| Failure::permanent("the event's body is not UTF-8 text"))
    }

    /// The body as a type of the plugin's own. Its strings may borrow from the event.
    ///
    /// # Errors
    /// A permanent failure that says where the body is no JSON, or no `T`.
    pub fn json<'event, T: Deserialize<'event>>(&'event self) -> Result<T> {
        serde_json::from_str(self.text()?)
            .map_err(|error| Failure::permanent(format!("the event's body: {error}")))
    }

    /// The body as a JSON object whose fields keep their exact text until they are read.
    ///
    /// # Errors
    /// A permanent failure where the body is no JSON object.
    pub fn object(&self) -> Result<Object<'_>> {
        self.json()
    }

    /// One node of a JSON body by its pointer (RFC 6901), for example `/data/to`; none where there is no such node.
    /// The router finds it and hands over nothing else.
    ///
    /// # Errors
    /// A permanent failure where the body is no JSON, the pointer is not one, or the node is no `T`.
    pub fn find<T: DeserializeOwned>(&self, pointer: &str) -> Result<Option<T>> {
        node(pointer, self.handle.json(pointer))
    }

    /// One node of a JSON body that has to be there.
    ///
    /// # Errors
    /// As [`find`](Self::find), and where there is no such node.
    pub fn require<T: DeserializeOwned>(&self, pointer: &str) -> Result<T> {
        self.find(pointer)?.ok_or_else(|| Failure::permanent(format!("{pointer}: missing from the event")))
    }
}

/// The endpoint that the event goes to.
#[derive(Debug)]
pub struct Target {
    handle: TargetHandle,
}

impl Target {
    pub(crate) fn new(handle: TargetHandle) -> Self {
        Self { handle }
    }

    /// The router's id of the endpoint, for example `ep_01k...`.
    #[must_use]
    pub fn endpoint_id(&self) -> String {
        self.handle.endpoint_id()
    }

    /// Where its deliveries go.
    #[must_use]
    pub fn url(&self) -> String {
        self.handle.url()
    }

    /// 1 for the first attempt of this delivery.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.handle.attempt()
    }

    /// The endpoint's settings for this plugin. An endpoint without any has the settings `{}`.
    ///
    /// # Errors
    /// A permanent failure that says where the settings are no `T`.
    pub fn settings<T: DeserializeOwned>(&self) -> Result<T> {
        let text = self.handle.settings();
        let text = if matches!(text.trim(), "" | "null") { "{}" } else { text.as_str() };
        serde_json::from_str(text)
            .map_err(|error| Failure::permanent(format!("the endpoint's settings: {error}")))
    }

    /// One node of the settings by its pointer (RFC 6901); none where there is no such node.
    ///
    /// # Errors
    /// A permanent failure where the pointer is not one or the node is no `T`.
    pub fn setting<T: DeserializeOwned>(&self, pointer: &str) -> Result<Option<T>> {
        node(pointer, self.handle.setting(pointer))
    }
}

/// Reads what the router answered for a pointer.
fn node<T: DeserializeOwned>(pointer: &str, answer: Result<Option<String>, String>) -> Result<Option<T>> {
    match answer {
        Err(message) => Err(Failure::permanent(message)),
        Ok(None) => Ok(None),
        Ok(Some(text)) => match serde_json::from_str(&text) {
            Ok(value) => Ok(Some(value)),
            Err(error) => Err(Failure::permanent(format!("{pointer}: {error}"))),
        },
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;
    use crate::{json, test};

    #[test]
    fn parts_are_found_by_pointer() {
        let event = test::event(r#"{"data": {"to": "+1", "n": [1, 2]}}"#).build();
        assert_eq!(event.find("/data/n/1"), Ok(Some(2)));
        assert_eq!(event.find::<u8>("/data/m"), Ok(None));
        assert_eq!(
            event.require::<u8>("/data/m"),
            Err(Failure::permanent("/data/m: missing from the event"))
        );
        let wrong = event.find::<u8>("/data/to").expect_err("a string is no number");
        assert!(wrong.reason().starts_with("/data/to: invalid type: string"), "{wrong}");
    }

    #[test]
    fn bytes_need_not_be_text() {
        let event = test::event([0xff, 0xfe]).build();
        assert_eq!(event.text(), Err(Failure::permanent("the event's body is not UTF-8 text")));
        assert_eq!(event.bytes(), [0xff, 0xfe]);
        assert!(event.json::<crate::Value>().is_err());
    }

    #[test]
    fn no_settings_are_empty_settings() {
        for settings in ["", "null", "{}"] {
            assert_eq!(test::target(settings).build().settings(), Ok(json!({})), "{settings:?}");
        }
        let target = test::target(r#"{"keep": ["to"]}"#).build();
        assert_eq!(target.setting("/keep/0"), Ok(Some("to".to_owned())));
    }
}
