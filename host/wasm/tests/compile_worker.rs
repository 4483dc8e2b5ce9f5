//! The compile worker at its limits: this program is one itself when it is told so.
//!
//! A worker keeps a lower limit that it inherits, so a shell that sets one stands for an upload that is slow enough
//! for a minute or large enough for gigabytes.

#![expect(clippy::unwrap_used, reason = "what the tests stand on may panic: that fails the test")]

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use hookmill_core::port::Plugins;
use hookmill_core::port::plugins::PluginRejected;
use hookmill_wasm::{CompileWorker, WasmConfig, WasmHost, serve_compile_job};

/// What makes this program a worker.
const WORKER: &str = "serve-compile-job";

type Test = (&'static str, fn());

const TESTS: [Test; 3] = [
    ("processor_time_is_bounded", processor_time_is_bounded),
    ("address_space_is_bounded", address_space_is_bounded),
    ("no_descriptor_is_inherited", no_descriptor_is_inherited),
];

/// As much of the standard harness as `cargo test` and nextest ask for.
fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |argument: &str| arguments.iter().any(|given| given == argument);
    if has(WORKER) {
        serve_compile_job().unwrap();
    } else if has("--list") {
        let listed = if has("--ignored") { &[] } else { TESTS.as_slice() };
        for (name, _) in listed {
            println!("{name}: test");
        }
    } else {
        let named = |name: &str| arguments.iter().all(|given| given.starts_with('-') || given == name);
        for (_, test) in TESTS.into_iter().filter(|(name, _)| named(name)) {
            test();
        }
    }
}

/// A component with functions of much straight-line code. In binary, since megabytes of text take their time.
fn component(functions: usize, operations: usize) -> Vec<u8> {
    // `a = (a + b) * a`, again and again, with the two parameters as the only variables.
    let operation = [0x20, 0, 0x20, 1, 0x6a, 0x20, 0, 0x6c, 0x21, 0];
    let body = [&[0], operation.repeat(operations).as_slice(), &[0x20, 0, 0x0b]].concat();
    let types = [1, 0x60, 2, 0x7f, 0x7f, 1, 0x7f];
    let module = [
        b"\0asm\x01\0\0\0".to_vec(),
        section(1, &types),
        section(3, &[leb128(functions), vec![0; functions]].concat()),
        section(10, &[leb128(functions), with_length(&body).repeat(functions)].concat()),
    ];
    [b"\0asm\x0d\0\x01\0".to_vec(), section(1, &module.concat())].concat()
}

fn section(id: u8, content: &[u8]) -> Vec<u8> {
    [vec![id], with_length(content)].concat()
}

fn with_length(content: &[u8]) -> Vec<u8> {
    [leb128(content.len()), content.to_vec()].concat()
}

fn leb128(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(u8::try_from(number & 0x7f).unwrap() | 0x80);
        number >>= 7;
    }
    bytes.push(u8::try_from(number).unwrap());
    bytes
}

/// What comes of an upload where workers inherit a limit. Whatever compiles lacks an export.
fn upload(limit: &str, component: Vec<u8>) -> PluginRejected {
    let directory = tempfile::TempDir::new().unwrap();
    let program = std::env::current_exe().unwrap();
    let arguments = ["-c", &format!("ulimit {limit}; exec \"$0\" {WORKER}")].map(OsString::from);
    let worker = CompileWorker {
        program: "/bin/sh".into(),
        arguments: arguments.into_iter().chain([program.into_os_string()]).collect(),
        wall_max: Duration::from_secs(90),
    };
    let config = WasmConfig::new(directory.path().to_owned(), [7; 32].into());
    let host = WasmHost::new(WasmConfig { threads: 2, compile_worker: Some(worker), ..config }).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(host.prepare(Bytes::from(component))).unwrap_err()
}

fn check_limit(limit: &str, too_much: Vec<u8>) {
    let small = upload(limit, component(1, 1));
    assert_eq!(small.code, "plugin_export_missing", "compiles within `ulimit {limit}`: {small}");
    let refused = upload(limit, too_much);
    assert_eq!(refused.code, "plugin_compiler_failed", "{refused}");
    assert!(refused.message.contains("60 s of its time, 90 s in all, and 4096 MiB"), "{refused}");
}

fn processor_time_is_bounded() {
    check_limit("-t 1", component(400, 3_000));
}

fn address_space_is_bounded() {
    check_limit("-v 160000", component(10, 52_000));
}

/// A descriptor that outlives `exec` is closed before the worker reads its job.
fn no_descriptor_is_inherited() {
    let leaked = rustix::io::dup(File::open("/dev/null").unwrap()).unwrap();
    let mut worker = Command::new(std::env::current_exe().unwrap())
        .arg(WORKER)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = worker.stdin.take().unwrap();
    let job = br#"{"layout":"OnDemand","memory_bytes":33554432}"#;
    input.write_all(&(job.len() as u64).to_le_bytes()).unwrap();
    input.write_all(job).unwrap();
    input.write_all(&component(20, 1000)).unwrap();
    drop(input);
    // The artefact does not fit the pipe, so a worker that has begun to answer waits here.
    let mut output = worker.stdout.take().unwrap();
    output.read_exact(&mut [0; 8]).unwrap();
    let open = Path::new("/proc").join(worker.id().to_string()).join("fd");
    let mut open: Vec<String> =
        open.read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    open.sort();
    worker.kill().unwrap();
    worker.wait().unwrap();
    drop(leaked);
    assert_eq!(open, ["0", "1", "2"]);
}
