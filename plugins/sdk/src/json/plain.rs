//! Which bytes of a JSON string stand for themselves: all but quotes, backslashes and control characters (RFC 8259, 7).
//!
//! Most texts are nothing but such bytes, so they are looked at 16 at a time. WebAssembly has instructions for that
//! (`simd128`), which the router's engine runs; they are asked for by the function, not by a flag, because a plugin
//! built elsewhere has none of our flags.

/// Bytes that are looked at together.
const BLOCK_BYTES: usize = 16;

/// How many bytes come before the first that doesn't stand for itself; all where there is none.
#[cfg_attr(target_arch = "wasm32", target_feature(enable = "simd128"))]
pub(crate) fn plain_bytes(bytes: &[u8]) -> usize {
    let (blocks, rest) = bytes.as_chunks();
    let mut plain = 0;
    for block in blocks {
        if let Some(place) = first_special(block) {
            return plain + place;
        }
        plain += BLOCK_BYTES;
    }
    plain + rest.iter().position(|byte| is_special(*byte)).unwrap_or(rest.len())
}

/// Whether all of a text stands for itself, so that it needs nothing but quotes to be a JSON string.
#[cfg_attr(target_arch = "wasm32", target_feature(enable = "simd128"))]
pub(crate) fn is_plain(bytes: &[u8]) -> bool {
    if let Some(last) = bytes.last_chunk() {
        let blocks = bytes.as_chunks().0;
        return first_special(last).is_none() && blocks.iter().all(|block| first_special(block).is_none());
    }
    // Names of fields are often between 8 and 16 bytes: their two ends, which overlap, are one block.
    if let (Some(first), Some(last)) = (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        let mut block = [0; BLOCK_BYTES];
        block[..8].copy_from_slice(first);
        block[8..].copy_from_slice(last);
        return first_special(&block).is_none();
    }
    !bytes.iter().any(|byte| is_special(*byte))
}

fn is_special(byte: u8) -> bool {
    byte < b' ' || byte == b'"' || byte == b'\\'
}

/// Where the first byte is that doesn't stand for itself.
#[cfg(target_arch = "wasm32")]
#[target_feature(enable = "simd128")]
fn first_special(block: &[u8; BLOCK_BYTES]) -> Option<usize> {
    use std::arch::wasm32::{u8x16_bitmask, u8x16_eq, u8x16_lt, u8x16_splat, u64x2, v128_or};

    let block = u128::from_le_bytes(*block);
    let block = u64x2(block as u64, (block >> 64) as u64);
    let control = u8x16_lt(block, u8x16_splat(b' '));
    let quote = u8x16_eq(block, u8x16_splat(b'"'));
    let backslash = u8x16_eq(block, u8x16_splat(b'\\'));
    let special = u8x16_bitmask(v128_or(control, v128_or(quote, backslash)));
    (special != 0).then(|| special.trailing_zeros() as usize)
}

/// The same where plugins are tested, with the 16 bytes as one number.
///
/// Taking 1 from a byte borrows from its highest bit, unless that was set, where the byte is 0. Borrows run on into later
/// bytes, so bits after the first that is found say nothing.
#[cfg(not(target_arch = "wasm32"))]
fn first_special(block: &[u8; BLOCK_BYTES]) -> Option<usize> {
    const ONES: u128 = u128::from_ne_bytes([1; BLOCK_BYTES]);
    const HIGHEST_BITS: u128 = ONES << 7;
    let is_below = |block: u128, bound: u8| block.wrapping_sub(ONES * u128::from(bound)) & !block;
    let is_byte = |block: u128, byte: u8| is_below(block ^ (ONES * u128::from(byte)), 1);

    let block = u128::from_le_bytes(*block);
    let special = is_below(block, b' ') | is_byte(block, b'"') | is_byte(block, b'\\');
    let special = special & HIGHEST_BITS;
    (special != 0).then(|| special.trailing_zeros() as usize / 8)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_first_special_byte_is_found(
            bytes in proptest::collection::vec(prop_oneof![19 => b'#'..=b'[', 1 => any::<u8>()], 0..70),
        ) {
            let plain = bytes.iter().take_while(|byte| !is_special(**byte)).count();
            prop_assert_eq!(plain_bytes(&bytes), plain);
            prop_assert_eq!(is_plain(&bytes), plain == bytes.len());
        }

        #[test]
        fn what_is_plain_is_what_serde_json_leaves_alone(text: String) {
            let written = serde_json::to_string(&text).unwrap();
            prop_assert_eq!(is_plain(text.as_bytes()), written == format!("\"{text}\""));
        }
    }
}
