//! Addresses that must not be reached: a trap listens on all of them and must receive nothing.

use std::net::SocketAddr;

use hookmill_testkit::receiver::{Answer, Behaviour, Receiver};
use tokio::net::TcpListener;

use super::*;

const SSRF: &str = include_str!("../../../../tests/data/vectors/ssrf.txt");

/// Listens on every address of this machine, so that whatever leads back to it is caught.
async fn trap() -> Receiver {
    let listener = match TcpListener::bind("[::]:0").await {
        Ok(listener) => listener,
        // A machine without IPv6.
        Err(_) => TcpListener::bind("0.0.0.0:0").await.unwrap(),
    };
    Receiver::start_on(listener, Behaviour::accepts())
}

/// Two receivers on the same port: one on 127.0.0.2, which [`second_only`] allows, and a trap on 127.0.0.1.
async fn pair(behaviour: Behaviour) -> (Receiver, Receiver, u16) {
    let allowed = TcpListener::bind("127.0.0.2:0").await.unwrap();
    let port = allowed.local_addr().unwrap().port();
    let trap = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    (Receiver::start_on(allowed, behaviour), Receiver::start_on(trap, Behaviour::accepts()), port)
}

/// Stands for the public internet: a policy by which of two addresses one may be reached.
fn second_only() -> AddressPolicy {
    AddressPolicy { allow: vec!["127.0.0.2/32".parse().unwrap()], ..AddressPolicy::default() }
}

/// Shows that the trap works, and that nobody came before.
async fn assert_untouched(trap: &Receiver) {
    let url = format!("http://127.0.0.1:{}/control", trap.address().port());
    assert_eq!(send(&local(), &url).await.status(), Some(200));
    assert_eq!(trap.connections(), 1, "only the control came");
}

fn assert_blocked(outcome: &Outcome, of: &str) {
    assert_eq!(failure_class(outcome), Some(TransportFailure::AddressBlocked), "{of}: {outcome:?}");
}

#[tokio::test]
async fn no_host_of_the_vectors_is_reached() {
    let trap = trap().await;
    let port = trap.address().port();
    let names = Names::of(&["localhost: 127.0.0.1 ::1", "localhost.: 127.0.0.1", "x.localhost: ::1"]);
    let transport = transport(public_only(), names);
    let mut count = 0;
    for host in SSRF.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        for scheme in ["http", "https"] {
            let url = format!("{scheme}://{host}:{port}/");
            assert_blocked(&send(&transport, &url).await, &url);
            count += 1;
        }
    }
    assert!(count >= 68, "the vectors were read");
    assert_untouched(&trap).await;
}

#[tokio::test]
async fn names_are_judged_by_what_they_resolve_to() {
    let trap = trap().await;
    let port = trap.address().port();
    let addresses = [
        "127.0.0.1",
        "127.8.8.8",
        "10.0.0.1",
        "169.254.169.254",
        "0.0.0.0",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "64:ff9b::7f00:1",
        "fd00:ec2::254",
        "10.0.0.1 127.0.0.1 ::1",
    ];
    let names: Vec<_> = addresses.iter().map(|address| format!("trap.example: {address}")).collect();
    for line in &names {
        let transport = transport(public_only(), Names::of(&[line]));
        let outcome = send(&transport, &format!("http://trap.example:{port}/")).await;
        assert_blocked(&outcome, line);
        let Outcome::Failed(failure) = outcome else { unreachable!("it was blocked") };
        assert!(
            !failure.detail().contains(|c: char| c.is_ascii_digit()),
            "no address for the endpoint's owner"
        );
    }
    assert_untouched(&trap).await;
}

#[tokio::test]
async fn of_a_mixed_answer_only_the_allowed_addresses_are_dialled() {
    let (allowed, trap, port) = pair(Behaviour::accepts()).await;
    let names = Names::of(&[
        "first.example: 127.0.0.1 127.0.0.2 ::1",
        "last.example: 127.0.0.2 ::1 127.0.0.1 ::ffff:127.0.0.1",
        // Nothing listens on the allowed one: the refused one must not be its stand-in.
        "down.example: 127.0.0.3 127.0.0.1",
    ]);
    let mut policy = second_only();
    policy.allow.push("127.0.0.3/32".parse().unwrap());
    let transport = transport(policy, names);
    for name in ["first.example", "last.example"] {
        assert_eq!(send(&transport, &format!("http://{name}:{port}/")).await.status(), Some(200), "{name}");
    }
    let down = send(&transport, &format!("http://down.example:{port}/")).await;
    assert_eq!(failure_class(&down), Some(TransportFailure::ConnectRefused));
    assert_eq!(allowed.requests().len(), 2);
    assert_untouched(&trap).await;
}

#[tokio::test]
async fn a_name_that_changes_its_mind_is_judged_again() {
    let answers = vec![Answer::status(500).then_close(), Answer::status(500).then_close()];
    let (allowed, trap, port) = pair(Behaviour::Answers(answers)).await;
    let names = Names::of(&["rebind.example: 127.0.0.2|127.0.0.1"]);
    let transport = transport(second_only(), names);
    let url = format!("http://rebind.example:{port}/");
    assert_eq!(send(&transport, &url).await.status(), Some(500));
    assert_blocked(&send(&transport, &url).await, "the second lookup");
    assert_eq!(allowed.requests().len(), 1);
    assert_untouched(&trap).await;
}

#[tokio::test]
async fn redirects_are_answers() {
    let trap = trap().await;
    for status in [301, 302, 303, 307, 308] {
        let location = format!("http://127.0.0.1:{}/", trap.address().port());
        let receiver = Receiver::start(Behaviour::Answers(vec![Answer::redirect(status, &location)])).await;
        assert_eq!(send(&local(), &receiver.url("/")).await.status(), Some(status));
        assert_eq!(receiver.requests().len(), 1);
    }
    assert_untouched(&trap).await;
}

#[tokio::test]
async fn the_private_network_is_reached_where_the_policy_says_so() {
    let receiver = trap().await;
    let port = receiver.address().port();
    let names = Names::of(&["localhost: 127.0.0.1"]);
    let transport = HttpTransport::new(config(private_too(), names)).unwrap();
    let expect: SocketAddr = format!("127.0.0.1:{port}").parse().unwrap();
    for host in ["127.0.0.1", "2130706433", "[::ffff:127.0.0.1]", "localhost"] {
        assert_eq!(send(&transport, &format!("http://{host}:{port}/")).await.status(), Some(200), "{host}");
    }
    assert_eq!(receiver.requests()[0].headers["host"], expect.to_string());
    for host in ["0.0.0.0", "[::]", "169.254.169.254", "224.0.0.1"] {
        assert_blocked(&send(&transport, &format!("http://{host}:{port}/")).await, host);
    }
}
