//! What holds for every template and every event.

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::*;
use crate::address::URL_BYTES_MAX;
use crate::limits::TRANSFORM_OUTPUT_BYTES_MAX;

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            btree_map(key(), inner, 0..4).prop_map(Value::from_iter),
        ]
    })
}

/// Keys that meet the paths of [`text`] now and then.
fn key() -> impl Strategy<Value = String> {
    prop_oneof!["[ab]", Just("payload".to_owned()), Just("to".to_owned()), any::<String>()]
}

/// Text with the pieces that templates are made of, whole and broken.
fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "@\\{\\{ ?(a|b|payload|mobile|a\\.b|a\\.0|b\\.a\\.1) ?\\}\\}",
        1 => "[@{}. ]{1,6}",
        3 => "[a-z/?&=.:\"\\\\ä\r\n-]{0,6}",
        1 => any::<String>(),
    ];
    vec(piece, 0..5).prop_map(|pieces| pieces.concat())
}

/// Such text without what URLs and headers refuse at once.
fn line() -> impl Strategy<Value = String> {
    text().prop_map(|text| text.replace(|character: char| character.is_control() || character == '#', ""))
}

fn template() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![text().prop_map(Value::from), any::<i64>().prop_map(Value::from)];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Value::from),
            btree_map(text(), inner, 0..3).prop_map(Value::from_iter),
        ]
    })
}

fn missing() -> impl Strategy<Value = MissingRule> {
    prop_oneof![Just(MissingRule::Empty), Just(MissingRule::Omit), Just(MissingRule::Fail)]
}

fn body() -> impl Strategy<Value = RawBody> {
    let encoding = prop_oneof![Just(FormEncoding::UrlEncoded), Just(FormEncoding::Multipart)];
    prop_oneof![
        template().prop_map(|body| RawBody::Json(body.into())),
        (vec((text(), text()), 0..4), encoding)
            .prop_map(|(fields, encoding)| RawBody::Form { fields, encoding }),
    ]
}

fn composition() -> impl Strategy<Value = RawComposition> {
    let url = prop_oneof![
        3 => line().prop_map(|text| format!("https://receiver.example/{text}")),
        1 => line().prop_map(|text| format!("https:{text}")),
    ];
    let headers = vec(("x-[a-c]", line()), 0..3);
    (url, headers, body(), missing()).prop_map(|(url, headers, body, missing)| RawComposition {
        headers,
        body,
        missing,
        ..raw(&url)
    })
}

proptest! {
    #[test]
    fn text_without_variables_renders_to_itself(value in any::<String>(), body in json(), event in json()) {
        prop_assume!(!value.contains("@{{") && !body.to_string().contains("@{{"));
        let request = render(raw_body(RawBody::Json(body.clone().into())), &event).unwrap();
        prop_assert_eq!(text_of(&request), body.to_string());
        let request = render(form_body(&[("f", &value)], FormEncoding::UrlEncoded), &event).unwrap();
        let sent = body_of(&request);
        let (_, read) = url::form_urlencoded::parse(&sent).next().unwrap();
        prop_assert_eq!(read, value);
    }

    #[test]
    fn whatever_is_composed_is_whole_and_goes_where_it_should(raw in composition(), event in json()) {
        let checked = [None, Some(&event)].map(|sample| Composition::parse(raw.clone(), sample.map(document).as_ref()));
        let Ok(composition) = Composition::restore(raw.clone()) else {
            prop_assert!(checked.iter().all(Result::is_err));
            return Ok(());
        };
        let Ok(request) = composition.render(document(&event).root()) else { return Ok(()) };
        let sent = body_of(&request);
        prop_assert!(sent.len() <= TRANSFORM_OUTPUT_BYTES_MAX);
        prop_assert!(request.url.as_str().len() <= URL_BYTES_MAX);
        if let RawBody::Json(_) = raw.body {
            prop_assert!(serde_json::from_slice::<Value>(&sent).is_ok());
        }
        if let Ok(other) = composition.render(document(&Value::Null).root()) {
            prop_assert_eq!(other.url.origin(), request.url.origin());
        }
        prop_assert_eq!(composition.render(document(&event).root()), Ok(request));
    }

    #[test]
    fn a_variable_alone_is_the_value_itself(value in json()) {
        let event = Value::from_iter([("v", value.clone())]);
        let request = render(json_body(r#"["@{{v}}"]"#), &event).unwrap();
        prop_assert_eq!(text_of(&request), Value::from_iter([value]).to_string());
    }

    #[test]
    fn percent_encoding_comes_out_as_it_went_in(value in any::<String>()) {
        let event = Value::from_iter([("v", value.as_str())]);
        let url = "https://receiver.example/p/-@{{v}}/?a=@{{v}}&b=1";
        let request = render(raw(url), &event).unwrap();
        let url = request.url.as_url();
        let query: Vec<_> = url.query_pairs().into_owned().collect();
        prop_assert_eq!(query, pairs(&[("a", &value), ("b", "1")]));
        let segment = url.path_segments().unwrap().nth(1).unwrap();
        let read = percent_encoding::percent_decode_str(segment).decode_utf8().unwrap();
        prop_assert_eq!(read, format!("-{value}"));
    }

    #[test]
    fn a_header_is_sent_whole_or_not_at_all(value in any::<String>()) {
        let event = Value::from_iter([("v", value.as_str())]);
        match render(with_headers(&[("x-a", "<@{{v}}>")]), &event) {
            Ok(request) => {
                let expect = format!("<{value}>");
                prop_assert_eq!(header_of(&request, "x-a"), [expect.as_bytes()]);
                prop_assert!(!value.contains(['\r', '\n', '\0']));
            }
            Err(error) => prop_assert_eq!(error.code(), "compose_header_value_invalid"),
        }
    }
}
