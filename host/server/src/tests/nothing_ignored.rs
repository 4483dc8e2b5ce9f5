//! What a request says is done, or refused by name: members that are not known, parameters, values that say two things.

use axum::body::Body;
use http::Request;
use serde_json::{Value, json};

use super::{ADMIN, Answer, World};

/// The code, the place and the text of a refusal.
fn refusal(answer: &Answer) -> (String, String, String) {
    let json = answer.json();
    let item = &json["detail"][0];
    let places = item["loc"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (text(&json["code"]), places.collect::<Vec<_>>().join("."), text(&item["msg"]))
}

#[tokio::test]
async fn an_unknown_member_is_refused_with_what_was_meant() {
    let world = World::new().await;
    let endpoint = format!("/app/shop/endpoint/{}", world.shop().await);
    let check = async |method: &str, path: &str, body: Value, place: &str, says: &str| {
        let answer = world.call(method, &format!("/api/v1{path}"), &body.to_string()).await;
        assert_eq!(answer.status, 422, "{method} {path} {body}: {answer:?}");
        let (code, found, text) = refusal(&answer);
        assert_eq!((code.as_str(), found.as_str()), ("member_unknown", place), "{text}");
        assert!(text.contains(says), "{text}");
    };
    let url = "https://example.com/";
    let with = |mut base: Value, name: &str| {
        base[name] = json!(1);
        base
    };
    let endpoints = "/app/shop/endpoint";
    check("POST", endpoints, json!({"url": url, "filter": {}}), "body.filter", "`pattern`").await;
    check("PUT", &endpoint, json!({"url": url, "event_types": ["a"]}), "body.event_types", "`eventTypes`")
        .await;
    check("PATCH", &endpoint, json!({"headers": {}}), "body.headers", "no `headers`").await;
    let nested = json!({"url": url, "transformation": {"plugin": "p", "setting": {}}});
    check("POST", endpoints, nested, "body.transformation.setting", "`settings`").await;
    let message = json!({"eventType": "a", "payload": {}});
    check("POST", "/app/shop/msg", with(message.clone(), "webhookId"), "body.webhookId", "`webhook_id`")
        .await;
    check("POST", "/app/shop/msg", with(message, "ordering_key"), "body.ordering_key", "`orderingKey`").await;
    check("POST", "/app", with(json!({"name": "n"}), "ratelimit"), "body.ratelimit", "`rateLimit`").await;
    check("PATCH", "/app/shop", json!({"future": 1}), "body.future", "no `future`").await;
    check("PUT", "/app/shop", with(json!({"name": "n"}), "meta"), "body.meta", "`metadata`").await;
    let event_type = json!({"name": "a", "description": ""});
    check("POST", "/event-type", with(event_type, "schema"), "body.schema", "`schemas`").await;
    check("PUT", "/event-type/a", with(json!({"description": ""}), "x"), "body.x", "no `x`").await;
    check("PATCH", "/event-type/a", json!({"desc": ""}), "body.desc", "`description`").await;
    check("PUT", &format!("{endpoint}/headers"), json!({"headers": {}, "x": 1}), "body.x", "`headers`").await;
    check("PATCH", &format!("{endpoint}/headers"), json!({"header": {}}), "body.header", "`headers`").await;
    check("POST", &format!("{endpoint}/secret/rotate"), json!({"secret": 1}), "body.secret", "`key`").await;
    check("PATCH", &format!("{endpoint}/policy"), json!({"timeout": 1}), "body.timeout", "`timeoutMs`").await;
    let signature = json!({"signature": {"scheme": "standard", "header": "x-a"}});
    let answer = world.call("PATCH", &format!("/api/v1{endpoint}/policy"), &signature.to_string()).await;
    assert_eq!(refusal(&answer).0, "member_unknown", "{answer:?}");
    check(
        "PATCH",
        &format!("{endpoint}/transformation"),
        json!({"script": ""}),
        "body.script",
        "no `script`",
    )
    .await;
    check("PATCH", &format!("{endpoint}/classifier"), json!({"plug": 1}), "body.plug", "`plugin`").await;
    let recover = json!({"since": "2026-01-01T00:00:00Z", "before": "x"});
    check("POST", &format!("{endpoint}/recover"), recover, "body.before", "no `before`").await;
    let example = json!({"eventType": "a", "event": 1});
    check("POST", &format!("{endpoint}/send-example"), example, "body.event", "`eventType`").await;
    check("POST", &format!("{endpoint}/verify"), json!({"methods": 1}), "body.methods", "`method`").await;
    check("POST", &format!("{endpoint}/reactivate"), json!({"force": true}), "body.force", "none").await;
    check("POST", "/key", json!({"scope": "admin", "app": "x"}), "body.app", "`application`").await;
    check("POST", "/source", json!({"name": "a", "app": "x"}), "body.app", "`application`").await;
    assert_eq!(
        world.call("GET", "/api/v1/app/shop/endpoint", "").await.json()["data"].as_array().unwrap().len(),
        1
    );
    assert_eq!(world.call("GET", "/api/v1/app/shop/msg", "").await.json()["data"], json!([]));
}

#[tokio::test]
async fn what_the_svix_api_has_and_this_has_not_is_refused_unless_it_says_nothing() {
    let world = World::new().await;
    let endpoint = format!("/app/shop/endpoint/{}", world.shop().await);
    let check = async |method: &str, path: &str, mut body: Value, name: &str, value: Value, is_said: bool| {
        body[name] = value;
        let answer = world.call(method, &format!("/api/v1{path}"), &body.to_string()).await;
        if is_said {
            let (code, place, text) = refusal(&answer);
            assert_eq!((answer.status, code.as_str(), place), (422, "not_supported", format!("body.{name}")));
            assert!(text.contains(name), "{text}");
        } else {
            assert!((200..300).contains(&answer.status), "{name}: {answer:?}");
        }
    };
    let message = json!({"eventType": "a", "payload": {}});
    for (name, value) in [
        ("deliverAt", json!("2030-01-01T00:00:00Z")),
        ("tags", json!(["a"])),
        ("payloadRetentionPeriod", json!(30)),
        ("payloadRetentionHours", json!(1)),
    ] {
        check("POST", "/app/shop/msg", message.clone(), name, value, true).await;
        check("POST", "/app/shop/msg", message.clone(), name, Value::Null, false).await;
    }
    check("POST", "/app/shop/msg", message, "tags", json!([]), false).await;
    let event_type = json!({"description": ""});
    check("PUT", "/event-type/a", event_type.clone(), "featureFlags", json!(["beta"]), true).await;
    check("PUT", "/event-type/a", event_type.clone(), "featureFlags", json!([]), false).await;
    check("PUT", "/event-type/a", event_type.clone(), "deprecated", json!(true), true).await;
    check("PUT", "/event-type/a", event_type, "deprecated", json!(false), false).await;
    let example = json!({"eventType": "a"});
    check("POST", &format!("{endpoint}/send-example"), example, "exampleIndex", json!(1), true).await;
    check("PATCH", &format!("{endpoint}/transformation"), json!({}), "variables", json!({"a": "b"}), true)
        .await;
}

#[tokio::test]
async fn null_is_not_said() {
    let world = World::new().await;
    let endpoint = format!("/app/shop/endpoint/{}", world.shop().await);
    let check = async |method: &str, path: &str, body: Value, expect: u16| {
        let answer = world.call(method, &format!("/api/v1{path}"), &body.to_string()).await;
        assert_eq!(answer.status, expect, "{method} {path} {body}: {answer:?}");
    };
    let new = json!({
        "url": "https://example.com/", "uid": null, "description": null, "disabled": null, "metadata": null,
        "headers": null, "transformation": null, "secret": null, "preset": null, "eventTypes": null,
        "channels": null, "throttleRate": null, "rateLimit": null, "version": null, "pattern": null, "verification": null,
    });
    check("POST", "/app/shop/endpoint", new, 201).await;
    let patch = json!({"url": null, "description": null, "disabled": null, "metadata": null, "preset": null});
    check("PATCH", &endpoint, patch, 200).await;
    check("POST", "/app", json!({"name": "n", "uid": null, "metadata": null, "throttleRate": null}), 201)
        .await;
    check(
        "PUT",
        "/event-type/a",
        json!({"description": "", "archived": null, "schemas": null, "groupName": null}),
        201,
    )
    .await;
    check(
        "POST",
        "/key",
        json!({"scope": "admin", "label": null, "allowShort": null, "key": null, "application": null}),
        201,
    )
    .await;
    let message = json!({
        "eventType": "a", "payload": {}, "eventId": null, "channels": null, "orderingKey": null, "endpoint": null,
        "application": null, "transformationsParams": null,
    });
    check("POST", "/app/shop/msg", message, 202).await;
    check(
        "PATCH",
        &format!("{endpoint}/policy"),
        json!({"reset": null, "timeoutMs": null, "schedule": null}),
        200,
    )
    .await;
    check(
        "PATCH",
        &format!("{endpoint}/headers"),
        json!({"headers": {"x-a": "1"}, "deleteHeaders": null}),
        204,
    )
    .await;
    check(
        "POST",
        &format!("{endpoint}/secret/rotate"),
        json!({"key": null, "gracePeriodSeconds": null}),
        204,
    )
    .await;
    let compose = json!({
        "name": "n", "url": "https://example.com/", "method": null, "headers": null, "body": null, "missing": null,
        "allowedOrigins": null, "sample": null, "preset": null, "uid": null, "eventTypes": null, "channels": null,
    });
    check("POST", "/app/shop/compose", compose, 201).await;
}

#[tokio::test]
async fn what_says_two_things_is_refused() {
    let world = World::new().await;
    let endpoint = format!("/app/shop/endpoint/{}", world.shop().await);
    let check = async |method: &str, path: &str, body: &str, code: &str| {
        let answer = world.call(method, &format!("/api/v1{path}"), body).await;
        assert_eq!((answer.status, refusal(&answer).0.as_str()), (422, code), "{body}: {answer:?}");
    };
    check("POST", "/app", r#"{"name": "n", "throttleRate": 1, "rateLimit": 2}"#, "member_ambiguous").await;
    check("PATCH", &endpoint, r#"{"throttleRate": null, "rateLimit": 2}"#, "member_ambiguous").await;
    check("PATCH", &endpoint, r#"{"metadata": {"a": "1", "a": "2"}}"#, "member_repeated").await;
    check("PATCH", &endpoint, r#"{"disabled": true, "disabled": false}"#, "value_error").await;
    check(
        "PUT",
        &format!("{endpoint}/headers"),
        r#"{"headers": {"x-a": "1", "x-a": "2"}}"#,
        "member_repeated",
    )
    .await;
    let both = r#"{"headers": {"X-A": "1"}, "deleteHeaders": ["x-a"]}"#;
    check("PATCH", &format!("{endpoint}/headers"), both, "header_ambiguous").await;
    let raw = r#"{"eventType": "a", "payload": {"a": 1}, "transformationsParams": {"rawPayload": "b"}}"#;
    check("POST", "/app/shop/msg", raw, "payload_ambiguous").await;
    let headers = r#"{"eventType": "a", "payload": {}, "transformationsParams": {"rawPayload": "b", "headers": {"x-a": "1"}}}"#;
    check("POST", "/app/shop/msg", headers, "not_supported").await;
    check("PUT", "/event-type/a", r#"{"name": "b", "description": ""}"#, "field_fixed").await;
    let same = r#"{"name": "n", "throttleRate": 1, "rateLimit": 1}"#;
    assert_eq!(world.call("POST", "/api/v1/app", same).await.status, 201);
}

#[tokio::test]
async fn parameters_are_known_once_and_well_formed() {
    let world = World::new().await;
    let endpoint = format!("/app/shop/endpoint/{}", world.shop().await);
    let check = async |method: &str, path: &str, code: &str, says: &str| {
        let answer = world.call(method, &format!("/api/v1{path}"), "{}").await;
        let (found, place, text) = refusal(&answer);
        assert_eq!((answer.status, found.as_str()), (422, code), "{path}: {answer:?}");
        assert!(place.starts_with("query.") && text.contains(says), "{place} {text}");
    };
    check("GET", "/app?Limit=1", "parameter_unknown", "`limit`").await;
    check("GET", "/app?limit=1&limit=2", "parameter_repeated", "twice").await;
    check("GET", "/app/shop?verbose=true", "parameter_unknown", "none").await;
    check("GET", "/app/shop/msg?tag=a", "not_supported", "tag").await;
    check("GET", "/app/shop/msg?eventTypes=a", "parameter_unknown", "`event_types`").await;
    check("POST", "/app/shop/msg?with_contents=false", "parameter_unknown", "`with_content`").await;
    check("POST", "/app/shop/msg?validate=true&validate=false", "parameter_repeated", "twice").await;
    check("POST", "/app/shop/endpoint?disabled=true", "parameter_unknown", "none").await;
    check("PUT", "/plugin/a?promoted=false", "parameter_unknown", "`promote`").await;
    check("PUT", "/plugin/a?promote=maybe", "flag_invalid", "true").await;
    check("DELETE", "/event-type/a?purge=true", "parameter_unknown", "`expunge`").await;
    let attempts = format!("/app/shop/attempt{}", endpoint.strip_prefix("/app/shop").unwrap());
    check("GET", &format!("{attempts}?status=9"), "status_unknown", "0 to 3").await;
    check("GET", &format!("{attempts}?status=1&limit=0"), "limit_invalid", "items").await;
    check("GET", &format!("{attempts}?status_code_class=700"), "status_class_unknown", "500").await;
    check("GET", &format!("{attempts}?with_msg=true"), "not_supported", "with_msg").await;
    for path in [
        "/app/shop/msg?event_types=a&event_types=b&event_types[]=c&event_types[0]=d".to_owned(),
        format!("{attempts}?status_code_class=500&status=0&channel=a"),
        "/health?cache=bust".to_owned(),
    ] {
        let answer = world.call("GET", &format!("/api/v1{path}"), "").await;
        assert!((200..300).contains(&answer.status), "{path}: {answer:?}");
    }
    let stranger = world.call_as("not-a-key", "GET", "/api/v1/app?x=1", "").await;
    assert_eq!(stranger.status, 401, "who has no key is told that first");
    assert_eq!(world.call_as(ADMIN, "GET", "/livez?x=1", "").await.status, 200);
}

#[tokio::test]
async fn two_idempotency_keys_are_none() {
    let world = World::new().await;
    let send = async |keys: [&str; 2]| {
        let request = Request::post("/api/v1/app").header("x-api-key", ADMIN);
        let request = keys.iter().fold(request, |request, key| request.header("idempotency-key", *key));
        let answer = world.send(request.body(Body::from(r#"{"name": "n"}"#)).unwrap()).await;
        (answer.status, answer.code())
    };
    assert_eq!(send(["a", "b"]).await, (400, "idempotency_key_invalid".to_owned()));
    assert_eq!(send(["a", "a"]).await, (201, String::new()));
}

#[tokio::test]
async fn headers_are_honoured_at_creation_and_deleted_by_name() {
    let world = World::new().await;
    world.shop().await;
    let new =
        json!({"url": "https://example.com/", "uid": "with", "headers": {"x-a": "1", "Authorization": "b"}});
    assert_eq!(world.call("POST", "/api/v1/app/shop/endpoint", &new.to_string()).await.status, 201);
    let headers = "/api/v1/app/shop/endpoint/with/headers";
    let shown = json!({"headers": {"x-a": "1"}, "sensitive": ["authorization"]});
    assert_eq!(world.call("GET", headers, "").await.json(), shown);
    let patch = json!({"headers": {"x-b": "2"}, "deleteHeaders": ["X-A", "authorization", "x-unset"]});
    assert_eq!(world.call("PATCH", headers, &patch.to_string()).await.status, 204);
    assert_eq!(
        world.call("GET", headers, "").await.json(),
        json!({"headers": {"x-b": "2"}, "sensitive": []})
    );
    let reserved = json!({"url": "https://example.com/", "headers": {"webhook-id": "1"}});
    let refused = world.call("POST", "/api/v1/app/shop/endpoint", &reserved.to_string()).await;
    assert_eq!((refused.status, refusal(&refused).1.as_str()), (422, "body.headers"));
}

#[tokio::test]
async fn an_endpoint_is_made_with_its_plugin_or_not_at_all() {
    let world = World::new().await;
    world.shop().await;
    world.call("PUT", "/api/v1/plugin/reshape", "one").await;
    let endpoints = "/api/v1/app/shop/endpoint";
    let create = async |transformation: Value| {
        let new = json!({"url": "https://example.com/", "uid": "whole", "transformation": transformation});
        world.call("POST", endpoints, &new.to_string()).await
    };
    let unknown = create(json!({"plugin": "nobody"})).await;
    assert_eq!((unknown.status, refusal(&unknown).1.as_str()), (422, "body.transformation.plugin"));
    let too_large = create(json!({"plugin": "reshape", "settings": {"a": "x".repeat(70_000)}})).await;
    assert_eq!((too_large.status, refusal(&too_large).1.as_str()), (422, "body.transformation.settings"));
    assert_eq!(world.call("GET", &format!("{endpoints}/whole"), "").await.status, 404, "nothing was left");
    let made = create(
        json!({"plugin": "reshape", "settings": {"a": 1}, "allowedOrigins": ["https://files.example"]}),
    )
    .await;
    assert_eq!(made.status, 201, "{made:?}");
    let shown = world.call("GET", &format!("{endpoints}/whole/transformation"), "").await.json();
    assert_eq!([&shown["enabled"], &shown["settings"]], [&json!(true), &json!({"a": 1})]);
    assert_eq!(shown["allowedOrigins"], json!(["https://files.example"]));
    let wrong = json!({"allowedOrigins": ["https://files.example/path"]}).to_string();
    let refused = world.call("PATCH", &format!("{endpoints}/whole/transformation"), &wrong).await;
    assert_eq!(
        refusal(&refused),
        ("origin_invalid".to_owned(), "body.allowedOrigins.0".to_owned(), refusal(&refused).2)
    );
}
