//! What a plugin is given in a dry run: a sample that expects nothing.

use std::sync::Arc;

use serde_json::{Value, json};

use super::error::ManifestFault;
use super::reader::Node;
use super::{Manifest, ManifestError, Sample, SampleInput, sample_secrets};
use crate::event::Event;
use crate::json::Document;
use crate::plugin::World;

/// Arrays and objects within each other that an input may have; what is nested deeper can be given as text.
const INPUT_DEPTH_MAX: usize = 128;

impl Sample {
    /// Reads an input: a sample's keys without `name` and `expect`. Where there is a manifest, settings must satisfy its
    /// schema, and its secrets are bound to stand-ins.
    ///
    /// # Errors
    /// The first rule that the input breaks, and where.
    pub fn input_only(
        input: &Document,
        world: World,
        manifest: Option<&Manifest>,
    ) -> Result<Self, ManifestError> {
        let too_deep = || {
            let rule =
                format!("is nested deeper than {INPUT_DEPTH_MAX} levels; give the body as `body_text`");
            ManifestError::at_root(ManifestFault::Value { rule })
        };
        let Value::Object(mut document) = input.to_value(INPUT_DEPTH_MAX).ok_or_else(too_deep)? else {
            return Err(ManifestError::at_root(ManifestFault::Type { expected: "an object" }));
        };
        // An expectation has to be there, and whoever looks at a dry run compares nothing with it.
        let any = match world {
            World::Transform => json!({"drop": ""}),
            World::Source => json!({"reject": ""}),
            World::Classifier => json!({"delivered": true}),
        };
        document.insert("name".to_owned(), json!("dry run"));
        document.insert("expect".to_owned(), any);
        let secrets = manifest.map(|manifest| sample_secrets(&manifest.secrets)).unwrap_or_default();
        let schema = manifest.and_then(|manifest| manifest.settings_schema.as_ref());
        let document = Value::Object(document);
        Self::read(&Node::root(&document, input.root()), world, &Arc::new(secrets), schema)
    }

    /// Takes a recorded event in the place of the input's own.
    pub fn replace_event(&mut self, recorded: Arc<Event>) {
        match &mut self.input {
            SampleInput::Transform { event, .. } | SampleInput::Classifier { event, .. } => *event = recorded,
            SampleInput::Source { .. } => {}
        }
    }

    /// The event that a transform reshapes or that an answer is for.
    #[must_use]
    pub fn event(&self) -> Option<&Event> {
        match &self.input {
            SampleInput::Transform { event, .. } | SampleInput::Classifier { event, .. } => Some(event),
            SampleInput::Source { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_is_a_sample_that_expects_nothing() {
        let check = |world, input: Value, expect: Result<(), &str>| {
            let read = Sample::input_only(&Document::parse(input.to_string()).unwrap(), world, None);
            let read = read.map(|_| ()).map_err(|error| error.pointer);
            assert_eq!(read, expect.map_err(str::to_owned), "{input}");
        };
        let event = json!({"type": "a.b", "body": {"n": 1}});
        check(World::Transform, json!({"event": event, "settings": {"a": 1}}), Ok(()));
        check(World::Transform, json!({"request": {}}), Err("/request"));
        check(World::Transform, json!({"event": {"type": "a.b"}}), Err("/event"));
        check(World::Source, json!({"request": {"body_text": "a=1"}}), Ok(()));
        check(World::Classifier, json!({"response": {"status": 200, "body": {}}, "event": event}), Ok(()));
        check(World::Classifier, json!({"response": {"status": "200", "body": {}}}), Err("/response/status"));
    }
    #[test]
    fn numbers_are_given_as_they_are_written() {
        let input = r#"{"event": {"type": "a.b", "body": {"n": 1.10, "i": [1000000000000000000000]}},
            "settings": {"limit": 1.10}}"#;
        let sample = Sample::input_only(&Document::parse(input).unwrap(), World::Transform, None).unwrap();
        assert_eq!(sample.event().unwrap().body, r#"{"n":1.10,"i":[1000000000000000000000]}"#);
        assert_eq!(sample.settings(), r#"{"limit":1.10}"#);
    }
}
