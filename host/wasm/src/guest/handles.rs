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

/// The one request that came in.
pub struct InboundHandle;

/// The one source of a run.
pub struct OriginHandle;

/// An event under construction.
pub struct NewEventHandle;

/// A reply under construction.
pub struct ReplyHandle;

/// The one answer of a run.
pub struct ResponseHandle;

/// WASI: standard input, always at its end.
pub struct InputHandle;

/// WASI: standard output or standard error, told apart by the handle's number.
pub struct OutputHandle;

/// WASI: something to wait for; nothing makes a plugin wait.
pub struct PollableHandle;

/// WASI: why a stream failed; none does.
pub struct ErrorHandle;

/// WASI: an open file; there is none.
pub struct DescriptorHandle;

/// WASI: a terminal; there is none.
pub struct TerminalHandle;
