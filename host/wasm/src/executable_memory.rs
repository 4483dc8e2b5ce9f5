//! Whether compiled plugins can be run at all.
//!
//! Compiled code is written into memory that is then made executable. Hardened units of systemd forbid that
//! (`MemoryDenyWriteExecute=yes`), as do some kernels. It is found out at the start, where it can be named, and not when the
//! first plugin comes.

use std::io;
use std::ptr;

use hookmill_core::port::plugins::PluginRejected;

use crate::structure::rejected;

/// What is said of it, at the start and to each upload.
pub(crate) fn denied(error: &io::Error) -> PluginRejected {
    let message = format!(
        "this process may not make memory executable ({error}), and compiled plugins are machine code: take \
         `MemoryDenyWriteExecute=yes` out of the systemd unit (`systemctl edit`), or whatever else denies it on this host"
    );
    rejected("executable_memory_denied", message)
}

/// Makes a page executable that was written, as the engine does with compiled code.
///
/// # Errors
/// What the system says to it.
#[expect(unsafe_code, reason = "memory is mapped and unmapped here, and nothing else has its address")]
pub(crate) fn probe() -> io::Result<()> {
    const PAGE_BYTES: usize = 4096;
    // SAFETY: an anonymous mapping of its own, at an address that the kernel chooses.
    let page = unsafe {
        libc::mmap(
            ptr::null_mut(),
            PAGE_BYTES,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    if page == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the page is ours, mapped writable above; nothing in it is ever run.
    let result = unsafe {
        page.cast::<u8>().write(0);
        libc::mprotect(page, PAGE_BYTES, libc::PROT_READ | libc::PROT_EXEC)
    };
    let denied = (result != 0).then(io::Error::last_os_error);
    // SAFETY: the page is ours and nobody else knows of it.
    unsafe { libc::munmap(page, PAGE_BYTES) };
    denied.map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_denies_it_is_named() {
        let denied = super::denied(&std::io::Error::from_raw_os_error(1));
        assert_eq!(denied.code, "executable_memory_denied");
        assert!(denied.message.contains("MemoryDenyWriteExecute"), "{denied}");
    }

    #[test]
    fn this_machine_runs_plugins() {
        super::probe().unwrap();
    }
}
