//! The receivers, seen by a client of raw bytes.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

const REQUEST: &[u8] = b"POST /hook?a=1 HTTP/1.1\r\nhost: h\r\nx-a: 1\r\ncontent-length: 4\r\n\r\nbody";

#[expect(clippy::disallowed_methods, reason = "the client of these tests dials 127.0.0.1 by hand")]
async fn dial(receiver: &Receiver) -> TcpStream {
    TcpStream::connect(receiver.address()).await.unwrap()
}

/// Sends one request and reads until the receiver closes.
async fn exchange(behaviour: Behaviour, request: &[u8]) -> (io::Result<String>, Vec<Received>) {
    let receiver = Receiver::start(behaviour).await;
    let mut stream = dial(&receiver).await;
    stream.write_all(request).await.unwrap();
    let mut answer = String::new();
    let read = stream.read_to_string(&mut answer).await;
    (read.map(|_| answer), receiver.requests())
}

#[tokio::test]
async fn answers_a_script_then_200_and_records() {
    let script = vec![
        Answer::status(500).body("no"),
        Answer::status(503).header("retry-after", "5"),
        Answer::redirect(307, "http://127.0.0.1:1/"),
    ];
    let receiver = Receiver::start(Behaviour::Answers(script)).await;
    let mut stream = dial(&receiver).await;
    let mut check = async |expect: &str| {
        stream.write_all(REQUEST).await.unwrap();
        let mut answer = vec![0; expect.len()];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(String::from_utf8(answer).unwrap(), expect);
    };
    check("HTTP/1.1 500 Internal Server Error\r\ncontent-length: 2\r\n\r\nno").await;
    check("HTTP/1.1 503 Service Unavailable\r\nretry-after: 5\r\ncontent-length: 0\r\n\r\n").await;
    check("HTTP/1.1 307 Temporary Redirect\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n")
        .await;
    check("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;

    let requests = receiver.wait_for(4).await;
    assert_eq!(requests.len(), 4);
    assert_eq!(receiver.connections(), 1);
    let first = &requests[0];
    assert_eq!((first.method.as_str(), first.path.as_str()), ("POST", "/hook?a=1"));
    assert_eq!(first.headers["x-a"], "1");
    assert_eq!((&first.body[..], first.connection), (&b"body"[..], 1));
}

#[tokio::test]
async fn reads_chunked_bodies() {
    let request = b"PUT / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n";
    let (_, requests) = exchange(Behaviour::Answers(vec![Answer::status(200).then_close()]), request).await;
    assert_eq!(&requests[0].body[..], b"abcde");
}

#[tokio::test]
async fn misbehaves_as_told() {
    let check = async |behaviour, expect: &str| {
        let (answer, requests) = exchange(behaviour, REQUEST).await;
        assert_eq!(answer.unwrap(), expect);
        assert_eq!(requests.len(), 1);
    };
    check(Behaviour::ClosesUnanswered, "").await;
    check(Behaviour::Says(Bytes::from_static(b"SSH-2.0-x\r\n")), "SSH-2.0-x\r\n").await;
    let half = format!("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{}", "h".repeat(500));
    check(Behaviour::ClosesMidBody, &half).await;
}

#[tokio::test]
async fn resets_as_told() {
    for behaviour in [Behaviour::ResetsOnAccept, Behaviour::ResetsMidBody] {
        let receiver = Receiver::start(behaviour).await;
        let mut stream = dial(&receiver).await;
        // The write itself fails where the reset was faster.
        let _ = stream.write_all(REQUEST).await;
        let mut answer = Vec::new();
        let error = stream.read_to_end(&mut answer).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }
}

#[tokio::test]
async fn a_gate_holds_answers_back() {
    let gate = Gate::closed();
    let receiver = Receiver::start(Behaviour::Gated(gate.clone())).await;
    let mut stream = dial(&receiver).await;
    stream.write_all(REQUEST).await.unwrap();
    receiver.wait_for(1).await;
    assert_eq!(stream.try_read(&mut [0; 1]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    gate.release(1);
    assert!(stream.read(&mut [0; 100]).await.unwrap() > 0);
    gate.open();
    stream.write_all(REQUEST).await.unwrap();
    assert!(stream.read(&mut [0; 100]).await.unwrap() > 0);
}

#[tokio::test]
async fn dropping_it_closes_everything() {
    let receiver = Receiver::start(Behaviour::NeverAnswers).await;
    let mut stream = dial(&receiver).await;
    stream.write_all(REQUEST).await.unwrap();
    receiver.wait_for(1).await;
    drop(receiver);
    assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0);
}
