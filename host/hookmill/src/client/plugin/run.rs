//! `hookmill plugin run`: what a plugin would do with an event, without delivering anything.

use std::path::Path;

use hookmill_core::limits::{EVENT_BODY_BYTES_MAX, TRANSFORM_SETTINGS_BYTES_MAX};
use hookmill_core::manifest::{
    Difference, Manifest, Sample, SampleReport, SampleRun, json_diff, settings_refusal,
};
use hookmill_core::plugin::{PluginDigest, PluginName, World};
use http::Method;
use serde_json::{Value, json};

use super::component;
use super::local::LocalHost;
use super::project::Project;
use super::registry::read_plugin;
use super::report::{self, Paint};
use crate::cli::RunPlugin;
use crate::client::{Client, print, read_file, read_file_or_stdin};
use crate::failure::{Exit, Failure};

/// Runs a plugin of the server there, and one of this machine here.
///
/// # Errors
/// There is no such plugin, it was not given what it takes, or it ended in a fault.
pub(super) async fn run(client: &Client, json: bool, arguments: RunPlugin) -> Result<(), Failure> {
    let body = read_file_or_stdin(&arguments.event, EVENT_BODY_BYTES_MAX, "event_body_too_large")?;
    let settings = settings(&arguments.settings)?;
    let event_type = arguments.event_type.as_str();
    let is_name = arguments.subject.parse::<PluginName>().is_ok();
    let (world, ran) = if is_name && !arguments.local {
        let plugin = client.call::<Value>(Method::GET, &["plugin", &arguments.subject], None).await?;
        let world = plugin["world"].as_str().and_then(|world| world.parse().ok()).unwrap_or(World::Transform);
        let mut question = given(world, event_type, &body, &settings);
        question["plugin"] = arguments.subject.into();
        (world, client.call(Method::POST, &["plugin", "run"], Some(&question)).await?)
    } else {
        let subject = Path::new(&arguments.subject);
        let component =
            if subject.is_dir() { component::read(&Project::open(subject)?)? } else { read_plugin(subject)? };
        let host = LocalHost::start()?;
        let prepared = host.prepare(component).await?;
        let world = prepared.facts.world;
        let input = given(world, event_type, &body, &settings);
        let manifest = manifest_of(prepared.facts.manifest.as_deref())?;
        (world, run_here(&host, prepared.digest, world, manifest.as_ref(), &input, &body).await?)
    };
    print(json, &ran, || shown(Paint::new(), &ran));
    match failure_of(world, &ran) {
        Some((code, message)) => Err(Failure::new(Exit::Failed, code, message)),
        None => Ok(()),
    }
}

/// Why nothing would be delivered, where that is a failure: the run ended early, or the plugin gave the event up. That it
/// drops an event, or asks to be run again, is an answer like others; and to give an answer of a receiver up is what a
/// classifier is for.
fn failure_of(world: World, ran: &Value) -> Option<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    if ran["outcome"].is_null() {
        return Some((text(&ran["failure"]["code"]), text(&ran["failure"]["message"])));
    }
    let given_up = ran["outcome"].get("fail").filter(|_| world == World::Transform)?;
    Some(("plugin_rejected".to_owned(), text(given_up)))
}

fn manifest_of(text: Option<&[u8]>) -> Result<Option<Manifest>, Failure> {
    let manifest = text.map(Manifest::parse).transpose();
    manifest.map_err(|error| Failure::new(Exit::Failed, error.code(), format!("the manifest: {error}")))
}

/// Settings as they are given: JSON, or `@` and a file.
fn settings(text: &str) -> Result<Value, Failure> {
    let text = match text.strip_prefix('@') {
        Some(path) => read_file(Path::new(path), TRANSFORM_SETTINGS_BYTES_MAX, "settings_too_large")?,
        None => text.as_bytes().to_vec(),
    };
    serde_json::from_slice(&text)
        .map_err(|error| Failure::new(Exit::Usage, "settings_not_json", format!("--settings: {error}")))
}

/// A body as JSON where it is that, and as text where not.
fn insert_body(object: &mut Value, body: &[u8]) {
    match serde_json::from_slice::<Value>(body) {
        Ok(body) => object["body"] = body,
        Err(_) => object["body_text"] = String::from_utf8_lossy(body).into(),
    }
}

/// What the plugin is given, in the shape of a sample.
fn given(world: World, event_type: &str, body: &[u8], settings: &Value) -> Value {
    let (key, mut carrier) = match world {
        World::Transform => ("event", json!({ "type": event_type })),
        World::Source => ("request", json!({})),
        World::Classifier => ("response", json!({ "status": 200 })),
    };
    insert_body(&mut carrier, body);
    json!({ "settings": settings, key: carrier })
}

async fn run_here(
    host: &LocalHost,
    digest: PluginDigest,
    world: World,
    manifest: Option<&Manifest>,
    input: &Value,
    body: &[u8],
) -> Result<Value, Failure> {
    let input = input.as_object().expect("it was made as one");
    // As on a server: settings are held to the schema, and each secret that the manifest wants is bound.
    let sample = Sample::input_only(input, world, manifest)
        .map_err(|error| Failure::new(Exit::Usage, error.code(), error.to_string()))?;
    if let Some(check) = sample.settings_check(digest, manifest)
        && let SampleReport::Transform(report) = host.run(SampleRun::Transform(check)).await.report
        && let Some(refusal) = settings_refusal(&report)
    {
        let message = format!("the plugin can't work with these settings: {refusal}");
        return Err(Failure::new(Exit::Failed, "settings_refused", message));
    }
    let run = host.run(sample.run(digest)).await;
    let mut ran = run.to_json();
    if let Some(fault) = run.fault() {
        ran["failure"] = json!({ "code": fault.code(), "message": fault.detail() });
    }
    if let Some(outcome) = sample.draft_expectation(&run.report) {
        let requests = outcome["deliver"].as_array().cloned().unwrap_or_default();
        ran["diff"] = differences(body, requests.first());
        ran["requests"] = requests.into();
        ran["outcome"] = outcome;
    }
    Ok(ran)
}

/// How the body of the first request differs from that of the event, where both are JSON.
fn differences(before: &[u8], request: Option<&Value>) -> Value {
    let (Ok(before), Some(after)) =
        (serde_json::from_slice::<Value>(before), request.and_then(|request| request.get("body")))
    else {
        return json!([]);
    };
    let one = |difference: &Difference| {
        let mut place = json!({ "pointer": difference.pointer });
        for (key, value) in [("before", &difference.before), ("after", &difference.after)] {
            if let Some(value) = value {
                place[key] = value.clone();
            }
        }
        place
    };
    json_diff(&before, after).iter().map(one).collect()
}

/// A run for people: requests, difference, cost, log.
fn shown(paint: Paint, ran: &Value) -> String {
    let mut parts = Vec::new();
    let requests = ran["requests"].as_array().map(Vec::as_slice).unwrap_or_default();
    for request in requests {
        parts.push(request_text(paint, request));
    }
    if requests.is_empty() && ran["outcome"].is_object() {
        parts.push(format!("{:#}", ran["outcome"]));
    }
    if let Some(differences) = ran["diff"].as_array().filter(|found| !found.is_empty()) {
        parts.push(format!(
            "{}\n{}",
            paint.faint("against the event:"),
            report::differences(paint, differences)
        ));
    }
    let logs = report::logs(paint, &ran["logs"]);
    if !logs.is_empty() {
        parts.push(format!("{}\n{}", paint.faint("log:"), logs.join("\n")));
    }
    parts.push(report::cost(ran));
    parts.join("\n\n")
}

fn request_text(paint: Paint, request: &Value) -> String {
    let text = |key: &str| request[key].as_str().unwrap_or_default();
    let mut lines = vec![format!("{} {}", paint.green(text("method")), text("url"))];
    for (name, value) in request["headers"].as_object().into_iter().flatten() {
        lines.push(format!("{name}: {}", value.as_str().unwrap_or_default()));
    }
    match (request.get("body"), request.get("body_text").and_then(Value::as_str)) {
        (Some(body), _) => lines.push(format!("\n{body:#}")),
        (None, Some(text)) => lines.push(format!("\n{text}")),
        (None, None) => {}
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_world_is_given_what_was_pasted() {
        for world in World::ALL {
            for body in [&br#"{"id": 7}"#[..], b"no JSON"] {
                let input = given(world, "a.b", body, &json!({}));
                let sample = Sample::input_only(input.as_object().unwrap(), world, None).unwrap();
                assert_eq!(sample.settings(), "{}", "{world}");
            }
        }
    }

    #[test]
    fn a_run_that_delivers_nothing_has_failed_where_that_is_no_answer() {
        let check = |world, ran: Value, expect: Option<&str>| {
            assert_eq!(failure_of(world, &ran).map(|(code, _)| code).as_deref(), expect, "{ran}");
        };
        check(World::Transform, json!({"outcome": {"deliver": []}}), None);
        check(World::Transform, json!({"outcome": {"drop": "why"}}), None);
        check(World::Transform, json!({"outcome": {"retry": "why"}}), None);
        check(World::Transform, json!({"outcome": {"fail": "why"}}), Some("plugin_rejected"));
        check(World::Classifier, json!({"outcome": {"fail": "why"}}), None);
        check(
            World::Source,
            json!({"outcome": null, "failure": {"code": "plugin_trap"}}),
            Some("plugin_trap"),
        );
    }

    #[test]
    fn a_run_is_shown_with_what_changed() {
        let ran = json!({
            "outcome": {"deliver": []},
            "requests": [{"method": "POST", "url": "https://r.example/", "headers": {"x-kind": "t"}, "body": {"n": 1}}],
            "diff": differences(br#"{"id": 7}"#, Some(&json!({"body": {"n": 1}}))),
            "fuel": 3, "fuelShare": 0.5, "wallMicros": 10, "memoryPeakBytes": 1024,
            "logs": [{"level": "info", "message": "hello"}],
        });
        let text = shown(Paint::plain(), &ran);
        let expect = "POST https://r.example/\nx-kind: t\n\n{\n  \"n\": 1\n}\n\nagainst the event:\n- /id 7\n+ /n 1\n\n\
                      log:\ninfo hello\n\nfuel 3 (50.00 % of the budget), 0.01 ms, 1 KiB";
        assert_eq!(text, expect);
        assert!(
            shown(Paint::plain(), &json!({"outcome": {"drop": "why"}}))
                .starts_with("{\n  \"drop\": \"why\"\n}")
        );
    }

    #[test]
    fn settings_come_as_text_or_from_a_file() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("settings.json");
        std::fs::write(&path, r#"{"a": 1}"#).unwrap();
        assert_eq!(settings(&format!("@{}", path.display())).unwrap(), json!({"a": 1}));
        assert_eq!(settings("[]").unwrap(), json!([]));
        assert_eq!(settings("{").unwrap_err().code, "settings_not_json");
    }
}
