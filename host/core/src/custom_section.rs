//! Writes custom sections of WebAssembly (core specification, 5.5.3; components have the same).

use crate::manifest::MANIFEST_SECTION;

/// The component with its manifest appended as an outermost custom section. A manifest that it already has stays.
#[must_use]
pub fn with_manifest(component: &[u8], manifest: &[u8]) -> Vec<u8> {
    with_section(component, MANIFEST_SECTION, manifest)
}

fn with_section(binary: &[u8], name: &str, content: &[u8]) -> Vec<u8> {
    const CUSTOM: u8 = 0;
    let name_length = unsigned(name.len());
    let mut extended = binary.to_vec();
    extended.push(CUSTOM);
    extended.extend(unsigned(name_length.len() + name.len() + content.len()));
    extended.extend(name_length);
    extended.extend_from_slice(name.as_bytes());
    extended.extend_from_slice(content);
    extended
}

/// LEB128.
fn unsigned(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(5);
    while value >= 0x80 {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_specifications_form() {
        let check = |value: usize, expect: &[u8]| assert_eq!(unsigned(value), expect, "{value}");
        check(0, &[0]);
        check(127, &[0x7f]);
        check(128, &[0x80, 1]);
        check(624_485, &[0xe5, 0x8e, 0x26]);
    }

    #[test]
    fn the_manifest_follows_what_was_there() {
        let empty = b"\0asm\x0d\0\x01\0";
        let extended = with_manifest(empty, br#"{"manifest":1}"#);
        let (before, section) = extended.split_at(empty.len());
        assert_eq!(before, empty);
        assert_eq!(section[..3], [0, 32, 17]);
        assert_eq!(&section[3..], br#"hookmill:manifest{"manifest":1}"#);
    }
}
