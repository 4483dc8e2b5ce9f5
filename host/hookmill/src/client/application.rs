//! `hookmill app`.

use http::Method;
use serde_json::{Value, json};

use super::show::{Column, table};
use super::{Client, print};
use crate::cli::AppCommand;
use crate::failure::Failure;

const COLUMNS: [Column; 4] =
    [Column("id", "/id"), Column("uid", "/uid"), Column("name", "/name"), Column("created", "/createdAt")];

pub(crate) async fn run(client: Client, json: bool, command: AppCommand) -> Result<(), Failure> {
    match command {
        AppCommand::Create { name, uid } => {
            let new = json!({ "name": name, "uid": uid });
            let created = client.call(Method::POST, &["app"], Some(&new)).await?;
            print(json, &created, || table(&COLUMNS, std::slice::from_ref(&created), ""));
        }
        AppCommand::List => {
            let items = client.list(&["app"]).await?;
            let none = "no applications yet: make one with `hookmill app create`";
            print(json, &Value::from(items.clone()), || table(&COLUMNS, &items, none));
        }
    }
    Ok(())
}
