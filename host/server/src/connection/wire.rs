//! The bytes of one connection: what is read is looked at and counted, and what is written has to be taken in time.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

use super::Activity;
use super::head::{HeadScan, Heads};
use crate::body_budget::Held;

/// What a client takes of an answer within the deadline of a write, unless it takes all of it: one that takes a byte now
/// and then is as good as one that takes none.
const TAKEN_BYTES_MIN: usize = 16 << 10;

/// The bytes of one connection.
pub(super) struct Wire {
    stream: TcpStream,
    activity: Arc<Activity>,
    heads: Arc<Heads>,
    scan: HeadScan,
    /// Bytes of a head that is not whole.
    held: Arc<Held>,
    write_max: Duration,
    /// Runs while the client takes less than it is sent.
    write_deadline: Option<Pin<Box<Sleep>>>,
    taken: usize,
}

impl Wire {
    pub(super) fn new(
        stream: TcpStream,
        activity: Arc<Activity>,
        heads: Arc<Heads>,
        held: Arc<Held>,
        write_max: Duration,
    ) -> Self {
        let (scan, write_deadline, taken) = (HeadScan::default(), None, 0);
        Self { stream, activity, heads, scan, held, write_max, write_deadline, taken }
    }

    fn look_at(&mut self, read: &[u8]) -> io::Result<()> {
        let ended_before = self.scan.heads_ended();
        self.scan.feed(read, &self.heads).map_err(|_| io::Error::from(ErrorKind::InvalidData))?;
        let is_within_head = self.scan.is_within_head();
        // Where requests follow each other closely, a read may end one head and begin another, and no read end between two.
        if !is_within_head || self.scan.heads_ended() > ended_before {
            self.held.shrink();
        }
        if !is_within_head {
            return Ok(());
        }
        self.held.grow(read.len()).map_err(|full| io::Error::new(ErrorKind::OutOfMemory, full))
    }

    /// What a write came to, within its deadline.
    fn written(&mut self, cx: &mut Context<'_>, write: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(written) = write {
            if let (Ok(bytes), true) = (&written, self.write_deadline.is_some()) {
                self.taken += bytes;
                if self.taken >= TAKEN_BYTES_MIN {
                    self.all_taken();
                }
            }
            return Poll::Ready(written);
        }
        let write_max = self.write_max;
        if self.write_deadline.is_none() {
            self.taken = 0;
            self.activity.wrote(true);
        }
        let deadline = self.write_deadline.get_or_insert_with(|| Box::pin(tokio::time::sleep(write_max)));
        ready!(deadline.as_mut().poll(cx));
        Poll::Ready(Err(ErrorKind::TimedOut.into()))
    }

    fn all_taken(&mut self) {
        if self.write_deadline.take().is_some() {
            self.activity.wrote(false);
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(cx, buffer))?;
        Poll::Ready(this.look_at(&buffer.filled()[before..]))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let write = Pin::new(&mut this.stream).poll_write(cx, bytes);
        this.written(cx, write)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let write = Pin::new(&mut this.stream).poll_write_vectored(cx, slices);
        this.written(cx, write)
    }

    /// Asked for when all that was to be written is.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(Pin::new(&mut this.stream).poll_flush(cx))?;
        this.all_taken();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
