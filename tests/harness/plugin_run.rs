//! One run of a plugin of any world in a plugin host, on the same input each time.

use std::sync::Arc;

use bytes::Bytes;
use hookmill_core::delivery::TransformFailure;
use hookmill_core::plugin::{InboundRequest, InstancePolicy, Prepared, ReceiverAnswer, RunCost, World};
use hookmill_core::port::plugins::{ClassifierRun, Plugins, RunReport, SourceRun, TransformRun};
use hookmill_core::time::UnixMillis;
use hookmill_testkit::store_contract::fixture;
use http::{HeaderMap, Method, StatusCode};

const NOW: UnixMillis = UnixMillis(1_767_225_600_000);
const BODY: &str = r#"{"data":{"to":"+91 98765 43210","items":[1,2,{"x":null}]},"text":"hello"}"#;

/// What a run of any world leaves: an outcome or a failure, and the cost.
#[derive(Debug)]
pub struct AnyReport {
    /// `Debug` of the outcome; its shape depends on the world.
    pub result: Result<String, TransformFailure>,
    /// What it cost.
    pub cost: RunCost,
}

/// Runs a plugin once, as its world is run.
pub async fn run_once(plugins: &impl Plugins, prepared: &Prepared) -> AnyReport {
    let digest = prepared.digest;
    let mut event = fixture::event(1, 1, NOW);
    event.body = Bytes::from_static(BODY.as_bytes());
    let (event, endpoint) = (Arc::new(event), Arc::new(fixture::endpoint(1, 1)));
    let (settings, secrets, now) = (r#"{"greeting":"hello"}"#.into(), Arc::default(), NOW);
    match prepared.facts.world {
        World::Transform => {
            let instance = InstancePolicy::Fresh;
            let run = TransformRun { digest, event, endpoint, settings, secrets, attempt: 1, now, instance };
            AnyReport::of(plugins.run(run).await)
        }
        World::Source => {
            let request = Arc::new(inbound());
            let (application, source) = (endpoint.application, "fixture".into());
            let run = SourceRun { digest, application, source, request, settings, secrets, now };
            AnyReport::of(plugins.receive(run).await)
        }
        World::Classifier => {
            let response = Arc::new(ReceiverAnswer {
                status: StatusCode::OK,
                headers: HeaderMap::new(),
                body: Bytes::from_static(BODY.as_bytes()),
            });
            let run = ClassifierRun { digest, event, endpoint, settings, secrets, attempt: 1, response, now };
            AnyReport::of(plugins.classify(run).await)
        }
    }
}

fn inbound() -> InboundRequest {
    InboundRequest {
        method: Method::POST,
        path: "/reports".into(),
        query: "day=1".into(),
        headers: HeaderMap::new(),
        body: Bytes::from_static(BODY.as_bytes()),
    }
}

impl AnyReport {
    fn of<T: std::fmt::Debug>(report: RunReport<T>) -> Self {
        Self { result: report.result.map(|outcome| format!("{outcome:?}")), cost: report.cost }
    }
}
