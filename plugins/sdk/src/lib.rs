//! Write Hookmill plugins in Rust: one function and one macro.
//!
//! A *transform* reshapes events on their way to one endpoint. This is a whole plugin; it renames two fields and adds a
//! header:
//!
//! ```
//! use hookmill_plugin::{Event, Request, Result, Target, transform};
//!
//! fn reshape(event: &Event, _target: &Target) -> Result<Request> {
//!     let mut ticket = event.object()?;
//!     ticket.rename("id", "reference");
//!     ticket.rename("subject", "title");
//!     Request::new().header("x-kind", "ticket").json(&ticket)
//! }
//!
//! transform!(reshape);
//!
//! // The same function runs in plain `cargo test`:
//! use hookmill_plugin::test;
//! let outcome = test::run(reshape, test::event(r#"{"id": 7, "subject": "Help"}"#), test::target("{}"));
//! let outcome = outcome.expect("the event is an object");
//! assert_eq!(outcome.requests()[0].body.text(), Some(r#"{"reference":7,"title":"Help"}"#));
//! ```
//!
//! # Who is who
//! - [`Event`]: what happened. [`Event::object`] takes it apart field by field, [`Event::json`] reads it as a type of
//!   your own, [`Event::find`] asks the router for one field of a large event.
//! - [`Target`]: the endpoint that the event goes to, and its [settings](Target::settings) for your plugin.
//! - [`Request`]: what is sent. A function returns one, several, or an [`Outcome`]: sending nothing is
//!   [`Outcome::drop`].
//! - A *source* turns what a provider sends into events: [`source!`], with [`Inbound`], [`Origin`], [`NewEvent`] and
//!   [`Verdict`]. A *classifier* reads receivers' answers: [`classifier!`], with [`Answer`] and [`Classification`].
//! - [`Failure`]: `?` makes it of any error. [`Failure::retryable`] asks for another run later.
//! - [`info!`] and its siblings write to the event's timeline. A panic's message goes there too.
//! - [`now_ms`] and [`random_u64`]: time and chance, the same when the run is repeated.
//! - [`template::fill`] makes a text with parts of the event, [`crypto`] digests and codes, [`time`] times as text.
//!
//! # Building
//! A plugin is a library with `crate-type = ["cdylib"]` (and `"rlib"` for tests in files of their own), built with
//! `cargo build --release --target wasm32-unknown-unknown` and uploaded as it is. Keep the instance small, as
//! `plugins/.cargo/config.toml` does with two linker arguments; it halves the cost of a run.
//!
//! # Memory
//! A plugin runs in a new instance for each delivery, so by default this crate's allocator only hands out, and takes back
//! what was handed out once none of it is in use: see the feature `bump-allocator`, which is to be turned off where a
//! plugin keeps things from run to run.

#[cfg(all(target_arch = "wasm32", feature = "bump-allocator"))]
mod allocator;
mod classifier;
pub mod crypto;
mod document;
mod event;
mod failure;
mod form;
mod host;
mod json;
pub mod log;
mod object;
mod outcome;
mod request;
mod source;
pub mod template;
#[cfg(not(target_arch = "wasm32"))]
pub mod test;
pub mod time;

pub use serde_json::{self, Value, json};

pub use crate::classifier::{Answer, Classification};
pub use crate::event::{Event, Target};
pub use crate::failure::{Failure, Result};
pub use crate::form::Form;
pub use crate::json::well_formed;
pub use crate::object::{Kind, Object, Raw};
pub use crate::outcome::Outcome;
pub use crate::request::{Body, Header, Method, Request};
pub use crate::source::{Content, Inbound, NewEvent, Origin, Reply, Verdict};

/// The type of the event that a transform with `"checks_settings": true` in its manifest is shown when settings are set:
/// a permanent failure refuses them, anything else takes them.
pub const SETTINGS_CHECK: &str = "hookmill.settings.check";

/// Milliseconds since 1970 when this run was first scheduled. It stands still during the run, and is the same when the
/// run is repeated.
#[must_use]
pub fn now_ms() -> u64 {
    host::now_ms()
}

/// The next number of a sequence that depends on the event, the endpoint and the plugin's version only. Fit for sampling
/// and identifiers; anyone who knows these three knows the numbers, so not for keys.
#[must_use]
pub fn random_u64() -> u64 {
    host::random_u64()
}

/// Makes a function the plugin's transform: `transform!(reshape);`, once in a plugin.
///
/// The function takes `&`[`Event`] and `&`[`Target`] and returns a [`Result`] of a [`Request`], of several, or of an
/// [`Outcome`]. On other targets than WebAssembly the macro only checks that.
///
/// `transform!(reshape, manifest = "../plugin.json");` puts a manifest into the plugin as well: a file, relative to the
/// source file, that names the plugin and its version and has a schema of its settings and samples of what it does.
/// The router checks settings against the schema and runs the samples when the plugin is uploaded;
/// `test::samples` runs them in plain `cargo test`.
#[macro_export]
macro_rules! transform {
    ($function:path, manifest = $manifest:literal) => {
        $crate::__manifest!($manifest);
        $crate::transform!($function);
    };
    ($function:path) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            struct Plugin;

            impl $crate::__private::Transform for Plugin {
                fn run(
                    event: &$crate::__private::Event,
                    target: &$crate::__private::Target,
                ) -> $crate::Result<$crate::__private::Outcome, $crate::__private::Failure> {
                    $crate::__private::run(event, target, $function)
                }
            }

    $crate::__private::bindings::export!(Plugin with_types_in $crate::__private::bindings);
        };

        #[cfg(not(target_arch = "wasm32"))]
        const _: () = $crate::__private::check($function);
    };
}

/// Puts the bytes of a file into the plugin's custom section `hookmill:manifest`, where the router looks for them. On
/// other targets than WebAssembly it only checks that the file is there.
#[doc(hidden)]
#[macro_export]
macro_rules! __manifest {
    ($path:literal) => {
        const _: () = {
            const MANIFEST: &[u8] = include_bytes!($path);

            // A static in a section of its own is no data of the instance: it becomes a custom section as it stands.
            #[cfg(target_arch = "wasm32")]
            #[unsafe(link_section = "hookmill:manifest")]
            static SECTION: [u8; MANIFEST.len()] = *include_bytes!($path);
        };
    };
}

/// What the macro expands to. Not for plugins, and it may change at any time.
#[doc(hidden)]
pub mod __private {
    #[cfg(target_arch = "wasm32")]
    pub use crate::host::wasm::bindings::exports::hookmill::plugin::transform::{
        Failure, Guest as Transform, Outcome,
    };
    #[cfg(target_arch = "wasm32")]
    pub use crate::host::wasm::bindings::hookmill::plugin::event::{Event, Target};
    #[cfg(target_arch = "wasm32")]
    pub use crate::host::wasm::{bindings, run};

    /// Takes what can be a transform and nothing else.
    #[cfg(not(target_arch = "wasm32"))]
    pub const fn check<R: Into<crate::Outcome>>(_: fn(&crate::Event, &crate::Target) -> crate::Result<R>) {}

    /// The same for [`source!`](crate::source).
    pub mod source {
        #[cfg(target_arch = "wasm32")]
        pub use crate::host::source::wasm::bindings::exports::hookmill::plugin::source::{
            Guest as Source, Verdict,
        };
        #[cfg(target_arch = "wasm32")]
        pub use crate::host::source::wasm::bindings::hookmill::plugin::inbound::{Origin, Request};
        #[cfg(target_arch = "wasm32")]
        pub use crate::host::source::wasm::{bindings, run};

        /// Takes what can be a source and nothing else.
        #[cfg(not(target_arch = "wasm32"))]
        pub const fn check<R: Into<crate::Verdict>>(
            _: fn(&crate::Inbound, &crate::Origin) -> crate::Result<R>,
        ) {
        }
    }

    /// The same for [`classifier!`](crate::classifier).
    pub mod classifier {
        #[cfg(target_arch = "wasm32")]
        pub use crate::host::classifier::wasm::bindings::exports::hookmill::plugin::classifier::{
            Guest as Classifier, Verdict,
        };
        #[cfg(target_arch = "wasm32")]
        pub use crate::host::classifier::wasm::bindings::hookmill::plugin::answer::Response;
        #[cfg(target_arch = "wasm32")]
        pub use crate::host::classifier::wasm::{bindings, run};

        /// Takes what can be a classifier and nothing else.
        #[cfg(not(target_arch = "wasm32"))]
        pub const fn check(
            _: fn(&crate::Answer, &crate::Event, &crate::Target) -> crate::Result<crate::Classification>,
        ) {
        }
    }
}
