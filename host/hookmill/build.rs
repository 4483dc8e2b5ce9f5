//! Embeds what `hookmill plugin new` writes: the templates, the SDKs, the router's interface. So a binary alone makes
//! projects that build, and what it writes is always what it was built with.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// What is embedded: its prefix in the table, and the file or folder, from this package's folder.
const ROOMS: [(&str, &str); 8] = [
    ("templates", "templates/plugin"),
    ("wit", "../../wit"),
    ("cargo-config.toml", "../../plugins/.cargo/config.toml"),
    ("sdk-rust/Cargo.toml", "../../plugins/sdk/Cargo.toml"),
    ("sdk-rust/README.md", "../../plugins/sdk/README.md"),
    ("sdk-rust/src", "../../plugins/sdk/src"),
    ("sdk-rust-workspace.toml", "../../plugins/Cargo.toml"),
    ("sdk-javascript", "../../plugins/sdk-javascript"),
];
/// What is not for a project: what tools left, and the SDK's own tests.
const LEFT_OUT: [&str; 2] = ["sdk-javascript/node_modules", "sdk-javascript/test"];

fn main() {
    let package = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let mut table = String::from("&[\n");
    for (name, path) in ROOMS {
        embed(&mut table, name, &package.join(path));
    }
    table.push_str("]\n");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    fs::write(out.join("plugin_kit.rs"), table).expect("cargo's own folder can be written");
}

fn embed(table: &mut String, name: &str, path: &Path) {
    println!("cargo::rerun-if-changed={}", path.display());
    if path.is_file() {
        writeln!(table, "({name:?}, include_str!({:?})),", path.display().to_string())
            .expect("text can be appended to");
        return;
    }
    let entries = fs::read_dir(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        let file_name = path.file_name().and_then(|name| name.to_str()).expect("our files have plain names");
        let name = format!("{name}/{file_name}");
        if !LEFT_OUT.contains(&name.as_str()) {
            embed(table, &name, &path);
        }
    }
}
