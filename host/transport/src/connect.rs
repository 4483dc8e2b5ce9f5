//! The guarded connector: the only way to a foreign host.
//!
//! One path for every URL, so that none goes around the guard: literal address or lookup -> the policy judges each
//! address -> the survivors are dialled, those very addresses and no second lookup -> the policy judges the address
//! that the socket says it is connected to -> TLS, if the URL says so. There is no proxy: a guard in front of a
//! proxy would judge the proxy's address, and this crate reads no environment variable.

use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hookmill_core::address::{AddressPolicy, DeliveryUrl};
use hookmill_core::attempt::{Failure, TransportFailure};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::client::TlsStream;
use url::Host;

use crate::failure::{Obstacle, Phase, dial_failed, is_local_shortage, lacks_descriptors};
use crate::limits::{ADDRESSES_DIALLED_MAX, DIAL_STAGGER};
use crate::resolve::Resolve;
use crate::tls::{self, Tls};

/// Opens connections to hosts that the policy allows.
pub(crate) struct Connector {
    pub(crate) policy: AddressPolicy,
    pub(crate) resolver: Arc<dyn Resolve>,
    pub(crate) tls: Tls,
    pub(crate) connect_timeout: Duration,
}

/// An open connection, plain or secret.
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Connector {
    /// Connects to the URL's host, and keeps `phase` up to date.
    pub(crate) async fn connect(&self, url: &DeliveryUrl, phase: &mut Phase) -> Result<Stream, Obstacle> {
        match tokio::time::timeout(self.connect_timeout, self.connect_untimed(url, phase)).await {
            Ok(connected) => connected,
            Err(_elapsed) => Err(phase.timed_out().into()),
        }
    }

    async fn connect_untimed(&self, url: &DeliveryUrl, phase: &mut Phase) -> Result<Stream, Obstacle> {
        let host = url.as_url().host().expect("a delivery URL has a host");
        let port = url.as_url().port_or_known_default().expect("http and https have a default port");
        let addresses = match host {
            Host::Ipv4(address) => vec![self.judge_literal(address.into())?],
            Host::Ipv6(address) => vec![self.judge_literal(address.into())?],
            Host::Domain(name) => {
                *phase = Phase::Resolving;
                self.resolve(name).await?
            }
        };
        *phase = Phase::Dialling;
        let candidates = addresses.into_iter().map(|address| SocketAddr::new(address, port)).collect();
        let stream = dial_first(candidates).await?;
        self.judge_peer(&stream)?;
        // A request is written whole: there is nothing to wait for. A socket that can't is still a socket.
        let _ = stream.set_nodelay(true);
        if !url.is_https() {
            return Ok(Stream::Plain(stream));
        }
        *phase = Phase::Handshaking;
        Ok(Stream::Tls(Box::new(self.tls.handshake(&host, stream).await?)))
    }

    fn judge_literal(&self, address: IpAddr) -> Result<IpAddr, Failure> {
        match self.policy.check(address) {
            // The dialled address is the judged one: no IPv4 in IPv6 clothes is left to the kernel.
            Ok(()) => Ok(address.to_canonical()),
            Err(blocked) => {
                tracing::warn!(%address, reason = %blocked, "address refused");
                // The URL holds the address, so its owner may read it here.
                Err(Failure::new(TransportFailure::AddressBlocked, &blocked.to_string()))
            }
        }
    }

    /// The addresses of a name that the policy allows, in the order in which to try them.
    async fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, Obstacle> {
        let found = self.resolver.lookup(name).await.map_err(|failed| {
            tracing::debug!(name, detail = %failed, "lookup failed");
            if lacks_descriptors() {
                return Obstacle::Local("no descriptor to ask a name server with".into());
            }
            Failure::new(TransportFailure::DnsFailed, &failed.detail).into()
        })?;
        let mut allowed = Vec::with_capacity(found.len().min(ADDRESSES_DIALLED_MAX));
        let mut refused = None;
        for address in found {
            match self.policy.check(address) {
                Ok(()) => allowed.push(address.to_canonical()),
                Err(blocked) => refused = Some(blocked),
            }
        }
        match refused {
            None if allowed.is_empty() => {
                Err(Failure::new(TransportFailure::DnsFailed, "the name has no address").into())
            }
            Some(blocked) if allowed.is_empty() => {
                tracing::warn!(name, reason = %blocked, "every address refused");
                let detail = "the address policy refuses every address that the name resolves to";
                Err(Failure::new(TransportFailure::AddressBlocked, detail).into())
            }
            Some(blocked) => {
                tracing::debug!(name, reason = %blocked, "some addresses refused");
                Ok(interleave(&allowed))
            }
            None => Ok(interleave(&allowed)),
        }
    }

    /// What was judged is what was dialled; should that ever not be so, this ends it before a byte is sent.
    fn judge_peer(&self, stream: &TcpStream) -> Result<(), Failure> {
        let peer = stream.peer_addr().map_err(|error| {
            // The socket forgets its peer when the peer has reset it.
            Failure::new(TransportFailure::ConnectionReset, &error.to_string())
        })?;
        let peer = peer.ip();
        // Only a machine itself is at both ends: an address that its interfaces got a moment ago is found here.
        let is_own = stream.local_addr().is_ok_and(|local| local.ip() == peer);
        let judged = if is_own { self.policy.check_own(peer) } else { self.policy.check(peer) };
        judged.map_err(|blocked| {
            tracing::error!(%peer, reason = %blocked, "connected to an address that the policy refuses");
            Failure::new(
                TransportFailure::AddressBlocked,
                "the host led to an address that the policy refuses",
            )
        })
    }
}

impl Stream {
    /// Whether HTTP/2 is to be spoken.
    pub(crate) fn speaks_http2(&self) -> bool {
        match self {
            // Plain HTTP/2 would need to be known beforehand.
            Self::Plain(_) => false,
            Self::Tls(stream) => tls::speaks_http2(stream),
        }
    }
}

/// Takes turns between the families, beginning with that of the first address (RFC 8305, section 4), so that a
/// family without a route does not use up the places.
fn interleave(addresses: &[IpAddr]) -> Vec<IpAddr> {
    let first_is_ipv6 = addresses.first().is_some_and(IpAddr::is_ipv6);
    let (first, second): (Vec<IpAddr>, Vec<IpAddr>) =
        addresses.iter().partition(|address| address.is_ipv6() == first_is_ipv6);
    let mut result = Vec::with_capacity(addresses.len().min(ADDRESSES_DIALLED_MAX));
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    loop {
        let pair = [first.next(), second.next()];
        if pair == [None, None] {
            return result;
        }
        for address in pair.into_iter().flatten() {
            if result.len() < ADDRESSES_DIALLED_MAX {
                result.push(address);
            }
        }
    }
}

/// Dials one after the other, each with a head start before the next (RFC 8305, section 5); the first that
/// connects wins, and the others are given up.
async fn dial_first(candidates: Vec<SocketAddr>) -> Result<TcpStream, Obstacle> {
    if let [only] = candidates[..] {
        return dial(only).await;
    }
    let mut waiting = candidates.into_iter();
    let mut dials = JoinSet::new();
    let mut last = None;
    loop {
        if let Some(next) = waiting.next() {
            dials.spawn(dial(next));
        } else if dials.is_empty() {
            return Err(last.unwrap_or_else(|| dial_failed(&io::ErrorKind::AddrNotAvailable.into()).into()));
        }
        let head_start = async {
            match waiting.len() {
                0 => std::future::pending().await,
                _ => tokio::time::sleep(DIAL_STAGGER).await,
            }
        };
        tokio::select! {
            Some(dialled) = dials.join_next() => match dialled.expect("a dial does not panic") {
                Ok(stream) => return Ok(stream),
                // An address that could not be tried may be the one that answers.
                Err(obstacle) if !matches!(last, Some(Obstacle::Local(_))) => last = Some(obstacle),
                Err(_) => {}
            },
            () = head_start => {}
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the guarded room: every caller has judged the address"
)]
async fn dial(address: SocketAddr) -> Result<TcpStream, Obstacle> {
    TcpStream::connect(address).await.map_err(|error| {
        tracing::debug!(%address, %error, "dial failed");
        if is_local_shortage(&error, address.ip()) {
            return Obstacle::Local(error.to_string().into());
        }
        dial_failed(&error).into()
    })
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(text: &str) -> Vec<IpAddr> {
        text.split_whitespace().map(|address| address.parse().unwrap()).collect()
    }

    #[test]
    fn families_take_turns_and_places_are_bounded() {
        let check = |given: &str, expect: &str| assert_eq!(interleave(&addresses(given)), addresses(expect));
        check("", "");
        check("1.1.1.1", "1.1.1.1");
        check("::1 ::2 ::3 1.1.1.1", "::1 1.1.1.1 ::2 ::3");
        check("1.1.1.1 1.1.1.2 ::1", "1.1.1.1 ::1 1.1.1.2");
        let many: String = (1..=20).map(|n| format!("10.0.0.{n} ")).collect();
        check(&many, &(1..=ADDRESSES_DIALLED_MAX).map(|n| format!("10.0.0.{n} ")).collect::<String>());
    }

    #[tokio::test]
    async fn an_address_that_refuses_gives_way_to_the_next() {
        let open = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let shut = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let stream = dial_first(vec![shut, shut, open.local_addr().unwrap()]).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), open.local_addr().unwrap());
        let Err(Obstacle::Receiver(failure)) = dial_first(vec![shut, shut]).await else {
            panic!("connected")
        };
        assert_eq!(failure.class(), TransportFailure::ConnectRefused);
    }
}
