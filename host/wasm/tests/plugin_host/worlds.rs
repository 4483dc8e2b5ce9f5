//! Source plugins and classifiers.

use std::sync::Arc;

use bytes::Bytes;
use hookmill_core::limits::SOURCE_EVENTS_MAX;
use hookmill_core::plugin::{
    ClassifierVerdict, InboundRequest, PluginDigest, ReceiverAnswer, SourceVerdict, World,
};
use hookmill_core::port::Plugins;
use hookmill_core::port::plugins::{ClassifierReport, ClassifierRun, SourceReport, SourceRun};
use hookmill_core::time::UnixMillis;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

use crate::guest::{MEMORY, TestHost, embed, endpoint, fault_of, module, run_of};

const NOW: UnixMillis = UnixMillis(1_795_309_323_000);

/// `$new` makes an event of the type at `at`, `$verdict` writes a verdict. Memory as in `guest`.
const SOURCE: &str = r#"
  (import "hookmill:plugin/inbound@1.0.0" "[method]request.method" (func $method (param i32 i32)))
  (import "hookmill:plugin/inbound@1.0.0" "[method]request.path" (func $path (param i32 i32)))
  (import "hookmill:plugin/inbound@1.0.0" "[method]request.query" (func $query (param i32 i32)))
  (import "hookmill:plugin/inbound@1.0.0" "[method]request.header" (func $header (param i32 i32 i32 i32)))
  (import "hookmill:plugin/inbound@1.0.0" "[method]request.header-names" (func $header_names (param i32 i32)))
  (import "hookmill:plugin/inbound@1.0.0" "[method]request.bytes" (func $bytes (param i32 i32)))
  (import "hookmill:plugin/inbound@1.0.0" "[method]request.text" (func $text (param i32 i32)))
  (import "hookmill:plugin/inbound@1.0.0" "[method]request.json" (func $json (param i32 i32 i32 i32)))
  (import "hookmill:plugin/inbound@1.0.0" "[method]request.received-at" (func $received_at (param i32) (result i64)))
  (import "hookmill:plugin/inbound@1.0.0" "[resource-drop]request" (func $drop_request (param i32)))
  (import "hookmill:plugin/inbound@1.0.0" "[method]origin.name" (func $name (param i32 i32)))
  (import "hookmill:plugin/inbound@1.0.0" "[method]origin.settings" (func $settings (param i32 i32)))
  (import "hookmill:plugin/inbound@1.0.0" "[resource-drop]origin" (func $drop_origin (param i32)))
  (import "hookmill:plugin/inbound@1.0.0" "[static]new-event.create" (func $create_event (param i32 i32 i32)))
  (import "hookmill:plugin/inbound@1.0.0" "[method]new-event.set-uid" (func $set_uid (param i32 i32 i32 i32)))
  (import "hookmill:plugin/inbound@1.0.0" "[method]new-event.set-body-text" (func $set_text (param i32 i32 i32)))
  (import "hookmill:plugin/inbound@1.0.0" "[method]new-event.set-content-type" (func $set_type (param i32 i32 i32 i32)))
  (import "hookmill:plugin/inbound@1.0.0" "[static]reply.create" (func $create_reply (param i32 i32)))
  (import "hookmill:plugin/inbound@1.0.0" "[method]reply.set-header" (func $set_header (param i32 i32 i32 i32 i32 i32)))
  (import "hookmill:plugin/inbound@1.0.0" "[method]reply.set-body-text" (func $set_reply (param i32 i32 i32)))
  (func $verdict (param $case i32) (param $a i32) (param $b i32) (result i32)
    (i32.store8 (i32.const 0) (local.get $case))
    (i32.store (i32.const 4) (local.get $a))
    (i32.store (i32.const 8) (local.get $b))
    (i32.const 0))
  (func $made (result i32)
    (if (i32.load8_u (i32.const 128)) (then unreachable))
    (i32.load (i32.const 132)))
  (func $new (param $at i32) (param $length i32) (result i32)
    (call $create_event (local.get $at) (local.get $length) (i32.const 128))
    (call $made))
  (func $accept (param $event i32) (result i32)
    (i32.store (i32.const 64) (local.get $event))
    (call $verdict (i32.const 0) (i32.const 64) (i32.const 1)))
  (func $set (param $event i32)
    (call $set_text (local.get $event) (i32.load (i32.const 128)) (i32.load (i32.const 132))))
"#;

/// A source plugin whose `receive` does this with `$request` and `$origin`; `$e` and `$i` are for its use.
fn source(data: &str, body: &str) -> Vec<u8> {
    let text = format!(
        r#"(module {SOURCE_IMPORTS} {MEMORY} {SOURCE_FUNCTIONS} (data (i32.const 256) "{data}")
  (func $body (param $request i32) (param $origin i32) (result i32) (local $e i32) (local $i i32) {body})
  (func (export "hookmill:plugin/source@1.0.0#receive") (param $request i32) (param $origin i32) (result i32)
    (local $result i32)
    (local.set $result (call $body (local.get $request) (local.get $origin)))
    (call $drop_request (local.get $request))
    (call $drop_origin (local.get $origin))
    (local.get $result)))"#,
        SOURCE_IMPORTS = &SOURCE[..SOURCE.find("  (func $verdict").unwrap()],
        SOURCE_FUNCTIONS = &SOURCE[SOURCE.find("  (func $verdict").unwrap()..],
    );
    embed(&text, "source-plugin")
}

fn source_run(digest: PluginDigest, body: &[u8]) -> SourceRun {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("application/x-www-form-urlencoded"));
    headers.append("x-id", HeaderValue::from_static("SM1"));
    headers.append("x-id", HeaderValue::from_static("SM2"));
    SourceRun {
        digest,
        application: endpoint(1).application,
        source: "twilio".into(),
        request: Arc::new(InboundRequest {
            method: Method::PUT,
            path: "/status".into(),
            query: "a=1".into(),
            headers,
            body: Bytes::copy_from_slice(body),
        }),
        settings: r#"{"prefix":"sms"}"#.into(),
        secrets: Arc::default(),
        now: NOW,
    }
}

async fn receive(host: &TestHost, plugin: &[u8], body: &[u8]) -> SourceReport {
    let digest = host.upload(plugin).await.unwrap();
    host.host.receive(source_run(digest, body)).await
}

fn events_of(report: &SourceReport) -> &[hookmill_core::plugin::SourceEvent] {
    match &report.result {
        Ok(SourceVerdict::Accept(events)) => events,
        other => panic!("expected events, got {other:?}"),
    }
}

#[tokio::test]
async fn a_request_becomes_an_event_with_its_body_and_type() {
    let host = TestHost::new();
    let plugin = source("sms.sent", "(call $accept (call $new (i32.const 256) (i32.const 8)))");
    let report = receive(&host, &plugin, b"Status=sent").await;
    let [event] = events_of(&report) else { panic!("one event: {report:?}") };
    assert_eq!(event.event_type.as_str(), "sms.sent");
    assert_eq!(event.content_type.as_str(), "application/x-www-form-urlencoded");
    assert_eq!((event.uid.as_ref(), event.body.as_ref()), (None, b"Status=sent".as_slice()));
    assert!(report.cost.fuel > 500 && report.cost.memory_peak_bytes == 2 * 65536, "{:?}", report.cost);
}

#[tokio::test]
async fn a_source_sees_its_request_and_its_settings() {
    let host = TestHost::new();
    let rows: [(&str, &str, &[u8]); 8] = [
        ("(call $method (local.get $request) (i32.const 128))", "PUT", b""),
        ("(call $path (local.get $request) (i32.const 128))", "/status", b""),
        ("(call $query (local.get $request) (i32.const 128))", "a=1", b""),
        ("(call $bytes (local.get $request) (i32.const 128))", "raw", b"raw"),
        ("(call $name (local.get $origin) (i32.const 128))", "twilio", b""),
        ("(call $settings (local.get $origin) (i32.const 128))", r#"{"prefix":"sms"}"#, b""),
        // An option or a result of an option has its text behind the tags.
        (
            "(call $header (local.get $request) (i32.const 264) (i32.const 4) (i32.const 124))",
            "SM1, SM2",
            b"",
        ),
        (
            "(call $json (local.get $request) (i32.const 268) (i32.const 2) (i32.const 120))",
            "1.50",
            br#"{"n": 1.50}"#,
        ),
    ];
    for (read, expect, body) in rows {
        let plugin = source(
            "sms.sentX-Id/n",
            &format!(
                "(local.set $e (call $new (i32.const 256) (i32.const 8))) {read} (call $set (local.get $e))
                 (call $accept (local.get $e))"
            ),
        );
        let report = receive(&host, &plugin, body).await;
        assert_eq!(events_of(&report)[0].body, expect, "{read}");
    }
}

#[tokio::test]
async fn uid_and_content_type_are_checked_when_set() {
    let host = TestHost::new();
    let set = |setter: &str, data: &str, length: usize| {
        source(
            &format!("sms.sent{data}"),
            &format!(
                "(local.set $e (call $new (i32.const 256) (i32.const 8)))
                 (call {setter} (local.get $e) (i32.const 264) (i32.const {length}) (i32.const 128))
                 (if (i32.load8_u (i32.const 128))
                   (then (return (call $verdict (i32.const 2) (i32.load (i32.const 132)) (i32.load (i32.const 136))))))
                 (call $accept (local.get $e))"
            ),
        )
    };
    let report = receive(&host, &set("$set_uid", "SM1", 3), b"").await;
    assert_eq!(events_of(&report)[0].uid.as_ref().unwrap().as_str(), "SM1");
    let report = receive(&host, &set("$set_type", "text/csv", 8), b"").await;
    assert_eq!(events_of(&report)[0].content_type.as_str(), "text/csv");
    let refused = |report: SourceReport| match report.result {
        Ok(SourceVerdict::Reject(reason)) => reason,
        other => panic!("expected a rejection, got {other:?}"),
    };
    assert!(refused(receive(&host, &set("$set_uid", "S 1", 3), b"").await).contains("uid"));
    assert!(refused(receive(&host, &set("$set_type", "a\\0ab", 4), b"").await).contains("content type"));
}

#[tokio::test]
async fn a_source_ignores_rejects_and_replies() {
    let host = TestHost::new();
    let ignore = source("", "(call $verdict (i32.const 0) (i32.const 64) (i32.const 0))");
    assert_eq!(events_of(&receive(&host, &ignore, b"").await), []);
    let reject = source("not\\0aours", "(call $verdict (i32.const 2) (i32.const 256) (i32.const 8))");
    let report = receive(&host, &reject, b"").await;
    assert_eq!(report.result, Ok(SourceVerdict::Reject("not\nours".into())));
    let reply = source(
        "x-challengeabc",
        "(call $create_reply (i32.const 201) (i32.const 128))
         (local.set $e (call $made))
         (call $set_header (local.get $e) (i32.const 256) (i32.const 11) (i32.const 267) (i32.const 3) (i32.const 140))
         (call $set_reply (local.get $e) (i32.const 267) (i32.const 3))
         (call $verdict (i32.const 1) (local.get $e) (i32.const 0))",
    );
    let report = receive(&host, &reply, b"").await;
    let Ok(SourceVerdict::Reply(reply)) = report.result else { panic!("a reply: {report:?}") };
    assert_eq!((reply.status, reply.body.as_ref()), (StatusCode::CREATED, b"abc".as_slice()));
    let headers: Vec<_> = reply.headers.iter().collect();
    let name = HeaderName::from_static("x-challenge");
    assert_eq!(headers, [(&name, &HeaderValue::from_static("abc"))]);
}

#[tokio::test]
async fn what_a_source_makes_is_bounded() {
    let host = TestHost::new();
    let drop = "(call $verdict (i32.const 0) (i32.const 64) (i32.const 0))";
    let repeat = |times: usize, what: &str, then: &str| {
        format!(
            "(loop $next {what} (local.set $i (i32.add (local.get $i) (i32.const 1)))
               (br_if $next (i32.lt_u (local.get $i) (i32.const {times})))) {then}"
        )
    };
    let new = "(call $new (i32.const 256) (i32.const 1))";
    let list = |count: usize| {
        let store =
            format!("(i32.store (i32.add (i32.const 1024) (i32.mul (local.get $i) (i32.const 4))) {new})");
        repeat(count, &store, &format!("(call $verdict (i32.const 0) (i32.const 1024) (i32.const {count}))"))
    };
    let large = vec![b'x'; 1 << 20];
    let rows = [
        (
            "events",
            source("t", &repeat(SOURCE_EVENTS_MAX + 1, &format!("(drop {new})"), drop)),
            b"".as_slice(),
            "plugin_event_limit",
            "events",
        ),
        (
            "one body in many events",
            source("t", &list(3)),
            large.as_slice(),
            "plugin_output_limit",
            "2097152",
        ),
        (
            "replies",
            source("t", &repeat(17, "(call $create_reply (i32.const 200) (i32.const 128))", drop)),
            b"",
            "plugin_reply_limit",
            "16",
        ),
        (
            "a large reply",
            source(
                "t",
                "(call $create_reply (i32.const 200) (i32.const 128)) (drop (memory.grow (i32.const 1)))
                 (call $set_reply (call $made) (i32.const 1024) (i32.const 65537)) unreachable",
            ),
            b"",
            "plugin_output_limit",
            "65536",
        ),
        (
            "a status that is none",
            source(
                "t",
                "(call $create_reply (i32.const 100) (i32.const 128)) (drop (call $made)) unreachable",
            ),
            b"",
            "plugin_trap",
            "made < body",
        ),
        (
            "a loop",
            source("t", "(loop $forever (br $forever)) unreachable"),
            b"",
            "plugin_out_of_fuel",
            "in body",
        ),
    ];
    for (what, plugin, body, code, part) in rows {
        let (found, detail) = fault_of(&receive(&host, &plugin, body).await);
        assert_eq!(found, code, "{what}: {detail}");
        assert!(detail.contains(part), "{what}: {detail}");
    }
    let report = receive(&host, &source("t", &list(100)), b"small").await;
    assert_eq!(events_of(&report).len(), 100);
}

/// A classifier that answers by the `error` of the body and has no opinion of a 503.
fn classifier() -> Vec<u8> {
    let text = format!(
        r#"(module
  (import "hookmill:plugin/answer@1.0.0" "[method]response.status" (func $status (param i32) (result i32)))
  (import "hookmill:plugin/answer@1.0.0" "[method]response.header" (func $header (param i32 i32 i32 i32)))
  (import "hookmill:plugin/answer@1.0.0" "[method]response.json" (func $json (param i32 i32 i32 i32)))
  (import "hookmill:plugin/answer@1.0.0" "[method]response.no-opinion" (func $no_opinion (param i32)))
  (import "hookmill:plugin/answer@1.0.0" "[resource-drop]response" (func $drop_response (param i32)))
  (import "hookmill:plugin/event@1.0.0" "[method]event.event-type" (func $type (param i32 i32)))
  (import "hookmill:plugin/event@1.0.0" "[resource-drop]event" (func $drop_event (param i32)))
  (import "hookmill:plugin/event@1.0.0" "[method]target.attempt" (func $attempt (param i32) (result i32)))
  (import "hookmill:plugin/event@1.0.0" "[resource-drop]target" (func $drop_target (param i32)))
  {MEMORY}
  (data (i32.const 256) "/errorretry-me")
  (func (export "hookmill:plugin/classifier@1.0.0#classify")
    (param $response i32) (param $event i32) (param $target i32) (result i32)
    (i32.store8 (i32.const 0) (i32.const 0))
    (call $json (local.get $response) (i32.const 256) (i32.const 6) (i32.const 120))
    ;; a result, an option, a text
    (if (i32.and (i32.eqz (i32.load8_u (i32.const 120))) (i32.load8_u (i32.const 124)))
      (then (i32.store8 (i32.const 0) (i32.const 2))
            (i32.store (i32.const 4) (i32.load (i32.const 128)))
            (i32.store (i32.const 8) (i32.load (i32.const 132)))))
    (call $header (local.get $response) (i32.const 262) (i32.const 8) (i32.const 120))
    (if (i32.load8_u (i32.const 120))
      (then (call $type (local.get $event) (i32.const 128))
            (if (i32.ne (call $attempt (local.get $target)) (i32.const 3)) (then unreachable))
            (i32.store8 (i32.const 0) (i32.const 1))
            (i32.store (i32.const 4) (i32.load (i32.const 128)))
            (i32.store (i32.const 8) (i32.load (i32.const 132)))))
    (if (i32.eq (call $status (local.get $response)) (i32.const 503))
      (then (call $no_opinion (local.get $response)))
      (else (if (i32.ne (call $status (local.get $response)) (i32.const 200)) (then unreachable))))
    (call $drop_response (local.get $response))
    (call $drop_event (local.get $event))
    (call $drop_target (local.get $target))
    (i32.const 0)))"#
    );
    embed(&text, "classifier-plugin")
}

fn classifier_run(digest: PluginDigest, headers: HeaderMap, body: &str) -> ClassifierRun {
    let transform = run_of(digest, "{}");
    ClassifierRun {
        digest,
        event: transform.event,
        endpoint: transform.endpoint,
        settings: transform.settings,
        secrets: transform.secrets,
        attempt: 3,
        response: Arc::new(ReceiverAnswer {
            status: StatusCode::OK,
            headers,
            body: Bytes::copy_from_slice(body.as_bytes()),
        }),
        now: NOW,
    }
}

#[tokio::test]
async fn a_classifier_reads_what_the_receiver_answered() {
    let host = TestHost::new();
    let digest = host.upload(&classifier()).await.unwrap();
    let retry = HeaderMap::from_iter([(HeaderName::from_static("retry-me"), HeaderValue::from_static("1"))]);
    let rows = [
        (HeaderMap::new(), r#"{"ok": true}"#, ClassifierVerdict::Delivered),
        (HeaderMap::new(), "not JSON", ClassifierVerdict::Delivered),
        (HeaderMap::new(), r#"{"error": "gone"}"#, ClassifierVerdict::Fail(r#""gone""#.into())),
        (retry, "{}", ClassifierVerdict::Retry("invoice.paid".into())),
    ];
    for (headers, body, verdict) in rows {
        let report: ClassifierReport = host.host.classify(classifier_run(digest, headers, body)).await;
        assert_eq!(report.result, Ok(verdict), "{body}");
        assert!(report.cost.fuel > 500 && report.cost.memory_peak_bytes == 2 * 65536, "{:?}", report.cost);
    }
    let mut run = classifier_run(digest, HeaderMap::new(), r#"{"error": "gone"}"#);
    run.response =
        Arc::new(ReceiverAnswer { status: StatusCode::SERVICE_UNAVAILABLE, ..(*run.response).clone() });
    let report = host.host.classify(run).await;
    assert_eq!(report.result, Ok(ClassifierVerdict::NoOpinion), "whatever it returns beside it");
}

#[tokio::test]
async fn a_plugin_of_another_world_is_named_and_not_run() {
    let host = TestHost::new();
    let transform = host.upload(&module("", "unreachable")).await.unwrap();
    let source = host.upload(&source("t", "unreachable")).await.unwrap();
    let classifier = host.upload(&classifier()).await.unwrap();
    let check = |fault: (String, String), found: World, wanted: World| {
        assert_eq!(fault.0, "plugin_world_mismatch");
        assert_eq!(fault.1, format!("this is a {found} plugin, where a {wanted} plugin is needed"));
    };
    for (digest, found) in [(source, World::Source), (classifier, World::Classifier)] {
        check(fault_of(&host.host.run(run_of(digest, "{}")).await), found, World::Transform);
    }
    for (digest, found) in [(transform, World::Transform), (classifier, World::Classifier)] {
        check(fault_of(&host.host.receive(source_run(digest, b"")).await), found, World::Source);
    }
    for (digest, found) in [(transform, World::Transform), (source, World::Source)] {
        let run = classifier_run(digest, HeaderMap::new(), "{}");
        check(fault_of(&host.host.classify(run).await), found, World::Classifier);
    }
}
