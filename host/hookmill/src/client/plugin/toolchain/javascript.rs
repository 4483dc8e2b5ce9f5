//! JavaScript: the SDK's own `hookmill-componentize`, over componentize-qjs.

use std::path::Path;
use std::time::SystemTime;

use super::{make_directory, read_built, run, tool};
use crate::client::plugin::project::Project;
use crate::failure::Failure;

const INSTALL_NODE: &str = "install Node.js 20 or newer with npm";
/// Where npm says what it installed; written last.
const INSTALLED: &str = "node_modules/.package-lock.json";

/// Builds `plugin.js`; answers a component that has the manifest in it already.
pub(super) fn build(project: &Project) -> Result<Vec<u8>, Failure> {
    if !is_installed(&project.directory) {
        let mut npm = tool("npm", &project.directory);
        run(npm.args(["install", "--no-audit", "--no-fund", "--loglevel=error"]), INSTALL_NODE)?;
    }
    make_directory(&project.target())?;
    let component = project.target().join("plugin.component.wasm");
    let program = project.directory.join("node_modules/.bin/hookmill-componentize");
    let mut componentize = tool(program, &project.directory);
    componentize.args(["plugin.js", "--wit", "wit", "--output"]).arg(&component);
    run(&mut componentize, INSTALL_NODE)?;
    read_built(&component)
}

/// Whether npm installed what `package.json` names since it was changed.
fn is_installed(directory: &Path) -> bool {
    let changed =
        |path: &str| -> Option<SystemTime> { directory.join(path).metadata().ok()?.modified().ok() };
    changed(INSTALLED)
        .is_some_and(|installed| changed("package.json").is_some_and(|wanted| wanted <= installed))
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_newer_package_json_is_installed_anew() {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join("node_modules")).unwrap();
        let touch = |path: &str, seconds: u64| {
            let file = File::create(home.path().join(path)).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
        };
        touch("package.json", 10);
        assert!(!is_installed(home.path()));
        touch(INSTALLED, 11);
        assert!(is_installed(home.path()));
        touch("package.json", 12);
        assert!(!is_installed(home.path()));
    }
}
