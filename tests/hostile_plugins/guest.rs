//! What hostile plugins are made of: a sound module of a world, with one thing in it that is not.
//!
//! Every import of the world is there under its label (`$request.set-body`, see [`World::imports`]). `$body` gets the
//! handles that the export gets, by the names of their resources, and leaves the address of the answer. What it was
//! lent is given back after it.
//!
//! Memory: 0 to 63 is the answer, 512 is for what the host answers, 1024 and 32768 are for a row's own data, and from
//! 65536 on is what the host hands over.

use hookmill_tests::world::{CoreFunction, World};

/// Where the host's answers go.
pub(crate) const ANSWER_AT: u32 = 512;

/// `$answer` makes a transform's result: `failed` is 1 for a failure, `case` is 0 for `deliver` and `retryable`.
/// `$refusal` hands the host's refusal on as a permanent failure, and traps where the host refused nothing.
const TRANSFORM: &str = r#"
  (func $answer (param $failed i32) (param $case i32) (param $at i32) (param $length i32) (result i32)
    (i32.store8 (i32.const 0) (local.get $failed))
    (i32.store8 (i32.const 4) (local.get $case))
    (i32.store (i32.const 8) (local.get $at))
    (i32.store (i32.const 12) (local.get $length))
    (i32.const 0))
  (func $deliver (param $request i32) (result i32)
    (i32.store (i32.const 64) (local.get $request))
    (call $answer (i32.const 0) (i32.const 0) (i32.const 64) (i32.const 1)))
  (func $accepted_by_the_host unreachable)
  (func $must_refuse
    (if (i32.ne (i32.load8_u (i32.const 512)) (i32.const 1)) (then (call $accepted_by_the_host))))
  (func $refusal (result i32)
    (call $must_refuse)
    (call $answer (i32.const 1) (i32.const 1) (i32.load (i32.const 516)) (i32.load (i32.const 520))))
"#;

/// `$verdict` makes the result of the other worlds: a case, and the words that it has. `$rejection` hands the host's
/// refusal on as a source's, and traps where the host refused nothing.
const VERDICT: &str = r#"
  (func $verdict (param $case i32) (param $first i32) (param $second i32) (result i32)
    (i32.store8 (i32.const 0) (local.get $case))
    (i32.store (i32.const 4) (local.get $first))
    (i32.store (i32.const 8) (local.get $second))
    (i32.const 0))
  (func $accepted_by_the_host unreachable)
  (func $rejection (result i32)
    (if (i32.ne (i32.load8_u (i32.const 512)) (i32.const 1)) (then (call $accepted_by_the_host)))
    (call $verdict (i32.const 2) (i32.load (i32.const 516)) (i32.load (i32.const 520))))
"#;

/// What is particular about one plugin.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parts<'a> {
    /// Further items of the module.
    pub(crate) items: &'a str,
    /// The body of `cabi_realloc`.
    pub(crate) realloc: &'a str,
    /// What `$body` does.
    pub(crate) body: &'a str,
    /// What is done when the host has taken the answer.
    pub(crate) post_return: &'a str,
    /// Whether the lent handles are given back.
    pub(crate) gives_back: bool,
}

impl Default for Parts<'_> {
    fn default() -> Self {
        Self {
            items: "",
            realloc: "(i32.const 65536)",
            body: "unreachable",
            post_return: "",
            gives_back: true,
        }
    }
}

/// Makes plugins of one world.
#[derive(Debug)]
pub(crate) struct Maker {
    world: World,
    imports: Vec<CoreFunction>,
    export: CoreFunction,
    prelude: &'static str,
}

impl Maker {
    pub(crate) fn of_transforms() -> Self {
        Self::of(World::named("transform-plugin"), TRANSFORM)
    }

    pub(crate) fn of_sources() -> Self {
        Self::of(World::named("source-plugin"), VERDICT)
    }

    pub(crate) fn of_classifiers() -> Self {
        Self::of(World::named("classifier-plugin"), VERDICT)
    }

    fn of(world: World, prelude: &'static str) -> Self {
        let imports = world.imports();
        let export = world.exports().pop().expect("a world of plugins has an export");
        Self { world, imports, export, prelude }
    }

    pub(crate) fn imports(&self) -> &[CoreFunction] {
        &self.imports
    }

    /// A plugin that is sound but for its body.
    pub(crate) fn with_body(&self, body: &str) -> Vec<u8> {
        self.make(Parts { body, ..Parts::default() })
    }

    pub(crate) fn make(&self, parts: Parts<'_>) -> Vec<u8> {
        let Parts { items, realloc, body, post_return, gives_back } = parts;
        let imports: String = self.imports.iter().map(CoreFunction::import_text).collect();
        let lent: Vec<&str> = self.export.handles.iter().flatten().map(String::as_str).collect();
        let each_lent =
            |text: &dyn Fn(&str) -> String| lent.iter().map(|name| text(name)).collect::<String>();
        let parameters = each_lent(&|name| format!("(param ${name} i32)"));
        let arguments = each_lent(&|name| format!("(local.get ${name})"));
        let drops = each_lent(&|name| format!("(call ${name}.drop (local.get ${name}))"));
        let drops = if gives_back { drops } else { String::new() };
        let export = &self.export.name;
        let prelude = self.prelude;
        let text = format!(
            r#"(module {imports} (memory (export "memory") 2)
  (func (export "cabi_realloc")
    (param $old i32) (param $old_bytes i32) (param $align i32) (param $bytes i32) (result i32) {realloc})
  {prelude} {items}
  (func $body {parameters} (result i32) (local $i i32) (local $made i32) {body})
  (func $export (export "{export}") {parameters} (result i32) (local $result i32)
    (local.set $result (call $body {arguments}))
    {drops}
    (local.get $result))
  (func (export "cabi_post_{export}") (param i32) {post_return}))"#
        );
        let module = wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}"));
        self.world.embedded_in(&module)
    }
}

/// A data segment of the row's own.
pub(crate) fn data(at: u32, bytes: impl AsRef<[u8]>) -> String {
    let escaped: String = bytes.as_ref().iter().map(|byte| format!("\\{byte:02x}")).collect();
    format!("(data (i32.const {at}) \"{escaped}\")")
}

/// The instructions `what`, so many times, in a loop that counts in `$i`.
pub(crate) fn repeat(times: u32, what: &str) -> String {
    format!(
        "(loop $next {what} (local.set $i (i32.add (local.get $i) (i32.const 1)))
           (br_if $next (i32.lt_u (local.get $i) (i32.const {times}))))"
    )
}

/// The same without an end.
pub(crate) fn forever(what: &str) -> String {
    format!("(loop $again {what} (br $again)) unreachable")
}
