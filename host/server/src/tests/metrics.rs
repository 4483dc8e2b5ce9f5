//! `/metrics`, and the limits that answers name.

use axum::body::Body;
use axum::response::IntoResponse;
use hookmill_app::AppError;
use hookmill_core::port::store::StoreError;
use http::Request;
use http::header::HeaderValue;
use serde_json::json;

use super::{START, World};
use crate::error::ApiError;

const MESSAGES: &str = "/api/v1/app/shop/msg";

/// One sample: its name, its labels, its value.
type Sample<'a> = (&'a str, Vec<(&'a str, &'a str)>, f64);

fn parse_sample(line: &str) -> Sample<'_> {
    let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
    let value = value.parse().unwrap_or_else(|_| panic!("{line}"));
    let Some((name, labels)) = series.split_once('{') else { return (series, Vec::new(), value) };
    let labels = labels.strip_suffix('}').unwrap_or_else(|| panic!("{line}"));
    let pair = |label| parse_label(label).unwrap_or_else(|| panic!("{line}"));
    (name, labels.split(',').map(pair).collect(), value)
}

/// The router's values hold neither commas nor quotes.
fn parse_label(label: &str) -> Option<(&str, &str)> {
    let (name, value) = label.split_once('=')?;
    Some((name, value.strip_prefix('"')?.strip_suffix('"')?))
}

#[tokio::test]
async fn every_line_is_of_the_format_and_every_name_is_described() {
    let world = World::new().await;
    world.shop().await;
    world.call("POST", MESSAGES, r#"{"eventType": "a", "payload": {}}"#).await;
    world.call("POST", MESSAGES, r#"{"eventType": "not a name!", "payload": {}}"#).await;
    let scraped = world.call("GET", "/metrics", "").await;
    assert_eq!(scraped.status, 200);
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(scraped.headers["content-type"], content_type);
    let text = String::from_utf8(scraped.body.to_vec()).unwrap();
    let text = text.strip_suffix("# EOF\n").unwrap();
    let mut family = String::new();
    let mut samples = Vec::new();
    for line in text.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let mut words = comment.splitn(3, ' ');
            let (word, name) = (words.next().unwrap(), words.next().unwrap());
            let rest = words.next().unwrap_or_else(|| panic!("{line}"));
            match word {
                "HELP" => {
                    assert!(rest.ends_with('.') && rest.len() > 10, "{line}");
                    family = name.to_owned();
                }
                "TYPE" => assert!(["counter", "gauge", "histogram", "info"].contains(&rest), "{line}"),
                "UNIT" => assert!(name.ends_with(rest), "{line}"),
                _ => panic!("{line}"),
            }
            assert_eq!(name, family, "{line}");
            continue;
        }
        let sample = parse_sample(line);
        let suffix = sample.0.strip_prefix(&*family).unwrap_or_else(|| panic!("{line} is of {family}"));
        assert!(["", "_total", "_info", "_bucket", "_sum", "_count"].contains(&suffix), "{line}");
        samples.push(sample);
    }
    let value = |name: &str, labels: &[(&str, &str)]| {
        let sample = samples.iter().find(|sample| sample.0 == name && sample.1 == labels);
        sample.unwrap_or_else(|| panic!("no {name} {labels:?}")).2
    };
    assert_eq!(value("hookmill_events_accepted_total", &[]), 1.0);
    assert_eq!(value("hookmill_events_refused_total", &[("code", "name_invalid")]), 1.0);
    assert_eq!(value("hookmill_build_info", &[("version", env!("CARGO_PKG_VERSION"))]), 1.0);
    assert_eq!(value("process_start_time_seconds", &[]), START.0 as f64 / 1000.0);
}

#[tokio::test]
async fn only_the_operator_reads_them() {
    let world = World::new().await;
    world.shop().await;
    let key = json!({"scope": "application", "application": "shop"});
    let made = world.call("POST", "/api/v1/key", &key.to_string()).await;
    assert_eq!(made.status, 201, "{made:?}");
    let tenant = made.json()["key"].as_str().unwrap().to_owned();
    assert_eq!(world.call_as(&tenant, "GET", "/metrics", "").await.status, 403);
    assert_eq!(world.call_as("unknown", "GET", "/metrics", "").await.status, 401);
    let without_key = world.send(Request::get("/metrics").body(Body::empty()).unwrap()).await;
    assert_eq!((without_key.status, without_key.code().as_str()), (401, "authentication_missing"));
}

/// Nothing that a caller chose is in the text, and no name of anyone's adds a series.
#[tokio::test]
async fn no_label_comes_from_a_caller() {
    const TRACE: &str = "zebra";
    let world = World::new().await;
    let application = json!({"name": TRACE, "uid": TRACE});
    assert_eq!(world.call("POST", "/api/v1/app", &application.to_string()).await.status, 201);
    let endpoint = json!({"url": format!("https://example.com/{TRACE}"), "uid": TRACE, "description": TRACE});
    let made = world.call("POST", &format!("/api/v1/app/{TRACE}/endpoint"), &endpoint.to_string()).await;
    assert_eq!(made.status, 201, "{made:?}");
    let series = async || {
        let text = String::from_utf8(world.call("GET", "/metrics", "").await.body.to_vec()).unwrap();
        assert!(!text.contains(TRACE), "{text}");
        text.lines().count()
    };
    let messages = format!("/api/v1/app/{TRACE}/msg");
    let send = async |number: usize| {
        let name = format!("{TRACE}.{number}");
        let event = json!({"eventType": name, "eventId": name, "channels": [name], "payload": {TRACE: name}});
        assert_eq!(world.call("POST", &messages, &event.to_string()).await.status, 202);
        let strange = json!({"eventType": format!("{name} !"), "payload": {}});
        assert_eq!(world.call("POST", &messages, &strange.to_string()).await.status, 422);
        let nowhere = format!("/api/v1/app/{name}/msg");
        assert_eq!(world.call("POST", &nowhere, &event.to_string()).await.status, 404);
        assert_eq!(world.call("POST", &format!("/in/{name}"), "{}").await.status, 404);
    };
    send(0).await;
    let first = series().await;
    for number in 1..50 {
        send(number).await;
    }
    assert_eq!(series().await, first);
}

#[tokio::test]
async fn answers_name_the_limits_on_deliveries() {
    let world = World::new().await;
    let endpoint = world.shop().await;
    let message = r#"{"eventType": "a", "payload": {}}"#;
    let policy = format!("/api/v1/app/shop/endpoint/{endpoint}/policy");
    let check = async |method: &str, path: &str, body: &str, expect: Option<&str>| {
        let answer = world.call(method, path, body).await;
        let named = answer.headers.get("ratelimit-policy").map(|value| value.to_str().unwrap());
        assert_eq!(named, expect, "{method} {path} {answer:?}");
    };
    check("POST", MESSAGES, message, None).await;
    check("GET", &policy, "", Some(r#""concurrency";q=64;qu="concurrent-requests""#)).await;
    let patch = r#"{"rate": {"deliveries": 100, "periodSecs": 60}, "concurrency": 10}"#;
    let limits = r#""endpoint";q=100;w=60, "concurrency";q=10;qu="concurrent-requests""#;
    check("PATCH", &policy, patch, Some(limits)).await;
    check("GET", &policy, "", Some(limits)).await;
    check("POST", MESSAGES, message, Some(r#""endpoint";q=100;w=60"#)).await;
    let slower = r#"{"url": "https://example.com/slow", "rateLimit": 1}"#;
    assert_eq!(world.call("POST", "/api/v1/app/shop/endpoint", slower).await.status, 201);
    check("POST", MESSAGES, message, Some(r#""endpoint";q=1;w=1"#)).await;
    assert_eq!(world.call("PATCH", "/api/v1/app/shop", r#"{"rateLimit": 50}"#).await.status, 200);
    check("POST", MESSAGES, message, Some(r#""application";q=50;w=1, "endpoint";q=1;w=1"#)).await;
    let all = format!(r#""application";q=50;w=1, {limits}"#);
    check("GET", &policy, "", Some(&all)).await;
    check("POST", MESSAGES, "[]", None).await;
}

#[test]
fn a_full_queue_and_a_full_disk_say_when_to_come_back() {
    let check = |error: StoreError, status: u16, seconds: &'static str| {
        let answer = ApiError::from(AppError::from(error)).into_response();
        assert_eq!(answer.status().as_u16(), status);
        assert_eq!(answer.headers()["retry-after"], HeaderValue::from_static(seconds));
    };
    check(StoreError::Busy, 503, "1");
    check(StoreError::Full, 507, "30");
}
