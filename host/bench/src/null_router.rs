//! A router that does only what every router must: HTTP in, a signature, HTTP out. It stores nothing and promises nothing.
//!
//! hyper serves, hyper sends over pooled connections, HMAC-SHA256 signs as Standard Webhooks asks. What a real router takes
//! beyond this is the price of its durability, its scheduling and its plugins.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use sha2::Sha256;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::router::LISTENING;

/// Deliveries on their way at a time; the next event is not answered before one of them is done.
const IN_FLIGHT_MAX: usize = 64;
const SIGNING_KEY: &[u8] = b"a key of thirty-two bytes, no less";
/// As long as what a router answers to an accepted event.
const ACCEPTED: &str =
    r#"{"id":"msg_00000000000000000000000000","eventType":"bench.event","timestamp":"2026-01-01T00:00:00Z"}"#;

struct NullRouter {
    receiver: Option<SocketAddr>,
    client: Client<HttpConnector, Full<Bytes>>,
    in_flight: Arc<Semaphore>,
}

/// Serves on a free port, which it prints, until it is killed.
pub(crate) async fn run(receiver: Option<SocketAddr>) -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{LISTENING}{}", listener.local_addr()?);
    serve(listener, receiver).await
}

async fn serve(listener: TcpListener, receiver: Option<SocketAddr>) -> std::io::Result<()> {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(IN_FLIGHT_MAX).build(connector);
    let router =
        Arc::new(NullRouter { receiver, client, in_flight: Arc::new(Semaphore::new(IN_FLIGHT_MAX)) });
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let router = Arc::clone(&router);
        tokio::spawn(async move {
            let service = service_fn(|request| handle(Arc::clone(&router), request));
            // A generator that hangs up is done; there is nobody to tell.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn handle(
    router: Arc<NullRouter>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.method() == Method::GET {
        return Ok(Response::new(Full::new(Bytes::from_static(b"ready"))));
    }
    let Ok(body) = request.into_body().collect().await else { return Ok(answer(StatusCode::BAD_REQUEST)) };
    let body = body.to_bytes();
    let Some(receiver) = router.receiver else { return Ok(answer(StatusCode::ACCEPTED)) };
    let permit = Arc::clone(&router.in_flight).acquire_owned().await.expect("the semaphore is never closed");
    tokio::spawn(async move {
        deliver(&router, receiver, body).await;
        drop(permit);
    });
    Ok(answer(StatusCode::ACCEPTED))
}

/// One attempt. A failure is not tried again: the bench then finds an event missing.
async fn deliver(router: &NullRouter, receiver: SocketAddr, body: Bytes) {
    let request = Request::post(format!("http://{receiver}/hook"))
        .header("content-type", "application/json")
        .header("webhook-id", "msg_00000000000000000000000000")
        .header("webhook-timestamp", "1767225600")
        .header("webhook-signature", format!("v1,{:x?}", signature(&body)))
        .body(Full::new(body));
    let Ok(request) = request else { return };
    if let Ok(response) = router.client.request(request).await {
        // Read to its end, or the connection can't be used again.
        let _ = response.into_body().collect().await;
    }
}

fn signature(body: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(SIGNING_KEY).expect("HMAC takes keys of any length");
    mac.update(b"msg_00000000000000000000000000.1767225600.");
    mac.update(body);
    mac.finalize().into_bytes().into()
}

fn answer(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(ACCEPTED.as_bytes())));
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{self, RequestTemplate};
    use crate::generator::{self, Extent, Numbers, Target};
    use crate::receiver::{Manner, Receiver};

    const EVENTS: u64 = 2_000;

    async fn started() -> (Receiver, Target) {
        let receiver = Receiver::start(Manner::Answers).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve(listener, Some(receiver.address)));
        let template = RequestTemplate::post("bench", "/", "", &event::message(512));
        (receiver, Target { address, template })
    }

    #[tokio::test]
    async fn what_a_closed_loop_sends_arrives_once() {
        let (receiver, target) = started().await;
        let extent = Extent { connections: generator::CONNECTIONS, seconds: 600.0, events_max: EVENTS };
        let sent = generator::closed_loop(&target, &Numbers::default(), extent).await.unwrap();
        let arrivals = receiver.all_arrived(sent.accepted).await.unwrap();
        assert!(sent.accepted >= EVENTS && sent.refused == 0, "{} {}", sent.accepted, sent.refused);
        assert_eq!((arrivals.distinct, arrivals.repeated), (sent.accepted, 0));
        assert_eq!(sent.acknowledged_ns.len(), sent.accepted);
    }

    #[tokio::test]
    async fn a_fixed_rate_sends_each_event_that_is_due() {
        let (receiver, target) = started().await;
        let numbers = Numbers::default();
        let (sent, lateness_ns) = generator::fixed_rate(&target, &numbers, 2_000, 1).await.unwrap();
        let arrivals = receiver.all_arrived(sent.accepted).await.unwrap();
        assert_eq!((sent.accepted, arrivals.distinct, lateness_ns.len()), (2_000, 2_000, 2_000));
        assert_eq!(numbers.upcoming(), 2_000);
    }
}
