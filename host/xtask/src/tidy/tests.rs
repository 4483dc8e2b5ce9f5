//! Tidy on a small workspace of its own: sound it passes, with one thing planted it fails there.

use std::path::Path;

use super::*;
use crate::steps::{run, tool};

const ROOMS: &[(&str, &str)] = &[("core", ""), ("app", "hookmill-core = { path = \"../core\" }\n")];

/// A workspace with the layout of ours, two crates large.
fn fixture() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    write(
        root.path(),
        "Cargo.toml",
        "[workspace]\nresolver = \"3\"\nmembers = [\"host/*\"]\n[workspace.lints.rust]\nunsafe_code = \"deny\"\n",
    );
    write(root.path(), ".gitignore", "/target\n");
    write(root.path(), "host/ARCHITECTURE.md", "`host/core` decides, `host/app` does.\n");
    for (room, dependencies) in ROOMS {
        let manifest = format!(
            "[package]\nname = \"hookmill-{room}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[lints]\nworkspace = true\n[dependencies]\n{dependencies}"
        );
        write(root.path(), &format!("host/{room}/Cargo.toml"), &manifest);
        write(root.path(), &format!("host/{room}/src/lib.rs"), "//! A room.\n");
    }
    run(tool("git", root.path()).args(["init", "--quiet"])).expect("git is installed");
    root
}

fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn places(root: &Path) -> Vec<String> {
    let report = check_tree(root).expect("the tree can be read");
    let places: Vec<String> = report.errors().map(|finding| finding.place.clone()).collect();
    assert_eq!(report.passed(), places.is_empty());
    places
}

#[test]
fn a_sound_tree_passes() {
    let root = fixture();
    assert_eq!(places(root.path()), [""; 0]);
}

#[test]
fn a_planted_fault_fails_at_its_place() {
    let check = |path: &str, text: &str, expect: &[&str]| {
        let root = fixture();
        write(root.path(), path, text);
        let found = places(root.path());
        assert_eq!(found, expect, "{path}: {text}");
    };
    check("host/core/src/lib.rs", "//! A room.\nuse tokio as _;\n", &["host/core/src/lib.rs:2"]);
    check("host/app/src/lib.rs", "//! A room.\nuse tokio as _;\n", &[]);
    check("host/app/src/lib.rs", concat!("#![al", "low(dead_code)]\n"), &["host/app/src/lib.rs:1"]);
    check("host/ARCHITECTURE.md", "`host/core` decides.\n", &["host/ARCHITECTURE.md"]);
    check("logo.bin", "a\0b", &["logo.bin"]);
    check("target/built.bin", "a\0b", &[]);
}

#[test]
fn a_planted_arrow_fails_at_its_manifest() {
    let root = fixture();
    let manifest = "[package]\nname = \"hookmill-core\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[dependencies]\nhookmill-sqlite = { path = \"../sqlite\" }\n";
    write(root.path(), "host/core/Cargo.toml", manifest);
    write(
        root.path(),
        "host/sqlite/Cargo.toml",
        "[package]\nname = \"hookmill-sqlite\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[lints]\nworkspace = true\n",
    );
    write(root.path(), "host/sqlite/src/lib.rs", "//! A room.\n");
    let found = places(root.path());
    // The arrow, the missing lints of the same manifest, and the architecture that does not know the new room.
    assert_eq!(found, ["host/core/Cargo.toml", "host/core/Cargo.toml", "host/ARCHITECTURE.md"]);
}
