//! A plugin's project: a folder with `plugin.json` and the sources of one language.

use std::path::{Path, PathBuf};

use hookmill_core::manifest::{MANIFEST_BYTES_MAX, Manifest};

use crate::cli::PluginLanguage;
use crate::client::read_file;
use crate::failure::{Exit, Failure};

/// The manifest's file in a project.
const MANIFEST: &str = "plugin.json";
/// What shows the language of a project, in the order in which it is looked for.
const MARKS: [(&str, PluginLanguage); 4] = [
    ("Cargo.toml", PluginLanguage::Rust),
    ("package.json", PluginLanguage::Javascript),
    ("app.py", PluginLanguage::Python),
    ("plugin.c", PluginLanguage::C),
];

/// A folder with a plugin's manifest and sources.
#[derive(Debug)]
pub(super) struct Project {
    /// Absolute, since tools run in it.
    pub(super) directory: PathBuf,
    pub(super) manifest: Manifest,
}

impl Project {
    /// Reads the manifest of a project.
    ///
    /// # Errors
    /// There is none, or it is not one.
    pub(super) fn open(directory: &Path) -> Result<Self, Failure> {
        let path = directory.join(MANIFEST);
        let directory = directory.canonicalize().ok().filter(|_| path.is_file()).ok_or_else(|| {
            let message = format!("{} has no {MANIFEST}", directory.display());
            Failure::new(Exit::Usage, "project_missing", message)
                .hint("give the folder of a project, or make one with `hookmill plugin new`")
        })?;
        let text = read_file(&path, MANIFEST_BYTES_MAX, "manifest_too_long")?;
        let manifest = parse_manifest(&text, &path.display().to_string())?;
        Ok(Self { directory, manifest })
    }

    /// What the project is written in.
    ///
    /// # Errors
    /// None of the languages' files is there.
    pub(super) fn language(&self) -> Result<PluginLanguage, Failure> {
        let found = MARKS.iter().find(|(file, _)| self.directory.join(file).is_file());
        found.map(|(_, language)| *language).ok_or_else(|| {
            let files: Vec<&str> = MARKS.iter().map(|(file, _)| *file).collect();
            let message = format!("{} has none of {}", self.directory.display(), files.join(", "));
            Failure::new(Exit::Usage, "language_unknown", message)
                .hint("`hookmill plugin new` makes a project of each language")
        })
    }

    /// The manifest's file.
    pub(super) fn manifest_file(&self) -> PathBuf {
        self.directory.join(MANIFEST)
    }

    /// The plugin's name.
    pub(super) fn name(&self) -> &str {
        self.manifest.name.as_str()
    }

    /// Where builds leave things.
    pub(super) fn target(&self) -> PathBuf {
        self.directory.join("target")
    }

    /// Where the component is once it was built.
    pub(super) fn component(&self) -> PathBuf {
        self.target().join(format!("{}.wasm", self.name()))
    }
}

/// Reads a manifest; `place` says where it came from.
pub(super) fn parse_manifest(text: &[u8], place: &str) -> Result<Manifest, Failure> {
    Manifest::parse(text)
        .map_err(|error| Failure::new(Exit::Failed, error.code(), format!("{place}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_shows_in_the_files() {
        let home = tempfile::tempdir().unwrap();
        let manifest =
            r#"{"manifest": 1, "name": "p", "version": "1", "description": "d", "world": "transform"}"#;
        assert_eq!(Project::open(home.path()).unwrap_err().code, "project_missing");
        std::fs::write(home.path().join("plugin.json"), "{").unwrap();
        assert_eq!(Project::open(home.path()).unwrap_err().code, "manifest_not_json");
        std::fs::write(home.path().join("plugin.json"), manifest).unwrap();
        let project = Project::open(home.path()).unwrap();
        assert_eq!(project.language().unwrap_err().code, "language_unknown");
        for (file, language) in MARKS.iter().rev() {
            std::fs::write(home.path().join(file), "").unwrap();
            assert_eq!(project.language().unwrap(), *language, "{file}");
        }
    }
}
