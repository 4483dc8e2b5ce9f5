//! What the checks found, as a table.

use std::fmt;

use comfy_table::Table;
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;

/// Something that a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    /// Where: `file:line`, or the name of a crate.
    pub(crate) place: String,
    /// What is wrong and what to do.
    pub(crate) message: String,
    /// Whether tidy fails for it.
    pub(crate) severity: Severity,
}

/// Whether a finding fails the check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Severity {
    /// It does.
    Error,
    /// It is worth a look.
    Warning,
}

impl Finding {
    pub(crate) fn error(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self { place: place.into(), message: message.into(), severity: Severity::Error }
    }

    pub(crate) fn warning(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self { place: place.into(), message: message.into(), severity: Severity::Warning }
    }
}

/// A rule and what was found against it.
#[derive(Debug)]
pub(crate) struct Check {
    title: &'static str,
    findings: Vec<Finding>,
}

impl Check {
    pub(crate) fn new(title: &'static str, findings: Vec<Finding>) -> Self {
        Self { title, findings }
    }

    fn verdict(&self) -> &'static str {
        let failed = self.findings.iter().any(|finding| finding.severity == Severity::Error);
        match (failed, self.findings.is_empty()) {
            (true, _) => "FAIL",
            (false, false) => "pass, with remarks",
            (false, true) => "pass",
        }
    }
}

/// All checks of one run.
#[derive(Debug)]
pub(crate) struct Report {
    checks: Vec<Check>,
    /// How much was looked at: a report on nothing says nothing.
    crates: usize,
    files: usize,
}

impl Report {
    pub(crate) fn new(checks: Vec<Check>, crates: usize, files: usize) -> Self {
        Self { checks, crates, files }
    }

    pub(crate) fn passed(&self) -> bool {
        self.errors().next().is_none()
    }

    pub(crate) fn errors(&self) -> impl Iterator<Item = &Finding> {
        let findings = self.checks.iter().flat_map(|check| &check.findings);
        findings.filter(|finding| finding.severity == Severity::Error)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        table.load_style(UTF8_HORIZONTAL_ONLY).set_header(["check", "verdict", "findings"]);
        for check in &self.checks {
            table.add_row([check.title, check.verdict(), &check.findings.len().to_string()]);
        }
        writeln!(formatter, "{table}")?;
        for finding in self.checks.iter().flat_map(|check| &check.findings) {
            let label = match finding.severity {
                Severity::Error => "error",
                Severity::Warning => "remark",
            };
            writeln!(formatter, "{label}: {}: {}", finding.place, finding.message)?;
        }
        writeln!(formatter, "{} crates and {} files", self.crates, self.files)
    }
}
