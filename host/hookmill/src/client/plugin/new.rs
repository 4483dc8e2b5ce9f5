//! `hookmill plugin new`: a project that builds as it is.
//!
//! What it writes is embedded in this program by `build.rs`: a template for each language and world, the SDK of the
//! language, and the router's interface. So a project needs no checkout of Hookmill, and no SDK from a registry.

use std::collections::BTreeMap;
use std::path::Path;

use clap::ValueEnum as _;
use hookmill_core::plugin::World;
use serde_json::json;

use super::{not_written, vendored};
use crate::cli::{NewPlugin, PluginLanguage};
use crate::client::print;
use crate::failure::{Exit, Failure};

/// Everything embedded: where it was, and its text.
const KIT: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/plugin_kit.rs"));
/// What templates say in the place of the plugin's name.
const NAME: &str = "{{name}}";
/// Keeps a template from being taken for what it is a template of.
const TEMPLATE_SUFFIX: &str = ".in";
/// Where a project has its SDK.
const VENDORED: &str = "vendor/hookmill-plugin";

/// The files of a project by their path in it.
type Files = BTreeMap<String, String>;

/// Makes a project.
///
/// # Errors
/// The folder has something in it, can't be written, or there is no such template.
pub(super) fn create(json: bool, arguments: NewPlugin) -> Result<(), Failure> {
    let NewPlugin { name, lang, world, directory } = arguments;
    let directory = directory.unwrap_or_else(|| name.as_str().into());
    let files = files(name.as_str(), lang, world)?;
    refuse_to_overwrite(&directory)?;
    for (path, text) in &files {
        write(&directory.join(path), text)?;
    }
    let made = json!({
        "directory": directory,
        "language": language_name(lang),
        "world": world.as_str(),
        "files": files.keys().filter(|path| !path.starts_with(VENDORED)).collect::<Vec<_>>(),
    });
    print(json, &made, || {
        let place = directory.display();
        format!(
            "made {place}: a {world} plugin in {}\n\nNext:\n  hookmill plugin build {place}\n  hookmill plugin test \
             {place}\n  hookmill plugin push {place}",
            language_name(lang)
        )
    });
    Ok(())
}

/// The name of a language as it is given on the command line.
fn language_name(language: PluginLanguage) -> String {
    let value = language.to_possible_value();
    value.map(|value| value.get_name().to_owned()).unwrap_or_default()
}

/// Everything that a project has at first.
fn files(name: &str, language: PluginLanguage, world: World) -> Result<Files, Failure> {
    let language_name = language_name(language);
    let own = templates(&format!("templates/{language_name}/{world}/"), name);
    if own.is_empty() {
        let message = format!("there is no template of a {world} plugin in {language_name}");
        return Err(Failure::new(Exit::Usage, "template_missing", message)
            .hint("rust, javascript and python have templates of every world"));
    }
    let mut files = templates(&format!("templates/{language_name}/every-world/"), name);
    files.extend(own);
    files.insert(
        "plugin.json".into(),
        embedded(&format!("templates/manifest/{world}.json")).replace(NAME, name),
    );
    files.extend(room("wit/").map(|(path, text)| (format!("wit/{path}"), text.to_owned())));
    match language {
        PluginLanguage::Rust => {
            files.insert(".cargo/config.toml".into(), embedded("cargo-config.toml").to_owned());
            let sdk = room("sdk-rust/").map(|(path, text)| (format!("{VENDORED}/{path}"), text.to_owned()));
            files.extend(sdk);
            let manifest = vendored::standalone_manifest(
                embedded("sdk-rust/Cargo.toml"),
                embedded("sdk-rust-workspace.toml"),
            );
            files.insert(format!("{VENDORED}/Cargo.toml"), manifest);
        }
        PluginLanguage::Javascript => {
            let sdk =
                room("sdk-javascript/").map(|(path, text)| (format!("{VENDORED}/{path}"), text.to_owned()));
            files.extend(sdk);
        }
        PluginLanguage::Python | PluginLanguage::C => {}
    }
    Ok(files)
}

/// The templates of one room under their names in the project.
fn templates(prefix: &str, name: &str) -> Files {
    let file = |(path, text): (&str, &str)| {
        let path = path.strip_suffix(TEMPLATE_SUFFIX).unwrap_or(path);
        let path = if path == "gitignore" { ".gitignore" } else { path };
        (path.to_owned(), text.replace(NAME, name))
    };
    room(prefix).map(file).collect()
}

fn room(prefix: &str) -> impl Iterator<Item = (&'static str, &'static str)> {
    KIT.iter().filter_map(move |(path, text)| Some((path.strip_prefix(prefix)?, *text)))
}

fn embedded(path: &str) -> &'static str {
    let found = KIT.iter().find(|(embedded, _)| *embedded == path);
    found.map(|(_, text)| *text).unwrap_or_else(|| panic!("build.rs embeds {path}"))
}

fn refuse_to_overwrite(directory: &Path) -> Result<(), Failure> {
    match std::fs::read_dir(directory).map(|mut entries| entries.next().is_none()) {
        Ok(true) => Ok(()),
        Ok(false) => {
            let message = format!("{} is not empty, and nothing in it is overwritten", directory.display());
            Err(Failure::new(Exit::Usage, "directory_not_empty", message)
                .hint("choose another name, or another folder with --directory"))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(not_written(directory, &error)),
    }
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let directory = path.parent().unwrap_or(path);
    std::fs::create_dir_all(directory)
        .and_then(|()| std::fs::write(path, text))
        .map_err(|error| not_written(path, &error))
}

#[cfg(test)]
mod tests {
    use hookmill_core::manifest::Manifest;

    use super::*;

    #[test]
    fn every_project_has_what_its_language_needs() {
        let check = |language: PluginLanguage, expect: &[&str]| {
            let files = files("reshape", language, World::Transform).unwrap();
            for path in expect {
                assert!(files.contains_key(*path), "{language:?} has no {path}: {:?}", files.keys());
            }
            for (path, text) in files {
                let is_ours = !path.starts_with("vendor/");
                assert!(!path.ends_with(TEMPLATE_SUFFIX), "{path}");
                assert!(!is_ours || !text.contains(NAME), "{path}");
            }
        };
        let common = ["plugin.json", "README.md", ".gitignore", "wit/worlds.wit"];
        check(PluginLanguage::Rust, &common);
        check(PluginLanguage::Rust, &["Cargo.toml", ".cargo/config.toml", "src/lib.rs"]);
        check(
            PluginLanguage::Rust,
            &["vendor/hookmill-plugin/Cargo.toml", "vendor/hookmill-plugin/src/lib.rs"],
        );
        check(PluginLanguage::Javascript, &common);
        check(
            PluginLanguage::Javascript,
            &["package.json", "plugin.js", "vendor/hookmill-plugin/package.json"],
        );
        check(PluginLanguage::Python, &common);
        check(PluginLanguage::Python, &["app.py", "requirements.txt"]);
        check(PluginLanguage::C, &common);
        check(PluginLanguage::C, &["plugin.c", "requirements.txt"]);
    }

    #[test]
    fn every_template_has_a_sound_manifest_of_its_world() {
        let check = |language: PluginLanguage, world: World| {
            let files = files("reshape", language, world).unwrap();
            let manifest = Manifest::parse(files["plugin.json"].as_bytes()).unwrap();
            assert_eq!((manifest.name.as_str(), manifest.world), ("reshape", world));
            assert!(!manifest.samples.is_empty());
        };
        for world in World::ALL {
            check(PluginLanguage::Rust, world);
            check(PluginLanguage::Javascript, world);
            check(PluginLanguage::Python, world);
        }
        check(PluginLanguage::C, World::Transform);
    }

    #[test]
    fn renaming_two_fields_and_adding_a_header_is_short() {
        let check = |language: PluginLanguage, path: &str, lines_max: usize| {
            let files = files("reshape", language, World::Transform).unwrap();
            let code = files[path].lines().filter(|line| !line.trim().is_empty());
            assert!(code.count() <= lines_max, "{path}");
        };
        check(PluginLanguage::Rust, "src/lib.rs", 25);
        check(PluginLanguage::Javascript, "plugin.js", 15);
    }

    #[test]
    fn a_folder_with_something_in_it_is_left_alone() {
        let home = tempfile::tempdir().unwrap();
        let create = |directory: &Path| {
            create(
                true,
                NewPlugin {
                    name: "reshape".parse().unwrap(),
                    lang: PluginLanguage::C,
                    world: World::Transform,
                    directory: Some(directory.to_owned()),
                },
            )
        };
        let directory = home.path().join("reshape");
        create(&directory).unwrap();
        std::fs::write(directory.join("plugin.c"), "mine").unwrap();
        assert_eq!(create(&directory).unwrap_err().code, "directory_not_empty");
        assert_eq!(std::fs::read_to_string(directory.join("plugin.c")).unwrap(), "mine");
    }
}
