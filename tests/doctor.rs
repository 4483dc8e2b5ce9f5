//! Failures that are explained, in the attempt and by `hookmill doctor`; endpoints that prove that they want events.

use std::net::SocketAddr;
use std::process::Output;
use std::sync::Arc;

use hookmill_testkit::receiver::{Answer, Behaviour, Received, Receiver};
use hookmill_tests::api::Endpoint;
use hookmill_tests::judge;
use hookmill_tests::router::{ADMIN_KEY, DataDir, Options, Router};
use http::Method;
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use rustls::pki_types::PrivateKeyDer;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpSocket};
use tokio::process::Command;
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;

/// A command of the program, as an operator of this router gives it.
async fn command(router: &Router, arguments: &[&str]) -> Output {
    let mut command = Command::new(Options::default().program);
    command.env("HOOKMILL_URL", format!("http://{}", router.address())).env("HOOKMILL_KEY", ADMIN_KEY);
    command.args(arguments).kill_on_drop(true).output().await.expect("the program can be run")
}

/// What `hookmill doctor` says as JSON, checked against its exit code.
async fn examined(router: &Router, endpoint: &Endpoint) -> Value {
    let output = command(router, &["doctor", "--endpoint", &endpoint.id, "--json"]).await;
    let report: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    let expect = if report["findings"]["healthy"] == true { 0 } else { 1 };
    assert_eq!(output.status.code(), Some(expect), "{report}");
    report["findings"].clone()
}

/// A delivery to `url` fails; the attempt and the doctor say the same of it, the doctor to people too.
async fn check(url: &str, failure_code: &str, diagnosis: &str, advised: &str) {
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    check_with(&router, url, failure_code, diagnosis, advised).await;
}

async fn check_with(router: &Router, url: &str, failure_code: &str, diagnosis: &str, advised: &str) {
    let api = router.api();
    let application = api.create_application("ill").await;
    let endpoint = api.create_endpoint(&application, url, json!({})).await;
    api.set_policy(&endpoint, json!({ "schedule": [3600.0], "jitterPercent": 0, "timeoutMs": 1000 })).await;
    let message = api.send(&application, "any", r#"{"event":1}"#).await;
    let attempt = api.wait_for_attempts(&application, &message, 1).await.remove(0);
    assert_eq!(
        [&attempt["failureCode"], &attempt["diagnosis"]["code"]],
        [failure_code, diagnosis],
        "{attempt}"
    );

    let findings = examined(router, &endpoint).await;
    let cause = &findings["causes"][0];
    assert_eq!([&cause["code"], &cause["attempts"]], [&json!(diagnosis), &json!(1)], "{findings}");
    assert_eq!(findings["counts"]["retrying"], 1, "{findings}");
    assert_eq!(findings["counts"]["nextAttempt"], attempt["nextAttempt"]);
    let output = command(router, &["doctor", "--endpoint", &endpoint.id, "--app", &application]).await;
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(shown.contains(diagnosis) && shown.contains(advised), "{advised:?} in:\n{shown}");
}

#[tokio::test]
async fn a_refused_port() {
    // Bound, so that nobody else listens there, and not listening.
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(([127, 0, 0, 1], 0).into()).expect("a free port");
    let url = format!("http://{}/", socket.local_addr().expect("it is bound"));
    check(&url, "connect_refused", "connect_refused", "check firewall and security group settings").await;
}

#[tokio::test]
async fn a_receiver_that_hangs() {
    let receiver = Receiver::start(Behaviour::NeverAnswers).await;
    let advised = "answer at once and process afterwards";
    check(&receiver.url("/"), "response_timeout", "response_timeout", advised).await;
}

#[tokio::test]
async fn a_404() {
    let receiver = Receiver::start(Behaviour::statuses([404])).await;
    check(&receiver.url("/"), "status", "not_found", "update the webhook URL").await;
}

#[tokio::test]
async fn a_name_that_does_not_exist() {
    check("http://no-such-host.invalid/", "dns_failed", "dns_failed", "look the name up").await;
}

#[tokio::test]
async fn a_certificate_that_nobody_trusts() {
    let receiver = Secure::start(for_this_machine()).await;
    let url = format!("https://{}/", receiver.address);
    check(&url, "tls_failed", "tls_unknown_issuer", "update the certificate").await;
}

/// Conversation webhooks, Common Issues: "Expired certificate | Set up auto-renewal".
#[tokio::test]
async fn a_certificate_that_has_expired() {
    let mut certificate = for_this_machine();
    certificate.not_before = date_time_ymd(2019, 1, 1);
    certificate.not_after = date_time_ymd(2020, 1, 1);
    check_trusted(certificate, "tls_expired", "set up auto-renewal").await;
}

/// The same: "Certificate mismatch | Verify domain matching".
#[tokio::test]
async fn a_certificate_for_another_host() {
    let other = CertificateParams::new(vec!["hooks.example".to_owned()]).expect("a name");
    check_trusted(other, "tls_name_mismatch", "verify that the domain of the URL matches").await;
}

/// As [`check`], where the router trusts whoever signed the certificate.
async fn check_trusted(certificate: CertificateParams, diagnosis: &str, advised: &str) {
    let receiver = Secure::start(certificate).await;
    let data_dir = DataDir::new();
    let authorities = data_dir.path().with_file_name("authorities.pem");
    std::fs::write(&authorities, &receiver.pem).expect("a temporary directory can be written");
    let path = authorities.to_str().expect("a path of text").to_owned();
    let variables = vec![("SSL_CERT_FILE", &*path.leak())];
    let router = data_dir.start_with(&Options { variables, ..Options::default() }).await;
    check_with(&router, &format!("https://{}/", receiver.address), "tls_failed", diagnosis, advised).await;
}

fn for_this_machine() -> CertificateParams {
    CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("an address")
}

/// A receiver with a certificate that it signed itself; whoever trusts it gets no answer.
struct Secure {
    address: SocketAddr,
    pem: String,
    accepting: AbortHandle,
}

impl Secure {
    async fn start(certificate: CertificateParams) -> Self {
        let signing_key = KeyPair::generate().expect("there is randomness");
        let certificate = certificate.self_signed(&signing_key).expect("a certificate");
        let key = PrivateKeyDer::Pkcs8(signing_key.serialize_der().into());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring has the default versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .expect("the key is the certificate's");
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // A client that does not trust the certificate ends the handshake.
                let _ = acceptor.accept(stream).await;
            }
        });
        Self { address, pem: certificate.pem(), accepting: accepting.abort_handle() }
    }
}

impl Drop for Secure {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

#[tokio::test]
async fn an_endpoint_that_is_well() {
    let receiver = Receiver::start(Behaviour::accepts()).await;
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let application = router.api().create_application("well").await;
    let endpoint = router.api().create_endpoint(&application, &receiver.url("/"), json!({})).await;
    let message = router.api().send(&application, "any", "{}").await;
    router.api().wait_for_attempts(&application, &message, 1).await;
    let findings = examined(&router, &endpoint).await;
    assert_eq!((&findings["healthy"], &findings["causes"]), (&json!(true), &json!([])), "{findings}");
}

/// Mifumo SMS: "After 3 failed attempts, webhook is marked as failed" and waits to be reactivated.
#[tokio::test]
async fn an_endpoint_that_failed_is_reactivated_as_the_doctor_says() {
    let receiver = Receiver::start(Behaviour::statuses([500])).await;
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let api = router.api();
    let application = api.create_application("failed").await;
    let endpoint = api.create_endpoint(&application, &receiver.url("/"), json!({})).await;
    api.set_policy(&endpoint, json!({ "schedule": [], "disable": "exhausted" })).await;
    let message = api.send(&application, "any", "{}").await;
    // The attempt is written down in one commit, the endpoint's state in another.
    api.wait_for_attempts(&application, &message, 1).await;
    hookmill_tests::wait::until("the endpoint is marked failed", async || {
        (api.get(&endpoint.path()).await["state"] == "failed").then_some(())
    })
    .await;
    let findings = examined(&router, &endpoint).await;
    assert_eq!(findings["causes"][0]["code"], "server_error");
    let advice = findings["advice"].as_array().and_then(|advice| advice.last()).and_then(Value::as_str);
    let (_, advised) =
        advice.and_then(|advice| advice.split_once("hookmill ")).expect("a command is advised");
    let output = command(&router, &advised.split(' ').collect::<Vec<_>>()).await;
    assert!(output.status.success(), "{output:?}");
    receiver.wait_for(2).await;
    api.wait_until_drained(&endpoint).await;
    assert_eq!(api.get(&endpoint.path()).await["state"], "enabled");
}

/// What the last advice says to call, called.
async fn follow(router: &Router, findings: &Value) -> Output {
    let advice = findings["advice"].as_array().and_then(|advice| advice.last()).and_then(Value::as_str);
    let (_, advised) =
        advice.and_then(|advice| advice.split_once("hookmill ")).expect("a command is advised");
    let output = command(router, &advised.split(' ').collect::<Vec<_>>()).await;
    assert!(output.status.success(), "{advised}: {output:?}");
    output
}

/// The call that the doctor prints works as printed, and what was done is advised no longer. Twenty calls at once send each
/// event once more.
#[tokio::test]
async fn what_failed_for_good_is_recovered_as_the_doctor_says_and_each_once() {
    const EVENTS: usize = 5;
    let receiver = Receiver::start(Behaviour::statuses([500; EVENTS])).await;
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let api = router.api();
    let application = api.create_application("dead").await;
    let endpoint = api.create_endpoint(&application, &receiver.url("/"), json!({})).await;
    api.set_policy(&endpoint, json!({ "schedule": [] })).await;
    for _ in 0..EVENTS {
        api.send(&application, "any", "{}").await;
    }
    let stats = format!("{}/stats", endpoint.path());
    hookmill_tests::wait::until("all are dead", async || {
        (api.get(&stats).await["fail"] == EVENTS).then_some(())
    })
    .await;
    let findings = examined(&router, &endpoint).await;
    let recover = format!("{}/recover", endpoint.path());
    let body = json!({ "since": "2020-01-01T00:00:00Z" });
    let calls = (0..20).map(|_| api.call(Method::POST, &recover).json(&body));
    let started: Vec<Value> =
        futures_util::future::join_all(calls).await.into_iter().map(|reply| reply.expect(202)).collect();
    follow(&router, &findings).await;
    let task = format!("/background-task/{}", started[0]["id"].as_str().unwrap());
    hookmill_tests::wait::until("the task is finished", async || {
        (api.get(&task).await["status"] == "finished").then_some(())
    })
    .await;
    api.wait_until_drained(&endpoint).await;
    hookmill_tests::wait::until("no task runs", async || {
        let running = api.get("/background-task?status=running").await;
        running["data"].as_array().is_some_and(Vec::is_empty).then_some(())
    })
    .await;
    api.wait_until_drained(&endpoint).await;
    assert_eq!(receiver.requests().len(), 2 * EVENTS, "each was sent once more");
    assert_eq!(api.get(&stats).await["fail"], 0);
    assert_eq!(examined(&router, &endpoint).await["advice"], json!([]), "what was done is not advised");
}

#[tokio::test]
async fn what_an_endpoint_missed_while_it_was_disabled_is_replayed_as_the_doctor_says() {
    let receiver = Receiver::start(Behaviour::accepts()).await;
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let api = router.api();
    let application = api.create_application("missed").await;
    let endpoint = api.create_endpoint(&application, &receiver.url("/"), json!({})).await;
    let set = async |disabled: bool| {
        let body = json!({ "disabled": disabled });
        api.call(Method::PATCH, &endpoint.path()).json(&body).await.expect_status(200);
    };
    set(true).await;
    for _ in 0..3 {
        api.send(&application, "any", "{}").await;
    }
    let findings = examined(&router, &endpoint).await;
    set(false).await;
    for _ in 0..2 {
        follow(&router, &findings).await;
    }
    receiver.wait_for(3).await;
    hookmill_tests::wait::until("no task runs", async || {
        let running = api.get("/background-task?status=running").await;
        running["data"].as_array().is_some_and(Vec::is_empty).then_some(())
    })
    .await;
    api.wait_until_drained(&endpoint).await;
    assert_eq!(receiver.requests().len(), 3, "each was sent once");
}

/// Echoes challenges, as the document of the handshake says.
fn echo(request: &Received) -> Answer {
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    match (body["type"].as_str(), body["challenge"].as_str()) {
        (Some("webhook.verification"), Some(challenge)) => Answer::status(200).body(challenge.to_owned()),
        _ => Answer::status(200),
    }
}

#[tokio::test]
async fn an_endpoint_is_verified_by_a_challenge_before_it_receives_anything() {
    let receiver = Receiver::start(Behaviour::Chooses(Box::new(echo))).await;
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let api = router.api();
    let application = api.create_application("challenged").await;
    let endpoint =
        api.create_endpoint(&application, &receiver.url("/"), json!({ "verification": "challenge" })).await;
    api.send(&application, "before", "{}").await;
    let findings = examined(&router, &endpoint).await;
    assert!(findings["advice"][0].as_str().is_some_and(|advice| advice.contains("endpoint verify")));

    let output = command(&router, &["endpoint", "verify", &endpoint.id, "--app", &application]).await;
    assert!(output.status.success(), "{output:?}");
    api.send(&application, "after", r#"{"n":1}"#).await;
    let requests = receiver.wait_for(2).await;
    api.wait_until_drained(&endpoint).await;
    assert_eq!(receiver.requests().len(), 2, "the event from before went nowhere");
    let secret = api.secret(&endpoint).await;
    judge::check(&secret, &requests[0]);
    assert_eq!(requests[1].body, r#"{"n":1}"#);
}

#[tokio::test]
async fn a_receiver_that_knows_no_challenge_is_not_verified() {
    let receiver = Receiver::start(Behaviour::accepts()).await;
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let api = router.api();
    let application = api.create_application("challenged").await;
    let endpoint =
        api.create_endpoint(&application, &receiver.url("/"), json!({ "verification": "challenge" })).await;
    let output = command(&router, &["endpoint", "verify", &endpoint.id, "--app", &application]).await;
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("error[challenge_not_echoed]"), "{said}");
    for verb in ["enable", "show"] {
        let output = command(&router, &["endpoint", verb, &endpoint.id, "--app", &application]).await;
        assert!(String::from_utf8_lossy(&output.stdout).contains("unverified"), "{verb}: {output:?}");
    }
}

/// CloudEvents "HTTP 1.1 Web Hooks for Event Delivery" 1.0, section 4.
#[tokio::test]
async fn an_endpoint_is_verified_by_options_and_kept_to_the_rate_that_it_allows() {
    let allow = |request: &Received| {
        let asked = request.headers.get("webhook-request-origin").and_then(|origin| origin.to_str().ok());
        match (&request.method, asked) {
            (&Method::OPTIONS, Some("hooks.example.com")) => Answer::status(200)
                .header("allow", "POST")
                .header("webhook-allowed-origin", "hooks.example.com")
                .header("webhook-allowed-rate", "60"),
            (&Method::OPTIONS, _) => Answer::status(403),
            _ => Answer::status(200),
        }
    };
    let receiver = Receiver::start(Behaviour::Chooses(Box::new(allow))).await;
    let data_dir = DataDir::new();
    let options = Options::default().config(&data_dir, "origin = 'hooks.example.com'");
    let router = data_dir.start_with(&options).await;
    let api = router.api();
    let application = api.create_application("asked").await;
    let endpoint =
        api.create_endpoint(&application, &receiver.url("/"), json!({ "verification": "cloudevents" })).await;
    let verify = format!("{}/verify", endpoint.path());
    let report = api.call(Method::POST, &verify).json(&json!({})).await.expect(200);
    assert_eq!((&report["verified"], &report["allowedRate"]), (&json!(true), &json!(60)), "{report}");
    let policy = api.get(&format!("{}/policy", endpoint.path())).await;
    assert_eq!(policy["rate"], json!({ "deliveries": 60, "periodSecs": 60 }));
    api.send(&application, "any", "{}").await;
    let requests = receiver.wait_for(2).await;
    assert_eq!([&requests[0].method, &requests[1].method], [Method::OPTIONS, Method::POST]);
    assert_eq!(requests[0].headers["webhook-request-rate"], "120");
}
