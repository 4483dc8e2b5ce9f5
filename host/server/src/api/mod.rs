//! The resources under `/api/v1`: one file each, with its shapes and its handlers.
//!
//! The shapes are those of the Svix API, so that its clients work here; fields that are ours stand beside them.
//! Unknown fields of a body are ignored where the shape is Svix's, as Svix does, since its clients may be newer
//! than this; where the shape is ours alone they are refused, since there they can only be a mistake.

pub(crate) mod application;
pub(crate) mod attempt;
pub(crate) mod classifier;
pub(crate) mod compose;
pub(crate) mod conversation;
pub(crate) mod destination;
pub(crate) mod diagnosis;
pub(crate) mod dry_run;
pub(crate) mod endpoint;
pub(crate) mod event_type;
pub(crate) mod example;
pub(crate) mod headers;
pub(crate) mod health;
pub(crate) mod key;
pub(crate) mod message;
pub(crate) mod metrics;
pub(crate) mod plugin;
pub(crate) mod policy;
pub(crate) mod secret;
pub(crate) mod source;
mod trace;
pub(crate) mod transformation;
pub(crate) mod unsupported;
pub(crate) mod verification;
