//! Keeps from a receiver what it must not see: values by their place or name, and addresses and numbers inside texts.
//!
//! [`rules`] are what the endpoint's owner sets, [`walk`] goes through the event's text once and copies all that no rule
//! touches as it stands, [`pattern`] finds addresses and numbers. An event that no rule touches doesn't pass through the
//! plugin's memory again: the router sends what it has.

mod pattern;
mod replacement;
mod rules;
mod search;
mod walk;

use hookmill_plugin::{Event, Request, Result, Target, transform};

use crate::replacement::Replacement;
use crate::rules::{Rules, Settings};

transform!(reshape, manifest = "../plugin.json");

/// Redacts the event.
///
/// # Errors
/// A permanent failure where the event is no JSON, so that nothing can be found in it; where a rule is none; where the key
/// of the hashes is not there.
pub fn reshape(event: &Event, target: &Target) -> Result<Request> {
    let settings: Settings = target.settings()?;
    let rules = Rules::new(&settings.rules)?;
    let replacement = Replacement { mask: &settings.mask, hash_key: settings.hash_key.as_deref() };
    // All of the body, once the router has read it as JSON: a walk in the dark would let something through.
    let body = event.raw("")?.unwrap_or_default();
    Ok(match walk::redacted(&body, &rules, &replacement)? {
        Some(text) => Request::new().text(text),
        None => Request::new(),
    })
}
