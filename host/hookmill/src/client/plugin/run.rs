//! `hookmill plugin run`: what a plugin would do with an event, without delivering anything.

use std::borrow::Cow;
use std::path::Path;

use hookmill_core::json::{Document, Kind, Node};
use hookmill_core::limits::{EVENT_BODY_BYTES_MAX, TRANSFORM_SETTINGS_BYTES_MAX};
use hookmill_core::manifest::{
    Difference, Manifest, Sample, SampleReport, SampleRun, json_diff, settings_refusal,
};
use hookmill_core::plugin::{PluginDigest, PluginName, World};
use http::Method;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::component;
use super::local::LocalHost;
use super::project::Project;
use super::registry::read_plugin;
use super::report::{self, Paint};
use crate::cli::RunPlugin;
use crate::client::show::{line, pretty};
use crate::client::{Client, read_file, read_file_or_stdin};
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
        let question = given(world, event_type, &body, &settings, Some(&arguments.subject));
        (world, client.call_document(Method::POST, &["plugin", "run"], Some(&question)).await?)
    } else {
        let subject = Path::new(&arguments.subject);
        let component =
            if subject.is_dir() { component::read(&Project::open(subject)?)? } else { read_plugin(subject)? };
        let host = LocalHost::start()?;
        let prepared = host.prepare(component).await?;
        let world = prepared.facts.world;
        let input = given(world, event_type, &body, &settings, None);
        let manifest = manifest_of(prepared.facts.manifest.as_deref())?;
        (world, run_here(&host, prepared.digest, world, manifest.as_ref(), &input, &body).await?)
    };
    line(&if json { pretty(ran.root()) } else { shown(Paint::new(), ran.root()) });
    match failure_of(world, ran.root()) {
        Some((code, message)) => Err(Failure::new(Exit::Failed, code, message)),
        None => Ok(()),
    }
}

/// Why nothing would be delivered, where that is a failure: the run ended early, or the plugin gave the event up. That it
/// drops an event, or asks to be run again, is an answer like others; and to give an answer of a receiver up is what a
/// classifier is for.
fn failure_of(world: World, ran: Node<'_>) -> Option<(String, String)> {
    let text = |pointer: &str| text_at(ran, pointer).unwrap_or_default();
    if ran.get("outcome").is_none_or(|outcome| outcome.kind() == Kind::Null) {
        return Some((text("/failure/code"), text("/failure/message")));
    }
    let given_up = text_at(ran, "/outcome/fail").filter(|_| world == World::Transform)?;
    Some(("plugin_rejected".to_owned(), given_up))
}

fn text_at(node: Node<'_>, pointer: &str) -> Option<String> {
    node.pointer(pointer)?.text().map(Cow::into_owned)
}

fn manifest_of(text: Option<&[u8]>) -> Result<Option<Manifest>, Failure> {
    let manifest = text.map(Manifest::parse).transpose();
    manifest.map_err(|error| Failure::new(Exit::Failed, error.code(), format!("the manifest: {error}")))
}

/// Settings as they are given: JSON, or `@` and a file.
fn settings(text: &str) -> Result<Box<RawValue>, Failure> {
    let text = match text.strip_prefix('@') {
        Some(path) => read_file(Path::new(path), TRANSFORM_SETTINGS_BYTES_MAX, "settings_too_large")?,
        None => text.as_bytes().to_vec(),
    };
    serde_json::from_slice(&text)
        .map_err(|error| Failure::new(Exit::Usage, "settings_not_json", format!("--settings: {error}")))
}

/// A body as JSON where it is that, and as text where not: a key and JSON.
fn body_member(body: &[u8]) -> (&'static str, String) {
    let text = String::from_utf8_lossy(body);
    match serde_json::from_slice::<Value>(body) {
        Ok(_) => ("body", text.into_owned()),
        Err(_) => ("body_text", Value::from(text).to_string()),
    }
}

/// What the plugin is given, in the shape of a sample, with the plugin where one is named. Numbers keep their digits.
fn given(
    world: World,
    event_type: &str,
    body: &[u8],
    settings: &RawValue,
    plugin: Option<&str>,
) -> Box<RawValue> {
    let (key, rest) = match world {
        World::Transform => ("event", format!("\"type\":{},", Value::from(event_type))),
        World::Source => ("request", String::new()),
        World::Classifier => ("response", "\"status\":200,".to_owned()),
    };
    let (body_key, body) = body_member(body);
    let plugin = plugin.map(|plugin| format!("\"plugin\":{},", Value::from(plugin))).unwrap_or_default();
    let given = format!("{{{plugin}\"settings\":{settings},\"{key}\":{{{rest}\"{body_key}\":{body}}}}}");
    RawValue::from_string(given).expect("it is made of JSON")
}

async fn run_here(
    host: &LocalHost,
    digest: PluginDigest,
    world: World,
    manifest: Option<&Manifest>,
    input: &RawValue,
    body: &[u8],
) -> Result<Document, Failure> {
    let input = Document::parse(input.get().to_owned()).expect("it was read as JSON");
    // As on a server: settings are held to the schema, and each secret that the manifest wants is bound.
    let sample = Sample::input_only(&input, world, manifest)
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
    let mut text = ran.to_string();
    if let Some(outcome) = sample.draft_json(&run.report).and_then(|json| Document::parse(json).ok()) {
        let requests = outcome.root().get("deliver");
        let diff = differences(body, requests.and_then(|requests| requests.pointer("/0/body")));
        let requests = requests.map_or("[]", Node::json);
        text.truncate(text.len() - 1);
        text += &format!(",\"diff\":{diff},\"requests\":{requests},\"outcome\":{}}}", outcome.root().json());
    }
    Ok(Document::parse(text).expect("it is made of JSON"))
}

/// How the body of the first request differs from that of the event, where both are JSON: JSON, as the server's dry run
/// has it.
fn differences(before: &[u8], after: Option<Node<'_>>) -> String {
    let (Ok(before), Some(after)) = (Document::parse(before.to_vec()), after) else { return "[]".to_owned() };
    let one = |Difference { pointer, before, after }: &Difference| {
        let side = |name, json: &Option<Box<str>>| {
            json.as_ref().map(|json| format!(",\"{name}\":{json}")).unwrap_or_default()
        };
        let (before, after) = (side("before", before), side("after", after));
        format!("{{\"pointer\":{}{before}{after}}}", Value::from(pointer.as_str()))
    };
    let all: Vec<_> = json_diff(before.root(), after).iter().map(one).collect();
    format!("[{}]", all.join(","))
}

/// A run for people: requests, difference, cost, log.
fn shown(paint: Paint, ran: Node<'_>) -> String {
    let mut parts = Vec::new();
    let requests = ran.get("requests").into_iter().flat_map(Node::elements);
    parts.extend(requests.map(|request| request_text(paint, request)));
    if let (true, Some(outcome)) =
        (parts.is_empty(), ran.get("outcome").filter(|outcome| outcome.count() > 0))
    {
        parts.push(pretty(outcome));
    }
    let json = |node: Node<'_>, side| node.get(side).map(|value| value.compact().into());
    let difference = |node: Node<'_>| Difference {
        pointer: text_at(node, "/pointer").unwrap_or_default(),
        before: json(node, "before"),
        after: json(node, "after"),
    };
    let differences: Vec<_> = ran.get("diff").into_iter().flat_map(Node::elements).map(difference).collect();
    if !differences.is_empty() {
        parts.push(format!(
            "{}\n{}",
            paint.faint("against the event:"),
            report::differences(paint, &differences)
        ));
    }
    let value = |name| ran.get(name).and_then(|node| serde_json::from_str(node.json()).ok());
    let cost = ["fuel", "fuelShare", "wallMicros", "memoryPeakBytes", "logs"];
    let cost: Value = cost.map(|name| (name, value(name).unwrap_or(Value::Null))).into_iter().collect();
    let logs = report::logs(paint, &cost["logs"]);
    if !logs.is_empty() {
        parts.push(format!("{}\n{}", paint.faint("log:"), logs.join("\n")));
    }
    parts.push(report::cost(&cost));
    parts.join("\n\n")
}

fn request_text(paint: Paint, request: Node<'_>) -> String {
    let text = |pointer: &str| text_at(request, pointer).unwrap_or_default();
    let mut lines = vec![format!("{} {}", paint.green(&text("/method")), text("/url"))];
    for (name, value) in request.get("headers").into_iter().flat_map(Node::members) {
        let [name, value] = [name, value].map(|node| node.text().unwrap_or_default());
        lines.push(format!("{name}: {value}"));
    }
    match (request.get("body"), text_at(request, "/body_text")) {
        (Some(body), _) => lines.push(format!("\n{}", pretty(body))),
        (None, Some(text)) => lines.push(format!("\n{text}")),
        (None, None) => {}
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(json: &str) -> Document {
        Document::parse(json.to_owned()).unwrap()
    }

    #[test]
    fn every_world_is_given_what_was_pasted() {
        for world in World::ALL {
            for body in [&br#"{"id": 7}"#[..], b"no JSON"] {
                let input = given(world, "a.b", body, &settings("{}").unwrap(), None);
                let sample = Sample::input_only(&document(input.get()), world, None).unwrap();
                assert_eq!(sample.settings(), "{}", "{world}");
            }
        }
    }

    #[test]
    fn a_run_that_delivers_nothing_has_failed_where_that_is_no_answer() {
        let check = |world, ran: Value, expect: Option<&str>| {
            assert_eq!(
                failure_of(world, document(&ran.to_string()).root()).map(|(code, _)| code).as_deref(),
                expect,
                "{ran}"
            );
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
    fn a_run_is_shown_with_what_changed_digit_by_digit() {
        let body = document(r#"{"n":1.10,"i":1000000000000000000000}"#);
        let diff = differences(br#"{"id": 7.0, "i": 1000000000000000000001}"#, Some(body.root()));
        let ran = format!(
            r#"{{"outcome": {{"deliver": []}}, "requests": [{{"method": "POST", "url": "https://r.example/",
                "headers": {{"x-kind": "t"}}, "body": {}}}], "diff": {diff}, "fuel": 3, "fuelShare": 0.5,
                "wallMicros": 10, "memoryPeakBytes": 1024, "logs": [{{"level": "info", "message": "hello"}}]}}"#,
            body.root().json()
        );
        let text = shown(Paint::plain(), document(&ran).root());
        let expect = "POST https://r.example/\nx-kind: t\n\n{\n  \"n\": 1.10,\n  \"i\": 1000000000000000000000\n}\n\n\
                      against the event:\n- /id 7.0\n- /i 1000000000000000000001\n+ /i 1000000000000000000000\n+ /n 1.10\n\n\
                      log:\ninfo hello\n\nfuel 3 (50.00 % of the budget), 0.01 ms, 1 KiB";
        assert_eq!(text, expect);
        assert!(
            shown(Paint::plain(), document(r#"{"outcome": {"drop": "why"}}"#).root())
                .starts_with("{\n  \"drop\": \"why\"\n}")
        );
    }

    #[test]
    fn settings_come_as_text_or_from_a_file() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("settings.json");
        std::fs::write(&path, r#"{"a": 1.10}"#).unwrap();
        assert_eq!(settings(&format!("@{}", path.display())).unwrap().get(), r#"{"a": 1.10}"#);
        assert_eq!(settings("[]").unwrap().get(), "[]");
        assert_eq!(settings("{").unwrap_err().code, "settings_not_json");
    }
}
