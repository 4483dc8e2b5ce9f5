//! Events, endpoints and a router to run a plugin against, in plain `cargo test`.
//!
//! ```
//! use hookmill_plugin::{Event, Request, Result, Target, json, test};
//!
//! fn greet(event: &Event, target: &Target) -> Result<Request> {
//!     let name: String = event.require("/name")?;
//!     let greeting: String = target.setting("/greeting")?.unwrap_or_else(|| "Hello".to_owned());
//!     hookmill_plugin::info!("greeting {name}");
//!     Request::new().json(&json!({"text": format!("{greeting}, {name}")}))
//! }
//!
//! let outcome = test::run(greet, test::event(r#"{"name": "Ada"}"#), test::target(json!({"greeting": "Hi"})));
//! let outcome = outcome.expect("a name is there");
//! assert_eq!(outcome.requests()[0].body.text(), Some(r#"{"text":"Hi, Ada"}"#));
//! assert_eq!(test::log(), ["info: greeting Ada"]);
//! ```

mod classifier;
mod differences;
mod samples;
mod source;

use std::fmt::Display;

use crate::host::{Ambient, EventHandle, TargetHandle, with_ambient};
use crate::log::Level;
use crate::{Event, Outcome, Result, Target};

pub use self::classifier::{AnswerBuilder, answer, classifier_samples, classify};
pub use self::samples::samples;
pub use self::source::{InboundBuilder, OriginBuilder, origin, receive, request, source_samples};

/// What [`now_ms`](crate::now_ms) and [`Event::accepted_at_ms`] answer unless told otherwise:
/// 2024-07-12T09:14:26Z.
pub const NOW_MS: u64 = 1_720_775_666_000;

/// Runs a plugin's function once. The log begins anew, time stands at [`NOW_MS`], and
/// [`random_u64`](crate::random_u64) gives the same numbers each time.
///
/// # Errors
/// What the function answers.
pub fn run<R: Into<Outcome>>(
    transform: fn(&Event, &Target) -> Result<R>,
    event: impl Into<Event>,
    target: impl Into<Target>,
) -> Result<Outcome> {
    run_at(NOW_MS, transform, event, target)
}

/// Runs a plugin's function once while the router's clock stands at `now_ms`.
fn run_at<R: Into<Outcome>>(
    now_ms: u64,
    transform: fn(&Event, &Target) -> Result<R>,
    event: impl Into<Event>,
    target: impl Into<Target>,
) -> Result<Outcome> {
    begin(now_ms);
    transform(&event.into(), &target.into()).map(R::into)
}

/// Sets time, chance and the log of this thread back for another run.
fn begin(now_ms: u64) {
    with_ambient(|ambient| *ambient = Ambient { now_ms, random_state: 0, log: Vec::new() });
}

/// What the plugin logged since the last [`run`] on this thread, as `level: message`.
#[must_use]
pub fn log() -> Vec<String> {
    let name = |level| match level {
        Level::Debug => "debug",
        Level::Info => "info",
        Level::Warn => "warn",
        Level::Error => "error",
    };
    with_ambient(|ambient| {
        ambient.log.iter().map(|(level, line)| format!("{}: {line}", name(*level))).collect()
    })
}

/// Begins an event with this body: JSON, of the type `test.event`, accepted at [`NOW_MS`].
pub fn event(body: impl Into<Vec<u8>>) -> EventBuilder {
    EventBuilder(EventHandle {
        id: "msg_01hzx1zjw0000000000000test".to_owned(),
        uid: None,
        event_type: "test.event".to_owned(),
        channels: Vec::new(),
        accepted_at_ms: NOW_MS,
        content_type: "application/json".to_owned(),
        body: body.into(),
    })
}

/// Begins an endpoint with these settings: JSON text, or what [`json!`](crate::json) makes.
pub fn target(settings: impl Display) -> TargetBuilder {
    TargetBuilder(TargetHandle {
        endpoint_id: "ep_01hzx1zjw0000000000000test".to_owned(),
        url: "https://receiver.example/hook".to_owned(),
        attempt: 1,
        settings: settings.to_string(),
    })
}

/// An [`Event`] under construction.
#[derive(Debug, Clone)]
#[must_use]
pub struct EventBuilder(EventHandle);

impl EventBuilder {
    /// Sets the router's id.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.0.id = id.into();
        self
    }

    /// Sets the sender's own id.
    pub fn uid(mut self, uid: impl Into<String>) -> Self {
        self.0.uid = Some(uid.into());
        self
    }

    /// Sets the type.
    pub fn event_type(mut self, event_type: impl Into<String>) -> Self {
        self.0.event_type = event_type.into();
        self
    }

    /// Adds a channel.
    pub fn channel(mut self, channel: impl Into<String>) -> Self {
        self.0.channels.push(channel.into());
        self
    }

    /// Sets when the router accepted it, in milliseconds since 1970.
    pub fn accepted_at_ms(mut self, accepted_at_ms: u64) -> Self {
        self.0.accepted_at_ms = accepted_at_ms;
        self
    }

    /// Sets the media type.
    pub fn content_type(mut self, content_type: impl Into<String>) -> Self {
        self.0.content_type = content_type.into();
        self
    }

    /// The event.
    #[must_use]
    pub fn build(self) -> Event {
        Event::new(self.0)
    }
}

impl From<EventBuilder> for Event {
    fn from(builder: EventBuilder) -> Self {
        builder.build()
    }
}

/// A [`Target`] under construction.
#[derive(Debug, Clone)]
#[must_use]
pub struct TargetBuilder(TargetHandle);

impl TargetBuilder {
    /// Sets the router's id of the endpoint.
    pub fn endpoint_id(mut self, id: impl Into<String>) -> Self {
        self.0.endpoint_id = id.into();
        self
    }

    /// Sets where deliveries go.
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.0.url = url.into();
        self
    }

    /// Sets which attempt of the delivery this is.
    pub fn attempt(mut self, attempt: u32) -> Self {
        self.0.attempt = attempt;
        self
    }

    /// The endpoint.
    #[must_use]
    pub fn build(self) -> Target {
        Target::new(self.0)
    }
}

impl From<TargetBuilder> for Target {
    fn from(builder: TargetBuilder) -> Self {
        builder.build()
    }
}
