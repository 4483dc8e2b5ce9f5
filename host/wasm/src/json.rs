//! JSON by its text: reading one node of a document, and patching one, without turning the rest into values.
//!
//! Both hand values on as they were written, so numbers keep their digits and objects their order. Where an object
//! names a member twice the last one counts, as for the filters on events.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

use bytes::Bytes;
use hookmill_core::json::{Document, Kind, Node};
use thiserror::Error;

use crate::limits::JSON_DEPTH_MAX;

/// What keeps a document from being read or patched; for the plugin's author.
#[derive(Debug, PartialEq, Eq, Error)]
pub(crate) enum JsonError {
    #[error("the {what} is not JSON: {error}")]
    NotJson { what: &'static str, error: String },
    #[error("a JSON pointer is empty or begins with `/`, and has `~` only as `~0` and `~1`")]
    Pointer,
    #[error("at most {JSON_DEPTH_MAX} levels deep")]
    TooDeep,
}

/// A document that is read when a part of it is first asked for.
pub(crate) struct LazyJson {
    what: &'static str,
    text: Bytes,
    document: Option<Result<Document, String>>,
}

/// What a look-up found, and how many bytes and members had to be read for it.
pub(crate) struct Found {
    pub(crate) text: Option<String>,
    pub(crate) bytes_read: usize,
}

impl LazyJson {
    /// A document that nothing was read of; `what` names it in errors.
    pub(crate) fn new(what: &'static str, text: Bytes) -> Self {
        Self { what, text, document: None }
    }

    /// The text of the node that an RFC 6901 pointer leads to.
    pub(crate) fn find(&mut self, pointer: &str) -> Result<Found, JsonError> {
        let tokens = parse_pointer(pointer)?;
        // Reading finds where everything is, and costs about as much as looking at each byte twice.
        let mut bytes_read = if self.document.is_none() { 2 * self.text.len() } else { 0 };
        let text = &self.text;
        let read = || Document::parse(text.clone()).map_err(|error| error.to_string());
        let document = self.document.get_or_insert_with(read).as_ref();
        let document =
            document.map_err(|error| JsonError::NotJson { what: self.what, error: error.clone() })?;
        let mut node = document.root();
        for token in &tokens {
            let found = match node.kind() {
                Kind::Object => {
                    bytes_read += node.count();
                    node.get(token)
                }
                Kind::Array => {
                    let index = array_index(token);
                    bytes_read += index.unwrap_or(0).min(node.count());
                    index.and_then(|index| node.element(index))
                }
                _ => None,
            };
            match found {
                Some(child) => node = child,
                None => return Ok(Found { text: None, bytes_read }),
            }
        }
        let text = node.json().to_owned();
        bytes_read += text.len();
        Ok(Found { text: Some(text), bytes_read })
    }
}

/// The target, changed as an RFC 7396 merge patch says; `what` names the target in errors.
pub(crate) fn merge_patch(what: &'static str, target: &[u8], patch: &str) -> Result<String, JsonError> {
    let read = |what, text: &[u8]| {
        Document::parse(Bytes::copy_from_slice(text))
            .map_err(|error| JsonError::NotJson { what, error: error.to_string() })
    };
    let (target_document, patch_document) = (read(what, target)?, read("patch", patch.as_bytes())?);
    let mut merged = String::with_capacity(target.len() + patch.len());
    merge(Some(target_document.root()), patch_document.root(), JSON_DEPTH_MAX, &mut merged)?;
    Ok(merged)
}

fn merge(
    target: Option<Node<'_>>,
    patch: Node<'_>,
    depth: usize,
    merged: &mut String,
) -> Result<(), JsonError> {
    let Some(changes) = Object::of(patch) else {
        merged.push_str(patch.json());
        return Ok(());
    };
    let depth = depth.checked_sub(1).ok_or(JsonError::TooDeep)?;
    let kept = target.and_then(Object::of).unwrap_or_default();
    let mut first = true;
    merged.push('{');
    for (name, value) in &kept.members {
        match changes.get(*name) {
            Some(change) if change.kind() == Kind::Null => {}
            Some(change) => {
                begin_member(&mut first, *name, merged);
                merge(Some(*value), change, depth, merged)?;
            }
            None => {
                begin_member(&mut first, *name, merged);
                merged.push_str(value.json());
            }
        }
    }
    for (name, change) in &changes.members {
        if change.kind() != Kind::Null && kept.get(*name).is_none() {
            begin_member(&mut first, *name, merged);
            merge(None, *change, depth, merged)?;
        }
    }
    merged.push('}');
    Ok(())
}

fn begin_member(first: &mut bool, name: Node<'_>, merged: &mut String) {
    if !std::mem::take(first) {
        merged.push(',');
    }
    merged.push_str(name.json());
    merged.push(':');
}

/// The members of an object in order, each name once, with its last value.
#[derive(Default)]
struct Object<'d> {
    members: Vec<(Node<'d>, Node<'d>)>,
    places: HashMap<Cow<'d, str>, usize>,
}

impl<'d> Object<'d> {
    /// Nothing for values of other kinds.
    fn of(value: Node<'d>) -> Option<Self> {
        if value.kind() != Kind::Object {
            return None;
        }
        let mut object = Self { members: Vec::with_capacity(value.count()), places: HashMap::new() };
        for (name, value) in value.members() {
            match object.places.entry(name.text().unwrap_or_default()) {
                Entry::Occupied(place) => object.members[*place.get()].1 = value,
                Entry::Vacant(place) => {
                    place.insert(object.members.len());
                    object.members.push((name, value));
                }
            }
        }
        Some(object)
    }

    fn get(&self, name: Node<'_>) -> Option<Node<'d>> {
        self.places.get(&*name.text()?).map(|place| self.members[*place].1)
    }
}

fn parse_pointer(pointer: &str) -> Result<Vec<Cow<'_, str>>, JsonError> {
    if pointer.is_empty() {
        return Ok(Vec::new());
    }
    let tokens = pointer.strip_prefix('/').ok_or(JsonError::Pointer)?.split('/');
    let tokens = tokens.map(unescape).collect::<Result<Vec<_>, _>>()?;
    if tokens.len() > JSON_DEPTH_MAX { Err(JsonError::TooDeep) } else { Ok(tokens) }
}

fn unescape(token: &str) -> Result<Cow<'_, str>, JsonError> {
    if !token.contains('~') {
        return Ok(Cow::Borrowed(token));
    }
    let mut text = String::with_capacity(token.len());
    let mut characters = token.chars();
    while let Some(character) = characters.next() {
        match character {
            '~' => match characters.next() {
                Some('0') => text.push('~'),
                Some('1') => text.push('/'),
                _ => return Err(JsonError::Pointer),
            },
            other => text.push(other),
        }
    }
    Ok(Cow::Owned(text))
}

/// RFC 6901, section 4: digits without a leading zero. `-`, the element after the last, never exists.
fn array_index(token: &str) -> Option<usize> {
    let plain = token == "0" || !token.starts_with('0');
    let digits = token.bytes().all(|byte| byte.is_ascii_digit());
    (plain && digits).then(|| token.parse().ok())?
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    const DOCUMENT: &str = r#" {"id": 12345678901234567890123, "data": {"to": "+91", "a/b": 1.10, "m~n": [1, {"x": null}]},
        "caf\u00e9": true, "twice": 1, "twice": 2, "": {"": 0}} "#;

    #[test]
    fn finds_nodes_as_they_were_written() {
        let mut document = LazyJson::new("body", Bytes::from_static(DOCUMENT.as_bytes()));
        let mut check = |pointer: &str, expect: Option<&str>| {
            assert_eq!(document.find(pointer).unwrap().text.as_deref(), expect, "{pointer}");
        };
        check("/id", Some("12345678901234567890123"));
        check("/data/to", Some("\"+91\""));
        check("/data/a~1b", Some("1.10"));
        check("/data/m~0n/1", Some("{\"x\": null}"));
        check("/data/m~0n/1/x", Some("null"));
        check("/café", Some("true"));
        check("/twice", Some("2"));
        check("//", Some("0"));
        check("", Some(DOCUMENT.trim()));
        for nowhere in ["/data/m~0n/2", "/data/m~0n/01", "/data/m~0n/-", "/data/m~0n/+1", "/id/x", "/none/x"]
        {
            check(nowhere, None);
        }
    }

    #[test]
    fn reads_the_text_once() {
        let mut document = LazyJson::new("body", Bytes::from_static(b"{\"a\":{\"b\":1},\"c\":[2]}"));
        let mut read = |pointer: &str| document.find(pointer).unwrap().bytes_read;
        assert_eq!(read("/c"), 21 + 21 + 2 + 3);
        assert_eq!(read("/c"), 2 + 3);
        assert_eq!(read("/a/b"), 2 + 1 + 1);
        assert_eq!(read("/a/b"), 2 + 1 + 1);
    }

    #[test]
    fn reads_whatever_the_grammar_takes() {
        let check = |document: &str, pointer: &str, expect: &str| {
            let mut document = LazyJson::new("body", Bytes::from(document.to_owned()));
            assert_eq!(document.find(pointer).unwrap().text.as_deref(), Some(expect), "{pointer}");
        };
        // Half of a surrogate pair, in a name too.
        check(r#"{"\ud83d": 1, "kind": "x", "t": "cut \ud83d"}"#, "/kind", r#""x""#);
        check(r#"{"\ud83d": 1, "kind": "x", "t": "cut \ud83d"}"#, "/t", r#""cut \ud83d""#);
        let deep = format!(r#"{{"deep": {}{}, "kind": "x"}}"#, "[".repeat(100_000), "]".repeat(100_000));
        check(&deep, "/kind", r#""x""#);
        check("\u{feff}{\"n\": 1e999}", "/n", "1e999");
        let merged = merge_patch("body", br#"{"\ud83d": 1, "a": 2}"#, r#"{"a": "\ud83d"}"#).unwrap();
        assert_eq!(merged, r#"{"\ud83d":1,"a":"\ud83d"}"#);
    }

    #[test]
    fn refuses_bad_pointers_and_documents() {
        let find = |text: &'static [u8], pointer: &str| {
            LazyJson::new("body", Bytes::from_static(text)).find(pointer).err().map(|error| error.to_string())
        };
        for pointer in ["a", "/~", "/~2", "/a~"] {
            assert_eq!(find(b"{}", pointer), Some(JsonError::Pointer.to_string()), "{pointer}");
        }
        assert_eq!(find(b"{}", &"/a".repeat(JSON_DEPTH_MAX + 1)), Some(JsonError::TooDeep.to_string()));
        for document in [&b""[..], b"{", b"{} {}", b"nope", b"\"\xff\""] {
            assert!(find(document, "").unwrap().starts_with("the body is not JSON"), "{document:?}");
        }
    }

    #[test]
    fn patches_as_rfc_7396_says() {
        let check = |target: &str, patch: &str, expect: &str| {
            assert_eq!(merge_patch("body", target.as_bytes(), patch).unwrap(), expect, "{target} {patch}");
        };
        // RFC 7396, appendix A.
        check(r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#);
        check(r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#);
        check(r#"{"a":"b"}"#, r#"{"a":null}"#, "{}");
        check(r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#);
        check(r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#);
        check(r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#);
        check(r#"{"a":{"b":"c"}}"#, r#"{"a":{"b":"d","c":null}}"#, r#"{"a":{"b":"d"}}"#);
        check(r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#);
        check(r#"["a","b"]"#, r#"["c","d"]"#, r#"["c","d"]"#);
        check(r#"{"a":"b"}"#, r#"["c"]"#, r#"["c"]"#);
        check(r#"{"a":"foo"}"#, "null", "null");
        check(r#"{"a":"foo"}"#, r#""bar""#, r#""bar""#);
        check(r#"{"e":null}"#, r#"{"a":1}"#, r#"{"e":null,"a":1}"#);
        check("[1,2]", r#"{"a":"b","c":null}"#, r#"{"a":"b"}"#);
        check("{}", r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#);
        // What is not named keeps its text.
        check(
            r#"{"n":1.10,"big":12345678901234567890}"#,
            r#"{"x":1}"#,
            r#"{"n":1.10,"big":12345678901234567890,"x":1}"#,
        );
    }

    #[test]
    fn refuses_bad_patches() {
        let check = |target: &[u8], patch: &str, part: &str| {
            let error = merge_patch("body", target, patch).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        };
        check(b"{}", "{", "the patch is not JSON");
        check(b"", "{}", "the body is not JSON");
        check(b"\xff", "{}", "the body is not JSON");
        let deep = format!("{}1{}", "{\"a\":".repeat(JSON_DEPTH_MAX + 1), "}".repeat(JSON_DEPTH_MAX + 1));
        check(b"{}", &deep, "128 levels");
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[a-c\"\\\\é/~]{0,3}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec(("[a-c~/\"]{0,2}", inner), 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    /// RFC 7396, section 2, word for word.
    fn reference_merge(target: Value, patch: Value) -> Value {
        let Value::Object(patch) = patch else { return patch };
        let Value::Object(mut target) = target else {
            return reference_merge(Value::Object(serde_json::Map::new()), Value::Object(patch));
        };
        for (name, value) in patch {
            if value.is_null() {
                target.shift_remove(&name);
            } else {
                let old = target.get(&name).cloned().unwrap_or(Value::Null);
                target.insert(name, reference_merge(old, value));
            }
        }
        Value::Object(target)
    }

    fn pointers(value: &Value, at: &str, all: &mut Vec<(String, String)>) {
        all.push((at.to_owned(), value.to_string()));
        let escape = |name: &str| name.replace('~', "~0").replace('/', "~1");
        match value {
            Value::Array(elements) => {
                for (index, element) in elements.iter().enumerate() {
                    pointers(element, &format!("{at}/{index}"), all);
                }
            }
            Value::Object(members) => {
                for (name, member) in members {
                    pointers(member, &format!("{at}/{}", escape(name)), all);
                }
            }
            _ => {}
        }
    }

    proptest! {
        #[test]
        fn merges_as_the_reference_does(target in json(), patch in json()) {
            let merged = merge_patch("body", target.to_string().as_bytes(), &patch.to_string()).unwrap();
            prop_assert_eq!(serde_json::from_str::<Value>(&merged).unwrap(), reference_merge(target, patch));
        }

        #[test]
        fn finds_every_node(value in json()) {
            let mut document = LazyJson::new("body", Bytes::from(value.to_string()));
            let mut all = Vec::new();
            pointers(&value, "", &mut all);
            for (pointer, text) in all {
                prop_assert_eq!(document.find(&pointer).unwrap().text, Some(text));
            }
        }
    }
}
