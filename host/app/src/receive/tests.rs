//! What a provider's requests become, over the model store.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hookmill_core::delivery::TransformFailure;
use hookmill_core::event::{Channels, ContentType, Event};
use hookmill_core::id::ApplicationId;
use hookmill_core::limits::EVENT_BODY_BYTES_MAX;
use hookmill_core::plugin::{
    InboundRequest, PluginFacts, Secret, SourceEvent, SourceReply, SourceVerdict, World as PluginWorld,
};
use hookmill_core::port::Store;
use hookmill_core::port::plugins::SourceReport;
use hookmill_core::port::store::{EventQuery, PageFrom};
use hookmill_core::time::UnixMillis;
use hookmill_testkit::doubles::{CountingEntropy, ManualClock, RecordingPlugins, ScriptedTransport};
use hookmill_testkit::model_store::ModelStore;
use http::{HeaderMap, Method, StatusCode};
use zeroize::Zeroizing;

use crate::administer::Text;
use crate::administer::application::{ApplicationInput, Authority};
use crate::administer::binding::BindingPatch;
use crate::administer::plugin::Upload;
use crate::administer::source::{SourceInput, SourcePatch};
use crate::dispatch::channel;
use crate::{App, AppError, AppParts, ErrorKind};

const START: UnixMillis = UnixMillis(1_795_309_323_000);
const PLUGIN: &[u8] = b"a source plugin";

/// An app with one application and the source `in`, which verifies nothing.
struct Setup {
    app: App,
    store: Arc<ModelStore>,
    plugins: Arc<RecordingPlugins>,
    application: ApplicationId,
}

impl Setup {
    async fn new(change: impl FnOnce(&mut SourcePatch)) -> Self {
        let (store, plugins) = (Arc::new(ModelStore::default()), Arc::new(RecordingPlugins::default()));
        let parts = AppParts {
            store: Arc::clone(&store) as _,
            plugins: Arc::clone(&plugins) as _,
            transport: Arc::new(ScriptedTransport::default()),
            clock: Arc::new(ManualClock::at(START)),
            entropy: Arc::new(CountingEntropy::default()),
            address_policy: Default::default(),
            request_origin: Default::default(),
            dispatcher: channel().0,
            bundle: Default::default(),
            keep_request_bodies: false,
            step_back: || (),
        };
        let app = App::load(parts).await.unwrap();
        let mut edit = app.edit().await;
        let input = ApplicationInput {
            name: Text::not_empty("shop".into()).unwrap(),
            uid: None,
            rate_limit: None,
            metadata: Default::default(),
        };
        let application = edit.create_application(input, false).unwrap().get().id;
        edit.commit().await.unwrap();
        let facts = PluginFacts {
            world: PluginWorld::Source,
            imports: Vec::new(),
            manifest: None,
            artefact_bytes: 0,
        };
        plugins.find(Bytes::from_static(PLUGIN), facts);
        let upload = Upload {
            name: "reshape".parse().unwrap(),
            component: Bytes::from_static(PLUGIN),
            uploaded_by: "key".into(),
            promote: true,
        };
        app.upload_plugin(upload).await.unwrap();
        let mut details = SourcePatch {
            dedupe: Some(hookmill_core::inbound::Dedupe::Header(ID.parse().unwrap())),
            ..Default::default()
        };
        change(&mut details);
        let verifier = details.verifier.take().flatten();
        let mut edit = app.edit().await;
        edit.create_source(
            application,
            SourceInput { name: "in".parse().unwrap(), verifier, details },
            Authority::Operator,
        )
        .unwrap();
        edit.commit().await.unwrap();
        Self { app, store, plugins, application }
    }

    async fn with_plugin() -> Self {
        let plugin = BindingPatch {
            plugin: Some("reshape".parse().unwrap()),
            settings: Some(r#"{"a":1}"#.into()),
            ..Default::default()
        };
        Self::new(|details| details.plugin = Some(Some(plugin))).await
    }

    async fn receive(&self, id: &str, body: &str) -> Result<SourceReply, AppError> {
        self.app.receive("in", request(id, body)).await
    }

    fn script(&self, result: Result<SourceVerdict, TransformFailure>) {
        self.plugins.script_source(SourceReport { result, cost: Default::default(), logs: Vec::new() });
    }

    /// Uids and bodies of all events, sorted.
    async fn events(&self) -> Vec<(String, String)> {
        let query = EventQuery {
            application: self.application,
            from: PageFrom::Newest,
            limit: 100,
            event_types: Vec::new(),
            channel: None,
            before: None,
            after: None,
        };
        let show = |event: &Arc<Event>| {
            let uid = event.uid.as_ref().map(ToString::to_string).unwrap_or_default();
            (uid, String::from_utf8_lossy(&event.body[..event.body.len().min(20)]).into_owned())
        };
        let mut events: Vec<_> = self.store.events(query).await.unwrap().items.iter().map(show).collect();
        events.sort_unstable();
        events
    }
}

/// The header with the request's id.
const ID: &str = "x-id";

fn request(id: &str, body: &str) -> InboundRequest {
    let mut headers = HeaderMap::new();
    if !id.is_empty() {
        headers.insert(ID, id.parse().unwrap());
    }
    let body = Bytes::from(body.to_owned());
    InboundRequest { method: Method::POST, path: "/x".into(), query: "a=1".into(), headers, body }
}

fn made(uid: Option<&str>, body: &str) -> SourceEvent {
    SourceEvent {
        event_type: "a.b".parse().unwrap(),
        uid: uid.map(|uid| uid.parse().unwrap()),
        channels: Channels::default(),
        content_type: ContentType::json(),
        body: Bytes::from(body.to_owned()),
    }
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(uid, body)| ((*uid).to_owned(), (*body).to_owned())).collect()
}

#[tokio::test]
async fn a_body_becomes_one_event_however_often_it_is_sent() {
    let setup = Setup::new(|_| ()).await;
    for _ in 0..2 {
        let reply = setup.receive("7", "{}").await.unwrap();
        assert_eq!((reply.status, reply.body.len()), (StatusCode::OK, 0));
    }
    setup.receive("", "{}").await.unwrap();
    setup.receive("", "{}").await.unwrap();
    setup.receive("7", "another body of the same delivery").await.unwrap();
    assert_eq!(setup.events().await, pairs(&[("", "{}"), ("", "{}"), ("in.7", "{}")]));
}

#[tokio::test]
async fn a_plugin_sees_the_request_and_its_settings() {
    let setup = Setup::with_plugin().await;
    setup.script(Ok(SourceVerdict::Accept(vec![made(None, "1"), made(Some("own"), "2")])));
    setup.receive("7", "raw").await.unwrap();
    assert_eq!(setup.events().await, pairs(&[("in.7.0", "1"), ("in.own", "2")]));
    let [run] = &setup.plugins.source_runs()[..] else { panic!("one run") };
    assert_eq!((&*run.source, &*run.settings, run.now), ("in", r#"{"a":1}"#, START));
    assert_eq!(*run.request, request("7", "raw"));
}

#[tokio::test]
async fn a_repeat_completes_what_was_stored_in_part() {
    let setup = Setup::with_plugin().await;
    let large = "x".repeat(EVENT_BODY_BYTES_MAX + 1);
    setup.script(Ok(SourceVerdict::Accept(vec![
        made(None, "first"),
        made(None, &large),
        made(Some("own"), "third"),
    ])));
    let refused = setup.receive("7", "raw").await.unwrap_err();
    assert_eq!(refused.code, "event_body_too_large");
    assert_eq!(setup.events().await, pairs(&[("in.7.0", "first"), ("in.own", "third")]));

    let whole = vec![made(None, "first, again"), made(None, "second"), made(Some("renamed"), "third, again")];
    setup.script(Ok(SourceVerdict::Accept(whole)));
    setup.receive("7", "raw").await.unwrap();
    assert_eq!(
        setup.events().await,
        pairs(&[("in.7.0", "first"), ("in.7.1", "second"), ("in.own", "third")])
    );
}

#[tokio::test]
async fn a_failed_plugin_burns_nothing_and_asks_for_a_retry() {
    let setup = Setup::with_plugin().await;
    let failures = [
        TransformFailure::Fault { code: "plugin_trap", detail: "secret detail".into() },
        TransformFailure::Unavailable { code: "plugin_queue_full", detail: String::new() },
        TransformFailure::Retryable { message: String::new() },
    ];
    for failure in failures {
        setup.script(Err(failure));
        let error = setup.receive("7", "raw").await.unwrap_err();
        assert_eq!(
            (error.kind, error.code),
            (ErrorKind::Busy(Duration::from_secs(30)), "source_plugin_failed")
        );
        assert!(!error.message.contains("secret detail"));
    }
    setup.script(Ok(SourceVerdict::Accept(vec![made(None, "1")])));
    setup.receive("7", "raw").await.unwrap();
    assert_eq!(setup.events().await, pairs(&[("in.7.0", "1")]));
}

#[tokio::test]
async fn a_plugin_may_answer_reject_or_ignore() {
    let setup = Setup::with_plugin().await;
    let teapot = SourceReply {
        status: StatusCode::IM_A_TEAPOT,
        headers: HeaderMap::new(),
        body: Bytes::from_static(b"short"),
    };
    setup.script(Ok(SourceVerdict::Reply(teapot.clone())));
    assert_eq!(setup.receive("1", "raw").await.unwrap(), teapot);
    setup.script(Ok(SourceVerdict::Reject("why, for the operator".into())));
    let error = setup.receive("2", "raw").await.unwrap_err();
    assert_eq!(error.code, "request_rejected");
    assert!(!error.message.contains("operator"));
    setup.script(Ok(SourceVerdict::Accept(Vec::new())));
    assert_eq!(setup.receive("3", "raw").await.unwrap().status, StatusCode::OK);
    assert_eq!(setup.events().await, []);
}

#[tokio::test]
async fn nothing_is_believed_that_is_not_signed() {
    let setup = Setup::new(|details| {
        details.verifier = Some(Some(hookmill_core::inbound::Verifier::GitHub));
        details.secret = Some(Secret::new(Zeroizing::new(b"s".to_vec())).unwrap());
    })
    .await;
    let error = setup.receive("7", "{}").await.unwrap_err();
    assert_eq!((error.kind, error.code), (ErrorKind::Unauthenticated, "signature_missing"));
    let error = setup.app.receive("out", request("7", "{}")).await.unwrap_err();
    assert_eq!((error.kind, error.code), (ErrorKind::NotFound, "not_found"));
    assert_eq!(setup.events().await, []);
}

#[tokio::test]
async fn a_plugin_that_a_source_uses_stays() {
    let setup = Setup::with_plugin().await;
    let name = "reshape".parse().unwrap();
    assert_eq!(setup.app.delete_plugin(&name).await.unwrap_err().code, "plugin_in_use");
    let id = setup.app.table().source("in").unwrap().id;
    let mut edit = setup.app.edit().await;
    let patch = SourcePatch { plugin: Some(None), ..SourcePatch::default() };
    edit.patch_source(id, patch).unwrap();
    edit.commit().await.unwrap();
    setup.app.delete_plugin(&name).await.unwrap();
    setup.receive("7", "{}").await.unwrap();
    assert_eq!(setup.events().await, pairs(&[("in.7", "{}")]));
}
