//! The words of jq: shared by the plugin and its build script.

/// Everything in a text that may be the name of a filter: `map`, and `@base64` with its `@`.
pub(crate) fn words(text: &str) -> impl Iterator<Item = &str> {
    let is_part = |byte: char| byte.is_ascii_alphanumeric() || matches!(byte, '_' | '@');
    text.split(move |byte| !is_part(byte)).filter(|word| !word.is_empty())
}
