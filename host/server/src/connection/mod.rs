//! One connection from its first byte to its end.
//!
//! [`table`] says whether there is room for it and which other one makes way. [`wire`] is its bytes, [`head`] what must not
//! be in the heads among them. [`activity`] knows what it is doing; from that follows when it is closed: where no request
//! is in progress on it for a while, whatever else it sends (pings among it), or where its client does not take an answer.

mod activity;
mod head;
mod table;
mod wire;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use axum::response::Response;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use http::{Request, Version};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub(crate) use self::activity::{Activity, InProgress, RequestOn};
pub(crate) use self::head::{HeadFault, Heads};
pub(crate) use self::table::{Admission, Connections, Slot};
use self::wire::Wire;
use crate::client::Client;
use crate::front::Front;

/// How long a connection may take to say goodbye.
const CLOSING_MAX: Duration = Duration::from_secs(5);
/// Between two looks at what a connection is doing.
const LOOK_INTERVAL_MAX: Duration = Duration::from_secs(5);

/// One connection.
pub(crate) struct Connection {
    pub(crate) front: Arc<Front>,
    pub(crate) builder: Arc<Builder<TokioExecutor>>,
    pub(crate) peer: SocketAddr,
    pub(crate) activity: Arc<Activity>,
    pub(crate) shutdown: CancellationToken,
}

/// What happens to a connection beside what it is for.
enum Interruption {
    /// It makes way for another one.
    Evicted,
    /// The server is to stop.
    Shutdown,
    /// It is time to look at what it is doing.
    Look,
}

/// Why a connection is to be closed.
enum Due {
    /// Nothing was in progress for too long.
    Idle,
    /// An answer is not taken.
    Stuck,
    /// Not yet.
    No,
}

impl Connection {
    /// Serves it to its end.
    pub(crate) async fn serve(self, stream: TcpStream) {
        // An answer is one small write; waiting for more would only delay it.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection went before it was served");
            return;
        }
        let heads = Arc::new(Heads::default());
        let context = self.front.context();
        let client = Client::of_connection(self.peer, &context.config.trusted_proxies);
        let held = context.unfinished.held(client, None);
        let write_max = context.config.write_timeout;
        let wire = Wire::new(stream, Arc::clone(&self.activity), Arc::clone(&heads), held, write_max);
        let requests = Arc::new(Requests {
            front: Arc::clone(&self.front),
            peer: self.peer,
            activity: Arc::clone(&self.activity),
            heads,
        });
        let service = service_fn(move |request: Request<Incoming>| {
            let requests = Arc::clone(&requests);
            async move { Ok::<Response, Infallible>(requests.answer(request).await) }
        });
        let mut connection = pin!(self.builder.serve_connection(TokioIo::new(wire), service));
        let (mut interruptions, mut closes, mut gone_by) = (self.interruptions(), false, None);
        loop {
            let interruption = tokio::select! {
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!(%error, "a connection ended early");
                    }
                    return;
                }
                Some(interruption) = interruptions.next() => interruption,
            };
            let now = Instant::now();
            match interruption {
                Interruption::Evicted => return,
                Interruption::Shutdown => {}
                Interruption::Look => {
                    interruptions.push(self.next_look());
                    match self.due(now) {
                        Due::Stuck => return,
                        // It had its time to say goodbye, and began nothing in it.
                        Due::Idle if gone_by.is_some_and(|at| at <= now) => return,
                        Due::Idle if gone_by.is_none() => {
                            gone_by = Some(now + CLOSING_MAX.min(self.idle_max()));
                        }
                        Due::Idle | Due::No => continue,
                    }
                }
            }
            if !std::mem::replace(&mut closes, true) {
                connection.as_mut().graceful_shutdown();
            }
        }
    }

    /// What may happen while it is served. A set of futures asks only those that were woken, and a connection is woken
    /// several times for each request.
    fn interruptions(&self) -> FuturesUnordered<BoxFuture<'_, Interruption>> {
        let interruptions = FuturesUnordered::new();
        interruptions.push(self.next_look());
        interruptions.push(self.activity.evicted().map(|()| Interruption::Evicted).boxed());
        interruptions.push(self.shutdown.cancelled().map(|()| Interruption::Shutdown).boxed());
        interruptions
    }

    fn next_look(&self) -> BoxFuture<'_, Interruption> {
        tokio::time::sleep(self.look_interval()).map(|()| Interruption::Look).boxed()
    }

    fn due(&self, now: Instant) -> Due {
        let deadline = self.activity.deadline(self.idle_max(), self.front.context().config.write_timeout);
        match deadline {
            Some(at) if at <= now && self.activity.quiet_since().is_some() => Due::Idle,
            Some(at) if at <= now => Due::Stuck,
            Some(_) | None => Due::No,
        }
    }

    fn idle_max(&self) -> Duration {
        self.front.context().config.idle_timeout
    }

    fn look_interval(&self) -> Duration {
        let config = &self.front.context().config;
        (config.idle_timeout.min(config.write_timeout) / 4).min(LOOK_INTERVAL_MAX)
    }
}

/// What the requests of one connection share.
struct Requests {
    front: Arc<Front>,
    peer: SocketAddr,
    activity: Arc<Activity>,
    heads: Arc<Heads>,
}

impl Requests {
    async fn answer(&self, request: Request<Incoming>) -> Response {
        let head = if request.version() == Version::HTTP_2 { Ok(()) } else { self.heads.next() };
        let on = self.activity.begin(!request.body().is_end_stream());
        let response = match head {
            Ok(()) => self.front.answer_on(request, self.peer, on.progress()).await,
            Err(fault) => self.front.refuse_head(&request, self.peer, fault),
        };
        on.answering();
        response.map(|body| axum::body::Body::new(AnswerBody { body, on }))
    }
}

/// An answer's body, whose request is in progress until the protocol has all of it.
struct AnswerBody {
    body: axum::body::Body,
    on: RequestOn,
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if frame.is_ready() {
            self.on.answering();
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
