//! What the kernel says of a process's memory.

/// Bytes of memory that a process holds now (proc(5), `VmRSS`).
///
/// # Panics
/// If there is no such process.
#[must_use]
pub fn resident_bytes(process_id: u32) -> u64 {
    status_bytes(process_id, "VmRSS:")
}

/// The most that it ever held (`VmHWM`).
///
/// # Panics
/// If there is no such process.
#[must_use]
pub fn resident_peak_bytes(process_id: u32) -> u64 {
    status_bytes(process_id, "VmHWM:")
}

fn status_bytes(process_id: u32, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process_id}/status")).expect("the process runs");
    let value = status.lines().find_map(|line| line.strip_prefix(field)?.strip_suffix(" kB"));
    let kibibytes: u64 =
        value.and_then(|value| value.trim().parse().ok()).expect("a running process has memory");
    kibibytes << 10
}
