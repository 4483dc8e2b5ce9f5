//! Differences between two JSON values, by place.

use serde_json::{Number, Value};

/// Differences that [`json_diff`] lists. So many mean that there may be more.
pub const DIFFERENCES_MAX: usize = 1000;
/// Bytes of all pointers that [`json_diff`] lists, but for the last one. What is over is left out.
pub const DIFF_POINTER_BYTES_MAX: usize = 1 << 20;

/// One place at which two JSON values differ.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// Where, as a JSON pointer (RFC 6901); empty for the values as a whole.
    pub pointer: String,
    /// What is there in the first; none if nothing is.
    pub before: Option<Value>,
    /// What is there in the second; none if nothing is.
    pub after: Option<Value>,
}

/// Lists where two values differ: objects key by key, in the order of the first and then of the second, lists index by
/// index. Numbers are compared by what they are worth, so `1` and `1.0` are equal. The values listed are disjoint parts
/// of the two, hence together no larger than these.
///
/// At most [`DIFFERENCES_MAX`] are listed.
#[must_use]
pub fn json_diff(before: &Value, after: &Value) -> Vec<Difference> {
    let mut walk = Walk { pointer: String::new(), pointer_bytes: 0, found: Vec::new() };
    walk.compare(before, after);
    walk.found
}

/// The pointer of what stands at `key` in what `pointer` points at.
pub(super) fn pointer_to(pointer: &str, key: &str) -> String {
    let mut below = pointer.to_owned();
    push_token(&mut below, key);
    below
}

fn push_token(pointer: &mut String, key: &str) {
    pointer.push('/');
    for character in key.chars() {
        match character {
            '~' => pointer.push_str("~0"),
            '/' => pointer.push_str("~1"),
            plain => pointer.push(plain),
        }
    }
}

struct Walk {
    pointer: String,
    pointer_bytes: usize,
    found: Vec<Difference>,
}

impl Walk {
    fn compare(&mut self, before: &Value, after: &Value) {
        match (before, after) {
            (Value::Object(before), Value::Object(after)) => {
                for (key, value) in before {
                    self.below(key, Some(value), after.get(key));
                }
                for (key, value) in after.iter().filter(|(key, _)| !before.contains_key(*key)) {
                    self.below(key, None, Some(value));
                }
            }
            (Value::Array(before), Value::Array(after)) => {
                for index in 0..before.len().max(after.len()) {
                    self.below(&index.to_string(), before.get(index), after.get(index));
                }
            }
            (Value::Number(one), Value::Number(other)) if worth_the_same(one, other) => {}
            _ if before == after => {}
            _ => self.note(Some(before), Some(after)),
        }
    }

    /// Compares what stands at `key` of the present place, if there is room for more differences.
    fn below(&mut self, key: &str, before: Option<&Value>, after: Option<&Value>) {
        if self.found.len() == DIFFERENCES_MAX || self.pointer_bytes > DIFF_POINTER_BYTES_MAX {
            return;
        }
        let place = self.pointer.len();
        push_token(&mut self.pointer, key);
        match (before, after) {
            (Some(before), Some(after)) => self.compare(before, after),
            (before, after) => self.note(before, after),
        }
        self.pointer.truncate(place);
    }

    fn note(&mut self, before: Option<&Value>, after: Option<&Value>) {
        self.pointer_bytes += self.pointer.len();
        self.found.push(Difference {
            pointer: self.pointer.clone(),
            before: before.cloned(),
            after: after.cloned(),
        });
    }
}

/// Whether two numbers are equal, however each is written.
fn worth_the_same(one: &Number, other: &Number) -> bool {
    match (whole(one), whole(other)) {
        (Some(one), Some(other)) => one == other,
        (None, None) => one.as_f64() == other.as_f64(),
        (Some(_), None) | (None, Some(_)) => false,
    }
}

/// The number if it is whole and in the range of 64-bit integers, where `serde_json` has two ways to hold it.
fn whole(number: &Number) -> Option<i128> {
    const RANGE: std::ops::Range<f64> = -9_223_372_036_854_775_808.0..18_446_744_073_709_551_616.0;
    if let Some(integer) = number.as_i128() {
        return Some(integer);
    }
    let float = number.as_f64()?;
    #[expect(clippy::cast_possible_truncation, reason = "it is whole and in range")]
    let whole = (float.fract() == 0.0 && RANGE.contains(&float)).then_some(float as i128);
    whole
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::tests::any_json;
    use super::*;

    /// Writes the differences into the first value: the second must come out.
    fn apply(value: &mut Value, differences: &[Difference]) {
        // From the last to the first, so that an index stays right while items behind it are taken away.
        let (gone, rest): (Vec<_>, Vec<_>) = differences.iter().partition(|found| found.after.is_none());
        for found in gone.into_iter().rev() {
            let (parent, key) = found.pointer.rsplit_once('/').unwrap();
            match value.pointer_mut(parent).unwrap() {
                Value::Object(entries) => {
                    entries.remove(&key.replace("~1", "/").replace("~0", "~")).unwrap();
                }
                Value::Array(items) => {
                    items.remove(key.parse().unwrap());
                }
                other => panic!("{other} has nothing below it"),
            }
        }
        for found in rest {
            let after = found.after.clone().unwrap();
            if let Some(place) = value.pointer_mut(&found.pointer) {
                assert!(found.before.is_some(), "{found:?}");
                *place = after;
                continue;
            }
            let (parent, key) = found.pointer.rsplit_once('/').unwrap();
            match value.pointer_mut(parent).unwrap() {
                Value::Object(entries) => {
                    entries.insert(key.replace("~1", "/").replace("~0", "~"), after);
                }
                Value::Array(items) => {
                    assert_eq!(items.len(), key.parse::<usize>().unwrap());
                    items.push(after);
                }
                other => panic!("{other} has nothing below it"),
            }
        }
    }

    proptest! {
        #[test]
        fn a_value_does_not_differ_from_itself(value in any_json()) {
            prop_assert_eq!(json_diff(&value, &value), []);
        }

        #[test]
        fn the_differences_turn_one_into_the_other(before in any_json(), after in any_json()) {
            let mut value = before.clone();
            apply(&mut value, &json_diff(&before, &after));
            prop_assert_eq!(json_diff(&value, &after), []);
        }

        #[test]
        fn both_ways_differ_at_the_same_places(before in any_json(), after in any_json()) {
            let places = |one: &Value, other: &Value| {
                let mut places: Vec<_> = json_diff(one, other).into_iter().map(|found| found.pointer).collect();
                places.sort();
                places
            };
            prop_assert_eq!(places(&before, &after), places(&after, &before));
        }
    }

    #[test]
    fn names_the_places() {
        let check = |before: Value, after: Value, expect: &[(&str, Option<Value>, Option<Value>)]| {
            let found = json_diff(&before, &after);
            let found: Vec<_> = found
                .iter()
                .map(|one| (one.pointer.as_str(), one.before.clone(), one.after.clone()))
                .collect();
            assert_eq!(found, expect);
        };
        check(json!({"a": 1}), json!({"a": 1.0}), &[]);
        check(
            json!(9_007_199_254_740_993_u64),
            json!(9_007_199_254_740_992.0),
            &[("", Some(json!(9_007_199_254_740_993_u64)), Some(json!(9_007_199_254_740_992.0)))],
        );
        check(json!({"b": 1, "a": 2}), json!({"a": 2, "b": 1}), &[]);
        check(json!({"a/b~": [1, 2]}), json!({"a/b~": [1]}), &[("/a~1b~0/1", Some(json!(2)), None)]);
        check(json!({}), json!({"a": null}), &[("/a", None, Some(json!(null)))]);
        check(json!([]), json!({}), &[("", Some(json!([])), Some(json!({})))]);
    }

    #[test]
    fn lists_no_more_than_there_is_room_for() {
        let list = json!(vec![1; 5000]);
        assert_eq!(json_diff(&list, &json!([])).len(), DIFFERENCES_MAX);
        let key = "k".repeat(DIFF_POINTER_BYTES_MAX / 2);
        let found = json_diff(&json!({ key.as_str(): vec![1; 10] }), &json!({ key.as_str(): vec![2; 10] }));
        assert_eq!(found.len(), 2, "the second goes over");
    }
}
