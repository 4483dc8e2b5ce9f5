//! Rules that hold for the text of files, line by line.

use super::facts::TextFile;
use super::report::Finding;

/// Past this a file deserves a thought, past the other a cut.
const LINES_REMARKED: usize = 500;
const LINES_MAX: usize = 700;

/// Generated files say so near their top.
const GENERATED_MARK: &str = concat!("@", "generated");
const GENERATED_MARK_LINES: usize = 5;

/// What core's code does not contain: its ports say these for it. Addresses of `std::net` are values and welcome.
const IMPURE_IN_CORE: &[&str] = &[
    "use tokio",
    "tokio::",
    "std::fs",
    "std::process",
    "std::thread",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "ToSocketAddrs",
    "SystemTime",
    "Instant::now",
    "getrandom::",
    "rand::rng",
];

/// Words that a kind of file may not contain.
pub(crate) struct WordRule {
    pub(crate) title: &'static str,
    words: &'static [&'static str],
    /// Why, and what to do.
    advice: &'static str,
    applies: fn(&TextFile) -> bool,
    /// Whether a word counts only where a path may begin.
    begins_path: bool,
}

/// The words are put together here so that this file does not contain them.
pub(crate) const WORD_RULES: &[WordRule] = &[
    WordRule {
        title: "nothing is left for later",
        words: &[
            concat!("to", "do!"),
            concat!("TO", "DO"),
            concat!("FIX", "ME"),
            concat!("unimple", "mented!"),
        ],
        advice: "finish it, or file an issue",
        applies: is_ours,
        begins_path: false,
    },
    WordRule {
        title: "nothing of a debugging session is left",
        words: &[concat!("dbg", "!("), concat!("thread::", "sleep")],
        advice: "await a condition instead of a time, and log with `tracing`",
        applies: TextFile::is_rust,
        begins_path: false,
    },
    WordRule {
        title: "lints are answered, not silenced",
        words: &[concat!("#[al", "low("), concat!("#![al", "low(")],
        advice: "use `#[expect(lint, reason = \"...\")]`",
        applies: TextFile::is_rust,
        begins_path: false,
    },
    WordRule {
        title: "no path of one machine",
        words: &[concat!("/ro", "ot/"), concat!("/wo", "rk/"), concat!("/ho", "me/"), concat!("/Us", "ers/")],
        advice: "paths start at the repository or are arguments",
        applies: is_ours,
        begins_path: true,
    },
    WordRule {
        title: "no folder of one person's tools",
        words: &[
            concat!(".lib", "rary/"),
            concat!(".mir", "ror/"),
            concat!(".clau", "de/"),
            concat!(".cur", "sor/"),
        ],
        advice: "the repository needs none but those it documents",
        applies: is_ours,
        begins_path: false,
    },
];

impl WordRule {
    pub(crate) fn check(&self, file: &TextFile) -> Vec<Finding> {
        if !(self.applies)(file) {
            return Vec::new();
        }
        let mut findings = Vec::new();
        for (number, line) in file.lines() {
            for word in self.words.iter().filter(|word| self.finds(line, word)) {
                findings.push(Finding::error(file.place(number), format!("`{word}`: {}", self.advice)));
            }
        }
        findings
    }

    fn finds(&self, line: &str, word: &str) -> bool {
        line.match_indices(word).any(|(at, _)| !self.begins_path || begins_path(&line[..at]))
    }
}

/// Code of core that does what only the world outside may do.
pub(crate) fn check_core(file: &TextFile) -> Vec<Finding> {
    if !file.path.starts_with("host/core/src/") || !file.is_rust() {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (number, line) in file.lines().filter(|(_, line)| !line.trim_start().starts_with("//")) {
        for word in IMPURE_IN_CORE.iter().filter(|word| line.contains(**word)) {
            let message = format!("`{word}` in core: time, chance and I/O come in through a port");
            findings.push(Finding::error(file.place(number), message));
        }
    }
    findings
}

/// Sources that are too long for one head.
pub(crate) fn check_length(file: &TextFile) -> Vec<Finding> {
    let generated = file.text.lines().take(GENERATED_MARK_LINES).any(|line| line.contains(GENERATED_MARK));
    if generated || !file.is_rust() {
        return Vec::new();
    }
    let count = file.text.lines().count();
    let message = format!(
        "{count} lines: cut it along its meaning (remarked past {LINES_REMARKED}, at most {LINES_MAX})"
    );
    if count > LINES_MAX {
        vec![Finding::error(file.place(count), message)]
    } else if count > LINES_REMARKED {
        vec![Finding::warning(file.place(count), message)]
    } else {
        Vec::new()
    }
}

/// What we write ourselves: fixtures and lock files come from elsewhere.
fn is_ours(file: &TextFile) -> bool {
    let foreign = ["tests/data/", "Cargo.lock", "package-lock.json"];
    !foreign.iter().any(|part| file.path.contains(part))
}

/// Whether text that ends here is followed by the beginning of a path, not by a later part of one.
fn begins_path(before: &str) -> bool {
    !before.ends_with(|last: char| last.is_alphanumeric() || "._-/~}>$".contains(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> TextFile {
        TextFile { path: path.into(), text: text.into() }
    }

    #[test]
    fn a_planted_import_in_core_is_found() {
        let check = |path: &str, text: &str, expect: &[&str]| {
            let findings = check_core(&file(path, text));
            let places: Vec<&str> = findings.iter().map(|finding| finding.place.as_str()).collect();
            assert_eq!(places, expect, "{text}");
        };
        check(
            "host/core/src/route.rs",
            "//! Plans.\nuse tokio::sync::mpsc;\n",
            &["host/core/src/route.rs:2"; 2],
        );
        check(
            "host/core/src/route.rs",
            "let now = std::time::SystemTime::now();",
            &["host/core/src/route.rs:1"],
        );
        check("host/core/src/route.rs", "let now = Instant::now();", &["host/core/src/route.rs:1"]);
        check("host/core/src/route.rs", "use std::net::{IpAddr, TcpStream};", &["host/core/src/route.rs:1"]);
        check("host/core/src/address.rs", "use std::net::{IpAddr, Ipv4Addr};", &[]);
        check("host/core/src/port/clock.rs", "/// What `SystemTime` says.\n", &[]);
        check("host/app/src/dispatch.rs", "use tokio::sync::mpsc;\n", &[]);
    }

    #[test]
    fn words_are_found_where_they_matter() {
        let check = |path: &str, text: &str, expect: usize| {
            let count: usize = WORD_RULES.iter().map(|rule| rule.check(&file(path, text)).len()).sum();
            assert_eq!(count, expect, "{path}: {text}");
        };
        check("host/app/src/lib.rs", "let value = 1;", 0);
        check("host/app/src/lib.rs", concat!("to", "do!()"), 1);
        check("README.md", concat!("FIX", "ME later"), 1);
        check("tests/data/seeds/a.md", concat!("FIX", "ME later"), 0);
        check("host/app/src/lib.rs", concat!("dbg", "!(value);"), 1);
        check("host/app/src/lib.rs", concat!("std::thread::", "sleep(pause);"), 1);
        check("host/app/src/lib.rs", concat!("#[al", "low(dead_code)]"), 1);
        check("host/app/src/lib.rs", "#[expect(dead_code, reason = \"why\")]", 0);
        check("examples/run.sh", concat!("cd /wo", "rk/main"), 1);
        check("examples/run.sh", concat!("cp \"/ro", "ot/key\" ."), 1);
        check("README.md", concat!("https://example.com/wo", "rk/main"), 0);
        check("examples/run.sh", concat!("cat /wo", "rk/.lib", "rary/list"), 2);
    }

    #[test]
    fn long_files_are_remarked_then_refused() {
        let check = |lines: usize, head: &str, expect: Option<bool>| {
            let text = format!("{head}{}", "line\n".repeat(lines));
            let findings = check_length(&file("host/app/src/lib.rs", &text));
            let is_error =
                findings.first().map(|finding| finding.severity == super::super::report::Severity::Error);
            assert_eq!(is_error, expect, "{lines}");
        };
        check(LINES_REMARKED, "", None);
        check(LINES_REMARKED + 1, "", Some(false));
        check(LINES_MAX, "", Some(false));
        check(LINES_MAX + 1, "", Some(true));
        check(LINES_MAX + 1, concat!("// @", "generated\n"), None);
    }
}
