//! Answers and samples for plugins that are classifiers.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Error as _, IgnoredAny};
use serde_json::value::RawValue;

use super::differences::Differences;
use super::samples::{SampleEvent, check_each};
use super::{NOW_MS, begin, event, target};
use crate::host::classifier::AnswerHandle;
use crate::{Answer, Classification, Event, Failure, Result, Target};

/// Runs a classifier's function once. The log begins anew, and time stands at [`NOW_MS`].
///
/// # Errors
/// What the function answers: a retryable failure is a retry, a permanent one a failure for good.
pub fn classify(
    classify: fn(&Answer, &Event, &Target) -> Result<Classification>,
    answer: impl Into<Answer>,
    event: impl Into<Event>,
    target: impl Into<Target>,
) -> Result<Classification> {
    begin(NOW_MS);
    classify(&answer.into(), &event.into(), &target.into())
}

/// Begins an answer with this status and this body, without headers.
pub fn answer(status: u16, body: impl Into<Vec<u8>>) -> AnswerBuilder {
    AnswerBuilder(AnswerHandle { status, headers: Vec::new(), body: body.into() })
}

/// An [`Answer`] under construction.
#[derive(Debug, Clone)]
#[must_use]
pub struct AnswerBuilder(AnswerHandle);

impl AnswerBuilder {
    /// Adds a header.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.headers.push((name.into(), value.into()));
        self
    }

    /// The answer.
    #[must_use]
    pub fn build(self) -> Answer {
        Answer::new(self.0)
    }
}

impl From<AnswerBuilder> for Answer {
    fn from(builder: AnswerBuilder) -> Self {
        builder.build()
    }
}

/// Runs each sample of a classifier's manifest, as [`samples`](super::samples()) does for a transform.
///
/// # Panics
/// Where a sample gives something else than it expects, with all that differs; where the manifest is not one of a
/// classifier, or has no samples.
#[track_caller]
pub fn classifier_samples(classify: fn(&Answer, &Event, &Target) -> Result<Classification>, manifest: &str) {
    check_each(manifest, "classifier", |sample: Sample<'_>| sample.judge(classify));
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sample<'manifest> {
    #[serde(rename = "name")]
    _name: IgnoredAny,
    #[serde(borrow)]
    response: SampleAnswer<'manifest>,
    #[serde(borrow)]
    event: Option<SampleEvent<'manifest>>,
    #[serde(borrow)]
    settings: Option<&'manifest RawValue>,
    expect: Expected,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SampleAnswer<'manifest> {
    status: u16,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(borrow)]
    body: Option<&'manifest RawValue>,
    body_text: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Expected {
    #[serde(deserialize_with = "only_true")]
    Delivered,
    Retry(String),
    Fail(String),
    #[serde(deserialize_with = "only_true")]
    NoOpinion,
}

/// `{"delivered": true}` and `{"no_opinion": true}` are how a manifest says it; `false` would say nothing.
fn only_true<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<(), D::Error> {
    if bool::deserialize(deserializer)? {
        Ok(())
    } else {
        Err(D::Error::custom("`delivered` and `no_opinion` can only be true"))
    }
}

impl Sample<'_> {
    fn judge(&self, function: fn(&Answer, &Event, &Target) -> Result<Classification>) -> Result<(), String> {
        let body =
            self.response.body_text.as_deref().or(self.response.body.map(RawValue::get)).unwrap_or_default();
        let answer = answer(self.response.status, body);
        let answer =
            self.response.headers.iter().fold(answer, |answer, (name, value)| answer.header(name, value));
        let event = self.event.as_ref().map_or_else(|| event("{}"), SampleEvent::builder);
        let target = target(self.settings.map_or("{}", RawValue::get));
        let found = match classify(function, answer, event, target) {
            Ok(classification) => classification,
            Err(Failure::Retryable(reason)) => Classification::Retry(reason),
            Err(Failure::Permanent(reason)) => Classification::Fail(reason),
        };
        // A sample that says what a success comes to says it of a classifier, too, that leaves it to the status.
        let found = match (&self.expect, found) {
            (Expected::Delivered, Classification::NoOpinion)
                if (200..300).contains(&self.response.status) =>
            {
                Classification::Delivered
            }
            (_, found) => found,
        };
        let mut differences = Differences::default();
        differences.text("answer", &self.expect.to_string(), &shown(&found));
        differences.into_result()
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delivered => formatter.write_str("delivered"),
            Self::Retry(reason) => write!(formatter, "retry: {reason}"),
            Self::Fail(reason) => write!(formatter, "fail: {reason}"),
            Self::NoOpinion => formatter.write_str("no opinion"),
        }
    }
}

fn shown(found: &Classification) -> String {
    match found {
        Classification::Delivered => "delivered".to_owned(),
        Classification::Retry(reason) => format!("retry: {reason}"),
        Classification::Fail(reason) => format!("fail: {reason}"),
        Classification::NoOpinion => "no opinion".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn act(answer: &Answer, event: &Event, target: &Target) -> Result<Classification> {
        let word: Option<String> = target.setting("/word")?;
        Ok(match (answer.status(), word) {
            (200, None) => Classification::Delivered,
            (200, Some(word)) if answer.text()? == word => Classification::retry(event.event_type()),
            (204 | 503, _) => Classification::NoOpinion,
            (429, _) => Classification::retry(answer.header("retry-after").unwrap_or_default()),
            (_, _) => Classification::Fail(answer.require("/error")?),
        })
    }

    /// Why a sample with these fields fails; nothing where it doesn't.
    fn check(fields: &str, expect: Result<(), &str>) {
        let sample = format!(r#"{{"name": "one", {fields}}}"#);
        let sample: Sample<'_> = serde_json::from_str(&sample).expect("the sample is one");
        assert_eq!(sample.judge(act), expect.map_err(str::to_owned), "{fields}");
    }

    #[test]
    fn what_is_as_expected_passes() {
        check(r#""response": {"status": 200}, "expect": {"delivered": true}"#, Ok(()));
        check(
            r#""response": {"status": 200, "body_text": "busy"}, "settings": {"word": "busy"},
                "event": {"type": "a.b", "body": 1}, "expect": {"retry": "a.b"}"#,
            Ok(()),
        );
        check(
            r#""response": {"status": 429, "headers": {"Retry-After": "5"}}, "expect": {"retry": "5"}"#,
            Ok(()),
        );
        check(r#""response": {"status": 400, "body": {"error": "no"}}, "expect": {"fail": "no"}"#, Ok(()));
        check(r#""response": {"status": 503}, "expect": {"no_opinion": true}"#, Ok(()));
        check(r#""response": {"status": 204}, "expect": {"delivered": true}"#, Ok(()));
        // A failure of the plugin: here one that asks for a retry.
        check(
            r#""response": {"status": 400, "body": {}}, "expect": {"retry": "/error: missing from the answer"}"#,
            Ok(()),
        );
    }

    #[test]
    fn what_differs_is_shown() {
        check(
            r#""response": {"status": 200}, "expect": {"fail": "x"}"#,
            Err("  answer\n    expected: fail: x\n    found:    delivered\n"),
        );
        check(
            r#""response": {"status": 503}, "expect": {"delivered": true}"#,
            Err("  answer\n    expected: delivered\n    found:    no opinion\n"),
        );
        let false_sample = r#"{"name": "one", "response": {"status": 200}, "expect": {"delivered": false}}"#;
        assert!(serde_json::from_str::<Sample<'_>>(false_sample).is_err());
    }
}
