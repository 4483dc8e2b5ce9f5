//! The toolchains of the plugins' languages: which tools they need, and how they are run.
//!
//! Each file builds the projects of one language and answers WebAssembly, a component or a core module with its
//! component type embedded. Tools are found on the `PATH`; what they say goes to standard error, so that standard output
//! stays the command's own.

mod c;
mod javascript;
mod python;
mod python_environment;
mod rust;

use std::ffi::OsStr;
use std::io;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::process::{Command, Stdio};

use super::project::Project;
use super::{not_written, note};
use crate::cli::PluginLanguage;
use crate::failure::{Exit, Failure};

/// Builds a project; answers WebAssembly without the project's manifest, unless the language put it in.
///
/// # Errors
/// A tool is missing or fails.
pub(super) fn build(project: &Project) -> Result<Vec<u8>, Failure> {
    match project.language()? {
        PluginLanguage::Rust => rust::build(project),
        PluginLanguage::Javascript => javascript::build(project),
        PluginLanguage::Python => python::build(project),
        PluginLanguage::C => c::build(project),
    }
}

/// A tool to be run in a folder. What it prints goes to standard error.
fn tool(program: impl AsRef<OsStr>, directory: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(directory).stdin(Stdio::null()).stdout(standard_error());
    command
}

/// Where everything goes that is not the answer of the command.
fn standard_error() -> Stdio {
    io::stderr().as_fd().try_clone_to_owned().map_or_else(|_| Stdio::null(), Stdio::from)
}

/// Runs a tool to its end; `install` says how to get it where it is missing.
fn run(command: &mut Command, install: &str) -> Result<(), Failure> {
    announce(command);
    let status = command.status().map_err(|error| not_started(command, &error, install))?;
    if status.success() { Ok(()) } else { Err(failed(command, status)) }
}

/// Says what is run.
fn announce(command: &Command) {
    note(&format!("$ {}", line_of(command)));
}

fn not_started(command: &Command, error: &io::Error, install: &str) -> Failure {
    let program = command.get_program().to_string_lossy();
    let message = match error.kind() {
        io::ErrorKind::NotFound => format!("`{program}` is not installed"),
        _ => format!("`{program}` does not start: {error}"),
    };
    Failure::new(Exit::Failed, "tool_missing", message).hint(install)
}

fn failed(command: &Command, status: std::process::ExitStatus) -> Failure {
    let message = format!("`{}` failed ({status}); what it said stands above", line_of(command));
    Failure::new(Exit::Failed, "build_failed", message)
}

/// How a person would type it.
fn line_of(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

/// What a tool prints on one line; nothing where it fails.
fn printed(command: &mut Command) -> Option<String> {
    let output = command.stdout(Stdio::piped()).stderr(Stdio::null()).output().ok()?;
    let text = output.status.success().then(|| String::from_utf8(output.stdout).ok())??;
    Some(text.trim_end().to_owned())
}

/// Reads what a tool should have made.
fn read_built(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| {
        let message = format!("the build did not leave {}: {error}", path.display());
        Failure::new(Exit::Failed, "build_failed", message)
    })
}

fn make_directory(path: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(path).map_err(|error| not_written(path, &error))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    std::fs::write(path, bytes).map_err(|error| not_written(path, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_tool_is_told_with_what_to_do() {
        let mut missing = tool("no-such-tool-of-hookmill", Path::new("."));
        let failure = run(&mut missing, "install it").unwrap_err();
        assert_eq!((failure.code.as_ref(), failure.hint.as_deref()), ("tool_missing", Some("install it")));
        assert_eq!(failure.message, "`no-such-tool-of-hookmill` is not installed");
    }

    #[test]
    fn a_tool_that_fails_is_named() {
        let failure = run(tool("false", Path::new(".")).arg("--why"), "").unwrap_err();
        assert!(failure.message.starts_with("`false --why` failed (exit status: 1)"), "{failure}");
        assert_eq!(printed(&mut tool("false", Path::new("."))), None);
        assert_eq!(printed(tool("echo", Path::new(".")).arg("said")).as_deref(), Some("said"));
    }
}
