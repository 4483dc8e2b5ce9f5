//! The plugins that come with Hookmill.
//!
//! They are built by `cargo xtask plugins` and carried inside the binary (`build.rs` says which), so that they are there
//! without a download. To the router they are uploads like any other: checked, compiled and run within the same limits.

/// A plugin that comes with Hookmill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BundledPlugin {
    /// The name that its manifest has too.
    pub name: &'static str,
    /// What it is for, as its manifest says.
    pub world: &'static str,
    /// One line for people, as its manifest says.
    pub description: &'static str,
    /// What would be uploaded, with the manifest in it.
    pub component: &'static [u8],
}

/// All of them, by name. Those that were not built when this crate was compiled are missing.
#[must_use]
pub fn plugins() -> &'static [BundledPlugin] {
    include!(concat!(env!("OUT_DIR"), "/bundled.rs"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_comes_once_and_is_webassembly_with_a_manifest() {
        let names: Vec<&str> = plugins().iter().map(|plugin| plugin.name).collect();
        assert!(names.is_sorted_by(|left, right| left < right), "{names:?}");
        for BundledPlugin { name, world, description, component } in plugins() {
            assert!(component.starts_with(b"\0asm"), "{name}");
            let section = b"hookmill:manifest";
            assert!(
                component.windows(section.len()).any(|window| window == section),
                "{name} has no manifest"
            );
            // In the component it is as its author wrote it, or compact.
            for (key, value) in [("name", name), ("world", world), ("description", description)] {
                let value = serde_json::Value::from(*value);
                let says =
                    |member: &str| component.windows(member.len()).any(|window| window == member.as_bytes());
                let said = says(&format!("\"{key}\":{value}")) || says(&format!("\"{key}\": {value}"));
                assert!(said, "{name} does not say its {key}, {value}");
            }
        }
    }
}
