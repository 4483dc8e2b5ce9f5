//! `hookmill import`: the endpoints of another system, made here.
//!
//! [`osmox`] and [`svix`] find out what there is, with what [`crate::import`] makes of it. An [`Import`] makes each thing
//! unless it is there, and keeps the report. Both servers are asked through a [`Patient`](patient::Patient) client.

mod osmox;
mod patient;
mod svix;

use http::{Method, StatusCode};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use self::patient::{Patient, Reply};
use super::show::{Column, table};
use super::{Client, print};
use crate::cli::ImportCommand;
use crate::failure::{Exit, Failure};
use crate::import::report::{Creation, Item, Outcome, Report};

const ITEM_COLUMNS: [Column; 7] = [
    Column("kind", "/kind"),
    Column("from", "/origin"),
    Column("uid", "/uid"),
    Column("url or name", "/subject"),
    Column("outcome", "/outcome"),
    Column("code", "/code"),
    Column("note", "/note"),
];
const TOTAL_COLUMNS: [Column; 6] = [
    Column("", "/kind"),
    Column("would make", "/would_make"),
    Column("made", "/made"),
    Column("there already", "/present"),
    Column("skipped", "/skipped"),
    Column("refused", "/refused"),
];

pub(crate) async fn run(client: Client, json: bool, command: ImportCommand) -> Result<(), Failure> {
    match command {
        ImportCommand::Osmox(arguments) => osmox::run(client, json, &arguments).await,
        ImportCommand::Svix(arguments) => svix::run(client, json, arguments).await,
    }
}

/// An import under way.
struct Import {
    target: Patient,
    json: bool,
    dry_run: bool,
    progress: ProgressBar,
    report: Report,
}

impl Import {
    fn new(client: Client, json: bool, dry_run: bool) -> Self {
        let progress = if json { ProgressBar::hidden() } else { ProgressBar::no_length() };
        Self { target: Patient::new(client), json, dry_run, progress, report: Report::new(json || dry_run) }
    }

    /// Begins to show how many things are done.
    fn count_things(&self, what: &'static str) {
        self.progress.reset();
        self.progress.set_style(
            ProgressStyle::with_template("{msg} {bar:30} {pos}/{len}").expect("a constant template"),
        );
        self.progress.set_message(what);
        self.progress.set_length(0);
    }

    /// Adds to the report what is done.
    fn add(&mut self, item: Item) {
        self.report.add(item);
        self.progress.inc(1);
    }

    /// Makes a thing, unless its uid is there; answers what became of it. The list has its things by uid below it.
    async fn make(&mut self, list: &[&str], creation: Creation) -> Result<Outcome, Failure> {
        let Creation { item, body } = creation;
        let item = if item.outcome == Outcome::Refused {
            item
        } else if self.target.find(&[list, &[&item.uid]].concat()).await?.is_some() {
            item.with(Outcome::Present)
        } else if self.dry_run {
            item
        } else {
            self.create(list, item, &body).await?
        };
        let outcome = item.outcome;
        self.add(item);
        Ok(outcome)
    }

    async fn create(&self, list: &[&str], item: Item, body: &Value) -> Result<Item, Failure> {
        match self.target.call(Method::POST, list, &[], Some(body)).await? {
            Reply::Done(_) => Ok(item.with(Outcome::Made)),
            // Somebody else was faster.
            Reply::Refused { status: StatusCode::CONFLICT, .. }
                if self.target.find(&[list, &[&item.uid]].concat()).await?.is_some() =>
            {
                Ok(item.with(Outcome::Present))
            }
            Reply::Refused { code, detail, .. } => Ok(item.refused(code, detail)),
        }
    }

    /// Shows the report, also of an import that was given up.
    fn finish(self, outcome: Result<(), Failure>) -> Result<(), Failure> {
        self.progress.finish_and_clear();
        let report = self.report;
        if outcome.is_ok() || report.total() > 0 {
            print(self.json, &report.to_json(), || shown(&report));
        }
        outcome?;
        match report.count(Outcome::Refused) {
            0 => Ok(()),
            refused => {
                let message =
                    format!("{refused} of {} can't be imported; the table says why", report.total());
                let hint = "put that right and import again: what is there is left as it is";
                Err(Failure::new(Exit::Failed, "import_incomplete", message).hint(hint))
            }
        }
    }
}

/// The report as a person sees it.
fn shown(report: &Report) -> String {
    let items = report.rows();
    let mut shown = if items.is_empty() { String::new() } else { table(&ITEM_COLUMNS, &items, "") + "\n" };
    if report.left_off() > 0 {
        shown += &format!("and {} more\n", report.left_off());
    }
    shown + &table(&TOTAL_COLUMNS, &report.totals(), "there is nothing to import")
}
