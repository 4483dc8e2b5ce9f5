//! Where log lines go: to standard error, as text for a person at a terminal and as JSON for everything else.
//!
//! Standard output is left to what programs read: the address line of `serve`, tables and JSON of the client verbs.

use std::io::IsTerminal as _;

use clap::ValueEnum;
use serde::Deserialize;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::failure::{Exit, Failure};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl LogFormat {
    /// Text on a terminal, JSON otherwise.
    pub(crate) fn for_stderr() -> Self {
        if std::io::stderr().is_terminal() { Self::Text } else { Self::Json }
    }
}

/// Reads a filter such as `info` or `info,hookmill_transport=debug`.
pub(crate) fn parse_filter(directives: &str) -> Result<EnvFilter, Failure> {
    let invalid = |reason: String| {
        Failure::new(Exit::Usage, "log_level_invalid", format!("`{directives}` is no log level: {reason}"))
            .hint("use error, warn, info, debug or trace, or a list like info,hookmill_transport=debug")
    };
    // A bare word is the name of a module to `EnvFilter`, so that a mistyped level would silence everything else.
    for word in directives.split(',').filter(|directive| !directive.contains('=')) {
        let level = word.trim().parse::<LevelFilter>().ok().filter(|_| !word.trim().is_empty());
        level.ok_or_else(|| invalid(format!("what is `{word}`?")))?;
    }
    EnvFilter::builder().parse(directives).map_err(|error| invalid(error.to_string()))
}

/// Begins to log. Called once a process.
pub(crate) fn start(format: LogFormat, filter: EnvFilter) {
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).init(),
        LogFormat::Json => {
            lines.json().flatten_event(true).with_current_span(false).with_span_list(false).init();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_level_is_told() {
        let check = |directives: &str, valid: bool| {
            let filter = parse_filter(directives);
            assert_eq!(filter.is_ok(), valid, "{directives}");
            if let Err(failure) = filter {
                assert_eq!((failure.exit, failure.code.as_ref()), (Exit::Usage, "log_level_invalid"));
            }
        };
        check("info", true);
        check("INFO", true);
        check("warn,hookmill_transport=debug", true);
        check("off", true);
        check("verbose", false);
        check("info,hookmill_transport=loud", false);
        check("", false);
    }
}
