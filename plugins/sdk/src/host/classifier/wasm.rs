//! The router itself, as it runs a classifier.

use std::mem::ManuallyDrop;

use self::bindings::exports::hookmill::plugin::classifier as exported;
use self::bindings::hookmill::plugin::answer;
use crate::document::BodyHandle;
use crate::host::wasm::bindings::hookmill::plugin::event;
use crate::host::wasm::{lend as lend_event, report_panics};
use crate::{Answer, Classification, Event, Failure, Result, Target};

#[expect(missing_docs, reason = "generated from the WIT, which has the docs")]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "classifier-plugin",
        with: {
            "hookmill:plugin/types@1.0.0": crate::host::wasm::bindings::hookmill::plugin::types,
            "hookmill:plugin/log@1.0.0": crate::host::wasm::bindings::hookmill::plugin::log,
            "hookmill:plugin/ambient@1.0.0": crate::host::wasm::bindings::hookmill::plugin::ambient,
            "hookmill:plugin/crypto@1.0.0": crate::host::wasm::bindings::hookmill::plugin::crypto,
            "hookmill:plugin/event@1.0.0": crate::host::wasm::bindings::hookmill::plugin::event,
        },
        default_bindings_module: "hookmill_plugin::__private::classifier::bindings",
        pub_export_macro: true,
    });
}

/// The handle of the answer. A run lends it to the plugin, so it is not ours to drop: the exported function, which
/// calls [`run`], does.
#[derive(Debug)]
pub(crate) struct AnswerHandle(ManuallyDrop<answer::Response>);

impl AnswerHandle {
    pub(crate) fn status(&self) -> u16 {
        self.0.status()
    }

    pub(crate) fn header(&self, name: &str) -> Option<String> {
        self.0.header(name)
    }
}

impl BodyHandle for AnswerHandle {
    const OWNER: &'static str = "the answer";

    fn bytes(&self) -> Vec<u8> {
        self.0.bytes()
    }

    fn text(&self) -> Option<String> {
        self.0.text()
    }

    fn json(&self, pointer: &str) -> Result<Option<String>, String> {
        self.0.json(pointer)
    }

    fn failure(reason: String) -> Failure {
        Failure::Retryable(reason)
    }
}

/// One run: what the function that [`classifier!`](crate::classifier) exports does.
pub fn run(
    response: &answer::Response,
    event: &event::Event,
    target: &event::Target,
    classify: fn(&Answer, &Event, &Target) -> Result<Classification>,
) -> exported::Verdict {
    report_panics();
    let (event, target) = lend_event(event, target);
    match classify(&lend(response), &event, &target) {
        Ok(Classification::NoOpinion) => {
            response.no_opinion();
            exported::Verdict::Delivered
        }
        Ok(Classification::Delivered) => exported::Verdict::Delivered,
        Ok(Classification::Retry(reason)) | Err(Failure::Retryable(reason)) => {
            exported::Verdict::Retry(reason)
        }
        Ok(Classification::Fail(reason)) | Err(Failure::Permanent(reason)) => exported::Verdict::Fail(reason),
    }
}

#[expect(unsafe_code, reason = "spares every plugin's function a lifetime in its signature")]
fn lend(response: &answer::Response) -> Answer {
    // SAFETY: the copy of the handle lives as long as this run, which the original outlives; it is never dropped, and
    // since `Answer` can't be cloned or moved out of a reference, it doesn't get away.
    let response = unsafe { answer::Response::from_handle(response.handle()) };
    Answer::new(AnswerHandle(ManuallyDrop::new(response)))
}
