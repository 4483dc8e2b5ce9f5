//! Where a plugin's manifest is: in a custom section, of the component or of a core module in it.
//!
//! The Rust SDK's macro puts it into the core module, which stays what it is when a component is made of it; other
//! tools append it to the component. Its text is handed on as it is.

use bytes::Bytes;
use hookmill_core::manifest::{MANIFEST_BYTES_MAX, MANIFEST_SECTION};
use hookmill_core::port::plugins::PluginRejected;
use wasmparser::{Parser, Payload};

use crate::structure::{malformed, rejected};

/// The text of an upload's manifest, where it has one. Nothing else about the upload is checked.
///
/// # Errors
/// A manifest that is too long, more than one, and an upload that is no WebAssembly.
pub fn manifest_of(upload: &[u8]) -> Result<Option<Bytes>, PluginRejected> {
    let mut found: Option<&[u8]> = None;
    for payload in Parser::new(0).parse_all(upload) {
        let Payload::CustomSection(section) = payload.map_err(|error| malformed(&error))? else { continue };
        if section.name() != MANIFEST_SECTION {
            continue;
        }
        let manifest = section.data();
        if manifest.len() > MANIFEST_BYTES_MAX {
            let message = format!(
                "the plugin's manifest has {} bytes, at most {MANIFEST_BYTES_MAX} are taken",
                manifest.len()
            );
            return Err(rejected("plugin_manifest_too_large", message));
        }
        if found.is_some() {
            let message = format!(
                "the plugin has more than one section `{MANIFEST_SECTION}`: leave the manifest to the SDK's macro or to \
                 `hookmill plugin build`, not to both"
            );
            return Err(rejected("plugin_manifest_ambiguous", message));
        }
        found = Some(manifest);
    }
    Ok(found.map(Bytes::copy_from_slice))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_one_manifest_wherever_it_is() {
        let check = |text: &str, expect: Result<Option<&str>, &str>| {
            let found = manifest_of(&wat::parse_str(text).unwrap());
            let found = found.as_ref().map(|manifest| manifest.as_deref()).map_err(|error| error.code);
            assert_eq!(found, expect.map(|manifest| manifest.map(str::as_bytes)), "{text}");
        };
        const A: &str = r#"(@custom "hookmill:manifest" "a")"#;
        const B: &str = r#"(@custom "hookmill:manifest" "b")"#;
        check("(module)", Ok(None));
        check(r#"(module (@custom "other" "a"))"#, Ok(None));
        check(&format!("(module {A})"), Ok(Some("a")));
        check(&format!("(component {A} (core module))"), Ok(Some("a")));
        check(&format!("(component (core module) (core module {A}))"), Ok(Some("a")));
        check(&format!("(component (component (core module {A})))"), Ok(Some("a")));
        check(&format!("(component {A} (core module {A}))"), Err("plugin_manifest_ambiguous"));
        check(&format!("(component {A} (core module {B}))"), Err("plugin_manifest_ambiguous"));
        check(&format!("(component {A} {B})"), Err("plugin_manifest_ambiguous"));
        let long = "x".repeat(MANIFEST_BYTES_MAX + 1);
        check(
            &format!(r#"(module (@custom "hookmill:manifest" "{long}"))"#),
            Err("plugin_manifest_too_large"),
        );
    }
}
