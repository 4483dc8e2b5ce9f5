//! Sockets for clients that HTTP libraries refuse to be: slow, cut off, malformed.

use std::net::{IpAddr, SocketAddr};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::wait;

/// What an HTTP/2 connection begins with (RFC 9113, section 3.4), before its settings.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The type of a frame of settings.
const SETTINGS: u8 = 4;

/// A connection of bytes.
#[derive(Debug)]
pub struct Wire(TcpStream);

impl Wire {
    /// Connects.
    ///
    /// # Panics
    /// If nobody listens.
    #[expect(clippy::disallowed_methods, reason = "a test is a client of the router, on this machine")]
    pub async fn connect(address: SocketAddr) -> Self {
        Self(TcpStream::connect(address).await.expect("somebody listens"))
    }

    /// Connects from this address of this machine: another client to the router.
    ///
    /// # Panics
    /// If there is no such address, or nobody listens.
    #[expect(clippy::disallowed_methods, reason = "a test is a client of the router, on this machine")]
    pub async fn connect_from(address: IpAddr, router: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(SocketAddr::new(address, 0)).expect("all of 127.0.0.0/8 is this machine");
        Self(socket.connect(router).await.expect("somebody listens"))
    }

    /// Waits until the other side closes, however long that takes.
    pub async fn closed(&mut self) {
        let mut bytes = [0; 4096];
        while self.0.read(&mut bytes).await.is_ok_and(|read| read > 0) {}
    }

    /// Writes these bytes again and again until the other side closes, and reads nothing.
    pub async fn send_until_closed(&mut self, bytes: &str) {
        while self.0.write_all(bytes.as_bytes()).await.is_ok() {}
    }

    /// Speaks HTTP/2 (RFC 9113): answers pings, and does nothing else, until the other side closes.
    pub async fn answer_pings(&mut self) {
        const PING: u8 = 6;
        self.try_send([PREFACE, &frame(SETTINGS, 0, 0, b"")].concat()).await;
        while let Some((kind, flags, payload)) = self.read_frame().await {
            if kind == PING && flags == 0 {
                self.try_send(frame(PING, 1, 0, &payload)).await;
            }
        }
    }

    /// Speaks HTTP/2: asks for the same in so many streams, and takes no byte of any answer's body. Done when all are answered.
    ///
    /// # Panics
    /// If the router closes before.
    pub async fn ask_in_streams(&mut self, path: &str, key: &str, streams: u32) {
        const INITIAL_WINDOW_SIZE: u8 = 4;
        const HEADERS: u8 = 1;
        const END_STREAM_AND_HEADERS: u8 = 5;
        let authorization = format!("Bearer {key}");
        let fields = [
            (":method", "GET"),
            (":scheme", "http"),
            (":path", path),
            (":authority", "router"),
            ("authorization", &authorization),
        ];
        let block: Vec<u8> = fields.iter().flat_map(|(name, value)| literal(name, value)).collect();
        let settings = frame(SETTINGS, 0, 0, &[0, INITIAL_WINDOW_SIZE, 0, 0, 0, 0]);
        let mut asked = [PREFACE, &settings].concat();
        for stream in 0..streams {
            asked.extend(frame(HEADERS, END_STREAM_AND_HEADERS, 2 * stream + 1, &block));
        }
        self.send(asked).await;
        let mut answered = 0;
        while answered < streams {
            let read = wait::event("an answer's head comes", self.read_frame()).await;
            let (kind, ..) = read.expect("the connection stays");
            answered += u32::from(kind == HEADERS);
        }
    }

    /// The next frame's type, flags and payload; nothing where the other side closed.
    async fn read_frame(&mut self) -> Option<(u8, u8, Vec<u8>)> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).await.ok()?;
        let [first, second, third, kind, flags, ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, first, second, third]) as usize];
        self.0.read_exact(&mut payload).await.ok()?;
        Some((kind, flags, payload))
    }

    /// Writes these bytes.
    ///
    /// # Panics
    /// If the other side closed.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.expect("the other side takes it");
    }

    /// Writes these bytes, or as many of them as the other side takes before it closes.
    pub async fn try_send(&mut self, bytes: impl AsRef<[u8]>) {
        // A close is an answer too.
        let _ = self.0.write_all(bytes.as_ref()).await;
    }

    /// Says that nothing more comes, and goes on reading.
    ///
    /// # Panics
    /// If the connection is gone.
    pub async fn finish(&mut self) {
        self.0.shutdown().await.expect("the connection is there");
    }

    /// Reads until the other side closes; a reset ends it too.
    ///
    /// # Panics
    /// If it never does.
    pub async fn read_to_end(&mut self) -> String {
        let mut bytes = Vec::new();
        // A reset is an end as well; what came before it counts.
        let _ = wait::event("the other side closes", self.0.read_to_end(&mut bytes)).await;
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Reads until the end of an answer's head.
    ///
    /// # Panics
    /// If the other side closes before.
    pub async fn read_head(&mut self) -> String {
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"\r\n\r\n") {
            let read = wait::event("an answer comes", self.0.read_u8()).await;
            bytes.push(read.expect("an answer has a whole head"));
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// Sends these bytes, reads until the other side closes.
pub async fn exchange(address: SocketAddr, bytes: impl AsRef<[u8]>) -> String {
    let mut wire = Wire::connect(address).await;
    wire.send(bytes).await;
    wire.read_to_end().await
}

/// A frame of HTTP/2 (RFC 9113, section 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let [_, length @ ..] = u32::try_from(payload.len()).expect("frames are short").to_be_bytes();
    [&length, [kind, flags].as_slice(), &stream.to_be_bytes(), payload].concat()
}

/// A field that is not indexed (RFC 7541, section 6.2.2), of less than 127 bytes each.
fn literal(name: &str, value: &str) -> Vec<u8> {
    let text = |text: &str| {
        let length = u8::try_from(text.len()).ok().filter(|length| *length < 127).expect("fields are short");
        [&[length], text.as_bytes()].concat()
    };
    [vec![0], text(name), text(value)].concat()
}
