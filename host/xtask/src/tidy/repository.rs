//! Rules that hold for the repository as a whole.

use super::facts::{KeptFile, Member, TextFile};
use super::report::Finding;

const ARCHITECTURE: &str = "host/ARCHITECTURE.md";

/// Built files that happen to be text.
const BUILT_EXTENSIONS: &[&str] = &["wasm", "cwasm", "so", "o", "a", "rlib", "exe", "db", "sqlite"];

/// Past this a file belongs elsewhere.
const FILE_BYTES_MAX: usize = 1024 * 1024;

/// Each of our manifests takes the lints of its workspace.
pub(crate) fn check_lints(texts: &[&TextFile]) -> Vec<Finding> {
    let ours = |file: &&&TextFile| {
        let path = file.path.as_str();
        path.ends_with("/Cargo.toml")
            && ["host/", "plugins/", "tests/"].iter().any(|room| path.starts_with(room))
    };
    let mut findings = Vec::new();
    for manifest in texts.iter().filter(ours) {
        let is_package = manifest.text.lines().any(|line| line.trim() == "[package]");
        if is_package && !takes_workspace_lints(&manifest.text) {
            findings.push(Finding::error(manifest.path.clone(), "add `[lints]` with `workspace = true`"));
        }
    }
    findings
}

/// The architecture speaks of each crate by its folder.
pub(crate) fn check_architecture(members: &[Member], texts: &[&TextFile]) -> Vec<Finding> {
    let Some(architecture) = texts.iter().find(|file| file.path == ARCHITECTURE) else {
        return vec![Finding::error(ARCHITECTURE, "is missing: it is where a newcomer starts")];
    };
    let unnamed = members.iter().filter(|member| !architecture.text.contains(&member.directory));
    let finding = |member: &Member| {
        Finding::error(ARCHITECTURE, format!("does not mention `{}`: say what it is for", member.directory))
    };
    unnamed.map(finding).collect()
}

/// Git keeps what people write; what machines build is built again.
pub(crate) fn check_binaries(files: &[KeptFile]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files {
        match file {
            KeptFile::Binary(path) => {
                findings.push(Finding::error(path.clone(), "is binary: build or fetch it"));
            }
            KeptFile::Text(file) => {
                let extension = file.path.rsplit_once('.').map_or("", |(_, extension)| extension);
                if BUILT_EXTENSIONS.contains(&extension) {
                    findings.push(Finding::error(file.path.clone(), "is a build's result: build it"));
                } else if file.text.len() > FILE_BYTES_MAX {
                    let message =
                        format!("has {} bytes, at most {FILE_BYTES_MAX} are kept in git", file.text.len());
                    findings.push(Finding::error(file.path.clone(), message));
                }
            }
        }
    }
    findings
}

fn takes_workspace_lints(manifest: &str) -> bool {
    let mut in_lints = false;
    for line in manifest.lines().map(str::trim) {
        if line.starts_with('[') {
            in_lints = line == "[lints]";
        } else if in_lints && line.replace(' ', "") == "workspace=true" {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(path: &str, text: &str) -> TextFile {
        TextFile { path: path.into(), text: text.into() }
    }

    #[test]
    fn manifests_take_the_workspace_lints() {
        let check = |path: &str, manifest: &str, expect: usize| {
            assert_eq!(check_lints(&[&text(path, manifest)]).len(), expect, "{path}: {manifest}");
        };
        check("host/core/Cargo.toml", "[package]\n[lints]\nworkspace = true\n", 0);
        check("host/core/Cargo.toml", "[package]\n[dependencies]\n", 1);
        check("host/core/Cargo.toml", "[package]\n[lints]\n[badges]\nworkspace = true\n", 1);
        check("plugins/Cargo.toml", "[workspace]\n", 0);
        check("examples/plugin/Cargo.toml", "[package]\n", 0);
    }

    #[test]
    fn the_architecture_names_each_crate() {
        let core =
            Member { name: "hookmill-core".into(), directory: "host/core".into(), ..Member::default() };
        let check = |path: &str, page: &str, expect: usize| {
            let findings = check_architecture(std::slice::from_ref(&core), &[&text(path, page)]);
            assert_eq!(findings.len(), expect, "{page}");
        };
        check(ARCHITECTURE, "`host/core` decides.", 0);
        check(ARCHITECTURE, "Nothing yet.", 1);
        check("README.md", "`host/core` decides.", 1);
    }

    #[test]
    fn binaries_are_refused() {
        let check = |file: KeptFile, expect: usize| {
            assert_eq!(check_binaries(std::slice::from_ref(&file)).len(), expect, "{file:?}");
        };
        check(KeptFile::Text(text("host/core/src/lib.rs", "//! Pure.")), 0);
        check(KeptFile::Binary("logo".into()), 1);
        check(KeptFile::Text(text("plugins/a.wasm", "")), 1);
        check(KeptFile::Text(text("tests/data/big.json", &"x".repeat(FILE_BYTES_MAX + 1))), 1);
    }
}
