//! OsmoX: what the "Osmox Webhook Configuration and Usage Guide" says, in the order of its sections.

use std::net::{SocketAddr, TcpListener};
use std::process::{Output, Stdio};

use hookmill_testkit::receiver::{Behaviour, Receiver};
use hookmill_tests::api::{Endpoint, text};
use hookmill_tests::router::{ADMIN_KEY, DataDir, Options, Router};
use hookmill_tests::{fixture, judge, wait};
use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// "Webhook Registration": the command, as it is printed.
const CURL: &str = r#"curl --location 'http://localhost:3000/graphql' \
--header 'Content-Type: application/json' \
--header 'x-api-key: OsmoX-test-key' \
--header 'Authorization: Bearer OsmoX-test-key' \
--data '{"query":"mutation RegisterWebhook {\n    webhook(createWebhookInput: {\n        providerId: 10,\n        webhookUrl: \"http://localhost:4200/webhook\",\n    }) {\n        webhookUrl\n        providerId\n        createdOn\n        updatedOn\n        status\n    }\n}","variables":{}}'
"#;
/// The key in it.
const KEY: &str = "OsmoX-test-key";
/// The application whose key it is.
const APPLICATION: &str = "osmox";

/// A router that OsmoX's callers use.
struct Osmox {
    router: Router,
    _data_dir: DataDir,
}

impl Osmox {
    async fn start() -> Self {
        Self::listening(SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    /// Starts a router, and does what its operator does once: an application, and the key that callers have.
    async fn listening(listen: SocketAddr) -> Self {
        let data_dir = DataDir::new();
        let router = data_dir.start_with(&Options { listen, ..Options::default() }).await;
        let application = json!({ "name": "OsmoX", "uid": APPLICATION });
        router.api().call(Method::POST, "/app").json(&application).await.expect_status(201);
        let osmox = Self { router, _data_dir: data_dir };
        let imported = osmox.import_key(&["--allow-short"]).await;
        assert!(imported.status.success(), "{imported:?}");
        osmox
    }

    /// Imports the callers' key with the command line.
    async fn import_key(&self, more: &[&str]) -> Output {
        let mut command = Command::new(Options::default().program);
        command.args(["key", "import", "--scope", "application", "--app", APPLICATION]).args(more);
        command
            .env("HOOKMILL_URL", format!("http://{}", self.router.address()))
            .env("HOOKMILL_KEY", ADMIN_KEY);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("the program can be run");
        let mut stdin = child.stdin.take().expect("stdin is piped");
        stdin.write_all(format!("{KEY}\n").as_bytes()).await.expect("it reads the key");
        drop(stdin);
        wait::event("the key is imported", child.wait_with_output()).await.expect("it is our child")
    }

    /// Registers a webhook as OsmoX's callers do.
    async fn register(&self, provider: u32, url: &str) -> Endpoint {
        let query =
            "mutation Register($input: CreateWebhookInput!) { webhook(createWebhookInput: $input) { id } }";
        let variables = json!({ "input": { "providerId": provider, "webhookUrl": url } });
        let api = self.router.api().with_key(KEY);
        let call = api.call_at(Method::POST, "/graphql").header("x-api-key", KEY);
        let registered = call.json(&json!({ "query": query, "variables": variables })).await.expect(200);
        Endpoint { application: APPLICATION.to_owned(), id: text(&registered["data"]["webhook"], "id") }
    }

    /// Sends a notification object; answers the message's id.
    async fn notify(&self, notification: &str) -> String {
        self.router.api().with_key(KEY).send(APPLICATION, "notification.updated", notification).await
    }
}

/// A listener on this port, or on a free one if it is taken.
fn listener_at(port: u16) -> TcpListener {
    let at = |port: u16| TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, port));
    at(port).or_else(|_| at(0)).expect("a free port on 127.0.0.1")
}

fn port_of(listener: &TcpListener) -> u16 {
    listener.local_addr().expect("a bound listener has an address").port()
}

/// Runs a command of a shell; answers what it prints. Where there is no curl, its arguments are sent all the same.
async fn run_curl(command: &str) -> Value {
    let mut shell = Command::new("/bin/sh");
    shell.arg("-c").arg(command).env("no_proxy", "*").stdin(Stdio::null()).kill_on_drop(true);
    let output = wait::event("curl ends", shell.output()).await.expect("there is a shell");
    let printed = match output.status.code() {
        Some(127) => send_without_curl(command).await,
        _ => output.stdout,
    };
    let said = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&printed).unwrap_or_else(|error| panic!("{error}: {said}"))
}

async fn send_without_curl(command: &str) -> Vec<u8> {
    let quoted: Vec<&str> = command.split('\'').skip(1).step_by(2).collect();
    let [url, headers @ .., body] = quoted.as_slice() else { panic!("{command}") };
    let client = reqwest::Client::builder().no_proxy().build().expect("no TLS is spoken");
    let mut request = client.post(*url).body((*body).to_owned());
    for header in headers {
        let (name, value) = header.split_once(": ").expect("a header has a value");
        request = request.header(name, value);
    }
    let answer = request.send().await.expect("the router answers");
    answer.bytes().await.expect("the answer is whole").to_vec()
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// "Webhook Registration" and "Example Response".
#[tokio::test]
async fn the_printed_command_registers_a_webhook() {
    let router = listener_at(3000);
    let port = port_of(&router);
    let webhook = listener_at(4200);
    let url = format!("http://localhost:{}/webhook", port_of(&webhook));
    drop(router);
    let osmox = Osmox::listening(SocketAddr::from(([127, 0, 0, 1], port))).await;
    let command = CURL.replace("localhost:3000", &format!("localhost:{port}"));
    let command = command.replace("http://localhost:4200/webhook", &url);

    let answer = run_curl(&command).await;
    let created = text(&answer["data"]["webhook"], "createdOn");
    let expect = json!({
        "data": {
            "webhook": {
                "webhookUrl": url,
                "providerId": 10,
                "createdOn": created,
                "updatedOn": created,
                "status": 1
            }
        }
    });
    assert_eq!(answer, expect);
    assert_eq!(created, format!("{:.3}", time(&created)), "RFC 3339 with milliseconds, as it is printed");

    let second = run_curl(&command).await;
    assert_eq!(second["errors"][0]["extensions"]["code"], "webhook_exists", "{second}");

    webhook.set_nonblocking(true).expect("a listener of this process");
    let webhook = tokio::net::TcpListener::from_std(webhook).expect("a listener of this process");
    let receiver = Receiver::start_on(webhook, Behaviour::accepts());
    osmox.notify(r#"{"id": 1, "providerId": 10}"#).await;
    assert_eq!(receiver.wait_for(1).await[0].path, "/webhook");
}

/// The key of the printed command is shorter than keys should be, so its operator has to say that it is meant.
#[tokio::test]
async fn a_short_key_is_taken_on_request_only() {
    let osmox = Osmox::start().await;
    let refused = osmox.import_key(&[]).await;
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && said.contains("error[key_length_invalid]"), "{said}");
    let shown = osmox.import_key(&["--allow-short", "--json"]).await;
    let said = String::from_utf8_lossy(&shown.stderr);
    assert!(!shown.status.success() && said.contains("key_taken"), "{said}");
}

/// "Handling Webhook Events": "We are sending the complete notification object from our end".
#[tokio::test]
async fn the_complete_notification_goes_to_its_provider_and_to_no_other() {
    let osmox = Osmox::start().await;
    let [four, ten] =
        [Receiver::start(Behaviour::accepts()).await, Receiver::start(Behaviour::accepts()).await];
    osmox.register(4, &four.url("/webhook")).await;
    osmox.register(10, &ten.url("/webhook")).await;

    let notification = fixture::seed("osmox-notification.json");
    osmox.notify(&notification).await;
    let received = four.wait_for(1).await.remove(0);
    assert_eq!((received.method.as_str(), received.path.as_str()), ("POST", "/webhook"));
    assert_eq!(received.headers["content-type"], "application/json");
    assert_eq!(std::str::from_utf8(&received.body).unwrap(), notification, "byte for byte");

    let other = notification.replace(r#""providerId": 4"#, r#""providerId": 10"#);
    osmox.notify(&other).await;
    assert_eq!(std::str::from_utf8(&ten.wait_for(1).await[0].body).unwrap(), other);
    let nobodys = osmox.notify(r#"{"id": 52, "providerId": 5}"#).await;
    let listed = osmox.router.api().get(&format!("/app/{APPLICATION}/msg/{nobodys}/endpoint")).await;
    assert_eq!(listed["data"], json!([]));
    assert_eq!((four.requests().len(), ten.requests().len()), (1, 1));
}

/// "Webhook Verification": "not yet incorporated" there; here each delivery is signed.
#[tokio::test]
async fn each_delivery_is_signed() {
    let osmox = Osmox::start().await;
    let receiver = Receiver::start(Behaviour::accepts()).await;
    let endpoint = osmox.register(4, &receiver.url("/webhook")).await;
    let message = osmox.notify(&fixture::seed("osmox-notification.json")).await;
    let received = receiver.wait_for(1).await.remove(0);
    assert_eq!(received.headers["webhook-id"], message.as_str());
    judge::check(&osmox.router.api().secret(&endpoint).await, &received);
}

/// "Retry Strategy": "it will retry after increasing intervals", which are 2, 4, 8 and 16 s.
#[tokio::test]
async fn a_failed_request_is_sent_again_after_two_seconds() {
    let osmox = Osmox::start().await;
    let receiver = Receiver::start(Behaviour::statuses([500])).await;
    let endpoint = osmox.register(4, &receiver.url("/webhook")).await;
    let policy = osmox.router.api().get(&format!("{}/policy", endpoint.path())).await;
    let expect = json!({ "baseMs": 2000, "factorPercent": 200, "capMs": 16_000, "attemptsMax": 5 });
    assert_eq!((&policy["exponential"], &policy["jitterPercent"]), (&expect, &json!(0)));

    let message = osmox.notify(&fixture::seed("osmox-notification.json")).await;
    let received = receiver.wait_for(2).await;
    assert_eq!(received[0].body, received[1].body);
    assert_eq!(received[0].headers["webhook-id"], received[1].headers["webhook-id"]);
    let attempts = osmox.router.api().wait_for_attempts(APPLICATION, &message, 2).await;
    let [failed, delivered] = attempts.as_slice() else { panic!("{attempts:?}") };
    assert_eq!((&failed["responseStatusCode"], &delivered["responseStatusCode"]), (&json!(500), &json!(200)));
    let due = time(&text(failed, "nextAttempt"));
    let waited = due.as_millisecond() - time(&text(failed, "timestamp")).as_millisecond();
    assert!(waited >= 2000, "due {waited} ms after the attempt began");
    assert!(time(&text(delivered, "timestamp")) >= due);
}
