//! As little HTTP/1.1 as a load generator and a receiver need: whole messages with `Content-Length`, one after another.
//!
//! Generator, receiver and router share two cores, so every microsecond spent here is taken from the router. Requests are
//! serialised before the run, and hyper's own parser reads the heads. What a test of HTTP needs is elsewhere: this end is
//! never the one under test.

use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::error::BenchError;

const HEADERS_MAX: usize = 48;
const BUFFER_BYTES: usize = 16 * 1024;
/// Past this something else than a router is talking.
const MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// A plugin's compilation is the longest of the set-up's calls.
const CALL_SECONDS_MAX: u64 = 60;

/// One connection, kept for many messages.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    filled: usize,
    consumed: usize,
}

/// A message in a connection's buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    /// The status of a response; 0 for a request.
    pub(crate) status: u16,
    body: Range<usize>,
}

/// A message's head: its status, its own bytes and those of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Head {
    status: u16,
    bytes: usize,
    body_bytes: usize,
}

#[derive(Debug, Clone, Copy)]
enum Side {
    Requests,
    Responses,
}

impl Connection {
    pub(crate) fn accepted(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: vec![0; BUFFER_BYTES], filled: 0, consumed: 0 })
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the load comes from outside: no guard of the router's is wanted here"
    )]
    pub(crate) async fn open(address: SocketAddr) -> io::Result<Self> {
        Self::accepted(TcpStream::connect(address).await?)
    }

    /// Sends one request and reads its response.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> io::Result<Message> {
        self.stream.write_all(request).await?;
        let response = self.next(Side::Responses).await?;
        response.ok_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, "closed before the response"))
    }

    /// Reads the next request; none where the peer closed between two.
    pub(crate) async fn next_request(&mut self) -> io::Result<Option<Message>> {
        self.next(Side::Requests).await
    }

    /// Answers a request with bytes that are a whole response.
    pub(crate) async fn answer(&mut self, response: &[u8]) -> io::Result<()> {
        self.stream.write_all(response).await
    }

    /// The body of the last message, until the next is read.
    pub(crate) fn body(&self, message: &Message) -> &[u8] {
        &self.buffer[message.body.clone()]
    }

    async fn next(&mut self, side: Side) -> io::Result<Option<Message>> {
        self.forget_consumed();
        let mut head: Option<Head> = None;
        loop {
            if head.is_none() && self.filled > 0 {
                head = parse_head(&self.buffer[..self.filled], side)?;
            }
            let wanted = head.map_or(0, |head| head.bytes + head.body_bytes);
            match head {
                Some(head) if self.filled >= wanted => {
                    self.consumed = wanted;
                    return Ok(Some(Message { status: head.status, body: head.bytes..wanted }));
                }
                Some(_) | None => self.make_room(wanted)?,
            }
            let read = self.stream.read(&mut self.buffer[self.filled..]).await?;
            self.filled += read;
            if read == 0 && self.filled == 0 {
                return Ok(None);
            }
            if read == 0 {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "closed within a message"));
            }
        }
    }

    fn forget_consumed(&mut self) {
        self.buffer.copy_within(self.consumed..self.filled, 0);
        self.filled -= self.consumed;
        self.consumed = 0;
    }

    fn make_room(&mut self, wanted: usize) -> io::Result<()> {
        if self.filled >= MESSAGE_BYTES_MAX || wanted > MESSAGE_BYTES_MAX {
            return Err(invalid("a message of more than 4 MiB"));
        }
        if self.filled == self.buffer.len() || wanted > self.buffer.len() {
            let bytes = wanted.max(self.buffer.len() * 2);
            self.buffer.resize(bytes, 0);
        }
        Ok(())
    }
}

/// Sends one request with a JSON or binary body on a connection of its own, for set-up.
pub(crate) async fn call(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &str,
    body: &[u8],
) -> Result<Vec<u8>, BenchError> {
    let connection_failed = |source| BenchError::Connection { what: "the router", source };
    let mut request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\n{headers}content-length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(body);
    let mut connection = Connection::open(address).await.map_err(connection_failed)?;
    let most = Duration::from_secs(CALL_SECONDS_MAX);
    let response = tokio::time::timeout(most, connection.exchange(&request))
        .await
        .map_err(|_| BenchError::Stalled { what: "a call of the set-up", seconds: CALL_SECONDS_MAX })?
        .map_err(connection_failed)?;
    let body = connection.body(&response).to_vec();
    if (200..300).contains(&response.status) {
        return Ok(body);
    }
    Err(BenchError::Refused {
        request: format!("{method} {path}"),
        status: response.status,
        expected: "2xx",
        body: String::from_utf8_lossy(&body).into_owned(),
    })
}

fn parse_head(bytes: &[u8], side: Side) -> io::Result<Option<Head>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let (parsed, status, headers) = match side {
        Side::Requests => {
            let mut request = httparse::Request::new(&mut headers);
            (request.parse(bytes), 0, &*request.headers)
        }
        Side::Responses => {
            let mut response = httparse::Response::new(&mut headers);
            (response.parse(bytes), response.code.unwrap_or(0), &*response.headers)
        }
    };
    let bytes = match parsed {
        Ok(httparse::Status::Complete(bytes)) => bytes,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => return Err(invalid(&format!("not HTTP/1.1: {error}"))),
    };
    Ok(Some(Head { status, bytes, body_bytes: body_bytes(headers)? }))
}

fn body_bytes(headers: &[httparse::Header<'_>]) -> io::Result<usize> {
    for header in headers {
        if header.name.eq_ignore_ascii_case("content-length") {
            let length = std::str::from_utf8(header.value).ok().and_then(|text| text.trim().parse().ok());
            return length.ok_or_else(|| invalid("a Content-Length that is no number"));
        }
        if header.name.eq_ignore_ascii_case("transfer-encoding") {
            return Err(invalid("a chunked message, which this end does not read"));
        }
    }
    // 204 and 304 have no body and need no length (RFC 9110, 8.6); no other message of a run comes without.
    Ok(0)
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_read() {
        let check = |text: &str, side: Side, expect: Result<Option<(u16, usize)>, ()>| {
            let head = parse_head(text.as_bytes(), side);
            let found = head.map(|head| head.map(|head| (head.status, head.body_bytes))).map_err(|_| ());
            assert_eq!(found, expect, "{text:?}");
        };
        check("HTTP/1.1 202 Accepted\r\nContent-Length: 12\r\n\r\n", Side::Responses, Ok(Some((202, 12))));
        check("HTTP/1.1 204 No Content\r\n\r\n", Side::Responses, Ok(Some((204, 0))));
        check("HTTP/1.1 202 Acc", Side::Responses, Ok(None));
        check("HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n", Side::Responses, Err(()));
        check("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", Side::Responses, Err(()));
        check("POST / HTTP/1.1\r\ncontent-length: 3\r\n\r\nabc", Side::Requests, Ok(Some((0, 3))));
        check("\u{1}\u{2}", Side::Requests, Err(()));
    }

    #[tokio::test]
    async fn messages_follow_each_other_on_one_connection() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let large = "x".repeat(BUFFER_BYTES * 3);
        let server = tokio::spawn(async move {
            let mut connection = Connection::accepted(listener.accept().await.unwrap().0).unwrap();
            let mut lengths = Vec::new();
            while let Some(request) = connection.next_request().await.unwrap() {
                lengths.push(connection.body(&request).len());
                connection.answer(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
            }
            lengths
        });
        let mut connection = Connection::open(address).await.unwrap();
        for body in ["", "abc", large.as_str(), "d"] {
            let request = format!("POST / HTTP/1.1\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            let response = connection.exchange(request.as_bytes()).await.unwrap();
            assert_eq!((response.status, connection.body(&response)), (200, b"ok".as_slice()));
        }
        drop(connection);
        assert_eq!(server.await.unwrap(), [0, 3, large.len(), 1]);
    }
}
