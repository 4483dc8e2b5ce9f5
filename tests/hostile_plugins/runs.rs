//! Plugins that compile, and misbehave when they run: the host stops each of them.

use crate::hostile_plugins::guest::{Maker, Parts, forever, repeat};
use crate::hostile_plugins::{Ends, Hostile};

/// Sends the event as it came.
const DELIVER: &str = "(call $deliver (call $request.new))";
const OUT_OF_FUEL: Ends = Ends::Fails("plugin_out_of_fuel", "of fuel");
const STACK: Ends = Ends::Fails("plugin_stack_overflow", "more than 524288 bytes of stack");
const MEMORY: Ends = Ends::Fails("plugin_memory_limit", "more than 33554432 bytes of memory");

fn trap(part: &'static str) -> Ends {
    Ends::Fails("plugin_trap", part)
}

/// All of them.
pub(crate) fn rows() -> Vec<Hostile> {
    let maker = Maker::of_transforms();
    let body = |(name, body, ends): (&str, String, Ends)| Hostile::new(name, maker.with_body(&body), ends);
    let parts = |(name, parts, ends): (&str, Parts<'_>, Ends)| Hostile::new(name, maker.make(parts), ends);
    let mut rows: Vec<Hostile> = Vec::new();
    rows.extend(loops().into_iter().map(parts));
    rows.extend(recursion().into_iter().map(parts));
    rows.extend(growth().into_iter().map(parts));
    rows.extend(traps().into_iter().map(parts));
    rows.extend(lifting().into_iter().map(body));
    rows.extend(lowering().into_iter().map(parts));
    rows.extend(handles().into_iter().map(body));
    rows.extend(output().into_iter().map(body));
    rows.push(parts((
        "lent handles are kept",
        Parts { body: DELIVER, gives_back: false, ..Parts::default() },
        trap("borrow"),
    )));
    rows
}

fn loops() -> Vec<(&'static str, Parts<'static>, Ends)> {
    const READ: &str = "(call $event.bytes (local.get $event) (i32.const 512)) unreachable";
    let of = |items, body| Parts { items, body, ..Parts::default() };
    vec![
        ("loop in the export", of("", "(loop $again (br $again)) unreachable"), OUT_OF_FUEL),
        (
            "loop at instantiation",
            of("(func $begin (loop $again (br $again))) (start $begin)", DELIVER),
            OUT_OF_FUEL,
        ),
        (
            "loop in the allocator",
            Parts { realloc: "(loop $again (br $again)) unreachable", body: READ, ..Parts::default() },
            OUT_OF_FUEL,
        ),
        (
            "loop after the answer",
            Parts { body: DELIVER, post_return: "(loop $again (br $again))", ..Parts::default() },
            OUT_OF_FUEL,
        ),
        (
            "loop of calls",
            of("(func $nothing)", "(loop $again (call $nothing) (br $again)) unreachable"),
            OUT_OF_FUEL,
        ),
        (
            "loop of fills",
            of(
                "",
                "(drop (memory.grow (i32.const 400)))
                (loop $again
                  (memory.fill (i32.const 65536) (i32.const 7) (i32.const 26000000))
                  (br $again)) unreachable",
            ),
            Ends::FailsByAny(&["plugin_out_of_fuel", "plugin_deadline"]),
        ),
        (
            "loop of copies",
            of(
                "",
                "(drop (memory.grow (i32.const 400)))
                (loop $again
                  (memory.copy (i32.const 65536) (i32.const 65537) (i32.const 26000000))
                  (br $again)) unreachable",
            ),
            Ends::FailsByAny(&["plugin_out_of_fuel", "plugin_deadline"]),
        ),
        (
            "loop of table fills",
            of(
                "(table $table 50000 funcref)",
                "(loop $again
                  (table.fill $table (i32.const 0) (ref.null func) (i32.const 50000))
                  (br $again)) unreachable",
            ),
            Ends::FailsByAny(&["plugin_out_of_fuel", "plugin_deadline"]),
        ),
        (
            "trap after the answer",
            Parts { body: DELIVER, post_return: "unreachable", ..Parts::default() },
            trap("unreachable"),
        ),
    ]
}

fn recursion() -> Vec<(&'static str, Parts<'static>, Ends)> {
    let of = |items, body| Parts { items, body, ..Parts::default() };
    vec![
        (
            "recursion",
            of(
                "(func $deeper (param i64) (result i64) (i64.add (local.get 0) (call $deeper (local.get 0))))",
                "(drop (call $deeper (i64.const 1))) unreachable",
            ),
            STACK,
        ),
        (
            "recursion of two",
            of(
                "(func $one (param i64) (result i64) (i64.add (local.get 0) (call $two (local.get 0))))
                (func $two (param i64) (result i64) (i64.mul (local.get 0) (call $one (local.get 0))))",
                "(drop (call $one (i64.const 1))) unreachable",
            ),
            STACK,
        ),
        (
            "recursion through a table",
            of(
                "(table funcref (elem $deeper)) (type $function (func (result i64)))
                (func $deeper (type $function)
                  (i64.add (i64.const 1) (call_indirect (type $function) (i32.const 0))))",
                "(drop (call $deeper)) unreachable",
            ),
            STACK,
        ),
        (
            "recursion at instantiation",
            of(
                "(func $deeper (result i64) (i64.add (i64.const 1) (call $deeper)))
                (func $begin (drop (call $deeper))) (start $begin)",
                DELIVER,
            ),
            STACK,
        ),
    ]
}

fn growth() -> Vec<(&'static str, Parts<'static>, Ends)> {
    let of = |items, body| Parts { items, body, ..Parts::default() };
    const BYTES: &str = "(call $event.bytes (local.get $event) (i32.const 512)) unreachable";
    vec![
        ("memory at once", of("", "(drop (memory.grow (i32.const 511))) unreachable"), MEMORY),
        ("memory of four gigabytes", of("", "(drop (memory.grow (i32.const 65534))) unreachable"), MEMORY),
        (
            "memory bit by bit",
            of("", "(loop $again (drop (memory.grow (i32.const 1))) (br $again)) unreachable"),
            MEMORY,
        ),
        (
            "memory in the allocator",
            Parts {
                realloc: "(drop (memory.grow (i32.const 511))) unreachable",
                body: BYTES,
                ..Parts::default()
            },
            MEMORY,
        ),
        (
            "all of the memory, and every page written",
            of(
                "",
                "(drop (memory.grow (i32.const 510)))
                (local.set $i (i32.const 65536))
                (loop $next (i32.store8 (local.get $i) (i32.const 7))
                  (local.set $i (i32.add (local.get $i) (i32.const 4096)))
                  (br_if $next (i32.lt_u (local.get $i) (i32.const 33554432))))
                (call $deliver (call $request.new))",
            ),
            Ends::Delivers,
        ),
        (
            "table at once",
            of(
                "(table $table 1 funcref)",
                "(drop (table.grow $table (ref.null func) (i32.const 50000))) unreachable",
            ),
            Ends::Fails("plugin_table_limit", "more than 50000 elements"),
        ),
        (
            "table bit by bit",
            of(
                "(table $table 1 funcref)",
                "(loop $again (drop (table.grow $table (ref.null func) (i32.const 100)))
                  (br $again)) unreachable",
            ),
            Ends::Fails("plugin_table_limit", "more than 50000 elements"),
        ),
        (
            "a data segment beyond the memory",
            of(r#"(data (i32.const 131070) "over")"#, DELIVER),
            trap("out of bounds memory access"),
        ),
        (
            "an element segment beyond the table",
            of("(table 1 funcref) (elem (i32.const 1) func $nothing) (func $nothing)", DELIVER),
            trap("out of bounds table access"),
        ),
    ]
}

fn traps() -> Vec<(&'static str, Parts<'static>, Ends)> {
    let of = |items, body| Parts { items, body, ..Parts::default() };
    vec![
        (
            "unreachable",
            of("(func $boom unreachable)", "(call $boom) unreachable"),
            trap("in boom < body < "),
        ),
        ("division by zero", of("", "(i32.div_u (i32.const 1) (local.get $i))"), trap("divide by zero")),
        (
            "division that overflows",
            of("", "(i32.div_s (i32.const 0x80000000) (i32.sub (local.get $i) (i32.const 1)))"),
            trap("integer overflow"),
        ),
        (
            "a number that is none",
            of("", "(i32.trunc_f64_s (f64.const nan))"),
            trap("invalid conversion to integer"),
        ),
        (
            "a load beyond the memory",
            of("", "(i32.load (i32.const -4))"),
            trap("out of bounds memory access"),
        ),
        (
            "a load with the largest offset",
            of("", "(i32.load offset=0xffffffff (i32.const -1))"),
            trap("out of bounds memory access"),
        ),
        (
            "a fill beyond the memory",
            of("", "(memory.fill (i32.const 131000) (i32.const 1) (i32.const 1000)) unreachable"),
            trap("out of bounds memory access"),
        ),
        (
            "a data segment that was dropped",
            of(
                r#"(data $data "abcd")"#,
                "(data.drop $data) (memory.init $data (i32.const 0) (i32.const 0) (i32.const 4)) unreachable",
            ),
            trap("out of bounds memory access"),
        ),
        (
            "a call of nothing",
            of(
                "(table 1 funcref) (type $function (func))",
                "(call_indirect (type $function) (i32.const 0)) unreachable",
            ),
            trap("uninitialized element"),
        ),
        (
            "a call of another type",
            of(
                "(table funcref (elem $nothing)) (func $nothing) (type $function (func (result i64)))",
                "(drop (call_indirect (type $function) (i32.const 0))) unreachable",
            ),
            trap("indirect call type mismatch"),
        ),
        (
            "a call beyond the table",
            of(
                "(table 1 funcref) (type $function (func))",
                "(call_indirect (type $function) (i32.const 9)) unreachable",
            ),
            trap("undefined element"),
        ),
    ]
}

/// What the host reads out of the plugin's memory.
fn lifting() -> Vec<(&'static str, String, Ends)> {
    let dropped = |at: u32, length: u32| {
        format!("(call $answer (i32.const 0) (i32.const 1) (i32.const {at}) (i32.const {length}))")
    };
    let listed = |at: u32, length: u32| {
        format!("(call $answer (i32.const 0) (i32.const 0) (i32.const {at}) (i32.const {length}))")
    };
    let logged = |level: u32, at: u32, length: u32| {
        format!("(call $log.write (i32.const {level}) (i32.const {at}) (i32.const {length})) unreachable")
    };
    vec![
        ("a reason of two gigabytes", dropped(0, 1 << 31), trap("out of bounds")),
        ("a reason that wraps around", dropped(u32::MAX, u32::MAX), trap("out of bounds")),
        ("a reason at the very end", dropped(131_071, 2), trap("out of bounds")),
        ("a list of a billion requests", listed(64, 1 << 30), trap("list")),
        ("a list of 30,000 requests", listed(64, 30_000), trap("handle")),
        ("a list between two words", listed(66, 1), trap("aligned")),
        ("an answer beyond the memory", "(i32.const -16)".into(), trap("out of bounds")),
        ("an answer between two words", "(i32.const 2)".into(), trap("aligned")),
        (
            "an answer of no known case",
            "(call $answer (i32.const 9) (i32.const 0) (i32.const 0) (i32.const 0))".into(),
            trap("discriminant"),
        ),
        ("a log line of no known level", logged(9, 1024, 4), trap("discriminant")),
        ("a log line of two gigabytes", logged(0, 1024, 1 << 31), trap("out of bounds")),
        ("a log line that wraps around", logged(0, 0xffff_fff0, 64), trap("out of bounds")),
        (
            "a log line of three megabytes",
            format!("(drop (memory.grow (i32.const 60))) {}", logged(0, 1024, 3 << 20)),
            Ends::Fails("plugin_host_call_bytes_limit", "more than 2097152 bytes"),
        ),
        (
            "a body of a gigabyte that is not there",
            "(call $request.set-body (call $request.new) (i32.const 0) (i32.const 0x40000000)) unreachable"
                .into(),
            trap("out of bounds"),
        ),
    ]
}

/// What the host writes into the plugin's memory.
fn lowering() -> Vec<(&'static str, Parts<'static>, Ends)> {
    const BYTES: &str =
        "(call $event.bytes (local.get $event) (i32.const 512)) (call $deliver (call $request.new))";
    const LIST: &str =
        "(call $event.channels (local.get $event) (i32.const 512)) (call $deliver (call $request.new))";
    let of = |realloc, body| Parts { realloc, body, ..Parts::default() };
    vec![
        (
            "an allocator that answers beyond the memory",
            of("(i32.const -16)", BYTES),
            trap("beyond end of memory"),
        ),
        ("an allocator that answers between two words", of("(i32.const 65537)", LIST), trap("aligned")),
        ("an allocator that traps", of("unreachable", BYTES), trap("unreachable")),
        (
            "an allocator that calls the host",
            of("(drop (call $ambient.random-u64)) (i32.const 65536)", BYTES),
            trap("cannot leave component instance"),
        ),
        (
            "an allocator that recurses",
            Parts {
                items: "(func $deeper (result i32) (i32.add (i32.const 1) (call $deeper)))",
                ..of("(call $deeper)", BYTES)
            },
            STACK,
        ),
        (
            "an answer of the host beyond the memory",
            of("(i32.const 65536)", "(call $event.bytes (local.get $event) (i32.const -8)) unreachable"),
            trap("out of bounds"),
        ),
    ]
}

fn handles() -> Vec<(&'static str, String, Ends)> {
    const MAKE: &str = "(local.set $made (call $request.new))";
    let set_body = |handle: &str| format!("(call $request.set-body-original {handle}) unreachable");
    vec![
        ("a request that is the event", set_body("(local.get $event)"), trap("handle")),
        ("a request that is the number 0", set_body("(i32.const 0)"), trap("handle")),
        ("a request that is no number of any", set_body("(i32.const 0xffffffff)"), trap("handle")),
        (
            "a request after it was dropped",
            format!("{MAKE} (call $request.drop (local.get $made)) {}", set_body("(local.get $made)")),
            trap("handle"),
        ),
        (
            "a request dropped twice",
            format!(
                "{MAKE} (call $request.drop (local.get $made))
                 (call $request.drop (local.get $made)) unreachable"
            ),
            trap("handle"),
        ),
        (
            "a request delivered after it was dropped",
            format!("{MAKE} (call $request.drop (local.get $made)) (call $deliver (local.get $made))"),
            trap("handle"),
        ),
        (
            "a request delivered twice",
            format!(
                "{MAKE} (i32.store (i32.const 64) (local.get $made))
                 (i32.store (i32.const 68) (local.get $made))
                 (call $answer (i32.const 0) (i32.const 0) (i32.const 64) (i32.const 2))"
            ),
            trap("handle"),
        ),
        ("the event delivered as a request", "(call $deliver (local.get $event))".into(), trap("handle")),
        (
            "the event after it was given back",
            "(call $event.drop (local.get $event)) (drop (call $event.size (local.get $event))) unreachable"
                .into(),
            trap("handle"),
        ),
        (
            "requests without end",
            forever("(drop (call $request.new))"),
            Ends::Fails("plugin_request_limit", "more than 16 requests"),
        ),
        (
            "requests made and dropped without end",
            forever("(call $request.drop (call $request.new))"),
            Ends::Fails("plugin_host_call_limit", "more than 10000 calls"),
        ),
    ]
}

fn output() -> Vec<(&'static str, String, Ends)> {
    const GROW: &str = "(drop (memory.grow (i32.const 60)))";
    const OUTPUT: Ends = Ends::Fails("plugin_output_limit", "more than 1048576 bytes");
    let body = |bytes: u32| {
        format!("(call $request.set-body (call $request.new) (i32.const 65536) (i32.const {bytes}))")
    };
    let store_made =
        "(i32.store (i32.add (i32.const 64) (i32.shl (local.get $i) (i32.const 2))) (call $request.new))";
    let deliver =
        |count: u32| format!("(call $answer (i32.const 0) (i32.const 0) (i32.const 64) (i32.const {count}))");
    vec![
        ("a body of 1 MiB and a byte", format!("{GROW} {} unreachable", body((1 << 20) + 1)), OUTPUT),
        ("bodies of 1 MiB together", format!("{GROW} {} unreachable", repeat(16, &body(70_000))), OUTPUT),
        (
            "a body of 3 MiB",
            format!("{GROW} {} unreachable", body(3 << 20)),
            Ends::Fails("plugin_host_call_bytes_limit", "more than 2097152 bytes"),
        ),
        (
            "17 requests",
            format!("{} {}", repeat(17, store_made), deliver(17)),
            Ends::Fails("plugin_request_limit", "more than 16 requests"),
        ),
        (
            "16 requests of one name",
            format!("{} {}", repeat(16, store_made), deliver(16)),
            Ends::Fails("plugin_part_keys", "part keys that differ"),
        ),
        ("a delivery of nothing", deliver(0), Ends::Fails("plugin_output_empty", "without a request")),
        (
            "a flood of log lines",
            format!(
                "{} {DELIVER}",
                repeat(9_000, "(call $log.write (i32.const 1) (i32.const 1024) (i32.const 300))")
            ),
            Ends::Delivers,
        ),
        (
            "a log line of a megabyte",
            format!(
                "{GROW} (memory.fill (i32.const 65536) (i32.const 0x61) (i32.const 1000000))
                (call $log.write (i32.const 3) (i32.const 65536) (i32.const 1000000)) {DELIVER}"
            ),
            Ends::Delivers,
        ),
        (
            "digests of a megabyte",
            format!(
                "{GROW} {}",
                forever(
                    "(call $crypto.hash (i32.const 2) (i32.const 65536) (i32.const 1000000) (i32.const 512))"
                )
            ),
            OUT_OF_FUEL,
        ),
        (
            "a patch of a megabyte again and again",
            format!(
                "{GROW} (memory.fill (i32.const 65536) (i32.const 0x20) (i32.const 1000000))
                 (i32.store16 (i32.const 65536) (i32.const 0x7d7b)) (local.set $made (call $request.new)) {}",
                forever(
                    "(call $request.set-body-patch (local.get $made) (i32.const 65536)
                       (i32.const 1000000) (i32.const 512))"
                )
            ),
            OUT_OF_FUEL,
        ),
    ]
}
