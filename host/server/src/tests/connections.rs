//! Real sockets: how connections begin and end.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{ADMIN, World};
use crate::{Server, ServerConfig, UnfinishedLimits};

pub(super) struct Listening {
    pub(super) address: SocketAddr,
    shutdown: CancellationToken,
    serving: JoinHandle<std::io::Result<()>>,
}

impl Listening {
    async fn start(idle_timeout: Duration) -> Self {
        Self::start_with(ServerConfig { idle_timeout, connections_max: 2, ..ServerConfig::default() }).await
    }

    pub(super) async fn start_with(config: ServerConfig) -> Self {
        let app = std::sync::Arc::clone(&World::new().await.server.context.app);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let serving = tokio::spawn(Server::new(app, config).serve(listener, shutdown.clone()));
        Self { address, shutdown, serving }
    }

    #[expect(clippy::disallowed_methods, reason = "the test's own server")]
    pub(super) async fn connect(&self, sent: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(sent.as_bytes()).await.unwrap();
        stream
    }

    pub(super) async fn end(self) {
        self.shutdown.cancel();
        self.serving.await.unwrap().unwrap();
    }
}

/// What comes until the router closes the connection.
pub(super) async fn rest(mut stream: TcpStream) -> String {
    let mut received = Vec::new();
    // A reset is an end as well; what came before it counts.
    let _ = stream.read_to_end(&mut received).await;
    String::from_utf8(received).unwrap()
}

#[tokio::test]
async fn requests_are_answered_and_idle_connections_closed_at_the_drain() {
    let listening = Listening::start(Duration::from_secs(30)).await;
    let request = format!("GET /api/v1/app HTTP/1.1\r\nhost: a\r\nx-api-key: {ADMIN}\r\n\r\n");
    // Accepted in the order they came: once the second is answered, the first is no longer in the backlog.
    let silent = listening.connect("").await;
    let mut kept = listening.connect(&request).await;
    let mut head = [0; 15];
    kept.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 200 OK");
    listening.end().await;
    assert!(rest(kept).await.ends_with('}'));
    assert_eq!(rest(silent).await, "");
}

#[tokio::test]
async fn connections_that_never_ask_are_closed() {
    let listening = Listening::start(Duration::from_millis(20)).await;
    // More of them than there may be connections, so each must have gone for the next to be accepted.
    for beginning in ["", "G", "PRI * HTTP/2", "GET / HTTP/1.1\r\nhost: a\r\n"] {
        let stream = listening.connect(beginning).await;
        let received = rest(stream).await;
        assert!(!received.contains(" 200 "), "{beginning:?}: {received}");
    }
    listening.end().await;
}

#[tokio::test]
async fn endless_headers_are_refused() {
    let listening = Listening::start(Duration::from_secs(30)).await;
    let headers: String = (0..200).map(|number| format!("x-{number}: 1\r\n")).collect();
    let stream = listening.connect(&format!("GET /livez HTTP/1.1\r\nhost: a\r\n{headers}\r\n")).await;
    assert!(rest(stream).await.starts_with("HTTP/1.1 431 "));
    listening.end().await;
}

/// What is held for heads is given back when they are whole, also where every read ends within the next one.
#[tokio::test]
async fn pipelined_requests_hold_no_more_than_the_last_head() {
    const REQUESTS: usize = 3000;
    let unfinished = UnfinishedLimits::of(400_000);
    let listening = Listening::start_with(ServerConfig { unfinished, ..ServerConfig::default() }).await;
    let request =
        |more: &str| format!("GET /livez HTTP/1.1\r\nhost: a\r\nx: {}\r\n{more}\r\n", "v".repeat(100));
    let last = request("connection: close\r\n");
    let answers = rest(listening.connect(&(request("").repeat(REQUESTS - 1) + &last)).await).await;
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), REQUESTS);
    listening.end().await;
}
