//! The events of known systems, as data: an example of each kind, for test calls, and a schema where the system's
//! document has a field reference.
//!
//! They stand behind what an operator says of a kind of event, never before it.

use crate::preset::Preset;

/// A kind of event that a known system sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownEvent {
    /// The event type: the system's own name for it, or the words of its document with full stops.
    pub event_type: &'static str,
    /// The system.
    pub preset: Preset,
    /// A whole payload, a JSON object.
    pub example: &'static str,
    /// What each payload has to be, a JSON Schema (draft 2020-12).
    pub schema: Option<&'static str>,
}

/// By system.
pub static KNOWN_EVENTS: [KnownEvent; 10] = [
    KnownEvent {
        event_type: "osmox.notification",
        preset: Preset::Osmox,
        example: include_str!("osmox-notification.json"),
        schema: None,
    },
    KnownEvent {
        event_type: "whatsapp:message:status",
        preset: Preset::Whatsapp,
        example: include_str!("whatsapp-status.json"),
        schema: None,
    },
    KnownEvent {
        event_type: "whatsapp:message:in",
        preset: Preset::Whatsapp,
        example: include_str!("whatsapp-incoming-text.json"),
        schema: None,
    },
    KnownEvent {
        event_type: "whatsapp.status",
        preset: Preset::Whatsapp,
        example: include_str!("whatsapp-status.json"),
        schema: None,
    },
    KnownEvent {
        event_type: "whatsapp.incoming.text",
        preset: Preset::Whatsapp,
        example: include_str!("whatsapp-incoming-text.json"),
        schema: None,
    },
    KnownEvent {
        event_type: "whatsapp.incoming.media",
        preset: Preset::Whatsapp,
        example: include_str!("whatsapp-incoming-media.json"),
        schema: None,
    },
    KnownEvent {
        event_type: "conversation.message",
        preset: Preset::Conversation,
        example: include_str!("conversation-message.json"),
        schema: Some(include_str!("conversation-message.schema.json")),
    },
    KnownEvent {
        event_type: "message.sent",
        preset: Preset::Mifumo,
        example: include_str!("mifumo-message-sent.json"),
        schema: None,
    },
    KnownEvent {
        event_type: "message.delivered",
        preset: Preset::Mifumo,
        example: include_str!("mifumo-message-delivered.json"),
        schema: None,
    },
    KnownEvent {
        event_type: "message.failed",
        preset: Preset::Mifumo,
        example: include_str!("mifumo-message-failed.json"),
        schema: None,
    },
];

/// The known kind of event of this type.
#[must_use]
pub fn known_event(event_type: &str) -> Option<&'static KnownEvent> {
    KNOWN_EVENTS.iter().find(|known| known.event_type == event_type)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use serde_json::{Value, json};

    use super::*;
    use crate::event::Name;
    use crate::payload_schema::{PayloadFault, PayloadSchema};

    #[test]
    fn each_kind_has_a_name_of_its_own_and_an_example_that_fits_it() {
        let names: HashSet<_> = KNOWN_EVENTS.iter().map(|known| known.event_type).collect();
        assert_eq!(names.len(), KNOWN_EVENTS.len());
        for known in &KNOWN_EVENTS {
            assert!(known.event_type.parse::<Name>().is_ok(), "{known:?}");
            assert!(serde_json::from_str::<Value>(known.example).unwrap().is_object(), "{known:?}");
            if let Some(schema) = known.schema {
                let schema = PayloadSchema::parse(schema).unwrap();
                assert_eq!(schema.check(known.example.as_bytes()), Ok(()), "{known:?}");
            }
            assert_eq!(known_event(known.event_type), Some(known));
        }
        assert_eq!(known_event("message.other"), None);
    }

    /// Where the envelope fails after a change of one field; `null` takes it away.
    fn failing(pointer: &str, value: Value) -> Vec<String> {
        let known = known_event("conversation.message").unwrap();
        let mut envelope: Value = serde_json::from_str(known.example).unwrap();
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        let parent = envelope.pointer_mut(parent).and_then(Value::as_object_mut).unwrap();
        match value {
            Value::Null => drop(parent.shift_remove(field)),
            value => drop(parent.insert(field.to_owned(), value)),
        }
        let schema = PayloadSchema::parse(known.schema.unwrap()).unwrap();
        let checked = schema.check(envelope.to_string().as_bytes());
        let failures = match checked {
            Ok(()) => Vec::new(),
            Err(PayloadFault::Failures(failures)) => failures,
            Err(PayloadFault::TooDeep) => panic!("nested too deeply"),
        };
        failures.into_iter().map(|failure| failure.pointer).collect()
    }

    #[test]
    fn the_envelope_is_that_of_its_field_reference() {
        let good = |pointer: &str, value: Value| {
            assert_eq!(failing(pointer, value.clone()), [""; 0], "{pointer} {value}");
        };
        let bad = |pointer: &str, value: Value, at: &str| {
            assert_eq!(failing(pointer, value.clone()), [at], "{pointer} {value}");
        };
        let enumerated = |pointer: &str, values: &[&str]| {
            for value in values {
                good(pointer, json!(value));
                bad(pointer, json!(value.to_lowercase()), pointer);
            }
            bad(pointer, json!(1), pointer);
            bad(pointer, Value::Null, "/data");
        };
        let time = |pointer: &str, parent: &str| {
            for moment in ["2024-03-21T10:00:00Z", "2024-03-21T10:00:00.000Z", "2024-12-31T23:59:60+02:00"] {
                good(pointer, json!(moment));
            }
            good(pointer, json!("2024-03-21T10:00:00.123456"));
            for other in
                ["2024-03-21", "21/03/2024 10:00", "2024-13-01T00:00:00Z", "2024-03-21T24:00:00Z", ""]
            {
                bad(pointer, json!(other), pointer);
            }
            bad(pointer, json!(1_711_015_200), pointer);
            bad(pointer, Value::Null, parent);
        };
        let uuid = |pointer: &str, parent: &str| {
            good(pointer, json!("8A4C1F6E-6F0A-4B53-9D5E-2F7F0C1F4A11"));
            good(pointer, json!("message-uuid"));
            bad(pointer, json!("other-uuid"), pointer);
            bad(pointer, json!("8a4c1f6e6f0a4b539d5e2f7f0c1f4a11"), pointer);
            bad(pointer, Value::Null, parent);
        };
        uuid("/conversation_id", "");
        uuid("/data/id", "/data");
        good("/data/content", json!(""));
        bad("/data/content", json!(["Message content"]), "/data/content");
        bad("/data/content", Value::Null, "/data");
        enumerated("/data/content_type", &["TEXT", "IMAGE", "VIDEO", "DOCUMENT", "AUDIO"]);
        enumerated("/data/type", &["USER_INPUT", "SYSTEM", "BOT"]);
        enumerated("/data/channel", &["API", "WHATSAPP", "SMS"]);
        enumerated("/data/status", &["RECEIVED", "PROCESSED", "FAILED"]);
        good("/data/metadata", Value::Null);
        good("/data/metadata", json!({"any": ["thing"]}));
        bad("/data/metadata", json!("text"), "/data/metadata");
        for field in ["/data/created_by", "/data/updated_by"] {
            bad(field, json!(7), field);
            good(field, Value::Null);
        }
        time("/data/created_at", "/data");
        time("/data/updated_at", "/data");
        time("/timestamp", "");
        bad("/data", Value::Null, "");
        bad("/data", json!([]), "/data");
        good("/extra", json!(1));
    }

    #[test]
    fn a_file_name_is_there_with_media_and_with_the_guides_text() {
        let media = |content_type: &str| {
            let schema = known_event("conversation.message").and_then(|known| known.schema).unwrap();
            let example = known_event("conversation.message").unwrap().example;
            let media = format!("\"content_type\": \"{content_type}\", \"filename\": \"document.pdf\"");
            let envelope = example.replace("\"content_type\": \"TEXT\"", &media);
            PayloadSchema::parse(schema).unwrap().check(envelope.as_bytes())
        };
        for content_type in ["TEXT", "IMAGE", "VIDEO", "DOCUMENT", "AUDIO"] {
            assert_eq!(media(content_type), Ok(()));
        }
    }
}
