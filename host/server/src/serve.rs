//! Connections: how many, and how all of them end.
//!
//! A connection that sends nothing, sends its head or body by drops, or sends endless headers costs a bounded time
//! and a bounded buffer ([`connection`](crate::connection)). On shutdown no connection is accepted any more, idle ones are
//! closed, requests under way are finished, and what is left after the drain time is cut off.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::ServerConfig;
use crate::client::Client;
use crate::connection::{Activity, Admission, Connection, Connections, Slot};
use crate::front::Front;

/// Headers of one request.
const HEADERS_MAX: usize = 100;
/// Bytes of the head of one request, and of what is read at once. [`front`](crate::front) has lower limits, whose refusals
/// have codes.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// Requests under way on one HTTP/2 connection.
const STREAMS_MAX: u32 = 128;
/// Bytes of bodies that one HTTP/2 request, and all of one connection, may send ahead of what was read.
const STREAM_WINDOW_BYTES: u32 = 256 << 10;
const CONNECTION_WINDOW_BYTES: u32 = 1 << 20;
/// How long accepting rests after the operating system refused a socket, as when there are too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long a newcomer waits, where no connection can make way, before that is looked at again.
const FULL_PAUSE: Duration = Duration::from_millis(20);

/// Said to a client with too many connections in the place of an answer.
const CLIENT_FULL: &[u8] = b"HTTP/1.1 429 Too Many Requests\r\n\
content-type: application/json\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: 115\r\n\r\n\
{\"code\":\"connections_too_many\",\"detail\":\"your address has as many connections with requests in progress as it may\"}";

/// Accepts connections until the shutdown, then drains.
pub(crate) async fn serve(
    front: Arc<Front>,
    config: &ServerConfig,
    listener: TcpListener,
    shutdown: &CancellationToken,
    draining: impl FnOnce(),
) -> io::Result<()> {
    let builder = Arc::new(builder(config));
    let connections = Connections::new(config.connections_max, config.connections_per_client_max);
    let served = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shutdown.cancelled() => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "accepting a connection failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let client = Client::of_connection(peer, &config.trusted_proxies);
        let activity = Activity::new(Instant::now());
        let slot = tokio::select! {
            slot = admit(&connections, client, &activity) => slot,
            () = shutdown.cancelled() => break,
        };
        let Some(slot) = slot else {
            refuse(&stream);
            continue;
        };
        let (front, builder, shutdown) = (Arc::clone(&front), Arc::clone(&builder), shutdown.clone());
        let connection = Connection { front, builder, peer, activity, shutdown };
        served.spawn(async move {
            connection.serve(stream).await;
            drop(slot);
        });
    }
    draining();
    drop(listener);
    served.close();
    let left = served.len();
    if tokio::time::timeout(config.drain_timeout, served.wait()).await.is_err() {
        tracing::warn!(left = served.len(), of = left, "connections were cut off after the drain time");
    }
    Ok(())
}

/// A place for a newcomer; none where its client has too many that can't make way.
async fn admit(
    connections: &Arc<Connections>,
    client: Option<Client>,
    activity: &Arc<Activity>,
) -> Option<Slot> {
    loop {
        match connections.admit(client, activity) {
            Admission::Admitted(slot) => return Some(slot),
            Admission::ClientFull => return None,
            Admission::Full => tokio::time::sleep(FULL_PAUSE).await,
        }
    }
}

fn refuse(stream: &TcpStream) {
    // A new socket has room for it; should it not, the close says enough.
    let _ = stream.try_write(CLIENT_FULL);
}

fn builder(config: &ServerConfig) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        // Without a timer hyper has no timeouts, and says nothing.
        .timer(TokioTimer::new())
        .header_read_timeout(config.idle_timeout)
        // A client that says that it sends no more still waits for its answer.
        .half_close(true)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BYTES_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEAD_BYTES_MAX as u32)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .keep_alive_interval(config.idle_timeout)
        .keep_alive_timeout(config.idle_timeout);
    builder
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_refusal_is_a_whole_answer() {
        let text = std::str::from_utf8(CLIENT_FULL).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}", body.len())), "{} bytes", body.len());
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(body["code"], "connections_too_many");
    }
}
