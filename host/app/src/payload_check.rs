//! Checking a payload before it is sent, for senders who ask for it.

use bytes::Bytes;
use hookmill_core::catalog::known_event;
use hookmill_core::event::Name;
use hookmill_core::id::ApplicationId;
use hookmill_core::manifest::{ManifestError, SettingsFailure};
use hookmill_core::payload_schema::{PayloadSchema, newest_schema};
use serde_json::Value;
use thiserror::Error;

use crate::App;

/// Why a payload does not pass its check.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PayloadRefused {
    /// Nobody said what payloads of this type are.
    #[error("there is no schema for `{event_type}`: give the event type one, or send without validation")]
    NoSchema {
        /// The type.
        event_type: Name,
    },
    /// The operator's schema is not one that can be checked against.
    #[error("the schema of `{event_type}` can't be used, at `{}`: {}", .error.pointer, .error.fault)]
    Schema {
        /// The type.
        event_type: Name,
        /// The rule that its schema breaks.
        error: ManifestError,
    },
    /// The payload is another than its schema says.
    #[error("the payload is not what the schema of `{event_type}` asks for")]
    Payload {
        /// The type.
        event_type: Name,
        /// Where and why; at least one.
        failures: Vec<SettingsFailure>,
    },
}

impl App {
    /// Checks a payload against the newest schema of its event type: the operator's, else that of a known system.
    ///
    /// # Errors
    /// No schema, one that can't be used, or all places where the payload fails.
    pub async fn check_payload(
        &self,
        application: ApplicationId,
        event_type: &Name,
        payload: &Bytes,
    ) -> Result<(), PayloadRefused> {
        let own = self.own_schema(event_type);
        let (event_type, payload) = (event_type.clone(), payload.clone());
        self.workshop.run(application, move || check(own.as_ref(), &event_type, &payload)).await
    }

    /// The newest schema that the operator gave this type.
    pub(crate) fn own_schema(&self, event_type: &Name) -> Option<Value> {
        self.table().event_types.get(event_type)?.schemas.as_deref().and_then(newest_schema)
    }
}

fn check(own: Option<&Value>, event_type: &Name, payload: &Bytes) -> Result<(), PayloadRefused> {
    let unusable = |error| PayloadRefused::Schema { event_type: event_type.clone(), error };
    let schema = match own {
        Some(own) => PayloadSchema::new(own).map_err(unusable)?,
        None => {
            let known = known_event(event_type.as_str()).and_then(|known| known.schema);
            let schema = known.ok_or_else(|| PayloadRefused::NoSchema { event_type: event_type.clone() })?;
            PayloadSchema::parse(schema).map_err(unusable)?
        }
    };
    let checked = schema.check(payload);
    checked.map_err(|failures| PayloadRefused::Payload { event_type: event_type.clone(), failures })
}
