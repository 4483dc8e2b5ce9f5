//! What toolchains import of WASI: any 0.2.x links, everything answers the same each time, and nothing gets out.

use std::fmt::Write as _;
use std::path::Path;

use hookmill_core::plugin::LogLevel;
use hookmill_wasm::limits::RANDOM_BYTES_MAX;
use wit_component::{StringEncoding, embed_component_metadata};
use wit_parser::abi::{AbiVariant, WasmType};
use wit_parser::{PackageId, Resolve, SourceMap, TypeDefKind, WorldId, WorldItem};

use crate::guest::{MEMORY, TestHost, fault_of, request_of};

/// What is refused when it is called, as far as these tests call it.
const REFUSED: &str = "
package wasi:filesystem@0.2.0 {
    interface types {
        enum error-code { access }
        resource descriptor { sync: func() -> result<_, error-code>; }
    }
    interface preopens {
        use types.{descriptor};
        get-directories: func() -> list<tuple<descriptor, string>>;
    }
}
package wasi:sockets@0.2.0 {
    interface network {
        enum error-code { access-denied }
        resource network;
    }
    interface instance-network {
        use network.{network};
        instance-network: func() -> network;
    }
    interface tcp {
        use network.{error-code, network};
        resource tcp-socket { finish-bind: func(network: borrow<network>) -> result<_, error-code>; }
    }
    interface tcp-create-socket {
        use network.{error-code};
        use tcp.{tcp-socket};
        create-tcp-socket: func() -> result<tcp-socket, error-code>;
    }
}";

/// The host's own texts with another patch version of WASI, and a world of a transform that imports all of it.
fn resolve(version: &str, more: &str) -> (Resolve, WorldId) {
    let read = |path: &str| std::fs::read_to_string(path).unwrap().replace("@0.2.0", version);
    let mut wasi = read("wit/wasi.wit");
    if !more.is_empty() {
        let begin = wasi.find("package wasi:filesystem").unwrap();
        let end = wasi.find("package wasi:io").unwrap();
        wasi.replace_range(begin..end, &more.replace("@0.2.0", version));
    }
    let imports = if more.is_empty() {
        String::new()
    } else {
        format!(
            "import wasi:filesystem/types{version}; import wasi:sockets/tcp{version};
             import wasi:sockets/instance-network{version}; import wasi:sockets/tcp-create-socket{version};"
        )
    };
    let world = format!("package test:test; world test {{ include hookmill:host/transform; {imports} }}");
    let mut resolve = Resolve::default();
    resolve.push_dir(Path::new("../../wit")).unwrap();
    push(&mut resolve, &[&read("wit/host.wit"), &wasi]);
    let package = push(&mut resolve, &[&world]);
    let world = resolve.select_world(&[package], Some("test")).unwrap();
    (resolve, world)
}

fn push(resolve: &mut Resolve, texts: &[&str]) -> PackageId {
    let mut map = SourceMap::default();
    for (number, text) in texts.iter().enumerate() {
        map.push_str(&format!("{number}.wit"), *text);
    }
    let group = map.parse().unwrap_or_else(|(_, error)| panic!("{error}"));
    resolve.push_group(group).unwrap()
}

/// An import of every function of a world, named `$"interface function"` without the interface's version.
fn imports(resolve: &Resolve, world: WorldId) -> String {
    let mut text = String::new();
    for (key, item) in &resolve.worlds[world].imports {
        let WorldItem::Interface { id, .. } = item else { panic!("an interface: {key:?}") };
        let module = resolve.name_world_key(key);
        let name = module.split('@').next().unwrap().to_owned();
        let interface = &resolve.interfaces[*id];
        for function in interface.functions.values() {
            let signature = resolve.wasm_signature(AbiVariant::GuestImport, function);
            let types = |types: &[WasmType]| -> String {
                types.iter().map(|ty| if *ty == WasmType::I64 { " i64" } else { " i32" }).collect()
            };
            writeln!(
                text,
                r#"(import "{module}" "{function}" (func $"{name} {function}" (param{}) (result{})))"#,
                types(&signature.params),
                types(&signature.results),
                function = function.name,
            )
            .unwrap();
        }
        for (resource, id) in &interface.types {
            if matches!(resolve.types[*id].kind, TypeDefKind::Resource) {
                writeln!(
                    text,
                    r#"(import "{module}" "[resource-drop]{resource}" (func $"{name} drop {resource}" (param i32)))"#
                )
                .unwrap();
            }
        }
    }
    text
}

/// A transform that imports all of WASI that there is, does this, and sends the bytes from 512 to 1024.
fn plugin(version: &str, more: &str, data: &str, body: &str) -> Vec<u8> {
    let (resolve, world) = resolve(version, more);
    let text = format!(
        r#"(module {imports} {MEMORY} (data (i32.const 256) "{data}")
  (func $body (local $h i32) {body})
  (func (export "hookmill:plugin/transform@1.0.0#run") (param $event i32) (param $target i32) (result i32)
    (local $r i32)
    (call $body)
    (call $"hookmill:plugin/event drop event" (local.get $event))
    (call $"hookmill:plugin/event drop target" (local.get $target))
    (local.set $r (call $"hookmill:plugin/outbound [constructor]request"))
    (call $"hookmill:plugin/outbound [method]request.set-body" (local.get $r) (i32.const 512) (i32.const 512))
    (i32.store (i32.const 0) (i32.const 0))
    (i32.store (i32.const 4) (i32.const 0))
    (i32.store (i32.const 64) (local.get $r))
    (i32.store (i32.const 8) (i32.const 64))
    (i32.store (i32.const 12) (i32.const 1))
    (i32.const 0)))"#,
        imports = imports(&resolve, world),
    );
    let mut module = wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    module
}

/// Stores a 64-bit number that a function answers.
fn number(at: u32, call: &str) -> String {
    format!("(i64.store (i32.const {at}) (call {call}))")
}

#[tokio::test]
async fn any_0_2_links_and_its_answers_are_inert() {
    let host = TestHost::new();
    let body = [
        r#"(call $"wasi:cli/environment get-environment" (i32.const 512))"#,
        r#"(call $"wasi:cli/environment get-arguments" (i32.const 520))"#,
        r#"(call $"wasi:cli/environment initial-cwd" (i32.const 528))"#,
        r#"(call $"wasi:filesystem/preopens get-directories" (i32.const 540))"#,
        r#"(call $"wasi:cli/terminal-stdout get-terminal-stdout" (i32.const 548))"#,
        r#"(call $"wasi:clocks/wall-clock now" (i32.const 560))"#,
        &number(576, r#"$"wasi:clocks/monotonic-clock now""#),
        // Standard input is at its end: an error of the case `closed`.
        r#"(call $"wasi:io/streams [method]input-stream.blocking-read"
             (call $"wasi:cli/stdin get-stdin") (i64.const 10) (i32.const 584))"#,
        // A timer of an hour is ready at once.
        r#"(local.set $h (call $"wasi:clocks/monotonic-clock subscribe-duration" (i64.const 3600000000000)))
           (call $"wasi:io/poll [method]pollable.block" (local.get $h))
           (i32.store (i32.const 600) (local.get $h))
           (call $"wasi:io/poll poll" (i32.const 600) (i32.const 1) (i32.const 604))
           (i32.store (i32.const 604) (i32.load (i32.load (i32.const 604))))"#,
    ]
    .join("\n");
    let first = host.run(&plugin("@0.2.0", "", "", &body), "{}").await;
    let found = &request_of(&first).body;
    let hookmill_core::request::RequestBody::Replaced(bytes) = found else { panic!("{found:?}") };
    let word = |at: usize| u32::from_le_bytes(bytes[at - 512..at - 508].try_into().unwrap());
    let long = |at: usize| u64::from_le_bytes(bytes[at - 512..at - 504].try_into().unwrap());
    assert_eq!((word(516), word(524), word(528) & 0xff, word(544), word(548) & 0xff), (0, 0, 0, 0, 0));
    assert_eq!((long(560), word(568)), (1_795_309_323, 0));
    assert_eq!(long(576), 1_795_309_323_000_000_000);
    assert_eq!((word(584) & 0xff, word(588) & 0xff), (1, 1));
    assert_eq!((word(604), word(608)), (0, 1));
    for version in ["@0.2.1", "@0.2.6", "@0.2.12"] {
        let again = host.run(&plugin(version, "", "", &body), "{}").await;
        assert_eq!(again.result, first.result, "{version}");
    }
}

#[tokio::test]
async fn chance_repeats_and_is_bounded() {
    let host = TestHost::new();
    let body = [
        number(512, r#"$"wasi:random/random get-random-u64""#).as_str(),
        &number(520, r#"$"wasi:random/insecure get-insecure-random-u64""#),
        r#"(call $"wasi:random/insecure-seed insecure-seed" (i32.const 528))"#,
        r#"(call $"wasi:random/random get-random-bytes" (i64.const 100) (i32.const 120))
           (memory.copy (i32.const 544) (i32.load (i32.const 120)) (i32.load (i32.const 124)))"#,
    ]
    .join("\n");
    let draw = plugin("@0.2.0", "", "", &body);
    let first = host.run(&draw, "{}").await;
    assert_eq!(host.run(&draw, "{}").await.result, first.result);
    let hookmill_core::request::RequestBody::Replaced(bytes) = &request_of(&first).body else { panic!() };
    let (words, _) = bytes[..132].as_chunks::<4>();
    assert!(words.iter().all(|word| *word != [0; 4]), "{words:?}");
    let greedy = format!(
        r#"(call $"wasi:random/random get-random-bytes" (i64.const {}) (i32.const 120))"#,
        RANDOM_BYTES_MAX + 1
    );
    let (code, detail) = host.fault(&plugin("@0.2.0", "", "", &greedy)).await;
    assert_eq!(code, "plugin_host_call_bytes_limit");
    assert!(detail.contains("65536 random bytes"), "{detail}");
}

#[tokio::test]
async fn what_is_printed_is_in_the_log() {
    let host = TestHost::new();
    let print = |stream: &str, at: u32, length: u32| {
        format!(
            r#"(call $"wasi:io/streams [method]output-stream.blocking-write-and-flush"
                 (call $"wasi:cli/{stream} get-{stream}") (i32.const {at}) (i32.const {length}) (i32.const 120))"#
        )
    };
    let body = [print("stdout", 256, 7), print("stderr", 263, 4), print("stdout", 267, 4)].concat();
    let report = host.run(&plugin("@0.2.0", "", "one\\0atwooopsrest", &body), "{}").await;
    let lines: Vec<_> = report.logs.iter().map(|line| (line.level, line.message.as_str())).collect();
    assert_eq!(lines, [(LogLevel::Info, "one"), (LogLevel::Info, "tworest"), (LogLevel::Warn, "oops")][..]);
}

#[tokio::test]
async fn exit_ends_the_run_by_name() {
    let host = TestHost::new();
    let exit = plugin("@0.2.0", "", "", r#"(call $"wasi:cli/exit exit" (i32.const 1))"#);
    let (code, detail) = host.fault(&exit).await;
    assert_eq!(code, "plugin_exit");
    assert!(detail.starts_with("the plugin ended itself with exit status 1"), "{detail}");
}

#[tokio::test]
async fn files_and_sockets_link_and_are_refused_when_called() {
    let host = TestHost::new();
    for version in ["@0.2.0", "@0.2.9"] {
        request_of(&host.run(&plugin(version, REFUSED, "", ""), "{}").await);
        let connect = plugin(
            version,
            REFUSED,
            "",
            r#"(call $"wasi:sockets/tcp-create-socket create-tcp-socket" (i32.const 512))"#,
        );
        let (code, detail) = fault_of(&host.run(&connect, "{}").await);
        assert_eq!(code, "plugin_wasi_refused");
        let named = format!("`create-tcp-socket` of wasi:sockets/tcp-create-socket{version} was called");
        assert!(detail.starts_with(&named), "{detail}");
    }
}
