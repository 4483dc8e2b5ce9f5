//! The router itself, as it runs a source.

use std::mem::ManuallyDrop;

use self::bindings::exports::hookmill::plugin::source as exported;
use self::bindings::hookmill::plugin::inbound;
use crate::document::BodyHandle;
use crate::host::wasm::report_panics;
use crate::{Content, Failure, Inbound, NewEvent, Origin, Reply, Result, Verdict};

#[expect(missing_docs, reason = "generated from the WIT, which has the docs")]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "source-plugin",
        with: {
            "hookmill:plugin/types@1.0.0": crate::host::wasm::bindings::hookmill::plugin::types,
            "hookmill:plugin/log@1.0.0": crate::host::wasm::bindings::hookmill::plugin::log,
            "hookmill:plugin/ambient@1.0.0": crate::host::wasm::bindings::hookmill::plugin::ambient,
            "hookmill:plugin/crypto@1.0.0": crate::host::wasm::bindings::hookmill::plugin::crypto,
        },
        default_bindings_module: "hookmill_plugin::__private::source::bindings",
        pub_export_macro: true,
    });
}

/// The handle of the request. A run lends it to the plugin, so it is not ours to drop: the exported function, which
/// calls [`run`], does.
#[derive(Debug)]
pub(crate) struct InboundHandle(ManuallyDrop<inbound::Request>);

/// The handle of the source, lent as the request's is.
#[derive(Debug)]
pub(crate) struct OriginHandle(ManuallyDrop<inbound::Origin>);

impl InboundHandle {
    pub(crate) fn method(&self) -> String {
        self.0.method()
    }

    pub(crate) fn path(&self) -> String {
        self.0.path()
    }

    pub(crate) fn query(&self) -> String {
        self.0.query()
    }

    pub(crate) fn header(&self, name: &str) -> Option<String> {
        self.0.header(name)
    }

    pub(crate) fn header_names(&self) -> Vec<String> {
        self.0.header_names()
    }

    pub(crate) fn received_at(&self) -> u64 {
        self.0.received_at()
    }
}

impl BodyHandle for InboundHandle {
    const OWNER: &'static str = "the request";

    fn bytes(&self) -> Vec<u8> {
        self.0.bytes()
    }

    fn text(&self) -> Option<String> {
        self.0.text()
    }

    fn json(&self, pointer: &str) -> Result<Option<String>, String> {
        self.0.json(pointer)
    }
}

impl OriginHandle {
    pub(crate) fn name(&self) -> String {
        self.0.name()
    }

    pub(crate) fn settings(&self) -> String {
        self.0.settings()
    }

    pub(crate) fn setting(&self, pointer: &str) -> Result<Option<String>, String> {
        self.0.setting(pointer)
    }
}

/// One run: what the function that [`source!`](crate::source) exports does. A failure, of the plugin's function or of what
/// the router refuses, rejects the request.
pub fn run<R: Into<Verdict>>(
    request: &inbound::Request,
    origin: &inbound::Origin,
    receive: fn(&Inbound, &Origin) -> Result<R>,
) -> exported::Verdict {
    report_panics();
    let (request, origin) = lend(request, origin);
    match receive(&request, &origin).map(R::into).and_then(build) {
        Ok(verdict) => verdict,
        Err(Failure::Retryable(reason) | Failure::Permanent(reason)) => exported::Verdict::Reject(reason),
    }
}

#[expect(unsafe_code, reason = "spares every plugin's function a lifetime in its signature")]
fn lend(request: &inbound::Request, origin: &inbound::Origin) -> (Inbound, Origin) {
    // SAFETY: the copies of the two handles live as long as this run, which the originals outlive; they are never
    // dropped, and since neither `Inbound` nor `Origin` can be cloned or moved out of a reference, none gets away.
    let (request, origin) = unsafe {
        (inbound::Request::from_handle(request.handle()), inbound::Origin::from_handle(origin.handle()))
    };
    (
        Inbound::new(InboundHandle(ManuallyDrop::new(request))),
        Origin::new(OriginHandle(ManuallyDrop::new(origin))),
    )
}

fn build(verdict: Verdict) -> Result<exported::Verdict> {
    match verdict {
        Verdict::Accept(events) => {
            let events = events.into_iter().map(build_event).collect::<Result<_, String>>();
            events.map(exported::Verdict::Accept).map_err(Failure::Permanent)
        }
        Verdict::Reply(reply) => build_reply(reply).map(exported::Verdict::Reply).map_err(Failure::Permanent),
        Verdict::Reject(reason) => Ok(exported::Verdict::Reject(reason)),
    }
}

fn build_event(event: NewEvent) -> Result<inbound::NewEvent, String> {
    let built = inbound::NewEvent::create(&event.event_type)?;
    if let Some(uid) = event.uid {
        built.set_uid(&uid)?;
    }
    if !event.channels.is_empty() {
        built.set_channels(&event.channels)?;
    }
    if let Some(content_type) = event.content_type {
        built.set_content_type(&content_type)?;
    }
    match event.body {
        None => {}
        Some(Content::Text(text)) => built.set_body_text(&text),
        Some(Content::Bytes(bytes)) => built.set_body(&bytes),
    }
    Ok(built)
}

fn build_reply(reply: Reply) -> Result<inbound::Reply, String> {
    let built = inbound::Reply::create(reply.status)?;
    for (name, value) in reply.headers {
        built.set_header(&name, &value)?;
    }
    match reply.body {
        None => {}
        Some(Content::Text(text)) => built.set_body_text(&text),
        Some(Content::Bytes(bytes)) => built.set_body(&bytes),
    }
    Ok(built)
}
