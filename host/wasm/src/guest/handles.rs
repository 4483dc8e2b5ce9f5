//! What the plugin's handles stand for. The values themselves are in the run's state.

#![expect(
    unreachable_pub,
    reason = "the generated bindings re-export them as `pub`, in a module that is private"
)]

/// The one event of a run.
pub struct EventHandle;

/// The one target of a run.
pub struct TargetHandle;

/// A request under construction.
pub struct RequestHandle;
