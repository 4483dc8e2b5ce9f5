//! What events become as CloudEvents. The expected requests are those of the conformance suite's feature "HTTP protocol
//! binding" (`http-protocol-binding.feature` of CloudEvents 1.0).

use cloudevents::reshape;
use hookmill_plugin::{Body, Failure, Header, Request, Result, Value, json, test};

const BODY: &str = r#"{
    "message": "Hello World!"
}"#;

/// 2018-04-05T03:56:24Z, when the conformance suite's event happened.
const ACCEPTED_AT_MS: u64 = 1_522_900_584_000;

fn request(content_type: &str, body: &[u8], settings: &Value) -> Result<Request> {
    let event = test::event(body)
        .id("1234-1234-1234")
        .event_type("com.example.someevent")
        .accepted_at_ms(ACCEPTED_AT_MS)
        .content_type(content_type);
    test::run(reshape, event, test::target(settings)).map(|outcome| outcome.requests()[0].clone())
}

/// The headers that are set, in their order.
fn headers(request: &Request) -> Vec<(&str, &str)> {
    request
        .headers
        .iter()
        .map(|header| match header {
            Header::Set { name, value } => (name.as_str(), value.as_str()),
            other => panic!("only set headers, not {other:?}"),
        })
        .collect()
}

#[test]
fn the_manifests_samples_hold() {
    test::samples(reshape, include_str!("../plugin.json"));
}

#[test]
fn binary_mode_is_the_conformance_suites() {
    for content_type in ["application/json", "application/json; charset=utf-8"] {
        let settings = json!({"mode": "binary", "source": "/mycontext/subcontext"});
        let request = request(content_type, BODY.as_bytes(), &settings).unwrap();
        let expect = [
            ("ce-specversion", "1.0"),
            ("ce-id", "1234-1234-1234"),
            ("ce-source", "/mycontext/subcontext"),
            ("ce-type", "com.example.someevent"),
            ("ce-time", "2018-04-05T03:56:24Z"),
        ];
        assert_eq!(headers(&request), expect);
        // The router keeps content type and body as they came.
        assert_eq!(request.body, Body::Original);
    }
}

#[test]
fn structured_mode_is_the_conformance_suites() {
    let settings = json!({"source": "/mycontext/subcontext"});
    let request = request("application/json", BODY.as_bytes(), &settings).unwrap();
    assert_eq!(headers(&request), [("content-type", "application/cloudevents+json; charset=utf-8")]);
    let expect = concat!(
        r#"{"specversion":"1.0","id":"1234-1234-1234","source":"/mycontext/subcontext","type":"com.example.someevent","#,
        r#""time":"2018-04-05T03:56:24Z","datacontenttype":"application/json","data":"#,
        "{\n    \"message\": \"Hello World!\"\n}}",
    );
    assert_eq!(request.body.text(), Some(expect), "the data keeps its text");
}

#[test]
fn a_batch_has_one() {
    let request = request("application/json", b"1", &json!({"mode": "batch"})).unwrap();
    assert_eq!(headers(&request), [("content-type", "application/cloudevents-batch+json; charset=utf-8")]);
    let batch: Value = request.body.json().unwrap();
    assert_eq!(batch.as_array().map(Vec::len), Some(1));
    assert_eq!(batch[0]["data"], 1);
}

#[test]
fn header_values_are_percent_encoded() {
    let check = |subject: &str, expect: &str| {
        let settings = json!({"mode": "binary", "subject": "{{/s}}"});
        let body = json!({"s": subject}).to_string();
        let request = request("application/json", body.as_bytes(), &settings).unwrap();
        assert_eq!(request.header_value("ce-subject"), Some(expect));
    };
    check("/a/b?c=d#e", "/a/b?c=d#e");
    // The examples of section 3.1.3.2.
    check("Euro € 😀", "Euro%20%E2%82%AC%20%F0%9F%98%80");
    check("\"50%\"", "%2250%25%22");
    check("~!&'", "~!&'");
}

#[test]
fn data_is_what_its_type_says() {
    let check = |content_type: &str, body: &[u8], expect: Value| {
        let request = request(content_type, body, &json!({})).unwrap();
        let mut event: Value = request.body.json().unwrap();
        let event = event.as_object_mut().unwrap();
        event.retain(|name, _| name.starts_with("data"));
        assert_eq!(Value::Object(event.clone()), expect, "{content_type}");
    };
    check("text/plain", b"a \"b\"", json!({"datacontenttype": "text/plain", "data": "a \"b\""}));
    check("text/json", b"[1]", json!({"datacontenttype": "text/json", "data": [1]}));
    check(
        "application/ld+json; x=y",
        b"[1]",
        json!({"datacontenttype": "application/ld+json; x=y", "data": [1]}),
    );
    check("application/xml", b"<a/>", json!({"datacontenttype": "application/xml", "data": "<a/>"}));
    check("image/png", &[0x89, b'P', 0xff], json!({"datacontenttype": "image/png", "data_base64": "iVD/"}));
}

#[test]
fn data_may_be_a_part_of_the_body() {
    let body = br#"{"payload": {"n": 1.50}, "at": "2024-07-12T09:14:26.5+05:30"}"#;
    let settings = json!({"data": "/payload", "time": "{{/at}}"});
    let structured = request("application/vnd.x+json", body, &settings).unwrap();
    let event = structured.body.text().unwrap();
    assert!(event.contains(r#""time":"2024-07-12T09:14:26.5+05:30""#), "{event}");
    assert!(event.ends_with(r#""datacontenttype":"application/json","data":{"n": 1.50}}"#), "{event}");
    let binary = request("application/json", body, &json!({"mode": "binary", "data": "/payload"})).unwrap();
    assert_eq!(binary.body.text(), Some(r#"{"n": 1.50}"#));
    assert_eq!(binary.header_value("content-type"), Some("application/json"));
}

#[test]
fn what_is_no_cloud_event_is_a_permanent_failure() {
    let check = |body: &str, settings: Value, reason: &str| {
        let found = request("application/json", body.as_bytes(), &settings).map(|_| ());
        assert_eq!(found, Err(Failure::permanent(reason)), "{settings}");
    };
    check("{}", json!({"id": "{{/id}}"}), "the attribute `id` is empty, CloudEvents wants a value");
    check("{}", json!({"source": ""}), "the attribute `source` is empty, CloudEvents wants a value");
    check(
        "{}",
        json!({"time": "today"}),
        "the attribute `time` is `today`, CloudEvents wants a time of RFC 3339",
    );
    check(
        r#"{"s": "a\nb"}"#,
        json!({"subject": "{{/s}}"}),
        "the attribute `subject` has a control character, which CloudEvents forbids",
    );
    check(
        "{}",
        json!({"extensions": {"traceParent": "1"}}),
        "the attribute `traceParent` is no name of an extension: these have lower-case letters and digits",
    );
    check(
        "{}",
        json!({"extensions": {"data": "1"}}),
        "the attribute `data` is no extension: it has a meaning of its own",
    );
    check("{}", json!({"data": "/payload"}), "/payload: missing from the event, it should be the data");
    check("{", json!({}), "the event's body is not JSON: EOF while parsing an object at line 1 column 1");
}
