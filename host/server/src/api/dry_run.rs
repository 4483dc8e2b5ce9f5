//! `/plugin/run`: trying a plugin without consequences. Ours.

use std::sync::Arc;

use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hookmill_app::dry_run::{Candidate, DryRun, DryRunReport};
use hookmill_core::json::{Document, Node};
use hookmill_core::manifest::{Difference, json_diff};
use hookmill_core::plugin::{JAVASCRIPT_PLUGIN, LogLine};
use hookmill_core::port::store::EventLookup;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::plugin::{ensure, parse_version};
use super::transformation::script_settings;
use crate::answer;
use crate::auth::Caller;
use crate::context::{Context, detached};
use crate::error::{ApiError, Handled};
use crate::fields;
use crate::input::{self, DryRunInput};

/// One of `plugin`, `component` and `code`; what the plugin is given is the rest, in the shape of a manifest's sample. That
/// is read as text, so that numbers keep their digits.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DryRunIn<'a> {
    plugin: Option<String>,
    version: Option<String>,
    /// Base64.
    component: Option<String>,
    /// A script for the plugin `javascript`.
    code: Option<String>,
    /// A recorded event, in the place of `event`.
    message: Option<MessageIn>,
    #[serde(borrow)]
    event: Option<&'a RawValue>,
    #[serde(borrow)]
    request: Option<&'a RawValue>,
    #[serde(borrow)]
    response: Option<&'a RawValue>,
    #[serde(borrow)]
    settings: Option<&'a RawValue>,
    #[serde(borrow)]
    source: Option<&'a RawValue>,
    #[serde(borrow)]
    url: Option<&'a RawValue>,
    #[serde(borrow)]
    attempt: Option<&'a RawValue>,
    #[serde(borrow)]
    now_ms: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct MessageIn {
    application: String,
    id: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DryRunOut {
    version: String,
    world: &'static str,
    /// In the shape of an expectation; `null` where the run gave none.
    outcome: Option<Box<RawValue>>,
    /// What would be sent.
    requests: Box<RawValue>,
    /// The event's body against that of the first request, where both are JSON.
    diff: Vec<DifferenceOut>,
    fuel: u64,
    /// Of the budget, 0 to 1.
    fuel_share: f64,
    wall_micros: u64,
    memory_peak_bytes: u64,
    logs: Vec<Value>,
    failure: Option<Value>,
}

#[derive(Serialize)]
struct DifferenceOut {
    pointer: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<Box<RawValue>>,
}

impl DryRunIn<'_> {
    /// What the plugin is given.
    fn input(&self) -> String {
        // The input says nothing of an event where one is recorded, and must say something.
        let placeholder = self.message.as_ref().map(|_| r#"{"type": "recorded", "body": null}"#);
        let settings = match &self.code {
            Some(code) => Some(script_settings(code, self.settings).into_string()),
            None => self.settings.map(|settings| settings.get().to_owned()),
        };
        let members = [
            ("event", self.event.map(RawValue::get).or(placeholder)),
            ("request", self.request.map(RawValue::get)),
            ("response", self.response.map(RawValue::get)),
            ("settings", settings.as_deref()),
            ("source", self.source.map(RawValue::get)),
            ("url", self.url.map(RawValue::get)),
            ("attempt", self.attempt.map(RawValue::get)),
            ("now_ms", self.now_ms.map(RawValue::get)),
        ];
        let said = members.into_iter().filter_map(|(name, json)| Some(format!("\"{name}\":{}", json?)));
        format!("{{{}}}", said.collect::<Vec<_>>().join(","))
    }
}

impl DryRunOut {
    fn of(run: &DryRunReport) -> Self {
        let outcome = run.sample.draft_json(&run.report).and_then(|json| Document::parse(json).ok());
        let outcome = outcome.as_ref().map(Document::root);
        let requests = outcome.and_then(|outcome| outcome.get("deliver"));
        let cost = run.report.cost();
        let failure = run.report.failure();
        Self {
            version: run.version.to_string(),
            world: run.world.as_str(),
            diff: requests.map(|requests| body_diff(run, requests)).unwrap_or_default(),
            outcome: outcome.map(|outcome| raw(outcome.json())),
            requests: raw(requests.map_or("[]", Node::json)),
            fuel: cost.fuel,
            fuel_share: cost.fuel as f64 / cost.fuel_max.max(1) as f64,
            wall_micros: u64::try_from(cost.wall.as_micros()).unwrap_or(u64::MAX),
            memory_peak_bytes: cost.memory_peak_bytes,
            logs: run.report.logs().iter().map(log_out).collect(),
            failure: failure.map(|failure| json!({"code": failure.code(), "message": failure.detail()})),
        }
    }
}

/// Tries a plugin.
pub(crate) async fn run(State(context): State<Arc<Context>>, caller: Caller, input: DryRunInput) -> Handled {
    caller.admin()?;
    let asked: DryRunIn<'_> = input::json(&input.0)?;
    let input = Document::parse(asked.input())
        .map_err(|fault| ApiError::field("", "json_invalid", format!("the body is not JSON: {fault}")))?;
    let candidate = match (asked.plugin, asked.component, asked.code) {
        (Some(plugin), None, None) => Candidate::Uploaded {
            plugin: fields::plugin_name(&plugin)?,
            version: asked.version.as_deref().map(parse_version).transpose()?,
        },
        (None, Some(component), None) => {
            let component = STANDARD.decode(component).map_err(|error| {
                ApiError::field("component", "base64_invalid", format!("this is no base64: {error}"))
            })?;
            Candidate::Component(component.into())
        }
        (None, None, Some(_)) => {
            let plugin = JAVASCRIPT_PLUGIN.parse().expect("a plugin's name");
            Candidate::Uploaded { plugin, version: None }
        }
        _ => {
            let message = "name one of `plugin`, `component` and `code`";
            return Err(ApiError::field("plugin", "candidate_unclear", message));
        }
    };
    let message = asked.message;
    detached(async move {
        if let Candidate::Uploaded { plugin, .. } = &candidate {
            ensure(&context, plugin).await?;
        }
        let recorded = match message {
            None => None,
            Some(message) => {
                let event = context.app.recorded_event(&message.application, lookup(&message.id)?).await?;
                Some(event)
            }
        };
        let report = context.app.dry_run(DryRun { candidate, input, recorded }).await?;
        Ok(answer::json(StatusCode::OK, &DryRunOut::of(&report)))
    })
    .await
}

fn lookup(id: &str) -> Result<EventLookup, ApiError> {
    match id.parse() {
        Ok(id) => Ok(EventLookup::Id(id)),
        Err(_) => Ok(EventLookup::Uid(fields::name("message.id", id)?)),
    }
}

fn body_diff(run: &DryRunReport, requests: Node<'_>) -> Vec<DifferenceOut> {
    let event = run.sample.event().and_then(|event| Document::parse(event.body.clone()).ok());
    let (Some(before), Some(after)) = (event, requests.pointer("/0/body")) else { return Vec::new() };
    let out = |Difference { pointer, before, after }| DifferenceOut {
        pointer,
        before: before.as_deref().map(raw),
        after: after.as_deref().map(raw),
    };
    json_diff(before.root(), after).into_iter().map(out).collect()
}

/// JSON as it is written.
fn raw(json: &str) -> Box<RawValue> {
    RawValue::from_string(json.to_owned()).expect("what was read as JSON is JSON")
}

fn log_out(line: &LogLine) -> Value {
    json!({"level": line.level.as_str(), "message": line.message})
}
