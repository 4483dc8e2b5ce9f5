//! What the kernel says of a process: processor time and resident memory.

use std::path::PathBuf;

use crate::error::BenchError;

/// Linux counts processor time for programs in hundredths of a second, whatever its own clock does (`USER_HZ`).
const TICKS_PER_SECOND: f64 = 100.0;

/// Resident memory in MB (10^6 bytes).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Resident {
    pub(crate) now_mb: f64,
    pub(crate) peak_mb: f64,
}

/// Processor time that the process has used on all its threads, those that ended too.
pub(crate) fn processor_seconds(process_id: u32) -> Result<f64, BenchError> {
    let path = PathBuf::from(format!("/proc/{process_id}/stat"));
    let text = read(&path)?;
    parse_processor_seconds(&text).ok_or(BenchError::Proc { path })
}

/// Resident memory of the process.
pub(crate) fn resident(process_id: u32) -> Result<Resident, BenchError> {
    let path = PathBuf::from(format!("/proc/{process_id}/status"));
    let text = read(&path)?;
    parse_resident(&text).ok_or(BenchError::Proc { path })
}

fn read(path: &PathBuf) -> Result<String, BenchError> {
    std::fs::read_to_string(path).map_err(|source| BenchError::Read { path: path.clone(), source })
}

/// proc(5): user and system time are fields 14 and 15; field 2, the name in parentheses, may hold spaces.
fn parse_processor_seconds(stat: &str) -> Option<f64> {
    let (_, after_name) = stat.rsplit_once(") ")?;
    let mut fields = after_name.split(' ').skip(14 - 3);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS_PER_SECOND)
}

fn parse_resident(status: &str) -> Option<Resident> {
    let megabytes = |name: &str| {
        let value = status.lines().find_map(|line| line.strip_prefix(name)?.strip_suffix(" kB"))?;
        let kibibytes: f64 = value.trim().parse().ok()?;
        Some(kibibytes * 1024.0 / 1e6)
    };
    Some(Resident { now_mb: megabytes("VmRSS:")?, peak_mb: megabytes("VmHWM:")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_text_is_read() {
        let stat = "42 (a b) c) S 1 42 42 0 -1 4194560 1 2 3 4 150 50 7 8 20 0 5 0 1 2 3";
        assert_eq!(parse_processor_seconds(stat), Some(2.0));
        assert_eq!(parse_processor_seconds("42 (cut"), None);
        let status = "Name:\ta\nVmHWM:\t   20000 kB\nVmRSS:\t   10000 kB\n";
        assert_eq!(parse_resident(status), Some(Resident { now_mb: 10.24, peak_mb: 20.48 }));
        assert_eq!(parse_resident("Name:\ta\n"), None);
    }

    #[test]
    fn this_process_can_be_read() {
        let own = std::process::id();
        assert!(processor_seconds(own).unwrap() >= 0.0);
        let Resident { now_mb, peak_mb } = resident(own).unwrap();
        assert!(now_mb > 0.0 && peak_mb >= now_mb);
    }
}
