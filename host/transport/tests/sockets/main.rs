//! The transport on real sockets: receivers that misbehave, addresses that are refused, TLS, reuse.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail their test")]

mod answers;
mod guard;
mod misbehaviour;
mod reuse;
mod secure;

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use hookmill_core::address::{AddressPolicy, DeliveryUrl};
use hookmill_core::attempt::{Outcome, TransportFailure};
use hookmill_core::port::{Clock, PortFuture, Transport};
use hookmill_core::request::OutgoingRequest;
use hookmill_core::time::UnixMillis;
use hookmill_transport::{HttpTransport, LookupFailed, Resolve, TransportConfig};
use http::{HeaderMap, HeaderValue, Method};

/// Long enough that no test waits for it where it is not what is tested.
const AMPLE: Duration = Duration::from_secs(60);
/// How long a slow receiver is waited for.
const SHORT: Duration = Duration::from_millis(300);

/// 2026-11-22T01:02:03Z.
const NOW: UnixMillis = UnixMillis(1_795_309_323_000);

struct FixedClock;

impl Clock for FixedClock {
    fn now(&self) -> UnixMillis {
        NOW
    }

    fn steady(&self) -> UnixMillis {
        self.now()
    }
}

/// Names with the answers of one lookup after the other; the last one stays.
#[derive(Default)]
struct Names(Mutex<HashMap<String, VecDeque<Vec<IpAddr>>>>);

impl Names {
    fn none() -> Arc<Self> {
        Arc::default()
    }

    /// `name: addresses of the first lookup | of the second`.
    fn of(lines: &[&str]) -> Arc<Self> {
        let parse = |line: &&str| {
            let (name, answers) = line.split_once(": ").unwrap();
            let parse_one =
                |answer: &str| answer.split_whitespace().map(|one| one.parse().unwrap()).collect();
            (name.to_owned(), answers.split('|').map(parse_one).collect())
        };
        Arc::new(Self(Mutex::new(lines.iter().map(parse).collect())))
    }
}

impl Resolve for Names {
    fn lookup<'a>(&'a self, name: &'a str) -> PortFuture<'a, Result<Vec<IpAddr>, LookupFailed>> {
        Box::pin(async move {
            let mut names = self.0.lock().unwrap();
            let answers =
                names.get_mut(name).ok_or_else(|| LookupFailed { detail: "no such name".to_owned() })?;
            if answers.len() > 1 { Ok(answers.pop_front().unwrap()) } else { Ok(answers[0].clone()) }
        })
    }
}

fn public_only() -> AddressPolicy {
    AddressPolicy::default()
}

fn private_too() -> AddressPolicy {
    AddressPolicy { allow_private_network: true, ..AddressPolicy::default() }
}

fn config(policy: AddressPolicy, resolver: Arc<dyn Resolve>) -> TransportConfig {
    TransportConfig { connect_timeout: AMPLE, ..TransportConfig::new(policy, resolver, Arc::new(FixedClock)) }
}

fn transport(policy: AddressPolicy, resolver: Arc<dyn Resolve>) -> HttpTransport {
    HttpTransport::new(config(policy, resolver)).unwrap()
}

/// A transport for receivers on this machine.
fn local() -> HttpTransport {
    transport(private_too(), Names::none())
}

fn post(url: &str, body: impl Into<Bytes>) -> OutgoingRequest {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    headers.insert("webhook-id", HeaderValue::from_static("msg_1"));
    let url = DeliveryUrl::parse(url).unwrap();
    OutgoingRequest { method: Method::POST, url, headers, body: body.into() }
}

/// Posts a small event and waits for as long as it takes.
async fn send(transport: &HttpTransport, url: &str) -> Outcome {
    transport.send(post(url, r#"{"n":1}"#), AMPLE).await
}

fn failure_class(outcome: &Outcome) -> Option<TransportFailure> {
    match outcome {
        Outcome::Answered { .. } | Outcome::NotSent { .. } => None,
        Outcome::Failed(failure) => Some(failure.class()),
    }
}
