//! What a toolchain left becomes what is uploaded: a component with its manifest.

use bytes::Bytes;
use hookmill_core::manifest::{MANIFEST_SECTION, Manifest};
use hookmill_core::plugin::World;
use wasm_encoder::{ComponentSection as _, CustomSection};
use wit_component::ComponentEncoder;
use wit_parser::decoding::DecodedWasm;
use wit_parser::{Resolve, WorldKey};

use super::project::Project;
use super::registry::read_plugin;
use crate::failure::{Exit, Failure};

/// How core modules begin; components have another version.
const CORE_MODULE: &[u8] = b"\0asm\x01\0\0\0";
const PACKAGE: &str = "hookmill:plugin/";

/// What a component says of itself.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Facts {
    /// What it exports, where that is a plugin's.
    pub(super) world: Option<World>,
    /// The interfaces that it imports.
    pub(super) imports: Vec<String>,
}

/// Makes a component of what was built, with the project's manifest in it.
///
/// # Errors
/// It does not make one, is of another world than its manifest says, or has another manifest in it.
pub(super) fn finish(built: Vec<u8>, project: &Project) -> Result<Vec<u8>, Failure> {
    let component = if built.starts_with(CORE_MODULE) { componentise(&built)? } else { built };
    let world = facts(&component)?.world.ok_or_else(|| {
        Failure::new(Exit::Failed, "plugin_not_one", "what was built exports no world of a plugin")
            .hint("see the README of the project for what it has to export")
    })?;
    project
        .manifest
        .check_component(world)
        .map_err(|error| Failure::new(Exit::Failed, error.code(), format!("plugin.json: {error}")))?;
    let component = match manifest_in(&component)? {
        Some(_) => component,
        None => with_manifest(component, project.manifest.to_json().as_bytes()),
    };
    check_up_to_date(&component, project)?;
    Ok(component)
}

/// Reads what an earlier build left.
///
/// # Errors
/// Nothing was built.
pub(super) fn read(project: &Project) -> Result<Bytes, Failure> {
    let path = project.component();
    if !path.is_file() {
        let message = format!("{} was not built yet: there is no {}", project.name(), path.display());
        return Err(Failure::new(Exit::Failed, "plugin_not_built", message)
            .hint(format!("run `hookmill plugin build {}`", project.directory.display())));
    }
    read_plugin(&path)
}

/// Checks that the manifest in the component is the project's.
///
/// # Errors
/// It is another.
pub(super) fn check_up_to_date(component: &[u8], project: &Project) -> Result<(), Failure> {
    let built_with = manifest_in(component)?.and_then(|text| Manifest::parse(&text).ok());
    if built_with.is_some_and(|manifest| manifest.to_json() == project.manifest.to_json()) {
        return Ok(());
    }
    let message = format!("plugin.json is not what {} was built with", project.name());
    Err(Failure::new(Exit::Failed, "plugin_out_of_date", message)
        .hint(format!("run `hookmill plugin build {}`", project.directory.display())))
}

/// The text of the manifest in a component, its own or that of a module in it.
///
/// # Errors
/// What an upload would be refused for.
pub(super) fn manifest_in(component: &[u8]) -> Result<Option<Bytes>, Failure> {
    hookmill_wasm::manifest_of(component)
        .map_err(|rejected| Failure::new(Exit::Failed, rejected.code, rejected.message))
}

/// Appends a manifest as the outermost custom section.
fn with_manifest(mut component: Vec<u8>, manifest: &[u8]) -> Vec<u8> {
    let section = CustomSection { name: MANIFEST_SECTION.into(), data: manifest.into() };
    section.append_to_component(&mut component);
    component
}

fn componentise(module: &[u8]) -> Result<Vec<u8>, Failure> {
    let encode = || ComponentEncoder::default().validate(true).module(module)?.encode();
    encode().map_err(|error| {
        let message = format!("the module that was built does not make a component: {error:#}");
        Failure::new(Exit::Failed, "plugin_not_component", message)
            .hint("it needs a world of wit/: see the README of the project")
    })
}

/// Reads what a component imports and exports.
///
/// # Errors
/// It is no component.
pub(super) fn facts(component: &[u8]) -> Result<Facts, Failure> {
    let not_one = |reason: String| {
        Failure::new(Exit::Failed, "plugin_not_component", format!("no component: {reason}"))
    };
    let decoded = wit_parser::decoding::decode(component).map_err(|error| not_one(format!("{error:#}")))?;
    let DecodedWasm::Component(resolve, world) = decoded else {
        return Err(not_one("this is an interface without code".into()));
    };
    let world = &resolve.worlds[world];
    let exported = names(&resolve, world.exports.keys());
    let exports_world = |world: &World| {
        exported.iter().any(|name| {
            let interface = name.strip_prefix(PACKAGE).and_then(|name| name.split('@').next());
            interface == Some(world.as_str())
        })
    };
    Ok(Facts {
        world: World::ALL.into_iter().find(exports_world),
        imports: names(&resolve, world.imports.keys()),
    })
}

fn names<'a>(resolve: &Resolve, keys: impl Iterator<Item = &'a WorldKey>) -> Vec<String> {
    keys.map(|key| resolve.name_world_key(key)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY_COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

    #[test]
    fn a_manifest_is_found_where_it_was_put() {
        assert_eq!(manifest_in(EMPTY_COMPONENT).unwrap(), None);
        // Longer than one byte of length can say.
        let manifest = vec![b'x'; 1000];
        let component = with_manifest(EMPTY_COMPONENT.to_vec(), &manifest);
        assert_eq!(manifest_in(&component).unwrap().unwrap(), manifest);
        let twice = with_manifest(component, b"{}");
        assert_eq!(manifest_in(&twice).unwrap_err().code, "plugin_manifest_ambiguous");
        assert_eq!(manifest_in(b"no").unwrap_err().code, "plugin_malformed");
    }

    #[test]
    fn a_component_of_nothing_is_no_plugin() {
        assert_eq!(facts(EMPTY_COMPONENT).unwrap(), Facts { world: None, imports: Vec::new() });
        assert_eq!(facts(b"no").unwrap_err().code, "plugin_not_component");
    }
}
