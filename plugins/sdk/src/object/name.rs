//! Names of fields, compared.

/// Bytes that are compared together.
const WORD_BYTES: usize = 8;

/// Whether two names are the same, which is what `==` says too. On WebAssembly that compares byte by byte, and an
/// object compares names all the time.
pub(super) fn is_same(left: &str, right: &str) -> bool {
    let (left, right) = (left.as_bytes(), right.as_bytes());
    if left.len() != right.len() {
        return false;
    }
    match (left.last_chunk(), right.last_chunk()) {
        // The last words overlap with those before them, which spares a loop over what is left.
        (Some(left_last), Some(right_last)) => {
            let mut words = left.as_chunks().0.iter().zip(right.as_chunks().0);
            word(left_last) == word(right_last) && words.all(|(left, right)| word(left) == word(right))
        }
        _ => left.iter().zip(right).all(|(left, right)| left == right),
    }
}

fn word(bytes: &[u8; WORD_BYTES]) -> u64 {
    u64::from_ne_bytes(*bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn names_are_compared_as_texts_are(left in "[ab\u{e9}]{0,20}", right in "[ab\u{e9}]{0,20}", at in 0_usize..40) {
            prop_assert_eq!(is_same(&left, &right), left == right);
            prop_assert!(is_same(&left, &left.clone()));
            // Most pairs differ in length; these two differ in one byte, if at all.
            let changed: String =
                left.chars().enumerate().map(|(index, sign)| if index == at { 'b' } else { sign }).collect();
            prop_assert_eq!(is_same(&left, &changed), left == changed);
        }
    }
}
