//! Connections: how many, how long, and how they end.
//!
//! A connection that sends nothing, sends its head or body by drops, or sends endless headers costs a bounded time
//! and a bounded buffer. On shutdown no connection is accepted any more, idle ones are closed, requests under way
//! are finished, and what is left after the drain time is cut off.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::response::Response;
use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::ServerConfig;
use crate::front::Front;

/// Headers of one request.
const HEADERS_MAX: usize = 100;
/// Bytes of the head of one request, and of what is read at once.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// Requests under way on one HTTP/2 connection.
const STREAMS_MAX: u32 = 256;
/// How long accepting rests after the operating system refused a socket, as when there are too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Accepts connections until the shutdown, then drains.
pub(crate) async fn serve(
    front: Arc<Front>,
    config: &ServerConfig,
    listener: TcpListener,
    shutdown: &CancellationToken,
    draining: impl FnOnce(),
) -> io::Result<()> {
    let builder = Arc::new(builder(config));
    let permits = Arc::new(Semaphore::new(config.connections_max));
    let connections = TaskTracker::new();
    loop {
        let permit = tokio::select! {
            permit = Arc::clone(&permits).acquire_owned() => permit.map_err(io::Error::other)?,
            () = shutdown.cancelled() => break,
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shutdown.cancelled() => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "accepting a connection failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let connection = Connection {
            front: Arc::clone(&front),
            builder: Arc::clone(&builder),
            first_request_timeout: config.header_timeout,
            shutdown: shutdown.clone(),
        };
        connections.spawn(async move {
            connection.serve(stream).await;
            drop(permit);
        });
    }
    draining();
    drop(listener);
    connections.close();
    let left = connections.len();
    if tokio::time::timeout(config.drain_timeout, connections.wait()).await.is_err() {
        tracing::warn!(left = connections.len(), of = left, "connections were cut off after the drain time");
    }
    Ok(())
}

fn builder(config: &ServerConfig) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        // Without a timer hyper has no timeouts, and says nothing.
        .timer(TokioTimer::new())
        .header_read_timeout(config.header_timeout)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BYTES_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEAD_BYTES_MAX as u32)
        .keep_alive_interval(config.header_timeout)
        .keep_alive_timeout(config.header_timeout);
    builder
}

/// One connection.
struct Connection {
    front: Arc<Front>,
    builder: Arc<Builder<TokioExecutor>>,
    first_request_timeout: Duration,
    shutdown: CancellationToken,
}

impl Connection {
    async fn serve(self, stream: TcpStream) {
        // An answer is one small write; waiting for more would only delay it.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection went before it was served");
            return;
        }
        let began = AtomicBool::new(false);
        let service = service_fn(|request: Request<Incoming>| {
            began.store(true, Ordering::Relaxed);
            let front = Arc::clone(&self.front);
            async move { Ok::<Response, std::convert::Infallible>(front.answer(request).await) }
        });
        let mut connection = pin!(self.builder.serve_connection(TokioIo::new(stream), service));
        // Until the protocol is known hyper has no timeout of its own.
        let mut first_request = pin!(tokio::time::sleep(self.first_request_timeout));
        let (mut waits_for_first, mut drains) = (true, false);
        loop {
            tokio::select! {
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!(%error, "a connection ended early");
                    }
                    return;
                }
                () = first_request.as_mut(), if waits_for_first => {
                    waits_for_first = false;
                    if !began.load(Ordering::Relaxed) {
                        return;
                    }
                }
                () = self.shutdown.cancelled(), if !drains => {
                    drains = true;
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    }
}
