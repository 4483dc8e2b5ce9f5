//! Takes what `cargo xtask plugins` built. A plugin that is not built yet is left out with a warning, so that the router
//! builds without the plugins' toolchains. What their manifests say is read here, so that no start of the router has to.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

use serde_json::Value;

/// The plugins that are carried, by the names of their folders in `plugins/`.
const CARRIED: [&str; 10] = [
    "cloudevents",
    "discord",
    "javascript",
    "jq",
    "mailgun",
    "mifumo",
    "redact",
    "slack",
    "twilio",
    "whatsapp",
];

fn main() {
    let package = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let built = package.join("../../plugins/target/plugins");
    println!("cargo::rerun-if-changed={}", built.display());
    let mut table = String::from("&[\n");
    let mut missing = Vec::new();
    for name in CARRIED {
        let component = built.join(name).with_extension("wasm");
        if component.is_file() {
            println!("cargo::rerun-if-changed={}", component.display());
            let path = component.display().to_string();
            let manifest = read_manifest(&package.join("../../plugins").join(name).join("plugin.json"));
            let text = |key: &str| {
                manifest[key].as_str().unwrap_or_else(|| panic!("{name} has no {key}")).to_owned()
            };
            let (world, description) = (text("world"), text("description"));
            writeln!(
                table,
                "BundledPlugin {{ name: {name:?}, world: {world:?}, description: {description:?}, \
                 component: include_bytes!({path:?}) }},"
            )
            .expect("text can be appended to");
        } else {
            missing.push(name);
        }
    }
    table.push_str("]\n");
    if !missing.is_empty() {
        println!(
            "cargo::warning=not carried, because not built: {}; run `cargo xtask plugins`",
            missing.join(", ")
        );
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    fs::write(out.join("bundled.rs"), table).expect("cargo's own folder can be written");
}

/// What the plugin's folder has for a manifest; the component carries the same.
fn read_manifest(path: &Path) -> Value {
    println!("cargo::rerun-if-changed={}", path.display());
    let text = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
