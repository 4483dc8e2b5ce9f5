//! An answer as a value.

use crate::Failure;
use crate::document::BodyHandle;
use crate::host::double::{find_in, joined_header};

/// What a receiver answered, as a value.
#[derive(Debug, Clone)]
pub(crate) struct AnswerHandle {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl AnswerHandle {
    pub(crate) fn status(&self) -> u16 {
        self.status
    }

    pub(crate) fn header(&self, name: &str) -> Option<String> {
        joined_header(&self.headers, name)
    }
}

impl BodyHandle for AnswerHandle {
    const OWNER: &'static str = "the answer";

    fn bytes(&self) -> Vec<u8> {
        self.body.clone()
    }

    fn text(&self) -> Option<String> {
        String::from_utf8(self.body.clone()).ok()
    }

    fn json(&self, pointer: &str) -> Result<Option<String>, String> {
        find_in(&self.body, pointer, "the answer's body")
    }

    fn failure(reason: String) -> Failure {
        Failure::Retryable(reason)
    }
}
