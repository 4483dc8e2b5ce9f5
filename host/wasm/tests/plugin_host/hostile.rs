//! Runs that do not behave: each ends by itself, says which limit it broke, and hurts nobody else.

use std::sync::Arc;
use std::time::Duration;

use hookmill_core::endpoint::Endpoint;
use hookmill_core::id::ApplicationId;
use hookmill_core::port::Plugins;
use hookmill_core::port::plugins::TransformRun;
use hookmill_core::time::UnixMillis;
use hookmill_wasm::limits::{LOG_LINES_MAX, RunLimits};

use crate::guest::{TestHost, endpoint, fault_of, module, request_of, run_of};

const LOOP: &str = "(loop $forever (br $forever)) (call $deliver (call $request))";

#[tokio::test]
async fn every_breach_has_its_name() {
    let host = TestHost::new();
    let drop = "(call $answer (i32.const 0) (i32.const 1) (i32.const 256) (i32.const 0))";
    let repeat = |times: u32, what: &str| {
        format!(
            "(loop $next {what} (local.set $i (i32.add (local.get $i) (i32.const 1)))
               (br_if $next (i32.lt_u (local.get $i) (i32.const {times})))) {drop}"
        )
    };
    let rows = [
        ("loop in run", module("", LOOP), "plugin_out_of_fuel", "more than 30000200 of fuel in body < run"),
        (
            "loop at instantiation",
            module("(func $start (loop $forever (br $forever))) (start $start)", drop),
            "plugin_out_of_fuel",
            "start",
        ),
        (
            "recursion",
            module("(func $deeper (param i64 i64) (result i64) (i64.add (local.get 0) (call $deeper (local.get 1) (local.get 0))))", &format!("(drop (call $deeper (i64.const 1) (i64.const 2))) {drop}")),
            "plugin_stack_overflow",
            "524288 bytes of stack in deeper < deeper",
        ),
        (
            "memory at once",
            module("", &format!("(drop (memory.grow (i32.const 511))) {drop}")),
            "plugin_memory_limit",
            "more than 33554432 bytes of memory in body",
        ),
        ("memory bit by bit", module("", &repeat(600, "(drop (memory.grow (i32.const 1)))")), "plugin_memory_limit", "33554432"),
        (
            "table growth",
            module("(table 1 funcref)", &format!("(drop (table.grow 0 (ref.null func) (i32.const 50000))) {drop}")),
            "plugin_table_limit",
            "50000 elements",
        ),
        ("unreachable", module("", "unreachable"), "plugin_trap", "`unreachable` instruction executed in body < run"),
        ("out of bounds", module("", "(i32.load (i32.const -4))"), "plugin_trap", "out of bounds memory access in body"),
        ("division", module("", "(i32.div_u (i32.const 1) (local.get $i))"), "plugin_trap", "divide by zero"),
        (
            "huge answer",
            module("", "(call $answer (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 1073741824))"),
            "plugin_trap",
            "out of bounds",
        ),
        (
            "long answer",
            module("", "(drop (memory.grow (i32.const 100))) (call $answer (i32.const 0) (i32.const 1) (i32.const 1024) (i32.const 6000000))"),
            "plugin_host_call_bytes_limit",
            "more than 2097152 bytes",
        ),
        (
            "bad text",
            module(r#"(data (i32.const 256) "\ff\fe")"#, "(call $answer (i32.const 0) (i32.const 1) (i32.const 256) (i32.const 2))"),
            "plugin_trap",
            "utf-8",
        ),
        ("bad answer", module("", "(call $answer (i32.const 9) (i32.const 1) (i32.const 256) (i32.const 2))"), "plugin_trap", "discriminant"),
        (
            "large body",
            module("", &format!("(drop (memory.grow (i32.const 32))) (call $set_body (call $request) (i32.const 256) (i32.const 1048577)) {drop}")),
            "plugin_output_limit",
            "more than 1048576 bytes",
        ),
        (
            "bodies of drafts that are not sent",
            module("", &repeat(16, "(call $set_body (call $request) (i32.const 256) (i32.const 70000))")),
            "plugin_output_limit",
            "1048576",
        ),
        ("many requests", module("", &repeat(17, "(drop (call $request))")), "plugin_request_limit", "more than 16 requests"),
        ("host calls", module("", &repeat(10_001, "(drop (call $now))")), "plugin_host_call_limit", "more than 10000 calls"),
        (
            "host work",
            module("", &format!("(drop (memory.grow (i32.const 16))) {}", repeat(100, "(call $hash (i32.const 2) (i32.const 256) (i32.const 1000000) (i32.const 128))"))),
            "plugin_out_of_fuel",
            "30000200",
        ),
        (
            "a handle that is none",
            module("", "(call $deliver (i32.const 77))"),
            "plugin_trap",
            "handle",
        ),
        (
            "a request twice",
            module("", "(local.set $r (call $request)) (i32.store (i32.const 64) (local.get $r)) (i32.store (i32.const 68) (local.get $r))
                (call $answer (i32.const 0) (i32.const 0) (i32.const 64) (i32.const 2))"),
            "plugin_trap",
            "handle",
        ),
    ];
    let mut surprises = Vec::new();
    for (what, plugin, code, part) in rows {
        let got = host.fault(&plugin).await;
        if got.0 != code || !got.1.contains(part) {
            surprises.push((what, got));
        }
    }
    assert!(surprises.is_empty(), "{surprises:#?}");
}

#[tokio::test]
async fn the_wall_clock_ends_what_fuel_does_not() {
    let limits = RunLimits { fuel: u64::MAX >> 1, time: Duration::from_millis(10), ..RunLimits::default() };
    let host = TestHost::with(limits);
    let (code, detail) = host.fault(&module("", LOOP)).await;
    assert_eq!(code, "plugin_deadline");
    assert!(detail.starts_with("more than 10 ms in body"), "{detail}");
}

#[tokio::test]
async fn handles_are_bounded() {
    let host = TestHost::with(RunLimits { handles: 8, requests: 100, ..RunLimits::default() });
    let plugin = module("", "(loop $next (drop (call $request)) (br $next)) (call $deliver (call $request))");
    let (code, detail) = host.fault(&plugin).await;
    assert_eq!(code, "plugin_handle_limit");
    assert!(detail.contains("more than 8 handles"), "{detail}");
}

#[tokio::test]
async fn a_flooded_log_keeps_its_end() {
    let host = TestHost::new();
    let plugin = module(
        r#"(data (i32.const 256) "line")"#,
        "(loop $next
           (call $log (i32.const 0) (i32.const 256) (i32.const 4))
           (local.set $i (i32.add (local.get $i) (i32.const 1)))
           (br_if $next (i32.lt_u (local.get $i) (i32.const 9000))))
         (call $deliver (call $request))",
    );
    let report = host.run(&plugin, "{}").await;
    request_of(&report);
    assert_eq!(report.logs.len(), LOG_LINES_MAX + 1);
    assert!(report.logs[0].message.starts_with("8936 earlier lines were dropped"), "{:?}", report.logs[0]);
}

#[tokio::test]
async fn logs_and_cost_of_a_failed_run_are_kept() {
    let host = TestHost::new();
    let plugin = module(
        r#"(data (i32.const 256) "last words")"#,
        "(call $log (i32.const 3) (i32.const 256) (i32.const 10)) unreachable",
    );
    let report = host.run(&plugin, "{}").await;
    assert_eq!(fault_of(&report).0, "plugin_trap");
    assert_eq!(report.logs[0].message, "last words");
    assert!(report.cost.fuel > 0 && report.cost.memory_peak_bytes > 0);
}

/// A hundred endpoints of one application have a plugin that loops without end and runs in the queue. Two threads: one
/// of them stays with the other application, so its runs end while most of the first one's still wait.
#[tokio::test]
async fn endless_loops_for_many_endpoints_delay_no_other_application() {
    let limits = RunLimits { fuel: u64::MAX >> 1, time: Duration::from_millis(50), ..RunLimits::default() };
    let host = TestHost::with(limits);
    let looping = host.upload(&module("", LOOP)).await.unwrap();
    let good = host.upload(&module("", "(call $deliver (call $request))")).await.unwrap();
    let hogs: Vec<_> = (0..100)
        .map(|number| {
            let host = Arc::clone(&host.host);
            let run = TransformRun { endpoint: Arc::new(endpoint(number)), ..run_of(looping, "{}") };
            tokio::spawn(async move { host.run(run).await })
        })
        .collect();
    tokio::task::yield_now().await;
    for _ in 0..50 {
        let mut run = run_of(good, "{}");
        let application = ApplicationId::new(UnixMillis(1), 2);
        run.endpoint = Arc::new(Endpoint { application, ..endpoint(200) });
        request_of(&host.host.run(run).await);
    }
    let unfinished = hogs.iter().filter(|hog| !hog.is_finished()).count();
    assert!(unfinished > 0, "the good runs overtook the endless ones");
    // Dropping the host answers those that wait instead of running them.
    let TestHost { host, directory: _directory } = host;
    drop(host);
    for hog in hogs {
        hog.abort();
        let _ = hog.await;
    }
}
