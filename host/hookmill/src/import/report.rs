//! What became of each thing.

use std::collections::BTreeMap;

use hookmill_core::address::URL_BYTES_MAX;
use serde::Serialize;
use serde_json::{Value, json};

/// Bytes that are kept of a foreign text: a URL that can be delivered to is whole.
const TEXT_BYTES_MAX: usize = URL_BYTES_MAX;
/// Things that are kept to be shown; more are counted only.
const ITEMS_MAX: usize = 10_000;

/// What a thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// A kind of events.
    EventType,
    /// A tenant.
    Application,
    /// A destination.
    Endpoint,
}

/// What became of a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// It would be made; this is a dry run.
    WouldMake,
    /// It was made.
    Made,
    /// It was there already, and was left as it is.
    Present,
    /// It is not to be imported.
    Skipped,
    /// It can't be made.
    Refused,
}

/// A thing of the other system, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Item {
    pub(crate) kind: Kind,
    /// Where it comes from: an id, or a line of a dump.
    pub(crate) origin: String,
    pub(crate) uid: String,
    /// Its URL or its name.
    pub(crate) subject: String,
    pub(crate) outcome: Outcome,
    /// The stable code of a refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) code: Option<String>,
    /// What a person has to know or do.
    pub(crate) note: String,
}

/// A thing to be made, unless its uid is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Creation {
    /// How the report names it.
    pub(crate) item: Item,
    /// What makes it.
    pub(crate) body: Value,
}

/// All that was found: everything in numbers, and the things that are to be shown.
#[derive(Debug)]
pub(crate) struct Report {
    shows_all: bool,
    counts: BTreeMap<(Kind, Outcome), usize>,
    items: Vec<Item>,
    left_off: usize,
}

impl Kind {
    const ALL: [Self; 3] = [Self::EventType, Self::Application, Self::Endpoint];

    fn plural(self) -> &'static str {
        match self {
            Self::EventType => "event types",
            Self::Application => "applications",
            Self::Endpoint => "endpoints",
        }
    }
}

impl Item {
    /// A thing that is to be made.
    pub(crate) fn new(
        kind: Kind,
        origin: impl Into<String>,
        uid: impl Into<String>,
        subject: impl Into<String>,
    ) -> Self {
        Self {
            kind,
            origin: origin.into(),
            uid: uid.into(),
            subject: subject.into(),
            outcome: Outcome::WouldMake,
            code: None,
            note: String::new(),
        }
    }

    /// The same, left out for this reason.
    pub(crate) fn skipped(self, note: impl Into<String>) -> Self {
        Self { outcome: Outcome::Skipped, note: note.into(), ..self }
    }

    /// The same, refused.
    pub(crate) fn refused(self, code: impl Into<String>, note: impl Into<String>) -> Self {
        Self { outcome: Outcome::Refused, code: Some(code.into()), note: note.into(), ..self }
    }

    /// The same with another outcome.
    pub(crate) fn with(self, outcome: Outcome) -> Self {
        Self { outcome, ..self }
    }

    fn printable(self) -> Self {
        let Self { kind, origin, uid, subject, outcome, code, note } = self;
        let [origin, uid, subject, note] = [origin, uid, subject, note].map(printable);
        Self { kind, origin, uid, subject, outcome, code: code.map(printable), note }
    }

    /// Whether someone has to look at it.
    fn is_notable(&self) -> bool {
        !self.note.is_empty() || matches!(self.outcome, Outcome::Skipped | Outcome::Refused)
    }
}

impl Report {
    /// A report that shows everything, or what someone has to look at.
    pub(crate) fn new(shows_all: bool) -> Self {
        Self { shows_all, counts: BTreeMap::new(), items: Vec::new(), left_off: 0 }
    }

    pub(crate) fn add(&mut self, item: Item) {
        *self.counts.entry((item.kind, item.outcome)).or_default() += 1;
        if !(self.shows_all || item.is_notable()) {
            return;
        }
        if self.items.len() < ITEMS_MAX {
            self.items.push(item.printable());
        } else {
            self.left_off += 1;
        }
    }

    /// How many things have this outcome.
    pub(crate) fn count(&self, outcome: Outcome) -> usize {
        self.counts.iter().filter(|((_, counted), _)| *counted == outcome).map(|(_, count)| count).sum()
    }

    /// How many things there are.
    pub(crate) fn total(&self) -> usize {
        self.counts.values().sum()
    }

    /// The things that are shown, one row each.
    pub(crate) fn rows(&self) -> Vec<Value> {
        self.items.iter().map(|item| serde_json::to_value(item).unwrap_or_default()).collect()
    }

    /// Things that would be shown and are too many.
    pub(crate) fn left_off(&self) -> usize {
        self.left_off
    }

    /// The numbers of each kind that there is.
    pub(crate) fn totals(&self) -> Vec<Value> {
        let kinds =
            Kind::ALL.into_iter().filter(|kind| self.counts.keys().any(|(counted, _)| counted == kind));
        kinds
            .map(|kind| {
                let count = |outcome: Outcome| self.counts.get(&(kind, outcome)).copied().unwrap_or_default();
                json!({
                    "kind": kind.plural(),
                    "would_make": count(Outcome::WouldMake),
                    "made": count(Outcome::Made),
                    "present": count(Outcome::Present),
                    "skipped": count(Outcome::Skipped),
                    "refused": count(Outcome::Refused),
                })
            })
            .collect()
    }

    /// The whole report, for programs.
    pub(crate) fn to_json(&self) -> Value {
        json!({ "totals": self.totals(), "items": self.rows(), "left_off": self.left_off })
    }
}

/// Foreign text can move a terminal's cursor; here it can't, and it is bounded.
fn printable(mut text: String) -> String {
    if text.len() > TEXT_BYTES_MAX {
        text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
        text.push_str("...");
    }
    text.replace(char::is_control, "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(kind: Kind, outcome: Outcome, note: &str) -> Item {
        Item { outcome, note: note.into(), ..Item::new(kind, "line 1", "u", "https://a.example/") }
    }

    fn report(shows_all: bool) -> Report {
        let mut report = Report::new(shows_all);
        report.add(item(Kind::Endpoint, Outcome::Made, ""));
        report.add(item(Kind::Endpoint, Outcome::Made, "header x is to be set by hand"));
        report.add(item(Kind::Endpoint, Outcome::Present, ""));
        report.add(item(Kind::Endpoint, Outcome::Skipped, "inactive"));
        report.add(item(Kind::Application, Outcome::Made, "").refused("url_invalid", "no URL"));
        report
    }

    #[test]
    fn everything_is_counted_and_what_is_notable_is_shown() {
        for shows_all in [false, true] {
            let report = report(shows_all);
            let counts = [Outcome::Made, Outcome::Refused].map(|outcome| report.count(outcome));
            assert_eq!((report.total(), counts), (5, [2, 1]));
            let totals = report.totals();
            let applications = json!({
                "kind": "applications", "would_make": 0, "made": 0, "present": 0, "skipped": 0, "refused": 1,
            });
            assert_eq!((totals.len(), &totals[0]), (2, &applications));
            assert_eq!((&totals[1]["made"], &totals[1]["present"]), (&json!(2), &json!(1)));
        }
        assert_eq!(report(true).rows().len(), 5);
        let notes: Vec<_> = report(false).rows().iter().map(|row| row["note"].clone()).collect();
        assert_eq!(notes, ["header x is to be set by hand", "inactive", "no URL"]);
        assert_eq!(report(false).to_json()["items"][2]["code"], "url_invalid");
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut report = Report::new(true);
        for _ in 0..=ITEMS_MAX {
            report.add(item(Kind::Endpoint, Outcome::Made, ""));
        }
        assert_eq!((report.rows().len(), report.left_off(), report.total()), (ITEMS_MAX, 1, ITEMS_MAX + 1));
    }

    #[test]
    fn foreign_text_does_nothing_to_a_terminal() {
        let mut hostile = item(Kind::Endpoint, Outcome::Skipped, "\u{1b}[2J\nx");
        hostile.subject = "ä".repeat(TEXT_BYTES_MAX);
        let mut report = Report::new(false);
        report.add(hostile);
        let [shown] = &report.rows()[..] else { panic!("{report:?}") };
        assert_eq!(shown["note"], "\u{fffd}[2J\u{fffd}x");
        assert_eq!(shown["subject"].as_str().unwrap().len(), TEXT_BYTES_MAX + 3);
    }
}
