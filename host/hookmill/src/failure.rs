//! How a command ends: its exit code and, where it failed, what a person is told.

use std::borrow::Cow;
use std::fmt;
use std::io::Write as _;
use std::process::ExitCode;

/// What `--help` says about exit codes.
pub(crate) const EXIT_CODES_HELP: &str = "\
Exit codes:
  0    done
  1    failed
  2    wrong usage: arguments or the configuration file
  3    no server answers at HOOKMILL_URL
  4    the server refused; its code and message are shown
  5    the router could not start: data directory, store, address; a restart alone will not help
  75   the router failed while it ran, its store for example; start it again, it recovers
  130  ended by a second signal before all was done";

/// How a command ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done.
    Done,
    /// Failed, for a reason without a code of its own.
    Failed,
    /// Wrong arguments or configuration. The same number that clap ends with.
    Usage,
    /// No server answers.
    Unreachable,
    /// A server answered, and refused.
    Refused,
    /// The router could not start.
    NotStarted,
    /// The store or a task failed while the router ran: sysexits' `EX_TEMPFAIL`, for supervisors that restart.
    RestartNeeded,
    /// Ended by a signal before all was done: 128 and SIGINT, as shells count.
    Interrupted,
}

impl Exit {
    /// The number for the parent process.
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Unreachable => 3,
            Self::Refused => 4,
            Self::NotStarted => 5,
            Self::RestartNeeded => 75,
            Self::Interrupted => 130,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.number())
    }
}

/// Why a command failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// How the process ends.
    pub(crate) exit: Exit,
    /// Stable, for programs: for example `data_dir_locked`.
    pub(crate) code: Cow<'static, str>,
    /// What is wrong, for people.
    pub(crate) message: String,
    /// What to do about it, where the message does not say so already.
    pub(crate) hint: Option<String>,
}

impl Failure {
    /// A failure without a hint.
    pub(crate) fn new(exit: Exit, code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { exit, code: code.into(), message: message.into(), hint: None }
    }

    /// Adds what to do.
    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// Tells a person, or with `json` a program, on standard error.
    pub(crate) fn report(&self, json: bool) {
        let text = if json { self.to_json().to_string() } else { self.to_string() };
        // Nobody is left to be told that standard error is closed.
        let _ = writeln!(std::io::stderr(), "{text}");
    }

    fn to_json(&self) -> serde_json::Value {
        serde_json::json!({ "error": { "code": self.code, "message": self.message, "hint": self.hint } })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "error[{}]: {}", self.code, self.message)?;
        match &self.hint {
            Some(hint) => write!(formatter, "\n  what to do: {hint}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_exit_code_is_its_own_and_documented() {
        let check = |exit: Exit, number: u8| {
            assert_eq!(exit.number(), number);
            let documented = EXIT_CODES_HELP.lines().filter(|line| {
                line.strip_prefix(&format!("  {number} ")).is_some_and(|rest| rest.starts_with(' '))
            });
            assert_eq!(documented.count(), 1, "{number}");
        };
        check(Exit::Done, 0);
        check(Exit::Failed, 1);
        check(Exit::Usage, 2);
        check(Exit::Unreachable, 3);
        check(Exit::Refused, 4);
        check(Exit::NotStarted, 5);
        check(Exit::RestartNeeded, 75);
        check(Exit::Interrupted, 130);
    }

    #[test]
    fn people_and_programs_are_told_the_same() {
        let failure = Failure::new(Exit::NotStarted, "address_in_use", "127.0.0.1:8080 is taken");
        assert_eq!(failure.to_string(), "error[address_in_use]: 127.0.0.1:8080 is taken");
        let failure = failure.hint("choose another with --listen");
        assert_eq!(
            failure.to_string(),
            "error[address_in_use]: 127.0.0.1:8080 is taken\n  what to do: choose another with --listen"
        );
        let expect = r#"{"error":{"code":"address_in_use","message":"127.0.0.1:8080 is taken","hint":"choose another with --listen"}}"#;
        assert_eq!(failure.to_json().to_string(), expect);
    }
}
