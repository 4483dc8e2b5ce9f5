//! The router's binary, and the broken one for the crash test's negative control.

use std::path::{Path, PathBuf};

use crate::steps::{self, Failure, cargo};

/// Every build takes the whole workspace: dependencies then have one set of features, and are compiled once for the demo,
/// the tests and the bench.
const BUILD: [&str; 4] = ["build", "--release", "--workspace", "--bins"];

/// Builds the router as users run it, and the programs beside it.
pub(crate) fn build_programs(root: &Path) -> Result<(), Failure> {
    steps::run(cargo(root).args(BUILD))
}

/// Builds both: the router, and one that answers before its commit, which the crash test must catch.
///
/// The switch changes the store and the binary only. In one target directory the second build therefore recompiles two
/// crates; in a directory of its own it would compile four hundred. The broken one is moved away at once: whatever fails
/// afterwards, it never stays where the router belongs.
pub(crate) fn prepare_binaries(root: &Path) -> Result<(), Failure> {
    let switch = ["--features", "hookmill/acknowledge-before-commit"];
    steps::run(cargo(root).args(BUILD).args(switch))?;
    let (built, broken) = (router_path(root), negative_control_path(root));
    let directory = broken.parent().expect("the path ends in a directory and a name");
    std::fs::create_dir_all(directory)
        .and_then(|()| std::fs::rename(&built, &broken))
        .map_err(|error| Failure::of(format!("move {} to {}: {error}", built.display(), broken.display())))?;
    build_programs(root)
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
