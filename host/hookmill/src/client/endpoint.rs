//! `hookmill endpoint`.

use clap::ValueEnum as _;
use http::Method;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::show::{Column, table};
use super::{Client, print};
use crate::cli::{Again, EndpointCommand, EndpointName, VerificationMethod};
use crate::failure::{Exit, Failure};

const COLUMNS: [Column; 5] = [
    Column("id", "/id"),
    Column("uid", "/uid"),
    Column("url", "/url"),
    Column("event types", "/eventTypes"),
    Column("state", "/state"),
];

const VERIFICATION_COLUMNS: [Column; 5] = [
    Column("verified", "/verified"),
    Column("method", "/method"),
    Column("state", "/state"),
    Column("why not", "/detail"),
    Column("what to do", "/diagnosis/remedies"),
];

const TASK_COLUMNS: [Column; 3] = [Column("id", "/id"), Column("task", "/task"), Column("status", "/status")];

pub(crate) async fn run(client: Client, json: bool, command: EndpointCommand) -> Result<(), Failure> {
    match command {
        EndpointCommand::Create {
            receiver,
            app,
            uid,
            types,
            verification,
            plugin,
            settings,
            reuse_instance,
            allow_origin,
        } => {
            let plugin_use = plugin
                .map(|plugin| plugin_use(plugin, settings, reuse_instance, allow_origin))
                .transpose()?;
            let event_types = (!types.is_empty()).then_some(types);
            let verification = verification.map(method_name);
            // In one request: an endpoint without its plugin would receive what the plugin keeps from it.
            let new =
                NewEndpoint { url: receiver, uid, event_types, verification, transformation: plugin_use };
            let created = client.call(Method::POST, &["app", &app, "endpoint"], Some(&new)).await?;
            print(json, &created, || table(&COLUMNS, std::slice::from_ref(&created), ""));
        }
        EndpointCommand::List { app } => {
            let items = client.list(&["app", &app, "endpoint"]).await?;
            let none = "no endpoints yet: make one with `hookmill endpoint create`";
            print(json, &Value::from(items.clone()), || table(&COLUMNS, &items, none));
        }
        EndpointCommand::Show(name) => change(&client, json, Method::GET, &name, &[], None).await?,
        EndpointCommand::Verify { endpoint, method } => {
            verify(&client, json, &endpoint, method.map(method_name)).await?;
        }
        EndpointCommand::Reactivate(name) => {
            change(&client, json, Method::POST, &name, &["reactivate"], None).await?;
        }
        EndpointCommand::Recover(again) => send_again(&client, json, &again, "recover").await?,
        EndpointCommand::ReplayMissing(again) => send_again(&client, json, &again, "replay-missing").await?,
        EndpointCommand::Enable(name) => {
            let enabled = json!({ "disabled": false });
            change(&client, json, Method::PATCH, &name, &[], Some(&enabled)).await?;
        }
        EndpointCommand::Disable(name) => {
            let disabled = json!({ "disabled": true });
            change(&client, json, Method::PATCH, &name, &[], Some(&disabled)).await?;
        }
        EndpointCommand::Secret { endpoint, app } => {
            let path = ["app", &app, "endpoint", &endpoint, "secret"];
            let secret = client.call::<Value>(Method::GET, &path, None).await?;
            print(json, &secret, || secret["key"].as_str().unwrap_or_default().to_owned());
        }
    }
    Ok(())
}

/// Starts a task in the background and shows it.
async fn send_again(client: &Client, json: bool, again: &Again, verb: &str) -> Result<(), Failure> {
    let path = ["app", &again.endpoint.app, "endpoint", &again.endpoint.endpoint, verb];
    let period = json!({ "since": again.since, "until": again.until });
    let task = client.call(Method::POST, &path, Some(&period)).await?;
    print(json, &task, || table(&TASK_COLUMNS, std::slice::from_ref(&task), ""));
    Ok(())
}

/// One request about an endpoint that is answered with the endpoint, which is shown.
async fn change(
    client: &Client,
    json: bool,
    method: Method,
    name: &EndpointName,
    verb: &[&str],
    body: Option<&Value>,
) -> Result<(), Failure> {
    let path = [&["app", &name.app, "endpoint", &name.endpoint][..], verb].concat();
    let endpoint = client.call(method, &path, body).await?;
    print(json, &endpoint, || table(&COLUMNS, std::slice::from_ref(&endpoint), ""));
    Ok(())
}

/// Sends the handshake and shows what came of it; one that was not passed is a failure.
async fn verify(
    client: &Client,
    json: bool,
    name: &EndpointName,
    method: Option<String>,
) -> Result<(), Failure> {
    let path = ["app", &name.app, "endpoint", &name.endpoint, "verify"];
    let report = client.call(Method::POST, &path, Some(&json!({ "method": method }))).await?;
    print(json, &report, || table(&VERIFICATION_COLUMNS, std::slice::from_ref(&report), ""));
    if report["verified"] == true {
        return Ok(());
    }
    let code = report["failureCode"].as_str().unwrap_or("not_verified").to_owned();
    let message = format!("the endpoint `{}` is not verified", name.endpoint);
    let hint = report["diagnosis"]["remedies"][0].as_str().unwrap_or("verify it again");
    Err(Failure::new(Exit::Failed, code, message).hint(hint))
}

/// The method's name in the API, which is that of the argument.
fn method_name(method: VerificationMethod) -> String {
    let value = method.to_possible_value();
    value.map(|value| value.get_name().to_owned()).unwrap_or_default()
}

/// An endpoint with all that it needs.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NewEndpoint {
    url: String,
    uid: Option<String>,
    event_types: Option<Vec<String>>,
    verification: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    transformation: Option<PluginUse>,
}

/// The part of a transformation that is set here; settings stay the text that came.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PluginUse {
    plugin: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    settings: Option<Box<RawValue>>,
    instance: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    allowed_origins: Vec<String>,
}

fn plugin_use(
    plugin: String,
    settings: Option<String>,
    reuse_instance: bool,
    allowed_origins: Vec<String>,
) -> Result<PluginUse, Failure> {
    let settings = settings.map(RawValue::from_string).transpose().map_err(|error| {
        Failure::new(Exit::Usage, "settings_not_json", format!("the settings are no JSON: {error}"))
    })?;
    let instance = if reuse_instance { "reused" } else { "fresh" };
    Ok(PluginUse { plugin, settings, instance, allowed_origins })
}
