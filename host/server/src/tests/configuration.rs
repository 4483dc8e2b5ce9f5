//! Applications, endpoints, event types, plugins and keys in the shapes of the Svix API.

use std::sync::Arc;

use axum::body::Body;
use http::Request;
use serde_json::{Value, json};

use super::{ADMIN, START, World};

/// The value without its times and ids, which other checks look at.
fn without(mut value: Value, fields: &[&str]) -> Value {
    for field in fields {
        assert!(value.as_object_mut().unwrap().remove(*field).is_some(), "{field} is missing");
    }
    value
}

#[tokio::test]
async fn applications_live_their_life() {
    let world = World::new().await;
    let made =
        world.call("POST", "/api/v1/app", r#"{"name": "Shop", "uid": "shop", "rateLimit": null}"#).await;
    assert_eq!(made.status, 201);
    assert_eq!(made.headers["content-type"], "application/json");
    assert_eq!(
        without(made.json(), &["id"]),
        json!({
            "uid": "shop", "name": "Shop", "throttleRate": null, "metadata": {},
            "createdAt": START.to_string(), "updatedAt": START.to_string(),
        })
    );
    let id = made.id();
    for name in ["shop", &id] {
        assert_eq!(world.call("GET", &format!("/api/v1/app/{name}/"), "").await.json(), made.json());
    }
    let again = r#"{"name": "Other", "uid": "shop"}"#;
    assert_eq!(world.call("POST", "/api/v1/app?get_if_exists=true", again).await.json(), made.json());
    assert_eq!(world.call("POST", "/api/v1/app", again).await.status, 409);

    let patched =
        world.call("PATCH", "/api/v1/app/shop", r#"{"throttleRate": 5, "metadata": {"a": "b"}}"#).await;
    assert_eq!((patched.status, &patched.json()["throttleRate"]), (200, &json!(5)));
    assert_eq!(patched.json()["metadata"], json!({"a": "b"}));
    let cleared = world.call("PATCH", "/api/v1/app/shop", r#"{"throttleRate": null, "uid": null}"#).await;
    assert_eq!(cleared.json()["throttleRate"], Value::Null);
    assert_eq!(world.call("GET", "/api/v1/app/shop", "").await.status, 404);

    let replaced = world.call("PUT", &format!("/api/v1/app/{id}"), r#"{"name": "New", "uid": "shop"}"#).await;
    assert_eq!((replaced.status, &replaced.json()["metadata"]), (200, &json!({})));
    assert_eq!(world.call("PUT", "/api/v1/app/mill", r#"{"name": "Mill", "uid": "mill"}"#).await.status, 201);
    assert_eq!(world.call("DELETE", "/api/v1/app/shop", "").await.status, 204);
    assert_eq!(world.call("DELETE", "/api/v1/app/shop", "").await.status, 404);
}

#[tokio::test]
async fn lists_go_forth_and_back() {
    let world = World::new().await;
    for number in 1..=5 {
        world.call("POST", "/api/v1/app", &format!(r#"{{"name": "n{number}"}}"#)).await;
    }
    let page = async |query: String| {
        let answer = world.call("GET", &format!("/api/v1/app?limit=2{query}"), "").await.json();
        let names =
            answer["data"].as_array().unwrap().iter().map(|app| app["name"].as_str().unwrap().to_owned());
        let text = |field: &str| answer[field].as_str().unwrap_or_default().to_owned();
        (names.collect::<Vec<_>>().join(" "), answer["done"] == true, text("iterator"), text("prevIterator"))
    };
    let (names, done, next, _) = page(String::new()).await;
    assert_eq!((names.as_str(), done), ("n1 n2", false));
    let (names, done, next, previous) = page(format!("&iterator={next}")).await;
    assert_eq!((names.as_str(), done), ("n3 n4", false));
    let (names, done, _, _) = page(format!("&iterator={next}")).await;
    assert_eq!((names.as_str(), done), ("n5", true));
    let (names, done, _, previous) = page(format!("&iterator={previous}")).await;
    assert_eq!((names.as_str(), done), ("n1 n2", true));
    let (names, done, next, _) = page(format!("&iterator={previous}")).await;
    assert_eq!((names.as_str(), done, next.as_str()), ("", true, ""));
    let (names, _, _, _) = page("&order=descending".to_owned()).await;
    assert_eq!(names, "n5 n4");
}

#[tokio::test]
async fn endpoints_live_their_life() {
    let world = World::new().await;
    world.call("POST", "/api/v1/app", r#"{"name": "Shop", "uid": "shop"}"#).await;
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let new = json!({
        "url": "https://example.com/hooks", "uid": "main", "description": "first", "secret": secret,
        "filterTypes": ["b.b", "a.a"], "channels": ["one"], "throttleRate": 7, "version": 1,
        "pattern": {"type": ["order.paid"]}, "metadata": {"k": "v"},
    });
    let made = world.call("POST", "/api/v1/app/shop/endpoint", &new.to_string()).await;
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!(
        without(made.json(), &["id", "createdAt", "updatedAt"]),
        json!({
            "breaker": {"state": "closed"}, "description": "first", "rateLimit": 7, "throttleRate": 7, "uid": "main",
            "url": "https://example.com/hooks", "version": 1, "disabled": false, "state": "enabled", "preset": "standard",
            "eventTypes": ["a.a", "b.b"], "filterTypes": ["a.a", "b.b"], "channels": ["one"],
            "pattern": {"type": ["order.paid"]}, "metadata": {"k": "v"},
        })
    );
    let key = world.call("GET", "/api/v1/app/shop/endpoint/main/secret", "").await;
    assert_eq!(key.json(), json!({"key": secret}));
    assert_eq!(key.headers["cache-control"], "no-store");

    let patch =
        r#"{"disabled": true, "eventTypes": null, "channels": null, "throttleRate": null, "pattern": null}"#;
    let patched = world.call("PATCH", "/api/v1/app/shop/endpoint/main", patch).await.json();
    assert_eq!([&patched["disabled"], &patched["description"]], [&json!(true), &json!("first")]);
    for field in ["eventTypes", "channels", "throttleRate", "pattern"] {
        assert_eq!(patched[field], Value::Null, "{field}");
    }
    let replaced =
        world.call("PUT", "/api/v1/app/shop/endpoint/main", r#"{"url": "https://other.example"}"#).await;
    assert_eq!((replaced.status, &replaced.json()["uid"]), (200, &json!("main")), "it stays where it is put");
    assert_eq!(replaced.json()["disabled"], false);
    let created = r#"{"url": "https://other.example", "uid": "second"}"#;
    assert_eq!(world.call("PUT", "/api/v1/app/shop/endpoint/second", created).await.status, 201);
    let list = world.call("GET", "/api/v1/app/shop/endpoint", "").await.json();
    assert_eq!([&list["data"][0]["uid"], &list["done"]], [&json!("second"), &json!(true)], "newest first");
    assert_eq!(world.call("DELETE", "/api/v1/app/shop/endpoint/second", "").await.status, 204);
    assert_eq!(world.call("GET", "/api/v1/app/shop/endpoint/second", "").await.status, 404);
}

#[tokio::test]
async fn secrets_rotate_and_headers_hide_what_is_sensitive() {
    let world = World::new().await;
    let endpoint = format!("/api/v1/app/shop/endpoint/{}", world.shop().await);
    let (secret, rotate) = (format!("{endpoint}/secret"), format!("{endpoint}/secret/rotate"));
    let before = world.call("GET", &secret, "").await.json();
    assert!(before["key"].as_str().unwrap().starts_with("whsec_"));
    assert_eq!(world.call("POST", &rotate, "").await.status, 204);
    let after = world.call("GET", &secret, "").await.json();
    assert_ne!(before, after);
    assert_eq!(
        world.call("POST", &rotate, r#"{"gracePeriodSeconds": 604801}"#).await.code(),
        "overlap_too_long"
    );
    assert_eq!(
        world.call("POST", &rotate, r#"{"key": "whsec_AAAA"}"#).await.code(),
        "signing_key_length_invalid"
    );
    assert_eq!(world.call("GET", &secret, "").await.json(), after);

    let headers = format!("{endpoint}/headers");
    let given = r#"{"headers": {"X-Team": "a", "Authorization": "Bearer secret"}}"#;
    assert_eq!(world.call("PUT", &headers, given).await.status, 204);
    let shown = json!({"headers": {"x-team": "a"}, "sensitive": ["authorization"]});
    assert_eq!(world.call("GET", &headers, "").await.json(), shown);
    assert_eq!(
        world.call("PATCH", &headers, r#"{"headers": {"x-team": null, "x-b": "2"}}"#).await.status,
        204
    );
    let shown = json!({"headers": {"x-b": "2"}, "sensitive": ["authorization"]});
    assert_eq!(world.call("GET", &headers, "").await.json(), shown);
    let refused = r#"{"headers": {"webhook-id": "1"}}"#;
    assert_eq!(world.call("PUT", &headers, refused).await.code(), "header_reserved");
    assert_eq!(world.call("PATCH", &headers, refused).await.code(), "header_reserved");
}

#[tokio::test]
async fn event_types_are_archived_and_come_back() {
    let world = World::new().await;
    let new = r#"{"name": "order.paid", "description": "d", "schemas": {"1": {"type": "object"}}}"#;
    let made = world.call("POST", "/api/v1/event-type", new).await;
    assert_eq!((made.status, &made.json()["schemas"]), (201, &json!({"1": {"type": "object"}})));
    assert_eq!(world.call("POST", "/api/v1/event-type", new).await.code(), "event_type_exists");
    assert_eq!(world.call("DELETE", "/api/v1/event-type/order.paid", "").await.status, 204);
    let names = async |query: &str| {
        let list = world.call("GET", &format!("/api/v1/event-type{query}"), "").await.json();
        list["data"].as_array().unwrap().len()
    };
    assert_eq!(names("").await, 0);
    assert_eq!(names("?include_archived=true").await, 1);
    assert_eq!(world.call("POST", "/api/v1/event-type", new).await.status, 201);
    let patched = world.call("PATCH", "/api/v1/event-type/order.paid", r#"{"schemas": null}"#).await.json();
    assert_eq!([&patched["schemas"], &patched["description"]], [&Value::Null, &json!("d")]);
    assert_eq!(world.call("PUT", "/api/v1/event-type/new", r#"{"description": ""}"#).await.status, 201);
    assert_eq!(world.call("PUT", "/api/v1/event-type/new", r#"{"description": "x"}"#).await.status, 200);
    assert_eq!(world.call("DELETE", "/api/v1/event-type/new?expunge=true", "").await.status, 204);
    assert_eq!(world.call("GET", "/api/v1/event-type/new", "").await.status, 404);
}

#[tokio::test]
async fn plugins_are_uploaded_used_and_rolled_back() {
    let world = World::new().await;
    let endpoint = format!("/api/v1/app/shop/endpoint/{}", world.shop().await);
    let first = world.call("PUT", "/api/v1/plugin/reshape", "one").await;
    assert_eq!(first.status, 201);
    let second = world.call("PUT", "/api/v1/plugin/reshape", "two").await.json();
    assert_eq!(second["versions"].as_array().unwrap().len(), 2);
    assert_eq!(world.call("PUT", "/api/v1/plugin/reshape", "two").await.status, 200);
    assert_eq!(world.plugins.prepared().len(), 3);
    let rolled = world.call("POST", "/api/v1/plugin/reshape/rollback", "").await;
    assert_eq!((rolled.status, &rolled.json()["version"]), (200, &first.json()["version"]));
    let to = json!({"version": second["version"]}).to_string();
    let rolled = world.call("POST", "/api/v1/plugin/reshape/rollback", &to).await;
    assert_eq!(rolled.json()["version"], second["version"]);

    let transformation = format!("{endpoint}/transformation");
    let unset = json!({"enabled": false, "plugin": null, "version": null, "settings": null, "code": null, "secrets": [], "onFailure": "hold", "instance": "fresh", "allowedOrigins": []});
    assert_eq!(world.call("GET", &transformation, "").await.json(), unset);
    let patch = r#"{"plugin": "reshape", "settings": {"b": 1, "a": 2}, "onFailure": "bypass"}"#;
    let patched = world.call("PATCH", &transformation, patch).await.json();
    let set = json!({
        "enabled": true, "plugin": "reshape", "version": null, "settings": {"b": 1, "a": 2}, "code": null, "secrets": [],
        "onFailure": "bypass", "instance": "fresh", "allowedOrigins": [],
    });
    assert_eq!(patched, set);
    assert_eq!(world.call("GET", &transformation, "").await.json(), set);
    assert_eq!(
        world.call("PATCH", &transformation, r#"{"code": "x"}"#).await.status,
        422,
        "ours refuse strangers"
    );
    assert_eq!(world.call("DELETE", "/api/v1/plugin/reshape", "").await.code(), "plugin_in_use");
    assert_eq!(world.call("PATCH", &transformation, r#"{"plugin": null}"#).await.json(), unset);
    assert_eq!(world.call("DELETE", "/api/v1/plugin/reshape", "").await.status, 204);
    assert_eq!(world.call("GET", "/api/v1/plugin", "").await.json()["data"], json!([]));
}

#[tokio::test]
async fn policies_change_by_parts() {
    let world = World::new().await;
    let policy = format!("/api/v1/app/shop/endpoint/{}/policy", world.shop().await);
    let standard = world.call("GET", &policy, "").await.json();
    assert_eq!(standard["schedule"], json!([5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400]));
    assert_eq!([&standard["attemptsMax"], &standard["timeoutMs"]], [&json!(10), &json!(15000)]);
    let patch =
        r#"{"schedule": [0.05, 2], "jitterPercent": 0, "rate": {"deliveries": 3}, "ordering": "perKey"}"#;
    let patched = world.call("PATCH", &policy, patch).await.json();
    assert_eq!(patched["schedule"], json!([0.05, 2]));
    assert_eq!(patched["rate"], json!({"deliveries": 3, "periodSecs": 1}));
    assert_eq!([&patched["ordering"], &patched["jitterPercent"]], [&json!("perKey"), &json!(0)]);
    let exponential = json!({"baseMs": 100, "factorPercent": 200, "capMs": 1000, "attemptsMax": 4});
    let patch = json!({"exponential": exponential, "rate": null, "concurrency": 1}).to_string();
    let patched = world.call("PATCH", &policy, &patch).await.json();
    assert_eq!([&patched["exponential"], &patched["rate"]], [&exponential, &Value::Null]);
    assert_eq!([&patched["schedule"], &patched["jitterPercent"]], [&Value::Null, &json!(0)]);
    let check = async |patch: &str, code: &str| {
        assert_eq!(world.call("PATCH", &policy, patch).await.code(), code, "{patch}");
    };
    check(r#"{"timeoutMs": 0}"#, "timeout_out_of_range").await;
    check(r#"{"concurrency": 0}"#, "concurrency_out_of_range").await;
    check(r#"{"rate": {"deliveries": 0}}"#, "rate_out_of_range").await;
    check(r#"{"schedule": [-1]}"#, "retry_delay_out_of_range").await;
    check(r#"{"schedule": [0.001]}"#, "retry_delay_out_of_range").await;
    check(r#"{"jitterPercent": 101}"#, "retry_jitter_out_of_range").await;
    check(r#"{"unknown": 1}"#, "member_unknown").await;
}

#[tokio::test]
async fn a_repeated_request_is_answered_as_the_first_also_after_a_crash() {
    let world = World::new().await;
    let body = r#"{"name": "Shop"}"#;
    let first = world.once("key-1", "/api/v1/app", body).await;
    assert_eq!(first.status, 201);
    let restarted = World::over(Arc::clone(&world.store), START).await;
    for world in [&world, &restarted] {
        let repeat = world.once("key-1", "/api/v1/app", body).await;
        assert_eq!((repeat.status, &repeat.body), (201, &first.body));
        assert_eq!(
            world.once("key-1", "/api/v1/app", r#"{"name": "Other"}"#).await.code(),
            "idempotency_key_reused"
        );
    }
    assert_eq!(world.call("GET", "/api/v1/app", "").await.json()["data"].as_array().unwrap().len(), 1);

    let key = r#"{"scope": "admin", "label": "second"}"#;
    let first = world.once("key-2", "/api/v1/key", key).await.json();
    let repeat = world.once("key-2", "/api/v1/key", key).await.json();
    assert!(first["key"].as_str().unwrap().starts_with("hmk_"));
    assert_eq!(
        (&repeat["id"], &repeat["key"]),
        (&first["id"], &Value::Null),
        "a key's text is stored nowhere"
    );
}

#[tokio::test]
async fn keys_open_what_their_scope_says() {
    let world = World::new().await;
    let endpoint = world.shop().await;
    world.call("POST", "/api/v1/app", r#"{"name": "Mill", "uid": "mill"}"#).await;
    let make = async |body: &str| {
        world.call("POST", "/api/v1/key", body).await.json()["key"].as_str().unwrap().to_owned()
    };
    let admin = make(r#"{"scope": "admin"}"#).await;
    let own = make(r#"{"scope": "application", "application": "shop"}"#).await;
    let ingest = make(r#"{"scope": "ingest", "application": "shop"}"#).await;
    let own_endpoint = format!("/api/v1/app/shop/endpoint/{endpoint}");
    let message = r#"{"eventType": "a", "payload": {}}"#;
    let matrix = [
        ("GET", "/api/v1/app", "", [200, 403, 403]),
        ("POST", "/api/v1/app", r#"{"name": "n"}"#, [201, 403, 403]),
        ("GET", "/api/v1/app/shop", "", [200, 200, 403]),
        ("GET", "/api/v1/app/mill", "", [200, 403, 403]),
        ("GET", "/api/v1/app/unknown", "", [404, 403, 403]),
        ("GET", own_endpoint.as_str(), "", [200, 200, 403]),
        ("POST", "/api/v1/app/shop/msg", message, [202, 202, 202]),
        ("POST", "/api/v1/app/mill/msg", message, [202, 403, 403]),
        ("POST", "/api/v1/app/unknown/msg", message, [404, 403, 403]),
        ("GET", "/api/v1/app/shop/msg", "", [200, 200, 403]),
        ("GET", "/api/v1/event-type", "", [200, 200, 403]),
        ("PUT", "/api/v1/event-type/a", r#"{"description": ""}"#, [201, 403, 403]),
        ("GET", "/api/v1/plugin", "", [200, 200, 403]),
        ("PUT", "/api/v1/plugin/p", "one", [201, 403, 403]),
        ("GET", "/api/v1/key", "", [200, 403, 403]),
        ("POST", "/api/v1/key", r#"{"scope": "admin"}"#, [201, 403, 403]),
        ("PUT", "/api/v1/app/unknown", r#"{"name": "n"}"#, [201, 403, 403]),
        ("DELETE", "/api/v1/app/shop", "", [204, 403, 403]),
    ];
    for (method, path, body, expect) in matrix {
        for (key, expect) in [(&ingest, expect[2]), (&own, expect[1]), (&admin, expect[0])] {
            let answer = world.call_as(key, method, path, body).await;
            assert_eq!(answer.status, expect, "{method} {path}: {answer:?}");
        }
    }
    assert_eq!(
        world.call_as(&own, "GET", "/api/v1/event-type", "").await.status,
        401,
        "its application is gone"
    );
}

#[tokio::test]
async fn keys_come_in_two_headers() {
    let world = World::new().await;
    let check = async |name: &str, value: &str, expect: u16| {
        let request = Request::get("/api/v1/app").header(name, value).body(Body::empty()).unwrap();
        let answer = world.send(request).await;
        assert_eq!(answer.status, expect, "{name}: {value}");
        assert_eq!(answer.headers.contains_key("www-authenticate"), expect == 401);
    };
    check("authorization", &format!("Bearer {ADMIN}"), 200).await;
    check("authorization", &format!("bearer {ADMIN}"), 200).await;
    check("x-api-key", ADMIN, 200).await;
    check("authorization", ADMIN, 401).await;
    check("authorization", &format!("Basic {ADMIN}"), 401).await;
    check("authorization", "Bearer ", 401).await;
    check("x-api-key", "unknown", 401).await;
    check("x-other", ADMIN, 401).await;
}

#[tokio::test]
async fn a_key_in_both_headers_is_the_same_key() {
    let world = World::new().await;
    let admin = format!("Bearer {ADMIN}");
    let check = async |headers: &[(&str, &str)], expect: u16, code: &str| {
        let mut request = Request::get("/api/v1/app");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = world.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!((answer.status, answer.code().as_str()), (expect, code), "{headers:?}");
    };
    check(&[("x-api-key", ADMIN), ("authorization", &admin)], 200, "").await;
    check(&[("x-api-key", ADMIN), ("x-api-key", ADMIN)], 200, "").await;
    check(&[("x-api-key", "other"), ("authorization", &admin)], 401, "authentication_ambiguous").await;
    check(&[("x-api-key", ADMIN), ("authorization", "Bearer other")], 401, "authentication_ambiguous").await;
    check(&[("x-api-key", ADMIN), ("x-api-key", "other")], 401, "authentication_ambiguous").await;
    check(&[("x-api-key", ADMIN), ("authorization", "Basic x")], 401, "authentication_missing").await;
}

#[tokio::test]
async fn keys_that_callers_already_have_are_taken() {
    let world = World::new().await;
    world.shop().await;
    let import = async |key: &str, scope: &str, allow_short: bool| {
        let application = (scope != "admin").then_some("shop");
        let body = json!({"scope": scope, "application": application, "key": key, "allowShort": allow_short});
        world.call("POST", "/api/v1/key", &body.to_string()).await
    };
    let made = import("OsmoX-test-key", "application", true).await;
    assert_eq!((made.status, &made.json()["key"]), (201, &Value::Null), "its owner has it");
    assert_eq!(world.call_as("OsmoX-test-key", "GET", "/api/v1/app/shop", "").await.status, 200);
    assert_eq!(world.call_as("OsmoX-test-key", "GET", "/api/v1/app", "").await.status, 403);

    let check = async |key: &str, scope: &str, allow_short: bool, status: u16, code: &str| {
        let answer = import(key, scope, allow_short).await;
        let json = answer.json();
        let shown = json["detail"][0]["type"].as_str().or(json["code"].as_str()).unwrap_or_default();
        assert_eq!((answer.status, shown), (status, code), "{key} {json}");
    };
    check("OsmoX-test-key", "application", true, 409, "key_taken").await;
    check(ADMIN, "ingest", false, 409, "key_taken").await;
    check("OsmoX-test-kez", "application", false, 422, "key_length_invalid").await;
    check("OsmoX-test-kez", "admin", true, 422, "key_length_invalid").await;
    check("seven77", "ingest", true, 422, "key_length_invalid").await;
    check(&"x".repeat(513), "admin", false, 422, "key_length_invalid").await;
    check("sixteen characte", "admin", false, 422, "key_characters_invalid").await;
    check("sixteen-charäct", "admin", false, 422, "key_characters_invalid").await;
    check("sixteen-characte", "admin", false, 201, "").await;
    check("eight888", "ingest", true, 201, "").await;
}
