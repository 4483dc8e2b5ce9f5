use serde_json::{Value, json};

use super::super::{ROUTING_STEPS_MAX, TESTS_MAX};
use super::*;

const MEBIBYTE: usize = 1 << 20;

fn pattern(value: &Value) -> EventPattern {
    EventPattern::from_value(value).unwrap()
}

/// The steps that all patterns take with an event together, and how many of them want it.
fn matched(patterns: &[EventPattern], event: &str) -> Result<(usize, usize), OutOfSteps> {
    let event = Document::parse(event.as_bytes().to_vec()).unwrap();
    let matcher = Matcher::new(patterns.iter().cloned());
    let mut steps = Steps::of(ROUTING_STEPS_MAX);
    let matched = matcher.matched(&event, &mut steps)?;
    let wanting = patterns.iter().filter(|pattern| matched.has(&matcher, pattern)).count();
    Ok((ROUTING_STEPS_MAX - steps.left(), wanting))
}

/// Two `$or` of many ways below the same array: few bytes, and close to the most tests that a pattern may have.
fn multiplied_out(seed: usize) -> EventPattern {
    let ways = |field: &str, ways: usize| -> Vec<Value> {
        (0..ways).map(|way| json!({"rows": { format!("{field}{way}"): [way + seed] }})).collect()
    };
    let one = pattern(
        &json!({"$or": ways("a", 30), "rows": {"$or": (0..33).map(|way| json!({ format!("b{way}"): [seed] })).collect::<Vec<_>>()}}),
    );
    assert!(
        one.tests() > TESTS_MAX / 3 && one.source().len() < 4096,
        "{} {}",
        one.tests(),
        one.source().len()
    );
    one
}

fn array_of(element: &str) -> String {
    format!("{{\"rows\":[{element}{}]}}", format!(",{element}").repeat(MEBIBYTE / (element.len() + 1) - 20))
}

#[test]
fn a_value_is_looked_at_once_however_many_alternatives_there_are() {
    let patterns = [multiplied_out(0)];
    for element in
        ["{}", "1", "{\"a1\":1}", "{\"a1\":1,\"b2\":7}", "{\"a1\":[[1],2]}", "[{\"b9\":1}]", "\"\""]
    {
        let event = array_of(element);
        let (steps, wanting) = matched(&patterns, &event).unwrap();
        assert!(steps < 3 * event.len(), "{element}: {steps}");
        assert_eq!(wanting, 0, "{element}");
    }
    let (_, wanting) = matched(&patterns, &array_of("{\"a1\":1,\"b2\":0}")).unwrap();
    assert_eq!(wanting, 1);
}

#[test]
fn tests_that_patterns_share_are_made_once() {
    let event = array_of("{\"a1\":1,\"b2\":7}");
    let (one, _) = matched(&[multiplied_out(0)], &event).unwrap();
    let patterns = vec![multiplied_out(0); 1000];
    let (thousand, wanting) = matched(&patterns, &event).unwrap();
    assert_eq!((one, wanting), (thousand, 0));
}

#[test]
fn a_thousand_endpoints_that_want_one_value_each_cost_a_look_up() {
    let patterns: Vec<_> =
        (0..1000).map(|customer| pattern(&json!({"data": {"customer": [format!("c{customer}")]}}))).collect();
    let (steps, wanting) = matched(&patterns, r#"{"data":{"customer":"c7"}}"#).unwrap();
    assert!(steps < 100, "{steps}");
    assert_eq!(wanting, 1);
    let (steps, wanting) = matched(&patterns, &array_of("\"c\"").replace("rows", "data")).unwrap();
    assert!(steps < MEBIBYTE, "{steps}");
    assert_eq!(wanting, 0);
    let customers: Vec<_> = (0..1000).map(|customer| format!("\"c{customer}\"")).collect();
    let (steps, wanting) =
        matched(&patterns, &format!(r#"{{"data":{{"customer":[{}]}}}}"#, customers.join(","))).unwrap();
    assert!(steps < 20_000, "{steps}");
    assert_eq!(wanting, 1000);
}

#[test]
fn what_would_take_too_long_is_said_and_not_done() {
    let wildcards: Vec<Value> = (0..600).map(|number| json!({"wildcard": format!("*{number}*x")})).collect();
    let patterns = [pattern(&json!({"text": wildcards}))];
    let event = format!("{{\"text\":\"{}\"}}", "a".repeat(MEBIBYTE - 11));
    assert_eq!(matched(&patterns, &event), Err(OutOfSteps));
    let event = format!("{{\"text\":[\"a\"{}]}}", ",\"a\"".repeat(MEBIBYTE / 5));
    assert_eq!(matched(&patterns, &event), Err(OutOfSteps));
    assert_eq!(matched(&patterns, r#"{"text":"a7bx"}"#).map(|(_, wanting)| wanting), Ok(1));
    let prefixes: Vec<Value> = (0..600).map(|number| json!({"prefix": number.to_string()})).collect();
    let event = format!("{{\"text\":[\"a\"{}]}}", ",\"a\"".repeat(1000));
    assert!(matched(&[pattern(&json!({"text": prefixes}))], &event).is_ok());
}

#[test]
fn of_a_name_that_comes_twice_the_last_value_counts() {
    let check = |wanted: Value, event: &str, expect: bool| {
        assert_eq!(pattern(&wanted).matches(event), expect, "{wanted} {event}");
    };
    check(json!({"a": [1]}), r#"{"a": 2, "a": 1}"#, true);
    check(json!({"a": [1]}), r#"{"a": 1, "a": 2}"#, false);
    check(json!({"a": {"b": [1]}}), r#"{"a": {"b": 1}, "a": {}}"#, false);
    check(json!({"a": [{"exists": false}]}), r#"{"a": 1, "a": {}}"#, true);
}

#[test]
fn whatever_is_accepted_as_json_is_matched() {
    let check = |wanted: &str, event: &str, expect: bool| {
        assert_eq!(EventPattern::parse(wanted).unwrap().matches(event), expect, "{wanted} {event}");
    };
    check(r#"{"kind": ["x"]}"#, r#"{"kind":"x","t":"cut \ud83d"}"#, true);
    check(r#"{"kind": ["x"]}"#, r#"{"\udc00":1,"kind":"x"}"#, true);
    check(r#"{"t": [{"prefix": "cut "}]}"#, r#"{"kind":"x","t":"cut \ud83d"}"#, true);
    check(r#"{"t": ["cut \ud83d"]}"#, r#"{"t":"cut \ud83d"}"#, true);
    let deep = format!(r#"{{"deep":{}{},"kind":"x"}}"#, "[".repeat(200_000), "]".repeat(200_000));
    check(r#"{"kind": ["x"]}"#, &deep, true);
    check(r#"{"deep": [1]}"#, &deep, false);
    let deep = format!(r#"{{"deep":{}1{}}}"#, "[".repeat(200_000), "]".repeat(200_000));
    check(r#"{"deep": [1]}"#, &deep, true);
    check(r#"{"n": [1000000000000000000000]}"#, r#"{"n":1000000000000000000000}"#, true);
    check(r#"{"n": [1000000000000000000000]}"#, r#"{"n":1000000000000000000001}"#, false);
    check(r#"{"n": [{"numeric": [">", 1000000000000000000000]}]}"#, r#"{"n":1000000000000000000001}"#, true);
    check(r#"{"n": [0.1]}"#, r#"{"n":0.1000000000000000055511151231257827}"#, false);
    check(r#"{"n": [1.10]}"#, r#"{"n":1.1}"#, true);
    check(r#"{"n": [{"anything-but": 12345678901234567890123}]}"#, r#"{"n":12345678901234567890124}"#, true);
    check(r#"{"n": [{"numeric": ["<", 1]}]}"#, r#"{"n":-1e9999}"#, true);
    check(r#"{"kind": ["x"]}"#, "\u{feff}{\"kind\":\"x\"}", true);
}
