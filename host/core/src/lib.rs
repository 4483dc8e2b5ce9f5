//! Pure decisions: routing, signing, scheduling, retries, and the ports to the world.
//!
//! Nothing here does I/O, reads a clock or draws a random number: time and chance are arguments, and whatever
//! has an `if` about deliveries is a function that returns the next action. The traits in [`port`] name what the
//! rest of the program must bring.

pub mod address;
pub mod application;
pub mod attempt;
pub mod breaker;
pub mod canary;
pub mod catalog;
pub mod compose;
pub mod delivery;
pub mod destination;
pub mod diagnosis;
pub mod endpoint;
pub mod event;
pub mod handshake;
pub mod id;
pub mod inbound;
pub mod json;
pub mod key;
pub mod limits;
pub mod manifest;
pub mod pattern;
pub mod payload_schema;
pub mod persistent;
pub mod plugin;
pub mod policy;
pub mod port;
pub mod preset;
pub mod request;
pub mod retry;
pub mod route;
pub mod schedule;
pub mod seal;
pub mod share;
pub mod signature;
pub mod source;
pub mod task;
#[cfg(test)]
mod test_values;
pub mod time;
pub mod trace;
pub mod trusted_time;
