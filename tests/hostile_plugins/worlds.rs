//! Sources and classifiers in the plugin host itself: each world's export is held to the same limits.

use hookmill_core::delivery::TransformFailure;
use hookmill_core::port::Plugins as _;
use hookmill_tests::plugin_run::{AnyReport, run_once};
use hookmill_wasm::{WasmConfig, WasmHost};
use tempfile::TempDir;

use crate::hostile_plugins::guest::{Maker, Parts, forever, repeat};
use crate::hostile_plugins::{Ends, Hostile, storms};

const OUT_OF_FUEL: Ends = Ends::Fails("plugin_out_of_fuel", "of fuel");
const GROW: &str = "(drop (memory.grow (i32.const 60)))";
/// An event of the type `11` in `$made`; the data is where [`sources`] puts it.
const MAKE_EVENT: &str = "(call $new-event.create (i32.const 1024) (i32.const 2) (i32.const 512))
    (local.set $made (i32.load (i32.const 516)))";
const MAKE_REPLY: &str = "(call $reply.create (i32.const 200) (i32.const 512))
    (local.set $made (i32.load (i32.const 516)))";
const TEXTS: &str = r#"
    (data (i32.const 1024) "11")
    (data (i32.const 1032) "a\r\nb")
    (data (i32.const 1040) "content-length")
    (data (i32.const 1056) "x")"#;

fn trap(part: &'static str) -> Ends {
    Ends::Fails("plugin_trap", part)
}

/// What both worlds can do wrong alike; `reason` is the case of a verdict that has one.
fn common(maker: &Maker, world: &str, reason: u32) -> Vec<Hostile> {
    let rows: Vec<(&str, Parts<'_>, Ends)> = vec![
        ("loop", Parts { body: "(loop $again (br $again)) unreachable", ..Parts::default() }, OUT_OF_FUEL),
        (
            "loop at instantiation",
            Parts { items: "(func $begin (loop $again (br $again))) (start $begin)", ..Parts::default() },
            OUT_OF_FUEL,
        ),
        (
            "loop after the answer",
            Parts {
                body: "(call $verdict (i32.const 2) (i32.const 1024) (i32.const 2))",
                post_return: "(loop $again (br $again))",
                ..Parts::default()
            },
            OUT_OF_FUEL,
        ),
        (
            "recursion",
            Parts {
                items: "(func $deeper (result i64) (i64.add (i64.const 1) (call $deeper)))",
                body: "(drop (call $deeper)) unreachable",
                ..Parts::default()
            },
            Ends::Fails("plugin_stack_overflow", "more than 524288 bytes of stack"),
        ),
        (
            "memory bit by bit",
            Parts {
                body: "(loop $again (drop (memory.grow (i32.const 1))) (br $again)) unreachable",
                ..Parts::default()
            },
            Ends::Fails("plugin_memory_limit", "more than 33554432 bytes of memory"),
        ),
        (
            "a verdict of no known case",
            Parts { body: "(call $verdict (i32.const 9) (i32.const 0) (i32.const 0))", ..Parts::default() },
            trap("discriminant"),
        ),
        (
            "a verdict beyond the memory",
            Parts { body: "(i32.const -16)", ..Parts::default() },
            trap("out of bounds"),
        ),
        (
            "what was lent is kept",
            Parts {
                body: "(call $verdict (i32.const 2) (i32.const 1024) (i32.const 2))",
                gives_back: false,
                ..Parts::default()
            },
            trap("borrow"),
        ),
    ];
    let mut rows: Vec<Hostile> = rows
        .into_iter()
        .map(|(name, parts, ends)| Hostile::new(&format!("{world}: {name}"), maker.make(parts), ends))
        .collect();
    let long = format!("{GROW} (call $verdict (i32.const {reason}) (i32.const 0) (i32.const 3145728))");
    let beyond = format!("(call $verdict (i32.const {reason}) (i32.const 0) (i32.const 0x80000000))");
    rows.push(Hostile::new(
        &format!("{world}: a reason of three megabytes"),
        maker.with_body(&long),
        Ends::Fails("plugin_host_call_bytes_limit", "more than 2097152 bytes"),
    ));
    rows.push(Hostile::new(
        &format!("{world}: a reason of two gigabytes"),
        maker.with_body(&beyond),
        trap("out of bounds"),
    ));
    rows
}

/// What a source can do with events and replies.
fn sources(maker: &Maker) -> Vec<Hostile> {
    let output = |part| Ends::Fails("plugin_output_limit", part);
    let body_of = |what: &str, bytes: u32| {
        format!("(call ${what}.set-body (local.get $made) (i32.const 65536) (i32.const {bytes}))")
    };
    let accept =
        |at: u32, count: u32| format!("(call $verdict (i32.const 0) (i32.const {at}) (i32.const {count}))");
    let header = |name_at: u32, name: u32, value_at: u32, value: u32| {
        format!(
            "{MAKE_REPLY} (call $reply.set-header (local.get $made) (i32.const {name_at}) (i32.const {name})
               (i32.const {value_at}) (i32.const {value}) (i32.const 512)) (call $rejection)"
        )
    };
    let status =
        |status: u32| format!("(call $reply.create (i32.const {status}) (i32.const 512)) (call $rejection)");
    // A hundred strings of a megabyte, all of them the same megabyte.
    let overlapping = format!(
        "{GROW} {MAKE_EVENT}
         {}
         (call $new-event.set-channels (local.get $made) (i32.const 2048)
           (i32.const 100) (i32.const 512)) unreachable",
        repeat(
            100,
            "(i64.store (i32.add (i32.const 2048) (i32.shl (local.get $i) (i32.const 3)))
               (i64.const 0x0010000000010000))"
        )
    );
    let rows: Vec<(&str, String, Ends)> = vec![
        ("events without end", forever(MAKE_EVENT), Ends::Fails("plugin_event_limit", "events")),
        (
            "replies without end",
            forever(MAKE_REPLY),
            Ends::Fails("plugin_reply_limit", "more than 16 replies"),
        ),
        ("a list of a billion events", accept(64, 1 << 30), trap("list")),
        ("an event that is none", accept(1024, 1), trap("handle")),
        (
            "an event twice",
            format!(
                "{MAKE_EVENT} (i32.store (i32.const 64) (local.get $made))
                 (i32.store (i32.const 68) (local.get $made)) {}",
                accept(64, 2)
            ),
            trap("handle"),
        ),
        (
            "a reply that is the request",
            "(call $verdict (i32.const 1) (local.get $request) (i32.const 0))".into(),
            trap("handle"),
        ),
        (
            "an event of 1 MiB and a byte",
            format!("{GROW} {MAKE_EVENT} {} unreachable", body_of("new-event", (1 << 20) + 1)),
            output("more than 1048576 bytes"),
        ),
        (
            "events of 2 MiB together",
            format!(
                "{GROW} {} unreachable",
                repeat(3, &format!("{MAKE_EVENT} {}", body_of("new-event", 1 << 20)))
            ),
            output("more than 2097152 bytes"),
        ),
        (
            "a reply of 64 KiB and a byte",
            format!("{GROW} {MAKE_REPLY} {} unreachable", body_of("reply", (64 << 10) + 1)),
            output("more than 65536 bytes"),
        ),
        (
            "a hundred megabytes of one",
            overlapping,
            Ends::Fails("plugin_host_call_bytes_limit", "more than 2097152 bytes"),
        ),
        (
            "a list of a billion channels",
            format!(
                "{MAKE_EVENT} (call $new-event.set-channels (local.get $made) (i32.const 0)
                   (i32.const 0x20000000) (i32.const 512)) unreachable"
            ),
            trap("list"),
        ),
        ("a status below 200", status(101), Ends::Says("200 to 599")),
        ("a status above 599", status(65_535), Ends::Says("200 to 599")),
        ("a reply with a header too many", header(1056, 1, 1032, 4), Ends::Says("control character")),
        ("a reply with a header that is none", header(1032, 4, 1056, 1), Ends::Says("no header name")),
        ("a reply of another length", header(1040, 14, 1056, 1), Ends::Says("`content-length` is reserved")),
        (
            "an event type with a line's end",
            "(call $new-event.create (i32.const 1032) (i32.const 4) (i32.const 512)) (call $rejection)"
                .into(),
            Ends::Says("event type"),
        ),
    ];
    rows.into_iter()
        .map(|(name, body, ends)| {
            let parts = Parts { items: TEXTS, body: &body, ..Parts::default() };
            Hostile::new(&format!("source: {name}"), maker.make(parts), ends)
        })
        .collect()
}

fn as_expected(report: &AnyReport, ends: Ends) -> bool {
    match (&report.result, ends) {
        (Err(TransformFailure::Fault { code, detail }), Ends::Fails(expected, part)) => {
            *code == expected && detail.contains(part)
        }
        (Err(TransformFailure::Fault { code, .. }), Ends::FailsByAny(codes)) => codes.contains(code),
        (Ok(outcome), Ends::Says(part)) => outcome.contains(part),
        (Ok(_) | Err(_), _) => false,
    }
}

#[tokio::test]
async fn sources_and_classifiers_are_held_to_the_limits() {
    let (source, classifier) = (Maker::of_sources(), Maker::of_classifiers());
    let mut rows = common(&source, "source", 2);
    rows.extend(common(&classifier, "classifier", 1));
    rows.extend(sources(&source));
    rows.extend(storms::rows(&source, "source"));
    rows.extend(storms::rows(&classifier, "classifier"));
    let cache = TempDir::new().expect("a temporary directory");
    let host =
        WasmHost::new(WasmConfig::new(cache.path().to_owned(), [7; 32].into())).expect("the host starts");
    let mut surprises = Vec::new();
    for row in rows {
        let prepared = match host.prepare(row.upload.into()).await {
            Ok(prepared) => prepared,
            Err(rejected) => {
                surprises.push((row.name, format!("{rejected:?}")));
                continue;
            }
        };
        let report = run_once(&host, &prepared).await;
        if !as_expected(&report, row.ends) {
            surprises.push((row.name, format!("{:?}", report.result)));
        }
        host.forget(prepared.digest).await;
    }
    assert!(surprises.is_empty(), "{surprises:#?}");
}
