//! `hookmill plugin build`.

use std::path::Path;

use serde_json::json;

use super::project::Project;
use super::{component, not_written, toolchain};
use crate::client::print;
use crate::client::show::{Column, table};
use crate::failure::Failure;

const COLUMNS: [Column; 5] = [
    Column("plugin", "/name"),
    Column("world", "/world"),
    Column("bytes", "/bytes"),
    Column("samples", "/samples"),
    Column("file", "/file"),
];

/// Builds a project into `target/NAME.wasm`.
///
/// # Errors
/// What is missing, what the toolchain refused, or what does not make a plugin.
pub(super) fn build(json: bool, directory: &Path) -> Result<(), Failure> {
    let project = Project::open(directory)?;
    remove_earlier(&project)?;
    let component = component::finish(toolchain::build(&project)?, &project)?;
    let facts = component::facts(&component)?;
    let path = project.component();
    std::fs::create_dir_all(project.target())
        .and_then(|()| std::fs::write(&path, &component))
        .map_err(|error| not_written(&path, &error))?;
    let built = json!({
        "name": project.name(),
        "version": project.manifest.version,
        "world": project.manifest.world.as_str(),
        "bytes": component.len(),
        "imports": facts.imports,
        "samples": project.manifest.samples.len(),
        "file": path,
    });
    print(json, &built, || table(&COLUMNS, std::slice::from_ref(&built), ""));
    Ok(())
}

/// What an earlier build left must not be pushed for this one, should it fail.
fn remove_earlier(project: &Project) -> Result<(), Failure> {
    let path = project.component();
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(not_written(&path, &error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_build_leaves_nothing_to_push() {
        let home = tempfile::tempdir().unwrap();
        let manifest =
            r#"{"manifest": 1, "name": "p", "version": "1", "description": "d", "world": "transform"}"#;
        std::fs::write(home.path().join("plugin.json"), manifest).unwrap();
        let project = Project::open(home.path()).unwrap();
        std::fs::create_dir_all(project.target()).unwrap();
        std::fs::write(project.component(), "of an earlier build").unwrap();
        // There is no source of any language.
        assert_eq!(build(true, home.path()).unwrap_err().code, "language_unknown");
        assert_eq!(component::read(&project).unwrap_err().code, "plugin_not_built");
    }
}
