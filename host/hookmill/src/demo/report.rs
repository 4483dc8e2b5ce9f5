//! What the demo shows at the end: one row for each kind of event at each endpoint, and a body before and after.

use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table};
use serde_json::Value;

use super::judge::Shape;
use super::receiver::Arrival;
use super::seeds::Seed;
use super::systems::System;

/// Lines of a body that are shown.
const BODY_LINES_SHOWN: usize = 18;
/// Columns with numbers.
const NUMERIC_COLUMNS: [usize; 3] = [3, 4, 7];

/// One kind of event at one endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    event_type: String,
    endpoint: &'static str,
    plugin: Option<&'static str>,
    /// Events that were acknowledged.
    events: u32,
    /// Events that arrived.
    arrived: u32,
    /// The fewest and the most requests that one event took.
    attempts: (u32, u32),
    /// Accepted requests beyond the first of each event.
    duplicates: u32,
    /// Requests, and how many of them had a signature that does not verify.
    requests: u32,
    unverified: u32,
    bytes_before: usize,
    bytes_after: usize,
    /// What is wrong with the first body that is not as it should be.
    wrong_body: Option<String>,
}

impl Row {
    /// Compares what was sent of one kind of event with what arrived of it.
    pub(super) fn new<'a>(
        (endpoint, plugin, shape): (&'static str, Option<&'static str>, Shape),
        seed: &Seed,
        arrivals: impl IntoIterator<Item = Option<&'a Arrival>>,
    ) -> Self {
        let mut row = Self {
            event_type: seed.event_type.clone(),
            endpoint,
            plugin,
            events: 0,
            arrived: 0,
            attempts: (u32::MAX, 0),
            duplicates: 0,
            requests: 0,
            unverified: 0,
            bytes_before: seed.text.get().len(),
            bytes_after: 0,
            wrong_body: None,
        };
        for arrival in arrivals {
            row.events += 1;
            let requests = arrival.map_or(0, |arrival| arrival.requests);
            row.attempts = (row.attempts.0.min(requests), row.attempts.1.max(requests));
            let Some(arrival) = arrival else { continue };
            row.requests += arrival.requests;
            row.unverified += arrival.unverified;
            if arrival.accepted == 0 {
                continue;
            }
            row.arrived += 1;
            row.duplicates += arrival.accepted - 1;
            row.bytes_after = arrival.body.len();
            if let Err(difference) = shape.check(seed.text.get(), &seed.value, &arrival.body) {
                row.wrong_body.get_or_insert(difference);
            }
        }
        row
    }

    /// What is wrong, if anything is.
    pub(super) fn problem(&self) -> Option<String> {
        let what = if self.arrived < self.events {
            format!("{} of {} did not arrive", self.events - self.arrived, self.events)
        } else if self.unverified > 0 {
            format!("{} of {} signatures do not verify", self.unverified, self.requests)
        } else {
            format!("the body is wrong: {}", self.wrong_body.as_ref()?)
        };
        Some(format!("{} at {}: {what}", self.event_type, self.endpoint))
    }

    pub(super) fn duplicates(&self) -> u32 {
        self.duplicates
    }

    fn cells(&self) -> [String; 8] {
        let (fewest, most) = self.attempts;
        let attempts = if fewest == most { most.to_string() } else { format!("{fewest}-{most}") };
        let status = match (self.arrived == self.events, self.duplicates) {
            (true, 0) => "delivered".to_owned(),
            (true, duplicates) => format!("delivered, {duplicates} again"),
            (false, _) => format!("{} missing", self.events - self.arrived),
        };
        let verified = match (self.requests, self.unverified) {
            (0, _) => "-".to_owned(),
            (requests, 0) => format!("yes, all {requests}"),
            (requests, unverified) => format!("NO, {unverified} of {requests}"),
        };
        let bytes = match (self.arrived, &self.wrong_body) {
            (0, _) => self.bytes_before.to_string(),
            (_, None) => format!("{} -> {}", self.bytes_before, self.bytes_after),
            (_, Some(_)) => format!("{} -> {} WRONG", self.bytes_before, self.bytes_after),
        };
        let plugin = self.plugin.unwrap_or("none").to_owned();
        let (event, endpoint) = (self.event_type.clone(), self.endpoint.to_owned());
        [event, endpoint, plugin, self.events.to_string(), attempts, status, verified, bytes]
    }
}

/// The rows of one system's endpoint.
pub(super) struct SystemRow {
    pub(super) system: &'static System,
    pub(super) rows: Vec<Row>,
}

impl SystemRow {
    fn cells(&self) -> [String; 6] {
        let sum = |count: fn(&Row) -> u32| self.rows.iter().map(count).sum::<u32>();
        let (events, arrived) = (sum(|row| row.events), sum(|row| row.arrived));
        let (requests, unverified) = (sum(|row| row.requests), sum(|row| row.unverified));
        let delivered =
            if arrived == events { "delivered".to_owned() } else { format!("{} missing", events - arrived) };
        let verified = match (requests, unverified) {
            (0, _) => "-".to_owned(),
            (_, 0) => format!("yes, all {requests}"),
            (_, unverified) => format!("NO, {unverified} of {requests}"),
        };
        let signature = self.system.signature.map_or("webhook-signature", |(header, _)| header);
        let (name, preset) = (self.system.name.to_owned(), self.system.preset.to_owned());
        [name, preset, events.to_string(), delivered, signature.to_owned(), verified]
    }
}

/// One line for each system.
pub(super) fn systems_table(systems: &[SystemRow]) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_BORDERS_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["system", "preset", "events", "status", "its signature", "verified"]);
    for system in systems {
        table.add_row(system.cells());
    }
    table.to_string()
}

/// All rows as a table.
pub(super) fn table(rows: &[Row]) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_BORDERS_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header([
        "event",
        "endpoint",
        "plugin",
        "events",
        "attempts",
        "status",
        "signature verified",
        "bytes before -> after",
    ]);
    for row in rows {
        table.add_row(row.cells().into_iter().enumerate().map(|(column, text)| {
            let numeric = NUMERIC_COLUMNS.contains(&column);
            Cell::new(text).set_alignment(if numeric { CellAlignment::Right } else { CellAlignment::Left })
        }));
    }
    table.to_string()
}

/// A body before and after, side by side.
pub(super) fn side_by_side(seed: &Seed, plugin: &str, body: &[u8]) -> String {
    let after = serde_json::from_slice(body)
        .map_or_else(|_| String::from_utf8_lossy(body).into_owned(), |value: Value| format!("{value:#}"));
    let mut table = Table::new();
    table.load_style(UTF8_BORDERS_ONLY);
    table.set_header([format!("{} as it was sent", seed.event_type), format!("what {plugin} made of it")]);
    table.add_row([beginning(&format!("{:#}", seed.value)), beginning(&after)]);
    table.to_string()
}

/// The first lines of a text, none of them long.
fn beginning(text: &str) -> String {
    const COLUMNS: usize = 64;
    let count = text.lines().count();
    let mut lines: Vec<String> = text.lines().take(BODY_LINES_SHOWN).map(|line| cut(line, COLUMNS)).collect();
    if count > BODY_LINES_SHOWN {
        lines.push(format!("({} more lines)", count - BODY_LINES_SHOWN));
    }
    lines.join("\n")
}

fn cut(line: &str, columns: usize) -> String {
    if line.chars().count() <= columns {
        return line.to_owned();
    }
    line.chars().take(columns - 3).chain("...".chars()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;

    fn seed() -> Seed {
        let text = RawValue::from_string("{\"a\":1}".into()).unwrap();
        Seed { event_type: "a.b".into(), value: serde_json::from_str(text.get()).unwrap(), text }
    }

    fn arrival(requests: u32, accepted: u32, unverified: u32, body: &'static str) -> Arrival {
        let mut arrival = Arrival::default();
        (arrival.requests, arrival.accepted, arrival.unverified) = (requests, accepted, unverified);
        arrival.body = body.into();
        arrival
    }

    #[test]
    fn a_row_tells_what_is_wrong() {
        let good = || Some(arrival(1, 1, 0, "{\"a\":1}"));
        let check = |arrivals: [Option<Arrival>; 2], cells: [&str; 4], problem: Option<&str>| {
            let row =
                Row::new(("archive", None, Shape::AsSent), &seed(), arrivals.iter().map(Option::as_ref));
            assert_eq!(row.cells()[4..], cells);
            assert_eq!(row.problem().as_deref(), problem);
        };
        check([good(), good()], ["1", "delivered", "yes, all 2", "7 -> 7"], None);
        let retried = Some(arrival(3, 1, 0, "{\"a\":1}"));
        check([good(), retried], ["1-3", "delivered", "yes, all 4", "7 -> 7"], None);
        let twice = Some(arrival(2, 2, 0, "{\"a\":1}"));
        check([good(), twice], ["1-2", "delivered, 1 again", "yes, all 3", "7 -> 7"], None);
        let problem = Some("a.b at archive: 1 of 2 did not arrive");
        check([good(), None], ["0-1", "1 missing", "yes, all 1", "7 -> 7"], problem);
        check([good(), Some(arrival(2, 0, 0, ""))], ["1-2", "1 missing", "yes, all 3", "7 -> 7"], problem);
        let problem = Some("a.b at archive: 1 of 3 signatures do not verify");
        check(
            [good(), Some(arrival(2, 1, 1, "{\"a\":1}"))],
            ["1-2", "delivered", "NO, 1 of 3", "7 -> 7"],
            problem,
        );
        let problem = Some("a.b at archive: the body is wrong: not the bytes that were sent");
        check(
            [good(), Some(arrival(1, 1, 0, "{}"))],
            ["1", "delivered", "yes, all 2", "7 -> 2 WRONG"],
            problem,
        );
    }

    #[test]
    fn a_long_body_is_cut() {
        let text = vec!["x".repeat(100); 30].join("\n");
        let shown = beginning(&text);
        assert_eq!(shown.lines().count(), BODY_LINES_SHOWN + 1);
        assert!(shown.lines().all(|line| line.chars().count() <= 64));
        assert!(shown.ends_with("(12 more lines)"));
        assert_eq!(beginning("short"), "short");
    }
}
