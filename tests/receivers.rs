//! The receivers of `examples/receivers`, each in its own language and framework, behind the real router.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::Stdio;

use hmac::{Hmac, KeyInit, Mac};
use hookmill_tests::api::{Api, Reply};
use hookmill_tests::fixture::{built, repository, seed, target_directory};
use hookmill_tests::router::DataDir;
use hookmill_tests::wait;
use http::Method;
use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

/// Who fetches what the receivers need.
const PREPARED_BY: &str = "cargo xtask test";
/// A secret of nobody's.
const OTHER_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// The scheme of the router itself.
const STANDARD: &str = "standard";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Example {
    FastApi,
    Flask,
    Django,
    Express,
    Php,
}

impl Example {
    fn folder(self) -> PathBuf {
        let name = match self {
            Self::FastApi => "python-fastapi",
            Self::Flask => "python-flask",
            Self::Django => "python-django",
            Self::Express => "node-express",
            Self::Php => "php",
        };
        repository().join("examples/receivers").join(name)
    }

    fn command(self, address: SocketAddr) -> Command {
        let packages = target_directory().join("receivers");
        match self {
            Self::FastApi | Self::Flask | Self::Django => {
                let mut command = Command::new(built(packages.join("python/bin/python"), PREPARED_BY));
                // Without compiled modules, which Python would leave beside the sources.
                command.arg("-B").arg(self.folder().join("app.py"));
                command
            }
            Self::Express => {
                let mut command = Command::new("node");
                command.arg(self.folder().join("server.js"));
                command.env("NODE_PATH", built(packages.join("node/node_modules"), PREPARED_BY));
                command
            }
            Self::Php => {
                let mut command = Command::new("php");
                command.arg("-S").arg(address.to_string()).arg(self.folder().join("webhook.php"));
                command
            }
        }
    }
}

/// A receiver that is set up, with an address and a database that outlive its process.
struct Installed {
    example: Example,
    address: SocketAddr,
    home: TempDir,
}

impl Installed {
    fn new(example: Example) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        let address = free.local_addr().expect("it is bound");
        Self { example, address, home: TempDir::new().expect("a temporary directory") }
    }

    async fn start(&self, secret: &str, scheme: &str) -> Running {
        let mut command = self.example.command(self.address);
        command
            .env("PORT", self.address.port().to_string())
            .env("WEBHOOK_SECRET", secret)
            .env("SIGNATURE", scheme)
            .env("DATABASE", self.home.path().join("webhooks.db"))
            .current_dir(self.home.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap_or_else(|error| {
            panic!("{:?} does not start: {error}: run `{PREPARED_BY}` first", self.example)
        });
        let stdout = BufReader::new(child.stdout.take().expect("stdout is piped")).lines();
        let api = Api::new(self.address, "none").without_key();
        wait::until(&format!("{:?} answers", self.example), async || {
            assert_eq!(child.try_wait().expect("it is our child"), None, "{:?} ended", self.example);
            api.call_at(Method::GET, "/webhook").try_reply().await.ok()
        })
        .await;
        Running { child, stdout, api }
    }
}

struct Running {
    child: Child,
    stdout: Lines<BufReader<ChildStdout>>,
    api: Api,
}

impl Running {
    /// Checks what it prints next.
    async fn prints(&mut self, expect: &str) {
        let line = wait::event(&format!("{expect:?} is printed"), self.stdout.next_line()).await;
        assert_eq!(line.expect("it prints text").as_deref(), Some(expect));
    }

    async fn post(&self, headers: &[(&str, String)], body: &str) -> Reply {
        let call = self.api.call_at(Method::POST, "/webhook").header("content-type", "application/json");
        let call = headers.iter().fold(call, |call, (name, value)| call.header(name, value));
        call.body(body.to_owned()).await
    }

    /// Ends it as a crash does.
    async fn kill(mut self) {
        self.child.kill().await.expect("our own child can be killed");
    }
}

async fn check(example: Example) {
    takes_each_event_once(example).await;
    refuses_what_is_not_signed(example).await;
    for header in ["x-webhook-signature", "signature"] {
        verifies_what_signs_the_body_alone(example, header).await;
    }
}

async fn takes_each_event_once(example: Example) {
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let (api, installed) = (router.api(), Installed::new(example));
    let application = api.create_application("receivers").await;
    let url = format!("http://{}/webhook", installed.address);
    let endpoint = api.create_endpoint(&application, &url, json!({})).await;
    let secret = api.secret(&endpoint).await;
    let mut receiver = installed.start(&secret, STANDARD).await;

    let payload = seed("mifumo-message-delivered.json");
    let message = api.send(&application, "message.delivered", &payload).await;
    receiver.prints(&format!("received message.delivered {message}")).await;

    let resend = async || {
        let path = format!("/app/{application}/msg/{message}/endpoint/{}/resend", endpoint.id);
        api.call(Method::POST, &path).json(&json!({})).await.expect_status(202);
    };
    let repeat = format!("repeat {message}");
    resend().await;
    receiver.prints(&repeat).await;

    // A restart forgets nothing.
    receiver.kill().await;
    let mut receiver = installed.start(&secret, STANDARD).await;
    resend().await;
    receiver.prints(&repeat).await;
}

async fn refuses_what_is_not_signed(example: Example) {
    let secret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    let installed = Installed::new(example);
    let receiver = installed.start(secret, STANDARD).await;
    let (body, now) = (r#"{"type":"invoice.paid"}"#, now());
    let check = async |headers: &[(&str, String)], body: &str, expect: u16| {
        let answer = receiver.post(headers, body).await.expect(expect);
        let says = if expect == 200 { "status" } else { "error" };
        assert!(answer[says].is_string(), "{example:?}: {answer} for {headers:?}");
    };
    check(&[], body, 401).await;
    check(&signed(OTHER_SECRET, "msg_1", now, body), body, 401).await;
    check(&signed(secret, "msg_1", now, r#"{"type":"invoice.void"}"#), body, 401).await;
    check(&signed(secret, "msg_1", now - 310, body), body, 401).await;
    check(&signed(secret, "msg_1", now + 360, body), body, 401).await;
    let [_, time, signature] = signed(secret, "msg_1", now, body);
    check(&[("webhook-id", "msg_2".into()), time.clone(), signature.clone()], body, 401).await;
    check(&[("webhook-id", "msg_1".into()), ("webhook-timestamp", "soon".into()), signature], body, 401)
        .await;
    // As while a secret is rotated.
    let [id, time, (name, ours)] = signed(secret, "msg_1", now, body);
    let [_, _, (_, other)] = signed(OTHER_SECRET, "msg_1", now, body);
    check(&[id, time, (name, format!("{other} {ours}"))], body, 200).await;
}

/// As Mifumo and WhatsApp do, by the hexadecimal HMAC-SHA256 of the body in a header of their own.
async fn verifies_what_signs_the_body_alone(example: Example, header: &str) {
    let secret = "0f7b5f4e-webhook";
    let installed = Installed::new(example);
    let mut receiver = installed.start(secret, header).await;
    let (body, id) = (seed("mifumo-message-sent.json"), ("webhook-id", "msg_1".to_owned()));
    let signature = |secret: &str, body: &str| (header, hex_hmac(secret, body));
    receiver.post(std::slice::from_ref(&id), &body).await.expect_status(401);
    receiver.post(&[id.clone(), signature(OTHER_SECRET, &body)], &body).await.expect_status(401);
    receiver.post(&[id.clone(), signature(secret, "{}")], &body).await.expect_status(401);
    for line in ["received message.sent msg_1", "repeat msg_1"] {
        receiver.post(&[id.clone(), signature(secret, &body)], &body).await.expect_status(200);
        receiver.prints(line).await;
    }
    // Real systems of this kind send no id: the body is one.
    let other = seed("mifumo-message-failed.json");
    for expect in ["received", "repeat"] {
        let answer = receiver.post(&[signature(secret, &other)], &other).await.expect(200);
        assert_eq!(answer["status"], expect, "{example:?}");
    }
}

/// The three headers of Standard Webhooks.
fn signed(secret: &str, id: &str, timestamp: i64, body: &str) -> [(&'static str, String); 3] {
    let signer = standardwebhooks::Webhook::new(secret).expect("a secret in the standard form");
    let signature = signer.sign(id, timestamp, body.as_bytes()).expect("it signs");
    [
        ("webhook-id", id.to_owned()),
        ("webhook-timestamp", timestamp.to_string()),
        ("webhook-signature", signature),
    ]
}

fn hex_hmac(secret: &str, body: &str) -> String {
    let mut mac = <Hmac<sha2::Sha256> as KeyInit>::new_from_slice(secret.as_bytes()).expect("any length");
    mac.update(body.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

#[expect(clippy::disallowed_methods, reason = "the receivers have a clock of their own")]
fn now() -> i64 {
    let since_1970 = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    i64::try_from(since_1970.as_secs()).expect("a time of this age")
}

#[tokio::test]
async fn fastapi() {
    check(Example::FastApi).await;
}

#[tokio::test]
async fn flask() {
    check(Example::Flask).await;
}

#[tokio::test]
async fn django() {
    check(Example::Django).await;
}

#[tokio::test]
async fn express() {
    check(Example::Express).await;
}

#[tokio::test]
async fn php() {
    check(Example::Php).await;
}

/// Each folder is whole, so that it can be copied; what does not depend on the framework is the same in all.
#[test]
fn the_python_receivers_differ_in_their_framework_only() {
    for file in ["signature.py", "inbox.py"] {
        let read = |example: Example| std::fs::read_to_string(example.folder().join(file)).unwrap();
        assert_eq!(read(Example::FastApi), read(Example::Flask), "{file}");
        assert_eq!(read(Example::FastApi), read(Example::Django), "{file}");
    }
}
