//! What filters make of events, and what is said about those that can't.

use hookmill_plugin::{Failure, Outcome, Result, json, test};
use jaq_core::load::parse::Def;
use jq::{definitions, reshape};

const BODY: &str = r#"{"id": 12345678901234567890123, "price": 1.10, "tags": ["b", "a", "b"], "to": {"name": "Ada"}, "none": null}"#;

fn run(filter: &str, body: &str) -> Result<Outcome> {
    test::run(reshape, test::event(body), test::target(json!({"filter": filter})))
}

/// The bodies that a filter makes of the event above.
fn bodies(filter: &str) -> Vec<String> {
    let outcome = run(filter, BODY).unwrap_or_else(|failure| panic!("{filter}: {failure}"));
    outcome.requests().iter().map(|request| request.body.text().unwrap_or_default().to_owned()).collect()
}

#[test]
fn the_manifests_samples_hold() {
    test::samples(reshape, include_str!("../plugin.json"));
}

#[test]
fn definitions_are_jaqs() {
    let own = jaq_core::load::parse(include_str!("../build/own.jq"), |parser| parser.defs()).expect("own.jq");
    let is_own = |definition: &Def<&str>| {
        own.iter().any(|own| (own.name, own.args.len()) == (definition.name, definition.args.len()))
    };
    let jaqs = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
    let jaqs = jaqs.filter(|definition| !definition.name.starts_with("halt") && !is_own(definition));
    let mut ours = definitions::ALL.iter();
    for theirs in jaqs.chain(own.iter().cloned()) {
        let our = ours.next().expect("as many definitions");
        let read = jaq_core::load::parse(our.text, |parser| parser.defs()).expect(our.text);
        assert_eq!(format!("{read:?}"), format!("{:?}", [theirs]), "{}", our.text);
    }
    assert!(ours.next().is_none());
}

#[test]
fn definitions_need_what_is_before_them() {
    for (index, definition) in definitions::ALL.iter().enumerate() {
        assert!(definition.needs.iter().all(|needed| *needed < index), "{definition:?}");
    }
    let names = |filter: &str| -> Vec<&str> {
        definitions::needed(filter).iter().map(|definition| definition.name).collect()
    };
    assert_eq!(names(". + 1"), [""; 0]);
    assert_eq!(names("map(.a)"), ["map"]);
    assert_eq!(names("{a: @base64}"), ["tostring", "@base64"]);
}

#[test]
fn every_definition_compiles_alone() {
    for definition in definitions::ALL {
        // A field of its name brings it in, without calling it.
        let filter = format!("[.. | objects | .\"{}\"?] | length", definition.name);
        assert!(run(&filter, "{}").is_ok(), "{}", definition.name);
    }
}

#[test]
fn filters_are_jqs() {
    let check = |filter: &str, expect: &str| assert_eq!(bodies(filter), [expect], "{filter}");
    check("{id, price}", r#"{"id":12345678901234567890123,"price":1.10}"#);
    check(".tags | unique | join(\"+\")", r#""a+b""#);
    check("del(.tags, .id, .none)", r#"{"to":{"name":"Ada"},"price":1.10}"#);
    check(
        "[.tags | group_by(.)[] | {tag: .[0], count: length}]",
        r#"[{"tag":"a","count":1},{"tag":"b","count":2}]"#,
    );
    check("to_entries | map(select(.value | type == \"object\")) | from_entries", r#"{"to":{"name":"Ada"}}"#);
    check("with_entries(select(.key | test(\"^t\"))) | keys", r#"["tags","to"]"#);
    check("[paths(type == \"string\") | tostring] | last", r#""[\"to\",\"name\"]""#);
    check(".to.name | ascii_downcase | @base64", r#""YWRh""#);
    check("\"\\(.to.name)!\" | @json \"x\\(.)\"", r#""x\"Ada!\"""#);
    check(".to.name | gsub(\"(?<first>^.)\"; \"\\(.first).\")", r#""A.da""#);
    check("reduce .tags[] as $tag ({}; .[$tag] += 1)", r#"{"b":2,"a":1}"#);
    check("try error(\"no\") catch .", r#""no""#);
    check("[limit(3; repeat(1))]", "[1,1,1]");
    check("def twice: . * 2; .price | twice", "2.2");
    check("walk(if type == \"string\" then ascii_upcase else . end) | .to", r#"{"name":"ADA"}"#);
    check("1 as $x | [$x, $x + 1] | add # a comment", "3");
    check("0 | todate", r#""1970-01-01T00:00:00Z""#);
    check("label $out | .tags[] | if . == \"a\" then ., break $out else empty end", r#""a""#);
}

#[test]
fn variables_tell_of_event_and_settings() {
    let event = test::event("1").id("msg_1").event_type("a.b").uid("u").channel("c").accepted_at_ms(1500);
    let settings = json!({"filter": "[$event, $settings.unit, now]", "unit": {"name": "x"}});
    let outcome = test::run(reshape, event, test::target(settings)).unwrap();
    let body: hookmill_plugin::Value = outcome.requests()[0].body.json().unwrap();
    let about = json!({"id": "msg_1", "type": "a.b", "uid": "u", "channels": ["c"], "accepted_at": 1500});
    assert_eq!(body, json!([about, {"name": "x"}, 1_720_775_666]));
}

#[test]
fn what_a_filter_says_is_logged() {
    let outcome = run("debug | debug(\"to \\(.to.name)\") | .price | stderr", BODY).unwrap();
    assert_eq!(outcome.requests()[0].body.text(), Some("1.10"));
    let log = test::log();
    assert!(log[0].starts_with("debug: {\"id\":12345678901234567890123,"), "{log:?}");
    assert_eq!(log[1..], ["debug: to Ada", "info: 1.10"]);
}

#[test]
fn several_values_are_several_requests() {
    let outcome = run(".tags[]", BODY).unwrap();
    let parts: Vec<_> = outcome.requests().iter().map(|request| request.part_key.as_deref()).collect();
    assert_eq!(parts, [Some("1"), Some("2"), Some("3")]);
    assert_eq!(run(".tags[0]", BODY).unwrap().requests()[0].part_key, None);
    assert_eq!(run("range(16)", BODY).unwrap().requests().len(), 16);
    let reason = "the filter makes more than 16 values: an event becomes at most as many requests";
    assert_eq!(run("range(17)", BODY), Err(Failure::permanent(reason)));
    assert_eq!(run("repeat(1)", BODY), Err(Failure::permanent(reason)));
}

#[test]
fn nothing_drops_the_event() {
    let dropped = Outcome::drop("the filter makes nothing of this event");
    for filter in ["empty", "select(.price > 2)", ".tags[] | select(. == \"c\")", ".price.x?"] {
        assert_eq!(run(filter, BODY), Ok(dropped.clone()), "{filter}");
    }
}

#[test]
fn filters_that_cannot_be_compiled_are_refused_with_the_place() {
    let check = |filter: &str, reason: &str| {
        let reason = format!("the filter can't be compiled: {reason}");
        assert_eq!(run(filter, BODY), Err(Failure::permanent(reason)), "{filter}");
    };
    check(".a |", "line 1, column 5: expected term");
    check(".a | )", "line 1, column 6: expected token");
    check("{a: .b\n ,\n c: (.d}", "line 3, column 8: expected closing parenthesis");
    check("if . then 1", "line 1, column 12: expected else or end");
    check(".é | 0x", "line 1, column 2: expected token");
    check("\"é\" | nope", "line 1, column 7: there is no filter `nope/0`");
    check("map(.a; .b)", "line 1, column 1: there is no filter `map/2`");
    check("\n  $nope", "line 2, column 3: there is no variable `$nope`");
    check("break $out", "line 1, column 7: there is no label `$out`");
    check("a::b", "line 1, column 1: there is no module `a`");
    check("import \"a\" as a; .", "line 1, column 9: there are no modules to import");
    for outside in
        ["halt", "halt_error", "env", "input", "inputs", "$ENV", "input_filename", "get_search_list"]
    {
        let failure = run(outside, BODY).expect_err(outside);
        assert!(failure.reason().contains("line 1, column 1: there is no "), "{failure}");
    }
}

#[test]
fn what_fails_is_a_permanent_failure() {
    let check = |filter: &str, body: &str, reason: &str| {
        assert_eq!(run(filter, body), Err(Failure::permanent(reason)), "{filter} {body}");
    };
    check(".a.b", r#"{"a": 1}"#, "the filter: cannot index 1 with \"b\"");
    check("error(\"out of stock\")", "{}", "the filter: out of stock");
    check("1, error({code: 7})", "{}", "the filter: {\"code\":7}");
    check(".", "{", "the event's body: EOF while parsing an object at line 1 column 1");
    check(".", "NaN", "the event's body: expected value at line 1 column 1");
    check(
        "{a: nan}",
        "{}",
        "the filter makes what is not JSON, expected value at line 1 column 6: {\"a\":NaN}",
    );
    check(
        "{(1|tojson): 1} | {([1]): 2}",
        "{}",
        "the filter makes what is not JSON, key must be a string at line 1 column 2: {[1]:2}",
    );
    check(
        "[1] | tobytes",
        "{}",
        "the filter makes what is not JSON, expected value at line 1 column 1: b\"\\x01\"",
    );
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    check(".", &deep, "the event's body: nested deeper than 128 levels");
    let just = format!("{}\"[[\\\"[\"{}", "[".repeat(128), "]".repeat(128));
    assert!(run(".", &just).is_ok());
    let failure = test::run(reshape, test::event("{}"), test::target("{}")).expect_err("no filter");
    assert!(failure.reason().starts_with("the endpoint's settings: missing field `filter`"), "{failure}");
}

/// jq's manual, section by section: each block is a filter, an event, and the values that come of it, as jq 1.7 gives them;
/// `error` where it gives none.
#[test]
fn the_manual_holds() {
    let mut wrong = Vec::new();
    for block in include_str!("manual.txt").split("\n\n").map(str::trim).filter(|block| !block.is_empty()) {
        let lines: Vec<&str> = block.lines().filter(|line| !line.starts_with("# ")).collect();
        let [filter, event, expected @ ..] = lines.as_slice() else { continue };
        // A list of results, so that none and a single one are told apart.
        let results = match run(&format!("[{filter}]"), event) {
            Ok(outcome) => outcome.requests()[0].body.text().unwrap_or_default().to_owned(),
            Err(failure) => format!("error: {failure}"),
        };
        let expect = format!("[{}]", expected.join(","));
        let holds = if *expected == ["error"] {
            results.starts_with("error")
        } else {
            let json =
                |text: &str| hookmill_plugin::serde_json::from_str::<hookmill_plugin::Value>(text).ok();
            json(&results).is_some() && json(&results) == json(&expect)
        };
        if !holds {
            wrong.push(format!("{filter}\n  of {event}\n  gives   {results}\n  and not {expect}"));
        }
    }
    assert!(wrong.is_empty(), "{} of the manual's:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_text_that_was_cut_in_a_character_is_read() {
    let outcome = run(".t", r#"{"t": "cut \ud83d"}"#).unwrap();
    assert_eq!(outcome.requests()[0].body.text(), Some("\"cut \u{fffd}\""));
}
