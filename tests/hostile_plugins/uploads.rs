//! What is stopped at the upload: files that are none, bombs for the compiler, and plugins that do not fit.

use hookmill_tests::world::World;

use crate::hostile_plugins::guest::Maker;
use crate::hostile_plugins::{Ends, Hostile};

const NOT_WASM: Ends = Ends::Refused("plugin_not_wasm", "not WebAssembly");

fn malformed(part: &'static str) -> Ends {
    Ends::Refused("plugin_malformed", part)
}

fn too_many(part: &'static str) -> Ends {
    Ends::Refused("plugin_structure_limit", part)
}

fn invalid(part: &'static str) -> Ends {
    Ends::Refused("plugin_invalid", part)
}

/// All of them.
pub(crate) fn rows() -> Vec<Hostile> {
    let rows = [
        files(),
        bombs_of_modules(),
        bombs_of_components(),
        bombs_for_the_compiler(),
        invalid_code(),
        proposals(),
        misfits(),
    ];
    rows.into_iter().flatten().map(|(name, upload, ends)| Hostile::new(name, upload, ends)).collect()
}

type Row = (&'static str, Vec<u8>, Ends);

fn text(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap_or_else(|error| panic!("{error}"))
}

/// A component with a core module of these items.
fn module(items: &str) -> Vec<u8> {
    text(&format!("(component (core module {items}))"))
}

/// A component of these items.
fn component(items: &str) -> Vec<u8> {
    text(&format!("(component {items})"))
}

fn many(count: usize, item: impl Fn(usize) -> String) -> String {
    (0..count).map(item).collect()
}

/// A core module of one section, byte for byte.
fn section(id: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = b"\0asm\x01\0\0\0".to_vec();
    bytes.push(id);
    bytes.extend(leb128(payload.len()));
    bytes.extend(payload);
    bytes
}

fn leb128(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(number & 0x7f).expect("seven bits");
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

/// Files that are no plugin, damaged, or lie about their lengths.
fn files() -> Vec<Row> {
    const FOUR_BILLION: [u8; 5] = [0xff, 0xff, 0xff, 0xff, 0x0f];
    let whole = Maker::of_transforms().with_body("unreachable");
    let cut = |of_eight: usize| whole[..whole.len() * of_eight / 8].to_vec();
    let lying = |id: u8| [b"\0asm\x01\0\0\0".as_slice(), &[id], &FOUR_BILLION].concat();
    let locals = [&[1], FOUR_BILLION.as_slice(), &[0x7f]].concat();
    vec![
        ("a program of this machine", b"\x7fELF\x02\x01\x01".to_vec(), NOT_WASM),
        ("a compressed plugin", b"\x1f\x8b\x08\0\0\0\0\0".to_vec(), NOT_WASM),
        ("a plugin's text", b"(module)".to_vec(), NOT_WASM),
        ("a later version", b"\0asm\x02\0\0\0".to_vec(), malformed("version")),
        ("a later component", b"\0asm\x0e\0\x01\0".to_vec(), malformed("version")),
        ("cut off at an eighth", cut(1), malformed("cut off at byte")),
        ("cut off at a half", cut(4), malformed("cut off at byte")),
        ("cut off at seven eighths", cut(7), malformed("cut off at byte")),
        ("a section of four gigabytes", lying(1), malformed("cut off at byte")),
        ("a custom section of four gigabytes", lying(0), malformed("cut off at byte")),
        // Found by the fuzzer (seed 2, number 2288): wit-parser 0.254 recurses without end over the packages of the
        // component type, which only a process of its own survives.
        (
            "packages that need each other",
            hex::decode(include_str!("../data/hostile/packages-in-a-circle.hex").replace('\n', ""))
                .expect("digits"),
            Ends::RefusedByAny(&["plugin_compiler_failed", "plugin_not_component"]),
        ),
        (
            "a length without an end",
            [b"\0asm\x01\0\0\0\x01".as_slice(), &[0x80; 16]].concat(),
            malformed("byte"),
        ),
        ("four billion types", section(1, &FOUR_BILLION), too_many("4294967295 types")),
        ("four billion functions", section(3, &FOUR_BILLION), malformed("code section is absent")),
        ("four billion imports", section(2, &FOUR_BILLION), too_many("4294967295 imports")),
        ("four billion locals", function(&locals, &[]), too_many("4294967295 local variables")),
    ]
}

/// Core modules that choke a compiler.
fn bombs_of_modules() -> Vec<Row> {
    let targets = |count: usize| format!("(br_table {} (i32.const 0))", "0 ".repeat(count + 1));
    let name_section = format!("(@custom \"name\" \"{}\")", "a".repeat((4 << 20) + 1));
    vec![
        ("60,001 functions", module(&"(func)".repeat(60_001)), too_many("60001 functions")),
        (
            "a giant function",
            module(&format!("(func {})", "i32.const 7 drop ".repeat(180_000))),
            too_many("bytes of a function's body"),
        ),
        (
            "20,001 locals",
            module(&format!("(func (local {}))", "i64 ".repeat(20_001))),
            too_many("20001 local"),
        ),
        (
            "a giant br_table",
            module(&format!("(func (block {}))", targets(16_385))),
            too_many("16385 targets of a br_table"),
        ),
        (
            "20,001 types",
            module(&many(20_001, |index| format!("(type $t{index} (func))"))),
            too_many("20001 types"),
        ),
        (
            "100,001 imports",
            module(&many(100_001, |_| "(import \"a\" \"b\" (func))".into())),
            too_many("100001 imports"),
        ),
        (
            "100,001 exports",
            module(&format!(
                "(func $f) {}",
                many(100_001, |index| format!("(export \"e{index}\" (func $f))"))
            )),
            too_many("exports"),
        ),
        (
            "100,001 globals",
            module(&"(global i32 (i32.const 0))".repeat(100_001)),
            too_many("100001 imports, exports"),
        ),
        (
            "50,001 data segments",
            module(&format!("(memory 1) {}", "(data (i32.const 0) \"x\")".repeat(50_001))),
            too_many("50001 element and data segments"),
        ),
        (
            "50,001 element segments",
            module(&format!("(func $f) {}", "(elem func $f)".repeat(50_001))),
            too_many("50001 element and data segments"),
        ),
        ("a memory beyond the limit", module("(memory 513)"), too_many("bytes of initial memory")),
        ("a table beyond the limit", module("(table 50001 funcref)"), too_many("50001 elements of a table")),
        ("nine tables", module(&"(table 1 funcref)".repeat(9)), too_many("9 tables")),
        ("a giant name section", module(&name_section), too_many("bytes of custom sections")),
        (
            "five custom sections of a megabyte",
            module(&format!("(@custom \"x\" \"{}\")", "a".repeat(1 << 20)).repeat(5)),
            too_many("bytes of custom sections"),
        ),
    ]
}

/// Components that choke whoever takes them apart.
fn bombs_of_components() -> Vec<Row> {
    let nested = |open: &str, count: usize| format!("{}{}", open.repeat(count), ")".repeat(count));
    let doubled = many(40, |index| format!("(type $t{} (tuple $t{index} $t{index}))", index + 1));
    vec![
        ("25 core modules", component(&"(core module)".repeat(25)), too_many("25 core modules")),
        ("65 components", component(&"(component)".repeat(64)), too_many("65 components")),
        ("components five deep", text(&nested("(component ", 5)), too_many("5 nested components")),
        (
            "100,001 instances",
            component(&format!("(core module $m) {}", "(core instance (instantiate $m))".repeat(100_001))),
            too_many("instances"),
        ),
        ("20,001 component types", component(&"(type (list u8))".repeat(20_001)), too_many("20001 types")),
        (
            "a type that doubles forty times",
            component(&format!("(type $t0 (tuple u8 u8)) {doubled}")),
            invalid("effective type size exceeds the limit"),
        ),
        (
            "a type of a thousand fields in a thousand",
            component(&format!(
                "(type $t0 (tuple {})) (type (tuple {}))",
                "u8 ".repeat(1000),
                "$t0 ".repeat(1001)
            )),
            invalid("effective type size exceeds the limit"),
        ),
    ]
}

/// Much work for a compiler. What is within every limit is compiled, which its missing export shows, or ends with the
/// compiler's process.
fn bombs_for_the_compiler() -> Vec<Row> {
    const COMPILED: Ends = Ends::Refused("plugin_export_missing", "export");
    let nested = |open: &str, count: usize| {
        module(&format!("(func (param i32) {} {})", open.repeat(count), "end ".repeat(count)))
    };
    let tables = format!("(block (br_table {} (local.get 0)))", "0 ".repeat(16_000)).repeat(20);
    let wide = |values: usize| {
        format!(
            "(block (result {}) {} {}) {}",
            "i32 ".repeat(values),
            "local.get 0 ".repeat(values),
            "(br_if 0 (local.get 0))".repeat(1000),
            "drop ".repeat(values)
        )
    };
    let load = |index| format!("(local.set {} (i64.load (i32.const {index})))", index + 1);
    let store = |index| format!("(i64.store (i32.const {index}) (local.get {}))", index + 1);
    let live = format!(
        "(memory 1) (func (param i32) (local {}) {} (loop {} (br_if 0 (local.get 0))))",
        "i64 ".repeat(1000),
        many(1000, load),
        many(1000, store)
    );
    vec![
        ("100,000 nested blocks", nested("block ", 100_000), too_many("blocks within blocks")),
        ("4000 nested conditions", nested("local.get 0 if ", 4000), COMPILED),
        ("1000 nested loops", nested("loop ", 1000), COMPILED),
        ("20 large br_tables", module(&format!("(func (param i32) {tables})")), COMPILED),
        ("1000 branches with 32 values", module(&format!("(func (param i32) {})", wide(32))), COMPILED),
        (
            "1000 branches with 1000 values",
            module(&format!("(func (param i32) {})", wide(1000))),
            too_many("results of a function"),
        ),
        ("1000 variables that live through a loop", module(&live), COMPILED),
        ("100,000 instances of ten lines", instances(5, 10), too_many("core module instances")),
        (
            "four billion instances of ten lines",
            instances(6, 40),
            Ends::RefusedByAny(&["plugin_compiler_failed", "plugin_structure_limit"]),
        ),
    ]
}

/// Components that each instantiate the one before so many times.
fn instances(levels: usize, each: usize) -> Vec<u8> {
    let level = |index: usize| {
        let instances = "(instance (instantiate $before))".repeat(each);
        format!("(component $c{} (alias outer 1 $c{index} (component $before)) {instances})", index + 1)
    };
    component(&format!(
        "(component $c0 (core module $m) (core instance (instantiate $m))) {} (instance (instantiate $c{levels}))",
        many(levels, level)
    ))
}

/// What no validator lets pass.
fn invalid_code() -> Vec<Row> {
    vec![
        ("an operand that is missing", module("(func i32.add)"), invalid("does not validate")),
        ("a result that is missing", module("(func (result i64))"), invalid("does not validate")),
        ("an unknown instruction", in_component(&function(&[0], &[0xff])), malformed("illegal opcode")),
        ("a branch to nowhere", in_component(&function(&[0], &[0x0c, 9])), invalid("does not validate")),
        (
            "a start that wants something",
            module("(func $f (param i32)) (start $f)"),
            invalid("does not validate"),
        ),
        (
            "two exports of one name",
            module("(func $f) (export \"x\" (func $f)) (export \"x\" (func $f))"),
            invalid("does not validate"),
        ),
        (
            "a function of 1001 parameters",
            module(&format!("(func (param {}))", "i32 ".repeat(1001))),
            Ends::Refused("plugin_malformed", "out of bounds"),
        ),
        (
            "an export name that is no text",
            in_component(&section(7, &[1, 1, 0xff, 0, 0])),
            invalid("does not validate"),
        ),
        (
            "a section twice",
            in_component(&[section(1, &[0]), vec![1, 1, 0]].concat()),
            malformed("out of order"),
        ),
        ("a section of no known kind", in_component(&section(99, &[0])), invalid("does not validate")),
    ]
}

/// A core module of one function with these locals and this short body, byte for byte.
fn function(locals: &[u8], body: &[u8]) -> Vec<u8> {
    let mut module = section(1, &[1, 0x60, 0, 0]);
    module.extend([3, 2, 1, 0]);
    let code = [locals, body, &[0x0b]].concat();
    module.extend([10, leb128(code.len() + 2)[0], 1, leb128(code.len())[0]]);
    module.extend(code);
    module
}

/// A component of one core module, byte for byte.
fn in_component(module: &[u8]) -> Vec<u8> {
    let mut bytes = b"\0asm\x0d\0\x01\0\x01".to_vec();
    bytes.extend(leb128(module.len()));
    bytes.extend(module);
    bytes
}

/// Proposals that are off: what is off can't be attacked.
fn proposals() -> Vec<Row> {
    vec![
        ("shared memory", module("(memory 1 1 shared)"), invalid("proposal")),
        ("atomics", module("(memory 1) (func (drop (i32.atomic.load (i32.const 0))))"), invalid("proposal")),
        ("64-bit memory", module("(memory i64 1)"), invalid("proposal")),
        ("64-bit tables", module("(table i64 1 funcref)"), invalid("proposal")),
        ("two memories", module("(memory 1) (memory 1)"), too_many("2 memories of one module")),
        ("small pages", module("(memory 1 (pagesize 1))"), invalid("proposal")),
        ("garbage collection", module("(type (struct (field i32)))"), invalid("proposal")),
        ("exceptions", module("(tag)"), invalid("proposal")),
        ("tail calls", module("(func (return_call 0))"), invalid("proposal")),
        ("continuations", module("(type $f (func)) (type (cont $f))"), invalid("proposal")),
        (
            "relaxed vectors",
            module("(func (param v128) (result v128) (i8x16.relaxed_swizzle (local.get 0) (local.get 0)))"),
            invalid("proposal"),
        ),
        (
            "wide arithmetic",
            module("(func (result i64 i64) (i64.mul_wide_u (i64.const 1) (i64.const 2)))"),
            invalid("proposal"),
        ),
        ("asynchronous components", component("(type (future u8))"), invalid("proposal")),
        ("component values", component("(import \"v\" (value u8))"), invalid("proposal")),
    ]
}

/// Sound WebAssembly that is no plugin of this router.
fn misfits() -> Vec<Row> {
    let import = |name: &str, items: &str| component(&format!("(import \"{name}\" (instance {items}))"));
    let unknown = |part| Ends::Refused("plugin_import_unknown", part);
    let both = World::of_all(&["transform-plugin", "source-plugin"]);
    let exports = both.exports();
    let export = |index: usize| {
        let function = &exports[index];
        format!("(func (export \"{}\"){} unreachable)", function.name, function.type_text())
    };
    let both = both.embedded_in(&text(&format!(
        r#"(module (memory (export "memory") 1)
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable) {} {})"#,
        export(0),
        export(1)
    )));
    vec![
        ("a component of nothing", component(""), Ends::Refused("plugin_export_missing", "transform")),
        (
            "a web server of WASI",
            import("wasi:http/types@0.2.3", "(export \"fields\" (func))"),
            unknown("wasi:http/types"),
        ),
        (
            "a WASI of another time",
            import("wasi:cli/environment@0.3.0", "(export \"get-environment\" (func))"),
            unknown("wasi:cli/environment@0.3.0"),
        ),
        (
            "a stranger's interface",
            import("acme:db/query@1.0.0", "(export \"select\" (func))"),
            unknown("no others"),
        ),
        (
            "a function of a later router",
            import("hookmill:plugin/log@1.9.0", "(export \"flush\" (func))"),
            unknown("newer router"),
        ),
        (
            "a function of another type",
            import("hookmill:plugin/ambient@1.0.0", "(export \"now-ms\" (func (result string)))"),
            Ends::Refused("plugin_export_missing", "transform"),
        ),
        (
            "a core import of nobody's",
            text("(module (import \"env\" \"system\" (func (param i32) (result i32))))"),
            Ends::Refused("plugin_not_component", "does not make a component"),
        ),
        (
            "a core import with a giant name",
            text(&format!("(module (import \"env\" \"{}\" (func)))", "a".repeat(90_000))),
            Ends::Refused("plugin_not_component", "does not make a component"),
        ),
        (
            "an export of another shape",
            text(
                r#"(component (core module $m (func (export "run"))) (core instance $i (instantiate $m))
                    (func $run (canon lift (core func $i "run"))) (instance $t (export "run" (func $run)))
                    (export "hookmill:plugin/transform@1.0.0" (instance $t)))"#,
            ),
            Ends::Refused("plugin_types_mismatch", "has to be"),
        ),
        (
            "a world of a later router",
            component(r#"(instance $t) (export "hookmill:plugin/transform@2.0.0" (instance $t))"#),
            Ends::Refused("plugin_world_unknown", "1.x"),
        ),
        ("two worlds at once", both, Ends::Refused("plugin_world_ambiguous", "make two of it")),
        (
            "33 instances",
            component(&format!("(core module $m) {}", "(core instance (instantiate $m))".repeat(33))),
            Ends::Refused("plugin_structure_limit", "instances"),
        ),
    ]
}
