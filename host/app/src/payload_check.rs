//! Checking a payload before it is sent, for senders who ask for it.
//!
//! A schema is compiled once and kept in [`KeptSchemas`], within bounds, for as long as its event type stays what it is.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use hookmill_core::application::EventTypeDefinition;
use hookmill_core::catalog::known_event;
use hookmill_core::event::Name;
use hookmill_core::id::ApplicationId;
use hookmill_core::manifest::{ManifestError, SettingsFailure};
use hookmill_core::payload_schema::{PAYLOAD_DEPTH_MAX, PayloadFault, PayloadSchema, newest_schema};
use hookmill_core::port::store::Change;
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
    /// The payload can't be checked.
    #[error(
        "the payload is nested deeper than {PAYLOAD_DEPTH_MAX} levels, which can't be checked; send it without validation"
    )]
    TooDeep,
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
        let definition = self.table().event_types.get(event_type).cloned();
        let (event_type, payload, kept) = (event_type.clone(), payload.clone(), Arc::clone(&self.schemas));
        let checking = move || {
            let schema = kept.schema(&event_type, definition.as_ref())?;
            schema.check(&payload).map_err(|fault| match fault {
                PayloadFault::TooDeep => PayloadRefused::TooDeep,
                PayloadFault::Failures(failures) => PayloadRefused::Payload { event_type, failures },
            })
        };
        self.workshop.run(application, checking).await
    }
}

/// Compiled schemas that are kept.
const KEPT_SCHEMAS_MAX: usize = 64;
/// Bytes that they take together; a larger one is compiled each time.
const KEPT_BYTES_MAX: usize = 16 << 20;

/// Schemas that payloads were checked against lately, the latest last.
#[derive(Debug, Default)]
pub(crate) struct KeptSchemas(Mutex<Vec<KeptSchema>>);

#[derive(Debug)]
struct KeptSchema {
    event_type: Name,
    /// What the operator said of it, which is another value after each change; none of a known system's event.
    definition: Option<Arc<EventTypeDefinition>>,
    schema: PayloadSchema,
}

impl KeptSchema {
    fn is_of(&self, event_type: &Name, definition: Option<&Arc<EventTypeDefinition>>) -> bool {
        let same = match (&self.definition, definition) {
            (Some(own), Some(other)) => Arc::ptr_eq(own, other),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        same && self.event_type == *event_type
    }
}

impl KeptSchemas {
    /// The schema of an event type whose definition is this one.
    fn schema(
        &self,
        event_type: &Name,
        definition: Option<&Arc<EventTypeDefinition>>,
    ) -> Result<PayloadSchema, PayloadRefused> {
        if let Some(schema) = self.get(event_type, definition) {
            return Ok(schema);
        }
        let schema = compile(event_type, definition)?;
        self.keep(KeptSchema {
            event_type: event_type.clone(),
            definition: definition.cloned(),
            schema: schema.clone(),
        });
        Ok(schema)
    }

    /// Forgets the event types that change.
    pub(crate) fn note(&self, changes: &[Change]) {
        for change in changes {
            if let Change::PutEventType(EventTypeDefinition { name, .. }) | Change::DeleteEventType(name) =
                change
            {
                self.lock().retain(|kept| kept.event_type != *name);
            }
        }
    }

    fn get(&self, event_type: &Name, definition: Option<&Arc<EventTypeDefinition>>) -> Option<PayloadSchema> {
        let mut kept = self.lock();
        let at = kept.iter().position(|kept| kept.is_of(event_type, definition))?;
        let found = kept.remove(at);
        let schema = found.schema.clone();
        kept.push(found);
        Some(schema)
    }

    fn keep(&self, new: KeptSchema) {
        if new.schema.bytes() > KEPT_BYTES_MAX {
            return;
        }
        let mut kept = self.lock();
        kept.retain(|kept| kept.event_type != new.event_type);
        kept.push(new);
        let mut bytes: usize = kept.iter().map(|kept| kept.schema.bytes()).sum();
        while kept.len() > KEPT_SCHEMAS_MAX || bytes > KEPT_BYTES_MAX {
            bytes -= kept.remove(0).schema.bytes();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<KeptSchema>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn compile(
    event_type: &Name,
    definition: Option<&Arc<EventTypeDefinition>>,
) -> Result<PayloadSchema, PayloadRefused> {
    let unusable = |error| PayloadRefused::Schema { event_type: event_type.clone(), error };
    let own = definition.and_then(|definition| definition.schemas.as_deref()).and_then(newest_schema);
    match own {
        Some(own) => PayloadSchema::new(&own).map_err(unusable),
        None => {
            let known = known_event(event_type.as_str()).and_then(|known| known.schema);
            let schema = known.ok_or_else(|| PayloadRefused::NoSchema { event_type: event_type.clone() })?;
            PayloadSchema::parse(schema).map_err(unusable)
        }
    }
}

#[cfg(test)]
mod tests {
    use hookmill_core::time::UnixMillis;

    use super::*;

    fn definition(name: &str, schemas: &str) -> Arc<EventTypeDefinition> {
        Arc::new(EventTypeDefinition {
            name: name.parse().unwrap(),
            description: String::new(),
            schemas: Some(schemas.into()),
            archived: false,
            group: None,
            created_at: UnixMillis::default(),
            updated_at: UnixMillis::default(),
        })
    }

    fn is_kept(kept: &KeptSchemas, definition: &Arc<EventTypeDefinition>) -> bool {
        kept.lock().iter().any(|one| one.is_of(&definition.name, Some(definition)))
    }

    #[test]
    fn a_schema_is_kept_until_its_event_type_changes() {
        let kept = KeptSchemas::default();
        let numbers = definition("a.b", r#"{"1": {"type": "number"}}"#);
        let name = numbers.name.clone();
        assert!(kept.schema(&name, Some(&numbers)).unwrap().check(b"1").is_ok());
        assert!(is_kept(&kept, &numbers));

        let texts = definition("a.b", r#"{"1": {"type": "string"}}"#);
        assert!(kept.schema(&name, Some(&texts)).unwrap().check(b"1").is_err());
        assert!(is_kept(&kept, &texts) && !is_kept(&kept, &numbers));
        kept.note(&[Change::DeleteEventType(name.clone())]);
        assert!(kept.lock().is_empty());
        assert!(matches!(kept.schema(&name, None), Err(PayloadRefused::NoSchema { .. })));
    }

    #[test]
    fn no_more_schemas_are_kept_than_there_is_room_for() {
        let kept = KeptSchemas::default();
        let first = definition("first", r#"{"1": {"type": "number"}}"#);
        kept.schema(&first.name, Some(&first)).unwrap();
        for number in 0..KEPT_SCHEMAS_MAX - 1 {
            let other = definition(&format!("type.{number}"), r#"{"1": {}}"#);
            kept.schema(&other.name, Some(&other)).unwrap();
        }
        // What was asked for lately stays, and the one that was not goes.
        kept.schema(&first.name, Some(&first)).unwrap();
        let last = definition("last", r#"{"1": {}}"#);
        kept.schema(&last.name, Some(&last)).unwrap();
        assert!(is_kept(&kept, &first) && is_kept(&kept, &last));
        assert_eq!(kept.lock().len(), KEPT_SCHEMAS_MAX);

        let patterns = |count: usize| {
            let patterns =
                (0..count).map(|number| format!(r#""^{number}$": {{}}"#)).collect::<Vec<_>>().join(",");
            format!(r#"{{"1": {{"patternProperties": {{{patterns}}}}}}}"#)
        };
        for name in ["large.1", "large.2", "large.3"] {
            let large = definition(name, &patterns(20));
            kept.schema(&large.name, Some(&large)).unwrap();
        }
        let bytes: usize = kept.lock().iter().map(|one| one.schema.bytes()).sum();
        assert!(bytes <= KEPT_BYTES_MAX, "{bytes}");
        let too_large = definition("too.large", &patterns(60));
        assert!(kept.schema(&too_large.name, Some(&too_large)).unwrap().check(b"{}").is_ok());
        assert!(!is_kept(&kept, &too_large));
    }
}
