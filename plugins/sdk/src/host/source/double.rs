//! A request and its source as values.

use std::collections::BTreeSet;

use crate::document::BodyHandle;
use crate::host::double::{find_in, joined_header};

/// What came in, as a value.
#[derive(Debug, Clone)]
pub(crate) struct InboundHandle {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) received_at_ms: u64,
}

/// A source as a value.
#[derive(Debug, Clone)]
pub(crate) struct OriginHandle {
    pub(crate) name: String,
    pub(crate) settings: String,
}

impl InboundHandle {
    pub(crate) fn method(&self) -> String {
        self.method.clone()
    }

    pub(crate) fn path(&self) -> String {
        self.path.clone()
    }

    pub(crate) fn query(&self) -> String {
        self.query.clone()
    }

    pub(crate) fn header(&self, name: &str) -> Option<String> {
        joined_header(&self.headers, name)
    }

    pub(crate) fn header_names(&self) -> Vec<String> {
        let names: BTreeSet<String> =
            self.headers.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
        names.into_iter().collect()
    }

    pub(crate) fn received_at(&self) -> u64 {
        self.received_at_ms
    }
}

impl BodyHandle for InboundHandle {
    const OWNER: &'static str = "the request";

    fn bytes(&self) -> Vec<u8> {
        self.body.clone()
    }

    fn text(&self) -> Option<String> {
        String::from_utf8(self.body.clone()).ok()
    }

    fn json(&self, pointer: &str) -> Result<Option<String>, String> {
        find_in(&self.body, pointer, "the request's body")
    }
}

impl OriginHandle {
    pub(crate) fn name(&self) -> String {
        self.name.clone()
    }

    pub(crate) fn settings(&self) -> String {
        self.settings.clone()
    }

    pub(crate) fn setting(&self, pointer: &str) -> Result<Option<String>, String> {
        find_in(self.settings.as_bytes(), pointer, "the settings")
    }
}
