//! What one request costs: CPU microseconds of the sending and of the receiving process.
//!
//! `cargo bench -p hookmill-transport [-- REQUESTS CONCURRENCY]`. The receiver is this same program, in a process
//! of its own, with nothing but hyper in it.

use std::convert::Infallible;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use hookmill_core::address::{AddressPolicy, DeliveryUrl};
use hookmill_core::port::{Clock, PortFuture, Transport as _};
use hookmill_core::request::OutgoingRequest;
use hookmill_core::time::UnixMillis;
use hookmill_transport::{HttpTransport, LookupFailed, Resolve, TransportConfig};
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::time::Instant;

/// Microseconds of one tick of `/proc/PID/stat` (`USER_HZ` is 100 on every Linux).
const TICK_MICROS: u64 = 10_000;
const RECEIVE: &str = "--receive";
const EVENT_BYTES: usize = 512;
const WARM_UP: usize = 5_000;

struct NoClock;

impl Clock for NoClock {
    fn now(&self) -> UnixMillis {
        UnixMillis(0)
    }

    fn steady(&self) -> UnixMillis {
        self.now()
    }
}

struct NoNames;

impl Resolve for NoNames {
    fn lookup<'a>(&'a self, _: &'a str) -> PortFuture<'a, Result<Vec<IpAddr>, LookupFailed>> {
        Box::pin(async { Ok(Vec::new()) })
    }
}

/// The receiving process; ended with this value.
struct ReceiverProcess {
    child: Child,
    address: SocketAddr,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    if arguments.first().is_some_and(|first| first == RECEIVE) {
        return runtime.block_on(receive());
    }
    let number = |at: usize, default: usize| {
        arguments.get(at).map_or(default, |text| text.parse().expect("REQUESTS and CONCURRENCY are numbers"))
    };
    runtime.block_on(measure(number(0, 50_000), number(1, 64)));
}

async fn measure(requests: usize, concurrency: usize) {
    let receiver = ReceiverProcess::start();
    let policy = AddressPolicy { allow_private_network: true, ..AddressPolicy::default() };
    let config = TransportConfig::new(policy, Arc::new(NoNames), Arc::new(NoClock));
    let transport = Arc::new(HttpTransport::new(config).expect("no additional authorities"));
    let url = DeliveryUrl::parse(&format!("http://{}/hook", receiver.address)).expect("a URL");
    let request = OutgoingRequest {
        method: Method::POST,
        url,
        headers: headers(),
        body: Bytes::from(vec![b'e'; EVENT_BYTES]),
    };
    send_all(&transport, &request, WARM_UP, concurrency).await;

    let (sender_before, receiver_before) = (cpu_micros(std::process::id()), cpu_micros(receiver.child.id()));
    let began = Instant::now();
    send_all(&transport, &request, requests, concurrency).await;
    let elapsed = began.elapsed();
    let per_request = |micros: u64| micros as f64 / requests as f64;
    println!(
        "{requests} requests, {concurrency} at once: {:.0}/s, {:.1} us CPU a request sent, {:.1} us received",
        requests as f64 / elapsed.as_secs_f64(),
        per_request(cpu_micros(std::process::id()) - sender_before),
        per_request(cpu_micros(receiver.child.id()) - receiver_before),
    );
}

/// What a signed delivery carries.
fn headers() -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("user-agent", "Hookmill/0.1.0 (webhooks)"),
        ("content-type", "application/json"),
        ("webhook-id", "msg_01JDEXAMPLE0000000000000000"),
        ("webhook-timestamp", "1795309323"),
        ("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
}

async fn send_all(
    transport: &Arc<HttpTransport>,
    request: &OutgoingRequest,
    count: usize,
    concurrency: usize,
) {
    let sent = Arc::new(AtomicUsize::new(0));
    let senders: Vec<_> = (0..concurrency)
        .map(|_| {
            let (transport, request, sent) = (Arc::clone(transport), request.clone(), Arc::clone(&sent));
            tokio::spawn(async move {
                while sent.fetch_add(1, Ordering::Relaxed) < count {
                    let outcome = transport.send(request.clone(), Duration::from_secs(15)).await;
                    assert_eq!(outcome.status(), Some(200), "{outcome:?}");
                }
            })
        })
        .collect();
    for sender in senders {
        sender.await.expect("every request is answered");
    }
}

impl ReceiverProcess {
    fn start() -> Self {
        let program = std::env::current_exe().expect("this program has a path");
        let mut child =
            Command::new(program).arg(RECEIVE).stdout(Stdio::piped()).spawn().expect("this program starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("it was piped");
        BufReader::new(stdout).read_line(&mut line).expect("the receiver says where it listens");
        Self { child, address: line.trim().parse().expect("an address") }
    }
}

impl Drop for ReceiverProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn receive() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    println!("{}", listener.local_addr().expect("an address"));
    std::io::stdout().flush().expect("the parent listens");
    loop {
        let (stream, _) = listener.accept().await.expect("connections");
        stream.set_nodelay(true).expect("a TCP option");
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer)));
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Empty<Bytes>>, Infallible> {
    let _ = request.into_body().collect().await;
    Ok(Response::new(Empty::new()))
}

fn cpu_micros(process: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).expect("Linux with /proc");
    // The name, in parentheses, may hold anything; user and system time are fields 14 and 15 (proc(5)).
    let after_name = stat.rsplit_once(") ").expect("a name").1;
    let ticks: u64 =
        after_name.split(' ').skip(11).take(2).map(|field| field.parse::<u64>().expect("ticks")).sum();
    ticks * TICK_MICROS
}
