//! Runs, as people see them: what came of one, how it differs, what it cost.

use std::io::IsTerminal as _;

use hookmill_core::manifest::Difference;
use serde_json::Value;

use crate::world::environment;

/// Characters of one value that a difference shows.
const VALUE_CHARS_MAX: usize = 200;

/// Colours, where somebody sees them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Paint {
    on: bool,
}

impl Paint {
    /// Colours where standard output is a terminal and `NO_COLOR` (no-color.org) is not set.
    pub(super) fn new() -> Self {
        Self { on: std::io::stdout().is_terminal() && environment("NO_COLOR").is_none() }
    }

    #[cfg(test)]
    pub(super) fn plain() -> Self {
        Self { on: false }
    }

    pub(super) fn red(self, text: &str) -> String {
        self.colour("31", text)
    }

    pub(super) fn green(self, text: &str) -> String {
        self.colour("32", text)
    }

    pub(super) fn faint(self, text: &str) -> String {
        self.colour("2", text)
    }

    fn colour(self, code: &str, text: &str) -> String {
        if self.on { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// Differences by place: what went in red, what came in green.
pub(super) fn differences(paint: Paint, differences: &[Difference]) -> String {
    let mut lines = Vec::new();
    for difference in differences {
        let pointer = if difference.pointer.is_empty() { "(all)" } else { &difference.pointer };
        let line = |sign: &str, json: &str| format!("{sign} {pointer} {}", shortened(json));
        if let Some(before) = &difference.before {
            lines.push(paint.red(&line("-", before)));
        }
        if let Some(after) = &difference.after {
            lines.push(paint.green(&line("+", after)));
        }
    }
    lines.join("\n")
}

/// What a run cost in one line: of `{fuel, fuelShare, wallMicros, memoryPeakBytes}`.
pub(super) fn cost(run: &Value) -> String {
    let number = |name: &str| run[name].as_f64().unwrap_or_default();
    let (fuel, percent) = (number("fuel"), number("fuelShare") * 100.0);
    let (milliseconds, kibibytes) = (number("wallMicros") / 1000.0, number("memoryPeakBytes") / 1024.0);
    format!("fuel {fuel} ({percent:.2} % of the budget), {milliseconds:.2} ms, {kibibytes:.0} KiB")
}

/// What a run logged, a line each: of `[{level, message}]`.
pub(super) fn logs(paint: Paint, lines: &Value) -> Vec<String> {
    let lines = lines.as_array().map(Vec::as_slice).unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    lines
        .iter()
        .map(|line| {
            // Later lines under the first, so that none is taken for another line of the log.
            let message = text(&line["message"]).replace('\n', "\n  ");
            format!("{} {message}", paint.faint(&text(&line["level"])))
        })
        .collect()
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(VALUE_CHARS_MAX) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn difference(pointer: &str, before: Option<&str>, after: Option<&str>) -> Difference {
        Difference {
            pointer: pointer.to_owned(),
            before: before.map(Into::into),
            after: after.map(Into::into),
        }
    }

    #[test]
    fn differences_show_what_went_and_what_came() {
        let found = [
            difference("/id", Some("7.0"), None),
            difference("/reference", None, Some("7.10")),
            difference("", Some("\"a\""), Some("null")),
        ];
        let plain = differences(Paint::plain(), &found);
        assert_eq!(plain, "- /id 7.0\n+ /reference 7.10\n- (all) \"a\"\n+ (all) null");
        let coloured = differences(Paint { on: true }, &found[..1]);
        assert_eq!(coloured, "\x1b[31m- /id 7.0\x1b[0m");
        let long = difference("/a", None, Some(&"x".repeat(VALUE_CHARS_MAX + 1)));
        assert!(differences(Paint::plain(), &[long]).ends_with("xx..."));
    }

    #[test]
    fn a_run_is_told_in_units_of_people() {
        let run = json!({
            "fuel": 37_593, "fuelShare": 0.001_253_1, "wallMicros": 1_040, "memoryPeakBytes": 131_072,
            "logs": [{"level": "warn", "message": "odd"}],
        });
        assert_eq!(cost(&run), "fuel 37593 (0.13 % of the budget), 1.04 ms, 128 KiB");
        assert_eq!(logs(Paint::plain(), &run["logs"]), ["warn odd"]);
        assert_eq!(logs(Paint::plain(), &Value::Null), [""; 0]);
    }
}
