//! JSON without the blanks that mean nothing.

/// Hands over the pieces of a text that is JSON, without the blanks between its values. All else stays as written.
///
/// # Errors
/// What `write` says; nothing is handed over after that.
pub fn write_compact<E>(json: &str, mut write: impl FnMut(&str) -> Result<(), E>) -> Result<(), E> {
    let bytes = json.as_bytes();
    let (mut start, mut at, mut in_string) = (0, 0, false);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => in_string = !in_string,
            // Whatever is escaped ends no string.
            b'\\' => at += 1,
            b' ' | b'\n' | b'\r' | b'\t' if !in_string => {
                if start < at {
                    write(&json[start..at])?;
                }
                start = at + 1;
            }
            _ => {}
        }
        at += 1;
    }
    if start < json.len() { write(&json[start..]) } else { Ok(()) }
}
