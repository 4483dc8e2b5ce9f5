//! Searches in text, eight bytes at a time: the fuel of a run counts instructions, and most of a large event is text.

const LANES: usize = 8;

/// The first of the braces, brackets and quotes from `from` on; the end of the text where there is none.
pub(crate) fn structure(bytes: &[u8], from: usize) -> usize {
    // With this bit set brackets are braces.
    let lower = |word: u64| word | each(0x20);
    find(bytes, from, |word| {
        zeros(lower(word) ^ each(b'{')) | zeros(lower(word) ^ each(b'}')) | zeros(word ^ each(b'"'))
    })
}

/// The first quote or backslash from `from` on; the end of the text where there is none.
pub(crate) fn string_stop(bytes: &[u8], from: usize) -> usize {
    find(bytes, from, |word| zeros(word ^ each(b'"')) | zeros(word ^ each(b'\\')))
}

/// Whether there is an `@` or a `+`.
pub(crate) fn has_sign(bytes: &[u8]) -> bool {
    find(bytes, 0, |word| zeros(word ^ each(b'@')) | zeros(word ^ each(b'+'))) < bytes.len()
}

/// The first byte that `hits` marks with its highest bit.
fn find(bytes: &[u8], from: usize, hits: impl Fn(u64) -> u64) -> usize {
    let mut at = from;
    while let Some(lanes) = bytes.get(at..).and_then(<[u8]>::first_chunk::<LANES>) {
        let hit = hits(u64::from_le_bytes(*lanes));
        if hit != 0 {
            return at + lane(hit);
        }
        at += LANES;
    }
    let rest = bytes.get(at..).unwrap_or_default();
    let mut lanes = [0; LANES];
    lanes[..rest.len()].copy_from_slice(rest);
    match hits(u64::from_le_bytes(lanes)) {
        0 => bytes.len(),
        hit => at + lane(hit),
    }
}

/// Marks bytes that are zero: the first of them for sure, and only those up to it are to be relied on.
const fn zeros(word: u64) -> u64 {
    word.wrapping_sub(each(0x01)) & !word & each(0x80)
}

const fn each(byte: u8) -> u64 {
    u64::from_le_bytes([byte; LANES])
}

const fn lane(hit: u64) -> usize {
    (hit.trailing_zeros() / u8::BITS) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn finds_what_a_plain_search_finds(text in "[a@+\"\\\\{}\\[\\]é\u{2}\u{0}ÿ\u{7f}:;|]{0,40}", from in 0_usize..45) {
            let bytes = text.as_bytes();
            let plain = |wanted: &[u8]| {
                let found = bytes.iter().enumerate().skip(from).find(|(_, byte)| wanted.contains(byte));
                found.map_or(bytes.len(), |(at, _)| at)
            };
            prop_assert_eq!(structure(bytes, from), plain(b"{}[]\""));
            prop_assert_eq!(string_stop(bytes, from), plain(b"\"\\"));
            prop_assert_eq!(has_sign(bytes), text.contains(['@', '+']));
        }
    }
}
