//! The processes under test, started and ended by us: the real router, and the null router beside it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStdout, Command};

use crate::clock;
use crate::error::BenchError;
use crate::event::{self, RequestTemplate};
use crate::generator::Target;
use crate::http1;
use crate::process::{self, Resident};

/// What both processes print before their address.
pub(crate) const LISTENING: &str = "listening on http://";

const START_SECONDS_MAX: u64 = 60;
const LOOK_EVERY: Duration = Duration::from_millis(1);
const LOG_LINES_SHOWN: usize = 12;
/// An admin key for a data directory that lives as long as the run.
pub(crate) const ADMIN_KEY: &str = "hmk_YmVuY2gtYmVuY2gtYmVuY2gtYmVuY2gtYmVuY2ghISE";

/// A started process. Dropped, it is killed; nothing of it is to be kept.
#[derive(Debug)]
pub(crate) struct Router {
    child: Child,
    process_id: u32,
    what: &'static str,
    log: PathBuf,
    pub(crate) address: SocketAddr,
    /// From the start of the process to its first "ready".
    pub(crate) ready_ns: u64,
}

impl Router {
    /// Starts the real router on a data directory.
    pub(crate) async fn start(program: &Path, data_directory: &Path, log: &Path) -> Result<Self, BenchError> {
        let mut command = Command::new(program);
        command.args(["serve", "--listen", "127.0.0.1:0", "--allow-private-network", "--data-dir"]);
        command.arg(data_directory).env("HOOKMILL_ADMIN_KEY", ADMIN_KEY);
        Self::spawn("the router", command, log).await
    }

    /// Starts this program as a null router that forwards to `receiver`, or swallows what comes.
    pub(crate) async fn start_null(receiver: Option<SocketAddr>, log: &Path) -> Result<Self, BenchError> {
        let program = std::env::current_exe()
            .map_err(|source| BenchError::Start { program: PathBuf::from("hookmill-bench"), source })?;
        let mut command = Command::new(program);
        command.arg("null-router");
        if let Some(receiver) = receiver {
            command.arg("--to").arg(receiver.to_string());
        }
        Self::spawn("the null router", command, log).await
    }

    async fn spawn(what: &'static str, mut command: Command, log: &Path) -> Result<Self, BenchError> {
        let log_file = std::fs::File::create(log)
            .map_err(|source| BenchError::Write { path: log.to_owned(), source })?;
        let program = PathBuf::from(command.as_std().get_program());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log_file).kill_on_drop(true);
        let started_ns = clock::now_ns();
        let mut child = command.spawn().map_err(|source| BenchError::Start { program, source })?;
        let stdout = child.stdout.take().expect("stdout is piped");
        let process_id = child.id().expect("nobody has waited for the process yet");
        let not_ready =
            || BenchError::NotReady { what: what.into(), seconds: START_SECONDS_MAX, log: last_lines(log) };
        let ready = async {
            let address = announced_address(stdout).await.ok_or_else(not_ready)?;
            while http1::call(address, "GET", "/readyz", "", b"").await.is_err() {
                tokio::time::sleep(LOOK_EVERY).await;
            }
            Ok(address)
        };
        let address = match tokio::time::timeout(Duration::from_secs(START_SECONDS_MAX), ready).await {
            Ok(address) => address?,
            Err(_) => return Err(not_ready()),
        };
        let ready_ns = clock::now_ns() - started_ns;
        Ok(Self { child, process_id, what, log: log.to_owned(), address, ready_ns })
    }

    pub(crate) fn processor_seconds(&self) -> Result<f64, BenchError> {
        process::processor_seconds(self.process_id)
    }

    pub(crate) fn resident(&self) -> Result<Resident, BenchError> {
        process::resident(self.process_id)
    }

    /// Whether the process still runs; its last words where it does not.
    pub(crate) fn still_runs(&mut self) -> Result<(), BenchError> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(_)) | Err(_) => {
                Err(BenchError::Ended { what: self.what.into(), log: last_lines(&self.log) })
            }
        }
    }

    /// Kills the process and waits until it is gone.
    pub(crate) async fn kill(mut self) {
        // It may have ended by itself; either way it is gone.
        let _ = self.child.kill().await;
    }

    /// Where events go on the null router, which takes them anywhere.
    pub(crate) fn null_target(&self, payload_bytes: usize) -> Target {
        self.target("/api/v1/app/bench/msg", payload_bytes)
    }

    fn target(&self, path: &str, payload_bytes: usize) -> Target {
        let (host, body) = (self.address.to_string(), event::message(payload_bytes));
        Target {
            address: self.address,
            template: RequestTemplate::post(&host, path, &authorization(), &body),
        }
    }
}

/// An application on a running router.
#[derive(Debug)]
pub(crate) struct Application {
    address: SocketAddr,
    path: String,
}

impl Application {
    pub(crate) async fn create(router: &Router) -> Result<Self, BenchError> {
        let created = call_json(router.address, "POST", "/api/v1/app", &json!({ "name": "bench" })).await?;
        Ok(Self { address: router.address, path: format!("/api/v1/app/{}", id_of(&created)) })
    }

    /// An endpoint that delivers to `receiver`; answers its path.
    pub(crate) async fn add_endpoint(&self, receiver: SocketAddr) -> Result<String, BenchError> {
        self.add_endpoint_with(receiver, json!({})).await
    }

    /// The same, with more said of it.
    pub(crate) async fn add_endpoint_with(
        &self,
        receiver: SocketAddr,
        more: Value,
    ) -> Result<String, BenchError> {
        let endpoints = format!("{}/endpoint", self.path);
        let mut body = more;
        body["url"] = format!("http://{receiver}/hook").into();
        let created = call_json(self.address, "POST", &endpoints, &body).await?;
        Ok(format!("{endpoints}/{}", id_of(&created)))
    }

    /// Uploads a plugin and lets it transform what goes to the endpoint at `endpoint_path`.
    pub(crate) async fn transform(
        &self,
        endpoint_path: &str,
        name: &str,
        component: &[u8],
    ) -> Result<(), BenchError> {
        let headers = format!("{}content-type: application/wasm\r\n", authorization());
        http1::call(self.address, "PUT", &format!("/api/v1/plugin/{name}"), &headers, component).await?;
        let body = json!({ "enabled": true, "plugin": name });
        call_json(self.address, "PATCH", &format!("{endpoint_path}/transformation"), &body).await?;
        Ok(())
    }

    /// Where its events go.
    pub(crate) fn target(&self, router: &Router, payload_bytes: usize) -> Target {
        router.target(&format!("{}/msg", self.path), payload_bytes)
    }
}

async fn call_json(address: SocketAddr, method: &str, path: &str, body: &Value) -> Result<Value, BenchError> {
    let headers = format!("{}content-type: application/json\r\n", authorization());
    let answer = http1::call(address, method, path, &headers, body.to_string().as_bytes()).await?;
    Ok(serde_json::from_slice(&answer).unwrap_or(Value::Null))
}

fn authorization() -> String {
    format!("authorization: Bearer {ADMIN_KEY}\r\n")
}

fn id_of(created: &Value) -> String {
    created["id"].as_str().unwrap_or_default().to_owned()
}

/// Reads the address that the process prints, and goes on reading, so that it never waits for us.
async fn announced_address(stdout: ChildStdout) -> Option<SocketAddr> {
    let mut lines = BufReader::new(stdout).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if let Some(address) = address_in(&line) {
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return Some(address);
        }
    }
    None
}

fn address_in(line: &str) -> Option<SocketAddr> {
    let (_, after) = line.split_once(LISTENING)?;
    let address = after.split(|end: char| end.is_whitespace() || end == '/' || end == '"').next()?;
    address.parse().ok()
}

/// The end of a log, for people; nothing where there is none.
pub(crate) fn last_lines(log: &Path) -> String {
    let text = std::fs::read(log)
        .map_or_else(|_| String::new(), |bytes| String::from_utf8_lossy(&bytes).into_owned());
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_in_what_a_router_prints() {
        let check = |line: &str, expect: Option<&str>| {
            assert_eq!(address_in(line), expect.map(|address| address.parse().unwrap()), "{line}");
        };
        check("listening on http://127.0.0.1:8080", Some("127.0.0.1:8080"));
        check("hookmill 0.1.0 listening on http://127.0.0.1:80/ with 2 keys", Some("127.0.0.1:80"));
        check(r#"{"message":"listening on http://[::1]:80"}"#, Some("[::1]:80"));
        check("listening on http://localhost", None);
        check("starting", None);
    }
}
