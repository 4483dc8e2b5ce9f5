//! What one run writes to its log: bounded, and harmless on a terminal.

use std::collections::VecDeque;

use hookmill_core::plugin::{LogLevel, LogLine};

use crate::limits::{LOG_BYTES_MAX, LOG_LINE_BYTES_MAX, LOG_LINES_MAX};

/// The last lines of a run's log.
#[derive(Default)]
pub(crate) struct RunLog {
    lines: VecDeque<LogLine>,
    bytes: usize,
    dropped: u32,
}

impl RunLog {
    /// Adds a line; earlier ones go where there are too many.
    pub(crate) fn write(&mut self, level: LogLevel, message: &str) {
        let message = printable(message, LOG_LINE_BYTES_MAX);
        self.bytes += message.len();
        self.lines.push_back(LogLine { level, message });
        while self.lines.len() > LOG_LINES_MAX || self.bytes > LOG_BYTES_MAX {
            let Some(line) = self.lines.pop_front() else { return };
            self.bytes -= line.message.len();
            self.dropped += 1;
        }
    }

    /// The lines, after a note about those that are missing.
    pub(crate) fn into_lines(mut self) -> Vec<LogLine> {
        if self.dropped > 0 {
            let message = format!(
                "{} earlier lines were dropped: a run's log keeps {LOG_LINES_MAX} lines and {LOG_BYTES_MAX} bytes",
                self.dropped
            );
            self.lines.push_front(LogLine { level: LogLevel::Warn, message });
        }
        self.lines.into()
    }
}

/// At most so many bytes of a plugin's text, with control characters escaped: it ends up on terminals. Line breaks stay,
/// since a stack is a text of lines; whoever prints a text beside others indents it.
pub(crate) fn printable(text: &str, bytes_max: usize) -> String {
    let mut printed = String::with_capacity(text.len().min(bytes_max));
    for character in text.chars() {
        let before = printed.len();
        if character == '\n' {
            printed.push(character);
        } else if character.is_control() || is_bidirectional_control(character) {
            printed.extend(character.escape_default());
        } else {
            printed.push(character);
        }
        if printed.len() > bytes_max {
            printed.truncate(before);
            break;
        }
    }
    printed
}

/// Characters that make a terminal show text in another order than it has.
fn is_bidirectional_control(character: char) -> bool {
    matches!(character, '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_and_cuts_lines() {
        let check = |text: &str, max: usize, expect: &str| assert_eq!(printable(text, max), expect);
        check("plain", 100, "plain");
        check("a\nb\u{1b}[31m\u{202e}x", 100, "a\nb\\u{1b}[31m\\u{202e}x");
        check("abcdef", 3, "abc");
        check("aé", 2, "a");
        check("ab\r", 3, "ab");
        check("at f (plugin.js:3)\n  at g", 100, "at f (plugin.js:3)\n  at g");
    }

    #[test]
    fn keeps_the_last_lines() {
        let mut log = RunLog::default();
        for number in 0..LOG_LINES_MAX + 10 {
            log.write(LogLevel::Info, &number.to_string());
        }
        let lines = log.into_lines();
        assert_eq!(lines.len(), LOG_LINES_MAX + 1);
        assert!(lines[0].message.starts_with("10 earlier lines were dropped"));
        assert_eq!(lines[1].message, "10");

        let mut log = RunLog::default();
        for _ in 0..100 {
            log.write(LogLevel::Info, &"x".repeat(2 * LOG_LINE_BYTES_MAX));
        }
        let kept: usize = log.into_lines()[1..].iter().map(|line| line.message.len()).sum();
        assert_eq!(kept, LOG_BYTES_MAX);
    }
}
