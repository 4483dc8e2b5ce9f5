//! Numbers keep their digits wherever JSON of a caller or of a plugin is shown: no `1.1` for `1.10`, no `1e+21`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hookmill_core::plugin::{PluginFacts, RunCost, TransformOutcome, World as PluginWorld};
use hookmill_core::port::plugins::TransformReport;
use hookmill_core::request::{PreparedRequest, RequestBody};
use http::{HeaderMap, Method};

use super::World;

const BODY: &str = r#"{"n":1.10,"i":1000000000000000000000}"#;

fn delivering(body: RequestBody) -> TransformReport {
    let request = PreparedRequest {
        method: Method::POST,
        url: "https://receiver.example/hook".parse().unwrap(),
        made_for: None,
        headers: HeaderMap::new(),
        secret_headers: Vec::new(),
        body,
        part: None,
    };
    let result = Ok(TransformOutcome::Deliver(vec![request]));
    TransformReport { result, cost: RunCost::default(), logs: Vec::new() }
}

#[tokio::test]
async fn a_dry_run_gives_and_shows_all_digits() {
    let world = World::new().await;
    let component = STANDARD.encode("one");
    let check = async |made: RequestBody, expect: &[&str]| {
        world.plugins.script(delivering(made));
        let question = format!(
            r#"{{"component": "{component}", "settings": {{"limit": 1.10}}, "event": {{"type": "a.b", "body": {BODY}}}}}"#
        );
        let tried = world.call("POST", "/api/v1/plugin/run", &question).await;
        let text = String::from_utf8_lossy(&tried.body).into_owned();
        assert_eq!(tried.status, 200, "{text}");
        for part in expect {
            assert!(text.contains(part), "no {part} in {text}");
        }
    };
    let shown = format!(r#""body":{BODY}"#);
    check(RequestBody::Original, &[r#""requests":[{"#, &shown, r#""diff":[]"#]).await;
    let run = world.plugins.runs().remove(0);
    assert_eq!((&run.event.body[..], &*run.settings), (BODY.as_bytes(), r#"{"limit":1.10}"#));

    let made = Bytes::from_static(br#"{"n": 1.1, "i": 1000000000000000000001}"#);
    let difference =
        r#""diff":[{"pointer":"/i","before":1000000000000000000000,"after":1000000000000000000001}]"#;
    check(RequestBody::Replaced(made), &[r#""body":{"n":1.1,"i":1000000000000000000001}"#, difference]).await;
}

#[tokio::test]
async fn a_dry_run_names_what_it_does_not_know() {
    let world = World::new().await;
    let check = async |question: &str, code: &str| {
        let refused = world.call("POST", "/api/v1/plugin/run", question).await;
        assert_eq!((refused.status, refused.code().as_str()), (422, code), "{question}");
    };
    check(r#"{"component": "b25l", "events": {}}"#, "member_unknown").await;
    check(r#"{"component": "b25l", "event": {"type": "a.b", "bodies": 1}}"#, "manifest_key_unknown").await;
    check(r#"{"component": "b25l"}"#, "manifest_key_missing").await;
}

#[tokio::test]
async fn what_is_listed_has_the_digits_of_what_is_shown() {
    let world = World::new().await;
    world.shop().await;
    let check = async |create: &str, body: &str, list: &str, expect: &str| {
        let made = world.call("POST", create, body).await;
        assert_eq!(made.status, 201, "{made:?}");
        for shown in [made, world.call("GET", list, "").await] {
            let text = String::from_utf8_lossy(&shown.body).into_owned();
            assert!(text.contains(expect), "no {expect} in {text}");
        }
    };
    check(
        "/api/v1/app/shop/endpoint",
        r#"{"url": "https://example.com/", "pattern": {"n":[1.10,1000000000000000000000]}}"#,
        "/api/v1/app/shop/endpoint",
        r#""pattern":{"n":[1.10,1000000000000000000000]}"#,
    )
    .await;
    check(
        "/api/v1/event-type",
        r#"{"name": "a.b", "description": "", "schemas": {"1":{"enum":[1.10,1000000000000000000000]}}}"#,
        "/api/v1/event-type?with_content=true",
        r#""schemas":{"1":{"enum":[1.10,1000000000000000000000]}}"#,
    )
    .await;
    let reads =
        PluginFacts { world: PluginWorld::Source, imports: Vec::new(), manifest: None, artefact_bytes: 1 };
    world.plugins.find(Bytes::from_static(b"reads"), reads);
    let upload = world.call("PUT", "/api/v1/plugin/reads", "reads").await;
    assert!([200, 201].contains(&upload.status), "{upload:?}");
    check(
        "/api/v1/source",
        r#"{"name": "mail", "application": "shop", "verification": {"type": "none"},
            "plugin": {"name": "reads", "settings": {"limit":1.10}}}"#,
        "/api/v1/source",
        r#""settings":{"limit":1.10}"#,
    )
    .await;
}
