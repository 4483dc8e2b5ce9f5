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
