//! What is refused, each with its status and its code.

use std::convert::Infallible;

use axum::body::Body;
use bytes::Bytes;
use http::Request;
use http_body_util::StreamBody;
use hyper::body::Frame;

use super::{ADMIN, Answer, World};
use crate::ingest::MESSAGE_BODY_BYTES_MAX;

#[tokio::test]
async fn refusals_have_a_status_a_code_and_a_place() {
    let world = World::new().await;
    world.shop().await;
    let check = async |method: &str, path: &str, body: &str, status: u16, code: &str, place: &str| {
        let answer = world.call(method, &format!("/api/v1{path}"), body).await;
        let json = answer.json();
        let item = &json["detail"][0];
        let places: Vec<&str> =
            item["loc"].as_array().into_iter().flatten().filter_map(|field| field.as_str()).collect();
        let shown = item["type"].as_str().unwrap_or(json["code"].as_str().unwrap_or_default());
        assert_eq!(
            (answer.status, shown, places.join(".").as_str()),
            (status, code, place),
            "{path} {body} {json}"
        );
        assert!(json["detail"].is_string() || item["msg"].is_string());
    };
    let message = "/app/shop/msg";
    check("POST", message, "", 400, "body_empty", "").await;
    check("POST", message, "{", 400, "json_invalid", "").await;
    check("POST", message, "{\"eventType\": \"a\", \"payload\": {]}", 400, "json_invalid", "").await;
    check("POST", message, "[]", 422, "value_error", "body").await;
    check("POST", message, r#"{"payload": {}}"#, 422, "value_error", "body").await;
    check("POST", message, r#"{"eventType": "a"}"#, 422, "value_error", "body").await;
    check("POST", message, r#"{"eventType": 1, "payload": {}}"#, 422, "value_error", "body.eventType").await;
    check("POST", message, r#"{"eventType": "a b", "payload": {}}"#, 422, "name_invalid", "body.eventType")
        .await;
    check("POST", message, r#"{"eventType": "a", "payload": 1}"#, 422, "payload_not_object", "body.payload")
        .await;
    let event_id = r#"{"eventType": "a", "payload": {}, "eventId": ""}"#;
    check("POST", message, event_id, 422, "name_invalid", "body.eventId").await;
    let channels = r#"{"eventType": "a", "payload": {}, "channels": ["a", "a"]}"#;
    check("POST", message, channels, 422, "channels_invalid", "body.channels").await;
    let kept = r#"{"eventType": "a", "payload": {}, "payloadRetentionPeriod": 4}"#;
    check("POST", message, kept, 422, "not_supported", "body.payloadRetentionPeriod").await;
    check("GET", "/app/shop/msg/msg_unknown", "", 404, "not_found", "").await;
    check("GET", "/app/shop/msg?limit=251", "", 422, "limit_invalid", "query.limit").await;
    check("GET", "/app/shop/msg?limit=x", "", 422, "limit_invalid", "query.limit").await;
    check("GET", "/app/shop/msg?iterator=x", "", 422, "iterator_invalid", "query.iterator").await;
    check("GET", "/app/shop/msg?before=yesterday", "", 422, "time_invalid", "query.before").await;
    check("GET", "/app/shop/msg?channel=%20", "", 422, "name_invalid", "query.channel").await;
    check("GET", "/app/shop/msg?with_content=no", "", 422, "flag_invalid", "query.with_content").await;
    check("GET", "/app?order=up", "", 422, "order_invalid", "query.order").await;
    check("POST", "/app", r#"{"name": ""}"#, 422, "text_invalid", "body.name").await;
    check("POST", "/app", r#"{"name": "n", "uid": "a b"}"#, 422, "name_invalid", "body.uid").await;
    check("POST", "/app", r#"{"name": "n", "throttleRate": 0}"#, 422, "rate_invalid", "body.throttleRate")
        .await;
    check("GET", "/app/unknown", "", 404, "not_found", "").await;
    let endpoint = "/app/shop/endpoint";
    check("POST", endpoint, r#"{"url": "nowhere"}"#, 422, "url_invalid", "body.url").await;
    check("POST", endpoint, r#"{"url": "ftp://example.com"}"#, 422, "url_scheme", "body.url").await;
    check("POST", endpoint, r#"{"url": "http://a:b@example.com"}"#, 422, "url_userinfo", "body.url").await;
    check("POST", endpoint, r#"{"url": "http://0x7f.1/"}"#, 422, "address_blocked", "body.url").await;
    let pattern = r#"{"url": "https://example.com", "pattern": {"a": {"b": 1}}}"#;
    check("POST", endpoint, pattern, 422, "pattern_field_value", "body.pattern.a.b").await;
    let types = r#"{"url": "https://example.com", "filterTypes": []}"#;
    check("POST", endpoint, types, 422, "set_size_invalid", "body.eventTypes").await;
    check("GET", "/app/shop/endpoint/unknown", "", 404, "not_found", "").await;
    check("PUT", "/plugin/Upper", "x", 400, "plugin_name_invalid", "").await;
    check("GET", "/plugin/unknown", "", 404, "not_found", "").await;
    check("POST", "/event-type", r#"{"description": ""}"#, 422, "value_error", "body.name").await;
    check("POST", "/key", r#"{"scope": "ingest"}"#, 422, "application_missing", "body.application").await;
    check("POST", "/key", r#"{"scope": "god"}"#, 422, "value_error", "body.scope").await;
    check("DELETE", "/key/key_1", "", 404, "not_found", "").await;
    check("POST", "/auth/app-portal-access/shop", "{}", 501, "not_implemented", "").await;
    check("GET", "/nowhere", "", 404, "path_unknown", "").await;
    check("DELETE", "/app", "", 405, "method_not_allowed", "").await;
    check("PUT", message, "", 405, "method_not_allowed", "").await;
}

#[tokio::test]
async fn a_rejected_plugin_says_why() {
    let world = World::new().await;
    world.plugins.refuse(Bytes::from_static(b"bad"), "plugin_not_component", "this is no component");
    let answer = world.call("PUT", "/api/v1/plugin/reshape", "bad").await;
    assert_eq!((answer.status, answer.code().as_str()), (422, "plugin_not_component"));
}

#[tokio::test]
async fn other_media_types_are_refused() {
    let world = World::new().await;
    world.shop().await;
    let check = async |method: &str, path: &str, content_type: &str, expect: u16| {
        let body = if path == "/app" { r#"{"name": "n"}"# } else { r#"{"eventType": "a", "payload": {}}"# };
        let request = Request::builder()
            .method(method)
            .uri(format!("/api/v1{path}"))
            .header("authorization", format!("Bearer {ADMIN}"))
            .header("content-type", content_type)
            .body(Body::from(body))
            .unwrap();
        assert_eq!(world.send(request).await.status, expect, "{path} {content_type}");
    };
    check("POST", "/app/shop/msg", "application/json", 202).await;
    check("POST", "/app/shop/msg", "Application/JSON; charset=utf-8", 202).await;
    check("POST", "/app/shop/msg", "application/vnd.shop+json", 202).await;
    check("POST", "/app/shop/msg", "text/plain", 415).await;
    check("POST", "/app", "application/x-www-form-urlencoded", 415).await;
    check("PUT", "/plugin/p", "application/wasm", 201).await;
    check("PUT", "/plugin/p", "application/json", 415).await;
}

#[tokio::test]
async fn bodies_are_bounded_in_size_and_time() {
    let world = World::new().await;
    world.shop().await;
    let send = async |body: Body| -> Answer {
        let request = Request::post("/api/v1/app/shop/msg").header("x-api-key", ADMIN).body(body).unwrap();
        world.send(request).await
    };
    let frames = |count: usize| {
        let frame = || Ok::<_, Infallible>(Frame::data(Bytes::from(vec![b' '; 64 << 10])));
        std::iter::repeat_with(frame).take(count)
    };
    let declared = send(Body::from(vec![b' '; MESSAGE_BODY_BYTES_MAX + 1])).await;
    assert_eq!((declared.status, declared.code().as_str()), (413, "payload_too_large"));
    let endless = StreamBody::new(futures_util::stream::iter(frames(usize::MAX)));
    let streamed = send(Body::new(endless)).await;
    assert_eq!((streamed.status, streamed.code().as_str()), (413, "payload_too_large"));
    let silent = StreamBody::new(futures_util::stream::pending::<Result<Frame<Bytes>, Infallible>>());
    let timed_out = send(Body::new(silent)).await;
    assert_eq!((timed_out.status, timed_out.code().as_str()), (408, "body_timeout"));
    let broken = futures_util::stream::iter([Err::<Frame<Bytes>, _>(std::io::Error::other("reset"))]);
    let truncated = send(Body::new(StreamBody::new(broken))).await;
    assert_eq!((truncated.status, truncated.code().as_str()), (400, "body_truncated"));

    let parts = [r#"{"eventType": "#, r#""a", "payload": {"#, "}}"];
    let parts = parts.map(|part| Ok::<_, Infallible>(Frame::data(Bytes::from_static(part.as_bytes()))));
    assert_eq!(send(Body::new(StreamBody::new(futures_util::stream::iter(parts)))).await.status, 202);

    let padding = "x".repeat(hookmill_core::limits::EVENT_BODY_BYTES_MAX);
    let large = send(Body::from(format!(r#"{{"eventType": "a", "payload": {{"p": "{padding}"}}}}"#))).await;
    assert_eq!((large.status, large.code().as_str()), (413, "event_body_too_large"));
}
