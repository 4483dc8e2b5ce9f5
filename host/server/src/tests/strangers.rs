//! Strangers that hold on to what they get: connections, memory, time.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Empty;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::ADMIN;
use super::connections::{Listening, rest};
use crate::{ServerConfig, UnfinishedLimits};

const SHORT: Duration = Duration::from_millis(50);
const LIVEZ: &str = "GET /livez HTTP/1.1\r\nhost: a\r\n\r\n";

fn idle_for(idle_timeout: Duration) -> ServerConfig {
    ServerConfig { idle_timeout, ..ServerConfig::default() }
}

/// Reads the head of one answer and what is there of its body.
async fn answer(stream: &mut TcpStream) -> String {
    let mut received = Vec::new();
    while !received.windows(4).any(|end| end == b"\r\n\r\n") {
        assert!(stream.read_buf(&mut received).await.unwrap() > 0, "closed after {received:?}");
    }
    String::from_utf8(received).unwrap()
}

/// Answering pings is no reason to stay, nor is having asked something once.
#[tokio::test]
async fn an_http2_connection_without_requests_is_closed() {
    let listening = Listening::start_with(idle_for(SHORT)).await;
    for asks in [true, false] {
        let stream = TokioIo::new(listening.connect("").await);
        // hyper's client answers pings.
        let (mut sender, driver) = http2::handshake(TokioExecutor::new(), stream).await.unwrap();
        let driving = tokio::spawn(driver);
        if asks {
            let request = Request::get("http://a/livez").body(Empty::<Bytes>::new()).unwrap();
            assert_eq!(sender.send_request(request).await.unwrap().status(), 200);
        }
        let _ = driving.await.unwrap();
        assert!(sender.is_closed());
    }
    listening.end().await;
}

#[tokio::test]
async fn one_that_pings_all_the_time_is_closed() {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    const PING: &[u8] = b"\0\0\x08\x06\0\0\0\0\0pingping";
    let listening = Listening::start_with(idle_for(SHORT)).await;
    let (mut read, mut write) = listening.connect("").await.into_split();
    write.write_all(PREFACE).await.unwrap();
    let reading = tokio::spawn(async move { tokio::io::copy(&mut read, &mut tokio::io::sink()).await });
    while write.write_all(PING).await.is_ok() {
        tokio::task::yield_now().await;
    }
    let _ = reading.await.unwrap();
    listening.end().await;
}

#[tokio::test]
async fn one_that_asks_and_never_reads_is_closed() {
    let config = ServerConfig { write_timeout: SHORT, ..ServerConfig::default() };
    let listening = Listening::start_with(config).await;
    let mut stream = listening.connect("").await;
    // The answers fill the socket's buffers, then the requests do, and then nothing goes on until the router closes.
    let requests = LIVEZ.repeat(100);
    while stream.write_all(requests.as_bytes()).await.is_ok() {}
    listening.end().await;
}

/// In HTTP/2 an answer can be refused without a full socket: by granting it no window.
#[tokio::test]
async fn one_that_grants_no_window_is_closed() {
    let config = ServerConfig { write_timeout: SHORT, ..ServerConfig::default() };
    let listening = Listening::start_with(config).await;
    let stream = TokioIo::new(listening.connect("").await);
    let (mut sender, driver) = http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(0)
        .handshake(stream)
        .await
        .unwrap();
    let driving = tokio::spawn(driver);
    let request = Request::get("http://a/nowhere").body(Empty::<Bytes>::new()).unwrap();
    let response = sender.send_request(request).await.unwrap();
    assert_eq!(response.status(), 404);
    let _ = driving.await.unwrap();
    assert!(sender.is_closed());
    drop(response);
    listening.end().await;
}

#[tokio::test]
async fn a_newcomer_finds_room_and_the_longest_idle_goes() {
    let config =
        ServerConfig { connections_max: 2, connections_per_client_max: 2, ..ServerConfig::default() };
    let listening = Listening::start_with(config).await;
    let mut first = listening.connect(LIVEZ).await;
    assert!(answer(&mut first).await.starts_with("HTTP/1.1 200 "));
    let mut second = listening.connect(LIVEZ).await;
    assert!(answer(&mut second).await.starts_with("HTTP/1.1 200 "));
    for _ in 0..20 {
        let mut third = listening.connect(LIVEZ).await;
        assert!(answer(&mut third).await.starts_with("HTTP/1.1 200 "));
    }
    let _ = rest(first).await;
    listening.end().await;
}

/// The whole budget is not one client's, and what is over it is told when to come back.
#[tokio::test]
async fn unfinished_bodies_are_bounded() {
    const BODY_BYTES: usize = 20_000;
    let limits =
        UnfinishedLimits { bytes_max: 64_000, bytes_per_client_max: 32_000, bytes_per_owner_max: 64_000 };
    let config = ServerConfig { unfinished: limits, ..ServerConfig::default() };
    let listening = Listening::start_with(config).await;
    let head = format!(
        "POST /api/v1/app HTTP/1.1\r\nhost: a\r\nx-api-key: {ADMIN}\r\ncontent-length: {BODY_BYTES}\r\n\r\n"
    );
    let stalled = format!("{head}{}", "x".repeat(BODY_BYTES - 1));
    let (answered, mut answers) = tokio::sync::mpsc::unbounded_channel();
    let mut stalling = Vec::new();
    for _ in 0..3 {
        let (mut read, write) = listening.connect(&stalled).await.into_split();
        stalling.push(write);
        let answered = answered.clone();
        tokio::spawn(async move {
            let mut received = Vec::new();
            while !received.windows(4).any(|end| end == b"\r\n\r\n") {
                if read.read_buf(&mut received).await.unwrap_or(0) == 0 {
                    break;
                }
            }
            let _ = answered.send(String::from_utf8(received).unwrap());
        });
    }
    for _ in 0..2 {
        let answer = answers.recv().await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 429 ") && answer.contains("\r\nretry-after: 2\r\n"), "{answer}");
    }
    // The last byte of the third is all that was missing; whichever it is, it is taken.
    for write in &mut stalling {
        let _ = write.write_all(b"x").await;
    }
    let answer = answers.recv().await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    let mut whole = listening.connect(&format!("{head}{}", "x".repeat(BODY_BYTES))).await;
    assert!(self::answer(&mut whole).await.contains(" 400 "), "what was held is given back");
    listening.end().await;
}

/// Heads that are not whole are held too.
#[tokio::test]
async fn unfinished_heads_are_bounded() {
    let limits = UnfinishedLimits { bytes_max: 9000, bytes_per_client_max: 9000, bytes_per_owner_max: 9000 };
    let config = ServerConfig { unfinished: limits, ..ServerConfig::default() };
    let listening = Listening::start_with(config).await;
    let half = format!("GET /livez HTTP/1.1\r\nhost: a\r\nx: {}", "y".repeat(10_000));
    assert!(!rest(listening.connect(&half).await).await.contains(" 200 "));
    let mut sound = listening.connect(LIVEZ).await;
    assert!(answer(&mut sound).await.starts_with("HTTP/1.1 200 "));
    listening.end().await;
}

#[tokio::test]
async fn a_body_that_stalls_is_not_waited_for() {
    let config = ServerConfig { body_stall_timeout: SHORT, ..ServerConfig::default() };
    let listening = Listening::start_with(config).await;
    let head =
        format!("POST /api/v1/app HTTP/1.1\r\nhost: a\r\nx-api-key: {ADMIN}\r\ncontent-length: 9\r\n\r\n{{");
    let mut stalled = listening.connect(&head).await;
    assert!(answer(&mut stalled).await.starts_with("HTTP/1.1 408 "));
    listening.end().await;
}

#[tokio::test]
async fn wrong_keys_are_slowed_and_a_right_one_is_not() {
    let config = ServerConfig { wrong_keys_per_minute_max: 3, ..ServerConfig::default() };
    let listening = Listening::start_with(config).await;
    let ask = async |method: &str, path: &str, key: &str, expect: &str| {
        let request =
            format!("{method} {path} HTTP/1.1\r\nhost: a\r\nx-api-key: {key}\r\ncontent-length: 0\r\n\r\n");
        let mut stream = listening.connect(&request).await;
        let answer = answer(&mut stream).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {expect} ")), "{path} {key}: {answer}");
        answer
    };
    for path in ["/api/v1/app", "/metrics", "/api/v1/app/none/endpoint"] {
        ask("GET", path, "wrong", "401").await;
    }
    for (method, path) in [("GET", "/api/v1/app"), ("POST", "/graphql"), ("POST", "/api/v1/app/none/msg")] {
        let answer = ask(method, path, "wrong", "429").await;
        assert!(answer.contains("\r\nretry-after: "), "{answer}");
        ask("GET", "/api/v1/app", ADMIN, "200").await;
    }
    listening.end().await;
}

#[tokio::test]
async fn heads_that_are_too_large_are_refused_with_a_code() {
    let listening = Listening::start_with(ServerConfig::default()).await;
    let check = async |path_bytes: usize, header_bytes: usize, expect: &str, code: &str| {
        let (path, header) = ("p".repeat(path_bytes), "h".repeat(header_bytes));
        let request = format!("GET /{path} HTTP/1.1\r\nhost: a\r\nx: {header}\r\n\r\n");
        let answer = rest(listening.connect(&request).await).await;
        assert!(answer.starts_with(expect) && answer.contains(code), "{path_bytes} {header_bytes}: {answer}");
    };
    check(9000, 0, "HTTP/1.1 414 ", "uri_too_long").await;
    check(60_000, 0, "HTTP/1.1 414 ", "uri_too_long").await;
    check(0, 33_000, "HTTP/1.1 431 ", "headers_too_large").await;
    check(0, 70_000, "HTTP/1.1 431 ", "").await;
    listening.end().await;
}

#[tokio::test]
async fn heads_that_can_be_read_in_two_ways_are_refused() {
    let listening = Listening::start_with(ServerConfig::default()).await;
    let check = async |request: &str, code: &str| {
        let answer = rest(listening.connect(request).await).await;
        assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains(code), "{request:?}: {answer}");
        assert_eq!(
            answer.matches("\r\ndate: ").count(),
            1,
            "nothing after it is answered: {request:?}: {answer}"
        );
    };
    check("GET /livez HTTP/1.1\nhost: a\n\n", "head_line_ending").await;
    check("GET /livez HTTP/1.1\r\nhost: a\nx: y\r\n\r\n", "head_line_ending").await;
    check("GET /livez HTTP/1.1\r\n\r\n", "host_invalid").await;
    check("GET /livez HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n", "host_invalid").await;
    let smuggling =
        "POST /livez HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n";
    check(&format!("{smuggling}0\r\n\r\n{LIVEZ}"), "body_length_ambiguous").await;
    // One that comes after others on its connection is found as well.
    let mut kept = listening.connect(LIVEZ).await;
    assert!(answer(&mut kept).await.starts_with("HTTP/1.1 200 "));
    kept.write_all(b"GET /livez HTTP/1.1\n\n").await.unwrap();
    assert!(rest(kept).await.contains("HTTP/1.1 400 "));
    listening.end().await;
}
