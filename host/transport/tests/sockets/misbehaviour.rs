//! Receivers that misbehave: each gives its class, none holds the attempt beyond its deadline.

use std::net::TcpListener;

use hookmill_testkit::receiver::{Behaviour, Receiver};

use super::*;

/// Name servers that never answer.
struct Silent;

impl Resolve for Silent {
    fn lookup<'a>(&'a self, _: &'a str) -> PortFuture<'a, Result<Vec<IpAddr>, LookupFailed>> {
        Box::pin(std::future::pending())
    }
}

async fn check(behaviour: Behaviour, timeout: Duration, expect: TransportFailure) {
    let receiver = Receiver::start(behaviour).await;
    let outcome = local().send(post(&receiver.url("/"), "{}"), timeout).await;
    assert_eq!(failure_class(&outcome), Some(expect), "{outcome:?}");
}

#[tokio::test]
async fn slow_receivers_run_out_of_time() {
    check(Behaviour::NeverAnswers, SHORT, TransportFailure::ResponseTimeout).await;
    check(Behaviour::NeverReads, SHORT, TransportFailure::ResponseTimeout).await;
    check(Behaviour::DripsHead, SHORT, TransportFailure::ResponseTimeout).await;
    check(Behaviour::InformationalFlood, SHORT, TransportFailure::ResponseTimeout).await;
    check(Behaviour::DripsBody, SHORT, TransportFailure::BodyTimeout).await;
}

#[tokio::test]
async fn a_large_request_that_is_never_read_runs_out_of_time() {
    let receiver = Receiver::start(Behaviour::NeverReads).await;
    let outcome = local().send(post(&receiver.url("/"), vec![b'a'; 1 << 20]), SHORT).await;
    assert_eq!(failure_class(&outcome), Some(TransportFailure::ResponseTimeout));
}

#[tokio::test]
async fn endless_answers_are_cut() {
    check(Behaviour::EndlessHead, AMPLE, TransportFailure::ResponseHeaderTooLarge).await;
    let receiver = Receiver::start(Behaviour::EndlessBody).await;
    let Outcome::Answered { status, body, .. } = send(&local(), &receiver.url("/")).await else {
        panic!("an endless body is cut, not refused")
    };
    assert_eq!((status, body.len()), (200, hookmill_core::limits::RESPONSE_BODY_BYTES_MAX));
}

#[tokio::test]
async fn connections_that_break_off_are_told_apart_from_silence() {
    check(Behaviour::ResetsOnAccept, AMPLE, TransportFailure::ConnectionReset).await;
    check(Behaviour::ResetsMidBody, AMPLE, TransportFailure::ConnectionReset).await;
    check(Behaviour::ClosesMidBody, AMPLE, TransportFailure::ConnectionReset).await;
    check(Behaviour::ClosesUnanswered, AMPLE, TransportFailure::ConnectionReset).await;
    let cut_short = Behaviour::Says(Bytes::from_static(b"HTTP/1.1 200 O"));
    check(cut_short, AMPLE, TransportFailure::ConnectionReset).await;
}

#[tokio::test]
async fn what_is_not_http_is_named() {
    for answer in [
        "SSH-2.0-OpenSSH_9.9\r\n\r\n",
        "<html>hello</html>\r\n\r\n",
        "HTTP/1.1 OK\r\n\r\n",
        "HTTP/1.1 99999 Much\r\n\r\n",
        "HTTP/1.1 099 Low\r\n\r\n",
        "HTTP/1.1 600 High\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 999 High\r\ncontent-length: 0\r\n\r\n",
        "HTTP/3.0 200 OK\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon here\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
        "\0\0\0\0\0\0\0\0",
    ] {
        let receiver = Receiver::start(Behaviour::Says(Bytes::from_static(answer.as_bytes()))).await;
        let outcome = send(&local(), &receiver.url("/")).await;
        assert_eq!(failure_class(&outcome), Some(TransportFailure::ProtocolError), "{answer:?}: {outcome:?}");
    }
}

#[tokio::test]
async fn too_many_headers_are_named() {
    let head: String = (0..200).map(|number| format!("x-{number}: y\r\n")).collect();
    let answer = Bytes::from(format!("HTTP/1.1 200 OK\r\n{head}content-length: 0\r\n\r\n"));
    check(Behaviour::Says(answer), AMPLE, TransportFailure::ResponseHeaderTooLarge).await;
}

#[tokio::test]
async fn a_port_without_listener_refuses() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let outcome = send(&local(), &format!("http://{address}/")).await;
    assert_eq!(failure_class(&outcome), Some(TransportFailure::ConnectRefused));
}

#[tokio::test]
async fn a_listener_that_accepts_nobody_runs_out_of_time() {
    // A queue of no length takes one connection; the kernel leaves the next ones waiting.
    let listener = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    listener.bind(&"127.0.0.1:0".parse::<std::net::SocketAddr>().unwrap().into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    let url = format!("http://{address}/");
    let transport = local();
    let first = transport.send(post(&url, ""), SHORT).await;
    assert_eq!(failure_class(&first), Some(TransportFailure::ResponseTimeout), "connected, in the queue");
    // The first connection is gone from our side and still in the queue.
    let second = transport.send(post(&url, ""), SHORT).await;
    assert_eq!(failure_class(&second), Some(TransportFailure::ConnectTimeout));
}

#[tokio::test]
async fn names_that_give_no_address_are_named() {
    let check = async |resolver: Arc<dyn Resolve>| {
        let outcome = transport(private_too(), resolver).send(post("http://gone.example/", ""), SHORT).await;
        assert_eq!(failure_class(&outcome), Some(TransportFailure::DnsFailed), "{outcome:?}");
    };
    check(Names::none()).await;
    check(Names::of(&["gone.example: "])).await;
    check(Arc::new(Silent)).await;
}

#[tokio::test]
async fn the_connect_timeout_is_shorter_than_the_attempt() {
    let config = TransportConfig { connect_timeout: SHORT, ..config(private_too(), Arc::new(Silent)) };
    let outcome = send(&HttpTransport::new(config).unwrap(), "http://slow.example/").await;
    assert_eq!(failure_class(&outcome), Some(TransportFailure::DnsFailed));
}

#[tokio::test]
async fn a_slow_receiver_delays_no_other() {
    let slow = Receiver::start(Behaviour::NeverAnswers).await;
    let good = Receiver::start(Behaviour::accepts()).await;
    let transport = Arc::new(local());
    let held: Vec<_> = (0..32)
        .map(|_| {
            let (transport, request) = (Arc::clone(&transport), post(&slow.url("/"), "{}"));
            tokio::spawn(async move { transport.send(request, AMPLE).await })
        })
        .collect();
    slow.wait_for(32).await;
    assert_eq!(send(&transport, &good.url("/")).await.status(), Some(200));
    assert!(held.iter().all(|task| !task.is_finished()));
    held.iter().for_each(tokio::task::JoinHandle::abort);
}
