//! Where log lines go: to standard error, as text for a person at a terminal and as JSON for everything else.
//!
//! Whoever logs never waits: lines go through a bounded [`queue`] to a thread that writes them, since standard error may be
//! a pipe that nobody reads. Lines are bounded in length, and those of one kind in number ([`limit`]), since strangers cause
//! some of them. What is lost is counted and told.
//!
//! Standard output is left to what programs read: the address line of `serve`, tables and JSON of the client verbs.

use std::io::IsTerminal as _;

use clap::ValueEnum;
use serde::Deserialize;
use tracing_subscriber::filter::{FilterExt as _, LevelFilter};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

use self::limit::Limit;
use self::queue::LineWriter;
use crate::failure::{Exit, Failure};

mod limit;
mod queue;

pub(crate) use self::limit::tell_left_out;
pub(crate) use self::queue::flush;

/// Lines that were not written since this was last asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lost {
    /// Nobody read standard error.
    pub(crate) dropped: u64,
    /// Too many alike came at once.
    pub(crate) left_out: u64,
}

/// Lines that were not written since this was last asked.
pub(crate) fn take_lost() -> Lost {
    Lost { dropped: queue::take_dropped(), left_out: limit::take_left_out() }
}

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
    let writer = LineWriter::start(format);
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    let registry = tracing_subscriber::registry();
    match format {
        LogFormat::Text => {
            let lines = lines.with_ansi(std::io::stderr().is_terminal());
            registry.with(lines.with_filter(filter.and(Limit))).init();
        }
        LogFormat::Json => {
            let lines = lines.json().flatten_event(true).with_current_span(false).with_span_list(false);
            registry.with(lines.with_filter(filter.and(Limit))).init();
        }
    }
    // The usual hook writes to standard error itself, and would wait there.
    std::panic::set_hook(Box::new(|panic| tracing::error!(%panic, "a thread panicked")));
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
