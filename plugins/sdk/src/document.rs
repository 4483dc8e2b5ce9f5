//! What the router holds as a document and hands over in parts: bodies and settings.

use std::borrow::Cow;
use std::cell::OnceCell;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::{Failure, Object, Result, well_formed};

/// Something with a body, as the router hands it over.
pub(crate) trait BodyHandle {
    /// Whose body it is, for errors: `the event`.
    const OWNER: &'static str;

    fn bytes(&self) -> Vec<u8>;
    fn text(&self) -> Option<String>;
    fn json(&self, pointer: &str) -> Result<Option<String>, String>;

    /// What it means for the run that the body is not as the plugin needs it.
    fn failure(reason: String) -> Failure {
        Failure::Permanent(reason)
    }
}

/// A handle and as much of its body as the plugin asked for, which was copied once.
#[derive(Debug)]
pub(crate) struct Document<H> {
    pub(crate) handle: H,
    text: OnceCell<Option<String>>,
    bytes: OnceCell<Vec<u8>>,
    /// The text that JSON is read from, where it is not the text itself.
    well_formed: OnceCell<String>,
}

impl<H: BodyHandle> Document<H> {
    pub(crate) fn new(handle: H) -> Self {
        Self { handle, text: OnceCell::new(), bytes: OnceCell::new(), well_formed: OnceCell::new() }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        match self.text.get() {
            Some(Some(text)) => text.as_bytes(),
            Some(None) | None => self.bytes.get_or_init(|| self.handle.bytes()),
        }
    }

    pub(crate) fn text(&self) -> Result<&str> {
        let text = self.text.get_or_init(|| self.handle.text());
        text.as_deref().ok_or_else(|| H::failure(format!("{}'s body is not UTF-8 text", H::OWNER)))
    }

    pub(crate) fn json<'body, T: Deserialize<'body>>(&'body self) -> Result<T> {
        serde_json::from_str(self.json_text()?).map_err(|error| Self::unreadable(&error))
    }

    pub(crate) fn object(&self) -> Result<Object<'_>> {
        Object::read(self.json_text()?).map_err(|error| Self::unreadable(&error))
    }

    /// The text without a byte order mark, and with all of its strings readable.
    fn json_text(&self) -> Result<&str> {
        let text = self.text()?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Ok(match well_formed(text) {
            Cow::Borrowed(text) => text,
            Cow::Owned(text) => self.well_formed.get_or_init(|| text),
        })
    }

    fn unreadable(error: &serde_json::Error) -> Failure {
        H::failure(format!("{}'s body: {error}", H::OWNER))
    }

    pub(crate) fn raw(&self, pointer: &str) -> Result<Option<String>> {
        self.handle.json(pointer).map_err(H::failure)
    }

    pub(crate) fn find<T: DeserializeOwned>(&self, pointer: &str) -> Result<Option<T>> {
        node(pointer, self.handle.json(pointer)).map_err(H::failure)
    }

    pub(crate) fn require<T: DeserializeOwned>(&self, pointer: &str) -> Result<T> {
        self.find(pointer)?.ok_or_else(|| H::failure(format!("{pointer}: missing from {}", H::OWNER)))
    }
}

/// Reads settings; those that nobody made are empty.
pub(crate) fn settings<T: DeserializeOwned>(text: &str, owner: &str) -> Result<T> {
    let text = if matches!(text.trim(), "" | "null") { "{}" } else { text };
    serde_json::from_str(text).map_err(|error| Failure::permanent(format!("{owner}'s settings: {error}")))
}

/// Reads one node of the settings.
pub(crate) fn setting<T: DeserializeOwned>(
    pointer: &str,
    answer: Result<Option<String>, String>,
) -> Result<Option<T>> {
    node(pointer, answer).map_err(Failure::Permanent)
}

/// Reads what the router answered for a pointer.
fn node<T: DeserializeOwned>(
    pointer: &str,
    answer: Result<Option<String>, String>,
) -> Result<Option<T>, String> {
    // Providers say `null` of what is not there.
    match answer?.filter(|text| text != "null") {
        None => Ok(None),
        Some(text) => match serde_json::from_str(&well_formed(&text)) {
            Ok(value) => Ok(Some(value)),
            Err(error) => Err(format!("{pointer}: {error}")),
        },
    }
}
