//! `hookmill import osmox`.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::Import;
use crate::cli::ImportOsmox;
use crate::client::Client;
use crate::failure::{Exit, Failure};
use crate::import::osmox::{self, Plan};
use crate::import::report::{Creation, Item, Kind, Outcome};

/// Bytes that are read at once.
const BUFFER_BYTES: usize = 256 << 10;

pub(super) async fn run(client: Client, json: bool, arguments: &ImportOsmox) -> Result<(), Failure> {
    let mut import = Import::new(client, json, arguments.dry_run);
    let webhooks = read(&arguments.mysql_dump, &import.progress);
    // A bar that is left would stand beside what is told.
    import.progress.finish_and_clear();
    let plan = osmox::plan(&webhooks?, arguments.include_inactive);
    let outcome = carry_out(&mut import, plan, arguments.app.as_str()).await;
    import.finish(outcome)
}

async fn carry_out(import: &mut Import, plan: Plan, app: &str) -> Result<(), Failure> {
    import.count_things("endpoints");
    import.progress.set_length(1 + (plan.endpoints.len() + plan.left_out.len()) as u64);
    let item = Item::new(Kind::Application, osmox::TABLE, app, "OsmoX");
    let application = Creation { item, body: json!({ "name": "OsmoX", "uid": app }) };
    let is_there = import.make(&["app"], application).await? != Outcome::Refused;
    for item in plan.left_out {
        import.add(item);
    }
    for endpoint in plan.endpoints.into_iter().filter(|_| is_there) {
        let _ = import.make(&["app", app, "endpoint"], endpoint).await?;
    }
    Ok(())
}

fn read(dump: &Path, progress: &ProgressBar) -> Result<Vec<osmox::Webhook>, Failure> {
    let not_readable = |error: std::io::Error| {
        let message = format!("{} can't be read: {error}", dump.display());
        Failure::new(Exit::Failed, "file_not_readable", message)
    };
    progress.set_message("reading");
    let source: Box<dyn Read> = if dump == Path::new("-") {
        progress.set_style(ProgressStyle::with_template("{msg} {bytes}").expect("a constant template"));
        Box::new(std::io::stdin().lock())
    } else {
        let file = File::open(dump).map_err(not_readable)?;
        progress.set_length(file.metadata().map_err(not_readable)?.len());
        progress.set_style(
            ProgressStyle::with_template("{msg} {bar:30} {bytes}/{total_bytes}")
                .expect("a constant template"),
        );
        Box::new(file)
    };
    let source = BufReader::with_capacity(BUFFER_BYTES, progress.wrap_read(source));
    osmox::read(source).map_err(|error| {
        let message = format!("{}: {error}", dump.display());
        Failure::new(Exit::Failed, error.code(), message).hint(error.hint())
    })
}
