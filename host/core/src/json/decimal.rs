//! JSON numbers as values: 300, 300.0 and 3.0e2 are one, and no two different numbers are.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

/// Exponents, once they count from the first digit. Numbers beyond differ from all others, and not from each other.
const EXPONENT_MAX: i64 = i64::MAX / 4;

/// A number by its digits: ± 0.d₁d₂d₃… × 10^exponent, where neither the first digit nor the last is zero. Zero has no
/// digits.
#[derive(Debug, Clone)]
pub struct Decimal<'t> {
    negative: bool,
    exponent: i64,
    /// Digits, and perhaps one full stop among them, which means nothing here.
    digits: Cow<'t, [u8]>,
}

impl<'t> Decimal<'t> {
    /// Reads a number that was read as JSON.
    pub(super) fn of_json(json: &'t str) -> Self {
        let (negative, unsigned) = match json.strip_prefix('-') {
            Some(unsigned) => (true, unsigned),
            None => (false, json),
        };
        let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
            Some(at) => (&unsigned[..at], read_exponent(&unsigned[at + 1..])),
            None => (unsigned, 0),
        };
        let point = mantissa.find('.').unwrap_or(mantissa.len());
        let is_digit = |byte: &u8| matches!(byte, b'1'..=b'9');
        let Some(first) = mantissa.bytes().position(|byte| is_digit(&byte)) else {
            return Self { negative: false, exponent: 0, digits: Cow::Borrowed(&[]) };
        };
        let last = mantissa.bytes().rposition(|byte| is_digit(&byte)).unwrap_or(first);
        // Digits before the point from the first that counts, or less than none where that comes after the point.
        let whole =
            i64::try_from(point).unwrap_or(EXPONENT_MAX) - i64::try_from(first).unwrap_or(EXPONENT_MAX);
        let whole = if first > point { whole + 1 } else { whole };
        Self {
            negative,
            exponent: exponent.saturating_add(whole).clamp(-EXPONENT_MAX, EXPONENT_MAX),
            digits: Cow::Borrowed(&mantissa.as_bytes()[first..=last]),
        }
    }

    /// The same number, with digits of its own.
    #[must_use]
    pub fn into_owned(self) -> Decimal<'static> {
        Decimal {
            negative: self.negative,
            exponent: self.exponent,
            digits: Cow::Owned(self.digits.into_owned()),
        }
    }

    /// Digits that a comparison has to look at, at most.
    #[must_use]
    pub fn length(&self) -> usize {
        self.digits.len()
    }

    fn digits(&self) -> impl Iterator<Item = u8> {
        self.digits.iter().copied().filter(u8::is_ascii_digit)
    }

    fn is_zero(&self) -> bool {
        self.digits.is_empty()
    }
}

/// What follows the `e`: bounded, so that the number's own digits can be added.
fn read_exponent(text: &str) -> i64 {
    let (negative, digits) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let size = digits.parse::<i64>().unwrap_or(EXPONENT_MAX).min(EXPONENT_MAX);
    if negative { -size } else { size }
}

impl Ord for Decimal<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let sign = |number: &Self| match (number.is_zero(), number.negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        };
        let by_size = || {
            let size = self.exponent.cmp(&other.exponent).then_with(|| self.digits().cmp(other.digits()));
            if self.negative { size.reverse() } else { size }
        };
        sign(self).cmp(&sign(other)).then_with(by_size)
    }
}

impl PartialOrd for Decimal<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Decimal<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Decimal<'_> {}

impl Hash for Decimal<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.negative.hash(state);
        self.exponent.hash(state);
        self.digits().for_each(|digit| state.write_u8(digit));
    }
}

#[cfg(test)]
mod tests {
    use std::hash::{BuildHasher, RandomState};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_compare_by_value() {
        let hasher = RandomState::new();
        let check = |left: &str, expect: Ordering, right: &str| {
            let (one, other) = (Decimal::of_json(left), Decimal::of_json(right));
            assert_eq!(one.cmp(&other), expect, "{left} {right}");
            assert_eq!(other.cmp(&one), expect.reverse(), "{right} {left}");
            if expect.is_eq() {
                assert_eq!(hasher.hash_one(&one), hasher.hash_one(&other), "{left} {right}");
            }
        };
        check("300", Ordering::Equal, "300.0");
        check("300", Ordering::Equal, "3.0e2");
        check("300", Ordering::Equal, "30000E-2");
        check("0.05", Ordering::Equal, "5e-2");
        check("0.05", Ordering::Equal, "0.5e-1");
        check("0", Ordering::Equal, "-0.0");
        check("0", Ordering::Equal, "0e999");
        check("1.10", Ordering::Equal, "1.1");
        check("-1.5", Ordering::Less, "-1");
        check("-1", Ordering::Less, "-0.5");
        check("-5e-324", Ordering::Less, "0");
        check("-5e-324", Ordering::Greater, "-1e-323");
        check("0.1", Ordering::Less, "0.2");
        check("9", Ordering::Less, "10");
        check("0.09", Ordering::Less, "0.1");
        check("123", Ordering::Less, "123.0000000000000000000000000000000000001");
        // What no double and no integer of 64 or 128 bits tells apart.
        check("9007199254740993", Ordering::Greater, "9007199254740992.0");
        check("18446744073709551615", Ordering::Less, "18446744073709551616.0");
        check("1000000000000000000000000000000000000001", Ordering::Greater, "1e39");
        check("0.1", Ordering::Less, "0.1000000000000000055511151231257827021181583404541015625");
        check("1e400", Ordering::Less, "1.0000001e400");
        check("-2e300", Ordering::Less, "-1e300");
        check("1e-99999999999999999999", Ordering::Greater, "0");
        check("1e99999999999999999999", Ordering::Greater, "1e400");
    }

    proptest! {
        #[test]
        fn integers_keep_their_order(left: i128, right: i128, zeros in 0..9_usize) {
            let (one, other) = (left.to_string(), format!("{right}.{}e-0", "0".repeat(zeros + 1)));
            prop_assert_eq!(Decimal::of_json(&one).cmp(&Decimal::of_json(&other)), left.cmp(&right));
        }

        #[test]
        fn fractions_keep_their_order(left in -1_000_000_i64..1_000_000, right in -1_000_000_i64..1_000_000, shift in 0..9_u32) {
            let (one, other) = (format!("{left}e-{shift}"), format!("{right}E-{shift}"));
            prop_assert_eq!(Decimal::of_json(&one).cmp(&Decimal::of_json(&other)), left.cmp(&right));
        }
    }
}
