//! Packages of Debian and its children, installed where nobody has to be asked: as root, where there is `apt-get`.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::steps::{self, answers, tool};

/// Whether packages can be installed here.
pub(crate) fn is_there(directory: &Path) -> bool {
    let user = tool("id", directory).arg("-u").stderr(Stdio::null()).output();
    user.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
        && answers(tool("apt-get", directory).arg("--version"))
}

/// Installs packages; answers whether that worked.
pub(crate) fn install(directory: &Path, packages: &[&str]) -> bool {
    if !is_there(directory) {
        return false;
    }
    let mut install = apt(directory);
    install.args(["install", "--yes", "--no-install-recommends"]).args(packages);
    with_fresh_lists(directory, &mut install)
}

/// Unpacks a package into a folder without installing it, so that no service of it starts.
///
/// # Errors
/// It can't be fetched or unpacked.
pub(crate) fn unpack(folder: &Path, package: &str) -> Result<(), String> {
    let mut download = apt(folder);
    download.args(["download", package]);
    if !with_fresh_lists(folder, &mut download) {
        return Err(format!("apt-get does not find the package {package}"));
    }
    let entries = std::fs::read_dir(folder).map_err(|error| format!("read {}: {error}", folder.display()))?;
    let is_package = |name: &str| name.starts_with(&format!("{package}_")) && name.ends_with(".deb");
    let file = entries
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.file_name().and_then(|name| name.to_str()).is_some_and(is_package));
    let file = file.ok_or_else(|| format!("apt-get left no file of the package {package}"))?;
    steps::run(tool("dpkg-deb", folder).arg("--extract").arg(&file).arg("."))
        .map_err(|failure| failure.to_string())?;
    std::fs::remove_file(&file).map_err(|error| format!("remove {}: {error}", file.display()))
}

fn apt(directory: &Path) -> Command {
    let mut command = tool("apt-get", directory);
    command.env("DEBIAN_FRONTEND", "noninteractive").arg("--quiet");
    command
}

/// The lists of packages may be old or missing on a bare machine: fetches them and tries once more.
fn with_fresh_lists(directory: &Path, command: &mut Command) -> bool {
    steps::run(command).is_ok()
        || (steps::run(apt(directory).arg("update")).is_ok() && steps::run(command).is_ok())
}
