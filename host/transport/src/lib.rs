//! Deliveries to foreign hosts through a guarded connector.
//!
//! [`HttpTransport`] sends one request at a time for whoever calls it, over connections that it keeps ([`pool`]).
//! New ones come from the connector ([`connect`]), the only code of the server that opens a client socket; it asks
//! the address policy about every address before it dials and again after. What a connection speaks, HTTP/1.1
//! ([`http1`]) or HTTP/2 ([`http2`]), was agreed in the TLS handshake.
//!
//! One deadline covers everything from the lookup of the name to the last byte of the body, so no receiver can hold
//! an attempt for longer by being slow in a new way. Which phase it ended in is the class of the failure
//! ([`failure`]). A response whose head came but whose body did not end in time is a failure, whatever its status:
//! the receiver did not finish its answer. A body over the limit is cut there and counts as complete, since the
//! receiver had said all that is kept; its connection is closed, for the rest would have to be read first.
//!
//! By construction there are no redirects, cookies, decompression or proxies: nothing here knows of them.

mod connect;
mod failure;
mod heard;
mod http1;
mod http2;
pub mod limits;
mod pool;
mod resolve;
mod tls;

use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use hookmill_core::address::{AddressPolicy, DeliveryUrl};
use hookmill_core::attempt::{Failure, Outcome, TransportFailure};
use hookmill_core::limits::RESPONSE_BODY_BYTES_MAX;
use hookmill_core::port::{Clock, PortFuture, Transport};
use hookmill_core::request::OutgoingRequest;
use hookmill_core::retry::RetryAfter;
use http::header::{CONTENT_LENGTH, HOST, HeaderName, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri};
use http_body::Body as _;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use rustls::pki_types::CertificateDer;
use thiserror::Error;
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};
use url::Position;

pub use resolve::{LookupFailed, Resolve, SystemResolver};

use crate::connect::Connector;
use crate::failure::{Obstacle, Phase, exchange_failed};
use crate::heard::Place;
use crate::http1::{Http1, Message, Seen, Unanswered};
use crate::http2::Http2;
use crate::limits::{
    CLOSED_AT_ONCE, CONNECT_TIMEOUT_DEFAULT, CONNECTIONS_MAX_DEFAULT, IDLE_TIMEOUT, IDLE_TIMEOUT_MARGIN,
    RESENDS_MAX, SWEEP_INTERVAL,
};
use crate::pool::{Bounds, Line, Pool};
use crate::tls::Tls;

/// `Keep-Alive: timeout=5`, by which many servers announce when they close an idle connection.
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");

/// What a transport needs to know.
pub struct TransportConfig {
    /// Which addresses may be dialled.
    pub policy: AddressPolicy,
    /// Looks up names.
    pub resolver: Arc<dyn Resolve>,
    /// Reads dates in `Retry-After`.
    pub clock: Arc<dyn Clock>,
    /// From the lookup of a name to the end of the TLS handshake; an attempt's own timeout may be shorter.
    pub connect_timeout: Duration,
    /// Connections open at once, idle ones included: this machine's descriptors are not for deliveries alone.
    pub connections_max: usize,
    /// Certificate authorities to believe beside the machine's own.
    pub extra_roots: Vec<CertificateDer<'static>>,
}

/// Why there can be no transport.
#[derive(Debug, Error)]
pub enum TransportError {
    /// An additional certificate authority is malformed.
    #[error("an additional certificate authority can't be used: {0}")]
    ExtraRoot(#[source] rustls::Error),
}

/// Sends requests to foreign hosts.
pub struct HttpTransport {
    connector: Connector,
    clock: Arc<dyn Clock>,
    pool: Arc<Pool>,
    /// One for each connection that may be open.
    places: Arc<Semaphore>,
    sweeping: AbortHandle,
}

impl TransportConfig {
    /// The usual timeout and no additional authorities.
    #[must_use]
    pub fn new(policy: AddressPolicy, resolver: Arc<dyn Resolve>, clock: Arc<dyn Clock>) -> Self {
        Self {
            policy,
            resolver,
            clock,
            connect_timeout: CONNECT_TIMEOUT_DEFAULT,
            connections_max: CONNECTIONS_MAX_DEFAULT,
            extra_roots: Vec::new(),
        }
    }
}

impl HttpTransport {
    /// A transport without connections. Must be called within a tokio runtime with I/O and time, in which it keeps
    /// a task that looks after idle connections until the transport is dropped.
    ///
    /// # Errors
    ///
    /// If an additional certificate authority is malformed.
    pub fn new(config: TransportConfig) -> Result<Self, TransportError> {
        let TransportConfig { policy, resolver, clock, connect_timeout, connections_max, extra_roots } =
            config;
        let tls = Tls::new(&extra_roots)?;
        let pool = Arc::new(Pool::new(Bounds::default()));
        let sweeping = tokio::spawn(sweep(Arc::downgrade(&pool))).abort_handle();
        let connector = Connector { policy, resolver, tls, connect_timeout };
        let places = Arc::new(Semaphore::new(connections_max.min(Semaphore::MAX_PERMITS)));
        Ok(Self { connector, clock, pool, places, sweeping })
    }

    async fn attempt(&self, request: OutgoingRequest, timeout: Duration) -> Outcome {
        let mut phase = Phase::Dialling;
        let deadline = Instant::now() + timeout;
        match timeout_at(deadline, self.exchange(request, &mut phase)).await {
            Ok(Ok(answered)) => answered,
            Ok(Err(Obstacle::Receiver(failure))) => Outcome::Failed(failure),
            Ok(Err(Obstacle::Local(detail))) => Outcome::NotSent { detail },
            Err(_elapsed) => Outcome::Failed(phase.timed_out()),
        }
    }

    async fn exchange(&self, request: OutgoingRequest, phase: &mut Phase) -> Result<Outcome, Obstacle> {
        let OutgoingRequest { method, url, headers, body } = request;
        let is_empty = body.is_empty();
        let mut message = Request::new(Full::new(body));
        *message.headers_mut() = headers;
        if is_empty && matches!(method, Method::POST | Method::PUT | Method::PATCH) {
            // hyper says the length of a body, not of its absence, which these methods should (RFC 9110, 8.6).
            message.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        *message.method_mut() = method;
        let mut kept = self.pool.take(origin(&url), Instant::now());
        let mut resends = 0;
        loop {
            let was_kept = kept.is_some();
            let mut line = match kept.take() {
                Some(line) => line,
                None => self.open(&url, phase).await?,
            };
            *phase = Phase::AwaitingHead;
            let sent = Instant::now();
            let again = message.clone();
            let unanswered = match line.send(&url, message).await {
                Ok(response) => return Ok(self.read_answer(&url, line, response, phase).await?),
                Err(unanswered) => *unanswered,
            };
            if resends == RESENDS_MAX || !goes_again(&unanswered, was_kept, sent.elapsed()) {
                return Err(exchange_failed(&unanswered.error).into());
            }
            resends += 1;
            message = again;
        }
    }

    /// Opens a connection to the URL's host.
    async fn open(&self, url: &DeliveryUrl, phase: &mut Phase) -> Result<Line, Obstacle> {
        let place = self.place()?;
        let stream = self.connector.connect(url, phase).await?;
        let now = Instant::now();
        if !stream.speaks_http2() {
            let connection = Http1::begin(stream, place, host(url), now).await;
            return connection.map(Line::Http1).map_err(|error| exchange_failed(&error).into());
        }
        let connection = Http2::begin(stream, place, now).await.map_err(|error| exchange_failed(&error))?;
        let stream = self.pool.share(origin(url), connection, now);
        stream.map(Line::Http2).ok_or_else(|| {
            Failure::new(TransportFailure::ConnectionReset, "closed right after the TLS handshake").into()
        })
    }

    /// A place for one more connection; where all are taken, an idle one makes way.
    fn place(&self) -> Result<Place, Obstacle> {
        loop {
            if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
                return Ok(place);
            }
            if !self.pool.close_one_idle() {
                return Err(Obstacle::Local("as many connections to receivers are open as may be".into()));
            }
        }
    }

    async fn read_answer(
        &self,
        url: &DeliveryUrl,
        mut line: Line,
        response: Response<Incoming>,
        phase: &mut Phase,
    ) -> Result<Outcome, Failure> {
        let (head, body) = response.into_parts();
        let status = head.status.as_u16();
        if !(200..600).contains(&status) {
            let detail = format!("{status} is no final status of HTTP");
            return Err(Failure::new(TransportFailure::ProtocolError, &detail));
        }
        let retry_after = self.retry_after(&head.headers);
        let idle_max = idle_max(&head.headers);
        *phase = Phase::ReadingBody;
        let (body, is_complete) = read_body(&mut line, body).await?;
        match line {
            Line::Http1(connection) if is_complete => {
                self.pool.keep(origin(url), connection, idle_max, Instant::now());
            }
            Line::Http1(_) | Line::Http2(_) => {}
        }
        Ok(Outcome::Answered { status, retry_after, headers: head.headers, body })
    }

    fn retry_after(&self, headers: &HeaderMap) -> Option<Duration> {
        let value = headers.get(RETRY_AFTER)?.to_str().ok()?;
        RetryAfter::parse(value, self.clock.now())
    }
}

impl Transport for HttpTransport {
    fn send(&self, request: OutgoingRequest, timeout: Duration) -> PortFuture<'_, Outcome> {
        Box::pin(self.attempt(request, timeout))
    }
}

impl Drop for HttpTransport {
    fn drop(&mut self) {
        self.sweeping.abort();
    }
}

impl Line {
    /// Sends a request in the form that the protocol wants it, and reads the head of its response.
    async fn send(
        &mut self,
        url: &DeliveryUrl,
        mut message: Message,
    ) -> Result<Response<Incoming>, Box<Unanswered>> {
        match self {
            Self::Http1(connection) => {
                *message.uri_mut() = target(&url.as_url()[Position::BeforePath..]);
                message.headers_mut().insert(HOST, connection.host.clone());
                connection.send(message).await
            }
            Self::Http2(stream) => {
                // Its `:authority` takes the place of `host`.
                *message.uri_mut() = target(url.as_str());
                message.headers_mut().remove(HOST);
                stream.send(message).await
            }
        }
    }
}

/// Whether a request that got no answer is sent once more in the same attempt.
///
/// Where the receiver did nothing with it, surely. A kept connection that ends as soon as it is used was being closed by
/// its receiver already (RFC 9112, section 9.3.1); should the request have been read all the same, its receiver knows it
/// by its id, as it does every repeat.
fn goes_again(unanswered: &Unanswered, was_kept: bool, after: Duration) -> bool {
    match unanswered.seen {
        Seen::Refused => true,
        _ if unanswered.unsent.is_some() => was_kept,
        Seen::Closed => was_kept && after <= CLOSED_AT_ONCE,
        Seen::Perhaps => false,
    }
}

/// Looks after the connections of a pool until it is gone.
async fn sweep(pool: Weak<Pool>) {
    loop {
        tokio::time::sleep(SWEEP_INTERVAL).await;
        let Some(pool) = pool.upgrade() else { return };
        pool.sweep(Instant::now());
    }
}

/// Reads a body up to the limit; `false` where it would have gone on.
async fn read_body(line: &mut Line, mut body: Incoming) -> Result<(Bytes, bool), Failure> {
    let mut kept = Vec::new();
    while !body.is_end_stream() {
        let frame = match line {
            Line::Http1(connection) => connection.read(&mut body).await,
            Line::Http2(_) => body.frame().await,
        };
        let Some(frame) = frame else { break };
        let frame = frame.map_err(|error| exchange_failed(&error))?;
        // Trailers say nothing to a webhook.
        let Ok(data) = frame.into_data() else { continue };
        let room = RESPONSE_BODY_BYTES_MAX - kept.len();
        kept.extend_from_slice(&data[..data.len().min(room)]);
        if data.len() > room {
            return Ok((kept.into(), false));
        }
    }
    Ok((kept.into(), true))
}

/// How long the receiver lets a connection be idle, less a margin.
fn idle_max(headers: &HeaderMap) -> Duration {
    let announced = headers.get(KEEP_ALIVE).and_then(|value| value.to_str().ok()).and_then(|value| {
        let seconds = value.split(',').find_map(|parameter| parameter.trim().strip_prefix("timeout="))?;
        seconds.trim().parse().ok().map(Duration::from_secs)
    });
    announced
        .map_or(IDLE_TIMEOUT, |announced| announced.saturating_sub(IDLE_TIMEOUT_MARGIN).min(IDLE_TIMEOUT))
}

/// What connections are kept by: scheme, host and port in their one normal spelling.
fn origin(url: &DeliveryUrl) -> &str {
    &url.as_url()[..Position::BeforePath]
}

fn host(url: &DeliveryUrl) -> HeaderValue {
    HeaderValue::from_str(&url.as_url()[Position::BeforeHost..Position::AfterPort])
        .expect("a parsed host and port are visible ASCII")
}

fn target(text: &str) -> Uri {
    Uri::from_maybe_shared(Bytes::copy_from_slice(text.as_bytes()))
        .expect("a delivery URL was read by this parser when it was made")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn believes_a_shorter_keep_alive() {
        let check = |value: &'static str, expect: u64| {
            let headers = HeaderMap::from_iter([(KEEP_ALIVE, HeaderValue::from_static(value))]);
            assert_eq!(idle_max(&headers), Duration::from_secs(expect), "{value}");
        };
        check("timeout=5", 4);
        check("timeout=5, max=100", 4);
        check("max=100, timeout=20", 19);
        check("timeout=1", 0);
        check("timeout=0", 0);
        check("timeout=3600", 30);
        check("timeout=soon", 30);
        check("max=100", 30);
        assert_eq!(idle_max(&HeaderMap::new()), IDLE_TIMEOUT);
    }

    #[test]
    fn splits_urls_as_each_protocol_wants_them() {
        let check = |text: &str, expect: (&str, &str, &str)| {
            let url = DeliveryUrl::parse(text).unwrap();
            let path = target(&url.as_url()[Position::BeforePath..]).to_string();
            let host = host(&url);
            assert_eq!((origin(&url), host.to_str().unwrap(), path.as_str()), expect);
            assert_eq!(target(url.as_str()).host(), url.as_url().host_str());
        };
        check("http://a.example", ("http://a.example", "a.example", "/"));
        check("https://A.example:443/x?y=z#f", ("https://a.example", "a.example", "/x?y=z"));
        check("http://[::1]:8080//x", ("http://[::1]:8080", "[::1]:8080", "//x"));
        check("http://0x7f.1:81/?q", ("http://127.0.0.1:81", "127.0.0.1:81", "/?q"));
        check("https://ü.example/ö", ("https://xn--tda.example", "xn--tda.example", "/%C3%B6"));
    }
}
