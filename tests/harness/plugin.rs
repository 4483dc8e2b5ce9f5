//! Plugins: those of the repository, and hostile ones.
//!
//! Hostile plugins are written as WebAssembly text, one function body each, in a module that is otherwise well-formed:
//! it has the imports, the export and the memory of a transform, and its component type embedded. So what the router
//! finds wrong with it is what the test put there.

use crate::fixture::{built, repository};
use crate::world::World;

/// A plugin of the repository, as `cargo xtask plugins` left it.
///
/// # Panics
/// If it was not built.
#[must_use]
pub fn of_repository(name: &str) -> Vec<u8> {
    let path = repository().join("plugins/target/plugins").join(format!("{name}.wasm"));
    std::fs::read(built(path, "cargo xtask plugins")).expect("a built plugin can be read")
}

/// A plugin that answers every event with a request whose body is this text, at most 256 bytes.
#[must_use]
pub fn saying(text: &str) -> Vec<u8> {
    let escaped: String = text.bytes().map(|byte| format!("\\{byte:02x}")).collect();
    let length = text.len();
    transform(
        &format!(
            r#"(call $set_body (global.get $made) (i32.const 2048) (i32.const {length}))
           (return (call $deliver_made))"#
        ),
        &format!(r#"(data (i32.const 2048) "{escaped}")"#),
    )
}

/// A plugin that says of every event that it can never be delivered, for this reason of at most 256 bytes.
#[must_use]
pub fn refusing(reason: &str) -> Vec<u8> {
    let escaped: String = reason.bytes().map(|byte| format!("\\{byte:02x}")).collect();
    let length = reason.len();
    // `err(permanent(reason))`, where `transform` has the result.
    transform(
        &format!(
            r#"(i32.store8 (i32.const 1024) (i32.const 1))
           (i32.store8 (i32.const 1028) (i32.const 1))
           (i32.store (i32.const 1032) (i32.const 2048))
           (i32.store (i32.const 1036) (i32.const {length}))
           (return (i32.const 1024))"#
        ),
        &format!(r#"(data (i32.const 2048) "{escaped}")"#),
    )
}

/// A plugin that hits `unreachable` in a function named `boom`.
#[must_use]
pub fn trapping() -> Vec<u8> {
    transform("(call $boom)", "(func $boom unreachable)")
}

/// A plugin that loops without end.
#[must_use]
pub fn looping() -> Vec<u8> {
    transform("(loop $again (br $again))", "")
}

/// A plugin that takes ever more memory.
#[must_use]
pub fn growing() -> Vec<u8> {
    transform("(loop $again (drop (memory.grow (i32.const 16))) (br $again))", "")
}

/// A plugin that hands over a body of so many bytes, all of which it has.
#[must_use]
pub fn returning_bytes(bytes: u32) -> Vec<u8> {
    let pages = bytes.div_ceil(64 << 10);
    transform(
        &format!(
            r#"(drop (memory.grow (i32.const {pages})))
           (call $set_body (global.get $made) (i32.const 4096) (i32.const {bytes}))
           (return (call $deliver_made))"#
        ),
        "",
    )
}

/// A plugin that hands over a gibibyte that it does not have.
#[must_use]
pub fn claiming_a_gibibyte() -> Vec<u8> {
    transform("(call $set_body (global.get $made) (i32.const 0) (i32.const 0x40000000))", "")
}

/// A plugin that logs so many lines of so many bytes, then sends the event as it is.
#[must_use]
pub fn logging(lines: u32, bytes: u32) -> Vec<u8> {
    transform(
        &format!(
            r#"(local.set $count (i32.const {lines}))
           (memory.fill (i32.const 4096) (i32.const 0x61) (i32.const {bytes}))
           (loop $again
             (call $log (i32.const 1) (i32.const 4096) (i32.const {bytes}))
             (br_if $again (local.tee $count (i32.sub (local.get $count) (i32.const 1)))))
           (return (call $deliver_made))"#
        ),
        "",
    )
}

/// A transform without its export.
#[must_use]
pub fn without_export() -> Vec<u8> {
    embedded(&module("", ""), "transform-plugin")
}

/// A component with nothing in it.
#[must_use]
pub fn empty_component() -> Vec<u8> {
    wat::parse_str("(component)").expect("the text is sound")
}

/// A sound core module that says nothing of components.
#[must_use]
pub fn core_module() -> Vec<u8> {
    wat::parse_str(r#"(module (func (export "run")))"#).expect("the text is sound")
}

/// A core module of a program for WASI, not of a plugin.
#[must_use]
pub fn wasi_program() -> Vec<u8> {
    let text = r#"(module
        (import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))
        (memory (export "memory") 1)
        (func (export "_start")))"#;
    wat::parse_str(text).expect("the text is sound")
}

/// A transform whose `run` does this after it has made a request.
fn transform(body: &str, items: &str) -> Vec<u8> {
    let imports = r#"
        (import "hookmill:plugin/log@1.0.0" "write" (func $log (param i32 i32 i32)))
        (import "hookmill:plugin/event@1.0.0" "[resource-drop]event" (func $drop_event (param i32)))
        (import "hookmill:plugin/event@1.0.0" "[resource-drop]target" (func $drop_target (param i32)))
        (import "hookmill:plugin/outbound@1.0.0" "[constructor]request" (func $request (result i32)))
        (import "hookmill:plugin/outbound@1.0.0" "[method]request.set-body" (func $set_body (param i32 i32 i32)))
    "#;
    // The result is `ok(deliver([made]))` at 1024: two discriminants, then the list's address and length.
    let items = format!(
        r#"(global $made (mut i32) (i32.const 0))
           (func $deliver_made (result i32)
             (i32.store8 (i32.const 1024) (i32.const 0))
             (i32.store8 (i32.const 1028) (i32.const 0))
             (i32.store (i32.const 1032) (i32.const 1048))
             (i32.store (i32.const 1036) (i32.const 1))
             (i32.store (i32.const 1048) (global.get $made))
             (i32.const 1024))
           {items}
           (func (export "hookmill:plugin/transform@1.0.0#run") (param $event i32) (param $target i32) (result i32)
             (local $count i32)
             (call $drop_event (local.get $event))
             (call $drop_target (local.get $target))
             (global.set $made (call $request))
             {body}
             unreachable)"#
    );
    embedded(&module(imports, &items), "transform-plugin")
}

fn module(imports: &str, items: &str) -> Vec<u8> {
    let text = format!(r#"(module {imports} (memory (export "memory") 2) {items})"#);
    wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}"))
}

/// The module with the component type of a world of `wit/` in it, as the toolchains of guests leave it.
fn embedded(module: &[u8], world: &str) -> Vec<u8> {
    World::named(world).embedded_in(module)
}
