//! The sender of the crash test: a process of its own, so that what it knows survives whatever happens to the rest.
//!
//! `crash-sender <application> <ledger> <seed> <senders>` sends events until its standard input ends. Each line of its
//! input is the address of the router from then on. An event that was not answered is sent again, with the same id,
//! until it is; an answer of 202 becomes a line of the ledger: the event's own id and the
//! message's.

use std::fs::File;
use std::io::Write as _;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use hookmill_tests::api::{Api, message, text};
use hookmill_tests::router::ADMIN_KEY;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// Between two tries of an event while the router is away.
const AGAIN: Duration = Duration::from_millis(5);
/// Bytes that fill an event to the size of a usual one.
const PADDING_BYTES: usize = 400;

/// What the harness wants now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// Nothing yet.
    Wait,
    /// Events for the router at this address.
    Send(SocketAddr),
    /// No new events; the router is still there.
    Finish(SocketAddr),
}

struct Sender {
    application: String,
    ledger: Arc<File>,
    wanted: watch::Receiver<Wanted>,
    name: String,
    /// The client of the last router, which holds a connection.
    client: Option<(SocketAddr, Api)>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, application, ledger, seed, senders] = arguments.as_slice() else {
        eprintln!("usage: crash-sender <application> <ledger> <seed> <senders>");
        return ExitCode::from(2);
    };
    let senders: usize = senders.parse().expect("the number of senders is a number");
    let ledger = File::options().create(true).append(true).open(ledger).expect("the ledger can be written");
    let ledger = Arc::new(ledger);
    let (want, wanted) = watch::channel(Wanted::Wait);
    let mut running = JoinSet::new();
    for number in 0..senders {
        let sender = Sender {
            application: application.clone(),
            ledger: Arc::clone(&ledger),
            wanted: wanted.clone(),
            name: format!("{seed}-{number}"),
            client: None,
        };
        running.spawn(sender.run());
    }
    std::thread::spawn(move || obey(&want));
    running.join_all().await;
    ExitCode::SUCCESS
}

/// Passes on what the harness writes, until it has no more to say.
fn obey(want: &watch::Sender<Wanted>) {
    for line in std::io::stdin().lines() {
        let line = line.expect("standard input can be read");
        want.send_replace(Wanted::Send(line.parse().expect("the harness writes addresses")));
    }
    want.send_modify(|wanted| {
        if let Wanted::Send(address) = *wanted {
            *wanted = Wanted::Finish(address);
        }
    });
}

impl Sender {
    async fn run(mut self) {
        for number in 0_u64.. {
            if matches!(self.wait().await, Wanted::Finish(_)) {
                return;
            }
            self.send(&format!("{}-{number}", self.name)).await;
        }
    }

    /// Sends one event until it is acknowledged, and writes that down.
    async fn send(&mut self, event_id: &str) {
        let payload = format!(r#"{{"event":"{event_id}","padding":"{}"}}"#, "p".repeat(PADDING_BYTES));
        let body = message("crash.test", Some(event_id), &payload);
        let path = format!("/app/{}/msg", self.application);
        loop {
            let (Wanted::Send(address) | Wanted::Finish(address)) = self.wait().await else { continue };
            let api = self.client(address);
            let call = api.call(http::Method::POST, &path).header("content-type", "application/json");
            let reply = call.with_body(body.clone()).try_reply().await;
            match reply {
                Ok(reply) if reply.status == 202 => {
                    let id = text(&reply.json(), "id");
                    let line = format!("{event_id} {id}\n");
                    // One write of a file that is only appended to: lines of several senders don't mix.
                    (&*self.ledger).write_all(line.as_bytes()).expect("the ledger can be written");
                    return;
                }
                Ok(reply) => assert!(reply.status == 503, "an event was refused: {reply:?}"),
                Err(_) => {}
            }
            sleep(AGAIN).await;
        }
    }

    fn client(&mut self, address: SocketAddr) -> Api {
        let client = self.client.take().filter(|(known, _)| *known == address);
        let (_, api) = self.client.insert(client.unwrap_or_else(|| (address, Api::new(address, ADMIN_KEY))));
        api.clone()
    }

    /// What is wanted, once something is.
    async fn wait(&mut self) -> Wanted {
        let wanted = self.wanted.wait_for(|wanted| *wanted != Wanted::Wait).await;
        *wanted.expect("the main task has the other end")
    }
}
