//! What each kind of key may do, over all routes. A route that is not in the table fails the test, so that whoever adds one
//! says whom it is for.

use std::collections::BTreeSet;

use axum::body::Body;
use http::Request;
use serde_json::{Value, json};

use super::{ADMIN, World};

/// Whom a route is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum For {
    /// Whoever comes.
    Everyone,
    /// Whoever sends to the application of the path.
    Senders,
    /// Whoever administers the application of the path.
    Application,
    /// As before, but what is another's is not there.
    ApplicationHidden,
    /// Every application, for itself.
    Applications,
    /// The operator.
    Operator,
}
use For::{Application, ApplicationHidden, Applications, Everyone, Operator, Senders};

/// Who calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Nobody,
    Unknown,
    Ingest,
    Own,
    Foreign,
    Admin,
}

const ENDPOINT: &str = r#"{"url": "https://example.com/"}"#;
const SOURCE: &str = r#"{"name": "own", "application": "shop", "verification": {"type": "none"}}"#;
const COMPOSE: &str = r#"{"name": "n", "url": "https://example.com/"}"#;
const MESSAGE: &str = r#"{"eventType": "a", "payload": {}}"#;
const CONVERSATION: &str = r#"{"channel": "API", "usecase": "a", "config": {"workflow_id": "1", "callback_url": "https://example.com/"}}"#;

const ROUTES: &[(&str, &str, &str, For)] = &[
    ("GET", "/livez", "", Everyone),
    ("GET", "/readyz", "", Everyone),
    ("GET", "/metrics", "", Operator),
    ("POST", "/graphql", r#"{"query": "{ webhooks { total } }"}"#, Applications),
    ("GET", "/api/v1/health", "", Everyone),
    ("GET", "/api/v1/health/ping", "", Everyone),
    ("GET", "/api/v1/app", "", Operator),
    ("POST", "/api/v1/app", r#"{"name": "n"}"#, Operator),
    ("GET", "/api/v1/app/{app}", "", Application),
    ("PUT", "/api/v1/app/{app}", r#"{"name": "n"}"#, Application),
    ("PATCH", "/api/v1/app/{app}", r#"{"name": "n"}"#, Application),
    ("DELETE", "/api/v1/app/{app}", "", Operator),
    ("GET", "/api/v1/event-type", "", Applications),
    ("POST", "/api/v1/event-type", r#"{"name": "b", "description": ""}"#, Operator),
    ("GET", "/api/v1/event-type/{name}", "", Applications),
    ("PUT", "/api/v1/event-type/{name}", r#"{"description": ""}"#, Operator),
    ("PATCH", "/api/v1/event-type/{name}", "{}", Operator),
    ("DELETE", "/api/v1/event-type/{name}", "", Operator),
    ("GET", "/api/v1/key", "", Operator),
    ("POST", "/api/v1/key", r#"{"scope": "ingest", "application": "shop"}"#, Operator),
    ("DELETE", "/api/v1/key/{key}", "", Operator),
    ("GET", "/api/v1/source", "", Applications),
    ("POST", "/api/v1/source", SOURCE, Application),
    ("GET", "/api/v1/source/{source}", "", ApplicationHidden),
    ("PATCH", "/api/v1/source/{source}", "{}", ApplicationHidden),
    ("DELETE", "/api/v1/source/{source}", "", ApplicationHidden),
    ("POST", "/api/v1/source/{source}/secret/rotate", r#"{"key": "0123456789abcdef"}"#, ApplicationHidden),
    ("GET", "/api/v1/plugin", "", Applications),
    ("POST", "/api/v1/plugin/run", r#"{"plugin": "reshape"}"#, Operator),
    ("GET", "/api/v1/plugin/{name}", "", Applications),
    ("PUT", "/api/v1/plugin/{name}", "two", Operator),
    ("DELETE", "/api/v1/plugin/{name}", "", Operator),
    ("POST", "/api/v1/plugin/{name}/rollback", "", Operator),
    ("POST", "/api/v1/plugin/{name}/promote", r#"{"version": "{version}"}"#, Operator),
    ("GET", "/api/v1/plugin/{name}/version/{version}", "", Applications),
    ("DELETE", "/api/v1/plugin/{name}/version/{version}", "", Operator),
    ("POST", "/api/v1/auth/app-portal-access/{app}", "", Applications),
    ("POST", "/api/v1/auth/logout", "", Applications),
    ("POST", "/api/v1/app/{app}/conversation-webhook", CONVERSATION, Application),
    ("GET", "/api/v1/app/{app}/endpoint", "", Application),
    ("POST", "/api/v1/app/{app}/endpoint", ENDPOINT, Application),
    ("GET", "/api/v1/app/{app}/endpoint/{endpoint}", "", Application),
    ("PUT", "/api/v1/app/{app}/endpoint/{endpoint}", ENDPOINT, Application),
    ("PATCH", "/api/v1/app/{app}/endpoint/{endpoint}", "{}", Application),
    ("DELETE", "/api/v1/app/{app}/endpoint/{endpoint}", "", Application),
    ("GET", "/api/v1/app/{app}/endpoint/{endpoint}/headers", "", Application),
    ("PUT", "/api/v1/app/{app}/endpoint/{endpoint}/headers", r#"{"headers": {}}"#, Application),
    ("PATCH", "/api/v1/app/{app}/endpoint/{endpoint}/headers", r#"{"headers": {}}"#, Application),
    ("GET", "/api/v1/app/{app}/endpoint/{endpoint}/secret", "", Application),
    ("POST", "/api/v1/app/{app}/endpoint/{endpoint}/secret/rotate", "", Application),
    ("GET", "/api/v1/app/{app}/endpoint/{endpoint}/transformation", "", Application),
    ("PATCH", "/api/v1/app/{app}/endpoint/{endpoint}/transformation", r#"{"plugin": null}"#, Application),
    ("GET", "/api/v1/app/{app}/endpoint/{endpoint}/classifier", "", Application),
    ("PATCH", "/api/v1/app/{app}/endpoint/{endpoint}/classifier", r#"{"plugin": null}"#, Application),
    ("POST", "/api/v1/app/{app}/compose", COMPOSE, Application),
    ("GET", "/api/v1/app/{app}/endpoint/{endpoint}/compose", "", Application),
    ("PUT", "/api/v1/app/{app}/endpoint/{endpoint}/compose", COMPOSE, Application),
    ("DELETE", "/api/v1/app/{app}/endpoint/{endpoint}/compose", "", Application),
    ("POST", "/api/v1/app/{app}/endpoint/{endpoint}/compose/preview", r#"{"event": {}}"#, Application),
    ("GET", "/api/v1/app/{app}/endpoint/{endpoint}/policy", "", Application),
    ("PATCH", "/api/v1/app/{app}/endpoint/{endpoint}/policy", "{}", Application),
    ("POST", "/api/v1/app/{app}/endpoint/{endpoint}/reactivate", "", Application),
    ("POST", "/api/v1/app/{app}/endpoint/{endpoint}/verify", r#"{"method": "challenge"}"#, Application),
    ("GET", "/api/v1/app/{app}/endpoint/{endpoint}/stats", "", Application),
    (
        "POST",
        "/api/v1/app/{app}/endpoint/{endpoint}/recover",
        r#"{"since": "2026-01-01T00:00:00Z"}"#,
        Application,
    ),
    (
        "POST",
        "/api/v1/app/{app}/endpoint/{endpoint}/replay-missing",
        r#"{"since": "2026-01-01T00:00:00Z"}"#,
        Application,
    ),
    ("GET", "/api/v1/background-task", "", Applications),
    ("GET", "/api/v1/background-task/{task}", "", ApplicationHidden),
    ("POST", "/api/v1/app/{app}/endpoint/{endpoint}/send-example", r#"{"eventType": "a"}"#, Application),
    ("GET", "/api/v1/app/{app}/endpoint/{endpoint}/msg", "", Application),
    ("GET", "/api/v1/app/{app}/attempt/endpoint/{endpoint}", "", Application),
    ("GET", "/api/v1/app/{app}/attempt/msg/{message}", "", Application),
    ("GET", "/api/v1/app/{app}/msg", "", Application),
    ("POST", "/api/v1/app/{app}/msg", MESSAGE, Senders),
    ("GET", "/api/v1/app/{app}/msg/{message}", "", Application),
    ("DELETE", "/api/v1/app/{app}/msg/{message}/content", "", Applications),
    ("GET", "/api/v1/app/{app}/msg/{message}/endpoint", "", Application),
    ("POST", "/api/v1/app/{app}/msg/{message}/endpoint/{endpoint}/resend", "", Application),
    ("GET", "/api/v1/app/{app}/msg/{message}/attempt/{attempt}", "", Application),
    ("DELETE", "/api/v1/app/{app}/msg/{message}/attempt/{attempt}/content", "", Applications),
    ("GET", "/api/v1/app/{app}/msg/{message}/attempt", "", Application),
];

/// What a caller without the right gets, or nothing where it may.
fn refusal(of: For, who: Who) -> Option<u16> {
    match (of, who) {
        (Everyone, _) | (_, Who::Admin) => None,
        (_, Who::Nobody | Who::Unknown) => Some(401),
        (Senders, Who::Ingest | Who::Own) => None,
        (_, Who::Ingest) => Some(403),
        (Application | ApplicationHidden, Who::Own) | (Applications, Who::Own | Who::Foreign) => None,
        (ApplicationHidden, Who::Foreign) => Some(404),
        (Senders | Application, Who::Foreign) | (Operator, Who::Own | Who::Foreign) => Some(403),
    }
}

/// A router with two tenants, of which the first has one of everything.
struct House {
    world: World,
    keys: [(Who, String); 4],
    message: String,
    key: String,
    version: String,
}

impl House {
    async fn new() -> Self {
        let world = World::new().await;
        let call = async |method: &str, path: &str, body: &str| {
            let answer = world.call(method, &format!("/api/v1{path}"), body).await;
            assert!((200..300).contains(&answer.status), "{path}: {answer:?}");
            answer.json()
        };
        for uid in ["shop", "mill"] {
            call("POST", "/app", &json!({"name": uid, "uid": uid}).to_string()).await;
        }
        call("PUT", "/app/shop/endpoint/hook", ENDPOINT).await;
        call("PUT", "/event-type/reshape", r#"{"description": ""}"#).await;
        call("PUT", "/plugin/reshape", "one").await;
        call("POST", "/source", &SOURCE.replace("own", "github")).await;
        let version = call("PUT", "/plugin/reshape", "two").await["version"].as_str().unwrap().to_owned();
        let message = call("POST", "/app/shop/msg", MESSAGE).await["id"].as_str().unwrap().to_owned();
        let make = async |scope: &str, application: &str| {
            let made =
                call("POST", "/key", &json!({"scope": scope, "application": application}).to_string()).await;
            (made["key"].as_str().unwrap().to_owned(), made["id"].as_str().unwrap().to_owned())
        };
        let (ingest, key) = make("ingest", "shop").await;
        let (own, foreign) = (make("application", "shop").await.0, make("application", "mill").await.0);
        let keys =
            [(Who::Ingest, ingest), (Who::Own, own), (Who::Foreign, foreign), (Who::Admin, ADMIN.to_owned())];
        Self { world, keys, message, key, version }
    }

    fn filled(&self, template: &str) -> String {
        let values = [
            ("{app}", "shop"),
            ("{endpoint}", "hook"),
            ("{message}", &self.message),
            ("{attempt}", "atmpt_01k0000000000000000000000a"),
            ("{name}", "reshape"),
            ("{version}", &self.version),
            ("{key}", &self.key),
            ("{source}", "github"),
            ("{task}", "qtask_01k0000000000000000000000a"),
        ];
        values.iter().fold(template.to_owned(), |text, (name, value)| text.replace(name, value))
    }

    async fn status(&self, who: Who, method: &str, path: &str, body: &str) -> u16 {
        let mut request = Request::builder().method(method).uri(self.filled(path));
        let known = self.keys.iter().find(|(known, _)| *known == who).map(|(_, key)| key.as_str());
        if let Some(key) = known.or((who == Who::Unknown).then_some("unknown")) {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        if path.contains("graphql") {
            request = request.header("content-type", "application/json");
        }
        self.world.send(request.body(Body::from(self.filled(body))).unwrap()).await.status
    }
}

#[tokio::test]
async fn keys_open_what_they_are_for_on_every_route() {
    for (method, path, body, of) in ROUTES {
        for who in [Who::Nobody, Who::Unknown, Who::Ingest, Who::Own, Who::Foreign, Who::Admin] {
            let status = House::new().await.status(who, method, path, body).await;
            match refusal(*of, who) {
                Some(expect) => assert_eq!(status, expect, "{who:?} {method} {path}"),
                None => {
                    assert!(!matches!(status, 401 | 403 | 405), "{who:?} {method} {path}: {status}");
                }
            }
        }
    }
}

#[test]
fn every_route_is_in_the_table() {
    let table: BTreeSet<(String, String)> =
        ROUTES.iter().map(|(method, path, ..)| ((*method).to_owned(), (*path).to_owned())).collect();
    let source = include_str!("../router.rs");
    let mut found = 0;
    for route in source.split(".route(").skip(1) {
        let path = route.split('"').nth(1).unwrap();
        // Providers come to sources without a key, and the handler of GraphQL is made elsewhere.
        if path.starts_with("/in/") || path == "/graphql" {
            continue;
        }
        let route = route.split(".merge(").next().unwrap();
        for method in ["get", "post", "put", "patch", "delete"] {
            let is_named = [format!(", {method}("), format!(").{method}("), format!(" {method}(")];
            if !is_named.iter().any(|text| route.contains(text.as_str()))
                && !route.contains(&format!(".{method}("))
            {
                continue;
            }
            found += 1;
            let prefixed = [path.to_owned(), format!("/api/v1{path}")];
            let is_known = prefixed.iter().any(|path| table.contains(&(method.to_uppercase(), path.clone())));
            assert!(is_known, "{method} {path} is not in the table of this test: say whom it is for");
        }
    }
    assert!(found > 70, "{found}: the router is written otherwise");
}

/// A tenant with a key, by uid.
async fn tenant(world: &World, uid: &str) -> String {
    let made = world
        .call("POST", "/api/v1/app", &json!({"name": uid, "uid": uid, "throttleRate": 5}).to_string())
        .await;
    assert_eq!(made.status, 201, "{made:?}");
    let key = json!({"scope": "application", "application": uid}).to_string();
    world.call("POST", "/api/v1/key", &key).await.json()["key"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn uid_and_limits_of_an_application_are_the_operators() {
    let world = World::new().await;
    let key = tenant(&world, "shop").await;
    tenant(&world, "mill").await;
    let path = "/api/v1/app/shop";
    let check = async |method: &str, body: Value, field: Option<&str>| {
        let answer = world.call_as(&key, method, path, &body.to_string()).await;
        match field {
            Some(field) => {
                assert_eq!((answer.status, answer.code().as_str()), (403, "operator_field"), "{body}");
                let detail = answer.json()["detail"].as_str().unwrap().to_owned();
                assert!(detail.contains(&format!("`{field}`")) && !detail.contains("exists"), "{detail}");
            }
            None => assert_eq!(answer.status, 200, "{body}: {answer:?}"),
        }
        let now = world.call("GET", path, "").await.json();
        assert_eq!([&now["uid"], &now["throttleRate"]], [&json!("shop"), &json!(5)], "after {body}");
    };
    for method in ["PATCH", "PUT"] {
        // Whether the uid is another tenant's or nobody's makes no difference.
        for uid in ["mill", "nobodys", "osmox"] {
            check(method, json!({"name": "n", "uid": uid}), Some("uid")).await;
        }
        check(method, json!({"name": "n", "throttleRate": 6}), Some("throttleRate")).await;
        check(method, json!({"name": "n", "rateLimit": 6}), Some("throttleRate")).await;
        check(method, json!({"name": "n", "uid": "shop", "throttleRate": 5}), None).await;
        check(method, json!({"name": "renamed", "metadata": {"a": "b"}}), None).await;
    }
    check("PATCH", json!({"uid": null}), Some("uid")).await;
    check("PATCH", json!({"throttleRate": null}), Some("throttleRate")).await;
    let by_operator = json!({"name": "n", "uid": "shop-2", "throttleRate": 6}).to_string();
    assert_eq!(world.call("PATCH", path, &by_operator).await.status, 200);
}

#[tokio::test]
async fn names_of_sources_belong_to_their_application() {
    let world = World::new().await;
    let (shop, mill) = (tenant(&world, "shop").await, tenant(&world, "mill").await);
    let source = |application: &str| SOURCE.replace("own", "github").replace("shop", application);
    let create = async |key: &str, application: &str| {
        let made = world.call_as(key, "POST", "/api/v1/source", &source(application)).await;
        (made.status, made.json()["path"].as_str().unwrap_or_default().to_owned())
    };
    let (first, second) = (create(&shop, "shop").await, create(&mill, "mill").await);
    assert_eq!((first.0, second.0), (201, 201), "both may have a `github`");
    assert_eq!(create(&shop, "shop").await.0, 409, "one each");
    let operators = create(ADMIN, "shop").await;
    assert_eq!(operators, (201, "/in/github".to_owned()), "nobody took the operator's name");
    let paths: std::collections::BTreeSet<&str> =
        [&first, &second, &operators].map(|(_, path)| path.as_str()).into();
    assert_eq!(paths.len(), 3);
    for (key, (_, path)) in [(&shop, &first), (&mill, &second)] {
        let found = world.call_as(key, "GET", "/api/v1/source/github", "").await.json();
        assert_eq!(found["path"], json!(path));
        let name = found["name"].as_str().unwrap().to_owned();
        assert_eq!(world.call_as(key, "GET", &format!("/api/v1/source/{name}"), "").await.status, 200);
    }
    let sent = world.send(Request::post(&first.1).body(Body::from(r#"{"a": 1}"#)).unwrap()).await;
    assert_eq!(sent.status, 200, "{sent:?}");
    let events = world.call("GET", "/api/v1/app/shop/msg", "").await.json();
    assert_eq!(events["data"][0]["eventType"], "github.received", "as if it were the only one");
}

#[tokio::test]
async fn an_application_makes_no_more_sources_than_its_quota() {
    let world = World::new().await;
    let (shop, mill) = (tenant(&world, "shop").await, tenant(&world, "mill").await);
    let create = async |key: &str, name: &str, application: &str| {
        let source = SOURCE.replace("own", name).replace("shop", application);
        let answer = world.call_as(key, "POST", "/api/v1/source", &source).await;
        (answer.status, answer.code())
    };
    for number in 0..hookmill_core::limits::APPLICATION_SOURCES_MAX {
        assert_eq!(create(&shop, &format!("s-{number}"), "shop").await.0, 201);
    }
    assert_eq!(create(&shop, "one-more", "shop").await, (409, "too_many_sources".to_owned()));
    assert_eq!(create(&mill, "one-more", "mill").await.0, 201);
    assert_eq!(create(ADMIN, "one-more", "shop").await.0, 201, "the operator may give it more");
}

#[tokio::test]
async fn the_endpoints_of_an_application_have_so_much_text() {
    let world = World::new().await;
    let shop = tenant(&world, "shop").await;
    world.call("PUT", "/api/v1/plugin/reshape", "one").await;
    let settings = json!({"a": "x".repeat(60_000)});
    let new =
        json!({"url": "https://example.com/", "transformation": {"plugin": "reshape", "settings": settings}});
    let new = new.to_string();
    let mut made = 0;
    let refused = loop {
        let answer = world.call_as(&shop, "POST", "/api/v1/app/shop/endpoint", &new).await;
        if answer.status != 201 {
            break answer;
        }
        made += 1;
        assert!(made < 1000, "no end");
    };
    assert_eq!((refused.status, refused.code().as_str()), (409, "configuration_too_large"));
    assert!(made * 60_000 > hookmill_core::limits::APPLICATION_CONFIGURATION_BYTES_MAX - 2 * 60_000);
}
