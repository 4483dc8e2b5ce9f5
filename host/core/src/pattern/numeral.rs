//! JSON numbers as values: 300, 300.0 and 3.0e2 are one, and no two different numbers are.

use std::cmp::Ordering;

use serde_json::Number;

/// A number that compares exactly, whether it was written as an integer of 64 bits or with a fraction.
///
/// It is `whole + rest`. Up to 2^126 `whole` is the integral part and `rest` the fraction, with the number's sign;
/// larger ones saturate `whole` and are told apart by `rest`, which is then the number itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Numeral {
    whole: i128,
    rest: f64,
}

const GIANT: f64 = (1u128 << 126) as f64;

impl Numeral {
    /// Reads a number; all that `serde_json` holds is finite.
    pub(super) fn new(number: &Number) -> Self {
        if let Some(whole) = number.as_i128() {
            return Self { whole, rest: 0.0 };
        }
        let float = number.as_f64().expect("serde_json keeps 64-bit integers and finite floats only");
        Self::from_float(float)
    }

    fn from_float(float: f64) -> Self {
        if float >= GIANT {
            Self { whole: i128::MAX, rest: float }
        } else if float <= -GIANT {
            Self { whole: i128::MIN, rest: float }
        } else {
            // Exact: below 2^126 the integral part fits, and a float's fraction is itself a float. Adding zero
            // turns -0.0 into 0.0.
            Self { whole: float.trunc() as i128, rest: float.fract() + 0.0 }
        }
    }
}

impl Ord for Numeral {
    fn cmp(&self, other: &Self) -> Ordering {
        self.whole.cmp(&other.whole).then_with(|| self.rest.total_cmp(&other.rest))
    }
}

impl PartialOrd for Numeral {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Numeral {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Numeral {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn numeral(text: &str) -> Numeral {
        Numeral::new(&serde_json::from_str(text).unwrap())
    }

    #[test]
    fn numbers_compare_by_value() {
        let check = |left: &str, expect: Ordering, right: &str| {
            assert_eq!(numeral(left).cmp(&numeral(right)), expect, "{left} {right}");
            assert_eq!(numeral(right).cmp(&numeral(left)), expect.reverse(), "{right} {left}");
        };
        check("300", Ordering::Equal, "300.0");
        check("300", Ordering::Equal, "3.0e2");
        check("0", Ordering::Equal, "-0.0");
        check("-1.5", Ordering::Less, "-1");
        check("-1", Ordering::Less, "-0.5");
        check("-5e-324", Ordering::Less, "0");
        check("-5e-324", Ordering::Greater, "-1e-323");
        check("0.1", Ordering::Less, "0.2");
        // 2^53 + 1 has no double of its own: a comparison through doubles would call these equal.
        check("9007199254740993", Ordering::Greater, "9007199254740992.0");
        check("18446744073709551615", Ordering::Less, "18446744073709551616.0");
        check("-9223372036854775808", Ordering::Equal, "-9223372036854775808.0");
        check("1e300", Ordering::Less, "2e300");
        check("-2e300", Ordering::Less, "-1e300");
        check("-1e300", Ordering::Less, "-9223372036854775808");
        check("85070591730234615865843651857942052864", Ordering::Equal, "8.507059173023462e37");
    }

    proptest! {
        #[test]
        fn floats_keep_their_order(left in proptest::num::f64::NORMAL | proptest::num::f64::SUBNORMAL, right: i64) {
            let expect = left.partial_cmp(&0.0).unwrap();
            prop_assert_eq!(Numeral::from_float(left).cmp(&numeral("0")), expect);
            let small = (right % (1 << 50)) as f64 / 1024.0;
            prop_assert_eq!(Numeral::from_float(left).cmp(&Numeral::from_float(small)), left.total_cmp(&(small + 0.0)));
        }

        #[test]
        fn integers_keep_their_order(left: i64, right: u64) {
            let expect = i128::from(left).cmp(&i128::from(right));
            prop_assert_eq!(Numeral::new(&left.into()).cmp(&Numeral::new(&right.into())), expect);
        }
    }
}
