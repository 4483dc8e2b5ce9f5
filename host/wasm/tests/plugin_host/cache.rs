//! Compiled plugins on disk: found again by the next process, never trusted when altered.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use hookmill_core::plugin::PluginDigest;
use hookmill_core::port::Plugins;
use hookmill_core::port::plugins::PLUGIN_NOT_LOADED;
use hookmill_wasm::{WasmConfig, WasmHost};

use crate::guest::{TestHost, config, fault_of, module, request_of, run_of};

fn plugin() -> Vec<u8> {
    module("", "(call $deliver (call $request))")
}

fn only_file(host: &TestHost) -> PathBuf {
    let files: Vec<_> =
        fs::read_dir(host.directory.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files[0].clone()
}

#[tokio::test]
async fn the_next_process_runs_without_the_upload() {
    let host = TestHost::new();
    let digest = host.upload(&plugin()).await.unwrap();
    let host = host.restarted();
    request_of(&host.host.run(run_of(digest, "{}")).await);
}

#[tokio::test]
async fn an_altered_file_is_deleted_and_compiled_again() {
    let host = TestHost::new();
    let digest = host.upload(&plugin()).await.unwrap();
    let host = host.restarted();
    let file = only_file(&host);
    let whole = fs::read(&file).unwrap();
    let mut altered = whole.clone();
    let middle = altered.len() / 2;
    altered[middle] ^= 1;
    fs::write(&file, altered).unwrap();
    let (code, _) = fault_of(&host.host.run(run_of(digest, "{}")).await);
    assert_eq!(code, PLUGIN_NOT_LOADED);
    assert!(!file.exists());
    assert_eq!(host.upload(&plugin()).await.unwrap(), digest);
    assert_eq!(fs::read(&file).unwrap().len(), whole.len());
    request_of(&host.host.run(run_of(digest, "{}")).await);
}

#[tokio::test]
async fn another_installations_file_is_not_loaded() {
    let host = TestHost::new();
    let digest = host.upload(&plugin()).await.unwrap();
    let TestHost { host, directory } = host;
    drop(host);
    let other =
        WasmHost::new(WasmConfig { artefact_key: [8; 32].into(), ..config(directory.path()) }).unwrap();
    assert_eq!(fault_of(&other.run(run_of(digest, "{}")).await).0, PLUGIN_NOT_LOADED);
}

#[tokio::test]
async fn memory_holds_a_bounded_set_and_the_disk_the_rest() {
    let host = TestHost::new();
    let TestHost { host: unbounded, directory } = host;
    drop(unbounded);
    let small = WasmConfig { linked_bytes_max: 1, ..config(directory.path()) };
    let host = TestHost { host: Arc::new(WasmHost::new(small).unwrap()), directory };
    let plugins: Vec<Vec<u8>> = (0..5)
        .map(|number| {
            module(&format!("(global i32 (i32.const {number}))"), "(call $deliver (call $request))")
        })
        .collect();
    for plugin in &plugins {
        host.upload(plugin).await.unwrap();
    }
    for plugin in plugins.iter().chain(&plugins) {
        request_of(&host.host.run(run_of(PluginDigest::of(plugin), "{}")).await);
    }
}

#[test]
fn a_directory_that_can_not_be_made_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = WasmHost::new(config(&file.path().join("cache"))).err().unwrap();
    assert_eq!(error.code(), "plugin_cache_unusable");
    assert!(error.to_string().contains("cache"), "{error}");
}
