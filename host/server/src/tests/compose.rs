//! Compose webhooks over the API.

use serde_json::{Value, json};

use super::World;

const CREATE: &str = "/api/v1/app/shop/compose";
const TOKEN: &str = "Bearer %token%";

/// The document's example request.
fn example() -> Value {
    json!({
        "name": "Delivery reports",
        "url": "https://www.domain.com/ack/receive?id=@{{payload.id}}",
        "method": "POST",
        "headers": {"content-type": "application/json", "Authorization": TOKEN},
        "body": {"format": "json", "content": {
            "id": "@{{payload.id}}", "mobile": "@{{payload.mobile}}",
            "message_status": "@{{payload.status}}", "read_at": "@{{payload.read_at}}",
        }},
    })
}

fn with(mut composition: Value, field: &str, value: Value) -> String {
    composition[field] = value;
    composition.to_string()
}

/// An application with a composed endpoint, whose path is returned.
async fn composed(world: &World) -> String {
    world.shop().await;
    let made = world.call("POST", CREATE, &example().to_string()).await;
    assert_eq!(made.status, 201, "{made:?}");
    format!("/api/v1/app/shop/endpoint/{}", made.id())
}

#[tokio::test]
async fn compositions_live_their_life() {
    let world = World::new().await;
    let endpoint = composed(&world).await;
    let compose = format!("{endpoint}/compose");
    let shown = world.call("GET", &compose, "").await.json();
    let mut expect = example();
    expect["id"] = shown["id"].clone();
    expect["uid"] = Value::Null;
    expect["headers"]["Authorization"] = Value::Null;
    expect["missing"] = json!("empty");
    expect["allowedOrigins"] = json!([]);
    assert_eq!(shown, expect);
    let made = world.call("GET", &endpoint, "").await.json();
    assert_eq!([&made["preset"], &made["description"]], ["whatsapp", "Delivery reports"]);
    assert_eq!(made["url"], "https://www.domain.com/ack/receive");

    // What is shown can be sent back: the header that is not shown stays.
    let mut changed = shown;
    for field in ["id", "uid"] {
        changed.as_object_mut().unwrap().remove(field);
    }
    changed["method"] = json!("put");
    let replaced = world.call("PUT", &compose, &changed.to_string()).await;
    assert_eq!((replaced.status, &replaced.json()["method"]), (200, &json!("PUT")));
    let preview = preview(&world, &compose, json!({"event": {"payload": {"id": "m-1"}}})).await;
    assert_eq!(preview["headers"]["authorization"], TOKEN);

    assert_eq!(world.call("DELETE", &compose, "").await.status, 204);
    for method in ["GET", "DELETE"] {
        assert_eq!(world.call(method, &compose, "").await.status, 404);
    }
    let refused = world.call("PUT", &compose, &changed.to_string()).await;
    assert_eq!((refused.status, refused.code().as_str()), (422, "compose_header_not_kept"));
    assert_eq!(refused.json()["detail"][0]["loc"], json!(["body", "headers", "Authorization"]));
}

#[tokio::test]
async fn creation_says_of_the_endpoint_what_is_its_own() {
    let world = World::new().await;
    world.shop().await;
    let mut new = example();
    for (field, value) in [
        ("preset", json!("mifumo")),
        ("uid", json!("reports")),
        ("eventTypes", json!(["message.status"])),
        ("channels", json!(["sms"])),
    ] {
        new[field] = value;
    }
    let made = world.once("once", CREATE, &new.to_string()).await;
    assert_eq!((made.status, &made.json()["uid"]), (201, &json!("reports")));
    let endpoint = world.call("GET", "/api/v1/app/shop/endpoint/reports", "").await.json();
    assert_eq!([&endpoint["preset"], &endpoint["id"]], [&json!("mifumo"), &json!(made.id())]);
    let filter = [&endpoint["eventTypes"], &endpoint["channels"]];
    assert_eq!(filter, [&json!(["message.status"]), &json!(["sms"])]);

    // A repeat is answered from what is stored in the clear.
    let repeat = world.once("once", CREATE, &new.to_string()).await;
    assert_eq!(repeat.json(), json!({"id": made.id(), "name": "Delivery reports"}));

    let refused = world.call("PUT", "/api/v1/app/shop/endpoint/reports/compose", &new.to_string()).await;
    assert_eq!(refused.code(), "compose_endpoint_exists");
}

#[tokio::test]
async fn json_is_kept_shown_and_sent_as_it_was_written() {
    let world = World::new().await;
    let compose = format!("{}/compose", composed(&world).await);
    let check = async |body: &str| {
        let put = with(example(), "body", json!("BODY")).replace(r#""BODY""#, body);
        let put = world.call("PUT", &compose, &put).await;
        assert_eq!(put.status, 200, "{put:?}");
        for shown in [put, world.call("GET", &compose, "").await] {
            let text = String::from_utf8_lossy(&shown.body);
            assert!(text.contains(r#""content":{"a":1.10,"b":[1000000000000000000000],"c":null}"#), "{text}");
        }
        let sent = preview(&world, &compose, json!({"event": {"payload": {"id": 7}}})).await;
        assert_eq!(sent["body"], r#"{"a":1.10,"b":[1000000000000000000000],"c":null}"#);
    };
    let content = r#"{"a": 1.10, "b": [1000000000000000000000], "c": null}"#;
    check(&format!(r#"{{"format": "json", "content": {content}}}"#)).await;
    check(&format!(r#"{{"content": {content}, "format": "JSON"}}"#)).await;
}

#[tokio::test]
async fn forms_keep_their_order_and_repeated_names() {
    let world = World::new().await;
    let compose = format!("{}/compose", composed(&world).await);
    let put = async |format: &str, content: &str| {
        let body = format!(r#"{{"format": "{format}", "content": {content}}}"#);
        let plain = with(example(), "headers", json!({}));
        let put = world.call("PUT", &compose, &plain.replace(&example()["body"].to_string(), &body)).await;
        let content: Value = serde_json::from_str(content).unwrap();
        assert_eq!(put.json()["body"]["content"].to_string(), content.to_string(), "{put:?}");
        let sent = preview(&world, &compose, json!({"event": {"id": 7}})).await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (text(&sent["headers"]["content-type"]), text(&sent["body"]))
    };
    let encoded = async |content: &str, expect: &str| {
        let expect = ("application/x-www-form-urlencoded".to_owned(), expect.to_owned());
        assert_eq!(put("formUrlEncoded", content).await, expect);
    };
    encoded(r#"{"z": "@{{id}}", "a": "b c"}"#, "z=7&a=b+c").await;
    encoded(r#"[["a", "1"], ["b", "2"], ["a", "3"]]"#, "a=1&b=2&a=3").await;
    let (content_type, body) = put("formData", r#"{"a": "@{{id}}"}"#).await;
    let boundary = content_type.strip_prefix("multipart/form-data; boundary=").unwrap();
    let part = format!("--{boundary}\r\ncontent-disposition: form-data; name=\"a\"\r\n\r\n7\r\n");
    assert_eq!(body, format!("{part}--{boundary}--\r\n"));
}

async fn preview(world: &World, compose: &str, of: Value) -> Value {
    let answer = world.call("POST", &format!("{compose}/preview"), &of.to_string()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.headers["cache-control"], "no-store");
    answer.json()
}

#[tokio::test]
async fn a_preview_is_what_would_be_sent() {
    let world = World::new().await;
    let compose = format!("{}/compose", composed(&world).await);
    let event = json!({"event": "whatsapp:message:status", "payload": {
        "id": "a 1", "to": "4915", "status": 3, "read_at": null,
    }});
    let sample = preview(&world, &compose, json!({"event": event})).await;
    assert_eq!(sample["method"], "POST");
    assert_eq!(sample["url"], "https://www.domain.com/ack/receive?id=a%201");
    assert_eq!(sample["body"], r#"{"id":"a 1","mobile":"4915","message_status":3,"read_at":null}"#);
    assert_eq!(sample["headers"]["content-type"], "application/json");
    assert_eq!(sample["headers"]["authorization"], TOKEN);
    let signature = sample["headers"]["signature"].as_str().unwrap();
    assert_eq!(signature.len(), 64, "the preset's own: {signature}");

    let message = json!({"eventType": "status", "payload": event, "eventId": "e-1"}).to_string();
    let sent = world.call("POST", "/api/v1/app/shop/msg", &message).await;
    for id in [sent.id(), "e-1".to_owned()] {
        let recorded = preview(&world, &compose, json!({"messageId": id})).await;
        assert_eq!(recorded["headers"]["webhook-id"], sent.id());
        for field in ["url", "body"] {
            assert_eq!(recorded[field], sample[field]);
        }
        assert_eq!(recorded["headers"]["signature"], signature, "the body is the same");
    }
    let refused = async |of: &str, status: u16, code: &str| {
        let answer = world.call("POST", &format!("{compose}/preview"), of).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{of}");
    };
    refused("{}", 422, "preview_unclear").await;
    refused(r#"{"event": {}, "messageId": "e-1"}"#, 422, "preview_unclear").await;
    refused(r#"{"messageId": "e-2"}"#, 404, "not_found").await;
    let strict = with(example(), "missing", json!("fail"));
    assert_eq!(world.call("PUT", &compose, &strict).await.status, 200);
    refused(r#"{"event": {}}"#, 422, "compose_value_missing").await;
    world.call("DELETE", &compose, "").await;
    refused(r#"{"event": {}}"#, 404, "not_found").await;
}

#[tokio::test]
async fn what_is_wrong_is_refused_with_its_place() {
    let world = World::new().await;
    world.shop().await;
    let check = async |field: &str, value: Value, code: &str, place: &str, offset: Option<u64>| {
        let answer = world.call("POST", CREATE, &with(example(), field, value.clone())).await;
        let json = answer.json();
        let item = &json["detail"][0];
        let loc = item["loc"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let loc = loc.collect::<Vec<_>>().join(" ");
        let refusal = (answer.status, answer.code(), loc, item["offset"].as_u64());
        assert_eq!(refusal, (422, code.to_owned(), format!("body{place}"), offset), "{value} {json}");
    };
    let url = "https://www.domain.com/";
    check("name", json!(""), "compose_name_invalid", " name", None).await;
    check("method", json!("DELETE"), "compose_method_unknown", " method", None).await;
    check("method", json!("P T"), "compose_method_unknown", " method", None).await;
    check("method", json!("GET"), "compose_get_body", " body", None).await;
    check("url", json!(format!("{url}@{{{{id")), "compose_variable_unclosed", " url", Some(23)).await;
    check("url", json!(format!("{url}@{{{{stauts}}}}")), "compose_variable_unknown", " url", Some(26)).await;
    check("url", json!("https://@{{id}}/"), "compose_host_variable", " url", Some(8)).await;
    check("url", json!("ftp://domain.com/"), "url_scheme", " url", None).await;
    check("url", json!("http://10.0.0.1/@{{id}}"), "address_blocked", " url", None).await;
    check("headers", json!({"X-A.b": "@{{}}"}), "compose_variable_empty", " headers X-A.b", Some(3)).await;
    check("headers", json!({"x-a": "1\r\nhost: x"}), "compose_header_value_invalid", " headers x-a", None)
        .await;
    check("headers", json!({"x-a": null}), "compose_header_not_kept", " headers x-a", None).await;
    let json_body = json!({"format": "json", "content": {"a/b": ["@{{id}}", "@{{"]}});
    check("body", json_body, "compose_variable_unclosed", " body content a/b 1", Some(0)).await;
    let form = json!({"format": "formData", "content": {"a": "b"}});
    check("body", form, "compose_multipart_content_type", " headers content-type", None).await;
    let form = json!({"format": "formUrlEncoded", "content": {"a.b": "x@{{"}});
    check("body", form, "compose_variable_unclosed", " body content a.b", Some(1)).await;
    check("body", json!({"format": "xml"}), "value_error", " body format", None).await;
    check("missing", json!("null"), "rule_unknown", " missing", None).await;
    check(
        "allowedOrigins",
        json!(["https://a.example/x"]),
        "compose_origin_invalid",
        " allowedOrigins 0",
        None,
    )
    .await;
    check("preset", json!("other"), "preset_unknown", " preset", None).await;
    check("uid", json!("a b"), "name_invalid", " uid", None).await;
    check("channels", json!([]), "set_size_invalid", " channels", None).await;
    check("colour", json!(1), "member_unknown", " colour", None).await;
}

#[tokio::test]
async fn the_composition_to_copy_is_the_documents() {
    let world = World::new().await;
    world.shop().await;
    let copied = include_str!("../../../../examples/compose/delivery-report.json");
    let made = world.call("POST", CREATE, copied).await;
    assert_eq!(made.status, 201, "{made:?}");
    let compose = format!("/api/v1/app/shop/endpoint/{}/compose", made.id());
    let of = json!({"event": {"payload": {"id": "m-1", "status": "sent"}}});
    let sent = preview(&world, &compose, of).await;
    assert_eq!(sent["url"], "https://www.domain.com/ack/receive?id=m-1");
    assert_eq!(sent["body"], r#"{"id":"m-1","mobile":null,"message_status":"sent","read_at":null}"#);
}

#[tokio::test]
async fn a_sample_says_which_variables_there_are() {
    let world = World::new().await;
    world.shop().await;
    let mut new = example();
    new["headers"]["x-order"] = json!("@{{order.number}}");
    assert_eq!(world.call("POST", CREATE, &new.to_string()).await.status, 201);
    assert_eq!(
        world
            .call("POST", CREATE, &with(new.clone(), "sample", json!({"order": {"number": 1}})))
            .await
            .status,
        201
    );
    let other = world.call("POST", CREATE, &with(new, "sample", json!({"order": {"numbers": 1}}))).await;
    assert_eq!(other.code(), "compose_variable_unknown");
    let detail = &other.json()["detail"][0];
    assert!(detail["msg"].as_str().unwrap().contains("is `order.numbers` meant?"), "{detail}");
}

#[tokio::test]
async fn templates_without_bounds_are_refused() {
    let world = World::new().await;
    world.shop().await;
    let check = async |bytes: usize, status: u16, code: &str| {
        let new = with(example(), "url", json!(format!("https://www.domain.com/?{}", "a".repeat(bytes))));
        let answer = world.call("POST", CREATE, &new).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code));
    };
    check(64 << 10, 422, "compose_text_too_long").await;
    check(1 << 20, 413, "payload_too_large").await;
    let braces = with(example(), "url", json!(format!("https://www.domain.com/{}", "@{{".repeat(10_000))));
    assert_eq!(world.call("POST", CREATE, &braces).await.code(), "compose_variable_unclosed");
}

#[tokio::test]
async fn an_endpoint_has_a_plugin_or_a_composition() {
    let world = World::new().await;
    let plain = format!("/api/v1/app/shop/endpoint/{}", world.shop().await);
    let bytes = "component";
    assert_eq!(world.call("PUT", "/api/v1/plugin/reshape", bytes).await.status, 201);
    let (compose, transformation) = (format!("{plain}/compose"), format!("{plain}/transformation"));
    let check = async |method: &str, path: &str, body: &str, status: u16, code: &str| {
        let answer = world.call(method, path, body).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{method} {path} {body}");
    };
    let (plugin, none) = (r#"{"plugin": "reshape"}"#, r#"{"plugin": null}"#);
    let example = example().to_string();
    for patch in [plugin, r#"{"enabled": false}"#] {
        check("PATCH", &transformation, patch, 200, "").await;
        check("PUT", &compose, &example, 409, "endpoint_has_plugin").await;
    }
    check("PATCH", &transformation, none, 200, "").await;
    check("PUT", &compose, &example, 200, "").await;
    for patch in [plugin, r#"{"enabled": true}"#] {
        check("PATCH", &transformation, patch, 409, "endpoint_is_composed").await;
    }
    // There is no plugin to take away, and the composition is none.
    for patch in [none, r#"{"enabled": false}"#] {
        check("PATCH", &transformation, patch, 200, "").await;
    }
    check("GET", &compose, "", 200, "").await;
}

#[tokio::test]
async fn terms_hold_for_composed_urls_too() {
    let world = World::new().await;
    let endpoint = format!("/api/v1/app/shop/endpoint/{}", world.shop().await);
    let (compose, policy) = (format!("{endpoint}/compose"), format!("{endpoint}/policy"));
    let insecure = with(example(), "url", json!("http://www.domain.com/@{{id}}"));
    assert_eq!(world.call("PUT", &compose, &insecure).await.status, 200);
    let https = r#"{"url": "https"}"#;
    assert_eq!(world.call("PATCH", &policy, https).await.code(), "url_not_https");
    assert_eq!(world.call("PUT", &compose, &example().to_string()).await.status, 200);
    assert_eq!(world.call("PATCH", &policy, https).await.status, 200);
    assert_eq!(world.call("PUT", &compose, &insecure).await.code(), "url_not_https");
    let listed = json!(["https://a.example", "http://b.example"]);
    let mut varied = example();
    varied["url"] = json!("@{{scheme}}://a.example/");
    varied["sample"] = json!({"scheme": "https"});
    assert_eq!(
        world.call("PUT", &compose, &with(varied, "allowedOrigins", listed)).await.code(),
        "url_not_https"
    );
}

#[tokio::test]
async fn a_composition_belongs_to_those_who_administer_its_application() {
    let world = World::new().await;
    let compose = format!("{}/compose", composed(&world).await);
    let key = async |scope: &str| {
        let new = json!({"scope": scope, "application": "shop", "label": ""}).to_string();
        world.call("POST", "/api/v1/key", &new).await.json()["key"].as_str().unwrap().to_owned()
    };
    let (own, ingest) = (key("application").await, key("ingest").await);
    let preview = (format!("{compose}/preview"), json!({"event": {}}).to_string());
    let calls = [
        ("GET", compose.as_str(), "", 200),
        ("PUT", &compose, &example().to_string(), 200),
        ("POST", &preview.0, &preview.1, 200),
        ("POST", CREATE, &example().to_string(), 201),
        ("DELETE", &compose, "", 204),
    ];
    for (method, path, body, expect) in calls {
        assert_eq!(world.call_as(&ingest, method, path, body).await.status, 403, "{method} {path}");
        assert_eq!(world.call_as(&own, method, path, body).await.status, expect, "{method} {path}");
    }
}
