//! Steps that announce themselves, and the tools that they run.

use std::ffi::OsStr;
use std::fmt;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use crate::clock;

/// The code with which a command ends that failed without a tool to blame.
const EXIT_FAILURE: u8 = 1;

/// Why a step failed, and the exit code to end with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    message: String,
    code: u8,
}

impl Failure {
    /// A failure that no tool's exit code describes.
    pub(crate) fn of(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: EXIT_FAILURE }
    }

    /// A failure of a tool that ended with `code`, or by a signal where there is none.
    pub(crate) fn of_tool(command: &Command, code: Option<i32>) -> Self {
        let ended = code.map_or_else(|| "was ended by a signal".into(), |code| format!("exited with {code}"));
        let code =
            code.and_then(|code| u8::try_from(code).ok()).filter(|code| *code != 0).unwrap_or(EXIT_FAILURE);
        Self { message: format!("{} {ended}", line_of(command)), code }
    }

    pub(crate) fn code(&self) -> u8 {
        self.code
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

/// Numbers the steps of one command and times them.
#[derive(Debug)]
pub(crate) struct Steps {
    started: Instant,
    count: u32,
}

impl Steps {
    pub(crate) fn new() -> Self {
        Self { started: clock::now(), count: 0 }
    }

    /// Runs one step between its heading and its elapsed time.
    pub(crate) fn step<T>(
        &mut self,
        title: &str,
        work: impl FnOnce() -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.count += 1;
        println!("\n==> {}. {title}", self.count);
        let started = clock::now();
        let outcome = work();
        let elapsed = in_words(started.elapsed());
        match &outcome {
            Ok(_) => println!("    done in {elapsed}"),
            Err(failure) => println!("    failed after {elapsed}: {failure}"),
        }
        outcome
    }

    /// Says how the whole command ended, and gives the exit code for it.
    pub(crate) fn finish(&self, outcome: Result<(), Failure>) -> ExitCode {
        let elapsed = in_words(self.started.elapsed());
        match outcome {
            Ok(()) => {
                println!("\nall done in {elapsed}");
                ExitCode::SUCCESS
            }
            Err(failure) => {
                eprintln!("\nerror after {elapsed}: {failure}");
                ExitCode::from(failure.code())
            }
        }
    }
}

/// The cargo of this toolchain, to be run in `directory`.
pub(crate) fn cargo(directory: &Path) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    tool(program, directory)
}

/// A tool to be run in `directory`, with nothing of the cargo that started us but the toolchain's choice.
///
/// Build scripts of some dependencies (ring) ask to be run again when a `CARGO_PKG_*` variable changes. Inherited from
/// `cargo run --package xtask` these would make `cargo xtask test` and `cargo test` undo each other's work.
pub(crate) fn tool(program: impl AsRef<OsStr>, directory: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(directory).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(describes_the_running_package) {
            command.env_remove(name);
        }
    }
    command
}

/// Runs a tool with its output in sight.
pub(crate) fn run(command: &mut Command) -> Result<(), Failure> {
    println!("    $ {}", line_of(command));
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Failure::of_tool(command, status.code())),
        Err(error) => Err(Failure::of(format!("{} did not start: {error}", line_of(command)))),
    }
}

/// Whether a tool is there and answers to `--version`.
pub(crate) fn answers(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// How a person would type this command; the path of the program is left out.
pub(crate) fn line_of(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let mut line = program.to_string_lossy().into_owned();
    for argument in command.get_args() {
        line.push(' ');
        line.push_str(&argument.to_string_lossy());
    }
    line
}

fn describes_the_running_package(name: &str) -> bool {
    name.starts_with("CARGO_PKG_")
        || matches!(
            name,
            "CARGO_MANIFEST_DIR" | "CARGO_MANIFEST_PATH" | "CARGO_BIN_NAME" | "CARGO_CRATE_NAME" | "OUT_DIR"
        )
}

fn in_words(elapsed: Duration) -> String {
    let seconds = elapsed.as_secs();
    if seconds < 60 {
        format!("{:.1} s", elapsed.as_secs_f64())
    } else {
        format!("{} min {:02} s", seconds / 60, seconds % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elapsed_times_read_well() {
        let check =
            |milliseconds, expect: &str| assert_eq!(in_words(Duration::from_millis(milliseconds)), expect);
        check(0, "0.0 s");
        check(1_234, "1.2 s");
        check(60_000, "1 min 00 s");
        check(3_725_000, "62 min 05 s");
    }

    #[test]
    fn a_tools_exit_code_becomes_ours() {
        let check = |script: &str, expect: u8| {
            let mut shell = tool("/bin/sh", Path::new("."));
            let outcome = run(shell.arg("-c").arg(script));
            assert_eq!(outcome.map_err(|failure| failure.code()).err().unwrap_or(0), expect, "{script}");
        };
        check("exit 0", 0);
        check("exit 7", 7);
        check("exit 101", 101);
        check("kill -9 $$", EXIT_FAILURE);
    }

    #[test]
    fn a_missing_tool_is_a_failure_that_names_it() {
        let outcome = run(tool("no-such-tool-of-hookmill", Path::new(".")).arg("--version"));
        let failure = outcome.expect_err("it is not there");
        assert!(
            failure.to_string().starts_with("no-such-tool-of-hookmill --version did not start"),
            "{failure}"
        );
    }

    #[test]
    fn a_package_that_runs_us_is_not_inherited() {
        let check =
            |name: &str, expect: bool| assert_eq!(describes_the_running_package(name), expect, "{name}");
        check("CARGO_PKG_NAME", true);
        check("CARGO_MANIFEST_DIR", true);
        check("CARGO_HOME", false);
        check("CARGO_TARGET_DIR", false);
        check("PATH", false);
    }
}
