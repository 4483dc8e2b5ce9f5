//! Connections are reused, and never in a way that a receiver or a policy could notice.

use hookmill_testkit::receiver::{Answer, Behaviour, Gate, Receiver};

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
