//! One tenant's key, and what it can't take: the names, the limits and the quotas of others.

use hookmill_core::limits::APPLICATION_SOURCES_MAX;
use hookmill_testkit::receiver::{Behaviour, Receiver};
use hookmill_tests::api::{Api, text};
use hookmill_tests::router::DataDir;
use http::Method;
use serde_json::{Value, json};

/// An application, and a client with its key.
async fn tenant(api: &Api, uid: &str) -> Api {
    let application = json!({ "name": uid, "uid": uid, "throttleRate": 5 });
    api.call(Method::POST, "/app").json(&application).await.expect_status(201);
    let key = json!({ "scope": "application", "application": uid });
    let created = api.call(Method::POST, "/key").json(&key).await.expect(201);
    api.with_key(&text(&created, "key"))
}

/// Once a key could give its application the uid that another tenant was to get, lift its limit, and learn by 409 which uids
/// there are.
#[tokio::test]
async fn uid_and_limits_of_an_application_are_the_operators() {
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let shop = tenant(router.api(), "shop").await;
    tenant(router.api(), "mill").await;
    let mut told = Vec::new();
    for change in [
        json!({ "uid": "osmox" }),
        json!({ "uid": "mill" }),
        json!({ "uid": null }),
        json!({ "throttleRate": 6 }),
        json!({ "throttleRate": null }),
    ] {
        let reply = shop.call(Method::PATCH, "/app/shop").json(&change).await;
        reply.check_refused(403, "operator_field");
        told.push(text(&reply.json(), "detail"));
        let now = router.api().get("/app/shop").await;
        assert_eq!([&now["uid"], &now["throttleRate"]], [&json!("shop"), &json!(5)], "after {change}");
    }
    assert_eq!(told[0], told[1], "a uid that is taken is refused as one that is free");
    shop.call(Method::PATCH, "/app/shop").json(&json!({ "name": "renamed" })).await.expect_status(200);
}

fn source(name: &str, application: &str) -> Value {
    json!({ "name": name, "application": application, "verification": { "type": "none" } })
}

/// Once whoever came first had `github`, and one tenant could make all sources of the installation.
#[tokio::test]
async fn sources_of_one_tenant_take_no_names_and_no_places_of_others() {
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let api = router.api();
    let (shop, mill) = (tenant(api, "shop").await, tenant(api, "mill").await);
    let create = async |api: &Api, name: &str, application: &str| {
        api.call(Method::POST, "/source").json(&source(name, application)).await
    };
    let first = text(&create(&shop, "github", "shop").await.expect(201), "path");
    let second = text(&create(&mill, "github", "mill").await.expect(201), "path");
    assert_ne!(first, second);
    assert_eq!(text(&create(api, "github", "mill").await.expect(201), "path"), "/in/github");
    let posted = api.without_key().call_at(Method::POST, &first).body("{}").await;
    assert!((200..300).contains(&posted.status), "{posted:?}");
    for (application, events) in [("shop", 1), ("mill", 0)] {
        let listed = api.get(&format!("/app/{application}/msg")).await;
        assert_eq!(listed["data"].as_array().map(Vec::len), Some(events), "{application}: {listed}");
    }
    for number in 1..APPLICATION_SOURCES_MAX {
        create(&shop, &format!("s-{number}"), "shop").await.expect_status(201);
    }
    create(&shop, "one-more", "shop").await.check_refused(409, "too_many_sources");
    create(&mill, "one-more", "mill").await.expect_status(201);
}

/// Once 4,000 wrong keys a second were answered.
#[tokio::test]
async fn wrong_keys_are_slowed_and_a_right_one_is_not() {
    const GUESSES: usize = 2000;
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let mut statuses = Vec::new();
    for number in 0..GUESSES {
        let guesser = router.api().with_key(&format!("hmk_guess-{number}"));
        let reply = guesser.call(Method::GET, "/app").reply().await;
        statuses.push(reply.status);
        if reply.status == 429 {
            assert!(reply.headers.contains_key("retry-after"), "{reply:?}");
            break;
        }
    }
    assert_eq!(statuses.pop(), Some(429), "{} wrong keys were answered", statuses.len());
    assert!(statuses.iter().all(|status| *status == 401), "{statuses:?}");
    router.api().get("/app").await;
}

/// For Slack and Discord the URL is the secret: once it was in the clear in the database.
#[tokio::test]
async fn urls_of_endpoints_are_not_in_the_clear_in_the_database() {
    const SECRET: &str = "T00000000-B00000000-hunter2hunter2";
    let receiver = Receiver::start(Behaviour::accepts()).await;
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let api = router.api();
    let application = api.create_application("slack").await;
    api.create_endpoint(&application, &receiver.url(&format!("/services/{SECRET}")), json!({})).await;
    let message = api.send(&application, "any", "{}").await;
    api.wait_for_attempts(&application, &message, 1).await;
    assert_eq!(router.stop().await, Some(0));
    for entry in std::fs::read_dir(data_dir.path()).expect("it is there") {
        let path = entry.expect("it can be listed").path();
        if path.is_file() {
            let bytes = std::fs::read(&path).expect("it is ours");
            let found = bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes());
            assert!(!found, "the URL is in {}", path.display());
        }
    }
}
