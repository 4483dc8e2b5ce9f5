//! Builds the plugins that are written in JavaScript, with Node.js.
//!
//! `plugins/package.json` names their packages; those with a key `hookmill` are plugins, and it names their first file.
//! `npm ci` fetches exactly what the lock file says, and the kit in `plugins/sdk-javascript` makes the components. Each
//! step is left out where its result is newer than all that it is made of.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde_json::Value;

use super::{BuiltPlugin, collected_directory};
use crate::steps::{self, tool};

/// The kit, which is a part of each plugin.
const KIT: &str = "sdk-javascript";
/// What npm leaves behind when it has installed everything.
const INSTALLED: &str = "node_modules/.package-lock.json";
const LOCK: &str = "package-lock.json";

/// A plugin in JavaScript.
#[derive(Debug, PartialEq, Eq)]
struct Script {
    /// The name of its folder and its package.
    name: String,
    /// Its first file, from the workspace.
    entry: PathBuf,
}

/// Builds every plugin of `workspace` that is written in JavaScript.
pub(super) fn build_all(workspace: &Path) -> Result<Vec<BuiltPlugin>, String> {
    let scripts = scripts(workspace)?;
    if scripts.is_empty() {
        return Ok(Vec::new());
    }
    if !is_newer(&workspace.join(INSTALLED), &[workspace.join(LOCK)])? {
        steps::run(tool("npm", workspace).arg("ci")).map_err(|failure| failure.to_string())?;
    }
    scripts.iter().map(|script| build(workspace, script)).collect()
}

fn build(workspace: &Path, script: &Script) -> Result<BuiltPlugin, String> {
    let path = collected_directory(workspace).join(&script.name).with_extension("wasm");
    let parts = [
        workspace.join(&script.name),
        workspace.join(KIT),
        workspace.join("../wit"),
        workspace.join(INSTALLED),
    ];
    if !is_newer(&path, &parts)? {
        let mut node = tool("node", workspace);
        node.arg(Path::new(KIT).join("bin/componentize.js"))
            .args(["--wit", "../wit", "--module-root", "."])
            .arg("--output")
            .arg(&path)
            .arg(&script.entry);
        steps::run(&mut node).map_err(|failure| failure.to_string())?;
    }
    let bytes = fs::metadata(&path).map_err(|error| format!("read {}: {error}", path.display()))?.len();
    Ok(BuiltPlugin { name: script.name.clone(), path, bytes })
}

/// The packages that are plugins, in the order of the workspace's list.
fn scripts(workspace: &Path) -> Result<Vec<Script>, String> {
    let mut found = Vec::new();
    let root = package(&workspace.join("package.json"))?;
    for name in root["workspaces"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        let package = package(&workspace.join(name).join("package.json"))?;
        if let Some(entry) = package["hookmill"]["plugin"].as_str() {
            found.push(Script { name: name.to_owned(), entry: Path::new(name).join(entry) });
        }
    }
    Ok(found)
}

fn package(path: &Path) -> Result<Value, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("read {}: {error}", path.display()))?;
    serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))
}

/// Whether `made` is there and newer than all files of `parts`, which are files and folders.
fn is_newer(made: &Path, parts: &[PathBuf]) -> Result<bool, String> {
    let Ok(made) = fs::metadata(made).and_then(|metadata| metadata.modified()) else {
        return Ok(false);
    };
    for part in parts {
        if last_change(part).map_err(|error| format!("read {}: {error}", part.display()))? >= made {
            return Ok(false);
        }
    }
    Ok(true)
}

/// When a file, or anything in a folder, was changed last; a folder changes when a file comes or goes.
fn last_change(path: &Path) -> std::io::Result<SystemTime> {
    let metadata = fs::metadata(path)?;
    let mut last = metadata.modified()?;
    if metadata.is_dir() {
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            if entry.file_name() != "node_modules" {
                last = last.max(last_change(&entry.path())?);
            }
        }
    }
    Ok(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn plugins_are_the_packages_that_say_so() {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins");
        let scripts = scripts(&workspace).unwrap();
        let script = Script { name: "javascript".into(), entry: "javascript/plugin.js".into() };
        assert_eq!(scripts, [script], "the kit is no plugin");
    }

    #[test]
    fn what_is_older_than_a_part_is_made_again() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("folder");
        fs::create_dir_all(folder.join("inner/node_modules")).unwrap();
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let set = |path: &Path, seconds: u64| {
            let file = fs::File::options().read(true).open(path).unwrap();
            file.set_modified(now + Duration::from_secs(seconds)).unwrap();
        };
        let (made, part) = (home.path().join("made"), folder.join("inner/part"));
        let check = |expect: bool| assert_eq!(is_newer(&made, std::slice::from_ref(&folder)), Ok(expect));
        fs::write(&part, "").unwrap();
        let foreign = folder.join("inner/node_modules/foreign");
        fs::write(&foreign, "").unwrap();
        check(false);
        fs::write(&made, "").unwrap();
        for path in [&part, &folder.join("inner"), &folder] {
            set(path, 1);
        }
        set(&foreign, 9);
        set(&made, 2);
        check(true);
        set(&part, 2);
        check(false);
        let missing = is_newer(&made, &[home.path().join("missing")]).unwrap_err();
        assert!(missing.contains("missing"), "{missing}");
    }
}
