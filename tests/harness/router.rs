//! One router: the real binary, started, killed, stopped and started again on the same data directory.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStdout, Command};

use crate::api::Api;
use crate::fixture::{built, target_directory, variable};
use crate::wait;

/// The key that every router of the tests takes as an admin key.
pub const ADMIN_KEY: &str = "hmk_dGVzdC10ZXN0LXRlc3QtdGVzdC10ZXN0LXRlc3QhISEh";
/// What the router prints before its address.
const LISTENING: &str = "listening on http://";
/// Lines of its log that a failed test shows.
const LOG_LINES_SHOWN: usize = 60;

/// How a router is started.
#[derive(Debug, Clone)]
pub struct Options {
    /// The binary.
    pub program: PathBuf,
    /// Where it listens.
    pub listen: SocketAddr,
    /// Whether it may deliver to this machine, where the tests' receivers are.
    pub allow_private_network: bool,
    /// What it takes as an admin key; without one its first start makes a key.
    pub admin_key: Option<&'static str>,
    /// Arguments after all others.
    pub more: Vec<String>,
    /// Variables of its environment.
    pub variables: Vec<(&'static str, &'static str)>,
}

/// A directory for the state of one router after another.
#[derive(Debug)]
pub struct DataDir {
    directory: TempDir,
}

/// A running router. Dropped, it is killed, and its log shown if the test failed.
#[derive(Debug)]
pub struct Router {
    child: Child,
    address: SocketAddr,
    api: Api,
    log: PathBuf,
    printed: String,
    /// Held open, so that what the router prints later does not end it.
    _stdout: BufReader<ChildStdout>,
}

/// What a router left that did not start.
#[derive(Debug)]
pub struct NotStarted {
    /// How it ended.
    pub status: ExitStatus,
    /// What it said.
    pub output: String,
}

impl Default for Options {
    /// The release build, on a free port, allowed to deliver to this machine. `HOOKMILL_BIN` names another binary.
    fn default() -> Self {
        let program = variable("HOOKMILL_BIN")
            .map_or_else(|| target_directory().join("release/hookmill"), PathBuf::from);
        Self {
            program: built(program, "cargo build --release -p hookmill"),
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            allow_private_network: true,
            admin_key: Some(ADMIN_KEY),
            more: Vec::new(),
            variables: Vec::new(),
        }
    }
}

impl Options {
    /// The same, and not allowed to deliver to this machine.
    #[must_use]
    pub fn public_network_only(self) -> Self {
        Self { allow_private_network: false, ..self }
    }

    /// The same, with this text as its configuration file in `data_dir`.
    ///
    /// # Panics
    /// If the file can't be written.
    #[must_use]
    pub fn config(mut self, data_dir: &DataDir, text: &str) -> Self {
        let path = data_dir.directory.path().join("hookmill.toml");
        std::fs::write(&path, text).expect("a temporary directory can be written");
        self.more.extend(["--config".to_owned(), path.display().to_string()]);
        self
    }

    fn command(&self, data_dir: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("serve").arg("--listen").arg(self.listen.to_string()).arg("--data-dir").arg(data_dir);
        if self.allow_private_network {
            command.arg("--allow-private-network");
        }
        match self.admin_key {
            Some(key) => command.env("HOOKMILL_ADMIN_KEY", key),
            None => command.env_remove("HOOKMILL_ADMIN_KEY"),
        };
        command.envs(self.variables.iter().copied());
        command.args(&self.more).stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    /// Starts a router that can't start, and waits for its end.
    ///
    /// # Panics
    /// If it runs on.
    pub async fn fail(&self, data_dir: &Path) -> NotStarted {
        let output = wait::event("the router gives up", self.command(data_dir).output()).await;
        let output = output.expect("the binary can be run");
        let text = [output.stdout, output.stderr].concat();
        NotStarted { status: output.status, output: String::from_utf8_lossy(&text).into_owned() }
    }
}

impl DataDir {
    /// A fresh one.
    ///
    /// # Panics
    /// If there is no room.
    #[must_use]
    pub fn new() -> Self {
        Self { directory: TempDir::new().expect("a temporary directory") }
    }

    /// The directory that the router gets.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// The store's file.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.path().join("hookmill.db")
    }

    /// The file that its routers log into.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.directory.path().join("router.log")
    }

    /// Starts a router with the default options.
    pub async fn start(&self) -> Router {
        self.start_with(&Options::default()).await
    }

    /// Starts a router and waits until it is ready.
    ///
    /// # Panics
    /// If it does not become ready.
    pub async fn start_with(&self, options: &Options) -> Router {
        let log = self.log();
        let appended = File::options().create(true).append(true).open(&log).expect("the log can be written");
        let mut command = options.command(&self.path());
        let mut child =
            command.stdout(Stdio::piped()).stderr(appended).spawn().expect("the binary can be run");
        let mut stdout = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let mut printed = String::new();
        let announced = announced(&mut stdout, &mut printed);
        let address = wait::event("the router prints its address", announced).await;
        let Some(address) = address else {
            let status = child.wait().await;
            panic!("the router ended before it listened ({status:?}):\n{}", last_lines(&log));
        };
        let router =
            Router { child, address, api: Api::new(address, ADMIN_KEY), log, printed, _stdout: stdout };
        wait::until("the router is ready", async || router.api.is_ready().await.then_some(())).await;
        router
    }
}

impl Default for DataDir {
    fn default() -> Self {
        Self::new()
    }
}

impl Router {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A client with the admin key.
    #[must_use]
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// The process.
    ///
    /// # Panics
    /// If it has ended.
    #[must_use]
    pub fn process_id(&self) -> u32 {
        self.child.id().expect("the router runs")
    }

    /// What it printed up to its address.
    #[must_use]
    pub fn printed(&self) -> &str {
        &self.printed
    }

    /// What it logged so far, with earlier routers on this data directory.
    ///
    /// # Panics
    /// If the log can't be read.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).expect("the log can be read")
    }

    /// SIGKILL, and its end.
    ///
    /// # Panics
    /// If it had ended by itself.
    pub async fn kill(mut self) {
        assert!(self.child.try_wait().expect("it is our child").is_none(), "the router ended by itself");
        self.child.kill().await.expect("our own child can be killed");
    }

    /// Asks it to end, as a supervisor does.
    ///
    /// # Panics
    /// If it had ended by itself.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// If it had ended by itself.
    pub fn signal(&self, signal: Signal) {
        let id = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        kill_process(id.expect("the router runs"), signal).expect("our own child takes signals");
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// If it runs on.
    pub async fn ended(mut self) -> ExitStatus {
        wait::event("the router ends", self.child.wait()).await.expect("it is our child")
    }

    /// Asks it to end, and waits for that; answers its exit code.
    pub async fn stop(self) -> Option<i32> {
        self.terminate();
        self.ended().await.code()
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the router's log ---\n{}", last_lines(&self.log));
        }
    }
}

impl NotStarted {
    /// Checks that it ended with this exit code and named this stable code.
    ///
    /// # Panics
    /// If it did not.
    pub fn check(&self, exit: i32, code: &str) {
        assert_eq!(self.status.code(), Some(exit), "{}", self.output);
        assert!(self.output.contains(code), "no {code} in:\n{}", self.output);
    }
}

/// The address, once it is printed; nothing if the process ended instead.
async fn announced(stdout: &mut BufReader<ChildStdout>, printed: &mut String) -> Option<SocketAddr> {
    loop {
        let before = printed.len();
        if stdout.read_line(printed).await.is_ok_and(|bytes| bytes == 0) {
            return None;
        }
        if let Some((_, address)) = printed[before..].split_once(LISTENING) {
            return address.trim().trim_end_matches('/').parse().ok();
        }
    }
}

fn last_lines(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].join("\n")
}
