//! What is put under a name is there, once; and pages of names end.

use serde_json::{Value, json};

use super::World;

#[tokio::test]
async fn a_put_to_an_unknown_uid_makes_one_thing_with_that_uid() {
    let world = World::new().await;
    world.shop().await;
    let put = async |path: &str, body: Value| {
        let answer = world.call("PUT", &format!("/api/v1{path}"), &body.to_string()).await;
        let json = answer.json();
        let code = json["code"].as_str().unwrap_or_default().to_owned();
        (answer.status, json["uid"].as_str().map(str::to_owned), code)
    };
    let made = |status: u16, uid: &str| (status, Some(uid.to_owned()), String::new());
    let refused = |status: u16, code: &str| (status, None, code.to_owned());
    for (path, body) in [
        (
            "/app/shop/endpoint/hook",
            json!({"url": "https://example.com/", "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}),
        ),
        ("/app/mill", json!({"name": "Mill"})),
    ] {
        let uid = path.rsplit('/').next().unwrap();
        assert_eq!(put(path, body.clone()).await, made(201, uid));
        assert_eq!(put(path, body.clone()).await, made(200, uid), "the same again");
        let mut named = body.clone();
        named["uid"] = json!(uid);
        assert_eq!(put(path, named.clone()).await, made(200, uid));
        named["uid"] = json!("other");
        assert_eq!(put(&format!("{path}-2"), named).await, refused(422, "uid_differs_from_path"));
        let mut cleared = body;
        cleared["uid"] = Value::Null;
        assert_eq!(put(path, cleared).await, made(200, uid));
    }
    let endpoints = world.call("GET", "/api/v1/app/shop/endpoint", "").await.json();
    assert_eq!(endpoints["data"].as_array().unwrap().len(), 2);
    let applications = world.call("GET", "/api/v1/app", "").await.json();
    assert_eq!(applications["data"].as_array().unwrap().len(), 2);

    let url = json!({"url": "https://example.com/"});
    let unknown_id = "/app/shop/endpoint/ep_01k0000000000000000000000a";
    assert_eq!(put(unknown_id, url.clone()).await, refused(404, "not_found"));
    assert_eq!(
        put("/app/app_01k0000000000000000000000a", json!({"name": "n"})).await,
        refused(404, "not_found")
    );
    assert_eq!(put("/app/shop/endpoint/a%20b", url).await, refused(422, "name_invalid"));
    let other_secret =
        json!({"url": "https://example.com/", "secret": "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"});
    assert_eq!(put("/app/shop/endpoint/hook", other_secret).await, refused(422, "field_fixed"));
}

#[tokio::test]
async fn ids_of_the_router_are_nobodys_uid() {
    let world = World::new().await;
    let endpoint = world.shop().await;
    let sent = world.call("POST", "/api/v1/app/shop/msg", r#"{"eventType": "a", "payload": {}}"#).await;
    let check = async |path: &str, body: Value| {
        let refused = world.call("POST", &format!("/api/v1{path}"), &body.to_string()).await;
        assert_eq!((refused.status, refused.code().as_str()), (422, "uid_is_id"), "{body}");
    };
    for id in [sent.id(), sent.id().to_uppercase().replacen("MSG", "msg", 1)] {
        check("/app/shop/msg", json!({"eventType": "a", "payload": {}, "eventId": id})).await;
    }
    check("/app/shop/endpoint", json!({"url": "https://example.com/", "uid": endpoint})).await;
    let application = world.call("GET", "/api/v1/app/shop", "").await.id();
    check("/app", json!({"name": "n", "uid": application})).await;
    let prefixed = json!({"eventType": "a", "payload": {}, "eventId": "msg_of-mine"}).to_string();
    assert_eq!(world.call("POST", "/api/v1/app/shop/msg", &prefixed).await.status, 202);
}

#[tokio::test]
async fn pages_of_names_that_begin_with_a_hyphen_are_whole_and_end() {
    let world = World::new().await;
    let names = ["-", "--", "--a", "-a", "-b", ".x", "a", "a-", "z"];
    for name in names {
        let made = world.call("PUT", &format!("/api/v1/event-type/{name}"), r#"{"description": ""}"#).await;
        assert_eq!(made.status, 201, "{made:?}");
    }
    let page = async |order: &str, iterator: Option<&str>| {
        let iterator = iterator.map(|iterator| format!("&iterator={iterator}")).unwrap_or_default();
        let path = format!("/api/v1/event-type?limit=2&order={order}{iterator}");
        let page = world.call("GET", &path, "").await;
        assert_eq!(page.status, 200, "{page:?}");
        page.json()
    };
    let named = |page: &Value| -> Vec<String> {
        let items = page["data"].as_array().unwrap().iter();
        items.map(|item| item["name"].as_str().unwrap().to_owned()).collect()
    };
    for order in ["ascending", "descending"] {
        let mut expect = names.map(str::to_owned).to_vec();
        if order == "descending" {
            expect.reverse();
        }
        let mut forth = Vec::new();
        let mut last = page(order, None).await;
        for _ in 0..names.len() {
            forth.extend(named(&last));
            if last["done"] == true {
                break;
            }
            last = page(order, last["iterator"].as_str()).await;
        }
        assert_eq!(forth, expect, "{order}");
        let mut back = named(&last);
        for _ in 0..names.len() {
            last = page(order, last["prevIterator"].as_str()).await;
            if named(&last).is_empty() {
                break;
            }
            back.splice(0..0, named(&last));
        }
        assert_eq!(back, expect, "{order}, back");
    }
}
