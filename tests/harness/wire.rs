//! Sockets for clients that HTTP libraries refuse to be: slow, cut off, malformed.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::wait;

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
