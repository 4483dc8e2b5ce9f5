//! Runs the tests, keeps their output and counts them.
//!
//! `cargo nextest` runs the router's tests: one process a test, so that one that hangs or aborts takes no other along. On
//! a machine where it can't be installed `cargo test` does the same with less comfort.

use std::fmt;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::ops::Add;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

use crate::binaries::target_directory;
use crate::prerequisites::{Machine, TestsOf};
use crate::steps::{self, Failure, answers, cargo, line_of, tool};

/// How many tests ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Counts {
    passed: u32,
    failed: u32,
}

impl fmt::Display for Counts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} passed, {} failed", self.passed, self.failed)
    }
}

impl Add for Counts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { passed: self.passed + other.passed, failed: self.failed + other.failed }
    }
}

/// How much nextest tells; `.config/nextest.toml` has both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// Each test as it ends.
    Default,
    /// What is slow and what failed.
    Ci,
}

impl Profile {
    fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Ci => "ci",
        }
    }
}

/// Tests everything in the router's workspace, or what `filter` names, but for what the machine can't run.
pub(crate) fn run_host(
    root: &Path,
    profile: Profile,
    filter: &[String],
    machine: &Machine,
) -> Result<Counts, Failure> {
    let mut command = cargo(root);
    let left_out: Vec<TestsOf> = machine.left_out().into_iter().map(|(_, tests)| tests).collect();
    if nextest_is_there(root) {
        command
            .args(["nextest", "run", "--profile", profile.name(), "--release", "--workspace"])
            .args(filter);
        if !left_out.is_empty() {
            command.arg("--filterset").arg(all_but(&left_out));
        }
    } else {
        println!("    note: cargo-nextest could not be installed, `cargo test` takes its place");
        command.args(["test", "--no-fail-fast", "--release", "--workspace"]).args(filter).arg("--");
        let names = left_out.iter().flat_map(|tests| tests.names);
        command.args(names.flat_map(|name| ["--skip", *name]));
    }
    run_counted(root, "router", &mut command)
}

/// What nextest runs: all but the tests of these packages whose names begin so.
fn all_but(left_out: &[TestsOf]) -> String {
    let each = left_out
        .iter()
        .map(|TestsOf { package, names }| format!("(package({package}) and test(/^({})/))", names.join("|")));
    format!("not ({})", each.collect::<Vec<_>>().join(" or "))
}

/// Tests the examples in the documentation, which nextest leaves out.
pub(crate) fn run_documentation(root: &Path) -> Result<Counts, Failure> {
    run_counted(root, "documentation", cargo(root).args(["test", "--release", "--workspace", "--doc"]))
}

/// Tests the plugins as ordinary programs of this machine.
pub(crate) fn run_plugins(root: &Path) -> Result<Counts, Failure> {
    let workspace = root.join("plugins");
    run_counted(
        root,
        "plugins",
        cargo(&workspace).args(["test", "--release", "--workspace", "--no-fail-fast"]),
    )
}

/// Tests the plugins in JavaScript, and the kit that they are written with, in Node.js.
pub(crate) fn run_javascript(root: &Path) -> Result<Counts, Failure> {
    let workspace = root.join("plugins");
    let files = javascript_tests(&workspace)
        .map_err(|error| Failure::of(format!("read {}: {error}", workspace.display())))?;
    let mut node = tool("node", &workspace);
    run_counted(root, "javascript", node.args(["--test", "--test-reporter=tap"]).args(files))
}

/// `*/test/*.test.js`, from the workspace. Left to itself, Node.js would also run what looks like a test in `target`.
fn javascript_tests(workspace: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for package in std::fs::read_dir(workspace)? {
        let folder = Path::new(&package?.file_name()).join("test");
        for file in std::fs::read_dir(workspace.join(&folder)).into_iter().flatten() {
            let name = file?.file_name();
            if name.to_str().is_some_and(|name| name.ends_with(".test.js")) {
                files.push(folder.join(name));
            }
        }
    }
    files.sort();
    Ok(files)
}

/// Where the output of the last run is kept.
pub(crate) fn log_directory(root: &Path) -> PathBuf {
    target_directory(root).join("xtask")
}

fn nextest_is_there(root: &Path) -> bool {
    let mut version = cargo(root);
    answers(version.args(["nextest", "--version"]))
        || steps::run(cargo(root).args(["install", "cargo-nextest", "--locked"])).is_ok()
}

/// Runs a test command: its output goes to the terminal and to a log, and is read for the number of tests.
fn run_counted(root: &Path, log_name: &str, command: &mut Command) -> Result<Counts, Failure> {
    println!("    $ {}", line_of(command));
    let directory = log_directory(root);
    let path = directory.join(format!("{log_name}.log"));
    let log = std::fs::create_dir_all(&directory)
        .and_then(|()| File::create(&path))
        .map_err(|error| Failure::of(format!("create {}: {error}", path.display())))?;
    let spawned = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child =
        spawned.map_err(|error| Failure::of(format!("{} did not start: {error}", line_of(command))))?;
    let stdout = child.stdout.take().expect("stdout is piped");
    let stderr = child.stderr.take().expect("stderr is piped");
    let shared = Mutex::new((log, Counts::default()));
    std::thread::scope(|scope| {
        scope.spawn(|| copy_lines(stdout, &shared));
        scope.spawn(|| copy_lines(stderr, &shared));
    });
    let status = child.wait().map_err(|error| Failure::of(format!("{}: {error}", line_of(command))))?;
    let (_, counts) = shared.into_inner().expect("no thread panicked with the lock");
    println!("    {counts}");
    if status.success() { Ok(counts) } else { Err(Failure::of_tool(command, status.code())) }
}

fn copy_lines(from: impl Read, shared: &Mutex<(File, Counts)>) {
    let mut lines = BufReader::new(from);
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
        let text = String::from_utf8_lossy(&line);
        print!("{text}");
        {
            let mut shared = shared.lock().expect("no thread panicked with the lock");
            // The log is a convenience: a full disk must not fail the tests.
            let _ = shared.0.write_all(&line);
            shared.1 = shared.1 + counts_of(&text);
        }
        line.clear();
    }
}

/// The tests that a summary line speaks of: nextest's `Summary [ 1.2s] 9 tests run: 8 passed, 1 failed`, libtest's `test
/// result: ok. 8 passed; 1 failed; ...`, the last lines of TAP, `# pass 8` and `# fail 1`. Any other line speaks of none.
fn counts_of(line: &str) -> Counts {
    let counted = |prefix: &str| line.strip_prefix(prefix).and_then(|count| count.trim_end().parse().ok());
    if let Some(passed) = counted("# pass ") {
        return Counts { passed, failed: 0 };
    }
    if let Some(failed) = counted("# fail ") {
        return Counts { passed: 0, failed };
    }
    let trimmed = line.trim();
    let summary = if trimmed.starts_with("Summary [") {
        trimmed.split_once("run: ").map(|(_, summary)| summary)
    } else {
        // Not indented: nextest shows the output of a failed test so, and counts it itself.
        line.strip_prefix("test result: ").and_then(|rest| rest.split_once(". ")).map(|(_, summary)| summary)
    };
    let Some(summary) = summary else { return Counts::default() };
    Counts { passed: number_before(summary, "passed"), failed: number_before(summary, "failed") }
}

fn number_before(summary: &str, word: &str) -> u32 {
    let mut words = summary.split([' ', ',', ';', '(', ')']).filter(|word| !word.is_empty());
    let mut previous = "";
    for current in &mut words {
        if current == word {
            return previous.parse().unwrap_or(0);
        }
        previous = current;
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries_are_counted() {
        let check =
            |line: &str, passed, failed| assert_eq!(counts_of(line), Counts { passed, failed }, "{line}");
        check("     Summary [   1.204s] 9 tests run: 9 passed, 0 skipped", 9, 0);
        check("     Summary [   1.204s] 9 tests run: 7 passed (1 slow), 2 failed, 3 skipped", 7, 2);
        check(
            "test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s",
            12,
            0,
        );
        check("test result: FAILED. 3 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out", 3, 1);
        check("    test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 8 filtered out", 0, 0);
        check("# pass 12\n", 12, 0);
        check("# fail 3\n", 0, 3);
        check("# passing a body on\n", 0, 0);
        check("        PASS [   0.010s] xtask suite::tests::summaries_are_counted", 0, 0);
        check("test nothing_failed ... ok", 0, 0);
    }

    #[test]
    fn what_is_left_out_is_left_out_of_its_package_only() {
        let left_out = [
            TestsOf { package: "hookmill-tests", names: &["receivers::php", "metrics::"] },
            TestsOf { package: "xtask", names: &["tidy::tests::"] },
        ];
        assert_eq!(
            all_but(&left_out),
            "not ((package(hookmill-tests) and test(/^(receivers::php|metrics::)/)) \
             or (package(xtask) and test(/^(tidy::tests::)/)))"
        );
    }

    #[test]
    fn tests_in_javascript_are_found_by_their_names() {
        let workspace = tempfile::tempdir().unwrap();
        for file in ["two/test/b.test.js", "one/test/a.test.js", "one/test/data.js", "one/src/c.test.js"] {
            let path = workspace.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let expect = ["one/test/a.test.js", "two/test/b.test.js"].map(PathBuf::from);
        assert_eq!(javascript_tests(workspace.path()).unwrap(), expect);
    }

    #[test]
    fn output_is_kept_counted_and_its_exit_code_passed_on() {
        let root = tempfile::tempdir().unwrap();
        let check = |script: &str, expect: Result<Counts, u8>| {
            let mut shell = Command::new("/bin/sh");
            let outcome = run_counted(root.path(), "sample", shell.arg("-c").arg(script));
            assert_eq!(outcome.map_err(|failure| failure.code()), expect, "{script}");
        };
        check("echo 'test result: ok. 2 passed; 0 failed' >&2", Ok(Counts { passed: 2, failed: 0 }));
        check("echo 'test result: FAILED. 1 passed; 1 failed'; exit 100", Err(100));
        let log = std::fs::read_to_string(log_directory(root.path()).join("sample.log")).unwrap();
        assert_eq!(log, "test result: FAILED. 1 passed; 1 failed\n");
    }
}
