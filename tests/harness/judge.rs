//! Judges that are not ours: the reference crate and the official packages of PyPI and npm verify signatures, and the
//! official client of the Svix API uses the router.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use hookmill_testkit::receiver::{Received, Receiver};
use serde_json::{Value, json};

use crate::fixture::{built, target_directory, tests_directory};
use crate::router::{ADMIN_KEY, Router};
use crate::wait;

/// Who prepares the packages.
const PREPARED_BY: &str = "cargo xtask test";

/// An official package in its own language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Official {
    /// `standardwebhooks` of PyPI.
    Python,
    /// `standardwebhooks` of npm.
    Node,
}

/// Whether the reference crate accepts a delivery under this secret.
#[must_use]
pub fn accepts(secret: &str, request: &Received) -> bool {
    let verifier =
        standardwebhooks::Webhook::new(secret).expect("the router shows secrets in the standard form");
    verifier.verify(&request.body, &request.headers).is_ok()
}

/// Checks a delivery with the reference crate.
///
/// # Panics
/// If it does not verify.
pub fn check(secret: &str, request: &Received) {
    let verifier =
        standardwebhooks::Webhook::new(secret).expect("the router shows secrets in the standard form");
    let verified = verifier.verify(&request.body, &request.headers);
    assert!(verified.is_ok(), "{verified:?}: {request:?}");
}

impl Official {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Python, Self::Node];

    /// What the package says of each delivery under the secret beside it.
    ///
    /// # Panics
    /// If the package is not there or does not answer each question.
    #[must_use]
    pub fn verdicts(self, exhibits: &[(&str, &Received)]) -> Vec<bool> {
        let questions: Vec<u8> =
            exhibits.iter().flat_map(|(secret, request)| question(secret, request)).collect();
        let mut child =
            self.command().stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it can be run");
        let mut stdin = child.stdin.take().expect("stdin is piped");
        // The answers are far too short to fill a pipe before the questions end.
        stdin.write_all(&questions).expect("it reads its questions");
        drop(stdin);
        let output = child.wait_with_output().expect("it is our child");
        assert!(output.status.success(), "{self:?} ended with {}", output.status);
        let answers = String::from_utf8_lossy(&output.stdout);
        let verdicts: Vec<bool> = answers.lines().map(|line| line == "ok").collect();
        assert_eq!(verdicts.len(), exhibits.len(), "{answers}");
        verdicts
    }

    fn command(self) -> Command {
        let scripts = tests_directory().join("verifiers");
        match self {
            Self::Python => {
                let mut command = Command::new(python());
                command.arg(scripts.join("verify.py"));
                command
            }
            Self::Node => {
                let modules = target_directory().join("verifiers/node");
                let _ = built(modules.join("node_modules/standardwebhooks"), PREPARED_BY);
                let mut command = Command::new("node");
                command.arg(scripts.join("verify.mjs")).arg(modules);
                command
            }
        }
    }
}

/// Runs the program of the official client of the Svix API against a router; answers what it prints, as JSON.
///
/// # Panics
/// If the client is not there, or anything is not as it expects.
pub async fn svix_client(router: &Router, receiver: &Receiver) -> Value {
    let mut command = tokio::process::Command::new(python());
    command.arg(tests_directory().join("verifiers/svix_client.py"));
    command.arg(format!("http://{}", router.address())).arg(ADMIN_KEY).arg(receiver.url("/"));
    let running = command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true).spawn();
    let ended = running.expect("it can be run").wait_with_output();
    let output = wait::event("the Svix client ends", ended).await.expect("it is our child");
    assert!(output.status.success(), "the Svix client ended with {}", output.status);
    serde_json::from_slice(&output.stdout).expect("it prints JSON")
}

/// An interpreter that has the official packages.
fn python() -> PathBuf {
    built(target_directory().join("verifiers/python/bin/python"), PREPARED_BY)
}

/// One line of JSON.
fn question(secret: &str, request: &Received) -> Vec<u8> {
    let headers: BTreeMap<&str, Value> = request
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value.as_bytes()).into()))
        .collect();
    let body = std::str::from_utf8(&request.body).expect("the tests' events are text");
    format!("{}\n", json!({ "secret": secret, "headers": headers, "body": body })).into_bytes()
}
