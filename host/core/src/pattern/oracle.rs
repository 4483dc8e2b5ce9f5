//! A second matcher, slow and written another way, that property tests hold the real one against.
//!
//! It works as Event Ruler describes itself: an event becomes a flat list of fields, each with the arrays it lies in
//! and its element of each; a pattern becomes alternatives, each a list of paths; and every choice of fields is
//! tried that agrees on the elements. `exists: false` is judged last, when all elements are chosen.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::EventPattern;

type Path = Vec<String>;
/// Which element of which array, by the array's number.
type Membership = Vec<(usize, usize)>;

struct Field<'event> {
    path: Path,
    value: &'event Value,
    membership: Membership,
}

#[derive(Default)]
struct Flattening<'event> {
    fields: Vec<Field<'event>>,
    path: Path,
    membership: Membership,
    arrays: usize,
}

impl<'event> Flattening<'event> {
    fn add(&mut self, value: &'event Value) {
        match value {
            Value::Object(fields) => {
                for (name, below) in fields {
                    self.path.push(name.clone());
                    self.add(below);
                    self.path.pop();
                }
            }
            Value::Array(elements) => {
                let array = self.arrays;
                self.arrays += 1;
                for (index, element) in elements.iter().enumerate() {
                    let chooses = element.is_object() || element.is_array();
                    self.membership.extend(chooses.then_some((array, index)));
                    self.add(element);
                    self.membership.truncate(self.membership.len() - usize::from(chooses));
                }
            }
            value => {
                let (path, membership) = (self.path.clone(), self.membership.clone());
                self.fields.push(Field { path, value, membership });
            }
        }
    }
}

/// The alternatives of a pattern, each a list of paths and the values wanted there.
fn alternatives<'pattern>(object: &'pattern Value, path: &Path) -> Vec<Vec<(Path, &'pattern [Value])>> {
    let mut all = vec![Vec::new()];
    for (name, value) in object.as_object().unwrap() {
        let below = [path.as_slice(), std::slice::from_ref(name)].concat();
        let ways = match value {
            Value::Array(objects) if name == "$or" => {
                objects.iter().flat_map(|object| alternatives(object, path)).collect()
            }
            Value::Array(wanted) => vec![vec![(below, wanted.as_slice())]],
            object => alternatives(object, &below),
        };
        all =
            all.iter().flat_map(|left| ways.iter().map(|right| [left.as_slice(), right].concat())).collect();
    }
    all
}

fn agree(left: &Membership, right: &Membership) -> bool {
    left.iter().all(|(array, index)| right.iter().all(|(other, element)| array != other || index == element))
}

fn any_choice(
    leaves: &[(Path, &[Value])],
    fields: &[Field<'_>],
    chosen: &Membership,
    absent: &[&Path],
) -> bool {
    let Some(((path, wanted), rest)) = leaves.split_first() else {
        return absent.iter().all(|path| {
            !fields.iter().any(|field| field.path == **path && agree(&field.membership, chosen))
        });
    };
    let accepts = |value: &Value| wanted.iter().any(|test| test == value || *test == json!({"exists": true}));
    let met = fields.iter().any(|field| {
        field.path == *path
            && accepts(field.value)
            && agree(&field.membership, chosen)
            && any_choice(rest, fields, &[chosen.as_slice(), &field.membership].concat(), absent)
    });
    met || wanted.contains(&json!({"exists": false}))
        && any_choice(rest, fields, chosen, &[absent, &[path]].concat())
}

fn matches_slowly(pattern: &Value, event: &Value) -> bool {
    let mut flattening = Flattening::default();
    flattening.add(event);
    alternatives(pattern, &Path::new())
        .iter()
        .any(|leaves| any_choice(leaves, &flattening.fields, &Membership::new(), &[]))
}

fn any_wanted() -> impl Strategy<Value = Value> {
    let test = prop_oneof![
        3 => (0..3u8).prop_map(Value::from),
        1 => Just(json!({"exists": true})),
        1 => Just(json!({"exists": false})),
    ];
    proptest::collection::vec(test, 1..3).prop_map(Value::from)
}

fn any_pattern() -> impl Strategy<Value = Value> {
    let object = |field: BoxedStrategy<Value>| {
        proptest::collection::btree_map("[abc]", field, 1..4)
            .prop_map(|fields| Value::Object(fields.into_iter().collect()))
    };
    object(any_wanted().boxed()).prop_recursive(3, 16, 4, move |inner| {
        let field = prop_oneof![any_wanted(), inner.clone()].boxed();
        let or = proptest::option::weighted(0.3, proptest::collection::vec(inner, 2..4));
        (object(field), or).prop_map(|(mut fields, or)| {
            if let (Some(ways), Some(fields)) = (or, fields.as_object_mut()) {
                fields.insert("$or".to_owned(), Value::from(ways));
            }
            fields
        })
    })
}

fn any_event() -> impl Strategy<Value = Value> {
    let object = |field: BoxedStrategy<Value>| {
        proptest::collection::btree_map("[abc]", field, 0..4)
            .prop_map(|fields| Value::Object(fields.into_iter().collect()))
    };
    let scalar = (0..3u8).prop_map(Value::from);
    let any = scalar.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![1 => proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from), 2 => object(inner.boxed())]
    });
    object(any.boxed())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn both_matchers_agree(pattern in any_pattern(), event in any_event()) {
        // The only thing that these patterns may be refused for is a field named beside a `$or` and in it.
        match EventPattern::from_value(&pattern) {
            Ok(parsed) => {
                prop_assert_eq!(parsed.matches(&event.to_string()), matches_slowly(&pattern, &event), "{} on {}", pattern, event);
            }
            Err(error) => prop_assert_eq!(error.code(), "pattern_field_repeated"),
        }
    }
}
