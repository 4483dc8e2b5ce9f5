//! `POST /graphql`: OsmoX's calls, and what is refused of them.

use std::sync::Arc;

use axum::body::Body;
use hookmill_core::address::AddressPolicy;
use hookmill_testkit::model_store::ModelStore;
use http::Request;
use serde_json::{Value, json};

use super::{ADMIN, Answer, START, World};
use crate::GraphqlConfig;

/// The body that OsmoX's guide registers a webhook with.
const DOCUMENTED: &str = r#"{"query":"mutation RegisterWebhook {\n    webhook(createWebhookInput: {\n        providerId: 10,\n        webhookUrl: \"http://localhost:4200/webhook\",\n    }) {\n        webhookUrl\n        providerId\n        createdOn\n        updatedOn\n        status\n    }\n}","variables":{}}"#;
/// What tools ask for to learn a schema, as graphql-js 16 writes it.
const INTROSPECTION: &str = "query IntrospectionQuery { __schema { description queryType { name } mutationType { name } \
    subscriptionType { name } types { ...FullType } directives { name description locations args { ...InputValue } } } } \
    fragment FullType on __Type { kind name description fields(includeDeprecated: true) { name description \
    args { ...InputValue } type { ...TypeRef } isDeprecated deprecationReason } inputFields { ...InputValue } \
    interfaces { ...TypeRef } enumValues(includeDeprecated: true) { name description isDeprecated deprecationReason } \
    possibleTypes { ...TypeRef } } fragment InputValue on __InputValue { name description type { ...TypeRef } \
    defaultValue } fragment TypeRef on __Type { kind name ofType { kind name ofType { kind name ofType { kind name \
    ofType { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name \
    ofType { kind name } } } } } } } } } }";

fn local() -> AddressPolicy {
    AddressPolicy { allow_private_network: true, ..AddressPolicy::default() }
}

impl World {
    async fn bounded(graphql: GraphqlConfig) -> Self {
        Self::with(Arc::new(ModelStore::default()), START, local(), graphql, Default::default()).await
    }

    async fn graphql_as(&self, key: &str, query: &str, variables: Value) -> Answer {
        let body = json!({"query": query, "variables": variables}).to_string();
        self.post_graphql(Some("application/json"), &[("x-api-key", key)], body).await
    }

    /// Asks as the admin; the answer is a GraphQL answer.
    pub(super) async fn graphql(&self, query: &str) -> Value {
        let answer = self.graphql_as(ADMIN, query, Value::Null).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    async fn post_graphql(
        &self,
        content_type: Option<&str>,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        let mut request = Request::post("/graphql");
        for (name, value) in content_type.map(|value| ("content-type", value)).iter().chain(headers) {
            request = request.header(*name, *value);
        }
        self.send(request.body(body.into()).unwrap()).await
    }

    async fn register(&self, provider: i32, url: &str) -> Value {
        self.graphql(&format!(
            "mutation {{ webhook(createWebhookInput: {{providerId: {provider}, webhookUrl: \"{url}\"}}) \
             {{ id webhookUrl providerId createdOn updatedOn status isVerified }} }}"
        ))
        .await
    }
}

fn code(answer: &Value) -> &str {
    let error = &answer["errors"][0];
    assert!(error["message"].as_str().is_some_and(|message| message.len() > 10), "{answer}");
    error["extensions"]["code"].as_str().unwrap_or_default()
}

#[tokio::test]
async fn the_documented_call_is_answered_in_the_documented_shape() {
    let world = World::bounded(GraphqlConfig::default()).await;
    world.call("POST", "/api/v1/app", r#"{"name": "OsmoX", "uid": "osmox"}"#).await;
    let key =
        r#"{"scope": "application", "application": "osmox", "key": "OsmoX-test-key", "allowShort": true}"#;
    assert_eq!(world.call("POST", "/api/v1/key", key).await.status, 201);
    let headers = [("x-api-key", "OsmoX-test-key"), ("authorization", "Bearer OsmoX-test-key")];
    let answer = world.post_graphql(Some("application/json"), &headers, DOCUMENTED).await;
    let expect = format!(
        "{{\"data\":{{\"webhook\":{{\"webhookUrl\":\"http://localhost:4200/webhook\",\"providerId\":10,\
         \"createdOn\":\"{START}\",\"updatedOn\":\"{START}\",\"status\":1}}}}}}"
    );
    assert_eq!((answer.status, String::from_utf8(answer.body.to_vec()).unwrap()), (200, expect));
    assert_eq!(answer.headers["content-type"], "application/json");

    let endpoint = world.call("GET", "/api/v1/app/osmox/endpoint/provider-10", "").await.json();
    assert_eq!([&endpoint["preset"], &endpoint["state"]], [&json!("osmox"), &json!("enabled")]);
    assert_eq!(endpoint["pattern"], json!({"providerId": [10]}));
    let secret = world.call("GET", "/api/v1/app/osmox/endpoint/provider-10/secret", "").await.json();
    assert!(secret["key"].as_str().unwrap().starts_with("whsec_"));
}

#[tokio::test]
async fn a_notification_goes_to_the_webhook_of_its_provider() {
    let world = World::bounded(GraphqlConfig::default()).await;
    for provider in [1, 4, 44] {
        world.register(provider, "https://example.com/hook").await;
    }
    let check = async |payload: Value, expect: &[&str]| {
        let body = json!({"eventType": "notification", "payload": payload}).to_string();
        let sent = world.call("POST", "/api/v1/app/osmox/msg", &body).await;
        assert_eq!(sent.status, 202, "{sent:?}");
        let path = format!("/api/v1/app/osmox/msg/{}/endpoint", sent.id());
        let list = world.call("GET", &path, "").await.json();
        let uids: Vec<&str> = list["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|endpoint| endpoint["uid"].as_str().unwrap())
            .collect();
        assert_eq!(uids, expect, "{payload}");
    };
    check(json!({"id": 51, "providerId": 4}), &["provider-4"]).await;
    check(json!({"id": 52, "providerId": 44}), &["provider-44"]).await;
    check(json!({"id": 53, "providerId": 5}), &[]).await;
    check(json!({"id": 54, "providerId": "4"}), &[]).await;
    check(json!({"id": 55, "data": {"providerId": 4}}), &[]).await;
}

#[tokio::test]
async fn a_second_webhook_of_a_provider_is_refused() {
    let world = World::bounded(GraphqlConfig::default()).await;
    let first = world.register(10, "https://one.example/hook").await["data"]["webhook"].clone();
    let second = world.register(10, "https://two.example/hook").await;
    assert_eq!((code(&second), &second["data"]), ("webhook_exists", &Value::Null));
    assert_eq!(second["errors"][0]["path"], json!(["webhook"]));
    let kept = world.graphql("{ webhook(providerId: 10) { id webhookUrl } }").await;
    assert_eq!(kept["data"]["webhook"], json!({"id": first["id"], "webhookUrl": "https://one.example/hook"}));
    assert_eq!(world.register(11, "https://one.example/hook").await["data"]["webhook"]["providerId"], 11);

    let [one, two] = ["https://a.example", "https://b.example"].map(|url| world.register(12, url));
    let (one, two) = tokio::join!(one, two);
    let refused: Vec<&Value> = [&one, &two].into_iter().filter(|answer| answer["data"].is_null()).collect();
    assert_eq!(refused.len(), 1, "{one} {two}");

    world
        .graphql("mutation { updateWebhook(updateWebhookInput: {providerId: 10, status: 0}) { status } }")
        .await;
    let again = world.register(10, "https://two.example/hook").await["data"]["webhook"].clone();
    assert_eq!(
        [&again["id"], &again["webhookUrl"], &again["status"], &again["isVerified"]],
        [&first["id"], &json!("https://two.example/hook"), &json!(1), &json!(1)]
    );
}

#[tokio::test]
async fn webhooks_live_their_life() {
    let world = World::bounded(GraphqlConfig::default()).await;
    let none = world.graphql("{ webhooks { total limit offset webhooks { id } } }").await;
    assert_eq!(none["data"]["webhooks"], json!({"total": 0, "limit": 50, "offset": 0, "webhooks": []}));
    assert_eq!(code(&world.graphql("{ webhook(providerId: 1) { id } }").await), "not_found");
    for provider in 1..=5 {
        world.register(provider, "https://example.com/hook").await;
    }
    world
        .call("POST", "/api/v1/app/osmox/endpoint", r#"{"url": "https://e.example", "uid": "provider-6"}"#)
        .await;
    assert_eq!(code(&world.register(6, "https://example.com/hook").await), "conflict");

    let page = world.graphql("{ webhooks(limit: 2, offset: 3) { total webhooks { providerId } } }").await;
    let expect = json!({"total": 5, "webhooks": [{"providerId": 4}, {"providerId": 5}]});
    assert_eq!(page["data"]["webhooks"], expect, "an endpoint without the preset is no webhook");

    let id = world.graphql("{ webhook(providerId: 2) { id } }").await["data"]["webhook"]["id"].clone();
    let update = "mutation Update($input: UpdateWebhookInput!) { \
                  updateWebhook(updateWebhookInput: $input) { providerId webhookUrl status } }";
    let change = async |input: Value| world.graphql_as(ADMIN, update, json!({"input": input})).await.json();
    let changed = change(json!({"id": id, "webhookUrl": "https://new.example/", "status": 0})).await;
    let expect = json!({"providerId": 2, "webhookUrl": "https://new.example/", "status": 0});
    assert_eq!(changed["data"]["updateWebhook"], expect);
    let reactivated =
        world.graphql("mutation { reactivateWebhook(providerId: 2) { webhookUrl status } }").await;
    let expect = json!({"webhookUrl": "https://new.example/", "status": 1});
    assert_eq!(reactivated["data"]["reactivateWebhook"], expect);

    let deleted = world.graphql("mutation { deleteWebhook(providerId: 2) { id } }").await;
    assert_eq!(deleted["data"]["deleteWebhook"]["id"], id);
    for input in [json!({"providerId": 2}), json!({"id": id}), json!({"id": "ep_nonsense"})] {
        assert_eq!(code(&change(input).await), "not_found");
    }
    assert_eq!(code(&change(json!({})).await), "webhook_not_named");
    assert_eq!(code(&change(json!({"id": id, "providerId": 3})).await), "webhook_not_named");
    assert_eq!(code(&change(json!({"providerId": 3, "status": 2})).await), "status_invalid");
    assert_eq!(world.graphql("{ webhooks { total } }").await["data"]["webhooks"]["total"], 4);
}

#[tokio::test]
async fn input_is_refused_with_the_codes_of_the_api() {
    let world = World::new().await;
    let check = async |provider: i32, url: &str, expect: &str| {
        assert_eq!(code(&world.register(provider, url).await), expect, "{provider} {url}");
    };
    check(10, "http://localhost:4200/webhook", "address_blocked").await;
    check(10, "http://169.254.169.254/latest", "address_blocked").await;
    check(10, "http://0x7f.1/", "address_blocked").await;
    check(10, "nowhere", "url_invalid").await;
    check(10, "ftp://example.com", "url_scheme").await;
    check(0, "https://example.com", "provider_id_invalid").await;
    check(-1, "https://example.com", "provider_id_invalid").await;
    let page = |arguments: &str| format!("{{ webhooks({arguments}) {{ total }} }}");
    for (query, expect) in [
        (page("limit: 0"), "limit_invalid"),
        (page("limit: 251"), "limit_invalid"),
        (page("offset: -1"), "offset_invalid"),
        (page("offset: 2147483648"), "graphql_invalid"),
        ("{ webhook(providerId: \"1\") { id } }".to_owned(), "graphql_invalid"),
        ("{ webhook { id } }".to_owned(), "graphql_invalid"),
        ("{ webhook(providerId: 1) { secret } }".to_owned(), "graphql_invalid"),
        ("query A { webhooks { total } } query B { webhooks { total } }".to_owned(), "graphql_invalid"),
        ("subscription { webhooks { total } }".to_owned(), "graphql_invalid"),
        ("{ webhooks { total }".to_owned(), "graphql_syntax"),
        (String::new(), "graphql_syntax"),
    ] {
        assert_eq!(code(&world.graphql(&query).await), expect, "{query}");
    }
}

#[tokio::test]
async fn keys_open_the_webhooks_of_their_application() {
    let world = World::bounded(GraphqlConfig::default()).await;
    let mut keys = Vec::new();
    for (uid, scope) in [("one", "application"), ("two", "application"), ("two", "ingest")] {
        world.call("POST", "/api/v1/app", &json!({"name": uid, "uid": uid}).to_string()).await;
        let body = json!({"scope": scope, "application": uid}).to_string();
        keys.push(world.call("POST", "/api/v1/key", &body).await.json()["key"].as_str().unwrap().to_owned());
    }
    let register =
        "mutation { webhook(createWebhookInput: {providerId: 1, webhookUrl: \"https://a.example\"}) { id } }";
    let [one, two, ingest] = [&keys[0], &keys[1], &keys[2]];
    let made = world.graphql_as(one, register, json!({})).await.json();
    let theirs = made["data"]["webhook"]["id"].as_str().unwrap();
    let delete = format!("mutation {{ deleteWebhook(id: \"{theirs}\") {{ id }} }}");
    let check = async |key: &str, query: &str, status: u16, expect: &str| {
        let answer = world.graphql_as(key, query, json!({})).await;
        assert_eq!((answer.status, code(&answer.json())), (status, expect), "{query}");
    };
    check(two, &delete, 200, "not_found").await;
    check(two, "{ webhook(providerId: 1) { id } }", 200, "not_found").await;
    check(ADMIN, "{ webhook(providerId: 1) { id } }", 200, "not_found").await;
    check(ingest, register, 403, "forbidden").await;
    check("unknown", register, 401, "authentication_failed").await;
    assert!(world.graphql_as(two, register, json!({})).await.json()["data"]["webhook"]["id"].is_string());
    assert_eq!(world.graphql_as(one, &delete, json!({})).await.json()["data"]["deleteWebhook"]["id"], theirs);
    assert_eq!(world.call("GET", "/api/v1/app/osmox", "").await.status, 404, "asking makes nothing");
}

#[tokio::test]
async fn only_json_by_post_with_a_key_is_taken() {
    let world = World::bounded(GraphqlConfig::default()).await;
    let body = r#"{"query": "{ webhooks { total } }"}"#;
    let key = [("x-api-key", ADMIN)];
    let both = [("x-api-key", ADMIN), ("authorization", "Bearer another-key-of-someone")];
    let json = Some("application/json");
    let check =
        async |content_type: Option<&str>, headers: &[(&str, &str)], body: &str, expect: (u16, &str)| {
            let answer = world.post_graphql(content_type, headers, body.to_owned()).await;
            let shown =
                answer.json()["errors"][0]["extensions"]["code"].as_str().unwrap_or_default().to_owned();
            assert_eq!((answer.status, shown.as_str()), expect, "{content_type:?} {body:.60}");
        };
    check(Some("application/json; charset=utf-8"), &key, body, (200, "")).await;
    check(json, &[], body, (401, "authentication_missing")).await;
    check(json, &both, body, (401, "authentication_ambiguous")).await;
    check(None, &key, body, (415, "unsupported_media_type")).await;
    check(Some(""), &key, body, (415, "unsupported_media_type")).await;
    check(Some("text/plain"), &key, body, (415, "unsupported_media_type")).await;
    check(Some("application/x-www-form-urlencoded"), &key, "query=x", (415, "unsupported_media_type")).await;
    check(Some("multipart/form-data; boundary=x"), &key, body, (415, "unsupported_media_type")).await;
    check(Some("application/graphql"), &key, "{ webhooks { total } }", (415, "unsupported_media_type")).await;
    check(json, &key, &format!(" [{body}]"), (400, "graphql_batch")).await;
    check(json, &key, "", (400, "body_empty")).await;
    check(json, &key, "{", (400, "json_invalid")).await;
    check(json, &key, "1", (422, "value_error")).await;
    check(json, &key, "{}", (422, "value_error")).await;
    check(json, &key, r#"{"query": "{ webhooks { total } }", "variables": 1}"#, (422, "value_error")).await;
    let nested = format!(r#"{{"query": "{{a}}", "variables": {{"a": {}"#, "[".repeat(10_000));
    check(json, &key, &nested, (400, "json_invalid")).await;
    let large = format!(r#"{{"query": "{}"}}"#, " ".repeat(16 << 10));
    check(json, &key, &large, (413, "payload_too_large")).await;

    for method in ["GET", "PUT", "DELETE", "OPTIONS"] {
        let refused = world.call(method, "/graphql?query={webhooks{total}}", "").await;
        assert_eq!((refused.status, code(&refused.json())), (405, "method_not_allowed"), "{method}");
        assert_eq!(refused.headers["allow"], "POST");
    }
}

#[tokio::test]
async fn queries_are_bounded() {
    let bounds = GraphqlConfig { depth_max: 3, fields_max: 12, calls_max: 3, ..GraphqlConfig::default() };
    let world = World::bounded(GraphqlConfig { body_bytes_max: 4096, ..bounds }).await;
    let check = async |query: &str, expect: &str| {
        let answer = world.graphql(query).await;
        let shown = if answer.get("errors").is_some() { code(&answer) } else { "" };
        assert_eq!(shown, expect, "{query:.200} {answer}");
    };
    let aliases =
        |calls: usize| (0..calls).map(|n| format!("a{n}: webhooks {{ total }} ")).collect::<String>();
    let fields = |count: usize| (0..count).map(|n| format!("t{n}: total ")).collect::<String>();
    check(&format!("{{ {} }}", aliases(3)), "").await;
    check(&format!("{{ {} }}", aliases(4)), "graphql_too_many_calls").await;
    check(&format!("{{ ...f }} fragment f on Query {{ {} }}", aliases(4)), "graphql_too_many_calls").await;
    check(&format!("{{ webhooks {{ {} }} }}", fields(11)), "").await;
    check(&format!("{{ webhooks {{ {} }} }}", fields(12)), "graphql_too_complex").await;
    check("{ webhooks { webhooks { id } } }", "").await;
    check("{ webhooks { webhooks { id { id } } } }", "graphql_too_deep").await;
    let doubling: String =
        (1..16).map(|n| format!("fragment f{n} on Query {{ ...f{} ...f{} }} ", n - 1, n - 1)).collect();
    let doubling = format!("{{ ...f15 }} fragment f0 on Query {{ webhooks {{ total }} }} {doubling}");
    check(&doubling, "graphql_too_complex").await;
    check("{ ...f } fragment f on Query { ...g } fragment g on Query { ...f }", "graphql_fragments").await;
    check(&"{a".repeat(1500), "graphql_too_deep").await;
    check(&format!("{{ webhook(providerId: {}) {{ id }} }}", "[".repeat(3000)), "graphql_too_deep").await;
    let list = format!("{{ webhook(providerId: {}1{}) {{ id }} }}", "[".repeat(1500), "]".repeat(1500));
    check(&list, "graphql_too_deep").await;

    let arguments: String = (0..200).map(|n| format!("a{n}: 1 ")).collect();
    let answer = world.graphql(&format!("{{ webhooks({arguments}) {{ total }} }}")).await;
    assert_eq!(answer["errors"].as_array().unwrap().len(), 20, "not one for each argument");

    let large = json!({"query": format!("{{ webhooks {{ total }} }}{}", " ".repeat(4096))}).to_string();
    let refused = world.post_graphql(Some("application/json"), &[("x-api-key", ADMIN)], large).await;
    assert_eq!((refused.status, code(&refused.json())), (413, "payload_too_large"));
}

#[tokio::test]
async fn the_schema_is_shown_where_that_is_switched_on() {
    let world = World::bounded(GraphqlConfig::default()).await;
    assert_eq!(code(&world.graphql(INTROSPECTION).await), "graphql_introspection_off");
    let named = world.graphql("{ __typename webhooks { __typename } }").await;
    assert_eq!(named["data"], json!({"__typename": "Query", "webhooks": {"__typename": "WebhookResponse"}}));

    let world = World::bounded(GraphqlConfig { introspection: true, ..GraphqlConfig::default() }).await;
    let shown = world.graphql(INTROSPECTION).await;
    assert_eq!(shown.get("errors"), None, "the usual query fits the usual bounds");
    let types = shown["data"]["__schema"]["types"].as_array().unwrap();
    let names = |name: &str, fields: &str| -> Vec<&str> {
        let found = types.iter().find(|shown| shown["name"] == name).unwrap();
        found[fields].as_array().unwrap().iter().map(|field| field["name"].as_str().unwrap()).collect()
    };
    let fields = ["id", "providerId", "webhookUrl", "isVerified", "createdOn", "updatedOn", "status"];
    assert_eq!(names("Webhook", "fields"), fields);
    assert_eq!(names("CreateWebhookInput", "inputFields"), ["providerId", "webhookUrl"]);
    assert_eq!(names("Query", "fields"), ["webhook", "webhooks"]);
    let mutations = ["webhook", "updateWebhook", "deleteWebhook", "reactivateWebhook"];
    assert_eq!(names("Mutation", "fields"), mutations);
}
