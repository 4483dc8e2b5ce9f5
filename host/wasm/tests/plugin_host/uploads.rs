//! What is taken as a plugin, and why the rest is not.

use bytes::Bytes;
use hookmill_core::limits::PLUGIN_BYTES_MAX;
use hookmill_core::plugin::World;
use hookmill_core::port::Plugins;

use crate::guest::{TestHost, componentise, module};

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
    let two_worlds = text(
        r#"(component (instance $empty)
            (export "hookmill:plugin/source@1.0.0" (instance $empty))
            (export "hookmill:plugin/transform@1.0.0" (instance $empty)))"#,
    );
    let newer_world =
        text(r#"(component (instance $empty) (export "hookmill:plugin/source@2.0.0" (instance $empty)))"#);
    let outbound_in_source = text(
        r#"(component (import "hookmill:plugin/outbound@1.0.0" (instance))
            (instance $empty) (export "hookmill:plugin/source@1.0.0" (instance $empty)))"#,
    );
    let rows: Vec<(&str, Vec<u8>, &str, &str)> = vec![
        ("too large", vec![0; PLUGIN_BYTES_MAX + 1], "plugin_too_large", "at most 25165824"),
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
        ("two worlds", two_worlds, "plugin_world_ambiguous", "`source` and `transform`"),
        ("newer world", newer_world, "plugin_world_unknown", "hookmill:plugin 2.0.0"),
        ("another world's import", outbound_in_source, "plugin_import_unknown", "a source plugin has no use"),
        ("wasi", import("wasi:http/types@0.2.3", "f"), "plugin_import_unknown", "--stub-wasi"),
        (
            "wasi 0.3",
            import("wasi:cli/environment@0.3.0", "get-environment"),
            "plugin_import_unknown",
            "WASI 0.2",
        ),
        (
            "wasi function",
            import("wasi:cli/exit@0.2.9", "abort"),
            "plugin_import_unknown",
            "` abort; of WASI 0.2",
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
    for (world, function) in [("transform", "run"), ("source", "receive"), ("classifier", "classify")] {
        let component = |exported: &str| {
            wat::parse_str(format!(
                r#"(component
                    (core module $m (func (export "f")))
                    (core instance $i (instantiate $m))
                    (func $f (canon lift (core func $i "f")))
                    (instance $export (export "{exported}" (func $f)))
                    (export "hookmill:plugin/{world}@1.0.0" (instance $export)))"#
            ))
            .unwrap()
        };
        let rejected = host.upload(&component(function)).await.unwrap_err();
        assert_eq!(rejected.code, "plugin_types_mismatch", "{rejected}");
        let rejected = host.upload(&component("another")).await.unwrap_err();
        assert_eq!(rejected.code, "plugin_export_missing", "{rejected}");
        assert!(rejected.message.contains(&format!("no function `{function}`")), "{rejected}");
    }
}

#[tokio::test]
async fn tells_what_is_in_an_upload_fresh_and_cached() {
    let host = TestHost::new();
    let manifest = r#"(@custom "hookmill:manifest" "{}")"#;
    let plugin = module(manifest, DROP);
    let fresh = host.host.prepare(Bytes::copy_from_slice(&plugin)).await.unwrap();
    assert_eq!(fresh.facts.world, World::Transform);
    assert_eq!(fresh.facts.manifest.as_deref(), Some(b"{}".as_slice()));
    assert!(fresh.facts.imports.contains(&"hookmill:plugin/event@1.0.0".to_owned()), "{:?}", fresh.facts);
    assert!(fresh.facts.artefact_bytes > 1000);
    let in_memory = host.host.prepare(Bytes::copy_from_slice(&plugin)).await.unwrap();
    assert_eq!(in_memory, fresh);
    let host = host.restarted();
    let from_disk = host.host.prepare(Bytes::copy_from_slice(&plugin)).await.unwrap();
    assert_eq!(from_disk, fresh);
}

#[tokio::test]
async fn an_upload_with_a_bad_manifest_is_refused_before_it_is_compiled() {
    let host = TestHost::new();
    let two = r#"(@custom "hookmill:manifest" "a") (@custom "hookmill:manifest" "b")"#;
    let rejected = host.upload(&module(two, DROP)).await.unwrap_err();
    assert_eq!(rejected.code, "plugin_manifest_ambiguous");
    assert!(host.directory.path().read_dir().unwrap().next().is_none());
}
