//! Between rows and core types: one module a table, each with its two directions.
//!
//! What is kept as JSON has a type of its own here, with a version in it, so that core types stay free of storage.

pub(crate) mod application;
pub(crate) mod attempt;
mod bound_secrets;
pub(crate) mod column;
mod composition;
pub(crate) mod endpoint;
pub(crate) mod event;
pub(crate) mod key;
pub(crate) mod plugin;
pub(crate) mod policy;
pub(crate) mod prepared;
pub(crate) mod remembered;
pub(crate) mod source;
pub(crate) mod task;
pub(crate) mod trace;
