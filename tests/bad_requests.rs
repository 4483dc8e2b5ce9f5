//! Requests that can't be honoured: each gets a status, a stable code and words for people.

use hookmill_core::limits::EVENT_BODY_BYTES_MAX;
use hookmill_testkit::receiver::{Behaviour, Receiver};
use hookmill_tests::api::{Api, message, text};
use hookmill_tests::fixture;
use hookmill_tests::router::{ADMIN_KEY, DataDir, Options};
use hookmill_tests::wire::Wire;
use http::Method;
use serde_json::json;

/// Beyond what one request that sends an event may have.
const MESSAGE_BYTES_OVER: usize = EVENT_BODY_BYTES_MAX + (64 << 10) + 1;

fn head(path: &str, more: &str) -> String {
    format!(
        "POST /api/v1{path} HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {ADMIN_KEY}\r\n\
         content-type: application/json\r\n{more}\r\n\r\n"
    )
}

#[tokio::test]
async fn events_that_are_none() {
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let application = router.api().create_application("refusing").await;
    let check = async |body: &str, status: u16, code: &str| {
        router.api().try_send(&application, body, None).await.check_refused(status, code);
    };
    check("", 400, "body_empty").await;
    check("{", 400, "json_invalid").await;
    check("not json", 400, "json_invalid").await;
    check(r#"{"eventType":"a","payload":{"a":}}"#, 400, "json_invalid").await;
    check("[]", 422, "value_error").await;
    check(r#"{"payload":{}}"#, 422, "value_error").await;
    check(r#"{"eventType":"a"}"#, 422, "value_error").await;
    check(&message("with space", None, "{}"), 422, "name_invalid").await;
    check(&message("a", Some(""), "{}"), 422, "name_invalid").await;
    check(&message("a", None, "1"), 422, "payload_not_object").await;
    let none = router.api().get(&format!("/app/{application}/msg")).await;
    assert_eq!(none["data"], json!([]));
}

#[tokio::test]
async fn bodies_over_the_limit() {
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let application = router.api().create_application("refusing").await;
    let path = format!("/app/{application}/msg");

    let largest = format!(r#"{{"x":"{}"}}"#, "x".repeat(EVENT_BODY_BYTES_MAX - 8));
    assert_eq!(largest.len(), EVENT_BODY_BYTES_MAX);
    router.api().send(&application, "large", &largest).await;
    let larger = message("large", None, &format!(r#"{{"x":"{}"}}"#, "x".repeat(EVENT_BODY_BYTES_MAX - 7)));
    router.api().try_send(&application, &larger, None).await.check_refused(413, "event_body_too_large");

    // The length alone is enough to refuse; nothing of the body has to be sent.
    let mut announced = Wire::connect(router.address()).await;
    announced.send(head(&path, &format!("content-length: {MESSAGE_BYTES_OVER}"))).await;
    let answer = announced.read_head().await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");

    // Without a length it is counted.
    let mut chunked = Wire::connect(router.address()).await;
    chunked.send(head(&path, "transfer-encoding: chunked")).await;
    chunked.send(format!("{MESSAGE_BYTES_OVER:x}\r\n{}", "x".repeat(MESSAGE_BYTES_OVER))).await;
    let answer = chunked.read_head().await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");

    let configuration = json!({ "name": "x".repeat(300 << 10) });
    let reply = router.api().call(Method::POST, "/app").json(&configuration).await;
    reply.check_refused(413, "payload_too_large");
}

#[tokio::test]
async fn a_body_that_is_cut_off_is_not_accepted() {
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let application = router.api().create_application("refusing").await;
    let whole = message("cut", None, "{}");
    let mut wire = Wire::connect(router.address()).await;
    let length = format!("content-length: {}", whole.len() + 1);
    wire.send(head(&format!("/app/{application}/msg"), &length)).await;
    wire.send(&whole).await;
    wire.finish().await;
    let answer = wire.read_to_end().await;
    assert!(answer.is_empty() || answer.contains("body_truncated"), "{answer}");
    let none = router.api().get(&format!("/app/{application}/msg")).await;
    assert_eq!(none["data"], json!([]));
}

#[tokio::test]
async fn what_is_not_there() {
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let application = router.api().create_application("refusing").await;
    let check = async |method: Method, path: &str, status: u16, code: &str| {
        router.api().call(method, path).reply().await.check_refused(status, code);
    };
    check(Method::GET, "/app/app_unknown", 404, "not_found").await;
    check(Method::GET, &format!("/app/{application}/endpoint/ep_unknown"), 404, "not_found").await;
    check(Method::GET, &format!("/app/{application}/msg/msg_unknown"), 404, "not_found").await;
    check(Method::GET, "/plugin/unknown", 404, "not_found").await;
    check(Method::GET, "/nowhere", 404, "path_unknown").await;
    check(Method::DELETE, "/app", 405, "method_not_allowed").await;
    router.api().try_send("unknown", &message("a", None, "{}"), None).await.check_refused(404, "not_found");
    router.api().call_at(Method::GET, "/../etc/passwd").reply().await.check_refused(404, "path_unknown");
}

#[tokio::test]
async fn uids_that_are_taken() {
    let receiver = Receiver::start(Behaviour::accepts()).await;
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let api = router.api();
    let create = |path: String, body| async move { api.call(Method::POST, &path).json(&body).await };
    let application = json!({ "name": "one", "uid": "customer-1" });
    create("/app".into(), application.clone()).await.expect_status(201);
    create("/app".into(), application).await.check_refused(409, "conflict");
    let endpoint = json!({ "url": receiver.url("/"), "uid": "endpoint-1" });
    create("/app/customer-1/endpoint".into(), endpoint.clone()).await.expect_status(201);
    create("/app/customer-1/endpoint".into(), endpoint).await.check_refused(409, "conflict");
    assert_eq!(api.get("/app/customer-1/endpoint").await["data"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn urls_that_lead_nowhere() {
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let application = router.api().create_application("refusing").await;
    let check = async |url: &str, code: &str| {
        let call = router.api().call(Method::POST, &format!("/app/{application}/endpoint"));
        call.json(&json!({ "url": url })).await.check_refused(422, code);
    };
    check("", "url_invalid").await;
    check("nowhere", "url_invalid").await;
    check("//example.com/hook", "url_invalid").await;
    check("https://", "url_host").await;
    check("ftp://example.com/", "url_scheme").await;
    check("file:///etc/passwd", "url_scheme").await;
    check("javascript:alert(1)", "url_scheme").await;
    check("https://user:secret@example.com/", "url_userinfo").await;
    check("https://example.com:0/", "url_port").await;
    check(&format!("https://example.com/{}", "x".repeat(10_000)), "url_too_long").await;
}

/// However an address of this machine or its network is written: it is refused when the endpoint is made, or blocked
/// when its name is resolved, and nothing arrives.
#[tokio::test]
async fn private_addresses_where_they_are_forbidden() {
    let receiver = Receiver::start(Behaviour::accepts()).await;
    let data_dir = DataDir::new();
    let router = data_dir.start_with(&Options::default().public_network_only()).await;
    let api = router.api();
    let application = api.create_application("refusing").await;
    let path = format!("/app/{application}/endpoint");
    let vectors = std::fs::read_to_string(fixture::tests_directory().join("data/vectors/ssrf.txt")).unwrap();
    let mut accepted = 0;
    for host in vectors.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let url = format!("http://{host}:{}/", receiver.address().port());
        let reply = api.call(Method::POST, &path).json(&json!({ "url": url })).await;
        match reply.status {
            201 => accepted += 1,
            422 => {
                let code = text(&reply.json(), "code");
                assert!(
                    ["address_blocked", "url_invalid", "url_host"].contains(&code.as_str()),
                    "{url}: {code}"
                );
            }
            status => panic!("{url}: {status} {reply:?}"),
        }
    }
    if accepted > 0 {
        let message = api.send(&application, "any", "{}").await;
        for attempt in api.wait_for_attempts(&application, &message, accepted).await {
            let code = attempt["failureCode"].as_str().unwrap_or_default();
            assert!(["address_blocked", "dns_failed"].contains(&code), "{attempt}");
        }
    }
    assert_eq!(receiver.connections(), 0);
}

#[tokio::test]
async fn callers_without_the_right_key() {
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let api = router.api();
    let mine = api.create_application("mine").await;
    let other = api.create_application("other").await;
    let key_of = async |scope: &str| {
        let body = json!({ "scope": scope, "application": mine });
        let created = api.call(Method::POST, "/key").json(&body).await.expect(201);
        api.with_key(&text(&created, "key"))
    };
    let (of_application, ingest) = (key_of("application").await, key_of("ingest").await);
    let event = message("a", None, "{}");
    let get = async |api: &Api, path: &str| api.call(Method::GET, path).reply().await;
    let send = async |api: &Api, to: &str| api.try_send(to, &event, None).await;
    let mine_path = format!("/app/{mine}");

    get(&api.without_key(), "/app").await.check_refused(401, "authentication_missing");
    get(&api.with_key("hmk_wrong"), "/app").await.check_refused(401, "authentication_failed");
    send(&api.without_key(), &mine).await.check_refused(401, "authentication_missing");
    send(&api.with_key("hmk_wrong"), &mine).await.check_refused(401, "authentication_failed");
    let shown = get(&api.without_key(), "/app").await;
    assert_eq!(shown.headers["www-authenticate"], "Bearer");

    get(&of_application, &mine_path).await.expect_status(200);
    send(&of_application, &mine).await.expect_status(202);
    get(&of_application, "/app").await.check_refused(403, "forbidden");
    get(&of_application, &format!("/app/{other}")).await.check_refused(403, "forbidden");
    send(&of_application, &other).await.check_refused(403, "forbidden");
    of_application.try_upload_plugin("any", Vec::new()).await.check_refused(403, "forbidden");

    send(&ingest, &mine).await.expect_status(202);
    get(&ingest, &mine_path).await.check_refused(403, "forbidden");
    send(&ingest, &other).await.check_refused(403, "forbidden");

    // A key that is deleted opens nothing from then on.
    let keys = api.get("/key").await;
    let ingest_key = keys["data"].as_array().unwrap().iter().find(|key| key["scope"] == "ingest").unwrap();
    let path = format!("/key/{}", text(ingest_key, "id"));
    api.call(Method::DELETE, &path).reply().await.expect_status(204);
    send(&ingest, &mine).await.check_refused(401, "authentication_failed");
}

#[tokio::test]
async fn plugins_that_are_not_there() {
    let receiver = Receiver::start(Behaviour::accepts()).await;
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let application = router.api().create_application("refusing").await;
    let endpoint = router.api().create_endpoint(&application, &receiver.url("/"), json!({})).await;
    let check = async |transformation, code: &str| {
        let call = router.api().call(Method::PATCH, &format!("{}/transformation", endpoint.path()));
        call.json(&transformation).await.check_refused(422, code);
    };
    check(json!({ "enabled": true }), "transformation_plugin_missing").await;
    check(json!({ "enabled": true, "plugin": "unknown" }), "plugin_unknown").await;
    check(json!({ "enabled": true, "plugin": "Upper" }), "plugin_name_invalid").await;
    check(json!({ "enabled": true, "typo": 1 }), "member_unknown").await;
}

#[tokio::test]
async fn what_is_no_http() {
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let check = async |bytes: &str, expect: &str| {
        let mut wire = Wire::connect(router.address()).await;
        wire.send(bytes).await;
        wire.finish().await;
        let answer = wire.read_to_end().await;
        assert!(answer.starts_with(expect), "{bytes:?}: {answer}");
    };
    check("SSH-2.0-OpenSSH_9.9\r\n\r\n", "HTTP/1.1 400 ").await;
    check("GET / HTTP/1.1\r\nno colon\r\n\r\n", "HTTP/1.1 400 ").await;
    let many = (0..200).map(|number| format!("x-{number}: 1\r\n")).collect::<String>();
    check(&format!("GET /livez HTTP/1.1\r\nhost: h\r\n{many}\r\n"), "HTTP/1.1 431 ").await;
    let twice = "POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nx";
    check(twice, "HTTP/1.1 400 ").await;
    // What a proxy could read in another way (RFC 9112, sections 2.2, 3.2 and 6.1).
    check("GET /livez HTTP/1.1\nhost: h\n\n", "HTTP/1.1 400 ").await;
    check("GET /livez HTTP/1.1\r\nhost: h\nx: y\r\n\r\n", "HTTP/1.1 400 ").await;
    check("GET /livez HTTP/1.1\r\n\r\n", "HTTP/1.1 400 ").await;
    check("GET /livez HTTP/1.1\r\nhost: h\r\nhost: h\r\n\r\n", "HTTP/1.1 400 ").await;
    check("GET /livez HTTP/1.1\r\nhost: a b\r\n\r\n", "HTTP/1.1 400 ").await;
    let both = "content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n";
    check(&format!("POST /livez HTTP/1.1\r\nhost: h\r\n{both}"), "HTTP/1.1 400 ").await;
    let both = "transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n";
    check(&format!("POST /livez HTTP/1.1\r\nhost: h\r\n{both}"), "HTTP/1.1 400 ").await;
    let coded = "transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n";
    check(&format!("POST /livez HTTP/1.1\r\nhost: h\r\n{coded}"), "HTTP/1.1 400 ").await;
    let long = "p".repeat(60_000);
    check(&format!("GET /{long} HTTP/1.1\r\nhost: h\r\n\r\n"), "HTTP/1.1 414 ").await;
    assert!(router.api().is_ready().await);
}
