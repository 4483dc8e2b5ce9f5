//! Uploads with manifests, trials, settings and secrets.

use std::sync::Arc;

use bytes::Bytes;
use hookmill_core::plugin::{
    PluginDigest, PluginFacts, PluginName, RunCost, Secret, TransformOutcome, World as PluginWorld,
};
use hookmill_core::port::plugins::TransformReport;
use hookmill_testkit::receiver::Gate;

use super::plugin::{Promotion, Upload};
use super::tests::{World, chosen, code};
use crate::dry_run::{Candidate, DryRun};

const MANIFEST: &str = r#"{
    "manifest": 1, "name": "reshape", "version": "1.2.0", "description": "Reshapes.", "world": "transform",
    "settings_schema": {"type": "object", "required": ["color"], "properties": {"color": {"enum": ["red", "blue"]}}},
    "samples": [{
        "name": "drops", "event": {"type": "a.b", "body": {}}, "settings": {"color": "red"},
        "expect": {"drop": "not for us"}
    }]
}"#;

fn facts(manifest: &'static str) -> PluginFacts {
    PluginFacts {
        world: PluginWorld::Transform,
        imports: vec!["hookmill:plugin/log@1.0.0".to_owned()],
        manifest: Some(Bytes::from_static(manifest.as_bytes())),
        artefact_bytes: 1,
    }
}

fn dropped(reason: &str) -> TransformReport {
    let result = Ok(TransformOutcome::Drop(reason.to_owned()));
    TransformReport { result, cost: RunCost::default(), logs: Vec::new() }
}

#[tokio::test]
async fn an_upload_has_to_pass_its_own_samples() {
    let world = World::new().await;
    world.plugins.find(Bytes::from_static(b"one"), facts(MANIFEST));
    world.plugins.script(dropped("a mistake"));
    let refused = world.upload("reshape", b"one").await.unwrap_err();
    assert_eq!(refused.code, "plugin_sample_failed");
    assert!(refused.message.contains("`drops`") && refused.message.contains("a mistake"), "{refused}");
    assert!(world.app.table().plugins.is_empty());
    assert_eq!(world.plugins.forgotten(), [PluginDigest::of(b"one")], "its compiled form goes too");

    world.plugins.script(dropped("not for us"));
    let uploaded = world.upload("reshape", b"one").await.unwrap();
    let version = uploaded.version.get();
    assert_eq!((&*version.label, &*version.description), ("1.2.0", "Reshapes."));
    assert_eq!(&*version.uploaded_by, "key");
    let interface = world.app.plugin_interface(version.digest).await.unwrap();
    assert_eq!(interface.imports, ["hookmill:plugin/log@1.0.0"]);
}

#[tokio::test]
async fn a_manifest_has_to_tell_the_truth() {
    let world = World::new().await;
    let check = async |manifest: &'static str, expect: &str| {
        world.plugins.find(Bytes::from_static(b"one"), facts(manifest));
        assert_eq!(code(world.upload("reshape", b"one").await), expect);
    };
    check("{", "manifest_not_json").await;
    let source = r#"{"manifest": 1, "name": "a", "version": "1", "description": "", "world": "source", "samples": []}"#;
    check(source, "manifest_world_differs").await;
}

#[tokio::test]
async fn settings_have_to_satisfy_the_plugins_schema() {
    let world = World::new().await;
    let application = world.application(None).await.unwrap().id;
    let endpoint = world.endpoint(application, "https://example.com/hooks").await.unwrap();
    world.plugins.find(Bytes::from_static(b"one"), facts(MANIFEST));
    world.plugins.script(dropped("not for us"));
    world.upload("reshape", b"one").await.unwrap();
    let set = async |settings: &str| {
        let mut patch = chosen("reshape");
        patch.binding.settings = Some(settings.into());
        world.transform(&endpoint, patch).await
    };
    let refused = set(r#"{"color": "green"}"#).await.unwrap_err();
    assert_eq!(refused.code, "settings_invalid");
    assert!(refused.message.contains("/color"), "{refused}");
    assert_eq!(code(world.transform(&endpoint, chosen("reshape")).await), "settings_invalid");
    set(r#"{"color": "blue"}"#).await.unwrap();
}

#[tokio::test]
async fn secrets_are_bound_one_by_one() {
    let world = World::new().await;
    let application = world.application(None).await.unwrap().id;
    let endpoint = world.endpoint(application, "https://example.com/hooks").await.unwrap();
    world.upload("reshape", b"one").await.unwrap();
    let secret = |text: &str| Some(Secret::new(text.as_bytes().to_vec().into()).unwrap());
    let bind = async |changes: Vec<(&str, Option<Secret>)>| {
        let secrets = changes.into_iter().map(|(name, secret)| (name.parse().unwrap(), secret)).collect();
        let mut patch = chosen("reshape");
        patch.binding.secrets = secrets;
        let endpoint = world.transform(&endpoint, patch).await.unwrap();
        let bound = &endpoint.transformation.active().unwrap().binding.secrets;
        bound.iter().map(|(name, _)| name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(bind(vec![("a", secret("1")), ("b", secret("2"))]).await, ["a", "b"]);
    assert_eq!(bind(vec![("a", None), ("c", secret("3"))]).await, ["b", "c"]);
    assert_eq!(bind(Vec::new()).await, ["b", "c"], "what is not named stays");
}

#[tokio::test]
async fn a_version_on_trial_is_promoted_or_taken_back() {
    let world = World::new().await;
    let name = || "reshape".parse::<PluginName>().unwrap();
    let (one, two) = (PluginDigest::of(b"one"), PluginDigest::of(b"two"));
    world.upload("reshape", b"one").await.unwrap();
    let component = Bytes::from_static(b"two");
    let upload = Upload { name: name(), component, uploaded_by: "key".into(), promote: false };
    world.app.upload_plugin(upload).await.unwrap();
    let entry = || Arc::clone(&world.app.table().plugins[&name()]);
    assert_eq!(entry().current, one, "an upload need not be promoted");

    let promote = async |version, promotion| {
        let mut edit = world.app.edit().await;
        edit.promote_plugin(&name(), version, promotion)?;
        edit.commit().await
    };
    let half = Promotion::Canary(50.try_into().unwrap());
    assert_eq!(code(promote(one, half).await), "plugin_version_current");
    promote(two, half).await.unwrap();
    assert_eq!((entry().current, entry().canary.map(|canary| canary.digest)), (one, Some(two)));
    assert_eq!(code(world.app.delete_plugin_version(&name(), one).await), "plugin_version_in_use");
    assert_eq!(code(world.app.delete_plugin_version(&name(), two).await), "plugin_version_in_use");

    let mut edit = world.app.edit().await;
    edit.roll_back_plugin(&name(), None).unwrap();
    edit.commit().await.unwrap();
    assert_eq!((entry().current, entry().canary), (one, None), "the last step is what is taken back");

    promote(two, half).await.unwrap();
    promote(two, Promotion::Full).await.unwrap();
    assert_eq!((entry().current, entry().canary), (two, None));
    world.app.delete_plugin_version(&name(), one).await.unwrap();
    assert_eq!(world.plugins.forgotten(), [one]);
    assert_eq!(code(promote(one, Promotion::Full).await), "not_found");
}

#[tokio::test]
async fn a_dry_run_changes_nothing() {
    let world = World::new().await;
    world.plugins.script(dropped("tried"));
    let input = r#"{"event": {"type": "a.b", "body": {"n": 1}}}"#;
    let run = DryRun {
        candidate: Candidate::Component(Bytes::from_static(b"one")),
        input: hookmill_core::json::Document::parse(input).unwrap(),
        recorded: None,
    };
    let report = world.app.dry_run(run).await.unwrap();
    assert_eq!(report.sample.draft_expectation(&report.report), Some(serde_json::json!({"drop": "tried"})));
    assert!(world.app.table().plugins.is_empty());
    assert_eq!(world.plugins.forgotten(), [PluginDigest::of(b"one")]);
}

const CHECKING: &str = r#"{
    "manifest": 1, "name": "reshape", "version": "1.0.0", "description": "Reshapes.", "world": "transform",
    "checks_settings": true
}"#;

/// While a plugin thinks about the settings of one tenant, others make their changes; what it said counts for the version
/// that said it.
#[tokio::test]
async fn a_check_of_settings_holds_up_no_other_change() {
    let world = World::new().await;
    world.plugins.find(Bytes::from_static(b"one"), facts(CHECKING));
    world.plugins.find(Bytes::from_static(b"two"), facts(CHECKING));
    let _ = world.upload("reshape", b"one").await.unwrap();
    let application = world.application(None).await.unwrap();
    let endpoint = world.endpoint(application.id, "https://example.com/").await.unwrap();
    let gate = Gate::closed();
    world.plugins.gate(gate.clone());

    let mut choosing = Box::pin(world.transform(&endpoint, chosen("reshape")));
    let mut other = Box::pin(async {
        while world.plugins.runs().is_empty() {
            tokio::task::yield_now().await;
        }
        world.application(Some("other")).await.unwrap();
        world.upload("reshape", b"two").await.unwrap();
    });
    tokio::select! {
        biased;
        () = &mut other => {}
        chosen = &mut choosing => panic!("the plugin has not answered: {chosen:?}"),
    }
    gate.open();
    assert!(choosing.await.unwrap().transformation.active().is_some());
    let runs = world.plugins.runs();
    let asked: Vec<_> = runs.iter().map(|run| (run.digest, run.endpoint.application)).collect();
    let of = |component| (PluginDigest::of(component), application.id);
    assert_eq!(asked, [of(b"one"), of(b"two")], "the version that became current is asked too");
}
