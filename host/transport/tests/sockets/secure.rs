//! TLS, and HTTP/2 in it.

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};

use hookmill_core::diagnosis::{Symptom, diagnose};
use hookmill_core::limits::RESPONSE_BODY_BYTES_MAX;
use hookmill_testkit::receiver::{Behaviour, Receiver};
use http::{Request, Response, Version};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::*;

/// A receiver with a certificate that it signed itself.
struct SecureReceiver {
    port: u16,
    certificate: CertificateDer<'static>,
    connections: Arc<AtomicUsize>,
    accepting: tokio::task::JoinHandle<()>,
}

/// What a connection gets in the place of an answer to its first request: frames of HTTP/2 (RFC 9113).
type Frames = &'static [u8];

const REFUSED_STREAM: Frames = b"\0\0\x04\x03\0\0\0\0\x01\0\0\0\x07";
const INTERNAL_ERROR: Frames = b"\0\0\x04\x03\0\0\0\0\x01\0\0\0\x02";
/// The last stream that it saw is none.
const GOAWAY: Frames = b"\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\0";

impl SecureReceiver {
    /// Answers with the version, host and body of each request; its certificate is good for `hosts`.
    async fn start(hosts: &[&str], alpn: &[&str]) -> Self {
        Self::start_with(certificate_for(hosts), alpn).await
    }

    async fn start_with(certificate: CertificateParams, alpn: &[&str]) -> Self {
        Self::start_refusing(certificate, alpn, usize::MAX, &[]).await
    }

    /// Its first connections get these frames instead.
    async fn start_refusing(
        certificate: CertificateParams,
        alpn: &[&str],
        refusing: usize,
        frames: Frames,
    ) -> Self {
        let signing_key = KeyPair::generate().unwrap();
        let certificate = certificate.self_signed(&signing_key).unwrap().der().clone();
        let key = PrivateKeyDer::Pkcs8(signing_key.serialize_der().into());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)
            .unwrap();
        config.alpn_protocols = alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::new(AtomicUsize::new(0));
        let accepting = tokio::spawn(accept(listener, acceptor, Arc::clone(&connections), refusing, frames));
        Self { port, certificate, connections, accepting }
    }

    fn transport(&self, trusted: bool) -> HttpTransport {
        let names =
            Names::of(&["hooks.example: 127.0.0.1", "hooks.example.: 127.0.0.1", "other.example: 127.0.0.1"]);
        let extra_roots = if trusted { vec![self.certificate.clone()] } else { Vec::new() };
        HttpTransport::new(TransportConfig { extra_roots, ..config(private_too(), names) }).unwrap()
    }

    fn url(&self, host: &str) -> String {
        format!("https://{host}:{}/path?query", self.port)
    }
}

impl Drop for SecureReceiver {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

fn certificate_for(hosts: &[&str]) -> CertificateParams {
    let hosts: Vec<_> = hosts.iter().map(|host| (*host).to_owned()).collect();
    CertificateParams::new(hosts).unwrap()
}

async fn accept(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    connections: Arc<AtomicUsize>,
    refusing: usize,
    frames: Frames,
) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (acceptor, connections) = (acceptor.clone(), Arc::clone(&connections));
        tokio::spawn(async move {
            // A client that does not trust the certificate ends here.
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            let number = connections.fetch_add(1, Ordering::SeqCst);
            if !frames.is_empty() && number < refusing {
                refuse(&mut stream, frames).await;
                return;
            }
            let server = auto::Builder::new(TokioExecutor::new());
            let _ = server.serve_connection(TokioIo::new(stream), service_fn(tell)).await;
        });
    }
}

/// Reads up to the head of a request, says these frames, and reads on.
async fn refuse(stream: &mut TlsStream<TcpStream>, frames: Frames) {
    const PREFACE_BYTES: usize = 24;
    const HEADERS: u8 = 1;
    stream.write_all(b"\0\0\0\x04\0\0\0\0\0").await.unwrap();
    stream.read_exact(&mut [0; PREFACE_BYTES]).await.unwrap();
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.unwrap();
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        stream.read_exact(&mut payload).await.unwrap();
        if head[3] == HEADERS {
            break;
        }
    }
    stream.write_all(frames).await.unwrap();
    let _ = stream.read_to_end(&mut Vec::new()).await;
}

/// `/large` gets a large answer, everything else what it asked.
async fn tell(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let version = if request.version() == Version::HTTP_2 { "h2" } else { "http/1.1" };
    let host = match request.headers().get("host") {
        Some(host) => host.to_str().unwrap().to_owned(),
        None => request.uri().authority().unwrap().to_string(),
    };
    let path = request.uri().path_and_query().unwrap().to_string();
    let length = request.into_body().collect().await.unwrap().to_bytes().len();
    let answer = match path.as_str() {
        "/large" => "l".repeat(1 << 20),
        _ => format!("{version} {host} {path} {length}"),
    };
    Ok(Response::new(Full::from(answer)))
}

fn body(outcome: Outcome) -> String {
    match outcome {
        Outcome::Answered { status: 200, body, .. } => String::from_utf8(body.to_vec()).unwrap(),
        other => panic!("not answered with 200: {other:?}"),
    }
}

#[tokio::test]
async fn speaks_what_alpn_agrees_on() {
    let check = async |alpn: &[&str], expect: &str| {
        let receiver = SecureReceiver::start(&["hooks.example"], alpn).await;
        let transport = receiver.transport(true);
        let host = format!("hooks.example:{}", receiver.port);
        let outcome = send(&transport, &receiver.url("hooks.example")).await;
        assert_eq!(body(outcome), format!("{expect} {host} /path?query 7"));
    };
    check(&["h2", "http/1.1"], "h2").await;
    check(&["h2"], "h2").await;
    check(&["http/1.1"], "http/1.1").await;
    check(&[], "http/1.1").await;
}

#[tokio::test]
async fn a_certificate_must_be_trusted_and_name_the_host() {
    let receiver = SecureReceiver::start(&["hooks.example", "127.0.0.1"], &["h2"]).await;
    let check = async |trusted: bool, host: &str, expect: Option<TransportFailure>| {
        let outcome = send(&receiver.transport(trusted), &receiver.url(host)).await;
        assert_eq!(failure_class(&outcome), expect, "{host}: {outcome:?}");
    };
    check(true, "hooks.example", None).await;
    check(true, "hooks.example.", None).await;
    check(true, "127.0.0.1", None).await;
    check(true, "other.example", Some(TransportFailure::TlsFailed)).await;
    check(true, "127.0.0.2", Some(TransportFailure::ConnectRefused)).await;
    check(false, "hooks.example", Some(TransportFailure::TlsFailed)).await;
    check(false, "127.0.0.1", Some(TransportFailure::TlsFailed)).await;
}

/// The causes are read from the texts of the TLS library, which may change with its version.
#[tokio::test]
async fn what_is_wrong_with_a_certificate_is_diagnosed() {
    let check = async |certificate: CertificateParams, trusted: bool, host: &str, expect: &str| {
        let receiver = SecureReceiver::start_with(certificate, &["h2"]).await;
        let outcome = send(&receiver.transport(trusted), &receiver.url(host)).await;
        let Outcome::Failed(failure) = outcome else { panic!("{host}: {outcome:?}") };
        let symptom =
            Symptom { failure_code: failure.class().code(), status: None, detail: failure.detail() };
        assert_eq!(diagnose(symptom).code, expect, "{failure}");
    };
    let good = || certificate_for(&["hooks.example"]);
    let (mut expired, mut early) = (good(), good());
    expired.not_after = date_time_ymd(2020, 1, 1);
    early.not_before = date_time_ymd(4000, 1, 1);
    check(good(), false, "hooks.example", "tls_unknown_issuer").await;
    check(good(), true, "other.example", "tls_name_mismatch").await;
    check(expired, true, "hooks.example", "tls_expired").await;
    check(early, true, "hooks.example", "tls_not_yet_valid").await;
}

#[tokio::test]
async fn a_plain_receiver_behind_an_https_url_fails_the_handshake() {
    let plain = Behaviour::Says(Bytes::from_static(b"HTTP/1.1 400 Bad Request\r\n\r\n"));
    for (behaviour, timeout, expect) in [
        // The handshake is no request, so a receiver that reads one closes or waits.
        (plain, SHORT, TransportFailure::ConnectTimeout),
        (Behaviour::NeverReads, SHORT, TransportFailure::ConnectTimeout),
        (Behaviour::ResetsOnAccept, AMPLE, TransportFailure::TlsFailed),
    ] {
        let receiver = Receiver::start(behaviour).await;
        let url = receiver.url("/").replace("http:", "https:");
        let outcome = local().send(post(&url, "{}"), timeout).await;
        assert_eq!(failure_class(&outcome), Some(expect), "{outcome:?}");
    }
}

#[tokio::test]
async fn http2_requests_share_a_connection() {
    let receiver = SecureReceiver::start(&["hooks.example"], &["h2"]).await;
    let transport = Arc::new(receiver.transport(true));
    assert!(body(send(&transport, &receiver.url("hooks.example")).await).starts_with("h2"));
    let tasks: Vec<_> = (0..64)
        .map(|_| {
            let (transport, url) = (Arc::clone(&transport), receiver.url("hooks.example"));
            tokio::spawn(async move { transport.send(post(&url, vec![b'a'; 100_000]), AMPLE).await })
        })
        .collect();
    for task in tasks {
        assert!(body(task.await.unwrap()).ends_with(" 100000"));
    }
    assert_eq!(receiver.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_body_that_is_cut_ends_its_stream_alone() {
    let receiver = SecureReceiver::start(&["hooks.example"], &["h2"]).await;
    let transport = receiver.transport(true);
    let url = format!("https://hooks.example:{}/large", receiver.port);
    for _ in 0..3 {
        assert_eq!(body(send(&transport, &url).await).len(), RESPONSE_BODY_BYTES_MAX);
    }
    assert!(body(send(&transport, &receiver.url("hooks.example")).await).starts_with("h2"));
    assert_eq!(receiver.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn https_connections_are_reused() {
    let receiver = SecureReceiver::start(&["hooks.example"], &["http/1.1"]).await;
    let transport = receiver.transport(true);
    for _ in 0..10 {
        assert!(body(send(&transport, &receiver.url("hooks.example")).await).starts_with("http/1.1"));
    }
    assert_eq!(receiver.connections.load(Ordering::SeqCst), 1);
}

/// A stream that was refused was not looked at (RFC 9113, section 8.7): it is sent again, on another connection.
#[tokio::test]
async fn a_refused_stream_costs_no_attempt() {
    let check = async |frames: Frames, refusing: usize, expect: Option<u16>, connections: usize| {
        let certificate = certificate_for(&["hooks.example"]);
        let receiver = SecureReceiver::start_refusing(certificate, &["h2"], refusing, frames).await;
        let outcome = send(&receiver.transport(true), &receiver.url("hooks.example")).await;
        assert_eq!(outcome.status(), expect, "{frames:?} {refusing}: {outcome:?}");
        assert_eq!(receiver.connections.load(Ordering::SeqCst), connections, "{frames:?} {refusing}");
    };
    check(REFUSED_STREAM, 1, Some(200), 2).await;
    check(REFUSED_STREAM, 3, Some(200), 4).await;
    check(GOAWAY, 1, Some(200), 2).await;
    // One that refuses whatever comes fails the attempt in the end.
    check(REFUSED_STREAM, usize::MAX, None, 4).await;
    check(GOAWAY, usize::MAX, None, 4).await;
    check(INTERNAL_ERROR, 1, None, 1).await;
}
