//! The router itself, through the functions that it gives to plugins.

use std::mem::ManuallyDrop;

use self::bindings::exports::hookmill::plugin::transform as exported;
use self::bindings::hookmill::plugin::{ambient, crypto, event, log as router_log, outbound};
use crate::crypto::Digest;
use crate::document::BodyHandle;
use crate::log::Level;
use crate::{Body, Event, Failure, Header, Method, Outcome, Request, Result, Target};

#[expect(missing_docs, reason = "generated from the WIT, which has the docs")]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "transform-plugin",
        default_bindings_module: "hookmill_plugin::__private::bindings",
        pub_export_macro: true,
    });
}

/// The handle of the event. A run lends it to the plugin, so it is not ours to drop: the exported function, which
/// calls [`run`], does.
#[derive(Debug)]
pub(crate) struct EventHandle(ManuallyDrop<event::Event>);

/// The handle of the endpoint, lent as the event's is.
#[derive(Debug)]
pub(crate) struct TargetHandle(ManuallyDrop<event::Target>);

impl EventHandle {
    pub(crate) fn id(&self) -> String {
        self.0.id()
    }

    pub(crate) fn uid(&self) -> Option<String> {
        self.0.uid()
    }

    pub(crate) fn event_type(&self) -> String {
        self.0.event_type()
    }

    pub(crate) fn channels(&self) -> Vec<String> {
        self.0.channels()
    }

    pub(crate) fn accepted_at(&self) -> u64 {
        self.0.accepted_at()
    }

    pub(crate) fn content_type(&self) -> String {
        self.0.content_type()
    }

    pub(crate) fn size(&self) -> u64 {
        self.0.size()
    }
}

impl BodyHandle for EventHandle {
    const OWNER: &'static str = "the event";

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

impl TargetHandle {
    pub(crate) fn endpoint_id(&self) -> String {
        self.0.endpoint_id()
    }

    pub(crate) fn url(&self) -> String {
        self.0.url()
    }

    pub(crate) fn attempt(&self) -> u32 {
        self.0.attempt()
    }

    pub(crate) fn settings(&self) -> String {
        self.0.settings()
    }

    pub(crate) fn setting(&self, pointer: &str) -> Result<Option<String>, String> {
        self.0.setting(pointer)
    }
}

pub(crate) fn now_ms() -> u64 {
    ambient::now_ms()
}

pub(crate) fn random_u64() -> u64 {
    ambient::random_u64()
}

pub(crate) fn hash(algorithm: Digest, data: &[u8]) -> Vec<u8> {
    crypto::hash(algorithm.into(), data)
}

pub(crate) fn hmac(algorithm: Digest, secret: &str, data: &[u8]) -> Result<Vec<u8>, String> {
    crypto::hmac(algorithm.into(), secret, data)
}

impl From<Digest> for crypto::Digest {
    fn from(algorithm: Digest) -> Self {
        match algorithm {
            Digest::Sha1 => Self::Sha1,
            Digest::Sha256 => Self::Sha256,
            Digest::Sha512 => Self::Sha512,
        }
    }
}

pub(crate) fn log(level: Level, message: &str) {
    let level = match level {
        Level::Debug => router_log::Level::Debug,
        Level::Info => router_log::Level::Info,
        Level::Warn => router_log::Level::Warn,
        Level::Error => router_log::Level::Error,
    };
    router_log::write(level, message);
}

/// One run: what the function that [`transform!`](crate::transform) exports does.
///
/// # Errors
/// What the plugin's function answers, and what the router refuses of its requests.
pub fn run<R: Into<Outcome>>(
    event: &event::Event,
    target: &event::Target,
    transform: fn(&Event, &Target) -> Result<R>,
) -> Result<exported::Outcome, exported::Failure> {
    report_panics();
    let (event, target) = lend(event, target);
    let done = match transform(&event, &target).map(R::into) {
        Ok(Outcome::Deliver(requests)) => {
            requests.into_iter().map(build).collect::<Result<_>>().map(exported::Outcome::Deliver)
        }
        Ok(Outcome::Drop(reason)) => Ok(exported::Outcome::Drop(reason)),
        Err(failure) => Err(failure),
    };
    done.map_err(|failure| match failure {
        Failure::Retryable(reason) => exported::Failure::Retryable(reason),
        Failure::Permanent(reason) => exported::Failure::Permanent(reason),
    })
}

/// A panic ends in a trap, which has function names and no message: the message goes to the timeline first.
pub(crate) fn report_panics() {
    std::panic::set_hook(Box::new(|panic| log(Level::Error, &panic.to_string())));
}

#[expect(unsafe_code, reason = "spares every plugin's function a lifetime in its signature")]
pub(crate) fn lend(event: &event::Event, target: &event::Target) -> (Event, Target) {
    // SAFETY: the copies of the two handles live as long as this run, which the originals outlive; they are never
    // dropped, and since neither `Event` nor `Target` can be cloned or moved out of a reference, none gets away.
    let (event, target) =
        unsafe { (event::Event::from_handle(event.handle()), event::Target::from_handle(target.handle())) };
    (Event::new(EventHandle(ManuallyDrop::new(event))), Target::new(TargetHandle(ManuallyDrop::new(target))))
}

fn build(request: Request) -> Result<outbound::Request> {
    let built = outbound::Request::new();
    if let Some(method) = request.method {
        built.set_method(match method {
            Method::Get => outbound::Method::Get,
            Method::Post => outbound::Method::Post,
            Method::Put => outbound::Method::Put,
            Method::Patch => outbound::Method::Patch,
            Method::Delete => outbound::Method::Delete,
        });
    }
    if let Some(url) = request.url {
        built.set_url(&url).map_err(Failure::Permanent)?;
    }
    for header in request.headers {
        let set = match header {
            Header::Set { name, value } => built.set_header(&name, &value),
            Header::Append { name, value } => built.append_header(&name, &value),
            Header::Secret { name, prefix, secret, suffix } => {
                built.set_secret_header(&name, &prefix, &secret, &suffix)
            }
            Header::Remove { name } => {
                built.remove_header(&name);
                Ok(())
            }
        };
        set.map_err(Failure::Permanent)?;
    }
    match request.body {
        Body::Original => {}
        Body::Patch(patch) => built.set_body_patch(&patch).map_err(Failure::Permanent)?,
        Body::Text(text) => built.set_body_text(&text),
        Body::Bytes(bytes) => built.set_body(&bytes),
    }
    if let Some(key) = request.part_key {
        built.set_part_key(&key).map_err(Failure::Permanent)?;
    }
    Ok(built)
}
