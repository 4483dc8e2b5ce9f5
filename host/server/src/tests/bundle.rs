//! Plugins that come with the router.

use std::sync::Arc;

use bytes::Bytes;
use hookmill_app::{Bundle, BundledPlugin};
use hookmill_core::address::AddressPolicy;
use hookmill_core::plugin::World as PluginWorld;
use hookmill_testkit::model_store::ModelStore;
use serde_json::{Value, json};

use super::{START, World};
use crate::GraphqlConfig;

async fn carrying(names: &[&str]) -> World {
    let plugin = |name: &&str| {
        let component = Bytes::from(name.to_string().into_bytes());
        let plugin =
            BundledPlugin { component, world: PluginWorld::Source, description: format!("{name}.").into() };
        (name.parse().unwrap(), plugin)
    };
    let bundle: Bundle = names.iter().map(plugin).collect();
    let store = Arc::new(ModelStore::default());
    World::with(store, START, AddressPolicy::default(), GraphqlConfig::default(), bundle).await
}

fn names(list: &Value) -> Vec<&str> {
    list["data"].as_array().unwrap().iter().map(|plugin| plugin["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn bundled_plugins_are_listed_before_they_are_used() {
    let world = carrying(&["jq", "mail", "slack"]).await;
    let listed = world.call("GET", "/api/v1/plugin", "").await.json();
    assert_eq!(names(&listed), ["jq", "mail", "slack"]);
    let expect = json!({
        "name": "mail", "world": "source", "description": "mail.", "version": null, "canary": null, "versions": [],
        "bundled": true, "sizeBytes": 4,
    });
    assert_eq!(listed["data"][1], expect);

    // Its first use uploads it; pages have each once.
    assert_eq!(world.call("GET", "/api/v1/plugin/mail", "").await.status, 200);
    let page = world.call("GET", "/api/v1/plugin?limit=2", "").await.json();
    assert_eq!(names(&page), ["jq", "mail"]);
    assert!(page["data"][1].get("bundled").is_none() && page["data"][1]["version"].is_string(), "{page}");
    let next = format!("/api/v1/plugin?limit=2&iterator={}", page["iterator"].as_str().unwrap());
    assert_eq!(names(&world.call("GET", &next, "").await.json()), ["slack"]);
}
