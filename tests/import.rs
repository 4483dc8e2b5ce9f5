//! Imports: what another system has works here, with the command line as its operator has it.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use hookmill_testkit::receiver::{Answer, Behaviour, Received, Receiver};
use hookmill_tests::api::Endpoint;
use hookmill_tests::fixture::{seed, tests_directory};
use hookmill_tests::judge;
use hookmill_tests::router::{ADMIN_KEY, DataDir, Options, Router};
use http::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

/// Where the webhooks of the dump are, which the tests' receivers take the place of.
const DUMPED_RECEIVER: &str = "http://localhost:4200";
/// Where the double of a Svix server says that its endpoints are; nothing is delivered there.
const NOWHERE: &str = "http://127.0.0.1:9/";
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// `hookmill import` towards this router.
async fn import(router: &Router, arguments: &[&str]) -> Output {
    let mut command = Command::new(Options::default().program);
    command.arg("import").args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    command.env("HOOKMILL_URL", format!("http://{}", router.address())).env("HOOKMILL_KEY", ADMIN_KEY);
    // The same key opens the routers that are imported from.
    command.env("SVIX_AUTH_TOKEN", ADMIN_KEY);
    command.output().await.expect("the program can be run")
}

/// The report of an import that ends with this exit code.
async fn report(router: &Router, arguments: &[&str], exit: i32) -> Value {
    let output = import(router, &[arguments, &["--json"]].concat()).await;
    assert_eq!(output.status.code(), Some(exit), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// How many things have each outcome: would make, made, present, skipped, refused.
fn counts(report: &Value) -> [usize; 5] {
    ["would_make", "made", "present", "skipped", "refused"].map(|outcome| {
        let items = report["items"].as_array().expect("a report has items").iter();
        items.filter(|item| item["outcome"] == outcome).count()
    })
}

/// Checks that an import failed with this code, and said this.
fn check_failed(output: &Output, exit: i32, code: &str, said: &str) {
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(exit), "{error}");
    assert!(error.contains(&format!("error[{code}]")) && error.contains(said), "{error}");
}

/// A dump of an OsmoX server whose webhooks go to this receiver.
struct Dump {
    directory: TempDir,
    text: String,
}

impl Dump {
    fn of(receiver: &Receiver) -> Self {
        let path = tests_directory().join("data/import/osmox-dump.sql");
        let text = std::fs::read_to_string(path).expect("the dump is there");
        let receiver = receiver.url("");
        let text = text.replace(DUMPED_RECEIVER, receiver.trim_end_matches('/'));
        Self { directory: TempDir::new().expect("a temporary directory"), text }
    }

    /// A file with the first `bytes` of it.
    fn file(&self, bytes: usize) -> PathBuf {
        let path = self.directory.path().join("dump.sql");
        std::fs::write(&path, &self.text[..bytes]).expect("a temporary directory can be written");
        path
    }

    fn whole(&self) -> PathBuf {
        self.file(self.text.len())
    }
}

fn osmox(dump: &Path) -> [&str; 3] {
    ["osmox", "--mysql-dump", dump.to_str().expect("temporary paths are text")]
}

#[tokio::test]
async fn webhooks_of_an_osmox_dump_receive_their_events() {
    let receiver = Receiver::start(Behaviour::accepts()).await;
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let dump = Dump::of(&receiver);
    let file = dump.whole();
    let arguments = osmox(&file);

    let shown = import(&router, &[&arguments[..], &["--dry-run"]].concat()).await;
    let table = String::from_utf8_lossy(&shown.stdout);
    assert_eq!(shown.status.code(), Some(0), "{shown:?}");
    for told in ["provider-10", "would_make", "inactive", "newer webhook", "it has no URL"] {
        assert!(table.contains(told), "no {told} in:\n{table}");
    }
    assert_eq!(router.api().get("/app").await["data"], json!([]), "a dry run makes nothing");

    assert_eq!(counts(&report(&router, &arguments, 0).await), [0, 4, 0, 3, 0]);
    assert_eq!(counts(&report(&router, &arguments, 0).await), [0, 0, 4, 3, 0]);
    let inactive = [&arguments[..], &["--include-inactive"]].concat();
    assert_eq!(counts(&report(&router, &inactive, 0).await), [0, 1, 4, 2, 0]);
    let disabled = router.api().get("/app/osmox/endpoint/provider-11").await;
    assert_eq!((&disabled["disabled"], &disabled["preset"]), (&json!(true), &json!("osmox")));
    let ten = router.api().get("/app/osmox/endpoint/provider-10").await;
    assert_eq!((&ten["pattern"], &ten["disabled"]), (&json!({ "providerId": [10] }), &json!(false)));

    let notification = seed("osmox-notification.json");
    let provider = serde_json::from_str::<Value>(&notification).unwrap()["providerId"].clone();
    assert_eq!(provider, 4, "the second webhook of the dump is this provider's");
    router.api().send("osmox", "notification", &notification).await;
    let delivered = receiver.wait_for(1).await.remove(0);
    assert_eq!(delivered.path, "/webhook?tenant=it%27s&x=1");
    router.api().send("osmox", "notification", r#"{"id": 52, "providerId": 10}"#).await;
    let paths: Vec<String> = receiver.wait_for(2).await.into_iter().map(|request| request.path).collect();
    assert_eq!(paths[1], "/webhook", "each goes to its provider's webhook alone");
}

#[tokio::test]
async fn urls_that_are_refused_do_not_stop_an_import() {
    let receiver = Receiver::start(Behaviour::accepts()).await;
    let data_dir = DataDir::new();
    let router = data_dir.start_with(&Options::default().public_network_only()).await;
    let dump = Dump::of(&receiver);
    let report = report(&router, &osmox(&dump.whole()), 1).await;
    assert_eq!(counts(&report), [0, 1, 0, 3, 3]);
    let items = report["items"].as_array().unwrap();
    let mut refused = items.iter().filter(|item| item["outcome"] == "refused");
    assert!(refused.all(|item| item["code"] == "address_blocked" && item["note"] != ""), "{report:#}");
}

#[tokio::test]
async fn a_dump_that_is_none_is_told_with_its_line_and_makes_nothing() {
    let receiver = Receiver::start(Behaviour::accepts()).await;
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let dump = Dump::of(&receiver);
    let rows = dump.text.find("INSERT INTO `notify_webhooks` VALUES (1").expect("the dump has rows");
    let line = dump.text[..rows].lines().count() + 1;
    let failed = import(&router, &osmox(&dump.file(rows + 60))).await;
    check_failed(&failed, 1, "dump_cut_off", &format!("line {line}:"));
    let table = dump.text.find("DROP TABLE IF EXISTS `notify_webhooks`").expect("the dump has the table");
    let failed = import(&router, &osmox(&dump.file(table))).await;
    check_failed(&failed, 1, "dump_table_missing", "notify_webhooks");
    let failed = import(&router, &osmox(&dump.directory.path().join("missing"))).await;
    check_failed(&failed, 1, "file_not_readable", "missing");
    assert_eq!(router.api().get("/app").await["data"], json!([]));
}

/// A router that is imported from, with what the API of a Svix server has.
struct Source {
    router: Router,
    _data_dir: DataDir,
    /// With a script and headers, of an application that has no uid.
    scripted: Endpoint,
}

impl Source {
    async fn start(receiver: &Receiver) -> Self {
        let data_dir = DataDir::new();
        let router = data_dir.start().await;
        let api = router.api();
        let event_type = json!({ "name": "invoice.paid", "description": "An invoice was paid" });
        let _ = api.call(Method::POST, "/event-type").json(&event_type).await.expect(201);
        let application = api.create_application("without a uid").await;
        let more = json!({ "filterTypes": ["invoice.paid"], "channels": ["c"], "metadata": { "k": "v" } });
        let scripted = api.create_endpoint(&application, &receiver.url("/scripted"), more).await;
        set_headers(&router, &scripted, json!({ "x-tenant": "7", "authorization": "Bearer t" })).await;
        let code = "function handler(webhook) { webhook.payload.paid = true; return webhook; }";
        api.set_transformation(&scripted, json!({ "enabled": true, "code": code })).await;
        let tenant = json!({ "name": "with a uid", "uid": "tenant-7", "metadata": { "plan": "gold" } });
        let _ = api.call(Method::POST, "/app").json(&tenant).await.expect(201);
        let more = json!({ "uid": "main", "secret": SECRET, "throttleRate": 9 });
        let _ = api.create_endpoint("tenant-7", &receiver.url("/main"), more).await;
        Self { router, _data_dir: data_dir, scripted }
    }

    fn url(&self) -> String {
        format!("http://{}", self.router.address())
    }
}

async fn set_headers(router: &Router, endpoint: &Endpoint, headers: Value) {
    let call = router.api().call(Method::PUT, &format!("{}/headers", endpoint.path()));
    call.json(&json!({ "headers": headers })).await.expect_status(204);
}

fn imported(endpoint: &Endpoint) -> Endpoint {
    Endpoint {
        application: format!("imported-{}", endpoint.application),
        id: format!("imported-{}", endpoint.id),
    }
}

#[tokio::test]
async fn endpoints_of_a_svix_server_go_on_with_their_secrets() {
    let receiver = Receiver::start(Behaviour::accepts()).await;
    let source = Source::start(&receiver).await;
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let url = source.url();
    let arguments = ["svix", "--url", url.as_str()];

    let dry_run = [&arguments[..], &["--dry-run"]].concat();
    assert_eq!(counts(&report(&router, &dry_run, 0).await), [5, 0, 0, 0, 0]);
    assert_eq!(router.api().get("/app").await["data"], json!([]), "a dry run makes nothing");
    assert_eq!(router.api().get("/event-type").await["data"], json!([]));

    let output = import(&router, &arguments).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(said.contains("authorization"), "a header whose value is not shown is told: {said}");
    assert!(!said.contains("whsec_") && !said.contains(ADMIN_KEY), "{said}");
    assert_eq!(counts(&report(&router, &arguments, 0).await), [0, 0, 5, 0, 0]);

    let scripted = imported(&source.scripted);
    let payload = r#"{"eventId": 1}"#;
    let message =
        json!({ "eventType": "invoice.paid", "payload": { "id": 1 }, "channels": ["c"] }).to_string();
    let sent = router.api().try_send(&scripted.application, &message, None).await;
    let _ = sent.expect(202);
    let delivered = receiver.wait_for(1).await.remove(0);
    assert_eq!(
        (delivered.path.as_str(), &delivered.headers["x-tenant"]),
        ("/scripted", &"7".parse().unwrap())
    );
    let body: Value = serde_json::from_slice(&delivered.body).unwrap();
    assert_eq!(body, json!({ "id": 1, "paid": true }));
    judge::check(&source.router.api().secret(&source.scripted).await, &delivered);

    router.api().send("tenant-7", "invoice.paid", payload).await;
    let delivered = receiver.wait_for(2).await.remove(1);
    assert_eq!(delivered.path, "/main");
    judge::check(SECRET, &delivered);
    let main = router.api().get("/app/tenant-7/endpoint/main").await;
    assert_eq!(main["throttleRate"], 9);
    let scripted = router.api().get(&scripted.path()).await;
    assert_eq!((&scripted["metadata"], &scripted["disabled"]), (&json!({ "k": "v" }), &json!(false)));
}

#[tokio::test]
async fn an_import_that_was_cut_off_is_completed() {
    let receiver = Receiver::start(Behaviour::accepts()).await;
    let source = Source::start(&receiver).await;
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    // What is there when an import ends between the requests that make one endpoint.
    let Endpoint { application, id } = imported(&source.scripted);
    let app = json!({ "name": "without a uid", "uid": application });
    let _ = router.api().call(Method::POST, "/app").json(&app).await.expect(201);
    let more = json!({ "uid": id, "disabled": true, "metadata": { "hookmill-import": "unfinished" } });
    let half = router.api().create_endpoint(&application, &receiver.url("/scripted"), more).await;

    let report = report(&router, &["svix", "--url", &source.url()], 0).await;
    assert_eq!(counts(&report), [0, 4, 1, 0, 0], "{report:#}");
    let whole = router.api().get(&half.path()).await;
    assert_eq!((&whole["disabled"], &whole["metadata"]), (&json!(false), &json!({ "k": "v" })));
    let headers = router.api().get(&format!("{}/headers", half.path())).await;
    assert_eq!(headers["headers"], json!({ "x-tenant": "7" }));
    let transformation = router.api().get(&format!("{}/transformation", half.path())).await;
    assert_eq!(transformation["enabled"], true);
}

/// A Svix server with two applications on a page each, and an endpoint of which not all can be read. It is busy once.
fn svix_double() -> Behaviour {
    let was_busy = AtomicBool::new(false);
    Behaviour::Chooses(Box::new(move |request: &Received| {
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        let goes_on = query.contains("iterator=");
        if goes_on && !was_busy.swap(true, Ordering::Relaxed) {
            return Answer::status(429).header("retry-after", "0");
        }
        let page = |items: Value, iterator: &str, done: bool| {
            let body = json!({ "data": items, "iterator": iterator, "done": done }).to_string();
            Answer::status(200).body(body)
        };
        let application = |id: &str| json!([{ "id": id, "name": id, "uid": null, "metadata": {} }]);
        let endpoint = |id: &str| json!([{ "id": id, "url": NOWHERE, "description": "", "metadata": {} }]);
        match path {
            "/api/v1/event-type" => page(json!([]), "", true),
            "/api/v1/app" if goes_on => page(application("app_2srOrx2ZWZBpBUvZwXKQmoEYga2"), "2", true),
            "/api/v1/app" => page(application("app_1srOrx2ZWZBpBUvZwXKQmoEYga2"), "1", false),
            "/api/v1/app/app_1srOrx2ZWZBpBUvZwXKQmoEYga2/endpoint" => {
                page(endpoint("ep_1srOrx2ZWZBpBUvZwXKQmoEYga2"), "1", true)
            }
            "/api/v1/app/app_2srOrx2ZWZBpBUvZwXKQmoEYga2/endpoint" => {
                page(endpoint("ep_2srOrx2ZWZBpBUvZwXKQmoEYga2"), "1", true)
            }
            // The second endpoint has neither; its secret can't be carried over.
            path if path.ends_with("ep_1srOrx2ZWZBpBUvZwXKQmoEYga2/secret") => {
                Answer::status(200).body(json!({ "key": SECRET }).to_string())
            }
            _ => Answer::status(404),
        }
    }))
}

#[tokio::test]
async fn pages_of_a_server_that_is_busy_are_read_to_the_last() {
    let double = Receiver::start(svix_double()).await;
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let url = double.url("");
    let report = report(&router, &["svix", "--url", &url], 1).await;
    assert_eq!(counts(&report), [0, 3, 0, 0, 1], "{report:#}");
    let refused =
        report["items"].as_array().unwrap().iter().find(|item| item["outcome"] == "refused").unwrap();
    assert_eq!(
        (&refused["uid"], &refused["code"]),
        (&json!("ep_2srOrx2ZWZBpBUvZwXKQmoEYga2"), &json!("secret_missing"))
    );
    // Callers who know an application and an endpoint by their old ids go on working.
    let path = "/app/app_1srOrx2ZWZBpBUvZwXKQmoEYga2/endpoint/ep_1srOrx2ZWZBpBUvZwXKQmoEYga2";
    assert_eq!(router.api().get(path).await["url"], NOWHERE);
    assert_eq!(router.api().get(&format!("{path}/secret")).await["key"], SECRET);
    let requests = double.requests();
    assert!(requests.iter().all(|request| request.headers["authorization"] == format!("Bearer {ADMIN_KEY}")));
    let repeated = requests.iter().filter(|request| request.path.contains("iterator=1")).count();
    assert_eq!(repeated, 2, "once while it is busy, once after");
}

#[tokio::test]
async fn a_source_that_makes_no_sense_ends_an_import() {
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let check = async |answer: Answer, exit: i32, code: &str| {
        let double = Receiver::start(Behaviour::Chooses(Box::new(move |_| answer.clone()))).await;
        let output = import(&router, &["svix", "--url", &double.url("")]).await;
        check_failed(&output, exit, code, "--token");
    };
    let page = |page: Value| Answer::status(200).body(page.to_string());
    let endless = json!({ "data": [{ "name": "a.b" }], "iterator": "same", "done": false });
    check(page(endless), 1, "answer_not_understood").await;
    check(page(json!({ "data": [], "iterator": "a", "done": false })), 1, "answer_not_understood").await;
    check(Answer::status(200).body("not JSON"), 1, "answer_not_understood").await;
    check(Answer::status(500), 1, "answer_not_understood").await;
    let refusal = json!({ "code": "authentication_failed", "detail": "Invalid token" });
    check(Answer::status(401).body(refusal.to_string()), 4, "authentication_failed").await;
    check(Answer::status(429).header("retry-after", "0"), 1, "answer_not_understood").await;
    check(Answer::redirect(302, "http://127.0.0.1:9/"), 1, "answer_not_understood").await;
}
