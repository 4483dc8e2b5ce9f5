//! Plugins from a few lines of text, and the host and the event they run with.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use hookmill_core::address::DeliveryUrl;
use hookmill_core::application::Metadata;
use hookmill_core::delivery::TransformFailure;
use hookmill_core::endpoint::{CustomHeaders, Endpoint, EndpointState, Filter, Transformation};
use hookmill_core::event::{Channels, ContentType, Event};
use hookmill_core::id::{ApplicationId, EndpointId, EventId};
use hookmill_core::plugin::{InstancePolicy, PluginDigest, TransformOutcome};
use hookmill_core::policy::Policy;
use hookmill_core::port::Plugins;
use hookmill_core::port::plugins::{PluginRejected, RunReport, TransformReport, TransformRun};
use hookmill_core::request::PreparedRequest;
use hookmill_core::signature::{SigningKey, SigningKeys};
use hookmill_core::time::UnixMillis;
use hookmill_wasm::limits::RunLimits;
use hookmill_wasm::{WasmConfig, WasmHost};
use tempfile::TempDir;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};

/// What every plugin here begins with. Memory: 0 to 255 is where `run` puts its answer, 256 to 1023 is for the test's
/// own data, 1024 to 65535 is never written unless a test does it, and what the host hands over goes above.
///
/// `$answer` writes an answer: `failed` is 1 for a failure, `case` is 0 for `deliver` and `retryable`.
const IMPORTS: &str = r#"
  (import "hookmill:plugin/event@1.0.0" "[method]event.bytes" (func $event_bytes (param i32 i32)))
  (import "hookmill:plugin/event@1.0.0" "[method]event.json" (func $event_json (param i32 i32 i32 i32)))
  (import "hookmill:plugin/event@1.0.0" "[resource-drop]event" (func $drop_event (param i32)))
  (import "hookmill:plugin/event@1.0.0" "[method]target.settings" (func $target_settings (param i32 i32)))
  (import "hookmill:plugin/event@1.0.0" "[resource-drop]target" (func $drop_target (param i32)))
  (import "hookmill:plugin/outbound@1.0.0" "[constructor]request" (func $request (result i32)))
  (import "hookmill:plugin/outbound@1.0.0" "[method]request.set-body" (func $set_body (param i32 i32 i32)))
  (import "hookmill:plugin/outbound@1.0.0" "[method]request.set-body-patch" (func $set_body_patch (param i32 i32 i32 i32)))
  (import "hookmill:plugin/outbound@1.0.0" "[method]request.set-header" (func $set_header (param i32 i32 i32 i32 i32 i32)))
  (import "hookmill:plugin/outbound@1.0.0" "[method]request.set-secret-header" (func $set_secret_header (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
  (import "hookmill:plugin/outbound@1.0.0" "[method]request.remove-header" (func $remove_header (param i32 i32 i32)))
  (import "hookmill:plugin/outbound@1.0.0" "[method]request.set-url" (func $set_url (param i32 i32 i32 i32)))
  (import "hookmill:plugin/outbound@1.0.0" "[method]request.set-part-key" (func $set_part_key (param i32 i32 i32 i32)))
  (import "hookmill:plugin/outbound@1.0.0" "[resource-drop]request" (func $drop_request (param i32)))
  (import "hookmill:plugin/log@1.0.0" "write" (func $log (param i32 i32 i32)))
  (import "hookmill:plugin/ambient@1.0.0" "now-ms" (func $now (result i64)))
  (import "hookmill:plugin/ambient@1.0.0" "random-u64" (func $random (result i64)))
  (import "hookmill:plugin/crypto@1.0.0" "hash" (func $hash (param i32 i32 i32 i32)))
  (import "hookmill:plugin/crypto@1.0.0" "hmac" (func $hmac (param i32 i32 i32 i32 i32 i32)))
  (import "hookmill:plugin/crypto@1.0.0" "hmac-verify" (func $hmac_verify (param i32 i32 i32 i32 i32 i32 i32 i32)))
  (import "hookmill:plugin/crypto@1.0.0" "signature-verify" (func $signature_verify (param i32 i32 i32 i32 i32 i32 i32 i32)))
"#;
const ANSWERS: &str = r#"
  (func $answer (param $failed i32) (param $case i32) (param $at i32) (param $length i32) (result i32)
    (i32.store8 (i32.const 0) (local.get $failed))
    (i32.store8 (i32.const 4) (local.get $case))
    (i32.store (i32.const 8) (local.get $at))
    (i32.store (i32.const 12) (local.get $length))
    (i32.const 0))
  (func $deliver (param $request i32) (result i32)
    (i32.store (i32.const 64) (local.get $request))
    (call $answer (i32.const 0) (i32.const 0) (i32.const 64) (i32.const 1)))
"#;

/// Memory for what the host hands over.
pub(crate) const MEMORY: &str = r#"
  (memory (export "memory") 2)
  (global $top (mut i32) (i32.const 65536))
  (func $cabi_realloc (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (local $at i32)
    (local.set $at (i32.and (i32.add (global.get $top) (i32.const 7)) (i32.const -8)))
    (global.set $top (i32.add (local.get $at) (local.get 3)))
    (if (i32.gt_u (global.get $top) (i32.mul (memory.size) (i32.const 65536)))
      (then (drop (memory.grow (i32.add (i32.const 1) (i32.shr_u (local.get 3) (i32.const 16)))))))
    (local.get $at))
"#;

/// A plugin whose `run` does this with `$event` and `$target`, and leaves the result of `$answer` or `$deliver`.
/// `items` are further items of the module.
pub(crate) fn module(items: &str, body: &str) -> Vec<u8> {
    embed(&module_text(items, body), "transform-plugin")
}

/// The text of [`module`].
pub(crate) fn module_text(items: &str, body: &str) -> String {
    format!(
        r#"(module {IMPORTS} {MEMORY} {ANSWERS} {items}
  (func $body (param $event i32) (param $target i32) (result i32)
    (local $i i32) (local $r i32) {body})
  (func $run (export "hookmill:plugin/transform@1.0.0#run") (param $event i32) (param $target i32) (result i32)
    (local $result i32)
    (local.set $result (call $body (local.get $event) (local.get $target)))
    (call $drop_event (local.get $event))
    (call $drop_target (local.get $target))
    (local.get $result)))"#
    )
}

/// A core module with the component type of a world of `wit/`.
pub(crate) fn embed(text: &str, world: &str) -> Vec<u8> {
    let module = wat::parse_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    embed_binary(module, world)
}

/// The same of a module that is assembled already.
pub(crate) fn embed_binary(mut module: Vec<u8>, world: &str) -> Vec<u8> {
    let mut resolve = wit_parser::Resolve::default();
    let (package, _) = resolve.push_dir(Path::new("../../wit")).unwrap();
    let world = resolve.select_world(&[package], Some(world)).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    module
}

/// The component that a core module makes.
pub(crate) fn componentise(module: &[u8]) -> Vec<u8> {
    ComponentEncoder::default().validate(true).module(module).unwrap().encode().unwrap()
}

/// A host of its own for one test.
pub(crate) struct TestHost {
    pub(crate) host: Arc<WasmHost>,
    pub(crate) directory: TempDir,
}

pub(crate) fn config(directory: &Path) -> WasmConfig {
    WasmConfig { threads: 2, ..WasmConfig::new(directory.to_owned(), [7; 32].into()) }
}

impl TestHost {
    pub(crate) fn new() -> Self {
        Self::with(RunLimits::default())
    }

    pub(crate) fn with(limits: RunLimits) -> Self {
        Self::configured(|config| WasmConfig { limits, ..config })
    }

    pub(crate) fn configured(change: impl FnOnce(WasmConfig) -> WasmConfig) -> Self {
        let directory = TempDir::new().unwrap();
        let host = WasmHost::new(change(config(directory.path()))).unwrap();
        Self { host: Arc::new(host), directory }
    }

    /// The same directory in the next process.
    pub(crate) fn restarted(self) -> Self {
        let Self { host, directory } = self;
        drop(host);
        let host = Arc::new(WasmHost::new(config(directory.path())).unwrap());
        Self { host, directory }
    }

    pub(crate) async fn upload(&self, plugin: &[u8]) -> Result<PluginDigest, PluginRejected> {
        self.host.prepare(Bytes::copy_from_slice(plugin)).await.map(|prepared| prepared.digest)
    }

    /// Uploads a plugin and runs it once on an event with this body.
    pub(crate) async fn run(&self, plugin: &[u8], body: &str) -> TransformReport {
        let digest = self.upload(plugin).await.unwrap();
        self.host.run(run_of(digest, body)).await
    }

    /// The code and the message of the fault that a plugin ends in.
    pub(crate) async fn fault(&self, plugin: &[u8]) -> (String, String) {
        fault_of(&self.run(plugin, "{}").await)
    }
}

/// The code and the message of the fault that a run ended in.
pub(crate) fn fault_of<T: std::fmt::Debug>(report: &RunReport<T>) -> (String, String) {
    match &report.result {
        Err(TransformFailure::Fault { code, detail } | TransformFailure::Unavailable { code, detail }) => {
            ((*code).to_owned(), detail.clone())
        }
        other => panic!("expected a fault, got {other:?}"),
    }
}

/// The one request that a run produced.
pub(crate) fn request_of(report: &TransformReport) -> &PreparedRequest {
    match &report.result {
        Ok(TransformOutcome::Deliver(requests)) => {
            assert_eq!(requests.len(), 1);
            &requests[0]
        }
        other => panic!("expected a request, got {other:?}"),
    }
}

pub(crate) fn run_of(digest: PluginDigest, body: &str) -> TransformRun {
    TransformRun {
        digest,
        event: Arc::new(event(body)),
        endpoint: Arc::new(endpoint(1)),
        settings: r#"{"greeting":"hello"}"#.into(),
        secrets: Arc::default(),
        attempt: 1,
        now: UnixMillis(1_795_309_323_000),
        instance: InstancePolicy::Fresh,
    }
}

fn event(body: &str) -> Event {
    Event {
        id: EventId::new(UnixMillis(1_795_309_300_000), 1),
        application: ApplicationId::new(UnixMillis(1), 1),
        event_type: "invoice.paid".parse().unwrap(),
        uid: None,
        channels: Channels::default(),
        ordering_key: None,
        content_type: ContentType::json(),
        body: Bytes::copy_from_slice(body.as_bytes()),
    }
}

pub(crate) fn endpoint(number: u128) -> Endpoint {
    Endpoint {
        id: EndpointId::new(UnixMillis(1), number),
        application: ApplicationId::new(UnixMillis(1), 1),
        uid: None,
        url: DeliveryUrl::parse("https://example.com/hooks").unwrap(),
        description: String::new(),
        filter: Filter::default(),
        state: EndpointState::Enabled,
        verification: None,
        headers: CustomHeaders::default(),
        metadata: Metadata::default(),
        signing: SigningKeys::new(SigningKey::generate_symmetric(&[1; 32]).unwrap()),
        transformation: Transformation::None,
        classifier: None,
        policy: Policy::default(),
        created_at: UnixMillis(1),
        updated_at: UnixMillis(1),
    }
}
