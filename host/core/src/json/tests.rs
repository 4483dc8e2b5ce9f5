use proptest::prelude::*;
use serde_json::Value;
use serde_json::value::RawValue;

use super::*;

fn read(text: &str) -> Result<Document, JsonFault> {
    Document::parse(text.as_bytes().to_vec())
}

/// What the document says, as the reader of everybody else sees it.
fn value(node: Node<'_>) -> Value {
    match node.kind() {
        Kind::Object => {
            node.members().map(|(name, below)| (name.text().unwrap().into_owned(), value(below))).collect()
        }
        Kind::Array => node.elements().map(value).collect(),
        Kind::PlainString | Kind::EscapedString => node.text().unwrap().into(),
        Kind::Null | Kind::False | Kind::True | Kind::Number => serde_json::from_str(node.json()).unwrap(),
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    let plain = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    plain.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::btree_map(any::<String>(), inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Pieces of JSON, right and wrong, of which texts are made that are JSON now and then.
const PIECES: [&str; 40] = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\",
    "\"a\"",
    "\"a\":",
    "{\"a\":",
    "{}",
    "[]",
    "\"\\n\"",
    "\"\\u00e9\"",
    "\"\\ud800\"",
    "\"\\ud83d\\ude00\"",
    "\"\\u00g0\"",
    "\"\\x\"",
    "\"\u{1}\"",
    "\"\u{7f}\u{80}\"",
    "0",
    "-",
    "1",
    "01",
    "-0",
    "1.0",
    "1.",
    ".5",
    "1e5",
    "1E+05",
    "1e-",
    "12345678901234567890",
    "true",
    "false",
    "null",
    "nul",
    " ",
    "\n\t\r",
    "\u{a0}",
];

proptest! {
    #[test]
    fn documents_are_read_as_everybody_reads_them(written in any_value(), pretty: bool) {
        let text = if pretty { serde_json::to_string_pretty(&written) } else { serde_json::to_string(&written) };
        let document = read(&text.unwrap()).unwrap();
        prop_assert_eq!(value(document.root()), written);
    }

    #[test]
    fn what_the_grammar_takes_is_taken_and_nothing_else(
        pieces in proptest::collection::vec(proptest::sample::select(PIECES.to_vec()), 0..9),
    ) {
        let text = pieces.concat();
        // serde_json checks no more than the grammar of what it does not convert.
        prop_assert_eq!(read(&text).is_ok(), serde_json::from_str::<&RawValue>(&text).is_ok(), "{}", text);
    }

    #[test]
    fn compact_text_means_the_same(written in any_value()) {
        let pretty = serde_json::to_string_pretty(&written).unwrap();
        let mut compact = String::new();
        write_compact(&pretty, |piece| { compact.push_str(piece); Ok::<_, ()>(()) }).unwrap();
        prop_assert_eq!(compact, serde_json::to_string(&written).unwrap());
    }
}

#[test]
fn whatever_the_grammar_takes_is_read() {
    let check = |text: &str, pointer: &str, expect: &str| {
        let document = read(text).unwrap();
        assert_eq!(document.root().pointer(pointer).map(Node::json), Some(expect), "{text}");
    };
    check(r#"{"t": "cut \ud83d", "n": 1}"#, "/n", "1");
    check(r#"{"t": "cut \ud83d"}"#, "/t", r#""cut \ud83d""#);
    check(r#"{"\ud83d": 1, "b": 2}"#, "/b", "2");
    check(r#"{"n": 1000000000000000000000}"#, "/n", "1000000000000000000000");
    check(r#"{"n": 1e999999}"#, "/n", "1e999999");
    check(r#"{"n": 1, "n": 2}"#, "/n", "2");
    check("\u{feff}{\"n\": 1}", "/n", "1");
    let deep = format!("{{\"deep\": {}1{}, \"n\": 2}}", "[".repeat(400_000), "]".repeat(400_000));
    check(&deep, "/n", "2");
    check(&deep, "/deep/0/0/0", &deep[12..deep.len() - 12]);
    let deep = format!("{}1{}", r#"{"a":"#.repeat(100_000), "}".repeat(100_000));
    assert_eq!(read(&deep).unwrap().values(), 200_001);
    assert_eq!(read(&deep).unwrap().root().flattened().count(), 1);
}

#[test]
fn half_a_surrogate_pair_is_a_replacement_character() {
    let check = |json: &str, expect: &str| {
        assert_eq!(read(json).unwrap().root().text().unwrap(), expect, "{json}");
    };
    check(r#""cut \ud83d""#, "cut \u{fffd}");
    check(r#""\ud83d\ude00""#, "\u{1f600}");
    check(r#""\ude00\ud83d""#, "\u{fffd}\u{fffd}");
    check(r#""\ud83d\ud83d\ude00""#, "\u{fffd}\u{1f600}");
    check(r#""\ud83dA""#, "\u{fffd}A");
    check(r#""\"\\\/\b\f\n\r\t\u00E9""#, "\"\\/\u{8}\u{c}\n\r\té");
}

#[test]
fn faults_have_a_place() {
    let check = |text: &[u8], line: usize, column: usize| {
        let fault = Document::parse(text.to_vec()).unwrap_err();
        assert_eq!((fault.line, fault.column), (line, column), "{fault}");
    };
    check(b"", 1, 1);
    check(b"{\"a\": 1,\n \"b\" 2}", 2, 6);
    check(b"[1, 2", 1, 6);
    check(b"{} {}", 1, 4);
    check(b"\"a\xff\"", 1, 3);
    check(b"[01]", 1, 3);
    check(b"[1}", 1, 3);
    check(b"\"\\ud83\"", 1, 2);
    check("\u{feff}\u{feff}1".as_bytes(), 1, 1);
}

#[test]
fn members_of_wide_objects_are_found_too() {
    let members: Vec<String> = (0..5000).map(|number| format!("\"k{}\":{number}", number % 4000)).collect();
    let document = read(&format!("{{{}}}", members.join(","))).unwrap();
    let found = |name: &str| document.root().get(name).map(Node::json);
    assert_eq!(found("k7"), Some("4007"), "the last one of that name");
    assert_eq!(found("k3999"), Some("3999"));
    assert_eq!(found("k4000"), None);
}
