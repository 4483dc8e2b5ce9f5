//! What answers mean that are not as in the manifest's samples.

use hookmill_plugin::{Classification, Failure, Value, json, test};
use json_error::classify;

fn run(body: &str, settings: Value) -> Result<Classification, Failure> {
    test::classify(classify, test::answer(200, body), test::event("{}"), test::target(settings))
}

#[test]
fn nothing_is_no_error() {
    for nothing in ["null", "false", "0", "0.0", "\"\"", "[]", "{}"] {
        let body = format!(r#"{{"error": {nothing}, "errors": {nothing}}}"#);
        assert_eq!(run(&body, json!({})), Ok(Classification::NoOpinion), "{nothing}");
    }
    for error in ["true", "1", "[0]", r#"{"code":null}"#] {
        let expected = Classification::retry(format!("/error: {error}"));
        assert_eq!(run(&format!(r#"{{"error": {error}}}"#), json!({})), Ok(expected), "{error}");
    }
}

#[test]
fn only_false_is_no_success() {
    let check = |body: &str, expect: Classification| assert_eq!(run(body, json!({})), Ok(expect), "{body}");
    check(r#"{"success": false}"#, Classification::retry("/success: false"));
    check(r#"{"ok": "false"}"#, Classification::NoOpinion);
    check(r#"{"ok": null}"#, Classification::NoOpinion);
    // What an error says is worth more than that there is one.
    check(r#"{"ok": false, "error": "busy"}"#, Classification::retry("/error: busy"));
}

#[test]
fn what_is_no_json_means_its_status() {
    for body in ["", "ok", "{", "[]", "null", "\"error\""] {
        assert_eq!(run(body, json!({})), Ok(Classification::NoOpinion), "{body}");
    }
    let answer = test::answer(200, [0xff]);
    let found = test::classify(classify, answer, test::event("{}"), test::target("{}"));
    assert_eq!(found, Ok(Classification::NoOpinion));
}

#[test]
fn no_places_are_no_errors() {
    let settings = json!({"errors": [], "successes": []});
    assert_eq!(run(r#"{"ok": false, "error": 1}"#, settings), Ok(Classification::NoOpinion));
}

#[test]
fn long_errors_are_cut_at_a_character() {
    let body = json!({"error": "\u{e9}".repeat(300)}).to_string();
    let Ok(Classification::Retry(reason)) = run(&body, json!({})) else { panic!("a retry") };
    assert_eq!(reason, format!("/error: {}...", "\u{e9}".repeat(200)));
}

#[test]
fn settings_that_are_none_fail() {
    let failure = run("{}", json!({"thn": "fail"})).expect_err("an unknown setting");
    assert!(failure.reason().starts_with("the endpoint's settings: unknown field `thn`"), "{failure}");
}
