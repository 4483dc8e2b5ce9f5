//! `hookmill plugin test`: the samples of a manifest, run as the server runs them when the plugin is uploaded.

use std::path::Path;

use bytes::Bytes;
use hookmill_core::json::{Document, Node};
use hookmill_core::manifest::{Difference, MANIFEST_BYTES_MAX, Manifest, Sample};
use serde_json::{Value, json};

use super::local::{LocalHost, LocalRun};
use super::project::{Project, parse_manifest};
use super::registry::read_plugin;
use super::report::{self, Paint};
use super::{component, not_written, note};
use crate::client::show::pretty;
use crate::client::{print, read_file};
use crate::failure::{Exit, Failure};

/// What carries a body in an expectation; one of them is always compared.
const BODY_KEYS: [&str; 2] = ["body", "body_text"];

/// A plugin and the samples that it is held to.
struct Subject {
    component: Bytes,
    manifest: Manifest,
    /// Where the samples can be rewritten.
    project: Option<Project>,
}

/// Runs all samples; with `update` writes what came of them into `plugin.json`.
///
/// # Errors
/// A sample gives something else than it expects, or there is no plugin to run.
pub(super) async fn test(json: bool, subject: &Path, update: bool) -> Result<(), Failure> {
    let Subject { component, manifest, project } = open(subject)?;
    if manifest.samples.is_empty() {
        return Err(Failure::new(
            Exit::Failed,
            "samples_missing",
            format!("{} has no samples", manifest.name),
        )
        .hint("add some to plugin.json: the README of plugins/ shows how"));
    }
    let host = LocalHost::start()?;
    let prepared = host.prepare(component).await?;
    let mut runs = Vec::new();
    for sample in &manifest.samples {
        runs.push(host.run(sample.run(prepared.digest)).await);
    }
    let results: Vec<Value> =
        manifest.samples.iter().zip(&runs).map(|(sample, run)| judged(sample, run)).collect();
    print(json, &json!({ "plugin": manifest.name.as_str(), "samples": results }), || {
        let paint = Paint::new();
        results.iter().map(|result| shown(paint, result)).collect::<Vec<_>>().join("\n")
    });
    let failed = results.iter().filter(|result| result["ok"] == false).count();
    match (failed, update) {
        (0, _) => Ok(()),
        (_, true) => rewrite(&project_of(project, subject)?, &manifest.samples, &runs),
        (failed, false) => {
            let message = format!("{failed} of {} samples differ from what they expect", results.len());
            Err(Failure::new(Exit::Failed, "samples_failed", message)
                .hint("mend the plugin and build it again, or accept what it does now with --update"))
        }
    }
}

/// A project's samples are those of its `plugin.json`, a component's those that it carries.
fn open(subject: &Path) -> Result<Subject, Failure> {
    if subject.is_dir() {
        let project = Project::open(subject)?;
        let component = component::read(&project)?;
        return Ok(Subject { component, manifest: project.manifest.clone(), project: Some(project) });
    }
    let component = read_plugin(subject)?;
    let text = component::manifest_in(&component)?.ok_or_else(|| {
        let message = format!("{} carries no manifest, hence no samples", subject.display());
        Failure::new(Exit::Failed, "manifest_missing", message)
            .hint("`hookmill plugin build` puts plugin.json into what it builds")
    })?;
    let manifest = parse_manifest(&text, &subject.display().to_string())?;
    Ok(Subject { component, manifest, project: None })
}

fn project_of(project: Option<Project>, subject: &Path) -> Result<Project, Failure> {
    project.ok_or_else(|| {
        let message = format!("{} is no project, so there is no plugin.json to update", subject.display());
        Failure::new(Exit::Usage, "project_missing", message).hint("give the project's folder")
    })
}

/// What came of one sample, for programs; for people [`shown`] makes lines of it.
fn judged(sample: &Sample, run: &LocalRun) -> Value {
    let mut result = run.to_json();
    result["name"] = sample.name.as_str().into();
    match (run.fault(), sample.judge(&run.report)) {
        (Some(fault), _) => {
            result["ok"] = false.into();
            result["failure"] = json!({ "code": fault.code(), "message": fault.detail() });
        }
        (None, Err(difference)) => {
            result["ok"] = false.into();
            result["difference"] = difference.to_json();
        }
        (None, Ok(())) => result["ok"] = true.into(),
    }
    result
}

fn shown(paint: Paint, result: &Value) -> String {
    let verdict = if result["ok"] == true { paint.green("ok  ") } else { paint.red("FAIL") };
    let name = result["name"].as_str().unwrap_or_default();
    let mut lines = vec![format!("{verdict} {name}  {}", paint.faint(&report::cost(result)))];
    if let Some(failure) = result.get("failure") {
        let text = |key: &str| failure[key].as_str().unwrap_or_default();
        lines.extend(
            format!("{}: {}", text("code"), text("message")).lines().map(|line| format!("     {line}")),
        );
    }
    if let Some(places) = result["difference"]["differences"].as_array() {
        // What was expected is what a difference calls before, and what was found is after.
        let side = |place: &Value, side: &str| place.get(side).map(|value| value.to_string().into());
        let place = |place: &Value| Difference {
            pointer: place["pointer"].as_str().unwrap_or_default().to_owned(),
            before: side(place, "expected"),
            after: side(place, "found"),
        };
        let places: Vec<Difference> = places.iter().map(place).collect();
        lines.extend(report::differences(paint, &places).lines().map(|line| format!("     {line}")));
    }
    if result["ok"] == false {
        lines.extend(report::logs(paint, &result["logs"]).iter().map(|line| format!("     {line}")));
    }
    lines.join("\n")
}

/// Writes what the runs gave into the project's manifest, as far as the samples compared it before.
fn rewrite(project: &Project, samples: &[Sample], runs: &[LocalRun]) -> Result<(), Failure> {
    let path = project.manifest_file();
    let text = read_file(&path, MANIFEST_BYTES_MAX, "manifest_too_long")?;
    let document = Document::parse(text).expect("it was read as a manifest");
    let mut expected = Vec::new();
    for (index, (sample, run)) in samples.iter().zip(runs).enumerate() {
        let draft = sample.draft_expectation(&run.report).ok_or_else(|| {
            let message = format!("the sample `{}` ends in a fault, which can't be expected", sample.name);
            Failure::new(Exit::Failed, "samples_failed", message).hint("mend the plugin and build it again")
        })?;
        let old = document.root().pointer(&format!("/samples/{index}/expect"));
        let old = old.and_then(|old| serde_json::from_str(old.json()).ok()).unwrap_or_default();
        expected.push(sample.outcome_json(&narrowed(draft, &old), &run.report));
    }
    let text = rewritten(document.root(), &expected);
    std::fs::write(&path, text).map_err(|error| not_written(&path, &error))?;
    note(&format!("wrote {}; build again, so that the plugin carries it", path.display()));
    Ok(())
}

/// A manifest whose samples expect this, JSON text each. All else stays as its author wrote it, but for the blanks.
fn rewritten(manifest: Node<'_>, expected: &[String]) -> String {
    let object = |node: Node<'_>, value_of: &dyn Fn(&str, Node<'_>) -> String| {
        let member = |(name, value): (Node<'_>, Node<'_>)| {
            format!("{}:{}", name.json(), value_of(&name.text().unwrap_or_default(), value))
        };
        format!("{{{}}}", node.members().map(member).collect::<Vec<_>>().join(","))
    };
    let sample = |(sample, expected): (Node<'_>, &String)| {
        object(sample, &|name, value| {
            if name == "expect" { expected.clone() } else { value.json().to_owned() }
        })
    };
    let text = object(manifest, &|name, value| match name {
        "samples" => {
            format!("[{}]", value.elements().zip(expected).map(sample).collect::<Vec<_>>().join(","))
        }
        _ => value.json().to_owned(),
    });
    let document = Document::parse(text).expect("it is made of JSON");
    format!("{}\n", pretty(document.root()))
}

/// The new expectation without what the old one left out on purpose.
fn narrowed(mut new: Value, old: &Value) -> Value {
    for (verdict, content) in new.as_object_mut().into_iter().flatten() {
        match (content, &old[verdict]) {
            (Value::Array(items), Value::Array(old)) => {
                for (item, old) in items.iter_mut().zip(old) {
                    narrow(item, old);
                }
            }
            (content, old) => narrow(content, old),
        }
    }
    new
}

fn narrow(new: &mut Value, old: &Value) {
    let (Value::Object(new), Value::Object(old)) = (new, old) else { return };
    new.retain(|key, _| old.contains_key(key) || BODY_KEYS.contains(&key.as_str()));
    if let (Some(Value::Object(headers)), Some(Value::Object(old))) =
        (new.get_mut("headers"), old.get("headers"))
    {
        headers.retain(|name, _| old.contains_key(name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_leaves_the_rest_as_it_was_written() {
        let manifest = r#"{"manifest": 1, "samples": [
            {"name": "a", "settings": {"limit": 1.10}, "expect": {"drop": "old"}},
            {"expect": {"drop": "old"}, "name": "b\u0041"}]}"#;
        let manifest = Document::parse(manifest).unwrap();
        let expected =
            [r#"{"drop":"new"}"#, r#"{"deliver":[{"body":1000000000000000000000}]}"#].map(str::to_owned);
        let text = rewritten(manifest.root(), &expected);
        let compact = Document::parse(text.clone()).unwrap().root().compact();
        let expect = r#"{"manifest":1,"samples":[{"name":"a","settings":{"limit":1.10},"expect":{"drop":"new"}},{"expect":{"deliver":[{"body":1000000000000000000000}]},"name":"b\u0041"}]}"#;
        assert_eq!(compact, expect);
        assert!(
            text.starts_with("{\n  \"manifest\": 1,\n  \"samples\": [\n    {\n") && text.ends_with("}\n"),
            "{text}"
        );
    }

    #[test]
    fn an_update_compares_no_more_than_before() {
        let check = |new: Value, old: Value, expect: Value| assert_eq!(narrowed(new, &old), expect);
        let full = json!({"method": "POST", "headers": {"x-a": "2", "x-b": "3"}, "body": {"n": 2}});
        check(
            json!({"deliver": [full, full]}),
            json!({"deliver": [{"headers": {"x-a": "1"}, "body_text": "old"}]}),
            json!({"deliver": [{"headers": {"x-a": "2"}, "body": {"n": 2}}, full]}),
        );
        check(json!({"drop": "why"}), json!({"deliver": [{"body": 1}]}), json!({"drop": "why"}));
        check(
            json!({"reply": {"status": 200, "headers": {}, "body_text": "a"}}),
            json!({"reply": {"status": 201}}),
            json!({"reply": {"status": 200, "body_text": "a"}}),
        );
    }
}
