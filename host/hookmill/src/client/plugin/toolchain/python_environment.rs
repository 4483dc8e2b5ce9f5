//! A project's own Python environment: `target/venv`, with what `requirements.txt` names.

use std::path::PathBuf;

use super::{make_directory, run, tool};
use crate::client::plugin::project::Project;
use crate::failure::Failure;

const REQUIREMENTS: &str = "requirements.txt";
pub(super) const INSTALL_PYTHON: &str =
    "install Python 3.10 or newer with venv and pip; on Debian `apt-get install python3-venv`";

/// The folder with the environment's programs. It is made anew where the requirements changed since it was made.
pub(super) fn programs(project: &Project) -> Result<PathBuf, Failure> {
    let environment = project.target().join("venv");
    let programs = environment.join("bin");
    // Written last, so an installation that was cut short is begun again.
    let installed = environment.join(REQUIREMENTS);
    let wanted = super::read_built(&project.directory.join(REQUIREMENTS))?;
    if std::fs::read(&installed).is_ok_and(|there| there == wanted) {
        return Ok(programs);
    }
    make_directory(&project.target())?;
    let mut make = tool("python3", &project.directory);
    run(make.args(["-m", "venv", "--clear"]).arg(&environment), INSTALL_PYTHON)?;
    let mut install = tool(programs.join("python"), &project.directory);
    install.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--requirement",
        REQUIREMENTS,
    ]);
    run(&mut install, INSTALL_PYTHON)?;
    super::write(&installed, &wanted)?;
    Ok(programs)
}
