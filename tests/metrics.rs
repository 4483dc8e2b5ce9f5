//! The alerts that come with Hookmill fire on what a real router counts in an incident, and not without one.
//!
//! A router is scraped when it is new, after calm traffic and after an incident. Prometheus' own promtool is told that
//! these are an hour and five minutes of its life, and asked which of the alerts fire then.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use hookmill_testkit::receiver::{Answer, Behaviour, Receiver};
use hookmill_tests::api::{Api, quick_retries};
use hookmill_tests::fixture::{repository, target_directory};
use hookmill_tests::router::DataDir;
use http::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Minutes over which the calm traffic is spread.
const CALM_MINUTES: usize = 60;
/// Minutes over which the incident is spread.
const INCIDENT_MINUTES: usize = 5;
/// When alerts are looked at: as soon as each condition has held for as long as its alert wants.
const LOOKED_AT_MINUTE: usize = CALM_MINUTES + 2 * INCIDENT_MINUTES;
/// Events of the calm time.
const CALM_EVENTS: usize = 20;

/// Counters by series.
type Scrape = BTreeMap<String, f64>;

/// Receivers that all treat events alike.
struct Traffic {
    behaviour: fn() -> Behaviour,
    /// Fewer failures in a row than let an endpoint's breaker open, else its deliveries would wait.
    policy: Value,
    endpoints: usize,
    events: usize,
    /// How often each event is sent to each endpoint.
    attempts: usize,
}

impl Traffic {
    /// Sends the events, and waits until the log has all attempts.
    async fn pass(&self, api: &Api) {
        let application = api.create_application("traffic").await;
        let mut receivers = Vec::new();
        for _ in 0..self.endpoints {
            let receiver = Receiver::start((self.behaviour)()).await;
            let endpoint = api.create_endpoint(&application, &receiver.url("/"), json!({})).await;
            api.set_policy(&endpoint, self.policy.clone()).await;
            receivers.push(receiver);
        }
        let mut messages = Vec::new();
        for _ in 0..self.events {
            messages.push(api.send(&application, "any", "{}").await);
        }
        for message in messages {
            api.wait_for_attempts(&application, &message, self.attempts * self.endpoints).await;
        }
    }
}

fn unavailable() -> Behaviour {
    Behaviour::Chooses(Box::new(|_| Answer::status(500)))
}

async fn scrape(api: &Api) -> Scrape {
    let reply = api.call_at(Method::GET, "/metrics").reply().await;
    reply.expect_status(200);
    let text = std::str::from_utf8(&reply.body).expect("metrics are text");
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    let samples = samples.map(|line| line.rsplit_once(' ').expect("a sample has a value"));
    samples
        .filter(|(series, _)| {
            let name = series.split('{').next().unwrap_or_default();
            ["_total", "_sum", "_count"].iter().any(|suffix| name.ends_with(suffix))
        })
        .map(|(series, value)| (series.to_owned(), value.parse().expect("a value is a number")))
        .collect()
}

/// What `promtool test rules` reads, where these alerts are expected and no others.
fn promtool_test([new, calm, incident]: &[Scrape; 3], alerts: &BTreeSet<&str>) -> Value {
    let series = incident.iter().map(|(series, end)| {
        // A series that is new was not there to be read before.
        let at = |scrape: &Scrape| scrape.get(series).copied().unwrap_or_default();
        let (first, middle) = (at(new), at(calm));
        let calm_step = (middle - first) / CALM_MINUTES as f64;
        let incident_step = (end - middle) / INCIDENT_MINUTES as f64;
        let (calm_rest, incident_rest) = (CALM_MINUTES - 1, INCIDENT_MINUTES - 1);
        let rise = middle + incident_step;
        json!({
            "series": series,
            "values": format!(
                "{first:.9}+{calm_step:.9}x{calm_rest} {middle:.9} {rise:.9}+{incident_step:.9}x{incident_rest} {end:.9}x{LOOKED_AT_MINUTE}"
            ),
        })
    });
    let firing = |alert: &&str| json!({ "labels": format!("{{alertname=\"{alert}\"}}"), "value": 1 });
    let question = |minute: usize, expect: Vec<Value>| {
        json!({
            "expr": r#"count by (alertname) (ALERTS{alertstate="firing"})"#,
            "eval_time": format!("{minute}m"),
            "exp_samples": expect,
        })
    };
    json!({
        "rule_files": [repository().join("examples/prometheus/hookmill-alerts.yml")],
        "evaluation_interval": "1m",
        "tests": [{
            "interval": "1m",
            "input_series": series.collect::<Vec<_>>(),
            "promql_expr_test": [
                question(CALM_MINUTES, Vec::new()),
                question(LOOKED_AT_MINUTE, alerts.iter().map(firing).collect()),
            ],
        }],
    })
}

fn promtool(arguments: &[&str]) {
    // `cargo xtask test` unpacks one where the machine has none.
    let unpacked = target_directory().join("tools/usr/bin/promtool");
    let program = if unpacked.is_file() { unpacked } else { "promtool".into() };
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|error| {
        panic!("promtool does not run ({error}): run `cargo xtask test`, which looks for it")
    });
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "promtool {arguments:?}:\n{}", String::from_utf8_lossy(&said));
}

async fn check(incident: Traffic, alerts: impl IntoIterator<Item = &'static str>) {
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let api = router.api();
    let new = scrape(api).await;
    let (behaviour, policy) = (Behaviour::accepts as fn() -> Behaviour, json!({}));
    Traffic { behaviour, policy, endpoints: 1, events: CALM_EVENTS, attempts: 1 }.pass(api).await;
    let calm = scrape(api).await;
    incident.pass(api).await;
    let scrapes = [new, calm, scrape(api).await];

    let directory = TempDir::new().expect("a temporary directory");
    let file = directory.path().join("test.yml");
    // JSON is YAML.
    let test = promtool_test(&scrapes, &alerts.into_iter().collect());
    std::fs::write(&file, test.to_string()).expect("a temporary directory can be written");
    promtool(&["test", "rules", file.to_str().expect("a path of text")]);
}

#[test]
fn the_shipped_examples_are_sound() {
    let path = |name: &str| repository().join("examples/prometheus").join(name).display().to_string();
    promtool(&["check", "rules", &path("hookmill-alerts.yml")]);
    promtool(&["check", "config", "--syntax-only", &path("prometheus.yml")]);
    promtool(&["test", "rules", &path("hookmill-alerts_test.yml")]);
}

#[tokio::test]
async fn more_calm_traffic_fires_nothing() {
    let more =
        Traffic { behaviour: Behaviour::accepts, policy: json!({}), endpoints: 4, events: 20, attempts: 1 };
    check(more, []).await;
}

#[tokio::test]
async fn receivers_that_fail_fire_the_error_rate() {
    let failing = Traffic {
        behaviour: unavailable,
        policy: json!({ "schedule": [3600.0], "jitterPercent": 0 }),
        endpoints: 4,
        events: 8,
        attempts: 1,
    };
    check(failing, ["HookmillHighErrorRate"]).await;
}

#[tokio::test]
async fn receivers_that_are_slow_fire_the_response_time() {
    let slow = Traffic {
        behaviour: || Behaviour::NeverAnswers,
        policy: json!({ "schedule": [3600.0], "jitterPercent": 0, "timeoutMs": 1500 }),
        endpoints: 2,
        events: 5,
        attempts: 1,
    };
    check(slow, ["HookmillResponseTimeDegraded"]).await;
}

#[tokio::test]
async fn many_retries_fire_the_retry_spike() {
    let retried =
        Traffic { behaviour: unavailable, policy: quick_retries(8), endpoints: 8, events: 1, attempts: 9 };
    check(retried, ["HookmillHighErrorRate", "HookmillRetrySpike"]).await;
}

#[tokio::test]
async fn dead_letters_fire_the_failed_delivery_cluster() {
    let given_up =
        Traffic { behaviour: unavailable, policy: quick_retries(1), endpoints: 4, events: 4, attempts: 2 };
    check(given_up, ["HookmillFailedDeliveryCluster", "HookmillHighErrorRate"]).await;
}
