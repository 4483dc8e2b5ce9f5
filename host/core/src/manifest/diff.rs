//! Differences between two JSON values, by place.

use std::borrow::Cow;
use std::collections::HashSet;

use crate::json::{Kind, Node};

/// Differences that [`json_diff`] lists. So many mean that there may be more.
pub const DIFFERENCES_MAX: usize = 1000;
/// Bytes of all pointers that [`json_diff`] lists, but for the last one. What is over is left out.
pub const DIFF_POINTER_BYTES_MAX: usize = 1 << 20;
/// Levels of arrays and objects that are looked into; what is below is compared as it is written.
const DEPTH_MAX: usize = 160;

/// One place at which two JSON values differ.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// Where, as a JSON pointer (RFC 6901); empty for the values as a whole.
    pub pointer: String,
    /// What is there in the first, as compact JSON with numbers as they are written; none if nothing is.
    pub before: Option<Box<str>>,
    /// What is there in the second, likewise; none if nothing is.
    pub after: Option<Box<str>>,
}

/// Lists where two values differ: objects key by key, in the order of the first and then of the second, lists index by
/// index. Numbers are compared by what they are worth, all digits of them, so `1` and `1.0` are equal. The values listed are disjoint parts
/// of the two, hence together no larger than these.
///
/// At most [`DIFFERENCES_MAX`] are listed.
#[must_use]
pub fn json_diff(before: Node<'_>, after: Node<'_>) -> Vec<Difference> {
    let mut walk = Walk { pointer: String::new(), pointer_bytes: 0, depth: 0, found: Vec::new() };
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
    depth: usize,
    found: Vec<Difference>,
}

impl Walk {
    fn compare(&mut self, before: Node<'_>, after: Node<'_>) {
        match (before.kind(), after.kind()) {
            (Kind::Object, Kind::Object) if self.depth < DEPTH_MAX => {
                let known = names(before);
                for name in &known {
                    self.below(name, before.get(name), after.get(name));
                }
                for name in names(after).iter().filter(|name| before.get(name).is_none()) {
                    self.below(name, None, after.get(name));
                }
            }
            (Kind::Array, Kind::Array) if self.depth < DEPTH_MAX => {
                let (mut before, mut after) = (before.elements(), after.elements());
                for index in 0.. {
                    let (one, other) = (before.next(), after.next());
                    if one.is_none() && other.is_none() {
                        break;
                    }
                    self.below(&index.to_string(), one, other);
                }
            }
            (one, other) if one.is_string() && other.is_string() && before.text() == after.text() => {}
            (Kind::Number, Kind::Number) if before.decimal() == after.decimal() => {}
            (one, other) if one == other && before.compact() == after.compact() => {}
            _ => self.note(Some(before), Some(after)),
        }
    }

    /// Compares what stands at `key` of the present place, if there is room for more differences.
    fn below(&mut self, key: &str, before: Option<Node<'_>>, after: Option<Node<'_>>) {
        if self.found.len() == DIFFERENCES_MAX || self.pointer_bytes > DIFF_POINTER_BYTES_MAX {
            return;
        }
        let place = self.pointer.len();
        push_token(&mut self.pointer, key);
        self.depth += 1;
        match (before, after) {
            (Some(before), Some(after)) => self.compare(before, after),
            (before, after) => self.note(before, after),
        }
        self.depth -= 1;
        self.pointer.truncate(place);
    }

    fn note(&mut self, before: Option<Node<'_>>, after: Option<Node<'_>>) {
        self.pointer_bytes += self.pointer.len();
        self.found.push(Difference {
            pointer: self.pointer.clone(),
            before: before.map(|node| node.compact().into()),
            after: after.map(|node| node.compact().into()),
        });
    }
}

/// The names of an object's members, each once.
fn names(object: Node<'_>) -> Vec<Cow<'_, str>> {
    let mut seen = HashSet::new();
    let names = object.members().filter_map(|(name, _)| name.text());
    names.filter(|name| seen.insert(name.clone())).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::super::tests::any_json;
    use super::*;
    use crate::json::Document;

    fn diff(before: &Value, after: &Value) -> Vec<Difference> {
        let [before, after] = [before, after].map(|value| Document::parse(value.to_string()).unwrap());
        json_diff(before.root(), after.root())
    }

    fn value(json: &str) -> Value {
        serde_json::from_str(json).unwrap()
    }

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
            let after = self::value(found.after.as_deref().unwrap());
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
            prop_assert_eq!(diff(&value, &value), []);
        }

        #[test]
        fn the_differences_turn_one_into_the_other(before in any_json(), after in any_json()) {
            let mut value = before.clone();
            apply(&mut value, &diff(&before, &after));
            prop_assert_eq!(diff(&value, &after), []);
        }

        #[test]
        fn both_ways_differ_at_the_same_places(before in any_json(), after in any_json()) {
            let places = |one: &Value, other: &Value| {
                let mut places: Vec<_> = diff(one, other).into_iter().map(|found| found.pointer).collect();
                places.sort();
                places
            };
            prop_assert_eq!(places(&before, &after), places(&after, &before));
        }
    }

    #[test]
    fn names_the_places() {
        let check = |before: Value, after: Value, expect: &[(&str, Option<Value>, Option<Value>)]| {
            let found = diff(&before, &after);
            let found: Vec<_> = found
                .iter()
                .map(|one| {
                    (one.pointer.as_str(), one.before.as_deref().map(value), one.after.as_deref().map(value))
                })
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
    fn numbers_differ_by_any_digit_and_are_shown_as_written() {
        let check = |before: &str, after: &str, expect: &[(&str, &str, &str)]| {
            let [before, after] = [before, after].map(|json| Document::parse(json.to_owned()).unwrap());
            let found = json_diff(before.root(), after.root());
            let text = |json: &Option<Box<str>>| json.as_deref().unwrap_or("nothing").to_owned();
            let found: Vec<_> =
                found.iter().map(|one| (one.pointer.clone(), text(&one.before), text(&one.after))).collect();
            let expect: Vec<_> = expect
                .iter()
                .map(|(pointer, before, after)| {
                    ((*pointer).to_owned(), (*before).to_owned(), (*after).to_owned())
                })
                .collect();
            assert_eq!(found, expect);
        };
        check(r#"{"a": 1.10}"#, r#"{"a": 1.1}"#, &[]);
        check(r#"{"a": 1.10}"#, r#"{"a": 1.20}"#, &[("/a", "1.10", "1.20")]);
        let (one, other) = ("1000000000000000000000", "1000000000000000000001");
        check(one, other, &[("", one, other)]);
        check(r#"["\u0041", {"a": 1, "a": 2}]"#, r#"["A", {"a": 2}]"#, &[]);
        let deep = |inner: &str| format!("{}{inner}{}", "[".repeat(100_000), "]".repeat(100_000));
        check(&deep("1"), &deep("1"), &[]);
    }

    #[test]
    fn lists_no_more_than_there_is_room_for() {
        let list = json!(vec![1; 5000]);
        assert_eq!(diff(&list, &json!([])).len(), DIFFERENCES_MAX);
        let key = "k".repeat(DIFF_POINTER_BYTES_MAX / 2);
        let found = diff(&json!({ key.as_str(): vec![1; 10] }), &json!({ key.as_str(): vec![2; 10] }));
        assert_eq!(found.len(), 2, "the second goes over");
    }
}
