//! What is taken as a plugin, and why the rest is not.

use hookmill_core::limits::PLUGIN_BYTES_MAX;

use crate::guest::{TestHost, componentise, embed, module};

const DROP: &str = "(call $answer (i32.const 0) (i32.const 1) (i32.const 256) (i32.const 0))";

#[tokio::test]
async fn takes_a_core_module_and_a_component_and_the_same_again() {
    let host = TestHost::new();
    let core = module("", DROP);
    let component = componentise(&core);
    let from_core = host.upload(&core).await.unwrap();
    let from_component = host.upload(&component).await.unwrap();
    assert_ne!(from_core, from_component, "a version is what was uploaded");
    assert_eq!(host.upload(&core).await.unwrap(), from_core);
}

#[tokio::test]
async fn refuses_bad_uploads_with_reasons() {
    let host = TestHost::new();
    let good = componentise(&module("", DROP));
    let text = |text: &str| wat::parse_str(text).unwrap();
    let import = |name: &str, function: &str| {
        text(&format!(r#"(component (import "{name}" (instance (export "{function}" (func)))))"#))
    };
    let source = embed(
        r#"(module (memory (export "memory") 1)
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 0)
            (func (export "hookmill:plugin/source@1.0.0#receive") (param i32 i32) (result i32) unreachable))"#,
        "source-plugin",
    );
    let rows: Vec<(&str, Vec<u8>, &str, &str)> = vec![
        ("too large", vec![0; PLUGIN_BYTES_MAX + 1], "plugin_too_large", "at most 16777216"),
        ("empty", vec![], "plugin_not_wasm", "not WebAssembly"),
        ("text", b"export default 1".to_vec(), "plugin_not_wasm", "send the .wasm file itself"),
        ("truncated", good[..good.len() / 2].to_vec(), "plugin_malformed", "cut off at byte"),
        (
            "functions",
            text(&format!("(module {})", "(func)".repeat(60_001))),
            "plugin_structure_limit",
            "60001 functions",
        ),
        ("no component type", text("(module)"), "plugin_export_missing", "hookmill-plugin"),
        (
            "core imports",
            text(r#"(module (import "env" "f" (func)))"#),
            "plugin_not_component",
            "hookmill-plugin",
        ),
        ("invalid", text("(component (core module (func i32.add)))"), "plugin_invalid", "does not validate"),
        ("threads", text("(component (core module (memory 1 1 shared)))"), "plugin_invalid", "proposal"),
        ("exports nothing", text("(component)"), "plugin_export_missing", "hookmill:plugin/transform@1.0.0"),
        ("other world", source, "plugin_export_missing", "this is a source plugin"),
        (
            "wasi",
            import("wasi:cli/environment@0.2.3", "get-environment"),
            "plugin_import_unknown",
            "--stub-wasi",
        ),
        (
            "newer function",
            import("hookmill:plugin/log@1.9.0", "flush"),
            "plugin_import_unknown",
            "needs a newer router",
        ),
        (
            "newer interface",
            import("hookmill:plugin/cache@1.1.0", "get"),
            "plugin_import_unknown",
            "`hookmill:plugin/cache@1.1.0`",
        ),
        (
            "newer major",
            import("hookmill:plugin/log@2.0.0", "write"),
            "plugin_import_unknown",
            "needs a newer router",
        ),
        ("other import", import("acme:db/query@1.0.0", "select"), "plugin_import_unknown", "no others"),
        ("no export", import("hookmill:plugin/log@1.0.0", "write"), "plugin_export_missing", "transform"),
    ];
    let mut surprises = Vec::new();
    for (what, upload, code, part) in rows {
        match host.upload(&upload).await {
            Err(rejected) if rejected.code == code && rejected.message.contains(part) => {}
            other => surprises.push((what, other)),
        }
    }
    assert!(surprises.is_empty(), "{surprises:#?}");
    assert!(host.upload(&good).await.is_ok(), "the host goes on");
}

#[tokio::test]
async fn refuses_an_export_of_another_shape() {
    let host = TestHost::new();
    let upload = wat::parse_str(
        r#"(component
            (core module $m (func (export "run")))
            (core instance $i (instantiate $m))
            (func $run (canon lift (core func $i "run")))
            (instance $transform (export "run" (func $run)))
            (export "hookmill:plugin/transform@1.0.0" (instance $transform)))"#,
    )
    .unwrap();
    let rejected = host.upload(&upload).await.unwrap_err();
    assert_eq!(rejected.code, "plugin_types_mismatch", "{rejected}");
}
