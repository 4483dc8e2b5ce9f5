//! What the document leaves open and the module states.

use http::HeaderValue;
use http::header::CONTENT_TYPE;

use super::super::CompositionFault;
use super::*;
use crate::plugin::BoundSecrets;
use crate::request::build;
use crate::test_values::{endpoint, event as test_event};

fn event() -> Value {
    json_value(
        r#"{"id": "root", "n": 7, "float": 1.5, "flag": true, "nothing": null, "text": "a \"b\"/ä&c=d+e %",
            "object": {"k": [1, "two"]}, "payload": {"id": "below", "status": "sent", "to": "49"}}"#,
    )
}

#[test]
fn a_template_keeps_its_numbers_as_written() {
    let check = |json: &str, expect: &str| {
        let request = render(json_body(json), &json_value(r#"{"id": 1}"#)).unwrap();
        assert_eq!(text_of(&request), expect, "{json}");
    };
    check("1.10", "1.10");
    check(
        r#"{ "a": [1.10, 1e2, 1000000000000000000000] , "\u0041": "\ud83d" }"#,
        r#"{"a":[1.10,1e2,1000000000000000000000],"\u0041":"\ud83d"}"#,
    );
    check(r#"{"n": -0.0, "id": "@{{id}}"}"#, r#"{"n":-0.0,"id":1}"#);
}

#[test]
fn a_value_is_the_first_that_is_there() {
    let check = |event: &str, variable: &str, expect: &str| {
        let request = render(raw_body(RawBody::Json(variable.into())), &json_value(event)).unwrap();
        assert_eq!(text_of(&request), expect, "{variable} of {event}");
    };
    check(r#"{"id":1,"payload":{"id":2}}"#, "@{{id}}", "1");
    check(r#"{"id":1,"payload":{"id":2}}"#, "@{{payload.id}}", "2");
    check(r#"{"payload":{"id":2}}"#, "@{{id}}", "2");
    check(r#"{"id":null,"payload":{"id":2}}"#, "@{{id}}", "null");
    check(r#"{"payload":{"payload":{"id":3}}}"#, "@{{payload.id}}", "3");
    check(r#"{"payload":{"mobile":1,"to":2}}"#, "@{{mobile}}", "1");
    check(r#"{"payload":{"to":2}}"#, "@{{mobile}}", "2");
    check(r#"{"payload":{"to":2}}"#, "@{{payload.mobile}}", "2");
    check(r#"{"to":1}"#, "@{{mobile}}", "1");
    check(r#"{"a":{"to":1}}"#, "@{{a.mobile}}", "null");
    check(r#"[{"a":1},{"b-c:$d_é":[5]}]"#, "@{{1.b-c:$d_é.0}}", "5");
    check("[1,2]", "@{{01}}", "null");
    check(r#"{"01":3}"#, "@{{01}}", "3");
    check(r#"{"0":4}"#, "@{{0}}", "4");
    check("[1]", "@{{99999999999999999999999}}", "null");
    check(r#"{"a":"text"}"#, "@{{a.0}}", "null");
}

#[test]
fn json_values_keep_their_type() {
    let check = |body: &str, expect: &str| {
        let request = render(json_body(body), &event()).unwrap();
        assert_eq!(text_of(&request), expect, "{body}");
        assert_eq!(header_of(&request, "content-type"), [b"application/json"]);
    };
    check(r#""@{{n}}""#, "7");
    check(r#"["@{{ n }}","@{{float}}","@{{flag}}","@{{nothing}}"]"#, "[7,1.5,true,null]");
    check(r#"{"o":"@{{object}}","i":"@{{object.k.1}}"}"#, r#"{"o":{"k":[1,"two"]},"i":"two"}"#);
    check(r#"[" @{{n}}","@{{n}}@{{n}}"]"#, r#"[" 7","77"]"#);
    check(
        r#"["<@{{object}}>","@{{flag}}!","@{{nothing}}."]"#,
        r#"["<{\"k\":[1,\"two\"]}>","true!","null."]"#,
    );
    check(r#"["@{{text}}","say: @{{text}}"]"#, r#"["a \"b\"/ä&c=d+e %","say: a \"b\"/ä&c=d+e %"]"#);
    check(r#"{"b":1,"a":[{},[]],"\"":"\n"}"#, r#"{"b":1,"a":[{},[]],"\"":"\n"}"#);
    // Keys are taken as they are.
    check(r#"{"@{{n}}":"@{{n}}","@{{":0}"#, r#"{"@{{n}}":7,"@{{":0}"#);
}

#[test]
fn missing_values_follow_the_rule() {
    let body = r#"{"a":"@{{payload.x}}","b":"b@{{payload.x}}","c":["@{{payload.x}}",1,"@{{n}}"],"d":{"e":"@{{payload.x}}"}}"#;
    let raw = |missing: MissingRule| RawComposition {
        url: "https://receiver.example/p/@{{payload.x}}?q=@{{payload.x}}&n=@{{n}}".to_owned(),
        headers: pairs(&[("x-a", "Bearer @{{payload.x}}"), ("x-n", "@{{n}}")]),
        missing,
        ..json_body(body)
    };
    let check = |missing: MissingRule, headers: &[&[u8]], expect: &str| {
        let request = render(raw(missing), &event()).unwrap();
        assert_eq!(request.url.as_str(), "https://receiver.example/p/?q=&n=7");
        assert_eq!(header_of(&request, "x-a"), headers);
        assert_eq!(header_of(&request, "x-n"), [b"7"]);
        assert_eq!(text_of(&request), expect);
    };
    check(MissingRule::Empty, &[b"Bearer"], r#"{"a":null,"b":"b","c":[null,1,7],"d":{"e":null}}"#);
    check(MissingRule::Omit, &[], r#"{"c":[1,7],"d":{}}"#);
    let error = render(raw(MissingRule::Fail), &event()).unwrap_err();
    assert_eq!(error.code(), "compose_value_missing");
    assert_eq!(error.to_string(), "the event has no `payload.x`, which the composed request needs");

    let whole = |missing| RawComposition { missing, ..json_body(r#""@{{payload.x}}""#) };
    assert_eq!(text_of(&render(whole(MissingRule::Omit), &event()).unwrap()), "null");
    let form = |missing| {
        let fields = [("a", "1@{{payload.x}}"), ("b", "@{{n}}"), ("b", "@{{nothing}}")];
        RawComposition { missing, ..form_body(&fields, FormEncoding::UrlEncoded) }
    };
    assert_eq!(text_of(&render(form(MissingRule::Empty), &event()).unwrap()), "a=1&b=7&b=null");
    assert_eq!(text_of(&render(form(MissingRule::Omit), &event()).unwrap()), "b=7&b=null");
    // What is there and null is not missing.
    let null = RawComposition { missing: MissingRule::Fail, ..json_body(r#""@{{nothing}}""#) };
    assert_eq!(text_of(&render(null, &event()).unwrap()), "null");
}

#[test]
fn values_in_a_url_are_data() {
    let check = |url: &str, expect: &str| {
        assert_eq!(render(raw(url), &event()).unwrap().url.as_str(), expect, "{url}");
    };
    check(
        "https://receiver.example/@{{text}}/x?q=@{{text}}",
        "https://receiver.example/a%20%22b%22%2F%C3%A4%26c%3Dd%2Be%20%25/x?q=a%20%22b%22%2F%C3%A4%26c%3Dd%2Be%20%25",
    );
    check("https://receiver.example?o=@{{object.k}}", "https://receiver.example/?o=%5B1%2C%22two%22%5D");
    check("https:receiver.example/a@b:@{{n}}", "https://receiver.example/a@b:7");
    check("https://receiver.example\\@{{n}}", "https://receiver.example/7");
    check("https://receiver.example/a/../b/./%2e%2E/@{{n}}?..", "https://receiver.example/7?..");
    check("https://receiver.example/ä b?ö", "https://receiver.example/%C3%A4%20b?%C3%B6");
}

#[test]
fn header_values_may_be_any_text_without_control_characters() {
    let check = |value: &str, expect: &[u8]| {
        let request = render(with_headers(&[("x-a", value), ("x-a", "again")]), &event()).unwrap();
        assert_eq!(header_of(&request, "x-a"), [expect, b"again"], "{value}");
    };
    check("Bearer @{{payload.id}}", b"Bearer below");
    check("@{{text}}", "a \"b\"/ä&c=d+e %".as_bytes());
    check(" @{{n}}\t", b"7");
    check("@{{object}}", br#"{"k":[1,"two"]}"#);
}

#[test]
fn the_operators_content_type_wins_but_not_over_a_boundary() {
    let headers = pairs(&[("Content-Type", "application/vnd.acme+json; v=@{{n}}")]);
    let request = render(RawComposition { headers: headers.clone(), ..json_body("{}") }, &event()).unwrap();
    assert_eq!(header_of(&request, "content-type"), [b"application/vnd.acme+json; v=7"]);
    let raw = RawComposition { headers, ..form_body(&[], FormEncoding::Multipart) };
    assert_eq!(Composition::restore(raw).unwrap_err().code(), "compose_multipart_content_type");
}

#[test]
fn a_host_may_vary_among_listed_origins_only() {
    let raw = |url: &str| RawComposition {
        allowed_origins: vec!["https://eu.receiver.example".to_owned(), "http://10.0.0.1:8080/".to_owned()],
        ..raw(url)
    };
    let check = |url: &str, host: &str, expect: Result<&str, &str>| {
        let event = Value::from_iter([("host", host)]);
        let rendered = render(raw(url), &event);
        let rendered = rendered.as_ref().map(|request| request.url.as_str()).map_err(CompositionError::code);
        assert_eq!(rendered, expect, "{url} {host}");
    };
    let url = "https://@{{host}}.receiver.example/x";
    check(url, "eu", Ok("https://eu.receiver.example/x"));
    check(url, "EU", Ok("https://eu.receiver.example/x"));
    check(url, "us", Err("compose_origin_not_allowed"));
    check(url, "evil.example/?", Err("url_host"));
    check(url, "evil@eu", Err("url_host"));
    check("http://@{{host}}/x", "10.0.0.1:8080", Err("url_host"));
    check("http://10.0.0.1:@{{host}}/x", "8080", Ok("http://10.0.0.1:8080/x"));
    check("http://10.0.0.1:@{{host}}/x", "80", Err("compose_origin_not_allowed"));
    check("@{{host}}", "https://eu.receiver.example", Err("url_invalid"));
    check("@{{host}}://eu.receiver.example/", "https", Ok("https://eu.receiver.example/"));
    check("@{{host}}://eu.receiver.example/", "http", Err("compose_origin_not_allowed"));
    check("https://@{{host}}@eu.receiver.example/", "user", Err("url_userinfo"));
    // A host that is written out must be among them too.
    check("https://eu.receiver.example/", "", Ok("https://eu.receiver.example/"));
    let error = refusal(raw("https://receiver.example/"), None);
    assert_eq!(error.code(), "compose_origin_not_allowed");
    assert_eq!(
        error.to_string(),
        "url: the origin `https://receiver.example` is not one of the allowed origins"
    );
}

#[test]
fn variables_are_checked_against_a_sample() {
    let check = |variable: &str, known: bool, known_by_sample: bool| {
        let raw = raw_body(RawBody::Json(format!("@{{{{{variable}}}}}").into()));
        assert_eq!(Composition::parse(raw.clone(), None).is_ok(), known, "{variable}");
        assert_eq!(
            Composition::parse(raw.clone(), Some(&document(&event()))).is_ok(),
            known_by_sample,
            "{variable}"
        );
        assert!(Composition::restore(raw).is_ok(), "{variable}");
    };
    check("status", true, true);
    check("submit_time", true, true);
    check("payload.submit_time", true, true);
    check("mobile", true, true);
    check("payload", true, true);
    check("event", true, false);
    check("n", false, true);
    check("object.k.1", true, true);
    check("object.k.2", true, false);
    check("payload.unknown", true, false);
    check("unknown", false, false);
}

#[test]
fn an_unknown_variable_comes_with_the_nearest_known_one() {
    let sample = json_value(r#"{"order": {"lines": [{"quantity": 1}]}, "payload": {"customer": 1}}"#);
    let check = |variable: &str, expect: Option<&str>| {
        let raw = raw_body(RawBody::Json(format!("@{{{{{variable}}}}}").into()));
        let InvalidComposition { fault, .. } = refusal(raw, Some(&sample));
        let variable = variable.to_owned();
        let nearest = expect.map(str::to_owned);
        assert_eq!(fault, CompositionFault::UnknownVariable { variable, nearest });
    };
    check("statsu", Some("status"));
    check("STATUS", Some("status"));
    check("deliveredat", Some("delivered_at"));
    check("moblie", Some("mobile"));
    check("order.lines.0.quantty", Some("order.lines.0.quantity"));
    check("costumer", Some("customer"));
    check("payload.custmer", Some("payload.customer"));
    check("ib", None);
    check("something.else", None);
    let text = refusal(raw("https://receiver.example/?a=@{{ statsu }}"), None).to_string();
    assert_eq!(text, "url at byte 32: unknown variable `statsu`; is `status` meant?");
}

#[test]
fn the_base_of_a_url_is_what_holds_for_every_event() {
    let check = |url: &str, origins: &[&str], expect: &str| {
        let allowed_origins = origins.iter().map(|origin| (*origin).to_owned()).collect();
        let composition = Composition::restore(RawComposition { allowed_origins, ..raw(url) }).unwrap();
        assert_eq!(composition.base_url().as_str(), expect, "{url}");
    };
    check("https://a.example/ack/receive", &[], "https://a.example/ack/receive");
    check("https://a.example/ack/receive?id=@{{id}}&x=1", &[], "https://a.example/ack/receive");
    check("https://a.example?id=@{{id}}", &[], "https://a.example/");
    check("https://a.example:8443/v1/to-@{{to}}/end?x=@{{id}}", &[], "https://a.example:8443/v1/");
    check("https:\\\\a.example\\@{{to}}", &[], "https://a.example/");
    let origins = ["https://b.example:8443", "https://a.example"];
    check("https://@{{host}}/x", &origins, "https://b.example:8443/");
    check("https://a.example/x", &origins, "https://a.example/x");
}

#[test]
fn what_is_sent_has_the_type_of_its_body_and_nothing_has_none() {
    let check = |method: Method, body: RawBody, expect: Option<&str>| {
        let raw = RawComposition { method, body, ..raw("https://receiver.example/") };
        let endpoint = endpoint("https://receiver.example/");
        let event = test_event(b"{}");
        let prepared = Composition::restore(raw).unwrap().render_body(&event.body).unwrap();
        let request = build(
            &endpoint,
            &event,
            &prepared,
            &BoundSecrets::default(),
            crate::time::Moment::undisturbed(event.accepted_at()),
        );
        let content_type = request.unwrap().headers.get(CONTENT_TYPE).cloned();
        assert_eq!(content_type.as_ref().map(HeaderValue::as_bytes), expect.map(str::as_bytes));
    };
    check(Method::GET, RawBody::None, None);
    check(Method::PUT, RawBody::None, None);
    check(Method::POST, RawBody::Json("".into()), Some("application/json"));
    let form = RawBody::Form { fields: Vec::new(), encoding: FormEncoding::UrlEncoded };
    check(Method::POST, form, Some("application/x-www-form-urlencoded"));
}

#[test]
fn what_the_operator_wrote_is_not_shown() {
    let raw = with_headers(&[("x-token", "s3cret-@{{id}}")]);
    let composition = Composition::restore(raw.clone()).unwrap();
    let request = composition.render(document(&event()).root()).unwrap();
    assert!(!format!("{composition:?} {request:?}").contains("s3cret"));
    assert_eq!(composition, Composition::restore(raw).unwrap());
    assert_ne!(composition, Composition::restore(with_headers(&[])).unwrap());
}

#[test]
fn rules_read_back() {
    for rule in MissingRule::ALL {
        assert_eq!(MissingRule::from_code(rule.code()), Some(rule));
    }
    assert_eq!(MissingRule::from_code("null"), None);
}
