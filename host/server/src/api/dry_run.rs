//! `/plugin/run`: trying a plugin without consequences. Ours.

use std::sync::Arc;

use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hookmill_app::dry_run::{Candidate, DryRun, DryRunReport};
use hookmill_core::manifest::json_diff;
use hookmill_core::plugin::{JAVASCRIPT_PLUGIN, LogLine};
use hookmill_core::port::store::EventLookup;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::plugin::{ensure, parse_version};
use crate::answer;
use crate::auth::Caller;
use crate::context::{Context, detached};
use crate::error::{ApiError, Handled};
use crate::fields;
use crate::input::{self, DryRunInput};

/// One of `plugin`, `component` and `code`; what the plugin is given is the rest, in the shape of a manifest's sample.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DryRunIn {
    plugin: Option<String>,
    version: Option<String>,
    /// Base64.
    component: Option<String>,
    /// A script for the plugin `javascript`.
    code: Option<String>,
    /// A recorded event, in the place of `event`.
    message: Option<MessageIn>,
    #[serde(flatten)]
    input: Map<String, Value>,
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
    outcome: Option<Value>,
    /// What would be sent.
    requests: Value,
    /// The event's body against that of the first request, where both are JSON.
    diff: Vec<Value>,
    fuel: u64,
    /// Of the budget, 0 to 1.
    fuel_share: f64,
    wall_micros: u64,
    memory_peak_bytes: u64,
    logs: Vec<Value>,
    failure: Option<Value>,
}

impl DryRunOut {
    fn of(run: &DryRunReport) -> Self {
        let outcome = run.sample.draft_expectation(&run.report);
        let requests = outcome.as_ref().and_then(|outcome| outcome.get("deliver")).cloned();
        let requests = requests.unwrap_or_else(|| json!([]));
        let cost = run.report.cost();
        let failure = run.report.failure();
        Self {
            version: run.version.to_string(),
            world: run.world.as_str(),
            diff: body_diff(run, &requests),
            outcome,
            requests,
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
    let asked: DryRunIn = input::json(&input.0)?;
    let mut given = asked.input;
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
        (None, None, Some(code)) => {
            let settings = given.remove("settings").unwrap_or_else(|| json!({}));
            given.insert("settings".to_owned(), json!({"code": code, "settings": settings}));
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
                // The input says nothing of an event then, and must say something.
                given.entry("event").or_insert_with(|| json!({"type": "recorded", "body": null}));
                Some(event)
            }
        };
        let report = context.app.dry_run(DryRun { candidate, input: given, recorded }).await?;
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

fn body_diff(run: &DryRunReport, requests: &Value) -> Vec<Value> {
    let event = run.sample.event().and_then(|event| serde_json::from_slice::<Value>(&event.body).ok());
    let (Some(before), Some(after)) = (event, requests.pointer("/0/body")) else { return Vec::new() };
    let out = |difference: hookmill_core::manifest::Difference| {
        let mut shown = Map::new();
        shown.insert("pointer".to_owned(), json!(difference.pointer));
        if let Some(before) = difference.before {
            shown.insert("before".to_owned(), before);
        }
        if let Some(after) = difference.after {
            shown.insert("after".to_owned(), after);
        }
        Value::Object(shown)
    };
    json_diff(&before, after).into_iter().map(out).collect()
}

fn log_out(line: &LogLine) -> Value {
    json!({"level": line.level.as_str(), "message": line.message})
}
