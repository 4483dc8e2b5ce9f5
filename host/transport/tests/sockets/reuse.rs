//! Connections are reused, and never in a way that a receiver or a policy could notice.

use std::sync::atomic::{AtomicUsize, Ordering};

use hookmill_testkit::receiver::{Answer, Behaviour, Gate, Receiver};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

#[tokio::test]
async fn one_connection_serves_one_request_after_the_other() {
    let receiver = Receiver::start(Behaviour::statuses([500, 404, 200, 503])).await;
    let transport = local();
    for _ in 0..50 {
        send(&transport, &receiver.url("/")).await;
    }
    assert_eq!((receiver.requests().len(), receiver.connections()), (50, 1));
}

#[tokio::test]
async fn requests_at_the_same_time_share_what_is_idle() {
    let gate = Gate::closed();
    let receiver = Receiver::start(Behaviour::Gated(gate.clone())).await;
    let transport = Arc::new(local());
    for round in 1..=3 {
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                let (transport, request) = (Arc::clone(&transport), post(&receiver.url("/"), "{}"));
                tokio::spawn(async move { transport.send(request, AMPLE).await })
            })
            .collect();
        receiver.wait_for(8 * round).await;
        gate.release(8);
        for task in tasks {
            assert_eq!(task.await.unwrap().status(), Some(200));
        }
    }
    assert_eq!(receiver.connections(), 8);
}

#[tokio::test]
async fn a_connection_that_was_closed_is_not_used() {
    let answers = vec![Answer::status(200).then_close(), Answer::status(201).then_close()];
    let receiver = Receiver::start(Behaviour::Answers(answers)).await;
    let transport = local();
    assert_eq!(send(&transport, &receiver.url("/")).await.status(), Some(200));
    // The receiver closes right after its answer; that has arrived once a dial to it has come and gone.
    let other = local();
    assert_eq!(send(&other, &receiver.url("/")).await.status(), Some(201));
    assert_eq!(send(&transport, &receiver.url("/")).await.status(), Some(200));
    assert_eq!(receiver.connections(), 3);
}

#[tokio::test]
async fn a_receiver_that_says_close_is_dialled_again() {
    let check = async |name: &str, value: &str, expect: usize| {
        let answers = vec![Answer::status(200).header(name, value)];
        let receiver = Receiver::start(Behaviour::Answers(answers)).await;
        let transport = local();
        for _ in 0..2 {
            assert_eq!(send(&transport, &receiver.url("/")).await.status(), Some(200));
        }
        assert_eq!(receiver.connections(), expect, "{name}: {value}");
    };
    check("connection", "close", 2).await;
    check("keep-alive", "timeout=1", 2).await;
    check("keep-alive", "timeout=30", 1).await;
}

#[tokio::test]
async fn an_attempt_that_was_given_up_leaves_no_connection_behind() {
    let receiver = Receiver::start(Behaviour::NeverAnswers).await;
    let transport = local();
    for expect in 1..=3 {
        let outcome = transport.send(post(&receiver.url("/"), "{}"), SHORT).await;
        assert_eq!(failure_class(&outcome), Some(TransportFailure::ResponseTimeout));
        assert_eq!(receiver.connections(), expect);
    }
}

#[tokio::test]
async fn origins_do_not_share_connections() {
    let one = Receiver::start(Behaviour::accepts()).await;
    let other = Receiver::start(Behaviour::accepts()).await;
    let transport = local();
    for _ in 0..3 {
        for receiver in [&one, &other] {
            assert_eq!(send(&transport, &receiver.url("/")).await.status(), Some(200));
        }
    }
    assert_eq!((one.requests().len(), one.connections()), (3, 1));
    assert_eq!((other.requests().len(), other.connections()), (3, 1));
}

/// Answers the first request of its first connection, says `last_words` to the second and closes; every later connection
/// gets 201. Answers how many requests it read.
async fn closes_at_the_second(listener: TcpListener, last_words: &'static str, read: Arc<AtomicUsize>) {
    let mut is_first = true;
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let answers = if std::mem::take(&mut is_first) {
            vec!["HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", last_words]
        } else {
            vec!["HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n"]
        };
        for answer in answers {
            let mut request = Vec::new();
            while !request.ends_with(br#"{"n":1}"#) {
                request.push(stream.read_u8().await.unwrap());
            }
            read.fetch_add(1, Ordering::SeqCst);
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_kept_connection_that_closes_as_it_is_used_costs_no_attempt() {
    let check = async |last_words: &'static str, expect: Option<u16>, requests: usize| {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let read = Arc::new(AtomicUsize::new(0));
        let serving = tokio::spawn(closes_at_the_second(listener, last_words, Arc::clone(&read)));
        let transport = local();
        assert_eq!(send(&transport, &url).await.status(), Some(200));
        let second = send(&transport, &url).await;
        assert_eq!(second.status(), expect, "{last_words:?}: {second:?}");
        assert_eq!(read.load(Ordering::SeqCst), requests, "{last_words:?}");
        serving.abort();
    };
    check("", Some(201), 3).await;
    // What began to answer was at work.
    check("HTTP/1.1 2", None, 2).await;
    check("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab", None, 2).await;
}

/// Where no more connections may be open, idle ones make way, and what finds no place is no attempt.
#[tokio::test]
async fn connections_are_bounded() {
    let gate = Gate::closed();
    let gated = Receiver::start(Behaviour::Gated(gate.clone())).await;
    let other = Receiver::start(Behaviour::accepts()).await;
    let bounded = TransportConfig { connections_max: 1, ..config(private_too(), Names::none()) };
    let transport = Arc::new(HttpTransport::new(bounded).unwrap());
    // It stays open and idle, and makes way.
    assert_eq!(send(&transport, &other.url("/")).await.status(), Some(200));
    let hanging = {
        let (transport, request) = (Arc::clone(&transport), post(&gated.url("/"), "{}"));
        tokio::spawn(async move { transport.send(request, AMPLE).await })
    };
    gated.wait_for(1).await;
    let outcome = send(&transport, &other.url("/")).await;
    assert!(matches!(outcome, Outcome::NotSent { .. }), "{outcome:?}");
    gate.open();
    assert_eq!(hanging.await.unwrap().status(), Some(200));
    assert_eq!(send(&transport, &other.url("/")).await.status(), Some(200));
}
