//! `hookmill doctor`: what keeps an endpoint from its deliveries, and what to do about it.
//!
//! A [`Checkup`] is what the server says of one endpoint; [`examine`] makes [`Findings`] of it without asking anybody.
//! What a failure means is the server's own diagnosis, which stands in each attempt.

use http::Method;
use serde::Serialize;
use serde_json::{Value, json};

use super::show::{Column, table};
use super::{Client, print};
use crate::cli::DoctorArguments;
use crate::failure::{Exit, Failure};

/// Applications that are searched for an endpoint where none is named.
const APPLICATIONS_SEARCHED_MAX: usize = 1000;
/// Attempts that are looked at, the latest.
const ATTEMPTS_READ: &str = "100";
/// Waiting messages that are looked at, the latest.
const WAITING_READ: &str = "100";
/// What ids of endpoints begin with.
const ID_PREFIX: &str = "ep_";

const ENDPOINT_COLUMNS: [Column; 7] = [
    Column("id", "/id"),
    Column("uid", "/uid"),
    Column("url", "/url"),
    Column("state", "/state"),
    Column("preset", "/preset"),
    Column("breaker", "/breaker/state"),
    Column("plugin's breaker", "/pluginBreaker/state"),
];
const TERM_COLUMNS: [Column; 3] =
    [Column("term", "/term"), Column("in force", "/value"), Column("from", "/source")];
const COUNT_COLUMNS: [Column; 5] = [
    Column("delivered", "/delivered"),
    Column("waiting", "/waiting"),
    Column("to be tried again", "/retrying"),
    Column("given up", "/givenUp"),
    Column("next attempt", "/nextAttempt"),
];
const CAUSE_COLUMNS: [Column; 4] = [
    Column("cause", "/code"),
    Column("attempts", "/attempts"),
    Column("last", "/last"),
    Column("what happened", "/summary"),
];

/// What the server says of an endpoint.
struct Checkup {
    /// The application as it was named, for the commands that are advised.
    application: String,
    endpoint: Value,
    policy: Value,
    stats: Value,
    /// The latest first.
    attempts: Vec<Value>,
    /// Messages that are still to be delivered.
    waiting: Vec<Value>,
}

/// What is made of it.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Findings {
    healthy: bool,
    counts: Counts,
    /// The one of the latest failure first.
    causes: Vec<Cause>,
    /// What to do next, in this order.
    advice: Vec<String>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Counts {
    delivered: u64,
    waiting: u64,
    retrying: u64,
    given_up: u64,
    /// The earliest of those that were looked at.
    next_attempt: Option<String>,
}

/// Failed attempts with one diagnosis.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Cause {
    code: String,
    attempts: u64,
    last: String,
    summary: String,
    /// The detail of the latest.
    detail: String,
    causes: Vec<String>,
    remedies: Vec<String>,
}

/// Examines an endpoint; it ends well where that is well.
pub(crate) async fn run(arguments: DoctorArguments) -> Result<Exit, Failure> {
    let DoctorArguments { connection, endpoint, app } = arguments;
    let client = Client::new(&connection)?;
    let checkup = check_up(&client, &endpoint, app).await?;
    let findings = examine(&checkup);
    let Checkup { endpoint, policy, .. } = &checkup;
    let report = json!({ "endpoint": endpoint, "policy": policy, "findings": findings });
    print(connection.json, &report, || described(&checkup, &findings));
    Ok(if findings.healthy { Exit::Done } else { Exit::Failed })
}

async fn check_up(client: &Client, name: &str, application: Option<String>) -> Result<Checkup, Failure> {
    let (application, endpoint) = match application {
        Some(application) => {
            let path = ["app", &application, "endpoint", name];
            let endpoint = client.call::<Value>(Method::GET, &path, None).await?;
            (application, endpoint)
        }
        None => search(client, name).await?,
    };
    let id = text(&endpoint, "id");
    let path = ["app", &application, "endpoint", &id];
    let below = |last: &'static str| [&path[..], &[last]].concat();
    let policy = client.call::<Value>(Method::GET, &below("policy"), None).await?;
    let stats = client.call::<Value>(Method::GET, &below("stats"), None).await?;
    let attempts = ["app", &application, "attempt", "endpoint", &id];
    let attempts = client.page(&attempts, &[("limit", ATTEMPTS_READ), ("with_content", "false")]).await?;
    let mut waiting = Vec::new();
    // Those that were never tried, and those that are to be tried again.
    for status in ["1", "3"] {
        let query = [("status", status), ("limit", WAITING_READ), ("with_content", "false")];
        waiting.extend(client.page(&below("msg"), &query).await?);
    }
    Ok(Checkup { application, endpoint, policy, stats, attempts, waiting })
}

/// Finds an endpoint by its id alone.
async fn search(client: &Client, id: &str) -> Result<(String, Value), Failure> {
    if !id.starts_with(ID_PREFIX) {
        let message = format!("`{id}` is no id of an endpoint, and a uid is one in its application only");
        return Err(Failure::new(Exit::Usage, "app_missing", message).hint("name the application with --app"));
    }
    let applications = client.list(&["app"]).await?;
    for application in applications.iter().take(APPLICATIONS_SEARCHED_MAX) {
        let application = text(application, "id");
        let path = ["app", &application, "endpoint", id];
        match client.call::<Value>(Method::GET, &path, None).await {
            Ok(endpoint) => return Ok((application, endpoint)),
            Err(failure) if failure.code == "not_found" => {}
            Err(failure) => return Err(failure),
        }
    }
    let message =
        format!("none of the first {APPLICATIONS_SEARCHED_MAX} applications has the endpoint `{id}`");
    Err(Failure::new(Exit::Refused, "not_found", message).hint("name the application with --app"))
}

fn examine(checkup: &Checkup) -> Findings {
    let count = |name: &str| checkup.stats[name].as_u64().unwrap_or_default();
    let next_attempts = checkup.waiting.iter().filter_map(|message| message["nextAttempt"].as_str());
    let counts = Counts {
        delivered: count("success"),
        waiting: count("pending"),
        retrying: count("sending"),
        given_up: count("fail"),
        // RFC 3339 in UTC with milliseconds, so the order of the texts is that of the moments.
        next_attempt: next_attempts.min().map(str::to_owned),
    };
    let causes = causes(&checkup.attempts);
    let is_enabled = checkup.endpoint["state"] == "enabled";
    let has_failed = checkup.attempts.first().is_some_and(is_failure);
    let healthy = is_enabled && !has_failed && counts.retrying == 0 && open_breakers(checkup).is_empty();
    let advice = advice(checkup, &counts, &causes, healthy);
    Findings { healthy, counts, causes, advice }
}

/// The breakers that are not closed: whose, and until when.
fn open_breakers(checkup: &Checkup) -> Vec<(&'static str, Option<&str>)> {
    let breakers =
        [("the endpoint", &checkup.endpoint["breaker"]), ("its plugin", &checkup.endpoint["pluginBreaker"])];
    breakers
        .into_iter()
        .filter(|(_, breaker)| breaker["state"].as_str().is_some_and(|state| state != "closed"))
        .map(|(whose, breaker)| (whose, breaker["until"].as_str()))
        .collect()
}

fn causes(attempts: &[Value]) -> Vec<Cause> {
    let mut causes: Vec<Cause> = Vec::new();
    for attempt in attempts.iter().filter(|attempt| is_failure(attempt)) {
        let diagnosis = &attempt["diagnosis"];
        let code = text(diagnosis, "code");
        match causes.iter_mut().find(|cause| cause.code == code) {
            Some(cause) => cause.attempts += 1,
            None => causes.push(Cause {
                code,
                attempts: 1,
                last: text(attempt, "timestamp"),
                summary: text(diagnosis, "summary"),
                detail: text(attempt, "detail"),
                causes: texts(&diagnosis["causes"]),
                remedies: texts(&diagnosis["remedies"]),
            }),
        }
    }
    causes
}

fn advice(checkup: &Checkup, counts: &Counts, causes: &[Cause], healthy: bool) -> Vec<String> {
    let (application, id) = (&checkup.application, text(&checkup.endpoint, "id"));
    let command = |verb: &str| format!("hookmill endpoint {verb} {id} --app {application}");
    let mut advice = Vec::new();
    if !healthy {
        advice.extend(causes.first().iter().flat_map(|cause| cause.remedies.iter().cloned()));
    }
    for (whose, until) in open_breakers(checkup) {
        let next = until.map_or_else(
            || "the next delivery tells whether it works again".to_owned(),
            |until| format!("nothing is tried before {until}"),
        );
        advice.push(format!(
            "{whose} failed too often, so its breaker is open: {next}; what you send yourself goes at once, and closes it \
             where it comes through: POST /api/v1/app/{application}/endpoint/{id}/send-example"
        ));
    }
    match checkup.endpoint["state"].as_str().unwrap_or_default() {
        "enabled" => {}
        "unverified" => {
            advice.push(format!("it has yet to prove that it wants events: {}", command("verify")));
        }
        "failed" => advice.push(format!(
            "its deliveries wait since one of them was tried in vain for the last time: {}",
            command("reactivate")
        )),
        "gone" => advice.push(format!(
            "it answered 410 and was turned off; if it is to receive again: {}",
            command("enable")
        )),
        _ => advice.push(format!("it was turned off; if it is to receive again: {}", command("enable"))),
    }
    if let ("disabled" | "gone", Some(since)) =
        (checkup.endpoint["state"].as_str().unwrap_or_default(), checkup.endpoint["disabledSince"].as_str())
    {
        advice.push(format!(
            "once it is enabled, to send what it missed meanwhile: {} --since {since}",
            command("replay-missing")
        ));
    }
    if counts.given_up > 0 {
        advice.push(format!(
            "{} deliveries were given up; to send them again: {}",
            counts.given_up,
            command("recover")
        ));
    }
    advice
}

fn described(checkup: &Checkup, findings: &Findings) -> String {
    let one = |columns: &[Column], item: &Value| table(columns, std::slice::from_ref(item), "");
    let mut parts = vec![
        one(&ENDPOINT_COLUMNS, &checkup.endpoint),
        table(&TERM_COLUMNS, &terms(&checkup.policy), ""),
        one(&COUNT_COLUMNS, &json!(findings.counts)),
    ];
    let causes: Vec<Value> = findings.causes.iter().map(|cause| json!(cause)).collect();
    parts.push(table(&CAUSE_COLUMNS, &causes, "no failed attempts among the latest"));
    for cause in &findings.causes {
        let detail = if cause.detail.is_empty() { String::new() } else { format!(" ({})", cause.detail) };
        let list = |title: &str, items: &[String]| format!("\n  {title}:{}", bullets(items));
        let (why, what) = (list("likely causes", &cause.causes), list("what to do", &cause.remedies));
        parts.push(format!("{}{detail}{why}{what}", cause.code));
    }
    parts.push(match findings.healthy {
        true => "all is well".to_owned(),
        false => "something needs attention".to_owned(),
    });
    if !findings.advice.is_empty() {
        parts.push(format!("next:{}", bullets(&findings.advice)));
    }
    parts.join("\n")
}

/// Each value of the terms that has a source, with it.
fn terms(policy: &Value) -> Vec<Value> {
    let sources = policy["sources"].as_object().into_iter().flatten();
    sources
        .map(|(term, source)| {
            // A schedule is a list of delays or a formula, by another name.
            let value = policy.get(term).or_else(|| policy.get("exponential"));
            json!({ "term": term, "value": value, "source": source })
        })
        .collect()
}

fn bullets(items: &[String]) -> String {
    items.iter().map(|item| format!("\n    - {item}")).collect()
}

fn is_failure(attempt: &Value) -> bool {
    attempt["statusText"] == "fail"
}

fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_default().to_owned()
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(code: &str, timestamp: &str) -> Value {
        let diagnosis = json!({
            "code": code, "summary": format!("{code} happened"), "causes": ["why"], "remedies": [format!("mend {code}")],
        });
        json!({ "statusText": "fail", "timestamp": timestamp, "detail": "seen", "diagnosis": diagnosis })
    }

    fn delivered() -> Value {
        json!({ "statusText": "success", "timestamp": "3" })
    }

    fn checkup(state: &str, stats: Value, attempts: Vec<Value>) -> Checkup {
        Checkup {
            application: "shop".to_owned(),
            endpoint: json!({ "id": "ep_1", "state": state, "url": "https://example.com/" }),
            policy: json!({
                "timeoutMs": 15000, "exponential": {"baseMs": 1},
                "sources": {"timeoutMs": "preset", "schedule": "endpoint"},
            }),
            stats,
            attempts,
            waiting: Vec::new(),
        }
    }

    #[test]
    fn failures_are_grouped_by_cause_with_the_latest_first() {
        let attempts =
            vec![failed("not_found", "9"), delivered(), failed("dns_failed", "7"), failed("not_found", "5")];
        let findings = examine(&checkup("enabled", json!({}), attempts));
        let groups =
            findings.causes.iter().map(|cause| (cause.code.as_str(), cause.attempts, cause.last.as_str()));
        assert_eq!(groups.collect::<Vec<_>>(), [("not_found", 2, "9"), ("dns_failed", 1, "7")]);
        assert_eq!(findings.advice, ["mend not_found"]);
    }

    #[test]
    fn an_endpoint_is_well_when_it_is_on_and_its_latest_attempt_came_through() {
        let check = |state: &str, retrying: u64, attempts: Vec<Value>, healthy: bool| {
            let findings = examine(&checkup(state, json!({ "sending": retrying }), attempts));
            assert_eq!(findings.healthy, healthy, "{state} {retrying}");
        };
        check("enabled", 0, vec![], true);
        check("enabled", 0, vec![delivered(), failed("not_found", "1")], true);
        check("enabled", 1, vec![delivered(), failed("not_found", "1")], false);
        check("enabled", 0, vec![failed("not_found", "1"), delivered()], false);
        for state in ["disabled", "gone", "failed", "unverified"] {
            check(state, 0, vec![delivered()], false);
        }
    }

    #[test]
    fn what_to_do_names_the_command() {
        let check = |state: &str, stats: Value, expect: &[&str]| {
            let findings = examine(&checkup(state, stats, vec![]));
            assert_eq!(findings.advice.len(), expect.len(), "{:?}", findings.advice);
            for (advice, expect) in findings.advice.iter().zip(expect) {
                assert!(advice.contains(expect), "{expect:?} in {advice:?}");
            }
        };
        check("enabled", json!({}), &[]);
        check("unverified", json!({}), &["hookmill endpoint verify ep_1 --app shop"]);
        check("failed", json!({}), &["hookmill endpoint reactivate ep_1 --app shop"]);
        check("gone", json!({}), &["hookmill endpoint enable ep_1 --app shop"]);
        check("disabled", json!({}), &["hookmill endpoint enable ep_1 --app shop"]);
        check("enabled", json!({ "fail": 3 }), &["hookmill endpoint recover ep_1 --app shop"]);
        let mut missed = checkup("disabled", json!({}), vec![]);
        missed.endpoint["disabledSince"] = json!("2026-11-22T01:00:00.000Z");
        let advice = examine(&missed).advice.pop().unwrap();
        let expect = "hookmill endpoint replay-missing ep_1 --app shop --since 2026-11-22T01:00:00.000Z";
        assert!(advice.ends_with(expect), "{advice}");
    }

    #[test]
    fn an_open_breaker_is_told_with_the_way_through_it() {
        let mut checkup = checkup("enabled", json!({}), vec![]);
        checkup.endpoint["breaker"] = json!({ "state": "open", "until": "2026-11-22T02:00:00.000Z" });
        checkup.endpoint["pluginBreaker"] = json!({ "state": "half_open" });
        let findings = examine(&checkup);
        assert!(!findings.healthy);
        assert_eq!(findings.advice.len(), 2);
        for part in ["2026-11-22T02:00:00.000Z", "/api/v1/app/shop/endpoint/ep_1/send-example"] {
            assert!(findings.advice[0].contains(part), "{part:?} in {:?}", findings.advice);
        }
        checkup.endpoint["breaker"] = json!({ "state": "closed" });
        checkup.endpoint["pluginBreaker"] = Value::Null;
        assert!(examine(&checkup).healthy);
    }

    #[test]
    fn what_waits_is_shown_with_the_earliest_attempt() {
        let mut checkup = checkup("enabled", json!({ "pending": 1, "sending": 2, "success": 5 }), vec![]);
        let due = |moment: &str| json!({ "nextAttempt": moment });
        checkup.waiting = vec![due("2026-11-22T02:00:00.000Z"), json!({}), due("2026-11-22T01:00:00.000Z")];
        let expect = Counts {
            delivered: 5,
            waiting: 1,
            retrying: 2,
            given_up: 0,
            next_attempt: Some("2026-11-22T01:00:00.000Z".to_owned()),
        };
        assert_eq!(examine(&checkup).counts, expect);
    }

    #[test]
    fn people_see_terms_with_their_source_and_causes_with_their_remedy() {
        let checkup = checkup("enabled", json!({}), vec![failed("not_found", "9")]);
        let shown = described(&checkup, &examine(&checkup));
        for part in ["ep_1", "15000", "preset", "baseMs", "not_found", "seen", "- why", "- mend not_found"] {
            assert!(shown.contains(part), "{part:?} in {shown}");
        }
        assert!(shown.contains("something needs attention"), "{shown}");
    }
}
