//! The real router, as a process of its own.

use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

use crate::failure::{Exit, Failure};
use crate::serve::LISTENING;

/// From the start of the process to the line that says where it listens.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// From SIGTERM to the end of the process: longer than its own grace.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);
/// Lines of the router's log that are shown when it fails.
const LOG_LINES_SHOWN: usize = 20;

/// What every start of the router has in common.
#[derive(Debug, Clone)]
pub(super) struct RouterSetup {
    pub(super) data_dir: PathBuf,
    pub(super) log_file: PathBuf,
    pub(super) admin_key: String,
}

/// A running router. Dropped, it is killed.
#[derive(Debug)]
pub(super) struct Router {
    child: Child,
    /// Kept open: a process that writes to a closed pipe fails.
    _output: Lines<BufReader<ChildStdout>>,
    address: SocketAddr,
    setup: RouterSetup,
    abandoned: bool,
}

impl Router {
    /// Starts the router and waits until it listens: at a free port of this machine, or where it listened before.
    ///
    /// # Errors
    /// When it does not start; with what it logged.
    pub(super) async fn start(setup: RouterSetup, address: Option<SocketAddr>) -> Result<Self, Failure> {
        let failed = |detail: String| Failure::new(Exit::Failed, "demo_router_failed", detail);
        let mut child =
            spawn(&setup, address).map_err(|error| failed(format!("the router did not start: {error}")))?;
        let stdout = child.stdout.take().expect("it is piped");
        let mut output = BufReader::new(stdout).lines();
        let address = match timeout(START_TIMEOUT, listening_address(&mut output)).await {
            Ok(Some(address)) => address,
            Ok(None) | Err(_) => {
                // It ended, or it will now.
                let _ = child.start_kill();
                let status = child.wait().await;
                let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
                return Err(failed(format!(
                    "the router did not start: {status}{}",
                    log_tail(&setup.log_file)
                )));
            }
        };
        Ok(Self { child, _output: output, address, setup, abandoned: false })
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process.
    pub(super) fn id(&self) -> u32 {
        self.child.id().unwrap_or_default()
    }

    /// Ends when the router does, which it should not by itself.
    pub(super) async fn ended(&mut self) -> Failure {
        let status = self.child.wait().await;
        let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
        let detail = format!("the router ended by itself: {status}{}", log_tail(&self.setup.log_file));
        Failure::new(Exit::Failed, "demo_router_failed", detail)
    }

    /// Kills it, so that it can save nothing, and starts it again on the same data and address.
    ///
    /// # Errors
    /// When it does not start again.
    pub(super) async fn crash_and_restart(mut self) -> Result<Self, Failure> {
        let failed = |error: io::Error| {
            Failure::new(Exit::Failed, "demo_router_failed", format!("the router can't be killed: {error}"))
        };
        self.child.kill().await.map_err(failed)?;
        let (setup, address) = (self.setup.clone(), self.address);
        drop(self);
        Self::start(setup, Some(address)).await
    }

    /// Asks it to end, as a supervisor does, and waits until it has.
    ///
    /// # Errors
    /// When it does not end, or not well.
    pub(super) async fn stop(mut self) -> Result<(), Failure> {
        let failed = |detail: String| Failure::new(Exit::Failed, "demo_router_failed", detail);
        let id = self.child.id().and_then(|id| rustix::process::Pid::from_raw(id.cast_signed()));
        let id = id.ok_or_else(|| failed("the router is gone already".into()))?;
        rustix::process::kill_process(id, rustix::process::Signal::TERM)
            .map_err(|error| failed(format!("the router can't be told to end: {error}")))?;
        match timeout(STOP_TIMEOUT, self.child.wait()).await {
            Ok(Ok(status)) if ExitStatus::success(&status) => Ok(()),
            Ok(Ok(status)) => {
                Err(failed(format!("the router ended with {status}{}", log_tail(&self.setup.log_file))))
            }
            Ok(Err(error)) => Err(failed(error.to_string())),
            Err(_) => Err(failed(format!("the router did not end within {} s", STOP_TIMEOUT.as_secs()))),
        }
    }

    /// Leaves it running when this process ends.
    pub(super) fn leave_running(mut self) {
        self.abandoned = true;
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        if !self.abandoned {
            // Fails when it has ended already.
            let _ = self.child.start_kill();
        }
    }
}

fn spawn(setup: &RouterSetup, address: Option<SocketAddr>) -> io::Result<Child> {
    let address = address.unwrap_or_else(|| (Ipv4Addr::LOCALHOST, 0).into());
    let log = File::options().create(true).append(true).open(&setup.log_file)?;
    Command::new(std::env::current_exe()?)
        .arg("serve")
        .args(["--listen", &address.to_string(), "--log", "json", "--allow-private-network"])
        .arg("--data-dir")
        .arg(&setup.data_dir)
        .env("HOOKMILL_ADMIN_KEY", &setup.admin_key)
        .env_remove("HOOKMILL_CONFIG")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        // A Ctrl-C at the terminal is the demo's to handle.
        .process_group(0)
        .spawn()
}

async fn listening_address(output: &mut Lines<BufReader<ChildStdout>>) -> Option<SocketAddr> {
    while let Ok(Some(line)) = output.next_line().await {
        if let Some(address) = line.strip_prefix(LISTENING).and_then(|address| address.parse().ok()) {
            return Some(address);
        }
    }
    None
}

/// The end of the router's log, on lines of its own.
fn log_tail(log_file: &Path) -> String {
    let log = std::fs::read_to_string(log_file).unwrap_or_default();
    let lines: Vec<&str> = log.lines().collect();
    let tail = &lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..];
    if tail.is_empty() { String::new() } else { format!("; its log ends with\n{}", tail.join("\n")) }
}
