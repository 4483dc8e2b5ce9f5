//! One inbound address for one provider: who may send, what makes a repeat, what becomes of a request.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, StatusCode};
use sha2::{Digest, Sha256};
use thiserror::Error;
use url::Url;

use crate::event::Name;
use crate::id::{ApplicationId, SourceId};
use crate::inbound::{Dedupe, JsonPointer, SignedRequest, Verifier};
use crate::limits::NAME_CHARS_MAX;
use crate::plugin::{PluginBinding, Secret};
use crate::signature::{RotatingKeys, TIMESTAMP_TOLERANCE_DEFAULT};
use crate::time::UnixMillis;

/// Characters of a source's name.
pub const SOURCE_NAME_CHARS_MAX: usize = 64;
/// Bytes of a source's public address.
const PUBLIC_URL_BYTES_MAX: usize = 1024;
/// The widest replay window: wider than any provider's retries of one signature.
const REPLAY_WINDOW_MAX: Duration = Duration::from_secs(24 * 3600);

/// One inbound address for one provider. Feeds one application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Made by the router.
    pub id: SourceId,
    /// What its address ends with, unique in the installation.
    pub name: SourceName,
    /// Where its events go.
    pub application: ApplicationId,
    /// For people.
    pub description: String,
    /// Whether it takes requests.
    pub state: SourceState,
    /// Who may send.
    pub verification: Verification,
    /// What Meta has to know when it asks whether anybody is there (`hub.verify_token`).
    pub verify_token: Option<Secret>,
    /// Its address as the provider calls it, for signatures that cover it.
    pub public_url: Option<PublicUrl>,
    /// How far a signed time may lie from now.
    pub replay_window: ReplayWindow,
    /// What makes a request a repeat.
    pub dedupe: Dedupe,
    /// What a request is answered whose events are stored.
    pub success: SuccessStatus,
    /// What becomes of a request.
    pub intake: Intake,
    /// When it was created.
    pub created_at: UnixMillis,
    /// When it was last changed.
    pub updated_at: UnixMillis,
}

/// Whether a source takes requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceState {
    /// It does.
    Enabled,
    /// It refuses them.
    Disabled,
}

/// Who may send to a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verification {
    /// Whoever knows the address, for providers that sign nothing.
    None,
    /// Whoever signs with one of the secrets.
    Signed {
        /// How.
        verifier: Verifier,
        /// With what.
        secrets: RotatingKeys<Secret>,
    },
}

/// What becomes of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Intake {
    /// Its body is the event.
    AsItIs(EventTypeFrom),
    /// A plugin makes the events.
    Plugin(PluginBinding),
}

/// Where an event that is a request's body has its type from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum EventTypeFrom {
    /// The source's name and `.received`.
    #[default]
    Source,
    /// It is always this.
    Constant(Name),
    /// A header says it.
    Header(HeaderName),
    /// The body says it, which is JSON.
    Pointer(JsonPointer),
}

impl Verification {
    /// How requests are signed, where they are.
    #[must_use]
    pub fn verifier(&self) -> Option<&Verifier> {
        match self {
            Self::None => None,
            Self::Signed { verifier, .. } => Some(verifier),
        }
    }

    /// Whether the address must be known.
    #[must_use]
    pub fn covers_url(&self) -> bool {
        self.verifier().is_some_and(Verifier::covers_url)
    }
}

impl Source {
    /// The address that the provider called, as far as the source knows its own; what follows it stays as it came.
    #[must_use]
    pub fn called_url(&self, path: &str, query: &str) -> String {
        let Some(PublicUrl(base)) = &self.public_url else { return String::new() };
        if query.is_empty() { format!("{base}{path}") } else { format!("{base}{path}?{query}") }
    }

    /// The type of an event that is this request's body. Characters that no name has become full stops; a request
    /// that names no type has the source's own.
    #[must_use]
    pub fn event_type(&self, from: &EventTypeFrom, request: &SignedRequest<'_>) -> Name {
        let named = match from {
            EventTypeFrom::Source => None,
            EventTypeFrom::Constant(name) => return name.clone(),
            EventTypeFrom::Header(name) => request.header(name).map(str::to_owned),
            EventTypeFrom::Pointer(pointer) => request.json_text(pointer.as_str()),
        };
        let allowed = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_' | '.' | ':');
        let cleaned = named.map(|text| text.replace(|char| !allowed(char), "."));
        cleaned.and_then(|text| text.parse().ok()).unwrap_or_else(|| {
            format!("{}.received", self.name.local(self.application))
                .parse()
                .expect("a source's name is shorter than a name may be")
        })
    }

    /// The uid of an event that a request with this key becomes, so that a repeat becomes the same event: the key
    /// within the source, and where a plugin makes several events of a request, which of them it is. A key that is no
    /// name is hashed.
    #[must_use]
    pub fn event_uid(&self, key: &str, index: Option<usize>) -> Name {
        let index = index.map(|index| format!(".{index}")).unwrap_or_default();
        let readable = format!("{}.{key}{index}", self.name).parse();
        readable.unwrap_or_else(|_| {
            let hashed = format!("{}.{}{index}", self.name, hex::encode(Sha256::digest(key)));
            hashed.parse().expect("a source's name, a digest and a number are a name")
        })
    }
}

/// What a source's address ends with: lowercase letters, digits and `-`, beginning with a letter or digit.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceName(Arc<str>);

/// Text that is no source's name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "a source's name has 1 to {SOURCE_NAME_CHARS_MAX} characters of `a-z 0-9 -` and does not begin with `-`"
)]
pub struct InvalidSourceName;

impl SourceName {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text, to keep.
    #[must_use]
    pub fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }
}

impl SourceName {
    /// The name of a source that an application makes for itself: `qualifier-local`, where the qualifier is the application's
    /// id. Names without one are the operator's to give, so no tenant takes `github` from another.
    ///
    /// # Errors
    /// A local name that is too long beside the qualifier.
    pub fn of_application(application: ApplicationId, local: &Self) -> Result<Self, InvalidSourceName> {
        format!("{}{local}", qualifier(application)).parse()
    }

    /// What the name says within its application.
    #[must_use]
    pub fn local(&self, application: ApplicationId) -> &str {
        self.0.strip_prefix(qualifier(application).as_str()).unwrap_or(&self.0)
    }
}

/// The part of the application's id that a source's name may have, and a hyphen.
fn qualifier(application: ApplicationId) -> String {
    let id = application.to_string();
    format!("{}-", id.split_once('_').map_or(id.as_str(), |(_, id)| id))
}

impl FromStr for SourceName {
    type Err = InvalidSourceName;

    fn from_str(text: &str) -> Result<Self, InvalidSourceName> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let valid = (1..=SOURCE_NAME_CHARS_MAX).contains(&text.len())
            && !text.starts_with('-')
            && text.bytes().all(allowed);
        if valid { Ok(Self(text.into())) } else { Err(InvalidSourceName) }
    }
}

impl fmt::Display for SourceName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for SourceName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, formatter)
    }
}

/// A source's address as the provider calls it, up to the source's name. Kept as it was written, since a signature
/// covers its very text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl(Box<str>);

/// Text that is no public address.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "a public address is an http or https URL of at most {PUBLIC_URL_BYTES_MAX} bytes without user, query and fragment, \
     such as https://hooks.example.com/in/twilio"
)]
pub struct InvalidPublicUrl;

impl PublicUrl {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PublicUrl {
    type Err = InvalidPublicUrl;

    fn from_str(text: &str) -> Result<Self, InvalidPublicUrl> {
        let written_plainly =
            text.len() <= PUBLIC_URL_BYTES_MAX && text.bytes().all(|byte| byte.is_ascii_graphic());
        let url = Url::parse(text).map_err(|_| InvalidPublicUrl)?;
        let bare = url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        let web = matches!(url.scheme(), "http" | "https");
        if written_plainly && bare && web { Ok(Self(text.into())) } else { Err(InvalidPublicUrl) }
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// How far a signed time may lie from now, both ways: 1 second to a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplayWindow(Duration);

/// A window that is no window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a replay window is 1 to {} seconds", REPLAY_WINDOW_MAX.as_secs())]
pub struct InvalidReplayWindow;

impl ReplayWindow {
    /// Takes whole seconds.
    ///
    /// # Errors
    /// None, or more than a day.
    pub fn from_secs(secs: u64) -> Result<Self, InvalidReplayWindow> {
        let valid = (1..=REPLAY_WINDOW_MAX.as_secs()).contains(&secs);
        if valid { Ok(Self(Duration::from_secs(secs))) } else { Err(InvalidReplayWindow) }
    }

    /// The window.
    #[must_use]
    pub fn get(self) -> Duration {
        self.0
    }
}

impl Default for ReplayWindow {
    fn default() -> Self {
        Self(TIMESTAMP_TOLERANCE_DEFAULT)
    }
}

/// A status that tells a provider not to send again: 200 to 299.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SuccessStatus(StatusCode);

/// A status that no provider takes as success.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a source answers success with 200 to 299")]
pub struct InvalidSuccessStatus;

impl SuccessStatus {
    /// Takes a status of success.
    ///
    /// # Errors
    /// Any other status.
    pub fn new(status: u16) -> Result<Self, InvalidSuccessStatus> {
        let status = StatusCode::from_u16(status).ok().filter(StatusCode::is_success);
        status.map(Self).ok_or(InvalidSuccessStatus)
    }

    /// What a provider expects. Twilio would take an empty 200 to a message as a document without content; 204 says
    /// that there is nothing to do.
    #[must_use]
    pub fn usual(verification: &Verification) -> Self {
        match verification.verifier() {
            Some(Verifier::Twilio) => Self(StatusCode::NO_CONTENT),
            Some(_) | None => Self(StatusCode::OK),
        }
    }

    /// The status.
    #[must_use]
    pub fn get(self) -> StatusCode {
        self.0
    }
}

const _: () = {
    assert!(SOURCE_NAME_CHARS_MAX + ".received".len() <= NAME_CHARS_MAX);
    assert!(
        SOURCE_NAME_CHARS_MAX + 64 + 2 + 20 <= NAME_CHARS_MAX,
        "name, digest, stops and index are a name"
    );
};

#[cfg(test)]
mod tests {
    #[test]
    fn an_application_names_its_own_sources_only() {
        let (one, other) = (ApplicationId::new(UnixMillis(7), 1), ApplicationId::new(UnixMillis(7), 2));
        let local: SourceName = "github".parse().unwrap();
        let own = SourceName::of_application(one, &local).unwrap();
        assert_ne!(own, local);
        assert_ne!(own, SourceName::of_application(other, &local).unwrap());
        assert_eq!((own.local(one), own.local(other)), ("github", own.as_str()));
        assert_eq!(local.local(one), "github");
        let long: SourceName = "a".repeat(SOURCE_NAME_CHARS_MAX).parse().unwrap();
        assert_eq!(SourceName::of_application(one, &long), Err(InvalidSourceName));
    }

    use http::{HeaderMap, Method};

    use super::*;
    use crate::test_values::source;

    #[test]
    fn names_are_parts_of_a_path() {
        let check =
            |text: &str, valid: bool| assert_eq!(text.parse::<SourceName>().is_ok(), valid, "{text:?}");
        check("stripe", true);
        check("9-lives", true);
        check(&"a".repeat(SOURCE_NAME_CHARS_MAX), true);
        check(&"a".repeat(SOURCE_NAME_CHARS_MAX + 1), false);
        check("", false);
        check("-a", false);
        check("Stripe", false);
        check("a.b", false);
        check("a/b", false);
    }

    #[test]
    fn public_addresses_are_kept_as_they_were_written() {
        let check = |text: &str, valid: bool| {
            let url = text.parse::<PublicUrl>().ok();
            assert_eq!(url.as_ref().map(PublicUrl::as_str), valid.then_some(text), "{text}");
        };
        check("https://hooks.example.com/in/twilio", true);
        check("http://Hooks.Example.com:80/a%20b/in/twilio", true);
        check("https://user@hooks.example.com/", false);
        check("https://hooks.example.com/?a=1", false);
        check("https://hooks.example.com/#a", false);
        check("ftp://hooks.example.com/", false);
        check("hooks.example.com", false);
        check(" https://hooks.example.com/", false);
        check(&format!("https://hooks.example.com/{}", "a".repeat(PUBLIC_URL_BYTES_MAX)), false);
    }

    #[test]
    fn the_called_address_is_the_public_one_with_what_followed() {
        let mut source = source("twilio");
        assert_eq!(source.called_url("/x", "a=1"), "");
        source.public_url = Some("https://a.example/in/twilio".parse().unwrap());
        assert_eq!(source.called_url("", ""), "https://a.example/in/twilio");
        assert_eq!(source.called_url("/x/", "a=%20"), "https://a.example/in/twilio/x/?a=%20");
    }

    #[test]
    fn an_event_has_its_type_from_where_the_source_says() {
        let headers = HeaderMap::from_iter([
            ("x-topic".parse().unwrap(), "orders/create".parse().unwrap()),
            ("x-event".parse().unwrap(), "whatsapp:message:in".parse().unwrap()),
            ("x-long".parse().unwrap(), "a".repeat(NAME_CHARS_MAX + 1).parse().unwrap()),
        ]);
        let body = br#"{"type": "invoice.paid", "n": 7, "o": {}}"#;
        let check = |from: EventTypeFrom, expect: &str| {
            let request = SignedRequest::new(&Method::POST, "", &headers, body);
            assert_eq!(source("shop").event_type(&from, &request).as_str(), expect, "{from:?}");
        };
        let header = |name: &str| EventTypeFrom::Header(name.parse().unwrap());
        let pointer = |text: &str| EventTypeFrom::Pointer(text.parse().unwrap());
        check(EventTypeFrom::Source, "shop.received");
        check(EventTypeFrom::Constant("a.b".parse().unwrap()), "a.b");
        check(header("x-topic"), "orders.create");
        check(header("x-event"), "whatsapp:message:in");
        check(header("x-none"), "shop.received");
        check(header("x-long"), "shop.received");
        check(pointer("/type"), "invoice.paid");
        check(pointer("/n"), "7");
        check(pointer("/o"), "shop.received");
    }

    #[test]
    fn uids_tell_sources_keys_and_events_apart() {
        let check = |key: &str, index: Option<usize>, expect: &str| {
            assert_eq!(source("shop").event_uid(key, index).as_str(), expect);
        };
        check("72d3162e-cc78", None, "shop.72d3162e-cc78");
        check("evt_1", Some(3), "shop.evt_1.3");
        let digest = hex::encode(Sha256::digest("a key with spaces"));
        check("a key with spaces", Some(0), &format!("shop.{digest}.0"));
        assert_eq!(
            source("shop").event_uid(&"k".repeat(300), Some(99)).as_str().len(),
            "shop.".len() + 64 + 3
        );
    }

    #[test]
    fn windows_and_statuses_are_bounded() {
        for (secs, valid) in [(0, false), (1, true), (86_400, true), (86_401, false), (u64::MAX, false)] {
            assert_eq!(ReplayWindow::from_secs(secs).is_ok(), valid, "{secs}");
        }
        for (status, valid) in [(199, false), (200, true), (204, true), (299, true), (301, false), (7, false)]
        {
            assert_eq!(SuccessStatus::new(status).is_ok(), valid, "{status}");
        }
    }
}
