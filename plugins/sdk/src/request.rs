//! A request to send.

use serde::{Deserialize, Serialize};

use crate::{Result, json};

/// One HTTP request to the endpoint.
///
/// A new one is what the router would send without a plugin: a `POST` to the endpoint's own URL with the event's
/// content type and its untouched body. Methods change one thing each. The router checks names, values and the URL
/// when the run ends; what it refuses is a permanent failure that names it.
///
/// ```
/// use hookmill_plugin::{Request, json};
///
/// # fn build() -> hookmill_plugin::Result<Request> {
/// let request = Request::new().header("x-kind", "ticket").json(&json!({"reference": 7}))?;
/// # Ok(request)
/// # }
/// # assert_eq!(build().unwrap().body.text(), Some(r#"{"reference":7}"#));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Request {
    /// The method, where it is not `POST`.
    pub method: Option<Method>,
    /// The URL, where it is not the endpoint's own.
    pub url: Option<String>,
    /// Changes of headers, in their order.
    pub headers: Vec<Header>,
    /// The body.
    pub body: Body,
    /// The name among several requests of one event.
    pub part_key: Option<String>,
}

/// The methods that a delivery may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "HTTP's own names (RFC 9110, 9.3; RFC 5789)")]
pub enum Method {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

/// One change of the request's headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Header {
    /// This value in the place of all that there were.
    Set {
        /// The header's name.
        name: String,
        /// Its value.
        value: String,
    },
    /// One more value.
    Append {
        /// The header's name.
        name: String,
        /// The additional value.
        value: String,
    },
    /// A value around a secret that only the router knows.
    Secret {
        /// The header's name.
        name: String,
        /// What comes before the secret, for example `Bearer `.
        prefix: String,
        /// The secret's name in the endpoint's settings.
        secret: String,
        /// What comes after it.
        suffix: String,
    },
    /// Takes back what was set.
    Remove {
        /// The header's name.
        name: String,
    },
}

/// The body of a request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Body {
    /// The event's body as it came; none of it passes through the plugin.
    #[default]
    Original,
    /// The event's body, changed by the router with this JSON merge patch (RFC 7396).
    Patch(String),
    /// This text, as UTF-8.
    Text(String),
    /// These bytes.
    Bytes(Vec<u8>),
}

impl Request {
    /// What the router would send without a plugin.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Replaces the method.
    #[must_use]
    pub fn method(mut self, method: Method) -> Self {
        self.method = Some(method);
        self
    }

    /// Replaces the URL, within the origins that the endpoint allows; its own is always one.
    #[must_use]
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.url = Some(url.into());
        self
    }

    /// Sets a header in the place of all values that it had.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push(Header::Set { name: name.into(), value: value.into() });
        self
    }

    /// Adds one more value to a header.
    #[must_use]
    pub fn append_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push(Header::Append { name: name.into(), value: value.into() });
        self
    }

    /// Sets a header to `prefix` and the secret of this name, which the router writes when it sends the request: the
    /// plugin never sees it.
    #[must_use]
    pub fn secret_header(
        mut self,
        name: impl Into<String>,
        prefix: impl Into<String>,
        secret: impl Into<String>,
    ) -> Self {
        let suffix = String::new();
        self.headers.push(Header::Secret {
            name: name.into(),
            prefix: prefix.into(),
            secret: secret.into(),
            suffix,
        });
        self
    }

    /// Takes back what was set for a header.
    #[must_use]
    pub fn remove_header(mut self, name: impl Into<String>) -> Self {
        self.headers.push(Header::Remove { name: name.into() });
        self
    }

    /// Sends this value as JSON, with the content type `application/json`.
    ///
    /// # Errors
    /// Where the value is none that JSON can express, for example a map whose keys are no strings.
    pub fn json<T: Serialize + ?Sized>(mut self, value: &T) -> Result<Self> {
        self.body = Body::Text(json::text(value)?);
        Ok(self.header("content-type", "application/json"))
    }

    /// Sends this text as UTF-8. The content type stays the event's unless a header sets it.
    #[must_use]
    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.body = Body::Text(text.into());
        self
    }

    /// Sends these bytes. The content type stays the event's unless a header sets it.
    #[must_use]
    pub fn bytes(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.body = Body::Bytes(bytes.into());
        self
    }

    /// Sends the event's body changed by a JSON merge patch (RFC 7396): fields that are `null` in the patch go, the
    /// others are added or replaced. What the patch doesn't name keeps its exact bytes, and the event isn't copied into
    /// the plugin, so this is the fastest way to change a few fields of a large event.
    ///
    /// # Errors
    /// Where the value is none that JSON can express.
    pub fn merge_patch<T: Serialize + ?Sized>(mut self, patch: &T) -> Result<Self> {
        self.body = Body::Patch(json::text(patch)?);
        Ok(self)
    }

    /// Sends the event's body as it came, as a new request does.
    #[must_use]
    pub fn original(mut self) -> Self {
        self.body = Body::Original;
        self
    }

    /// Names this request among the several that one event became: the key becomes a part of the `webhook-id`.
    /// Letters, digits, `-`, `_` and `.`, at most 256 of them.
    #[must_use]
    pub fn part_key(mut self, key: impl Into<String>) -> Self {
        self.part_key = Some(key.into());
        self
    }

    /// The last value set for a header, whatever its case: for tests.
    #[must_use]
    pub fn header_value(&self, name: &str) -> Option<&str> {
        self.headers.iter().rev().find_map(|header| match header {
            Header::Set { name: set, value } | Header::Append { name: set, value } => {
                set.eq_ignore_ascii_case(name).then_some(value.as_str())
            }
            Header::Secret { .. } | Header::Remove { .. } => None,
        })
    }
}

impl Body {
    /// The text of a [`Body::Text`] or a [`Body::Patch`].
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Patch(text) => Some(text),
            Self::Original | Self::Bytes(_) => None,
        }
    }

    /// The text of a [`Body::Text`] or a [`Body::Patch`], read as JSON: for tests.
    ///
    /// # Errors
    /// Where there is no text, or none that is a `T` in JSON.
    pub fn json<'body, T: Deserialize<'body>>(&'body self) -> Result<T> {
        Ok(serde_json::from_str(self.text().unwrap_or_default())?)
    }
}
