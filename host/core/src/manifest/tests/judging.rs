//! What runs make of samples, against what their authors expect.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Sample, SampleReport, any_json, classifier, parse, set, source, transform};
use crate::delivery::TransformFailure;
use crate::event::{Channels, ContentType};
use crate::plugin::{ClassifierVerdict, RunCost, SourceEvent, SourceReply, SourceVerdict, TransformOutcome};
use crate::port::plugins::RunReport;
use crate::request::{PreparedRequest, RequestBody, SecretHeader};

fn report<T>(result: Result<T, TransformFailure>) -> RunReport<T> {
    RunReport { result, cost: RunCost::default(), logs: Vec::new() }
}

fn request(body: &[u8]) -> PreparedRequest {
    let mut headers = HeaderMap::new();
    headers.insert("x-kind", HeaderValue::from_static("user"));
    PreparedRequest {
        method: Method::POST,
        url: "https://receiver.example/hook".parse().unwrap(),
        made_for: None,
        headers,
        secret_headers: Vec::new(),
        body: RequestBody::Replaced(Bytes::copy_from_slice(body)),
        part: None,
    }
}

fn delivered(requests: Vec<PreparedRequest>) -> SampleReport {
    SampleReport::Transform(report(Ok(TransformOutcome::Deliver(requests))))
}

fn sample_expecting(expect: &Value) -> Sample {
    let mut manifest = transform();
    set(&mut manifest, "/samples/0/expect", expect.clone());
    parse(&manifest).unwrap().samples.remove(0)
}

/// What differs, as `pointer: expected / found`.
fn differences(sample: &Sample, report: &SampleReport) -> Vec<String> {
    let Err(diff) = sample.judge(report) else { return Vec::new() };
    let text = |value: Option<&Value>| value.map_or("nothing".to_owned(), Value::to_string);
    let line = |one: &Value| {
        let pointer = one["pointer"].as_str().unwrap();
        format!("{pointer}: {} / {}", text(one.get("expected")), text(one.get("found")))
    };
    diff.to_json()["differences"].as_array().unwrap().iter().map(line).collect()
}

#[test]
fn requests_are_judged_as_far_as_the_expectation_goes() {
    let check = |expect: Value, requests: Vec<PreparedRequest>, expected: &[&str]| {
        let found = differences(&sample_expecting(&json!({"deliver": expect})), &delivered(requests));
        assert_eq!(found, expected, "{expect}");
    };
    let ada = || vec![request(br#"{"text": "Ada", "n": 1.0}"#)];
    let body = json!({"n": 1, "text": "Ada"});
    check(json!([{"body": body}]), ada(), &[]);
    check(json!([{"body": body, "headers": {"X-KIND": "user"}}]), ada(), &[]);
    check(
        json!([{"body": body, "headers": {"x-kind": "app"}}]),
        ada(),
        &[r#"/deliver/0/headers/x-kind: "app" / "user""#],
    );
    check(
        json!([{"body": body, "headers": {"x-a": "b"}}]),
        ada(),
        &[r#"/deliver/0/headers/x-a: "b" / nothing"#],
    );
    check(json!([{"body": body, "method": "PUT"}]), ada(), &[r#"/deliver/0/method: "PUT" / "POST""#]);
    check(json!([{"body": body, "url": "HTTPS://receiver.example:443/hook"}]), ada(), &[]);
    check(json!([{"body": body, "part_key": "a"}]), ada(), &[r#"/deliver/0/part_key: "a" / nothing"#]);
    check(json!([{"body": {"n": 2, "text": "Ada"}}]), ada(), &["/deliver/0/body/n: 2 / 1.0"]);
    check(
        json!([{"body_text": "Ada"}]),
        ada(),
        &[r#"/deliver/0/body_text: "Ada" / "{\"text\": \"Ada\", \"n\": 1.0}""#],
    );
    check(
        json!([{"body": 1}]),
        vec![request(b"Ada")],
        &["/deliver/0/body: 1 / nothing", r#"/deliver/0/body_text: nothing / "Ada""#],
    );
    check(
        json!([{"body_text": "a"}]),
        vec![request(b"\xff")],
        &[r#"/deliver/0/body_text: "a" / nothing"#, r#"/deliver/0/body_base64: nothing / "/w==""#],
    );
    check(json!([{"body_base64": "/w=="}]), vec![request(b"\xff")], &[]);
    check(
        json!([]),
        ada(),
        &[
            r#"/deliver/0: nothing / {"method":"POST","url":"https://receiver.example/hook","headers":{"x-kind":"user"},"body":{"text":"Ada","n":1.0}}"#,
        ],
    );
    check(json!([{"body": body}, {"body": 2}]), ada(), &[r#"/deliver/1: {"body":2} / nothing"#]);
    let original = PreparedRequest { body: RequestBody::Original, ..request(b"") };
    check(json!([{"body": {"name": "Ada"}}]), vec![original], &[]);
    let secret = SecretHeader {
        name: HeaderName::from_static("authorization"),
        prefix: HeaderValue::from_static("Bearer "),
        secret: "slack_token".parse().unwrap(),
        suffix: HeaderValue::from_static(""),
    };
    let with_secret = PreparedRequest { secret_headers: vec![secret], ..request(b"1") };
    check(
        json!([{"body": 1, "headers": {"Authorization": "Bearer {secret:slack_token}"}}]),
        vec![with_secret],
        &[],
    );
}

#[test]
fn another_verdict_is_one_difference_that_says_what_happened() {
    let check = |expect: Value, result: Result<TransformOutcome, TransformFailure>, found: &str| {
        let sample = sample_expecting(&expect);
        let diff = sample.judge(&SampleReport::Transform(report(result))).unwrap_err();
        assert_eq!(diff.to_string(), format!("the verdict\n  expected {expect}\n  found    {found}"));
    };
    let deliver = json!({"deliver": [{"body": 1}]});
    let message = || "boom".to_owned();
    check(deliver.clone(), Ok(TransformOutcome::Drop(message())), r#"{"drop":"boom"}"#);
    check(deliver.clone(), Err(TransformFailure::Retryable { message: message() }), r#"{"retry":"boom"}"#);
    check(deliver.clone(), Err(TransformFailure::Permanent { message: message() }), r#"{"fail":"boom"}"#);
    let fault = TransformFailure::Fault { code: "plugin_trap", detail: "unreachable in `shape`".to_owned() };
    check(
        deliver.clone(),
        Err(fault),
        r#"{"fault":{"code":"plugin_trap","message":"unreachable in `shape`"}}"#,
    );
    let busy = TransformFailure::Unavailable { code: "plugin_queue_full", detail: message() };
    check(deliver, Err(busy), r#"{"fault":{"code":"plugin_queue_full","message":"boom"}}"#);
    check(
        json!({"drop": "a"}),
        Err(TransformFailure::Permanent { message: message() }),
        r#"{"fail":"boom"}"#,
    );
}

#[test]
fn the_other_worlds_are_judged_too() {
    let check = |of: fn() -> Value, expect: Value, report: SampleReport, expected: &[&str]| {
        let mut manifest = of();
        set(&mut manifest, "/samples/0/expect", expect);
        let sample = parse(&manifest).unwrap().samples.remove(0);
        assert_eq!(differences(&sample, &report), expected);
    };
    let event = |body: &'static [u8]| SourceEvent {
        event_type: "mail.delivered".parse().unwrap(),
        uid: Some("7".parse().unwrap()),
        channels: Channels::default(),
        content_type: ContentType::json(),
        body: Bytes::from_static(body),
    };
    let accepted = || SampleReport::Source(report(Ok(SourceVerdict::Accept(vec![event(b"{\"ok\":true}")]))));
    let ok = json!({"accept": [{"type": "mail.delivered", "body": {"ok": true}}]});
    check(source, ok, accepted(), &[]);
    let channels = json!({"accept": [{"type": "mail.bounced", "channels": ["eu"], "body": {"ok": true}}]});
    check(
        source,
        channels,
        accepted(),
        &[r#"/accept/0/type: "mail.bounced" / "mail.delivered""#, r#"/accept/0/channels/0: "eu" / nothing"#],
    );
    let reply =
        SourceReply { status: StatusCode::OK, headers: HeaderMap::new(), body: Bytes::from_static(b"hi") };
    let replied = || SampleReport::Source(report(Ok(SourceVerdict::Reply(reply.clone()))));
    check(source, json!({"reply": {"status": 200}}), replied(), &[]);
    check(
        source,
        json!({"reply": {"status": 200, "body_text": "ho"}}),
        replied(),
        &[r#"/reply/body_text: "ho" / "hi""#],
    );
    check(
        source,
        json!({"reject": "no"}),
        replied(),
        &[r#": {"reject":"no"} / {"reply":{"status":200,"body_text":"hi"}}"#],
    );
    let answered = |verdict| SampleReport::Classifier(report(Ok(verdict)));
    check(classifier, json!({"delivered": true}), answered(ClassifierVerdict::Delivered), &[]);
    check(
        classifier,
        json!({"retry": "a"}),
        answered(ClassifierVerdict::Retry("b".to_owned())),
        &[r#"/retry: "a" / "b""#],
    );
    check(
        classifier,
        json!({"fail": "a"}),
        answered(ClassifierVerdict::Delivered),
        &[r#": {"fail":"a"} / {"delivered":true}"#],
    );
    check(classifier, json!({"no_opinion": true}), answered(ClassifierVerdict::NoOpinion), &[]);
    // The sample's answer is a 200, of which the status says that it is a delivery.
    check(classifier, json!({"delivered": true}), answered(ClassifierVerdict::NoOpinion), &[]);
}

#[test]
fn a_diff_stays_small_and_shows_where_long_texts_part() {
    let long = "a".repeat(100_000);
    let sample = sample_expecting(&json!({"deliver": [{"body_text": format!("{long}b")}]}));
    let diff = sample.judge(&delivered(vec![request(format!("{long}c").as_bytes())])).unwrap_err();
    let twenty = "a".repeat(20);
    let expected = format!("/deliver/0/body_text\n  expected \"…{twenty}b\"\n  found    \"…{twenty}c\"");
    assert_eq!(diff.to_string(), expected);

    let many: Vec<_> = (0..500).map(|index| format!("{index}{long}")).collect();
    let sample = sample_expecting(&json!({"deliver": [{"body": []}]}));
    let diff = sample.judge(&delivered(vec![request(json!(many).to_string().as_bytes())])).unwrap_err();
    assert!(diff.to_string().ends_with("\nand 480 more"), "{diff}");
    assert!(diff.to_string().len() < 20_000 && diff.to_json().to_string().len() < 20_000);
}

#[test]
fn a_run_that_gave_no_verdict_is_no_snapshot() {
    let sample = sample_expecting(&json!({"drop": "a"}));
    let trap = TransformFailure::Fault { code: "plugin_trap", detail: String::new() };
    assert_eq!(sample.draft_expectation(&SampleReport::Transform(report(Err(trap)))), None);
    let retry = TransformFailure::Retryable { message: "later".to_owned() };
    let draft = sample.draft_expectation(&SampleReport::Transform(report(Err(retry))));
    assert_eq!(draft, Some(json!({"retry": "later"})));
}

fn any_body() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        any_json().prop_map(|value| value.to_string().into_bytes()),
        ".{0,8}".prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..8),
        (0..120_usize).prop_map(|deep| format!("{}{}", "[".repeat(deep), "]".repeat(deep)).into_bytes()),
    ]
}

prop_compose! {
    fn any_request()(
        body in any_body(),
        original in any::<bool>(),
        values in prop::collection::vec(prop::collection::vec(0x20..0x7f_u8, 0..5), 0..3),
        raw in prop::collection::vec(0x80..=0xff_u8, 0..3),
        part in prop::option::of("[a-z.]{1,4}"),
    ) -> PreparedRequest {
        let mut prepared = request(&body);
        for value in values.iter().chain([&raw]) {
            prepared.headers.append("x-any", HeaderValue::from_bytes(value).unwrap());
        }
        if original {
            prepared.body = RequestBody::Original;
        }
        prepared.part = part.map(|text| text.parse().unwrap());
        prepared
    }
}

proptest! {
    #[test]
    fn a_report_meets_the_expectation_drafted_from_it(requests in prop::collection::vec(any_request(), 0..3)) {
        let report = delivered(requests);
        let draft = sample_expecting(&json!({"drop": ""})).draft_expectation(&report).unwrap();
        let sample = sample_expecting(&draft);
        prop_assert_eq!(differences(&sample, &report), Vec::<String>::new());
        prop_assert_eq!(sample.draft_expectation(&report), Some(draft));
    }
}

#[test]
fn numbers_are_judged_and_drafted_digit_by_digit() {
    let manifest = transform().to_string();
    let expecting = |body: &str| {
        let expect = format!(r#""expect":{{"deliver":[{{"body":{body}}}]}}"#);
        let mut document: Value = serde_json::from_str(&manifest).unwrap();
        document["samples"][0]["expect"] = json!("EXPECT");
        let text = document.to_string().replace(r#""expect":"EXPECT""#, &expect);
        super::Manifest::parse(text.as_bytes()).unwrap()
    };
    let made = || delivered(vec![request(br#"{"n": 1.10, "i": 1000000000000000000000}"#)]);
    let same = expecting(r#"{"n":1.1,"i":1000000000000000000000.0}"#);
    assert_eq!(same.samples[0].judge(&made()), Ok(()));
    assert!(same.to_json().contains("1000000000000000000000.0"), "what is embedded is what was written");

    let other = expecting(r#"{"n":1.1,"i":1000000000000000000001}"#);
    let difference = other.samples[0].judge(&made()).unwrap_err().to_string();
    let expect = "/deliver/0/body/i\n  expected 1000000000000000000001\n  found    1000000000000000000000";
    assert_eq!(difference, expect);
    let draft = other.samples[0].draft_json(&made()).unwrap();
    assert!(draft.contains(r#""body":{"n":1.10,"i":1000000000000000000000}"#), "{draft}");
}
