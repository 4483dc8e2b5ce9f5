//! The rules of the house, checked: the layout can't rot unseen.
//!
//! [`check_tree`] gathers facts (what `cargo metadata` says of the crates, what git keeps as files) and hands them to pure
//! checks: [`arrows`], [`licences`], [`source`] and [`repository`]. Each returns findings; the report is the table of all.

mod arrows;
mod facts;
mod licences;
mod report;
mod repository;
mod source;
#[cfg(test)]
mod tests;

use std::path::Path;

use self::facts::{Crates, TextFile};
use self::report::{Check, Report};
use crate::steps::Failure;

/// Checks the repository at `root`.
pub(crate) fn check_tree(root: &Path) -> Result<Report, Failure> {
    let mut crates = Crates::read(root)?;
    // The plugins are a workspace of their own, and what they consist of is shipped too.
    let plugins = root.join("plugins");
    if plugins.join("Cargo.toml").is_file() {
        crates.foreign.extend(Crates::read(&plugins)?.foreign);
    }
    let files = facts::kept_files(root)?;
    let texts: Vec<&TextFile> = files.iter().filter_map(facts::KeptFile::text).collect();
    let mut checks = vec![
        Check::new("crates use only the crates below them", arrows::check(&crates.members)),
        Check::new("core stays free of I/O, clocks and chance", arrows::check_purity(&crates)),
        Check::new("dependencies have permissive licences", licences::check(&crates.foreign)),
        Check::new("crates take the workspace's lints", repository::check_lints(&texts)),
        Check::new(
            "the architecture names each crate",
            repository::check_architecture(&crates.members, &texts),
        ),
        Check::new("git keeps no binaries", repository::check_binaries(&files)),
        Check::new("files fit a head", over(&texts, source::check_length)),
        Check::new("core's sources do no I/O", over(&texts, source::check_core)),
    ];
    for rule in source::WORD_RULES {
        checks.push(Check::new(rule.title, over(&texts, |file| rule.check(file))));
    }
    Ok(Report::new(checks, crates.members.len(), files.len()))
}

fn over(texts: &[&TextFile], check: impl Fn(&TextFile) -> Vec<report::Finding>) -> Vec<report::Finding> {
    texts.iter().flat_map(|file| check(file)).collect()
}
