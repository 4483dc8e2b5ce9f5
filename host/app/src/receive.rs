//! The first bow where it begins at a provider: verified, known if it is a repeat, turned into events, committed.
//!
//! What a repeat is says the source: a key of the request. It is committed *with* the event, as its uid or beside it as
//! an idempotency key, so that a request which was not stored (the queue was full, the disk was) has burned nothing,
//! and one which was stored in part is completed by its repeat. A signature that does not cover the body is bound to
//! the first body that it came with before anything else happens.
//!
//! Who asks without a signature whether anybody is there is answered before a signature is looked for
//! ([`handshake`](mod@handshake)). A source's plugin may answer such a `GET` too; what else it makes of it is not taken.

mod failures;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use hookmill_core::delivery::TransformFailure;
use hookmill_core::event::{Channels, ContentType};
use hookmill_core::id::SourceId;
use hookmill_core::inbound::handshake::{self, Answer, Greeting};
use hookmill_core::inbound::{self, Dedupe, Refusal, SignedRequest, Verifier};
use hookmill_core::json::without_byte_order_mark;
use hookmill_core::plugin::{InboundRequest, PluginBinding, SourceEvent, SourceReply, SourceVerdict};
use hookmill_core::port::plugins::SourceRun;
use hookmill_core::port::store::{Change, IdempotencyKey, RememberedAnswer, StoreError};
use hookmill_core::source::{EventTypeFrom, Intake, Source, SourceState, Verification};
use hookmill_core::time::{Moment, UnixMillis};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use sha2::{Digest, Sha256};

use crate::ingest::{Identity, Incoming};
use crate::{App, AppError, ErrorKind};

pub use failures::SourceFailure;
pub(crate) use failures::SourceFailures;

/// When a provider should try again after a plugin could not run.
const RETRY_PLUGIN: Duration = Duration::from_secs(30);

/// A request that may be believed.
struct Authentic {
    /// The source's key for it, where it has one.
    key: Option<String>,
    /// What its signature is known by, where that does not cover the body.
    unbound_signature: Option<String>,
    /// What a handshake wants to have back.
    answer: Option<Answer>,
    /// The event that its body is, where no plugin is asked.
    event: Option<SourceEvent>,
}

/// What a request is, as far as its signature tells.
enum Examined {
    /// It may be believed.
    Authentic(Box<Authentic>),
    /// It asks whether anybody is there, and is answered so.
    Greeted(Answer),
    /// It has no signature and no body: a plugin may answer it. Otherwise this does, or why it is refused.
    Unsigned(Result<Answer, AppError>),
}

impl App {
    /// Takes one request to a source; answers what the provider is to get, after all of its events are durable.
    ///
    /// # Errors
    /// No such source or a disabled one, a request that is not to be believed or not understood, a full queue or disk.
    pub async fn receive(&self, source: &str, request: InboundRequest) -> Result<SourceReply, AppError> {
        self.receive_encoded(source, request, None).await
    }

    /// The same for a request whose body was encoded when it was sent: `as_sent` are those bytes. A signature may be over
    /// them or over what they encode.
    ///
    /// # Errors
    /// As [`receive`](Self::receive).
    pub async fn receive_encoded(
        &self,
        source: &str,
        request: InboundRequest,
        as_sent: Option<Bytes>,
    ) -> Result<SourceReply, AppError> {
        let Moment { wall: now, steady } = self.moment();
        let source =
            self.table().source_named(source).cloned().ok_or_else(|| AppError::not_found("source"))?;
        if source.state == SourceState::Disabled {
            return Err(AppError::new(ErrorKind::Forbidden, "source_disabled", "this source is disabled"));
        }
        let authentic = match examine(&source, &request, as_sent.as_ref(), Moment { wall: now, steady })? {
            Examined::Authentic(authentic) => *authentic,
            Examined::Greeted(answer) => return Ok(reply(answer)),
            Examined::Unsigned(otherwise) => return self.ask_plugin(&source, request, now, otherwise).await,
        };
        let body_hash: [u8; 32] = Sha256::digest(&request.body).into();
        // It is no part of JSON, and after the signature nobody needs it.
        let request = InboundRequest { body: without_byte_order_mark(&request.body), ..request };
        if let Some(signature) = &authentic.unbound_signature {
            self.bind_signature(scoped(&source, "signature", signature), body_hash, steady).await?;
        }
        if let Some(answer) = authentic.answer {
            return Ok(reply(answer));
        }
        let key = authentic.key.as_deref();
        let arrivals: Vec<(Incoming, Identity)> = match (&source.intake, authentic.event) {
            (Intake::Plugin(used), _) => match self.shape(&source, used, request, now).await? {
                SourceVerdict::Accept(events) => events
                    .into_iter()
                    .enumerate()
                    .map(|(index, event)| arrival(&source, event, key, Some(index), body_hash))
                    .collect(),
                SourceVerdict::Reply(reply) => return Ok(reply),
                SourceVerdict::Reject(reason) => {
                    tracing::info!(source = %source.name, reason, "a source's plugin rejected a request");
                    return Err(AppError::invalid(
                        "request_rejected",
                        "this source does not take this request",
                    ));
                }
            },
            (Intake::AsItIs(_), event) => {
                event.into_iter().map(|event| arrival(&source, event, key, None, body_hash)).collect()
            }
        };
        self.take_all(&source, arrivals).await?;
        Ok(SourceReply { status: source.success.get(), headers: HeaderMap::new(), body: Bytes::new() })
    }

    /// What a source's plugin said when it last made nothing of a request, since this process began.
    #[must_use]
    pub fn source_failure(&self, source: SourceId) -> Option<SourceFailure> {
        self.source_failures.of(source)
    }

    /// Stores events in one commit, if the writer takes them together. A repeat of an event is taken as stored, also
    /// where a plugin makes another thing of the same request today.
    async fn take_all(&self, source: &Source, arrivals: Vec<(Incoming, Identity)>) -> Result<(), AppError> {
        let routes = self.table().applications.get(&source.application).cloned();
        let routes = routes.ok_or_else(|| AppError::not_found("source"))?;
        let taking =
            arrivals.into_iter().map(|(incoming, identity)| self.take(&routes, incoming, identity, None));
        join_all(taking).await.into_iter().try_for_each(|taken| taken.map(drop))
    }

    /// Binds a signature that does not cover the body to this body, so that who saw it once can't use it for another.
    async fn bind_signature(
        &self,
        key: IdempotencyKey,
        body_hash: [u8; 32],
        at: UnixMillis,
    ) -> Result<(), AppError> {
        let answer = RememberedAnswer { fingerprint: body_hash, status: 200, body: Bytes::new(), at };
        match self.store.apply(vec![Change::Remember(key, answer)]).await {
            Ok(()) => return Ok(()),
            Err(StoreError::Conflict { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        let first = self.store.remembered(key).await?;
        if first.is_some_and(|first| first.fingerprint == body_hash) {
            return Ok(());
        }
        let message =
            "this signature came with another body before; it does not cover the body, so it counts once";
        Err(AppError::new(ErrorKind::Unauthenticated, "signature_reused", message))
    }

    /// Lets the source's plugin answer a request that nobody signed. Whatever else it makes of it is not taken.
    async fn ask_plugin(
        &self,
        source: &Source,
        request: InboundRequest,
        now: UnixMillis,
        otherwise: Result<Answer, AppError>,
    ) -> Result<SourceReply, AppError> {
        let Intake::Plugin(used) = &source.intake else { return otherwise.map(reply) };
        match self.shape(source, used, request, now).await? {
            SourceVerdict::Reply(reply) => Ok(reply),
            SourceVerdict::Accept(_) | SourceVerdict::Reject(_) => otherwise.map(reply),
        }
    }

    /// Shows the request to the source's plugin.
    async fn shape(
        &self,
        source: &Source,
        used: &PluginBinding,
        request: InboundRequest,
        now: UnixMillis,
    ) -> Result<SourceVerdict, AppError> {
        let current = used.pinned.or_else(|| self.table().current_version(&used.plugin));
        let digest = current.ok_or_else(|| unshaped(source, "plugin_missing", "there is no such plugin"))?;
        let run = SourceRun {
            digest,
            application: source.application,
            source: source.name.shared(),
            request: Arc::new(request),
            settings: Arc::clone(&used.settings),
            secrets: Arc::clone(&used.secrets),
            now,
        };
        let report = self.run_source(run).await;
        let said = match &report.result {
            Ok(SourceVerdict::Accept(_) | SourceVerdict::Reply(_)) => None,
            Ok(SourceVerdict::Reject(reason)) => Some(("request_rejected", reason.clone())),
            Err(failure) => Some((failure.code(), failure.detail().to_owned())),
        };
        if let Some((code, detail)) = said {
            let failure = SourceFailure { at: now, code, detail, logs: report.logs };
            self.source_failures.note(source.id, failure);
        }
        report.result.map_err(|failure: TransformFailure| unshaped(source, failure.code(), failure.detail()))
    }
}

/// Believes a request or not, and reads what the rest needs to know of it.
fn examine(
    source: &Source,
    request: &InboundRequest,
    as_sent: Option<&Bytes>,
    now: Moment,
) -> Result<Examined, AppError> {
    let url = source.called_url(&request.path, &request.query);
    let signed = SignedRequest::new(&request.method, &url, &request.headers, &request.body);
    let believed = believe(source, &signed, as_sent, now);
    let verifier = source.verification.verifier();
    let is_unsigned = verifier.is_none() || matches!(believed, Err(Refusal::SignatureMissing { .. }));
    if is_unsigned && let Some(greeted) = greet(source, request, &signed, &believed)? {
        return Ok(greeted);
    }
    believed.map_err(|refusal| refused(&refusal))?;
    let answer = match &source.verification {
        Verification::None => None,
        Verification::Signed { verifier, secrets } => {
            handshake::handshake(verifier, secrets.current(), &signed)
        }
    };
    let event = match &source.intake {
        Intake::AsItIs(from) if answer.is_none() => Some(as_it_is(source, from, request, &signed)?),
        Intake::AsItIs(_) | Intake::Plugin(_) => None,
    };
    let unbound = verifier.filter(|verifier| !verifier.covers_body());
    let unbound_signature = unbound.and_then(|verifier| Dedupe::Provider.key(Some(verifier), &signed));
    let key = source.dedupe.key(verifier, &signed);
    Ok(Examined::Authentic(Box::new(Authentic { key, unbound_signature, answer, event })))
}

/// Whether one of the source's secrets signed the request: the bytes that were sent, or what they encode.
fn believe(
    source: &Source,
    signed: &SignedRequest<'_>,
    as_sent: Option<&Bytes>,
    now: Moment,
) -> Result<(), Refusal> {
    let Verification::Signed { verifier, secrets } = &source.verification else { return Ok(()) };
    let secrets: Vec<_> = secrets.active(now.steady).collect();
    let window = source.replay_window.get();
    if handshake::could_be_token(verifier, signed.body) {
        return Err(Refusal::BodyNotSigned);
    }
    if let Some(sent) = as_sent {
        let encoded = SignedRequest::new(signed.method, signed.url, signed.headers, sent);
        if inbound::verify(verifier, &secrets, &encoded, now.wall, window).is_ok() {
            return Ok(());
        }
    }
    inbound::verify(verifier, &secrets, signed, now.wall, window)
}

/// What becomes of a request without a signature that asks whether anybody is there; nothing where it asks something else.
fn greet(
    source: &Source,
    request: &InboundRequest,
    signed: &SignedRequest<'_>,
    believed: &Result<(), Refusal>,
) -> Result<Option<Examined>, AppError> {
    let has_plugin = matches!(source.intake, Intake::Plugin(_));
    let token = source.verify_token.as_ref();
    let greeting = handshake::greeting(signed, &request.query, token, has_plugin);
    let greeting = greeting.map_err(|refusal| refused(&refusal))?;
    // Slack signs what it asks as well.
    let signs_all =
        source.verification.verifier() == Some(&Verifier::Slack) && request.method == Method::POST;
    let greeting = greeting.filter(|_| !signs_all);
    if let Verification::Signed { verifier, secrets } = &source.verification
        && let Some(answer) = handshake::twitter_check(verifier, secrets.current(), signed, &request.query)
    {
        return Ok(Some(Examined::Greeted(answer)));
    }
    let is_bodiless = request.method == Method::GET && request.body.is_empty();
    Ok(match (greeting, believed) {
        (Some(Greeting { answer, is_certain }), _) if is_certain || !has_plugin => {
            Some(Examined::Greeted(answer))
        }
        // Of a source that verifies nothing the plugin may make events as well.
        (greeting, Err(refusal)) if has_plugin && is_bodiless => {
            let answer = greeting.map(|greeting| greeting.answer).ok_or_else(|| refused(refusal));
            Some(Examined::Unsigned(answer))
        }
        (Some(Greeting { answer, .. }), Err(_)) => Some(Examined::Greeted(answer)),
        (Some(_) | None, _) => None,
    })
}

fn as_it_is(
    source: &Source,
    from: &EventTypeFrom,
    request: &InboundRequest,
    signed: &SignedRequest<'_>,
) -> Result<SourceEvent, AppError> {
    if request.method == Method::GET {
        let message = "a GET has no body to make an event of; only a source with a plugin takes one";
        return Err(AppError::new(ErrorKind::Invalid, "method_unusable", message));
    }
    let content_type = match request.headers.get(CONTENT_TYPE) {
        None => ContentType::json(),
        Some(value) => value.to_str().ok().and_then(|text| text.parse().ok()).ok_or_else(|| {
            AppError::invalid("content_type_invalid", "the content type is no text of a header")
        })?,
    };
    Ok(SourceEvent {
        event_type: source.event_type(from, signed),
        uid: None,
        channels: Channels::default(),
        content_type,
        body: without_byte_order_mark(&request.body),
    })
}

/// An event with what makes it a repeat: what the plugin calls it, and the request's key with its place in it. Both
/// count within the source only.
fn arrival(
    source: &Source,
    event: SourceEvent,
    key: Option<&str>,
    index: Option<usize>,
    body_hash: [u8; 32],
) -> (Incoming, Identity) {
    let (uid, idempotency_key) = match (event.uid, key) {
        (None, None) => (None, None),
        (None, Some(key)) => (Some(source.event_uid(key, index)), None),
        (Some(uid), None) => (Some(source.event_uid(uid.as_str(), None)), None),
        (Some(uid), Some(key)) => {
            let place = format!("{} {key}", index.unwrap_or_default());
            (Some(source.event_uid(uid.as_str(), None)), Some(scoped(source, "event", &place)))
        }
    };
    let incoming = Incoming {
        event_type: event.event_type,
        uid,
        channels: event.channels,
        endpoint: None,
        ordering_key: None,
        content_type: event.content_type,
        body: event.body,
        idempotency_key: None,
    };
    (incoming, Identity { idempotency_key, fingerprint: body_hash })
}

fn scoped(source: &Source, purpose: &str, key: &str) -> IdempotencyKey {
    let digest = Sha256::new()
        .chain_update(b"source\0")
        .chain_update(source.id.to_bytes())
        .chain_update(purpose)
        .chain_update(b"\0")
        .chain_update(key)
        .finalize();
    IdempotencyKey(digest.into())
}

/// No browser makes a page of it: what was sent goes back as plain text, or as JSON.
fn reply(answer: Answer) -> SourceReply {
    let mut headers = HeaderMap::new();
    let body = match answer {
        Answer::Empty => Bytes::new(),
        Answer::Text(text) => {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
            text.into()
        }
        Answer::Json(value) => {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            value.to_string().into()
        }
        Answer::Allowed => {
            headers.insert("webhook-allowed-origin", HeaderValue::from_static("*"));
            headers.insert("webhook-allowed-rate", HeaderValue::from_static("*"));
            Bytes::new()
        }
    };
    SourceReply { status: StatusCode::OK, headers, body }
}

fn refused(refusal: &Refusal) -> AppError {
    let is_other = *refusal == Refusal::VerifyTokenMismatch;
    let kind = if is_other { ErrorKind::Forbidden } else { ErrorKind::Unauthenticated };
    AppError::new(kind, refusal.code(), refusal.to_string())
}

/// The provider is asked to come back; what is wrong is the operator's business.
fn unshaped(source: &Source, code: &'static str, detail: &str) -> AppError {
    tracing::warn!(source = %source.name, code, detail, "a source's plugin failed; the provider was asked to retry");
    let message = "this source can't read requests at the moment; nothing was stored, send it again later";
    AppError::new(ErrorKind::Busy(RETRY_PLUGIN), "source_plugin_failed", message)
}
