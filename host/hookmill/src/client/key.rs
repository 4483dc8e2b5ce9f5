//! `hookmill key`.

use clap::ValueEnum as _;
use http::Method;
use serde_json::{Value, json};

use super::show::{Column, table};
use super::{Client, print};
use crate::cli::KeyCommand;
use crate::failure::Failure;

const COLUMNS: [Column; 5] = [
    Column("id", "/id"),
    Column("scope", "/scope"),
    Column("application", "/applicationId"),
    Column("label", "/label"),
    Column("created", "/createdAt"),
];

pub(crate) async fn run(client: Client, json: bool, command: KeyCommand) -> Result<(), Failure> {
    match command {
        KeyCommand::Create { scope, app, label } => {
            let scope = scope.to_possible_value();
            let scope = scope.as_ref().map(clap::builder::PossibleValue::get_name);
            let new = json!({ "scope": scope, "application": app, "label": label });
            let created = client.call(Method::POST, &["key"], Some(&new)).await?;
            print(json, &created, || {
                let key = created["key"].as_str().unwrap_or_default();
                let shown = table(&COLUMNS, std::slice::from_ref(&created), "");
                format!("{shown}\n\nkey (shown only now, keep it safe): {key}")
            });
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
