//! One sample: an input, and what the plugin must make of it.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use serde_json::Value;

use super::body;
use super::error::{ManifestError, ManifestFault};
use super::expectation::{Expectation, read_headers};
use super::outcome;
use super::reader::{Node, Object};
use super::schema::SettingsSchema;
use super::verdict::SampleDiff;
use super::{Manifest, SETTINGS_CHECK_EVENT};
use crate::address::DeliveryUrl;
use crate::application::Metadata;
use crate::delivery::TransformFailure;
use crate::endpoint::{CustomHeaders, Endpoint, EndpointState, Filter, Transformation};
use crate::event::{Channels, ContentType, Event, Name};
use crate::id::{ApplicationId, EndpointId, EventId};
use crate::json::Document;
use crate::limits::{EVENT_CHANNELS_MAX, TRANSFORM_SETTINGS_BYTES_MAX};
use crate::plugin::{
    BoundSecrets, InboundRequest, InstancePolicy, LogLine, PluginBinding, PluginDigest, ReceiverAnswer,
    RunCost, World,
};
use crate::policy::Policy;
use crate::port::plugins::{
    ClassifierReport, ClassifierRun, PLUGIN_DEADLINE, SourceReport, SourceRun, TransformReport, TransformRun,
};
use crate::signature::{SigningKey, SigningKeys};
use crate::time::UnixMillis;

/// When a sample runs unless it says otherwise, and when its event was accepted: 2024-07-12T09:14:26Z.
const SAMPLE_NOW: UnixMillis = UnixMillis(1_720_775_666_000);
/// Where a sample's event goes unless it says otherwise.
const SAMPLE_URL: &str = "https://receiver.example/hook";
/// The source of a sample unless it says otherwise.
const SAMPLE_SOURCE: &str = "sample";
/// Characters of a sample's name, and of its source's.
const NAME_CHARS_MAX: usize = 200;
/// Characters of a request's path or query.
const PATH_CHARS_MAX: usize = 2048;

/// An input, and what the plugin must make of it.
#[derive(Debug, Clone)]
pub struct Sample {
    /// For people; unique in its manifest.
    pub name: String,
    /// What the plugin is given.
    pub input: SampleInput,
    /// What it must give.
    pub expect: Expectation,
    settings: Arc<str>,
    secrets: Arc<BoundSecrets>,
    now: UnixMillis,
}

/// What a plugin is given, by its world.
#[derive(Debug, Clone)]
pub enum SampleInput {
    /// An event on its way to an endpoint.
    Transform {
        /// What happened.
        event: Arc<Event>,
        /// Where it goes.
        endpoint: Arc<Endpoint>,
        /// Which attempt it is.
        attempt: u32,
    },
    /// A provider's request.
    Source {
        /// The source's name.
        source: Arc<str>,
        /// What came in.
        request: Arc<InboundRequest>,
    },
    /// A receiver's answer.
    Classifier {
        /// What was delivered.
        event: Arc<Event>,
        /// Where to.
        endpoint: Arc<Endpoint>,
        /// Which attempt it was.
        attempt: u32,
        /// What was answered.
        response: Arc<ReceiverAnswer>,
    },
}

/// One run of a sample, as the port takes it.
#[derive(Debug, Clone)]
pub enum SampleRun {
    /// For [`Plugins::run`](crate::port::plugins::Plugins::run).
    Transform(TransformRun),
    /// For [`Plugins::receive`](crate::port::plugins::Plugins::receive).
    Source(SourceRun),
    /// For [`Plugins::classify`](crate::port::plugins::Plugins::classify).
    Classifier(ClassifierRun),
}

/// What came of a [`SampleRun`].
#[derive(Debug, Clone)]
pub enum SampleReport {
    /// Of a transform.
    Transform(TransformReport),
    /// Of a source plugin.
    Source(SourceReport),
    /// Of a classifier.
    Classifier(ClassifierReport),
}

impl SampleReport {
    /// What the run cost.
    #[must_use]
    pub fn cost(&self) -> &RunCost {
        match self {
            Self::Transform(report) => &report.cost,
            Self::Source(report) => &report.cost,
            Self::Classifier(report) => &report.cost,
        }
    }

    /// What the plugin logged.
    #[must_use]
    pub fn logs(&self) -> &[LogLine] {
        match self {
            Self::Transform(report) => &report.logs,
            Self::Source(report) => &report.logs,
            Self::Classifier(report) => &report.logs,
        }
    }

    /// Why there is no answer.
    #[must_use]
    pub fn failure(&self) -> Option<&TransformFailure> {
        match self {
            Self::Transform(report) => report.result.as_ref().err(),
            Self::Source(report) => report.result.as_ref().err(),
            Self::Classifier(report) => report.result.as_ref().err(),
        }
    }
}

/// The run that shows a plugin the settings and secrets that it is to work with ([`SETTINGS_CHECK_EVENT`]), in the name of
/// their owner.
#[must_use]
pub fn settings_check(
    owner: Option<ApplicationId>,
    digest: PluginDigest,
    binding: &PluginBinding,
) -> TransformRun {
    settings_check_of(owner, digest, Arc::clone(&binding.settings), Arc::clone(&binding.secrets))
}

fn settings_check_of(
    owner: Option<ApplicationId>,
    digest: PluginDigest,
    settings: Arc<str>,
    secrets: Arc<BoundSecrets>,
) -> TransformRun {
    let input = serde_json::json!({ "event": { "type": SETTINGS_CHECK_EVENT, "body": {} } });
    let input = Document::parse(input.to_string()).expect("it was written as JSON");
    let sample =
        Sample::input_only(&input, World::Transform, None).expect("an event is all that a sample needs");
    let SampleRun::Transform(run) = sample.run(digest) else { unreachable!("the world is a transform's") };
    let mut endpoint = Endpoint::clone(&run.endpoint);
    endpoint.application = owner.unwrap_or(endpoint.application);
    TransformRun { endpoint: Arc::new(endpoint), settings, secrets, ..run }
}

/// Why the plugin can't work with the settings that [`settings_check`] showed it; `None` where it can, or where the run
/// says nothing of them: it asked for another try, the host could not run it, or time was up, which passes faster on a
/// busy machine.
#[must_use]
pub fn settings_refusal(report: &TransformReport) -> Option<String> {
    match report.result.as_ref().err()? {
        TransformFailure::Retryable { .. } | TransformFailure::Unavailable { .. } => None,
        TransformFailure::Fault { code: PLUGIN_DEADLINE, .. } => None,
        TransformFailure::Permanent { message } => Some(message.clone()),
        TransformFailure::Fault { code, detail } => Some(format!("{code}: {detail}")),
    }
}

impl Sample {
    /// The run that shows `manifest`'s plugin the settings and secrets of this sample first, where it checks them itself,
    /// as it would be shown those of an endpoint.
    #[must_use]
    pub fn settings_check(&self, digest: PluginDigest, manifest: Option<&Manifest>) -> Option<TransformRun> {
        manifest.filter(|manifest| manifest.checks_settings)?;
        Some(settings_check_of(None, digest, Arc::clone(&self.settings), Arc::clone(&self.secrets)))
    }

    /// The sample's settings, JSON text.
    #[must_use]
    pub fn settings(&self) -> &str {
        &self.settings
    }

    /// The run of this sample by the version `digest`. Ids and times are fixed, so it is the same each time.
    #[must_use]
    pub fn run(&self, digest: PluginDigest) -> SampleRun {
        let (settings, secrets, now) = (Arc::clone(&self.settings), Arc::clone(&self.secrets), self.now);
        match self.input.clone() {
            SampleInput::Transform { event, endpoint, attempt } => SampleRun::Transform(TransformRun {
                digest,
                event,
                endpoint,
                settings,
                secrets,
                attempt,
                now,
                instance: InstancePolicy::Fresh,
            }),
            SampleInput::Source { source, request } => {
                let application = sample_application();
                SampleRun::Source(SourceRun { digest, application, source, request, settings, secrets, now })
            }
            SampleInput::Classifier { event, endpoint, attempt, response } => {
                SampleRun::Classifier(ClassifierRun {
                    digest,
                    event,
                    endpoint,
                    settings,
                    secrets,
                    attempt,
                    response,
                    now,
                })
            }
        }
    }

    /// Compares what came of the run with what is expected, as far as the expectation goes.
    ///
    /// # Errors
    /// Where the two differ.
    pub fn judge(&self, report: &SampleReport) -> Result<(), SampleDiff> {
        let like = Some(self.expect.as_value());
        let found =
            self.outcome_json(&outcome::render(report, &self.original_body(), self.status(), like), report);
        let [expected, found] = [self.expect.json().to_owned(), found]
            .map(|json| Document::parse(json).expect("it was written as JSON"));
        SampleDiff::between(expected.root(), found.root()).map_or(Ok(()), Err)
    }

    /// The expectation that this report meets, with all that can be expected; none where the run gave no verdict,
    /// because it trapped, say.
    #[must_use]
    pub fn draft_expectation(&self, report: &SampleReport) -> Option<Value> {
        let found = outcome::render(report, &self.original_body(), self.status(), None);
        found.get(outcome::FAULT).is_none().then_some(found)
    }

    /// [`draft_expectation`](Self::draft_expectation) as JSON text, in which bodies have the digits that the plugin wrote.
    #[must_use]
    pub fn draft_json(&self, report: &SampleReport) -> Option<String> {
        self.draft_expectation(report).map(|draft| self.outcome_json(&draft, report))
    }

    /// What is kept of a draft as JSON text, in which bodies have the digits that the plugin wrote.
    #[must_use]
    pub fn outcome_json(&self, outcome: &Value, report: &SampleReport) -> String {
        let original = self.original_body();
        let bodies = outcome::bodies(report, &original);
        outcome::to_json(outcome, &bodies.into_iter().map(body::as_written).collect::<Vec<_>>())
    }

    /// The body that a transform may send as it is.
    fn original_body(&self) -> Bytes {
        match &self.input {
            SampleInput::Transform { event, .. } => event.body.clone(),
            SampleInput::Source { .. } | SampleInput::Classifier { .. } => Bytes::new(),
        }
    }

    /// The status of the answer that a classifier reads.
    fn status(&self) -> Option<StatusCode> {
        match &self.input {
            SampleInput::Classifier { response, .. } => Some(response.status),
            SampleInput::Transform { .. } | SampleInput::Source { .. } => None,
        }
    }

    pub(super) fn read(
        node: &Node<'_>,
        world: World,
        secrets: &Arc<BoundSecrets>,
        schema: Option<&SettingsSchema>,
    ) -> Result<Self, ManifestError> {
        let keys: &'static [&'static str] = match world {
            World::Transform => &["name", "event", "settings", "url", "attempt", "now_ms", "expect"],
            World::Source => &["name", "request", "settings", "source", "now_ms", "expect"],
            World::Classifier => {
                &["name", "response", "event", "settings", "url", "attempt", "now_ms", "expect"]
            }
        };
        let object = node.object(keys)?;
        let input = match world {
            World::Transform => SampleInput::Transform {
                event: Arc::new(read_event(&object.need("event")?)?),
                endpoint: Arc::new(read_endpoint(&object)?),
                attempt: read_attempt(&object)?,
            },
            World::Source => SampleInput::Source {
                source: match object.get("source") {
                    Some(node) => node.line(1..=NAME_CHARS_MAX)?.into(),
                    None => SAMPLE_SOURCE.into(),
                },
                request: Arc::new(read_request(&object.need("request")?)?),
            },
            World::Classifier => SampleInput::Classifier {
                event: Arc::new(
                    object.get("event").map_or_else(|| Ok(plain_event()), |node| read_event(&node))?,
                ),
                endpoint: Arc::new(read_endpoint(&object)?),
                attempt: read_attempt(&object)?,
                response: Arc::new(read_response(&object.need("response")?)?),
            },
        };
        Ok(Self {
            name: object.need("name")?.line(1..=NAME_CHARS_MAX)?.to_owned(),
            input,
            expect: Expectation::read(&object.need("expect")?, world)?,
            settings: read_settings(node, schema)?.into(),
            secrets: Arc::clone(secrets),
            now: match object.get("now_ms") {
                Some(node) => UnixMillis(node.whole_number()?),
                None => SAMPLE_NOW,
            },
        })
    }
}

fn read_settings(sample: &Node<'_>, schema: Option<&SettingsSchema>) -> Result<String, ManifestError> {
    let none = Value::Object(serde_json::Map::new());
    let node = sample.child("settings");
    let settings = sample.value().get("settings").unwrap_or(&none);
    let text = sample.value().get("settings").map_or_else(|| none.to_string(), |_| node.json());
    if text.len() > TRANSFORM_SETTINGS_BYTES_MAX {
        return Err(node.broken(format!("settings have at most {TRANSFORM_SETTINGS_BYTES_MAX} bytes")));
    }
    match schema.map_or(Ok(()), |schema| schema.validate_value(settings, text.len())) {
        Ok(()) => Ok(text),
        Err(error) => {
            let first = error.failures.into_iter().next().expect("a refusal has a reason");
            let pointer = format!("{}{}", node.pointer(), first.pointer);
            Err(ManifestError { pointer, fault: ManifestFault::SampleSettings(first) })
        }
    }
}

fn read_attempt(object: &Object<'_>) -> Result<u32, ManifestError> {
    let Some(node) = object.get("attempt") else { return Ok(1) };
    match u32::try_from(node.whole_number()?) {
        Ok(attempt) if attempt > 0 => Ok(attempt),
        _ => Err(node.broken("an attempt is a number from 1 up")),
    }
}

fn read_event(node: &Node<'_>) -> Result<Event, ManifestError> {
    const KEYS: &[&str] =
        &["type", "id", "uid", "channels", "content_type", "body", "body_text", "body_base64"];
    let object = node.object(KEYS)?;
    let mut channels: Vec<Name> = Vec::new();
    for channel in object.list("channels", 0..=EVENT_CHANNELS_MAX)? {
        channels.push(channel.parsed()?);
    }
    let channels = Channels::new(channels).map_err(|error| node.child("channels").broken(error))?;
    let plain = plain_event();
    Ok(Event {
        id: object.get("id").map_or(Ok(plain.id), |node| node.parsed())?,
        event_type: object.need("type")?.parsed()?,
        uid: object.get("uid").map(|node| node.parsed()).transpose()?,
        channels,
        content_type: object
            .get("content_type")
            .map_or(Ok(plain.content_type.clone()), |node| node.parsed())?,
        body: body::need(&object)?,
        ..plain
    })
}

/// The event of a sample that says nothing about it.
fn plain_event() -> Event {
    Event {
        id: EventId::new(SAMPLE_NOW, 3),
        application: sample_application(),
        event_type: "sample.event".parse().expect("a valid name"),
        uid: None,
        channels: Channels::default(),
        ordering_key: None,
        content_type: ContentType::json(),
        body: Bytes::from_static(b"{}"),
    }
}

fn sample_application() -> ApplicationId {
    ApplicationId::new(SAMPLE_NOW, 1)
}

fn read_endpoint(object: &Object<'_>) -> Result<Endpoint, ManifestError> {
    let url: DeliveryUrl = match object.get("url") {
        Some(node) => node.parsed()?,
        None => SAMPLE_URL.parse().expect("a valid URL"),
    };
    let key = SigningKey::generate_symmetric(&[0; 32]).expect("as long as a key has to be");
    Ok(Endpoint {
        id: EndpointId::new(SAMPLE_NOW, 2),
        application: sample_application(),
        uid: None,
        url,
        description: String::new(),
        filter: Filter::default(),
        state: EndpointState::Enabled,
        verification: None,
        headers: CustomHeaders::default(),
        metadata: Metadata::default(),
        signing: SigningKeys::new(key),
        transformation: Transformation::None,
        classifier: None,
        policy: Policy::default(),
        created_at: SAMPLE_NOW,
        updated_at: SAMPLE_NOW,
    })
}

fn read_request(node: &Node<'_>) -> Result<InboundRequest, ManifestError> {
    let object = node.object(&["method", "path", "query", "headers", "body", "body_text", "body_base64"])?;
    let path = read_text(&object, "path")?;
    if !path.is_empty() && !path.starts_with('/') {
        return Err(node
            .child("path")
            .broken("what follows the source's own path is empty or begins with `/`"));
    }
    Ok(InboundRequest {
        method: object.get("method").map_or(Ok(Method::POST), |node| node.parsed())?,
        path,
        query: read_text(&object, "query")?,
        headers: read_header_map(&object)?,
        body: body::or_empty(&object)?,
    })
}

fn read_text(object: &Object<'_>, key: &str) -> Result<String, ManifestError> {
    object.get(key).map_or_else(|| Ok(String::new()), |node| Ok(node.line(0..=PATH_CHARS_MAX)?.to_owned()))
}

fn read_response(node: &Node<'_>) -> Result<ReceiverAnswer, ManifestError> {
    let object = node.object(&["status", "headers", "body", "body_text", "body_base64"])?;
    let status = object.need("status")?;
    let code = u16::try_from(status.whole_number()?).ok().and_then(|code| StatusCode::from_u16(code).ok());
    Ok(ReceiverAnswer {
        status: code.ok_or_else(|| status.broken("a status is 100 to 999"))?,
        headers: read_header_map(&object)?,
        body: body::or_empty(&object)?,
    })
}

fn read_header_map(object: &Object<'_>) -> Result<HeaderMap, ManifestError> {
    let Some(node) = object.get("headers") else { return Ok(HeaderMap::new()) };
    let entry = |(name, text): (HeaderName, &str)| {
        (name, HeaderValue::from_bytes(text.as_bytes()).expect("checked when it was read"))
    };
    Ok(read_headers(&node)?.into_iter().map(entry).collect())
}
