//! What is taken is what is done: endpoints are whole or not there, requests go where consent was given, members are known.

use hookmill_testkit::receiver::{Answer, Behaviour, Received, Receiver};
use hookmill_tests::router::{ADMIN_KEY, DataDir, Options};
use http::Method;
use serde_json::{Value, json};
use tokio::process::Command;

/// Echoes challenges.
fn echo(request: &Received) -> Answer {
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let challenge = body["challenge"].as_str().unwrap_or_default().to_owned();
    Answer::status(200).body(challenge)
}

#[tokio::test]
async fn a_verified_endpoint_that_composes_elsewhere_is_asked_there() {
    let asked = Receiver::start(Behaviour::Chooses(Box::new(echo))).await;
    let elsewhere = Receiver::start(Behaviour::accepts()).await;
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let api = router.api();
    let application = api.create_application("verified").await;
    let verification = json!({ "verification": "challenge" });
    let endpoint = api.create_endpoint(&application, &asked.url("/"), verification).await;
    let verify = format!("{}/verify", endpoint.path());
    let verified = api.call(Method::POST, &verify).json(&json!({})).await.expect(200);
    assert_eq!(verified["verified"], true, "{verified}");

    let compose = json!({ "name": "elsewhere", "url": elsewhere.url("/in") });
    api.call(Method::PUT, &format!("{}/compose", endpoint.path())).json(&compose).await.expect_status(200);
    api.send(&application, "any", "{}").await;
    assert_eq!(api.get(&endpoint.path()).await["state"], "unverified");
    let refused = api.call(Method::POST, &verify).json(&json!({})).await.expect(200);
    assert_eq!(refused["failureCode"], "challenge_not_echoed", "{refused}");
    let requests = elsewhere.wait_for(1).await;
    assert_eq!((requests.len(), requests[0].path.as_str()), (1, "/in"), "the question, and no event");
}

#[tokio::test]
async fn a_retry_of_what_a_script_made_goes_to_the_new_url() {
    let old = Receiver::start(Behaviour::Chooses(Box::new(|_| Answer::status(500)))).await;
    let new = Receiver::start(Behaviour::accepts()).await;
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let api = router.api();
    let application = api.create_application("moving").await;
    let code = "function handler(webhook) { webhook.payload = { made: true }; return webhook; }";
    let more = json!({ "transformation": { "code": code } });
    let endpoint = api.create_endpoint(&application, &old.url("/old"), more).await;
    api.set_policy(&endpoint, json!({ "schedule": vec![0.2; 40], "jitterPercent": 0 })).await;
    let message = api.send(&application, "any", r#"{"n":1}"#).await;
    api.wait_for_attempts(&application, &message, 1).await;
    let moved = json!({ "url": new.url("/new") });
    api.call(Method::PATCH, &endpoint.path()).json(&moved).await.expect_status(200);
    let requests = new.wait_for(1).await;
    assert_eq!((requests[0].path.as_str(), &requests[0].body[..]), ("/new", &br#"{"made":true}"#[..]));
    api.wait_until_drained(&endpoint).await;
}

#[tokio::test]
async fn an_endpoint_is_not_left_without_its_plugin() {
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let api = router.api();
    let application = api.create_application("careful").await;
    let create = async |arguments: &[&str]| {
        let mut command = Command::new(Options::default().program);
        command.env("HOOKMILL_URL", format!("http://{}", router.address())).env("HOOKMILL_KEY", ADMIN_KEY);
        command.args([
            "endpoint",
            "create",
            "http://127.0.0.1:9/",
            "--app",
            &application,
            "--plugin",
            "redact",
        ]);
        command.args(arguments).kill_on_drop(true).output().await.expect("the program can be run")
    };
    let refused = create(&["--settings", r#"{"rule": "all"}"#]).await;
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(4), "{said}");
    assert!(said.contains("error[settings_invalid]"), "{said}");
    let endpoints = format!("/app/{application}/endpoint");
    assert_eq!(api.get(&endpoints).await["data"], json!([]));

    let settings = r#"{"rules": [{"name": "card"}]}"#;
    let made = create(&["--settings", settings, "--allow-origin", "http://127.0.0.1:8"]).await;
    assert!(made.status.success(), "{made:?}");
    let id = api.get(&endpoints).await["data"][0]["id"].as_str().unwrap().to_owned();
    let transformation = format!("{endpoints}/{id}/transformation");
    let shown = api.get(&transformation).await;
    assert_eq!([&shown["enabled"], &shown["plugin"]], [&json!(true), &json!("redact")]);
    assert_eq!(shown["allowedOrigins"], json!(["http://127.0.0.1:8"]));
    let secret = |name: &str| json!({ "secrets": { name: "0123456789" } });
    let bind = async |name: &str| api.call(Method::PATCH, &transformation).json(&secret(name)).await;
    bind("redact_key").await.expect_status(200);
    bind("anything").await.check_refused(422, "plugin_secret_undeclared");
}

#[tokio::test]
async fn a_plugin_sends_to_origins_that_are_allowed() {
    let own = Receiver::start(Behaviour::accepts()).await;
    let other = Receiver::start(Behaviour::accepts()).await;
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let api = router.api();
    let application = api.create_application("two-origins").await;
    let code =
        format!("function handler(webhook) {{ webhook.url = {:?}; return webhook; }}", other.url("/other"));
    let origin = other.url("/").trim_end_matches('/').to_owned();
    let more = json!({ "transformation": { "code": code, "allowedOrigins": [origin] } });
    let endpoint = api.create_endpoint(&application, &own.url("/own"), more).await;
    api.send(&application, "any", "{}").await;
    assert_eq!(other.wait_for(1).await[0].path, "/other");
    api.wait_until_drained(&endpoint).await;
    assert_eq!(own.requests().len(), 0);
}

#[tokio::test]
async fn members_and_parameters_that_nobody_knows_are_told() {
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let api = router.api();
    let application = api.create_application("exact").await;
    let post = async |path: &str, body: Value| {
        api.call(Method::POST, &format!("/app/{application}{path}")).json(&body).await
    };
    let url = "https://example.com/";
    post("/endpoint", json!({ "url": url, "filter": { "kind": ["x"] } }))
        .await
        .check_refused(422, "member_unknown");
    let message = json!({ "eventType": "a", "payload": {} });
    let with = |name: &str, value: Value| {
        let mut message = message.clone();
        message[name] = value;
        message
    };
    post("/msg", with("webhookId", json!("ep_1"))).await.check_refused(422, "member_unknown");
    post("/msg", with("deliverAt", json!("2030-01-01T00:00:00Z"))).await.check_refused(422, "not_supported");
    post("/msg", with("tags", json!(["a"]))).await.check_refused(422, "not_supported");
    post("/msg?with_contents=true", message.clone()).await.check_refused(422, "parameter_unknown");
    let get = async |path: &str| api.call(Method::GET, &format!("/app/{application}{path}")).reply().await;
    get("/msg?tag=a").await.check_refused(422, "not_supported");
    get("/msg?limit=1&limit=2").await.check_refused(422, "parameter_repeated");
    assert_eq!(api.get(&format!("/app/{application}/msg")).await["data"], json!([]));
}

#[tokio::test]
async fn headers_are_sent_from_creation_on_until_they_are_deleted() {
    let receiver = Receiver::start(Behaviour::accepts()).await;
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let api = router.api();
    let application = api.create_application("headed").await;
    let headers = json!({ "headers": { "x-kind": "invoice", "authorization": "Bearer 1" } });
    let endpoint = api.create_endpoint(&application, &receiver.url("/"), headers).await;
    api.send(&application, "any", "{}").await;
    let request = receiver.wait_for(1).await.remove(0);
    assert_eq!(
        (&request.headers["x-kind"], &request.headers["authorization"]),
        (&"invoice".parse().unwrap(), &"Bearer 1".parse().unwrap())
    );
    let fewer = json!({ "headers": {}, "deleteHeaders": ["X-Kind"] });
    let path = format!("{}/headers", endpoint.path());
    api.call(Method::PATCH, &path).json(&fewer).await.expect_status(204);
    api.send(&application, "any", "{}").await;
    let request = receiver.wait_for(2).await.remove(1);
    assert!(
        !request.headers.contains_key("x-kind") && request.headers.contains_key("authorization"),
        "{request:?}"
    );
}

#[tokio::test]
async fn a_put_to_an_unknown_uid_makes_one_thing_with_that_uid() {
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let api = router.api();
    let put = async |path: &str, body: &Value, expect: u16| {
        api.call(Method::PUT, path).json(body).await.expect(expect)
    };
    for expect in [201, 200, 200] {
        assert_eq!(put("/app/mill", &json!({ "name": "Mill" }), expect).await["uid"], "mill");
    }
    let endpoint = json!({ "url": "https://example.com/" });
    for expect in [201, 200, 200] {
        assert_eq!(put("/app/mill/endpoint/hook", &endpoint, expect).await["uid"], "hook");
    }
    for list in ["/app", "/app/mill/endpoint"] {
        assert_eq!(api.get(list).await["data"].as_array().map(Vec::len), Some(1), "{list}");
    }
}

#[tokio::test]
async fn an_event_id_that_looks_like_a_messages_id_is_refused() {
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let api = router.api();
    let application = api.create_application("named").await;
    let sent = api.send(&application, "any", "{}").await;
    let message = json!({ "eventType": "any", "eventId": sent, "payload": {} });
    let reply = api.call(Method::POST, &format!("/app/{application}/msg")).json(&message).await;
    reply.check_refused(422, "uid_is_id");
}

#[tokio::test]
async fn pages_of_event_types_that_begin_with_a_hyphen_are_whole_and_end() {
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let api = router.api();
    let names = ["-", "--", "--a", "-a", "-b", ".x", "a", "a-", "z"];
    for name in names {
        let event_type = json!({ "description": "" });
        api.call(Method::PUT, &format!("/event-type/{name}")).json(&event_type).await.expect_status(201);
    }
    let (mut listed, mut iterator) = (Vec::new(), String::new());
    for _ in 0..names.len() {
        let page = api.get(&format!("/event-type?limit=2&order=ascending{iterator}")).await;
        let data = page["data"].as_array().expect("a page has data");
        listed.extend(data.iter().map(|item| item["name"].as_str().expect("it has a name").to_owned()));
        if page["done"] == true {
            break;
        }
        iterator = format!("&iterator={}", page["iterator"].as_str().expect("it goes on"));
    }
    assert_eq!(listed, names);
}
