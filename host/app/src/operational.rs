//! What the router has to say to its operator, as events on the same path as all others.
//!
//! They go to the application with the uid [`OPERATIONAL_APPLICATION`], if the operator made one: its endpoints filter,
//! sign, retry and reshape them like anyone's. Nothing is said about that application itself, so that an endpoint of it
//! which fails does not feed on its own failure. A notice is stored after the change that it tells of, so a crash
//! between the two loses it; the attempt log and the API have the same facts.

use std::sync::Arc;

use hookmill_core::canary::Worse;
use hookmill_core::event::{Channels, ContentType, Name};
use hookmill_core::id::{ApplicationId, EndpointId};
use hookmill_core::plugin::{PluginDigest, PluginName};
use hookmill_core::port::store::AttemptRecord;
use serde_json::{Value, json};

use crate::App;
use crate::dispatch::EndpointEnd;
use crate::ingest::{Identity, Incoming};

/// The uid of the application that gets the router's own events.
pub const OPERATIONAL_APPLICATION: &str = "hookmill-operational";

/// Something that the operator may want to act on.
#[derive(Debug, Clone)]
pub(crate) enum Notice {
    /// A delivery is given up.
    Exhausted(Box<AttemptRecord>),
    /// An endpoint receives nothing any more.
    EndpointDisabled { application: ApplicationId, endpoint: EndpointId, end: EndpointEnd },
    /// The plugin of an endpoint fails too often and is not run for a while.
    PluginFailing { application: ApplicationId, endpoint: EndpointId, plugin: PluginName },
    /// It works again.
    PluginRecovered { application: ApplicationId, endpoint: EndpointId, plugin: PluginName },
    /// A version on trial did worse than the current one.
    CanaryEnded { plugin: PluginName, version: PluginDigest, worse: Worse },
}

impl Notice {
    fn event_type(&self) -> &'static str {
        match self {
            Self::Exhausted(_) => "message.attempt.exhausted",
            Self::EndpointDisabled { .. } => "endpoint.disabled",
            Self::PluginFailing { .. } => "plugin.failing",
            Self::PluginRecovered { .. } => "plugin.recovered",
            Self::CanaryEnded { .. } => "plugin.canary.ended",
        }
    }

    /// The application that it is about, where it is about one.
    fn application(&self) -> Option<ApplicationId> {
        match self {
            Self::Exhausted(attempt) => Some(attempt.application),
            Self::EndpointDisabled { application, .. }
            | Self::PluginFailing { application, .. }
            | Self::PluginRecovered { application, .. } => Some(*application),
            Self::CanaryEnded { .. } => None,
        }
    }

    /// The shapes of Svix's operational webhooks where those have the same notice.
    fn data(&self) -> Value {
        match self {
            Self::Exhausted(attempt) => json!({
                "appId": attempt.application.to_string(),
                "endpointId": attempt.endpoint.to_string(),
                "msgId": attempt.event.to_string(),
                "lastAttempt": {
                    "id": attempt.id.to_string(),
                    "responseStatusCode": attempt.status.unwrap_or_default(),
                    "failure": attempt.failure_code,
                    "timestamp": attempt.id.created_at().to_string(),
                },
            }),
            Self::EndpointDisabled { application, endpoint, end } => json!({
                "appId": application.to_string(),
                "endpointId": endpoint.to_string(),
                "trigger": end.code(),
            }),
            Self::PluginFailing { application, endpoint, plugin }
            | Self::PluginRecovered { application, endpoint, plugin } => json!({
                "appId": application.to_string(),
                "endpointId": endpoint.to_string(),
                "plugin": plugin.as_str(),
            }),
            Self::CanaryEnded { plugin, version, worse } => json!({
                "plugin": plugin.as_str(),
                "version": version.to_string(),
                "failed": worse.on_trial.failures,
                "of": worse.on_trial.runs,
                "currentFailed": worse.current.failures,
                "currentOf": worse.current.runs,
            }),
        }
    }
}

impl App {
    /// Tells the operator, in a task of its own.
    pub(crate) fn announce(self: &Arc<Self>, notice: &Notice) {
        let listener = self.table().application(OPERATIONAL_APPLICATION).cloned();
        let Some(routes) = listener else { return };
        if notice.application() == Some(routes.application.id) {
            return;
        }
        let event_type: Name = notice.event_type().parse().expect("a valid name");
        let body = json!({"type": notice.event_type(), "data": notice.data()});
        let incoming = Incoming {
            event_type,
            uid: None,
            channels: Channels::default(),
            endpoint: None,
            ordering_key: None,
            content_type: ContentType::json(),
            body: body.to_string().into(),
            idempotency_key: None,
        };
        let app = Arc::clone(self);
        tokio::spawn(async move {
            let identity = Identity { idempotency_key: None, fingerprint: [0; 32] };
            if let Err(error) = app.take(&routes, incoming, identity, None).await {
                tracing::warn!(%error, "an operational event could not be stored");
            }
        });
    }
}
