//! What a provider sent to a source, and the events it becomes.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::document::{self, Document};
use crate::host::source::{InboundHandle, OriginHandle};
use crate::{Form, Object, Result};

/// The request that a provider sent.
///
/// Its signature was verified by the router where the source asks for that. It stays in the router: reading a part copies
/// that part into the plugin, when it is read and once.
#[derive(Debug)]
pub struct Inbound(Document<InboundHandle>);

impl Inbound {
    pub(crate) fn new(handle: InboundHandle) -> Self {
        Self(Document::new(handle))
    }

    /// The method in capitals, for example `POST`.
    #[must_use]
    pub fn method(&self) -> String {
        self.0.handle.method()
    }

    /// The path after the source's own, empty or beginning with `/`.
    #[must_use]
    pub fn path(&self) -> String {
        self.0.handle.path()
    }

    /// What follows the `?`, not decoded; empty where nothing does. [`Form::parse`] decodes it.
    #[must_use]
    pub fn query(&self) -> String {
        self.0.handle.query()
    }

    /// A header by name, whatever its case; several values are joined with `, ` (RFC 9110, 5.3). None where there is no
    /// such header or it is not UTF-8.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        self.0.handle.header(name)
    }

    /// The names of all headers, in lower case, each once.
    #[must_use]
    pub fn header_names(&self) -> Vec<String> {
        self.0.handle.header_names()
    }

    /// Milliseconds since 1970 when the request came in.
    #[must_use]
    pub fn received_at_ms(&self) -> u64 {
        self.0.handle.received_at()
    }

    /// The body.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.0.bytes()
    }

    /// The body as text.
    ///
    /// # Errors
    /// A permanent failure where it is not UTF-8.
    pub fn text(&self) -> Result<&str> {
        self.0.text()
    }

    /// The body as a form: `multipart/form-data` where its content type says so, otherwise
    /// `application/x-www-form-urlencoded`.
    #[must_use]
    pub fn form(&self) -> Form<'_> {
        let content_type = self.header("content-type").unwrap_or_default();
        match media_type(&content_type).eq_ignore_ascii_case("multipart/form-data") {
            true => Form::multipart(&content_type, self.bytes()),
            false => Form::parse(self.bytes()),
        }
    }

    /// Whether the body says that it is a form, of either kind.
    #[must_use]
    pub fn is_form(&self) -> bool {
        let content_type = self.header("content-type").unwrap_or_default();
        let media_type = media_type(&content_type);
        ["multipart/form-data", "application/x-www-form-urlencoded"]
            .iter()
            .any(|form| media_type.eq_ignore_ascii_case(form))
    }

    /// The body as a type of the plugin's own. Its strings may borrow from the request.
    ///
    /// # Errors
    /// A permanent failure that says where the body is no JSON, or no `T`.
    pub fn json<'request, T: Deserialize<'request>>(&'request self) -> Result<T> {
        self.0.json()
    }

    /// The body as a JSON object whose fields keep their exact text until they are read.
    ///
    /// # Errors
    /// A permanent failure where the body is no JSON object.
    pub fn object(&self) -> Result<Object<'_>> {
        self.0.object()
    }

    /// One node of a JSON body by its pointer (RFC 6901); none where there is no such node. The router finds it and hands
    /// over nothing else.
    ///
    /// # Errors
    /// A permanent failure where the body is no JSON, the pointer is not one, or the node is no `T`.
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

fn media_type(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

/// The source that a request came in by.
#[derive(Debug)]
pub struct Origin {
    handle: OriginHandle,
}

impl Origin {
    pub(crate) fn new(handle: OriginHandle) -> Self {
        Self { handle }
    }

    /// The source's name.
    #[must_use]
    pub fn name(&self) -> String {
        self.handle.name()
    }

    /// The source's settings for this plugin. A source without any has the settings `{}`.
    ///
    /// # Errors
    /// A permanent failure that says where the settings are no `T`.
    pub fn settings<T: DeserializeOwned>(&self) -> Result<T> {
        document::settings(&self.handle.settings(), "the source")
    }

    /// One node of the settings by its pointer (RFC 6901); none where there is no such node.
    ///
    /// # Errors
    /// A permanent failure where the pointer is not one or the node is no `T`.
    pub fn setting<T: DeserializeOwned>(&self, pointer: &str) -> Result<Option<T>> {
        document::setting(pointer, self.handle.setting(pointer))
    }
}

/// What a source asks the router to do with a request.
///
/// A function may as well return a [`NewEvent`], a `Vec<NewEvent>` or a [`Reply`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Store these, then answer with the source's usual success.
    Accept(Vec<NewEvent>),
    /// A handshake: answer so, store nothing.
    Reply(Reply),
    /// Not authentic or not understood, with a reason for the operator. The provider is told that the request was refused.
    Reject(String),
}

impl Verdict {
    /// Accepts the request without storing anything: it is understood and of no interest.
    #[must_use]
    pub fn ignore() -> Self {
        Self::Accept(Vec::new())
    }

    /// Refuses the request, with a reason for the operator.
    pub fn reject(reason: impl Into<String>) -> Self {
        Self::Reject(reason.into())
    }

    /// What is to be stored: nothing for a reply or a rejection.
    #[must_use]
    pub fn events(&self) -> &[NewEvent] {
        match self {
            Self::Accept(events) => events,
            Self::Reply(_) | Self::Reject(_) => &[],
        }
    }
}

impl From<NewEvent> for Verdict {
    fn from(event: NewEvent) -> Self {
        Self::Accept(vec![event])
    }
}

impl From<Vec<NewEvent>> for Verdict {
    fn from(events: Vec<NewEvent>) -> Self {
        Self::Accept(events)
    }
}

impl From<Reply> for Verdict {
    fn from(reply: Reply) -> Self {
        Self::Reply(reply)
    }
}

/// An event to store.
///
/// A new one has the request's own body and content type. Names are checked by the router when the run ends; what it
/// refuses rejects the request with a reason that names it.
///
/// ```
/// use hookmill_plugin::{NewEvent, json};
///
/// # fn build() -> hookmill_plugin::Result<NewEvent> {
/// let event = NewEvent::new("order.created").uid("7").json(&json!({"order": 7}))?;
/// # Ok(event)
/// # }
/// # assert_eq!(build().unwrap().body.unwrap().as_bytes(), br#"{"order":7}"#);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NewEvent {
    /// What happened: letters, digits, `-`, `_` and `.`, at most 256 of them.
    pub event_type: String,
    /// The provider's own id, made of the same characters: an event with one that was seen before is accepted and not
    /// stored again.
    pub uid: Option<String>,
    /// A second dimension to filter on, at most five.
    pub channels: Vec<String>,
    /// The media type, where it is not the request's.
    pub content_type: Option<String>,
    /// The body, where it is not the request's.
    pub body: Option<Content>,
}

impl NewEvent {
    /// An event of this type with the request's own body and content type.
    pub fn new(event_type: impl Into<String>) -> Self {
        let event_type = event_type.into();
        Self { event_type, uid: None, channels: Vec::new(), content_type: None, body: None }
    }

    /// Sets the provider's own id.
    #[must_use]
    pub fn uid(mut self, uid: impl Into<String>) -> Self {
        self.uid = Some(uid.into());
        self
    }

    /// Adds a channel, once.
    #[must_use]
    pub fn channel(mut self, channel: impl Into<String>) -> Self {
        let channel = channel.into();
        if !self.channels.contains(&channel) {
            self.channels.push(channel);
        }
        self
    }

    /// Replaces the content type.
    #[must_use]
    pub fn content_type(mut self, content_type: impl Into<String>) -> Self {
        self.content_type = Some(content_type.into());
        self
    }

    /// Replaces the body by this value as JSON, with the content type `application/json`.
    ///
    /// # Errors
    /// Where the value is none that JSON can express, for example a map whose keys are no strings.
    pub fn json<T: Serialize + ?Sized>(self, value: &T) -> Result<Self> {
        let text = serde_json::to_string(value)?;
        Ok(self.content_type("application/json").text(text))
    }

    /// Replaces the body by this text, as UTF-8. The content type stays the request's unless it is set.
    #[must_use]
    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.body = Some(Content::Text(text.into()));
        self
    }

    /// Replaces the body by these bytes. The content type stays the request's unless it is set.
    #[must_use]
    pub fn bytes(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.body = Some(Content::Bytes(bytes.into()));
        self
    }
}

/// An answer to a provider in the place of the source's usual one, for handshakes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reply {
    /// 200 to 599.
    pub status: u16,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// The body; empty where there is none.
    pub body: Option<Content>,
}

impl Reply {
    /// An empty answer with this status.
    #[must_use]
    pub fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: None }
    }

    /// Sets a header.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Answers with this value as JSON, with the content type `application/json`.
    ///
    /// # Errors
    /// Where the value is none that JSON can express.
    pub fn json<T: Serialize + ?Sized>(self, value: &T) -> Result<Self> {
        let text = serde_json::to_string(value)?;
        Ok(self.header("content-type", "application/json").text(text))
    }

    /// Answers with this text, as UTF-8. The content type is for a header to set.
    #[must_use]
    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.body = Some(Content::Text(text.into()));
        self
    }

    /// Answers with these bytes.
    #[must_use]
    pub fn bytes(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.body = Some(Content::Bytes(bytes.into()));
        self
    }
}

/// A body that a source made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// This text, as UTF-8.
    Text(String),
    /// These bytes.
    Bytes(Vec<u8>),
}

impl Content {
    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Bytes(bytes) => bytes,
        }
    }

    /// The content read as JSON: for tests.
    ///
    /// # Errors
    /// Where it is not a `T` in JSON.
    pub fn json<'content, T: Deserialize<'content>>(&'content self) -> Result<T> {
        Ok(serde_json::from_slice(self.as_bytes())?)
    }
}

/// Makes a function the plugin's source: `source!(receive);`, once in a plugin.
///
/// The function takes `&`[`Inbound`] and `&`[`Origin`] and returns a [`Result`](crate::Result) of a [`NewEvent`], of
/// several, of a [`Reply`], or of a [`Verdict`]. A failure rejects the request with its reason.
///
/// `source!(receive, manifest = "../plugin.json");` puts a manifest into the plugin as well, as
/// [`transform!`](crate::transform) does.
///
/// ```
/// use hookmill_plugin::{Inbound, NewEvent, Origin, Result, source, test};
///
/// fn receive(request: &Inbound, _origin: &Origin) -> Result<NewEvent> {
///     let id: u64 = request.require("/order/id")?;
///     Ok(NewEvent::new("order.created").uid(id.to_string()))
/// }
///
/// source!(receive);
///
/// let verdict = test::receive(receive, test::request(r#"{"order": {"id": 7}}"#), test::origin("{}"));
/// assert_eq!(verdict.unwrap().events()[0].uid.as_deref(), Some("7"));
/// ```
#[macro_export]
macro_rules! source {
    ($function:path, manifest = $manifest:literal) => {
        $crate::__manifest!($manifest);
        $crate::source!($function);
    };
    ($function:path) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            struct Plugin;

            impl $crate::__private::source::Source for Plugin {
                fn receive(
                    request: &$crate::__private::source::Request,
                    origin: &$crate::__private::source::Origin,
                ) -> $crate::__private::source::Verdict {
                    $crate::__private::source::run(request, origin, $function)
                }
            }

            $crate::__private::source::bindings::export!(
                Plugin with_types_in $crate::__private::source::bindings
            );
        };

        #[cfg(not(target_arch = "wasm32"))]
        const _: () = $crate::__private::source::check($function);
    };
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;
    use crate::{Failure, Value, json, test};

    #[test]
    fn parts_of_a_request_are_read() {
        let request = test::request("To=%2B1&n=1")
            .method("PUT")
            .path("/sms")
            .query("a=1")
            .header("X-One", "1")
            .header("x-one", "2")
            .received_at_ms(5)
            .build();
        assert_eq!((request.method().as_str(), request.path().as_str()), ("PUT", "/sms"));
        assert_eq!(Form::parse(request.query().as_bytes()).get("a"), Some("1"));
        assert_eq!(request.header("X-ONE").as_deref(), Some("1, 2"));
        assert_eq!(request.header("x-two"), None);
        assert_eq!(request.header_names(), ["content-type", "x-one"]);
        assert_eq!((request.received_at_ms(), request.form().get("To")), (5, Some("+1")));
        let failure = request.json::<Value>().expect_err("a form is no JSON");
        assert!(failure.reason().starts_with("the request's body: expected value"), "{failure}");
    }

    #[test]
    fn json_bodies_are_read_by_pointer_and_as_a_whole() {
        let request = test::request(r#"{"order": {"id": 7}}"#).build();
        assert_eq!(request.find("/order/id"), Ok(Some(7)));
        assert_eq!(request.find::<u8>("/order/no"), Ok(None));
        let missing = Failure::permanent("/order/no: missing from the request");
        assert_eq!(request.require::<u8>("/order/no"), Err(missing));
        assert_eq!(request.object().map(|order| order.len()), Ok(1));
        let request = test::request([0xff]).build();
        assert_eq!(request.text(), Err(Failure::permanent("the request's body is not UTF-8 text")));
        assert_eq!(request.bytes(), [0xff]);
    }

    #[test]
    fn no_settings_are_empty_settings() {
        for settings in ["", "null", "{}"] {
            assert_eq!(test::origin(settings).build().settings(), Ok(json!({})), "{settings:?}");
        }
        let origin = test::origin(json!({"token": "t"})).name("acme").build();
        assert_eq!(origin.name(), "acme");
        assert_eq!(origin.setting("/token"), Ok(Some("t".to_owned())));
        let failure = origin.settings::<Vec<u8>>().expect_err("no list");
        assert!(failure.reason().starts_with("the source's settings: invalid type: map"), "{failure}");
    }

    #[test]
    fn what_a_function_returns_becomes_a_verdict() {
        let event = NewEvent::new("a.b").channel("c").channel("c").content_type("text/plain").bytes(*b"x");
        assert_eq!(Verdict::from(event.clone()).events(), std::slice::from_ref(&event));
        assert_eq!(Verdict::from(vec![event.clone()]), Verdict::Accept(vec![event]));
        assert_eq!(Verdict::ignore(), Verdict::Accept(Vec::new()));
        let reply = Reply::new(200).json(&json!({"challenge": 1})).expect("JSON");
        assert_eq!(reply.headers, [("content-type".to_owned(), "application/json".to_owned())]);
        assert_eq!(Verdict::from(reply).events(), []);
        assert_eq!(Verdict::reject("no"), Verdict::Reject("no".to_owned()));
    }
}
