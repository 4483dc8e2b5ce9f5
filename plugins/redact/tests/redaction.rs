//! What is redacted, and what is left as it came.

use hookmill_plugin::{Body, Failure, Result, Value, json, serde_json, test};
use proptest::prelude::*;
use redact::reshape;

/// What is sent; nothing where that is the event as it came.
fn redacted(body: &str, settings: &Value) -> Result<Option<String>> {
    let outcome = test::run(reshape, test::event(body), test::target(settings))?;
    match &outcome.requests()[0].body {
        Body::Original => Ok(None),
        body => Ok(body.text().map(str::to_owned)),
    }
}

fn check(rules: &Value, body: &str, expect: &str) {
    let settings = json!({"rules": rules});
    assert_eq!(redacted(body, &settings), Ok(Some(expect.to_owned())), "{settings} {body}");
}

#[test]
fn the_manifests_samples_hold() {
    test::samples(reshape, include_str!("../plugin.json"));
}

#[test]
fn values_are_found_by_path() {
    let path = |path: &str| json!([{"path": path}]);
    check(&path("/a"), r#"{"a": 1.0, "b": {"a": 2}}"#, r#"{"a": "[redacted]", "b": {"a": 2}}"#);
    check(&path("/b/a"), r#"{"a":1,"b":{"a":[{}, "]}"]}}"#, r#"{"a":1,"b":{"a":"[redacted]"}}"#);
    check(
        &path("/*/a"),
        r#"{"x":{"a":1},"y":{"b":2},"z":{"a":null}}"#,
        r#"{"x":{"a":"[redacted]"},"y":{"b":2},"z":{"a":"[redacted]"}}"#,
    );
    check(
        &path("/l/*/e"),
        r#"{"l":[{"e":1},{"e":2,"f":3}]}"#,
        r#"{"l":[{"e":"[redacted]"},{"e":"[redacted]","f":3}]}"#,
    );
    check(&path("/l/1"), "{\"l\":[1,2,3]}", "{\"l\":[1,\"[redacted]\",3]}");
    check(&path("/a~1b/"), r#"{"a/b":{"":"x","c":1}}"#, r#"{"a/b":{"":"[redacted]","c":1}}"#);
    check(&path("/p\u{e9}"), r#"{"p\u00e9":1}"#, r#"{"p\u00e9":"[redacted]"}"#);
    check(&path("/0"), "[true]", "[\"[redacted]\"]");
}

#[test]
fn values_are_found_by_name() {
    let name = json!([{"name": "password"}]);
    check(
        &name,
        r#"[{"password":"a"}, {"x":{"y":[{"password":{"old":"b"}}]}}]"#,
        r#"[{"password":"[redacted]"}, {"x":{"y":[{"password":"[redacted]"}]}}]"#,
    );
    check(
        &name,
        r#"{"pass\u0077ord":"a","Password":"b"}"#,
        r#"{"pass\u0077ord":"[redacted]","Password":"b"}"#,
    );
}

#[test]
fn texts_are_searched_for_patterns() {
    let both = json!([{"pattern": "email"}, {"pattern": "phone"}]);
    check(
        &both,
        r#"{"t":"ada@x.org, +255 712 345 678","n":"none","s":["<b@y.io>"]}"#,
        r#"{"t":"[redacted], [redacted]","n":"none","s":["<[redacted]>"]}"#,
    );
    check(&both, r#"["ada\u0040x.org\n"]"#, r#"["[redacted]\n"]"#);
    check(&both, r#""\u002B919810450807""#, r#""[redacted]""#);
    let left = r#"{"t":"a \u00e9 @ +1 b@c","k@x.org":919810450807}"#;
    assert_eq!(redacted(left, &json!({"rules": both})), Ok(None));
    check(&json!([{"pattern": "email", "action": "drop"}]), r#"["to a@b.c!"]"#, r#"["to !"]"#);
    check(
        &json!([{"pattern": "email", "action": "hash"}]),
        r#"["a@b.c"]"#,
        r#"["sha256:HASH"]"#.replace("HASH", A_AT_B).as_str(),
    );
}

/// The beginning of the SHA-256 of `a@b.c`.
const A_AT_B: &str = "d648b243a3e817ea";

#[test]
fn members_that_are_dropped_take_one_comma_along() {
    let name = json!([{"name": "x", "action": "drop"}]);
    check(&name, r#"{ "x" : [1] }"#, "{ }");
    check(&name, r#"{"x":1,"a":2}"#, r#"{"a":2}"#);
    check(&name, r#"{"a":2, "x":1}"#, r#"{"a":2}"#);
    check(&name, r#"{"a":1, "x":1, "b":2}"#, r#"{"a":1, "b":2}"#);
    check(&name, r#"{"x":1,"x":2,"a":3,"x":4,"x":5,"b":6,"x":7}"#, r#"{"a":3,"b":6}"#);
    check(&name, r#"{"x":1, "x":2}"#, "{}");
    check(&json!([{"path": "/*", "action": "drop"}]), "[1, [2], {}]", "[]");
    check(&json!([{"path": "/1", "action": "drop"}]), "[1, 2, 3]", "[1, 3]");
}

#[test]
fn hashes_are_the_same_for_the_same_value() {
    let hash = json!([{"name": "x", "action": "hash"}]);
    let settings = json!({"rules": hash});
    let text =
        redacted(r#"[{"x":"Ada"},{"x":"\u0041da"},{"x":"Bob"},{"x":[1, 2]}]"#, &settings).unwrap().unwrap();
    let values: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(values[0]["x"], "sha256:99a563ab2f6e21e9");
    assert_eq!(values[0], values[1]);
    assert_ne!(values[0], values[2]);
    assert_eq!(values[3]["x"], "sha256:3a316d6d3226f84c");
    let keyed = json!({"rules": hash, "hash_key": "k"});
    assert_ne!(redacted(r#"{"x":"Ada"}"#, &keyed), redacted(r#"{"x":"Ada"}"#, &settings));
}

#[test]
fn the_first_rule_counts() {
    let rules =
        json!([{"path": "/a/x", "action": "drop"}, {"name": "x", "action": "mask"}, {"pattern": "email"}]);
    check(
        &rules,
        r#"{"a":{"x":"a@b.c","y":"a@b.c"},"x":"a@b.c"}"#,
        r#"{"a":{"y":"[redacted]"},"x":"[redacted]"}"#,
    );
    let rules = json!([{"name": "x", "action": "mask"}, {"path": "/a/x", "action": "drop"}]);
    check(&rules, r#"{"a":{"x":1}}"#, r#"{"a":{"x":"[redacted]"}}"#);
}

#[test]
fn the_mask_is_the_owners() {
    let settings = json!({"rules": [{"name": "x"}, {"pattern": "email"}], "mask": "\"<>\n"});
    assert_eq!(
        redacted(r#"["a@b.c",{"x":1}]"#, &settings),
        Ok(Some(r#"["\"<>\n",{"x":"\"<>\n"}]"#.to_owned()))
    );
}

#[test]
fn what_cannot_be_understood_is_refused() {
    let refused = |body: &str, rules: Value, reason: &str| {
        assert_eq!(redacted(body, &json!({"rules": rules})), Err(Failure::permanent(reason)), "{body}");
    };
    let check = |body: &str| {
        let failure = redacted(body, &json!({"rules": [{"name": "x"}]})).expect_err(body);
        assert!(failure.reason().starts_with("the event's body is not JSON: "), "{failure}");
    };
    for body in ["", "{} x", "{x:1}", "{\"x\" 1}", "[1 2]", "[1,]", "[nul]", "\"a\nb\"", "\"a\\", "{\"x\": ["]
    {
        check(body);
    }
    check(&"[".repeat(200));
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let settings = json!({"rules": [{"name": "x"}, {"path": "/0/0", "action": "mask"}]});
    assert_eq!(redacted(&deep, &settings), Ok(Some("[[\"[redacted]\"]]".to_owned())));
    refused("{}", json!([{"name": "x", "path": "/x"}]), "rule 1: needs one of `path`, `name` and `pattern`");
    refused("{}", json!([{"name": "x"}, {}]), "rule 2: needs one of `path`, `name` and `pattern`");
    refused("{}", json!([{"path": "x"}]), "`x` is no path as `/data/to` or `/items/*/email`");
    refused("{}", json!(vec![json!({"path": "/x"}); 65]), "there are 65 rules with a path, at most 64 go");
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-c@+.\"\\\\é/0-9 ]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec(("[a-c@\"é]{0,2}", inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// The rules by the book: on values, one by one.
fn expected(value: Value, at: &[&str], drop: bool) -> Value {
    let is_hidden = |name: &str| name == "a" || at == ["b"] && name == "c";
    match value {
        Value::Object(members) => {
            let mut kept = serde_json::Map::new();
            for (name, member) in members {
                if !is_hidden(&name) {
                    let at: Vec<&str> = at.iter().copied().chain([name.as_str()]).collect();
                    let member = expected(member, &at, drop);
                    kept.insert(name, member);
                } else if !drop {
                    kept.insert(name, "[redacted]".into());
                }
            }
            Value::Object(kept)
        }
        Value::Array(items) => {
            let at: Vec<&str> = at.iter().copied().chain(["0"]).collect();
            items.into_iter().map(|item| expected(item, &at, drop)).collect()
        }
        other => other,
    }
}

proptest! {
    #[test]
    fn redacts_as_the_book_says(value in json_value(), drop: bool, pretty: bool) {
        let body = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
        let action = if drop { "drop" } else { "mask" };
        let rules = json!([{"name": "a", "action": action}, {"path": "/b/c", "action": action}]);
        let sent = redacted(&body, &json!({"rules": rules})).unwrap();
        let expect = expected(value.clone(), &[], drop);
        prop_assert_eq!(sent.is_none(), expect == value);
        prop_assert_eq!(serde_json::from_str::<Value>(&sent.unwrap_or(body)).unwrap(), expect);
    }

    #[test]
    fn no_address_is_left_in_any_text(value in json_value()) {
        let rules = json!([{"pattern": "email"}]);
        let body = value.to_string();
        let once = redacted(&body, &json!({"rules": rules, "mask": "#"})).unwrap().unwrap_or(body);
        prop_assert!(serde_json::from_str::<Value>(&once).is_ok(), "{once}");
        prop_assert_eq!(redacted(&once, &json!({"rules": rules, "mask": "#"})).unwrap(), None);
    }

    #[test]
    fn any_text_is_redacted_or_refused(body in "[\\[\\]{},:\"\\\\a1 @.é\n]{0,40}") {
        let _ = redacted(&body, &json!({"rules": [{"name": "a", "action": "drop"}, {"pattern": "email"}]}));
    }
}
