//! The harness of the process tests.
//!
//! # Who is who
//! - [`router::Router`] is one running `hookmill serve`, on a data directory that outlives it: it can be killed,
//!   stopped and started again.
//! - [`api::Api`] speaks to it over HTTP as any client would; what it answers is a [`api::Reply`].
//! - receivers come from `hookmill_testkit::receiver`; [`judge`] verifies what they received with code that is not
//!   ours.
//! - [`plugin`] has the plugins of the repository, and hostile ones written as WebAssembly text; [`world`] is what such
//!   text may import and has to export, [`plugin_run`] runs one without a router.
//! - [`assault`] is a tenant, with strangers, that does all that it can at once.
//! - [`crash`] kills a router over and over and compares what it acknowledged with what arrived.
//! - [`virtual_time`] has a router without a process, whose time passes only when it has nothing left to do.
//! - [`wire`] are sockets for clients that HTTP libraries refuse to be.
//!
//! Nothing here sleeps for a length of time that a test relies on: [`wait`] looks until something is so, and a bound
//! far beyond any honest wait turns a hang into a failure.

pub mod api;
pub mod assault;
pub mod crash;
pub mod fixture;
pub mod judge;
pub mod memory;
pub mod plugin;
pub mod plugin_run;
pub mod router;
pub mod virtual_time;
pub mod wait;
pub mod wire;
pub mod world;
