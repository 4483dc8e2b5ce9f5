use proptest::prelude::*;
use serde_json::{Map, json};

use super::*;

#[track_caller]
fn check(pattern: &str, event: &str, expect: bool) {
    let parsed = EventPattern::parse(pattern).unwrap();
    assert_eq!(parsed.matches(event), expect, "{pattern} on {event}");
}

#[track_caller]
fn check_refused(pattern: &str, pointer: &str, code: &str) {
    let error = EventPattern::parse(pattern).expect_err(pattern);
    assert_eq!((error.pointer.as_str(), error.code()), (pointer, code), "{pattern}: {error}");
}

/// The shape of the event that the EventBridge user guide explains patterns with.
const INSTANCE: &str = r#"{
    "version": "0", "source": "aws.ec2", "time": "2017-12-22T18:43:48Z", "region": "us-west-1",
    "resources": ["arn:instance/i-1", "arn:instance/i-2"],
    "detail": {
        "state": "terminated", "c-count": 5, "x-limit": 301.8, "big": 1734567890123, "ip": "10.0.0.33",
        "v6": "2001:db8::7", "flag": true, "off": false, "nothing": null, "empty": "", "list": [], "name": "EventBridge"
    }
}"#;

#[test]
fn fields_are_joined_by_and_values_by_or() {
    check(r#"{"source": ["aws.ec2"]}"#, INSTANCE, true);
    check(r#"{"source": ["aws.s3", "aws.ec2"], "detail": {"state": ["terminated"]}}"#, INSTANCE, true);
    check(r#"{"source": ["aws.ec2"], "detail": {"state": ["running"]}}"#, INSTANCE, false);
    check(r#"{"source": ["aws.s3"], "detail": {"state": ["terminated"]}}"#, INSTANCE, false);
    check(r#"{"missing": ["aws.ec2"]}"#, INSTANCE, false);
    check(r#"{"resources": ["arn:instance/i-2"]}"#, INSTANCE, true);
    check(r#"{"resources": ["arn:instance/i-3"]}"#, INSTANCE, false);
    check(r#"{"detail.state": ["terminated"]}"#, INSTANCE, false);
    check(r#"{"source": {"ec2": ["x"]}}"#, INSTANCE, false);
}

#[test]
fn values_match_by_kind_and_worth() {
    let detail =
        |wanted: &str, expect: bool| check(&format!(r#"{{"detail": {{{wanted}}}}}"#), INSTANCE, expect);
    detail(r#""c-count": [5]"#, true);
    detail(r#""c-count": [5.0]"#, true);
    detail(r#""c-count": [0.5e1]"#, true);
    detail(r#""c-count": ["5"]"#, false);
    detail(r#""x-limit": [3.018e2]"#, true);
    detail(r#""big": [1734567890123]"#, true);
    detail(r#""flag": [true]"#, true);
    detail(r#""flag": ["true"]"#, false);
    detail(r#""flag": [false]"#, false);
    detail(r#""off": [false]"#, true);
    detail(r#""nothing": [null]"#, true);
    detail(r#""nothing": [""]"#, false);
    detail(r#""missing": [null]"#, false);
    detail(r#""empty": [""]"#, true);
    detail(r#""empty": [null]"#, false);
}

#[test]
fn text_operators() {
    check(r#"{"time": [{"prefix": "2017-12-22"}]}"#, INSTANCE, true);
    check(r#"{"time": [{"prefix": "2017-12-23"}]}"#, INSTANCE, false);
    check(r#"{"time": [{"suffix": "Z"}]}"#, INSTANCE, true);
    check(r#"{"region": [{"prefix": {"equals-ignore-case": "US-W"}}]}"#, INSTANCE, true);
    check(r#"{"region": [{"suffix": {"equals-ignore-case": "T-1"}}]}"#, INSTANCE, true);
    check(r#"{"detail": {"name": [{"equals-ignore-case": "eVENTbridge"}]}}"#, INSTANCE, true);
    check(r#"{"detail": {"name": [{"wildcard": "Ev*t*ge"}]}}"#, INSTANCE, true);
    check(r#"{"detail": {"name": [{"wildcard": "ev*"}]}}"#, INSTANCE, false);
    check(r#"{"detail": {"c-count": [{"prefix": "5"}]}}"#, INSTANCE, false);
    check(r#"{"detail": {"c-count": [{"wildcard": "*"}]}}"#, INSTANCE, false);
    check(r#"{"detail": {"empty": [{"prefix": ""}]}}"#, INSTANCE, true);
}

#[test]
fn anything_but() {
    let detail =
        |wanted: &str, expect: bool| check(&format!(r#"{{"detail": {{{wanted}}}}}"#), INSTANCE, expect);
    detail(r#""state": [{"anything-but": "initializing"}]"#, true);
    detail(r#""state": [{"anything-but": "terminated"}]"#, false);
    detail(r#""state": [{"anything-but": ["stopped", "terminated"]}]"#, false);
    detail(r#""x-limit": [{"anything-but": 123}]"#, true);
    detail(r#""x-limit": [{"anything-but": [100, 3.018e2]}]"#, false);
    detail(r#""state": [{"anything-but": {"prefix": "term"}}]"#, false);
    detail(r#""state": [{"anything-but": {"prefix": ["init", "stop"]}}]"#, true);
    detail(r#""state": [{"anything-but": {"suffix": "ed"}}]"#, false);
    detail(r#""state": [{"anything-but": {"equals-ignore-case": "TERMINATED"}}]"#, false);
    detail(r#""state": [{"anything-but": {"equals-ignore-case": ["RUNNING"]}}]"#, true);
    detail(r#""state": [{"anything-but": {"wildcard": "*min*"}}]"#, false);
    // Whatever has another type is something else; what isn't there is nothing.
    detail(r#""c-count": [{"anything-but": "5"}]"#, true);
    detail(r#""nothing": [{"anything-but": {"prefix": "n"}}]"#, true);
    detail(r#""missing": [{"anything-but": "x"}]"#, false);
    // One element that is something else is enough.
    check(r#"{"resources": [{"anything-but": "arn:instance/i-1"}]}"#, INSTANCE, true);
    check(r#"{"resources": [{"anything-but": {"prefix": "arn:"}}]}"#, INSTANCE, false);
}

#[test]
fn numeric_and_cidr() {
    let detail =
        |wanted: &str, expect: bool| check(&format!(r#"{{"detail": {{{wanted}}}}}"#), INSTANCE, expect);
    detail(r#""c-count": [{"numeric": [">", 0, "<=", 5]}]"#, true);
    detail(r#""c-count": [{"numeric": [">", 0, "<", 5]}]"#, false);
    detail(r#""c-count": [{"numeric": [">=", 5]}]"#, true);
    detail(r#""c-count": [{"numeric": ["<", 5]}]"#, false);
    detail(r#""x-limit": [{"numeric": ["=", 3.018e2]}]"#, true);
    detail(r#""x-limit": [{"numeric": ["<=", 301.79999]}]"#, false);
    detail(r#""big": [{"numeric": [">", 1734567890122]}]"#, true);
    detail(r#""state": [{"numeric": [">", 0]}]"#, false);
    detail(r#""ip": [{"cidr": "10.0.0.0/24"}]"#, true);
    detail(r#""ip": [{"cidr": "10.0.1.0/24"}]"#, false);
    detail(r#""ip": [{"cidr": "::/0"}]"#, false);
    detail(r#""v6": [{"cidr": "2001:db8::/64"}]"#, true);
    detail(r#""v6": [{"cidr": "2001:db9::/64"}]"#, false);
    detail(r#""state": [{"cidr": "0.0.0.0/0"}]"#, false);
}

#[test]
fn exists_speaks_of_values() {
    let detail =
        |wanted: &str, expect: bool| check(&format!(r#"{{"detail": {{{wanted}}}}}"#), INSTANCE, expect);
    detail(r#""state": [{"exists": true}]"#, true);
    detail(r#""state": [{"exists": false}]"#, false);
    detail(r#""missing": [{"exists": true}]"#, false);
    detail(r#""missing": [{"exists": false}]"#, true);
    detail(r#""missing": {"below": [{"exists": false}]}"#, true);
    detail(r#""nothing": [{"exists": true}]"#, true);
    detail(r#""list": [{"exists": false}]"#, true);
    detail(r#""state": [{"exists": false}, "terminated"]"#, true);
    detail(r#""state": [{"exists": false}, "running"]"#, false);
    // `detail` is an object, so there is no value at its place.
    check(r#"{"detail": [{"exists": true}]}"#, INSTANCE, false);
    check(r#"{"detail": [{"exists": false}]}"#, INSTANCE, true);
}

#[test]
fn or_multiplies_out() {
    let metric = r#"{"source": ["cloudwatch"], "$or": [
        {"metric": ["cpu", "read"]}, {"kind": ["M"], "$or": [{"id": [1234]}, {"space": [1000]}]}, {"scope": ["S"]}]}"#;
    check(metric, r#"{"source": "cloudwatch", "metric": "read"}"#, true);
    check(metric, r#"{"source": "other", "metric": "read"}"#, false);
    check(metric, r#"{"source": "cloudwatch", "kind": "M", "space": 1000}"#, true);
    check(metric, r#"{"source": "cloudwatch", "kind": "M", "space": 1}"#, false);
    check(metric, r#"{"source": "cloudwatch", "scope": "S"}"#, true);
    let parallel = r#"{"$or": [{"a": [1]}, {"b": [1]}], "detail": {"$or": [{"c": [1]}, {"d": [1]}]}}"#;
    check(parallel, r#"{"b": 1, "detail": {"c": 1}}"#, true);
    check(parallel, r#"{"b": 1, "detail": {"e": 1}}"#, false);
    check(parallel, r#"{"detail": {"c": 1}}"#, false);
}

#[test]
fn fields_below_an_array_match_in_one_element() {
    let rows = r#"{"rows": [{"id": 1, "state": "up", "ports": [{"n": 80, "tls": false}, {"n": 443, "tls": true}]},
                            {"id": 2, "state": "down"}, [{"id": 3, "state": "lost"}], "noise"]}"#;
    check(r#"{"rows": {"id": [1], "state": ["up"]}}"#, rows, true);
    check(r#"{"rows": {"id": [1], "state": ["down"]}}"#, rows, false);
    check(r#"{"rows": {"id": [3], "state": ["lost"]}}"#, rows, true);
    check(r#"{"rows": {"id": [1], "ports": {"n": [443], "tls": [true]}}}"#, rows, true);
    check(r#"{"rows": {"id": [1], "ports": {"n": [80], "tls": [true]}}}"#, rows, false);
    check(r#"{"rows": {"id": [2], "ports": {"n": [443]}}}"#, rows, false);
    // The element of a field beside `$or` and of one within it is the same.
    check(r#"{"rows": {"id": [1]}, "$or": [{"rows": {"state": ["down"]}}, {"x": [1]}]}"#, rows, false);
    check(r#"{"rows": {"id": [2]}, "$or": [{"rows": {"state": ["down"]}}, {"x": [1]}]}"#, rows, true);
    check(r#"{"rows": {"id": [2], "ports": {"n": [{"exists": false}]}}}"#, rows, true);
    check(r#"{"rows": {"id": [1], "ports": {"n": [{"exists": false}]}}}"#, rows, false);
    // Nothing chooses an element here, so no element may have one.
    check(r#"{"rows": {"ports": {"n": [{"exists": false}]}}}"#, rows, false);
    check(r#"{"rows": {"owner": [{"exists": false}]}}"#, rows, true);
    check(r#"{"rows": {"owner": [{"exists": false}]}}"#, r#"{"rows": []}"#, true);
    check(r#"{"rows": {"owner": ["x"]}}"#, r#"{"rows": []}"#, false);
}

#[test]
fn events_that_are_not_objects_match_nothing() {
    for event in ["[]", "null", "1", r#""x""#, r#"[{"a": 1}]"#] {
        check(r#"{"a": [{"exists": false}]}"#, event, false);
    }
}

#[test]
fn refuses_and_names_the_place() {
    check_refused("{", "", "pattern_not_json");
    check_refused("[]", "", "pattern_not_object");
    check_refused("{}", "", "pattern_empty");
    check_refused(r#"{"a": {}}"#, "/a", "pattern_empty");
    check_refused(r#"{"a": []}"#, "/a", "pattern_empty");
    check_refused(r#"{"a": "x"}"#, "/a", "pattern_field_value");
    check_refused(r#"{"a": ["x", ["y"]]}"#, "/a/1", "pattern_value");
    check_refused(r#"{"a/b~c": {"d": [{}]}}"#, "/a~1b~0c/d/0", "pattern_operator_count");
    check_refused(r#"{"a": [{"prefix": "x", "suffix": "y"}]}"#, "/a/0", "pattern_operator_count");
    check_refused(r#"{"a": [{"regex": "x"}]}"#, "/a/0/regex", "pattern_operator_unknown");
    check_refused(r#"{"a": [{"prefix": 1}]}"#, "/a/0/prefix", "pattern_operand");
    check_refused(r#"{"a": [{"prefix": {"wildcard": "x"}}]}"#, "/a/0/prefix/wildcard", "pattern_operand");
    check_refused(
        r#"{"a": [{"equals-ignore-case": {"prefix": "x"}}]}"#,
        "/a/0/equals-ignore-case/prefix",
        "pattern_operand",
    );
    check_refused(r#"{"a": [{"exists": "yes"}]}"#, "/a/0/exists", "pattern_operand");
    check_refused(r#"{"a": [{"cidr": "10.0.0.0"}]}"#, "/a/0/cidr", "pattern_operand");
    check_refused(r#"{"a": [{"cidr": "10.0.0.0/33"}]}"#, "/a/0/cidr", "pattern_operand");
    check_refused(r#"{"a": [{"wildcard": "a**"}]}"#, "/a/0/wildcard", "pattern_wildcard");
    check_refused(
        r#"{"a": [{"anything-but": {"wildcard": "a\\b"}}]}"#,
        "/a/0/anything-but/wildcard",
        "pattern_wildcard",
    );
    check_refused(r#"{"$or": [{"a": [1]}]}"#, "/$or", "pattern_or");
    check_refused(r#"{"$or": {"a": [1]}}"#, "/$or", "pattern_or");
    check_refused(r#"{"$or": [{"a": [1]}, 2]}"#, "/$or/1", "pattern_not_object");
    check_refused(r#"{"$or": [{"a": [1]}, {"numeric": [1]}]}"#, "/$or/1/numeric", "pattern_or");
    check_refused(r#"{"a": [1], "$or": [{"a": [2]}, {"b": [2]}]}"#, "/$or", "pattern_field_repeated");
    check_refused(r#"{"a": [1], "$or": [{"a": {"x": [2]}}, {"b": [2]}]}"#, "/$or", "pattern_field_repeated");
}

#[test]
fn refuses_operands_of_numeric_and_anything_but() {
    for operand in [
        "5",
        "[]",
        r#"["="]"#,
        r#"["=", "5"]"#,
        r#"["=", 1, "<", 2]"#,
        r#"["<", 5, ">", 0]"#,
        r#"["~", 5]"#,
        r#"[">", 5, "<", 5]"#,
        r#"[">=", 5, "<=", 4]"#,
        r#"[">", 0, "<", 5, "<", 6]"#,
        r#"[">", 0, "<"]"#,
        r#"[1, ">"]"#,
    ] {
        check_refused(&format!(r#"{{"a": [{{"numeric": {operand}}}]}}"#), "/a/0/numeric", "pattern_operand");
    }
    for operand in ["[]", "null", "true", r#"["x", 1]"#, "[null]", r#"[["x"]]"#] {
        check_refused(
            &format!(r#"{{"a": [{{"anything-but": {operand}}}]}}"#),
            "/a/0/anything-but",
            "pattern_operand",
        );
    }
    for operand in [r#"{"prefix": ""}"#, r#"{"prefix": []}"#, r#"{"prefix": [1]}"#] {
        let pattern = format!(r#"{{"a": [{{"anything-but": {operand}}}]}}"#);
        check_refused(&pattern, "/a/0/anything-but/prefix", "pattern_operand");
    }
    check_refused(
        r#"{"a": [{"anything-but": {"numeric": [1]}}]}"#,
        "/a/0/anything-but/numeric",
        "pattern_operand",
    );
}

#[test]
fn limits_hold_at_their_edge() {
    let nested = |levels: usize| format!("{}[1]{}", r#"{"a":"#.repeat(levels), "}".repeat(levels));
    assert!(EventPattern::parse(&nested(DEPTH_MAX)).is_ok());
    check_refused(&nested(DEPTH_MAX + 1), &"/a".repeat(DEPTH_MAX), "pattern_too_deep");
    check_refused(&nested(2000), &"/a".repeat(DEPTH_MAX), "pattern_too_deep");

    let long = |bytes: usize| format!(r#"{{"a":["{}"]}}"#, "x".repeat(bytes - r#"{"a":[""]}"#.len()));
    assert!(EventPattern::parse(&long(PATTERN_BYTES_MAX)).is_ok());
    check_refused(&long(PATTERN_BYTES_MAX + 1), "", "pattern_too_long");

    // Three independent `$or` of ten make exactly a thousand alternatives of three fields, which is 3000 tests.
    let or = |field: &str, ways: usize| {
        let ways: Vec<_> = (0..ways).map(|way| json!({ field: [way] })).collect();
        json!({ "$or": ways })
    };
    let product = |last: usize| json!({"x": or("a", 10), "y": or("b", 10), "z": or("c", last)}).to_string();
    let thousand = EventPattern::parse(&product(10)).unwrap();
    assert!(thousand.matches(r#"{"x": {"a": 9}, "y": {"b": 9}, "z": {"c": 9}}"#));
    assert!(!thousand.matches(r#"{"x": {"a": 9}, "y": {"b": 9}, "z": {"c": 10}}"#));
    check_refused(&product(11), "/z", "pattern_too_many_alternatives");

    // A hundred alternatives of 1 + 39 tests and their own one are 4100.
    let operators: Vec<_> = (0..39).map(|n| json!({"prefix": n.to_string()})).collect();
    let wide = json!({"x": or("a", 10), "y": or("b", 10), "z": operators}).to_string();
    check_refused(&wide, "/z", "pattern_too_many_tests");
}

#[test]
fn source_comes_back_as_it_was_written() {
    let text = " {\"a\":  [1.0]} ";
    let pattern: EventPattern = text.parse().unwrap();
    assert_eq!(pattern.source(), text);
    assert_eq!(EventPattern::from_value(&json!({"a": [1]})).unwrap().source(), r#"{"a":[1]}"#);
}

fn any_scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3i64..3).prop_map(Value::from),
        (-3i32..3).prop_map(|n| Value::from(f64::from(n) / 2.0)),
        "[abA*]{0,3}".prop_map(Value::from),
    ]
}

fn any_json() -> impl Strategy<Value = Value> {
    any_scalar().prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec(("[abc]|\\$or|prefix|exists|numeric|anything-but", inner), 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// The pattern that asks for exactly what an event holds; `None` if there is nothing to ask for.
fn pattern_of(event: &Value) -> Option<Value> {
    match event {
        Value::Object(fields) => {
            let below = fields.iter().filter(|(name, _)| name.as_str() != "$or");
            let below: Map<String, Value> =
                below.filter_map(|(name, value)| Some((name.clone(), pattern_of(value)?))).collect();
            (!below.is_empty()).then_some(Value::Object(below))
        }
        Value::Array(elements) => elements.first().and_then(pattern_of),
        scalar => Some(json!([scalar])),
    }
}

proptest! {
    #[test]
    fn nothing_makes_it_panic(pattern in any_json(), event in any_json()) {
        if let Ok(pattern) = EventPattern::from_value(&pattern) {
            let _ = pattern.matches(&event.to_string());
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in "[{}\\[\\]\":,a$or0-9. *-]{0,40}") {
        let _ = EventPattern::parse(&text);
    }

    #[test]
    fn an_event_matches_its_own_picture(event in any_json()) {
        if let (Value::Object(_), Some(pattern)) = (&event, pattern_of(&event)) {
            let pattern = EventPattern::from_value(&pattern).unwrap();
            prop_assert!(pattern.matches(&event.to_string()), "{} on {}", pattern, event);
        }
    }

    #[test]
    fn anything_but_is_the_opposite_on_one_value(operand in "[ab*]{1,2}", value in any_scalar()) {
        let event = json!({ "a": value });
        let escaped = operand.replace('*', "\\*");
        for (wanted, test) in [
            (json!([operand]), json!(operand)),
            (json!([{"prefix": operand}]), json!({"prefix": operand})),
            (json!([{"suffix": operand}]), json!({"suffix": operand})),
            (json!([{"equals-ignore-case": operand}]), json!({"equals-ignore-case": operand})),
            (json!([{"wildcard": escaped}]), json!({"wildcard": escaped})),
        ] {
            let is = EventPattern::from_value(&json!({ "a": wanted })).unwrap();
            let is_not = EventPattern::from_value(&json!({ "a": [{"anything-but": test}] })).unwrap();
            prop_assert_ne!(is.matches(&event.to_string()), is_not.matches(&event.to_string()));
        }
    }

    #[test]
    fn exists_true_and_false_are_opposites(event in any_json()) {
        prop_assume!(event.is_object());
        for place in [json!({"a": [{"exists": true}]}), json!({"a": {"b": [{"exists": true}]}})] {
            let absent = place.to_string().replace("true", "false");
            let exists = EventPattern::from_value(&place).unwrap();
            prop_assert_ne!(exists.matches(&event.to_string()), EventPattern::parse(&absent).unwrap().matches(&event.to_string()));
        }
    }

    #[test]
    fn or_is_either_of_its_alternatives(left in any_json(), right in any_json(), event in any_json()) {
        let either = EventPattern::from_value(&json!({"$or": [left, right]}));
        if let (Ok(left), Ok(right), Ok(either)) =
            (EventPattern::from_value(&left), EventPattern::from_value(&right), either)
        {
            prop_assert_eq!(either.matches(&event.to_string()), left.matches(&event.to_string()) || right.matches(&event.to_string()));
        }
    }
}
