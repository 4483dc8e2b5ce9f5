//! Heads of HTTP/1 that two readers could take for two different requests.
//!
//! hyper's parser takes a bare LF for the end of a line, repeated or missing `Host` fields, and `Content-Length` beside
//! `Transfer-Encoding`, whose loser it drops. A proxy in front that reads them otherwise sees other requests than we do,
//! which is how requests are smuggled past it. So each head is looked at as its bytes come by, and its requests are
//! counted alike: whatever this scan finds is told to the request whose head it was.

use std::sync::{Mutex, PoisonError};

use thiserror::Error;

/// Bytes of a line that is not whole yet; hyper has given a head up before.
const LINE_BYTES_MAX: usize = 128 << 10;

/// Why a head is refused (RFC 9112, in the sections that are named).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum HeadFault {
    #[error("a line of the head ends with LF alone; lines end with CR LF (RFC 9112, section 2.2)")]
    BareLf,
    #[error("a request of HTTP/1.1 names its host, once, in `Host` (RFC 9112, section 3.2)")]
    HostMissing,
    #[error("the head has more than one `Host` (RFC 9112, section 3.2)")]
    HostRepeated,
    #[error("`Host` is no name or address with an optional port (RFC 9112, section 3.2)")]
    HostInvalid,
    #[error("the head has both `Content-Length` and `Transfer-Encoding` (RFC 9112, section 6.1)")]
    LengthAndEncoding,
    #[error("a body is sent as it is or with `Transfer-Encoding: chunked`, once (RFC 9112, section 6.1)")]
    EncodingUnknown,
}

impl HeadFault {
    /// The stable code that the answer shows.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::BareLf => "head_line_ending",
            Self::HostMissing | Self::HostRepeated | Self::HostInvalid => "host_invalid",
            Self::LengthAndEncoding => "body_length_ambiguous",
            Self::EncodingUnknown => "transfer_encoding_unsupported",
        }
    }
}

/// What was found of the heads of one connection, in their order.
#[derive(Debug, Default)]
pub(crate) struct Heads(Mutex<Found>);

#[derive(Debug, Default)]
struct Found {
    sound: usize,
    /// Of the head after the sound ones; there is none after it.
    fault: Option<HeadFault>,
}

impl Heads {
    /// What is wrong with the next request's head.
    pub(crate) fn next(&self) -> Result<(), HeadFault> {
        let mut found = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if found.sound > 0 {
            found.sound -= 1;
            return Ok(());
        }
        found.fault.map_or(Ok(()), Err)
    }

    fn tell(&self, head: Result<(), HeadFault>) {
        let mut found = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match head {
            Ok(()) => found.sound += 1,
            Err(fault) => found.fault = Some(fault),
        }
    }
}

/// Where the scan of a connection is.
#[derive(Debug, Default)]
pub(crate) struct HeadScan {
    state: State,
    /// The beginning of a line whose end did not come yet.
    partial: Vec<u8>,
    head: Head,
    /// Heads that were whole.
    heads_ended: u64,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before a request; empty lines are skipped.
    #[default]
    RequestLine,
    Fields,
    /// Within a body, or a chunk with its line ending.
    Bytes {
        left: u64,
        then: After,
    },
    ChunkSize,
    Trailers,
    /// HTTP/2, or a connection that ends.
    Off,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum After {
    Request,
    Chunk,
}

/// What matters of one head.
#[derive(Debug, Default, Clone, Copy)]
struct Head {
    is_http_11: bool,
    hosts: usize,
    host_invalid: bool,
    length: Option<u64>,
    encodings: usize,
    is_chunked: bool,
}

/// The framing of a body is broken, so nothing that follows can be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BrokenBody;

impl HeadScan {
    /// How many heads were whole so far.
    pub(crate) fn heads_ended(&self) -> u64 {
        self.heads_ended
    }

    /// Whether bytes that came belong to a request whose head is not whole.
    pub(crate) fn is_within_head(&self) -> bool {
        match self.state {
            State::RequestLine => !self.partial.is_empty(),
            State::Fields => true,
            State::Bytes { .. } | State::ChunkSize | State::Trailers | State::Off => false,
        }
    }

    /// Takes what was read from the connection.
    pub(crate) fn feed(&mut self, mut bytes: &[u8], heads: &Heads) -> Result<(), BrokenBody> {
        while !bytes.is_empty() && self.state != State::Off {
            if let State::Bytes { left, then } = self.state {
                let skipped = left.min(bytes.len() as u64);
                bytes = &bytes[skipped as usize..];
                self.state = match (left - skipped, then) {
                    (0, After::Request) => State::RequestLine,
                    (0, After::Chunk) => State::ChunkSize,
                    (left, then) => State::Bytes { left, then },
                };
                continue;
            }
            let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else {
                self.partial.extend_from_slice(bytes);
                if self.partial.len() > LINE_BYTES_MAX {
                    self.state = State::Off;
                }
                break;
            };
            let (line, rest) = bytes.split_at(end + 1);
            bytes = rest;
            if self.partial.is_empty() {
                self.line(&line[..end], heads)?;
            } else {
                let mut whole = std::mem::take(&mut self.partial);
                whole.extend_from_slice(&line[..end]);
                self.line(&whole, heads)?;
            }
        }
        Ok(())
    }

    /// Takes one line, without its LF.
    fn line(&mut self, line: &[u8], heads: &Heads) -> Result<(), BrokenBody> {
        let is_within_body = matches!(self.state, State::ChunkSize | State::Trailers);
        let Some(line) = line.strip_suffix(b"\r") else {
            self.state = State::Off;
            if is_within_body {
                return Err(BrokenBody);
            }
            heads.tell(Err(HeadFault::BareLf));
            return Ok(());
        };
        self.state = match self.state {
            State::RequestLine if line.is_empty() => State::RequestLine,
            State::RequestLine if line.starts_with(b"PRI * HTTP/2") => State::Off,
            State::RequestLine => {
                self.head = Head { is_http_11: line.ends_with(b" HTTP/1.1"), ..Head::default() };
                State::Fields
            }
            State::Fields if line.is_empty() => self.end_of_head(heads),
            State::Fields => {
                self.head.field(line);
                State::Fields
            }
            State::ChunkSize => match chunk_size(line) {
                Some(0) => State::Trailers,
                // The chunk's own line ending follows it.
                Some(size) => State::Bytes { left: size.saturating_add(2), then: After::Chunk },
                None => return Err(BrokenBody),
            },
            State::Trailers if line.is_empty() => State::RequestLine,
            state @ (State::Trailers | State::Bytes { .. } | State::Off) => state,
        };
        Ok(())
    }

    fn end_of_head(&mut self, heads: &Heads) -> State {
        let judged = self.head.judge();
        self.heads_ended += 1;
        heads.tell(judged);
        match (judged, self.head.is_chunked, self.head.length) {
            (Err(_), _, _) => State::Off,
            (Ok(()), true, _) => State::ChunkSize,
            (Ok(()), false, Some(left)) if left > 0 => State::Bytes { left, then: After::Request },
            (Ok(()), false, _) => State::RequestLine,
        }
    }
}

impl Head {
    fn field(&mut self, line: &[u8]) {
        // What is no field makes hyper give up the head.
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { return };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"host") {
            self.hosts += 1;
            self.host_invalid |= !is_host(value);
        } else if name.eq_ignore_ascii_case(b"content-length") {
            // hyper refuses those that are no number or differ from each other.
            self.length = std::str::from_utf8(value).ok().and_then(|digits| digits.parse().ok()).or(Some(0));
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.encodings += 1;
            self.is_chunked = value.eq_ignore_ascii_case(b"chunked");
        }
    }

    fn judge(&self) -> Result<(), HeadFault> {
        match self {
            Self { hosts: 2.., .. } => Err(HeadFault::HostRepeated),
            Self { hosts: 0, is_http_11: true, .. } => Err(HeadFault::HostMissing),
            Self { host_invalid: true, .. } => Err(HeadFault::HostInvalid),
            Self { encodings: 1.., length: Some(_), .. } => Err(HeadFault::LengthAndEncoding),
            Self { encodings: 2.., .. } | Self { encodings: 1, is_chunked: false, .. } => {
                Err(HeadFault::EncodingUnknown)
            }
            _ => Ok(()),
        }
    }
}

/// What RFC 3986 lets a host and port consist of; empty where the target has none.
fn is_host(value: &[u8]) -> bool {
    value.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+;=:[]%".contains(byte))
}

/// The size that a chunk begins with, without its extensions.
fn chunk_size(line: &[u8]) -> Option<u64> {
    let digits = line.split(|byte| *byte == b';').next()?.trim_ascii();
    let is_hex = !digits.is_empty() && digits.iter().all(u8::is_ascii_hexdigit);
    is_hex.then(|| u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok())?
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What is told of each head, where the bytes come in parts of this size.
    fn scan(text: &str, part: usize) -> Vec<Result<(), HeadFault>> {
        let (mut scan, heads) = (HeadScan::default(), Heads::default());
        for bytes in text.as_bytes().chunks(part) {
            if scan.feed(bytes, &heads).is_err() {
                break;
            }
        }
        let found = heads.0.lock().unwrap();
        let mut told = vec![Ok(()); found.sound];
        told.extend(found.fault.map(Err));
        told
    }

    #[test]
    fn heads_that_could_be_read_in_two_ways_are_found() {
        let check = |text: &str, expect: &[Result<(), HeadFault>]| {
            for part in [1, 2, 7, text.len()] {
                assert_eq!(scan(text, part), expect, "{text:?} by {part}");
            }
        };
        let (get, post) = ("GET / HTTP/1.1\r\nhost: a\r\n\r\n", "POST / HTTP/1.1\r\nHost: a\r\n");
        check(get, &[Ok(())]);
        check(&format!("\r\n{get}{get}"), &[Ok(()), Ok(())]);
        check("GET / HTTP/1.0\r\n\r\n", &[Ok(())]);
        check("GET / HTTP/1.1\nhost: a\r\n\r\n", &[Err(HeadFault::BareLf)]);
        check("GET / HTTP/1.1\r\nhost: a\n\r\n", &[Err(HeadFault::BareLf)]);
        check("GET / HTTP/1.1\r\nhost: a\r\n\n", &[Err(HeadFault::BareLf)]);
        check("\nGET / HTTP/1.1\r\nhost: a\r\n\r\n", &[Err(HeadFault::BareLf)]);
        check("GET / HTTP/1.1\r\n\r\n", &[Err(HeadFault::HostMissing)]);
        check("GET / HTTP/1.1\r\nhost: a\r\nHOST: a\r\n\r\n", &[Err(HeadFault::HostRepeated)]);
        check("GET / HTTP/1.1\r\nhost: a b\r\n\r\n", &[Err(HeadFault::HostInvalid)]);
        check("GET / HTTP/1.1\r\nhost: u@a/b\r\n\r\n", &[Err(HeadFault::HostInvalid)]);
        check("GET / HTTP/1.1\r\nhost: [::1]:8080\r\n\r\n", &[Ok(())]);
        check("GET / HTTP/1.1\r\nhost:\r\n\r\n", &[Ok(())]);
        let both = format!("{post}content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n");
        check(&both, &[Err(HeadFault::LengthAndEncoding)]);
        let unknown = format!("{post}transfer-encoding: gzip, chunked\r\n\r\n");
        check(&unknown, &[Err(HeadFault::EncodingUnknown)]);
        let twice = format!("{post}transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n");
        check(&twice, &[Err(HeadFault::EncodingUnknown)]);
        // Bodies are no heads, and what follows them is one.
        let with_body = format!("{post}content-length: 4\r\n\r\na\n\nb");
        check(&format!("{with_body}{get}"), &[Ok(()), Ok(())]);
        check(&format!("{with_body}GET / HTTP/1.1\n\n"), &[Ok(()), Err(HeadFault::BareLf)]);
        let chunked = format!("{post}transfer-encoding: Chunked\r\n\r\n4;x=y\r\na\n\nb\r\n0\r\nx: y\r\n\r\n");
        check(&format!("{chunked}{get}"), &[Ok(()), Ok(())]);
        check(&format!("{chunked}GET / HTTP/1.1\r\n\r\n"), &[Ok(()), Err(HeadFault::HostMissing)]);
        check("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\n\n", &[]);
    }

    #[test]
    fn a_body_whose_framing_is_broken_ends_the_connection() {
        let check = |body: &str| {
            let text = format!("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n{body}");
            assert_eq!(
                HeadScan::default().feed(text.as_bytes(), &Heads::default()),
                Err(BrokenBody),
                "{body:?}"
            );
        };
        check("4\nabcd\r\n0\r\n\r\n");
        check("x\r\n");
        check("\r\n");
        check("1ffffffffffffffff\r\n");
        check("0\r\nx: y\n\r\n");
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_parts_are_told_the_same(
            bytes in proptest::collection::vec(proptest::sample::select(b"GET / HTTP/1.1\r\n: host0".to_vec()), 0..200),
            part in 1..40_usize,
        ) {
            let text = String::from_utf8(bytes).unwrap();
            prop_assert_eq!(scan(&text, part), scan(&text, usize::MAX));
        }
    }
}
