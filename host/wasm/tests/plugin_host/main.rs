//! The plugin host from outside: uploads good and bad, runs that behave and runs that do not.
//!
//! Plugins are written as WebAssembly text and made into what a toolchain makes of them (see [`guest`]), so each test
//! shows the very instructions that it is about.

#![expect(clippy::unwrap_used, reason = "what the tests stand on may panic: that fails the test")]

mod cache;
mod guest;
mod hostile;
mod reuse;
mod runs;
mod secrets;
mod uploads;
mod wasi;
mod worlds;
