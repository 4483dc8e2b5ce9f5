//! All that a tenant and strangers can do at once ([`hookmill_tests::assault`]), from a process of its own: what attackers
//! take of their own machine is not to delay the one whose deliveries are measured.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use hookmill_tests::api::Api;
use hookmill_tests::assault::Attack;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::error::BenchError;
use crate::router::{ADMIN_KEY, Router, last_lines};

/// What the process prints when the attack is under way in full.
const UNDER_WAY: &str = "under way";
const ATTACKERS_NICE: i32 = 19;
const BEGIN_SECONDS_MAX: u64 = 120;

/// A started process. Dropped, it is killed.
#[derive(Debug)]
pub(crate) struct Attackers(Child);

impl Attackers {
    /// Starts this program as attackers of a router. They are at it in full when this is done.
    pub(crate) async fn begin(router: &Router, log: &Path) -> Result<Self, BenchError> {
        let program = std::env::current_exe()
            .map_err(|source| BenchError::Start { program: PathBuf::from("hookmill-bench"), source })?;
        let log_file = std::fs::File::create(log)
            .map_err(|source| BenchError::Write { path: log.to_owned(), source })?;
        let mut command = Command::new(&program);
        command.arg("attackers").arg("--router").arg(router.address.to_string());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log_file).kill_on_drop(true);
        let mut child = command.spawn().map_err(|source| BenchError::Start { program, source })?;
        let stdout = child.stdout.take().expect("stdout is piped");
        let mut lines = BufReader::new(stdout).lines();
        let begun = tokio::time::timeout(Duration::from_secs(BEGIN_SECONDS_MAX), lines.next_line());
        match begun.await {
            Ok(Ok(Some(line))) if line == UNDER_WAY => Ok(Self(child)),
            Ok(_) | Err(_) => Err(BenchError::NotReady {
                what: "the attackers".into(),
                seconds: BEGIN_SECONDS_MAX,
                log: last_lines(log),
            }),
        }
    }

    /// Ends them; answers whether they were at it until now.
    pub(crate) async fn end(mut self) -> bool {
        let were_at_it = matches!(self.0.try_wait(), Ok(None));
        let _ = self.0.kill().await;
        were_at_it
    }
}

/// Attacks a router until standard input ends: what that process is.
pub(crate) async fn run(router: SocketAddr) -> std::io::Result<()> {
    // Attackers have machines of their own. Here they take what the others leave, and as much of the router's time as it
    // gives them.
    let _ = rustix::process::setpriority_process(None, ATTACKERS_NICE);
    let mut attack = Attack::begin(&Api::new(router, ADMIN_KEY), router).await;
    println!("{UNDER_WAY}");
    // Whoever started them ends them, or is gone itself.
    let ended = tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink()));
    let _ = ended.await.map_err(std::io::Error::other)??;
    attack.stop().await;
    Ok(())
}
