//! HTTP/1.1, as much as a receiver of webhooks needs, with nothing in the way of doing it wrong.

use std::io;

use bytes::{Buf, Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Answer, Received};

/// Bytes of one request, head and body; more is an error.
const REQUEST_BYTES_MAX: usize = 16 << 20;

/// One connection and what was read of it but not used yet.
pub(super) struct Wire {
    pub(super) stream: TcpStream,
    number: usize,
    unread: BytesMut,
}

impl Wire {
    pub(super) fn new(stream: TcpStream, number: usize) -> Self {
        Self { stream, number, unread: BytesMut::new() }
    }

    /// Reads one request; `None` when the client closed the connection between two.
    pub(super) async fn read_request(&mut self) -> io::Result<Option<Received>> {
        let Some(head) = self.read_through(b"\r\n\r\n").await? else { return Ok(None) };
        let (method, path, headers) = parse_head(&head)?;
        let body = if headers.contains_key(TRANSFER_ENCODING) {
            self.read_chunks().await?
        } else {
            let length = headers.get(CONTENT_LENGTH).map(parse_length).transpose()?.unwrap_or(0);
            self.read_exactly(length).await?
        };
        Ok(Some(Received { method, path, headers, body, connection: self.number }))
    }

    /// Writes a whole answer.
    pub(super) async fn write_answer(&mut self, answer: &Answer) -> io::Result<()> {
        let reason = StatusCode::from_u16(answer.status).ok().and_then(|status| status.canonical_reason());
        let mut bytes = format!("HTTP/1.1 {} {}\r\n", answer.status, reason.unwrap_or("")).into_bytes();
        for (name, value) in &answer.headers {
            bytes.extend_from_slice(name.as_str().as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value.as_bytes());
            bytes.extend_from_slice(b"\r\n");
        }
        // RFC 9110 section 8.6: not in an answer that can't have a body.
        if answer.status >= 200 && answer.status != 204 {
            bytes.extend_from_slice(format!("content-length: {}\r\n", answer.body.len()).as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&answer.body);
        self.stream.write_all(&bytes).await
    }

    /// Everything up to and with `end`; `None` when the client closed before the first byte.
    async fn read_through(&mut self, end: &[u8]) -> io::Result<Option<Bytes>> {
        loop {
            if let Some(at) = self.unread.windows(end.len()).position(|window| window == end) {
                return Ok(Some(self.unread.split_to(at + end.len()).freeze()));
            }
            if !self.read_more().await? {
                return if self.unread.is_empty() { Ok(None) } else { Err(cut_short()) };
            }
        }
    }

    async fn read_exactly(&mut self, length: usize) -> io::Result<Bytes> {
        while self.unread.len() < length {
            if !self.read_more().await? {
                return Err(cut_short());
            }
        }
        Ok(self.unread.split_to(length).freeze())
    }

    async fn read_chunks(&mut self) -> io::Result<Bytes> {
        let mut body = BytesMut::new();
        loop {
            let line = self.read_through(b"\r\n").await?.ok_or_else(cut_short)?;
            let line = text(&line)?;
            let digits = line.split(';').next().unwrap_or_default().trim();
            let length = usize::from_str_radix(digits, 16).map_err(|_| malformed("chunk length"))?;
            let mut chunk = self.read_exactly(length + 2).await?;
            chunk.truncate(length);
            if length == 0 {
                return Ok(body.freeze());
            }
            body.extend_from_slice(&chunk);
        }
    }

    /// Whether anything came before the end.
    async fn read_more(&mut self) -> io::Result<bool> {
        if self.unread.len() > REQUEST_BYTES_MAX {
            return Err(malformed("length"));
        }
        Ok(self.stream.read_buf(&mut self.unread).await? > 0)
    }
}

fn parse_head(head: &Bytes) -> io::Result<(Method, String, HeaderMap)> {
    let mut lines = text(head)?.split("\r\n").filter(|line| !line.is_empty());
    let request_line = lines.next().ok_or_else(|| malformed("request line"))?;
    let mut parts = request_line.split(' ');
    let (Some(method), Some(path), Some("HTTP/1.1")) = (parts.next(), parts.next(), parts.next()) else {
        return Err(malformed("request line"));
    };
    let method = method.parse().map_err(|_| malformed("method"))?;
    let mut headers = HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(':').ok_or_else(|| malformed("header"))?;
        let name = HeaderName::try_from(name).map_err(|_| malformed("header name"))?;
        let value = HeaderValue::try_from(value.trim()).map_err(|_| malformed("header value"))?;
        headers.append(name, value);
    }
    Ok((method, path.to_owned(), headers))
}

fn parse_length(value: &HeaderValue) -> io::Result<usize> {
    value.to_str().ok().and_then(|text| text.parse().ok()).ok_or_else(|| malformed("content-length"))
}

fn text(bytes: &Bytes) -> io::Result<&str> {
    std::str::from_utf8(bytes.chunk()).map_err(|_| malformed("encoding"))
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the request's {what} is malformed"))
}

fn cut_short() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the client closed within a request")
}
