//! Builds the plugins of this repository as WebAssembly, with whatever the machine has for it.
//!
//! Two compilers do: that of rustup once it has the target `wasm32-unknown-unknown`, which is asked for if it is missing;
//! and, where no target can be fetched, Debian's packages `rustc-web` and `rust-web-src`, which compile the standard
//! library along with the plugins. Some toolchains come without the linker, `rust-lld`; then that of any other
//! toolchain on the machine is taken, and at last Debian's.
//!
//! Plugins in JavaScript are built by Node.js: see `javascript`.

mod javascript;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use cargo_metadata::{CrateType, MetadataCommand};

use crate::debian;
use crate::prerequisites::{Machine, Need};
use crate::steps::{self, answers, cargo, tool};

const TARGET: &str = "wasm32-unknown-unknown";

/// The compiler of Debian's package `rustc-web`, and where `rust-web-src` puts the standard library.
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_LIBRARY: &str = "/usr/lib/rustlib/src/rust/library";
const DEBIAN_COMPILER_PACKAGES: [&str; 2] = ["rustc-web", "rust-web-src"];

/// The oldest of Debian's linkers that knows `--initial-heap` (LLVM 18), by its package and by its program.
const DEBIAN_LINKER_PACKAGE: &str = "lld-19";
const DEBIAN_LINKER: &str = "/usr/bin/wasm-ld-19";

/// What would send the build elsewhere or take the place of `plugins/.cargo/config.toml`, set for the router's build.
const FOREIGN_SETTINGS: [&str; 8] = [
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS",
    "RUSTC",
    "RUSTC_BOOTSTRAP",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTFLAGS",
];

/// One plugin, ready to be uploaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BuiltPlugin {
    /// The name of its package.
    pub(crate) name: String,
    /// The file: `plugins/target/plugins/NAME.wasm`.
    pub(crate) path: PathBuf,
    /// Bytes of the file.
    pub(crate) bytes: u64,
}

/// What compiles and links the plugins in Rust.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Toolchain {
    compiler: Compiler,
    /// The linker to name to the compiler; none where it finds one itself.
    linker: Option<PathBuf>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Compiler {
    /// The one that cargo takes anyway; it has the target.
    Own,
    /// Debian's, which has the target's standard library as source.
    Debian,
}

/// Looks for what compiles plugins, and installs it where that needs nobody's consent.
///
/// # Errors
/// There is none; the text says how to get one.
pub(crate) fn find_toolchain(root: &Path) -> Result<Toolchain, String> {
    let workspace = root.join("plugins");
    let compiler = find_compiler(&workspace)?;
    let linker = find_linker(&workspace, &compiler)?;
    Ok(Toolchain { compiler, linker })
}

/// Builds every plugin that `plugins/` has and the machine can build, and leaves nothing else in
/// `plugins/target/plugins`. Quick where nothing changed, because cargo is.
pub(crate) fn build_all(root: &Path, machine: &Machine) -> Result<Vec<BuiltPlugin>, String> {
    let workspace = root.join("plugins");
    let mut plugins = Vec::new();
    if let Some(toolchain) = &machine.toolchain {
        let names = plugin_names(&workspace)?;
        steps::run(&mut build_command(&workspace, &names, toolchain))
            .map_err(|failure| failure.to_string())?;
        plugins = collect(&workspace, &names)?;
    }
    if machine.has(Need::Node) {
        plugins.extend(javascript::build_all(&workspace)?);
    }
    create_collected(&workspace)?;
    remove_others(&collected_directory(&workspace), &plugins)?;
    plugins.sort_by(|left, right| left.name.cmp(&right.name));
    Ok(plugins)
}

/// Where what was built is, each plugin under its own name.
fn collected_directory(workspace: &Path) -> PathBuf {
    workspace.join("target/plugins")
}

/// The packages that become WebAssembly: those with a library of the kind `cdylib`.
fn plugin_names(workspace: &Path) -> Result<Vec<String>, String> {
    let mut command = MetadataCommand::new();
    command.manifest_path(workspace.join("Cargo.toml")).no_deps();
    let metadata =
        command.exec().map_err(|error| format!("read the packages of {}: {error}", workspace.display()))?;
    let is_plugin = |package: &&cargo_metadata::Package| {
        package.targets.iter().any(|target| target.crate_types.contains(&CrateType::CDyLib))
    };
    let mut names: Vec<String> =
        metadata.packages.iter().filter(is_plugin).map(|package| package.name.to_string()).collect();
    names.sort();
    Ok(names)
}

fn find_compiler(workspace: &Path) -> Result<Compiler, String> {
    if own_compiler_has_target(workspace) {
        return Ok(Compiler::Own);
    }
    let mut add_target = tool("rustup", workspace);
    add_target.args(["target", "add", TARGET]);
    if answers(tool("rustup", workspace).arg("--version"))
        && steps::run(&mut add_target).is_ok()
        && own_compiler_has_target(workspace)
    {
        return Ok(Compiler::Own);
    }
    if debian_compiler_is_there()
        || (debian::install(workspace, &DEBIAN_COMPILER_PACKAGES) && debian_compiler_is_there())
    {
        return Ok(Compiler::Debian);
    }
    Err(format!("no compiler for {TARGET}"))
}

fn own_compiler_has_target(workspace: &Path) -> bool {
    let printed =
        printed_path(tool("rustc", workspace).args(["--print", "target-libdir", "--target", TARGET]));
    printed.is_some_and(|directory| directory.is_dir())
}

fn debian_compiler_is_there() -> bool {
    Path::new(DEBIAN_RUSTC).is_file() && Path::new(DEBIAN_LIBRARY).is_dir()
}

fn find_linker(workspace: &Path, compiler: &Compiler) -> Result<Option<PathBuf>, String> {
    let own = printed_path(tool("rustc", workspace).args(["--print", "sysroot"]))
        .and_then(|sysroot| linker_in(&sysroot));
    if let Some(own) = own {
        return Ok(match compiler {
            Compiler::Own => None,
            Compiler::Debian => Some(own),
        });
    }
    let elsewhere = rustup_home().and_then(|home| linker_of_any_toolchain(&home.join("toolchains")));
    if elsewhere.is_some() {
        return Ok(elsewhere);
    }
    let debian = PathBuf::from(DEBIAN_LINKER);
    if debian.is_file() || (debian::install(workspace, &[DEBIAN_LINKER_PACKAGE]) && debian.is_file()) {
        return Ok(Some(debian));
    }
    Err(format!(
        "no linker for {TARGET}: no toolchain here has `rust-lld`, and Debian's {DEBIAN_LINKER_PACKAGE} is not here"
    ))
}

/// The newest linker by the names of the toolchains, so that the choice doesn't depend on the order of a directory.
fn linker_of_any_toolchain(toolchains: &Path) -> Option<PathBuf> {
    let mut linkers: Vec<PathBuf> =
        subdirectories(toolchains).iter().filter_map(|sysroot| linker_in(sysroot)).collect();
    linkers.sort();
    linkers.pop()
}

/// `rust-lld` of one toolchain, under the name of the machine that the toolchain runs on.
fn linker_in(sysroot: &Path) -> Option<PathBuf> {
    let hosts = subdirectories(&sysroot.join("lib/rustlib"));
    hosts.iter().map(|host| host.join("bin/rust-lld")).find(|linker| linker.is_file())
}

fn subdirectories(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}

fn rustup_home() -> Option<PathBuf> {
    let default = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".rustup"));
    std::env::var_os("RUSTUP_HOME").map(PathBuf::from).or_else(default)
}

fn build_command(workspace: &Path, names: &[String], toolchain: &Toolchain) -> Command {
    let mut command = cargo(workspace);
    for setting in FOREIGN_SETTINGS {
        command.env_remove(setting);
    }
    command.args(["build", "--release", "--target", TARGET]).arg("--target-dir").arg("target");
    for name in names {
        command.args(["--package", name]);
    }
    match toolchain.compiler {
        Compiler::Own => {}
        Compiler::Debian => {
            // Compiling the standard library is not stable yet; this one belongs to exactly this compiler.
            command
                .env("RUSTC", DEBIAN_RUSTC)
                .env("RUSTC_BOOTSTRAP", "1")
                .args(["-Z", "build-std=std,panic_abort"]);
        }
    }
    if let Some(linker) = &toolchain.linker {
        command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
    }
    command
}

fn create_collected(workspace: &Path) -> Result<PathBuf, String> {
    let collected = collected_directory(workspace);
    std::fs::create_dir_all(&collected)
        .map_err(|error| format!("create {}: {error}", collected.display()))?;
    Ok(collected)
}

/// Copies what cargo built under the plugins' own names. A file that has the same bytes already is left alone, so that
/// the router, which carries some of them, is not built again for nothing.
fn collect(workspace: &Path, names: &[String]) -> Result<Vec<BuiltPlugin>, String> {
    let built = workspace.join("target").join(TARGET).join("release");
    let collected = create_collected(workspace)?;
    let mut plugins = Vec::new();
    for name in names {
        let from = built.join(name.replace('-', "_")).with_extension("wasm");
        let path = collected.join(name).with_extension("wasm");
        let component = std::fs::read(&from).map_err(|error| format!("read {}: {error}", from.display()))?;
        if std::fs::read(&path).ok().as_ref() != Some(&component) {
            std::fs::write(&path, &component)
                .map_err(|error| format!("write {}: {error}", path.display()))?;
        }
        plugins.push(BuiltPlugin { name: name.clone(), path, bytes: component.len() as u64 });
    }
    Ok(plugins)
}

fn remove_others(directory: &Path, plugins: &[BuiltPlugin]) -> Result<(), String> {
    let entries =
        std::fs::read_dir(directory).map_err(|error| format!("read {}: {error}", directory.display()))?;
    for path in entries.flatten().map(|entry| entry.path()) {
        if plugins.iter().all(|plugin| plugin.path != path) {
            std::fs::remove_file(&path).map_err(|error| format!("remove {}: {error}", path.display()))?;
        }
    }
    Ok(())
}

/// The one line that a tool prints, as a path; none where it fails.
fn printed_path(command: &mut Command) -> Option<PathBuf> {
    let output = command.stderr(Stdio::null()).output().ok().filter(|output| output.status.success())?;
    let line = String::from_utf8(output.stdout).ok()?;
    Some(PathBuf::from(OsString::from(line.trim_end())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::ffi::OsStr;

    #[test]
    fn the_linker_of_the_newest_toolchain_is_taken() {
        let home = tempfile::tempdir().unwrap();
        let toolchains = home.path();
        assert_eq!(linker_of_any_toolchain(&toolchains.join("missing")), None);
        std::fs::create_dir_all(toolchains.join("1.95.0-x/lib/rustlib/x/bin")).unwrap();
        assert_eq!(linker_of_any_toolchain(toolchains), None);
        for toolchain in ["1.94.0-x", "stable-x", "nightly-x"] {
            let directory = toolchains.join(toolchain).join("lib/rustlib/x/bin");
            std::fs::create_dir_all(&directory).unwrap();
            std::fs::write(directory.join("rust-lld"), "").unwrap();
        }
        let expected = toolchains.join("stable-x/lib/rustlib/x/bin/rust-lld");
        assert_eq!(linker_of_any_toolchain(toolchains), Some(expected));
    }

    #[test]
    fn the_routers_settings_stay_away_from_the_plugins() {
        let workspace = Path::new("plugins");
        let command = build_command(
            workspace,
            &["one".to_owned()],
            &Toolchain { compiler: Compiler::Debian, linker: Some("/lld".into()) },
        );
        let settings: BTreeMap<&OsStr, Option<&OsStr>> = command.get_envs().collect();
        let check = |name: &str, expect: Option<Option<&str>>| {
            assert_eq!(
                settings.get(OsStr::new(name)).copied(),
                expect.map(|value| value.map(OsStr::new)),
                "{name}"
            );
        };
        check("RUSTFLAGS", Some(None));
        check("RUSTC", Some(Some(DEBIAN_RUSTC)));
        check("RUSTC_BOOTSTRAP", Some(Some("1")));
        check("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", Some(Some("/lld")));
        assert!(command.get_args().any(|argument| argument == "build-std=std,panic_abort"));
        let command = build_command(workspace, &[], &Toolchain { compiler: Compiler::Own, linker: None });
        assert!(command.get_envs().all(|(_, value)| value.is_none()), "{command:?}");
    }

    #[test]
    fn plugins_are_the_libraries_that_become_wasm() {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins");
        let names = plugin_names(&workspace).unwrap();
        assert!(names.contains(&"osmox-notification".to_owned()), "{names:?}");
        assert!(!names.contains(&"hookmill-plugin".to_owned()), "the kit is no plugin: {names:?}");
    }

    #[test]
    fn what_is_no_plugin_any_more_goes() {
        let workspace = tempfile::tempdir().unwrap();
        let built = workspace.path().join("target").join(TARGET).join("release");
        std::fs::create_dir_all(&built).unwrap();
        std::fs::write(built.join("two_words.wasm"), "wasm").unwrap();
        let collected = workspace.path().join("target/plugins");
        std::fs::create_dir_all(&collected).unwrap();
        std::fs::write(collected.join("old.wasm"), "").unwrap();
        let plugins = collect(workspace.path(), &["two-words".to_owned()]).unwrap();
        let path = collected.join("two-words.wasm");
        assert_eq!(plugins, [BuiltPlugin { name: "two-words".to_owned(), path, bytes: 4 }]);
        remove_others(&collected, &plugins).unwrap();
        assert!(!collected.join("old.wasm").exists() && collected.join("two-words.wasm").exists());
        assert!(collect(workspace.path(), &["missing".to_owned()]).unwrap_err().starts_with("read "));
    }
}
