//! Python: componentize-py, which takes the interpreter along and imports the plugin while it builds.

use super::python_environment::{self, INSTALL_PYTHON};
use super::{read_built, run, tool};
use crate::client::plugin::project::Project;
use crate::failure::Failure;

/// Builds `app.py`; answers a component.
pub(super) fn build(project: &Project) -> Result<Vec<u8>, Failure> {
    let programs = python_environment::programs(project)?;
    let component = project.target().join("app.wasm");
    let mut componentize = tool(programs.join("componentize-py"), &project.directory);
    componentize.args(["--wit-path", "wit", "--world", &format!("{}-plugin", project.manifest.world)]);
    componentize.args(["componentize", "app", "--output"]).arg(&component);
    run(&mut componentize, INSTALL_PYTHON)?;
    read_built(&component)
}
