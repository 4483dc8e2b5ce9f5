//! The use cases over the model store.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hookmill_core::address::{AddressPolicy, DeliveryUrl};
use hookmill_core::application::{Application, Metadata};
use hookmill_core::delivery::OnTransformFailure;
use hookmill_core::endpoint::Endpoint;
use hookmill_core::id::ApplicationId;
use hookmill_core::key::Scope;
use hookmill_core::limits::IDEMPOTENCY_KEY_KEPT;
use hookmill_core::plugin::{PluginDigest, PluginName};
use hookmill_core::signature::SigningKey;
use hookmill_core::time::UnixMillis;
use hookmill_testkit::doubles::{CountingEntropy, ManualClock, RecordingPlugins, ScriptedTransport};
use hookmill_testkit::model_store::ModelStore;

use super::application::{ApplicationInput, ApplicationPatch, Authority};
use super::binding::BindingPatch;
use super::endpoint::{EndpointInput, EndpointPatch};
use super::plugin::{Upload, Uploaded};
use super::transformation::TransformationPatch;
use super::{Begun, Once, Text, Written};
use crate::dispatch::channel;
use crate::{App, AppError, AppParts};

const START: UnixMillis = UnixMillis(1_795_309_323_000);

pub(super) struct World {
    pub(super) app: App,
    pub(super) store: Arc<ModelStore>,
    pub(super) plugins: Arc<RecordingPlugins>,
    pub(super) transport: Arc<ScriptedTransport>,
    pub(super) clock: Arc<ManualClock>,
}

impl World {
    pub(super) async fn new() -> Self {
        Self::over(Arc::new(ModelStore::default())).await
    }

    /// Starts over what the store holds, as after a crash.
    async fn over(store: Arc<ModelStore>) -> Self {
        let plugins = Arc::new(RecordingPlugins::default());
        let transport = Arc::new(ScriptedTransport::default());
        let clock = Arc::new(ManualClock::at(START));
        let parts = AppParts {
            store: Arc::clone(&store) as _,
            plugins: Arc::clone(&plugins) as _,
            transport: Arc::clone(&transport) as _,
            clock: Arc::clone(&clock) as _,
            entropy: Arc::new(CountingEntropy::default()),
            address_policy: AddressPolicy::default(),
            request_origin: Default::default(),
            dispatcher: channel().0,
            bundle: Default::default(),
            keep_request_bodies: false,
            step_back: || (),
        };
        Self { app: App::load(parts).await.unwrap(), store, plugins, transport, clock }
    }

    pub(super) async fn application(&self, uid: Option<&str>) -> Result<Application, AppError> {
        let mut edit = self.app.edit().await;
        let written = edit.create_application(input(uid), false)?;
        edit.commit().await?;
        Ok(written.get().clone())
    }

    pub(super) async fn endpoint(&self, application: ApplicationId, url: &str) -> Result<Endpoint, AppError> {
        let url = DeliveryUrl::parse(url).unwrap();
        let input = EndpointInput { url, signing_key: None, details: EndpointPatch::default() };
        let mut edit = self.app.edit().await;
        let endpoint = edit.create_endpoint(application, input)?;
        edit.commit().await?;
        Ok(endpoint)
    }

    pub(super) async fn transform(
        &self,
        endpoint: &Endpoint,
        patch: TransformationPatch,
    ) -> Result<Endpoint, AppError> {
        self.app.patch_transformation(endpoint.application, endpoint.id, patch).await
    }

    pub(super) async fn upload(&self, name: &str, component: &'static [u8]) -> Result<Uploaded, AppError> {
        let component = Bytes::from_static(component);
        let name = name.parse().unwrap();
        self.app.upload_plugin(Upload { name, component, uploaded_by: "key".into(), promote: true }).await
    }
}

fn input(uid: Option<&str>) -> ApplicationInput {
    ApplicationInput {
        name: Text::not_empty("Shop".to_owned()).unwrap(),
        uid: uid.map(|uid| uid.parse().unwrap()),
        rate_limit: None,
        metadata: Metadata::default(),
    }
}

fn bound(binding: BindingPatch) -> TransformationPatch {
    TransformationPatch { binding, ..Default::default() }
}

pub(super) fn chosen(plugin: &str) -> TransformationPatch {
    bound(BindingPatch { plugin: Some(plugin.parse().unwrap()), ..Default::default() })
}

pub(super) fn code<T: std::fmt::Debug>(result: Result<T, AppError>) -> &'static str {
    result.unwrap_err().code
}

#[tokio::test]
async fn an_edit_is_in_force_once_committed_and_survives_a_restart() {
    let world = World::new().await;
    let mut edit = world.app.edit().await;
    edit.create_application(input(Some("dropped")), false).unwrap();
    drop(edit);
    assert!(world.app.table().application("dropped").is_none());

    let application = world.application(Some("shop")).await.unwrap();
    assert_eq!(*world.app.table().application("shop").unwrap().application, application);
    let restarted = World::over(Arc::clone(&world.store)).await;
    assert_eq!(*restarted.app.table().application("shop").unwrap().application, application);
}

#[tokio::test]
async fn uids_are_unique_and_unlike_ids() {
    let world = World::new().await;
    let first = world.application(Some("shop")).await.unwrap();
    assert_eq!(code(world.application(Some("shop")).await), "conflict");
    assert_eq!(code(world.application(Some(&first.id.to_string())).await), "uid_is_id");

    let second = world.application(Some("mill")).await.unwrap();
    let mut edit = world.app.edit().await;
    let patch = ApplicationPatch { uid: Some(Some("shop".parse().unwrap())), ..ApplicationPatch::default() };
    assert_eq!(code(edit.patch_application(second.id, patch.clone(), Authority::Operator)), "conflict");
    assert!(edit.patch_application(first.id, patch, Authority::Operator).is_ok(), "its own uid is not taken");

    let existing = edit.create_application(input(Some("shop")), true).unwrap();
    assert_eq!(existing, Written::Existing(first));
}

#[tokio::test]
async fn endpoints_go_where_deliveries_may_go() {
    let world = World::new().await;
    let application = world.application(None).await.unwrap().id;
    assert!(world.endpoint(application, "https://example.com/hooks").await.is_ok());
    for url in ["http://127.0.0.1/", "http://localhost/", "http://[::1]/", "http://169.254.169.254/"] {
        assert_eq!(code(world.endpoint(application, url).await), "address_blocked", "{url}");
    }
    let unknown = ApplicationId::new(START, 9);
    assert_eq!(code(world.endpoint(unknown, "https://example.com/").await), "not_found");
}

#[tokio::test]
async fn a_rotated_key_signs_until_its_overlap_ends() {
    let world = World::new().await;
    let application = world.application(None).await.unwrap().id;
    let endpoint = world.endpoint(application, "https://example.com/hooks").await.unwrap();
    let given = SigningKey::generate_symmetric(&[9; 32]).unwrap();
    let day = Duration::from_secs(24 * 3600);
    let mut edit = world.app.edit().await;
    let rotated = edit.rotate_signing_key(application, endpoint.id, Some(given.clone()), day).unwrap();
    edit.commit().await.unwrap();
    let active = |now| rotated.signing.active(now).cloned().collect::<Vec<_>>();
    assert_eq!(active(START), [given.clone(), endpoint.signing.current().clone()]);
    assert_eq!(active(START.after(day)), [given]);
    let stored = world.app.table().endpoints[&endpoint.id].signing.clone();
    assert_eq!(stored, rotated.signing);
}

#[tokio::test]
async fn headers_are_patched_whatever_their_case() {
    let world = World::new().await;
    let application = world.application(None).await.unwrap().id;
    let endpoint = world.endpoint(application, "https://example.com/hooks").await.unwrap();
    let check = async |changes: &[(&str, Option<&str>)], expect: &[(&str, &str)]| {
        let changes: BTreeMap<String, Option<String>> =
            changes.iter().map(|(name, value)| ((*name).to_owned(), value.map(str::to_owned))).collect();
        let mut edit = world.app.edit().await;
        let endpoint = edit.patch_headers(application, endpoint.id, &changes).unwrap();
        edit.commit().await.unwrap();
        let mut shown: Vec<(&str, &str)> = Vec::new();
        for (name, value) in endpoint.headers.as_map() {
            shown.push((name.as_str(), value.to_str().unwrap()));
        }
        shown.sort_unstable();
        assert_eq!(shown, expect);
    };
    check(&[("X-Team", Some("a")), ("x-Room", Some("1"))], &[("x-room", "1"), ("x-team", "a")]).await;
    check(&[("x-TEAM", Some("b"))], &[("x-room", "1"), ("x-team", "b")]).await;
    check(&[("X-ROOM", None), ("x-unknown", None)], &[("x-team", "b")]).await;
}

#[tokio::test]
async fn plugins_have_versions_that_can_be_rolled_back() {
    let world = World::new().await;
    let name = || "reshape".parse::<PluginName>().unwrap();
    let (one, two) = (b"one", b"two");
    let upload = async |bytes: &'static [u8]| world.upload("reshape", bytes).await;
    assert!(matches!(upload(one).await.unwrap().version, Written::Created(_)));
    assert!(matches!(upload(two).await.unwrap().version, Written::Created(_)));
    assert!(matches!(upload(two).await.unwrap().version, Written::Existing(_)));
    let current = || world.app.table().plugins[&name()].current;
    assert_eq!(current(), PluginDigest::of(two));

    let roll_back = async |version: Option<PluginDigest>| {
        let mut edit = world.app.edit().await;
        edit.roll_back_plugin(&name(), version)?;
        edit.commit().await
    };
    roll_back(None).await.unwrap();
    assert_eq!(current(), PluginDigest::of(one));
    assert_eq!(code(roll_back(None).await), "no_earlier_version");
    roll_back(Some(PluginDigest::of(two))).await.unwrap();
    assert_eq!(current(), PluginDigest::of(two));
    assert_eq!(code(roll_back(Some(PluginDigest::of(b"three"))).await), "not_found");

    world.plugins.refuse(Bytes::from_static(b"bad"), "plugin_invalid", "not a component");
    assert_eq!(code(upload(b"bad").await), "plugin_invalid");
    let large = vec![0; hookmill_core::limits::PLUGIN_BYTES_MAX + 1].leak();
    assert_eq!(code(upload(large).await), "plugin_too_large");
}

#[tokio::test]
async fn a_plugin_in_use_stays_and_an_unused_one_is_forgotten() {
    let world = World::new().await;
    let application = world.application(None).await.unwrap().id;
    let endpoint = world.endpoint(application, "https://example.com/hooks").await.unwrap();
    world.upload("reshape", b"one").await.unwrap();
    world.upload("same", b"one").await.unwrap();
    let (name, other) = ("reshape".parse().unwrap(), "same".parse().unwrap());
    world.transform(&endpoint, chosen("reshape")).await.unwrap();

    assert_eq!(code(world.app.delete_plugin(&name).await), "plugin_in_use");
    let none = TransformationPatch { unbind: true, ..Default::default() };
    world.transform(&endpoint, none).await.unwrap();
    world.app.delete_plugin(&name).await.unwrap();
    assert_eq!(world.plugins.forgotten(), [], "another plugin shares the bytes");
    world.app.delete_plugin(&other).await.unwrap();
    assert_eq!(world.plugins.forgotten(), [PluginDigest::of(b"one")]);
    assert_eq!(code(world.app.delete_plugin(&other).await), "not_found");
}

#[tokio::test]
async fn a_transformation_changes_by_parts() {
    let world = World::new().await;
    let application = world.application(None).await.unwrap().id;
    let endpoint = world.endpoint(application, "https://example.com/hooks").await.unwrap();
    world.upload("reshape", b"one").await.unwrap();
    let patch = TransformationPatch::default;
    let refused = async |patch: TransformationPatch, expect: &str| {
        assert_eq!(code(world.transform(&endpoint, patch).await), expect);
    };
    refused(TransformationPatch { enabled: Some(true), ..patch() }, "transformation_plugin_missing").await;
    refused(chosen("unknown"), "plugin_unknown").await;

    let endpoint = world.transform(&endpoint, chosen("reshape")).await.unwrap();
    assert!(endpoint.transformation.active().is_some(), "a plugin that was just chosen runs");
    let version = Some(Some(PluginDigest::of(b"two")));
    assert_eq!(
        code(world.transform(&endpoint, bound(BindingPatch { version, ..Default::default() })).await),
        "plugin_version_unknown"
    );

    let changed = TransformationPatch {
        enabled: Some(false),
        binding: BindingPatch {
            version: Some(Some(PluginDigest::of(b"one"))),
            settings: Some("{\"a\": 1}".into()),
            ..Default::default()
        },
        on_failure: Some(OnTransformFailure::Bypass),
        ..patch()
    };
    let endpoint = world.transform(&endpoint, changed).await.unwrap();
    let used = endpoint.transformation.configured().unwrap();
    assert_eq!((&*used.binding.settings, used.on_failure), ("{\"a\": 1}", OnTransformFailure::Bypass));
    assert!(endpoint.transformation.active().is_none());
    let enabled = TransformationPatch { enabled: Some(true), ..patch() };
    let endpoint = world.transform(&endpoint, enabled).await.unwrap();
    assert_eq!(endpoint.transformation.active().unwrap().binding.pinned, Some(PluginDigest::of(b"one")));
}

#[tokio::test]
async fn keys_open_what_they_say_until_they_are_deleted() {
    let world = World::new().await;
    let application = world.application(None).await.unwrap().id;
    let first = world.app.ensure_admin_key(None).await.unwrap().expect("the first start makes a key");
    assert_eq!(world.app.ensure_admin_key(None).await.unwrap(), None);
    assert_eq!(world.app.authenticate(&first).unwrap().scope, Scope::Admin);
    assert_eq!(code(world.app.authenticate("hmk_unknown")), "authentication_failed");
    assert_eq!(code(world.app.authenticate(&"x".repeat(10_000))), "authentication_failed");

    let mut edit = world.app.edit().await;
    let (key, text) = edit.create_key(Scope::Ingest(application), Text::default()).unwrap();
    edit.commit().await.unwrap();
    assert_eq!(world.app.authenticate(&text).unwrap().scope, Scope::Ingest(application));
    let mut edit = world.app.edit().await;
    edit.delete_key(key.id).unwrap();
    edit.commit().await.unwrap();
    assert_eq!(code(world.app.authenticate(&text)), "authentication_failed");

    let mut edit = world.app.edit().await;
    let last = edit.table().keys_by_id.keys().next().copied().unwrap();
    assert_eq!(code(edit.delete_key(last)), "last_admin_key");
}

#[tokio::test]
async fn a_given_admin_key_replaces_the_one_given_before() {
    let world = World::new().await;
    let (old, new) = ("an-old-key-of-the-operator", "a-new-key-of-the-operator");
    assert_eq!(world.app.ensure_admin_key(Some(old)).await.unwrap(), None);
    assert_eq!(world.app.ensure_admin_key(Some(old)).await.unwrap(), None);
    assert_eq!(world.app.table().keys.len(), 1);
    world.app.ensure_admin_key(Some(new)).await.unwrap();
    assert_eq!(world.app.authenticate(new).unwrap().scope, Scope::Admin);
    assert_eq!(code(world.app.authenticate(old)), "authentication_failed");
    assert_eq!(code(world.app.ensure_admin_key(Some("short")).await), "admin_key_length");
}

#[tokio::test]
async fn a_repeat_gets_the_first_answer_also_after_a_crash() {
    let world = World::new().await;
    let once = |content: &[u8]| Once::new("admin", "POST /app", "key-1", content).unwrap();
    let Begun::Fresh(mut edit) = world.app.edit_once(Some(once(b"{}"))).await.unwrap() else { panic!() };
    edit.create_application(input(Some("shop")), false).unwrap();
    edit.remember(201, Bytes::from_static(b"first"));
    edit.commit().await.unwrap();

    let restarted = World::over(Arc::clone(&world.store)).await;
    for app in [&world.app, &restarted.app] {
        let Begun::Repeat(answer) = app.edit_once(Some(once(b"{}"))).await.unwrap() else { panic!() };
        assert_eq!((answer.status, &answer.body[..]), (201, &b"first"[..]));
        assert_eq!(app.edit_once(Some(once(b"other"))).await.err().unwrap().code, "idempotency_key_reused");
        let other = Once::new("ingest", "POST /app", "key-1", b"{}").unwrap();
        assert!(matches!(app.edit_once(Some(other)).await.unwrap(), Begun::Fresh(_)));
    }
    world.clock.advance(IDEMPOTENCY_KEY_KEPT);
    assert!(matches!(world.app.edit_once(Some(once(b"other"))).await.unwrap(), Begun::Fresh(_)));
    assert_eq!(code(Once::new("admin", "POST /app", "", b"")), "idempotency_key_invalid");
}
