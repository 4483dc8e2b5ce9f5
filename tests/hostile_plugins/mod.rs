//! The hostile corpus: plugins made to harm, against one real router.
//!
//! Each [`Hostile`] plugin is uploaded and, where it compiles, run on an event that two neighbours get too. Whatever it
//! does, the router lives, the answer or the attempt names the limit, and the neighbours get their event; at the end the
//! router's memory is what it was.
//!
//! [`uploads`] are stopped before they run, [`runs`] while they run, [`arguments`] by what they ask of the host, and
//! [`storms`] call each function of the host without end. [`worlds`] does the same to sources and classifiers, in the
//! plugin host without a router. [`guest`] writes them all.

mod arguments;
pub(crate) mod guest;
mod runs;
mod storms;
mod uploads;
mod worlds;

use hookmill_testkit::receiver::{Behaviour, Receiver};
use hookmill_tests::api::{Api, Endpoint};
use hookmill_tests::memory::resident_bytes;
use hookmill_tests::plugin;
use hookmill_tests::router::{DataDir, Router};
use serde_json::{Value, json};

use self::guest::Maker;

/// One row of the corpus.
#[derive(Debug)]
struct Hostile {
    name: String,
    upload: Vec<u8>,
    ends: Ends,
}

/// Where a hostile plugin is stopped.
#[derive(Debug, Clone, Copy)]
enum Ends {
    /// At the upload, with this code and a message that has this in it.
    Refused(&'static str, &'static str),
    /// At the upload, with one of these codes.
    RefusedByAny(&'static [&'static str]),
    /// In its run, with this code and a detail that has this in it.
    Fails(&'static str, &'static str),
    /// In its run, by whichever of these limits it meets first.
    FailsByAny(&'static [&'static str]),
    /// By what the host says to it, which it passes on and the attempt shows.
    Says(&'static str),
    /// Not at all: it does much, and within the limits.
    Delivers,
}

impl Ends {
    /// Whether the upload is taken.
    fn is_in_a_run(self) -> bool {
        match self {
            Self::Refused(..) | Self::RefusedByAny(_) => false,
            Self::Fails(..) | Self::FailsByAny(_) | Self::Says(_) | Self::Delivers => true,
        }
    }
}

impl Hostile {
    fn new(name: &str, upload: Vec<u8>, ends: Ends) -> Self {
        Self { name: name.to_owned(), upload, ends }
    }
}

/// One application with two good endpoints, where hostile ones come and go.
struct Ground {
    router: Router,
    application: String,
    hostile: Receiver,
    helped: Receiver,
    plain: Receiver,
    /// Events so far, each of which both neighbours get.
    events: usize,
    _data_dir: DataDir,
}

impl Ground {
    async fn new() -> Self {
        let hostile = Receiver::start(Behaviour::accepts()).await;
        let helped = Receiver::start(Behaviour::accepts()).await;
        let plain = Receiver::start(Behaviour::accepts()).await;
        let data_dir = DataDir::new();
        let router = data_dir.start().await;
        let api = router.api();
        let application = api.create_application("ground").await;
        let with_plugin = api.create_endpoint(&application, &helped.url("/helped"), json!({})).await;
        api.create_endpoint(&application, &plain.url("/plain"), json!({})).await;
        api.upload_plugin("good", plugin::saying(r#"{"good":true}"#)).await;
        api.set_transformation(&with_plugin, json!({ "enabled": true, "plugin": "good" })).await;
        Self { router, application, hostile, helped, plain, events: 0, _data_dir: data_dir }
    }

    fn api(&self) -> &Api {
        self.router.api()
    }

    /// Sends an event of this type, and waits until both neighbours have it.
    async fn send(&mut self, event_type: &str) -> String {
        let message = self.api().send(&self.application, event_type, r#"{"original":true}"#).await;
        self.events += 1;
        self.helped.wait_for(self.events).await;
        self.plain.wait_for(self.events).await;
        message
    }

    /// Uploads a hostile plugin, while an event goes to the neighbours.
    async fn upload(&mut self, name: &str, row: &Hostile) -> Result<(), String> {
        let api = self.api().clone();
        let (reply, _) =
            tokio::join!(api.try_upload_plugin(name, row.upload.clone()), self.send("neighbourly"));
        let refused = |codes: &[&str], part: &str| {
            let body = reply.expect(422);
            let said = body["detail"].to_string();
            let named =
                body["code"].as_str().is_some_and(|code| codes.contains(&code)) && said.contains(part);
            if named { Ok(()) } else { Err(format!("refused as {body}")) }
        };
        match row.ends {
            Ends::Refused(..) | Ends::RefusedByAny(_) if reply.status != 422 => {
                Err(format!("not refused: {} {}", reply.status, String::from_utf8_lossy(&reply.body)))
            }
            Ends::Refused(code, part) => refused(&[code], part),
            Ends::RefusedByAny(codes) => refused(codes, ""),
            _ if reply.status == 201 => Ok(()),
            _ => Err(format!("not taken: {} {}", reply.status, String::from_utf8_lossy(&reply.body))),
        }
    }

    /// Runs a hostile plugin that was taken, at an endpoint of its own.
    async fn run(&mut self, name: &str, row: &Hostile) -> Result<(), String> {
        let event_type = format!("for.{name}");
        let only = json!({ "filterTypes": [event_type] });
        let endpoint = self.api().create_endpoint(&self.application, &self.hostile.url("/"), only).await;
        let transformation = json!({ "enabled": true, "plugin": name, "onFailure": "dead_letter" });
        self.api().set_transformation(&endpoint, transformation).await;
        let outcome = self.judge(&endpoint, &event_type, row).await;
        self.api().call(http::Method::DELETE, &endpoint.path()).reply().await.expect_status(204);
        outcome
    }

    /// On a machine that does much else a run may be out of time before it is over another limit, so one of a few has
    /// to show the code.
    async fn judge(&mut self, endpoint: &Endpoint, event_type: &str, row: &Hostile) -> Result<(), String> {
        const EVENTS: usize = 4;
        for _ in 0..EVENTS {
            let message = self.send(event_type).await;
            let attempt = self.attempt(endpoint, &message).await;
            let code = attempt["failureCode"].as_str().unwrap_or("none");
            let detail = attempt["detail"].as_str().unwrap_or_default();
            let as_it_should = match row.ends {
                Ends::Fails(expected, part) => code == expected && detail.contains(part),
                Ends::FailsByAny(codes) => codes.contains(&code),
                Ends::Says(part) => code == "plugin_rejected" && detail.contains(part),
                Ends::Delivers => attempt["statusText"] == "success",
                Ends::Refused(..) | Ends::RefusedByAny(_) => unreachable!("it was refused"),
            };
            match code {
                _ if as_it_should => return Ok(()),
                "plugin_deadline" => {}
                _ => return Err(format!("ended in {attempt}")),
            }
        }
        Err(format!("out of time in each of {EVENTS} runs"))
    }

    /// The attempt of a message at one endpoint, of the three that it has.
    async fn attempt(&self, endpoint: &Endpoint, message: &str) -> Value {
        let attempts = self.api().wait_for_attempts(&self.application, message, 3).await;
        let of_endpoint = attempts.into_iter().find(|attempt| attempt["endpointId"] == endpoint.id.as_str());
        of_endpoint.expect("three endpoints, three attempts")
    }

    async fn delete(&self, name: &str) {
        let path = format!("/plugin/{name}");
        self.api().call(http::Method::DELETE, &path).reply().await.expect_status(204);
    }
}

fn corpus(endpoint_url: &str) -> Vec<Hostile> {
    let mut rows = uploads::rows();
    rows.extend(runs::rows());
    rows.extend(arguments::rows(endpoint_url));
    rows.extend(storms::rows(&Maker::of_transforms(), "transform"));
    rows
}

#[tokio::test]
async fn the_router_survives_the_corpus() {
    /// How much more memory the router may hold after the corpus: the allocator's slack, and pages of the slots that
    /// instances are put in, which stay mapped for the next run.
    const KEPT_BYTES_MAX: u64 = 64 << 20;
    let mut ground = Ground::new().await;
    let rows = corpus(&ground.hostile.url("/"));
    assert!(rows.len() >= 40, "{} hostile plugins", rows.len());
    ground.send("first").await;
    let process = ground.router.process_id();
    let before = resident_bytes(process);

    let mut surprises = Vec::new();
    for (number, row) in rows.iter().enumerate() {
        let name = format!("hostile-{number}");
        let outcome = match ground.upload(&name, row).await {
            Ok(()) if row.ends.is_in_a_run() => {
                let outcome = ground.run(&name, row).await;
                ground.delete(&name).await;
                outcome
            }
            other => other,
        };
        if let Err(surprise) = outcome {
            surprises.push((&row.name, surprise));
        }
    }
    assert!(surprises.is_empty(), "{} of {}: {surprises:#?}", surprises.len(), rows.len());
    assert!(ground.api().is_ready().await, "the router goes on");
    let after = resident_bytes(process);
    let kept = after.saturating_sub(before);
    assert!(kept <= KEPT_BYTES_MAX, "{kept} bytes more than before, {after} in all");
}
