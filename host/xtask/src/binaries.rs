//! The router's binary, and the broken one for the crash test's negative control.

use std::path::{Path, PathBuf};

use crate::steps::{self, Failure, cargo};

/// Builds the router as users run it.
pub(crate) fn build_router(root: &Path) -> Result<(), Failure> {
    steps::run(cargo(root).args(["build", "--release", "--package", "hookmill"]))
}

/// Builds both: the router, and one that answers before its commit, which the crash test must catch.
///
/// The switch changes the store and the binary only. In one target directory the second build therefore recompiles two
/// crates; in a directory of its own it would compile four hundred. The broken one is moved away at once: whatever fails
/// afterwards, it never stays where the router belongs.
///
/// Both builds take the whole workspace, so that dependencies get the features that the tests will ask for, once.
pub(crate) fn prepare_binaries(root: &Path) -> Result<(), Failure> {
    let build = ["build", "--release", "--workspace", "--bins"];
    let switch = ["--features", "hookmill/acknowledge-before-commit"];
    steps::run(cargo(root).args(build).args(switch))?;
    let (built, broken) = (router_path(root), negative_control_path(root));
    let directory = broken.parent().expect("the path ends in a directory and a name");
    std::fs::create_dir_all(directory)
        .and_then(|()| std::fs::rename(&built, &broken))
        .map_err(|error| Failure::of(format!("move {} to {}: {error}", built.display(), broken.display())))?;
    steps::run(cargo(root).args(build))
}

/// Where cargo leaves what it built.
pub(crate) fn release_directory(root: &Path) -> PathBuf {
    target_directory(root).join("release")
}

/// The router as users run it.
pub(crate) fn router_path(root: &Path) -> PathBuf {
    release_directory(root).join("hookmill")
}

/// The router that answers before its commit.
pub(crate) fn negative_control_path(root: &Path) -> PathBuf {
    target_directory(root).join("negative-control/hookmill")
}

/// The target directory; `CARGO_TARGET_DIR` moves it, as everywhere in cargo.
pub(crate) fn target_directory(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |moved| root.join(moved))
}
