//! What is sent, and what is read of an answer.

use hookmill_core::limits::RESPONSE_BODY_BYTES_MAX;
use hookmill_testkit::receiver::{Answer, Behaviour, Received, Receiver};

use super::*;

fn answered(status: u16, retry_after_secs: Option<u64>, body: impl Into<Bytes>) -> Outcome {
    Outcome::Answered {
        status,
        retry_after: retry_after_secs.map(Duration::from_secs),
        headers: HeaderMap::new(),
        body: body.into(),
    }
}

/// An outcome as [`answered`] makes it: headers aside.
fn bare(mut outcome: Outcome) -> Outcome {
    if let Outcome::Answered { headers, .. } = &mut outcome {
        headers.clear();
    }
    outcome
}

#[tokio::test]
async fn sends_what_it_was_given_and_no_more() {
    let receiver = Receiver::start(Behaviour::accepts()).await;
    let outcome = local().send(post(&receiver.url("/hook?a=%20b"), "body"), AMPLE).await;
    assert_eq!(bare(outcome), answered(200, None, ""));
    let Received { method, path, headers, body, .. } = receiver.requests().remove(0);
    assert_eq!((method.as_str(), path.as_str(), &body[..]), ("POST", "/hook?a=%20b", &b"body"[..]));
    let mut sent: Vec<_> =
        headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
    sent.sort_unstable();
    let host = receiver.address().to_string();
    let expect = [
        ("content-length", "4"),
        ("content-type", "application/json"),
        ("host", host.as_str()),
        ("webhook-id", "msg_1"),
    ];
    assert_eq!(sent, expect);
}

#[tokio::test]
async fn sends_bodies_of_any_size_by_any_method() {
    let receiver = Receiver::start(Behaviour::accepts()).await;
    let transport = local();
    for length in [0, 1, 4096, 1 << 20] {
        let body: Bytes = (0..length).map(|at| (at % 251) as u8).collect();
        for method in [Method::POST, Method::PUT, Method::PATCH] {
            let request = OutgoingRequest { method, ..post(&receiver.url("/"), body.clone()) };
            assert_eq!(transport.send(request, AMPLE).await.status(), Some(200));
            let received = receiver.requests().pop().unwrap();
            assert!(received.body == body, "{length} bytes");
            assert_eq!(received.headers["content-length"], length.to_string());
        }
    }
}

#[tokio::test]
async fn reports_status_retry_after_and_body() {
    let script = [
        Answer::status(202).body("thanks"),
        Answer::status(204),
        Answer::status(429).header("retry-after", "7"),
        Answer::status(503).header("retry-after", "Sun, 22 Nov 2026 01:03:03 GMT").body("later"),
        Answer::status(503).header("retry-after", "soon"),
        Answer::status(410),
        Answer::status(599),
        Answer::status(200).header("content-encoding", "gzip").body("left packed"),
    ];
    let receiver = Receiver::start(Behaviour::Answers(script.to_vec())).await;
    let transport = local();
    let url = receiver.url("/");
    let check = async |expect| assert_eq!(bare(send(&transport, &url).await), expect);
    check(answered(202, None, "thanks")).await;
    check(answered(204, None, "")).await;
    check(answered(429, Some(7), "")).await;
    check(answered(503, Some(60), "later")).await;
    check(answered(503, None, "")).await;
    check(answered(410, None, "")).await;
    check(answered(599, None, "")).await;
    check(answered(200, None, "left packed")).await;
}

#[tokio::test]
async fn an_informational_answer_is_not_the_answer() {
    let say = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: <a>\r\n\r\n\
        HTTP/1.1 202 Accepted\r\ncontent-length: 2\r\n\r\nok";
    let receiver = Receiver::start(Behaviour::Says(Bytes::from_static(say.as_bytes()))).await;
    assert_eq!(bare(send(&local(), &receiver.url("/")).await), answered(202, None, "ok"));
}

#[tokio::test]
async fn bodies_are_read_up_to_the_limit() {
    let check = async |length: usize, expect_connections: usize| {
        let body = "b".repeat(length);
        let receiver =
            Receiver::start(Behaviour::Answers(vec![Answer::status(200).body(body.clone())])).await;
        let transport = local();
        let expect = body[..length.min(RESPONSE_BODY_BYTES_MAX)].to_owned();
        assert_eq!(
            bare(send(&transport, &receiver.url("/")).await),
            answered(200, None, expect),
            "{length} bytes"
        );
        send(&transport, &receiver.url("/")).await;
        assert_eq!(receiver.connections(), expect_connections, "{length} bytes");
    };
    check(RESPONSE_BODY_BYTES_MAX - 1, 1).await;
    check(RESPONSE_BODY_BYTES_MAX, 1).await;
    // What is not read can't be skipped either, so the connection is given up.
    check(RESPONSE_BODY_BYTES_MAX + 1, 2).await;
    check(10 << 20, 2).await;
}

#[tokio::test]
async fn a_body_may_end_with_its_connection_or_come_in_chunks() {
    let check = async |answer: &'static str, expect: &'static str| {
        let receiver = Receiver::start(Behaviour::Says(Bytes::from_static(answer.as_bytes()))).await;
        assert_eq!(bare(send(&local(), &receiver.url("/")).await), answered(200, None, expect), "{answer:?}");
    };
    check("HTTP/1.1 200 OK\r\n\r\nto the end", "to the end").await;
    check("HTTP/1.0 200 OK\r\n\r\nold", "old").await;
    let chunked =
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nx: y\r\n\r\n";
    check(chunked, "abcde").await;
}

/// A recipient replaces each line break of a folded header by spaces (RFC 9112, section 5.2).
#[tokio::test]
async fn a_folded_header_line_is_one_line() {
    let check = async |head: &'static str, name: &str, expect: &str| {
        let receiver = Receiver::start(Behaviour::Says(Bytes::from_static(head.as_bytes()))).await;
        let outcome = send(&local(), &receiver.url("/")).await;
        let Outcome::Answered { status: 200, headers, body, .. } = outcome else {
            panic!("{head:?}: {outcome:?}")
        };
        let value = headers[name].to_str().unwrap();
        assert_eq!(value.split_whitespace().collect::<Vec<_>>().join(" "), expect, "{head:?}");
        assert_eq!(body, "ok", "{head:?}");
    };
    let folded = "HTTP/1.1 200 OK\r\nx-policy: one;\r\n\ttwo;\r\n  three\r\ncontent-length: 2\r\n\r\nok";
    check(folded, "x-policy", "one; two; three").await;
    check("HTTP/1.1 200 OK\r\nx-a:\r\n b\r\ncontent-length: 2\r\n\r\nok", "x-a", "b").await;
    check("HTTP/1.1 200 OK\r\nx-a : b\r\ncontent-length: 2\r\n\r\nok", "x-a", "b").await;
}
