//! Official packages in other languages, as judges of the router: the verifiers of Standard Webhooks, and the client of
//! the Svix API.
//!
//! They live under `target/verifiers` and are fetched once: `python/bin/python` imports `standardwebhooks` and `svix`, and
//! a script that resolves modules from `node/node_modules` imports `standardwebhooks`.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::binaries::target_directory;
use crate::steps::{self, Failure, answers, tool};

/// The versions whose verdict counts.
const PYTHON_PACKAGES: [&str; 2] = ["standardwebhooks==1.1.0", "svix==1.99.1"];
const NODE_PACKAGE: &str = "standardwebhooks@1.1.1";

/// Makes a new environment with these packages, given in the words of `pip install`.
pub(crate) fn make_python_environment(
    root: &Path,
    environment: &Path,
    packages: impl IntoIterator<Item: AsRef<OsStr>>,
) -> Result<(), Failure> {
    steps::run(tool("python3", root).args(["-m", "venv", "--clear"]).arg(environment))?;
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    steps::run(tool(environment.join("bin/python"), root).args(install).args(packages))
}

/// Fetches what is not there yet.
pub(crate) fn prepare_python(root: &Path) -> Result<(), Failure> {
    let environment = &directory(root).join("python");
    let python = environment.join("bin/python");
    if answers(tool(&python, root).args(["-c", "import standardwebhooks, svix"])) {
        return Ok(());
    }
    make_python_environment(root, environment, PYTHON_PACKAGES)
}

/// Fetches what is not there yet.
pub(crate) fn prepare_node(root: &Path) -> Result<(), Failure> {
    let environment = &directory(root).join("node");
    std::fs::create_dir_all(environment)
        .map_err(|error| Failure::of(format!("create {}: {error}", environment.display())))?;
    if answers(tool("node", environment).args(["-e", "require('standardwebhooks')"])) {
        return Ok(());
    }
    let install = ["install", "--no-audit", "--no-fund", "--silent", NODE_PACKAGE, "--prefix"];
    steps::run(tool("npm", root).args(install).arg(environment))
}

fn directory(root: &Path) -> PathBuf {
    target_directory(root).join("verifiers")
}
