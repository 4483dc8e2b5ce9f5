//! Whom to believe, and how to speak in secret.

use std::sync::Arc;

use hookmill_core::attempt::{Failure, TransportFailure};
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::TransportError;
use crate::failure::describe;

/// HTTP/2, offered by ALPN.
const ALPN_HTTP2: &[u8] = b"h2";
/// HTTP/1.1, offered by ALPN and assumed of a server that knows no ALPN.
const ALPN_HTTP1: &[u8] = b"http/1.1";

/// Makes TLS connections out of TCP connections.
pub(crate) struct Tls {
    connector: TlsConnector,
    /// The machine has no authorities to believe, which the detail of a failure then says.
    without_roots: bool,
}

impl Tls {
    /// Believes the machine's authorities and `extra_roots`.
    pub(crate) fn new(extra_roots: &[CertificateDer<'static>]) -> Result<Self, TransportError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut extra = RootCertStore::empty();
        for root in extra_roots {
            extra.add(root.clone()).map_err(TransportError::ExtraRoot)?;
        }
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("ring supports the default versions of TLS");
        let (mut config, without_roots) = match platform_verifier(extra_roots, provider) {
            Ok(verifier) => {
                (builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth(), false)
            }
            Err(error) => {
                // Plain HTTP works without authorities, so this is no reason not to start.
                tracing::warn!(%error, "no certificate authorities: every https delivery will fail");
                (builder.with_root_certificates(extra).with_no_client_auth(), true)
            }
        };
        config.alpn_protocols = vec![ALPN_HTTP2.to_vec(), ALPN_HTTP1.to_vec()];
        Ok(Self { connector: TlsConnector::from(Arc::new(config)), without_roots })
    }

    /// Shakes hands with the host that its certificate must name.
    pub(crate) async fn handshake(
        &self,
        host: &url::Host<&str>,
        stream: TcpStream,
    ) -> Result<TlsStream<TcpStream>, Failure> {
        let name = server_name(host)?;
        self.connector.connect(name, stream).await.map_err(|error| {
            if self.without_roots {
                let advice = "this machine has no certificate authorities: install them or set SSL_CERT_FILE";
                return Failure::new(TransportFailure::TlsFailed, advice);
            }
            Failure::new(TransportFailure::TlsFailed, &describe(&error))
        })
    }
}

/// Whether the receiver chose HTTP/2.
pub(crate) fn speaks_http2(stream: &TlsStream<TcpStream>) -> bool {
    stream.get_ref().1.alpn_protocol() == Some(ALPN_HTTP2)
}

fn platform_verifier(
    extra_roots: &[CertificateDer<'static>],
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, rustls::Error> {
    Ok(Arc::new(Verifier::new_with_extra_roots(extra_roots.iter().cloned(), provider)?))
}

/// The name that goes into SNI and that the certificate must hold: without the final dot (RFC 6066, section 3).
fn server_name(host: &url::Host<&str>) -> Result<ServerName<'static>, Failure> {
    match host {
        url::Host::Ipv4(address) => Ok(ServerName::IpAddress(std::net::IpAddr::from(*address).into())),
        url::Host::Ipv6(address) => Ok(ServerName::IpAddress(std::net::IpAddr::from(*address).into())),
        url::Host::Domain(name) => {
            let name = name.strip_suffix('.').unwrap_or(name);
            ServerName::try_from(name.to_owned()).map_err(|_| {
                Failure::new(TransportFailure::TlsFailed, "the host is no name that a certificate can hold")
            })
        }
    }
}
