//! The resources under `/api/v1`: one file each, with its shapes and its handlers.
//!
//! The shapes are those of the Svix API, so that its clients work here; fields that are ours stand beside them.
//! Nothing that is given is ignored. [`strict`](crate::strict) reads every body and refuses members that its shape does not
//! have, [`parameters`](crate::parameters) does so for queries, and what the Svix API has and this has not is refused by
//! name ([`unsupported_member`](crate::unsupported_member)). `null` for what may be left out is as good as leaving it out.

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
pub(crate) mod task;
mod trace;
pub(crate) mod transformation;
pub(crate) mod unsupported;
pub(crate) mod verification;
