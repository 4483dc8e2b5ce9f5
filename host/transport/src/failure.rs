//! From what went wrong to one of the classes that the core knows.
//!
//! A failure's detail is shown to the owner of the endpoint, so it never holds an address that a name resolved to:
//! with those, an endpoint would be a tool to map the router's network. Operators find them in the log.

use std::error::Error;
use std::fmt::Write as _;
use std::io;
use std::net::{IpAddr, Ipv4Addr};

use hookmill_core::attempt::{Failure, TransportFailure};
use rustix::io::Errno;

/// Causes of one error that are described; there are rarely more than three.
const CAUSES_MAX: usize = 8;

/// How far one attempt has come. What a passed deadline means depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Looking up the host's name.
    Resolving,
    /// Dialling its addresses.
    Dialling,
    /// In the TLS handshake.
    Handshaking,
    /// Connected: sending the request, awaiting the head of the response.
    AwaitingHead,
    /// Reading the body of the response.
    ReadingBody,
}

impl Phase {
    /// What it means that time ran out in this phase.
    pub(crate) fn timed_out(self) -> Failure {
        let (class, detail) = match self {
            Self::Resolving => (TransportFailure::DnsFailed, "no answer from the name servers in time"),
            Self::Dialling => (TransportFailure::ConnectTimeout, "no connection in time"),
            Self::Handshaking => (TransportFailure::ConnectTimeout, "no end of the TLS handshake in time"),
            Self::AwaitingHead => (TransportFailure::ResponseTimeout, "no status and headers in time"),
            Self::ReadingBody => (TransportFailure::BodyTimeout, "no end of the response body in time"),
        };
        Failure::new(class, detail)
    }
}

/// What an error of an exchange on an open connection means.
pub(crate) fn exchange_failed(error: &hyper::Error) -> Failure {
    Failure::new(classify(error), &describe(error))
}

/// Whether the connection ended.
pub(crate) fn is_reset(error: &hyper::Error) -> bool {
    classify(error) == TransportFailure::ConnectionReset
}

/// Whether the receiver says that it did nothing with the request: it refused the stream, or went away before it
/// (RFC 9113, sections 5.4.1 and 6.8).
pub(crate) fn is_refusal(error: &hyper::Error) -> bool {
    let mut cause: Option<&(dyn Error + 'static)> = error.source();
    for _ in 0..CAUSES_MAX {
        let Some(error) = cause else { break };
        if let Some(error) = error.downcast_ref::<h2::Error>() {
            // h2 tells a stream of a GOAWAY only where that names an earlier one as the last.
            let refused = error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
            return error.is_remote() && (refused || error.is_go_away());
        }
        cause = error.source();
    }
    false
}

/// Why no answer came.
#[derive(Debug)]
pub(crate) enum Obstacle {
    /// Something at the receiver, or on the way to it.
    Receiver(Failure),
    /// This machine lacks something.
    Local(Box<str>),
}

impl From<Failure> for Obstacle {
    fn from(failure: Failure) -> Self {
        Self::Receiver(failure)
    }
}

/// Whether this machine lacks something that a connection to `address` needs: descriptors, ports, memory.
pub(crate) fn is_local_shortage(error: &io::Error, address: IpAddr) -> bool {
    let is = |errno: Errno| error.raw_os_error() == Some(errno.raw_os_error());
    // In IPv6 it means as well that this machine has no address of that family, which lasts.
    let no_port = is(Errno::ADDRNOTAVAIL) && address.is_ipv4();
    let lacking = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM, Errno::AGAIN, Errno::ADDRINUSE];
    no_port || lacking.into_iter().any(is)
}

/// Whether this machine has no descriptor left: libraries that open sockets rarely say so.
pub(crate) fn lacks_descriptors() -> bool {
    let opened = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0));
    opened.is_err_and(|error| is_local_shortage(&error, Ipv4Addr::LOCALHOST.into()))
}

/// What an error of dialling means.
pub(crate) fn dial_failed(error: &io::Error) -> Failure {
    let class = match error.kind() {
        io::ErrorKind::ConnectionRefused => TransportFailure::ConnectRefused,
        io::ErrorKind::TimedOut => TransportFailure::ConnectTimeout,
        // The connection was there, for a moment.
        io::ErrorKind::ConnectionReset => TransportFailure::ConnectionReset,
        _ => TransportFailure::ConnectFailed,
    };
    Failure::new(class, &describe(error))
}

/// An error and its causes, on one line.
pub(crate) fn describe(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    for _ in 0..CAUSES_MAX {
        let Some(error) = cause else { break };
        write!(text, ": {error}").expect("a string takes all");
        cause = error.source();
    }
    text
}

fn classify(error: &hyper::Error) -> TransportFailure {
    if error.is_parse_too_large() {
        return TransportFailure::ResponseHeaderTooLarge;
    }
    if error.is_parse() {
        return TransportFailure::ProtocolError;
    }
    let mut cause: Option<&(dyn Error + 'static)> = error.source();
    for _ in 0..CAUSES_MAX {
        let Some(error) = cause else { break };
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return classify_io(error);
        }
        cause = error.source();
    }
    if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
        TransportFailure::ConnectionReset
    } else {
        TransportFailure::ProtocolError
    }
}

fn classify_io(error: &io::Error) -> TransportFailure {
    // TLS speaks up after its handshake too: in TLS 1.3 a refused client certificate is only heard of then.
    if error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()) {
        return TransportFailure::TlsFailed;
    }
    match error.kind() {
        // hyper's decoder of chunks speaks of malformed ones in these kinds.
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => TransportFailure::ProtocolError,
        _ => TransportFailure::ConnectionReset,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn running_out_of_time_is_classed_by_phase() {
        let check = |phase: Phase, expect| assert_eq!(phase.timed_out().class(), expect, "{phase:?}");
        check(Phase::Resolving, TransportFailure::DnsFailed);
        check(Phase::Dialling, TransportFailure::ConnectTimeout);
        check(Phase::Handshaking, TransportFailure::ConnectTimeout);
        check(Phase::AwaitingHead, TransportFailure::ResponseTimeout);
        check(Phase::ReadingBody, TransportFailure::BodyTimeout);
    }

    #[test]
    fn dial_errors_are_classed_by_kind() {
        let check =
            |kind: io::ErrorKind, expect| assert_eq!(dial_failed(&kind.into()).class(), expect, "{kind}");
        check(io::ErrorKind::ConnectionRefused, TransportFailure::ConnectRefused);
        check(io::ErrorKind::TimedOut, TransportFailure::ConnectTimeout);
        check(io::ErrorKind::ConnectionReset, TransportFailure::ConnectionReset);
        check(io::ErrorKind::NetworkUnreachable, TransportFailure::ConnectFailed);
        check(io::ErrorKind::HostUnreachable, TransportFailure::ConnectFailed);
        check(io::ErrorKind::AddrNotAvailable, TransportFailure::ConnectFailed);
        check(io::ErrorKind::PermissionDenied, TransportFailure::ConnectFailed);
    }

    #[test]
    fn io_errors_of_an_exchange_are_classed_by_kind_and_origin() {
        let check = |error: io::Error, expect| assert_eq!(classify_io(&error), expect, "{error}");
        check(io::ErrorKind::ConnectionReset.into(), TransportFailure::ConnectionReset);
        check(io::ErrorKind::BrokenPipe.into(), TransportFailure::ConnectionReset);
        check(io::ErrorKind::UnexpectedEof.into(), TransportFailure::ConnectionReset);
        check(io::ErrorKind::InvalidInput.into(), TransportFailure::ProtocolError);
        let alert = rustls::Error::AlertReceived(rustls::AlertDescription::CertificateRequired);
        check(io::Error::new(io::ErrorKind::InvalidData, alert), TransportFailure::TlsFailed);
    }

    #[test]
    fn what_this_machine_lacks_is_told_from_what_the_receiver_does() {
        let check = |errno: Errno, expect| {
            let error = io::Error::from_raw_os_error(errno.raw_os_error());
            assert_eq!(is_local_shortage(&error, Ipv4Addr::LOCALHOST.into()), expect, "{error}");
        };
        for lacking in
            [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM, Errno::ADDRNOTAVAIL, Errno::AGAIN]
        {
            check(lacking, true);
        }
        for other in
            [Errno::CONNREFUSED, Errno::TIMEDOUT, Errno::NETUNREACH, Errno::HOSTUNREACH, Errno::CONNRESET]
        {
            check(other, false);
        }
        let no_address = io::Error::from_raw_os_error(Errno::ADDRNOTAVAIL.raw_os_error());
        assert!(!is_local_shortage(&no_address, std::net::Ipv6Addr::LOCALHOST.into()), "no IPv6 at all");
    }

    #[test]
    fn describes_causes_on_one_line() {
        let inner = rustls::Error::General("inner".to_owned());
        let text = describe(&io::Error::other(inner));
        assert_eq!(text, "unexpected error: inner");
    }
}
