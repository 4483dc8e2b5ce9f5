//! Licences of what we ship: permissive ones only, so that Hookmill may go wherever its users take it.

use spdx::{Expression, ParseMode};

use super::facts::Foreign;
use super::report::Finding;

/// Ask for notice at most.
const PERMISSIVE: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "BSD-1-Clause",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
    "bzip2-1.0.6",
];

/// Each crate of others can be had under permissive licences alone.
pub(crate) fn check(foreign: &[Foreign]) -> Vec<Finding> {
    let finding = |package: &Foreign| {
        let problem = problem_with(package.licence.as_deref())?;
        Some(Finding::error(format!("{} {}", package.name, package.version), problem))
    };
    foreign.iter().filter_map(finding).collect()
}

fn problem_with(licence: Option<&str>) -> Option<String> {
    let Some(licence) = licence else {
        return Some("names no licence in its manifest".into());
    };
    // Old manifests write `MIT/Apache-2.0` for a choice.
    let expression = match Expression::parse_mode(licence, ParseMode::LAX) {
        Ok(expression) => expression,
        Err(error) => return Some(format!("`{licence}` is no licence expression: {}", error.reason)),
    };
    let permissive = |name: &str| PERMISSIVE.contains(&name);
    let allowed = expression.evaluate(|wanted| wanted.license.id().is_some_and(|id| permissive(id.name)));
    if allowed { None } else { Some(format!("`{licence}` asks for more than tidy's permissive licences do")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissive_licences_pass() {
        let check = |licence: Option<&str>, allowed: bool| {
            assert_eq!(problem_with(licence).is_none(), allowed, "{licence:?}");
        };
        check(Some("MIT"), true);
        check(Some("MIT OR Apache-2.0"), true);
        check(Some("MIT/Apache-2.0"), true);
        check(Some("(MIT OR Apache-2.0) AND Unicode-3.0"), true);
        check(Some("Apache-2.0 WITH LLVM-exception"), true);
        check(Some("MIT OR GPL-3.0-only"), true);
        check(Some("MIT AND GPL-3.0-only"), false);
        check(Some("AGPL-3.0-only"), false);
        check(Some("LicenseRef-ours"), false);
        check(Some("no such licence"), false);
        check(None, false);
    }
}
