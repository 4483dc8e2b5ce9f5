//! The receivers: HTTP servers that do what receivers do, and write down what arrived.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use standardwebhooks::Webhook;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::systems::OwnSignature;
use crate::failure::{Exit, Failure};

/// Bytes of one delivery's body.
const BODY_BYTES_MAX: usize = 2 << 20;
/// Events that a [`Behaviour::FailsTwice`] receiver fails. Six failures are fewer than the ten in a row that make the
/// router leave an endpoint alone for a while.
const FAILED_EVENTS: usize = 3;
const FAILURES_PER_EVENT: u32 = 2;

/// What a receiver does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Behaviour {
    /// Answers 200.
    Works,
    /// Answers 500 twice to each of its first events, then 200.
    FailsTwice,
    /// Takes requests and does not answer, until it is woken.
    Hangs,
}

/// One receiver, which serves until it is dropped.
#[derive(Debug)]
pub(super) struct Receiver {
    address: SocketAddr,
    book: Arc<Book>,
    _serving: JoinSet<()>,
}

/// What arrived of one event.
#[derive(Debug, Clone, Default)]
pub(super) struct Arrival {
    /// Requests, the refused and the unanswered ones included.
    pub(super) requests: u32,
    /// Requests that were answered with 200; one more than needed is a duplicate.
    pub(super) accepted: u32,
    /// Requests whose signatures the reference verifier, or the check of the system's own, refused.
    pub(super) unverified: u32,
    /// The body that was accepted last.
    pub(super) body: Bytes,
    /// Whether it is one of the first events, which a [`Behaviour::FailsTwice`] receiver fails.
    is_among_first: bool,
}

/// What a receiver knows.
#[derive(Debug)]
struct Book {
    behaviour: Behaviour,
    /// Makes the verifier; none before the endpoint is registered.
    secret: Mutex<Option<String>>,
    /// What its system signs besides.
    own: Mutex<Option<OwnSignature>>,
    /// By `webhook-id`.
    arrivals: Mutex<HashMap<String, Arrival>>,
    /// How many events were accepted.
    accepted: watch::Sender<usize>,
    awake: watch::Sender<bool>,
    /// How many requests their caller gave up before they were answered.
    given_up: watch::Sender<u32>,
}

/// A request that is not answered yet; dropped before it is, it counts as given up.
struct Open<'book> {
    book: &'book Book,
    answered: bool,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        if !self.answered {
            self.book.given_up.send_modify(|given_up| *given_up += 1);
        }
    }
}

impl Receiver {
    /// Starts a receiver on a free port of this machine.
    ///
    /// # Errors
    /// When there is no free port.
    pub(super) async fn start(behaviour: Behaviour) -> Result<Self, Failure> {
        let failed = |error: std::io::Error| {
            Failure::new(Exit::Failed, "demo_receiver_failed", format!("a receiver can't listen: {error}"))
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let book = Arc::new(Book {
            behaviour,
            secret: Mutex::default(),
            own: Mutex::default(),
            arrivals: Mutex::default(),
            accepted: watch::Sender::new(0),
            awake: watch::Sender::new(false),
            given_up: watch::Sender::new(0),
        });
        let mut serving = JoinSet::new();
        serving.spawn(serve(listener, Arc::clone(&book)));
        Ok(Self { address, book, _serving: serving })
    }

    /// Where deliveries go.
    pub(super) fn url(&self) -> String {
        format!("http://{}/webhook", self.address)
    }

    /// Takes the secret that deliveries are signed with.
    pub(super) fn trust(&self, secret: &str) {
        *lock(&self.book.secret) = Some(secret.to_owned());
    }

    /// Takes a signature that deliveries have besides.
    pub(super) fn trust_own(&self, own: OwnSignature) {
        *lock(&self.book.own) = Some(own);
    }

    /// Makes a receiver that hangs answer, from its open requests on.
    pub(super) fn wake(&self) {
        self.book.awake.send_replace(true);
    }

    /// How many events were accepted, as it changes.
    pub(super) fn accepted(&self) -> watch::Receiver<usize> {
        self.book.accepted.subscribe()
    }

    /// Waits until so many events were accepted.
    pub(super) async fn accepted_at_least(&self, count: usize) {
        let _ = self.accepted().wait_for(|accepted| *accepted >= count).await;
    }

    /// Waits until so many requests were given up by their caller.
    pub(super) async fn given_up_at_least(&self, count: u32) {
        let _ = self.book.given_up.subscribe().wait_for(|given_up| *given_up >= count).await;
    }

    /// What arrived, by `webhook-id`.
    pub(super) fn arrivals(&self) -> HashMap<String, Arrival> {
        lock(&self.book.arrivals).clone()
    }
}

async fn serve(listener: TcpListener, book: Arc<Book>) {
    // Ends with its connections when the receiver is dropped.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                let book = Arc::clone(&book);
                connections.spawn(async move {
                    let service = service_fn(move |request| answer(Arc::clone(&book), request));
                    // A router that is killed breaks its connections, as it should.
                    let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn answer(book: Arc<Book>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let status = match Limited::new(body, BODY_BYTES_MAX).collect().await {
        Ok(body) => book.take(&head.headers, body.to_bytes()).await,
        Err(_) => StatusCode::BAD_REQUEST,
    };
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    Ok(response)
}

impl Book {
    async fn take(&self, headers: &HeaderMap, body: Bytes) -> StatusCode {
        let Some(id) = headers.get("webhook-id").and_then(|id| id.to_str().ok()) else {
            return StatusCode::BAD_REQUEST;
        };
        let verified = self.verifies(headers, &body);
        let fails = {
            let mut arrivals = lock(&self.arrivals);
            let is_among_first = arrivals.len() < FAILED_EVENTS;
            let new = || Arrival { is_among_first, ..Arrival::default() };
            let arrival = arrivals.entry(id.to_owned()).or_insert_with(new);
            arrival.requests += 1;
            arrival.unverified += u32::from(!verified);
            arrival.is_among_first && arrival.requests <= FAILURES_PER_EVENT
        };
        match self.behaviour {
            Behaviour::FailsTwice if fails => return StatusCode::INTERNAL_SERVER_ERROR,
            Behaviour::Hangs => {
                // A caller that gives up drops this future here, so that nothing is written down as accepted.
                let mut open = Open { book: self, answered: false };
                let _ = self.awake.subscribe().wait_for(|awake| *awake).await;
                open.answered = true;
            }
            Behaviour::Works | Behaviour::FailsTwice => {}
        }
        self.accept(id, body);
        StatusCode::OK
    }

    fn accept(&self, id: &str, body: Bytes) {
        let mut arrivals = lock(&self.arrivals);
        let arrival = arrivals.entry(id.to_owned()).or_default();
        arrival.accepted += 1;
        arrival.body = body;
        if arrival.accepted == 1 {
            self.accepted.send_modify(|accepted| *accepted += 1);
        }
    }

    fn verifies(&self, headers: &HeaderMap, body: &[u8]) -> bool {
        let secret = lock(&self.secret);
        let verifier = secret.as_deref().and_then(|secret| Webhook::new(secret).ok());
        let is_own = lock(&self.own).as_ref().is_none_or(|own| own.verifies(headers, body));
        is_own && verifier.is_some_and(|verifier| verifier.verify(body, headers).is_ok())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(receiver: &Receiver, id: &str) -> impl Future<Output = u16> + use<> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let request = reqwest::Client::new().post(receiver.url()).header("webhook-id", id).body("{}");
        async move { request.send().await.unwrap().status().as_u16() }
    }

    #[tokio::test]
    async fn the_first_events_fail_twice_and_then_arrive() {
        let receiver = Receiver::start(Behaviour::FailsTwice).await.unwrap();
        for id in ["a", "b", "c"] {
            assert_eq!(
                [request(&receiver, id).await, request(&receiver, id).await, request(&receiver, id).await],
                [500, 500, 200]
            );
        }
        assert_eq!([request(&receiver, "d").await, request(&receiver, "d").await], [200, 200]);
        let arrivals = receiver.arrivals();
        assert_eq!((arrivals["a"].requests, arrivals["a"].accepted), (3, 1));
        assert_eq!((arrivals["d"].requests, arrivals["d"].accepted), (2, 2));
        assert_eq!(*receiver.accepted().borrow(), 4);
    }

    #[tokio::test]
    async fn what_is_not_signed_does_not_verify() {
        let receiver = Receiver::start(Behaviour::Works).await.unwrap();
        receiver.trust("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        request(&receiver, "a").await;
        assert_eq!(receiver.arrivals()["a"].unverified, 1);
    }

    #[tokio::test]
    async fn a_request_that_hangs_is_answered_once_the_receiver_is_woken() {
        let receiver = Receiver::start(Behaviour::Hangs).await.unwrap();
        let hanging = tokio::spawn(request(&receiver, "a"));
        while receiver.arrivals().is_empty() {
            tokio::task::yield_now().await;
        }
        assert_eq!(receiver.arrivals()["a"].accepted, 0);
        receiver.wake();
        assert_eq!(hanging.await.unwrap(), 200);
        assert_eq!(receiver.arrivals()["a"].accepted, 1);
    }

    #[tokio::test]
    async fn a_request_that_its_caller_gives_up_is_not_accepted() {
        let receiver = Receiver::start(Behaviour::Hangs).await.unwrap();
        let hanging = tokio::spawn(request(&receiver, "a"));
        while receiver.arrivals().is_empty() {
            tokio::task::yield_now().await;
        }
        hanging.abort();
        receiver.given_up_at_least(1).await;
        assert_eq!(receiver.arrivals()["a"].accepted, 0);
    }
}
