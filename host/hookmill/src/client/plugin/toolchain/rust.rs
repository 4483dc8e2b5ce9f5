//! Rust: cargo, for `wasm32-unknown-unknown`.
//!
//! The compiler is that of rustup once it has the target. Where no target can be fetched, Debian's packages `rustc-web` and
//! `rust-web-src` do, which compile the standard library along with the plugin; they need a linker named to them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::{announce, failed, not_started, printed, read_built, tool};
use crate::client::plugin::project::Project;
use crate::failure::{Exit, Failure};
use crate::world::environment;

const TARGET: &str = "wasm32-unknown-unknown";
const LINKER: &str = "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER";
/// The compiler of Debian's package `rustc-web`, and where `rust-web-src` puts the standard library.
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_LIBRARY: &str = "/usr/lib/rustlib/src/rust/library";
/// The oldest of Debian's linkers that knows `--initial-heap`.
const DEBIAN_LINKER: &str = "/usr/bin/wasm-ld-19";
const INSTALL_RUST: &str = "install Rust with rustup";
/// What would take the place of the project's own settings.
const FOREIGN_SETTINGS: [&str; 5] = [
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS",
    "RUSTFLAGS",
];

/// Builds the project's library; answers a core module.
pub(super) fn build(project: &Project) -> Result<Vec<u8>, Failure> {
    let mut cargo = tool("cargo", &project.directory);
    for setting in FOREIGN_SETTINGS {
        cargo.env_remove(setting);
    }
    cargo.args(["build", "--release", "--lib", "--target", TARGET]);
    if !has_target(&project.directory)? {
        use_debian(&mut cargo, &project.directory)?;
    }
    announce(&cargo);
    // One message a line, of which one names the file that was built; what people should read goes to standard error.
    cargo.arg("--message-format=json-render-diagnostics").stdout(Stdio::piped()).stderr(Stdio::inherit());
    let output = cargo.output().map_err(|error| not_started(&cargo, &error, INSTALL_RUST))?;
    if !output.status.success() {
        return Err(failed(&cargo, output.status));
    }
    let manifest = project.directory.join("Cargo.toml");
    let built = built_module(&String::from_utf8_lossy(&output.stdout), &manifest).ok_or_else(|| {
        let message = format!("{} has no library of the type cdylib", manifest.display());
        Failure::new(Exit::Failed, "build_failed", message)
            .hint("add `crate-type = [\"cdylib\", \"rlib\"]` to its [lib]")
    })?;
    read_built(&built)
}

/// Whether the compiler that cargo takes has the target.
fn has_target(directory: &Path) -> Result<bool, Failure> {
    let mut rustc = tool("rustc", directory);
    rustc.args(["--print", "target-libdir", "--target", TARGET]).stderr(Stdio::null());
    rustc.stdout(Stdio::piped());
    let output = rustc.output().map_err(|error| not_started(&rustc, &error, INSTALL_RUST))?;
    let library = String::from_utf8_lossy(&output.stdout).trim_end().to_owned();
    Ok(output.status.success() && Path::new(&library).is_dir())
}

/// Lets Debian's compiler do it.
fn use_debian(cargo: &mut Command, directory: &Path) -> Result<(), Failure> {
    if !Path::new(DEBIAN_RUSTC).is_file() || !Path::new(DEBIAN_LIBRARY).is_dir() {
        let message = format!("this machine's Rust can't build for {TARGET}");
        return Err(Failure::new(Exit::Failed, "tool_missing", message).hint(format!(
            "run `rustup target add {TARGET}`, or on Debian `apt-get install rustc-web rust-web-src`"
        )));
    }
    // Compiling the standard library is not stable yet; this one belongs to exactly this compiler.
    cargo.env("RUSTC", DEBIAN_RUSTC).env("RUSTC_BOOTSTRAP", "1").args(["-Z", "build-std=std,panic_abort"]);
    if environment(LINKER).is_none() {
        cargo.env(LINKER, find_linker(directory)?);
    }
    Ok(())
}

fn find_linker(directory: &Path) -> Result<PathBuf, Failure> {
    let sysroot = printed(tool("rustc", directory).args(["--print", "sysroot"])).map(PathBuf::from);
    let found = sysroot.iter().flat_map(|sysroot| subdirectories(&sysroot.join("lib/rustlib")));
    let mut candidates = found.map(|host| host.join("bin/rust-lld")).chain([PathBuf::from(DEBIAN_LINKER)]);
    candidates.find(|linker| linker.is_file()).ok_or_else(|| {
        Failure::new(Exit::Failed, "tool_missing", format!("there is no linker for {TARGET}"))
            .hint(format!("on Debian run `apt-get install lld-19`, or name one in {LINKER}"))
    })
}

fn subdirectories(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}

/// The file that cargo says it made of the library of the package with this manifest.
fn built_module(messages: &str, manifest: &Path) -> Option<PathBuf> {
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut modules = messages.filter_map(|message| {
        let ours = message["reason"] == "compiler-artifact"
            && message["manifest_path"].as_str().is_some_and(|path| Path::new(path) == manifest);
        let files = message["filenames"].as_array().filter(|_| ours)?;
        let is_module =
            |path: &&str| Path::new(path).extension().is_some_and(|extension| extension == "wasm");
        files.iter().filter_map(Value::as_str).find(is_module).map(PathBuf::from)
    });
    modules.next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_names_what_it_built() {
        let messages = r#"{"reason":"compiler-artifact","manifest_path":"/p/vendor/kit/Cargo.toml","filenames":["/t/kit.wasm"]}
            not JSON
            {"reason":"compiler-artifact","manifest_path":"/p/Cargo.toml","filenames":["/t/libp.rlib","/t/p.wasm"]}
            {"reason":"build-finished","success":true}"#;
        assert_eq!(built_module(messages, Path::new("/p/Cargo.toml")), Some("/t/p.wasm".into()));
        assert_eq!(built_module(messages, Path::new("/other/Cargo.toml")), None);
    }
}
