//! Which threads come first where there are more than processors.

use rustix::process::setpriority_process;
use rustix::thread::gettid;

/// Lets the calling thread, and whatever it starts, come after the others by so much (`nice`). Where the system does not let
/// it, all come alike.
pub(crate) fn step_back(nice: i32) {
    if let Err(error) = setpriority_process(Some(gettid()), nice) {
        tracing::debug!(%error, "a thread could not step back");
    }
}
