//! Runs that may share an instance, because the endpoint's owner asked for it.

use std::sync::Arc;

use hookmill_core::plugin::{BoundSecrets, InstancePolicy, PluginDigest};
use hookmill_core::port::Plugins;
use hookmill_core::port::plugins::TransformRun;
use hookmill_core::request::RequestBody;
use hookmill_wasm::limits::RunLimits;

use crate::guest::{TestHost, endpoint, fault_of, module, request_of, run_of};

/// Counts its runs in one byte of memory and sends the count, as a letter from `a` on. The body's length tells what it
/// does besides: 3 is a trap, 4 is 9 MiB of memory, 5 is a long loop.
const COUNT: &str = r#"
    (call $event_bytes (local.get $event) (i32.const 128))
    (i32.store8 (i32.const 512) (i32.add (i32.load8_u (i32.const 512)) (i32.const 1)))
    (i32.store8 (i32.const 256) (i32.add (i32.load8_u (i32.const 512)) (i32.const 96)))
    (if (i32.eq (i32.load (i32.const 132)) (i32.const 3)) (then unreachable))
    (if (i32.eq (i32.load (i32.const 132)) (i32.const 4)) (then (drop (memory.grow (i32.const 144)))))
    (if (i32.eq (i32.load (i32.const 132)) (i32.const 5)) (then
      (loop $more
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if $more (i32.lt_u (local.get $i) (i32.const 60000))))))
    (local.set $r (call $request))
    (call $set_body (local.get $r) (i32.const 256) (i32.const 1))
    (call $deliver (local.get $r))"#;

fn reused(digest: PluginDigest, body: &str) -> TransformRun {
    // One `Arc` for all of them, as an endpoint has.
    static SECRETS: std::sync::LazyLock<Arc<BoundSecrets>> = std::sync::LazyLock::new(Arc::default);
    TransformRun { instance: InstancePolicy::Reused, secrets: Arc::clone(&SECRETS), ..run_of(digest, body) }
}

impl TestHost {
    /// How many runs of this instance there were, this one included, as a letter.
    async fn count(&self, run: TransformRun) -> String {
        let report = self.host.run(run).await;
        match &request_of(&report).body {
            RequestBody::Replaced(body) => String::from_utf8(body.to_vec()).unwrap(),
            RequestBody::Original => panic!("{report:?}"),
        }
    }
}

#[tokio::test]
async fn an_instance_comes_back_to_its_endpoint_and_to_nobody_else() {
    let host = TestHost::new();
    let digest = host.upload(&module("", COUNT)).await.unwrap();
    let run = || reused(digest, "{}");
    assert_eq!([host.count(run()).await, host.count(run()).await], ["a", "b"]);

    let fresh = TransformRun { instance: InstancePolicy::Fresh, ..run() };
    assert_eq!(host.count(fresh).await, "a");
    let other = host.upload(&module(r#"(data (i32.const 900) "x")"#, COUNT)).await.unwrap();
    let others = [
        TransformRun { endpoint: Arc::new(endpoint(2)), ..run() },
        TransformRun { settings: "{}".into(), ..run() },
        TransformRun { secrets: Arc::default(), ..run() },
        TransformRun { digest: other, ..run() },
    ];
    for other in others {
        assert_eq!(host.count(other).await, "a");
    }
    assert_eq!(host.count(run()).await, "c");
}

#[tokio::test]
async fn a_failed_or_grown_instance_is_not_kept() {
    let host = TestHost::new();
    let digest = host.upload(&module("", COUNT)).await.unwrap();
    assert_eq!(host.count(reused(digest, "{}")).await, "a");
    let trap = host.host.run(reused(digest, "{ }")).await;
    assert_eq!(fault_of(&trap).0, "plugin_trap");
    assert_eq!(host.count(reused(digest, "{}")).await, "a");
    assert_eq!(host.count(reused(digest, "{  }")).await, "b", "it grows");
    assert_eq!(host.count(reused(digest, "{}")).await, "a");
}

#[tokio::test]
async fn each_run_has_the_whole_budget() {
    let host = TestHost::with(RunLimits { fuel: 800_000, fuel_per_input_byte: 0, ..RunLimits::default() });
    let digest = host.upload(&module("", COUNT)).await.unwrap();
    for expect in ["a", "b", "c"] {
        let report = host.host.run(reused(digest, "{   }")).await;
        assert!((400_001..800_000).contains(&report.cost.fuel), "{:?}", report.cost);
        assert_eq!(request_of(&report).body, RequestBody::Replaced(expect.into()));
    }
}

#[tokio::test]
async fn what_an_earlier_run_left_fails_no_run() {
    let host = TestHost::new();
    // The first run keeps a request to itself; the next one in its instance fills that in, which is refused.
    let plugin = module(
        "",
        r#"(if (i32.eqz (i32.load8_u (i32.const 512)))
             (then (i32.store (i32.const 600) (call $request)))
             (else (call $set_body (i32.load (i32.const 600)) (i32.const 256) (i32.const 1))))
           (i32.store8 (i32.const 512) (i32.const 1))
           (call $deliver (call $request))"#,
    );
    let digest = host.upload(&plugin).await.unwrap();
    for _ in 0..3 {
        assert_eq!(request_of(&host.host.run(reused(digest, "{}")).await).body, RequestBody::Original);
    }
}

#[tokio::test]
async fn a_handle_of_an_earlier_run_can_be_given_back() {
    let host = TestHost::new();
    // Each run counts itself, gives back the request that the one before it made, and makes another.
    let plugin = module(
        "",
        r#"(i32.store8 (i32.const 512) (i32.add (i32.load8_u (i32.const 512)) (i32.const 1)))
           (i32.store8 (i32.const 256) (i32.add (i32.load8_u (i32.const 512)) (i32.const 96)))
           (if (i32.load (i32.const 600)) (then (call $drop_request (i32.load (i32.const 600)))))
           (i32.store (i32.const 600) (call $request))
           (local.set $r (call $request))
           (call $set_body (local.get $r) (i32.const 256) (i32.const 1))
           (call $deliver (local.get $r))"#,
    );
    let digest = host.upload(&plugin).await.unwrap();
    for expect in ["a", "b", "c"] {
        assert_eq!(host.count(reused(digest, "{}")).await, expect);
    }
}

#[tokio::test]
async fn few_instances_are_kept() {
    let host = TestHost::new();
    let digest = host.upload(&module("", COUNT)).await.unwrap();
    let run = |number| TransformRun { endpoint: Arc::new(endpoint(number)), ..reused(digest, "{}") };
    for number in 1..=100 {
        assert_eq!(host.count(run(number)).await, "a");
    }
    assert_eq!(host.count(run(100)).await, "b", "the last ones are");
    assert_eq!(host.count(run(1)).await, "a", "the first ones are not");
    // What is kept takes no room from those that need it.
    let fresh = |number| TransformRun { instance: InstancePolicy::Fresh, ..run(number) };
    for number in 1..=100 {
        assert_eq!(host.count(fresh(number)).await, "a");
    }
}
