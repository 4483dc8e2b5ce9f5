//! One HTTP/1.1 connection, driven by whoever has a request on it.
//!
//! hyper splits a connection into a sender and a driver that reads and writes. The driver is usually a task of its
//! own; here the delivery's own task polls it, which saves two wake-ups across tasks for each request. While the
//! connection is idle nobody drives it: [`Http1::is_open`] looks at it when it is taken from the pool, and from time
//! to time before that.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use http_body::{Body as _, Frame};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::time::Instant;

use crate::connect::Stream;
use crate::failure::is_reset;
use crate::heard::{Heard, Place};
use crate::limits::RESPONSE_HEAD_BYTES_MAX;

/// A request as hyper takes it.
pub(crate) type Message = Request<Full<Bytes>>;

type Driver = http1::Connection<TokioIo<Heard>, Full<Bytes>>;

/// One connection.
pub(crate) struct Http1 {
    sender: http1::SendRequest<Full<Bytes>>,
    /// `None` once it has ended.
    driver: Option<Driver>,
    /// Whether a byte came since the last request was sent.
    heard: Arc<AtomicBool>,
    /// The `Host` of its requests.
    pub(crate) host: HeaderValue,
    /// When it was opened.
    pub(crate) opened: Instant,
}

/// A request that got no answer.
pub(crate) struct Unanswered {
    pub(crate) error: hyper::Error,
    /// The request, where not one byte of it was sent.
    pub(crate) unsent: Option<Message>,
    /// How far the receiver can have come with it.
    pub(crate) seen: Seen,
}

/// How far a receiver can have come with a request that it did not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// It says that it did nothing with it: HTTP/2 `REFUSED_STREAM`, or `GOAWAY` from before it.
    Refused,
    /// The connection ended before a byte of an answer came.
    Closed,
    /// It was at work on it, as far as can be told.
    Perhaps,
}

impl Http1 {
    /// Speaks HTTP/1.1 on a new connection.
    pub(crate) async fn begin(
        stream: Stream,
        place: Place,
        host: HeaderValue,
        now: Instant,
    ) -> hyper::Result<Box<Self>> {
        let heard = Arc::new(AtomicBool::new(false));
        let (sender, driver) = http1::Builder::new()
            .max_buf_size(RESPONSE_HEAD_BYTES_MAX)
            // A recipient replaces a folded line by spaces, and takes spaces before a colon off (RFC 9112, 5.1 and 5.2).
            .allow_obsolete_multiline_headers_in_responses(true)
            .allow_spaces_after_header_name_in_responses(true)
            .handshake(TokioIo::new(Heard::new(stream, place, Arc::clone(&heard))))
            .await?;
        Ok(Box::new(Self { sender, driver: Some(driver), heard, host, opened: now }))
    }

    /// Whether another request can go out. Never waits.
    pub(crate) fn is_open(&mut self) -> bool {
        let mut nobody = Context::from_waker(Waker::noop());
        // An idle connection has bytes to read only when the receiver closed it or broke the protocol.
        self.drive(&mut nobody).is_ok() && self.driver.is_some() && self.sender.is_ready()
    }

    /// Sends a request and reads the head of its response.
    pub(crate) async fn send(&mut self, message: Message) -> Result<Response<Incoming>, Box<Unanswered>> {
        let Self { sender, driver, heard, .. } = self;
        heard.store(false, Ordering::Relaxed);
        let mut answer = pin!(sender.try_send_request(message));
        poll_fn(|cx| {
            // Its error is the answer's too.
            let _ = poll_driver(driver, cx);
            // The answer is made by the driver, within its poll, so nobody needs to be woken for it.
            answer.as_mut().poll(&mut Context::from_waker(Waker::noop()))
        })
        .await
        .map_err(|mut failed| {
            let unsent = failed.take_message();
            let error = failed.into_error();
            let is_closed = !heard.load(Ordering::Relaxed) && is_reset(&error);
            let seen = if is_closed { Seen::Closed } else { Seen::Perhaps };
            Box::new(Unanswered { error, unsent, seen })
        })
    }

    /// Reads the next part of a response's body; `None` at its end.
    pub(crate) async fn read(&mut self, body: &mut Incoming) -> Option<hyper::Result<Frame<Bytes>>> {
        poll_fn(|cx| {
            let mut nobody = Context::from_waker(Waker::noop());
            // Asking for more lets the driver read more.
            if let Poll::Ready(frame) = Pin::new(&mut *body).poll_frame(&mut nobody) {
                return Poll::Ready(frame);
            }
            let driven = self.drive(cx);
            match (Pin::new(&mut *body).poll_frame(&mut nobody), driven) {
                // The driver knows better than the body what ended it.
                (Poll::Ready(Some(Err(_))) | Poll::Pending, Err(error)) => Poll::Ready(Some(Err(error))),
                (frame, _) => frame,
            }
        })
        .await
    }

    fn drive(&mut self, cx: &mut Context<'_>) -> hyper::Result<()> {
        poll_driver(&mut self.driver, cx)
    }
}

/// Lets the connection read and write as much as it can now.
fn poll_driver(driver: &mut Option<Driver>, cx: &mut Context<'_>) -> hyper::Result<()> {
    let Some(running) = driver else { return Ok(()) };
    match Pin::new(running).poll(cx) {
        Poll::Pending => Ok(()),
        Poll::Ready(ended) => {
            *driver = None;
            ended
        }
    }
}
