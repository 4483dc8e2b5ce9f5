//! What tidy knows of the tree: the crates as cargo sees them, the files as git keeps them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, PackageId};

use crate::steps::{Failure, line_of, tool};

/// The crates of the tree.
#[derive(Debug)]
pub(crate) struct Crates {
    /// Ours.
    pub(crate) members: Vec<Member>,
    /// All that ours need, also through others.
    pub(crate) foreign: Vec<Foreign>,
}

/// A crate of ours.
#[derive(Debug, Clone, Default)]
pub(crate) struct Member {
    pub(crate) name: String,
    /// From the root, for example `host/core`.
    pub(crate) directory: String,
    /// What it depends on, ours and others, by kind.
    pub(crate) normal: BTreeSet<String>,
    pub(crate) dev: BTreeSet<String>,
    pub(crate) build: BTreeSet<String>,
    /// What is compiled into its users, also through others: names of crates.
    pub(crate) reached: BTreeSet<String>,
}

/// A crate of others.
#[derive(Debug, Clone)]
pub(crate) struct Foreign {
    pub(crate) name: String,
    pub(crate) version: String,
    /// The SPDX expression of its manifest.
    pub(crate) licence: Option<String>,
}

/// A file that git keeps.
#[derive(Debug)]
pub(crate) enum KeptFile {
    /// One that people can read.
    Text(TextFile),
    /// One that they can't; its path.
    Binary(String),
}

impl KeptFile {
    pub(crate) fn text(&self) -> Option<&TextFile> {
        match self {
            Self::Text(file) => Some(file),
            Self::Binary(_) => None,
        }
    }
}

/// A file that people can read.
#[derive(Debug, Clone)]
pub(crate) struct TextFile {
    /// From the root, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl TextFile {
    /// The lines with their numbers, from 1.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }

    pub(crate) fn is_rust(&self) -> bool {
        Path::new(&self.path).extension().is_some_and(|extension| extension == "rs")
    }

    pub(crate) fn place(&self, line: usize) -> String {
        format!("{}:{line}", self.path)
    }
}

impl Crates {
    /// Asks cargo.
    pub(crate) fn read(root: &Path) -> Result<Self, Failure> {
        let metadata = MetadataCommand::new()
            .current_dir(root)
            .exec()
            .map_err(|error| Failure::of(format!("cargo metadata: {error}")))?;
        let ours: BTreeSet<&PackageId> = metadata.workspace_members.iter().collect();
        let (mut members, mut foreign) = (Vec::new(), Vec::new());
        for package in &metadata.packages {
            if ours.contains(&package.id) {
                members.push(member(&metadata, package)?);
            } else {
                foreign.push(Foreign {
                    name: package.name.to_string(),
                    version: package.version.to_string(),
                    licence: package.license.clone(),
                });
            }
        }
        members.sort_by(|left, right| left.name.cmp(&right.name));
        Ok(Self { members, foreign })
    }
}

fn member(metadata: &Metadata, package: &cargo_metadata::Package) -> Result<Member, Failure> {
    let manifest_directory = package.manifest_path.parent().unwrap_or(&package.manifest_path);
    let directory = manifest_directory.strip_prefix(&metadata.workspace_root).unwrap_or(manifest_directory);
    let mut member =
        Member { name: package.name.to_string(), directory: directory.to_string(), ..Member::default() };
    for dependency in &package.dependencies {
        let kind = match dependency.kind {
            DependencyKind::Normal => &mut member.normal,
            DependencyKind::Development => &mut member.dev,
            DependencyKind::Build => &mut member.build,
            DependencyKind::Unknown => {
                return Err(Failure::of(format!(
                    "{}: unknown kind of dependency {}",
                    package.name, dependency.name
                )));
            }
        };
        kind.insert(dependency.name.clone());
    }
    member.reached = reached(metadata, &package.id)?;
    Ok(member)
}

/// The crates that are compiled into whoever uses `from`: normal dependencies of normal dependencies.
fn reached(metadata: &Metadata, from: &PackageId) -> Result<BTreeSet<String>, Failure> {
    let resolve = metadata.resolve.as_ref().ok_or_else(|| Failure::of("cargo metadata resolved nothing"))?;
    let nodes: BTreeMap<&PackageId, _> = resolve.nodes.iter().map(|node| (&node.id, node)).collect();
    let names: BTreeMap<&PackageId, _> =
        metadata.packages.iter().map(|package| (&package.id, &package.name)).collect();
    let mut seen = BTreeSet::from([from]);
    let mut waiting = vec![from];
    while let Some(node) = waiting.pop().and_then(|id| nodes.get(id)) {
        for dependency in &node.deps {
            let normal = dependency.dep_kinds.iter().any(|info| info.kind == DependencyKind::Normal);
            if normal && seen.insert(&dependency.pkg) {
                waiting.push(&dependency.pkg);
            }
        }
    }
    seen.remove(from);
    Ok(seen.into_iter().filter_map(|id| names.get(id)).map(ToString::to_string).collect())
}

/// The files that git keeps or would keep: those of the index and new ones that it does not ignore.
pub(crate) fn kept_files(root: &Path) -> Result<Vec<KeptFile>, Failure> {
    let mut git = tool("git", root);
    git.args(["ls-files", "--cached", "--others", "--exclude-standard", "--deduplicate", "-z"]);
    let listed =
        git.output().map_err(|error| Failure::of(format!("{} did not start: {error}", line_of(&git))))?;
    if !listed.status.success() {
        return Err(Failure::of_tool(&git, listed.status.code()));
    }
    let mut files = Vec::new();
    for path in String::from_utf8_lossy(&listed.stdout).split_terminator('\0') {
        let full_path = root.join(path);
        // A file of the index may be deleted in the working tree, and a link may point at a folder.
        if !full_path.is_file() {
            continue;
        }
        let bytes =
            std::fs::read(&full_path).map_err(|error| Failure::of(format!("read {path}: {error}")))?;
        files.push(match String::from_utf8(bytes) {
            Ok(text) if !text.contains('\0') => KeptFile::Text(TextFile { path: path.into(), text }),
            Ok(_) | Err(_) => KeptFile::Binary(path.into()),
        });
    }
    Ok(files)
}
