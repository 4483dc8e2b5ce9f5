//! Figures, what they are held against, and how they are shown.

use std::fmt;

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};
use hdrhistogram::Histogram;
use serde::Serialize;

use crate::disk::DiskPace;

/// The longest time that a histogram tells from longer ones.
const TIME_NS_MAX: u64 = 120_000_000_000;
const SIGNIFICANT_DIGITS: u8 = 3;

/// Three quantiles of one histogram.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Quantiles {
    pub(crate) p50: f64,
    pub(crate) p90: f64,
    pub(crate) p99: f64,
}

impl Quantiles {
    /// For times in nanoseconds.
    pub(crate) fn histogram() -> Histogram<u64> {
        Histogram::new_with_bounds(1, TIME_NS_MAX, SIGNIFICANT_DIGITS).expect("the bounds are in order")
    }

    pub(crate) fn in_milliseconds(times_ns: &Histogram<u64>) -> Self {
        Self::divided(times_ns, 1e6)
    }

    pub(crate) fn in_microseconds(times_ns: &Histogram<u64>) -> Self {
        Self::divided(times_ns, 1e3)
    }

    fn divided(times_ns: &Histogram<u64>, divisor: f64) -> Self {
        let at = |quantile| times_ns.value_at_quantile(quantile) as f64 / divisor;
        Self { p50: at(0.50), p90: at(0.90), p99: at(0.99) }
    }
}

/// What a figure is held against.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(tag = "kind", content = "value", rename_all = "snake_case")]
pub(crate) enum Target {
    /// The figure is this or more.
    AtLeast(f64),
    /// The figure is this or less.
    AtMost(f64),
    /// The figure is this share of the null router's or more.
    ShareOfNullRouter(f64),
}

/// One number that was measured.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) unit: &'static str,
    pub(crate) value: f64,
    /// The same of the null router, in the same run.
    pub(crate) null_router: Option<f64>,
    pub(crate) targets: Vec<Target>,
}

impl Figure {
    pub(crate) fn new(name: impl Into<String>, unit: &'static str, value: f64) -> Self {
        Self { name: name.into(), unit, value, null_router: None, targets: Vec::new() }
    }

    #[must_use]
    pub(crate) fn beside(mut self, null_router: f64) -> Self {
        self.null_router = Some(null_router);
        self
    }

    #[must_use]
    pub(crate) fn target(mut self, target: Target) -> Self {
        self.targets.push(target);
        self
    }

    /// Whether every target is met; none where there is no target.
    pub(crate) fn met(&self) -> Option<bool> {
        if self.targets.is_empty() {
            None
        } else {
            Some(self.targets.iter().all(|target| self.meets(*target)))
        }
    }

    fn meets(&self, target: Target) -> bool {
        match target {
            Target::AtLeast(least) => self.value >= least,
            Target::AtMost(most) => self.value <= most,
            Target::ShareOfNullRouter(share) => self.ratio().is_some_and(|ratio| ratio >= share),
        }
    }

    fn ratio(&self) -> Option<f64> {
        self.null_router.filter(|null_router| *null_router > 0.0).map(|null_router| self.value / null_router)
    }

    fn row(&self) -> [String; 6] {
        let dash = || "-".to_owned();
        let targets: Vec<String> = self.targets.iter().map(|target| in_words(*target, self.unit)).collect();
        let verdict = match self.met() {
            Some(true) => "met",
            Some(false) => "MISSED",
            None => "-",
        };
        [
            self.name.clone(),
            format!("{} {}", rounded(self.value), self.unit),
            self.null_router.map_or_else(dash, |value| format!("{} {}", rounded(value), self.unit)),
            self.ratio().map_or_else(dash, |ratio| format!("{ratio:.2}")),
            if targets.is_empty() { dash() } else { targets.join(", ") },
            verdict.to_owned(),
        ]
    }
}

/// What one scenario found.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ScenarioReport {
    pub(crate) scenario: &'static str,
    pub(crate) disk: DiskPace,
    pub(crate) figures: Vec<Figure>,
    /// What a reader of the figures should know.
    pub(crate) remarks: Vec<String>,
}

impl fmt::Display for ScenarioReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        table.load_style(UTF8_FULL_CONDENSED);
        table.set_header([self.scenario, "router", "null router", "ratio", "target", "verdict"]);
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        for figure in &self.figures {
            table.add_row(figure.row());
        }
        writeln!(formatter, "{table}")?;
        let pace = |when: &str, quantiles: &Quantiles| {
            let Quantiles { p50, p90, p99 } = quantiles;
            format!("{when} {p50:.2} / {p90:.2} / {p99:.2} ms")
        };
        let (before, after) = (pace("before", &self.disk.before), pace("after", &self.disk.after));
        writeln!(formatter, "  fdatasync of 4 KiB, p50 / p90 / p99: {before}, {after}")?;
        for remark in &self.remarks {
            writeln!(formatter, "  {remark}")?;
        }
        Ok(())
    }
}

/// The machine that the figures are of.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) kernel: String,
}

impl Machine {
    /// What `/proc` says; `unknown` where it says nothing.
    pub(crate) fn read() -> Self {
        let unknown = || "unknown".to_owned();
        let cpu_info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpu_info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").ok();
        Self {
            processor: model.map_or_else(unknown, |(_, name)| name.to_owned()),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            kernel: kernel.map_or_else(unknown, |release| release.trim().to_owned()),
        }
    }
}

/// Everything of one run, as the JSON file has it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct RunReport {
    pub(crate) machine: Machine,
    /// The commit that was built, where git knows it.
    pub(crate) commit: Option<String>,
    pub(crate) quick: bool,
    pub(crate) scenarios: Vec<ScenarioReport>,
}

impl RunReport {
    /// How many figures met their targets, of those that have any.
    pub(crate) fn score(&self) -> (usize, usize) {
        let figures = self.scenarios.iter().flat_map(|scenario| &scenario.figures);
        let verdicts: Vec<bool> = figures.filter_map(Figure::met).collect();
        (verdicts.iter().filter(|met| **met).count(), verdicts.len())
    }
}

fn in_words(target: Target, unit: &str) -> String {
    match target {
        Target::AtLeast(least) => format!("≥ {} {unit}", rounded(least)),
        Target::AtMost(most) => format!("≤ {} {unit}", rounded(most)),
        Target::ShareOfNullRouter(share) => format!("ratio ≥ {share:.2}"),
    }
}

/// Three digits that matter, and thousands apart.
fn rounded(value: f64) -> String {
    match value.abs() {
        size if size >= 1_000.0 => {
            let whole = format!("{value:.0}");
            let (sign, digits) = whole.strip_prefix('-').map_or(("", whole.as_str()), |digits| ("-", digits));
            let groups: Vec<&str> = digits
                .as_bytes()
                .rchunks(3)
                .rev()
                .map(|group| std::str::from_utf8(group).expect("digits are ASCII"))
                .collect();
            format!("{sign}{}", groups.join(","))
        }
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        let check = |value, expect: &str| assert_eq!(rounded(value), expect);
        check(0.0, "0.000");
        check(0.0654, "0.065");
        check(3.456, "3.46");
        check(12.34, "12.3");
        check(123.4, "123");
        check(12_345.6, "12,346");
        check(1_234_567.0, "1,234,567");
        check(-1_234.0, "-1,234");
    }

    #[test]
    fn targets_are_met_or_missed() {
        let check = |value: f64, null_router: Option<f64>, targets: &[Target], expect: Option<bool>| {
            let mut figure = Figure::new("events", "/s", value);
            figure.null_router = null_router;
            figure.targets = targets.to_vec();
            assert_eq!(figure.met(), expect, "{figure:?}");
        };
        check(1.0, None, &[], None);
        check(12_000.0, None, &[Target::AtLeast(12_000.0)], Some(true));
        check(11_999.0, None, &[Target::AtLeast(12_000.0)], Some(false));
        check(0.09, None, &[Target::AtMost(0.09)], Some(true));
        check(0.091, None, &[Target::AtMost(0.09)], Some(false));
        check(
            13_000.0,
            Some(26_000.0),
            &[Target::AtLeast(12_000.0), Target::ShareOfNullRouter(0.5)],
            Some(true),
        );
        check(
            12_500.0,
            Some(26_000.0),
            &[Target::AtLeast(12_000.0), Target::ShareOfNullRouter(0.5)],
            Some(false),
        );
        check(12_500.0, None, &[Target::ShareOfNullRouter(0.5)], Some(false));
    }

    #[test]
    fn quantiles_are_in_the_unit_asked_for() {
        let mut times = Quantiles::histogram();
        for milliseconds in 1..=100 {
            times.saturating_record(milliseconds * 1_000_000);
        }
        let close =
            |value: f64, expect: f64| assert!((value / expect - 1.0).abs() < 0.01, "{value} {expect}");
        let Quantiles { p50, p90, p99 } = Quantiles::in_milliseconds(&times);
        close(p50, 50.0);
        close(p90, 90.0);
        close(p99, 99.0);
        close(Quantiles::in_microseconds(&times).p50, 50_000.0);
    }
}
