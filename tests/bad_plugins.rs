//! Plugins that are none, and plugins that misbehave: each gets a stable code, and nobody else notices.

use hookmill_core::limits::PLUGIN_BYTES_MAX;
use hookmill_testkit::receiver::{Behaviour, Receiver};
use hookmill_tests::api::{Endpoint, quick_retries};
use hookmill_tests::plugin;
use hookmill_tests::router::{ADMIN_KEY, DataDir, Router};
use hookmill_tests::wire::Wire;
use serde_json::{Value, json};

/// What the hostile plugin's endpoint does with a fault.
const GIVE_UP: &str = "dead_letter";

#[tokio::test]
async fn what_is_no_plugin_is_refused_by_name() {
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let check = async |component: Vec<u8>, status: u16, code: &str| {
        router.api().try_upload_plugin("none", component).await.check_refused(status, code);
        let shown = router.api().call(http::Method::GET, "/plugin/none").reply().await;
        shown.check_refused(404, "not_found");
    };
    let whole = plugin::of_repository("osmox-notification");
    check(Vec::new(), 422, "plugin_not_wasm").await;
    check(b"#!/bin/sh\necho not a component\n".to_vec(), 422, "plugin_not_wasm").await;
    check(whole[..whole.len() / 2].to_vec(), 422, "plugin_malformed").await;
    check(plugin::wasi_program(), 422, "plugin_not_component").await;
    check(plugin::core_module(), 422, "plugin_export_missing").await;
    check(plugin::without_export(), 422, "plugin_not_component").await;
    check(plugin::empty_component(), 422, "plugin_export_missing").await;
    // The router goes on taking plugins.
    router.api().upload_plugin("osmox-notification", whole).await;
}

/// The head of an upload of so many bytes.
fn upload_head(name: &str, bytes: usize) -> String {
    format!(
        "PUT /api/v1/plugin/{name} HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {ADMIN_KEY}\r\n\
         content-type: application/wasm\r\ncontent-length: {bytes}\r\n\r\n"
    )
}

#[tokio::test]
async fn an_upload_over_the_limit_is_refused_before_it_is_sent() {
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let mut wire = Wire::connect(router.address()).await;
    wire.send(upload_head("large", PLUGIN_BYTES_MAX + 1)).await;
    let answer = wire.read_to_end().await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(
        answer.contains("payload_too_large") && answer.contains(&PLUGIN_BYTES_MAX.to_string()),
        "{answer}"
    );
}

#[tokio::test]
async fn an_upload_that_is_cut_off_leaves_nothing() {
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let whole = plugin::of_repository("osmox-notification");
    let mut wire = Wire::connect(router.address()).await;
    wire.send(upload_head("cut", whole.len())).await;
    wire.send(&whole[..whole.len() / 2]).await;
    wire.finish().await;
    let answer = wire.read_to_end().await;
    assert!(answer.is_empty() || answer.contains("body_truncated"), "{answer}");
    let shown = router.api().call(http::Method::GET, "/plugin/cut").reply().await;
    shown.check_refused(404, "not_found");
}

#[tokio::test]
async fn names_that_are_none_are_refused() {
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    for name in ["Upper", "9lives", "with%20space", "with%2Fslash"] {
        let reply = router.api().try_upload_plugin(name, plugin::saying("{}")).await;
        reply.check_refused(400, "plugin_name_invalid");
    }
}

/// Three endpoints of one application: one with a hostile plugin, one with a good one, one with none.
struct Neighbours {
    router: Router,
    hostile: Endpoint,
    good: Receiver,
    plain: Receiver,
    never: Receiver,
    _data_dir: DataDir,
}

impl Neighbours {
    async fn of(component: Vec<u8>) -> Self {
        let never = Receiver::start(Behaviour::accepts()).await;
        let good = Receiver::start(Behaviour::accepts()).await;
        let plain = Receiver::start(Behaviour::accepts()).await;
        let data_dir = DataDir::new();
        let router = data_dir.start().await;
        let api = router.api();
        let application = api.create_application("neighbours").await;
        let hostile = api.create_endpoint(&application, &never.url("/hostile"), json!({})).await;
        let helped = api.create_endpoint(&application, &good.url("/good"), json!({})).await;
        api.create_endpoint(&application, &plain.url("/plain"), json!({})).await;
        api.upload_plugin("hostile", component).await;
        api.upload_plugin("good", plugin::saying(r#"{"good":true}"#)).await;
        let transformation = json!({ "enabled": true, "plugin": "hostile", "onFailure": GIVE_UP });
        api.set_transformation(&hostile, transformation).await;
        api.set_transformation(&helped, json!({ "enabled": true, "plugin": "good" })).await;
        Self { router, hostile, good, plain, never, _data_dir: data_dir }
    }

    async fn send(&self) -> String {
        self.router.api().send(&self.hostile.application, "any", r#"{"original":true}"#).await
    }

    /// The first attempt of a message at the endpoint with the hostile plugin.
    async fn attempt(&self, message: &str) -> Value {
        let attempts = self.router.api().wait_for_attempts(&self.hostile.application, message, 3).await;
        let of_hostile =
            attempts.into_iter().find(|attempt| attempt["endpointId"] == self.hostile.id.as_str());
        of_hostile.expect("three endpoints, three attempts")
    }

    /// Sends events through a plugin that must fail; checks its code, and that the neighbours get theirs.
    ///
    /// On a machine that does much else a run may be out of time before it is over another limit, so one of a few
    /// has to show the code.
    async fn check_fault(component: Vec<u8>, code: &str, part_of_detail: &str) {
        const EVENTS: usize = 4;
        let neighbours = Self::of(component).await;
        let mut shown = 0;
        for _ in 0..EVENTS {
            let message = neighbours.send().await;
            let attempt = neighbours.attempt(&message).await;
            assert_eq!(attempt["statusText"], "fail");
            let detail = attempt["detail"].as_str().unwrap_or_default();
            match attempt["failureCode"].as_str() {
                Some(failure) if failure == code && detail.contains(part_of_detail) => shown += 1,
                Some("plugin_deadline") => {}
                Some(_) | None => panic!("not {code}: {attempt}"),
            }
        }
        assert!(shown > 0, "{EVENTS} runs and not one {code}");
        for request in neighbours.good.wait_for(EVENTS).await {
            assert_eq!(request.body, r#"{"good":true}"#);
        }
        for request in neighbours.plain.wait_for(EVENTS).await {
            assert_eq!(request.body, r#"{"original":true}"#);
        }
        assert!(neighbours.never.requests().is_empty(), "nothing comes of a run that failed");
    }
}

#[tokio::test]
async fn a_plugin_that_traps_is_named_with_its_function() {
    Neighbours::check_fault(plugin::trapping(), "plugin_trap", "boom").await;
}

#[tokio::test]
async fn a_plugin_that_loops_runs_out_of_fuel() {
    Neighbours::check_fault(plugin::looping(), "plugin_out_of_fuel", "of fuel").await;
}

#[tokio::test]
async fn a_plugin_that_grows_hits_the_memory_limit() {
    Neighbours::check_fault(plugin::growing(), "plugin_memory_limit", "33554432").await;
}

#[tokio::test]
async fn a_body_over_the_limit_is_not_sent() {
    Neighbours::check_fault(plugin::returning_bytes((1 << 20) + 1), "plugin_output_limit", "1048576").await;
}

#[tokio::test]
async fn a_body_far_over_the_limit_is_not_even_copied() {
    Neighbours::check_fault(plugin::returning_bytes(24 << 20), "plugin_host_call_bytes_limit", "bytes").await;
}

#[tokio::test]
async fn a_gibibyte_that_is_not_there_is_a_trap() {
    Neighbours::check_fault(plugin::claiming_a_gibibyte(), "plugin_trap", "").await;
}

#[tokio::test]
async fn a_log_flood_is_cut_and_the_event_delivered() {
    let neighbours = Neighbours::of(plugin::logging(500, 1000)).await;
    let message = neighbours.send().await;
    let attempt = neighbours.attempt(&message).await;
    assert_eq!(attempt["statusText"], "success", "{attempt}");
    let request = neighbours.never.wait_for(1).await.remove(0);
    assert_eq!(request.body, r#"{"original":true}"#);
    neighbours.plain.wait_for(1).await;
    let logged = neighbours.router.log().matches(&"a".repeat(1000)).count();
    assert!(logged <= 64, "{logged} lines of 500 are in the router's log");
}

#[tokio::test]
async fn a_log_flood_without_end_hits_the_limit_of_calls() {
    Neighbours::check_fault(plugin::logging(1_000_000, 1), "plugin_host_call_limit", "10000").await;
}

/// Whatever a plugin's loop costs, it costs its own endpoint: the others' deliveries are all there while the looping
/// endpoint has hardly begun.
#[tokio::test]
async fn a_plugin_in_an_endless_loop_delays_no_other_endpoint() {
    const EVENTS: usize = 200;
    let neighbours = Neighbours::of(plugin::looping()).await;
    let api = neighbours.router.api();
    // Held deliveries are tried again: the loop runs all the time.
    let hold = json!({ "enabled": true, "plugin": "hostile", "onFailure": "hold" });
    api.set_transformation(&neighbours.hostile, hold).await;
    api.set_policy(&neighbours.hostile, quick_retries(20)).await;
    for _ in 0..EVENTS {
        neighbours.send().await;
    }
    neighbours.good.wait_for(EVENTS).await;
    neighbours.plain.wait_for(EVENTS).await;
    assert!(api.unfinished(&neighbours.hostile).await > 0, "the loop should have kept its own endpoint busy");
    assert!(neighbours.never.requests().is_empty());
}

#[tokio::test]
async fn an_endpoint_that_bypasses_a_broken_plugin_gets_the_original() {
    let neighbours = Neighbours::of(plugin::trapping()).await;
    let bypass = json!({ "enabled": true, "plugin": "hostile", "onFailure": "bypass" });
    neighbours.router.api().set_transformation(&neighbours.hostile, bypass).await;
    neighbours.send().await;
    assert_eq!(neighbours.never.wait_for(1).await[0].body, r#"{"original":true}"#);
}

#[tokio::test]
async fn held_deliveries_go_out_once_the_plugin_is_mended() {
    let neighbours = Neighbours::of(plugin::trapping()).await;
    let api = neighbours.router.api();
    let hold = json!({ "enabled": true, "plugin": "hostile", "onFailure": "hold" });
    api.set_transformation(&neighbours.hostile, hold).await;
    api.set_policy(&neighbours.hostile, json!({ "schedule": [0.5, 0.5, 0.5], "jitterPercent": 0 })).await;
    let message = neighbours.send().await;
    assert_eq!(neighbours.attempt(&message).await["failureCode"], "plugin_trap");
    api.upload_plugin("hostile", plugin::saying(r#"{"mended":true}"#)).await;
    assert_eq!(neighbours.never.wait_for(1).await[0].body, r#"{"mended":true}"#);
}
