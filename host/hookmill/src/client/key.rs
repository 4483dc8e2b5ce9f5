//! `hookmill key`.

use clap::ValueEnum as _;
use hookmill_app::administer::key::KEY_CHARS_MAX;
use http::Method;
use serde_json::{Value, json};

use super::show::{Column, table};
use super::{Client, print, read_file_or_stdin};
use crate::cli::{KeyCommand, KeyScope};
use crate::failure::{Exit, Failure};

const COLUMNS: [Column; 5] = [
    Column("id", "/id"),
    Column("scope", "/scope"),
    Column("application", "/applicationId"),
    Column("label", "/label"),
    Column("created", "/createdAt"),
];

/// `\r\n`, which text in a file may end with.
const LINE_END_BYTES_MAX: usize = 2;

pub(crate) async fn run(client: Client, json: bool, command: KeyCommand) -> Result<(), Failure> {
    match command {
        KeyCommand::Create { scope, app, label } => {
            let new = json!({ "scope": name(scope), "application": app, "label": label });
            let created = client.call(Method::POST, &["key"], Some(&new)).await?;
            print(json, &created, || {
                let key = created["key"].as_str().unwrap_or_default();
                let shown = table(&COLUMNS, std::slice::from_ref(&created), "");
                format!("{shown}\n\nkey (shown only now, keep it safe): {key}")
            });
        }
        KeyCommand::Import { file, scope, app, label, allow_short } => {
            let text = read_file_or_stdin(&file, KEY_CHARS_MAX + LINE_END_BYTES_MAX, "key_length_invalid")?;
            let text = String::from_utf8(text).map_err(|_| {
                Failure::new(Exit::Failed, "key_characters_invalid", "a key is visible ASCII without spaces")
            })?;
            let new = json!({
                "scope": name(scope), "application": app, "label": label,
                "key": text.trim_end_matches(['\r', '\n']), "allowShort": allow_short,
            });
            let imported = client.call(Method::POST, &["key"], Some(&new)).await?;
            print(json, &imported, || table(&COLUMNS, std::slice::from_ref(&imported), ""));
        }
        KeyCommand::List => {
            let items = client.list(&["key"]).await?;
            print(json, &Value::from(items.clone()), || table(&COLUMNS, &items, "no keys"));
        }
        KeyCommand::Delete { id } => {
            let deleted = client.call::<Value>(Method::DELETE, &["key", &id], None).await?;
            print(json, &deleted, || format!("deleted {id}"));
        }
    }
    Ok(())
}

/// The scope as the API has it.
fn name(scope: KeyScope) -> Option<String> {
    scope.to_possible_value().map(|value| value.get_name().to_owned())
}
