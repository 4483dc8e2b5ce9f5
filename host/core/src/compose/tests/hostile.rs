//! Operators who err and senders who mean harm.

use super::super::{
    FORM_FIELDS_MAX, JSON_DEPTH_MAX, ORIGINS_MAX, PATH_BYTES_MAX, PATH_SEGMENTS_MAX, Part,
    TEMPLATE_BYTES_MAX, VARIABLES_MAX,
};
use super::*;
use crate::limits::{CUSTOM_HEADERS_MAX, NAME_CHARS_MAX, TRANSFORM_OUTPUT_BYTES_MAX};

#[test]
fn broken_templates_are_refused_with_their_place() {
    let check = |text: &str, offset: usize, code: &str| {
        let body = Part::Body { pointer: "/a~1b/1".to_owned() };
        let json = Value::from_iter([("a/b", Value::from_iter(["", text]))]);
        let url = "https://receiver.example/?q=";
        for (raw, part, start) in [
            (raw(&format!(" {url}{text}")), Part::Url, 1 + url.len()),
            (with_headers(&[("x-b", text)]), Part::Header("x-b".to_owned()), 0),
            (raw_body(RawBody::Json(json.into())), body, 0),
            (form_body(&[("f", text)], FormEncoding::Multipart), Part::Field("f".to_owned()), 0),
        ] {
            let error = refusal(raw, None);
            let place = (error.code(), error.part, error.offset);
            assert_eq!(place, (code, part, Some(start + offset)), "{text}");
        }
    };
    check("a@{{id", 1, "compose_variable_unclosed");
    check("@{{id}", 0, "compose_variable_unclosed");
    check("@{{", 0, "compose_variable_unclosed");
    check("@{{id}}@{{id}", 7, "compose_variable_unclosed");
    check("@{{a@{{id}}}}", 4, "compose_variable_nested");
    check("ä@{{@{{@{{@{{@{{}}}}}}}}", 5, "compose_variable_nested");
    check("@{{}}", 3, "compose_variable_empty");
    check("@{{  }}", 3, "compose_variable_empty");
    check("@{{{{id}}}}", 3, "compose_path_character");
    check("@{{ a b }}", 5, "compose_path_character");
    check("@{{a.é/}}", 7, "compose_path_character");
    check("@{{a[0]}}", 4, "compose_path_character");
    check("@{{payload['id']}}", 10, "compose_path_character");
    check("@{{.a}}", 3, "compose_path_segment_empty");
    check("@{{a..b}}", 5, "compose_path_segment_empty");
    check("@{{a.}}", 5, "compose_path_segment_empty");
    check(&format!("@{{{{{}}}}}", "a".repeat(PATH_BYTES_MAX + 1)), 3, "compose_path_too_long");
    check(&format!("@{{{{a{}}}}}", ".a".repeat(PATH_SEGMENTS_MAX)), 3 + 2 * 16, "compose_path_too_long");
    check(&"@{{id}}".repeat(VARIABLES_MAX + 1), 7 * VARIABLES_MAX + 3, "compose_too_many_variables");
    check("@{{ nobody }}", 4, "compose_variable_unknown");
}

#[test]
fn braces_that_are_no_variables_are_text() {
    let check = |text: &str, expect: &str| {
        let event = json_value(r#"{"id": 1}"#);
        let request = render(form_body(&[("", text)], FormEncoding::UrlEncoded), &event).unwrap();
        let sent = body_of(&request);
        let (_, value) = url::form_urlencoded::parse(&sent).next().unwrap();
        assert_eq!(value, expect, "{text}");
    };
    check("{{id}} }} @{ {@", "{{id}} }} @{ {@");
    check("{{{{{{{{{{}}}}}}}}}}", "{{{{{{{{{{}}}}}}}}}}");
    check("@@{{id}}}}", "@1}}");
    check(r#"{"a":{"b":@{{id}}}}"#, r#"{"a":{"b":1}}"#);
}

#[test]
fn compositions_without_bounds_are_refused() {
    let check = |raw: RawComposition, code: &str| {
        let error = refusal(raw, None);
        assert_eq!(error.code(), code);
        assert!(error.to_string().chars().count() < 300, "{error}");
    };
    let megabyte = "@{{".repeat(1 << 20);
    check(raw(&megabyte), "compose_text_too_long");
    check(with_headers(&[("x-a", &megabyte)]), "compose_text_too_long");
    check(form_body(&[(&megabyte, "")], FormEncoding::Multipart), "compose_text_too_long");
    check(raw_body(RawBody::Json(Value::from_iter([megabyte.clone()]).into())), "compose_text_too_long");
    check(raw_body(RawBody::Json(Value::from_iter([(megabyte.clone(), 0)]).into())), "compose_text_too_long");
    check(RawComposition { name: megabyte, ..raw("") }, "compose_name_invalid");
    check(RawComposition { name: "ä".repeat(NAME_CHARS_MAX + 1), ..raw("") }, "compose_name_invalid");
    check(RawComposition { name: String::new(), ..raw("") }, "compose_name_invalid");
    check(RawComposition { name: "a\nb".to_owned(), ..raw("") }, "compose_name_invalid");
    let origins = vec!["https://receiver.example".to_owned(); ORIGINS_MAX + 1];
    check(RawComposition { allowed_origins: origins, ..raw("") }, "compose_too_many_origins");
    check(form_body(&[("", ""); FORM_FIELDS_MAX + 1], FormEncoding::UrlEncoded), "compose_too_many_fields");
    check(with_headers(&[("x-a", ""); CUSTOM_HEADERS_MAX + 1]), "compose_too_many_headers");
    check(with_headers(&[("x-a", &"a".repeat(17 << 10))]), "compose_too_many_headers");

    let nested = |levels: usize| json_body(&format!("{}{}", "[".repeat(levels), "]".repeat(levels)));
    assert!(Composition::parse(nested(JSON_DEPTH_MAX), None).is_ok());
    check(nested(JSON_DEPTH_MAX + 1), "compose_json_too_deep");
    // Two bytes are the quotation marks.
    let text = |bytes: usize| {
        let url = "https://receiver.example/";
        raw_body(RawBody::Json("a".repeat(bytes - url.len() - 2).into()))
    };
    assert!(Composition::parse(text(TEMPLATE_BYTES_MAX), None).is_ok());
    check(text(TEMPLATE_BYTES_MAX + 1), "compose_text_too_long");
}

#[test]
fn urls_that_lead_nowhere_or_anywhere_are_refused() {
    let check = |url: &str, offset: Option<usize>, code: &str| {
        let error = refusal(raw(url), None);
        assert_eq!((error.code(), error.part, error.offset), (code, Part::Url, offset), "{url}");
    };
    check("@{{payload.url}}", Some(0), "compose_host_variable");
    check("https://@{{id}}/", Some(8), "compose_host_variable");
    check(" https://api.@{{id}}.example/", Some(13), "compose_host_variable");
    check("https://receiver.example@{{id}}/", Some(24), "compose_host_variable");
    check("https://receiver.example:@{{id}}/", Some(25), "compose_host_variable");
    check("https://@{{id}}@receiver.example/", Some(8), "compose_host_variable");
    check("@{{id}}://receiver.example/", Some(0), "compose_host_variable");
    check("https:@{{id}}//receiver.example/", Some(6), "compose_host_variable");
    check("https://\\/@{{id}}/", Some(10), "compose_host_variable");
    check("", None, "url_invalid");
    check("/ack?id=@{{id}}", Some(8), "compose_host_variable");
    check("//a:1/?id=@{{id}}", None, "url_invalid");
    check("ftp://receiver.example/@{{id}}", None, "url_scheme");
    check("https://user@receiver.example/@{{id}}", None, "url_userinfo");
    check("https://receiver.example:0/@{{id}}", None, "url_port");
    check("https://receiver.example/@{{id}}#a", Some(32), "compose_url_fragment");
    check("https://receiver.example/\t@{{id}}", Some(25), "compose_url_character");
    check(&format!("https://receiver.example/{}", "a".repeat(2048)), None, "url_too_long");

    for text in
        ["", "*", "a.example", "https://a.example/path", "https://a.example/?q", "https://u@a.example"]
    {
        let allowed_origins = vec!["https://a.example".to_owned(), text.to_owned()];
        let error = refusal(RawComposition { allowed_origins, ..raw("https://a.example/") }, None);
        assert_eq!((error.code(), error.part), ("compose_origin_invalid", Part::AllowedOrigin(1)), "{text}");
    }
}

#[test]
fn a_value_does_not_climb_in_the_path() {
    let check = |url: &str, value: &str, expect: Result<&str, &str>| {
        let event = Value::from_iter([("v", value)]);
        let rendered = render(raw(&format!("https://receiver.example/{url}")), &event);
        let rendered = rendered.as_ref().map(|request| request.url.as_str()).map_err(CompositionError::code);
        assert_eq!(rendered, expect, "{url} {value}");
    };
    let refused = Err("compose_url_dot_segment");
    check("users/@{{v}}/notify", "..", refused);
    check("users/@{{v}}/notify", ".", refused);
    check("users/@{{v}}", "..", refused);
    check("users/.@{{v}}/notify", "", refused);
    check("users/.@{{v}}/notify", ".", refused);
    check("users/%2@{{v}}./notify", "E", refused);
    check("users\\@{{v}}\\notify", "..", refused);
    check("users/@{{v}}/notify", "../..", Ok("https://receiver.example/users/..%2F../notify"));
    check("users/@{{v}}/notify", "%2e%2e", Ok("https://receiver.example/users/%252e%252e/notify"));
    check("users/@{{v}}/notify", "...", Ok("https://receiver.example/users/.../notify"));
    check("users?u=/@{{v}}/", "..", Ok("https://receiver.example/users?u=/../"));
    check("users?u=@{{v}}", "1&admin=1#x", Ok("https://receiver.example/users?u=1%26admin%3D1%23x"));
    check("@{{v}}", "//evil.example/", Ok("https://receiver.example/%2F%2Fevil.example%2F"));
}

#[test]
fn headers_can_not_be_injected() {
    let check = |name: &str, value: &str, code: &str| {
        let error = refusal(with_headers(&[(name, value)]), None);
        assert_eq!(error.code(), code, "{name:?} {value:?}");
        assert!(error.to_string().contains(&name[..1].to_lowercase()), "{error}");
    };
    check("x a", "", "compose_header_name_invalid");
    check("x-@{{id}}", "", "compose_header_name_invalid");
    check("x-a", "1\r\nhost: evil", "compose_header_value_invalid");
    check("Webhook-Signature", "@{{id}}", "compose_header_reserved");
    check("Host", "@{{id}}", "compose_header_reserved");
    check(&format!("webhook-{}", "a".repeat(10_000)), "", "compose_header_reserved");

    for value in ["1\r\nhost: evil", "\n", "\0", "\u{7f}", "a\u{1b}[2J"] {
        let event = Value::from_iter([("id", format!("a{value}b"))]);
        let error = render(with_headers(&[("x-safe", "1"), ("X-Team", "@{{id}}")]), &event).unwrap_err();
        assert_eq!(error.code(), "compose_header_value_invalid", "{value:?}");
        let text = "a value puts a control character into header `x-team`, which can't hold it";
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn what_is_rendered_stays_within_its_limit() {
    let check = |raw: RawComposition, event: &Value, expect: Option<&str>| {
        let code = render(raw, event).err().map(|error| error.code());
        assert_eq!(code, expect);
    };
    let event = Value::from_iter([("v", "v".repeat(TRANSFORM_OUTPUT_BYTES_MAX))]);
    let variables = "@{{v}}".repeat(VARIABLES_MAX);
    let too_large = Some("compose_body_too_large");
    check(raw(&format!("https://receiver.example/?{variables}")), &event, Some("url_too_long"));
    check(with_headers(&[("x-a", &variables)]), &event, Some("compose_headers_too_large"));
    check(raw_body(RawBody::Json(variables.as_str().into())), &event, too_large);
    check(raw_body(RawBody::Json(Value::from_iter(vec!["@{{v}}"; VARIABLES_MAX]).into())), &event, too_large);
    check(form_body(&[("a", &variables)], FormEncoding::UrlEncoded), &event, too_large);
    check(form_body(&[("a", "@{{v}}"); VARIABLES_MAX], FormEncoding::Multipart), &event, too_large);

    let exact = |bytes: usize| Value::from_iter([("v", "v".repeat(bytes))]);
    let json = || json_body(r#""@{{v}}""#);
    check(json(), &exact(TRANSFORM_OUTPUT_BYTES_MAX - 2), None);
    check(json(), &exact(TRANSFORM_OUTPUT_BYTES_MAX - 1), too_large);
    let form = || form_body(&[("a", "@{{v}}")], FormEncoding::UrlEncoded);
    check(form(), &exact(TRANSFORM_OUTPUT_BYTES_MAX - 2), None);
    check(form(), &exact(TRANSFORM_OUTPUT_BYTES_MAX - 1), too_large);
    let many = with_headers(&[("x-a", "@{{v}}"), ("x-b", "@{{v}}")]);
    check(many.clone(), &exact(8000), None);
    check(many, &exact(8200), Some("compose_headers_too_large"));
}

#[test]
fn binary_form_data_passes_unchanged() {
    let value = "\0\u{1}\r\n--hookmill\r\n\n\u{7f}\u{fffd}\"&=%+;";
    let event = Value::from_iter([("v", value)]);
    let fields = [("a\"\r\nx: y", "@{{v}}"), ("b", "")];
    let request = render(form_body(&fields, FormEncoding::UrlEncoded), &event).unwrap();
    let body = body_of(&request);
    let read: Vec<_> = url::form_urlencoded::parse(&body).into_owned().collect();
    assert_eq!(read, pairs(&[(fields[0].0, value), ("b", "")]));

    let request = render(form_body(&fields, FormEncoding::Multipart), &event).unwrap();
    let text = text_of(&request);
    let content_type = String::from_utf8(header_of(&request, "content-type")[0].to_vec()).unwrap();
    let (_, boundary) = content_type.split_once("boundary=").unwrap();
    assert_eq!(text.matches(boundary).count(), fields.len() + 1);
    let disposition = "content-disposition: form-data; name=\"a%22%0D%0Ax: y\"\r\n\r\n";
    assert!(text.starts_with(&format!("--{boundary}\r\n{disposition}{value}\r\n--{boundary}\r\n")));
    // Each attempt sends the same bytes, and other content gets another boundary.
    let again = render(form_body(&fields, FormEncoding::Multipart), &event).unwrap();
    assert_eq!(request, again);
    let other = render(form_body(&[("ab", "c")], FormEncoding::Multipart), &event).unwrap();
    let another = render(form_body(&[("a", "bc")], FormEncoding::Multipart), &event).unwrap();
    assert_ne!(header_of(&other, "content-type"), header_of(&another, "content-type"));
}

#[test]
fn only_json_is_composed_of() {
    let composition = Composition::restore(raw("https://receiver.example/")).unwrap();
    let check = |body: &[u8], expect: Option<&str>| {
        let code = composition.render_body(&Bytes::copy_from_slice(body)).err().map(|error| error.code());
        assert_eq!(code, expect, "{}", String::from_utf8_lossy(body));
    };
    check(b" {} ", None);
    check(b"7", None);
    for body in [b"".as_slice(), b"{", b"<a/>", b"\xff", b"{} {}", "[".repeat(100_000).as_bytes()] {
        check(body, Some("compose_event_not_json"));
    }
}

#[test]
fn errors_show_little_of_what_is_hostile() {
    let long = "a".repeat(250);
    let check = |error: &dyn std::fmt::Display| {
        let text = error.to_string();
        assert!(!text.contains(&"a".repeat(65)) && !text.contains(['\n', '\u{1b}']), "{text:?}");
        assert!(text.contains(&"a".repeat(60)), "{text:?}");
    };
    check(&refusal(raw(&format!("https://receiver.example/@{{{{{long}}}}}")), None));
    check(&refusal(json_body(&format!(r#"{{"\u001b\n{long}": "@{{{{"}}"#)), None));
    check(&refusal(form_body(&[(&format!("\u{1b}\n{long}"), "@{{")], FormEncoding::Multipart), None));
    check(&refusal(with_headers(&[(&format!("x{long}"), "@{{")]), None));
    let method = Method::from_bytes(long.as_bytes()).unwrap();
    check(&refusal(RawComposition { method, ..raw("") }, None));
    let missing =
        RawComposition { missing: MissingRule::Fail, ..json_body(&format!(r#""@{{{{{long}}}}}""#)) };
    check(&render(missing, &Value::Null).unwrap_err());
    let debug = Composition::parse(with_headers(&[("authorization", "Bearer s3cret")]), None).unwrap();
    assert!(!format!("{debug:?}").contains("s3cret"));
}
