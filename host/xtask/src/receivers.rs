//! What the receivers of `examples/receivers` need in order to be tested.
//!
//! Their packages are fetched into `target/receivers`, and again when one of the files that pin them changes:
//! `python/bin/python` imports what all receivers in Python do, and `node/node_modules` is a folder for `NODE_PATH`.

use std::path::{Path, PathBuf};

use crate::binaries::target_directory;
use crate::steps::{self, Failure, answers, tool};
use crate::verifiers::make_python_environment;

const PYTHON_RECEIVERS: [&str; 3] = ["python-fastapi", "python-flask", "python-django"];
const NODE_RECEIVER: &str = "node-express";
const NODE_FILES: [&str; 2] = ["package.json", "package-lock.json"];
/// What npm leaves behind when it has installed everything.
const NODE_INSTALLED: &str = "node_modules/.package-lock.json";

/// Fetches what is not there yet.
pub(crate) fn prepare_python(root: &Path) -> Result<(), Failure> {
    let environment = &directory(root).join("python");
    let files = PYTHON_RECEIVERS.map(|name| receiver(root, name).join("requirements.txt"));
    let mut wanted = String::new();
    for file in &files {
        wanted += &read(file)?;
    }
    let installed = environment.join("requirements.txt");
    let python = answers(tool(environment.join("bin/python"), root).arg("--version"));
    if python && read(&installed).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    let arguments = files.iter().flat_map(|file| [Path::new("--requirement"), file.as_path()]);
    make_python_environment(root, environment, arguments)?;
    write(&installed, &wanted)
}

/// Fetches what is not there yet.
pub(crate) fn prepare_node(root: &Path) -> Result<(), Failure> {
    let environment = &directory(root).join("node");
    let mut files = Vec::new();
    for name in NODE_FILES {
        files.push((environment.join(name), read(&receiver(root, NODE_RECEIVER).join(name))?));
    }
    let is_current = |(copy, wanted): &(PathBuf, String)| read(copy).is_ok_and(|copy| copy == *wanted);
    if environment.join(NODE_INSTALLED).is_file() && files.iter().all(is_current) {
        return Ok(());
    }
    if environment.exists() {
        std::fs::remove_dir_all(environment).map_err(|error| failure("remove", environment, &error))?;
    }
    std::fs::create_dir_all(environment).map_err(|error| failure("create", environment, &error))?;
    for (copy, wanted) in &files {
        write(copy, wanted)?;
    }
    steps::run(tool("npm", environment).args(["ci", "--no-audit", "--no-fund", "--silent"]))
}

fn directory(root: &Path) -> PathBuf {
    target_directory(root).join("receivers")
}

fn receiver(root: &Path, name: &str) -> PathBuf {
    root.join("examples/receivers").join(name)
}

fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| failure("read", path, &error))
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(path, text).map_err(|error| failure("write", path, &error))
}

fn failure(doing: &str, path: &Path, error: &std::io::Error) -> Failure {
    Failure::of(format!("{doing} {}: {error}", path.display()))
}
