//! What is being delivered, and where to.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::document::{self, Document};
use crate::host::{EventHandle, TargetHandle};
use crate::{Object, Result};

/// One accepted event.
///
/// It stays in the router: reading a part copies that part into the plugin, when it is read and once. So a plugin that
/// needs two fields of a large event asks for them by [`find`](Self::find); one that needs all of it reads
/// [`json`](Self::json) or [`object`](Self::object).
#[derive(Debug)]
pub struct Event(Document<EventHandle>);

impl Event {
    pub(crate) fn new(handle: EventHandle) -> Self {
        Self(Document::new(handle))
    }

    /// The router's id of the event, for example `msg_01k...`; the `webhook-id` of its deliveries.
    #[must_use]
    pub fn id(&self) -> String {
        self.0.handle.id()
    }

    /// The sender's own id, where it gave one.
    #[must_use]
    pub fn uid(&self) -> Option<String> {
        self.0.handle.uid()
    }

    /// What happened, for example `invoice.paid`.
    #[must_use]
    pub fn event_type(&self) -> String {
        self.0.handle.event_type()
    }

    /// The channels that the sender named, at most five.
    #[must_use]
    pub fn channels(&self) -> Vec<String> {
        self.0.handle.channels()
    }

    /// When the router accepted the event, in milliseconds since 1970.
    #[must_use]
    pub fn accepted_at_ms(&self) -> u64 {
        self.0.handle.accepted_at()
    }

    /// The media type of the body, for example `application/json`.
    #[must_use]
    pub fn content_type(&self) -> String {
        self.0.handle.content_type()
    }

    /// Bytes of the body.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.0.handle.size()
    }

    /// The body.
    pub fn bytes(&self) -> &[u8] {
        self.0.bytes()
    }

    /// The body as text.
    ///
    /// # Errors
    /// A permanent failure where it is not UTF-8.
    pub fn text(&self) -> Result<&str> {
        self.0.text()
    }

    /// The body as a type of the plugin's own. Its strings may borrow from the event.
    ///
    /// # Errors
    /// A permanent failure that says where the body is no JSON, or no `T`.
    pub fn json<'event, T: Deserialize<'event>>(&'event self) -> Result<T> {
        self.0.json()
    }

    /// The body as a JSON object whose fields keep their exact text until they are read.
    ///
    /// # Errors
    /// A permanent failure where the body is no JSON object.
    pub fn object(&self) -> Result<Object<'_>> {
        self.0.object()
    }

    /// One node of a JSON body by its pointer (RFC 6901), for example `/data/to`; none where there is no such node.
    /// The router finds it and hands over nothing else.
    ///
    /// # Errors
    /// A permanent failure where the body is no JSON, the pointer is not one, or the node is no `T`.
    pub fn find<T: DeserializeOwned>(&self, pointer: &str) -> Result<Option<T>> {
        self.0.find(pointer)
    }

    /// The text of one node of a JSON body, as it came; none where there is no such node. The router has read it as JSON,
    /// so nothing has to be read once more.
    ///
    /// # Errors
    /// A permanent failure where the body is no JSON or the pointer is not one.
    pub fn raw(&self, pointer: &str) -> Result<Option<String>> {
        self.0.raw(pointer)
    }

    /// One node of a JSON body that has to be there.
    ///
    /// # Errors
    /// As [`find`](Self::find), and where there is no such node.
    pub fn require<T: DeserializeOwned>(&self, pointer: &str) -> Result<T> {
        self.0.require(pointer)
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
        document::settings(&self.handle.settings(), "the endpoint")
    }

    /// One node of the settings by its pointer (RFC 6901); none where there is no such node.
    ///
    /// # Errors
    /// A permanent failure where the pointer is not one or the node is no `T`.
    pub fn setting<T: DeserializeOwned>(&self, pointer: &str) -> Result<Option<T>> {
        document::setting(pointer, self.handle.setting(pointer))
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use crate::{Failure, json, test};

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
