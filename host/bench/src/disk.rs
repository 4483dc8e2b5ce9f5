//! What the disk charges for durability: the time of one `fdatasync` after 4 KiB were written.
//!
//! A virtual disk changes its mind by the second, so the same probe runs before and after each scenario and stands beside
//! its figures. A router that is fast while this is slow does not wait for the disk.

use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::Path;

use serde::Serialize;

use crate::clock;
use crate::error::BenchError;
use crate::report::Quantiles;

const BLOCK_BYTES: usize = 4096;
const BLOCKS: u64 = 64;
/// Ends a probe early on a disk that is slow beyond use.
const PROBE_NS_MAX: u64 = 2_000_000_000;
const PROBES_MAX: u64 = 200;

/// `fdatasync` around one scenario, in milliseconds.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct DiskPace {
    pub(crate) before: Quantiles,
    pub(crate) after: Quantiles,
}

impl DiskPace {
    /// The slower of the two medians: what a router could count on.
    pub(crate) fn p50_ms(&self) -> f64 {
        self.before.p50.max(self.after.p50)
    }
}

/// Times `fdatasync` in the file system of `directory`.
pub(crate) fn probe(directory: &Path) -> Result<Quantiles, BenchError> {
    let failed = |source| BenchError::Disk { directory: directory.to_owned(), source };
    let mut file = tempfile::tempfile_in(directory).map_err(failed)?;
    let block = [0x5a_u8; BLOCK_BYTES];
    for _ in 0..BLOCKS {
        file.write_all(&block).map_err(failed)?;
    }
    file.sync_all().map_err(failed)?;
    let mut times = Quantiles::histogram();
    let started = clock::now_ns();
    for index in 0..PROBES_MAX {
        let offset = (index % BLOCKS) * BLOCK_BYTES as u64;
        file.seek(SeekFrom::Start(offset)).and_then(|_| file.write_all(&block)).map_err(failed)?;
        let asked = clock::now_ns();
        file.sync_data().map_err(failed)?;
        let answered = clock::now_ns();
        times.saturating_record(answered - asked);
        if answered - started > PROBE_NS_MAX {
            break;
        }
    }
    Ok(Quantiles::in_milliseconds(&times))
}
