//! HTTP receivers on real sockets, good and bad.
//!
//! A [`Receiver`] listens on a free port of 127.0.0.1, treats every connection by its [`Behaviour`], and remembers
//! each request that it read whole. Tests await [`Receiver::wait_for`], never a length of time. Dropping the
//! receiver stops it: its listener and all of its connections are closed.
//!
//! HTTP is written by hand here ([`wire`]), so that nothing corrects what a bad receiver wants to do wrong
//! ([`behaviour`]).

mod behaviour;
mod wire;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::{AbortHandle, JoinSet};

/// How a receiver treats its connections.
pub enum Behaviour {
    /// Answers requests with these in order, whatever connection they come on; every later one with 200.
    Answers(Vec<Answer>),
    /// Answers each request with what this makes of it.
    Chooses(Box<dyn Fn(&Received) -> Answer + Send + Sync>),
    /// Answers 200 to each request that the gate lets through.
    Gated(Gate),
    /// Reads requests and never answers.
    NeverAnswers,
    /// Accepts connections and never reads, so that a large request fills the socket's buffers.
    NeverReads,
    /// Answers with one byte of a header at a time, without end.
    DripsHead,
    /// Answers 200 and one byte of the promised body at a time, without end.
    DripsBody,
    /// Answers with headers as fast as they are taken, without end.
    EndlessHead,
    /// Answers 200 and a body as fast as it is taken, without end.
    EndlessBody,
    /// Answers `103 Early Hints` as fast as they are taken, without end.
    InformationalFlood,
    /// Resets each connection as soon as it is accepted.
    ResetsOnAccept,
    /// Resets the connection after half of the body that it promised.
    ResetsMidBody,
    /// Closes the connection in order, after half of the body that it promised.
    ClosesMidBody,
    /// Reads the request and closes the connection in order, without a byte.
    ClosesUnanswered,
    /// Answers with these bytes, whatever they are, and closes.
    Says(Bytes),
}

/// One HTTP answer.
#[derive(Debug, Clone)]
pub struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Bytes,
    then: Then,
}

/// What happens to the connection after an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    KeepAlive,
    /// Closed without a `Connection: close` before it, as by an idle timeout.
    Close,
}

/// Holds answers back until the test lets them go.
#[derive(Debug, Clone)]
pub struct Gate(Arc<Semaphore>);

/// One request, as it was read.
#[derive(Debug, Clone)]
pub struct Received {
    /// The method.
    pub method: Method,
    /// The request target: path and query.
    pub path: String,
    /// All headers, in order.
    pub headers: HeaderMap,
    /// The body's bytes, decoded if they came in chunks.
    pub body: Bytes,
    /// Which accepted connection it came on, from 1.
    pub connection: usize,
}

/// A running receiver.
#[derive(Debug)]
pub struct Receiver {
    address: SocketAddr,
    journal: Arc<Journal>,
    accepting: AbortHandle,
}

/// What happened so far, and how many of it for those who wait.
#[derive(Debug)]
struct Journal {
    requests: Mutex<Vec<Received>>,
    request_count: watch::Sender<usize>,
    connection_count: watch::Sender<usize>,
}

/// What the connections of one receiver share.
struct Shared {
    behaviour: Behaviour,
    script: Mutex<VecDeque<Answer>>,
    journal: Arc<Journal>,
}

impl Behaviour {
    /// Answers with these statuses in order, then 200.
    #[must_use]
    pub fn statuses(statuses: impl IntoIterator<Item = u16>) -> Self {
        Self::Answers(statuses.into_iter().map(Answer::status).collect())
    }

    /// Answers 200 to everything.
    #[must_use]
    pub fn accepts() -> Self {
        Self::Answers(Vec::new())
    }
}

impl Answer {
    /// An answer without a body.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self { status, headers: HeaderMap::new(), body: Bytes::new(), then: Then::KeepAlive }
    }

    /// A redirect by this status to this URL.
    #[must_use]
    pub fn redirect(status: u16, location: &str) -> Self {
        Self::status(status).header("location", location)
    }

    /// Adds a header.
    ///
    /// # Panics
    ///
    /// If the name or the value can't be sent.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name = HeaderName::try_from(name).expect("a test's header has a valid name");
        let value = HeaderValue::try_from(value).expect("a test's header has a valid value");
        self.headers.append(name, value);
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Closes the connection after this answer without saying so in it, as a server's idle timeout does.
    #[must_use]
    pub fn then_close(mut self) -> Self {
        self.then = Then::Close;
        self
    }
}

impl Gate {
    /// A gate that lets nothing through.
    #[must_use]
    pub fn closed() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }

    /// Lets `count` answers go, now or when they come.
    pub fn release(&self, count: usize) {
        self.0.add_permits(count);
    }

    /// Lets all answers go from now on.
    pub fn open(&self) {
        self.0.close();
    }

    pub(crate) async fn pass(&self) {
        // A closed semaphore refuses to count: the gate is open.
        if let Ok(permit) = self.0.acquire().await {
            permit.forget();
        }
    }
}

impl Receiver {
    /// Starts a receiver on a free port of 127.0.0.1, in the current tokio runtime.
    ///
    /// # Panics
    ///
    /// If no port can be had.
    pub async fn start(behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port on 127.0.0.1");
        Self::start_on(listener, behaviour)
    }

    /// Starts a receiver on a port of one's own, for example to come back after an outage.
    ///
    /// # Panics
    ///
    /// If the listener has no address.
    #[must_use]
    pub fn start_on(listener: TcpListener, mut behaviour: Behaviour) -> Self {
        let address = listener.local_addr().expect("a bound listener has an address");
        let journal = Arc::new(Journal {
            requests: Mutex::default(),
            request_count: watch::Sender::new(0),
            connection_count: watch::Sender::new(0),
        });
        let script = match &mut behaviour {
            Behaviour::Answers(answers) => std::mem::take(answers).into(),
            _ => VecDeque::new(),
        };
        let shared =
            Arc::new(Shared { behaviour, script: Mutex::new(script), journal: Arc::clone(&journal) });
        let accepting = tokio::spawn(accept(listener, shared)).abort_handle();
        Self { address, journal, accepting }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of a path, which begins with `/`, on this receiver.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The requests that were read so far, in the order of their ends.
    #[must_use]
    pub fn requests(&self) -> Vec<Received> {
        self.journal.requests().clone()
    }

    /// How many connections were accepted so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        *self.journal.connection_count.borrow()
    }

    /// Waits until at least `count` requests were read, and returns them all.
    pub async fn wait_for(&self, count: usize) -> Vec<Received> {
        reached(&self.journal.request_count, count).await;
        self.requests()
    }

    /// Waits until at least `count` connections were accepted.
    pub async fn wait_for_connections(&self, count: usize) {
        reached(&self.journal.connection_count, count).await;
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Journal {
    fn requests(&self) -> MutexGuard<'_, Vec<Received>> {
        self.requests.lock().expect("nobody panics while it writes the journal")
    }

    fn record(&self, request: Received) {
        self.requests().push(request);
        self.request_count.send_modify(|count| *count += 1);
    }

    fn record_connection(&self) -> usize {
        self.connection_count.send_modify(|count| *count += 1);
        *self.connection_count.borrow()
    }
}

impl Shared {
    /// The answer to one request of a receiver that answers.
    fn next_answer(&self, request: &Received) -> Answer {
        match &self.behaviour {
            Behaviour::Chooses(choose) => choose(request),
            _ => {
                let mut script = self.script.lock().expect("nobody panics while it reads the script");
                script.pop_front().unwrap_or_else(|| Answer::status(200))
            }
        }
    }
}

async fn reached(counter: &watch::Sender<usize>, count: usize) {
    let mut counter = counter.subscribe();
    counter.wait_for(|so_far| *so_far >= count).await.expect("the receiver holds the sender");
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // Owns the connections: aborting this task aborts them all.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // An error is that of one connection, gone before it was accepted.
                let Ok((stream, _)) = accepted else { continue };
                let number = shared.journal.record_connection();
                connections.spawn(serve(stream, number, Arc::clone(&shared)));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(stream: TcpStream, number: usize, shared: Arc<Shared>) {
    // A client that goes away in the middle ends its connection, and that is all there is to do.
    let _ = stream.set_nodelay(true);
    let _ = behaviour::run(stream, number, &shared).await;
}

#[cfg(test)]
mod tests;
