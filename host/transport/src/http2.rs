//! One HTTP/2 connection, shared by several requests and driven by a task of its own.
//!
//! The task ends with the connection: when the receiver closes it, or when the last handle is gone and the last
//! request has ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::time::Instant;

use crate::connect::Stream;
use crate::failure::{is_refusal, is_reset};
use crate::heard::{Heard, Place};
use crate::http1::{Message, Seen, Unanswered};
use crate::limits::{
    HTTP2_CONNECTION_WINDOW_BYTES, HTTP2_PING_INTERVAL, HTTP2_PING_TIMEOUT, HTTP2_STREAM_WINDOW_BYTES,
    HTTP2_STREAMS_MAX, RESPONSE_HEAD_BYTES_MAX,
};

/// A handle to a connection.
pub(crate) struct Http2 {
    sender: http2::SendRequest<Full<Bytes>>,
    use_of_it: Arc<Use>,
    /// When it was opened.
    pub(crate) opened: Instant,
}

/// The right to one request on a connection.
pub(crate) struct Stream2 {
    sender: http2::SendRequest<Full<Bytes>>,
    use_of_it: Arc<Use>,
}

/// What a connection and its streams share.
#[derive(Default)]
struct Use {
    streams: AtomicUsize,
    /// It refused a stream, so it gets none any more.
    refuses: AtomicBool,
}

impl Http2 {
    /// Speaks HTTP/2 on a new connection.
    pub(crate) async fn begin(stream: Stream, place: Place, now: Instant) -> hyper::Result<Self> {
        let head_bytes_max = u32::try_from(RESPONSE_HEAD_BYTES_MAX).expect("a small constant");
        let (sender, driver) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .initial_stream_window_size(HTTP2_STREAM_WINDOW_BYTES)
            .initial_connection_window_size(HTTP2_CONNECTION_WINDOW_BYTES)
            .max_header_list_size(head_bytes_max)
            .keep_alive_interval(HTTP2_PING_INTERVAL)
            .keep_alive_timeout(HTTP2_PING_TIMEOUT)
            .handshake(TokioIo::new(Heard::new(stream, place, Arc::default())))
            .await?;
        tokio::spawn(async move {
            if let Err(error) = driver.await {
                // Each request under way hears of it too.
                tracing::debug!(%error, "http/2 connection ended");
            }
        });
        Ok(Self { sender, use_of_it: Arc::default(), opened: now })
    }

    /// Whether the connection lives and takes requests.
    pub(crate) fn is_open(&self) -> bool {
        !self.sender.is_closed() && !self.use_of_it.refuses.load(Ordering::Relaxed)
    }

    /// Whether no request is under way.
    pub(crate) fn is_idle(&self) -> bool {
        self.use_of_it.streams.load(Ordering::Relaxed) == 0
    }

    /// Takes a place for one request, if there is one.
    pub(crate) fn stream(&self) -> Option<Stream2> {
        let taken = self.use_of_it.streams.fetch_add(1, Ordering::Relaxed);
        let stream = Stream2 { sender: self.sender.clone(), use_of_it: Arc::clone(&self.use_of_it) };
        // A stream that is not given out gives its place back by being dropped.
        (self.is_open() && taken < HTTP2_STREAMS_MAX).then_some(stream)
    }
}

impl Stream2 {
    /// Sends a request and reads the head of its response. The stream must live until its body is read.
    pub(crate) async fn send(&mut self, message: Message) -> Result<Response<Incoming>, Box<Unanswered>> {
        self.sender.try_send_request(message).await.map_err(|mut failed| {
            let unsent = failed.take_message();
            let error = failed.into_error();
            let seen = if is_refusal(&error) {
                self.use_of_it.refuses.store(true, Ordering::Relaxed);
                Seen::Refused
            } else if is_reset(&error) {
                // An answer that had begun would be a response with a body that ends early.
                Seen::Closed
            } else {
                Seen::Perhaps
            };
            Box::new(Unanswered { error, unsent, seen })
        })
    }
}

impl Drop for Stream2 {
    fn drop(&mut self) {
        self.use_of_it.streams.fetch_sub(1, Ordering::Relaxed);
    }
}
