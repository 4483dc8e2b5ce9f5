//! Runs that behave.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hookmill_core::delivery::TransformFailure;
use hookmill_core::plugin::{LogLevel, PluginDigest, TransformOutcome};
use hookmill_core::port::Plugins;
use hookmill_core::port::plugins::PLUGIN_NOT_LOADED;
use hookmill_core::request::RequestBody;
use hookmill_wasm::WasmConfig;
use hookmill_wasm::limits::RunLimits;

use crate::guest::{TestHost, embed_binary, fault_of, module, module_text, request_of, run_of};

/// Sends the text at 256 as the body.
const SEND_TEXT: &str = "(local.set $r (call $request))
    (call $set_body (local.get $r) (i32.const 256) (i32.const 5)) (call $deliver (local.get $r))";

#[tokio::test]
async fn delivers_the_event_as_it_came() {
    let host = TestHost::new();
    let report = host.run(&module("", "(call $deliver (call $request))"), "{}").await;
    let request = request_of(&report);
    assert_eq!(request.body, RequestBody::Original);
    assert_eq!(request.url.as_str(), "https://example.com/hooks");
    assert_eq!(request.method, http::Method::POST);
    assert!(report.cost.fuel > 500, "{:?}", report.cost);
    assert_eq!(report.cost.memory_peak_bytes, 2 * 65536);
}

#[tokio::test]
async fn drops_and_fails_with_its_reason() {
    let host = TestHost::new();
    let data = r#"(data (i32.const 256) "not\nus")"#;
    let answer = |failed, case| {
        module(
            data,
            &format!("(call $answer (i32.const {failed}) (i32.const {case}) (i32.const 256) (i32.const 6))"),
        )
    };
    let message = || "not\nus".to_owned();
    let results = [
        host.run(&answer(0, 1), "{}").await.result,
        host.run(&answer(1, 0), "{}").await.result,
        host.run(&answer(1, 1), "{}").await.result,
    ];
    let expect = [
        Ok(TransformOutcome::Drop(message())),
        Err(TransformFailure::Retryable { message: message() }),
        Err(TransformFailure::Permanent { message: message() }),
    ];
    assert_eq!(results, expect);
}

#[tokio::test]
async fn reads_one_field_and_patches_another() {
    let host = TestHost::new();
    // `/data/to` at 256, a patch at 300; the field goes to the log.
    let plugin = module(
        r#"(data (i32.const 256) "/data/to") (data (i32.const 300) "{\"sent\":true,\"secret\":null}")"#,
        r#"(call $event_json (local.get $event) (i32.const 256) (i32.const 8) (i32.const 128))
           (call $log (i32.const 1) (i32.load (i32.const 136)) (i32.load (i32.const 140)))
           (local.set $r (call $request))
           (call $set_body_patch (local.get $r) (i32.const 300) (i32.const 27) (i32.const 128))
           (call $deliver (local.get $r))"#,
    );
    let report = host.run(&plugin, r#"{"data":{"to":1.10},"secret":"x"}"#).await;
    assert_eq!(report.logs.len(), 1);
    assert_eq!((report.logs[0].level, report.logs[0].message.as_str()), (LogLevel::Info, "1.10"));
    let expect = RequestBody::Replaced(r#"{"data":{"to":1.10},"sent":true}"#.into());
    assert_eq!(request_of(&report).body, expect);
}

#[tokio::test]
async fn refused_arguments_are_answers_to_the_plugin() {
    // Each body calls a setter whose answer, an error's text, becomes the reason of a permanent failure.
    let host = TestHost::new();
    let with = |data: &str, call: &str| {
        module(
            data,
            &format!(
                "(local.set $r (call $request)) {call}
                 (if (i32.eqz (i32.load8_u (i32.const 128))) (then (return (call $deliver (local.get $r)))))
                 (call $answer (i32.const 1) (i32.const 1) (i32.load (i32.const 132)) (i32.load (i32.const 136)))"
            ),
        )
    };
    let header = |name: &str, value: &str| {
        let data = format!(r#"(data (i32.const 256) "{name}") (data (i32.const 512) "{value}")"#);
        let (name, value) =
            (name.len() - 2 * name.matches("\\0").count(), value.len() - 2 * value.matches("\\0").count());
        with(
            &data,
            &format!(
                "(call $set_header (local.get $r) (i32.const 256) (i32.const {name}) (i32.const 512) (i32.const {value}) (i32.const 128))"
            ),
        )
    };
    let url = |url: &str| {
        let data = format!(r#"(data (i32.const 256) "{url}")"#);
        with(
            &data,
            &format!(
                "(call $set_url (local.get $r) (i32.const 256) (i32.const {}) (i32.const 128))",
                url.len()
            ),
        )
    };
    let rows = [
        (header("webhook-id", "x"), "header `webhook-id` is reserved"),
        (header("Host", "x"), "header `host` is reserved"),
        (header("x y", "x"), "`x y` is no header name"),
        (header("x-a", "1\\0d\\0ahost: evil"), "the value of header `x-a` has a control character"),
        (url("https://evil.example/hooks"), "https://evil.example"),
        (url("http://example.com/hooks"), "http://example.com"),
        (url("https://example.com:8443/"), "https://example.com:8443"),
        (url("file:///etc/passwd"), "https or http"),
    ];
    for (plugin, part) in rows {
        match host.run(&plugin, "{}").await.result {
            Err(TransformFailure::Permanent { message }) => assert!(message.contains(part), "{message}"),
            other => panic!("{part}: {other:?}"),
        }
    }
    let accepted = host.run(&header("x-team", "billing"), "{}").await;
    assert_eq!(request_of(&accepted).headers["x-team"], "billing");
    let accepted = host.run(&url("https://example.com/other?x=1"), "{}").await;
    assert_eq!(request_of(&accepted).url.as_str(), "https://example.com/other?x=1");
}

#[tokio::test]
async fn a_run_that_is_done_again_is_the_same_run() {
    let host = TestHost::new();
    let plugin = module(
        "",
        "(i64.store (i32.const 256) (call $random)) (i64.store (i32.const 264) (call $random))
         (i64.store (i32.const 272) (call $now))
         (call $hash (i32.const 1) (i32.const 256) (i32.const 24) (i32.const 128))
         (local.set $r (call $request))
         (call $set_body (local.get $r) (i32.load (i32.const 128)) (i32.load (i32.const 132)))
         (call $deliver (local.get $r))",
    );
    let first = host.run(&plugin, "{}").await;
    for _ in 0..50 {
        let again = host.run(&plugin, "{}").await;
        assert_eq!(again.result, first.result);
        assert_eq!(again.cost.fuel, first.cost.fuel);
    }
    let digest = PluginDigest::of(&plugin);
    let mut other = run_of(digest, "{}");
    other.endpoint = Arc::new(crate::guest::endpoint(2));
    assert_ne!(host.host.run(other).await.result, first.result, "another endpoint draws other numbers");
}

/// Each plugin looks at all of its memory, its table and its globals for a byte that it did not write, then leaves a
/// pattern everywhere. Both ways of wiping memory, the same plugin again and another one in its place.
#[tokio::test]
async fn no_byte_of_a_run_is_in_a_later_one() {
    const LOOK_THEN_SPOIL: &str = "
        (drop (memory.grow (i32.const 100)))
        (local.set $i (i32.const 1024))
        (loop $next
          (if (i64.ne (i64.load (local.get $i)) (i64.const 0)) (then unreachable))
          (local.set $i (i32.add (local.get $i) (i32.const 8)))
          (br_if $next (i32.lt_u (local.get $i) (i32.const 6684672))))
        (local.set $i (i32.const 0))
        (loop $next
          (if (i32.eqz (ref.is_null (table.get 0 (local.get $i)))) (then unreachable))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br_if $next (i32.lt_u (local.get $i) (i32.const 64))))
        (if (i32.ne (global.get $top) (i32.const 65536)) (then unreachable))
        (memory.fill (i32.const 1024) (i32.const 0xA5) (i32.const 6683648))
        (table.fill 0 (i32.const 0) (ref.func $cabi_realloc) (i32.const 64))
        (global.set $top (i32.const 777))
        (call $deliver (call $request))";
    let plugin = |number: u32| {
        let items =
            format!("(table 64 funcref) (elem declare func $cabi_realloc) (global i32 (i32.const {number}))");
        module(&items, LOOK_THEN_SPOIL)
    };
    let plugins = [plugin(1), plugin(2)];
    for pagemap_scan in [true, false] {
        // Megabytes take their time on a busy machine, and time is not what this is about.
        let limits = RunLimits { time: Duration::from_secs(60), ..RunLimits::default() };
        let host = TestHost::configured(|config| WasmConfig { pagemap_scan, limits, ..config });
        for run in 0..200 {
            // One plugin twice, then the other one twice.
            request_of(&host.run(&plugins[run / 2 % 2], "{}").await);
        }
    }
}

#[tokio::test]
async fn a_trap_names_file_and_line_where_there_is_debug_information() {
    let host = TestHost::new();
    let text = module_text("", "\n\n\nunreachable");
    let line = 1 + text[..text.find("unreachable").unwrap()].matches('\n').count();
    let mut parser = wat::Parser::new();
    parser.generate_dwarf(wat::GenerateDwarf::Lines);
    let binary = parser.parse_str(Some(Path::new("plugin.wat")), &text).unwrap();
    let (code, detail) = host.fault(&embed_binary(binary, "transform-plugin")).await;
    assert_eq!(code, "plugin_trap");
    assert!(detail.contains(&format!("in body (./plugin.wat:{line}) < run (./plugin.wat:")), "{detail}");
}

#[tokio::test]
async fn runs_what_is_prepared_and_asks_for_the_rest() {
    let host = TestHost::new();
    let plugin = module(r#"(data (i32.const 256) "hello")"#, SEND_TEXT);
    let digest = PluginDigest::of(&plugin);
    let (code, _) = fault_of(&host.host.run(run_of(digest, "{}")).await);
    assert_eq!(code, PLUGIN_NOT_LOADED);
    host.upload(&plugin).await.unwrap();
    let report = host.host.run(run_of(digest, "{}")).await;
    assert_eq!(request_of(&report).body, RequestBody::Replaced("hello".into()));
    host.host.forget(digest).await;
    let (code, _) = fault_of(&host.host.run(run_of(digest, "{}")).await);
    assert_eq!(code, PLUGIN_NOT_LOADED);
}

#[tokio::test]
async fn several_requests_need_part_keys_that_differ() {
    let host = TestHost::new();
    // Two requests with the keys at 256 and 260, each of three bytes.
    let two = |keys: &str| {
        module(
            &format!(r#"(data (i32.const 256) "{keys}")"#),
            "(i32.store (i32.const 64) (call $request)) (i32.store (i32.const 68) (call $request))
             (call $set_part_key (i32.load (i32.const 64)) (i32.const 256) (i32.const 3) (i32.const 128))
             (call $set_part_key (i32.load (i32.const 68)) (i32.const 260) (i32.const 3) (i32.const 128))
             (call $answer (i32.const 0) (i32.const 0) (i32.const 64) (i32.const 2))",
        )
    };
    let Ok(TransformOutcome::Deliver(requests)) = host.run(&two("a-1 a-2"), "{}").await.result else {
        panic!("two requests");
    };
    let keys: Vec<_> = requests.iter().map(|request| request.part.as_ref().unwrap().as_str()).collect();
    assert_eq!(keys, ["a-1", "a-2"]);
    assert_eq!(host.fault(&two("a-1 a-1")).await.0, "plugin_part_keys");
    assert_eq!(host.fault(&two("a-1 a.1")).await.0, "plugin_part_keys", "the same webhook-id");
    let none = module("", "(call $answer (i32.const 0) (i32.const 0) (i32.const 64) (i32.const 0))");
    assert_eq!(host.fault(&none).await.0, "plugin_output_empty");
}
