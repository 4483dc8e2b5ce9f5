//! What became of the modules, counted and shown.

use std::collections::BTreeMap;
use std::time::Duration;

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{CellAlignment, Table};

use crate::input::Kind;
use crate::pipeline::{Ended, Finding};

/// Counts of one kind of module.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    tried: u64,
    compiled: u64,
    linked: u64,
    answered: u64,
}

/// Counts of a whole session.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    kinds: BTreeMap<Kind, Counts>,
    refusals: BTreeMap<&'static str, u64>,
    faults: BTreeMap<&'static str, u64>,
    findings: usize,
}

impl Tally {
    /// Counts one module.
    pub(crate) fn add(&mut self, kind: Kind, ended: Result<Ended, Finding>) {
        let counts = self.kinds.entry(kind).or_default();
        counts.tried += 1;
        match ended {
            Ok(Ended::Refused(rejected) | Ended::CompilerDied(rejected)) => {
                *self.refusals.entry(rejected.code).or_default() += 1;
            }
            Ok(Ended::Unlinked(rejected)) => {
                counts.compiled += 1;
                *self.refusals.entry(rejected.code).or_default() += 1;
            }
            Ok(Ended::Answered(_)) => {
                counts.compiled += 1;
                counts.linked += 1;
                counts.answered += 1;
            }
            Ok(Ended::Faulted { code, .. }) => {
                counts.compiled += 1;
                counts.linked += 1;
                *self.faults.entry(code).or_default() += 1;
            }
            Err(_) => self.findings += 1,
        }
    }

    /// Modules that brought about what none may.
    pub(crate) fn findings(&self) -> usize {
        self.findings
    }

    /// In a few words, for a progress bar.
    pub(crate) fn line(&self) -> String {
        let all = self.all();
        format!("{} modules, {} ran, {} findings", all.tried, all.linked, self.findings)
    }

    /// The tables of the end.
    pub(crate) fn report(&self, seed: u64, elapsed: Duration, peak_bytes: u64) -> String {
        let mut kinds = table(&["modules", "tried", "compiled", "linked and ran", "answered"]);
        let all = self.all();
        let rows = self.kinds.iter().map(|(kind, counts)| (kind.to_string(), *counts));
        for (name, counts) in rows.chain([("all".to_owned(), all)]) {
            let Counts { tried, compiled, linked, answered } = counts;
            kinds.add_row([
                name,
                tried.to_string(),
                compiled.to_string(),
                linked.to_string(),
                answered.to_string(),
            ]);
        }
        let mut codes = table(&["stopped", "with the code", "modules"]);
        for (where_stopped, counts) in [("upload", &self.refusals), ("run", &self.faults)] {
            for (code, count) in counts {
                codes.add_row([where_stopped.to_owned(), (*code).to_owned(), count.to_string()]);
            }
        }
        codes.column_mut(1).expect("there are three").set_cell_alignment(CellAlignment::Left);
        let rate = all.tried as f64 / elapsed.as_secs_f64().max(f64::EPSILON);
        format!(
            "{kinds}\n{codes}\nseed {seed}: {:.1} modules/s over {:.0} s, {} MiB of memory at most, {} findings",
            rate,
            elapsed.as_secs_f64(),
            peak_bytes >> 20,
            self.findings
        )
    }

    fn all(&self) -> Counts {
        let mut all = Counts::default();
        for counts in self.kinds.values() {
            all.tried += counts.tried;
            all.compiled += counts.compiled;
            all.linked += counts.linked;
            all.answered += counts.answered;
        }
        all
    }
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY).set_header(header);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}
