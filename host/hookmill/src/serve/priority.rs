//! Which threads come first where there are more than processors.

use hookmill_core::limits::COMPUTE_NICE;
use rustix::process::setpriority_process;
use rustix::thread::gettid;

/// Lets the calling thread, which computes what users ask for, come after those that do I/O. Where the system does not let
/// it, all come alike.
pub(super) fn step_back() {
    if let Err(error) = setpriority_process(Some(gettid()), COMPUTE_NICE) {
        tracing::debug!(%error, "a thread could not step back");
    }
}
