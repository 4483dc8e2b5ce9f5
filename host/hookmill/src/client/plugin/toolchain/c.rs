//! C: Zig's C compiler, which pip installs, over bindings made of `wit/`.

use wit_bindgen_core::Files;
use wit_parser::Resolve;

use super::python_environment::{self, INSTALL_PYTHON};
use super::{make_directory, read_built, run, tool, write};
use crate::client::plugin::project::Project;
use crate::failure::{Exit, Failure};

/// A plugin's stack in bytes: what an instance does not have needs no clearing after the run.
const STACK_BYTES: u32 = 64 << 10;

/// Builds `plugin.c`; answers a core module.
pub(super) fn build(project: &Project) -> Result<Vec<u8>, Failure> {
    let programs = python_environment::programs(project)?;
    let bindings = project.target().join("bindings");
    make_directory(&bindings)?;
    let mut sources = vec![project.directory.join("plugin.c")];
    for (name, text) in &generate(project)? {
        let path = bindings.join(name);
        write(&path, text)?;
        if !name.ends_with(".h") {
            sources.push(path);
        }
    }
    let module = project.target().join("plugin.module.wasm");
    let mut compiler = tool(programs.join("python"), &project.directory);
    compiler.args(["-m", "ziglang", "cc", "--target=wasm32-wasi", "-mexec-model=reactor"]);
    compiler.args(["-O2", "-Wall", "-Wextra", &format!("-Wl,--stack,{STACK_BYTES}")]);
    compiler.arg("-I").arg(&bindings).arg("-o").arg(&module).args(sources);
    run(&mut compiler, INSTALL_PYTHON)?;
    read_built(&module)
}

/// The bindings of the project's world: a header, its source, and an object with the component type.
fn generate(project: &Project) -> Result<Vec<(String, Vec<u8>)>, Failure> {
    let mut resolve = Resolve::default();
    let mut files = Files::default();
    let world = format!("{}-plugin", project.manifest.world);
    let options = wit_bindgen_c::Opts {
        rename_world: Some("hookmill".into()),
        // What a run lends has to be given back before it ends; the plugin's author need not know.
        autodrop_borrows: wit_bindgen_c::Enabled::Yes,
        ..Default::default()
    };
    resolve
        .push_dir(project.directory.join("wit"))
        .and_then(|(package, _)| resolve.select_world(&[package], Some(&world)))
        .and_then(|world| options.build().generate(&mut resolve, world, &mut files))
        .map_err(|error| {
            let message = format!("wit/ is not the router's interface: {error:#}");
            Failure::new(Exit::Failed, "interface_invalid", message)
                .hint("take it from a project that `hookmill plugin new` makes")
        })?;
    Ok(files.iter().map(|(name, text)| (name.to_owned(), text.to_vec())).collect())
}
