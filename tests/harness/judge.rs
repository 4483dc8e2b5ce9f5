//! Verifiers of signatures that are not ours: the reference crate, and the official packages of PyPI and npm.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Stdio};

use hookmill_testkit::receiver::Received;
use serde_json::{Value, json};

use crate::fixture::{built, target_directory, tests_directory};

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
        let prepared = target_directory().join("verifiers");
        let scripts = tests_directory().join("verifiers");
        match self {
            Self::Python => {
                let mut command = Command::new(built(prepared.join("python/bin/python"), PREPARED_BY));
                command.arg(scripts.join("verify.py"));
                command
            }
            Self::Node => {
                let modules = prepared.join("node");
                let _ = built(modules.join("node_modules/standardwebhooks"), PREPARED_BY);
                let mut command = Command::new("node");
                command.arg(scripts.join("verify.mjs")).arg(modules);
                command
            }
        }
    }
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
