//! Manifests as authors write them, right and wrong.

mod judging;

use http::StatusCode;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::limits::SOURCE_EVENTS_MAX;
use crate::plugin::{ClassifiedAnswers, PluginBinding, PluginDigest};

/// Any small JSON, with awkward keys.
pub(super) fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3..3_i64).prop_map(Value::from),
        (-3.0..3.0).prop_map(|number: f64| Value::from(number.round())),
        any::<f64>()
            .prop_filter("JSON has no such numbers", |number| number.is_finite())
            .prop_map(Value::from),
        "[a-c\"\\\\é\n]{0,4}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec(("[ab/~0]{0,2}", inner), 0..5)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

fn transform() -> Value {
    json!({
        "manifest": 1,
        "name": "slack",
        "version": "1.2.0",
        "description": "One line.",
        "world": "transform",
        "settings_schema": {"type": "object", "properties": {"channel": {"type": "string"}}},
        "secrets": [{"name": "slack_token", "description": "A bot's token."}],
        "samples": [{
            "name": "renamed",
            "event": {"type": "user.created", "body": {"name": "Ada"}},
            "settings": {"channel": "#ops"},
            "expect": {"deliver": [{"headers": {"X-Kind": "user"}, "body": {"text": "Ada"}}]},
        }],
    })
}

fn source() -> Value {
    json!({
        "manifest": 1, "name": "mailgun", "version": "1", "description": "", "world": "source",
        "samples": [{
            "name": "delivered",
            "request": {"headers": {"Content-Type": "application/json"}, "body": {"event": "delivered"}},
            "expect": {"accept": [{"type": "mail.delivered", "body": {"ok": true}}]},
        }],
    })
}

fn classifier() -> Value {
    json!({
        "manifest": 1, "name": "kinds", "version": "1", "description": "", "world": "classifier",
        "samples": [{
            "name": "a refusal in disguise",
            "response": {"status": 200, "body": {"ok": false}},
            "expect": {"retry": "not ok"},
        }],
    })
}

fn parse(manifest: &Value) -> Result<Manifest, ManifestError> {
    Manifest::parse(manifest.to_string().as_bytes())
}

fn set(manifest: &mut Value, pointer: &str, value: Value) {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    match manifest.pointer_mut(parent).unwrap() {
        Value::Object(entries) => {
            entries.insert(key.replace("~1", "/"), value);
        }
        Value::Array(items) => items[key.parse::<usize>().unwrap()] = value,
        other => panic!("{other} has nothing below it"),
    }
}

#[test]
fn reads_each_world() {
    for (manifest, world) in
        [(transform(), World::Transform), (source(), World::Source), (classifier(), World::Classifier)]
    {
        let read = parse(&manifest).unwrap();
        assert_eq!(read.world, world);
        assert_eq!(read.samples.len(), 1);
        assert_eq!(read.check_component(world), Ok(()));
        let other = World::ALL.into_iter().find(|other| *other != world).unwrap();
        let error = read.check_component(other).unwrap_err();
        assert_eq!((error.code(), error.pointer.as_str()), ("manifest_world_differs", "/world"));
    }
}

#[test]
fn samples_need_not_be_there() {
    let manifest = json!({"manifest": 1, "name": "a", "version": "1", "description": "", "world": "source"});
    let read = parse(&manifest).unwrap();
    assert!(read.samples.is_empty() && read.secrets.is_empty() && read.settings_schema.is_none());
}

#[test]
fn is_written_in_one_way() {
    let shuffled: Map<String, Value> = transform()
        .as_object()
        .unwrap()
        .iter()
        .rev()
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let pretty = serde_json::to_string_pretty(&Value::Object(shuffled)).unwrap();
    let text = Manifest::parse(pretty.as_bytes()).unwrap().to_json();
    assert_eq!(text, transform().to_string());
    assert_eq!(Manifest::parse(text.as_bytes()).unwrap().to_json(), text);
}

#[test]
fn a_transforms_run_has_all_that_the_sample_says() {
    let mut manifest = transform();
    set(&mut manifest, "/samples/0/url", json!("https://hooks.example:8443/x"));
    set(&mut manifest, "/samples/0/attempt", json!(3));
    set(&mut manifest, "/samples/0/now_ms", json!(7));
    set(&mut manifest, "/samples/0/event/uid", json!("order-7"));
    set(&mut manifest, "/samples/0/event/channels", json!(["eu"]));
    let read = parse(&manifest).unwrap();
    let digest = PluginDigest::of(b"component");
    let SampleRun::Transform(run) = read.samples[0].run(digest) else { panic!("a transform") };
    assert_eq!(run.digest, digest);
    assert_eq!(run.event.body, r#"{"name":"Ada"}"#);
    assert_eq!(run.event.uid.as_ref().unwrap().as_str(), "order-7");
    assert_eq!(run.event.channels.as_slice().len(), 1);
    assert_eq!(run.endpoint.url.as_str(), "https://hooks.example:8443/x");
    assert_eq!((run.attempt, run.now.0, &*run.settings), (3, 7, r##"{"channel":"#ops"}"##));
    assert_eq!(run.secrets.get("slack_token").unwrap().expose(), b"sample-secret-slack_token");
    let SampleRun::Transform(again) = parse(&manifest).unwrap().samples[0].run(digest) else { panic!() };
    assert_eq!((&again.event, again.endpoint.id), (&run.event, run.endpoint.id), "each time the same");
}

#[test]
fn a_classifier_says_which_answers_it_reads() {
    let mut manifest = classifier();
    assert_eq!(parse(&manifest).unwrap().answers, ClassifiedAnswers::Successes);
    for choice in ClassifiedAnswers::ALL {
        manifest["answers"] = json!(choice.as_str());
        assert_eq!(parse(&manifest).unwrap().answers, choice);
    }
    manifest["answers"] = json!("failures");
    assert_eq!(parse(&manifest).unwrap_err().pointer, "/answers");
    let mut manifest = transform();
    manifest["answers"] = json!("all");
    assert_eq!(parse(&manifest).unwrap_err().pointer, "/answers");
}

#[test]
fn a_transform_may_look_at_settings_itself() {
    let mut manifest = transform();
    assert!(!parse(&manifest).unwrap().checks_settings);
    manifest["checks_settings"] = json!(true);
    assert!(parse(&manifest).unwrap().checks_settings);
    manifest["checks_settings"] = json!("yes");
    assert_eq!(parse(&manifest).unwrap_err().pointer, "/checks_settings");
    let mut manifest = source();
    manifest["checks_settings"] = json!(true);
    assert_eq!(parse(&manifest).unwrap_err().pointer, "/checks_settings");

    let binding =
        PluginBinding { settings: r#"{"a":1}"#.into(), ..PluginBinding::new("jq".parse().unwrap()) };
    let owner = crate::id::ApplicationId::new(crate::time::UnixMillis(1), 1);
    let run = settings_check(Some(owner), PluginDigest::of(b"jq"), &binding);
    assert_eq!(run.endpoint.application, owner, "it takes turns with its owner's other runs");
    assert_eq!((run.event.event_type.as_str(), &*run.event.body), (SETTINGS_CHECK_EVENT, &b"{}"[..]));
    assert_eq!((&*run.settings, run.attempt), (r#"{"a":1}"#, 1));
}

#[test]
fn the_other_worlds_runs_have_all_that_the_sample_says() {
    let mut manifest = source();
    set(&mut manifest, "/samples/0/request/path", json!("/eu"));
    set(&mut manifest, "/samples/0/request/query", json!("a=1"));
    let digest = PluginDigest::of(b"component");
    let SampleRun::Source(run) = parse(&manifest).unwrap().samples[0].run(digest) else { panic!("a source") };
    assert_eq!((run.request.method.as_str(), run.request.path.as_str()), ("POST", "/eu"));
    assert_eq!(run.request.headers["content-type"], "application/json");
    assert_eq!((&*run.source, &*run.settings, run.request.query.as_str()), ("sample", "{}", "a=1"));

    let mut manifest = classifier();
    set(&mut manifest, "/samples/0/response", json!({"status": 503, "body_base64": "/w=="}));
    let SampleRun::Classifier(run) = parse(&manifest).unwrap().samples[0].run(digest) else { panic!() };
    assert_eq!((run.response.status, &run.response.body[..]), (StatusCode::SERVICE_UNAVAILABLE, &[255][..]));
    assert_eq!(run.attempt, 1);
}

#[test]
fn says_what_is_wrong_and_where() {
    let check = |of: fn() -> Value, place: &str, value: Value, pointer: &str, code: &str| {
        let mut manifest = of();
        set(&mut manifest, place, value);
        let error = parse(&manifest).unwrap_err();
        assert_eq!((error.pointer.as_str(), error.code()), (pointer, code), "{error}");
    };
    let at = |place: &str, value: Value, code: &str| check(transform, place, value, place, code);
    at("/manifest", json!(2), "manifest_version");
    at("/manifest", json!("1"), "manifest_type");
    at("/name", json!("Slack"), "manifest_value");
    at("/name", json!(null), "manifest_type");
    at("/version", json!(""), "manifest_text_length");
    at("/version", json!("v".repeat(65)), "manifest_text_length");
    at("/version", json!("1\n2"), "manifest_value");
    at("/description", json!("d".repeat(1001)), "manifest_text_length");
    at("/world", json!("filter"), "manifest_value");
    at("/licence", json!("MIT"), "manifest_key_unknown");
    at("/secrets", json!({}), "manifest_type");
    at("/secrets", json!(vec![json!({"name": "a"}); 17]), "manifest_count");
    at("/secrets/0/name", json!("Token"), "manifest_value");
    check(
        transform,
        "/secrets",
        json!([{"name": "a"}, {"name": "a"}]),
        "/secrets/1/name",
        "manifest_name_repeated",
    );
    check(transform, "/secrets", json!([{}]), "/secrets/0", "manifest_key_missing");
    check(
        transform,
        "/secrets",
        json!([{"name": "a", "value": "x"}]),
        "/secrets/0/value",
        "manifest_key_unknown",
    );
    at("/samples", json!(vec![json!({}); 33]), "manifest_count");
    at("/samples/0/request", json!({}), "manifest_key_unknown");
    at("/samples/0/name", json!(""), "manifest_text_length");
    at("/samples/0/event/type", json!("a b"), "manifest_value");
    at("/samples/0/event/id", json!("ep_1"), "manifest_value");
    at("/samples/0/event/channels", json!(["a", "a"]), "manifest_value");
    at("/samples/0/event/content_type", json!("é"), "manifest_value");
    let both = json!({"type": "a", "body": 1, "body_text": ""});
    check(transform, "/samples/0/event", both, "/samples/0/event", "manifest_not_one_key");
    at("/samples/0/url", json!("ftp://example.com"), "manifest_value");
    at("/samples/0/attempt", json!(0), "manifest_value");
    at("/samples/0/now_ms", json!(-1), "manifest_type");
    at("/samples/0/settings/channel", json!(7), "manifest_sample_settings");
    at("/samples/0/expect", json!({}), "manifest_not_one_key");
    at("/samples/0/expect", json!({"drop": "a", "fail": "b"}), "manifest_not_one_key");
    at("/samples/0/expect/accept", json!([]), "manifest_key_unknown");
    at("/samples/0/expect/deliver", json!({}), "manifest_type");
    at("/samples/0/expect/deliver", json!(vec![json!({}); 17]), "manifest_count");
    at("/samples/0/expect/deliver/0/method", json!("GET /"), "manifest_value");
    at("/samples/0/expect/deliver/0/url", json!("/x"), "manifest_value");
    at("/samples/0/expect/deliver/0/part_key", json!(""), "manifest_value");
    at("/samples/0/expect/deliver/0/headers", json!({"a b": ""}), "manifest_value");
    at("/samples/0/expect/deliver/0/headers", json!([]), "manifest_type");
    let twice = json!({"A": "", "a": ""});
    check(
        transform,
        "/samples/0/expect/deliver/0/headers",
        twice,
        "/samples/0/expect/deliver/0/headers/a",
        "manifest_value",
    );
    at("/samples/0/expect/deliver/0/headers/X-Kind", json!(7), "manifest_type");
    let bodiless = json!([{"method": "POST"}]);
    check(
        transform,
        "/samples/0/expect/deliver",
        bodiless,
        "/samples/0/expect/deliver/0",
        "manifest_not_one_key",
    );
    let in_source = |place: &str, value: Value, code: &str| check(source, place, value, place, code);
    in_source("/samples/0/event", json!({}), "manifest_key_unknown");
    in_source("/samples/0/source", json!(""), "manifest_text_length");
    in_source("/samples/0/request/method", json!(""), "manifest_value");
    in_source("/samples/0/request/path", json!("eu"), "manifest_value");
    in_source("/samples/0/request/headers/x", json!("a\r\nb"), "manifest_value");
    in_source("/samples/0/expect/accept/0/type", json!(""), "manifest_value");
    in_source("/samples/0/expect/accept/0/uid", json!("a/b"), "manifest_value");
    in_source("/samples/0/expect/accept", json!(vec![json!({}); SOURCE_EVENTS_MAX + 1]), "manifest_count");
    let reply = |status: u64| json!({"reply": {"status": status}});
    check(source, "/samples/0/expect", reply(199), "/samples/0/expect/reply/status", "manifest_value");
    let in_classifier = |place: &str, value: Value, code: &str| check(classifier, place, value, place, code);
    in_classifier("/samples/0/response/status", json!(99), "manifest_value");
    let two = json!({"status": 200, "body": 1, "body_base64": ""});
    check(classifier, "/samples/0/response", two, "/samples/0/response", "manifest_not_one_key");
    let bad = json!({"status": 200, "body_base64": "!"});
    check(classifier, "/samples/0/response", bad, "/samples/0/response/body_base64", "manifest_value");
    let no = json!({"delivered": false});
    check(classifier, "/samples/0/expect", no, "/samples/0/expect/delivered", "manifest_value");
}

#[test]
fn a_sample_name_may_stand_once() {
    let mut manifest = transform();
    let sample = manifest["samples"][0].clone();
    set(&mut manifest, "/samples", json!([sample, sample]));
    let error = parse(&manifest).unwrap_err();
    assert_eq!((error.pointer.as_str(), error.code()), ("/samples/1/name", "manifest_name_repeated"));
}

#[test]
fn each_needed_key_is_missed() {
    for key in ["manifest", "name", "version", "description", "world"] {
        let mut manifest = transform();
        manifest.as_object_mut().unwrap().remove(key).unwrap();
        let error = parse(&manifest).unwrap_err();
        assert_eq!((error.pointer.as_str(), error.code()), ("", "manifest_key_missing"));
        assert!(error.to_string().contains(&format!("`{key}`")), "{error}");
    }
}

#[test]
fn text_that_is_no_manifest_is_refused() {
    let check = |text: &[u8], code: &str| {
        let error = Manifest::parse(text).unwrap_err();
        assert_eq!((error.pointer.as_str(), error.code()), ("", code));
        assert!(error.to_string().len() < 300, "{error}");
    };
    check(b"", "manifest_not_json");
    check(b"{", "manifest_not_json");
    check(b"\xff", "manifest_not_json");
    check(b"[]", "manifest_type");
    check(format!("{{\"a\": 1e{}}}", "9".repeat(40)).as_bytes(), "manifest_not_json");
    check("[".repeat(100_000).as_bytes(), "manifest_not_json");
    check(&vec![b' '; MANIFEST_BYTES_MAX + 1], "manifest_too_long");
    let long_key = format!("{{\"{}\": 1}}", "k".repeat(100 << 10));
    let error = Manifest::parse(long_key.as_bytes()).unwrap_err();
    assert_eq!(error.code(), "manifest_key_unknown");
    assert!(error.to_string().len() < 300, "{error}");
}

proptest! {
    #[test]
    fn no_text_is_too_strange(manifest in any_json(), place in 0..8_usize) {
        let places = ["/settings_schema", "/secrets", "/samples", "/samples/0", "/samples/0/event",
            "/samples/0/expect", "/samples/0/expect/deliver/0", "/samples/0/settings"];
        let mut changed = transform();
        set(&mut changed, places[place], manifest);
        if let Err(error) = parse(&changed) {
            prop_assert!(error.pointer.starts_with(places[place]) || changed.pointer(&error.pointer).is_some());
        }
    }
}
