//! The Rust SDK outside of its workspace.
//!
//! In the repository the SDK takes versions and lints from the workspace of `plugins/`. A project has neither, so what
//! is inherited is written out, as cargo does when it packs a crate.

use toml::{Table, Value};

/// Kinds of dependencies that may be inherited.
const DEPENDENCIES: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

/// A package's manifest with everything that it inherits from its workspace written out.
pub(super) fn standalone_manifest(package: &str, workspace: &str) -> String {
    let parse = |text: &str| text.parse::<Table>().expect("cargo read our manifests");
    let (mut package, workspace) = (parse(package), parse(workspace));
    let workspace = workspace["workspace"].as_table().expect("plugins/ is a workspace");
    // The project has lints of its own, if it wants some.
    package.remove("lints");
    inherit(&mut package, "package", workspace, "package");
    inherit_dependencies(&mut package, workspace);
    let targets = package.get_mut("target").and_then(Value::as_table_mut);
    for (_, target) in targets.into_iter().flatten() {
        inherit_dependencies(target.as_table_mut().expect("a target is a table"), workspace);
    }
    package.to_string()
}

fn inherit_dependencies(package: &mut Table, workspace: &Table) {
    for kind in DEPENDENCIES {
        inherit(package, kind, workspace, "dependencies");
    }
}

/// Replaces each `{ workspace = true, ... }` of a table by the workspace's value; what stands beside it is kept.
fn inherit(package: &mut Table, table: &str, workspace: &Table, from: &str) {
    let entries = package.get_mut(table).and_then(Value::as_table_mut);
    for (name, value) in entries.into_iter().flatten() {
        let Some(inherited) = value.as_table().filter(|value| value.contains_key("workspace")) else {
            continue;
        };
        let mut own = inherited.clone();
        own.remove("workspace");
        let mut given = workspace[from][name].clone();
        if !own.is_empty() {
            if let Value::String(version) = given {
                given = Value::Table(Table::from_iter([("version".to_owned(), Value::String(version))]));
            }
            given.as_table_mut().expect("a dependency is a version or a table").extend(own);
        }
        *value = given;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_inherited_is_written_out() {
        let workspace = r#"
            [workspace.package]
            edition = "2024"
            [workspace.dependencies]
            serde = { version = "1", features = ["derive"] }
            json = "2"
        "#;
        let package = r#"
            lints.workspace = true
            [package]
            name = "kit"
            edition.workspace = true
            [dependencies]
            serde.workspace = true
            own = "3"
            [target.'cfg(unix)'.dependencies]
            json = { workspace = true, optional = true }
        "#;
        let expect = r#"
            [package]
            name = "kit"
            edition = "2024"
            [dependencies]
            serde = { version = "1", features = ["derive"] }
            own = "3"
            [target.'cfg(unix)'.dependencies]
            json = { version = "2", optional = true }
        "#;
        let standalone: Table = standalone_manifest(package, workspace).parse().unwrap();
        assert_eq!(standalone, expect.parse().unwrap());
    }
}
