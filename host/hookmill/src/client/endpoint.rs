//! `hookmill endpoint`.

use http::Method;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::show::{Column, table};
use super::{Client, print};
use crate::cli::EndpointCommand;
use crate::failure::{Exit, Failure};

const COLUMNS: [Column; 5] = [
    Column("id", "/id"),
    Column("uid", "/uid"),
    Column("url", "/url"),
    Column("event types", "/eventTypes"),
    Column("disabled", "/disabled"),
];

pub(crate) async fn run(client: Client, json: bool, command: EndpointCommand) -> Result<(), Failure> {
    match command {
        EndpointCommand::Create { receiver, app, uid, types, plugin, settings } => {
            let plugin_use = plugin.map(|plugin| plugin_use(plugin, settings)).transpose()?;
            let event_types = (!types.is_empty()).then_some(types);
            let new = json!({ "url": receiver, "uid": uid, "eventTypes": event_types });
            let created = client.call(Method::POST, &["app", &app, "endpoint"], Some(&new)).await?;
            if let Some(plugin_use) = plugin_use {
                let id = created["id"].as_str().unwrap_or_default();
                let path = ["app", &app, "endpoint", id, "transformation"];
                client.call(Method::PATCH, &path, Some(&plugin_use)).await.map_err(|failure| {
                    failure.hint(format!("the endpoint {id} was created, without a plugin"))
                })?;
            }
            print(json, &created, || table(&COLUMNS, std::slice::from_ref(&created), ""));
        }
        EndpointCommand::List { app } => {
            let items = client.list(&["app", &app, "endpoint"]).await?;
            let none = "no endpoints yet: make one with `hookmill endpoint create`";
            print(json, &Value::from(items.clone()), || table(&COLUMNS, &items, none));
        }
        EndpointCommand::Secret { endpoint, app } => {
            let path = ["app", &app, "endpoint", &endpoint, "secret"];
            let secret = client.call::<Value>(Method::GET, &path, None).await?;
            print(json, &secret, || secret["key"].as_str().unwrap_or_default().to_owned());
        }
    }
    Ok(())
}

/// The part of a transformation that is set here; settings stay the text that came.
#[derive(Serialize)]
struct PluginUse {
    plugin: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    settings: Option<Box<RawValue>>,
}

fn plugin_use(plugin: String, settings: Option<String>) -> Result<PluginUse, Failure> {
    let settings = settings.map(RawValue::from_string).transpose().map_err(|error| {
        Failure::new(Exit::Usage, "settings_not_json", format!("the settings are no JSON: {error}"))
    })?;
    Ok(PluginUse { plugin, settings })
}
