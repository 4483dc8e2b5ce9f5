//! `hookmill demo`: the main job on real input, through a crash.
//!
//! Dramatis personae: the [`router`] is this very binary as a process of its own, on a new data directory. Four
//! [`receiver`]s in this process take its deliveries: one works, one takes what `whatsapp-status` reshaped, one answers
//! 500 twice before it takes anything, one hangs until all others are served. Each of the [`systems`] has one more, which
//! checks that system's own signature too. The [`seeds`] are payloads as their
//! providers document them. The [`judge`] knows what must arrive; signatures are verified by the reference implementation
//! of Standard Webhooks, not by our code.
//!
//! The sender behaves as a good client does: it sends an event again, under the same id, until it is acknowledged. The
//! router is killed when half of the events are acknowledged, so that some are on their way in and some on their way out.

mod judge;
mod receiver;
mod report;
mod router;
mod seeds;
mod sender;
mod stage;
mod systems;

use std::time::Duration;

use hookmill_core::key::key_text;
use hookmill_core::port::Entropy as _;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use crate::cli::{Connection, DemoArguments};
use crate::client::Client;
use crate::failure::{Exit, Failure};
use crate::world::{SystemEntropy, stopwatch};

use self::report::{Row, SystemRow};
use self::router::{Router, RouterSetup};
use self::sender::{Sender, Sent};
use self::stage::{Part, Stage};

/// Runs the demo.
///
/// # Errors
/// Whatever did not arrive, was not reshaped or does not verify; a router that does not start or end as it should.
pub(crate) async fn run(arguments: DemoArguments) -> Result<Exit, Failure> {
    tokio::select! {
        outcome = play(arguments) => outcome.map(|()| Exit::Done),
        // What the play holds, the router among it, goes when it is dropped.
        _ = tokio::signal::ctrl_c() => Ok(Exit::Interrupted),
    }
}

async fn play(arguments: DemoArguments) -> Result<(), Failure> {
    let began = stopwatch();
    let deadline = Instant::now() + Duration::from_secs(arguments.timeout_secs.into());
    let seeds = seeds::read(&arguments.events)?;
    let directory = tempfile::Builder::new().prefix("hookmill-demo-").tempdir().map_err(|error| {
        Failure::new(Exit::Failed, "demo_directory_failed", format!("no temporary directory: {error}"))
    })?;
    let setup = RouterSetup {
        data_dir: directory.path().join("data"),
        log_file: directory.path().join("router.log"),
        admin_key: admin_key(),
    };

    let narrator = Narrator::new();
    let router = Router::start(setup.clone(), None).await?;
    narrator.tell(&format!("started the router: process {}, http://{}", router.id(), router.address()));
    let client = Client::new(&Connection {
        url: format!("http://{}/", router.address()).parse().expect("an address makes a URL"),
        key: Some(setup.admin_key.clone()),
        json: false,
    })?;
    for (plugin, bytes) in stage::upload_plugins(&client, &arguments.plugins).await? {
        narrator.tell(&format!("uploaded the plugin {plugin}: {bytes} bytes"));
    }
    let stage = Stage::set(&client, &seeds).await?;
    narrator.tell(&format!(
        "registered the application `{}` with {} endpoints",
        stage::APP,
        stage.parts.len()
    ));

    let sender = Sender::new(client, seeds, arguments.count);
    narrator.watch(&stage, sender.expected(&stage));
    let (router, sent) = send_through_a_crash(&narrator, router, &sender, deadline).await?;
    let arrived = wait_for_arrivals(&narrator, router, &stage, &sender, deadline).await;
    narrator.rest();
    let rows = rows(&stage, &sender, &sent);
    let systems = system_rows(&stage, &sender, &sent);
    show(&stage, &sender, &rows);
    println!("\n{}", report::systems_table(&systems));
    let router = arrived?;
    judge(&rows, &systems)?;

    let duplicates: u32 =
        rows.iter().chain(systems.iter().flat_map(|system| &system.rows)).map(Row::duplicates).sum();
    println!(
        "\nall {} deliveries arrived, reshaped where asked, every signature verified",
        sender.expected(&stage)
    );
    println!(
        "{duplicates} came once more, since the crash came between delivering them and writing that down"
    );
    if arguments.keep {
        let (address, id) = (router.address(), router.id());
        router.leave_running();
        println!("\nthe router goes on: process {id}, data in {}", directory.keep().display());
        println!("  export HOOKMILL_URL=http://{address} HOOKMILL_KEY={}", setup.admin_key);
        println!("  hookmill endpoint list --app {}", stage::APP);
        println!("  kill {id}");
    } else {
        router.stop().await?;
        println!("stopped the router with SIGTERM: it drained and ended well");
    }
    println!("done in {:.1} s", began.elapsed().as_secs_f64());
    Ok(())
}

fn admin_key() -> String {
    let mut random = [0; 32];
    SystemEntropy.fill(&mut random);
    key_text(random).to_string()
}

/// Sends all events; kills the router when half of them are acknowledged, and starts it again.
async fn send_through_a_crash(
    narrator: &Narrator,
    mut router: Router,
    sender: &Sender,
    deadline: Instant,
) -> Result<(Router, Vec<Sent>), Failure> {
    let mut sending = std::pin::pin!(sender.send_all());
    let half = sender.count().div_ceil(2);
    tokio::select! {
        // None can be done before half of them are acknowledged, unless sending fails.
        outcome = sending.as_mut() => return Ok((router, outcome?)),
        () = sender.acknowledged(half) => {}
        failure = router.ended() => return Err(failure),
        () = tokio::time::sleep_until(deadline) => return Err(late("sending", deadline)),
    }
    let id = router.id();
    let restart = async {
        let restarted = router.crash_and_restart().await?;
        narrator.tell(&format!(
            "killed process {id} with SIGKILL after {half} acknowledged events, and started the router again: process {}",
            restarted.id()
        ));
        sender.router_is_back();
        Ok(restarted)
    };
    let both = async { tokio::try_join!(restart, sending) };
    let (restarted, sent) = timeout_at(deadline, both).await.map_err(|_| late("sending", deadline))??;
    narrator.tell(&format!("all {} events are acknowledged, each once", sent.len()));
    Ok((restarted, sent))
}

/// Waits for what must arrive while one receiver hangs, wakes that one, and waits for the rest.
async fn wait_for_arrivals(
    narrator: &Narrator,
    mut router: Router,
    stage: &Stage,
    sender: &Sender,
    deadline: Instant,
) -> Result<Router, Failure> {
    let waits = async {
        stage.others_arrived(|part| sender.expected_at(part)).await;
        let hanging = stage.hanging();
        let name = hanging.name;
        narrator.tell(&format!("every other endpoint has all of its deliveries, while `{name}` hangs"));
        hanging.receiver.given_up_at_least(stage::HANGING_REQUESTS).await;
        narrator.tell(&format!(
            "`{name}` wakes up, after {} requests were cut off by their timeout or the crash",
            stage::HANGING_REQUESTS
        ));
        hanging.receiver.wake();
        hanging.receiver.accepted_at_least(sender.expected_at(hanging)).await;
    };
    tokio::select! {
        () = waits => Ok(router),
        failure = router.ended() => Err(failure),
        () = tokio::time::sleep_until(deadline) => Err(late("waiting for deliveries", deadline)),
    }
}

fn late(what: &str, deadline: Instant) -> Failure {
    debug_assert!(deadline <= Instant::now());
    Failure::new(Exit::Failed, "demo_timed_out", format!("time is up while {what}"))
        .hint("give it more with --timeout-secs")
}

/// One row for each kind of event at each endpoint that is no system's.
fn rows(stage: &Stage, sender: &Sender, sent: &[Sent]) -> Vec<Row> {
    let others = stage.parts.iter().filter(|part| part.system.is_none());
    others.flat_map(|part| rows_at(part, sender, sent)).collect()
}

/// One row for each system.
fn system_rows(stage: &Stage, sender: &Sender, sent: &[Sent]) -> Vec<SystemRow> {
    let of = |part: &Part| part.system.map(|system| SystemRow { system, rows: rows_at(part, sender, sent) });
    stage.parts.iter().filter_map(of).collect()
}

fn rows_at(part: &Part, sender: &Sender, sent: &[Sent]) -> Vec<Row> {
    let arrivals = part.receiver.arrivals();
    let seeds = sender.seeds().iter().enumerate().filter(|(_, seed)| part.takes(&seed.event_type));
    let row = |(index, seed)| {
        let of_this = sent.iter().filter(|sent| sent.seed == index);
        let arrived = of_this.map(|sent| arrivals.get(&sent.id));
        Row::new((part.name, part.plugin, part.shape), seed, arrived)
    };
    seeds.map(row).collect()
}

fn show(stage: &Stage, sender: &Sender, rows: &[Row]) {
    println!("\n{}", report::table(rows));
    let reshaped = stage.parts.iter().find_map(|part| Some((part, part.plugin?)));
    let Some((part, plugin)) = reshaped else { return };
    let seed = sender.seeds().iter().find(|seed| part.takes(&seed.event_type));
    let arrivals = part.receiver.arrivals();
    let arrival = arrivals.values().find(|arrival| arrival.accepted > 0);
    if let (Some(seed), Some(arrival)) = (seed, arrival) {
        println!("\n{}", report::side_by_side(seed, plugin, &arrival.body));
    }
}

fn judge(rows: &[Row], systems: &[SystemRow]) -> Result<(), Failure> {
    let all = rows.iter().chain(systems.iter().flat_map(|system| &system.rows));
    let problems: Vec<String> = all.filter_map(Row::problem).collect();
    if problems.is_empty() {
        return Ok(());
    }
    Err(Failure::new(Exit::Failed, "demo_incomplete", problems.join("\n")))
}

/// Tells what happens, with a bar below on a terminal.
struct Narrator {
    began: std::time::Instant,
    bar: ProgressBar,
    watching: std::cell::RefCell<JoinSet<()>>,
}

impl Narrator {
    fn new() -> Self {
        let bar = ProgressBar::no_length();
        bar.set_style(
            ProgressStyle::with_template("         {bar:40} {pos}/{len} deliveries")
                .expect("a constant template"),
        );
        Self { began: stopwatch(), bar, watching: std::cell::RefCell::default() }
    }

    fn tell(&self, what: &str) {
        let elapsed = self.began.elapsed().as_secs_f64();
        self.bar.suspend(|| println!("{elapsed:6.2} s  {what}"));
    }

    /// Moves the bar as deliveries arrive.
    fn watch(&self, stage: &Stage, expected: usize) {
        self.bar.set_length(expected as u64);
        for part in &stage.parts {
            let bar = self.bar.clone();
            let mut accepted = part.receiver.accepted();
            self.watching.borrow_mut().spawn(async move {
                let mut shown = 0;
                while accepted.changed().await.is_ok() {
                    let now = *accepted.borrow_and_update();
                    bar.inc((now - shown) as u64);
                    shown = now;
                }
            });
        }
    }

    fn rest(&self) {
        self.watching.borrow_mut().abort_all();
        self.bar.finish_and_clear();
    }
}
