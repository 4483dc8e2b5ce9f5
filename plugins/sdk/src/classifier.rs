//! What a receiver answered, and what that means.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::document::Document;
use crate::host::classifier::AnswerHandle;
use crate::{Object, Result};

/// The answer of a receiver to one attempt.
///
/// It stays in the router: reading a part copies that part into the plugin, when it is read and once. What can't be read
/// is a failure that asks for a retry: the next answer may be another one.
#[derive(Debug)]
pub struct Answer(Document<AnswerHandle>);

impl Answer {
    pub(crate) fn new(handle: AnswerHandle) -> Self {
        Self(Document::new(handle))
    }

    /// The status, for example 200.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.0.handle.status()
    }

    /// Whether the status is a success, 200 to 299 (RFC 9110, 15.3): what the router goes by without a classifier.
    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status())
    }

    /// A header by name, whatever its case; several values are joined with `, ` (RFC 9110, 5.3). None where there is no
    /// such header or it is not UTF-8.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        self.0.handle.header(name)
    }

    /// The body, as far as the router read it.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.0.bytes()
    }

    /// The body as text, as far as the router read it.
    ///
    /// # Errors
    /// A retryable failure where it is not UTF-8.
    pub fn text(&self) -> Result<&str> {
        self.0.text()
    }

    /// The body as a type of the plugin's own. Its strings may borrow from the answer.
    ///
    /// # Errors
    /// A retryable failure that says where the body is no JSON, or no `T`.
    pub fn json<'answer, T: Deserialize<'answer>>(&'answer self) -> Result<T> {
        self.0.json()
    }

    /// The body as a JSON object whose fields keep their exact text until they are read.
    ///
    /// # Errors
    /// A retryable failure where the body is no JSON object.
    pub fn object(&self) -> Result<Object<'_>> {
        self.0.object()
    }

    /// One node of a JSON body by its pointer (RFC 6901); none where there is no such node. The router finds it and hands
    /// over nothing else.
    ///
    /// # Errors
    /// A retryable failure where the body is no JSON, the pointer is not one, or the node is no `T`.
    pub fn find<T: DeserializeOwned>(&self, pointer: &str) -> Result<Option<T>> {
        self.0.find(pointer)
    }

    /// One node of a JSON body that has to be there.
    ///
    /// # Errors
    /// As [`find`](Self::find), and where there is no such node.
    pub fn require<T: DeserializeOwned>(&self, pointer: &str) -> Result<T> {
        self.0.require(pointer)
    }
}

/// What an answer means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Classification {
    /// The receiver has it.
    Delivered,
    /// Try again on the endpoint's retry schedule, with a reason for the timeline.
    Retry(String),
    /// Never try again, with a reason for the timeline.
    Fail(String),
    /// The answer means what its status says.
    NoOpinion,
}

impl Classification {
    /// Asks for another attempt, with a reason for the timeline.
    pub fn retry(reason: impl Into<String>) -> Self {
        Self::Retry(reason.into())
    }

    /// Gives the delivery up, with a reason for the timeline.
    pub fn fail(reason: impl Into<String>) -> Self {
        Self::Fail(reason.into())
    }
}

/// Makes a function the plugin's classifier: `classifier!(classify);`, once in a plugin.
///
/// The function takes `&`[`Answer`], `&`[`Event`](crate::Event) and `&`[`Target`](crate::Target) and returns a
/// [`Result`](crate::Result) of a [`Classification`]. It is asked about answers whose status is a success, or about all of
/// them where its manifest has `"answers": "all"`. A retryable failure is a retry, a permanent one a failure for good.
///
/// `classifier!(classify, manifest = "../plugin.json");` puts a manifest into the plugin as well, as
/// [`transform!`](crate::transform) does.
///
/// ```
/// use hookmill_plugin::{Answer, Classification, Event, Result, Target, classifier, test};
///
/// fn classify(answer: &Answer, _event: &Event, _target: &Target) -> Result<Classification> {
///     let error: Option<String> = answer.find("/error")?;
///     Ok(error.map_or(Classification::NoOpinion, Classification::Retry))
/// }
///
/// classifier!(classify);
///
/// let answer = test::answer(200, r#"{"error": "busy"}"#);
/// let found = test::classify(classify, answer, test::event("{}"), test::target("{}"));
/// assert_eq!(found, Ok(Classification::retry("busy")));
/// ```
#[macro_export]
macro_rules! classifier {
    ($function:path, manifest = $manifest:literal) => {
        $crate::__manifest!($manifest);
        $crate::classifier!($function);
    };
    ($function:path) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            struct Plugin;

            impl $crate::__private::classifier::Classifier for Plugin {
                fn classify(
                    response: &$crate::__private::classifier::Response,
                    event: &$crate::__private::Event,
                    target: &$crate::__private::Target,
                ) -> $crate::__private::classifier::Verdict {
                    $crate::__private::classifier::run(response, event, target, $function)
                }
            }

            $crate::__private::classifier::bindings::export!(
                Plugin with_types_in $crate::__private::classifier::bindings
            );
        };

        #[cfg(not(target_arch = "wasm32"))]
        const _: () = $crate::__private::classifier::check($function);
    };
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;
    use crate::{Failure, test};

    #[test]
    fn parts_of_an_answer_are_read() {
        let answer = test::answer(202, r#"{"ok": false}"#).header("Retry-After", "5").build();
        assert_eq!((answer.status(), answer.is_success()), (202, true));
        assert_eq!(answer.header("retry-after").as_deref(), Some("5"));
        assert_eq!(answer.find("/ok"), Ok(Some(false)));
        assert_eq!(answer.object().map(|body| body.len()), Ok(1));
        assert_eq!(answer.bytes(), br#"{"ok": false}"#);
        assert!(!test::answer(300, "").build().is_success());
    }

    #[test]
    fn what_cannot_be_read_may_be_another_time() {
        let answer = test::answer(200, "<html>").build();
        let check = |result: Result<()>, beginning: &str| {
            let failure = result.expect_err(beginning);
            assert!(matches!(&failure, Failure::Retryable(_)), "{failure:?}");
            assert!(failure.reason().starts_with(beginning), "{failure}");
        };
        check(answer.object().map(drop), "the answer's body: expected value");
        check(answer.find::<bool>("/ok").map(drop), "the answer's body is not JSON");
        check(test::answer(200, [0xff]).build().text().map(drop), "the answer's body is not UTF-8");
        check(test::answer(200, "{}").build().require::<u8>("/a").map(drop), "/a: missing from the answer");
    }
}
