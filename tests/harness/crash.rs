//! The crash test: what was acknowledged arrives, however often the router is killed.
//!
//! Per round the router is started on the same data directory, several senders in a process of their own load it, and
//! SIGKILL hits at a moment drawn from the seed: after so many more acknowledgements or deliveries. In some rounds the
//! endpoint takes next to nothing, so that a backlog has to survive; in the others deliveries flow.
//!
//! Afterwards the last router delivers all that it knows of. Then three records that no router could touch are
//! compared: what the senders were told (their ledger, a file), what arrived (the receiver's journal), and where in that
//! each kill was.
//! - Acknowledged and not delivered: lost. There must be none.
//! - Delivered twice by one router, although its receiver answered 200: there must be none.
//! - Delivered again after a kill: at most what was in flight at that moment, which is bounded by the endpoint's
//!   concurrency times [`IN_FLIGHT_PER_PLACE`](hookmill_core::limits::IN_FLIGHT_PER_PLACE).

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};

use hookmill_core::limits::IN_FLIGHT_PER_PLACE;
use hookmill_testkit::receiver::{Answer, Behaviour, Received, Receiver};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, Command};

use crate::api::Endpoint;
use crate::fixture::{built, target_directory};
use crate::router::{DataDir, Options, Router};
use crate::wait;
use crate::wire::Wire;

/// Senders at once.
const SENDERS: usize = 8;
/// Deliveries of the endpoint at once.
const CONCURRENCY: usize = 16;
/// Deliveries a second while the endpoint is held back.
const HELD_BACK_PER_SECOND: u32 = 20;
/// The most acknowledgements or deliveries that a round waits for.
const MORE_MAX: usize = 300;
/// In the place of a message's id, in the harness's own request to the receiver.
const MARKER: &str = "marker";
/// Deliveries that are in flight at most, and may be repeated after one kill.
const REPEATED_MAX: usize = CONCURRENCY * IN_FLIGHT_PER_PLACE;

/// A crash test to be run.
#[derive(Debug, Clone)]
pub struct CrashTest {
    /// The router.
    pub program: PathBuf,
    /// How often it is killed.
    pub rounds: u32,
    /// Where the moments come from.
    pub seed: u64,
    /// How deliveries go while the load is on.
    pub pace: Pace,
}

/// How deliveries go while the load is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// In some rounds as fast as they can, in others held back.
    Mixed,
    /// Held back in all rounds: nearly everything that is acknowledged is still to be delivered at the kill.
    HeldBack,
}

/// What a crash test found.
#[derive(Debug)]
pub struct Findings {
    /// Where the moments came from.
    pub seed: u64,
    /// Events that were acknowledged.
    pub acknowledged: usize,
    /// Events that arrived.
    pub delivered: usize,
    /// Ids of messages that were acknowledged and did not arrive.
    pub lost: Vec<String>,
    /// Ids of messages that one and the same router delivered twice.
    pub delivered_twice: Vec<String>,
    /// Events of the senders that were acknowledged under two ids.
    pub acknowledged_twice: Vec<String>,
    /// Deliveries that happened again, for each kill.
    pub repeated: Vec<usize>,
}

/// One request that arrived.
#[derive(Debug, Clone)]
struct Arrival {
    message: String,
    connection: usize,
}

/// One line of the ledger.
#[derive(Debug, Clone)]
struct Acknowledgement {
    event: String,
    message: String,
}

/// What the senders were told, as far as it was read.
#[derive(Debug)]
struct Ledger {
    path: PathBuf,
    read_bytes: u64,
    lines: Vec<Acknowledgement>,
}

/// What arrived, written by the receiver.
#[derive(Debug, Clone, Default)]
struct Arrivals(Arc<Mutex<Vec<Arrival>>>);

/// The parts of a running crash test.
struct Run {
    data_dir: DataDir,
    options: Options,
    receiver: Receiver,
    arrivals: Arrivals,
    ledger: Ledger,
    chance: StdRng,
    pace: Pace,
}

impl CrashTest {
    /// Runs it.
    ///
    /// # Panics
    /// If a router does not start, ends by itself or does not finish.
    pub async fn run(&self) -> Findings {
        eprintln!("crash test: {} rounds, seed {}", self.rounds, self.seed);
        let arrivals = Arrivals::default();
        let receiver = Receiver::start(arrivals.recorder()).await;
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut run = Run {
            data_dir: DataDir::new(),
            options: Options { program: self.program.clone(), ..Options::default() },
            receiver,
            arrivals,
            ledger: Ledger::new(directory.path().join("ledger")),
            chance: StdRng::seed_from_u64(self.seed),
            pace: self.pace,
        };
        let mut router = run.start().await;
        let endpoint = run.create_endpoint(&router).await;
        let mut senders = run.start_senders(&endpoint, self.seed);
        let mut kills = Vec::new();
        for _ in 0..self.rounds {
            run.hold_back(&router, &endpoint).await;
            tell(&mut senders, &router).await;
            run.wait_for_its_moment().await;
            router.kill().await;
            kills.push(run.connection_after_all().await);
            router = run.start().await;
        }
        tell(&mut senders, &router).await;
        drop(senders.stdin.take());
        let status = wait::event("the senders end", senders.wait()).await.expect("it is our child");
        assert!(status.success(), "the senders ended with {status}");
        router.api().set_policy(&endpoint, json!({ "rate": null })).await;
        router.api().wait_until_drained(&endpoint).await;
        findings(self.seed, run.ledger.read(), &run.arrivals.all(), &kills)
    }
}

impl Run {
    async fn start(&self) -> Router {
        self.data_dir.start_with(&self.options).await
    }

    async fn create_endpoint(&self, router: &Router) -> Endpoint {
        let application = router.api().create_application("crash").await;
        let endpoint = router.api().create_endpoint(&application, &self.receiver.url("/"), json!({})).await;
        router.api().set_policy(&endpoint, json!({ "concurrency": CONCURRENCY })).await;
        endpoint
    }

    fn start_senders(&self, endpoint: &Endpoint, seed: u64) -> Child {
        let program =
            built(target_directory().join("release/crash-sender"), "cargo build --release -p hookmill-tests");
        let mut command = Command::new(program);
        command
            .arg(&endpoint.application)
            .arg(&self.ledger.path)
            .args([seed.to_string(), SENDERS.to_string()]);
        command.stdin(Stdio::piped()).kill_on_drop(true).spawn().expect("the sender can be run")
    }

    /// Decides for this round how fast the endpoint is delivered to.
    async fn hold_back(&mut self, router: &Router, endpoint: &Endpoint) {
        let held_back = match self.pace {
            Pace::HeldBack => true,
            Pace::Mixed => self.chance.random_range(0..3) == 0,
        };
        let rate = held_back.then(|| json!({ "deliveries": HELD_BACK_PER_SECOND }));
        router.api().set_policy(endpoint, json!({ "rate": rate })).await;
    }

    /// Waits until it is time to kill: after some more acknowledgements, or some more deliveries.
    async fn wait_for_its_moment(&mut self) {
        let more = self.chance.random_range(1..=MORE_MAX);
        let by_deliveries = self.pace == Pace::Mixed && self.chance.random_range(0..2) == 0;
        let arrived = self.arrivals.count();
        let acknowledged = self.ledger.read().len();
        wait::until("enough has happened for a kill", async || {
            let delivered_enough = by_deliveries && self.arrivals.count() >= arrived + more;
            let acknowledged_enough = self.ledger.read().len() >= acknowledged + more;
            (delivered_enough || acknowledged_enough).then_some(())
        })
        .await;
    }

    /// A connection that comes after all of the killed router's. Some of those may still wait to be accepted; they are
    /// accepted in order, so one of our own comes last.
    async fn connection_after_all(&self) -> usize {
        let mut marker = Wire::connect(self.receiver.address()).await;
        marker.send(format!("POST / HTTP/1.1\r\nwebhook-id: {MARKER}\r\n\r\n")).await;
        let _ = marker.read_head().await;
        self.arrivals.take_marker()
    }
}

impl Arrivals {
    /// A receiver that answers 200 and writes down what came on which connection.
    fn recorder(&self) -> Behaviour {
        let arrivals = self.clone();
        Behaviour::Chooses(Box::new(move |request: &Received| {
            let message = request.headers["webhook-id"].to_str().expect("ids are ASCII").to_owned();
            arrivals.lock().push(Arrival { message, connection: request.connection });
            Answer::status(200)
        }))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Arrival>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self) -> usize {
        self.lock().len()
    }

    /// Takes the marker out; answers the connection that it came on.
    fn take_marker(&self) -> usize {
        let mut arrivals = self.lock();
        let at = arrivals.iter().rposition(|arrival| arrival.message == MARKER);
        arrivals.remove(at.expect("the marker was answered")).connection
    }

    fn all(&self) -> Vec<Arrival> {
        self.lock().clone()
    }
}

impl Ledger {
    fn new(path: PathBuf) -> Self {
        Self { path, read_bytes: 0, lines: Vec::new() }
    }

    /// All lines that are whole; the senders may be writing the next.
    fn read(&mut self) -> &[Acknowledgement] {
        let mut text = String::new();
        // Until the first line there is no file.
        if let Ok(mut file) = File::open(&self.path) {
            file.seek(SeekFrom::Start(self.read_bytes)).expect("a file has positions");
            file.read_to_string(&mut text).expect("the ledger is text");
        }
        if let Some(end) = text.rfind('\n') {
            self.lines.extend(text[..end].lines().map(Acknowledgement::parse));
            self.read_bytes += end as u64 + 1;
        }
        &self.lines
    }
}

impl Acknowledgement {
    fn parse(line: &str) -> Self {
        let (event, message) = line.split_once(' ').expect("a line of the ledger has two words");
        Self { event: event.to_owned(), message: message.to_owned() }
    }
}

impl Findings {
    /// Checks that nothing was lost and no more was repeated than may be.
    ///
    /// # Panics
    /// If not; the message says how to run the same again.
    pub fn check(&self) {
        let again = format!("run it again with HOOKMILL_CRASH_SEED={}\n{self}", self.seed);
        assert!(self.lost.is_empty(), "acknowledged and lost: {:?}; {again}", self.lost);
        assert!(self.delivered_twice.is_empty(), "delivered twice: {:?}; {again}", self.delivered_twice);
        assert!(
            self.acknowledged_twice.is_empty(),
            "acknowledged twice: {:?}; {again}",
            self.acknowledged_twice
        );
        for (number, repeated) in self.repeated.iter().enumerate() {
            assert!(*repeated <= REPEATED_MAX, "{repeated} repeated after kill {number}; {again}");
        }
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} kills, seed {}: {} acknowledged, {} delivered, {} lost, {} repeated (at most {} after one kill, where \
             {REPEATED_MAX} may be)",
            self.repeated.len(),
            self.seed,
            self.acknowledged,
            self.delivered,
            self.lost.len(),
            self.repeated.iter().sum::<usize>(),
            self.repeated.iter().max().copied().unwrap_or_default(),
        )
    }
}

/// Tells the senders where the router is now.
async fn tell(senders: &mut Child, router: &Router) {
    let line = format!("{}\n", router.address());
    let stdin = senders.stdin.as_mut().expect("stdin is piped");
    stdin.write_all(line.as_bytes()).await.expect("the senders run");
    stdin.flush().await.expect("the senders run");
}

/// Compares the three records. Of each kill there is the connection that came after all of the killed router's.
fn findings(seed: u64, ledger: &[Acknowledgement], arrivals: &[Arrival], kills: &[usize]) -> Findings {
    // A router's number is how many kills there were before it.
    let router_of =
        |arrival: &Arrival| kills.iter().take_while(|after_all| **after_all < arrival.connection).count();
    let mut last_router = HashMap::new();
    let mut delivered_twice = Vec::new();
    let mut repeated = vec![0; kills.len()];
    for arrival in arrivals {
        let router = router_of(arrival);
        match last_router.insert(arrival.message.as_str(), router) {
            None => {}
            Some(earlier) if earlier == router => delivered_twice.push(arrival.message.clone()),
            // The kill of the router that delivered it is to blame.
            Some(earlier) => repeated[earlier] += 1,
        }
    }
    let mut messages = HashMap::new();
    let twice = ledger.iter().filter(|line| {
        messages.insert(&line.event, &line.message).is_some_and(|earlier| *earlier != line.message)
    });
    let acknowledged_twice = twice.map(|line| line.event.clone()).collect();
    let acknowledged: HashSet<&str> = ledger.iter().map(|line| line.message.as_str()).collect();
    let mut lost: Vec<String> =
        acknowledged.iter().filter(|id| !last_router.contains_key(**id)).map(|id| (*id).to_owned()).collect();
    lost.sort();
    Findings {
        seed,
        acknowledged: acknowledged.len(),
        delivered: last_router.len(),
        lost,
        delivered_twice,
        acknowledged_twice,
        repeated,
    }
}
