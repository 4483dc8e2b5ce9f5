//! Files that tests work on, and where the build leaves things.

use std::path::{Path, PathBuf};

/// A real provider's payload from `tests/data/seeds`, without the end of its last line.
///
/// # Panics
/// If there is no such file.
#[must_use]
pub fn seed(name: &str) -> String {
    let path = tests_directory().join("data/seeds").join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.trim_end().to_owned()
}

/// The folder of this package.
#[must_use]
pub fn tests_directory() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The folder of the repository.
#[must_use]
pub fn repository() -> &'static Path {
    tests_directory().parent().expect("this package is a folder of the repository")
}

/// Where cargo put this very program's neighbours: `target`.
///
/// # Panics
/// If this program was moved away from where cargo built it.
#[must_use]
pub fn target_directory() -> PathBuf {
    let program = std::env::current_exe().expect("a running program knows its file");
    // A test is in target/release/deps, a program in target/release.
    let release = program.ancestors().find(|directory| directory.ends_with("release"));
    let target = release.and_then(Path::parent);
    target.unwrap_or_else(|| panic!("{} is not below a target/release", program.display())).to_owned()
}

/// A file that has to have been built.
///
/// # Panics
/// If it was not; the message says what builds it.
#[must_use]
pub fn built(path: PathBuf, by: &str) -> PathBuf {
    assert!(path.exists(), "{} is missing: run `{by}` first", path.display());
    path
}

/// An environment variable, or nothing.
#[must_use]
pub fn variable(name: &str) -> Option<String> {
    std::env::var_os(name)?.into_string().ok().filter(|value| !value.is_empty())
}
