//! What the router is told before the first event: plugins, an application, its endpoints.

use std::path::Path;

use futures_util::future::join_all;
use http::Method;
use indicatif::ProgressBar;
use serde_json::{Value, json};

use super::judge::{Shape, WHATSAPP_PROVIDER_ID};
use super::receiver::{Behaviour, Receiver};
use super::seeds::Seed;
use super::systems::{OwnSignature, SYSTEMS, SignatureKey, System};
use crate::client::{Client, read_plugin};
use crate::failure::{Exit, Failure};

/// The application's uid.
pub(super) const APP: &str = "demo";

const OSMOX_PLUGIN: &str = "osmox-notification";
const OSMOX_EVENT: &str = "osmox.notification";
const WHATSAPP_PLUGIN: &str = "whatsapp-status";
const WHATSAPP_EVENT: &str = "whatsapp.status";

/// Requests that the hanging receiver loses before it is woken: those that the crash cut off and as many that run out
/// of time. Fewer than the ten in a row that make the router leave an endpoint alone for a while.
pub(super) const HANGING_REQUESTS: u32 = 2 * HANGING_CONCURRENCY;
const HANGING_CONCURRENCY: u32 = 4;

/// The endpoints.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) parts: Vec<Part>,
}

/// One endpoint with its receiver.
#[derive(Debug)]
pub(super) struct Part {
    /// The endpoint's uid.
    pub(super) name: &'static str,
    pub(super) plugin: Option<&'static str>,
    pub(super) shape: Shape,
    /// The system on whose terms it receives.
    pub(super) system: Option<&'static System>,
    pub(super) receiver: Receiver,
    behaviour: Behaviour,
    types: Vec<String>,
}

impl Part {
    /// Whether events of this type go here.
    pub(super) fn takes(&self, event_type: &str) -> bool {
        self.types.iter().any(|known| known == event_type)
    }
}

/// Uploads both plugins; answers their names and sizes.
///
/// # Errors
/// A file that is not there, or that the router refuses.
pub(super) async fn upload_plugins(
    client: &Client,
    directory: &Path,
) -> Result<Vec<(&'static str, usize)>, Failure> {
    let mut uploaded = Vec::new();
    for name in [OSMOX_PLUGIN, WHATSAPP_PLUGIN] {
        let component = read_plugin(&directory.join(format!("{name}.wasm"))).map_err(|failure| {
            failure
                .hint("build the plugins with `cargo xtask plugins`, or name their directory with --plugins")
        })?;
        let bytes = component.len();
        client.push(name, component, true, ProgressBar::no_length()).await?;
        uploaded.push((name, bytes));
    }
    Ok(uploaded)
}

impl Stage {
    /// Starts the receivers and registers an endpoint for each.
    ///
    /// # Errors
    /// Payloads without one that a plugin is for, or a registration that the router refuses.
    pub(super) async fn set(client: &Client, seeds: &[Seed]) -> Result<Self, Failure> {
        for needed in [OSMOX_EVENT, WHATSAPP_EVENT] {
            if !seeds.iter().any(|seed| seed.event_type == needed) {
                let file = needed.replace('.', "-");
                let message = format!("there is no {file}.json among the payloads, which a plugin reshapes");
                return Err(Failure::new(Exit::Failed, "demo_events_missing", message));
            }
        }
        client.call(Method::POST, &["app"], Some(&json!({ "name": "Demo", "uid": APP }))).await?;
        let all: Vec<String> = seeds.iter().map(|seed| seed.event_type.clone()).collect();
        let not_reshaped = all.iter().filter(|name| ![OSMOX_EVENT, WHATSAPP_EVENT].contains(&name.as_str()));
        let cast = [
            (
                "reports",
                Some(OSMOX_PLUGIN),
                Shape::OsmoxReport,
                Behaviour::FailsTwice,
                vec![OSMOX_EVENT.to_owned()],
            ),
            (
                "statuses",
                Some(WHATSAPP_PLUGIN),
                Shape::OsmoxNotification,
                Behaviour::Works,
                vec![WHATSAPP_EVENT.to_owned()],
            ),
            ("messages", None, Shape::AsSent, Behaviour::Works, not_reshaped.cloned().collect()),
            ("archive", None, Shape::AsSent, Behaviour::Hangs, all.clone()),
        ];
        let mut parts = Vec::new();
        for (name, plugin, shape, behaviour, types) in cast {
            let receiver = Receiver::start(behaviour).await?;
            let part = Part { name, plugin, shape, system: None, receiver, behaviour, types };
            register(client, &part).await?;
            parts.push(part);
        }
        for system in &SYSTEMS {
            let types = all.iter().filter(|name| name.starts_with(system.prefix)).cloned().collect();
            let part = Part {
                name: system.preset,
                plugin: None,
                shape: Shape::AsSent,
                system: Some(system),
                receiver: Receiver::start(Behaviour::Works).await?,
                behaviour: Behaviour::Works,
                types,
            };
            register_system(client, &part, system).await?;
            parts.push(part);
        }
        Ok(Self { parts })
    }

    /// The endpoint whose receiver hangs.
    pub(super) fn hanging(&self) -> &Part {
        self.parts.iter().find(|part| part.behaviour == Behaviour::Hangs).expect("it is in the cast")
    }

    /// Waits until every endpoint but the hanging one has as many events as it should.
    pub(super) async fn others_arrived(&self, expected: impl Fn(&Part) -> usize) {
        let others = self.parts.iter().filter(|part| part.behaviour != Behaviour::Hangs);
        join_all(others.map(|part| part.receiver.accepted_at_least(expected(part)))).await;
    }
}

async fn register(client: &Client, part: &Part) -> Result<(), Failure> {
    let endpoint = json!({ "uid": part.name, "url": part.receiver.url(), "eventTypes": part.types });
    client.call(Method::POST, &["app", APP, "endpoint"], Some(&endpoint)).await?;
    let path = |last| ["app", APP, "endpoint", part.name, last];
    client.call(Method::PATCH, &path("policy"), Some(&policy(part.behaviour))).await?;
    if let Some(plugin) = part.plugin {
        let transformation = json!({ "plugin": plugin, "settings": settings(plugin) });
        client.call(Method::PATCH, &path("transformation"), Some(&transformation)).await?;
    }
    part.receiver.trust(&secret_of(client, part.name).await?);
    Ok(())
}

/// Registers an endpoint on a system's own terms. Only that one which wants https gets http all the same: the demo's
/// receivers have no certificates.
async fn register_system(client: &Client, part: &Part, system: &System) -> Result<(), Failure> {
    let endpoint = json!({ "uid": part.name, "url": part.receiver.url(), "eventTypes": part.types });
    let created: Value = client.call(Method::POST, &["app", APP, "endpoint"], Some(&endpoint)).await?;
    let terms = json!({ "preset": system.preset, "url": "any" });
    client.call(Method::PATCH, &["app", APP, "endpoint", part.name, "policy"], Some(&terms)).await?;
    let secret = secret_of(client, part.name).await?;
    if let Some((header, key)) = system.signature {
        let key = match key {
            SignatureKey::Secret => secret.clone(),
            SignatureKey::EndpointId => created["id"].as_str().unwrap_or_default().to_owned(),
        };
        part.receiver.trust_own(OwnSignature { header, key });
    }
    part.receiver.trust(&secret);
    Ok(())
}

async fn secret_of(client: &Client, endpoint: &str) -> Result<String, Failure> {
    let secret =
        client.call::<Value>(Method::GET, &["app", APP, "endpoint", endpoint, "secret"], None).await?;
    Ok(secret["key"].as_str().unwrap_or_default().to_owned())
}

/// Retries within seconds rather than hours, so that the demo is short.
fn policy(behaviour: Behaviour) -> Value {
    match behaviour {
        Behaviour::Works | Behaviour::FailsTwice => json!({ "schedule": [0.2, 0.4, 0.8, 1.6, 3.2, 6.4] }),
        Behaviour::Hangs => json!({
            "exponential": { "baseMs": 200, "factorPercent": 150, "capMs": 2000, "attemptsMax": 50 },
            "timeoutMs": 500,
            "concurrency": HANGING_CONCURRENCY,
        }),
    }
}

fn settings(plugin: &str) -> Value {
    match plugin {
        WHATSAPP_PLUGIN => json!({ "fields": { "providerId": WHATSAPP_PROVIDER_ID } }),
        _ => json!({}),
    }
}
